/* The published pipeline (mmaction2): short side to 256, MultiScaleCrop, resize to 224, mirror,
 * ColorJitter, grey, normalise. Both resizings are OpenCV's on 8-bit pixels; only the crop's part
 * of the first is computed. */
#include "core/model/augment.h"

#include "core/error.h"
#include "core/model/colour.h"
#include "core/model/pixels.h"
#include "core/model/resample.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SCALE_COUNT 4
#define SCALE_GAP 1 /* between the scales of width and height, in steps */
#define POSITION_COUNT 5

static const double scales[SCALE_COUNT] = {1, 0.875, 0.75, 0.66};

const struct clv_augment_options clv_augment_defaults = CLV_AUGMENT_DEFAULTS;

struct clv_augment {
    struct clv_augment_options options;
    struct clv_model_config config;
    struct clv_pixels *pixels; /* the model's own rule */
    uint8_t *region;           /* of the picture whose short side is `short_side` */
    uint8_t *square;           /* [R, R, 3] */
    void *scratch;
    int short_side;
};

/* What is done to all frames of a clip. */
struct draw {
    int scale[2]; /* of width and height */
    int position;
    bool is_flipped;
    bool is_jittered;
    bool is_gray;
};

static bool is_share(float value)
{
    return value >= 0 && value <= 1;
}

int clv_augment_check(const struct clv_augment_options *options)
{
    if (!is_share(options->flip) || !is_share(options->jitter) || !is_share(options->grayscale))
        return clv_fail(CLV_EINVAL, "a probability of augmentation (%g, %g, %g) is not in 0..1",
                        (double)options->flip, (double)options->jitter, (double)options->grayscale);
    if (!(options->brightness >= 0 && options->brightness <= 10) ||
        !(options->contrast >= 0 && options->contrast <= 10) ||
        !(options->saturation >= 0 && options->saturation <= 10))
        return clv_fail(CLV_EINVAL,
                        "a strength of brightness, contrast or saturation (%g, %g, %g) is not in "
                        "0..10",
                        (double)options->brightness, (double)options->contrast,
                        (double)options->saturation);
    if (!(options->hue >= 0 && options->hue <= 0.5f))
        return clv_fail(CLV_EINVAL, "a strength of hue of %g is not in 0..0.5",
                        (double)options->hue);
    return CLV_OK;
}

static struct clv_axis square_axis(int size, int side)
{
    return (struct clv_axis){size, side, 0, side};
}

static int create_memory(struct clv_augment *augment)
{
    const size_t most = (size_t)augment->short_side, side = (size_t)augment->config.image_side;
    const struct clv_axis axis = square_axis(augment->short_side, augment->short_side);
    size_t bytes;
    if (!clv_bilinear_scratch(&bytes, &axis, &axis))
        return clv_fail_memory("augmenting pictures");
    augment->region = malloc(most * most * 3);
    augment->square = malloc(side * side * 3);
    augment->scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!augment->region || !augment->square || !augment->scratch)
        return clv_fail_memory("augmenting pictures");
    return CLV_OK;
}

int clv_augment_create(struct clv_augment **out, const struct clv_model_config *config,
                       const struct clv_augment_options *options)
{
    *out = NULL;
    int status = clv_augment_check(options);
    if (status != CLV_OK)
        return status;
    struct clv_augment *augment = calloc(1, sizeof *augment);
    if (!augment)
        return clv_fail_memory("augmenting pictures");
    augment->options = *options;
    augment->config = *config;
    augment->short_side = (int)(256.0 / 224.0 * config->image_side);
    status = clv_pixels_create(&augment->pixels, config);
    if (status == CLV_OK)
        status = create_memory(augment);
    if (status == CLV_OK)
        *out = augment;
    else
        clv_augment_free(augment);
    return status;
}

void clv_augment_free(struct clv_augment *augment)
{
    if (!augment)
        return;
    clv_pixels_free(augment->pixels);
    free(augment->region);
    free(augment->square);
    free(augment->scratch);
    free(augment);
}

/* ---- cutting --------------------------------------------------------------------------------- */

/* A crop of the picture whose short side has been made `short_side`. */
static struct clv_axis scaled_axis(int size, int short_size, int short_side)
{
    const double factor = (double)short_side / short_size;
    return (struct clv_axis){.in = size, .out = (int64_t)(size * factor + 0.5)};
}

static int check_image(const struct clv_image *image)
{
    if (image->width > 0 && image->height > 0 && image->pixels)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "a picture of %d x %d pixels cannot be resized", image->width,
                    image->height);
}

static void resize(const struct clv_augment *augment, uint8_t *out, const struct clv_image *image,
                   const struct clv_axis *x, const struct clv_axis *y)
{
    clv_bilinear_prepare(augment->scratch, x, y);
    clv_bilinear_resize(out, image, x, y, augment->scratch);
}

/* MultiScaleCrop's sides: one almost right is made right. */
static int crop_side(int base, int scale, int side)
{
    const int crop = (int)(base * scales[scale]);
    return abs(crop - side) < 3 ? side : crop;
}

/* Upper left, upper right, lower left, lower right, centre: in quarters of what is to spare. */
static void place_crop(struct clv_axis *x, struct clv_axis *y, int position)
{
    static const int quarters[POSITION_COUNT][2] = {{0, 0}, {4, 0}, {0, 4}, {4, 4}, {2, 2}};
    x->first = (x->out - x->side) / 4 * quarters[position][0];
    y->first = (y->out - y->side) / 4 * quarters[position][1];
}

static void cut_crop(const struct clv_augment *augment, uint8_t *square,
                     const struct clv_image *image, const struct draw *draw)
{
    const int side = augment->config.image_side;
    const int short_size = image->width < image->height ? image->width : image->height;
    struct clv_axis x = scaled_axis(image->width, short_size, augment->short_side);
    struct clv_axis y = scaled_axis(image->height, short_size, augment->short_side);
    x.side = crop_side(augment->short_side, draw->scale[0], side);
    y.side = crop_side(augment->short_side, draw->scale[1], side);
    place_crop(&x, &y, draw->position);
    resize(augment, augment->region, image, &x, &y);
    const struct clv_image region = {augment->region, x.side, y.side, (size_t)x.side * 3};
    x = square_axis(region.width, side);
    y = square_axis(region.height, side);
    resize(augment, square, &region, &x, &y);
}

/* ---- from bytes to what the encoder takes ---------------------------------------------------- */

static float share_of(uint8_t byte)
{
    return (float)byte / 255.0f;
}

/* out [3, R, R] = pixels in 0..1. */
static void spread(float *out, const uint8_t *square, int side)
{
    const size_t area = (size_t)side * (size_t)side;
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++)
            out[c * area + i] = share_of(square[3 * i + c]);
}

static void mirror(uint8_t *square, int side)
{
    for (int y = 0; y < side; y++) {
        uint8_t *left = square + (size_t)y * (size_t)side * 3;
        for (uint8_t *right = left + (side - 1) * 3; left < right; left += 3, right -= 3)
            for (int c = 0; c < 3; c++) {
                const uint8_t held = left[c];
                left[c] = right[c];
                right[c] = held;
            }
    }
}

/* What makes a share of plane `c` one of unit deviation. */
struct plane_rule {
    float scale, offset;
};

static struct plane_rule rule_of(const struct clv_model_config *config, size_t c)
{
    return (struct plane_rule){1 / config->pixel_std[c],
                               config->pixel_mean[c] / config->pixel_std[c]};
}

static void normalize(float *planes, const struct clv_model_config *config)
{
    const size_t area = (size_t)config->image_side * (size_t)config->image_side;
    for (size_t c = 0; c < 3; c++) {
        const struct plane_rule rule = rule_of(config, c);
        for (size_t i = c * area; i < (c + 1) * area; i++)
            planes[i] = planes[i] * rule.scale - rule.offset;
    }
}

/* Rounds as normalize() does after share_of(), which is not how clv_pixels_values() rounds. */
void clv_augment_values(float *values_out, const struct clv_model_config *config)
{
    for (size_t c = 0; c < 3; c++) {
        const struct plane_rule rule = rule_of(config, c);
        for (size_t byte = 0; byte < 256; byte++)
            values_out[c * 256 + byte] = share_of((uint8_t)byte) * rule.scale - rule.offset;
    }
}

/* Pairs of scales at most SCALE_GAP apart, all as likely. */
static void draw_scales(int scale[2], struct clv_random *random)
{
    do {
        scale[0] = clv_random_below(random, SCALE_COUNT);
        scale[1] = clv_random_below(random, SCALE_COUNT);
    } while (abs(scale[0] - scale[1]) > SCALE_GAP);
}

static void draw_clip(struct draw *out, const struct clv_augment_options *options, bool may_flip,
                      struct clv_random *random)
{
    draw_scales(out->scale, random);
    out->position = clv_random_below(random, POSITION_COUNT);
    out->is_flipped = clv_random_uniform(random) < (double)options->flip && may_flip;
    out->is_jittered = clv_random_uniform(random) < (double)options->jitter;
    out->is_gray = clv_random_uniform(random) < (double)options->grayscale;
}

bool clv_augment_has_colour(const struct clv_augment_options *options)
{
    const bool is_strong = options->brightness > 0 || options->contrast > 0 ||
                           options->saturation > 0 || options->hue > 0;
    return options->grayscale > 0 || (options->jitter > 0 && is_strong);
}

/* One frame's part of a clip, its colours as they are. */
static int cut_frame(const struct clv_augment *augment, uint8_t *square,
                     const struct clv_image *frame, const struct draw *draw)
{
    const size_t side = (size_t)augment->config.image_side;
    int status = check_image(frame);
    if (status == CLV_OK && augment->options.crops)
        cut_crop(augment, square, frame, draw);
    else if (status == CLV_OK)
        status = clv_pixels_crop(augment->pixels, square, frame);
    if (status == CLV_OK && draw->is_flipped)
        mirror(square, (int)side);
    return status;
}

int clv_augment_clip(struct clv_augment *augment, float *out, const struct clv_image *frames,
                     int frame_count, bool may_flip, struct clv_random *random)
{
    const struct clv_augment_options *options = &augment->options;
    const float strength[CLV_COLOUR_COUNT] = {options->brightness, options->contrast,
                                              options->saturation, options->hue};
    const int side = augment->config.image_side;
    const size_t area = (size_t)side * (size_t)side;
    struct draw draw;
    struct clv_jitter jitter;
    draw_clip(&draw, options, may_flip, random);
    for (int i = 0; i < frame_count; i++) {
        float *planes = out + (size_t)i * 3 * area;
        int status = cut_frame(augment, augment->square, &frames[i], &draw);
        if (status != CLV_OK)
            return status;
        spread(planes, augment->square, side);
        if (i == 0 || !options->is_jitter_per_clip)
            clv_jitter_draw(&jitter, strength, random);
        if (draw.is_jittered)
            clv_jitter_apply(planes, area, &jitter);
        if (draw.is_gray)
            clv_colour_gray(planes, area);
        normalize(planes, &augment->config);
    }
    return CLV_OK;
}

int clv_augment_squares(struct clv_augment *augment, uint8_t *squares_out,
                        const struct clv_image *frames, int frame_count, bool may_flip,
                        struct clv_random *random)
{
    const size_t side = (size_t)augment->config.image_side;
    struct draw draw;
    int status = CLV_OK;
    assert(!clv_augment_has_colour(&augment->options));
    draw_clip(&draw, &augment->options, may_flip, random);
    for (int i = 0; i < frame_count && status == CLV_OK; i++)
        status = cut_frame(augment, squares_out + (size_t)i * 3 * side * side, &frames[i], &draw);
    return status;
}

/* One of three squares along the long side of a picture whose short side is R. */
static int cut_third(const struct clv_augment *augment, uint8_t *square,
                     const struct clv_image *image, int crop)
{
    static const int steps[3] = {0, 2, 1};
    const int side = augment->config.image_side;
    const int short_size = image->width < image->height ? image->width : image->height;
    int status = check_image(image);
    if (status != CLV_OK)
        return status;
    struct clv_axis x = scaled_axis(image->width, short_size, side);
    struct clv_axis y = scaled_axis(image->height, short_size, side);
    x.side = y.side = side;
    x.first = (x.out - side) / 2 * steps[crop];
    y.first = (y.out - side) / 2 * steps[crop];
    resize(augment, square, image, &x, &y);
    return CLV_OK;
}

int clv_augment_view(struct clv_augment *augment, uint8_t *squares_out,
                     const struct clv_image *frames, int frame_count, int crop, int crop_count)
{
    const size_t side = (size_t)augment->config.image_side;
    int status = CLV_OK;
    for (int i = 0; i < frame_count && status == CLV_OK; i++) {
        uint8_t *square = squares_out + (size_t)i * 3 * side * side;
        status = crop_count == 3 ? cut_third(augment, square, &frames[i], crop)
                                 : clv_pixels_crop(augment->pixels, square, &frames[i]);
    }
    return status;
}
