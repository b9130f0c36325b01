/* Leads a run: scan, what the catalog knows, then a decoding thread that reads files ahead while
 * this thread encodes and writes. Only this thread touches the store and the encoder. */
#include "indexer/ingest.h"

#include "core/clock.h"
#include "core/error.h"
#include "indexer/run.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_INTERVAL_S 0.1
#define FRAME_BATCH 8
#define WINDOW_BATCH 4

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
    run->decode = (struct clv_decode_settings){
        .length_ms = o->length_ms,
        .stride_steps = steps,
        .cut_score = o->cut_score,
        .thread_count = o->decode_threads,
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
    struct clv_pipe *pipe;
    struct clv_encode *encode;
    const char *path; /* of the file at hand */
    /* of the pipelines before this one */
    double decode_before_s, encode_before_s;
    int64_t bytes_before, footage_before_ms, frames_before;
};

static void note_progress(struct pipeline *line)
{
    struct clv_ingest_progress *progress = &line->run->progress;
    progress->bytes_done = line->bytes_before + atomic_load(&line->pipe->bytes_done);
    progress->footage_ms = line->footage_before_ms + atomic_load(&line->pipe->footage_ms);
    progress->decode_s = line->decode_before_s + 1e-6 * (double)atomic_load(&line->pipe->busy_us);
    struct clv_encode_counts counts = clv_encode_counts(line->encode);
    progress->encode_s = line->encode_before_s + counts.busy_s;
    progress->frame_count = line->frames_before + counts.frames;
    if (clv_clock_seconds() - line->run->reported_s >= REPORT_INTERVAL_S)
        clv_run_report(line->run, CLV_INGEST_PROGRESS, line->path, "");
}

static int handle(struct pipeline *line, struct clv_work *work)
{
    struct clv_run *run = line->run;
    int status = CLV_OK;
    switch (work->kind) {
    case CLV_WORK_BEGIN:
        line->path = work->job->path;
        clv_encode_begin(line->encode, &run->track);
        clv_run_report(run, CLV_INGEST_BEGIN, line->path, "");
        return CLV_OK;
    case CLV_WORK_FRAME:
        return clv_encode_frame(line->encode, work->square);
    case CLV_WORK_WINDOW:
        return clv_encode_window(line->encode, &work->window);
    case CLV_WORK_EXTEND:
        return clv_encode_extend(line->encode, work->window.end_ticks);
    case CLV_WORK_END:
        if (work->job->status == CLV_OK && work->job->verdict.kind == CLV_VERDICT_INDEX)
            status = clv_encode_flush(line->encode);
        note_progress(line);
        return status == CLV_OK ? clv_run_finish_job(run, work->job) : status;
    }
    return status;
}

static int encode_all(struct pipeline *line)
{
    struct clv_cancel *cancel = line->run->options.cancel;
    int status = CLV_OK;
    while (status == CLV_OK) {
        bool timed_out;
        struct clv_work *work =
            clv_pipe_receive(line->pipe, (int)(1000 * REPORT_INTERVAL_S), &timed_out);
        if (clv_cancelled(cancel))
            return clv_fail(CLV_ECANCELED, "indexing was stopped");
        if (!work && !timed_out)
            break;
        if (work) {
            status = handle(line, work);
            clv_pipe_return(line->pipe, work);
        }
        note_progress(line);
    }
    return status;
}

/* Reads, encodes and stores `jobs`. */
static int run_jobs(struct clv_run *run, struct clv_job *const *jobs, int job_count)
{
    const struct clv_model_config *config = run->decode.config;
    size_t side = (size_t)config->image_side;
    struct pipeline line = {
        .run = run,
        .path = "",
        .decode_before_s = run->progress.decode_s,
        .encode_before_s = run->progress.encode_s,
        .bytes_before = run->progress.bytes_done,
        .footage_before_ms = run->progress.footage_ms,
        .frames_before = run->progress.frame_count,
    };
    pthread_t thread;
    bool has_thread = false;
    struct clv_decode_task task = {
        .known = run->known, .jobs = jobs, .job_count = job_count, .settings = &run->decode};
    int status = clv_pipe_create(&line.pipe, side * side * 3, config->frame_count, FRAME_BATCH,
                                 run->options.cancel);
    if (status == CLV_OK)
        status =
            clv_encode_create(&line.encode, run->encoder, line.pipe, FRAME_BATCH, WINDOW_BATCH);
    if (status == CLV_OK) {
        task.pipe = line.pipe;
        has_thread = pthread_create(&thread, NULL, clv_decode_run, &task) == 0;
        status =
            has_thread ? encode_all(&line) : clv_fail(CLV_ERR, "cannot start the decoding thread");
    }
    if (has_thread) {
        /* Keeps the failure's sentence: joining records none on this thread. */
        clv_pipe_stop(line.pipe);
        pthread_join(thread, NULL);
        note_progress(&line);
    }
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
        for (int i = 0; i < count; i++)
            run->progress.bytes_done -= jobs[i]->size_bytes;
        run->again_count = 0;
        run->decode.rules.no_copy = true;
        status = run_jobs(run, jobs, count);
    }
    free(jobs);
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
    clv_track_init(&run.track, clv_encoder_config(encoder)->embed_dim);
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
    clv_track_release(&run.track);
    clv_known_free(run.known);
    clv_scan_release(&run.scan);
    free(run.jobs);
    free(run.again);
    return status;
}
