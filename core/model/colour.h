/* Colour changes of training pictures as torchvision defines them for floating-point pictures
 * (transforms/functional_tensor.py). Private to core/model. */
#ifndef CLV_CORE_MODEL_COLOUR_H
#define CLV_CORE_MODEL_COLOUR_H

#include "core/model/random.h"

#include <stdbool.h>
#include <stddef.h>

enum clv_colour_change { CLV_BRIGHTNESS, CLV_CONTRAST, CLV_SATURATION, CLV_HUE, CLV_COLOUR_COUNT };

/* One draw of torchvision's ColorJitter: the changes in random order, each with its factor. */
struct clv_jitter {
    enum clv_colour_change order[CLV_COLOUR_COUNT];
    double factor[CLV_COLOUR_COUNT]; /* by change; hue's is a shift in turns */
    bool is_done[CLV_COLOUR_COUNT];  /* false where the strength is 0 */
};

/* Factors between max(0, 1 - strength) and 1 + strength, hue's between -strength and strength. */
void clv_jitter_draw(struct clv_jitter *out, const float strength[CLV_COLOUR_COUNT],
                     struct clv_random *random);

/* `planes` [3, count]: red, green, blue in 0..1, and so they stay. */
void clv_jitter_apply(float *planes, size_t count, const struct clv_jitter *jitter);
void clv_colour_change(float *planes, size_t count, enum clv_colour_change change, double factor);
void clv_colour_gray(float *planes, size_t count);

#endif
