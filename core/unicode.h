/* Unicode text: decoding, classes, case and normal forms; the one file that knows utf8proc. */
#ifndef CLV_CORE_UNICODE_H
#define CLV_CORE_UNICODE_H

#include "core/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one code point at `text`; returns the bytes it takes (1 to 4), or 0 at the end or where
 * the bytes are not UTF-8. */
size_t clv_unicode_decode(uint32_t *code_point_out, const char *text, size_t size_bytes);
/* Whether all of the text is UTF-8. */
bool clv_unicode_is_valid(const char *text, size_t size_bytes);
/* Writes 1 to 4 bytes, returns how many. */
size_t clv_unicode_encode(char out[4], uint32_t code_point);

bool clv_unicode_is_letter(uint32_t code_point); /* \p{L} */
bool clv_unicode_is_number(uint32_t code_point); /* \p{N} */
bool clv_unicode_is_space(
    uint32_t code_point); /* White_Space, as \s of Unicode regular expressions */
/* Columns a terminal gives it: 0, 1 or 2. */
int clv_unicode_columns(uint32_t code_point);

/* Append to `out` the text in normal form C, or in lower case (full mapping, as Python's
 * str.lower() without final-sigma context). Bytes that are not UTF-8 become U+FFFD. */
int clv_unicode_nfc(struct clv_bytes *out, const char *text, size_t size_bytes);
int clv_unicode_lower(struct clv_bytes *out, const char *text, size_t size_bytes);

#endif
