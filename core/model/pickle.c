/* The pickle interpreter: one function for each group of opcodes, in a table. */
#include "core/model/pickle.h"

#include "core/error.h"
#include "core/model/pickle_text.h"
#include "core/model/pool.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX ((size_t)256 << 20)
#define MEMORY_BYTES_MAX ((size_t)2 << 30)
#define MEMORY_FACTOR 64
#define PROTOCOL_MAX 5

struct clv_pickle {
    struct clv_pool pool;
    struct clv_pickle_value *root;
    size_t value_count;
};

/* A growing array of pointers or numbers. */
struct values {
    struct clv_pickle_value **at;
    size_t count;
    size_t capacity;
};

struct machine {
    struct clv_pickle *pickle;
    const char *name;
    const unsigned char *data;
    size_t size_bytes;
    size_t at;      /* the next byte */
    size_t started; /* the offset of the opcode being run */
    unsigned char opcode;
    bool stopped;
    struct values stack;
    struct values memo; /* NULL where nothing was put */
    size_t *marks;      /* heights of the stack */
    size_t mark_count;
    size_t mark_capacity;
};

struct opcode {
    const char *name;
    int (*run)(struct machine *m);
};
static const struct opcode opcodes[256];

static int bad(struct machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int bad(struct machine *m, const char *format, ...)
{
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return clv_fail(CLV_ECORRUPT, "'%s': pickle opcode %s at byte %zu %s", m->name,
                    opcodes[m->opcode].name, m->started, what);
}

/* ---- input ----------------------------------------------------------------------------------- */

static int take(const unsigned char **out, struct machine *m, uint64_t size_bytes)
{
    *out = NULL;
    if (size_bytes > m->size_bytes - m->at)
        return bad(m, "needs %" PRIu64 " bytes, %zu are left", size_bytes, m->size_bytes - m->at);
    *out = m->data + m->at;
    m->at += (size_t)size_bytes;
    return CLV_OK;
}

/* A little-endian number of `size` bytes. */
static int take_number(uint64_t *out, struct machine *m, int size)
{
    const unsigned char *bytes = NULL;
    int status = take(&bytes, m, (uint64_t)size);
    *out = 0;
    for (int i = size - 1; i >= 0 && status == CLV_OK; i--)
        *out = *out << 8 | bytes[i];
    return status;
}

/* The rest of the line, without its end. */
static int take_line(struct clv_pickle_text *out, struct machine *m)
{
    *out = (struct clv_pickle_text){0};
    const char *start = (const char *)m->data + m->at;
    const char *end = memchr(start, '\n', m->size_bytes - m->at);
    if (!end)
        return bad(m, "has no end of its line");
    *out = (struct clv_pickle_text){start, (size_t)(end - start)};
    m->at += out->size_bytes + 1;
    return CLV_OK;
}

/* ---- values, stack, memo --------------------------------------------------------------------- */

static int make(struct clv_pickle_value **out, struct machine *m, enum clv_pickle_kind kind)
{
    *out = clv_pool_alloc(&m->pickle->pool, sizeof **out);
    if (!*out)
        return CLV_ENOMEM;
    (*out)->kind = kind;
    m->pickle->value_count++;
    return CLV_OK;
}

static int grow(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return CLV_OK;
    size_t wanted = *capacity * 2 > count ? *capacity * 2 : count + 64;
    void *grown = reallocarray(*(void **)array, wanted, size);
    if (!grown)
        return clv_fail_memory("a pickle's stack");
    *(void **)array = grown;
    *capacity = wanted;
    return CLV_OK;
}

static int push(struct machine *m, struct clv_pickle_value *value)
{
    int status = grow(&m->stack.at, &m->stack.capacity, m->stack.count, sizeof *m->stack.at);
    if (status == CLV_OK)
        m->stack.at[m->stack.count++] = value;
    return status;
}

/* The height of the stack that opcodes may not go below: the last mark's. */
static size_t floor_of(const struct machine *m)
{
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

/* The `count` topmost values, the deepest first, valid until the next push. They are popped where
 * `popped`. */
static int top(struct clv_pickle_value ***out, struct machine *m, size_t count, bool popped)
{
    *out = NULL;
    size_t there = m->stack.count - floor_of(m);
    if (there < count)
        return bad(m, "takes %zu values, the stack has %zu", count, there);
    *out = m->stack.at + (m->stack.count - count);
    m->stack.count -= popped ? count : 0;
    return CLV_OK;
}

/* Pops everything above the last mark, and the mark. */
static int pop_mark(struct clv_pickle_value ***out, size_t *count_out, struct machine *m)
{
    *out = NULL;
    *count_out = 0;
    if (m->mark_count == 0)
        return bad(m, "finds no mark on the stack");
    size_t height = m->marks[--m->mark_count];
    *out = m->stack.at ? m->stack.at + height : NULL;
    *count_out = m->stack.count - height;
    m->stack.count = height;
    return CLV_OK;
}

static int append(struct machine *m, struct clv_pickle_value *container,
                  struct clv_pickle_value **values, size_t count)
{
    size_t wanted = container->items.count + count;
    if (wanted > container->items.capacity) {
        size_t capacity = container->items.capacity ? container->items.capacity * 2 : 0;
        if (capacity < wanted)
            capacity = wanted;
        struct clv_pickle_value **at = clv_pool_alloc(&m->pickle->pool, capacity * sizeof(void *));
        if (!at)
            return CLV_ENOMEM;
        if (container->items.count)
            memcpy(at, container->items.at, container->items.count * sizeof *at);
        container->items.at = at;
        container->items.capacity = capacity;
    }
    if (count)
        memcpy(container->items.at + container->items.count, values, count * sizeof *values);
    container->items.count = wanted;
    return CLV_OK;
}

static int push_container(struct machine *m, enum clv_pickle_kind kind,
                          struct clv_pickle_value **values, size_t count)
{
    struct clv_pickle_value *made;
    int status = make(&made, m, kind);
    if (status == CLV_OK)
        status = append(m, made, values, count);
    return status == CLV_OK ? push(m, made) : status;
}

static int push_integer(struct machine *m, int64_t integer)
{
    struct clv_pickle_value *made;
    int status = make(&made, m, CLV_PICKLE_INTEGER);
    if (status != CLV_OK)
        return status;
    made->integer = integer;
    return push(m, made);
}

static int push_text(struct machine *m, enum clv_pickle_kind kind, const void *data, size_t size)
{
    struct clv_pickle_value *made;
    int status = make(&made, m, kind);
    if (status != CLV_OK)
        return status;
    made->text = (struct clv_pickle_text){data, size};
    return push(m, made);
}

/* ---- the opcodes ----------------------------------------------------------------------------- */

static int run_protocol(struct machine *m)
{
    uint64_t protocol;
    int status = take_number(&protocol, m, 1);
    if (status == CLV_OK && protocol > PROTOCOL_MAX)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s' is a pickle of protocol %" PRIu64 ", at most %d is read", m->name,
                        protocol, PROTOCOL_MAX);
    return status;
}

static int run_frame(struct machine *m)
{
    uint64_t size;
    int status = take_number(&size, m, 8);
    if (status == CLV_OK && size > m->size_bytes - m->at)
        return bad(m, "frames %" PRIu64 " bytes, %zu are left", size, m->size_bytes - m->at);
    return status;
}

static int run_stop(struct machine *m)
{
    struct clv_pickle_value **value;
    int status = top(&value, m, 1, true);
    if (status != CLV_OK)
        return status;
    m->pickle->root = value[0];
    m->stopped = true;
    return CLV_OK;
}

static int run_mark(struct machine *m)
{
    int status = grow(&m->marks, &m->mark_capacity, m->mark_count, sizeof *m->marks);
    if (status == CLV_OK)
        m->marks[m->mark_count++] = m->stack.count;
    return status;
}

static int run_pop(struct machine *m)
{
    struct clv_pickle_value **value;
    size_t count;
    if (m->opcode == '1' || (m->mark_count && m->stack.count == floor_of(m)))
        return pop_mark(&value, &count, m);
    return top(&value, m, 1, true);
}

static int run_duplicate(struct machine *m)
{
    struct clv_pickle_value **value;
    int status = top(&value, m, 1, false);
    return status == CLV_OK ? push(m, value[0]) : status;
}

static int run_constant(struct machine *m)
{
    struct clv_pickle_value *made;
    int status = make(&made, m, m->opcode == 'N' ? CLV_PICKLE_NONE : CLV_PICKLE_BOOL);
    if (status != CLV_OK)
        return status;
    made->boolean = m->opcode == 0x88;
    return push(m, made);
}

static int run_integer(struct machine *m)
{
    uint64_t number;
    int size = m->opcode == 'J' ? 4 : m->opcode == 'M' ? 2 : 1;
    int status = take_number(&number, m, size);
    if (status != CLV_OK)
        return status;
    return push_integer(m, size == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

/* I and L: a line of digits. */
static int run_integer_line(struct machine *m)
{
    struct clv_pickle_text line;
    struct clv_pickle_value *made;
    int64_t integer;
    int status = take_line(&line, m);
    if (status != CLV_OK)
        return status;
    if (m->opcode == 'I' && line.size_bytes == 2 && line.data[0] == '0' &&
        (line.data[1] == '0' || line.data[1] == '1')) {
        status = make(&made, m, CLV_PICKLE_BOOL);
        if (status != CLV_OK)
            return status;
        made->boolean = line.data[1] == '1';
        return push(m, made);
    }
    if (line.size_bytes > 0 && line.data[line.size_bytes - 1] == 'L')
        line.size_bytes--;
    if (clv_pickle_text_integer(&integer, line.data, line.size_bytes))
        return push_integer(m, integer);
    if (!clv_pickle_text_is_integer(line.data, line.size_bytes))
        return bad(m, "is no number: '%.*s'", (int)(line.size_bytes < 40 ? line.size_bytes : 40),
                   line.data);
    return push_text(m, CLV_PICKLE_BIG, line.data, line.size_bytes);
}

/* LONG1 and LONG4: two's complement of any size. */
static int run_long(struct machine *m)
{
    uint64_t size;
    const unsigned char *bytes = NULL;
    int status = take_number(&size, m, m->opcode == 0x8a ? 1 : 4);
    if (status == CLV_OK && size > INT32_MAX)
        return bad(m, "has a negative size");
    if (status == CLV_OK)
        status = take(&bytes, m, size);
    if (status != CLV_OK)
        return status;
    if (size > 8)
        return push_text(m, CLV_PICKLE_BIG, bytes, (size_t)size);
    uint64_t number = size > 0 && bytes[size - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)size; i-- > 0;)
        number = number << 8 | bytes[i];
    return push_integer(m, (int64_t)number);
}

static int push_number(struct machine *m, double number)
{
    struct clv_pickle_value *made;
    int status = make(&made, m, CLV_PICKLE_NUMBER);
    if (status != CLV_OK)
        return status;
    made->number = number;
    return push(m, made);
}

static int run_number(struct machine *m)
{
    const unsigned char *bytes = NULL;
    uint64_t bits = 0;
    double number;
    int status = take(&bytes, m, 8);
    if (status != CLV_OK)
        return status;
    for (int i = 0; i < 8; i++) /* big-endian */
        bits = bits << 8 | bytes[i];
    memcpy(&number, &bits, sizeof number);
    return push_number(m, number);
}

static int run_number_line(struct machine *m)
{
    struct clv_pickle_text line;
    double number;
    int status = take_line(&line, m);
    if (status != CLV_OK)
        return status;
    if (!clv_pickle_text_number(&number, line.data, line.size_bytes))
        return bad(m, "is no number: '%.*s'", (int)(line.size_bytes < 40 ? line.size_bytes : 40),
                   line.data);
    return push_number(m, number);
}

/* Strings and bytes with their size before them. */
static int run_text(struct machine *m)
{
    enum clv_pickle_kind kind = CLV_PICKLE_TEXT;
    const unsigned char *bytes = NULL;
    uint64_t size;
    int width;
    switch (m->opcode) {
    case 'U':  /* SHORT_BINSTRING */
    case 0x8c: /* SHORT_BINUNICODE */
        width = 1;
        break;
    case 'C': /* SHORT_BINBYTES */
        kind = CLV_PICKLE_BYTES;
        width = 1;
        break;
    case 'B': /* BINBYTES */
        kind = CLV_PICKLE_BYTES;
        width = 4;
        break;
    case 0x8d: /* BINUNICODE8 */
        width = 8;
        break;
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */
        kind = CLV_PICKLE_BYTES;
        width = 8;
        break;
    default: /* BINSTRING, BINUNICODE */
        width = 4;
        break;
    }
    int status = take_number(&size, m, width);
    if (status == CLV_OK)
        status = take(&bytes, m, size);
    return status == CLV_OK ? push_text(m, kind, bytes, (size_t)size) : status;
}

/* S and V: a line with escapes. */
static int run_text_line(struct machine *m)
{
    struct clv_pickle_text line;
    int status = take_line(&line, m);
    if (status != CLV_OK)
        return status;
    if (m->opcode == 'S') {
        size_t size = line.size_bytes;
        if (size < 2 || (line.data[0] != '\'' && line.data[0] != '"') ||
            line.data[size - 1] != line.data[0])
            return bad(m, "has a string without quotes");
        line = (struct clv_pickle_text){line.data + 1, size - 2};
    }
    char *decoded = clv_pool_alloc(&m->pickle->pool, 2 * line.size_bytes + 4);
    if (!decoded)
        return CLV_ENOMEM;
    size_t size = m->opcode == 'S' ? clv_pickle_text_unescape(decoded, line.data, line.size_bytes)
                                   : clv_pickle_text_decode(decoded, line.data, line.size_bytes);
    if (size == SIZE_MAX)
        return bad(m, "has a malformed escape");
    return push_text(m, CLV_PICKLE_TEXT, decoded, size);
}

static int run_empty(struct machine *m)
{
    enum clv_pickle_kind kind = m->opcode == ')'   ? CLV_PICKLE_TUPLE
                                : m->opcode == ']' ? CLV_PICKLE_LIST
                                : m->opcode == '}' ? CLV_PICKLE_DICT
                                                   : CLV_PICKLE_SET;
    return push_container(m, kind, NULL, 0);
}

/* Everything above the mark becomes a container. */
static int run_gather(struct machine *m)
{
    struct clv_pickle_value **values;
    size_t count;
    int status = pop_mark(&values, &count, m);
    if (status != CLV_OK)
        return status;
    if (m->opcode == 'd' && count % 2)
        return bad(m, "finds a key without a value");
    enum clv_pickle_kind kind = m->opcode == 't'   ? CLV_PICKLE_TUPLE
                                : m->opcode == 'l' ? CLV_PICKLE_LIST
                                : m->opcode == 'd' ? CLV_PICKLE_DICT
                                                   : CLV_PICKLE_SET;
    return push_container(m, kind, values, count);
}

static int run_short_tuple(struct machine *m)
{
    struct clv_pickle_value **values;
    size_t count = (size_t)(m->opcode - 0x85) + 1;
    int status = top(&values, m, count, true);
    return status == CLV_OK ? push_container(m, CLV_PICKLE_TUPLE, values, count) : status;
}

/* The part of a record that takes items, made at its first use. */
static int part_of(struct clv_pickle_value **out, struct machine *m, struct clv_pickle_value **part,
                   enum clv_pickle_kind kind)
{
    int status = *part ? CLV_OK : make(part, m, kind);
    *out = *part;
    return status;
}

/* APPEND, APPENDS, ADDITEMS: values onto the list or set below them. */
static int run_append(struct machine *m)
{
    struct clv_pickle_value **values, **target, *container;
    size_t count = 1;
    int status = m->opcode == 'a' ? top(&values, m, 1, true) : pop_mark(&values, &count, m);
    if (status == CLV_OK)
        status = top(&target, m, 1, false);
    if (status != CLV_OK)
        return status;
    container = target[0];
    if (container->kind == CLV_PICKLE_RECORD)
        status = part_of(&container, m, &container->record->list, CLV_PICKLE_LIST);
    else if (container->kind != (m->opcode == 0x90 ? CLV_PICKLE_SET : CLV_PICKLE_LIST))
        return bad(m, "finds nothing that takes items");
    return status == CLV_OK ? append(m, container, values, count) : status;
}

static int run_set_items(struct machine *m)
{
    struct clv_pickle_value **values, **target, *container;
    size_t count = 2;
    int status = m->opcode == 's' ? top(&values, m, 2, true) : pop_mark(&values, &count, m);
    if (status == CLV_OK)
        status = top(&target, m, 1, false);
    if (status != CLV_OK)
        return status;
    if (count % 2)
        return bad(m, "finds a key without a value");
    container = target[0];
    if (container->kind == CLV_PICKLE_RECORD)
        status = part_of(&container, m, &container->record->dict, CLV_PICKLE_DICT);
    else if (container->kind != CLV_PICKLE_DICT)
        return bad(m, "finds no dict");
    return status == CLV_OK ? append(m, container, values, count) : status;
}

static int push_global(struct machine *m, struct clv_pickle_text module,
                       struct clv_pickle_text name)
{
    struct clv_pickle_value *made;
    struct clv_pickle_text *texts = clv_pool_alloc(&m->pickle->pool, 2 * sizeof *texts);
    int status = texts ? make(&made, m, CLV_PICKLE_GLOBAL) : CLV_ENOMEM;
    if (status != CLV_OK)
        return status;
    texts[0] = module;
    texts[1] = name;
    made->global.module = &texts[0];
    made->global.name = &texts[1];
    return push(m, made);
}

static int run_global(struct machine *m)
{
    struct clv_pickle_text module, name;
    int status = take_line(&module, m);
    if (status == CLV_OK)
        status = take_line(&name, m);
    return status == CLV_OK ? push_global(m, module, name) : status;
}

static int run_stack_global(struct machine *m)
{
    struct clv_pickle_value **values;
    int status = top(&values, m, 2, true);
    if (status != CLV_OK)
        return status;
    if (values[0]->kind != CLV_PICKLE_TEXT || values[1]->kind != CLV_PICKLE_TEXT)
        return bad(m, "finds no names");
    return push_global(m, values[0]->text, values[1]->text);
}

static int push_record(struct machine *m, struct clv_pickle_value *callable,
                       struct clv_pickle_value *arguments, struct clv_pickle_value *keywords)
{
    struct clv_pickle_value *made;
    if (callable->kind != CLV_PICKLE_GLOBAL && callable->kind != CLV_PICKLE_PERSISTENT &&
        callable->kind != CLV_PICKLE_RECORD)
        return bad(m, "would call what is no global");
    if (arguments->kind != CLV_PICKLE_TUPLE)
        return bad(m, "has no tuple of arguments");
    if (keywords && keywords->kind != CLV_PICKLE_DICT)
        return bad(m, "has no dict of arguments");
    int status = make(&made, m, CLV_PICKLE_RECORD);
    if (status != CLV_OK)
        return status;
    made->record = clv_pool_alloc(&m->pickle->pool, sizeof *made->record);
    if (!made->record)
        return CLV_ENOMEM;
    made->record->callable = callable;
    made->record->arguments = arguments;
    made->record->keywords = keywords;
    return push(m, made);
}

/* REDUCE, NEWOBJ, NEWOBJ_EX: callable and arguments from the stack. */
static int run_call(struct machine *m)
{
    struct clv_pickle_value **values;
    bool keywords = m->opcode == 0x92;
    int status = top(&values, m, keywords ? 3 : 2, true);
    return status == CLV_OK ? push_record(m, values[0], values[1], keywords ? values[2] : NULL)
                            : status;
}

/* OBJ and INST: the arguments lie loose above the mark. */
static int run_object(struct machine *m)
{
    struct clv_pickle_value **values, *callable = NULL, *arguments;
    size_t count;
    int status = CLV_OK;
    if (m->opcode == 'i') {
        status = run_global(m);
        if (status == CLV_OK)
            status = top(&values, m, 1, true);
        if (status == CLV_OK)
            callable = values[0];
    }
    if (status == CLV_OK)
        status = pop_mark(&values, &count, m);
    if (status != CLV_OK)
        return status;
    if (m->opcode == 'o') {
        if (count == 0)
            return bad(m, "finds no class");
        callable = values[0];
        values++;
        count--;
    }
    status = make(&arguments, m, CLV_PICKLE_TUPLE);
    if (status == CLV_OK)
        status = append(m, arguments, values, count);
    return status == CLV_OK ? push_record(m, callable, arguments, NULL) : status;
}

static int run_build(struct machine *m)
{
    struct clv_pickle_value **values, **target;
    int status = top(&values, m, 1, true);
    if (status == CLV_OK)
        status = top(&target, m, 1, false);
    if (status != CLV_OK)
        return status;
    if (target[0]->kind != CLV_PICKLE_RECORD)
        return bad(m, "finds no object to set the state of");
    target[0]->record->state = values[0];
    return CLV_OK;
}

static int run_persistent(struct machine *m)
{
    struct clv_pickle_value **values, *made;
    struct clv_pickle_text line;
    int status = CLV_OK;
    if (m->opcode == 'P') {
        status = take_line(&line, m);
        if (status == CLV_OK)
            status = push_text(m, CLV_PICKLE_TEXT, line.data, line.size_bytes);
    }
    if (status == CLV_OK)
        status = top(&values, m, 1, true);
    if (status == CLV_OK)
        status = make(&made, m, CLV_PICKLE_PERSISTENT);
    if (status != CLV_OK)
        return status;
    made->id = values[0];
    return push(m, made);
}

/* The index of a PUT or GET. */
static int memo_index(size_t *out, struct machine *m)
{
    struct clv_pickle_text line;
    int64_t integer = -1;
    uint64_t number = 0;
    int status = CLV_OK;
    if (m->opcode == 'p' || m->opcode == 'g') {
        status = take_line(&line, m);
        if (status == CLV_OK &&
            (!clv_pickle_text_integer(&integer, line.data, line.size_bytes) || integer < 0))
            return bad(m, "has no memo index");
        number = (uint64_t)integer;
    } else if (m->opcode == 0x94) {
        number = m->memo.count;
    } else {
        status = take_number(&number, m, m->opcode == 'q' || m->opcode == 'h' ? 1 : 4);
    }
    *out = (size_t)number;
    return status;
}

static int run_put(struct machine *m)
{
    struct clv_pickle_value **value;
    size_t index;
    int status = memo_index(&index, m);
    if (status == CLV_OK)
        status = top(&value, m, 1, false);
    if (status != CLV_OK)
        return status;
    if (index >= m->started)
        return bad(m, "has the memo index %zu, beyond any its place allows", index);
    size_t kept = m->memo.count;
    status = grow(&m->memo.at, &m->memo.capacity, index, sizeof *m->memo.at);
    if (status != CLV_OK)
        return status;
    if (index >= kept) {
        memset(m->memo.at + kept, 0, (index - kept) * sizeof *m->memo.at);
        m->memo.count = index + 1;
    }
    m->memo.at[index] = value[0];
    return CLV_OK;
}

static int run_get(struct machine *m)
{
    size_t index;
    int status = memo_index(&index, m);
    if (status != CLV_OK)
        return status;
    if (index >= m->memo.count || !m->memo.at[index])
        return bad(m, "wants memo %zu, which was never put", index);
    return push(m, m->memo.at[index]);
}

static int run_refused(struct machine *m)
{
    return clv_fail(CLV_EUNSUPPORTED, "'%s': pickle opcode %s at byte %zu is not read", m->name,
                    opcodes[m->opcode].name, m->started);
}

static const struct opcode opcodes[256] = {
    [0x80] = {"PROTO", run_protocol},
    [0x95] = {"FRAME", run_frame},
    ['.'] = {"STOP", run_stop},
    ['('] = {"MARK", run_mark},
    ['0'] = {"POP", run_pop},
    ['1'] = {"POP_MARK", run_pop},
    ['2'] = {"DUP", run_duplicate},
    ['N'] = {"NONE", run_constant},
    [0x88] = {"NEWTRUE", run_constant},
    [0x89] = {"NEWFALSE", run_constant},
    ['J'] = {"BININT", run_integer},
    ['K'] = {"BININT1", run_integer},
    ['M'] = {"BININT2", run_integer},
    ['I'] = {"INT", run_integer_line},
    ['L'] = {"LONG", run_integer_line},
    [0x8a] = {"LONG1", run_long},
    [0x8b] = {"LONG4", run_long},
    ['G'] = {"BINFLOAT", run_number},
    ['F'] = {"FLOAT", run_number_line},
    ['T'] = {"BINSTRING", run_text},
    ['U'] = {"SHORT_BINSTRING", run_text},
    ['X'] = {"BINUNICODE", run_text},
    [0x8c] = {"SHORT_BINUNICODE", run_text},
    [0x8d] = {"BINUNICODE8", run_text},
    ['B'] = {"BINBYTES", run_text},
    ['C'] = {"SHORT_BINBYTES", run_text},
    [0x8e] = {"BINBYTES8", run_text},
    [0x96] = {"BYTEARRAY8", run_text},
    ['S'] = {"STRING", run_text_line},
    ['V'] = {"UNICODE", run_text_line},
    [')'] = {"EMPTY_TUPLE", run_empty},
    [']'] = {"EMPTY_LIST", run_empty},
    ['}'] = {"EMPTY_DICT", run_empty},
    [0x8f] = {"EMPTY_SET", run_empty},
    ['t'] = {"TUPLE", run_gather},
    ['l'] = {"LIST", run_gather},
    ['d'] = {"DICT", run_gather},
    [0x91] = {"FROZENSET", run_gather},
    [0x85] = {"TUPLE1", run_short_tuple},
    [0x86] = {"TUPLE2", run_short_tuple},
    [0x87] = {"TUPLE3", run_short_tuple},
    ['a'] = {"APPEND", run_append},
    ['e'] = {"APPENDS", run_append},
    [0x90] = {"ADDITEMS", run_append},
    ['s'] = {"SETITEM", run_set_items},
    ['u'] = {"SETITEMS", run_set_items},
    ['c'] = {"GLOBAL", run_global},
    [0x93] = {"STACK_GLOBAL", run_stack_global},
    ['R'] = {"REDUCE", run_call},
    [0x81] = {"NEWOBJ", run_call},
    [0x92] = {"NEWOBJ_EX", run_call},
    ['o'] = {"OBJ", run_object},
    ['i'] = {"INST", run_object},
    ['b'] = {"BUILD", run_build},
    ['P'] = {"PERSID", run_persistent},
    ['Q'] = {"BINPERSID", run_persistent},
    ['p'] = {"PUT", run_put},
    ['q'] = {"BINPUT", run_put},
    ['r'] = {"LONG_BINPUT", run_put},
    [0x94] = {"MEMOIZE", run_put},
    ['g'] = {"GET", run_get},
    ['h'] = {"BINGET", run_get},
    ['j'] = {"LONG_BINGET", run_get},
    [0x82] = {"EXT1", run_refused},
    [0x83] = {"EXT2", run_refused},
    [0x84] = {"EXT4", run_refused},
    [0x97] = {"NEXT_BUFFER", run_refused},
    [0x98] = {"READONLY_BUFFER", run_refused},
};

static int run(struct machine *m)
{
    while (!m->stopped) {
        if (m->at == m->size_bytes)
            return clv_fail(CLV_ECORRUPT, "'%s': the pickle is cut off after %zu bytes", m->name,
                            m->at);
        m->started = m->at;
        m->opcode = m->data[m->at++];
        if (!opcodes[m->opcode].run)
            return clv_fail(CLV_ECORRUPT, "'%s': byte %zu, 0x%02x, is no pickle opcode", m->name,
                            m->started, m->opcode);
        int status = opcodes[m->opcode].run(m);
        if (status != CLV_OK)
            return status;
    }
    return CLV_OK;
}

int clv_pickle_open(struct clv_pickle **out, const void *data, size_t size_bytes, size_t *used_out,
                    const char *name)
{
    *out = NULL;
    struct clv_pickle *pickle = calloc(1, sizeof *pickle);
    if (!pickle)
        return clv_fail_memory("a pickle");
    size_t seen = size_bytes < INPUT_BYTES_MAX ? size_bytes : INPUT_BYTES_MAX;
    pickle->pool.limit_bytes = MEMORY_FACTOR * seen + 1024;
    if (pickle->pool.limit_bytes > MEMORY_BYTES_MAX)
        pickle->pool.limit_bytes = MEMORY_BYTES_MAX;
    struct machine m = {.pickle = pickle, .name = name, .data = data, .size_bytes = seen};
    int status = run(&m);
    free(m.stack.at);
    free(m.memo.at);
    free(m.marks);
    if (status != CLV_OK) {
        clv_pickle_close(pickle);
        return status;
    }
    if (used_out)
        *used_out = m.at;
    *out = pickle;
    return CLV_OK;
}

void clv_pickle_close(struct clv_pickle *pickle)
{
    if (!pickle)
        return;
    clv_pool_release(&pickle->pool);
    free(pickle);
}

struct clv_pickle_value *clv_pickle_root(const struct clv_pickle *pickle)
{
    return pickle->root;
}

size_t clv_pickle_value_count(const struct clv_pickle *pickle)
{
    return pickle->value_count;
}

static bool equal(const struct clv_pickle_text *text, const char *wanted)
{
    return text->size_bytes == strlen(wanted) && memcmp(text->data, wanted, text->size_bytes) == 0;
}

bool clv_pickle_is_text(const struct clv_pickle_value *value, const char *text)
{
    return value && (value->kind == CLV_PICKLE_TEXT || value->kind == CLV_PICKLE_BYTES) &&
           equal(&value->text, text);
}

bool clv_pickle_is_global(const struct clv_pickle_value *value, const char *module,
                          const char *name)
{
    return value && value->kind == CLV_PICKLE_GLOBAL && equal(value->global.module, module) &&
           equal(value->global.name, name);
}

struct clv_pickle_value *clv_pickle_item(const struct clv_pickle_value *value, size_t index)
{
    if (!value || (value->kind != CLV_PICKLE_TUPLE && value->kind != CLV_PICKLE_LIST) ||
        index >= value->items.count)
        return NULL;
    return value->items.at[index];
}

struct clv_pickle_value *clv_pickle_get(const struct clv_pickle_value *dict, const char *key)
{
    if (!dict || dict->kind != CLV_PICKLE_DICT)
        return NULL;
    for (size_t i = dict->items.count; i >= 2; i -= 2)
        if (clv_pickle_is_text(dict->items.at[i - 2], key))
            return dict->items.at[i - 1];
    return NULL;
}
