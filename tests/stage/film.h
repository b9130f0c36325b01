/* Clips as video files, in several codecs and qualities.
 *
 * By default every frame is coded by itself at a constant quantiser: what comes out of the decoder
 * is then a function of the picture alone, and the frames of a clip and of its reversal stay the
 * same bag of frames after compression. Longer groups of pictures give that up. */
#ifndef CLV_TESTS_STAGE_FILM_H
#define CLV_TESTS_STAGE_FILM_H

#include "cli/stage/stage.h"

enum stage_codec { STAGE_H264, STAGE_MPEG4, STAGE_MJPEG, STAGE_CODECS };

struct stage_coding {
    enum stage_codec codec;
    int quality; /* quantiser: of H.264 0 … 51, of the others 2 … 31 */
    int width, height;
    int group; /* frames from one intra picture to the next; 1: every one is */
};

/* Codec, quality and size by the clip's seed (the same for its reversal); all intra. */
void stage_draw_coding(struct stage_coding *out, const struct stage_clip *clip);
const char *stage_codec_name(enum stage_codec codec);
/* "mp4", "mkv", "avi". */
const char *stage_codec_container(enum stage_codec codec);
/* Renders and encodes all frames of `clip`. */
int stage_film(const char *path, const struct stage_clip *clip, const struct stage_coding *coding);

#endif
