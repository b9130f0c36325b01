/* Private to core/model: the one transformer block, used by the spatial, the temporal and the text
 * tower (claver.md 1.1: pre-norm attention and an MLP, each added to the stream). */
#ifndef CLV_CORE_MODEL_BLOCKS_H
#define CLV_CORE_MODEL_BLOCKS_H

#include "core/compute/ops.h"
#include "core/model/params.h"

/* A block's weights on the device. In the last block of a tower few rows may be queries while all
 * are keys, so its q and its k, v projections are prepared apart; elsewhere they are one product.
 */
struct clv_block {
    const float *param[CLV_PARAM_BLOCK_COUNT]; /* by enum clv_param_block */
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

/* Scratch of a forward pass. With R the rows of the stream and W its width: stream, normed and
 * mixed hold R*W numbers, wide R times clv_block_wide_cols(). */
struct clv_block_scratch {
    float *stream;
    float *normed;
    float *mixed;
    float *wide;
};

/* Runs `count` blocks over the stream x [R, W] in scratch->stream. `attention` describes all rows;
 * where `queries` (host, `query_count` rows, ascending) is not NULL the last block computes only
 * those rows. Returns the result, [R or query_count, W], somewhere in the scratch. */
struct clv_tensor clv_blocks_forward(struct clv_device *device, const struct clv_block *blocks,
                                     int count, struct clv_tensor x,
                                     const struct clv_block_scratch *scratch,
                                     const struct clv_attention *attention,
                                     enum clv_activation activation, const int32_t *queries,
                                     int query_count);

#endif
