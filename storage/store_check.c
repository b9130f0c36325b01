/* Reads everything a database holds and says what is wrong with it. */
#include "core/error.h"
#include "core/half.h"
#include "storage/catalog_segment.h"
#include "storage/store_index.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NORM_ERROR 0.02
#define BLOCK_ROWS 8192
#define REPORTS_PER_RULE 20

struct check {
    struct clv_store *store;
    int64_t count;
    clv_store_report *report;
    void *payload;
};

__attribute__((format(printf, 2, 3))) static void problem(struct check *check, const char *format,
                                                          ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started in the line above */
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    check->count++;
    if (check->report)
        check->report(text, check->payload);
}

/* Damage found while checking is what the check is for, anything else ends it. */
static int absorb(struct check *check, int status)
{
    if (status != CLV_ECORRUPT)
        return status;
    problem(check, "%s", clv_error_message());
    return CLV_OK;
}

static int check_sqlite(struct check *check)
{
    struct clv_db *db = check->store->db;
    sqlite3_stmt *s = clv_db_take(db, "PRAGMA integrity_check");
    if (!s)
        return db->failure;
    int status;
    while ((status = clv_db_step(db, s, "check the catalog")) == CLV_OK)
        if (strcmp(clv_catalog_text(s, 0), "ok") != 0)
            problem(check, "catalog: %s", clv_catalog_text(s, 0));
    clv_db_release(db, s);
    if (status != CLV_DONE)
        return status;
    s = clv_db_take(db, "PRAGMA foreign_key_check");
    if (!s)
        return db->failure;
    while ((status = clv_db_step(db, s, "check the catalog")) == CLV_OK)
        problem(check, "catalog: row %lld of table %s names a missing row of table %s",
                (long long)sqlite3_column_int64(s, 1), clv_catalog_text(s, 0),
                clv_catalog_text(s, 2));
    clv_db_release(db, s);
    return status == CLV_DONE ? CLV_OK : status;
}

/* Queries that must find nothing: "id, text" of each row they do find is a problem. */
static const struct {
    const char *sql;
    const char *sentence; /* with %lld for the id */
} rules[] = {
    {"SELECT s.id FROM segment s LEFT JOIN vector v ON v.segment_id = s.id WHERE v.segment_id IS "
     "NULL",
     "segment %lld has no vector"},
    {"SELECT v.segment_id FROM vector v LEFT JOIN segment s ON s.id = v.segment_id WHERE s.id IS "
     "NULL",
     "the vector %lld belongs to no segment"},
    {"SELECT id FROM segment WHERE end_ticks <= start_ticks OR shot < 0",
     "segment %lld ends before it begins or has a negative shot number"},
    {"SELECT s.id FROM segment s JOIN video v ON v.id = s.video_id WHERE v.status = 1",
     "segment %lld belongs to a video that could not be read"},
    {"SELECT id FROM (SELECT id, shot, lag(shot) OVER (PARTITION BY video_id, model_id ORDER BY "
     "start_ticks, end_ticks, id) AS before FROM segment) WHERE shot < before",
     "segment %lld belongs to an earlier shot than the one before it"},
    {"SELECT s.id FROM segment s LEFT JOIN coverage c ON c.video_id = s.video_id AND c.model_id = "
     "s.model_id WHERE c.video_id IS NULL",
     "segment %lld belongs to a video that is not recorded as indexed with its model"},
    {"SELECT c.video_id FROM coverage c WHERE c.segment_count <> (SELECT count(*) FROM segment s "
     "WHERE s.video_id = c.video_id AND s.model_id = c.model_id)",
     "video %lld does not have as many segments as recorded"},
    {"SELECT id FROM video WHERE length(digest) <> 32 OR substr(path, 1, 1) <> '/' OR size_bytes "
     "< 0 OR duration_ticks < 0 OR (status = 1 AND error = '')",
     "the row of video %lld makes no sense"},
    {"SELECT id FROM model WHERE length(digest) <> 32 OR dim > 65536",
     "the row of model %lld makes no sense"},
    {"SELECT m.id FROM moment m WHERE length(m.video_digest) <> 32 OR m.end_ms < m.start_ms",
     "the row of moment %lld makes no sense"},
};

static int check_rule(struct check *check, const char *sql, const char *sentence)
{
    struct clv_db *db = check->store->db;
    sqlite3_stmt *s = clv_db_take(db, sql);
    if (!s)
        return db->failure;
    int status;
    int64_t found = 0, first = 0;
    while ((status = clv_db_step(db, s, "check the catalog")) == CLV_OK) {
        int64_t id = sqlite3_column_int64(s, 0);
        const char *number = strstr(sentence, "%lld");
        if (++found <= REPORTS_PER_RULE)
            problem(check, "%.*s%lld%s", (int)(number - sentence), sentence, (long long)id,
                    number + 4);
        else
            check->count++;
        if (found == 1)
            first = id;
    }
    clv_db_release(db, s);
    if (found > REPORTS_PER_RULE && check->report)
        problem(check, "… and so do %lld more rows like %lld",
                (long long)(found - REPORTS_PER_RULE), (long long)first);
    return status == CLV_DONE ? CLV_OK : status;
}

/* ---- the vectors, and the index beside them ---- */

struct comparison {
    struct check *check;
    struct clv_vindex *index; /* NULL: there is none that could be read */
    const char *file;
    int dim;
    int64_t position; /* next in the index */
    int64_t gone;     /* live in the index, not in the catalog */
    int64_t lacking;  /* in the catalog below the last id, not live in the index */
    int64_t wrong;    /* vectors that differ */
    int64_t block_first, block_count;
    float *block; /* [BLOCK_ROWS, dim]: vectors of the index from block_first on */
    float *wide;  /* [dim] */
    float *coded; /* [dim] */
};

static bool is_live(const struct clv_vindex *index, int64_t position)
{
    return clv_vindex_live(index)[position / 8] >> (position % 8) & 1;
}

/* The index's own copy of the vector at `position`. */
static int fetch(struct comparison *comparison, const float **out, int64_t position)
{
    int64_t first = comparison->block_first;
    if (position < first || position >= first + comparison->block_count) {
        int64_t rest = clv_vindex_count(comparison->index) - position;
        comparison->block_first = position;
        comparison->block_count = rest < BLOCK_ROWS ? rest : BLOCK_ROWS;
        int status = clv_vindex_reconstruct(comparison->index, comparison->block, position,
                                            comparison->block_count);
        if (status != CLV_OK) {
            comparison->block_count = 0;
            return status;
        }
    }
    *out = comparison->block + (position - comparison->block_first) * comparison->dim;
    return CLV_OK;
}

/* Square distance. */
static double distance(const float *a, const float *b, int dim)
{
    double square = 0;
    for (int c = 0; c < dim; c++) {
        double difference = (double)a[c] - b[c];
        square += difference * difference;
    }
    return square;
}

static int compare_indexed(struct comparison *comparison, int64_t segment_id)
{
    const struct clv_vindex *index = comparison->index;
    const int64_t *ids = clv_vindex_ids(index);
    int64_t count = clv_vindex_count(index);
    while (comparison->position < count && ids[comparison->position] < segment_id)
        comparison->gone += is_live(index, comparison->position++);
    if (comparison->position == count) /* newer than the index */
        return CLV_OK;
    if (ids[comparison->position] != segment_id || !is_live(index, comparison->position)) {
        comparison->lacking++;
        return CLV_OK;
    }
    const float *held = NULL;
    int status = fetch(comparison, &held, comparison->position++);
    if (status != CLV_OK)
        return status;
    double error = distance(held, comparison->wide, comparison->dim);
    if (clv_vindex_is_flat(index) || error <= CLV_VINDEX_CODE_ERROR) {
        comparison->wrong += clv_vindex_is_flat(index) && !(error <= 0);
        return CLV_OK;
    }
    /* Far off: right only where coding the vector anew gives the same. */
    status = clv_vindex_encode(index, comparison->coded, comparison->wide);
    comparison->wrong += !(distance(held, comparison->coded, comparison->dim) <= 1e-3);
    return status;
}

static int compare_vector(int64_t segment_id, const uint16_t *half, void *payload)
{
    struct comparison *comparison = payload;
    double square = 0;
    clv_half_widen(comparison->wide, half, (size_t)comparison->dim);
    for (int c = 0; c < comparison->dim; c++)
        square += (double)comparison->wide[c] * comparison->wide[c];
    if (!(fabs(sqrt(square) - 1) <= NORM_ERROR))
        problem(comparison->check, "the vector of segment %lld has norm %g, not 1",
                (long long)segment_id, sqrt(square));
    return comparison->index ? compare_indexed(comparison, segment_id) : CLV_OK;
}

static void conclude(struct comparison *comparison, bool is_current)
{
    const struct clv_vindex *index = comparison->index;
    for (; comparison->position < clv_vindex_count(index); comparison->position++)
        comparison->gone += is_live(index, comparison->position);
    if (comparison->wrong > 0)
        problem(comparison->check, "'%s' holds %lld vectors that differ from the catalog's",
                comparison->file, (long long)comparison->wrong);
    if (comparison->lacking > 0)
        problem(comparison->check, "'%s' lacks %lld segments", comparison->file,
                (long long)comparison->lacking);
    /* An older index may still hold what was dropped since. */
    if (is_current && comparison->gone > 0)
        problem(comparison->check, "'%s' holds %lld segments that do not exist", comparison->file,
                (long long)comparison->gone);
}

static int read_index(struct comparison *comparison, const struct clv_index_row *row)
{
    struct check *check = comparison->check;
    struct clv_file_facts facts;
    char *path = clv_path_join(check->store->directory, row->file);
    if (!path)
        return CLV_ENOMEM;
    int status = clv_file_facts(&facts, path);
    if (status == CLV_OK && facts.size_bytes != row->size_bytes)
        problem(check, "'%s' has %lld bytes, the catalog says %lld", row->file,
                (long long)facts.size_bytes, (long long)row->size_bytes);
    else if (status == CLV_OK)
        status = clv_vindex_load(&comparison->index, path, comparison->dim, row->digest);
    free(path);
    if (status == CLV_OK && comparison->index &&
        strcmp(clv_vindex_kind(comparison->index), row->kind) != 0)
        problem(check, "'%s' is of kind %s, the catalog says %s", row->file,
                clv_vindex_kind(comparison->index), row->kind);
    if (status == CLV_OK || status == CLV_ENOMEM)
        return status;
    problem(check, "%s", clv_error_message());
    return CLV_OK;
}

static int check_model(struct check *check, int64_t model_id)
{
    struct comparison comparison = {.check = check};
    struct clv_index_row row;
    int64_t generation = 0;
    int status = clv_catalog_model(check->store, &comparison.dim, &generation, model_id);
    if (status == CLV_OK)
        status = clv_index_row(check->store, &row, model_id);
    if (status != CLV_OK)
        return absorb(check, status);
    size_t dim = (size_t)comparison.dim;
    comparison.file = row.file;
    comparison.wide = malloc(dim * sizeof *comparison.wide);
    comparison.coded = malloc(dim * sizeof *comparison.coded);
    if (row.generation > generation)
        problem(check, "'%s' is of generation %lld, the catalog of %lld", row.file,
                (long long)row.generation, (long long)generation);
    if (!comparison.wide || !comparison.coded)
        status = clv_fail_memory("a check");
    if (status == CLV_OK && row.is_there)
        status = read_index(&comparison, &row);
    if (status == CLV_OK && comparison.index &&
        !(comparison.block = malloc(BLOCK_ROWS * dim * sizeof *comparison.block)))
        status = clv_fail_memory("a check");
    if (status == CLV_OK)
        status = absorb(check, clv_catalog_vectors(check->store, model_id, comparison.dim, 0,
                                                   compare_vector, &comparison));
    if (status == CLV_OK && comparison.index)
        conclude(&comparison, row.generation == generation);
    clv_vindex_free(comparison.index);
    free(comparison.block);
    free(comparison.wide);
    free(comparison.coded);
    return status;
}

static int check_models(struct check *check)
{
    struct clv_id_list models = {0};
    struct clv_db *db = check->store->db;
    sqlite3_stmt *s = clv_db_take(db, "SELECT id FROM model ORDER BY id");
    int status = s ? CLV_OK : db->failure;
    while (status == CLV_OK && (status = clv_db_step(db, s, "list the models")) == CLV_OK)
        status = clv_id_list_add(&models, sqlite3_column_int64(s, 0));
    clv_db_release(db, s);
    status = status == CLV_DONE ? CLV_OK : status;
    for (size_t i = 0; i < models.count && status == CLV_OK; i++)
        status = check_model(check, models.ids[i]);
    clv_id_list_release(&models);
    return status;
}

int clv_store_check(struct clv_store *store, int64_t *problem_count_out, clv_store_report *report,
                    void *payload)
{
    struct check check = {.store = store, .report = report, .payload = payload};
    int status = clv_db_begin_read(store->db);
    if (status == CLV_OK) {
        status = absorb(&check, check_sqlite(&check));
        for (size_t i = 0; i < sizeof rules / sizeof rules[0] && status == CLV_OK; i++)
            status = absorb(&check, check_rule(&check, rules[i].sql, rules[i].sentence));
        if (status == CLV_OK)
            status = absorb(&check, check_models(&check));
        int ended = clv_db_end(store->db, status);
        status = status == CLV_OK ? absorb(&check, ended) : status;
    }
    *problem_count_out = check.count;
    return status;
}
