/* Private to the CUDA backend: how kernels walk over tensors. Row-wise ops give a warp to each row;
 * element-wise ops give a block to each piece of a row. Both move four floats at a time where
 * every row is aligned, one where not. All of them are bound by memory bandwidth. */
#ifndef CLV_CORE_COMPUTE_CUDA_ROWS_CUH
#define CLV_CORE_COMPUTE_CUDA_ROWS_CUH

#include "core/compute/cuda_reduce.cuh"

#define CLV_ROW_THREADS 256
#define CLV_ROW_WARPS (CLV_ROW_THREADS / CLV_CUDA_WARP)

/* N neighbouring floats. */
template <int N> struct clv_pack {
    float at[N];
};

template <int N> static __device__ __forceinline__ clv_pack<N> clv_load(const float *from)
{
    clv_pack<N> x;
    if constexpr (N == 4) {
        const float4 four = *(const float4 *)from;
        x.at[0] = four.x, x.at[1] = four.y, x.at[2] = four.z, x.at[3] = four.w;
    } else {
        for (int i = 0; i < N; i++)
            x.at[i] = from[i];
    }
    return x;
}

template <int N> static __device__ __forceinline__ void clv_store(float *to, const clv_pack<N> &x)
{
    if constexpr (N == 4) {
        *(float4 *)to = make_float4(x.at[0], x.at[1], x.at[2], x.at[3]);
    } else {
        for (int i = 0; i < N; i++)
            to[i] = x.at[i];
    }
}

/* Rows of device memory, as kernels take them. */
struct clv_rows {
    float *data;
    int64_t stride;
};

static inline struct clv_rows clv_rows_of(struct clv_tensor t)
{
    return {t.data, t.stride};
}

static __device__ __forceinline__ float *clv_row(struct clv_rows rows, int64_t row)
{
    return rows.data + row * rows.stride;
}

/* The row of this thread's warp. */
static __device__ __forceinline__ int64_t clv_warp_row(void)
{
    return (int64_t)blockIdx.x * CLV_ROW_WARPS + threadIdx.x / CLV_CUDA_WARP;
}

static inline unsigned clv_warp_row_blocks(int64_t rows)
{
    return clv_cuda_blocks(rows, CLV_ROW_WARPS);
}

/* Whether the rows of a tensor (absent ones too) can be moved four floats at a time. */
static inline bool clv_rows_are_fours(struct clv_tensor t)
{
    return !t.data || (t.cols % 4 == 0 && clv_cuda_is_aligned(t.data, t.stride, sizeof(float), 16));
}

static inline bool clv_is_fours(const float *data)
{
    return clv_cuda_is_aligned(data, 0, sizeof(float), 16);
}

/* Launches KERNEL<4> or KERNEL<1> over `rows` rows, a warp each. */
#define CLV_LAUNCH_ROWS(cuda, fours, kernel, rows, ...)                            \
    do {                                                                           \
        const unsigned blocks_ = clv_warp_row_blocks(rows);                        \
        if (fours)                                                                 \
            kernel<4><<<blocks_, CLV_ROW_THREADS, 0, (cuda)->work>>>(__VA_ARGS__); \
        else                                                                       \
            kernel<1><<<blocks_, CLV_ROW_THREADS, 0, (cuda)->work>>>(__VA_ARGS__); \
    } while (0)

#endif
