/* Private to core/model: Python's pickle format, read as data.
 *
 * A small, closed interpreter of the opcodes of protocols 0 to 5. It builds numbers, strings and
 * containers; a global is a pair of names, and whatever would call one becomes a record of what
 * would have been called, with what, and what was put into the result afterwards. Nothing is
 * looked up, imported or run. The extension registry and out-of-band buffers are refused.
 *
 * Memory is bounded by the input: each opcode makes at most one value, memo indices must be
 * smaller than their opcode's offset (writers number them in sequence), and all values together
 * may take 64 times the input. The result may hold cycles and values reached by many paths: a
 * consumer bounds its walk (clv_pickle_value.busy is there to mark the way to a value). */
#ifndef CLV_CORE_MODEL_PICKLE_H
#define CLV_CORE_MODEL_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum clv_pickle_kind {
    CLV_PICKLE_NONE,
    CLV_PICKLE_BOOL,
    CLV_PICKLE_INTEGER,
    CLV_PICKLE_BIG, /* an integer beyond 64 bits, as `text`: little-endian two's complement bytes,
                       or the decimal digits of protocol 0 */
    CLV_PICKLE_NUMBER,
    CLV_PICKLE_TEXT, /* str, whatever its encoding */
    CLV_PICKLE_BYTES,
    CLV_PICKLE_TUPLE,
    CLV_PICKLE_LIST,
    CLV_PICKLE_SET,
    CLV_PICKLE_DICT,
    CLV_PICKLE_GLOBAL,
    CLV_PICKLE_RECORD,
    CLV_PICKLE_PERSISTENT,
};

/* Not NUL-terminated. */
struct clv_pickle_text {
    const char *data;
    size_t size_bytes;
};

struct clv_pickle_value;

/* What a call would have made. Parts that the pickle does not give are NULL. */
struct clv_pickle_record {
    struct clv_pickle_value *callable;  /* GLOBAL, PERSISTENT or RECORD */
    struct clv_pickle_value *arguments; /* TUPLE */
    struct clv_pickle_value *keywords;  /* DICT, of NEWOBJ_EX */
    struct clv_pickle_value *state;     /* of BUILD; the last one */
    struct clv_pickle_value *list;      /* LIST, of APPEND, APPENDS and ADDITEMS */
    struct clv_pickle_value *dict;      /* DICT, of SETITEM and SETITEMS */
};

struct clv_pickle_value {
    enum clv_pickle_kind kind;
    bool busy; /* for the consumer */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct clv_pickle_text text; /* TEXT, BYTES, BIG */
        struct {
            struct clv_pickle_value **at; /* of a DICT: key, value, key, value, … */
            size_t count;
            size_t capacity;
        } items; /* TUPLE, LIST, SET, DICT */
        struct {
            const struct clv_pickle_text *module;
            const struct clv_pickle_text *name;
        } global;
        struct clv_pickle_record *record;
        struct clv_pickle_value *id; /* of a PERSISTENT */
    };
};

struct clv_pickle;

/* Reads one pickle from the start of `data`, which must outlive the result (its strings point into
 * it); *used_out (may be NULL) is where the pickle ends. `name` is what messages call it.
 * CLV_ECORRUPT or CLV_EUNSUPPORTED with the opcode and its offset. */
int clv_pickle_open(struct clv_pickle **out, const void *data, size_t size_bytes, size_t *used_out,
                    const char *name);
void clv_pickle_close(struct clv_pickle *pickle);

struct clv_pickle_value *clv_pickle_root(const struct clv_pickle *pickle);
/* How many values were made. */
size_t clv_pickle_value_count(const struct clv_pickle *pickle);

/* All accept NULL. */
bool clv_pickle_is_text(const struct clv_pickle_value *value, const char *text);
bool clv_pickle_is_global(const struct clv_pickle_value *value, const char *module,
                          const char *name);
/* The value's items, or none: a TUPLE's or LIST's `index`th; NULL where there is none. */
struct clv_pickle_value *clv_pickle_item(const struct clv_pickle_value *value, size_t index);
/* The value under a string key of a DICT (the last of several, as in Python); NULL where there is
 * none. */
struct clv_pickle_value *clv_pickle_get(const struct clv_pickle_value *dict, const char *key);

#endif
