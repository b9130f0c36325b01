/* Deinterlacing, by FFmpeg's bwdif. It looks one frame ahead, so frames come out one later. */
#include "core/media/deinterlace.h"

#include "core/error.h"
#include "core/log.h"

static const char filters[] = "bwdif=mode=send_frame:parity=auto:deint=interlaced";

void clv_deinterlace_init(struct clv_deinterlace *deinterlace, AVRational timebase,
                          int thread_count)
{
    *deinterlace = (struct clv_deinterlace){.timebase = timebase, .thread_count = thread_count};
}

void clv_deinterlace_release(struct clv_deinterlace *deinterlace)
{
    clv_chain_close(&deinterlace->chain);
    av_frame_free(&deinterlace->held);
}

static int hold(struct clv_deinterlace *deinterlace, AVFrame *frame)
{
    deinterlace->held = av_frame_alloc();
    if (!deinterlace->held)
        return clv_fail_memory("a frame");
    av_frame_move_ref(deinterlace->held, frame);
    return CLV_OK;
}

bool clv_deinterlace_reads(const struct clv_deinterlace *deinterlace, const AVFrame *frame)
{
    return frame->interlaced_frame || clv_chain_is_open(&deinterlace->chain);
}

int clv_deinterlace_push(struct clv_deinterlace *deinterlace, AVFrame *frame)
{
    struct clv_chain *chain = &deinterlace->chain;
    if (clv_chain_is_open(chain) && !clv_chain_fits(chain, frame)) {
        (void)clv_chain_push(chain, NULL);
        return hold(deinterlace, frame);
    }
    if (!clv_chain_is_open(chain) && frame->interlaced_frame) {
        int error =
            clv_chain_open(chain, frame, deinterlace->timebase, filters, deinterlace->thread_count);
        if (error < 0)
            clv_log(CLV_LOG_WARNING, "interlaced pictures of %dx%d are shown as they are",
                    frame->width, frame->height);
    }
    if (!clv_chain_is_open(chain))
        return hold(deinterlace, frame);
    int error = clv_chain_push(chain, frame);
    av_frame_unref(frame);
    return error < 0 ? clv_ffmpeg_fail(CLV_ECORRUPT, error, "cannot deinterlace") : CLV_OK;
}

void clv_deinterlace_end(struct clv_deinterlace *deinterlace)
{
    if (clv_chain_is_open(&deinterlace->chain))
        (void)clv_chain_push(&deinterlace->chain, NULL);
}

int clv_deinterlace_pull(struct clv_deinterlace *deinterlace, AVFrame *frame)
{
    struct clv_chain *chain = &deinterlace->chain;
    while (clv_chain_is_open(chain)) {
        int error = clv_chain_pull(chain, frame);
        if (error >= 0) {
            frame->pts = av_rescale_q(frame->pts, clv_chain_timebase(chain), deinterlace->timebase);
            return CLV_OK;
        }
        if (error == AVERROR(EAGAIN))
            return CLV_DONE;
        clv_chain_close(chain);
        AVFrame *held = deinterlace->held;
        deinterlace->held = NULL;
        if (held) {
            int status = clv_deinterlace_push(deinterlace, held);
            av_frame_free(&held);
            if (status != CLV_OK)
                return status;
        }
    }
    if (!deinterlace->held)
        return CLV_DONE;
    av_frame_move_ref(frame, deinterlace->held);
    av_frame_free(&deinterlace->held);
    return CLV_OK;
}
