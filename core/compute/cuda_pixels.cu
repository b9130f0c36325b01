/* Pixels on the device: bytes into patches, and clips of a batch into each other. What a byte is
 * worth comes from a table and mixing rounds every product, so that both give the CPU's bits. */
#include "core/compute/cuda_rows.cuh"

#include <type_traits>

#define THREADS CLV_ROW_THREADS
#define LINES 16 /* of a square, a block */

/* ---- bytes into patches ---------------------------------------------------------------------- */

/* N neighbouring pixels are three words of N bytes. */
template <int N> struct pixel_pack {
    using word =
        std::conditional_t<N == 4, uint32_t, std::conditional_t<N == 2, uint16_t, uint8_t>>;
    word at[3];
    __device__ __forceinline__ unsigned byte(int i) const
    {
        return (unsigned)at[i / N] >> i % N * 8 & 255u;
    }
};

template <int N> static __device__ __forceinline__ pixel_pack<N> load_pixels(const uint8_t *from)
{
    using word = typename pixel_pack<N>::word;
    pixel_pack<N> pixels;
#pragma unroll
    for (int i = 0; i < 3; i++)
        pixels.at[i] = ((const word *)from)[i];
    return pixels;
}

template <int N>
static __device__ __forceinline__ void store_values(float *to, const clv_pack<N> &x)
{
    if constexpr (N == 2)
        *(float2 *)to = make_float2(x.at[0], x.at[1]);
    else
        clv_store(to, x);
}

template <int N>
static __device__ __forceinline__ void store_values(__nv_bfloat16 *to, const clv_pack<N> &x)
{
    if constexpr (N == 2)
        *(__nv_bfloat162 *)to = __floats2bfloat162_rn(x.at[0], x.at[1]);
    else
        clv_store(to, x);
}

/* A block to LINES lines of a square, which lie one after another in memory as the threads read
 * them: N pixels each, which go to one line of one patch, N floats into each of its planes. */
template <int N, typename Out>
static __global__
__launch_bounds__(THREADS) void square_patches_kernel(Out out, const uint8_t *__restrict__ squares,
                                                      const float *__restrict__ values,
                                                      unsigned blocks_a_square, int side, int patch)
{
    __shared__ float table[CLV_BYTE_VALUES];
    for (int i = threadIdx.x; i < CLV_BYTE_VALUES; i += THREADS)
        table[i] = values[i];
    __syncthreads();
    const int grid = side / patch, area = patch * patch, packs = side / N;
    const int first = (int)(blockIdx.x % blocks_a_square) * LINES;
    const int lines = side - first < LINES ? side - first : LINES;
    const int64_t frame = blockIdx.x / blocks_a_square;
    const uint8_t *from = squares + (frame * side + first) * side * 3;
    for (int i = threadIdx.x; i < lines * packs; i += THREADS) {
        const int y = first + i / packs, x = i % packs * N;
        const int64_t row = (frame * grid + y / patch) * grid + x / patch;
        auto *to = clv_row(out, row) + (int64_t)(y % patch) * patch + x % patch;
        const pixel_pack<N> pixels = load_pixels<N>(from + (int64_t)i * N * 3);
#pragma unroll
        for (int plane = 0; plane < 3; plane++) {
            clv_pack<N> pack;
#pragma unroll
            for (int k = 0; k < N; k++)
                pack.at[k] = table[plane * 256 + pixels.byte(3 * k + plane)];
            store_values(to + (int64_t)plane * area, pack);
        }
    }
}

/* Whether n pixels at a time never leave a line of a patch and are aligned on both sides. */
static bool come_in(int n, struct clv_tensor out, const uint8_t *squares, int patch)
{
    const size_t each = clv_type_bytes(out.type);
    return patch % n == 0 && (uintptr_t)squares % (size_t)n == 0 &&
           clv_cuda_is_aligned(out.data, out.stride, each, (size_t)n * each);
}

template <typename Out>
static void square_patches(struct clv_device *device, Out rows, struct clv_tensor out,
                           const uint8_t *squares, const float *values, int side, int patch)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const int64_t frames = out.rows / ((int64_t)(side / patch) * (side / patch));
    const unsigned each = clv_cuda_blocks(side, LINES);
    const unsigned blocks = clv_cuda_blocks(frames * each, 1);
    if (come_in(4, out, squares, patch))
        square_patches_kernel<4>
            <<<blocks, THREADS, 0, cuda->work>>>(rows, squares, values, each, side, patch);
    else if (come_in(2, out, squares, patch))
        square_patches_kernel<2>
            <<<blocks, THREADS, 0, cuda->work>>>(rows, squares, values, each, side, patch);
    else
        square_patches_kernel<1>
            <<<blocks, THREADS, 0, cuda->work>>>(rows, squares, values, each, side, patch);
    (void)clv_cuda_check(device, "patches of squares");
}

void clv_cuda_square_patches(struct clv_device *device, struct clv_tensor out,
                             const uint8_t *squares, const float *values, int side, int patch)
{
    (void)clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    if (clv_is_half(out))
        square_patches(device, clv_half_rows_of(out), out, squares, values, side, patch);
    else
        square_patches(device, clv_rows_of(out), out, squares, values, side, patch);
}

/* ---- mixing clips ---------------------------------------------------------------------------- */

/* The rows of x that threads own, and the row that each is mixed with. Where x is mixed with itself
 * they own the first half of the clips, and write both of a pair. */
struct mixing {
    struct clv_rows x, other;
    int clip_count, frame_count;
    bool is_swap;
};

static __device__ __forceinline__ float *own_row(const struct mixing &m, int64_t row)
{
    return clv_row(m.x, row);
}

static __device__ __forceinline__ float *other_row(const struct mixing &m, int64_t row)
{
    const int64_t clip = m.clip_count - 1 - row / m.frame_count;
    return clv_row(m.other, clip * m.frame_count + row % m.frame_count);
}

/* lambda x + (1 - lambda) y, never fused: as the CPU rounds it. */
static __device__ __forceinline__ float mixed(float x, float y, float lambda)
{
    return __fadd_rn(__fmul_rn(lambda, x), __fmul_rn(__fsub_rn(1.0f, lambda), y));
}

/* A block to THREADS packs of a row. */
template <int N>
static __global__ void blend_kernel(struct mixing m, unsigned blocks_a_row, int cols, float lambda)
{
    const int64_t row = blockIdx.x / blocks_a_row;
    const int64_t c = ((int64_t)(blockIdx.x % blocks_a_row) * THREADS + threadIdx.x) * N;
    if (c >= cols)
        return;
    float *own = own_row(m, row) + c, *other = other_row(m, row) + c;
    const clv_pack<N> x = clv_load<N>(own), y = clv_load<N>(other);
    clv_pack<N> a, b;
    for (int i = 0; i < N; i++) {
        a.at[i] = mixed(x.at[i], y.at[i], lambda);
        b.at[i] = mixed(y.at[i], x.at[i], lambda);
    }
    clv_store(own, a);
    if (m.is_swap)
        clv_store(other, b);
}

struct box {
    int top, left, height, width;
};

/* A block to THREADS pixels of the box in the three planes of a row. */
static __global__ void cut_kernel(struct mixing m, unsigned blocks_a_row, int side, struct box box)
{
    const int64_t row = blockIdx.x / blocks_a_row;
    const int64_t i = (int64_t)(blockIdx.x % blocks_a_row) * THREADS + threadIdx.x;
    const int64_t line = i / box.width;
    if (line >= 3 * (int64_t)box.height)
        return;
    const int64_t plane = line / box.height, y = box.top + line % box.height;
    const int64_t at = (plane * side + y) * side + box.left + i % box.width;
    float *own = own_row(m, row) + at, *other = other_row(m, row) + at;
    const float x = *own;
    *own = *other;
    if (m.is_swap)
        *other = x;
}

void clv_cuda_mix_clips(struct clv_device *device, struct clv_tensor x, struct clv_tensor other,
                        int frame_count, int side, const struct clv_mix *mix)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const bool is_swap = other.data == x.data;
    const int clips = x.rows / frame_count;
    const int64_t rows = (int64_t)(is_swap ? clips / 2 : clips) * frame_count;
    const struct mixing m = {clv_rows_of(x), clv_rows_of(other), clips, frame_count, is_swap};
    const struct box box = {mix->top, mix->left, mix->bottom - mix->top, mix->right - mix->left};
    const int64_t pixels = 3 * (int64_t)box.height * box.width;
    if (rows == 0 || (mix->is_cutmix && pixels == 0))
        return;
    const bool fours = clv_rows_are_fours(x) && clv_rows_are_fours(other);
    const unsigned each = clv_cuda_blocks(mix->is_cutmix ? pixels : x.cols,
                                          THREADS * (!mix->is_cutmix && fours ? 4 : 1));
    const unsigned blocks = clv_cuda_blocks(rows * each, 1);
    const float lambda = (float)mix->lambda;
    if (mix->is_cutmix)
        cut_kernel<<<blocks, THREADS, 0, cuda->work>>>(m, each, side, box);
    else if (fours)
        blend_kernel<4><<<blocks, THREADS, 0, cuda->work>>>(m, each, x.cols, lambda);
    else
        blend_kernel<1><<<blocks, THREADS, 0, cuda->work>>>(m, each, x.cols, lambda);
    (void)clv_cuda_check(device, "mixing clips");
}
