/* The model's pixel rules: from an RGB picture to the normalised square the encoder takes. */
#ifndef CLV_CORE_MODEL_PIXELS_H
#define CLV_CORE_MODEL_PIXELS_H

#include "core/image.h"
#include "core/model/config.h"

/* Resize of the short side and centre crop by `config->resize`: square_out [R*R*3] bytes, RGB
 * interleaved. This is the 8-bit form that waits in queues (claver.md 2.2). */
int clv_pixels_square(uint8_t *square_out, const struct clv_image *image,
                      const struct clv_model_config *config);

/* Normalises squares: out [count, 3, R, R] = (pixel / 255 - mean) / std. */
void clv_pixels_normalize(float *out, const uint8_t *const *squares, int count,
                          const struct clv_model_config *config);

#endif
