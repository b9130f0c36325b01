/* Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019) of a batch with itself reversed, and
 * the soft labels that follow (claver.md 2.3). */
#ifndef CLV_CORE_MODEL_MIX_H
#define CLV_CORE_MODEL_MIX_H

#include "core/model/random.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_mix_options {
    float probability;        /* that a batch is mixed at all */
    float mixup_alpha;        /* 0: never mixup */
    float cutmix_alpha;       /* 0: never cutmix */
    float switch_probability; /* of cutmix where both are possible */
};

/* Always one of the two: alphas .8 and 1, switched evenly. */
extern const struct clv_mix_options clv_mix_defaults;

/* What is done to one batch: one lambda for all its clips, one box for all its frames. */
struct clv_mix {
    double lambda; /* share of the clip itself; 1: nothing is mixed */
    bool is_cutmix;
    int top, bottom, left, right; /* cutmix: rows top … bottom - 1 come from the other clip */
};

/* Lambda is corrected to the true area of a box cut off at the border of the R x R picture. */
void clv_mix_draw(struct clv_mix *out, const struct clv_mix_options *options, int side,
                  struct clv_random *random);

/* Mixes clip i with clip count - 1 - i, in place: pixels [clip_count, frame_count, 3, R, R]. */
void clv_mix_pixels(float *pixels, int clip_count, int frame_count, int side,
                    const struct clv_mix *mix);

/* labels [clip_count, C]: off = smoothing / C, on = 1 - smoothing + off, mixed as the pixels. */
void clv_mix_labels(float *labels, const int32_t *classes, int clip_count, int class_count,
                    float smoothing, const struct clv_mix *mix);

#endif
