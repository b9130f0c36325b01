/* The CUDA backend's life: which devices there are, opening one, its memory, its failures. */
#include "core/compute/cuda_state.cuh"

extern "C" {
#include "core/compute/cuda.h"
#include "core/compute/spread.h"
}

#include <cstdio>
#include <cstdlib>

#define CAPABILITY_MIN 8 /* bfloat16 on tensor cores, asynchronous copies */
#define GIB 1073741824.0

/* ---- failures -------------------------------------------------------------------------------- */

static int status_of(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? CLV_ENOMEM : CLV_EDEVICE;
}

static int fail_with(cudaError_t error, const char *what)
{
    (void)cudaGetLastError(); /* the runtime would report it again after the next launch */
    if (error == cudaErrorMemoryAllocation)
        return clv_fail(CLV_ENOMEM, "cuda: out of memory for %s", what);
    return clv_fail(CLV_EDEVICE, "cuda: %s: %s", what, cudaGetErrorString(error));
}

bool clv_cuda_ok(struct clv_device *device, cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return true;
    (void)fail_with(error, what);
    clv_device_fail(device, status_of(error));
    return false;
}

bool clv_cuda_check(struct clv_device *device, const char *what)
{
    return clv_cuda_ok(device, cudaGetLastError(), what);
}

/* ---- which devices there are ----------------------------------------------------------------- */

extern "C" int clv_cuda_count(void)
{
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0)
        return count;
    (void)cudaGetLastError();
    int driver = 0, runtime = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess)
        driver = 0;
    (void)cudaRuntimeGetVersion(&runtime);
    if (error == cudaSuccess || error == cudaErrorNoDevice)
        (void)clv_fail(CLV_EDEVICE, "the NVIDIA driver shows no device");
    else if (error == cudaErrorInsufficientDriver && driver == 0)
        (void)clv_fail(CLV_EDEVICE, "no NVIDIA driver");
    else if (error == cudaErrorInsufficientDriver)
        (void)clv_fail(CLV_EDEVICE, "the NVIDIA driver is of CUDA %d.%d, this build needs %d.%d",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    else
        (void)fail_with(error, "looking for devices");
    return 0;
}

/* Fails unless the driver has device `index`. */
static int find(int index)
{
    int count = clv_cuda_count();
    if (count == 0)
        return CLV_EDEVICE;
    if (index < 0 || index >= count)
        return clv_fail(CLV_EDEVICE, "there is no CUDA device %d: the driver shows %d", index,
                        count);
    return CLV_OK;
}

static int check_serves(int index)
{
    int status = find(index);
    if (status != CLV_OK)
        return status;
    int major = 0, minor = 0;
    cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
    if (error != cudaSuccess)
        return fail_with(error, "asking a device for its capability");
    if (major < CAPABILITY_MIN)
        return clv_fail(CLV_EDEVICE,
                        "CUDA device %d has compute capability %d.%d, claverdb needs %d.0", index,
                        major, minor, CAPABILITY_MIN);
    return CLV_OK;
}

extern "C" bool clv_cuda_serves(int index)
{
    return check_serves(index) == CLV_OK;
}

extern "C" int clv_cuda_describe(int index, char *out, size_t size)
{
    struct cudaDeviceProp facts;
    int status = find(index);
    if (status != CLV_OK)
        return status;
    cudaError_t error = cudaGetDeviceProperties(&facts, index);
    if (error != cudaSuccess)
        return fail_with(error, "asking a device what it is");
    snprintf(out, size, "%s, compute capability %d.%d, %.1f GiB", facts.name, facts.major,
             facts.minor, (double)facts.totalGlobalMem / GIB);
    return CLV_OK;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Every slot of the table; one that is missing here does not compile. */
// clang-format off
#define SLOTS(X) \
    X(close) X(allocate) X(release) X(write) X(write_parts) X(read) X(fetch_begin) \
    X(fetch_end) X(wait) X(borrow) X(replay_begin) X(replay_end) X(weight_prepare) \
    X(linear) X(layer_norm) X(patches) X(square_patches) \
    X(frame_embed) X(window_embed) X(token_embed) \
    X(gather_rows) X(copy) X(attention) X(unit_mean) X(activate) X(activate_backward) \
    X(linear_backward) X(layer_norm_backward) X(attention_backward) \
    X(frame_embed_backward) X(window_embed_backward) X(token_embed_backward) \
    X(scatter_rows_add) X(unit_mean_backward) X(matmul) X(soft_cross_entropy) X(fill) \
    X(scale_rows) X(mix_clips) X(sum_squares) X(dot_add) X(adamw)
// clang-format on

static struct clv_ops make_table(void)
{
#define ONE(name) +1
    static_assert(sizeof(struct clv_ops) == (0 SLOTS(ONE)) * sizeof(void (*)(void)),
                  "a slot of the op table has no CUDA function");
#undef ONE
    struct clv_ops table;
#define FILL(name) table.name = clv_cuda_##name;
    SLOTS(FILL)
#undef FILL
    return table;
}

extern "C" const struct clv_ops *clv_cuda_ops(void)
{
    static const struct clv_ops table = make_table();
    return &table;
}

/* ---- opening --------------------------------------------------------------------------------- */

struct clv_cuda *clv_cuda_enter(struct clv_device *device)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (!cuda->is_recording) /* begun on this thread, with the device chosen */
        (void)clv_cuda_ok(device, cudaSetDevice(cuda->index), "choosing the device");
    return cuda;
}

static void name_device(struct clv_device *device, const char *name)
{
    static const char *const precisions[] = {"fp32", "tf32", "bf16"};
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    snprintf(device->name, sizeof device->name, "cuda:%d, %.100s, sm_%d%d, %s", cuda->index, name,
             cuda->major, cuda->minor, precisions[cuda->precision]);
}

static __global__ void any_kernel()
{
}

static int open_state(struct clv_device *device, struct cudaDeviceProp *facts,
                      const struct clv_device_options *options)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    struct cudaFuncAttributes code;
    cudaError_t error = cudaSetDevice(cuda->index);
    /* Who waits for the device sleeps, and leaves the core to those who decode. */
    if (error == cudaSuccess && cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync) != cudaSuccess)
        (void)cudaGetLastError(); /* spins */
    if (error == cudaSuccess)
        error = cudaGetDeviceProperties(facts, cuda->index);
    if (error == cudaSuccess) /* kernels may be built for other cards, or want a newer driver */
        error = cudaFuncGetAttributes(&code, any_kernel);
    if (error == cudaSuccess)
        error = cudaStreamCreateWithFlags(&cuda->work, cudaStreamNonBlocking);
    if (error == cudaSuccess)
        error = cudaStreamCreateWithFlags(&cuda->copies, cudaStreamNonBlocking);
    if (error != cudaSuccess)
        return fail_with(error, "opening the device");
    cuda->major = facts->major;
    cuda->minor = facts->minor;
    cuda->sm_count = facts->multiProcessorCount;
    cuda->shared_bytes_max = facts->sharedMemPerBlockOptin;
    int status = clv_cuda_memory_open(device);
    if (status == CLV_OK)
        status = clv_cuda_products_open(device);
    return status == CLV_OK && !options->no_replay ? clv_cuda_replays_open(device) : status;
}

extern "C" int clv_cuda_open(struct clv_device *device, const struct clv_device_options *options)
{
    int status = check_serves(options->cuda_index);
    if (status != CLV_OK)
        return status;
    struct clv_cuda *cuda = (struct clv_cuda *)calloc(1, sizeof *cuda);
    if (!cuda)
        return clv_fail_memory("the CUDA backend");
    cuda->index = options->cuda_index;
    cuda->precision = options->precision;
    cuda->copy_threads = clv_spread_threads(options->thread_count);
    device->state = cuda;
    struct cudaDeviceProp facts;
    status = open_state(device, &facts, options);
    if (status != CLV_OK) {
        clv_cuda_close(device);
        return status;
    }
    device->kind = CLV_DEVICE_CUDA;
    device->precision = cuda->precision;
    if (cuda->precision == CLV_PRECISION_BF16)
        device->activation_type = CLV_TYPE_BF16;
    device->ops = clv_cuda_ops();
    name_device(device, facts.name);
    return CLV_OK;
}

void clv_cuda_close(struct clv_device *device)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (!cuda)
        return;
    (void)cudaSetDevice(cuda->index);
    if (cuda->copies)
        (void)cudaStreamSynchronize(cuda->copies);
    if (cuda->work)
        (void)cudaStreamSynchronize(cuda->work);
    clv_cuda_replays_close(cuda);
    clv_cuda_weights_close(cuda);
    clv_cuda_products_close(cuda);
    clv_cuda_memory_close(cuda);
    if (cuda->copies)
        (void)cudaStreamDestroy(cuda->copies);
    if (cuda->work)
        (void)cudaStreamDestroy(cuda->work);
    (void)cudaGetLastError();
    free(cuda);
    device->state = NULL;
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *clv_cuda_allocate(struct clv_device *device, void **base_out, size_t size_bytes)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    void *base = NULL;
    *base_out = NULL;
    cudaError_t error = cudaErrorMemoryAllocation;
    if (size_bytes <= PTRDIFF_MAX) /* larger ones may wrap where they are rounded up */
        error = cudaMalloc(&base, size_bytes > 0 ? size_bytes : 1);
    if (error == cudaSuccess)
        error = cudaMemsetAsync(base, 0, size_bytes > 0 ? size_bytes : 1, cuda->work);
    if (error != cudaSuccess) {
        const char *reason = cudaGetErrorString(error);
        (void)cudaGetLastError();
        (void)cudaFree(base);
        if (error == cudaErrorMemoryAllocation)
            (void)clv_fail(CLV_ENOMEM, "out of memory for %zu bytes of tensors on cuda:%d",
                           size_bytes, cuda->index);
        else /* of work done before, which is told here */
            (void)clv_fail(CLV_ENOMEM, "cuda:%d gives no memory for tensors: %s", cuda->index,
                           reason);
        return NULL;
    }
    *base_out = base;
    return base;
}

void clv_cuda_release(struct clv_device *device, void *base)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    clv_cuda_replays_forget(cuda);
    clv_cuda_weights_forget(cuda, base);
    cudaError_t error = cudaStreamSynchronize(cuda->work); /* that may use it */
    const cudaError_t freed = cudaFree(base);
    (void)clv_cuda_ok(device, error != cudaSuccess ? error : freed, "freeing memory");
}

void clv_cuda_wait(struct clv_device *device)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    (void)clv_cuda_ok(device, cudaStreamSynchronize(cuda->work), "running the work");
}

const void *clv_cuda_borrow(struct clv_device *device, const void *host)
{
    (void)device, (void)host;
    return NULL;
}
