/* The tensors that bench_kernels calls each op with: one transformer block and what stands before
 * and after a tower, at the sizes of a published model, for a number of clips. */
#ifndef CLV_TESTS_BENCH_KERNEL_STAGE_H
#define CLV_TESTS_BENCH_KERNEL_STAGE_H

#include "core/compute/device.h"
#include "core/compute/gradients.h"
#include "core/compute/ops.h"

#include <stdint.h>

enum { KERNEL_FRAMES = 8, KERNEL_PROMPTS = 5, KERNEL_CLASSES = 400, KERNEL_TEXT_TOKENS = 16 };

struct kernel_shape {
    const char *name;
    int width, patch, side, embed;
    int tokens; /* of a frame */
};

struct kernel_stage {
    struct clv_device *device;
    struct clv_buffer *buffer;
    const struct kernel_shape *shape;
    int clips, frames, rows, texts, text_rows;
    /* The stream and its gradients: fp32. */
    struct clv_tensor x, y, dx, dy;
    /* Between two products, in the type the device's model keeps there. */
    struct clv_tensor normed, mixed, qkv, hidden, active, patches;
    struct clv_tensor dnormed, dmixed, dqkv, dhidden, dactive;
    /* Class rows only, as in the last block. */
    struct clv_tensor class_q, class_mixed, class_dq, class_dmixed, class_x, class_dx;
    struct clv_tensor pixels, embedded; /* frames, and their patches after conv1 */
    struct clv_tensor features, dfeatures, vectors, dvectors, text_features, logits, labels;
    struct clv_tensor table, text_x, dtable;
    struct clv_tensor position, temporal, text_position, dposition, dtemporal, dtext_position;
    /* Weights as prepared, their sources, and their gradients. */
    struct clv_weight conv1, in, out, up, down;
    struct clv_tensor dconv1, din, dout, dup, ddown;
    struct clv_tensor param, m, v, gradient; /* of the optimiser: the largest weight's */
    float *bias, *scale, *dbias, *dscale, *stats, *class_stats, *numbers;
    double *sums;
    /* Host arrays. */
    int32_t *frame_starts, *clip_starts, *text_starts, *class_rows, *slots, *ids;
    float *factors;
};

/* CLV_ENOMEM where the device has not the memory. Closing takes what a failed opening left. */
int kernel_stage_open(struct kernel_stage *out, struct clv_device *device,
                      const struct kernel_shape *shape, int clips);
void kernel_stage_close(struct kernel_stage *stage);

#endif
