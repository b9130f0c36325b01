/* Tensor records: their layout, checked, and their elements, gathered. The functions that would
 * rebuild them are those of torch/_utils.py. */
#include "core/error.h"
#include "core/model/torch.h"
#include "core/model/weights_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A tensor that repeats its elements (stride 0) may not grow beyond this. */
#define EXPANDED_BYTES_MAX ((size_t)1 << 30)
/* How much is fetched at once where strides leave gaps. */
#define PIECE_BYTES ((int64_t)4 << 20)

static const struct {
    const char *storage;   /* torch.X */
    const char *dtypes[2]; /* torch.x, as newer tensors name their type */
    enum clv_dtype dtype;
} types[] = {
    {"FloatStorage", {"float32", "float"}, CLV_F32},
    {"HalfStorage", {"float16", "half"}, CLV_F16},
    {"BFloat16Storage", {"bfloat16", "bfloat16"}, CLV_BF16},
    {"DoubleStorage", {"float64", "double"}, CLV_F64},
    {"LongStorage", {"int64", "long"}, CLV_I64},
    {"IntStorage", {"int32", "int"}, CLV_I32},
    {"ShortStorage", {"int16", "short"}, CLV_I16},
    {"CharStorage", {"int8", "int8"}, CLV_I8},
    {"ByteStorage", {"uint8", "uint8"}, CLV_U8},
    {"BoolStorage", {"bool", "bool"}, CLV_BOOL},
    {"UntypedStorage", {"uint8", "uint8"}, CLV_U8},
    {"_UntypedStorage", {"uint8", "uint8"}, CLV_U8},
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

static bool is_rebuild(const struct clv_pickle_value *callable)
{
    if (!callable || callable->kind != CLV_PICKLE_GLOBAL)
        return false;
    const struct clv_pickle_text *name = callable->global.name;
    return (clv_pickle_is_global(callable, "torch._tensor", "_rebuild_from_type") ||
            clv_pickle_is_global(callable, "torch._tensor", "_rebuild_from_type_v2")) ||
           (name->size_bytes > 9 && memcmp(name->data, "_rebuild_", 9) == 0 &&
            callable->global.module->size_bytes == 12 &&
            memcmp(callable->global.module->data, "torch._utils", 12) == 0);
}

static bool is_parameter(const struct clv_pickle_value *callable)
{
    return clv_pickle_is_global(callable, "torch.nn.parameter", "Parameter") ||
           clv_pickle_is_global(callable, "torch.nn.parameter", "Buffer") ||
           clv_pickle_is_global(callable, "torch.autograd.variable", "Variable");
}

bool clv_torch_is_tensor(const struct clv_pickle_value *value)
{
    return value && value->kind == CLV_PICKLE_RECORD &&
           (is_rebuild(value->record->callable) || is_parameter(value->record->callable));
}

/* What the parsing of one tensor knows. */
struct parsing {
    struct clv_torch_tensor *tensor;
    const char *path;
    const char *name;
    const char *reason; /* to skip it */
};

static int bad(const struct parsing *p, const char *what)
{
    return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' %s", p->path, p->name, what);
}

static bool get_integer(int64_t *out, const struct clv_pickle_value *value)
{
    if (!value || value->kind != CLV_PICKLE_INTEGER)
        return false;
    *out = value->integer;
    return true;
}

/* A tuple of non-negative integers, perhaps inside torch.Size(). */
static int get_integers(int64_t out[CLV_DIMENSION_MAX], int *count_out, struct parsing *p,
                        const struct clv_pickle_value *value, const char *what)
{
    if (value && value->kind == CLV_PICKLE_RECORD &&
        clv_pickle_is_global(value->record->callable, "torch", "Size"))
        value = clv_pickle_item(value->record->arguments, 0);
    if (!value || (value->kind != CLV_PICKLE_TUPLE && value->kind != CLV_PICKLE_LIST))
        return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' has no %s", p->path, p->name, what);
    if (value->items.count > CLV_DIMENSION_MAX) {
        p->reason = "it has more than 8 dimensions";
        return CLV_OK;
    }
    *count_out = (int)value->items.count;
    for (int i = 0; i < *count_out; i++) {
        if (!get_integer(&out[i], value->items.at[i]))
            return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' has a %s that is no integer",
                            p->path, p->name, what);
        if (out[i] < 0)
            return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' has the negative %s %" PRId64,
                            p->path, p->name, what, out[i]);
    }
    return CLV_OK;
}

/* Finds a type by the name of its storage, or of itself. */
static bool find_type(enum clv_dtype *out, const struct clv_pickle_value *global, bool storage)
{
    static const char *const modules[] = {"torch", "torch.cuda", "torch.storage"};
    for (size_t i = 0; i < TYPE_COUNT; i++)
        for (int k = 0; k < 3; k++)
            if (storage ? clv_pickle_is_global(global, modules[k], types[i].storage)
                        : clv_pickle_is_global(global, modules[k], types[i].dtypes[0]) ||
                              clv_pickle_is_global(global, modules[k], types[i].dtypes[1])) {
                *out = types[i].dtype;
                return true;
            }
    return false;
}

/* ('storage', type, key, location, element count[, view]), a persistent id; in the tar format's
 * successors a view is (key, offset, count). */
static int parse_storage(struct parsing *p, const struct clv_pickle_value *value)
{
    struct clv_torch_tensor *tensor = p->tensor;
    const struct clv_pickle_value *id =
        value && value->kind == CLV_PICKLE_PERSISTENT ? value->id : NULL;
    const struct clv_pickle_value *key = clv_pickle_item(id, 2);
    const struct clv_pickle_value *view = clv_pickle_item(id, 5);
    if (!clv_pickle_is_text(clv_pickle_item(id, 0), "storage") || !key ||
        key->kind != CLV_PICKLE_TEXT ||
        !get_integer(&tensor->storage_count, clv_pickle_item(id, 4)))
        return bad(p, "does not name its storage");
    if (tensor->storage_count < 0)
        return bad(p, "has a storage of negative size");
    if (!find_type(&tensor->entry.dtype, clv_pickle_item(id, 1), true)) {
        p->reason = "its storage is of a type that is not read (complex, quantised or unknown)";
        return CLV_OK;
    }
    tensor->key = &key->text;
    tensor->view_offset = 0;
    tensor->view_count = tensor->storage_count;
    if (!view || view->kind == CLV_PICKLE_NONE)
        return CLV_OK;
    if (!get_integer(&tensor->view_offset, clv_pickle_item(view, 1)) ||
        !get_integer(&tensor->view_count, clv_pickle_item(view, 2)) || tensor->view_offset < 0 ||
        tensor->view_count < 0 || tensor->view_offset > tensor->storage_count ||
        tensor->view_count > tensor->storage_count - tensor->view_offset)
        return bad(p, "has a view that lies outside of its storage");
    return CLV_OK;
}

/* (storage, offset, shape, strides, …): what all the plain kinds begin with. */
static int parse_layout(struct parsing *p, const struct clv_pickle_value *arguments)
{
    struct clv_torch_tensor *tensor = p->tensor;
    struct clv_weight_entry *entry = &tensor->entry;
    int stride_count = 0;
    int status = parse_storage(p, clv_pickle_item(arguments, 0));
    if (status == CLV_OK && !p->reason &&
        (!get_integer(&tensor->offset, clv_pickle_item(arguments, 1)) || tensor->offset < 0))
        return bad(p, "has no offset, or a negative one");
    if (status == CLV_OK && !p->reason)
        status = get_integers(entry->shape, &entry->dimension_count, p,
                              clv_pickle_item(arguments, 2), "shape");
    if (status == CLV_OK && !p->reason)
        status = get_integers(tensor->strides, &stride_count, p, clv_pickle_item(arguments, 3),
                              "stride");
    if (status == CLV_OK && !p->reason && stride_count != entry->dimension_count)
        return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' has %d dimensions and %d strides",
                        p->path, p->name, entry->dimension_count, stride_count);
    return status;
}

/* A tensor whose storage has no type: the seventh argument names its own. */
static int retype(struct parsing *p, const struct clv_pickle_value *arguments)
{
    struct clv_torch_tensor *tensor = p->tensor;
    enum clv_dtype dtype;
    if (!find_type(&dtype, clv_pickle_item(arguments, 6), false)) {
        p->reason = "its type is not read";
        return CLV_OK;
    }
    int64_t old_size = (int64_t)clv_dtype_size(tensor->entry.dtype);
    int64_t new_size = (int64_t)clv_dtype_size(dtype);
    int64_t bytes;
    if (__builtin_mul_overflow(tensor->storage_count, old_size, &bytes))
        return bad(p, "has a storage whose size overflows");
    if (tensor->view_count != tensor->storage_count) {
        p->reason = "it is a view of an untyped storage";
        return CLV_OK;
    }
    tensor->entry.dtype = dtype;
    tensor->storage_count = tensor->view_count = bytes / new_size;
    return CLV_OK;
}

static bool is_row_major(const struct clv_torch_tensor *tensor, int first)
{
    int64_t wanted = 1;
    for (int i = tensor->entry.dimension_count - 1; i >= first; i--) {
        if (tensor->entry.shape[i] != 1 && tensor->strides[i] != wanted)
            return false;
        wanted *= tensor->entry.shape[i];
    }
    return true;
}

/* The last element must lie in the storage. */
static int check_span(struct parsing *p)
{
    struct clv_torch_tensor *tensor = p->tensor;
    struct clv_weight_entry *entry = &tensor->entry;
    if (!clv_weight_entry_measure(entry))
        return bad(p, "has a shape whose product overflows");
    if (entry->element_count == 0) {
        tensor->contiguous = true;
        return CLV_OK;
    }
    int64_t last = tensor->offset;
    for (int i = 0; i < entry->dimension_count; i++) {
        int64_t step;
        if (__builtin_mul_overflow(entry->shape[i] - 1, tensor->strides[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return bad(p, "has strides that overflow");
    }
    if (last >= tensor->view_count)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor '%.200s' reaches element %" PRId64
                        " of a storage of %" PRId64,
                        p->path, p->name, last, tensor->view_count);
    if (__builtin_add_overflow(tensor->offset, tensor->view_offset, &tensor->offset))
        return bad(p, "has an offset that overflows");
    tensor->contiguous = is_row_major(tensor, 0);
    if (entry->element_count > (size_t)tensor->view_count && entry->size_bytes > EXPANDED_BYTES_MAX)
        p->reason = "it repeats its elements to more than 1 GiB";
    return CLV_OK;
}

/* Unwraps parameters down to a record of a plain tensor; NULL where there is none. */
static const struct clv_pickle_value *plain_of(const struct clv_pickle_value *value,
                                               const struct clv_pickle_value **function_out,
                                               const struct clv_pickle_value **arguments_out)
{
    for (int depth = 0; depth < 8 && clv_torch_is_tensor(value); depth++) {
        const struct clv_pickle_record *record = value->record;
        const struct clv_pickle_value *first = clv_pickle_item(record->arguments, 0);
        *function_out = record->callable;
        *arguments_out = record->arguments;
        if (is_parameter(record->callable))
            value = clv_torch_is_tensor(first) ? first : clv_pickle_item(record->state, 0);
        else if (clv_pickle_is_global(record->callable, "torch._utils", "_rebuild_parameter") ||
                 clv_pickle_is_global(record->callable, "torch._utils",
                                      "_rebuild_parameter_with_state"))
            value = first;
        else if (clv_pickle_is_global(record->callable, "torch._tensor", "_rebuild_from_type") ||
                 clv_pickle_is_global(record->callable, "torch._tensor", "_rebuild_from_type_v2")) {
            *function_out = first;
            *arguments_out = clv_pickle_item(record->arguments, 2);
            return value;
        } else
            return value;
    }
    return NULL;
}

int clv_torch_tensor_parse(struct clv_torch_tensor *out, const char **reason_out, const char *path,
                           const char *name, const struct clv_pickle_value *value)
{
    struct parsing p = {.tensor = out, .path = path, .name = name};
    const struct clv_pickle_value *function = NULL, *arguments = NULL;
    int status = CLV_OK;
    *out = (struct clv_torch_tensor){0};
    *reason_out = NULL;
    if (!plain_of(value, &function, &arguments))
        return bad(&p, "wraps no tensor");
    bool third = clv_pickle_is_global(function, "torch._utils", "_rebuild_tensor_v3");
    if (!third && !clv_pickle_is_global(function, "torch._utils", "_rebuild_tensor_v2") &&
        !clv_pickle_is_global(function, "torch._utils", "_rebuild_tensor")) {
        *reason_out = "it is no plain tensor (sparse, quantised, nested or of a subclass)";
        return CLV_OK;
    }
    status = parse_layout(&p, arguments);
    if (status == CLV_OK && !p.reason && third)
        status = retype(&p, arguments);
    if (status == CLV_OK && !p.reason)
        status = check_span(&p);
    *reason_out = p.reason;
    return status;
}

int clv_torch_tensor_check(const struct clv_torch *torch, const struct clv_torch_tensor *tensor)
{
    size_t size = clv_dtype_size(tensor->entry.dtype), bytes;
    size_t there = torch->storages[tensor->storage].size_bytes;
    if (__builtin_mul_overflow((size_t)tensor->storage_count, size, &bytes) || bytes > there ||
        there - bytes >= size)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor '%.200s' has a storage of %" PRId64
                        " elements of %zu bytes, the file has %zu bytes of it",
                        torch->path, tensor->entry.name, tensor->storage_count, size, there);
    return CLV_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct gathering {
    struct clv_torch *torch;
    const struct clv_torch_tensor *tensor;
    int64_t element_bytes;
    unsigned char *piece;
    int64_t piece_bytes;
};

/* From the first to the last element of the dimensions from `first` on. */
static int64_t span_of(const struct clv_torch_tensor *tensor, int first)
{
    int64_t span = 1;
    for (int i = first; i < tensor->entry.dimension_count; i++)
        span += (tensor->entry.shape[i] - 1) * tensor->strides[i];
    return span;
}

static unsigned char *copy_elements(unsigned char *out, const unsigned char *in, int64_t count,
                                    int64_t stride_bytes, int64_t size)
{
    switch (size) { /* a known size makes each memcpy one move */
    case 2:
        for (int64_t i = 0; i < count; i++)
            memcpy(out + 2 * i, in + i * stride_bytes, 2);
        break;
    case 4:
        for (int64_t i = 0; i < count; i++)
            memcpy(out + 4 * i, in + i * stride_bytes, 4);
        break;
    case 8:
        for (int64_t i = 0; i < count; i++)
            memcpy(out + 8 * i, in + i * stride_bytes, 8);
        break;
    default:
        for (int64_t i = 0; i < count; i++)
            out[i] = in[i * stride_bytes];
        break;
    }
    return out + count * size;
}

static unsigned char *copy_strided(unsigned char *out, const unsigned char *in,
                                   const struct gathering *g, int dimension, int64_t count)
{
    int64_t stride = g->tensor->strides[dimension] * g->element_bytes;
    if (dimension == g->tensor->entry.dimension_count - 1)
        return copy_elements(out, in, count, stride, g->element_bytes);
    for (int64_t i = 0; i < count; i++)
        out = copy_strided(out, in + i * stride, g, dimension + 1,
                           g->tensor->entry.shape[dimension + 1]);
    return out;
}

/* `count` of dimension `dimension`, from element `offset` of the storage on, by way of a piece. */
static int gather_piece(unsigned char **out, struct gathering *g, int dimension, int64_t count,
                        int64_t offset)
{
    int64_t span = span_of(g->tensor, dimension + 1) + (count - 1) * g->tensor->strides[dimension];
    int64_t bytes = span * g->element_bytes;
    if (bytes > g->piece_bytes) {
        free(g->piece);
        g->piece = malloc((size_t)bytes);
        g->piece_bytes = g->piece ? bytes : 0;
        if (!g->piece)
            return clv_fail_memory("a tensor");
    }
    int status = clv_torch_fetch(g->torch, g->tensor, (size_t)(offset * g->element_bytes), g->piece,
                                 (size_t)bytes);
    if (status == CLV_OK)
        *out = copy_strided(*out, g->piece, g, dimension, count);
    return status;
}

/* All of dimension `dimension`: at once where its gaps are few, otherwise in parts. */
static int gather(unsigned char **out, struct gathering *g, int dimension, int64_t offset)
{
    const struct clv_torch_tensor *tensor = g->tensor;
    int64_t shape = tensor->entry.shape[dimension], stride = tensor->strides[dimension];
    int64_t dense = g->element_bytes, piece = PIECE_BYTES / g->element_bytes;
    int status = CLV_OK;
    for (int i = dimension; i < tensor->entry.dimension_count; i++)
        dense *= tensor->entry.shape[i];
    int64_t inner = span_of(tensor, dimension + 1);
    if (span_of(tensor, dimension) <= 2 * (dense / g->element_bytes) || shape == 1)
        piece = INT64_MAX;
    if (inner > piece) {
        for (int64_t i = 0; i < shape && status == CLV_OK; i++)
            status = gather(out, g, dimension + 1, offset + i * stride);
        return status;
    }
    for (int64_t i = 0; i < shape && status == CLV_OK;) {
        int64_t count = stride > 0 ? 1 + (piece - inner) / stride : shape;
        if (count > shape - i)
            count = shape - i;
        status = gather_piece(out, g, dimension, count, offset + i * stride);
        i += count;
    }
    return status;
}

static void swap_bytes(unsigned char *data, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < size / 2; k++) {
            unsigned char kept = data[i * size + k];
            data[i * size + k] = data[i * size + size - 1 - k];
            data[i * size + size - 1 - k] = kept;
        }
}

int clv_torch_read(struct clv_torch *torch, size_t index, void *out)
{
    const struct clv_torch_tensor *tensor = &torch->tensors[index];
    const struct clv_weight_entry *entry = &tensor->entry;
    size_t size = clv_dtype_size(entry->dtype);
    int status;
    if (entry->element_count == 0)
        return CLV_OK;
    if (tensor->contiguous) {
        status =
            clv_torch_fetch(torch, tensor, (size_t)tensor->offset * size, out, entry->size_bytes);
    } else {
        struct gathering g = {.torch = torch, .tensor = tensor, .element_bytes = (int64_t)size};
        unsigned char *at = out;
        status = gather(&at, &g, 0, tensor->offset);
        free(g.piece);
    }
    if (status == CLV_OK && torch->swapped)
        swap_bytes(out, entry->element_count, size);
    return status;
}
