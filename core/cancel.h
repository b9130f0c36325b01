/* A request to stop, set from a signal handler or another thread and polled by long work. */
#ifndef CLV_CORE_CANCEL_H
#define CLV_CORE_CANCEL_H

#include <stdbool.h>
#include <stddef.h>

struct clv_cancel {
    int requested; /* touched only through the functions below */
};

static inline void clv_cancel_request(struct clv_cancel *cancel)
{
    __atomic_store_n(&cancel->requested, 1, __ATOMIC_SEQ_CST);
}

/* NULL means: never cancelled. */
static inline bool clv_cancelled(struct clv_cancel *cancel)
{
    return cancel != NULL && __atomic_load_n(&cancel->requested, __ATOMIC_SEQ_CST) != 0;
}

#endif
