/* The store as a whole: opening, models, counts, settings. */
#include "storage/store.h"

#include "core/error.h"
#include "core/file.h"
#include "schema/schema.h"
#include "storage/handle.h"
#include "storage/store_index.h"
#include "storage/vindex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_TIMEOUT_MS 10000
#define FLAT_MAX 20000

static int check_directory(const char *directory, bool creates)
{
    struct clv_file_facts facts;
    if (!directory || !directory[0])
        return clv_fail(CLV_EINVAL, "a database needs a folder");
    if (clv_file_facts(&facts, directory) == CLV_OK)
        return facts.is_directory ? CLV_OK
                                  : clv_fail(CLV_EINVAL, "'%s' is not a folder", directory);
    if (!creates)
        return clv_fail(CLV_ENOTFOUND, "there is no database at '%s'", directory);
    return clv_directory_create(directory);
}

int clv_store_open(struct clv_store **out, const char *directory,
                   const struct clv_store_options *options)
{
    static const struct clv_store_options defaults;
    *out = NULL;
    if (!options)
        options = &defaults;
    bool creates = options->create && !options->read_only;
    int status = check_directory(directory, creates);
    if (status != CLV_OK)
        return status;
    struct clv_store *store = calloc(1, sizeof *store);
    if (!store)
        return clv_fail_memory("a database handle");
    char *path = clv_path_join(directory, "catalog.sqlite");
    store->directory = strdup(directory);
    store->flat_max = options->flat_max > 0 ? options->flat_max : FLAT_MAX;
    if (!path || !store->directory)
        status = clv_fail_memory("a database handle");
    else
        status =
            clv_db_open(&store->db, path, creates, options->read_only,
                        options->busy_timeout_ms > 0 ? options->busy_timeout_ms : BUSY_TIMEOUT_MS);
    free(path);
    if (status != CLV_OK) {
        clv_store_close(store);
        return status;
    }
    *out = store;
    return CLV_OK;
}

void clv_store_close(struct clv_store *store)
{
    if (!store)
        return;
    clv_index_forget_all(store);
    clv_db_close(store->db);
    free(store->directory);
    free(store);
}

const char *clv_store_directory(const struct clv_store *store)
{
    return store->directory;
}

/* ---- shared by the catalog files ---- */

void clv_catalog_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text)
        sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

const char *clv_catalog_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

int clv_catalog_digest(struct clv_store *store, uint8_t out[CLV_DIGEST_BYTES],
                       sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    int size = sqlite3_column_bytes(statement, column);
    if (size != CLV_DIGEST_BYTES)
        return clv_fail(CLV_ECORRUPT, "'%s' holds a digest of %d bytes, not %d", store->db->path,
                        size, CLV_DIGEST_BYTES);
    memcpy(out, data, CLV_DIGEST_BYTES);
    return CLV_OK;
}

int clv_catalog_glob(char **out, const char *glob)
{
    *out = NULL;
    if (!glob || !glob[0])
        return CLV_OK;
    size_t length = strlen(glob);
    const char *lead = glob[0] == '/' || glob[0] == '*' ? "" : "*/";
    char *pattern = malloc(length + 3);
    if (!pattern)
        return clv_fail_memory("a pattern");
    snprintf(pattern, length + 3, "%s%s", lead, glob);
    *out = pattern;
    return CLV_OK;
}

int clv_catalog_touch(struct clv_store *store)
{
    sqlite3_stmt *s = clv_db_take(store->db, "UPDATE catalog SET generation = generation + 1");
    return s ? clv_db_run(store->db, s, "count a change") : store->db->failure;
}

int clv_catalog_touch_model(struct clv_store *store, int64_t model_id)
{
    sqlite3_stmt *s =
        clv_db_take(store->db, "UPDATE model SET generation = generation + 1 WHERE id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    return clv_db_run(store->db, s, "count a change");
}

int clv_catalog_touch_models_of(struct clv_store *store, int64_t video_id)
{
    sqlite3_stmt *s = clv_db_take(
        store->db, "UPDATE model SET generation = generation + 1 WHERE EXISTS (SELECT 1 FROM "
                   "segment WHERE segment.video_id = ?1 AND segment.model_id = model.id)");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, video_id);
    return clv_db_run(store->db, s, "count a change");
}

/* ---- models ---- */

int clv_catalog_model(struct clv_store *store, int *dim_out, int64_t *generation_out,
                      int64_t model_id)
{
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT dim, generation FROM model WHERE id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    int status = clv_db_step(store->db, s, "look up a model");
    *dim_out = status == CLV_OK ? sqlite3_column_int(s, 0) : 0;
    *generation_out = status == CLV_OK ? sqlite3_column_int64(s, 1) : 0;
    clv_db_release(store->db, s);
    if (status == CLV_DONE)
        return clv_fail(CLV_ENOTFOUND, "there is no model %lld in '%s'", (long long)model_id,
                        store->db->path);
    if (status == CLV_OK && (*dim_out <= 0 || *dim_out > CLV_STORE_DIM_MAX))
        return clv_fail(CLV_ECORRUPT, "'%s' says that model %lld has vectors of %d numbers",
                        store->db->path, (long long)model_id, *dim_out);
    return status;
}

static int find_model(struct clv_store *store, struct clv_model_row *row)
{
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT id FROM model WHERE digest = ?1 AND dim = ?2 "
                                             "AND frame_count = ?3");
    if (!s)
        return store->db->failure;
    sqlite3_bind_blob(s, 1, row->digest, CLV_DIGEST_BYTES, SQLITE_TRANSIENT);
    sqlite3_bind_int(s, 2, row->dim);
    sqlite3_bind_int(s, 3, row->frame_count);
    return clv_db_integer(store->db, &row->id, s, 0, "look up a model");
}

/* Name and path follow where the model was last opened from. */
static int write_model(struct clv_store *store, struct clv_model_row *row)
{
    sqlite3_stmt *s = clv_db_take(
        store->db, "INSERT INTO model (digest, dim, frame_count, name, path) VALUES (?1, ?2, ?3, "
                   "?4, ?5) ON CONFLICT (digest, dim, frame_count) DO UPDATE SET name = ?4, "
                   "path = ?5 RETURNING id");
    if (!s)
        return store->db->failure;
    sqlite3_bind_blob(s, 1, row->digest, CLV_DIGEST_BYTES, SQLITE_TRANSIENT);
    sqlite3_bind_int(s, 2, row->dim);
    sqlite3_bind_int(s, 3, row->frame_count);
    clv_catalog_bind_text(s, 4, row->name ? row->name : "");
    clv_catalog_bind_text(s, 5, row->path ? row->path : "");
    return clv_db_integer(store->db, &row->id, s, 0, "store a model");
}

int clv_store_model_put(struct clv_store *store, struct clv_model_row *row)
{
    if (row->dim <= 0 || row->dim > CLV_STORE_DIM_MAX || row->frame_count <= 0)
        return clv_fail(CLV_EINVAL, "a model cannot have vectors of %d numbers from %d frames",
                        row->dim, row->frame_count);
    if (store->db->read_only) {
        int found = find_model(store, row);
        return found == CLV_OK && row->id == 0
                   ? clv_fail(CLV_ENOTFOUND, "'%s' knows no model '%s'", store->db->path,
                              row->name ? row->name : "")
                   : found;
    }
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    return clv_db_end(store->db, write_model(store, row));
}

int clv_store_models(struct clv_store *store, clv_store_model_each *each, void *payload)
{
    sqlite3_stmt *s = clv_db_take(
        store->db, "SELECT id, digest, name, path, dim, frame_count, (SELECT coalesce("
                   "sum(segment_count), 0) FROM coverage WHERE model_id = model.id), (SELECT "
                   "count(*) FROM coverage WHERE model_id = model.id) FROM model ORDER BY id");
    if (!s)
        return store->db->failure;
    int status;
    while ((status = clv_db_step(store->db, s, "list the models")) == CLV_OK) {
        struct clv_model_row row = {
            .id = sqlite3_column_int64(s, 0),
            .name = clv_catalog_text(s, 2),
            .path = clv_catalog_text(s, 3),
            .dim = sqlite3_column_int(s, 4),
            .frame_count = sqlite3_column_int(s, 5),
            .segment_count = sqlite3_column_int64(s, 6),
            .video_count = sqlite3_column_int64(s, 7),
        };
        status = clv_catalog_digest(store, row.digest, s, 1);
        if (status == CLV_OK)
            status = each(&row, payload);
        if (status != CLV_OK)
            break;
    }
    clv_db_release(store->db, s);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_store_model_forget(struct clv_store *store, int64_t model_id)
{
    int dim = 0;
    int64_t generation = 0;
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    status = clv_catalog_model(store, &dim, &generation, model_id);
    if (status == CLV_OK)
        status = clv_catalog_touch(store);
    sqlite3_stmt *s =
        status == CLV_OK ? clv_db_take(store->db, "DELETE FROM model WHERE id = ?1") : NULL;
    if (s) {
        sqlite3_bind_int64(s, 1, model_id);
        status = clv_db_run(store->db, s, "drop a model");
    } else if (status == CLV_OK) {
        status = store->db->failure;
    }
    return clv_db_end(store->db, status);
}

/* ---- counts ---- */

static int64_t file_bytes(const char *path, const char *suffix)
{
    struct clv_file_facts facts = {0};
    char *name = sqlite3_mprintf("%s%s", path, suffix);
    int64_t size = name && clv_file_facts(&facts, name) == CLV_OK ? facts.size_bytes : 0;
    sqlite3_free(name);
    return size;
}

static int sum_footage(struct clv_store *store, int64_t *out)
{
    static const struct clv_timebase milliseconds = {1, 1000};
    *out = 0;
    sqlite3_stmt *s =
        clv_db_take(store->db, "SELECT duration_ticks, timebase_numerator, timebase_denominator "
                               "FROM video WHERE status = 0");
    if (!s)
        return store->db->failure;
    int status;
    while ((status = clv_db_step(store->db, s, "add the durations up")) == CLV_OK) {
        struct clv_timebase base = {sqlite3_column_int(s, 1), sqlite3_column_int(s, 2)};
        if (base.numerator > 0 && base.denominator > 0)
            *out += clv_time_rescale(sqlite3_column_int64(s, 0), base, milliseconds);
    }
    clv_db_release(store->db, s);
    return status == CLV_DONE ? CLV_OK : status;
}

static int read_counts(struct clv_store *store, struct clv_store_status *out)
{
    sqlite3_stmt *s = clv_db_take(
        store->db, "SELECT (SELECT count(*) FROM video WHERE status = 0), (SELECT count(*) FROM "
                   "video WHERE status = 1), (SELECT count(*) FROM video WHERE status = 2), "
                   "(SELECT count(*) FROM segment), (SELECT coalesce(sum(size_bytes), 0) FROM "
                   "vector_index), (SELECT generation FROM catalog)");
    if (!s)
        return store->db->failure;
    int status = clv_db_step(store->db, s, "count");
    if (status == CLV_OK) {
        out->video_count = sqlite3_column_int64(s, 0);
        out->failed_count = sqlite3_column_int64(s, 1);
        out->missing_count = sqlite3_column_int64(s, 2);
        out->segment_count = sqlite3_column_int64(s, 3);
        out->vector_bytes = sqlite3_column_int64(s, 4);
        out->generation = sqlite3_column_int64(s, 5);
    }
    clv_db_release(store->db, s);
    return status;
}

int clv_store_status(struct clv_store *store, struct clv_store_status *out)
{
    *out = (struct clv_store_status){0};
    int status = clv_db_begin_read(store->db);
    if (status != CLV_OK)
        return status;
    status = read_counts(store, out);
    if (status == CLV_OK)
        status = sum_footage(store, &out->footage_ms);
    status = clv_db_end(store->db, status);
    out->schema_version = clv_schema_latest();
    out->catalog_bytes = file_bytes(store->db->path, "") + file_bytes(store->db->path, "-wal");
    return status;
}

/* ---- settings ---- */

int clv_store_setting_get(struct clv_store *store, char **value_out, const char *key)
{
    *value_out = NULL;
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT value FROM setting WHERE key = ?1");
    if (!s)
        return store->db->failure;
    clv_catalog_bind_text(s, 1, key);
    int status = clv_db_step(store->db, s, "read a setting");
    if (status == CLV_OK && !(*value_out = strdup(clv_catalog_text(s, 0))))
        status = clv_fail_memory("a setting");
    clv_db_release(store->db, s);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_store_setting_put(struct clv_store *store, const char *key, const char *value)
{
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    sqlite3_stmt *s = value ? clv_db_take(store->db, "INSERT INTO setting (key, value) VALUES "
                                                     "(?1, ?2) ON CONFLICT (key) DO UPDATE SET "
                                                     "value = ?2")
                            : clv_db_take(store->db, "DELETE FROM setting WHERE key = ?1");
    if (!s)
        return clv_db_end(store->db, store->db->failure);
    clv_catalog_bind_text(s, 1, key);
    if (value)
        clv_catalog_bind_text(s, 2, value);
    return clv_db_end(store->db, clv_db_run(store->db, s, "store a setting"));
}

char *clv_store_version(char out[CLV_STORE_VERSION_SIZE])
{
    snprintf(out, CLV_STORE_VERSION_SIZE, "SQLite %s, FAISS %s", clv_db_version(),
             clv_vindex_version());
    return out;
}
