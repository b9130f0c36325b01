/* How bytes reach the device and come back: host arrays of the ops through a ring of pinned memory,
 * tensors through pinned and device staging on a stream of their own, so that a copy runs beside
 * the work that was called before it and still takes its place in the order. */
#include "core/compute/cuda_state.cuh"

extern "C" {
#include "core/compute/spread.h"
}

#include <cstdlib>
#include <cstring>

#define HALF_BYTES ((size_t)4 << 20)
#define SLOT_BYTES ((size_t)8 << 20)
#define SLOT_COUNT 4 /* at opening */
#define SLOT_COUNT_MAX 64
#define SMALL_BYTES ((size_t)256 << 10) /* writes up to this go through the ring */
#define FETCH_MAX 64
#define RETIRED_MAX 48 /* halves double: more than there are address bits */
#define SCRATCH_UNIT ((size_t)1 << 20)

/* Two halves of pinned memory and as much device memory. One half fills while the copies out of
 * the other end; the device's half is written again only by later copies on the same stream, so the
 * kernels that read it come before. */
struct ring {
    unsigned char *pinned, *device;
    size_t half_bytes;
    size_t at; /* within the half in use */
    int half;
    cudaEvent_t drained[2]; /* the copies out of a half have ended */
};

/* A piece of a large write on its way. */
struct slot {
    unsigned char *pinned, *device;
    cudaEvent_t arrived; /* in `device`: pinned is free */
    cudaEvent_t used;    /* by the work stream: device is free */
};

/* Reads on their way, one after another in pinned memory of their own. */
struct fetches {
    unsigned char *pinned; /* SLOT_BYTES */
    size_t used_bytes;
    struct {
        void *host;
        size_t at, size_bytes;
    } pieces[FETCH_MAX];
    int count;
    cudaEvent_t arrived; /* the last of them */
};

struct clv_cuda_memory {
    struct ring ring;
    void *retired_pinned[RETIRED_MAX], *retired_device[RETIRED_MAX];
    int retired_count;
    struct slot slots[SLOT_COUNT_MAX];
    int slot_count, next_slot;
    unsigned char *back; /* pinned, SLOT_BYTES, for reads */
    struct fetches fetches;
};

/* ---- life ------------------------------------------------------------------------------------ */

static cudaError_t ring_allocate(struct ring *ring, size_t half_bytes)
{
    ring->half_bytes = half_bytes;
    ring->at = 0;
    ring->half = 0;
    cudaError_t error = cudaMallocHost((void **)&ring->pinned, 2 * half_bytes);
    return error == cudaSuccess ? cudaMalloc((void **)&ring->device, 2 * half_bytes) : error;
}

static cudaError_t slot_open(struct clv_device *device)
{
    struct clv_cuda_memory *memory = ((struct clv_cuda *)device->state)->memory;
    struct slot *slot = &memory->slots[memory->slot_count];
    cudaError_t error = cudaMallocHost((void **)&slot->pinned, SLOT_BYTES);
    if (error == cudaSuccess)
        error = cudaMalloc((void **)&slot->device, SLOT_BYTES);
    if (error == cudaSuccess)
        error = cudaEventCreateWithFlags(&slot->arrived, cudaEventDisableTiming);
    if (error == cudaSuccess)
        error = cudaEventCreateWithFlags(&slot->used, cudaEventDisableTiming);
    if (error == cudaSuccess) {
        memory->slot_count++;
        clv_device_hold(device, SLOT_BYTES);
    }
    return error;
}

int clv_cuda_memory_open(struct clv_device *device)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    struct clv_cuda_memory *memory = (struct clv_cuda_memory *)calloc(1, sizeof *memory);
    if (!memory)
        return clv_fail_memory("the CUDA backend");
    cuda->memory = memory;
    cudaError_t error = ring_allocate(&memory->ring, HALF_BYTES);
    for (int i = 0; i < 2 && error == cudaSuccess; i++)
        error = cudaEventCreateWithFlags(&memory->ring.drained[i], cudaEventDisableTiming);
    for (int i = 0; i < SLOT_COUNT && error == cudaSuccess; i++)
        error = slot_open(device);
    if (error == cudaSuccess)
        error = cudaMallocHost((void **)&memory->back, SLOT_BYTES);
    if (error == cudaSuccess)
        error = cudaMallocHost((void **)&memory->fetches.pinned, SLOT_BYTES);
    if (error == cudaSuccess)
        error = cudaEventCreateWithFlags(&memory->fetches.arrived, cudaEventDisableTiming);
    if (error == cudaSuccess) {
        clv_device_hold(device, 2 * HALF_BYTES);
        return CLV_OK;
    }
    (void)cudaGetLastError();
    return clv_fail(error == cudaErrorMemoryAllocation ? CLV_ENOMEM : CLV_EDEVICE,
                    "cuda: staging memory: %s", cudaGetErrorString(error));
}

static void destroy(cudaEvent_t event)
{
    if (event)
        (void)cudaEventDestroy(event);
}

static void slot_close(struct slot *slot)
{
    (void)cudaFreeHost(slot->pinned);
    (void)cudaFree(slot->device);
    destroy(slot->arrived);
    destroy(slot->used);
    *slot = {};
}

void clv_cuda_memory_close(struct clv_cuda *cuda)
{
    struct clv_cuda_memory *memory = cuda->memory;
    (void)cudaFree(cuda->scratch);
    cuda->scratch = NULL;
    free(cuda->host_scratch);
    cuda->host_scratch = NULL;
    if (!memory)
        return;
    (void)cudaFreeHost(memory->ring.pinned);
    (void)cudaFree(memory->ring.device);
    for (int i = 0; i < 2; i++)
        destroy(memory->ring.drained[i]);
    for (int i = 0; i < memory->retired_count; i++) {
        (void)cudaFreeHost(memory->retired_pinned[i]);
        (void)cudaFree(memory->retired_device[i]);
    }
    for (int i = 0; i < SLOT_COUNT_MAX; i++)
        slot_close(&memory->slots[i]);
    (void)cudaFreeHost(memory->back);
    (void)cudaFreeHost(memory->fetches.pinned);
    destroy(memory->fetches.arrived);
    free(memory);
    cuda->memory = NULL;
}

/* ---- scratch --------------------------------------------------------------------------------- */

void *clv_cuda_scratch(struct clv_device *device, size_t size_bytes)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (cuda->scratch && cuda->scratch_bytes >= size_bytes)
        return cuda->scratch;
    size_t wanted = (size_bytes / SCRATCH_UNIT + 1) * SCRATCH_UNIT;
    if (!clv_cuda_may_wait(device, "more scratch memory"))
        return NULL;
    clv_cuda_replays_moved(cuda);
    if (!clv_cuda_ok(device, cudaStreamSynchronize(cuda->work), "running the work"))
        return NULL;
    (void)cudaFree(cuda->scratch);
    clv_device_drop(device, cuda->scratch_bytes);
    cuda->scratch = NULL;
    cuda->scratch_bytes = 0;
    if (!clv_cuda_ok(device, cudaMalloc(&cuda->scratch, wanted), "scratch memory")) {
        cuda->scratch = NULL;
        return NULL;
    }
    cuda->scratch_bytes = wanted;
    clv_device_hold(device, wanted);
    return cuda->scratch;
}

void *clv_cuda_host_scratch(struct clv_device *device, size_t size_bytes)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (cuda->host_scratch && cuda->host_scratch_bytes >= size_bytes)
        return cuda->host_scratch;
    free(cuda->host_scratch);
    cuda->host_scratch_bytes = 2 * size_bytes + 1;
    cuda->host_scratch = malloc(cuda->host_scratch_bytes);
    if (!cuda->host_scratch) {
        cuda->host_scratch_bytes = 0;
        clv_device_fail(device, clv_fail_memory("tables of indices"));
    }
    return cuda->host_scratch;
}

/* ---- the ring -------------------------------------------------------------------------------- */

/* A larger ring; the old one stays for what was just copied into it, until the device closes. */
static bool ring_grow(struct clv_device *device, size_t size_bytes)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    struct clv_cuda_memory *memory = cuda->memory;
    size_t half_bytes = memory->ring.half_bytes;
    if (memory->retired_count == RETIRED_MAX)
        return clv_cuda_ok(device, cudaErrorMemoryAllocation, "staging memory");
    while (half_bytes / 4 < size_bytes)
        half_bytes *= 2;
    struct ring larger = memory->ring;
    larger.pinned = larger.device = NULL;
    cudaError_t error = cudaStreamSynchronize(cuda->work); /* the events are free again */
    if (error == cudaSuccess)
        error = ring_allocate(&larger, half_bytes);
    if (!clv_cuda_ok(device, error, "staging memory")) {
        (void)cudaFreeHost(larger.pinned);
        return false;
    }
    memory->retired_pinned[memory->retired_count] = memory->ring.pinned;
    memory->retired_device[memory->retired_count++] = memory->ring.device;
    memory->ring = larger;
    clv_device_hold(device, 2 * half_bytes);
    return true;
}

/* Room for `size_bytes` in the ring as an offset; SIZE_MAX after a sticky failure. A quarter of a
 * half at most, so that the few arrays of one op never come round to the first of them. */
static size_t ring_reserve(struct clv_device *device, size_t size_bytes)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    struct ring *ring = &cuda->memory->ring;
    size_t padded = clv_cuda_padded(size_bytes);
    if (padded > ring->half_bytes / 4 && !ring_grow(device, padded))
        return SIZE_MAX;
    if (ring->at + padded > ring->half_bytes) {
        cudaError_t error = cudaEventRecord(ring->drained[ring->half], cuda->work);
        ring->half ^= 1;
        ring->at = 0;
        if (error == cudaSuccess)
            error = cudaEventSynchronize(ring->drained[ring->half]);
        if (!clv_cuda_ok(device, error, "running the work"))
            return SIZE_MAX;
    }
    size_t offset = (size_t)ring->half * ring->half_bytes + ring->at;
    ring->at += padded;
    return offset;
}

const void *clv_cuda_stage_bytes(struct clv_device *device, const void *host, size_t size_bytes)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (size_bytes == 0)
        return cuda->memory->ring.device;
    if (cuda->is_recording)
        return clv_cuda_replays_stage(device, host, size_bytes);
    size_t offset = ring_reserve(device, size_bytes);
    if (offset == SIZE_MAX)
        return NULL;
    const struct ring *ring = &cuda->memory->ring;
    memcpy(ring->pinned + offset, host, size_bytes);
    cudaError_t error = cudaMemcpyAsync(ring->device + offset, ring->pinned + offset, size_bytes,
                                        cudaMemcpyHostToDevice, cuda->work);
    return clv_cuda_ok(device, error, "copying to the device") ? ring->device + offset : NULL;
}

/* ---- writes and reads ------------------------------------------------------------------------ */

static bool write_small(struct clv_device *device, void *target, const void *host,
                        size_t size_bytes)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    size_t offset = ring_reserve(device, size_bytes);
    if (offset == SIZE_MAX)
        return false;
    unsigned char *pinned = cuda->memory->ring.pinned + offset;
    memcpy(pinned, host, size_bytes);
    return clv_cuda_ok(
        device, cudaMemcpyAsync(target, pinned, size_bytes, cudaMemcpyHostToDevice, cuda->work),
        "copying to the device");
}

/* The next slot, as soon as its pinned memory is free. */
static cudaError_t take_slot(struct slot **out, struct clv_cuda *cuda)
{
    struct clv_cuda_memory *memory = cuda->memory;
    *out = &memory->slots[memory->next_slot];
    memory->next_slot = (memory->next_slot + 1) % memory->slot_count;
    return cudaEventSynchronize((*out)->arrived);
}

/* Pinned memory to staging on the copy stream; staging to its place on the work stream, after what
 * was called before. */
static cudaError_t send_slot(struct clv_cuda *cuda, struct slot *slot, unsigned char *target,
                             size_t size_bytes)
{
    cudaError_t error = cudaStreamWaitEvent(cuda->copies, slot->used, 0);
    if (error == cudaSuccess)
        error = cudaMemcpyAsync(slot->device, slot->pinned, size_bytes, cudaMemcpyHostToDevice,
                                cuda->copies);
    if (error == cudaSuccess)
        error = cudaEventRecord(slot->arrived, cuda->copies);
    if (error == cudaSuccess)
        error = cudaStreamWaitEvent(cuda->work, slot->arrived, 0);
    if (error == cudaSuccess)
        error =
            cudaMemcpyAsync(target, slot->device, size_bytes, cudaMemcpyDeviceToDevice, cuda->work);
    return error == cudaSuccess ? cudaEventRecord(slot->used, cuda->work) : error;
}

void clv_cuda_write(struct clv_device *device, void *target, const void *host, size_t size_bytes)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    if (size_bytes <= SMALL_BYTES) {
        if (!write_small(device, target, host, size_bytes))
            return;
    } else {
        for (size_t at = 0; at < size_bytes; at += SLOT_BYTES) {
            size_t piece = size_bytes - at < SLOT_BYTES ? size_bytes - at : SLOT_BYTES;
            struct slot *slot;
            cudaError_t error = take_slot(&slot, cuda);
            if (error == cudaSuccess) {
                clv_spread_copy(slot->pinned, (const unsigned char *)host + at, piece,
                                cuda->copy_threads);
                error = send_slot(cuda, slot, (unsigned char *)target + at, piece);
            }
            if (!clv_cuda_ok(device, error, "copying to the device"))
                return;
        }
    }
    clv_cuda_weights_touched(device, target, size_bytes);
}

/* Slots for all of a write where they are to be had: a batch then comes while the one before is
 * computed, for whose end its way from staging to its place has to wait. */
static void need_slots(struct clv_device *device, int count)
{
    struct clv_cuda_memory *memory = ((struct clv_cuda *)device->state)->memory;
    while (memory->slot_count < count && memory->slot_count < SLOT_COUNT_MAX)
        if (slot_open(device) != cudaSuccess) {
            (void)cudaGetLastError();
            slot_close(&memory->slots[memory->slot_count]);
            return;
        }
}

/* As many parts a slot as it holds. */
void clv_cuda_write_parts(struct clv_device *device, void *target, const void *const *parts,
                          int count, size_t part_bytes)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    unsigned char *to = (unsigned char *)target;
    const int most = part_bytes < SLOT_BYTES ? (int)(SLOT_BYTES / part_bytes) : 1;
    if (part_bytes > SLOT_BYTES) {
        for (int i = 0; i < count; i++)
            clv_cuda_write(device, to + (size_t)i * part_bytes, parts[i], part_bytes);
        return;
    }
    need_slots(device, (count + most - 1) / most);
    for (int at = 0; at < count; at += most) {
        const int piece = count - at < most ? count - at : most;
        struct slot *slot;
        cudaError_t error = take_slot(&slot, cuda);
        if (error == cudaSuccess) {
            clv_spread_parts(slot->pinned, parts + at, piece, part_bytes, cuda->copy_threads);
            error = send_slot(cuda, slot, to + (size_t)at * part_bytes, (size_t)piece * part_bytes);
        }
        if (!clv_cuda_ok(device, error, "copying to the device"))
            return;
    }
    clv_cuda_weights_touched(device, target, (size_t)count * part_bytes);
}

void clv_cuda_read(struct clv_device *device, void *host, const void *source, size_t size_bytes)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    for (size_t at = 0; at < size_bytes; at += SLOT_BYTES) {
        size_t piece = size_bytes - at < SLOT_BYTES ? size_bytes - at : SLOT_BYTES;
        cudaError_t error = cudaMemcpyAsync(cuda->memory->back, (const unsigned char *)source + at,
                                            piece, cudaMemcpyDeviceToHost, cuda->work);
        if (error == cudaSuccess)
            error = cudaStreamSynchronize(cuda->work);
        if (!clv_cuda_ok(device, error, "copying from the device")) {
            memset(host, 0, size_bytes); /* never what lay there before */
            return;
        }
        memcpy((unsigned char *)host + at, cuda->memory->back, piece);
    }
}

/* What has no room is read at once. */
void clv_cuda_fetch_begin(struct clv_device *device, void *host, const void *source,
                          size_t size_bytes)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    struct fetches *fetches = &cuda->memory->fetches;
    if (fetches->count == FETCH_MAX || size_bytes > SLOT_BYTES - fetches->used_bytes) {
        clv_cuda_read(device, host, source, size_bytes);
        return;
    }
    cudaError_t error = cudaMemcpyAsync(fetches->pinned + fetches->used_bytes, source, size_bytes,
                                        cudaMemcpyDeviceToHost, cuda->work);
    if (error == cudaSuccess)
        error = cudaEventRecord(fetches->arrived, cuda->work);
    if (!clv_cuda_ok(device, error, "copying from the device")) {
        memset(host, 0, size_bytes);
        return;
    }
    fetches->pieces[fetches->count].host = host;
    fetches->pieces[fetches->count].at = fetches->used_bytes;
    fetches->pieces[fetches->count++].size_bytes = size_bytes;
    fetches->used_bytes += size_bytes;
}

/* Pinned memory is used again at once, also after a drop: in order of the stream. */
void clv_cuda_fetch_end(struct clv_device *device, bool is_wanted)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    struct fetches *fetches = &cuda->memory->fetches;
    const int count = is_wanted ? fetches->count : 0;
    fetches->count = 0;
    fetches->used_bytes = 0;
    if (count == 0)
        return;
    const bool has_arrived =
        clv_cuda_ok(device, cudaEventSynchronize(fetches->arrived), "running the work");
    for (int i = 0; i < count; i++) {
        void *host = fetches->pieces[i].host;
        if (has_arrived)
            memcpy(host, fetches->pinned + fetches->pieces[i].at, fetches->pieces[i].size_bytes);
        else
            memset(host, 0, fetches->pieces[i].size_bytes);
    }
}
