/* The two clocks: one that never jumps, for durations; one that people read, for records. */
#ifndef CLV_CORE_CLOCK_H
#define CLV_CORE_CLOCK_H

#include <stdint.h>

/* Seconds of a monotonic clock of arbitrary origin. */
double clv_clock_seconds(void);

/* Milliseconds since 1970-01-01 UTC. */
int64_t clv_clock_unix_ms(void);

#endif
