/* A request to stop, set from a signal handler or another thread and polled by long work. */
#ifndef CLV_CORE_CANCEL_H
#define CLV_CORE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct clv_cancel {
    atomic_int requested;
};

static inline void clv_cancel_request(struct clv_cancel *cancel)
{
    atomic_store(&cancel->requested, 1);
}

/* NULL means: never cancelled. */
static inline bool clv_cancelled(struct clv_cancel *cancel)
{
    return cancel != NULL && atomic_load(&cancel->requested) != 0;
}

#endif
