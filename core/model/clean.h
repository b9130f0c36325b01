/* What happens to a text before it is split into words. Private to the tokenizer. */
#ifndef CLV_CORE_MODEL_CLEAN_H
#define CLV_CORE_MODEL_CLEAN_H

#include "core/bytes.h"

/* `text` in normal form C, HTML references replaced twice, runs of white space made one space and
 * those at the ends dropped, in lower case: OpenAI's basic_clean, whitespace_clean and lower(),
 * less the mojibake repair. `out` is cleared first; the result is UTF-8 whatever `text` is. */
int clv_clean_text(struct clv_bytes *out, const char *text, size_t size_bytes);

#endif
