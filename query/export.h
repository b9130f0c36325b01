/* Cutting moments out: clips, a manifest, a contact sheet. */
#ifndef CLV_QUERY_EXPORT_H
#define CLV_QUERY_EXPORT_H

#include "core/cancel.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_export_options {
    const char *directory; /* made where it is missing */
    bool copy;             /* stream copies from keyframe to keyframe */
    bool no_audio;
    bool overwrite;          /* otherwise an existing file is CLV_EINVAL before anything is cut */
    bool no_clips;           /* only manifest and contact sheet */
    int64_t pad_ms;          /* added before and after, inside the file */
    int quality;             /* CRF; 0: 18 */
    struct clv_store *store; /* finds videos that have moved, and tells unchanged ones without
                                reading them; may be NULL */
    struct clv_cancel *cancel;
};

struct clv_export_progress {
    int done, count, failed_count;
    const char *path;   /* of the clip just written */
    const char *detail; /* what a copy moved, or why this one failed; "" otherwise */
    bool failed;
};
typedef void clv_export_report(const struct clv_export_progress *progress, void *payload);

struct clv_export_totals {
    int written_count, failed_count;
    char *manifest_csv, *manifest_json, *sheet; /* paths; release frees */
};

/* Writes one clip per moment ("SOURCE_0m12.500s-0m16.500s.mp4"; copies keep the source's kind of
 * file where it can be written), manifest.csv, manifest.json and contact-sheet.html. A moment that
 * cannot be cut, or whose video is gone or has changed since it was indexed, is reported and listed
 * in the manifest with its reason; the rest go on. After a cancel the lists hold what was done, and
 * the result is CLV_ECANCELED. */
int clv_export_moments(struct clv_export_totals *totals_out, const char *query,
                       const struct clv_moment_row *moments, int count,
                       const struct clv_export_options *options, clv_export_report *report,
                       void *payload);

/* The moments of the newest remembered result; CLV_ENOTFOUND where there is none, or it is empty.
 * options->store is set to `store`. */
int clv_export_last(struct clv_export_totals *totals_out, struct clv_store *store,
                    const struct clv_export_options *options, clv_export_report *report,
                    void *payload);
/* Remembered moments by their ids; CLV_ENOTFOUND where one is not remembered. */
int clv_export_ids(struct clv_export_totals *totals_out, struct clv_store *store,
                   const int64_t *ids, int count, const struct clv_export_options *options,
                   clv_export_report *report, void *payload);

void clv_export_totals_release(struct clv_export_totals *totals);

#endif
