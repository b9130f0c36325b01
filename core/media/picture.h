/* Private: decoded frames as upright RGB pictures with square pixels. */
#ifndef CLV_CORE_MEDIA_PICTURE_H
#define CLV_CORE_MEDIA_PICTURE_H

#include "core/image.h"
#include "core/media/ffmpeg.h"

#include <stdbool.h>
#include <stdint.h>

/* How a frame's stored pixels come to be shown. First they are scaled to square pixels, then rows
 * and columns are exchanged, then the result is mirrored. */
struct clv_geometry {
    int scaled_width, scaled_height; /* before the exchange */
    int width, height;               /* as shown */
    bool transpose;
    bool flip_x, flip_y; /* of the stored picture's columns and rows */
    AVRational sample_aspect_ratio;
};

/* `stream` supplies what the frame does not say. */
void clv_geometry_of(struct clv_geometry *out, AVFormatContext *format, AVStream *stream,
                     const AVFrame *frame);
/* Degrees clockwise: 0, 90, 180, 270. */
int clv_geometry_rotation(const struct clv_geometry *geometry);

/* Holds the converter and the picture made last. Zero-initialise. */
struct clv_picture {
    struct SwsContext *scaler;
    int format, width, height, scaled_width, scaled_height, colorspace, is_full_range;
    uint8_t *scaled, *turned;
    size_t scaled_capacity, turned_capacity;
};

/* Converts `frame`; `out` is borrowed until the next call. `name` is for messages. */
int clv_picture_convert(struct clv_picture *picture, struct clv_image *out, const AVFrame *frame,
                        const struct clv_geometry *geometry, const char *name);
void clv_picture_release(struct clv_picture *picture);

/* The colour matrix of a frame (SWS_CS_…): what it says, or by its size as players guess. */
int clv_picture_matrix(enum AVColorSpace space, int width, int height);

#endif
