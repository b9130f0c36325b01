/* The store: rows, filters, search, caches, through store.h only. */
#include "storage/store.h"

#include "core/error.h"
#include "tests/t.h"
#include "tests/unit/store_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void opens_and_refuses(void)
{
    const char *directory = t_path(t_directory(), "new/db");
    struct clv_store *store = NULL;
    CHECK_ERROR(clv_store_open(&store, directory, NULL), CLV_ENOTFOUND, directory);
    CHECK(store == NULL);
    struct clv_store_options read_only = {.create = true, .read_only = true};
    CHECK_ERROR(clv_store_open(&store, directory, &read_only), CLV_ENOTFOUND, "no database");
    store = fixture_open(directory, 0);
    REQUIRE(store != NULL);
    CHECK_STRING(clv_store_directory(store), directory);
    CHECK_INT(fixture_problems(store, true), 0);
    clv_store_close(store);
    clv_store_close(NULL);
    CHECK_OK(clv_store_open(&store, directory, NULL));
    clv_store_close(store);
    CHECK_ERROR(clv_store_open(&store, "", NULL), CLV_EINVAL, "folder");
    CHECK_ERROR(clv_store_open(&store, t_path(directory, "catalog.sqlite"), NULL), CLV_EINVAL,
                "is not a folder");
    struct clv_store_options create = {.create = true};
    CHECK_ERROR(clv_store_open(&store, t_path(directory, "catalog.sqlite/x"), &create), CLV_EIO,
                "cannot make");
    CHECK(store == NULL);
}

static int count_models(const struct clv_model_row *row, void *payload)
{
    int64_t *counts = payload;
    counts[0]++;
    counts[row->id] = row->segment_count;
    CHECK_STRING(row->name, "model");
    CHECK_INT(row->frame_count, 8);
    return 0;
}

static void keeps_models(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t first = fixture_model(store, 0, FIXTURE_DIM), second = fixture_model(store, 1, 16);
    CHECK_INT(fixture_model(store, 0, FIXTURE_DIM), first);
    CHECK(first != second);
    CHECK_OK(fixture_put(store, "/v/a.mp4", first, 1, 7, NULL));
    int64_t counts[4] = {0};
    CHECK_OK(clv_store_models(store, count_models, counts));
    CHECK_INT(counts[0], 2);
    CHECK_INT(counts[first], 7);
    CHECK_INT(counts[second], 0);
    struct clv_model_row bad = {.name = "x", .dim = 0, .frame_count = 8};
    CHECK_ERROR(clv_store_model_put(store, &bad), CLV_EINVAL, "0 numbers");
    bad.dim = CLV_STORE_DIM_MAX + 1;
    CHECK_ERROR(clv_store_model_put(store, &bad), CLV_EINVAL, "numbers");
    clv_store_close(store);
}

static int note_videos(const struct clv_model_row *row, void *payload)
{
    ((int64_t *)payload)[row->id] = row->video_count;
    return 0;
}

/* One model goes with all that hangs on it; the other's vectors and the videos stay. */
static void forgets_one_model(void)
{
    const char *directory = t_directory();
    struct clv_store *store = fixture_open(directory, 0);
    REQUIRE(store != NULL);
    int64_t first = fixture_model(store, 0, FIXTURE_DIM),
            second = fixture_model(store, 1, FIXTURE_DIM);
    CHECK_OK(fixture_put(store, "/v/a.mp4", first, 1, 7, NULL));
    CHECK_OK(fixture_put(store, "/v/a.mp4", second, 1, 5, NULL));
    CHECK_OK(fixture_put(store, "/v/b.mp4", first, 2, 3, NULL));
    float vector[FIXTURE_DIM] = {1}, got[FIXTURE_DIM];
    CHECK_OK(clv_store_prompt_put(store, first, "x", vector, FIXTURE_DIM));
    CHECK_OK(clv_store_refresh(store, NULL));
    int64_t videos[4] = {0};
    CHECK_OK(clv_store_models(store, note_videos, videos));
    CHECK_INT(videos[first], 2);
    CHECK_INT(videos[second], 1);
    fixture_compare(store, first, 3, 5, NULL);
    CHECK_ERROR(clv_store_model_forget(store, 99), CLV_ENOTFOUND, "no model 99");
    CHECK_OK(clv_store_model_forget(store, first));
    CHECK_ERROR(clv_store_model_forget(store, first), CLV_ENOTFOUND, "no model");
    CHECK_OK(clv_store_refresh(store, NULL));
    CHECK(fixture_cache_file(directory) != NULL); /* only one is left */
    struct clv_store_status facts;
    CHECK_OK(clv_store_status(store, &facts));
    CHECK_INT(facts.segment_count, 5);
    CHECK_INT(facts.video_count, 2);
    CHECK_ERROR(clv_store_prompt_get(store, got, first, "x", FIXTURE_DIM), CLV_ENOTFOUND, "'x'");
    struct clv_hit hits[9];
    int count = 0;
    CHECK_ERROR(clv_store_search(store, hits, &count, first, vector, 9, NULL), CLV_ENOTFOUND,
                "no model");
    fixture_compare(store, second, 3, 5, NULL);
    CHECK_INT(fixture_problems(store, true), 0);
    /* Its number is not used again. */
    CHECK(fixture_model(store, 0, FIXTURE_DIM) > second);
    clv_store_close(store);
}

static void keeps_video_rows(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t model = fixture_model(store, 0, FIXTURE_DIM), id = 0, same = 0;
    const char *path = "/v/\xff\xfe odd%name?.mp4";
    CHECK_OK(fixture_put(store, path, model, 3, 5, &id));
    struct clv_video_row row;
    CHECK_OK(clv_store_video_by_path(store, &row, path, model));
    CHECK_STRING(row.path, path);
    CHECK_INT(row.id, id);
    CHECK_INT(row.size_bytes, 1005);
    CHECK_INT(row.modified_ns, 5);
    CHECK_INT(row.status, CLV_VIDEO_INDEXED);
    CHECK_STRING(row.error, "");
    CHECK_STRING(row.codec, "h264");
    CHECK_STRING(row.container, "mp4");
    CHECK_INT(row.width, 320);
    CHECK_INT(row.height, 240);
    CHECK(row.has_audio);
    CHECK_NEAR(row.frame_rate, 25, 0);
    CHECK_INT(row.timebase.denominator, 1000);
    CHECK_INT(row.start_ticks, 500);
    CHECK_INT(row.duration_ticks, 6000);
    CHECK_INT(row.segment_count, 5);
    CHECK_STRING(row.settings, "length=2000 stride=1000 t=8");
    CHECK(row.indexed_unix_ms > 1500000000000);
    uint8_t digest[CLV_DIGEST_BYTES];
    memcpy(digest, row.digest, sizeof digest);
    clv_video_row_release(&row);

    CHECK_OK(clv_store_video_by_digest(store, &row, digest, 0));
    CHECK_INT(row.id, id);
    CHECK_INT(row.segment_count, 0);
    CHECK_STRING(row.settings, "");
    clv_video_row_release(&row);
    CHECK_OK(fixture_put(store, path, model, 4, 9, &same));
    CHECK_INT(same, id);
    CHECK_OK(clv_store_video_by_id(store, &row, id, model));
    CHECK_INT(row.segment_count, 9);
    clv_video_row_release(&row);
    CHECK_ERROR(clv_store_video_by_digest(store, &row, digest, 0), CLV_ENOTFOUND, "content");
    CHECK_ERROR(clv_store_video_by_path(store, &row, "/v/none", 0), CLV_ENOTFOUND, "/v/none");
    CHECK_ERROR(clv_store_video_by_id(store, &row, 99, 0), CLV_ENOTFOUND, "99");
    CHECK(row.path == NULL);
    clv_video_row_release(&row);
    clv_store_close(store);
}

static void refuses_bad_videos(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t model = fixture_model(store, 0, FIXTURE_DIM);
    float vector[FIXTURE_DIM] = {1};
    struct clv_segment good = {.end_ticks = 5, .norm = 1, .vector = vector}, bad;
    struct clv_video_row video = {.path = "/v/a", .timebase = {1, 25}};
    CHECK_ERROR(clv_store_video_put(store, &video, 77, &good, 1), CLV_ENOTFOUND, "model 77");
    video.path = "relative";
    CHECK_ERROR(clv_store_video_put(store, &video, model, &good, 1), CLV_EINVAL, "relative");
    video.path = NULL;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &good, 1), CLV_EINVAL, "absolute");
    video.path = "/v/a";
    video.timebase.denominator = 0;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &good, 1), CLV_EINVAL, "1/0");
    video.timebase.denominator = 25;
    video.duration_ticks = -1;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &good, 1), CLV_EINVAL, "negative");
    video.duration_ticks = 5;
    bad = good;
    bad.end_ticks = 0;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &bad, 1), CLV_EINVAL, "extent");
    bad = good;
    bad.shot = -1;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &bad, 1), CLV_EINVAL, "shot -1");
    bad = good;
    bad.norm = NAN;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &bad, 1), CLV_EINVAL, "norm");
    vector[1] = 1;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &good, 1), CLV_EINVAL, "norm 1.41");
    vector[1] = NAN;
    CHECK_ERROR(clv_store_video_put(store, &video, model, &good, 1), CLV_EINVAL, "norm");
    vector[1] = 0;
    struct clv_store_status status;
    CHECK_OK(clv_store_status(store, &status));
    CHECK_INT(status.video_count, 0);
    CHECK_INT(status.generation, 0);
    CHECK_OK(clv_store_video_put(store, &video, model, &good, 1));
    video.error = "";
    CHECK_ERROR(clv_store_video_fail(store, &video), CLV_EINVAL, "reason");
    clv_store_close(store);
}

static void follows_the_life_of_files(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t one = fixture_model(store, 0, FIXTURE_DIM), two = fixture_model(store, 1, FIXTURE_DIM);
    int64_t a = 0, b = 0;
    struct clv_video_row row;
    struct clv_store_status status;
    CHECK_OK(fixture_put(store, "/v/a.mp4", one, 1, 4, &a));
    CHECK_OK(fixture_put(store, "/v/a.mp4", two, 1, 4, NULL)); /* same content: both stay */
    CHECK_OK(fixture_put(store, "/v/b.mp4", one, 2, 4, &b));
    CHECK_OK(clv_store_status(store, &status));
    CHECK_INT(status.segment_count, 12);
    CHECK_INT(status.video_count, 2);
    CHECK_INT(status.footage_ms, 10000);
    CHECK_INT(status.schema_version, 1);
    CHECK(status.catalog_bytes > 0);
    int64_t generation = status.generation;

    CHECK_OK(fixture_put(store, "/v/a.mp4", one, 7, 3, NULL)); /* new content: model two's go */
    CHECK_OK(clv_store_status(store, &status));
    CHECK_INT(status.segment_count, 7);
    CHECK(status.generation > generation);
    CHECK_OK(clv_store_video_by_id(store, &row, a, two));
    CHECK_INT(row.segment_count, 0);
    clv_video_row_release(&row);

    CHECK_OK(clv_store_video_touch(store, a, 11, 12));
    CHECK_OK(clv_store_video_mark_missing(store, a));
    CHECK_OK(clv_store_video_by_id(store, &row, a, one));
    CHECK_INT(row.status, CLV_VIDEO_MISSING);
    CHECK_INT(row.size_bytes, 11);
    CHECK_INT(row.modified_ns, 12);
    CHECK_INT(row.segment_count, 3);
    clv_video_row_release(&row);
    fixture_compare(store, one, 3, 20, NULL);
    CHECK_OK(clv_store_video_move(store, a, "/v/b.mp4", 13)); /* takes the place of b */
    CHECK_OK(clv_store_video_by_path(store, &row, "/v/b.mp4", one));
    CHECK_INT(row.id, a);
    CHECK_INT(row.status, CLV_VIDEO_INDEXED);
    clv_video_row_release(&row);
    CHECK_ERROR(clv_store_video_by_id(store, &row, b, one), CLV_ENOTFOUND, "no video");

    struct clv_video_row failed = {.path = "/v/b.mp4", .error = "it is a text file"};
    CHECK_OK(clv_store_video_fail(store, &failed));
    CHECK_INT(failed.id, a);
    CHECK_OK(clv_store_video_mark_missing(store, a));
    CHECK_OK(clv_store_video_touch(store, a, 1, 1));
    CHECK_OK(clv_store_video_by_id(store, &row, a, one));
    CHECK_INT(row.status, CLV_VIDEO_FAILED); /* seen again, still unreadable */
    CHECK_STRING(row.error, "it is a text file");
    CHECK_INT(row.segment_count, 0);
    clv_video_row_release(&row);
    CHECK_OK(clv_store_status(store, &status));
    CHECK_INT(status.failed_count, 1);
    CHECK_INT(status.segment_count, 0);

    CHECK_OK(clv_store_video_forget(store, a));
    CHECK_ERROR(clv_store_video_forget(store, a), CLV_ENOTFOUND, "no video");
    CHECK_ERROR(clv_store_video_touch(store, a, 1, 1), CLV_ENOTFOUND, "no video");
    CHECK_ERROR(clv_store_video_mark_missing(store, a), CLV_ENOTFOUND, "no video");
    CHECK_ERROR(clv_store_video_move(store, a, "/v/c", 1), CLV_ENOTFOUND, "no video");
    CHECK_ERROR(clv_store_video_move(store, a, "c", 1), CLV_EINVAL, "absolute");
    CHECK_INT(fixture_problems(store, true), 0);
    clv_store_close(store);
}

struct listing {
    char text[512];
    struct clv_store *forgets;
};

static int list_video(const struct clv_video_row *row, void *payload)
{
    struct listing *listing = payload;
    size_t length = strlen(listing->text);
    snprintf(listing->text + length, sizeof listing->text - length, "%s ", row->path);
    return listing->forgets ? clv_store_video_forget(listing->forgets, row->id) : 0;
}

static int stop_at_once(const struct clv_video_row *row, void *payload)
{
    (void)row;
    ++*(int *)payload;
    return 42;
}

static void lists_by_glob(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    static const char *const paths[] = {"/v/b.mp4", "/v/a.mkv", "/w/x/a.mp4", "/v/[1].mp4"};
    int64_t model = fixture_model(store, 0, FIXTURE_DIM);
    for (int i = 0; i < 4; i++)
        CHECK_OK(fixture_put(store, paths[i], model, (uint64_t)i, 1, NULL));
    static const struct {
        const char *glob, *want;
    } cases[] = {
        {NULL, "/v/[1].mp4 /v/a.mkv /v/b.mp4 /w/x/a.mp4 "},
        {"", "/v/[1].mp4 /v/a.mkv /v/b.mp4 /w/x/a.mp4 "},
        {"/v/*", "/v/[1].mp4 /v/a.mkv /v/b.mp4 "},
        {"a.*", "/v/a.mkv /w/x/a.mp4 "},
        {"x/a.mp4", "/w/x/a.mp4 "},
        {"*.mp4", "/v/[1].mp4 /v/b.mp4 /w/x/a.mp4 "},
        {"[ab].mp4", "/v/b.mp4 /w/x/a.mp4 "},
        {"[[]1].mp4", "/v/[1].mp4 "},
        {"?.mkv", "/v/a.mkv "},
        {"/v", ""},
        {"A.mkv", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listing listing = {{0}, NULL};
        CHECK_OK(clv_store_videos(store, cases[i].glob, 0, list_video, &listing));
        CHECK_STRING(listing.text, cases[i].want);
    }
    int calls = 0;
    CHECK_INT(clv_store_videos(store, NULL, 0, stop_at_once, &calls), 42);
    CHECK_INT(calls, 1);
    struct listing listing = {{0}, store};
    CHECK_OK(clv_store_videos(store, NULL, 0, list_video, &listing));
    CHECK_STRING(listing.text, cases[0].want);
    struct clv_store_status status;
    CHECK_OK(clv_store_status(store, &status));
    CHECK_INT(status.video_count + status.segment_count, 0);
    clv_store_close(store);
}

/* ---- search ---- */

/* 40 videos of up to 97 segments; folders /v/even and /v/odd. */
static int64_t fill(struct clv_store *store)
{
    int64_t model = fixture_model(store, 0, FIXTURE_DIM);
    for (int i = 0; i < 40; i++) {
        char path[64];
        snprintf(path, sizeof path, "/v/%s/%02d.mp4", i % 2 ? "odd" : "even", i);
        CHECK_OK(fixture_put(store, path, model, (uint64_t)i, 20 + i * 2 - i % 3, NULL));
    }
    return model;
}

static const struct clv_search_filter filters[] = {
    {0},
    {.glob = "/v/odd/*"},
    {.glob = "odd/*"},
    {.from_ms = 10000, .to_ms = 20000},
    {.from_ms = 60000},
    {.to_ms = 1},
    {.from_ms = 3000, .to_ms = 3001, .glob = "even/*"},
    {.video_id = 7},
    {.video_id = 7, .from_ms = 5000, .to_ms = 6000},
    {.glob = "none/*"},
    {.exact = true},
    {.exact = true, .glob = "/v/even/*"},
};

static void compare_all(struct clv_store *store, int64_t model)
{
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        fixture_compare(store, model, 100 + i, 10, &filters[i]);
        fixture_compare(store, model, 200 + i, 300, &filters[i]);
        fixture_compare(store, model, 300 + i, 1, &filters[i]);
    }
    fixture_compare(store, model, 400, 5000, NULL);
}

static void searches_without_an_index(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t model = fixture_model(store, 0, FIXTURE_DIM);
    fixture_compare(store, model, 1, 10, NULL); /* empty */
    CHECK_OK(clv_store_refresh(store, NULL));
    char kind[64] = "x";
    CHECK_OK(clv_store_index_kind(store, model, kind));
    CHECK_STRING(kind, "");
    fill(store);
    compare_all(store, model);
    clv_store_close(store);
}

static void searches_a_flat_index(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t model = fill(store);
    CHECK_OK(clv_store_refresh(store, NULL));
    char kind[64];
    CHECK_OK(clv_store_index_kind(store, model, kind));
    CHECK_STRING(kind, "flat");
    compare_all(store, model);
    /* The index is older than the catalog now: newer rows, dropped ones, missing ones. */
    CHECK_OK(fixture_put(store, "/v/odd/new.mp4", model, 99, 60, NULL));
    CHECK_OK(clv_store_video_forget(store, 12));
    CHECK_OK(fixture_put(store, "/v/even/04.mp4", model, 1234, 60, NULL));
    compare_all(store, model);
    CHECK_OK(clv_store_video_mark_missing(store, 21));
    compare_all(store, model);
    CHECK_INT(fixture_problems(store, true), 0);
    CHECK_OK(clv_store_refresh(store, NULL));
    compare_all(store, model);
    CHECK_INT(fixture_problems(store, true), 0);
    clv_store_close(store);
}

static void gives_ten_where_ten_exist_in_lists(void)
{
    const char *directory = t_directory();
    struct clv_store *store = fixture_open(directory, 500);
    REQUIRE(store != NULL);
    int64_t model = fill(store);
    CHECK_OK(clv_store_refresh(store, NULL));
    char kind[64];
    CHECK_OK(clv_store_index_kind(store, model, kind));
    CHECK(strncmp(kind, "ivf", 3) == 0 && strstr(kind, ",sq8") != NULL);
    compare_all(store, model); /* 36 lists, all probed at this size, so even equal */
    for (int round = 0; round < 3; round++) {
        char path[64];
        snprintf(path, sizeof path, "/v/even/later%d.mp4", round);
        CHECK_OK(fixture_put(store, path, model, 900 + (uint64_t)round, 50, NULL));
        CHECK_OK(clv_store_video_forget(store, 3 + round));
        CHECK_OK(clv_store_refresh(store, NULL));
        CHECK_INT(fixture_problems(store, true), 0);
        compare_all(store, model);
    }
    clv_store_close(store);
}

static void prefers_lower_ids_on_ties(void)
{
    for (int flat_max = 100; flat_max <= 100000; flat_max *= 1000) {
        struct clv_store *store = fixture_open(t_directory(), flat_max);
        REQUIRE(store != NULL);
        int64_t model = fixture_model(store, 0, FIXTURE_DIM);
        enum { COUNT = 3000 };
        static struct clv_segment segments[COUNT];
        static float vectors[2][FIXTURE_DIM];
        uint64_t seed = 5;
        fixture_vector(vectors[0], FIXTURE_DIM, &seed, 0);
        fixture_vector(vectors[1], FIXTURE_DIM, &seed, 1);
        for (int i = 0; i < COUNT; i++)
            segments[i] = (struct clv_segment){i, i + 1, 0, 1, vectors[i % 3 == 0]};
        struct clv_video_row video = {.path = "/black.mp4", .timebase = {1, 1}};
        REQUIRE_OK(clv_store_video_put(store, &video, model, segments, COUNT));
        CHECK_OK(clv_store_refresh(store, NULL));
        struct clv_hit hits[20];
        int count = 0;
        CHECK_OK(clv_store_search(store, hits, &count, model, vectors[0], 20, NULL));
        CHECK_INT(count, 20);
        for (int i = 0; i < count; i++)
            CHECK_INT(hits[i].start_ticks, i / 2 * 3 + i % 2 + 1);
        clv_store_close(store);
    }
}

static void refuses_bad_searches(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t model = fill(store);
    float vector[FIXTURE_DIM] = {1};
    struct clv_hit hits[2];
    int count = 7;
    struct clv_search_filter filter = {.from_ms = -1};
    CHECK_ERROR(clv_store_search(store, hits, &count, model, vector, 0, NULL), CLV_EINVAL, "0");
    CHECK_ERROR(clv_store_search(store, hits, &count, model, vector, 2, &filter), CLV_EINVAL, "-1");
    CHECK_ERROR(clv_store_search(store, hits, &count, 55, vector, 2, NULL), CLV_ENOTFOUND, "55");
    CHECK_INT(count, 0);
    vector[3] = NAN;
    CHECK_ERROR(clv_store_search(store, hits, &count, model, vector, 2, NULL), CLV_EINVAL,
                "number 3");
    float scores[4];
    CHECK_ERROR(clv_store_sample_scores(store, scores, &count, model, vector, 0), CLV_EINVAL, "0");
    CHECK_ERROR(clv_store_sample_scores(store, scores, &count, 55, vector, 4), CLV_ENOTFOUND, "55");
    clv_store_close(store);
}

static void samples_scores(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t model = fill(store);
    static float scores[5000];
    static int64_t ids[5000];
    static double want[5000];
    float vector[FIXTURE_DIM];
    uint64_t seed = 8;
    int count = 0;
    fixture_vector(vector, FIXTURE_DIM, &seed, 3);
    int total = fixture_search(store, ids, want, model, vector, 5000, NULL);
    double mean = 0, all_mean = 0;
    for (int i = 0; i < total; i++)
        all_mean += want[i] / total;
    CHECK_OK(clv_store_sample_scores(store, scores, &count, model, vector, 5000));
    CHECK_INT(count, total);
    for (int i = 0; i < count; i++)
        mean += scores[i] / count;
    CHECK_NEAR(mean, all_mean, 1e-6);
    static const int sizes[] = {1, 100, 700, 2000};
    for (int i = 0; i < 4; i++) {
        CHECK_OK(clv_store_sample_scores(store, scores, &count, model, vector, sizes[i]));
        CHECK_INT(count, sizes[i] < total ? sizes[i] : total);
        for (int k = 0, found; k < count && !t_failed(); k++) {
            found = 0;
            for (int m = 0; m < total && !found; m++)
                found = fabs(want[m] - scores[k]) < 1e-6;
            CHECK(found);
        }
    }
    clv_store_close(store);
}

static int sum_segments(const struct clv_hit *segment, const float *vector, void *payload)
{
    int64_t *last = payload;
    double square = 0;
    for (int c = 0; c < FIXTURE_DIM; c++)
        square += (double)vector[c] * vector[c];
    CHECK_NEAR(square, 1, 1e-3);
    CHECK(segment->start_ticks > last[0]);
    CHECK_INT(segment->video_id, 1);
    last[0] = segment->start_ticks;
    last[1]++;
    return last[1] == last[2] ? 43 : 0;
}

static void walks_segments(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    int64_t model = fill(store);
    int64_t last[3] = {-1, 0, -1};
    CHECK_OK(clv_store_segments(store, 1, model, sum_segments, last));
    CHECK_INT(last[1], 20);
    int64_t stop[3] = {-1, 0, 5};
    CHECK_INT(clv_store_segments(store, 1, model, sum_segments, stop), 43);
    CHECK_OK(clv_store_segments(store, 99, model, sum_segments, last));
    CHECK_ERROR(clv_store_segments(store, 1, 99, sum_segments, last), CLV_ENOTFOUND, "model 99");
    clv_store_close(store);
}

/* ---- settings, prompts, results ---- */

static void keeps_settings(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    char *value = (char *)"x";
    CHECK_OK(clv_store_setting_get(store, &value, "a"));
    CHECK(value == NULL);
    CHECK_OK(clv_store_setting_put(store, "a", "1"));
    CHECK_OK(clv_store_setting_put(store, "a", "two"));
    CHECK_OK(clv_store_setting_get(store, &value, "a"));
    CHECK_STRING(value, "two");
    free(value);
    CHECK_OK(clv_store_setting_put(store, "a", NULL));
    CHECK_OK(clv_store_setting_get(store, &value, "a"));
    CHECK(value == NULL);
    clv_store_close(store);
}

static void caches_prompts(void)
{
    const char *directory = t_directory();
    struct clv_store *store = fixture_open(directory, 0), *reader = NULL;
    REQUIRE(store != NULL);
    int64_t model = fixture_model(store, 0, FIXTURE_DIM);
    float vector[FIXTURE_DIM], got[FIXTURE_DIM];
    uint64_t seed = 4;
    fixture_vector(vector, FIXTURE_DIM, &seed, 1);
    CHECK_ERROR(clv_store_prompt_get(store, got, model, "a cat", FIXTURE_DIM), CLV_ENOTFOUND,
                "a cat");
    CHECK_OK(clv_store_prompt_put(store, model, "a cat", vector, FIXTURE_DIM));
    CHECK_OK(clv_store_prompt_get(store, got, model, "a cat", FIXTURE_DIM));
    CHECK(memcmp(got, vector, sizeof got) == 0);
    CHECK_ERROR(clv_store_prompt_get(store, got, model, "A cat", FIXTURE_DIM), CLV_ENOTFOUND,
                "A cat");
    CHECK_ERROR(clv_store_prompt_get(store, got, model, "a cat", 16), CLV_ENOTFOUND, "a cat");
    struct clv_store_options read_only = {.read_only = true};
    REQUIRE_OK(clv_store_open(&reader, directory, &read_only));
    CHECK_OK(clv_store_prompt_put(reader, model, "a dog", vector, FIXTURE_DIM));
    CHECK_ERROR(clv_store_prompt_get(reader, got, model, "a dog", FIXTURE_DIM), CLV_ENOTFOUND,
                "a dog");
    CHECK_OK(clv_store_prompt_get(reader, got, model, "a cat", FIXTURE_DIM));
    CHECK_ERROR(clv_store_setting_put(reader, "a", "b"), CLV_EIO, "reading only");
    CHECK_ERROR(clv_store_video_forget(reader, 1), CLV_EIO, "reading only");
    CHECK_ERROR(clv_store_refresh(reader, NULL), CLV_EIO, "reading only");
    clv_store_close(reader);
    clv_store_close(store);
}

static void remembers_results(void)
{
    struct clv_store *store = fixture_open(t_directory(), 0);
    REQUIRE(store != NULL);
    char *query = NULL;
    struct clv_moment_row *moments = NULL;
    int count = 9;
    CHECK_ERROR(clv_store_result_last(store, &query, &moments, &count), CLV_ENOTFOUND, "searched");
    CHECK(query == NULL && moments == NULL && count == 0);
    int64_t first_id = 0, last_id = 0;
    for (int round = 0; round < 105; round++) {
        struct clv_moment_row rows[2] = {
            {.video_id = 4,
             .path = (char *)"/v/a",
             .start_ms = 1,
             .end_ms = 3,
             .peak_ms = 2,
             .score = 0.25f,
             .percentile = 99.5f,
             .video_digest = {7}},
            {.video_id = 5, .path = (char *)"/v/b", .start_ms = round, .end_ms = round + 1},
        };
        char text[32];
        snprintf(text, sizeof text, "query %d", round);
        CHECK_OK(clv_store_result_put(store, text, 1, rows, 2));
        CHECK(rows[0].id > last_id && rows[1].id > rows[0].id);
        last_id = rows[1].id;
        if (round == 0)
            first_id = rows[0].id;
    }
    CHECK_OK(clv_store_result_last(store, &query, &moments, &count));
    CHECK_STRING(query, "query 104");
    REQUIRE(count == 2);
    CHECK_INT(moments[1].id, last_id);
    CHECK_STRING(moments[0].path, "/v/a");
    CHECK_INT(moments[0].peak_ms, 2);
    CHECK_NEAR(moments[0].score, 0.25, 0);
    CHECK_NEAR(moments[0].percentile, 99.5, 0);
    CHECK_INT(moments[0].video_digest[0], 7);
    CHECK_INT(moments[1].start_ms, 104);
    clv_moment_rows_free(moments, count);
    free(query);
    struct clv_moment_row *moment = NULL;
    CHECK_ERROR(clv_store_result_moment(store, &query, &moment, first_id), CLV_ENOTFOUND, "moment");
    CHECK_OK(clv_store_result_moment(store, &query, &moment, first_id + 10)); /* the 6th result */
    CHECK_STRING(query, "query 5");
    CHECK_STRING(moment ? moment->path : NULL, "/v/a");
    clv_moment_rows_free(moment, 1);
    free(query);
    CHECK_OK(clv_store_result_put(store, "nothing", 1, NULL, 0));
    CHECK_OK(clv_store_result_last(store, &query, &moments, &count));
    CHECK_STRING(query, "nothing");
    CHECK_INT(count, 0);
    clv_moment_rows_free(moments, count);
    free(query);
    CHECK_INT(fixture_problems(store, true), 0);
    clv_store_close(store);
}

int main(void)
{
    T_RUN(opens_and_refuses);
    T_RUN(keeps_models);
    T_RUN(forgets_one_model);
    T_RUN(keeps_video_rows);
    T_RUN(refuses_bad_videos);
    T_RUN(follows_the_life_of_files);
    T_RUN(lists_by_glob);
    T_RUN(searches_without_an_index);
    T_RUN(searches_a_flat_index);
    T_RUN(gives_ten_where_ten_exist_in_lists);
    T_RUN(prefers_lower_ids_on_ties);
    T_RUN(refuses_bad_searches);
    T_RUN(samples_scores);
    T_RUN(walks_segments);
    T_RUN(keeps_settings);
    T_RUN(caches_prompts);
    T_RUN(remembers_results);
    return t_end();
}
