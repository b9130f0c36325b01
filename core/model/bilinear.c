/* OpenCV's bilinear for 8-bit pixels (imgproc/src/resize.cpp): no antialias, weights with 11 bits,
 * the horizontal sums shifted down before the vertical pass; exact halving is a 2 x 2 mean. */
#include "core/model/resample.h"

#include <math.h>
#include <string.h>

#define ONE 2048 /* weights have 11 bits */

/* One output pixel along an axis: two neighbours, already inside the picture, and their weights. */
struct tap {
    int32_t at[2];
    int32_t weight[2];
};

/* Scratch memory: taps along x, taps along y, then two rows of horizontal sums. */
static struct tap *y_taps_of(void *scratch, const struct clv_axis *x)
{
    return (struct tap *)scratch + x->side;
}

static int32_t *row_of(void *scratch, const struct clv_axis *x, const struct clv_axis *y, int row)
{
    return (int32_t *)(void *)(y_taps_of(scratch, x) + y->side) + (size_t)row * 3 * (size_t)x->side;
}

static double scale_of(const struct clv_axis *axis)
{
    return 1.0 / ((double)axis->out / axis->in);
}

bool clv_bilinear_scratch(size_t *bytes_out, const struct clv_axis *x, const struct clv_axis *y)
{
    *bytes_out = (size_t)x->side * (sizeof(struct tap) + 2 * 3 * sizeof(int32_t)) +
                 (size_t)y->side * sizeof(struct tap);
    return true;
}

static int32_t inside(int64_t at, int in)
{
    return (int32_t)(at < 0 ? 0 : at >= in ? in - 1 : at);
}

/* Along x the weights at the borders are reset, along y only the rows are clamped: sums then round
 * differently, so the difference is kept. */
static void make_tap(struct tap *tap, const struct clv_axis *axis, int i, bool resets)
{
    float position = (float)(((double)(axis->first + i) + 0.5) * scale_of(axis) - 0.5);
    int64_t at = (int64_t)floorf(position);
    float fraction = position - (float)at;
    if (resets && (at < 0 || at >= axis->in - 1)) {
        fraction = 0.0f;
        at = inside(at, axis->in);
    }
    *tap = (struct tap){
        {inside(at, axis->in), inside(at + 1, axis->in)},
        {(int32_t)lrintf((1.0f - fraction) * ONE), (int32_t)lrintf(fraction * ONE)},
    };
}

void clv_bilinear_prepare(void *scratch, const struct clv_axis *x, const struct clv_axis *y)
{
    for (int i = 0; i < x->side; i++)
        make_tap((struct tap *)scratch + i, x, i, true);
    for (int i = 0; i < y->side; i++)
        make_tap(y_taps_of(scratch, x) + i, y, i, false);
}

/* Every output pixel is the rounded mean of 2 x 2. */
static void halve(uint8_t *out, const struct clv_image *image, const struct clv_axis *x,
                  const struct clv_axis *y)
{
    for (int row = 0; row < y->side; row++) {
        const uint8_t *top = image->pixels + (size_t)(2 * (y->first + row)) * image->stride_bytes +
                             (size_t)(2 * x->first) * 3;
        const uint8_t *bottom = top + image->stride_bytes;
        for (int i = 0; i < x->side; i++, top += 6, bottom += 6)
            for (int c = 0; c < 3; c++)
                *out++ = (uint8_t)((top[c] + top[c + 3] + bottom[c] + bottom[c + 3] + 2) >> 2);
    }
}

static void sum_row(int32_t *restrict out, const uint8_t *restrict pixels,
                    const struct tap *restrict taps, int side)
{
    for (int i = 0; i < side; i++) {
        const uint8_t *left = pixels + (size_t)taps[i].at[0] * 3;
        const uint8_t *right = pixels + (size_t)taps[i].at[1] * 3;
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = (left[c] * taps[i].weight[0] + right[c] * taps[i].weight[1]) >> 4;
    }
}

static void mix_rows(uint8_t *restrict out, const int32_t *restrict top,
                     const int32_t *restrict bottom, const int32_t weight[2], int count)
{
    for (int i = 0; i < count; i++)
        out[i] =
            (uint8_t)((((weight[0] * top[i]) >> 16) + ((weight[1] * bottom[i]) >> 16) + 2) >> 2);
}

void clv_bilinear_resize(uint8_t *out, const struct clv_image *image, const struct clv_axis *x,
                         const struct clv_axis *y, void *scratch)
{
    int side = x->side;
    if (scale_of(x) == 2.0 && scale_of(y) == 2.0) {
        halve(out, image, x, y);
        return;
    }
    const struct tap *x_taps = scratch, *y_taps = y_taps_of(scratch, x);
    int32_t *sums[2] = {row_of(scratch, x, y, 0), row_of(scratch, x, y, 1)};
    int32_t held[2] = {-1, -1}; /* which row of the picture each is of */
    for (int i = 0; i < y->side; i++) {
        const struct tap *tap = &y_taps[i];
        if (tap->at[0] == held[1] && tap->at[0] != held[0]) {
            int32_t *sum = sums[0], row = held[0];
            sums[0] = sums[1], held[0] = held[1];
            sums[1] = sum, held[1] = row;
        }
        for (int j = 0; j < 2; j++)
            if (held[j] != tap->at[j]) {
                sum_row(sums[j], image->pixels + (size_t)tap->at[j] * image->stride_bytes, x_taps,
                        side);
                held[j] = tap->at[j];
            }
        mix_rows(out + (size_t)i * 3 * (size_t)side, sums[0], sums[1], tap->weight, 3 * side);
    }
}
