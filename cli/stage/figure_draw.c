/* What a figure looks like: limbs as capsules, clothes over them. */
#include "cli/stage/figure.h"

static void draw_arm(struct stage_canvas *canvas, const struct stage_figure *figure, int arm,
                     float shade)
{
    const struct stage_actor *actor = figure->actor;
    float r = actor->thickness * figure->size * 0.72f;
    bool is_wide = actor->garment == STAGE_COAT || actor->garment == STAGE_SWEATER;
    bool is_short = actor->garment == STAGE_DRESS || actor->garment == STAGE_SHIRT;
    struct stage_colour sleeve = stage_shade(actor->sleeve, shade);
    struct stage_colour skin = stage_shade(actor->skin, shade);
    float cloth = is_wide ? r * 1.3f : r;
    stage_draw_limb(canvas, figure->elbow[arm], figure->hand[arm], is_short ? r * 0.9f : cloth,
                    is_short ? r * 0.75f : cloth * 0.9f, is_short ? skin : sleeve, 1);
    stage_draw_limb(canvas, figure->shoulder[arm], figure->elbow[arm], cloth * 1.1f, cloth, sleeve,
                    1);
    stage_draw_disc(canvas, figure->hand[arm], r * 0.95f, skin, 1);
}

static void draw_leg(struct stage_canvas *canvas, const struct stage_figure *figure, int leg,
                     float shade)
{
    const struct stage_actor *actor = figure->actor;
    float r = actor->thickness * figure->size;
    struct stage_colour cloth = stage_shade(actor->legs, shade);
    struct stage_colour shin = actor->has_bare_shins ? stage_shade(actor->skin, shade) : cloth;
    struct stage_vec ankle = figure->foot[leg], knee = figure->knee[leg];
    stage_draw_limb(canvas, knee, ankle, r * 0.82f, r * 0.6f, shin, 1);
    stage_draw_limb(canvas, figure->pelvis[leg], knee, r * 1.15f, r * 0.9f,
                    actor->garment == STAGE_DRESS ? shin : cloth, 1);
    struct stage_vec toe = ankle;
    if (!figure->is_front) {
        /* At right angles to the shin. */
        float length = actor->shin * figure->size;
        float forward = 0.075f * actor->height * figure->size / length * figure->facing;
        toe = stage_vec(ankle.x - (ankle.y - knee.y) * forward,
                        ankle.y + (ankle.x - knee.x) * forward);
    }
    stage_draw_limb(canvas, ankle, toe, r * 0.62f, r * 0.5f, stage_shade(actor->shoes, shade), 1);
}

static void draw_skirt(struct stage_canvas *canvas, const struct stage_figure *figure, float length)
{
    const struct stage_actor *actor = figure->actor;
    float w = (figure->is_front ? actor->pelvis : 0) + actor->thickness;
    w *= figure->size * 1.15f;
    struct stage_vec hem[2];
    for (int i = 0; i < 2; i++) {
        hem[i] = stage_vec_mix(figure->pelvis[i], figure->knee[i], length);
        stage_draw_limb(canvas, figure->pelvis[i], hem[i], actor->thickness * figure->size * 1.2f,
                        actor->thickness * figure->size * 1.35f, actor->cloth, 1);
    }
    bool is_ordered = hem[0].x < hem[1].x;
    struct stage_vec left = hem[is_ordered ? 0 : 1], right = hem[is_ordered ? 1 : 0];
    const struct stage_vec corners[4] = {{figure->hip.x - w, figure->hip.y},
                                         {figure->hip.x + w, figure->hip.y},
                                         {right.x + w * 0.9f, right.y},
                                         {left.x - w * 0.9f, left.y}};
    stage_draw_polygon(canvas, corners, 4, actor->cloth, 1);
}

static void draw_torso(struct stage_canvas *canvas, const struct stage_figure *figure)
{
    const struct stage_actor *actor = figure->actor;
    float r = actor->thickness * figure->size;
    bool is_wide = actor->garment == STAGE_COAT || actor->garment == STAGE_SWEATER;
    float bulk = is_wide ? 1.2f : 1;
    stage_draw_limb(canvas, figure->neck, figure->head, r * 0.7f, r * 0.7f, actor->skin, 1);
    if (actor->garment == STAGE_DRESS)
        draw_skirt(canvas, figure, 0.85f);
    else if (actor->garment == STAGE_COAT)
        draw_skirt(canvas, figure, 0.55f);
    if (figure->is_front) {
        for (int i = 0; i < 2; i++)
            stage_draw_limb(canvas, figure->shoulder[i], figure->pelvis[i], r * bulk, r * bulk,
                            actor->cloth, 1);
        const struct stage_vec corners[4] = {figure->shoulder[0], figure->shoulder[1],
                                             figure->pelvis[1], figure->pelvis[0]};
        stage_draw_polygon(canvas, corners, 4, actor->cloth, 1);
    } else {
        stage_draw_limb(canvas, stage_vec_mix(figure->neck, figure->hip, 0.12f), figure->hip,
                        r * 1.55f * bulk, r * 1.4f * bulk, actor->cloth, 1);
    }
}

static void draw_robot_head(struct stage_canvas *canvas, const struct stage_figure *figure)
{
    const struct stage_actor *actor = figure->actor;
    float r = actor->head * figure->size * 0.95f;
    struct stage_vec h = figure->head;
    float dx = (h.x - figure->neck.x) * 0.9f, dy = (h.y - figure->neck.y) * 0.9f;
    struct stage_vec tip = {h.x + dx * 1.5f, h.y + dy * 1.5f};
    stage_draw_limb(canvas, h, tip, r * 0.12f, r * 0.12f, actor->hair, 1);
    stage_draw_disc(canvas, tip, r * 0.25f, (struct stage_colour){230, 60, 40}, 1);
    stage_draw_box(canvas, h.x - r, h.y - r, h.x + r, h.y + r, actor->cloth, 1);
    stage_draw_box(canvas, h.x - r * 0.7f, h.y - r * 0.1f, h.x + r * 0.7f, h.y + r * 0.45f,
                   (struct stage_colour){30, 40, 50}, 1);
}

void stage_draw_hat(struct stage_canvas *canvas, struct stage_vec crown, float size,
                    struct stage_colour colour)
{
    struct stage_vec left = {crown.x - size * 1.6f, crown.y},
                     right = {crown.x + size * 1.6f, crown.y};
    stage_draw_limb(canvas, left, right, size * 0.22f, size * 0.22f, stage_shade(colour, 0.85f), 1);
    stage_draw_box(canvas, crown.x - size * 0.9f, crown.y, crown.x + size * 0.9f,
                   crown.y + size * 1.1f, colour, 1);
}

static void draw_head(struct stage_canvas *canvas, const struct stage_figure *figure)
{
    const struct stage_actor *actor = figure->actor;
    if (actor->kind == STAGE_ROBOT) {
        draw_robot_head(canvas, figure);
        return;
    }
    float r = actor->head * figure->size;
    float back = figure->is_front ? 0 : figure->facing;
    struct stage_vec h = figure->head;
    struct stage_vec nape = stage_vec_mix(h, figure->neck, 1.15f);
    if (actor->has_long_hair && figure->is_front) {
        for (int i = -1; i <= 1; i += 2)
            stage_draw_limb(canvas, stage_vec(h.x + (float)i * r * 0.7f, h.y + r * 0.1f),
                            stage_vec(nape.x + (float)i * r * 0.9f, nape.y - r * 0.3f), r * 0.45f,
                            r * 0.35f, actor->hair, 1);
    } else if (actor->has_long_hair) {
        stage_draw_limb(canvas, stage_vec(h.x - back * r * 0.5f, h.y),
                        stage_vec(nape.x - back * r * 0.9f, nape.y - r * 0.5f), r * 0.6f, r * 0.4f,
                        actor->hair, 1);
    }
    stage_draw_disc(canvas, stage_vec(h.x - back * r * 0.16f, h.y + r * 0.14f), r, actor->hair, 1);
    stage_draw_disc(canvas, stage_vec(h.x + back * r * 0.12f, h.y - r * 0.16f), r * 0.86f,
                    actor->skin, 1);
    if (!figure->is_front)
        stage_draw_disc(canvas, stage_vec(h.x + back * r * 0.98f, h.y - r * 0.2f), r * 0.18f,
                        actor->skin, 1);
    if (figure->has_hat)
        stage_draw_hat(canvas, stage_vec(h.x, h.y + r * 0.55f), r,
                       stage_palette_colour(actor->palette, figure->hat));
}

void stage_figure_draw_far(struct stage_canvas *canvas, const struct stage_figure *figure)
{
    float shade = figure->is_front ? 1 : 0.74f;
    draw_leg(canvas, figure, 0, shade);
    if (!figure->is_front)
        draw_arm(canvas, figure, 0, shade);
}

void stage_figure_draw_near(struct stage_canvas *canvas, const struct stage_figure *figure)
{
    draw_leg(canvas, figure, 1, 1);
    draw_torso(canvas, figure);
    draw_head(canvas, figure);
    if (figure->is_front)
        draw_arm(canvas, figure, 0, 0.97f);
    draw_arm(canvas, figure, 1, 1);
}

void stage_figure_draw(struct stage_canvas *canvas, const struct stage_figure *figure)
{
    stage_figure_draw_far(canvas, figure);
    stage_figure_draw_near(canvas, figure);
}
