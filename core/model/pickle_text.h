/* Private to core/model/pickle*.c: the decimal and escaped arguments of protocol 0. */
#ifndef CLV_CORE_MODEL_PICKLE_TEXT_H
#define CLV_CORE_MODEL_PICKLE_TEXT_H

#include "core/model/pickle.h"

/* Decimal digits with a sign; false where it is no 64-bit integer. */
bool clv_pickle_text_integer(int64_t *out, const char *text, size_t size_bytes);
/* True where it is a decimal integer of any size. */
bool clv_pickle_text_is_integer(const char *text, size_t size_bytes);
bool clv_pickle_text_number(double *out, const char *text, size_t size_bytes);

/* Both write at most `size_bytes` * 2 bytes to `out` and return how many; SIZE_MAX where an escape
 * is malformed. The first undoes Python's repr() of a byte string, between its quotes; the second
 * its raw-unicode-escape (Latin-1 with \uXXXX and \UXXXXXXXX), into UTF-8. */
size_t clv_pickle_text_unescape(char *out, const char *text, size_t size_bytes);
size_t clv_pickle_text_decode(char *out, const char *text, size_t size_bytes);

#endif
