/* Private: one stream of a file, decoded front to back. */
#ifndef CLV_CORE_MEDIA_DECODE_H
#define CLV_CORE_MEDIA_DECODE_H

#include "core/media/input.h"

struct clv_decode {
    struct clv_input input;
    AVStream *stream; /* of `input` */
    AVCodecContext *codec;
    AVPacket *packet;
    const char *path; /* the caller's, who keeps it */
    struct clv_cancel *cancel;
    int64_t packet_count;
    int64_t damage_count; /* packets and frames that failed */
    int last_error;       /* FFmpeg's code of the last of them */
    bool is_encrypted;
};

int clv_decode_open(struct clv_decode *out, const char *path, enum AVMediaType kind,
                    int thread_count, struct clv_cancel *cancel);
void clv_decode_close(struct clv_decode *decode);

/* The next frame; CLV_DONE at the end, CLV_ECANCELED, CLV_ENOMEM. What cannot be decoded is
 * counted and passed over. */
int clv_decode_next(struct clv_decode *decode, AVFrame *frame);

/* Moves to the keyframe at or before `ticks`, as the container sees it. False where it cannot. */
bool clv_decode_seek(struct clv_decode *decode, int64_t ticks);

/* Opens the file anew, at its beginning. Counts go on. */
int clv_decode_restart(struct clv_decode *decode);

#endif
