/* Loading, building and keeping vector indexes: caches of what the catalog holds. */
#include "storage/store_index.h"

#include "core/error.h"
#include "core/half.h"
#include "core/log.h"
#include "storage/catalog_segment.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_PREFIX "vectors-"
#define FILE_SUFFIX ".faiss"
#define ADD_ROWS 4096
#define DEAD_SHARE_MAX 0.2    /* more masked than this: build anew */
#define GROWTH_MAX 2.0        /* grown beyond this multiple of what it was trained for: likewise */
#define MISFIT_SHARE_MAX 0.01 /* more that its codes do not fit in one extension: likewise */
#define TEMPORARY_AGE_S 3600

int clv_index_row(struct clv_store *store, struct clv_index_row *out, int64_t model_id)
{
    *out = (struct clv_index_row){0};
    sqlite3_stmt *s =
        clv_db_take(store->db, "SELECT file, digest, size_bytes, generation, kind FROM "
                               "vector_index WHERE model_id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    int status = clv_db_step(store->db, s, "look up the vector index");
    if (status == CLV_OK) {
        out->is_there = true;
        snprintf(out->file, sizeof out->file, "%s", clv_catalog_text(s, 0));
        out->size_bytes = sqlite3_column_int64(s, 2);
        out->generation = sqlite3_column_int64(s, 3);
        snprintf(out->kind, sizeof out->kind, "%s", clv_catalog_text(s, 4));
        /* A row that makes no sense is a cache that cannot be used: its digest fits nothing, and
         * its name must not lead out of the folder. */
        if (sqlite3_column_bytes(s, 1) == CLV_DIGEST_BYTES)
            memcpy(out->digest, sqlite3_column_blob(s, 1), CLV_DIGEST_BYTES);
        if (!out->file[0] || strchr(out->file, '/'))
            snprintf(out->file, sizeof out->file, "(no name)");
    }
    clv_db_release(store->db, s);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_store_index_kind(struct clv_store *store, int64_t model_id, char out[64])
{
    struct clv_index_row row;
    int status = clv_index_row(store, &row, model_id);
    memcpy(out, row.kind, sizeof row.kind);
    return status;
}

static struct clv_index_state *state_of(struct clv_store *store, int64_t model_id)
{
    for (struct clv_index_state *state = store->indexes; state; state = state->next)
        if (state->model_id == model_id)
            return state;
    struct clv_index_state *state = calloc(1, sizeof *state);
    if (!state) {
        clv_fail_memory("a vector index");
        return NULL;
    }
    state->model_id = model_id;
    state->next = store->indexes;
    return store->indexes = state;
}

static void drop_index(struct clv_index_state *state)
{
    clv_vindex_free(state->index);
    state->index = NULL;
    state->file[0] = '\0';
    state->generation = 0;
}

void clv_index_forget_all(struct clv_store *store)
{
    while (store->indexes) {
        struct clv_index_state *next = store->indexes->next;
        drop_index(store->indexes);
        free(store->indexes);
        store->indexes = next;
    }
}

/* ---- building ---- */

struct builder {
    struct clv_vindex *index;
    struct clv_cancel *cancel;
    int dim;
    int64_t ids[ADD_ROWS];
    float *rows; /* [ADD_ROWS or sample_max, dim] */
    int64_t row_count;
    /* while sampling: takes sample_max of total rows, evenly */
    int64_t sample_max, total, seen;
    /* while extending: what the index then holds, to be compared with what it was given */
    float *held; /* [ADD_ROWS, dim]; NULL: not wanted */
    int64_t misfit_count;
};

static int count_misfits(struct builder *builder)
{
    int64_t first = clv_vindex_count(builder->index) - builder->row_count;
    int status = clv_vindex_reconstruct(builder->index, builder->held, first, builder->row_count);
    for (int64_t i = 0; i < builder->row_count && status == CLV_OK; i++) {
        double square = 0;
        for (int64_t c = i * builder->dim; c < (i + 1) * builder->dim; c++) {
            double difference = (double)builder->held[c] - builder->rows[c];
            square += difference * difference;
        }
        builder->misfit_count += !(square <= CLV_VINDEX_CODE_ERROR);
    }
    return status;
}

static int flush_rows(struct builder *builder)
{
    int status = clv_vindex_add(builder->index, builder->ids, builder->rows, builder->row_count);
    if (status == CLV_OK && builder->held && builder->row_count > 0)
        status = count_misfits(builder);
    builder->row_count = 0;
    return status;
}

static int add_row(int64_t segment_id, const uint16_t *half, void *payload)
{
    struct builder *builder = payload;
    if (clv_cancelled(builder->cancel))
        return clv_fail(CLV_ECANCELED, "building the vector index was stopped");
    builder->ids[builder->row_count] = segment_id;
    clv_half_widen(builder->rows + builder->row_count * builder->dim, half, (size_t)builder->dim);
    return ++builder->row_count == ADD_ROWS ? flush_rows(builder) : CLV_OK;
}

static int sample_row(int64_t segment_id, const uint16_t *half, void *payload)
{
    struct builder *builder = payload;
    (void)segment_id;
    if (clv_cancelled(builder->cancel))
        return clv_fail(CLV_ECANCELED, "building the vector index was stopped");
    int64_t due =
        (int64_t)((double)++builder->seen * (double)builder->sample_max / (double)builder->total);
    if (due > builder->row_count && builder->row_count < builder->sample_max)
        clv_half_widen(builder->rows + builder->row_count++ * builder->dim, half,
                       (size_t)builder->dim);
    return CLV_OK;
}

static int train(struct clv_store *store, struct builder *builder, int64_t model_id)
{
    builder->sample_max = clv_vindex_training_size(builder->index);
    if (builder->sample_max == 0)
        return CLV_OK;
    builder->rows = malloc((size_t)builder->sample_max * (size_t)builder->dim * sizeof(float));
    if (!builder->rows)
        return clv_fail_memory("the training of a vector index");
    int status = clv_catalog_vectors(store, model_id, builder->dim, 0, sample_row, builder);
    if (status == CLV_OK)
        status = clv_vindex_train(builder->index, builder->rows, builder->row_count);
    free(builder->rows);
    builder->rows = NULL;
    builder->row_count = 0;
    return status;
}

/* Adds the rows above the last id that the index has. */
static int append(struct clv_store *store, struct builder *builder, int64_t model_id)
{
    builder->rows = malloc((size_t)ADD_ROWS * (size_t)builder->dim * sizeof(float));
    if (!builder->rows)
        return clv_fail_memory("a vector index");
    int status = clv_catalog_vectors(store, model_id, builder->dim,
                                     clv_vindex_last_id(builder->index), add_row, builder);
    if (status == CLV_OK)
        status = flush_rows(builder);
    free(builder->rows);
    builder->rows = NULL;
    return status;
}

static int count_segments(struct clv_store *store, int64_t *out, int64_t model_id)
{
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT count(*) FROM segment WHERE model_id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    return clv_db_integer(store->db, out, s, 0, "count the segments");
}

/* A new index of all rows, in a read transaction. */
static int build(struct clv_store *store, struct clv_vindex **out, int64_t model_id, int dim,
                 int64_t count, struct clv_cancel *cancel)
{
    *out = NULL;
    struct builder *builder = calloc(1, sizeof *builder);
    if (!builder)
        return clv_fail_memory("a vector index");
    builder->dim = dim;
    builder->cancel = cancel;
    builder->total = count;
    int status = clv_vindex_create(&builder->index, dim, count, store->flat_max);
    if (status == CLV_OK)
        status = train(store, builder, model_id);
    if (status == CLV_OK)
        status = append(store, builder, model_id);
    if (status == CLV_OK)
        *out = builder->index;
    else
        clv_vindex_free(builder->index);
    free(builder);
    return status;
}

/* *fits_out: the new rows are like those that the index was trained on. */
static int extend(struct clv_store *store, struct clv_index_state *state, int dim,
                  struct clv_cancel *cancel, bool *fits_out)
{
    struct builder *builder = calloc(1, sizeof *builder);
    if (!builder)
        return clv_fail_memory("a vector index");
    builder->dim = dim;
    builder->cancel = cancel;
    builder->index = state->index;
    builder->held = malloc((size_t)ADD_ROWS * (size_t)dim * sizeof(float));
    int status = CLV_ENOMEM;
    if (builder->held)
        status = append(store, builder, state->model_id);
    else
        clv_fail_memory("a vector index");
    *fits_out =
        (double)builder->misfit_count <= MISFIT_SHARE_MAX * (double)clv_vindex_count(state->index);
    free(builder->held);
    free(builder);
    return status;
}

/* ---- keeping ---- */

static bool is_cache_name(const char *name)
{
    size_t length = strlen(name), suffix = strlen(FILE_SUFFIX);
    return strncmp(name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 && length > suffix &&
           strcmp(name + length - suffix, FILE_SUFFIX) == 0;
}

static bool is_referenced(struct clv_store *store, const char *name)
{
    int64_t found = 1;
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT count(*) FROM vector_index WHERE file = ?1");
    if (!s)
        return true;
    clv_catalog_bind_text(s, 1, name);
    return clv_db_integer(store->db, &found, s, 1, "look up the vector index") != CLV_OK ||
           found != 0;
}

/* Removes cache files that no row names. Under the write lock, as every rename is, so that no file
 * is between its rename and its row. Temporary files may still be written to, unless they are old.
 */
static void sweep(struct clv_store *store)
{
    DIR *directory = opendir(store->directory);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        const char *name = entry->d_name;
        bool is_temporary = strncmp(name, "." FILE_PREFIX, strlen("." FILE_PREFIX)) == 0 &&
                            strstr(name, FILE_SUFFIX ".") != NULL;
        if (!is_temporary && (!is_cache_name(name) || is_referenced(store, name)))
            continue;
        char *path = clv_path_join(store->directory, name);
        struct clv_file_facts facts;
        if (path && clv_file_facts(&facts, path) == CLV_OK &&
            (!is_temporary || facts.modified_ns / 1000000000 < time(NULL) - TEMPORARY_AGE_S))
            unlink(path);
        free(path);
    }
    if (directory)
        closedir(directory);
}

static int write_row(struct clv_store *store, const struct clv_index_row *row, int64_t model_id)
{
    sqlite3_stmt *s = clv_db_take(
        store->db, "INSERT INTO vector_index (model_id, file, size_bytes, digest, generation, "
                   "kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (model_id) DO UPDATE SET "
                   "file = ?2, size_bytes = ?3, digest = ?4, generation = ?5, kind = ?6");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    clv_catalog_bind_text(s, 2, row->file);
    sqlite3_bind_int64(s, 3, row->size_bytes);
    sqlite3_bind_blob(s, 4, row->digest, CLV_DIGEST_BYTES, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s, 5, row->generation);
    clv_catalog_bind_text(s, 6, row->kind);
    return clv_db_run(store->db, s, "record the vector index");
}

static void remove_cache(struct clv_store *store, const char *name)
{
    char *path = name[0] ? clv_path_join(store->directory, name) : NULL;
    if (path)
        unlink(path);
    free(path);
}

/* Saves the index under a name never used before and names it in the catalog; what it replaces
 * goes last. A kill at any instant leaves a row whose file is there and right. */
static int keep(struct clv_store *store, struct clv_index_state *state)
{
    struct clv_index_row row = {.generation = state->generation}, before = {0};
    struct clv_replace replace;
    uint8_t random[8];
    clv_random_bytes(random, sizeof random);
    uint64_t tag = 0;
    memcpy(&tag, random, sizeof tag);
    snprintf(row.file, sizeof row.file, FILE_PREFIX "%" PRId64 "-%016" PRIx64 FILE_SUFFIX,
             state->model_id, tag);
    snprintf(row.kind, sizeof row.kind, "%s", clv_vindex_kind(state->index));
    char *path = clv_path_join(store->directory, row.file);
    if (!path)
        return CLV_ENOMEM;
    int status = clv_replace_begin(&replace, path);
    if (status == CLV_OK) {
        status = clv_vindex_save(state->index, &replace, row.digest, &row.size_bytes);
        if (status == CLV_OK)
            status = clv_db_begin_write(store->db);
        if (status == CLV_OK) {
            status = clv_index_row(store, &before, state->model_id);
            if (status == CLV_OK)
                status = clv_replace_commit(&replace);
            if (status == CLV_OK)
                status = write_row(store, &row, state->model_id);
            status = clv_db_end(store->db, status);
            remove_cache(store, status == CLV_OK ? before.file : row.file);
        }
        clv_replace_abort(&replace);
    }
    free(path);
    if (status == CLV_OK)
        memcpy(state->file, row.file, sizeof row.file);
    return status;
}

static int drop_row(struct clv_store *store, int64_t model_id)
{
    sqlite3_stmt *s = clv_db_take(store->db, "DELETE FROM vector_index WHERE model_id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    return clv_db_run(store->db, s, "drop the vector index");
}

static int tidy(struct clv_store *store)
{
    int status = clv_db_begin_write(store->db);
    if (status != CLV_OK)
        return status;
    sweep(store);
    return clv_db_end(store->db, CLV_OK);
}

/* ---- loading ---- */

/* Tries the cache file that the catalog names, whose name goes into `tried` ("" where there is
 * none). CLV_DONE where there is none or it cannot be used; the message then says why. */
static int load_cache(struct clv_store *store, struct clv_index_state *state, char tried[96])
{
    struct clv_index_row row;
    int dim = 0;
    int64_t generation = 0;
    int status = clv_catalog_model(store, &dim, &generation, state->model_id);
    if (status == CLV_OK)
        status = clv_index_row(store, &row, state->model_id);
    if (status != CLV_OK)
        return status;
    memcpy(tried, row.file, sizeof row.file);
    if (!row.is_there)
        return CLV_DONE;
    if (state->index && strcmp(row.file, state->file) == 0)
        return CLV_OK;
    char *path = clv_path_join(store->directory, row.file);
    if (!path)
        return CLV_ENOMEM;
    struct clv_vindex *index = NULL;
    status = clv_vindex_load(&index, path, dim, row.digest);
    free(path);
    if (status != CLV_OK)
        return status == CLV_ENOMEM ? status : CLV_DONE;
    drop_index(state);
    state->index = index;
    state->generation = row.generation;
    memcpy(state->file, row.file, sizeof row.file);
    return CLV_OK;
}

/* As load_cache(), again where the file was replaced between the look at the catalog and the
 * opening: until the catalog names the same file twice. */
static int try_cache(struct clv_store *store, struct clv_index_state *state, char tried[96])
{
    char before[96];
    int status = CLV_DONE;
    tried[0] = '\0';
    do {
        memcpy(before, tried, sizeof before);
        status = load_cache(store, state, tried);
    } while (status == CLV_DONE && strcmp(before, tried) != 0);
    return status;
}

int clv_index_sync(struct clv_store *store, struct clv_index_state *state)
{
    struct clv_id_list list = {0};
    int dim = 0;
    int64_t generation = 0;
    int status = clv_catalog_model(store, &dim, &generation, state->model_id);
    if (status != CLV_OK || !state->index || state->generation == generation)
        return status;
    status =
        clv_catalog_segment_ids(store, &list, state->model_id, 0, clv_vindex_last_id(state->index));
    const int64_t *ids = clv_vindex_ids(state->index);
    int64_t count = clv_vindex_count(state->index);
    size_t at = 0;
    for (int64_t i = 0; i < count && status == CLV_OK; i++) {
        while (at < list.count && list.ids[at] < ids[i])
            at++;
        clv_vindex_set_live(state->index, i, at < list.count && list.ids[at] == ids[i]);
    }
    if (status == CLV_OK)
        state->generation = generation;
    clv_id_list_release(&list);
    return status;
}

/* Brings state->index to the catalog of the read transaction that is open: extends it where that
 * is sound and cheaper, builds it anew otherwise. */
static int renew(struct clv_store *store, struct clv_index_state *state, int64_t count,
                 struct clv_cancel *cancel)
{
    struct clv_vindex *index = NULL;
    int dim = 0;
    int64_t generation = 0;
    int status = clv_catalog_model(store, &dim, &generation, state->model_id);
    if (status == CLV_OK)
        status = clv_index_sync(store, state);
    if (status != CLV_OK)
        return status;
    if (state->index && !clv_vindex_is_flat(state->index) && count > store->flat_max) {
        double held = (double)clv_vindex_count(state->index);
        double dead = held - (double)clv_vindex_live_count(state->index);
        double trained = (double)clv_vindex_trained_count(state->index);
        bool fits = dead <= DEAD_SHARE_MAX * held && (double)count <= GROWTH_MAX * trained;
        if (fits)
            status = extend(store, state, dim, cancel, &fits);
        if (fits || status != CLV_OK)
            return status;
    }
    status = build(store, &index, state->model_id, dim, count, cancel);
    if (status != CLV_OK)
        return status;
    drop_index(state);
    state->index = index;
    state->generation = generation;
    return CLV_OK;
}

static int renew_in_transaction(struct clv_store *store, struct clv_index_state *state,
                                struct clv_cancel *cancel)
{
    int64_t count = 0;
    int status = clv_db_begin_read(store->db);
    if (status != CLV_OK)
        return status;
    status = count_segments(store, &count, state->model_id);
    if (status == CLV_OK)
        status = renew(store, state, count, cancel);
    return clv_db_end(store->db, status);
}

/* Repairs the cache on behalf of a search: without waiting for a writer, and never in vain. */
static int repair(struct clv_store *store, struct clv_index_state *state)
{
    drop_index(state);
    int status = renew_in_transaction(store, state, NULL);
    if (status != CLV_OK)
        return status;
    sqlite3_busy_timeout(store->db->handle, 0);
    status = keep(store, state);
    sqlite3_busy_timeout(store->db->handle, store->db->busy_timeout_ms);
    if (status == CLV_OK)
        clv_log(CLV_LOG_INFO, "the vector index was built again");
    else
        clv_log(CLV_LOG_WARNING, "the vector index was built again, but not kept: %s",
                clv_error_message());
    return CLV_OK;
}

int clv_index_load(struct clv_store *store, struct clv_index_state **out, int64_t model_id)
{
    char tried[96];
    struct clv_index_state *state = *out = state_of(store, model_id);
    if (!state)
        return CLV_ENOMEM;
    int status = try_cache(store, state, tried);
    if (status != CLV_DONE || !tried[0] || strcmp(tried, state->refused) == 0)
        return status == CLV_DONE ? CLV_OK : status;
    clv_log(CLV_LOG_WARNING, "the vector index is not used: %s", clv_error_message());
    memcpy(state->refused, tried, sizeof state->refused);
    return store->db->read_only ? CLV_OK : repair(store, state);
}

/* ---- upkeep ---- */

/* Whether the catalog names the index in memory and nothing changed since. */
static int is_current(struct clv_store *store, struct clv_index_state *state, bool *out,
                      int64_t *count_out)
{
    struct clv_index_row row;
    int dim = 0;
    int64_t generation = 0;
    int status = clv_db_begin_read(store->db);
    if (status != CLV_OK)
        return status;
    status = clv_catalog_model(store, &dim, &generation, state->model_id);
    if (status == CLV_OK)
        status = clv_index_row(store, &row, state->model_id);
    if (status == CLV_OK)
        status = count_segments(store, count_out, state->model_id);
    if (status == CLV_OK)
        *out = *count_out == 0 ? !row.is_there
                               : row.is_there && row.generation == generation && state->index &&
                                     strcmp(row.file, state->file) == 0;
    return clv_db_end(store->db, status);
}

static int refresh_model(struct clv_store *store, int64_t model_id, bool anew,
                         struct clv_cancel *cancel)
{
    char tried[96];
    bool current = false;
    int64_t count = 0;
    struct clv_index_state *state = state_of(store, model_id);
    if (!state)
        return CLV_ENOMEM;
    drop_index(state);
    int status = anew ? CLV_DONE : try_cache(store, state, tried);
    if (status == CLV_DONE && !anew && tried[0])
        clv_log(CLV_LOG_WARNING, "the vector index is built again: %s", clv_error_message());
    if (status == CLV_OK || status == CLV_DONE)
        status = is_current(store, state, &current, &count);
    if (status != CLV_OK || current)
        return status;
    if (count == 0) {
        drop_index(state);
        status = clv_db_begin_write(store->db);
        return status == CLV_OK ? clv_db_end(store->db, drop_row(store, model_id)) : status;
    }
    status = renew_in_transaction(store, state, cancel);
    return status == CLV_OK ? keep(store, state) : status;
}

static int refresh_all(struct clv_store *store, bool anew, struct clv_cancel *cancel)
{
    struct clv_id_list models = {0};
    if (store->db->read_only)
        return clv_fail(CLV_EIO, "cannot write to '%s': it is opened for reading only",
                        store->db->path);
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT id FROM model ORDER BY id");
    int status = s ? CLV_OK : store->db->failure;
    while (status == CLV_OK && (status = clv_db_step(store->db, s, "list the models")) == CLV_OK)
        status = clv_id_list_add(&models, sqlite3_column_int64(s, 0));
    clv_db_release(store->db, s);
    status = status == CLV_DONE ? CLV_OK : status;
    for (size_t i = 0; i < models.count && status == CLV_OK; i++)
        status = refresh_model(store, models.ids[i], anew, cancel);
    clv_id_list_release(&models);
    return status == CLV_OK ? tidy(store) : status;
}

int clv_store_refresh(struct clv_store *store, struct clv_cancel *cancel)
{
    return refresh_all(store, false, cancel);
}

int clv_store_rebuild(struct clv_store *store, struct clv_cancel *cancel)
{
    return refresh_all(store, true, cancel);
}
