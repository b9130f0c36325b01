/* What precision costs: the vectors of each backend, at each precision, beside the CPU's in fp32.
 */
#include "core/compute/device.h"
#include "core/error.h"
#include "core/file.h"
#include "core/model/encoder.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "tests/devices.h"
#include "tests/model/golden.h"
#include "tests/model/random_model.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIPS = 3, TEXTS = 4 };

static struct clv_device *device, *reference;
static const char *directory;
/* What the precision under test must reach: vectors of footage, and texts. */
static double cosine_min, text_cosine_min;

static void *need(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory)
        abort();
    return memory;
}

/* Not below one where a number is none. */
static double distance(const float *a, const float *b, int count)
{
    double product = 0, squares_a = 0, squares_b = 0;
    for (int k = 0; k < count; k++) {
        product += (double)a[k] * b[k];
        squares_a += (double)a[k] * a[k];
        squares_b += (double)b[k] * b[k];
    }
    const double cosine = product / sqrt(squares_a * squares_b);
    return isfinite(cosine) ? 1 - cosine : 2;
}

/* Clips of discs that move before a gradient, and one of noise: pictures have large areas of like
 * pixels, in which errors do not cancel as they do in noise. */
static float *make_clips(const struct clv_model_config *config)
{
    const int side = config->image_side, frames = config->frame_count;
    float *pixels =
        need((size_t)CLIPS * (size_t)frames * 3 * (size_t)(side * side), sizeof *pixels);
    float *at = pixels;
    uint64_t seed = 9;
    for (int i = 0; i < CLIPS * frames * 3; i++) {
        const int clip = i / (3 * frames), frame = i / 3 % frames, plane = i % 3;
        const float x = (float)(side * (frame + 1)) / (float)(frames + 1), y = 0.4f * (float)side;
        for (int p = 0; p < side * side; p++) {
            const float column = (float)(p % side), row = (float)(p / side);
            const bool is_inside = hypotf(column - x, row - y) < 0.2f * (float)side;
            const float ground = (column * (float)plane - row) / (float)side;
            *at++ = clip == 2 ? (float)t_normal(&seed) : is_inside == (clip == 0) ? 1.5f : ground;
        }
    }
    return pixels;
}

/* vectors [CLIPS, E] and texts [TEXTS, E]. */
static void encode(float *vectors, float *texts, struct clv_device *on,
                   const struct clv_weights *weights, const struct clv_model_config *config,
                   const float *pixels)
{
    const int frames = CLIPS * config->frame_count;
    const struct clv_encoder_options options = {
        .slot_count = frames, .frame_batch_max = frames, .window_batch_max = CLIPS};
    struct clv_encoder *encoder = NULL;
    int32_t *slots = need((size_t)frames, sizeof *slots), ids[TEXTS * 16], starts[TEXTS + 1] = {0};
    for (int i = 0; i < frames; i++)
        slots[i] = i;
    for (int i = 0; i < TEXTS; i++)
        starts[i + 1] = starts[i] + 2 + 4 * i;
    for (int i = 0; i < starts[TEXTS]; i++)
        ids[i] = (int32_t)((unsigned)i * 2654435761u % (unsigned)config->vocabulary_size);
    CHECK_OK(clv_encoder_create(&encoder, on, weights, config, &options));
    if (encoder) {
        CHECK_OK(clv_encoder_frames(encoder, slots, pixels, frames));
        CHECK_OK(clv_encoder_windows(encoder, &(struct clv_window_outputs){.vectors = vectors},
                                     slots, CLIPS));
        CHECK_OK(clv_encoder_text(encoder, texts, ids, starts, TEXTS));
    }
    clv_encoder_free(encoder);
    free(slots);
}

static void check_near(const char *what, int index, const float *got, const float *want, int count,
                       double least)
{
    const double off = distance(got, want, count);
    if (!(off <= 1 - least))
        t_fail(__FILE__, __LINE__, "%s %d: its cosine to that of the CPU in fp32 is %.7f, not %.7f",
               what, index, 1 - off, least);
}

static void check_model(const char *name, const struct clv_weights *weights,
                        const struct clv_model_config *config)
{
    const int embed = config->embed_dim;
    const size_t vectors = (size_t)(CLIPS * embed), all = vectors + (size_t)(TEXTS * embed);
    float *pixels = make_clips(config);
    float *got = need(all, sizeof *got), *want = need(all, sizeof *want);
    char what[80];
    encode(want, want + vectors, reference, weights, config, pixels);
    encode(got, got + vectors, device, weights, config, pixels);
    for (int i = 0; i < CLIPS + TEXTS; i++) {
        snprintf(what, sizeof what, "%s, %s", name, i < CLIPS ? "vector" : "text");
        check_near(what, i, got + i * embed, want + i * embed, embed,
                   i < CLIPS ? cosine_min : text_cosine_min);
    }
    /* The limit tells clips apart, so it would see one go wrong. */
    for (int i = 1; i < CLIPS; i++)
        CHECK(distance(want, want + i * embed, embed) > 4 * (1 - 0.9995));
    free(pixels);
    free(got);
    free(want);
}

static void random_models(void)
{
    static const struct {
        const char *name;
        int width, layers, temporal_layers, patch, grid, frames;
        enum clv_mask mask;
    } shapes[] = {
        {"deep", 128, 12, 4, 8, 4, 8, CLV_MASK_KMT},
        {"causal", 192, 6, 2, 16, 3, 8, CLV_MASK_KMCT},
        {"many frames", 128, 3, 2, 8, 2, 32, CLV_MASK_KMT},
        {"many tokens", 256, 4, 2, 4, 14, 2, CLV_MASK_KMT},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int width = shapes[i].width;
        struct clv_weights *weights = NULL;
        struct clv_model_config config = {
            .vision = {width, shapes[i].layers, width / 64, 0},
            .temporal = {width, shapes[i].temporal_layers, width / 64, 0},
            .text = {128, 4, 2, 0},
            .embed_dim = 96,
            .image_side = shapes[i].patch * shapes[i].grid,
            .patch_side = shapes[i].patch,
            .frame_count = shapes[i].frames,
            .context_length = 77,
            .vocabulary_size = 300,
            .mask = shapes[i].mask,
            .activation = CLV_ACTIVATION_QUICK_GELU,
        };
        random_model_complete(&config);
        const char *path = t_path(directory, "model.safetensors");
        REQUIRE_OK(random_model_write(path, &config, &(struct random_model_options){.seed = 3}));
        REQUIRE_OK(clv_weights_open(&weights, path));
        check_model(shapes[i].name, weights, &config);
        clv_weights_close(weights);
    }
}

static void the_built_in_model(void)
{
    struct clv_model model;
    REQUIRE_OK(clv_model_open_mini(&model, NULL));
    check_model("claver-mini", model.weights, &model.config);
    clv_model_release(&model);
}

static void check_golden(const struct clv_model *model, const char *expect)
{
    (void)expect;
    check_model(clv_path_base(model->path), model->weights, &model->config);
}

static void golden_models(void)
{
    golden_each(check_golden);
}

static const struct precision {
    const char *name;
    enum clv_precision value;
    double cosine_min, text_cosine_min;
} precisions[] = {
    {"fp32", CLV_PRECISION_FP32, 0.999999, 0.999999},
    {"tf32", CLV_PRECISION_TF32, 0.9999, 0.9999},
    /* A text is one token's features, where a vector is the mean of those of T frames. */
    {"bf16", CLV_PRECISION_BF16, 0.9995, 0.998},
};
static const struct precision *precision; /* under test */

static void run_all(void)
{
    char suffix[32];
    const bool is_cuda = clv_device_kind(device) == CLV_DEVICE_CUDA;
    snprintf(suffix, sizeof suffix, " (%s%s)", is_cuda ? "cuda, " : "", precision->name);
    t_suffix(suffix);
    directory = t_directory();
    cosine_min = precision->cosine_min;
    text_cosine_min = precision->text_cosine_min;
    T_RUN(random_models);
    T_RUN(the_built_in_model);
    T_RUN(golden_models);
    t_suffix("");
}

int main(void)
{
    int status = 0;
    if (clv_device_open(&reference, &(struct clv_device_options){.kind = CLV_DEVICE_CPU}) !=
        CLV_OK) {
        printf("FAIL device: %s\n", clv_error_message());
        return 1;
    }
    for (size_t i = 0; i < sizeof precisions / sizeof precisions[0]; i++) {
        precision = &precisions[i];
        const struct clv_device_options options = {.precision = precision->value,
                                                   .bf16_activations =
                                                       precision->value == CLV_PRECISION_BF16};
        status = t_each_device(&device, &options, run_all);
    }
    clv_device_close(reference);
    return status;
}
