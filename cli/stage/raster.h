/* The rasteriser: anti-aliased shapes in metres, drawn back to front into an RGB picture.
 *
 * The world is flat: x to the right, y up, the ground at y = 0. A canvas maps it to pixels by a
 * camera that shifts, zooms and rolls. Results are bit-equal wherever IEEE floats are: square root
 * is the only library function used, and no multiplication is fused with an addition. */
#ifndef CLV_CLI_STAGE_RASTER_H
#define CLV_CLI_STAGE_RASTER_H

#include "core/image.h"

#include <stdbool.h>
#include <stdint.h>

struct stage_vec {
    float x, y;
};

struct stage_colour {
    uint8_t red, green, blue;
};

/* px = xx * x + xy * y + x0, py = yx * x + yy * y + y0. */
struct stage_canvas {
    struct clv_image *image;
    float xx, xy, yx, yy, x0, y0;
    float scale; /* pixels in a metre */
};

struct stage_camera {
    struct stage_vec centre; /* metres */
    float height;            /* metres seen from bottom to top */
    float roll_sine;         /* small; the cosine follows */
    bool is_mirrored;        /* left and right are exchanged about the centre */
};

enum stage_texture_kind {
    STAGE_PLAIN,
    STAGE_TILES,   /* squares of slightly different brightness, with joints */
    STAGE_BRICKS,  /* the same, twice as wide as high and shifted every other row */
    STAGE_PLANKS,  /* vertical stripes */
    STAGE_SPECKLE, /* small random patches: grass, sand, snow */
};

struct stage_texture {
    enum stage_texture_kind kind;
    float size;     /* metres */
    float contrast; /* 0 … 1 */
    uint32_t seed;
};

/* sine and cosine, the same on every machine. */
float stage_sin(float radians);
float stage_cos(float radians);
static inline float stage_clamp(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}
static inline float stage_mix(float a, float b, float t)
{
    return a + (b - a) * t;
}
static inline struct stage_vec stage_vec(float x, float y)
{
    return (struct stage_vec){x, y};
}
struct stage_vec stage_vec_mix(struct stage_vec a, struct stage_vec b, float t);

/* Brighter above 1, darker below. */
struct stage_colour stage_shade(struct stage_colour colour, float factor);
struct stage_colour stage_colour_mix(struct stage_colour a, struct stage_colour b, float t);

void stage_canvas_open(struct stage_canvas *out, struct clv_image *image,
                       const struct stage_camera *camera);

/* Everything with low <= y < high; the colour goes from `bottom` to `top`. */
void stage_draw_band(struct stage_canvas *canvas, float low, float high, struct stage_colour bottom,
                     struct stage_colour top, const struct stage_texture *texture);
/* A limb: from `a` to `b`, with round ends of the two radii. */
void stage_draw_limb(struct stage_canvas *canvas, struct stage_vec a, struct stage_vec b,
                     float radius_a, float radius_b, struct stage_colour colour, float alpha);
void stage_draw_ellipse(struct stage_canvas *canvas, struct stage_vec centre, float radius_x,
                        float radius_y, struct stage_colour colour, float alpha);
static inline void stage_draw_disc(struct stage_canvas *canvas, struct stage_vec centre,
                                   float radius, struct stage_colour colour, float alpha)
{
    stage_draw_limb(canvas, centre, centre, radius, radius, colour, alpha);
}
/* Convex, 3 to 8 corners in either direction. */
void stage_draw_polygon(struct stage_canvas *canvas, const struct stage_vec *corners, int count,
                        struct stage_colour colour, float alpha);
void stage_draw_box(struct stage_canvas *canvas, float left, float bottom, float right, float top,
                    struct stage_colour colour, float alpha);

/* What happens to the finished picture: exposure, colour of the light, its fall-off, noise. */
struct stage_grade {
    float gain[3];
    float slope_x, slope_y; /* relative change of light from the middle to the right, bottom edge */
    float vignette;         /* 0 … 1: light lost in the corners */
    float noise;            /* standard deviation, in levels */
    uint64_t noise_seed;
};
void stage_grade(struct clv_image *image, const struct stage_grade *grade);

#endif
