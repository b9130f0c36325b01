/* The video file behind a moment: still there, and still what was indexed? */
#ifndef CLV_QUERY_SOURCE_H
#define CLV_QUERY_SOURCE_H

#include "core/cancel.h"
#include "storage/store.h"

#include <stdint.h>

struct clv_source {
    char *path;          /* where the video lies now */
    int64_t duration_ms; /* as its container says; 0: it does not say */
};

/* Finds the file of `moment`. Where it is gone, another path of the same content that `store` (may
 * be NULL) knows is taken. Size and time of change equal to the store's row count as unchanged;
 * otherwise the file is read and its digest compared. CLV_ENOTFOUND, CLV_EINVAL where the content
 * has changed, the reader's errors, CLV_ECANCELED. Release with clv_source_release(). */
int clv_source_find(struct clv_source *out, const struct clv_moment_row *moment,
                    struct clv_store *store, struct clv_cancel *cancel);
void clv_source_release(struct clv_source *source);

#endif
