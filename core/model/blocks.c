/* One transformer block, and stacks of them. */
#include "core/model/blocks.h"

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

/* x + MLP(LN(x)), the LN going to `normed`. */
static void mlp(struct clv_device *device, const struct clv_block *block, struct clv_tensor x,
                struct clv_tensor normed, struct clv_tensor hidden, enum clv_activation activation)
{
    const float *const *param = block->param;
    clv_layer_norm(device, normed, x, param[CLV_PARAM_LN_2_WEIGHT], param[CLV_PARAM_LN_2_BIAS]);
    clv_linear(device, hidden, normed, &block->fc, param[CLV_PARAM_FC_BIAS], activation,
               CLV_NO_TENSOR);
    clv_linear(device, x, hidden, &block->proj, param[CLV_PARAM_PROJ_BIAS], CLV_ACTIVATION_NONE, x);
}

/* All rows are queries: x is updated in place. */
static void forward_all(struct clv_device *device, const struct clv_block *block,
                        struct clv_tensor x, const struct clv_block_scratch *scratch,
                        const struct clv_attention *attention, enum clv_activation activation)
{
    const float *const *param = block->param;
    const int width = block->width;
    const struct clv_tensor normed = clv_tensor(scratch->normed, x.rows, width);
    const struct clv_tensor mixed = clv_tensor(scratch->mixed, x.rows, width);
    const struct clv_tensor qkv = clv_tensor(scratch->wide, x.rows, 3 * width);
    const float *bias = param[CLV_PARAM_IN_PROJ_BIAS];

    clv_layer_norm(device, normed, x, param[CLV_PARAM_LN_1_WEIGHT], param[CLV_PARAM_LN_1_BIAS]);
    if (block->is_split) {
        clv_linear(device, clv_tensor_cols(qkv, 0, width), normed, &block->q, bias,
                   CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
        clv_linear(device, clv_tensor_cols(qkv, width, 2 * width), normed, &block->kv, bias + width,
                   CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    } else {
        clv_linear(device, qkv, normed, &block->qkv, bias, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    }
    clv_attention(device, mixed, clv_tensor_cols(qkv, 0, width), clv_tensor_cols(qkv, width, width),
                  clv_tensor_cols(qkv, 2 * width, width), attention);
    clv_linear(device, x, mixed, &block->out_proj, param[CLV_PARAM_OUT_PROJ_BIAS],
               CLV_ACTIVATION_NONE, x);
    mlp(device, block, x, normed, clv_tensor(scratch->wide, x.rows, block->mlp_width), activation);
}

/* Only the rows `queries` are computed; all rows are keys and values. */
static struct clv_tensor
forward_queries(struct clv_device *device, const struct clv_block *block, struct clv_tensor x,
                const struct clv_block_scratch *scratch, struct clv_attention attention,
                enum clv_activation activation, const int32_t *queries, int count)
{
    const float *const *param = block->param;
    const int width = block->width;
    const struct clv_tensor normed = clv_tensor(scratch->normed, x.rows, width);
    const struct clv_tensor kv = clv_tensor(scratch->wide, x.rows, 2 * width);
    const struct clv_tensor q =
        clv_tensor(scratch->wide + (size_t)x.rows * 2 * (size_t)width, count, width);
    const struct clv_tensor picked = clv_tensor(scratch->mixed, count, width);
    const float *bias = param[CLV_PARAM_IN_PROJ_BIAS];

    assert(block->is_split);
    clv_layer_norm(device, normed, x, param[CLV_PARAM_LN_1_WEIGHT], param[CLV_PARAM_LN_1_BIAS]);
    clv_linear(device, kv, normed, &block->kv, bias + width, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    clv_gather_rows(device, picked, normed, queries);
    clv_linear(device, q, picked, &block->q, bias, CLV_ACTIVATION_NONE, CLV_NO_TENSOR);
    attention.query_rows = queries;
    clv_attention(device, picked, q, clv_tensor_cols(kv, 0, width),
                  clv_tensor_cols(kv, width, width), &attention);

    /* `normed` is free again, and takes the rows of the stream that go on. */
    const struct clv_tensor y = clv_tensor(scratch->normed, count, width);
    clv_gather_rows(device, y, x, queries);
    clv_linear(device, y, picked, &block->out_proj, param[CLV_PARAM_OUT_PROJ_BIAS],
               CLV_ACTIVATION_NONE, y);
    mlp(device, block, y, clv_tensor(scratch->stream, count, width),
        clv_tensor(scratch->wide, count, block->mlp_width), activation);
    return y;
}

struct clv_tensor clv_blocks_forward(struct clv_device *device, const struct clv_block *blocks,
                                     int count, struct clv_tensor x,
                                     const struct clv_block_scratch *scratch,
                                     const struct clv_attention *attention,
                                     enum clv_activation activation, const int32_t *queries,
                                     int query_count)
{
    int full_count = queries && count > 0 ? count - 1 : count;
    for (int i = 0; i < full_count; i++)
        forward_all(device, &blocks[i], x, scratch, attention, activation);
    if (!queries)
        return x;
    if (count > 0)
        return forward_queries(device, &blocks[count - 1], x, scratch, *attention, activation,
                               queries, query_count);
    const struct clv_tensor picked = clv_tensor(scratch->normed, query_count, x.cols);
    clv_gather_rows(device, picked, x, queries);
    return picked;
}
