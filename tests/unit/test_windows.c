/* indexer/windows: every plan is checked against a brute-force one made from the definitions, over
 * regular, irregular and absurd frame times, and against properties that hold whatever comes. */
#include "indexer/windows.h"

#include "core/error.h"

#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 wide;

enum { FRAME_MAX = 20000, WINDOW_MAX = 20000, T_MAX = 16, PLACE_MAX = 128 };

struct segment {
    int64_t start, end;
    int shot;
    int frames[T_MAX]; /* indices of frames fed */
    bool is_short;     /* of fewer than T points */
};

struct feed {
    int count;
    int64_t time[FRAME_MAX], end[FRAME_MAX];
    bool is_cut[FRAME_MAX];
};

/* What the planner asked for. */
struct record {
    int frame_count;
    int fed; /* the frame being fed */
    int at_place[PLACE_MAX];
    bool is_kept[PLACE_MAX];
    int kept_count, kept_max, keep_calls;
    int sent[FRAME_MAX];
    int sent_count;
    struct segment segments[WINDOW_MAX];
    int segment_count;
    int fail_at; /* calls until one fails; negative: never */
};

static struct feed feed;
static struct record record;
static struct segment want[WINDOW_MAX];
static int want_count;

static int fails(struct record *r)
{
    return r->fail_at >= 0 && r->fail_at-- == 0 ? clv_fail(CLV_EIO, "as asked") : CLV_OK;
}

static int on_keep(void *payload, int place)
{
    struct record *r = payload;
    CHECK(place >= 0 && place < clv_windows_place_count(r->frame_count));
    CHECK(!r->is_kept[place]);
    r->is_kept[place] = true;
    r->at_place[place] = r->fed;
    r->keep_calls++;
    if (++r->kept_count > r->kept_max)
        r->kept_max = r->kept_count;
    return fails(r);
}

static void on_drop(void *payload, int place)
{
    struct record *r = payload;
    CHECK(r->is_kept[place]);
    r->is_kept[place] = false;
    r->kept_count--;
}

static int on_send(void *payload, int place)
{
    struct record *r = payload;
    CHECK(r->is_kept[place]);
    r->is_kept[place] = false;
    r->kept_count--;
    CHECK(r->sent_count == 0 || r->sent[r->sent_count - 1] < r->at_place[place]);
    r->sent[r->sent_count++] = r->at_place[place];
    return fails(r);
}

static int on_window(void *payload, const struct clv_window *window)
{
    struct record *r = payload;
    if (r->segment_count == WINDOW_MAX)
        return clv_fail(CLV_ERR, "too many windows for the test");
    struct segment *segment = &r->segments[r->segment_count++];
    *segment = (struct segment){window->start_ticks, window->end_ticks, window->shot, {0}, false};
    for (int i = 0; i < r->frame_count; i++) {
        int64_t number = window->frames[i];
        /* Among the last T sent, and in order. */
        if (number < 0 || number >= r->sent_count || number < r->sent_count - r->frame_count ||
            (i > 0 && number < window->frames[i - 1])) {
            t_fail(__FILE__, __LINE__, "window %d frame %d is number %lld of %d sent",
                   r->segment_count - 1, i, (long long)number, r->sent_count);
            return CLV_ERR;
        }
        segment->frames[i] = r->sent[number];
    }
    return fails(r);
}

static int on_extend(void *payload, int64_t end_ticks)
{
    struct record *r = payload;
    CHECK(r->segment_count > 0);
    if (r->segment_count > 0)
        r->segments[r->segment_count - 1].end = end_ticks;
    return fails(r);
}

static const struct clv_windows_calls calls = {on_keep, on_drop, on_send, on_window, on_extend};

static int plan(const struct clv_windows_options *options, int fail_at)
{
    struct clv_windows *windows;
    memset(&record, 0, sizeof record);
    record.frame_count = options->frame_count;
    record.fail_at = fail_at;
    int status = clv_windows_create(&windows, options, &calls, &record);
    for (int i = 0; i < feed.count && status == CLV_OK; i++) {
        record.fed = i;
        status = clv_windows_frame(windows, feed.time[i], feed.end[i], feed.is_cut[i]);
    }
    if (status == CLV_OK)
        status = clv_windows_end(windows);
    clv_windows_free(windows);
    return status;
}

/* ---- the brute-force plan ---- */

static int64_t floor_of(wide numerator, wide denominator)
{
    return (int64_t)(numerator / denominator - (numerator % denominator < 0));
}

/* The last frame of [first, past) not later than numerator / denominator ticks. */
static int frame_at(int first, int past, wide numerator, wide denominator)
{
    int found = first;
    for (int i = first; i < past; i++)
        if ((wide)feed.time[i] * denominator <= numerator)
            found = i;
    return found;
}

static bool is_still(const struct segment *segment, int frame_count)
{
    return segment->frames[0] == segment->frames[frame_count - 1];
}

static void want_long(const struct clv_windows_options *o, const int *points, int64_t count,
                      int64_t start, int64_t end, int shot, wide p, wide q)
{
    const int length = o->frame_count;
    int64_t last_whole = -1;
    struct segment *previous = NULL;
    for (int64_t first = 0; first + length <= count; first += o->stride_steps) {
        struct segment segment = {start + floor_of(first * p, q),
                                  start - floor_of(-(first + length) * p, q),
                                  shot,
                                  {0},
                                  false};
        for (int i = 0; i < length; i++)
            segment.frames[i] = points[first + i];
        last_whole = first + length;
        /* One frame through several windows is one segment. */
        if (previous && is_still(previous, length) && is_still(&segment, length) &&
            previous->frames[0] == segment.frames[0])
            previous->end = segment.end;
        else
            *(previous = &want[want_count++]) = segment;
    }
    bool goes_on = is_still(previous, length);
    for (int64_t k = count - length; k < count; k++)
        goes_on = goes_on && points[k] == previous->frames[0];
    if (last_whole == count || goes_on) {
        previous->end = end;
        return;
    }
    struct segment *tail = &want[want_count++];
    *tail = (struct segment){start + floor_of((count - length) * p, q), end, shot, {0}, false};
    for (int i = 0; i < length; i++)
        tail->frames[i] = points[count - length + i];
}

static void want_shot(const struct clv_windows_options *o, int first, int past, int64_t end,
                      int shot)
{
    static int points[1 << 20];
    const wide p = (wide)o->length_ms * o->timebase.denominator;
    const wide q = (wide)1000 * o->frame_count * o->timebase.numerator;
    int64_t start = feed.time[first], count = 0;
    while ((2 * (wide)count + 1) * p < 2 * q * ((wide)end - start) && count < 1 << 20) {
        points[count] = frame_at(first, past, 2 * q * start + (2 * count + 1) * p, 2 * q);
        count++;
    }
    if (count >= o->frame_count) {
        want_long(o, points, count, start, end, shot, p, q);
        return;
    }
    struct segment *segment = &want[want_count++];
    *segment = (struct segment){start, end, shot, {0}, true};
    for (int i = 0; i < o->frame_count; i++)
        segment->frames[i] = frame_at(
            first, past, (wide)start * 2 * o->frame_count + (2 * i + 1) * ((wide)end - start),
            2 * o->frame_count);
}

static bool is_flash(const struct clv_windows_options *o, int64_t ticks)
{
    int64_t min = clv_time_rescale(CLV_SHOT_MIN_MS, (struct clv_timebase){1, 1000}, o->timebase);
    return ticks < (min < 1 ? 1 : min);
}

static int64_t feed_end(void)
{
    int last = feed.count - 1;
    return feed.end[last] > feed.time[last] ? feed.end[last] : feed.time[last] + 1;
}

static void make_want(const struct clv_windows_options *o)
{
    int first = 0, shot = 0;
    want_count = 0;
    for (int i = 1; i < feed.count; i++)
        if (feed.is_cut[i] && !is_flash(o, feed.time[i] - feed.time[first])) {
            want_shot(o, first, i, feed.time[i], shot++);
            first = i;
        }
    int64_t rest = feed_end() - feed.time[first];
    bool is_short = (2 * (wide)o->frame_count - 1) * o->length_ms * o->timebase.denominator >=
                    (wide)2000 * o->frame_count * o->timebase.numerator * rest;
    if (shot > 0 && is_short && is_flash(o, rest))
        want[want_count - 1].end = feed_end();
    else
        want_shot(o, first, feed.count, feed_end(), shot);
}

/* ---- checks ---- */

/* Holds whatever the ends promised: order, no straddling, every instant covered, nothing kept. */
static void check_properties(const struct clv_windows_options *o)
{
    CHECK_INT(record.kept_count, 0);
    CHECK(record.kept_max <= clv_windows_place_count(o->frame_count));
    REQUIRE(record.segment_count > 0);
    int64_t covered = feed.time[0];
    for (int i = 0; i < record.segment_count && !t_failed(); i++) {
        const struct segment *segment = &record.segments[i];
        CHECK(segment->start < segment->end);
        if (o->stride_steps <= o->frame_count)
            CHECK(segment->start <= covered);
        covered = segment->end > covered ? segment->end : covered;
        if (i > 0) {
            CHECK(segment->start >= record.segments[i - 1].start);
            CHECK(segment->shot >= record.segments[i - 1].shot);
            if (segment->shot > record.segments[i - 1].shot)
                CHECK(segment->start >= record.segments[i - 1].end);
        }
        for (int k = 0; k < o->frame_count; k++)
            CHECK(feed.time[segment->frames[k]] < segment->end);
    }
    CHECK_INT(record.segments[0].start, feed.time[0]);
    CHECK_INT(covered, feed_end());
}

/* A short shot takes the nearest earlier of the pictures it kept, off by less than a T-th of the
 * time since it began, or, where it had to thin them out, of one and a half of its length. */
static bool is_near(int got, int wanted, const struct clv_windows_options *o,
                    const struct segment *shot)
{
    wide off = (wide)feed.time[wanted] - feed.time[got];
    wide since = (wide)feed.time[wanted] - shot->start, length = (wide)shot->end - shot->start;
    bool is_thinned = record.keep_calls > 4 * o->frame_count;
    return off == 0 || (off > 0 && off * o->frame_count < since) ||
           (off > 0 && is_thinned && 2 * off * o->frame_count < 3 * length);
}

static void check_segment(int index, const struct clv_windows_options *o)
{
    const struct segment *got = &record.segments[index], *wanted = &want[index];
    CHECK_INT(got->start, wanted->start);
    CHECK_INT(got->end, wanted->end);
    CHECK_INT(got->shot, wanted->shot);
    for (int k = 0; k < o->frame_count; k++)
        if (wanted->is_short)
            CHECK(is_near(got->frames[k], wanted->frames[k], o, wanted));
        else
            CHECK_INT(got->frames[k], wanted->frames[k]);
    if (t_failed())
        printf("  in segment %d: T=%d length=%lld steps=%d base=%d/%d, %d frames\n", index,
               o->frame_count, (long long)o->length_ms, o->stride_steps, o->timebase.numerator,
               o->timebase.denominator, feed.count);
}

/* Plans the feed and compares. */
static void check_plan(const struct clv_windows_options *o)
{
    if (t_failed())
        return;
    REQUIRE_OK(plan(o, -1));
    make_want(o);
    CHECK_INT(record.segment_count, want_count);
    for (int i = 0; i < want_count && i < record.segment_count && !t_failed(); i++)
        check_segment(i, o);
    check_properties(o);
}

static void feed_add(int64_t time, bool is_cut)
{
    if (feed.count > 0)
        feed.end[feed.count - 1] = time;
    feed.time[feed.count] = feed.end[feed.count] = time;
    feed.is_cut[feed.count++] = is_cut;
}

static struct clv_windows_options options_of(int64_t length_ms, int steps, int frame_count,
                                             int numerator, int denominator)
{
    return (struct clv_windows_options){
        length_ms, steps, frame_count, {(int32_t)numerator, (int32_t)denominator}};
}

/* ---- tests ---- */

/* Every frame count up to several windows, at the usual and the crooked rates. */
static void plans_every_length_exactly(void)
{
    static const struct {
        int numerator, denominator, ticks;
    } rates[] = {{1, 25, 1}, {1001, 30000, 1}, {1, 90000, 3003}, {1, 12800, 512}, {1, 1000, 40}};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
        for (int count = 1; count <= 190; count++) {
            feed.count = 0;
            for (int i = 0; i < count; i++)
                feed_add(777 + (int64_t)i * rates[r].ticks, false);
            feed.end[count - 1] += rates[r].ticks;
            struct clv_windows_options o =
                options_of(2000, 4, 8, rates[r].numerator, rates[r].denominator);
            check_plan(&o);
        }
}

/* Different T, strides and lengths over one cut-up feed. */
static void plans_every_shape_exactly(void)
{
    for (int frame_count = 1; frame_count <= T_MAX; frame_count++)
        for (int steps = 1; steps <= 2 * frame_count; steps++) {
            feed.count = 0;
            for (int i = 0; i < 700; i++)
                feed_add(-50 + i,
                         i == 250 || i == 253 || i == 400 || i == 401 || i == 420 || i == 699);
            feed.end[feed.count - 1] = feed.time[feed.count - 1] + 1;
            struct clv_windows_options o = options_of(4000, steps, frame_count, 1, 25);
            /* The shot of 20 frames is short and kept whole where 4 T reaches that far. */
            check_plan(&o);
        }
}

/* Random times: jitter, stalls, bursts of equal times, cuts anywhere. */
static void plans_irregular_times_exactly(void)
{
    uint64_t seed = 11;
    for (int round = 0; round < 600 && !t_failed(); round++) {
        int frame_count = 1 + (int)(t_random(&seed) % T_MAX);
        int steps = 1 + (int)(t_random(&seed) % (uint64_t)(frame_count + 2));
        int64_t length_ms = 200 + (int64_t)(t_random(&seed) % 5000);
        /* Mean gap such that a window holds at most 2 T frames. */
        int64_t gap = 90 * length_ms / (2 * frame_count);
        int64_t time = (int64_t)(t_random(&seed) % 1000000) - 500000;
        feed.count = 0;
        for (int i = 0; i < 150; i++) {
            uint64_t kind = t_random(&seed) % 20;
            feed_add(time, t_random(&seed) % 12 == 0);
            time += kind == 0   ? 0
                    : kind == 1 ? gap * 9
                    : kind == 2 ? gap * 40
                                : gap / 2 + (int64_t)(t_random(&seed) % (uint64_t)(gap + 1));
        }
        feed.end[feed.count - 1] = time + (int64_t)(t_random(&seed) % 3) * gap;
        struct clv_windows_options o = options_of(length_ms, steps, frame_count, 1, 90000);
        check_plan(&o);
    }
}

static void gives_one_segment_for_one_frame(void)
{
    static const int64_t ends[] = {-7, 0, 1, 3600, 90000, 36000000};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        feed.count = 0;
        feed_add(1234, true);
        feed.end[0] = 1234 + ends[i];
        struct clv_windows_options o = options_of(4000, 4, 8, 1, 90000);
        check_plan(&o);
        CHECK_INT(record.segment_count, 1);
        CHECK_INT(record.sent_count, 1);
        CHECK_INT(record.segments[0].start, 1234);
        CHECK_INT(record.segments[0].end, ends[i] > 0 ? 1234 + ends[i] : 1235);
    }
}

/* A clock that jumps by 26 hours, or to the end of time, costs neither time nor windows. */
static void survives_absurd_times(void)
{
    static const int64_t jumps[] = {(int64_t)1 << 33, (int64_t)1 << 53, INT64_MAX};
    for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++)
        for (int steps = 1; steps < 20; steps += 3) {
            struct clv_windows_options o = options_of(4000, steps, 8, 1, 90000);
            feed.count = 0;
            for (int k = 0; k < 300; k++)
                feed_add(k < 150 ? k * 3000 : jumps[i] - (300 - k) * 3000, false);
            feed.end[299] = jumps[i];
            CHECK_OK(plan(&o, -1));
            check_properties(&o);
            CHECK(record.segment_count < 100);
        }
    /* Ticks of years, and steps far below a tick. */
    struct clv_windows_options o = options_of(1, 1, 16, INT32_MAX, 1);
    feed.count = 0;
    for (int k = 0; k < 50; k++)
        feed_add(INT64_MIN + k, k % 5 == 0);
    feed.end[49] = INT64_MAX;
    CHECK_OK(plan(&o, -1));
    check_properties(&o);
}

static void joins_flashes_to_their_neighbours(void)
{
    struct clv_windows_options o = options_of(4000, 4, 8, 1, 25);
    /* A flash of 3 frames between two shots runs on into the second. */
    feed.count = 0;
    for (int i = 0; i < 253; i++)
        feed_add(i, i == 100 || i == 103 || i == 250);
    feed.end[252] = 253;
    check_plan(&o);
    int last = record.segment_count - 1;
    CHECK_INT(record.segments[last].shot, 1);
    CHECK_INT(record.segments[last].end, 253);
    bool begins_at_flash = false;
    for (int i = 0; i <= last; i++)
        begins_at_flash =
            begins_at_flash || (record.segments[i].shot == 1 && record.segments[i].start == 100);
    CHECK(begins_at_flash);
    /* A video that is nothing but a flash is a segment all the same. */
    feed.count = 0;
    feed_add(0, true);
    feed_add(1, true);
    feed_add(2, true);
    feed.end[2] = 3;
    check_plan(&o);
    CHECK_INT(record.segment_count, 1);
    CHECK_INT(record.segments[0].end, 3);
}

/* A short shot with more frames than are kept still gets frames spread over all of it. */
static void spreads_frames_over_long_short_shots(void)
{
    for (int count = 33; count < 3000; count = count * 5 / 4) {
        feed.count = 0;
        for (int i = 0; i < count; i++)
            feed_add((int64_t)i * 1000, false);
        feed.end[count - 1] = (int64_t)count * 1000;
        struct clv_windows_options o = options_of(2 * count, 4, 8, 1, 1000000);
        REQUIRE_OK(plan(&o, -1));
        check_properties(&o);
        CHECK_INT(record.segment_count, 1);
        make_want(&o);
        check_segment(0, &o);
        for (int k = 1; k < 8; k++)
            CHECK(record.segments[0].frames[k] > record.segments[0].frames[k - 1]);
        /* T close ones, then T for each time the shot grows e-fold. */
        CHECK(record.keep_calls < 8 + 8 * (int)ceil(log(count / 8.0)) + 8);
    }
}

/* Ends that promise too little or too much change which frames serve, not what is covered. */
static void survives_wrong_ends(void)
{
    uint64_t seed = 5;
    for (int round = 0; round < 400 && !t_failed(); round++) {
        int64_t time = 0;
        feed.count = 0;
        for (int i = 0; i < 300; i++) {
            feed_add(time, t_random(&seed) % 40 == 0);
            time += (int64_t)(t_random(&seed) % 9000);
        }
        for (int i = 0; i < 300; i++)
            feed.end[i] = feed.time[i] + (int64_t)(t_random(&seed) % 9000) - 1000;
        struct clv_windows_options o = options_of(1500, 1 + round % 8, 8, 1, 90000);
        REQUIRE_OK(plan(&o, -1));
        check_properties(&o);
    }
}

/* A frame is sent once, however many windows it is in, and only frames that serve are. */
static void sends_each_frame_once(void)
{
    feed.count = 0;
    for (int i = 0; i < 3000; i++)
        feed_add(i, false);
    feed.end[2999] = 3000;
    struct clv_windows_options o = options_of(4000, 1, 8, 1, 25);
    check_plan(&o);
    /* 120 s at two points a second. */
    CHECK_INT(record.sent_count, 240);
    CHECK_INT(record.segment_count, 240 - 8 + 1);
}

static void passes_failures_up(void)
{
    feed.count = 0;
    for (int i = 0; i < 400; i++)
        feed_add(i, i == 200 || i == 230);
    feed.end[399] = 400;
    struct clv_windows_options o = options_of(2000, 3, 8, 1, 25);
    int rounds = 0;
    while (!t_failed()) {
        int status = plan(&o, rounds);
        if (status == CLV_OK)
            break;
        CHECK_ERROR(status, CLV_EIO, "as asked");
        rounds++;
    }
    CHECK(rounds > 100);
}

static void rounds_the_stride_to_steps(void)
{
    CHECK_INT(clv_windows_stride_steps(4000, 2000, 8), 4);
    CHECK_INT(clv_windows_stride_steps(4000, 4000, 8), 8);
    CHECK_INT(clv_windows_stride_steps(4000, 1, 8), 1);
    CHECK_INT(clv_windows_stride_steps(4000, 749, 8), 1);
    CHECK_INT(clv_windows_stride_steps(4000, 750, 8), 2);
    CHECK_INT(clv_windows_stride_steps(1, INT64_MAX, 8), INT32_MAX);
}

int main(void)
{
    T_RUN(plans_every_length_exactly);
    T_RUN(plans_every_shape_exactly);
    T_RUN(plans_irregular_times_exactly);
    T_RUN(gives_one_segment_for_one_frame);
    T_RUN(survives_absurd_times);
    T_RUN(joins_flashes_to_their_neighbours);
    T_RUN(spreads_frames_over_long_short_shots);
    T_RUN(survives_wrong_ends);
    T_RUN(sends_each_frame_once);
    T_RUN(passes_failures_up);
    T_RUN(rounds_the_stride_to_steps);
    return t_end();
}
