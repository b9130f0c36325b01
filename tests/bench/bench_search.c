/* Search over a store of many vectors: latency and recall@10 against an exact search, with memory,
 * build time and the cold start beside it.
 *
 *     bench_search [--full | COUNT…]      default 10000 100000; --full adds 1000000
 *
 * Vectors are unit, 512 numbers, in scenes of about a hundred within 64 themes; half of the queries
 * are drawn likewise ("near"), half lie between scenes and far from all ("far"). The peer is plain
 * brute force: one sgemv over a float32 matrix in memory, and the ten best of it. Each part runs in
 * a process of its own, so that its peak memory is its own. */
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/half.h"
#include "storage/store.h"
#include "tests/bench/bench.h"

#include <cblas.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIM = 512, PER_VIDEO = 1000, QUERY_COUNT = 200, TOP = 10 };

struct shared {
    float queries[QUERY_COUNT][DIM];
    int64_t exact[QUERY_COUNT][TOP]; /* indices from 0 in order of insertion */
    float tenth[QUERY_COUNT];
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench_search: %s: %s\n", what, clv_error_message());
    _exit(1);
}

/* splitmix64; four bytes of it, summed, are normal enough and fast. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void noise(float *out, uint64_t seed)
{
    for (int c = 0; c < DIM; c += 2) {
        uint64_t bits = next(&seed);
        for (int k = 0; k < 2; k++, bits >>= 32)
            out[c + k] = (float)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) +
                                 (bits >> 24 & 255)) -
                         510.0f;
    }
}

static void add_scaled(float *out, const float *other, float scale)
{
    for (int c = 0; c < DIM; c++)
        out[c] += scale * other[c];
}

static void normalise(float *out)
{
    double square = 0;
    for (int c = 0; c < DIM; c++)
        square += (double)out[c] * out[c];
    float scale = (float)(1 / sqrt(square));
    for (int c = 0; c < DIM; c++)
        out[c] *= scale;
}

/* Vector number `index` of a set of `count`: one of 64 themes, one of count/100 scenes in it, and
 * noise of its own, as footage is. */
static void make_vector(float *out, uint64_t index, int64_t count, uint64_t stream)
{
    float part[DIM];
    uint64_t state = index * 2 + 1 + (stream << 48);
    uint64_t scene = next(&state) % (uint64_t)(64 + count / 100);
    noise(out, scene % 64 * 104729 + 77);
    noise(part, scene * 7919 + 12345);
    add_scaled(out, part, 0.8f);
    noise(part, next(&state));
    add_scaled(out, part, 0.8f);
    normalise(out);
}

/* Even ones look like the data; odd ones lie between two scenes and far from both, as sentences
 * lie from pictures. */
static void make_query(float *out, int number, int64_t count)
{
    float part[DIM];
    make_vector(out, (uint64_t)number, count, 1);
    if (number % 2 == 0)
        return;
    make_vector(part, (uint64_t)number, count, 2);
    add_scaled(out, part, 1.0f);
    noise(part, (uint64_t)number * 31 + 5);
    normalise(part);
    add_scaled(out, part, 3.0f);
    normalise(out);
}

/* ---- the parts ---- */

static void put_all(struct clv_store *store, int64_t model_id, int64_t count)
{
    float *vectors = malloc(sizeof(float) * DIM * PER_VIDEO);
    struct clv_segment *segments = calloc(PER_VIDEO, sizeof *segments);
    if (!vectors || !segments)
        give_up("memory");
    for (int64_t first = 0; first < count; first += PER_VIDEO) {
        char path[64];
        snprintf(path, sizeof path, "/bench/%d/%07lld.mp4", (int)(first / PER_VIDEO % 10),
                 (long long)first);
        struct clv_video_row video = {
            .path = path, .timebase = {1, 1000}, .duration_ticks = 2000 * PER_VIDEO};
        int64_t here = count - first < PER_VIDEO ? count - first : PER_VIDEO;
        for (int64_t i = 0; i < here; i++) {
            make_vector(vectors + i * DIM, (uint64_t)(first + i), count, 0);
            segments[i] = (struct clv_segment){2000 * i, 2000 * i + 4000, 0, 1, vectors + i * DIM};
        }
        if (clv_store_video_put(store, &video, model_id, segments, (size_t)here) != CLV_OK)
            give_up("put");
    }
    free(vectors);
    free(segments);
}

static int64_t open_model(struct clv_store **store, const char *directory)
{
    struct clv_store_options options = {.create = true};
    struct clv_model_row model = {.name = "bench", .dim = DIM, .frame_count = 8};
    if (clv_store_open(store, directory, &options) != CLV_OK ||
        clv_store_model_put(*store, &model) != CLV_OK)
        give_up("open");
    return model.id;
}

static void begin(struct bench *bench, int64_t count, const char *part)
{
    char name[64];
    snprintf(name, sizeof name, "%s %lld", part, (long long)count);
    bench_begin(bench, "search", name);
}

static void fill(const char *directory, int64_t count)
{
    struct clv_store *store = NULL;
    struct bench bench;
    int64_t model_id = open_model(&store, directory);
    begin(&bench, count, "fill");
    double start = clv_clock_seconds();
    put_all(store, model_id, count);
    bench_sample(&bench, clv_clock_seconds() - start);
    bench_number(&bench, "segments_per_s", (double)count / bench_min(&bench));
    bench_number(&bench, "peak_mib", bench_peak_mib());
    bench_end(&bench);
    clv_store_close(store);
}

static void build(const char *directory, int64_t count)
{
    struct clv_store *store = NULL;
    struct bench bench;
    char kind[64];
    struct clv_store_status status;
    int64_t model_id = open_model(&store, directory);
    begin(&bench, count, "build");
    double start = clv_clock_seconds();
    if (clv_store_refresh(store, NULL) != CLV_OK)
        give_up("refresh");
    bench_sample(&bench, clv_clock_seconds() - start);
    if (clv_store_index_kind(store, model_id, kind) != CLV_OK ||
        clv_store_status(store, &status) != CLV_OK)
        give_up("status");
    bench_text(&bench, "kind", kind);
    bench_number(&bench, "catalog_mib", (double)status.catalog_bytes / 1048576);
    bench_number(&bench, "index_mib", (double)status.vector_bytes / 1048576);
    bench_number(&bench, "peak_mib", bench_peak_mib());
    bench_end(&bench);
    clv_store_close(store);
}

/* The ten best scores, lowest index first among equals. */
static void ten_best(const float *scores, int64_t count, int64_t best[TOP], float *tenth)
{
    int held = 0;
    float values[TOP];
    for (int64_t i = 0; i < count; i++) {
        if (held == TOP && scores[i] <= values[TOP - 1])
            continue;
        int at = held < TOP ? held++ : TOP - 1;
        for (; at > 0 && values[at - 1] < scores[i]; at--) {
            values[at] = values[at - 1];
            best[at] = best[at - 1];
        }
        values[at] = scores[i];
        best[at] = i;
    }
    *tenth = values[held - 1];
}

static void brute_force(struct shared *shared, int64_t count)
{
    struct bench bench;
    float *matrix = malloc(sizeof(float) * DIM * (size_t)count);
    float *scores = malloc(sizeof(float) * (size_t)count);
    if (!matrix || !scores)
        give_up("memory");
    for (int64_t i = 0; i < count; i++) {
        uint16_t half[DIM];
        make_vector(matrix + i * DIM, (uint64_t)i, count, 0);
        clv_half_narrow(half, matrix + i * DIM, DIM);
        clv_half_widen(matrix + i * DIM, half, DIM);
    }
    begin(&bench, count, "brute force float32 sgemv");
    for (int q = 0; q < QUERY_COUNT; q++) {
        double start = clv_clock_seconds();
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)count, DIM, 1, matrix, DIM,
                    shared->queries[q], 1, 0, scores, 1);
        ten_best(scores, count, shared->exact[q], &shared->tenth[q]);
        bench_sample(&bench, clv_clock_seconds() - start);
    }
    bench_number(&bench, "seconds_p95", bench_percentile(&bench, 95));
    bench_number(&bench, "peak_mib", bench_peak_mib());
    bench_end(&bench);
    free(matrix);
    free(scores);
}

/* How many of the ten exact best (or as good) were found. */
static int found(const struct shared *shared, int q, const struct clv_hit *hits, int count)
{
    int found_count = 0;
    for (int i = 0; i < count; i++)
        found_count += hits[i].score >= shared->tenth[q] - 1e-6f;
    return found_count < TOP ? found_count : TOP;
}

static void search_all(struct shared *shared, const char *directory, int64_t count,
                       const char *part, const struct clv_search_filter *filter, int query_count)
{
    struct bench bench;
    struct clv_store *store = NULL;
    struct clv_hit hits[TOP];
    int hit_count = 0, found_count[2] = {0};
    bool counts = filter && !filter->exact;
    begin(&bench, count, part);
    double start = clv_clock_seconds();
    struct clv_store_options options = {.read_only = true};
    if (clv_store_open(&store, directory, &options) != CLV_OK ||
        clv_store_search(store, hits, &hit_count, 1, shared->queries[0], TOP, filter) != CLV_OK)
        give_up("search");
    double cold = clv_clock_seconds() - start;
    for (int q = 0; q < query_count; q++) {
        start = clv_clock_seconds();
        if (clv_store_search(store, hits, &hit_count, 1, shared->queries[q], TOP, filter) != CLV_OK)
            give_up("search");
        bench_sample(&bench, clv_clock_seconds() - start);
        found_count[q % 2] += counts ? hit_count : found(shared, q, hits, hit_count);
    }
    bench_number(&bench, "seconds_p95", bench_percentile(&bench, 95));
    double half = query_count * TOP / 2.0;
    bench_number(&bench, counts ? "given_of_10_near" : "recall_at_10_near", found_count[0] / half);
    bench_number(&bench, counts ? "given_of_10_far" : "recall_at_10_far", found_count[1] / half);
    bench_number(&bench, "seconds_open_and_first", cold);
    bench_number(&bench, "peak_mib", bench_peak_mib());
    bench_end(&bench);
    clv_store_close(store);
}

/* ---- the whole ---- */

enum part { FILL, BUILD, BRUTE_FORCE, SEARCH, SEARCH_GLOB, SEARCH_TIME, SEARCH_EXACT, PART_COUNT };

static void run_part(enum part part, struct shared *shared, const char *directory, int64_t count)
{
    static const struct clv_search_filter glob = {.glob = "/bench/3/*"};
    static const struct clv_search_filter time = {.from_ms = 100000, .to_ms = 110000};
    static const struct clv_search_filter exact = {.exact = true};
    switch (part) {
    case FILL:
        fill(directory, count);
        break;
    case BUILD:
        build(directory, count);
        break;
    case BRUTE_FORCE:
        brute_force(shared, count);
        break;
    case SEARCH:
        search_all(shared, directory, count, "search", NULL, QUERY_COUNT);
        break;
    case SEARCH_GLOB:
        search_all(shared, directory, count, "search in a tenth", &glob, QUERY_COUNT / 4);
        break;
    case SEARCH_TIME:
        search_all(shared, directory, count, "search in ten seconds of each", &time,
                   QUERY_COUNT / 4);
        break;
    default:
        search_all(shared, directory, count, "search exact", &exact, QUERY_COUNT / 20);
    }
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static int run_size(struct shared *shared, int64_t count)
{
    const char *base = getenv("TMPDIR");
    char directory[512];
    snprintf(directory, sizeof directory, "%s/claverdb-bench-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(directory))
        return 1;
    for (int q = 0; q < QUERY_COUNT; q++)
        make_query(shared->queries[q], q, count);
    int failed = 0;
    for (int part = FILL; part < PART_COUNT && !failed; part++) {
        int status = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            run_part((enum part)part, shared, directory, count);
            fflush(stdout);
            _exit(0);
        }
        failed = child < 0 || waitpid(child, &status, 0) != child || status != 0;
    }
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed;
}

int main(int argc, char **argv)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    bool full = argc == 2 && strcmp(argv[1], "--full") == 0;
    int failed = 0;
    if (argc == 1 || full) {
        failed = run_size(shared, 10000) || run_size(shared, 100000);
        if (full && !failed)
            failed = run_size(shared, 1000000);
    }
    for (int i = 1; i < argc && !full && !failed; i++)
        failed = run_size(shared, strtoll(argv[i], NULL, 10));
    return failed;
}
