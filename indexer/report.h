/* The report of a training run: one web page, self-contained, with the curves, what was mistaken
 * for what, and the worst mistakes in pictures. */
#ifndef CLV_INDEXER_REPORT_H
#define CLV_INDEXER_REPORT_H

#include "core/model/clips.h"
#include "core/model/validate.h"

#include <stdbool.h>
#include <stddef.h>

struct clv_report_fact {
    const char *name, *value;
};

struct clv_report {
    const char *title;
    const char *journal_path;            /* where the curves come from */
    const struct clv_report_fact *facts; /* what was trained, on what, how */
    size_t fact_count;
    int epoch_count;    /* in the whole run */
    bool is_unfinished; /* it was interrupted */
    /* The last validation and the clips it was of; NULL: there was none. */
    const struct clv_validation *validation;
    const struct clv_clips *clips;
};

/* A clip whose pictures cannot be had is shown without. */
int clv_report_write(const char *path, const struct clv_report *report);

#endif
