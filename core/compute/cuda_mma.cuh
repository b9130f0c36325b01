/* Private to the CUDA backend: products on tensor cores, a warp at a time, as the PTX manual has
 * them (mma.m16n8k16, ldmatrix, cp.async). bfloat16 numbers are kept as uint16_t, two in a uint32_t
 * with the lower column in the lower half.
 *
 * With g = lane / 4 and t = lane % 4, a lane holds of
 *     a [16, 16]  a[0]: row g, columns 2t and 2t+1;  a[1]: row g+8;  a[2], a[3]: columns 8 on
 *     b [16, 8]   b0: rows 2t and 2t+1, column g;  b1: rows 8 on
 *     d [16, 8]   d[0], d[1]: row g, columns 2t and 2t+1;  d[2], d[3]: row g+8 */
#ifndef CLV_CORE_COMPUTE_CUDA_MMA_CUH
#define CLV_CORE_COMPUTE_CUDA_MMA_CUH

#include "core/compute/cuda_state.cuh"

/* d += a b. All lanes of the warp call these three. */
static __device__ __forceinline__ void clv_mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                               uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Four 8 x 8 matrices from shared memory: lanes 8 i .. 8 i + 7 give the rows of matrix i (16 bytes
 * each, aligned), r[i] is row g, columns 2t and 2t+1 of it. */
static __device__ __forceinline__ void clv_load_matrices(uint32_t (&r)[4], const uint16_t *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

/* The same of the transposed matrices: r[i] is column g, rows 2t and 2t+1. */
static __device__ __forceinline__ void clv_load_transposed(uint32_t (&r)[4], const uint16_t *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

/* Both rounded to nearest even. */
static __device__ __forceinline__ uint32_t clv_pack_bf16(float low, float high)
{
    uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

static __device__ __forceinline__ float clv_round_bf16(float x)
{
    return __int_as_float((int)(clv_pack_bf16(x, 0.0f) << 16));
}

/* 16 (or 4) bytes from global to shared memory, both aligned to that, without waiting; zeros where
 * `is_there` is false (`from` must still be an address). */
static __device__ __forceinline__ void clv_copy_16(void *to, const void *from, bool is_there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(to)),
                 "l"(__cvta_generic_to_global(from)), "r"(is_there ? 16 : 0)
                 : "memory");
}

static __device__ __forceinline__ void clv_copy_4(void *to, const void *from, bool is_there)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(to)),
                 "l"(__cvta_generic_to_global(from)), "r"(is_there ? 4 : 0)
                 : "memory");
}

/* Ends a group of this thread's copies. */
static __device__ __forceinline__ void clv_copy_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits for all groups of this thread but the last N. */
template <int N> static __device__ __forceinline__ void clv_copy_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

#endif
