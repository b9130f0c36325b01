/* The arena, byte strings, picture memory. */
#include "core/arena.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/image.h"
#include "tests/t.h"

#include <stdint.h>
#include <string.h>

static void multiplying_sizes_notices_overflow(void)
{
    size_t product = 0;
    CHECK(clv_size_multiply(&product, 6, 7) && product == 42);
    CHECK(clv_size_multiply(&product, SIZE_MAX, 1) && product == SIZE_MAX);
    CHECK(clv_size_multiply(&product, SIZE_MAX, 0) && product == 0);
    CHECK(!clv_size_multiply(&product, SIZE_MAX, 2));
    CHECK(!clv_size_multiply(&product, SIZE_MAX / 2 + 1, 2));
    CHECK(!clv_size_multiply(&product, (size_t)1 << 32, (size_t)1 << 32));
}

static void arena_gives_aligned_separate_memory(void)
{
    struct clv_arena arena;
    REQUIRE_OK(clv_arena_init(&arena, 4096));
    unsigned char *pieces[5];
    static const size_t sizes[5] = {1, 64, 0, 100, 13};
    for (int i = 0; i < 5; i++) {
        pieces[i] = clv_arena_alloc(&arena, sizes[i], 1);
        REQUIRE(pieces[i] != NULL);
        CHECK_INT((uintptr_t)pieces[i] % 64, 0);
        memset(pieces[i], i + 1, sizes[i]);
    }
    for (int i = 0; i < 5; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            CHECK(pieces[i][j] == i + 1);
    clv_arena_release(&arena);
    CHECK(arena.base == NULL);
    clv_arena_release(&arena);
}

static void arena_mark_and_reset_reuse_memory(void)
{
    struct clv_arena arena;
    REQUIRE_OK(clv_arena_init(&arena, 1024));
    void *kept = clv_arena_alloc(&arena, 16, 4);
    size_t mark = clv_arena_mark(&arena);
    void *first = clv_arena_alloc(&arena, 100, 1);
    clv_arena_reset(&arena, mark);
    void *second = clv_arena_alloc(&arena, 100, 1);
    CHECK(kept != NULL && first != NULL && first == second && second > kept);
    clv_arena_reset(&arena, 0);
    CHECK(clv_arena_alloc(&arena, 1, 1) == kept);
    clv_arena_release(&arena);
}

static void arena_refuses_what_does_not_fit(void)
{
    struct clv_arena arena;
    REQUIRE_OK(clv_arena_init(&arena, 256));
    CHECK(clv_arena_alloc(&arena, 257, 1) == NULL);
    CHECK(strstr(clv_error_message(), "256 bytes") != NULL);
    CHECK(clv_arena_alloc(&arena, SIZE_MAX, 1) == NULL);
    CHECK(clv_arena_alloc(&arena, SIZE_MAX / 2, 4) == NULL);
    int count = 0;
    while (clv_arena_alloc(&arena, 1, 1))
        count++;
    CHECK(count >= 2 && count <= 4);
    clv_arena_release(&arena);
    CHECK_ERROR(clv_arena_init(&arena, SIZE_MAX - 8), CLV_ENOMEM, "out of memory");
    REQUIRE_OK(clv_arena_init(&arena, 0));
    CHECK(clv_arena_alloc(&arena, 1000, 1) == NULL);
    clv_arena_release(&arena);
}

static void bytes_grow_and_stay_terminated(void)
{
    struct clv_bytes bytes = {0};
    clv_bytes_add(&bytes, NULL, 0);
    CHECK(bytes.data != NULL && bytes.data[0] == '\0' && bytes.size_bytes == 0);
    for (int i = 0; i < 1000; i++)
        clv_bytes_format(&bytes, "%d,", i);
    CHECK_INT(bytes.status, CLV_OK);
    CHECK_INT(bytes.size_bytes, 10 * 2 + 90 * 3 + 900 * 4);
    CHECK_INT(strlen(bytes.data), bytes.size_bytes);
    CHECK(strncmp(bytes.data, "0,1,2,", 6) == 0);
    clv_bytes_clear(&bytes);
    CHECK(bytes.size_bytes == 0 && bytes.data[0] == '\0');
    clv_bytes_add(&bytes, "a\0b", 3);
    CHECK_INT(bytes.size_bytes, 3);
    CHECK(memcmp(bytes.data, "a\0b", 4) == 0);
    clv_bytes_release(&bytes);
    CHECK(bytes.data == NULL && bytes.size_bytes == 0);
    clv_bytes_release(&bytes);
}

static void bytes_keep_the_first_failure(void)
{
    struct clv_bytes bytes = {0};
    clv_bytes_text(&bytes, "kept");
    clv_bytes_add(&bytes, "x", SIZE_MAX / 2);
    CHECK_INT(bytes.status, CLV_ENOMEM);
    clv_bytes_text(&bytes, "dropped");
    clv_bytes_format(&bytes, "%d", 5);
    CHECK_STRING(bytes.data, "kept");
    CHECK_INT(bytes.status, CLV_ENOMEM);
    clv_bytes_clear(&bytes);
    clv_bytes_text(&bytes, "again");
    CHECK_INT(bytes.status, CLV_OK);
    CHECK_STRING(bytes.data, "again");
    clv_bytes_release(&bytes);
}

static void pictures_have_aligned_rows(void)
{
    struct clv_image image;
    REQUIRE_OK(clv_image_create(&image, 21, 5));
    CHECK_INT(image.width, 21);
    CHECK_INT(image.height, 5);
    CHECK_INT(image.stride_bytes, 64);
    CHECK_INT((uintptr_t)image.pixels % 64, 0);
    memset(image.pixels, 1, image.stride_bytes * 5);
    clv_image_release(&image);
    CHECK(image.pixels == NULL);
    clv_image_release(&image);
    REQUIRE_OK(clv_image_create(&image, 22, 1));
    CHECK_INT(image.stride_bytes, 128);
    clv_image_release(&image);
}

static void impossible_pictures_are_refused(void)
{
    struct clv_image image = {(uint8_t *)1, 1, 1, 1};
    CHECK_ERROR(clv_image_create(&image, 0, 5), CLV_EINVAL, "0 x 5 pixels");
    CHECK(image.pixels == NULL);
    CHECK_ERROR(clv_image_create(&image, 5, -1), CLV_EINVAL, "5 x -1");
    CHECK_ERROR(clv_image_create(&image, INT32_MAX, INT32_MAX), CLV_EINVAL, "cannot be");
}

int main(void)
{
    T_RUN(multiplying_sizes_notices_overflow);
    T_RUN(arena_gives_aligned_separate_memory);
    T_RUN(arena_mark_and_reset_reuse_memory);
    T_RUN(arena_refuses_what_does_not_fit);
    T_RUN(bytes_grow_and_stay_terminated);
    T_RUN(bytes_keep_the_first_failure);
    T_RUN(pictures_have_aligned_rows);
    T_RUN(impossible_pictures_are_refused);
    return t_end();
}
