/* The gradients of the ops that gather rows, on the CPU. Several rows of the gradient given may go
 * to one row, so threads share out the rows or columns written, and each adds in order. */
#include "core/compute/cpu.h"

static const struct clv_kernels *kernels_of(const struct clv_device *device)
{
    return ((const struct clv_cpu *)device->state)->kernels;
}

void clv_cpu_frame_embed_backward(struct clv_device *device, struct clv_tensor dpatches,
                                  float *dclass_embedding, struct clv_tensor dposition,
                                  struct clv_tensor dout, int token_count)
{
    const struct clv_kernels *kernels = kernels_of(device);
    int frame_count = dout.rows / token_count, cols = dout.cols;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, dout.rows, cols)) schedule(static)
    for (int token = 0; token < token_count; token++)
        for (int frame = 0; frame < frame_count; frame++) {
            const float *from = dout.data + ((ptrdiff_t)frame * token_count + token) * dout.stride;
            ptrdiff_t patch = (ptrdiff_t)frame * (token_count - 1) + token - 1;
            if (dposition.data)
                kernels->accumulate(dposition.data + token * dposition.stride, from, 1.0f, cols,
                                    true);
            if (token == 0 && dclass_embedding)
                kernels->accumulate(dclass_embedding, from, 1.0f, cols, true);
            if (token > 0 && dpatches.data)
                kernels->add(dpatches.data + patch * dpatches.stride, from, NULL, cols);
        }
}

/* Adds the rows of every frame at time `frame` to its row of dtemporal; each window's into `window`
 * [cols] first, so that sums stay short. */
static void add_times(const struct clv_kernels *kernels, struct clv_tensor dtemporal,
                      struct clv_tensor dout, int token_count, int frame, float *window)
{
    int frame_count = dtemporal.rows, window_count = dout.rows / (frame_count * token_count);
    for (int b = 0; b < window_count; b++) {
        ptrdiff_t first = ((ptrdiff_t)b * frame_count + frame) * token_count;
        for (int token = 0; token < token_count; token++)
            kernels->accumulate(window, dout.data + (first + token) * dout.stride, 1.0f, dout.cols,
                                token > 0);
        kernels->accumulate(dtemporal.data + frame * dtemporal.stride, window, 1.0f, dout.cols,
                            true);
    }
}

void clv_cpu_window_embed_backward(struct clv_device *device, struct clv_tensor dframes,
                                   struct clv_tensor dtemporal, struct clv_tensor dout,
                                   const int32_t *indices, int frame_count, int token_count)
{
    const struct clv_kernels *kernels = kernels_of(device);
    int slots = dout.rows / token_count, cols = dout.cols;
    if (dframes.data) {
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, dout.rows, cols)) schedule(static)
        for (int token = 0; token < token_count; token++)
            for (int slot = 0; slot < slots; slot++) {
                ptrdiff_t to = (ptrdiff_t)indices[slot] * token_count + token;
                ptrdiff_t from = (ptrdiff_t)slot * token_count + token;
                kernels->accumulate(dframes.data + to * dframes.stride,
                                    dout.data + from * dout.stride, 1.0f, cols, true);
            }
    }
    if (!dtemporal.data)
        return;
    size_t padded = ((size_t)cols + 15) / 16 * 16;
    float *sums = clv_cpu_workspace(device, sizeof *sums * padded * (size_t)frame_count);
    if (!sums)
        return;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, dout.rows, cols)) schedule(static)
    for (int frame = 0; frame < frame_count; frame++)
        add_times(kernels, dtemporal, dout, token_count, frame, sums + padded * (size_t)frame);
}

#define COLUMN_BLOCK 64

/* Columns [first, first + returned) of the block. */
static int block_cols(int first, int cols)
{
    return cols - first < COLUMN_BLOCK ? cols - first : COLUMN_BLOCK;
}

void clv_cpu_token_embed_backward(struct clv_device *device, struct clv_tensor dtable,
                                  struct clv_tensor dposition, struct clv_tensor dout,
                                  const int32_t *ids, const int32_t *starts, int count)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, dout.rows, dout.cols)) \
    schedule(static)
    for (int c = 0; c < dout.cols; c += COLUMN_BLOCK) {
        int cols = block_cols(c, dout.cols);
        for (int s = 0; s < count; s++)
            for (int r = starts[s]; r < starts[s + 1]; r++) {
                const float *from = dout.data + r * dout.stride + c;
                ptrdiff_t place = r - starts[s];
                if (dtable.data)
                    kernels->accumulate(dtable.data + ids[r] * dtable.stride + c, from, 1.0f, cols,
                                        true);
                if (dposition.data)
                    kernels->accumulate(dposition.data + place * dposition.stride + c, from, 1.0f,
                                        cols, true);
            }
    }
}

void clv_cpu_scatter_rows_add(struct clv_device *device, struct clv_tensor dx,
                              struct clv_tensor dout, const int32_t *indices)
{
    const struct clv_kernels *kernels = kernels_of(device);
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, dout.rows, dout.cols)) \
    schedule(static)
    for (int c = 0; c < dout.cols; c += COLUMN_BLOCK)
        for (int r = 0; r < dout.rows; r++)
            kernels->accumulate(dx.data + indices[r] * dx.stride + c,
                                dout.data + r * dout.stride + c, 1.0f, block_cols(c, dout.cols),
                                true);
}
