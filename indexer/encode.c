/* Picture n of a video lives in slot n % slot_count. A slot is taken anew only when no window that
 * waits needs it: before that, everything that waits is computed. Windows still to come need the
 * last T pictures at most, so T slots are enough; more make larger batches. */
#include "indexer/encode.h"

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#include <stdlib.h>

struct clv_encode {
    struct clv_encoder *encoder;
    const struct clv_model_config *config;
    struct clv_pipe *pipe;
    struct clv_track *track;
    int frame_count; /* T */
    int slot_count, frame_max, window_max;

    uint8_t **squares; /* [frame_max] waiting */
    int32_t *slots;    /* [frame_max] where they go */
    int waiting_frames;
    int64_t next_frame; /* number of the next picture of this video */

    int32_t *window_slots; /* [window_max, T] */
    size_t *segments;      /* [window_max] their places in the track */
    float *vectors;        /* [window_max, E] */
    int waiting_windows;
    int64_t oldest_needed; /* picture of the windows that wait */

    struct clv_encode_counts counts;
};

static int allocate(struct clv_encode *encode)
{
    size_t frame_max = (size_t)encode->frame_max, window_max = (size_t)encode->window_max;
    encode->squares = calloc(frame_max, sizeof *encode->squares);
    encode->slots = calloc(frame_max, sizeof *encode->slots);
    encode->window_slots =
        calloc(window_max * (size_t)encode->frame_count, sizeof *encode->window_slots);
    encode->segments = calloc(window_max, sizeof *encode->segments);
    encode->vectors =
        calloc(window_max * (size_t)encode->config->embed_dim, sizeof *encode->vectors);
    return encode->squares && encode->slots && encode->window_slots && encode->segments &&
                   encode->vectors
               ? CLV_OK
               : clv_fail_memory("the batches of the encoder");
}

int clv_encode_create(struct clv_encode **out, struct clv_encoder *encoder, struct clv_pipe *pipe,
                      int frame_max, int window_max)
{
    *out = NULL;
    int slot_count = clv_encoder_slot_count(encoder);
    if (slot_count < pipe->frame_count)
        return clv_fail(CLV_EINVAL, "the encoder keeps %d frames, a window needs %d", slot_count,
                        pipe->frame_count);
    struct clv_encode *encode = calloc(1, sizeof *encode);
    if (!encode)
        return clv_fail_memory("the batches of the encoder");
    encode->encoder = encoder;
    encode->config = clv_encoder_config(encoder);
    encode->pipe = pipe;
    encode->frame_count = pipe->frame_count;
    encode->slot_count = slot_count;
    encode->frame_max = frame_max < slot_count ? frame_max : slot_count;
    encode->window_max = window_max;
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
    free(encode->squares);
    free(encode->slots);
    free(encode->window_slots);
    free(encode->segments);
    free(encode->vectors);
    free(encode);
}

static void return_squares(struct clv_encode *encode)
{
    for (int i = 0; i < encode->waiting_frames; i++)
        clv_pipe_return_square(encode->pipe, encode->squares[i]);
    encode->waiting_frames = 0;
}

void clv_encode_begin(struct clv_encode *encode, struct clv_track *track)
{
    return_squares(encode);
    encode->waiting_windows = 0;
    encode->next_frame = 0;
    encode->track = track;
    clv_track_clear(track);
}

static int flush_frames(struct clv_encode *encode)
{
    int count = encode->waiting_frames;
    if (count == 0)
        return CLV_OK;
    double begun = clv_clock_seconds();
    int status = clv_encoder_squares(encode->encoder, encode->slots,
                                     (const uint8_t *const *)encode->squares, count);
    return_squares(encode);
    encode->counts.frames += count;
    encode->counts.busy_s += clv_clock_seconds() - begun;
    return status;
}

int clv_encode_flush(struct clv_encode *encode)
{
    int status = flush_frames(encode);
    int count = encode->waiting_windows;
    if (status != CLV_OK || count == 0)
        return status;
    double begun = clv_clock_seconds();
    struct clv_window_outputs outputs = {.vectors = encode->vectors};
    status = clv_encoder_windows(encode->encoder, &outputs, encode->window_slots, count);
    for (int i = 0; i < count && status == CLV_OK; i++)
        status = clv_track_set(encode->track, encode->segments[i],
                               encode->vectors + (size_t)i * (size_t)encode->config->embed_dim);
    encode->waiting_windows = 0;
    encode->counts.windows += count;
    encode->counts.busy_s += clv_clock_seconds() - begun;
    return status;
}

int clv_encode_frame(struct clv_encode *encode, uint8_t *square)
{
    int status = CLV_OK;
    int64_t frame = encode->next_frame++;
    if (encode->waiting_windows > 0 && frame - encode->slot_count >= encode->oldest_needed)
        status = clv_encode_flush(encode);
    else if (encode->waiting_frames == encode->frame_max)
        status = flush_frames(encode);
    encode->squares[encode->waiting_frames] = square;
    encode->slots[encode->waiting_frames++] = (int32_t)(frame % encode->slot_count);
    return status;
}

int clv_encode_window(struct clv_encode *encode, const struct clv_window *window)
{
    int status = encode->waiting_windows == encode->window_max ? clv_encode_flush(encode) : CLV_OK;
    int index = encode->waiting_windows;
    struct clv_segment segment = {window->start_ticks, window->end_ticks, window->shot, 0, NULL};
    if (status == CLV_OK)
        status = clv_track_add(encode->track, &encode->segments[index], &segment);
    if (status != CLV_OK)
        return status;
    for (int i = 0; i < encode->frame_count; i++)
        encode->window_slots[(size_t)index * (size_t)encode->frame_count + (size_t)i] =
            (int32_t)(window->frames[i] % encode->slot_count);
    if (index == 0 || window->frames[0] < encode->oldest_needed)
        encode->oldest_needed = window->frames[0];
    encode->waiting_windows++;
    return CLV_OK;
}

int clv_encode_extend(struct clv_encode *encode, int64_t end_ticks)
{
    if (encode->track->count == 0)
        return clv_fail(CLV_ERR, "there is no segment to extend");
    encode->track->segments[encode->track->count - 1].end_ticks = end_ticks;
    return CLV_OK;
}

struct clv_encode_counts clv_encode_counts(const struct clv_encode *encode)
{
    return encode->counts;
}
