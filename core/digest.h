/* BLAKE2b-256 digests of bytes and files, random bytes, and the two text forms of bytes. The one
 * file that knows libsodium. */
#ifndef CLV_CORE_DIGEST_H
#define CLV_CORE_DIGEST_H

#include "core/cancel.h"

#include <stddef.h>
#include <stdint.h>

#define CLV_DIGEST_BYTES 32
#define CLV_DIGEST_TEXT_SIZE (2 * CLV_DIGEST_BYTES + 1)

/* Incremental digest; caller-owned, nothing to release. */
struct clv_digest {
    unsigned char state[384] __attribute__((aligned(64)));
};
void clv_digest_init(struct clv_digest *digest);
void clv_digest_add(struct clv_digest *digest, const void *data, size_t size_bytes);
void clv_digest_finish(struct clv_digest *digest, uint8_t out[CLV_DIGEST_BYTES]);

void clv_digest_bytes(uint8_t out[CLV_DIGEST_BYTES], const void *data, size_t size_bytes);
/* Reads the file front to back without mapping it; CLV_ECANCELED where `cancel` (may be NULL)
 * asks to stop. */
int clv_digest_file(uint8_t out[CLV_DIGEST_BYTES], const char *path, struct clv_cancel *cancel);

/* Lower-case hexadecimal of a digest; returns `out`. */
char *clv_digest_text(char out[CLV_DIGEST_TEXT_SIZE], const uint8_t digest[CLV_DIGEST_BYTES]);
int clv_digest_parse(uint8_t out[CLV_DIGEST_BYTES], const char *text);

/* Standard base64 with padding of `data`, NUL-terminated; the caller frees. NULL with the message
 * recorded when out of memory. */
char *clv_base64(const void *data, size_t size_bytes);

void clv_random_bytes(void *out, size_t size_bytes);

/* "libsodium 1.0.18", for `--version`. */
const char *clv_digest_version(void);

#endif
