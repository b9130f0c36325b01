/* Still pictures in and out. */
#include "core/error.h"
#include "core/media/reader.h"
#include "core/media/writer.h"
#include "tests/t.h"
#include "tests/unit/clips.h"

#include <stdlib.h>
#include <string.h>

static const char *put_jpeg(const char *directory, const struct clv_image *image, int width_max,
                            int height_max)
{
    const char *path = t_path(directory, "picture.jpg");
    struct clv_bytes bytes = {0};
    CHECK_OK(clv_image_jpeg(&bytes, image, width_max, height_max));
    CHECK(bytes.size_bytes > 100 && (uint8_t)bytes.data[0] == 0xff &&
          (uint8_t)bytes.data[1] == 0xd8);
    clip_put(path, bytes.data, bytes.size_bytes);
    clv_bytes_release(&bytes);
    return path;
}

static void writes_jpegs_that_read_back(void)
{
    static const int sizes[][2] = {{320, 240}, {161, 121}, {1280, 720}, {9, 700}};
    const char *directory = t_directory();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct clv_image image, back;
        double sum = 0;
        REQUIRE_OK(clv_image_create(&image, sizes[i][0], sizes[i][1]));
        clip_paint(&image, 5, 0);
        REQUIRE_OK(clv_image_load(&back, put_jpeg(directory, &image, 0, 0)));
        CHECK_INT(back.width, image.width);
        CHECK_INT(back.height, image.height);
        for (int y = 0; y < image.height && y < back.height; y++)
            for (int x = 0; x < 3 * image.width; x++)
                sum += abs(image.pixels[(size_t)y * image.stride_bytes + (size_t)x] -
                           back.pixels[(size_t)y * back.stride_bytes + (size_t)x]);
        CHECK_NEAR(sum / (3.0 * image.width * image.height), 0, image.width < 16 ? 12 : 5);
        clv_image_release(&image);
        clv_image_release(&back);
    }
}

static void scales_to_fit(void)
{
    static const int cases[][4] = {
        {160, 0, 160, 120}, {0, 60, 80, 60},      {100, 100, 100, 75},
        {200, 30, 40, 30},  {640, 480, 320, 240}, {1, 0, 1, 1},
    };
    const char *directory = t_directory();
    struct clv_image image, back;
    REQUIRE_OK(clv_image_create(&image, 320, 240));
    clip_paint(&image, 5, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        REQUIRE_OK(clv_image_load(&back, put_jpeg(directory, &image, cases[i][0], cases[i][1])));
        CHECK_INT(back.width, cases[i][2]);
        CHECK_INT(back.height, cases[i][3]);
        if (back.width >= 80)
            CHECK_INT(clip_number(&back), 5);
        clv_image_release(&back);
    }
    struct clv_bytes bytes = {0};
    const struct clv_image nothing = {0};
    CHECK_ERROR(clv_image_jpeg(&bytes, &nothing, 0, 0), CLV_EINVAL, "empty picture");
    CHECK_INT(bytes.size_bytes, 0);
    clv_image_release(&image);
}

/* The orientation cameras write into JPEGs turns the picture. */
static void follows_exif(void)
{
    static const char *const corners[] = {"rgbw", "grwb", "bwrg", "wbgr",
                                          "rwbg", "wrgb", "bgrw", "gbwr"};
    const char *directory = t_directory();
    struct clv_image image, back;
    REQUIRE_OK(clv_image_create(&image, 160, 120));
    clip_paint(&image, 5, 0);
    const char *path = put_jpeg(directory, &image, 0, 0);
    size_t size;
    uint8_t *data = clip_bytes(path, &size);
    for (int orientation = 1; data && orientation <= 8; orientation++) {
        uint8_t exif[36] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,
                            'M',  'M',  0, 42, 0,   0,   0,   8,   0, 1,
                            0x01, 0x12, 0, 3,  0,   0,   0,   1,   0, (uint8_t)orientation};
        uint8_t *whole = malloc(size + sizeof exif);
        char got[5];
        REQUIRE(whole != NULL);
        memcpy(whole, data, 2);
        memcpy(whole + 2, exif, sizeof exif);
        memcpy(whole + 2 + sizeof exif, data + 2, size - 2);
        clip_put(path, whole, size + sizeof exif);
        free(whole);
        REQUIRE_OK(clv_image_load(&back, path));
        clip_corners(got, &back);
        CHECK_STRING(got, corners[orientation - 1]);
        CHECK_INT(back.width, orientation < 5 ? 160 : 120);
        clv_image_release(&back);
    }
    free(data);
    clv_image_release(&image);
}

static void loads_what_people_have(void)
{
    static const char *const names[] = {"a.png", "b.webp", "c.bmp", "d.gif", "e.tiff", "f.ppm"};
    const struct clip clip = {.width = 160, .height = 120, .frame_count = 8};
    const char *directory = t_directory();
    const char *source = clip_write(directory, "s.mp4", &clip);
    struct clv_image image;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = t_path(directory, names[i]);
        if (!clip_ffmpeg("-i %s -vf \"select='eq(n,6)'\" -frames:v 1 %s", source, path))
            return;
        REQUIRE_OK(clv_image_load(&image, path));
        CHECK_INT(image.width, 160);
        CHECK_INT(clip_number(&image), 6);
        clv_image_release(&image);
    }
    REQUIRE_OK(clv_image_load(&image, source));
    CHECK_INT(clip_number(&image), 0);
    clv_image_release(&image);
}

static void refuses_what_is_no_picture(void)
{
    const char *directory = t_directory();
    const char *path = t_path(directory, "x.png");
    struct clv_image image = {.width = 5};
    CHECK_ERROR(clv_image_load(&image, path), CLV_ENOTFOUND, "x.png");
    CHECK(image.pixels == NULL && image.width == 0);
    clip_put(path, "\x89PNG\r\n\x1a\n", 8);
    CHECK(clv_image_load(&image, path) < 0);
    CHECK(strstr(clv_error_message(), "x.png") != NULL);
    CHECK(image.pixels == NULL);
}

int main(void)
{
    T_RUN(writes_jpegs_that_read_back);
    T_RUN(scales_to_fit);
    T_RUN(follows_exif);
    T_RUN(loads_what_people_have);
    T_RUN(refuses_what_is_no_picture);
    return t_end();
}
