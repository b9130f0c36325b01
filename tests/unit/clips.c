/* Synthetic videos. */
#include "tests/unit/clips.h"

#include "core/error.h"
#include "core/media/writer.h"
#include "tests/t.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BITS 10

static const uint8_t corner_colours[4][3] = {
    {220, 20, 20}, {20, 200, 20}, {20, 20, 220}, {235, 235, 235}};
static const uint8_t scene_colours[4][3] = {
    {40, 60, 160}, {190, 200, 60}, {60, 20, 30}, {170, 190, 220}};

static void fill(struct clv_image *image, int x0, int y0, int x1, int y1, const uint8_t colour[3])
{
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            memcpy(image->pixels + (size_t)y * image->stride_bytes + 3 * (size_t)x, colour, 3);
}

void clip_paint(struct clv_image *image, int number, int scene)
{
    static const uint8_t black[3] = {10, 10, 10}, white[3] = {245, 245, 245},
                         bar[3] = {120, 120, 120};
    int w = image->width, h = image->height, corner_w = w / 8, corner_h = h / 8;
    fill(image, 0, 0, w, h, scene_colours[scene % 4]);
    for (int bit = 0; bit < BITS; bit++)
        fill(image, bit * w / BITS, h / 8, (bit + 1) * w / BITS, h / 2,
             (number ^ number >> 1) >> bit & 1 ? white : black);
    int at = number * 3 % (w * 3 / 4);
    fill(image, at, h * 5 / 8, at + w / 8, h * 7 / 8, bar);
    fill(image, 0, 0, corner_w, corner_h, corner_colours[0]);
    fill(image, w - corner_w, 0, w, corner_h, corner_colours[1]);
    fill(image, w - corner_w, h - corner_h, w, h, corner_colours[2]);
    fill(image, 0, h - corner_h, corner_w, h, corner_colours[3]);
}

static const uint8_t *pixel(const struct clv_image *image, int x, int y)
{
    return image->pixels + (size_t)y * image->stride_bytes + 3 * (size_t)x;
}

int clip_number(const struct clv_image *image)
{
    int number = 0, coded = 0;
    for (int bit = 0; bit < BITS; bit++) {
        int x = (2 * bit + 1) * image->width / (2 * BITS), y = image->height * 5 / 16;
        int value = pixel(image, x, y)[1];
        if (value > 90 && value < 165)
            return -1;
        coded |= (value >= 165) << bit;
    }
    for (; coded; coded >>= 1)
        number ^= coded;
    return number;
}

void clip_corners(char out[5], const struct clv_image *image)
{
    static const char letters[] = "rgbw";
    int dx = image->width / 16, dy = image->height / 16;
    const int at[4][2] = {{dx, dy},
                          {image->width - 1 - dx, dy},
                          {image->width - 1 - dx, image->height - 1 - dy},
                          {dx, image->height - 1 - dy}};
    for (int corner = 0; corner < 4; corner++) {
        const uint8_t *got = pixel(image, at[corner][0], at[corner][1]);
        out[corner] = '?';
        for (int i = 0; i < 4; i++) {
            int distance = 0;
            for (int c = 0; c < 3; c++)
                distance = abs(got[c] - corner_colours[i][c]) > distance
                               ? abs(got[c] - corner_colours[i][c])
                               : distance;
            if (distance < 40)
                out[corner] = letters[i];
        }
    }
    out[4] = '\0';
}

double clip_mean(const struct clv_image *image, int channel)
{
    double sum = 0;
    int count = 0;
    for (int y = image->height * 5 / 8; y < image->height * 7 / 8; y++)
        for (int x = image->width / 4; x < image->width * 3 / 4; x++, count++)
            sum += pixel(image, x, y)[channel];
    return sum / count;
}

static int draw(void *payload, struct clv_image *image, int index)
{
    const struct clip *clip = payload;
    clip_paint(image, index, clip->scene_length ? index / clip->scene_length : 0);
    return CLV_OK;
}

const char *clip_write(const char *directory, const char *name, const struct clip *clip)
{
    const char *path = t_path(directory, name);
    struct clip drawn = *clip;
    const struct clv_writer_options options = {
        .width = clip->width,
        .height = clip->height,
        .frame_time = {clip->rate_den ? clip->rate_den : 1, clip->rate_num ? clip->rate_num : 25},
        .quality = clip->quality ? clip->quality : 12,
    };
    CHECK_OK(clv_writer_film(path, &options, clip->frame_count, draw, &drawn));
    return path;
}

bool clip_ffmpeg(const char *format, ...)
{
    char arguments[2048], command[2200];
    va_list list;
    if (system("command -v ffmpeg >/dev/null 2>&1") != 0) {
        t_skip("there is no ffmpeg program to make the file with");
        return false;
    }
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    snprintf(command, sizeof command, "ffmpeg -nostdin -v error -y %s", arguments);
    if (system(command) == 0)
        return true;
    t_fail(__FILE__, __LINE__, "%s: failed", command);
    return false;
}

void clip_read(struct clip_reading *out, const char *path, double cut_score)
{
    const struct clv_reader_options options = {
        .detect_cuts = cut_score > 0, .cut_score = cut_score, .thread_count = 2};
    const struct clv_timebase microseconds = {1, 1000000};
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    *out = (struct clip_reading){0};
    out->status = clv_reader_open(&reader, path, &options);
    if (out->status != CLV_OK)
        return;
    out->info = *clv_reader_info(reader);
    while ((out->status = clv_reader_next(reader, &frame)) == CLV_OK) {
        const struct clv_image *image = NULL;
        CHECK_OK(clv_reader_image(reader, &image));
        if (image && out->frame_count < 512) {
            out->numbers[out->frame_count] = clip_number(image);
            out->times_us[out->frame_count] = clv_time_rescale(
                frame.time_ticks - out->info.start_ticks, out->info.timebase, microseconds);
        }
        out->end_us = clv_time_rescale(frame.end_ticks - out->info.start_ticks, out->info.timebase,
                                       microseconds);
        if (frame.is_cut && out->cut_count < 64)
            out->cuts[out->cut_count++] = out->frame_count;
        out->frame_count++;
    }
    out->damage_count = clv_reader_damage_count(reader);
    clv_reader_close(reader);
}

uint8_t *clip_bytes(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    uint8_t *data = size >= 0 ? malloc((size_t)size + 1) : NULL;
    *size_out = 0;
    if (data) {
        rewind(file);
        *size_out = fread(data, 1, (size_t)size, file);
    }
    if (file)
        fclose(file);
    CHECK(data != NULL);
    return data;
}

void clip_put(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, size, file) == size);
    if (file)
        fclose(file);
}
