/* A thread that fills slots ahead of whoever takes them, in order. */
#ifndef CLV_CORE_AHEAD_H
#define CLV_CORE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_ahead;

/* Fills `slot` with item `number`. False: it is the last, whatever was to come. */
typedef bool clv_ahead_fill(void *payload, void *slot, int64_t number);

struct clv_ahead_options {
    void *slots; /* [slot_count] of slot_size_bytes each; borrowed */
    size_t slot_size_bytes;
    int slot_count;
    int64_t first, end; /* items first … end - 1 */
    clv_ahead_fill *fill;
    void *payload;
};

/* Starts filling. CLV_ENOMEM, CLV_ERR where no thread can be started. */
int clv_ahead_start(struct clv_ahead **out, const struct clv_ahead_options *options);
/* Ends after the item at hand; what was filled ahead is dropped. Accepts NULL. */
void clv_ahead_stop(struct clv_ahead *ahead);

/* The slot of the next item, waiting for it, to be given back; NULL after the last. */
void *clv_ahead_next(struct clv_ahead *ahead);
void clv_ahead_give_back(struct clv_ahead *ahead, void *slot);

#endif
