/* A training step (forward, backward, AdamW): clips a second, the share of the device's measured
 * peak that the exact multiply-adds amount to, and memory.
 *   bench_train [--sweep[=MAX]] [--devices] [CASE…]     all cases but the large where none is named
 *   bench_train list                                    names them
 *   --sweep      clips a batch rise, up to MAX, until memory ends; the best throughput counts
 *   --devices    each case again on every CUDA device at once, or on two CPUs that share out the
 *                threads of one, with as many clips on each as one alone took: how much faster they
 *                are than it, and what the sum of all gradients takes. Where no case is named, the
 *                first is. */
#include "core/clock.h"
#include "core/compute/group.h"
#include "core/error.h"
#include "core/model/learners.h"
#include "core/model/model.h"
#include "core/model/params.h"
#include "core/model/weights.h"
#include "tests/bench/bench.h"
#include "tests/model/random_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_TOKENS = 10, RUNS = 4, WARM_RUNS = 3, MAX_CLIPS = 512, DEVICE_MAX = 16 };

struct train_case {
    const char *name;
    int side, patch, width, layers, temporal_layers, text_width, text_layers, embed, vocabulary;
    int frames, clips, prompts, classes;
    bool checkpoint, freeze_text;
    bool is_large; /* only where named */
};

static const struct train_case cases[] = {
    {"mini", 64, 8, 192, 6, 2, 128, 4, 128, 4096, 8, 32, 5, 48, false, false, false},
    {"mini-checkpoint", 64, 8, 192, 6, 2, 128, 4, 128, 4096, 8, 32, 5, 48, true, false, false},
    {"vit-b-32", 224, 32, 768, 12, 4, 512, 12, 512, 49408, 8, 4, 2, 20, false, false, false},
    {"vit-b-32-frozen-text", 224, 32, 768, 12, 4, 512, 12, 512, 49408, 8, 4, 2, 20, false, true,
     false},
    {"vit-b-16", 224, 16, 768, 12, 4, 512, 12, 512, 49408, 8, 4, 2, 20, false, false, true},
    {"tiny", 64, 16, 128, 3, 1, 64, 2, 64, 514, 8, 4, 2, 20, false, false, true},
};

/* Clips that a sweep tries; steps fine enough to come near a card's memory. */
static const int sweep[] = {4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512};

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
    uint8_t *squares;
    float *labels;
    int32_t *ids, *starts;
};

static struct data make_data(const struct train_case *c)
{
    const size_t size = (size_t)c->clips * (size_t)c->frames * 3 * (size_t)(c->side * c->side);
    const int texts = c->prompts * c->classes;
    struct data data = {need(size, 1), need((size_t)(c->clips * c->classes), sizeof(float)),
                        need((size_t)(texts * TEXT_TOKENS), sizeof(int32_t)),
                        need((size_t)texts + 1, sizeof(int32_t))};
    for (size_t i = 0; i < size; i++)
        data.squares[i] = (uint8_t)(i * 2654435761u >> 13);
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
    free(data->squares);
    free(data->labels);
    free(data->ids);
    free(data->starts);
}

/* What a step runs on. */
struct place {
    struct clv_device *devices[DEVICE_MAX];
    int count;
};

static void open_place(struct place *out, bool takes_all)
{
    out->count = 1;
    check(takes_all ? bench_devices_open(out->devices, &out->count, DEVICE_MAX)
                    : bench_device_open(&out->devices[0]));
}

/* Its line, not ended yet, and the work of a step. */
struct outcome {
    struct bench bench;
    int clips;
    double gflop;
};

static void describe(struct outcome *out, const struct train_case *c, const struct place *place,
                     struct clv_learners *learners)
{
    const struct clv_learner *first = clv_learners_member(learners, 0);
    bench_device(&out->bench, place->devices[0]);
    bench_number(&out->bench, "batch", c->clips);
    bench_number(&out->bench, "texts", c->prompts * c->classes);
    bench_number(&out->bench, "clips_per_s", c->clips / bench_min(&out->bench));
    bench_number(&out->bench, "gmacs", out->gflop / 2);
    bench_number(&out->bench, "activation_mib",
                 (double)clv_learner_activation_bytes(first) / (1024.0 * 1024.0));
    bench_number(&out->bench, "memory_peak_mib",
                 (double)clv_device_memory_peak(place->devices[0]) / (1024.0 * 1024.0));
    bench_number(&out->bench, "peak_rss_mib", bench_peak_mib());
}

static int step(struct clv_learners *learners, const struct clv_learner_batch *batch)
{
    clv_learners_zero_gradients(learners);
    int status = clv_learners_forward_backward(learners, NULL, batch);
    return status == CLV_OK ? clv_learners_step(learners, NULL, &clv_learner_step_defaults)
                            : status;
}

static int run_steps(struct bench *bench, const struct train_case *c, struct clv_learners *learners)
{
    struct data data = make_data(c);
    const struct clv_learner_batch batch = {.clip_count = c->clips,
                                            .squares = data.squares,
                                            .text_count = c->prompts * c->classes,
                                            .prompt_count = c->prompts,
                                            .ids = data.ids,
                                            .starts = data.starts,
                                            .labels = data.labels};
    int status = CLV_OK;
    for (int run = 0; run < WARM_RUNS + RUNS && status == CLV_OK; run++) {
        const double started = clv_clock_seconds();
        status = step(learners, &batch);
        if (status == CLV_OK && run >= WARM_RUNS)
            bench_sample(bench, clv_clock_seconds() - started);
    }
    free_data(&data);
    return status;
}

/* CLV_ENOMEM where a device has not the memory; any other failure ends the program. */
static int measure(struct outcome *out, const struct train_case *c, const struct clv_model *model,
                   const struct place *place)
{
    const int texts = c->prompts * c->classes;
    const struct clv_learner_options options = {.checkpoint = c->checkpoint,
                                                .freeze_text = c->freeze_text,
                                                .clip_max = c->clips,
                                                .text_max = texts,
                                                .text_row_max = texts * TEXT_TOKENS};
    struct clv_learners *learners = NULL;
    char name[64], places[32] = "";
    if (place->count > 1)
        snprintf(places, sizeof places, " on %d devices", place->count);
    snprintf(name, sizeof name, "train %s T%d%s", c->name, c->frames, places);
    *out = (struct outcome){.clips = c->clips, .gflop = 2 * step_gmacs(c, model)};
    bench_begin(&out->bench, "train", name);
    int status = clv_learners_create(&learners, place->devices, place->count, &model->config,
                                     model->weights, &options);
    if (status == CLV_OK)
        status = run_steps(&out->bench, c, learners);
    if (status == CLV_OK)
        describe(out, c, place, learners);
    else if (status != CLV_ENOMEM)
        check(status);
    clv_learners_free(learners);
    return status;
}

/* On one device, opened for it, so that its high-water mark is the case's. */
static int measure_one(struct outcome *out, const struct train_case *c,
                       const struct clv_model *model)
{
    struct place place;
    open_place(&place, false);
    int status = measure(out, c, model, &place);
    bench_devices_close(place.devices, place.count);
    return status;
}

static double speed(struct outcome *outcome)
{
    return outcome->clips / bench_min(&outcome->bench);
}

/* ---- several devices ------------------------------------------------------------------------- */

static size_t trained_count(const struct train_case *c, const struct clv_model *model)
{
    struct clv_params params;
    size_t count = 0;
    check(clv_params_init(&params, &model->config));
    for (size_t i = 0; i < params.count; i++)
        if (!c->freeze_text || params.items[i].branch != CLV_BRANCH_TEXT)
            count += params.items[i].element_count;
    clv_params_release(&params);
    return count;
}

/* Seconds that a sum of `count` floats over all devices takes, the least of several; its name. */
static double measure_sum(char *name, size_t name_size, const struct place *place, size_t count)
{
    struct clv_group *group = NULL;
    struct clv_buffer *buffers[DEVICE_MAX] = {0};
    float *data[DEVICE_MAX];
    double best = 1e30;
    check(clv_group_open(&group, place->devices, place->count));
    snprintf(name, name_size, "%s", clv_group_name(group));
    for (int i = 0; i < place->count; i++) {
        check(clv_buffer_create(&buffers[i], place->devices[i], count * sizeof(float)));
        data[i] = clv_buffer_data(buffers[i]);
        check(clv_device_sync(place->devices[i]));
    }
    for (int run = 0; run < WARM_RUNS + RUNS; run++) {
        const double started = clv_clock_seconds();
        clv_group_all_reduce(group, data, count);
        for (int i = 0; i < place->count; i++)
            check(clv_device_sync(place->devices[i]));
        const double seconds = clv_clock_seconds() - started;
        if (run >= WARM_RUNS && seconds < best)
            best = seconds;
    }
    for (int i = 0; i < place->count; i++)
        clv_buffer_free(buffers[i]);
    clv_group_close(group);
    return best;
}

/* Prints the line of the case on all devices, each with the clips that one took. */
static void run_devices(const struct train_case *given, const struct clv_model *model,
                        const struct bench_limits *limits, double one_speed)
{
    struct train_case c = *given;
    struct bench_limits all = *limits;
    struct outcome outcome;
    struct place place;
    char sums[64];
    open_place(&place, true);
    c.clips *= place.count;
    if (place.count < 2) {
        fprintf(stderr, "bench_train: one device alone, nothing to share '%s' out to\n", c.name);
    } else if (measure(&outcome, &c, model, &place) != CLV_OK) {
        fprintf(stderr, "bench_train: '%s' on %d devices: %s\n", c.name, place.count,
                clv_error_message());
        bench_drop(&outcome.bench);
    } else {
        const size_t count = trained_count(&c, model);
        const double sum_s = measure_sum(sums, sizeof sums, &place, count);
        if (clv_device_kind(place.devices[0]) == CLV_DEVICE_CUDA) /* two CPUs are one machine */
            all.gflops *= place.count;
        bench_number(&outcome.bench, "devices", place.count);
        bench_number(&outcome.bench, "one_clips_per_s", one_speed);
        bench_number(&outcome.bench, "times_one", speed(&outcome) / one_speed);
        bench_text(&outcome.bench, "sums", sums);
        bench_number(&outcome.bench, "gradient_mib",
                     (double)(count * sizeof(float)) / (1024.0 * 1024.0));
        bench_number(&outcome.bench, "sum_seconds", sum_s);
        bench_shares(&outcome.bench, &all, outcome.gflop, 0);
        bench_end(&outcome.bench);
    }
    bench_devices_close(place.devices, place.count);
}

/* ---- cases ----------------------------------------------------------------------------------- */

/* Prints the line of the case, or that of its best batch. */
static void run_case(const struct train_case *given, int clip_max, bool takes_devices)
{
    struct train_case c = *given;
    struct clv_model model;
    struct bench_limits limits = {0};
    struct outcome best, next;
    open_model(&model, &c);
    check(bench_limits_raise_apart(&limits));
    check(measure_one(&best, &c, &model));
    for (size_t i = 0; i < sizeof sweep / sizeof sweep[0] && sweep[i] <= clip_max; i++) {
        c.clips = sweep[i];
        if (c.clips <= given->clips)
            continue;
        if (measure_one(&next, &c, &model) != CLV_OK) {
            bench_drop(&next.bench);
            break;
        }
        struct outcome *worse = speed(&next) > speed(&best) ? &best : &next;
        bench_drop(&worse->bench);
        if (worse == &best)
            best = next;
    }
    check(bench_limits_raise_apart(&limits));
    bench_shares(&best.bench, &limits, best.gflop, 0);
    bench_end(&best.bench);
    c.clips = best.clips;
    if (takes_devices)
        run_devices(&c, &model, &limits, speed(&best));
    clv_model_release(&model);
}

int main(int argc, char **argv)
{
    int clip_max = 0, named = 0;
    bool takes_devices = false;
    for (int k = 1; k < argc; k++) {
        if (strncmp(argv[k], "--sweep", 7) == 0)
            clip_max = argv[k][7] == '=' ? (int)strtol(argv[k] + 8, NULL, 10) : MAX_CLIPS;
        else if (strcmp(argv[k], "--devices") == 0)
            takes_devices = true;
        else
            named++;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_wanted = named == 0 && !cases[i].is_large;
        for (int k = 1; k < argc; k++) {
            is_wanted = is_wanted || strcmp(argv[k], cases[i].name) == 0;
            if (strcmp(argv[k], "list") == 0)
                puts(cases[i].name);
        }
        if (is_wanted)
            run_case(&cases[i], clip_max, takes_devices || (named == 0 && i == 0));
    }
    return 0;
}
