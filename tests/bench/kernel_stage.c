/* Memory for every op at once: measured, then carved out of one buffer. */
#include "tests/bench/kernel_stage.h"

#include "core/error.h"
#include "tests/bench/bench.h"

#include <stdlib.h>

/* Hands out parts of the buffer; with no buffer it only counts. */
struct room {
    float *base; /* NULL: counting */
    size_t used; /* floats */
};

static float *take(struct room *room, size_t count)
{
    float *at = room->base ? room->base + room->used : NULL;
    room->used += (count + 63) / 64 * 64;
    return at;
}

static struct clv_tensor tensor(struct room *room, int rows, int cols)
{
    return clv_tensor(take(room, (size_t)rows * (size_t)cols), rows, cols);
}

/* Of the type that lies between two products. */
static struct clv_tensor wide(struct room *room, struct clv_device *device, int rows, int cols)
{
    const enum clv_type type = clv_device_activation_type(device);
    const size_t bytes = (size_t)rows * (size_t)cols * clv_type_bytes(type);
    return clv_tensor_of(type, take(room, (bytes + sizeof(float) - 1) / sizeof(float)), rows, cols);
}

static void place_rows(struct kernel_stage *s, struct room *room)
{
    struct clv_device *device = s->device;
    const int w = s->shape->width, hidden = 4 * w, rows = s->rows, classes = s->frames;
    struct clv_tensor *stream[] = {&s->x, &s->y, &s->dx, &s->dy};
    struct clv_tensor *narrow[] = {&s->normed, &s->mixed, &s->dnormed, &s->dmixed};
    struct clv_tensor *broad[] = {&s->hidden, &s->active, &s->dhidden, &s->dactive};
    struct clv_tensor *few[] = {&s->class_q, &s->class_mixed, &s->class_dq, &s->class_dmixed};
    for (int i = 0; i < 4; i++) {
        *stream[i] = tensor(room, rows, w);
        *narrow[i] = wide(room, device, rows, w);
        *broad[i] = wide(room, device, rows, hidden);
        *few[i] = wide(room, device, classes, w);
    }
    s->qkv = wide(room, device, rows, 3 * w);
    s->dqkv = wide(room, device, rows, 3 * w);
    s->class_x = tensor(room, classes, w);
    s->class_dx = tensor(room, classes, w);
    s->stats = take(room, (size_t)rows * (size_t)(w / 64));
    s->class_stats = take(room, (size_t)classes * (size_t)(w / 64));
}

static void place_ends(struct kernel_stage *s, struct room *room)
{
    const struct kernel_shape *shape = s->shape;
    const int w = shape->width, embed = shape->embed, vocabulary = 49408;
    const int patch_cols = 3 * shape->patch * shape->patch, patches = shape->tokens - 1;
    s->pixels = tensor(room, s->frames, 3 * shape->side * shape->side);
    s->patches = wide(room, s->device, s->frames * patches, patch_cols);
    s->embedded = tensor(room, s->frames * patches, w);
    s->features = tensor(room, s->frames, embed);
    s->dfeatures = tensor(room, s->frames, embed);
    s->vectors = tensor(room, s->clips, embed);
    s->dvectors = tensor(room, s->clips, embed);
    s->text_features = tensor(room, s->texts, embed);
    s->logits = tensor(room, s->clips, s->texts);
    s->labels = tensor(room, s->clips, KERNEL_CLASSES);
    s->table = tensor(room, vocabulary, w);
    s->dtable = tensor(room, vocabulary, w);
    s->text_x = tensor(room, s->text_rows, w);
    s->position = tensor(room, shape->tokens, w);
    s->dposition = tensor(room, shape->tokens, w);
    s->temporal = tensor(room, KERNEL_FRAMES, w);
    s->dtemporal = tensor(room, KERNEL_FRAMES, w);
    s->text_position = tensor(room, 77, w);
    s->dtext_position = tensor(room, 77, w);
}

static void place_weight(struct kernel_stage *s, struct room *room, struct clv_weight *weight,
                         struct clv_tensor *gradient, int out_cols, int in_cols)
{
    const struct clv_tensor source = tensor(room, out_cols, in_cols);
    *gradient = tensor(room, out_cols, in_cols);
    if (room->base)
        clv_weight_prepare(s->device, weight, source, CLV_WEIGHT_OUT_IN);
}

/* After the numbers were written: preparing reads them. */
static void place_weights(struct kernel_stage *s, struct room *room)
{
    const int w = s->shape->width, hidden = 4 * w;
    place_weight(s, room, &s->conv1, &s->dconv1, w, 3 * s->shape->patch * s->shape->patch);
    place_weight(s, room, &s->in, &s->din, 3 * w, w);
    place_weight(s, room, &s->out, &s->dout, w, w);
    place_weight(s, room, &s->up, &s->dup, hidden, w);
    place_weight(s, room, &s->down, &s->ddown, w, hidden);
    struct clv_tensor *steps[] = {&s->param, &s->m, &s->v, &s->gradient};
    for (int i = 0; i < 4; i++)
        *steps[i] = tensor(room, hidden, w);
    s->bias = take(room, (size_t)hidden);
    s->dbias = take(room, (size_t)hidden);
    s->scale = take(room, (size_t)w);
    s->dscale = take(room, (size_t)w);
    s->numbers = take(room, 64);
    s->sums = (double *)(void *)take(room, 64);
}

static void place(struct kernel_stage *s, struct room *room)
{
    place_rows(s, room);
    place_ends(s, room);
    place_weights(s, room);
}

static int32_t *make_starts(int count, int rows)
{
    int32_t *starts = malloc(((size_t)count + 1) * sizeof *starts);
    for (int i = 0; starts && i <= count; i++)
        starts[i] = i * rows;
    return starts;
}

static int make_arrays(struct kernel_stage *s)
{
    s->frame_starts = make_starts(s->frames, s->shape->tokens);
    s->clip_starts = make_starts(s->clips, KERNEL_FRAMES * s->shape->tokens);
    s->text_starts = make_starts(s->texts, KERNEL_TEXT_TOKENS);
    s->class_rows = make_starts(s->frames, s->shape->tokens);
    s->slots = make_starts(s->frames, 1);
    s->ids = malloc((size_t)s->text_rows * sizeof *s->ids);
    s->factors = malloc((size_t)s->clips * sizeof *s->factors);
    if (!s->frame_starts || !s->clip_starts || !s->text_starts || !s->class_rows || !s->slots ||
        !s->ids || !s->factors)
        return clv_fail_memory("the arrays of a benchmark");
    for (int i = 0; i < s->text_rows; i++)
        s->ids[i] = (int32_t)((unsigned)i * 2654435761u % 49408u);
    for (int i = 0; i < s->clips; i++)
        s->factors[i] = 1e-6f;
    return CLV_OK;
}

/* Numbers of the right size, and of the right type, where ops write them; all are tame. */
static void fill_by_ops(struct kernel_stage *s)
{
    struct clv_device *device = s->device;
    struct clv_tensor *narrow[] = {&s->normed, &s->mixed, &s->dnormed, &s->dmixed};
    struct clv_tensor *few[] = {&s->class_q, &s->class_mixed, &s->class_dq, &s->class_dmixed};
    struct clv_tensor *broad[] = {&s->hidden, &s->active, &s->dhidden, &s->dactive};
    struct clv_tensor *triple[] = {&s->qkv, &s->dqkv};
    clv_fill(device, clv_tensor(s->scale, 1, s->shape->width), 1.0f);
    clv_patches(device, s->patches, s->pixels, s->shape->side, s->shape->patch);
    for (int i = 0; i < 4; i++) {
        clv_layer_norm(device, *narrow[i], s->x, s->scale, s->bias);
        clv_layer_norm(device, *few[i], s->class_x, s->scale, s->bias);
        clv_linear(device, *broad[i], s->normed, &s->up, s->bias, CLV_ACTIVATION_NONE,
                   CLV_NO_TENSOR);
    }
    for (int i = 0; i < 2; i++)
        clv_linear(device, *triple[i], s->normed, &s->in, s->bias, CLV_ACTIVATION_NONE,
                   CLV_NO_TENSOR);
    clv_fill(device, s->v, 1.0f);
    clv_fill(device, clv_tensor((float *)(void *)s->sums, 1, 2), 0.0f);
}

int kernel_stage_open(struct kernel_stage *out, struct clv_device *device,
                      const struct kernel_shape *shape, int clips)
{
    struct room room = {0};
    *out = (struct kernel_stage){.device = device, .shape = shape, .clips = clips};
    out->frames = clips * KERNEL_FRAMES;
    out->rows = out->frames * shape->tokens;
    out->texts = KERNEL_PROMPTS * KERNEL_CLASSES;
    out->text_rows = out->texts * KERNEL_TEXT_TOKENS;
    place(out, &room);
    int status = make_arrays(out);
    if (status == CLV_OK)
        status = clv_buffer_create(&out->buffer, device, room.used * sizeof(float));
    if (status != CLV_OK)
        return status;
    if (bench_fill(device, out->buffer, room.used) != 0)
        return clv_fail_memory("the numbers of a benchmark");
    room = (struct room){.base = clv_buffer_data(out->buffer)};
    place(out, &room);
    fill_by_ops(out);
    return clv_device_sync(device);
}

void kernel_stage_close(struct kernel_stage *stage)
{
    struct clv_weight *weights[] = {&stage->conv1, &stage->in, &stage->out, &stage->up,
                                    &stage->down};
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++)
        clv_weight_release(weights[i]);
    clv_buffer_free(stage->buffer);
    free(stage->frame_starts);
    free(stage->clip_starts);
    free(stage->text_starts);
    free(stage->class_rows);
    free(stage->slots);
    free(stage->ids);
    free(stage->factors);
    *stage = (struct kernel_stage){0};
}
