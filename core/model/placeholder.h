/* Private to core/model: the built-in random model, used where none is named. */
#ifndef CLV_CORE_MODEL_PLACEHOLDER_H
#define CLV_CORE_MODEL_PLACEHOLDER_H

#include "core/model/weights.h"

/* Weights of a small CLAVER (8 frames of 64x64, KMT, the byte-level vocabulary of 514 ids), the
 * same bits on every machine. */
int clv_placeholder_weights(struct clv_weights **out);

#endif
