/* The activations of a learner: one buffer, sized from one table. */
#include "core/error.h"
#include "core/model/learner_state.h"
#include "core/model/tape.h"

#include <stdlib.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

struct shapes {
    struct clv_tape_shape vision, temporal, text;
    size_t row_max; /* of any stream */
};

/* How the insides of blocks are stored. */
static enum clv_type type_of(const struct clv_learner *learner)
{
    return clv_device_activation_type(learner->device);
}

static struct shapes shapes_of(const struct clv_learner *learner)
{
    const struct clv_model_config *config = &learner->config;
    const struct clv_learner_options *options = &learner->options;
    const size_t frames = (size_t)options->clip_batch_max * (size_t)config->frame_count;
    const size_t rows = frames * (size_t)config->token_count;
    const size_t text_rows = (size_t)options->text_batch_max;
    const size_t texts = (size_t)options->text_max;
    const enum clv_type type = type_of(learner);
    return (struct shapes){
        .vision = {.tower = &config->vision,
                   .type = type,
                   .width = config->vision.width,
                   .row_max = rows,
                   .query_max = learner->slot_token_count == 1 ? frames : 0,
                   .has_embedded = true,
                   .is_checkpointed = options->checkpoint},
        .temporal = {.tower = &config->temporal,
                     .type = type,
                     .width = config->vision.width,
                     .row_max = frames * (size_t)learner->slot_token_count,
                     .query_max = frames,
                     .is_checkpointed = options->checkpoint},
        .text = {.tower = &config->text,
                 .type = type,
                 .width = config->text.width,
                 .row_max = text_rows,
                 .query_max = texts < text_rows ? texts : text_rows,
                 .is_checkpointed = options->checkpoint},
        .row_max = larger(rows, text_rows),
    };
}

/* Scratch that all branches share. */
static void measure_scratch(size_t counts[CLV_ROOM_COUNT], const struct clv_learner *learner,
                            const struct shapes *shapes)
{
    const struct clv_model_config *config = &learner->config;
    const size_t rows = shapes->vision.row_max, text_rows = shapes->text.row_max;
    const size_t patches = shapes->temporal.query_max * (size_t)(config->token_count - 1);
    const size_t patch = 3 * (size_t)config->patch_side * (size_t)config->patch_side;
    const size_t visual_wide = larger((size_t)clv_block_wide_cols(&config->vision),
                                      (size_t)clv_block_wide_cols(&config->temporal));
    const size_t text_wide = (size_t)clv_block_wide_cols(&config->text);
    const size_t stream =
        larger(rows * (size_t)config->vision.width, text_rows * (size_t)config->text.width);
    counts[CLV_ROOM_STREAM] = counts[CLV_ROOM_NORMED] = counts[CLV_ROOM_MIXED] = stream;
    counts[CLV_ROOM_WIDE] =
        clv_block_room(type_of(learner),
                       larger(larger(rows * visual_wide, text_rows * text_wide), patches * patch));
    if (learner->gradient_count > 0) {
        counts[CLV_ROOM_GRADIENT] = stream;
        counts[CLV_ROOM_WIDE_GRADIENT] = clv_block_room(
            type_of(learner), larger(learner->trains_windows ? rows * visual_wide : 0,
                                     learner->trains_text ? text_rows * text_wide : 0));
    }
}

/* The one table: what each room holds, in fp32 numbers. Every factor is bounded by
 * clv_config_check() and the check of options, so that products of three fit 64 bits. */
static void measure(size_t counts[CLV_ROOM_COUNT], const struct clv_learner *learner,
                    const struct shapes *shapes)
{
    const struct clv_model_config *config = &learner->config;
    const struct clv_learner_options *options = &learner->options;
    const size_t clips = (size_t)options->clip_max, texts = (size_t)options->text_max;
    const size_t frames = shapes->temporal.query_max, embed = (size_t)config->embed_dim;
    memset(counts, 0, CLV_ROOM_COUNT * sizeof *counts);
    measure_scratch(counts, learner, shapes);
    counts[CLV_ROOM_PIXELS] = frames * 3 * (size_t)config->image_side * (size_t)config->image_side;
    counts[CLV_ROOM_PARTNER] = counts[CLV_ROOM_PIXELS] / (size_t)options->clip_batch_max;
    counts[CLV_ROOM_VALUES] = CLV_BYTE_VALUES;
    counts[CLV_ROOM_FEATURES] = frames * embed;
    counts[CLV_ROOM_VECTORS] = clips * embed;
    counts[CLV_ROOM_TEXT_FEATURES] = counts[CLV_ROOM_TEXT_UNITS] = texts * embed;
    counts[CLV_ROOM_LOGITS] = counts[CLV_ROOM_DLOGITS] = clips * texts;
    counts[CLV_ROOM_LABELS] = clips * texts;
    counts[CLV_ROOM_SUMS] = CLV_SUM_COUNT * sizeof(double) / sizeof(float);
    if (learner->trains_windows) {
        counts[CLV_ROOM_DFEATURES] = counts[CLV_ROOM_FEATURES];
        counts[CLV_ROOM_DVECTORS] = counts[CLV_ROOM_VECTORS];
        counts[CLV_ROOM_TEMPORAL_TAPE] = clv_tape_count(&shapes->temporal);
    }
    if (learner->trains_vision)
        counts[CLV_ROOM_VISION_TAPE] = clv_tape_count(&shapes->vision);
    else
        counts[CLV_ROOM_FRAMES] = shapes->temporal.row_max * (size_t)config->vision.width;
    if (learner->trains_text) {
        counts[CLV_ROOM_DTEXT_FEATURES] = counts[CLV_ROOM_TEXT_FEATURES];
        counts[CLV_ROOM_DTEXT_UNITS] = counts[CLV_ROOM_TEXT_FEATURES];
        counts[CLV_ROOM_TEXT_TAPE] = clv_tape_count(&shapes->text);
    }
}

static int create_tapes(struct clv_learner *learner, const struct shapes *shapes)
{
    int status = CLV_OK;
    if (learner->trains_vision)
        status = clv_tape_init(&learner->vision_tape, &shapes->vision,
                               learner->room[CLV_ROOM_VISION_TAPE]);
    if (learner->trains_windows && status == CLV_OK)
        status = clv_tape_init(&learner->temporal_tape, &shapes->temporal,
                               learner->room[CLV_ROOM_TEMPORAL_TAPE]);
    if (learner->trains_text && status == CLV_OK)
        status =
            clv_tape_init(&learner->text_tape, &shapes->text, learner->room[CLV_ROOM_TEXT_TAPE]);
    return status;
}

static int create_host(struct clv_learner *learner, const struct shapes *shapes)
{
    const struct clv_learner_options *options = &learner->options;
    const size_t clips = (size_t)options->clip_max;
    const size_t layers =
        (size_t)learner->config.vision.layer_count + (size_t)learner->config.temporal.layer_count;
    struct clv_pass *pass = &learner->pass;
    pass->starts = calloc(shapes->row_max + 1, sizeof *pass->starts);
    pass->queries = calloc(shapes->row_max + 1, sizeof *pass->queries);
    learner->slots = calloc(shapes->temporal.query_max, sizeof *learner->slots);
    learner->labels = calloc(clips * clips, sizeof *learner->labels);
    if (options->drop_path > 0)
        learner->drop =
            calloc(layers * 2 * (size_t)options->clip_batch_max + 1, sizeof *learner->drop);
    if (!pass->starts || !pass->queries || !learner->slots || !learner->labels ||
        (options->drop_path > 0 && !learner->drop))
        return clv_fail_memory("the learner's scratch");
    for (size_t i = 0; i < shapes->temporal.query_max; i++)
        learner->slots[i] = (int32_t)i;
    return CLV_OK;
}

int clv_learner_create_memory(struct clv_learner *learner)
{
    const struct shapes shapes = shapes_of(learner);
    size_t counts[CLV_ROOM_COUNT], total = 0;
    if (shapes.row_max > INT32_MAX / 4)
        return clv_fail(CLV_EINVAL, "a pass of %zu rows is too large; use smaller batches",
                        shapes.row_max);
    measure(counts, learner, &shapes);
    for (int i = 0; i < CLV_ROOM_COUNT; i++)
        total += clv_padded_count(counts[i]);
    int status = clv_buffer_create(&learner->activations, learner->device, total * sizeof(float));
    if (status != CLV_OK)
        return status;
    float *at = clv_buffer_data(learner->activations);
    for (int i = 0; i < CLV_ROOM_COUNT; i++) {
        learner->room[i] = at;
        at += clv_padded_count(counts[i]);
    }
    learner->pass.network = &learner->network;
    learner->pass.scratch =
        (struct clv_block_scratch){.type = type_of(learner),
                                   .stream = learner->room[CLV_ROOM_STREAM],
                                   .normed = learner->room[CLV_ROOM_NORMED],
                                   .mixed = learner->room[CLV_ROOM_MIXED],
                                   .wide = learner->room[CLV_ROOM_WIDE],
                                   .gradient = learner->room[CLV_ROOM_GRADIENT],
                                   .wide_gradient = learner->room[CLV_ROOM_WIDE_GRADIENT]};
    clv_learner_write_values(learner);
    status = create_tapes(learner, &shapes);
    return status == CLV_OK ? create_host(learner, &shapes) : status;
}

void clv_learner_release_memory(struct clv_learner *learner)
{
    clv_tape_release(&learner->vision_tape);
    clv_tape_release(&learner->temporal_tape);
    clv_tape_release(&learner->text_tape);
    clv_buffer_free(learner->activations);
    free(learner->pass.starts);
    free(learner->pass.queries);
    free(learner->slots);
    free(learner->labels);
    free(learner->drop);
}
