/* Sums between the CUDA devices of one process through NCCL. Its library is loaded when the first
 * group opens; Debian has no package of it, so what is used of its interface is declared here as
 * NCCL 2 has it since its first release (nccl.h). */
#include "core/compute/cuda_state.cuh"

extern "C" {
#include "core/compute/cuda.h"
}

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#define LIBRARY_NAME "libnccl.so.2"

/* ---- the library ----------------------------------------------------------------------------- */

typedef struct ncclComm *ncclComm_t;
/* Enumerations there; results have more values than the one that is told apart here. */
typedef int ncclResult_t, ncclDataType_t, ncclRedOp_t;
enum { ncclSuccess = 0, ncclFloat32 = 7, ncclSum = 0 };

struct library {
    ncclResult_t (*GetVersion)(int *version);
    ncclResult_t (*CommInitAll)(ncclComm_t *comms, int device_count, const int *devices);
    ncclResult_t (*CommDestroy)(ncclComm_t comm);
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

/* ---- links ----------------------------------------------------------------------------------- */

struct clv_device_link {
    int count;
    struct clv_device **devices;
    ncclComm_t *comms;
};

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
    int *indexes = (int *)calloc((size_t)link->count, sizeof *indexes);
    if (!link->devices || !link->comms || !indexes) {
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
        return CLV_OK;
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
    int status = open_link(link, devices);
    if (status != CLV_OK) {
        clv_cuda_unlink(link);
        return status;
    }
    name_link(name, name_size);
    *out = link;
    return CLV_OK;
}

/* One thread calls for all devices: inside of the group no call waits for the others, and after it
 * each device's part is on its stream, whatever the host does next. */
extern "C" void clv_cuda_link_sum(struct clv_device_link *link, float *const *data, size_t count)
{
    ncclResult_t result = nccl()->GroupStart();
    const bool is_started = result == ncclSuccess;
    for (int i = 0; i < link->count && result == ncclSuccess; i++) {
        struct clv_cuda *cuda = clv_cuda_enter(link->devices[i]);
        result = nccl()->AllReduce(data[i], data[i], count, ncclFloat32, ncclSum, link->comms[i],
                                   cuda->work);
    }
    const ncclResult_t ended = is_started ? nccl()->GroupEnd() : ncclSuccess;
    if (result == ncclSuccess)
        result = ended;
    if (result == ncclSuccess)
        return;
    (void)cudaGetLastError();
    int status = fail_nccl(result, "summing over devices");
    for (int i = 0; i < link->count; i++)
        clv_device_fail(link->devices[i], status);
}

/* Nothing may be under way on a communicator that goes. */
extern "C" void clv_cuda_unlink(struct clv_device_link *link)
{
    for (int i = 0; link->comms && i < link->count; i++)
        if (link->comms[i]) {
            (void)cudaStreamSynchronize(clv_cuda_enter(link->devices[i])->work);
            (void)nccl()->CommDestroy(link->comms[i]);
        }
    (void)cudaGetLastError();
    free(link->devices);
    free(link->comms);
    free(link);
}
