/* Devices: which backends this build has, buffers, and the sticky failure. */
#include "core/compute/device.h"

#include "core/compute/cpu.h"
#include "core/compute/ops_table.h"
#include "core/error.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct clv_buffer {
    struct clv_device *device;
    void *data;
    void *base; /* what the backend wants back */
    size_t size_bytes;
};

int clv_device_open_variant(struct clv_device **out, const struct clv_device_options *options,
                            enum clv_variant variant)
{
    static const struct clv_device_options defaults;
    if (!options)
        options = &defaults;
    *out = NULL;
    if (options->kind == CLV_DEVICE_CUDA)
        return clv_fail(CLV_EDEVICE, "this build has no CUDA support");
    struct clv_device *device = calloc(1, sizeof *device);
    if (!device)
        return clv_fail_memory("a compute device");
    int status = clv_cpu_open(device, options, variant);
    if (status != 0) {
        clv_device_close(device);
        return status;
    }
    *out = device;
    return 0;
}

int clv_device_open(struct clv_device **out, const struct clv_device_options *options)
{
    bool is_plain = options && options->plain;
    return clv_device_open_variant(out, options, is_plain ? CLV_VARIANT_PLAIN : CLV_VARIANT_BEST);
}

void clv_device_close(struct clv_device *device)
{
    if (!device)
        return;
    if (device->ops)
        device->ops->close(device);
    free(device);
}

const char *clv_device_name(const struct clv_device *device)
{
    return device->name;
}

enum clv_device_kind clv_device_kind(const struct clv_device *device)
{
    return device->kind;
}

void clv_device_fail(struct clv_device *device, int status)
{
    assert(status < 0);
    if (device->failed_status != 0)
        return;
    device->failed_status = status;
    snprintf(device->failed_message, sizeof device->failed_message, "%s", clv_error_message());
}

int clv_device_sync(struct clv_device *device)
{
    device->ops->wait(device);
    int status = device->failed_status;
    if (status == 0)
        return 0;
    device->failed_status = 0;
    return clv_fail(status, "%s", device->failed_message);
}

int clv_buffer_create(struct clv_buffer **out, struct clv_device *device, size_t size_bytes)
{
    *out = NULL;
    struct clv_buffer *buffer = calloc(1, sizeof *buffer);
    if (!buffer)
        return clv_fail_memory("a device buffer");
    buffer->device = device;
    buffer->size_bytes = size_bytes;
    buffer->data = device->ops->allocate(device, &buffer->base, size_bytes);
    if (!buffer->data) {
        free(buffer);
        return CLV_ENOMEM;
    }
    *out = buffer;
    return 0;
}

void clv_buffer_free(struct clv_buffer *buffer)
{
    if (!buffer)
        return;
    buffer->device->ops->release(buffer->device, buffer->base);
    free(buffer);
}

void *clv_buffer_data(const struct clv_buffer *buffer)
{
    return buffer->data;
}

size_t clv_buffer_size(const struct clv_buffer *buffer)
{
    return buffer->size_bytes;
}

void clv_device_write(struct clv_device *device, void *target, const void *host, size_t size_bytes)
{
    if (size_bytes > 0)
        device->ops->write(device, target, host, size_bytes);
}

void clv_device_read(struct clv_device *device, void *host, const void *source, size_t size_bytes)
{
    if (size_bytes > 0)
        device->ops->read(device, host, source, size_bytes);
}

const void *clv_device_borrow(struct clv_device *device, const void *host)
{
    return device->ops->borrow(device, host);
}
