#include "tests/model/random_model.h"

#include "core/error.h"
#include "core/half.h"
#include "core/model/params.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define METADATA_MAX 16

void random_model_complete(struct clv_model_config *config)
{
    int grid = config->image_side / config->patch_side;
    struct clv_tower *towers[] = {&config->vision, &config->temporal, &config->text};
    for (int i = 0; i < 3; i++)
        if (towers[i]->mlp_width == 0)
            towers[i]->mlp_width = 4 * towers[i]->width;
    config->token_count = grid * grid + 1;
    config->logit_scale = 2.6593f;
    for (int i = 0; i < 3; i++)
        config->pixel_mean[i] = config->pixel_std[i] = 0.5f;
}

bool random_model_arch(struct clv_model_config *out, const char *name, int frame_count,
                       enum clv_mask mask, bool is_clip)
{
    static const struct {
        const char *name;
        int patch, side, width, layers, embed, text_width, text_layers, vocabulary;
    } archs[] = {
        {"vit-b-32", 32, 224, 768, 12, 512, 512, 12, 49408},
        {"vit-b-16", 16, 224, 768, 12, 512, 512, 12, 49408},
        {"vit-l-14", 14, 224, 1024, 24, 768, 768, 12, 49408},
        {"tiny", 16, 64, 128, 3, 64, 64, 2, 514},
    };
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++) {
        if (strcmp(name, archs[i].name) != 0)
            continue;
        *out = (struct clv_model_config){
            .vision = {archs[i].width, archs[i].layers, archs[i].width / 64, 0},
            .text = {archs[i].text_width, archs[i].text_layers, archs[i].text_width / 64, 0},
            .embed_dim = archs[i].embed,
            .image_side = archs[i].side,
            .patch_side = archs[i].patch,
            .frame_count = frame_count,
            .context_length = 77,
            .vocabulary_size = archs[i].vocabulary,
            .mask = is_clip ? CLV_MASK_NONE : mask,
            .activation = CLV_ACTIVATION_QUICK_GELU,
        };
        if (!is_clip) {
            out->temporal = out->vision;
            out->temporal.layer_count = archs[i].layers / 3;
        }
        random_model_complete(out);
        return true;
    }
    return false;
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Near normal, deviation 1: the sum of four uniform 16-bit numbers. */
static float normal(uint64_t *state)
{
    uint64_t bits = next(state);
    int sum = -131070;
    for (int i = 0; i < 4; i++)
        sum += (int)(bits >> (16 * i) & 0xffff);
    return (float)sum / 37837.0f;
}

/* Scales that keep a deep random model alive and its attention selective. */
static void scale_of(float *mean, float *scale, const struct clv_param *param)
{
    const char *name = param->name;
    *mean = strstr(name, "ln_") && strstr(name, ".weight") ? 1.0f : 0.0f;
    *scale = 0.05f;
    if (strcmp(name, "logit_scale") == 0)
        *mean = 2.6593f, *scale = 0;
    else if (strstr(name, "temporal_embedding"))
        *scale = 0.2f;
    else if (strstr(name, "conv1"))
        *scale = 1.0f / sqrtf((float)(3 * param->shape[2] * param->shape[3]));
    else if (strcmp(name, "visual.proj") == 0 || strcmp(name, "text_projection") == 0)
        *scale = 1.0f / sqrtf((float)param->shape[0]);
    else if (param->dimension_count == 2 && strstr(name, "resblocks"))
        *scale = 1.5f / sqrtf((float)param->shape[1]);
}

/* `count` numbers of the parameter's distribution, as `dtype`. */
static void fill(unsigned char *out, const struct clv_param *param, size_t count,
                 enum clv_dtype dtype, uint64_t *state)
{
    float mean, scale;
    scale_of(&mean, &scale, param);
    for (size_t i = 0; i < count; i++) {
        float value = mean + scale * normal(state);
        uint32_t bits;
        uint16_t half;
        memcpy(&bits, &value, sizeof bits);
        switch (dtype) {
        case CLV_F16:
            half = clv_half_from_float(value);
            memcpy(out + 2 * i, &half, sizeof half);
            break;
        case CLV_BF16: /* to nearest, ties to even */
            half = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
            memcpy(out + 2 * i, &half, sizeof half);
            break;
        default:
            memcpy(out + 4 * i, &value, sizeof value);
            break;
        }
    }
}

/* The entries of the file, data sizes set; returns how many. */
static size_t describe(struct clv_weight_entry *entries, const struct clv_param **of,
                       const struct clv_params *params, const struct random_model_options *options)
{
    size_t count = 0, element_bytes = options->dtype == CLV_F32 ? 4 : 2;
    if (options->is_unaligned)
        entries[count++] = (struct clv_weight_entry){.name = "one_byte",
                                                     .dtype = CLV_U8,
                                                     .dimension_count = 1,
                                                     .shape = {1},
                                                     .element_count = 1,
                                                     .size_bytes = 1};
    for (size_t i = 0; i < params->count; i++) {
        const struct clv_param *param = &params->items[i];
        struct clv_weight_entry *entry = &entries[count];
        if (options->missing && strcmp(options->missing, param->name) == 0)
            continue;
        *entry = (struct clv_weight_entry){.name = param->name,
                                           .dtype = options->dtype,
                                           .dimension_count = param->dimension_count};
        for (int k = 0; k < param->dimension_count; k++)
            entry->shape[k] = param->shape[k];
        if (options->reshaped && strcmp(options->reshaped, param->name) == 0)
            entry->shape[0]++;
        entry->element_count = 1;
        for (int k = 0; k < param->dimension_count; k++)
            entry->element_count *= (size_t)entry->shape[k];
        entry->size_bytes = entry->element_count * element_bytes;
        of[count++] = param;
    }
    return count;
}

/* What clv_config_infer() takes where the metadata does not say; 0: nothing. */
static int usual_heads(int width)
{
    return width < 64 ? 1 : width % 64 ? 0 : width / 64;
}

static size_t list_metadata(struct clv_weight_metadata out[METADATA_MAX], char text[5][16],
                            const struct clv_model_config *config,
                            const struct random_model_options *options)
{
    size_t count = 0;
    for (; count < options->metadata_count; count++)
        out[count] = options->metadata[count];
    if (count)
        return count;
    snprintf(text[0], 16, "%d", config->frame_count);
    snprintf(text[1], 16, "%d", config->patch_side);
    snprintf(text[2], 16, "%d", config->image_side);
    snprintf(text[3], 16, "%d", config->vision.head_count);
    snprintf(text[4], 16, "%d", config->text.head_count);
    out[count++] = (struct clv_weight_metadata){"T", text[0]};
    out[count++] = (struct clv_weight_metadata){"patch", text[1]};
    out[count++] = (struct clv_weight_metadata){"resolution", text[2]};
    if (config->temporal.width)
        out[count++] = (struct clv_weight_metadata){"mask", clv_config_mask_name(config)};
    if (config->activation == CLV_ACTIVATION_GELU)
        out[count++] = (struct clv_weight_metadata){"activation", "gelu"};
    if (config->vision.head_count != usual_heads(config->vision.width))
        out[count++] = (struct clv_weight_metadata){"vision_heads", text[3]};
    if (config->text.head_count != usual_heads(config->text.width))
        out[count++] = (struct clv_weight_metadata){"text_heads", text[4]};
    return count;
}

/* A file with the header of `entries` and zeros that take no space. */
static int write_hollow(const char *path, const struct clv_weight_entry *entries, size_t count,
                        const struct clv_weight_metadata *metadata, size_t metadata_count)
{
    struct clv_weights *weights = NULL;
    char header[1 << 17];
    size_t used = 8, offset = 0;
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(header + used, sizeof header - used,
                                 "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? ',' : '{',
                                 entries[i].name, entries[i].dtype == CLV_F32 ? "F32" : "F16");
        for (int k = 0; k < entries[i].dimension_count; k++)
            used += (size_t)snprintf(header + used, sizeof header - used, "%s%" PRId64,
                                     k ? "," : "", entries[i].shape[k]);
        used +=
            (size_t)snprintf(header + used, sizeof header - used, "],\"data_offsets\":[%zu,%zu]}",
                             offset, offset + entries[i].size_bytes);
        offset += entries[i].size_bytes;
    }
    used += (size_t)snprintf(header + used, sizeof header - used, ",\"__metadata__\":{");
    for (size_t i = 0; i < metadata_count; i++)
        used += (size_t)snprintf(header + used, sizeof header - used, "%s\"%s\":\"%s\"",
                                 i ? "," : "", metadata[i].key, metadata[i].value);
    used += (size_t)snprintf(header + used, sizeof header - used, "}}");
    for (int i = 0; i < 8; i++)
        header[i] = (char)((used - 8) >> (8 * i));
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, header, used) != (ssize_t)used ||
        ftruncate(file, (off_t)(used + offset)) != 0) {
        if (file >= 0)
            close(file);
        return clv_fail_errno("cannot write '%s'", path);
    }
    close(file);
    int status = clv_weights_open(&weights, path);
    clv_weights_close(weights);
    return status;
}

int random_model_write(const char *path, const struct clv_model_config *config,
                       const struct random_model_options *options)
{
    struct clv_params params = {0};
    struct clv_weight_entry *entries = NULL;
    const struct clv_param **of = NULL;
    struct clv_weight_metadata metadata[METADATA_MAX];
    char text[5][16];
    unsigned char *data = NULL;
    size_t count = 0, total = 0;
    int status = clv_params_init(&params, config);
    if (status != CLV_OK)
        return status;
    entries = calloc(params.count + 1, sizeof *entries);
    of = calloc(params.count + 1, sizeof *of);
    if (!entries || !of) {
        status = clv_fail_memory("a random model");
        goto done;
    }
    count = describe(entries, of, &params, options);
    size_t metadata_count = list_metadata(metadata, text, config, options);
    if (options->is_hollow) {
        status = write_hollow(path, entries, count, metadata, metadata_count);
        goto done;
    }
    for (size_t i = 0; i < count; i++)
        total += entries[i].size_bytes;
    data = calloc(total + 1, 1);
    if (!data) {
        status = clv_fail_memory("a random model");
        goto done;
    }
    uint64_t state = options->seed;
    for (size_t i = 0, at = 0; i < count; at += entries[i].size_bytes, i++) {
        entries[i].data = data + at;
        if (of[i])
            fill(data + at, of[i], entries[i].element_count, options->dtype, &state);
    }
    status = clv_weights_save(path, entries, count, metadata, metadata_count);
done:
    clv_params_release(&params);
    free(entries);
    free(of);
    free(data);
    return status;
}
