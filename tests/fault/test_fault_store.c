/* The store when memory, the disk or SQLite's memory gives out: whatever call fails, the database
 * opens afterwards, checks clean, and holds the old state or the new one. */
#include "core/error.h"
#include "core/file.h"
#include "storage/store.h"
#include "tests/fault/fault.h"
#include "tests/t.h"
#include "tests/unit/store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT 20 /* segments of the video that is there before */
#define NEW 12

static const int kinds[] = {FAULT_MEMORY, FAULT_FILES, FAULT_SQLITE};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)
/* Of the thousands of SQLite's allocations. */
#define EVERY 15

struct database {
    const char *directory;
    int64_t model_id;
    int64_t kept_id;
    uint64_t round;
    struct clv_segment segments[NEW];
    float vectors[NEW][FIXTURE_DIM];
    struct clv_hit hits[10];
    int hit_count;
};

static void make_database(struct database *database)
{
    memset(database, 0, sizeof *database);
    database->directory = t_directory();
    uint64_t seed = 3;
    for (int i = 0; i < NEW; i++) {
        fixture_vector(database->vectors[i], FIXTURE_DIM, &seed, i & 7);
        database->segments[i] = (struct clv_segment){.start_ticks = 1000 * i,
                                                     .end_ticks = 1000 * i + 2000,
                                                     .norm = 0.9f,
                                                     .vector = database->vectors[i]};
    }
    struct clv_store *store = fixture_open(database->directory, 0);
    REQUIRE(store != NULL);
    database->model_id = fixture_model(store, 0, FIXTURE_DIM);
    CHECK_OK(fixture_put(store, "/kept.mp4", database->model_id, 7, KEPT, &database->kept_id));
    CHECK_OK(clv_store_refresh(store, NULL));
    clv_store_close(store);
}

static int open_store(struct clv_store **out, const struct database *database)
{
    return clv_store_open(out, database->directory, &(struct clv_store_options){.create = false});
}

/* Opens without faults; the store must be clean. The caller closes. */
static struct clv_store *open_clean(const struct database *database)
{
    struct clv_store *store = NULL;
    CHECK_OK(open_store(&store, database));
    if (store)
        CHECK_INT(fixture_problems(store, true), 0);
    return store;
}

/* Segments of the video at `path`, or -1 where there is none. */
static int64_t segments_of(struct clv_store *store, const char *path, int64_t model_id)
{
    struct clv_video_row row;
    int status = clv_store_video_by_path(store, &row, path, model_id);
    if (status == CLV_ENOTFOUND)
        return -1;
    CHECK_OK(status);
    int64_t count = row.segment_count;
    clv_video_row_release(&row);
    return count;
}

/* ---- making a database ---- */

static int wipe(void *payload)
{
    const char *directory = payload;
    DIR *handle = opendir(directory);
    struct dirent *entry;
    while (handle && (entry = readdir(handle))) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        (void)unlink(path);
    }
    if (handle)
        closedir(handle);
    (void)rmdir(directory);
    return CLV_OK;
}

static int create(void *payload)
{
    struct clv_store *store = NULL;
    int status = clv_store_open(&store, payload, &(struct clv_store_options){.create = true});
    CHECK((store != NULL) == (status == CLV_OK));
    struct clv_model_row row = {.name = "m", .path = "", .dim = FIXTURE_DIM, .frame_count = 8};
    if (status == CLV_OK)
        status = clv_store_model_put(store, &row);
    clv_store_close(store);
    return status;
}

static void check_created(void *payload, int status)
{
    struct clv_store *store = NULL;
    struct clv_store_options options = {.create = status != CLV_OK};
    REQUIRE_OK(clv_store_open(&store, payload, &options));
    CHECK_INT(fixture_problems(store, true), 0);
    clv_store_close(store);
}

static void a_database_is_made_or_can_be_made(void)
{
    const char *directory = t_path(t_directory(), "database");
    for (size_t i = 0; i < KIND_COUNT; i++)
        fault_each(&(struct fault_case){.name = "create",
                                        .kinds = kinds[i],
                                        .prepare = wipe,
                                        .operate = create,
                                        .check = check_created,
                                        .payload = (void *)(uintptr_t)directory,
                                        .every = EVERY});
}

/* ---- adding and replacing a video ---- */

static int put(struct database *database, const char *path)
{
    struct clv_store *store = NULL;
    int status = open_store(&store, database);
    struct clv_video_row video = {.path = path,
                                  .size_bytes = 5,
                                  .modified_ns = 6,
                                  .error = "",
                                  .codec = "h264",
                                  .container = "mp4",
                                  .width = 32,
                                  .height = 24,
                                  .frame_rate = 25,
                                  .timebase = {1, 1000},
                                  .duration_ticks = 14000,
                                  .settings = "length=2000 stride=1000 t=8"};
    memset(video.digest, 0x5a, sizeof video.digest);
    if (status == CLV_OK)
        status = clv_store_video_put(store, &video, database->model_id, database->segments, NEW);
    clv_store_close(store);
    return status;
}

static int forget_new(void *payload)
{
    struct database *database = payload;
    struct clv_store *store = NULL;
    struct clv_video_row row;
    int status = open_store(&store, database);
    if (status == CLV_OK && clv_store_video_by_path(store, &row, "/new.mp4", 0) == CLV_OK) {
        status = clv_store_video_forget(store, row.id);
        clv_video_row_release(&row);
    }
    clv_store_close(store);
    return status;
}

static int put_new(void *payload)
{
    return put(payload, "/new.mp4");
}

static void check_new(void *payload, int status)
{
    struct database *database = payload;
    struct clv_store *store = open_clean(database);
    REQUIRE(store != NULL);
    int64_t count = segments_of(store, "/new.mp4", database->model_id);
    CHECK(count == NEW || (status != CLV_OK && count == -1));
    CHECK_INT(segments_of(store, "/kept.mp4", database->model_id), KEPT);
    clv_store_close(store);
}

static void a_new_video_is_whole_or_absent(void)
{
    static struct database database;
    make_database(&database);
    for (size_t i = 0; i < KIND_COUNT; i++)
        fault_each(&(struct fault_case){.name = "put",
                                        .kinds = kinds[i],
                                        .prepare = forget_new,
                                        .operate = put_new,
                                        .check = check_new,
                                        .payload = &database,
                                        .every = EVERY});
}

static int put_kept(void *payload)
{
    struct database *database = payload;
    struct clv_store *store = NULL;
    int status = open_store(&store, database);
    if (status == CLV_OK)
        status = fixture_put(store, "/kept.mp4", database->model_id, 7, KEPT, NULL);
    clv_store_close(store);
    return status;
}

static int replace_kept(void *payload)
{
    return put(payload, "/kept.mp4");
}

static void check_kept(void *payload, int status)
{
    struct database *database = payload;
    struct clv_store *store = open_clean(database);
    REQUIRE(store != NULL);
    int64_t count = segments_of(store, "/kept.mp4", database->model_id);
    CHECK(count == NEW || (status != CLV_OK && count == KEPT));
    clv_store_close(store);
}

static void a_replaced_video_is_the_old_or_the_new(void)
{
    static struct database database;
    make_database(&database);
    for (size_t i = 0; i < KIND_COUNT; i++)
        fault_each(&(struct fault_case){.name = "replace",
                                        .kinds = kinds[i],
                                        .prepare = put_kept,
                                        .operate = replace_kept,
                                        .check = check_kept,
                                        .payload = &database,
                                        .every = EVERY});
}

/* ---- searching, with an index that is behind the catalog ---- */

static int fall_behind(void *payload)
{
    struct database *database = payload;
    struct clv_store *store = NULL;
    int status = open_store(&store, database);
    if (status == CLV_OK)
        status =
            fixture_put(store, "/other.mp4", database->model_id, 100 + database->round++, 5, NULL);
    clv_store_close(store);
    return status;
}

static int search(void *payload)
{
    struct database *database = payload;
    struct clv_store *store = NULL;
    int status = open_store(&store, database);
    database->hit_count = 0;
    if (status == CLV_OK)
        status = clv_store_refresh(store, NULL);
    if (status == CLV_OK)
        status = clv_store_search(store, database->hits, &database->hit_count, database->model_id,
                                  database->vectors[3], 10, NULL);
    clv_store_close(store);
    return status;
}

static void check_search(void *payload, int status)
{
    struct database *database = payload;
    struct clv_store *store = open_clean(database);
    REQUIRE(store != NULL);
    int64_t ids[10];
    double scores[10];
    int want =
        fixture_search(store, ids, scores, database->model_id, database->vectors[3], 10, NULL);
    CHECK_INT(want, 10);
    if (status == CLV_OK) {
        CHECK_INT(database->hit_count, want);
        for (int i = 0; i < database->hit_count; i++)
            CHECK_NEAR(database->hits[i].score, scores[i], 1e-6);
    }
    clv_store_close(store);
}

static void a_search_is_right_or_fails(void)
{
    static struct database database;
    make_database(&database);
    for (size_t i = 0; i < KIND_COUNT; i++)
        fault_each(&(struct fault_case){.name = "refresh and search",
                                        .kinds = kinds[i],
                                        .prepare = fall_behind,
                                        .operate = search,
                                        .check = check_search,
                                        .payload = &database,
                                        .every = EVERY});
}

/* ---- the small records ---- */

static int record(void *payload)
{
    struct database *database = payload;
    struct clv_store *store = NULL;
    char *value = NULL, *query = NULL, path[] = "/kept.mp4";
    struct clv_moment_row moment = {
        .video_id = database->kept_id, .path = path, .end_ms = 10, .peak_ms = 5, .score = 0.5f};
    struct clv_moment_row *rows = NULL;
    int count = 0;
    int status = open_store(&store, database);
    if (status == CLV_OK)
        status = clv_store_setting_put(store, "key", "value");
    if (status == CLV_OK)
        status = clv_store_setting_get(store, &value, "key");
    if (status == CLV_OK)
        status = clv_store_result_put(store, "query", database->model_id, &moment, 1);
    if (status == CLV_OK)
        status = clv_store_result_last(store, &query, &rows, &count);
    if (status == CLV_OK) {
        CHECK(value && strcmp(value, "value") == 0);
        CHECK(query && strcmp(query, "query") == 0 && count == 1 && rows[0].id == moment.id);
    }
    clv_moment_rows_free(rows, count);
    free(query);
    free(value);
    clv_store_close(store);
    return status;
}

static void check_record(void *payload, int status)
{
    (void)status;
    struct clv_store *store = open_clean(payload);
    clv_store_close(store);
}

static void records_are_kept_or_not(void)
{
    static struct database database;
    make_database(&database);
    for (size_t i = 0; i < KIND_COUNT; i++)
        fault_each(&(struct fault_case){.name = "record",
                                        .kinds = kinds[i],
                                        .operate = record,
                                        .check = check_record,
                                        .payload = &database,
                                        .every = EVERY});
}

int main(void)
{
    /* Thousands of commits: in memory where that can be, since no disk is tested here. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    fault_sqlite();
    T_RUN(a_database_is_made_or_can_be_made);
    T_RUN(a_new_video_is_whole_or_absent);
    T_RUN(a_replaced_video_is_the_old_or_the_new);
    T_RUN(a_search_is_right_or_fails);
    T_RUN(records_are_kept_or_not);
    return t_end();
}
