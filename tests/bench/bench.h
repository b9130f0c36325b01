/* What every benchmark shares: repeated timing, and one JSON line per case.
 *
 *     struct bench bench;
 *     bench_begin(&bench, "ops", "layer_norm 400x768");
 *     while (bench_next(&bench)) work();
 *     bench_number(&bench, "gflops", 1e-9 * flops / bench_min(&bench));
 *     bench_end(&bench);
 *
 * Lines hold "bench", "case", "seconds_min", "seconds_median", "runs", and what was added. */
#ifndef CLV_TESTS_BENCH_BENCH_H
#define CLV_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#define BENCH_RUN_MAX 1024

struct bench {
    double seconds[BENCH_RUN_MAX];
    double started, total_s;
    int count;
    int run_min;         /* at least so many timed runs [5] */
    double seconds_goal; /* and about this long in all [1] */
    bool is_warm;
    struct clv_json *line;
};

void bench_begin(struct bench *bench, const char *name, const char *case_name);
/* True while another run is wanted; the first run warms up and is not counted. */
bool bench_next(struct bench *bench);
/* For work timed elsewhere: one sample. */
void bench_sample(struct bench *bench, double seconds);
double bench_min(struct bench *bench);
double bench_median(struct bench *bench);
double bench_percentile(struct bench *bench, double percent);
void bench_number(struct bench *bench, const char *key, double value);
void bench_text(struct bench *bench, const char *key, const char *value);
/* Prints the line and frees it. */
void bench_end(struct bench *bench);

/* Highest resident set of this process so far, MiB. */
double bench_peak_mib(void);
/* Opens the device that CLV_BENCH_DEVICE (cpu, cuda; the CPU by default) and CLV_BENCH_PRECISION
 * (fp32, tf32, bf16) name. */
struct clv_device;
int bench_device_open(struct clv_device **out);
/* GFLOP/s of a large square sgemm (clv_linear without epilogue) on the device's threads: the
 * machine's measured peak that shares are taken of. Best of several runs of side `side`. */
double bench_sgemm_peak(struct clv_device *device, int side);

/* The next `count` floats at *at, which moves on by a multiple of 64 bytes. */
float *bench_take(float **at, size_t count);
/* Fills the first `float_count` floats of the buffer with the same small numbers each time; -1
 * where there is no memory. */
struct clv_buffer;
int bench_fill(struct clv_device *device, struct clv_buffer *buffer, size_t float_count);

#endif
