/* Inference of the hyper-parameters, and the one place that checks their ranges. */
#include "core/model/config.h"

#include "core/error.h"
#include "core/model/problems.h"
#include "core/model/weights.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_WIDTH 64
#define FRAME_COUNT_DEFAULT 8
#define DIMENSION_LIMIT (1 << 24)

/* claver.md 2.2 */
static const float clip_mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
static const float clip_std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
static const float imagenet_mean[3] = {0.485f, 0.456f, 0.406f};
static const float imagenet_std[3] = {0.229f, 0.224f, 0.225f};

/* The tensors whose shapes give the config; other tensors are checked against it later. */
enum { CONV1, FRAME_POSITION, TEMPORAL, VISION_PROJ, POSITION, TOKENS, TEXT_PROJ, ROOT_COUNT };
static const struct {
    const char *name;
    int dimension_count;
} roots[ROOT_COUNT] = {
    [CONV1] = {"visual.conv1.weight", 4},
    [FRAME_POSITION] = {"visual.positional_embedding", 2},
    [TEMPORAL] = {"visual.temporal_embedding", 3},
    [VISION_PROJ] = {"visual.proj", 2},
    [POSITION] = {"positional_embedding", 2},
    [TOKENS] = {"token_embedding.weight", 2},
    [TEXT_PROJ] = {"text_projection", 2},
};

/* Fills shapes[root]; a temporal embedding that is not there gives zeros. */
static int read_roots(int shapes[ROOT_COUNT][4], const struct clv_weights *weights, bool has_blocks)
{
    struct clv_problems problems = {0};
    for (int i = 0; i < ROOT_COUNT; i++) {
        const struct clv_weight_entry *entry = clv_weights_find(weights, roots[i].name);
        if (!entry && i == TEMPORAL && !has_blocks)
            continue;
        if (!entry) {
            clv_problems_add(&problems, "tensor '%s' is missing", roots[i].name);
            continue;
        }
        if (entry->dimension_count != roots[i].dimension_count) {
            clv_problems_add(&problems, "tensor '%s' has %d dimensions instead of %d",
                             roots[i].name, entry->dimension_count, roots[i].dimension_count);
            continue;
        }
        for (int k = 0; k < entry->dimension_count; k++) {
            if (entry->shape[k] < 1 || entry->shape[k] > DIMENSION_LIMIT)
                clv_problems_add(&problems, "tensor '%s' has a dimension of %" PRId64,
                                 roots[i].name, entry->shape[k]);
            else
                shapes[i][k] = (int)entry->shape[k];
        }
    }
    return clv_problems_fail(&problems, CLV_ECORRUPT, clv_weights_path(weights));
}

/* One more than the largest block number under `prefix`. */
static int count_blocks(const struct clv_weights *weights, const char *prefix)
{
    size_t prefix_size = strlen(prefix);
    int count = 0;
    for (size_t i = 0; i < clv_weights_count(weights); i++) {
        const char *name = clv_weights_at(weights, i)->name;
        if (strncmp(name, prefix, prefix_size) != 0)
            continue;
        int number = 0;
        const char *at = name + prefix_size;
        for (; *at >= '0' && *at <= '9' && number < DIMENSION_LIMIT; at++)
            number = 10 * number + (*at - '0');
        if (at > name + prefix_size && *at == '.' && number >= count)
            count = number + 1;
    }
    return count;
}

static int contradicts(const struct clv_weights *weights, const char *key, const char *value,
                       const char *what)
{
    return clv_fail(CLV_ECORRUPT, "'%s': metadata %s is '%.60s', but %s", clv_weights_path(weights),
                    key, value, what);
}

/* A positive integer of the metadata, 0 where the key is absent. */
static int read_integer(int *out, const struct clv_weights *weights, const char *key)
{
    const char *text = clv_weights_metadata(weights, key);
    char *end;
    *out = 0;
    if (!text)
        return CLV_OK;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > DIMENSION_LIMIT)
        return contradicts(weights, key, text, "it must be a positive integer");
    *out = (int)value;
    return CLV_OK;
}

/* Metadata that repeats what a shape says must say the same. */
static int check_integer(const struct clv_weights *weights, const char *key, int want)
{
    int value;
    int status = read_integer(&value, weights, key);
    if (status != CLV_OK || value == 0 || value == want)
        return status;
    return clv_fail(CLV_ECORRUPT, "'%s': metadata %s is %d, the tensors say %d",
                    clv_weights_path(weights), key, value, want);
}

static int read_triple(float out[3], const struct clv_weights *weights, const char *key)
{
    const char *text = clv_weights_metadata(weights, key);
    const char *at = text;
    if (!text)
        return CLV_OK;
    for (int i = 0; i < 3; i++) {
        char *end;
        double value = strtod(at, &end);
        if (end == at || !isfinite(value))
            return contradicts(weights, key, text, "it must be three numbers and commas");
        out[i] = (float)value;
        end += strspn(end, " ");
        if (*end != (i < 2 ? ',' : '\0'))
            return contradicts(weights, key, text, "it must be three numbers and commas");
        at = end + 1;
    }
    return CLV_OK;
}

static int read_mask(struct clv_model_config *config, const struct clv_weights *weights)
{
    const char *text = clv_weights_metadata(weights, "mask");
    bool is_temporal = config->temporal.width != 0;
    config->mask = is_temporal ? CLV_MASK_KMT : CLV_MASK_NONE;
    if (!text)
        return CLV_OK;
    if (strcasecmp(text, "none") == 0 && !is_temporal)
        return CLV_OK;
    if (!is_temporal)
        return contradicts(weights, "mask", text, "the model has no temporal branch");
    if (strcasecmp(text, "KMCT") == 0)
        config->mask = CLV_MASK_KMCT;
    else if (strcasecmp(text, "joint") == 0)
        config->mask = CLV_MASK_NONE;
    else if (strcasecmp(text, "KMT") != 0)
        return contradicts(weights, "mask", text, "it must be KMT or KMCT, or joint");
    return CLV_OK;
}

static int read_pixels(struct clv_model_config *config, const struct clv_weights *weights)
{
    bool is_temporal = config->temporal.width != 0;
    const char *text = clv_weights_metadata(weights, "resize");
    memcpy(config->pixel_mean, is_temporal ? imagenet_mean : clip_mean, sizeof clip_mean);
    memcpy(config->pixel_std, is_temporal ? imagenet_std : clip_std, sizeof clip_std);
    config->resize = is_temporal ? CLV_RESIZE_BILINEAR_256 : CLV_RESIZE_BICUBIC_ANTIALIAS;
    if (text && strcmp(text, "bicubic") == 0)
        config->resize = CLV_RESIZE_BICUBIC_ANTIALIAS;
    else if (text && strcmp(text, "bilinear") == 0)
        config->resize = CLV_RESIZE_BILINEAR_256;
    else if (text)
        return contradicts(weights, "resize", text, "it must be bicubic or bilinear");
    int status = read_triple(config->pixel_mean, weights, "pixel_mean");
    return status == CLV_OK ? read_triple(config->pixel_std, weights, "pixel_std") : status;
}

static int read_activation(struct clv_model_config *config, const struct clv_weights *weights)
{
    const char *text = clv_weights_metadata(weights, "activation");
    config->activation = CLV_ACTIVATION_QUICK_GELU;
    if (text && strcmp(text, "gelu") == 0)
        config->activation = CLV_ACTIVATION_GELU;
    else if (text && strcmp(text, "quick_gelu") != 0)
        return contradicts(weights, "activation", text, "it must be quick_gelu or gelu");
    return CLV_OK;
}

/* Every CLIP ViT has heads of 64 columns; narrower towers have one. */
static int read_heads(struct clv_tower *tower, const struct clv_weights *weights, const char *key)
{
    int status = read_integer(&tower->head_count, weights, key);
    if (status != CLV_OK)
        return status;
    if (tower->head_count == 0 && tower->width > HEAD_WIDTH && tower->width % HEAD_WIDTH)
        return clv_fail(
            CLV_EUNSUPPORTED,
            "'%s': width %d is no multiple of %d, and metadata %s does not say how many "
            "heads it has",
            clv_weights_path(weights), tower->width, HEAD_WIDTH, key);
    if (tower->head_count == 0)
        tower->head_count = tower->width < HEAD_WIDTH ? 1 : tower->width / HEAD_WIDTH;
    if (tower->width % tower->head_count)
        return clv_fail(CLV_ECORRUPT, "'%s': metadata %s is %d, which does not divide the width %d",
                        clv_weights_path(weights), key, tower->head_count, tower->width);
    return CLV_OK;
}

/* As wide as the first block's c_fc makes it; that all blocks agree is for clv_params_check(). */
static int read_mlp(struct clv_tower *tower, const struct clv_weights *weights,
                    const char *first_block)
{
    char name[96];
    snprintf(name, sizeof name, "%smlp.c_fc.weight", first_block);
    const struct clv_weight_entry *entry = clv_weights_find(weights, name);
    tower->mlp_width = 4 * tower->width;
    if (tower->layer_count == 0 || !entry || entry->dimension_count != 2)
        return CLV_OK;
    if (entry->shape[0] < 1 || entry->shape[0] > DIMENSION_LIMIT)
        return clv_fail(CLV_ECORRUPT, "'%s': tensor '%s' has a dimension of %" PRId64,
                        clv_weights_path(weights), name, entry->shape[0]);
    tower->mlp_width = (int)entry->shape[0];
    return CLV_OK;
}

static int read_mlps(struct clv_model_config *config, const struct clv_weights *weights)
{
    int status = read_mlp(&config->vision, weights, "visual.transformer.resblocks.0.");
    if (status == CLV_OK && config->temporal.width)
        status = read_mlp(&config->temporal, weights, "visual.transformer_t.resblocks.0.temporal_");
    if (status == CLV_OK)
        status = read_mlp(&config->text, weights, "transformer.resblocks.0.");
    return status;
}

static int read_frame_count(struct clv_model_config *config, const struct clv_weights *weights,
                            int temporal_count)
{
    if (temporal_count) {
        config->frame_count = temporal_count;
        return check_integer(weights, "T", temporal_count);
    }
    int status = read_integer(&config->frame_count, weights, "T");
    if (config->frame_count == 0)
        config->frame_count = FRAME_COUNT_DEFAULT;
    return status;
}

static int read_logit_scale(struct clv_model_config *config, const struct clv_weights *weights)
{
    const struct clv_weight_entry *entry = clv_weights_find(weights, "logit_scale");
    if (!entry || entry->element_count != 1 || entry->dtype > CLV_F64)
        return clv_fail(CLV_ECORRUPT, "'%s': tensor 'logit_scale' is %s", clv_weights_path(weights),
                        entry ? "not one number" : "missing");
    return clv_weights_read(&config->logit_scale, entry);
}

/* R, patch and L from the shapes of conv1 and the frame's positions. */
static int read_image(struct clv_model_config *config, const struct clv_weights *weights,
                      const int *conv1, const int *position)
{
    if (conv1[1] != 3 || conv1[2] != conv1[3])
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor 'visual.conv1.weight' takes %d channels in patches of %dx%d "
                        "instead of 3 in squares",
                        clv_weights_path(weights), conv1[1], conv1[2], conv1[3]);
    int patch_count = position[0] - 1;
    int grid = (int)lround(sqrt((double)patch_count));
    if (patch_count < 1 || grid * grid != patch_count)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor 'visual.positional_embedding' has %d rows, which is not a "
                        "square and one",
                        clv_weights_path(weights), position[0]);
    config->patch_side = conv1[2];
    config->token_count = position[0];
    if ((int64_t)grid * conv1[2] > DIMENSION_LIMIT)
        return clv_fail(CLV_ECORRUPT, "'%s': %d patches of %d pixels make no picture",
                        clv_weights_path(weights), grid, conv1[2]);
    config->image_side = grid * conv1[2];
    int status = check_integer(weights, "patch", config->patch_side);
    return status == CLV_OK ? check_integer(weights, "resolution", config->image_side) : status;
}

int clv_config_infer(struct clv_model_config *out, const struct clv_weights *weights)
{
    int shapes[ROOT_COUNT][4] = {0};
    struct clv_model_config config = {0};
    config.vision.layer_count = count_blocks(weights, "visual.transformer.resblocks.");
    config.temporal.layer_count = count_blocks(weights, "visual.transformer_t.resblocks.");
    config.text.layer_count = count_blocks(weights, "transformer.resblocks.");
    int status = read_roots(shapes, weights, config.temporal.layer_count > 0);
    if (status != CLV_OK)
        return status;
    config.vision.width = shapes[CONV1][0];
    config.text.width = shapes[TOKENS][1];
    config.embed_dim = shapes[TEXT_PROJ][1];
    config.context_length = shapes[POSITION][0];
    config.vocabulary_size = shapes[TOKENS][0];
    if (shapes[TEMPORAL][1])
        config.temporal.width = config.vision.width;
    status = read_image(&config, weights, shapes[CONV1], shapes[FRAME_POSITION]);
    if (status == CLV_OK)
        status = read_heads(&config.vision, weights, "vision_heads");
    if (status == CLV_OK)
        status = read_heads(&config.text, weights, "text_heads");
    if (config.temporal.width)
        config.temporal.head_count = config.vision.head_count;
    if (status == CLV_OK)
        status = read_mlps(&config, weights);
    if (status == CLV_OK)
        status = read_frame_count(&config, weights, shapes[TEMPORAL][1]);
    if (status == CLV_OK)
        status = read_mask(&config, weights);
    if (status == CLV_OK)
        status = read_pixels(&config, weights);
    if (status == CLV_OK)
        status = read_activation(&config, weights);
    if (status == CLV_OK)
        status = read_logit_scale(&config, weights);
    if (status != CLV_OK)
        return status;
    if (clv_config_check(&config) != CLV_OK)
        return clv_fail(CLV_ECORRUPT, "'%s': %s", clv_weights_path(weights), clv_error_message());
    *out = config;
    return CLV_OK;
}

int clv_config_set_frame_count(struct clv_model_config *config, int frame_count)
{
    if (frame_count == 0 || frame_count == config->frame_count)
        return CLV_OK;
    if (config->temporal.width)
        return clv_fail(CLV_EINVAL, "the model takes %d frames a window, not %d",
                        config->frame_count, frame_count);
    config->frame_count = frame_count;
    return CLV_OK;
}

static int check_tower(const struct clv_tower *tower, const char *name)
{
    if (tower->layer_count < 0 || tower->layer_count > 256)
        return clv_fail(CLV_EINVAL, "the %s tower has %d layers, at most 256 are possible", name,
                        tower->layer_count);
    if (tower->width < 1 || tower->width > 1 << 15)
        return clv_fail(CLV_EINVAL, "the %s tower is %d wide, 1 to %d are possible", name,
                        tower->width, 1 << 15);
    if (tower->head_count < 1 || tower->width % tower->head_count)
        return clv_fail(CLV_EINVAL, "the %s tower has %d heads for a width of %d", name,
                        tower->head_count, tower->width);
    if (tower->mlp_width < 1 || tower->mlp_width > 1 << 17)
        return clv_fail(CLV_EINVAL, "the %s tower's MLP is %d wide, 1 to %d are possible", name,
                        tower->mlp_width, 1 << 17);
    return CLV_OK;
}

static int check_range(const char *what, int value, int largest)
{
    if (value >= 1 && value <= largest)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "the model's %s is %d, 1 to %d are possible", what, value, largest);
}

int clv_config_check(const struct clv_model_config *config)
{
    const struct {
        const char *what;
        int value, largest;
    } ranges[] = {
        {"embedding size", config->embed_dim, 1 << 15},
        {"image side", config->image_side, 1 << 13},
        {"patch side", config->patch_side, 1 << 10},
        {"number of tokens a frame", config->token_count, 1 << 16},
        {"number of frames", config->frame_count, 1 << 12},
        {"context length", config->context_length, 1 << 16},
        {"vocabulary size", config->vocabulary_size, 1 << 24},
    };
    int status = CLV_OK;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && status == CLV_OK; i++)
        status = check_range(ranges[i].what, ranges[i].value, ranges[i].largest);
    if (status == CLV_OK)
        status = check_tower(&config->vision, "vision");
    if (status == CLV_OK && config->temporal.width)
        status = check_tower(&config->temporal, "temporal");
    if (status == CLV_OK)
        status = check_tower(&config->text, "text");
    if (status != CLV_OK)
        return status;
    int grid = config->image_side / config->patch_side;
    if (grid * config->patch_side != config->image_side || grid * grid + 1 != config->token_count)
        return clv_fail(CLV_EINVAL, "%d tokens a frame do not come of %d pixels in patches of %d",
                        config->token_count, config->image_side, config->patch_side);
    if ((int64_t)config->frame_count * config->token_count > 1 << 20)
        return clv_fail(CLV_EINVAL, "%d frames of %d tokens are more than a window can hold",
                        config->frame_count, config->token_count);
    if (config->temporal.width && config->temporal.width != config->vision.width)
        return clv_fail(CLV_EINVAL, "the temporal tower is %d wide, the vision tower %d",
                        config->temporal.width, config->vision.width);
    if (config->temporal.layer_count && !config->temporal.width)
        return clv_fail(CLV_EINVAL, "the temporal tower has layers but no width");
    if (config->mask == CLV_MASK_CAUSAL ||
        (config->mask != CLV_MASK_NONE && config->temporal.width == 0))
        return clv_fail(CLV_EINVAL, "the mask does not fit the temporal branch");
    for (int i = 0; i < 3; i++)
        if (!(config->pixel_std[i] > 0) || !isfinite(config->pixel_mean[i]))
            return clv_fail(CLV_EINVAL, "pixel mean %g and deviation %g are not usable",
                            (double)config->pixel_mean[i], (double)config->pixel_std[i]);
    if (!isfinite(config->logit_scale))
        return clv_fail(CLV_EINVAL, "the logit scale is no finite number");
    return CLV_OK;
}

const char *clv_config_mask_name(const struct clv_model_config *config)
{
    switch (config->mask) {
    case CLV_MASK_KMT:
        return "KMT";
    case CLV_MASK_KMCT:
        return "KMCT";
    default:
        return config->temporal.width ? "joint" : "none";
    }
}
