/* Private to the CPU backend: its state, its workspace, and what its files call of each other. */
#ifndef CLV_CORE_COMPUTE_CPU_H
#define CLV_CORE_COMPUTE_CPU_H

#include "core/compute/kernels.h"
#include "core/compute/ops_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_cpu {
    int thread_count;
    const struct clv_kernels *kernels;
    void *workspace; /* 64-byte aligned, grown rarely, kept for the life of the device */
    void *workspace_base;
    size_t workspace_bytes;
    void *widened; /* the same kind of memory, for what cpu_bf16.c hands to ops as fp32 */
    void *widened_base;
    size_t widened_bytes;
    struct clv_ops bf16_ops; /* the device's where its activations are BF16 */
};

/* Opens the CPU backend on `device`: state, op table, name. CLV_EDEVICE where the processor lacks
 * `variant` or BLAS computes wrong products. */
int clv_cpu_open(struct clv_device *device, const struct clv_device_options *options,
                 enum clv_variant variant);

/* Scratch of at least `size_bytes`, contents undefined, shared by all ops of the device. NULL
 * after a sticky CLV_ENOMEM. */
void *clv_cpu_workspace(struct clv_device *device, size_t size_bytes);
/* More of it, which ops themselves do not touch. */
void *clv_cpu_widened(struct clv_device *device, size_t size_bytes);

/* Which of the team's threads runs this, 0 outside a parallel region. */
int clv_cpu_thread_index(void);

/* Regions with less work than this many touched elements stay on one thread. */
#define CLV_CPU_PARALLEL_ELEMENTS 16384

/* Threads for a region that touches rows * cols elements. */
int clv_cpu_threads_for(const struct clv_device *device, int rows, int cols);

extern const struct clv_ops clv_ops_cpu;
/* Fills the table with the same ops, those for activations taking BF16 too. (cpu_bf16.c) */
void clv_cpu_take_bf16(struct clv_ops *table);

/* cpu.c */
void clv_cpu_close(struct clv_device *device);
void *clv_cpu_allocate(struct clv_device *device, void **base_out, size_t size_bytes);
void clv_cpu_release(struct clv_device *device, void *base);
/* cpu_attention.c */
void clv_cpu_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                       struct clv_tensor k, struct clv_tensor v,
                       const struct clv_attention *attention);
/* cpu_attention_backward.c */
void clv_cpu_attention_backward(struct clv_device *device,
                                const struct clv_attention_gradients *gradients,
                                struct clv_tensor dout, struct clv_tensor out, struct clv_tensor q,
                                struct clv_tensor k, struct clv_tensor v,
                                const struct clv_attention *attention);
/* cpu_gradients.c */
void clv_cpu_activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                      enum clv_activation activation);
void clv_cpu_activate_backward(struct clv_device *device, struct clv_tensor dx,
                               struct clv_tensor dy, struct clv_tensor x,
                               enum clv_activation activation);
void clv_cpu_linear_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                             struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                             struct clv_tensor x, const struct clv_weight *weight);
void clv_cpu_layer_norm_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                                 float *dweight, float *dbias, struct clv_tensor dy,
                                 struct clv_tensor x, const float *weight);
void clv_cpu_unit_mean_backward(struct clv_device *device, struct clv_tensor dx,
                                struct clv_tensor dout, struct clv_tensor x, int frame_count);
void clv_cpu_matmul(struct clv_device *device, struct clv_tensor out, struct clv_tensor a,
                    bool a_transposed, struct clv_tensor b, bool b_transposed, float alpha,
                    float beta);
/* cpu_embed_backward.c */
void clv_cpu_frame_embed_backward(struct clv_device *device, struct clv_tensor dpatches,
                                  float *dclass_embedding, struct clv_tensor dposition,
                                  struct clv_tensor dout, int token_count);
void clv_cpu_window_embed_backward(struct clv_device *device, struct clv_tensor dframes,
                                   struct clv_tensor dtemporal, struct clv_tensor dout,
                                   const int32_t *indices, int frame_count, int token_count);
void clv_cpu_token_embed_backward(struct clv_device *device, struct clv_tensor dtable,
                                  struct clv_tensor dposition, struct clv_tensor dout,
                                  const int32_t *ids, const int32_t *starts, int count);
void clv_cpu_scatter_rows_add(struct clv_device *device, struct clv_tensor dx,
                              struct clv_tensor dout, const int32_t *indices);
/* cpu_pixels.c */
void clv_cpu_square_patches(struct clv_device *device, struct clv_tensor out,
                            const uint8_t *squares, const float *values, int side, int patch);
void clv_cpu_mix_clips(struct clv_device *device, struct clv_tensor x, struct clv_tensor other,
                       int frame_count, int side, const struct clv_mix *mix);
/* cpu_train.c */
void clv_cpu_soft_cross_entropy(struct clv_device *device, double *loss, struct clv_tensor dlogits,
                                struct clv_tensor logits, struct clv_tensor labels,
                                int prompt_count, float weight);
void clv_cpu_fill(struct clv_device *device, struct clv_tensor x, float value);
void clv_cpu_scale_rows(struct clv_device *device, struct clv_tensor out, bool add,
                        struct clv_tensor x, const float *factors, const int32_t *starts,
                        int count);
void clv_cpu_sum_squares(struct clv_device *device, double *out, struct clv_tensor x);
void clv_cpu_dot_add(struct clv_device *device, float *out, struct clv_tensor a,
                     struct clv_tensor b);
void clv_cpu_adamw(struct clv_device *device, struct clv_tensor param, struct clv_tensor m,
                   struct clv_tensor v, struct clv_tensor grad, const struct clv_adamw *options);

#endif
