/* Private to core/compute: what a step of AdamW multiplies with, worked out once for every backend.
 */
#ifndef CLV_CORE_COMPUTE_ADAMW_H
#define CLV_CORE_COMPUTE_ADAMW_H

#include "core/compute/gradients.h"

#include <math.h>

/* AdamW's constants of a step. */
struct clv_adamw_factors {
    float grad_scale;
    float one_less_beta1, one_less_beta2, beta2;
    float root_factor; /* 1 / sqrt(1 - beta2^step) */
    float epsilon;
    float keep; /* 1 - learning rate * weight decay */
    float rate; /* learning rate / (1 - beta1^step) */
};

static inline struct clv_adamw_factors clv_adamw_factors(const struct clv_adamw *options)
{
    const double correction1 = 1.0 - pow((double)options->beta1, (double)options->step);
    const double correction2 = 1.0 - pow((double)options->beta2, (double)options->step);
    const double rate = (double)options->learning_rate;
    struct clv_adamw_factors factors;
    factors.grad_scale = options->grad_scale;
    factors.one_less_beta1 = (float)(1.0 - (double)options->beta1);
    factors.one_less_beta2 = (float)(1.0 - (double)options->beta2);
    factors.beta2 = options->beta2;
    factors.root_factor = (float)(1.0 / sqrt(correction2));
    factors.epsilon = options->epsilon;
    factors.keep = (float)(1.0 - rate * (double)options->weight_decay);
    factors.rate = (float)(rate / correction1);
    return factors;
}

#endif
