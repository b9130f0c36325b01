/* Leads a run: scan, what the catalog knows, then decoding threads that read files ahead, this
 * thread, which alone encodes and reports, and one that stores what is complete. */
#include "indexer/ingest.h"

#include "core/clock.h"
#include "core/error.h"
#include "indexer/committer.h"
#include "indexer/run.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_INTERVAL_MS 100

/* How far reading runs ahead of what is stored, where a long file holds shorter ones up. It bounds
 * memory, and what is lost when a run is cut short. */
#define AHEAD_MAX 256
#define HELD_MAX_BYTES ((size_t)64 << 20)

void clv_run_report(struct clv_run *run, enum clv_ingest_event event, const char *path,
                    const char *detail)
{
    run->progress.event = event;
    run->progress.path = path;
    run->progress.detail = detail;
    run->reported_s = clv_clock_seconds();
    run->progress.elapsed_s = run->reported_s - run->begun_s;
    if (run->report)
        run->report(&run->progress, run->payload);
}

/* ---- settings ---- */

static int fill_options(struct clv_run *run, const struct clv_ingest_options *options)
{
    const int frame_count = clv_encoder_config(run->encoder)->frame_count;
    struct clv_ingest_options *o = &run->options;
    *o = *options;
    if (o->length_ms == 0)
        o->length_ms = 4000;
    if (o->stride_ms == 0)
        o->stride_ms = o->length_ms / 2;
    if (o->cut_score == 0)
        o->cut_score = 10;
    if (o->length_ms < 1 || o->length_ms > 86400000)
        return clv_fail(CLV_EINVAL, "a length of %" PRId64 " ms is not between 1 ms and a day",
                        o->length_ms);
    if (o->stride_ms < 0)
        return clv_fail(CLV_EINVAL, "a stride of %" PRId64 " ms is negative", o->stride_ms);
    int steps = clv_windows_stride_steps(o->length_ms, o->stride_ms, frame_count);
    const struct clv_encoder *encoder = run->encoder;
    clv_batches_choose(&run->batches, clv_device_kind(clv_encoder_device(encoder)), frame_count, o);
    const int most = (clv_encoder_slot_count(encoder) - run->batches.is_shared) / frame_count;
    if (run->batches.reader_count > most)
        run->batches.reader_count = most > 1 ? most : 1;
    run->batches.frame_max = clv_encoder_frame_batch(encoder);
    run->batches.window_max = clv_encoder_window_batch(encoder);
    run->decode = (struct clv_decode_settings){
        .length_ms = o->length_ms,
        .stride_steps = steps,
        .cut_score = o->cut_score,
        .decoder = o->decoder,
        .dry_run = o->dry_run,
        .config = clv_encoder_config(run->encoder),
        .rules = {.force = o->force, .retry_failed = o->retry_failed},
    };
    char cut[12] = "off";
    if (o->cut_score > 0)
        snprintf(cut, sizeof cut, "%.4g", o->cut_score);
    /* The stride as it really is, so that equal results have equal settings. */
    snprintf(run->settings, sizeof run->settings, "length=%" PRId64 " stride=%.6g t=%d cut=%s",
             o->length_ms, (double)steps * (double)o->length_ms / frame_count, frame_count, cut);
    return CLV_OK;
}

/* ---- what is to be done ---- */

/* Reports what needs no reading and makes jobs of the rest. */
static int plan_jobs(struct clv_run *run)
{
    struct clv_scan *scan = &run->scan;
    size_t count = (size_t)scan->count + 1;
    enum clv_outlook *outlooks = calloc(count, sizeof *outlooks);
    run->jobs = calloc(count, sizeof *run->jobs);
    run->again = calloc(count, sizeof(struct clv_job *));
    if (!outlooks || !run->jobs || !run->again) {
        free(outlooks);
        return clv_fail_memory("a list of files");
    }
    run->progress.file_count = scan->count;
    for (int i = 0; i < scan->count; i++) {
        const struct clv_scan_file *file = &scan->files[i];
        outlooks[i] = clv_known_outlook(clv_known_find(run->known, file->path), file->size_bytes,
                                        file->modified_ns, &run->decode.rules);
        if (outlooks[i] != CLV_OUTLOOK_READ)
            continue;
        run->progress.bytes_total += file->size_bytes;
        run->jobs[run->job_count++] = (struct clv_job){
            .path = file->path, .size_bytes = file->size_bytes, .modified_ns = file->modified_ns};
    }
    clv_run_report(run, CLV_INGEST_SCANNED, "", "");
    for (int i = 0; i < scan->problem_count; i++) {
        run->progress.failed_count++;
        clv_run_report(run, CLV_INGEST_FAILED, scan->problems[i].path, scan->problems[i].reason);
    }
    for (int i = 0; i < scan->count; i++) {
        const char *path = scan->files[i].path;
        if (outlooks[i] == CLV_OUTLOOK_READ)
            continue;
        run->progress.files_done++;
        if (outlooks[i] == CLV_OUTLOOK_UNCHANGED) {
            run->progress.unchanged_count++;
            clv_run_report(run, CLV_INGEST_UNCHANGED, path, "");
        } else {
            run->progress.failed_count++;
            clv_run_report(run, CLV_INGEST_FAILED, path, clv_known_find(run->known, path)->error);
        }
    }
    free(outlooks);
    return CLV_OK;
}

/* ---- the pipeline, on the encoding side ---- */

struct pipeline {
    struct clv_run *run;
    struct clv_job *const *jobs;
    int job_count;
    int handed_count, stored_count; /* to the committer, and by it */
    int reader_count;
    struct clv_pipe *pipe;
    struct clv_encode *encode;
    struct clv_committer *committer;
    const char *path; /* of the file begun last */
    /* of the pipelines before this one */
    double decode_before_s, encode_before_s, write_before_s;
    int64_t bytes_before, footage_before_ms, frames_before;
};

static void note_progress(struct pipeline *line)
{
    struct clv_ingest_progress *progress = &line->run->progress;
    const double busy_s = 1e-6 * (double)atomic_load(&line->pipe->busy_us);
    progress->bytes_done = line->bytes_before + atomic_load(&line->pipe->bytes_done);
    progress->footage_ms = line->footage_before_ms + atomic_load(&line->pipe->footage_ms);
    progress->decode_s = line->decode_before_s + busy_s / line->reader_count;
    struct clv_encode_counts counts = clv_encode_counts(line->encode);
    progress->encode_s = line->encode_before_s + counts.busy_s;
    progress->frame_count = line->frames_before + counts.frames;
    progress->write_s = line->write_before_s + clv_committer_busy_s(line->committer);
    if (clv_clock_seconds() - line->run->reported_s >= 1e-3 * REPORT_INTERVAL_MS)
        clv_run_report(line->run, CLV_INGEST_PROGRESS, line->path, "");
}

/* Hands over what is complete, in the order of the jobs: nothing overtakes a file that is not. */
static void hand_complete(struct pipeline *line)
{
    while (line->handed_count < line->job_count) {
        struct clv_job *job = line->jobs[line->handed_count];
        if (!job->is_ended || job->track.awaited_count > 0)
            return;
        line->handed_count++;
        clv_committer_hand(line->committer, job);
    }
}

/* Reports what has been stored, waiting up to `timeout_ms` for the first of what has not. */
static int collect_stored(struct pipeline *line, int timeout_ms)
{
    while (line->stored_count < line->handed_count) {
        bool timed_out;
        struct clv_job *job = clv_committer_take(line->committer, timeout_ms, &timed_out);
        if (!job)
            return timed_out ? CLV_OK : clv_committer_status(line->committer);
        line->stored_count++;
        note_progress(line);
        clv_run_report_job(line->run, job);
        timeout_ms = 0;
    }
    return CLV_OK;
}

/* Where readers wait for what waits in a batch, the batch must not wait for them. */
static int make_room(struct pipeline *line)
{
    const bool is_storing = line->stored_count < line->handed_count;
    if (is_storing || !clv_order_is_waiting(line->pipe->order))
        return CLV_OK;
    int status = clv_encode_flush(line->encode);
    hand_complete(line);
    return status;
}

static int handle_end(struct pipeline *line, const struct clv_work *work)
{
    struct clv_job *job = work->job;
    int status = CLV_OK;
    if (job->status == CLV_OK && job->verdict.kind == CLV_VERDICT_INDEX)
        status = clv_encode_end(line->encode, work->lane);
    else
        clv_encode_drop(line->encode, work->lane);
    job->is_ended = true;
    job->held_bytes = clv_track_bytes(&job->track);
    clv_order_hold(line->pipe->order, job->held_bytes);
    if (status != CLV_OK)
        return status;
    hand_complete(line);
    return make_room(line);
}

static int handle(struct pipeline *line, const struct clv_work *work)
{
    struct clv_run *run = line->run;
    switch (work->kind) {
    case CLV_WORK_BEGIN:
        line->path = work->job->path;
        clv_track_init(&work->job->track, run->decode.config->embed_dim);
        clv_encode_begin(line->encode, work->lane, &work->job->track);
        clv_run_report(run, CLV_INGEST_BEGIN, line->path, "");
        return CLV_OK;
    case CLV_WORK_FRAME:
        return clv_encode_frame(line->encode, work->lane, work->square);
    case CLV_WORK_WINDOW:
        return clv_encode_window(line->encode, work->lane, &work->window);
    case CLV_WORK_EXTEND:
        return clv_encode_extend(line->encode, work->lane, work->window.end_ticks);
    case CLV_WORK_END:
        return handle_end(line, work);
    }
    return CLV_OK;
}

/* What is complete is stored, also after a failure, which `status` is. */
static int store_rest(struct pipeline *line, int status)
{
    int stored = CLV_OK;
    hand_complete(line);
    clv_committer_end(line->committer);
    while (stored == CLV_OK && line->stored_count < line->handed_count) {
        stored = collect_stored(line, REPORT_INTERVAL_MS);
        note_progress(line);
    }
    return stored == CLV_OK ? status : stored;
}

static int encode_all(struct pipeline *line)
{
    struct clv_cancel *cancel = line->run->options.cancel;
    int status = CLV_OK;
    while (status == CLV_OK) {
        bool timed_out;
        struct clv_work *work = clv_pipe_receive(line->pipe, REPORT_INTERVAL_MS, &timed_out);
        if (clv_cancelled(cancel))
            return clv_fail(CLV_ECANCELED, "indexing was stopped");
        if (!work && !timed_out)
            break;
        if (work) {
            status = handle(line, work);
            clv_pipe_return(line->pipe, work);
        }
        if (status == CLV_OK)
            status = collect_stored(line, 0);
        if (status == CLV_OK && timed_out)
            status = make_room(line);
        note_progress(line);
    }
    return status == CLV_OK ? clv_encode_flush(line->encode) : status;
}

/* Starts the readers and encodes what they send. */
static int run_readers(struct pipeline *line)
{
    struct clv_run *run = line->run;
    const size_t count = (size_t)line->reader_count;
    pthread_t *threads = calloc(count, sizeof *threads);
    struct clv_decode_task *tasks = calloc(count, sizeof *tasks);
    int started = 0, status = CLV_OK;
    if (!threads || !tasks)
        status = clv_fail_memory("the decoding threads");
    for (; status == CLV_OK && started < line->reader_count; started++) {
        tasks[started] = (struct clv_decode_task){
            .pipe = line->pipe,
            .lane = started,
            .known = run->known,
            .jobs = line->jobs,
            .settings = &run->decode,
        };
        if (pthread_create(&threads[started], NULL, clv_decode_run, &tasks[started]) != 0) {
            status = clv_fail(CLV_ERR, "cannot start a decoding thread");
            break;
        }
    }
    if (status == CLV_OK)
        status = store_rest(line, encode_all(line));
    /* Keeps the failure's sentence: joining records none on this thread. */
    clv_pipe_stop(line->pipe);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    note_progress(line);
    free(threads);
    free(tasks);
    return status;
}

/* Reads, encodes and stores `jobs`. */
static int run_jobs(struct clv_run *run, struct clv_job *const *jobs, int job_count)
{
    const struct clv_model_config *config = run->decode.config;
    const struct clv_batches *batches = &run->batches;
    const size_t side = (size_t)config->image_side;
    struct pipeline line = {
        .run = run,
        .jobs = jobs,
        .job_count = job_count,
        .reader_count = batches->reader_count < job_count ? batches->reader_count : job_count,
        .path = "",
        .decode_before_s = run->progress.decode_s,
        .encode_before_s = run->progress.encode_s,
        .write_before_s = run->progress.write_s,
        .bytes_before = run->progress.bytes_done,
        .footage_before_ms = run->progress.footage_ms,
        .frames_before = run->progress.frame_count,
    };
    /* A lane of its own has as many slots however few files there are: they set its batches. */
    const struct clv_encode_options encode = {
        .lane_count = batches->is_shared ? line.reader_count : batches->reader_count,
        .frame_max = batches->frame_max,
        .window_max = batches->window_max,
        .is_shared = batches->is_shared,
    };
    const struct clv_pipe_options pipe = {
        .square_bytes = side * side * 3,
        .frame_count = config->frame_count,
        .lane_count = line.reader_count,
        .depth = 2 * batches->frame_max + 32,
        .held_count = clv_encode_held_count(&encode),
        .job_count = job_count,
        .ahead_max = AHEAD_MAX,
        .held_max_bytes = HELD_MAX_BYTES,
        .cancel = run->options.cancel,
    };
    run->decode.thread_count =
        clv_batches_decode_threads(run->options.decode_threads, line.reader_count);
    int status = clv_pipe_create(&line.pipe, &pipe);
    if (status == CLV_OK)
        status = clv_encode_create(&line.encode, run->encoder, line.pipe, &encode);
    if (status == CLV_OK)
        status = clv_committer_create(&line.committer, run, line.pipe->order, job_count);
    if (status == CLV_OK)
        status = run_readers(&line);
    clv_committer_free(line.committer);
    clv_encode_free(line.encode);
    clv_pipe_free(line.pipe);
    return status;
}

static int run_all(struct clv_run *run)
{
    struct clv_job **jobs = calloc((size_t)run->job_count + 1, sizeof(struct clv_job *));
    if (!jobs)
        return clv_fail_memory("a list of files");
    int count = run->job_count;
    for (int i = 0; i < count; i++)
        jobs[i] = &run->jobs[i];
    int status = count > 0 ? run_jobs(run, jobs, count) : CLV_OK;
    /* Copies of what could not be had after all are read themselves. */
    if (status == CLV_OK && run->again_count > 0) {
        count = run->again_count;
        memcpy(jobs, run->again, (size_t)count * sizeof(struct clv_job *));
        for (int i = 0; i < count; i++) {
            run->progress.bytes_done -= jobs[i]->size_bytes;
            jobs[i]->is_ended = false;
        }
        run->again_count = 0;
        run->decode.rules.no_copy = true;
        status = run_jobs(run, jobs, count);
    }
    free(jobs);
    return status;
}

/* ---- calls ---- */

const char *clv_ingest_limit(const struct clv_ingest_progress *progress)
{
    if (progress->frame_count == 0)
        return "";
    if (progress->decode_s > progress->encode_s && progress->decode_s > progress->write_s)
        return "decoding";
    return progress->encode_s > progress->write_s ? "encoding" : "writing";
}

int clv_ingest_encoder(struct clv_encoder **out, struct clv_device *device,
                       const struct clv_model *model, const struct clv_ingest_options *options)
{
    const int frame_count = model->config.frame_count;
    struct clv_batches batches;
    int status;
    clv_batches_choose(&batches, clv_device_kind(device), frame_count, options);
    do {
        const struct clv_encoder_options wanted = {
            .no_text = true,
            .slot_count = batches.slot_count,
            .frame_batch_max = batches.frame_max,
            .window_batch_max = batches.window_max,
        };
        status = clv_encoder_create(out, device, model->weights, &model->config, &wanted);
    } while (status == CLV_ENOMEM && clv_batches_halve(&batches, frame_count));
    return status;
}

int clv_ingest_paths(struct clv_ingest_progress *totals_out, struct clv_store *store,
                     struct clv_encoder *encoder, int64_t model_id, const char *const *paths,
                     int path_count, const struct clv_ingest_options *options,
                     clv_ingest_report *report, void *payload)
{
    struct clv_run run = {
        .store = store,
        .encoder = encoder,
        .model_id = model_id,
        .report = report,
        .payload = payload,
        .progress = {.path = "", .detail = ""},
        .begun_s = clv_clock_seconds(),
    };
    int status = fill_options(&run, options);
    if (status == CLV_OK)
        status = clv_scan_paths(&run.scan, paths, path_count, run.options.cancel);
    if (status == CLV_OK)
        status = clv_known_load(&run.known, store, model_id, run.settings);
    if (status == CLV_OK)
        status = plan_jobs(&run);
    if (status == CLV_OK)
        status = run_all(&run);
    if (status == CLV_OK)
        status = clv_run_finish_gone(&run);
    if (status == CLV_OK && !run.options.dry_run)
        status = clv_store_refresh(store, run.options.cancel);
    run.progress.elapsed_s = clv_clock_seconds() - run.begun_s;
    run.progress.path = run.progress.detail = "";
    *totals_out = run.progress;
    for (int i = 0; i < run.job_count; i++)
        clv_track_release(&run.jobs[i].track);
    clv_known_free(run.known);
    clv_scan_release(&run.scan);
    free(run.jobs);
    free(run.again);
    return status;
}
