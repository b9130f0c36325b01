/* CLAVER in double precision, written as plainly as the formulas (claver.md 1): what the encoders
 * are tested against. Shares no code with them. */
#ifndef CLV_TESTS_MODEL_REFERENCE_H
#define CLV_TESTS_MODEL_REFERENCE_H

#include "core/model/config.h"
#include "core/model/weights.h"

/* Tokens [frame_count, L, W] of pixels [frame_count, 3, R, R]. The caller frees. */
double *reference_frames(const struct clv_weights *weights, const struct clv_model_config *config,
                         const float *pixels, int frame_count);

struct reference_window {
    double *frame_features; /* [T, E] */
    double *patch_tokens;   /* [T, L-1, W] */
    double *vector;         /* [E] */
};
/* One window of T frames of tokens: tokens[t] is [L, W]. */
struct reference_window reference_windows(const struct clv_weights *weights,
                                          const struct clv_model_config *config,
                                          const double *const *tokens);
void reference_window_free(struct reference_window *window);

/* The feature [E] of one text of `count` ids that ends in its end token. The caller frees. */
double *reference_text(const struct clv_weights *weights, const struct clv_model_config *config,
                       const int32_t *ids, int count);

#endif
