/* core/media/sampling: against the definition, and the published sampler's numbers. */
#include "core/media/sampling.h"

#include "tests/t.h"

/* The instant x is right where it is the only integer with x <= exact < x + 1, in terms of
 * 2 * count * (x - start). */
static void check_case(int64_t start, int64_t end, int count)
{
    int64_t length = end - start, last = start;
    for (int i = 0; i < count; i++) {
        int64_t instant = clv_sampling_instant(start, end, count, i);
        int64_t exact = length * (2 * i + 1), got = (instant - start) * 2 * count;
        CHECK(got <= exact && exact < got + 2 * count);
        CHECK(instant >= last && (instant < end || length == 0));
        last = instant;
    }
}

static void is_the_middle_of_each_part(void)
{
    for (int64_t length = 0; length < 200; length++)
        for (int count = 1; count < 34; count++) {
            check_case(0, length, count);
            check_case(-77, length - 77, count);
        }
}

/* claver.md 2.1: floor(i * F / T + F / 2T), F = 300 and 250. */
static void agrees_with_the_published_sampler(void)
{
    static const int of_300[] = {18, 56, 93, 131, 168, 206, 243, 281};
    static const int of_250[] = {7,   23,  39,  54,  70,  85,  101, 117,
                                 132, 148, 164, 179, 195, 210, 226, 242};
    for (int i = 0; i < 8; i++)
        CHECK_INT(clv_sampling_instant(0, 300, 8, i), of_300[i]);
    for (int i = 0; i < 16; i++)
        CHECK_INT(clv_sampling_instant(0, 250, 16, i), of_250[i]);
}

static void does_not_overflow(void)
{
    CHECK_INT(clv_sampling_instant(INT64_MIN, INT64_MAX, 2, 0), -4611686018427387905);
    CHECK_INT(clv_sampling_instant(0, INT64_MAX, 32, 31), 9079256848778919935);
    CHECK_INT(clv_sampling_instant(INT64_MAX, INT64_MAX, 8, 7), INT64_MAX);
}

int main(void)
{
    T_RUN(is_the_middle_of_each_part);
    T_RUN(agrees_with_the_published_sampler);
    T_RUN(does_not_overflow);
    return t_end();
}
