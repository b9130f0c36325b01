/* Rational time: an integer count of a stream's own time base. Carried as such everywhere and
 * turned into seconds only to be shown. */
#ifndef CLV_CORE_TIME_H
#define CLV_CORE_TIME_H

#include <stdint.h>

/* One tick lasts numerator / denominator seconds; both positive. */
struct clv_timebase {
    int32_t numerator;
    int32_t denominator;
};

/* Ticks of `to` nearest to `ticks` of `from`; halves round away from zero; saturates instead of
 * overflowing. */
int64_t clv_time_rescale(int64_t ticks, struct clv_timebase from, struct clv_timebase to);

/* For showing only. */
double clv_time_seconds(int64_t ticks, struct clv_timebase base);

/* "1:02:03.450" or "2:03.450" into `out` (16 bytes are enough up to 10^7 hours with 24); returns
 * `out`. Negative times show a leading '-'. */
#define CLV_TIME_TEXT_SIZE 32
char *clv_time_format(char out[CLV_TIME_TEXT_SIZE], int64_t time_ms);

/* Reads "83", "83.5", "1:23.5" or "1:02:03.450"; CLV_EINVAL for anything else. */
int clv_time_parse(int64_t *time_ms_out, const char *text);

#endif
