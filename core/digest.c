/* Through libsodium, whose generic hash is BLAKE2b. */
#include "core/digest.h"

#include "core/error.h"
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(((struct clv_digest *)0)->state),
               "struct clv_digest holds libsodium's state");
_Static_assert(_Alignof(crypto_generichash_state) <= _Alignof(struct clv_digest),
               "struct clv_digest is aligned for libsodium's state");
_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(((struct clv_sha256 *)0)->state),
               "struct clv_sha256 holds libsodium's state");
_Static_assert(_Alignof(crypto_hash_sha256_state) <= _Alignof(struct clv_sha256),
               "struct clv_sha256 is aligned for libsodium's state");
_Static_assert(crypto_sign_PUBLICKEYBYTES == CLV_ED25519_KEY_BYTES &&
                   crypto_sign_BYTES == CLV_ED25519_SIGNATURE_BYTES,
               "libsodium's signatures are Ed25519");

#define READ_BYTES ((size_t)1 << 18)

static crypto_generichash_state *state_of(struct clv_digest *digest)
{
    return (crypto_generichash_state *)(void *)digest->state;
}

/* Picks the fastest implementation once; later calls are cheap and thread-safe. */
static void start_sodium(void)
{
    if (sodium_init() < 0)
        clv_log(CLV_LOG_WARNING, "libsodium cannot start; its portable code is used");
}

void clv_digest_init(struct clv_digest *digest)
{
    start_sodium();
    crypto_generichash_init(state_of(digest), NULL, 0, CLV_DIGEST_BYTES);
}

void clv_digest_add(struct clv_digest *digest, const void *data, size_t size_bytes)
{
    crypto_generichash_update(state_of(digest), data, size_bytes);
}

void clv_digest_finish(struct clv_digest *digest, uint8_t out[CLV_DIGEST_BYTES])
{
    crypto_generichash_final(state_of(digest), out, CLV_DIGEST_BYTES);
}

void clv_digest_bytes(uint8_t out[CLV_DIGEST_BYTES], const void *data, size_t size_bytes)
{
    struct clv_digest digest;
    clv_digest_init(&digest);
    clv_digest_add(&digest, data, size_bytes);
    clv_digest_finish(&digest, out);
}

/* Hands a file's bytes to `add`, front to back. */
typedef void add_bytes(void *state, const void *data, size_t size_bytes);
static int read_file(const char *path, struct clv_cancel *cancel, add_bytes *add, void *state)
{
    int status = CLV_OK;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return clv_fail_errno("cannot open '%s'", path);
    (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    unsigned char *block = malloc(READ_BYTES);
    if (!block)
        status = clv_fail_memory("reading a file");
    while (status == CLV_OK) {
        if (clv_cancelled(cancel)) {
            status = clv_fail(CLV_ECANCELED, "canceled");
            break;
        }
        ssize_t got = read(descriptor, block, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = clv_fail_errno("cannot read '%s'", path);
        if (got <= 0)
            break;
        add(state, block, (size_t)got);
    }
    free(block);
    close(descriptor);
    return status;
}

static void add_digest(void *state, const void *data, size_t size_bytes)
{
    clv_digest_add(state, data, size_bytes);
}

int clv_digest_file(uint8_t out[CLV_DIGEST_BYTES], const char *path, struct clv_cancel *cancel)
{
    struct clv_digest digest;
    clv_digest_init(&digest);
    int status = read_file(path, cancel, add_digest, &digest);
    if (status == CLV_OK)
        clv_digest_finish(&digest, out);
    return status;
}

int clv_digest512_file(uint8_t out[CLV_DIGEST512_BYTES], const char *path,
                       struct clv_cancel *cancel)
{
    struct clv_digest digest;
    start_sodium();
    crypto_generichash_init(state_of(&digest), NULL, 0, CLV_DIGEST512_BYTES);
    int status = read_file(path, cancel, add_digest, &digest);
    if (status == CLV_OK)
        crypto_generichash_final(state_of(&digest), out, CLV_DIGEST512_BYTES);
    return status;
}

/* ---- SHA-256 and Ed25519 ---- */

static crypto_hash_sha256_state *sha256_of(struct clv_sha256 *sha256)
{
    return (crypto_hash_sha256_state *)(void *)sha256->state;
}

void clv_sha256_init(struct clv_sha256 *sha256)
{
    start_sodium();
    crypto_hash_sha256_init(sha256_of(sha256));
}

void clv_sha256_add(struct clv_sha256 *sha256, const void *data, size_t size_bytes)
{
    crypto_hash_sha256_update(sha256_of(sha256), data, size_bytes);
}

void clv_sha256_finish(struct clv_sha256 *sha256, uint8_t out[CLV_DIGEST_BYTES])
{
    crypto_hash_sha256_final(sha256_of(sha256), out);
}

static void add_sha256(void *state, const void *data, size_t size_bytes)
{
    clv_sha256_add(state, data, size_bytes);
}

int clv_sha256_file(uint8_t out[CLV_DIGEST_BYTES], const char *path, struct clv_cancel *cancel)
{
    struct clv_sha256 sha256;
    clv_sha256_init(&sha256);
    int status = read_file(path, cancel, add_sha256, &sha256);
    if (status == CLV_OK)
        clv_sha256_finish(&sha256, out);
    return status;
}

bool clv_ed25519_verify(const uint8_t signature[CLV_ED25519_SIGNATURE_BYTES], const void *message,
                        size_t size_bytes, const uint8_t key[CLV_ED25519_KEY_BYTES])
{
    start_sodium();
    return crypto_sign_verify_detached(signature, message, size_bytes, key) == 0;
}

/* ---- text forms ---- */

char *clv_digest_text(char out[CLV_DIGEST_TEXT_SIZE], const uint8_t digest[CLV_DIGEST_BYTES])
{
    return sodium_bin2hex(out, CLV_DIGEST_TEXT_SIZE, digest, CLV_DIGEST_BYTES);
}

int clv_digest_parse(uint8_t out[CLV_DIGEST_BYTES], const char *text)
{
    size_t size = 0;
    if (strlen(text) != CLV_DIGEST_TEXT_SIZE - 1 ||
        sodium_hex2bin(out, CLV_DIGEST_BYTES, text, CLV_DIGEST_TEXT_SIZE - 1, NULL, &size, NULL) !=
            0 ||
        size != CLV_DIGEST_BYTES)
        return clv_fail(CLV_EINVAL, "'%s' is not a digest of 64 hexadecimal digits", text);
    return CLV_OK;
}

char *clv_base64(const void *data, size_t size_bytes)
{
    /* Checked here because libsodium aborts on sizes it cannot encode. */
    if (size_bytes > (size_t)1 << 40) {
        clv_fail_memory("base64 text");
        return NULL;
    }
    size_t room = sodium_base64_encoded_len(size_bytes, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room);
    if (!text) {
        clv_fail_memory("base64 text");
        return NULL;
    }
    sodium_bin2base64(text, room, data, size_bytes, sodium_base64_VARIANT_ORIGINAL);
    return text;
}

bool clv_base64_decode(void *out, size_t size_bytes, const char *text, size_t text_size)
{
    size_t got = 0;
    const char *end = NULL;
    /* libsodium takes '+' and '/' for themselves with the highest bit set too. */
    for (size_t i = 0; i < text_size; i++) {
        if ((unsigned char)text[i] > 127)
            return false;
    }
    return sodium_base642bin(out, size_bytes, text, text_size, NULL, &got, &end,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == size_bytes && end == text + text_size;
}

void clv_random_bytes(void *out, size_t size_bytes)
{
    start_sodium();
    randombytes_buf(out, size_bytes);
}

const char *clv_digest_version(void)
{
    return "libsodium " SODIUM_VERSION_STRING;
}
