#include "core/model/initialize.h"

#include "core/model/random.h"

#include <math.h>
#include <string.h>

#define TEMPORAL_STD 0.02 /* trunc_normal_ of claver.md 2.4, cut at 2 */
#define TOKEN_STD 0.02    /* CLIP.initialize_parameters() */
#define TEXT_POSITION_STD 0.01
#define LOGIT_SCALE 2.659260036932778 /* ln(1 / 0.07) */

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), size = strlen(end);
    return length >= size && strcmp(name + length - size, end) == 0;
}

/* FNV-1a: a stream for each name. */
static uint64_t hash(const char *name)
{
    uint64_t value = 0xcbf29ce484222325u;
    for (; *name; name++)
        value = (value ^ (unsigned char)*name) * 0x100000001b3u;
    return value;
}

static void constant(float *out, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        out[i] = value;
}

static void normal(float *out, size_t count, double std, struct clv_random *random)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(std * clv_random_normal(random));
}

static void uniform(float *out, size_t count, double limit, struct clv_random *random)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)clv_random_between(random, -limit, limit);
}

static void truncated(float *out, size_t count, double std, struct clv_random *random)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)clv_random_truncated(random, std, -2, 2);
}

/* Biases of a block's linear layers: attention's are zero in PyTorch, the others uniform by what
 * feeds the layer. */
static void block_bias(float *out, const struct clv_param *param, const struct clv_tower *tower,
                       struct clv_random *random)
{
    if (ends_with(param->name, "c_fc.bias"))
        uniform(out, param->element_count, 1 / sqrt(tower->width), random);
    else if (ends_with(param->name, "c_proj.bias"))
        uniform(out, param->element_count, 1 / sqrt(tower->mlp_width), random);
    else
        constant(out, param->element_count, 0);
}

/* CLIP's text transformer. */
static void text_weight(float *out, const struct clv_param *param, const struct clv_tower *tower,
                        struct clv_random *random)
{
    const double attention = 1 / sqrt(tower->width);
    const bool is_output =
        ends_with(param->name, "out_proj.weight") || ends_with(param->name, "c_proj.weight");
    double std = attention;
    if (is_output)
        std = attention / sqrt(2.0 * tower->layer_count);
    else if (ends_with(param->name, "c_fc.weight"))
        std = attention / sqrt(2);
    normal(out, param->element_count, std, random);
}

/* PyTorch's defaults: Xavier for in_proj, Kaiming with a = sqrt(5) for the rest. */
static void default_weight(float *out, const struct clv_param *param, struct clv_random *random)
{
    const double rows = (double)param->shape[0], cols = (double)param->shape[1];
    const bool is_xavier = ends_with(param->name, "in_proj_weight");
    uniform(out, param->element_count, is_xavier ? sqrt(6 / (rows + cols)) : 1 / sqrt(cols),
            random);
}

static void block_param(float *out, const struct clv_param *param,
                        const struct clv_model_config *config, const struct clv_initialize *how,
                        struct clv_random *random)
{
    const struct clv_tower *tower = param->branch == CLV_BRANCH_TEXT     ? &config->text
                                    : param->branch == CLV_BRANCH_VISION ? &config->vision
                                                                         : &config->temporal;
    const bool is_output = strstr(param->name, "out_proj.") || strstr(param->name, "c_proj.");
    if (strstr(param->name, "ln_1.") || strstr(param->name, "ln_2."))
        constant(out, param->element_count, ends_with(param->name, ".weight") ? 1 : 0);
    else if (param->branch == CLV_BRANCH_TEMPORAL && how->is_identity && is_output)
        constant(out, param->element_count, 0);
    else if (param->dimension_count == 1)
        block_bias(out, param, tower, random);
    else if (param->branch == CLV_BRANCH_TEXT)
        text_weight(out, param, tower, random);
    else
        default_weight(out, param, random);
}

static void single_param(float *out, const struct clv_param *param,
                         const struct clv_model_config *config, const struct clv_initialize *how,
                         struct clv_random *random)
{
    const size_t count = param->element_count;
    const char *name = param->name;
    const double vision = 1 / sqrt(config->vision.width);
    const double embedding = (double)how->embedding_std, temporal = (double)how->temporal_std;
    const double text = (double)how->text_std;
    if (strstr(name, "ln_"))
        constant(out, count, ends_with(name, ".weight") ? 1 : 0);
    else if (strcmp(name, "logit_scale") == 0)
        constant(out, count, (float)LOGIT_SCALE);
    else if (strcmp(name, "visual.temporal_embedding") == 0 && temporal > 0)
        normal(out, count, temporal, random);
    else if (strcmp(name, "visual.temporal_embedding") == 0)
        truncated(out, count, TEMPORAL_STD, random);
    else if (strcmp(name, "visual.positional_embedding") == 0)
        normal(out, count, embedding > 0 ? embedding : vision, random);
    else if (strcmp(name, "positional_embedding") == 0)
        normal(out, count, text > 0 ? text : TEXT_POSITION_STD, random);
    else if (strcmp(name, "token_embedding.weight") == 0)
        normal(out, count, text > 0 ? text : TOKEN_STD, random);
    else if (strcmp(name, "text_projection") == 0)
        normal(out, count, 1 / sqrt(config->text.width), random);
    else if (strcmp(name, "visual.conv1.weight") == 0)
        uniform(out, count, 1 / (sqrt(3) * config->patch_side), random);
    else /* class_embedding and proj */
        normal(out, count, vision, random);
}

void clv_initialize_param(float *out, const struct clv_param *param,
                          const struct clv_model_config *config, const struct clv_initialize *how)
{
    struct clv_random random =
        clv_random_stream(how->seed, CLV_RANDOM_PARAMETERS, hash(param->name), 0);
    if (strstr(param->name, ".resblocks.") || strncmp(param->name, "transformer.", 12) == 0)
        block_param(out, param, config, how, &random);
    else
        single_param(out, param, config, how, &random);
}
