/* Private to core/model: the one transformer block, used by the spatial, the temporal and the text
 * tower (claver.md 1.1: pre-norm attention and an MLP, each added to the stream), forward for
 * serving and for training, and backward.
 *
 * Serving updates the stream in place. Training hands in a tape: the same code then leaves what the
 * backward pass cannot compute again cheaply in places of its own. */
#ifndef CLV_CORE_MODEL_BLOCKS_H
#define CLV_CORE_MODEL_BLOCKS_H

#include "core/compute/ops.h"
#include "core/model/params.h"

/* A block's weights on the device. In the last block of a tower few rows may be queries while all
 * are keys, so its q and its k, v projections are prepared apart; elsewhere they are one product.
 */
struct clv_block {
    const float *param[CLV_PARAM_BLOCK_COUNT]; /* by enum clv_param_block */
    float *gradient[CLV_PARAM_BLOCK_COUNT];    /* all NULL where serving or frozen */
    int width;
    int mlp_width;
    bool is_split;
    struct clv_weight qkv; /* [W] -> [3W]; unused where split */
    struct clv_weight q, kv;
    struct clv_weight out_proj, fc, proj;
};

/* Prepares the weights from the addresses in block->param. */
void clv_block_prepare(struct clv_block *block, struct clv_device *device,
                       const struct clv_tower *tower, bool is_split);
void clv_block_release(struct clv_block *block);

/* Columns of the scratch `wide`: q, k and v, and after them the MLP's hidden numbers. */
int clv_block_wide_cols(const struct clv_tower *tower);

/* Scratch of a pass. The stream and its gradient are fp32; what lies inside a block and the
 * gradients of that are of `type`, and so smaller in memory. With R the rows of the stream and W
 * its width: stream, normed, mixed and gradient hold R*W fp32 numbers, wide and wide_gradient R
 * times clv_block_wide_cols() of `type`. */
struct clv_block_scratch {
    enum clv_type type;
    float *stream;
    float *normed;
    float *mixed;
    void *wide;
    float *gradient; /* these two for the backward pass only */
    void *wide_gradient;
};

/* Room for `count` numbers of `type`, counted in fp32 numbers. */
static inline size_t clv_block_room(enum clv_type type, size_t count)
{
    return (count * clv_type_bytes(type) + sizeof(float) - 1) / sizeof(float);
}

/* What a block keeps, R its rows and Q the rows it computes (R but for queries). With
 * checkpointing all but x is one place that all blocks share. */
struct clv_block_tape {
    float *x;      /* [R, W] the stream before the block */
    void *qkv;     /* [R, 3W] of the scratch's type; for queries k and v [R, 2W], then q [Q, W] */
    float *stats;  /* [Q, heads] of the attention */
    void *mixed;   /* [Q, W] of that type, the attention's result */
    float *middle; /* [Q, W] the stream between attention and MLP */
    void *hidden;  /* [Q, H] of that type, before the activation */
};

/* One run of a tower's blocks over a stream [R, W]. */
struct clv_block_run {
    const struct clv_block *blocks;
    int count;
    struct clv_attention attention; /* describes all rows */
    enum clv_activation activation;
    const int32_t *queries; /* host, ascending: the rows the last block computes; NULL: all */
    int query_count;
    struct clv_block_scratch scratch;
    const struct clv_block_tape *tape; /* [count + 1], the last holding the result as x; or NULL */
    bool is_checkpointed;              /* the insides are computed again in the backward pass */
    const float *drop; /* host [count][2][drop_count]: what each block's attention and MLP are
                        * multiplied by, for samples of equal numbers of rows; NULL: 1. Only with a
                        * tape */
    int drop_count;
};

/* Where the stream of a run of R rows begins: the caller puts x there. */
float *clv_blocks_input(const struct clv_block_run *run);

/* Runs the blocks over x [R, W] at clv_blocks_input(). Returns the result [R or query_count, W], in
 * the tape or somewhere in the scratch. */
struct clv_tensor clv_blocks_forward(struct clv_device *device, const struct clv_block_run *run,
                                     struct clv_tensor x);

/* Where clv_blocks_forward() leaves the result, without running it. */
struct clv_tensor clv_blocks_result(const struct clv_block_run *run, struct clv_tensor x);

/* After a forward run with a tape, given the gradient `d` of its result (anywhere but in normed,
 * mixed and the wide parts of the scratch): adds the gradients of the blocks' parameters and
 * returns that of x, [row_count, W] in scratch.gradient. */
struct clv_tensor clv_blocks_backward(struct clv_device *device, const struct clv_block_run *run,
                                      struct clv_tensor d, int row_count);

#endif
