/* The cast: every number of a pool gives one body or one palette. */
#include "cli/stage/cast.h"

struct stage_pool stage_split_pool(enum stage_split split)
{
    static const struct stage_pool pools[STAGE_SPLITS] = {{0, 768}, {768, 128}, {896, 128}};
    return pools[split];
}

const char *stage_split_name(enum stage_split split)
{
    static const char *const names[STAGE_SPLITS] = {"train", "validation", "test"};
    return names[split];
}

const char *stage_hue_name(enum stage_hue hue)
{
    static const char *const names[STAGE_HUES] = {"red",    "orange", "yellow", "green", "blue",
                                                  "purple", "pink",   "brown",  "white", "black"};
    return names[hue];
}

const char *stage_garment_name(enum stage_garment garment)
{
    static const char *const names[STAGE_GARMENTS] = {"shirt", "coat", "sweater", "dress", ""};
    return names[garment];
}

static int draw_number(struct stage_random *random, enum stage_split split)
{
    struct stage_pool pool = stage_split_pool(split);
    return pool.first + stage_random_below(random, pool.count);
}

struct stage_colour stage_palette_colour(int palette, enum stage_hue hue)
{
    static const struct stage_colour hues[STAGE_HUES] = {
        {205, 32, 36},  {240, 130, 20},  {238, 214, 40}, {36, 150, 54},   {36, 80, 205},
        {128, 44, 160}, {244, 130, 178}, {122, 78, 40},  {238, 238, 236}, {30, 30, 34}};
    struct stage_random random = stage_random_seed((uint64_t)palette, 1000 + (uint64_t)hue);
    struct stage_colour colour = hues[hue];
    float gray = stage_random_between(&random, 90, 170);
    struct stage_colour dull = stage_shade((struct stage_colour){1, 1, 1}, gray);
    colour = stage_colour_mix(colour, dull, stage_random_between(&random, 0, 0.15f));
    return stage_shade(colour, stage_random_between(&random, 0.85f, 1.12f));
}

static struct stage_colour pick(struct stage_random *random, const struct stage_colour *from,
                                int count)
{
    struct stage_colour a = from[stage_random_below(random, count)];
    return stage_shade(a, stage_random_between(random, 0.88f, 1.1f));
}

/* Proportions of a body: shares of the height, after what a figure drawer is taught. */
static void build_body(struct stage_actor *actor)
{
    static const float low[STAGE_ACTOR_KINDS] = {1.68f, 1.58f, 1.10f, 1.08f, 1.45f};
    static const float high[STAGE_ACTOR_KINDS] = {1.92f, 1.76f, 1.32f, 1.30f, 1.80f};
    struct stage_random random = stage_random_seed((uint64_t)actor->body, 1 + actor->kind);
    bool is_child = actor->kind == STAGE_BOY || actor->kind == STAGE_GIRL;
    bool is_robot = actor->kind == STAGE_ROBOT;
    float h = stage_random_between(&random, low[actor->kind], high[actor->kind]);
    actor->height = h;
    actor->head = h * (is_child ? 0.105f : 0.076f) * stage_random_between(&random, 0.95f, 1.08f);
    float leg = h * stage_random_between(&random, 0.47f, 0.51f);
    actor->thigh = actor->shin = leg / 2;
    actor->neck = h * 0.035f;
    actor->torso = h - leg - actor->neck - 2 * actor->head;
    actor->upper_arm = h * stage_random_between(&random, 0.165f, 0.185f);
    actor->forearm = actor->upper_arm * 1.02f;
    float build = stage_random_between(&random, 0.85f, 1.3f);
    bool is_slim = actor->kind == STAGE_WOMAN || actor->kind == STAGE_GIRL;
    actor->thickness = h * 0.036f * build * (is_robot ? 1.1f : 1);
    actor->shoulder = h * (is_slim ? 0.092f : 0.112f) * (0.7f + 0.3f * build);
    actor->pelvis = h * 0.055f * build;
}

static void dye(struct stage_actor *actor)
{
    static const struct stage_colour skins[] = {
        {246, 212, 186}, {232, 190, 156}, {206, 158, 118}, {160, 108, 72}, {104, 68, 46}};
    static const struct stage_colour hairs[] = {
        {28, 24, 22}, {70, 44, 26}, {134, 88, 44}, {220, 184, 100}, {168, 70, 34}};
    static const struct stage_colour legs[] = {{44, 54, 92}, {52, 52, 56},  {104, 98, 84},
                                               {84, 60, 44}, {74, 92, 128}, {150, 140, 120}};
    struct stage_random random = stage_random_seed((uint64_t)actor->palette, 77);
    actor->skin = pick(&random, skins, 5);
    actor->hair = pick(&random, hairs, 5);
    actor->legs = pick(&random, legs, 6);
    actor->shoes = pick(&random, hairs, 3);
    actor->cloth = stage_palette_colour(actor->palette, actor->hue);
    actor->sleeve = stage_shade(actor->cloth, 0.9f);
    if (actor->kind == STAGE_ROBOT) {
        actor->skin = stage_shade(actor->cloth, 0.8f);
        actor->hair = stage_colour_mix(actor->cloth, (struct stage_colour){200, 204, 210}, 0.8f);
        actor->legs = actor->shoes = actor->hair;
        actor->sleeve = actor->hair;
    }
}

void stage_cast_actor(struct stage_actor *out, struct stage_random *random, enum stage_split split)
{
    *out = (struct stage_actor){0};
    out->kind = (enum stage_actor_kind)stage_random_below(random, STAGE_ACTOR_KINDS);
    out->body = draw_number(random, split);
    out->palette = draw_number(random, split);
    out->hue = (enum stage_hue)stage_random_below(random, STAGE_HUES);
    bool is_female = out->kind == STAGE_WOMAN || out->kind == STAGE_GIRL;
    out->garment = (enum stage_garment)stage_random_below(random, is_female ? 4 : 3);
    if (out->kind == STAGE_ROBOT)
        out->garment = STAGE_METAL;
    build_body(out);
    dye(out);
    out->has_long_hair = is_female;
    out->has_bare_shins = out->garment == STAGE_DRESS || out->kind == STAGE_BOY;
}
