/* Each op at the shapes of ViT-B/32 and B/16: GFLOP/s (or GB/s for the ops that only move data),
 * the share of the sgemm peak measured in the same process, and plain C against the best variant.
 * "block" is a whole transformer block, in which all encoding time is spent. "Squares to patches"
 * is the way of 32 frames from bytes on the host to patches on the device, beside the same with
 * floats normalised on the host. */
#include "core/compute/device.h"
#include "core/compute/ops.h"
#include "core/model/pixels.h"
#include "tests/bench/bench.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 768, HEADS = 12, HIDDEN = 3072, SEQUENCE_MAX = 64 };

/* The tensors of one block over `rows` rows, all inside one buffer. */
struct stage {
    struct clv_device *device;
    struct clv_buffer *buffer;
    int rows;
    struct clv_tensor x, y, qkv, hidden, mixed;
    struct clv_weight in, out, up, down;
    float *bias, *scale;
    int32_t starts[SEQUENCE_MAX + 1];
    struct clv_attention attention;
};

struct shape {
    const char *name;
    enum clv_mask mask;
    int sequences, frames, tokens; /* frames of a sequence, tokens of a frame */
};

/* The spatial encoder takes each frame as a sequence; the temporal one a window of 8. */
static const struct shape shapes[] = {
    {"B/32 spatial 8x50", CLV_MASK_NONE, 8, 1, 50},
    {"B/32 spatial 32x50", CLV_MASK_NONE, 32, 1, 50},
    {"B/32 temporal KMT 400", CLV_MASK_KMT, 1, 8, 50},
    {"B/32 temporal KMCT 400", CLV_MASK_KMCT, 1, 8, 50},
    {"B/16 spatial 8x197", CLV_MASK_NONE, 8, 1, 197},
    {"B/16 temporal KMT 1576", CLV_MASK_KMT, 1, 8, 197},
    {"B/16 temporal KMCT 1576", CLV_MASK_KMCT, 1, 8, 197},
};

static int stage_open(struct stage *s, const struct shape *shape, bool plain)
{
    struct clv_device_options options = {.kind = CLV_DEVICE_CPU, .plain = true};
    *s = (struct stage){.rows = shape->sequences * shape->frames * shape->tokens};
    size_t rows = (size_t)s->rows, weights = (size_t)WIDTH * WIDTH * 12;
    size_t float_count = rows * (WIDTH * 6 + HIDDEN) + weights + 2 * HIDDEN + 256;
    int status = plain ? clv_device_open(&s->device, &options) : bench_device_open(&s->device);
    if (status == 0)
        status = clv_buffer_create(&s->buffer, s->device, float_count * sizeof(float));
    if (status != 0 || bench_fill(s->device, s->buffer, float_count) != 0)
        return -1;
    float *at = clv_buffer_data(s->buffer);
    s->x = clv_tensor(bench_take(&at, rows * WIDTH), s->rows, WIDTH);
    s->y = clv_tensor(bench_take(&at, rows * WIDTH), s->rows, WIDTH);
    s->mixed = clv_tensor(bench_take(&at, rows * WIDTH), s->rows, WIDTH);
    s->qkv = clv_tensor(bench_take(&at, rows * WIDTH * 3), s->rows, WIDTH * 3);
    s->hidden = clv_tensor(bench_take(&at, rows * HIDDEN), s->rows, HIDDEN);
    struct clv_tensor in = clv_tensor(bench_take(&at, WIDTH * WIDTH * 3), WIDTH * 3, WIDTH);
    struct clv_tensor out = clv_tensor(bench_take(&at, WIDTH * WIDTH), WIDTH, WIDTH);
    struct clv_tensor up = clv_tensor(bench_take(&at, WIDTH * HIDDEN), HIDDEN, WIDTH);
    struct clv_tensor down = clv_tensor(bench_take(&at, WIDTH * HIDDEN), WIDTH, HIDDEN);
    s->bias = bench_take(&at, HIDDEN);
    s->scale = bench_take(&at, WIDTH);
    clv_weight_prepare(s->device, &s->in, in, CLV_WEIGHT_OUT_IN);
    clv_weight_prepare(s->device, &s->out, out, CLV_WEIGHT_OUT_IN);
    clv_weight_prepare(s->device, &s->up, up, CLV_WEIGHT_OUT_IN);
    clv_weight_prepare(s->device, &s->down, down, CLV_WEIGHT_OUT_IN);
    for (int i = 0; i <= shape->sequences; i++)
        s->starts[i] = i * shape->frames * shape->tokens;
    s->attention = (struct clv_attention){.mask = shape->mask,
                                          .head_count = HEADS,
                                          .sequence_count = shape->sequences,
                                          .token_count = shape->tokens,
                                          .starts = s->starts};
    return 0;
}

static void stage_close(struct stage *s)
{
    clv_buffer_free(s->buffer);
    clv_device_close(s->device);
}

static void run_in(struct stage *s)
{
    clv_linear(s->device, s->qkv, s->y, &s->in, s->bias, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
}

static void run_out(struct stage *s)
{
    clv_linear(s->device, s->x, s->mixed, &s->out, s->bias, CLV_ACTIVATION_NONE, s->x);
}

static void run_up(struct stage *s)
{
    clv_linear(s->device, s->hidden, s->y, &s->up, s->bias, CLV_ACTIVATION_QUICK_GELU,
               CLV_NO_TENSOR);
}

static void run_down(struct stage *s)
{
    clv_linear(s->device, s->x, s->hidden, &s->down, s->bias, CLV_ACTIVATION_NONE, s->x);
}

static void run_norm(struct stage *s)
{
    clv_layer_norm(s->device, s->y, s->x, s->scale, s->bias);
}

static void run_attention(struct stage *s)
{
    clv_attention(s->device, s->mixed, clv_tensor_cols(s->qkv, 0, WIDTH),
                  clv_tensor_cols(s->qkv, WIDTH, WIDTH), clv_tensor_cols(s->qkv, 2 * WIDTH, WIDTH),
                  &s->attention);
}

static void run_block(struct stage *s)
{
    run_norm(s);
    run_in(s);
    run_attention(s);
    run_out(s);
    run_norm(s);
    run_up(s);
    run_down(s);
}

/* Keys that the queries of a shape see, over all queries. */
static double pairs(const struct shape *shape)
{
    double t = shape->frames, l = shape->tokens, sum = t * l * t * l;
    if (shape->mask == CLV_MASK_KMT)
        sum = t * l * (1.0 + (t - 1.0) * l);
    if (shape->mask == CLV_MASK_KMCT)
        sum = t * l * (1.0 + (t - 1.0) * l / 2.0);
    return sum * shape->sequences;
}

static double linear_flops(const struct stage *s, double in, double out)
{
    return 2.0 * s->rows * in * out;
}

enum op { OP_IN, OP_OUT, OP_UP, OP_DOWN, OP_NORM, OP_ATTENTION, OP_BLOCK, OP_COUNT };

static const struct {
    const char *name;
    void (*run)(struct stage *s);
} ops[OP_COUNT] = {
    [OP_IN] = {"linear qkv", run_in},
    [OP_OUT] = {"linear out + residual", run_out},
    [OP_UP] = {"linear up + QuickGELU", run_up},
    [OP_DOWN] = {"linear down + residual", run_down},
    [OP_NORM] = {"layer norm", run_norm},
    [OP_ATTENTION] = {"attention", run_attention},
    [OP_BLOCK] = {"block", run_block},
};

static double flops_of(const struct stage *s, const struct shape *shape, enum op op)
{
    double attention = 4.0 * pairs(shape) * WIDTH;
    switch (op) {
    case OP_IN:
        return linear_flops(s, WIDTH, 3 * WIDTH);
    case OP_OUT:
        return linear_flops(s, WIDTH, WIDTH);
    case OP_UP:
    case OP_DOWN:
        return linear_flops(s, WIDTH, HIDDEN);
    case OP_ATTENTION:
        return attention;
    case OP_BLOCK:
        return linear_flops(s, WIDTH, 4 * WIDTH + 2 * HIDDEN) + attention;
    default:
        return 0.0;
    }
}

/* The fastest of a few runs on the plain device, seconds. */
static double plain_seconds(struct stage *plain, enum op op)
{
    struct bench bench = {.run_min = 3, .warm_min = 1, .seconds_goal = 0.1};
    while (bench_next(&bench))
        ops[op].run(plain);
    return bench_min(&bench);
}

static int bench_shape(const struct shape *shape, double peak)
{
    struct stage best, plain;
    int status = stage_open(&best, shape, false) | stage_open(&plain, shape, true);
    for (int op = 0; op < OP_COUNT && status == 0; op++) {
        char name[80];
        snprintf(name, sizeof name, "%s %s", ops[op].name, shape->name);
        struct bench bench;
        bench_begin(&bench, "ops", name);
        bench.seconds_goal = 0.25;
        while (bench_next(&bench)) {
            ops[op].run(&best);
            status |= clv_device_sync(best.device);
        }
        double flops = flops_of(&best, shape, (enum op)op);
        if (flops > 0.0) {
            double rate = 1e-9 * flops / bench_min(&bench);
            bench_number(&bench, "gflops", rate);
            bench_number(&bench, "share_of_sgemm_peak", rate / peak);
        } else {
            double bytes = 2.0 * sizeof(float) * best.rows * WIDTH;
            bench_number(&bench, "gbytes_per_s", 1e-9 * bytes / bench_min(&bench));
        }
        if (clv_device_kind(best.device) == CLV_DEVICE_CPU)
            bench_number(&bench, "plain_over_best",
                         plain_seconds(&plain, (enum op)op) / bench_min(&bench));
        status |= clv_device_sync(plain.device);
        bench_end(&bench);
    }
    stage_close(&best);
    stage_close(&plain);
    return status;
}

/* ---- from bytes to patches ------------------------------------------------------------------- */

enum { SQUARES = 32, SIDE = 224, SQUARE_BYTES = 3 * SIDE * SIDE };

struct squares {
    struct clv_device *device;
    struct clv_buffer *buffer;
    struct clv_model_config config;
    const uint8_t *square[SQUARES];
    uint8_t *bytes;
    float *floats;
    struct clv_tensor frames;
    uint8_t *device_bytes;
    float *values, *patches;
};

static int squares_open(struct squares *s, struct clv_device *device)
{
    const size_t count = (size_t)SQUARES * SQUARE_BYTES;
    float values[3 * 256];
    *s = (struct squares){.device = device,
                          .config = {.image_side = SIDE,
                                     .pixel_mean = {0.48f, 0.46f, 0.41f},
                                     .pixel_std = {0.27f, 0.26f, 0.28f}}};
    s->bytes = malloc(count);
    s->floats = malloc(count * sizeof *s->floats);
    if (!s->bytes || !s->floats ||
        clv_buffer_create(&s->buffer, device, (2 * count + count / 4 + 1024) * sizeof(float)) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        s->bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int i = 0; i < SQUARES; i++)
        s->square[i] = s->bytes + (size_t)i * SQUARE_BYTES;
    float *at = clv_buffer_data(s->buffer);
    s->frames = clv_tensor(bench_take(&at, count), SQUARES, SQUARE_BYTES);
    s->patches = bench_take(&at, count);
    s->device_bytes = (uint8_t *)bench_take(&at, count / 4);
    s->values = bench_take(&at, 3 * 256);
    clv_pixels_values(values, &s->config);
    clv_device_write(device, s->values, values, sizeof values);
    return clv_device_sync(device);
}

static void squares_close(struct squares *s)
{
    clv_buffer_free(s->buffer);
    free(s->bytes);
    free(s->floats);
}

static int run_squares(struct squares *s, struct clv_tensor patches, int patch)
{
    clv_device_write_parts(s->device, s->device_bytes, (const void *const *)s->square, SQUARES,
                           SQUARE_BYTES);
    clv_square_patches(s->device, patches, s->device_bytes, s->values, SIDE, patch);
    return clv_device_sync(s->device);
}

static int run_floats(struct squares *s, struct clv_tensor patches, int patch)
{
    clv_pixels_normalize(s->floats, s->square, SQUARES, &s->config);
    clv_device_write(s->device, s->frames.data, s->floats,
                     (size_t)SQUARES * SQUARE_BYTES * sizeof(float));
    clv_patches(s->device, patches, s->frames, SIDE, patch);
    return clv_device_sync(s->device);
}

static int bench_squares(struct clv_device *device, int patch)
{
    struct squares s;
    struct bench bench, floats = {.run_min = 5, .warm_min = 1, .seconds_goal = 0.25};
    const int rows = SQUARES * (SIDE / patch) * (SIDE / patch);
    char name[80];
    int status = squares_open(&s, device);
    const struct clv_tensor patches = clv_tensor(s.patches, rows, 3 * patch * patch);
    snprintf(name, sizeof name, "squares to patches %dx%d/%d", SQUARES, SIDE, patch);
    bench_begin(&bench, "ops", name);
    bench.seconds_goal = 0.25;
    while (status == 0 && bench_next(&bench))
        status = run_squares(&s, patches, patch);
    while (status == 0 && bench_next(&floats))
        status = run_floats(&s, patches, patch);
    if (status == 0) {
        const double bytes = 5.0 * SQUARES * SQUARE_BYTES; /* each byte read, a float written */
        bench_number(&bench, "gbytes_per_s", 1e-9 * bytes / bench_min(&bench));
        bench_number(&bench, "frames_per_s", SQUARES / bench_min(&bench));
        bench_number(&bench, "floats_over_bytes", bench_min(&floats) / bench_min(&bench));
        bench_end(&bench);
    } else {
        bench_drop(&bench);
    }
    squares_close(&s);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void print_peak(struct clv_device *device, double peak)
{
    struct bench bench;
    bench_begin(&bench, "ops", "sgemm 2048x2048x2048");
    bench_text(&bench, "device", clv_device_name(device));
    bench_number(&bench, "gflops", peak);
    bench_end(&bench);
}

int main(void)
{
    struct clv_device *device = NULL;
    if (bench_device_open(&device) != 0)
        return 1;
    double peak = 0.0;
    int status = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && status == 0; i++) {
        /* Measured again beside each shape: the machine may have been busy before. */
        double now = bench_sgemm_peak(device, 2048);
        peak = now > peak ? now : peak;
        print_peak(device, now);
        status = bench_shape(&shapes[i], peak);
    }
    static const int patches[] = {32, 16, 14};
    for (size_t i = 0; i < sizeof patches / sizeof *patches && status == 0; i++)
        status = bench_squares(device, patches[i]);
    clv_device_close(device);
    return status == 0 ? 0 : 1;
}
