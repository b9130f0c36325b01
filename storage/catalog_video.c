/* Videos: their rows, and their segments as a whole. */
#include "storage/handle.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VIDEO_COLUMNS                                                                            \
    "v.id, v.path, v.digest, v.size_bytes, v.modified_ns, v.status, v.error, v.codec, "          \
    "v.container, v.width, v.height, v.rotation, v.has_audio, v.frame_rate, "                    \
    "v.timebase_numerator, v.timebase_denominator, v.start_ticks, v.duration_ticks, "            \
    "v.damage_count, v.indexed_unix_ms, coalesce(c.segment_count, 0), coalesce(c.settings, '') " \
    "FROM video v LEFT JOIN coverage c ON c.video_id = v.id AND c.model_id = ?1 "

static int copy_text(const char **out, sqlite3_stmt *row, int column)
{
    *out = strdup(clv_catalog_text(row, column));
    return *out ? CLV_OK : clv_fail_memory("a video's row");
}

static int read_row(struct clv_store *store, struct clv_video_row *out, sqlite3_stmt *row)
{
    *out = (struct clv_video_row){
        .id = sqlite3_column_int64(row, 0),
        .size_bytes = sqlite3_column_int64(row, 3),
        .modified_ns = sqlite3_column_int64(row, 4),
        .status = (enum clv_video_status)sqlite3_column_int(row, 5),
        .width = sqlite3_column_int(row, 9),
        .height = sqlite3_column_int(row, 10),
        .rotation = sqlite3_column_int(row, 11),
        .has_audio = sqlite3_column_int(row, 12) != 0,
        .frame_rate = sqlite3_column_double(row, 13),
        .timebase = {sqlite3_column_int(row, 14), sqlite3_column_int(row, 15)},
        .start_ticks = sqlite3_column_int64(row, 16),
        .duration_ticks = sqlite3_column_int64(row, 17),
        .damage_count = sqlite3_column_int64(row, 18),
        .indexed_unix_ms = sqlite3_column_int64(row, 19),
        .segment_count = sqlite3_column_int64(row, 20),
    };
    const char *settings = clv_catalog_text(row, 21);
    memcpy(out->settings, settings, strnlen(settings, sizeof out->settings - 1));
    int status = clv_catalog_digest(store, out->digest, row, 2);
    if (status == CLV_OK)
        status = copy_text(&out->path, row, 1);
    if (status == CLV_OK)
        status = copy_text(&out->error, row, 6);
    if (status == CLV_OK)
        status = copy_text(&out->codec, row, 7);
    if (status == CLV_OK)
        status = copy_text(&out->container, row, 8);
    if (status != CLV_OK)
        clv_video_row_release(out);
    return status;
}

void clv_video_row_release(struct clv_video_row *row)
{
    if (!row)
        return;
    free((void *)row->path);
    free((void *)row->error);
    free((void *)row->codec);
    free((void *)row->container);
    *row = (struct clv_video_row){0};
}

/* Runs a bound statement that finds at most one video. */
static int read_one(struct clv_store *store, struct clv_video_row *out, sqlite3_stmt *statement)
{
    *out = (struct clv_video_row){0};
    int status = clv_db_step(store->db, statement, "look up a video");
    if (status == CLV_OK)
        status = read_row(store, out, statement);
    clv_db_release(store->db, statement);
    return status;
}

int clv_store_video_by_path(struct clv_store *store, struct clv_video_row *out, const char *path,
                            int64_t model_id)
{
    *out = (struct clv_video_row){0};
    sqlite3_stmt *statement = clv_db_take(store->db, "SELECT " VIDEO_COLUMNS "WHERE v.path = ?2");
    if (!statement)
        return store->db->failure;
    sqlite3_bind_int64(statement, 1, model_id);
    clv_catalog_bind_text(statement, 2, path);
    int status = read_one(store, out, statement);
    return status == CLV_DONE ? clv_fail(CLV_ENOTFOUND, "'%s' is not in the database", path)
                              : status;
}

int clv_store_video_by_id(struct clv_store *store, struct clv_video_row *out, int64_t video_id,
                          int64_t model_id)
{
    *out = (struct clv_video_row){0};
    sqlite3_stmt *statement = clv_db_take(store->db, "SELECT " VIDEO_COLUMNS "WHERE v.id = ?2");
    if (!statement)
        return store->db->failure;
    sqlite3_bind_int64(statement, 1, model_id);
    sqlite3_bind_int64(statement, 2, video_id);
    int status = read_one(store, out, statement);
    return status == CLV_DONE
               ? clv_fail(CLV_ENOTFOUND, "there is no video %lld", (long long)video_id)
               : status;
}

int clv_store_video_by_digest(struct clv_store *store, struct clv_video_row *out,
                              const uint8_t digest[CLV_DIGEST_BYTES], int64_t model_id)
{
    *out = (struct clv_video_row){0};
    sqlite3_stmt *statement =
        clv_db_take(store->db, "SELECT " VIDEO_COLUMNS "WHERE v.digest = ?2 ORDER BY v.id LIMIT 1");
    if (!statement)
        return store->db->failure;
    sqlite3_bind_int64(statement, 1, model_id);
    sqlite3_bind_blob(statement, 2, digest, CLV_DIGEST_BYTES, SQLITE_TRANSIENT);
    int status = read_one(store, out, statement);
    return status == CLV_DONE ? clv_fail(CLV_ENOTFOUND, "no video has this content") : status;
}

/* Ids first, rows one by one: the callback may change the table that is being walked. */
static int list_ids(struct clv_store *store, int64_t **ids_out, size_t *count_out,
                    const char *pattern)
{
    size_t capacity = 0;
    int status = CLV_OK;
    *ids_out = NULL;
    *count_out = 0;
    sqlite3_stmt *statement =
        clv_db_take(store->db, "SELECT id FROM video WHERE ?1 IS NULL OR path GLOB ?1 "
                               "ORDER BY path COLLATE BINARY");
    if (!statement)
        return store->db->failure;
    clv_catalog_bind_text(statement, 1, pattern);
    while ((status = clv_db_step(store->db, statement, "list the videos")) == CLV_OK) {
        if (*count_out == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            int64_t *grown = realloc(*ids_out, capacity * sizeof *grown);
            if (!grown) {
                status = clv_fail_memory("the list of videos");
                break;
            }
            *ids_out = grown;
        }
        (*ids_out)[(*count_out)++] = sqlite3_column_int64(statement, 0);
    }
    clv_db_release(store->db, statement);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_store_videos(struct clv_store *store, const char *glob, int64_t model_id,
                     clv_store_video_each *each, void *payload)
{
    char *pattern = NULL;
    int64_t *ids = NULL;
    size_t count = 0;
    int status = clv_catalog_glob(&pattern, glob);
    if (status == CLV_OK)
        status = list_ids(store, &ids, &count, pattern);
    for (size_t i = 0; i < count && status == CLV_OK; i++) {
        struct clv_video_row row;
        status = clv_store_video_by_id(store, &row, ids[i], model_id);
        if (status == CLV_ENOTFOUND) { /* the callback or another process dropped it */
            status = CLV_OK;
            continue;
        }
        if (status == CLV_OK)
            status = each(&row, payload);
        clv_video_row_release(&row);
    }
    free(pattern);
    free(ids);
    return status;
}

/* ---- changes ---- */

static int check_row(const struct clv_video_row *video)
{
    if (!video->path || video->path[0] != '/')
        return clv_fail(CLV_EINVAL, "a video needs an absolute path, not '%s'",
                        video->path ? video->path : "");
    if (video->size_bytes < 0 || video->duration_ticks < 0)
        return clv_fail(CLV_EINVAL, "'%s' cannot have a negative size or duration", video->path);
    return CLV_OK;
}

static int check_segments(const struct clv_video_row *video, const struct clv_segment *segments,
                          size_t count, int dim)
{
    if (video->timebase.numerator <= 0 || video->timebase.denominator <= 0)
        return clv_fail(CLV_EINVAL, "'%s' has the impossible time base %d/%d", video->path,
                        video->timebase.numerator, video->timebase.denominator);
    for (size_t i = 0; i < count; i++) {
        const struct clv_segment *segment = &segments[i];
        if (segment->end_ticks <= segment->start_ticks || segment->shot < 0)
            return clv_fail(CLV_EINVAL, "segment %zu of '%s' has no extent: %lld to %lld, shot %d",
                            i, video->path, (long long)segment->start_ticks,
                            (long long)segment->end_ticks, segment->shot);
        double square = 0;
        for (int c = 0; c < dim; c++)
            square += (double)segment->vector[c] * segment->vector[c];
        if (!(fabs(sqrt(square) - 1) <= 0.01) || !isfinite(segment->norm))
            return clv_fail(CLV_EINVAL, "the vector of segment %zu of '%s' has norm %g, not 1", i,
                            video->path, sqrt(square));
    }
    return CLV_OK;
}

/* Inserts or updates the row by path, keeping its id. */
static int put_row(struct clv_store *store, struct clv_video_row *video)
{
    sqlite3_stmt *s = clv_db_take(
        store->db,
        "INSERT INTO video (path, digest, size_bytes, modified_ns, status, error, codec, "
        "container, width, height, rotation, has_audio, frame_rate, timebase_numerator, "
        "timebase_denominator, start_ticks, duration_ticks, damage_count, indexed_unix_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
        "?18, ?19) ON CONFLICT (path) DO UPDATE SET digest = ?2, size_bytes = ?3, "
        "modified_ns = ?4, status = ?5, error = ?6, codec = ?7, container = ?8, width = ?9, "
        "height = ?10, rotation = ?11, has_audio = ?12, frame_rate = ?13, "
        "timebase_numerator = ?14, timebase_denominator = ?15, start_ticks = ?16, "
        "duration_ticks = ?17, damage_count = ?18, indexed_unix_ms = ?19 RETURNING id");
    if (!s)
        return store->db->failure;
    clv_catalog_bind_text(s, 1, video->path);
    sqlite3_bind_blob(s, 2, video->digest, CLV_DIGEST_BYTES, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s, 3, video->size_bytes);
    sqlite3_bind_int64(s, 4, video->modified_ns);
    sqlite3_bind_int(s, 5, (int)video->status);
    clv_catalog_bind_text(s, 6, video->error ? video->error : "");
    clv_catalog_bind_text(s, 7, video->codec ? video->codec : "");
    clv_catalog_bind_text(s, 8, video->container ? video->container : "");
    sqlite3_bind_int(s, 9, video->width);
    sqlite3_bind_int(s, 10, video->height);
    sqlite3_bind_int(s, 11, video->rotation);
    sqlite3_bind_int(s, 12, video->has_audio);
    sqlite3_bind_double(s, 13, isfinite(video->frame_rate) ? video->frame_rate : 0);
    sqlite3_bind_int(s, 14, video->timebase.numerator > 0 ? video->timebase.numerator : 1);
    sqlite3_bind_int(s, 15, video->timebase.denominator > 0 ? video->timebase.denominator : 1);
    sqlite3_bind_int64(s, 16, video->start_ticks);
    sqlite3_bind_int64(s, 17, video->duration_ticks);
    sqlite3_bind_int64(s, 18, video->damage_count);
    sqlite3_bind_int64(s, 19, video->indexed_unix_ms);
    return clv_db_integer(store->db, &video->id, s, 0, "store a video");
}

/* Segments of the video go: of one model, or of all where `model_id` is 0. */
static int drop_segments(struct clv_store *store, int64_t video_id, int64_t model_id)
{
    sqlite3_stmt *s = clv_db_take(
        store->db, "DELETE FROM segment WHERE video_id = ?1 AND (?2 = 0 OR model_id = ?2)");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, video_id);
    sqlite3_bind_int64(s, 2, model_id);
    int status = clv_db_run(store->db, s, "drop old segments");
    if (status != CLV_OK)
        return status;
    s = clv_db_take(store->db,
                    "DELETE FROM coverage WHERE video_id = ?1 AND (?2 = 0 OR model_id = ?2)");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, video_id);
    sqlite3_bind_int64(s, 2, model_id);
    return clv_db_run(store->db, s, "drop old segments");
}

static int put_vector(struct clv_store *store, int64_t segment_id, const uint16_t *half, int dim)
{
    sqlite3_stmt *s =
        clv_db_take(store->db, "INSERT INTO vector (segment_id, half) VALUES (?1, ?2)");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, segment_id);
    sqlite3_bind_blob(s, 2, half, 2 * dim, SQLITE_STATIC);
    return clv_db_run(store->db, s, "store a vector");
}

static int put_segments(struct clv_store *store, const struct clv_video_row *video,
                        int64_t model_id, const struct clv_segment *segments, size_t count, int dim)
{
    int status = CLV_OK;
    uint16_t *half = malloc((size_t)dim * sizeof *half);
    if (!half)
        return clv_fail_memory("a vector");
    for (size_t i = 0; i < count && status == CLV_OK; i++) {
        sqlite3_stmt *s =
            clv_db_take(store->db, "INSERT INTO segment (video_id, model_id, start_ticks, "
                                   "end_ticks, shot, norm) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
        if (!s) {
            status = store->db->failure;
            break;
        }
        sqlite3_bind_int64(s, 1, video->id);
        sqlite3_bind_int64(s, 2, model_id);
        sqlite3_bind_int64(s, 3, segments[i].start_ticks);
        sqlite3_bind_int64(s, 4, segments[i].end_ticks);
        sqlite3_bind_int(s, 5, segments[i].shot);
        sqlite3_bind_double(s, 6, segments[i].norm);
        status = clv_db_run(store->db, s, "store a segment");
        clv_half_narrow(half, segments[i].vector, (size_t)dim);
        if (status == CLV_OK)
            status = put_vector(store, sqlite3_last_insert_rowid(store->db->handle), half, dim);
    }
    free(half);
    return status;
}

static int put_coverage(struct clv_store *store, const struct clv_video_row *video,
                        int64_t model_id, size_t count)
{
    sqlite3_stmt *s = clv_db_take(store->db, "INSERT INTO coverage (video_id, model_id, settings, "
                                             "segment_count) VALUES (?1, ?2, ?3, ?4)");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, video->id);
    sqlite3_bind_int64(s, 2, model_id);
    sqlite3_bind_text(s, 3, video->settings,
                      (int)strnlen(video->settings, sizeof video->settings - 1), SQLITE_TRANSIENT);
    sqlite3_bind_int64(s, 4, (int64_t)count);
    return clv_db_run(store->db, s, "store a video");
}

/* Whether the stored video at this path has other content; false where there is none. */
static int content_changed(struct clv_store *store, bool *out, const struct clv_video_row *video)
{
    int64_t changed = 0;
    sqlite3_stmt *s =
        clv_db_take(store->db, "SELECT 1 FROM video WHERE path = ?1 AND digest <> ?2");
    if (!s)
        return store->db->failure;
    clv_catalog_bind_text(s, 1, video->path);
    sqlite3_bind_blob(s, 2, video->digest, CLV_DIGEST_BYTES, SQLITE_TRANSIENT);
    int status = clv_db_integer(store->db, &changed, s, 0, "look up a video");
    *out = changed != 0;
    return status;
}

int clv_store_video_put(struct clv_store *store, struct clv_video_row *video, int64_t model_id,
                        const struct clv_segment *segments, size_t segment_count)
{
    int dim = 0;
    int64_t generation = 0;
    bool changed = false;
    int status = check_row(video);
    if (status == CLV_OK)
        status = clv_catalog_model(store, &dim, &generation, model_id);
    if (status == CLV_OK)
        status = check_segments(video, segments, segment_count, dim);
    if (status == CLV_OK)
        status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    video->status = CLV_VIDEO_INDEXED;
    video->segment_count = (int64_t)segment_count;
    if (video->indexed_unix_ms == 0)
        video->indexed_unix_ms = clv_clock_unix_ms();
    status = content_changed(store, &changed, video);
    if (status == CLV_OK)
        status = put_row(store, video);
    if (status == CLV_OK && changed)
        status = clv_catalog_touch_models_of(store, video->id);
    if (status == CLV_OK)
        status = drop_segments(store, video->id, changed ? 0 : model_id);
    if (status == CLV_OK)
        status = put_segments(store, video, model_id, segments, segment_count, dim);
    if (status == CLV_OK)
        status = put_coverage(store, video, model_id, segment_count);
    if (status == CLV_OK)
        status = clv_catalog_touch_model(store, model_id);
    if (status == CLV_OK)
        status = clv_catalog_touch(store);
    return clv_db_end(store->db, status);
}

int clv_store_video_fail(struct clv_store *store, struct clv_video_row *video)
{
    int status = check_row(video);
    if (status == CLV_OK && (!video->error || !video->error[0]))
        status = clv_fail(CLV_EINVAL, "'%s' failed without a reason", video->path);
    if (status == CLV_OK)
        status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    video->status = CLV_VIDEO_FAILED;
    video->segment_count = 0;
    if (video->indexed_unix_ms == 0)
        video->indexed_unix_ms = clv_clock_unix_ms();
    status = put_row(store, video);
    if (status == CLV_OK)
        status = clv_catalog_touch_models_of(store, video->id);
    if (status == CLV_OK)
        status = drop_segments(store, video->id, 0);
    if (status == CLV_OK)
        status = clv_catalog_touch(store);
    return clv_db_end(store->db, status);
}

/* Runs a bound change of one video's row (or, with NULL, passes the failure to prepare it on) in
 * the transaction that is open, and ends that. */
static int finish_change(struct clv_store *store, sqlite3_stmt *statement, int64_t video_id)
{
    int status =
        statement ? clv_db_run(store->db, statement, "change a video") : store->db->failure;
    if (status == CLV_OK && sqlite3_changes(store->db->handle) == 0)
        status = clv_fail(CLV_ENOTFOUND, "there is no video %lld", (long long)video_id);
    if (status == CLV_OK)
        status = clv_catalog_touch(store);
    return clv_db_end(store->db, status);
}

static int drop_path(struct clv_store *store, const char *path, int64_t except_id)
{
    int64_t id = 0;
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT id FROM video WHERE path = ?1 AND id <> ?2");
    if (!s)
        return store->db->failure;
    clv_catalog_bind_text(s, 1, path);
    sqlite3_bind_int64(s, 2, except_id);
    int status = clv_db_integer(store->db, &id, s, 0, "look up a video");
    if (status != CLV_OK || id == 0)
        return status;
    status = clv_catalog_touch_models_of(store, id);
    if (status != CLV_OK)
        return status;
    s = clv_db_take(store->db, "DELETE FROM video WHERE id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, id);
    return clv_db_run(store->db, s, "drop a video");
}

/* A file that is seen again is no longer missing, but still unreadable if it was. */
#define SEEN_STATUS "CASE WHEN status <> 2 THEN status WHEN error = '' THEN 0 ELSE 1 END"

int clv_store_video_move(struct clv_store *store, int64_t video_id, const char *path,
                         int64_t modified_ns)
{
    if (!path || path[0] != '/')
        return clv_fail(CLV_EINVAL, "a video needs an absolute path, not '%s'", path ? path : "");
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    status = drop_path(store, path, video_id);
    if (status != CLV_OK)
        return clv_db_end(store->db, status);
    sqlite3_stmt *s = clv_db_take(store->db, "UPDATE video SET path = ?2, modified_ns = ?3, "
                                             "status = " SEEN_STATUS " WHERE id = ?1");
    if (s) {
        sqlite3_bind_int64(s, 1, video_id);
        clv_catalog_bind_text(s, 2, path);
        sqlite3_bind_int64(s, 3, modified_ns);
    }
    return finish_change(store, s, video_id);
}

int clv_store_video_touch(struct clv_store *store, int64_t video_id, int64_t size_bytes,
                          int64_t modified_ns)
{
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    sqlite3_stmt *s = clv_db_take(store->db, "UPDATE video SET size_bytes = ?2, modified_ns = ?3, "
                                             "status = " SEEN_STATUS " WHERE id = ?1");
    if (s) {
        sqlite3_bind_int64(s, 1, video_id);
        sqlite3_bind_int64(s, 2, size_bytes);
        sqlite3_bind_int64(s, 3, modified_ns);
    }
    return finish_change(store, s, video_id);
}

int clv_store_video_mark_missing(struct clv_store *store, int64_t video_id)
{
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    sqlite3_stmt *s = clv_db_take(store->db, "UPDATE video SET status = 2 WHERE id = ?1");
    if (s)
        sqlite3_bind_int64(s, 1, video_id);
    return finish_change(store, s, video_id);
}

int clv_store_video_forget(struct clv_store *store, int64_t video_id)
{
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    status = clv_catalog_touch_models_of(store, video_id);
    if (status != CLV_OK)
        return clv_db_end(store->db, status);
    sqlite3_stmt *s = clv_db_take(store->db, "DELETE FROM video WHERE id = ?1");
    if (s)
        sqlite3_bind_int64(s, 1, video_id);
    return finish_change(store, s, video_id);
}
