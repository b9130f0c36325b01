/* The loss, the optimiser's step and the arithmetic between them, on the CPU. */
#include "core/compute/cpu.h"

#include <string.h>

static const struct clv_kernels *kernels_of(const struct clv_device *device)
{
    return ((const struct clv_cpu *)device->state)->kernels;
}

/* Element-wise ops share out pieces of rows, because a row may be a whole model. */
#define PIECE 4096

static int64_t piece_count(struct clv_tensor x)
{
    return (int64_t)x.rows * ((x.cols + PIECE - 1) / PIECE);
}

/* Where a piece lies. */
struct piece {
    ptrdiff_t row;
    int first, cols;
};

static struct piece piece_at(struct clv_tensor x, int64_t index)
{
    int each = (x.cols + PIECE - 1) / PIECE, first = (int)(index % each) * PIECE;
    return (struct piece){(ptrdiff_t)(index / each), first,
                          x.cols - first < PIECE ? x.cols - first : PIECE};
}

static float *piece_of(struct clv_tensor x, struct piece p)
{
    return x.data + p.row * x.stride + p.first;
}

/* Doubles for sums that threads share; NULL after a sticky failure. */
static double *new_sums(struct clv_device *device, int64_t count)
{
    return clv_cpu_workspace(device, sizeof(double) * ((size_t)count + 1));
}

static double sum_of(const double *sums, int64_t count)
{
    double total = 0.0;
    for (int64_t i = 0; i < count; i++)
        total += sums[i];
    return total;
}

void clv_cpu_soft_cross_entropy(struct clv_device *device, double *loss, struct clv_tensor dlogits,
                                struct clv_tensor logits, struct clv_tensor labels,
                                int prompt_count, float weight)
{
    const struct clv_kernels *kernels = kernels_of(device);
    int group_count = logits.rows * prompt_count, classes = labels.cols;
    double factor = (double)weight / (double)group_count;
    double *sums = new_sums(device, group_count);
    if (!sums)
        return;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, logits.rows, logits.cols)) \
    schedule(static)
    for (int group = 0; group < group_count; group++) {
        ptrdiff_t row = group / prompt_count, column = (ptrdiff_t)(group % prompt_count) * classes;
        sums[group] = kernels->cross_entropy(
            dlogits.data ? dlogits.data + row * dlogits.stride + column : NULL,
            logits.data + row * logits.stride + column, labels.data + row * labels.stride, classes,
            factor);
    }
    *loss += factor * sum_of(sums, group_count);
}

void clv_cpu_fill(struct clv_device *device, struct clv_tensor x, float value)
{
    (void)device; /* without OpenMP */
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int64_t i = 0; i < piece_count(x); i++) {
        struct piece p = piece_at(x, i);
        float *to = piece_of(x, p);
        if (value == 0.0f)
            memset(to, 0, sizeof *to * (size_t)p.cols);
        for (int c = 0; c < p.cols && value != 0.0f; c++)
            to[c] = value;
    }
}

/* The sequence that holds row r. */
static int sequence_of(const int32_t *starts, int count, int rows, int r)
{
    if (!starts)
        return r / (rows / count);
    int low = 0, high = count; /* starts[low] <= r < starts[high] */
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (starts[middle] <= r)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void clv_cpu_scale_rows(struct clv_device *device, struct clv_tensor out, bool add,
                        struct clv_tensor x, const float *factors, const int32_t *starts, int count)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int64_t i = 0; i < piece_count(x); i++) {
        struct piece p = piece_at(x, i);
        float factor = factors[sequence_of(starts, count, x.rows, (int)p.row)];
        kernels->accumulate(piece_of(out, p), piece_of(x, p), factor, p.cols, add);
    }
}

static double dot(struct clv_device *device, struct clv_tensor a, struct clv_tensor b)
{
    const struct clv_kernels *kernels = kernels_of(device);
    double *sums = new_sums(device, piece_count(a));
    if (!sums)
        return 0.0;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, a.rows, a.cols)) schedule(static)
    for (int64_t i = 0; i < piece_count(a); i++) {
        struct piece p = piece_at(a, i);
        sums[i] = kernels->dot(piece_of(a, p), piece_of(b, p), p.cols);
    }
    return sum_of(sums, piece_count(a));
}

void clv_cpu_sum_squares(struct clv_device *device, double *out, struct clv_tensor x)
{
    *out += dot(device, x, x);
}

void clv_cpu_dot_add(struct clv_device *device, float *out, struct clv_tensor a,
                     struct clv_tensor b)
{
    *out = (float)((double)*out + dot(device, a, b));
}

void clv_cpu_adamw(struct clv_device *device, struct clv_tensor param, struct clv_tensor m,
                   struct clv_tensor v, struct clv_tensor grad, const struct clv_adamw *options)
{
    const struct clv_kernels *kernels = kernels_of(device);
    const struct clv_adamw_factors factors = clv_adamw_factors(options);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, param.rows, param.cols)) \
    schedule(static)
    for (int64_t i = 0; i < piece_count(param); i++) {
        struct piece p = piece_at(param, i);
        kernels->adamw(piece_of(param, p), piece_of(m, p), piece_of(v, p), piece_of(grad, p),
                       p.cols, &factors);
    }
}
