/* What mixup (Zhang et al., 2018) or CutMix (Yun et al., 2019) does to a batch and itself reversed,
 * and the soft labels that follow (claver.md 2.3). The pixels are clv_mix_clips()'s. */
#ifndef CLV_CORE_MODEL_MIX_H
#define CLV_CORE_MODEL_MIX_H

#include "core/compute/gradients.h"
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

/* Lambda is corrected to the true area of a box cut off at the border of the R x R picture. */
void clv_mix_draw(struct clv_mix *out, const struct clv_mix_options *options, int side,
                  struct clv_random *random);

/* labels [clip_count, C]: off = smoothing / C, on = 1 - smoothing + off, mixed as the pixels. */
void clv_mix_labels(float *labels, const int32_t *classes, int clip_count, int class_count,
                    float smoothing, const struct clv_mix *mix);

#endif
