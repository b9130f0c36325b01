/* Segments and vectors: reading and filtering rows. */
#include "storage/catalog_segment.h"

#include "core/error.h"
#include "core/half.h"

#include <stdlib.h>
#include <string.h>

int clv_id_list_add(struct clv_id_list *list, int64_t id)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        int64_t *grown = realloc(list->ids, capacity * sizeof *grown);
        if (!grown)
            return clv_fail_memory("a list of segments");
        list->ids = grown;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return CLV_OK;
}

void clv_id_list_release(struct clv_id_list *list)
{
    free(list->ids);
    *list = (struct clv_id_list){0};
}

static int fail_vector(struct clv_store *store, int64_t segment_id, int size, int dim)
{
    return clv_fail(CLV_ECORRUPT, "'%s': the vector of segment %lld has %d bytes, not %d",
                    store->db->path, (long long)segment_id, size, 2 * dim);
}

int clv_catalog_vectors(struct clv_store *store, int64_t model_id, int dim, int64_t after_id,
                        clv_vector_each *each, void *payload)
{
    uint16_t *half = malloc((size_t)dim * sizeof *half);
    if (!half)
        return clv_fail_memory("a vector");
    sqlite3_stmt *s =
        clv_db_take(store->db, "SELECT s.id, v.half FROM segment s INDEXED BY segment_by_model "
                               "CROSS JOIN vector v ON v.segment_id = s.id WHERE s.model_id = ?1 "
                               "AND s.id > ?2 ORDER BY s.id");
    int status = store->db->failure;
    if (s) {
        sqlite3_bind_int64(s, 1, model_id);
        sqlite3_bind_int64(s, 2, after_id);
        while ((status = clv_db_step(store->db, s, "read the vectors")) == CLV_OK) {
            int64_t id = sqlite3_column_int64(s, 0);
            const void *data = sqlite3_column_blob(s, 1);
            if (sqlite3_column_bytes(s, 1) != 2 * dim)
                status = fail_vector(store, id, sqlite3_column_bytes(s, 1), dim);
            else
                status = each(id, memcpy(half, data, 2 * (size_t)dim), payload);
            if (status != CLV_OK)
                break;
        }
    }
    clv_db_release(store->db, s);
    free(half);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_catalog_vector(struct clv_store *store, uint16_t *half_out, int64_t segment_id, int dim)
{
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT half FROM vector WHERE segment_id = ?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, segment_id);
    int status = clv_db_step(store->db, s, "read a vector");
    if (status == CLV_OK) {
        const void *data = sqlite3_column_blob(s, 0);
        if (sqlite3_column_bytes(s, 0) != 2 * dim)
            status = fail_vector(store, segment_id, sqlite3_column_bytes(s, 0), dim);
        else
            memcpy(half_out, data, 2 * (size_t)dim);
    }
    clv_db_release(store->db, s);
    return status;
}

/* Appends the first column of every row of a bound statement; releases it. */
static int collect_ids(struct clv_store *store, struct clv_id_list *out, sqlite3_stmt *s)
{
    int status;
    while ((status = clv_db_step(store->db, s, "list the segments")) == CLV_OK) {
        status = clv_id_list_add(out, sqlite3_column_int64(s, 0));
        if (status != CLV_OK)
            break;
    }
    clv_db_release(store->db, s);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_catalog_segment_ids(struct clv_store *store, struct clv_id_list *out, int64_t model_id,
                            int64_t after_id, int64_t to_id)
{
    sqlite3_stmt *s =
        clv_db_take(store->db, "SELECT id FROM segment INDEXED BY segment_by_model WHERE "
                               "model_id = ?1 AND id > ?2 AND id <= ?3 ORDER BY id");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, model_id);
    sqlite3_bind_int64(s, 2, after_id);
    sqlite3_bind_int64(s, 3, to_id);
    return collect_ids(store, out, s);
}

int clv_catalog_has_missing(struct clv_store *store, bool *out)
{
    int64_t found = 0;
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT 1 FROM video WHERE status = 2 LIMIT 1");
    if (!s)
        return store->db->failure;
    int status = clv_db_integer(store->db, &found, s, 0, "look for missing videos");
    *out = found != 0;
    return status;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Times are compared as ticks * numerator * 1000 against milliseconds * denominator: exact. */
int clv_catalog_filter(struct clv_store *store, struct clv_id_list *out, int64_t model_id,
                       const struct clv_search_filter *filter)
{
    char *pattern = NULL;
    int status = clv_catalog_glob(&pattern, filter->glob);
    if (status != CLV_OK)
        return status;
    sqlite3_stmt *s = clv_db_take(
        store->db, "SELECT s.id FROM video v CROSS JOIN segment s INDEXED BY segment_by_video "
                   "ON s.video_id = v.id AND s.model_id = ?1 WHERE v.status = 0 "
                   "AND (?2 IS NULL OR v.path GLOB ?2) AND (?3 = 0 OR v.id = ?3) "
                   "AND (?4 = 0 OR (s.end_ticks - v.start_ticks) * v.timebase_numerator * 1000 "
                   "> ?4 * v.timebase_denominator) "
                   "AND (?5 = 0 OR (s.start_ticks - v.start_ticks) * v.timebase_numerator * 1000 "
                   "< ?5 * v.timebase_denominator)");
    status = store->db->failure;
    if (s) {
        sqlite3_bind_int64(s, 1, model_id);
        clv_catalog_bind_text(s, 2, pattern);
        sqlite3_bind_int64(s, 3, filter->video_id);
        sqlite3_bind_int64(s, 4, filter->from_ms);
        sqlite3_bind_int64(s, 5, filter->to_ms);
        status = collect_ids(store, out, s);
    }
    free(pattern);
    if (status == CLV_OK && out->count > 1)
        qsort(out->ids, out->count, sizeof *out->ids, compare_ids);
    return status;
}

#define HIT_COLUMNS "s.id, s.video_id, s.start_ticks, s.end_ticks, s.shot, s.norm "

static struct clv_hit read_hit(sqlite3_stmt *s)
{
    return (struct clv_hit){
        .segment_id = sqlite3_column_int64(s, 0),
        .video_id = sqlite3_column_int64(s, 1),
        .start_ticks = sqlite3_column_int64(s, 2),
        .end_ticks = sqlite3_column_int64(s, 3),
        .shot = sqlite3_column_int(s, 4),
        .norm = (float)sqlite3_column_double(s, 5),
    };
}

int clv_catalog_hit(struct clv_store *store, struct clv_hit *out, int64_t segment_id)
{
    sqlite3_stmt *s = clv_db_take(store->db, "SELECT " HIT_COLUMNS "FROM segment s WHERE s.id = "
                                             "?1");
    if (!s)
        return store->db->failure;
    sqlite3_bind_int64(s, 1, segment_id);
    int status = clv_db_step(store->db, s, "read a segment");
    if (status == CLV_OK)
        *out = read_hit(s);
    clv_db_release(store->db, s);
    return status == CLV_DONE ? clv_fail(CLV_ECORRUPT,
                                         "'%s' has a vector for segment %lld, which "
                                         "does not exist",
                                         store->db->path, (long long)segment_id)
                              : status;
}

/* Rows of a bound statement to the callback, with the vector widened into `vector`. */
static int give_segments(struct clv_store *store, sqlite3_stmt *s, float *vector, int dim,
                         clv_store_segment_each *each, void *payload)
{
    int status;
    while ((status = clv_db_step(store->db, s, "read the segments")) == CLV_OK) {
        struct clv_hit hit = read_hit(s);
        const uint16_t *half = sqlite3_column_blob(s, 6);
        if (sqlite3_column_bytes(s, 6) != 2 * dim)
            return fail_vector(store, hit.segment_id, sqlite3_column_bytes(s, 6), dim);
        clv_half_widen(vector, half, (size_t)dim);
        status = each(&hit, vector, payload);
        if (status != CLV_OK)
            return status;
    }
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_store_segments(struct clv_store *store, int64_t video_id, int64_t model_id,
                       clv_store_segment_each *each, void *payload)
{
    int dim = 0;
    int64_t generation = 0;
    int status = clv_catalog_model(store, &dim, &generation, model_id);
    if (status != CLV_OK)
        return status;
    float *vector = malloc((size_t)dim * sizeof *vector);
    if (!vector)
        return clv_fail_memory("a vector");
    sqlite3_stmt *s = clv_db_take(
        store->db, "SELECT " HIT_COLUMNS ", v.half FROM segment s JOIN vector v ON v.segment_id = "
                   "s.id WHERE s.video_id = ?1 AND s.model_id = ?2 ORDER BY s.start_ticks, "
                   "s.end_ticks, s.id");
    status = store->db->failure;
    if (s) {
        sqlite3_bind_int64(s, 1, video_id);
        sqlite3_bind_int64(s, 2, model_id);
        status = give_segments(store, s, vector, dim, each, payload);
    }
    clv_db_release(store->db, s);
    free(vector);
    return status;
}
