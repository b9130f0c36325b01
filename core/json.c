/* jansson behind claverdb's names. struct clv_json is never defined: a pointer to one is a json_t
 * pointer. */
#include "core/json.h"

#include "core/error.h"
#include "core/unicode.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static json_t *inner(const struct clv_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static struct clv_json *outer(json_t *value)
{
    return (struct clv_json *)value;
}

/* The library drops characters that it has no memory for, and then trips over what is left or
 * blames the text. So it allocates here: the first request of a parse that fails is served from
 * memory put aside if it may be for those characters, and the text ends there. Whatever else it has
 * no memory for it gives up itself. */
struct parse {
    const char *at, *end;
    void *aside;
    size_t aside_bytes;
    bool ran_out;
};

static _Thread_local struct parse *parse; /* that runs on this thread; NULL: none */

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory || !parse || parse->ran_out)
        return memory;
    parse->ran_out = true;
    return size <= parse->aside_bytes ? parse->aside : NULL;
}

static void release(void *memory)
{
    if (!parse || memory != parse->aside)
        free(memory);
}

static void set_allocator(void)
{
    json_set_alloc_funcs(allocate, release);
}

/* Before the first value of any kind is made. */
static void start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, set_allocator);
}

/* One byte at a time, so that the end comes at once. */
static size_t read_byte(void *buffer, size_t size, void *payload)
{
    struct parse *of = payload;
    if (of->at == of->end || of->ran_out || size == 0)
        return 0;
    *(char *)buffer = *of->at++;
    return 1;
}

/* Enough for the characters of the longest string in so much text: their buffer doubles. */
static size_t bytes_aside(size_t size_bytes)
{
    return 2 * size_bytes + 64;
}

int clv_json_parse(struct clv_json **out, const char *text, size_t size_bytes, const char *name)
{
    json_error_t error;
    struct parse state = {
        .at = text, .end = text ? text + size_bytes : text, .aside_bytes = bytes_aside(size_bytes)};
    *out = NULL;
    start();
    state.aside = malloc(state.aside_bytes);
    if (!state.aside)
        return clv_fail_memory("JSON");
    parse = &state;
    json_t *value = json_load_callback(
        read_byte, &state, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (state.ran_out) {
        json_decref(value);
        value = NULL;
    }
    parse = NULL;
    free(state.aside);
    if (state.ran_out)
        return clv_fail_memory("JSON");
    *out = outer(value);
    if (value)
        return CLV_OK;
    return clv_fail(CLV_ECORRUPT, "'%s' is not valid JSON: line %d: %s", name, error.line,
                    error.text);
}

void clv_json_free(struct clv_json *value)
{
    json_decref(inner(value));
}

enum clv_json_kind clv_json_kind(const struct clv_json *value)
{
    if (!value)
        return CLV_JSON_NONE;
    switch (json_typeof(inner(value))) {
    case JSON_NULL:
        return CLV_JSON_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return CLV_JSON_BOOL;
    case JSON_INTEGER:
        return CLV_JSON_INTEGER;
    case JSON_REAL:
        return CLV_JSON_REAL;
    case JSON_STRING:
        return CLV_JSON_STRING;
    case JSON_ARRAY:
        return CLV_JSON_ARRAY;
    case JSON_OBJECT:
        return CLV_JSON_OBJECT;
    }
    return CLV_JSON_NONE;
}

size_t clv_json_count(const struct clv_json *value)
{
    if (json_is_object(inner(value)))
        return json_object_size(inner(value));
    return json_is_array(inner(value)) ? json_array_size(inner(value)) : 0;
}

const struct clv_json *clv_json_get(const struct clv_json *object, const char *key)
{
    return outer(json_object_get(inner(object), key));
}

const struct clv_json *clv_json_at(const struct clv_json *array, size_t index)
{
    return outer(json_array_get(inner(array), index));
}

int64_t clv_json_integer(const struct clv_json *value, int64_t fallback)
{
    return json_is_integer(inner(value)) ? json_integer_value(inner(value)) : fallback;
}

double clv_json_number(const struct clv_json *value, double fallback)
{
    return json_is_number(inner(value)) ? json_number_value(inner(value)) : fallback;
}

bool clv_json_bool(const struct clv_json *value, bool fallback)
{
    return json_is_boolean(inner(value)) ? json_is_true(inner(value)) : fallback;
}

const char *clv_json_string(const struct clv_json *value, size_t *size_out, const char *fallback)
{
    bool is_string = json_is_string(inner(value));
    const char *text = is_string ? json_string_value(inner(value)) : fallback;
    if (size_out)
        *size_out = is_string ? json_string_length(inner(value)) : fallback ? strlen(fallback) : 0;
    return text;
}

int clv_json_members(const struct clv_json *object, clv_json_each *each, void *payload)
{
    const char *key;
    json_t *value;
    json_object_foreach(inner(object), key, value)
    {
        int status = each(key, outer(value), payload);
        if (status != 0)
            return status;
    }
    return 0;
}

struct clv_json *clv_json_object(void)
{
    start();
    return outer(json_object());
}

struct clv_json *clv_json_array(void)
{
    start();
    return outer(json_array());
}

/* What is left where a value could not be made or put: a string that is not UTF-8, which no other
 * call can make and which the library refuses to write. */
static json_t *lost(void)
{
    return json_string_nocheck("\xff");
}

void clv_json_put(struct clv_json *object, const char *key, struct clv_json *value)
{
    if (!object) {
        clv_json_free(value);
        return;
    }
    if (json_object_set_new_nocheck(inner(object), key, inner(value)) != 0)
        (void)json_object_set_new_nocheck(inner(object), "lost", lost());
}

/* A JSON string of `text`, invalid bytes replaced. */
static json_t *string_of(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    struct clv_bytes valid = {0};
    size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        uint32_t code_point;
        size_t taken = clv_unicode_decode(&code_point, text + at, size - at);
        if (taken)
            clv_bytes_add(&valid, text + at, taken);
        else
            clv_bytes_text(&valid, "\xef\xbf\xbd");
        at += taken ? taken : 1;
    }
    if (valid.status == CLV_OK && valid.data)
        value = json_string(valid.data);
    clv_bytes_release(&valid);
    return value;
}

void clv_json_put_string(struct clv_json *object, const char *key, const char *text)
{
    clv_json_put(object, key, outer(string_of(text)));
}

void clv_json_put_integer(struct clv_json *object, const char *key, int64_t value)
{
    clv_json_put(object, key, outer(json_integer(value)));
}

void clv_json_put_number(struct clv_json *object, const char *key, double value)
{
    clv_json_put(object, key, outer(isfinite(value) ? json_real(value) : json_null()));
}

void clv_json_put_bool(struct clv_json *object, const char *key, bool value)
{
    clv_json_put(object, key, outer(json_boolean(value)));
}

void clv_json_append(struct clv_json *array, struct clv_json *value)
{
    if (!array)
        clv_json_free(value);
    else if (json_array_append_new(inner(array), inner(value)) != 0)
        (void)json_array_append_new(inner(array), lost());
}

void clv_json_append_string(struct clv_json *array, const char *text)
{
    clv_json_append(array, outer(string_of(text)));
}

void clv_json_append_integer(struct clv_json *array, int64_t value)
{
    clv_json_append(array, outer(json_integer(value)));
}

void clv_json_append_number(struct clv_json *array, double value)
{
    clv_json_append(array, outer(isfinite(value) ? json_real(value) : json_null()));
}

static int write_piece(const char *data, size_t size_bytes, void *payload)
{
    struct clv_bytes *out = payload;
    clv_bytes_add(out, data, size_bytes);
    return out->status == CLV_OK ? 0 : -1;
}

int clv_json_write(struct clv_bytes *out, const struct clv_json *value, bool pretty)
{
    if (out->status != CLV_OK)
        return out->status;
    if (!value)
        return out->status = clv_fail_memory("JSON");
    /* 9 significant digits tell every float apart. */
    size_t flags =
        JSON_ENCODE_ANY | JSON_REAL_PRECISION(9) | (pretty ? (size_t)JSON_INDENT(2) : JSON_COMPACT);
    if (json_dump_callback(inner(value), write_piece, out, flags) != 0)
        return out->status = clv_fail_memory("JSON");
    return CLV_OK;
}

const char *clv_json_version(void)
{
    return "jansson " JANSSON_VERSION;
}
