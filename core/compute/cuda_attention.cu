/* Attention with a streamed softmax, fp32 on CUDA cores. Bound by arithmetic: 4 * width operations
 * for each query and key that see each other. */
#include "core/compute/cuda_attention.cuh"

/* ---- the plan -------------------------------------------------------------------------------- */

/* starts [B + 1] of q's rows, and the longest sequences. */
static bool find_queries(struct clv_device *device, struct clv_attend_plan *plan,
                         const struct clv_attention *attention, int query_count)
{
    const int count = attention->sequence_count;
    const int32_t *starts = attention->starts, *rows = attention->query_rows;
    int32_t *firsts = NULL;
    if (rows) {
        firsts = (int32_t *)clv_cuda_host_scratch(device, ((size_t)count + 1) * sizeof *firsts);
        if (!firsts)
            return false;
        firsts[0] = 0;
    }
    int row = 0;
    for (int s = 0; s < count; s++) {
        const int first = row, keys = starts[s + 1] - starts[s];
        while (rows && row < query_count && rows[row] < starts[s + 1])
            row++;
        if (rows)
            firsts[s + 1] = row;
        const int queries = rows ? row - first : keys;
        plan->key_max = keys > plan->key_max ? keys : plan->key_max;
        plan->query_max = queries > plan->query_max ? queries : plan->query_max;
    }
    plan->starts = clv_cuda_stage(device, starts, (size_t)count + 1);
    plan->query_starts = rows ? clv_cuda_stage(device, firsts, (size_t)count + 1) : plan->starts;
    plan->query_rows = rows ? clv_cuda_stage(device, rows, (size_t)query_count) : NULL;
    return plan->starts && plan->query_starts && (!rows || plan->query_rows);
}

bool clv_attend_plan_create(struct clv_device *device, struct clv_attend_plan *plan,
                            struct clv_tensor out, struct clv_tensor q, struct clv_tensor k,
                            struct clv_tensor v, const struct clv_attention *attention)
{
    *plan = {};
    if (k.rows == 0)
        return false;
    plan->out = clv_rows_of(out);
    plan->q = clv_rows_of(q);
    plan->k = clv_rows_of(k);
    plan->v = clv_rows_of(v);
    plan->is_half = clv_is_half(q);
    plan->stats = attention->stats;
    plan->mask = attention->mask;
    plan->token_count = attention->token_count;
    plan->head_count = attention->head_count;
    plan->width = q.cols / attention->head_count;
    plan->sequence_count = attention->sequence_count;
    plan->query_count = q.rows;
    plan->key_count = k.rows;
    plan->scale = 1.0f / sqrtf((float)plan->width);
    plan->fours = plan->width % 4 == 0 && clv_rows_are_fours(q) && clv_rows_are_fours(k) &&
                  clv_rows_are_fours(v);
    return find_queries(device, plan, attention, q.rows);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

#define QUERIES 64

/* Fewer keys at once for wide heads: q, k, v and weights together stay below the 99 KiB that every
 * device since 8.0 grants a block. */
template <int WIDTH> constexpr int keys_of = WIDTH <= 64 ? 64 : 32;

template <int WIDTH> constexpr size_t attend_bytes()
{
    constexpr int keys = keys_of<WIDTH>;
    return ((QUERIES + 2 * keys) * (WIDTH + 4) + QUERIES * (keys + 4)) * sizeof(float);
}

/* The online softmax of a thread's rows (Milakov and Gimelshein, 2018). The sums of weights are the
 * thread's own keys'. */
template <int R> struct softmax {
    float highest[R], weights[R];
};

/* Replaces scores by exp(score - highest so far), and says by what the sums so far are to be
 * multiplied. A row that sees nothing of the tile is left as it was. */
template <int R, int C>
static __device__ __forceinline__ void
soften(struct softmax<R> &soft, float (&s)[R][C], float (&factors)[R],
       const struct clv_sight (&sights)[R], int key_first, int key_count, bool checked)
{
#pragma unroll
    for (int r = 0; r < R; r++) {
        bool seen[C];
        float highest = -INFINITY;
#pragma unroll
        for (int c = 0; c < C; c++) {
            const int key = key_first + threadIdx.x % CLV_ATTEND_SIDE + c * CLV_ATTEND_SIDE;
            seen[c] = !checked || clv_sees(sights[r], key, key_count);
            highest = seen[c] ? fmaxf(highest, s[r][c]) : highest;
        }
        highest = fmaxf(soft.highest[r], clv_row_max(highest));
        factors[r] = highest == soft.highest[r] ? 1.0f : expf(soft.highest[r] - highest);
        soft.highest[r] = highest;
        float sum = 0.0f;
#pragma unroll
        for (int c = 0; c < C; c++) {
            s[r][c] = seen[c] ? expf(s[r][c] - highest) : CLV_HIDDEN_WEIGHT;
            sum += s[r][c];
        }
        soft.weights[r] = fmaf(soft.weights[r], factors[r], sum);
    }
}

template <int WIDTH>
static __global__ void __launch_bounds__(CLV_ATTEND_THREADS)
    attend_kernel(struct clv_attend_plan plan)
{
    constexpr int KEYS = keys_of<WIDTH>, R = QUERIES / CLV_ATTEND_SIDE, C = KEYS / CLV_ATTEND_SIDE;
    extern __shared__ __align__(16) float shared[];
    float *q = shared, *k = q + QUERIES * (WIDTH + 4), *v = k + KEYS * (WIDTH + 4);
    float *weights = v + KEYS * (WIDTH + 4);
    const struct clv_attend_place place = clv_attend_place_of(plan, plan.query_max, QUERIES);
    const int first = place.tile * QUERIES, count = min(QUERIES, place.query_count - first);
    if (count <= 0)
        return;
    const int column = place.head * plan.width, line = threadIdx.x / CLV_ATTEND_SIDE * R;
    clv_load_tile<QUERIES, WIDTH>(q, clv_row(plan.q, place.query_start + first) + column,
                                  plan.q.stride, count, plan.width, plan.scale, plan.fours);
    struct clv_sight sights[R];
    struct softmax<R> soft;
    float sums[R][WIDTH / 16] = {}, factors[R];
    for (int r = 0; r < R; r++) {
        sights[r] = clv_attend_sight(plan, place, first + line + r);
        soft.highest[r] = -INFINITY;
        soft.weights[r] = 0.0f;
    }
    for (int key = 0; key < place.key_count; key += KEYS) {
        const enum clv_tile_view view = clv_attend_view(plan, place, first, QUERIES, key, KEYS);
        if (view == CLV_TILE_HIDDEN)
            continue;
        const int keys = min(KEYS, place.key_count - key);
        __syncthreads(); /* the tiles of before have been read */
        clv_load_tile<KEYS, WIDTH>(k, clv_row(plan.k, place.key_start + key) + column,
                                   plan.k.stride, keys, plan.width, 1.0f, plan.fours);
        clv_load_tile<KEYS, WIDTH>(v, clv_row(plan.v, place.key_start + key) + column,
                                   plan.v.stride, keys, plan.width, 1.0f, plan.fours);
        __syncthreads();
        float s[R][C];
        clv_dot_tile<R, C, WIDTH>(s, q, k);
        soften<R, C>(soft, s, factors, sights, key, place.key_count, view == CLV_TILE_MIXED);
        clv_store_weights<R, C>(weights, s);
        __syncwarp(); /* a row's weights stay within its half of a warp */
        for (int r = 0; r < R; r++)
            for (int j = 0; j < WIDTH / 16; j++)
                sums[r][j] *= factors[r];
        clv_add_tile<R, KEYS, WIDTH>(sums, weights, v, view == CLV_TILE_MIXED);
    }
    for (int r = 0; r < R; r++) {
        const float total = clv_row_sum(soft.weights[r]);
        factors[r] = 1.0f / total;
        if (plan.stats && threadIdx.x % CLV_ATTEND_SIDE == 0 && line + r < count)
            plan.stats[(place.query_start + first + line + r) * plan.head_count + place.head] =
                soft.highest[r] + logf(total);
    }
    clv_write_tile<R, WIDTH>(clv_row(plan.out, place.query_start + first) + column, plan.out.stride,
                             count, plan.width, sums, factors);
}

template <int WIDTH>
static void launch_tiles(struct clv_device *device, const struct clv_attend_plan *plan)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const unsigned blocks = clv_attend_blocks(plan, plan->query_max, QUERIES);
    if (!clv_cuda_ok(device,
                     cudaFuncSetAttribute(attend_kernel<WIDTH>,
                                          cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          (int)attend_bytes<WIDTH>()),
                     "attention"))
        return;
    attend_kernel<WIDTH><<<blocks, CLV_ATTEND_THREADS, attend_bytes<WIDTH>(), cuda->work>>>(*plan);
    (void)clv_cuda_check(device, "attention");
}

/* ---- heads of any width ---------------------------------------------------------------------- */

/* A warp to each query and head, key by key; sums in the row of out itself. */
static __global__ void attend_wide_kernel(struct clv_attend_plan plan)
{
    const int64_t at = clv_warp_row(), query = at / plan.head_count;
    if (query >= plan.query_count)
        return;
    const int head = (int)(at % plan.head_count), column = head * plan.width;
    const struct clv_attend_place place = clv_attend_place_in(
        plan, clv_sequence_of(plan.query_starts, plan.sequence_count, query), head);
    const struct clv_sight sight = clv_attend_sight(plan, place, (int)(query - place.query_start));
    const float *q = clv_row(plan.q, query) + column;
    float *out = clv_row(plan.out, query) + column, highest = -INFINITY, total = 0.0f;
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    for (int d = lane; d < plan.width; d += CLV_CUDA_WARP)
        out[d] = 0.0f;
    for (int key = 0; key < place.key_count; key++) {
        if (!clv_sees(sight, key, place.key_count))
            continue;
        const float *k = clv_row(plan.k, place.key_start + key) + column;
        const float *v = clv_row(plan.v, place.key_start + key) + column;
        const float score = clv_warp_dot(q, k, plan.width) * plan.scale;
        const float before = highest;
        highest = fmaxf(highest, score);
        const float factor = highest == before ? 1.0f : expf(before - highest);
        const float weight = expf(score - highest);
        total = fmaf(total, factor, weight);
        for (int d = lane; d < plan.width; d += CLV_CUDA_WARP)
            out[d] = fmaf(out[d], factor, weight * v[d]);
    }
    for (int d = lane; d < plan.width; d += CLV_CUDA_WARP)
        out[d] /= total;
    if (plan.stats && lane == 0)
        plan.stats[at] = highest + logf(total);
}

struct clv_tensor clv_attend_take(struct clv_tensor t, unsigned char **room)
{
    if (!clv_is_half(t))
        return t;
    const struct clv_tensor wide = clv_tensor((float *)*room, t.rows, t.cols);
    *room += clv_attend_take_bytes(t);
    return wide;
}

/* Heads too wide for tiles, of bfloat16. */
static void attend_widened(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                           struct clv_tensor k, struct clv_tensor v,
                           const struct clv_attention *attention)
{
    unsigned char *room = (unsigned char *)clv_cuda_scratch(
        device, 2 * clv_attend_take_bytes(q) + 2 * clv_attend_take_bytes(k));
    if (!room)
        return;
    const struct clv_tensor wide_q = clv_attend_take(q, &room), wide_k = clv_attend_take(k, &room);
    const struct clv_tensor wide_v = clv_attend_take(v, &room);
    const struct clv_tensor wide_out = clv_attend_take(out, &room);
    if (!clv_cuda_convert(device, wide_q, q) || !clv_cuda_convert(device, wide_k, k) ||
        !clv_cuda_convert(device, wide_v, v))
        return;
    clv_cuda_attention(device, wide_out, wide_q, wide_k, wide_v, attention);
    (void)clv_cuda_convert(device, out, wide_out);
}

void clv_cuda_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                        struct clv_tensor k, struct clv_tensor v,
                        const struct clv_attention *attention)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    struct clv_attend_plan plan;
    if (clv_is_half(q) && q.cols / attention->head_count > CLV_ATTEND_WIDTH_MAX) {
        attend_widened(device, out, q, k, v, attention);
        return;
    }
    if (q.rows == 0 || !clv_attend_plan_create(device, &plan, out, q, k, v, attention))
        return;
    if (plan.width > CLV_ATTEND_WIDTH_MAX) {
        const unsigned blocks = clv_warp_row_blocks(plan.query_count * plan.head_count);
        attend_wide_kernel<<<blocks, CLV_ROW_THREADS, 0, cuda->work>>>(plan);
        (void)clv_cuda_check(device, "attention");
        return;
    }
    if (cuda->precision == CLV_PRECISION_BF16) {
        clv_attend_bf16(device, &plan);
        return;
    }
#define LAUNCH(WIDTH) launch_tiles<WIDTH>(device, &plan)
    CLV_ATTEND_BY_WIDTH(plan.width, LAUNCH);
#undef LAUNCH
}
