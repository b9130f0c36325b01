#include "indexer/known.h"

#include "core/error.h"
#include "core/file.h"

#include <stdlib.h>
#include <string.h>

struct clv_known {
    struct clv_known_video **videos; /* of the catalog, in order of path */
    size_t count, capacity;
    struct clv_known_video *added; /* of this run, a list over `next_added` */
    struct clv_known_video **by_digest;
    size_t bucket_count;
    int64_t *sizes; /* ascending */
    const char *settings;
};

/* A known video with the strings it owns behind it. */
struct entry {
    struct clv_known_video video; /* first, so that the two are one address */
    struct entry *next_added;
    char text[]; /* path NUL error NUL */
};

static struct entry *new_entry(const char *path, const char *error)
{
    size_t path_size = strlen(path) + 1, error_size = strlen(error) + 1;
    struct entry *entry = calloc(1, sizeof *entry + path_size + error_size);
    if (!entry) {
        clv_fail_memory("the known videos");
        return NULL;
    }
    memcpy(entry->text, path, path_size);
    memcpy(entry->text + path_size, error, error_size);
    entry->video.path = entry->text;
    entry->video.error = entry->text + path_size;
    return entry;
}

static int add_row(const struct clv_video_row *row, void *payload)
{
    struct clv_known *known = payload;
    if (known->count == known->capacity) {
        size_t capacity = known->capacity ? known->capacity * 2 : 64;
        struct clv_known_video **grown =
            realloc(known->videos, capacity * sizeof(struct clv_known_video *));
        if (!grown)
            return clv_fail_memory("the known videos");
        known->videos = grown;
        known->capacity = capacity;
    }
    struct entry *entry = new_entry(row->path, row->error);
    if (!entry)
        return CLV_ENOMEM;
    struct clv_known_video *video = &entry->video;
    video->id = row->id;
    memcpy(video->digest, row->digest, CLV_DIGEST_BYTES);
    video->size_bytes = row->size_bytes;
    video->modified_ns = row->modified_ns;
    video->status = row->status;
    video->is_current = row->segment_count > 0 && strcmp(row->settings, known->settings) == 0;
    known->videos[known->count++] = video;
    return CLV_OK;
}

static int compare_paths(const void *a, const void *b)
{
    const struct clv_known_video *const *left = a, *const *right = b;
    return strcmp((*left)->path, (*right)->path);
}

static int compare_sizes(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static struct clv_known_video **bucket_of(const struct clv_known *known, const uint8_t *digest)
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    return &known->by_digest[hash % known->bucket_count];
}

static void link_digest(struct clv_known *known, struct clv_known_video *video)
{
    struct clv_known_video **bucket = bucket_of(known, video->digest);
    while (*bucket) /* at the end, so that the first of a content comes first */
        bucket = &(*bucket)->next;
    *bucket = video;
}

/* Of a file that could not even be read whole. */
static bool has_digest(const struct clv_known_video *video)
{
    static const uint8_t none[CLV_DIGEST_BYTES];
    return memcmp(video->digest, none, CLV_DIGEST_BYTES) != 0;
}

/* Orders what was loaded, and makes it findable by digest and by size. */
static int index_videos(struct clv_known *known)
{
    known->bucket_count = 2 * known->count + 1021;
    known->by_digest = calloc(known->bucket_count, sizeof(struct clv_known_video *));
    known->sizes = calloc(known->count + 1, sizeof *known->sizes);
    if (!known->by_digest || !known->sizes)
        return clv_fail_memory("the known videos");
    if (known->count > 0)
        qsort(known->videos, known->count, sizeof(struct clv_known_video *), compare_paths);
    for (size_t i = 0; i < known->count; i++) {
        known->sizes[i] = known->videos[i]->size_bytes;
        if (has_digest(known->videos[i]))
            link_digest(known, known->videos[i]);
    }
    qsort(known->sizes, known->count, sizeof *known->sizes, compare_sizes);
    return CLV_OK;
}

int clv_known_load(struct clv_known **out, struct clv_store *store, int64_t model_id,
                   const char *settings)
{
    struct clv_known *known = *out = calloc(1, sizeof *known);
    if (!known)
        return clv_fail_memory("the known videos");
    known->settings = settings;
    int status = clv_store_videos(store, NULL, model_id, add_row, known);
    if (status == CLV_OK)
        status = index_videos(known);
    if (status != CLV_OK) {
        clv_known_free(known);
        *out = NULL;
    }
    return status;
}

void clv_known_free(struct clv_known *known)
{
    if (!known)
        return;
    for (size_t i = 0; i < known->count; i++)
        free(known->videos[i]);
    for (struct entry *entry = (struct entry *)known->added; entry;) {
        struct entry *next = entry->next_added;
        free(entry);
        entry = next;
    }
    free(known->videos);
    free(known->by_digest);
    free(known->sizes);
    free(known);
}

size_t clv_known_count(const struct clv_known *known)
{
    return known->count;
}

struct clv_known_video *clv_known_at(const struct clv_known *known, size_t index)
{
    return known->videos[index];
}

struct clv_known_video *clv_known_find(const struct clv_known *known, const char *path)
{
    struct clv_known_video wanted = {.path = path};
    const struct clv_known_video *key = &wanted;
    struct clv_known_video **found = known->count == 0
                                         ? NULL
                                         : bsearch(&key, known->videos, known->count,
                                                   sizeof(struct clv_known_video *), compare_paths);
    return found ? *found : NULL;
}

bool clv_known_has_size(const struct clv_known *known, int64_t size_bytes)
{
    return bsearch(&size_bytes, known->sizes, known->count, sizeof *known->sizes, compare_sizes) !=
           NULL;
}

enum clv_outlook clv_known_outlook(const struct clv_known_video *video, int64_t size_bytes,
                                   int64_t modified_ns, const struct clv_known_rules *rules)
{
    if (!video || rules->force || video->size_bytes != size_bytes ||
        video->modified_ns != modified_ns)
        return CLV_OUTLOOK_READ;
    if (video->status == CLV_VIDEO_INDEXED && video->is_current)
        return CLV_OUTLOOK_UNCHANGED;
    /* Without a digest it was the disk or the permissions that failed, not the file. */
    if (video->status == CLV_VIDEO_FAILED && !rules->retry_failed && has_digest(video))
        return CLV_OUTLOOK_FAILED;
    return CLV_OUTLOOK_READ;
}

/* Only a definite "no such file" counts: a disk that is not mounted or may not be read does not. */
static bool is_gone(const char *path)
{
    struct clv_file_facts facts;
    return clv_file_facts(&facts, path) == CLV_ENOTFOUND;
}

static int add_file(struct clv_known *known, const char *path, const uint8_t *digest)
{
    struct entry *entry = new_entry(path, "");
    if (!entry)
        return CLV_ENOMEM;
    memcpy(entry->video.digest, digest, CLV_DIGEST_BYTES);
    entry->video.is_current = true;
    entry->next_added = (struct entry *)known->added;
    known->added = &entry->video;
    link_digest(known, &entry->video);
    return CLV_OK;
}

/* The best source of what is wanted among other videos with this content: one that moved here, or
 * one to copy from. */
static void find_sources(const struct clv_known *known, const char *path, const uint8_t *digest,
                         const struct clv_known_rules *rules, struct clv_known_video **gone_out,
                         struct clv_known_video **copy_out)
{
    *gone_out = *copy_out = NULL;
    for (struct clv_known_video *video = *bucket_of(known, digest); video; video = video->next) {
        if (memcmp(video->digest, digest, CLV_DIGEST_BYTES) != 0 ||
            video->status == CLV_VIDEO_FAILED || video->is_moved || strcmp(video->path, path) == 0)
            continue;
        bool may_move = video->id != 0 && is_gone(video->path);
        if (may_move && (!*gone_out || (video->is_current && !(*gone_out)->is_current)))
            *gone_out = video;
        if (!*copy_out && video->is_current && !rules->no_copy && (!rules->force || !video->id))
            *copy_out = video;
    }
}

int clv_known_decide(struct clv_verdict *out, struct clv_known *known, const char *path,
                     const uint8_t digest[CLV_DIGEST_BYTES], const struct clv_known_rules *rules)
{
    struct clv_known_video *here = clv_known_find(known, path), *gone, *copy;
    bool is_same = here && memcmp(here->digest, digest, CLV_DIGEST_BYTES) == 0;
    *out = (struct clv_verdict){.kind = CLV_VERDICT_INDEX, .error = ""};
    if (is_same && !rules->force && here->status != CLV_VIDEO_FAILED && here->is_current) {
        out->kind = CLV_VERDICT_TOUCH;
        return CLV_OK;
    }
    if (is_same && !rules->force && here->status == CLV_VIDEO_FAILED && !rules->retry_failed) {
        out->kind = CLV_VERDICT_FAIL;
        out->error = here->error;
        return CLV_OK;
    }
    find_sources(known, path, digest, rules, &gone, &copy);
    if (gone && !here) {
        out->from_id = gone->id;
        out->from_path = gone->path;
        gone->is_moved = true;
        if (gone->is_current && !rules->force)
            out->kind = CLV_VERDICT_MOVE;
    } else if (copy) {
        out->kind = CLV_VERDICT_COPY;
        out->from_path = copy->path;
    }
    return add_file(known, path, digest);
}
