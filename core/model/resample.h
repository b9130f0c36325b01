/* The two resizing methods, each computing only the part that is kept. Private to core/model. */
#ifndef CLV_CORE_MODEL_RESAMPLE_H
#define CLV_CORE_MODEL_RESAMPLE_H

#include "core/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One direction: `in` pixels become `out`, of which `side` are kept from `first` on. */
struct clv_axis {
    int in;
    int64_t out;
    int64_t first;
    int side;
};

/* Bytes of scratch memory (64-byte aligned) for the same axes. False where that overflows. */
bool clv_bicubic_scratch(size_t *bytes_out, const struct clv_axis *x, const struct clv_axis *y);
/* Fills the part of the scratch memory that depends on the axes only. */
void clv_bicubic_prepare(void *scratch, const struct clv_axis *x, const struct clv_axis *y);
/* `scratch` as prepared for the same axes, of one side; out [side * side * 3]. */
void clv_bicubic_resize(uint8_t *out, const struct clv_image *image, const struct clv_axis *x,
                        const struct clv_axis *y, void *scratch);

/* The same; the sides may differ: out [y->side * x->side * 3]. */
bool clv_bilinear_scratch(size_t *bytes_out, const struct clv_axis *x, const struct clv_axis *y);
void clv_bilinear_prepare(void *scratch, const struct clv_axis *x, const struct clv_axis *y);
void clv_bilinear_resize(uint8_t *out, const struct clv_image *image, const struct clv_axis *x,
                         const struct clv_axis *y, void *scratch);

#endif
