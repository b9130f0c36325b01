/* What an exported clip is called. */
#ifndef CLV_QUERY_CLIPNAME_H
#define CLV_QUERY_CLIPNAME_H

#include "core/bytes.h"

#include <stdint.h>

/* Writes "SOURCE_0m12.500s-0m16.500s.mp4" into `out` (cleared first): the source's base name
 * without its extension, of which letters, digits, '.', '-' and '_' are kept and the rest becomes
 * '_' (at most CLV_CLIPNAME_BASE_BYTES of it), then the times, with hours where there are any. The
 * name begins with neither '.' nor '-'. */
#define CLV_CLIPNAME_BASE_BYTES 120
int clv_clipname(struct clv_bytes *out, const char *source, int64_t start_ms, int64_t end_ms,
                 const char *extension);

/* Puts "-NUMBER" before the name's extension: how two clips that would share a name are told
 * apart. */
int clv_clipname_number(struct clv_bytes *out, const char *name, int number);

/* The extension for copied streams: the source's own where it names a container that can be
 * written, otherwise "mkv", which holds nearly anything. */
const char *clv_clipname_copy_extension(const char *source);

#endif
