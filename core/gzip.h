/* Whole files that may be gzip-compressed; the one file that knows zlib. */
#ifndef CLV_CORE_GZIP_H
#define CLV_CORE_GZIP_H

#include "core/bytes.h"

#include <stddef.h>

/* Reads `path` into `out` (cleared first), unpacked where it is gzip (told by its first bytes, not
 * its name), as it is otherwise. CLV_ENOTFOUND, CLV_EIO, CLV_EINVAL where it is no regular file or
 * has more than `size_max` bytes (unpacked), CLV_ECORRUPT where the gzip data is damaged or cut
 * off. `out` is empty after a failure; the caller releases it in either case. */
int clv_gzip_read(struct clv_bytes *out, const char *path, size_t size_max);

#endif
