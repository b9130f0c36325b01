/* People alone. */
#include "cli/stage/moves.h"

static void on_ground(struct stage_scene *scene, const struct stage_figure *figure)
{
    stage_shadow(scene, (figure->foot[0].x + figure->foot[1].x) / 2, 0.28f);
    stage_figure_draw(scene->canvas, figure);
}

void stage_move_sit(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, seat = actor->shin * 0.95f, lean[3] = {0, 0.6f, 0.05f};
    struct stage_vec up = {0, stage_figure_leg(actor) * 0.99f};
    struct stage_vec down = {-actor->thigh * 0.85f, seat + actor->thickness * 1.3f};
    struct stage_colour wood = {112, 74, 42};
    float back = down.x - 0.2f, front = down.x + 0.26f;
    stage_shadow(scene, down.x, 0.5f);
    stage_draw_box(canvas, back, 0, back + 0.05f, seat + actor->torso * 0.9f, wood, 1);
    stage_draw_box(canvas, front - 0.05f, 0, front, seat, stage_shade(wood, 0.8f), 1);
    stage_draw_box(canvas, back, seat - 0.06f, front, seat, stage_shade(wood, 1.2f), 1);
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec_mix(up, down, p), stage_keys(p, lean, 3), false, 1);
    for (int i = 0; i < 2; i++) {
        stage_figure_step(&figure, i, stage_vec(0.02f + 0.06f * (float)i, 0.03f));
        stage_reach_share(&figure, i, figure.knee[i], 0.2f + 0.7f * p);
    }
    stage_figure_draw(canvas, &figure);
}

void stage_move_lie(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_canvas *canvas = scene->canvas;
    float p = scene->progress, bed = actor->shin * 0.9f, quarter = 1.5708f;
    float sit = stage_part(p, 0, 0.5f), flat = stage_part(p, 0.45f, 1);
    struct stage_vec up = {0.2f, stage_figure_leg(actor) * 0.99f};
    struct stage_vec down = {-0.05f, bed + actor->thickness * 1.5f};
    float left = -0.05f - actor->height * 0.62f, right = actor->height * 0.5f;
    stage_shadow(scene, 0, 0.9f);
    stage_draw_box(canvas, left, 0, left + 0.07f, bed + 0.35f, (struct stage_colour){96, 62, 36},
                   1);
    stage_draw_box(canvas, left, 0.1f, right, bed * 0.6f, (struct stage_colour){112, 74, 42}, 1);
    stage_draw_box(canvas, left, bed * 0.6f, right, bed, (struct stage_colour){226, 226, 234}, 1);
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec_mix(up, down, sit),
                      0.5f * sit * (1 - sit) * 2 - flat * 1.45f, false, 1);
    for (int i = 0; i < 2; i++) {
        float thigh = sit * quarter, shin = flat * quarter;
        stage_figure_thigh(&figure, i, thigh, shin);
        stage_figure_arm(&figure, i, 0.2f + flat * 1.2f, 0.3f + flat * 1.2f);
    }
    stage_figure_draw(canvas, &figure);
    stage_draw_ellipse(canvas, stage_vec(left + 0.24f, bed + 0.02f), 0.2f, 0.06f,
                       (struct stage_colour){250, 250, 252}, 1);
}

/* Standing with bent knees: `depth` 1 is as low as it goes. */
static void bend(struct stage_figure *figure, const struct stage_actor *actor, float depth,
                 float lean)
{
    float leg = stage_figure_leg(actor);
    stage_figure_pose(figure, actor, stage_vec(-0.16f * depth, leg * (0.99f - 0.62f * depth)),
                      lean * depth, false, 1);
    for (int i = 0; i < 2; i++)
        stage_figure_step(figure, i, stage_vec(0.09f * (float)i - 0.04f, 0.03f));
}

void stage_move_crouch(struct stage_scene *scene)
{
    struct stage_figure figure;
    bend(&figure, scene->actor, scene->progress, 0.75f);
    for (int i = 0; i < 2; i++)
        stage_reach_share(&figure, i, stage_vec(figure.knee[i].x + 0.1f, figure.knee[i].y - 0.05f),
                          scene->progress);
    on_ground(scene, &figure);
}

void stage_move_squat(struct stage_scene *scene)
{
    struct stage_figure figure;
    float depth = stage_rise(scene->progress);
    bend(&figure, scene->actor, depth * 0.9f, 0.5f);
    for (int i = 0; i < 2; i++)
        stage_figure_arm(&figure, i, 1.55f, 1.55f);
    on_ground(scene, &figure);
}

/* Steps on the spot seen from the front, `phase` in turns. */
static void tread(struct stage_figure *figure, float phase, float lift, float ground)
{
    for (int i = 0; i < 2; i++) {
        float up = stage_wave(phase + 0.5f * (float)i);
        struct stage_vec foot = {figure->pelvis[i].x * 0.9f + figure->hip.x * 0.1f,
                                 ground + (up > 0 ? lift * up : 0)};
        stage_figure_step(figure, i, foot);
        float side = i ? 1 : -1;
        struct stage_vec hand = {figure->shoulder[i].x + side * 0.08f * figure->size,
                                 figure->hip.y + (up < 0 ? -lift * up * 1.2f : 0)};
        stage_figure_reach(figure, i, hand);
    }
}

void stage_move_approach(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    float p = scene->progress, vary = scene->clip->vary[0];
    /* Nearer by even steps of depth is larger by even factors. */
    float far = 0.36f + 0.06f * vary, near = 1.15f, t = p * far / (near + p * (far - near));
    float size = stage_mix(far, near, t),
          ground = stage_mix(0.24f, -0.3f, (size - far) / (near - far));
    float x = scene->clip->vary[1] * 0.5f * (1 - t) + scene->clip->vary[2] * 0.15f * t;
    struct stage_figure figure;
    stage_figure_pose(&figure, actor, stage_vec(x, ground + stage_figure_leg(actor) * size * 0.98f),
                      0, true, size);
    tread(&figure, p * 4, 0.14f * size, ground);
    stage_draw_ellipse(scene->canvas, stage_vec(x, ground), 0.3f * size, 0.06f * size,
                       (struct stage_colour){20, 20, 24}, 0.35f);
    stage_figure_draw(scene->canvas, &figure);
}

/* Walking across the picture in a way that looks the same backwards: no face, straight legs. */
static void stroll(struct stage_figure *figure, const struct stage_actor *actor, float x)
{
    float leg = stage_figure_leg(actor);
    stage_figure_stand(figure, actor, x, true);
    float phase = x / 0.55f;
    for (int i = 0; i < 2; i++) {
        float swing = stage_wave(phase / 2 + 0.5f * (float)i);
        float lift = 0.5f - 0.5f * stage_cos(6.2831853f * phase);
        figure->foot[i] = stage_vec(x + 0.26f * swing, 0.03f + 0.02f * lift);
        figure->pelvis[i].x = x + (i ? 0.03f : -0.03f);
        figure->knee[i] = stage_vec_mix(figure->pelvis[i], figure->foot[i], 0.5f);
        float arm = x + 0.22f * -swing;
        stage_figure_reach(figure, i, stage_vec(arm + (i ? 0.08f : -0.08f), leg * 0.98f));
    }
}

void stage_move_enter(struct stage_scene *scene)
{
    struct stage_figure figure;
    float outside = -scene->half_width - 0.55f, inside = 0.1f + 0.25f * scene->clip->vary[0];
    stroll(&figure, scene->actor, stage_mix(outside, inside, scene->progress));
    on_ground(scene, &figure);
}

void stage_move_raise_arms(struct stage_scene *scene)
{
    struct stage_figure figure;
    stage_figure_stand(&figure, scene->actor, 0.2f * scene->clip->vary[0], true);
    float angle = stage_mix(0.15f, 2.85f, scene->progress);
    for (int i = 0; i < 2; i++)
        stage_figure_arm(&figure, i, angle, angle + 0.1f);
    on_ground(scene, &figure);
}

void stage_move_wave(struct stage_scene *scene)
{
    struct stage_figure figure;
    stage_figure_stand(&figure, scene->actor, 0.2f * scene->clip->vary[0], true);
    float wave = stage_wave(scene->progress);
    stage_figure_arm(&figure, 1, 2.1f + 0.25f * wave, 2.9f + 0.95f * wave);
    on_ground(scene, &figure);
}

void stage_move_clap(struct stage_scene *scene)
{
    struct stage_figure figure;
    stage_figure_stand(&figure, scene->actor, 0.2f * scene->clip->vary[0], true);
    float gap = 0.03f + 0.3f * stage_rise(scene->progress);
    float y = figure.neck.y - 0.3f * scene->actor->torso;
    for (int i = 0; i < 2; i++)
        stage_figure_reach(&figure, i, stage_vec(figure.hip.x + (i ? gap : -gap), y));
    on_ground(scene, &figure);
}

void stage_move_jump(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float wave = stage_wave(scene->progress), air = wave > 0 ? wave : 0, low = wave < 0 ? -wave : 0;
    float leg = stage_figure_leg(actor), x = 0.2f * scene->clip->vary[0];
    stage_figure_pose(&figure, actor,
                      stage_vec(x - 0.1f * low, leg * (0.98f - 0.3f * low) + 0.4f * air),
                      0.5f * low, false, 1);
    for (int i = 0; i < 2; i++) {
        stage_figure_step(&figure, i, stage_vec(x + 0.06f * (float)i, 0.03f + 0.38f * air));
        stage_figure_arm(&figure, i, 2.6f * air - 0.8f * low, 2.7f * air - 0.6f * low + 0.1f);
    }
    stage_shadow(scene, x, 0.28f - 0.1f * air);
    stage_figure_draw(scene->canvas, &figure);
}

void stage_move_jacks(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float open = stage_rise(scene->progress), hop = stage_rise(2 * scene->progress) * 0.08f;
    float leg = stage_figure_leg(actor);
    stage_figure_pose(&figure, actor, stage_vec(0, leg * (0.99f - 0.1f * open) + hop), 0, true, 1);
    for (int i = 0; i < 2; i++) {
        float side = i ? 1 : -1;
        stage_figure_step(&figure, i, stage_vec(side * (0.08f + 0.36f * open), 0.03f + hop));
        stage_figure_arm(&figure, i, 0.15f + 2.6f * open, 0.2f + 2.7f * open);
    }
    on_ground(scene, &figure);
}

static float across(const struct stage_scene *scene, float share)
{
    float half = scene->half_width * 0.62f;
    return stage_mix(-half, half, share) + 0.12f * scene->clip->vary[0];
}

void stage_move_run(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float x = across(scene, scene->progress), leg = stage_figure_leg(actor);
    float phase = x / (1.5f * leg);
    float hop = 0.07f * stage_rise(2 * phase);
    stage_figure_pose(&figure, actor, stage_vec(x, leg * 0.9f + hop), 0.28f, false, 1);
    for (int i = 0; i < 2; i++) {
        float swing = stage_wave(phase + 0.5f * (float)i);
        float back = stage_cos(6.2831853f * (phase + 0.5f * (float)i));
        stage_figure_thigh(&figure, i, 0.2f + 0.85f * swing,
                           0.2f + 0.7f * swing - (back > 0 ? 1.3f * back : 0.2f));
        stage_figure_arm(&figure, i, -0.9f * swing, -0.9f * swing + 1.5f);
    }
    stage_shadow(scene, x, 0.3f);
    stage_figure_draw(scene->canvas, &figure);
}

void stage_move_walk(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float x = across(scene, scene->progress), stride = actor->thigh * 1.25f;
    stage_figure_pose(&figure, actor, stage_vec(x, stage_figure_leg(actor) * 0.97f), 0.05f, false,
                      1);
    stage_figure_walk(&figure, x / (2 * stride), stride);
    on_ground(scene, &figure);
}

void stage_move_dance(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float turns = scene->progress, sway = stage_wave(turns), leg = stage_figure_leg(actor);
    stage_figure_pose(&figure, actor,
                      stage_vec(0.14f * sway, leg * (0.95f - 0.06f * stage_rise(2 * turns))),
                      -0.22f * sway, true, 1);
    for (int i = 0; i < 2; i++) {
        float side = i ? 1 : -1;
        float kick = side * sway > 0 ? side * sway : 0;
        stage_figure_step(&figure, i,
                          stage_vec(side * 0.16f + 0.12f * side * kick, 0.03f + 0.16f * kick));
        stage_figure_arm(&figure, i, 1.5f - 0.7f * side * sway, 2.4f - 1.3f * side * sway);
    }
    on_ground(scene, &figure);
}

void stage_move_bow(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float down = stage_rise(scene->progress);
    stage_figure_pose(&figure, actor, stage_vec(-0.12f * down, stage_figure_leg(actor) * 0.99f),
                      1.35f * down, false, 1);
    for (int i = 0; i < 2; i++) {
        stage_figure_step(&figure, i, stage_vec(0.05f * (float)i, 0.03f));
        stage_reach_share(&figure, i, stage_vec(figure.hip.x + 0.12f, figure.hip.y - 0.1f), down);
    }
    on_ground(scene, &figure);
}

void stage_move_punch(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float turns = scene->progress, leg = stage_figure_leg(actor);
    stage_figure_pose(&figure, actor, stage_vec(-0.1f, leg * 0.94f), 0.15f, false, 1);
    stage_figure_step(&figure, 0, stage_vec(0.18f, 0.03f));
    stage_figure_step(&figure, 1, stage_vec(-0.3f, 0.03f));
    for (int i = 0; i < 2; i++) {
        float hit = stage_wave(turns + 0.5f * (float)i);
        hit = hit > 0 ? hit * hit : 0;
        float reach = (actor->upper_arm + actor->forearm) * (0.45f + 0.54f * hit);
        stage_figure_reach(&figure, i, stage_vec(figure.neck.x + reach, figure.neck.y - 0.06f));
    }
    on_ground(scene, &figure);
}

void stage_move_kick(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float hit = stage_wave(scene->progress);
    float up = hit > 0 ? hit : 0, back = hit < 0 ? -hit : 0;
    stage_figure_pose(&figure, actor, stage_vec(-0.1f, stage_figure_leg(actor) * 0.97f),
                      0.1f - 0.4f * up, false, 1);
    stage_figure_step(&figure, 0, stage_vec(-0.12f, 0.03f));
    stage_figure_thigh(&figure, 1, 1.6f * up - 0.4f * back, 1.6f * up - 1.1f * back);
    stage_figure_arm(&figure, 0, 0.8f * up + 0.3f, 0.8f * up + 1.2f);
    stage_figure_arm(&figure, 1, -0.7f * up + 0.2f, 0.9f);
    on_ground(scene, &figure);
}

void stage_move_push_ups(struct stage_scene *scene)
{
    struct stage_figure figure;
    const struct stage_actor *actor = scene->actor;
    float arm = actor->upper_arm + actor->forearm, leg = stage_figure_leg(actor);
    float high = arm * stage_mix(0.45f, 0.96f, stage_rise(scene->progress));
    /* A straight body over the toes: its slope follows from the height of the shoulders. */
    float body = leg + actor->torso * 0.94f, sine = stage_clamp((high - 0.05f) / body, 0, 1);
    float toe = -body * 0.5f, lean = 1.5708f - sine;
    struct stage_vec hip = {toe + leg * stage_cos(sine), 0.05f + leg * sine};
    stage_figure_pose(&figure, actor, hip, lean, false, 1);
    for (int i = 0; i < 2; i++) {
        stage_figure_step(&figure, i, stage_vec(toe, 0.05f));
        stage_figure_reach(&figure, i, stage_vec(figure.shoulder[i].x + 0.03f, 0.04f));
    }
    stage_shadow(scene, 0, 0.75f);
    stage_figure_draw(scene->canvas, &figure);
}

void stage_move_point(struct stage_scene *scene)
{
    struct stage_figure figure;
    float out = stage_part(stage_rise(scene->progress), 0.1f, 0.7f);
    stage_figure_stand(&figure, scene->actor, -0.25f, false);
    float angle = stage_mix(0.15f, 1.75f + 0.2f * scene->clip->vary[1], out);
    stage_figure_arm(&figure, 1, angle, angle);
    on_ground(scene, &figure);
}

void stage_move_cartwheel(struct stage_scene *scene)
{
    const struct stage_actor *actor = scene->actor;
    struct stage_figure figure;
    float p = scene->progress, half = scene->half_width * 0.5f, leg = stage_figure_leg(actor);
    float angle = 6.2831853f * p;
    float middle = leg * (0.86f + 0.12f * stage_rise(2 * p));
    stage_figure_pose(&figure, actor, stage_vec(stage_mix(-half, half, p), middle), angle, true, 1);
    for (int i = 0; i < 2; i++) {
        float side = i ? 1 : -1;
        float arm = actor->upper_arm + actor->forearm;
        /* A star: arms and legs out, all turned with the body. */
        float a = angle + side * 0.55f, l = angle + 3.1416f - side * 0.6f;
        figure.hand[i] = stage_vec(figure.shoulder[i].x + arm * stage_sin(a),
                                   figure.shoulder[i].y + arm * stage_cos(a));
        figure.elbow[i] = stage_vec_mix(figure.shoulder[i], figure.hand[i], 0.5f);
        figure.foot[i] = stage_vec(figure.pelvis[i].x + leg * stage_sin(l),
                                   figure.pelvis[i].y + leg * stage_cos(l));
        figure.knee[i] = stage_vec_mix(figure.pelvis[i], figure.foot[i], 0.5f);
    }
    stage_shadow(scene, figure.hip.x, 0.4f);
    stage_figure_draw(scene->canvas, &figure);
}
