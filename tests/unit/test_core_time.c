/* Rational time, and its text. */
#include "core/error.h"
#include "core/time.h"
#include "tests/t.h"

#include <string.h>

static const struct clv_timebase ms = {1, 1000}, pal = {1, 25}, ntsc = {1001, 30000},
                                 mpeg = {1, 90000}, ns = {1, 1000000000}, seconds = {1, 1};

static void rescaling_is_exact_and_rounds_to_nearest(void)
{
    CHECK_INT(clv_time_rescale(25, pal, ms), 1000);
    CHECK_INT(clv_time_rescale(1, ntsc, mpeg), 3003);
    CHECK_INT(clv_time_rescale(1, ntsc, ms), 33);
    CHECK_INT(clv_time_rescale(-1, ntsc, ms), -33);
    CHECK_INT(clv_time_rescale(0, ntsc, ms), 0);
    CHECK_INT(clv_time_rescale(1500, ms, seconds), 2); /* halves away from zero */
    CHECK_INT(clv_time_rescale(-1500, ms, seconds), -2);
    CHECK_INT(clv_time_rescale(1499, ms, seconds), 1);
    CHECK_INT(clv_time_rescale(2500, ms, seconds), 3);
    /* Ten years of an MPEG clock, where doubles would still do, and what they would not. */
    CHECK_INT(clv_time_rescale(INT64_C(28382400000000), mpeg, ms), INT64_C(315360000000));
    CHECK_INT(clv_time_rescale(INT64_C(9007199254740993), ms, ms), INT64_C(9007199254740993));
}

static void rescaling_saturates(void)
{
    struct clv_timebase slow = {INT32_MAX, 1}, fast = {1, INT32_MAX};
    CHECK_INT(clv_time_rescale(INT64_MAX, seconds, ns), INT64_MAX);
    CHECK_INT(clv_time_rescale(INT64_MIN, seconds, ns), INT64_MIN);
    CHECK_INT(clv_time_rescale(INT64_MAX, slow, fast), INT64_MAX);
    CHECK_INT(clv_time_rescale(INT64_MIN, slow, fast), INT64_MIN);
    CHECK_INT(clv_time_rescale(INT64_MAX, fast, slow), 2);
    CHECK_INT(clv_time_rescale(INT64_MAX, ms, ms), INT64_MAX);
    CHECK_INT(clv_time_rescale(INT64_MIN, ms, ms), INT64_MIN);
}

static void there_and_back_is_the_same(void)
{
    uint64_t seed = 9;
    for (int i = 0; i < 1000; i++) {
        int64_t ticks = (int64_t)(t_random(&seed) >> 20) - ((int64_t)1 << 43);
        CHECK_INT(clv_time_rescale(clv_time_rescale(ticks, ntsc, mpeg), mpeg, ntsc), ticks);
    }
    CHECK_NEAR(clv_time_seconds(30000, ntsc), 1001.0, 1e-12);
    CHECK_NEAR(clv_time_seconds(-25, pal), -1.0, 1e-15);
}

static void check_format(int64_t time_ms, const char *want)
{
    char text[CLV_TIME_TEXT_SIZE];
    CHECK_STRING(clv_time_format(text, time_ms), want);
}

static void times_are_written(void)
{
    check_format(0, "0:00.000");
    check_format(999, "0:00.999");
    check_format(123450, "2:03.450");
    check_format(3723450, "1:02:03.450");
    check_format(3599999, "59:59.999");
    check_format(3600000, "1:00:00.000");
    check_format(-1500, "-0:01.500");
    check_format(INT64_MAX, "2562047788015:12:55.807");
    check_format(INT64_MIN, "-2562047788015:12:55.808");
}

static void check_parse(const char *text, int64_t want)
{
    int64_t time_ms = -77;
    CHECK_OK(clv_time_parse(&time_ms, text));
    CHECK_INT(time_ms, want);
}

static void times_are_read(void)
{
    check_parse("0", 0);
    check_parse("83", 83000);
    check_parse("83.5", 83500);
    check_parse("1:23.5", 83500);
    check_parse("1:02:03.450", 3723450);
    check_parse("01:02:03", 3723000);
    check_parse("0.001", 1);
    check_parse("0.0019999999999999999999", 1); /* below a millisecond: dropped */
    check_parse("100000:00:00", INT64_C(360000000000));
    check_parse("90:00", 5400000);
}

static void other_texts_are_no_times(void)
{
    static const char *const bad[] = {"",        " ",
                                      "x",       "1:",
                                      ":1",      "1:60",
                                      "1:2:3:4", "-5",
                                      "+5",      "5 ",
                                      " 5",      "1.",
                                      ".5",      "1.5:3",
                                      "1:60:0",  "0:1:x",
                                      "1e3",     "1,5",
                                      "nan",     "0x10",
                                      "1..5",    "99999999999999999999",
                                      "1:-5",    "5s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t time_ms = -77;
        CHECK_ERROR(clv_time_parse(&time_ms, bad[i]), CLV_EINVAL, "is not a time like");
        CHECK_INT(time_ms, -77);
    }
}

static void what_is_written_is_read_back(void)
{
    uint64_t seed = 4;
    char text[CLV_TIME_TEXT_SIZE];
    for (int i = 0; i < 1000; i++) {
        int64_t want = (int64_t)(t_random(&seed) >> (20 + i % 30)), got = -1;
        CHECK_OK(clv_time_parse(&got, clv_time_format(text, want)));
        CHECK_INT(got, want);
    }
}

int main(void)
{
    T_RUN(rescaling_is_exact_and_rounds_to_nearest);
    T_RUN(rescaling_saturates);
    T_RUN(there_and_back_is_the_same);
    T_RUN(times_are_written);
    T_RUN(times_are_read);
    T_RUN(other_texts_are_no_times);
    T_RUN(what_is_written_is_read_back);
    return t_end();
}
