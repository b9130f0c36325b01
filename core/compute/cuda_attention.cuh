/* Private to the CUDA backend: what the attention kernels are told, and the pieces that forward and
 * backward share.
 *
 * One block takes one tile of queries (or, for dk and dv, of keys) of one head of one sequence and
 * walks over the tiles of the other kind, skipping those that the mask hides as a whole
 * (cuda_tiles.h). What is computed for a row, and in which order, depends on the row and its
 * sequence alone, never on the rows that share its tile: any subset of queries gives the same bits.
 * The gradients have one owner each, so there are no atomics. */
#ifndef CLV_CORE_COMPUTE_CUDA_ATTENTION_CUH
#define CLV_CORE_COMPUTE_CUDA_ATTENTION_CUH

#include "core/compute/cuda_rows.cuh"
extern "C" {
#include "core/compute/cuda_tiles.h"
}

/* Arguments of every attention kernel; all addresses are the device's. Where `is_half`, q, k, v,
 * out and their gradients are of bfloat16 and their rows say where, not what: clv_half_row(). */
struct clv_attend_plan {
    struct clv_rows out, q, k, v;
    bool is_half;
    float *stats;                /* [q.rows][head_count], or NULL */
    const int32_t *starts;       /* [sequence_count + 1], rows of k */
    const int32_t *query_starts; /* [sequence_count + 1], rows of q */
    const int32_t *query_rows;   /* [q.rows], or NULL: a query's row in q is its row in k */
    enum clv_mask mask;
    int token_count, head_count, width, sequence_count;
    int query_max, key_max; /* rows of the sequence that has most */
    int64_t query_count, key_count;
    float scale; /* 1 / sqrt(width) */
    bool fours;  /* all inputs can be read four numbers at a time */
};

/* A row of what is bfloat16. */
static __device__ __forceinline__ __nv_bfloat16 *clv_half_row(struct clv_rows rows, int64_t row)
{
    return (__nv_bfloat16 *)(void *)rows.data + row * rows.stride;
}

/* Stages the index arrays and fills `out`. False after a sticky failure, or where nothing is to be
 * done. (cuda_attention.cu) */
bool clv_attend_plan_create(struct clv_device *device, struct clv_attend_plan *plan,
                            struct clv_tensor out, struct clv_tensor q, struct clv_tensor k,
                            struct clv_tensor v, const struct clv_attention *attention);

/* The bf16 forms, for heads of at most CLV_ATTEND_WIDTH_MAX and tensors of either type; wider heads
 * are for the fp32 forms, and their tensors of bfloat16 for copies in fp32.
 * (cuda_attention_bf16.cu) */
void clv_attend_bf16(struct clv_device *device, const struct clv_attend_plan *plan);

struct clv_attend_gradients {
    struct clv_rows dq, dk, dv, dout;
};
void clv_attend_backward_bf16(struct clv_device *device, const struct clv_attend_plan *plan,
                              const struct clv_attend_gradients *gradients);

/* delta [q.rows][head_count] = sum over a head's columns of dout out: what softmax's gradient takes
 * off every score's. `is_rounded`: of dout rounded to bfloat16, so that it agrees with products of
 * that. False after a sticky failure. (cuda_attention_backward.cu) */
bool clv_attend_deltas(struct clv_device *device, float *delta, const struct clv_attend_plan *plan,
                       struct clv_rows dout, bool is_rounded);

#define CLV_ATTEND_WIDTH_MAX 128

/* A tensor of t's shape in fp32, in `room`, which moves on by so much; t itself where it is that.
 * (cuda_attention.cu) */
static inline size_t clv_attend_take_bytes(struct clv_tensor t)
{
    return clv_cuda_padded((size_t)t.rows * (size_t)t.cols * sizeof(float));
}
struct clv_tensor clv_attend_take(struct clv_tensor t, unsigned char **room);

/* Blocks for tiles of `rows` of a sequence with at most `row_max`, by head and sequence. */
static inline unsigned clv_attend_blocks(const struct clv_attend_plan *plan, int row_max, int rows)
{
    const int64_t tiles = (row_max + rows - 1) / rows;
    return clv_cuda_blocks(tiles * plan->head_count * plan->sequence_count, 1);
}

/* Where a block works. */
struct clv_attend_place {
    int head, tile;
    int64_t key_start, query_start; /* first rows of the sequence in k and q */
    int key_count, query_count;     /* its rows */
};

static __device__ __forceinline__ struct clv_attend_place
clv_attend_place_in(const struct clv_attend_plan &plan, int sequence, int head)
{
    struct clv_attend_place place;
    place.tile = 0;
    place.head = head;
    place.key_start = plan.starts[sequence];
    place.query_start = plan.query_starts[sequence];
    place.key_count = plan.starts[sequence + 1] - plan.starts[sequence];
    place.query_count = plan.query_starts[sequence + 1] - plan.query_starts[sequence];
    return place;
}

/* Neighbouring blocks share a head's keys and values; later tiles, which see most under the causal
 * masks, go first. */
static __device__ __forceinline__ struct clv_attend_place
clv_attend_place_of(const struct clv_attend_plan &plan, int row_max, int rows)
{
    const int tiles = (row_max + rows - 1) / rows;
    const int rest = blockIdx.x / tiles;
    struct clv_attend_place place =
        clv_attend_place_in(plan, rest / plan.head_count, rest % plan.head_count);
    place.tile = tiles - 1 - blockIdx.x % tiles;
    return place;
}

/* The row within the sequence of its query `i`. */
static __device__ __forceinline__ int clv_attend_row(const struct clv_attend_plan &plan,
                                                     const struct clv_attend_place &place, int i)
{
    return plan.query_rows ? (int)(plan.query_rows[place.query_start + i] - place.key_start) : i;
}

static __device__ __forceinline__ struct clv_sight
clv_attend_sight(const struct clv_attend_plan &plan, const struct clv_attend_place &place, int i)
{
    return i < place.query_count ? clv_sight_of(plan.mask, plan.token_count, place.key_count,
                                                clv_attend_row(plan, place, i))
                                 : clv_sight_none();
}

/* How queries query_first.. (`queries` of them, less at the sequence's end) see keys key_first.. */
static __device__ __forceinline__ enum clv_tile_view
clv_attend_view(const struct clv_attend_plan &plan, const struct clv_attend_place &place,
                int query_first, int queries, int key_first, int keys)
{
    const int query_end = min(query_first + queries, place.query_count);
    const int key_end = min(key_first + keys, place.key_count);
    const enum clv_tile_view view =
        clv_tile_view_of(plan.mask, plan.token_count, clv_attend_row(plan, place, query_first),
                         clv_attend_row(plan, place, query_end - 1), key_first, key_end);
    const bool is_full = query_end - query_first == queries && key_end - key_first == keys;
    return view == CLV_TILE_WHOLE && !is_full ? CLV_TILE_MIXED : view;
}

/* ---- fp32 tiles ------------------------------------------------------------------------------ */

/* 256 threads, 16 to a row of a product: thread (x, y) has rows y * R.. and columns x + 16 c of
 * scores, columns 2 x + 32 j and the next of sums. A tile's row of WIDTH floats (the head's width
 * rounded up, zeros behind) lies WIDTH + 4 apart: 16-byte loads of eight rows meet no bank twice.
 */
#define CLV_ATTEND_THREADS 256
#define CLV_ATTEND_SIDE 16

/* A weight that is not to be multiplied: whatever it would multiply may be NaN. */
#define CLV_HIDDEN_WEIGHT (-0.0f)

static __device__ __forceinline__ bool clv_is_hidden(float weight)
{
    return __float_as_int(weight) == (int)0x80000000u;
}

/* tile [ROWS][WIDTH + 4] = factor * rows of `from`, `count` of them; zeros elsewhere. */
template <int ROWS, int WIDTH>
static __device__ __forceinline__ void clv_load_tile(float *tile, const float *from, int64_t stride,
                                                     int count, int width, float factor, bool fours)
{
    if (fours) {
        for (int i = threadIdx.x; i < ROWS * WIDTH / 4; i += CLV_ATTEND_THREADS) {
            const int r = i / (WIDTH / 4), c = i % (WIDTH / 4) * 4;
            float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (r < count && c < width)
                x = *(const float4 *)(from + r * stride + c);
            x.x *= factor, x.y *= factor, x.z *= factor, x.w *= factor;
            *(float4 *)(tile + r * (WIDTH + 4) + c) = x;
        }
        return;
    }
    for (int i = threadIdx.x; i < ROWS * WIDTH; i += CLV_ATTEND_THREADS) {
        const int r = i / WIDTH, c = i % WIDTH;
        tile[r * (WIDTH + 4) + c] = r < count && c < width ? factor * from[r * stride + c] : 0.0f;
    }
}

/* s[r][c] = row y * R + r of a times row x + 16 c of b. */
template <int R, int C, int WIDTH>
static __device__ __forceinline__ void clv_dot_tile(float (&s)[R][C], const float *a,
                                                    const float *b)
{
    const float *at_a = a + threadIdx.x / CLV_ATTEND_SIDE * R * (WIDTH + 4);
    const float *at_b = b + threadIdx.x % CLV_ATTEND_SIDE * (WIDTH + 4);
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
        for (int c = 0; c < C; c++)
            s[r][c] = 0.0f;
#pragma unroll 4
    for (int d = 0; d < WIDTH; d += 4) {
        float4 x[R], y[C];
#pragma unroll
        for (int r = 0; r < R; r++)
            x[r] = *(const float4 *)(at_a + r * (WIDTH + 4) + d);
#pragma unroll
        for (int c = 0; c < C; c++)
            y[c] = *(const float4 *)(at_b + c * CLV_ATTEND_SIDE * (WIDTH + 4) + d);
#pragma unroll
        for (int r = 0; r < R; r++)
#pragma unroll
            for (int c = 0; c < C; c++) {
                s[r][c] = fmaf(x[r].x, y[c].x, s[r][c]);
                s[r][c] = fmaf(x[r].y, y[c].y, s[r][c]);
                s[r][c] = fmaf(x[r].z, y[c].z, s[r][c]);
                s[r][c] = fmaf(x[r].w, y[c].w, s[r][c]);
            }
    }
}

/* weights [rows][COLS + 4] in shared memory, for the sixteen threads of a row. */
template <int R, int C>
static __device__ __forceinline__ void clv_store_weights(float *weights, const float (&p)[R][C])
{
    float *to = weights + threadIdx.x / CLV_ATTEND_SIDE * R * (C * CLV_ATTEND_SIDE + 4) +
                threadIdx.x % CLV_ATTEND_SIDE;
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
        for (int c = 0; c < C; c++)
            to[r * (C * CLV_ATTEND_SIDE + 4) + c * CLV_ATTEND_SIDE] = p[r][c];
}

/* sums[r] += row y * R + r of weights [rows][COLS + 4] times b [COLS][WIDTH + 4], for the thread's
 * columns. CHECKED: leaves out what is hidden. */
template <bool CHECKED, int R, int COLS, int WIDTH>
static __device__ __forceinline__ void clv_add_tile_as(float (&sums)[R][WIDTH / 16],
                                                       const float *weights, const float *b)
{
    const float *at_p = weights + threadIdx.x / CLV_ATTEND_SIDE * R * (COLS + 4);
    const float *at_b = b + threadIdx.x % CLV_ATTEND_SIDE * 2;
#pragma unroll 2
    for (int i = 0; i < COLS; i += 4) {
        float p[R][4];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const float4 four = *(const float4 *)(at_p + r * (COLS + 4) + i);
            p[r][0] = four.x, p[r][1] = four.y, p[r][2] = four.z, p[r][3] = four.w;
        }
#pragma unroll
        for (int u = 0; u < 4; u++)
#pragma unroll
            for (int j = 0; j < WIDTH / 32; j++) {
                const float2 x = *(const float2 *)(at_b + (i + u) * (WIDTH + 4) + j * 32);
#pragma unroll
                for (int r = 0; r < R; r++) {
                    const float first = fmaf(p[r][u], x.x, sums[r][2 * j]);
                    const float second = fmaf(p[r][u], x.y, sums[r][2 * j + 1]);
                    const bool left_out = CHECKED && clv_is_hidden(p[r][u]);
                    sums[r][2 * j] = left_out ? sums[r][2 * j] : first;
                    sums[r][2 * j + 1] = left_out ? sums[r][2 * j + 1] : second;
                }
            }
    }
}

template <int R, int COLS, int WIDTH>
static __device__ __forceinline__ void
clv_add_tile(float (&sums)[R][WIDTH / 16], const float *weights, const float *b, bool checked)
{
    if (checked)
        clv_add_tile_as<true, R, COLS, WIDTH>(sums, weights, b);
    else
        clv_add_tile_as<false, R, COLS, WIDTH>(sums, weights, b);
}

/* Rows y * R.. of a result, those below `count`, each times its factor. */
template <int R, int WIDTH>
static __device__ __forceinline__ void clv_write_tile(float *to, int64_t stride, int count,
                                                      int width, const float (&sums)[R][WIDTH / 16],
                                                      const float (&factors)[R])
{
#pragma unroll
    for (int r = 0; r < R; r++) {
        const int row = threadIdx.x / CLV_ATTEND_SIDE * R + r;
#pragma unroll
        for (int j = 0; j < WIDTH / 16; j++) {
            const int col = threadIdx.x % CLV_ATTEND_SIDE * 2 + j / 2 * 32 + j % 2;
            if (row < count && col < width)
                to[row * stride + col] = sums[r][j] * factors[r];
        }
    }
}

/* Over the sixteen threads of a row, in each of them. */
static __device__ __forceinline__ float clv_row_max(float x)
{
#pragma unroll
    for (int offset = CLV_ATTEND_SIDE / 2; offset > 0; offset /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
    return x;
}

static __device__ __forceinline__ float clv_row_sum(float x)
{
#pragma unroll
    for (int offset = CLV_ATTEND_SIDE / 2; offset > 0; offset /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, offset);
    return x;
}

/* ---- heads wider than the tiles take --------------------------------------------------------- */

/* The sum of a b over `width` columns, in every lane of the warp. */
static __device__ __forceinline__ float clv_warp_dot(const float *a, const float *b, int width)
{
    float sum = 0.0f;
    for (int d = threadIdx.x % CLV_CUDA_WARP; d < width; d += CLV_CUDA_WARP)
        sum = fmaf(a[d], b[d], sum);
    return clv_warp_sum(sum);
}

/* The sequence that holds a row: starts[s] <= row < starts[s + 1]. */
static __device__ __forceinline__ int clv_sequence_of(const int32_t *starts, int count, int64_t row)
{
    int low = 0, high = count;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (starts[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Calls LAUNCH(WIDTH) for the tiles that heads of `width` columns fit into. */
#define CLV_ATTEND_BY_WIDTH(width, LAUNCH) \
    do {                                   \
        if ((width) <= 32)                 \
            LAUNCH(32);                    \
        else if ((width) <= 64)            \
            LAUNCH(64);                    \
        else if ((width) <= 96)            \
            LAUNCH(96);                    \
        else                               \
            LAUNCH(128);                   \
    } while (0)

#endif
