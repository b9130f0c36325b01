/* Private to core/model/blocks*.c: where the tensors of one block lie, forward and backward. */
#ifndef CLV_CORE_MODEL_BLOCK_PARTS_H
#define CLV_CORE_MODEL_BLOCK_PARTS_H

#include "core/model/blocks.h"

/* R rows of the stream, Q rows computed. */
struct clv_block_parts {
    const struct clv_block *block;
    bool has_queries;
    struct clv_attention attention;         /* this block's */
    struct clv_tensor x;                    /* [R, W] */
    struct clv_tensor normed;               /* [R, W] scratch */
    struct clv_tensor q;                    /* [Q, W] */
    struct clv_tensor kv;                   /* [R, 2W] */
    float *stats;                           /* NULL where serving */
    struct clv_tensor mixed;                /* [Q, W] */
    struct clv_tensor middle;               /* [Q, W] */
    struct clv_tensor middle_normed;        /* [Q, W] scratch */
    struct clv_tensor hidden;               /* [Q, H]; after the activation where serving */
    struct clv_tensor active;               /* [Q, H] scratch; the same as hidden where serving */
    struct clv_tensor out;                  /* [Q, W] */
    const float *attention_drop, *mlp_drop; /* NULL: none */
    int drop_count;
};

/* Of block `index` whose input is x. */
struct clv_block_parts clv_block_parts(const struct clv_block_run *run, int index,
                                       struct clv_tensor x);

/* Computes all that the tape keeps of a block from its input: up to and with `hidden`. */
void clv_block_inside(struct clv_device *device, const struct clv_block_run *run,
                      const struct clv_block_parts *parts);

#endif
