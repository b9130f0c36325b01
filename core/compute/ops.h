/* The ops: everything the model computes, over tensors in device memory.
 *
 * Model code is straight-line calls of these functions. They return nothing: a failure is kept on
 * the device and returned by clv_device_sync(). Shapes are checked here once for every backend;
 * a mismatch is a bug and asserted. Each function forwards to the backend's table (ops_table.h).
 *
 * Tensors are fp32. Where an op says that some may be BF16, all others are fp32 still; BF16 tensors
 * need a device whose clv_device_activation_type() is that. Sums are fp32, results are rounded
 * once.
 *
 * Letters: F frames, B sequences in a batch, T frames of a window, L tokens of a frame (class
 * token first), N = T*L, W width, E embedding size, R side of the square input, P patches a frame.
 * Host index arrays are read before the call returns. */
#ifndef CLV_CORE_COMPUTE_OPS_H
#define CLV_CORE_COMPUTE_OPS_H

#include "core/compute/device.h"

#include <stddef.h>
#include <stdint.h>

/* A row-major view of device memory: row r starts `r * stride` elements behind data. */
struct clv_tensor {
    float *data; /* of a BF16 tensor the address alone: see clv_tensor_at() */
    int rows;
    int cols;
    ptrdiff_t stride;
    enum clv_type type;
};

/* Bytes of an element. */
static inline size_t clv_type_bytes(enum clv_type type)
{
    return type == CLV_TYPE_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/* A view of `rows` x `cols` contiguous fp32 elements. */
static inline struct clv_tensor clv_tensor(float *data, int rows, int cols)
{
    return (struct clv_tensor){data, rows, cols, cols, CLV_TYPE_FP32};
}

/* The same of elements of `type`. */
static inline struct clv_tensor clv_tensor_of(enum clv_type type, void *data, int rows, int cols)
{
    return (struct clv_tensor){(float *)data, rows, cols, cols, type};
}

/* The address of the element `offset` elements behind the first. */
static inline void *clv_tensor_at(struct clv_tensor tensor, ptrdiff_t offset)
{
    void *data = tensor.data;
    return (unsigned char *)data + offset * (ptrdiff_t)clv_type_bytes(tensor.type);
}

/* Rows [first, first + count) of `tensor`. */
static inline struct clv_tensor clv_tensor_rows(struct clv_tensor tensor, int first, int count)
{
    tensor.data = (float *)clv_tensor_at(tensor, first * tensor.stride);
    tensor.rows = count;
    return tensor;
}

/* Columns [first, first + count) of `tensor`. */
static inline struct clv_tensor clv_tensor_cols(struct clv_tensor tensor, int first, int count)
{
    tensor.data = (float *)clv_tensor_at(tensor, first);
    tensor.cols = count;
    return tensor;
}

enum clv_activation {
    CLV_ACTIVATION_NONE,
    CLV_ACTIVATION_QUICK_GELU, /* x * sigmoid(1.702 x), CLIP's */
    CLV_ACTIVATION_GELU,       /* x * Phi(x), exact, OpenCLIP's */
};

/* How a linear layer's weight is stored in the checkpoint. */
enum clv_weight_layout {
    CLV_WEIGHT_OUT_IN, /* [out, in], as torch.nn.Linear: y = x W^T */
    CLV_WEIGHT_IN_OUT, /* [in, out], as CLIP's proj: y = x W */
};

/* A linear layer's weight as the backend wants it. Filled by clv_weight_prepare(); its fields
 * belong to the backend. */
struct clv_weight {
    int in_cols;
    int out_cols;
    enum clv_weight_layout layout;
    const void *data;
    ptrdiff_t stride;
    struct clv_buffer *owned; /* NULL where `data` is borrowed from the source */
};

/* Prepares the weight `source` (device memory, in `layout`) for clv_linear(). The CPU's fp32 form
 * borrows `source`, which must outlive `out`; so it must for other forms, which own a packed copy
 * that is made again when clv_adamw() or clv_device_write() changes the source. */
void clv_weight_prepare(struct clv_device *device, struct clv_weight *out, struct clv_tensor source,
                        enum clv_weight_layout layout);
void clv_weight_release(struct clv_weight *weight);

/* out [rows, out_cols] = activation(x [rows, in_cols] W + bias) + residual. `bias` [out_cols] and
 * `residual` [rows, out_cols] may have data NULL; residual may be `out` itself. x and out may be
 * BF16, out only without a residual. */
void clv_linear(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                const struct clv_weight *weight, const float *bias, enum clv_activation activation,
                struct clv_tensor residual);

/* A tensor argument that is not there. */
#define CLV_NO_TENSOR ((struct clv_tensor){NULL, 0, 0, 0, CLV_TYPE_FP32})

/* Layer norm over each row, eps 1e-5 (torch.nn.LayerNorm); out may be x. out may be BF16. */
void clv_layer_norm(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                    const float *weight, const float *bias);

/* out [F*P, 3*patch*patch] gathers the patches of frames [F, 3*R*R] (planes R, G, B), patches row
 * by row, each laid out as the columns of conv1.weight viewed as [W, 3*patch*patch]. out may be
 * BF16. */
void clv_patches(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                 int side, int patch);

/* Numbers of the `values` below: one a byte and plane. */
#define CLV_BYTE_VALUES (3 * 256)

/* The same from squares [F, R*R*3] of bytes in device memory, red, green and blue of a pixel side
 * by side: byte b of plane c becomes values[c*256 + b], `values` [3, 256] in device memory. With
 * patch = R the result is the frames [F, 3*R*R] themselves. out may be BF16. */
void clv_square_patches(struct clv_device *device, struct clv_tensor out, const uint8_t *squares,
                        const float *values, int side, int patch);

/* out [F*L, W]: row 0 of each frame is class_embedding + position[0], row 1+p is patches[f*P+p] +
 * position[1+p]. position [L, W]. */
void clv_frame_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor patches,
                     const float *class_embedding, struct clv_tensor position);

/* out [B*T*L, W]: frame slot indices[b*T+t] of `frames` [slots*L, W], plus temporal[t] to each of
 * its L rows; temporal [T, W] may be CLV_NO_TENSOR. `indices` is host memory of B*T. */
void clv_window_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                      const int32_t *indices, int frame_count, int token_count,
                      struct clv_tensor temporal);

/* out [rows, W] = table[ids[i]] + position[i - start of its sequence]. Host `ids` [rows], host
 * `starts` [count+1], rows of sequence s being [starts[s], starts[s+1]). */
void clv_token_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor table,
                     struct clv_tensor position, const int32_t *ids, const int32_t *starts,
                     int count);

/* out [count, W] = x[indices[i]]; host `indices`. Both may be BF16. */
void clv_gather_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     const int32_t *indices);

/* Copies rows; out and x do not overlap. Both may be BF16. */
void clv_copy(struct clv_device *device, struct clv_tensor out, struct clv_tensor x);

enum clv_mask {
    CLV_MASK_NONE,   /* every query sees every key of its sequence */
    CLV_MASK_CAUSAL, /* query i sees keys 0..i */
    CLV_MASK_KMT,    /* itself, and every token of every other frame (claver.md 1.2) */
    CLV_MASK_KMCT,   /* itself, and every token of earlier frames */
};

/* Which rows attend to which. Sequences lie one after another in k and v. */
struct clv_attention {
    enum clv_mask mask;
    int head_count;        /* cols / head_count is the head's width */
    int sequence_count;    /* B */
    int token_count;       /* L, for KMT and KMCT: a frame's rows within a sequence */
    const int32_t *starts; /* host [B+1]: first row of each sequence in k and v */
    /* Host [q.rows]: for each row of q, its row in k; ascending. NULL: q has all rows of k. */
    const int32_t *query_rows;
    /* Device [q.rows, head_count], what clv_attention_backward() (gradients.h) needs: the logarithm
     * of each query's sum of exp(score). NULL: not kept. */
    float *stats;
};

/* Multi-head scaled dot-product attention, out [q.rows, W]; q [q.rows, W], k and v [rows, W],
 * scale 1/sqrt(head width). Softmax is streamed: no score or mask array of the sequence's square
 * exists. out must not overlap the inputs. All four may be BF16; stats are fp32. */
void clv_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                   struct clv_tensor k, struct clv_tensor v, const struct clv_attention *attention);

/* out [B, E] = mean over T of the unit vectors of x [B*T, E]; not re-normalised (claver.md 1.1).
 * A zero row stays zero. */
void clv_unit_mean(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                   int frame_count);

#endif
