/* The stage: a procedural film-maker. One call draws the parameters of a clip by seed, another
 * renders any of its frames straight into memory, at any size.
 *
 *     struct stage_clip clip;
 *     stage_draw_clip(&clip, seed, STAGE_TRAIN, stage_action_find("sit down"));
 *     for (int i = 0; i < 16; i++)
 *         stage_render_frame(&clip, i, 16, &image);
 *
 * A clip whose action has a reversal (stage_action_pair()) is the clip of the other action with the
 * same seed, played backwards: same people, place, camera, light and noise, frame by frame. Camera
 * drifts, changes of light, pauses before and after are drawn from distributions that are the same
 * forwards and backwards, so that neither a frame nor a bag of frames tells which it is.
 *
 * Pure functions without state: any number of threads may call them. */
#ifndef CLV_CLI_STAGE_STAGE_H
#define CLV_CLI_STAGE_STAGE_H

#include "cli/stage/actions.h"
#include "cli/stage/cast.h"
#include "cli/stage/place.h"
#include "core/image.h"

#include <stdbool.h>
#include <stdint.h>

/* A camera that drifts from one view to another and shakes. */
struct stage_shot {
    struct stage_vec from, to; /* centre, metres from where the action wants it */
    float zoom_from, zoom_to;  /* factors of the height seen */
    float shake[4], turns[4];  /* amplitudes (metres, radians) and turns in the clip of: slow and */
    float phase[4];            /* fast sideways, up and down, roll; where in a turn they begin */
    bool is_mirrored;
};

/* Something between the camera and the action, passing or standing. */
enum stage_occluder_kind { STAGE_CLEAR, STAGE_POST, STAGE_PASSER, STAGE_LEAVES };
struct stage_occluder {
    enum stage_occluder_kind kind;
    float from, to, size; /* metres */
    struct stage_colour colour;
};

struct stage_clip {
    uint64_t seed;   /* the split included */
    uint64_t chance; /* of everything drawn for it; the same for its reversal */
    enum stage_split split;
    int action;
    bool is_reversed;
    int frame_count, frame_rate; /* when it becomes a file */
    struct stage_actor actors[2];
    enum stage_place_kind place;
    int layout; /* number of the pool */
    enum stage_prop prop;
    enum stage_hue hue; /* of the prop */
    int prop_palette;
    float vary[6];               /* uniform in -1 … 1: an action's own freedom */
    float hold_first, hold_last; /* shares of the clip before and after a one-way action */
    float ease;                  /* 0: even speed, 1: smooth start and end */
    float turns, turn_first;     /* of a repeated action */
    struct stage_shot shot;
    struct stage_grade light[2]; /* at the beginning and at the end */
    struct stage_occluder occluder;
};

/* `seed` may be any number: each split has its own seeds. `action` as in actions.h. */
void stage_draw_clip(struct stage_clip *out, uint64_t seed, enum stage_split split, int action);

/* Frame `index` of `count` evenly spaced ones into `out`, whose pixels and size are the caller's.
 * Allocates nothing. */
void stage_render_frame(const struct stage_clip *clip, int index, int count, struct clv_image *out);
/* The instant `time` in 0 … 1 of the clip as it is played. */
void stage_render(const struct stage_clip *clip, double time, struct clv_image *out);

#endif
