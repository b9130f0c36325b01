/* The contact sheet: one HTML file that shows what an export holds, with a strip of pictures per
 * moment. Self-contained: pictures are data: URIs, nothing is loaded from anywhere; clips are
 * linked by relative names. Moments are written as they come, so memory stays small. */
#ifndef CLV_QUERY_SHEET_H
#define CLV_QUERY_SHEET_H

#include "core/bytes.h"
#include "core/cancel.h"
#include "core/file.h"
#include "query/manifest.h"

#define CLV_SHEET_STRIP 6 /* pictures per moment */

struct clv_sheet {
    struct clv_replace file;
    struct clv_bytes text; /* of the moment being written */
    struct clv_bytes jpeg;
    int rank;
};

/* Begins the file with what is known of the whole export (`manifest` without results). */
int clv_sheet_begin(struct clv_sheet *sheet, const char *path, const struct clv_manifest *manifest);
/* Adds one moment; `source` is where its video lies now, NULL where it cannot be shown. A picture
 * that cannot be had is a blank, not an error. */
int clv_sheet_add(struct clv_sheet *sheet, const struct clv_manifest_entry *entry,
                  const char *source, struct clv_cancel *cancel);
/* Completes the file and puts it in place. */
int clv_sheet_commit(struct clv_sheet *sheet);
/* Safe after a commit or a failed begin. */
void clv_sheet_abort(struct clv_sheet *sheet);

#endif
