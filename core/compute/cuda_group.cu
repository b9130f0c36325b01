/* Sums between the CUDA devices of one process through NCCL. Its library is loaded when the first
 * group opens; Debian has no package of it, so what is used of its interface is declared here as
 * NCCL 2 has it since its first release (nccl.h), or since 2.4 where it aborts.
 *
 * A device that is lost in the middle of a sum (its memory has an error, a kernel has run astray)
 * leaves the others waiting for its part, and the host for them, for ever. A thread watches for
 * that while sums are under way, and ends them. */
#include "core/compute/cuda_state.cuh"

extern "C" {
#include "core/compute/cuda.h"
}

#include <dlfcn.h>
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#define LIBRARY_NAME "libnccl.so.2"
#define WATCH_MS 100 /* how long a lost device goes unnoticed at most */

/* ---- the library ----------------------------------------------------------------------------- */

typedef struct ncclComm *ncclComm_t;
/* Enumerations there; results have more values than the one that is told apart here. */
typedef int ncclResult_t, ncclDataType_t, ncclRedOp_t;
enum { ncclSuccess = 0, ncclFloat32 = 7, ncclSum = 0 };

struct library {
    ncclResult_t (*GetVersion)(int *version);
    ncclResult_t (*CommInitAll)(ncclComm_t *comms, int device_count, const int *devices);
    ncclResult_t (*CommDestroy)(ncclComm_t comm);
    ncclResult_t (*CommAbort)(ncclComm_t comm);
    ncclResult_t (*AllReduce)(const void *from, void *to, size_t count, ncclDataType_t type,
                              ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream);
    ncclResult_t (*GroupStart)(void);
    ncclResult_t (*GroupEnd)(void);
    const char *(*GetErrorString)(ncclResult_t result);
    const char *(*GetLastError)(ncclComm_t comm); /* since 2.13; NULL before */
    char error[256];                              /* "" where it loaded */
};

static struct library load_library(void)
{
    struct library library;
    memset(&library, 0, sizeof library);
    void *handle = clv_cuda_library(LIBRARY_NAME, library.error, sizeof library.error);
    if (!handle)
        return library;
#define LOAD(name) library.name = (decltype(library.name))dlsym(handle, "nccl" #name)
#define NEED(name)     \
    LOAD(name);        \
    if (!library.name) \
    snprintf(library.error, sizeof library.error, "%s has no nccl" #name, LIBRARY_NAME)
    NEED(GetVersion);
    NEED(CommInitAll);
    NEED(CommDestroy);
    NEED(CommAbort);
    NEED(AllReduce);
    NEED(GroupStart);
    NEED(GroupEnd);
    NEED(GetErrorString);
    LOAD(GetLastError);
#undef NEED
#undef LOAD
    return library;
}

/* Loaded at the first call, for the life of the process. */
static const struct library *nccl(void)
{
    static const struct library library = load_library();
    return &library;
}

static int fail_nccl(ncclResult_t result, const char *what)
{
    const char *details = nccl()->GetLastError ? nccl()->GetLastError(NULL) : NULL;
    const bool has_details = details && details[0];
    return clv_fail(CLV_EDEVICE, "cuda: %s: NCCL: %s%s%s", what, nccl()->GetErrorString(result),
                    has_details ? ": " : "", has_details ? details : "");
}

struct clv_device_link {
    int count;
    struct clv_device **devices;
    ncclComm_t *comms;    /* NULL once aborted */
    cudaEvent_t *arrived; /* on each device's stream, after its part of the last sum */
    pthread_t watcher;
    bool is_watched;
    pthread_mutex_t lock; /* of what follows, and of all that is called of the communicators */
    pthread_cond_t has_changed;
    bool is_summing;  /* an event of `arrived` may not have come */
    bool is_broken;   /* there are no communicators any more */
    bool is_closed;   /* the watcher's thread is to end */
    char reason[512]; /* of the break */
};

/* ---- watching -------------------------------------------------------------------------------- */

static void abort_part(struct clv_device_link *link, int index)
{
    if (link->comms[index])
        (void)nccl()->CommAbort(link->comms[index]);
    link->comms[index] = NULL;
}

/* Aborting ends the kernels that wait for a part that will not come: those of device `last`, which
 * may not answer, after the others'. */
static void break_link(struct clv_device_link *link, int last)
{
    link->is_broken = true;
    link->is_summing = false;
    for (int i = 0; i < link->count; i++)
        if (i != last)
            abort_part(link, i);
    abort_part(link, last);
    (void)cudaGetLastError();
}

/* Asks after the sums under way. A device that is lost answers everything with its error. */
static void look_after(struct clv_device_link *link)
{
    bool has_arrived = true;
    for (int i = 0; i < link->count; i++) {
        const struct clv_cuda *cuda = (const struct clv_cuda *)link->devices[i]->state;
        cudaError_t error = cudaSetDevice(cuda->index);
        if (error == cudaSuccess)
            error = cudaEventQuery(link->arrived[i]);
        if (error == cudaErrorNotReady)
            has_arrived = false;
        else if (error != cudaSuccess) {
            snprintf(link->reason, sizeof link->reason, "cuda:%d was lost: %s", cuda->index,
                     cudaGetErrorString(error));
            break_link(link, i);
            return;
        }
    }
    link->is_summing = !has_arrived;
}

static void *watch(void *payload)
{
    struct clv_device_link *link = (struct clv_device_link *)payload;
    pthread_mutex_lock(&link->lock);
    while (!link->is_closed) {
        if (link->is_summing) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += WATCH_MS * 1000000L;
            until.tv_sec += until.tv_nsec / 1000000000L;
            until.tv_nsec %= 1000000000L;
            (void)pthread_cond_timedwait(&link->has_changed, &link->lock, &until);
            if (link->is_summing)
                look_after(link);
        } else {
            pthread_cond_wait(&link->has_changed, &link->lock);
        }
    }
    pthread_mutex_unlock(&link->lock);
    return NULL;
}

static int start_watching(struct clv_device_link *link)
{
    for (int i = 0; i < link->count; i++) {
        (void)clv_cuda_enter(link->devices[i]);
        cudaError_t error = cudaEventCreateWithFlags(&link->arrived[i], cudaEventDisableTiming);
        if (error != cudaSuccess) {
            (void)cudaGetLastError();
            return clv_fail(CLV_EDEVICE, "cuda: linking devices: %s", cudaGetErrorString(error));
        }
    }
    link->is_watched = pthread_create(&link->watcher, NULL, watch, link) == 0;
    return link->is_watched ? CLV_OK
                            : clv_fail(CLV_ERR, "no thread can be started for a group of devices");
}

static void stop_watching(struct clv_device_link *link)
{
    if (link->is_watched) {
        pthread_mutex_lock(&link->lock);
        link->is_closed = true;
        pthread_cond_signal(&link->has_changed);
        pthread_mutex_unlock(&link->lock);
        pthread_join(link->watcher, NULL);
    }
    for (int i = 0; link->arrived && i < link->count; i++)
        if (link->arrived[i])
            (void)cudaEventDestroy(link->arrived[i]);
}

/* ---- links ----------------------------------------------------------------------------------- */

/* "NCCL 2.28.9": before 2.9 the version was 2804 for 2.8.4. */
static void name_link(char *name, size_t name_size)
{
    int version = 0;
    (void)nccl()->GetVersion(&version);
    const int unit = version < 10000 ? 1000 : 10000;
    snprintf(name, name_size, "NCCL %d.%d.%d", version / unit, version % unit / 100, version % 100);
}

static int open_link(struct clv_device_link *link, struct clv_device *const *devices)
{
    link->devices = (struct clv_device **)calloc((size_t)link->count, sizeof *link->devices);
    link->comms = (ncclComm_t *)calloc((size_t)link->count, sizeof *link->comms);
    link->arrived = (cudaEvent_t *)calloc((size_t)link->count, sizeof *link->arrived);
    int *indexes = (int *)calloc((size_t)link->count, sizeof *indexes);
    if (!link->devices || !link->comms || !link->arrived || !indexes) {
        free(indexes);
        return clv_fail_memory("a group of devices");
    }
    for (int i = 0; i < link->count; i++) {
        link->devices[i] = devices[i];
        indexes[i] = clv_cuda_enter(devices[i])->index;
    }
    ncclResult_t result = nccl()->CommInitAll(link->comms, link->count, indexes);
    free(indexes);
    if (result == ncclSuccess)
        return start_watching(link);
    (void)cudaGetLastError(); /* the next launch would report it again */
    memset(link->comms, 0, (size_t)link->count * sizeof *link->comms);
    return fail_nccl(result, "linking devices");
}

extern "C" int clv_cuda_link(struct clv_device_link **out, char *name, size_t name_size,
                             struct clv_device *const *devices, int count)
{
    *out = NULL;
    if (nccl()->error[0])
        return clv_fail(CLV_EDEVICE, "cuda: NCCL does not load: %s", nccl()->error);
    struct clv_device_link *link = (struct clv_device_link *)calloc(1, sizeof *link);
    if (!link)
        return clv_fail_memory("a group of devices");
    link->count = count;
    pthread_mutex_init(&link->lock, NULL);
    pthread_cond_init(&link->has_changed, NULL);
    int status = open_link(link, devices);
    if (status != CLV_OK) {
        clv_cuda_unlink(link);
        return status;
    }
    name_link(name, name_size);
    *out = link;
    return CLV_OK;
}

/* Called for all devices by one thread: inside of the group no call waits for the others, and after
 * it each device's part is on its stream, whatever the host does next. */
static ncclResult_t start_sum(struct clv_device_link *link, float *const *data, size_t count)
{
    ncclResult_t result = nccl()->GroupStart();
    const bool is_started = result == ncclSuccess;
    for (int i = 0; i < link->count && result == ncclSuccess; i++) {
        struct clv_cuda *cuda = clv_cuda_enter(link->devices[i]);
        result = nccl()->AllReduce(data[i], data[i], count, ncclFloat32, ncclSum, link->comms[i],
                                   cuda->work);
    }
    const ncclResult_t ended = is_started ? nccl()->GroupEnd() : ncclSuccess;
    return result == ncclSuccess ? ended : result;
}

/* After a failure of NCCL's some devices may have their part and others not: that link is done. */
static int sum(struct clv_device_link *link, float *const *data, size_t count)
{
    if (link->is_broken)
        return clv_fail(CLV_EDEVICE, "%s", link->reason);
    const ncclResult_t result = start_sum(link, data, count);
    if (result != ncclSuccess) {
        int status = fail_nccl(result, "summing over devices");
        snprintf(link->reason, sizeof link->reason, "%s", clv_error_message());
        break_link(link, link->count - 1);
        return status;
    }
    for (int i = 0; i < link->count; i++) {
        struct clv_cuda *cuda = clv_cuda_enter(link->devices[i]);
        (void)clv_cuda_ok(link->devices[i], cudaEventRecord(link->arrived[i], cuda->work),
                          "summing over devices");
    }
    link->is_summing = true;
    pthread_cond_signal(&link->has_changed);
    return CLV_OK;
}

extern "C" void clv_cuda_link_sum(struct clv_device_link *link, float *const *data, size_t count)
{
    pthread_mutex_lock(&link->lock);
    int status = sum(link, data, count);
    pthread_mutex_unlock(&link->lock);
    for (int i = 0; i < link->count && status != CLV_OK; i++)
        clv_device_fail(link->devices[i], status);
}

/* Nothing may be under way on a communicator that goes; while that is waited for, it is watched. */
extern "C" void clv_cuda_unlink(struct clv_device_link *link)
{
    for (int i = 0; link->is_watched && i < link->count; i++)
        (void)cudaStreamSynchronize(clv_cuda_enter(link->devices[i])->work);
    stop_watching(link);
    for (int i = 0; link->comms && i < link->count; i++)
        if (link->comms[i])
            (void)nccl()->CommDestroy(link->comms[i]);
    (void)cudaGetLastError();
    pthread_mutex_destroy(&link->lock);
    pthread_cond_destroy(&link->has_changed);
    free(link->devices);
    free(link->comms);
    free(link->arrived);
    free(link);
}
