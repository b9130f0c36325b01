/* Private: what it takes to go on with another decoder in the middle of a stream, without losing a
 * frame or giving one twice: the packets since the last keyframe that was given out, and how many
 * frames have been given since. */
#ifndef CLV_CORE_MEDIA_HANDOVER_H
#define CLV_CORE_MEDIA_HANDOVER_H

#include "core/media/ffmpeg.h"

#include <stdbool.h>

/* Zero-initialise. Frames are numbered from 1 on, packets from 0 on, since opening or seeking. */
struct clv_handover {
    AVPacket **packets; /* kept; behind them empty ones to be used again */
    int count, capacity;
    int64_t first; /* number of packets[0] */
    int64_t size_bytes;
    int64_t given;  /* number of the last frame given out */
    int64_t anchor; /* of the first frame that comes of packets[0], a keyframe's; 0: the first */
    int64_t max_pts;
    bool has_max_pts;
    /* A later keyframe to go back to, taken once nobody wants the frames before it any more. */
    int64_t next_first, next_anchor; /* next_anchor 0: none */
    int64_t damage_count;            /* since the anchor */
    bool is_broken;                  /* a packet could not be kept */
    /* While the packets are decoded again. */
    bool is_running, waits_for_key;
    int at;         /* the packet to be sent next */
    int64_t number; /* of the last frame that came */
};

void clv_handover_release(struct clv_handover *handover);
/* Forgets all: the stream goes on somewhere else. */
void clv_handover_reset(struct clv_handover *handover);

/* Keeps a packet about to be sent and returns its number, for the codec's reordered_opaque; an
 * FFmpeg error, ENOBUFS where keyframes are so far apart that they are not waited for. */
int64_t clv_handover_keep(struct clv_handover *handover, const AVPacket *packet);
/* Numbers a frame that is given out, in its reordered_opaque. */
void clv_handover_give(struct clv_handover *handover, AVFrame *frame);

/* From now on the kept packets come again. */
void clv_handover_start(struct clv_handover *handover);
/* The next of them; NULL where the stream goes on. */
const AVPacket *clv_handover_packet(struct clv_handover *handover);
/* The number of a frame that came of them; 0: it comes before all that are numbered. Above
 * handover->given it is new, and the handover done. */
int64_t clv_handover_number(struct clv_handover *handover, const AVFrame *frame);

#endif
