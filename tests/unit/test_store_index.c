/* The vector index beside the catalog: extended, masked, thrown away, damaged, swapped; and what
 * the check finds. Answers must be right in every state. */
#include "storage/store.h"

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "tests/t.h"
#include "tests/unit/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char last_log[512];
static int log_count;

static void keep_log(enum clv_log_level level, const char *line, void *payload)
{
    (void)level, (void)payload;
    snprintf(last_log, sizeof last_log, "%s", line);
    log_count++;
}

/* `video_count` videos of 60 segments each from seed `first` on. */
static void put_many(struct clv_store *store, int64_t model, int first, int video_count)
{
    for (int i = first; i < first + video_count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/v/%03d.mp4", i);
        CHECK_OK(fixture_put(store, path, model, (uint64_t)i, 60, NULL));
    }
}

static void compare_some(struct clv_store *store, int64_t model)
{
    static const struct clv_search_filter some = {.glob = "/v/?[13579]?.mp4"};
    for (uint64_t seed = 0; seed < 3; seed++) {
        fixture_compare(store, model, seed, 10, NULL);
        fixture_compare(store, model, seed, 10, &some);
    }
}

static int64_t file_size(const char *path)
{
    struct clv_file_facts facts = {0};
    return path && clv_file_facts(&facts, path) == CLV_OK ? facts.size_bytes : -1;
}

static void kind_of(struct clv_store *store, int64_t model, char out[64])
{
    CHECK_OK(clv_store_index_kind(store, model, out));
}

static void extends_then_rebuilds(void)
{
    const char *directory = t_directory();
    struct clv_store *store = fixture_open(directory, 500);
    REQUIRE(store != NULL);
    char before[64], after[64];
    int64_t model = fixture_model(store, 0, FIXTURE_DIM);
    put_many(store, model, 0, 5);
    CHECK_OK(clv_store_refresh(store, NULL));
    kind_of(store, model, before);
    CHECK_STRING(before, "flat");
    put_many(store, model, 5, 25);
    CHECK_OK(clv_store_refresh(store, NULL));
    kind_of(store, model, before);
    CHECK_STRING(before, "ivf45,sq8"); /* 1800 segments, at 40 a list */
    compare_some(store, model);
    /* A second refresh finds nothing to do and leaves the file alone. */
    const char *file = fixture_cache_file(directory);
    CHECK_OK(clv_store_refresh(store, NULL));
    CHECK_STRING(fixture_cache_file(directory), file);

    put_many(store, model, 30, 10); /* extended: the lists stay */
    CHECK_OK(clv_store_video_forget(store, 7));
    CHECK_OK(clv_store_refresh(store, NULL));
    kind_of(store, model, after);
    CHECK_STRING(after, before);
    CHECK(strcmp(fixture_cache_file(directory), file) != 0);
    CHECK(access(file, F_OK) != 0);
    CHECK_INT(fixture_problems(store, true), 0);
    compare_some(store, model);

    put_many(store, model, 40, 30); /* more than twice what it was trained for */
    CHECK_OK(clv_store_refresh(store, NULL));
    kind_of(store, model, after);
    CHECK(strcmp(after, before) != 0);
    compare_some(store, model);
    int64_t large = file_size(fixture_cache_file(directory));
    for (int64_t id = 10; id < 30; id++) /* more than a fifth is gone */
        CHECK_OK(clv_store_video_forget(store, id));
    compare_some(store, model);
    CHECK_OK(clv_store_refresh(store, NULL));
    CHECK(file_size(fixture_cache_file(directory)) < large * 4 / 5);
    compare_some(store, model);
    CHECK_INT(fixture_problems(store, true), 0);

    for (int64_t id = 30; id <= 70; id++)
        CHECK_OK(clv_store_video_forget(store, id));
    CHECK_OK(clv_store_refresh(store, NULL));
    kind_of(store, model, after);
    CHECK_STRING(after, "flat"); /* small again */
    for (int64_t id = 1; id < 10; id++)
        CHECK(clv_store_video_forget(store, id) == (id == 7 ? CLV_ENOTFOUND : CLV_OK));
    CHECK_OK(clv_store_refresh(store, NULL));
    CHECK(fixture_cache_file(directory) == NULL);
    kind_of(store, model, after);
    CHECK_STRING(after, "");
    fixture_compare(store, model, 1, 10, NULL);
    clv_store_close(store);
}

static void keeps_models_apart(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t one = fixture_model(store, 0, FIXTURE_DIM), two = fixture_model(store, 1, FIXTURE_DIM);
    put_many(store, one, 0, 5);
    put_many(store, two, 3, 6);
    CHECK_OK(clv_store_refresh(store, NULL));
    compare_some(store, one);
    compare_some(store, two);
    put_many(store, two, 9, 2);
    compare_some(store, one);
    compare_some(store, two);
    CHECK_OK(clv_store_rebuild(store, NULL));
    CHECK_INT(fixture_problems(store, true), 0);
    compare_some(store, two);
    clv_store_close(store);
}

static void reopen(struct clv_store **store, const char *directory, bool read_only)
{
    struct clv_store_options options = {.read_only = read_only, .flat_max = 500};
    clv_store_close(*store);
    *store = NULL;
    CHECK_OK(clv_store_open(store, directory, &options));
}

static char *read_all(const char *path, size_t *size)
{
    struct clv_map map;
    CHECK_OK(clv_map_open(&map, path));
    char *copy = malloc(map.size_bytes + 1);
    memcpy(copy, map.data, map.size_bytes);
    *size = map.size_bytes;
    clv_map_release(&map);
    return copy;
}

enum damage { FLIPPED, CUT, EMPTY, REMOVED, OLDER, DIRECTORY, DAMAGE_COUNT };

static void damage_cache(enum damage damage, const char *path, const char *older, size_t older_size)
{
    size_t size = 0;
    char *data = read_all(path, &size);
    if (damage == FLIPPED) {
        data[size / 2] ^= 4;
        CHECK_OK(clv_file_replace(path, data, size));
    } else if (damage == CUT) {
        CHECK_OK(clv_file_replace(path, data, size - 9));
    } else if (damage == EMPTY) {
        CHECK_OK(clv_file_replace(path, "", 0));
    } else if (damage == OLDER) {
        CHECK_OK(clv_file_replace(path, older, older_size));
    } else {
        CHECK(unlink(path) == 0);
        if (damage == DIRECTORY)
            CHECK_OK(clv_directory_create(path));
    }
    free(data);
}

static void survives_damage(void)
{
    for (int part = 0; part < 2 * DAMAGE_COUNT; part++) {
        enum damage damage = (enum damage)(part / 2);
        int video_count = part % 2 ? 20 : 5; /* lists, or flat */
        const char *directory = t_directory();
        struct clv_store *store = fixture_open(directory, 500);
        REQUIRE(store != NULL);
        int64_t model = fixture_model(store, 0, FIXTURE_DIM);
        put_many(store, model, 0, video_count);
        CHECK_OK(clv_store_refresh(store, NULL));
        size_t older_size = 0;
        char *older = read_all(fixture_cache_file(directory), &older_size);
        put_many(store, model, video_count, 1);
        CHECK_OK(clv_store_video_forget(store, 2));
        CHECK_OK(clv_store_refresh(store, NULL));
        damage_cache(damage, fixture_cache_file(directory), older, older_size);
        free(older);

        log_count = 0;
        reopen(&store, directory, true); /* cannot repair, must still be right */
        CHECK(fixture_problems(store, false) > 0);
        compare_some(store, model);
        CHECK_INT(log_count, 1);
        CHECK(strstr(last_log, "the vector index is not used") != NULL);
        CHECK(fixture_problems(store, false) > 0);
        reopen(&store, directory, false);
        compare_some(store, model); /* repaired by the first search, and said */
        CHECK_INT(log_count, 3);
        CHECK(strstr(last_log, "built again") != NULL);
        CHECK_INT(fixture_problems(store, true), 0);
        reopen(&store, directory, false);
        log_count = 0;
        compare_some(store, model);
        CHECK_INT(log_count, 0);
        if (damage == DIRECTORY) { /* it stays where it is; the index has a new name */
            clv_store_close(store);
            continue;
        }
        damage_cache(damage == OLDER ? CUT : damage, fixture_cache_file(directory), NULL, 0);
        CHECK_OK(clv_store_refresh(store, NULL));
        CHECK_INT(fixture_problems(store, true), 0);
        damage_cache(FLIPPED, fixture_cache_file(directory), NULL, 0);
        CHECK_OK(clv_store_rebuild(store, NULL));
        CHECK_INT(fixture_problems(store, true), 0);
        clv_store_close(store);
    }
}

static void sweeps_what_nobody_names(void)
{
    const char *directory = t_directory();
    struct clv_store *store = fixture_open(directory, 500);
    REQUIRE(store != NULL);
    put_many(store, fixture_model(store, 0, FIXTURE_DIM), 0, 3);
    const char *orphan = t_path(directory, "vectors-1-00000000deadbeef.faiss");
    const char *young = t_path(directory, ".vectors-1-00.faiss.abcdef");
    const char *other = t_path(directory, "notes.faiss");
    CHECK_OK(clv_file_replace(orphan, "x", 1));
    CHECK_OK(clv_file_replace(young, "x", 1));
    CHECK_OK(clv_file_replace(other, "x", 1));
    CHECK_OK(clv_store_refresh(store, NULL));
    CHECK(access(orphan, F_OK) != 0);
    CHECK(access(young, F_OK) == 0); /* may be in the making */
    CHECK(access(other, F_OK) == 0);
    CHECK_INT(fixture_problems(store, true), 0);
    clv_store_close(store);
}

static void can_be_stopped(void)
{
    const char *directory = t_directory();
    struct clv_store *store = fixture_open(directory, 500);
    REQUIRE(store != NULL);
    struct clv_cancel cancel = {0};
    int64_t model = fixture_model(store, 0, FIXTURE_DIM);
    put_many(store, model, 0, 20);
    clv_cancel_request(&cancel);
    CHECK_ERROR(clv_store_refresh(store, &cancel), CLV_ECANCELED, "stopped");
    CHECK_ERROR(clv_store_rebuild(store, &cancel), CLV_ECANCELED, "stopped");
    CHECK(fixture_cache_file(directory) == NULL);
    compare_some(store, model);
    CHECK_OK(clv_store_refresh(store, NULL));
    put_many(store, model, 20, 2);
    CHECK_ERROR(clv_store_refresh(store, &cancel), CLV_ECANCELED, "stopped");
    compare_some(store, model);
    CHECK_INT(fixture_problems(store, true), 0);
    clv_store_close(store);
}

/* Each statement plants a fault that the check must report. */
static void check_finds_faults(void)
{
    static const char *const faults[] = {
        "DELETE FROM vector WHERE segment_id = 4",
        "DELETE FROM segment WHERE id = 4",
        "UPDATE vector SET half = x'0000' WHERE segment_id = 5",
        "UPDATE vector SET half = zeroblob(64) WHERE segment_id = 5",
        "UPDATE vector SET half = (SELECT half FROM vector WHERE segment_id = 50) WHERE "
        "segment_id = 5",
        "UPDATE segment SET shot = 90 WHERE id = 6",
        "PRAGMA ignore_check_constraints = ON; UPDATE segment SET end_ticks = start_ticks WHERE "
        "id = 7",
        "UPDATE segment SET video_id = 99 WHERE id = 8",
        "UPDATE coverage SET segment_count = 3 WHERE video_id = 2",
        "DELETE FROM coverage WHERE video_id = 2",
        "UPDATE video SET status = 1, error = 'x' WHERE id = 1",
        "UPDATE video SET digest = x'00' WHERE id = 1",
        "UPDATE video SET path = 'relative' WHERE id = 1",
        "UPDATE vector_index SET generation = 99",
        "UPDATE vector_index SET kind = 'ivf9,sq8'",
        "UPDATE vector_index SET size_bytes = 3",
        "UPDATE vector_index SET file = 'none.faiss'",
        "UPDATE vector_index SET file = '../none.faiss'",
        "UPDATE vector_index SET digest = zeroblob(32)",
        "UPDATE vector_index SET digest = x'00'",
        "UPDATE vector_index SET file = ''",
        "DROP INDEX segment_by_model; CREATE INDEX segment_by_model ON segment (model_id); "
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'segment_by_video'",
        "PRAGMA foreign_keys = OFF; INSERT INTO moment (result_id, video_id, path, start_ms, "
        "end_ms, peak_ms, score, percentile, video_digest) VALUES (77, 1, '/a', 0, 1, 0, 0, 0, "
        "zeroblob(32))",
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const char *directory = t_directory();
        struct clv_store *store = fixture_open(directory, 500);
        REQUIRE(store != NULL);
        put_many(store, fixture_model(store, 0, FIXTURE_DIM), 0, 3);
        CHECK_OK(clv_store_refresh(store, NULL));
        CHECK_INT(fixture_problems(store, true), 0);
        clv_store_close(store);
        CHECK_INT(fixture_sql(directory, faults[i]), 0);
        store = NULL;
        CHECK_OK(clv_store_open(&store, directory, NULL));
        if (store && fixture_problems(store, false) == 0)
            t_fail(__FILE__, __LINE__, "not found: %s", faults[i]);
        if (strncmp(faults[i], "UPDATE vector_index", 19) == 0) { /* only a cache */
            CHECK_OK(clv_store_refresh(store, NULL));
            CHECK_OK(clv_store_rebuild(store, NULL));
            CHECK_INT(fixture_problems(store, true), 0);
        }
        clv_store_close(store);
    }
}

int main(void)
{
    clv_log_set(keep_log, NULL, CLV_LOG_DEBUG);
    T_RUN(extends_then_rebuilds);
    T_RUN(keeps_models_apart);
    T_RUN(survives_damage);
    T_RUN(sweeps_what_nobody_names);
    T_RUN(can_be_stopped);
    T_RUN(check_finds_faults);
    return t_end();
}
