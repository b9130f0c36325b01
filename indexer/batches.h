/* How much is read and computed at a time, by the kind of device: the one place that knows. */
#ifndef CLV_INDEXER_BATCHES_H
#define CLV_INDEXER_BATCHES_H

#include "core/compute/device.h"
#include "indexer/ingest.h"

#include <stdbool.h>
#include <stddef.h>

struct clv_batches {
    int reader_count; /* files decoded at once */
    bool is_shared;   /* whether batches span videos */
    int frame_max, window_max;
    int slot_count; /* of the encoder, for all readers together */
};

/* For windows of `frame_count` frames; what `options` leave open is filled in. */
void clv_batches_choose(struct clv_batches *out, enum clv_device_kind kind, int frame_count,
                        const struct clv_ingest_options *options);
/* Half of each batch, slots to match. False where they are as small as on a CPU already. */
bool clv_batches_halve(struct clv_batches *batches, int frame_count);
/* Files decoded at once for what computes on such a device: `wanted`, or where that is 0 what
 * `decode_threads` (0: one a core) suggest. */
int clv_batches_readers(enum clv_device_kind kind, int wanted, int decode_threads);
/* Threads of each file's decoder where so many share `decode_threads`; 0: as many as it likes. */
int clv_batches_decode_threads(int decode_threads, int reader_count);

#endif
