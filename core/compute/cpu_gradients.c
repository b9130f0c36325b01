/* The gradients of the products and of the row-wise ops on the CPU. Sums over rows are taken in
 * chunks whose number depends on the rows alone, so that threads never change a result. */
#include "core/compute/cpu.h"

#include "core/compute/blas.h"

#include <string.h>

static const struct clv_kernels *kernels_of(const struct clv_device *device)
{
    return ((const struct clv_cpu *)device->state)->kernels;
}

void clv_cpu_activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                      enum clv_activation activation)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int r = 0; r < x.rows; r++)
        kernels->activate(out.data + r * out.stride, x.data + r * x.stride, NULL, x.cols,
                          activation);
}

void clv_cpu_activate_backward(struct clv_device *device, struct clv_tensor dx,
                               struct clv_tensor dy, struct clv_tensor x,
                               enum clv_activation activation)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int r = 0; r < x.rows; r++)
        kernels->activate_backward(dx.data + r * dx.stride, dy.data + r * dy.stride,
                                   x.data + r * x.stride, x.cols, activation);
}

/* ---- sums over rows -------------------------------------------------------------------------- */

/* Rows in chunks, each of which sums into `sums_cols` floats of its own. */
struct chunks {
    int rows; /* of a chunk */
    int count;
    float *sums;
    ptrdiff_t stride;
};

#define CHUNK_COUNT_MAX 64
#define CHUNK_ROWS_MIN 16

/* `sums` is NULL after a sticky failure. Its contents are undefined. */
static struct chunks chunks_of(struct clv_device *device, int rows, int sums_cols)
{
    struct chunks c = {.rows = (rows + CHUNK_COUNT_MAX - 1) / CHUNK_COUNT_MAX};
    c.rows = c.rows < CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN : c.rows;
    c.count = (rows + c.rows - 1) / c.rows;
    c.stride = (sums_cols + 15) / 16 * 16;
    size_t float_count = (size_t)c.count * (size_t)c.stride;
    c.sums = clv_cpu_workspace(device, (float_count + 1) * sizeof *c.sums);
    return c;
}

/* out += the chunks' sums, each starting `offset` into its chunk, in pairs of pairs. */
static void add_chunks(struct clv_device *device, float *out, const struct chunks *c,
                       ptrdiff_t offset, int cols)
{
    const struct clv_kernels *kernels = kernels_of(device);
    for (int step = 1; step < c->count; step *= 2)
        for (int i = 0; i + step < c->count; i += 2 * step)
            kernels->accumulate(c->sums + i * c->stride + offset,
                                c->sums + (i + step) * c->stride + offset, 1.0f, cols, true);
    if (c->count > 0)
        kernels->accumulate(out, c->sums + offset, 1.0f, cols, true);
}

/* out += column sums of x. */
static void add_column_sums(struct clv_device *device, float *out, struct clv_tensor x)
{
    const struct clv_kernels *kernels = kernels_of(device);
    struct chunks c = chunks_of(device, x.rows, x.cols);
    if (!c.sums)
        return;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int chunk = 0; chunk < c.count; chunk++) {
        int first = chunk * c.rows, end = first + c.rows < x.rows ? first + c.rows : x.rows;
        for (int r = first; r < end; r++)
            kernels->accumulate(c.sums + chunk * c.stride, x.data + r * x.stride, 1.0f, x.cols,
                                r > first);
    }
    add_chunks(device, out, &c, 0, x.cols);
}

/* ---- products -------------------------------------------------------------------------------- */

static struct clv_blas_factor factor_of(struct clv_tensor t, bool is_transposed)
{
    return (struct clv_blas_factor){t.data, t.stride, is_transposed};
}

void clv_cpu_linear_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                             struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                             struct clv_tensor x, const struct clv_weight *weight)
{
    const struct clv_cpu *cpu = device->state;
    bool is_out_in = weight->layout == CLV_WEIGHT_OUT_IN;
    if (dx.data) {
        struct clv_blas_factor w = {weight->data, weight->stride, !is_out_in};
        clv_blas_product(dx.data, dx.stride, factor_of(dy, false), w, 1.0f, add ? 1.0f : 0.0f,
                         dx.rows, dx.cols, dy.cols, cpu->thread_count);
    }
    if (dweight.data) {
        struct clv_tensor left = is_out_in ? dy : x, right = is_out_in ? x : dy;
        clv_blas_product(dweight.data, dweight.stride, factor_of(left, true),
                         factor_of(right, false), 1.0f, 1.0f, dweight.rows, dweight.cols, dy.rows,
                         cpu->thread_count);
    }
    if (dbias)
        add_column_sums(device, dbias, dy);
}

void clv_cpu_matmul(struct clv_device *device, struct clv_tensor out, struct clv_tensor a,
                    bool a_transposed, struct clv_tensor b, bool b_transposed, float alpha,
                    float beta)
{
    const struct clv_cpu *cpu = device->state;
    clv_blas_product(out.data, out.stride, factor_of(a, a_transposed), factor_of(b, b_transposed),
                     alpha, beta, out.rows, out.cols, a_transposed ? a.rows : a.cols,
                     cpu->thread_count);
}

/* ---- rows ------------------------------------------------------------------------------------ */

void clv_cpu_layer_norm_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                                 float *dweight, float *dbias, struct clv_tensor dy,
                                 struct clv_tensor x, const float *weight)
{
    const struct clv_kernels *kernels = kernels_of(device);
    int wanted = (dweight ? 1 : 0) + (dbias ? 1 : 0);
    int padded = (x.cols + 15) / 16 * 16;
    struct chunks c = chunks_of(device, x.rows, wanted * padded);
    if (!c.sums)
        return;
    ptrdiff_t bias_offset = dweight ? padded : 0;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int chunk = 0; chunk < c.count; chunk++) {
        int first = chunk * c.rows, end = first + c.rows < x.rows ? first + c.rows : x.rows;
        float *sums = c.sums + chunk * c.stride;
        memset(sums, 0, sizeof *sums * (size_t)c.stride);
        for (int r = first; r < end; r++) {
            float *to = dx.data + r * dx.stride;
            kernels->layer_norm_backward(to, add ? to : NULL, dweight ? sums : NULL,
                                         dbias ? sums + bias_offset : NULL, dy.data + r * dy.stride,
                                         x.data + r * x.stride, weight, x.cols);
        }
    }
    if (dweight)
        add_chunks(device, dweight, &c, 0, x.cols);
    if (dbias)
        add_chunks(device, dbias, &c, bias_offset, x.cols);
}

void clv_cpu_unit_mean_backward(struct clv_device *device, struct clv_tensor dx,
                                struct clv_tensor dout, struct clv_tensor x, int frame_count)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int r = 0; r < x.rows; r++)
        kernels->unit_backward(dx.data + r * dx.stride, dout.data + r / frame_count * dout.stride,
                               x.data + r * x.stride, x.cols, frame_count);
}
