/* Timing and JSON lines for the benchmarks. */
#include "tests/bench/bench.h"

#include "core/bytes.h"
#include "core/clock.h"
#include "core/compute/ops.h"
#include "core/error.h"
#include "core/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void bench_begin(struct bench *bench, const char *name, const char *case_name)
{
    *bench =
        (struct bench){.run_min = 5, .warm_min = 1, .seconds_goal = 1.0, .line = clv_json_object()};
    clv_json_put_string(bench->line, "bench", name);
    clv_json_put_string(bench->line, "case", case_name);
}

void bench_sample(struct bench *bench, double seconds)
{
    if (bench->count < BENCH_RUN_MAX)
        bench->seconds[bench->count++] = seconds;
    bench->total_s += seconds;
}

bool bench_next(struct bench *bench)
{
    double now = clv_clock_seconds();
    if (bench->started > 0) {
        if (bench->warm_count >= bench->warm_min)
            bench_sample(bench, now - bench->started);
        else
            bench->warm_count++;
    }
    if (bench->count >= BENCH_RUN_MAX ||
        (bench->count >= bench->run_min && bench->total_s >= bench->seconds_goal))
        return false;
    bench->started = clv_clock_seconds();
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(struct bench *bench, double percent)
{
    if (bench->count == 0)
        return 0.0;
    qsort(bench->seconds, (size_t)bench->count, sizeof *bench->seconds, by_value);
    int index = (int)(percent / 100.0 * (bench->count - 1) + 0.5);
    return bench->seconds[index];
}

double bench_min(struct bench *bench)
{
    return bench_percentile(bench, 0.0);
}

double bench_median(struct bench *bench)
{
    return bench_percentile(bench, 50.0);
}

void bench_number(struct bench *bench, const char *key, double value)
{
    clv_json_put_number(bench->line, key, value);
}

void bench_text(struct bench *bench, const char *key, const char *value)
{
    clv_json_put_string(bench->line, key, value);
}

void bench_end(struct bench *bench)
{
    if (bench->count > 0) {
        bench_number(bench, "seconds_min", bench_min(bench));
        bench_number(bench, "seconds_median", bench_median(bench));
        clv_json_put_integer(bench->line, "runs", bench->count);
    }
    struct clv_bytes text = {0};
    if (clv_json_write(&text, bench->line, false) == 0)
        printf("%s\n", text.data);
    fflush(stdout);
    clv_bytes_release(&text);
    bench_drop(bench);
}

void bench_drop(struct bench *bench)
{
    clv_json_free(bench->line);
    bench->line = NULL;
}

double bench_peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024.0;
}

/* What the environment asks for. */
static struct clv_device_options device_options(void)
{
    static const char *const precisions[] = {"fp32", "tf32", "bf16"};
    const char *device = getenv("CLV_BENCH_DEVICE"), *precision = getenv("CLV_BENCH_PRECISION");
    const char *replay = getenv("CLV_BENCH_REPLAY");
    struct clv_device_options options = {.kind = CLV_DEVICE_CPU,
                                         .no_replay = replay && strcmp(replay, "0") == 0};
    if (device && strcmp(device, "cuda") == 0)
        options.kind = CLV_DEVICE_CUDA;
    for (int i = 0; precision && i < 3; i++)
        if (strcmp(precision, precisions[i]) == 0)
            options.precision = (enum clv_precision)i;
    return options;
}

static int open_device(struct clv_device **out, const struct clv_device_options *options)
{
    int status = clv_device_open(out, options);
    if (status != 0)
        fprintf(stderr, "%s\n", clv_error_message());
    return status;
}

int bench_device_open(struct clv_device **out)
{
    const struct clv_device_options options = device_options();
    return open_device(out, &options);
}

/* Of which half are what each of two CPUs gets. */
static int thread_count(void)
{
    const char *given = getenv("OMP_NUM_THREADS");
    const long count = given ? strtol(given, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);
    return count > 1 ? (int)count : 1;
}

int bench_devices_open(struct clv_device **out, int *count_out, int device_max)
{
    struct clv_device_options options = device_options();
    const bool is_cpu = options.kind == CLV_DEVICE_CPU;
    const int there = is_cpu ? 2 : clv_device_count(CLV_DEVICE_CUDA);
    if (is_cpu)
        options.thread_count = (thread_count() + 1) / 2;
    for (*count_out = 0; *count_out < there && *count_out < device_max; ++*count_out) {
        options.cuda_index = *count_out;
        int status = open_device(&out[*count_out], &options);
        if (status != CLV_OK) {
            bench_devices_close(out, *count_out);
            return status;
        }
    }
    return CLV_OK;
}

void bench_devices_close(struct clv_device **devices, int count)
{
    for (int i = 0; i < count; i++)
        clv_device_close(devices[i]);
}

/* A square of small numbers, made in fp32 and rounded by an op where its type is another. */
static void fill_square(struct clv_device *device, struct clv_tensor out, struct clv_tensor room,
                        const float *host)
{
    const size_t size_bytes = (size_t)out.rows * (size_t)out.cols * sizeof *host;
    if (out.type == CLV_TYPE_FP32) {
        clv_device_write(device, out.data, host, size_bytes);
        return;
    }
    clv_device_write(device, room.data, host, size_bytes);
    clv_layer_norm(device, out, room, room.data, room.data); /* whatever it scales by */
}

double bench_sgemm_peak(struct clv_device *device, int side)
{
    const enum clv_type type = clv_device_activation_type(device);
    const size_t elements = (size_t)side * (size_t)side;
    struct clv_buffer *buffer = NULL;
    if (clv_buffer_create(&buffer, device, 3 * elements * sizeof(float)) != 0)
        return 0.0;
    float *data = clv_buffer_data(buffer);
    float *host = malloc(elements * sizeof(float));
    uint32_t state = 1; /* numbers without a pattern: a card's clock depends on them */
    for (size_t i = 0; host && i < elements; i++) {
        state = state * 1664525u + 1013904223u;
        host[i] = (float)(state >> 8) * (1.0f / 16777216.0f) - 0.5f;
    }
    struct clv_tensor a = clv_tensor_of(type, data, side, side);
    struct clv_tensor b = clv_tensor(data + elements, side, side);
    struct clv_tensor c = clv_tensor_of(type, data + 2 * elements, side, side);
    if (host) {
        fill_square(device, b, b, host);
        fill_square(device, a, b, host);
    }
    free(host);
    struct clv_weight weight;
    clv_weight_prepare(device, &weight, b, CLV_WEIGHT_OUT_IN);
    double best = 1e30;
    for (int run = 0; run < 6; run++) {
        double started = clv_clock_seconds();
        clv_linear(device, c, a, &weight, NULL, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
        if (clv_device_sync(device) != 0)
            break;
        double seconds = clv_clock_seconds() - started;
        if (run > 0 && seconds < best)
            best = seconds;
    }
    clv_weight_release(&weight);
    clv_buffer_free(buffer);
    return 2e-9 * (double)side * side * side / best;
}

/* ---- limits ---------------------------------------------------------------------------------- */

enum { FILL_PIECE = 1 << 24 };
enum { CPU_SIDE = 2048, CUDA_SIDE = 8192, COPY_MIB_CPU = 128, COPY_MIB_CUDA = 1024, COPIES = 4 };

static double copy_peak(struct clv_device *device, size_t size_bytes)
{
    const int cols = 4096, rows = (int)(size_bytes / sizeof(float) / (size_t)cols);
    struct clv_buffer *buffer = NULL;
    double best = 1e30;
    if (clv_buffer_create(&buffer, device, 2 * size_bytes) != CLV_OK)
        return 0;
    float *data = clv_buffer_data(buffer);
    const struct clv_tensor from = clv_tensor(data, rows, cols);
    const struct clv_tensor to = clv_tensor(data + (size_t)rows * (size_t)cols, rows, cols);
    for (int run = 0; run < 6; run++) {
        const double started = clv_clock_seconds();
        for (int i = 0; i < COPIES; i++)
            clv_copy(device, to, from);
        if (clv_device_sync(device) != CLV_OK)
            break;
        const double seconds = (clv_clock_seconds() - started) / COPIES;
        if (run > 0 && seconds < best)
            best = seconds;
    }
    clv_buffer_free(buffer);
    return 2e-9 * (double)size_bytes / best;
}

void bench_limits_raise(struct bench_limits *limits, struct clv_device *device)
{
    const bool is_cpu = clv_device_kind(device) == CLV_DEVICE_CPU;
    const size_t copied = (size_t)(is_cpu ? COPY_MIB_CPU : COPY_MIB_CUDA) << 20;
    const double gflops = bench_sgemm_peak(device, is_cpu ? CPU_SIDE : CUDA_SIDE);
    const double gbytes_per_s = copy_peak(device, copied);
    if (gflops > limits->gflops)
        limits->gflops = gflops;
    if (gbytes_per_s > limits->gbytes_per_s)
        limits->gbytes_per_s = gbytes_per_s;
}

int bench_limits_raise_apart(struct bench_limits *limits)
{
    struct clv_device *device = NULL;
    int status = bench_device_open(&device);
    if (status != CLV_OK)
        return status;
    bench_limits_raise(limits, device);
    clv_device_close(device);
    return CLV_OK;
}

void bench_shares(struct bench *bench, const struct bench_limits *limits, double gflop,
                  double gbyte)
{
    const double seconds = bench_min(bench);
    if (gflop > 0) {
        bench_number(bench, "gflops", gflop / seconds);
        bench_number(bench, "peak_gflops", limits->gflops);
        bench_number(bench, "share_of_peak", gflop / seconds / limits->gflops);
    }
    if (gbyte > 0) {
        bench_number(bench, "gbytes_per_s", gbyte / seconds);
        bench_number(bench, "peak_gbytes_per_s", limits->gbytes_per_s);
        bench_number(bench, "share_of_bandwidth", gbyte / seconds / limits->gbytes_per_s);
    }
}

void bench_device(struct bench *bench, const struct clv_device *device)
{
    static const char *const precisions[] = {"fp32", "tf32", "bf16"};
    bench_text(bench, "device", clv_device_name(device));
    bench_text(bench, "precision", precisions[clv_device_precision(device)]);
}

float *bench_take(float **at, size_t count)
{
    float *taken = *at;
    *at += (count + 15) & ~(size_t)15;
    return taken;
}

int bench_fill(struct clv_device *device, struct clv_buffer *buffer, size_t float_count)
{
    const size_t piece = float_count < FILL_PIECE ? float_count : FILL_PIECE;
    float *data = clv_buffer_data(buffer), *host = malloc((piece + 1) * sizeof *host);
    if (!host)
        return -1;
    uint32_t state = 1;
    for (size_t at = 0; at < float_count; at += piece) {
        const size_t count = float_count - at < piece ? float_count - at : piece;
        for (size_t i = 0; i < count; i++) {
            state = state * 1664525u + 1013904223u;
            host[i] = (float)(state >> 8) * (0.1f / 16777216.0f) - 0.05f;
        }
        clv_device_write(device, data + at, host, count * sizeof *host);
    }
    free(host);
    return 0;
}
