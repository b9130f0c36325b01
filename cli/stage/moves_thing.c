/* Things that act alone, and two people together. */
#include "cli/stage/moves.h"

static const struct stage_colour rubber = {36, 36, 40}, white = {248, 248, 244};

void stage_move_car(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float way = scene->half_width * 0.75f, x = stage_mix(-way, way, scene->progress);
    float y = 0.17f, angle = -x / 0.2f;
    stage_shadow(scene, x, 0.95f);
    stage_draw_box(canvas, x - 0.85f, y, x + 0.85f, y + 0.34f, scene->colour, 1);
    const struct stage_vec cabin[4] = {{x - 0.7f, y + 0.34f},
                                       {x + 0.4f, y + 0.34f},
                                       {x + 0.12f, y + 0.72f},
                                       {x - 0.55f, y + 0.72f}};
    const struct stage_vec pane[4] = {{x - 0.58f, y + 0.37f},
                                      {x + 0.27f, y + 0.37f},
                                      {x + 0.07f, y + 0.66f},
                                      {x - 0.48f, y + 0.66f}};
    stage_draw_polygon(canvas, cabin, 4, stage_shade(scene->colour, 0.85f), 1);
    stage_draw_polygon(canvas, pane, 4, (struct stage_colour){170, 206, 230}, 1);
    stage_draw_box(canvas, x - 0.2f, y + 0.34f, x - 0.15f, y + 0.7f,
                   stage_shade(scene->colour, 0.85f), 1);
    stage_draw_box(canvas, x + 0.76f, y + 0.16f, x + 0.87f, y + 0.27f,
                   (struct stage_colour){255, 244, 170}, 1);
    stage_draw_box(canvas, x - 0.87f, y + 0.16f, x - 0.78f, y + 0.27f,
                   (struct stage_colour){190, 20, 20}, 1);
    for (int i = 0; i < 2; i++) {
        struct stage_vec hub = {x + (i ? 0.5f : -0.5f), 0.19f};
        stage_draw_disc(canvas, hub, 0.2f, rubber, 1);
        for (int k = 0; k < 2; k++) {
            float a = angle + 1.5708f * (float)k;
            struct stage_vec r = {0.13f * stage_cos(a), 0.13f * stage_sin(a)};
            stage_draw_limb(canvas, stage_vec(hub.x - r.x, hub.y - r.y),
                            stage_vec(hub.x + r.x, hub.y + r.y), 0.02f, 0.02f, white, 1);
        }
    }
}

void stage_move_roll(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float way = scene->half_width * 0.75f, r = 0.34f + 0.06f * scene->clip->vary[0];
    float x = stage_mix(-way, way, scene->progress);
    struct stage_vec c = {x, r};
    stage_shadow(scene, x, r);
    stage_draw_disc(canvas, c, r, scene->colour, 1);
    for (int i = 0; i < 3; i++) {
        float a = -x / r + 3.1416f * (float)i / 3 + scene->clip->vary[1];
        struct stage_vec d = {r * 0.9f * stage_cos(a), r * 0.9f * stage_sin(a)};
        stage_draw_limb(canvas, stage_vec(c.x - d.x, c.y - d.y), stage_vec(c.x + d.x, c.y + d.y),
                        0.035f, 0.035f, i ? stage_shade(scene->colour, 0.6f) : white, 1);
    }
}

void stage_move_shatter(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, r = 0.45f;
    struct stage_vec c = {0.2f * scene->clip->vary[0], 1.05f};
    for (int i = 0; i < 8; i++) {
        float a = 0.7854f * (float)i, b = a + 0.7854f, m = a + 0.3927f;
        float far = p * (0.55f + 0.25f * stage_wave(0.37f * (float)i + scene->clip->vary[1]));
        float spin = p * 2.5f * stage_wave(0.61f * (float)i + scene->clip->vary[2]);
        struct stage_vec hub = {c.x + far * stage_cos(m), c.y + far * stage_sin(m)};
        const struct stage_vec piece[4] = {
            hub,
            {hub.x + r * stage_cos(a + spin), hub.y + r * stage_sin(a + spin)},
            {hub.x + r * stage_cos(m + spin), hub.y + r * stage_sin(m + spin)},
            {hub.x + r * stage_cos(b + spin), hub.y + r * stage_sin(b + spin)}};
        stage_draw_polygon(canvas, piece, 4,
                           i % 2 ? scene->colour : stage_shade(scene->colour, 0.85f), 1);
        struct stage_vec rim = {hub.x + r * 0.75f * stage_cos(m + spin),
                                hub.y + r * 0.75f * stage_sin(m + spin)};
        stage_draw_disc(canvas, rim, 0.06f, white, 1);
    }
}

void stage_move_grow(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, x = 0.2f * scene->clip->vary[0], high = stage_mix(0.1f, 1.45f, p);
    struct stage_colour leaf = {62, 142, 56};
    float top = 0.36f;
    stage_shadow(scene, x, 0.35f);
    stage_draw_limb(canvas, stage_vec(x, top), stage_vec(x, top + high), 0.035f, 0.025f, leaf, 1);
    for (int i = 0; i < 6; i++) {
        float at = 0.24f * ((float)i + 0.8f);
        float open = stage_clamp((high - at) * 2.2f, 0, 1), side = i % 2 ? 1 : -1;
        struct stage_vec root = {x, top + at},
                         tip = {x + side * 0.42f * open, top + at + 0.18f * open};
        if (open > 0)
            stage_draw_limb(canvas, root, tip, 0.02f, 0.075f * open,
                            stage_shade(leaf, i % 3 ? 1 : 1.2f), 1);
    }
    stage_draw_disc(canvas, stage_vec(x, top + high), 0.05f + 0.13f * p, scene->colour, 1);
    stage_draw_disc(canvas, stage_vec(x, top + high), 0.02f + 0.05f * p,
                    (struct stage_colour){250, 226, 90}, 1);
    const struct stage_vec pot[4] = {
        {x - 0.18f, 0}, {x + 0.18f, 0}, {x + 0.26f, top}, {x - 0.26f, top}};
    stage_draw_polygon(canvas, pot, 4, (struct stage_colour){178, 92, 58}, 1);
}

void stage_move_fill(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, x = 0.25f * scene->clip->vary[0], table = 0.35f, half = 0.34f;
    float level = table + stage_mix(0.08f, 1.0f, p), top = table + 1.15f;
    struct stage_colour glass = {210, 226, 234};
    stage_draw_table(scene, x - 0.75f, x + 0.75f, table);
    stage_draw_box(canvas, x - half, table, x + half, top, glass, 0.45f);
    stage_draw_box(canvas, x - half, table + 0.04f, x + half, level, scene->colour, 0.92f);
    stage_draw_ellipse(canvas, stage_vec(x, level), half, 0.04f, stage_shade(scene->colour, 1.3f),
                       1);
    stage_draw_box(canvas, x - half - 0.04f, table, x - half, top, glass, 1);
    stage_draw_box(canvas, x + half, table, x + half + 0.04f, top, glass, 1);
    stage_draw_box(canvas, x - half - 0.04f, table, x + half + 0.04f, table + 0.05f, glass, 1);
}

void stage_move_balloon(struct stage_scene *scene)
{
    float p = scene->progress, x = 0.35f * scene->clip->vary[0] + 0.1f * stage_wave(p);
    struct stage_vec knot = {x, stage_mix(0.15f, 1.55f, p)};
    struct stage_vec end = {x + 0.06f * stage_wave(2 * p), knot.y - 0.4f};
    stage_shadow(scene, x, 0.28f - 0.12f * p);
    stage_draw_limb(scene->canvas, knot, end, 0.012f, 0.012f, white, 1);
    stage_draw_balloon(scene, knot, 0.27f);
}

/* Two people seen from the front, `gap` metres from the middle. */
void stage_move_meet(struct stage_scene *scene)
{
    float away = scene->half_width * 0.8f, gap = stage_mix(away, 0.3f, scene->progress);
    for (int who = 0; who < 2; who++) {
        const struct stage_actor *actor = &scene->clip->actors[who];
        float x = who ? gap : -gap, leg = stage_figure_leg(actor);
        struct stage_figure figure;
        stage_figure_stand(&figure, actor, x, true);
        for (int i = 0; i < 2; i++) {
            float swing = stage_wave(gap / 1.1f + 0.5f * (float)i);
            figure.foot[i] = stage_vec(x + 0.2f * swing, 0.03f);
            figure.knee[i] = stage_vec_mix(figure.pelvis[i], figure.foot[i], 0.5f);
            stage_figure_reach(&figure, i,
                               stage_vec(x - 0.15f * swing + (i ? 0.14f : -0.14f), leg * 0.98f));
        }
        stage_shadow(scene, x, 0.28f);
        stage_figure_draw(scene->canvas, &figure);
    }
}

/* Two figures that face each other. */
static void face_off(struct stage_scene *scene, struct stage_figure figures[2], float gap)
{
    for (int who = 0; who < 2; who++) {
        float x = who ? gap : -gap;
        stage_figure_stand(&figures[who], &scene->clip->actors[who], x, false);
        if (who)
            stage_figure_face_left(&figures[who]);
        stage_shadow(scene, x, 0.28f);
        stage_figure_draw_far(scene->canvas, &figures[who]);
    }
}

static float shorter(const struct stage_scene *scene)
{
    float a = scene->clip->actors[0].height, b = scene->clip->actors[1].height;
    return a < b ? a : b;
}

void stage_move_shake_hands(struct stage_scene *scene)
{
    struct stage_figure figures[2];
    float h = shorter(scene);
    face_off(scene, figures, 0.27f * h);
    struct stage_vec hands = {0, h * (0.58f + 0.06f * stage_wave(scene->progress))};
    for (int who = 0; who < 2; who++) {
        stage_figure_reach(&figures[who], 1, hands);
        stage_figure_draw_near(scene->canvas, &figures[who]);
    }
}

void stage_move_high_five(struct stage_scene *scene)
{
    struct stage_figure figures[2];
    float h = shorter(scene), hit = stage_rise(scene->progress);
    face_off(scene, figures, 0.26f * h);
    for (int who = 0; who < 2; who++) {
        float side = who ? 1 : -1;
        struct stage_vec hand = {side * (0.02f + 0.16f * (1 - hit)),
                                 h * stage_mix(0.6f, 1.02f, hit)};
        stage_figure_reach(&figures[who], 1, hand);
        stage_figure_draw_near(scene->canvas, &figures[who]);
    }
}
