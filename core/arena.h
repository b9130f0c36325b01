/* A bump allocator with mark and reset for scratch memory: one allocation at the start, none in
 * the loop. Under AddressSanitizer the unused part is poisoned and each allocation ends in a
 * redzone, so that overruns inside the arena are still found. */
#ifndef CLV_CORE_ARENA_H
#define CLV_CORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct clv_arena {
    unsigned char *base;
    size_t capacity_bytes;
    size_t used_bytes;
};

/* a * b into *out; false where that overflows. */
bool clv_size_multiply(size_t *out, size_t a, size_t b);

/* CLV_ENOMEM where the memory cannot be had. Pair with clv_arena_release(). */
int clv_arena_init(struct clv_arena *arena, size_t capacity_bytes);

/* 64-byte aligned, uninitialised memory for `count` elements; NULL (with the message recorded)
 * where the arena is too small or the product overflows. Valid until a reset below it. */
void *clv_arena_alloc(struct clv_arena *arena, size_t count, size_t element_bytes);

size_t clv_arena_mark(const struct clv_arena *arena);
void clv_arena_reset(struct clv_arena *arena, size_t mark);
void clv_arena_release(struct clv_arena *arena);

#endif
