/* What parameters are before training: OpenAI's choices for CLIP, PyTorch's defaults where CLIP and
 * CLAVER leave them (claver.md 2.4). Private to core/model. */
#ifndef CLV_CORE_MODEL_INITIALIZE_H
#define CLV_CORE_MODEL_INITIALIZE_H

#include "core/model/config.h"
#include "core/model/params.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_initialize {
    uint64_t seed;
    bool is_identity;    /* temporal blocks: output projections and their biases are zero */
    float embedding_std; /* of positions in the frame; 0: as published */
    float text_std;      /* of tokens and their positions; 0: as published */
    float temporal_std;  /* of positions in time; 0: as published */
};

/* Fills out [param->element_count]. What a parameter becomes depends on seed, name and shape only,
 * not on which others there are. */
void clv_initialize_param(float *out, const struct clv_param *param,
                          const struct clv_model_config *config, const struct clv_initialize *how);

#endif
