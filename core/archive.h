/* Zip archives read at random, zip64 and compressed members included; the one file that knows
 * libzip. Members are stored or deflated; other methods are refused. An archive is used by one
 * thread at a time. */
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
/* The member's name, borrowed; its size unpacked, as the archive claims it, in *size_out (may be
 * NULL). */
const char *clv_archive_at(const struct clv_archive *archive, size_t index, uint64_t *size_out);
/* CLV_ENOTFOUND naming the archive and the member. */
int clv_archive_find(const struct clv_archive *archive, size_t *index_out, const char *name);

/* Whether the member can be read, judged by the directory alone: CLV_ECORRUPT where its size
 * cannot be true (more than the file holds, or than its packed bytes can unpack to),
 * CLV_EUNSUPPORTED where it is encrypted or packed by another method. *stored_out (may be NULL)
 * tells whether its bytes lie in the file as they are. */
int clv_archive_check(const struct clv_archive *archive, size_t index, bool *stored_out);

/* Unpacks all of a member, exactly `size_bytes`, into `out`, and checks its CRC. CLV_ECORRUPT
 * where the member is damaged or of another size, CLV_EUNSUPPORTED where it is encrypted. */
int clv_archive_read(struct clv_archive *archive, size_t index, void *out, size_t size_bytes);

/* Unpacks `size_bytes` from `offset` of a member on. A stored member is read in place, and its CRC,
 * which covers the whole, is not checked. A deflated one is unpacked from its start, or on from
 * where the last call ended if that is not behind `offset`. */
int clv_archive_read_at(struct clv_archive *archive, size_t index, uint64_t offset, void *out,
                        size_t size_bytes);

/* "libzip 1.7.3", for `--version`. */
const char *clv_archive_version(void);

#endif
