/* BLAKE2b-256 digests of bytes and files, random bytes, and the two text forms of bytes; and what
 * others publish about files: SHA-256, and Ed25519 signatures. The one file that knows libsodium.
 */
#ifndef CLV_CORE_DIGEST_H
#define CLV_CORE_DIGEST_H

#include "core/cancel.h"

#include <stdbool.h>
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

/* BLAKE2b-512 of a file, as clv_digest_file(). */
#define CLV_DIGEST512_BYTES 64
int clv_digest512_file(uint8_t out[CLV_DIGEST512_BYTES], const char *path,
                       struct clv_cancel *cancel);

/* SHA-256, which has the size of a digest and so its text forms. Incremental; caller-owned, nothing
 * to release, may be copied to look at what it is so far. */
struct clv_sha256 {
    unsigned char state[128] __attribute__((aligned(16)));
};
void clv_sha256_init(struct clv_sha256 *sha256);
void clv_sha256_add(struct clv_sha256 *sha256, const void *data, size_t size_bytes);
void clv_sha256_finish(struct clv_sha256 *sha256, uint8_t out[CLV_DIGEST_BYTES]);
int clv_sha256_file(uint8_t out[CLV_DIGEST_BYTES], const char *path, struct clv_cancel *cancel);

#define CLV_ED25519_KEY_BYTES 32
#define CLV_ED25519_SIGNATURE_BYTES 64
/* True where `signature` is `key`'s of the message (RFC 8032). */
bool clv_ed25519_verify(const uint8_t signature[CLV_ED25519_SIGNATURE_BYTES], const void *message,
                        size_t size_bytes, const uint8_t key[CLV_ED25519_KEY_BYTES]);

/* Lower-case hexadecimal of a digest; returns `out`. */
char *clv_digest_text(char out[CLV_DIGEST_TEXT_SIZE], const uint8_t digest[CLV_DIGEST_BYTES]);
int clv_digest_parse(uint8_t out[CLV_DIGEST_BYTES], const char *text);

/* Standard base64 with padding of `data`, NUL-terminated; the caller frees. NULL with the message
 * recorded when out of memory. */
char *clv_base64(const void *data, size_t size_bytes);
/* The bytes of standard base64 with padding; false where it is anything else, or where they are not
 * exactly `size_bytes`. */
bool clv_base64_decode(void *out, size_t size_bytes, const char *text, size_t text_size);

void clv_random_bytes(void *out, size_t size_bytes);

/* "libsodium 1.0.18", for `--version`. */
const char *clv_digest_version(void);

#endif
