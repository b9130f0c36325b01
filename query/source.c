#include "query/source.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "core/media/reader.h"
#include "core/time.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The file's size and time of change are those the store has for this content. */
static bool is_known(const char *path, const struct clv_file_facts *facts,
                     const struct clv_moment_row *moment, struct clv_store *store)
{
    struct clv_video_row row;
    if (!store || clv_store_video_by_path(store, &row, path, 0) != CLV_OK)
        return false;
    bool known = row.size_bytes == facts->size_bytes && row.modified_ns == facts->modified_ns &&
                 memcmp(row.digest, moment->video_digest, sizeof row.digest) == 0;
    clv_video_row_release(&row);
    return known;
}

static int check_content(const char *path, const struct clv_moment_row *moment,
                         struct clv_store *store, struct clv_cancel *cancel)
{
    static const uint8_t none[CLV_DIGEST_BYTES];
    uint8_t digest[CLV_DIGEST_BYTES];
    struct clv_file_facts facts;
    int status = clv_file_facts(&facts, path);
    if (status != CLV_OK)
        return status;
    if (facts.is_directory)
        return clv_fail(CLV_EINVAL, "'%s' is a folder now", path);
    if (memcmp(moment->video_digest, none, sizeof none) == 0 ||
        is_known(path, &facts, moment, store))
        return CLV_OK;
    status = clv_digest_file(digest, path, cancel);
    if (status != CLV_OK)
        return status;
    if (memcmp(digest, moment->video_digest, sizeof digest) != 0)
        return clv_fail(CLV_EINVAL,
                        "'%s' has changed since it was searched; index it and search again", path);
    return CLV_OK;
}

/* Looks for another file the store knows with the same content. */
struct moved {
    const uint8_t *digest;
    char *path;
};

static int is_moved(const struct clv_video_row *row, void *payload)
{
    struct moved *moved = payload;
    if (memcmp(row->digest, moved->digest, CLV_DIGEST_BYTES) != 0 || !clv_file_exists(row->path))
        return CLV_OK;
    moved->path = strdup(row->path);
    return CLV_DONE;
}

static int find_moved(char **path_out, const struct clv_moment_row *moment, struct clv_store *store)
{
    struct moved moved = {.digest = moment->video_digest};
    if (store)
        (void)clv_store_videos(store, NULL, 0, is_moved, &moved);
    *path_out = moved.path;
    if (!moved.path)
        return clv_fail(CLV_ENOTFOUND, "'%s' is no longer there", moment->path);
    return CLV_OK;
}

static int measure(struct clv_source *source, struct clv_cancel *cancel)
{
    struct clv_reader *reader;
    struct clv_reader_options options = {.thread_count = 1, .cancel = cancel};
    int status = clv_reader_open(&reader, source->path, &options);
    if (status != CLV_OK)
        return status;
    const struct clv_media_info *info = clv_reader_info(reader);
    source->duration_ms =
        clv_time_rescale(info->duration_ticks, info->timebase, (struct clv_timebase){1, 1000});
    clv_reader_close(reader);
    return CLV_OK;
}

int clv_source_find(struct clv_source *out, const struct clv_moment_row *moment,
                    struct clv_store *store, struct clv_cancel *cancel)
{
    *out = (struct clv_source){0};
    int status = CLV_OK;
    if (clv_file_exists(moment->path)) {
        out->path = strdup(moment->path);
        if (!out->path)
            return clv_fail_memory("a path");
    } else
        status = find_moved(&out->path, moment, store);
    if (status == CLV_OK)
        status = check_content(out->path, moment, store, cancel);
    if (status == CLV_OK)
        status = measure(out, cancel);
    if (status != CLV_OK)
        clv_source_release(out);
    return status;
}

void clv_source_release(struct clv_source *source)
{
    free(source->path);
    *source = (struct clv_source){0};
}
