/* The cold start of one `claverdb search` at ViT-B/32's size, page cache warm: whole processes by
 * the wall clock, with a text seen for the first time and one in the prompt cache; what their parts
 * cost; and the two floors of the text branch, in the same run: its arithmetic at the machine's
 * measured sgemm peak, and its weights read once from a fresh map. Needs a vocabulary in
 * ../shared/vocab; says so where it is absent. */
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/model.h"
#include "core/model/prompts.h"
#include "core/model/weights.h"
#include "storage/store.h"
#include "tests/bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT_COUNT 5000
#define RUN_COUNT 9
#define PATH_SIZE 4096

/* Paths of what one run uses. */
struct place {
    char folder[PATH_SIZE], program[PATH_SIZE], maker[PATH_SIZE];
    char model[PATH_SIZE], vocabulary[PATH_SIZE], database[PATH_SIZE];
};

static bool say(const char *what)
{
    fprintf(stderr, "bench_cold: %s: %s\n", what, clv_error_message());
    return false;
}

static bool join(char *out, const char *a, const char *b)
{
    int size = snprintf(out, PATH_SIZE, "%s/%s", a, b);
    return size > 0 && size < PATH_SIZE;
}

/* Runs a program, keeping what it writes to stdout (NULL: nowhere); its wall time, negative where
 * it failed. */
static double run(const char *const *arguments, struct clv_bytes *output)
{
    int ends[2];
    char buffer[4096];
    ssize_t size;
    int status = -1;
    if (pipe(ends) != 0)
        return -1;
    double started = clv_clock_seconds();
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(ends[1]);
    while ((size = read(ends[0], buffer, sizeof buffer)) > 0)
        if (output)
            clv_bytes_add(output, buffer, (size_t)size);
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) ||
        WEXITSTATUS(status) > 1)
        return -1;
    return clv_clock_seconds() - started;
}

/* ---- what is searched ------------------------------------------------------------------------ */

static bool make_model(const struct place *place)
{
    const char *arguments[] = {place->maker, place->model, "--arch", "vit-b-32", NULL};
    char link[PATH_SIZE];
    if (run(arguments, NULL) < 0) {
        fprintf(stderr, "bench_cold: '%s' failed\n", place->maker);
        return false;
    }
    return join(link, place->folder, "bpe_simple_vocab_16e6.txt.gz") &&
           symlink(place->vocabulary, link) == 0;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool put_videos(struct clv_store *store, int64_t model_id, int dim)
{
    enum { VIDEOS = 50, EACH = SEGMENT_COUNT / 50 };
    static struct clv_segment segments[EACH];
    float *vectors = calloc((size_t)EACH * (size_t)dim, sizeof *vectors);
    uint64_t state = 88172645463325252u;
    int status = vectors ? CLV_OK : clv_fail_memory("vectors");
    for (int v = 0; v < VIDEOS && status == CLV_OK; v++) {
        char path[64];
        snprintf(path, sizeof path, "/video/%03d.mp4", v);
        struct clv_video_row row = {.path = path,
                                    .error = "",
                                    .codec = "h264",
                                    .container = "mp4",
                                    .timebase = {1, 1000},
                                    .size_bytes = 1,
                                    .duration_ticks = 2000 * (EACH + 1)};
        clv_digest_bytes(row.digest, path, strlen(path));
        for (int i = 0; i < EACH; i++) {
            float *vector = vectors + (size_t)i * (size_t)dim;
            double square = 0;
            for (int k = 0; k < dim; k++) {
                vector[k] = (float)((double)(next_random(&state) >> 11) * 0x1p-53 - 0.5);
                square += (double)vector[k] * vector[k];
            }
            for (int k = 0; k < dim; k++)
                vector[k] = (float)(vector[k] / sqrt(square));
            segments[i] = (struct clv_segment){.start_ticks = 2000 * (int64_t)i,
                                               .end_ticks = 2000 * (int64_t)i + 4000,
                                               .norm = 1,
                                               .vector = vector};
        }
        status = clv_store_video_put(store, &row, model_id, segments, EACH);
    }
    free(vectors);
    return status == CLV_OK;
}

static bool make_store(const struct place *place, const struct clv_model *model)
{
    struct clv_store_options create = {.create = true};
    struct clv_store *store = NULL;
    struct clv_model_row row = {.name = "model",
                                .path = place->model,
                                .dim = model->config.embed_dim,
                                .frame_count = model->config.frame_count};
    memcpy(row.digest, model->digest, sizeof row.digest);
    bool ok = clv_store_open(&store, place->database, &create) == CLV_OK &&
              clv_store_model_put(store, &row) == CLV_OK && put_videos(store, row.id, row.dim) &&
              clv_store_refresh(store, NULL) == CLV_OK;
    clv_store_close(store);
    return ok ? true : say("the database");
}

/* ---- whole processes ------------------------------------------------------------------------- */

/* A number of the summary, the last line of --json. */
static double summary_of(const struct clv_bytes *output, const char *key)
{
    struct clv_json *json = NULL;
    double value = -1;
    size_t end = output->size_bytes;
    while (end > 0 && output->data[end - 1] == '\n')
        end--;
    size_t start = end;
    while (start > 0 && output->data[start - 1] != '\n')
        start--;
    if (clv_json_parse(&json, output->data + start, end - start, "the summary") == CLV_OK)
        value = clv_json_number(clv_json_get(json, key), -1);
    clv_json_free(json);
    return value;
}

/* Searches with texts that change with `fresh`, or one text. False where the program failed. */
static bool time_searches(const struct place *place, const char *case_name, bool fresh)
{
    struct bench bench, encode = {0}, search = {0};
    bench_begin(&bench, "cold", case_name);
    bool ok = true;
    for (int i = 0; i <= RUN_COUNT && ok; i++) {
        char text[64];
        struct clv_bytes output = {0};
        snprintf(text, sizeof text, "a person opens door number %d", fresh ? 100 + i : 7);
        const char *arguments[] = {place->program,  "search",  "--json",     "--quiet", "--db",
                                   place->database, "--model", place->model, text,      NULL};
        double seconds = run(arguments, &output);
        ok = seconds >= 0 && output.status == CLV_OK && output.size_bytes > 0;
        if (ok && i > 0) { /* the first one warms caches and remembers the text */
            bench_sample(&bench, seconds);
            bench_sample(&encode, summary_of(&output, "encode_s"));
            bench_sample(&search, summary_of(&output, "search_s"));
        }
        clv_bytes_release(&output);
    }
    bench_number(&bench, "encode_s", bench_median(&encode));
    bench_number(&bench, "search_s", bench_median(&search));
    bench_number(&bench, "rest_s",
                 bench_median(&bench) - bench_median(&encode) - bench_median(&search));
    bench_number(&bench, "segments", SEGMENT_COUNT);
    bench_end(&bench);
    return ok;
}

static void time_start(const struct place *place)
{
    struct bench bench;
    const char *arguments[] = {place->program, "--version", NULL};
    bench_begin(&bench, "cold", "process start (--version)");
    for (int i = 0; i <= RUN_COUNT; i++) {
        double seconds = run(arguments, NULL);
        if (i > 0)
            bench_sample(&bench, seconds);
    }
    bench_end(&bench);
}

/* ---- parts, in this process ------------------------------------------------------------------ */

static bool time_model(const struct place *place, const char *case_name, const char *vocabulary)
{
    struct bench bench;
    struct clv_model_options options = {.vocabulary_path = vocabulary};
    bool ok = true;
    bench_begin(&bench, "cold", case_name);
    bench.run_min = RUN_COUNT;
    bench.seconds_goal = 0;
    while (ok && bench_next(&bench)) {
        struct clv_model model;
        ok = clv_model_open(&model, place->model, &options) == CLV_OK;
        if (ok)
            clv_model_release(&model);
    }
    bench_end(&bench);
    return ok ? true : say("the model");
}

static void time_device(void)
{
    struct bench bench;
    bench_begin(&bench, "cold", "device open");
    bench.run_min = RUN_COUNT;
    bench.seconds_goal = 0;
    while (bench_next(&bench)) {
        struct clv_device_options any = {0};
        struct clv_device *device;
        if (clv_device_open(&device, &any) == CLV_OK)
            clv_device_close(device);
    }
    bench_end(&bench);
}

/* The templates of one query. */
struct prompts {
    struct clv_bytes filled[64];
    const char *texts[64];
    int count;
    int64_t token_count;
};

static void prompts_fill(struct prompts *prompts, const struct clv_model *model)
{
    int32_t ids[1024];
    *prompts = (struct prompts){.count = clv_prompt_template_count};
    for (int i = 0; i < prompts->count; i++) {
        int ids_count = 0;
        (void)clv_prompt_fill(&prompts->filled[i], clv_prompt_templates[i],
                              "a person opens door number 7");
        prompts->texts[i] = prompts->filled[i].data;
        (void)clv_tokenizer_encode(model->tokenizer, ids, &ids_count, NULL, prompts->texts[i],
                                   model->config.context_length);
        prompts->token_count += ids_count;
    }
}

/* Weights of the text branch that every token meets. */
static bool is_text_block(const char *name)
{
    return strncmp(name, "transformer.resblocks.", 22) == 0 || strcmp(name, "text_projection") == 0;
}

/* Reads the text branch's weights once, in 8 sums so that the adder is no limit. */
static double sum_text_weights(const struct clv_weights *weights, size_t *bytes_out)
{
    double total = 0;
    *bytes_out = 0;
    for (size_t t = 0; t < clv_weights_count(weights); t++) {
        const struct clv_weight_entry *entry = clv_weights_at(weights, t);
        const uint64_t *data = entry->data;
        uint64_t sums[8] = {0};
        if (!is_text_block(entry->name))
            continue;
        for (size_t i = 0; i + 8 <= entry->size_bytes / 8; i += 8)
            for (int lane = 0; lane < 8; lane++)
                sums[lane] += data[i + (size_t)lane];
        for (int lane = 0; lane < 8; lane++)
            total += (double)(sums[lane] & 1023);
        *bytes_out += entry->size_bytes;
    }
    return total;
}

static bool time_weights(const struct place *place)
{
    struct bench bench;
    size_t bytes = 0;
    volatile double sink = 0;
    bool ok = true;
    bench_begin(&bench, "cold", "floor: read the text weights once from a fresh map, one thread");
    for (int i = 0; i <= RUN_COUNT && ok; i++) {
        struct clv_weights *weights;
        ok = clv_weights_open(&weights, place->model) == CLV_OK;
        if (!ok)
            break;
        double started = clv_clock_seconds();
        sink += sum_text_weights(weights, &bytes);
        if (i > 0)
            bench_sample(&bench, clv_clock_seconds() - started);
        clv_weights_close(weights);
    }
    bench_number(&bench, "mib", (double)bytes / 1048576);
    bench_number(&bench, "gib_per_s", (double)bytes / 1073741824 / bench_min(&bench));
    bench_end(&bench);
    return ok ? true : say("the weights");
}

/* Making the encoder and encoding a query's prompts, against the arithmetic alone. */
static bool time_text(const struct clv_model *model)
{
    struct bench create, first, again;
    struct clv_device_options any = {0};
    struct clv_encoder_options options = {.no_vision = true};
    struct clv_device *device = NULL;
    struct prompts prompts;
    const struct clv_tower *tower = &model->config.text;
    float *features = calloc(64 * (size_t)model->config.embed_dim, sizeof *features);
    if (!features || clv_device_open(&device, &any) != CLV_OK)
        return say("the device");
    prompts_fill(&prompts, model);
    bench_begin(&create, "cold", "text encoder create");
    bench_begin(&first, "cold", "text encode, 16 prompts, first time");
    bench_begin(&again, "cold", "text encode, 16 prompts, again");
    bool ok = true;
    for (int i = 0; i <= RUN_COUNT && ok; i++) {
        struct clv_encoder *encoder = NULL;
        double started = clv_clock_seconds();
        ok = clv_encoder_create(&encoder, device, model->weights, &model->config, &options) ==
             CLV_OK;
        double created = clv_clock_seconds();
        ok = ok && clv_model_encode_texts(model, encoder, features, NULL, prompts.texts,
                                          prompts.count) == CLV_OK;
        double encoded = clv_clock_seconds();
        ok = ok && clv_model_encode_texts(model, encoder, features, NULL, prompts.texts,
                                          prompts.count) == CLV_OK;
        double repeated = clv_clock_seconds();
        clv_encoder_free(encoder);
        if (i > 0) {
            bench_sample(&create, created - started);
            bench_sample(&first, encoded - created);
            bench_sample(&again, repeated - encoded);
        }
    }
    /* Linear layers only: 12 W^2 multiply-adds per token and block. */
    double flop =
        24.0 * tower->width * tower->width * tower->layer_count * (double)prompts.token_count;
    double peak = bench_sgemm_peak(device, 1536);
    bench_number(&again, "tokens", (double)prompts.token_count);
    bench_number(&again, "gflops", 1e-9 * flop / bench_min(&again));
    bench_number(&again, "sgemm_peak_gflops", peak);
    bench_number(&again, "floor_s", 1e-9 * flop / peak);
    bench_end(&create);
    bench_end(&first);
    bench_end(&again);
    for (int i = 0; i < prompts.count; i++)
        clv_bytes_release(&prompts.filled[i]);
    free(features);
    clv_device_close(device);
    return ok ? true : say("the text encoder");
}

/* ---- entry ----------------------------------------------------------------------------------- */

static bool find_place(struct place *place, const char *self)
{
    char beside[PATH_SIZE], own[PATH_SIZE];
    const char *base = clv_path_base(self);
    const char *temporary = getenv("TMPDIR");
    char *absolute = NULL;
    snprintf(own, sizeof own, "%.*s", base > self ? (int)(base - self) : 1,
             base > self ? self : ".");
    if (clv_path_absolute(&absolute, "../shared/vocab/bpe_simple_vocab_16e6.txt.gz") != CLV_OK)
        return false;
    snprintf(place->vocabulary, sizeof place->vocabulary, "%s", absolute);
    free(absolute);
    if (!join(beside, own, "../../claverdb") || clv_path_absolute(&absolute, beside) != CLV_OK)
        return say("the program");
    snprintf(place->program, sizeof place->program, "%s", absolute);
    free(absolute);
    if (!join(place->maker, own, "../tools/make_model") ||
        !join(place->folder, temporary ? temporary : "/tmp", "claverdb-cold-XXXXXX") ||
        !mkdtemp(place->folder))
        return false;
    return join(place->model, place->folder, "model.safetensors") &&
           join(place->database, place->folder, "db");
}

static bool measure(const struct place *place)
{
    struct clv_model model;
    if (clv_model_open(&model, place->model, &(struct clv_model_options){0}) != CLV_OK)
        return say("the model");
    bool ok = make_store(place, &model) && time_searches(place, "search, new text", true) &&
              time_searches(place, "search, text in the prompt cache", false);
    time_start(place);
    time_device();
    ok = ok && time_model(place, "model open", NULL) && time_text(&model) && time_weights(place);
    clv_model_release(&model);
    return ok;
}

int main(int argc, char **argv)
{
    /* The searches start as a person's do, without what quietens this process's own threads. */
    unsetenv("GOMP_SPINCOUNT");
    struct place place = {0};
    (void)argc;
    if (!find_place(&place, argv[0])) {
        if (place.vocabulary[0])
            return 1;
        fprintf(stderr, "bench_cold: skipped, no vocabulary in ../shared/vocab\n");
        return 0;
    }
    setenv("XDG_DATA_HOME", place.folder, 1);
    bool ok = make_model(&place) && measure(&place);
    const char *arguments[] = {"/bin/rm", "-rf", place.folder, NULL};
    (void)run(arguments, NULL);
    return ok ? 0 : 1;
}
