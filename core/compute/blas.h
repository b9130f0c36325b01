/* Private to the CPU backend: matrix products through OpenBLAS, the only file that knows it. */
#ifndef CLV_CORE_COMPUTE_BLAS_H
#define CLV_CORE_COMPUTE_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* Readies OpenBLAS for `thread_count` threads (0: OMP_NUM_THREADS or all cores) and writes the
 * count to be used. CLV_EDEVICE where its products are wrong on this processor. */
int clv_blas_open(int *thread_count_out, int thread_count);

/* "openblas 0.3.21 Haswell". */
void clv_blas_describe(char *out, size_t size_bytes);

/* out [m, n] = a [m, k] b (+ out where `add`), row-major; b is [n, k] where `b_transposed`, else
 * [k, n]. Strides in elements. Without `add`, out is not read. Never call it from inside a parallel
 * region. */
void clv_blas_multiply(float *out, ptrdiff_t out_stride, const float *a, ptrdiff_t a_stride,
                       const float *b, ptrdiff_t b_stride, bool b_transposed, bool add, int m,
                       int n, int k, int thread_count);

struct clv_blas_factor {
    const float *data;
    ptrdiff_t stride;
    bool is_transposed; /* stored as the transpose of what is multiplied */
};

/* out [m, n] = alpha a [m, k] b [k, n] + beta out; with beta 0 out is not read. */
void clv_blas_product(float *out, ptrdiff_t out_stride, struct clv_blas_factor a,
                      struct clv_blas_factor b, float alpha, float beta, int m, int n, int k,
                      int thread_count);

#endif
