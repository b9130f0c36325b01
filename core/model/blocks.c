/* One transformer block, and stacks of them, forward. */
#include "core/model/blocks.h"

#include "core/compute/gradients.h"
#include "core/model/block_parts.h"

#include <assert.h>

static void prepare(struct clv_device *device, struct clv_weight *out, const float *source,
                    int out_cols, int in_cols)
{
    /* Ops take views of mutable memory; weights are only read. */
    clv_weight_prepare(device, out, clv_tensor((float *)source, out_cols, in_cols),
                       CLV_WEIGHT_OUT_IN);
}

void clv_block_prepare(struct clv_block *block, struct clv_device *device,
                       const struct clv_tower *tower, bool is_split)
{
    const int width = tower->width, hidden = tower->mlp_width;
    const float *in_proj = block->param[CLV_PARAM_IN_PROJ_WEIGHT];
    block->width = width;
    block->mlp_width = hidden;
    block->is_split = is_split;
    if (is_split) {
        prepare(device, &block->q, in_proj, width, width);
        prepare(device, &block->kv, in_proj + (size_t)width * (size_t)width, 2 * width, width);
    } else {
        prepare(device, &block->qkv, in_proj, 3 * width, width);
    }
    prepare(device, &block->out_proj, block->param[CLV_PARAM_OUT_PROJ_WEIGHT], width, width);
    prepare(device, &block->fc, block->param[CLV_PARAM_FC_WEIGHT], hidden, width);
    prepare(device, &block->proj, block->param[CLV_PARAM_PROJ_WEIGHT], width, hidden);
}

void clv_block_release(struct clv_block *block)
{
    clv_weight_release(&block->qkv);
    clv_weight_release(&block->q);
    clv_weight_release(&block->kv);
    clv_weight_release(&block->out_proj);
    clv_weight_release(&block->fc);
    clv_weight_release(&block->proj);
}

int clv_block_wide_cols(const struct clv_tower *tower)
{
    return tower->mlp_width > 3 * tower->width ? tower->mlp_width : 3 * tower->width;
}

void clv_block_lay_qkv(struct clv_tensor *q, struct clv_tensor *kv,
                       const struct clv_block_parts *parts, enum clv_type type, void *memory)
{
    const int width = parts->block->width, rows = parts->x.rows;
    if (parts->has_queries) {
        *kv = clv_tensor_of(type, memory, rows, 2 * width);
        *q = clv_tensor_of(type, clv_tensor_at(*kv, (ptrdiff_t)rows * 2 * width),
                           parts->middle.rows, width);
    } else {
        const struct clv_tensor all = clv_tensor_of(type, memory, rows, 3 * width);
        *q = clv_tensor_cols(all, 0, width);
        *kv = clv_tensor_cols(all, width, 2 * width);
    }
}

struct clv_block_parts clv_block_parts(const struct clv_block_run *run, int index,
                                       struct clv_tensor x)
{
    const struct clv_block *block = &run->blocks[index];
    const struct clv_block_scratch *scratch = &run->scratch;
    const struct clv_block_tape *tape = run->tape ? &run->tape[index] : NULL;
    const bool has_queries = run->queries && index == run->count - 1;
    const int width = block->width, rows = x.rows;
    const int count = has_queries ? run->query_count : rows;
    const enum clv_type type = scratch->type;
    /* Queries go on in rows of their own; the stream's are free once they are picked. */
    float *middle = tape ? tape->middle : has_queries ? scratch->normed : x.data;
    struct clv_block_parts parts = {
        .block = block,
        .has_queries = has_queries,
        .x = x,
        .normed = clv_tensor_of(type, scratch->normed, rows, width),
        .mixed = clv_tensor_of(type, tape ? tape->mixed : scratch->mixed, count, width),
        .stats = tape ? tape->stats : NULL,
        .middle = clv_tensor(middle, count, width),
        .middle_normed = clv_tensor_of(
            type, has_queries && !tape ? scratch->stream : scratch->normed, count, width),
        .hidden = clv_tensor_of(type, tape ? tape->hidden : scratch->wide, count, block->mlp_width),
        .active = clv_tensor_of(type, scratch->wide, count, block->mlp_width),
        .out = clv_tensor(tape ? run->tape[index + 1].x : middle, count, width),
    };
    clv_block_lay_qkv(&parts.q, &parts.kv, &parts, type, tape ? tape->qkv : scratch->wide);
    if (run->drop) {
        parts.attention_drop = run->drop + (size_t)(2 * index) * (size_t)run->drop_count;
        parts.mlp_drop = parts.attention_drop + run->drop_count;
        parts.drop_count = run->drop_count;
    }
    parts.attention = run->attention;
    parts.attention.query_rows = has_queries ? run->queries : NULL;
    parts.attention.stats = parts.stats;
    return parts;
}

/* out = stream + drop * (x W + bias). `room` is as large as out, and used where there is a drop. */
static void add_branch(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                       const struct clv_weight *weight, const float *bias, struct clv_tensor stream,
                       const float *drop, int drop_count, struct clv_tensor room)
{
    if (!drop) {
        clv_linear(device, out, x, weight, bias, CLV_ACTIVATION_NONE, stream);
        return;
    }
    clv_linear(device, room, x, weight, bias, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    if (out.data != stream.data)
        clv_copy(device, out, stream);
    clv_add_scaled_rows(device, out, room, drop, NULL, drop_count);
}

/* q, k and v of the normed stream. */
static void project(struct clv_device *device, const struct clv_block_run *run,
                    const struct clv_block_parts *parts)
{
    const struct clv_block *block = parts->block;
    const float *bias = block->param[CLV_PARAM_IN_PROJ_BIAS];
    const struct clv_tensor none = CLV_NO_TENSOR;
    struct clv_tensor asking = parts->normed;
    if (!block->is_split) {
        struct clv_tensor qkv = parts->q;
        qkv.cols = 3 * block->width;
        clv_linear(device, qkv, parts->normed, &block->qkv, bias, CLV_ACTIVATION_NONE, none);
        return;
    }
    clv_linear(device, parts->kv, parts->normed, &block->kv, bias + block->width,
               CLV_ACTIVATION_NONE, none);
    if (parts->has_queries) {
        asking = clv_tensor_of(asking.type, run->scratch.mixed, run->query_count, block->width);
        clv_gather_rows(device, asking, parts->normed, run->queries);
    }
    clv_linear(device, parts->q, asking, &block->q, bias, CLV_ACTIVATION_NONE, none);
}

/* From x to `middle`. */
static void attend(struct clv_device *device, const struct clv_block_run *run,
                   const struct clv_block_parts *parts)
{
    const struct clv_block *block = parts->block;
    const float *const *param = block->param;
    struct clv_tensor stream = parts->x;
    assert(!parts->has_queries || block->is_split);
    clv_layer_norm(device, parts->normed, parts->x, param[CLV_PARAM_LN_1_WEIGHT],
                   param[CLV_PARAM_LN_1_BIAS]);
    project(device, run, parts);
    clv_attention(device, parts->mixed, parts->q, clv_tensor_cols(parts->kv, 0, block->width),
                  clv_tensor_cols(parts->kv, block->width, block->width), &parts->attention);
    if (parts->has_queries) {
        clv_gather_rows(device, parts->middle, parts->x, run->queries);
        stream = parts->middle;
    }
    add_branch(device, parts->middle, parts->mixed, &block->out_proj,
               param[CLV_PARAM_OUT_PROJ_BIAS], stream, parts->attention_drop, parts->drop_count,
               clv_tensor(run->scratch.normed, parts->middle.rows, block->width));
}

void clv_block_inside(struct clv_device *device, const struct clv_block_run *run,
                      const struct clv_block_parts *parts)
{
    const struct clv_block *block = parts->block;
    const float *const *param = block->param;
    attend(device, run, parts);
    clv_layer_norm(device, parts->middle_normed, parts->middle, param[CLV_PARAM_LN_2_WEIGHT],
                   param[CLV_PARAM_LN_2_BIAS]);
    /* Only training needs the numbers before the activation. */
    clv_linear(device, parts->hidden, parts->middle_normed, &block->fc, param[CLV_PARAM_FC_BIAS],
               run->tape ? CLV_ACTIVATION_NONE : run->activation, CLV_NO_TENSOR);
}

static struct clv_tensor forward(struct clv_device *device, const struct clv_block_run *run,
                                 int index, struct clv_tensor x)
{
    const struct clv_block_parts parts = clv_block_parts(run, index, x);
    const struct clv_block *block = parts.block;
    clv_block_inside(device, run, &parts);
    if (run->tape)
        clv_activate(device, parts.active, parts.hidden, run->activation);
    add_branch(device, parts.out, parts.active, &block->proj, block->param[CLV_PARAM_PROJ_BIAS],
               parts.middle, parts.mlp_drop, parts.drop_count,
               clv_tensor(run->scratch.normed, parts.out.rows, block->width));
    return parts.out;
}

/* Where there are no blocks that would pick the queries. */
static bool is_only_picking(const struct clv_block_run *run)
{
    return run->count == 0 && run->queries;
}

float *clv_blocks_input(const struct clv_block_run *run)
{
    /* Where queries are all that happens, they are the result, and x is none of it. */
    return run->tape && !is_only_picking(run) ? run->tape[0].x : run->scratch.stream;
}

struct clv_tensor clv_blocks_result(const struct clv_block_run *run, struct clv_tensor x)
{
    for (int i = 0; i < run->count; i++)
        x = clv_block_parts(run, i, x).out;
    if (!is_only_picking(run))
        return x;
    return clv_tensor(run->tape ? run->tape[0].x : run->scratch.normed, run->query_count, x.cols);
}

struct clv_tensor clv_blocks_forward(struct clv_device *device, const struct clv_block_run *run,
                                     struct clv_tensor x)
{
    const struct clv_tensor result = clv_blocks_result(run, x);
    assert(x.data == clv_blocks_input(run));
    assert(!run->drop || run->tape);
    if (is_only_picking(run))
        clv_gather_rows(device, result, x, run->queries);
    for (int i = 0; i < run->count; i++)
        x = forward(device, run, i, x);
    assert(is_only_picking(run) || x.data == result.data);
    return result;
}
