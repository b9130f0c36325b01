/* Picture memory. */
#include "core/image.h"

#include "core/arena.h"
#include "core/error.h"

#include <stdlib.h>

int clv_image_create(struct clv_image *out, int width, int height)
{
    *out = (struct clv_image){0};
    if (width <= 0 || height <= 0 || width > 1 << 20 || height > 1 << 20)
        return clv_fail(CLV_EINVAL, "a picture of %d x %d pixels cannot be", width, height);
    size_t stride = ((size_t)width * 3 + 63) / 64 * 64;
    size_t size;
    void *pixels =
        clv_size_multiply(&size, stride, (size_t)height) ? aligned_alloc(64, size) : NULL;
    if (!pixels)
        return clv_fail_memory("a picture");
    *out = (struct clv_image){pixels, width, height, stride};
    return CLV_OK;
}

void clv_image_release(struct clv_image *image)
{
    free(image->pixels);
    *image = (struct clv_image){0};
}
