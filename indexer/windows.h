/* Which frames make which segments: arithmetic over the frame times of one video, no files, no
 * pictures, no model.
 *
 * A shot runs from its first frame to the next shot's. Its grid points lie length/T apart, the
 * first half a step after its start, and are counted from there in exact fractions of a tick, so
 * that nothing drifts. The frame of a point is the one on display then: the last that is not
 * later. Window j is the T points from j * stride on and reaches from half a step before its first
 * to half a step after its last. Where whole windows leave the end of a shot over, one more ends
 * with its last point; whatever holds the last point ends with the shot, so that every instant
 * lies in a segment. A shot with fewer than T points is one segment whose T frames are taken
 * evenly over what it really lasts, from those of its frames that were kept while its length was
 * not known: all of the first T, later ones the further apart the longer it goes on. Where one
 * frame is on display through several whole windows, they are one segment.
 *
 * A shot shorter than CLV_SHOT_MIN_MS (a flash, a flicker) runs on into the next; at the end of a
 * video, if it is no whole window either, it is added to the segment before. A video that is all as
 * short is still one segment.
 *
 * Frames are fed one by one. What to do with their pictures comes back through calls:
 *   keep    store the picture of the frame being fed at `place`
 *   drop    the picture at `place` is not needed any more
 *   send    the picture at `place` belongs to windows: it is taken over; the first of a video is
 *           number 0, the next number 1, in order of time, each once
 *   window  a segment, in terms of those numbers
 *   extend  the last window given ends at `end_ticks` instead
 * A window needs nothing but the last T pictures sent when it comes. Calls return a status; the
 * first that is not CLV_OK is passed up and ends the work. */
#ifndef CLV_INDEXER_WINDOWS_H
#define CLV_INDEXER_WINDOWS_H

#include "core/time.h"

#include <stdbool.h>
#include <stdint.h>

#define CLV_SHOT_MIN_MS 300

struct clv_windows_options {
    int64_t length_ms; /* of a window, at least 1 */
    int stride_steps;  /* grid steps between window starts, at least 1 */
    int frame_count;   /* T */
    struct clv_timebase timebase;
};

struct clv_window {
    int64_t start_ticks; /* covers [start, end) */
    int64_t end_ticks;
    int32_t shot;
    const int64_t *frames; /* [T] numbers of pictures sent, ascending, some maybe twice; borrowed */
};

struct clv_windows_calls {
    int (*keep)(void *payload, int place);
    void (*drop)(void *payload, int place);
    int (*send)(void *payload, int place);
    int (*window)(void *payload, const struct clv_window *window);
    int (*extend)(void *payload, int64_t end_ticks);
};

struct clv_windows;

/* One video's. `calls` is borrowed until clv_windows_free(). */
int clv_windows_create(struct clv_windows **out, const struct clv_windows_options *options,
                       const struct clv_windows_calls *calls, void *payload);
void clv_windows_free(struct clv_windows *windows);

/* Places are 0 .. this - 1. */
int clv_windows_place_count(int frame_count);

/* The next frame, its time not before the last one's. `end_ticks` is where it stops being shown as
 * far as known; a later frame's time overrules it. The first frame begins a shot anyway. */
int clv_windows_frame(struct clv_windows *windows, int64_t time_ticks, int64_t end_ticks,
                      bool is_cut);
/* No more frames. Pictures still kept are dropped. */
int clv_windows_end(struct clv_windows *windows);

/* Grid steps of length/T in `stride_ms`, rounded, at least 1. */
int clv_windows_stride_steps(int64_t length_ms, int64_t stride_ms, int frame_count);

#endif
