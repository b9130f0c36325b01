/* Private to core/model/blocks*.c: where the tensors of one block lie, forward and backward. */
#ifndef CLV_CORE_MODEL_BLOCK_PARTS_H
#define CLV_CORE_MODEL_BLOCK_PARTS_H

#include "core/model/blocks.h"

/* R rows of the stream, Q rows computed. The stream is fp32, what branches off it of the scratch's
 * type. */
struct clv_block_parts {
    const struct clv_block *block;
    bool has_queries;
    struct clv_attention attention;         /* this block's */
    struct clv_tensor x;                    /* [R, W] of the stream */
    struct clv_tensor normed;               /* [R, W] scratch */
    struct clv_tensor q;                    /* [Q, W] */
    struct clv_tensor kv;                   /* [R, 2W] */
    float *stats;                           /* NULL where serving */
    struct clv_tensor mixed;                /* [Q, W] */
    struct clv_tensor middle;               /* [Q, W] of the stream */
    struct clv_tensor middle_normed;        /* [Q, W] scratch */
    struct clv_tensor hidden;               /* [Q, H]; after the activation where serving */
    struct clv_tensor active;               /* [Q, H] scratch; the same as hidden where serving */
    struct clv_tensor out;                  /* [Q, W] of the stream */
    const float *attention_drop, *mlp_drop; /* NULL: none */
    int drop_count;
};

/* Of block `index` whose input is x. */
struct clv_block_parts clv_block_parts(const struct clv_block_run *run, int index,
                                       struct clv_tensor x);

/* Lays q [Q, W] and kv [R, 2W] out at `memory`, as the block's projections or their gradients lie:
 * side by side, or for queries one after the other. */
void clv_block_lay_qkv(struct clv_tensor *q, struct clv_tensor *kv,
                       const struct clv_block_parts *parts, enum clv_type type, void *memory);

/* Computes all that the tape keeps of a block from its input: up to and with `hidden`. */
void clv_block_inside(struct clv_device *device, const struct clv_block_run *run,
                      const struct clv_block_parts *parts);

#endif
