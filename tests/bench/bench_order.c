/* What temporal attention is for: squares that move in eight directions, with fresh clips in every
 * epoch. One line for each kind of temporal branch and seed: top-1 and how well a motion is told
 * from its reverse, on clips never trained on.
 *
 *     bench_order [SEED]... [--steps N] [--std X]      default: seed 1, 2000 steps, .3 */
#include "core/clock.h"
#include "core/compute/device.h"
#include "core/error.h"
#include "core/json.h"
#include "core/model/trainer.h"
#include "tests/bench/bench.h"
#include "tests/model/squares.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 24, PATCH = 6, FRAMES = 8, BATCH = 32, FRESH = 512, SEED_MAX = 16 };

struct variant {
    const char *name;
    int temporal_layers;
    enum clv_mask mask;
};

static const struct variant variants[] = {
    {"clip", 0, CLV_MASK_NONE},
    {"joint", 2, CLV_MASK_NONE},
    {"KMT", 2, CLV_MASK_KMT},
    {"KMCT", 2, CLV_MASK_KMCT},
};

struct bench_options {
    int steps;
    float std;
};

static double last_loss;

static void follow(void *payload, const struct clv_trainer_event *event)
{
    const bool *is_loud = payload;
    if (event->kind == CLV_TRAINER_STEP)
        last_loss = event->loss;
    if (*is_loud && event->kind == CLV_TRAINER_STEP && event->step % 50 == 0)
        fprintf(stderr, "step %d loss %.4f lr %.5f norm %.3f clips/s %.0f\n", (int)event->step,
                event->loss, event->lr, event->gradient_norm, event->clips_per_s);
}

static struct clv_trainer_options training_options(uint64_t seed, const struct bench_options *how)
{
    struct clv_trainer_options options = clv_trainer_defaults;
    options.seed = seed;
    options.batch_size = BATCH;
    options.accumulate = 1;
    options.epoch_count = 1;
    options.warmup_epochs = 200.0 / how->steps;
    options.step.lr = 1e-3f;
    options.step.lr_temporal_factor = 1;
    options.label_smoothing = 0;
    options.prompt_slots = 1;
    options.augment = (struct clv_augment_options){0};
    options.mix.probability = 0;
    options.validation_epochs = 0;
    return options;
}

static int train(const struct variant *variant, uint64_t seed, struct clv_device *device,
                 const char *vocabulary, const struct bench_options *how)
{
    struct squares training, fresh;
    struct clv_model_config config;
    struct clv_trainer *trainer = NULL;
    struct clv_validation found = {0};
    bool is_loud = getenv("CLV_BENCH_LOUD") != NULL;
    const struct clv_trainer_options options = training_options(seed, how);
    struct clv_trainer_start start = {.config = &config,
                                      .temporal = CLV_TEMPORAL_PUBLISHED,
                                      .embedding_std = how->std,
                                      .temporal_std = 1.5f,
                                      .text_std = how->std,
                                      .vocabulary_path = vocabulary};
    if (!squares_create(&training, how->steps * BATCH, SIDE, seed, false) ||
        !squares_create(&fresh, FRESH, SIDE, seed + 1000, false))
        return clv_fail_memory("squares");
    struct clv_trainer_data data = {
        .training = &training.clips, .prompts = square_prompts, .prompt_count = SQUARE_PROMPTS};
    square_network(&config, SIDE, PATCH, 64, 3, variant->temporal_layers, FRAMES, variant->mask);
    const double started = clv_clock_seconds();
    int status = clv_trainer_create(&trainer, device, &start, &data, &options);
    if (status == CLV_OK)
        status = clv_trainer_run(trainer, follow, &is_loud, NULL);
    const double seconds = clv_clock_seconds() - started;
    if (status == CLV_OK)
        status = clv_trainer_validate(trainer, &found, &fresh.clips, NULL);
    if (status == CLV_OK)
        printf("{\"bench\":\"order\",\"case\":\"%s\",\"seed\":%d,\"steps\":%d,\"embedding_std\":%g,"
               "\"top1\":%.4f,\"reversed_pairs\":%.4f,\"clips\":%d,\"loss\":%.5f,"
               "\"seconds\":%.1f,\"clips_per_s\":%.0f}\n",
               variant->name, (int)seed, how->steps, (double)how->std, found.top1,
               found.pair_accuracy, found.pair_count, last_loss, seconds,
               how->steps * BATCH / seconds);
    fflush(stdout);
    clv_validation_release(&found);
    clv_trainer_free(trainer);
    squares_release(&training);
    squares_release(&fresh);
    return status;
}

/* The byte-level vocabulary as a file: OpenAI's list with its first line only. */
static int write_vocabulary(char *directory, char *path, size_t size)
{
    if (!mkdtemp(directory))
        return clv_fail_errno("cannot make a directory");
    snprintf(path, size, "%s/bpe_simple_vocab_16e6.txt", directory);
    FILE *file = fopen(path, "w");
    if (!file || fputs("#version: 0.2\n", file) < 0 || fclose(file) != 0)
        return clv_fail_errno("cannot write '%s'", path);
    return CLV_OK;
}

int main(int argc, char **argv)
{
    struct bench_options how = {.steps = 2000, .std = 0.3f};
    char directory[] = "/tmp/bench_order_XXXXXX", vocabulary[64] = "";
    struct clv_device *device = NULL;
    uint64_t seeds[SEED_MAX] = {1};
    int seed_count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--steps") == 0 && i + 1 < argc)
            how.steps = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--std") == 0 && i + 1 < argc)
            how.std = strtof(argv[++i], NULL);
        else if (seed_count < SEED_MAX)
            seeds[seed_count++] = strtoull(argv[i], NULL, 10);
    }
    int status = how.steps > 0 ? write_vocabulary(directory, vocabulary, sizeof vocabulary)
                               : clv_fail(CLV_EINVAL, "%d steps cannot be", how.steps);
    if (status == CLV_OK)
        status = clv_device_open(&device, &(struct clv_device_options){.thread_count = 1});
    const char *only = getenv("CLV_BENCH_ONLY");
    for (int i = 0; i < (seed_count ? seed_count : 1); i++)
        for (size_t k = 0; k < sizeof variants / sizeof variants[0] && status == CLV_OK; k++)
            if (!only || strcmp(only, variants[k].name) == 0)
                status = train(&variants[k], seeds[i], device, vocabulary, &how);
    if (status != CLV_OK)
        fprintf(stderr, "bench_order: %s\n", clv_error_message());
    clv_device_close(device);
    if (vocabulary[0]) {
        remove(vocabulary);
        remove(directory);
    }
    return status == CLV_OK ? 0 : 1;
}
