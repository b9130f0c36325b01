/* Private to the CUDA backend: one matrix product, as cuda_products.cu runs it. */
#ifndef CLV_CORE_COMPUTE_CUDA_PRODUCTS_CUH
#define CLV_CORE_COMPUTE_CUDA_PRODUCTS_CUH

#include "core/compute/cuda_state.cuh"

enum clv_cuda_element { CLV_CUDA_FP32, CLV_CUDA_TF32, CLV_CUDA_BF16 };

/* A factor as it lies: rows of `stride` elements, of bfloat16 where the product says so. */
struct clv_cuda_factor {
    const void *data;
    int rows, cols;
    ptrdiff_t stride;
    bool is_transposed;
};

/* out [m, n] = alpha a b + beta base + bias, over all of which sums are fp32. `out` may be BF16
 * where the factors are. */
struct clv_cuda_product {
    struct clv_cuda_factor a, b;
    enum clv_cuda_element element; /* of both factors; TF32 lies as fp32 */
    struct clv_tensor out;
    const float
        *base; /* read where beta is not 0, which a BF16 out does not take; may be out.data */
    ptrdiff_t base_stride;
    float alpha, beta;
    const void *bias; /* [n] of out's type, or NULL */
};

/* Runs the product on the work stream. Sets *bias_added_out where the library could add the bias;
 * where not, the caller does. False after a sticky failure. (cuda_products.cu) */
bool clv_cuda_multiply(struct clv_device *device, const struct clv_cuda_product *product,
                       bool *bias_added_out);

#endif
