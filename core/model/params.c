/* The generator of the parameter table and the check of a weight file against it. */
#include "core/model/params.h"

#include "core/error.h"
#include "core/model/problems.h"
#include "core/model/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* Appends a tensor of `count` dimensions named prefix + name; returns its index. */
static int add(struct clv_params *params, enum clv_param_branch branch, const char *prefix,
               const char *name, int count, const int64_t *shape)
{
    struct clv_param *param = &params->items[params->count];
    snprintf(param->name, sizeof param->name, "%s%s", prefix, name);
    param->dimension_count = count;
    param->element_count = 1;
    for (int i = 0; i < count; i++) {
        param->shape[i] = shape[i];
        param->element_count *= (size_t)shape[i];
    }
    param->branch = branch;
    /* As the reference trainer decides; the published one also decays the 0-d logit_scale. */
    param->decays = count > 1 && !ends_with(param->name, ".bias") &&
                    !strstr(param->name, "positional_embedding");
    param->temporal = strstr(param->name, "temporal_") != NULL;
    param->trainable = true;
    params->element_count += (int64_t)param->element_count;
    return (int)params->count++;
}

/* The twelve tensors of each of a tower's blocks; returns the index of the first. */
static int add_blocks(struct clv_params *params, const struct clv_tower *tower,
                      enum clv_param_branch branch, const char *tower_name)
{
    const char *t = branch == CLV_BRANCH_TEMPORAL ? "temporal_" : "";
    const int64_t w = tower->width, hidden = tower->mlp_width;
    const struct {
        const char *name;
        int64_t shape[2]; /* the second is 0 for vectors */
    } tensors[CLV_PARAM_BLOCK_COUNT] = {
        [CLV_PARAM_IN_PROJ_WEIGHT] = {"attn.in_proj_weight", {3 * w, w}},
        [CLV_PARAM_IN_PROJ_BIAS] = {"attn.in_proj_bias", {3 * w, 0}},
        [CLV_PARAM_OUT_PROJ_WEIGHT] = {"attn.out_proj.weight", {w, w}},
        [CLV_PARAM_OUT_PROJ_BIAS] = {"attn.out_proj.bias", {w, 0}},
        [CLV_PARAM_LN_1_WEIGHT] = {"ln_1.weight", {w, 0}},
        [CLV_PARAM_LN_1_BIAS] = {"ln_1.bias", {w, 0}},
        [CLV_PARAM_FC_WEIGHT] = {"mlp.c_fc.weight", {hidden, w}},
        [CLV_PARAM_FC_BIAS] = {"mlp.c_fc.bias", {hidden, 0}},
        [CLV_PARAM_PROJ_WEIGHT] = {"mlp.c_proj.weight", {w, hidden}},
        [CLV_PARAM_PROJ_BIAS] = {"mlp.c_proj.bias", {w, 0}},
        [CLV_PARAM_LN_2_WEIGHT] = {"ln_2.weight", {w, 0}},
        [CLV_PARAM_LN_2_BIAS] = {"ln_2.bias", {w, 0}},
    };
    int first = (int)params->count;
    for (int i = 0; i < tower->layer_count; i++)
        for (int k = 0; k < CLV_PARAM_BLOCK_COUNT; k++) {
            char prefix[CLV_PARAM_NAME_SIZE];
            snprintf(prefix, sizeof prefix, "%s.resblocks.%d.%s", tower_name, i, t);
            add(params, branch, prefix, tensors[k].name, tensors[k].shape[1] ? 2 : 1,
                tensors[k].shape);
        }
    return first;
}

static void add_vision(struct clv_params *params, const struct clv_model_config *config)
{
    const int64_t w = config->vision.width, patch = config->patch_side;
    const enum clv_param_branch vision = CLV_BRANCH_VISION;
    int *single = params->single;
    single[CLV_PARAM_CLASS_EMBEDDING] =
        add(params, vision, "visual.", "class_embedding", 1, (int64_t[]){w});
    single[CLV_PARAM_FRAME_POSITION] = add(params, vision, "visual.", "positional_embedding", 2,
                                           (int64_t[]){config->token_count, w});
    single[CLV_PARAM_TEMPORAL_EMBEDDING] = -1;
    if (config->temporal.width)
        single[CLV_PARAM_TEMPORAL_EMBEDDING] =
            add(params, CLV_BRANCH_TEMPORAL, "visual.", "temporal_embedding", 3,
                (int64_t[]){1, config->frame_count, w});
    single[CLV_PARAM_VISION_PROJECTION] =
        add(params, vision, "visual.", "proj", 2, (int64_t[]){w, config->embed_dim});
    single[CLV_PARAM_CONV1] =
        add(params, vision, "visual.", "conv1.weight", 4, (int64_t[]){w, 3, patch, patch});
    single[CLV_PARAM_LN_PRE_WEIGHT] =
        add(params, vision, "visual.", "ln_pre.weight", 1, (int64_t[]){w});
    single[CLV_PARAM_LN_PRE_BIAS] =
        add(params, vision, "visual.", "ln_pre.bias", 1, (int64_t[]){w});
    params->vision_blocks = add_blocks(params, &config->vision, vision, "visual.transformer");
    params->temporal_blocks =
        add_blocks(params, &config->temporal, CLV_BRANCH_TEMPORAL, "visual.transformer_t");
    single[CLV_PARAM_LN_POST_WEIGHT] =
        add(params, vision, "visual.", "ln_post.weight", 1, (int64_t[]){w});
    single[CLV_PARAM_LN_POST_BIAS] =
        add(params, vision, "visual.", "ln_post.bias", 1, (int64_t[]){w});
}

int clv_params_init(struct clv_params *out, const struct clv_model_config *config)
{
    const int64_t w = config->text.width;
    const enum clv_param_branch text = CLV_BRANCH_TEXT;
    size_t layers = (size_t)config->vision.layer_count + (size_t)config->temporal.layer_count +
                    (size_t)config->text.layer_count;
    *out = (struct clv_params){0};
    out->items =
        calloc(layers * CLV_PARAM_BLOCK_COUNT + CLV_PARAM_SINGLE_COUNT, sizeof *out->items);
    if (!out->items)
        return clv_fail_memory("the parameter table");
    int *single = out->single;
    single[CLV_PARAM_POSITION] =
        add(out, text, "", "positional_embedding", 2, (int64_t[]){config->context_length, w});
    single[CLV_PARAM_TEXT_PROJECTION] =
        add(out, text, "", "text_projection", 2, (int64_t[]){w, config->embed_dim});
    single[CLV_PARAM_LOGIT_SCALE] = add(out, text, "", "logit_scale", 0, NULL);
    add_vision(out, config);
    out->text_blocks = add_blocks(out, &config->text, text, "transformer");
    single[CLV_PARAM_TOKEN_EMBEDDING] =
        add(out, text, "", "token_embedding.weight", 2, (int64_t[]){config->vocabulary_size, w});
    single[CLV_PARAM_LN_FINAL_WEIGHT] = add(out, text, "", "ln_final.weight", 1, (int64_t[]){w});
    single[CLV_PARAM_LN_FINAL_BIAS] = add(out, text, "", "ln_final.bias", 1, (int64_t[]){w});
    return CLV_OK;
}

void clv_params_release(struct clv_params *params)
{
    free(params->items);
    *params = (struct clv_params){0};
}

const struct clv_param *clv_params_find(const struct clv_params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->items[i].name, name) == 0)
            return &params->items[i];
    return NULL;
}

const char *clv_shape_text(char *out, size_t size, const int64_t *shape, int count)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRId64, i ? ", " : "", shape[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
    return out;
}

bool clv_param_fits(const struct clv_param *param, const struct clv_weight_entry *entry)
{
    if (param->dimension_count == 0)
        return entry->element_count == 1;
    if (param->dimension_count != entry->dimension_count)
        return false;
    for (int i = 0; i < param->dimension_count; i++)
        if (param->shape[i] != entry->shape[i])
            return false;
    return true;
}

int clv_params_check(const struct clv_params *params, const struct clv_weights *weights,
                     int *ignored_count_out)
{
    struct clv_problems problems = {0};
    size_t found = 0;
    for (size_t i = 0; i < params->count; i++) {
        const struct clv_param *param = &params->items[i];
        const struct clv_weight_entry *entry = clv_weights_find(weights, param->name);
        char got[128], want[96];
        if (!entry) {
            clv_problems_add(&problems, "tensor '%s' is missing", param->name);
            continue;
        }
        found++;
        if (!clv_param_fits(param, entry))
            clv_problems_add(
                &problems, "tensor '%s' has shape %s instead of %s", param->name,
                clv_shape_text(got, sizeof got, entry->shape, entry->dimension_count),
                clv_shape_text(want, sizeof want, param->shape, param->dimension_count));
        else if (entry->dtype > CLV_F64)
            clv_problems_add(&problems, "tensor '%s' holds no floating-point numbers", param->name);
    }
    for (size_t i = 0; i < clv_weights_count(weights); i++)
        found += clv_weights_is_vocabulary(clv_weights_at(weights, i));
    if (ignored_count_out)
        *ignored_count_out = (int)(clv_weights_count(weights) - found);
    return clv_problems_fail(&problems, CLV_ECORRUPT, clv_weights_path(weights));
}
