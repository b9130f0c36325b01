/* Coverage of a row of pixels at a time, from signed distances, then one blend of that row. */
#include "cli/stage/raster.h"

#include "cli/stage/random.h"

#include <math.h>

#define CHUNK 256 /* pixels of a row dealt with at once */

static const float pi = 3.14159265f;

/* Taylor's series around 0, after reduction to a quarter turn; error below 4e-6. */
float stage_sin(float radians)
{
    float turns = radians / (2 * pi);
    turns -= (float)(int)(turns < 0 ? turns - 0.5f : turns + 0.5f);
    if (turns > 0.25f)
        turns = 0.5f - turns;
    else if (turns < -0.25f)
        turns = -0.5f - turns;
    float x = turns * 2 * pi, square = x * x;
    return x *
           (1 + square * (-1.0f / 6 + square * (1.0f / 120 + square * (-1.0f / 5040 +
                                                                       square * (1.0f / 362880)))));
}

float stage_cos(float radians)
{
    return stage_sin(radians + pi / 2);
}

struct stage_vec stage_vec_mix(struct stage_vec a, struct stage_vec b, float t)
{
    return stage_vec(stage_mix(a.x, b.x, t), stage_mix(a.y, b.y, t));
}

static uint8_t level(float value)
{
    return (uint8_t)(stage_clamp(value, 0, 255) + 0.5f);
}

struct stage_colour stage_shade(struct stage_colour colour, float factor)
{
    return (struct stage_colour){level((float)colour.red * factor),
                                 level((float)colour.green * factor),
                                 level((float)colour.blue * factor)};
}

struct stage_colour stage_colour_mix(struct stage_colour a, struct stage_colour b, float t)
{
    return (struct stage_colour){level(stage_mix(a.red, b.red, t)),
                                 level(stage_mix(a.green, b.green, t)),
                                 level(stage_mix(a.blue, b.blue, t))};
}

void stage_canvas_open(struct stage_canvas *out, struct clv_image *image,
                       const struct stage_camera *camera)
{
    float scale = (float)image->height / camera->height;
    float sine = camera->roll_sine, cosine = sqrtf(1 - sine * sine);
    float side = camera->is_mirrored ? -1.0f : 1.0f;
    *out = (struct stage_canvas){.image = image, .scale = scale};
    out->xx = scale * cosine * side;
    out->xy = scale * sine;
    out->yx = scale * sine * side;
    out->yy = -scale * cosine;
    float x = camera->centre.x, y = camera->centre.y;
    out->x0 = 0.5f * (float)image->width - (out->xx * x + out->xy * y);
    out->y0 = 0.5f * (float)image->height - (out->yx * x + out->yy * y);
}

static struct stage_vec to_pixel(const struct stage_canvas *canvas, struct stage_vec p)
{
    return stage_vec(canvas->xx * p.x + canvas->xy * p.y + canvas->x0,
                     canvas->yx * p.x + canvas->yy * p.y + canvas->y0);
}

/* The pixels that a shape may touch; empty where left > right or top > bottom. */
struct region {
    int left, top, right, bottom;
};

static struct region region_of(const struct stage_canvas *canvas, const struct stage_vec *points,
                               int count, float margin)
{
    float left = points[0].x, right = left, top = points[0].y, bottom = top;
    for (int i = 1; i < count; i++) {
        left = points[i].x < left ? points[i].x : left;
        right = points[i].x > right ? points[i].x : right;
        top = points[i].y < top ? points[i].y : top;
        bottom = points[i].y > bottom ? points[i].y : bottom;
    }
    float width = (float)canvas->image->width, height = (float)canvas->image->height;
    return (struct region){(int)stage_clamp(left - margin, 0, width),
                           (int)stage_clamp(top - margin, 0, height),
                           (int)stage_clamp(right + margin, -1, width - 1),
                           (int)stage_clamp(bottom + margin, -1, height - 1)};
}

/* `cover` holds 0 … 256 for `count` pixels from (x, y) on. */
static void blend(struct clv_image *image, int x, int y, const int *cover, int count,
                  struct stage_colour colour)
{
    uint8_t *pixel = image->pixels + (size_t)y * image->stride_bytes + 3 * (size_t)x;
    for (int i = 0; i < count; i++, pixel += 3) {
        int a = cover[i];
        if (a == 0)
            continue;
        pixel[0] = (uint8_t)(pixel[0] + (((colour.red - pixel[0]) * a + 128) >> 8));
        pixel[1] = (uint8_t)(pixel[1] + (((colour.green - pixel[1]) * a + 128) >> 8));
        pixel[2] = (uint8_t)(pixel[2] + (((colour.blue - pixel[2]) * a + 128) >> 8));
    }
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

void stage_draw_limb(struct stage_canvas *canvas, struct stage_vec a, struct stage_vec b,
                     float radius_a, float radius_b, struct stage_colour colour, float alpha)
{
    struct stage_vec ends[2] = {to_pixel(canvas, a), to_pixel(canvas, b)};
    float ra = radius_a * canvas->scale, rb = radius_b * canvas->scale;
    struct region box = region_of(canvas, ends, 2, (ra > rb ? ra : rb) + 1);
    float dx = ends[1].x - ends[0].x, dy = ends[1].y - ends[0].y;
    float square = dx * dx + dy * dy, inverse = square > 1e-6f ? 1 / square : 0;
    float strength = 256 * alpha;
    int cover[CHUNK];
    for (int y = box.top; y <= box.bottom; y++) {
        for (int x = box.left; x <= box.right; x += CHUNK) {
            int count = smaller(CHUNK, box.right - x + 1);
            float py = (float)y + 0.5f - ends[0].y, along_y = py * dy;
            for (int i = 0; i < count; i++) {
                float px = (float)(x + i) + 0.5f - ends[0].x;
                float h = (px * dx + along_y) * inverse;
                h = h < 0 ? 0 : h;
                h = h > 1 ? 1 : h;
                float ex = px - dx * h, ey = py - dy * h;
                float c = ra + (rb - ra) * h - sqrtf(ex * ex + ey * ey) + 0.5f;
                c = c < 0 ? 0 : c;
                c = c > 1 ? 1 : c;
                cover[i] = (int)(c * strength);
            }
            blend(canvas->image, x, y, cover, count, colour);
        }
    }
}

void stage_draw_ellipse(struct stage_canvas *canvas, struct stage_vec centre, float radius_x,
                        float radius_y, struct stage_colour colour, float alpha)
{
    struct stage_vec c = to_pixel(canvas, centre);
    float rx = radius_x * canvas->scale + 1e-3f, ry = radius_y * canvas->scale + 1e-3f;
    struct region box = region_of(canvas, &c, 1, (rx > ry ? rx : ry) + 1);
    float strength = 256 * alpha;
    int cover[CHUNK];
    for (int y = box.top; y <= box.bottom; y++) {
        float v = ((float)y + 0.5f - c.y) / ry;
        if (v * v > (1 + 1 / ry) * (1 + 1 / ry))
            continue;
        for (int x = box.left; x <= box.right; x += CHUNK) {
            int count = smaller(CHUNK, box.right - x + 1);
            for (int i = 0; i < count; i++) {
                /* Distance to an ellipse to first order: f (f - 1) over the gradient of f. */
                float u = ((float)(x + i) + 0.5f - c.x) / rx;
                float f = sqrtf(u * u + v * v);
                float gradient = sqrtf(u * u / (rx * rx) + v * v / (ry * ry)) + 1e-6f;
                float d = 0.5f - f * (f - 1) / gradient;
                d = d < 0 ? 0 : d;
                d = d > 1 ? 1 : d;
                cover[i] = (int)(d * strength);
            }
            blend(canvas->image, x, y, cover, count, colour);
        }
    }
}

/* A line of a polygon as a * x + b * y + c, the distance into the inside in pixels. */
struct edge {
    float a, b, c;
};

static int find_edges(struct edge edges[8], const struct stage_vec *points, int count)
{
    float area = 0;
    for (int i = 0; i < count; i++) {
        struct stage_vec p = points[i], q = points[(i + 1) % count];
        area += p.x * q.y - q.x * p.y;
    }
    float side = area < 0 ? -1.0f : 1.0f;
    int used = 0;
    for (int i = 0; i < count; i++) {
        struct stage_vec p = points[i], q = points[(i + 1) % count];
        float dx = q.x - p.x, dy = q.y - p.y, length = sqrtf(dx * dx + dy * dy);
        if (length < 1e-4f)
            continue;
        float a = -dy / length * side, b = dx / length * side;
        edges[used++] = (struct edge){a, b, 0.5f - a * p.x - b * p.y};
    }
    return used;
}

void stage_draw_polygon(struct stage_canvas *canvas, const struct stage_vec *corners, int count,
                        struct stage_colour colour, float alpha)
{
    struct stage_vec points[8] = {0};
    struct edge edges[8];
    for (int i = 0; i < count; i++)
        points[i] = to_pixel(canvas, corners[i]);
    struct region box = region_of(canvas, points, count, 1);
    int used = find_edges(edges, points, count);
    float strength = 256 * alpha, inside[CHUNK];
    int cover[CHUNK];
    for (int y = box.top; y <= box.bottom; y++) {
        for (int x = box.left; x <= box.right; x += CHUNK) {
            int n = smaller(CHUNK, box.right - x + 1);
            for (int i = 0; i < n; i++)
                inside[i] = 1;
            for (int e = 0; e < used; e++) {
                float base =
                    edges[e].a * ((float)x + 0.5f) + edges[e].b * ((float)y + 0.5f) + edges[e].c;
                for (int i = 0; i < n; i++) {
                    float d = base + edges[e].a * (float)i;
                    inside[i] = d < inside[i] ? d : inside[i];
                }
            }
            for (int i = 0; i < n; i++)
                cover[i] = inside[i] > 0 ? (int)(inside[i] * strength) : 0;
            blend(canvas->image, x, y, cover, n, colour);
        }
    }
}

void stage_draw_box(struct stage_canvas *canvas, float left, float bottom, float right, float top,
                    struct stage_colour colour, float alpha)
{
    const struct stage_vec corners[4] = {
        {left, bottom}, {right, bottom}, {right, top}, {left, top}};
    stage_draw_polygon(canvas, corners, 4, colour, alpha);
}

static int floor_of(float value)
{
    int whole = (int)value;
    return whole - (value < (float)whole);
}

static uint32_t scatter(uint32_t x, uint32_t y, uint32_t seed)
{
    uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ seed;
    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    return h ^ (h >> 13);
}

/* Brightness of the texture at a place of the world, around 1. */
static float texture_at(const struct stage_texture *texture, float x, float y)
{
    float u = x / texture->size, v = y / texture->size;
    if (texture->kind == STAGE_PLANKS)
        v = 0;
    if (texture->kind == STAGE_BRICKS) {
        v *= 2;
        u += (floor_of(v) & 1) ? 0.5f : 0;
    }
    int column = floor_of(u), row = floor_of(v);
    float shade = (float)(scatter((uint32_t)column, (uint32_t)row, texture->seed) & 255) / 255;
    if (texture->kind != STAGE_SPECKLE) {
        float du = u - (float)column, dv = v - (float)row;
        if (du < 0.08f || (dv < 0.08f && texture->kind != STAGE_PLANKS))
            return 1 - texture->contrast;
        shade *= 0.5f;
    }
    return 1 + texture->contrast * (shade - 0.5f);
}

static void draw_band_row(struct stage_canvas *canvas, int y, float low, float high,
                          const struct stage_colour ends[2], const struct stage_texture *texture)
{
    /* World coordinates are linear along the row: invert the camera once. */
    float determinant = canvas->xx * canvas->yy - canvas->xy * canvas->yx;
    float px = 0.5f - canvas->x0, py = (float)y + 0.5f - canvas->y0;
    float wx = (canvas->yy * px - canvas->xy * py) / determinant;
    float wy = (canvas->xx * py - canvas->yx * px) / determinant;
    float step_x = canvas->yy / determinant, step_y = -canvas->yx / determinant;
    uint8_t *pixel = canvas->image->pixels + (size_t)y * canvas->image->stride_bytes;
    bool is_plain = !texture || texture->kind == STAGE_PLAIN;
    float inverse = 1 / (high - low);
    for (int x = 0; x < canvas->image->width; x++, pixel += 3) {
        float world_x = wx + step_x * (float)x, world_y = wy + step_y * (float)x;
        float above = (world_y - low) * canvas->scale + 0.5f;
        float below = (high - world_y) * canvas->scale + 0.5f;
        float cover = stage_clamp(above < below ? above : below, 0, 1);
        if (cover <= 0)
            continue;
        float t = stage_clamp((world_y - low) * inverse, 0, 1);
        float shade = is_plain ? 1 : texture_at(texture, world_x, world_y);
        const uint8_t *a = &ends[0].red, *b = &ends[1].red;
        for (int c = 0; c < 3; c++) {
            float value = stage_clamp(stage_mix(a[c], b[c], t) * shade, 0, 255);
            pixel[c] = (uint8_t)((float)pixel[c] + (value - (float)pixel[c]) * cover + 0.5f);
        }
    }
}

void stage_draw_band(struct stage_canvas *canvas, float low, float high, struct stage_colour bottom,
                     struct stage_colour top, const struct stage_texture *texture)
{
    const struct stage_colour ends[2] = {bottom, top};
    /* Rows that cannot touch the band, whatever the roll, are left out. */
    float lean = canvas->yx * (float)canvas->image->width / canvas->scale;
    lean = (lean < 0 ? -lean : lean) + 1;
    float centre = canvas->yx / canvas->xx * (0.5f * (float)canvas->image->width - canvas->x0);
    float first = canvas->yy * high + canvas->y0 + centre - lean;
    float last = canvas->yy * low + canvas->y0 + centre + lean;
    int rows = canvas->image->height;
    int from = (int)stage_clamp(first, 0, (float)rows);
    int to = (int)stage_clamp(last, -1, (float)(rows - 1));
    for (int y = from; y <= to; y++)
        draw_band_row(canvas, y, low, high, ends, texture);
}

/* Sum of four uniform bytes: near enough to normal, with standard deviation 147.8. */
static float bell(uint32_t bits)
{
    int sum =
        (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255) + (int)(bits >> 24);
    return (float)(sum - 510) / 147.8f;
}

void stage_grade(struct clv_image *image, const struct stage_grade *grade)
{
    uint32_t seed = (uint32_t)stage_hash(grade->noise_seed, 17);
    for (int y = 0; y < image->height; y++) {
        uint8_t *pixel = image->pixels + (size_t)y * image->stride_bytes;
        float v = 2 * ((float)y + 0.5f) / (float)image->height - 1;
        for (int x = 0; x < image->width; x++, pixel += 3) {
            float u = 2 * ((float)x + 0.5f) / (float)image->width - 1;
            float light = 1 + grade->slope_x * u + grade->slope_y * v -
                          grade->vignette * 0.5f * (u * u + v * v);
            float noise = 0;
            if (grade->noise > 0)
                noise = grade->noise * bell(scatter((uint32_t)x, (uint32_t)y, seed));
            for (int c = 0; c < 3; c++)
                pixel[c] = level((float)pixel[c] * light * grade->gain[c] + noise);
        }
    }
}
