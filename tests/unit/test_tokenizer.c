/* The tokenizer against published text → ids pairs, in every form the vocabulary comes in, and
 * against broken vocabularies. */
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/gzip.h"
#include "core/json.h"
#include "core/model/tokenizer.h"
#include "tests/t.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The 514 ids without merges. */
static void the_empty_list_is_the_byte_vocabulary(void)
{
    struct clv_tokenizer *tokenizer = NULL;
    REQUIRE_OK(clv_tokenizer_open_text(&tokenizer, NULL, 0, "bytes"));
    CHECK_INT(clv_tokenizer_size(tokenizer), 514);
    CHECK_INT(clv_tokenizer_start_id(tokenizer), 512);
    CHECK_INT(clv_tokenizer_end_id(tokenizer), 513);
    check_ids(tokenizer, "ab!", "64 321 256");
    check_ids(tokenizer, "\xc3\xa9", "127 358"); /* U+00E9 is the bytes c3 a9 */
    check_ids(tokenizer, "\xff", "171 123 377"); /* U+FFFD */
    check_ids(tokenizer, "<|endoftext|>x<|StartOfText|>", "513 343 512");
    check_ids(tokenizer, "don't", "67 78 333 6 339");
    clv_tokenizer_close(tokenizer);
    clv_tokenizer_close(NULL);
}

static void long_text_is_cut_before_the_end_id(void)
{
    struct clv_tokenizer *tokenizer = NULL;
    int32_t ids[8];
    int count = 0;
    bool is_cut = true;
    REQUIRE_OK(clv_tokenizer_open_text(&tokenizer, "", 0, "bytes"));
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, &is_cut, "a b c", 5));
    CHECK_INT(count, 5); /* exactly full */
    CHECK(!is_cut);
    ids[5] = -7;
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, &is_cut, "a b c d", 5));
    CHECK_INT(count, 5);
    CHECK(is_cut);
    CHECK_INT(ids[3], 322);
    CHECK_INT(ids[4], 513);
    CHECK_INT(ids[5], -7);
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, &is_cut, "abcd", 4)); /* inside a word */
    CHECK(is_cut && count == 4 && ids[3] == 513);
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, &is_cut, "a  ", 3));
    CHECK(!is_cut && count == 3);
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, NULL, "", 2));
    CHECK(count == 2 && ids[0] == 512 && ids[1] == 513);
    CHECK_ERROR(clv_tokenizer_encode(tokenizer, ids, &count, NULL, "a", 1), CLV_EINVAL, "1 ids");
    clv_tokenizer_close(tokenizer);
}

/* A megabyte without a space: more than any scratch should be sized for, and not quadratic. */
static void very_long_words_are_fast(void)
{
    struct clv_tokenizer *tokenizer = NULL;
    enum { SIZE = (1 << 20) + 1000 };
    char *text = malloc(SIZE + 1);
    uint64_t seed = 3;
    int32_t ids[77];
    int count;
    bool is_cut;
    static const char list[] =
        "#version\na a\nb b\naa aa\nbb aa\na b\nb a\nc c\na b</w>\nab ab</w>\n";
    REQUIRE_OK(clv_tokenizer_open_text(&tokenizer, list, sizeof list - 1, "list"));
    for (int i = 0; i < SIZE; i++)
        text[i] = "abc"[t_random(&seed) % 3];
    text[SIZE] = '\0';
    double start = clv_clock_seconds();
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, &is_cut, text, 77));
    CHECK(is_cut && count == 77);
    CHECK(clv_clock_seconds() - start < 20); /* far from the minutes of a scan per merge */
    free(text);
    clv_tokenizer_close(tokenizer);
}

/* ---- merging against the published loop ------------------------------------------------------ */

#define MERGES 60
#define SYMBOL_SIZE 24

/* A small vocabulary over a, b, c in which merge i makes symbol 6 + i; `order` gives the ranks. */
struct small {
    char symbols[6 + MERGES][SYMBOL_SIZE];
    char left[MERGES][SYMBOL_SIZE], right[MERGES][SYMBOL_SIZE];
    int order[MERGES];
};

static void make_small(struct small *small, uint64_t *seed)
{
    static const char *const letters[] = {"a", "b", "c", "a</w>", "b</w>", "c</w>"};
    int count = 6;
    for (int i = 0; i < 6; i++)
        snprintf(small->symbols[i], SYMBOL_SIZE, "%s", letters[i]);
    while (count < 6 + MERGES) {
        const char *left = small->symbols[t_random(seed) % (uint64_t)count];
        const char *right = small->symbols[t_random(seed) % (uint64_t)count];
        char joined[2 * SYMBOL_SIZE];
        snprintf(joined, sizeof joined, "%s%s", left, right);
        bool known = strlen(joined) >= 12 || strchr(left, '<');
        for (int i = 0; i < count; i++)
            known = known || strcmp(small->symbols[i], joined) == 0;
        if (known)
            continue;
        int merge = count - 6;
        memcpy(small->left[merge], left, SYMBOL_SIZE);
        memcpy(small->right[merge], right, SYMBOL_SIZE);
        snprintf(small->symbols[count++], SYMBOL_SIZE, "%.23s", joined);
        small->order[merge] = merge;
    }
}

/* OpenAI's bpe(): the pair of lowest rank, everywhere from left to right, again and again. The
 * symbols of `word` into `got`, separated by spaces. */
static void reference_bpe(struct clv_bytes *got, const struct small *small, const char *word)
{
    char parts[48][SYMBOL_SIZE];
    int count = (int)strlen(word);
    for (int i = 0; i < count; i++)
        snprintf(parts[i], SYMBOL_SIZE, "%c%s", word[i], i == count - 1 ? "</w>" : "");
    for (;;) {
        int best = -1;
        for (int rank = 0; rank < MERGES && best < 0; rank++)
            for (int i = 0; i + 1 < count; i++)
                if (strcmp(parts[i], small->left[small->order[rank]]) == 0 &&
                    strcmp(parts[i + 1], small->right[small->order[rank]]) == 0)
                    best = small->order[rank];
        if (best < 0)
            break;
        int kept = 0;
        for (int i = 0; i < count; kept++) {
            bool merges = i + 1 < count && strcmp(parts[i], small->left[best]) == 0 &&
                          strcmp(parts[i + 1], small->right[best]) == 0;
            memmove(parts[kept], merges ? small->symbols[6 + best] : parts[i], SYMBOL_SIZE);
            i += merges ? 2 : 1;
        }
        count = kept;
    }
    for (int i = 0; i < count; i++)
        clv_bytes_format(got, "%s%s", i ? " " : "", parts[i]);
}

static void compare_merging(const struct clv_tokenizer *tokenizer, const struct small *small,
                            uint64_t *seed)
{
    for (int round = 0; round < 300; round++) {
        char word[41];
        int32_t ids[CONTEXT];
        int size = 1 + (int)(t_random(seed) % 40), count = 0;
        for (int i = 0; i < size; i++)
            word[i] = "abc"[t_random(seed) % 3];
        word[size] = '\0';
        struct clv_bytes got = {0}, want = {0};
        CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, NULL, word, CONTEXT));
        for (int i = 1; i + 1 < count; i++) {
            char byte[8];
            int letter = ids[i] % 256 - 64;
            snprintf(byte, sizeof byte, "%c%s", letter >= 0 && letter < 3 ? 'a' + letter : '?',
                     ids[i] >= 256 ? "</w>" : "");
            clv_bytes_format(&got, "%s%s", i > 1 ? " " : "",
                             ids[i] >= 512 && ids[i] < 512 + MERGES ? small->symbols[ids[i] - 506]
                                                                    : byte);
        }
        reference_bpe(&want, small, word);
        CHECK_STRING(got.data, want.data);
        clv_bytes_release(&got);
        clv_bytes_release(&want);
    }
}

/* The 256 stand-ins in order of their ids, as GPT-2's bytes_to_unicode() has them. */
static void byte_symbol(char out[8], int id)
{
    int code_point = id < 94 ? 33 + id : id < 106 ? 161 + id - 94 : id < 188 ? 174 + id - 106 : 0;
    if (code_point == 0)
        code_point = 256 + id - 188;
    if (code_point < 128)
        snprintf(out, 8, "%c", code_point);
    else
        snprintf(out, 8, "%c%c", 0xc0 | code_point >> 6, 0x80 | (code_point & 63));
}

/* vocab.json's object without merges and specials. */
static struct clv_json *byte_vocabulary(void)
{
    struct clv_json *vocab = clv_json_object();
    for (int id = 0; id < 512; id++) {
        char symbol[8], name[16];
        byte_symbol(symbol, id % 256);
        snprintf(name, sizeof name, "%s%s", symbol, id < 256 ? "" : "</w>");
        clv_json_put_integer(vocab, name, id);
    }
    return vocab;
}

static void write_json(const char *path, struct clv_json *value)
{
    struct clv_bytes text = {0};
    CHECK_OK(clv_json_write(&text, value, false));
    CHECK_OK(clv_file_replace(path, text.data, text.size_bytes));
    clv_bytes_release(&text);
    clv_json_free(value);
}

static void write_text(const char *path, const char *text)
{
    CHECK_OK(clv_file_replace(path, text, strlen(text)));
}

/* In order of rank as a list, and in any order of ranks as a pair of files. */
static void merging_equals_the_published_loop(void)
{
    uint64_t seed = 20;
    for (int round = 0; round < 4; round++) {
        struct small small;
        struct clv_tokenizer *tokenizer = NULL;
        struct clv_bytes list = {0};
        make_small(&small, &seed);
        clv_bytes_text(&list, "#version: 0.2\n");
        for (int i = 0; i < MERGES; i++)
            clv_bytes_format(&list, "%s %s\r\n", small.left[i], small.right[i]);
        REQUIRE_OK(clv_tokenizer_open_text(&tokenizer, list.data, list.size_bytes, "list"));
        CHECK_INT(clv_tokenizer_size(tokenizer), 514 + MERGES);
        compare_merging(tokenizer, &small, &seed);
        clv_tokenizer_close(tokenizer);

        const char *directory = t_directory();
        struct clv_json *vocab = byte_vocabulary();
        for (int i = 0; i < MERGES; i++)
            clv_json_put_integer(vocab, small.symbols[6 + i], 512 + i);
        clv_json_put_integer(vocab, "<|endoftext|>", 512 + MERGES);
        clv_json_put_integer(vocab, "<|startoftext|>", 513 + MERGES);
        write_json(t_path(directory, "vocab.json"), vocab);
        clv_bytes_clear(&list);
        for (int i = MERGES - 1; i > 0; i--) {
            int other = (int)(t_random(&seed) % (uint64_t)(i + 1)), kept = small.order[i];
            small.order[i] = small.order[other];
            small.order[other] = kept;
        }
        for (int i = 0; i < MERGES; i++)
            clv_bytes_format(&list, "%s %s\n", small.left[small.order[i]],
                             small.right[small.order[i]]);
        write_text(t_path(directory, "merges.txt"), list.data);
        REQUIRE_OK(clv_tokenizer_open(&tokenizer, directory));
        CHECK_INT(clv_tokenizer_end_id(tokenizer), 512 + MERGES);
        compare_merging(tokenizer, &small, &seed);
        clv_tokenizer_close(tokenizer);
        clv_bytes_release(&list);
    }
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void refuse_list(const char *text, const char *part)
{
    struct clv_tokenizer *tokenizer = (struct clv_tokenizer *)(uintptr_t)1;
    CHECK_ERROR(clv_tokenizer_open_text(&tokenizer, text, strlen(text), "the list"), CLV_ECORRUPT,
                part);
    CHECK(tokenizer == NULL);
}

static void broken_lists_are_refused(void)
{
    refuse_list("#version\na b\nab q7\n", "merge 2 of 'the list' needs 'q7', which has no id");
    refuse_list("#version\nzz b\n", "merge 1 of 'the list' needs 'zz'");
    refuse_list("a b\na b\n", "merge 2 of 'the list', 'a b', makes what has an id already");
    refuse_list("a b\nb c\na bc\nab c\n", "merge 4 of 'the list', 'ab c', makes");
    refuse_list("a <\na< /w>\n", "merge 2 of 'the list', 'a< /w>', makes what has an id");
    refuse_list("ab\n", "merge 1 of 'the list' is 'ab', not two symbols");
    refuse_list("a b c\n", "not two symbols");
    refuse_list(" a\n", "not two symbols");
    refuse_list("a \n", "not two symbols");
    refuse_list("a b\n\nc a\n", "merge 2 of 'the list' is ''");
    refuse_list("<!DOCTYPE html>\n<html>\n", "needs '<!DOCTYPE'");
}

static void refuse(const char *path, int status, const char *part)
{
    struct clv_tokenizer *tokenizer = (struct clv_tokenizer *)(uintptr_t)1;
    CHECK_ERROR(clv_tokenizer_open(&tokenizer, path), status, part);
    CHECK(tokenizer == NULL);
    CHECK(strstr(clv_error_message(), clv_path_base(path)) != NULL ||
          strstr(clv_error_message(), "merges.txt") != NULL);
}

static void broken_files_are_refused(void)
{
    const char *directory = t_directory();
    refuse(t_path(directory, "absent.txt.gz"), CLV_ENOTFOUND, "absent.txt.gz");
    refuse(directory, CLV_ENOTFOUND, "holds no bpe_simple_vocab_16e6.txt.gz, vocab.json");
    const char *list = t_path(directory, "list.txt");
    write_text(list, "");
    refuse(list, CLV_ECORRUPT, "is empty");
    write_text(list, "\x1f\x8b\x08");
    refuse(list, CLV_ECORRUPT, "cut off");
    int descriptor = open(list, O_WRONLY | O_TRUNC);
    REQUIRE(descriptor >= 0);
    CHECK(ftruncate(descriptor, ((off_t)32 << 20) + 1) == 0 && close(descriptor) == 0);
    refuse(list, CLV_EINVAL, "more than 33554432 bytes");
    const char *vocab = t_path(directory, "vocab.json");
    write_text(vocab, "{\"a\": 0}");
    refuse(vocab, CLV_ENOTFOUND, "merges.txt");
    write_text(t_path(directory, "merges.txt"), "");
    refuse(vocab, CLV_ECORRUPT, "gives no id to '!'");
    write_text(vocab, "");
    refuse(vocab, CLV_ECORRUPT, "not valid JSON");
    write_text(vocab, "[1]");
    refuse(vocab, CLV_ECORRUPT, "has no vocabulary");
    write_text(vocab, "{}");
    refuse(vocab, CLV_ECORRUPT, "has no vocabulary");
}

/* The whole byte vocabulary with `key` given `id` on top, or taken another way. */
static const char *vocabulary_with(const char *directory, const char *key, int64_t id,
                                   const char *merges)
{
    const char *path = t_path(directory, "vocab.json");
    struct clv_json *vocab = byte_vocabulary();
    clv_json_put_integer(vocab, "<|startoftext|>", 512);
    clv_json_put_integer(vocab, "<|endoftext|>", 513);
    if (key)
        clv_json_put_integer(vocab, key, id);
    write_json(path, vocab);
    write_text(t_path(directory, "merges.txt"), merges);
    return path;
}

static void broken_ids_are_refused(void)
{
    const char *directory = t_directory();
    struct clv_tokenizer *tokenizer = NULL;
    CHECK_OK(clv_tokenizer_open(&tokenizer, vocabulary_with(directory, "ab", 514, "a b\n")));
    clv_tokenizer_close(tokenizer);
    refuse(vocabulary_with(directory, "ab", 515, ""), CLV_ECORRUPT,
           "gives 'ab' the id 515, outside 0 to 514");
    refuse(vocabulary_with(directory, "ab", -1, ""), CLV_ECORRUPT, "the id -1");
    refuse(vocabulary_with(directory, "ab", INT64_MAX, ""), CLV_ECORRUPT, "9223372036854775807");
    refuse(vocabulary_with(directory, "ab", 64, ""), CLV_ECORRUPT,
           "gives the id 64 to 'a' and to 'ab'");
    refuse(vocabulary_with(directory, "<|endoftext|>", 512, ""), CLV_ECORRUPT, "gives the id 512");
    refuse(vocabulary_with(directory, "ab", 514, "a b\na b\n"), CLV_ECORRUPT, "merge 2 of '");
    refuse(vocabulary_with(directory, "ab", 514, "a c\n"), CLV_ECORRUPT, "needs 'a c'");
    refuse(vocabulary_with(directory, "ab", 514, "a b\nq2 b\n"), CLV_ECORRUPT, "needs 'q2'");
    struct clv_json *vocab = byte_vocabulary();
    clv_json_put_integer(vocab, "<|startoftext|>", 512);
    const char *path = t_path(directory, "vocab.json");
    write_json(path, vocab);
    write_text(t_path(directory, "merges.txt"), "#version: 0.2\n");
    refuse(path, CLV_ECORRUPT, "gives no id to '<|endoftext|>'");
}

/* tokenizer.json of the byte vocabulary, with one thing about it changed. */
static const char *whole_with(const char *directory, const char *type, const char *suffix,
                              struct clv_json *merges, int end_id)
{
    const char *path = t_path(directory, "tokenizer.json");
    struct clv_json *root = clv_json_object(), *model = clv_json_object();
    struct clv_json *added = clv_json_array(), *vocab = byte_vocabulary();
    clv_json_put_integer(vocab, "<|startoftext|>", 512);
    clv_json_put_integer(vocab, "ab", 513);
    for (int i = 0; i < 2; i++) {
        struct clv_json *token = clv_json_object();
        clv_json_put_integer(token, "id", i ? end_id : 512);
        clv_json_put_string(token, "content", i ? "<|endoftext|>" : "<|startoftext|>");
        clv_json_append(added, token);
    }
    clv_json_put_string(model, "type", type);
    clv_json_put_string(model, "end_of_word_suffix", suffix);
    clv_json_put(model, "vocab", vocab);
    if (merges)
        clv_json_put(model, "merges", merges);
    clv_json_put(root, "added_tokens", added);
    clv_json_put(root, "model", model);
    write_json(path, root);
    return path;
}

static struct clv_json *one_merge(const char *text)
{
    struct clv_json *merges = clv_json_array();
    clv_json_append_string(merges, text);
    return merges;
}

static void broken_tokenizer_json_is_refused(void)
{
    const char *directory = t_directory();
    struct clv_tokenizer *tokenizer = NULL;
    REQUIRE_OK(clv_tokenizer_open(&tokenizer,
                                  whole_with(directory, "BPE", "</w>", one_merge("a b"), 514)));
    check_ids(tokenizer, "abc", "513 322");
    CHECK_INT(clv_tokenizer_end_id(tokenizer), 514); /* only among the added tokens */
    clv_tokenizer_close(tokenizer);
    refuse(whole_with(directory, "WordPiece", "</w>", one_merge("a b"), 514), CLV_EUNSUPPORTED,
           "of type 'WordPiece'");
    refuse(whole_with(directory, "BPE", "@@", one_merge("a b"), 514), CLV_EUNSUPPORTED, "'@@'");
    refuse(whole_with(directory, "BPE", "</w>", NULL, 514), CLV_ECORRUPT, "has no merges");
    refuse(whole_with(directory, "BPE", "</w>", one_merge("ab"), 514), CLV_ECORRUPT,
           "not two symbols");
    refuse(whole_with(directory, "BPE", "</w>", one_merge("a b"), 513), CLV_ECORRUPT,
           "the id 513 to 'ab' and to '<|endoftext|>'");
    refuse(whole_with(directory, "BPE", "</w>", one_merge("a b"), 600), CLV_ECORRUPT, "id 600");
    struct clv_json *merges = clv_json_array();
    clv_json_append_integer(merges, 3);
    refuse(whole_with(directory, "BPE", "</w>", merges, 514), CLV_ECORRUPT, "merge 1 of");
    const char *path = t_path(directory, "tokenizer.json");
    write_text(path, "{\"model\": {\"merges\": [], \"vocab\": [0]}}");
    refuse(path, CLV_ECORRUPT, "has no vocabulary");
    write_text(path, "{\"model\": {\"merges\": [], \"vocab\": {\"a\": 0}}, \"added_tokens\": [1]}");
    refuse(path, CLV_ECORRUPT, "added token 0");
    write_text(path, "{\"model\": {\"merges\": [], \"vocab\": {\"a\": \"0\"}}}");
    refuse(path, CLV_ECORRUPT, "the id -1");
}

int main(void)
{
    T_RUN(openai_list_gives_the_published_ids);
    T_RUN(huggingface_pair_gives_the_published_ids);
    T_RUN(tokenizer_json_gives_the_published_ids);
    T_RUN(the_empty_list_is_the_byte_vocabulary);
    T_RUN(long_text_is_cut_before_the_end_id);
    T_RUN(very_long_words_are_fast);
    T_RUN(merging_equals_the_published_loop);
    T_RUN(broken_lists_are_refused);
    T_RUN(broken_files_are_refused);
    T_RUN(broken_ids_are_refused);
    T_RUN(broken_tokenizer_json_is_refused);
    return t_end();
}
