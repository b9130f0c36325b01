/* Private to core/compute: what a backend implements, and the device that carries it. ops.c checks
 * shapes and forwards here; a new op is a slot here, an implementation in each backend and a case
 * in tests/ops. */
#ifndef CLV_CORE_COMPUTE_OPS_TABLE_H
#define CLV_CORE_COMPUTE_OPS_TABLE_H

#include "core/compute/device.h"
#include "core/compute/gradients.h"
#include "core/compute/ops.h"

struct clv_attention_gradients {
    struct clv_tensor dq, dk, dv;
};

/* One slot per op, arguments as in ops.h and gradients.h with shapes already checked, and the
 * memory calls of device.h. Ops report failures with clv_device_fail(). */
struct clv_ops {
    void (*close)(struct clv_device *device);
    /* Zero-filled, 64-byte aligned; NULL (message recorded) where there is none. *base_out is what
     * release() wants back. */
    void *(*allocate)(struct clv_device *device, void **base_out, size_t size_bytes);
    void (*release)(struct clv_device *device, void *base);
    void (*write)(struct clv_device *device, void *target, const void *host, size_t size_bytes);
    void (*write_parts)(struct clv_device *device, void *target, const void *const *parts,
                        int count, size_t part_bytes);
    void (*read)(struct clv_device *device, void *host, const void *source, size_t size_bytes);
    void (*fetch_begin)(struct clv_device *device, void *host, const void *source,
                        size_t size_bytes);
    void (*fetch_end)(struct clv_device *device, bool is_wanted); /* or dropped */
    void (*wait)(struct clv_device *device);
    const void *(*borrow)(struct clv_device *device, const void *host);
    /* Both as in device.h. A failure of an op while it is recorded is the backend's to forget. */
    bool (*replay_begin)(struct clv_device *device, const struct clv_replay_key *key);
    bool (*replay_end)(struct clv_device *device);

    void (*weight_prepare)(struct clv_device *device, struct clv_weight *out,
                           struct clv_tensor source, enum clv_weight_layout layout);
    void (*linear)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                   const struct clv_weight *weight, const float *bias,
                   enum clv_activation activation, struct clv_tensor residual);
    void (*layer_norm)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                       const float *weight, const float *bias);
    void (*patches)(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                    int side, int patch);
    void (*square_patches)(struct clv_device *device, struct clv_tensor out, const uint8_t *squares,
                           const float *values, int side, int patch);
    void (*frame_embed)(struct clv_device *device, struct clv_tensor out, struct clv_tensor patches,
                        const float *class_embedding, struct clv_tensor position);
    void (*window_embed)(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                         const int32_t *indices, int frame_count, int token_count,
                         struct clv_tensor temporal);
    void (*token_embed)(struct clv_device *device, struct clv_tensor out, struct clv_tensor table,
                        struct clv_tensor position, const int32_t *ids, const int32_t *starts,
                        int count);
    void (*gather_rows)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                        const int32_t *indices);
    void (*copy)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x);
    void (*attention)(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                      struct clv_tensor k, struct clv_tensor v,
                      const struct clv_attention *attention);
    void (*unit_mean)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                      int frame_count);

    /* gradients.h; `add` is what tells an op from its _add form. */
    void (*activate)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     enum clv_activation activation);
    void (*activate_backward)(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dy,
                              struct clv_tensor x, enum clv_activation activation);
    void (*linear_backward)(struct clv_device *device, struct clv_tensor dx, bool add,
                            struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                            struct clv_tensor x, const struct clv_weight *weight);
    void (*layer_norm_backward)(struct clv_device *device, struct clv_tensor dx, bool add,
                                float *dweight, float *dbias, struct clv_tensor dy,
                                struct clv_tensor x, const float *weight);
    void (*attention_backward)(struct clv_device *device,
                               const struct clv_attention_gradients *gradients,
                               struct clv_tensor dout, struct clv_tensor out, struct clv_tensor q,
                               struct clv_tensor k, struct clv_tensor v,
                               const struct clv_attention *attention);
    void (*frame_embed_backward)(struct clv_device *device, struct clv_tensor dpatches,
                                 float *dclass_embedding, struct clv_tensor dposition,
                                 struct clv_tensor dout, int token_count);
    void (*window_embed_backward)(struct clv_device *device, struct clv_tensor dframes,
                                  struct clv_tensor dtemporal, struct clv_tensor dout,
                                  const int32_t *indices, int frame_count, int token_count);
    void (*token_embed_backward)(struct clv_device *device, struct clv_tensor dtable,
                                 struct clv_tensor dposition, struct clv_tensor dout,
                                 const int32_t *ids, const int32_t *starts, int count);
    void (*scatter_rows_add)(struct clv_device *device, struct clv_tensor dx,
                             struct clv_tensor dout, const int32_t *indices);
    void (*unit_mean_backward)(struct clv_device *device, struct clv_tensor dx,
                               struct clv_tensor dout, struct clv_tensor x, int frame_count);
    void (*matmul)(struct clv_device *device, struct clv_tensor out, struct clv_tensor a,
                   bool a_transposed, struct clv_tensor b, bool b_transposed, float alpha,
                   float beta);
    void (*soft_cross_entropy)(struct clv_device *device, double *loss, struct clv_tensor dlogits,
                               struct clv_tensor logits, struct clv_tensor labels, int prompt_count,
                               float weight);
    void (*fill)(struct clv_device *device, struct clv_tensor x, float value);
    /* All of scale, add_scaled (one factor) and the forms with a factor per sequence. */
    void (*scale_rows)(struct clv_device *device, struct clv_tensor out, bool add,
                       struct clv_tensor x, const float *factors, const int32_t *starts, int count);
    void (*mix_clips)(struct clv_device *device, struct clv_tensor x, struct clv_tensor other,
                      int frame_count, int side, const struct clv_mix *mix);
    void (*sum_squares)(struct clv_device *device, double *out, struct clv_tensor x);
    void (*dot_add)(struct clv_device *device, float *out, struct clv_tensor a,
                    struct clv_tensor b);
    void (*adamw)(struct clv_device *device, struct clv_tensor param, struct clv_tensor m,
                  struct clv_tensor v, struct clv_tensor grad, const struct clv_adamw *options);
};

/* Sums between CUDA devices by the backend's own means (device.c, for group.c). */
struct clv_device_link;
/* `name` becomes what it goes by. CLV_EDEVICE, saying why, where the devices cannot be linked. */
int clv_device_link(struct clv_device_link **out, char *name, size_t name_size,
                    struct clv_device *const *devices, int count);
/* As clv_group_all_reduce(). */
void clv_device_link_sum(struct clv_device_link *link, float *const *data, size_t count);
void clv_device_unlink(struct clv_device_link *link); /* or NULL */

#define CLV_DEVICE_NAME_SIZE 160
#define CLV_DEVICE_MESSAGE_SIZE 512

struct clv_device {
    const struct clv_ops *ops;
    enum clv_device_kind kind;
    enum clv_precision precision;
    enum clv_type activation_type;
    void *state;                   /* the backend's own */
    size_t held_bytes, peak_bytes; /* clv_device_hold() */
    bool is_in_replay;
    int64_t replay_count;
    char name[CLV_DEVICE_NAME_SIZE];
    int failed_status; /* the first failure since the last sync, and its sentence */
    char failed_message[CLV_DEVICE_MESSAGE_SIZE];
};

/* Counts memory that the backend takes and returns beside buffers, which count themselves. */
void clv_device_hold(struct clv_device *device, size_t size_bytes);
void clv_device_drop(struct clv_device *device, size_t size_bytes);

#endif
