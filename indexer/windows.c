/* A frame's share of the grid is settled when the next frame tells where it ends, so one frame is
 * always pending. A shot starts out short: the pictures of its grid points and an evenly thinned
 * choice of all its frames are kept back until either its T-th point shows that it is long, or its
 * end shows that it was short. */
#include "indexer/windows.h"

#include "core/error.h"
#include "core/media/sampling.h"

#include <assert.h>
#include <stdlib.h>

__extension__ typedef __int128 wide;

/* Candidates kept for one frame of a short shot. */
#define CANDIDATES_PER_FRAME 4

/* A picture kept back while the shot is short. */
struct kept {
    int64_t time_ticks;
    int place;
    bool is_candidate; /* may become a frame of a short shot */
    bool is_grid;      /* the frame of a grid point */
};

struct clv_windows {
    const struct clv_windows_calls *calls;
    void *payload;
    int frame_count, stride_steps; /* T, and steps between windows */
    int64_t step_numerator;        /* a step is numerator / denominator ticks */
    int64_t step_denominator;
    int64_t shot_min_ticks;

    int *free_places;
    int free_count;
    int64_t sent_count;

    bool has_shot, is_long;
    int32_t shot;
    int64_t shot_start;
    int64_t point_count;   /* grid points that have their frame */
    int64_t window_count;  /* grid windows given or run through; the next starts with point
                              window_count * stride_steps */
    int64_t *point_ring;   /* [T] number of point k's picture at k % T; long shots */
    int *point_places;     /* [T] place of point k's picture; short shots */
    int64_t *short_frames; /* [T] */
    struct kept *kept;
    int kept_count, candidate_count;
    int64_t candidate_gap;
    bool last_was_still;      /* the last window showed one frame only, */
    int64_t last_still_frame; /* this one */

    bool has_pending;
    int64_t pending_time, pending_end;
    int pending_place;      /* -1: its picture was not kept */
    int64_t pending_number; /* -1: not sent */
};

static int64_t clamped(wide value)
{
    return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

int clv_windows_place_count(int frame_count)
{
    /* Candidates, grid frames, and the pending frame. */
    return (CANDIDATES_PER_FRAME + 1) * frame_count + 1;
}

int clv_windows_stride_steps(int64_t length_ms, int64_t stride_ms, int frame_count)
{
    wide steps = ((wide)2 * stride_ms * frame_count + length_ms) / (2 * (wide)length_ms);
    return steps < 1 ? 1 : steps > INT32_MAX ? INT32_MAX : (int)steps;
}

int clv_windows_create(struct clv_windows **out, const struct clv_windows_options *options,
                       const struct clv_windows_calls *calls, void *payload)
{
    assert(options->length_ms >= 1 && options->stride_steps >= 1 && options->frame_count >= 1);
    assert(options->timebase.numerator > 0 && options->timebase.denominator > 0);
    size_t frame_count = (size_t)options->frame_count;
    size_t place_count = (size_t)clv_windows_place_count(options->frame_count);
    struct clv_windows *windows = *out = calloc(1, sizeof *windows);
    if (!windows)
        return clv_fail_memory("a window plan");
    windows->calls = calls;
    windows->payload = payload;
    windows->frame_count = options->frame_count;
    windows->stride_steps = options->stride_steps;
    windows->step_numerator = clamped((wide)options->length_ms * options->timebase.denominator);
    windows->step_denominator = (int64_t)1000 * options->frame_count * options->timebase.numerator;
    windows->shot_min_ticks =
        clv_time_rescale(CLV_SHOT_MIN_MS, (struct clv_timebase){1, 1000}, options->timebase);
    if (windows->shot_min_ticks < 1)
        windows->shot_min_ticks = 1;
    windows->free_places = calloc(place_count, sizeof *windows->free_places);
    windows->kept = calloc(place_count, sizeof *windows->kept);
    windows->point_ring = calloc(frame_count, sizeof *windows->point_ring);
    windows->point_places = calloc(frame_count, sizeof *windows->point_places);
    windows->short_frames = calloc(frame_count, sizeof *windows->short_frames);
    if (!windows->free_places || !windows->kept || !windows->point_ring || !windows->point_places ||
        !windows->short_frames) {
        clv_windows_free(windows);
        *out = NULL;
        return clv_fail_memory("a window plan");
    }
    while (windows->free_count < (int)place_count) {
        windows->free_places[windows->free_count] = windows->free_count;
        windows->free_count++;
    }
    return CLV_OK;
}

void clv_windows_free(struct clv_windows *windows)
{
    if (!windows)
        return;
    free(windows->free_places);
    free(windows->kept);
    free(windows->point_ring);
    free(windows->point_places);
    free(windows->short_frames);
    free(windows);
}

/* ---- the grid ---- */

/* Points of the shot earlier than `ticks`: those k with (2k + 1) / 2 steps < ticks - start. */
static int64_t points_before(const struct clv_windows *windows, int64_t ticks)
{
    wide since = (wide)ticks - windows->shot_start;
    if (since <= 0)
        return 0;
    wide step = windows->step_numerator;
    wide count = (2 * since * windows->step_denominator + step - 1) / (2 * step);
    /* Half the range leaves room for sums. */
    return count > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)count;
}

/* Where the cell of point `point` starts, rounded down, and where the cell before it ends, rounded
 * up: a segment covers all of its cells, and at least a tick. */
static int64_t cell_start(const struct clv_windows *windows, int64_t point)
{
    return clamped(windows->shot_start +
                   (wide)point * windows->step_numerator / windows->step_denominator);
}

static int64_t cell_end_before(const struct clv_windows *windows, int64_t point)
{
    wide step = windows->step_denominator;
    return clamped(windows->shot_start + ((wide)point * windows->step_numerator + step - 1) / step);
}

/* ---- pictures ---- */

static void drop(struct clv_windows *windows, int place)
{
    windows->free_places[windows->free_count++] = place;
    windows->calls->drop(windows->payload, place);
}

static int send(struct clv_windows *windows, int place, int64_t *number_out)
{
    *number_out = windows->sent_count++;
    windows->free_places[windows->free_count++] = place;
    return windows->calls->send(windows->payload, place);
}

/* Drops kept pictures that serve nothing. */
static void sweep(struct clv_windows *windows)
{
    int count = 0;
    for (int i = 0; i < windows->kept_count; i++) {
        struct kept kept = windows->kept[i];
        if (kept.is_candidate || kept.is_grid)
            windows->kept[count++] = kept;
        else
            drop(windows, kept.place);
    }
    windows->kept_count = count;
}

/* Halves the candidates, leaving them evenly spread over the shot so far. */
static void thin(struct clv_windows *windows)
{
    const int half = CANDIDATES_PER_FRAME * windows->frame_count / 2;
    const struct kept *last = NULL;
    wide first_time = 0, last_time = 0;
    for (int i = 0; i < windows->kept_count; i++)
        if (windows->kept[i].is_candidate) {
            first_time = last ? first_time : windows->kept[i].time_ticks;
            last = &windows->kept[i];
            last_time = last->time_ticks;
        }
    wide gap = (last_time - first_time + half - 1) / half;
    windows->candidate_gap = gap < 1 ? 1 : clamped(gap);
    last = NULL;
    windows->candidate_count = 0;
    for (int i = 0; i < windows->kept_count; i++) {
        struct kept *kept = &windows->kept[i];
        if (!kept->is_candidate)
            continue;
        if (last && (wide)kept->time_ticks - last->time_ticks < windows->candidate_gap) {
            kept->is_candidate = false;
            continue;
        }
        last = kept;
        windows->candidate_count++;
    }
    sweep(windows);
}

/* Candidates lie the closer the younger the shot is: a shot that ends here takes its frames a T-th
 * of its length apart, and each picture costs a conversion. */
static bool is_candidate_time(const struct clv_windows *windows, int64_t time_ticks)
{
    for (int i = windows->kept_count - 1; i >= 0; i--)
        if (windows->kept[i].is_candidate) {
            wide gap = (wide)time_ticks - windows->kept[i].time_ticks;
            return gap >= windows->candidate_gap &&
                   gap * windows->frame_count >= (wide)time_ticks - windows->shot_start;
        }
    return true;
}

/* ---- windows ---- */

/* One window of the points before `point_count`, from the ring. */
static int give_window(struct clv_windows *windows, int64_t first_point, int64_t end_ticks)
{
    const int frame_count = windows->frame_count;
    int64_t *frames = windows->short_frames;
    for (int i = 0; i < frame_count; i++)
        frames[i] = windows->point_ring[(windows->point_count - frame_count + i) % frame_count];
    windows->last_was_still = frames[0] == frames[frame_count - 1];
    windows->last_still_frame = frames[0];
    struct clv_window window = {cell_start(windows, first_point), end_ticks, windows->shot, frames};
    return windows->calls->window(windows->payload, &window);
}

/* The T-th point: the shot is long. Its grid frames are sent, all else it kept is dropped. */
static int become_long(struct clv_windows *windows)
{
    int status = CLV_OK;
    windows->is_long = true;
    for (int i = 0; i < windows->kept_count; i++) {
        const struct kept *kept = &windows->kept[i];
        int64_t number;
        if (!kept->is_grid || status != CLV_OK) {
            drop(windows, kept->place);
            continue;
        }
        status = send(windows, kept->place, &number);
        for (int point = 0; point < windows->frame_count; point++)
            if (windows->point_places[point] == kept->place)
                windows->point_ring[point] = number;
        if (kept->place == windows->pending_place)
            windows->pending_number = number;
    }
    windows->kept_count = windows->candidate_count = 0;
    return status;
}

/* Gives the next point of a short shot its frame: kept picture `index`. */
static int take_short_point(struct clv_windows *windows, int index)
{
    windows->kept[index].is_grid = true;
    windows->point_places[windows->point_count++] = windows->kept[index].place;
    return windows->point_count == windows->frame_count ? become_long(windows) : CLV_OK;
}

/* Gives the points up to `until_point` of a long shot the picture `number`, and the windows that
 * end with them. Windows with nothing but this picture become one. */
static int take_long_points(struct clv_windows *windows, int64_t number, int64_t until_point)
{
    const int64_t length = windows->frame_count, stride = windows->stride_steps;
    int status = CLV_OK;
    while (status == CLV_OK) {
        int64_t first = windows->window_count * stride;
        if (windows->point_count < first + length) {
            if (windows->point_count >= until_point)
                break;
            windows->point_ring[windows->point_count++ % length] = number;
            continue;
        }
        bool is_still = windows->point_ring[windows->point_count % length] == number;
        if (is_still && until_point > windows->point_count)
            windows->point_count = (until_point - length) / stride * stride + length;
        windows->window_count = (windows->point_count - length) / stride + 1;
        status = give_window(windows, first, cell_end_before(windows, windows->point_count));
    }
    return status;
}

/* The pending frame was on display until `until_ticks`: it takes the points up to there. */
static int settle_pending(struct clv_windows *windows, int64_t until_ticks)
{
    int64_t until_point = points_before(windows, until_ticks);
    int status = CLV_OK;
    windows->has_pending = false;
    /* Where its picture was not kept (it stayed longer than promised), the next frame serves. */
    if (windows->pending_place < 0)
        return CLV_OK;
    while (status == CLV_OK && !windows->is_long && windows->point_count < until_point)
        status = take_short_point(windows, windows->kept_count - 1);
    if (!windows->is_long)
        sweep(windows);
    if (status != CLV_OK || !windows->is_long)
        return status;
    if (windows->pending_number < 0 && windows->point_count < until_point)
        status = send(windows, windows->pending_place, &windows->pending_number);
    else if (windows->pending_number < 0)
        drop(windows, windows->pending_place);
    return status == CLV_OK && windows->pending_number >= 0
               ? take_long_points(windows, windows->pending_number, until_point)
               : status;
}

/* ---- shots ---- */

static void begin_shot(struct clv_windows *windows, int64_t start_ticks)
{
    windows->shot += windows->has_shot;
    windows->has_shot = true;
    windows->shot_start = start_ticks;
    windows->is_long = windows->last_was_still = false;
    windows->point_count = windows->window_count = windows->candidate_gap = 0;
}

static void drop_kept(struct clv_windows *windows)
{
    for (int i = 0; i < windows->kept_count; i++)
        drop(windows, windows->kept[i].place);
    windows->kept_count = windows->candidate_count = 0;
}

/* The whole shot as one segment, of T frames evenly over it. */
static int close_short(struct clv_windows *windows, int64_t end_ticks)
{
    const int frame_count = windows->frame_count;
    int64_t *frames = windows->short_frames;
    int status = CLV_OK, next = 0;
    for (int i = 0; i < windows->kept_count && next < frame_count; i++) {
        int64_t number = -1;
        int later = i + 1;
        if (!windows->kept[i].is_candidate)
            continue;
        while (later < windows->kept_count && !windows->kept[later].is_candidate)
            later++;
        /* This candidate serves the instants before the next candidate. */
        while (next < frame_count &&
               (later == windows->kept_count ||
                clv_sampling_instant(windows->shot_start, end_ticks, frame_count, next) <
                    windows->kept[later].time_ticks)) {
            if (number < 0) {
                int place = windows->kept[i].place;
                windows->kept[i].place = -1;
                status = send(windows, place, &number);
            }
            if (status != CLV_OK)
                break;
            frames[next++] = number;
        }
        if (status != CLV_OK)
            break;
    }
    int count = 0;
    for (int i = 0; i < windows->kept_count; i++)
        if (windows->kept[i].place >= 0)
            windows->kept[count++] = windows->kept[i];
    windows->kept_count = count;
    drop_kept(windows);
    if (status != CLV_OK)
        return status;
    struct clv_window window = {windows->shot_start, end_ticks, windows->shot, frames};
    return windows->calls->window(windows->payload, &window);
}

/* What is left of a long shot: points without a frame of their own, and the end. */
static int close_long(struct clv_windows *windows, int64_t end_ticks)
{
    const int64_t length = windows->frame_count;
    int64_t last = windows->point_ring[(windows->point_count - 1) % length];
    int64_t until_point = points_before(windows, end_ticks);
    int status = take_long_points(windows, last, until_point);
    if (status != CLV_OK)
        return status;
    bool is_whole =
        windows->point_count == (windows->window_count - 1) * windows->stride_steps + length;
    bool is_still = windows->last_was_still && windows->last_still_frame == last;
    if (is_whole || is_still)
        return windows->calls->extend(windows->payload, end_ticks);
    return give_window(windows, windows->point_count - length, end_ticks);
}

static int close_shot(struct clv_windows *windows, int64_t end_ticks, bool is_last)
{
    bool is_flash = (wide)end_ticks - windows->shot_start < windows->shot_min_ticks;
    if (!windows->is_long && is_last && is_flash && windows->shot > 0) {
        drop_kept(windows);
        return windows->calls->extend(windows->payload, end_ticks);
    }
    int64_t until_point = points_before(windows, end_ticks);
    int status = CLV_OK;
    while (status == CLV_OK && !windows->is_long && windows->point_count < until_point)
        status = take_short_point(windows, windows->kept_count - 1);
    if (status != CLV_OK)
        return status;
    return windows->is_long ? close_long(windows, end_ticks) : close_short(windows, end_ticks);
}

/* ---- frames ---- */

/* Makes the frame pending, and keeps its picture where anything may come to need it. */
static int keep(struct clv_windows *windows, int64_t time_ticks, int64_t end_ticks)
{
    bool is_candidate = !windows->is_long && is_candidate_time(windows, time_ticks);
    bool may_be_grid =
        end_ticks <= time_ticks || points_before(windows, end_ticks) > windows->point_count;
    windows->has_pending = true;
    windows->pending_time = time_ticks;
    windows->pending_end = end_ticks;
    windows->pending_place = -1;
    windows->pending_number = -1;
    if (!is_candidate && !may_be_grid)
        return CLV_OK;
    if (is_candidate && windows->candidate_count == CANDIDATES_PER_FRAME * windows->frame_count) {
        thin(windows);
        is_candidate = is_candidate_time(windows, time_ticks);
        if (!is_candidate && !may_be_grid)
            return CLV_OK;
    }
    assert(windows->free_count > 0);
    windows->pending_place = windows->free_places[--windows->free_count];
    if (!windows->is_long) {
        windows->kept[windows->kept_count++] =
            (struct kept){time_ticks, windows->pending_place, is_candidate, false};
        windows->candidate_count += is_candidate;
    }
    return windows->calls->keep(windows->payload, windows->pending_place);
}

int clv_windows_frame(struct clv_windows *windows, int64_t time_ticks, int64_t end_ticks,
                      bool is_cut)
{
    int status = CLV_OK;
    if (windows->has_pending) {
        assert(time_ticks >= windows->pending_time);
        status = settle_pending(windows, time_ticks);
    }
    bool is_new = !windows->has_shot ||
                  (is_cut && (wide)time_ticks - windows->shot_start >= windows->shot_min_ticks);
    if (status == CLV_OK && is_new && windows->has_shot)
        status = close_shot(windows, time_ticks, false);
    if (status != CLV_OK)
        return status;
    if (is_new)
        begin_shot(windows, time_ticks);
    return keep(windows, time_ticks, end_ticks);
}

int clv_windows_end(struct clv_windows *windows)
{
    if (!windows->has_pending)
        return CLV_OK;
    int64_t end = windows->pending_end;
    if (end <= windows->pending_time)
        end = clamped((wide)windows->pending_time + 1);
    int status = settle_pending(windows, end);
    return status == CLV_OK ? close_shot(windows, end, true) : status;
}
