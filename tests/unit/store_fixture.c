/* Made-up databases, and an exact search to compare with. */
#include "tests/unit/store_fixture.h"

#include "core/error.h"
#include "tests/t.h"

#include <dirent.h>
#include <fnmatch.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fixture_vector(float *out, int dim, uint64_t *seed, int cluster)
{
    uint64_t center = 977 + (uint64_t)cluster;
    double square = 0;
    for (int c = 0; c < dim; c++) {
        out[c] = (float)(t_normal(&center) + 0.4 * t_normal(seed));
        square += (double)out[c] * out[c];
    }
    for (int c = 0; c < dim; c++)
        out[c] = (float)(out[c] / sqrt(square));
}

struct clv_store *fixture_open(const char *directory, int64_t flat_max)
{
    struct clv_store *store = NULL;
    struct clv_store_options options = {.create = true, .flat_max = flat_max};
    CHECK_OK(clv_store_open(&store, directory, &options));
    return store;
}

int64_t fixture_model(struct clv_store *store, int number, int dim)
{
    struct clv_model_row row = {
        .name = "model", .path = "/models/model", .dim = dim, .frame_count = 8};
    memset(row.digest, 1 + number, sizeof row.digest);
    CHECK_OK(clv_store_model_put(store, &row));
    return row.id;
}

int fixture_put(struct clv_store *store, const char *path, int64_t model_id, uint64_t seed,
                int count, int64_t *id_out)
{
    struct clv_video_row video = {
        .path = path,
        .size_bytes = 1000 + count,
        .modified_ns = 5,
        .codec = "h264",
        .container = "mp4",
        .width = 320,
        .height = 240,
        .has_audio = true,
        .frame_rate = 25,
        .timebase = {1, 1000},
        .start_ticks = 500,
        .duration_ticks = 1000 * (int64_t)count + 1000,
        .settings = "length=2000 stride=1000 t=8",
    };
    clv_digest_bytes(video.digest, &seed, sizeof seed);
    struct clv_segment *segments = calloc((size_t)count + 1, sizeof *segments);
    float *vectors = calloc((size_t)count + 1, FIXTURE_DIM * sizeof *vectors);
    for (int i = 0; i < count; i++) {
        fixture_vector(vectors + i * FIXTURE_DIM, FIXTURE_DIM, &seed, (i / 7 + (int)seed) & 15);
        segments[i] = (struct clv_segment){
            .start_ticks = 500 + 1000 * (int64_t)i,
            .end_ticks = 2500 + 1000 * (int64_t)i,
            .shot = i / 10,
            .norm = 0.9f,
            .vector = vectors + i * FIXTURE_DIM,
        };
    }
    int status = clv_store_video_put(store, &video, model_id, segments, (size_t)count);
    if (id_out)
        *id_out = video.id;
    free(segments);
    free(vectors);
    return status;
}

/* ---- the reference ---- */

struct reference {
    struct clv_store *store;
    const struct clv_search_filter *filter;
    const float *vector;
    int64_t model_id;
    int64_t start_ticks;
    struct clv_timebase timebase;
    int64_t *ids;
    double *scores;
    int count, capacity;
};

static int see_segment(const struct clv_hit *segment, const float *vector, void *payload)
{
    struct reference *reference = payload;
    const struct clv_search_filter *filter = reference->filter;
    double unit_ms = 1000.0 * reference->timebase.numerator / reference->timebase.denominator;
    double from = (double)(segment->start_ticks - reference->start_ticks) * unit_ms;
    double to = (double)(segment->end_ticks - reference->start_ticks) * unit_ms;
    if (filter && filter->from_ms > 0 && !(to > (double)filter->from_ms))
        return 0;
    if (filter && filter->to_ms > 0 && !(from < (double)filter->to_ms))
        return 0;
    double score = 0;
    for (int c = 0; c < FIXTURE_DIM; c++)
        score += (double)vector[c] * reference->vector[c];
    if (reference->count == reference->capacity) {
        reference->capacity = 2 * reference->capacity + 64;
        reference->ids = realloc(reference->ids, (size_t)reference->capacity * sizeof(int64_t));
        reference->scores =
            realloc(reference->scores, (size_t)reference->capacity * sizeof(double));
    }
    reference->ids[reference->count] = segment->segment_id;
    reference->scores[reference->count++] = score;
    return 0;
}

static int see_video(const struct clv_video_row *row, void *payload)
{
    struct reference *reference = payload;
    const struct clv_search_filter *filter = reference->filter;
    if (row->status != CLV_VIDEO_INDEXED ||
        (filter && filter->video_id && filter->video_id != row->id))
        return 0;
    reference->start_ticks = row->start_ticks;
    reference->timebase = row->timebase;
    return clv_store_segments(reference->store, row->id, reference->model_id, see_segment,
                              reference);
}

int fixture_search(struct clv_store *store, int64_t *ids_out, double *scores_out, int64_t model_id,
                   const float *vector, int hit_max, const struct clv_search_filter *filter)
{
    struct reference reference = {
        .store = store, .filter = filter, .vector = vector, .model_id = model_id};
    CHECK_OK(
        clv_store_videos(store, filter ? filter->glob : NULL, model_id, see_video, &reference));
    int count = 0;
    for (; count < hit_max && count < reference.count; count++) {
        int best = -1;
        for (int i = 0; i < reference.count; i++) {
            if (reference.ids[i] == 0)
                continue;
            if (best < 0 || reference.scores[i] > reference.scores[best] ||
                (reference.scores[i] == reference.scores[best] &&
                 reference.ids[i] < reference.ids[best]))
                best = i;
        }
        ids_out[count] = reference.ids[best];
        scores_out[count] = reference.scores[best];
        reference.ids[best] = 0;
    }
    free(reference.ids);
    free(reference.scores);
    return count;
}

void fixture_compare(struct clv_store *store, int64_t model_id, uint64_t seed, int hit_max,
                     const struct clv_search_filter *filter)
{
    float vector[FIXTURE_DIM];
    struct clv_hit *hits = calloc((size_t)hit_max, sizeof *hits);
    int64_t *ids = calloc((size_t)hit_max, sizeof *ids);
    double *scores = calloc((size_t)hit_max, sizeof *scores);
    int got = -1;
    fixture_vector(vector, FIXTURE_DIM, &seed, (int)(seed & 15));
    CHECK_OK(clv_store_search(store, hits, &got, model_id, vector, hit_max, filter));
    int want = fixture_search(store, ids, scores, model_id, vector, hit_max, filter);
    CHECK_INT(got, want);
    for (int i = 0; i < got && i < want && !t_failed(); i++) {
        CHECK_NEAR(hits[i].score, scores[i], 1e-6);
        /* Scores closer than float32 tells apart may change places. */
        if ((i == 0 || scores[i - 1] - scores[i] > 1e-6) &&
            (i + 1 == want || scores[i] - scores[i + 1] > 1e-6) && i + 1 < want)
            CHECK_INT(hits[i].segment_id, ids[i]);
        CHECK_NEAR(hits[i].norm, 0.9, 1e-7);
        CHECK(i == 0 || hits[i - 1].score > hits[i].score ||
              (hits[i - 1].score == hits[i].score && hits[i - 1].segment_id < hits[i].segment_id));
    }
    free(hits);
    free(ids);
    free(scores);
}

static void print_problem(const char *problem, void *payload)
{
    if (*(bool *)payload)
        printf("problem: %s\n", problem);
}

int64_t fixture_problems(struct clv_store *store, bool loud)
{
    int64_t count = -1;
    int status = clv_store_check(store, &count, print_problem, &loud);
    if (status != CLV_OK)
        printf("check: %s\n", clv_error_message());
    return status == CLV_OK ? count : -1;
}

int fixture_sql(const char *directory, const char *sql)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open(t_path(directory, "catalog.sqlite"), &db);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        printf("sql: %s\n", sqlite3_errmsg(db));
    sqlite3_close(db);
    return code;
}

/* What a lock is: a connection amid a transaction. */
struct fixture_lock *fixture_lock(const char *directory)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open(t_path(directory, "catalog.sqlite"), &db);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    CHECK_INT(code, SQLITE_OK);
    if (code == SQLITE_OK)
        return (struct fixture_lock *)db;
    sqlite3_close(db);
    return NULL;
}

void fixture_unlock(struct fixture_lock *lock)
{
    CHECK_INT(sqlite3_close((sqlite3 *)lock), SQLITE_OK);
}

const char *fixture_cache_file(const char *directory)
{
    const char *found = NULL;
    DIR *entries = opendir(directory);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        if (fnmatch("vectors-*.faiss", entry->d_name, 0) == 0)
            found = t_path(directory, entry->d_name);
    if (entries)
        closedir(entries);
    return found;
}
