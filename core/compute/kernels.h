/* Private to the CPU backend: the inner loops that exist once per instruction set. One source
 * (kernels_rows.h, kernels_attention.h over vec.h) is compiled as plain C, for AVX2 and for
 * AVX-512; the processor decides at run time which table is used. Kernels run on one thread. */
#ifndef CLV_CORE_COMPUTE_KERNELS_H
#define CLV_CORE_COMPUTE_KERNELS_H

#include "core/compute/adamw.h"
#include "core/compute/device.h"
#include "core/compute/gradients.h"
#include "core/compute/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of query rows of one sequence under one head. Pointers are already at the head's first
 * column: q and out at the first query, k and v at the sequence's first row. */
struct clv_attend {
    float *out;
    const float *q, *k, *v;
    ptrdiff_t out_stride, q_stride, k_stride, v_stride;
    enum clv_mask mask;
    int width;                 /* of the head */
    int query_count;           /* at most CLV_ATTEND_QUERY_MAX */
    int key_count;             /* rows of the sequence */
    int token_count;           /* L for KMT and KMCT */
    int first_query;           /* the first query's row in the sequence where query_rows is NULL */
    const int32_t *query_rows; /* rows in k, of which `sequence_start` is this sequence's first */
    int sequence_start;
    float *stats; /* at the first query under the head: log of the sum of exp(score); or NULL */
    ptrdiff_t stats_stride;
    float *scratch; /* attend_scratch(width) floats, 64-byte aligned */
};

#define CLV_ATTEND_QUERY_MAX 192

/* The gradients of all queries (any number, also none) of one sequence under one head. `forward` is
 * as it was then, but holds every query, has `out` only to read, and has its scratch from
 * attend_backward_scratch(width, query_count). dk and dv are at the sequence's first row. */
struct clv_attend_backward {
    struct clv_attend forward;
    float *dq, *dk, *dv;
    const float *dout;
    ptrdiff_t dq_stride, dk_stride, dv_stride, dout_stride;
};

struct clv_kernels {
    const char *name;
    /* row = activation(row) + residual; residual may be NULL. */
    void (*activate)(float *out, const float *x, const float *residual, int cols,
                     enum clv_activation activation);
    /* out = a + b; b may be NULL. */
    void (*add)(float *out, const float *a, const float *b, int cols);
    void (*layer_norm)(float *out, const float *x, const float *weight, const float *bias,
                       int cols);
    void (*unit_mean)(float *out, const float *x, ptrdiff_t stride, int row_count, int cols);
    void (*attend)(const struct clv_attend *attend);
    size_t (*attend_scratch)(int width);

    /* out = factor x, or out += factor x where `add`. */
    void (*accumulate)(float *out, const float *x, float factor, int cols, bool add);
    void (*activate_backward)(float *dx, const float *dy, const float *x, int cols,
                              enum clv_activation activation);
    /* dx = base + the gradient, base may be dx or NULL; dweight and dbias += and may be NULL. */
    void (*layer_norm_backward)(float *dx, const float *base, float *dweight, float *dbias,
                                const float *dy, const float *x, const float *weight, int cols);
    /* Of one of the `count` rows of a mean. */
    void (*unit_backward)(float *dx, const float *dout, const float *x, int cols, int count);
    /* Returns the row's loss, and writes factor times its gradient where dlogits is not NULL. */
    double (*cross_entropy)(float *dlogits, const float *logits, const float *labels, int cols,
                            double factor);
    double (*dot)(const float *a, const float *b, int cols);
    void (*adamw)(float *param, float *m, float *v, const float *grad, int cols,
                  const struct clv_adamw_factors *factors);
    void (*attend_backward)(const struct clv_attend_backward *attend);
    size_t (*attend_backward_scratch)(int width, int query_count);
};

extern const struct clv_kernels clv_kernels_plain;
extern const struct clv_kernels clv_kernels_avx2;
extern const struct clv_kernels clv_kernels_avx512;

enum clv_variant { CLV_VARIANT_BEST, CLV_VARIANT_PLAIN, CLV_VARIANT_AVX2, CLV_VARIANT_AVX512 };

/* The table of a variant; NULL where this processor or this build lacks it. */
const struct clv_kernels *clv_kernels_find(enum clv_variant variant);

/* clv_device_open() for the CPU with the variant given, so that tests reach each of them. */
int clv_device_open_variant(struct clv_device **out, const struct clv_device_options *options,
                            enum clv_variant variant);

#endif
