/* Private to core/compute: what a backend implements, and the device that carries it. ops.c checks
 * shapes and forwards here; a new op is a slot here, an implementation in each backend and a case
 * in tests/ops. */
#ifndef CLV_CORE_COMPUTE_OPS_TABLE_H
#define CLV_CORE_COMPUTE_OPS_TABLE_H

#include "core/compute/device.h"
#include "core/compute/ops.h"

/* One slot per op, arguments as in ops.h with shapes already checked, and the memory calls of
 * device.h. Ops report failures with clv_device_fail(). */
struct clv_ops {
    void (*close)(struct clv_device *device);
    /* Zero-filled, 64-byte aligned; NULL (message recorded) where there is none. *base_out is what
     * release() wants back. */
    void *(*allocate)(struct clv_device *device, void **base_out, size_t size_bytes);
    void (*release)(struct clv_device *device, void *base);
    void (*write)(struct clv_device *device, void *target, const void *host, size_t size_bytes);
    void (*read)(struct clv_device *device, void *host, const void *source, size_t size_bytes);
    void (*wait)(struct clv_device *device);
    const void *(*borrow)(struct clv_device *device, const void *host);

    void (*weight_prepare)(struct clv_device *device, struct clv_weight *out,
                           struct clv_tensor source, enum clv_weight_layout layout);
    void (*linear)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                   const struct clv_weight *weight, const float *bias,
                   enum clv_activation activation, struct clv_tensor residual);
    void (*layer_norm)(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                       const float *weight, const float *bias);
    void (*patches)(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                    int side, int patch);
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
};

#define CLV_DEVICE_NAME_SIZE 160
#define CLV_DEVICE_MESSAGE_SIZE 512

struct clv_device {
    const struct clv_ops *ops;
    enum clv_device_kind kind;
    void *state; /* the backend's own */
    char name[CLV_DEVICE_NAME_SIZE];
    int failed_status; /* the first failure since the last sync, and its sentence */
    char failed_message[CLV_DEVICE_MESSAGE_SIZE];
};

#endif
