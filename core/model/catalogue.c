#include "core/model/catalogue.h"

#include "core/bytes.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_NAME_MAX 200
#define FILE_MAX_BYTES ((size_t)16 << 20)

/* OpenAI's weights (clip/clip.py of https://github.com/openai/CLIP): the SHA-256 is part of each
 * address. */
#define CLIP_SOURCE "https://github.com/openai/CLIP"
#define CLIP_MODELS "https://openaipublic.azureedge.net/clip/models/"
#define CLIP_MODEL(name_, label, file_, size, digest)                                            \
    {                                                                                            \
        .name = name_, .description = "OpenAI CLIP " label, .url = CLIP_MODELS digest "/" file_, \
        .file = file_, .sha256 = digest, .size_bytes = size, .licence = "MIT",                   \
        .source = CLIP_SOURCE, .vocabulary = CLV_CATALOGUE_CLIP_VOCABULARY,                      \
    }
static const struct clv_catalogue_entry compiled_in[] = {
    CLIP_MODEL("clip-b32", "ViT-B/32", "ViT-B-32.pt", 353976522,
               "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    CLIP_MODEL("clip-b16", "ViT-B/16", "ViT-B-16.pt", 350837078,
               "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    CLIP_MODEL("clip-l14", "ViT-L/14", "ViT-L-14.pt", 932768134,
               "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    CLIP_MODEL("clip-l14-336", "ViT-L/14 at 336 pixels", "ViT-L-14-336px.pt", 934088680,
               "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
    {
        .name = CLV_CATALOGUE_CLIP_VOCABULARY,
        .description = "CLIP's byte-pair vocabulary",
        .url = CLIP_SOURCE "/raw/main/clip/bpe_simple_vocab_16e6.txt.gz",
        .file = "bpe_simple_vocab_16e6.txt.gz",
        .sha256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
        .size_bytes = 1356917,
        .licence = "MIT",
        .source = CLIP_SOURCE,
        .is_vocabulary = true,
    },
};
enum { COMPILED_IN = sizeof compiled_in / sizeof compiled_in[0] };

struct clv_catalogue {
    struct clv_catalogue_entry *entries;
    size_t count;
    char **strings; /* that the entries of the user's list point to */
    size_t string_count, string_capacity;
};

/* ---- names ---- */

static bool is_plain(const char *text, size_t size_max)
{
    size_t size = strlen(text);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    return size > 0 && size <= size_max && strchr(letters, text[0]) != NULL &&
           strspn(text + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size - 1;
}

bool clv_catalogue_is_name(const char *name)
{
    return is_plain(name, CLV_CATALOGUE_NAME_MAX) && !clv_model_is_mini(name);
}

bool clv_catalogue_is_file(const char *file)
{
    return is_plain(file, FILE_NAME_MAX);
}

/* ---- a user's list ---- */

/* Where an entry stands, for messages: its name, or its number while it has none. */
struct place {
    const char *path;
    const char *name;
    size_t number;
};

static int fail_entry(const struct place *place, const char *key, const char *what)
{
    if (place->name != NULL)
        return clv_fail(CLV_ECORRUPT, "'%s': the \"%s\" of the model '%s' %s", place->path, key,
                        place->name, what);
    return clv_fail(CLV_ECORRUPT, "'%s': the \"%s\" of entry %zu %s", place->path, key,
                    place->number, what);
}

/* A copy that lives as long as the catalogue; NULL when out of memory. */
static char *keep(struct clv_catalogue *catalogue, const char *text)
{
    if (catalogue->string_count == catalogue->string_capacity) {
        size_t capacity = catalogue->string_capacity * 2 + 32;
        char **strings = realloc(catalogue->strings, capacity * sizeof *strings);
        if (strings == NULL)
            return NULL;
        catalogue->strings = strings;
        catalogue->string_capacity = capacity;
    }
    char *copy = strdup(text);
    if (copy != NULL)
        catalogue->strings[catalogue->string_count++] = copy;
    return copy;
}

/* The text of `key`, `fallback` where it is missing or null (NULL: it must be there). */
static int take_text(struct clv_catalogue *catalogue, const char **out,
                     const struct clv_json *object, const char *key, const char *fallback,
                     const struct place *place)
{
    const struct clv_json *value = clv_json_get(object, key);
    size_t size = 0;
    const char *text = clv_json_string(value, &size, NULL);
    enum clv_json_kind kind = clv_json_kind(value);
    if ((kind == CLV_JSON_NONE || kind == CLV_JSON_NULL) && fallback != NULL) {
        *out = fallback;
        return CLV_OK;
    }
    if (kind == CLV_JSON_NONE)
        return fail_entry(place, key, "is missing");
    if (text == NULL)
        return fail_entry(place, key, "is no text");
    if (strlen(text) != size)
        return fail_entry(place, key, "has a zero byte in it");
    *out = keep(catalogue, text);
    return *out == NULL ? clv_fail_memory("the list of models") : CLV_OK;
}

static int take_identity(struct clv_catalogue *catalogue, struct clv_catalogue_entry *entry,
                         const struct clv_json *object, struct place *place)
{
    const char *type = NULL;
    int status = take_text(catalogue, &entry->name, object, "name", NULL, place);
    if (status != CLV_OK)
        return status;
    if (clv_model_is_mini(entry->name))
        return fail_entry(place, "name", "is that of the built-in model");
    if (!clv_catalogue_is_name(entry->name))
        return fail_entry(place, "name",
                          "is not 1 to 64 letters, digits, dots, dashes and underscores");
    place->name = entry->name;
    status = take_text(catalogue, &type, object, "type", "model", place);
    if (status != CLV_OK)
        return status;
    entry->is_vocabulary = strcmp(type, "vocabulary") == 0;
    if (!entry->is_vocabulary && strcmp(type, "model") != 0)
        return fail_entry(place, "type", "is neither \"model\" nor \"vocabulary\"");
    return CLV_OK;
}

/* The last part of an address, without what follows '?' or '#'. */
static const char *file_of(struct clv_catalogue *catalogue, const char *url)
{
    char file[FILE_NAME_MAX + 1];
    size_t size = strcspn(url, "?#");
    const char *end = url + size;
    const char *begin = end;
    while (begin > url && begin[-1] != '/')
        begin--;
    if ((size_t)(end - begin) >= sizeof file)
        return "";
    snprintf(file, sizeof file, "%.*s", (int)(end - begin), begin);
    const char *kept = keep(catalogue, file);
    return kept == NULL ? "" : kept;
}

static int take_origin(struct clv_catalogue *catalogue, struct clv_catalogue_entry *entry,
                       const struct clv_json *object, const struct place *place)
{
    uint8_t digest[CLV_DIGEST_BYTES];
    int status = take_text(catalogue, &entry->url, object, "url", NULL, place);
    if (status != CLV_OK)
        return status;
    if (strncasecmp(entry->url, "https://", 8) != 0 && strncasecmp(entry->url, "http://", 7) != 0)
        return fail_entry(place, "url", "is no http or https address");
    status = take_text(catalogue, &entry->file, object, "file", "", place);
    if (status != CLV_OK)
        return status;
    if (entry->file[0] == '\0')
        entry->file = file_of(catalogue, entry->url);
    if (!clv_catalogue_is_file(entry->file))
        return fail_entry(place, "file",
                          "(or the end of its \"url\") is not letters, digits, dots, dashes and "
                          "underscores");
    status = take_text(catalogue, &entry->sha256, object, "sha256", NULL, place);
    if (status != CLV_OK)
        return status;
    if (clv_digest_parse(digest, entry->sha256) != CLV_OK)
        return fail_entry(place, "sha256", "is not 64 hexadecimal digits");
    return CLV_OK;
}

static int take_rest(struct clv_catalogue *catalogue, struct clv_catalogue_entry *entry,
                     const struct clv_json *object, const struct place *place)
{
    const struct clv_json *size = clv_json_get(object, "size_bytes");
    enum clv_json_kind kind = clv_json_kind(size);
    entry->size_bytes = clv_json_integer(size, kind == CLV_JSON_INTEGER ? -1 : 0);
    if ((kind != CLV_JSON_NONE && kind != CLV_JSON_NULL && kind != CLV_JSON_INTEGER) ||
        entry->size_bytes < 0)
        return fail_entry(place, "size_bytes", "is no number of bytes");
    int status = take_text(catalogue, &entry->description, object, "description", "", place);
    if (status == CLV_OK)
        status = take_text(catalogue, &entry->licence, object, "licence", "", place);
    if (status == CLV_OK)
        status = take_text(catalogue, &entry->source, object, "source", "", place);
    if (status == CLV_OK)
        status = take_text(catalogue, &entry->vocabulary, object, "vocabulary", "", place);
    if (status == CLV_OK && entry->vocabulary[0] == '\0')
        entry->vocabulary = NULL;
    return status;
}

static int put_entry(struct clv_catalogue *catalogue, const struct clv_catalogue_entry *entry)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        if (strcmp(catalogue->entries[i].name, entry->name) == 0) {
            catalogue->entries[i] = *entry;
            return CLV_OK;
        }
    }
    struct clv_catalogue_entry *entries =
        realloc(catalogue->entries, (catalogue->count + 1) * sizeof *entries);
    if (entries == NULL)
        return clv_fail_memory("the list of models");
    entries[catalogue->count++] = *entry;
    catalogue->entries = entries;
    return CLV_OK;
}

static int take_entry(struct clv_catalogue *catalogue, const struct clv_json *object,
                      const char *path, size_t number)
{
    struct clv_catalogue_entry entry = {0};
    struct place place = {.path = path, .number = number};
    if (clv_json_kind(object) != CLV_JSON_OBJECT)
        return clv_fail(CLV_ECORRUPT, "'%s': entry %zu is no object", path, number);
    const char *type = clv_json_string(clv_json_get(object, "type"), NULL, "");
    if (strcmp(type, CLV_CATALOGUE_BUILT_IN) == 0)
        return CLV_OK;
    int status = take_identity(catalogue, &entry, object, &place);
    if (status == CLV_OK)
        status = take_origin(catalogue, &entry, object, &place);
    if (status == CLV_OK)
        status = take_rest(catalogue, &entry, object, &place);
    return status == CLV_OK ? put_entry(catalogue, &entry) : status;
}

static int take_array(struct clv_catalogue *catalogue, const char *text, size_t size,
                      const char *path)
{
    struct clv_json *array = NULL;
    int status = clv_json_parse(&array, text, size, path);
    for (size_t i = 0; status == CLV_OK && i < clv_json_count(array); i++)
        status = take_entry(catalogue, clv_json_at(array, i), path, i + 1);
    clv_json_free(array);
    return status;
}

/* As `model list --json` prints them: one object a line. */
static int take_lines(struct clv_catalogue *catalogue, const char *text, size_t size,
                      const char *path)
{
    const char *end = text + size;
    int status = CLV_OK;
    for (size_t number = 1; status == CLV_OK && text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline == NULL ? end : newline;
        struct clv_json *object = NULL;
        size_t blank = 0;
        while (blank < (size_t)(stop - text) && strchr(" \t\r", text[blank]) != NULL)
            blank++;
        if (blank < (size_t)(stop - text)) {
            status = clv_json_parse(&object, text, (size_t)(stop - text), path);
            if (status == CLV_OK)
                status = take_entry(catalogue, object, path, number);
        }
        clv_json_free(object);
        text = newline == NULL ? end : newline + 1;
    }
    return status;
}

static int check_vocabularies(const struct clv_catalogue *catalogue, const char *path)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct clv_catalogue_entry *entry = &catalogue->entries[i];
        const struct clv_catalogue_entry *vocabulary =
            entry->vocabulary == NULL ? NULL : clv_catalogue_find(catalogue, entry->vocabulary);
        if (entry->vocabulary != NULL && (vocabulary == NULL || !vocabulary->is_vocabulary))
            return clv_fail(CLV_ECORRUPT,
                            "'%s': the vocabulary '%s' of the model '%s' is not in "
                            "the list",
                            path, entry->vocabulary, entry->name);
    }
    return CLV_OK;
}

static int read_list(struct clv_catalogue *catalogue, const char *path)
{
    struct clv_map map;
    int status = clv_map_open(&map, path);
    if (status != CLV_OK)
        return status;
    const char *text = (const char *)map.data;
    size_t blank = 0;
    while (blank < map.size_bytes && strchr(" \t\r\n", text[blank]) != NULL)
        blank++;
    if (map.size_bytes > FILE_MAX_BYTES)
        status = clv_fail(CLV_ECORRUPT, "'%s' is too long for a list of models: %zu bytes, not %zu",
                          path, map.size_bytes, FILE_MAX_BYTES);
    else if (blank < map.size_bytes && text[blank] == '[')
        status = take_array(catalogue, text, map.size_bytes, path);
    else
        status = take_lines(catalogue, text, map.size_bytes, path);
    clv_map_release(&map);
    return status == CLV_OK ? check_vocabularies(catalogue, path) : status;
}

/* ---- the catalogue ---- */

int clv_catalogue_open(struct clv_catalogue **out, const char *path)
{
    *out = NULL;
    struct clv_catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (catalogue == NULL)
        return clv_fail_memory("the list of models");
    int status = CLV_OK;
    for (size_t i = 0; status == CLV_OK && i < COMPILED_IN; i++)
        status = put_entry(catalogue, &compiled_in[i]);
    if (status == CLV_OK && path != NULL)
        status = read_list(catalogue, path);
    if (status != CLV_OK) {
        clv_catalogue_close(catalogue);
        return status;
    }
    *out = catalogue;
    return CLV_OK;
}

void clv_catalogue_close(struct clv_catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    for (size_t i = 0; i < catalogue->string_count; i++)
        free(catalogue->strings[i]);
    free(catalogue->strings);
    free(catalogue->entries);
    free(catalogue);
}

size_t clv_catalogue_count(const struct clv_catalogue *catalogue)
{
    return catalogue->count;
}

const struct clv_catalogue_entry *clv_catalogue_at(const struct clv_catalogue *catalogue,
                                                   size_t index)
{
    return &catalogue->entries[index];
}

const struct clv_catalogue_entry *clv_catalogue_find(const struct clv_catalogue *catalogue,
                                                     const char *name)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        if (strcmp(catalogue->entries[i].name, name) == 0)
            return &catalogue->entries[i];
    }
    return NULL;
}
