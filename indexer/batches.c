#include "indexer/batches.h"

#include <unistd.h>

/* A CPU is busy with a few frames; more only cost memory. Batches that end with their video make
 * its vectors depend on nothing else, to the last bit: products round by their shape. */
#define CPU_FRAMES 8
#define CPU_WINDOWS 4
#define CPU_READERS 1

/* A GPU is full from about here on. */
#define CUDA_FRAMES 128
#define CUDA_WINDOWS 32

/* One decoder scales to a few threads, several files to any number; but each holds pictures. */
#define CUDA_READERS_MAX 16

static int core_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > 1024 ? 1024 : (int)count;
}

static int thread_count(int decode_threads)
{
    return decode_threads > 0 ? decode_threads : core_count();
}

int clv_batches_readers(enum clv_device_kind kind, int wanted, int decode_threads)
{
    const int threads = thread_count(decode_threads);
    if (wanted > 0)
        return wanted;
    if (kind != CLV_DEVICE_CUDA)
        return CPU_READERS;
    return threads < CUDA_READERS_MAX ? threads : CUDA_READERS_MAX;
}

int clv_batches_decode_threads(int decode_threads, int reader_count)
{
    if (reader_count == 1)
        return decode_threads;
    return (thread_count(decode_threads) + reader_count - 1) / reader_count;
}

/* Room for as many overlapping windows as are computed together, and the frames that come
 * meanwhile. */
static int own_slots(const struct clv_batches *batches, int frame_count)
{
    return batches->reader_count * (batches->window_max * frame_count + batches->frame_max);
}

/* Room for all that waits, twice, since readers do not go at the same pace; for the windows at hand
 * of each reader; and for what only fills up. */
static int shared_slots(const struct clv_batches *batches, int frame_count)
{
    return 2 * (batches->window_max * frame_count + batches->frame_max) +
           batches->reader_count * frame_count + 1;
}

static void choose_slots(struct clv_batches *batches, int frame_count)
{
    batches->slot_count =
        batches->is_shared ? shared_slots(batches, frame_count) : own_slots(batches, frame_count);
}

void clv_batches_choose(struct clv_batches *out, enum clv_device_kind kind, int frame_count,
                        const struct clv_ingest_options *options)
{
    const bool is_cuda = kind == CLV_DEVICE_CUDA;
    *out = (struct clv_batches){
        .reader_count = clv_batches_readers(kind, options->reader_count, options->decode_threads),
        .is_shared = options->batching == CLV_BATCHING_DEVICE
                         ? is_cuda
                         : options->batching == CLV_BATCHING_SHARED,
        .frame_max = is_cuda ? CUDA_FRAMES : CPU_FRAMES,
        .window_max = is_cuda ? CUDA_WINDOWS : CPU_WINDOWS,
    };
    choose_slots(out, frame_count);
}

bool clv_batches_halve(struct clv_batches *batches, int frame_count)
{
    if (batches->frame_max <= CPU_FRAMES)
        return false;
    batches->frame_max /= 2;
    batches->window_max = batches->window_max > 1 ? batches->window_max / 2 : 1;
    choose_slots(batches, frame_count);
    return true;
}
