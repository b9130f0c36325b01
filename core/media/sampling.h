/* Which instants a fixed number of frames is taken at: pure arithmetic on ticks. */
#ifndef CLV_CORE_MEDIA_SAMPLING_H
#define CLV_CORE_MEDIA_SAMPLING_H

#include <stdint.h>

/* The middle of part `index` of [start_ticks, end_ticks) cut into `count` equal parts, rounded
 * down. The frame taken there is the one on display: the last whose time is not later. Exact for
 * any ticks; needs 0 <= index < count and start_ticks <= end_ticks. */
int64_t clv_sampling_instant(int64_t start_ticks, int64_t end_ticks, int count, int index);

#endif
