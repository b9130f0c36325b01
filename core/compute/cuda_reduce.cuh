/* Private to the CUDA backend: sums over the threads of a warp and of a block, always in the same
 * order, so that a result depends on the shape alone. */
#ifndef CLV_CORE_COMPUTE_CUDA_REDUCE_CUH
#define CLV_CORE_COMPUTE_CUDA_REDUCE_CUH

#include "core/compute/cuda_state.cuh"

#define CLV_CUDA_WARP 32

/* The sum over the warp, in every lane. All 32 lanes call it. */
template <typename T> static __device__ __forceinline__ T clv_warp_sum(T value)
{
#pragma unroll
    for (int offset = CLV_CUDA_WARP / 2; offset > 0; offset /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
}

/* The largest; a NaN wins over everything. */
template <typename T> static __device__ __forceinline__ T clv_warp_max(T value)
{
#pragma unroll
    for (int offset = CLV_CUDA_WARP / 2; offset > 0; offset /= 2) {
        T other = __shfl_xor_sync(0xffffffffu, value, offset);
        if (!(other <= value)) /* larger, or either is NaN */
            value = value != value ? value : other;
    }
    return value;
}

/* The sum over the block, in every thread. The block is a whole number of warps, at most 32; all of
 * it calls. `shared` holds 32 values and may be used again at once. */
template <typename T> static __device__ __forceinline__ T clv_block_sum(T value, T *shared)
{
    const int lane = threadIdx.x % CLV_CUDA_WARP, warp = threadIdx.x / CLV_CUDA_WARP;
    const int warps = blockDim.x / CLV_CUDA_WARP;
    value = clv_warp_sum(value);
    if (lane == 0)
        shared[warp] = value;
    __syncthreads();
    T total = clv_warp_sum(lane < warps ? shared[lane] : (T)0);
    __syncthreads();
    return total;
}

template <typename T> static __device__ __forceinline__ T clv_block_max(T value, T *shared)
{
    const int lane = threadIdx.x % CLV_CUDA_WARP, warp = threadIdx.x / CLV_CUDA_WARP;
    const int warps = blockDim.x / CLV_CUDA_WARP;
    value = clv_warp_max(value);
    if (lane == 0)
        shared[warp] = value;
    __syncthreads();
    T largest = clv_warp_max(shared[lane < warps ? lane : 0]);
    __syncthreads();
    return largest;
}

#endif
