/* The bump allocator. ASan's interface is reached through weak symbols of the compiler's own
 * runtime, so that a plain build needs nothing. */
#include "core/arena.h"

#include "core/error.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define CLV_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CLV_ASAN 1
#endif
#endif

#ifdef CLV_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(address, size) ASAN_POISON_MEMORY_REGION(address, size)
#define UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#define REDZONE_BYTES 64
#else
#define POISON(address, size) ((void)(address), (void)(size))
#define UNPOISON(address, size) ((void)(address), (void)(size))
#define REDZONE_BYTES 0
#endif

#define ALIGNMENT 64

bool clv_size_multiply(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

int clv_arena_init(struct clv_arena *arena, size_t capacity_bytes)
{
    *arena = (struct clv_arena){0};
    if (capacity_bytes > SIZE_MAX - ALIGNMENT)
        return clv_fail_memory("an arena");
    size_t rounded = (capacity_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *base = aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT);
    if (!base)
        return clv_fail_memory("an arena");
    arena->base = base;
    arena->capacity_bytes = rounded;
    POISON(arena->base, rounded);
    return CLV_OK;
}

void *clv_arena_alloc(struct clv_arena *arena, size_t count, size_t element_bytes)
{
    size_t size;
    size_t left = arena->capacity_bytes - arena->used_bytes;
    if (!clv_size_multiply(&size, count, element_bytes) || size > left ||
        size + REDZONE_BYTES > left) {
        clv_fail(CLV_ENOMEM, "scratch memory of %zu bytes is too small", arena->capacity_bytes);
        return NULL;
    }
    unsigned char *data = arena->base + arena->used_bytes;
    UNPOISON(data, size);
    size_t taken = (size + REDZONE_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    arena->used_bytes += taken < left ? taken : left;
    return data;
}

size_t clv_arena_mark(const struct clv_arena *arena)
{
    return arena->used_bytes;
}

void clv_arena_reset(struct clv_arena *arena, size_t mark)
{
    assert(mark <= arena->used_bytes);
    POISON(arena->base + mark, arena->used_bytes - mark);
    arena->used_bytes = mark;
}

void clv_arena_release(struct clv_arena *arena)
{
    if (arena->base)
        UNPOISON(arena->base, arena->capacity_bytes);
    free(arena->base);
    *arena = (struct clv_arena){0};
}
