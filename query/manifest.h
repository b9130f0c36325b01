/* What an export did, for machines: one row per moment, as CSV and as JSON. */
#ifndef CLV_QUERY_MANIFEST_H
#define CLV_QUERY_MANIFEST_H

#include "core/bytes.h"
#include "core/media/cut.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

/* How one moment fared. Strings are owned by whoever fills the entry. */
struct clv_manifest_entry {
    const struct clv_moment_row *moment;
    int64_t start_ms, end_ms; /* asked for: the moment with its padding, inside the file */
    char *clip;               /* file name inside the folder */
    bool is_written;
    struct clv_cut_result cut; /* where is_written */
    char *detail;              /* what a copy moved; NULL: nothing */
    char *error;               /* why there is no clip; NULL: none was wanted, or it is written */
};

struct clv_manifest {
    const char *query;
    const char *mode; /* "encode", "copy" or "none" */
    int64_t created_unix_ms;
    const struct clv_manifest_entry *entries; /* best first */
    int count;
};

/* RFC 4180 with a header row and CRLF, in UTF-8 (bytes of a path that are not become U+FFFD; the
 * digest names the video without doubt). Texts that a spreadsheet would take for a formula get a
 * leading apostrophe. Times are seconds with three decimals. */
int clv_manifest_csv(struct clv_bytes *out, const struct clv_manifest *manifest);

/* One object: "format" ("claverdb-export-1"), "query", "mode", "created_unix_ms", "moments". */
int clv_manifest_json(struct clv_bytes *out, const struct clv_manifest *manifest);

#endif
