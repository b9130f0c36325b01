/* A compute device: where tensors live and which implementation of the op table runs. The only
 * place that knows which backends were built. One device serves one thread at a time; several
 * devices may be used at once. */
#ifndef CLV_CORE_COMPUTE_DEVICE_H
#define CLV_CORE_COMPUTE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_device;
struct clv_buffer;

enum clv_device_kind { CLV_DEVICE_AUTO, CLV_DEVICE_CPU, CLV_DEVICE_CUDA };

/* How the numbers of a tensor are stored. */
enum clv_type {
    CLV_TYPE_FP32,
    CLV_TYPE_BF16, /* bfloat16: the upper half of an fp32 number, rounded to nearest even */
};

/* What products and attention multiply with; sums are kept in fp32 whatever it is, and the CPU
 * computes in fp32 always. */
enum clv_precision {
    CLV_PRECISION_FP32,
    CLV_PRECISION_TF32, /* products read 10 bits of the fraction, attention as fp32 */
    CLV_PRECISION_BF16, /* factors are rounded to bfloat16, and stored so between products */
};

/* All zero: the best device there is, all cores, fp32. */
struct clv_device_options {
    enum clv_device_kind kind; /* AUTO: CUDA where a device serves, else the CPU */
    int thread_count;          /* CPU threads for ops; 0: OMP_NUM_THREADS or all cores */
    bool plain;                /* plain C kernels, no SIMD variants (for tests and comparison) */
    int cuda_index;            /* which CUDA device */
    enum clv_precision precision;
    bool no_replay; /* CUDA calls all ops, none are recorded and played back (for comparison) */
    bool bf16_activations; /* CPU only, for tests: clv_device_activation_type() is BF16 */
};

/* CLV_EDEVICE where the kind was not built in or the machine has none, or where the BLAS library
 * computes wrong products on this processor (it is checked once here, on a small product). */
int clv_device_open(struct clv_device **out, const struct clv_device_options *options);

/* Whether this build has the kind. */
bool clv_device_is_built(enum clv_device_kind kind);
/* How many devices of the kind this machine has, the CPU being one. 0 with the reason as this
 * thread's message where there is none ("no NVIDIA driver", "this build has no CUDA support"). */
int clv_device_count(enum clv_device_kind kind);
/* One line about device `index` of the kind, without opening it: name, memory, capability. */
int clv_device_describe(enum clv_device_kind kind, int index, char *out, size_t size_bytes);
void clv_device_close(struct clv_device *device);

/* One line for people: "cpu, 2 threads, avx512, openblas 0.3.21 Haswell". Borrowed. */
const char *clv_device_name(const struct clv_device *device);
enum clv_device_kind clv_device_kind(const struct clv_device *device);
enum clv_precision clv_device_precision(const struct clv_device *device);
/* How the model stores what lies between two products on this device. Ops take BF16 tensors, where
 * ops.h allows them, on devices that answer BF16 only. */
enum clv_type clv_device_activation_type(const struct clv_device *device);

/* Waits for all work; returns the first failure since the last sync and clears it. */
int clv_device_sync(struct clv_device *device);
/* The same for what has failed so far, without waiting. */
int clv_device_check(struct clv_device *device);
/* Keeps the failure (status and this thread's message) if it is the first since the last sync. */
void clv_device_fail(struct clv_device *device, int status);

/* Zero-filled device memory, at least 64-byte aligned. */
int clv_buffer_create(struct clv_buffer **out, struct clv_device *device, size_t size_bytes);
void clv_buffer_free(struct clv_buffer *buffer);
/* The address in the device's own memory: only ops and the two copies below may follow it. */
void *clv_buffer_data(const struct clv_buffer *buffer);
size_t clv_buffer_size(const struct clv_buffer *buffer);

/* The most bytes of its memory the device has held at one time since it was opened: buffers, and on
 * CUDA the scratch, staging and workspace of its ops. What the driver and libraries hold for
 * themselves is not in it. */
size_t clv_device_memory_peak(const struct clv_device *device);

/* Copies between host memory and any address inside a device buffer, in order with the ops. A
 * failure is kept on the device; clv_device_read() has finished when it returns. */
void clv_device_write(struct clv_device *device, void *target, const void *host, size_t size_bytes);
/* Writes `count` pieces of host memory one after another, as one copy where the device can. */
void clv_device_write_parts(struct clv_device *device, void *target, const void *const *parts,
                            int count, size_t part_bytes);
void clv_device_read(struct clv_device *device, void *host, const void *source, size_t size_bytes);

/* A read that the host need not wait for: what lies at `source` when the ops called before have run
 * is at `host` once clv_device_fetch_end() has returned, at the latest; until then `host` is the
 * device's. Several may be begun; the end waits for all of them and for no op called after the
 * last, fills with zeros what failed, and keeps the failure. The drop forgets them without waiting,
 * and touches no `host` any more. */
void clv_device_fetch_begin(struct clv_device *device, void *host, const void *source,
                            size_t size_bytes);
void clv_device_fetch_end(struct clv_device *device);
void clv_device_fetch_drop(struct clv_device *device);

/* Runs of ops that a device may record and play back: a CUDA graph is one launch where a tower is
 * hundreds.
 *
 *     for (bool calls = clv_device_replay_begin(device, &key); calls;
 *          calls = clv_device_replay_end(device))
 *         the ops, in a straight line
 *
 * A key names a run. Every address, every shape and the contents of every host array that its ops
 * are called with are a function of the key for as long as no buffer of the device is freed, which
 * makes it forget all runs; what lies in device memory may change. Nothing but ops stands between
 * the two calls: buffers, copies and waiting there fail with CLV_EINVAL, sticky where they return
 * nothing. */
struct clv_replay_key {
    const void *owner; /* whose run; owns a buffer that its ops touch */
    const void *input; /* an address that varies, or NULL */
    int32_t pass;      /* which of the owner's */
    int32_t count;     /* size of the batch */
};
/* False where the run was played back. Always true on the CPU. */
bool clv_device_replay_begin(struct clv_device *device, const struct clv_replay_key *key);
/* True where the ops have to be called once more: they could not be recorded. */
bool clv_device_replay_end(struct clv_device *device);
/* How many runs were played back. */
int64_t clv_device_replay_count(const struct clv_device *device);
/* Whether the first run of a shape takes time and memory that later ones of that shape, or of
 * smaller ones, do not (CUDA's scratch, plans and graphs): worth a rehearsal of the largest. */
bool clv_device_rehearses(const struct clv_device *device);

/* Makes host memory that outlives the device's use of it (a mapped weight file) available to ops
 * without a copy where the device can (CPU: returns `host`); NULL where it cannot and the caller
 * must copy into a buffer. */
const void *clv_device_borrow(struct clv_device *device, const void *host);

#endif
