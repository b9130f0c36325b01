/* Merging the bytes of each word of cleaned text by rank. */
#include "core/model/tokenizer.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/model/clean.h"
#include "core/model/vocabulary.h"
#include "core/model/words.h"

#include <stdlib.h>
#include <string.h>

/* Text beyond this can no longer be among the ids kept, and memory stays bounded. */
#define TEXT_BYTES_MAX ((size_t)1 << 20)

struct clv_tokenizer {
    struct clv_vocabulary vocabulary;
};

/* A symbol of the word being merged; a consumed one has id -1. */
struct piece {
    int32_t id;
    int32_t previous;
    int32_t next;
};

/* A pair that may be merged; stale where its pieces have changed since. */
struct candidate {
    uint32_t rank;
    int32_t at;
    int32_t left;
    int32_t right;
    int32_t id;
};

/* Scratch of one call, sized by the text: a word of n bytes makes at most 3 n candidates. */
struct merger {
    const struct clv_vocabulary *vocabulary;
    struct piece *pieces;
    struct candidate *heap;
    int32_t *merged; /* pieces merged in this round */
    size_t heap_count;
};

static bool comes_before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct merger *merger, struct candidate candidate)
{
    size_t at = merger->heap_count++;
    for (; at > 0 && comes_before(&candidate, &merger->heap[(at - 1) / 2]); at = (at - 1) / 2)
        merger->heap[at] = merger->heap[(at - 1) / 2];
    merger->heap[at] = candidate;
}

static struct candidate heap_pop(struct merger *merger)
{
    struct candidate top = merger->heap[0];
    struct candidate last = merger->heap[--merger->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < merger->heap_count; at = child) {
        if (child + 1 < merger->heap_count &&
            comes_before(&merger->heap[child + 1], &merger->heap[child]))
            child++;
        if (!comes_before(&merger->heap[child], &last))
            break;
        merger->heap[at] = merger->heap[child];
    }
    merger->heap[at] = last;
    return top;
}

/* Pushes the pair that begins with piece `at`, where there is one. */
static void push_pair(struct merger *merger, int32_t at)
{
    if (at < 0 || merger->pieces[at].next < 0)
        return;
    int32_t left = merger->pieces[at].id, right = merger->pieces[merger->pieces[at].next].id;
    const struct clv_merge *merge = clv_vocabulary_merge(merger->vocabulary, left, right);
    if (merge)
        heap_push(merger, (struct candidate){merge->rank, at, left, right, merge->id});
}

/* Merges the pair at the candidate unless it is stale. */
static bool apply(struct merger *merger, const struct candidate *candidate)
{
    struct piece *left = &merger->pieces[candidate->at];
    if (left->id != candidate->left || left->next < 0)
        return false;
    struct piece *right = &merger->pieces[left->next];
    if (right->id != candidate->right)
        return false;
    left->id = candidate->id;
    left->next = right->next;
    if (left->next >= 0)
        merger->pieces[left->next].previous = candidate->at;
    right->id = -1;
    return true;
}

/* Turns a word into the chain of pieces that starts at pieces[0]. As in the published code a round
 * merges every occurrence of the pair of lowest rank, left to right, before new pairs count. */
static void merge_word(struct merger *merger, const char *word, int32_t size)
{
    for (int32_t i = 0; i < size; i++)
        merger->pieces[i] = (struct piece){
            .id = merger->vocabulary->byte_ids[i == size - 1][(unsigned char)word[i]],
            .previous = i - 1,
            .next = i == size - 1 ? -1 : i + 1,
        };
    merger->heap_count = 0;
    for (int32_t i = 0; i < size; i++)
        push_pair(merger, i);
    while (merger->heap_count > 0) {
        uint32_t rank = merger->heap[0].rank;
        size_t merged_count = 0;
        while (merger->heap_count > 0 && merger->heap[0].rank == rank) {
            struct candidate candidate = heap_pop(merger);
            if (apply(merger, &candidate))
                merger->merged[merged_count++] = candidate.at;
        }
        for (size_t i = 0; i < merged_count; i++) {
            push_pair(merger, merger->pieces[merger->merged[i]].previous);
            push_pair(merger, merger->merged[i]);
        }
    }
}

/* The ids of a text as they come, up to the room there is. */
struct sink {
    int32_t *ids;
    int count;
    int room;
    bool is_cut;
};

static void put(struct sink *sink, int32_t id)
{
    if (sink->count < sink->room)
        sink->ids[sink->count++] = id;
    else
        sink->is_cut = true;
}

static void encode_words(struct sink *sink, struct merger *merger, const char *text, size_t size)
{
    const struct clv_vocabulary *vocabulary = merger->vocabulary;
    size_t word;
    for (; size > 0 && !sink->is_cut; text += word, size -= word) {
        switch (clv_words_first(&word, text, size)) {
        case CLV_WORD_START:
            put(sink, vocabulary->start_id);
            break;
        case CLV_WORD_END:
            put(sink, vocabulary->end_id);
            break;
        case CLV_WORD_SPACE:
            break;
        case CLV_WORD_TEXT:
            merge_word(merger, text, (int32_t)word);
            for (int32_t at = 0; at >= 0 && !sink->is_cut; at = merger->pieces[at].next)
                put(sink, merger->pieces[at].id);
            break;
        }
    }
}

static int merger_init(struct merger *out, const struct clv_vocabulary *vocabulary, size_t size)
{
    *out = (struct merger){.vocabulary = vocabulary};
    out->pieces = malloc((size + 1) * sizeof *out->pieces);
    out->heap = malloc((3 * size + 1) * sizeof *out->heap);
    out->merged = malloc((size + 1) * sizeof *out->merged);
    return out->pieces && out->heap && out->merged ? CLV_OK : clv_fail_memory("a text");
}

static void merger_release(struct merger *merger)
{
    free(merger->pieces);
    free(merger->heap);
    free(merger->merged);
}

int clv_tokenizer_encode_bytes(const struct clv_tokenizer *tokenizer, int32_t *ids_out,
                               int *count_out, bool *cut_out, const char *text, size_t size_bytes,
                               int context_length)
{
    if (context_length < 2)
        return clv_fail(CLV_EINVAL, "a context of %d ids has no room for text", context_length);
    struct clv_bytes cleaned = {0};
    struct merger merger = {0};
    struct sink sink = {.ids = ids_out, .room = context_length - 1};
    size_t kept = clv_words_bound(text, size_bytes, TEXT_BYTES_MAX);
    int status = clv_clean_text(&cleaned, text, kept);
    if (status == CLV_OK)
        status = merger_init(&merger, &tokenizer->vocabulary, cleaned.size_bytes);
    if (status == CLV_OK) {
        put(&sink, tokenizer->vocabulary.start_id);
        if (cleaned.size_bytes)
            encode_words(&sink, &merger, cleaned.data, cleaned.size_bytes);
        ids_out[sink.count] = tokenizer->vocabulary.end_id;
        *count_out = sink.count + 1;
        if (cut_out)
            *cut_out = sink.is_cut || kept < size_bytes;
    }
    merger_release(&merger);
    clv_bytes_release(&cleaned);
    return status;
}

int clv_tokenizer_encode(const struct clv_tokenizer *tokenizer, int32_t *ids_out, int *count_out,
                         bool *cut_out, const char *text, int context_length)
{
    return clv_tokenizer_encode_bytes(tokenizer, ids_out, count_out, cut_out, text, strlen(text),
                                      context_length);
}

static int open_with(struct clv_tokenizer **out, const char *path, const char *text,
                     size_t size_bytes, const char *name)
{
    *out = NULL;
    struct clv_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (!tokenizer)
        return clv_fail_memory("a tokenizer");
    int status = path ? clv_vocabulary_read(&tokenizer->vocabulary, path)
                      : clv_vocabulary_parse(&tokenizer->vocabulary, text, size_bytes, name);
    if (status == CLV_OK)
        *out = tokenizer;
    else
        clv_tokenizer_close(tokenizer);
    return status;
}

int clv_tokenizer_open_files(struct clv_tokenizer **out, const struct clv_tokenizer_file *files,
                             int file_count)
{
    *out = NULL;
    struct clv_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (!tokenizer)
        return clv_fail_memory("a tokenizer");
    int status = clv_vocabulary_parse_files(&tokenizer->vocabulary, files, file_count);
    if (status == CLV_OK)
        *out = tokenizer;
    else
        clv_tokenizer_close(tokenizer);
    return status;
}

int clv_tokenizer_open(struct clv_tokenizer **out, const char *path)
{
    return open_with(out, path, NULL, 0, NULL);
}

int clv_tokenizer_open_text(struct clv_tokenizer **out, const char *text, size_t size_bytes,
                            const char *name)
{
    return open_with(out, NULL, size_bytes ? text : "", size_bytes, name);
}

void clv_tokenizer_close(struct clv_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    clv_vocabulary_release(&tokenizer->vocabulary);
    free(tokenizer);
}

int clv_tokenizer_size(const struct clv_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.size;
}

int32_t clv_tokenizer_start_id(const struct clv_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.start_id;
}

int32_t clv_tokenizer_end_id(const struct clv_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.end_id;
}
