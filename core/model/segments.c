#include "core/model/segments.h"

#include "core/model/random.h"

#include <assert.h>

/* numerator / denominator, halves to even; both positive or zero. */
static int64_t round_even(int64_t numerator, int64_t denominator)
{
    int64_t whole = numerator / denominator, twice = 2 * (numerator % denominator);
    if (twice > denominator || (twice == denominator && whole % 2))
        whole++;
    return whole;
}

void clv_segments_choose(int64_t *out, int64_t total, int frame_count, bool is_training,
                         uint64_t seed)
{
    assert(total > 0 && frame_count > 0 && total < INT64_MAX / (4 * (int64_t)frame_count));
    int64_t segment = total / frame_count;
    struct clv_random random = clv_random_stream(seed, CLV_RANDOM_FRAMES, 0, 0);
    for (int i = 0; i < frame_count; i++) {
        if (!is_training)
            out[i] = (2 * i + 1) * total / (2 * (int64_t)frame_count);
        else if (segment == 0)
            out[i] = round_even(i * total, frame_count);
        else
            out[i] = i * segment + (int64_t)(clv_random_uniform(&random) * (double)segment);
        if (out[i] > total - 1)
            out[i] = total - 1;
    }
}
