/* Private: a container opened for reading, with everything a hostile file could reach shut off. */
#ifndef CLV_CORE_MEDIA_INPUT_H
#define CLV_CORE_MEDIA_INPUT_H

#include "core/cancel.h"
#include "core/media/ffmpeg.h"

struct clv_input {
    AVFormatContext *format;
    AVIOContext *io;
};

/* Opens the regular file `path` and finds out what its streams are. Nothing but that one file is
 * ever opened: no other protocol, no file that a playlist names. `cancel` may be NULL. */
int clv_input_open(struct clv_input *out, const char *path, struct clv_cancel *cancel);
void clv_input_close(struct clv_input *input);

/* The index of the best stream of `kind` that is no cover picture and has a decoder, the others
 * set to be skipped. CLV_EUNSUPPORTED where there is none, with the true reason. */
int clv_input_select(int *index_out, struct clv_input *input, enum AVMediaType kind,
                     const char *path);

/* True where the container says that the stream is encrypted. */
bool clv_input_encrypted(const AVStream *stream);

#endif
