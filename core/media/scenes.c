/* Scene cuts by FFmpeg's scdet, over a small gray picture.
 *
 * Every decoded frame passes here, so it must cost next to nothing. scdet scores by the mean
 * difference of brightness, which a sparse sample of the pixels gives as well as all of them do:
 * fast_bilinear reads about two lines for each of the small picture's. The scale filter takes
 * frames of changing size, so a change of resolution alone is no cut. */
#include "core/media/scenes.h"

#include "core/log.h"

#include <stdio.h>

bool clv_scenes_see(struct clv_scenes *scenes, AVFrame *frame, AVRational timebase)
{
    if (scenes->is_broken)
        return false;
    int error = 0;
    if (!clv_chain_is_open(&scenes->chain)) {
        char filters[256];
        snprintf(filters, sizeof filters,
                 "scale=160:90:flags=fast_bilinear:in_range=tv:out_range=tv,format=gray,"
                 "scdet=threshold=%.3f",
                 scenes->score);
        error = clv_chain_open(&scenes->chain, frame, timebase, filters, 1);
        if (error >= 0 && !scenes->seen && !(scenes->seen = av_frame_alloc()))
            error = AVERROR(ENOMEM);
    }
    if (error >= 0)
        error = clv_chain_push(&scenes->chain, frame);
    if (error >= 0)
        error = clv_chain_pull(&scenes->chain, scenes->seen);
    if (error < 0) {
        clv_log(CLV_LOG_WARNING, "scene detection gave up on %dx%d pictures", frame->width,
                frame->height);
        scenes->is_broken = true;
        return false;
    }
    bool is_cut = av_dict_get(scenes->seen->metadata, "lavfi.scd.time", NULL, 0) != NULL;
    av_frame_unref(scenes->seen);
    return is_cut;
}

void clv_scenes_reset(struct clv_scenes *scenes)
{
    clv_chain_close(&scenes->chain);
}

void clv_scenes_release(struct clv_scenes *scenes)
{
    clv_chain_close(&scenes->chain);
    av_frame_free(&scenes->seen);
}
