/* core/half: every half, and narrowing against a reference that searches for the nearest half. */
#include "core/half.h"

#include "tests/t.h"

#include <math.h>
#include <string.h>

/* The value of a half by the definition of the format. */
static double value_of(uint16_t half)
{
    int exponent = (half >> 10) & 31;
    int significand = half & 1023;
    double magnitude = exponent == 0    ? ldexp(significand, -24)
                       : exponent == 31 ? (significand ? NAN : INFINITY)
                                        : ldexp(1024 + significand, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

/* Nearest positive half by bisection, ties to the even one; 0x7bff's upper neighbour counts as
 * 65536 for rounding. */
static uint16_t nearest(double magnitude)
{
    uint16_t low = 0, high = 0x7c00;
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (value_of(middle) <= magnitude)
            low = middle;
        else
            high = middle;
    }
    double above = high == 0x7c00 ? 65536.0 : value_of(high);
    double down = magnitude - value_of(low), up = above - magnitude;
    return down < up || (down == up && low % 2 == 0) ? low : high;
}

static void widens_every_half(void)
{
    for (int half = 0; half < 65536; half++) {
        double want = value_of((uint16_t)half);
        float got = clv_half_to_float((uint16_t)half);
        if (isnan(want) ? !isnan(got) : got != want || (signbit(got) != 0) != (half >= 32768))
            t_fail(__FILE__, __LINE__, "half %04x widens to %g, want %g", half, got, want);
        if (!isnan(want))
            CHECK_INT(clv_half_from_float(got), half);
        else
            CHECK((clv_half_from_float(got) & 0x7c00) == 0x7c00 &&
                  (clv_half_from_float(got) & 0x3ff) != 0);
    }
}

static void rounds_to_nearest_even(void)
{
    uint64_t seed = 1;
    for (int half = 0; half < 0x7bff; half++) {
        double low = value_of((uint16_t)half), high = value_of((uint16_t)(half + 1));
        float tie = (float)((low + high) / 2);
        CHECK_INT(clv_half_from_float(tie), half + half % 2);
        CHECK_INT(clv_half_from_float(nextafterf(tie, 0)), half);
        CHECK_INT(clv_half_from_float(nextafterf(tie, INFINITY)), half + 1);
        CHECK_INT(clv_half_from_float(-tie), 0x8000 + half + half % 2);
    }
    for (int i = 0; i < 200000 && !t_failed(); i++) {
        uint32_t bits = (uint32_t)t_random(&seed) & 0x7fffffffu;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (value < 65520.0f)
            CHECK_INT(clv_half_from_float(value), nearest(value));
    }
    CHECK_INT(clv_half_from_float(65519.996f), 0x7bff);
    CHECK_INT(clv_half_from_float(65520.0f), 0x7c00);
    CHECK_INT(clv_half_from_float(INFINITY), 0x7c00);
    CHECK_INT(clv_half_from_float(-INFINITY), 0xfc00);
    CHECK_INT(clv_half_from_float(-0.0f), 0x8000);
}

static void arrays_agree_with_single_values(void)
{
    enum { COUNT = 1003 };
    static float in[COUNT], wide[COUNT + 1];
    static uint16_t half[COUNT + 1];
    uint64_t seed = 2;
    for (int i = 0; i < COUNT; i++) {
        uint32_t bits = (uint32_t)t_random(&seed);
        memcpy(&in[i], &bits, sizeof bits);
        if (i % 2)
            in[i] = (float)t_normal(&seed);
    }
    for (int count = 0; count < 40; count++) {
        half[count] = 0xabcd;
        clv_half_narrow(half, in, (size_t)count);
        CHECK_INT(half[count], 0xabcd);
    }
    half[COUNT] = 0xabcd;
    wide[COUNT] = 1.5f;
    clv_half_narrow(half, in, COUNT);
    clv_half_widen(wide, half, COUNT);
    for (int i = 0; i < COUNT; i++) {
        float one = clv_half_to_float(half[i]);
        CHECK_INT(half[i], clv_half_from_float(in[i]));
        CHECK(memcmp(&one, &wide[i], sizeof one) == 0);
    }
    CHECK_INT(half[COUNT], 0xabcd);
    CHECK(wide[COUNT] == 1.5f);
}

int main(void)
{
    T_RUN(widens_every_half);
    T_RUN(rounds_to_nearest_even);
    T_RUN(arrays_agree_with_single_values);
    return t_end();
}
