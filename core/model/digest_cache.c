/* The file is {"version": 2, "models": [{"path", "size_bytes", "modified_ns", "digest"}, …]}, the
 * newest last. It is replaced as a whole; two processes writing at once lose one entry. */
#include "core/model/digest_cache.h"

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_VERSION 2
#define ENTRY_MAX 64
/* Below this, computing costs no more than writing the cache. */
#define SIZE_MIN_BYTES (8 << 20)

static char *cache_path(void)
{
    char *directory = NULL, *path = NULL;
    if (clv_path_data_home(&directory) == CLV_OK)
        path = clv_path_join(directory, "model_digests.json");
    free(directory);
    return path;
}

/* The list of models of the cache; *tree_out is to be freed. NULL where there is none. */
static const struct clv_json *read_cache(struct clv_json **tree_out, const char *path)
{
    struct clv_map map;
    *tree_out = NULL;
    if (clv_map_open(&map, path) != CLV_OK)
        return NULL;
    int status = clv_json_parse(tree_out, (const char *)map.data, map.size_bytes, path);
    clv_map_release(&map);
    if (status != CLV_OK ||
        clv_json_integer(clv_json_get(*tree_out, "version"), 0) != CACHE_VERSION)
        return NULL;
    return clv_json_get(*tree_out, "models");
}

static bool is_path(const struct clv_json *entry, const char *path)
{
    return strcmp(clv_json_string(clv_json_get(entry, "path"), NULL, ""), path) == 0;
}

static bool find(uint8_t out[CLV_DIGEST_BYTES], const struct clv_json *models, const char *path,
                 const struct clv_file_facts *facts)
{
    for (size_t i = 0; i < clv_json_count(models); i++) {
        const struct clv_json *entry = clv_json_at(models, i);
        if (is_path(entry, path) &&
            clv_json_integer(clv_json_get(entry, "size_bytes"), -1) == facts->size_bytes &&
            clv_json_integer(clv_json_get(entry, "modified_ns"), -1) == facts->modified_ns)
            return clv_digest_parse(
                       out, clv_json_string(clv_json_get(entry, "digest"), NULL, "")) == CLV_OK;
    }
    return false;
}

static struct clv_json *make_entry(const char *path, int64_t size_bytes, int64_t modified_ns,
                                   const char *digest)
{
    struct clv_json *entry = clv_json_object();
    clv_json_put_string(entry, "path", path);
    clv_json_put_integer(entry, "size_bytes", size_bytes);
    clv_json_put_integer(entry, "modified_ns", modified_ns);
    clv_json_put_string(entry, "digest", digest);
    return entry;
}

/* Writes the cache with this model last. Failing is fine. */
static void write_cache(const char *cache, const struct clv_json *models, const char *path,
                        const struct clv_file_facts *facts, const uint8_t digest[CLV_DIGEST_BYTES])
{
    char text[CLV_DIGEST_TEXT_SIZE];
    struct clv_bytes bytes = {0};
    struct clv_json *tree = clv_json_object(), *list = clv_json_array();
    size_t count = clv_json_count(models);
    for (size_t i = count >= ENTRY_MAX ? count - ENTRY_MAX + 1 : 0; i < count; i++) {
        const struct clv_json *old = clv_json_at(models, i);
        if (!is_path(old, path))
            clv_json_append(list,
                            make_entry(clv_json_string(clv_json_get(old, "path"), NULL, ""),
                                       clv_json_integer(clv_json_get(old, "size_bytes"), -1),
                                       clv_json_integer(clv_json_get(old, "modified_ns"), -1),
                                       clv_json_string(clv_json_get(old, "digest"), NULL, "")));
    }
    clv_json_append(list, make_entry(path, facts->size_bytes, facts->modified_ns,
                                     clv_digest_text(text, digest)));
    clv_json_put_integer(tree, "version", CACHE_VERSION);
    clv_json_put(tree, "models", list);
    char *directory = strndup(cache, (size_t)(clv_path_base(cache) - cache));
    if (directory && clv_json_write(&bytes, tree, true) == CLV_OK &&
        clv_directory_create(directory) == CLV_OK)
        (void)clv_file_replace(cache, bytes.data, bytes.size_bytes);
    free(directory);
    clv_json_free(tree);
    clv_bytes_release(&bytes);
}

int clv_digest_cache_weights(uint8_t out[CLV_DIGEST_BYTES], const struct clv_weights *weights,
                             const struct clv_model_config *config, const char *path)
{
    struct clv_file_facts facts;
    struct clv_json *tree = NULL;
    char *cache = NULL;
    int status = clv_file_facts(&facts, path);
    if (status != CLV_OK)
        return status;
    if (facts.size_bytes >= SIZE_MIN_BYTES)
        cache = cache_path();
    const struct clv_json *models = cache ? read_cache(&tree, cache) : NULL;
    if (!find(out, models, path, &facts)) {
        status = clv_model_identity(out, weights, config);
        if (status == CLV_OK && cache)
            write_cache(cache, models, path, &facts, out);
    }
    clv_json_free(tree);
    free(cache);
    return status;
}
