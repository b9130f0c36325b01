/* Runs of ops as CUDA graphs: what replay.c says to record is captured from the work stream, and
 * launched whole from then on. A graph holds the addresses its kernels were called with, so that
 * all are dropped where memory moves; host arrays are copied once, to memory that is the graph's
 * own, for the ring's is written over. */
#include "core/compute/cuda_state.cuh"

extern "C" {
#include "core/compute/replay.h"
}

#include <cstdlib>
#include <cstring>

/* For the host arrays of one run: the starts and query rows of each block, some kilobytes. */
#define CONSTANT_BYTES ((size_t)128 << 10)

struct clv_cuda_replays {
    cudaStream_t work; /* the device's */
    struct clv_replay_table table;
    cudaGraphExec_t graphs[CLV_REPLAY_MAX]; /* by entry; NULL where none is recorded */
    unsigned char *constants;               /* device, CONSTANT_BYTES of each entry */
    unsigned char *recorded;                /* host, those of the run that is being recorded */
    size_t recorded_bytes;
};

static void drop(void *payload, int index)
{
    struct clv_cuda_replays *replays = (struct clv_cuda_replays *)payload;
    if (!replays->graphs[index])
        return;
    (void)cudaStreamSynchronize(replays->work); /* it may be in flight */
    (void)cudaGraphExecDestroy(replays->graphs[index]);
    replays->graphs[index] = NULL;
}

int clv_cuda_replays_open(struct clv_device *device)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    struct clv_cuda_replays *replays = (struct clv_cuda_replays *)calloc(1, sizeof *replays);
    if (!replays)
        return clv_fail_memory("the CUDA backend");
    cuda->replays = replays;
    replays->work = cuda->work;
    clv_replay_init(&replays->table, drop, replays);
    replays->recorded = (unsigned char *)calloc(1, CONSTANT_BYTES);
    if (!replays->recorded)
        return clv_fail_memory("the CUDA backend");
    cudaError_t error = cudaMalloc((void **)&replays->constants, CLV_REPLAY_MAX * CONSTANT_BYTES);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        return clv_fail(CLV_ENOMEM, "cuda: the host arrays of graphs: %s",
                        cudaGetErrorString(error));
    }
    clv_device_hold(device, CLV_REPLAY_MAX * CONSTANT_BYTES);
    return CLV_OK;
}

void clv_cuda_replays_close(struct clv_cuda *cuda)
{
    struct clv_cuda_replays *replays = cuda->replays;
    if (!replays)
        return;
    for (int i = 0; i < CLV_REPLAY_MAX; i++)
        drop(replays, i);
    (void)cudaFree(replays->constants);
    free(replays->recorded);
    free(replays);
    cuda->replays = NULL;
}

void clv_cuda_replays_moved(struct clv_cuda *cuda)
{
    if (cuda->replays)
        clv_replay_moved(&cuda->replays->table);
}

void clv_cuda_replays_forget(struct clv_cuda *cuda)
{
    if (cuda->replays)
        clv_replay_forget(&cuda->replays->table);
}

bool clv_cuda_may_wait(struct clv_device *device, const char *what)
{
    const struct clv_cuda *cuda = (const struct clv_cuda *)device->state;
    if (cuda->is_recording)
        clv_device_fail(device, clv_fail(CLV_EDEVICE, "cuda: %s while a graph is recorded", what));
    return !cuda->is_recording;
}

const void *clv_cuda_replays_stage(struct clv_device *device, const void *host, size_t size_bytes)
{
    struct clv_cuda_replays *replays = ((struct clv_cuda *)device->state)->replays;
    const size_t at = replays->recorded_bytes;
    if (size_bytes > CONSTANT_BYTES - at) {
        clv_device_fail(device, clv_fail(CLV_EDEVICE, "cuda: %zu bytes of host arrays in a graph",
                                         at + size_bytes));
        return NULL;
    }
    memcpy(replays->recorded + at, host, size_bytes);
    replays->recorded_bytes = at + clv_cuda_padded(size_bytes);
    return replays->constants + (size_t)replays->table.current * CONSTANT_BYTES + at;
}

/* ---- recording and playing back -------------------------------------------------------------- */

/* Other threads may do with their devices what they like meanwhile. */
static void begin_recording(struct clv_device *device)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (device->failed_status != 0)
        return; /* a failure while recording is told by there being one: called this time */
    if (cudaStreamBeginCapture(cuda->work, cudaStreamCaptureModeThreadLocal) == cudaSuccess) {
        cuda->is_recording = true;
        cuda->replays->recorded_bytes = 0;
    } else {
        (void)cudaGetLastError();
        clv_replay_recorded(&cuda->replays->table, false);
    }
}

bool clv_cuda_replay_begin(struct clv_device *device, const struct clv_replay_key *key)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    struct clv_cuda_replays *replays = cuda->replays;
    if (!replays)
        return true;
    int index;
    switch (clv_replay_next(&replays->table, &index, key)) {
    case CLV_REPLAY_CALL:
        break;
    case CLV_REPLAY_RECORD:
        begin_recording(device);
        break;
    case CLV_REPLAY_PLAY:
        if (cudaGraphLaunch(replays->graphs[index], cuda->work) == cudaSuccess)
            return false;
        (void)cudaGetLastError();
        clv_replay_refuse(&replays->table, index);
        break;
    }
    return true;
}

/* The captured work as a graph that has been launched; false where any of it failed, and nothing
 * has run. */
static bool finish_recording(struct clv_device *device)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    struct clv_cuda_replays *replays = cuda->replays;
    const int index = replays->table.current;
    cudaGraph_t captured = NULL;
    cudaError_t error = cudaStreamEndCapture(cuda->work, &captured);
    if (error == cudaSuccess && device->failed_status == 0)
        error = cudaGraphInstantiateWithFlags(&replays->graphs[index], captured, 0);
    if (captured)
        (void)cudaGraphDestroy(captured);
    /* Graphs that were launched from this entry before have read what is written over, in order of
     * the stream. The host's copy is the next recording's once it has been read. */
    if (error == cudaSuccess && replays->graphs[index] && replays->recorded_bytes > 0) {
        error =
            cudaMemcpyAsync(replays->constants + (size_t)index * CONSTANT_BYTES, replays->recorded,
                            replays->recorded_bytes, cudaMemcpyHostToDevice, cuda->work);
        if (error == cudaSuccess)
            error = cudaStreamSynchronize(cuda->work);
    }
    if (error == cudaSuccess && replays->graphs[index])
        error = cudaGraphLaunch(replays->graphs[index], cuda->work);
    if (error == cudaSuccess && replays->graphs[index])
        return true;
    drop(replays, index);
    return false;
}

bool clv_cuda_replay_end(struct clv_device *device)
{
    struct clv_cuda *cuda = clv_cuda_enter(device);
    struct clv_cuda_replays *replays = cuda->replays;
    if (!replays)
        return false;
    if (!cuda->is_recording) {
        clv_replay_called(&replays->table);
        return false;
    }
    cuda->is_recording = false;
    const bool is_recorded = finish_recording(device);
    if (!is_recorded) {
        /* Nothing has run, so nothing has gone wrong yet. */
        (void)cudaGetLastError();
        device->failed_status = 0;
    }
    clv_replay_recorded(&replays->table, is_recorded);
    return !is_recorded;
}
