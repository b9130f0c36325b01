/* Digests against Python's hashlib.blake2b(…, digest_size=32), base64, random bytes. */
#include "tests/t.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DIGEST_OF_NOTHING "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
#define DIGEST_OF_ABC "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
#define DIGEST_OF_LONG "5d074c3f889bcba3b3a253496ee73cba18832b6d3c67d2b739dc202c78ed2581"
#define LONG_BYTES 256000 /* 0 … 255, a thousand times */

static unsigned char *long_text(void)
{
    unsigned char *text = malloc(LONG_BYTES);
    for (int i = 0; text && i < LONG_BYTES; i++)
        text[i] = (unsigned char)i;
    return text;
}

static void check_digest(const uint8_t digest[CLV_DIGEST_BYTES], const char *want)
{
    char text[CLV_DIGEST_TEXT_SIZE];
    CHECK_STRING(clv_digest_text(text, digest), want);
}

static void digests_are_blake2b(void)
{
    uint8_t digest[CLV_DIGEST_BYTES];
    clv_digest_bytes(digest, "", 0);
    check_digest(digest, DIGEST_OF_NOTHING);
    clv_digest_bytes(digest, "abc", 3);
    check_digest(digest, DIGEST_OF_ABC);
}

static void pieces_give_the_same_digest(void)
{
    unsigned char *text = long_text();
    REQUIRE(text != NULL);
    uint8_t digest[CLV_DIGEST_BYTES];
    struct clv_digest state;
    clv_digest_init(&state);
    uint64_t seed = 5;
    for (size_t at = 0; at < LONG_BYTES;) {
        size_t size = t_random(&seed) % 3000;
        size = size < LONG_BYTES - at ? size : LONG_BYTES - at;
        clv_digest_add(&state, text + at, size);
        at += size;
    }
    clv_digest_finish(&state, digest);
    check_digest(digest, DIGEST_OF_LONG);
    free(text);
}

static void files_are_digested(void)
{
    unsigned char *text = long_text();
    const char *directory = t_directory();
    const char *path = t_path(directory, "file");
    uint8_t digest[CLV_DIGEST_BYTES];
    CHECK_OK(clv_file_replace(path, text, LONG_BYTES));
    CHECK_OK(clv_digest_file(digest, path, NULL));
    check_digest(digest, DIGEST_OF_LONG);
    CHECK_OK(clv_file_replace(path, "", 0));
    CHECK_OK(clv_digest_file(digest, path, NULL));
    check_digest(digest, DIGEST_OF_NOTHING);
    struct clv_cancel cancel = {0};
    CHECK_OK(clv_digest_file(digest, path, &cancel));
    clv_cancel_request(&cancel);
    CHECK_ERROR(clv_digest_file(digest, path, &cancel), CLV_ECANCELED, "canceled");
    CHECK_ERROR(clv_digest_file(digest, t_path(directory, "absent"), NULL), CLV_ENOTFOUND,
                "absent");
    CHECK_ERROR(clv_digest_file(digest, directory, NULL), CLV_EIO, directory);
    free(text);
}

static void digests_are_read_back(void)
{
    uint8_t digest[CLV_DIGEST_BYTES];
    char bad[CLV_DIGEST_TEXT_SIZE];
    CHECK_OK(clv_digest_parse(digest, DIGEST_OF_ABC));
    check_digest(digest, DIGEST_OF_ABC);
    CHECK_OK(clv_digest_parse(digest,
                              "BDDD813C634239723171EF3FEE98579B94964E3BB1CB3E427262C8C068D52319"));
    check_digest(digest, DIGEST_OF_ABC);
    CHECK_ERROR(clv_digest_parse(digest, ""), CLV_EINVAL, "not a digest");
    CHECK_ERROR(clv_digest_parse(digest, "abcd"), CLV_EINVAL, "'abcd'");
    memcpy(bad, DIGEST_OF_ABC, sizeof bad);
    bad[63] = 'g';
    CHECK_ERROR(clv_digest_parse(digest, bad), CLV_EINVAL, "64 hexadecimal digits");
    CHECK_ERROR(clv_digest_parse(digest, DIGEST_OF_ABC "0"), CLV_EINVAL, "not a digest");
}

static void check_base64(const char *data, size_t size, const char *want)
{
    char *text = clv_base64(data, size);
    CHECK_STRING(text, want);
    free(text);
}

static void base64_is_standard_and_padded(void)
{
    check_base64("", 0, "");
    check_base64("f", 1, "Zg==");
    check_base64("fo", 2, "Zm8=");
    check_base64("foo", 3, "Zm9v");
    check_base64("foobar", 6, "Zm9vYmFy");
    check_base64("\0\xff\xfe\xfb", 4, "AP/++w==");
    CHECK(clv_base64("", SIZE_MAX) == NULL);
}

static void random_bytes_differ(void)
{
    unsigned char a[32] = {0}, b[32] = {0}, zero[32] = {0};
    clv_random_bytes(a, sizeof a);
    clv_random_bytes(b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
    CHECK(memcmp(a, zero, sizeof a) != 0);
}

int main(void)
{
    T_RUN(digests_are_blake2b);
    T_RUN(pieces_give_the_same_digest);
    T_RUN(files_are_digested);
    T_RUN(digests_are_read_back);
    T_RUN(base64_is_standard_and_padded);
    T_RUN(random_bytes_differ);
    return t_end();
}
