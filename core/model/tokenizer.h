/* CLIP's byte-pair tokenizer. Text is cleaned (HTML entities twice, white space, lower case) and
 * split as OpenAI's tokenizer does, then merged by rank. */
#ifndef CLV_CORE_MODEL_TOKENIZER_H
#define CLV_CORE_MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_tokenizer;

/* Reads, by its name and content: OpenAI's bpe_simple_vocab_16e6.txt.gz (or unpacked), Hugging
 * Face's vocab.json (merges.txt beside it) or merges.txt (vocab.json beside it), tokenizer.json,
 * or a directory holding one of these. CLV_ENOTFOUND, CLV_ECORRUPT. */
int clv_tokenizer_open(struct clv_tokenizer **out, const char *path);
/* As above from a vocabulary in memory: the text of OpenAI's list, unpacked. An empty list
 * (size 0) is the byte-level vocabulary of 514 ids. */
int clv_tokenizer_open_text(struct clv_tokenizer **out, const char *text, size_t size_bytes,
                            const char *name);

/* A file of a vocabulary in memory, unpacked. `name` says what it is: bpe_simple_vocab_16e6.txt,
 * vocab.json (and merges.txt after it), or tokenizer.json; `path` stands for it in messages. */
struct clv_tokenizer_file {
    const char *name;
    const char *path;
    const char *data;
    size_t size_bytes;
};
#define CLV_TOKENIZER_FILE_MAX 2

/* As clv_tokenizer_open() from the files of a vocabulary, which need not outlive the call. */
int clv_tokenizer_open_files(struct clv_tokenizer **out, const struct clv_tokenizer_file *files,
                             int file_count);
void clv_tokenizer_close(struct clv_tokenizer *tokenizer);

int clv_tokenizer_size(const struct clv_tokenizer *tokenizer); /* ids, the two specials included */
int32_t clv_tokenizer_start_id(const struct clv_tokenizer *tokenizer);
int32_t clv_tokenizer_end_id(const struct clv_tokenizer *tokenizer);

/* Writes start id, the text's ids, end id into ids_out[context_length] and their number into
 * *count_out. Text too long is cut so that the end id is the last, and *cut_out (may be NULL)
 * says so. `text` need not be valid UTF-8. Thread-safe on one tokenizer. */
int clv_tokenizer_encode(const struct clv_tokenizer *tokenizer, int32_t *ids_out, int *count_out,
                         bool *cut_out, const char *text, int context_length);
/* As above for text that may hold NULs. */
int clv_tokenizer_encode_bytes(const struct clv_tokenizer *tokenizer, int32_t *ids_out,
                               int *count_out, bool *cut_out, const char *text, size_t size_bytes,
                               int context_length);

#endif
