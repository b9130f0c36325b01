/* Private to core/model: what makes two models the same. */
#ifndef CLV_CORE_MODEL_IDENTITY_H
#define CLV_CORE_MODEL_IDENTITY_H

#include "core/digest.h"
#include "core/model/config.h"

struct clv_weights;

/* BLAKE2b over every parameter's name, type, shape and bytes in order of the parameter table, and
 * over what `config` says of preprocessing and of the towers' arithmetic (mask, pixel statistics,
 * resizing, activation, heads), whether a file spells it out or leaves it to the defaults. Other
 * tensors, other metadata and the order of the file do not matter. `weights` must have passed
 * clv_params_check(). CLV_ENOMEM. */
int clv_model_identity(uint8_t out[CLV_DIGEST_BYTES], const struct clv_weights *weights,
                       const struct clv_model_config *config);

#endif
