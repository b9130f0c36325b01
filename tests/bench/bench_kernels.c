/* Every op at the sizes of ViT-B/16 and L/14, alone: its time, the floating-point operations and
 * bytes that it cannot do without, and the share that this is of the limit that binds it, product
 * throughput or memory bandwidth, each measured in the same run.
 *   bench_kernels [--clips N] [SHAPE…]     b-16 and l-14; 32 clips of 8 frames on CUDA, 1 on a CPU
 * The batches are larger than any cache, so ops called one after another find nothing there. */
#include "core/error.h"
#include "tests/bench/bench.h"
#include "tests/bench/kernel_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kernel_shape shapes[] = {
    {"b-16", 768, 16, 224, 512, 197},
    {"l-14", 1024, 14, 224, 768, 257},
    {"tiny", 128, 16, 64, 64, 17},
};

struct work {
    double flops, bytes;
};

struct kernel {
    const char *name;
    void (*run)(const struct kernel_stage *s);
    struct work (*work)(const struct kernel_stage *s);
};

static double bytes_of(struct clv_tensor t)
{
    return (double)clv_type_bytes(t.type) * t.rows * t.cols;
}

static double weight_bytes(const struct kernel_stage *s, const struct clv_weight *weight)
{
    const bool is_half = clv_device_precision(s->device) == CLV_PRECISION_BF16;
    return (is_half ? 2.0 : 4.0) * weight->in_cols * weight->out_cols;
}

static struct clv_tensor third(const struct kernel_stage *s, struct clv_tensor qkv, int index)
{
    return clv_tensor_cols(qkv, index * s->shape->width, s->shape->width);
}

/* ---- linear layers ---- */

static struct work linear_work(const struct kernel_stage *s, struct clv_tensor out,
                               struct clv_tensor x, const struct clv_weight *weight)
{
    return (struct work){2.0 * out.rows * weight->in_cols * weight->out_cols,
                         bytes_of(out) + bytes_of(x) + weight_bytes(s, weight)};
}

static void run_conv1(const struct kernel_stage *s)
{
    clv_linear(s->device, s->embedded, s->patches, &s->conv1, NULL, CLV_ACTIVATION_NONE,
               CLV_NO_TENSOR);
}
static struct work work_conv1(const struct kernel_stage *s)
{
    return linear_work(s, s->embedded, s->patches, &s->conv1);
}

static void run_in(const struct kernel_stage *s)
{
    clv_linear(s->device, s->qkv, s->normed, &s->in, s->bias, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
}
static struct work work_in(const struct kernel_stage *s)
{
    return linear_work(s, s->qkv, s->normed, &s->in);
}

static void run_out(const struct kernel_stage *s)
{
    clv_linear(s->device, s->x, s->mixed, &s->out, s->bias, CLV_ACTIVATION_NONE, s->x);
}
static struct work work_out(const struct kernel_stage *s)
{
    struct work work = linear_work(s, s->x, s->mixed, &s->out);
    work.bytes += bytes_of(s->x);
    return work;
}

static void run_up(const struct kernel_stage *s)
{
    clv_linear(s->device, s->hidden, s->normed, &s->up, s->bias, CLV_ACTIVATION_QUICK_GELU,
               CLV_NO_TENSOR);
}
static struct work work_up(const struct kernel_stage *s)
{
    return linear_work(s, s->hidden, s->normed, &s->up);
}

static void run_down(const struct kernel_stage *s)
{
    clv_linear(s->device, s->x, s->hidden, &s->down, s->bias, CLV_ACTIVATION_NONE, s->x);
}
static struct work work_down(const struct kernel_stage *s)
{
    struct work work = linear_work(s, s->x, s->hidden, &s->down);
    work.bytes += bytes_of(s->x);
    return work;
}

/* dx and dweight: two products, dy read once for both. */
static struct work linear_backward_work(const struct kernel_stage *s, struct clv_tensor dx,
                                        struct clv_tensor dy, struct clv_tensor x,
                                        const struct clv_weight *weight)
{
    const double elements = (double)weight->in_cols * weight->out_cols;
    return (struct work){(dx.data ? 4.0 : 2.0) * dy.rows * elements,
                         bytes_of(dy) + bytes_of(x) + (dx.data ? bytes_of(dx) : 0) +
                             (dx.data ? weight_bytes(s, weight) : 0) + 8.0 * elements};
}

static void run_conv1_backward(const struct kernel_stage *s)
{
    clv_linear_backward(s->device, CLV_NO_TENSOR, s->dconv1, NULL, s->embedded, s->patches,
                        &s->conv1);
}
static struct work work_conv1_backward(const struct kernel_stage *s)
{
    return linear_backward_work(s, CLV_NO_TENSOR, s->embedded, s->patches, &s->conv1);
}

static void run_in_backward(const struct kernel_stage *s)
{
    clv_linear_backward(s->device, s->dnormed, s->din, s->dbias, s->dqkv, s->normed, &s->in);
}
static struct work work_in_backward(const struct kernel_stage *s)
{
    return linear_backward_work(s, s->dnormed, s->dqkv, s->normed, &s->in);
}

static void run_out_backward(const struct kernel_stage *s)
{
    clv_linear_backward(s->device, s->dmixed, s->dout, s->dbias, s->dx, s->mixed, &s->out);
}
static struct work work_out_backward(const struct kernel_stage *s)
{
    return linear_backward_work(s, s->dmixed, s->dx, s->mixed, &s->out);
}

static void run_up_backward(const struct kernel_stage *s)
{
    clv_linear_backward(s->device, s->dnormed, s->dup, s->dbias, s->dhidden, s->normed, &s->up);
}
static struct work work_up_backward(const struct kernel_stage *s)
{
    return linear_backward_work(s, s->dnormed, s->dhidden, s->normed, &s->up);
}

static void run_down_backward(const struct kernel_stage *s)
{
    clv_linear_backward(s->device, s->dactive, s->ddown, s->dbias, s->dx, s->active, &s->down);
}
static struct work work_down_backward(const struct kernel_stage *s)
{
    return linear_backward_work(s, s->dactive, s->dx, s->active, &s->down);
}

/* Features with features. */
static void run_matmul(const struct kernel_stage *s)
{
    clv_matmul(s->device, s->logits, s->vectors, false, s->text_features, true, 1.0f, 0.0f);
}
static struct work work_matmul(const struct kernel_stage *s)
{
    return (struct work){2.0 * s->clips * s->texts * s->shape->embed,
                         bytes_of(s->logits) + bytes_of(s->vectors) + bytes_of(s->text_features)};
}

/* ---- attention ---- */

static struct clv_attention attention_of(const struct kernel_stage *s, enum clv_mask mask,
                                         bool is_class_only)
{
    const bool is_spatial = mask == CLV_MASK_NONE;
    return (struct clv_attention){
        .mask = mask,
        .head_count = s->shape->width / 64,
        .sequence_count = is_spatial ? s->frames : s->clips,
        .token_count = s->shape->tokens,
        .starts = is_spatial ? s->frame_starts : s->clip_starts,
        .query_rows = is_class_only ? s->class_rows : NULL,
        .stats = is_class_only ? s->class_stats : s->stats,
    };
}

static void attend(const struct kernel_stage *s, enum clv_mask mask, bool is_class_only)
{
    const struct clv_attention attention = attention_of(s, mask, is_class_only);
    clv_attention(s->device, is_class_only ? s->class_mixed : s->mixed,
                  is_class_only ? s->class_q : third(s, s->qkv, 0), third(s, s->qkv, 1),
                  third(s, s->qkv, 2), &attention);
}

static void attend_backward(const struct kernel_stage *s, enum clv_mask mask, bool is_class_only)
{
    const struct clv_attention attention = attention_of(s, mask, is_class_only);
    clv_attention_backward(
        s->device, is_class_only ? s->class_dq : third(s, s->dqkv, 0), third(s, s->dqkv, 1),
        third(s, s->dqkv, 2), is_class_only ? s->class_dmixed : s->dmixed,
        is_class_only ? s->class_mixed : s->mixed, is_class_only ? s->class_q : third(s, s->qkv, 0),
        third(s, s->qkv, 1), third(s, s->qkv, 2), &attention);
}

/* Keys that all queries see, counted exactly. */
static double pairs(const struct kernel_stage *s, enum clv_mask mask, bool is_class_only)
{
    const double l = s->shape->tokens, t = KERNEL_FRAMES, queries = is_class_only ? 1 : l;
    if (mask == CLV_MASK_NONE)
        return s->frames * queries * l;
    return s->frames * queries * (1 + (mask == CLV_MASK_KMCT ? (t - 1) / 2 : t - 1) * l);
}

/* Two products forward, five back; `backward` reads out and its gradient too. */
static struct work attention_work(const struct kernel_stage *s, enum clv_mask mask,
                                  bool is_class_only, bool is_backward)
{
    const struct clv_tensor q = is_class_only ? s->class_q : third(s, s->qkv, 0);
    const double keys = 2 * bytes_of(third(s, s->qkv, 1)), queries = bytes_of(q);
    return (struct work){(is_backward ? 10.0 : 4.0) * pairs(s, mask, is_class_only) *
                             s->shape->width,
                         is_backward ? 2 * keys + 4 * queries : keys + 2 * queries};
}

#define ATTENTION(name, mask, is_class_only)                                \
    static void run_##name(const struct kernel_stage *s)                    \
    {                                                                       \
        attend(s, mask, is_class_only);                                     \
    }                                                                       \
    static struct work work_##name(const struct kernel_stage *s)            \
    {                                                                       \
        return attention_work(s, mask, is_class_only, false);               \
    }                                                                       \
    static void run_##name##_backward(const struct kernel_stage *s)         \
    {                                                                       \
        attend_backward(s, mask, is_class_only);                            \
    }                                                                       \
    static struct work work_##name##_backward(const struct kernel_stage *s) \
    {                                                                       \
        return attention_work(s, mask, is_class_only, true);                \
    }

ATTENTION(spatial, CLV_MASK_NONE, false)
ATTENTION(spatial_class, CLV_MASK_NONE, true)
ATTENTION(kmt, CLV_MASK_KMT, false)
ATTENTION(kmt_class, CLV_MASK_KMT, true)
ATTENTION(kmct, CLV_MASK_KMCT, false)
ATTENTION(kmct_class, CLV_MASK_KMCT, true)

/* ---- ops that move ---- */

static struct work moved(double bytes)
{
    return (struct work){0, bytes};
}

/* An op and the bytes that it reads and writes. */
#define MOVES(name, bytes, ...)                                  \
    static void run_##name(const struct kernel_stage *s)         \
    {                                                            \
        __VA_ARGS__;                                             \
    }                                                            \
    static struct work work_##name(const struct kernel_stage *s) \
    {                                                            \
        return moved(bytes);                                     \
    }

MOVES(patches, bytes_of(s->pixels) + bytes_of(s->patches),
      clv_patches(s->device, s->patches, s->pixels, s->shape->side, s->shape->patch))
/* Any bytes are pixels, and any numbers are worth something. */
MOVES(square_patches, bytes_of(s->pixels) / 4 + bytes_of(s->patches),
      clv_square_patches(s->device, s->patches, (const uint8_t *)s->pixels.data, s->table.data,
                         s->shape->side, s->shape->patch))
MOVES(mix_clips, 2 * bytes_of(s->pixels),
      clv_mix_clips(s->device, s->pixels, s->pixels, KERNEL_FRAMES, s->shape->side,
                    &(struct clv_mix){.lambda = 0.3}))
MOVES(frame_embed, bytes_of(s->embedded) + bytes_of(s->x),
      clv_frame_embed(s->device, s->x, s->embedded, s->scale, s->position))
MOVES(window_embed, 2 * bytes_of(s->x),
      clv_window_embed(s->device, s->y, s->x, s->slots, KERNEL_FRAMES, s->shape->tokens,
                       s->temporal))
MOVES(token_embed, 2 * bytes_of(s->text_x),
      clv_token_embed(s->device, s->text_x, s->table, s->text_position, s->ids, s->text_starts,
                      s->texts))
MOVES(gather, 2 * bytes_of(s->class_x), clv_gather_rows(s->device, s->class_x, s->x, s->class_rows))
MOVES(copy, 2 * bytes_of(s->x), clv_copy(s->device, s->y, s->x))
MOVES(norm, bytes_of(s->x) + bytes_of(s->normed),
      clv_layer_norm(s->device, s->normed, s->x, s->scale, s->bias))
MOVES(unit_mean, bytes_of(s->features) + bytes_of(s->vectors),
      clv_unit_mean(s->device, s->vectors, s->features, KERNEL_FRAMES))
MOVES(activate, bytes_of(s->hidden) + bytes_of(s->active),
      clv_activate(s->device, s->active, s->hidden, CLV_ACTIVATION_QUICK_GELU))
MOVES(activate_backward, bytes_of(s->hidden) + bytes_of(s->dactive) + bytes_of(s->dhidden),
      clv_activate_backward(s->device, s->dhidden, s->dactive, s->hidden,
                            CLV_ACTIVATION_QUICK_GELU))
MOVES(norm_backward, 3 * bytes_of(s->x) + bytes_of(s->dnormed),
      clv_layer_norm_backward_add(s->device, s->dx, s->dscale, s->dbias, s->dnormed, s->x,
                                  s->scale))
MOVES(frame_embed_backward, bytes_of(s->embedded) + bytes_of(s->x),
      clv_frame_embed_backward(s->device, s->embedded, s->dscale, s->dposition, s->dy,
                               s->shape->tokens))
MOVES(window_embed_backward, 3 * bytes_of(s->x),
      clv_window_embed_backward(s->device, s->dx, s->dtemporal, s->dy, s->slots, KERNEL_FRAMES,
                                s->shape->tokens))
MOVES(token_embed_backward, 3 * bytes_of(s->text_x),
      clv_token_embed_backward(s->device, s->dtable, s->dtext_position, s->text_x, s->ids,
                               s->text_starts, s->texts))
MOVES(scatter, 3 * bytes_of(s->class_dx),
      clv_scatter_rows_add(s->device, s->dx, s->class_dx, s->class_rows))
MOVES(unit_mean_backward, 2 * bytes_of(s->features) + bytes_of(s->vectors),
      clv_unit_mean_backward(s->device, s->dfeatures, s->dvectors, s->features, KERNEL_FRAMES))
MOVES(cross_entropy, 2 * bytes_of(s->logits) + bytes_of(s->labels),
      clv_soft_cross_entropy(s->device, s->sums, s->logits, s->logits, s->labels, KERNEL_PROMPTS,
                             1.0f))
MOVES(fill, bytes_of(s->dy), clv_fill(s->device, s->dy, 1e-3f))
MOVES(scale, 2 * bytes_of(s->y), clv_scale(s->device, s->y, s->y, 1.0f))
MOVES(add_scaled, 3 * bytes_of(s->y), clv_add_scaled(s->device, s->y, s->x, 1e-6f))
MOVES(scale_rows, 2 * bytes_of(s->y),
      clv_scale_rows(s->device, s->y, s->x, s->factors, NULL, s->clips))
MOVES(add_scaled_rows, 3 * bytes_of(s->y),
      clv_add_scaled_rows(s->device, s->y, s->x, s->factors, NULL, s->clips))
MOVES(sum_squares, bytes_of(s->x), clv_sum_squares(s->device, s->sums, s->x))
MOVES(dot_add, 2 * bytes_of(s->logits), clv_dot_add(s->device, s->numbers, s->logits, s->logits))
MOVES(adamw, 7 * bytes_of(s->param),
      clv_adamw(s->device, s->param, s->m, s->v, s->gradient,
                &(struct clv_adamw){1e-6f, 0.9f, 0.98f, 1e-8f, 1e-3f, 10, 1.0f}))

/* ---- the table ---- */

#define KERNEL(text, name)            \
    {                                 \
        text, run_##name, work_##name \
    }

static const struct kernel kernels[] = {
    KERNEL("patches", patches),
    KERNEL("patches of squares", square_patches),
    KERNEL("mixup of clips", mix_clips),
    KERNEL("linear conv1", conv1),
    KERNEL("frame embed", frame_embed),
    KERNEL("layer norm", norm),
    KERNEL("linear qkv", in),
    KERNEL("attention spatial", spatial),
    KERNEL("attention spatial, class rows", spatial_class),
    KERNEL("attention KMT", kmt),
    KERNEL("attention KMT, class rows", kmt_class),
    KERNEL("attention KMCT", kmct),
    KERNEL("attention KMCT, class rows", kmct_class),
    KERNEL("linear out + residual", out),
    KERNEL("linear up + QuickGELU", up),
    KERNEL("linear down + residual", down),
    KERNEL("window embed", window_embed),
    KERNEL("token embed", token_embed),
    KERNEL("gather rows", gather),
    KERNEL("copy", copy),
    KERNEL("unit mean", unit_mean),
    KERNEL("QuickGELU", activate),
    KERNEL("matmul features x texts", matmul),
    KERNEL("soft cross entropy", cross_entropy),
    KERNEL("unit mean backward", unit_mean_backward),
    KERNEL("scatter rows", scatter),
    KERNEL("linear down backward", down_backward),
    KERNEL("QuickGELU backward", activate_backward),
    KERNEL("linear up backward", up_backward),
    KERNEL("layer norm backward", norm_backward),
    KERNEL("linear out backward", out_backward),
    KERNEL("attention spatial backward", spatial_backward),
    KERNEL("attention spatial, class rows, backward", spatial_class_backward),
    KERNEL("attention KMT backward", kmt_backward),
    KERNEL("attention KMT, class rows, backward", kmt_class_backward),
    KERNEL("attention KMCT backward", kmct_backward),
    KERNEL("attention KMCT, class rows, backward", kmct_class_backward),
    KERNEL("linear qkv backward", in_backward),
    KERNEL("window embed backward", window_embed_backward),
    KERNEL("frame embed backward", frame_embed_backward),
    KERNEL("linear conv1 backward", conv1_backward),
    KERNEL("token embed backward", token_embed_backward),
    KERNEL("fill", fill),
    KERNEL("scale", scale),
    KERNEL("add scaled", add_scaled),
    KERNEL("scale rows", scale_rows),
    KERNEL("add scaled rows", add_scaled_rows),
    KERNEL("sum of squares", sum_squares),
    KERNEL("dot product", dot_add),
    KERNEL("AdamW", adamw),
};

/* Runs of an op between two looks at the clock: a look, which waits, costs as much as a small op.
 */
enum { REPEATS_CUDA = 20, WARM_RUNS = 2 };

static int bench_kernel(const struct kernel *kernel, const struct kernel_stage *s,
                        const struct bench_limits *limits)
{
    const int repeats = clv_device_kind(s->device) == CLV_DEVICE_CUDA ? REPEATS_CUDA : 1;
    struct bench bench, one;
    char name[96];
    int status = CLV_OK;
    snprintf(name, sizeof name, "%s %s", s->shape->name, kernel->name);
    bench_begin(&bench, "kernels", name);
    one = (struct bench){.run_min = 5, .warm_min = WARM_RUNS, .seconds_goal = 0.25};
    while (status == CLV_OK && bench_next(&one)) {
        for (int i = 0; i < repeats; i++)
            kernel->run(s);
        status = clv_device_sync(s->device);
    }
    for (int i = 0; i < one.count; i++)
        bench_sample(&bench, one.seconds[i] / repeats);
    const struct work work = kernel->work(s);
    const double by_flops = 1e-9 * work.flops / limits->gflops;
    const double by_bytes = 1e-9 * work.bytes / limits->gbytes_per_s;
    bench_device(&bench, s->device);
    bench_number(&bench, "clips", s->clips);
    bench_number(&bench, "gflop", 1e-9 * work.flops);
    bench_number(&bench, "gbyte", 1e-9 * work.bytes);
    bench_text(&bench, "bound_by", by_flops > by_bytes ? "products" : "memory");
    if (status == CLV_OK)
        bench_number(&bench, "share_of_limit",
                     (by_flops > by_bytes ? by_flops : by_bytes) / bench_min(&bench));
    bench_shares(&bench, limits, 1e-9 * work.flops, 1e-9 * work.bytes);
    bench_end(&bench);
    return status;
}

static int bench_shape(const struct kernel_shape *shape, int clips)
{
    struct clv_device *device = NULL;
    struct kernel_stage stage = {0};
    struct bench_limits limits = {0};
    int status = bench_device_open(&device);
    if (status != CLV_OK)
        return status;
    if (clips == 0)
        clips = clv_device_kind(device) == CLV_DEVICE_CUDA ? 32 : 1;
    bench_limits_raise(&limits, device);
    status = kernel_stage_open(&stage, device, shape, clips);
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0] && status == CLV_OK; i++)
        status = bench_kernel(&kernels[i], &stage, &limits);
    if (status != CLV_OK)
        fprintf(stderr, "bench_kernels: %s\n", clv_error_message());
    kernel_stage_close(&stage);
    clv_device_close(device);
    return status;
}

int main(int argc, char **argv)
{
    int clips = 0, first = 1, status = CLV_OK;
    if (argc > 2 && strcmp(argv[1], "--clips") == 0) {
        clips = (int)strtol(argv[2], NULL, 10);
        first = 3;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0] && status == CLV_OK; i++) {
        bool is_wanted = argc <= first && strcmp(shapes[i].name, "tiny") != 0;
        for (int k = first; k < argc; k++)
            is_wanted = is_wanted || strcmp(argv[k], shapes[i].name) == 0;
        if (is_wanted)
            status = bench_shape(&shapes[i], clips);
    }
    return status == CLV_OK ? 0 : 1;
}
