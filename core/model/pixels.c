/* Sizes and crops as torchvision (CLIP) and mmaction (CLAVER) choose them; the resizing itself is
 * in bicubic.c and bilinear.c. */
#include "core/model/pixels.h"

#include "core/error.h"
#include "core/model/resample.h"

#include <stdlib.h>
#include <string.h>

struct clv_pixels {
    enum clv_resize resize;
    int side;
    struct clv_axis x, y; /* of the last picture; all zero before it */
    void *scratch;
    size_t scratch_bytes;
};

int clv_pixels_create(struct clv_pixels **out, const struct clv_model_config *config)
{
    *out = NULL;
    if (config->image_side <= 0)
        return clv_fail(CLV_EINVAL, "a square of %d pixels cannot be", config->image_side);
    struct clv_pixels *pixels = calloc(1, sizeof *pixels);
    if (!pixels)
        return clv_fail_memory("resizing pictures");
    pixels->resize = config->resize;
    pixels->side = config->image_side;
    *out = pixels;
    return CLV_OK;
}

void clv_pixels_free(struct clv_pixels *pixels)
{
    if (!pixels)
        return;
    free(pixels->scratch);
    free(pixels);
}

/* torchvision: Resize(R) truncates the long side; CenterCrop rounds halves to even. */
static struct clv_axis clip_axis(int size, int short_side, int side)
{
    int64_t out = (int64_t)side * size / short_side;
    int64_t spare = out - side, first = spare / 2;
    if (spare % 2 && first % 2)
        first++;
    return (struct clv_axis){size, out, first, side};
}

/* mmaction: both sides by one factor, rounded to nearest; the crop rounds down. */
static struct clv_axis claver_axis(int size, int short_side, int side)
{
    int target = (int)(256.0 / 224.0 * side);
    double factor = (double)target / short_side;
    int64_t out = (int64_t)(size * factor + 0.5);
    return (struct clv_axis){size, out, (out - side) / 2, side};
}

static bool same_axis(const struct clv_axis *a, const struct clv_axis *b)
{
    return a->in == b->in && a->out == b->out && a->first == b->first && a->side == b->side;
}

/* Makes scratch memory and weights fit the axes. */
static int prepare(struct clv_pixels *pixels, const struct clv_axis *x, const struct clv_axis *y)
{
    if (same_axis(&pixels->x, x) && same_axis(&pixels->y, y))
        return CLV_OK;
    bool is_bicubic = pixels->resize == CLV_RESIZE_BICUBIC_ANTIALIAS;
    size_t bytes;
    if (!(is_bicubic ? clv_bicubic_scratch : clv_bilinear_scratch)(&bytes, x, y))
        return clv_fail_memory("resizing a picture");
    if (bytes > pixels->scratch_bytes) {
        free(pixels->scratch);
        pixels->scratch_bytes = 0;
        pixels->scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!pixels->scratch)
            return clv_fail_memory("resizing a picture");
        pixels->scratch_bytes = bytes;
    }
    (is_bicubic ? clv_bicubic_prepare : clv_bilinear_prepare)(pixels->scratch, x, y);
    pixels->x = *x;
    pixels->y = *y;
    return CLV_OK;
}

int clv_pixels_crop(struct clv_pixels *pixels, uint8_t *square_out, const struct clv_image *image)
{
    int width = image->width, height = image->height;
    if (width <= 0 || height <= 0 || !image->pixels)
        return clv_fail(CLV_EINVAL, "a picture of %d x %d pixels cannot be resized", width, height);
    int short_side = width < height ? width : height;
    bool is_bicubic = pixels->resize == CLV_RESIZE_BICUBIC_ANTIALIAS;
    struct clv_axis (*axis_of)(int, int, int) = is_bicubic ? clip_axis : claver_axis;
    struct clv_axis x = axis_of(width, short_side, pixels->side);
    struct clv_axis y = axis_of(height, short_side, pixels->side);
    int status = prepare(pixels, &x, &y);
    if (status != CLV_OK)
        return status;
    (is_bicubic ? clv_bicubic_resize : clv_bilinear_resize)(square_out, image, &x, &y,
                                                            pixels->scratch);
    return CLV_OK;
}

int clv_pixels_square(uint8_t *square_out, const struct clv_image *image,
                      const struct clv_model_config *config)
{
    struct clv_pixels *pixels = NULL;
    int status = clv_pixels_create(&pixels, config);
    if (pixels)
        status = clv_pixels_crop(pixels, square_out, image);
    clv_pixels_free(pixels);
    return status;
}

/* A byte of a plane becomes byte * scale - offset. */
struct plane_rule {
    float scale, offset;
};

static struct plane_rule rule_of(const struct clv_model_config *config, int plane)
{
    const double mean = (double)config->pixel_mean[plane], std = (double)config->pixel_std[plane];
    return (struct plane_rule){(float)(1.0 / (255.0 * std)), (float)(mean / std)};
}

void clv_pixels_normalize(float *out, const uint8_t *const *squares, int count,
                          const struct clv_model_config *config)
{
    size_t area = (size_t)config->image_side * (size_t)config->image_side;
    for (int n = 0; n < count; n++)
        for (int c = 0; c < 3; c++) {
            const struct plane_rule rule = rule_of(config, c);
            float *restrict to = out + ((size_t)n * 3 + (size_t)c) * area;
            const uint8_t *restrict from = squares[n] + c;
            for (size_t i = 0; i < area; i++)
                to[i] = (float)from[3 * i] * rule.scale - rule.offset;
        }
}

void clv_pixels_values(float *out, const struct clv_model_config *config)
{
    for (int c = 0; c < 3; c++) {
        const struct plane_rule rule = rule_of(config, c);
        for (int byte = 0; byte < 256; byte++)
            out[c * 256 + byte] = (float)byte * rule.scale - rule.offset;
    }
}
