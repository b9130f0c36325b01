/* HTML's character references. Private to the tokenizer. */
#ifndef CLV_CORE_MODEL_ENTITIES_H
#define CLV_CORE_MODEL_ENTITIES_H

#include "core/bytes.h"

/* Appends `text` to `out` with references replaced as Python's html.unescape() does: numeric ones
 * by HTML 5's rules, and HTML 4's 252 names with those HTML 5 also reads without a semicolon. Other
 * names stay as they are. Failures are kept in `out`. */
void clv_entities_replace(struct clv_bytes *out, const char *text, size_t size_bytes);

#endif
