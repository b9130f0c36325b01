/* Decoding: how many times faster than real time the CPU's threads and the GPU's video engine are,
 * by what is looked at: every frame, as finding cuts does; some; none.
 *   bench_decode [--runs N] [FILE]
 * A clip made up here where no file is named. The GPU is left out where it does not decode, with
 * the reason on stderr, unless CLV_BENCH_DEVICE=cuda, where that is a failure. */
#include "core/clock.h"
#include "core/error.h"
#include "core/media/reader.h"
#include "core/media/writer.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 1920, HEIGHT = 1080, FRAMES = 500, RATE = 25 };

static char made[] = "/tmp/bench_decode.XXXXXX.mp4";
static const char *scratch = NULL; /* to be removed */

static const struct looking {
    const char *name;
    bool detect_cuts;
    int picture_every;
} lookings[] = {
    {"cuts and 2 pictures a second", true, 12},
    {"2 pictures a second", false, 12},
    {"no picture", false, 0},
};

static void check(int status)
{
    if (status == CLV_OK)
        return;
    fprintf(stderr, "bench_decode: %s\n", clv_error_message());
    if (scratch)
        unlink(scratch);
    exit(1);
}

/* A texture that moves, so that there is something to decode. */
static int paint(void *payload, struct clv_image *image, int frame)
{
    (void)payload;
    for (int y = 0; y < image->height; y++) {
        uint8_t *row = image->pixels + (size_t)y * image->stride_bytes;
        for (int x = 0; x < image->width; x++) {
            unsigned a = (unsigned)(x + 3 * frame), b = (unsigned)(y + 2 * frame);
            unsigned noise = ((a >> 2) * 2654435761u ^ (b >> 2) * 40503u) >> 24;
            row[3 * x] = (uint8_t)(128 + noise / 4);
            row[3 * x + 1] = (uint8_t)((a + b) / 8);
            row[3 * x + 2] = (uint8_t)(noise / 8);
        }
    }
    return CLV_OK;
}

static void make_clip(void)
{
    const struct clv_writer_options options = {
        .width = WIDTH, .height = HEIGHT, .frame_time = {1, RATE}};
    int file = mkstemps(made, 4);
    if (file < 0) {
        perror("bench_decode");
        exit(1);
    }
    close(file);
    scratch = made;
    check(clv_writer_film(made, &options, FRAMES, paint, NULL));
}

/* Returns the seconds of footage; *frames_out how many frames that were. */
static double read_file(int *frames_out, const char *path, const struct looking *looking,
                        const struct clv_decoder *decoder)
{
    const struct clv_reader_options options = {.detect_cuts = looking->detect_cuts,
                                               .decoder = decoder};
    const struct clv_image *image;
    struct clv_reader *reader = NULL;
    struct clv_frame frame = {0};
    int64_t first = 0;
    int status;
    check(clv_reader_open(&reader, path, &options));
    for (*frames_out = 0; (status = clv_reader_next(reader, &frame)) == CLV_OK; ++*frames_out) {
        if (*frames_out == 0)
            first = frame.time_ticks;
        if (looking->picture_every > 0 && *frames_out % looking->picture_every == 0)
            check(clv_reader_image(reader, &image));
    }
    if (status != CLV_DONE)
        check(status);
    double footage_s = clv_time_seconds(frame.end_ticks - first, clv_reader_info(reader)->timebase);
    clv_reader_close(reader);
    return footage_s;
}

static void measure(const char *path, const char *name, const struct clv_decoder *decoder, int runs)
{
    for (size_t i = 0; i < sizeof lookings / sizeof *lookings; i++) {
        struct bench bench;
        char case_name[96];
        double footage_s = 0;
        int frames = 0;
        snprintf(case_name, sizeof case_name, "%s, %s", name, lookings[i].name);
        bench_begin(&bench, "decode", case_name);
        for (int run = 0; run <= runs; run++) {
            double begun = clv_clock_seconds();
            footage_s = read_file(&frames, path, &lookings[i], decoder);
            if (run > 0) /* the first one warms up */
                bench_sample(&bench, clv_clock_seconds() - begun);
        }
        bench_text(&bench, "decoder", name);
        bench_number(&bench, "frames", frames);
        bench_number(&bench, "frames_per_s", frames / bench_min(&bench));
        bench_number(&bench, "times_real_time", footage_s / bench_min(&bench));
        bench_end(&bench);
    }
}

int main(int argc, char **argv)
{
    const char *device = getenv("CLV_BENCH_DEVICE"), *path = made;
    struct clv_decoder *gpu = NULL;
    int runs = 3, first = 1, status;
    if (argc > 2 && strcmp(argv[1], "--runs") == 0) {
        runs = (int)strtol(argv[2], NULL, 10);
        first = 3;
    }
    if (runs < 1)
        return 2;
    if (argc > first)
        path = argv[first];
    else
        make_clip();
    measure(path, "cpu", NULL, runs);
    status = clv_decoder_open(&gpu, CLV_DECODER_GPU, 0);
    if (status == CLV_OK)
        measure(path, "gpu", gpu, runs);
    else if (device && strcmp(device, "cuda") == 0)
        check(status);
    else
        fprintf(stderr, "bench_decode: %s\n", clv_error_message());
    clv_decoder_close(gpu);
    if (scratch)
        unlink(scratch);
    return 0;
}
