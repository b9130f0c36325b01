/* The zip archives of torch.save (since 1.6) and torch.jit.save: a folder with the object in
 * data.pkl and each storage in data/KEY. */
#include "core/error.h"
#include "core/file.h"
#include "core/model/torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER_NAME_MAX 1024
#define PICKLE_BYTES_MAX ((size_t)256 << 20)

/* The member called data.pkl in the archive's one folder, whatever that is called. */
static int find_object(struct clv_torch *torch, size_t *member_out)
{
    static const char object[] = "data.pkl";
    bool has_json = false;
    for (size_t i = 0; i < clv_archive_count(torch->archive); i++) {
        const char *name = clv_archive_at(torch->archive, i, NULL);
        const char *base = clv_path_base(name);
        has_json |= strcmp(base, "model.json") == 0;
        if (strcmp(base, object) != 0 || (base > name && strchr(name, '/') != base - 1))
            continue;
        torch->root = strndup(name, (size_t)(base - name));
        *member_out = i;
        return torch->root ? CLV_OK : clv_fail_memory("a file name");
    }
    if (has_json)
        return clv_fail(CLV_EUNSUPPORTED,
                        "'%s' is a TorchScript archive of before PyTorch 1.3: load it with "
                        "torch.jit.load and save it again with torch.jit.save",
                        torch->path);
    return clv_fail(CLV_EUNSUPPORTED,
                    "'%s' is a zip archive without data.pkl, so PyTorch did not write it",
                    torch->path);
}

static int find_member(const struct clv_torch *torch, size_t *member_out, const char *name)
{
    char whole[MEMBER_NAME_MAX];
    int size = snprintf(whole, sizeof whole, "%s%s", torch->root, name);
    if (size < 0 || (size_t)size >= sizeof whole)
        return clv_fail(CLV_ECORRUPT, "'%s': a member's name is too long", torch->path);
    return clv_archive_find(torch->archive, member_out, whole);
}

static bool has_code(const struct clv_torch *torch)
{
    size_t member, length = strlen(torch->root);
    if (find_member(torch, &member, "constants.pkl") == CLV_OK)
        return true;
    for (size_t i = 0; i < clv_archive_count(torch->archive); i++) {
        const char *name = clv_archive_at(torch->archive, i, NULL);
        if (strncmp(name, torch->root, length) == 0 && strncmp(name + length, "code/", 5) == 0)
            return true;
    }
    return false;
}

static int read_byte_order(struct clv_torch *torch)
{
    char text[8] = "";
    uint64_t size;
    size_t member;
    if (find_member(torch, &member, "byteorder") != CLV_OK)
        return CLV_OK; /* older than the member: little-endian */
    (void)clv_archive_at(torch->archive, member, &size);
    int status = CLV_OK;
    if (size < sizeof text)
        status = clv_archive_read(torch->archive, member, text, (size_t)size);
    if (status != CLV_OK)
        return status;
    torch->swapped = strcmp(text, "big") == 0;
    if (!torch->swapped && strcmp(text, "little") != 0)
        return clv_fail(CLV_ECORRUPT, "'%s' has an unknown byte order", torch->path);
    return CLV_OK;
}

static int read_object(struct clv_torch *torch, size_t member)
{
    uint64_t size;
    (void)clv_archive_at(torch->archive, member, &size);
    int status = clv_archive_check(torch->archive, member, NULL);
    if (status != CLV_OK)
        return status;
    if (size > PICKLE_BYTES_MAX)
        return clv_fail(CLV_EUNSUPPORTED, "'%s' has a data.pkl of more than %zu bytes", torch->path,
                        PICKLE_BYTES_MAX);
    torch->pickled = malloc((size_t)size + 1);
    if (!torch->pickled)
        return clv_fail_memory("a pickle");
    status = clv_archive_read(torch->archive, member, torch->pickled, (size_t)size);
    if (status == CLV_OK)
        status = clv_pickle_open(&torch->pickle, torch->pickled, (size_t)size, NULL, torch->path);
    if (status == CLV_OK)
        status = clv_torch_walk(torch, clv_pickle_root(torch->pickle),
                                clv_pickle_value_count(torch->pickle));
    return status;
}

/* Where each storage lies. */
static int find_storages(struct clv_torch *torch)
{
    int status = clv_torch_group(torch);
    for (size_t i = 0; i < torch->storage_count && status == CLV_OK; i++) {
        struct clv_torch_storage *storage = &torch->storages[i];
        char name[MEMBER_NAME_MAX];
        uint64_t size;
        if (storage->key->size_bytes > sizeof name - 8)
            return clv_fail(CLV_ECORRUPT, "'%s': a storage's key is too long", torch->path);
        snprintf(name, sizeof name, "data/%.*s", (int)storage->key->size_bytes, storage->key->data);
        status = find_member(torch, &storage->member, name);
        if (status == CLV_ENOTFOUND)
            return clv_fail(CLV_ECORRUPT, "'%s': the storage '%.200s%.200s' is missing",
                            torch->path, torch->root, name);
        if (status == CLV_OK)
            status = clv_archive_check(torch->archive, storage->member, &storage->stored);
        (void)clv_archive_at(torch->archive, storage->member, &size);
        storage->size_bytes = (size_t)size;
    }
    for (size_t i = 0; i < torch->tensor_count && status == CLV_OK; i++)
        status = clv_torch_tensor_check(torch, &torch->tensors[i]);
    return status;
}

int clv_torch_open_zip(struct clv_torch **out, const char *path)
{
    size_t object = 0;
    *out = NULL;
    struct clv_torch *torch = calloc(1, sizeof *torch);
    if (!torch || !(torch->path = strdup(path))) {
        free(torch);
        return clv_fail_memory("a checkpoint");
    }
    torch->pool.limit_bytes = PICKLE_BYTES_MAX;
    int status = clv_archive_open(&torch->archive, path);
    if (status == CLV_OK)
        status = find_object(torch, &object);
    if (status == CLV_OK) {
        torch->is_script = has_code(torch);
        status = read_byte_order(torch);
    }
    if (status == CLV_OK)
        status = read_object(torch, object);
    if (status == CLV_OK)
        status = find_storages(torch);
    if (status != CLV_OK) {
        clv_torch_close(torch);
        return status;
    }
    *out = torch;
    return CLV_OK;
}

static int fill_cache(struct clv_torch *torch, size_t index)
{
    const struct clv_torch_storage *storage = &torch->storages[index];
    free(torch->cache);
    torch->cache = malloc(storage->size_bytes + 1);
    torch->cached = index;
    if (!torch->cache)
        return clv_fail_memory("a storage");
    int status =
        clv_archive_read(torch->archive, storage->member, torch->cache, storage->size_bytes);
    if (status != CLV_OK) {
        free(torch->cache);
        torch->cache = NULL;
    }
    return status;
}

int clv_torch_fetch(struct clv_torch *torch, const struct clv_torch_tensor *tensor,
                    size_t offset_bytes, void *out, size_t size_bytes)
{
    const struct clv_torch_storage *storage = &torch->storages[tensor->storage];
    if (storage->data) {
        memcpy(out, storage->data + offset_bytes, size_bytes);
        clv_map_forget(storage->data + offset_bytes, size_bytes);
        return CLV_OK;
    }
    if (offset_bytes == 0 && size_bytes == storage->size_bytes)
        return clv_archive_read(torch->archive, storage->member, out, size_bytes);
    /* Unpacking starts at the front each time, so what is needed in parts is kept. */
    if (!storage->stored && (storage->user_count > 1 || !tensor->contiguous)) {
        int status = torch->cache && torch->cached == tensor->storage
                         ? CLV_OK
                         : fill_cache(torch, tensor->storage);
        if (status == CLV_OK)
            memcpy(out, torch->cache + offset_bytes, size_bytes);
        return status;
    }
    return clv_archive_read_at(torch->archive, storage->member, offset_bytes, out, size_bytes);
}
