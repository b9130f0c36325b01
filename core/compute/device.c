/* Devices: which backends this build has, buffers, and the sticky failure. */
#include "core/compute/device.h"

#include "core/compute/cpu.h"
#include "core/compute/ops_table.h"
#include "core/error.h"
#include "core/log.h"
#ifdef CLV_CUDA
#include "core/compute/cuda.h"
#endif

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct clv_buffer {
    struct clv_device *device;
    void *data;
    void *base; /* what the backend wants back */
    size_t size_bytes;
};

/* ---- backends that a build may lack ---------------------------------------------------------- */

#ifdef CLV_CUDA
static const bool is_cuda_built = true;

static int cuda_open(struct clv_device *device, const struct clv_device_options *options)
{
    return clv_cuda_open(device, options);
}

static int cuda_count(void)
{
    return clv_cuda_count();
}

static bool cuda_serves(int index)
{
    return clv_cuda_serves(index);
}

static int cuda_describe(int index, char *out, size_t size_bytes)
{
    return clv_cuda_describe(index, out, size_bytes);
}

int clv_device_link(struct clv_device_link **out, char *name, size_t name_size,
                    struct clv_device *const *devices, int count)
{
    return clv_cuda_link(out, name, name_size, devices, count);
}

void clv_device_link_sum(struct clv_device_link *link, float *const *data, size_t count)
{
    clv_cuda_link_sum(link, data, count);
}

void clv_device_unlink(struct clv_device_link *link)
{
    if (link)
        clv_cuda_unlink(link);
}
#else
static const bool is_cuda_built = false;

static int cuda_open(struct clv_device *device, const struct clv_device_options *options)
{
    (void)device, (void)options;
    return clv_fail(CLV_EDEVICE, "this build has no CUDA support");
}

static int cuda_count(void)
{
    (void)clv_fail(CLV_EDEVICE, "this build has no CUDA support");
    return 0;
}

static bool cuda_serves(int index)
{
    (void)index;
    return false;
}

static int cuda_describe(int index, char *out, size_t size_bytes)
{
    (void)index, (void)out, (void)size_bytes;
    return clv_fail(CLV_EDEVICE, "this build has no CUDA support");
}

int clv_device_link(struct clv_device_link **out, char *name, size_t name_size,
                    struct clv_device *const *devices, int count)
{
    (void)out, (void)name, (void)name_size, (void)devices, (void)count;
    return clv_fail(CLV_EDEVICE, "this build has no CUDA support");
}

void clv_device_link_sum(struct clv_device_link *link, float *const *data, size_t count)
{
    (void)link, (void)data, (void)count;
}

void clv_device_unlink(struct clv_device_link *link)
{
    (void)link;
}
#endif

bool clv_device_is_built(enum clv_device_kind kind)
{
    return kind != CLV_DEVICE_CUDA || is_cuda_built;
}

int clv_device_count(enum clv_device_kind kind)
{
    return kind == CLV_DEVICE_CUDA ? cuda_count() : 1;
}

int clv_device_describe(enum clv_device_kind kind, int index, char *out, size_t size_bytes)
{
    if (kind == CLV_DEVICE_CUDA)
        return cuda_describe(index, out, size_bytes);
    if (index != 0)
        return clv_fail(CLV_EDEVICE, "there is no CPU %d: all cores are one device", index);
    struct clv_device *cpu = NULL;
    int status = clv_device_open(&cpu, &(struct clv_device_options){.kind = CLV_DEVICE_CPU});
    if (status != 0)
        return status;
    snprintf(out, size_bytes, "%s", clv_device_name(cpu));
    clv_device_close(cpu);
    return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_cpu(struct clv_device *device, const struct clv_device_options *options,
                    enum clv_variant variant)
{
    if (options->precision != CLV_PRECISION_FP32)
        clv_log(CLV_LOG_WARNING, "the CPU computes in fp32, whatever precision is asked for");
    return clv_cpu_open(device, options, variant);
}

/* Whichever is best. A CUDA device that serves but does not open (it may be full) is worth a word,
 * not the end. */
static int open_best(struct clv_device *device, const struct clv_device_options *options,
                     enum clv_variant variant)
{
    if (!options->plain && variant == CLV_VARIANT_BEST && cuda_serves(options->cuda_index)) {
        if (cuda_open(device, options) == 0)
            return 0;
        clv_log(CLV_LOG_WARNING, "computing on the CPU: %s", clv_error_message());
    }
    clv_error_clear();
    return open_cpu(device, options, variant);
}

int clv_device_open_variant(struct clv_device **out, const struct clv_device_options *options,
                            enum clv_variant variant)
{
    static const struct clv_device_options defaults;
    if (!options)
        options = &defaults;
    *out = NULL;
    struct clv_device *device = calloc(1, sizeof *device);
    if (!device)
        return clv_fail_memory("a compute device");
    int status;
    if (options->kind == CLV_DEVICE_CUDA)
        status = cuda_open(device, options);
    else if (options->kind == CLV_DEVICE_CPU)
        status = open_cpu(device, options, variant);
    else
        status = open_best(device, options, variant);
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

enum clv_precision clv_device_precision(const struct clv_device *device)
{
    return device->precision;
}

enum clv_type clv_device_activation_type(const struct clv_device *device)
{
    return device->activation_type;
}

void clv_device_fail(struct clv_device *device, int status)
{
    assert(status < 0);
    if (device->failed_status != 0)
        return;
    device->failed_status = status;
    snprintf(device->failed_message, sizeof device->failed_message, "%s", clv_error_message());
}

/* Memory and waiting have no place in a run that is recorded. */
static int check_outside_replay(const struct clv_device *device, const char *what)
{
    return device->is_in_replay ? clv_fail(CLV_EINVAL, "%s within a replay", what) : CLV_OK;
}

int clv_device_sync(struct clv_device *device)
{
    int outside = check_outside_replay(device, "waiting");
    if (outside != CLV_OK)
        return outside;
    device->ops->wait(device);
    return clv_device_check(device);
}

int clv_device_check(struct clv_device *device)
{
    int status = device->failed_status;
    if (status == 0)
        return 0;
    device->failed_status = 0;
    return clv_fail(status, "%s", device->failed_message);
}

void clv_device_hold(struct clv_device *device, size_t size_bytes)
{
    device->held_bytes += size_bytes;
    if (device->held_bytes > device->peak_bytes)
        device->peak_bytes = device->held_bytes;
}

void clv_device_drop(struct clv_device *device, size_t size_bytes)
{
    assert(device->held_bytes >= size_bytes);
    device->held_bytes -= size_bytes;
}

size_t clv_device_memory_peak(const struct clv_device *device)
{
    return device->peak_bytes;
}

int clv_buffer_create(struct clv_buffer **out, struct clv_device *device, size_t size_bytes)
{
    *out = NULL;
    int outside = check_outside_replay(device, "a new buffer");
    if (outside != CLV_OK)
        return outside;
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
    clv_device_hold(device, size_bytes);
    *out = buffer;
    return 0;
}

void clv_buffer_free(struct clv_buffer *buffer)
{
    if (!buffer)
        return;
    assert(!buffer->device->is_in_replay);
    buffer->device->ops->release(buffer->device, buffer->base);
    clv_device_drop(buffer->device, buffer->size_bytes);
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
    int outside = check_outside_replay(device, "writing");
    if (outside != CLV_OK)
        clv_device_fail(device, outside);
    else if (size_bytes > 0)
        device->ops->write(device, target, host, size_bytes);
}

void clv_device_write_parts(struct clv_device *device, void *target, const void *const *parts,
                            int count, size_t part_bytes)
{
    int outside = check_outside_replay(device, "writing");
    if (outside != CLV_OK)
        clv_device_fail(device, outside);
    else if (count > 0 && part_bytes > 0)
        device->ops->write_parts(device, target, parts, count, part_bytes);
}

void clv_device_read(struct clv_device *device, void *host, const void *source, size_t size_bytes)
{
    int outside = check_outside_replay(device, "reading");
    if (outside != CLV_OK) {
        memset(host, 0, size_bytes);
        clv_device_fail(device, outside);
    } else if (size_bytes > 0) {
        device->ops->read(device, host, source, size_bytes);
    }
}

void clv_device_fetch_begin(struct clv_device *device, void *host, const void *source,
                            size_t size_bytes)
{
    int outside = check_outside_replay(device, "reading");
    if (outside != CLV_OK) {
        memset(host, 0, size_bytes);
        clv_device_fail(device, outside);
    } else if (size_bytes > 0) {
        device->ops->fetch_begin(device, host, source, size_bytes);
    }
}

void clv_device_fetch_end(struct clv_device *device)
{
    int outside = check_outside_replay(device, "reading");
    if (outside != CLV_OK)
        clv_device_fail(device, outside);
    else
        device->ops->fetch_end(device, true);
}

void clv_device_fetch_drop(struct clv_device *device)
{
    device->ops->fetch_end(device, false);
}

bool clv_device_replay_begin(struct clv_device *device, const struct clv_replay_key *key)
{
    assert(!device->is_in_replay);
    device->is_in_replay = device->ops->replay_begin(device, key);
    device->replay_count += !device->is_in_replay;
    return device->is_in_replay;
}

bool clv_device_replay_end(struct clv_device *device)
{
    assert(device->is_in_replay);
    device->is_in_replay = device->ops->replay_end(device);
    return device->is_in_replay;
}

bool clv_device_rehearses(const struct clv_device *device)
{
    return device->kind != CLV_DEVICE_CPU;
}

int64_t clv_device_replay_count(const struct clv_device *device)
{
    return device->replay_count;
}

const void *clv_device_borrow(struct clv_device *device, const void *host)
{
    return device->ops->borrow(device, host);
}
