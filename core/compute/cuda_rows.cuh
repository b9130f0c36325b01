/* Private to the CUDA backend: how kernels walk over tensors. Row-wise ops give a warp to each row;
 * element-wise ops give a block to each piece of a row. Both move four floats (or four or eight
 * bfloat16) at a time where every row is aligned, one where not. All of them are bound by memory
 * bandwidth. Numbers are floats in registers, however they are stored. */
#ifndef CLV_CORE_COMPUTE_CUDA_ROWS_CUH
#define CLV_CORE_COMPUTE_CUDA_ROWS_CUH

#include "core/compute/cuda_reduce.cuh"

#define CLV_ROW_THREADS 256
#define CLV_ROW_WARPS (CLV_ROW_THREADS / CLV_CUDA_WARP)

/* N neighbouring numbers. */
template <int N> struct clv_pack {
    float at[N];
};

template <int N> static __device__ __forceinline__ clv_pack<N> clv_load(const float *from)
{
    clv_pack<N> x;
    if constexpr (N % 4 == 0) {
        for (int i = 0; i < N; i += 4) {
            const float4 four = *(const float4 *)(from + i);
            x.at[i] = four.x, x.at[i + 1] = four.y, x.at[i + 2] = four.z, x.at[i + 3] = four.w;
        }
    } else {
        for (int i = 0; i < N; i++)
            x.at[i] = from[i];
    }
    return x;
}

/* The two numbers of a word of bfloat16, the first in its lower half. */
static __device__ __forceinline__ float clv_low_half(uint32_t word)
{
    return __int_as_float((int)(word << 16));
}

static __device__ __forceinline__ float clv_high_half(uint32_t word)
{
    return __int_as_float((int)(word & 0xffff0000u));
}

template <int N> static __device__ __forceinline__ clv_pack<N> clv_load(const __nv_bfloat16 *from)
{
    clv_pack<N> x;
    if constexpr (N == 8 || N == 4) {
        uint32_t words[N / 2];
        if constexpr (N == 8) {
            const uint4 four = *(const uint4 *)from;
            words[0] = four.x, words[1] = four.y, words[2] = four.z, words[3] = four.w;
        } else {
            const uint2 two = *(const uint2 *)from;
            words[0] = two.x, words[1] = two.y;
        }
        for (int i = 0; i < N / 2; i++) {
            x.at[2 * i] = clv_low_half(words[i]);
            x.at[2 * i + 1] = clv_high_half(words[i]);
        }
    } else {
        for (int i = 0; i < N; i++)
            x.at[i] = __bfloat162float(from[i]);
    }
    return x;
}

template <int N> static __device__ __forceinline__ void clv_store(float *to, const clv_pack<N> &x)
{
    if constexpr (N % 4 == 0) {
        for (int i = 0; i < N; i += 4)
            *(float4 *)(to + i) = make_float4(x.at[i], x.at[i + 1], x.at[i + 2], x.at[i + 3]);
    } else {
        for (int i = 0; i < N; i++)
            to[i] = x.at[i];
    }
}

/* Rounded to nearest, ties to even; NaN stays NaN. */
template <int N>
static __device__ __forceinline__ void clv_store(__nv_bfloat16 *to, const clv_pack<N> &x)
{
    if constexpr (N == 8 || N == 4) {
        uint32_t words[N / 2];
        for (int i = 0; i < N / 2; i++) {
            const __nv_bfloat162 pair = __floats2bfloat162_rn(x.at[2 * i], x.at[2 * i + 1]);
            words[i] = *(const uint32_t *)&pair;
        }
        if constexpr (N == 8)
            *(uint4 *)to = make_uint4(words[0], words[1], words[2], words[3]);
        else
            *(uint2 *)to = make_uint2(words[0], words[1]);
    } else {
        for (int i = 0; i < N; i++)
            to[i] = __float2bfloat16_rn(x.at[i]);
    }
}

/* Rows of device memory, as kernels take them; UNIT numbers are 16 bytes. */
struct clv_rows {
    static constexpr int UNIT = 4;
    float *data;
    int64_t stride;
};

struct clv_half_rows {
    static constexpr int UNIT = 8;
    __nv_bfloat16 *data;
    int64_t stride;
};

static inline struct clv_rows clv_rows_of(struct clv_tensor t)
{
    return {t.data, t.stride};
}

static inline struct clv_half_rows clv_half_rows_of(struct clv_tensor t)
{
    return {(__nv_bfloat16 *)(void *)t.data, t.stride};
}

static __device__ __forceinline__ float *clv_row(struct clv_rows rows, int64_t row)
{
    return rows.data + row * rows.stride;
}

static __device__ __forceinline__ __nv_bfloat16 *clv_row(struct clv_half_rows rows, int64_t row)
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

/* Whether the rows of a tensor (absent ones too) can be moved `unit` numbers at a time. */
static inline bool clv_rows_are(struct clv_tensor t, int unit)
{
    const size_t bytes = clv_type_bytes(t.type);
    return !t.data || (t.cols % unit == 0 &&
                       clv_cuda_is_aligned(t.data, t.stride, bytes, (size_t)unit * bytes));
}

static inline bool clv_rows_are_fours(struct clv_tensor t)
{
    return clv_rows_are(t, 4);
}

static inline bool clv_is_fours(const float *data)
{
    return clv_cuda_is_aligned(data, 0, sizeof(float), 16);
}

static inline bool clv_is_half(struct clv_tensor t)
{
    return t.type == CLV_TYPE_BF16;
}

/* out = x, of which either may be bfloat16. False after a sticky failure. (cuda_rows.cu) */
bool clv_cuda_convert(struct clv_device *device, struct clv_tensor out, struct clv_tensor x);

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
