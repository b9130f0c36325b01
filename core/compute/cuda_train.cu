/* The loss, the optimiser's step and the sums between them, on CUDA. All are bound by reading their
 * tensors once. Sums are kept in double and added in an order that the shape decides. */
#include "core/compute/cuda_reduce.cuh"
#include "core/compute/cuda_state.cuh"

extern "C" {
#include "core/compute/adamw.h"
}

#define THREADS 256
#define SUM_PIECE 8192 /* elements whose products one block adds up */
#define ADAMW_EACH 4   /* elements of a thread where rows are dense and aligned */

static __device__ __forceinline__ float *element_of(const struct clv_tensor &x, int64_t index)
{
    return x.data + index / x.cols * x.stride + index % x.cols;
}

static int64_t element_count(struct clv_tensor x)
{
    return (int64_t)x.rows * x.cols;
}

static bool is_dense(struct clv_tensor x)
{
    return x.rows <= 1 || x.stride == x.cols;
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* The sum of `count` doubles in every thread of a block of THREADS, in an order of its own. */
static __device__ double sum_all(const double *parts, int64_t count)
{
    __shared__ double shared[CLV_CUDA_WARP];
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < count; i += THREADS)
        sum += parts[i];
    return clv_block_sum(sum, shared);
}

/* *out += factor times the sum of the parts. One block. */
template <typename T>
static __global__ void finish_sum(T *out, const double *parts, int64_t count, double factor)
{
    const double sum = sum_all(parts, count);
    if (threadIdx.x == 0)
        *out = (T)((double)*out + factor * sum);
}

/* parts[block] = the sum of a * b over SUM_PIECE elements. */
template <bool is_dense>
static __global__ void dot_parts(double *parts, struct clv_tensor a, struct clv_tensor b,
                                 int64_t count)
{
    __shared__ double shared[CLV_CUDA_WARP];
    const int64_t first = (int64_t)blockIdx.x * SUM_PIECE;
    const int64_t end = first + SUM_PIECE < count ? first + SUM_PIECE : count;
    double sum = 0.0;
    for (int64_t i = first + threadIdx.x; i < end; i += THREADS) {
        const float left = is_dense ? a.data[i] : *element_of(a, i);
        const float right = is_dense ? b.data[i] : *element_of(b, i);
        sum += (double)left * (double)right;
    }
    sum = clv_block_sum(sum, shared);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

template <typename T>
static void add_dot(struct clv_device *device, T *out, struct clv_tensor a, struct clv_tensor b)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const int64_t count = element_count(a);
    if (count == 0)
        return;
    const unsigned blocks = clv_cuda_blocks(count, SUM_PIECE);
    double *parts = (double *)clv_cuda_scratch(device, blocks * sizeof(double));
    if (!parts)
        return;
    if (is_dense(a) && is_dense(b))
        dot_parts<true><<<blocks, THREADS, 0, cuda->work>>>(parts, a, b, count);
    else
        dot_parts<false><<<blocks, THREADS, 0, cuda->work>>>(parts, a, b, count);
    if (!clv_cuda_check(device, "a sum of products"))
        return;
    finish_sum<<<1, THREADS, 0, cuda->work>>>(out, parts, blocks, 1.0);
    clv_cuda_check(device, "a sum of products");
}

void clv_cuda_sum_squares(struct clv_device *device, double *out, struct clv_tensor x)
{
    add_dot(device, out, x, x);
}

void clv_cuda_dot_add(struct clv_device *device, float *out, struct clv_tensor a,
                      struct clv_tensor b)
{
    add_dot(device, out, a, b);
}

/* ---- cross-entropy --------------------------------------------------------------------------- */

/* A block a group: `classes` logits of one prompt in one row. losses[group] = -sum labels log
 * softmax(logits); dlogits, which may be logits or NULL, gets factor times its gradient, softmax
 * sum(labels) - labels. */
static __global__ void cross_entropy(double *losses, float *dlogits, ptrdiff_t dlogits_stride,
                                     struct clv_tensor logits, struct clv_tensor labels,
                                     int prompt_count, double factor)
{
    __shared__ double shared[CLV_CUDA_WARP];
    const int64_t row = blockIdx.x / prompt_count;
    const int classes = labels.cols;
    const int64_t column = (int64_t)(blockIdx.x % prompt_count) * classes;
    const float *from = logits.data + row * logits.stride + column;
    const float *wanted = labels.data + row * labels.stride;
    double highest = -INFINITY, total = 0.0, mass = 0.0, loss = 0.0;
    for (int c = threadIdx.x; c < classes; c += THREADS)
        if (!((double)from[c] <= highest)) /* NaN stays */
            highest = (double)from[c];
    highest = clv_block_max(highest, shared);
    for (int c = threadIdx.x; c < classes; c += THREADS)
        total += exp((double)from[c] - highest);
    total = clv_block_sum(total, shared);
    const double log_total = log(total);
    for (int c = threadIdx.x; c < classes; c += THREADS) {
        mass += (double)wanted[c];
        loss -= (double)wanted[c] * ((double)from[c] - highest - log_total);
    }
    mass = clv_block_sum(mass, shared);
    loss = clv_block_sum(loss, shared);
    if (threadIdx.x == 0)
        losses[blockIdx.x] = loss;
    if (!dlogits)
        return;
    float *to = dlogits + row * dlogits_stride + column;
    for (int c = threadIdx.x; c < classes; c += THREADS) {
        const double p = exp((double)from[c] - highest) / total;
        to[c] = (float)(factor * (p * mass - (double)wanted[c]));
    }
}

void clv_cuda_soft_cross_entropy(struct clv_device *device, double *loss, struct clv_tensor dlogits,
                                 struct clv_tensor logits, struct clv_tensor labels,
                                 int prompt_count, float weight)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const int64_t groups = (int64_t)logits.rows * prompt_count;
    const double factor = (double)weight / (double)groups;
    double *losses = (double *)clv_cuda_scratch(device, (size_t)groups * sizeof *losses);
    if (!losses)
        return;
    cross_entropy<<<clv_cuda_blocks(groups, 1), THREADS, 0, cuda->work>>>(
        losses, dlogits.data, dlogits.stride, logits, labels, prompt_count, factor);
    if (!clv_cuda_check(device, "cross-entropy"))
        return;
    finish_sum<<<1, THREADS, 0, cuda->work>>>(loss, losses, groups, factor);
    clv_cuda_check(device, "cross-entropy");
}

/* ---- the optimiser --------------------------------------------------------------------------- */

static __device__ __forceinline__ void adamw_one(float &param, float &m, float &v, float grad,
                                                 const struct clv_adamw_factors &f)
{
    const float g = grad * f.grad_scale;
    m = fmaf(f.one_less_beta1, g - m, m);
    v = fmaf(g * g, f.one_less_beta2, v * f.beta2);
    const float root = fmaf(sqrtf(v), f.root_factor, f.epsilon);
    param = param * f.keep - m * f.rate / root;
}

static __global__ void adamw_rows(struct clv_tensor param, struct clv_tensor m, struct clv_tensor v,
                                  struct clv_tensor grad, int64_t count,
                                  struct clv_adamw_factors factors)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < count)
        adamw_one(*element_of(param, i), *element_of(m, i), *element_of(v, i), *element_of(grad, i),
                  factors);
}

/* Dense and aligned: 28 bytes an element, four elements a thread. */
static __global__ void adamw_dense(float *param, float *m, float *v, const float *grad,
                                   int64_t count, struct clv_adamw_factors factors)
{
    const int64_t first = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * ADAMW_EACH;
    if (first + ADAMW_EACH <= count) {
        float4 p = *(float4 *)(param + first), mean = *(float4 *)(m + first);
        float4 square = *(float4 *)(v + first);
        const float4 g = *(const float4 *)(grad + first);
        adamw_one(p.x, mean.x, square.x, g.x, factors);
        adamw_one(p.y, mean.y, square.y, g.y, factors);
        adamw_one(p.z, mean.z, square.z, g.z, factors);
        adamw_one(p.w, mean.w, square.w, g.w, factors);
        *(float4 *)(param + first) = p;
        *(float4 *)(m + first) = mean;
        *(float4 *)(v + first) = square;
        return;
    }
    for (int64_t i = first; i < count; i++)
        adamw_one(param[i], m[i], v[i], grad[i], factors);
}

static bool is_dense_and_aligned(struct clv_tensor x)
{
    return is_dense(x) && (uintptr_t)x.data % sizeof(float4) == 0;
}

void clv_cuda_adamw(struct clv_device *device, struct clv_tensor param, struct clv_tensor m,
                    struct clv_tensor v, struct clv_tensor grad, const struct clv_adamw *options)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    const struct clv_adamw_factors factors = clv_adamw_factors(options);
    const int64_t count = element_count(param);
    if (count == 0)
        return;
    if (is_dense_and_aligned(param) && is_dense_and_aligned(m) && is_dense_and_aligned(v) &&
        is_dense_and_aligned(grad))
        adamw_dense<<<clv_cuda_blocks(count, THREADS * ADAMW_EACH), THREADS, 0, cuda->work>>>(
            param.data, m.data, v.data, grad.data, count, factors);
    else
        adamw_rows<<<clv_cuda_blocks(count, THREADS), THREADS, 0, cuda->work>>>(param, m, v, grad,
                                                                                count, factors);
    if (clv_cuda_check(device, "AdamW"))
        clv_cuda_weights_touched(
            device, param.data,
            ((size_t)(param.rows - 1) * (size_t)param.stride + (size_t)param.cols) * sizeof(float));
}
