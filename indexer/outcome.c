/* What came of each file, written to the store and reported. */
#include "indexer/run.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"

#include <string.h>

static void report_indexed(struct clv_run *run, const struct clv_job *job, int64_t segment_count)
{
    run->progress.indexed_count++;
    run->progress.segment_count += segment_count;
    clv_run_report(run, CLV_INGEST_INDEXED, job->path, "");
}

static void report_failed(struct clv_run *run, const char *path, const char *reason)
{
    run->progress.failed_count++;
    clv_run_report(run, CLV_INGEST_FAILED, path, reason);
}

static int finish_failed(struct clv_run *run, const struct clv_job *job)
{
    struct clv_video_row row = {
        .path = job->path,
        .size_bytes = job->size_bytes,
        .modified_ns = job->modified_ns,
        .error = job->error,
    };
    /* What is no fault of the content is kept without it, and so tried again next time. */
    if (job->status != CLV_ENOMEM && job->status != CLV_EIO)
        memcpy(row.digest, job->digest, CLV_DIGEST_BYTES);
    int status = CLV_OK;
    /* A file that vanished since the scan is gone, not unreadable. */
    if (!run->options.dry_run && job->status != CLV_ENOTFOUND)
        status = clv_store_video_fail(run->store, &row);
    if (status == CLV_OK)
        report_failed(run, job->path, job->error);
    return status;
}

static int finish_indexed(struct clv_run *run, struct clv_job *job)
{
    const struct clv_media_info *info = &job->info;
    int64_t duration = job->end_ticks - info->start_ticks;
    struct clv_video_row row = {
        .path = job->path,
        .size_bytes = job->size_bytes,
        .modified_ns = job->modified_ns,
        .error = "",
        .codec = info->codec,
        .container = info->container,
        .width = info->width,
        .height = info->height,
        .rotation = info->rotation,
        .has_audio = info->has_audio,
        .frame_rate = info->frame_rate,
        .timebase = info->timebase,
        .start_ticks = info->start_ticks,
        .duration_ticks = duration > 0 ? duration : 0,
        .damage_count = job->damage_count,
    };
    memcpy(row.digest, job->digest, CLV_DIGEST_BYTES);
    memcpy(row.settings, run->settings, sizeof row.settings);
    clv_track_settle(&job->track);
    int status = CLV_OK;
    if (job->verdict.from_id)
        status =
            clv_store_video_move(run->store, job->verdict.from_id, job->path, job->modified_ns);
    if (status == CLV_OK || status == CLV_ENOTFOUND)
        status = clv_store_video_put(run->store, &row, run->model_id, job->track.segments,
                                     job->track.count);
    if (status == CLV_OK)
        report_indexed(run, job, (int64_t)job->track.count);
    return status;
}

static int add_copied(const struct clv_hit *segment, const float *vector, void *payload)
{
    struct clv_track *track = payload;
    struct clv_segment copy = {segment->start_ticks, segment->end_ticks, segment->shot,
                               segment->norm, NULL};
    return clv_track_copy(track, &copy, vector);
}

/* Stores the segments of another video with the same content. *done_out is false where there are
 * none after all. */
static int copy_video(struct clv_run *run, struct clv_job *job, bool *done_out)
{
    struct clv_video_row row;
    struct clv_track *track = &job->track;
    *done_out = false;
    int status = clv_store_video_by_path(run->store, &row, job->verdict.from_path, run->model_id);
    if (status != CLV_OK)
        return status == CLV_ENOTFOUND ? CLV_OK : status;
    clv_track_clear(track);
    if (row.status != CLV_VIDEO_FAILED && strcmp(row.settings, run->settings) == 0 &&
        memcmp(row.digest, job->digest, CLV_DIGEST_BYTES) == 0)
        status = clv_store_segments(run->store, row.id, run->model_id, add_copied, track);
    if (status == CLV_OK && track->count > 0) {
        struct clv_video_row copy = row;
        copy.id = copy.indexed_unix_ms = 0;
        copy.path = job->path;
        copy.size_bytes = job->size_bytes;
        copy.modified_ns = job->modified_ns;
        clv_track_settle(track);
        status =
            clv_store_video_put(run->store, &copy, run->model_id, track->segments, track->count);
        *done_out = status == CLV_OK;
    }
    clv_video_row_release(&row);
    return status;
}

static int finish_copied(struct clv_run *run, struct clv_job *job)
{
    bool done = run->options.dry_run;
    int status = done ? CLV_OK : copy_video(run, job, &done);
    if (status != CLV_OK)
        return status;
    if (done)
        report_indexed(run, job, run->options.dry_run ? 0 : (int64_t)job->track.count);
    else
        run->again[run->again_count++] = job;
    return CLV_OK;
}

static int finish_moved(struct clv_run *run, struct clv_job *job)
{
    int status = CLV_OK;
    if (!run->options.dry_run)
        status =
            clv_store_video_move(run->store, job->verdict.from_id, job->path, job->modified_ns);
    if (status == CLV_ENOTFOUND) { /* another process dropped it meanwhile */
        run->again[run->again_count++] = job;
        return CLV_OK;
    }
    if (status == CLV_OK) {
        run->progress.moved_count++;
        clv_run_report(run, CLV_INGEST_MOVED, job->path, job->verdict.from_path);
    }
    return status;
}

/* The content is what it was; only size and time are written down anew. */
static int finish_touched(struct clv_run *run, struct clv_job *job)
{
    const struct clv_known_video *video = clv_known_find(run->known, job->path);
    int status = CLV_OK;
    if (!run->options.dry_run)
        status = clv_store_video_touch(run->store, video->id, job->size_bytes, job->modified_ns);
    if (status == CLV_ENOTFOUND) {
        run->again[run->again_count++] = job;
        return CLV_OK;
    }
    if (status != CLV_OK)
        return status;
    if (job->verdict.kind == CLV_VERDICT_FAIL) {
        report_failed(run, job->path, job->verdict.error);
        return CLV_OK;
    }
    run->progress.unchanged_count++;
    clv_run_report(run, CLV_INGEST_UNCHANGED, job->path, "");
    return CLV_OK;
}

int clv_run_finish_job(struct clv_run *run, struct clv_job *job)
{
    double begun = clv_clock_seconds();
    int again_before = run->again_count;
    int status = CLV_OK;
    run->progress.files_done++;
    if (job->status != CLV_OK)
        status = finish_failed(run, job);
    else if (job->verdict.kind == CLV_VERDICT_INDEX && run->options.dry_run)
        report_indexed(run, job, 0);
    else if (job->verdict.kind == CLV_VERDICT_INDEX)
        status = finish_indexed(run, job);
    else if (job->verdict.kind == CLV_VERDICT_COPY)
        status = finish_copied(run, job);
    else if (job->verdict.kind == CLV_VERDICT_MOVE)
        status = finish_moved(run, job);
    else
        status = finish_touched(run, job);
    run->progress.files_done -= run->again_count - again_before;
    run->progress.write_s += clv_clock_seconds() - begun;
    return status;
}

/* ---- files that are no more ---- */

static bool is_under(const char *path, const char *root)
{
    size_t size = strlen(root);
    if (strncmp(path, root, size) != 0)
        return false;
    return path[size] == '\0' || path[size] == '/' || (size > 0 && root[size - 1] == '/');
}

static bool is_under_any(const struct clv_scan *scan, const char *path)
{
    for (int i = 0; i < scan->root_count; i++)
        if (is_under(path, scan->roots[i]))
            return true;
    return false;
}

int clv_run_finish_gone(struct clv_run *run)
{
    int status = CLV_OK;
    for (size_t i = 0; i < clv_known_count(run->known) && status == CLV_OK; i++) {
        struct clv_known_video *video = clv_known_at(run->known, i);
        struct clv_file_facts facts;
        /* Only a definite "no such file" counts; what cannot be looked at is left alone. */
        if (video->is_moved || !is_under_any(&run->scan, video->path) ||
            clv_file_facts(&facts, video->path) != CLV_ENOTFOUND)
            continue;
        if (run->options.prune && !run->options.dry_run)
            status = clv_store_video_forget(run->store, video->id);
        else if (!run->options.dry_run && video->status != CLV_VIDEO_MISSING)
            status = clv_store_video_mark_missing(run->store, video->id);
        if (status == CLV_ENOTFOUND)
            status = CLV_OK;
        if (status != CLV_OK)
            break;
        if (run->options.prune)
            run->progress.pruned_count++;
        else
            run->progress.gone_count++;
        clv_run_report(run, run->options.prune ? CLV_INGEST_PRUNED : CLV_INGEST_GONE, video->path,
                       "");
    }
    return status;
}
