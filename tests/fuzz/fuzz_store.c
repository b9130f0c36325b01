/* Opens databases whose catalog and vector index were tampered with: any outcome but a crash or a
 * hang is fine.
 *
 * Input: records of five bytes, each an edit: byte 0 chooses (bit 0: catalog or index file; bits 1
 * and 2: set, flip, cut off, or zero a run), bytes 1 to 3 say where (little-endian, modulo the
 * size), byte 4 is the value. */
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "storage/store.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 8, RECORD = 5, EDIT_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
    char path[512];
    unsigned char *data; /* as made, never edited */
    size_t size;
};

static char directory[256];
static struct file catalog, vectors;

static void remove_all(void)
{
    DIR *entries = opendir(directory);
    struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    if (entries)
        closedir(entries);
}

static void leave(void)
{
    remove_all();
    rmdir(directory);
    free(catalog.data);
    free(vectors.data);
}

static void require(int status)
{
    if (status != CLV_OK) {
        fprintf(stderr, "fuzz_store: %s\n", clv_error_message());
        abort();
    }
}

static void read_file(struct file *file)
{
    struct clv_map map;
    require(clv_map_open(&map, file->path));
    file->data = malloc(map.size_bytes);
    memcpy(file->data, map.data, map.size_bytes);
    file->size = map.size_bytes;
    clv_map_release(&map);
}

/* A small database with two videos, its index, a prompt and a result. */
static void make_template(void)
{
    const char *base = getenv("TMPDIR");
    struct clv_store *store = NULL;
    struct clv_store_options options = {.create = true};
    struct clv_model_row model = {.name = "m", .dim = DIM, .frame_count = 2};
    struct clv_segment segments[12];
    float vector[12][DIM] = {{0}};
    snprintf(directory, sizeof directory, "%s/claverdb-fuzz-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(directory))
        abort();
    atexit(leave);
    require(clv_store_open(&store, directory, &options));
    require(clv_store_model_put(store, &model));
    for (int i = 0; i < 12; i++) {
        vector[i][i % DIM] = 1;
        segments[i] = (struct clv_segment){i, i + 2, i / 4, 1, vector[i]};
    }
    for (int i = 0; i < 2; i++) {
        struct clv_video_row video = {
            .path = i ? "/a.mp4" : "/b.mp4", .timebase = {1, 25}, .duration_ticks = 14};
        require(clv_store_video_put(store, &video, model.id, segments, 12));
    }
    struct clv_moment_row moment = {.path = (char *)"/a.mp4", .end_ms = 1};
    require(clv_store_prompt_put(store, model.id, "x", vector[0], DIM));
    require(clv_store_result_put(store, "x", model.id, &moment, 1));
    require(clv_store_refresh(store, NULL));
    clv_store_close(store);
    DIR *entries = opendir(directory);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        if (strncmp(entry->d_name, "vectors-", 8) == 0)
            snprintf(vectors.path, sizeof vectors.path, "%s/%s", directory, entry->d_name);
    if (entries)
        closedir(entries);
    snprintf(catalog.path, sizeof catalog.path, "%s/catalog.sqlite", directory);
    read_file(&catalog);
    read_file(&vectors);
}

/* Writes the template with the edits that are for this file. */
static void write_edited(const struct file *file, int which, const uint8_t *data, size_t size)
{
    size_t length = file->size;
    unsigned char *copy = malloc(length);
    memcpy(copy, file->data, length);
    for (size_t i = 0; i + RECORD <= size && i < EDIT_MAX * RECORD; i += RECORD) {
        size_t at = (data[i + 1] | (size_t)data[i + 2] << 8 | (size_t)data[i + 3] << 16);
        if ((data[i] & 1) != which || length == 0)
            continue;
        at %= length;
        size_t run = (size_t)data[i + 4] * 8 < length - at ? (size_t)data[i + 4] * 8 : length - at;
        switch (data[i] >> 1 & 3) {
        case 0:
            copy[at] = data[i + 4];
            break;
        case 1:
            copy[at] ^= (unsigned char)(1u << (data[i + 4] & 7));
            break;
        case 2:
            length = at;
            break;
        default:
            memset(copy + at, 0, run);
        }
    }
    FILE *out = fopen(file->path, "wb");
    if (!out || fwrite(copy, 1, length, out) != length || fclose(out) != 0)
        abort();
    free(copy);
}

static int see_video(const struct clv_video_row *row, void *payload)
{
    (void)row;
    ++*(int *)payload;
    return 0;
}

static int see_segment(const struct clv_hit *segment, const float *vector, void *payload)
{
    (void)segment;
    *(int *)payload += vector[DIM - 1] != 0;
    return 0;
}

static int see_model(const struct clv_model_row *row, void *payload)
{
    *(int *)payload += row->dim;
    return 0;
}

static void use(struct clv_store *store)
{
    /* Room for whatever the model is now said to be: the query's length is read from there. */
    static float vector[CLV_STORE_DIM_MAX] = {1};
    struct clv_search_filter filter = {.glob = "*.mp4", .to_ms = 300};
    struct clv_store_status status;
    struct clv_hit hits[5];
    struct clv_moment_row *moments = NULL;
    char *query = NULL;
    int count = 0;
    int64_t problems = 0;
    clv_store_check(store, &problems, NULL, NULL);
    clv_store_status(store, &status);
    clv_store_models(store, see_model, &count);
    clv_store_videos(store, "a*", 1, see_video, &count);
    clv_store_search(store, hits, &count, 1, vector, 5, NULL);
    clv_store_search(store, hits, &count, 1, vector, 5, &filter);
    clv_store_sample_scores(store, &(float){0}, &count, 1, vector, 1);
    if (clv_store_result_last(store, &query, &moments, &count) == CLV_OK) {
        clv_moment_rows_free(moments, count);
        free(query);
    }
    clv_store_prompt_get(store, vector, 1, "x", DIM);
    clv_store_video_touch(store, 1, 1, 1);
    clv_store_video_forget(store, 2);
    clv_store_refresh(store, NULL);
    clv_store_search(store, hits, &count, 1, vector, 5, NULL);
    struct clv_model_row model = {.dim = DIM, .frame_count = 2};
    if (clv_store_model_put(store, &model) == CLV_OK)
        clv_store_segments(store, 1, model.id, see_segment, &count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!directory[0])
        make_template();
    struct clv_store *store = NULL;
    remove_all();
    write_edited(&catalog, 0, data, size);
    write_edited(&vectors, 1, data, size);
    for (int i = 0; i < 2; i++) {
        struct clv_store_options options = {.read_only = i == 0};
        if (clv_store_open(&store, directory, &options) == CLV_OK)
            use(store);
        clv_store_close(store);
    }
    return 0;
}
