/* Linear layers on CUDA: products, their factors rounded to bfloat16 where the device is opened so,
 * and what follows a product. A prepared weight is the parameters themselves, or a bfloat16 copy
 * that is made again whenever they change: the optimiser works on the parameters. */
#include "core/compute/cuda_products.cuh"
#include "core/compute/cuda_rows.cuh"

extern "C" {
#include "core/compute/shapes.h"
}

#include <cstdlib>

#define THREADS_X 64 /* along a row */
#define THREADS_Y 4  /* rows of a block */
#define HALF_UNIT 8  /* bfloat16 in 16 bytes: strides of copies are whole units */

/* Blocks for ops that go over rows, THREADS_Y at once, whose threads share out each row. */
static unsigned row_blocks(int rows)
{
    return clv_cuda_blocks(rows, THREADS_Y);
}

/* ---- rounding -------------------------------------------------------------------------------- */

static ptrdiff_t half_stride(int cols)
{
    return (cols + HALF_UNIT - 1) / HALF_UNIT * (ptrdiff_t)HALF_UNIT;
}

static size_t half_bytes(int rows, int cols)
{
    return clv_cuda_padded((size_t)rows * (size_t)half_stride(cols) * sizeof(__nv_bfloat16));
}

struct alignas(16) eight {
    __nv_bfloat162 pairs[4];
};
static_assert(sizeof(struct eight) == 16, "eight bfloat16 are one store");

/* out [rows, half_stride(cols)] = x in bfloat16, to nearest even. Bound by memory: 6 bytes an
 * element. `is_wide`: x is aligned and cols are whole units, so eight go at once. */
template <bool is_wide>
static __global__ void round_rows(__nv_bfloat16 *out, ptrdiff_t out_stride, struct clv_tensor x)
{
    const int64_t row = (int64_t)blockIdx.x * THREADS_Y + threadIdx.y;
    if (row >= x.rows)
        return;
    const float *from = x.data + row * x.stride;
    __nv_bfloat16 *to = out + row * out_stride;
    if constexpr (is_wide) {
        for (int c = threadIdx.x * HALF_UNIT; c < x.cols; c += THREADS_X * HALF_UNIT) {
            const float4 low = *(const float4 *)(from + c), high = *(const float4 *)(from + c + 4);
            struct eight rounded;
            rounded.pairs[0] = __floats2bfloat162_rn(low.x, low.y);
            rounded.pairs[1] = __floats2bfloat162_rn(low.z, low.w);
            rounded.pairs[2] = __floats2bfloat162_rn(high.x, high.y);
            rounded.pairs[3] = __floats2bfloat162_rn(high.z, high.w);
            *(uint4 *)(to + c) = *(const uint4 *)&rounded;
        }
    } else {
        for (int c = threadIdx.x; c < x.cols; c += THREADS_X)
            to[c] = __float2bfloat16_rn(from[c]);
    }
}

static bool round_to(struct clv_device *device, void *out, struct clv_tensor x)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (x.rows == 0)
        return true;
    const bool is_wide = x.cols % HALF_UNIT == 0 &&
                         clv_cuda_is_aligned(x.data, x.stride, sizeof(float), sizeof(float4));
    const dim3 block(THREADS_X, THREADS_Y);
    __nv_bfloat16 *to = (__nv_bfloat16 *)out;
    if (is_wide)
        round_rows<true><<<row_blocks(x.rows), block, 0, cuda->work>>>(to, half_stride(x.cols), x);
    else
        round_rows<false><<<row_blocks(x.rows), block, 0, cuda->work>>>(to, half_stride(x.cols), x);
    return clv_cuda_check(device, "rounding to bfloat16");
}

/* ---- factors --------------------------------------------------------------------------------- */

static bool is_half(const struct clv_cuda *cuda)
{
    return cuda->precision == CLV_PRECISION_BF16;
}

static enum clv_cuda_element element_of(const struct clv_cuda *cuda)
{
    switch (cuda->precision) {
    case CLV_PRECISION_BF16:
        return CLV_CUDA_BF16;
    case CLV_PRECISION_TF32:
        return CLV_CUDA_TF32;
    case CLV_PRECISION_FP32:
        break;
    }
    return CLV_CUDA_FP32;
}

static struct clv_cuda_factor factor_of(struct clv_tensor x, bool is_transposed)
{
    return {x.data, x.rows, x.cols, x.stride, is_transposed};
}

/* Room that x takes rounded, where it needs rounding. */
static size_t rounded_bytes(const struct clv_cuda *cuda, struct clv_tensor x)
{
    return is_half(cuda) && !clv_is_half(x) ? half_bytes(x.rows, x.cols) : 0;
}

/* x as a factor of the device's precision: itself, or rounded into `room`, which moves on. False
 * after a sticky failure. */
static bool factor_in(struct clv_device *device, struct clv_cuda_factor *out, struct clv_tensor x,
                      unsigned char **room)
{
    *out = factor_of(x, false);
    if (rounded_bytes((const struct clv_cuda *)device->state, x) == 0)
        return true;
    out->data = *room;
    out->stride = half_stride(x.cols);
    *room += half_bytes(x.rows, x.cols);
    return round_to(device, (void *)out->data, x);
}

/* The prepared weight as the factor of x W. */
static struct clv_cuda_factor weight_factor(const struct clv_weight *weight)
{
    const bool is_out_in = weight->layout == CLV_WEIGHT_OUT_IN;
    return {weight->data, is_out_in ? weight->out_cols : weight->in_cols,
            is_out_in ? weight->in_cols : weight->out_cols, weight->stride, is_out_in};
}

/* ---- prepared weights ------------------------------------------------------------------------ */

/* A copy, and behind it room for the first bias that is added to products with it. */
struct clv_cuda_copy {
    struct clv_cuda_copy *next;
    struct clv_tensor source;
    void *data;
    struct clv_tensor bias; /* its source; data NULL: none yet */
    void *bias_data;
};

void clv_cuda_weight_prepare(struct clv_device *device, struct clv_weight *out,
                             struct clv_tensor source, enum clv_weight_layout layout)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const bool is_out_in = layout == CLV_WEIGHT_OUT_IN;
    *out = clv_weight();
    out->in_cols = is_out_in ? source.cols : source.rows;
    out->out_cols = is_out_in ? source.rows : source.cols;
    out->layout = layout;
    out->data = source.data;
    out->stride = source.stride;
    if (!is_half(cuda))
        return;
    struct clv_cuda_copy *copy = (struct clv_cuda_copy *)calloc(1, sizeof *copy);
    if (!copy) {
        clv_device_fail(device, clv_fail_memory("a prepared weight"));
        return;
    }
    const size_t bytes = half_bytes(source.rows, source.cols);
    int status = clv_buffer_create(&out->owned, device, bytes + half_bytes(1, out->out_cols));
    if (status != CLV_OK) {
        free(copy);
        clv_device_fail(device, status);
        return;
    }
    copy->source = source;
    copy->data = clv_buffer_data(out->owned);
    copy->bias_data = (unsigned char *)copy->data + bytes;
    copy->next = cuda->weights;
    cuda->weights = copy;
    out->data = copy->data;
    out->stride = half_stride(source.cols);
    (void)round_to(device, copy->data, source);
}

/* Whether any of `source`, which may be absent, lies in the bytes first..end - 1. */
static bool lies_in(const struct clv_tensor *source, uintptr_t first, uintptr_t end)
{
    const uintptr_t from = (uintptr_t)source->data;
    const uintptr_t to =
        (uintptr_t)(source->data + (source->rows - 1) * source->stride + source->cols);
    return source->data && from < end && first < to;
}

void clv_cuda_weights_touched(struct clv_device *device, const void *data, size_t size_bytes)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const uintptr_t first = (uintptr_t)data, end = first + size_bytes;
    for (const struct clv_cuda_copy *copy = cuda->weights; copy; copy = copy->next) {
        if (lies_in(&copy->source, first, end) && !round_to(device, copy->data, copy->source))
            return;
        if (lies_in(&copy->bias, first, end) && !round_to(device, copy->bias_data, copy->bias))
            return;
    }
}

/* `bias` in bfloat16, as the library adds it to a result of that: kept with the weight that it is
 * first used with, or else rounded into `room`. NULL after a sticky failure. */
static const void *half_bias(struct clv_device *device, const struct clv_weight *weight,
                             const float *bias, void *room)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    const struct clv_tensor source = clv_tensor((float *)bias, 1, weight->out_cols);
    struct clv_cuda_copy *copy = cuda->weights;
    while (copy && copy->data != weight->data)
        copy = copy->next;
    if (copy && copy->bias.data == bias)
        return copy->bias_data;
    if (copy && !copy->bias.data) {
        if (!round_to(device, copy->bias_data, source))
            return NULL;
        copy->bias = source;
        return copy->bias_data;
    }
    return round_to(device, room, source) ? room : NULL;
}

void clv_cuda_weights_forget(struct clv_cuda *cuda, const void *base)
{
    /* A bias may lie in what is freed, and another come to lie where it lay. */
    for (struct clv_cuda_copy *copy = cuda->weights; copy; copy = copy->next)
        copy->bias.data = NULL;
    for (struct clv_cuda_copy **at = &cuda->weights; *at; at = &(*at)->next) {
        if ((*at)->data == base) {
            struct clv_cuda_copy *copy = *at;
            *at = copy->next;
            free(copy);
            return;
        }
    }
}

void clv_cuda_weights_close(struct clv_cuda *cuda)
{
    while (cuda->weights) {
        struct clv_cuda_copy *copy = cuda->weights;
        cuda->weights = copy->next;
        free(copy);
    }
}

/* ---- after a product ------------------------------------------------------------------------- */

template <enum clv_activation activation> static __device__ __forceinline__ float activated(float x)
{
    if (activation == CLV_ACTIVATION_QUICK_GELU)
        return clv_scalar_quick_gelu(x);
    if (activation == CLV_ACTIVATION_GELU)
        return clv_scalar_gelu(x);
    return x;
}

/* out = activation(sums + bias) + residual, element by element; sums may be out, bias and residual
 * may be NULL, residual may be out. Bound by memory. */
template <enum clv_activation activation, typename Rows>
static __global__ void finish_rows(Rows out, Rows sums, int rows, int cols, const float *bias,
                                   const float *residual, ptrdiff_t residual_stride)
{
    const int64_t row = (int64_t)blockIdx.x * THREADS_Y + threadIdx.y;
    if (row >= rows)
        return;
    auto *to = clv_row(out, row);
    const auto *from = clv_row(sums, row);
    const float *rest = residual ? residual + row * residual_stride : NULL;
    for (int c = threadIdx.x; c < cols; c += THREADS_X) {
        clv_pack<1> y = clv_load<1>(from + c);
        y.at[0] = activated<activation>(y.at[0] + (bias ? bias[c] : 0.0f));
        y.at[0] = rest ? y.at[0] + rest[c] : y.at[0];
        clv_store(to + c, y);
    }
}

/* The same without a residual, 16 bytes at once: rows and bias are aligned and of whole units. */
template <enum clv_activation activation, typename Rows>
static __global__ void finish_wide(Rows out, Rows sums, int rows, int cols, const float *bias)
{
    constexpr int N = Rows::UNIT;
    const int64_t row = (int64_t)blockIdx.x * THREADS_Y + threadIdx.y;
    if (row >= rows)
        return;
    auto *to = clv_row(out, row);
    const auto *from = clv_row(sums, row);
    for (int c = threadIdx.x * N; c < cols; c += THREADS_X * N) {
        clv_pack<N> y = clv_load<N>(from + c), b = {};
        if (bias)
            b = clv_load<N>(bias + c);
        for (int i = 0; i < N; i++)
            y.at[i] = activated<activation>(y.at[i] + b.at[i]);
        clv_store(to + c, y);
    }
}

template <enum clv_activation activation, typename Rows>
static void finish_as(struct clv_device *device, Rows to, struct clv_tensor out, Rows from,
                      struct clv_tensor sums, const float *bias, struct clv_tensor residual)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    const dim3 block(THREADS_X, THREADS_Y);
    const bool is_wide = !residual.data && clv_rows_are(out, Rows::UNIT) &&
                         clv_rows_are(sums, Rows::UNIT) && (uintptr_t)bias % 16 == 0;
    if (is_wide)
        finish_wide<activation, Rows>
            <<<row_blocks(out.rows), block, 0, cuda->work>>>(to, from, out.rows, out.cols, bias);
    else
        finish_rows<activation, Rows><<<row_blocks(out.rows), block, 0, cuda->work>>>(
            to, from, out.rows, out.cols, bias, residual.data, residual.stride);
    clv_cuda_check(device, "the end of a linear layer");
}

/* sums are of out's type. */
template <enum clv_activation activation>
static void finish_typed(struct clv_device *device, struct clv_tensor out, struct clv_tensor sums,
                         const float *bias, struct clv_tensor residual)
{
    if (clv_is_half(out))
        finish_as<activation>(device, clv_half_rows_of(out), out, clv_half_rows_of(sums), sums,
                              bias, residual);
    else
        finish_as<activation>(device, clv_rows_of(out), out, clv_rows_of(sums), sums, bias,
                              residual);
}

static void finish(struct clv_device *device, struct clv_tensor out, struct clv_tensor sums,
                   const float *bias, enum clv_activation activation, struct clv_tensor residual)
{
    switch (activation) {
    case CLV_ACTIVATION_NONE:
        finish_typed<CLV_ACTIVATION_NONE>(device, out, sums, bias, residual);
        break;
    case CLV_ACTIVATION_QUICK_GELU:
        finish_typed<CLV_ACTIVATION_QUICK_GELU>(device, out, sums, bias, residual);
        break;
    case CLV_ACTIVATION_GELU:
        finish_typed<CLV_ACTIVATION_GELU>(device, out, sums, bias, residual);
        break;
    }
}

/* ---- the ops --------------------------------------------------------------------------------- */

void clv_cuda_linear(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     const struct clv_weight *weight, const float *bias,
                     enum clv_activation activation, struct clv_tensor residual)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const bool is_plain = activation == CLV_ACTIVATION_NONE;
    /* The sums go elsewhere where `out` holds what is added after the activation. */
    const bool is_apart = !is_plain && residual.data == out.data;
    const size_t sums_bytes =
        is_apart ? clv_cuda_padded((size_t)out.rows * (size_t)out.cols * sizeof(float)) : 0;
    /* The library adds the bias to a bfloat16 result in bfloat16, and before it is rounded. */
    const bool is_bias_half = is_plain && bias && clv_is_half(out);
    const size_t bias_bytes = is_bias_half ? half_bytes(1, out.cols) : 0;
    const size_t bytes = sums_bytes + bias_bytes + rounded_bytes(cuda, x);
    unsigned char *room = NULL;
    if (bytes > 0) {
        room = (unsigned char *)clv_cuda_scratch(device, bytes);
        if (!room)
            return;
    }
    struct clv_tensor sums = is_apart ? clv_tensor((float *)room, out.rows, out.cols) : out;
    room += sums_bytes;
    struct clv_cuda_product product = {};
    product.bias = bias;
    if (is_bias_half && !(product.bias = half_bias(device, weight, bias, room)))
        return;
    room += bias_bytes;
    if (!factor_in(device, &product.a, x, &room))
        return;
    product.b = weight_factor(weight);
    product.element = element_of(cuda);
    product.out = sums;
    product.alpha = 1.0f;
    if (is_plain && residual.data) {
        product.beta = 1.0f;
        product.base = residual.data;
        product.base_stride = residual.stride;
    }
    if (!is_plain && clv_is_half(out))
        product.bias = NULL; /* is added in fp32 below */
    bool is_bias_added = false;
    if (!clv_cuda_multiply(device, &product, &is_bias_added))
        return;
    const float *rest = is_bias_added ? NULL : bias;
    if (!is_plain || rest)
        finish(device, out, sums, rest, activation, is_plain ? CLV_NO_TENSOR : residual);
}

/* out = or += left right, of factors rounded already. */
static bool gradient_product(struct clv_device *device, struct clv_tensor out, bool add,
                             struct clv_cuda_factor left, struct clv_cuda_factor right)
{
    struct clv_cuda_product product = {};
    bool is_bias_added;
    product.a = left;
    product.b = right;
    product.element = element_of((const struct clv_cuda *)device->state);
    product.out = out;
    product.alpha = 1.0f;
    product.beta = add ? 1.0f : 0.0f;
    product.base = out.data;
    product.base_stride = out.stride;
    return clv_cuda_multiply(device, &product, &is_bias_added);
}

void clv_cuda_linear_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                              struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                              struct clv_tensor x, const struct clv_weight *weight)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const size_t dy_bytes = rounded_bytes(cuda, dy);
    const size_t x_bytes = dweight.data ? rounded_bytes(cuda, x) : 0;
    const size_t sums_bytes = dbias ? clv_cuda_column_sums_bytes(dy.rows, dy.cols) : 0;
    unsigned char *room =
        (unsigned char *)clv_cuda_scratch(device, dy_bytes + x_bytes + sums_bytes);
    if (!room)
        return;
    if (dbias)
        clv_cuda_add_column_sums(device, dbias, dy, room);
    room += sums_bytes;
    if (!dx.data && !dweight.data)
        return;
    struct clv_cuda_factor dy_factor, x_factor;
    if (!factor_in(device, &dy_factor, dy, &room))
        return;
    if (dx.data) {
        struct clv_cuda_factor back = weight_factor(weight);
        back.is_transposed = !back.is_transposed;
        if (!gradient_product(device, dx, add, dy_factor, back))
            return;
    }
    if (!dweight.data || !factor_in(device, &x_factor, x, &room))
        return;
    const bool is_out_in = weight->layout == CLV_WEIGHT_OUT_IN;
    struct clv_cuda_factor left = is_out_in ? dy_factor : x_factor;
    left.is_transposed = true;
    (void)gradient_product(device, dweight, true, left, is_out_in ? x_factor : dy_factor);
}

/* Products of features with features decide scores and losses and are small: bfloat16 is not for
 * them. */
void clv_cuda_matmul(struct clv_device *device, struct clv_tensor out, struct clv_tensor a,
                     bool a_transposed, struct clv_tensor b, bool b_transposed, float alpha,
                     float beta)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    struct clv_cuda_product product = {};
    bool is_bias_added;
    product.a = factor_of(a, a_transposed);
    product.b = factor_of(b, b_transposed);
    product.element = cuda->precision == CLV_PRECISION_TF32 ? CLV_CUDA_TF32 : CLV_CUDA_FP32;
    product.out = out;
    product.alpha = alpha;
    product.beta = beta;
    product.base = out.data;
    product.base_stride = out.stride;
    (void)clv_cuda_multiply(device, &product, &is_bias_added);
}
