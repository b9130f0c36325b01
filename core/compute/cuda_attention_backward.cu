/* Attention's gradients, fp32 on CUDA cores. With p = exp(score - stat), the weights of softmax:
 *     dv = p^T dout,  dp = dout v^T,  ds = p (dp - delta),  dq = ds k scale,  dk = ds^T q scale
 * The scores are computed again, once for dq by tiles of queries and once for dk and dv by tiles of
 * keys. Bound by arithmetic: 14 * width operations for each query and key that see each other. */
#include "core/compute/cuda_attention.cuh"
#include "core/compute/cuda_mma.cuh"

/* ---- deltas ---------------------------------------------------------------------------------- */

/* A warp to each query and head. */
static __global__ void deltas_kernel(float *delta, struct clv_attend_plan plan,
                                     struct clv_rows dout, bool is_rounded)
{
    const int64_t at = clv_warp_row(), query = at / plan.head_count;
    if (query >= plan.query_count)
        return;
    const int column = (int)(at % plan.head_count) * plan.width;
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    float sum = 0.0f;
    if (plan.is_half) {
        const __nv_bfloat16 *d = clv_half_row(dout, query) + column;
        const __nv_bfloat16 *out = clv_half_row(plan.out, query) + column;
        for (int i = lane; i < plan.width; i += CLV_CUDA_WARP)
            sum = fmaf(__bfloat162float(d[i]), __bfloat162float(out[i]), sum);
    } else {
        const float *d = clv_row(dout, query) + column, *out = clv_row(plan.out, query) + column;
        for (int i = lane; i < plan.width; i += CLV_CUDA_WARP)
            sum = fmaf(is_rounded ? clv_round_bf16(d[i]) : d[i], out[i], sum);
    }
    sum = clv_warp_sum(sum);
    if (lane == 0)
        delta[at] = sum;
}

bool clv_attend_deltas(struct clv_device *device, float *delta, const struct clv_attend_plan *plan,
                       struct clv_rows dout, bool is_rounded)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    if (plan->query_count == 0)
        return true;
    deltas_kernel<<<clv_warp_row_blocks(plan->query_count * plan->head_count), CLV_ROW_THREADS, 0,
                    cuda->work>>>(delta, *plan, dout, is_rounded);
    return clv_cuda_check(device, "gradient of attention");
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Both sides of a tile: four operands and the weights stay below the 99 KiB that every device since
 * 8.0 grants a block. */
template <int WIDTH> constexpr int side_of = WIDTH <= 64 ? 64 : 32;

template <int WIDTH> constexpr size_t backward_bytes()
{
    constexpr int side = side_of<WIDTH>;
    return (4 * side * (WIDTH + 4) + side * (side + 4)) * sizeof(float);
}

/* Shared memory of both kernels. */
template <int WIDTH> struct operands {
    float *q, *dout, *k, *v, *weights;
    __device__ explicit operands(float *shared)
    {
        constexpr int SIZE = side_of<WIDTH> * (WIDTH + 4);
        q = shared, dout = q + SIZE, k = dout + SIZE, v = k + SIZE, weights = v + SIZE;
    }
};

/* Tiles of q (scaled) and dout from query `first` of the sequence on; of k and v from key `first`.
 */
template <int WIDTH>
static __device__ __forceinline__ void
load_queries(const struct operands<WIDTH> &shared, const struct clv_attend_plan &plan,
             const struct clv_attend_gradients &g, const struct clv_attend_place &place, int first)
{
    constexpr int SIDE = side_of<WIDTH>;
    const int count = min(SIDE, place.query_count - first), column = place.head * plan.width;
    const int64_t row = place.query_start + first;
    clv_load_tile<SIDE, WIDTH>(shared.q, clv_row(plan.q, row) + column, plan.q.stride, count,
                               plan.width, plan.scale, plan.fours);
    clv_load_tile<SIDE, WIDTH>(shared.dout, clv_row(g.dout, row) + column, g.dout.stride, count,
                               plan.width, 1.0f, plan.fours);
}

template <int WIDTH>
static __device__ __forceinline__ void load_keys(const struct operands<WIDTH> &shared,
                                                 const struct clv_attend_plan &plan,
                                                 const struct clv_attend_place &place, int first)
{
    constexpr int SIDE = side_of<WIDTH>;
    const int count = min(SIDE, place.key_count - first), column = place.head * plan.width;
    const int64_t row = place.key_start + first;
    clv_load_tile<SIDE, WIDTH>(shared.k, clv_row(plan.k, row) + column, plan.k.stride, count,
                               plan.width, 1.0f, plan.fours);
    clv_load_tile<SIDE, WIDTH>(shared.v, clv_row(plan.v, row) + column, plan.v.stride, count,
                               plan.width, 1.0f, plan.fours);
}

/* What of the forward pass a query's gradient needs; of a query past the sequence's end, zeros. */
struct kept {
    float stat, delta;
};

static __device__ __forceinline__ struct kept kept_of(const struct clv_attend_plan &plan,
                                                      const float *delta,
                                                      const struct clv_attend_place &place,
                                                      int query)
{
    if (query >= place.query_count)
        return {0.0f, 0.0f};
    const int64_t at = (place.query_start + query) * plan.head_count + place.head;
    return {plan.stats[at], delta[at]};
}

/* dq of one tile of queries, over the tiles of keys. */
template <int WIDTH>
static __global__ void __launch_bounds__(CLV_ATTEND_THREADS)
    dq_kernel(struct clv_attend_plan plan, struct clv_attend_gradients g, const float *delta)
{
    constexpr int SIDE = side_of<WIDTH>, R = SIDE / CLV_ATTEND_SIDE;
    extern __shared__ __align__(16) float memory[];
    const struct operands<WIDTH> shared(memory);
    const struct clv_attend_place place = clv_attend_place_of(plan, plan.query_max, SIDE);
    const int first = place.tile * SIDE, count = min(SIDE, place.query_count - first);
    if (count <= 0)
        return;
    const int line = threadIdx.x / CLV_ATTEND_SIDE * R;
    load_queries<WIDTH>(shared, plan, g, place, first);
    struct clv_sight sights[R];
    struct kept kept[R];
    float sums[R][WIDTH / 16] = {}, factors[R];
    for (int r = 0; r < R; r++) {
        sights[r] = clv_attend_sight(plan, place, first + line + r);
        kept[r] = kept_of(plan, delta, place, first + line + r);
        factors[r] = plan.scale;
    }
    for (int key = 0; key < place.key_count; key += SIDE) {
        const enum clv_tile_view view = clv_attend_view(plan, place, first, SIDE, key, SIDE);
        if (view == CLV_TILE_HIDDEN)
            continue;
        const bool checked = view == CLV_TILE_MIXED;
        __syncthreads(); /* the tiles of before have been read */
        load_keys<WIDTH>(shared, plan, place, key);
        __syncthreads();
        float s[R][R], dp[R][R];
        clv_dot_tile<R, R, WIDTH>(s, shared.q, shared.k);
        clv_dot_tile<R, R, WIDTH>(dp, shared.dout, shared.v);
        for (int r = 0; r < R; r++)
            for (int c = 0; c < R; c++) {
                const int at = key + threadIdx.x % CLV_ATTEND_SIDE + c * CLV_ATTEND_SIDE;
                const bool seen = !checked || clv_sees(sights[r], at, place.key_count);
                s[r][c] = seen ? expf(s[r][c] - kept[r].stat) * (dp[r][c] - kept[r].delta)
                               : CLV_HIDDEN_WEIGHT;
            }
        clv_store_weights<R, R>(shared.weights, s);
        __syncwarp(); /* a row's weights stay within its half of a warp */
        clv_add_tile<R, SIDE, WIDTH>(sums, shared.weights, shared.k, checked);
    }
    clv_write_tile<R, WIDTH>(clv_row(g.dq, place.query_start + first) + place.head * plan.width,
                             g.dq.stride, count, plan.width, sums, factors);
}

/* Weights p and their gradients ds of a thread's keys (rows) and queries (columns). */
template <int R>
static __device__ __forceinline__ void
weigh_columns(float (&s)[R][R], float (&dp)[R][R], const struct clv_attend_plan &plan,
              const float *delta, const struct clv_attend_place &place, int key, int query,
              bool checked)
{
#pragma unroll
    for (int c = 0; c < R; c++) {
        const int at = query + threadIdx.x % CLV_ATTEND_SIDE + c * CLV_ATTEND_SIDE;
        const struct kept kept = kept_of(plan, delta, place, at);
        const struct clv_sight sight =
            checked ? clv_attend_sight(plan, place, at) : clv_sight_none();
#pragma unroll
        for (int r = 0; r < R; r++) {
            const bool seen = !checked || clv_sees(sight, key + r, place.key_count);
            s[r][c] = seen ? expf(s[r][c] - kept.stat) : CLV_HIDDEN_WEIGHT;
            dp[r][c] = seen ? s[r][c] * (dp[r][c] - kept.delta) : CLV_HIDDEN_WEIGHT;
        }
    }
}

/* dk and dv of one tile of keys, over the tiles of queries. Scores are transposed: keys are rows.
 */
template <int WIDTH>
static __global__ void __launch_bounds__(CLV_ATTEND_THREADS)
    dkv_kernel(struct clv_attend_plan plan, struct clv_attend_gradients g, const float *delta)
{
    constexpr int SIDE = side_of<WIDTH>, R = SIDE / CLV_ATTEND_SIDE;
    extern __shared__ __align__(16) float memory[];
    const struct operands<WIDTH> shared(memory);
    const struct clv_attend_place place = clv_attend_place_of(plan, plan.key_max, SIDE);
    const int first = place.tile * SIDE, count = min(SIDE, place.key_count - first);
    if (count <= 0)
        return;
    const int line = threadIdx.x / CLV_ATTEND_SIDE * R, column = place.head * plan.width;
    load_keys<WIDTH>(shared, plan, place, first);
    float dk[R][WIDTH / 16] = {}, dv[R][WIDTH / 16] = {}, ones[R];
    for (int r = 0; r < R; r++)
        ones[r] = 1.0f;
    for (int query = 0; query < place.query_count; query += SIDE) {
        const enum clv_tile_view view = clv_attend_view(plan, place, query, SIDE, first, SIDE);
        if (view == CLV_TILE_HIDDEN)
            continue;
        const bool checked = view == CLV_TILE_MIXED;
        __syncthreads(); /* the tiles of before have been read */
        load_queries<WIDTH>(shared, plan, g, place, query);
        __syncthreads();
        float s[R][R], dp[R][R];
        clv_dot_tile<R, R, WIDTH>(s, shared.k, shared.q);
        clv_dot_tile<R, R, WIDTH>(dp, shared.v, shared.dout);
        weigh_columns<R>(s, dp, plan, delta, place, first + line, query, checked);
        clv_store_weights<R, R>(shared.weights, s);
        __syncwarp(); /* a row's weights stay within its half of a warp */
        clv_add_tile<R, SIDE, WIDTH>(dv, shared.weights, shared.dout, checked);
        __syncwarp();
        clv_store_weights<R, R>(shared.weights, dp);
        __syncwarp();
        clv_add_tile<R, SIDE, WIDTH>(dk, shared.weights, shared.q, checked); /* q is scaled */
    }
    clv_write_tile<R, WIDTH>(clv_row(g.dk, place.key_start + first) + column, g.dk.stride, count,
                             plan.width, dk, ones);
    clv_write_tile<R, WIDTH>(clv_row(g.dv, place.key_start + first) + column, g.dv.stride, count,
                             plan.width, dv, ones);
}

template <int WIDTH>
static void launch_tiles(struct clv_device *device, const struct clv_attend_plan *plan,
                         const struct clv_attend_gradients *g, const float *delta)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const char *what = "gradient of attention";
    constexpr size_t bytes = backward_bytes<WIDTH>();
    constexpr cudaFuncAttribute limit = cudaFuncAttributeMaxDynamicSharedMemorySize;
    if (!clv_cuda_ok(device, cudaFuncSetAttribute(dq_kernel<WIDTH>, limit, (int)bytes), what) ||
        !clv_cuda_ok(device, cudaFuncSetAttribute(dkv_kernel<WIDTH>, limit, (int)bytes), what))
        return;
    if (plan->query_count > 0)
        dq_kernel<WIDTH><<<clv_attend_blocks(plan, plan->query_max, side_of<WIDTH>),
                           CLV_ATTEND_THREADS, bytes, cuda->work>>>(*plan, *g, delta);
    if (!clv_cuda_check(device, what))
        return;
    dkv_kernel<WIDTH><<<clv_attend_blocks(plan, plan->key_max, side_of<WIDTH>), CLV_ATTEND_THREADS,
                        bytes, cuda->work>>>(*plan, *g, delta);
    (void)clv_cuda_check(device, what);
}

/* ---- heads of any width ---------------------------------------------------------------------- */

/* A warp to each query and head, key by key; sums in the row of dq itself. */
static __global__ void dq_wide_kernel(struct clv_attend_plan plan, struct clv_attend_gradients g,
                                      const float *delta)
{
    const int64_t at = clv_warp_row(), query = at / plan.head_count;
    if (query >= plan.query_count)
        return;
    const int head = (int)(at % plan.head_count), column = head * plan.width;
    const struct clv_attend_place place = clv_attend_place_in(
        plan, clv_sequence_of(plan.query_starts, plan.sequence_count, query), head);
    const struct clv_sight sight = clv_attend_sight(plan, place, (int)(query - place.query_start));
    const float *q = clv_row(plan.q, query) + column, *dout = clv_row(g.dout, query) + column;
    float *dq = clv_row(g.dq, query) + column;
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    for (int d = lane; d < plan.width; d += CLV_CUDA_WARP)
        dq[d] = 0.0f;
    for (int key = 0; key < place.key_count; key++) {
        if (!clv_sees(sight, key, place.key_count))
            continue;
        const float *k = clv_row(plan.k, place.key_start + key) + column;
        const float *v = clv_row(plan.v, place.key_start + key) + column;
        const float score = clv_warp_dot(q, k, plan.width) * plan.scale;
        const float dp = clv_warp_dot(dout, v, plan.width);
        const float ds = expf(score - plan.stats[at]) * (dp - delta[at]) * plan.scale;
        for (int d = lane; d < plan.width; d += CLV_CUDA_WARP)
            dq[d] = fmaf(ds, k[d], dq[d]);
    }
}

/* A warp to each key and head, query by query. */
static __global__ void dkv_wide_kernel(struct clv_attend_plan plan, struct clv_attend_gradients g,
                                       const float *delta)
{
    const int64_t at = clv_warp_row(), row = at / plan.head_count;
    if (row >= plan.key_count)
        return;
    const int head = (int)(at % plan.head_count), column = head * plan.width;
    const struct clv_attend_place place =
        clv_attend_place_in(plan, clv_sequence_of(plan.starts, plan.sequence_count, row), head);
    const int key = (int)(row - place.key_start), lane = threadIdx.x % CLV_CUDA_WARP;
    const float *k = clv_row(plan.k, row) + column, *v = clv_row(plan.v, row) + column;
    float *dk = clv_row(g.dk, row) + column, *dv = clv_row(g.dv, row) + column;
    for (int d = lane; d < plan.width; d += CLV_CUDA_WARP)
        dk[d] = dv[d] = 0.0f;
    for (int i = 0; i < place.query_count; i++) {
        if (!clv_sees(clv_attend_sight(plan, place, i), key, place.key_count))
            continue;
        const float *q = clv_row(plan.q, place.query_start + i) + column;
        const float *dout = clv_row(g.dout, place.query_start + i) + column;
        const struct kept kept = kept_of(plan, delta, place, i);
        const float p = expf(clv_warp_dot(q, k, plan.width) * plan.scale - kept.stat);
        const float ds = p * (clv_warp_dot(dout, v, plan.width) - kept.delta) * plan.scale;
        for (int d = lane; d < plan.width; d += CLV_CUDA_WARP) {
            dk[d] = fmaf(ds, q[d], dk[d]);
            dv[d] = fmaf(p, dout[d], dv[d]);
        }
    }
}

static void launch_wide(struct clv_device *device, const struct clv_attend_plan *plan,
                        const struct clv_attend_gradients *g, const float *delta)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    if (plan->query_count > 0)
        dq_wide_kernel<<<clv_warp_row_blocks(plan->query_count * plan->head_count), CLV_ROW_THREADS,
                         0, cuda->work>>>(*plan, *g, delta);
    if (!clv_cuda_check(device, "gradient of attention"))
        return;
    dkv_wide_kernel<<<clv_warp_row_blocks(plan->key_count * plan->head_count), CLV_ROW_THREADS, 0,
                      cuda->work>>>(*plan, *g, delta);
    (void)clv_cuda_check(device, "gradient of attention");
}

/* The fp32 forms. `delta` [q.rows, head_count]. */
static void attend_backward(struct clv_device *device, const struct clv_attend_plan *plan,
                            const struct clv_attend_gradients *g, float *delta)
{
    if (!delta || !clv_attend_deltas(device, delta, plan, g->dout, false))
        return;
    if (plan->width > CLV_ATTEND_WIDTH_MAX) {
        launch_wide(device, plan, g, delta);
        return;
    }
#define LAUNCH(WIDTH) launch_tiles<WIDTH>(device, plan, g, delta)
    CLV_ATTEND_BY_WIDTH(plan->width, LAUNCH);
#undef LAUNCH
}

static size_t delta_bytes(struct clv_tensor q, const struct clv_attention *attention)
{
    return clv_cuda_padded(((size_t)q.rows * (size_t)attention->head_count + 1) * sizeof(float));
}

/* Heads too wide for tiles, of bfloat16. */
static void attend_backward_widened(struct clv_device *device,
                                    const struct clv_attention_gradients *gradients,
                                    struct clv_tensor dout, struct clv_tensor out,
                                    struct clv_tensor q, struct clv_tensor k, struct clv_tensor v,
                                    const struct clv_attention *attention)
{
    const struct clv_tensor from[] = {dout, out, q, k, v};
    const struct clv_tensor to[] = {gradients->dq, gradients->dk, gradients->dv};
    struct clv_tensor wide[5], results[3];
    unsigned char *room = (unsigned char *)clv_cuda_scratch(
        device,
        4 * clv_attend_take_bytes(q) + 4 * clv_attend_take_bytes(k) + delta_bytes(q, attention));
    if (!room)
        return;
    for (int i = 0; i < 5; i++) {
        wide[i] = clv_attend_take(from[i], &room);
        if (!clv_cuda_convert(device, wide[i], from[i]))
            return;
    }
    for (int i = 0; i < 3; i++)
        results[i] = clv_attend_take(to[i], &room);
    struct clv_attend_plan plan;
    if (!clv_attend_plan_create(device, &plan, wide[1], wide[2], wide[3], wide[4], attention))
        return;
    const struct clv_attend_gradients g = {clv_rows_of(results[0]), clv_rows_of(results[1]),
                                           clv_rows_of(results[2]), clv_rows_of(wide[0])};
    attend_backward(device, &plan, &g, (float *)room);
    for (int i = 0; i < 3; i++)
        (void)clv_cuda_convert(device, to[i], results[i]);
}

void clv_cuda_attention_backward(struct clv_device *device,
                                 const struct clv_attention_gradients *gradients,
                                 struct clv_tensor dout, struct clv_tensor out, struct clv_tensor q,
                                 struct clv_tensor k, struct clv_tensor v,
                                 const struct clv_attention *attention)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    struct clv_attend_plan plan;
    if (clv_is_half(q) && q.cols / attention->head_count > CLV_ATTEND_WIDTH_MAX) {
        attend_backward_widened(device, gradients, dout, out, q, k, v, attention);
        return;
    }
    if (!clv_attend_plan_create(device, &plan, out, q, k, v, attention))
        return;
    plan.fours = plan.fours && clv_rows_are_fours(dout);
    const struct clv_attend_gradients g = {clv_rows_of(gradients->dq), clv_rows_of(gradients->dk),
                                           clv_rows_of(gradients->dv), clv_rows_of(dout)};
    if (plan.width <= CLV_ATTEND_WIDTH_MAX && cuda->precision == CLV_PRECISION_BF16) {
        clv_attend_backward_bf16(device, &plan, &g);
        return;
    }
    attend_backward(device, &plan, &g,
                    (float *)clv_cuda_scratch(device, delta_bytes(q, attention)));
}
