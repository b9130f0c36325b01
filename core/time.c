/* Rational time. The 128-bit product keeps rescaling exact. */
#include "core/time.h"

#include "core/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t clv_time_rescale(int64_t ticks, struct clv_timebase from, struct clv_timebase to)
{
    __extension__ typedef __int128 wide;
    wide numerator = (wide)ticks * from.numerator * to.denominator;
    wide denominator = (wide)from.denominator * to.numerator;
    wide half = denominator / 2;
    wide result = (numerator >= 0 ? numerator + half : numerator - half) / denominator;
    if (result > INT64_MAX)
        return INT64_MAX;
    if (result < INT64_MIN)
        return INT64_MIN;
    return (int64_t)result;
}

double clv_time_seconds(int64_t ticks, struct clv_timebase base)
{
    return (double)ticks * base.numerator / base.denominator;
}

char *clv_time_format(char out[CLV_TIME_TEXT_SIZE], int64_t time_ms)
{
    const char *sign = time_ms < 0 ? "-" : "";
    uint64_t ms = time_ms < 0 ? -(uint64_t)time_ms : (uint64_t)time_ms;
    uint64_t seconds = ms / 1000, minutes = seconds / 60, hours = minutes / 60;
    if (hours)
        snprintf(out, CLV_TIME_TEXT_SIZE, "%s%" PRIu64 ":%02d:%02d.%03d", sign, hours,
                 (int)(minutes % 60), (int)(seconds % 60), (int)(ms % 1000));
    else
        snprintf(out, CLV_TIME_TEXT_SIZE, "%s%d:%02d.%03d", sign, (int)minutes, (int)(seconds % 60),
                 (int)(ms % 1000));
    return out;
}

/* Digits before an optional fraction of up to 9 digits. False where `text` is not that. */
static int parse_field(const char **text, uint64_t *whole)
{
    const char *at = *text;
    uint64_t value = 0;
    while (*at >= '0' && *at <= '9') {
        if (value > 1000000000)
            return 0;
        value = value * 10 + (uint64_t)(*at++ - '0');
    }
    if (at == *text)
        return 0;
    *text = at;
    *whole = value;
    return 1;
}

int clv_time_parse(int64_t *time_ms_out, const char *text)
{
    const char *at = text;
    uint64_t total = 0, field;
    int fields = 0;
    for (;;) {
        if (fields == 3 || !parse_field(&at, &field) || (fields > 0 && field > 59))
            return clv_fail(CLV_EINVAL, "'%s' is not a time like 83.5, 1:23.5 or 1:02:03", text);
        total = total * 60 + field;
        fields++;
        if (*at != ':')
            break;
        at++;
    }
    uint64_t ms = 0;
    if (*at == '.') {
        at++;
        uint64_t scale = 100;
        if (*at < '0' || *at > '9')
            return clv_fail(CLV_EINVAL, "'%s' is not a time like 83.5, 1:23.5 or 1:02:03", text);
        for (; *at >= '0' && *at <= '9'; at++, scale /= 10)
            ms += scale * (uint64_t)(*at - '0');
    }
    if (*at != '\0')
        return clv_fail(CLV_EINVAL, "'%s' is not a time like 83.5, 1:23.5 or 1:02:03", text);
    *time_ms_out = (int64_t)(total * 1000 + ms);
    return CLV_OK;
}
