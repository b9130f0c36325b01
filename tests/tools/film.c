/* The clips that tests of commands work on: six scenes with something happening in each, in two
 * takes that look alike, four seconds of H.264 each. film DIR
 *
 * The one idea: a shape is a signed distance, and a pixel is covered by as much of the shape as
 * the distance at its middle says, which gives smooth edges without sampling twice. Coordinates are
 * pixels of a 320 x 240 picture, y downwards. */
#include "core/error.h"
#include "core/image.h"
#include "core/media/writer.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

enum { WIDTH = 320, HEIGHT = 240, FRAMES_A_SECOND = 25, FRAMES = 4 * FRAMES_A_SECOND };

struct color {
    float red, green, blue; /* 0..255 */
};

struct point {
    float x, y;
};

/* ---- painting ---- */

static float mix(float a, float b, float share)
{
    return a + (b - a) * share;
}

static struct color blend(struct color a, struct color b, float share)
{
    return (struct color){mix(a.red, b.red, share), mix(a.green, b.green, share),
                          mix(a.blue, b.blue, share)};
}

static float clamp(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

static void cover(struct clv_image *image, int x, int y, struct color color, float share)
{
    uint8_t *pixel = image->pixels + (size_t)y * image->stride_bytes + 3 * (size_t)x;
    pixel[0] = (uint8_t)(mix(pixel[0], color.red, share) + 0.5f);
    pixel[1] = (uint8_t)(mix(pixel[1], color.green, share) + 0.5f);
    pixel[2] = (uint8_t)(mix(pixel[2], color.blue, share) + 0.5f);
}

/* A thick line with round ends; a disc where both ends are one. */
static void paint_line(struct clv_image *image, struct point a, struct point b, float radius,
                       struct color color)
{
    int left = (int)clamp(fminf(a.x, b.x) - radius - 1, 0, WIDTH);
    int right = (int)clamp(fmaxf(a.x, b.x) + radius + 2, 0, WIDTH);
    int top = (int)clamp(fminf(a.y, b.y) - radius - 1, 0, HEIGHT);
    int bottom = (int)clamp(fmaxf(a.y, b.y) + radius + 2, 0, HEIGHT);
    float along_x = b.x - a.x;
    float along_y = b.y - a.y;
    float square = along_x * along_x + along_y * along_y;
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++) {
            float from_x = (float)x + 0.5f - a.x;
            float from_y = (float)y + 0.5f - a.y;
            float t = square > 0 ? (from_x * along_x + from_y * along_y) / square : 0;
            t = clamp(t, 0, 1);
            float distance = hypotf(from_x - t * along_x, from_y - t * along_y) - radius;
            float share = clamp(0.5f - distance, 0, 1);
            if (share > 0)
                cover(image, x, y, color, share);
        }
    }
}

static void paint_disc(struct clv_image *image, struct point middle, float radius,
                       struct color color)
{
    paint_line(image, middle, middle, radius, color);
}

/* Upright edges left and right, edges from `top_left` to `top_right` and so on: what a turning
 * door looks like. A rectangle where the tops and the bottoms are level. */
static void paint_panel(struct clv_image *image, float left, float right, float top_left,
                        float top_right, float bottom_left, float bottom_right, struct color color)
{
    for (int x = (int)clamp(left, 0, WIDTH); x < (int)clamp(right + 1, 0, WIDTH); x++) {
        float across = right > left ? clamp(((float)x + 0.5f - left) / (right - left), 0, 1) : 0;
        float top = mix(top_left, top_right, across);
        float bottom = mix(bottom_left, bottom_right, across);
        float share = clamp((float)x + 1 - left, 0, 1) * clamp(right - (float)x, 0, 1);
        for (int y = (int)clamp(top, 0, HEIGHT); y < (int)clamp(bottom + 1, 0, HEIGHT); y++)
            cover(image, x, y, color,
                  share * clamp((float)y + 1 - top, 0, 1) * clamp(bottom - (float)y, 0, 1));
    }
}

static void paint_box(struct clv_image *image, float left, float top, float right, float bottom,
                      struct color color)
{
    paint_panel(image, left, right, top, top, bottom, bottom, color);
}

/* A background that runs from one colour to another, with a little grain that does not move. */
static void paint_ground(struct clv_image *image, int top, int bottom, struct color above,
                         struct color below)
{
    for (int y = top; y < bottom; y++) {
        float share = bottom - top > 1 ? (float)(y - top) / (float)(bottom - top - 1) : 0;
        for (int x = 0; x < WIDTH; x++) {
            uint32_t hash = ((uint32_t)x * 374761393u + (uint32_t)y * 668265263u) ^ 0x9e3779b9u;
            hash = (hash ^ (hash >> 13)) * 1274126177u;
            float grain = (float)(hash >> 28) - 7.5f;
            struct color color = blend(above, below, share);
            color.red = clamp(color.red + grain, 0, 255);
            color.green = clamp(color.green + grain, 0, 255);
            color.blue = clamp(color.blue + grain, 0, 255);
            cover(image, x, y, color, 1);
        }
    }
}

/* ---- actors ---- */

/* A figure seen from the side, feet on `ground`; `step` counts strides, `facing` is 1 or -1. */
static void paint_walker(struct clv_image *image, float x, float ground, float step, float facing,
                         struct color coat, struct color legs)
{
    static const struct color skin = {222, 178, 148};
    float phase = 6.2831853f * step;
    float bob = 2 * fabsf(sinf(phase));
    struct point hip = {x, ground - 48 + bob};
    struct point neck = {x + 3 * facing, ground - 94 + bob};
    for (int side = -1; side <= 1; side += 2) {
        float swing = sinf(phase) * (float)side;
        float bend = fmaxf(0, cosf(phase) * (float)side);
        struct point knee = {x + facing * (11 * swing + 6 * bend), ground - 25 - 3 * bend};
        struct point foot = {x + facing * (21 * swing - 8 * bend), ground - 3 - 9 * bend};
        paint_line(image, hip, knee, 7, legs);
        paint_line(image, knee, foot, 5.5f, legs);
        paint_line(image, foot, (struct point){foot.x + 8 * facing, foot.y}, 4, legs);
    }
    paint_line(image, hip, neck, 12, coat);
    for (int side = -1; side <= 1; side += 2) {
        float swing = -sinf(phase) * (float)side;
        struct point shoulder = {neck.x, neck.y + 6};
        struct point elbow = {x + facing * 12 * swing, ground - 66 + bob};
        struct point hand = {x + facing * (20 * swing + 5), ground - 50 + bob};
        paint_line(image, shoulder, elbow, 5, blend(coat, (struct color){0, 0, 0}, 0.25f));
        paint_line(image, elbow, hand, 4.5f, blend(coat, (struct color){0, 0, 0}, 0.25f));
        paint_disc(image, hand, 4.5f, skin);
    }
    paint_disc(image, (struct point){neck.x + 2 * facing, neck.y - 16}, 11, skin);
}

static void paint_tree(struct clv_image *image, float x, float ground, float size)
{
    paint_line(image, (struct point){x, ground}, (struct point){x, ground - size}, size / 10,
               (struct color){92, 64, 40});
    for (int i = 0; i < 5; i++)
        paint_disc(image,
                   (struct point){x + size * 0.28f * cosf(1.3f * (float)i),
                                  ground - size - size * 0.22f * sinf(1.3f * (float)i)},
                   size * 0.34f, (struct color){40, 104 + 7 * (float)i, 48});
}

/* ---- scenes: `t` seconds into the clip, `take` 0 or 1 ---- */

static void ball_bounces(struct clv_image *image, float t, float take)
{
    paint_ground(image, 0, 176, (struct color){120, 138, 160}, (struct color){164, 178, 194});
    paint_ground(image, 176, HEIGHT, (struct color){196, 132, 74}, (struct color){156, 96, 50});
    float beat = fmodf(t + 0.2f * take, 1);
    float height = 4 * 132 * beat * (1 - beat);
    float x = 60 + 48 * t + 12 * take;
    float low = 1 - height / 132;
    paint_line(image, (struct point){x - 18, 200}, (struct point){x + 18, 200}, 3 + 3 * low,
               (struct color){120, 72, 38});
    paint_disc(image, (struct point){x, 178 - height}, 22, (struct color){206, 34 + 14 * take, 40});
    paint_disc(image, (struct point){x - 7, 170 - height}, 6, (struct color){242, 150, 150});
}

static void person_walks_right(struct clv_image *image, float t, float take)
{
    paint_ground(image, 0, 150, (struct color){120, 178, 232}, (struct color){204, 228, 246});
    paint_ground(image, 150, HEIGHT, (struct color){96, 160, 70}, (struct color){58, 116, 44});
    paint_tree(image, 52, 168, 70);
    paint_tree(image, 262, 160, 54);
    paint_walker(image, 18 + 70 * t + 8 * take, 214, 0.85f * t + 0.15f * take, 1,
                 (struct color){40, 70 + 20 * take, 168}, (struct color){50, 50, 62});
}

static void person_walks_left(struct clv_image *image, float t, float take)
{
    static const struct color mortar = {96, 52, 44};
    paint_ground(image, 0, 186, (struct color){150, 70, 54}, (struct color){122, 54, 44});
    for (int y = 10; y < 186; y += 20)
        paint_box(image, 0, (float)y, WIDTH, (float)y + 2, mortar);
    for (int y = 10; y < 186; y += 20) {
        for (int x = (y / 20 % 2) * 20; x < WIDTH; x += 40)
            paint_box(image, (float)x, (float)y, (float)x + 2, (float)y + 20, mortar);
    }
    paint_ground(image, 186, HEIGHT, (struct color){74, 72, 74}, (struct color){52, 50, 54});
    paint_walker(image, 302 - 70 * t - 8 * take, 218, 0.85f * t + 0.15f * take, -1,
                 (struct color){226, 196 - 18 * take, 60}, (struct color){30, 34, 60});
}

static void door_opens(struct clv_image *image, float t, float take)
{
    paint_ground(image, 0, 200, (struct color){226, 212, 184}, (struct color){206, 190, 158});
    paint_ground(image, 200, HEIGHT, (struct color){110, 84, 62}, (struct color){90, 68, 50});
    float left = 112 + 6 * take;
    float right = left + 96;
    paint_box(image, left - 8, 34, right + 8, 200, (struct color){244, 240, 230});
    paint_box(image, left, 42, right, 200, (struct color){255, 236, 150});
    paint_box(image, left, 150, right, 200, (struct color){150, 190, 120});
    /* Eased, so that it starts and stops like a door. */
    float share = clamp((t - 0.6f - 0.2f * take) / 2.4f, 0, 1);
    float angle = 1.48f * share * share * (3 - 2 * share);
    float edge = left + 96 * cosf(angle);
    float nearer = 26 * sinf(angle);
    struct color wood = {128, 80 + 8 * take, 46};
    paint_panel(image, left, edge, 42, 42 - nearer, 200, 200 + nearer, wood);
    paint_panel(image, mix(left, edge, 0.15f), mix(left, edge, 0.85f), 60, 60 - 0.7f * nearer, 114,
                114, blend(wood, (struct color){0, 0, 0}, 0.2f));
    paint_panel(image, mix(left, edge, 0.15f), mix(left, edge, 0.85f), 130, 130, 184,
                184 + 0.7f * nearer, blend(wood, (struct color){0, 0, 0}, 0.2f));
    paint_disc(image, (struct point){mix(left, edge, 0.92f), 124}, 4, (struct color){230, 200, 90});
}

static void balloon_rises(struct clv_image *image, float t, float take)
{
    paint_ground(image, 0, HEIGHT, (struct color){38, 110, 196}, (struct color){150, 214, 246});
    for (int i = 0; i < 3; i++) {
        float x = 50 + 105 * (float)i + 10 * take;
        float y = 60 + 50 * (float)(i % 2);
        paint_line(image, (struct point){x - 20, y}, (struct point){x + 20, y}, 10,
                   (struct color){246, 248, 250});
        paint_disc(image, (struct point){x - 4, y - 9}, 13, (struct color){246, 248, 250});
    }
    float y = 236 - 62 * t;
    float x = 160 + 10 * sinf(1.6f * t + take) - 10 * take;
    struct color skin = {250, 208 - 16 * take, 30};
    paint_line(image, (struct point){x, y + 30}, (struct point){x + 4 * sinf(3 * t), y + 80}, 1,
               (struct color){240, 240, 240});
    paint_line(image, (struct point){x, y - 6}, (struct point){x, y + 4}, 27, skin);
    paint_line(image, (struct point){x, y + 20}, (struct point){x, y + 32}, 5, skin);
    paint_disc(image, (struct point){x - 10, y - 14}, 6, (struct color){255, 244, 190});
}

static void stone_falls(struct clv_image *image, float t, float take)
{
    paint_ground(image, 0, 180, (struct color){22, 16, 44}, (struct color){70, 42, 96});
    paint_ground(image, 180, HEIGHT, (struct color){24, 60, 84}, (struct color){10, 30, 48});
    for (int i = 0; i < 24; i++)
        paint_disc(image, (struct point){(float)(i * 53 % WIDTH), (float)(i * 37 % 150)}, 1.2f,
                   (struct color){220, 220, 240});
    float fall = fmodf(t + 0.25f * take, 2);
    float x = 150 + 24 * take;
    float y = 10 + 170 * fall * fall;
    if (y < 184) {
        paint_disc(image, (struct point){x, y}, 18, (struct color){132, 130, 136 + 10 * take});
        paint_disc(image, (struct point){x + 6, y + 5}, 9, (struct color){98, 96, 104});
        return;
    }
    float age = fall - 1;
    for (int i = -3; i <= 3; i++) {
        float rise = 90 * age - 130 * age * age;
        float reach = (float)i * 55 * age;
        if (rise > 0)
            paint_disc(image,
                       (struct point){x + reach, 182 - rise * (1.4f - 0.2f * fabsf((float)i))}, 3,
                       (struct color){170, 210, 230});
    }
    paint_line(image, (struct point){x - 90 * age, 188}, (struct point){x + 90 * age, 188}, 2,
               (struct color){120, 170, 196});
}

static const struct {
    const char *name;
    void (*draw)(struct clv_image *image, float t, float take);
} scenes[] = {
    {"ball-bounces", ball_bounces},           {"person-walks-right", person_walks_right},
    {"person-walks-left", person_walks_left}, {"door-opens", door_opens},
    {"balloon-rises", balloon_rises},         {"stone-falls", stone_falls},
};

struct take {
    int scene, number;
};

static int draw(void *payload, struct clv_image *image, int index)
{
    const struct take *take = payload;
    scenes[take->scene].draw(image, (float)index / FRAMES_A_SECOND, (float)take->number);
    return CLV_OK;
}

static int make(const char *path, struct take take)
{
    const struct clv_writer_options options = {
        .width = WIDTH, .height = HEIGHT, .frame_time = {1, FRAMES_A_SECOND}};
    return clv_writer_film(path, &options, FRAMES, draw, &take);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: film DIR\n");
        return 2;
    }
    for (int i = 0; i < 2 * (int)(sizeof scenes / sizeof scenes[0]); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s-%c.mp4", argv[1], scenes[i / 2].name, 'a' + i % 2);
        if (make(path, (struct take){i / 2, i % 2}) != CLV_OK) {
            fprintf(stderr, "film: %s\n", clv_error_message());
            return 1;
        }
    }
    return 0;
}
