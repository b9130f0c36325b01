/* The pixel rules against what Pillow and OpenCV make of the same pictures (tests/data/pixels.bin,
 * written by make_pixels.py), and normalisation against its formula in double precision. */
#include "core/bytes.h"
#include "core/error.h"
#include "core/gzip.h"
#include "core/model/pixels.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* make_pixels.py draws the same. */
static uint8_t drawn(uint32_t x, uint32_t y, uint32_t c, int kind)
{
    if (kind == 0) {
        uint32_t v = (x * 73856093u) ^ (y * 19349663u) ^ (c * 83492791u);
        v ^= v >> 13;
        v *= 1274126177u;
        v ^= v >> 16;
        return (uint8_t)v;
    }
    if (kind == 1)
        return (uint8_t)(x * 3 + y * 5 + c * 80);
    return (x / 3 + y / 3 + c) % 2 == 0 ? 0 : 255;
}

/* An exact allocation without padding, so that reads past the end are found; the caller frees. */
static struct clv_image draw(int width, int height, int kind)
{
    struct clv_image image = {malloc((size_t)width * (size_t)height * 3), width, height,
                              (size_t)width * 3};
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                image.pixels[(size_t)y * image.stride_bytes + 3 * (size_t)x + (size_t)c] =
                    drawn((uint32_t)x, (uint32_t)y, (uint32_t)c, kind);
    return image;
}

static void squares_equal_pillow_and_opencv(void)
{
    struct clv_bytes file = {0};
    REQUIRE_OK(clv_gzip_read(&file, "tests/data/pixels.bin", 1 << 20));
    int cases = 0;
    for (size_t at = 0; at + 20 <= file.size_bytes; cases++) {
        int32_t head[5];
        memcpy(head, file.data + at, sizeof head);
        size_t size = (size_t)head[3] * (size_t)head[3] * 3;
        at += sizeof head;
        REQUIRE(at + size <= file.size_bytes);
        struct clv_model_config config = {
            .image_side = head[3],
            .resize = head[0] ? CLV_RESIZE_BILINEAR_256 : CLV_RESIZE_BICUBIC_ANTIALIAS,
        };
        struct clv_image image = draw(head[1], head[2], head[4]);
        uint8_t *square = malloc(size + 1);
        square[size] = 0xa5;
        CHECK_OK(clv_pixels_square(square, &image, &config));
        int worst = 0, different = 0;
        for (size_t i = 0; i < size; i++) {
            int error = abs(square[i] - (uint8_t)file.data[at + i]);
            worst = error > worst ? error : worst;
            different += error > 0;
        }
        if (worst > 0)
            t_fail(__FILE__, __LINE__, "rule %d, %d x %d to %d: off by up to %d at %d of %zu",
                   head[0], head[1], head[2], head[3], worst, different, size);
        CHECK_INT(square[size], 0xa5);
        free(square);
        free(image.pixels);
        at += size;
    }
    CHECK_INT(cases, 48);
    clv_bytes_release(&file);
}

/* One context over pictures of changing sizes gives what fresh ones give. */
static void a_context_can_be_used_again(void)
{
    static const int sizes[][2] = {{50, 40}, {50, 40}, {3, 90}, {200, 90}, {50, 40}, {1, 1}};
    for (int rule = 0; rule < 2; rule++) {
        struct clv_model_config config = {.image_side = 24, .resize = (enum clv_resize)rule};
        struct clv_pixels *pixels = NULL;
        REQUIRE_OK(clv_pixels_create(&pixels, &config));
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            uint8_t got[24 * 24 * 3], want[24 * 24 * 3];
            struct clv_image image = draw(sizes[i][0], sizes[i][1], (int)i % 3);
            CHECK_OK(clv_pixels_crop(pixels, got, &image));
            CHECK_OK(clv_pixels_square(want, &image, &config));
            CHECK(memcmp(got, want, sizeof got) == 0);
            free(image.pixels);
        }
        clv_pixels_free(pixels);
    }
    clv_pixels_free(NULL);
}

/* A constant picture stays constant under any size: weights sum to one. */
static void constant_pictures_stay_constant(void)
{
    uint64_t seed = 7;
    for (int i = 0; i < 60; i++) {
        int width = 1 + (int)(t_random(&seed) % 300), height = 1 + (int)(t_random(&seed) % 300);
        uint8_t level = i % 3 == 0 ? 255 : (uint8_t)t_random(&seed);
        struct clv_model_config config = {.image_side = 1 + (int)(t_random(&seed) % 60),
                                          .resize = (enum clv_resize)(i % 2)};
        struct clv_image image = draw(width, height, 0);
        memset(image.pixels, level, image.stride_bytes * (size_t)height);
        size_t size = (size_t)config.image_side * (size_t)config.image_side * 3;
        uint8_t *square = malloc(size);
        CHECK_OK(clv_pixels_square(square, &image, &config));
        int worst = 0;
        for (size_t j = 0; j < size; j++)
            worst = abs(square[j] - level) > worst ? abs(square[j] - level) : worst;
        /* OpenCV's own arithmetic loses one level where rows mix. */
        CHECK(worst <= i % 2);
        free(square);
        free(image.pixels);
    }
}

static void refuses_pictures_without_pixels(void)
{
    uint8_t square[12], pixel[3] = {0};
    struct clv_model_config config = {.image_side = 2};
    CHECK_ERROR(clv_pixels_square(square, &(struct clv_image){pixel, 0, 1, 3}, &config), CLV_EINVAL,
                "0 x 1 pixels");
    CHECK_ERROR(clv_pixels_square(square, &(struct clv_image){pixel, 1, -1, 3}, &config),
                CLV_EINVAL, "1 x -1 pixels");
    CHECK_ERROR(clv_pixels_square(square, &(struct clv_image){NULL, 1, 1, 3}, &config), CLV_EINVAL,
                "cannot be resized");
    config.image_side = 0;
    CHECK_ERROR(clv_pixels_square(square, &(struct clv_image){pixel, 1, 1, 3}, &config), CLV_EINVAL,
                "0 pixels");
}

static void normalises_as_the_formula(void)
{
    enum { SIDE = 13, AREA = SIDE * SIDE, COUNT = 2 };
    struct clv_model_config config = {
        .image_side = SIDE,
        .pixel_mean = {0.48145466f, 0.4578275f, 0.40821073f},
        .pixel_std = {0.26862954f, 0.26130258f, 0.27577711f},
    };
    static uint8_t squares[COUNT][AREA * 3];
    static float out[COUNT * 3 * AREA + 1];
    const uint8_t *const pointers[COUNT] = {squares[0], squares[1]};
    for (int i = 0; i < COUNT * AREA * 3; i++)
        squares[i / (AREA * 3)][i % (AREA * 3)] = (uint8_t)(i * 37);
    out[COUNT * 3 * AREA] = 123.0f;
    clv_pixels_normalize(out, pointers, COUNT, &config);
    for (int n = 0; n < COUNT; n++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < AREA; i++) {
                double want = (squares[n][3 * i + c] / 255.0 - (double)config.pixel_mean[c]) /
                              (double)config.pixel_std[c];
                double got = (double)out[(n * 3 + c) * AREA + i];
                if (!(fabs(got - want) <= 1e-6))
                    CHECK_NEAR(got, want, 1e-6);
            }
    CHECK(out[COUNT * 3 * AREA] == 123.0f);
}

int main(void)
{
    T_RUN(squares_equal_pillow_and_opencv);
    T_RUN(a_context_can_be_used_again);
    T_RUN(constant_pictures_stay_constant);
    T_RUN(refuses_pictures_without_pixels);
    T_RUN(normalises_as_the_formula);
    return t_end();
}
