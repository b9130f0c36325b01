/* Line charts as SVG in a web page, in the colours of its style sheet (.c0 … .c3). */
#ifndef CLV_INDEXER_CHART_H
#define CLV_INDEXER_CHART_H

#include "core/bytes.h"

#include <stdbool.h>
#include <stddef.h>

#define CLV_CHART_SERIES_MAX 4

struct clv_chart_series {
    const char *name;
    const double *x, *y; /* finite or not: what is not is left out */
    size_t count;
};

struct clv_chart {
    const char *title, *x_label;
    const struct clv_chart_series *series;
    int series_count;
    double x_max;    /* 0: the largest x */
    double y_max;    /* 0: the largest y */
    bool is_percent; /* y runs from 0 to 1 */
};

/* Appends a <figure>. Long series are drawn as the means of equal stretches. */
void clv_chart_add(struct clv_bytes *out, const struct clv_chart *chart);

#endif
