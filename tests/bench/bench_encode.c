/* Encoding at the published sizes: clips and frames a second, and the share of the machine's
 * measured sgemm peak that the exact multiply-adds amount to.
 *   bench_encode [ARCH…]     vit-b-32 and vit-b-16 where none is named */
#include "core/error.h"
#include "core/model/encoder.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "tests/bench/bench.h"
#include "tests/model/random_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 8, PROMPTS = 16, PEAK_SIDE = 2048 };

static int check(int status)
{
    if (status != CLV_OK) {
        fprintf(stderr, "bench_encode: %s\n", clv_error_message());
        exit(1);
    }
    return status;
}

/* A random model on disk; the file is gone once it is mapped. */
static void open_model(struct clv_model *out, const char *arch)
{
    char path[] = "/tmp/bench_encode.XXXXXX";
    int file = mkstemp(path);
    *out = (struct clv_model){0};
    if (file < 0 || !random_model_arch(&out->config, arch, FRAMES, CLV_MASK_KMT, false)) {
        fprintf(stderr, "bench_encode: no model '%s'\n", arch);
        exit(1);
    }
    close(file);
    int status = random_model_write(path, &out->config, &(struct random_model_options){.seed = 1});
    if (status == CLV_OK)
        status = clv_weights_open(&out->weights, path);
    unlink(path);
    check(status);
}

/* `before`: the peak measured before the case. Other work on the machine slows either side, so it
 * is measured again and the larger counts. */
static void report(struct bench *bench, struct clv_device *device, double gmacs, double before)
{
    double gflops = 2 * gmacs / bench_min(bench);
    double after = bench_sgemm_peak(device, PEAK_SIDE);
    double peak_gflops = after > before ? after : before;
    bench_number(bench, "gmacs", gmacs);
    bench_number(bench, "gflops", gflops);
    bench_number(bench, "peak_gflops", peak_gflops);
    bench_number(bench, "share_of_peak", gflops / peak_gflops);
    bench_end(bench);
}

static void bench_vision(struct clv_device *device, const struct clv_model *model, const char *arch,
                         const struct clv_model_facts *facts)
{
    const size_t side = (size_t)model->config.image_side;
    static const int32_t slots[FRAMES] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct clv_encoder *encoder = NULL;
    struct bench bench;
    char name[64];
    float *pixels = malloc(FRAMES * 3 * side * side * sizeof *pixels);
    float *vector = malloc((size_t)model->config.embed_dim * sizeof *vector);
    if (!pixels || !vector)
        exit(1);
    for (size_t i = 0; i < FRAMES * 3 * side * side; i++)
        pixels[i] = (float)(i * 2654435761u % 1024) / 512 - 1;
    check(clv_encoder_create(&encoder, device, model->weights, &model->config,
                             &(struct clv_encoder_options){.no_text = true}));
    const struct clv_window_outputs outputs = {.vectors = vector};

    snprintf(name, sizeof name, "%s clip of %d", arch, FRAMES);
    double peak = bench_sgemm_peak(device, PEAK_SIDE);
    bench_begin(&bench, "encode", name);
    while (bench_next(&bench)) {
        check(clv_encoder_frames(encoder, slots, pixels, FRAMES));
        check(clv_encoder_windows(encoder, &outputs, slots, 1));
    }
    bench_number(&bench, "clips_per_s", 1 / bench_min(&bench));
    bench_number(&bench, "frames_per_s", FRAMES / bench_min(&bench));
    report(&bench, device, FRAMES * facts->frame_gmacs + facts->window_gmacs, peak);

    snprintf(name, sizeof name, "%s frames", arch);
    peak = bench_sgemm_peak(device, PEAK_SIDE);
    bench_begin(&bench, "encode", name);
    while (bench_next(&bench))
        check(clv_encoder_frames(encoder, slots, pixels, FRAMES));
    bench_number(&bench, "frames_per_s", FRAMES / bench_min(&bench));
    report(&bench, device, FRAMES * facts->frame_gmacs, peak);

    snprintf(name, sizeof name, "%s window", arch);
    peak = bench_sgemm_peak(device, PEAK_SIDE);
    bench_begin(&bench, "encode", name);
    while (bench_next(&bench))
        check(clv_encoder_windows(encoder, &outputs, slots, 1));
    bench_number(&bench, "windows_per_s", 1 / bench_min(&bench));
    report(&bench, device, facts->window_gmacs, peak);
    clv_encoder_free(encoder);
    free(pixels);
    free(vector);
}

/* Sixteen prompts of the length of CLAVER's templates with a short action. */
static void bench_prompts(struct clv_device *device, const struct clv_model *model,
                          const char *arch)
{
    int32_t ids[PROMPTS * 16], starts[PROMPTS + 1] = {0};
    struct clv_encoder *encoder = NULL;
    struct bench bench;
    char name[64];
    float *features = malloc(PROMPTS * (size_t)model->config.embed_dim * sizeof *features);
    if (!features)
        exit(1);
    for (int i = 0; i < PROMPTS; i++)
        starts[i + 1] = starts[i] + 8 + i % 6;
    for (int i = 0; i < starts[PROMPTS]; i++)
        ids[i] = (int32_t)((unsigned)i * 2654435761u % (unsigned)model->config.vocabulary_size);
    check(clv_encoder_create(&encoder, device, model->weights, &model->config,
                             &(struct clv_encoder_options){.no_vision = true}));
    snprintf(name, sizeof name, "%s text of %d prompts", arch, PROMPTS);
    bench_begin(&bench, "encode", name);
    while (bench_next(&bench))
        check(clv_encoder_text(encoder, features, ids, starts, PROMPTS));
    bench_number(&bench, "tokens", starts[PROMPTS]);
    bench_number(&bench, "prompts_per_s", PROMPTS / bench_min(&bench));
    bench_end(&bench);
    clv_encoder_free(encoder);
    free(features);
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"vit-b-32", "vit-b-16"};
    const char *const *archs = argc > 1 ? (const char *const *)argv + 1 : usual;
    int count = argc > 1 ? argc - 1 : 2;
    struct clv_device *device = NULL;
    check(bench_device_open(&device));
    fprintf(stderr, "bench_encode: %s\n", clv_device_name(device));
    for (int i = 0; i < count; i++) {
        struct clv_model model;
        struct clv_model_facts facts;
        open_model(&model, archs[i]);
        check(clv_model_facts(&facts, &model));
        bench_vision(device, &model, archs[i], &facts);
        bench_prompts(device, &model, archs[i]);
        clv_model_release(&model);
    }
    clv_device_close(device);
    return 0;
}
