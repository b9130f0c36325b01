/* Copies by several threads are copies: every byte, none beside them, whatever the sizes. */
#include "core/compute/spread.h"
#include "tests/t.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, MARK = 0xa5 };

/* Memory for `size` bytes between guards. */
static unsigned char *guard(size_t size)
{
    unsigned char *memory = malloc(size + 2 * GUARD);
    if (memory)
        memset(memory, MARK, size + 2 * GUARD);
    return memory;
}

static bool is_whole(const unsigned char *memory, size_t size)
{
    bool is_kept = true;
    for (size_t i = 0; i < GUARD; i++)
        is_kept = is_kept && memory[i] == MARK && memory[GUARD + size + i] == MARK;
    return is_kept;
}

static void check_copy(size_t size, int thread_count)
{
    unsigned char *from = malloc(size + 1), *to = guard(size);
    REQUIRE(from && to);
    for (size_t i = 0; i < size; i++)
        from[i] = (unsigned char)(i % 251 + i / 4093);
    clv_spread_copy(to + GUARD, from, size, thread_count);
    CHECK(memcmp(to + GUARD, from, size) == 0);
    CHECK(is_whole(to, size));
    free(from);
    free(to);
}

static void check_parts(int count, size_t part_bytes, int thread_count)
{
    const size_t size = (size_t)count * part_bytes;
    unsigned char *from = malloc(size + 1), *to = guard(size);
    const void **parts = calloc((size_t)count + 1, sizeof *parts);
    REQUIRE(from && to && parts);
    for (size_t i = 0; i < size; i++)
        from[i] = (unsigned char)(i % 251 + i / 4093);
    for (int i = 0; i < count; i++)
        parts[i] = from + (size_t)(count - 1 - i) * part_bytes;
    clv_spread_parts(to + GUARD, parts, count, part_bytes, thread_count);
    int wrong = 0;
    for (int i = 0; i < count; i++)
        wrong += memcmp(to + GUARD + (size_t)i * part_bytes, parts[i], part_bytes) != 0;
    CHECK_INT(wrong, 0);
    CHECK(is_whole(to, size));
    free(from);
    free(to);
    free(parts);
}

static void copies_every_byte(void)
{
    static const size_t sizes[] = {0, 1, 4097, (1 << 20) - 1, 1 << 20, (5 << 20) + 3, 8 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int threads = 1; threads <= 4; threads++)
            check_copy(sizes[i], threads);
}

static void puts_parts_one_after_another(void)
{
    for (int threads = 1; threads <= 4; threads++) {
        check_parts(0, 5, threads);
        check_parts(3, 7, threads);
        check_parts(55, 150528, threads);
        check_parts(2, 5 << 20, threads);
    }
}

static void takes_few_threads(void)
{
    static const int want[][2] = {{1, 1}, {3, 1}, {7, 1}, {8, 2}, {15, 3}, {16, 4}, {64, 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        CHECK_INT(clv_spread_threads(want[i][0]), want[i][1]);
    CHECK(clv_spread_threads(0) >= 1 && clv_spread_threads(0) <= 4);
}

int main(void)
{
    T_RUN(copies_every_byte);
    T_RUN(puts_parts_one_after_another);
    T_RUN(takes_few_threads);
    return t_end();
}
