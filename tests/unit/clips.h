/* Synthetic videos whose every frame can be told from its pixels. */
#ifndef CLV_TESTS_UNIT_CLIPS_H
#define CLV_TESTS_UNIT_CLIPS_H

#include "core/image.h"
#include "core/media/reader.h"

#include <stdbool.h>
#include <stdint.h>

/* What is painted: the frame's number as ten black or white blocks across the upper half (in Gray
 * code, so that one block changes at a time), a bar
 * that moves through the lower half over the scene's colour, and corners of four colours (red,
 * green, blue, white, clockwise from the upper left). */
struct clip {
    int width, height, frame_count;
    int rate_num, rate_den; /* frames per second; 0: 25/1 */
    int scene_length;       /* frames until the colour changes; 0: never */
    int quality;            /* 0: 12 */
};

void clip_paint(struct clv_image *image, int number, int scene);
/* The number painted on `image`, -1 where there is none to be read. */
int clip_number(const struct clv_image *image);
/* "rgbw…": one letter per corner, clockwise from the upper left, '?' where it is none of them. */
void clip_corners(char out[5], const struct clv_image *image);
/* Mean of a channel over the middle of the lower half. */
double clip_mean(const struct clv_image *image, int channel);

/* Writes it through clv_writer; checks fail where that fails. Returns the path. */
const char *clip_write(const char *directory, const char *name, const struct clip *clip);

/* Runs "ffmpeg -v error -y ARGUMENTS". False, after t_skip(), where there is no such program, and
 * after a failed check where it fails. */
bool clip_ffmpeg(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Everything a file gives. `numbers` and `times_us` (since 0:00) hold up to `frame_max`. */
struct clip_reading {
    struct clv_media_info info;
    int frame_count, cut_count;
    int numbers[512], cuts[64];
    int64_t times_us[512], end_us;
    int64_t damage_count;
    int status; /* of the call that ended it: CLV_DONE where all is well */
};
void clip_read(struct clip_reading *out, const char *path, double cut_score);

/* A whole file in memory; the caller frees. */
uint8_t *clip_bytes(const char *path, size_t *size_out);
void clip_put(const char *path, const void *data, size_t size);

#endif
