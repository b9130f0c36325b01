/* What CUDA devices have of their own: factors rounded to bfloat16 and the copies of weights that
 * are, large copies, host arrays of any length. The ops themselves are tested with the others'. */
#include "core/compute/gradients.h"
#include "core/error.h"
#include "tests/devices.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 37, IN = 40, OUT = 24 };

static struct clv_device *device;

/* To the nearest bfloat16, ties to even. */
static double rounded(double x)
{
    float value = (float)x;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

static bool open_as(enum clv_precision precision)
{
    const struct clv_device_options options = {.kind = CLV_DEVICE_CUDA, .precision = precision};
    if (!t_check_ok(__FILE__, __LINE__, "a device", clv_device_open(&device, &options)))
        return false;
    CHECK_INT(clv_device_precision(device), precision);
    return true;
}

/* x W with both rounded, W [OUT, IN] as it lies in `weight`. */
static void want_product(double *want, struct guarded *x, struct guarded *weight)
{
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < OUT; o++) {
            double sum = 0;
            for (int i = 0; i < IN; i++)
                sum += rounded(*guarded_at(x, r, i)) * rounded(*guarded_at(weight, o, i));
            want[r * OUT + o] = sum;
        }
}

static void check_product(struct guarded *x, struct guarded *weight,
                          const struct clv_weight *prepared)
{
    static double want[ROWS * OUT];
    struct guarded out = guarded_output(device, ROWS, OUT);
    clv_linear(device, out.tensor, x->tensor, prepared, NULL, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    want_product(want, x, weight);
    guarded_check(&out, want, 1e-5);
    guarded_free(&out);
}

/* The optimiser and writes change the parameters; products see it. */
static void rounded_copies_follow_the_parameters(void)
{
    if (!open_as(CLV_PRECISION_BF16))
        return;
    uint64_t seed = 5;
    struct guarded x = guarded_input(device, ROWS, IN, 1, &seed);
    struct guarded weight = guarded_input(device, OUT, IN, 0.2, &seed);
    struct guarded m = guarded_input(device, OUT, IN, 0, &seed);
    struct guarded v = guarded_input(device, OUT, IN, 0, &seed);
    struct guarded grad = guarded_input(device, OUT, IN, 1, &seed);
    struct clv_weight prepared;
    clv_weight_prepare(device, &prepared, weight.tensor, CLV_WEIGHT_OUT_IN);
    CHECK(prepared.owned != NULL);
    check_product(&x, &weight, &prepared);
    clv_adamw(device, weight.tensor, m.tensor, v.tensor, grad.tensor,
              &(struct clv_adamw){.learning_rate = 0.1f,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.999f,
                                  .epsilon = 1e-8f,
                                  .step = 1,
                                  .grad_scale = 1});
    float before = *guarded_at(&weight, 3, 3);
    guarded_read(&weight);
    CHECK(*guarded_at(&weight, 3, 3) != before);
    check_product(&x, &weight, &prepared);
    for (int o = 0; o < OUT; o++)
        *guarded_at(&weight, o, 7) = (float)o;
    guarded_write(&weight);
    check_product(&x, &weight, &prepared);
    clv_weight_release(&prepared);
    struct guarded *all[] = {&x, &weight, &m, &v, &grad};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
    CHECK_OK(clv_device_sync(device));
    clv_device_close(device);
}

struct biased {
    struct guarded x, weight, out;
    struct clv_weight prepared;
};

static void check_biased(struct biased *b, const struct clv_buffer *bias, const float *values)
{
    static double want[ROWS * OUT];
    clv_linear(device, b->out.tensor, b->x.tensor, &b->prepared, clv_buffer_data(bias),
               CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    want_product(want, &b->x, &b->weight);
    for (int i = 0; i < ROWS * OUT; i++)
        want[i] += (double)values[i % OUT];
    guarded_check(&b->out, want, 0.01);
}

/* A bias that is kept rounded with a weight is what lies at its address now: after a write, beside
 * another bias of the same weight, and where a new buffer, of zeros, has taken the old one's place.
 */
static void rounded_biases_follow_the_parameters(void)
{
    if (!open_as(CLV_PRECISION_BF16))
        return;
    uint64_t seed = 9;
    float values[3][OUT] = {0};
    struct clv_buffer *kept = NULL, *other = NULL;
    struct biased b = {guarded_input(device, ROWS, IN, 1, &seed),
                       guarded_input(device, OUT, IN, 0.2, &seed),
                       guarded_output_of(CLV_TYPE_BF16, device, ROWS, OUT),
                       {0}};
    for (int i = 0; i < 2 * OUT; i++)
        values[1 + i / OUT][i % OUT] = (float)(3 * t_normal(&seed));
    REQUIRE_OK(clv_buffer_create(&kept, device, sizeof values[0]));
    REQUIRE_OK(clv_buffer_create(&other, device, sizeof values[0]));
    clv_weight_prepare(device, &b.prepared, b.weight.tensor, CLV_WEIGHT_OUT_IN);
    for (int i = 1; i <= 2; i++) {
        clv_device_write(device, clv_buffer_data(kept), values[i], sizeof values[i]);
        clv_device_write(device, clv_buffer_data(other), values[3 - i], sizeof values[i]);
        check_biased(&b, kept, values[i]);
        check_biased(&b, other, values[3 - i]);
    }
    clv_buffer_free(kept);
    REQUIRE_OK(clv_buffer_create(&kept, device, sizeof values[0]));
    check_biased(&b, kept, values[0]);
    clv_buffer_free(kept);
    clv_buffer_free(other);
    clv_weight_release(&b.prepared);
    guarded_free(&b.x);
    guarded_free(&b.weight);
    guarded_free(&b.out);
    CHECK_OK(clv_device_sync(device));
    clv_device_close(device);
}

/* dx = dy W and dW += dy^T x, all factors rounded; dbias from dy as it is. */
static void rounded_gradients(void)
{
    if (!open_as(CLV_PRECISION_BF16))
        return;
    double want_dx[ROWS * IN] = {0}, want_dw[OUT * IN], want_db[OUT];
    uint64_t seed = 6;
    struct guarded x = guarded_input(device, ROWS, IN, 1, &seed);
    struct guarded dy = guarded_input(device, ROWS, OUT, 1, &seed);
    struct guarded weight = guarded_input(device, OUT, IN, 0.2, &seed);
    struct guarded dw = guarded_input(device, OUT, IN, 1, &seed);
    struct guarded db = guarded_input(device, 1, OUT, 1, &seed);
    struct guarded dx = guarded_output(device, ROWS, IN);
    for (int i = 0; i < OUT * IN; i++)
        want_dw[i] = *guarded_at(&dw, i / IN, i % IN);
    for (int o = 0; o < OUT; o++)
        want_db[o] = *guarded_at(&db, 0, o);
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < OUT; o++) {
            double d = *guarded_at(&dy, r, o);
            want_db[o] += d;
            for (int i = 0; i < IN; i++) {
                want_dx[r * IN + i] += rounded(d) * rounded(*guarded_at(&weight, o, i));
                want_dw[o * IN + i] += rounded(d) * rounded(*guarded_at(&x, r, i));
            }
        }
    struct clv_weight prepared;
    clv_weight_prepare(device, &prepared, weight.tensor, CLV_WEIGHT_OUT_IN);
    clv_linear_backward(device, dx.tensor, dw.tensor, db.tensor.data, dy.tensor, x.tensor,
                        &prepared);
    guarded_check(&dx, want_dx, 1e-5);
    guarded_check(&dw, want_dw, 1e-5);
    guarded_check(&db, want_db, 1e-5);
    clv_weight_release(&prepared);
    struct guarded *all[] = {&x, &dy, &weight, &dw, &db, &dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
    CHECK_OK(clv_device_sync(device));
    clv_device_close(device);
}

/* 10 bits of the factors' fractions: closer than bfloat16's 7, farther than fp32. */
static void tf32_is_near(void)
{
    if (!open_as(CLV_PRECISION_TF32))
        return;
    double want[ROWS * OUT] = {0};
    uint64_t seed = 7;
    struct guarded x = guarded_input(device, ROWS, IN, 1, &seed);
    struct guarded weight = guarded_input(device, OUT, IN, 0.2, &seed);
    struct guarded out = guarded_output(device, ROWS, OUT);
    struct clv_weight prepared;
    clv_weight_prepare(device, &prepared, weight.tensor, CLV_WEIGHT_OUT_IN);
    clv_linear(device, out.tensor, x.tensor, &prepared, NULL, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < OUT; o++)
            for (int i = 0; i < IN; i++)
                want[r * OUT + o] +=
                    (double)*guarded_at(&x, r, i) * (double)*guarded_at(&weight, o, i);
    guarded_check(&out, want, 4e-3);
    clv_weight_release(&prepared);
    guarded_free(&x);
    guarded_free(&weight);
    guarded_free(&out);
    clv_device_close(device);
}

/* Writes of many pieces of staging, at odd places, each seen by the op that follows it. */
static void large_copies_keep_their_order(void)
{
    if (!open_as(CLV_PRECISION_FP32))
        return;
    const size_t count = (size_t)11 << 20; /* floats: more than all staging together */
    struct clv_buffer *buffer = NULL;
    float *host = malloc(2 * count * sizeof *host);
    REQUIRE(host);
    REQUIRE_OK(clv_buffer_create(&buffer, device, (2 * count + 1) * sizeof *host));
    float *first = (float *)clv_buffer_data(buffer) + 1, *second = first + count;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++)
            host[i] = (float)((i * 7 + (size_t)round) % 1000);
        clv_device_write(device, first, host, count * sizeof *host);
        memset(host, 0xff, count * sizeof *host); /* was read before the call returned */
        clv_scale(device, clv_tensor(second, 1, (int)count), clv_tensor(first, 1, (int)count), 2);
    }
    clv_device_read(device, host, first, 2 * count * sizeof *host);
    CHECK_OK(clv_device_sync(device));
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        float value = (float)((i * 7 + 2) % 1000);
        wrong += host[i] != value || host[count + i] != 2 * value;
    }
    CHECK_INT(wrong, 0);
    clv_buffer_free(buffer);
    free(host);
    clv_device_close(device);
}

/* Host arrays that fill the ring many times over, and some that are larger than it. */
static void host_arrays_of_any_length(void)
{
    if (!open_as(CLV_PRECISION_FP32))
        return;
    enum { TABLE = 1000, LONGEST = 3000000 };
    static const int lengths[] = {1, 77, 200000, LONGEST, 5, 250000, 250000, 250000};
    int32_t *indices = malloc(LONGEST * sizeof *indices);
    float *host = malloc(LONGEST * sizeof *host);
    struct clv_buffer *buffer = NULL;
    REQUIRE(indices && host);
    REQUIRE_OK(clv_buffer_create(&buffer, device, (TABLE + LONGEST) * sizeof *host));
    float *table = clv_buffer_data(buffer), *out = table + TABLE;
    for (int i = 0; i < TABLE; i++)
        host[i] = (float)i;
    clv_device_write(device, table, host, TABLE * sizeof *host);
    size_t wrong = 0;
    for (int round = 0; round < 40; round++) {
        int count = lengths[round % (int)(sizeof lengths / sizeof *lengths)];
        for (int i = 0; i < count; i++)
            indices[i] = (int32_t)((i * 13L + round) % TABLE);
        clv_gather_rows(device, clv_tensor(out, count, 1), clv_tensor(table, TABLE, 1), indices);
        memset(indices, 0xff, (size_t)count * sizeof *indices);
        clv_device_read(device, host, out, (size_t)count * sizeof *host);
        for (int i = 0; i < count; i++)
            wrong += host[i] != (float)((i * 13L + round) % TABLE);
    }
    CHECK_INT(wrong, 0);
    CHECK_OK(clv_device_sync(device));
    clv_buffer_free(buffer);
    free(indices);
    free(host);
    clv_device_close(device);
}

/* More memory than any device has is refused, and is no failure of what comes after. */
static void a_full_device_says_so_and_goes_on(void)
{
    if (!open_as(CLV_PRECISION_FP32))
        return;
    struct clv_buffer *buffer = (struct clv_buffer *)&device;
    float numbers[3] = {1, 2, 3};
    CHECK_ERROR(clv_buffer_create(&buffer, device, (size_t)1 << 50), CLV_ENOMEM, "memory");
    CHECK(buffer == NULL);
    CHECK_OK(clv_device_sync(device));
    REQUIRE_OK(clv_buffer_create(&buffer, device, sizeof numbers));
    const struct clv_tensor x = clv_tensor(clv_buffer_data(buffer), 1, 3);
    clv_device_write(device, x.data, numbers, sizeof numbers);
    clv_scale(device, x, x, 2);
    clv_device_read(device, numbers, x.data, sizeof numbers);
    CHECK_OK(clv_device_sync(device));
    CHECK(numbers[0] == 2 && numbers[1] == 4 && numbers[2] == 6);
    clv_buffer_free(buffer);
    clv_device_close(device);
}

/* In every build: asking for a device that cannot be there is refused with a reason. */
static void a_device_that_is_not_there_is_refused(void)
{
    const struct clv_device_options options = {.kind = CLV_DEVICE_CUDA, .cuda_index = 100000};
    CHECK_INT(clv_device_open(&device, &options), CLV_EDEVICE);
    CHECK(device == NULL && strlen(clv_error_message()) > 8);
}

int main(void)
{
    T_RUN(a_device_that_is_not_there_is_refused);
    if (t_cuda()) {
        for (int aligned = 0; aligned < 2; aligned++) {
            guarded_align(aligned != 0);
            t_suffix(aligned ? " (aligned)" : "");
            T_RUN(rounded_copies_follow_the_parameters);
            T_RUN(rounded_biases_follow_the_parameters);
            T_RUN(rounded_gradients);
            T_RUN(tf32_is_near);
        }
        t_suffix("");
        T_RUN(a_full_device_says_so_and_goes_on);
        T_RUN(large_copies_keep_their_order);
        T_RUN(host_arrays_of_any_length);
    }
    return t_end();
}
