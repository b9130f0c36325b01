/* The encoding side: pictures and windows in, vectors out, batched. Each picture goes through the
 * spatial branch once; its tokens stay in a slot of the encoder while windows may need them.
 *
 * Pictures and windows come by lanes, each with one video at a time. Batches are either each
 * lane's own and end with its video, so that what is computed with what depends on the video alone;
 * or all lanes share them, so that many short videos fill large batches. Shared batches are always
 * whole to the model, whatever is missing: every pass then has the same shape. The vectors of one
 * shared batch arrive while the next gathers, so that the device need not wait for the host. */
#ifndef CLV_INDEXER_ENCODE_H
#define CLV_INDEXER_ENCODE_H

#include "core/model/encoder.h"
#include "indexer/pipe.h"
#include "indexer/track.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_encode;

struct clv_encode_options {
    int lane_count; /* the encoder's slots are divided among them, at least T to each */
    int frame_max;  /* pictures a pass, at most */
    int window_max; /* windows a pass, at most */
    bool is_shared; /* by all lanes; needs one slot more */
};

/* Squares the batches hold at most. */
int clv_encode_held_count(const struct clv_encode_options *options);

/* Borrows `encoder`, and `pipe` (whose T it is), where squares go back to. */
int clv_encode_create(struct clv_encode **out, struct clv_encoder *encoder, struct clv_pipe *pipe,
                      const struct clv_encode_options *options);
void clv_encode_free(struct clv_encode *encode);

/* The lane's next video, whose segments go to `track`: it stays where it is until none of them
 * awaits its vector. */
void clv_encode_begin(struct clv_encode *encode, int lane, struct clv_track *track);
/* Takes the square over. */
int clv_encode_frame(struct clv_encode *encode, int lane, uint8_t *square);
int clv_encode_window(struct clv_encode *encode, int lane, const struct clv_window *window);
int clv_encode_extend(struct clv_encode *encode, int lane, int64_t end_ticks);
/* The lane's video is complete. What is left of it is computed now or, with shared batches, when
 * they are full or flushed. */
int clv_encode_end(struct clv_encode *encode, int lane);
/* The lane's video came to nothing: what waits of it is forgotten, and the track is emptied. */
void clv_encode_drop(struct clv_encode *encode, int lane);
/* Computes everything taken so far. */
int clv_encode_flush(struct clv_encode *encode);

struct clv_encode_counts {
    int64_t frames, windows; /* that went through the model, those that only fill up left out */
    double busy_s;
};
struct clv_encode_counts clv_encode_counts(const struct clv_encode *encode);

#endif
