/* Private to core/compute: copies within host memory by several threads, for one core moves less
 * than what a device's bus takes. */
#ifndef CLV_CORE_COMPUTE_SPREAD_H
#define CLV_CORE_COMPUTE_SPREAD_H

#include <stddef.h>

/* How many threads such copies may take of `thread_count`, or where that is 0 of OpenMP's own
 * number: a few, and none where there are few, for decoders want them too. */
int clv_spread_threads(int thread_count);

/* to[0 .. size_bytes) = from, which does not overlap it. */
void clv_spread_copy(void *to, const void *from, size_t size_bytes, int thread_count);

/* The parts one after another. */
void clv_spread_parts(void *to, const void *const *parts, int count, size_t part_bytes,
                      int thread_count);

#endif
