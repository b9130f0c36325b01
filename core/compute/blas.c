/* OpenBLAS, and the check that it multiplies correctly here: it picks its kernels by processor, and
 * old versions have picked wrong ones for processors newer than they are. */
#include "core/compute/blas.h"

#include "core/error.h"
#include "core/log.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* OpenBLAS's OpenMP build takes as many threads as OpenMP would on the calling thread, whatever it
 * was told before on another; so that count is set around each product, and put back. */
static int enter_threads(int thread_count)
{
#ifdef _OPENMP
    int before = omp_get_max_threads();
    if (before != thread_count)
        omp_set_num_threads(thread_count);
    return before;
#else
    return thread_count;
#endif
}

void clv_blas_product(float *out, ptrdiff_t out_stride, struct clv_blas_factor a,
                      struct clv_blas_factor b, float alpha, float beta, int m, int n, int k,
                      int thread_count)
{
    int before = enter_threads(thread_count);
    cblas_sgemm(CblasRowMajor, a.is_transposed ? CblasTrans : CblasNoTrans,
                b.is_transposed ? CblasTrans : CblasNoTrans, m, n, k, alpha, a.data, (int)a.stride,
                b.data, (int)b.stride, beta, out, (int)out_stride);
    enter_threads(before);
}

void clv_blas_multiply(float *out, ptrdiff_t out_stride, const float *a, ptrdiff_t a_stride,
                       const float *b, ptrdiff_t b_stride, bool b_transposed, bool add, int m,
                       int n, int k, int thread_count)
{
    clv_blas_product(out, out_stride, (struct clv_blas_factor){a, a_stride, false},
                     (struct clv_blas_factor){b, b_stride, b_transposed}, 1.0f, add ? 1.0f : 0.0f,
                     m, n, k, thread_count);
}

/* Whole numbers small enough that every product and sum is exact in any order. */
static float check_value(int i)
{
    return (float)(i * 7 % 23 - 11);
}

static bool product_is_right(float *a, float *b, float *out, int transposed, bool add, int m, int n,
                             int k, int thread_count)
{
    bool a_transposed = transposed & 2, b_transposed = transposed & 1;
    for (int i = 0; i < m * k; i++)
        a[i] = check_value(i);
    for (int i = 0; i < n * k; i++)
        b[i] = check_value(i + 3);
    for (int i = 0; i < m * n; i++)
        out[i] = add ? check_value(i + 5) : NAN;
    clv_blas_product(out, n, (struct clv_blas_factor){a, a_transposed ? m : k, a_transposed},
                     (struct clv_blas_factor){b, b_transposed ? k : n, b_transposed}, 1.0f,
                     add ? 1.0f : 0.0f, m, n, k, thread_count);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = add ? check_value(i * n + j + 5) : 0.0f;
            for (int l = 0; l < k; l++)
                sum += (a_transposed ? a[l * m + i] : a[i * k + l]) *
                       (b_transposed ? b[j * k + l] : b[l * n + j]);
            if (!(out[i * n + j] == sum))
                return false;
        }
    return true;
}

/* The shapes reach full tiles, edge tiles and several blocks of the inner dimension. */
static int check_products(int thread_count)
{
    enum { M = 67, N = 53, K = 389 };
    float *memory = malloc(sizeof *memory * (M * K + N * K + M * N));
    if (!memory)
        return clv_fail_memory("the check of OpenBLAS");
    float *a = memory, *b = a + M * K, *out = b + N * K;
    bool is_right = true;
    for (int transposed = 0; transposed < 3 && is_right; transposed++)
        is_right = product_is_right(a, b, out, transposed, true, M, N, K, thread_count) &&
                   product_is_right(a, b, out, transposed, false, M, N, 33, thread_count) &&
                   product_is_right(a, b, out, transposed, true, 7, 5, 31, thread_count) &&
                   product_is_right(a, b, out, transposed, false, 1, N, K, thread_count);
    free(memory);
    if (is_right)
        return 0;
    char name[96];
    clv_blas_describe(name, sizeof name);
    return clv_fail(CLV_EDEVICE,
                    "%s computes wrong products on this processor; set OPENBLAS_CORETYPE=Haswell "
                    "in the environment, or install a newer OpenBLAS",
                    name);
}

int clv_blas_open(int *thread_count_out, int thread_count)
{
#ifdef _OPENMP
    if (thread_count <= 0)
        thread_count = omp_get_max_threads();
#else
    if (thread_count <= 0)
        thread_count = openblas_get_num_threads();
    openblas_set_num_threads(thread_count);
#endif
    if (openblas_get_parallel() != OPENBLAS_OPENMP)
        clv_log(CLV_LOG_WARNING,
                "this OpenBLAS is not the OpenMP build: its threads compete with ours "
                "(Debian: libopenblas0-openmp)");
    *thread_count_out = thread_count;
    return check_products(thread_count);
}

void clv_blas_describe(char *out, size_t size_bytes)
{
    /* The configuration begins "OpenBLAS 0.3.21 …". */
    char version[32] = "";
    if (sscanf(openblas_get_config(), "OpenBLAS %31s", version) != 1)
        version[0] = '\0';
    const char *build = openblas_get_parallel() == OPENBLAS_OPENMP ? "" : " without OpenMP";
    snprintf(out, size_bytes, "openblas %s %s%s", version, openblas_get_corename(), build);
}
