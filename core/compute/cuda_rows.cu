/* Ops that look at one row at a time: layer norm, activations, unit vectors, copies and scaling,
 * and their gradients. */
#include "core/compute/cuda_rows.cuh"

/* ---- element by element ---------------------------------------------------------------------- */

/* A shape without gaps where the tensors have none: one long row. */
struct extent {
    int64_t rows, cols;
};

/* Calls each.run<N>(row, col) for N columns at a time: a block to a piece of N * threads columns.
 */
template <int N, typename Each> static __global__ void each_kernel(Each each, struct extent extent)
{
    const int64_t width = (int64_t)CLV_ROW_THREADS * N;
    const int64_t pieces = (extent.cols + width - 1) / width;
    for (int64_t i = blockIdx.x; i < extent.rows * pieces; i += gridDim.x) {
        const int64_t col = i % pieces * width + (int64_t)threadIdx.x * N;
        if (col < extent.cols)
            each.template run<N>(i / pieces, col);
    }
}

/* Whether rows follow each other without a gap. */
static bool is_dense(struct clv_tensor t)
{
    return !t.data || t.rows <= 1 || t.stride == t.cols;
}

static bool is_aligned_to(struct clv_tensor t, int unit)
{
    return !t.data || (uintptr_t)t.data % ((size_t)unit * clv_type_bytes(t.type)) == 0;
}

/* Runs `each` over all elements of out, Each::UNIT at a time where it can, a and b having its shape
 * or being absent. The rows are joined into one where `may_join` (each.run() then sees row 0 only)
 * and all are dense. */
template <typename Each>
static void run_each(struct clv_device *device, const Each &each, struct clv_tensor out,
                     struct clv_tensor a, struct clv_tensor b, bool may_join, const char *what)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    struct extent extent = {out.rows, out.cols};
    constexpr int unit = Each::UNIT;
    bool is_wide = clv_rows_are(out, unit) && clv_rows_are(a, unit) && clv_rows_are(b, unit);
    if (may_join && is_dense(out) && is_dense(a) && is_dense(b)) {
        extent = {1, (int64_t)out.rows * out.cols};
        is_wide = extent.cols % unit == 0 && is_aligned_to(out, unit) && is_aligned_to(a, unit) &&
                  is_aligned_to(b, unit);
    }
    const int64_t width = (int64_t)CLV_ROW_THREADS * (is_wide ? unit : 1);
    const unsigned blocks = clv_cuda_blocks(extent.rows * ((extent.cols + width - 1) / width), 1);
    if (is_wide)
        each_kernel<unit, Each><<<blocks, CLV_ROW_THREADS, 0, cuda->work>>>(each, extent);
    else
        each_kernel<1, Each><<<blocks, CLV_ROW_THREADS, 0, cuda->work>>>(each, extent);
    (void)clv_cuda_check(device, what);
}

struct fill_each {
    static constexpr int UNIT = 4;
    struct clv_rows out;
    float value;
    template <int N> __device__ void run(int64_t row, int64_t col) const
    {
        clv_pack<N> x;
        for (int i = 0; i < N; i++)
            x.at[i] = value;
        clv_store(clv_row(out, row) + col, x);
    }
};

void clv_cuda_fill(struct clv_device *device, struct clv_tensor x, float value)
{
    const struct fill_each each = {clv_rows_of(x), value};
    run_each(device, each, x, CLV_NO_TENSOR, CLV_NO_TENSOR, true, "fill");
}

template <typename Out, typename X> struct copy_each {
    static constexpr int UNIT = 4;
    Out out;
    X x;
    template <int N> __device__ void run(int64_t row, int64_t col) const
    {
        clv_store(clv_row(out, row) + col, clv_load<N>(clv_row(x, row) + col));
    }
};

void clv_cuda_copy(struct clv_device *device, struct clv_tensor out, struct clv_tensor x)
{
    if (clv_is_half(x)) { /* bits are moved, not numbers */
        struct clv_cuda *cuda = clv_cuda_enter(device);
        const size_t bytes = clv_type_bytes(x.type);
        if (x.rows > 0)
            (void)clv_cuda_ok(device,
                              cudaMemcpy2DAsync(out.data, (size_t)out.stride * bytes, x.data,
                                                (size_t)x.stride * bytes, (size_t)x.cols * bytes,
                                                (size_t)x.rows, cudaMemcpyDeviceToDevice,
                                                cuda->work),
                              "copy");
        return;
    }
    const copy_each<clv_rows, clv_rows> each = {clv_rows_of(out), clv_rows_of(x)};
    run_each(device, each, out, x, CLV_NO_TENSOR, true, "copy");
}

bool clv_cuda_convert(struct clv_device *device, struct clv_tensor out, struct clv_tensor x)
{
    if (clv_is_half(out)) {
        const copy_each<clv_half_rows, clv_rows> each = {clv_half_rows_of(out), clv_rows_of(x)};
        run_each(device, each, out, x, CLV_NO_TENSOR, true, "rounding");
    } else {
        const copy_each<clv_rows, clv_half_rows> each = {clv_rows_of(out), clv_half_rows_of(x)};
        run_each(device, each, out, x, CLV_NO_TENSOR, true, "widening");
    }
    return clv_cuda_check(device, "conversion");
}

template <typename Rows> struct activate_each {
    static constexpr int UNIT = Rows::UNIT;
    Rows out, x;
    enum clv_activation activation;
    template <int N> __device__ void run(int64_t row, int64_t col) const
    {
        clv_pack<N> y = clv_load<N>(clv_row(x, row) + col);
        for (int i = 0; i < N && activation == CLV_ACTIVATION_QUICK_GELU; i++)
            y.at[i] = clv_scalar_quick_gelu(y.at[i]);
        for (int i = 0; i < N && activation == CLV_ACTIVATION_GELU; i++)
            y.at[i] = clv_scalar_gelu(y.at[i]);
        clv_store(clv_row(out, row) + col, y);
    }
};

void clv_cuda_activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                       enum clv_activation activation)
{
    const char *what = "activation";
    if (clv_is_half(x)) {
        const activate_each<clv_half_rows> each = {clv_half_rows_of(out), clv_half_rows_of(x),
                                                   activation};
        run_each(device, each, out, x, CLV_NO_TENSOR, true, what);
        return;
    }
    const activate_each<clv_rows> each = {clv_rows_of(out), clv_rows_of(x), activation};
    run_each(device, each, out, x, CLV_NO_TENSOR, true, what);
}

template <typename Rows> struct activate_backward_each {
    static constexpr int UNIT = Rows::UNIT;
    Rows dx, dy, x;
    enum clv_activation activation;
    template <int N> __device__ void run(int64_t row, int64_t col) const
    {
        clv_pack<N> d = clv_load<N>(clv_row(dy, row) + col);
        const clv_pack<N> at = clv_load<N>(clv_row(x, row) + col);
        for (int i = 0; i < N && activation == CLV_ACTIVATION_QUICK_GELU; i++)
            d.at[i] *= clv_scalar_quick_gelu_slope(at.at[i]);
        for (int i = 0; i < N && activation == CLV_ACTIVATION_GELU; i++)
            d.at[i] *= clv_scalar_gelu_slope(at.at[i]);
        clv_store(clv_row(dx, row) + col, d);
    }
};

void clv_cuda_activate_backward(struct clv_device *device, struct clv_tensor dx,
                                struct clv_tensor dy, struct clv_tensor x,
                                enum clv_activation activation)
{
    const char *what = "gradient of an activation";
    if (clv_is_half(x)) {
        const activate_backward_each<clv_half_rows> each = {
            clv_half_rows_of(dx), clv_half_rows_of(dy), clv_half_rows_of(x), activation};
        run_each(device, each, dx, dy, x, true, what);
        return;
    }
    const activate_backward_each<clv_rows> each = {clv_rows_of(dx), clv_rows_of(dy), clv_rows_of(x),
                                                   activation};
    run_each(device, each, dx, dy, x, true, what);
}

/* Factors by sequence; without `factors` there is but one. */
struct scale_each {
    static constexpr int UNIT = 4;
    struct clv_rows out, x;
    const float *factors;
    const int32_t *starts; /* NULL: sequences of rows_each */
    int count;
    int64_t rows_each;
    float factor;
    bool add;

    __device__ float factor_of(int64_t row) const
    {
        if (!factors)
            return factor;
        if (!starts)
            return factors[row / rows_each];
        int low = 0, high = count; /* starts[low] <= row < starts[high] */
        while (high - low > 1) {
            const int middle = low + (high - low) / 2;
            if (starts[middle] <= row)
                low = middle;
            else
                high = middle;
        }
        return factors[low];
    }
    template <int N> __device__ void run(int64_t row, int64_t col) const
    {
        const float by = factor_of(row);
        float *to = clv_row(out, row) + col;
        clv_pack<N> y = clv_load<N>(clv_row(x, row) + col);
        if (add) {
            const clv_pack<N> before = clv_load<N>(to);
            for (int i = 0; i < N; i++)
                y.at[i] = fmaf(y.at[i], by, before.at[i]);
        } else {
            for (int i = 0; i < N; i++)
                y.at[i] *= by;
        }
        clv_store(to, y);
    }
};

void clv_cuda_scale_rows(struct clv_device *device, struct clv_tensor out, bool add,
                         struct clv_tensor x, const float *factors, const int32_t *starts,
                         int count)
{
    (void)clv_cuda_enter(device);
    if (x.rows == 0)
        return;
    struct scale_each each = {clv_rows_of(out), clv_rows_of(x), NULL, NULL, count,
                              x.rows / count,   factors[0],     add};
    if (count > 1) {
        each.factors = clv_cuda_stage(device, factors, (size_t)count);
        if (starts)
            each.starts = clv_cuda_stage(device, starts, (size_t)count + 1);
        if (!each.factors || (starts && !each.starts))
            return;
    }
    run_each(device, each, out, x, CLV_NO_TENSOR, count == 1, "scaling");
}

/* ---- layer norm ------------------------------------------------------------------------------ */

/* Mean and 1 / deviation of a row, in every lane; the variance around the mean already known. */
template <int N>
static __device__ __forceinline__ float2 norm_of(const float *x, int cols, int lane)
{
    float sum = 0.0f, squares = 0.0f;
    for (int c = lane * N; c < cols; c += CLV_CUDA_WARP * N) {
        const clv_pack<N> at = clv_load<N>(x + c);
        for (int i = 0; i < N; i++)
            sum += at.at[i];
    }
    const float mean = clv_warp_sum(sum) / (float)cols;
    for (int c = lane * N; c < cols; c += CLV_CUDA_WARP * N) {
        const clv_pack<N> at = clv_load<N>(x + c);
        for (int i = 0; i < N; i++)
            squares = fmaf(at.at[i] - mean, at.at[i] - mean, squares);
    }
    const float variance = clv_warp_sum(squares) / (float)cols;
    return make_float2(mean, 1.0f / sqrtf(variance + CLV_LAYER_NORM_EPSILON));
}

/* One read from memory and one write; the second and third pass over the row find it in L1. */
template <int N, typename Out>
static __global__ void layer_norm_kernel(Out out, struct clv_rows x, int64_t rows, int cols,
                                         const float *weight, const float *bias)
{
    const int64_t row = clv_warp_row();
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    if (row >= rows)
        return;
    const float *from = clv_row(x, row);
    auto *to = clv_row(out, row);
    const float2 norm = norm_of<N>(from, cols, lane);
    for (int c = lane * N; c < cols; c += CLV_CUDA_WARP * N) {
        clv_pack<N> y = clv_load<N>(from + c);
        const clv_pack<N> w = clv_load<N>(weight + c), b = clv_load<N>(bias + c);
        for (int i = 0; i < N; i++)
            y.at[i] = fmaf((y.at[i] - norm.x) * norm.y, w.at[i], b.at[i]);
        clv_store(to + c, y);
    }
}

void clv_cuda_layer_norm(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                         const float *weight, const float *bias)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    if (x.rows == 0)
        return;
    const bool fours = clv_rows_are_fours(x) && clv_rows_are_fours(out) && clv_is_fours(weight) &&
                       clv_is_fours(bias);
    if (clv_is_half(out))
        CLV_LAUNCH_ROWS(cuda, fours, layer_norm_kernel, x.rows, clv_half_rows_of(out),
                        clv_rows_of(x), x.rows, x.cols, weight, bias);
    else
        CLV_LAUNCH_ROWS(cuda, fours, layer_norm_kernel, x.rows, clv_rows_of(out), clv_rows_of(x),
                        x.rows, x.cols, weight, bias);
    (void)clv_cuda_check(device, "layer norm");
}

/* norms [rows]: mean and 1 / deviation of each row. */
template <int N>
static __global__ void norms_kernel(float2 *norms, struct clv_rows x, int64_t rows, int cols)
{
    const int64_t row = clv_warp_row();
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    if (row >= rows)
        return;
    const float2 norm = norm_of<N>(clv_row(x, row), cols, lane);
    if (lane == 0)
        norms[row] = norm;
}

/* dx = scale (g - mean(g) - unit mean(g unit)) with g = dy weight, unit = (x - mean) scale; on top
 * of dx where `add`. Each lane writes the columns it alone has read, so dx may be dy. `norms` may
 * be NULL. */
template <int N, typename Dy>
static __global__ void layer_norm_backward_kernel(struct clv_rows dx, bool add, Dy dy,
                                                  struct clv_rows x, int64_t rows, int cols,
                                                  const float *weight, float2 *norms)
{
    const int64_t row = clv_warp_row();
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    if (row >= rows)
        return;
    const float *at_x = clv_row(x, row);
    const auto *at_dy = clv_row(dy, row);
    float *to = clv_row(dx, row);
    const float2 norm = norm_of<N>(at_x, cols, lane);
    float sum = 0.0f, product = 0.0f;
    for (int c = lane * N; c < cols; c += CLV_CUDA_WARP * N) {
        const clv_pack<N> v = clv_load<N>(at_x + c), d = clv_load<N>(at_dy + c);
        const clv_pack<N> w = clv_load<N>(weight + c);
        for (int i = 0; i < N; i++) {
            const float slope = d.at[i] * w.at[i];
            sum += slope;
            product = fmaf(slope, (v.at[i] - norm.x) * norm.y, product);
        }
    }
    const float slope_mean = clv_warp_sum(sum) / (float)cols;
    const float product_mean = clv_warp_sum(product) / (float)cols;
    for (int c = lane * N; c < cols; c += CLV_CUDA_WARP * N) {
        const clv_pack<N> v = clv_load<N>(at_x + c), d = clv_load<N>(at_dy + c);
        const clv_pack<N> w = clv_load<N>(weight + c);
        clv_pack<N> y;
        for (int i = 0; i < N; i++)
            y.at[i] = add ? to[c + i] : 0.0f;
        for (int i = 0; i < N; i++) {
            const float unit = (v.at[i] - norm.x) * norm.y;
            const float rest = d.at[i] * w.at[i] - slope_mean - unit * product_mean;
            y.at[i] = fmaf(rest, norm.y, y.at[i]);
        }
        clv_store(to + c, y);
    }
    if (norms && lane == 0)
        norms[row] = norm;
}

#define PART_COLS 32
#define PART_LINES 8
#define PART_COUNT_MAX 256
#define PART_ROWS_MIN 32

/* parts [gridDim.y][2 * cols]: sums of dy unit, and of dy, over each run of `rows_each` rows. A
 * block of 32 columns times 8 rows at once. */
template <typename Dy>
static __global__ void norm_parts_kernel(float *parts, Dy dy, struct clv_rows x,
                                         const float2 *norms, int64_t rows, int cols,
                                         int64_t rows_each)
{
    __shared__ float sums[2][PART_LINES][PART_COLS];
    const int col = blockIdx.x * PART_COLS + threadIdx.x;
    const int64_t first = blockIdx.y * rows_each;
    const int64_t end = first + rows_each < rows ? first + rows_each : rows;
    float with_unit = 0.0f, alone = 0.0f;
    for (int64_t r = first + threadIdx.y; r < end && col < cols; r += PART_LINES) {
        const float2 norm = norms[r];
        const float d = clv_load<1>(clv_row(dy, r) + col).at[0];
        with_unit = fmaf(d, (clv_row(x, r)[col] - norm.x) * norm.y, with_unit);
        alone += d;
    }
    sums[0][threadIdx.y][threadIdx.x] = with_unit;
    sums[1][threadIdx.y][threadIdx.x] = alone;
    __syncthreads();
    if (threadIdx.y < 2 && col < cols) {
        float total = 0.0f;
        for (int i = 0; i < PART_LINES; i++)
            total += sums[threadIdx.y][i][threadIdx.x];
        parts[(int64_t)blockIdx.y * 2 * cols + (int64_t)threadIdx.y * cols + col] = total;
    }
}

/* What the gradients of weight and bias are summed in. */
struct norm_parts {
    float2 *norms; /* [rows] */
    float *sums;   /* [count][2 * cols] */
    int count;
    int64_t rows_each;
};

/* False after a sticky failure. */
static bool norm_parts_create(struct clv_device *device, struct norm_parts *p, struct clv_tensor x)
{
    int64_t each = ((int64_t)x.rows + PART_COUNT_MAX - 1) / PART_COUNT_MAX;
    p->rows_each = each < PART_ROWS_MIN ? PART_ROWS_MIN : each;
    p->count = (int)((x.rows + p->rows_each - 1) / p->rows_each);
    size_t norms_bytes = clv_cuda_padded((size_t)x.rows * sizeof(float2));
    size_t sums_bytes = (size_t)p->count * 2 * (size_t)x.cols * sizeof(float);
    unsigned char *scratch = (unsigned char *)clv_cuda_scratch(device, norms_bytes + sums_bytes);
    if (!scratch)
        return false;
    p->norms = (float2 *)scratch;
    p->sums = (float *)(scratch + norms_bytes);
    return true;
}

static void add_norm_parts(struct clv_device *device, const struct norm_parts *p, float *dweight,
                           float *dbias, struct clv_tensor dy, struct clv_tensor x)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const dim3 blocks(clv_cuda_blocks(x.cols, PART_COLS), (unsigned)p->count);
    const dim3 threads(PART_COLS, PART_LINES);
    if (clv_is_half(dy))
        norm_parts_kernel<clv_half_rows><<<blocks, threads, 0, cuda->work>>>(
            p->sums, clv_half_rows_of(dy), clv_rows_of(x), p->norms, x.rows, x.cols, p->rows_each);
    else
        norm_parts_kernel<clv_rows><<<blocks, threads, 0, cuda->work>>>(
            p->sums, clv_rows_of(dy), clv_rows_of(x), p->norms, x.rows, x.cols, p->rows_each);
    if (!clv_cuda_check(device, "gradient of a layer norm's weight"))
        return;
    if (dweight)
        clv_cuda_add_parts(device, dweight, p->sums, p->count, x.cols, 2 * (ptrdiff_t)x.cols);
    if (dbias)
        clv_cuda_add_parts(device, dbias, p->sums + x.cols, p->count, x.cols,
                           2 * (ptrdiff_t)x.cols);
}

void clv_cuda_layer_norm_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                                  float *dweight, float *dbias, struct clv_tensor dy,
                                  struct clv_tensor x, const float *weight)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    if (x.rows == 0)
        return;
    struct norm_parts parts = {};
    const bool wanted = dweight || dbias, in_place = dx.data == dy.data;
    if (wanted && !norm_parts_create(device, &parts, x))
        return;
    if (wanted && in_place) { /* dy is gone after dx is written */
        CLV_LAUNCH_ROWS(cuda, clv_rows_are_fours(x), norms_kernel, x.rows, parts.norms,
                        clv_rows_of(x), x.rows, x.cols);
        if (!clv_cuda_check(device, "gradient of a layer norm"))
            return;
        add_norm_parts(device, &parts, dweight, dbias, dy, x);
    }
    const bool fours = clv_rows_are_fours(x) && clv_rows_are_fours(dx) && clv_rows_are_fours(dy) &&
                       clv_is_fours(weight);
    if (clv_is_half(dy))
        CLV_LAUNCH_ROWS(cuda, fours, layer_norm_backward_kernel, x.rows, clv_rows_of(dx), add,
                        clv_half_rows_of(dy), clv_rows_of(x), x.rows, x.cols, weight, parts.norms);
    else
        CLV_LAUNCH_ROWS(cuda, fours, layer_norm_backward_kernel, x.rows, clv_rows_of(dx), add,
                        clv_rows_of(dy), clv_rows_of(x), x.rows, x.cols, weight, parts.norms);
    if (!clv_cuda_check(device, "gradient of a layer norm"))
        return;
    if (wanted && !in_place)
        add_norm_parts(device, &parts, dweight, dbias, dy, x);
}

/* ---- unit vectors ---------------------------------------------------------------------------- */

/* Sum of a b over a row, in every lane. */
static __device__ __forceinline__ float warp_dot(const float *a, const float *b, int cols, int lane)
{
    float sum = 0.0f;
    for (int c = lane; c < cols; c += CLV_CUDA_WARP)
        sum = fmaf(a[c], b[c], sum);
    return clv_warp_sum(sum);
}

/* A block makes one row of out: warps find the lengths of its frames, threads add up columns.
 * `factors` in shared memory [frame_count]. */
static __global__ void unit_mean_kernel(struct clv_rows out, struct clv_rows x, int cols,
                                        int frame_count)
{
    extern __shared__ float factors[];
    const int lane = threadIdx.x % CLV_CUDA_WARP, warp = threadIdx.x / CLV_CUDA_WARP;
    const int64_t first = (int64_t)blockIdx.x * frame_count;
    for (int t = warp; t < frame_count; t += CLV_ROW_WARPS) {
        const float *row = clv_row(x, first + t);
        const float squares = warp_dot(row, row, cols, lane);
        if (lane == 0)
            factors[t] = squares == 0.0f ? 0.0f : 1.0f / (sqrtf(squares) * (float)frame_count);
    }
    __syncthreads();
    for (int c = threadIdx.x; c < cols; c += CLV_ROW_THREADS) {
        float sum = 0.0f;
        for (int t = 0; t < frame_count; t++)
            sum = fmaf(clv_row(x, first + t)[c], factors[t], sum);
        clv_row(out, blockIdx.x)[c] = sum;
    }
}

void clv_cuda_unit_mean(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                        int frame_count)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    if (out.rows == 0)
        return;
    const size_t shared_bytes = (size_t)frame_count * sizeof(float);
    /* Past 48 KiB (twelve thousand frames of one window) the launch itself fails and says so. */
    unit_mean_kernel<<<(unsigned)out.rows, CLV_ROW_THREADS, shared_bytes, cuda->work>>>(
        clv_rows_of(out), clv_rows_of(x), x.cols, frame_count);
    (void)clv_cuda_check(device, "unit mean");
}

/* dx = (dout - unit (unit . dout)) / (|x| count), a warp to each row. */
static __global__ void unit_mean_backward_kernel(struct clv_rows dx, struct clv_rows dout,
                                                 struct clv_rows x, int64_t rows, int cols,
                                                 int frame_count)
{
    const int64_t row = clv_warp_row();
    const int lane = threadIdx.x % CLV_CUDA_WARP;
    if (row >= rows)
        return;
    const float *at_x = clv_row(x, row), *d = clv_row(dout, row / frame_count);
    float *to = clv_row(dx, row);
    const float squares = warp_dot(at_x, at_x, cols, lane);
    const float product = warp_dot(at_x, d, cols, lane);
    const float scale = squares == 0.0f ? 0.0f : 1.0f / (sqrtf(squares) * (float)frame_count);
    const float along = squares == 0.0f ? 0.0f : -product / squares * scale;
    for (int c = lane; c < cols; c += CLV_CUDA_WARP)
        to[c] = fmaf(at_x[c], along, d[c] * scale);
}

void clv_cuda_unit_mean_backward(struct clv_device *device, struct clv_tensor dx,
                                 struct clv_tensor dout, struct clv_tensor x, int frame_count)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    if (x.rows == 0)
        return;
    unit_mean_backward_kernel<<<clv_warp_row_blocks(x.rows), CLV_ROW_THREADS, 0, cuda->work>>>(
        clv_rows_of(dx), clv_rows_of(dout), clv_rows_of(x), x.rows, x.cols, frame_count);
    (void)clv_cuda_check(device, "gradient of a unit mean");
}
