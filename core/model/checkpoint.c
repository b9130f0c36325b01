/* One face for every kind of file. What a file is, is told from its first bytes, and of an index
 * by its name. */
#include "core/model/checkpoint.h"

#include "core/archive.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/torch.h"
#include "core/model/weights_table.h"

#include <stdlib.h>
#include <string.h>

/* A tensor: of the file, or of one of its parts. */
struct entry {
    struct clv_weight_entry facts;
    struct clv_checkpoint *part; /* NULL: of this file */
    size_t index;                /* there */
};

struct clv_checkpoint {
    char *path;
    enum clv_checkpoint_format format;
    struct clv_weights *weights;
    struct clv_torch *torch;
    struct clv_json *header; /* of an index */
    struct clv_checkpoint **parts;
    char **part_names;
    size_t part_count;
    struct entry *entries;
    size_t count;
    size_t *by_name;
};

/* ---- what a file is -------------------------------------------------------------------------- */

struct signature {
    size_t offset;
    const char *bytes;
    const char *what;
};

/* Kinds people will try, and what to do about them. */
static const struct signature refused[] = {
    {0, "version https://git-lfs", "a Git LFS pointer, not the file itself: run git lfs pull"},
    {0, "<!DOCTYPE", "a web page, not the file it should have been"},
    {0, "<!doctype", "a web page, not the file it should have been"},
    {0, "<html", "a web page, not the file it should have been"},
    {0, "GGUF", "a GGUF file, which claverdb does not read"},
    {0, "\x89HDF", "an HDF5 file, which claverdb does not read"},
    {0, "\x93NUMPY", "a NumPy array, not a checkpoint"},
    {0, "\x1f\x8b", "packed with gzip: unpack it first"},
    {0, "7z\xbc\xaf", "packed with 7-Zip: unpack it first"},
    {257, "ustar",
     "a tar file, the format of PyTorch before 0.1.12 or a packed folder: load it with a PyTorch "
     "of "
     "that time and save it again with torch.save, or unpack it"},
};

static int refuse(const struct clv_map *map, const char *path)
{
    if (map->size_bytes == 0)
        return clv_fail(CLV_ECORRUPT, "'%s' is empty", path);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const struct signature *one = &refused[i];
        size_t size = strlen(one->bytes);
        if (map->size_bytes >= one->offset + size &&
            memcmp(map->data + one->offset, one->bytes, size) == 0)
            return clv_fail(CLV_EUNSUPPORTED, "'%s' is %s", path, one->what);
    }
    return clv_fail(CLV_EUNSUPPORTED,
                    "'%s' is no checkpoint: neither safetensors nor written by PyTorch", path);
}

/* Eight bytes of size, then a JSON object. */
static bool is_safetensors(const struct clv_map *map)
{
    return map->size_bytes > 8 && map->data[8] == '{' && map->data[7] == 0 && map->data[6] == 0;
}

static bool is_pickle(const struct clv_map *map)
{
    static const char digits[] = "L119547037146038801333356L";
    return (map->size_bytes > 2 && map->data[0] == 0x80 && map->data[1] <= 5) ||
           (map->size_bytes > sizeof digits && memcmp(map->data, digits, sizeof digits - 1) == 0);
}

static bool is_index(const char *path)
{
    static const char end[] = ".index.json";
    size_t size = strlen(path);
    return size >= sizeof end && strcmp(path + size - (sizeof end - 1), end) == 0;
}

static int open_index(struct clv_checkpoint *checkpoint, const struct clv_map *map);

static int open_kind(struct clv_checkpoint *checkpoint, bool may_be_index)
{
    const char *path = checkpoint->path;
    struct clv_map map;
    int status = clv_map_open(&map, path);
    if (status != CLV_OK)
        return status;
    if (is_index(path)) {
        checkpoint->format = CLV_CHECKPOINT_SHARDED;
        status = may_be_index ? open_index(checkpoint, &map)
                              : clv_fail(CLV_ECORRUPT, "'%s', an index, is part of an index", path);
    } else if (clv_archive_is_zip(map.data, map.size_bytes)) {
        status = clv_torch_open_zip(&checkpoint->torch, path);
        if (status == CLV_OK)
            checkpoint->format =
                checkpoint->torch->is_script ? CLV_CHECKPOINT_TORCH_SCRIPT : CLV_CHECKPOINT_TORCH;
    } else if (is_pickle(&map)) {
        checkpoint->format = CLV_CHECKPOINT_TORCH_LEGACY;
        status = clv_torch_open_legacy(&checkpoint->torch, path);
    } else if (is_safetensors(&map)) {
        checkpoint->format = CLV_CHECKPOINT_SAFETENSORS;
        status = clv_weights_open_any(&checkpoint->weights, path);
    } else {
        status = refuse(&map, path);
    }
    clv_map_release(&map);
    return status;
}

/* ---- the table of tensors -------------------------------------------------------------------- */

static int compare_names(const void *left, const void *right, void *payload)
{
    const struct entry *entries = payload;
    return strcmp(entries[*(const size_t *)left].facts.name,
                  entries[*(const size_t *)right].facts.name);
}

static int sort_names(struct clv_checkpoint *checkpoint)
{
    checkpoint->by_name = calloc(checkpoint->count + 1, sizeof *checkpoint->by_name);
    if (!checkpoint->by_name)
        return clv_fail_memory("the index of tensor names");
    for (size_t i = 0; i < checkpoint->count; i++)
        checkpoint->by_name[i] = i;
    if (checkpoint->count)
        qsort_r(checkpoint->by_name, checkpoint->count, sizeof *checkpoint->by_name, compare_names,
                checkpoint->entries);
    for (size_t i = 1; i < checkpoint->count; i++) {
        const char *name = checkpoint->entries[checkpoint->by_name[i]].facts.name;
        if (strcmp(name, checkpoint->entries[checkpoint->by_name[i - 1]].facts.name) == 0)
            return clv_fail(CLV_ECORRUPT, "'%s': tensor '%.200s' is there twice", checkpoint->path,
                            name);
    }
    return CLV_OK;
}

/* The tensors of the one file. */
static int list_tensors(struct clv_checkpoint *checkpoint)
{
    size_t count = checkpoint->weights ? clv_weights_count(checkpoint->weights)
                                       : checkpoint->torch->tensor_count;
    checkpoint->entries = calloc(count + 1, sizeof *checkpoint->entries);
    if (!checkpoint->entries)
        return clv_fail_memory("the table of tensors");
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &checkpoint->entries[i];
        entry->facts = checkpoint->weights ? *clv_weights_at(checkpoint->weights, i)
                                           : checkpoint->torch->tensors[i].entry;
        entry->facts.data = NULL;
        entry->index = i;
    }
    checkpoint->count = count;
    return sort_names(checkpoint);
}

/* ---- sharded sets ---------------------------------------------------------------------------- */

static int open_checkpoint(struct clv_checkpoint **out, const char *path, bool may_be_index);

/* The part called `name`, opened at its first mention. */
static int find_part(struct clv_checkpoint **out, struct clv_checkpoint *checkpoint,
                     const char *name)
{
    *out = NULL;
    for (size_t i = checkpoint->part_count; i-- > 0;)
        if (strcmp(checkpoint->part_names[i], name) == 0) {
            *out = checkpoint->parts[i];
            return CLV_OK;
        }
    if (strchr(name, '/') || strcmp(name, "..") == 0 || name[0] == '\0')
        return clv_fail(CLV_ECORRUPT, "'%s' names a part outside of its folder: '%.200s'",
                        checkpoint->path, name);
    size_t folder = (size_t)(clv_path_base(checkpoint->path) - checkpoint->path);
    char *directory = folder ? strndup(checkpoint->path, folder) : strdup(".");
    char *path = directory ? clv_path_join(directory, name) : NULL;
    free(directory);
    size_t count = checkpoint->part_count + 1;
    struct clv_checkpoint **parts =
        reallocarray(checkpoint->parts, count, sizeof *checkpoint->parts);
    if (parts)
        checkpoint->parts = parts;
    char **names = reallocarray(checkpoint->part_names, count, sizeof *checkpoint->part_names);
    if (names)
        checkpoint->part_names = names;
    char *copy = strdup(name);
    int status = path && parts && names && copy ? open_checkpoint(out, path, false)
                                                : clv_fail_memory("the parts of a checkpoint");
    free(path);
    if (status != CLV_OK) {
        free(copy);
        return status;
    }
    checkpoint->parts[checkpoint->part_count] = *out;
    checkpoint->part_names[checkpoint->part_count++] = copy;
    return CLV_OK;
}

static int add_mapped(const char *key, const struct clv_json *value, void *payload)
{
    struct clv_checkpoint *checkpoint = payload, *part;
    const char *name = clv_json_string(value, NULL, NULL);
    if (!name)
        return clv_fail(CLV_ECORRUPT, "'%s' names no part for '%.200s'", checkpoint->path, key);
    int status = find_part(&part, checkpoint, name);
    if (status != CLV_OK)
        return status;
    size_t index = clv_checkpoint_find(part, key);
    for (size_t i = 0; index == SIZE_MAX && i < clv_checkpoint_skipped_count(part); i++)
        if (strcmp(clv_checkpoint_skipped_at(part, i, NULL), key) == 0)
            return CLV_OK;
    if (index == SIZE_MAX)
        return clv_fail(CLV_ECORRUPT, "'%s' has no '%.200s', which '%s' says it has", part->path,
                        key, checkpoint->path);
    struct entry *entry = &checkpoint->entries[checkpoint->count++];
    *entry = (struct entry){part->entries[index].facts, part, index};
    return CLV_OK;
}

static int open_index(struct clv_checkpoint *checkpoint, const struct clv_map *map)
{
    int status = clv_json_parse(&checkpoint->header, (const char *)map->data, map->size_bytes,
                                checkpoint->path);
    if (status != CLV_OK)
        return status;
    const struct clv_json *table = clv_json_get(checkpoint->header, "weight_map");
    if (clv_json_kind(table) != CLV_JSON_OBJECT)
        return clv_fail(CLV_ECORRUPT, "'%s' has no weight_map", checkpoint->path);
    checkpoint->entries = calloc(clv_json_count(table) + 1, sizeof *checkpoint->entries);
    if (!checkpoint->entries)
        return clv_fail_memory("the table of tensors");
    status = clv_json_members(table, add_mapped, checkpoint);
    return status == CLV_OK ? sort_names(checkpoint) : status;
}

/* ---- the interface --------------------------------------------------------------------------- */

static int open_checkpoint(struct clv_checkpoint **out, const char *path, bool may_be_index)
{
    *out = NULL;
    struct clv_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (!checkpoint || !(checkpoint->path = strdup(path))) {
        free(checkpoint);
        return clv_fail_memory("a checkpoint");
    }
    int status = open_kind(checkpoint, may_be_index);
    if (status == CLV_OK && checkpoint->format != CLV_CHECKPOINT_SHARDED)
        status = list_tensors(checkpoint);
    if (status != CLV_OK) {
        clv_checkpoint_close(checkpoint);
        return status;
    }
    *out = checkpoint;
    return CLV_OK;
}

int clv_checkpoint_open(struct clv_checkpoint **out, const char *path)
{
    return open_checkpoint(out, path, true);
}

void clv_checkpoint_close(struct clv_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    for (size_t i = 0; i < checkpoint->part_count; i++) {
        clv_checkpoint_close(checkpoint->parts[i]);
        free(checkpoint->part_names[i]);
    }
    free(checkpoint->parts);
    free(checkpoint->part_names);
    free(checkpoint->entries);
    free(checkpoint->by_name);
    clv_json_free(checkpoint->header);
    clv_torch_close(checkpoint->torch);
    clv_weights_close(checkpoint->weights);
    free(checkpoint->path);
    free(checkpoint);
}

const char *clv_checkpoint_path(const struct clv_checkpoint *checkpoint)
{
    return checkpoint->path;
}

enum clv_checkpoint_format clv_checkpoint_format(const struct clv_checkpoint *checkpoint)
{
    return checkpoint->format;
}

const char *clv_checkpoint_format_name(enum clv_checkpoint_format format)
{
    static const char *const names[] = {
        [CLV_CHECKPOINT_SAFETENSORS] = "safetensors",
        [CLV_CHECKPOINT_TORCH] = "PyTorch archive",
        [CLV_CHECKPOINT_TORCH_SCRIPT] = "TorchScript archive",
        [CLV_CHECKPOINT_TORCH_LEGACY] = "PyTorch stream",
        [CLV_CHECKPOINT_SHARDED] = "sharded checkpoint",
    };
    return names[format];
}

size_t clv_checkpoint_count(const struct clv_checkpoint *checkpoint)
{
    return checkpoint->count;
}

const struct clv_weight_entry *clv_checkpoint_at(const struct clv_checkpoint *checkpoint,
                                                 size_t index)
{
    return &checkpoint->entries[index].facts;
}

size_t clv_checkpoint_find(const struct clv_checkpoint *checkpoint, const char *name)
{
    size_t low = 0, high = checkpoint->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2, index = checkpoint->by_name[middle];
        int order = strcmp(name, checkpoint->entries[index].facts.name);
        if (order == 0)
            return index;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return SIZE_MAX;
}

int clv_checkpoint_read(struct clv_checkpoint *checkpoint, size_t index, void *out)
{
    const struct entry *entry = &checkpoint->entries[index];
    if (entry->part)
        return clv_checkpoint_read(entry->part, entry->index, out);
    if (checkpoint->torch)
        return clv_torch_read(checkpoint->torch, entry->index, out);
    const struct clv_weight_entry *weights = clv_weights_at(checkpoint->weights, entry->index);
    if (weights->size_bytes) {
        memcpy(out, weights->data, weights->size_bytes);
        clv_map_forget(weights->data, weights->size_bytes);
    }
    return CLV_OK;
}

size_t clv_checkpoint_skipped_count(const struct clv_checkpoint *checkpoint)
{
    size_t count = checkpoint->torch     ? checkpoint->torch->skipped_count
                   : checkpoint->weights ? checkpoint->weights->skipped_count
                                         : 0;
    for (size_t i = 0; i < checkpoint->part_count; i++)
        count += clv_checkpoint_skipped_count(checkpoint->parts[i]);
    return count;
}

const char *clv_checkpoint_skipped_at(const struct clv_checkpoint *checkpoint, size_t index,
                                      const char **reason_out)
{
    for (size_t i = 0; i < checkpoint->part_count; i++) {
        size_t count = clv_checkpoint_skipped_count(checkpoint->parts[i]);
        if (index < count)
            return clv_checkpoint_skipped_at(checkpoint->parts[i], index, reason_out);
        index -= count;
    }
    if (reason_out)
        *reason_out = checkpoint->torch ? checkpoint->torch->skipped[index].reason
                                        : "its data type is not read";
    return checkpoint->torch ? checkpoint->torch->skipped[index].name
                             : checkpoint->weights->skipped[index];
}

const char *clv_checkpoint_setting(const struct clv_checkpoint *checkpoint, const char *path)
{
    if (checkpoint->torch)
        return clv_torch_setting(checkpoint->torch, path);
    if (checkpoint->weights)
        return clv_weights_metadata(checkpoint->weights, path);
    const char *found = clv_json_string(
        clv_json_get(clv_json_get(checkpoint->header, "metadata"), path), NULL, NULL);
    for (size_t i = 0; !found && i < checkpoint->part_count; i++)
        found = clv_checkpoint_setting(checkpoint->parts[i], path);
    return found;
}
