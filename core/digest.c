/* BLAKE2b through libsodium, whose generic hash is BLAKE2b. */
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

#define READ_BYTES ((size_t)1 << 18)

static crypto_generichash_state *state_of(struct clv_digest *digest)
{
    return (crypto_generichash_state *)(void *)digest->state;
}

void clv_digest_init(struct clv_digest *digest)
{
    /* Picks the fastest implementation once; later calls are cheap and thread-safe. */
    if (sodium_init() < 0)
        clv_log(CLV_LOG_WARNING, "libsodium cannot start; its portable code is used");
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

int clv_digest_file(uint8_t out[CLV_DIGEST_BYTES], const char *path, struct clv_cancel *cancel)
{
    int status = CLV_OK;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return clv_fail_errno("cannot open '%s'", path);
    (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    unsigned char *block = malloc(READ_BYTES);
    struct clv_digest digest;
    clv_digest_init(&digest);
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
        clv_digest_add(&digest, block, (size_t)got);
    }
    if (status == CLV_OK)
        clv_digest_finish(&digest, out);
    free(block);
    close(descriptor);
    return status;
}

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

void clv_random_bytes(void *out, size_t size_bytes)
{
    if (sodium_init() < 0)
        clv_log(CLV_LOG_WARNING, "libsodium cannot start; its portable code is used");
    randombytes_buf(out, size_bytes);
}

const char *clv_digest_version(void)
{
    return "libsodium " SODIUM_VERSION_STRING;
}
