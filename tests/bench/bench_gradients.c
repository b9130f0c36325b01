/* The training ops at the shapes of ViT-B/32 and B/16: share of the sgemm peak measured in the same
 * process where an op multiplies, GB/s of what must be read and written where it only moves data.
 */
#include "core/compute/device.h"
#include "core/compute/gradients.h"
#include "tests/bench/bench.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 768, HEADS = 12, HIDDEN = 3072, SEQUENCE_MAX = 64 };

struct shape {
    const char *name;
    enum clv_mask mask;
    int sequences, frames, tokens; /* frames of a sequence, tokens of a frame */
};

/* Two clips of 8 frames; one for B/16. */
static const struct shape shapes[] = {
    {"B/32 spatial 16x50", CLV_MASK_NONE, 16, 1, 50},
    {"B/32 temporal KMT 2x400", CLV_MASK_KMT, 2, 8, 50},
    {"B/32 temporal KMCT 2x400", CLV_MASK_KMCT, 2, 8, 50},
    {"B/16 spatial 8x197", CLV_MASK_NONE, 8, 1, 197},
    {"B/16 temporal KMT 1576", CLV_MASK_KMT, 1, 8, 197},
    {"B/16 temporal KMCT 1576", CLV_MASK_KMCT, 1, 8, 197},
    {"text 16x77", CLV_MASK_CAUSAL, 16, 1, 77},
};

/* The tensors of one block and their gradients, all inside one buffer. */
struct stage {
    struct clv_device *device;
    struct clv_buffer *buffer;
    const struct shape *shape;
    int rows;
    struct clv_tensor x, dx, y, dy, qkv, dqkv, hidden, dhidden;
    struct clv_tensor in_gradient, up_gradient;
    struct clv_tensor param, m, v, gradient;
    struct clv_weight in, up;
    float *bias, *scale, *dbias, *dscale, *stats;
    int32_t starts[SEQUENCE_MAX + 1];
    struct clv_attention attention;
};

static void split(struct stage *s, float *at)
{
    size_t rows = (size_t)s->rows;
    struct clv_tensor *wide[] = {&s->x, &s->dx, &s->y, &s->dy};
    for (int i = 0; i < 4; i++)
        *wide[i] = clv_tensor(bench_take(&at, rows * WIDTH), s->rows, WIDTH);
    s->qkv = clv_tensor(bench_take(&at, rows * WIDTH * 3), s->rows, WIDTH * 3);
    s->dqkv = clv_tensor(bench_take(&at, rows * WIDTH * 3), s->rows, WIDTH * 3);
    s->hidden = clv_tensor(bench_take(&at, rows * HIDDEN), s->rows, HIDDEN);
    s->dhidden = clv_tensor(bench_take(&at, rows * HIDDEN), s->rows, HIDDEN);
    struct clv_tensor in = clv_tensor(bench_take(&at, WIDTH * WIDTH * 3), WIDTH * 3, WIDTH);
    struct clv_tensor up = clv_tensor(bench_take(&at, WIDTH * HIDDEN), HIDDEN, WIDTH);
    s->in_gradient = clv_tensor(bench_take(&at, WIDTH * WIDTH * 3), WIDTH * 3, WIDTH);
    s->up_gradient = clv_tensor(bench_take(&at, WIDTH * HIDDEN), HIDDEN, WIDTH);
    struct clv_tensor *steps[] = {&s->param, &s->m, &s->v, &s->gradient};
    for (int i = 0; i < 4; i++)
        *steps[i] = clv_tensor(bench_take(&at, WIDTH * HIDDEN), HIDDEN, WIDTH);
    s->bias = bench_take(&at, HIDDEN);
    s->scale = bench_take(&at, WIDTH);
    s->dbias = bench_take(&at, HIDDEN);
    s->dscale = bench_take(&at, WIDTH);
    s->stats = bench_take(&at, rows * HEADS);
    clv_weight_prepare(s->device, &s->in, in, CLV_WEIGHT_OUT_IN);
    clv_weight_prepare(s->device, &s->up, up, CLV_WEIGHT_OUT_IN);
}

static int stage_open(struct stage *s, const struct shape *shape)
{
    *s = (struct stage){.shape = shape, .rows = shape->sequences * shape->frames * shape->tokens};
    size_t rows = (size_t)s->rows;
    size_t float_count = rows * (WIDTH * 10 + HIDDEN * 2 + HEADS) + (size_t)WIDTH * WIDTH * 6 +
                         (size_t)WIDTH * HIDDEN * 6 + 4 * HIDDEN + 1024;
    int status = bench_device_open(&s->device);
    if (status == 0)
        status = clv_buffer_create(&s->buffer, s->device, float_count * sizeof(float));
    if (status != 0 || bench_fill(s->device, s->buffer, float_count) != 0)
        return -1;
    split(s, clv_buffer_data(s->buffer));
    clv_fill(s->device, s->v, 1.0f);
    for (int i = 0; i <= shape->sequences; i++)
        s->starts[i] = i * shape->frames * shape->tokens;
    s->attention = (struct clv_attention){.mask = shape->mask,
                                          .head_count = HEADS,
                                          .sequence_count = shape->sequences,
                                          .token_count = shape->tokens,
                                          .starts = s->starts,
                                          .stats = s->stats};
    return 0;
}

static void stage_close(struct stage *s)
{
    clv_buffer_free(s->buffer);
    clv_device_close(s->device);
}

static struct clv_tensor third(struct clv_tensor t, int index)
{
    return clv_tensor_cols(t, index * WIDTH, WIDTH);
}

static void run_forward(struct stage *s)
{
    clv_attention(s->device, s->y, third(s->qkv, 0), third(s->qkv, 1), third(s->qkv, 2),
                  &s->attention);
}

static void run_attention(struct stage *s)
{
    clv_attention_backward(s->device, third(s->dqkv, 0), third(s->dqkv, 1), third(s->dqkv, 2),
                           s->dy, s->y, third(s->qkv, 0), third(s->qkv, 1), third(s->qkv, 2),
                           &s->attention);
}

static void run_in(struct stage *s)
{
    clv_linear_backward(s->device, s->dx, s->in_gradient, s->dbias, s->dqkv, s->x, &s->in);
}

static void run_up(struct stage *s)
{
    clv_linear_backward(s->device, s->dx, s->up_gradient, s->dbias, s->dhidden, s->x, &s->up);
}

static void run_norm(struct stage *s)
{
    clv_layer_norm_backward_add(s->device, s->dx, s->dscale, s->dbias, s->dy, s->x, s->scale);
}

static void run_activation(struct stage *s)
{
    clv_activate_backward(s->device, s->dhidden, s->dhidden, s->hidden, CLV_ACTIVATION_QUICK_GELU);
}

static void run_adamw(struct stage *s)
{
    static const struct clv_adamw options = {1e-6f, 0.9f, 0.98f, 1e-8f, 1e-3f, 10, 1.0f};
    clv_adamw(s->device, s->param, s->m, s->v, s->gradient, &options);
}

static double linear_flops(const struct stage *s, double in, double out)
{
    return 4.0 * s->rows * in * out; /* dx and dweight */
}

/* Pairs of query and key that see each other. */
static double pairs(const struct shape *shape)
{
    double t = shape->frames, l = shape->tokens, sum = t * l * t * l;
    if (shape->mask == CLV_MASK_KMT)
        sum = t * l * (1.0 + (t - 1.0) * l);
    if (shape->mask == CLV_MASK_KMCT)
        sum = t * l * (1.0 + (t - 1.0) * l / 2.0);
    if (shape->mask == CLV_MASK_CAUSAL)
        sum = l * (l + 1.0) / 2.0;
    return sum * shape->sequences;
}

/* Floating-point operations, or bytes moved. */
static double forward_work(const struct stage *s)
{
    return 4.0 * pairs(s->shape) * WIDTH;
}
static double attention_work(const struct stage *s)
{
    return 10.0 * pairs(s->shape) * WIDTH; /* five products: scores, dp, dq, dk, dv */
}
static double in_work(const struct stage *s)
{
    return linear_flops(s, WIDTH, 3 * WIDTH);
}
static double up_work(const struct stage *s)
{
    return linear_flops(s, WIDTH, HIDDEN);
}
static double norm_work(const struct stage *s)
{
    return 4.0 * sizeof(float) * s->rows * WIDTH;
}
static double activation_work(const struct stage *s)
{
    return 3.0 * sizeof(float) * s->rows * HIDDEN;
}
static double adamw_work(const struct stage *s)
{
    return 7.0 * sizeof(float) * s->param.rows * WIDTH;
}

static const struct {
    const char *name;
    void (*run)(struct stage *s);
    double (*work)(const struct stage *s);
    bool moves_bytes;
} ops[] = {
    {"attention with statistics", run_forward, forward_work, false},
    {"attention backward", run_attention, attention_work, false},
    {"linear qkv backward", run_in, in_work, false},
    {"linear up backward", run_up, up_work, false},
    {"layer norm backward", run_norm, norm_work, true},
    {"QuickGELU backward", run_activation, activation_work, true},
    {"AdamW 3072x768", run_adamw, adamw_work, true},
};

static int bench_shape(const struct shape *shape, double peak)
{
    struct stage s;
    int status = stage_open(&s, shape);
    for (size_t op = 0; op < sizeof ops / sizeof *ops && status == 0; op++) {
        char name[80];
        snprintf(name, sizeof name, "%s %s", ops[op].name, shape->name);
        struct bench bench;
        bench_begin(&bench, "gradients", name);
        bench.seconds_goal = 0.25;
        while (bench_next(&bench)) {
            ops[op].run(&s);
            status |= clv_device_sync(s.device);
        }
        double rate = 1e-9 * ops[op].work(&s) / bench_min(&bench);
        bench_number(&bench, ops[op].moves_bytes ? "gbytes_per_s" : "gflops", rate);
        if (!ops[op].moves_bytes)
            bench_number(&bench, "share_of_sgemm_peak", rate / peak);
        bench_end(&bench);
    }
    stage_close(&s);
    return status;
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
        status = bench_shape(&shapes[i], peak);
    }
    clv_device_close(device);
    return status == 0 ? 0 : 1;
}
