#include "tests/model/learner_fixture.h"

#include "core/error.h"
#include "core/model/weights_table.h"
#include "tests/model/random_model.h"
#include "tests/model/reference.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct learner_shape learner_shapes[] = {
    {"clip", CLV_MASK_NONE, true, false, 2, 0, 2, 16, 12, 0, 0},
    {"kmt", CLV_MASK_KMT, false, false, 2, 2, 1, 16, 12, 0, 0},
    {"kmct", CLV_MASK_KMCT, false, false, 1, 2, 2, 16, 12, 2, 0},
    {"joint", CLV_MASK_NONE, false, false, 2, 1, 1, 16, 12, 0, 0},
    {"gelu, odd mlp", CLV_MASK_KMT, false, true, 1, 1, 1, 12, 20, 4, 37},
    {"no blocks", CLV_MASK_NONE, true, false, 0, 0, 0, 16, 12, 0, 0},
    {"embedding only", CLV_MASK_KMT, false, false, 1, 0, 1, 16, 12, 0, 0},
    {"heads of 64", CLV_MASK_KMCT, false, true, 1, 1, 1, 128, 64, 2, 70},
};
const int learner_shape_count = (int)(sizeof learner_shapes / sizeof learner_shapes[0]);

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void need_ok(int status)
{
    if (status != CLV_OK) {
        fprintf(stderr, "%s\n", clv_error_message());
        abort();
    }
}

static struct clv_model_config config_of(const struct learner_shape *shape)
{
    const int heads = shape->heads ? shape->heads : 1;
    struct clv_model_config config = {
        .vision = {shape->width, shape->layers, heads, shape->mlp},
        .text = {shape->text_width, shape->text_layers, heads, shape->mlp},
        .embed_dim = 10,
        .image_side = 12,
        .patch_side = 6,
        .frame_count = 3,
        .context_length = 8,
        .vocabulary_size = 20,
        .mask = shape->mask,
        .activation = shape->is_gelu ? CLV_ACTIVATION_GELU : CLV_ACTIVATION_QUICK_GELU,
    };
    if (!shape->is_clip) {
        config.temporal = config.vision;
        config.temporal.layer_count = shape->temporal_layers;
    }
    random_model_complete(&config);
    return config;
}

/* The model of a file, its numbers copied to memory of our own. */
static struct clv_weights *into_memory(const struct clv_params *params, const char *path)
{
    struct clv_weights *file = NULL, *weights = NULL;
    struct clv_weight_entry *entries = need(calloc(params->count, sizeof *entries));
    float *memory = need(calloc((size_t)params->element_count, sizeof *memory)), *at = memory;
    need_ok(clv_weights_open(&file, path));
    for (size_t i = 0; i < params->count; i++) {
        entries[i] = *clv_weights_find(file, params->items[i].name);
        need_ok(clv_weights_read(at, &entries[i]));
        entries[i].data = at;
        at += params->items[i].element_count;
    }
    need_ok(clv_weights_from_memory(&weights, "fixture", entries, params->count, NULL, 0, memory));
    free(entries);
    clv_weights_close(file);
    return weights;
}

void learner_fixture_init(struct learner_fixture *out, const struct learner_shape *shape,
                          uint64_t seed)
{
    static const int lengths[LEARNER_TEXTS] = {5, 8, 1, 2, 4, 3};
    static const char *path;
    if (!path)
        path = t_path(t_directory(), "model.safetensors");
    *out = (struct learner_fixture){.config = config_of(shape)};
    need_ok(random_model_write(path, &out->config, &(struct random_model_options){.seed = seed}));
    need_ok(clv_params_init(&out->params, &out->config));
    out->weights = into_memory(&out->params, path);
    const size_t side = (size_t)out->config.image_side;
    const size_t size = LEARNER_CLIPS * (size_t)out->config.frame_count * 3 * side * side;
    out->pixels = need(malloc(size * sizeof *out->pixels));
    for (size_t i = 0; i < size; i++)
        out->pixels[i] = (float)t_normal(&seed);
    for (int i = 0; i < LEARNER_TEXTS; i++) {
        out->starts[i + 1] = out->starts[i] + lengths[i];
        for (int k = out->starts[i]; k < out->starts[i + 1]; k++)
            out->ids[k] = (int32_t)(t_random(&seed) % 20);
    }
    for (int i = 0; i < LEARNER_CLIPS * LEARNER_CLASSES; i++)
        out->labels[i] = (float)t_uniform(&seed);
    for (int i = 0; i < LEARNER_CLIPS * LEARNER_CLIPS; i++)
        out->contrast[i] = (float)t_uniform(&seed);
}

void learner_fixture_release(struct learner_fixture *fixture)
{
    clv_params_release(&fixture->params);
    clv_weights_close(fixture->weights);
    free(fixture->pixels);
}

float *learner_value(const struct learner_fixture *fixture, size_t index)
{
    return (float *)clv_weights_find(fixture->weights, fixture->params.items[index].name)->data;
}

struct clv_learner_batch learner_batch(const struct learner_fixture *fixture,
                                       enum clv_learner_loss loss)
{
    const bool is_classes = loss == CLV_LOSS_CLASSES;
    return (struct clv_learner_batch){
        .loss = loss,
        .clip_count = LEARNER_CLIPS,
        .pixels = fixture->pixels,
        .text_count = is_classes ? LEARNER_TEXTS : LEARNER_CLIPS,
        .prompt_count = is_classes ? LEARNER_PROMPTS : 0,
        .ids = fixture->ids,
        .starts = fixture->starts,
        .labels = is_classes ? fixture->labels : fixture->contrast,
    };
}

/* Cross entropy of `count` logits, `step` apart, and as many labels. */
static double cross_entropy(const double *z, const float *y, int count, int step)
{
    double largest = -INFINITY, sum = 0, loss = 0;
    for (int i = 0; i < count; i++)
        largest = fmax(largest, z[i * step]);
    for (int i = 0; i < count; i++)
        sum += exp(z[i * step] - largest);
    for (int i = 0; i < count; i++)
        loss -= (double)y[i * step] * (z[i * step] - largest - log(sum));
    return loss;
}

/* Unit text features [texts, E]. */
static double *reference_units(const struct learner_fixture *fixture,
                               const struct clv_learner_batch *batch)
{
    const int e = fixture->config.embed_dim;
    double *units = need(calloc((size_t)(batch->text_count * e), sizeof *units));
    for (int i = 0; i < batch->text_count; i++) {
        double *feature =
            reference_text(fixture->weights, &fixture->config, batch->ids + batch->starts[i],
                           batch->starts[i + 1] - batch->starts[i]);
        double square = 0;
        for (int k = 0; k < e; k++)
            square += feature[k] * feature[k];
        for (int k = 0; k < e; k++)
            units[i * e + k] = feature[k] / sqrt(square);
        free(feature);
    }
    return units;
}

/* The vector of one clip [E]. */
static double *reference_vector(const struct learner_fixture *fixture, const float *pixels)
{
    const struct clv_model_config *config = &fixture->config;
    const int t = config->frame_count;
    const double *frames[8];
    double *tokens = reference_frames(fixture->weights, config, pixels, t);
    for (int i = 0; i < t; i++)
        frames[i] = tokens + i * config->token_count * config->vision.width;
    struct reference_window window = reference_windows(fixture->weights, config, frames);
    double *vector = window.vector;
    window.vector = NULL;
    reference_window_free(&window);
    free(tokens);
    return vector;
}

double learner_reference_loss(const struct learner_fixture *fixture,
                              const struct clv_learner_batch *batch, double *logits_out)
{
    const struct clv_model_config *config = &fixture->config;
    const int e = config->embed_dim, n = batch->text_count, b = batch->clip_count;
    const int a = batch->prompt_count ? batch->prompt_count : 1, classes = n / a;
    const int clip_size = config->frame_count * 3 * config->image_side * config->image_side;
    float scale;
    need_ok(clv_weights_read(&scale, clv_weights_find(fixture->weights, "logit_scale")));
    double *units = reference_units(fixture, batch), loss = 0;
    double *z = need(calloc((size_t)(b * n), sizeof *z));
    for (int i = 0; i < b; i++) {
        double *vector = reference_vector(fixture, batch->pixels + i * clip_size);
        for (int k = 0; k < n; k++)
            for (int m = 0; m < e; m++)
                z[i * n + k] += exp(scale) * vector[m] * units[k * e + m];
        free(vector);
    }
    for (int i = 0; i < b && batch->loss == CLV_LOSS_CLASSES; i++)
        for (int k = 0; k < a; k++)
            loss +=
                cross_entropy(z + i * n + k * classes, batch->labels + i * classes, classes, 1) /
                (a * b);
    for (int i = 0; i < b && batch->loss == CLV_LOSS_CAPTIONS; i++)
        loss += (cross_entropy(z + i * n, batch->labels + i * n, n, 1) +
                 cross_entropy(z + i, batch->labels + i, b, n)) /
                (2 * b);
    if (logits_out)
        memcpy(logits_out, z, (size_t)(b * n) * sizeof *z);
    free(units);
    free(z);
    return loss;
}

struct clv_learner *learner_make(const struct learner_fixture *fixture, struct clv_device *device,
                                 const struct clv_learner_options *options)
{
    struct clv_learner_options limits = options ? *options : (struct clv_learner_options){0};
    struct clv_learner *learner = NULL;
    limits.clip_max = limits.clip_max ? limits.clip_max : LEARNER_CLIPS;
    limits.text_max = limits.text_max ? limits.text_max : LEARNER_TEXTS;
    need_ok(clv_learner_create(&learner, device, &fixture->config, fixture->weights, &limits));
    return learner;
}

float *learner_parts(const struct clv_learner *learner, enum clv_learner_part part,
                     size_t *count_out)
{
    const struct clv_params *params = clv_learner_params(learner);
    float *values = need(calloc((size_t)params->element_count, sizeof *values));
    *count_out = 0;
    for (size_t i = 0; i < params->count; i++) {
        if (part != CLV_LEARNER_VALUE && !params->items[i].trainable)
            continue;
        need_ok(clv_learner_read(learner, values + *count_out, part, i));
        *count_out += params->items[i].element_count;
    }
    return values;
}

double learner_difference(const float *got, const float *want, size_t count)
{
    double error = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        double off = fabs((double)got[i] - want[i]);
        if (!(off <= error))
            error = isnan(off) ? INFINITY : off;
        largest = fmax(largest, fabs((double)want[i]));
    }
    return largest > 0 ? error / largest : error;
}

double learner_limit(const struct clv_device *device)
{
    return clv_device_kind(device) == CLV_DEVICE_CUDA ? 1e-4 : 1e-5;
}
