/* Private to core/model/compare*.c: reading an expectation file and measuring against it. */
#ifndef CLV_CORE_MODEL_COMPARE_PARTS_H
#define CLV_CORE_MODEL_COMPARE_PARTS_H

#include "core/model/compare.h"
#include "core/model/weights.h"

/* The tensor as floats, which the caller frees; NULL after a failure. */
float *clv_compare_read(const struct clv_weight_entry *entry);

/* Whether `entry` can be input_tokens [A, C, up to the context's length]. */
bool clv_compare_is_tokens(const struct clv_weight_entry *entry,
                           const struct clv_model_config *config);

/* Packs each text of input_tokens up to its end token, the first of the largest ids (claver.md
 * 1.1): `ids` has room for all elements, `starts` for one more than the texts. CLV_ECORRUPT for an
 * id outside the vocabulary. */
int clv_compare_pack(int32_t *ids, int32_t *starts, const struct clv_weights *file,
                     const struct clv_weight_entry *tokens, int vocabulary_size);

/* Sets the line's error and largest value; `got` has the elements of `entry`. */
int clv_compare_measure(struct clv_compare_line *line, const struct clv_weight_entry *entry,
                        const float *got);
/* Adds a line to the result and hands it on. */
void clv_compare_note(struct clv_compare_result *out, struct clv_compare_line *line,
                      double tolerance, clv_compare_each *each, void *payload);

#endif
