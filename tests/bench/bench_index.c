/* Indexing: how many times faster than real time, beside decoding alone (the limit), with the time
 * each stage was busy.
 *   bench_index [--arch NAME] [--runs N] [--readers N,N…] [--batching own|shared] [PATH…]
 * A random vit-b-32 with T = 8 where no other is named; where no path is, films made up here: a few
 * long ones, and many short ones. Each number of readers is a case; 0 is the device's own. */
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

enum { FRAMES = 8, PEAK_SIDE = 2048, READERS_MAX = 8 };

static struct {
    const char *arch;
    int runs;
    int readers[READERS_MAX], readers_count;
    enum clv_batching batching;
} flags = {.arch = "vit-b-32", .runs = 1, .readers_count = 1};

/* What is indexed. */
struct footage {
    const char *name;
    const char *const *paths;
    int path_count;
    struct clv_scan scan;
    double decode_speed;
};

/* Films made up here. */
struct films {
    const char *name;
    int count, frame_count, width, height;
};
static const struct films films[] = {{"long films", 3, 500, 1280, 720},
                                     {"short films", 60, 50, 640, 360}};

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

static int draw(void *payload, struct clv_image *image, int index)
{
    paint(image, *(const int *)payload, index);
    return CLV_OK;
}

static void make_films(const char *folder, const struct films *made)
{
    const struct clv_writer_options options = {
        .width = made->width, .height = made->height, .frame_time = {1, 25}};
    check(clv_directory_create(folder));
    for (int film = 0; film < made->count; film++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%d.mp4", folder, film);
        check(clv_writer_film(path, &options, made->frame_count, draw, &film));
    }
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

static void bench_decode(struct footage *footage)
{
    struct bench bench;
    double footage_s = 0;
    char name[64];
    snprintf(name, sizeof name, "%s, decoding alone", footage->name);
    bench_begin(&bench, "index", name);
    for (int i = 0; i < flags.runs; i++) {
        double begun = clv_clock_seconds();
        footage_s = decode_all(&footage->scan);
        bench_sample(&bench, clv_clock_seconds() - begun);
    }
    footage->decode_speed = footage_s / bench_min(&bench);
    bench_number(&bench, "files", footage->scan.count);
    bench_number(&bench, "footage_s", footage_s);
    bench_number(&bench, "times_real_time", footage->decode_speed);
    bench_end(&bench);
}

static struct clv_ingest_progress index_once(struct clv_encoder *encoder,
                                             const struct footage *footage,
                                             const struct clv_ingest_options *options)
{
    struct clv_ingest_progress totals;
    struct clv_store *store = NULL;
    struct clv_store_options create = {.create = true};
    const struct clv_model_config *config = clv_encoder_config(encoder);
    struct clv_model_row row = {
        .name = "bench", .path = "", .dim = config->embed_dim, .frame_count = config->frame_count};
    char path[4096];
    path_in(path, "db");
    remove_all(path);
    check(clv_store_open(&store, path, &create));
    check(clv_store_model_put(store, &row));
    check(clv_ingest_paths(&totals, store, encoder, row.id, footage->paths, footage->path_count,
                           options, NULL, NULL));
    clv_store_close(store);
    return totals;
}

static void bench_whole(struct clv_device *device, const struct clv_model *model,
                        const struct footage *footage, int readers)
{
    struct bench bench;
    struct clv_model_facts facts;
    struct clv_encoder *encoder = NULL;
    struct clv_ingest_progress best = {0};
    const struct clv_ingest_options options = {.reader_count = readers, .batching = flags.batching};
    check(clv_ingest_encoder(&encoder, device, model, &options));
    check(clv_model_facts(&facts, model));
    double peak = bench_sgemm_peak(device, PEAK_SIDE);
    char name[128];
    snprintf(name, sizeof name, "%s, %s T=%d, %d readers", footage->name, flags.arch, FRAMES,
             readers);
    bench_begin(&bench, "index", name);
    for (int i = 0; i < flags.runs; i++) {
        struct clv_ingest_progress totals = index_once(encoder, footage, &options);
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
    bench_number(&bench, "decode_times_real_time", footage->decode_speed);
    bench_number(&bench, "decode_busy", best.decode_s / best.elapsed_s);
    bench_number(&bench, "encode_busy", best.encode_s / best.elapsed_s);
    bench_number(&bench, "write_busy", best.write_s / best.elapsed_s);
    bench_text(&bench, "limited_by", clv_ingest_limit(&best));
    bench_number(&bench, "encode_gflops", 2 * gmacs / best.encode_s);
    bench_number(&bench, "peak_gflops", again > peak ? again : peak);
    bench_number(&bench, "peak_mib", bench_peak_mib());
    bench_end(&bench);
    clv_encoder_free(encoder);
}

static void bench_footage(struct clv_device *device, const struct clv_model *model,
                          struct footage *footage)
{
    check(clv_scan_paths(&footage->scan, footage->paths, footage->path_count, NULL));
    bench_decode(footage);
    for (int i = 0; i < flags.readers_count; i++)
        bench_whole(device, model, footage, flags.readers[i]);
    clv_scan_release(&footage->scan);
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

static bool read_flag(const char *flag, const char *value)
{
    if (strcmp(flag, "--arch") == 0) {
        flags.arch = value;
    } else if (strcmp(flag, "--runs") == 0) {
        flags.runs = (int)strtol(value, NULL, 10);
    } else if (strcmp(flag, "--readers") == 0) {
        char *end = (char *)value;
        for (flags.readers_count = 0; *end && flags.readers_count < READERS_MAX; end += *end == ',')
            flags.readers[flags.readers_count++] = (int)strtol(end, &end, 10);
    } else if (strcmp(flag, "--batching") == 0) {
        flags.batching = strcmp(value, "shared") == 0 ? CLV_BATCHING_SHARED : CLV_BATCHING_OWN;
    } else {
        return false;
    }
    return flags.runs >= 1 && flags.readers_count >= 1;
}

int main(int argc, char **argv)
{
    int first = 1;
    /* As the program does: idle OpenMP threads must not take the decoder's time. */
    if (!getenv("GOMP_SPINCOUNT") && setenv("GOMP_SPINCOUNT", "1000", 1) == 0)
        execv("/proc/self/exe", argv);
    for (; first + 1 < argc && strncmp(argv[first], "--", 2) == 0; first += 2)
        if (!read_flag(argv[first], argv[first + 1]))
            return 2;
    if (!mkdtemp(directory))
        return 2;
    struct clv_model model;
    struct clv_device *device = NULL;
    check(bench_device_open(&device));
    fprintf(stderr, "bench_index: %s\n", clv_device_name(device));
    open_model(&model, flags.arch);
    if (argc > first) {
        struct footage footage = {"footage", (const char *const *)argv + first, argc - first,
                                  .decode_speed = 0};
        bench_footage(device, &model, &footage);
    }
    for (size_t i = 0; argc <= first && i < sizeof films / sizeof *films; i++) {
        char made[4096];
        const char *path = made;
        struct footage footage = {films[i].name, &path, 1, .decode_speed = 0};
        path_in(made, films[i].name);
        make_films(made, &films[i]);
        bench_footage(device, &model, &footage);
    }
    clv_model_release(&model);
    clv_device_close(device);
    remove_all(directory);
    return 0;
}
