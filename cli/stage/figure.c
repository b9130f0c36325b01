/* Joints: forward kinematics by angles, and two-bone inverse kinematics by square roots alone. */
#include "cli/stage/figure.h"

#include <math.h>

static float side_of(const struct stage_figure *figure, int limb)
{
    if (!figure->is_front)
        return figure->facing;
    return limb ? 1.0f : -1.0f;
}

/* `length` metres from `from` at an angle from straight down towards `side`. */
static struct stage_vec along(struct stage_vec from, float length, float angle, float side)
{
    return stage_vec(from.x + length * stage_sin(angle) * side, from.y - length * stage_cos(angle));
}

float stage_figure_leg(const struct stage_actor *actor)
{
    return actor->thigh + actor->shin;
}

void stage_figure_arm(struct stage_figure *figure, int arm, float upper, float lower)
{
    const struct stage_actor *actor = figure->actor;
    float side = side_of(figure, arm);
    figure->elbow[arm] = along(figure->shoulder[arm], actor->upper_arm * figure->size, upper, side);
    figure->hand[arm] = along(figure->elbow[arm], actor->forearm * figure->size, lower, side);
}

void stage_figure_thigh(struct stage_figure *figure, int leg, float upper, float lower)
{
    const struct stage_actor *actor = figure->actor;
    float side = side_of(figure, leg);
    figure->knee[leg] = along(figure->pelvis[leg], actor->thigh * figure->size, upper, side);
    figure->foot[leg] = along(figure->knee[leg], actor->shin * figure->size, lower, side);
}

/* Where the middle joint is. It lies to the `bend` side of the line from root to end: for a limb
 * that hangs down, +1 is +x. `*end` comes nearer where it cannot be reached. */
static struct stage_vec middle_joint(struct stage_vec root, struct stage_vec *end, float first,
                                     float second, float bend)
{
    float dx = end->x - root.x, dy = end->y - root.y;
    float distance = sqrtf(dx * dx + dy * dy);
    if (distance < 1e-4f) {
        dy = -1e-4f;
        distance = 1e-4f;
    }
    float ux = dx / distance, uy = dy / distance;
    float low = (first > second ? first - second : second - first) + 1e-3f;
    float reach = stage_clamp(distance, low, first + second - 1e-3f);
    *end = stage_vec(root.x + ux * reach, root.y + uy * reach);
    float cosine = (first * first + reach * reach - second * second) / (2 * first * reach);
    cosine = stage_clamp(cosine, -1, 1);
    float sine = sqrtf(1 - cosine * cosine) * bend;
    /* The normal of a line down is +x. */
    return stage_vec(root.x + first * (ux * cosine - uy * sine),
                     root.y + first * (uy * cosine + ux * sine));
}

void stage_figure_reach(struct stage_figure *figure, int arm, struct stage_vec target)
{
    const struct stage_actor *actor = figure->actor;
    struct stage_vec root = figure->shoulder[arm], end = target;
    float upper = actor->upper_arm * figure->size, lower = actor->forearm * figure->size;
    float bend = -side_of(figure, arm);
    if (figure->is_front) {
        /* Elbows stay outside, below an arm that is stretched sideways. */
        float outward = (end.x - root.x) * -bend;
        bend = end.y > root.y || outward > upper ? bend : -bend;
    }
    figure->elbow[arm] = middle_joint(root, &end, upper, lower, bend);
    figure->hand[arm] = end;
}

void stage_figure_step(struct stage_figure *figure, int leg, struct stage_vec target)
{
    const struct stage_actor *actor = figure->actor;
    struct stage_vec end = target;
    figure->knee[leg] = middle_joint(figure->pelvis[leg], &end, actor->thigh * figure->size,
                                     actor->shin * figure->size, side_of(figure, leg));
    figure->foot[leg] = end;
}

void stage_figure_pose(struct stage_figure *out, const struct stage_actor *actor,
                       struct stage_vec hip, float lean, bool is_front, float size)
{
    *out = (struct stage_figure){
        .actor = actor, .hip = hip, .facing = 1, .lean = lean, .size = size, .is_front = is_front};
    float up_x = stage_sin(lean), up_y = stage_cos(lean);
    float torso = actor->torso * size;
    out->neck = stage_vec(hip.x + up_x * torso, hip.y + up_y * torso);
    float to_head = (actor->neck + actor->head) * size;
    out->head = stage_vec(out->neck.x + stage_sin(lean * 0.7f) * to_head,
                          out->neck.y + stage_cos(lean * 0.7f) * to_head);
    for (int i = 0; i < 2; i++) {
        float outward = (is_front ? (i ? 1.0f : -1.0f) : (i ? -0.15f : 0.15f)) * size;
        out->shoulder[i] =
            stage_vec(out->neck.x + up_y * outward * actor->shoulder - up_x * 0.06f * torso,
                      out->neck.y - up_x * outward * actor->shoulder - up_y * 0.06f * torso);
        out->pelvis[i] = stage_vec(hip.x + up_y * outward * actor->pelvis,
                                   hip.y - up_x * outward * actor->pelvis);
        stage_figure_arm(out, i, 0.12f, 0.2f);
        stage_figure_step(out, i, stage_vec(out->pelvis[i].x, 0));
    }
}

void stage_figure_stand(struct stage_figure *out, const struct stage_actor *actor, float x,
                        bool is_front)
{
    stage_figure_pose(out, actor, stage_vec(x, stage_figure_leg(actor) * 0.995f), 0, is_front, 1);
}

static void reflect(struct stage_vec *point, float axis)
{
    point->x = 2 * axis - point->x;
}

void stage_figure_face_left(struct stage_figure *figure)
{
    float axis = figure->hip.x;
    figure->facing = -figure->facing;
    reflect(&figure->neck, axis);
    reflect(&figure->head, axis);
    for (int i = 0; i < 2; i++) {
        reflect(&figure->shoulder[i], axis);
        reflect(&figure->elbow[i], axis);
        reflect(&figure->hand[i], axis);
        reflect(&figure->pelvis[i], axis);
        reflect(&figure->knee[i], axis);
        reflect(&figure->foot[i], axis);
    }
}

void stage_figure_walk(struct stage_figure *figure, float phase, float stride)
{
    float ground = figure->hip.y - stage_figure_leg(figure->actor) * figure->size * 0.985f;
    for (int i = 0; i < 2; i++) {
        float angle = 6.2831853f * (phase + 0.5f * (float)i);
        float swing = stage_sin(angle), lift = stage_cos(angle);
        struct stage_vec foot = {figure->hip.x + figure->facing * 0.5f * stride * swing,
                                 ground + (lift > 0 ? 0.16f * stride * lift : 0)};
        stage_figure_step(figure, i, foot);
        float arm = -0.55f * swing * stage_clamp(stride / 0.6f, 0, 1.5f);
        stage_figure_arm(figure, i, arm, arm + 0.25f);
    }
}
