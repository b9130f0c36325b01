/* A bounded queue of pointers between threads: what keeps a pipeline's memory bounded. */
#ifndef CLV_CORE_QUEUE_H
#define CLV_CORE_QUEUE_H

#include <stdbool.h>

struct clv_queue;

int clv_queue_create(struct clv_queue **out, int capacity);
/* Waits for room. False once the queue is closed; the item then stays the caller's. */
bool clv_queue_push(struct clv_queue *queue, void *item);
/* Waits for an item. NULL once the queue is closed and empty. */
void *clv_queue_pop(struct clv_queue *queue);
/* As clv_queue_pop(), but gives up after `timeout_ms`: then NULL with *timed_out_out set. */
void *clv_queue_pop_for(struct clv_queue *queue, int timeout_ms, bool *timed_out_out);
/* No more pushes succeed; pops drain what is left. Safe from any thread, more than once. */
void clv_queue_close(struct clv_queue *queue);
/* The items still inside are not freed: drain first. Accepts NULL. */
void clv_queue_free(struct clv_queue *queue);

#endif
