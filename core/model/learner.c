/* The life of a learner: parameters, gradients and moments, access to them, and the optimiser's
 * step. */
#include "core/model/learner.h"

#include "core/compute/gradients.h"
#include "core/error.h"
#include "core/model/encoder_over.h"
#include "core/model/learner_state.h"
#include "core/model/weights.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define LIMIT (1 << 20)

const struct clv_learner_step_options clv_learner_step_defaults = {
    .lr = 1.2e-5f,
    .lr_temporal_factor = 10,
    .beta1 = 0.9f,
    .beta2 = 0.98f,
    .eps = 1e-8f,
    .weight_decay = 1e-3f,
};

const struct clv_model_config *clv_learner_config(const struct clv_learner *learner)
{
    return &learner->config;
}

const struct clv_params *clv_learner_params(const struct clv_learner *learner)
{
    return &learner->params;
}

size_t clv_learner_activation_bytes(const struct clv_learner *learner)
{
    return clv_buffer_size(learner->activations);
}

size_t clv_learner_bytes(const struct clv_learner *learner)
{
    size_t bytes = clv_buffer_size(learner->values) + clv_buffer_size(learner->activations);
    if (learner->gradients)
        bytes += clv_buffer_size(learner->gradients) + clv_buffer_size(learner->moments);
    return bytes;
}

int64_t clv_learner_step_count(const struct clv_learner *learner)
{
    return learner->step_count;
}

void clv_learner_set_step_count(struct clv_learner *learner, int64_t count)
{
    learner->step_count = count;
}

/* ---- creation -------------------------------------------------------------------------------- */

static int check_range(const char *what, int value, int least, int most)
{
    if (value >= least && value <= most)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "%s of %d is not in %d..%d", what, value, least, most);
}

static int check_options(const struct clv_learner *learner)
{
    const struct clv_learner_options *options = &learner->options;
    int status = clv_config_check(&learner->config);
    if (status == CLV_OK && !(options->drop_path >= 0 && options->drop_path < 1))
        status = clv_fail(CLV_EINVAL, "a drop path rate of %g is not in 0..1",
                          (double)options->drop_path);
    if (status == CLV_OK)
        status = check_range("a clip batch", options->clip_max, 1, LIMIT);
    if (status == CLV_OK)
        status = check_range("a pass of clips", options->clip_batch_max, 1, options->clip_max);
    if (status == CLV_OK)
        status = check_range("a text batch", options->text_max, 1, LIMIT);
    if (status == CLV_OK)
        status = check_range("a batch of text tokens", options->text_row_max, 1, INT32_MAX / 4);
    if (status == CLV_OK)
        status = check_range("a pass of text tokens", options->text_batch_max, 1, INT32_MAX / 4);
    return status;
}

/* Fills the defaults in and checks the ranges. */
static int settle_options(struct clv_learner *learner, const struct clv_learner_options *given)
{
    struct clv_model_config *config = &learner->config;
    struct clv_learner_options *options = &learner->options;
    *options = given ? *given : (struct clv_learner_options){0};
    int status = clv_config_set_frame_count(config, options->frame_count);
    if (status != CLV_OK)
        return status;
    if (!options->clip_max)
        options->clip_max = 8;
    if (!options->clip_batch_max || options->clip_batch_max > options->clip_max)
        options->clip_batch_max = options->clip_max;
    if (!options->text_max)
        options->text_max = 256;
    if (!options->text_row_max && options->text_max > 0 &&
        options->text_max <= INT32_MAX / 4 / config->context_length)
        options->text_row_max = options->text_max * config->context_length;
    if (!options->text_batch_max || options->text_batch_max > options->text_row_max)
        options->text_batch_max = options->text_row_max;
    if (options->text_batch_max > 0 && options->text_batch_max < config->context_length)
        options->text_batch_max = config->context_length;
    learner->slot_token_count = config->temporal.layer_count ? config->token_count : 1;
    return check_options(learner);
}

static bool is_frozen(const struct clv_param *param, const struct clv_learner_options *options)
{
    switch (param->branch) {
    case CLV_BRANCH_VISION:
        return options->freeze_image;
    case CLV_BRANCH_TEMPORAL:
        return options->freeze_temporal;
    default:
        return options->freeze_text;
    }
}

static void settle_trainable(struct clv_learner *learner)
{
    const struct clv_learner_options *options = &learner->options;
    for (size_t i = 0; i < learner->params.count; i++)
        learner->params.items[i].trainable = !is_frozen(&learner->params.items[i], options);
    learner->trains_vision = !options->freeze_image;
    learner->trains_windows =
        learner->trains_vision || (learner->config.temporal.width && !options->freeze_temporal);
    learner->trains_text = !options->freeze_text;
}

/* Lays values out in order of the table, and the gradients of the trainable ones likewise. */
static int create_parameters(struct clv_learner *learner)
{
    const struct clv_params *params = &learner->params;
    size_t value_count = 0;
    learner->value = calloc(params->count + 1, sizeof *learner->value);
    learner->gradient = calloc(params->count + 1, sizeof *learner->gradient);
    if (!learner->value || !learner->gradient)
        return clv_fail_memory("a learner's parameters");
    for (size_t i = 0; i < params->count; i++) {
        const size_t count = clv_padded_count(params->items[i].element_count);
        value_count += count;
        learner->gradient_count += params->items[i].trainable ? count : 0;
    }
    const size_t bytes = learner->gradient_count * sizeof(float);
    int status = clv_buffer_create(&learner->values, learner->device, value_count * sizeof(float));
    if (status == CLV_OK && bytes > 0)
        status = clv_buffer_create(&learner->gradients, learner->device, bytes);
    if (status == CLV_OK && bytes > 0)
        status = clv_buffer_create(&learner->moments, learner->device, 2 * bytes);
    if (status != CLV_OK)
        return status;
    float *value = clv_buffer_data(learner->values);
    float *gradient = bytes > 0 ? clv_buffer_data(learner->gradients) : NULL;
    for (size_t i = 0; i < params->count; i++) {
        const size_t count = clv_padded_count(params->items[i].element_count);
        learner->value[i] = value;
        value += count;
        if (params->items[i].trainable) {
            learner->gradient[i] = gradient;
            gradient += count;
        }
    }
    return CLV_OK;
}

static int load_values(struct clv_learner *learner, const struct clv_weights *weights)
{
    const struct clv_params *params = &learner->params;
    size_t largest = 1;
    int status = clv_params_check(params, weights, NULL);
    if (status != CLV_OK)
        return status;
    for (size_t i = 0; i < params->count; i++)
        if (params->items[i].element_count > largest)
            largest = params->items[i].element_count;
    float *host = malloc(largest * sizeof *host);
    if (!host)
        return clv_fail_memory("a learner's weights");
    for (size_t i = 0; i < params->count && status == CLV_OK; i++) {
        status = clv_weights_read(host, clv_weights_find(weights, params->items[i].name));
        if (status == CLV_OK)
            status = clv_learner_write(learner, CLV_LEARNER_VALUE, i, host);
    }
    free(host);
    return status;
}

int clv_learner_create(struct clv_learner **out, struct clv_device *device,
                       const struct clv_model_config *config, const struct clv_weights *weights,
                       const struct clv_learner_options *options)
{
    const struct clv_network_options all = {0};
    *out = NULL;
    struct clv_learner *learner = calloc(1, sizeof *learner);
    if (!learner)
        return clv_fail_memory("a learner");
    learner->device = device;
    learner->config = *config;
    int status = settle_options(learner, options);
    if (status == CLV_OK)
        status = clv_params_init(&learner->params, &learner->config);
    if (status == CLV_OK) {
        settle_trainable(learner);
        status = create_parameters(learner);
    }
    if (status == CLV_OK && weights)
        status = load_values(learner, weights);
    if (status == CLV_OK)
        status = clv_network_over(&learner->network, device, &learner->config, learner->value,
                                  learner->gradient, &all);
    if (status == CLV_OK)
        status = clv_learner_create_memory(learner);
    if (status == CLV_OK)
        status = clv_device_sync(device);
    if (status == CLV_OK)
        *out = learner;
    else
        clv_learner_free(learner);
    return status;
}

void clv_learner_free(struct clv_learner *learner)
{
    if (!learner)
        return;
    clv_network_release(&learner->network);
    clv_learner_release_memory(learner);
    clv_buffer_free(learner->values);
    clv_buffer_free(learner->gradients);
    clv_buffer_free(learner->moments);
    clv_params_release(&learner->params);
    free(learner->value);
    free(learner->gradient);
    free(learner);
}

/* ---- access ---------------------------------------------------------------------------------- */

/* Where a part of a parameter lies; NULL where it has none. */
static float *part_address(const struct clv_learner *learner, enum clv_learner_part part,
                           size_t index)
{
    float *gradient = learner->gradient[index];
    if (part == CLV_LEARNER_VALUE)
        return learner->value[index];
    if (!gradient || part == CLV_LEARNER_GRADIENT)
        return gradient;
    /* The moments lie as the gradients do, all of the first before all of the second. */
    float *moments = clv_buffer_data(learner->moments);
    size_t offset = (size_t)(gradient - (float *)clv_buffer_data(learner->gradients));
    return moments + offset + (part == CLV_LEARNER_MOMENT_2 ? learner->gradient_count : 0);
}

static int find_part(float **out, const struct clv_learner *learner, enum clv_learner_part part,
                     size_t index)
{
    assert(index < learner->params.count);
    *out = part_address(learner, part, index);
    return *out ? CLV_OK
                : clv_fail(CLV_EINVAL, "'%s' is frozen: it has a value only",
                           learner->params.items[index].name);
}

int clv_learner_read(const struct clv_learner *learner, float *out, enum clv_learner_part part,
                     size_t index)
{
    float *address;
    int status = find_part(&address, learner, part, index);
    if (status != CLV_OK)
        return status;
    clv_device_read(learner->device, out, address,
                    learner->params.items[index].element_count * sizeof *out);
    return clv_device_sync(learner->device);
}

int clv_learner_write(struct clv_learner *learner, enum clv_learner_part part, size_t index,
                      const float *values)
{
    float *address;
    int status = find_part(&address, learner, part, index);
    if (status != CLV_OK)
        return status;
    clv_device_write(learner->device, address, values,
                     learner->params.items[index].element_count * sizeof *values);
    return clv_device_sync(learner->device);
}

int clv_learner_encoder(struct clv_encoder **out, struct clv_learner *learner,
                        const struct clv_encoder_options *options)
{
    return clv_encoder_over(out, &learner->network, learner->value, options);
}

/* ---- the step -------------------------------------------------------------------------------- */

/* Where a part of a parameter lies, as rows that ops can share out. */
static struct clv_tensor part_tensor(const struct clv_learner *learner, enum clv_learner_part part,
                                     size_t index)
{
    const struct clv_param *param = &learner->params.items[index];
    int64_t rows = param->dimension_count > 1 ? param->shape[0] : 1;
    if (param->dimension_count == 3)
        rows *= param->shape[1];
    return clv_tensor(part_address(learner, part, index), (int)rows,
                      (int)((int64_t)param->element_count / rows));
}

void clv_learner_zero_gradients(struct clv_learner *learner)
{
    for (size_t i = 0; i < learner->params.count; i++)
        if (learner->gradient[i])
            clv_zero(learner->device, part_tensor(learner, CLV_LEARNER_GRADIENT, i));
}

int clv_learner_measure_norm(const struct clv_learner *learner, double *out)
{
    double sum = 0;
    double *device_sum = clv_learner_sum(learner, CLV_SUM_SQUARES);
    clv_device_write(learner->device, device_sum, &sum, sizeof sum);
    for (size_t i = 0; i < learner->params.count; i++)
        if (learner->gradient[i])
            clv_sum_squares(learner->device, device_sum,
                            part_tensor(learner, CLV_LEARNER_GRADIENT, i));
    clv_device_read(learner->device, &sum, device_sum, sizeof sum);
    int status = clv_device_sync(learner->device);
    *out = sqrt(sum);
    if (status == CLV_OK && !isfinite(*out))
        status = clv_fail(CLV_EINVAL, "the norm of the gradients is %g, no finite number", *out);
    return status;
}

int clv_learner_descend(struct clv_learner *learner, double norm,
                        const struct clv_learner_step_options *options)
{
    const bool is_clipped = options->clip_norm > 0 && norm > (double)options->clip_norm;
    learner->step_count++;
    for (size_t i = 0; i < learner->params.count; i++) {
        const struct clv_param *param = &learner->params.items[i];
        if (!learner->gradient[i])
            continue;
        const struct clv_adamw adamw = {
            .learning_rate =
                param->temporal ? options->lr * options->lr_temporal_factor : options->lr,
            .beta1 = options->beta1,
            .beta2 = options->beta2,
            .epsilon = options->eps,
            .weight_decay = param->decays ? options->weight_decay : 0,
            .step = learner->step_count,
            .grad_scale = is_clipped ? (float)((double)options->clip_norm / norm) : 1,
        };
        clv_adamw(learner->device, part_tensor(learner, CLV_LEARNER_VALUE, i),
                  part_tensor(learner, CLV_LEARNER_MOMENT_1, i),
                  part_tensor(learner, CLV_LEARNER_MOMENT_2, i),
                  part_tensor(learner, CLV_LEARNER_GRADIENT, i), &adamw);
    }
    return clv_device_sync(learner->device);
}

int clv_learner_step(struct clv_learner *learner, double *norm_out,
                     const struct clv_learner_step_options *options)
{
    double norm;
    int status = clv_learner_measure_norm(learner, &norm);
    if (norm_out)
        *norm_out = norm;
    return status == CLV_OK ? clv_learner_descend(learner, norm, options) : status;
}
