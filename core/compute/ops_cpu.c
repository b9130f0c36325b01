/* The op table on the CPU: OpenBLAS for products, the processor's kernels for the rest, OpenMP over
 * rows. Products run outside parallel regions, so the two never multiply their threads. */
#include "core/compute/cpu.h"

#include "core/compute/blas.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* Output rows are produced in blocks of about this size, so that what follows a product finds its
 * rows still in cache. */
#define LINEAR_BLOCK_BYTES (8u << 20)

static const struct clv_kernels *kernels_of(const struct clv_device *device)
{
    return ((const struct clv_cpu *)device->state)->kernels;
}

static void cpu_write(struct clv_device *device, void *target, const void *host, size_t size_bytes)
{
    (void)device;
    memcpy(target, host, size_bytes);
}

static void cpu_write_parts(struct clv_device *device, void *target, const void *const *parts,
                            int count, size_t part_bytes)
{
    (void)device;
    for (int i = 0; i < count; i++)
        memcpy((unsigned char *)target + (size_t)i * part_bytes, parts[i], part_bytes);
}

static void cpu_read(struct clv_device *device, void *host, const void *source, size_t size_bytes)
{
    (void)device;
    memcpy(host, source, size_bytes);
}

/* cpu_read() is the whole fetch. */
static void cpu_fetch_end(struct clv_device *device, bool is_wanted)
{
    (void)device, (void)is_wanted;
}

static void cpu_wait(struct clv_device *device)
{
    (void)device; /* every op has finished when it returns */
}

static const void *cpu_borrow(struct clv_device *device, const void *host)
{
    (void)device;
    return host;
}

/* Calling costs the CPU nothing that playing back would save. */
static bool cpu_replay_begin(struct clv_device *device, const struct clv_replay_key *key)
{
    (void)device, (void)key;
    return true;
}

static bool cpu_replay_end(struct clv_device *device)
{
    (void)device;
    return false;
}

static void cpu_weight_prepare(struct clv_device *device, struct clv_weight *out,
                               struct clv_tensor source, enum clv_weight_layout layout)
{
    (void)device;
    bool is_out_in = layout == CLV_WEIGHT_OUT_IN;
    *out = (struct clv_weight){.in_cols = is_out_in ? source.cols : source.rows,
                               .out_cols = is_out_in ? source.rows : source.cols,
                               .layout = layout,
                               .data = source.data,
                               .stride = source.stride};
}

/* out = x W + bias + base; bias and base may be absent, base may be out. The sums go into `out`
 * first: the product adds to them, which costs it nothing over clearing. */
static void multiply_add(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                         const struct clv_weight *weight, const float *bias, const float *base,
                         ptrdiff_t base_stride)
{
    const struct clv_kernels *kernels = kernels_of(device);
    const struct clv_cpu *cpu = device->state;
    if (bias || (base && base != out.data)) {
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, out.rows, out.cols)) \
    schedule(static)
        for (int r = 0; r < out.rows; r++) {
            const float *first = base ? base + r * base_stride : bias;
            kernels->add(out.data + r * out.stride, first, base ? bias : NULL, out.cols);
        }
    }
    clv_blas_multiply(out.data, out.stride, x.data, x.stride, weight->data, weight->stride,
                      weight->layout == CLV_WEIGHT_OUT_IN, bias || base, out.rows, out.cols, x.cols,
                      cpu->thread_count);
}

static void activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     enum clv_activation activation, struct clv_tensor residual)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, out.rows, out.cols)) \
    schedule(static)
    for (int r = 0; r < out.rows; r++)
        kernels->activate(out.data + r * out.stride, x.data + r * x.stride,
                          residual.data ? residual.data + r * residual.stride : NULL, out.cols,
                          activation);
}

static void cpu_linear(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                       const struct clv_weight *weight, const float *bias,
                       enum clv_activation activation, struct clv_tensor residual)
{
    int block = (int)(LINEAR_BLOCK_BYTES / sizeof(float) / (size_t)out.cols);
    block = block < 64 ? 64 : block;
    float *before = NULL; /* the sums before the activation, where a residual occupies `out` */
    if (activation != CLV_ACTIVATION_NONE && residual.data) {
        size_t rows = (size_t)(block < out.rows ? block : out.rows);
        before = clv_cpu_workspace(device, rows * (size_t)out.cols * sizeof *before);
        if (!before)
            return;
    }
    for (int first = 0; first < out.rows; first += block) {
        int count = out.rows - first < block ? out.rows - first : block;
        struct clv_tensor y = clv_tensor_rows(out, first, count);
        struct clv_tensor in = clv_tensor_rows(x, first, count);
        struct clv_tensor rest =
            residual.data ? clv_tensor_rows(residual, first, count) : CLV_NO_TENSOR;
        if (activation == CLV_ACTIVATION_NONE) {
            multiply_add(device, y, in, weight, bias, rest.data, rest.stride);
            continue;
        }
        struct clv_tensor sums = before ? clv_tensor(before, count, out.cols) : y;
        multiply_add(device, sums, in, weight, bias, NULL, 0);
        activate(device, y, sums, activation, rest);
    }
}

static void cpu_layer_norm(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                           const float *weight, const float *bias)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, x.rows, x.cols)) schedule(static)
    for (int r = 0; r < x.rows; r++)
        kernels->layer_norm(out.data + r * out.stride, x.data + r * x.stride, weight, bias, x.cols);
}

static void cpu_patches(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                        int side, int patch)
{
    (void)device; /* without OpenMP */
    int grid = side / patch;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, out.rows, out.cols)) \
    schedule(static)
    for (int r = 0; r < out.rows; r++) {
        int frame = r / (grid * grid), row = r / grid % grid, col = r % grid;
        float *to = out.data + r * out.stride;
        const float *pixels = frames.data + frame * frames.stride;
        for (int plane = 0; plane < 3; plane++) {
            const float *from = pixels + (size_t)plane * (size_t)side * (size_t)side +
                                (size_t)row * (size_t)patch * (size_t)side + col * patch;
            for (int y = 0; y < patch; y++, from += side, to += patch)
                memcpy(to, from, sizeof *to * (size_t)patch);
        }
    }
}

static void cpu_frame_embed(struct clv_device *device, struct clv_tensor out,
                            struct clv_tensor patches, const float *class_embedding,
                            struct clv_tensor position)
{
    const struct clv_kernels *kernels = kernels_of(device);
    int tokens = position.rows;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, out.rows, out.cols)) \
    schedule(static)
    for (int r = 0; r < out.rows; r++) {
        int frame = r / tokens, token = r % tokens;
        ptrdiff_t source = (ptrdiff_t)frame * (tokens - 1) + token - 1;
        const float *from = token == 0 ? class_embedding : patches.data + source * patches.stride;
        kernels->add(out.data + r * out.stride, from, position.data + token * position.stride,
                     out.cols);
    }
}

static void cpu_window_embed(struct clv_device *device, struct clv_tensor out,
                             struct clv_tensor frames, const int32_t *indices, int frame_count,
                             int token_count, struct clv_tensor temporal)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, out.rows, out.cols)) \
    schedule(static)
    for (int r = 0; r < out.rows; r++) {
        int slot = r / token_count, frame = slot % frame_count;
        ptrdiff_t source = (ptrdiff_t)indices[slot] * token_count + r % token_count;
        kernels->add(out.data + r * out.stride, frames.data + source * frames.stride,
                     temporal.data ? temporal.data + frame * temporal.stride : NULL, out.cols);
    }
}

static void cpu_token_embed(struct clv_device *device, struct clv_tensor out,
                            struct clv_tensor table, struct clv_tensor position, const int32_t *ids,
                            const int32_t *starts, int count)
{
    const struct clv_kernels *kernels = kernels_of(device);
    for (int s = 0; s < count; s++)
        for (int r = starts[s]; r < starts[s + 1]; r++)
            kernels->add(out.data + r * out.stride, table.data + ids[r] * table.stride,
                         position.data + (r - starts[s]) * position.stride, out.cols);
}

static void cpu_gather_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                            const int32_t *indices)
{
    (void)device;
    for (int r = 0; r < out.rows; r++)
        memcpy(out.data + r * out.stride, x.data + indices[r] * x.stride,
               sizeof *out.data * (size_t)out.cols);
}

static void cpu_copy(struct clv_device *device, struct clv_tensor out, struct clv_tensor x)
{
    (void)device;
    for (int r = 0; r < out.rows; r++)
        memcpy(out.data + r * out.stride, x.data + r * x.stride,
               sizeof *out.data * (size_t)out.cols);
}

static void cpu_unit_mean(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                          int frame_count)
{
    const struct clv_kernels *kernels = kernels_of(device);
    for (int b = 0; b < out.rows; b++)
        kernels->unit_mean(out.data + b * out.stride,
                           x.data + (ptrdiff_t)b * frame_count * x.stride, x.stride, frame_count,
                           out.cols);
}

const struct clv_ops clv_ops_cpu = {
    .close = clv_cpu_close,
    .allocate = clv_cpu_allocate,
    .release = clv_cpu_release,
    .write = cpu_write,
    .write_parts = cpu_write_parts,
    .read = cpu_read,
    .fetch_begin = cpu_read,
    .fetch_end = cpu_fetch_end,
    .wait = cpu_wait,
    .borrow = cpu_borrow,
    .replay_begin = cpu_replay_begin,
    .replay_end = cpu_replay_end,
    .weight_prepare = cpu_weight_prepare,
    .linear = cpu_linear,
    .layer_norm = cpu_layer_norm,
    .patches = cpu_patches,
    .square_patches = clv_cpu_square_patches,
    .frame_embed = cpu_frame_embed,
    .window_embed = cpu_window_embed,
    .token_embed = cpu_token_embed,
    .gather_rows = cpu_gather_rows,
    .copy = cpu_copy,
    .attention = clv_cpu_attention,
    .unit_mean = cpu_unit_mean,
    .activate = clv_cpu_activate,
    .activate_backward = clv_cpu_activate_backward,
    .linear_backward = clv_cpu_linear_backward,
    .layer_norm_backward = clv_cpu_layer_norm_backward,
    .attention_backward = clv_cpu_attention_backward,
    .frame_embed_backward = clv_cpu_frame_embed_backward,
    .window_embed_backward = clv_cpu_window_embed_backward,
    .token_embed_backward = clv_cpu_token_embed_backward,
    .scatter_rows_add = clv_cpu_scatter_rows_add,
    .unit_mean_backward = clv_cpu_unit_mean_backward,
    .matmul = clv_cpu_matmul,
    .soft_cross_entropy = clv_cpu_soft_cross_entropy,
    .fill = clv_cpu_fill,
    .scale_rows = clv_cpu_scale_rows,
    .mix_clips = clv_cpu_mix_clips,
    .sum_squares = clv_cpu_sum_squares,
    .dot_add = clv_cpu_dot_add,
    .adamw = clv_cpu_adamw,
};
