/* What can be said of a model: counts, types, and the exact work of its passes. */
#include "core/model/model.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/params.h"
#include "core/model/weights.h"

#include <string.h>

/* Multiply-adds of `count` blocks of width w in which every row attends to `pairs / rows` keys on
 * average; the last block computes `last_rows` of its rows, which see `last_pairs` keys in all. */
static double blocks_macs(const struct clv_tower *tower, double rows, double pairs,
                          double last_rows, double last_pairs)
{
    const double w = tower->width, mlp = 2 * w * tower->mlp_width;
    if (tower->layer_count == 0)
        return 0;
    const double full = rows * (4 * w * w + mlp) + 2 * pairs * w;
    const double last = rows * 2 * w * w + last_rows * (2 * w * w + mlp) + 2 * last_pairs * w;
    return (tower->layer_count - 1) * full + last;
}

static double frame_macs(const struct clv_model_config *config)
{
    const double tokens = config->token_count, patch = config->patch_side;
    const double last = config->temporal.layer_count ? tokens : 1;
    return (tokens - 1) * 3 * patch * patch * config->vision.width +
           blocks_macs(&config->vision, tokens, tokens * tokens, last, last * tokens);
}

static double window_macs(const struct clv_model_config *config)
{
    const double frames = config->frame_count, tokens = config->token_count;
    /* Keys of one token of each frame, summed over the frames (claver.md 1.2). */
    double keys = 0;
    for (int t = 0; t < config->frame_count; t++)
        keys += config->mask == CLV_MASK_NONE
                    ? frames * tokens
                    : 1 + (config->mask == CLV_MASK_KMCT ? t : frames - 1) * tokens;
    return blocks_macs(&config->temporal, frames * tokens, tokens * keys, frames, keys) +
           frames * config->vision.width * config->embed_dim;
}

static double text_macs(const struct clv_model_config *config)
{
    const double rows = config->context_length;
    return blocks_macs(&config->text, rows, rows * (rows + 1) / 2, 1, rows) +
           (double)config->text.width * config->embed_dim;
}

static const char *dtype_text(const struct clv_params *params, const struct clv_weights *weights)
{
    static const char *const names[] = {
        [CLV_F32] = "f32", [CLV_F16] = "f16", [CLV_BF16] = "bf16", [CLV_F64] = "f64"};
    const char *found = NULL;
    for (size_t i = 0; i < params->count; i++) {
        const struct clv_weight_entry *entry = clv_weights_find(weights, params->items[i].name);
        const char *name = entry && entry->dtype <= CLV_F64 ? names[entry->dtype] : NULL;
        if (found && name != found)
            return "mixed";
        found = name;
    }
    return found ? found : "mixed";
}

static void count_params(struct clv_model_facts *out, const struct clv_params *params)
{
    int64_t *const counts[] = {[CLV_BRANCH_VISION] = &out->vision_parameter_count,
                               [CLV_BRANCH_TEMPORAL] = &out->temporal_parameter_count,
                               [CLV_BRANCH_TEXT] = &out->text_parameter_count};
    for (size_t i = 0; i < params->count; i++)
        *counts[params->items[i].branch] += (int64_t)params->items[i].element_count;
    out->parameter_count = params->element_count;
    out->tensor_count = (int)params->count;
}

int clv_model_facts(struct clv_model_facts *out, const struct clv_model *model)
{
    const struct clv_model_config *config = &model->config;
    struct clv_params params;
    struct clv_file_facts file = {0};
    *out = (struct clv_model_facts){0};
    int status = clv_params_init(&params, config);
    if (status == CLV_OK)
        status = clv_params_check(&params, model->weights, &out->ignored_tensor_count);
    if (status == CLV_OK) {
        /* What was imported is another file than the one that was named. */
        bool is_named = model->path && !model->is_builtin;
        status = is_named ? clv_file_facts(&file, model->path) : CLV_OK;
        out->file_bytes =
            is_named ? file.size_bytes : (int64_t)clv_weights_file_bytes(model->weights);
    }
    if (status == CLV_OK) {
        count_params(out, &params);
        out->dtype = dtype_text(&params, model->weights);
        out->mask = clv_config_mask_name(config);
        out->resize = config->resize == CLV_RESIZE_BILINEAR_256 ? "bilinear" : "bicubic";
        out->activation = config->activation == CLV_ACTIVATION_GELU ? "gelu" : "quick_gelu";
        out->tokenizer_size = model->tokenizer ? clv_tokenizer_size(model->tokenizer) : 0;
        out->frame_gmacs = 1e-9 * frame_macs(config);
        out->window_gmacs = 1e-9 * window_macs(config);
        out->text_gmacs = 1e-9 * text_macs(config);
        clv_digest_text(out->digest_text, model->digest);
    }
    clv_params_release(&params);
    return status;
}
