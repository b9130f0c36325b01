/* Whole models: opening, vocabularies, identity, texts, the placeholder, and compare. */
#include "core/model/model.h"

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/model/compare.h"
#include "core/model/weights.h"
#include "tests/model/random_model.h"
#include "tests/t.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct clv_device *device;
static const char *directory;

/* Writes a tiny model with `vocabulary` tokens into a directory of its own. */
static const char *write_tiny(const char *name, bool is_clip, int vocabulary,
                              const struct random_model_options *options)
{
    static const struct random_model_options defaults = {.seed = 1};
    struct clv_model_config config;
    const char *folder = t_path(directory, name), *path = t_path(folder, "model.safetensors");
    if (!random_model_arch(&config, "tiny", 4, CLV_MASK_KMT, is_clip))
        abort();
    config.vocabulary_size = vocabulary;
    if (clv_directory_create(folder) != CLV_OK ||
        random_model_write(path, &config, options ? options : &defaults) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s", clv_error_message());
    return path;
}

/* A copy of the published vocabulary's first 258 symbols' worth: none, that is, only its header
 * line, which makes the byte-level vocabulary of 514 ids. */
static void write_vocabulary(const char *model_path)
{
    char path[4096];
    snprintf(path, sizeof path, "%.*s/bpe_simple_vocab_16e6.txt",
             (int)(clv_path_base(model_path) - 1 - model_path), model_path);
    static const char text[] = "\"bpe_simple_vocab_16e6.txt#version: 0.2\n";
    if (clv_file_replace(path, text, sizeof text - 1) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s", clv_error_message());
}

static void opens_without_a_vocabulary(void)
{
    struct clv_model model;
    struct clv_encoder *encoder = NULL;
    float out[64];
    REQUIRE_OK(clv_model_open(&model, write_tiny("bare", false, 128, NULL), NULL));
    CHECK(model.tokenizer == NULL);
    CHECK(!model.is_placeholder);
    CHECK_INT(model.path[0], '/');
    REQUIRE_OK(clv_encoder_create(&encoder, device, model.weights, &model.config, NULL));
    CHECK_ERROR(clv_model_encode_texts(&model, encoder, out, NULL, (const char *[]){"a"}, 1),
                CLV_ENOTFOUND, "has no vocabulary beside it");
    clv_encoder_free(encoder);
    clv_model_release(&model);
    CHECK(model.weights == NULL);
    clv_model_release(&model);
}

static void finds_the_vocabulary_beside_it(void)
{
    struct clv_model model;
    const char *path = write_tiny("beside", false, 514, NULL);
    write_vocabulary(path);
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    REQUIRE(model.tokenizer != NULL);
    CHECK_INT(clv_tokenizer_size(model.tokenizer), 514);
    clv_model_release(&model);
    /* Through a link the vocabulary beside the file itself counts. */
    const char *folder = t_path(directory, "links"), *link = t_path(folder, "link.safetensors");
    REQUIRE_OK(clv_directory_create(folder));
    REQUIRE(symlink(path, link) == 0);
    REQUIRE_OK(clv_model_open(&model, link, NULL));
    CHECK(model.tokenizer != NULL);
    CHECK_STRING(clv_path_base(model.path), "model.safetensors");
    clv_model_release(&model);
    /* One given by name is used instead. */
    const char *bare = write_tiny("named", false, 514, NULL);
    const char *vocabulary = t_path(t_path(directory, "beside"), "bpe_simple_vocab_16e6.txt");
    REQUIRE_OK(
        clv_model_open(&model, bare, &(struct clv_model_options){.vocabulary_path = vocabulary}));
    CHECK(model.tokenizer != NULL);
    clv_model_release(&model);
    CHECK_ERROR(clv_model_open(&model, bare,
                               &(struct clv_model_options){.vocabulary_path = "/nothing/here"}),
                CLV_ENOTFOUND, "/nothing/here");
    CHECK(model.weights == NULL);
}

static void a_wrong_vocabulary_is_refused(void)
{
    struct clv_model model;
    const char *path = write_tiny("wrong", false, 515, NULL);
    write_vocabulary(path);
    CHECK_ERROR(clv_model_open(&model, path, NULL), CLV_EINVAL, "has 514 tokens, the model 515");
    CHECK(model.weights == NULL && model.tokenizer == NULL && model.path == NULL);
}

static void frames_are_free_without_a_temporal_branch(void)
{
    struct clv_model model;
    const struct clv_model_options three = {.frame_count = 3};
    REQUIRE_OK(clv_model_open(&model, write_tiny("clip", true, 128, NULL), &three));
    CHECK_INT(model.config.frame_count, 3);
    clv_model_release(&model);
    CHECK_ERROR(clv_model_open(&model, write_tiny("fixed", false, 128, NULL), &three), CLV_EINVAL,
                "takes 4 frames a window, not 3");
}

static void broken_files_are_refused(void)
{
    struct clv_model model;
    const char *path =
        write_tiny("broken", false, 128,
                   &(struct random_model_options){.missing = "transformer.resblocks.1.ln_1.bias"});
    CHECK_ERROR(clv_model_open(&model, path, NULL), CLV_ECORRUPT,
                "tensor 'transformer.resblocks.1.ln_1.bias' is missing");
    CHECK_ERROR(clv_model_open(&model, t_path(directory, "nothing.safetensors"), NULL),
                CLV_ENOTFOUND, "nothing.safetensors");
    CHECK(model.weights == NULL);
}

static char logged[4096];

static void keep_log(enum clv_log_level level, const char *line, void *payload)
{
    (void)level, (void)payload;
    snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

static void extra_tensors_are_ignored_and_said(void)
{
    struct clv_model model;
    struct clv_model_facts facts;
    const char *path = write_tiny("extra", false, 128,
                                  &(struct random_model_options){.seed = 1, .is_unaligned = true});
    logged[0] = 0;
    clv_log_set(keep_log, NULL, CLV_LOG_INFO);
    CHECK_OK(clv_model_open(&model, path, NULL));
    clv_log_set(NULL, NULL, CLV_LOG_INFO);
    CHECK(strstr(logged, "1 tensors are no part of the model and ignored") != NULL);
    CHECK_OK(clv_model_facts(&facts, &model));
    CHECK_INT(facts.ignored_tensor_count, 1);
    CHECK_INT(facts.tokenizer_size, 0);
    CHECK(facts.file_bytes > facts.parameter_count * 4);
    CHECK_INT(strlen(facts.digest_text), 64);
    clv_model_release(&model);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void texts_become_unit_features(void)
{
    static const char *const texts[] = {"a person opens a door", "", "rain",
                                        "a person opens a door"};
    char long_text[400];
    struct clv_model model;
    struct clv_encoder *encoder = NULL;
    float out[5][128], alone[128];
    int cut_count = -1;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    const char *all[5] = {texts[0], texts[1], long_text, texts[2], texts[3]};
    REQUIRE_OK(clv_model_open_placeholder(&model));
    REQUIRE_OK(clv_encoder_create(&encoder, device, model.weights, &model.config,
                                  &(struct clv_encoder_options){.no_vision = true}));
    REQUIRE_OK(clv_model_encode_texts(&model, encoder, out[0], &cut_count, all, 5));
    CHECK_INT(cut_count, 1);
    for (int i = 0; i < 5; i++) {
        double square = 0;
        for (int k = 0; k < 128; k++)
            square += (double)out[i][k] * out[i][k];
        CHECK_NEAR(square, 1, 1e-5);
    }
    REQUIRE_OK(clv_model_encode_texts(&model, encoder, alone, NULL, texts, 1));
    double same = 0, other = 0;
    for (int k = 0; k < 128; k++) {
        CHECK_NEAR(out[0][k], alone[k], 1e-5);
        same += (double)out[0][k] * out[4][k];
        other += (double)out[0][k] * out[3][k];
    }
    CHECK_NEAR(same, 1, 1e-5);
    CHECK(other < 0.999);
    REQUIRE_OK(clv_model_encode_texts(&model, encoder, out[0], &cut_count, texts, 0));
    CHECK_INT(cut_count, 0);
    clv_encoder_free(encoder);
    clv_model_release(&model);
}

/* ---- the placeholder ------------------------------------------------------------------------- */

static void the_placeholder_is_the_same_everywhere(void)
{
    struct clv_model model;
    struct clv_model_facts facts;
    REQUIRE_OK(clv_model_open_placeholder(&model));
    CHECK(model.is_placeholder);
    CHECK_INT(model.config.mask, CLV_MASK_KMT);
    CHECK_INT(model.config.frame_count, 8);
    CHECK_INT(clv_tokenizer_size(model.tokenizer), 514);
    CHECK_OK(clv_model_facts(&facts, &model));
    CHECK_STRING(facts.digest_text,
                 "bed4cd52ee3769eae98c4fa29d7e39d02ff91196d02cb1924005f3007f567237");
    CHECK_INT(facts.file_bytes, 0);
    clv_model_release(&model);
}

enum { SCENE_COUNT = 6 };

/* Frame `t` of a synthetic scene: a moving disc over a graded ground, both of the scene's own
 * colours; `shift` moves the disc's path. */
static void draw(float *pixels, const struct clv_model_config *config, int scene, int t, int shift)
{
    static const float colours[SCENE_COUNT][6] = {
        {.9f, .1f, .1f, .1f, .1f, .3f}, {.1f, .8f, .2f, .8f, .8f, .7f},
        {.1f, .1f, .9f, .3f, .6f, .2f}, {.9f, .9f, .9f, .1f, .1f, .1f},
        {.1f, .1f, .1f, .9f, .8f, .3f}, {.7f, .2f, .7f, .4f, .4f, .4f}};
    const int side = config->image_side;
    const float *c = colours[scene];
    float cx = 10 + 4.0f * (float)t + 3.0f * (float)shift, cy = 14 + 7.0f * (float)scene;
    for (int k = 0; k < 3; k++)
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++) {
                float dx = (float)x - cx, dy = (float)y - cy;
                float value =
                    dx * dx + dy * dy < 120 ? c[k] : c[3 + k] * (0.5f + 0.5f * (float)y / 64);
                *pixels++ = (value - config->pixel_mean[k]) / config->pixel_std[k];
            }
}

/* Look-alikes are near, different scenes far: what search --like needs of it. */
static void the_placeholder_tells_scenes_apart(void)
{
    struct clv_model model;
    struct clv_encoder *encoder = NULL;
    static float pixels[8][3 * 64 * 64];
    static float vectors[2 * SCENE_COUNT][128];
    static const int32_t slots[] = {0, 1, 2, 3, 4, 5, 6, 7};
    REQUIRE_OK(clv_model_open_placeholder(&model));
    REQUIRE_OK(clv_encoder_create(&encoder, device, model.weights, &model.config, NULL));
    for (int i = 0; i < 2 * SCENE_COUNT; i++) {
        for (int t = 0; t < 8; t++)
            draw(pixels[t], &model.config, i / 2, t, i % 2);
        REQUIRE_OK(clv_encoder_frames(encoder, slots, pixels[0], 8));
        REQUIRE_OK(clv_encoder_windows(encoder, &(struct clv_window_outputs){.vectors = vectors[i]},
                                       slots, 1));
    }
    double others = 0, nearest_pair = 1;
    for (int i = 0; i < 2 * SCENE_COUNT; i++)
        for (int k = 0; k < i; k++) {
            double product = 0, a = 0, b = 0;
            for (int n = 0; n < 128; n++) {
                product += (double)vectors[i][n] * vectors[k][n];
                a += (double)vectors[i][n] * vectors[i][n];
                b += (double)vectors[k][n] * vectors[k][n];
            }
            double cosine = product / sqrt(a * b);
            if (i / 2 == k / 2)
                nearest_pair = fmin(nearest_pair, cosine);
            else
                others = fmax(others, cosine);
        }
    if (!(nearest_pair > others))
        t_fail(__FILE__, __LINE__, "look-alikes at %g, different scenes at %g", nearest_pair,
               others);
    CHECK(others < 0.99);
    clv_encoder_free(encoder);
    clv_model_release(&model);
}

/* ---- identity -------------------------------------------------------------------------------- */

static void digests_are_remembered(void)
{
    struct clv_model model;
    struct clv_model_config config;
    uint8_t digest[CLV_DIGEST_BYTES];
    const char *home = t_path(directory, "data"), *path = t_path(directory, "large.safetensors");
    const char *cache = t_path(home, "claverdb/model_digests.json");
    setenv("XDG_DATA_HOME", home, 1);
    REQUIRE(random_model_arch(&config, "tiny", 4, CLV_MASK_KMT, false));
    config.vocabulary_size = 40000; /* ten megabytes */
    REQUIRE_OK(random_model_write(path, &config, &(struct random_model_options){.seed = 1}));
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    memcpy(digest, model.digest, sizeof digest);
    clv_model_release(&model);
    CHECK(clv_file_exists(cache));
    /* What the file says is believed as long as path, size and time agree … */
    struct clv_map map;
    REQUIRE_OK(clv_map_open(&map, cache));
    char text[CLV_DIGEST_TEXT_SIZE], *changed = malloc(map.size_bytes + 1);
    REQUIRE(changed != NULL);
    memcpy(changed, map.data, map.size_bytes);
    changed[map.size_bytes] = 0;
    char *at = strstr(changed, clv_digest_text(text, digest));
    REQUIRE(at != NULL);
    memset(at, 'a', 64);
    REQUIRE_OK(clv_file_replace(cache, changed, map.size_bytes));
    clv_map_release(&map);
    free(changed);
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    CHECK_STRING(clv_digest_text(text, model.digest),
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    clv_model_release(&model);
    /* … and no longer. */
    REQUIRE_OK(random_model_write(path, &config, &(struct random_model_options){.seed = 1}));
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    REQUIRE(utimensat(AT_FDCWD, path, times, 0) == 0);
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    CHECK(memcmp(model.digest, digest, sizeof digest) == 0);
    clv_model_release(&model);
    /* A broken cache, and a directory that cannot be, only cost time. */
    REQUIRE_OK(clv_file_replace(cache, "{\"version\":1,\"models\":[3,{}", 27));
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    CHECK(memcmp(model.digest, digest, sizeof digest) == 0);
    clv_model_release(&model);
    setenv("XDG_DATA_HOME", "/dev/null/nowhere", 1);
    REQUIRE_OK(clv_model_open(&model, path, NULL));
    CHECK(memcmp(model.digest, digest, sizeof digest) == 0);
    clv_model_release(&model);
    unsetenv("XDG_DATA_HOME");
}

/* ---- compare --------------------------------------------------------------------------------- */

struct seen {
    char names[2048];
    int compared_count;
};

static void note(const struct clv_compare_line *line, void *payload)
{
    struct seen *seen = payload;
    if (line->is_compared) {
        snprintf(seen->names + strlen(seen->names), sizeof seen->names - strlen(seen->names),
                 "%s%s ", line->name, line->is_within ? "" : "!");
        seen->compared_count++;
    }
}

static void golden_models_compute_what_they_must(void)
{
    static const char *const names[] = {"kmt_p32_t4", "kmct_p16_t8"};
    for (size_t i = 0; i < 2; i++) {
        char weights[64], expect[64];
        snprintf(weights, sizeof weights, "golden/%s.safetensors", names[i]);
        snprintf(expect, sizeof expect, "golden/%s.expect.safetensors", names[i]);
        const char *weights_path = t_shared(weights), *expect_path = t_shared(expect);
        if (!weights_path || !expect_path)
            return;
        struct clv_model model;
        struct clv_compare_result result;
        struct seen seen = {0};
        REQUIRE_OK(clv_model_open(&model, weights_path, NULL));
        CHECK_OK(clv_compare_run(&result, &model, device, expect_path, 1e-4, note, &seen));
        CHECK(result.is_within);
        CHECK_INT(result.compared_count, 7);
        CHECK(result.ignored_count > 100);
        CHECK(result.error_max <= 1e-5);
        CHECK_STRING(seen.names, "frame_tokens frame_features patch_tokens video_vector "
                                 "text_features logits loss ");
        clv_model_release(&model);
    }
}

/* Four frames of 64x64 and one prompt of two texts for the tiny model, and what `expected` holds
 * of their results. */
static const char *write_expectation(const struct clv_weight_entry *expected, size_t count)
{
    static float video[4 * 3 * 64 * 64];
    static const int32_t tokens[2][5] = {{1, 5, 127, 0, 0}, {1, 127, 0, 0, 0}};
    const char *path = t_path(directory, "expect.safetensors");
    struct clv_weight_entry entries[8] = {
        {"input_video", CLV_F32, 5, {1, 4, 3, 64, 64}, 4 * 3 * 64 * 64, sizeof video, video},
        {"input_tokens", CLV_I32, 3, {1, 2, 5}, 10, sizeof tokens, tokens},
    };
    uint64_t seed = 4;
    for (size_t i = 0; i < sizeof video / sizeof video[0]; i++)
        video[i] = (float)t_normal(&seed);
    for (size_t i = 0; i < count; i++)
        entries[2 + i] = expected[i];
    if (clv_weights_save(path, entries, 2 + count, NULL, 0) != CLV_OK)
        t_fail(__FILE__, __LINE__, "%s", clv_error_message());
    return path;
}

static void compare_finds_what_differs(void)
{
    struct clv_model model;
    struct clv_compare_result result;
    float vector[64] = {0}, logits[2] = {0};
    REQUIRE_OK(clv_model_open(&model, write_tiny("compared", false, 128, NULL), NULL));
    /* Zeros are not what comes out: the error is relative to 1. */
    const struct clv_weight_entry expected[] = {
        {"video_vector", CLV_F32, 2, {1, 64}, 64, sizeof vector, vector},
        {"logits", CLV_F32, 3, {1, 1, 2}, 2, sizeof logits, logits},
        {"grad.visual.proj", CLV_F32, 1, {2}, 2, sizeof logits, logits},
    };
    struct seen seen = {0};
    REQUIRE_OK(clv_compare_run(&result, &model, device, write_expectation(expected, 3), 1e-4, note,
                               &seen));
    CHECK(!result.is_within);
    CHECK_STRING(seen.names, "video_vector! logits! ");
    CHECK_INT(result.ignored_count, 1);
    CHECK(result.error_max > 1e-2);
    /* A NaN anywhere is a difference, even under an endless tolerance. */
    vector[5] = NAN;
    REQUIRE_OK(clv_compare_run(&result, &model, device, write_expectation(expected, 2), INFINITY,
                               NULL, NULL));
    CHECK(!result.is_within);
    CHECK(isnan(result.error_max));
    clv_model_release(&model);
}

/* Expectations computed by the model itself, also of plain CLIP, pass. */
static void compare_accepts_what_is_right(void)
{
    for (int is_clip = 0; is_clip <= 1; is_clip++) {
        struct clv_model model;
        struct clv_compare_result result;
        struct clv_encoder *encoder = NULL;
        float features[2][64];
        static float video[4 * 3 * 64 * 64], tokens[4][17][128];
        uint64_t seed = 4;
        REQUIRE_OK(clv_model_open(
            &model, write_tiny(is_clip ? "own clip" : "own", is_clip, 128, NULL), NULL));
        REQUIRE_OK(clv_encoder_create(&encoder, device, model.weights, &model.config,
                                      &(struct clv_encoder_options){.all_tokens = true}));
        REQUIRE_OK(clv_encoder_text(encoder, features[0], (int32_t[]){1, 5, 127, 1, 127},
                                    (int32_t[]){0, 3, 5}, 2));
        for (size_t i = 0; i < sizeof video / sizeof video[0]; i++)
            video[i] = (float)t_normal(&seed);
        REQUIRE_OK(clv_encoder_frames(encoder, (int32_t[]){0, 1, 2, 3}, video, 4));
        for (int i = 0; i < 4; i++)
            REQUIRE_OK(clv_encoder_frame_tokens(encoder, tokens[i][0], i));
        clv_encoder_free(encoder);
        const struct clv_weight_entry expected[] = {
            {"text_features", CLV_F32, 2, {2, 64}, 128, sizeof features, features},
            {"frame_tokens", CLV_F32, 3, {4, 17, 128}, 4 * 17 * 128, sizeof tokens, tokens},
        };
        REQUIRE_OK(clv_compare_run(&result, &model, device, write_expectation(expected, 2), 1e-5,
                                   NULL, NULL));
        CHECK(result.is_within);
        CHECK_INT(result.compared_count, 2);
        clv_model_release(&model);
    }
}

static void compare_refuses_nonsense(void)
{
    static const float numbers[64];
    static const int32_t ids[] = {1, 200, 0};
    struct clv_model model;
    struct clv_compare_result result;
    const char *path = t_path(directory, "odd.safetensors");
    REQUIRE_OK(clv_model_open(&model, write_tiny("refusing", false, 128, NULL), NULL));
    const struct {
        struct clv_weight_entry entries[3];
        int count, status;
        const char *part;
    } cases[] = {
        {{{"x", CLV_F32, 1, {4}, 4, 16, numbers}}, 1, CLV_EINVAL, "nothing this can compare"},
        {{{"input_tokens", CLV_I32, 3, {1, 1, 2}, 2, 8, ids},
          {"grad.x", CLV_F32, 1, {4}, 4, 16, numbers}},
         2,
         CLV_EINVAL,
         "nothing this can compare"},
        {{{"text_features", CLV_F32, 2, {1, 64}, 64, 256, numbers}},
         1,
         CLV_EINVAL,
         "nothing this can compare"},
        {{{"input_video", CLV_F32, 1, {4}, 4, 16, numbers},
          {"video_vector", CLV_F32, 2, {1, 64}, 64, 256, numbers}},
         2,
         CLV_ECORRUPT,
         "shape of tensor 'input_video' does not fit"},
        {{{"input_tokens", CLV_F32, 3, {1, 1, 2}, 2, 8, numbers},
          {"text_features", CLV_F32, 2, {1, 64}, 64, 256, numbers}},
         2,
         CLV_ECORRUPT,
         "'input_tokens' does not fit"},
        {{{"input_tokens", CLV_I32, 3, {1, 1, 3}, 3, 12, ids},
          {"text_features", CLV_F32, 2, {1, 64}, 64, 256, numbers}},
         2,
         CLV_ECORRUPT,
         "holds 200, the model's vocabulary has 128"},
        {{{"input_tokens", CLV_I32, 3, {1, 1, 1}, 1, 4, ids},
          {"text_features", CLV_F32, 2, {2, 32}, 64, 256, numbers}},
         2,
         CLV_ECORRUPT,
         "'text_features' does not fit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        REQUIRE_OK(clv_weights_save(path, cases[i].entries, (size_t)cases[i].count, NULL, 0));
        CHECK_ERROR(clv_compare_run(&result, &model, device, path, 1e-4, NULL, NULL),
                    cases[i].status, cases[i].part);
    }
    CHECK_ERROR(
        clv_compare_run(&result, &model, device, t_path(directory, "none"), 1e-4, NULL, NULL),
        CLV_ENOTFOUND, "none");
    clv_model_release(&model);
}

int main(void)
{
    directory = t_directory();
    if (clv_device_open(&device, NULL) != CLV_OK) {
        printf("FAIL device: %s\n", clv_error_message());
        return 1;
    }
    T_RUN(opens_without_a_vocabulary);
    T_RUN(finds_the_vocabulary_beside_it);
    T_RUN(a_wrong_vocabulary_is_refused);
    T_RUN(frames_are_free_without_a_temporal_branch);
    T_RUN(broken_files_are_refused);
    T_RUN(extra_tensors_are_ignored_and_said);
    T_RUN(texts_become_unit_features);
    T_RUN(the_placeholder_is_the_same_everywhere);
    T_RUN(the_placeholder_tells_scenes_apart);
    T_RUN(digests_are_remembered);
    T_RUN(golden_models_compute_what_they_must);
    T_RUN(compare_finds_what_differs);
    T_RUN(compare_accepts_what_is_right);
    T_RUN(compare_refuses_nonsense);
    clv_device_close(device);
    return t_end();
}
