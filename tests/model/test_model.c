/* Whole models: opening, vocabularies, identity, texts, the built-in one, and compare. */
#include "core/model/model.h"

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/model/compare.h"
#include "core/model/weights.h"
#include "tests/devices.h"
#include "tests/model/golden.h"
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
    CHECK(!model.is_builtin);
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

enum { EMBED_MAX = 1024 };

static double product(const float *a, const float *b, int count)
{
    double sum = 0;
    for (int k = 0; k < count; k++)
        sum += (double)a[k] * b[k];
    return sum;
}

static void texts_become_unit_features(void)
{
    static const char *const texts[] = {"a person opens a door", "", "rain",
                                        "a person opens a door"};
    static float out[5 * EMBED_MAX], alone[EMBED_MAX];
    char long_text[4000];
    struct clv_model model;
    struct clv_encoder *encoder = NULL;
    int cut_count = -1;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    const char *all[5] = {texts[0], texts[1], long_text, texts[2], texts[3]};
    REQUIRE_OK(clv_model_open_mini(&model, NULL));
    const int width = model.config.embed_dim;
    REQUIRE(width <= EMBED_MAX);
    REQUIRE_OK(clv_encoder_create(&encoder, device, model.weights, &model.config,
                                  &(struct clv_encoder_options){.no_vision = true}));
    REQUIRE_OK(clv_model_encode_texts(&model, encoder, out, &cut_count, all, 5));
    CHECK_INT(cut_count, 1);
    for (int i = 0; i < 5; i++)
        CHECK_NEAR(product(out + i * width, out + i * width, width), 1, 1e-5);
    REQUIRE_OK(clv_model_encode_texts(&model, encoder, alone, NULL, texts, 1));
    for (int k = 0; k < width; k++)
        CHECK_NEAR(out[k], alone[k], 1e-5);
    CHECK_NEAR(product(out, out + 4 * width, width), 1, 1e-5);
    CHECK(product(out, out + 3 * width, width) < 0.999);
    REQUIRE_OK(clv_model_encode_texts(&model, encoder, out, &cut_count, texts, 0));
    CHECK_INT(cut_count, 0);
    clv_encoder_free(encoder);
    clv_model_release(&model);
}

/* ---- the built-in model ---------------------------------------------------------------------- */

#define MINI_FILE "core/model/claver-mini.safetensors"

static void the_built_in_model_is_its_file(void)
{
    struct clv_model mini, file;
    struct clv_model_facts mini_facts, file_facts;
    REQUIRE_OK(clv_model_open_mini(&mini, NULL));
    CHECK(mini.is_builtin);
    CHECK_STRING(mini.path, CLV_MODEL_MINI);
    CHECK(mini.config.temporal.layer_count > 0);
    REQUIRE(mini.tokenizer != NULL);
    CHECK_INT(clv_tokenizer_size(mini.tokenizer), mini.config.vocabulary_size);
    CHECK(clv_model_mini_bytes() <= 16000000);
    CHECK_INT(clv_weights_file_bytes(mini.weights), clv_model_mini_bytes());
    /* Not a copy, and aligned as a map of the file would be. */
    CHECK_INT((uintptr_t)clv_weights_at(mini.weights, 0)->data % 64, 0);
    REQUIRE_OK(clv_model_open(&file, MINI_FILE, NULL));
    CHECK(!file.is_builtin);
    CHECK_OK(clv_model_facts(&mini_facts, &mini));
    CHECK_OK(clv_model_facts(&file_facts, &file));
    CHECK_STRING(mini_facts.digest_text, file_facts.digest_text);
    CHECK_INT(mini_facts.file_bytes, file_facts.file_bytes);
    CHECK_INT(mini_facts.ignored_tensor_count, file_facts.ignored_tensor_count);
    CHECK_INT(clv_weights_metadata_count(mini.weights), clv_weights_metadata_count(file.weights));
    clv_model_release(&file);
    clv_model_release(&mini);
}

static void the_built_in_model_takes_options(void)
{
    struct clv_model model;
    const char *path = write_tiny("mini", false, 514, NULL);
    write_vocabulary(path);
    const char *vocabulary = t_path(t_path(directory, "mini"), "bpe_simple_vocab_16e6.txt");
    CHECK_ERROR(
        clv_model_open_mini(&model, &(struct clv_model_options){.vocabulary_path = vocabulary}),
        CLV_EINVAL, "has 514 tokens, the model 'claver-mini'");
    CHECK(model.weights == NULL && model.tokenizer == NULL && model.path == NULL);
    CHECK_ERROR(clv_model_open_mini(
                    &model, &(struct clv_model_options){.vocabulary_path = "/nothing/here"}),
                CLV_ENOTFOUND, "/nothing/here");
    CHECK(clv_model_is_mini("mini") && clv_model_is_mini("claver-mini"));
    CHECK(!clv_model_is_mini("./mini") && !clv_model_is_mini("Mini") && !clv_model_is_mini(""));
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

static void check_golden(const struct clv_model *model, const char *expect)
{
    struct clv_compare_result result;
    struct seen seen = {0};
    CHECK_OK(clv_compare_run(&result, model, device, expect, 1e-4, note, &seen));
    CHECK(result.is_within);
    CHECK_INT(result.compared_count, 7);
    CHECK(result.ignored_count > 100);
    CHECK(result.error_max <= 1e-5);
    CHECK_STRING(seen.names, "frame_tokens frame_features patch_tokens video_vector "
                             "text_features logits loss ");
}

static void golden_models_compute_what_they_must(void)
{
    golden_each(check_golden);
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

static void run_all(void)
{
    static bool are_files_done; /* which are the same whatever the device */
    T_RUN(texts_become_unit_features);
    T_RUN(golden_models_compute_what_they_must);
    T_RUN(compare_finds_what_differs);
    T_RUN(compare_accepts_what_is_right);
    if (are_files_done)
        return;
    are_files_done = true;
    T_RUN(opens_without_a_vocabulary);
    T_RUN(finds_the_vocabulary_beside_it);
    T_RUN(a_wrong_vocabulary_is_refused);
    T_RUN(frames_are_free_without_a_temporal_branch);
    T_RUN(broken_files_are_refused);
    T_RUN(extra_tensors_are_ignored_and_said);
    T_RUN(the_built_in_model_is_its_file);
    T_RUN(the_built_in_model_takes_options);
    T_RUN(digests_are_remembered);
    T_RUN(compare_refuses_nonsense);
}

int main(void)
{
    directory = t_directory();
    return t_each_device(&device, NULL, run_all);
}
