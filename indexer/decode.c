#include "indexer/decode.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/model/pixels.h"

#include <inttypes.h>
#include <stdio.h>

struct decoding {
    const struct clv_decode_task *task;
    struct clv_job *job;
    int job_index;
    uint8_t **at_place; /* the lane's */
    struct clv_reader *reader;
    struct clv_pixels *pixels; /* made with the first picture, kept for the run */
    int64_t first_ticks;
    bool has_first;
    double waited_s; /* for the other side, since `begun_s` */
    double begun_s;
    int64_t planned_bytes;       /* the file's size when the run was planned */
    int64_t told_bytes, told_ms; /* what the pipe has been told of this file */
};

/* ---- waiting, and what is told of the work ---- */

static void count_busy(struct decoding *decoding)
{
    double now = clv_clock_seconds();
    atomic_fetch_add(&decoding->task->pipe->busy_us,
                     (int64_t)(1e6 * (now - decoding->begun_s - decoding->waited_s)));
    decoding->begun_s = now;
    decoding->waited_s = 0;
}

/* How far into the file: the pipe counts what all lanes have done. */
static void tell_bytes(struct decoding *decoding, int64_t bytes)
{
    atomic_fetch_add(&decoding->task->pipe->bytes_done, bytes - decoding->told_bytes);
    decoding->told_bytes = bytes;
}

static void tell_footage(struct decoding *decoding, int64_t footage_ms)
{
    atomic_fetch_add(&decoding->task->pipe->footage_ms, footage_ms - decoding->told_ms);
    decoding->told_ms = footage_ms;
}

static int fail_stopped(void)
{
    return clv_fail(CLV_ECANCELED, "indexing was stopped");
}

static struct clv_work *take_work(struct decoding *decoding, enum clv_work_kind kind)
{
    double begun = clv_clock_seconds();
    struct clv_work *work = clv_pipe_take(decoding->task->pipe);
    decoding->waited_s += clv_clock_seconds() - begun;
    if (work) {
        work->kind = kind;
        work->lane = decoding->task->lane;
        work->job = decoding->job;
        work->square = NULL;
    }
    return work;
}

static int send_work(struct decoding *decoding, struct clv_work *work)
{
    double begun = clv_clock_seconds();
    int status = clv_pipe_send(decoding->task->pipe, work);
    decoding->waited_s += clv_clock_seconds() - begun;
    return status;
}

static int send_mark(struct decoding *decoding, enum clv_work_kind kind)
{
    struct clv_work *work = take_work(decoding, kind);
    return work ? send_work(decoding, work) : fail_stopped();
}

/* ---- what the window plan asks for ---- */

static int on_keep(void *payload, int place)
{
    struct decoding *decoding = payload;
    const struct clv_image *image;
    double begun = clv_clock_seconds();
    uint8_t *square = clv_pipe_take_square(decoding->task->pipe);
    decoding->waited_s += clv_clock_seconds() - begun;
    if (!square)
        return fail_stopped();
    decoding->at_place[place] = square;
    int status = clv_reader_image(decoding->reader, &image);
    if (status == CLV_OK && !decoding->pixels)
        status = clv_pixels_create(&decoding->pixels, decoding->task->settings->config);
    if (status == CLV_OK)
        status = clv_pixels_crop(decoding->pixels, square, image);
    return status;
}

static void on_drop(void *payload, int place)
{
    struct decoding *decoding = payload;
    clv_pipe_return_square(decoding->task->pipe, decoding->at_place[place]);
    decoding->at_place[place] = NULL;
}

static int on_send(void *payload, int place)
{
    struct decoding *decoding = payload;
    struct clv_work *work = take_work(decoding, CLV_WORK_FRAME);
    if (!work)
        return fail_stopped();
    work->square = decoding->at_place[place];
    decoding->at_place[place] = NULL;
    return send_work(decoding, work);
}

static int on_window(void *payload, const struct clv_window *window)
{
    struct decoding *decoding = payload;
    struct clv_work *work = take_work(decoding, CLV_WORK_WINDOW);
    if (!work)
        return fail_stopped();
    work->window = *window;
    work->window.frames = work->frames;
    for (int i = 0; i < decoding->task->pipe->frame_count; i++)
        work->frames[i] = window->frames[i];
    return send_work(decoding, work);
}

static int on_extend(void *payload, int64_t end_ticks)
{
    struct decoding *decoding = payload;
    struct clv_work *work = take_work(decoding, CLV_WORK_EXTEND);
    if (!work)
        return fail_stopped();
    work->window = (struct clv_window){.end_ticks = end_ticks};
    return send_work(decoding, work);
}

static const struct clv_windows_calls plan_calls = {on_keep, on_drop, on_send, on_window,
                                                    on_extend};

/* ---- one file ---- */

static void show_position(struct decoding *decoding, const struct clv_frame *frame)
{
    const struct clv_media_info *info = &decoding->job->info;
    if (!decoding->has_first)
        decoding->first_ticks = frame->time_ticks;
    decoding->has_first = true;
    int64_t done_ticks = frame->end_ticks - decoding->first_ticks;
    int64_t done_ms = clv_time_rescale(done_ticks, info->timebase, (struct clv_timebase){1, 1000});
    tell_footage(decoding, done_ms);
    if (info->duration_ticks > 0) {
        double share = (double)done_ticks / (double)info->duration_ticks;
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        tell_bytes(decoding, (int64_t)(share * (double)decoding->planned_bytes));
    }
    count_busy(decoding);
}

static int feed_frames(struct decoding *decoding, struct clv_windows *windows)
{
    struct clv_job *job = decoding->job;
    struct clv_frame frame;
    int status;
    while ((status = clv_reader_next(decoding->reader, &frame)) == CLV_OK) {
        if (clv_pipe_is_stopped(decoding->task->pipe))
            return fail_stopped();
        job->end_ticks = frame.end_ticks;
        status = clv_windows_frame(windows, frame.time_ticks, frame.end_ticks, frame.is_cut);
        show_position(decoding, &frame);
        if (status != CLV_OK)
            return status;
    }
    if (status != CLV_DONE)
        return status;
    if (!decoding->has_first)
        return clv_fail(CLV_ECORRUPT, "not one frame of '%s' can be decoded", job->path);
    return clv_windows_end(windows);
}

static int decode_video(struct decoding *decoding)
{
    const struct clv_decode_settings *settings = decoding->task->settings;
    struct clv_job *job = decoding->job;
    struct clv_windows *windows = NULL;
    struct clv_reader_options options = {
        .detect_cuts = settings->cut_score >= 0,
        .cut_score = settings->cut_score,
        .thread_count = settings->thread_count,
        .decoder = settings->decoder,
        .cancel = decoding->task->pipe->cancel,
    };
    int status = clv_reader_open(&decoding->reader, job->path, &options);
    if (status == CLV_OK) {
        job->info = *clv_reader_info(decoding->reader);
        if (job->info.timebase.numerator <= 0 || job->info.timebase.denominator <= 0)
            status = clv_fail(CLV_ECORRUPT, "'%s' has the impossible time base %d/%d", job->path,
                              job->info.timebase.numerator, job->info.timebase.denominator);
    }
    struct clv_windows_options plan = {settings->length_ms, settings->stride_steps,
                                       decoding->task->pipe->frame_count, job->info.timebase};
    if (status == CLV_OK)
        status = clv_windows_create(&windows, &plan, &plan_calls, decoding);
    if (status == CLV_OK)
        status = feed_frames(decoding, windows);
    if (status == CLV_OK)
        job->damage_count = clv_reader_damage_count(decoding->reader);
    clv_windows_free(windows);
    clv_reader_close(decoding->reader);
    decoding->reader = NULL;
    int place_count = clv_windows_place_count(decoding->task->pipe->frame_count);
    for (int i = 0; i < place_count; i++)
        if (decoding->at_place[i])
            on_drop(decoding, i);
    return status;
}

/* Its content's digest, where that can matter. */
static int look_at(struct decoding *decoding, bool *has_digest_out)
{
    const struct clv_decode_task *task = decoding->task;
    struct clv_job *job = decoding->job;
    *has_digest_out = false;
    if (task->settings->dry_run && !clv_known_has_size(task->known, job->size_bytes))
        return CLV_OK;
    int status = clv_digest_file(job->digest, job->path, task->pipe->cancel);
    *has_digest_out = status == CLV_OK;
    return status;
}

/* What is to be done about the file, of which looking at it gave `status`. That depends on the
 * files before it, so they come first. */
static int judge(struct decoding *decoding, int status, bool has_digest)
{
    const struct clv_decode_task *task = decoding->task;
    struct clv_job *job = decoding->job;
    double begun = clv_clock_seconds();
    bool is_turn = clv_order_await(task->pipe->order, decoding->job_index);
    decoding->waited_s += clv_clock_seconds() - begun;
    if (!is_turn)
        return fail_stopped();
    if (status == CLV_OK && has_digest)
        status = clv_known_decide(&job->verdict, task->known, job->path, job->digest,
                                  &task->settings->rules);
    clv_order_judged(task->pipe->order, decoding->job_index);
    return status;
}

static int read_file(struct decoding *decoding)
{
    const struct clv_decode_task *task = decoding->task;
    struct clv_job *job = decoding->job;
    struct clv_file_facts before, after;
    bool has_digest = false;
    int status = clv_file_facts(&before, job->path);
    const bool is_there = status == CLV_OK;
    if (is_there) {
        job->size_bytes = before.size_bytes;
        job->modified_ns = before.modified_ns;
        job->verdict = (struct clv_verdict){.kind = CLV_VERDICT_INDEX, .error = ""};
        status = look_at(decoding, &has_digest);
    }
    if (status != CLV_ECANCELED)
        status = judge(decoding, status, has_digest);
    if (status == CLV_OK && job->verdict.kind == CLV_VERDICT_INDEX && !task->settings->dry_run)
        status = decode_video(decoding);
    if (status == CLV_ECANCELED || !is_there)
        return status;
    if (clv_file_facts(&after, job->path) == CLV_OK &&
        (after.size_bytes != before.size_bytes || after.modified_ns != before.modified_ns))
        status = clv_fail(
            CLV_EIO, "'%s' changed while being read: %" PRId64 " bytes before, %" PRId64 " after",
            job->path, before.size_bytes, after.size_bytes);
    return status;
}

static int run_job(struct decoding *decoding)
{
    struct clv_job *job = decoding->job;
    decoding->has_first = false;
    decoding->planned_bytes = job->size_bytes;
    decoding->told_bytes = decoding->told_ms = 0;
    decoding->begun_s = clv_clock_seconds();
    decoding->waited_s = 0;
    int status = send_mark(decoding, CLV_WORK_BEGIN);
    if (status != CLV_OK)
        return status;
    job->status = read_file(decoding);
    if (job->status == CLV_ECANCELED || clv_pipe_is_stopped(decoding->task->pipe))
        return fail_stopped();
    if (job->status != CLV_OK)
        snprintf(job->error, sizeof job->error, "%s", clv_error_message());
    tell_bytes(decoding, decoding->planned_bytes);
    count_busy(decoding);
    return send_mark(decoding, CLV_WORK_END);
}

void *clv_decode_run(void *payload)
{
    const struct clv_decode_task *task = payload;
    struct decoding decoding = {
        .task = task,
        .at_place = clv_pipe_places(task->pipe, task->lane),
    };
    while (clv_order_claim(task->pipe->order, &decoding.job_index)) {
        decoding.job = task->jobs[decoding.job_index];
        if (run_job(&decoding) != CLV_OK)
            break;
    }
    clv_pixels_free(decoding.pixels);
    clv_pipe_finish(task->pipe);
    return NULL;
}
