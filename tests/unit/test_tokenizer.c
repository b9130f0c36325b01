/* The tokenizer against published text → ids pairs, in every form the vocabulary comes in, and
 * against broken vocabularies. */
#include "core/error.h"
#include "core/file.h"
#include "core/gzip.h"
#include "core/json.h"
#include "core/model/tokenizer.h"
#include "tests/t.h"

#include <stdlib.h>
#include <string.h>

#define CONTEXT 128

/* What a form is checked with: "1 2 3" of the ids between start and end. */
static void check_ids(const struct clv_tokenizer *tokenizer, const char *text, const char *want)
{
    int32_t ids[CONTEXT];
    int count = 0;
    bool is_cut = true;
    struct clv_bytes got = {0};
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, &is_cut, text, CONTEXT));
    CHECK(!is_cut && count >= 2);
    clv_bytes_text(&got, "");
    for (int i = 1; i + 1 < count; i++)
        clv_bytes_format(&got, "%s%d", i > 1 ? " " : "", (int)ids[i]);
    CHECK_STRING(got.data, want);
    clv_bytes_release(&got);
}

static struct clv_json *read_json(const char *path)
{
    struct clv_bytes text = {0};
    struct clv_json *root = NULL;
    CHECK_OK(clv_gzip_read(&text, path, (size_t)1 << 26));
    CHECK_OK(clv_json_parse(&root, text.data, text.size_bytes, path));
    clv_bytes_release(&text);
    return root;
}

/* Runs every published pair on which OpenAI's tokenizer agrees; returns how many. */
static int check_vectors(const struct clv_tokenizer *tokenizer)
{
    int checked = 0;
    struct clv_json *vectors = read_json(t_path("../shared/vocab", "clip_token_vectors.json"));
    for (size_t i = 0; i < clv_json_count(vectors); i++) {
        const struct clv_json *vector = clv_json_at(vectors, i);
        if (!clv_json_bool(clv_json_get(vector, "openai_port_agrees"), false))
            continue;
        size_t size;
        const char *text = clv_json_string(clv_json_get(vector, "text"), &size, "");
        const struct clv_json *want = clv_json_get(vector, "ids");
        int32_t ids[CONTEXT];
        int count = 0;
        CHECK_OK(clv_tokenizer_encode_bytes(tokenizer, ids, &count, NULL, text, size, CONTEXT));
        bool same =
            count == (int)clv_json_count(want) + 2 && ids[0] == 49406 && ids[count - 1] == 49407;
        for (int j = 0; same && j + 2 < count; j++)
            same = ids[j + 1] == clv_json_integer(clv_json_at(want, (size_t)j), -1);
        if (!same)
            t_fail(__FILE__, __LINE__, "other ids for '%s' (%d of them)", text, count);
        checked++;
    }
    clv_json_free(vectors);
    return checked;
}

static void check_form(const char *path)
{
    struct clv_tokenizer *tokenizer = NULL;
    REQUIRE_OK(clv_tokenizer_open(&tokenizer, path));
    CHECK_INT(clv_tokenizer_size(tokenizer), 49408);
    CHECK_INT(clv_tokenizer_start_id(tokenizer), 49406);
    CHECK_INT(clv_tokenizer_end_id(tokenizer), 49407);
    CHECK_INT(check_vectors(tokenizer), 165);
    /* The two pairs OpenAI's tokenizer disagrees with, by its rules: entities, single digits. */
    check_ids(tokenizer, "&amp;", "261");
    check_ids(tokenizer, "2025", "273 271 273 276");
    clv_tokenizer_close(tokenizer);
}

static void openai_list_gives_the_published_ids(void)
{
    if (t_shared("vocab"))
        check_form("../shared/vocab/bpe_simple_vocab_16e6.txt.gz");
}

static void huggingface_pair_gives_the_published_ids(void)
{
    if (!t_shared("vocab"))
        return;
    check_form("../shared/vocab/hf_vocab.json");
    check_form("../shared/vocab/hf_merges.txt");
}

/* tokenizer.json out of the two files, with merges as pairs or as texts, and the specials in the
 * vocabulary or only beside it. */
static struct clv_json *tokenizer_json(bool as_pairs)
{
    struct clv_json *root = clv_json_object(), *model = clv_json_object();
    struct clv_json *vocab = read_json("../shared/vocab/hf_vocab.json");
    struct clv_json *merges = clv_json_array(), *added = clv_json_array();
    struct clv_bytes text = {0};
    CHECK_OK(clv_gzip_read(&text, "../shared/vocab/hf_merges.txt", (size_t)1 << 26));
    char *line = strchr(text.data, '\n') + 1, *newline;
    for (; (newline = strchr(line, '\n')); line = newline + 1) {
        *newline = '\0';
        if (as_pairs) {
            struct clv_json *pair = clv_json_array();
            char *space = strchr(line, ' ');
            *space = '\0';
            clv_json_append_string(pair, line);
            clv_json_append_string(pair, space + 1);
            clv_json_append(merges, pair);
        } else
            clv_json_append_string(merges, line);
    }
    clv_bytes_release(&text);
    for (int i = 0; i < 2; i++) {
        struct clv_json *token = clv_json_object();
        clv_json_put_integer(token, "id", 49406 + i);
        clv_json_put_string(token, "content", i ? "<|endoftext|>" : "<|startoftext|>");
        clv_json_append(added, token);
    }
    clv_json_put_string(model, "type", "BPE");
    clv_json_put_string(model, "end_of_word_suffix", "</w>");
    clv_json_put(model, "vocab", vocab);
    clv_json_put(model, "merges", merges);
    clv_json_put(root, "added_tokens", added);
    clv_json_put(root, "model", model);
    return root;
}

static void tokenizer_json_gives_the_published_ids(void)
{
    if (!t_shared("vocab"))
        return;
    for (int as_pairs = 0; as_pairs < 2; as_pairs++) {
        const char *directory = t_directory();
        const char *path = t_path(directory, "tokenizer.json");
        struct clv_json *root = tokenizer_json(as_pairs);
        struct clv_bytes text = {0};
        CHECK_OK(clv_json_write(&text, root, as_pairs));
        CHECK_OK(clv_file_replace(path, text.data, text.size_bytes));
        clv_bytes_release(&text);
        clv_json_free(root);
        check_form(as_pairs ? directory : path);
    }
}

int main(void)
{
    T_RUN(openai_list_gives_the_published_ids);
    T_RUN(huggingface_pair_gives_the_published_ids);
    T_RUN(tokenizer_json_gives_the_published_ids);
    return t_end();
}
