/* What many moves share. */
#include "cli/stage/moves.h"

static const float turn = 6.2831853f;

float stage_part(float progress, float from, float to)
{
    float t = stage_clamp((progress - from) / (to - from), 0, 1);
    return t * t * (3 - 2 * t);
}

float stage_keys(float progress, const float *values, int count)
{
    float at = stage_clamp(progress, 0, 1) * (float)(count - 1);
    int i = (int)at;
    if (i > count - 2)
        i = count - 2;
    return stage_mix(values[i], values[i + 1], stage_part(at - (float)i, 0, 1));
}

float stage_wave(float turns)
{
    return stage_sin(turn * turns);
}

float stage_rise(float turns)
{
    return 0.5f - 0.5f * stage_cos(turn * turns);
}

void stage_shadow(struct stage_scene *scene, float x, float width)
{
    stage_draw_ellipse(scene->canvas, stage_vec(x, 0.0f), width, 0.06f,
                       (struct stage_colour){20, 20, 24}, 0.35f);
}

static struct stage_vec hanging(const struct stage_figure *figure, int arm)
{
    float reach = (figure->actor->upper_arm + figure->actor->forearm) * figure->size * 0.97f;
    float out = figure->is_front ? (arm ? 0.05f : -0.05f) : 0.04f * figure->facing;
    return stage_vec(figure->shoulder[arm].x + out, figure->shoulder[arm].y - reach);
}

void stage_hang(struct stage_figure *figure, int arm)
{
    stage_figure_reach(figure, arm, hanging(figure, arm));
}

void stage_reach_share(struct stage_figure *figure, int arm, struct stage_vec target, float share)
{
    stage_figure_reach(figure, arm, stage_vec_mix(hanging(figure, arm), target, share));
}

void stage_draw_prop(struct stage_scene *scene, struct stage_vec c, float size)
{
    struct stage_canvas *canvas = scene->canvas;
    struct stage_colour colour = scene->colour, dark = stage_shade(colour, 0.7f);
    switch (scene->clip->prop) {
    case STAGE_BALL:
        stage_draw_disc(canvas, c, size, colour, 1);
        stage_draw_disc(canvas, stage_vec(c.x - size * 0.3f, c.y + size * 0.35f), size * 0.3f,
                        stage_colour_mix(colour, (struct stage_colour){255, 255, 255}, 0.6f), 1);
        break;
    case STAGE_BOOK:
        stage_draw_box(canvas, c.x - size, c.y - size * 0.75f, c.x + size, c.y + size * 0.75f, dark,
                       1);
        stage_draw_box(canvas, c.x - size * 0.9f, c.y - size * 0.55f, c.x + size,
                       c.y + size * 0.55f, (struct stage_colour){244, 240, 226}, 1);
        stage_draw_box(canvas, c.x - size, c.y - size * 0.2f, c.x + size, c.y + size * 0.75f,
                       colour, 1);
        break;
    case STAGE_BAG: {
        const struct stage_vec sack[4] = {{c.x - size * 0.7f, c.y + size * 0.6f},
                                          {c.x + size * 0.7f, c.y + size * 0.6f},
                                          {c.x + size * 1.1f, c.y - size},
                                          {c.x - size * 1.1f, c.y - size}};
        struct stage_vec top = {c.x, c.y + size * 1.3f};
        stage_draw_limb(canvas, sack[0], top, 0.02f, 0.02f, dark, 1);
        stage_draw_limb(canvas, sack[1], top, 0.02f, 0.02f, dark, 1);
        stage_draw_polygon(canvas, sack, 4, colour, 1);
        break;
    }
    default:
        stage_draw_box(canvas, c.x - size, c.y - size, c.x + size, c.y + size, colour, 1);
        stage_draw_box(canvas, c.x - size * 0.15f, c.y - size, c.x + size * 0.15f, c.y + size, dark,
                       1);
    }
}

void stage_draw_table(struct stage_scene *scene, float left, float right, float height)
{
    struct stage_colour wood = {150, 104, 64};
    stage_shadow(scene, (left + right) / 2, (right - left) * 0.6f);
    stage_draw_box(scene->canvas, left + 0.04f, 0, left + 0.1f, height, stage_shade(wood, 0.7f), 1);
    stage_draw_box(scene->canvas, right - 0.1f, 0, right - 0.04f, height, stage_shade(wood, 0.7f),
                   1);
    stage_draw_box(scene->canvas, left, height - 0.07f, right, height, wood, 1);
}

void stage_draw_balloon(struct stage_scene *scene, struct stage_vec knot, float radius)
{
    struct stage_vec centre = {knot.x, knot.y + radius * 1.15f};
    struct stage_colour colour = scene->colour;
    stage_draw_limb(scene->canvas, knot, centre, 0.02f, radius * 0.5f, stage_shade(colour, 0.8f),
                    1);
    stage_draw_ellipse(scene->canvas, centre, radius, radius * 1.12f, colour, 1);
    stage_draw_disc(scene->canvas, stage_vec(centre.x - radius * 0.35f, centre.y + radius * 0.4f),
                    radius * 0.2f,
                    stage_colour_mix(colour, (struct stage_colour){255, 255, 255}, 0.7f), 1);
}
