/* Which frames of a clip are taken, by their numbers (claver.md 2.1). */
#ifndef CLV_CORE_MODEL_SEGMENTS_H
#define CLV_CORE_MODEL_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers of `frame_count` of `total` frames into `out`, never falling. In training one of each
 * of the segments of total / frame_count frames, at random by `seed`; of fewer frames than that
 * round(i * total / frame_count), halves to even. Otherwise the middles, floor((i + 1/2) * total /
 * frame_count). Frames come several times where there are too few. */
void clv_segments_choose(int64_t *out, int64_t total, int frame_count, bool is_training,
                         uint64_t seed);

#endif
