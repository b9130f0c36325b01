/* The encoding side: pictures and windows in, vectors out, batched. Each picture goes through the
 * spatial branch once; its tokens stay in a slot of the encoder while windows may need them. */
#ifndef CLV_INDEXER_ENCODE_H
#define CLV_INDEXER_ENCODE_H

#include "core/model/encoder.h"
#include "indexer/pipe.h"
#include "indexer/track.h"

#include <stddef.h>
#include <stdint.h>

struct clv_encode;

/* Borrows `encoder`, which must have at least T slots, and `pipe` (whose T it is), where squares go
 * back to. Batches are at most `frame_max` pictures and `window_max` windows. */
int clv_encode_create(struct clv_encode **out, struct clv_encoder *encoder, struct clv_pipe *pipe,
                      int frame_max, int window_max);
void clv_encode_free(struct clv_encode *encode);

/* The next video, whose segments go to `track`; what was unfinished of the last one is dropped. */
void clv_encode_begin(struct clv_encode *encode, struct clv_track *track);
/* Takes the square over. */
int clv_encode_frame(struct clv_encode *encode, uint8_t *square);
int clv_encode_window(struct clv_encode *encode, const struct clv_window *window);
int clv_encode_extend(struct clv_encode *encode, int64_t end_ticks);
/* Computes everything taken so far. */
int clv_encode_flush(struct clv_encode *encode);

struct clv_encode_counts {
    int64_t frames, windows; /* that went through the model */
    double busy_s;
};
struct clv_encode_counts clv_encode_counts(const struct clv_encode *encode);

#endif
