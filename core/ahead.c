#include "core/ahead.h"

#include "core/error.h"
#include "core/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct clv_ahead {
    struct clv_ahead_options options;
    struct clv_queue *empty, *full;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_stopped;
};

static void *work(void *payload)
{
    struct clv_ahead *ahead = payload;
    const struct clv_ahead_options *options = &ahead->options;
    for (int64_t number = options->first; number < options->end; number++) {
        void *slot = clv_queue_pop(ahead->empty);
        if (!slot || atomic_load(&ahead->is_stopped))
            break;
        const bool goes_on = options->fill(options->payload, slot, number);
        if (!clv_queue_push(ahead->full, slot) || !goes_on)
            break;
    }
    clv_queue_close(ahead->full);
    return NULL;
}

int clv_ahead_start(struct clv_ahead **out, const struct clv_ahead_options *options)
{
    struct clv_ahead *ahead = *out = calloc(1, sizeof *ahead);
    if (!ahead)
        return clv_fail_memory("work ahead");
    ahead->options = *options;
    int status = clv_queue_create(&ahead->empty, options->slot_count);
    if (status == CLV_OK)
        status = clv_queue_create(&ahead->full, options->slot_count);
    if (status == CLV_OK) {
        for (int i = 0; i < options->slot_count; i++)
            clv_queue_push(ahead->empty,
                           (char *)options->slots + (size_t)i * options->slot_size_bytes);
        ahead->has_thread = pthread_create(&ahead->thread, NULL, work, ahead) == 0;
        if (!ahead->has_thread)
            status = clv_fail(CLV_ERR, "no thread can be started to work ahead");
    }
    if (status != CLV_OK) {
        clv_ahead_stop(ahead);
        *out = NULL;
    }
    return status;
}

void clv_ahead_stop(struct clv_ahead *ahead)
{
    if (!ahead)
        return;
    atomic_store(&ahead->is_stopped, true);
    if (ahead->empty)
        clv_queue_close(ahead->empty);
    if (ahead->full)
        clv_queue_close(ahead->full);
    if (ahead->has_thread)
        pthread_join(ahead->thread, NULL);
    clv_queue_free(ahead->empty);
    clv_queue_free(ahead->full);
    free(ahead);
}

void *clv_ahead_next(struct clv_ahead *ahead)
{
    return clv_queue_pop(ahead->full);
}

void clv_ahead_give_back(struct clv_ahead *ahead, void *slot)
{
    clv_queue_push(ahead->empty, slot);
}
