/* The segments of one video, gathered until they are stored together. */
#ifndef CLV_INDEXER_TRACK_H
#define CLV_INDEXER_TRACK_H

#include "storage/store.h"

#include <stddef.h>
#include <stdint.h>

struct clv_track {
    struct clv_segment *segments; /* `vector` is set by clv_track_settle() */
    float *vectors;               /* [capacity, dim] */
    size_t count, capacity;
    size_t awaited_count; /* segments whose vectors are still to come */
    int dim;
};

void clv_track_init(struct clv_track *track, int dim);
void clv_track_release(struct clv_track *track);
void clv_track_clear(struct clv_track *track);

/* Adds a segment that awaits its vector; its index goes to *index_out. */
int clv_track_add(struct clv_track *track, size_t *index_out, const struct clv_segment *segment);
/* Takes the mean of unit frame features [dim] of a segment that awaits it: stores its direction and
 * its norm. CLV_ECORRUPT where it has no direction. */
int clv_track_set(struct clv_track *track, size_t index, const float *mean);
/* Adds a segment that comes with its vector [dim], of length 1, and its norm. */
int clv_track_copy(struct clv_track *track, const struct clv_segment *segment, const float *vector);
/* The bytes its segments take. */
size_t clv_track_bytes(const struct clv_track *track);
/* Points every segment at its vector. */
void clv_track_settle(struct clv_track *track);

#endif
