#include "core/model/colour.h"

#include <math.h>

void clv_jitter_draw(struct clv_jitter *out, const float strength[CLV_COLOUR_COUNT],
                     struct clv_random *random)
{
    for (int i = 0; i < CLV_COLOUR_COUNT; i++)
        out->order[i] = (enum clv_colour_change)i;
    for (int i = CLV_COLOUR_COUNT - 1; i > 0; i--) {
        const int k = clv_random_below(random, i + 1);
        const enum clv_colour_change held = out->order[i];
        out->order[i] = out->order[k];
        out->order[k] = held;
    }
    for (int i = 0; i < CLV_COLOUR_COUNT; i++) {
        const double s = (double)strength[i];
        const double middle = i == CLV_HUE ? 0 : 1;
        const double low = i == CLV_HUE || s < 1 ? middle - s : 0;
        out->factor[i] = clv_random_between(random, low, middle + s);
        out->is_done[i] = s > 0;
    }
}

void clv_jitter_apply(float *planes, size_t count, const struct clv_jitter *jitter)
{
    for (int i = 0; i < CLV_COLOUR_COUNT; i++)
        if (jitter->is_done[jitter->order[i]])
            clv_colour_change(planes, count, jitter->order[i], jitter->factor[jitter->order[i]]);
}

static float gray(float red, float green, float blue)
{
    return 0.2989f * red + 0.587f * green + 0.114f * blue;
}

static float unit(float value)
{
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

static double mean_gray(const float *planes, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)gray(planes[i], planes[count + i], planes[2 * count + i]);
    return sum / (double)count;
}

static void blend_with(float *values, size_t count, float factor, float other)
{
    for (size_t i = 0; i < count; i++)
        values[i] = unit(factor * values[i] + (1 - factor) * other);
}

static void saturate(float *planes, size_t count, float factor)
{
    for (size_t i = 0; i < count; i++) {
        const float other = gray(planes[i], planes[count + i], planes[2 * count + i]);
        for (size_t c = 0; c < 3; c++)
            planes[c * count + i] = unit(factor * planes[c * count + i] + (1 - factor) * other);
    }
}

/* The hue in turns, 0 for greys. */
static float hue_of(float r, float g, float b, float most, float range)
{
    if (!(range > 0))
        return 0;
    const float rc = (most - r) / range, gc = (most - g) / range, bc = (most - b) / range;
    const float sixths = most == r ? bc - gc : most == g ? 2 + rc - bc : 4 + gc - rc;
    return sixths / 6;
}

/* Through hue, saturation and value, and back. */
static void turn_hue(float *planes, size_t count, float shift)
{
    for (size_t i = 0; i < count; i++) {
        float *r = planes + i, *g = r + count, *b = g + count;
        const float most = fmaxf(fmaxf(*r, *g), *b), least = fminf(fminf(*r, *g), *b);
        const float s = most > least ? (most - least) / most : 0;
        float h = hue_of(*r, *g, *b, most, most - least) + shift;
        h -= floorf(h);
        const int sector = (int)(h * 6) % 6;
        const float f = h * 6 - floorf(h * 6);
        const float v = most, p = unit(v * (1 - s)), q = unit(v * (1 - s * f)),
                    t = unit(v * (1 - s * (1 - f)));
        const float rgb[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
        *r = rgb[sector][0];
        *g = rgb[sector][1];
        *b = rgb[sector][2];
    }
}

void clv_colour_change(float *planes, size_t count, enum clv_colour_change change, double factor)
{
    switch (change) {
    case CLV_BRIGHTNESS:
        blend_with(planes, 3 * count, (float)factor, 0);
        break;
    case CLV_CONTRAST:
        blend_with(planes, 3 * count, (float)factor, (float)mean_gray(planes, count));
        break;
    case CLV_SATURATION:
        saturate(planes, count, (float)factor);
        break;
    default:
        turn_hue(planes, count, (float)factor);
        break;
    }
}

void clv_colour_gray(float *planes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float value = gray(planes[i], planes[count + i], planes[2 * count + i]);
        planes[i] = planes[count + i] = planes[2 * count + i] = value;
    }
}
