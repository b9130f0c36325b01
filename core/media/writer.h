/* Video files and still pictures out. */
#ifndef CLV_CORE_MEDIA_WRITER_H
#define CLV_CORE_MEDIA_WRITER_H

#include "core/bytes.h"
#include "core/image.h"
#include "core/time.h"

#include <stdint.h>

struct clv_writer;

struct clv_writer_options {
    int width, height;              /* even */
    struct clv_timebase frame_time; /* duration of one frame, e.g. 1/25 */
    int quality;                    /* x264 CRF; 0: 20 */
    int thread_count;               /* 0: all cores */
};

/* Writes H.264 (yuv420p) into the container the name asks for (.mp4, .mkv, .avi …), under a
 * temporary name until clv_writer_finish() puts it in place. */
int clv_writer_open(struct clv_writer **out, const char *path,
                    const struct clv_writer_options *options);
/* Frames follow one another at the frame time. */
int clv_writer_add(struct clv_writer *writer, const struct clv_image *image);
/* Completes the file and frees the writer, whatever the result. */
int clv_writer_finish(struct clv_writer *writer);
/* Drops what was written. Accepts NULL. */
void clv_writer_abort(struct clv_writer *writer);

/* Draws frame `index` over the one before it. */
typedef int clv_writer_draw(void *payload, struct clv_image *image, int index);
/* A whole film of `frame_count` drawn frames. Of one that fails, as `draw` may make it, nothing is
 * left. */
int clv_writer_film(const char *path, const struct clv_writer_options *options, int frame_count,
                    clv_writer_draw *draw, void *payload);

/* Appends `image`, scaled to fit width_max x height_max (aspect kept; 0: as it is), as JPEG. */
int clv_image_jpeg(struct clv_bytes *out, const struct clv_image *image, int width_max,
                   int height_max);

#endif
