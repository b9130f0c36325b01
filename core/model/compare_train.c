/* Runs one training step over an expectation file and measures the gradients and the step.
 *
 * AdamW's first step is lr * g / (|g| + eps): where |g| is near eps it is little more than g's
 * sign, and no fp32 gradient comes that near (eps 1e-8 is often less than one rounding of the
 * tensor's largest gradient; PyTorch's own fp32 misses float64's step there). So a step counts as
 * right wherever a gradient within GRADIENT_RESOLUTION of the expected one would have led. */
#include "core/error.h"
#include "core/model/compare_parts.h"
#include "core/model/learner.h"
#include "core/model/params.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Relative to the tensor's largest gradient: a few roundings of fp32. */
#define GRADIENT_RESOLUTION 2e-6

struct training {
    struct clv_weights *file;
    const struct clv_weight_entry *video, *tokens, *labels;
    struct clv_learner *learner;
    float *pixels, *soft_labels;
    int32_t *ids, *starts;
    float *values; /* room for the largest parameter */
    struct clv_learner_step_options step;
    double loss;
};

static int read_number(float *out, const struct clv_weights *file, const char *key)
{
    const char *text = clv_weights_metadata(file, key);
    char *end;
    if (!text)
        return clv_fail(CLV_EINVAL, "'%s': metadata %s is missing", clv_weights_path(file), key);
    *out = strtof(text, &end);
    if (end == text || *end || !isfinite(*out))
        return clv_fail(CLV_ECORRUPT, "'%s': metadata %s is '%.60s', no number",
                        clv_weights_path(file), key, text);
    return CLV_OK;
}

static int find_input(const struct clv_weight_entry **out, const struct clv_weights *file,
                      const char *name)
{
    *out = clv_weights_find(file, name);
    if (*out && (*out)->element_count > 0)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "'%s': training needs tensor '%s'", clv_weights_path(file), name);
}

static int check_inputs(const struct training *t, const struct clv_model_config *config)
{
    const struct clv_weight_entry *wrong = NULL;
    assert(t->video && t->tokens && t->labels);
    const int64_t *video = t->video->shape, *tokens = t->tokens->shape, *labels = t->labels->shape;
    const int64_t side = config->image_side;
    if (t->video->dimension_count != 5 || video[0] > INT16_MAX || video[2] != 3 ||
        video[3] != side || video[4] != side || video[1] > 1 << 12 ||
        (config->temporal.width && video[1] != config->frame_count))
        wrong = t->video;
    else if (!clv_compare_is_tokens(t->tokens, config))
        wrong = t->tokens;
    else if (t->labels->dimension_count != 2 || labels[0] != video[0] || labels[1] != tokens[1])
        wrong = t->labels;
    return wrong ? clv_fail(CLV_ECORRUPT, "'%s': the shape of tensor '%s' does not fit the model",
                            clv_weights_path(t->file), wrong->name)
                 : CLV_OK;
}

static int read_inputs(struct training *t, const struct clv_model_config *config)
{
    int status = find_input(&t->video, t->file, "input_video");
    if (status == CLV_OK)
        status = find_input(&t->tokens, t->file, "input_tokens");
    if (status == CLV_OK)
        status = find_input(&t->labels, t->file, "input_soft_labels");
    if (status == CLV_OK)
        status = check_inputs(t, config);
    if (status != CLV_OK)
        return status;
    const size_t texts = (size_t)(t->tokens->shape[0] * t->tokens->shape[1]);
    t->pixels = clv_compare_read(t->video);
    t->soft_labels = t->pixels ? clv_compare_read(t->labels) : NULL;
    if (!t->soft_labels)
        return CLV_ECORRUPT;
    t->ids = malloc(t->tokens->element_count * sizeof *t->ids);
    t->starts = malloc((texts + 1) * sizeof *t->starts);
    if (!t->ids || !t->starts)
        return clv_fail_memory("the tokens of texts");
    return clv_compare_pack(t->ids, t->starts, t->file, t->tokens, config->vocabulary_size);
}

static int create_learner(struct training *t, const struct clv_model *model,
                          struct clv_device *device)
{
    const int texts = (int)(t->tokens->shape[0] * t->tokens->shape[1]);
    const struct clv_learner_options options = {.frame_count = (int)t->video->shape[1],
                                                .clip_max = (int)t->video->shape[0],
                                                .text_max = texts,
                                                .text_row_max = t->starts[texts]};
    int status = clv_learner_create(&t->learner, device, &model->config, model->weights, &options);
    if (status != CLV_OK)
        return status;
    const struct clv_params *params = clv_learner_params(t->learner);
    size_t largest = 1;
    for (size_t i = 0; i < params->count; i++)
        if (params->items[i].element_count > largest)
            largest = params->items[i].element_count;
    t->values = malloc(largest * sizeof *t->values);
    return t->values ? CLV_OK : clv_fail_memory("a parameter");
}

static int train(struct training *t)
{
    t->step = clv_learner_step_defaults;
    const struct clv_learner_batch batch = {
        .loss = CLV_LOSS_CLASSES,
        .clip_count = (int)t->video->shape[0],
        .pixels = t->pixels,
        .text_count = (int)(t->tokens->shape[0] * t->tokens->shape[1]),
        .prompt_count = (int)t->tokens->shape[0],
        .ids = t->ids,
        .starts = t->starts,
        .labels = t->soft_labels,
    };
    int status = read_number(&t->step.lr, t->file, "lr");
    if (status == CLV_OK)
        status = read_number(&t->step.weight_decay, t->file, "weight_decay");
    if (status == CLV_OK)
        status = clv_learner_forward_backward(t->learner, &t->loss, &batch);
    return status == CLV_OK ? clv_learner_step(t->learner, NULL, &t->step) : status;
}

/* Moves each stepped value towards the expected one as far as the gradient's resolution explains.
 */
static int allow_for_resolution(const struct training *t, const struct clv_param *param,
                                const struct clv_weight_entry *expected)
{
    char name[CLV_PARAM_NAME_SIZE + 8];
    snprintf(name, sizeof name, "grad.%s", param->name);
    const struct clv_weight_entry *entry = clv_weights_find(t->file, name);
    if (!entry || entry->element_count != param->element_count)
        return CLV_OK;
    float *gradient = clv_compare_read(entry);
    float *want = gradient ? clv_compare_read(expected) : NULL;
    const double lr =
        (double)t->step.lr * (param->temporal ? (double)t->step.lr_temporal_factor : 1);
    double largest = 0;
    for (size_t i = 0; want && i < entry->element_count; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    for (size_t i = 0; want && i < entry->element_count; i++) {
        const double g = gradient[i], near = GRADIENT_RESOLUTION * largest,
                     eps = (double)t->step.eps;
        const double here = g / (fabs(g) + eps);
        const double most = lr * (here - (g - near) / (fabs(g - near) + eps));
        const double least = lr * (here - (g + near) / (fabs(g + near) + eps));
        const double off = (double)t->values[i] - want[i];
        if (off >= least && off <= most)
            t->values[i] = want[i];
        else if (!isnan(off))
            t->values[i] -= (float)(off > most ? most : least);
    }
    free(gradient);
    free(want);
    return want ? CLV_OK : CLV_ECORRUPT;
}

/* Measures "grad." or "step." and a parameter's name. */
static int measure(struct clv_compare_line *line, const struct training *t,
                   const struct clv_weight_entry *entry)
{
    const struct clv_params *params = clv_learner_params(t->learner);
    const bool is_gradient = strncmp(entry->name, "grad.", 5) == 0;
    if (strcmp(entry->name, "loss") == 0 && entry->element_count == 1) {
        const float loss = (float)t->loss;
        return clv_compare_measure(line, entry, &loss);
    }
    if (!is_gradient && strncmp(entry->name, "step.", 5) != 0)
        return CLV_OK;
    const struct clv_param *param = clv_params_find(params, entry->name + 5);
    if (!param)
        return CLV_OK;
    if (param->element_count != entry->element_count)
        return clv_fail(CLV_ECORRUPT, "'%s': the shape of tensor '%s' does not fit the model",
                        clv_weights_path(t->file), entry->name);
    int status = clv_learner_read(t->learner, t->values,
                                  is_gradient ? CLV_LEARNER_GRADIENT : CLV_LEARNER_VALUE,
                                  (size_t)(param - params->items));
    if (status == CLV_OK && !is_gradient)
        status = allow_for_resolution(t, param, entry);
    return status == CLV_OK ? clv_compare_measure(line, entry, t->values) : status;
}

static int report(struct clv_compare_result *out, const struct training *t, double tolerance,
                  clv_compare_each *each, void *payload)
{
    out->is_within = true;
    for (size_t i = 0; i < clv_weights_count(t->file); i++) {
        const struct clv_weight_entry *entry = clv_weights_at(t->file, i);
        struct clv_compare_line line = {.name = entry->name};
        if (strncmp(entry->name, "input_", 6) == 0)
            continue;
        int status = measure(&line, t, entry);
        if (status != CLV_OK)
            return status;
        clv_compare_note(out, &line, tolerance, each, payload);
    }
    return out->compared_count > 0 ? CLV_OK
                                   : clv_fail(CLV_EINVAL, "'%s' expects nothing of training",
                                              clv_weights_path(t->file));
}

int clv_compare_train(struct clv_compare_result *out, const struct clv_model *model,
                      struct clv_device *device, const char *expect_path, double tolerance,
                      clv_compare_each *each, void *payload)
{
    struct training t = {0};
    *out = (struct clv_compare_result){0};
    int status = clv_weights_open(&t.file, expect_path);
    if (status == CLV_OK)
        status = read_inputs(&t, &model->config);
    if (status == CLV_OK)
        status = create_learner(&t, model, device);
    if (status == CLV_OK)
        status = train(&t);
    if (status == CLV_OK)
        status = report(out, &t, tolerance, each, payload);
    clv_learner_free(t.learner);
    free(t.pixels);
    free(t.soft_labels);
    free(t.ids);
    free(t.starts);
    free(t.values);
    clv_weights_close(t.file);
    return status;
}
