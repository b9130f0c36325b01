/* Tensors for the ops tests: rows wider apart than they are long, a margin before and behind, NaN
 * in everything an op must not read and a sentinel in everything it must not write. */
#ifndef CLV_TESTS_OPS_GUARDED_H
#define CLV_TESTS_OPS_GUARDED_H

#include "core/compute/kernels.h"
#include "core/compute/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guarded {
    struct clv_device *device;
    struct clv_buffer *buffer;
    struct clv_tensor tensor; /* in device memory */
    float *host;              /* the buffer's whole content as last written or read, in fp32 */
    size_t float_count;
    size_t first; /* index of the tensor's first element in `host` */
};

/* Whether the rows of tensors made from now on all start at a multiple of 16 bytes. They seldom do
 * otherwise, so that kernels which move four floats at once where they may are tested in both
 * forms. */
void guarded_align(bool aligned);

/* Normal values times `scale`, NaN around them. */
struct guarded guarded_input(struct clv_device *device, int rows, int cols, double scale,
                             uint64_t *seed);
/* NaN inside, sentinels around: what an op leaves unwritten shows. */
struct guarded guarded_output(struct clv_device *device, int rows, int cols);
/* The same of numbers of `type`; host copies of BF16 hold what it can. */
struct guarded guarded_input_of(enum clv_type type, struct clv_device *device, int rows, int cols,
                                double scale, uint64_t *seed);
struct guarded guarded_output_of(enum clv_type type, struct clv_device *device, int rows, int cols);
void guarded_free(struct guarded *g);

/* Element of the host copy. */
float *guarded_at(struct guarded *g, int row, int col);
/* `x` as a tensor of `type` holds it: to nearest, ties to even. */
float guarded_rounded(enum clv_type type, float x);
/* Host copy to the device. */
void guarded_write(struct guarded *g);
/* Device to the host copy; checks that nothing around the tensor changed. */
void guarded_read(struct guarded *g);
/* Checks that the device still holds the host copy, bit for bit. */
void guarded_check_unchanged(struct guarded *g);

/* Reads `g` and checks each element against `want` [rows, cols]: at most `limit` times
 * (1 + |want|) away. Reports the worst element only. */
void guarded_check(struct guarded *g, const double *want, double limit);

/* The variants under test: those of the CPU backend, then CUDA. */
struct variant {
    enum clv_device_kind kind;
    enum clv_variant variant; /* of the CPU */
    bool is_aligned;          /* guarded_align() */
    const char *name;
};
extern const struct variant variants[5];
/* How many of them there are to run here: without CUDA's where t_cuda() (devices.h) has none. */
int variant_count(void);
/* The first to run: CUDA's first where tests run on CUDA only. */
int variant_first(void);
/* Opens a device of the variant. */
int variant_open(struct clv_device **device, const struct variant *variant,
                 const struct clv_device_options *options);
/* Begins the test "name (variant)" and opens the variant's device where `*device` is NULL. False
 * after a t_skip() where the processor lacks the variant, or after a failure to open it. */
bool variant_begin(const struct variant *variant, struct clv_device **device, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

#endif
