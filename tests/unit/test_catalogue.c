/* The compiled-in list, users' lists, and the addresses that come of them. */
#include "core/digest.h"
#include "core/error.h"
#include "core/fetch.h"
#include "core/file.h"
#include "core/model/catalogue.h"
#include "core/model/pull.h"
#include "core/model/pull_source.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"

static const char *directory;

static int open_list(struct clv_catalogue **out, const char *text)
{
    const char *path = t_path(directory, "list.json");
    if (clv_file_replace(path, text, strlen(text)) != CLV_OK)
        return CLV_ERR;
    return clv_catalogue_open(out, path);
}

static void the_built_in_list_holds_together(void)
{
    static const char *const names[] = {"clip-b32", "clip-b16", "clip-l14", "clip-l14-336"};
    struct clv_catalogue *catalogue = NULL;
    REQUIRE_OK(clv_catalogue_open(&catalogue, NULL));
    CHECK_INT(clv_catalogue_count(catalogue), 5);
    for (size_t i = 0; i < clv_catalogue_count(catalogue); i++) {
        const struct clv_catalogue_entry *entry = clv_catalogue_at(catalogue, i);
        uint8_t digest[CLV_DIGEST_BYTES];
        CHECK(clv_catalogue_is_name(entry->name));
        CHECK(clv_catalogue_is_file(entry->file));
        CHECK(clv_fetch_is_address(entry->url));
        CHECK_STRING(clv_path_base(entry->url), entry->file);
        CHECK_OK(clv_digest_parse(digest, entry->sha256));
        CHECK(entry->size_bytes > 1000000);
        CHECK_STRING(entry->licence, "MIT");
        CHECK(clv_catalogue_find(catalogue, entry->name) == entry);
    }
    for (int i = 0; i < 4; i++) {
        const struct clv_catalogue_entry *entry = clv_catalogue_find(catalogue, names[i]);
        REQUIRE(entry != NULL);
        CHECK(!entry->is_vocabulary);
        /* OpenAI's addresses carry the digest. */
        CHECK(strstr(entry->url, entry->sha256) != NULL);
        CHECK_STRING(entry->vocabulary, CLV_CATALOGUE_CLIP_VOCABULARY);
    }
    CHECK(clv_catalogue_find(catalogue, CLV_CATALOGUE_CLIP_VOCABULARY)->is_vocabulary);
    CHECK(clv_catalogue_find(catalogue, "clip") == NULL);
    clv_catalogue_close(catalogue);
}

/* What the list says of the vocabulary is true of the published file. */
static void the_vocabulary_is_the_published_one(void)
{
    struct clv_catalogue *catalogue = NULL;
    uint8_t digest[CLV_DIGEST_BYTES];
    char text[CLV_DIGEST_TEXT_SIZE];
    struct clv_file_facts facts;
    const char *path = t_shared("vocab/bpe_simple_vocab_16e6.txt.gz");
    if (path == NULL)
        return;
    REQUIRE_OK(clv_catalogue_open(&catalogue, NULL));
    const struct clv_catalogue_entry *entry =
        clv_catalogue_find(catalogue, CLV_CATALOGUE_CLIP_VOCABULARY);
    CHECK_OK(clv_sha256_file(digest, path, NULL));
    CHECK_STRING(clv_digest_text(text, digest), entry->sha256);
    CHECK_OK(clv_file_facts(&facts, path));
    CHECK_INT(facts.size_bytes, entry->size_bytes);
    clv_catalogue_close(catalogue);
}

static void lists_add_and_replace(void)
{
    static const char *const lists[] = {
        "[{\"name\":\"mine\",\"url\":\"https://a/b/c.pt?d=e\",\"sha256\":\"" HEX "\"},"
        "{\"name\":\"clip-b32\",\"url\":\"http://a/x\",\"file\":\"f.pt\",\"sha256\":\"" HEX "\","
        "\"size_bytes\":7,\"licence\":\"GPL\",\"source\":\"s\",\"description\":\"d\","
        "\"vocabulary\":\"words\"},"
        "{\"type\":\"vocabulary\",\"name\":\"words\",\"url\":\"http://a/w.gz\",\"sha256\":\"" HEX
        "\",\"vocabulary\":null,\"path\":\"/ignored\"}]",
        "\n{\"name\":\"mine\",\"url\":\"https://a/b/c.pt?d=e\",\"sha256\":\"" HEX "\"}\n \n"
        "{\"name\":\"clip-b32\",\"url\":\"http://a/x\",\"file\":\"f.pt\",\"sha256\":\"" HEX "\","
        "\"size_bytes\":7,\"licence\":\"GPL\",\"source\":\"s\",\"description\":\"d\","
        "\"vocabulary\":\"words\"}\r\n"
        "{\"type\":\"vocabulary\",\"name\":\"words\",\"url\":\"http://a/w.gz\",\"sha256\":\"" HEX
        "\"}\n{\"type\":\"built-in\",\"name\":\"mini\"}\n",
    };
    for (int i = 0; i < 2; i++) {
        struct clv_catalogue *catalogue = NULL;
        REQUIRE_OK(open_list(&catalogue, lists[i]));
        CHECK_INT(clv_catalogue_count(catalogue), 7);
        const struct clv_catalogue_entry *mine = clv_catalogue_find(catalogue, "mine");
        const struct clv_catalogue_entry *replaced = clv_catalogue_at(catalogue, 0);
        REQUIRE(mine != NULL);
        CHECK_STRING(mine->file, "c.pt");
        CHECK_STRING(mine->licence, "");
        CHECK_INT(mine->size_bytes, 0);
        CHECK(mine->vocabulary == NULL && !mine->is_vocabulary);
        CHECK_STRING(replaced->name, "clip-b32");
        CHECK_STRING(replaced->file, "f.pt");
        CHECK_STRING(replaced->licence, "GPL");
        CHECK_INT(replaced->size_bytes, 7);
        CHECK_STRING(replaced->vocabulary, "words");
        CHECK(clv_catalogue_find(catalogue, "words")->is_vocabulary);
        clv_catalogue_close(catalogue);
    }
    struct clv_catalogue *catalogue = NULL;
    REQUIRE_OK(open_list(&catalogue, ""));
    CHECK_INT(clv_catalogue_count(catalogue), 5);
    clv_catalogue_close(catalogue);
}

#define ENTRY(more) "[{\"name\":\"mine\",\"url\":\"http://a/b\",\"sha256\":\"" HEX "\"" more "}]"

static void what_is_wrong_is_named(void)
{
    static const char *const bad[][2] = {
        {"[", "list.json"},
        {"{", "list.json"},
        {"[7]", "list.json': entry 1 is no object"},
        {"7\n", "list.json': entry 1 is no object"},
        {"[{}]", "list.json': the \"name\" of entry 1 is missing"},
        {"[{\"name\":7}]", "the \"name\" of entry 1 is no text"},
        {"[{\"name\":\"../x\"}]", "the \"name\" of entry 1 is not 1 to 64 letters"},
        {"[{\"name\":\"\"}]", "is not 1 to 64 letters"},
        {"[{\"name\":\"mine\"}]", "the \"url\" of the model 'mine' is missing"},
        {"[{\"name\":\"mine\",\"url\":\"file:///etc/passwd\"}]", "is no http or https address"},
        {"[{\"name\":\"mine\",\"url\":\"http://a/b\"}]", "the \"sha256\" of the model 'mine' is"},
        {"[{\"name\":\"mine\",\"url\":\"http://a/b/\",\"sha256\":\"" HEX "\"}]", "the \"file\" of"},
        {"[{\"name\":\"mine\",\"url\":\"http://a/b\",\"sha256\":\"12\"}]", "64 hexadecimal digits"},
        {ENTRY(",\"file\":\"../b\""), "the \"file\" of the model 'mine' "},
        {ENTRY(",\"file\":\".hidden\""), "the \"file\" of the model 'mine' "},
        {ENTRY(",\"file\":[]"), "the \"file\" of the model 'mine' is no text"},
        {ENTRY(",\"size_bytes\":-1"), "the \"size_bytes\" of the model 'mine' is no number"},
        {ENTRY(",\"size_bytes\":1.5"), "the \"size_bytes\" of the model 'mine' is no number"},
        {ENTRY(",\"size_bytes\":\"1\""), "the \"size_bytes\" of the model 'mine' is no number"},
        {ENTRY(",\"type\":\"thing\""), "is neither \"model\" nor \"vocabulary\""},
        {"[{\"name\":\"mini\",\"url\":\"http://a/b\",\"sha256\":\"" HEX "\"}]",
         "is that of the built-in model"},
        {ENTRY(",\"vocabulary\":\"no\""), "the vocabulary 'no' of the model 'mine' is not in"},
        {ENTRY(",\"vocabulary\":\"clip-b16\""), "the vocabulary 'clip-b16' of the model 'mine'"},
        {ENTRY(",\"licence\":\"a\\u0000b\""), "list.json"},
    };
    struct clv_catalogue *catalogue = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_ERROR(open_list(&catalogue, bad[i][0]), CLV_ECORRUPT, bad[i][1]);
        CHECK(catalogue == NULL);
        clv_catalogue_close(catalogue);
    }
    CHECK_ERROR(clv_catalogue_open(&catalogue, t_path(directory, "none")), CLV_ENOTFOUND, "none'");
    clv_catalogue_close(NULL);
}

static void names_are_no_paths(void)
{
    static const char *const good[] = {"a", "clip-b32", "A.b_c-9"};
    static const char *const bad[] = {"",   ".",  "..",  "../a", "a/b",
                                      "-a", ".a", "a b", "a\n",  "\xc3\xa9"};
    char longest[66];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(clv_pull_is_name(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *path = NULL;
        CHECK(!clv_pull_is_name(bad[i]));
        CHECK_ERROR(clv_pull_path(&path, bad[i]), CLV_EINVAL, "can be no model's name");
        CHECK(path == NULL);
    }
    memset(longest, 'a', sizeof longest);
    longest[65] = '\0';
    CHECK(!clv_pull_is_name(longest));
    longest[64] = '\0';
    CHECK(clv_pull_is_name(longest));
}

static void pulled_models_have_their_place(void)
{
    char *path = NULL;
    setenv("XDG_DATA_HOME", "/data", 1);
    REQUIRE_OK(clv_pull_path(&path, "clip-b32"));
    CHECK_STRING(path, "/data/claverdb/models/clip-b32.safetensors");
    free(path);
    struct clv_catalogue_entry words = {.name = "words", .file = "w.gz", .is_vocabulary = true};
    REQUIRE_OK(clv_pull_entry_path(&path, &words));
    CHECK_STRING(path, "/data/claverdb/vocabulary/w.gz");
    free(path);
}

static void addresses_are_tried_in_order(void)
{
    struct clv_pull_sources sources = {0};
    REQUIRE_OK(clv_pull_sources_list(&sources, "f.pt", "http://from/",
                                     "  http://one/a/ https://two/b\thttp://three",
                                     "http://public/x"));
    static const char *const want[] = {"http://from/f.pt", "http://one/a/f.pt",
                                       "https://two/b/f.pt", "http://three/f.pt",
                                       "http://public/x"};
    CHECK_INT(sources.count, 5);
    for (int i = 0; i < 5 && i < sources.count; i++)
        CHECK_STRING(sources.urls[i], want[i]);
    clv_pull_sources_release(&sources);
    CHECK_ERROR(clv_pull_sources_list(&sources, "f", NULL, "ftp://a", "http://b"), CLV_EINVAL,
                "'ftp://a/f' is no http or https address");
    clv_pull_sources_release(&sources);
    char many[17 * 9 + 1];
    for (int i = 0; i < 17; i++)
        memcpy(many + 9 * i, "http://a ", 10);
    CHECK_ERROR(clv_pull_sources_list(&sources, "f", NULL, many, NULL), CLV_EINVAL,
                "more than 16 addresses");
    clv_pull_sources_release(&sources);

    size_t size = 0;
    CHECK(strncmp(clv_pull_file_of("http://a/b/c.pt?x/y#z", &size), "c.pt?", 5) == 0);
    CHECK_INT(size, 4);
    (void)clv_pull_file_of("http://a/b/", &size);
    CHECK_INT(size, 0);
    CHECK(clv_pull_is_base("http://a/"));
    CHECK(!clv_pull_is_base("http://a"));
}

int main(void)
{
    directory = t_directory();
    T_RUN(the_built_in_list_holds_together);
    T_RUN(the_vocabulary_is_the_published_one);
    T_RUN(lists_add_and_replace);
    T_RUN(what_is_wrong_is_named);
    T_RUN(names_are_no_paths);
    T_RUN(pulled_models_have_their_place);
    T_RUN(addresses_are_tried_in_order);
    return t_end();
}
