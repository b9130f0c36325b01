/* Counting words, and merging the most frequent pair again and again.
 *
 * The different words lie one after another as nodes, a byte each at first. A node with a right
 * neighbour is in the list of the pair that it begins, so that a merge visits only the places of
 * its pair, and the counts of its neighbours' pairs change there and then. Only pairs that contain
 * the newest symbol ever gain places: all others sink, and the heap is put right when they come up.
 */
#include "core/model/vocabulary_train.h"

#include "core/error.h"
#include "core/model/clean.h"
#include "core/model/pool.h"
#include "core/model/symbols.h"
#include "core/model/words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What is cleaned at once; longer lines are parted. The tokenizer reads no further. */
#define TEXT_BYTES_MAX ((size_t)1 << 20)
#define WORD_BYTES_MAX ((size_t)256 << 20)
/* A symbol longer than this is a quotation, not a part of words. */
#define SYMBOL_BYTES_MAX 128
/* OpenAI's loader skips the first line of a list whatever it says. */
#define LIST_HEAD "#version: 0.2"

struct word {
    uint32_t start; /* in `text` */
    uint32_t size;
    uint32_t hash;
    int64_t count;
};

struct clv_vocabulary_train {
    struct clv_bytes text; /* the different words, one after another */
    struct word *words;
    size_t word_count, word_capacity;
    uint32_t *slots; /* of words: number + 1, 0 where empty */
    size_t slot_count;
    int64_t counted;
    struct clv_bytes cleaned;
};

int clv_vocabulary_train_create(struct clv_vocabulary_train **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? CLV_OK : clv_fail_memory("the training of a vocabulary");
}

void clv_vocabulary_train_free(struct clv_vocabulary_train *train)
{
    if (!train)
        return;
    clv_bytes_release(&train->text);
    clv_bytes_release(&train->cleaned);
    free(train->words);
    free(train->slots);
    free(train);
}

int64_t clv_vocabulary_train_word_count(const struct clv_vocabulary_train *train)
{
    return train->counted;
}

int64_t clv_vocabulary_train_distinct_count(const struct clv_vocabulary_train *train)
{
    return (int64_t)train->word_count;
}

/* ---- counting words ---- */

/* Room for one more word. */
static int grow_words(struct clv_vocabulary_train *train)
{
    if (train->word_count < train->word_capacity)
        return CLV_OK;
    size_t capacity = train->word_capacity ? 2 * train->word_capacity : 1024;
    struct word *words = realloc(train->words, capacity * sizeof *words);
    if (!words)
        return clv_fail_memory("the words of a text");
    train->words = words;
    uint32_t *slots = calloc(2 * capacity, sizeof *slots);
    if (!slots)
        return clv_fail_memory("the words of a text");
    free(train->slots);
    train->slots = slots;
    train->slot_count = 2 * capacity;
    train->word_capacity = capacity;
    for (size_t i = 0; i < train->word_count; i++) {
        size_t slot = words[i].hash & (train->slot_count - 1);
        while (slots[slot])
            slot = (slot + 1) & (train->slot_count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    return CLV_OK;
}

static int count_word(struct clv_vocabulary_train *train, const char *text, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    int status = grow_words(train);
    if (status != CLV_OK)
        return status;
    size_t mask = train->slot_count - 1, slot = hash & mask;
    train->counted++;
    for (; train->slots[slot]; slot = (slot + 1) & mask) {
        struct word *word = &train->words[train->slots[slot] - 1];
        if (word->hash == hash && word->size == size &&
            memcmp(train->text.data + word->start, text, size) == 0) {
            word->count++;
            return CLV_OK;
        }
    }
    if (size > WORD_BYTES_MAX - train->text.size_bytes)
        return clv_fail(CLV_EINVAL, "the texts have more than %zu bytes of different words",
                        WORD_BYTES_MAX);
    train->words[train->word_count++] =
        (struct word){(uint32_t)train->text.size_bytes, (uint32_t)size, hash, 1};
    train->slots[slot] = (uint32_t)train->word_count;
    clv_bytes_add(&train->text, text, size);
    return train->text.status;
}

static int count_text(struct clv_vocabulary_train *train, const char *text, size_t size_bytes)
{
    int status = clv_clean_text(&train->cleaned, text, size_bytes);
    const char *at = train->cleaned.data;
    size_t left = train->cleaned.size_bytes, word;
    for (; left > 0 && status == CLV_OK; at += word, left -= word)
        if (clv_words_first(&word, at, left) == CLV_WORD_TEXT)
            status = count_word(train, at, word);
    return status;
}

/* Bytes of the line's first part: to a space where a line is too long, if there is one. */
static size_t part_size(const char *line, size_t size_bytes)
{
    size_t size = clv_words_bound(line, size_bytes, TEXT_BYTES_MAX);
    const char *space = size < size_bytes ? memrchr(line, ' ', size) : NULL;
    return space ? (size_t)(space - line) + 1 : size;
}

int clv_vocabulary_train_add(struct clv_vocabulary_train *train, const char *text,
                             size_t size_bytes)
{
    int status = CLV_OK;
    while (size_bytes > 0 && status == CLV_OK) {
        const char *newline = memchr(text, '\n', size_bytes);
        size_t line = newline ? (size_t)(newline - text) + 1 : size_bytes, part;
        size_bytes -= line;
        for (; line > 0 && status == CLV_OK; text += part, line -= part) {
            part = part_size(text, line);
            status = count_text(train, text, part);
        }
    }
    return status;
}

/* ---- merging pairs ---- */

struct node {
    int32_t id;
    uint32_t word;
    int32_t previous, next;     /* in the word; -1: none */
    int32_t list_back, list_on; /* among the places of its pair, in order */
};

struct pair {
    int32_t left, right;
    int32_t first, last; /* node that begins it; -1: none */
    int64_t count;
};

struct entry {
    int64_t count; /* of the pair when it was put here: never less than now */
    uint32_t pair;
};

struct merging {
    const struct clv_vocabulary_train *train;
    struct node *nodes;
    struct pair *pairs;
    size_t pair_count, pair_capacity;
    uint32_t *slots; /* of pairs: number + 1, 0 where empty */
    size_t slot_count;
    struct entry *heap; /* [pair_capacity] */
    size_t heap_count;
    struct clv_symbols symbols;
    struct clv_pool texts;
    int32_t size; /* ids so far, specials left out */
    int status;   /* the first failure */
};

static size_t pair_slot(const struct merging *merging, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t mask = merging->slot_count - 1;
    size_t slot = (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & mask;
    while (merging->slots[slot]) {
        const struct pair *pair = &merging->pairs[merging->slots[slot] - 1];
        if (pair->left == left && pair->right == right)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static int grow_pairs(struct merging *merging)
{
    if (merging->pair_count < merging->pair_capacity)
        return CLV_OK;
    size_t capacity = merging->pair_capacity ? 2 * merging->pair_capacity : 4096;
    struct pair *pairs = realloc(merging->pairs, capacity * sizeof *pairs);
    merging->pairs = pairs ? pairs : merging->pairs;
    struct entry *heap = realloc(merging->heap, capacity * sizeof *heap);
    merging->heap = heap ? heap : merging->heap;
    uint32_t *slots = calloc(2 * capacity, sizeof *slots);
    if (!pairs || !heap || !slots) {
        free(slots);
        return clv_fail_memory("the pairs of a text");
    }
    free(merging->slots);
    merging->slots = slots;
    merging->slot_count = 2 * capacity;
    merging->pair_capacity = capacity;
    for (size_t i = 0; i < merging->pair_count; i++)
        slots[pair_slot(merging, pairs[i].left, pairs[i].right)] = (uint32_t)i + 1;
    return CLV_OK;
}

/* Puts the node at the end of the list of the pair that it begins, if it does. */
static void attach(struct merging *merging, int32_t at)
{
    struct node *node = &merging->nodes[at];
    if (node->next < 0 || merging->status != CLV_OK)
        return;
    merging->status = grow_pairs(merging);
    if (merging->status != CLV_OK)
        return;
    int32_t left = node->id, right = merging->nodes[node->next].id;
    size_t slot = pair_slot(merging, left, right);
    if (!merging->slots[slot]) {
        merging->pairs[merging->pair_count++] = (struct pair){left, right, -1, -1, 0};
        merging->slots[slot] = (uint32_t)merging->pair_count;
    }
    struct pair *pair = &merging->pairs[merging->slots[slot] - 1];
    node->list_back = pair->last;
    node->list_on = -1;
    if (pair->last < 0)
        pair->first = at;
    else
        merging->nodes[pair->last].list_on = at;
    pair->last = at;
    pair->count += merging->train->words[node->word].count;
}

/* Takes the node out of its pair's list. */
static void detach(struct merging *merging, int32_t at)
{
    struct node *node = &merging->nodes[at];
    if (node->next < 0)
        return;
    size_t slot = pair_slot(merging, node->id, merging->nodes[node->next].id);
    struct pair *pair = &merging->pairs[merging->slots[slot] - 1];
    if (node->list_back < 0)
        pair->first = node->list_on;
    else
        merging->nodes[node->list_back].list_on = node->list_on;
    if (node->list_on < 0)
        pair->last = node->list_back;
    else
        merging->nodes[node->list_on].list_back = node->list_back;
    pair->count -= merging->train->words[node->word].count;
}

static int compare_symbols(const struct clv_symbol *a, const struct clv_symbol *b)
{
    size_t size = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
    int order = memcmp(a->text, b->text, size);
    return order ? order : (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}

static bool comes_before(const struct merging *merging, const struct entry *a,
                         const struct entry *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    const struct clv_symbol *symbols = merging->symbols.entries;
    const struct pair *one = &merging->pairs[a->pair], *other = &merging->pairs[b->pair];
    int order = compare_symbols(&symbols[one->left], &symbols[other->left]);
    if (order == 0)
        order = compare_symbols(&symbols[one->right], &symbols[other->right]);
    return order < 0;
}

static void heap_push(struct merging *merging, uint32_t pair)
{
    struct entry entry = {merging->pairs[pair].count, pair};
    size_t at = merging->heap_count++;
    for (; at > 0 && comes_before(merging, &entry, &merging->heap[(at - 1) / 2]); at = (at - 1) / 2)
        merging->heap[at] = merging->heap[(at - 1) / 2];
    merging->heap[at] = entry;
}

/* Lets `entry` take the place of the first one and sink to where it belongs. */
static void heap_sink(struct merging *merging, struct entry entry)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < merging->heap_count; at = child) {
        if (child + 1 < merging->heap_count &&
            comes_before(merging, &merging->heap[child + 1], &merging->heap[child]))
            child++;
        if (!comes_before(merging, &merging->heap[child], &entry))
            break;
        merging->heap[at] = merging->heap[child];
    }
    merging->heap[at] = entry;
}

/* Takes the most frequent pair out of the heap; false where there is none left. */
static bool heap_pop(struct merging *merging, struct pair *pair_out)
{
    while (merging->heap_count > 0) {
        struct entry top = merging->heap[0];
        int64_t count = merging->pairs[top.pair].count;
        if (count > 0 && count != top.count) {
            heap_sink(merging, (struct entry){count, top.pair});
            continue;
        }
        if (--merging->heap_count > 0)
            heap_sink(merging, merging->heap[merging->heap_count]);
        *pair_out = merging->pairs[top.pair];
        if (count > 0)
            return true;
    }
    return false;
}

/* Gives the pair an id and adds its line to the list. False where it must not be merged: too long,
 * or a text that two other symbols make already, which would leave a list no reader takes. */
static bool name_pair(struct merging *merging, struct clv_bytes *list, const struct pair *pair)
{
    const struct clv_symbol *left = &merging->symbols.entries[pair->left];
    const struct clv_symbol *right = &merging->symbols.entries[pair->right];
    size_t size = (size_t)left->size_bytes + right->size_bytes;
    if (size > SYMBOL_BYTES_MAX || clv_symbols_find(&merging->symbols, left->text, left->size_bytes,
                                                    right->text, right->size_bytes) >= 0)
        return false;
    char *text = clv_pool_alloc(&merging->texts, size + 1);
    if (!text) {
        merging->status = CLV_ENOMEM;
        return false;
    }
    memcpy(text, left->text, left->size_bytes);
    memcpy(text + left->size_bytes, right->text, right->size_bytes);
    clv_bytes_text(list, "\n");
    clv_bytes_add(list, left->text, left->size_bytes);
    clv_bytes_text(list, " ");
    clv_bytes_add(list, right->text, right->size_bytes);
    merging->status = list->status;
    clv_symbols_put(&merging->symbols, merging->size++, text, size);
    return true;
}

/* Merges the pair wherever it stands, left to right, into the newest id. */
static void merge_pair(struct merging *merging, const struct pair *pair)
{
    size_t slot = pair_slot(merging, pair->left, pair->right);
    size_t number = merging->slots[slot] - 1, known_count = merging->pair_count;
    int32_t at;
    while (merging->status == CLV_OK && (at = merging->pairs[number].first) >= 0) {
        struct node *node = &merging->nodes[at], *right = &merging->nodes[node->next];
        if (node->previous >= 0)
            detach(merging, node->previous);
        detach(merging, node->next);
        detach(merging, at);
        node->id = merging->size - 1;
        node->next = right->next;
        if (right->next >= 0)
            merging->nodes[right->next].previous = at;
        if (node->previous >= 0)
            attach(merging, node->previous);
        attach(merging, at);
    }
    for (size_t i = known_count; i < merging->pair_count && merging->status == CLV_OK; i++)
        heap_push(merging, (uint32_t)i);
}

/* Every different word as a chain of bytes. */
static int lay_out(struct merging *merging)
{
    const struct clv_vocabulary_train *train = merging->train;
    int32_t ids[2][256];
    for (int i = 0; i < 512; i++) {
        const char *text = merging->symbols.byte_texts[i];
        clv_symbols_put(&merging->symbols, i, text, strlen(text));
        ids[i / 256][merging->symbols.byte_order[i % 256]] = i;
    }
    merging->size = 512;
    for (size_t i = 0; i < train->word_count; i++) {
        int32_t first = (int32_t)train->words[i].start;
        int32_t last = first + (int32_t)train->words[i].size - 1;
        for (int32_t at = first; at <= last; at++)
            merging->nodes[at] = (struct node){
                .id = ids[at == last][(unsigned char)train->text.data[at]],
                .word = (uint32_t)i,
                .previous = at > first ? at - 1 : -1,
                .next = at < last ? at + 1 : -1,
            };
    }
    for (size_t at = 0; at < train->text.size_bytes; at++)
        attach(merging, (int32_t)at);
    for (size_t i = 0; i < merging->pair_count && merging->status == CLV_OK; i++)
        heap_push(merging, (uint32_t)i);
    return merging->status;
}

static int merging_init(struct merging *out, const struct clv_vocabulary_train *train, int size)
{
    *out = (struct merging){.train = train};
    out->texts.limit_bytes = (size_t)size * (2 * SYMBOL_BYTES_MAX);
    out->nodes = malloc(train->text.size_bytes * sizeof *out->nodes);
    return out->nodes ? clv_symbols_init(&out->symbols, size) : clv_fail_memory("a text");
}

static void merging_release(struct merging *merging)
{
    free(merging->nodes);
    free(merging->pairs);
    free(merging->slots);
    free(merging->heap);
    clv_symbols_release(&merging->symbols);
    clv_pool_release(&merging->texts);
}

int clv_vocabulary_train_list(const struct clv_vocabulary_train *train, struct clv_bytes *list_out,
                              int *size_out, int size, struct clv_cancel *cancel)
{
    clv_bytes_clear(list_out);
    *size_out = 0;
    if (size < CLV_VOCABULARY_SIZE_MIN || size > CLV_VOCABULARY_SIZE_MAX)
        return clv_fail(CLV_EINVAL, "a vocabulary has %d to %d ids, not %d",
                        CLV_VOCABULARY_SIZE_MIN, CLV_VOCABULARY_SIZE_MAX, size);
    if (train->word_count == 0)
        return clv_fail(CLV_EINVAL, "the text has no words to make a vocabulary of");
    struct merging merging;
    struct pair pair;
    int status = merging_init(&merging, train, size);
    if (status == CLV_OK)
        status = lay_out(&merging);
    clv_bytes_text(list_out, LIST_HEAD);
    while (status == CLV_OK && merging.size < size - 2 && heap_pop(&merging, &pair)) {
        if (name_pair(&merging, list_out, &pair))
            merge_pair(&merging, &pair);
        status = merging.status;
        if (status == CLV_OK && clv_cancelled(cancel))
            status = clv_fail(CLV_ECANCELED, "interrupted");
    }
    if (status == CLV_OK)
        status = list_out->status;
    *size_out = status == CLV_OK ? merging.size + 2 : 0;
    merging_release(&merging);
    return status;
}
