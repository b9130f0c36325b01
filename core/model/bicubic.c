/* Pillow's antialiased bicubic for 8-bit pixels (libImaging/Resample.c): weights in fixed point
 * with 22 bits, the horizontal pass first, 8 bits kept between the passes.
 *
 * The horizontal pass is the work: a 4K frame has 2160 rows of 224 pixels of 40 weights. Weights
 * are spread to one per byte (r, g, b the same) and padded with zeros to whole groups of 8 pixels,
 * so that the inner loop multiplies 24 bytes by 24 weights. */
#include "core/arena.h"
#include "core/model/resample.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define FRACTION_BITS 22
#define GROUP 8      /* pixels */
#define ROW_BLOCK 16 /* rows that share a pixel's weights while those are in the cache */

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_AVX2 1
#endif

/* Where the parts of the scratch memory begin. */
struct plan {
    int x_taps; /* padded to whole groups, at most the padded width */
    int y_taps;
    int row_first; /* rows of the picture that the square needs */
    int row_count;
    int padded_width; /* 0: rows are read where they are */
    size_t x_start, x_weight, y_start, y_weight, rows, padded, total;
};

/* Keys's cubic with a = -0.5. */
static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

static double scale_of(const struct clv_axis *axis)
{
    return (double)axis->in / (double)axis->out;
}

static double support_of(const struct clv_axis *axis)
{
    return 2.0 * fmax(scale_of(axis), 1.0);
}

/* The input pixels [*begin, *end) that output pixel `first + i` is made of. */
static void reach(int *begin, int *end, const struct clv_axis *axis, int i)
{
    double center = ((double)(axis->first + i) + 0.5) * scale_of(axis);
    double low = center - support_of(axis) + 0.5, high = center + support_of(axis) + 0.5;
    *begin = low < 0 ? 0 : (int)low;
    *end = high > axis->in ? axis->in : (int)high;
}

static bool place(size_t *at, size_t *total, size_t count, size_t element_bytes)
{
    size_t bytes;
    *at = *total;
    if (!clv_size_multiply(&bytes, count, element_bytes) || bytes > SIZE_MAX / 2 - *total)
        return false;
    *total = (*total + bytes + 63) / 64 * 64;
    return true;
}

static bool make_plan(struct plan *plan, const struct clv_axis *x, const struct clv_axis *y)
{
    memset(plan, 0, sizeof *plan);
    int side = x->side, begin, end;
    plan->x_taps = (int)(2 * ceil(support_of(x)) + 1 + GROUP - 1) / GROUP * GROUP;
    plan->y_taps = (int)(2 * ceil(support_of(y)) + 1);
    plan->padded_width = plan->x_taps > x->in ? plan->x_taps : 0;
    reach(&plan->row_first, &end, y, 0);
    reach(&begin, &end, y, side - 1);
    plan->row_count = end - plan->row_first;
    size_t count = (size_t)side, x_taps = (size_t)plan->x_taps, y_taps = (size_t)plan->y_taps;
    return place(&plan->x_start, &plan->total, count, sizeof(int32_t)) &&
           place(&plan->x_weight, &plan->total, 3 * count, x_taps * sizeof(int32_t)) &&
           place(&plan->y_start, &plan->total, count, sizeof(int32_t)) &&
           place(&plan->y_weight, &plan->total, count, y_taps * sizeof(int32_t)) &&
           place(&plan->rows, &plan->total, (size_t)plan->row_count, 3 * count) &&
           place(&plan->padded, &plan->total, (size_t)plan->padded_width, 3);
}

bool clv_bicubic_scratch(size_t *bytes_out, const struct clv_axis *x, const struct clv_axis *y)
{
    struct plan plan;
    bool fits = make_plan(&plan, x, y);
    *bytes_out = plan.total;
    return fits;
}

/* The weight of input pixel `at` before normalisation. */
static double raw_weight(const struct clv_axis *axis, int i, int at)
{
    double center = ((double)(axis->first + i) + 0.5) * scale_of(axis);
    return cubic((at - center + 0.5) * (1.0 / fmax(scale_of(axis), 1.0)));
}

/* Weights of output pixel i, one every `step` elements; the first belongs to input pixel *start,
 * which is moved left where `taps` pixels from it would pass the end. `weights` is zero. */
static void weigh(int32_t *start, int32_t *weights, const struct clv_axis *axis, int i, int taps,
                  int step)
{
    int begin, end;
    reach(&begin, &end, axis, i);
    double sum = 0.0;
    for (int at = begin; at < end; at++)
        sum += raw_weight(axis, i, at);
    *start = begin + taps <= axis->in ? begin : axis->in > taps ? axis->in - taps : 0;
    for (int at = begin; at < end; at++) {
        double weight = raw_weight(axis, i, at) / (sum != 0.0 ? sum : 1.0);
        double scaled = weight * (1 << FRACTION_BITS);
        for (int j = 0; j < step; j++)
            weights[(at - *start) * step + j] = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
}

void clv_bicubic_prepare(void *scratch, const struct clv_axis *x, const struct clv_axis *y)
{
    struct plan plan;
    bool fits = make_plan(&plan, x, y);
    assert(fits);
    (void)fits;
    unsigned char *base = scratch;
    memset(base, 0, plan.total);
    int32_t *x_start = (int32_t *)(void *)(base + plan.x_start);
    int32_t *x_weight = (int32_t *)(void *)(base + plan.x_weight);
    int32_t *y_start = (int32_t *)(void *)(base + plan.y_start);
    int32_t *y_weight = (int32_t *)(void *)(base + plan.y_weight);
    for (int i = 0; i < x->side; i++) {
        weigh(&x_start[i], x_weight + (size_t)i * 3 * (size_t)plan.x_taps, x, i, plan.x_taps, 3);
        weigh(&y_start[i], y_weight + (size_t)i * (size_t)plan.y_taps, y, i, plan.y_taps, 1);
    }
}

static inline uint8_t clip(int32_t sum)
{
    sum >>= FRACTION_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One pixel of one row: taps * 3 bytes times as many weights. */
static inline __attribute__((always_inline)) void dot(uint8_t *out, const uint8_t *restrict pixels,
                                                      const int32_t *restrict weights, int taps)
{
    int32_t sums[3 * GROUP] = {0};
    for (int t = 0; t < 3 * taps; t += 3 * GROUP)
        for (int i = 0; i < 3 * GROUP; i++)
            sums[i] += pixels[t + i] * weights[t + i];
    for (int c = 0; c < 3; c++) {
        int32_t sum = 1 << (FRACTION_BITS - 1);
        for (int i = c; i < 3 * GROUP; i += 3)
            sum += sums[i];
        out[c] = clip(sum);
    }
}

/* out [row_count, side, 3] */
static inline __attribute__((always_inline)) void horizontal(uint8_t *out, const uint8_t *pixels,
                                                             size_t stride, int row_count, int side,
                                                             const int32_t *starts,
                                                             const int32_t *weights, int taps)
{
    for (int block = 0; block < row_count; block += ROW_BLOCK) {
        int end = block + ROW_BLOCK < row_count ? block + ROW_BLOCK : row_count;
        for (int i = 0; i < side; i++)
            for (int row = block; row < end; row++)
                dot(out + ((size_t)row * (size_t)side + (size_t)i) * 3,
                    pixels + (size_t)row * stride + (size_t)starts[i] * 3,
                    weights + (size_t)i * 3 * (size_t)taps, taps);
    }
}

/* One row of the square out of `taps` rows of `size` bytes. */
static inline __attribute__((always_inline)) void vertical(uint8_t *restrict out,
                                                           const uint8_t *restrict rows, int size,
                                                           const int32_t *restrict weights,
                                                           int taps)
{
    enum { PIECE = 96 };
    for (int first = 0; first < size; first += PIECE) {
        int count = size - first < PIECE ? size - first : PIECE;
        int32_t sums[PIECE];
        for (int i = 0; i < count; i++)
            sums[i] = 1 << (FRACTION_BITS - 1);
        for (int t = 0; t < taps; t++) {
            const uint8_t *row = rows + (size_t)t * (size_t)size + first;
            for (int i = 0; i < count; i++)
                sums[i] += row[i] * weights[t];
        }
        for (int i = 0; i < count; i++)
            out[first + i] = clip(sums[i]);
    }
}

static void horizontal_plain(uint8_t *out, const uint8_t *pixels, size_t stride, int row_count,
                             int side, const int32_t *starts, const int32_t *weights, int taps)
{
    horizontal(out, pixels, stride, row_count, side, starts, weights, taps);
}

static void vertical_plain(uint8_t *out, const uint8_t *rows, int size, const int32_t *weights,
                           int taps)
{
    vertical(out, rows, size, weights, taps);
}

#ifdef HAS_AVX2
__attribute__((target("avx2"))) static void horizontal_avx2(uint8_t *out, const uint8_t *pixels,
                                                            size_t stride, int row_count, int side,
                                                            const int32_t *starts,
                                                            const int32_t *weights, int taps)
{
    horizontal(out, pixels, stride, row_count, side, starts, weights, taps);
}

__attribute__((target("avx2"))) static void
vertical_avx2(uint8_t *out, const uint8_t *rows, int size, const int32_t *weights, int taps)
{
    vertical(out, rows, size, weights, taps);
}
#endif

void clv_bicubic_resize(uint8_t *out, const struct clv_image *image, const struct clv_axis *x,
                        const struct clv_axis *y, void *scratch)
{
    struct plan plan;
    make_plan(&plan, x, y);
    unsigned char *base = scratch;
    const int32_t *x_start = (const int32_t *)(const void *)(base + plan.x_start);
    const int32_t *x_weight = (const int32_t *)(const void *)(base + plan.x_weight);
    const int32_t *y_start = (const int32_t *)(const void *)(base + plan.y_start);
    const int32_t *y_weight = (const int32_t *)(const void *)(base + plan.y_weight);
    bool has_avx2 = false;
#ifdef HAS_AVX2
    has_avx2 = __builtin_cpu_supports("avx2");
#else
#define horizontal_avx2 horizontal_plain
#define vertical_avx2 vertical_plain
#endif
    int side = x->side, row_size = 3 * side;
    const uint8_t *pixels = image->pixels + (size_t)plan.row_first * image->stride_bytes;
    for (int row = 0; plan.padded_width && row < plan.row_count; row++) {
        /* Too narrow for whole groups: each row is read from a copy with zeros behind it. */
        memcpy(base + plan.padded, pixels + (size_t)row * image->stride_bytes, 3 * (size_t)x->in);
        horizontal_plain(base + plan.rows + (size_t)row * (size_t)row_size, base + plan.padded, 0,
                         1, side, x_start, x_weight, plan.x_taps);
    }
    if (!plan.padded_width)
        (has_avx2 ? horizontal_avx2 : horizontal_plain)(base + plan.rows, pixels,
                                                        image->stride_bytes, plan.row_count, side,
                                                        x_start, x_weight, plan.x_taps);
    for (int i = 0; i < side; i++) {
        int begin, end;
        reach(&begin, &end, y, i);
        const uint8_t *rows = base + plan.rows + (size_t)(begin - plan.row_first) * row_size;
        (has_avx2 ? vertical_avx2 : vertical_plain)(
            out + (size_t)i * row_size, rows, row_size,
            y_weight + (size_t)i * (size_t)plan.y_taps + (begin - y_start[i]), end - begin);
    }
}
