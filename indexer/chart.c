#include "indexer/chart.h"

#include "core/html.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

/* In units of the picture: its size, and what is left of the axes, above and below. */
enum { WIDTH = 720, HEIGHT = 260, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 40 };
enum { POINTS_MAX = 600 };

struct range {
    double x_max, y_min, y_max;
};

static double place_x(const struct range *range, double x)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (range->x_max > 0 ? x / range->x_max : 0);
}

static double place_y(const struct range *range, double y)
{
    double share = (y - range->y_min) / (range->y_max - range->y_min);
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (share < 0 ? 0 : share > 1 ? 1 : share);
}

/* 1, 2 or 5 times a power of ten, so that about `count` steps make up `span`. */
static double step_of(double span, int count)
{
    double rough = span / count, power = pow(10, floor(log10(rough)));
    double share = rough / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

static void find_range(struct range *out, const struct clv_chart *chart)
{
    *out = (struct range){.x_max = chart->x_max, .y_max = chart->y_max};
    for (int s = 0; s < chart->series_count; s++) {
        const struct clv_chart_series *series = &chart->series[s];
        for (size_t i = 0; i < series->count; i++) {
            if (!isfinite(series->x[i]) || !isfinite(series->y[i]))
                continue;
            if (chart->x_max <= 0 && series->x[i] > out->x_max)
                out->x_max = series->x[i];
            if (chart->y_max <= 0 && series->y[i] > out->y_max)
                out->y_max = series->y[i];
            if (series->y[i] < out->y_min)
                out->y_min = series->y[i];
        }
    }
    if (chart->is_percent)
        out->y_max = 1;
    if (!(out->x_max > 0))
        out->x_max = 1;
    if (!(out->y_max > out->y_min))
        out->y_max = out->y_min + 1;
}

static void add_axes(struct clv_bytes *out, const struct clv_chart *chart,
                     const struct range *range)
{
    double step = step_of(range->y_max - range->y_min, 5);
    for (double y = ceil(range->y_min / step) * step; y <= range->y_max * 1.0001; y += step) {
        double at = place_y(range, y);
        clv_bytes_format(out,
                         "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                         "text-anchor=\"end\">",
                         LEFT, at, WIDTH - RIGHT, LEFT - 7, at + 4);
        if (chart->is_percent)
            clv_bytes_format(out, "%.0f %%</text>", 100 * y);
        else
            clv_bytes_format(out, "%.4g</text>", fabs(y) < step / 2 ? 0 : y);
    }
    step = step_of(range->x_max, 6);
    step = step < 1 ? 1 : step;
    for (double x = 0; x <= range->x_max * 1.0001; x += step)
        clv_bytes_format(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.8g</text>",
                         place_x(range, x), HEIGHT - BOTTOM + 17, x);
    clv_bytes_format(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
                     HEIGHT - 5);
    clv_html_text(out, chart->x_label);
    clv_bytes_text(out, "</text>");
}

/* The mean of points [first, last) that are finite; false where there are none. */
static bool mean_point(double *x_out, double *y_out, const struct clv_chart_series *series,
                       size_t first, size_t last)
{
    double x = 0, y = 0;
    size_t count = 0;
    for (size_t i = first; i < last; i++) {
        if (!isfinite(series->x[i]) || !isfinite(series->y[i]))
            continue;
        x += series->x[i];
        y += series->y[i];
        count++;
    }
    *x_out = count ? x / (double)count : 0;
    *y_out = count ? y / (double)count : 0;
    return count > 0;
}

static void add_line(struct clv_bytes *out, const struct clv_chart_series *series, int colour,
                     const struct range *range)
{
    size_t points = series->count < POINTS_MAX ? series->count : POINTS_MAX;
    double x = 0, y = 0;
    size_t drawn = 0;
    clv_bytes_format(out, "<path class=\"line c%d\" d=\"", colour);
    for (size_t i = 0; i < points; i++) {
        size_t first = (size_t)((double)i * (double)series->count / (double)points);
        size_t last = (size_t)((double)(i + 1) * (double)series->count / (double)points);
        if (mean_point(&x, &y, series, first, last))
            clv_bytes_format(out, "%c%.1f %.1f", drawn++ ? 'L' : 'M', place_x(range, x),
                             place_y(range, y));
    }
    clv_bytes_text(out, "\"/>");
    /* A line through one point is nothing to be seen. */
    if (drawn > 0 && series->count <= 40)
        for (size_t i = 0; i < series->count; i++)
            if (mean_point(&x, &y, series, i, i + 1))
                clv_bytes_format(out,
                                 "<circle class=\"dot c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>",
                                 colour, place_x(range, x), place_y(range, y));
}

void clv_chart_add(struct clv_bytes *out, const struct clv_chart *chart)
{
    struct range range;
    find_range(&range, chart);
    clv_bytes_text(out, "<figure class=\"chart\"><figcaption><b>");
    clv_html_text(out, chart->title);
    clv_bytes_text(out, "</b>");
    for (int s = 0; s < chart->series_count; s++) {
        clv_bytes_format(out, " <span class=\"key c%d\"></span>", s);
        clv_html_text(out, chart->series[s].name);
    }
    clv_bytes_format(out, "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                     WIDTH, HEIGHT);
    clv_html_text(out, chart->title);
    clv_bytes_text(out, "\">");
    add_axes(out, chart, &range);
    for (int s = 0; s < chart->series_count; s++)
        add_line(out, &chart->series[s], s, &range);
    clv_bytes_text(out, "</svg></figure>\n");
}
