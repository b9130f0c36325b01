/* Encoding at the published sizes, from frames on the host to vectors: clips a second, and what of
 * the device's measured limits the exact multiply-adds and the bytes that ops must move amount to.
 *   bench_encode [--sweep[=MAX]] [--cosine] [ARCH[:FRAMES]…]     vit-b-32 and vit-b-16, 8 frames
 *   --sweep    clips a pass double, up to MAX, until the throughput no longer rises or memory ends;
 *              the best counts. Without it one clip is encoded at a time, and texts as well
 *   --cosine   the vectors' distance from the CPU's in fp32
 * With CLV_BENCH_REPLAY=0 no tower is played back from a recording, as CUDA does otherwise: the
 * difference is what calling the ops costs. */
#include "core/error.h"
#include "core/model/encoder.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "tests/bench/bench.h"
#include "tests/model/random_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROMPTS = 16, FIRST_BATCH = 4, BATCH_MAX = 1024, WARM_RUNS = 3 };

static struct {
    bool cosine;
    int batch_max; /* of the sweep; 0: none */
} flags;

/* One architecture and number of frames, and the limits measured so far. */
struct subject {
    char name[48]; /* "vit-b-16 T8" */
    struct clv_model model;
    struct clv_model_facts facts;
    struct bench_limits limits;
    float *reference; /* vector of the first clip by the CPU in fp32; NULL: not asked for */
};

static int check(int status)
{
    if (status != CLV_OK) {
        fprintf(stderr, "bench_encode: %s\n", clv_error_message());
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
static void open_model(struct clv_model *out, const char *arch, int frames)
{
    char path[] = "/tmp/bench_encode.XXXXXX";
    int file = mkstemp(path);
    *out = (struct clv_model){0};
    if (file < 0 || !random_model_arch(&out->config, arch, frames, CLV_MASK_KMT, false)) {
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

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Of one block over `rows`, `queries` of which it computes to the end: the stream is fp32, what
 * lies between two products has `wide` bytes a number, and so have weights. */
static double block_bytes(const struct clv_tower *tower, double rows, double queries, double wide)
{
    const double w = tower->width, hidden = tower->mlp_width;
    const double norm = 4 * w + wide * w;
    const double keys = rows * (norm + wide * 3 * w + wide * 2 * w); /* k and v, read again */
    const double query = wide * 2 * w + wide * w + wide * w;         /* q, read again; its result */
    const double rest = wide * w + 8 * w + norm + wide * (w + 2 * hidden) + 8 * w;
    return keys + queries * (query + rest) + wide * (4 * w * w + 2 * w * hidden);
}

static double blocks_bytes(const struct clv_tower *tower, double rows, double last, double wide)
{
    if (tower->layer_count == 0)
        return 0;
    return (tower->layer_count - 1) * block_bytes(tower, rows, rows, wide) +
           block_bytes(tower, rows, last, wide);
}

/* Gigabytes that the ops of `frames` frames' tokens read and write at least. */
static double frames_gbytes(const struct clv_model_config *config, double frames, double wide)
{
    const double w = config->vision.width, rows = frames * config->token_count;
    const double pixels = frames * 3 * config->image_side * config->image_side;
    const double last = config->temporal.layer_count ? rows : frames;
    const double patches =
        pixels + 2 * wide * pixels + wide * 3 * config->patch_side * config->patch_side * w;
    const double embed = rows * w * (4 + 8 + 8); /* from the product, embedded, normed */
    return 1e-9 * (patches + embed + blocks_bytes(&config->vision, rows, last, wide));
}

static double windows_gbytes(const struct clv_model_config *config, double windows, double wide)
{
    const double frames = windows * config->frame_count, rows = frames * config->token_count;
    return 1e-9 * (rows * config->temporal.width * 8 +
                   blocks_bytes(&config->temporal, rows, frames, wide));
}

/* Bytes of a number between two products. */
static double wide_of(const struct clv_device *device)
{
    return (double)clv_type_bytes(clv_device_activation_type(device));
}

/* ---- vision ---------------------------------------------------------------------------------- */

/* An encoder of `batch` clips a pass, and their frames. */
struct run {
    struct clv_device *device;
    struct clv_encoder *encoder;
    int batch;
    bool is_under_way; /* the vectors of the last run are not there yet */
    int32_t *slots;
    uint8_t *bytes; /* of the frames, and where each begins */
    const uint8_t **squares;
    float *vectors;
};

static void run_close(struct run *run)
{
    clv_encoder_free(run->encoder);
    clv_device_close(run->device);
    free(run->slots);
    free(run->bytes);
    free(run->squares);
    free(run->vectors);
    *run = (struct run){0};
}

/* CLV_ENOMEM where the device has not the memory. */
static int run_open(struct run *run, const struct subject *subject, int batch)
{
    const struct clv_model_config *config = &subject->model.config;
    const int frames = batch * config->frame_count;
    const size_t frame = 3 * (size_t)config->image_side * (size_t)config->image_side;
    const struct clv_encoder_options options = {.no_text = true,
                                                .slot_count = frames,
                                                .frame_batch_max = frames,
                                                .window_batch_max = batch};
    *run = (struct run){.batch = batch};
    int status = bench_device_open(&run->device);
    if (status == CLV_OK)
        status = clv_encoder_create(&run->encoder, run->device, subject->model.weights, config,
                                    &options);
    run->slots = need((size_t)frames, sizeof *run->slots);
    run->vectors = need((size_t)(batch * config->embed_dim), sizeof *run->vectors);
    run->bytes = need((size_t)frames * frame, 1);
    run->squares = need((size_t)frames, sizeof *run->squares);
    for (int i = 0; i < frames; i++) {
        run->slots[i] = i;
        run->squares[i] = run->bytes + (size_t)i * frame;
    }
    for (size_t i = 0; i < (size_t)frames * frame; i++)
        run->bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    return status;
}

static int encode_frames(struct run *run)
{
    const int frames = run->batch * clv_encoder_config(run->encoder)->frame_count;
    return clv_encoder_squares(run->encoder, run->slots, run->squares, frames);
}

/* What nobody reads yet may not be computed yet. */
static int encode_frames_alone(struct run *run)
{
    int status = encode_frames(run);
    return status == CLV_OK ? clv_device_sync(run->device) : status;
}

static int encode_windows(struct run *run)
{
    return clv_encoder_windows(run->encoder, &(struct clv_window_outputs){.vectors = run->vectors},
                               run->slots, run->batch);
}

/* Waits for what the last run has begun. */
static int end_clips(struct run *run)
{
    const bool waits = run->is_under_way;
    run->is_under_way = false;
    return waits ? clv_encoder_windows_end(run->encoder) : CLV_OK;
}

/* One clip is waited for. Batches follow each other as they do in indexing: the frames of one come
 * while those before are computed, and its vectors are waited for when the next has begun. */
static int encode_clips(struct run *run)
{
    const struct clv_window_outputs outputs = {.vectors = run->vectors};
    int status = encode_frames(run);
    if (status != CLV_OK || !flags.batch_max)
        return status == CLV_OK ? encode_windows(run) : status;
    status = end_clips(run);
    if (status == CLV_OK)
        status = clv_encoder_windows_begin(run->encoder, &outputs, run->slots, run->batch);
    run->is_under_way = status == CLV_OK;
    return status;
}

/* What is measured: all of it, or one branch. */
static const struct task {
    const char *name;
    int (*work)(struct run *run);
    bool has_frames, has_windows;
} tasks[] = {
    {"encode", encode_clips, true, true},
    {"spatial", encode_frames_alone, true, false},
    {"temporal", encode_windows, false, true},
};

static double cosine(const float *a, const float *b, int count)
{
    double product = 0, squares_a = 0, squares_b = 0;
    for (int k = 0; k < count; k++) {
        product += (double)a[k] * b[k];
        squares_a += (double)a[k] * a[k];
        squares_b += (double)b[k] * b[k];
    }
    return product / sqrt(squares_a * squares_b);
}

/* A measured batch: its line, not ended yet, and the work of a run. */
struct outcome {
    struct bench bench;
    int batch;
    double gflop, gbyte;
};

static void describe(struct outcome *out, const struct subject *subject, const struct task *task,
                     const struct run *run)
{
    const struct clv_model_config *config = &subject->model.config;
    const double frames = config->frame_count, clips = run->batch, wide = wide_of(run->device);
    double gmacs = 0, gbyte = 0; /* of a clip, and of a pass */
    if (task->has_frames) {
        gmacs += frames * subject->facts.frame_gmacs;
        gbyte += frames_gbytes(config, clips * frames, wide);
    }
    if (task->has_windows) {
        gmacs += subject->facts.window_gmacs;
        gbyte += windows_gbytes(config, clips, wide);
    }
    out->gflop = 2 * gmacs * clips;
    out->gbyte = gbyte;
    bench_device(&out->bench, run->device);
    bench_number(&out->bench, "batch", clips);
    bench_number(&out->bench, "clips_per_s", clips / bench_min(&out->bench));
    bench_number(&out->bench, "frames_per_s", clips * frames / bench_min(&out->bench));
    bench_number(&out->bench, "gmacs_per_clip", gmacs);
    bench_number(&out->bench, "replays", (double)clv_device_replay_count(run->device));
    bench_number(&out->bench, "memory_peak_mib",
                 (double)clv_device_memory_peak(run->device) / (1024.0 * 1024.0));
    if (subject->reference && task->has_windows)
        bench_number(&out->bench, "cosine",
                     cosine(run->vectors, subject->reference, config->embed_dim));
}

/* CLV_ENOMEM where the device has not the memory; any other failure ends the program. */
static int measure(struct outcome *out, const struct subject *subject, const struct task *task,
                   int batch)
{
    struct run run;
    char name[80];
    int status = run_open(&run, subject, batch);
    const char *replay = getenv("CLV_BENCH_REPLAY");
    snprintf(name, sizeof name, "%s %s%s%s", task->name, subject->name,
             flags.batch_max ? "" : ", one clip",
             replay && strcmp(replay, "0") == 0 ? ", ops called" : "");
    *out = (struct outcome){.batch = batch};
    bench_begin(&out->bench, "encode", name);
    out->bench.warm_min = WARM_RUNS;
    if (status == CLV_OK)
        status = encode_clips(&run); /* windows need frames to look at */
    while (status == CLV_OK && bench_next(&out->bench))
        status = task->work(&run);
    if (status == CLV_OK)
        status = end_clips(&run);
    if (status == CLV_OK)
        describe(out, subject, task, &run);
    else if (status != CLV_ENOMEM)
        check(status);
    run_close(&run);
    return status;
}

static double speed(struct outcome *outcome)
{
    return outcome->batch / bench_min(&outcome->bench);
}

/* Prints the best batch's line, or that of one clip. */
static void bench_task(struct subject *subject, const struct task *task)
{
    struct outcome best, next;
    int falls = 0;
    check(bench_limits_raise_apart(&subject->limits));
    check(measure(&best, subject, task, flags.batch_max ? FIRST_BATCH : 1));
    for (int batch = 2 * FIRST_BATCH; batch <= flags.batch_max && falls < 2; batch *= 2) {
        if (measure(&next, subject, task, batch) != CLV_OK) {
            bench_drop(&next.bench);
            break;
        }
        falls = speed(&next) > 1.02 * speed(&best) ? 0 : falls + 1;
        struct outcome *worse = speed(&next) > speed(&best) ? &best : &next;
        bench_drop(&worse->bench);
        if (worse == &best)
            best = next;
    }
    check(bench_limits_raise_apart(&subject->limits));
    bench_shares(&best.bench, &subject->limits, best.gflop, best.gbyte);
    bench_end(&best.bench);
}

/* Sixteen prompts of the length of CLAVER's templates with a short action. */
static void bench_prompts(const struct subject *subject)
{
    const struct clv_model *model = &subject->model;
    int32_t ids[PROMPTS * 16], starts[PROMPTS + 1] = {0};
    struct clv_device *device = NULL;
    struct clv_encoder *encoder = NULL;
    struct bench bench;
    char name[80];
    float *features = need(PROMPTS * (size_t)model->config.embed_dim, sizeof *features);
    for (int i = 0; i < PROMPTS; i++)
        starts[i + 1] = starts[i] + 8 + i % 6;
    for (int i = 0; i < starts[PROMPTS]; i++)
        ids[i] = (int32_t)((unsigned)i * 2654435761u % (unsigned)model->config.vocabulary_size);
    check(bench_device_open(&device));
    check(clv_encoder_create(&encoder, device, model->weights, &model->config,
                             &(struct clv_encoder_options){.no_vision = true}));
    snprintf(name, sizeof name, "%d texts %s", PROMPTS, subject->name);
    bench_begin(&bench, "encode", name);
    while (bench_next(&bench))
        check(clv_encoder_text(encoder, features, ids, starts, PROMPTS));
    bench_number(&bench, "tokens", starts[PROMPTS]);
    bench_number(&bench, "prompts_per_s", PROMPTS / bench_min(&bench));
    bench_end(&bench);
    clv_encoder_free(encoder);
    clv_device_close(device);
    free(features);
}

/* The first clip's vector by the CPU in fp32. */
static void find_reference(struct subject *subject)
{
    const struct clv_device_options cpu = {.kind = CLV_DEVICE_CPU};
    struct run run;
    check(run_open(&run, subject, 1));
    clv_encoder_free(run.encoder);
    clv_device_close(run.device);
    run.encoder = NULL;
    run.device = NULL;
    check(clv_device_open(&run.device, &cpu));
    check(clv_encoder_create(&run.encoder, run.device, subject->model.weights,
                             &subject->model.config,
                             &(struct clv_encoder_options){.no_text = true}));
    check(encode_clips(&run));
    check(end_clips(&run));
    subject->reference = run.vectors;
    run.vectors = NULL;
    run_close(&run);
}

static void bench_subject(const char *text)
{
    struct subject subject = {0};
    const char *colon = strchr(text, ':');
    const int frames = colon ? (int)strtol(colon + 1, NULL, 10) : 8;
    char arch[32];
    snprintf(arch, sizeof arch, "%.*s", colon ? (int)(colon - text) : (int)sizeof arch - 1, text);
    snprintf(subject.name, sizeof subject.name, "%s T%d", arch, frames);
    open_model(&subject.model, arch, frames);
    check(clv_model_facts(&subject.facts, &subject.model));
    if (flags.cosine)
        find_reference(&subject);
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        bench_task(&subject, &tasks[i]);
    if (!flags.batch_max)
        bench_prompts(&subject);
    free(subject.reference);
    clv_model_release(&subject.model);
}

int main(int argc, char **argv)
{
    int given = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--sweep", 7) == 0)
            flags.batch_max = argv[i][7] == '=' ? (int)strtol(argv[i] + 8, NULL, 10) : BATCH_MAX;
        flags.cosine = flags.cosine || strcmp(argv[i], "--cosine") == 0;
        given += argv[i][0] != '-';
    }
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-')
            bench_subject(argv[i]);
    if (given == 0) {
        bench_subject("vit-b-32");
        bench_subject("vit-b-16");
    }
    return 0;
}
