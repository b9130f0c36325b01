/* The parameter table: every tensor of a model, generated from its config, in the order of the
 * published state dict. It drives checking and loading of weight files, and whatever else goes
 * parameter by parameter; nothing keeps a second list. */
#ifndef CLV_CORE_MODEL_PARAMS_H
#define CLV_CORE_MODEL_PARAMS_H

#include "core/model/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_weight_entry;
struct clv_weights;

#define CLV_PARAM_NAME_SIZE 96

enum clv_param_branch { CLV_BRANCH_VISION, CLV_BRANCH_TEMPORAL, CLV_BRANCH_TEXT };

struct clv_param {
    char name[CLV_PARAM_NAME_SIZE];
    int dimension_count;
    int64_t shape[4];
    size_t element_count;
    enum clv_param_branch branch;
    bool decays;    /* AdamW's weight decay applies */
    bool temporal;  /* its name holds "temporal_": the group of the higher learning rate */
    bool trainable; /* all are; a trainer that freezes some clears it */
};

/* The tensors outside of blocks. */
enum clv_param_single {
    CLV_PARAM_POSITION,
    CLV_PARAM_TEXT_PROJECTION,
    CLV_PARAM_LOGIT_SCALE,
    CLV_PARAM_CLASS_EMBEDDING,
    CLV_PARAM_FRAME_POSITION,
    CLV_PARAM_TEMPORAL_EMBEDDING,
    CLV_PARAM_VISION_PROJECTION,
    CLV_PARAM_CONV1,
    CLV_PARAM_LN_PRE_WEIGHT,
    CLV_PARAM_LN_PRE_BIAS,
    CLV_PARAM_LN_POST_WEIGHT,
    CLV_PARAM_LN_POST_BIAS,
    CLV_PARAM_TOKEN_EMBEDDING,
    CLV_PARAM_LN_FINAL_WEIGHT,
    CLV_PARAM_LN_FINAL_BIAS,
    CLV_PARAM_SINGLE_COUNT,
};

/* The tensors of one block, in this order, one after another in the table. */
enum clv_param_block {
    CLV_PARAM_IN_PROJ_WEIGHT, /* [3W, W], rows q, k, v */
    CLV_PARAM_IN_PROJ_BIAS,
    CLV_PARAM_OUT_PROJ_WEIGHT, /* [W, W] */
    CLV_PARAM_OUT_PROJ_BIAS,
    CLV_PARAM_LN_1_WEIGHT,
    CLV_PARAM_LN_1_BIAS,
    CLV_PARAM_FC_WEIGHT, /* [H, W], H the tower's mlp_width */
    CLV_PARAM_FC_BIAS,
    CLV_PARAM_PROJ_WEIGHT, /* [W, H] */
    CLV_PARAM_PROJ_BIAS,
    CLV_PARAM_LN_2_WEIGHT,
    CLV_PARAM_LN_2_BIAS,
    CLV_PARAM_BLOCK_COUNT,
};

struct clv_params {
    struct clv_param *items;
    size_t count;
    int64_t element_count;              /* of all of them: the model's parameter count */
    int single[CLV_PARAM_SINGLE_COUNT]; /* index in `items`; -1 where the model has none */
    int vision_blocks;                  /* index of the first block's first tensor */
    int temporal_blocks;
    int text_blocks;
};

/* Pair with clv_params_release(). CLV_ENOMEM. */
int clv_params_init(struct clv_params *out, const struct clv_model_config *config);
void clv_params_release(struct clv_params *params);

/* NULL where the table has no such name. */
const struct clv_param *clv_params_find(const struct clv_params *params, const char *name);

/* Whether the shapes are the same; a scalar may come as one number in any number of dimensions. */
bool clv_param_fits(const struct clv_param *param, const struct clv_weight_entry *entry);

/* "[8, 512]" in `out`, which is returned. */
const char *clv_shape_text(char *out, size_t size, const int64_t *shape, int count);

/* CLV_ECORRUPT naming every tensor of the table that `weights` lacks, has in another shape, or
 * holds as something other than floating-point numbers. *ignored_count_out (may be NULL): tensors
 * of the file that are no part of the model. */
int clv_params_check(const struct clv_params *params, const struct clv_weights *weights,
                     int *ignored_count_out);

#endif
