/* Creation of an encoder (weights onto the device, memory laid out), and the three passes. */
#include "core/model/encoder.h"

#include "core/error.h"
#include "core/model/blocks.h"
#include "core/model/params.h"
#include "core/model/weights.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BATCH_DEFAULT 8
#define TEXT_BATCH_CONTEXTS 8
#define CONVERT_CHUNK 65536

/* Parts of the one activation buffer. */
enum part {
    PART_STREAM,
    PART_NORMED,
    PART_MIXED,
    PART_WIDE,
    PART_PIXELS,
    PART_FEATURES,
    PART_VECTORS,
    PART_SLOTS,
    PART_COUNT,
};

struct clv_encoder {
    struct clv_device *device;
    struct clv_model_config config;
    struct clv_encoder_options options; /* defaults filled in */
    int slot_token_count;
    struct clv_params params;
    const float **param; /* device address by index of the table; NULL where not loaded */
    struct clv_buffer *converted;
    struct clv_buffer *activations;
    float *part[PART_COUNT];
    struct clv_block *vision, *temporal, *text;
    struct clv_weight conv1, vision_projection, text_projection;
    int32_t *starts;  /* host scratch: rows of the sequences of a pass */
    int32_t *queries; /* host scratch: the rows the last block computes */
};

const struct clv_model_config *clv_encoder_config(const struct clv_encoder *encoder)
{
    return &encoder->config;
}

int clv_encoder_slot_count(const struct clv_encoder *encoder)
{
    return encoder->options.slot_count;
}

int clv_encoder_slot_token_count(const struct clv_encoder *encoder)
{
    return encoder->slot_token_count;
}

/* ---- weights --------------------------------------------------------------------------------- */

static bool is_wanted(const struct clv_encoder *encoder, const struct clv_param *param)
{
    return param->branch == CLV_BRANCH_TEXT ? !encoder->options.no_text
                                            : !encoder->options.no_vision;
}

/* F32 data that are aligned are used where they lie, if the device can. */
static const float *borrow(struct clv_encoder *encoder, const struct clv_weight_entry *entry)
{
    if (entry->dtype != CLV_F32 || (uintptr_t)entry->data % _Alignof(float))
        return NULL;
    return clv_device_borrow(encoder->device, entry->data);
}

static size_t padded(size_t count)
{
    return (count + 15) / 16 * 16;
}

/* Converts a tensor into device memory, piece by piece through `chunk`. */
static int convert(struct clv_encoder *encoder, float *target, const struct clv_weight_entry *entry,
                   float *chunk)
{
    size_t element_bytes = entry->size_bytes / entry->element_count;
    for (size_t at = 0; at < entry->element_count; at += CONVERT_CHUNK) {
        struct clv_weight_entry piece = *entry;
        piece.element_count =
            entry->element_count - at < CONVERT_CHUNK ? entry->element_count - at : CONVERT_CHUNK;
        piece.data = (const unsigned char *)entry->data + at * element_bytes;
        piece.size_bytes = piece.element_count * element_bytes;
        int status = clv_weights_read(chunk, &piece);
        if (status != CLV_OK)
            return status;
        clv_device_write(encoder->device, target + at, chunk, piece.element_count * sizeof *chunk);
    }
    return CLV_OK;
}

static int load_params(struct clv_encoder *encoder, const struct clv_weights *weights)
{
    const struct clv_params *params = &encoder->params;
    size_t converted_count = 0, at = 0;
    encoder->param = calloc(params->count + 1, sizeof *encoder->param);
    float *chunk = malloc(CONVERT_CHUNK * sizeof *chunk);
    int status = encoder->param && chunk ? CLV_OK : clv_fail_memory("the encoder's weights");
    for (size_t i = 0; i < params->count && status == CLV_OK; i++) {
        if (!is_wanted(encoder, &params->items[i]))
            continue;
        const struct clv_weight_entry *entry = clv_weights_find(weights, params->items[i].name);
        encoder->param[i] = borrow(encoder, entry);
        if (!encoder->param[i])
            converted_count += padded(entry->element_count);
    }
    if (status == CLV_OK && converted_count)
        status = clv_buffer_create(&encoder->converted, encoder->device,
                                   converted_count * sizeof(float));
    for (size_t i = 0; i < params->count && status == CLV_OK; i++) {
        if (!is_wanted(encoder, &params->items[i]) || encoder->param[i])
            continue;
        const struct clv_weight_entry *entry = clv_weights_find(weights, params->items[i].name);
        float *target = (float *)clv_buffer_data(encoder->converted) + at;
        status = convert(encoder, target, entry, chunk);
        encoder->param[i] = target;
        at += padded(entry->element_count);
    }
    free(chunk);
    return status;
}

static const float *single(const struct clv_encoder *encoder, enum clv_param_single which)
{
    int index = encoder->params.single[which];
    return index < 0 ? NULL : encoder->param[index];
}

/* Prepares the blocks of a tower, whose tensors begin at `first` of the table. */
static int prepare_tower(struct clv_block **out, struct clv_encoder *encoder,
                         const struct clv_tower *tower, int first)
{
    if (tower->layer_count == 0)
        return CLV_OK;
    struct clv_block *blocks = calloc((size_t)tower->layer_count, sizeof *blocks);
    *out = blocks;
    if (!blocks)
        return clv_fail_memory("the encoder's blocks");
    for (int i = 0; i < tower->layer_count; i++) {
        memcpy(blocks[i].param, &encoder->param[first + i * CLV_PARAM_BLOCK_COUNT],
               sizeof blocks[i].param);
        clv_block_prepare(&blocks[i], encoder->device, tower, i == tower->layer_count - 1);
    }
    return CLV_OK;
}

static int prepare_weights(struct clv_encoder *encoder)
{
    const struct clv_model_config *config = &encoder->config;
    int status = CLV_OK;
    if (!encoder->options.no_vision) {
        clv_weight_prepare(encoder->device, &encoder->conv1,
                           clv_tensor((float *)single(encoder, CLV_PARAM_CONV1),
                                      config->vision.width,
                                      3 * config->patch_side * config->patch_side),
                           CLV_WEIGHT_OUT_IN);
        clv_weight_prepare(encoder->device, &encoder->vision_projection,
                           clv_tensor((float *)single(encoder, CLV_PARAM_VISION_PROJECTION),
                                      config->vision.width, config->embed_dim),
                           CLV_WEIGHT_IN_OUT);
        status = prepare_tower(&encoder->vision, encoder, &config->vision,
                               encoder->params.vision_blocks);
        if (status == CLV_OK)
            status = prepare_tower(&encoder->temporal, encoder, &config->temporal,
                                   encoder->params.temporal_blocks);
    }
    if (!encoder->options.no_text && status == CLV_OK) {
        clv_weight_prepare(encoder->device, &encoder->text_projection,
                           clv_tensor((float *)single(encoder, CLV_PARAM_TEXT_PROJECTION),
                                      config->text.width, config->embed_dim),
                           CLV_WEIGHT_IN_OUT);
        status = prepare_tower(&encoder->text, encoder, &config->text, encoder->params.text_blocks);
    }
    return status;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The one table of the activation buffer: numbers each part holds. Every factor is bounded by
 * clv_config_check() and check_options(), so that products of three fit 64 bits. */
static void measure_parts(size_t counts[PART_COUNT], size_t *row_max,
                          const struct clv_encoder *encoder)
{
    const struct clv_model_config *config = &encoder->config;
    const struct clv_encoder_options *options = &encoder->options;
    const size_t width = (size_t)config->vision.width, text_width = (size_t)config->text.width;
    const size_t embed = (size_t)config->embed_dim;
    memset(counts, 0, PART_COUNT * sizeof *counts);
    *row_max = 0;
    if (!options->no_vision) {
        const size_t frames = (size_t)options->frame_batch_max;
        const size_t windows = (size_t)options->window_batch_max * (size_t)config->frame_count;
        const size_t tokens = (size_t)config->token_count;
        const size_t patch = 3 * (size_t)config->patch_side * (size_t)config->patch_side;
        const size_t wide = larger((size_t)clv_block_wide_cols(&config->vision),
                                   (size_t)clv_block_wide_cols(&config->temporal));
        const size_t rows = larger(frames * tokens, windows * (size_t)encoder->slot_token_count);
        counts[PART_STREAM] = rows * width;
        counts[PART_WIDE] = larger(rows * wide, frames * (tokens - 1) * patch);
        counts[PART_PIXELS] = frames * 3 * (size_t)config->image_side * (size_t)config->image_side;
        counts[PART_FEATURES] = windows * embed;
        counts[PART_VECTORS] = (size_t)options->window_batch_max * embed;
        counts[PART_SLOTS] =
            (size_t)options->slot_count * (size_t)encoder->slot_token_count * width;
        *row_max = rows;
    }
    if (!options->no_text) {
        const size_t rows = (size_t)options->text_batch_max;
        counts[PART_STREAM] = larger(counts[PART_STREAM], rows * text_width);
        counts[PART_WIDE] =
            larger(counts[PART_WIDE], rows * (size_t)clv_block_wide_cols(&config->text));
        counts[PART_FEATURES] = larger(counts[PART_FEATURES], rows * embed);
        *row_max = larger(*row_max, rows);
    }
    counts[PART_NORMED] = counts[PART_MIXED] = counts[PART_STREAM];
}

static int create_memory(struct clv_encoder *encoder)
{
    size_t counts[PART_COUNT], total = 0, row_max;
    measure_parts(counts, &row_max, encoder);
    if (row_max > INT32_MAX / 4)
        return clv_fail(CLV_EINVAL, "a pass of %zu rows is too large; use smaller batches",
                        row_max);
    for (int i = 0; i < PART_COUNT; i++)
        total += padded(counts[i]);
    int status = clv_buffer_create(&encoder->activations, encoder->device, total * sizeof(float));
    if (status != CLV_OK)
        return status;
    float *at = clv_buffer_data(encoder->activations);
    for (int i = 0; i < PART_COUNT; i++) {
        encoder->part[i] = at;
        at += padded(counts[i]);
    }
    encoder->starts = calloc(row_max + 1, sizeof *encoder->starts);
    encoder->queries = calloc(row_max + 1, sizeof *encoder->queries);
    return encoder->starts && encoder->queries ? CLV_OK : clv_fail_memory("the encoder's scratch");
}

static int check_option(const char *what, int value, int least)
{
    if (value >= least && value <= 1 << 20)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "%s of %d is not in %d..%d", what, value, least, 1 << 20);
}

/* Fills the defaults in and checks the ranges. */
static int settle_options(struct clv_encoder *encoder, const struct clv_encoder_options *given)
{
    struct clv_model_config *config = &encoder->config;
    struct clv_encoder_options *options = &encoder->options;
    *options = given ? *given : (struct clv_encoder_options){0};
    if (options->frame_count && config->temporal.width &&
        options->frame_count != config->frame_count)
        return clv_fail(CLV_EINVAL, "the model takes %d frames a window, not %d",
                        config->frame_count, options->frame_count);
    if (options->frame_count)
        config->frame_count = options->frame_count;
    if (!options->slot_count)
        options->slot_count = config->frame_count;
    if (!options->frame_batch_max)
        options->frame_batch_max = FRAME_BATCH_DEFAULT;
    if (!options->window_batch_max)
        options->window_batch_max = 1;
    if (!options->text_batch_max)
        options->text_batch_max = TEXT_BATCH_CONTEXTS * config->context_length;
    if (options->text_batch_max > 0 && options->text_batch_max < config->context_length)
        options->text_batch_max = config->context_length;
    encoder->slot_token_count =
        config->temporal.layer_count || options->all_tokens ? config->token_count : 1;
    int status = clv_config_check(config);
    if (status == CLV_OK)
        status = check_option("a slot count", options->slot_count, 1);
    if (status == CLV_OK)
        status = check_option("a frame batch", options->frame_batch_max, 1);
    if (status == CLV_OK)
        status = check_option("a window batch", options->window_batch_max, 1);
    if (status == CLV_OK)
        status = check_option("a text batch", options->text_batch_max, 1);
    return status;
}

int clv_encoder_create(struct clv_encoder **out, struct clv_device *device,
                       const struct clv_weights *weights, const struct clv_model_config *config,
                       const struct clv_encoder_options *options)
{
    *out = NULL;
    struct clv_encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder)
        return clv_fail_memory("an encoder");
    encoder->device = device;
    encoder->config = *config;
    int status = settle_options(encoder, options);
    if (status == CLV_OK)
        status = clv_params_init(&encoder->params, &encoder->config);
    if (status == CLV_OK)
        status = clv_params_check(&encoder->params, weights, NULL);
    if (status == CLV_OK)
        status = load_params(encoder, weights);
    if (status == CLV_OK)
        status = prepare_weights(encoder);
    if (status == CLV_OK)
        status = create_memory(encoder);
    if (status == CLV_OK)
        status = clv_device_sync(device);
    if (status == CLV_OK)
        *out = encoder;
    else
        clv_encoder_free(encoder);
    return status;
}

static void free_blocks(struct clv_block *blocks, int count)
{
    for (int i = 0; blocks && i < count; i++)
        clv_block_release(&blocks[i]);
    free(blocks);
}

void clv_encoder_free(struct clv_encoder *encoder)
{
    if (!encoder)
        return;
    free_blocks(encoder->vision, encoder->config.vision.layer_count);
    free_blocks(encoder->temporal, encoder->config.temporal.layer_count);
    free_blocks(encoder->text, encoder->config.text.layer_count);
    clv_weight_release(&encoder->conv1);
    clv_weight_release(&encoder->vision_projection);
    clv_weight_release(&encoder->text_projection);
    clv_buffer_free(encoder->converted);
    clv_buffer_free(encoder->activations);
    clv_params_release(&encoder->params);
    free(encoder->param);
    free(encoder->starts);
    free(encoder->queries);
    free(encoder);
}

/* ---- the passes ------------------------------------------------------------------------------ */

static struct clv_block_scratch scratch_of(const struct clv_encoder *encoder)
{
    return (struct clv_block_scratch){encoder->part[PART_STREAM], encoder->part[PART_NORMED],
                                      encoder->part[PART_MIXED], encoder->part[PART_WIDE]};
}

/* `count` sequences of `rows` rows each. */
static void set_equal_starts(struct clv_encoder *encoder, int count, int rows)
{
    for (int i = 0; i <= count; i++)
        encoder->starts[i] = i * rows;
}

/* The class tokens of `count` frames of `token_count` rows. */
static void set_class_queries(struct clv_encoder *encoder, int count, int token_count)
{
    for (int i = 0; i < count; i++)
        encoder->queries[i] = i * token_count;
}

static int check_slots(const struct clv_encoder *encoder, const int32_t *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slots[i] < 0 || slots[i] >= encoder->options.slot_count)
            return clv_fail(CLV_EINVAL, "frame slot %d is not one of the encoder's %d", slots[i],
                            encoder->options.slot_count);
    return CLV_OK;
}

static struct clv_tensor slot_tokens(const struct clv_encoder *encoder, int32_t slot)
{
    const int rows = encoder->slot_token_count, width = encoder->config.vision.width;
    float *data = encoder->part[PART_SLOTS] + (size_t)slot * (size_t)rows * (size_t)width;
    return clv_tensor(data, rows, width);
}

/* One batch of frames, at most frame_batch_max. */
static void encode_frames(struct clv_encoder *encoder, const int32_t *slots, const float *pixels,
                          int count)
{
    struct clv_device *device = encoder->device;
    const struct clv_model_config *config = &encoder->config;
    const struct clv_block_scratch scratch = scratch_of(encoder);
    const int width = config->vision.width, side = config->image_side;
    const int tokens = config->token_count, patch_count = tokens - 1;
    const struct clv_tensor frames = clv_tensor(encoder->part[PART_PIXELS], count, 3 * side * side);
    const struct clv_tensor patches =
        clv_tensor(scratch.wide, count * patch_count, 3 * config->patch_side * config->patch_side);
    const struct clv_tensor embedded = clv_tensor(scratch.mixed, count * patch_count, width);
    const struct clv_tensor x = clv_tensor(scratch.stream, count * tokens, width);
    const struct clv_tensor position =
        clv_tensor((float *)single(encoder, CLV_PARAM_FRAME_POSITION), tokens, width);

    clv_device_write(device, frames.data, pixels,
                     (size_t)count * (size_t)frames.cols * sizeof *pixels);
    clv_patches(device, patches, frames, side, config->patch_side);
    clv_linear(device, embedded, patches, &encoder->conv1, NULL, CLV_ACTIVATION_NONE,
               CLV_NO_TENSOR);
    clv_frame_embed(device, x, embedded, single(encoder, CLV_PARAM_CLASS_EMBEDDING), position);
    clv_layer_norm(device, x, x, single(encoder, CLV_PARAM_LN_PRE_WEIGHT),
                   single(encoder, CLV_PARAM_LN_PRE_BIAS));

    const bool class_only = encoder->slot_token_count == 1;
    set_equal_starts(encoder, count, tokens);
    set_class_queries(encoder, count, tokens);
    const struct clv_attention attention = {.mask = CLV_MASK_NONE,
                                            .head_count = config->vision.head_count,
                                            .sequence_count = count,
                                            .token_count = tokens,
                                            .starts = encoder->starts};
    const struct clv_tensor y = clv_blocks_forward(
        device, encoder->vision, config->vision.layer_count, x, &scratch, &attention,
        config->activation, class_only ? encoder->queries : NULL, count);
    for (int i = 0; i < count; i++)
        clv_copy(device, slot_tokens(encoder, slots[i]),
                 clv_tensor_rows(y, i * encoder->slot_token_count, encoder->slot_token_count));
}

int clv_encoder_frames(struct clv_encoder *encoder, const int32_t *slots, const float *pixels,
                       int count)
{
    const size_t side = (size_t)encoder->config.image_side;
    assert(!encoder->options.no_vision);
    int status = check_slots(encoder, slots, (size_t)count);
    if (status != CLV_OK)
        return status;
    for (int at = 0; at < count; at += encoder->options.frame_batch_max) {
        int batch = count - at < encoder->options.frame_batch_max
                        ? count - at
                        : encoder->options.frame_batch_max;
        encode_frames(encoder, slots + at, pixels + (size_t)at * 3 * side * side, batch);
    }
    return clv_device_sync(encoder->device);
}

/* The patch tokens (all but the class tokens) of the stream x, frame by frame. */
static void read_patch_tokens(struct clv_encoder *encoder, float *out, struct clv_tensor x,
                              int frame_count)
{
    const int tokens = encoder->config.token_count;
    const size_t size = (size_t)(tokens - 1) * (size_t)x.cols;
    for (int i = 0; i < frame_count; i++)
        clv_device_read(encoder->device, out + (size_t)i * size,
                        clv_tensor_rows(x, i * tokens + 1, tokens - 1).data, size * sizeof *out);
}

/* One batch of windows; outputs are those of its first window. */
static void encode_windows(struct clv_encoder *encoder, const struct clv_window_outputs *outputs,
                           const int32_t *slots, int count)
{
    struct clv_device *device = encoder->device;
    const struct clv_model_config *config = &encoder->config;
    const struct clv_block_scratch scratch = scratch_of(encoder);
    const int width = config->vision.width, frames = count * config->frame_count;
    const int tokens = encoder->slot_token_count, embed = config->embed_dim;
    const struct clv_tensor kept =
        clv_tensor(encoder->part[PART_SLOTS], encoder->options.slot_count * tokens, width);
    const struct clv_tensor x = clv_tensor(scratch.stream, frames * tokens, width);
    const float *temporal = single(encoder, CLV_PARAM_TEMPORAL_EMBEDDING);

    clv_window_embed(device, x, kept, slots, config->frame_count, tokens,
                     temporal ? clv_tensor((float *)temporal, config->frame_count, width)
                              : CLV_NO_TENSOR);
    set_equal_starts(encoder, count, config->frame_count * tokens);
    set_class_queries(encoder, frames, tokens);
    const struct clv_attention attention = {.mask = config->mask,
                                            .head_count = config->temporal.head_count,
                                            .sequence_count = count,
                                            .token_count = tokens,
                                            .starts = encoder->starts};
    const bool all_rows = outputs->patch_tokens != NULL;
    struct clv_tensor y = clv_blocks_forward(
        device, encoder->temporal, config->temporal.layer_count, x, &scratch, &attention,
        config->activation, all_rows ? NULL : encoder->queries, frames);
    if (all_rows) {
        read_patch_tokens(encoder, outputs->patch_tokens, y, frames);
        y = clv_tensor(scratch.normed, frames, width);
        clv_gather_rows(device, y, x, encoder->queries);
    }

    const struct clv_tensor features = clv_tensor(encoder->part[PART_FEATURES], frames, embed);
    clv_layer_norm(device, y, y, single(encoder, CLV_PARAM_LN_POST_WEIGHT),
                   single(encoder, CLV_PARAM_LN_POST_BIAS));
    clv_linear(device, features, y, &encoder->vision_projection, NULL, CLV_ACTIVATION_NONE,
               CLV_NO_TENSOR);
    if (outputs->frame_features)
        clv_device_read(device, outputs->frame_features, features.data,
                        (size_t)frames * (size_t)embed * sizeof(float));
    if (outputs->vectors) {
        const struct clv_tensor vectors = clv_tensor(encoder->part[PART_VECTORS], count, embed);
        clv_unit_mean(device, vectors, features, config->frame_count);
        clv_device_read(device, outputs->vectors, vectors.data,
                        (size_t)count * (size_t)embed * sizeof(float));
    }
}

int clv_encoder_windows(struct clv_encoder *encoder, const struct clv_window_outputs *outputs,
                        const int32_t *slots, int count)
{
    const struct clv_model_config *config = &encoder->config;
    const size_t frames = (size_t)config->frame_count, embed = (size_t)config->embed_dim;
    const size_t patch_tokens =
        frames * (size_t)(config->token_count - 1) * (size_t)config->vision.width;
    assert(!encoder->options.no_vision);
    if (outputs->patch_tokens && encoder->slot_token_count != config->token_count)
        return clv_fail(CLV_EINVAL, "this encoder keeps no patch tokens");
    int status = check_slots(encoder, slots, (size_t)count * frames);
    if (status != CLV_OK)
        return status;
    for (int at = 0; at < count; at += encoder->options.window_batch_max) {
        const size_t first = (size_t)at;
        struct clv_window_outputs batch = *outputs;
        if (batch.vectors)
            batch.vectors += first * embed;
        if (batch.frame_features)
            batch.frame_features += first * frames * embed;
        if (batch.patch_tokens)
            batch.patch_tokens += first * patch_tokens;
        int size = count - at < encoder->options.window_batch_max
                       ? count - at
                       : encoder->options.window_batch_max;
        encode_windows(encoder, &batch, slots + first * frames, size);
    }
    return clv_device_sync(encoder->device);
}

int clv_encoder_frame_tokens(struct clv_encoder *encoder, float *out, int32_t slot)
{
    assert(!encoder->options.no_vision);
    int status = check_slots(encoder, &slot, 1);
    if (status != CLV_OK)
        return status;
    const struct clv_tensor tokens = slot_tokens(encoder, slot);
    clv_device_read(encoder->device, out, tokens.data,
                    (size_t)tokens.rows * (size_t)tokens.cols * sizeof *out);
    return clv_device_sync(encoder->device);
}

/* One batch of texts; `ids` is that of all texts, starts[0..count] index it. */
static void encode_text(struct clv_encoder *encoder, float *features_out, const int32_t *ids,
                        const int32_t *starts, int count)
{
    struct clv_device *device = encoder->device;
    const struct clv_model_config *config = &encoder->config;
    const struct clv_block_scratch scratch = scratch_of(encoder);
    const int width = config->text.width, rows = starts[count] - starts[0];
    const struct clv_tensor x = clv_tensor(scratch.stream, rows, width);
    for (int i = 0; i <= count; i++)
        encoder->starts[i] = starts[i] - starts[0];
    for (int i = 0; i < count; i++)
        encoder->queries[i] = encoder->starts[i + 1] - 1;

    clv_token_embed(
        device, x,
        clv_tensor((float *)single(encoder, CLV_PARAM_TOKEN_EMBEDDING), config->vocabulary_size,
                   width),
        clv_tensor((float *)single(encoder, CLV_PARAM_POSITION), config->context_length, width),
        ids + starts[0], encoder->starts, count);
    const struct clv_attention attention = {.mask = CLV_MASK_CAUSAL,
                                            .head_count = config->text.head_count,
                                            .sequence_count = count,
                                            .starts = encoder->starts};
    const struct clv_tensor y =
        clv_blocks_forward(device, encoder->text, config->text.layer_count, x, &scratch, &attention,
                           config->activation, encoder->queries, count);
    clv_layer_norm(device, y, y, single(encoder, CLV_PARAM_LN_FINAL_WEIGHT),
                   single(encoder, CLV_PARAM_LN_FINAL_BIAS));
    const struct clv_tensor features =
        clv_tensor(encoder->part[PART_FEATURES], count, config->embed_dim);
    clv_linear(device, features, y, &encoder->text_projection, NULL, CLV_ACTIVATION_NONE,
               CLV_NO_TENSOR);
    clv_device_read(device, features_out, features.data,
                    (size_t)count * (size_t)config->embed_dim * sizeof *features_out);
}

static int check_texts(const struct clv_model_config *config, const int32_t *ids,
                       const int32_t *starts, int count)
{
    for (int i = 0; i < count; i++) {
        int length = starts[i + 1] - starts[i];
        if (length < 1 || length > config->context_length)
            return clv_fail(CLV_EINVAL, "text %d has %d tokens, 1 to %d are possible", i, length,
                            config->context_length);
        for (int32_t k = starts[i]; k < starts[i + 1]; k++)
            if (ids[k] < 0 || ids[k] >= config->vocabulary_size)
                return clv_fail(CLV_EINVAL, "token %d of text %d is outside the vocabulary of %d",
                                ids[k], i, config->vocabulary_size);
    }
    return CLV_OK;
}

int clv_encoder_text(struct clv_encoder *encoder, float *features_out, const int32_t *ids,
                     const int32_t *starts, int count)
{
    assert(!encoder->options.no_text);
    int status = check_texts(&encoder->config, ids, starts, count);
    if (status != CLV_OK)
        return status;
    for (int at = 0; at < count;) {
        int size = 1;
        while (at + size < count &&
               starts[at + size + 1] - starts[at] <= encoder->options.text_batch_max)
            size++;
        encode_text(encoder, features_out + (size_t)at * (size_t)encoder->config.embed_dim, ids,
                    starts + at, size);
        at += size;
    }
    return clv_device_sync(encoder->device);
}
