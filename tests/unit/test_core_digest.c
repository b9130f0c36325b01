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

/* FIPS 180-2's examples; Python's hashlib for the long one. */
static void sha256_is_the_standards(void)
{
    unsigned char *text = long_text();
    REQUIRE(text != NULL);
    uint8_t digest[CLV_DIGEST_BYTES];
    struct clv_sha256 state;
    clv_sha256_init(&state);
    clv_sha256_finish(&state, digest);
    check_digest(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    clv_sha256_init(&state);
    clv_sha256_add(&state, "ab", 2);
    struct clv_sha256 copy = state;
    clv_sha256_add(&state, "c", 1);
    clv_sha256_finish(&state, digest);
    check_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    clv_sha256_add(&copy, "c", 1);
    clv_sha256_finish(&copy, digest);
    check_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *path = t_path(t_directory(), "long");
    REQUIRE_OK(clv_file_replace(path, text, LONG_BYTES));
    REQUIRE_OK(clv_sha256_file(digest, path, NULL));
    check_digest(digest, "b57b64b198d5d59ce5a22a9b9f25e72a7d081476d432051aa923f3dbebb90934");
    uint8_t wide[CLV_DIGEST512_BYTES];
    REQUIRE_OK(clv_digest512_file(wide, path, NULL));
    check_digest(wide, "4cd02c933730d72a97ba20952fd9fff30eecfd75a6502f1a2ca8002efb68442a");
    check_digest(wide + CLV_DIGEST_BYTES,
                 "d240393d2ed8838174460b37f9efb2df1258a9a3e7b5ac9ea07ca6477d461dc0");
    struct clv_cancel cancel = {.requested = 1};
    CHECK_INT(clv_sha256_file(digest, path, &cancel), CLV_ECANCELED);
    CHECK_INT(clv_sha256_file(digest, "/nowhere/x", NULL), CLV_ENOTFOUND);
    free(text);
}

/* The second example of RFC 8032, section 7.1. */
static void ed25519_is_the_standards(void)
{
    uint8_t key[32], signature[64];
    REQUIRE_OK(
        clv_digest_parse(key, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
    REQUIRE_OK(clv_digest_parse(
        signature, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"));
    REQUIRE_OK(clv_digest_parse(
        signature + 32, "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
    CHECK(clv_ed25519_verify(signature, "\x72", 1, key));
    CHECK(!clv_ed25519_verify(signature, "\x73", 1, key));
    CHECK(!clv_ed25519_verify(signature, "", 0, key));
    signature[63] ^= 1;
    CHECK(!clv_ed25519_verify(signature, "\x72", 1, key));
}

static void base64_is_decoded_strictly(void)
{
    char out[8] = "";
    CHECK(clv_base64_decode(out, 3, "YWJj", 4) && memcmp(out, "abc", 3) == 0);
    CHECK(clv_base64_decode(out, 1, "YQ==", 4) && out[0] == 'a');
    CHECK(clv_base64_decode(out, 0, "", 0));
    static const char *const bad[] = {
        "YWJ", "YWJj=", "YQ=", "YQ", "YR==", "Y Q==", "YWJjZA==", "YW\xabj", "YW-j"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!clv_base64_decode(out, 3, bad[i], strlen(bad[i])));
        CHECK(!clv_base64_decode(out, 1, bad[i], strlen(bad[i])));
    }
}

int main(void)
{
    T_RUN(digests_are_blake2b);
    T_RUN(pieces_give_the_same_digest);
    T_RUN(files_are_digested);
    T_RUN(digests_are_read_back);
    T_RUN(base64_is_standard_and_padded);
    T_RUN(random_bytes_differ);
    T_RUN(sha256_is_the_standards);
    T_RUN(ed25519_is_the_standards);
    T_RUN(base64_is_decoded_strictly);
    return t_end();
}
