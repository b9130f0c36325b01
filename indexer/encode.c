/* A lane numbers its pictures, from video to video without a gap, and picture n lies in slot
 * n % slots of those that are the lane's. A slot is taken anew only when no window that waits needs
 * it: before that, everything that waits with it is computed. Windows still to come need the last T
 * pictures of their video at most, so T slots are enough; more make larger batches. */
#include "indexer/encode.h"

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

struct lane {
    struct batch *batch;
    struct clv_track *track;
    int32_t first_slot;
    int64_t next_frame;     /* number of the next picture */
    int64_t video_first;    /* of the first picture of the video at hand */
    int64_t oldest_needed;  /* picture of the windows that wait; INT64_MAX: none */
    int64_t oldest_waiting; /* picture that waits; INT64_MAX: none */
};

struct waiting_frame {
    int lane;
    int64_t number;
};

struct waiting_window {
    int lane;
    struct clv_track *track;
    size_t segment;       /* in the track */
    int64_t oldest_frame; /* that it needs */
};

/* What waits to be computed together. */
struct batch {
    uint8_t **squares; /* [frame_max] */
    int32_t *slots;    /* [frame_max] where they go */
    struct waiting_frame *frames;
    int frame_count;
    struct waiting_window *windows; /* [window_room] */
    int32_t *window_slots;          /* [window_room, T] */
    int window_count;
};

/* Windows whose vectors are under way. */
struct flight {
    struct waiting_window *windows; /* [window_room]; without a track: dropped */
    int count;
};

struct clv_encode {
    struct clv_encoder *encoder;
    const struct clv_model_config *config;
    struct clv_pipe *pipe;
    struct clv_encode_options options;
    int frame_count; /* T */
    int lane_slots;  /* slots a lane has */
    int32_t spare_slot;
    int window_room; /* windows that may wait, whole passes of them */
    struct lane *lanes;
    struct batch *batches;
    int batch_count;
    struct flight flight;
    float *vectors; /* [window_room, E] of the flight */
    struct clv_encode_counts counts;
};

/* ---- life ---- */

static bool allocate_batch(struct batch *batch, const struct clv_encode *encode)
{
    const size_t frame_max = (size_t)encode->options.frame_max;
    const size_t room = (size_t)encode->window_room;
    batch->squares = calloc(frame_max, sizeof *batch->squares);
    batch->slots = calloc(frame_max, sizeof *batch->slots);
    batch->frames = calloc(frame_max, sizeof *batch->frames);
    batch->windows = calloc(room, sizeof *batch->windows);
    batch->window_slots = calloc(room * (size_t)encode->frame_count, sizeof *batch->window_slots);
    return batch->squares && batch->slots && batch->frames && batch->windows && batch->window_slots;
}

static int allocate(struct clv_encode *encode)
{
    encode->lanes = calloc((size_t)encode->options.lane_count, sizeof *encode->lanes);
    encode->batches = calloc((size_t)encode->batch_count, sizeof *encode->batches);
    encode->vectors = calloc((size_t)encode->window_room * (size_t)encode->config->embed_dim,
                             sizeof *encode->vectors);
    encode->flight.windows = calloc((size_t)encode->window_room, sizeof *encode->flight.windows);
    bool is_done = encode->lanes && encode->batches && encode->vectors && encode->flight.windows;
    for (int i = 0; i < encode->batch_count && is_done; i++)
        is_done = allocate_batch(&encode->batches[i], encode);
    if (!is_done)
        return clv_fail_memory("the batches of the encoder");
    for (int i = 0; i < encode->options.lane_count; i++)
        encode->lanes[i] = (struct lane){
            .batch = &encode->batches[encode->options.is_shared ? 0 : i],
            .first_slot = (int32_t)(i * encode->lane_slots),
            .oldest_needed = INT64_MAX,
            .oldest_waiting = INT64_MAX,
        };
    return CLV_OK;
}

int clv_encode_held_count(const struct clv_encode_options *options)
{
    return options->is_shared ? options->frame_max : options->frame_max * options->lane_count;
}

int clv_encode_create(struct clv_encode **out, struct clv_encoder *encoder, struct clv_pipe *pipe,
                      const struct clv_encode_options *options)
{
    *out = NULL;
    const int slot_count = clv_encoder_slot_count(encoder) - options->is_shared;
    const int lane_slots = slot_count / options->lane_count;
    if (lane_slots < pipe->frame_count)
        return clv_fail(CLV_EINVAL, "the encoder keeps %d frames, a window needs %d", lane_slots,
                        pipe->frame_count);
    struct clv_encode *encode = calloc(1, sizeof *encode);
    if (!encode)
        return clv_fail_memory("the batches of the encoder");
    encode->encoder = encoder;
    encode->config = clv_encoder_config(encoder);
    encode->pipe = pipe;
    encode->options = *options;
    encode->frame_count = pipe->frame_count;
    encode->lane_slots = lane_slots;
    encode->spare_slot = slot_count;
    encode->batch_count = options->is_shared ? 1 : options->lane_count;
    if (!options->is_shared && encode->options.frame_max > lane_slots)
        encode->options.frame_max = lane_slots;
    /* Windows that come while a pass of frames gathers wait for it; so may a pass of them not
     * quite full. */
    encode->window_room = options->window_max;
    if (options->is_shared)
        encode->window_room += (options->frame_max / options->window_max + 1) * options->window_max;
    int status = allocate(encode);
    if (status != CLV_OK) {
        clv_encode_free(encode);
        return status;
    }
    *out = encode;
    return CLV_OK;
}

void clv_encode_free(struct clv_encode *encode)
{
    if (!encode)
        return;
    for (int i = 0; i < encode->batch_count && encode->batches; i++) {
        struct batch *batch = &encode->batches[i];
        free(batch->squares);
        free(batch->slots);
        free(batch->frames);
        free(batch->windows);
        free(batch->window_slots);
    }
    if (encode->flight.count > 0)
        clv_encoder_windows_drop(encode->encoder);
    free(encode->flight.windows);
    free(encode->batches);
    free(encode->lanes);
    free(encode->vectors);
    free(encode);
}

/* ---- what goes through the model ---- */

/* Also after a failure: the squares go back. */
static int flush_frames(struct clv_encode *encode, struct batch *batch)
{
    const int count = batch->frame_count;
    int pass = count;
    if (count == 0)
        return CLV_OK;
    double begun = clv_clock_seconds();
    for (; encode->options.is_shared && pass < encode->options.frame_max; pass++) {
        batch->squares[pass] = batch->squares[0];
        batch->slots[pass] = encode->spare_slot;
    }
    int status = clv_encoder_squares(encode->encoder, batch->slots,
                                     (const uint8_t *const *)batch->squares, pass);
    for (int i = 0; i < count; i++) {
        clv_pipe_return_square(encode->pipe, batch->squares[i]);
        encode->lanes[batch->frames[i].lane].oldest_waiting = INT64_MAX;
    }
    batch->frame_count = 0;
    encode->counts.frames += count;
    encode->counts.busy_s += clv_clock_seconds() - begun;
    return status;
}

/* Takes the first `count` windows out, and notes what the others need. */
static void remove_windows(struct clv_encode *encode, struct batch *batch, int count)
{
    const size_t width = (size_t)encode->frame_count;
    for (int i = 0; i < batch->window_count; i++)
        encode->lanes[batch->windows[i].lane].oldest_needed = INT64_MAX;
    batch->window_count -= count;
    memmove(batch->windows, batch->windows + count,
            (size_t)batch->window_count * sizeof *batch->windows);
    memmove(batch->window_slots, batch->window_slots + (size_t)count * width,
            (size_t)batch->window_count * width * sizeof *batch->window_slots);
    for (int i = 0; i < batch->window_count; i++) {
        struct lane *lane = &encode->lanes[batch->windows[i].lane];
        if (batch->windows[i].oldest_frame < lane->oldest_needed)
            lane->oldest_needed = batch->windows[i].oldest_frame;
    }
}

/* Waits for the vectors under way, if any. */
static int land(struct clv_encode *encode)
{
    struct flight *flight = &encode->flight;
    const int count = flight->count;
    if (count == 0)
        return CLV_OK;
    double begun = clv_clock_seconds();
    int status = clv_encoder_windows_end(encode->encoder);
    flight->count = 0;
    for (int i = 0; i < count && status == CLV_OK; i++)
        if (flight->windows[i].track)
            status = clv_track_set(flight->windows[i].track, flight->windows[i].segment,
                                   encode->vectors + (size_t)i * (size_t)encode->config->embed_dim);
    encode->counts.busy_s += clv_clock_seconds() - begun;
    return status;
}

/* Sends off the first `count` windows, whose frames have been sent. What was under way lands
 * first: those frames keep the device at work meanwhile. */
static int run_windows(struct clv_encode *encode, struct batch *batch, int count)
{
    const size_t width = (size_t)encode->frame_count;
    int pass = count, status = land(encode);
    if (count == 0 || status != CLV_OK)
        return status;
    double begun = clv_clock_seconds();
    for (; encode->options.is_shared && pass % encode->options.window_max > 0; pass++)
        memcpy(batch->window_slots + (size_t)pass * width, batch->window_slots,
               width * sizeof *batch->window_slots);
    struct clv_window_outputs outputs = {.vectors = encode->vectors};
    status = clv_encoder_windows_begin(encode->encoder, &outputs, batch->window_slots, pass);
    if (status == CLV_OK) {
        memcpy(encode->flight.windows, batch->windows, (size_t)count * sizeof *batch->windows);
        encode->flight.count = count;
    }
    remove_windows(encode, batch, count);
    encode->counts.windows += count;
    encode->counts.busy_s += clv_clock_seconds() - begun;
    /* A lane's own batches end with its video, which waits for nothing else. */
    return status == CLV_OK && !encode->options.is_shared ? land(encode) : status;
}

static int flush(struct clv_encode *encode, struct batch *batch)
{
    int status = flush_frames(encode, batch);
    return status == CLV_OK ? run_windows(encode, batch, batch->window_count) : status;
}

/* Makes room for pictures. Where passes are shared, windows go only in whole ones. */
static int flush_full(struct clv_encode *encode, struct batch *batch)
{
    int status = flush_frames(encode, batch);
    if (status != CLV_OK || !encode->options.is_shared)
        return status;
    const int window_max = encode->options.window_max;
    return run_windows(encode, batch, batch->window_count / window_max * window_max);
}

int clv_encode_flush(struct clv_encode *encode)
{
    int status = CLV_OK;
    for (int i = 0; i < encode->batch_count && status == CLV_OK; i++)
        status = flush(encode, &encode->batches[i]);
    return status == CLV_OK ? land(encode) : status;
}

/* ---- what comes of a lane ---- */

void clv_encode_begin(struct clv_encode *encode, int lane_index, struct clv_track *track)
{
    struct lane *lane = &encode->lanes[lane_index];
    lane->track = track;
    lane->video_first = lane->next_frame;
    clv_track_clear(track);
}

int clv_encode_frame(struct clv_encode *encode, int lane_index, uint8_t *square)
{
    struct lane *lane = &encode->lanes[lane_index];
    struct batch *batch = lane->batch;
    const int64_t number = lane->next_frame++, replaced = number - encode->lane_slots;
    int status = CLV_OK;
    if (replaced >= lane->oldest_needed)
        status = flush(encode, batch);
    else if (batch->frame_count == encode->options.frame_max || replaced >= lane->oldest_waiting)
        status = flush_full(encode, batch);
    if (lane->oldest_waiting == INT64_MAX)
        lane->oldest_waiting = number;
    const int index = batch->frame_count++;
    batch->squares[index] = square;
    batch->slots[index] = lane->first_slot + (int32_t)(number % encode->lane_slots);
    batch->frames[index] = (struct waiting_frame){lane_index, number};
    return status;
}

int clv_encode_window(struct clv_encode *encode, int lane_index, const struct clv_window *window)
{
    struct lane *lane = &encode->lanes[lane_index];
    struct batch *batch = lane->batch;
    struct clv_segment segment = {window->start_ticks, window->end_ticks, window->shot, 0, NULL};
    struct waiting_window waiting = {
        .lane = lane_index,
        .track = lane->track,
        .oldest_frame = lane->video_first + window->frames[0],
    };
    int status = batch->window_count == encode->window_room ? flush(encode, batch) : CLV_OK;
    if (status == CLV_OK)
        status = clv_track_add(lane->track, &waiting.segment, &segment);
    if (status != CLV_OK)
        return status;
    int32_t *slots =
        batch->window_slots + (size_t)batch->window_count * (size_t)encode->frame_count;
    for (int i = 0; i < encode->frame_count; i++)
        slots[i] = lane->first_slot +
                   (int32_t)((lane->video_first + window->frames[i]) % encode->lane_slots);
    if (waiting.oldest_frame < lane->oldest_needed)
        lane->oldest_needed = waiting.oldest_frame;
    batch->windows[batch->window_count++] = waiting;
    return CLV_OK;
}

int clv_encode_extend(struct clv_encode *encode, int lane_index, int64_t end_ticks)
{
    struct clv_track *track = encode->lanes[lane_index].track;
    if (track->count == 0)
        return clv_fail(CLV_ERR, "there is no segment to extend");
    track->segments[track->count - 1].end_ticks = end_ticks;
    return CLV_OK;
}

int clv_encode_end(struct clv_encode *encode, int lane_index)
{
    return encode->options.is_shared ? CLV_OK : flush(encode, encode->lanes[lane_index].batch);
}

void clv_encode_drop(struct clv_encode *encode, int lane_index)
{
    struct lane *lane = &encode->lanes[lane_index];
    struct batch *batch = lane->batch;
    const size_t width = (size_t)encode->frame_count;
    int kept = 0;
    lane->oldest_waiting = INT64_MAX;
    for (int i = 0; i < batch->frame_count; i++) {
        const struct waiting_frame *frame = &batch->frames[i];
        if (frame->lane == lane_index && frame->number >= lane->video_first) {
            clv_pipe_return_square(encode->pipe, batch->squares[i]);
            continue;
        }
        if (frame->lane == lane_index && lane->oldest_waiting == INT64_MAX)
            lane->oldest_waiting = frame->number;
        batch->squares[kept] = batch->squares[i];
        batch->slots[kept] = batch->slots[i];
        batch->frames[kept++] = *frame;
    }
    batch->frame_count = kept;
    kept = 0;
    for (int i = 0; i < batch->window_count; i++) {
        if (batch->windows[i].track == lane->track)
            continue;
        memmove(batch->window_slots + (size_t)kept * width, batch->window_slots + (size_t)i * width,
                width * sizeof *batch->window_slots);
        batch->windows[kept++] = batch->windows[i];
    }
    batch->window_count = kept;
    for (int i = 0; i < encode->flight.count; i++)
        if (encode->flight.windows[i].track == lane->track)
            encode->flight.windows[i].track = NULL;
    lane->oldest_needed = INT64_MAX;
    remove_windows(encode, batch, 0);
    clv_track_clear(lane->track);
}

struct clv_encode_counts clv_encode_counts(const struct clv_encode *encode)
{
    return encode->counts;
}
