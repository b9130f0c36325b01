/* A clip: its parameters by seed, and any of its frames. */
#include "cli/stage/moves.h"
#include "cli/stage/random.h"
#include "cli/stage/stage.h"

#include <assert.h>

static float between(struct stage_random *random, float low, float high)
{
    return stage_random_between(random, low, high);
}

/* From and to are drawn alike, so that a drift is as likely as its opposite. */
static void draw_shot(struct stage_shot *shot, struct stage_random *random, bool is_chiral)
{
    bool is_moving = stage_random_chance(random, 0.55f),
         is_shaky = stage_random_chance(random, 0.5f);
    shot->from.x = between(random, -0.16f, 0.16f);
    shot->from.y = between(random, -0.1f, 0.1f);
    shot->to.x = between(random, -0.16f, 0.16f);
    shot->to.y = between(random, -0.1f, 0.1f);
    shot->zoom_from = between(random, 0.9f, 1.15f);
    shot->zoom_to = between(random, 0.9f, 1.15f);
    if (!is_moving) {
        shot->to = shot->from;
        shot->zoom_to = shot->zoom_from;
    }
    static const float amplitudes[4] = {0.03f, 0.012f, 0.02f, 0.02f};
    for (int i = 0; i < 4; i++) {
        shot->shake[i] = is_shaky ? amplitudes[i] * between(random, 0.2f, 1) : 0;
        shot->turns[i] = between(random, i == 1 ? 4.0f : 0.5f, i == 1 ? 9.0f : 3.0f);
        shot->phase[i] = between(random, 0, 1);
    }
    shot->is_mirrored = stage_random_chance(random, 0.5f) && !is_chiral;
}

static void draw_light(struct stage_grade light[2], struct stage_random *random)
{
    float base = between(random, 0.72f, 1.15f), warm = between(random, -0.08f, 0.08f);
    float slope_x = between(random, -0.15f, 0.15f), slope_y = between(random, -0.1f, 0.1f);
    float vignette = between(random, 0, 0.3f), noise = between(random, 0, 7);
    bool is_changing = stage_random_chance(random, 0.3f);
    for (int i = 0; i < 2; i++) {
        float gain = base * (is_changing ? between(random, 0.85f, 1.15f) : 1);
        light[i] = (struct stage_grade){
            {gain * (1 + warm), gain, gain * (1 - warm)}, slope_x, slope_y, vignette, noise, 0};
    }
}

static void draw_occluder(struct stage_occluder *occluder, struct stage_random *random)
{
    static const enum stage_occluder_kind kinds[3] = {STAGE_POST, STAGE_PASSER, STAGE_LEAVES};
    occluder->kind = kinds[stage_random_below(random, 3)];
    bool is_there = stage_random_chance(random, 0.25f);
    occluder->from = between(random, -1.6f, 1.6f);
    occluder->to = between(random, -1.6f, 1.6f);
    if (occluder->kind != STAGE_PASSER)
        occluder->to = occluder->from;
    occluder->size = between(random, 0.07f, 0.16f);
    int level = 30 + stage_random_below(random, 90);
    occluder->colour = (struct stage_colour){(uint8_t)level, (uint8_t)level, (uint8_t)(level + 10)};
    if (!is_there)
        occluder->kind = STAGE_CLEAR;
}

static enum stage_prop draw_prop(struct stage_random *random, unsigned props)
{
    enum stage_prop choices[STAGE_PROPS];
    int count = 0;
    for (int i = 0; i < STAGE_PROPS; i++)
        if (props & STAGE_PROP(i))
            choices[count++] = (enum stage_prop)i;
    int pick = stage_random_below(random, count > 0 ? count : 1);
    return count > 0 ? choices[pick] : STAGE_NOTHING;
}

static int draw_number(struct stage_random *random, enum stage_split split)
{
    struct stage_pool pool = stage_split_pool(split);
    return pool.first + stage_random_below(random, pool.count);
}

void stage_draw_clip(struct stage_clip *out, uint64_t seed, enum stage_split split, int action)
{
    static const int rates[] = {12, 15, 20, 24, 25, 30};
    *out = (struct stage_clip){.split = split, .action = action};
    /* The two uppermost bits belong to the split. */
    out->seed = (seed & (UINT64_MAX >> 2)) | (uint64_t)split << 62;
    const struct stage_action *row = stage_action_at(action);
    out->is_reversed = !row->move;
    if (out->is_reversed) {
        action = stage_action_pair(action);
        row = stage_action_at(action);
    }
    out->chance = stage_hash(out->seed, (uint64_t)action);
    struct stage_random random = {out->chance};
    for (int i = 0; i < 2; i++)
        stage_cast_actor(&out->actors[i], &random, split);
    out->place = (enum stage_place_kind)stage_random_below(&random, STAGE_PLACE_KINDS);
    out->layout = draw_number(&random, split);
    out->prop = draw_prop(&random, row->props);
    out->hue = (enum stage_hue)stage_random_below(&random, STAGE_HUES);
    out->prop_palette = draw_number(&random, split);
    for (int i = 0; i < 6; i++)
        out->vary[i] = between(&random, -1, 1);
    out->hold_first = between(&random, 0, 0.15f);
    out->hold_last = between(&random, 0, 0.15f);
    out->ease = between(&random, 0, 1);
    out->turns = between(&random, 1.7f, 3.2f);
    out->turn_first = between(&random, 0, 1);
    draw_shot(&out->shot, &random, row->flags & STAGE_CHIRAL);
    draw_light(out->light, &random);
    draw_occluder(&out->occluder, &random);
    out->frame_rate = rates[stage_random_below(&random, 6)];
    out->frame_count = (int)((float)out->frame_rate * between(&random, 2, 4));
}

/* How far a one-way action has come, or how many turns of a repeated one are done. */
static float progress_at(const struct stage_clip *clip, const struct stage_action *row, float time)
{
    if (row->flags & STAGE_CYCLE)
        return clip->turn_first + clip->turns * time;
    float span = 1 - clip->hold_first - clip->hold_last;
    float t = stage_clamp((time - clip->hold_first) / span, 0, 1);
    return stage_mix(t, t * t * (3 - 2 * t), clip->ease);
}

static struct stage_camera camera_at(const struct stage_clip *clip, const struct stage_action *row,
                                     float time)
{
    const struct stage_shot *shot = &clip->shot;
    float shake[4];
    for (int i = 0; i < 4; i++)
        shake[i] =
            shot->shake[i] * stage_sin(6.2831853f * (shot->phase[i] + shot->turns[i] * time));
    /* Small people are filmed from nearer, though not so near that the size is lost. */
    float size = row->flags & STAGE_ALONE ? 1 : 0.45f + 0.55f * clip->actors[0].height / 1.75f;
    float height = row->extent * size * stage_mix(shot->zoom_from, shot->zoom_to, time);
    struct stage_vec centre = stage_vec_mix(shot->from, shot->to, time);
    centre.x += row->flags & STAGE_ASIDE ? 0.33f : 0;
    return (struct stage_camera){
        .centre = {centre.x + shake[0] + shake[1],
                   centre.y + shake[2] + row->extent * size * 0.41f},
        .height = height,
        .roll_sine = shake[3],
        .is_mirrored = shot->is_mirrored,
    };
}

static void draw_occluder_at(struct stage_canvas *canvas, const struct stage_occluder *occluder,
                             float time)
{
    float x = stage_mix(occluder->from, occluder->to, time), size = occluder->size;
    struct stage_colour colour = occluder->colour, leaf = {40, 84, 40};
    switch (occluder->kind) {
    case STAGE_CLEAR:
        break;
    case STAGE_POST:
        stage_draw_box(canvas, x - size * 0.6f, -2, x + size * 0.6f, 5, colour, 1);
        break;
    case STAGE_PASSER: /* the head and shoulders of someone near the camera */
        stage_draw_limb(canvas, stage_vec(x, -1.5f), stage_vec(x, 0.35f), size * 2, size * 1.7f,
                        colour, 1);
        stage_draw_disc(canvas, stage_vec(x, 0.75f), size, stage_shade(colour, 0.7f), 1);
        break;
    case STAGE_LEAVES:
        for (int i = 0; i < 5; i++) {
            float step = (float)i;
            stage_draw_disc(canvas,
                            stage_vec(x + size * (step - 2) * 1.1f, 0.02f + 0.12f * (float)(i % 2)),
                            size * 1.1f, stage_shade(leaf, 0.8f + 0.1f * step), 1);
        }
        break;
    }
}

/* `time` counts as the action is written, not as it may be played; `tick` numbers the frame's
 * noise. */
static void render(const struct stage_clip *clip, float time, uint64_t tick, struct clv_image *out)
{
    assert(out->pixels && out->width > 0 && out->height > 0);
    int action = clip->is_reversed ? stage_action_pair(clip->action) : clip->action;
    const struct stage_action *row = stage_action_at(action);
    struct stage_camera camera = camera_at(clip, row, time);
    struct stage_canvas canvas;
    stage_canvas_open(&canvas, out, &camera);
    stage_place_draw(&canvas, clip->place, clip->layout);
    float size = row->flags & STAGE_ALONE ? 1 : 0.45f + 0.55f * clip->actors[0].height / 1.75f;
    struct stage_scene scene = {
        .canvas = &canvas,
        .clip = clip,
        .actor = &clip->actors[0],
        .progress = progress_at(clip, row, time),
        .half_width = 0.5f * row->extent * size * (float)out->width / (float)out->height,
        .gain = 1,
        .colour = stage_palette_colour(clip->prop_palette, clip->hue),
    };
    row->move(&scene);
    draw_occluder_at(&canvas, &clip->occluder, time);
    struct stage_grade grade = clip->light[0];
    for (int i = 0; i < 3; i++)
        grade.gain[i] =
            scene.gain * stage_mix(clip->light[0].gain[i], clip->light[1].gain[i], time);
    grade.noise_seed = stage_hash(clip->chance, tick);
    stage_grade(out, &grade);
}

void stage_render_frame(const struct stage_clip *clip, int index, int count, struct clv_image *out)
{
    assert(index >= 0 && index < count);
    if (clip->is_reversed)
        index = count - 1 - index;
    render(clip, ((float)index + 0.5f) / (float)count, (uint64_t)index, out);
}

void stage_render(const struct stage_clip *clip, double time, struct clv_image *out)
{
    if (clip->is_reversed)
        time = 1 - time;
    render(clip, (float)time, (uint64_t)(time * 1048576 + 0.5), out);
}
