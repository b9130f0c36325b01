#include "indexer/order.h"

#include "core/error.h"

#include <pthread.h>
#include <stdlib.h>

struct clv_order {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int job_count, ahead_max;
    size_t held_max_bytes;
    int claimed_count, judged_count, stored_count;
    size_t held_bytes;
    bool is_stopped;
};

int clv_order_create(struct clv_order **out, int job_count, int ahead_max, size_t held_max_bytes)
{
    struct clv_order *order = *out = calloc(1, sizeof *order);
    if (!order)
        return clv_fail_memory("the order of files");
    pthread_mutex_init(&order->lock, NULL);
    pthread_cond_init(&order->changed, NULL);
    order->job_count = job_count;
    order->ahead_max = ahead_max;
    order->held_max_bytes = held_max_bytes;
    return CLV_OK;
}

void clv_order_free(struct clv_order *order)
{
    if (!order)
        return;
    pthread_cond_destroy(&order->changed);
    pthread_mutex_destroy(&order->lock);
    free(order);
}

void clv_order_stop(struct clv_order *order)
{
    pthread_mutex_lock(&order->lock);
    order->is_stopped = true;
    pthread_cond_broadcast(&order->changed);
    pthread_mutex_unlock(&order->lock);
}

/* The lock is held. */
static bool is_full(const struct clv_order *order)
{
    return order->claimed_count - order->stored_count >= order->ahead_max ||
           order->held_bytes >= order->held_max_bytes;
}

bool clv_order_claim(struct clv_order *order, int *job_out)
{
    pthread_mutex_lock(&order->lock);
    while (!order->is_stopped && order->claimed_count < order->job_count && is_full(order))
        pthread_cond_wait(&order->changed, &order->lock);
    bool has_job = !order->is_stopped && order->claimed_count < order->job_count;
    if (has_job)
        *job_out = order->claimed_count++;
    pthread_mutex_unlock(&order->lock);
    return has_job;
}

bool clv_order_await(struct clv_order *order, int job)
{
    pthread_mutex_lock(&order->lock);
    while (!order->is_stopped && order->judged_count != job)
        pthread_cond_wait(&order->changed, &order->lock);
    bool is_turn = !order->is_stopped;
    pthread_mutex_unlock(&order->lock);
    return is_turn;
}

void clv_order_judged(struct clv_order *order, int job)
{
    pthread_mutex_lock(&order->lock);
    order->judged_count = job + 1;
    pthread_cond_broadcast(&order->changed);
    pthread_mutex_unlock(&order->lock);
}

void clv_order_hold(struct clv_order *order, size_t bytes)
{
    pthread_mutex_lock(&order->lock);
    order->held_bytes += bytes;
    pthread_mutex_unlock(&order->lock);
}

void clv_order_stored(struct clv_order *order, size_t bytes)
{
    pthread_mutex_lock(&order->lock);
    bool was_full = is_full(order);
    order->stored_count++;
    order->held_bytes -= bytes;
    if (was_full && !is_full(order))
        pthread_cond_broadcast(&order->changed);
    pthread_mutex_unlock(&order->lock);
}

bool clv_order_is_waiting(struct clv_order *order)
{
    pthread_mutex_lock(&order->lock);
    bool is_waiting = order->claimed_count < order->job_count && is_full(order);
    pthread_mutex_unlock(&order->lock);
    return is_waiting;
}
