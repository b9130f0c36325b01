#include "core/model/mix.h"

#include <math.h>

const struct clv_mix_options clv_mix_defaults = {
    .probability = 1,
    .mixup_alpha = 0.8f,
    .cutmix_alpha = 1,
    .switch_probability = 0.5f,
};

static int clamp(int value, int most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

/* A box of (1 - lambda) of the area around a random centre, cut off at the border. */
static void draw_box(struct clv_mix *mix, int side, struct clv_random *random)
{
    const int half = (int)(side * sqrt(1 - mix->lambda)) / 2;
    const int y = clv_random_below(random, side), x = clv_random_below(random, side);
    mix->top = clamp(y - half, side);
    mix->bottom = clamp(y + half, side);
    mix->left = clamp(x - half, side);
    mix->right = clamp(x + half, side);
    const double area = (double)(mix->bottom - mix->top) * (mix->right - mix->left);
    mix->lambda = 1 - area / ((double)side * side);
}

void clv_mix_draw(struct clv_mix *out, const struct clv_mix_options *options, int side,
                  struct clv_random *random)
{
    const bool is_mixed = clv_random_uniform(random) < (double)options->probability;
    const bool is_switched = clv_random_uniform(random) < (double)options->switch_probability;
    const bool can_cut = options->cutmix_alpha > 0, can_blend = options->mixup_alpha > 0;
    *out = (struct clv_mix){.lambda = 1};
    if (!is_mixed || (!can_cut && !can_blend))
        return;
    out->is_cutmix = can_cut && (is_switched || !can_blend);
    const double alpha = (double)(out->is_cutmix ? options->cutmix_alpha : options->mixup_alpha);
    out->lambda = clv_random_beta(random, alpha, alpha);
    if (out->is_cutmix)
        draw_box(out, side, random);
}

void clv_mix_labels(float *labels, const int32_t *classes, int clip_count, int class_count,
                    float smoothing, const struct clv_mix *mix)
{
    const double off = (double)smoothing / class_count, on = 1 - (double)smoothing;
    for (int i = 0; i < clip_count; i++) {
        const int32_t own = classes[i], other = classes[clip_count - 1 - i];
        for (int32_t c = 0; c < class_count; c++)
            labels[(size_t)i * (size_t)class_count + (size_t)c] =
                (float)(off +
                        on * ((c == own ? mix->lambda : 0) + (c == other ? 1 - mix->lambda : 0)));
    }
}
