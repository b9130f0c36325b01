/* People with things, each from one state to another: all of these have a reversal. */
#include "cli/stage/moves.h"

static const struct stage_colour paper = {246, 246, 240};

static void stand(struct stage_scene *scene, struct stage_figure *figure, float x)
{
    stage_figure_stand(figure, scene->actor, x, false);
    stage_shadow(scene, x, 0.28f);
    stage_figure_draw_far(scene->canvas, figure);
}

void stage_move_pick_up(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    float p = scene->progress, size = 0.15f, low[3] = {0, 1, 0}, leg = stage_figure_leg(actor);
    float down = stage_keys(p, low, 3), held = stage_part(p, 0.5f, 1);
    struct stage_vec hip = {-0.22f * down, leg * (0.99f - 0.42f * down)};
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, hip, 1.15f * down, false, 1);
    struct stage_vec floor = {0.42f, size}, chest = {0.34f, leg * 1.12f};
    struct stage_vec thing = stage_vec_mix(floor, chest, held);
    for (int i = 0; i < 2; i++) {
        stage_figure_step(&figure, i, stage_vec(0.1f * (float)i - 0.02f, 0.03f));
        stage_reach_share(&figure, i, stage_vec(thing.x - 0.06f, thing.y + 0.06f),
                          p < 0.5f ? stage_part(p, 0.1f, 0.5f) : 1);
    }
    stage_shadow(scene, 0.05f, 0.3f);
    stage_draw_ellipse(scene->canvas, stage_vec(thing.x, 0), size, 0.04f,
                       (struct stage_colour){20, 20, 24}, 0.3f);
    stage_figure_draw_far(scene->canvas, &figure);
    stage_draw_prop(scene, thing, size);
    stage_figure_draw_near(scene->canvas, &figure);
}

void stage_move_door(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    struct stage_colour frame = {230, 224, 210}, dark = stage_shade(scene->colour, 0.75f);
    float hinge = 1.0f, width = 0.72f, high = 1.98f, angle = scene->progress * 1.75f;
    float cosine = stage_cos(angle), sine = stage_sin(angle);
    float edge = hinge - width * cosine;
    stage_draw_box(canvas, hinge - width - 0.08f, 0, hinge + 0.08f, high + 0.08f, frame, 1);
    stage_draw_box(canvas, hinge - width, 0, hinge, high, (struct stage_colour){36, 34, 40}, 1);
    struct stage_figure figure;
    stand(scene, &figure, -0.2f + 0.25f * scene->progress);
    const struct stage_vec leaf[4] = {
        {hinge, 0}, {edge, -0.14f * sine}, {edge, high + 0.1f * sine}, {hinge, high}};
    stage_draw_polygon(canvas, leaf, 4, cosine > 0 ? scene->colour : dark, 1);
    float inner = stage_mix(edge, hinge, 0.25f), outer = stage_mix(edge, hinge, 0.75f);
    const struct stage_vec panel[4] = {
        {inner, 1.1f}, {outer, 1.1f}, {outer, high - 0.2f}, {inner, high - 0.18f}};
    stage_draw_polygon(canvas, panel, 4, stage_shade(cosine > 0 ? dark : scene->colour, 0.9f), 1);
    struct stage_vec knob = {stage_mix(edge, hinge, 0.1f), 0.98f};
    stage_draw_disc(canvas, knob, 0.045f, (struct stage_colour){236, 200, 90}, 1);
    stage_figure_reach(&figure, 1, knob);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_chest(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float table = scene->actor->height * 0.36f, left = 0.28f, right = 0.92f, top = table + 0.32f;
    float angle = scene->progress * 1.95f;
    struct stage_vec hinge = {right, top};
    struct stage_vec edge = {right - 0.66f * stage_cos(angle), top + 0.66f * stage_sin(angle)};
    stage_draw_table(scene, 0.15f, 1.05f, table);
    struct stage_figure figure;
    stand(scene, &figure, -0.15f);
    stage_draw_box(canvas, left, table, right, top, scene->colour, 1);
    stage_draw_box(canvas, left, top - 0.05f, right, top, (struct stage_colour){30, 26, 24}, 1);
    stage_draw_box(canvas, 0.55f, table + 0.1f, 0.65f, table + 0.2f,
                   (struct stage_colour){236, 200, 90}, 1);
    stage_draw_limb(canvas, hinge, edge, 0.045f, 0.045f, stage_shade(scene->colour, 0.75f), 1);
    stage_figure_reach(&figure, 1, edge);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_drawer(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    struct stage_colour dark = stage_shade(scene->colour, 0.7f);
    float left = 0.62f, right = 1.2f, unit = scene->actor->height * 0.17f;
    float out = 0.48f * scene->progress;
    struct stage_figure figure;
    stand(scene, &figure, -0.32f);
    stage_shadow(scene, 0.9f, 0.4f);
    stage_draw_box(canvas, left, 0, right, 3.6f * unit, scene->colour, 1);
    for (int i = 0; i < 3; i++) {
        float y = unit * (0.2f + 1.12f * (float)i), pulled = i == 2 ? out : 0;
        struct stage_colour face = i == 2 ? stage_shade(scene->colour, 1.25f) : dark;
        if (i == 2)
            stage_draw_box(canvas, left, y, right - 0.05f, y + unit,
                           (struct stage_colour){30, 26, 24}, 1);
        stage_draw_box(canvas, left - pulled, y + 0.05f, left + 0.5f - pulled, y + unit - 0.03f,
                       dark, 1);
        stage_draw_box(canvas, left - pulled - 0.05f, y, left - pulled + 0.02f, y + unit, face, 1);
    }
    struct stage_vec handle = {left - out - 0.08f, unit * 2.9f};
    stage_draw_disc(canvas, handle, 0.04f, (struct stage_colour){236, 200, 90}, 1);
    stage_figure_reach(&figure, 1, handle);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_throw(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    static const float hand_x[5] = {0.25f, -0.3f, -0.1f, 0.5f, 0.35f};
    static const float hand_y[5] = {0.6f, 0.75f, 1.1f, 0.85f, 0.62f};
    float p = scene->progress, h = actor->height, size = 0.12f, swing[3] = {-0.05f, -0.2f, 0.25f};
    struct stage_vec hand = {stage_keys(p, hand_x, 5) * h * 0.6f, stage_keys(p, hand_y, 5) * h};
    float fly = stage_clamp((p - 0.55f) / 0.45f, 0, 1);
    struct stage_vec from = {stage_keys(0.55f, hand_x, 5) * h * 0.6f,
                             stage_keys(0.55f, hand_y, 5) * h};
    float x = -0.55f + 0.1f * scene->clip->vary[0], away = scene->half_width + 0.4f - x;
    struct stage_vec ball = hand;
    if (fly > 0) {
        float arc = (0.9f + 0.2f * scene->clip->vary[1]) * fly * (1 - fly);
        ball = stage_vec(stage_mix(from.x, away, fly), stage_mix(from.y, h * 0.6f, fly) + arc);
    }
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(x, stage_figure_leg(actor) * 0.95f),
                      stage_keys(p, swing, 3), false, 1);
    stage_figure_step(&figure, 0, stage_vec(x + 0.2f, 0.03f));
    stage_figure_step(&figure, 1, stage_vec(x - 0.2f, 0.03f));
    stage_figure_reach(&figure, 1, stage_vec(x + hand.x, hand.y));
    stage_figure_arm(&figure, 0, 0.9f - 0.6f * p, 1.3f - 0.6f * p);
    stage_shadow(scene, x, 0.35f);
    stage_figure_draw_far(scene->canvas, &figure);
    stage_figure_draw_near(scene->canvas, &figure);
    struct stage_vec at = fly > 0 ? stage_vec(x + ball.x, ball.y) : figure.hand[1];
    stage_draw_prop(scene, at, size);
}

void stage_move_turn(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float h = scene->actor->height, radius = 0.26f * h;
    struct stage_vec hub = {0.18f * h + 0.35f, 0.62f * h};
    float turns = (1.6f + 0.4f * scene->clip->vary[0]) * scene->progress + scene->clip->vary[1];
    struct stage_colour dark = stage_shade(scene->colour, 0.6f), mark = {250, 250, 240};
    struct stage_figure figure;
    stand(scene, &figure, -0.2f);
    stage_draw_box(canvas, hub.x - 0.05f, 0, hub.x + 0.05f, hub.y,
                   (struct stage_colour){70, 70, 76}, 1);
    stage_draw_disc(canvas, hub, radius, scene->colour, 1);
    stage_draw_disc(canvas, hub, radius * 0.78f, stage_shade(scene->colour, 0.8f), 1);
    struct stage_vec grip = hub;
    for (int i = 0; i < 5; i++) {
        /* Clockwise as the camera sees it. */
        float angle = 6.2831853f * (turns + 0.2f * (float)i);
        struct stage_vec rim = {hub.x + radius * 0.9f * stage_sin(angle),
                                hub.y + radius * 0.9f * stage_cos(angle)};
        stage_draw_limb(canvas, hub, rim, 0.03f, 0.03f, i ? dark : mark, 1);
        if (i == 0)
            grip = rim;
    }
    stage_draw_disc(canvas, grip, 0.07f, mark, 1);
    stage_draw_disc(canvas, hub, 0.06f, dark, 1);
    stage_figure_reach(&figure, 1, grip);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_push(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float half = scene->half_width * 0.5f, x = stage_mix(-half, half, scene->progress) - 0.45f;
    float stride = actor->thigh * 0.9f, left = x + actor->height * 0.33f, wide = 0.62f;
    float high = actor->height * 0.42f;
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(x, stage_figure_leg(actor) * 0.93f), 0.3f, false,
                      1);
    stage_figure_walk(&figure, x / (2 * stride), stride);
    for (int i = 0; i < 2; i++)
        stage_figure_reach(&figure, i, stage_vec(left + 0.02f, high + 0.08f * (float)i));
    stage_shadow(scene, x, 0.3f);
    stage_shadow(scene, left + wide / 2, wide * 0.6f);
    stage_figure_draw_far(canvas, &figure);
    if (scene->clip->prop == STAGE_CART) {
        for (int i = 0; i < 2; i++) {
            struct stage_vec wheel = {left + 0.12f + 0.38f * (float)i, 0.1f};
            float angle = -x / 0.1f;
            stage_draw_disc(canvas, wheel, 0.1f, (struct stage_colour){40, 40, 44}, 1);
            stage_draw_limb(
                canvas, wheel,
                stage_vec(wheel.x + 0.08f * stage_cos(angle), wheel.y + 0.08f * stage_sin(angle)),
                0.015f, 0.015f, (struct stage_colour){220, 220, 220}, 1);
        }
        stage_draw_box(canvas, left, high - 0.02f, left + 0.05f, high + 0.08f,
                       (struct stage_colour){60, 60, 66}, 1);
        stage_draw_box(canvas, left, 0.18f, left + wide, high, scene->colour, 1);
        for (int i = 1; i < 4; i++)
            stage_draw_box(canvas, left + 0.155f * (float)i, 0.22f,
                           left + 0.155f * (float)i + 0.02f, high - 0.04f,
                           stage_shade(scene->colour, 0.7f), 1);
    } else {
        stage_draw_box(canvas, left, 0, left + wide, high + 0.1f, scene->colour, 1);
        stage_draw_box(canvas, left + 0.26f, 0, left + 0.36f, high + 0.1f,
                       stage_shade(scene->colour, 0.7f), 1);
    }
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_climb(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    struct stage_colour wood = {176, 128, 70};
    float p = scene->progress, rung = 0.28f, leg = stage_figure_leg(actor);
    float steps = 4, climbed = p * steps * rung, x = 0.3f * scene->clip->vary[0];
    for (int i = 0; i < 2; i++)
        stage_draw_box(canvas, x + (i ? 0.24f : -0.29f), 0, x + (i ? 0.29f : -0.24f), 3.1f, wood,
                       1);
    for (int i = 1; i < 11; i++)
        stage_draw_box(canvas, x - 0.27f, rung * (float)i - 0.025f, x + 0.27f,
                       rung * (float)i + 0.025f, stage_shade(wood, 0.85f), 1);
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(x, leg * 0.9f + 0.12f + climbed), 0, true, 1);
    for (int i = 0; i < 2; i++) {
        /* Each limb moves two rungs at a time, left and right in turns. */
        float at = p * steps / 2 + 0.5f * (float)i, whole = (float)(int)at;
        float y = 2 * rung * (whole - 0.5f * (float)i + stage_part(at - whole, 0.2f, 0.8f));
        float side = i ? 0.15f : -0.15f;
        stage_figure_step(&figure, i, stage_vec(x + side, rung * 0.5f + y));
        float high = leg * 0.9f + actor->torso + rung * 0.6f;
        float opposite = 2 * climbed - y;
        stage_figure_reach(&figure, i, stage_vec(x + side * 1.5f, high + opposite));
    }
    stage_shadow(scene, x, 0.35f);
    stage_figure_draw(canvas, &figure);
}

void stage_move_hat(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    float p = scene->progress, r = actor->head * 1.1f;
    struct stage_figure figure;
    stage_figure_stand(&figure, actor, 0.2f * scene->clip->vary[0], true);
    struct stage_vec low = {figure.shoulder[1].x + 0.28f, figure.hip.y + 0.1f};
    struct stage_vec high = {figure.head.x, figure.head.y + actor->head * 0.55f};
    float lift = stage_part(p, 0, 0.62f), away = stage_part(p, 0.68f, 1);
    struct stage_vec hat = stage_vec_mix(low, high, lift);
    hat.x += 0.28f * lift * (1 - lift);
    struct stage_vec grip = {hat.x + r * 1.5f, hat.y + 0.02f};
    stage_figure_reach(
        &figure, 1,
        stage_vec_mix(grip, stage_vec(figure.shoulder[1].x + 0.1f, figure.hip.y), away));
    stage_shadow(scene, figure.hip.x, 0.28f);
    stage_figure_draw(scene->canvas, &figure);
    stage_draw_hat(scene->canvas, hat, r, scene->colour);
}

void stage_move_flag(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, pole = 0.28f, y = stage_mix(1.0f, 2.55f, p);
    struct stage_figure figure;
    stand(scene, &figure, -0.12f);
    stage_draw_box(canvas, pole - 0.025f, 0, pole + 0.025f, 3.15f,
                   (struct stage_colour){200, 200, 204}, 1);
    stage_draw_disc(canvas, stage_vec(pole, 3.18f), 0.05f, (struct stage_colour){236, 200, 90}, 1);
    float flap = 0.05f * stage_wave(2.5f * p + scene->clip->vary[0]);
    const struct stage_vec cloth[4] = {{pole, y - 0.24f},
                                       {pole, y + 0.24f},
                                       {pole + 0.78f, y + 0.2f + flap},
                                       {pole + 0.78f, y - 0.28f + flap}};
    stage_draw_polygon(canvas, cloth, 4, scene->colour, 1);
    stage_draw_disc(canvas, stage_vec(pole + 0.38f, y + flap * 0.5f), 0.11f,
                    (struct stage_colour){250, 250, 244}, 1);
    for (int i = 0; i < 2; i++) {
        float pull = stage_wave(3 * p + 0.5f * (float)i);
        stage_figure_reach(&figure, i,
                           stage_vec(pole - 0.05f, actor->height * (0.72f + 0.12f * pull)));
    }
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_lamp(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float p = stage_part(scene->progress, 0.35f, 0.65f), x = 0.62f, h = 1.15f;
    struct stage_colour lit = {255, 240, 180};
    struct stage_colour shade = stage_colour_mix(stage_shade(scene->colour, 0.6f), lit, 0.65f * p);
    scene->gain *= stage_mix(0.45f, 1, p);
    struct stage_figure figure;
    stand(scene, &figure, -0.15f);
    stage_shadow(scene, x, 0.2f);
    for (int i = 3; i > 0; i--)
        stage_draw_disc(canvas, stage_vec(x, h + 0.2f), 0.3f * (float)i, lit, 0.22f * p);
    stage_draw_box(canvas, x - 0.025f, 0, x + 0.025f, h, (struct stage_colour){80, 74, 70}, 1);
    stage_draw_box(canvas, x - 0.18f, 0, x + 0.18f, 0.05f, (struct stage_colour){80, 74, 70}, 1);
    const struct stage_vec cone[4] = {
        {x - 0.32f, h}, {x + 0.32f, h}, {x + 0.16f, h + 0.42f}, {x - 0.16f, h + 0.42f}};
    stage_draw_polygon(canvas, cone, 4, shade, 1);
    float near = stage_keys(scene->progress, (const float[3]){0.3f, 1, 0.3f}, 3);
    stage_reach_share(&figure, 1, stage_vec(x - 0.1f, h - 0.1f), near);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_stack(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, table = actor->height * 0.38f, side = 0.2f, tower = 0.92f;
    struct stage_figure figure;
    stage_draw_table(scene, 0.1f, 1.15f, table);
    stand(scene, &figure, -0.12f);
    struct stage_vec hand = {0.3f, table + 0.45f};
    for (int i = 0; i < 3; i++) {
        float from = (float)i / 3, moved = stage_part(p, from + 0.1f, from + 0.27f);
        struct stage_vec start = {0.66f - 0.23f * (float)i, table + side / 2};
        struct stage_vec end = {tower, table + side * ((float)i + 0.5f)};
        struct stage_vec at = stage_vec_mix(start, end, moved);
        at.y += 1.2f * moved * (1 - moved) * (0.3f + 0.1f * (float)i);
        struct stage_colour paint = stage_palette_colour(
            scene->clip->prop_palette, (enum stage_hue)((scene->clip->hue + 3 * i) % STAGE_HUES));
        stage_draw_box(canvas, at.x - side / 2, at.y - side / 2, at.x + side / 2, at.y + side / 2,
                       stage_shade(paint, 0.7f), 1);
        stage_draw_box(canvas, at.x - side * 0.4f, at.y - side * 0.4f, at.x + side * 0.4f,
                       at.y + side * 0.4f, paint, 1);
        float near = stage_part(p, from, from + 0.08f) - stage_part(p, from + 0.28f, from + 0.33f);
        hand = stage_vec_mix(hand, stage_vec(at.x - 0.04f, at.y + side * 0.5f), near);
    }
    stage_figure_reach(&figure, 1, hand);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_put_in(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, table = actor->height * 0.3f, size = 0.13f;
    struct stage_colour card = {190, 146, 94};
    float left = 0.38f, right = 0.9f, top = table + 0.34f;
    stage_draw_table(scene, 0.25f, 1.05f, table);
    struct stage_figure figure;
    stand(scene, &figure, -0.12f);
    stage_draw_box(canvas, left, table, right, top, stage_shade(card, 0.5f), 1);
    static const float path_x[4] = {0.3f, 0.62f, 0.64f, 0.64f};
    float height = actor->height;
    const float path_y[4] = {0.62f * height, top + 0.3f, table + size, table + size};
    struct stage_vec thing = {stage_keys(p, path_x, 4), stage_keys(p, path_y, 4)};
    float away = stage_part(p, 0.68f, 1);
    struct stage_vec grip = {thing.x - 0.05f, thing.y + size * 0.8f};
    if (grip.y < top - 0.1f)
        grip.y = top - 0.1f;
    stage_figure_reach(&figure, 1, stage_vec_mix(grip, stage_vec(0.3f, 0.62f * height), away));
    stage_draw_prop(scene, thing, size);
    stage_draw_box(canvas, left, table, right, top - 0.06f, card, 1);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_draw(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, left = -0.35f, right = 0.95f, h = actor->height;
    float low = 0.62f * h, high = 1.12f * h, middle = (low + high) / 2;
    stage_draw_box(canvas, left - 0.06f, low - 0.06f, right + 0.06f, high + 0.06f,
                   (struct stage_colour){120, 122, 128}, 1);
    stage_draw_box(canvas, left, low, right, high, (struct stage_colour){246, 246, 244}, 1);
    struct stage_vec last = {0, 0};
    int count = 24, shown = (int)(p * (float)count + 0.5f);
    float waves = 1.5f + 0.5f * scene->clip->vary[0];
    for (int i = 0; i <= shown; i++) {
        float t = (float)i / (float)count;
        struct stage_vec at = {stage_mix(left + 0.1f, right - 0.15f, t),
                               middle + 0.13f * h * stage_wave(waves * t + scene->clip->vary[1])};
        if (i > 0)
            stage_draw_limb(canvas, last, at, 0.032f, 0.032f, scene->colour, 1);
        last = at;
    }
    struct stage_figure figure;
    stand(scene, &figure, stage_mix(left - 0.25f, right - 0.55f, p));
    stage_figure_reach(&figure, 1, last);
    stage_figure_draw_near(canvas, &figure);
}

void stage_move_curtains(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, half = 0.85f, low = 0.5f, high = 2.15f;
    stage_draw_box(canvas, -half - 0.06f, low - 0.06f, half + 0.06f, high, paper, 1);
    stage_draw_box(canvas, -half, low, half, high - 0.04f, (struct stage_colour){150, 206, 250}, 1);
    stage_draw_disc(canvas, stage_vec(0.4f * scene->clip->vary[0], 1.85f), 0.14f,
                    (struct stage_colour){255, 240, 170}, 1);
    for (int side = -1; side <= 1; side += 2) {
        float width = half * stage_mix(1, 0.24f, p), fold = width / 4;
        for (int i = 0; i < 4; i++) {
            float a = (float)side * (half + 0.1f - fold * (float)i * 1.1f);
            float b = (float)side * (half + 0.1f - fold * (float)(i + 1) * 1.1f);
            stage_draw_box(canvas, a < b ? a : b, low - 0.2f, a < b ? b : a, high + 0.05f,
                           stage_shade(scene->colour, i % 2 ? 0.82f : 1), 1);
        }
    }
    stage_draw_box(canvas, -half - 0.2f, high, half + 0.2f, high + 0.06f,
                   (struct stage_colour){110, 80, 50}, 1);
    struct stage_figure figure;
    stage_figure_stand(&figure, scene->actor, 0, true);
    for (int i = 0; i < 2; i++) {
        float x = half * stage_mix(0.04f, 0.8f, p);
        stage_figure_reach(&figure, i, stage_vec(i ? x : -x, figure.neck.y + 0.1f));
    }
    stage_shadow(scene, 0, 0.28f);
    stage_figure_draw(canvas, &figure);
}

void stage_move_inflate(struct stage_scene *scene)
{
    struct stage_canvas *canvas = scene->canvas;
    struct stage_figure figure;
    stand(scene, &figure, -0.25f);
    float r = scene->actor->head, radius = stage_mix(0.06f, 0.36f, scene->progress);
    struct stage_vec mouth = {figure.head.x + r * 1.25f, figure.head.y - r * 0.45f};
    struct stage_vec centre = {mouth.x + radius * 1.1f, mouth.y};
    stage_draw_limb(canvas, mouth, centre, 0.02f, radius * 0.5f, stage_shade(scene->colour, 0.8f),
                    1);
    stage_draw_ellipse(canvas, centre, radius * 1.1f, radius, scene->colour, 1);
    stage_draw_disc(canvas, stage_vec(centre.x - radius * 0.3f, centre.y + radius * 0.4f),
                    radius * 0.2f, paper, 0.7f);
    stage_figure_reach(&figure, 1, stage_vec(mouth.x + 0.02f, mouth.y - 0.03f));
    stage_figure_draw_near(canvas, &figure);
}
