/* Repeated work, play and sport with things. */
#include "cli/stage/moves.h"

static const struct stage_colour steel = {150, 154, 162}, wood = {160, 112, 62};

void stage_move_juggle(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_figure figure;
    stage_figure_stand(&figure, actor, 0, true);
    float low = figure.hip.y + 0.25f * actor->torso, side = 0.3f;
    for (int i = 0; i < 2; i++) {
        float dip = 0.07f * stage_wave(1.5f * scene->progress + 0.5f * (float)i);
        stage_figure_reach(&figure, i, stage_vec(i ? side : -side, low + dip));
    }
    stage_shadow(scene, 0, 0.28f);
    stage_figure_draw(scene->canvas, &figure);
    for (int i = 0; i < 3; i++) {
        /* From one hand over the head to the other and back, a third of a turn apart. */
        float at = scene->progress + (float)i / 3;
        at -= (float)(int)at;
        float half = at < 0.5f ? 2 * at : 2 * at - 1, from = at < 0.5f ? side : -side;
        struct stage_vec ball = {stage_mix(from, -from, half),
                                 low + 0.08f + 5.6f * half * (1 - half) * actor->torso};
        stage_draw_disc(scene->canvas, ball, 0.085f,
                        stage_shade(scene->colour, 0.8f + 0.2f * (float)i), 1);
    }
}

void stage_move_bounce(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(-0.2f, stage_figure_leg(actor) * 0.93f), 0.25f,
                      false, 1);
    /* A parabola up from the ground and down again. */
    float at = scene->progress - (float)(int)scene->progress, fall = 2 * at - 1;
    float high = actor->height * 0.46f, y = 0.13f + high * (1 - fall * fall);
    struct stage_vec ball = {0.26f, y};
    stage_figure_reach(&figure, 1, stage_vec(0.24f, stage_clamp(y + 0.14f, high * 0.85f, 3)));
    stage_shadow(scene, -0.2f, 0.28f);
    stage_draw_ellipse(scene->canvas, stage_vec(ball.x, 0), 0.12f, 0.04f,
                       (struct stage_colour){20, 20, 24}, 0.3f);
    stage_figure_draw(scene->canvas, &figure);
    stage_draw_prop(scene, ball, 0.13f);
}

void stage_move_swing(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float top = 2.3f, rope = top - actor->shin - 0.22f;
    float angle = 0.65f * stage_wave(scene->progress), forward = stage_clamp(angle, -0.6f, 0.6f);
    struct stage_vec hook = {0, top};
    struct stage_vec seat = {rope * stage_sin(angle), top - rope * stage_cos(angle)};
    stage_draw_limb(canvas, stage_vec(-0.75f, 0), stage_vec(-0.35f, top), 0.04f, 0.04f, steel, 1);
    stage_draw_limb(canvas, stage_vec(0.75f, 0), stage_vec(0.35f, top), 0.04f, 0.04f, steel, 1);
    stage_draw_limb(canvas, stage_vec(-0.4f, top), stage_vec(0.4f, top), 0.045f, 0.045f, steel, 1);
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(seat.x, seat.y + 0.1f), -0.7f * forward, false, 1);
    struct stage_vec grip = stage_vec_mix(seat, hook, 0.42f);
    for (int i = 0; i < 2; i++) {
        stage_figure_thigh(&figure, i, 1.45f + 0.4f * forward, 0.4f + 1.7f * forward);
        stage_figure_reach(&figure, i, grip);
    }
    stage_shadow(scene, seat.x, 0.3f);
    stage_figure_draw_far(canvas, &figure);
    stage_draw_limb(canvas, hook, seat, 0.015f, 0.015f, (struct stage_colour){60, 52, 44}, 1);
    stage_draw_limb(canvas, stage_vec(seat.x - 0.16f, seat.y), stage_vec(seat.x + 0.16f, seat.y),
                    0.03f, 0.03f, wood, 1);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_hammer(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float table = actor->height * 0.42f, up = stage_rise(scene->progress);
    struct stage_figure figure;
    stage_figure_stand(&figure, actor, -0.2f, false);
    stage_draw_table(scene, 0.15f, 0.95f, table);
    float angle = stage_mix(1.75f, 2.9f, up);
    stage_figure_arm(&figure, 1, stage_mix(0.5f, 1.9f, up), angle);
    stage_figure_reach(&figure, 0, stage_vec(0.35f, table + 0.03f));
    struct stage_vec hand = figure.hand[1];
    float tilt = stage_mix(1.45f, 3.4f, up);
    struct stage_vec head = {hand.x + 0.36f * stage_sin(tilt), hand.y - 0.36f * stage_cos(tilt)};
    stage_draw_limb(canvas, stage_vec(0.55f, table), stage_vec(0.55f, table + 0.1f), 0.025f, 0.025f,
                    steel, 1);
    stage_shadow(scene, -0.2f, 0.28f);
    stage_figure_draw(canvas, &figure);
    stage_draw_limb(canvas, hand, head, 0.025f, 0.025f, wood, 1);
    struct stage_vec along = {stage_cos(tilt) * 0.1f, stage_sin(tilt) * 0.1f};
    stage_draw_limb(canvas, stage_vec(head.x - along.x, head.y - along.y),
                    stage_vec(head.x + along.x, head.y + along.y), 0.06f, 0.06f,
                    (struct stage_colour){70, 72, 80}, 1);
}

void stage_move_saw(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float table = actor->height * 0.34f, push = 0.2f * stage_wave(scene->progress);
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(-0.35f, stage_figure_leg(actor) * 0.96f), 0.4f,
                      false, 1);
    stage_draw_table(scene, 0.2f, 1.0f, table);
    stage_draw_box(canvas, 0.25f, table, 1.1f, table + 0.09f, wood, 1);
    struct stage_vec grip = {0.18f + push, table + 0.2f};
    stage_figure_reach(&figure, 1, grip);
    stage_figure_reach(&figure, 0, stage_vec(0.3f, table + 0.1f));
    stage_shadow(scene, -0.3f, 0.3f);
    stage_figure_draw_far(canvas, &figure);
    const struct stage_vec blade[4] = {{grip.x, grip.y + 0.06f},
                                       {grip.x, grip.y - 0.1f},
                                       {grip.x + 0.62f, grip.y - 0.17f},
                                       {grip.x + 0.62f, grip.y - 0.09f}};
    stage_draw_polygon(canvas, blade, 4, (struct stage_colour){214, 218, 224}, 1);
    stage_draw_disc(canvas, grip, 0.06f, (struct stage_colour){150, 50, 40}, 1);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_sweep(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float turns = scene->progress, x = -0.15f, push = 0.28f * stage_wave(turns);
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(x, stage_figure_leg(actor) * 0.96f), 0.22f, false,
                      1);
    struct stage_vec brush = {x + 0.55f + push, 0.06f};
    struct stage_vec top = {x + 0.15f + push * 0.5f, actor->height * 0.72f};
    stage_figure_reach(&figure, 0, stage_vec_mix(top, brush, 0.12f));
    stage_figure_reach(&figure, 1, stage_vec_mix(top, brush, 0.38f));
    stage_shadow(scene, x, 0.3f);
    stage_figure_draw_far(canvas, &figure);
    stage_draw_limb(canvas, top, brush, 0.022f, 0.022f, wood, 1);
    const struct stage_vec bristles[4] = {{brush.x - 0.08f, 0.14f},
                                          {brush.x + 0.08f, 0.14f},
                                          {brush.x + 0.18f, 0},
                                          {brush.x - 0.18f, 0}};
    stage_draw_polygon(canvas, bristles, 4, (struct stage_colour){216, 180, 80}, 1);
    for (int i = 0; i < 4; i++)
        stage_draw_disc(canvas, stage_vec(brush.x + 0.3f + 0.1f * (float)i, 0.03f), 0.025f,
                        (struct stage_colour){90, 80, 70}, 1);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_drink(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    struct stage_figure figure;
    float up = stage_part(stage_rise(scene->progress), 0.1f, 0.8f), r = actor->head;
    stage_figure_stand(&figure, actor, -0.05f, false);
    struct stage_vec low = {figure.hip.x + 0.36f, figure.hip.y + 0.18f};
    struct stage_vec mouth = {figure.head.x + r * 1.6f, figure.head.y - r * 0.1f};
    stage_figure_reach(&figure, 1, stage_vec_mix(low, mouth, up));
    stage_shadow(scene, figure.hip.x, 0.28f);
    stage_figure_draw(canvas, &figure);
    float tilt = stage_mix(0, 2.0f, up);
    struct stage_vec hand = figure.hand[1];
    struct stage_vec base = {hand.x + 0.09f * stage_sin(tilt), hand.y - 0.09f * stage_cos(tilt)};
    struct stage_vec neck = {hand.x - 0.13f * stage_sin(tilt), hand.y + 0.13f * stage_cos(tilt)};
    struct stage_vec cap = {hand.x - 0.2f * stage_sin(tilt), hand.y + 0.2f * stage_cos(tilt)};
    stage_draw_limb(canvas, base, neck, 0.075f, 0.06f, (struct stage_colour){40, 150, 110}, 1);
    stage_draw_limb(canvas, neck, cap, 0.035f, 0.03f, (struct stage_colour){220, 240, 230}, 1);
}

void stage_move_rope(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float turns = scene->progress, hop = stage_wave(turns + 0.25f), leg = stage_figure_leg(actor);
    hop = hop > 0 ? 0.16f * hop : 0;
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(0, leg * 0.97f + hop), 0, true, 1);
    for (int i = 0; i < 2; i++) {
        stage_figure_step(&figure, i, stage_vec(figure.pelvis[i].x, 0.03f + hop));
        stage_figure_reach(&figure, i, stage_vec(i ? 0.42f : -0.42f, figure.hip.y + 0.1f));
    }
    stage_shadow(scene, 0, 0.25f);
    /* The rope passes under the feet where the hop is highest. */
    float sweep = -stage_cos(6.2831853f * turns), middle = figure.hand[0].y;
    float bow = sweep > 0 ? actor->height * 1.05f + 0.1f - middle : middle - 0.04f;
    struct stage_vec last = figure.hand[0];
    bool is_behind = stage_wave(turns) < 0;
    if (!is_behind)
        stage_figure_draw(canvas, &figure);
    for (int i = 1; i <= 12; i++) {
        float t = (float)i / 12, x = stage_mix(figure.hand[0].x, figure.hand[1].x, t);
        float wide = 4 * t * (1 - t);
        struct stage_vec at = {x * (1 + 0.35f * wide), middle + sweep * bow * wide};
        stage_draw_limb(canvas, last, at, 0.02f, 0.02f, (struct stage_colour){236, 220, 90}, 1);
        last = at;
    }
    if (is_behind)
        stage_figure_draw(canvas, &figure);
}

void stage_move_cycle(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float way = scene->half_width * 0.6f, x = stage_mix(-way, way, scene->progress);
    float k = actor->height / 1.75f, r = 0.32f * k, phase = x / (1.1f * k);
    struct stage_vec rear = {x - 0.5f * k, r}, front = {x + 0.5f * k, r},
                     crank = {x - 0.05f * k, r};
    struct stage_vec saddle = {x - 0.2f * k, 0.9f * k}, bar = {x + 0.36f * k, 0.98f * k};
    struct stage_colour frame = scene->colour, tyre = {34, 34, 38};
    stage_shadow(scene, x, 0.75f * k);
    for (int w = 0; w < 2; w++) {
        struct stage_vec hub = w ? front : rear;
        stage_draw_disc(canvas, hub, r, tyre, 1);
        stage_draw_disc(canvas, hub, r * 0.82f, (struct stage_colour){196, 200, 204}, 1);
        for (int i = 0; i < 2; i++) {
            float a = -x / r + 1.5708f * (float)i;
            struct stage_vec d = {r * 0.8f * stage_cos(a), r * 0.8f * stage_sin(a)};
            stage_draw_limb(canvas, stage_vec(hub.x - d.x, hub.y - d.y),
                            stage_vec(hub.x + d.x, hub.y + d.y), 0.012f, 0.012f, tyre, 1);
        }
    }
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(saddle.x, saddle.y + 0.08f), 0.55f, false, 1);
    for (int i = 0; i < 2; i++) {
        float a = -6.2831853f * (phase + 0.5f * (float)i);
        stage_figure_step(
            &figure, i,
            stage_vec(crank.x + 0.16f * k * stage_cos(a), crank.y + 0.16f * k * stage_sin(a)));
        stage_figure_reach(&figure, i, bar);
    }
    stage_figure_draw_far(canvas, &figure);
    float t = 0.03f;
    stage_draw_limb(canvas, rear, saddle, t, t, frame, 1);
    stage_draw_limb(canvas, saddle, crank, t, t, frame, 1);
    stage_draw_limb(canvas, crank, bar, t, t, frame, 1);
    stage_draw_limb(canvas, rear, crank, t, t, frame, 1);
    stage_draw_limb(canvas, bar, front, t, t, frame, 1);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_barbell(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    struct stage_figure figure;
    stage_figure_stand(&figure, actor, 0, true);
    float low = figure.neck.y - 0.03f, high = low + (actor->upper_arm + actor->forearm) * 0.95f;
    float y = stage_mix(low, high, stage_rise(scene->progress));
    for (int i = 0; i < 2; i++)
        stage_figure_reach(&figure, i, stage_vec(i ? 0.3f : -0.3f, y));
    stage_shadow(scene, 0, 0.3f);
    stage_figure_draw(canvas, &figure);
    stage_draw_limb(canvas, stage_vec(-0.72f, y), stage_vec(0.72f, y), 0.022f, 0.022f, steel, 1);
    for (int i = -1; i <= 1; i += 2) {
        float x = 0.62f * (float)i;
        stage_draw_box(canvas, x - 0.05f, y - 0.2f, x + 0.05f, y + 0.2f,
                       (struct stage_colour){40, 40, 46}, 1);
    }
}

void stage_move_drum(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    struct stage_figure figure;
    float top = actor->height * 0.45f;
    stage_figure_stand(&figure, actor, 0, true);
    stage_shadow(scene, 0, 0.45f);
    stage_figure_draw(canvas, &figure);
    stage_draw_box(canvas, -0.4f, 0.05f, 0.4f, top, scene->colour, 1);
    stage_draw_box(canvas, -0.4f, top - 0.1f, 0.4f, top - 0.05f,
                   (struct stage_colour){240, 230, 200}, 1);
    stage_draw_ellipse(canvas, stage_vec(0, top), 0.4f, 0.07f, (struct stage_colour){246, 242, 228},
                       1);
    for (int i = 0; i < 2; i++) {
        float side = i ? 1 : -1, up = stage_wave(scene->progress + 0.5f * (float)i);
        up = up > 0 ? up : 0;
        stage_figure_reach(&figure, i, stage_vec(side * 0.36f, top + 0.22f + 0.18f * up));
        struct stage_vec hand = figure.hand[i];
        struct stage_vec tip = {side * 0.12f, top + 0.04f + 0.4f * up};
        stage_draw_limb(canvas, figure.shoulder[i], figure.elbow[i], 0.06f, 0.05f, actor->sleeve,
                        1);
        stage_draw_limb(canvas, figure.elbow[i], hand, 0.05f, 0.04f, actor->skin, 1);
        stage_draw_limb(canvas, hand, tip, 0.02f, 0.02f, wood, 1);
    }
}

void stage_move_paint(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float h = actor->height, y = h * (0.78f + 0.26f * stage_wave(scene->progress));
    struct stage_figure figure;
    stage_figure_stand(&figure, actor, -0.2f, false);
    stage_draw_box(canvas, 0.38f, 0, 1.0f, 1.25f * h, (struct stage_colour){226, 220, 206}, 1);
    stage_draw_box(canvas, 0.38f, h * 0.5f, 0.56f, h * 1.06f, scene->colour, 1);
    struct stage_vec roller = {0.34f, y};
    stage_figure_reach(&figure, 1, stage_vec(roller.x - 0.16f, y - 0.06f));
    stage_shadow(scene, -0.2f, 0.28f);
    stage_figure_draw(canvas, &figure);
    stage_draw_limb(canvas, figure.hand[1], roller, 0.02f, 0.02f, steel, 1);
    stage_draw_limb(canvas, stage_vec(roller.x + 0.04f, y - 0.1f),
                    stage_vec(roller.x + 0.04f, y + 0.1f), 0.055f, 0.055f, scene->colour, 1);
}
