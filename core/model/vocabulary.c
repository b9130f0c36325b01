/* The merge table, OpenAI's list, and telling the forms apart. */
#include "core/model/vocabulary.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "core/gzip.h"
#include "core/model/huggingface.h"
#include "core/model/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)32 << 20)
#define SHOWN_BYTES 40 /* of a symbol, in a message */
/* OpenAI's list is longer than the vocabulary: 49152 ids less bytes, and its two specials. */
#define LIST_MERGES_MAX (49152 - 256 - 2)

int clv_vocabulary_init(struct clv_vocabulary *out, size_t merge_max)
{
    *out = (struct clv_vocabulary){0};
    size_t slots = 16;
    while (slots < 2 * merge_max)
        slots *= 2;
    out->merges = calloc(slots, sizeof *out->merges);
    if (!out->merges)
        return clv_fail_memory("a vocabulary");
    out->merge_mask = slots - 1;
    return CLV_OK;
}

void clv_vocabulary_release(struct clv_vocabulary *vocabulary)
{
    free(vocabulary->merges);
    *vocabulary = (struct clv_vocabulary){0};
}

/* The slot that holds the pair, or the empty one where it belongs. */
static struct clv_merge *slot_of(const struct clv_vocabulary *vocabulary, int32_t left,
                                 int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t slot = (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & vocabulary->merge_mask;
    for (;; slot = (slot + 1) & vocabulary->merge_mask) {
        struct clv_merge *merge = &vocabulary->merges[slot];
        if (merge->rank == 0 || (merge->left == left && merge->right == right))
            return merge;
    }
}

const struct clv_merge *clv_vocabulary_merge(const struct clv_vocabulary *vocabulary, int32_t left,
                                             int32_t right)
{
    const struct clv_merge *merge = slot_of(vocabulary, left, right);
    return merge->rank ? merge : NULL;
}

static int shown(size_t size_bytes)
{
    return size_bytes < SHOWN_BYTES ? (int)size_bytes : SHOWN_BYTES;
}

/* Splits "LEFT RIGHT" at its one space. */
static int split(const char **space_out, const char *pair, size_t size_bytes, const char *name,
                 size_t line)
{
    const char *space = memchr(pair, ' ', size_bytes);
    const char *end = pair + size_bytes;
    if (!space || space == pair || space + 1 == end ||
        memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return clv_fail(CLV_ECORRUPT, "merge %zu of '%s' is '%.*s', not two symbols", line, name,
                        shown(size_bytes), pair);
    *space_out = space;
    return CLV_OK;
}

int clv_vocabulary_add(struct clv_vocabulary *vocabulary, const struct clv_symbols *symbols,
                       const char *pair, size_t size_bytes, const char *name, size_t line)
{
    const char *right = pair;
    int status = split(&right, pair, size_bytes, name, line);
    if (status != CLV_OK)
        return status;
    size_t left_bytes = (size_t)(right++ - pair);
    size_t right_bytes = size_bytes - left_bytes - 1;
    int32_t left_id = clv_symbols_find(symbols, pair, left_bytes, "", 0);
    int32_t right_id = clv_symbols_find(symbols, right, right_bytes, "", 0);
    int32_t id = clv_symbols_find(symbols, pair, left_bytes, right, right_bytes);
    if (left_id < 0 || right_id < 0 || id < 0) {
        const char *unknown = left_id < 0 || right_id >= 0 ? pair : right;
        size_t unknown_bytes = left_id < 0 ? left_bytes : right_id < 0 ? right_bytes : size_bytes;
        return clv_fail(CLV_ECORRUPT, "merge %zu of '%s' needs '%.*s', which has no id", line, name,
                        shown(unknown_bytes), unknown);
    }
    struct clv_merge *merge = slot_of(vocabulary, left_id, right_id);
    if (merge->rank)
        return clv_fail(CLV_ECORRUPT, "merge %zu of '%s' repeats '%.*s' of merge %u", line, name,
                        shown(size_bytes), pair, merge->rank);
    *merge = (struct clv_merge){left_id, right_id, (uint32_t)++vocabulary->merge_count, id};
    return CLV_OK;
}

int clv_vocabulary_finish(struct clv_vocabulary *vocabulary, const struct clv_symbols *symbols,
                          int size, const char *name)
{
    for (int i = 0; i < 512; i++) {
        const char *text = symbols->byte_texts[i];
        int32_t id = clv_symbols_find(symbols, text, strlen(text), "", 0);
        if (id < 0)
            return clv_fail(CLV_ECORRUPT, "'%s' gives no id to '%s' and is no CLIP vocabulary",
                            name, text);
        vocabulary->byte_ids[i / 256][symbols->byte_order[i % 256]] = id;
    }
    vocabulary->size = size;
    vocabulary->start_id =
        clv_symbols_find(symbols, CLV_VOCABULARY_START, strlen(CLV_VOCABULARY_START), "", 0);
    vocabulary->end_id =
        clv_symbols_find(symbols, CLV_VOCABULARY_END, strlen(CLV_VOCABULARY_END), "", 0);
    if (vocabulary->start_id < 0 || vocabulary->end_id < 0)
        return clv_fail(CLV_ECORRUPT, "'%s' gives no id to '%s'", name,
                        vocabulary->start_id < 0 ? CLV_VOCABULARY_START : CLV_VOCABULARY_END);
    return CLV_OK;
}

bool clv_vocabulary_line(const char **line_out, size_t *size_out, const char **at, const char *end)
{
    const char *start = *at;
    if (start == end)
        return false;
    const char *newline = memchr(start, '\n', (size_t)(end - start));
    const char *stop = newline ? newline : end;
    *at = newline ? newline + 1 : end;
    if (stop > start && stop[-1] == '\r')
        stop--;
    *line_out = start;
    *size_out = (size_t)(stop - start);
    return true;
}

/* Adds the list's merges after the 512 byte symbols. `joined` has room for every merged text. */
static int add_list(struct clv_vocabulary *vocabulary, struct clv_symbols *symbols, char *joined,
                    const char *text, const char *end, const char *name)
{
    const char *at = text, *line;
    size_t size;
    while (vocabulary->merge_count < LIST_MERGES_MAX &&
           clv_vocabulary_line(&line, &size, &at, end)) {
        size_t number = vocabulary->merge_count + 1;
        if ((line == text && memmem(line, size, "#version", 8)) || (size == 0 && at == end))
            continue;
        const char *space = line;
        int status = split(&space, line, size, name, number);
        if (status != CLV_OK)
            return status;
        size_t left_bytes = (size_t)(space - line), right_bytes = size - left_bytes - 1;
        if (clv_symbols_find(symbols, line, left_bytes, space + 1, right_bytes) >= 0)
            return clv_fail(CLV_ECORRUPT, "merge %zu of '%s', '%.*s', makes what has an id already",
                            number, name, shown(size), line);
        memcpy(joined, line, left_bytes);
        memcpy(joined + left_bytes, space + 1, right_bytes);
        clv_symbols_put(symbols, 511 + (int32_t)number, joined, size - 1);
        joined += size - 1;
        status = clv_vocabulary_add(vocabulary, symbols, line, size, name, number);
        if (status != CLV_OK)
            return status;
    }
    return CLV_OK;
}

int clv_vocabulary_parse(struct clv_vocabulary *out, const char *text, size_t size_bytes,
                         const char *name)
{
    const char *end = text + size_bytes, *at = text, *line;
    size_t size, merge_max = 0;
    while (merge_max < LIST_MERGES_MAX && clv_vocabulary_line(&line, &size, &at, end))
        merge_max++;
    struct clv_symbols symbols = {0};
    char *joined = NULL;
    int status = clv_vocabulary_init(out, merge_max);
    if (status == CLV_OK)
        status = clv_symbols_init(&symbols, 512 + (int)merge_max + 2);
    if (status == CLV_OK && !(joined = malloc(size_bytes + 1)))
        status = clv_fail_memory("a vocabulary");
    if (status == CLV_OK) {
        for (int32_t id = 0; id < 512; id++)
            clv_symbols_put(&symbols, id, symbols.byte_texts[id], strlen(symbols.byte_texts[id]));
        status = add_list(out, &symbols, joined, text, end, name);
    }
    if (status == CLV_OK) {
        int32_t id = 512 + (int32_t)out->merge_count;
        clv_symbols_put(&symbols, id, CLV_VOCABULARY_START, strlen(CLV_VOCABULARY_START));
        clv_symbols_put(&symbols, id + 1, CLV_VOCABULARY_END, strlen(CLV_VOCABULARY_END));
        status = clv_vocabulary_finish(out, &symbols, id + 2, name);
    }
    free(joined);
    clv_symbols_release(&symbols);
    if (status != CLV_OK)
        clv_vocabulary_release(out);
    return status;
}

/* `path` with `from`, which ends it, replaced by `to`; the caller frees. */
static char *beside(const char *path, const char *from, const char *to)
{
    char *other = NULL;
    if (asprintf(&other, "%.*s%s", (int)(strlen(path) - strlen(from)), path, to) < 0) {
        clv_fail_memory("a path");
        return NULL;
    }
    return other;
}

static bool ends_in(const char *path, const char *ending)
{
    size_t size = strlen(path), ending_size = strlen(ending);
    return size >= ending_size && strcmp(path + size - ending_size, ending) == 0;
}

/* vocab.json and merges.txt, whichever of them `path` names. */
static int read_pair(struct clv_vocabulary *out, const char *path)
{
    struct clv_bytes vocab = {0}, merges = {0};
    bool is_merges = ends_in(path, "merges.txt");
    char *other = is_merges ? beside(path, "merges.txt", "vocab.json")
                            : beside(path, "vocab.json", "merges.txt");
    int status = CLV_ENOMEM;
    if (other) {
        const char *vocab_path = is_merges ? other : path;
        const char *merges_path = is_merges ? path : other;
        status = clv_gzip_read(&vocab, vocab_path, FILE_BYTES_MAX);
        if (status == CLV_OK)
            status = clv_gzip_read(&merges, merges_path, FILE_BYTES_MAX);
        if (status == CLV_OK)
            status = clv_huggingface_pair(out, &vocab, vocab_path, &merges, merges_path);
    }
    free(other);
    clv_bytes_release(&merges);
    clv_bytes_release(&vocab);
    return status;
}

static int read_file(struct clv_vocabulary *out, const char *path)
{
    if (ends_in(path, "merges.txt") || ends_in(path, "vocab.json"))
        return read_pair(out, path);
    struct clv_bytes text = {0};
    int status = clv_gzip_read(&text, path, FILE_BYTES_MAX);
    if (status == CLV_OK && text.size_bytes == 0)
        status = clv_fail(CLV_ECORRUPT, "'%s' is empty and no vocabulary", path);
    else if (status == CLV_OK && (text.data[0] == '{' || ends_in(path, ".json")))
        status = clv_huggingface_whole(out, &text, path);
    else if (status == CLV_OK)
        status = clv_vocabulary_parse(out, text.data, text.size_bytes, path);
    clv_bytes_release(&text);
    return status;
}

int clv_vocabulary_read(struct clv_vocabulary *out, const char *path)
{
    /* The list first: it is the fastest to read. */
    static const char *const names[] = {"bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt",
                                        "vocab.json", "tokenizer.json"};
    struct clv_file_facts facts;
    *out = (struct clv_vocabulary){0};
    int status = clv_file_facts(&facts, path);
    if (status != CLV_OK)
        return status;
    if (!facts.is_directory)
        return read_file(out, path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *file = clv_path_join(path, names[i]);
        if (!file)
            return CLV_ENOMEM;
        bool exists = clv_file_exists(file);
        if (exists)
            status = read_file(out, file);
        free(file);
        if (exists)
            return status;
    }
    return clv_fail(CLV_ENOTFOUND, "'%s' holds no %s, %s or %s", path, names[0], names[2],
                    names[3]);
}
