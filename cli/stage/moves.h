/* How each action moves: a function of the scene's progress that draws one frame of it, facing to
 * the right, around x = 0 on the ground y = 0. */
#ifndef CLV_CLI_STAGE_MOVES_H
#define CLV_CLI_STAGE_MOVES_H

#include "cli/stage/figure.h"
#include "cli/stage/stage.h"

struct stage_scene {
    struct stage_canvas *canvas;
    const struct stage_clip *clip;
    const struct stage_actor *actor; /* the first of the clip */
    float progress;                  /* 0 … 1; of a repeated action: turns done */
    float half_width;                /* metres from the middle to the edge of the picture */
    float gain;                      /* light, for the action to change */
    struct stage_colour colour;      /* of the prop */
};

/* Values at evenly spaced instants of 0 … 1, with smooth passages between them. */
float stage_keys(float progress, const float *values, int count);
/* `progress` between two instants as 0 … 1, smooth. */
float stage_part(float progress, float from, float to);
/* sine of `turns`, 0 … 1 … 0 in a turn. */
float stage_wave(float turns);
float stage_rise(float turns);

/* What many moves share. */
void stage_shadow(struct stage_scene *scene, float x, float width);
void stage_hang(struct stage_figure *figure, int arm);
/* From where the arm hangs (share 0) to `target` (1). */
void stage_reach_share(struct stage_figure *figure, int arm, struct stage_vec target, float share);
/* Ball, box, book or bag of the clip, `size` the half width. */
void stage_draw_prop(struct stage_scene *scene, struct stage_vec centre, float size);
void stage_draw_table(struct stage_scene *scene, float left, float right, float height);
void stage_draw_balloon(struct stage_scene *scene, struct stage_vec knot, float radius);

/* moves_body.c: people alone */
stage_move stage_move_sit, stage_move_lie, stage_move_crouch, stage_move_approach, stage_move_enter,
    stage_move_raise_arms, stage_move_wave, stage_move_clap, stage_move_jump, stage_move_jacks,
    stage_move_run, stage_move_walk, stage_move_dance, stage_move_bow, stage_move_punch,
    stage_move_kick, stage_move_squat, stage_move_push_ups, stage_move_point, stage_move_cartwheel;
/* moves_object.c: people with things */
stage_move stage_move_pick_up, stage_move_door, stage_move_chest, stage_move_drawer,
    stage_move_throw, stage_move_turn, stage_move_push, stage_move_climb, stage_move_hat,
    stage_move_flag, stage_move_lamp, stage_move_stack, stage_move_put_in, stage_move_draw,
    stage_move_curtains, stage_move_inflate;
/* moves_thing.c: things alone, and two people */
stage_move stage_move_car, stage_move_roll, stage_move_shatter, stage_move_grow, stage_move_fill,
    stage_move_balloon, stage_move_meet, stage_move_shake_hands, stage_move_high_five;
/* moves_work.c: repeated work, play and sport with things */
stage_move stage_move_juggle, stage_move_bounce, stage_move_swing, stage_move_hammer,
    stage_move_saw, stage_move_sweep, stage_move_drink, stage_move_rope, stage_move_cycle,
    stage_move_barbell, stage_move_drum, stage_move_paint;

#endif
