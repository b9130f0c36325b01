/* The model's pixel rules: from an RGB picture to the normalised square the encoder takes. */
#ifndef CLV_CORE_MODEL_PIXELS_H
#define CLV_CORE_MODEL_PIXELS_H

#include "core/image.h"
#include "core/model/config.h"

/* Resizes pictures of one video after another: weights and scratch memory are kept between calls
 * and made anew only where the pictures' size changes. For one thread at a time. */
struct clv_pixels;

/* Takes the rule and R from `config`, which need not stay. Pair with clv_pixels_free(). */
int clv_pixels_create(struct clv_pixels **out, const struct clv_model_config *config);
void clv_pixels_free(struct clv_pixels *pixels);

/* Resize of the short side and centre crop by `config->resize`: square_out [R*R*3] bytes, RGB
 * interleaved. This is the 8-bit form that waits in queues (claver.md 2.2). Bicubic is equal to
 * Pillow's to the bit, bilinear to OpenCV's. CLV_EINVAL where the picture has no pixels. */
int clv_pixels_crop(struct clv_pixels *pixels, uint8_t *square_out, const struct clv_image *image);

/* The calls above for one picture. */
int clv_pixels_square(uint8_t *square_out, const struct clv_image *image,
                      const struct clv_model_config *config);

/* Normalises squares: out [count, 3, R, R] = (pixel / 255 - mean) / std. */
void clv_pixels_normalize(float *out, const uint8_t *const *squares, int count,
                          const struct clv_model_config *config);

/* What the call above makes of each byte: out [3, 256]. */
void clv_pixels_values(float *out, const struct clv_model_config *config);

#endif
