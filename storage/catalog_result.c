/* The prompt cache and the remembered results. */
#include "storage/handle.h"

#include "core/clock.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

#define RESULT_MAX 100

int clv_store_prompt_get(struct clv_store *store, float *vector_out, int64_t model_id,
                         const char *text, int dim)
{
    sqlite3_stmt *s =
        clv_db_take(store->db, "SELECT vector FROM prompt WHERE model_id = ?1 AND text = ?2");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    clv_catalog_bind_text(s, 2, text);
    int status = clv_db_step(store->db, s, "look up a prompt");
    size_t size = (size_t)dim * sizeof *vector_out;
    if (status == CLV_OK) {
        const void *data = sqlite3_column_blob(s, 0);
        if ((size_t)sqlite3_column_bytes(s, 0) == size && data)
            memcpy(vector_out, data, size);
        else
            status = CLV_DONE; /* of another shape: as good as absent */
    }
    clv_db_release(store->db, s);
    return status == CLV_DONE ? clv_fail(CLV_ENOTFOUND, "'%s' is not in the prompt cache", text)
                              : status;
}

int clv_store_prompt_put(struct clv_store *store, int64_t model_id, const char *text,
                         const float *vector, int dim)
{
    if (store->db->read_only)
        return CLV_OK;
    sqlite3_stmt *s = clv_db_take(store->db, "INSERT INTO prompt (model_id, text, vector) VALUES "
                                             "(?1, ?2, ?3) ON CONFLICT (model_id, text) DO UPDATE "
                                             "SET vector = ?3");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    clv_catalog_bind_text(s, 2, text);
    sqlite3_bind_blob64(s, 3, vector, (sqlite3_uint64)dim * sizeof *vector, SQLITE_STATIC);
    /* Only a cache: not worth waiting for whoever writes now. */
    sqlite3_busy_timeout(store->db->handle, 0);
    int status = clv_db_run(store->db, s, "cache a prompt");
    sqlite3_busy_timeout(store->db->handle, store->db->busy_timeout_ms);
    return status == CLV_EBUSY || status == CLV_EIO ? CLV_OK : status;
}

/* ---- results ---- */

static int put_result(struct clv_store *store, int64_t *result_id, const char *query,
                      int64_t model_id)
{
    sqlite3_stmt *s = clv_db_take(store->db, "INSERT INTO result (query, model_id, "
                                             "created_unix_ms) VALUES (?1, ?2, ?3)");
    if (!s)
        return store->db->failure;
    clv_catalog_bind_text(s, 1, query);
    sqlite3_bind_int64(s, 2, model_id);
    sqlite3_bind_int64(s, 3, clv_clock_unix_ms());
    int status = clv_db_run(store->db, s, "remember a result");
    *result_id = sqlite3_last_insert_rowid(store->db->handle);
    if (status != CLV_OK)
        return status;
    /* Ids only grow, so the oldest are the lowest. */
    s = clv_db_take(store->db, "DELETE FROM result WHERE id <= (SELECT id FROM result ORDER BY id "
                               "DESC LIMIT 1 OFFSET ?1)");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int(s, 1, RESULT_MAX);
    return clv_db_run(store->db, s, "drop old results");
}

static int put_moment(struct clv_store *store, int64_t result_id, struct clv_moment_row *moment)
{
    sqlite3_stmt *s = clv_db_take(
        store->db, "INSERT INTO moment (result_id, video_id, path, start_ms, end_ms, peak_ms, "
                   "score, percentile, video_digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, result_id);
    sqlite3_bind_int64(s, 2, moment->video_id);
    clv_catalog_bind_text(s, 3, moment->path ? moment->path : "");
    sqlite3_bind_int64(s, 4, moment->start_ms);
    sqlite3_bind_int64(s, 5, moment->end_ms);
    sqlite3_bind_int64(s, 6, moment->peak_ms);
    sqlite3_bind_double(s, 7, moment->score);
    sqlite3_bind_double(s, 8, moment->percentile);
    sqlite3_bind_blob(s, 9, moment->video_digest, CLV_DIGEST_BYTES, SQLITE_TRANSIENT);
    int status = clv_db_run(store->db, s, "remember a moment");
    if (status == CLV_OK)
        moment->id = sqlite3_last_insert_rowid(store->db->handle);
    return status;
}

int clv_store_result_put(struct clv_store *store, const char *query, int64_t model_id,
                         struct clv_moment_row *moments, int count)
{
    int64_t result_id = 0;
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    status = put_result(store, &result_id, query ? query : "", model_id);
    for (int i = 0; i < count && status == CLV_OK; i++)
        status = put_moment(store, result_id, &moments[i]);
    status = clv_db_end(store->db, status);
    for (int i = 0; i < count && status != CLV_OK; i++)
        moments[i].id = 0;
    return status;
}

#define MOMENT_COLUMNS                                                                   \
    "m.id, m.video_id, m.path, m.start_ms, m.end_ms, m.peak_ms, m.score, m.percentile, " \
    "m.video_digest, r.query "

static int read_moment(struct clv_store *store, struct clv_moment_row *out, sqlite3_stmt *s)
{
    *out = (struct clv_moment_row){
        .id = sqlite3_column_int64(s, 0),
        .video_id = sqlite3_column_int64(s, 1),
        .path = strdup(clv_catalog_text(s, 2)),
        .start_ms = sqlite3_column_int64(s, 3),
        .end_ms = sqlite3_column_int64(s, 4),
        .peak_ms = sqlite3_column_int64(s, 5),
        .score = (float)sqlite3_column_double(s, 6),
        .percentile = (float)sqlite3_column_double(s, 7),
    };
    if (!out->path)
        return clv_fail_memory("a result");
    return clv_catalog_digest(store, out->video_digest, s, 8);
}

static int copy_query(char **out, const char *text)
{
    *out = strdup(text);
    return *out ? CLV_OK : clv_fail_memory("a result");
}

/* Appends the rows of a bound statement. */
static int read_moments(struct clv_store *store, struct clv_moment_row **out, int *count_out,
                        sqlite3_stmt *s)
{
    int capacity = 0, status;
    while ((status = clv_db_step(store->db, s, "read a result")) == CLV_OK) {
        if (*count_out == capacity) {
            int larger = capacity ? 2 * capacity : 16;
            struct clv_moment_row *grown = realloc(*out, (size_t)larger * sizeof *grown);
            if (!grown)
                return clv_fail_memory("a result");
            *out = grown;
            capacity = larger;
        }
        status = read_moment(store, &(*out)[(*count_out)++], s);
        if (status != CLV_OK)
            return status;
    }
    return status == CLV_DONE ? CLV_OK : status;
}

static int last_result(struct clv_store *store, int64_t *id_out, char **query_out)
{
    sqlite3_stmt *s =
        clv_db_take(store->db, "SELECT id, query FROM result ORDER BY id DESC LIMIT 1");
    if (!s)
        return store->db->failure;
    int status = clv_db_step(store->db, s, "read the last result");
    if (status == CLV_OK) {
        *id_out = sqlite3_column_int64(s, 0);
        status = copy_query(query_out, clv_catalog_text(s, 1));
    }
    clv_db_release(store->db, s);
    return status == CLV_DONE
               ? clv_fail(CLV_ENOTFOUND, "nothing was searched for in '%s' yet", store->directory)
               : status;
}

int clv_store_result_last(struct clv_store *store, char **query_out,
                          struct clv_moment_row **moments_out, int *count_out)
{
    int64_t result_id = 0;
    *query_out = NULL;
    *moments_out = NULL;
    *count_out = 0;
    int status = clv_db_begin_read(store->db);
    if (status != CLV_OK)
        return status;
    status = last_result(store, &result_id, query_out);
    if (status == CLV_OK) {
        sqlite3_stmt *s =
            clv_db_take(store->db, "SELECT " MOMENT_COLUMNS "FROM moment m JOIN result r ON r.id = "
                                   "m.result_id WHERE r.id = ?1 ORDER BY m.id");
        status = store->db->failure;
        if (s) {
            sqlite3_bind_int64(s, 1, result_id);
            status = read_moments(store, moments_out, count_out, s);
            clv_db_release(store->db, s);
        }
    }
    status = clv_db_end(store->db, status);
    if (status != CLV_OK) {
        clv_moment_rows_free(*moments_out, *count_out);
        free(*query_out);
        *query_out = NULL;
        *moments_out = NULL;
        *count_out = 0;
    }
    return status;
}

int clv_store_result_moment(struct clv_store *store, char **query_out,
                            struct clv_moment_row **moment_out, int64_t moment_id)
{
    *query_out = NULL;
    *moment_out = NULL;
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT " MOMENT_COLUMNS
                                             "FROM moment m JOIN result r ON r.id = m.result_id "
                                             "WHERE m.id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, moment_id);
    int status = clv_db_step(store->db, s, "read a moment");
    if (status == CLV_OK) {
        *moment_out = calloc(1, sizeof **moment_out);
        status = *moment_out ? read_moment(store, *moment_out, s) : clv_fail_memory("a moment");
        if (status == CLV_OK)
            status = copy_query(query_out, clv_catalog_text(s, 9));
    } else if (status == CLV_DONE) {
        status = clv_fail(CLV_ENOTFOUND, "no remembered result has the moment %lld",
                          (long long)moment_id);
    }
    clv_db_release(store->db, s);
    if (status != CLV_OK) {
        clv_moment_rows_free(*moment_out, *moment_out != NULL);
        *moment_out = NULL;
    }
    return status;
}

void clv_moment_rows_free(struct clv_moment_row *rows, int count)
{
    for (int i = 0; i < count && rows; i++)
        free(rows[i].path);
    free(rows);
}
