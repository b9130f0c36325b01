/* Indexing when memory, the disk or SQLite's memory gives out, on whichever thread: nothing crashes
 * or hangs, the database is sound, and the next run completes it. */
#include "indexer/ingest.h"

#include "core/error.h"
#include "core/model/model.h"
#include "tests/fault/fault.h"
#include "tests/model/random_model.h"
#include "tests/t.h"
#include "tests/unit/clips.h"
#include "tests/unit/store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { T = 2, FILES = 4 };

struct world {
    struct clv_device *device;
    struct clv_model model;
    struct clv_encoder *encoder;
    const char *directory; /* of the database */
    const char *footage;
    struct clv_ingest_progress totals;
    int64_t segment_count; /* of a whole run */
    int reader_count;
    enum clv_batching batching;
};

static struct world world;

static int wipe(void *payload)
{
    struct world *w = payload;
    DIR *handle = opendir(w->directory);
    struct dirent *entry;
    while (handle && (entry = readdir(handle)))
        (void)unlinkat(dirfd(handle), entry->d_name, 0);
    if (handle)
        closedir(handle);
    (void)rmdir(w->directory);
    return CLV_OK;
}

static int index_footage(void *payload)
{
    struct world *w = payload;
    struct clv_store *store = NULL;
    struct clv_store_options create = {.create = true};
    struct clv_ingest_options options = {.length_ms = 400,
                                         .stride_ms = 200,
                                         .reader_count = w->reader_count,
                                         .decode_threads = 1,
                                         .batching = w->batching};
    struct clv_model_row row = {
        .name = "m", .path = "", .dim = w->model.config.embed_dim, .frame_count = T};
    w->totals = (struct clv_ingest_progress){0};
    int status = clv_store_open(&store, w->directory, &create);
    if (status == CLV_OK)
        status = clv_store_model_put(store, &row);
    if (status == CLV_OK)
        status = clv_ingest_paths(&w->totals, store, w->encoder, row.id, &w->footage, 1, &options,
                                  NULL, NULL);
    clv_store_close(store);
    return status;
}

static int64_t stored_segments(const struct world *w)
{
    struct clv_store *store = NULL;
    struct clv_store_status status = {0};
    CHECK_OK(clv_store_open(&store, w->directory, &(struct clv_store_options){0}));
    if (!store)
        return -1;
    CHECK_INT(fixture_problems(store, true), 0);
    CHECK_OK(clv_store_status(store, &status));
    clv_store_close(store);
    return status.segment_count;
}

/* One of the files is no video. */
static void check_whole(struct world *w)
{
    CHECK_INT(w->totals.indexed_count + w->totals.unchanged_count, FILES - 1);
    CHECK_INT(w->totals.failed_count, 1);
    CHECK_INT(stored_segments(w), w->segment_count);
}

static void check(void *payload, int status)
{
    struct world *w = payload;
    const struct clv_ingest_progress *totals = &w->totals;
    CHECK(status != CLV_ECANCELED);
    /* A file met the fault: listed, not lost. */
    if (status == CLV_OK)
        CHECK_INT(totals->indexed_count + totals->failed_count, FILES);
    if (access(t_path(w->directory, "catalog.sqlite"), F_OK) == 0 && status == CLV_OK)
        CHECK(stored_segments(w) <= w->segment_count);
    CHECK_OK(index_footage(w));
    check_whole(w);
}

static void indexing_survives(int kinds, long every)
{
    fault_each(&(struct fault_case){.name = "index",
                                    .kinds = kinds,
                                    .prepare = wipe,
                                    .operate = index_footage,
                                    .check = check,
                                    .payload = &world,
                                    .every = every});
}

static void indexing_survives_lost_memory(void)
{
    indexing_survives(FAULT_MEMORY, 60);
}

static void indexing_survives_a_failing_disk(void)
{
    indexing_survives(FAULT_FILES, 25);
}

static void indexing_survives_sqlites_lost_memory(void)
{
    indexing_survives(FAULT_SQLITE, 6);
}

/* The fault may meet any of the threads, at any moment. */
static void several_readers_survive(void)
{
    world.reader_count = 3;
    indexing_survives(FAULT_MEMORY, 30);
    indexing_survives(FAULT_FILES, 10);
    world.reader_count = 0;
}

static void shared_batches_survive(void)
{
    world.reader_count = 2;
    world.batching = CLV_BATCHING_SHARED;
    indexing_survives(FAULT_MEMORY, 30);
    indexing_survives(FAULT_FILES, 10);
    world.reader_count = 0;
    world.batching = CLV_BATCHING_DEVICE;
}

static int set_up(struct world *w)
{
    struct clv_model_config config;
    struct random_model_options random = {.seed = 4};
    struct clv_device_options device = {.kind = CLV_DEVICE_CPU, .thread_count = 1};
    struct clv_encoder_options encoder = {.no_text = true, .slot_count = 16, .window_batch_max = 4};
    const struct clip clip = {.width = 64, .height = 64, .frame_count = 30, .scene_length = 15};
    const struct clip other = {.width = 64, .height = 64, .frame_count = 5};
    const char *path = t_path(t_directory(), "model.safetensors");
    size_t size;
    w->directory = t_path(t_directory(), "database");
    w->footage = t_directory();
    const char *first = clip_write(w->footage, "a.mp4", &clip);
    clip_write(w->footage, "b.mp4", &other);
    uint8_t *data = clip_bytes(first, &size);
    clip_put(t_path(w->footage, "copy.mp4"), data, size);
    free(data);
    clip_put(t_path(w->footage, "no_video.mp4"), "words", 5);
    if (!random_model_arch(&config, "tiny", T, CLV_MASK_KMT, false))
        return CLV_EINVAL;
    int status = random_model_write(path, &config, &random);
    if (status == CLV_OK)
        status = clv_model_open(&w->model, path, &(struct clv_model_options){0});
    if (status == CLV_OK)
        status = clv_device_open(&w->device, &device);
    if (status == CLV_OK)
        status = clv_encoder_create(&w->encoder, w->device, w->model.weights, &w->model.config,
                                    &encoder);
    return status;
}

static void a_whole_run_is_whole(void)
{
    REQUIRE_OK(set_up(&world));
    REQUIRE_OK(index_footage(&world));
    world.segment_count = world.totals.segment_count;
    CHECK(world.segment_count > 5);
    check_whole(&world);
}

int main(void)
{
    fault_sqlite();
    T_RUN(a_whole_run_is_whole);
    if (!t_failed()) {
        T_RUN(indexing_survives_lost_memory);
        T_RUN(indexing_survives_a_failing_disk);
        T_RUN(indexing_survives_sqlites_lost_memory);
        T_RUN(several_readers_survive);
        T_RUN(shared_batches_survive);
    }
    clv_encoder_free(world.encoder);
    clv_model_release(&world.model);
    clv_device_close(world.device);
    return t_end();
}
