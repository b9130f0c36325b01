/* A byte-pair vocabulary in the form the tokenizer works on: ids and merges, no strings. Private
 * to core/model. */
#ifndef CLV_CORE_MODEL_VOCABULARY_H
#define CLV_CORE_MODEL_VOCABULARY_H

#include "core/bytes.h"
#include "core/model/tokenizer.h"
#include "core/model/weights.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_symbols;

/* Two neighbouring ids and what they become. Ranks count from 1 (merged first); rank 0 marks an
 * empty slot of the table. */
struct clv_merge {
    int32_t left;
    int32_t right;
    uint32_t rank;
    int32_t id;
};

struct clv_vocabulary {
    int size; /* ids 0 … size - 1, the two specials included */
    int32_t start_id;
    int32_t end_id;
    int32_t byte_ids[2][256]; /* [1]: of the byte that ends a word */
    struct clv_merge *merges; /* hash table with open addressing */
    size_t merge_mask;        /* its capacity, a power of two, less one */
    size_t merge_count;
};

/* Every form clv_tokenizer_open() takes. Pair with clv_vocabulary_release(), which `out` is ready
 * for after a failure too. */
int clv_vocabulary_read(struct clv_vocabulary *out, const char *path);
/* The text of OpenAI's list; `name` stands for it in messages. */
int clv_vocabulary_parse(struct clv_vocabulary *out, const char *text, size_t size_bytes,
                         const char *name);
void clv_vocabulary_release(struct clv_vocabulary *vocabulary);

/* The files of a vocabulary read into memory. */
struct clv_vocabulary_files {
    struct clv_tokenizer_file items[CLV_TOKENIZER_FILE_MAX];
    struct clv_bytes texts[CLV_TOKENIZER_FILE_MAX]; /* what the items point to */
    char *paths[CLV_TOKENIZER_FILE_MAX];
    int count;
};
/* Reads what clv_vocabulary_read() would, unpacked, OpenAI's list without the lines no tokenizer
 * uses. Pair with clv_vocabulary_files_release(), which `out` is ready for after a failure too. */
int clv_vocabulary_load(struct clv_vocabulary_files *out, const char *path);
/* A copy of the vocabulary inside `weights`; none is no error and leaves `count` 0. */
int clv_vocabulary_inside(struct clv_vocabulary_files *out, const struct clv_weights *weights);
/* A file of a loaded vocabulary as an entry of weights, without its data; the name is NULL where
 * weights hold none of that name. */
struct clv_weight_entry clv_vocabulary_entry(const struct clv_tokenizer_file *file);
void clv_vocabulary_files_release(struct clv_vocabulary_files *files);
/* vocab.json and merges.txt that say the same as OpenAI's list would become that list, which is
 * far faster to read. */
int clv_vocabulary_simplify(struct clv_vocabulary_files *files);
int clv_vocabulary_parse_files(struct clv_vocabulary *out, const struct clv_tokenizer_file *files,
                               int file_count);

/* The first of the usual vocabulary files in `directory`, of which clv_vocabulary_name() gives the
 * nth (NULL after the last); CLV_OK with *out NULL where there is none. The caller frees. */
int clv_vocabulary_locate(char **out, const char *directory);
const char *clv_vocabulary_name(size_t index);
/* The same name as a string that stays, where it is what a file of a loaded vocabulary is called
 * (bpe_simple_vocab_16e6.txt, vocab.json, merges.txt, tokenizer.json); else "". */
const char *clv_vocabulary_inner_name(const char *name);

/* NULL where the pair is never merged. */
const struct clv_merge *clv_vocabulary_merge(const struct clv_vocabulary *vocabulary, int32_t left,
                                             int32_t right);

/* Building blocks of the readers. */
#define CLV_VOCABULARY_START "<|startoftext|>"
#define CLV_VOCABULARY_END "<|endoftext|>"

/* An empty vocabulary with room for `merge_max` merges. */
int clv_vocabulary_init(struct clv_vocabulary *out, size_t merge_max);
/* Adds the pair as the next rank, which becomes what the table has for both texts together.
 * CLV_ECORRUPT where a text is unknown or the pair repeated; `name` and `line` say where. */
int clv_vocabulary_add(struct clv_vocabulary *vocabulary, const struct clv_symbols *symbols,
                       const char *pair, size_t size_bytes, const char *name, size_t line);
/* Takes size, specials and byte symbols from the table, which must have them all. */
int clv_vocabulary_finish(struct clv_vocabulary *vocabulary, const struct clv_symbols *symbols,
                          int size, const char *name);
/* The next line at *at without its end, which may be "\r\n"; false at the end of the text. */
bool clv_vocabulary_line(const char **line_out, size_t *size_out, const char **at, const char *end);

#endif
