/* The formulas of the ops on single numbers, written once for every backend: the plain kernels call
 * them, the SIMD kernels use their constants, a CUDA backend would include this file. The ops tests
 * must not: they write their own. */
#ifndef CLV_CORE_COMPUTE_SCALAR_H
#define CLV_CORE_COMPUTE_SCALAR_H

#include <math.h>

#ifdef __CUDACC__
#define CLV_HD __host__ __device__
#else
#define CLV_HD
#endif

#define CLV_QUICK_GELU_SLOPE 1.702f
#define CLV_LAYER_NORM_EPSILON 1e-5f
#define CLV_SQRT_HALF 0.70710678118654752f
#define CLV_NORMAL_DENSITY 0.39894228040143268f /* at zero: 1 / sqrt(2 pi) */

/* x * sigmoid(1.702 x), as CLIP's QuickGELU. */
CLV_HD static inline float clv_scalar_quick_gelu(float x)
{
    return x / (1.0f + expf(-CLV_QUICK_GELU_SLOPE * x));
}

/* x * Phi(x) through erfc, which keeps its digits for negative x (torch.nn.GELU, exact). */
CLV_HD static inline float clv_scalar_gelu(float x)
{
    return 0.5f * x * erfcf(-x * CLV_SQRT_HALF);
}

/* The derivatives of the two. */
CLV_HD static inline float clv_scalar_quick_gelu_slope(float x)
{
    float s = 1.0f / (1.0f + expf(-CLV_QUICK_GELU_SLOPE * x));
    return s * (1.0f + CLV_QUICK_GELU_SLOPE * x * (1.0f - s));
}

CLV_HD static inline float clv_scalar_gelu_slope(float x)
{
    return 0.5f * erfcf(-x * CLV_SQRT_HALF) + x * CLV_NORMAL_DENSITY * expf(-0.5f * x * x);
}

#endif
