/* A ring of pointers behind one mutex and two conditions. */
#include "core/queue.h"

#include "core/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct clv_queue {
    pthread_mutex_t lock;
    pthread_cond_t has_item;
    pthread_cond_t has_room;
    void **items;
    int capacity, first, count;
    bool is_closed;
};

int clv_queue_create(struct clv_queue **out, int capacity)
{
    *out = NULL;
    if (capacity <= 0)
        return clv_fail(CLV_EINVAL, "a queue of %d items cannot be", capacity);
    struct clv_queue *queue = calloc(1, sizeof *queue);
    void **items = calloc((size_t)capacity, sizeof *items);
    if (!queue || !items) {
        free(queue);
        free(items);
        return clv_fail_memory("a queue");
    }
    pthread_mutex_init(&queue->lock, NULL);
    /* Waits with a limit must not depend on what the wall clock is set to. */
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->has_item, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&queue->has_room, NULL);
    queue->items = items;
    queue->capacity = capacity;
    *out = queue;
    return CLV_OK;
}

bool clv_queue_push(struct clv_queue *queue, void *item)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == queue->capacity && !queue->is_closed)
        pthread_cond_wait(&queue->has_room, &queue->lock);
    bool taken = !queue->is_closed;
    if (taken) {
        queue->items[(queue->first + queue->count++) % queue->capacity] = item;
        pthread_cond_signal(&queue->has_item);
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

/* The lock is held. */
static void *take(struct clv_queue *queue)
{
    if (queue->count == 0)
        return NULL;
    void *item = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    pthread_cond_signal(&queue->has_room);
    return item;
}

void *clv_queue_pop(struct clv_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->is_closed)
        pthread_cond_wait(&queue->has_item, &queue->lock);
    void *item = take(queue);
    pthread_mutex_unlock(&queue->lock);
    return item;
}

void *clv_queue_pop_for(struct clv_queue *queue, int timeout_ms, bool *timed_out_out)
{
    struct timespec until;
    bool timed_out = false;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->is_closed && !timed_out)
        timed_out = pthread_cond_timedwait(&queue->has_item, &queue->lock, &until) == ETIMEDOUT;
    *timed_out_out = queue->count == 0 && !queue->is_closed;
    void *item = take(queue);
    pthread_mutex_unlock(&queue->lock);
    return item;
}

void clv_queue_close(struct clv_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pthread_cond_broadcast(&queue->has_item);
    pthread_cond_broadcast(&queue->has_room);
    pthread_mutex_unlock(&queue->lock);
}

void clv_queue_free(struct clv_queue *queue)
{
    if (!queue)
        return;
    pthread_cond_destroy(&queue->has_room);
    pthread_cond_destroy(&queue->has_item);
    pthread_mutex_destroy(&queue->lock);
    free(queue->items);
    free(queue);
}
