/* An 8-bit RGB picture in memory: what decoders give and the model's pixel rules take. */
#ifndef CLV_CORE_IMAGE_H
#define CLV_CORE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* Pixel (x, y) is at pixels + y * stride_bytes + 3 * x, red first, full range, sRGB. */
struct clv_image {
    uint8_t *pixels;
    int width;
    int height;
    size_t stride_bytes;
};

/* Uninitialised pixels, rows 64-byte aligned; `out` is all zero on failure. */
int clv_image_create(struct clv_image *out, int width, int height);
void clv_image_release(struct clv_image *image);

#endif
