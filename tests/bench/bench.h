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
    int warm_min;        /* runs before them, not counted [1] */
    double seconds_goal; /* and about this long in all [1] */
    int warm_count;
    struct clv_json *line;
};

void bench_begin(struct bench *bench, const char *name, const char *case_name);
/* True while another run is wanted. */
bool bench_next(struct bench *bench);
/* For work timed elsewhere: one sample. */
void bench_sample(struct bench *bench, double seconds);
double bench_min(struct bench *bench);
double bench_median(struct bench *bench);
double bench_percentile(struct bench *bench, double percent);
void bench_number(struct bench *bench, const char *key, double value);
void bench_text(struct bench *bench, const char *key, const char *value);
/* Prints the line and frees it; frees it alone. */
void bench_end(struct bench *bench);
void bench_drop(struct bench *bench);

/* Highest resident set of this process so far, MiB. */
double bench_peak_mib(void);
/* Opens the device that CLV_BENCH_DEVICE (cpu, cuda; the CPU by default) and CLV_BENCH_PRECISION
 * (fp32, tf32, bf16) name; with CLV_BENCH_REPLAY=0 one that records no runs of ops. */
struct clv_device;
int bench_device_open(struct clv_device **out);
/* Several of the same kind: all CUDA devices, or two CPUs that share out the threads of one. Opens
 * at most `device_max`; *count_out says how many. Pair with bench_devices_close(). */
int bench_devices_open(struct clv_device **out, int *count_out, int device_max);
void bench_devices_close(struct clv_device **devices, int count);
/* GFLOP/s of a large square product (clv_linear without epilogue, at the device's precision) of
 * side `side`: the measured peak that shares are taken of. Best of several runs. */
double bench_sgemm_peak(struct clv_device *device, int side);

/* What a device gives at its best, each measured. */
struct bench_limits {
    double gflops;       /* of large products at the device's precision */
    double gbytes_per_s; /* read and written by a large copy */
};
/* Other work on the machine slows either side of a comparison, so limits are measured before and
 * after, and the larger count: raises *limits, zero at first. */
void bench_limits_raise(struct bench_limits *limits, struct clv_device *device);
/* On a device of its own, which leaves no trace in the memory high-water mark of another. */
int bench_limits_raise_apart(struct bench_limits *limits);
/* Adds what work of `gflop` and `gbyte` that took bench_min() reached of the limits. Zero: not
 * said.
 */
void bench_shares(struct bench *bench, const struct bench_limits *limits, double gflop,
                  double gbyte);
/* Adds the device's name and precision. */
void bench_device(struct bench *bench, const struct clv_device *device);

/* The next `count` floats at *at, which moves on by a multiple of 64 bytes. */
float *bench_take(float **at, size_t count);
/* Fills the first `float_count` floats of the buffer with the same small numbers each time; -1
 * where there is no memory. */
struct clv_buffer;
int bench_fill(struct clv_device *device, struct clv_buffer *buffer, size_t float_count);

#endif
