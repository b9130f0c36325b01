/* The order of a run's files, whoever reads them: which file is read next, which may be judged by
 * its content, and how far reading may run ahead of what is stored. What a run decides and stores
 * does not depend on how many threads read. */
#ifndef CLV_INDEXER_ORDER_H
#define CLV_INDEXER_ORDER_H

#include <stdbool.h>
#include <stddef.h>

struct clv_order;

/* Of `job_count` files; reading runs at most `ahead_max` of them ahead, and begins none while the
 * segments that are held for files not stored yet take `held_max_bytes` or more. */
int clv_order_create(struct clv_order **out, int job_count, int ahead_max, size_t held_max_bytes);
void clv_order_free(struct clv_order *order);
/* Ends every wait, now and later. */
void clv_order_stop(struct clv_order *order);

/* The next file for this thread, waiting until it may begin. False where none is left, or once
 * stopped. */
bool clv_order_claim(struct clv_order *order, int *job_out);
/* Waits until all files before `job` have been judged. False once stopped. Whoever waited judges,
 * alone, and then calls clv_order_judged(). Every file claimed must come to this. */
bool clv_order_await(struct clv_order *order, int job);
void clv_order_judged(struct clv_order *order, int job);

/* For the encoding side: a file has ended, whose segments take `bytes` until it is stored. */
void clv_order_hold(struct clv_order *order, size_t bytes);
/* For the storing side: the next file of the order is stored, and what was held for it is free. */
void clv_order_stored(struct clv_order *order, size_t bytes);
/* Whether a file that could be begun is kept waiting by what is not stored yet. */
bool clv_order_is_waiting(struct clv_order *order);

#endif
