/* An encoder: its memory, and its calls cut into batches of the passes. */
#include "core/model/encoder.h"

#include "core/error.h"
#include "core/model/encoder_over.h"
#include "core/model/network.h"
#include "core/model/passes.h"
#include "core/model/pixels.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BATCH_DEFAULT 8
#define TEXT_BATCH_CONTEXTS 8

/* Parts of the one activation buffer. */
enum part {
    PART_STREAM,
    PART_NORMED,
    PART_MIXED,
    PART_WIDE,
    PART_PIXELS, /* of a batch, as floats or bytes */
    PART_VALUES, /* what a byte is worth: [3, 256] */
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
    struct clv_network network;
    struct clv_buffer *activations;
    float *part[PART_COUNT];
    struct clv_pass pass; /* over network and parts */
};

const struct clv_model_config *clv_encoder_config(const struct clv_encoder *encoder)
{
    return &encoder->config;
}

int clv_encoder_slot_count(const struct clv_encoder *encoder)
{
    return encoder->options.slot_count;
}

int clv_encoder_frame_batch(const struct clv_encoder *encoder)
{
    return encoder->options.frame_batch_max;
}

int clv_encoder_window_batch(const struct clv_encoder *encoder)
{
    return encoder->options.window_batch_max;
}

struct clv_device *clv_encoder_device(const struct clv_encoder *encoder)
{
    return encoder->device;
}

int clv_encoder_slot_token_count(const struct clv_encoder *encoder)
{
    return encoder->slot_token_count;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The one table of the activation buffer: room of each part in fp32 numbers. Every factor is
 * bounded by clv_config_check() and check_options(), so that products of three fit 64 bits. */
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
        counts[PART_VALUES] = CLV_BYTE_VALUES;
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
    counts[PART_WIDE] =
        clv_block_room(clv_device_activation_type(encoder->device), counts[PART_WIDE]);
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
        total += clv_padded_count(counts[i]);
    int status = clv_buffer_create(&encoder->activations, encoder->device, total * sizeof(float));
    if (status != CLV_OK)
        return status;
    float *at = clv_buffer_data(encoder->activations);
    for (int i = 0; i < PART_COUNT; i++) {
        encoder->part[i] = at;
        at += clv_padded_count(counts[i]);
    }
    struct clv_pass *pass = &encoder->pass;
    pass->network = &encoder->network;
    pass->scratch = (struct clv_block_scratch){.type = clv_device_activation_type(encoder->device),
                                               .stream = encoder->part[PART_STREAM],
                                               .normed = encoder->part[PART_NORMED],
                                               .mixed = encoder->part[PART_MIXED],
                                               .wide = encoder->part[PART_WIDE]};
    pass->starts = calloc(row_max + 1, sizeof *pass->starts);
    pass->queries = calloc(row_max + 1, sizeof *pass->queries);
    return pass->starts && pass->queries ? CLV_OK : clv_fail_memory("the encoder's scratch");
}

/* ---- the passes ------------------------------------------------------------------------------ */

/* The tokens of frames whose patches these are. */
static struct clv_tensor run_frames(struct clv_encoder *encoder, struct clv_tensor patches)
{
    return clv_pass_frames(&encoder->pass, NULL, patches, encoder->slot_token_count == 1);
}

/* Where squares lie in the pixels' part. */
static uint8_t *square_bytes(const struct clv_encoder *encoder)
{
    return (uint8_t *)encoder->part[PART_PIXELS];
}

/* The patches of the first `count` squares there. */
static struct clv_tensor square_patches(const struct clv_encoder *encoder, int count)
{
    return clv_pass_square_patches(&encoder->pass, square_bytes(encoder),
                                   encoder->part[PART_VALUES], count);
}

/* Class tokens, or with `all_rows` all tokens, of windows. */
static struct clv_tensor run_windows(struct clv_encoder *encoder, const int32_t *slots, int count,
                                     bool all_rows)
{
    const int tokens = encoder->slot_token_count;
    const struct clv_pass_windows windows = {
        .frames = clv_tensor(encoder->part[PART_SLOTS], encoder->options.slot_count * tokens,
                             encoder->config.vision.width),
        .slots = slots,
        .count = count,
        .token_count = tokens,
        .all_rows = all_rows,
    };
    return clv_pass_windows(&encoder->pass, NULL, &windows);
}

static struct clv_tensor run_texts(struct clv_encoder *encoder, const struct clv_pass_texts *texts)
{
    const struct clv_tensor features =
        clv_tensor(encoder->part[PART_FEATURES], texts->count, encoder->config.embed_dim);
    clv_pass_texts(&encoder->pass, NULL, features, texts);
    return features;
}

/* ---- creation -------------------------------------------------------------------------------- */

static void write_values(struct clv_encoder *encoder)
{
    float values[CLV_BYTE_VALUES];
    clv_pixels_values(values, &encoder->config);
    clv_device_write(encoder->device, encoder->part[PART_VALUES], values, sizeof values);
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
    int status = clv_config_set_frame_count(config, options->frame_count);
    if (status != CLV_OK)
        return status;
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
    status = clv_config_check(config);
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

/* A batch of pixels, all zeros. */
static int rehearse_writing(struct clv_encoder *encoder)
{
    const int side = encoder->config.image_side, count = encoder->options.frame_batch_max;
    const size_t square_bytes_each = 3 * (size_t)side * (size_t)side;
    const void **squares = calloc((size_t)count, sizeof *squares);
    uint8_t *zeros = calloc(square_bytes_each, 1);
    for (int i = 0; squares && i < count; i++)
        squares[i] = zeros;
    const bool has_memory = squares && zeros;
    if (has_memory)
        clv_device_write_parts(encoder->device, square_bytes(encoder), squares, count,
                               square_bytes_each);
    free(squares);
    free(zeros);
    return has_memory ? CLV_OK : clv_fail_memory("the encoder's rehearsal");
}

/* The largest batches, so that the device takes what it needs for them now. Twice: what it records,
 * it records the second time. */
static int rehearse(struct clv_encoder *encoder)
{
    const struct clv_model_config *config = &encoder->config;
    const struct clv_encoder_options *options = &encoder->options;
    const int windows = options->no_vision ? 0 : options->window_batch_max;
    const int rows = options->no_text ? 0 : options->text_batch_max;
    const int texts = (rows + config->context_length - 1) / config->context_length;
    const size_t zeros = larger((size_t)windows * (size_t)config->frame_count, (size_t)rows);
    int32_t *zero = calloc(zeros + 1, sizeof *zero);
    int32_t *starts = calloc((size_t)texts + 1, sizeof *starts);
    int status = zero && starts ? CLV_OK : clv_fail_memory("the encoder's rehearsal");
    for (int i = 0; starts && i < texts; i++)
        starts[i] = i * config->context_length;
    if (starts)
        starts[texts] = rows;
    for (int i = 0; i < 2 && status == CLV_OK; i++) {
        if (windows > 0)
            status = rehearse_writing(encoder);
        if (windows > 0 && status == CLV_OK) {
            (void)run_frames(encoder, square_patches(encoder, options->frame_batch_max));
            (void)run_windows(encoder, zero, windows, false);
        }
        if (rows > 0)
            (void)run_texts(encoder, &(struct clv_pass_texts){zero, starts, texts});
    }
    free(zero);
    free(starts);
    return status;
}

/* What both ways of creation begin and end with. */
static int begin(struct clv_encoder **out, struct clv_device *device,
                 const struct clv_model_config *config, const struct clv_encoder_options *options)
{
    struct clv_encoder *encoder = calloc(1, sizeof *encoder);
    *out = encoder;
    if (!encoder)
        return clv_fail_memory("an encoder");
    encoder->device = device;
    encoder->config = *config;
    return settle_options(encoder, options);
}

static int finish(struct clv_encoder **out, struct clv_encoder *encoder, int status)
{
    if (status == CLV_OK)
        status = create_memory(encoder);
    if (status == CLV_OK && !encoder->options.no_vision)
        write_values(encoder);
    if (status == CLV_OK && clv_device_rehearses(encoder->device))
        status = rehearse(encoder);
    if (status == CLV_OK)
        status = clv_device_sync(encoder->device);
    if (status == CLV_OK)
        *out = encoder;
    else
        clv_encoder_free(encoder);
    return status;
}

static struct clv_network_options branches_of(const struct clv_encoder *encoder)
{
    return (struct clv_network_options){.no_vision = encoder->options.no_vision,
                                        .no_text = encoder->options.no_text};
}

int clv_encoder_create(struct clv_encoder **out, struct clv_device *device,
                       const struct clv_weights *weights, const struct clv_model_config *config,
                       const struct clv_encoder_options *options)
{
    struct clv_encoder *encoder;
    *out = NULL;
    int status = begin(&encoder, device, config, options);
    if (status == CLV_OK) {
        const struct clv_network_options branches = branches_of(encoder);
        status = clv_network_load(&encoder->network, device, &encoder->config, weights, &branches);
    }
    return finish(out, encoder, status);
}

int clv_encoder_over(struct clv_encoder **out, const struct clv_network *network,
                     float *const *param, const struct clv_encoder_options *options)
{
    struct clv_encoder *encoder;
    *out = NULL;
    int status = begin(&encoder, network->device, &network->config, options);
    if (status == CLV_OK) {
        const struct clv_network_options branches = branches_of(encoder);
        status = clv_network_over(&encoder->network, network->device, &encoder->config, param, NULL,
                                  &branches);
    }
    return finish(out, encoder, status);
}

void clv_encoder_free(struct clv_encoder *encoder)
{
    if (!encoder)
        return;
    clv_network_release(&encoder->network);
    clv_buffer_free(encoder->activations);
    free(encoder->pass.starts);
    free(encoder->pass.queries);
    free(encoder);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static int check_slots(const struct clv_encoder *encoder, const int32_t *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slots[i] < 0 || slots[i] >= encoder->options.slot_count)
            return clv_fail(CLV_EINVAL, "frame slot %d is not one of the encoder's %d", slots[i],
                            encoder->options.slot_count);
    return CLV_OK;
}

/* The tokens of `count` slots in a row. */
static struct clv_tensor slot_tokens(const struct clv_encoder *encoder, int32_t slot, int count)
{
    const int rows = encoder->slot_token_count, width = encoder->config.vision.width;
    float *data = encoder->part[PART_SLOTS] + (size_t)slot * (size_t)rows * (size_t)width;
    return clv_tensor(data, count * rows, width);
}

static int next_batch(const struct clv_encoder *encoder, int left)
{
    return left < encoder->options.frame_batch_max ? left : encoder->options.frame_batch_max;
}

/* One batch of frames, whose patches are in the scratch. Slots in a row take one copy. */
static void encode_frames(struct clv_encoder *encoder, const int32_t *slots,
                          struct clv_tensor patches, int count)
{
    const int tokens = encoder->slot_token_count;
    const struct clv_tensor y = run_frames(encoder, patches);
    for (int first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && slots[end] == slots[end - 1] + 1;)
            end++;
        clv_copy(encoder->device, slot_tokens(encoder, slots[first], end - first),
                 clv_tensor_rows(y, first * tokens, (end - first) * tokens));
    }
}

int clv_encoder_frames(struct clv_encoder *encoder, const int32_t *slots, const float *pixels,
                       int count)
{
    const int side = encoder->config.image_side;
    assert(!encoder->options.no_vision);
    int status = check_slots(encoder, slots, (size_t)count);
    if (status != CLV_OK)
        return status;
    for (int at = 0, batch; at < count; at += batch) {
        batch = next_batch(encoder, count - at);
        const struct clv_tensor frames =
            clv_tensor(encoder->part[PART_PIXELS], batch, 3 * side * side);
        clv_device_write(encoder->device, frames.data, pixels + (size_t)at * (size_t)frames.cols,
                         (size_t)batch * (size_t)frames.cols * sizeof *pixels);
        encode_frames(encoder, slots + at, clv_pass_patches(&encoder->pass, frames), batch);
    }
    return clv_device_check(encoder->device);
}

int clv_encoder_squares(struct clv_encoder *encoder, const int32_t *slots,
                        const uint8_t *const *squares, int count)
{
    const size_t side = (size_t)encoder->config.image_side;
    assert(!encoder->options.no_vision);
    int status = check_slots(encoder, slots, (size_t)count);
    if (status != CLV_OK)
        return status;
    for (int at = 0, batch; at < count; at += batch) {
        batch = next_batch(encoder, count - at);
        clv_device_write_parts(encoder->device, square_bytes(encoder),
                               (const void *const *)(squares + at), batch, 3 * side * side);
        encode_frames(encoder, slots + at, square_patches(encoder, batch), batch);
    }
    return clv_device_check(encoder->device);
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
    const int embed = config->embed_dim, frames = count * config->frame_count;
    struct clv_tensor y = run_windows(encoder, slots, count, outputs->patch_tokens != NULL);
    if (outputs->patch_tokens) {
        read_patch_tokens(encoder, outputs->patch_tokens, y, frames);
        y = clv_pass_class_rows(&encoder->pass, y, frames);
    }
    const struct clv_tensor features = clv_tensor(encoder->part[PART_FEATURES], frames, embed);
    clv_pass_features(&encoder->pass, NULL, features, y);
    if (outputs->frame_features)
        clv_device_read(device, outputs->frame_features, features.data,
                        (size_t)frames * (size_t)embed * sizeof(float));
    if (outputs->vectors) {
        const struct clv_tensor vectors = clv_tensor(encoder->part[PART_VECTORS], count, embed);
        clv_unit_mean(device, vectors, features, config->frame_count);
        clv_device_fetch_begin(device, outputs->vectors, vectors.data,
                               (size_t)count * (size_t)embed * sizeof(float));
    }
}

int clv_encoder_windows_begin(struct clv_encoder *encoder, const struct clv_window_outputs *outputs,
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
    return CLV_OK;
}

int clv_encoder_windows_end(struct clv_encoder *encoder)
{
    clv_device_fetch_end(encoder->device);
    return clv_device_check(encoder->device);
}

void clv_encoder_windows_drop(struct clv_encoder *encoder)
{
    clv_device_fetch_drop(encoder->device);
}

int clv_encoder_windows(struct clv_encoder *encoder, const struct clv_window_outputs *outputs,
                        const int32_t *slots, int count)
{
    int status = clv_encoder_windows_begin(encoder, outputs, slots, count);
    if (status != CLV_OK)
        return status;
    clv_device_fetch_end(encoder->device);
    return clv_device_sync(encoder->device);
}

int clv_encoder_frame_tokens(struct clv_encoder *encoder, float *out, int32_t slot)
{
    assert(!encoder->options.no_vision);
    int status = check_slots(encoder, &slot, 1);
    if (status != CLV_OK)
        return status;
    const struct clv_tensor tokens = slot_tokens(encoder, slot, 1);
    clv_device_read(encoder->device, out, tokens.data,
                    (size_t)tokens.rows * (size_t)tokens.cols * sizeof *out);
    return clv_device_sync(encoder->device);
}

/* One batch of texts. */
static void encode_texts(struct clv_encoder *encoder, float *features_out,
                         const struct clv_pass_texts *texts)
{
    const struct clv_tensor features = run_texts(encoder, texts);
    clv_device_read(encoder->device, features_out, features.data,
                    (size_t)features.rows * (size_t)features.cols * sizeof *features_out);
}

int clv_encoder_text(struct clv_encoder *encoder, float *features_out, const int32_t *ids,
                     const int32_t *starts, int count)
{
    const struct clv_pass_texts all = {ids, starts, count};
    assert(!encoder->options.no_text);
    int status = clv_pass_check_texts(&encoder->config, &all);
    if (status != CLV_OK)
        return status;
    for (int at = 0; at < count;) {
        struct clv_pass_texts texts = {ids, starts + at, 1};
        while (at + texts.count < count &&
               starts[at + texts.count + 1] - starts[at] <= encoder->options.text_batch_max)
            texts.count++;
        encode_texts(encoder, features_out + (size_t)at * (size_t)encoder->config.embed_dim,
                     &texts);
        at += texts.count;
    }
    return clv_device_sync(encoder->device);
}
