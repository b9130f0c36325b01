/* Finding the video files under folders. */
#ifndef CLV_INDEXER_SCAN_H
#define CLV_INDEXER_SCAN_H

#include "core/cancel.h"

#include <stdint.h>

struct clv_scan_file {
    char *path; /* absolute, links resolved */
    int64_t size_bytes;
    int64_t modified_ns;
    int is_named; /* given by the user itself, so a file that is no video is an error of its own */
};

struct clv_scan_problem {
    char *path;   /* a folder that could not be read, or not wholly */
    char *reason; /* one sentence */
};

struct clv_scan {
    struct clv_scan_file *files; /* in order of path, each once */
    int count;
    int64_t size_bytes; /* of all */
    struct clv_scan_problem *problems;
    int problem_count;
    char **roots; /* absolute paths given, as resolved */
    int root_count;
};

/* Walks `paths` (files or folders). Folders: hidden entries, "@eaDir" and names that are no video's
 * are skipped, symbolic links followed, each folder entered once (loops end). A path that does not
 * exist is CLV_ENOTFOUND. Release with clv_scan_release(), also after a failure. */
int clv_scan_paths(struct clv_scan *out, const char *const *paths, int path_count,
                   struct clv_cancel *cancel);
void clv_scan_release(struct clv_scan *scan);

#endif
