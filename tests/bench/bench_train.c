/* A training step (forward, backward, AdamW): clips a second, the share of the machine's measured
 * sgemm peak that the exact multiply-adds amount to, and memory.
 *   bench_train [CASE…]     all cases where none is named; `bench_train list` names them */
#include "core/clock.h"
#include "core/error.h"
#include "core/model/learner.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "tests/bench/bench.h"
#include "tests/model/random_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEAK_SIDE = 2048, TEXT_TOKENS = 10, RUNS = 4 };

struct train_case {
    const char *name;
    int side, patch, width, layers, temporal_layers, text_width, text_layers, embed, vocabulary;
    int frames, clips, prompts, classes;
    bool checkpoint, freeze_text;
};

static const struct train_case cases[] = {
    {"mini", 64, 8, 192, 6, 2, 128, 4, 128, 4096, 8, 32, 5, 48, false, false},
    {"mini-checkpoint", 64, 8, 192, 6, 2, 128, 4, 128, 4096, 8, 32, 5, 48, true, false},
    {"vit-b-32", 224, 32, 768, 12, 4, 512, 12, 512, 49408, 8, 4, 2, 20, false, false},
    {"vit-b-32-frozen-text", 224, 32, 768, 12, 4, 512, 12, 512, 49408, 8, 4, 2, 20, false, true},
};

static int check(int status)
{
    if (status != CLV_OK) {
        fprintf(stderr, "bench_train: %s\n", clv_error_message());
        exit(1);
    }
    return status;
}

static void *need(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        exit(1);
    return memory;
}

/* A random model on disk; the file is gone once it is mapped. */
static void open_model(struct clv_model *out, const struct train_case *c)
{
    char path[] = "/tmp/bench_train.XXXXXX";
    int file = mkstemp(path);
    *out = (struct clv_model){
        .config = {.vision = {c->width, c->layers, c->width / 64, 4 * c->width},
                   .temporal = {c->width, c->temporal_layers, c->width / 64, 4 * c->width},
                   .text = {c->text_width, c->text_layers, c->text_width / 64, 4 * c->text_width},
                   .embed_dim = c->embed,
                   .image_side = c->side,
                   .patch_side = c->patch,
                   .frame_count = c->frames,
                   .context_length = 77,
                   .vocabulary_size = c->vocabulary,
                   .mask = CLV_MASK_KMT}};
    out->config.activation = CLV_ACTIVATION_QUICK_GELU;
    random_model_complete(&out->config);
    if (file < 0)
        exit(1);
    close(file);
    int status = random_model_write(path, &out->config, &(struct random_model_options){.seed = 1});
    if (status == CLV_OK)
        status = clv_weights_open(&out->weights, path);
    unlink(path);
    check(status);
}

/* Multiply-adds of one text forward: the end token alone is a query of the last block. */
static double text_macs(const struct train_case *c)
{
    const double w = c->text_width, rows = TEXT_TOKENS;
    const double pairs = rows * (rows + 1) / 2;
    const double full = rows * 12 * w * w + 2 * pairs * w;
    const double last = rows * 2 * w * w + 10 * w * w + 2 * rows * w;
    return (c->text_layers - 1) * full + last + w * c->embed;
}

/* Of a step in units of 1e9: the backward pass multiplies twice what the forward pass does, what
 * is computed again for want of memory is not counted. */
static double step_gmacs(const struct train_case *c, const struct clv_model *model)
{
    struct clv_model_facts facts;
    check(clv_model_facts(&facts, model));
    const double visual = c->clips * (c->frames * facts.frame_gmacs + facts.window_gmacs);
    const double text = c->prompts * c->classes * text_macs(c) / 1e9;
    return 3 * visual + (c->freeze_text ? 1 : 3) * text;
}

struct data {
    float *pixels, *labels;
    int32_t *ids, *starts;
};

static struct data make_data(const struct train_case *c)
{
    const size_t size = (size_t)c->clips * (size_t)c->frames * 3 * (size_t)(c->side * c->side);
    const int texts = c->prompts * c->classes;
    struct data data = {need(size, sizeof(float)),
                        need((size_t)(c->clips * c->classes), sizeof(float)),
                        need((size_t)(texts * TEXT_TOKENS), sizeof(int32_t)),
                        need((size_t)texts + 1, sizeof(int32_t))};
    for (size_t i = 0; i < size; i++)
        data.pixels[i] = (float)(i * 2654435761u % 1024) / 512 - 1;
    for (int i = 0; i < c->clips; i++)
        data.labels[i * c->classes + i % c->classes] = 1;
    for (int i = 0; i < texts * TEXT_TOKENS; i++)
        data.ids[i] = (int32_t)((unsigned)i * 2654435761u % (unsigned)c->vocabulary);
    for (int i = 0; i < texts; i++)
        data.starts[i + 1] = data.starts[i] + TEXT_TOKENS;
    return data;
}

static void free_data(struct data *data)
{
    free(data->pixels);
    free(data->labels);
    free(data->ids);
    free(data->starts);
}

static void step(struct clv_learner *learner, const struct clv_learner_batch *batch)
{
    clv_learner_zero_gradients(learner);
    check(clv_learner_forward_backward(learner, NULL, batch));
    check(clv_learner_step(learner, NULL, &clv_learner_step_defaults));
}

static void report(struct bench *bench, const struct train_case *c, struct clv_learner *learner,
                   double gmacs, double peak_gflops)
{
    const double gflops = 2 * gmacs / bench_min(bench);
    bench_number(bench, "clips", c->clips);
    bench_number(bench, "clips_per_s", c->clips / bench_min(bench));
    bench_number(bench, "gmacs", gmacs);
    bench_number(bench, "gflops", gflops);
    bench_number(bench, "peak_gflops", peak_gflops);
    bench_number(bench, "share_of_peak", gflops / peak_gflops);
    bench_number(bench, "activation_mib",
                 (double)clv_learner_activation_bytes(learner) / (1024.0 * 1024.0));
    bench_number(bench, "device_mib", (double)clv_learner_bytes(learner) / (1024.0 * 1024.0));
    bench_number(bench, "peak_rss_mib", bench_peak_mib());
    bench_end(bench);
}

static void run_case(struct clv_device *device, const struct train_case *c)
{
    struct clv_model model;
    struct clv_learner *learner = NULL;
    struct bench bench;
    char name[96];
    open_model(&model, c);
    struct data data = make_data(c);
    const int texts = c->prompts * c->classes;
    const struct clv_learner_options options = {.checkpoint = c->checkpoint,
                                                .freeze_text = c->freeze_text,
                                                .clip_max = c->clips,
                                                .text_max = texts,
                                                .text_row_max = texts * TEXT_TOKENS};
    const struct clv_learner_batch batch = {.clip_count = c->clips,
                                            .pixels = data.pixels,
                                            .text_count = texts,
                                            .prompt_count = c->prompts,
                                            .ids = data.ids,
                                            .starts = data.starts,
                                            .labels = data.labels};
    check(clv_learner_create(&learner, device, &model.config, model.weights, &options));
    snprintf(name, sizeof name, "%s, %d clips of %d, %d texts", c->name, c->clips, c->frames,
             texts);
    double peak = bench_sgemm_peak(device, PEAK_SIDE);
    bench_begin(&bench, "train", name);
    step(learner, &batch); /* warms up */
    for (int run = 0; run < RUNS; run++) {
        const double started = clv_clock_seconds();
        step(learner, &batch);
        bench_sample(&bench, clv_clock_seconds() - started);
        /* Other work on the machine slows either side: the largest peak beside the runs counts. */
        double beside = bench_sgemm_peak(device, PEAK_SIDE);
        peak = beside > peak ? beside : peak;
    }
    report(&bench, c, learner, step_gmacs(c, &model), peak);
    clv_learner_free(learner);
    free_data(&data);
    clv_model_release(&model);
}

int main(int argc, char **argv)
{
    struct clv_device *device = NULL;
    check(bench_device_open(&device));
    fprintf(stderr, "bench_train: %s\n", clv_device_name(device));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_wanted = argc < 2;
        for (int k = 1; k < argc; k++) {
            is_wanted = is_wanted || strcmp(argv[k], cases[i].name) == 0;
            if (strcmp(argv[k], "list") == 0)
                puts(cases[i].name);
        }
        if (is_wanted)
            run_case(device, &cases[i]);
    }
    clv_device_close(device);
    return 0;
}
