/* JSON values, read and written; the one file that knows the JSON library (jansson).
 *
 * Reading: clv_json_parse() gives a tree that lives until clv_json_free(); values found in it are
 * borrowed. Every accessor accepts NULL (a missing value) and then gives its fallback, so that a
 * lookup chain needs one check. Duplicate keys, trailing text, and nesting beyond the library's
 * limit are errors.
 *
 * Writing: clv_json_object()/array() make values owned by the caller until they are put into
 * another value, which takes them over. Running out of memory is kept in the values: it surfaces
 * as CLV_ENOMEM from clv_json_write(). Strings that are not UTF-8 (paths) are written with each
 * offending byte replaced by U+FFFD. */
#ifndef CLV_CORE_JSON_H
#define CLV_CORE_JSON_H

#include "core/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_json; /* a value; always handled by pointer */

enum clv_json_kind {
    CLV_JSON_NONE, /* a NULL pointer */
    CLV_JSON_NULL,
    CLV_JSON_BOOL,
    CLV_JSON_INTEGER,
    CLV_JSON_REAL,
    CLV_JSON_STRING,
    CLV_JSON_ARRAY,
    CLV_JSON_OBJECT,
};

/* CLV_ECORRUPT with `name` (what the text is, for the message), line and reason. */
int clv_json_parse(struct clv_json **out, const char *text, size_t size_bytes, const char *name);
void clv_json_free(struct clv_json *value);

enum clv_json_kind clv_json_kind(const struct clv_json *value);
/* Members of an object, elements of an array, otherwise 0. */
size_t clv_json_count(const struct clv_json *value);
const struct clv_json *clv_json_get(const struct clv_json *object, const char *key);
const struct clv_json *clv_json_at(const struct clv_json *array, size_t index);
int64_t clv_json_integer(const struct clv_json *value, int64_t fallback);
double clv_json_number(const struct clv_json *value, double fallback);
bool clv_json_bool(const struct clv_json *value, bool fallback);
/* UTF-8; `size_out` may be NULL. A string may hold NULs, so use the size where that matters. */
const char *clv_json_string(const struct clv_json *value, size_t *size_out, const char *fallback);

/* Calls `each` for every member in the order of the text; stops at and returns its first
 * non-zero result. */
typedef int clv_json_each(const char *key, const struct clv_json *value, void *payload);
int clv_json_members(const struct clv_json *object, clv_json_each *each, void *payload);

struct clv_json *clv_json_object(void);
struct clv_json *clv_json_array(void);
void clv_json_put(struct clv_json *object, const char *key, struct clv_json *value);
void clv_json_put_string(struct clv_json *object, const char *key, const char *text);
void clv_json_put_integer(struct clv_json *object, const char *key, int64_t value);
/* NaN and infinities become null. */
void clv_json_put_number(struct clv_json *object, const char *key, double value);
void clv_json_put_bool(struct clv_json *object, const char *key, bool value);
void clv_json_append(struct clv_json *array, struct clv_json *value);
void clv_json_append_string(struct clv_json *array, const char *text);
void clv_json_append_integer(struct clv_json *array, int64_t value);
void clv_json_append_number(struct clv_json *array, double value);

/* Appends the text of `value` to `out`: on one line, or indented by two where `pretty`. */
int clv_json_write(struct clv_bytes *out, const struct clv_json *value, bool pretty);

/* "jansson 2.14", for `--version`. */
const char *clv_json_version(void);

#endif
