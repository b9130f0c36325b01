/* Zip archives read at random, zip64 and compressed members included; the one file that knows
 * libzip. */
#ifndef CLV_CORE_ARCHIVE_H
#define CLV_CORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_archive;

/* True where the file begins like a zip archive. */
bool clv_archive_is_zip(const void *data, size_t size_bytes);

/* CLV_ENOTFOUND, CLV_EIO, CLV_EINVAL where it is no regular file, CLV_ECORRUPT naming the file and
 * what is wrong with it. */
int clv_archive_open(struct clv_archive **out, const char *path);
void clv_archive_close(struct clv_archive *archive);

const char *clv_archive_path(const struct clv_archive *archive);
size_t clv_archive_count(const struct clv_archive *archive);
/* The member's name, borrowed; its size unpacked in *size_out (may be NULL). */
const char *clv_archive_at(const struct clv_archive *archive, size_t index, uint64_t *size_out);
/* CLV_ENOTFOUND naming the archive and the member. */
int clv_archive_find(const struct clv_archive *archive, size_t *index_out, const char *name);

/* Unpacks all of a member, exactly `size_bytes`, into `out`, and checks its CRC. CLV_ECORRUPT
 * where the member is damaged, encrypted, or of another size. */
int clv_archive_read(struct clv_archive *archive, size_t index, void *out, size_t size_bytes);

/* "libzip 1.7.3", for `--version`. */
const char *clv_archive_version(void);

#endif
