/* The gradient of a transformer block, and of stacks of them. What the tape does not keep is
 * computed again: the two layer norms and the activation, which cost little beside the products. */
#include "core/compute/gradients.h"
#include "core/model/block_parts.h"
#include "core/model/blocks.h"

#include <assert.h>

/* A parameter's gradient as a tensor; absent where the parameter is frozen. */
static struct clv_tensor matrix(const struct clv_block *block, enum clv_param_block which,
                                int first_row, int rows, int cols)
{
    float *gradient = block->gradient[which];
    return gradient ? clv_tensor(gradient + (size_t)first_row * (size_t)cols, rows, cols)
                    : CLV_NO_TENSOR;
}

/* What reaches a branch of d, the gradient of the stream it was added to: d itself, or with a drop
 * a scaled copy in `room`. */
static struct clv_tensor into_branch(struct clv_device *device, struct clv_tensor d,
                                     const float *drop, int drop_count, float *room)
{
    if (!drop)
        return d;
    const struct clv_tensor scaled = clv_tensor(room, d.rows, d.cols);
    clv_scale_rows(device, scaled, d, drop, NULL, drop_count);
    return scaled;
}

/* d [Q, W]: on entry the gradient of `out`, on return that of `middle`. */
static void mlp_backward(struct clv_device *device, const struct clv_block_run *run,
                         const struct clv_block_parts *parts, struct clv_tensor d)
{
    const struct clv_block *block = parts->block;
    const float *const *param = block->param;
    float *const *gradient = block->gradient;
    const int width = block->width, hidden_width = block->mlp_width;
    const enum clv_type type = run->scratch.type;
    const struct clv_tensor dhidden =
        clv_tensor_of(type, run->scratch.wide_gradient, d.rows, hidden_width);
    const struct clv_tensor dnormed = clv_tensor_of(type, run->scratch.mixed, d.rows, width);
    const struct clv_tensor dbranch =
        into_branch(device, d, parts->mlp_drop, parts->drop_count, run->scratch.mixed);

    if (gradient[CLV_PARAM_PROJ_WEIGHT])
        clv_activate(device, parts->active, parts->hidden, run->activation);
    clv_linear_backward(device, dhidden,
                        matrix(block, CLV_PARAM_PROJ_WEIGHT, 0, width, hidden_width),
                        gradient[CLV_PARAM_PROJ_BIAS], dbranch, parts->active, &block->proj);
    clv_activate_backward(device, dhidden, dhidden, parts->hidden, run->activation);
    if (gradient[CLV_PARAM_FC_WEIGHT])
        clv_layer_norm(device, parts->middle_normed, parts->middle, param[CLV_PARAM_LN_2_WEIGHT],
                       param[CLV_PARAM_LN_2_BIAS]);
    clv_linear_backward(device, dnormed, matrix(block, CLV_PARAM_FC_WEIGHT, 0, hidden_width, width),
                        gradient[CLV_PARAM_FC_BIAS], dhidden, parts->middle_normed, &block->fc);
    clv_layer_norm_backward_add(device, d, gradient[CLV_PARAM_LN_2_WEIGHT],
                                gradient[CLV_PARAM_LN_2_BIAS], dnormed, parts->middle,
                                param[CLV_PARAM_LN_2_WEIGHT]);
}

/* From dq [Q, W] and dkv [R, 2W] to the gradient of the normed stream [R, W], in fp32 where two
 * projections add to it. */
static void project_backward(struct clv_device *device, const struct clv_block_run *run,
                             const struct clv_block_parts *parts, struct clv_tensor dnormed,
                             struct clv_tensor dq, struct clv_tensor dkv)
{
    const struct clv_block *block = parts->block;
    const int width = block->width;
    float *dbias = block->gradient[CLV_PARAM_IN_PROJ_BIAS];
    const struct clv_tensor dweight_q = matrix(block, CLV_PARAM_IN_PROJ_WEIGHT, 0, width, width);
    const struct clv_tensor dweight_kv =
        matrix(block, CLV_PARAM_IN_PROJ_WEIGHT, width, 2 * width, width);
    if (!block->is_split) {
        struct clv_tensor dqkv = dq;
        dqkv.cols = 3 * width;
        clv_linear_backward(device, dnormed,
                            matrix(block, CLV_PARAM_IN_PROJ_WEIGHT, 0, 3 * width, width), dbias,
                            dqkv, parts->normed, &block->qkv);
        return;
    }
    clv_linear_backward(device, dnormed, dweight_kv, dbias ? dbias + width : NULL, dkv,
                        parts->normed, &block->kv);
    if (!parts->has_queries) {
        clv_linear_backward_add(device, dnormed, dweight_q, dbias, dq, parts->normed, &block->q);
        return;
    }
    const struct clv_tensor dasking = clv_tensor(run->scratch.wide, dq.rows, width);
    const struct clv_tensor asking = clv_tensor_of(
        run->scratch.type, clv_tensor_at(dasking, (ptrdiff_t)dq.rows * width), dq.rows, width);
    if (dweight_q.data)
        clv_gather_rows(device, asking, parts->normed, run->queries);
    clv_linear_backward(device, dasking, dweight_q, dbias, dq, asking, &block->q);
    clv_scatter_rows_add(device, dnormed, dasking, run->queries);
}

/* d [Q, W] is the gradient of `middle`; returns that of x, [R, W] in scratch.gradient. */
static struct clv_tensor attend_backward(struct clv_device *device, const struct clv_block_run *run,
                                         const struct clv_block_parts *parts, struct clv_tensor d)
{
    const struct clv_block *block = parts->block;
    const float *const *param = block->param;
    float *const *gradient = block->gradient;
    const int width = block->width, rows = parts->x.rows;
    const enum clv_type type = run->scratch.type;
    const struct clv_tensor dmixed = clv_tensor_of(type, run->scratch.normed, d.rows, width);
    const struct clv_tensor dnormed =
        clv_tensor_of(block->is_split ? CLV_TYPE_FP32 : type, run->scratch.mixed, rows, width);
    const struct clv_tensor dx = clv_tensor(run->scratch.gradient, rows, width);
    struct clv_tensor dq, dkv;
    clv_block_lay_qkv(&dq, &dkv, parts, type, run->scratch.wide_gradient);

    const struct clv_tensor dbranch =
        into_branch(device, d, parts->attention_drop, parts->drop_count, run->scratch.mixed);
    clv_linear_backward(device, dmixed, matrix(block, CLV_PARAM_OUT_PROJ_WEIGHT, 0, width, width),
                        gradient[CLV_PARAM_OUT_PROJ_BIAS], dbranch, parts->mixed, &block->out_proj);
    clv_attention_backward(device, dq, clv_tensor_cols(dkv, 0, width),
                           clv_tensor_cols(dkv, width, width), dmixed, parts->mixed, parts->q,
                           clv_tensor_cols(parts->kv, 0, width),
                           clv_tensor_cols(parts->kv, width, width), &parts->attention);
    if (gradient[CLV_PARAM_IN_PROJ_WEIGHT])
        clv_layer_norm(device, parts->normed, parts->x, param[CLV_PARAM_LN_1_WEIGHT],
                       param[CLV_PARAM_LN_1_BIAS]);
    project_backward(device, run, parts, dnormed, dq, dkv);
    /* A key bias moves all scores of a query alike, which no softmax sees. Rounding would leave a
     * little, and AdamW makes a full step of the least gradient. */
    if (gradient[CLV_PARAM_IN_PROJ_BIAS])
        clv_zero(device, clv_tensor(gradient[CLV_PARAM_IN_PROJ_BIAS] + width, 1, width));
    if (parts->has_queries) {
        clv_layer_norm_backward(device, dx, gradient[CLV_PARAM_LN_1_WEIGHT],
                                gradient[CLV_PARAM_LN_1_BIAS], dnormed, parts->x,
                                param[CLV_PARAM_LN_1_WEIGHT]);
        clv_scatter_rows_add(device, dx, d, run->queries);
    } else {
        clv_layer_norm_backward_add(device, dx, gradient[CLV_PARAM_LN_1_WEIGHT],
                                    gradient[CLV_PARAM_LN_1_BIAS], dnormed, parts->x,
                                    param[CLV_PARAM_LN_1_WEIGHT]);
    }
    return dx;
}

struct clv_tensor clv_blocks_backward(struct clv_device *device, const struct clv_block_run *run,
                                      struct clv_tensor d, int row_count)
{
    assert(run->tape);
    /* Only the rows of queries end apart from the gradient of all rows. */
    float *place = run->queries ? run->scratch.stream : run->scratch.gradient;
    if (d.data != place) {
        const struct clv_tensor moved = clv_tensor(place, d.rows, d.cols);
        clv_copy(device, moved, d);
        d = moved;
    }
    for (int i = run->count - 1; i >= 0; i--) {
        const struct clv_tensor x = clv_tensor(run->tape[i].x, row_count, d.cols);
        const struct clv_block_parts parts = clv_block_parts(run, i, x);
        if (run->is_checkpointed)
            clv_block_inside(device, run, &parts);
        mlp_backward(device, run, &parts, d);
        d = attend_backward(device, run, &parts, d);
    }
    if (run->count > 0 || !run->queries)
        return d;
    const struct clv_tensor dx = clv_tensor(run->scratch.gradient, row_count, d.cols);
    clv_zero(device, dx);
    clv_scatter_rows_add(device, dx, d, run->queries);
    return dx;
}
