/* Eight places, each a few shapes at positions and in colours that its layout chooses. C leaves
 * open in which order arguments are evaluated: never two random draws in one call. */
#include "cli/stage/place.h"

#include "cli/stage/random.h"

static const float horizon = 0.22f; /* where floor meets wall, or ground meets sky */
static const float hidden = 0.0f;   /* walls and skies go on behind what is in front of them */
static const float above = 12, below = -8; /* further than any camera sees */

static struct stage_colour rgb(int red, int green, int blue)
{
    return (struct stage_colour){(uint8_t)red, (uint8_t)green, (uint8_t)blue};
}

static float between(struct stage_random *random, float low, float high)
{
    return stage_random_between(random, low, high);
}

static struct stage_colour vary(struct stage_random *random, struct stage_colour colour)
{
    colour.red = (uint8_t)stage_clamp(colour.red + between(random, -18, 18), 0, 255);
    colour.green = (uint8_t)stage_clamp(colour.green + between(random, -18, 18), 0, 255);
    colour.blue = (uint8_t)stage_clamp(colour.blue + between(random, -18, 18), 0, 255);
    return stage_shade(colour, between(random, 0.88f, 1.08f));
}

static void draw_surface(struct stage_canvas *canvas, struct stage_random *random, float low,
                         float high, struct stage_colour colour, enum stage_texture_kind kind,
                         float size, float contrast)
{
    struct stage_texture texture = {.kind = kind, .contrast = contrast};
    texture.size = size * between(random, 0.8f, 1.25f);
    texture.seed = (uint32_t)stage_random_next(random);
    colour = vary(random, colour);
    stage_draw_band(canvas, low, high, stage_shade(colour, 0.94f), stage_shade(colour, 1.04f),
                    &texture);
}

static void draw_sky(struct stage_canvas *canvas, struct stage_random *random,
                     struct stage_colour bottom, struct stage_colour top)
{
    struct stage_colour zenith = vary(random, top);
    stage_draw_band(canvas, 4, above, zenith, zenith, NULL);
    stage_draw_band(canvas, hidden, 4.5f, vary(random, bottom), zenith, NULL);
}

static void draw_window(struct stage_canvas *canvas, struct stage_random *random, float x, float y,
                        float width, float height)
{
    struct stage_colour frame = vary(random, rgb(236, 234, 228));
    stage_draw_box(canvas, x - 0.05f, y - 0.05f, x + width + 0.05f, y + height + 0.05f, frame, 1);
    stage_draw_box(canvas, x, y, x + width, y + height, vary(random, rgb(170, 206, 236)), 1);
    stage_draw_box(canvas, x + width / 2 - 0.02f, y, x + width / 2 + 0.02f, y + height, frame, 1);
}

static void draw_kitchen(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_surface(canvas, random, hidden, above, rgb(226, 222, 206), STAGE_TILES, 0.22f, 0.14f);
    draw_surface(canvas, random, below, horizon, rgb(168, 160, 150), STAGE_TILES, 0.4f, 0.2f);
    struct stage_colour wood = vary(random, rgb(176, 120, 72));
    struct stage_colour dark = stage_shade(wood, 0.8f);
    float offset = between(random, -0.5f, 0.5f);
    stage_draw_box(canvas, -8, horizon, 8, 0.86f, wood, 1);
    stage_draw_box(canvas, -8, 0.86f, 8, 0.93f, vary(random, rgb(90, 88, 88)), 1);
    float high = between(random, 1.55f, 1.75f);
    stage_draw_box(canvas, -8, high, 8, high + 0.62f, wood, 1);
    for (int i = -6; i <= 6; i++) {
        float x = offset + 0.62f * (float)i;
        stage_draw_box(canvas, x, horizon, x + 0.03f, 0.86f, dark, 1);
        stage_draw_box(canvas, x, high, x + 0.03f, high + 0.62f, dark, 1);
    }
    float fridge = offset + (stage_random_chance(random, 0.5f) ? between(random, 0.5f, 1.1f)
                                                               : between(random, -1.6f, -1.0f));
    struct stage_colour steel = vary(random, rgb(222, 226, 230));
    stage_draw_box(canvas, fridge, horizon - 0.02f, fridge + 0.66f, 1.72f, steel, 1);
    stage_draw_box(canvas, fridge, 1.1f, fridge + 0.66f, 1.13f, stage_shade(steel, 0.7f), 1);
    stage_draw_box(canvas, fridge + 0.06f, 1.2f, fridge + 0.1f, 1.5f, stage_shade(steel, 0.6f), 1);
    float pot = offset + between(random, -0.4f, 0.3f);
    stage_draw_box(canvas, pot, 0.93f, pot + 0.3f, 1.12f, vary(random, rgb(190, 60, 50)), 1);
}

static void draw_street(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_sky(canvas, random, rgb(186, 206, 224), rgb(120, 166, 220));
    float x = -5 + between(random, -1, 0);
    while (x < 5) {
        float width = between(random, 1.1f, 1.9f), height = between(random, 1.9f, 4.2f);
        static const struct {
            int r, g, b;
        } walls[4] = {{176, 92, 70}, {196, 172, 138}, {128, 132, 140}, {152, 120, 100}};
        int pick = stage_random_below(random, 4);
        struct stage_colour wall = vary(random, rgb(walls[pick].r, walls[pick].g, walls[pick].b));
        stage_draw_box(canvas, x, horizon, x + width, height, wall, 1);
        bool is_lit = stage_random_chance(random, 0.3f);
        struct stage_colour pane = is_lit ? rgb(240, 214, 140) : rgb(70, 86, 108);
        for (float y = 0.75f; y + 0.4f < height; y += 0.72f)
            for (float w = x + 0.16f; w + 0.28f < x + width; w += 0.46f)
                stage_draw_box(canvas, w, y, w + 0.26f, y + 0.4f, pane, 1);
        x += width + 0.03f;
    }
    draw_surface(canvas, random, -0.3f, horizon, rgb(172, 170, 166), STAGE_TILES, 0.5f, 0.12f);
    draw_surface(canvas, random, below, -0.12f, rgb(82, 84, 88), STAGE_SPECKLE, 0.05f, 0.15f);
    for (int i = -4; i <= 4; i++) {
        float dash = (float)i * 0.9f + between(random, -0.05f, 0.05f);
        stage_draw_box(canvas, dash, -0.36f, dash + 0.45f, -0.30f, rgb(232, 228, 200), 1);
    }
    float lamp = between(random, -1.4f, 1.4f);
    stage_draw_box(canvas, lamp - 0.03f, horizon - 0.1f, lamp + 0.03f, 2.5f, rgb(44, 48, 50), 1);
    stage_draw_disc(canvas, stage_vec(lamp, 2.55f), 0.12f, rgb(250, 236, 190), 1);
}

static void draw_tree(struct stage_canvas *canvas, struct stage_random *random, float x)
{
    float height = between(random, 1.5f, 2.3f), crown = between(random, 0.5f, 0.8f);
    struct stage_colour leaf = vary(random, rgb(58, 124, 48));
    stage_draw_box(canvas, x - 0.09f, horizon - 0.05f, x + 0.09f, height,
                   vary(random, rgb(98, 70, 44)), 1);
    stage_draw_disc(canvas, stage_vec(x, height + crown * 0.5f), crown, leaf, 1);
    stage_draw_disc(canvas, stage_vec(x - crown * 0.6f, height + crown * 0.1f), crown * 0.7f,
                    stage_shade(leaf, 0.9f), 1);
    stage_draw_disc(canvas, stage_vec(x + crown * 0.6f, height + crown * 0.2f), crown * 0.65f,
                    stage_shade(leaf, 1.1f), 1);
}

static void draw_park(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_sky(canvas, random, rgb(206, 226, 240), rgb(110, 170, 232));
    stage_draw_band(canvas, horizon, horizon + between(random, 0.3f, 0.6f), rgb(70, 120, 60),
                    rgb(96, 148, 84), NULL);
    for (int i = 0; i < 4; i++)
        draw_tree(canvas, random, -2.4f + 1.4f * (float)i + between(random, -0.5f, 0.5f));
    draw_surface(canvas, random, below, horizon, rgb(96, 160, 62), STAGE_SPECKLE, 0.07f, 0.25f);
    float bench = between(random, -1.4f, 0.6f);
    struct stage_colour wood = vary(random, rgb(130, 84, 46));
    stage_draw_box(canvas, bench, 0.5f, bench + 0.8f, 0.57f, wood, 1);
    stage_draw_box(canvas, bench, 0.7f, bench + 0.8f, 0.78f, wood, 1);
    stage_draw_box(canvas, bench + 0.06f, 0.15f, bench + 0.12f, 0.8f, wood, 1);
    stage_draw_box(canvas, bench + 0.68f, 0.15f, bench + 0.74f, 0.8f, wood, 1);
}

static void draw_office(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_surface(canvas, random, hidden, above, rgb(198, 206, 214), STAGE_PLAIN, 1, 0);
    draw_surface(canvas, random, below, horizon, rgb(96, 104, 122), STAGE_SPECKLE, 0.06f, 0.2f);
    float window = between(random, -1.8f, -0.6f);
    draw_window(canvas, random, window, 1.25f, 1.1f, 0.85f);
    for (int i = 0; i < 7; i++) /* blinds */
        stage_draw_box(canvas, window, 1.3f + 0.12f * (float)i, window + 1.1f,
                       1.35f + 0.12f * (float)i, rgb(240, 240, 236), 0.85f);
    float shelf = between(random, 0.5f, 1.3f);
    stage_draw_box(canvas, shelf, horizon, shelf + 0.8f, 2.1f, rgb(150, 150, 154), 1);
    for (int row = 0; row < 4; row++)
        for (int i = 0; i < 6; i++) {
            float x = shelf + 0.05f + 0.12f * (float)i, y = 0.32f + 0.45f * (float)row;
            int r = 60 + stage_random_below(random, 190), b = 60 + stage_random_below(random, 190);
            stage_draw_box(canvas, x, y, x + 0.1f, y + between(random, 0.25f, 0.36f), rgb(r, 90, b),
                           1);
        }
    float desk = between(random, -1.5f, -0.3f);
    stage_draw_box(canvas, desk, 0.68f, desk + 1.2f, 0.74f, rgb(200, 170, 126), 1);
    stage_draw_box(canvas, desk + 0.04f, 0.12f, desk + 0.1f, 0.7f, rgb(90, 90, 94), 1);
    stage_draw_box(canvas, desk + 1.1f, 0.12f, desk + 1.16f, 0.7f, rgb(90, 90, 94), 1);
    float screen = desk + between(random, 0.2f, 0.55f);
    stage_draw_box(canvas, screen, 0.82f, screen + 0.5f, 1.14f, rgb(34, 36, 40), 1);
    stage_draw_box(canvas, screen + 0.03f, 0.85f, screen + 0.47f, 1.11f, rgb(90, 150, 210), 1);
    stage_draw_box(canvas, screen + 0.22f, 0.74f, screen + 0.28f, 0.82f, rgb(34, 36, 40), 1);
}

static void draw_beach(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_sky(canvas, random, rgb(214, 236, 246), rgb(84, 164, 236));
    float sea = between(random, 0.55f, 0.9f);
    draw_surface(canvas, random, horizon, sea, rgb(38, 128, 176), STAGE_BRICKS, 0.3f, 0.12f);
    stage_draw_band(canvas, horizon, horizon + 0.05f, rgb(236, 244, 246), rgb(236, 244, 246), NULL);
    draw_surface(canvas, random, below, horizon, rgb(232, 208, 150), STAGE_SPECKLE, 0.06f, 0.12f);
    float sun = between(random, -1.4f, 1.4f), noon = between(random, 2, 2.4f);
    stage_draw_disc(canvas, stage_vec(sun, noon), 0.17f, rgb(255, 240, 170), 1);
    float pole = between(random, -1.4f, 1.4f);
    struct stage_colour cloth = vary(random, rgb(226, 70, 60));
    stage_draw_box(canvas, pole - 0.02f, 0.1f, pole + 0.02f, 1.7f, rgb(240, 240, 240), 1);
    const struct stage_vec shade[3] = {{pole - 0.75f, 1.4f}, {pole + 0.75f, 1.4f}, {pole, 1.85f}};
    const struct stage_vec stripe[3] = {{pole - 0.25f, 1.4f}, {pole + 0.25f, 1.4f}, {pole, 1.85f}};
    stage_draw_polygon(canvas, shade, 3, cloth, 1);
    stage_draw_polygon(canvas, stripe, 3, rgb(246, 246, 240), 1);
}

static void draw_gym(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_surface(canvas, random, hidden, above, rgb(120, 132, 152), STAGE_BRICKS, 0.35f, 0.12f);
    draw_surface(canvas, random, below, horizon, rgb(206, 150, 86), STAGE_PLANKS, 0.16f, 0.16f);
    float bars = between(random, -1.7f, 0.5f);
    struct stage_colour wood = vary(random, rgb(214, 170, 104));
    for (int i = 0; i < 12; i++)
        stage_draw_box(canvas, bars, 0.35f + 0.18f * (float)i, bars + 0.95f,
                       0.41f + 0.18f * (float)i, wood, 1);
    stage_draw_box(canvas, bars - 0.05f, horizon, bars + 0.03f, 2.6f, wood, 1);
    stage_draw_box(canvas, bars + 0.92f, horizon, bars + 1.0f, 2.6f, wood, 1);
    float rack = bars + between(random, 1.2f, 1.6f);
    stage_draw_box(canvas, rack, 0.55f, rack + 0.9f, 0.6f, rgb(50, 50, 54), 1);
    for (int i = 0; i < 3; i++) {
        float x = rack + 0.12f + 0.3f * (float)i;
        stage_draw_limb(canvas, stage_vec(x, 0.68f), stage_vec(x + 0.16f, 0.68f), 0.03f, 0.03f,
                        rgb(170, 170, 174), 1);
        stage_draw_disc(canvas, stage_vec(x, 0.68f), 0.075f, rgb(36, 36, 40), 1);
        stage_draw_disc(canvas, stage_vec(x + 0.16f, 0.68f), 0.075f, rgb(36, 36, 40), 1);
    }
    stage_draw_band(canvas, -0.3f, -0.25f, rgb(236, 236, 230), rgb(236, 236, 230), NULL);
}

static void draw_living_room(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_surface(canvas, random, hidden, above, rgb(206, 170, 150), STAGE_PLANKS, 0.3f, 0.08f);
    draw_surface(canvas, random, below, horizon, rgb(128, 84, 60), STAGE_SPECKLE, 0.08f, 0.12f);
    stage_draw_box(canvas, -8, horizon, 8, horizon + 0.1f, rgb(240, 232, 220), 1);
    float picture = between(random, -1.4f, 0.8f);
    stage_draw_box(canvas, picture, 1.5f, picture + 0.7f, 2.0f, rgb(120, 80, 40), 1);
    stage_draw_box(canvas, picture + 0.06f, 1.56f, picture + 0.64f, 1.94f,
                   vary(random, rgb(90, 140, 150)), 1);
    float sofa = between(random, -1.7f, 0.1f);
    struct stage_colour cloth =
        vary(random, stage_random_chance(random, 0.5f) ? rgb(92, 110, 136) : rgb(148, 74, 66));
    stage_draw_box(canvas, sofa, 0.12f, sofa + 1.5f, 0.5f, stage_shade(cloth, 0.9f), 1);
    stage_draw_box(canvas, sofa + 0.05f, 0.5f, sofa + 1.45f, 0.92f, cloth, 1);
    stage_draw_box(canvas, sofa - 0.12f, 0.12f, sofa + 0.1f, 0.66f, stage_shade(cloth, 1.1f), 1);
    stage_draw_box(canvas, sofa + 1.4f, 0.12f, sofa + 1.62f, 0.66f, stage_shade(cloth, 1.1f), 1);
    float lamp = sofa + between(random, 1.75f, 2.1f);
    stage_draw_box(canvas, lamp - 0.02f, 0.15f, lamp + 0.02f, 1.4f, rgb(70, 60, 50), 1);
    const struct stage_vec shade[4] = {
        {lamp - 0.24f, 1.35f}, {lamp + 0.24f, 1.35f}, {lamp + 0.13f, 1.68f}, {lamp - 0.13f, 1.68f}};
    stage_draw_polygon(canvas, shade, 4, rgb(248, 226, 160), 1);
}

static void draw_snow(struct stage_canvas *canvas, struct stage_random *random)
{
    draw_sky(canvas, random, rgb(206, 214, 226), rgb(150, 170, 200));
    for (int i = 0; i < 2; i++) {
        float x = between(random, -2, 2), height = between(random, 1.1f, 2.0f);
        const struct stage_vec rock[3] = {{x - 1.8f, horizon}, {x + 1.8f, horizon}, {x, height}};
        const struct stage_vec cap[3] = {
            {x - 0.45f, height * 0.75f + 0.05f}, {x + 0.45f, height * 0.75f + 0.05f}, {x, height}};
        stage_draw_polygon(canvas, rock, 3, vary(random, rgb(132, 144, 166)), 1);
        stage_draw_polygon(canvas, cap, 3, rgb(246, 248, 252), 1);
    }
    for (int i = 0; i < 4; i++) {
        float x = -2.2f + 1.3f * (float)i + between(random, -0.4f, 0.4f);
        float height = between(random, 1.0f, 1.9f), width = height * 0.28f;
        struct stage_colour leaf = vary(random, rgb(36, 80, 62));
        for (int k = 0; k < 3; k++) {
            float y = horizon + height * 0.28f * (float)k, w = width * (1 - 0.25f * (float)k);
            const struct stage_vec fir[3] = {{x - w, y}, {x + w, y}, {x, y + height * 0.45f}};
            stage_draw_polygon(canvas, fir, 3, leaf, 1);
        }
    }
    draw_surface(canvas, random, below, horizon, rgb(238, 242, 248), STAGE_SPECKLE, 0.09f, 0.06f);
}

static const struct {
    const char *name;
    void (*draw)(struct stage_canvas *canvas, struct stage_random *random);
} places[STAGE_PLACE_KINDS] = {
    {"kitchen", draw_kitchen},         {"street", draw_street}, {"park", draw_park},
    {"office", draw_office},           {"beach", draw_beach},   {"gym", draw_gym},
    {"living room", draw_living_room}, {"snow", draw_snow},
};

const char *stage_place_name(enum stage_place_kind place)
{
    return places[place].name;
}

void stage_place_draw(struct stage_canvas *canvas, enum stage_place_kind place, int layout)
{
    struct stage_random random = stage_random_seed((uint64_t)layout, 500 + (uint64_t)place);
    places[place].draw(canvas, &random);
}
