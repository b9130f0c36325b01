/* Private to the kernels: one row in, one row out. Included once per instruction set. */
#ifndef CLV_CORE_COMPUTE_KERNELS_ROWS_H
#define CLV_CORE_COMPUTE_KERNELS_ROWS_H

#include "core/compute/ops.h"
#include "core/compute/vec.h"

#include <math.h>
#include <stddef.h>

/* Columns of a row that whole vectors cover. */
static inline int whole_cols(int cols)
{
    return cols - cols % VEC_LANES;
}

/* The activation is a constant at each call, so that every loop has one formula in it. */
static inline __attribute__((always_inline)) void activate_as(float *out, const float *x,
                                                              const float *residual, int cols,
                                                              enum clv_activation activation)
{
#define ACTIVATED(a)                                             \
    (activation == CLV_ACTIVATION_QUICK_GELU ? vec_quick_gelu(a) \
     : activation == CLV_ACTIVATION_GELU     ? vec_gelu(a)       \
                                             : (a))
    int whole = whole_cols(cols), part = cols - whole;
    if (!residual) {
        for (int c = 0; c < whole; c += VEC_LANES)
            vec_store(out + c, ACTIVATED(vec_load(x + c)));
        if (part > 0)
            vec_store_part(out + whole, ACTIVATED(vec_load_part(x + whole, part)), part);
        return;
    }
    for (int c = 0; c < whole; c += VEC_LANES)
        vec_store(out + c, vec_add(ACTIVATED(vec_load(x + c)), vec_load(residual + c)));
    if (part > 0) {
        vec sum = vec_add(ACTIVATED(vec_load_part(x + whole, part)),
                          vec_load_part(residual + whole, part));
        vec_store_part(out + whole, sum, part);
    }
#undef ACTIVATED
}

static inline void activate_row(float *out, const float *x, const float *residual, int cols,
                                enum clv_activation activation)
{
    if (activation == CLV_ACTIVATION_QUICK_GELU)
        activate_as(out, x, residual, cols, CLV_ACTIVATION_QUICK_GELU);
    else if (activation == CLV_ACTIVATION_GELU)
        activate_as(out, x, residual, cols, CLV_ACTIVATION_GELU);
    else
        activate_as(out, x, residual, cols, CLV_ACTIVATION_NONE);
}

static inline void add_rows(float *out, const float *a, const float *b, int cols)
{
    activate_as(out, a, b, cols, CLV_ACTIVATION_NONE);
}

/* Sums f(x) over a row in four accumulators: shorter chains, and less rounding in plain C. */
#define SUM_ROW(total, x, cols, value)                                                        \
    do {                                                                                      \
        vec sums_[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};                      \
        int whole_ = whole_cols(cols), part_ = (cols)-whole_, c_ = 0;                         \
        for (; c_ + 4 * VEC_LANES <= whole_; c_ += 4 * VEC_LANES)                             \
            for (int i_ = 0; i_ < 4; i_++) {                                                  \
                vec at = vec_load((x) + c_ + i_ * VEC_LANES);                                 \
                sums_[i_] = vec_add(sums_[i_], (value));                                      \
            }                                                                                 \
        for (; c_ < whole_; c_ += VEC_LANES) {                                                \
            vec at = vec_load((x) + c_);                                                      \
            sums_[0] = vec_add(sums_[0], (value));                                            \
        }                                                                                     \
        if (part_ > 0) {                                                                      \
            vec at = vec_load_part((x) + whole_, part_);                                      \
            sums_[1] = vec_add(sums_[1], vec_part((value), vec_zero(), part_));               \
        }                                                                                     \
        (total) = vec_sum(vec_add(vec_add(sums_[0], sums_[1]), vec_add(sums_[2], sums_[3]))); \
    } while (0)

/* (x - mean) / sqrt(var + eps) * weight + bias, the variance around the mean already known. */
static inline void layer_norm_row(float *out, const float *x, const float *weight,
                                  const float *bias, int cols)
{
    float sum, squares;
    SUM_ROW(sum, x, cols, at);
    const vec mean = vec_set(sum / (float)cols);
    SUM_ROW(squares, x, cols, vec_mul(vec_sub(at, mean), vec_sub(at, mean)));
    const vec scale = vec_set(1.0f / sqrtf(squares / (float)cols + CLV_LAYER_NORM_EPSILON));
    int whole = whole_cols(cols), part = cols - whole;
    for (int c = 0; c < whole; c += VEC_LANES) {
        vec unit = vec_mul(vec_sub(vec_load(x + c), mean), scale);
        vec_store(out + c, vec_fma(unit, vec_load(weight + c), vec_load(bias + c)));
    }
    if (part > 0) {
        vec unit = vec_mul(vec_sub(vec_load_part(x + whole, part), mean), scale);
        vec_store_part(
            out + whole,
            vec_fma(unit, vec_load_part(weight + whole, part), vec_load_part(bias + whole, part)),
            part);
    }
}

/* out += x * scale, or out = x * scale for the first. */
static inline void accumulate_row(float *out, const float *x, float scale, int cols, int is_first)
{
    const vec by = vec_set(scale);
    int whole = whole_cols(cols), part = cols - whole;
    for (int c = 0; c < whole; c += VEC_LANES) {
        vec before = is_first ? vec_zero() : vec_load(out + c);
        vec_store(out + c, vec_fma(vec_load(x + c), by, before));
    }
    if (part > 0) {
        vec before = is_first ? vec_zero() : vec_load_part(out + whole, part);
        vec_store_part(out + whole, vec_fma(vec_load_part(x + whole, part), by, before), part);
    }
}

static inline void unit_mean_rows(float *out, const float *x, ptrdiff_t stride, int row_count,
                                  int cols)
{
    for (int r = 0; r < row_count; r++) {
        const float *row = x + r * stride;
        float squares;
        SUM_ROW(squares, row, cols, vec_mul(at, at));
        float scale = squares == 0.0f ? 0.0f : 1.0f / (sqrtf(squares) * (float)row_count);
        accumulate_row(out, row, scale, cols, r == 0);
    }
}

#endif
