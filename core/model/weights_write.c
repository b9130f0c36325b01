/* The safetensors writer. */
#include "core/model/weights.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/weights_table.h"

#include <stdlib.h>
#include <string.h>

#define DATA_ALIGNMENT 64

static struct clv_json *integers(const int64_t *values, int count)
{
    struct clv_json *array = clv_json_array();
    for (int i = 0; i < count; i++)
        clv_json_append_integer(array, values[i]);
    return array;
}

/* Adds the entry's member to `header`; *offset moves past its data. */
static int describe(struct clv_json *header, int64_t *offset, const char *path,
                    const struct clv_weight_entry *entry)
{
    struct clv_weight_entry measured = *entry;
    if (!clv_weight_entry_measure(&measured) || measured.size_bytes != entry->size_bytes)
        return clv_fail(CLV_EINVAL,
                        "cannot write '%s': the size of tensor '%.200s' is not its shape's", path,
                        entry->name);
    if (strcmp(entry->name, "__metadata__") == 0 || clv_json_get(header, entry->name))
        return clv_fail(CLV_EINVAL, "cannot write '%s': tensor '%.200s' is there twice", path,
                        entry->name);
    const int64_t offsets[2] = {*offset, *offset + (int64_t)entry->size_bytes};
    struct clv_json *member = clv_json_object();
    clv_json_put_string(member, "dtype", clv_dtype_name(entry->dtype));
    clv_json_put(member, "shape", integers(entry->shape, entry->dimension_count));
    clv_json_put(member, "data_offsets", integers(offsets, 2));
    clv_json_put(header, entry->name, member);
    *offset = offsets[1];
    return CLV_OK;
}

/* Length and JSON text, padded with spaces so that the data begins aligned. */
static int write_header(struct clv_bytes *out, const char *path,
                        const struct clv_weight_entry *entries, size_t entry_count,
                        const struct clv_weight_metadata *metadata, size_t metadata_count)
{
    int status = CLV_OK;
    int64_t offset = 0;
    struct clv_json *header = clv_json_object();
    if (metadata_count) {
        struct clv_json *object = clv_json_object();
        for (size_t i = 0; i < metadata_count; i++)
            clv_json_put_string(object, metadata[i].key, metadata[i].value);
        clv_json_put(header, "__metadata__", object);
    }
    for (size_t i = 0; i < entry_count && status == CLV_OK; i++)
        status = describe(header, &offset, path, &entries[i]);
    clv_bytes_add(out, "\0\0\0\0\0\0\0", 8);
    if (status == CLV_OK)
        status = clv_json_write(out, header, false);
    while (status == CLV_OK && out->status == CLV_OK && out->size_bytes % DATA_ALIGNMENT)
        clv_bytes_text(out, " ");
    clv_json_free(header);
    if (status != CLV_OK || out->status != CLV_OK)
        return status != CLV_OK ? status : out->status;
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)((out->size_bytes - 8) >> (8 * i) & 0xff);
    return CLV_OK;
}

/* The data of every entry: what `data` points to, or what `fill` says. */
static int write_data(struct clv_replace *replace, const struct clv_weight_entry *entries,
                      size_t entry_count, clv_weights_fill *fill, void *payload)
{
    size_t largest = 0;
    for (size_t i = 0; fill && i < entry_count; i++)
        largest = entries[i].size_bytes > largest ? entries[i].size_bytes : largest;
    void *buffer = largest ? malloc(largest) : NULL;
    if (largest && !buffer)
        return clv_fail_memory("a tensor");
    int status = CLV_OK;
    for (size_t i = 0; i < entry_count && status == CLV_OK; i++) {
        if (entries[i].size_bytes == 0)
            continue;
        if (fill)
            status = fill(payload, i, buffer);
        if (status == CLV_OK)
            status =
                clv_replace_write(replace, fill ? buffer : entries[i].data, entries[i].size_bytes);
    }
    free(buffer);
    return status;
}

int clv_weights_stream(const char *path, const struct clv_weight_entry *entries, size_t entry_count,
                       const struct clv_weight_metadata *metadata, size_t metadata_count,
                       clv_weights_fill *fill, void *payload)
{
    struct clv_bytes header = {0};
    struct clv_replace replace = {.descriptor = -1};
    int status = write_header(&header, path, entries, entry_count, metadata, metadata_count);
    if (status == CLV_OK)
        status = clv_replace_begin(&replace, path);
    if (status == CLV_OK)
        status = clv_replace_write(&replace, header.data, header.size_bytes);
    if (status == CLV_OK)
        status = write_data(&replace, entries, entry_count, fill, payload);
    if (status == CLV_OK)
        status = clv_replace_commit(&replace);
    clv_replace_abort(&replace);
    clv_bytes_release(&header);
    return status;
}

int clv_weights_save(const char *path, const struct clv_weight_entry *entries, size_t entry_count,
                     const struct clv_weight_metadata *metadata, size_t metadata_count)
{
    return clv_weights_stream(path, entries, entry_count, metadata, metadata_count, NULL, NULL);
}
