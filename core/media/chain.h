/* Private: a chain of FFmpeg filters, frames in at one end and out at the other. */
#ifndef CLV_CORE_MEDIA_CHAIN_H
#define CLV_CORE_MEDIA_CHAIN_H

#include "core/media/ffmpeg.h"

#include <stdbool.h>

struct clv_chain {
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    /* What the chain was made for. */
    int format, width, height, sample_rate, channels;
};

/* Builds `filters` ("scale=160:90,format=gray") for frames like `frame` with times in `timebase`.
 * Gives FFmpeg's error code, for callers that can do without, and 0 on success. */
int clv_chain_open(struct clv_chain *out, const AVFrame *frame, AVRational timebase,
                   const char *filters, int thread_count);
void clv_chain_close(struct clv_chain *chain);

bool clv_chain_is_open(const struct clv_chain *chain);
/* True where `frame` is of the kind the chain was made for. */
bool clv_chain_fits(const struct clv_chain *chain, const AVFrame *frame);

/* Takes a new reference to `frame`; NULL says that no more come. FFmpeg's codes. */
int clv_chain_push(struct clv_chain *chain, AVFrame *frame);
/* 0 with a frame, AVERROR(EAGAIN) when it wants more, AVERROR_EOF at the end. */
int clv_chain_pull(struct clv_chain *chain, AVFrame *frame);
/* The time base of what comes out. */
AVRational clv_chain_timebase(const struct clv_chain *chain);

#endif
