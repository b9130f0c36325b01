/* Indexing: how many times faster than real time, beside decoding alone (the limit), with the time
 * each stage was busy.
 *   bench_index [--arch NAME] [--runs N] [PATH…]
 * A random vit-b-32 with T = 8 where no other is named; clips made up here where no path is. */
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/media/reader.h"
#include "core/media/writer.h"
#include "core/model/encoder.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "indexer/ingest.h"
#include "indexer/scan.h"
#include "storage/store.h"
#include "tests/bench/bench.h"
#include "tests/model/random_model.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 8, CLIPS = 3, CLIP_FRAMES = 500, PEAK_SIDE = 2048 };

static char directory[] = "/tmp/bench_index.XXXXXX";

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static void remove_all(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void check(int status)
{
    if (status == CLV_OK)
        return;
    fprintf(stderr, "bench_index: %s\n", clv_error_message());
    remove_all(directory);
    exit(1);
}

static void path_in(char out[4096], const char *name)
{
    snprintf(out, 4096, "%s/%s", directory, name);
}

/* A moving texture, so that there is something to decode. */
static void paint(struct clv_image *image, int clip, int frame)
{
    for (int y = 0; y < image->height; y++) {
        uint8_t *row = image->pixels + (size_t)y * image->stride_bytes;
        for (int x = 0; x < image->width; x++) {
            unsigned a = (unsigned)(x + 3 * frame), b = (unsigned)(y + 2 * clip * frame);
            unsigned noise = ((a >> 2) * 2654435761u ^ (b >> 2) * 40503u) >> 24;
            row[3 * x] = (uint8_t)(128 + noise / 4);
            row[3 * x + 1] = (uint8_t)((a + b) / 4);
            row[3 * x + 2] = (uint8_t)(40 * clip + (int)noise / 8);
        }
    }
}

static void make_clips(const char *folder)
{
    struct clv_image image;
    check(clv_directory_create(folder));
    check(clv_image_create(&image, 1280, 720));
    for (int clip = 0; clip < CLIPS; clip++) {
        struct clv_writer *writer = NULL;
        struct clv_writer_options options = {.width = 1280, .height = 720, .frame_time = {1, 25}};
        char path[4200];
        snprintf(path, sizeof path, "%s/%d.mp4", folder, clip);
        check(clv_writer_open(&writer, path, &options));
        for (int frame = 0; frame < CLIP_FRAMES; frame++) {
            paint(&image, clip, frame);
            check(clv_writer_add(writer, &image));
        }
        check(clv_writer_finish(writer));
    }
    clv_image_release(&image);
}

/* Every frame of every file that can be read, with cut detection, without pictures. Returns the
 * seconds of footage. */
static double decode_all(const struct clv_scan *scan)
{
    double footage_s = 0;
    for (int i = 0; i < scan->count; i++) {
        struct clv_reader *reader = NULL;
        struct clv_reader_options options = {.detect_cuts = true};
        struct clv_frame frame;
        int64_t first = 0, end = 0;
        bool has_first = false;
        if (clv_reader_open(&reader, scan->files[i].path, &options) != CLV_OK)
            continue;
        while (clv_reader_next(reader, &frame) == CLV_OK) {
            first = has_first ? first : frame.time_ticks;
            has_first = true;
            end = frame.end_ticks;
        }
        footage_s += clv_time_seconds(end - first, clv_reader_info(reader)->timebase);
        clv_reader_close(reader);
    }
    return footage_s;
}

static double bench_decode(const struct clv_scan *scan, int runs)
{
    struct bench bench;
    double footage_s = 0;
    bench_begin(&bench, "index", "decode alone");
    for (int i = 0; i < runs; i++) {
        double begun = clv_clock_seconds();
        footage_s = decode_all(scan);
        bench_sample(&bench, clv_clock_seconds() - begun);
    }
    double speed = footage_s / bench_min(&bench);
    bench_number(&bench, "files", scan->count);
    bench_number(&bench, "footage_s", footage_s);
    bench_number(&bench, "times_real_time", speed);
    bench_end(&bench);
    return speed;
}

static struct clv_ingest_progress index_once(struct clv_encoder *encoder, const char *const *paths,
                                             int path_count)
{
    struct clv_ingest_progress totals;
    struct clv_store *store = NULL;
    struct clv_store_options create = {.create = true};
    const struct clv_model_config *config = clv_encoder_config(encoder);
    struct clv_model_row row = {
        .name = "bench", .path = "", .dim = config->embed_dim, .frame_count = config->frame_count};
    struct clv_ingest_options options = {0};
    char path[4096];
    path_in(path, "db");
    remove_all(path);
    check(clv_store_open(&store, path, &create));
    check(clv_store_model_put(store, &row));
    check(
        clv_ingest_paths(&totals, store, encoder, row.id, paths, path_count, &options, NULL, NULL));
    clv_store_close(store);
    return totals;
}

static void bench_whole(struct clv_device *device, const struct clv_model *model, const char *arch,
                        const char *const *paths, int path_count, int runs, double decode_speed)
{
    struct bench bench;
    struct clv_model_facts facts;
    struct clv_encoder *encoder = NULL;
    struct clv_ingest_progress best = {0};
    /* As `claverdb index` makes it. */
    struct clv_encoder_options options = {
        .no_text = true, .slot_count = 4 * FRAMES + 8, .window_batch_max = 4};
    check(clv_encoder_create(&encoder, device, model->weights, &model->config, &options));
    check(clv_model_facts(&facts, model));
    double peak = bench_sgemm_peak(device, PEAK_SIDE);
    char name[64];
    snprintf(name, sizeof name, "%s T=%d", arch, FRAMES);
    bench_begin(&bench, "index", name);
    for (int i = 0; i < runs; i++) {
        struct clv_ingest_progress totals = index_once(encoder, paths, path_count);
        bench_sample(&bench, totals.elapsed_s);
        if (i == 0 || totals.elapsed_s < best.elapsed_s)
            best = totals;
    }
    double again = bench_sgemm_peak(device, PEAK_SIDE);
    double gmacs = (double)best.frame_count * facts.frame_gmacs +
                   (double)best.segment_count * facts.window_gmacs;
    double speed = (double)best.footage_ms / 1000 / best.elapsed_s;
    bench_number(&bench, "files", best.indexed_count);
    bench_number(&bench, "failed", best.failed_count);
    bench_number(&bench, "segments", (double)best.segment_count);
    bench_number(&bench, "frames", (double)best.frame_count);
    bench_number(&bench, "times_real_time", speed);
    bench_number(&bench, "decode_times_real_time", decode_speed);
    bench_number(&bench, "decode_busy", best.decode_s / best.elapsed_s);
    bench_number(&bench, "encode_busy", best.encode_s / best.elapsed_s);
    bench_number(&bench, "write_busy", best.write_s / best.elapsed_s);
    bench_number(&bench, "encode_gflops", 2 * gmacs / best.encode_s);
    bench_number(&bench, "peak_gflops", again > peak ? again : peak);
    bench_number(&bench, "peak_mib", bench_peak_mib());
    bench_end(&bench);
    clv_encoder_free(encoder);
}

static void open_model(struct clv_model *out, const char *arch)
{
    char path[4096];
    path_in(path, "model.safetensors");
    *out = (struct clv_model){0};
    if (!random_model_arch(&out->config, arch, FRAMES, CLV_MASK_KMT, false)) {
        fprintf(stderr, "bench_index: no model '%s'\n", arch);
        remove_all(directory);
        exit(2);
    }
    check(random_model_write(path, &out->config, &(struct random_model_options){.seed = 1}));
    check(clv_weights_open(&out->weights, path));
    unlink(path);
}

int main(int argc, char **argv)
{
    const char *arch = "vit-b-32";
    int runs = 1, first = 1;
    /* As the program does: idle OpenMP threads must not take the decoder's time. */
    if (!getenv("GOMP_SPINCOUNT") && setenv("GOMP_SPINCOUNT", "1000", 1) == 0)
        execv("/proc/self/exe", argv);
    for (; first + 1 < argc && strncmp(argv[first], "--", 2) == 0; first += 2) {
        if (strcmp(argv[first], "--arch") == 0)
            arch = argv[first + 1];
        else if (strcmp(argv[first], "--runs") == 0)
            runs = (int)strtol(argv[first + 1], NULL, 10);
    }
    if (!mkdtemp(directory) || runs < 1)
        return 2;
    char made[4096];
    path_in(made, "clips");
    const char *own = made;
    const char *const *paths = argc > first ? (const char *const *)argv + first : &own;
    int path_count = argc > first ? argc - first : 1;
    if (argc <= first)
        make_clips(made);
    struct clv_model model;
    struct clv_scan scan;
    struct clv_device *device = NULL;
    check(clv_device_open(&device, NULL));
    fprintf(stderr, "bench_index: %s\n", clv_device_name(device));
    check(clv_scan_paths(&scan, paths, path_count, NULL));
    double decode_speed = bench_decode(&scan, runs);
    open_model(&model, arch);
    bench_whole(device, &model, arch, paths, path_count, runs, decode_speed);
    clv_model_release(&model);
    clv_scan_release(&scan);
    clv_device_close(device);
    remove_all(directory);
    return 0;
}
