/* Private: frames that say they are interlaced made whole; others pass untouched. */
#ifndef CLV_CORE_MEDIA_DEINTERLACE_H
#define CLV_CORE_MEDIA_DEINTERLACE_H

#include "core/media/chain.h"

/* Zero-initialise. The filter is built when the first interlaced frame comes. */
struct clv_deinterlace {
    struct clv_chain chain;
    AVRational timebase;
    AVFrame *held; /* came while the chain for frames of another kind still holds some */
    int thread_count;
};

void clv_deinterlace_init(struct clv_deinterlace *deinterlace, AVRational timebase,
                          int thread_count);
void clv_deinterlace_release(struct clv_deinterlace *deinterlace);

/* Whether it would read the pixels of `frame`. */
bool clv_deinterlace_reads(const struct clv_deinterlace *deinterlace, const AVFrame *frame);
/* Takes `frame` (left empty). */
int clv_deinterlace_push(struct clv_deinterlace *deinterlace, AVFrame *frame);
/* No more frames come. */
void clv_deinterlace_end(struct clv_deinterlace *deinterlace);
/* CLV_OK with a frame, CLV_DONE where another has to be pushed first or all were given. */
int clv_deinterlace_pull(struct clv_deinterlace *deinterlace, AVFrame *frame);

#endif
