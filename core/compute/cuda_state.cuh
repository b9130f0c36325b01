/* Private to the CUDA backend: its state, what its files call of each other, and the ops
 * themselves. The one file that includes the CUDA runtime.
 *
 * How an op is written:
 *     struct clv_cuda *cuda = clv_cuda_enter(device);    makes the device current
 *     if (out.rows == 0) return;                         a grid of no blocks is an error
 *     kernel<<<blocks, threads, 0, cuda->work>>>(...);   all work goes on the one stream
 *     clv_cuda_check(device, "layer norm");              after every launch
 * Offsets into tensors are 64-bit: rows * stride may pass 2^31. Rows may be unaligned: a vector
 * load needs clv_cuda_is_aligned() of pointer and stride. No float atomics: every sum has one
 * order.
 */
#ifndef CLV_CORE_COMPUTE_CUDA_STATE_CUH
#define CLV_CORE_COMPUTE_CUDA_STATE_CUH

#include <cuda_bf16.h>
#include <cuda_runtime.h>

extern "C" {
#include "core/compute/ops_table.h"
#include "core/compute/scalar.h"
#include "core/error.h"
}

#include <cstddef>
#include <cstdint>

struct clv_cuda_products; /* cuda_products.cu */
struct clv_cuda_memory;   /* cuda_memory.cu */
struct clv_cuda_copy;     /* cuda_linear.cu */
struct clv_cuda_replays;  /* cuda_replay.cu */

struct clv_cuda {
    int index;
    int sm_count;
    int major, minor;        /* compute capability */
    size_t shared_bytes_max; /* dynamic shared memory a block may opt in to */
    int copy_threads;        /* of the host, into staging memory */
    enum clv_precision precision;
    cudaStream_t work;   /* every op, in order */
    cudaStream_t copies; /* host to staging, ahead of the work */
    void *scratch;       /* clv_cuda_scratch() */
    size_t scratch_bytes;
    void *host_scratch; /* clv_cuda_host_scratch() */
    size_t host_scratch_bytes;
    struct clv_cuda_memory *memory;
    struct clv_cuda_products *products;
    struct clv_cuda_copy *weights;    /* bfloat16 copies that prepared weights own */
    struct clv_cuda_replays *replays; /* NULL: none are recorded */
    bool is_recording;                /* ops are going into a graph: no waiting, no allocation */
};

/* The backend's state, after making its device the calling thread's current one. */
struct clv_cuda *clv_cuda_enter(struct clv_device *device);

/* Keeps a failure of the runtime on the device, as "cuda: WHAT: reason". True where there was none.
 */
bool clv_cuda_ok(struct clv_device *device, cudaError_t error, const char *what);
/* The same for the kernel just launched. */
bool clv_cuda_check(struct clv_device *device, const char *what);

/* Device memory of at least `size_bytes` for the op that runs now, 256-byte aligned, contents
 * undefined; an op asks once and carves it up, and passes parts to what it calls. The next op gets
 * the same memory, in order of the work stream. Grows at the first use of a larger shape, which
 * waits for all work. NULL after a sticky CLV_ENOMEM. */
void *clv_cuda_scratch(struct clv_device *device, size_t size_bytes);

/* The same on the host, for tables made there and then staged. */
void *clv_cuda_host_scratch(struct clv_device *device, size_t size_bytes);

/* A device copy of a host array, for kernels launched on the work stream by the op that runs now;
 * the host array may change at once. At most four arrays an op. 256-byte aligned. NULL after a
 * sticky failure. An empty array gives an address that nothing may follow. */
const void *clv_cuda_stage_bytes(struct clv_device *device, const void *host, size_t size_bytes);
template <typename T>
static inline const T *clv_cuda_stage(struct clv_device *device, const T *host, size_t count)
{
    return (const T *)clv_cuda_stage_bytes(device, host, count * sizeof(T));
}

/* `size_bytes` rounded up so that what follows stays 256-byte aligned. */
static inline size_t clv_cuda_padded(size_t size_bytes)
{
    return (size_bytes + 255) / 256 * 256;
}

/* Whether rows that start at `data`, `stride` elements of `size_bytes` apart, all lie on multiples
 * of `alignment` bytes. */
static inline bool clv_cuda_is_aligned(const void *data, ptrdiff_t stride, size_t size_bytes,
                                       size_t alignment)
{
    return (uintptr_t)data % alignment == 0 && (size_t)stride * size_bytes % alignment == 0;
}

/* Blocks for `count` items, `each` a block, at most what a grid's x takes. */
static inline unsigned clv_cuda_blocks(int64_t count, int64_t each)
{
    int64_t blocks = (count + each - 1) / each;
    return (unsigned)(blocks < 1 ? 1 : blocks > 2147483647 ? 2147483647 : blocks);
}

/* out [x.cols] += column sums of x, in an order that depends on the shape alone. `scratch` of
 * clv_cuda_column_sums_bytes(). (cuda_sums.cu) */
size_t clv_cuda_column_sums_bytes(int rows, int cols);
void clv_cuda_add_column_sums(struct clv_device *device, float *out, struct clv_tensor x,
                              void *scratch);
/* out [cols] += sums of the `count` rows of `parts` [count, cols], for kernels that make partial
 * sums of their own. */
void clv_cuda_add_parts(struct clv_device *device, float *out, const float *parts, int count,
                        int cols, ptrdiff_t stride);

/* cuda_library.cu: the library of that name, or the one where CUDA was found when this was built,
 * for the life of the process. NULL with the reason in `error`. */
void *clv_cuda_library(const char *name, char *error, size_t error_bytes);

/* cuda_memory.cu: life of the staging memory, and the table's copies. */
int clv_cuda_memory_open(struct clv_device *device);
void clv_cuda_memory_close(struct clv_cuda *cuda);

/* cuda_products.cu: life of the products' handle, workspace and plans. */
int clv_cuda_products_open(struct clv_device *device);
void clv_cuda_products_close(struct clv_cuda *cuda);

/* cuda_replay.cu: life of the recorded runs. `moved` is called where scratch has another address,
 * `forget` before memory is freed. While recording, staging goes to `stage`, into memory of the
 * graph. */
int clv_cuda_replays_open(struct clv_device *device);
void clv_cuda_replays_close(struct clv_cuda *cuda);
void clv_cuda_replays_moved(struct clv_cuda *cuda);
void clv_cuda_replays_forget(struct clv_cuda *cuda);
const void *clv_cuda_replays_stage(struct clv_device *device, const void *host, size_t size_bytes);
/* False, with a failure kept that ends the recording, where one is on: before what it cannot hold.
 */
bool clv_cuda_may_wait(struct clv_device *device, const char *what);

/* cuda_linear.cu: `touched` is called where the optimiser or a write has changed memory: bfloat16
 * copies of parameters that lie there are made again, at once: a run that is played back would not
 * see that one is stale. `forget` is called before memory is freed. */
void clv_cuda_weights_touched(struct clv_device *device, const void *data, size_t size_bytes);
void clv_cuda_weights_forget(struct clv_cuda *cuda, const void *base);
void clv_cuda_weights_close(struct clv_cuda *cuda);

/* ---- the ops, one a slot of struct clv_ops ----------------------------------------------------
 */

extern "C" {

/* cuda_device.cu */
void clv_cuda_close(struct clv_device *device);
void *clv_cuda_allocate(struct clv_device *device, void **base_out, size_t size_bytes);
void clv_cuda_release(struct clv_device *device, void *base);
void clv_cuda_wait(struct clv_device *device);
const void *clv_cuda_borrow(struct clv_device *device, const void *host);
/* cuda_replay.cu */
bool clv_cuda_replay_begin(struct clv_device *device, const struct clv_replay_key *key);
bool clv_cuda_replay_end(struct clv_device *device);
/* cuda_memory.cu */
void clv_cuda_write(struct clv_device *device, void *target, const void *host, size_t size_bytes);
void clv_cuda_write_parts(struct clv_device *device, void *target, const void *const *parts,
                          int count, size_t part_bytes);
void clv_cuda_read(struct clv_device *device, void *host, const void *source, size_t size_bytes);
void clv_cuda_fetch_begin(struct clv_device *device, void *host, const void *source,
                          size_t size_bytes);
void clv_cuda_fetch_end(struct clv_device *device, bool is_wanted);
/* cuda_linear.cu */
void clv_cuda_weight_prepare(struct clv_device *device, struct clv_weight *out,
                             struct clv_tensor source, enum clv_weight_layout layout);
void clv_cuda_linear(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     const struct clv_weight *weight, const float *bias,
                     enum clv_activation activation, struct clv_tensor residual);
void clv_cuda_linear_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                              struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                              struct clv_tensor x, const struct clv_weight *weight);
void clv_cuda_matmul(struct clv_device *device, struct clv_tensor out, struct clv_tensor a,
                     bool a_transposed, struct clv_tensor b, bool b_transposed, float alpha,
                     float beta);
/* cuda_rows.cu */
void clv_cuda_layer_norm(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                         const float *weight, const float *bias);
void clv_cuda_layer_norm_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                                  float *dweight, float *dbias, struct clv_tensor dy,
                                  struct clv_tensor x, const float *weight);
void clv_cuda_activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                       enum clv_activation activation);
void clv_cuda_activate_backward(struct clv_device *device, struct clv_tensor dx,
                                struct clv_tensor dy, struct clv_tensor x,
                                enum clv_activation activation);
void clv_cuda_unit_mean(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                        int frame_count);
void clv_cuda_unit_mean_backward(struct clv_device *device, struct clv_tensor dx,
                                 struct clv_tensor dout, struct clv_tensor x, int frame_count);
void clv_cuda_fill(struct clv_device *device, struct clv_tensor x, float value);
void clv_cuda_copy(struct clv_device *device, struct clv_tensor out, struct clv_tensor x);
void clv_cuda_scale_rows(struct clv_device *device, struct clv_tensor out, bool add,
                         struct clv_tensor x, const float *factors, const int32_t *starts,
                         int count);
/* cuda_embed.cu */
void clv_cuda_patches(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                      int side, int patch);
void clv_cuda_frame_embed(struct clv_device *device, struct clv_tensor out,
                          struct clv_tensor patches, const float *class_embedding,
                          struct clv_tensor position);
void clv_cuda_window_embed(struct clv_device *device, struct clv_tensor out,
                           struct clv_tensor frames, const int32_t *indices, int frame_count,
                           int token_count, struct clv_tensor temporal);
void clv_cuda_token_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor table,
                          struct clv_tensor position, const int32_t *ids, const int32_t *starts,
                          int count);
void clv_cuda_gather_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                          const int32_t *indices);
void clv_cuda_frame_embed_backward(struct clv_device *device, struct clv_tensor dpatches,
                                   float *dclass_embedding, struct clv_tensor dposition,
                                   struct clv_tensor dout, int token_count);
void clv_cuda_window_embed_backward(struct clv_device *device, struct clv_tensor dframes,
                                    struct clv_tensor dtemporal, struct clv_tensor dout,
                                    const int32_t *indices, int frame_count, int token_count);
void clv_cuda_token_embed_backward(struct clv_device *device, struct clv_tensor dtable,
                                   struct clv_tensor dposition, struct clv_tensor dout,
                                   const int32_t *ids, const int32_t *starts, int count);
void clv_cuda_scatter_rows_add(struct clv_device *device, struct clv_tensor dx,
                               struct clv_tensor dout, const int32_t *indices);
/* cuda_pixels.cu */
void clv_cuda_square_patches(struct clv_device *device, struct clv_tensor out,
                             const uint8_t *squares, const float *values, int side, int patch);
void clv_cuda_mix_clips(struct clv_device *device, struct clv_tensor x, struct clv_tensor other,
                        int frame_count, int side, const struct clv_mix *mix);
/* cuda_attention.cu, cuda_attention_backward.cu */
void clv_cuda_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                        struct clv_tensor k, struct clv_tensor v,
                        const struct clv_attention *attention);
void clv_cuda_attention_backward(struct clv_device *device,
                                 const struct clv_attention_gradients *gradients,
                                 struct clv_tensor dout, struct clv_tensor out, struct clv_tensor q,
                                 struct clv_tensor k, struct clv_tensor v,
                                 const struct clv_attention *attention);
/* cuda_train.cu */
void clv_cuda_soft_cross_entropy(struct clv_device *device, double *loss, struct clv_tensor dlogits,
                                 struct clv_tensor logits, struct clv_tensor labels,
                                 int prompt_count, float weight);
void clv_cuda_sum_squares(struct clv_device *device, double *out, struct clv_tensor x);
void clv_cuda_dot_add(struct clv_device *device, float *out, struct clv_tensor a,
                      struct clv_tensor b);
void clv_cuda_adamw(struct clv_device *device, struct clv_tensor param, struct clv_tensor m,
                    struct clv_tensor v, struct clv_tensor grad, const struct clv_adamw *options);
}

#endif
