/* What came of each file: how it is stored, and how it is reported. */
#include "indexer/run.h"

#include "core/error.h"
#include "core/file.h"

#include <string.h>

static void note(struct clv_job *job, enum clv_ingest_event event, const char *detail)
{
    job->event = event;
    job->detail = detail;
}

static int store_failed(const struct clv_run *run, struct clv_job *job)
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
    note(job, CLV_INGEST_FAILED, job->error);
    return status;
}

static int store_indexed(const struct clv_run *run, struct clv_job *job)
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
    note(job, CLV_INGEST_INDEXED, "");
    job->segment_count = (int64_t)job->track.count;
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
static int copy_video(const struct clv_run *run, struct clv_job *job, bool *done_out)
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

static int store_copied(const struct clv_run *run, struct clv_job *job)
{
    bool is_done = false;
    int status = copy_video(run, job, &is_done);
    note(job, CLV_INGEST_INDEXED, "");
    job->segment_count = (int64_t)job->track.count;
    job->is_again = !is_done;
    return status;
}

/* A video that another process dropped meanwhile is read itself. */
static int or_again(struct clv_job *job, int status)
{
    job->is_again = status == CLV_ENOTFOUND;
    return job->is_again ? CLV_OK : status;
}

static int store_moved(const struct clv_run *run, struct clv_job *job)
{
    int status = CLV_OK;
    if (!run->options.dry_run)
        status =
            clv_store_video_move(run->store, job->verdict.from_id, job->path, job->modified_ns);
    note(job, CLV_INGEST_MOVED, job->verdict.from_path);
    return or_again(job, status);
}

/* The content is what it was; only size and time are written down anew. */
static int store_touched(const struct clv_run *run, struct clv_job *job)
{
    const struct clv_known_video *video = clv_known_find(run->known, job->path);
    int status = CLV_OK;
    if (!run->options.dry_run)
        status = clv_store_video_touch(run->store, video->id, job->size_bytes, job->modified_ns);
    if (job->verdict.kind == CLV_VERDICT_FAIL)
        note(job, CLV_INGEST_FAILED, job->verdict.error);
    else
        note(job, CLV_INGEST_UNCHANGED, "");
    return or_again(job, status);
}

int clv_run_store_job(const struct clv_run *run, struct clv_job *job)
{
    const enum clv_verdict_kind kind = job->verdict.kind;
    job->segment_count = 0;
    job->is_again = false;
    if (job->status != CLV_OK)
        return store_failed(run, job);
    if (kind == CLV_VERDICT_MOVE)
        return store_moved(run, job);
    if (kind == CLV_VERDICT_TOUCH || kind == CLV_VERDICT_FAIL)
        return store_touched(run, job);
    if (!run->options.dry_run)
        return kind == CLV_VERDICT_COPY ? store_copied(run, job) : store_indexed(run, job);
    note(job, CLV_INGEST_INDEXED, "");
    return CLV_OK;
}

void clv_run_report_job(struct clv_run *run, struct clv_job *job)
{
    struct clv_ingest_progress *progress = &run->progress;
    if (job->is_again) {
        run->again[run->again_count++] = job;
        return;
    }
    progress->files_done++;
    progress->segment_count += job->segment_count;
    progress->indexed_count += job->event == CLV_INGEST_INDEXED;
    progress->unchanged_count += job->event == CLV_INGEST_UNCHANGED;
    progress->moved_count += job->event == CLV_INGEST_MOVED;
    progress->failed_count += job->event == CLV_INGEST_FAILED;
    clv_run_report(run, job->event, job->path, job->detail);
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
