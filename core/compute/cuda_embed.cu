/* Ops that put rows together from other rows: patches, embeddings, gathered rows, and their
 * gradients. Where several rows of a gradient go to one row, that row is added up by the threads
 * that own it, in the order in which the rows come: no atomics, one result. */
#include "core/compute/cuda_rows.cuh"

/* ---- forward --------------------------------------------------------------------------------- */

/* out row r = a row, plus another where there is one. `source.a(r)` and `source.b(r)` say which. A
 * warp to each row. */
template <int N, typename Source>
static __global__ void sum_rows_kernel(struct clv_rows out, int64_t rows, int cols, Source source)
{
    const int64_t row = clv_warp_row();
    if (row >= rows)
        return;
    const float *a = source.a(row), *b = source.b(row);
    float *to = clv_row(out, row);
    for (int c = threadIdx.x % CLV_CUDA_WARP * N; c < cols; c += CLV_CUDA_WARP * N) {
        clv_pack<N> x = clv_load<N>(a + c);
        if (b) {
            const clv_pack<N> y = clv_load<N>(b + c);
            for (int i = 0; i < N; i++)
                x.at[i] += y.at[i];
        }
        clv_store(to + c, x);
    }
}

template <typename Source>
static void sum_rows(struct clv_device *device, struct clv_tensor out, const Source &source,
                     bool fours, const char *what)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const unsigned blocks = clv_warp_row_blocks(out.rows);
    if (fours && clv_rows_are_fours(out))
        sum_rows_kernel<4, Source><<<blocks, CLV_ROW_THREADS, 0, cuda->work>>>(
            clv_rows_of(out), out.rows, out.cols, source);
    else
        sum_rows_kernel<1, Source><<<blocks, CLV_ROW_THREADS, 0, cuda->work>>>(
            clv_rows_of(out), out.rows, out.cols, source);
    (void)clv_cuda_check(device, what);
}

/* out [F*P, 3*patch*patch] from frames [F, 3*side*side], N pixels of a line at a time: a line of a
 * patch is contiguous on both sides. A warp to each row of out. */
template <int N, typename Out>
static __global__ void patches_kernel(Out out, struct clv_rows frames, int64_t rows, int side,
                                      int patch)
{
    const int64_t row = clv_warp_row();
    if (row >= rows)
        return;
    const int grid = side / patch, area = patch * patch;
    const int place = (int)(row % ((int64_t)grid * grid));
    const float *corner = clv_row(frames, row / ((int64_t)grid * grid)) +
                          (int64_t)(place / grid) * patch * side + place % grid * patch;
    auto *to = clv_row(out, row);
    for (int c = threadIdx.x % CLV_CUDA_WARP * N; c < 3 * area; c += CLV_CUDA_WARP * N) {
        const int plane = c / area, line = c % area / patch, col = c % patch;
        clv_store(to + c, clv_load<N>(corner + ((int64_t)plane * side + line) * side + col));
    }
}

void clv_cuda_patches(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                      int side, int patch)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    const bool fours = patch % 4 == 0 && clv_rows_are_fours(out) && clv_rows_are_fours(frames);
    if (clv_is_half(out))
        CLV_LAUNCH_ROWS(cuda, fours, patches_kernel, out.rows, clv_half_rows_of(out),
                        clv_rows_of(frames), out.rows, side, patch);
    else
        CLV_LAUNCH_ROWS(cuda, fours, patches_kernel, out.rows, clv_rows_of(out),
                        clv_rows_of(frames), out.rows, side, patch);
    (void)clv_cuda_check(device, "patches");
}

struct frame_source {
    struct clv_rows patches, position;
    const float *class_embedding;
    int tokens;
    __device__ const float *a(int64_t row) const
    {
        const int64_t frame = row / tokens, token = row % tokens;
        return token == 0 ? class_embedding : clv_row(patches, frame * (tokens - 1) + token - 1);
    }
    __device__ const float *b(int64_t row) const
    {
        return clv_row(position, row % tokens);
    }
};

void clv_cuda_frame_embed(struct clv_device *device, struct clv_tensor out,
                          struct clv_tensor patches, const float *class_embedding,
                          struct clv_tensor position)
{
    (void)clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    const struct frame_source source = {clv_rows_of(patches), clv_rows_of(position),
                                        class_embedding, position.rows};
    const bool fours = clv_rows_are_fours(patches) && clv_rows_are_fours(position) &&
                       clv_is_fours(class_embedding);
    sum_rows(device, out, source, fours, "frame embedding");
}

struct window_source {
    struct clv_rows frames, temporal;
    const int32_t *indices;
    int frame_count, token_count;
    __device__ const float *a(int64_t row) const
    {
        return clv_row(frames,
                       (int64_t)indices[row / token_count] * token_count + row % token_count);
    }
    __device__ const float *b(int64_t row) const
    {
        return temporal.data ? clv_row(temporal, row / token_count % frame_count) : NULL;
    }
};

void clv_cuda_window_embed(struct clv_device *device, struct clv_tensor out,
                           struct clv_tensor frames, const int32_t *indices, int frame_count,
                           int token_count, struct clv_tensor temporal)
{
    (void)clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    const struct window_source source = {
        clv_rows_of(frames), clv_rows_of(temporal),
        clv_cuda_stage(device, indices, (size_t)(out.rows / token_count)), frame_count,
        token_count};
    if (source.indices)
        sum_rows(device, out, source, clv_rows_are_fours(frames) && clv_rows_are_fours(temporal),
                 "window embedding");
}

/* The sequence that holds a row: starts[s] <= row < starts[s + 1]. */
static __device__ __forceinline__ int sequence_of(const int32_t *starts, int count, int64_t row)
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

struct token_source {
    struct clv_rows table, position;
    const int32_t *ids, *starts;
    int count;
    __device__ const float *a(int64_t row) const
    {
        return clv_row(table, ids[row]);
    }
    __device__ const float *b(int64_t row) const
    {
        return clv_row(position, row - starts[sequence_of(starts, count, row)]);
    }
};

void clv_cuda_token_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor table,
                          struct clv_tensor position, const int32_t *ids, const int32_t *starts,
                          int count)
{
    (void)clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    const struct token_source source = {clv_rows_of(table), clv_rows_of(position),
                                        clv_cuda_stage(device, ids, (size_t)out.rows),
                                        clv_cuda_stage(device, starts, (size_t)count + 1), count};
    if (source.ids && source.starts)
        sum_rows(device, out, source, clv_rows_are_fours(table) && clv_rows_are_fours(position),
                 "token embedding");
}

struct gather_source {
    struct clv_rows x;
    const int32_t *indices;
    __device__ const float *a(int64_t row) const
    {
        return clv_row(x, indices[row]);
    }
    __device__ const float *b(int64_t) const
    {
        return NULL;
    }
};

/* Rows of bfloat16 as they are, in pieces of T: a warp to each row. */
template <typename T>
static __global__ void gather_kernel(T *out, int64_t out_stride, const T *x, int64_t x_stride,
                                     const int32_t *indices, int64_t rows, int pieces)
{
    const int64_t row = clv_warp_row();
    if (row >= rows)
        return;
    T *to = out + row * out_stride;
    const T *from = x + indices[row] * x_stride;
    for (int i = threadIdx.x % CLV_CUDA_WARP; i < pieces; i += CLV_CUDA_WARP)
        to[i] = from[i];
}

static void gather_halves(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                          const int32_t *staged)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const unsigned blocks = clv_warp_row_blocks(out.rows);
    constexpr int unit = clv_half_rows::UNIT;
    if (clv_rows_are(out, unit) && clv_rows_are(x, unit))
        gather_kernel<uint4><<<blocks, CLV_ROW_THREADS, 0, cuda->work>>>(
            (uint4 *)out.data, out.stride / unit, (const uint4 *)x.data, x.stride / unit, staged,
            out.rows, out.cols / unit);
    else
        gather_kernel<uint16_t><<<blocks, CLV_ROW_THREADS, 0, cuda->work>>>(
            (uint16_t *)out.data, out.stride, (const uint16_t *)x.data, x.stride, staged, out.rows,
            out.cols);
    (void)clv_cuda_check(device, "gathering rows");
}

void clv_cuda_gather_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                          const int32_t *indices)
{
    (void)clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    if (clv_is_half(x)) {
        const int32_t *staged = clv_cuda_stage(device, indices, (size_t)out.rows);
        if (staged)
            gather_halves(device, out, x, staged);
        return;
    }
    const struct gather_source source = {clv_rows_of(x),
                                         clv_cuda_stage(device, indices, (size_t)out.rows)};
    if (source.indices)
        sum_rows(device, out, source, clv_rows_are_fours(x), "gathered rows");
}

/* ---- which rows go where --------------------------------------------------------------------- */

/* Places 0..n sorted by their index, those of one index in order: run r is the places
 * order[first[r]..first[r + 1]), all of index target[r]. On the device. */
struct runs {
    const int32_t *target, *first, *order;
    int count;
};

/* A counting sort on the host. False after a sticky failure. */
static bool runs_create(struct clv_device *device, struct runs *out, const int32_t *indices,
                        int count, int limit)
{
    const size_t ends_count = (size_t)limit + 1, n = (size_t)count;
    int32_t *at =
        (int32_t *)clv_cuda_host_scratch(device, (ends_count + 3 * n + 1) * sizeof(int32_t));
    if (!at)
        return false;
    int32_t *order = at + ends_count, *target = order + n, *first = target + n;
    for (size_t i = 0; i < ends_count; i++)
        at[i] = 0;
    for (int i = 0; i < count; i++)
        at[indices[i] + 1]++;
    out->count = 0;
    for (int i = 0; i < limit; i++) { /* at[i] becomes where index i starts */
        if (at[i + 1] > 0) {
            target[out->count] = i;
            first[out->count++] = at[i];
        }
        at[i + 1] += at[i];
    }
    first[out->count] = count;
    for (int i = 0; i < count; i++)
        order[at[indices[i]]++] = i;
    out->order = clv_cuda_stage(device, order, n);
    out->target = clv_cuda_stage(device, target, (size_t)out->count);
    out->first = clv_cuda_stage(device, first, (size_t)out->count + 1);
    return out->order && out->target && out->first;
}

#define ADD_THREADS 128
#define ADD_AHEAD 4 /* rows on their way at once */

/* sum + the column of each of `count` rows, in order; `row_of(i)` says where row i starts. */
template <typename RowOf>
static __device__ __forceinline__ float add_rows(float sum, int count, RowOf row_of)
{
    int i = 0;
    for (; i + ADD_AHEAD <= count; i += ADD_AHEAD) {
        float ahead[ADD_AHEAD];
#pragma unroll
        for (int j = 0; j < ADD_AHEAD; j++)
            ahead[j] = *row_of(i + j);
#pragma unroll
        for (int j = 0; j < ADD_AHEAD; j++)
            sum += ahead[j];
    }
    for (; i < count; i++)
        sum += *row_of(i);
    return sum;
}

/* Threads to columns, blocks to columns (x) and rows (y, in strides of the grid). */
static dim3 column_blocks(int cols, int64_t rows)
{
    return dim3(clv_cuda_blocks(cols, ADD_THREADS), (unsigned)(rows < 65535 ? rows : 65535));
}

/* to[target * group + i] += from[place * group + i] for every place of every run: rows in groups of
 * `group` (the tokens of a frame). */
static __global__ void add_runs_kernel(struct clv_rows to, struct clv_rows from, struct runs runs,
                                       int group, int cols)
{
    const int col = blockIdx.x * ADD_THREADS + threadIdx.x;
    if (col >= cols)
        return;
    for (int64_t i = blockIdx.y; i < (int64_t)runs.count * group; i += gridDim.y) {
        const int run = (int)(i / group);
        const int64_t within = i % group;
        const int32_t *places = runs.order + runs.first[run];
        float *sum = clv_row(to, (int64_t)runs.target[run] * group + within) + col;
        *sum = add_rows(*sum, runs.first[run + 1] - runs.first[run], [&](int j) {
            return clv_row(from, (int64_t)places[j] * group + within) + col;
        });
    }
}

/* to[indices[i]] += from[i], rows in groups. */
static void add_by_index(struct clv_device *device, struct clv_tensor to, struct clv_tensor from,
                         const int32_t *indices, int group, const char *what)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    struct runs runs;
    if (!runs_create(device, &runs, indices, from.rows / group, to.rows / group))
        return;
    add_runs_kernel<<<column_blocks(from.cols, (int64_t)runs.count * group), ADD_THREADS, 0,
                      cuda->work>>>(clv_rows_of(to), clv_rows_of(from), runs, group, from.cols);
    (void)clv_cuda_check(device, what);
}

/* ---- gradients ------------------------------------------------------------------------------- */

void clv_cuda_scatter_rows_add(struct clv_device *device, struct clv_tensor dx,
                               struct clv_tensor dout, const int32_t *indices)
{
    (void)clv_cuda_enter(device);
    if (dout.rows > 0)
        add_by_index(device, dx, dout, indices, 1, "gradient of gathered rows");
}

struct patch_source {
    struct clv_rows dout;
    int tokens;
    __device__ const float *a(int64_t row) const
    {
        return clv_row(dout, row / (tokens - 1) * tokens + row % (tokens - 1) + 1);
    }
    __device__ const float *b(int64_t) const
    {
        return NULL;
    }
};

/* A token's rows of all frames, to its position, and to the class embedding where it is the class
 * token's. Both may be NULL. */
static __global__ void add_tokens_kernel(struct clv_rows dposition, float *dclass_embedding,
                                         struct clv_rows dout, int frames, int tokens, int cols)
{
    const int col = blockIdx.x * ADD_THREADS + threadIdx.x;
    if (col >= cols)
        return;
    for (int64_t token = blockIdx.y; token < tokens; token += gridDim.y) {
        const auto row_of = [&](int i) { return clv_row(dout, (int64_t)i * tokens + token) + col; };
        if (dposition.data) {
            float *sum = clv_row(dposition, token) + col;
            *sum = add_rows(*sum, frames, row_of);
        }
        if (dclass_embedding && token == 0)
            dclass_embedding[col] = add_rows(dclass_embedding[col], frames, row_of);
    }
}

void clv_cuda_frame_embed_backward(struct clv_device *device, struct clv_tensor dpatches,
                                   float *dclass_embedding, struct clv_tensor dposition,
                                   struct clv_tensor dout, int token_count)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const char *what = "gradient of a frame embedding";
    if (dout.rows == 0)
        return;
    if (dpatches.data) {
        const struct patch_source source = {clv_rows_of(dout), token_count};
        sum_rows(device, dpatches, source, clv_rows_are_fours(dout), what);
    }
    if (!dposition.data && !dclass_embedding)
        return;
    const int tokens_wanted = dposition.data ? token_count : 1;
    add_tokens_kernel<<<column_blocks(dout.cols, tokens_wanted), ADD_THREADS, 0, cuda->work>>>(
        clv_rows_of(dposition), dclass_embedding, clv_rows_of(dout), dout.rows / token_count,
        token_count, dout.cols);
    (void)clv_cuda_check(device, what);
}

/* sums [slots, cols] = the rows of each frame added up. */
static __global__ void frame_sums_kernel(float *sums, struct clv_rows dout, int slots, int tokens,
                                         int cols)
{
    const int col = blockIdx.x * ADD_THREADS + threadIdx.x;
    if (col >= cols)
        return;
    for (int64_t slot = blockIdx.y; slot < slots; slot += gridDim.y)
        sums[slot * cols + col] =
            add_rows(0.0f, tokens, [&](int i) { return clv_row(dout, slot * tokens + i) + col; });
}

/* dtemporal[t] += the sums of frame t of every window. */
static __global__ void add_times_kernel(struct clv_rows dtemporal, const float *sums, int windows,
                                        int frame_count, int cols)
{
    const int col = blockIdx.x * ADD_THREADS + threadIdx.x;
    if (col >= cols)
        return;
    for (int64_t t = blockIdx.y; t < frame_count; t += gridDim.y) {
        float *sum = clv_row(dtemporal, t) + col;
        *sum = add_rows(*sum, windows,
                        [&](int b) { return sums + ((int64_t)b * frame_count + t) * cols + col; });
    }
}

void clv_cuda_window_embed_backward(struct clv_device *device, struct clv_tensor dframes,
                                    struct clv_tensor dtemporal, struct clv_tensor dout,
                                    const int32_t *indices, int frame_count, int token_count)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const char *what = "gradient of a window embedding";
    if (dout.rows == 0)
        return;
    if (dframes.data)
        add_by_index(device, dframes, dout, indices, token_count, what);
    if (!dtemporal.data)
        return;
    const int slots = dout.rows / token_count, cols = dout.cols;
    float *sums = (float *)clv_cuda_scratch(device, (size_t)slots * (size_t)cols * sizeof(float));
    if (!sums)
        return;
    frame_sums_kernel<<<column_blocks(cols, slots), ADD_THREADS, 0, cuda->work>>>(
        sums, clv_rows_of(dout), slots, token_count, cols);
    if (!clv_cuda_check(device, what))
        return;
    add_times_kernel<<<column_blocks(cols, frame_count), ADD_THREADS, 0, cuda->work>>>(
        clv_rows_of(dtemporal), sums, slots / frame_count, frame_count, cols);
    (void)clv_cuda_check(device, what);
}

/* dposition[place] += that row of every sequence long enough. */
static __global__ void add_places_kernel(struct clv_rows dposition, struct clv_rows dout,
                                         const int32_t *starts, int count, int places, int cols)
{
    const int col = blockIdx.x * ADD_THREADS + threadIdx.x;
    if (col >= cols)
        return;
    for (int64_t place = blockIdx.y; place < places; place += gridDim.y) {
        float *sum = clv_row(dposition, place) + col, total = *sum;
        for (int s = 0; s < count; s++)
            if (starts[s] + place < starts[s + 1])
                total += clv_row(dout, starts[s] + place)[col];
        *sum = total;
    }
}

void clv_cuda_token_embed_backward(struct clv_device *device, struct clv_tensor dtable,
                                   struct clv_tensor dposition, struct clv_tensor dout,
                                   const int32_t *ids, const int32_t *starts, int count)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const char *what = "gradient of a token embedding";
    if (dout.rows == 0)
        return;
    if (dtable.data)
        add_by_index(device, dtable, dout, ids, 1, what);
    if (!dposition.data)
        return;
    int places = 0;
    for (int s = 0; s < count; s++)
        places = starts[s + 1] - starts[s] > places ? starts[s + 1] - starts[s] : places;
    const int32_t *staged = clv_cuda_stage(device, starts, (size_t)count + 1);
    if (!staged)
        return;
    add_places_kernel<<<column_blocks(dout.cols, places), ADD_THREADS, 0, cuda->work>>>(
        clv_rows_of(dposition), clv_rows_of(dout), staged, count, places, dout.cols);
    (void)clv_cuda_check(device, what);
}
