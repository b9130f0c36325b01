/* Private to core/model: many small allocations of unknown number that are released together. */
#ifndef CLV_CORE_MODEL_POOL_H
#define CLV_CORE_MODEL_POOL_H

#include <stddef.h>

struct clv_pool_chunk;

/* Zero-initialise, then set `limit_bytes`. */
struct clv_pool {
    struct clv_pool_chunk *chunks; /* the newest first */
    size_t used_bytes;             /* of the newest */
    size_t total_bytes;            /* of all that was given out */
    size_t limit_bytes;
};

/* Zeroed memory, aligned for any type, valid until the release; NULL with CLV_ENOMEM's message
 * where there is none or the limit would be passed. */
void *clv_pool_alloc(struct clv_pool *pool, size_t size_bytes);
/* A copy of the bytes with a NUL after them. */
char *clv_pool_text(struct clv_pool *pool, const char *text, size_t size_bytes);
void clv_pool_release(struct clv_pool *pool);

#endif
