/* The safetensors reader. Everything in the header is untrusted: it is checked in full here, so
 * that users of an entry need not check anything. */
#include "core/model/weights.h"

#include "core/error.h"
#include "core/half.h"
#include "core/json.h"
#include "core/model/weights_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE_MAX 100000000u

static const struct {
    const char *name;
    size_t size_bytes;
} dtypes[] = {
    [CLV_F32] = {"F32", 4},   [CLV_F16] = {"F16", 2}, [CLV_BF16] = {"BF16", 2},
    [CLV_F64] = {"F64", 8},   [CLV_I64] = {"I64", 8}, [CLV_I32] = {"I32", 4},
    [CLV_I16] = {"I16", 2},   [CLV_I8] = {"I8", 1},   [CLV_U8] = {"U8", 1},
    [CLV_BOOL] = {"BOOL", 1},
};
#define DTYPE_COUNT (sizeof dtypes / sizeof dtypes[0])

const char *clv_dtype_name(enum clv_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t clv_dtype_size(enum clv_dtype dtype)
{
    return dtypes[dtype].size_bytes;
}

bool clv_weight_entry_measure(struct clv_weight_entry *entry)
{
    size_t count = 1, size;
    if (entry->dimension_count < 0 || entry->dimension_count > CLV_DIMENSION_MAX)
        return false;
    for (int i = 0; i < entry->dimension_count; i++)
        if (entry->shape[i] < 0 || __builtin_mul_overflow(count, (size_t)entry->shape[i], &count))
            return false;
    if (__builtin_mul_overflow(count, clv_dtype_size(entry->dtype), &size) || size > PTRDIFF_MAX)
        return false;
    entry->element_count = count;
    entry->size_bytes = size;
    return true;
}

/* What the callbacks over the header's members need. */
struct reading {
    struct clv_weights *weights;
    bool lenient; /* leave out what has a type that is not read */
    size_t data_size;
    const unsigned char *data;
};

static int bad(const struct clv_weights *weights, const char *tensor, const char *what)
{
    return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' %s", weights->path, tensor, what);
}

static int read_dtype(struct clv_weight_entry *entry, const struct clv_weights *weights,
                      const struct clv_json *value)
{
    const char *name = clv_json_string(value, NULL, NULL);
    if (!name)
        return bad(weights, entry->name, "has no data type");
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            entry->dtype = (enum clv_dtype)i;
            return CLV_OK;
        }
    return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' has the unknown data type '%.40s'",
                    weights->path, entry->name, name);
}

/* The types of the format that claverdb has no use for, and their bits. */
static size_t unread_bits(const char *name)
{
    static const struct {
        const char *name;
        size_t bits;
    } unread[] = {
        {"F8_E4M3", 8},     {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
        {"F8_E5M2FNUZ", 8}, {"U16", 16},    {"U32", 32},    {"U64", 64},
        {"C64", 64},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},
    };
    for (size_t i = 0; name && i < sizeof unread / sizeof unread[0]; i++)
        if (strcmp(name, unread[i].name) == 0)
            return unread[i].bits;
    return 0;
}

static int read_shape(struct clv_weight_entry *entry, const struct clv_weights *weights,
                      const struct clv_json *value)
{
    if (clv_json_kind(value) != CLV_JSON_ARRAY)
        return bad(weights, entry->name, "has no shape");
    size_t count = clv_json_count(value);
    if (count > CLV_DIMENSION_MAX)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor '%.200s' has %zu dimensions, at most %d are read",
                        weights->path, entry->name, count, CLV_DIMENSION_MAX);
    entry->dimension_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        const struct clv_json *number = clv_json_at(value, i);
        entry->shape[i] = clv_json_integer(number, -1);
        if (entry->shape[i] < 0)
            return bad(weights, entry->name, "has a dimension that is not a non-negative integer");
    }
    if (!clv_weight_entry_measure(entry))
        return bad(weights, entry->name, "has a shape whose product overflows");
    return CLV_OK;
}

static int read_offsets(struct clv_weight_entry *entry, const struct reading *reading,
                        const struct clv_json *value)
{
    const struct clv_weights *weights = reading->weights;
    if (clv_json_count(value) != 2 || clv_json_kind(value) != CLV_JSON_ARRAY)
        return bad(weights, entry->name, "has no pair of data offsets");
    int64_t begin = clv_json_integer(clv_json_at(value, 0), -1);
    int64_t end = clv_json_integer(clv_json_at(value, 1), -1);
    if (begin < 0 || end < 0)
        return bad(weights, entry->name, "has a data offset that is not a non-negative integer");
    if (begin > end)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor '%.200s' begins at %" PRId64 " and ends at %" PRId64,
                        weights->path, entry->name, begin, end);
    if ((uint64_t)end > reading->data_size)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor '%.200s' ends at byte %" PRId64
                        " of the data, the file has %zu",
                        weights->path, entry->name, end, reading->data_size);
    if ((uint64_t)(end - begin) != entry->size_bytes)
        return clv_fail(CLV_ECORRUPT,
                        "'%s': tensor '%.200s' takes %zu bytes by its shape and %" PRId64
                        " by its offsets",
                        weights->path, entry->name, entry->size_bytes, end - begin);
    entry->data = reading->data + begin;
    return CLV_OK;
}

/* A tensor that will be left out still has to lie where it says: it is kept as bytes, with a
 * dimension count of -1, until the tiling was checked. */
static int read_unread(struct clv_weight_entry *entry, const struct reading *reading,
                       const struct clv_json *value, size_t bits)
{
    entry->dtype = CLV_U8;
    int status = read_shape(entry, reading->weights, clv_json_get(value, "shape"));
    if (status != CLV_OK)
        return status;
    size_t total;
    if (__builtin_mul_overflow(entry->element_count, bits, &total))
        return bad(reading->weights, entry->name, "has a shape whose product overflows");
    entry->size_bytes = total / 8 + (total % 8 != 0);
    status = read_offsets(entry, reading, clv_json_get(value, "data_offsets"));
    entry->dimension_count = -1;
    return status;
}

static int read_metadata(const char *key, const struct clv_json *value, void *payload)
{
    struct clv_weights *weights = payload;
    size_t size;
    const char *text = clv_json_string(value, &size, NULL);
    if (!text || memchr(text, 0, size))
        return clv_fail(CLV_ECORRUPT, "'%s': metadata '%.200s' is not a string", weights->path,
                        key);
    struct clv_weight_metadata *one = &weights->metadata[weights->metadata_count++];
    one->key = strdup(key);
    one->value = strdup(text);
    return one->key && one->value ? CLV_OK : clv_fail_memory("weight metadata");
}

static int read_member(const char *key, const struct clv_json *value, void *payload)
{
    struct reading *reading = payload;
    struct clv_weights *weights = reading->weights;
    if (strcmp(key, "__metadata__") == 0) {
        if (clv_json_kind(value) != CLV_JSON_OBJECT)
            return clv_fail(CLV_ECORRUPT, "'%s': the metadata is not an object", weights->path);
        weights->metadata = calloc(clv_json_count(value) + 1, sizeof *weights->metadata);
        if (!weights->metadata)
            return clv_fail_memory("weight metadata");
        return clv_json_members(value, read_metadata, weights);
    }
    struct clv_weight_entry *entry = &weights->entries[weights->count++];
    entry->name = strdup(key);
    if (!entry->name)
        return clv_fail_memory("a tensor's name");
    if (clv_json_kind(value) != CLV_JSON_OBJECT)
        return bad(weights, key, "is not described by an object");
    size_t bits = unread_bits(clv_json_string(clv_json_get(value, "dtype"), NULL, NULL));
    int status;
    if (reading->lenient && bits)
        return read_unread(entry, reading, value, bits);
    status = read_dtype(entry, weights, clv_json_get(value, "dtype"));
    if (status == CLV_OK)
        status = read_shape(entry, weights, clv_json_get(value, "shape"));
    if (status == CLV_OK)
        status = read_offsets(entry, reading, clv_json_get(value, "data_offsets"));
    return status;
}

static int compare_data(const void *left, const void *right)
{
    const struct clv_weight_entry *a = left, *b = right;
    const char *a_data = a->data, *b_data = b->data;
    if (a_data != b_data)
        return a_data < b_data ? -1 : 1;
    /* Empty tensors come before what begins where they do. */
    if (a->size_bytes != b->size_bytes)
        return a->size_bytes < b->size_bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int compare_names(const void *left, const void *right, void *payload)
{
    const struct clv_weight_entry *entries = payload;
    return strcmp(entries[*(const size_t *)left].name, entries[*(const size_t *)right].name);
}

/* Fills the index of names. */
static int sort_names(struct clv_weights *weights)
{
    weights->by_name = calloc(weights->count + 1, sizeof *weights->by_name);
    if (!weights->by_name)
        return clv_fail_memory("the index of tensor names");
    for (size_t i = 0; i < weights->count; i++)
        weights->by_name[i] = i;
    if (weights->count)
        qsort_r(weights->by_name, weights->count, sizeof *weights->by_name, compare_names,
                weights->entries);
    for (size_t i = 1; i < weights->count; i++) {
        const char *name = weights->entries[weights->by_name[i]].name;
        if (strcmp(name, weights->entries[weights->by_name[i - 1]].name) == 0)
            return bad(weights, name, "is there twice");
    }
    return CLV_OK;
}

/* The ranges must tile the data: no overlap, no gap, nothing after the last. */
static int check_tiling(const struct clv_weights *weights, const unsigned char *data,
                        size_t data_size)
{
    size_t at = 0;
    for (size_t i = 0; i < weights->count; i++) {
        const struct clv_weight_entry *entry = &weights->entries[i];
        size_t begin = (size_t)((const unsigned char *)entry->data - data);
        if (begin < at)
            return clv_fail(CLV_ECORRUPT, "'%s': tensors '%.200s' and '%.200s' overlap",
                            weights->path, weights->entries[i - 1].name, entry->name);
        if (begin > at)
            return clv_fail(CLV_ECORRUPT, "'%s': %zu bytes before tensor '%.200s' belong to none",
                            weights->path, begin - at, entry->name);
        at = begin + entry->size_bytes;
    }
    if (at != data_size)
        return clv_fail(CLV_ECORRUPT, "'%s': %zu bytes after the last tensor belong to none",
                        weights->path, data_size - at);
    return CLV_OK;
}

/* Moves the names of what is left out to `skipped`. */
static int leave_out(struct clv_weights *weights)
{
    size_t kept = 0;
    weights->skipped = calloc(weights->count + 1, sizeof *weights->skipped);
    if (!weights->skipped)
        return clv_fail_memory("the table of tensors");
    for (size_t i = 0; i < weights->count; i++)
        if (weights->entries[i].dimension_count < 0)
            weights->skipped[weights->skipped_count++] = (char *)weights->entries[i].name;
        else
            weights->entries[kept++] = weights->entries[i];
    weights->count = kept;
    return CLV_OK;
}

static int read_header(struct clv_weights *weights, const struct clv_json *header,
                       const unsigned char *data, size_t data_size, bool lenient)
{
    struct reading reading = {weights, lenient, data_size, data};
    if (clv_json_kind(header) != CLV_JSON_OBJECT)
        return clv_fail(CLV_ECORRUPT, "'%s': the header is not a JSON object", weights->path);
    weights->entries = calloc(clv_json_count(header) + 1, sizeof *weights->entries);
    if (!weights->entries)
        return clv_fail_memory("the table of tensors");
    int status = clv_json_members(header, read_member, &reading);
    if (status != CLV_OK)
        return status;
    if (weights->count)
        qsort(weights->entries, weights->count, sizeof *weights->entries, compare_data);
    status = check_tiling(weights, data, data_size);
    if (status == CLV_OK && lenient)
        status = leave_out(weights);
    return status == CLV_OK ? sort_names(weights) : status;
}

/* Reads the header of the file that is `bytes`. */
static int read_file(struct clv_weights *weights, const unsigned char *bytes, size_t size_bytes,
                     bool lenient)
{
    struct clv_json *header = NULL;
    uint64_t header_size = 0;
    weights->file_bytes = size_bytes;
    if (size_bytes < 8)
        return clv_fail(CLV_ECORRUPT, "'%s' has %zu bytes, too few for a safetensors file",
                        weights->path, size_bytes);
    for (int i = 7; i >= 0; i--)
        header_size = header_size << 8 | bytes[i];
    if (header_size > HEADER_SIZE_MAX || header_size > size_bytes - 8)
        return clv_fail(CLV_ECORRUPT,
                        "'%s' is not a safetensors file: its header would take %" PRIu64
                        " bytes, the file has %zu",
                        weights->path, header_size, size_bytes);
    int status =
        clv_json_parse(&header, (const char *)bytes + 8, (size_t)header_size, weights->path);
    if (status == CLV_OK)
        status = read_header(weights, header, bytes + 8 + header_size,
                             size_bytes - 8 - (size_t)header_size, lenient);
    clv_json_free(header);
    return status;
}

/* One without tensors yet. */
static int create(struct clv_weights **out, const char *path)
{
    struct clv_weights *weights = calloc(1, sizeof *weights);
    *out = NULL;
    if (!weights || !(weights->path = strdup(path))) {
        free(weights);
        return clv_fail_memory("weights");
    }
    *out = weights;
    return CLV_OK;
}

static int open_weights(struct clv_weights **out, const char *path, bool lenient)
{
    int status = create(out, path);
    if (status == CLV_OK)
        status = clv_map_open(&(*out)->map, path);
    if (status == CLV_OK)
        status = read_file(*out, (*out)->map.data, (*out)->map.size_bytes, lenient);
    if (status != CLV_OK) {
        clv_weights_close(*out);
        *out = NULL;
    }
    return status;
}

int clv_weights_open(struct clv_weights **out, const char *path)
{
    return open_weights(out, path, false);
}

int clv_weights_open_any(struct clv_weights **out, const char *path)
{
    return open_weights(out, path, true);
}

int clv_weights_open_bytes(struct clv_weights **out, const char *name, const void *bytes,
                           size_t size_bytes)
{
    int status = create(out, name);
    if (status == CLV_OK)
        status = read_file(*out, bytes, size_bytes, false);
    if (status != CLV_OK) {
        clv_weights_close(*out);
        *out = NULL;
    }
    return status;
}

static int copy_table(struct clv_weights *weights, const struct clv_weight_entry *entries,
                      size_t entry_count, const struct clv_weight_metadata *metadata,
                      size_t metadata_count)
{
    weights->entries = calloc(entry_count + 1, sizeof *weights->entries);
    weights->metadata = calloc(metadata_count + 1, sizeof *weights->metadata);
    if (!weights->entries || !weights->metadata)
        return clv_fail_memory("the table of tensors");
    for (size_t i = 0; i < entry_count; i++) {
        struct clv_weight_entry *entry = &weights->entries[weights->count++];
        *entry = entries[i];
        entry->name = strdup(entries[i].name);
        if (!entry->name)
            return clv_fail_memory("a tensor's name");
    }
    for (size_t i = 0; i < metadata_count; i++) {
        struct clv_weight_metadata *one = &weights->metadata[weights->metadata_count++];
        one->key = strdup(metadata[i].key);
        one->value = strdup(metadata[i].value);
        if (!one->key || !one->value)
            return clv_fail_memory("weight metadata");
    }
    return sort_names(weights);
}

int clv_weights_from_memory(struct clv_weights **out, const char *path,
                            const struct clv_weight_entry *entries, size_t entry_count,
                            const struct clv_weight_metadata *metadata, size_t metadata_count,
                            void *memory)
{
    int status = create(out, path);
    if (status == CLV_OK)
        status = copy_table(*out, entries, entry_count, metadata, metadata_count);
    if (status != CLV_OK) {
        clv_weights_close(*out);
        *out = NULL;
        return status;
    }
    (*out)->memory = memory;
    return CLV_OK;
}

void clv_weights_close(struct clv_weights *weights)
{
    if (!weights)
        return;
    for (size_t i = 0; i < weights->count; i++)
        free((char *)weights->entries[i].name);
    for (size_t i = 0; i < weights->metadata_count; i++) {
        free((char *)weights->metadata[i].key);
        free((char *)weights->metadata[i].value);
    }
    for (size_t i = 0; i < weights->skipped_count; i++)
        free(weights->skipped[i]);
    free(weights->skipped);
    free(weights->entries);
    free(weights->by_name);
    free(weights->metadata);
    free(weights->memory);
    free(weights->path);
    clv_map_release(&weights->map);
    free(weights);
}

const char *clv_weights_path(const struct clv_weights *weights)
{
    return weights->path;
}

size_t clv_weights_file_bytes(const struct clv_weights *weights)
{
    return weights->file_bytes;
}

size_t clv_weights_count(const struct clv_weights *weights)
{
    return weights->count;
}

const struct clv_weight_entry *clv_weights_at(const struct clv_weights *weights, size_t index)
{
    return &weights->entries[index];
}

const struct clv_weight_entry *clv_weights_find(const struct clv_weights *weights, const char *name)
{
    size_t low = 0, high = weights->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct clv_weight_entry *entry = &weights->entries[weights->by_name[middle]];
        int order = strcmp(name, entry->name);
        if (order == 0)
            return entry;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *clv_weights_metadata(const struct clv_weights *weights, const char *key)
{
    for (size_t i = 0; i < weights->metadata_count; i++)
        if (strcmp(weights->metadata[i].key, key) == 0)
            return weights->metadata[i].value;
    return NULL;
}

size_t clv_weights_metadata_count(const struct clv_weights *weights)
{
    return weights->metadata_count;
}

void clv_weights_metadata_at(const struct clv_weights *weights, size_t index, const char **key_out,
                             const char **value_out)
{
    *key_out = weights->metadata[index].key;
    *value_out = weights->metadata[index].value;
}

/* The data may lie at any address, so elements are copied out before they are looked at. */
int clv_weights_read(float *out, const struct clv_weight_entry *entry)
{
    const unsigned char *data = entry->data;
    size_t count = entry->element_count;
    switch (entry->dtype) {
    case CLV_F32:
        if (count)
            memcpy(out, data, count * sizeof *out);
        return CLV_OK;
    case CLV_F16:
        for (size_t i = 0; i < count; i++) {
            uint16_t half;
            memcpy(&half, data + 2 * i, sizeof half);
            out[i] = clv_half_to_float(half);
        }
        return CLV_OK;
    case CLV_BF16:
        for (size_t i = 0; i < count; i++) {
            uint16_t upper;
            memcpy(&upper, data + 2 * i, sizeof upper);
            uint32_t bits = (uint32_t)upper << 16;
            memcpy(&out[i], &bits, sizeof bits);
        }
        return CLV_OK;
    case CLV_F64:
        for (size_t i = 0; i < count; i++) {
            double value;
            memcpy(&value, data + 8 * i, sizeof value);
            out[i] = (float)value;
        }
        return CLV_OK;
    default:
        return clv_fail(CLV_EINVAL, "tensor '%.200s' holds %s, not floating-point numbers",
                        entry->name, clv_dtype_name(entry->dtype));
    }
}

bool clv_weights_is_vocabulary(const struct clv_weight_entry *entry)
{
    return strncmp(entry->name, CLV_WEIGHTS_VOCABULARY, strlen(CLV_WEIGHTS_VOCABULARY)) == 0;
}
