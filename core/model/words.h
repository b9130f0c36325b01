/* The words a cleaned text is split into before pairs are merged: OpenAI's pattern. Private to the
 * tokenizer and to the training of vocabularies, which must agree on it. */
#ifndef CLV_CORE_MODEL_WORDS_H
#define CLV_CORE_MODEL_WORDS_H

#include <stddef.h>

enum clv_word {
    CLV_WORD_TEXT,
    CLV_WORD_SPACE, /* one character of white space, which no token stands for */
    CLV_WORD_START, /* <|startoftext|> */
    CLV_WORD_END,   /* <|endoftext|> */
};

/* What `text` begins with by the pattern
 *   <|startoftext|> | <|endoftext|> | 's | 't | 're | 've | 'm | 'll | 'd | \p{L}+ | \p{N} |
 *   [^\s\p{L}\p{N}]+
 * and how many of its `size_bytes` > 0 bytes of UTF-8 that takes. */
enum clv_word clv_words_first(size_t *size_out, const char *text, size_t size_bytes);

/* The largest size up to `limit_bytes` that does not split a character. */
size_t clv_words_bound(const char *text, size_t size_bytes, size_t limit_bytes);

#endif
