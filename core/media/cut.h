/* Cutting a piece out of a video file. */
#ifndef CLV_CORE_MEDIA_CUT_H
#define CLV_CORE_MEDIA_CUT_H

#include "core/cancel.h"
#include "core/time.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_cut_options {
    bool copy; /* copy streams: starts at the keyframe at or before `start_ms` */
    bool no_audio;
    int quality; /* x264 CRF when re-encoding; 0: 18 */
    struct clv_cancel *cancel;
};

/* Times are milliseconds from what a player shows as 0:00. */
struct clv_cut_result {
    int64_t start_ms; /* what the piece really begins with */
    int64_t end_ms;
    int64_t frame_count;
    bool has_audio;
    int64_t size_bytes;
};

/* Writes [start_ms, end_ms) of `source` to `target` (a temporary name first, then in place;
 * an existing file is replaced: callers decide about overwriting). Re-encoding gives H.264 and
 * AAC, exact to the frame, upright, in time with the sound; copying keeps the streams and says in
 * the result where it really starts and ends. Rotation and aspect ratio are kept. CLV_EINVAL where
 * the range holds no frame; a failed cut leaves no file. */
int clv_media_cut(struct clv_cut_result *result_out, const char *target, const char *source,
                  int64_t start_ms, int64_t end_ms, const struct clv_cut_options *options);

#endif
