/* Attention and its gradients on tensor cores: factors in bfloat16, sums and softmax in fp32.
 * Inputs of fp32 are rounded once, into scratch, those of bfloat16 read where they lie; a warp owns
 * sixteen rows of a product's result, and what comes out of one product goes into the next without
 * leaving its registers (Dao, 2023). The tiles of the other side come in through two buffers, one
 * filling while the other is multiplied.
 *
 * What the mask hides inside a tile is multiplied by zero here: a number that is not finite can
 * reach the queries whose tile holds it. In fp32 it cannot. */
#include "core/compute/cuda_attention.cuh"
#include "core/compute/cuda_mma.cuh"

#define THREADS 128
#define WARP_ROWS 16
#define TILE 64 /* four warps' rows */
#define LOG2_E 1.4426950408889634f

/* ---- operands -------------------------------------------------------------------------------- */

/* Rows of bfloat16, [rows][head_count][step]: `step` is the WIDTH of tiles, with zeros behind each
 * head's columns, or the heads' own width, of whole eights. Rows and heads lie on 16 bytes. */
struct halves {
    const uint16_t *data;
    int64_t stride;
    int step;
};

struct rounding {
    struct clv_rows from[4];
    uint16_t *to[4];
    int64_t rows[4], stride;
    bool is_half; /* from */
};

/* Eight numbers of a head from column `col` on, zeros past its width. */
template <typename T>
static __device__ __forceinline__ void load_eight(float (&x)[8], const T *from, int col, int width,
                                                  bool fours)
{
    if (fours) { /* the width is a multiple of 4 too */
        for (int half = 0; half < 8; half += 4) {
            clv_pack<4> four = {};
            if (col + half < width)
                four = clv_load<4>(from + half);
            for (int c = 0; c < 4; c++)
                x[half + c] = four.at[c];
        }
    } else {
        for (int c = 0; c < 8; c++)
            x[c] = col + c < width ? clv_load<1>(from + c).at[0] : 0.0f;
    }
}

/* One warp to each row of tensor blockIdx.y, eight columns a lane at a time. */
template <int WIDTH>
static __global__ void round_kernel(struct rounding r, int head_count, int width, bool fours)
{
    const int64_t row = clv_warp_row();
    const int which = blockIdx.y;
    if (row >= r.rows[which])
        return;
    uint16_t *to = r.to[which] + row * r.stride;
    for (int i = threadIdx.x % CLV_CUDA_WARP; i < head_count * (WIDTH / 8); i += CLV_CUDA_WARP) {
        const int head = i / (WIDTH / 8), col = i % (WIDTH / 8) * 8;
        const int64_t at = (int64_t)head * width + col;
        float x[8];
        if (r.is_half)
            load_eight(x, clv_half_row(r.from[which], row) + at, col, width, fours);
        else
            load_eight(x, clv_row(r.from[which], row) + at, col, width, fours);
        *(uint4 *)(to + i * 8) = make_uint4(clv_pack_bf16(x[0], x[1]), clv_pack_bf16(x[2], x[3]),
                                            clv_pack_bf16(x[4], x[5]), clv_pack_bf16(x[6], x[7]));
    }
}

/* What the kernels read; dout and delta for gradients only. */
struct operands {
    struct halves q, k, v, dout;
    float *delta;
};

static unsigned char *carve(unsigned char **at, size_t size_bytes)
{
    unsigned char *piece = *at;
    *at += clv_cuda_padded(size_bytes);
    return piece;
}

/* Whether rows of bfloat16 can be brought in as they are. */
static bool is_direct(const struct clv_attend_plan *plan, const struct clv_rows &rows)
{
    return plan->is_half && plan->width % 8 == 0 &&
           clv_cuda_is_aligned(rows.data, rows.stride, sizeof(uint16_t), 16);
}

static struct halves halves_in(const struct clv_attend_plan *plan, const struct clv_rows &rows)
{
    return {(const uint16_t *)(const void *)rows.data, rows.stride, plan->width};
}

/* Where all inputs, dout too if there is one, are direct: takes them as they are, with scratch for
 * delta alone. False after a sticky failure. */
static bool operands_take(struct clv_device *device, struct operands *out,
                          const struct clv_attend_plan *plan, const struct clv_rows *dout)
{
    *out = {halves_in(plan, plan->q), halves_in(plan, plan->k), halves_in(plan, plan->v),
            halves_in(plan, dout ? *dout : plan->q), NULL};
    if (!dout)
        return true;
    out->delta = (float *)clv_cuda_scratch(
        device, (size_t)(plan->query_count * plan->head_count + 1) * sizeof(float));
    return out->delta != NULL;
}

/* Rounds q, k, v and, where there is one, dout into scratch, in which delta gets its place; or
 * takes them as they are. False after a sticky failure. */
template <int WIDTH>
static bool operands_create(struct clv_device *device, struct operands *out,
                            const struct clv_attend_plan *plan, const struct clv_rows *dout)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    if (is_direct(plan, plan->q) && is_direct(plan, plan->k) && is_direct(plan, plan->v) &&
        (!dout || is_direct(plan, *dout)))
        return operands_take(device, out, plan, dout);
    const int64_t stride = (int64_t)plan->head_count * WIDTH;
    const size_t query_bytes = (size_t)(plan->query_count * stride) * sizeof(uint16_t);
    const size_t key_bytes = (size_t)(plan->key_count * stride) * sizeof(uint16_t);
    const size_t delta_bytes = (size_t)(plan->query_count * plan->head_count) * sizeof(float);
    unsigned char *at = (unsigned char *)clv_cuda_scratch(
        device, 2 * clv_cuda_padded(query_bytes) + 2 * clv_cuda_padded(key_bytes) +
                    clv_cuda_padded(delta_bytes) + 256);
    if (!at)
        return false;
    uint16_t *q = (uint16_t *)carve(&at, query_bytes), *dq = (uint16_t *)carve(&at, query_bytes);
    uint16_t *k = (uint16_t *)carve(&at, key_bytes), *v = (uint16_t *)carve(&at, key_bytes);
    *out = {{q, stride, WIDTH},
            {k, stride, WIDTH},
            {v, stride, WIDTH},
            {dq, stride, WIDTH},
            (float *)carve(&at, delta_bytes)};
    const struct rounding rounding = {
        {plan->q, plan->k, plan->v, dout ? *dout : plan->q},
        {q, k, v, dq},
        {plan->query_count, plan->key_count, plan->key_count, plan->query_count},
        stride,
        plan->is_half};
    const int64_t rows = plan->key_count > plan->query_count ? plan->key_count : plan->query_count;
    round_kernel<WIDTH>
        <<<dim3(clv_warp_row_blocks(rows), dout ? 4 : 3), CLV_ROW_THREADS, 0, cuda->work>>>(
            rounding, plan->head_count, plan->width, plan->fours);
    return clv_cuda_check(device, "attention");
}

/* ---- tiles in shared memory ------------------------------------------------------------------ */

/* Rows lie WIDTH + 8 halves apart: eight rows of a matrix meet no bank twice. */
template <int WIDTH> constexpr int pitch_of = WIDTH + 8;

/* Starts to bring in `count` rows of a head (zeros behind them, up to ROWS). */
template <int ROWS, int WIDTH>
static __device__ __forceinline__ void bring_tile(uint16_t *tile, const struct halves &from,
                                                  int64_t row, int head, int count)
{
    const uint16_t *at = from.data + row * from.stride + head * from.step;
    for (int i = threadIdx.x; i < ROWS * (WIDTH / 8); i += THREADS) {
        const int r = i / (WIDTH / 8), c = i % (WIDTH / 8) * 8;
        const bool is_there = r < count && c < from.step;
        clv_copy_16(tile + r * pitch_of<WIDTH> + c, is_there ? at + r * from.stride + c : at,
                    is_there);
    }
}

/* a [16, 16] of a product: rows of `tile` from `row` on, columns from `col` on. */
template <int WIDTH>
static __device__ __forceinline__ void load_left(uint32_t (&a)[4], const uint16_t *tile, int row,
                                                 int col)
{
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    clv_load_matrices(a, tile + (row + lane % 16) * pitch_of<WIDTH> + col + lane / 16 * 8);
}

/* b [16, 8] twice, where the product's columns are rows of `tile`: of rows row.. and row + 8..,
 * with columns col.. summed over: r[0], r[1] for the first and r[2], r[3] for the second. */
template <int WIDTH>
static __device__ __forceinline__ void load_by_rows(uint32_t (&r)[4], const uint16_t *tile, int row,
                                                    int col)
{
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    clv_load_matrices(r, tile + (row + lane / 16 * 8 + lane % 8) * pitch_of<WIDTH> + col +
                             lane / 8 % 2 * 8);
}

/* The same where rows row.. are summed over and the product's columns are the tile's, from col on
 * and from col + 8 on. */
template <int WIDTH>
static __device__ __forceinline__ void load_by_cols(uint32_t (&r)[4], const uint16_t *tile, int row,
                                                    int col)
{
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    clv_load_transposed(r, tile + (row + lane % 16) * pitch_of<WIDTH> + col + lane / 16 * 8);
}

/* sums [16, WIDTH] += the weights of sixteen rows times `count` rows of `tile`; a weight's two
 * neighbouring blocks of eight columns are one a [16, 16]. */
template <int COUNT, int WIDTH>
static __device__ __forceinline__ void add_weighted(float (&sums)[WIDTH / 8][4],
                                                    const float (&weights)[COUNT / 8][4],
                                                    const uint16_t *tile, int count)
{
#pragma unroll
    for (int i = 0; i < COUNT / 16; i++) {
        if (i * 16 >= count)
            break;
        const float *low = weights[2 * i], *high = weights[2 * i + 1];
        const uint32_t a[4] = {clv_pack_bf16(low[0], low[1]), clv_pack_bf16(low[2], low[3]),
                               clv_pack_bf16(high[0], high[1]), clv_pack_bf16(high[2], high[3])};
#pragma unroll
        for (int j = 0; j < WIDTH / 16; j++) {
            uint32_t b[4];
            load_by_cols<WIDTH>(b, tile, i * 16, j * 16);
            clv_mma(sums[2 * j], a, b[0], b[1]);
            clv_mma(sums[2 * j + 1], a, b[2], b[3]);
        }
    }
}

/* The same in bfloat16, two columns at once where each row's pairs are words. */
template <int WIDTH>
static __device__ __forceinline__ void
write_half_rows(__nv_bfloat16 *to, int64_t stride, int row, int count, int width,
                const float (&sums)[WIDTH / 8][4], const float (&factors)[2])
{
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    const bool are_words = (uintptr_t)to % 4 == 0 && stride % 2 == 0 && width % 2 == 0;
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int r = row + lane / 4 + h * 8, c = j * 8 + lane % 4 * 2;
            const float low = sums[j][2 * h] * factors[h], high = sums[j][2 * h + 1] * factors[h];
            __nv_bfloat16 *at = to + r * stride + c;
            if (r >= count || c >= width)
                continue;
            if (are_words) {
                *(uint32_t *)(void *)at = clv_pack_bf16(low, high);
                continue;
            }
            at[0] = __float2bfloat16_rn(low);
            if (c + 1 < width)
                at[1] = __float2bfloat16_rn(high);
        }
}

/* Rows of a result [16, WIDTH], from `row` on of a tile whose first lies at `to`, those below
 * `count`; factors[0] for row g, factors[1] for row g + 8. */
template <int WIDTH>
static __device__ __forceinline__ void
write_float_rows(float *to, int64_t stride, int row, int count, int width,
                 const float (&sums)[WIDTH / 8][4], const float (&factors)[2])
{
    const int lane = threadIdx.x % CLV_CUDA_WARP;
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int r = row + lane / 4 + i / 2 * 8, c = j * 8 + lane % 4 * 2 + i % 2;
            if (r < count && c < width)
                to[r * stride + c] = sums[j][i] * factors[i / 2];
        }
}

/* Either, into a head's columns of `to` whose tile begins at row `start`. */
template <int WIDTH>
static __device__ __forceinline__ void
write_rows(const struct clv_attend_plan &plan, const struct clv_attend_place &place,
           const struct clv_rows &to, int64_t start, int row, int count,
           const float (&sums)[WIDTH / 8][4], const float (&factors)[2])
{
    const int column = place.head * plan.width;
    if (plan.is_half)
        write_half_rows<WIDTH>(clv_half_row(to, start) + column, to.stride, row, count, plan.width,
                               sums, factors);
    else
        write_float_rows<WIDTH>(clv_row(to, start) + column, to.stride, row, count, plan.width,
                                sums, factors);
}

/* ---- forward --------------------------------------------------------------------------------- */

/* A warp's sixteen rows: what the online softmax keeps of row g and of row g + 8. */
struct softmax {
    float highest[2], weights[2];
};

/* Replaces raw scores by exp2(step (score - highest so far)), and says by what the sums so far are
 * to be multiplied. A row that sees nothing of the tile is left as it was. */
static __device__ __forceinline__ void soften(struct softmax &soft, float (&s)[TILE / 8][4],
                                              float (&factors)[2],
                                              const struct clv_sight (&sights)[2], int key,
                                              int key_count, float step, bool checked)
{
    const int column = threadIdx.x % 4 * 2;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float highest = soft.highest[h];
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float &score = s[n][2 * h + e];
                if (checked && !clv_sees(sights[h], key + n * 8 + column + e, key_count))
                    score = -INFINITY;
                highest = fmaxf(highest, score);
            }
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
        factors[h] = highest == soft.highest[h] ? 1.0f : exp2f((soft.highest[h] - highest) * step);
        soft.highest[h] = highest;
        const float base = highest == -INFINITY ? 0.0f : highest * step;
        float sum = 0.0f;
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                s[n][2 * h + e] = exp2f(fmaf(s[n][2 * h + e], step, -base));
                sum += s[n][2 * h + e];
            }
        soft.weights[h] = fmaf(soft.weights[h], factors[h], sum);
    }
}

/* Queries of a head's sequence in registers: rows `row`.. of q, zeros past the sequence's end. */
template <int WIDTH>
static __device__ __forceinline__ void load_queries(uint32_t (&a)[WIDTH / 16][4],
                                                    const struct halves &q,
                                                    const struct clv_attend_place &place, int row)
{
    const int lane = threadIdx.x % CLV_CUDA_WARP;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int r = row + lane / 4 + i * 8;
        const uint16_t *at = q.data + (place.query_start + r) * q.stride + place.head * q.step;
#pragma unroll
        for (int ks = 0; ks < WIDTH / 16; ks++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                a[ks][i + 2 * half] =
                    r < place.query_count && ks * 16 + half * 8 < q.step
                        ? *(const uint32_t *)(at + ks * 16 + half * 8 + lane % 4 * 2)
                        : 0;
    }
}

/* s [M][16, keys] = q k^T. */
template <int M, int WIDTH>
static __device__ __forceinline__ void score(float (&s)[M][TILE / 8][4],
                                             const uint32_t (&q)[M][WIDTH / 16][4],
                                             const uint16_t *k, int keys)
{
#pragma unroll
    for (int n = 0; n < TILE / 8; n += 2) {
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                s[m][n][i] = s[m][n + 1][i] = 0.0f;
        if (n * 8 >= keys)
            continue;
#pragma unroll
        for (int ks = 0; ks < WIDTH / 16; ks++) {
            uint32_t b[4];
            load_by_rows<WIDTH>(b, k, n * 8, ks * 16);
#pragma unroll
            for (int m = 0; m < M; m++) {
                clv_mma(s[m][n], q[m][ks], b[0], b[1]);
                clv_mma(s[m][n + 1], q[m][ks], b[2], b[3]);
            }
        }
    }
}

/* Sixteen rows' output, and their stats where they are kept; `row` is the first, in the sequence.
 */
template <int WIDTH>
static __device__ __forceinline__ void
finish(const struct clv_attend_plan &plan, const struct clv_attend_place &place, int row,
       const struct softmax &soft, const float (&sums)[WIDTH / 8][4])
{
    float factors[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float total = soft.weights[h];
        total += __shfl_xor_sync(0xffffffffu, total, 1);
        total += __shfl_xor_sync(0xffffffffu, total, 2);
        factors[h] = 1.0f / total;
        const int i = row + threadIdx.x % CLV_CUDA_WARP / 4 + h * 8;
        if (plan.stats && threadIdx.x % 4 == 0 && i < place.query_count)
            plan.stats[(place.query_start + i) * plan.head_count + place.head] =
                soft.highest[h] * plan.scale + logf(total);
    }
    write_rows<WIDTH>(plan, place, plan.out, place.query_start, row, place.query_count, sums,
                      factors);
}

/* The next tile of keys from `key` on that queries first.. see something of; key_count or more:
 * there is none. */
static __device__ __forceinline__ int next_keys(const struct clv_attend_plan &plan,
                                                const struct clv_attend_place &place, int first,
                                                int queries, int key, int keys)
{
    while (key < place.key_count &&
           clv_attend_view(plan, place, first, queries, key, keys) == CLV_TILE_HIDDEN)
        key += keys;
    return key;
}

/* The next tile of queries that see something of keys first... */
static __device__ __forceinline__ int next_queries(const struct clv_attend_plan &plan,
                                                   const struct clv_attend_place &place, int first,
                                                   int keys, int query, int queries)
{
    while (query < place.query_count &&
           clv_attend_view(plan, place, query, queries, first, keys) == CLV_TILE_HIDDEN)
        query += queries;
    return query;
}

template <int WIDTH> constexpr size_t attend_bytes = 4 * TILE *pitch_of<WIDTH> * sizeof(uint16_t);

/* M times sixteen queries a warp. */
template <int WIDTH, int M>
static __global__ void __launch_bounds__(THREADS)
    attend_kernel(struct clv_attend_plan plan, struct operands from)
{
    constexpr int QUERIES = M * TILE, SIZE = TILE * pitch_of<WIDTH>;
    extern __shared__ __align__(16) uint16_t shared[]; /* [2][k, v][TILE][pitch] */
    const struct clv_attend_place place = clv_attend_place_of(plan, plan.query_max, QUERIES);
    const int first = place.tile * QUERIES;
    const int row = first + threadIdx.x / CLV_CUDA_WARP * M * WARP_ROWS; /* the warp's first */
    if (first >= place.query_count)
        return;
    int key = next_keys(plan, place, first, QUERIES, 0, TILE), buffer = 0;
    const auto bring = [&](int at, int into) {
        const int count = min(TILE, place.key_count - at);
        uint16_t *k = shared + into * 2 * SIZE;
        bring_tile<TILE, WIDTH>(k, from.k, place.key_start + at, place.head, count);
        bring_tile<TILE, WIDTH>(k + SIZE, from.v, place.key_start + at, place.head, count);
        clv_copy_commit();
    };
    bring(key, 0); /* a query sees itself: there is a tile */
    uint32_t q[M][WIDTH / 16][4];
    struct clv_sight sights[M][2];
    struct softmax soft[M];
    float sums[M][WIDTH / 8][4] = {};
#pragma unroll
    for (int m = 0; m < M; m++) {
        load_queries<WIDTH>(q[m], from.q, place, row + m * WARP_ROWS);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int i = row + m * WARP_ROWS + threadIdx.x % CLV_CUDA_WARP / 4 + h * 8;
            sights[m][h] = clv_attend_sight(plan, place, i);
            soft[m].highest[h] = -INFINITY;
            soft[m].weights[h] = 0.0f;
        }
    }
    while (key < place.key_count) {
        const int next = next_keys(plan, place, first, QUERIES, key + TILE, TILE);
        if (next < place.key_count) {
            bring(next, buffer ^ 1);
            clv_copy_wait<1>();
        } else {
            clv_copy_wait<0>();
        }
        __syncthreads(); /* the tile is there for all */
        if (row < place.query_count) {
            const bool checked =
                clv_attend_view(plan, place, first, QUERIES, key, TILE) == CLV_TILE_MIXED;
            const int keys = min(TILE, place.key_count - key);
            const uint16_t *k = shared + buffer * 2 * SIZE;
            float s[M][TILE / 8][4];
            score<M, WIDTH>(s, q, k, keys);
#pragma unroll
            for (int m = 0; m < M; m++) {
                float factors[2];
                soften(soft[m], s[m], factors, sights[m], key, place.key_count, plan.scale * LOG2_E,
                       checked);
#pragma unroll
                for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
                    for (int i = 0; i < 4; i++)
                        sums[m][j][i] *= factors[i / 2];
                add_weighted<TILE, WIDTH>(sums[m], s[m], k + SIZE, keys);
            }
        }
        __syncthreads(); /* and has been read by all */
        key = next;
        buffer ^= 1;
    }
#pragma unroll
    for (int m = 0; m < M; m++)
        finish<WIDTH>(plan, place, row + m * WARP_ROWS, soft[m], sums[m]);
}

template <int WIDTH, int M>
static void launch_forward(struct clv_device *device, const struct clv_attend_plan *plan,
                           const struct operands &from)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    if (!clv_cuda_ok(device,
                     cudaFuncSetAttribute(attend_kernel<WIDTH, M>,
                                          cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          (int)attend_bytes<WIDTH>),
                     "attention"))
        return;
    attend_kernel<WIDTH, M><<<clv_attend_blocks(plan, plan->query_max, M * TILE), THREADS,
                              attend_bytes<WIDTH>, cuda->work>>>(*plan, from);
    (void)clv_cuda_check(device, "attention");
}

/* Twice the queries a warp halve what is read of keys and values, where registers allow it. */
template <int WIDTH>
static void attend(struct clv_device *device, const struct clv_attend_plan *plan)
{
    struct operands from;
    if (!operands_create<WIDTH>(device, &from, plan, NULL))
        return;
    if constexpr (WIDTH <= 64) {
        if (plan->query_max > TILE) {
            launch_forward<WIDTH, 2>(device, plan, from);
            return;
        }
    }
    launch_forward<WIDTH, 1>(device, plan, from);
}

void clv_attend_bf16(struct clv_device *device, const struct clv_attend_plan *plan)
{
#define LAUNCH(WIDTH) attend<WIDTH>(device, plan)
    CLV_ATTEND_BY_WIDTH(plan->width, LAUNCH);
#undef LAUNCH
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* Rows of the other side at once: fewer for wide heads, so that the sums stay in registers. */
template <int WIDTH> constexpr int step_of = WIDTH <= 64 ? 64 : 32;

/* [2][TILE][pitch] for the block's own side, [2][2][step][pitch] for the other, and its stats and
 * deltas, [2][2][step]. */
template <int WIDTH>
constexpr size_t backward_bytes = (2 * TILE + 4 * step_of<WIDTH>)*pitch_of<WIDTH> *
                                      sizeof(uint16_t) +
                                  4 * step_of<WIDTH> * sizeof(float);

/* s [16, COUNT] = rows row.. of `left` times those of `right`, and dp the same of another pair. */
template <int COUNT, int WIDTH>
static __device__ __forceinline__ void
score_pair(float (&s)[COUNT / 8][4], float (&dp)[COUNT / 8][4], const uint16_t *left,
           const uint16_t *dleft, int row, const uint16_t *right, const uint16_t *dright, int count)
{
#pragma unroll
    for (int n = 0; n < COUNT / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            s[n][i] = dp[n][i] = 0.0f;
#pragma unroll
    for (int ks = 0; ks < WIDTH / 16; ks++) {
        uint32_t a[4], da[4];
        load_left<WIDTH>(a, left, row, ks * 16);
        load_left<WIDTH>(da, dleft, row, ks * 16);
#pragma unroll
        for (int n = 0; n < COUNT / 8; n += 2) {
            if (n * 8 >= count)
                break;
            uint32_t b[4];
            load_by_rows<WIDTH>(b, right, n * 8, ks * 16);
            clv_mma(s[n], a, b[0], b[1]);
            clv_mma(s[n + 1], a, b[2], b[3]);
            load_by_rows<WIDTH>(b, dright, n * 8, ks * 16);
            clv_mma(dp[n], da, b[0], b[1]);
            clv_mma(dp[n + 1], da, b[2], b[3]);
        }
    }
}

/* dq of one tile of queries, over the tiles of keys. */
template <int WIDTH>
static __global__ void __launch_bounds__(THREADS)
    dq_kernel(struct clv_attend_plan plan, struct clv_attend_gradients g, struct operands from)
{
    constexpr int KEYS = step_of<WIDTH>, OWN = TILE * pitch_of<WIDTH>;
    constexpr int SIZE = KEYS * pitch_of<WIDTH>;
    extern __shared__ __align__(16) uint16_t shared[];
    uint16_t *q = shared, *dout = q + OWN, *others = dout + OWN;
    const struct clv_attend_place place = clv_attend_place_of(plan, plan.query_max, TILE);
    const int first = place.tile * TILE, count = min(TILE, place.query_count - first);
    if (count <= 0)
        return;
    int key = next_keys(plan, place, first, TILE, 0, KEYS), buffer = 0;
    const auto bring = [&](int at, int into) {
        const int keys = min(KEYS, place.key_count - at);
        uint16_t *k = others + into * 2 * SIZE;
        bring_tile<KEYS, WIDTH>(k, from.k, place.key_start + at, place.head, keys);
        bring_tile<KEYS, WIDTH>(k + SIZE, from.v, place.key_start + at, place.head, keys);
        clv_copy_commit();
    };
    bring_tile<TILE, WIDTH>(q, from.q, place.query_start + first, place.head, count);
    bring_tile<TILE, WIDTH>(dout, from.dout, place.query_start + first, place.head, count);
    bring(key, 0); /* a query sees itself: there is a tile */
    const int row = threadIdx.x / CLV_CUDA_WARP * WARP_ROWS; /* the warp's first, in the tile */
    const int column = threadIdx.x % 4 * 2;
    const float step = plan.scale * LOG2_E;
    struct clv_sight sights[2];
    float stat[2], delta[2], sums[WIDTH / 8][4] = {};
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const int i = first + row + threadIdx.x % CLV_CUDA_WARP / 4 + h * 8;
        const int64_t at = (place.query_start + i) * plan.head_count + place.head;
        sights[h] = clv_attend_sight(plan, place, i);
        stat[h] = i < place.query_count ? plan.stats[at] * LOG2_E : 0.0f;
        delta[h] = i < place.query_count ? from.delta[at] : 0.0f;
    }
    while (key < place.key_count) {
        const int next = next_keys(plan, place, first, TILE, key + KEYS, KEYS);
        if (next < place.key_count) {
            bring(next, buffer ^ 1);
            clv_copy_wait<1>();
        } else {
            clv_copy_wait<0>();
        }
        __syncthreads(); /* the tile is there for all */
        if (row < count) {
            const bool checked =
                clv_attend_view(plan, place, first, TILE, key, KEYS) == CLV_TILE_MIXED;
            const int keys = min(KEYS, place.key_count - key);
            const uint16_t *k = others + buffer * 2 * SIZE;
            float s[KEYS / 8][4], dp[KEYS / 8][4];
            score_pair<KEYS, WIDTH>(s, dp, q, dout, row, k, k + SIZE, keys);
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int at = key + n * 8 + column + i % 2;
                    const bool seen = !checked || clv_sees(sights[i / 2], at, place.key_count);
                    const float p = exp2f(fmaf(s[n][i], step, -stat[i / 2]));
                    s[n][i] = seen ? p * (dp[n][i] - delta[i / 2]) : 0.0f;
                }
            add_weighted<KEYS, WIDTH>(sums, s, k, keys);
        }
        __syncthreads(); /* and has been read by all */
        key = next;
        buffer ^= 1;
    }
    const float factors[2] = {plan.scale, plan.scale};
    write_rows<WIDTH>(plan, place, g.dq, place.query_start + first, row, count, sums, factors);
}

/* From scores s and their gradients' products dp, keys being rows and queries first.. columns:
 * s = p, dp = ds. `kept` are the queries' stats and deltas, [2][COUNT]. */
template <int COUNT>
static __device__ __forceinline__ void
weigh_columns(float (&s)[COUNT / 8][4], float (&dp)[COUNT / 8][4],
              const struct clv_attend_plan &plan, const struct clv_attend_place &place, int key,
              int query, const float *kept, bool checked)
{
    const int lane = threadIdx.x % CLV_CUDA_WARP, column = lane % 4 * 2;
    const float step = plan.scale * LOG2_E;
#pragma unroll
    for (int n = 0; n < COUNT / 8; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const int at = n * 8 + column + e;
            const float stat = kept[at] * LOG2_E, delta = kept[COUNT + at];
            const struct clv_sight sight =
                checked ? clv_attend_sight(plan, place, query + at) : clv_sight_none();
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float &p = s[n][2 * h + e], &ds = dp[n][2 * h + e];
                const bool seen =
                    !checked || clv_sees(sight, key + lane / 4 + h * 8, place.key_count);
                p = seen ? exp2f(fmaf(p, step, -stat)) : 0.0f;
                ds = seen ? p * (ds - delta) : 0.0f;
            }
        }
}

/* dk and dv of one tile of keys, over the tiles of queries. Scores are transposed: keys are rows.
 */
template <int WIDTH>
static __global__ void __launch_bounds__(THREADS)
    dkv_kernel(struct clv_attend_plan plan, struct clv_attend_gradients g, struct operands from)
{
    constexpr int QUERIES = step_of<WIDTH>, OWN = TILE * pitch_of<WIDTH>;
    constexpr int SIZE = QUERIES * pitch_of<WIDTH>;
    extern __shared__ __align__(16) uint16_t shared[];
    uint16_t *k = shared, *v = k + OWN, *others = v + OWN;
    float *kept = (float *)(others + 4 * SIZE); /* [2][stats, deltas][QUERIES] */
    const struct clv_attend_place place = clv_attend_place_of(plan, plan.key_max, TILE);
    const int first = place.tile * TILE, count = min(TILE, place.key_count - first);
    if (count <= 0)
        return;
    const auto bring = [&](int at, int into) {
        const int queries = min(QUERIES, place.query_count - at);
        const int64_t start = place.query_start + at;
        uint16_t *q = others + into * 2 * SIZE;
        bring_tile<QUERIES, WIDTH>(q, from.q, start, place.head, queries);
        bring_tile<QUERIES, WIDTH>(q + SIZE, from.dout, start, place.head, queries);
        for (int i = threadIdx.x; i < QUERIES; i += THREADS) {
            const int64_t row = start + (i < queries ? i : 0);
            float *to = kept + into * 2 * QUERIES + i;
            clv_copy_4(to, plan.stats + row * plan.head_count + place.head, i < queries);
            clv_copy_4(to + QUERIES, from.delta + row * plan.head_count + place.head, i < queries);
        }
        clv_copy_commit();
    };
    const int row = threadIdx.x / CLV_CUDA_WARP * WARP_ROWS; /* the warp's first, in the tile */
    float dk[WIDTH / 8][4] = {}, dv[WIDTH / 8][4] = {};
    int query = next_queries(plan, place, first, TILE, 0, QUERIES), buffer = 0;
    if (query < place.query_count) {
        bring_tile<TILE, WIDTH>(k, from.k, place.key_start + first, place.head, count);
        bring_tile<TILE, WIDTH>(v, from.v, place.key_start + first, place.head, count);
        bring(query, 0);
    }
    while (query < place.query_count) {
        const int next = next_queries(plan, place, first, TILE, query + QUERIES, QUERIES);
        if (next < place.query_count) {
            bring(next, buffer ^ 1);
            clv_copy_wait<1>();
        } else {
            clv_copy_wait<0>();
        }
        __syncthreads(); /* the tile is there for all */
        if (row < count) {
            const bool checked =
                clv_attend_view(plan, place, query, QUERIES, first, TILE) == CLV_TILE_MIXED;
            const int queries = min(QUERIES, place.query_count - query);
            const uint16_t *q = others + buffer * 2 * SIZE, *dout = q + SIZE;
            float s[QUERIES / 8][4], dp[QUERIES / 8][4];
            score_pair<QUERIES, WIDTH>(s, dp, k, v, row, q, dout, queries);
            weigh_columns<QUERIES>(s, dp, plan, place, first + row, query,
                                   kept + buffer * 2 * QUERIES, checked);
            add_weighted<QUERIES, WIDTH>(dv, s, dout, queries);
            add_weighted<QUERIES, WIDTH>(dk, dp, q, queries);
        }
        __syncthreads(); /* and has been read by all */
        query = next;
        buffer ^= 1;
    }
    const float scales[2] = {plan.scale, plan.scale}, ones[2] = {1.0f, 1.0f};
    write_rows<WIDTH>(plan, place, g.dk, place.key_start + first, row, count, dk, scales);
    write_rows<WIDTH>(plan, place, g.dv, place.key_start + first, row, count, dv, ones);
}

template <int WIDTH>
static void attend_backward(struct clv_device *device, const struct clv_attend_plan *plan,
                            const struct clv_attend_gradients *g)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const char *what = "gradient of attention";
    constexpr int bytes = (int)backward_bytes<WIDTH>;
    constexpr cudaFuncAttribute limit = cudaFuncAttributeMaxDynamicSharedMemorySize;
    struct operands from;
    if (!operands_create<WIDTH>(device, &from, plan, &g->dout) ||
        !clv_attend_deltas(device, from.delta, plan, g->dout, true) ||
        !clv_cuda_ok(device, cudaFuncSetAttribute(dq_kernel<WIDTH>, limit, bytes), what) ||
        !clv_cuda_ok(device, cudaFuncSetAttribute(dkv_kernel<WIDTH>, limit, bytes), what))
        return;
    if (plan->query_count > 0)
        dq_kernel<WIDTH>
            <<<clv_attend_blocks(plan, plan->query_max, TILE), THREADS, bytes, cuda->work>>>(
                *plan, *g, from);
    if (!clv_cuda_check(device, what))
        return;
    dkv_kernel<WIDTH><<<clv_attend_blocks(plan, plan->key_max, TILE), THREADS, bytes, cuda->work>>>(
        *plan, *g, from);
    (void)clv_cuda_check(device, what);
}

void clv_attend_backward_bf16(struct clv_device *device, const struct clv_attend_plan *plan,
                              const struct clv_attend_gradients *gradients)
{
#define LAUNCH(WIDTH) attend_backward<WIDTH>(device, plan, gradients)
    CLV_ATTEND_BY_WIDTH(plan->width, LAUNCH);
#undef LAUNCH
}
