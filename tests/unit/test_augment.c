/* core/model: random streams, crops, colours, mixing, the schedule, against references in double
 * precision. */
#include "core/model/augment.h"

#include "core/error.h"
#include "core/model/colour.h"
#include "core/model/mix.h"
#include "core/model/pixels.h"
#include "core/model/schedule.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 28, WIDTH = 61, HEIGHT = 47, AREA = SIDE * SIDE, FRAMES = 3, DRAWS = 200000 };

static struct clv_model_config config;
static uint8_t picture_pixels[FRAMES][HEIGHT * WIDTH * 3];
static struct clv_image pictures[FRAMES];

static void make_pictures(void)
{
    uint64_t seed = 5;
    config = (struct clv_model_config){.image_side = SIDE, .resize = CLV_RESIZE_BILINEAR_256};
    for (int c = 0; c < 3; c++) {
        config.pixel_mean[c] = 0.3f + 0.1f * (float)c;
        config.pixel_std[c] = 0.2f + 0.05f * (float)c;
    }
    for (int t = 0; t < FRAMES; t++) {
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                for (int c = 0; c < 3; c++)
                    picture_pixels[t][(y * WIDTH + x) * 3 + c] =
                        (uint8_t)((3 * x + 2 * y * c + 40 * t) % 200 + (int)(t_random(&seed) % 50));
        pictures[t] = (struct clv_image){picture_pixels[t], WIDTH, HEIGHT, 3 * WIDTH};
    }
}

/* ---- random numbers -------------------------------------------------------------------------- */

static void streams_depend_on_all_of_their_key(void)
{
    struct clv_random a = clv_random_stream(1, CLV_RANDOM_ORDER, 2, 3);
    struct clv_random b = clv_random_stream(1, CLV_RANDOM_ORDER, 2, 3);
    const uint64_t first = clv_random_bits(&a);
    CHECK(first == clv_random_bits(&b));
    CHECK(first != clv_random_bits(&a));
    const struct clv_random others[] = {
        clv_random_stream(2, CLV_RANDOM_ORDER, 2, 3), clv_random_stream(1, CLV_RANDOM_MIX, 2, 3),
        clv_random_stream(1, CLV_RANDOM_ORDER, 3, 2), clv_random_stream(1, CLV_RANDOM_ORDER, 2, 4),
        clv_random_stream(1, CLV_RANDOM_ORDER, 1, 3)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct clv_random other = others[i];
        CHECK(clv_random_bits(&other) != first);
    }
}

static void whole_numbers_are_even(void)
{
    struct clv_random random = clv_random_stream(7, CLV_RANDOM_ORDER, 0, 0);
    int counts[7] = {0};
    for (int i = 0; i < DRAWS; i++) {
        const int value = clv_random_below(&random, 7);
        REQUIRE(value >= 0 && value < 7);
        counts[value]++;
    }
    for (int i = 0; i < 7; i++)
        CHECK_NEAR(counts[i] / (double)DRAWS, 1 / 7.0, 0.004); /* 5 deviations */
    CHECK_INT(clv_random_below(&random, 1), 0);
}

/* First four moments of what a function draws. */
static void measure(double out[4], double (*draw)(struct clv_random *, double, double), double a,
                    double b)
{
    struct clv_random random = clv_random_stream(11, CLV_RANDOM_MIX, (uint64_t)(1000 * a), 1);
    memset(out, 0, 4 * sizeof *out);
    for (int i = 0; i < DRAWS; i++) {
        const double value = draw(&random, a, b);
        double power = 1;
        for (int k = 0; k < 4; k++)
            out[k] += (power *= value) / DRAWS;
    }
}

static double draw_normal(struct clv_random *random, double a, double b)
{
    return a + b * clv_random_normal(random);
}

static double draw_truncated(struct clv_random *random, double a, double b)
{
    return clv_random_truncated(random, a, -b, b);
}

static double draw_gamma(struct clv_random *random, double a, double b)
{
    return b * clv_random_gamma(random, a);
}

static void normal_numbers_have_their_moments(void)
{
    double moments[4];
    measure(moments, draw_normal, 0, 1);
    CHECK_NEAR(moments[0], 0, 0.012);
    CHECK_NEAR(moments[1], 1, 0.017);
    CHECK_NEAR(moments[2], 0, 0.05);
    CHECK_NEAR(moments[3], 3, 0.12);
    /* Cut at one deviation: variance 1 - 2 phi(1) / (2 Phi(1) - 1). */
    measure(moments, draw_truncated, 1, 1);
    CHECK_NEAR(moments[0], 0, 0.007);
    CHECK_NEAR(moments[1], 0.29112, 0.004);
}

static void gamma_and_beta_numbers_have_their_moments(void)
{
    static const double shapes[][2] = {{0.8, 0.8}, {1, 1}, {0.05, 0.05}, {2.5, 0.4}, {30, 7}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const double a = shapes[i][0], b = shapes[i][1];
        double got[4], want = 1;
        measure(got, clv_random_beta, a, b);
        for (int k = 0; k < 4; k++) {
            want *= (a + k) / (a + b + k); /* E x^(k+1) */
            CHECK_NEAR(got[k], want, 0.006);
        }
        measure(got, draw_gamma, a, 1);
        CHECK_NEAR(got[0], a, 6 * sqrt(a / DRAWS));
        CHECK_NEAR(got[1], a * (a + 1), 0.05 * a * (a + 1));
    }
}

/* ---- crops ----------------------------------------------------------------------------------- */

static struct clv_augment *new_augment(const struct clv_augment_options *options)
{
    struct clv_augment *augment = NULL;
    CHECK_OK(clv_augment_create(&augment, &config, options));
    return augment;
}

static void nothing_asked_is_the_models_own_rule(void)
{
    const struct clv_augment_options options = {0};
    struct clv_augment *augment = new_augment(&options);
    struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, 0);
    static float got[FRAMES * 3 * AREA], want[3 * AREA];
    static uint8_t square[3 * AREA], view[FRAMES * 3 * AREA];
    const uint8_t *squares = square;
    REQUIRE_OK(clv_augment_clip(augment, got, pictures, FRAMES, true, &random));
    REQUIRE_OK(clv_augment_view(augment, view, pictures, FRAMES, 0, 1));
    for (int t = 0; t < FRAMES; t++) {
        REQUIRE_OK(clv_pixels_square(square, &pictures[t], &config));
        clv_pixels_normalize(want, &squares, 1, &config);
        for (int i = 0; i < 3 * AREA; i++) {
            CHECK_NEAR((double)got[t * 3 * AREA + i], (double)want[i], 1e-5);
            CHECK(view[t * 3 * AREA + i] == square[i]);
        }
    }
    clv_augment_free(augment);
}

/* The published steps in double precision: resize, crop, resize; bytes in between. */
static void resize_reference(double *out, int out_w, int out_h, const double *in, int in_w,
                             int in_h)
{
    for (int y = 0; y < out_h; y++)
        for (int x = 0; x < out_w; x++) {
            const double at[2] = {(x + 0.5) * in_w / out_w - 0.5, (y + 0.5) * in_h / out_h - 0.5};
            const double cx = fmin(fmax(at[0], 0), in_w - 1), cy = fmin(fmax(at[1], 0), in_h - 1);
            const int x0 = (int)cx, y0 = (int)cy;
            const int x1 = x0 + 1 < in_w ? x0 + 1 : x0, y1 = y0 + 1 < in_h ? y0 + 1 : y0;
            const double fx = cx - x0, fy = cy - y0;
            for (int c = 0; c < 3; c++)
                out[(y * out_w + x) * 3 + c] = (1 - fy) * ((1 - fx) * in[(y0 * in_w + x0) * 3 + c] +
                                                           fx * in[(y0 * in_w + x1) * 3 + c]) +
                                               fy * ((1 - fx) * in[(y1 * in_w + x0) * 3 + c] +
                                                     fx * in[(y1 * in_w + x1) * 3 + c]);
        }
}

enum { SHORT = 32, LONG = 42 }; /* 256 / 224 R, and 61 * 32 / 47 */

/* The crop of `width` x `height` at (x, y) of the resized picture, as R x R in 0..1. */
static void crop_reference(double *out, const struct clv_image *image, int x, int y, int width,
                           int height, bool is_flipped)
{
    static double source[HEIGHT * WIDTH * 3], resized[LONG * SHORT * 3], crop[SHORT * SHORT * 3],
        square[AREA * 3];
    for (int i = 0; i < HEIGHT * WIDTH * 3; i++)
        source[i] = image->pixels[i];
    resize_reference(resized, LONG, SHORT, source, WIDTH, HEIGHT);
    for (int row = 0; row < height; row++)
        for (int i = 0; i < 3 * width; i++)
            crop[row * 3 * width + i] = round(resized[((y + row) * LONG + x) * 3 + i]);
    resize_reference(square, SIDE, SIDE, crop, width, height);
    for (int row = 0; row < SIDE; row++)
        for (int col = 0; col < SIDE; col++)
            for (int c = 0; c < 3; c++)
                out[c * AREA + row * SIDE + (is_flipped ? SIDE - 1 - col : col)] =
                    square[(row * SIDE + col) * 3 + c] / 255;
}

static double distance(const float *got, const double *want)
{
    double most = 0;
    for (int i = 0; i < 3 * AREA; i++) {
        const double value = (double)got[i] * (double)config.pixel_std[i / AREA] +
                             (double)config.pixel_mean[i / AREA];
        const double apart = fabs(value - want[i]);
        most = !(apart <= most) ? apart : most;
    }
    return most;
}

/* Which of the published crops a frame is; -1: none. Sets which scale of width and height. */
static int find_crop(const float *frame, const struct clv_image *image, int found[4])
{
    /* int(32 scale), those within 2 of 28 being 28. */
    static const int sides[4] = {32, 28, 24, 21};
    static double want[3 * AREA];
    int count = 0;
    for (int w = 0; w < 4; w++)
        for (int h = 0; h < 4; h++)
            for (int p = 0; p < 5; p++)
                for (int flip = 0; flip < 2; flip++) {
                    const int sx = (LONG - sides[w]) / 4, sy = (SHORT - sides[h]) / 4;
                    const int x = p == 4 ? 2 * sx : p % 2 * 4 * sx;
                    const int y = p == 4 ? 2 * sy : p / 2 * 4 * sy;
                    if (abs(w - h) > 1)
                        continue;
                    crop_reference(want, image, x, y, sides[w], sides[h], flip);
                    if (!(distance(frame, want) <= 2.5 / 255))
                        continue;
                    count++;
                    found[0] = w, found[1] = h, found[2] = p, found[3] = flip;
                }
    return count ? 0 : -1;
}

static void crops_are_the_published_ones_and_one_a_clip(void)
{
    const struct clv_augment_options options = {.crops = true, .flip = 0.5f};
    struct clv_augment *augment = new_augment(&options);
    static float got[FRAMES * 3 * AREA], again[FRAMES * 3 * AREA];
    int flips = 0, scales[4] = {0}, positions[5] = {0};
    for (int clip = 0; clip < 40; clip++) {
        struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, (uint64_t)clip);
        struct clv_random same = random;
        int found[FRAMES][4];
        REQUIRE_OK(clv_augment_clip(augment, got, pictures, FRAMES, true, &random));
        REQUIRE_OK(clv_augment_clip(augment, again, pictures, FRAMES, true, &same));
        CHECK(memcmp(got, again, sizeof got) == 0);
        const int frames = clip < 4 ? FRAMES : 1;
        for (int t = 0; t < frames; t++)
            REQUIRE(find_crop(got + t * 3 * AREA, &pictures[t], found[t]) == 0);
        for (int t = 1; t < frames; t++)
            CHECK(memcmp(found[t], found[0], sizeof found[0]) == 0);
        scales[found[0][0]]++;
        positions[found[0][2]]++;
        flips += found[0][3];
    }
    for (int i = 0; i < 4; i++)
        CHECK(scales[i] > 2);
    for (int i = 0; i < 5; i++)
        CHECK(positions[i] > 1);
    CHECK(flips > 8 && flips < 32);
    clv_augment_free(augment);
}

/* Where no colour changes, bytes and what they are worth are the same clip to the bit, mirrored or
 * not, and take as much from the random numbers that decide it. */
static void clips_as_bytes_are_the_same(void)
{
    const struct clv_augment_options kinds[] = {
        {0}, {.crops = true, .flip = 0.5f}, {.flip = 1, .jitter = 1}, {.brightness = 1}};
    static float want[FRAMES * 3 * AREA], values[3 * 256];
    static uint8_t squares[FRAMES * 3 * AREA];
    clv_augment_values(values, &config);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct clv_augment *augment = new_augment(&kinds[k]);
        CHECK(!clv_augment_has_colour(&kinds[k]));
        for (uint64_t clip = 0; clip < 20; clip++) {
            struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, clip);
            struct clv_random same = random;
            int wrong = 0;
            REQUIRE_OK(clv_augment_clip(augment, want, pictures, FRAMES, true, &random));
            REQUIRE_OK(clv_augment_squares(augment, squares, pictures, FRAMES, true, &same));
            for (int i = 0; i < FRAMES * 3 * AREA; i++) {
                const int plane = i / AREA % 3, at = i / (3 * AREA) * AREA + i % AREA;
                const float got = values[plane * 256 + squares[3 * at + plane]];
                wrong += memcmp(&got, &want[i], sizeof got) != 0;
            }
            CHECK_INT(wrong, 0);
        }
        clv_augment_free(augment);
    }
    CHECK(clv_augment_has_colour(&clv_augment_defaults));
    CHECK(clv_augment_has_colour(&(struct clv_augment_options){.grayscale = 0.1f}));
    CHECK(clv_augment_has_colour(&(struct clv_augment_options){.jitter = 1, .hue = 0.1f}));
}

static void clips_that_say_left_are_not_mirrored(void)
{
    const struct clv_augment_options options = {.flip = 1};
    struct clv_augment *augment = new_augment(&options);
    struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, 0);
    static float mirrored[3 * AREA], kept[3 * AREA];
    REQUIRE_OK(clv_augment_clip(augment, mirrored, pictures, 1, true, &random));
    REQUIRE_OK(clv_augment_clip(augment, kept, pictures, 1, false, &random));
    for (int i = 0; i < 3 * AREA; i++)
        CHECK(mirrored[i] == kept[i / SIDE * SIDE + SIDE - 1 - i % SIDE]);
    clv_augment_free(augment);
}

static void names_with_a_side_are_known(void)
{
    static const char *const with[] = {"turn left",      "Right hand up",     "LeftTurn",
                                       "turnRight",      "left-handed",       "leftwards",
                                       "(left)",         "push_left",         "LEFT",
                                       "spin clockwise", "counter-clockwise", "from right to left",
                                       "leftmost"};
    static const char *const without[] = {"leftover",   "bright",     "copyright", "sit down",
                                          "",           "upright",    "lefty",     "righteous",
                                          "BRIGHT red", "clock wise", "Leftover"};
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
        if (!clv_augment_name_has_side(with[i]))
            t_fail(__FILE__, __LINE__, "'%s' has no side", with[i]);
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        if (clv_augment_name_has_side(without[i]))
            t_fail(__FILE__, __LINE__, "'%s' has a side", without[i]);
}

static void three_views_lie_side_by_side(void)
{
    const struct clv_augment_options options = {0};
    struct clv_augment *augment = new_augment(&options);
    static uint8_t square[3 * AREA];
    static float got[3 * AREA];
    const uint8_t *squares = square;
    static double source[HEIGHT * WIDTH * 3], resized[64 * SIDE * 3], want[3 * AREA];
    const int width = (int)(WIDTH * ((double)SIDE / HEIGHT) + 0.5), step = (width - SIDE) / 2;
    const int offsets[3] = {0, 2 * step, step};
    for (int i = 0; i < HEIGHT * WIDTH * 3; i++)
        source[i] = picture_pixels[0][i];
    resize_reference(resized, width, SIDE, source, WIDTH, HEIGHT);
    for (int crop = 0; crop < 3; crop++) {
        REQUIRE_OK(clv_augment_view(augment, square, pictures, 1, crop, 3));
        clv_pixels_normalize(got, &squares, 1, &config);
        for (int i = 0; i < 3 * AREA; i++)
            want[i] =
                resized[((i % AREA / SIDE) * width + offsets[crop] + i % SIDE) * 3 + i / AREA] /
                255;
        CHECK_NEAR(distance(got, want), 0, 1.6 / 255);
    }
    clv_augment_free(augment);
}

static void odd_pictures_are_cut_or_refused(void)
{
    struct clv_augment *augment = new_augment(&clv_augment_defaults);
    static float got[3 * AREA];
    static uint8_t thin[3000], square[3 * AREA];
    const struct clv_image shapes[] = {
        {thin, 1, 1, 3}, {thin, 1000, 1, 3000}, {thin, 1, 1000, 3}, {thin, 3, 2, 9}};
    const struct clv_image none = {NULL, 0, 0, 0};
    for (uint64_t clip = 0; clip < 20; clip++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, clip);
            CHECK_OK(clv_augment_clip(augment, got, &shapes[i], 1, true, &random));
            for (int k = 0; k < 3 * AREA; k++)
                CHECK(isfinite(got[k]));
        }
    struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, 0);
    CHECK_ERROR(clv_augment_clip(augment, got, &none, 1, true, &random), CLV_EINVAL, "0 x 0");
    CHECK_ERROR(clv_augment_view(augment, square, &none, 1, 0, 3), CLV_EINVAL, "0 x 0");
    clv_augment_free(augment);
}

static void senseless_options_are_refused(void)
{
    struct clv_augment *augment;
    struct clv_augment_options options = clv_augment_defaults;
    options.flip = 1.5f;
    CHECK_ERROR(clv_augment_create(&augment, &config, &options), CLV_EINVAL, "1.5");
    options = clv_augment_defaults;
    options.hue = NAN;
    CHECK_ERROR(clv_augment_create(&augment, &config, &options), CLV_EINVAL, "hue");
    options = clv_augment_defaults;
    options.contrast = -1;
    CHECK_ERROR(clv_augment_create(&augment, &config, &options), CLV_EINVAL, "contrast");
    CHECK(augment == NULL);
}

/* ---- colours --------------------------------------------------------------------------------- */

static double unit(double value)
{
    return fmin(fmax(value, 0), 1);
}

static double gray(const double *p)
{
    return 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

/* torchvision's adjust_hue for one pixel. */
static void hue_reference(double p[3], double shift)
{
    const double most = fmax(fmax(p[0], p[1]), p[2]), least = fmin(fmin(p[0], p[1]), p[2]);
    const double range = most - least, s = most > least ? range / most : 0;
    double h = 0;
    if (range > 0)
        h = most == p[0]   ? (p[1] - p[2]) / range
            : most == p[1] ? 2 + (p[2] - p[0]) / range
                           : 4 + (p[0] - p[1]) / range;
    h = fmod(h / 6 + 1, 1);
    h = fmod(h + shift + 1, 1);
    for (int c = 0; c < 3; c++) { /* value - value s max(0, min(k, 4 - k, 1)) */
        static const double first[3] = {5, 3, 1};
        const double k = fmod(first[c] + 6 * h, 6);
        p[c] = most - most * s * unit(fmin(k, 4 - k));
    }
}

static void change_reference(double *pixels, int count, enum clv_colour_change change,
                             double factor)
{
    double mean = 0;
    for (int i = 0; i < count; i++)
        mean += gray(pixels + 3 * i) / count;
    for (int i = 0; i < count; i++) {
        double *p = pixels + 3 * i;
        const double other = change == CLV_BRIGHTNESS ? 0 : change == CLV_CONTRAST ? mean : gray(p);
        if (change == CLV_HUE)
            hue_reference(p, factor);
        else
            for (int c = 0; c < 3; c++)
                p[c] = unit(factor * p[c] + (1 - factor) * other);
    }
}

static void colours_change_as_torchvision_says(void)
{
    static float planes[3 * AREA];
    static double pixels[AREA * 3];
    static const double factors[CLV_COLOUR_COUNT][3] = {
        {0.6, 1, 1.4}, {0.6, 1, 1.4}, {0.8, 0, 1.2}, {-0.1, 0.1, 0.5}};
    for (int change = 0; change < CLV_COLOUR_COUNT; change++)
        for (int k = 0; k < 3; k++) {
            uint64_t seed = 9;
            for (int i = 0; i < AREA; i++)
                for (int c = 0; c < 3; c++) {
                    /* Corners of the colour cube and greys among them. */
                    const double value = i < 8 ? i >> c & 1 : i < 16 ? i / 16.0 : t_uniform(&seed);
                    planes[c * AREA + i] = (float)value;
                    pixels[3 * i + c] = (double)planes[c * AREA + i];
                }
            clv_colour_change(planes, AREA, (enum clv_colour_change)change, factors[change][k]);
            change_reference(pixels, AREA, (enum clv_colour_change)change, factors[change][k]);
            for (int i = 0; i < AREA; i++)
                for (int c = 0; c < 3; c++)
                    CHECK_NEAR((double)planes[c * AREA + i], pixels[3 * i + c], 2e-6);
        }
}

static void factors_fill_their_ranges(void)
{
    const float strength[CLV_COLOUR_COUNT] = {0.4f, 1.5f, 0, 0.1f};
    struct clv_random random = clv_random_stream(3, CLV_RANDOM_AUGMENT, 0, 0);
    double least[CLV_COLOUR_COUNT], most[CLV_COLOUR_COUNT];
    int first[CLV_COLOUR_COUNT] = {0};
    for (int i = 0; i < 4000; i++) {
        struct clv_jitter jitter;
        bool seen[CLV_COLOUR_COUNT] = {false};
        clv_jitter_draw(&jitter, strength, &random);
        first[jitter.order[0]]++;
        for (int k = 0; k < CLV_COLOUR_COUNT; k++) {
            seen[jitter.order[k]] = true;
            least[k] = i ? fmin(least[k], jitter.factor[k]) : jitter.factor[k];
            most[k] = i ? fmax(most[k], jitter.factor[k]) : jitter.factor[k];
        }
        for (int k = 0; k < CLV_COLOUR_COUNT; k++)
            CHECK(seen[k]);
        CHECK(jitter.is_done[CLV_BRIGHTNESS] && !jitter.is_done[CLV_SATURATION]);
    }
    for (int k = 0; k < CLV_COLOUR_COUNT; k++)
        CHECK_NEAR(first[k] / 4000.0, 0.25, 0.035);
    CHECK_NEAR(least[CLV_BRIGHTNESS], 0.6, 0.002);
    CHECK_NEAR(most[CLV_BRIGHTNESS], 1.4, 0.002);
    CHECK_NEAR(least[CLV_CONTRAST], 0, 0.004);
    CHECK_NEAR(most[CLV_CONTRAST], 2.5, 0.004);
    CHECK_NEAR(least[CLV_HUE], -0.1, 0.001);
    CHECK_NEAR(most[CLV_HUE], 0.1, 0.001);
}

/* Frames that are all the same show whether factors are drawn for each. */
static void jitter_is_drawn_for_every_frame_or_once(void)
{
    struct clv_augment_options options = {.jitter = 1, .brightness = 0.4f};
    const struct clv_image same[2] = {pictures[0], pictures[0]};
    static float got[2 * 3 * AREA];
    for (int once = 0; once < 2; once++) {
        options.is_jitter_per_clip = once;
        struct clv_augment *augment = new_augment(&options);
        struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, 0);
        REQUIRE_OK(clv_augment_clip(augment, got, same, 2, true, &random));
        CHECK((memcmp(got, got + 3 * AREA, sizeof got / 2) == 0) == once);
        clv_augment_free(augment);
    }
}

static void gates_open_as_often_as_said(void)
{
    const struct clv_augment_options options = {.grayscale = 0.2f};
    struct clv_augment *augment = new_augment(&options);
    static float got[3 * AREA];
    int grays = 0;
    for (uint64_t clip = 0; clip < 1000; clip++) {
        struct clv_random random = clv_random_stream(1, CLV_RANDOM_AUGMENT, 0, clip);
        REQUIRE_OK(clv_augment_clip(augment, got, pictures, 1, true, &random));
        double values[3];
        for (int c = 0; c < 3; c++)
            values[c] = (double)got[c * AREA + 100] * (double)config.pixel_std[c] +
                        (double)config.pixel_mean[c];
        grays += fabs(values[0] - values[1]) < 1e-5 && fabs(values[1] - values[2]) < 1e-5;
    }
    CHECK_NEAR(grays / 1000.0, 0.2, 0.05);
    clv_augment_free(augment);
}

/* ---- mixing ---------------------------------------------------------------------------------- */

enum { B = 5, R = 6, CLASSES = 4 };

static void labels_mix_with_themselves_reversed(void)
{
    static const int32_t classes[B] = {0, 1, 2, 3, 3};
    static float labels[B * CLASSES];
    int cut_count = 0;
    double lambda_sum[2] = {0};
    for (uint64_t draw = 0; draw < 400; draw++) {
        struct clv_random random = clv_random_stream(1, CLV_RANDOM_MIX, draw, 0);
        struct clv_mix mix;
        clv_mix_draw(&mix, &clv_mix_defaults, R, &random);
        clv_mix_labels(labels, classes, B, CLASSES, 0.1f, &mix);
        cut_count += mix.is_cutmix;
        lambda_sum[mix.is_cutmix] += mix.lambda;
        REQUIRE(mix.lambda >= 0 && mix.lambda <= 1);
        if (mix.is_cutmix) {
            const double area = (mix.bottom - mix.top) * (mix.right - mix.left);
            CHECK_NEAR(mix.lambda, 1 - area / (R * R), 1e-12);
        }
        for (int i = 0; i < B; i++)
            for (int c = 0; c < CLASSES; c++) {
                const double own = classes[i] == c ? 0.9 + 0.1 / CLASSES : 0.1 / CLASSES;
                const double other = classes[B - 1 - i] == c ? 0.9 + 0.1 / CLASSES : 0.1 / CLASSES;
                CHECK_NEAR((double)labels[i * CLASSES + c],
                           mix.lambda * own + (1 - mix.lambda) * other, 1e-6);
            }
    }
    CHECK_NEAR(cut_count / 400.0, 0.5, 0.125);
    CHECK_NEAR(lambda_sum[0] / (400 - cut_count), 0.5, 0.12); /* mixup's lambda is symmetric */
}

static void mixing_can_be_one_kind_or_none(void)
{
    struct clv_mix_options options = clv_mix_defaults;
    struct clv_mix mix;
    struct clv_random random = clv_random_stream(1, CLV_RANDOM_MIX, 0, 0);
    options.cutmix_alpha = 0;
    for (int i = 0; i < 100; i++) {
        clv_mix_draw(&mix, &options, R, &random);
        CHECK(!mix.is_cutmix && mix.lambda < 1);
    }
    options = clv_mix_defaults;
    options.mixup_alpha = 0;
    for (int i = 0; i < 100; i++) {
        clv_mix_draw(&mix, &options, R, &random);
        CHECK(mix.is_cutmix);
    }
    options = clv_mix_defaults;
    options.probability = 0;
    clv_mix_draw(&mix, &options, R, &random);
    CHECK(mix.lambda == 1 && !mix.is_cutmix);
}

/* ---- the schedule ---------------------------------------------------------------------------- */

static void rates_warm_up_and_fall(void)
{
    const struct clv_schedule schedule = {
        .lr = 1.2e-5, .lr_min = 1.2e-7, .warmup = 50, .total = 600};
    CHECK_NEAR(clv_schedule_rate(&schedule, 0), 0, 0);
    CHECK_NEAR(clv_schedule_rate(&schedule, 25), 0.6e-5, 1e-18);
    for (int64_t at = 50; at <= 600; at += 50) {
        const double want = 1.2e-7 + (1.2e-5 - 1.2e-7) * pow(cos(M_PI * (double)at / 1200), 2);
        CHECK_NEAR(clv_schedule_rate(&schedule, at), want, 1e-17);
    }
    CHECK_NEAR(clv_schedule_rate(&schedule, 601), 1.2e-7, 0);
    const struct clv_schedule cold = {.lr = 1, .lr_min = 0, .warmup = 0, .total = 4};
    CHECK_NEAR(clv_schedule_rate(&cold, 0), 1, 0);
    CHECK_NEAR(clv_schedule_rate(&cold, 2), 0.5, 1e-15);
}

int main(void)
{
    make_pictures();
    T_RUN(streams_depend_on_all_of_their_key);
    T_RUN(whole_numbers_are_even);
    T_RUN(normal_numbers_have_their_moments);
    T_RUN(gamma_and_beta_numbers_have_their_moments);
    T_RUN(nothing_asked_is_the_models_own_rule);
    T_RUN(crops_are_the_published_ones_and_one_a_clip);
    T_RUN(clips_as_bytes_are_the_same);
    T_RUN(clips_that_say_left_are_not_mirrored);
    T_RUN(names_with_a_side_are_known);
    T_RUN(three_views_lie_side_by_side);
    T_RUN(odd_pictures_are_cut_or_refused);
    T_RUN(senseless_options_are_refused);
    T_RUN(colours_change_as_torchvision_says);
    T_RUN(factors_fill_their_ranges);
    T_RUN(jitter_is_drawn_for_every_frame_or_once);
    T_RUN(gates_open_as_often_as_said);
    T_RUN(labels_mix_with_themselves_reversed);
    T_RUN(mixing_can_be_one_kind_or_none);
    T_RUN(rates_warm_up_and_fall);
    return t_end();
}
