/* Searches over hand-made vectors, whose scores are known, and over clips that a small model has
 * looked at. The query "x" of the first kind is the first axis, put into the prompt cache. */
#include "query/search.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "core/media/writer.h"
#include "core/model/prompts.h"
#include "indexer/ingest.h"
#include "query/like.h"
#include "query/target.h"

#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hand-made ------------------------------------------------------------------------------- */

#define SEGMENT_MAX 64
#define STRIDE_MS 2000
#define LENGTH_MS 4000

/* A store with the built-in model's shape. */
struct fixture {
    struct clv_model model;
    struct clv_device *device;
    struct clv_store *store;
    int64_t model_id;
    int dim;
};

static bool fixture_open(struct fixture *fixture)
{
    struct clv_store_options create = {.create = true};
    struct clv_device_options any = {.thread_count = 1};
    struct clv_model_row row = {.name = CLV_MODEL_MINI, .path = CLV_MODEL_MINI};
    *fixture = (struct fixture){0};
    CHECK_OK(clv_model_open_mini(&fixture->model, NULL));
    if (t_failed())
        return false;
    CHECK_OK(clv_device_open(&fixture->device, &any));
    CHECK_OK(clv_store_open(&fixture->store, t_path(t_directory(), "db"), &create));
    if (t_failed())
        return false;
    fixture->dim = row.dim = fixture->model.config.embed_dim;
    row.frame_count = fixture->model.config.frame_count;
    memcpy(row.digest, fixture->model.digest, sizeof row.digest);
    CHECK_OK(clv_store_model_put(fixture->store, &row));
    fixture->model_id = row.id;
    return !t_failed();
}

static void fixture_close(struct fixture *fixture)
{
    clv_store_close(fixture->store);
    clv_device_close(fixture->device);
    if (fixture->model.weights)
        clv_model_release(&fixture->model);
}

/* Makes "x" mean the first axis. */
static void teach(const struct fixture *fixture)
{
    float *axis = calloc((size_t)fixture->dim, sizeof *axis);
    struct clv_bytes key = {0};
    axis[0] = 1;
    CHECK_OK(clv_target_prompt_key(&key, &fixture->model, "x"));
    CHECK_OK(clv_store_prompt_put(fixture->store, fixture->model_id, key.data, axis, fixture->dim));
    clv_bytes_release(&key);
    free(axis);
}

/* A video whose segments score as given for "x". It begins 0.5 s into its stream's time. */
static void put_video(const struct fixture *fixture, const char *path, const double *scores,
                      int count)
{
    struct clv_segment segments[SEGMENT_MAX];
    size_t dim = (size_t)fixture->dim;
    float *vectors = calloc(SEGMENT_MAX * dim, sizeof *vectors);
    struct clv_video_row row = {.path = path,
                                .error = "",
                                .codec = "h264",
                                .container = "mp4",
                                .timebase = {1, 90000},
                                .start_ticks = 45000,
                                .size_bytes = 1};
    clv_digest_bytes(row.digest, path, strlen(path));
    for (int i = 0; i < count; i++) {
        float *vector = vectors + (size_t)i * dim;
        vector[0] = (float)scores[i];
        vector[1 + i % ((int)dim - 1)] = (float)sqrt(1 - scores[i] * scores[i]);
        segments[i] =
            (struct clv_segment){.start_ticks = 45000 + 90 * (int64_t)STRIDE_MS * i,
                                 .end_ticks = 45000 + 90 * ((int64_t)STRIDE_MS * i + LENGTH_MS),
                                 .norm = 1,
                                 .vector = vector};
    }
    row.duration_ticks = 90 * ((int64_t)STRIDE_MS * (count - 1) + LENGTH_MS);
    CHECK_OK(clv_store_video_put(fixture->store, &row, fixture->model_id, segments, (size_t)count));
    free(vectors);
}

static int search(struct clv_search_result *out, const struct fixture *fixture,
                  const struct clv_search_options *options)
{
    return clv_search_run(out, fixture->store, &fixture->model, fixture->device, fixture->model_id,
                          options);
}

static void check_moment(const struct clv_moment *moment, const char *path, int64_t start_ms,
                         int64_t end_ms, int64_t peak_ms, double score)
{
    CHECK_STRING(moment->path, path);
    CHECK_INT(moment->start_ms, start_ms);
    CHECK_INT(moment->end_ms, end_ms);
    CHECK_INT(moment->peak_ms, peak_ms);
    CHECK_NEAR(moment->score, score, 1e-3);
}

static void neighbours_become_moments(void)
{
    struct fixture f;
    /* Deviation of all these is about 0.2, so the margin is about 0.1. */
    double first[] = {0.0, 0.1, 0.6, 0.65, 0.62, 0.1, 0.0, 0.0, 0.4, 0.0};
    double second[] = {0.0, 0.5, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0};
    if (fixture_open(&f)) {
        struct clv_search_options options = {.text = " x\n", .moment_max = 3};
        struct clv_search_result result;
        teach(&f);
        put_video(&f, "/v/first.mp4", first, 10);
        put_video(&f, "/v/second.mp4", second, 10);
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.count, 3);
        CHECK_INT(result.segment_total, 20);
        if (result.count == 3) {
            check_moment(&result.moments[0], "/v/first.mp4", 4000, 12000, 8000, 0.65);
            check_moment(&result.moments[1], "/v/second.mp4", 2000, 6000, 4000, 0.5);
            check_moment(&result.moments[2], "/v/first.mp4", 16000, 20000, 18000, 0.4);
            CHECK_INT(result.moments[0].segment_count, 3);
            CHECK_NEAR(result.moments[0].percentile, 95, 0.01);
            CHECK_NEAR(result.moments[1].percentile, 80, 0.01);
            CHECK_NEAR(result.moments[2].percentile, 75, 0.01);
        }
        clv_search_result_release(&result);
    }
    fixture_close(&f);
}

/* 24 videos with 40 segments each, scores from a generator. */
static void put_many(const struct fixture *fixture)
{
    uint64_t state = 5;
    for (int v = 0; v < 24; v++) {
        double scores[SEGMENT_MAX];
        char path[64];
        for (int i = 0; i < 40; i++)
            scores[i] = 0.9 * t_uniform(&state);
        snprintf(path, sizeof path, "/v/%c/%02d.mp4", 'a' + v % 3, v);
        put_video(fixture, path, scores, 40);
    }
}

static void as_many_as_asked_for_and_the_same_ones(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        struct clv_search_result all = {0}, some;
        struct clv_search_options options = {.text = "x", .moment_max = 5000};
        teach(&f);
        put_many(&f);
        CHECK_OK(search(&all, &f, &options));
        /* Moments are disjoint but for shoulders: some hundred of 960 segments. */
        CHECK(all.count > 200 && all.count < 960);
        for (int n = 1; n <= all.count; n += n < 20 ? 1 : 37) {
            options.moment_max = n;
            CHECK_OK(search(&some, &f, &options));
            CHECK_INT(some.count, n);
            for (int i = 0; i < some.count && i < all.count; i++)
                check_moment(&some.moments[i], all.moments[i].path, all.moments[i].start_ms,
                             all.moments[i].end_ms, all.moments[i].peak_ms, all.moments[i].score);
            clv_search_result_release(&some);
        }
        options.moment_max = 0;
        CHECK_OK(search(&some, &f, &options));
        CHECK_INT(some.count, 10);
        clv_search_result_release(&some);
        clv_search_result_release(&all);
    }
    fixture_close(&f);
}

static void filters_narrow_what_is_searched(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        struct clv_search_result result;
        struct clv_search_options options = {.text = "x", .moment_max = 60, .glob = "/v/b/*"};
        teach(&f);
        put_many(&f);
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.count, 60);
        for (int i = 0; i < result.count; i++)
            CHECK(strncmp(result.moments[i].path, "/v/b/", 5) == 0);
        clv_search_result_release(&result);

        options.glob = NULL;
        options.from_ms = 31000;
        options.to_ms = 40500;
        CHECK_OK(search(&result, &f, &options));
        CHECK(result.count >= 24);
        for (int i = 0; i < result.count; i++) {
            const struct clv_moment *moment = &result.moments[i];
            CHECK(moment->start_ms >= 31000);
            CHECK(moment->end_ms <= 40500);
            CHECK(moment->end_ms - moment->start_ms >= 2000);
            CHECK(moment->peak_ms >= moment->start_ms && moment->peak_ms <= moment->end_ms);
        }
        clv_search_result_release(&result);
        /* A range shorter than a segment is still answered, cut to the range. */
        options.from_ms = 30100;
        options.to_ms = 30600;
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.count, 24);
        for (int i = 0; i < result.count; i++) {
            CHECK_INT(result.moments[i].start_ms, 30100);
            CHECK_INT(result.moments[i].end_ms, 30600);
        }
        clv_search_result_release(&result);

        options.glob = "/nowhere/*";
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.count, 0);
        clv_search_result_release(&result);
    }
    fixture_close(&f);
}

static void low_scores_do_not_count(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        struct clv_search_result result;
        struct clv_search_options options = {
            .text = "x", .moment_max = 1000, .score_min = 0.8, .has_score_min = true};
        teach(&f);
        put_many(&f);
        CHECK_OK(search(&result, &f, &options));
        CHECK(result.count > 20 && result.count < 200);
        for (int i = 0; i < result.count; i++)
            CHECK(result.moments[i].score >= 0.8);
        clv_search_result_release(&result);
        options.score_min = 0.95;
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.count, 0);
        clv_search_result_release(&result);
    }
    fixture_close(&f);
}

static void ties_go_by_path_then_time(void)
{
    struct fixture f;
    double scores[] = {0.5, 0, 0, 0, 0.5, 0, 0, 0};
    if (fixture_open(&f)) {
        struct clv_search_result result;
        struct clv_search_options options = {.text = "x", .moment_max = 5};
        teach(&f);
        put_video(&f, "/v/c.mp4", scores, 8);
        put_video(&f, "/v/b.mp4", scores, 8);
        put_video(&f, "/v/a.mp4", scores, 8);
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.count, 5);
        const char *paths[] = {"/v/a.mp4", "/v/a.mp4", "/v/b.mp4", "/v/b.mp4", "/v/c.mp4"};
        for (int i = 0; i < result.count; i++) {
            CHECK_STRING(result.moments[i].path, paths[i]);
            CHECK_INT(result.moments[i].start_ms, i % 2 ? 8000 : 0);
        }
        clv_search_result_release(&result);
    }
    fixture_close(&f);
}

static void results_are_remembered(void)
{
    struct fixture f;
    double scores[] = {0.5, 0, 0, 0, 0, 0.4};
    if (fixture_open(&f)) {
        struct clv_search_result result;
        struct clv_search_options options = {.text = "x", .moment_max = 2};
        struct clv_moment_row *rows = NULL;
        char *query = NULL;
        int count = 0;
        uint8_t digest[CLV_DIGEST_BYTES];
        teach(&f);
        put_video(&f, "/v/a.mp4", scores, 6);
        CHECK_OK(search(&result, &f, &options));
        CHECK_OK(clv_search_remember(f.store, "x!", f.model_id, &result));
        CHECK_OK(clv_store_result_last(f.store, &query, &rows, &count));
        CHECK_STRING(query, "x!");
        CHECK_INT(count, 2);
        clv_digest_bytes(digest, "/v/a.mp4", 8);
        for (int i = 0; i < count && i < result.count; i++) {
            CHECK(result.moments[i].id > 0);
            CHECK_INT(rows[i].id, result.moments[i].id);
            CHECK_INT(rows[i].start_ms, result.moments[i].start_ms);
            CHECK_INT(rows[i].peak_ms, result.moments[i].peak_ms);
            CHECK_NEAR(rows[i].percentile, result.moments[i].percentile, 1e-4);
            CHECK(memcmp(rows[i].video_digest, digest, sizeof digest) == 0);
        }
        clv_moment_rows_free(rows, count);
        free(query);
        clv_search_result_release(&result);
    }
    fixture_close(&f);
}

static void check_refused(const struct fixture *fixture, const struct clv_search_options *options,
                          int status, const char *part)
{
    struct clv_search_result result;
    CHECK_ERROR(search(&result, fixture, options), status, part);
    CHECK_INT(result.count, 0);
    CHECK(result.moments == NULL);
}

static void nonsense_is_refused(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        struct clv_cancel cancel = {0};
        clv_cancel_request(&cancel);
        teach(&f);
        struct clv_search_options bad[] = {
            {.text = NULL},
            {.text = " \t\n"},
            {.text = "x", .like_weight = -0.1},
            {.text = "x", .like_weight = 1.5},
            {.text = "x", .like_weight = NAN},
            {.text = "x", .from_ms = 5, .to_ms = 5},
            {.text = "x", .from_ms = -1},
            {.text = "x", .moment_max = -1},
            {.text = "x", .has_score_min = true, .score_min = NAN},
            {.like = ""},
        };
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            check_refused(&f, &bad[i], CLV_EINVAL, "");
        check_refused(&f, &bad[0], CLV_EINVAL, "the query is empty");
        check_refused(&f, &bad[1], CLV_EINVAL, "the query is empty");
        struct clv_search_options lost = {.like = "/no/such/file.mp4@1:00"};
        check_refused(&f, &lost, CLV_ENOTFOUND, "'/no/such/file.mp4'");
        struct clv_search_options stopped = {.text = "x", .cancel = &cancel};
        check_refused(&f, &stopped, CLV_ECANCELED, "interrupted");
    }
    fixture_close(&f);
}

static void an_empty_index_answers_nothing(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        struct clv_search_result result;
        struct clv_search_options options = {.text = "x"};
        teach(&f);
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.count, 0);
        clv_search_result_release(&result);
    }
    fixture_close(&f);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* The mean of the templates' unit features, re-normalised, in double precision. */
static void reference_vector(double *out, const struct fixture *fixture, const char *text)
{
    struct clv_encoder *encoder = NULL;
    struct clv_encoder_options options = {.no_vision = true};
    size_t dim = (size_t)fixture->dim;
    float *feature = calloc(dim, sizeof *feature);
    double square = 0;
    memset(out, 0, dim * sizeof *out);
    CHECK_OK(clv_encoder_create(&encoder, fixture->device, fixture->model.weights,
                                &fixture->model.config, &options));
    for (int i = 0; i < clv_prompt_template_count && encoder; i++) {
        struct clv_bytes prompt = {0};
        CHECK_OK(clv_prompt_fill(&prompt, clv_prompt_templates[i], text));
        const char *one = prompt.data;
        CHECK_OK(clv_model_encode_texts(&fixture->model, encoder, feature, NULL, &one, 1));
        for (size_t k = 0; k < dim; k++)
            out[k] += feature[k];
        clv_bytes_release(&prompt);
    }
    for (size_t k = 0; k < dim; k++)
        square += out[k] * out[k];
    for (size_t k = 0; k < dim; k++)
        out[k] /= sqrt(square);
    clv_encoder_free(encoder);
    free(feature);
}

static void words_become_the_mean_of_their_templates(void)
{
    struct fixture f;
    double scores[] = {0.5, 0.1};
    if (fixture_open(&f)) {
        struct clv_search_result first, again, own;
        struct clv_search_options options = {.text = "  opening a door. "};
        size_t dim = (size_t)f.dim;
        double *want = calloc(dim, sizeof *want);
        float *got = calloc(dim, sizeof *got);
        put_video(&f, "/v/a.mp4", scores, 2);
        CHECK_OK(search(&first, &f, &options));
        struct clv_bytes key = {0};
        CHECK_OK(clv_target_prompt_key(&key, &f.model, "opening a door."));
        CHECK_OK(clv_store_prompt_get(f.store, got, f.model_id, key.data, f.dim));
        clv_bytes_release(&key);
        reference_vector(want, &f, "opening a door.");
        for (size_t k = 0; k < dim; k++)
            CHECK_NEAR(got[k], want[k], 2e-5);
        /* From the cache, without a device at hand; and, uncached, with a device of its own. */
        CHECK_OK(clv_search_run(&again, f.store, &f.model, NULL, f.model_id, &options));
        CHECK(again.count == first.count && again.moments[0].score == first.moments[0].score);
        options.text = "closing a door";
        CHECK_OK(clv_search_run(&own, f.store, &f.model, NULL, f.model_id, &options));
        CHECK(own.moments[0].score != first.moments[0].score);
        clv_search_result_release(&first);
        clv_search_result_release(&again);
        clv_search_result_release(&own);
        free(want);
        free(got);
    }
    fixture_close(&f);
}

/* The same weights with another vocabulary are one model of the store, but read other ids. */
static void another_vocabulary_finds_no_old_vector(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        static const char list[] = "#version: 0.2\nd o\n";
        struct clv_bytes own = {0}, same = {0}, other = {0}, none = {0};
        struct clv_tokenizer *kept = f.model.tokenizer, *merging = NULL;
        CHECK_OK(clv_target_prompt_key(&own, &f.model, "opening a door"));
        CHECK_OK(clv_target_prompt_key(&same, &f.model, " Opening  a door "));
        CHECK_STRING(same.data, own.data);
        CHECK_OK(clv_tokenizer_open_text(&merging, list, sizeof list - 1, "a list"));
        f.model.tokenizer = merging;
        CHECK_OK(clv_target_prompt_key(&other, &f.model, "opening a door"));
        CHECK(other.data && own.data && strcmp(other.data, own.data) != 0);
        f.model.tokenizer = NULL;
        CHECK_OK(clv_target_prompt_key(&none, &f.model, "opening a door"));
        CHECK_INT(none.size_bytes, 0);
        struct clv_search_result result;
        struct clv_search_options options = {.text = "opening a door"};
        CHECK_ERROR(search(&result, &f, &options), CLV_ENOTFOUND, "no vocabulary");
        f.model.tokenizer = kept;
        clv_tokenizer_close(merging);
        clv_bytes_release(&own);
        clv_bytes_release(&same);
        clv_bytes_release(&other);
        clv_bytes_release(&none);
    }
    fixture_close(&f);
}

static void long_texts_are_cut_and_said(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        struct clv_search_result result;
        char text[4000];
        for (size_t i = 0; i + 1 < sizeof text; i++)
            text[i] = i % 5 == 4 ? ' ' : (char)('a' + i % 23);
        text[sizeof text - 1] = '\0';
        struct clv_search_options options = {.text = text};
        for (int i = 0; i < 2; i++) { /* the second time out of the cache */
            CHECK_OK(search(&result, &f, &options));
            CHECK_INT(result.cut_prompt_count, clv_prompt_template_count);
            clv_search_result_release(&result);
        }
        options.text = "short";
        CHECK_OK(search(&result, &f, &options));
        CHECK_INT(result.cut_prompt_count, 0);
        clv_search_result_release(&result);
    }
    fixture_close(&f);
}

/* ---- clips and pictures ---------------------------------------------------------------------- */

#define CLIP_COUNT 5
#define CLIP_SECONDS 12
#define FRAME_RATE 10

/* Clips that differ in shape, colour and motion; the last changes into another at 6 s. */
static void paint(struct clv_image *image, int clip, int frame)
{
    if (clip == 4)
        clip = frame < 6 * FRAME_RATE ? 0 : 5;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            uint8_t *pixel = image->pixels + (size_t)y * image->stride_bytes + 3 * x;
            int dx = x - 64, dy = y - 48, on = 0;
            switch (clip) {
            case 0:
                on = (x + 2 * frame) / 16 % 2;
                break;
            case 1:
                on = (y + frame) / 8 % 2;
                break;
            case 2:
                on = (dx * dx + dy * dy) / 300 % 3 == frame / 3 % 3;
                break;
            case 3:
                on = (x / 12 + y / 12 + frame / 2) % 4 == 0;
                break;
            default:
                on = x > 40 && x < 90 && y > 20 + frame % 20;
            }
            pixel[0] = (uint8_t)(on ? 230 : 20 + 30 * clip);
            pixel[1] = (uint8_t)(on ? 60 + 40 * clip : 30);
            pixel[2] = (uint8_t)(on ? 40 : 200 - 35 * clip);
        }
}

static int draw(void *payload, struct clv_image *image, int index)
{
    paint(image, *(const int *)payload, index);
    return CLV_OK;
}

static int make_clip(const char *path, int clip)
{
    const struct clv_writer_options options = {
        .width = 128, .height = 96, .frame_time = {1, FRAME_RATE}, .quality = 20};
    return clv_writer_film(path, &options, CLIP_SECONDS * FRAME_RATE, draw, &clip);
}

static int make_picture(const char *path, int clip, int frame)
{
    struct clv_image image;
    struct clv_bytes jpeg = {0};
    int status = clv_image_create(&image, 128, 96);
    if (status == CLV_OK) {
        paint(&image, clip, frame);
        status = clv_image_jpeg(&jpeg, &image, 0, 0);
    }
    if (status == CLV_OK)
        status = clv_file_replace(path, jpeg.data, jpeg.size_bytes);
    clv_bytes_release(&jpeg);
    clv_image_release(&image);
    return status;
}

/* Makes the clips in a folder and indexes them. */
static const char *index_clips(struct fixture *fixture)
{
    const char *folder = t_path(t_directory(), "clips");
    struct clv_encoder *encoder = NULL;
    struct clv_encoder_options encoder_options = {.no_text = true, .slot_count = 64};
    struct clv_ingest_options ingest_options = {0};
    struct clv_ingest_progress totals;
    CHECK_OK(clv_directory_create(folder));
    for (int i = 0; i < CLIP_COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "clip%d.mp4", i);
        CHECK_OK(make_clip(t_path(folder, name), i));
    }
    CHECK_OK(clv_encoder_create(&encoder, fixture->device, fixture->model.weights,
                                &fixture->model.config, &encoder_options));
    if (t_failed())
        return NULL;
    CHECK_OK(clv_ingest_paths(&totals, fixture->store, encoder, fixture->model_id, &folder, 1,
                              &ingest_options, NULL, NULL));
    CHECK_INT(totals.indexed_count, CLIP_COUNT);
    clv_encoder_free(encoder);
    return t_failed() ? NULL : folder;
}

static const char *spec_of(const char *folder, const char *text)
{
    return t_path(folder, text);
}

/* The best moment for `spec` lies in `name` and overlaps [from, to). */
static double check_found(const struct fixture *fixture, const char *spec, const char *name,
                          int64_t from_ms, int64_t to_ms)
{
    struct clv_search_result result;
    struct clv_search_options options = {.like = spec, .moment_max = 3};
    double score = NAN;
    CHECK_OK(search(&result, fixture, &options));
    CHECK(result.count > 0);
    if (result.count > 0) {
        const struct clv_moment *best = &result.moments[0];
        CHECK_STRING(clv_path_base(best->path), name);
        CHECK(best->peak_ms >= from_ms && best->peak_ms < to_ms);
        score = best->score;
    }
    clv_search_result_release(&result);
    return score;
}

/* The second segment of a video, its times in milliseconds. */
static int keep_second(const struct clv_hit *segment, const float *vector, void *payload)
{
    struct clv_hit *kept = payload;
    (void)vector;
    bool is_second = kept->segment_id != 0;
    *kept = *segment;
    return is_second ? CLV_DONE : CLV_OK;
}

static struct clv_hit second_segment(const struct fixture *fixture, const char *path)
{
    struct clv_hit segment = {0};
    struct clv_video_row row;
    CHECK_OK(clv_store_video_by_path(fixture->store, &row, path, fixture->model_id));
    if (t_failed())
        return segment;
    (void)clv_store_segments(fixture->store, row.id, fixture->model_id, keep_second, &segment);
    segment.start_ticks = clv_time_rescale(segment.start_ticks - row.start_ticks, row.timebase,
                                           (struct clv_timebase){1, 1000});
    segment.end_ticks = clv_time_rescale(segment.end_ticks - row.start_ticks, row.timebase,
                                         (struct clv_timebase){1, 1000});
    CHECK(segment.end_ticks > segment.start_ticks);
    clv_video_row_release(&row);
    return segment;
}

static void clips_find_themselves(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        const char *folder = index_clips(&f);
        for (int i = 0; folder && i < 4; i++) {
            char name[32], spec[48];
            snprintf(name, sizeof name, "clip%d.mp4", i);
            CHECK(check_found(&f, spec_of(folder, name), name, 0, 12000) > 0.9);
            /* The very window that was indexed: the same frames are taken. */
            struct clv_hit segment = second_segment(&f, t_path(folder, name));
            snprintf(spec, sizeof spec, "%s@%.3f-%.3f", name, (double)segment.start_ticks / 1000,
                     (double)segment.end_ticks / 1000);
            CHECK_NEAR(check_found(&f, spec_of(folder, spec), name, 0, 12000), 1, 1e-3);
            snprintf(spec, sizeof spec, "clip%d.mp4@0:05", i);
            CHECK(check_found(&f, spec_of(folder, spec), name, 0, 12000) > 0.9);
        }
        if (folder) {
            /* The second half of the last clip is like nothing else. */
            check_found(&f, spec_of(folder, "clip4.mp4@7-11"), "clip4.mp4", 6000, 12000);
            /* Beyond the end but for a moment: what is there counts. */
            check_found(&f, spec_of(folder, "clip4.mp4@11.5"), "clip4.mp4", 6000, 12000);
        }
    }
    fixture_close(&f);
}

static void pictures_find_their_clip(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        const char *folder = index_clips(&f), *elsewhere = t_directory();
        const char *picture = t_path(elsewhere, "still@1:00.jpg");
        for (int i = 0; folder && i < 4; i++) {
            char name[32];
            snprintf(name, sizeof name, "clip%d.mp4", i);
            CHECK_OK(make_picture(picture, i, 33));
            check_found(&f, picture, name, 0, 12000);
        }
        struct clv_search_options options = {.like = t_path(elsewhere, "still@1:00.jpg@5")};
        check_refused(&f, &options, CLV_EINVAL, "is a picture");
        if (folder) {
            options.like = spec_of(folder, "clip1.mp4@30");
            check_refused(&f, &options, CLV_EINVAL, "it ends at 0:12.000");
            options.like = spec_of(folder, "clip1.mp4@30-40");
            check_refused(&f, &options, CLV_EINVAL, "has nothing at 0:30.000");
            options.like = folder;
            check_refused(&f, &options, CLV_EINVAL, "is a folder");
        }
        const char *text = t_path(elsewhere, "words.txt");
        CHECK_OK(clv_file_replace(text, "no video\n", 9));
        struct clv_search_result result;
        options.like = text;
        CHECK(search(&result, &f, &options) < 0);
        CHECK(strstr(clv_error_message(), "words.txt") != NULL);
    }
    fixture_close(&f);
}

/* Scores of text and example together follow from the two unit vectors. */
static void text_and_example_are_weighed(void)
{
    struct fixture f;
    if (fixture_open(&f)) {
        const char *folder = index_clips(&f);
        const char *spec = NULL;
        char range[64];
        struct clv_like like = {0};
        struct clv_encoder *encoder = NULL;
        struct clv_encoder_options options = {.no_text = true};
        size_t dim = (size_t)f.dim;
        double *text = calloc(dim, sizeof *text);
        float *shown = calloc(dim, sizeof *shown);
        if (folder) {
            struct clv_hit segment = second_segment(&f, t_path(folder, "clip2.mp4"));
            snprintf(range, sizeof range, "clip2.mp4@%.3f-%.3f", (double)segment.start_ticks / 1000,
                     (double)segment.end_ticks / 1000);
            spec = spec_of(folder, range);
            CHECK_OK(clv_like_parse(&like, spec));
            CHECK_OK(
                clv_encoder_create(&encoder, f.device, f.model.weights, &f.model.config, &options));
            CHECK_OK(clv_like_vector(shown, encoder, &like, NULL));
            reference_vector(text, &f, "rings");
        }
        double cosine = 0;
        for (size_t k = 0; k < dim; k++)
            cosine += text[k] * shown[k];
        for (int tenth = 1; spec && tenth <= 10; tenth += 3) {
            struct clv_search_result both;
            struct clv_search_options query = {
                .text = "rings", .like = spec, .like_weight = tenth / 10.0, .moment_max = 1};
            double w = tenth / 10.0;
            CHECK_OK(search(&both, &f, &query));
            CHECK_INT(both.count, 1);
            /* The window itself scores (1-w) cos + w, over the sum's norm; the best at least so. */
            double norm = sqrt((1 - w) * (1 - w) + w * w + 2 * w * (1 - w) * cosine);
            double own = ((1 - w) * cosine + w) / norm;
            if (both.count == 1)
                CHECK(both.moments[0].score > own - 1e-3);
            if (tenth == 10) {
                CHECK_STRING(clv_path_base(both.moments[0].path), "clip2.mp4");
                CHECK_NEAR(both.moments[0].score, 1, 1e-3);
            }
            clv_search_result_release(&both);
        }
        clv_encoder_free(encoder);
        clv_like_release(&like);
        free(text);
        free(shown);
    }
    fixture_close(&f);
}

int main(void)
{
    T_RUN(neighbours_become_moments);
    T_RUN(as_many_as_asked_for_and_the_same_ones);
    T_RUN(filters_narrow_what_is_searched);
    T_RUN(low_scores_do_not_count);
    T_RUN(ties_go_by_path_then_time);
    T_RUN(results_are_remembered);
    T_RUN(nonsense_is_refused);
    T_RUN(an_empty_index_answers_nothing);
    T_RUN(words_become_the_mean_of_their_templates);
    T_RUN(another_vocabulary_finds_no_old_vector);
    T_RUN(long_texts_are_cut_and_said);
    T_RUN(clips_find_themselves);
    T_RUN(pictures_find_their_clip);
    T_RUN(text_and_example_are_weighed);
    return t_end();
}
