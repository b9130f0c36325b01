/* The stream that torch.save wrote before 1.6: five pickles (a magic number, the protocol, facts
 * about the machine, the object, the storages' keys), then each storage's element count and
 * bytes. */
#include "core/error.h"
#include "core/model/torch.h"
#include "core/model/weights_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL 1001
#define NAMES_BYTES_MAX ((size_t)256 << 20)

/* 0x1950a86a20f9469cfc6c */
static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
static const char magic_digits[] = "119547037146038801333356";

static bool is_magic(const struct clv_pickle_value *value)
{
    if (value->kind != CLV_PICKLE_BIG)
        return false;
    const struct clv_pickle_text *text = &value->text;
    return (text->size_bytes == sizeof magic - 1 &&
            memcmp(text->data, magic, sizeof magic - 1) == 0) ||
           (text->size_bytes == sizeof magic_digits - 1 &&
            memcmp(text->data, magic_digits, sizeof magic_digits - 1) == 0);
}

/* Reads the pickle at *at and moves *at behind it. */
static int next_pickle(struct clv_pickle **out, const struct clv_torch *torch, size_t *at)
{
    size_t used = 0;
    int status = clv_pickle_open(out, torch->map.data + *at, torch->map.size_bytes - *at, &used,
                                 torch->path);
    *at += used;
    return status;
}

/* The three pickles before the object. */
static int read_front(struct clv_torch *torch, size_t *at)
{
    struct clv_pickle *pickle = NULL;
    int status = next_pickle(&pickle, torch, at);
    if (status == CLV_OK && !is_magic(clv_pickle_root(pickle)))
        status = clv_fail(CLV_EUNSUPPORTED, "'%s' is a pickle, but not one that torch.save wrote",
                          torch->path);
    clv_pickle_close(pickle);
    if (status == CLV_OK)
        status = next_pickle(&pickle, torch, at);
    if (status != CLV_OK)
        return status;
    const struct clv_pickle_value *value = clv_pickle_root(pickle);
    if (value->kind != CLV_PICKLE_INTEGER || value->integer != PROTOCOL)
        status = clv_fail(CLV_EUNSUPPORTED, "'%s' is of a torch.save protocol other than %d",
                          torch->path, PROTOCOL);
    clv_pickle_close(pickle);
    if (status == CLV_OK)
        status = next_pickle(&pickle, torch, at);
    if (status != CLV_OK)
        return status;
    value = clv_pickle_get(clv_pickle_root(pickle), "little_endian");
    torch->swapped = value && value->kind == CLV_PICKLE_BOOL && !value->boolean;
    clv_pickle_close(pickle);
    return CLV_OK;
}

static int compare_key(const void *key, const void *element)
{
    const struct clv_pickle_text *a = key, *b = ((const struct clv_torch_storage *)element)->key;
    size_t size = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
    int order = size ? memcmp(a->data, b->data, size) : 0;
    return order ? order : (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}

/* A storage says how many elements it has, not their size: that is known from its tensors. */
static int place_storage(struct clv_torch *torch, const struct clv_pickle_value *key, size_t *at,
                         const size_t *element_sizes)
{
    uint64_t count = 0;
    size_t left = torch->map.size_bytes - *at, bytes;
    struct clv_torch_storage *storage =
        key->kind == CLV_PICKLE_TEXT && torch->storage_count
            ? bsearch(&key->text, torch->storages, torch->storage_count, sizeof *torch->storages,
                      compare_key)
            : NULL;
    if (!storage)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s' has a storage that belongs to no tensor claverdb reads", torch->path);
    if (left < 8)
        return clv_fail(CLV_ECORRUPT, "'%s' is cut off before storage '%.*s'", torch->path,
                        (int)(key->text.size_bytes < 40 ? key->text.size_bytes : 40),
                        key->text.data);
    for (int i = 7; i >= 0; i--) {
        int byte = torch->swapped ? 7 - i : i;
        count = count << 8 | torch->map.data[*at + (size_t)byte];
    }
    if (count > SIZE_MAX ||
        __builtin_mul_overflow((size_t)count, element_sizes[storage - torch->storages], &bytes) ||
        bytes > left - 8)
        return clv_fail(CLV_ECORRUPT,
                        "'%s' is cut off: a storage has %" PRIu64
                        " elements, %zu bytes of the file are left",
                        torch->path, count, left - 8);
    storage->data = torch->map.data + *at + 8;
    storage->size_bytes = bytes;
    *at += 8 + bytes;
    return CLV_OK;
}

static int place_storages(struct clv_torch *torch, size_t at)
{
    struct clv_pickle *pickle = NULL;
    size_t *element_sizes = calloc(torch->storage_count + 1, sizeof *element_sizes);
    int status = element_sizes ? next_pickle(&pickle, torch, &at) : clv_fail_memory("a table");
    for (size_t i = 0; i < torch->tensor_count && status == CLV_OK; i++)
        element_sizes[torch->tensors[i].storage] = clv_dtype_size(torch->tensors[i].entry.dtype);
    const struct clv_pickle_value *keys = pickle ? clv_pickle_root(pickle) : NULL;
    if (status == CLV_OK && keys->kind != CLV_PICKLE_LIST)
        status = clv_fail(CLV_ECORRUPT, "'%s' has no list of storages", torch->path);
    for (size_t i = 0; status == CLV_OK && i < keys->items.count; i++)
        status = place_storage(torch, keys->items.at[i], &at, element_sizes);
    for (size_t i = 0; status == CLV_OK && i < torch->storage_count; i++)
        if (!torch->storages[i].data)
            status =
                clv_fail(CLV_ECORRUPT, "'%s': the storage '%.*s' is missing", torch->path,
                         (int)torch->storages[i].key->size_bytes, torch->storages[i].key->data);
    for (size_t i = 0; status == CLV_OK && i < torch->tensor_count; i++)
        status = clv_torch_tensor_check(torch, &torch->tensors[i]);
    clv_pickle_close(pickle);
    free(element_sizes);
    return status;
}

int clv_torch_open_legacy(struct clv_torch **out, const char *path)
{
    size_t at = 0;
    *out = NULL;
    struct clv_torch *torch = calloc(1, sizeof *torch);
    if (!torch || !(torch->path = strdup(path))) {
        free(torch);
        return clv_fail_memory("a checkpoint");
    }
    torch->pool.limit_bytes = NAMES_BYTES_MAX;
    int status = clv_map_open(&torch->map, path);
    if (status == CLV_OK)
        status = read_front(torch, &at);
    if (status == CLV_OK)
        status = next_pickle(&torch->pickle, torch, &at);
    if (status == CLV_OK)
        status = clv_torch_walk(torch, clv_pickle_root(torch->pickle),
                                clv_pickle_value_count(torch->pickle));
    if (status == CLV_OK)
        status = clv_torch_group(torch);
    if (status == CLV_OK)
        status = place_storages(torch, at);
    if (status != CLV_OK) {
        clv_torch_close(torch);
        return status;
    }
    *out = torch;
    return CLV_OK;
}
