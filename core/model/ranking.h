/* Retrieval by sentences: where the first right clip stands. Private to core/model. */
#ifndef CLV_CORE_MODEL_RANKING_H
#define CLV_CORE_MODEL_RANKING_H

#include "core/model/validate.h"

/* Fills the recalls and the median rank of `out`: sentence_features [clip_count, E] of each clip's
 * first sentence, vectors [clip_count, E] unit, zero for clips that could not be read, which are
 * left out on both sides. */
int clv_ranking(struct clv_validation *out, const struct clv_clips *clips,
                const float *sentence_features, const float *vectors, int embed_dim);

#endif
