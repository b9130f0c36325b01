/* Weight files, vocabularies, text and pictures without memory or disk. */
#include "core/arena.h"
#include "core/error.h"
#include "core/file.h"
#include "core/image.h"
#include "core/json.h"
#include "core/model/import.h"
#include "core/model/model.h"
#include "core/model/pixels.h"
#include "core/model/tokenizer.h"
#include "core/model/weights.h"
#include "core/queue.h"
#include "tests/fault/fault.h"
#include "tests/model/random_model.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_memory(void *payload, int status)
{
    (void)payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
}

/* ---- weights ---- */

static const float numbers[6] = {1, 2, 3, 4, 5, 6};

static int save(const char *path, const char *value)
{
    struct clv_weight_entry entries[2] = {
        {.name = "b",
         .dtype = CLV_F32,
         .dimension_count = 2,
         .shape = {2, 3},
         .element_count = 6,
         .size_bytes = 24,
         .data = numbers},
        {.name = "a",
         .dtype = CLV_F32,
         .dimension_count = 1,
         .shape = {1},
         .element_count = 1,
         .size_bytes = 4,
         .data = numbers},
    };
    struct clv_weight_metadata metadata[] = {{"mask", "KMT"}, {"value", value}};
    return clv_weights_save(path, entries, 2, metadata, 2);
}

static int save_old(void *payload)
{
    return save(payload, "old");
}

static int save_new(void *payload)
{
    return save(payload, "new");
}

static void check_saved(void *payload, int status)
{
    struct clv_weights *weights = NULL;
    REQUIRE_OK(clv_weights_open(&weights, payload));
    CHECK_INT(clv_weights_count(weights), 2);
    CHECK_STRING(clv_weights_metadata(weights, "value"), status == CLV_OK ? "new" : "old");
    clv_weights_close(weights);
}

static void saved_weights_are_the_old_or_the_new(void)
{
    const char *path = t_path(t_directory(), "model.safetensors");
    static const int kinds[] = {FAULT_MEMORY, FAULT_FILES};
    for (int i = 0; i < 2; i++)
        fault_each(&(struct fault_case){.name = "save weights",
                                        .kinds = kinds[i],
                                        .prepare = save_old,
                                        .operate = save_new,
                                        .check = check_saved,
                                        .payload = (void *)(uintptr_t)path});
}

static int open_weights(void *payload)
{
    struct clv_weights *weights = NULL;
    int status = clv_weights_open(&weights, payload);
    CHECK((weights != NULL) == (status == CLV_OK));
    clv_weights_close(weights);
    return status;
}

static void opening_weights_reports_want_of_memory(void)
{
    const char *path = t_path(t_directory(), "model.safetensors");
    CHECK_OK(save(path, "x"));
    fault_each(&(struct fault_case){.name = "open weights",
                                    .kinds = FAULT_MEMORY,
                                    .operate = open_weights,
                                    .check = check_memory,
                                    .payload = (void *)(uintptr_t)path});
}

/* Its header and its vocabulary hold all that JSON can. */
static int open_mini(void *payload)
{
    struct clv_model model = {0};
    (void)payload;
    int status = clv_model_open_mini(&model, &(struct clv_model_options){0});
    if (status == CLV_OK)
        CHECK(model.weights && model.tokenizer && model.config.vocabulary_size == 1024);
    clv_model_release(&model);
    return status;
}

static void opening_the_built_in_model_reports_want_of_memory(void)
{
    fault_each(&(struct fault_case){.name = "open the built-in model",
                                    .kinds = FAULT_MEMORY,
                                    .operate = open_mini,
                                    .check = check_memory,
                                    .every = 300});
}

/* ---- vocabularies and text ---- */

/* Opens whatever `payload` names, or a list in memory, and encodes a text that needs merging. */
static int tokenize(void *payload)
{
    static const char list[] = "#version\na b\na b</w>\nab ab</w>\n";
    struct clv_tokenizer *tokenizer = NULL;
    int32_t ids[16];
    int count = 0;
    int status = payload ? clv_tokenizer_open(&tokenizer, payload)
                         : clv_tokenizer_open_text(&tokenizer, list, sizeof list - 1, "list");
    CHECK((tokenizer != NULL) == (status == CLV_OK));
    if (status == CLV_OK)
        status = clv_tokenizer_encode(tokenizer, ids, &count, NULL, "abab &amp; e\xcc\x81", 16);
    if (status == CLV_OK)
        CHECK(count > 3);
    clv_tokenizer_close(tokenizer);
    return status;
}

static void byte_symbol(char out[16], int id)
{
    int n = id % 256;
    int code_point = n < 94 ? 33 + n : n < 106 ? 161 + n - 94 : n < 188 ? 174 + n - 106 : 68 + n;
    char character[3] = {(char)code_point};
    if (code_point >= 128) {
        character[0] = (char)(0xc0 | code_point >> 6);
        character[1] = (char)(0x80 | (code_point & 63));
    }
    snprintf(out, 16, "%s%s", character, id < 256 ? "" : "</w>");
}

/* The byte vocabulary and one merge, as vocab.json and merges.txt or as tokenizer.json. */
static void write_vocabulary(const char *directory, bool whole)
{
    struct clv_json *vocab = clv_json_object(), *root = NULL;
    for (int id = 0; id < 512; id++) {
        char symbol[16];
        byte_symbol(symbol, id);
        clv_json_put_integer(vocab, symbol, id);
    }
    clv_json_put_integer(vocab, "ab", 512);
    clv_json_put_integer(vocab, "<|startoftext|>", 513);
    clv_json_put_integer(vocab, "<|endoftext|>", 514);
    if (whole) {
        struct clv_json *model = clv_json_object(), *merges = clv_json_array();
        struct clv_json *pair = clv_json_array();
        clv_json_append_string(pair, "a");
        clv_json_append_string(pair, "b");
        clv_json_append(merges, pair);
        clv_json_put(model, "vocab", vocab);
        clv_json_put(model, "merges", merges);
        root = clv_json_object();
        clv_json_put(root, "model", model);
    }
    struct clv_bytes text = {0};
    CHECK_OK(clv_json_write(&text, root ? root : vocab, false));
    CHECK_OK(clv_file_replace(t_path(directory, whole ? "tokenizer.json" : "vocab.json"), text.data,
                              text.size_bytes));
    CHECK_OK(clv_file_replace(t_path(directory, "merges.txt"), "#version\na b\n", 13));
    clv_bytes_release(&text);
    clv_json_free(root ? root : vocab);
}

static void every_vocabulary_reports_want_of_memory(void)
{
    const char *pair = t_directory(), *whole = t_directory();
    write_vocabulary(pair, false);
    write_vocabulary(whole, true);
    const char *list = t_path(t_directory(), "list.txt");
    CHECK_OK(clv_file_replace(list, "#version\na b\n", 13));
    const char *const forms[] = {NULL, list, pair, whole};
    for (int i = 0; i < 4; i++)
        fault_each(&(struct fault_case){.name = forms[i] ? forms[i] : "list in memory",
                                        .kinds = FAULT_MEMORY,
                                        .operate = tokenize,
                                        .check = check_memory,
                                        .payload = (void *)(uintptr_t)forms[i]});
}

/* ---- imports ---- */

static const char *import_folder, *import_in, *import_out;

/* A checkpoint with a prefix and a vocabulary beside it, imported into the cache or into a file. */
static int import_model(void *payload)
{
    char *file = NULL;
    if (!payload)
        return clv_import(import_in, import_out, NULL, NULL);
    int status = clv_import_cached(&file, import_in, NULL, NULL);
    CHECK((file != NULL) == (status == CLV_OK));
    free(file);
    return status;
}

/* `payload`: NULL for a file, else where the cache's file is. */
static int forget_import(void *payload)
{
    const char *path = payload ? payload : import_out;
    (void)unlink(path);
    return clv_file_exists(path) ? CLV_ERR : CLV_OK;
}

/* What is there is whole, and nothing else is. */
static void check_import(void *payload, int status)
{
    struct clv_weights *weights = NULL;
    CHECK(status == CLV_OK || status == CLV_ENOMEM || status == CLV_EIO);
    if (!payload && status != CLV_OK)
        CHECK(!clv_file_exists(import_out));
    if (!payload && status == CLV_OK) {
        REQUIRE_OK(clv_weights_open(&weights, import_out));
        CHECK(clv_weights_metadata(weights, "activation") != NULL);
    }
    clv_weights_close(weights);
}

static void an_import_is_whole_or_not_there(void)
{
    struct clv_model_config config;
    struct clv_weights *weights = NULL;
    struct clv_weight_entry entries[100];
    char names[100][128];
    import_folder = t_directory();
    import_in = t_path(import_folder, "in.safetensors");
    import_out = t_path(import_folder, "out.safetensors");
    setenv("XDG_CACHE_HOME", import_folder, 1);
    setenv("XDG_DATA_HOME", import_folder, 1);
    REQUIRE(random_model_arch(&config, "tiny", 2, CLV_MASK_KMT, true));
    config.vocabulary_size = 515;
    const char *plain = t_path(import_folder, "plain.safetensors");
    REQUIRE_OK(random_model_write(plain, &config, &(struct random_model_options){.seed = 1}));
    REQUIRE_OK(clv_weights_open(&weights, plain));
    size_t count = clv_weights_count(weights);
    REQUIRE(count <= 100);
    for (size_t i = 0; i < count; i++) {
        entries[i] = *clv_weights_at(weights, i);
        snprintf(names[i], sizeof names[i], "model.%.100s", entries[i].name);
        entries[i].name = names[i];
    }
    REQUIRE_OK(clv_weights_save(import_in, entries, count, NULL, 0));
    clv_weights_close(weights);
    REQUIRE_OK(clv_file_replace(t_path(import_folder, "bpe_simple_vocab_16e6.txt"),
                                "#version\na b\n", 13));
    static const int kinds[] = {FAULT_MEMORY, FAULT_FILES};
    char *in_cache = NULL;
    REQUIRE_OK(clv_import_cached(&in_cache, import_in, NULL, NULL));
    for (int i = 0; i < 2; i++)
        for (int cached = 0; cached < 2; cached++)
            fault_each(&(struct fault_case){.name = "import",
                                            .kinds = kinds[i],
                                            .prepare = forget_import,
                                            .operate = import_model,
                                            .check = check_import,
                                            .payload = cached ? in_cache : NULL,
                                            .every = 40});
    free(in_cache);
}

/* ---- the rest of what models are fed with ---- */

static int make_square(void *payload)
{
    struct clv_model_config config = {.image_side = 8, .resize = *(const enum clv_resize *)payload};
    struct clv_image image;
    struct clv_pixels *pixels = NULL;
    uint8_t square[8 * 8 * 3];
    int status = clv_image_create(&image, 20, 10);
    if (status == CLV_OK) {
        memset(image.pixels, 7, image.stride_bytes * 10);
        status = clv_pixels_create(&pixels, &config);
    }
    if (status == CLV_OK)
        status = clv_pixels_crop(pixels, square, &image);
    if (status == CLV_OK) {
        image.height = 9; /* another size: weights are made anew */
        status = clv_pixels_crop(pixels, square, &image);
    }
    if (status == CLV_OK)
        CHECK(square[0] == 7 && square[191] == 7);
    clv_pixels_free(pixels);
    clv_image_release(&image);
    return status;
}

static void pictures_report_want_of_memory(void)
{
    enum clv_resize rules[] = {CLV_RESIZE_BICUBIC_ANTIALIAS, CLV_RESIZE_BILINEAR_256};
    for (int i = 0; i < 2; i++)
        fault_each(&(struct fault_case){.name = "picture",
                                        .kinds = FAULT_MEMORY,
                                        .operate = make_square,
                                        .check = check_memory,
                                        .payload = &rules[i]});
}

static int make_containers(void *payload)
{
    (void)payload;
    struct clv_queue *queue = NULL;
    struct clv_arena arena = {0};
    int status = clv_queue_create(&queue, 4);
    CHECK((queue != NULL) == (status == CLV_OK));
    if (status == CLV_OK)
        status = clv_arena_init(&arena, 1000);
    if (status == CLV_OK)
        CHECK(clv_arena_alloc(&arena, 10, 10) != NULL);
    clv_arena_release(&arena);
    clv_queue_free(queue);
    return status;
}

static void containers_report_want_of_memory(void)
{
    fault_each(&(struct fault_case){.name = "containers",
                                    .kinds = FAULT_MEMORY,
                                    .operate = make_containers,
                                    .check = check_memory});
}

int main(void)
{
    T_RUN(saved_weights_are_the_old_or_the_new);
    T_RUN(opening_weights_reports_want_of_memory);
    T_RUN(opening_the_built_in_model_reports_want_of_memory);
    T_RUN(every_vocabulary_reports_want_of_memory);
    T_RUN(an_import_is_whole_or_not_there);
    T_RUN(pictures_report_want_of_memory);
    T_RUN(containers_report_want_of_memory);
    return t_end();
}
