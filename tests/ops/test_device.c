/* Devices: what opens and what does not, buffers, copies, and the sticky failure. */
#include "core/compute/device.h"

#include "core/compute/kernels.h"
#include "core/compute/ops.h"
#include "core/compute/ops_table.h"
#include "core/error.h"
#include "tests/devices.h"
#include "tests/t.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct clv_device_options cpu = {.kind = CLV_DEVICE_CPU};

static void opens_with_defaults(void)
{
    struct clv_device *device = NULL;
    REQUIRE_OK(clv_device_open(&device, &cpu));
    CHECK_INT(clv_device_kind(device), CLV_DEVICE_CPU);
    CHECK(strncmp(clv_device_name(device), "cpu, ", 5) == 0);
    CHECK(strstr(clv_device_name(device), "openblas 0.") != NULL);
    CHECK_OK(clv_device_sync(device));
    clv_device_close(device);
    clv_device_close(NULL);
}

static void honours_its_options(void)
{
    struct clv_device *device = NULL;
    struct clv_device_options options = {.kind = CLV_DEVICE_CPU, .thread_count = 1, .plain = true};
    REQUIRE_OK(clv_device_open(&device, &options));
    CHECK(strncmp(clv_device_name(device), "cpu, 1 thread, plain, ", 22) == 0);
    clv_device_close(device);
    options = (struct clv_device_options){.kind = CLV_DEVICE_CPU, .thread_count = 3};
    REQUIRE_OK(clv_device_open(&device, &options));
    CHECK(strncmp(clv_device_name(device), "cpu, 3 threads, ", 16) == 0);
    clv_device_close(device);
}

static void refuses_what_it_has_not(void)
{
    struct clv_device *device = (struct clv_device *)&device;
    struct clv_device_options cuda = {.kind = CLV_DEVICE_CUDA, .cuda_index = 999};
    const bool is_built = clv_device_is_built(CLV_DEVICE_CUDA);
    CHECK_ERROR(clv_device_open(&device, &cuda), CLV_EDEVICE,
                t_cuda()   ? "there is no CUDA device 999"
                : is_built ? "NVIDIA driver"
                           : "no CUDA support");
    CHECK(device == NULL);
    struct clv_device_options threads = {.kind = CLV_DEVICE_CPU, .thread_count = -2};
    CHECK_ERROR(clv_device_open(&device, &threads), CLV_EINVAL, "-2");
    CHECK(device == NULL);
}

/* What clv_device_count() and clv_device_describe() say is what opens. */
static void says_what_there_is(void)
{
    char text[256];
    CHECK(clv_device_is_built(CLV_DEVICE_CPU) && clv_device_is_built(CLV_DEVICE_AUTO));
    CHECK_INT(clv_device_count(CLV_DEVICE_CPU), 1);
    CHECK_OK(clv_device_describe(CLV_DEVICE_CPU, 0, text, sizeof text));
    CHECK(strncmp(text, "cpu, ", 5) == 0);
    CHECK_ERROR(clv_device_describe(CLV_DEVICE_CPU, 1, text, sizeof text), CLV_EDEVICE, "CPU 1");
    if (t_cuda()) {
        CHECK(clv_device_count(CLV_DEVICE_CUDA) > 0);
        CHECK_OK(clv_device_describe(CLV_DEVICE_CUDA, 0, text, sizeof text));
        CHECK(strstr(text, "compute capability") != NULL);
        return;
    }
    CHECK_ERROR(clv_device_describe(CLV_DEVICE_CUDA, 0, text, sizeof text), CLV_EDEVICE, "");
    if (!clv_device_is_built(CLV_DEVICE_CUDA))
        CHECK_INT(clv_device_count(CLV_DEVICE_CUDA), 0);
}

/* AUTO is CUDA where that serves, the CPU elsewhere and where plain kernels are asked for. */
static void chooses_the_best(void)
{
    struct clv_device *device = NULL;
    REQUIRE_OK(clv_device_open(&device, NULL));
    CHECK_INT(clv_device_kind(device), t_cuda() ? CLV_DEVICE_CUDA : CLV_DEVICE_CPU);
    CHECK_INT(clv_device_precision(device), CLV_PRECISION_FP32);
    clv_device_close(device);
    REQUIRE_OK(clv_device_open(&device, &(struct clv_device_options){.plain = true}));
    CHECK_INT(clv_device_kind(device), CLV_DEVICE_CPU);
    clv_device_close(device);
}

/* An empty slot is an op a backend forgot. */
static void table_is_full(void)
{
    struct clv_device *device = NULL;
    REQUIRE_OK(clv_device_open(&device, &cpu));
    void (*slots[sizeof(struct clv_ops) / sizeof(void (*)(void))])(void);
    memcpy(slots, device->ops, sizeof slots);
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        CHECK(slots[i] != NULL);
    clv_device_close(device);
}

static void buffers_are_zero_and_aligned(void)
{
    struct clv_device *device = NULL;
    REQUIRE_OK(clv_device_open(&device, &cpu));
    for (size_t size = 0; size < 100000; size = size * 7 + 1) {
        struct clv_buffer *buffer = NULL;
        REQUIRE_OK(clv_buffer_create(&buffer, device, size));
        CHECK_INT((uintptr_t)clv_buffer_data(buffer) % 64, 0);
        CHECK_INT(clv_buffer_size(buffer), size);
        unsigned char *bytes = clv_buffer_data(buffer);
        int set = 0;
        for (size_t i = 0; i < size; i++)
            set += bytes[i] != 0;
        CHECK_INT(set, 0);
        memset(bytes, 0xff, size);
        clv_buffer_free(buffer);
    }
    clv_buffer_free(NULL);
    struct clv_buffer *buffer = (struct clv_buffer *)&device;
    CHECK_ERROR(clv_buffer_create(&buffer, device, SIZE_MAX - 8), CLV_ENOMEM, "out of memory");
    CHECK(buffer == NULL);
    clv_device_close(device);
}

/* Of one opened with `kind`: memory that the backend takes for itself comes on top. */
static void peak_is_the_most_held(enum clv_device_kind kind)
{
    struct clv_device *device = NULL;
    struct clv_buffer *first = NULL, *second = NULL;
    REQUIRE_OK(clv_device_open(&device, &(struct clv_device_options){.kind = kind}));
    const size_t own = clv_device_memory_peak(device);
    CHECK(kind == CLV_DEVICE_CPU ? own == 0 : own > 0);
    REQUIRE_OK(clv_buffer_create(&first, device, 1000));
    REQUIRE_OK(clv_buffer_create(&second, device, 500));
    CHECK_INT(clv_device_memory_peak(device), own + 1500);
    clv_buffer_free(first);
    REQUIRE_OK(clv_buffer_create(&first, device, 700));
    CHECK_INT(clv_device_memory_peak(device), own + 1500);
    clv_buffer_free(first);
    REQUIRE_OK(clv_buffer_create(&first, device, 1001));
    CHECK_INT(clv_device_memory_peak(device), own + 1501);
    clv_buffer_free(first);
    clv_buffer_free(second);
    CHECK_INT(clv_device_memory_peak(device), own + 1501);
    clv_device_close(device);
}

static void memory_has_a_high_water_mark(void)
{
    peak_is_the_most_held(CLV_DEVICE_CPU);
    if (t_cuda())
        peak_is_the_most_held(CLV_DEVICE_CUDA);
}

static void copies_go_and_come(void)
{
    struct clv_device *device = NULL;
    REQUIRE_OK(clv_device_open(&device, &cpu));
    struct clv_buffer *buffer = NULL;
    REQUIRE_OK(clv_buffer_create(&buffer, device, 64));
    unsigned char *inside = (unsigned char *)clv_buffer_data(buffer) + 5;
    char back[6] = "";
    clv_device_write(device, inside, "hello", 6);
    clv_device_write(device, inside, "xxxxx", 0);
    clv_device_read(device, back, inside, 6);
    CHECK_STRING(back, "hello");
    CHECK(clv_device_borrow(device, back) == back);
    CHECK_OK(clv_device_sync(device));
    clv_buffer_free(buffer);
    clv_device_close(device);
}

/* Parts from anywhere arrive one after another, and may change at once; also more of them than
 * staging memory holds at first, several times on end, and parts larger than a piece of it. */
static void check_parts(enum clv_device_kind kind, int count, size_t part_bytes)
{
    struct clv_device *device = NULL;
    struct clv_buffer *buffer = NULL;
    const size_t size = (size_t)count * part_bytes;
    unsigned char *from = malloc(size), *back = malloc(size + 2);
    const void **parts = calloc((size_t)count, sizeof *parts);
    REQUIRE(from && back && parts);
    REQUIRE_OK(clv_device_open(&device, &(struct clv_device_options){.kind = kind}));
    REQUIRE_OK(clv_buffer_create(&buffer, device, size + 2));
    unsigned char *at = clv_buffer_data(buffer);
    unsigned char *want = malloc(size);
    REQUIRE(want != NULL);
    uint64_t seed = 5;
    for (int i = 0; i < count; i++)
        parts[i] = from + (size_t)(count - 1 - i) * part_bytes;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < size; i++)
            from[i] = (unsigned char)(i % 251 ^ t_random(&seed) % 256);
        for (int i = 0; i < count; i++)
            memcpy(want + (size_t)i * part_bytes, parts[i], part_bytes);
        clv_device_write_parts(device, at + 1, parts, count, part_bytes);
        memset(from, 0, size);
    }
    clv_device_read(device, back, at, size + 2);
    CHECK_OK(clv_device_sync(device));
    CHECK(back[0] == 0 && memcmp(back + 1, want, size) == 0 && back[size + 1] == 0);
    free(want);
    free(from);
    free(back);
    free(parts);
    clv_buffer_free(buffer);
    clv_device_close(device);
}

static void parts_arrive_in_order(void)
{
    check_parts(CLV_DEVICE_CPU, 3, 5);
    if (!t_cuda())
        return;
    check_parts(CLV_DEVICE_CUDA, 3, 5);
    check_parts(CLV_DEVICE_CUDA, 70, 1 << 20);
    check_parts(CLV_DEVICE_CUDA, 2, 9 << 20);
}

/* What is begun is what lay there then, however much is written and read before the end; more of
 * them than there are places for, and one larger than staging memory. What is dropped stays. */
static void check_fetches(enum clv_device_kind kind)
{
    enum { COUNT = 150, LARGE = 9 << 20 };
    struct clv_device *device = NULL;
    struct clv_buffer *buffer = NULL;
    unsigned char *large = calloc(1, LARGE);
    int64_t got[COUNT] = {0}, value;
    REQUIRE(large != NULL);
    REQUIRE_OK(clv_device_open(&device, &(struct clv_device_options){.kind = kind}));
    REQUIRE_OK(clv_buffer_create(&buffer, device, LARGE));
    unsigned char *at = clv_buffer_data(buffer);
    clv_device_fetch_end(device);
    for (int round = 1; round < 3; round++) {
        for (value = 0; value < COUNT; value++) {
            int64_t sent = value * round;
            clv_device_write(device, at + 8, &sent, sizeof sent);
            clv_device_fetch_begin(device, &got[value], at + 8, sizeof sent);
        }
        clv_device_fetch_begin(device, large, at, LARGE);
        value = -1;
        clv_device_write(device, at + 8, &value, sizeof value);
        clv_device_fetch_end(device);
        for (int i = 0; i < COUNT; i++)
            CHECK_INT(got[i], i * round);
        memcpy(&value, large + 8, sizeof value);
        CHECK_INT(value, (COUNT - 1) * round);
        CHECK(large[0] == 0 && large[16] == 0 && large[LARGE - 1] == 0);
    }
    clv_device_fetch_begin(device, got, at + 8, 8);
    clv_device_fetch_drop(device);
    got[0] = 7;
    clv_device_fetch_begin(device, &got[1], at + 8, 8);
    clv_device_fetch_end(device);
    CHECK_INT(got[0], 7);
    CHECK_INT(got[1], -1);
    CHECK_OK(clv_device_sync(device));
    clv_buffer_free(buffer);
    clv_device_close(device);
    free(large);
}

static void fetches_keep_their_place(void)
{
    check_fetches(CLV_DEVICE_CPU);
    if (t_cuda())
        check_fetches(CLV_DEVICE_CUDA);
}

static void first_failure_sticks_until_sync(void)
{
    struct clv_device *device = NULL;
    REQUIRE_OK(clv_device_open(&device, &cpu));
    clv_device_fail(device, clv_fail(CLV_ENOMEM, "the first"));
    clv_device_fail(device, clv_fail(CLV_EDEVICE, "the second"));
    (void)clv_fail(CLV_EIO, "something else on this thread");
    CHECK_ERROR(clv_device_sync(device), CLV_ENOMEM, "the first");
    CHECK_OK(clv_device_sync(device));
    clv_device_fail(device, clv_fail(CLV_EDEVICE, "the third"));
    CHECK_ERROR(clv_device_sync(device), CLV_EDEVICE, "the third");
    CHECK_OK(clv_device_check(device));
    clv_device_fail(device, clv_fail(CLV_ENOMEM, "the fourth"));
    CHECK_ERROR(clv_device_check(device), CLV_ENOMEM, "the fourth");
    CHECK_OK(clv_device_sync(device));
    clv_device_close(device);
}

/* Products on a device of one thread, another of several, from one thread: same bits each time, and
 * the caller's own OpenMP setting is left alone. */
static void devices_live_side_by_side(void)
{
    struct clv_device *devices[2] = {NULL, NULL};
    struct clv_device_options one = {.kind = CLV_DEVICE_CPU, .thread_count = 1};
    struct clv_device_options two = {.kind = CLV_DEVICE_CPU, .thread_count = 2};
    REQUIRE_OK(clv_device_open(&devices[0], &one));
    REQUIRE_OK(clv_device_open(&devices[1], &two));
    static float x[64 * 300], w[300 * 96], out[2][64 * 96];
    uint64_t seed = 1;
    for (int i = 0; i < 64 * 300; i++)
        x[i] = (float)t_normal(&seed);
    for (int i = 0; i < 300 * 96; i++)
        w[i] = (float)t_normal(&seed);
    for (int round = 0; round < 6; round++) {
        struct clv_device *device = devices[round % 2];
        struct clv_weight weight;
        clv_weight_prepare(device, &weight, clv_tensor(w, 96, 300), CLV_WEIGHT_OUT_IN);
        clv_linear(device, clv_tensor(out[round % 2], 64, 96), clv_tensor(x, 64, 300), &weight,
                   NULL, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
        CHECK_OK(clv_device_sync(device));
    }
    double worst = 0.0;
    for (int i = 0; i < 64 * 96; i++) {
        double difference = out[0][i] - out[1][i];
        worst = difference * difference > worst ? difference * difference : worst;
    }
    CHECK_NEAR(worst, 0.0, 1e-8);
    clv_device_close(devices[0]);
    clv_device_close(devices[1]);
}

int main(void)
{
    (void)t_cuda(); /* its SKIP is a test of its own */
    T_RUN(opens_with_defaults);
    T_RUN(honours_its_options);
    T_RUN(refuses_what_it_has_not);
    T_RUN(says_what_there_is);
    T_RUN(chooses_the_best);
    T_RUN(table_is_full);
    T_RUN(buffers_are_zero_and_aligned);
    T_RUN(memory_has_a_high_water_mark);
    T_RUN(copies_go_and_come);
    T_RUN(parts_arrive_in_order);
    T_RUN(fetches_keep_their_place);
    T_RUN(first_failure_sticks_until_sync);
    T_RUN(devices_live_side_by_side);
    return t_end();
}
