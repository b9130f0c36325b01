/* An articulated person: joints from a few angles or from where hands and feet are to be.
 *
 * Seen from the side a figure faces +x or -x; limb 0 is the far one. Seen from the front limb 0 is
 * on the viewer's left, and angles count outwards. Angles are in radians from straight down. A
 * front view has no face and no toes: it might as well be the back. */
#ifndef CLV_CLI_STAGE_FIGURE_H
#define CLV_CLI_STAGE_FIGURE_H

#include "cli/stage/cast.h"

struct stage_figure {
    const struct stage_actor *actor;
    struct stage_vec hip, neck, head;
    struct stage_vec shoulder[2], elbow[2], hand[2], pelvis[2], knee[2], foot[2];
    float facing; /* 1 or -1; seen from the side */
    float lean;   /* of the torso, from upright towards the front */
    float size;   /* 1: the actor's own height */
    bool is_front;
    bool has_hat;
    enum stage_hue hat;
};

/* Stands upright with the hip at `hip`, arms hanging; legs go to the ground below. */
void stage_figure_pose(struct stage_figure *out, const struct stage_actor *actor,
                       struct stage_vec hip, float lean, bool is_front, float size);
/* The same with feet on the ground at `x`. */
void stage_figure_stand(struct stage_figure *out, const struct stage_actor *actor, float x,
                        bool is_front);
/* Turns a figure seen from the side to face -x, about the vertical through its hip. */
void stage_figure_face_left(struct stage_figure *figure);
/* Height of the hip above the feet of a straight leg. */
float stage_figure_leg(const struct stage_actor *actor);

/* Limbs by absolute angles of upper and lower part. */
void stage_figure_arm(struct stage_figure *figure, int arm, float upper, float lower);
void stage_figure_thigh(struct stage_figure *figure, int leg, float upper, float lower);
/* Limbs by where they end, as near as they reach: elbows bend back, knees forwards. */
void stage_figure_reach(struct stage_figure *figure, int arm, struct stage_vec target);
void stage_figure_step(struct stage_figure *figure, int leg, struct stage_vec target);
/* Both legs and swinging arms, at `phase` turns of a walk with steps of `stride` metres. */
void stage_figure_walk(struct stage_figure *figure, float phase, float stride);

void stage_figure_draw(struct stage_canvas *canvas, const struct stage_figure *figure);
/* The far arm and leg, and the rest: for things held between them. */
void stage_figure_draw_far(struct stage_canvas *canvas, const struct stage_figure *figure);
void stage_figure_draw_near(struct stage_canvas *canvas, const struct stage_figure *figure);
/* A hat of the figure's colour, floating at `crown`, the top of a head. */
void stage_draw_hat(struct stage_canvas *canvas, struct stage_vec crown, float size,
                    struct stage_colour colour);

#endif
