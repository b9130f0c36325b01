/* The vector a query is after: that of its words, of what it shows, or between the two. */
#ifndef CLV_QUERY_TARGET_H
#define CLV_QUERY_TARGET_H

#include "core/bytes.h"
#include "core/cancel.h"
#include "core/model/model.h"
#include "storage/store.h"

struct clv_target {
    const char *text;   /* may be NULL with `like` */
    const char *like;   /* FILE, FILE@TIME or FILE@TIME-TIME; may be NULL with `text` */
    double like_weight; /* share of `like` where both are given, 0..1 */
    struct clv_cancel *cancel;
};

/* The unit vector [E]. Words: the mean of the unit features of CLAVER's plain templates filled with
 * them (claver.md 3, 6), re-normalised, kept in the store's prompt cache as one row. Both: the
 * weighted sum of the two unit vectors, re-normalised. *cut_count_out: prompts longer than the
 * context. `device` NULL: one is opened if an encoder is needed. CLV_EINVAL where both are empty;
 * the errors of clv_like_parse() and clv_like_vector(). */
int clv_target_vector(float *vector_out, int *cut_count_out, const struct clv_target *target,
                      struct clv_store *store, const struct clv_model *model,
                      struct clv_device *device, int64_t model_id);

/* What the prompt cache knows the vector of `text` by: a digest of all token ids its templates
 * become, so that another vocabulary or other templates never find an old vector. Empty where the
 * model has no vocabulary. */
int clv_target_prompt_key(struct clv_bytes *key, const struct clv_model *model, const char *text);

#endif
