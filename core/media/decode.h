/* Private: one stream of a file, decoded front to back, by the CPU or, where a decoder is given, by
 * the GPU. Where the GPU fails and need not be the one, the CPU goes on from the last keyframe;
 * what comes out is the same. */
#ifndef CLV_CORE_MEDIA_DECODE_H
#define CLV_CORE_MEDIA_DECODE_H

#include "core/media/gpu.h"
#include "core/media/handover.h"
#include "core/media/input.h"

struct clv_decode {
    struct clv_input input;
    AVStream *stream; /* of `input` */
    AVCodecContext *codec;
    AVPacket *packet;
    const char *path; /* the caller's, who keeps it */
    struct clv_cancel *cancel;
    int thread_count;                  /* of the CPU */
    const struct clv_decoder *decoder; /* the caller's; NULL: the CPU */
    bool is_on_gpu;
    struct clv_handover handover;
    struct clv_gpu_pool pool;
    AVFrame *held[2]; /* the caller's own, which it keeps frames in; NULL: none */
    int64_t packet_count;
    int64_t damage_count; /* packets and frames that failed */
    int last_error;       /* FFmpeg's code of the last of them */
    bool is_encrypted;
};

/* `decoder` may be NULL. */
int clv_decode_open(struct clv_decode *out, const char *path, enum AVMediaType kind,
                    const struct clv_decoder *decoder, int thread_count, struct clv_cancel *cancel);
void clv_decode_close(struct clv_decode *decode);

/* The next frame; CLV_DONE at the end, CLV_ECANCELED, CLV_ENOMEM, CLV_EDEVICE where only the GPU
 * may decode and fails. What cannot be decoded is counted and passed over. The frame may still be
 * on the GPU. */
int clv_decode_next(struct clv_decode *decode, AVFrame *frame);

/* Makes the pixels of `frame`, which is one of `decode->held`, ones that can be read. Its times
 * stay as they are. */
int clv_decode_fetch(struct clv_decode *decode, AVFrame *frame);

/* Moves to the keyframe at or before `ticks`, as the container sees it. False where it cannot. */
bool clv_decode_seek(struct clv_decode *decode, int64_t ticks);

/* Opens the file anew, at its beginning. Counts go on. */
int clv_decode_restart(struct clv_decode *decode);

#endif
