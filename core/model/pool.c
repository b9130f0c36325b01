/* A list of chunks. Under AddressSanitizer each allocation has a chunk of its own, so that
 * overruns are found. */
#include "core/model/pool.h"

#include "core/error.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define CHUNK_BYTES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHUNK_BYTES 0
#endif
#endif
#ifndef CHUNK_BYTES
#define CHUNK_BYTES ((size_t)64 * 1024)
#endif

struct clv_pool_chunk {
    struct clv_pool_chunk *next;
    size_t capacity_bytes;
    alignas(max_align_t) unsigned char data[];
};

void *clv_pool_alloc(struct clv_pool *pool, size_t size_bytes)
{
    const size_t unit = alignof(max_align_t);
    if (size_bytes > pool->limit_bytes || pool->total_bytes > pool->limit_bytes - size_bytes) {
        clv_fail(CLV_ENOMEM, "more than %zu bytes of memory would be needed", pool->limit_bytes);
        return NULL;
    }
    struct clv_pool_chunk *chunk = pool->chunks;
    size_t rounded = (size_bytes + unit - 1) / unit * unit;
    if (!chunk || rounded > chunk->capacity_bytes - pool->used_bytes) {
        size_t capacity = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
        chunk = calloc(1, sizeof *chunk + capacity);
        if (!chunk) {
            clv_fail_memory("a table");
            return NULL;
        }
        chunk->capacity_bytes = capacity;
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        pool->used_bytes = 0;
    }
    void *data = chunk->data + pool->used_bytes;
    pool->used_bytes += rounded;
    pool->total_bytes += rounded;
    return data;
}

char *clv_pool_text(struct clv_pool *pool, const char *text, size_t size_bytes)
{
    char *copy = clv_pool_alloc(pool, size_bytes + 1);
    if (copy && size_bytes)
        memcpy(copy, text, size_bytes);
    return copy;
}

void clv_pool_release(struct clv_pool *pool)
{
    while (pool->chunks) {
        struct clv_pool_chunk *next = pool->chunks->next;
        free(pool->chunks);
        pool->chunks = next;
    }
    pool->used_bytes = pool->total_bytes = 0;
}
