/* Private to core/model: an encoder over parameters that someone else owns. */
#ifndef CLV_CORE_MODEL_ENCODER_OVER_H
#define CLV_CORE_MODEL_ENCODER_OVER_H

#include "core/model/encoder.h"

struct clv_network;

/* Over the parameters at `param` (by index of the table of `network`, whose device and config it
 * takes), used in place. Both must outlive it. */
int clv_encoder_over(struct clv_encoder **out, const struct clv_network *network,
                     float *const *param, const struct clv_encoder_options *options);

#endif
