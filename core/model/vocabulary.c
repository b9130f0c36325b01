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

#define LIST_NAME "bpe_simple_vocab_16e6.txt"
#define VOCAB_NAME "vocab.json"
#define MERGES_NAME "merges.txt"
#define WHOLE_NAME "tokenizer.json"
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

/* Reads `path` as file number files->count, called `name`. */
static int load(struct clv_vocabulary_files *files, const char *path, const char *name)
{
    int i = files->count++;
    files->paths[i] = strdup(path);
    if (!files->paths[i])
        return clv_fail_memory("a path");
    int status = clv_gzip_read(&files->texts[i], path, FILE_BYTES_MAX);
    const struct clv_bytes *text = &files->texts[i];
    files->items[i] = (struct clv_tokenizer_file){
        name, files->paths[i], text->size_bytes ? text->data : "", text->size_bytes};
    return status;
}

/* Leaves out the lines of OpenAI's list beyond those a tokenizer reads. */
static void trim_list(struct clv_tokenizer_file *list)
{
    const char *at = list->data, *end = at + list->size_bytes, *line;
    size_t size, count = 0;
    while (count < LIST_MERGES_MAX && clv_vocabulary_line(&line, &size, &at, end))
        count += !(line == list->data && memmem(line, size, "#version", 8));
    list->size_bytes = (size_t)(at - list->data);
}

static int load_file(struct clv_vocabulary_files *files, const char *path)
{
    bool is_merges = ends_in(path, MERGES_NAME);
    if (is_merges || ends_in(path, VOCAB_NAME)) {
        char *other = is_merges ? beside(path, MERGES_NAME, VOCAB_NAME)
                                : beside(path, VOCAB_NAME, MERGES_NAME);
        if (!other)
            return CLV_ENOMEM;
        int status = load(files, is_merges ? other : path, VOCAB_NAME);
        if (status == CLV_OK)
            status = load(files, is_merges ? path : other, MERGES_NAME);
        free(other);
        return status;
    }
    int status = load(files, path, LIST_NAME);
    struct clv_tokenizer_file *file = &files->items[0];
    if (status == CLV_OK && file->size_bytes == 0)
        status = clv_fail(CLV_ECORRUPT, "'%s' is empty and no vocabulary", path);
    else if (status == CLV_OK && (file->data[0] == '{' || ends_in(path, ".json")))
        file->name = WHOLE_NAME;
    else if (status == CLV_OK)
        trim_list(file);
    return status;
}

/* What the files are called inside weights. */
static const char *const entry_names[] = {
    CLV_WEIGHTS_VOCABULARY LIST_NAME, CLV_WEIGHTS_VOCABULARY VOCAB_NAME,
    CLV_WEIGHTS_VOCABULARY MERGES_NAME, CLV_WEIGHTS_VOCABULARY WHOLE_NAME};
#define ENTRY_COUNT (sizeof entry_names / sizeof entry_names[0])

static const char *inner_name(const char *entry_name)
{
    return entry_name + strlen(CLV_WEIGHTS_VOCABULARY);
}

/* NULL: weights hold no file of that name. */
static const char *entry_name(const char *name)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        if (strcmp(inner_name(entry_names[i]), name) == 0)
            return entry_names[i];
    return NULL;
}

const char *clv_vocabulary_inner_name(const char *name)
{
    const char *entry = entry_name(name);
    return entry ? inner_name(entry) : "";
}

struct clv_weight_entry clv_vocabulary_entry(const struct clv_tokenizer_file *file)
{
    return (struct clv_weight_entry){.name = entry_name(file->name),
                                     .dtype = CLV_U8,
                                     .dimension_count = 1,
                                     .shape = {(int64_t)file->size_bytes},
                                     .element_count = file->size_bytes,
                                     .size_bytes = file->size_bytes};
}

int clv_vocabulary_inside(struct clv_vocabulary_files *out, const struct clv_weights *weights)
{
    *out = (struct clv_vocabulary_files){0};
    for (size_t k = 0; k < ENTRY_COUNT; k++) {
        const struct clv_weight_entry *entry = clv_weights_find(weights, entry_names[k]);
        if (!entry || entry->dtype != CLV_U8 || out->count == CLV_TOKENIZER_FILE_MAX)
            continue;
        struct clv_bytes *text = &out->texts[out->count];
        clv_bytes_add(text, entry->data, entry->size_bytes);
        out->paths[out->count] = strdup(clv_weights_path(weights));
        if (text->status != CLV_OK || !out->paths[out->count])
            return clv_fail_memory("a vocabulary");
        out->items[out->count] =
            (struct clv_tokenizer_file){inner_name(entry_names[k]), out->paths[out->count],
                                        text->size_bytes ? text->data : "", text->size_bytes};
        out->count++;
    }
    return CLV_OK;
}

void clv_vocabulary_files_release(struct clv_vocabulary_files *files)
{
    for (int i = 0; i < CLV_TOKENIZER_FILE_MAX; i++) {
        clv_bytes_release(&files->texts[i]);
        free(files->paths[i]);
    }
    *files = (struct clv_vocabulary_files){0};
}

int clv_vocabulary_parse_files(struct clv_vocabulary *out, const struct clv_tokenizer_file *files,
                               int file_count)
{
    struct clv_bytes texts[CLV_TOKENIZER_FILE_MAX] = {0}; /* borrowed */
    *out = (struct clv_vocabulary){0};
    for (int i = 0; i < file_count && i < CLV_TOKENIZER_FILE_MAX; i++) {
        texts[i].data = (char *)(uintptr_t)files[i].data;
        texts[i].size_bytes = files[i].size_bytes;
    }
    if (file_count == 2 && strcmp(files[0].name, VOCAB_NAME) == 0 &&
        strcmp(files[1].name, MERGES_NAME) == 0)
        return clv_huggingface_pair(out, &texts[0], files[0].path, &texts[1], files[1].path);
    if (file_count == 1 && strcmp(files[0].name, WHOLE_NAME) == 0)
        return clv_huggingface_whole(out, &texts[0], files[0].path);
    if (file_count == 1 && strcmp(files[0].name, LIST_NAME) == 0)
        return clv_vocabulary_parse(out, files[0].data, files[0].size_bytes, files[0].path);
    return clv_fail(CLV_ECORRUPT, "'%s' is no vocabulary: %s alone is none",
                    file_count ? files[0].path : "", file_count ? files[0].name : "nothing");
}

static bool is_same(const struct clv_vocabulary *a, const struct clv_vocabulary *b)
{
    if (a->size != b->size || a->start_id != b->start_id || a->end_id != b->end_id ||
        a->merge_count != b->merge_count ||
        memcmp(a->byte_ids, b->byte_ids, sizeof a->byte_ids) != 0)
        return false;
    for (size_t i = 0; i <= a->merge_mask; i++) {
        const struct clv_merge *one = &a->merges[i];
        const struct clv_merge *other =
            one->rank ? clv_vocabulary_merge(b, one->left, one->right) : NULL;
        if (one->rank && (!other || other->rank != one->rank || other->id != one->id))
            return false;
    }
    return true;
}

int clv_vocabulary_simplify(struct clv_vocabulary_files *files)
{
    struct clv_vocabulary pair = {0}, list = {0};
    if (files->count != 2)
        return CLV_OK;
    struct clv_tokenizer_file merges = files->items[1];
    merges.name = LIST_NAME;
    int status = clv_vocabulary_parse_files(&pair, files->items, files->count);
    int listed = status == CLV_OK ? clv_vocabulary_parse_files(&list, &merges, 1) : CLV_OK;
    if (listed == CLV_ENOMEM)
        status = listed;
    else if (status == CLV_OK && listed == CLV_OK && is_same(&pair, &list)) {
        files->items[0] = merges;
        files->count = 1;
    }
    clv_vocabulary_release(&pair);
    clv_vocabulary_release(&list);
    return status;
}

/* The list first: it is the fastest to read. */
static const char *const usual_names[] = {LIST_NAME ".gz", LIST_NAME, VOCAB_NAME, WHOLE_NAME};
#define USUAL_COUNT (sizeof usual_names / sizeof usual_names[0])

const char *clv_vocabulary_name(size_t index)
{
    return index < USUAL_COUNT ? usual_names[index] : NULL;
}

int clv_vocabulary_locate(char **out, const char *directory)
{
    *out = NULL;
    for (size_t i = 0; i < USUAL_COUNT; i++) {
        char *file = clv_path_join(directory, usual_names[i]);
        if (!file)
            return CLV_ENOMEM;
        if (clv_file_exists(file)) {
            *out = file;
            return CLV_OK;
        }
        free(file);
    }
    return CLV_OK;
}

int clv_vocabulary_load(struct clv_vocabulary_files *out, const char *path)
{
    struct clv_file_facts facts;
    char *file = NULL;
    *out = (struct clv_vocabulary_files){0};
    int status = clv_file_facts(&facts, path);
    if (status != CLV_OK)
        return status;
    if (!facts.is_directory)
        return load_file(out, path);
    status = clv_vocabulary_locate(&file, path);
    if (status == CLV_OK && !file)
        status = clv_fail(CLV_ENOTFOUND, "'%s' holds no %s, %s or %s", path, usual_names[0],
                          VOCAB_NAME, WHOLE_NAME);
    else if (status == CLV_OK)
        status = load_file(out, file);
    free(file);
    return status;
}

int clv_vocabulary_read(struct clv_vocabulary *out, const char *path)
{
    struct clv_vocabulary_files files;
    *out = (struct clv_vocabulary){0};
    int status = clv_vocabulary_load(&files, path);
    if (status == CLV_OK)
        status = clv_vocabulary_parse_files(out, files.items, files.count);
    clv_vocabulary_files_release(&files);
    return status;
}
