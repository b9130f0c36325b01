/* minisign signatures: those of the tool itself (tests/data/signed), every one of their bytes
 * changed, and files that are none. */
#include "core/error.h"
#include "core/file.h"
#include "core/signature.h"
#include "tests/t.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNED "tests/data/signed/"
static const char *const signer[] = {SIGNED "signer.pub"};
static const char *const other[] = {SIGNED "other.pub"};
static const char *directory;

/* The bytes of a small file with a NUL after them; the caller frees. */
static char *read_text(const char *path, size_t *size_out)
{
    struct clv_map map;
    if (clv_map_open(&map, path) != CLV_OK)
        return NULL;
    char *text = malloc(map.size_bytes + 1);
    if (text != NULL && map.size_bytes > 0)
        memcpy(text, map.data, map.size_bytes);
    if (text != NULL)
        text[map.size_bytes] = '\0';
    *size_out = map.size_bytes;
    clv_map_release(&map);
    return text;
}

static bool write_file(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool written = file != NULL && fwrite(text, 1, size, file) == size;
    return file != NULL && fclose(file) == 0 && written;
}

/* A file of the scratch directory with this text and signature (NULL: none). */
static const char *put(const char *text, size_t size, const char *minisig, size_t minisig_size)
{
    static const char *path, *signature_path;
    if (path == NULL) {
        path = t_path(directory, "file");
        signature_path = t_path(directory, "file.minisig");
    }
    unlink(signature_path);
    bool written = write_file(path, text, size) &&
                   (minisig == NULL || write_file(signature_path, minisig, minisig_size));
    CHECK(written);
    return path;
}

static void good_ones_are_good(void)
{
    static const char *const names[][2] = {
        {SIGNED "prehashed.txt", "the trusted comment of prehashed.txt"},
        {SIGNED "legacy.txt", "the trusted comment of legacy.txt"},
        {SIGNED "empty.txt", "the trusted comment of empty.txt"},
    };
    const char *const both[] = {other[0], signer[0]};
    for (int i = 0; i < 3; i++) {
        struct clv_signature signature;
        REQUIRE_OK(clv_signature_check(&signature, names[i][0], both, 2, NULL));
        CHECK_INT(signature.state, CLV_SIGNATURE_GOOD);
        CHECK_STRING(signature.trusted_comment, names[i][1]);
        CHECK_INT(strlen(signature.key_id), 16);
    }
}

/* minisign writes the id into the key file's comment. */
static void the_key_id_is_minisigns(void)
{
    struct clv_signature signature;
    size_t size = 0;
    char *key = read_text(signer[0], &size);
    REQUIRE(key != NULL);
    CHECK_OK(clv_signature_check(&signature, SIGNED "prehashed.txt", signer, 1, NULL));
    CHECK(strstr(key, signature.key_id) != NULL);
    free(key);
}

static void a_key_may_be_its_line(void)
{
    struct clv_signature signature;
    size_t size = 0;
    char *text = read_text(signer[0], &size);
    REQUIRE(text != NULL);
    char *line = strchr(text, '\n') + 1;
    line[strcspn(line, "\n")] = '\0';
    const char *const keys[] = {line};
    CHECK_OK(clv_signature_check(&signature, SIGNED "legacy.txt", keys, 1, NULL));
    /* And a key file may be nothing but that line. */
    const char *path = t_path(directory, "line.pub");
    REQUIRE_OK(clv_file_replace(path, line, strlen(line)));
    const char *const files[] = {path};
    CHECK_OK(clv_signature_check(&signature, SIGNED "legacy.txt", files, 1, NULL));
    free(text);
}

static void unsigned_files_are_no_error(void)
{
    struct clv_signature signature;
    const char *path = put("x", 1, NULL, 0);
    REQUIRE(path != NULL);
    CHECK_OK(clv_signature_check(&signature, path, signer, 1, NULL));
    CHECK_INT(signature.state, CLV_SIGNATURE_NONE);
    CHECK_STRING(signature.key_id, "");
    CHECK_ERROR(clv_signature_check(&signature, t_path(directory, "none"), signer, 1, NULL),
                CLV_ENOTFOUND, "none'");
    CHECK_ERROR(clv_signature_check(&signature, directory, signer, 1, NULL), CLV_EINVAL,
                "is a directory");
}

static void unknown_keys_are_named(void)
{
    struct clv_signature known, signature;
    REQUIRE_OK(clv_signature_check(&known, SIGNED "prehashed.txt", signer, 1, NULL));
    for (int count = 0; count < 2; count++) {
        CHECK_ERROR(clv_signature_check(&signature, SIGNED "prehashed.txt", other, count, NULL),
                    CLV_ENOTFOUND, known.key_id);
        CHECK_INT(signature.state, CLV_SIGNATURE_UNKNOWN);
        CHECK_STRING(signature.key_id, known.key_id);
        CHECK_STRING(signature.trusted_comment, "");
    }
}

/* Changes one bit of a file and of the text that was written to it. */
static void flip(const char *path, char *text, size_t bit)
{
    text[bit / 8] ^= (char)(1 << bit % 8);
    int descriptor = open(path, O_WRONLY);
    CHECK(descriptor >= 0 && pwrite(descriptor, text + bit / 8, 1, (off_t)(bit / 8)) == 1);
    close(descriptor);
}

/* Every bit of the file, and of the signature but for the untrusted comment's text. */
static void one_changed_bit_is_found(void)
{
    static const char *const names[] = {SIGNED "prehashed.txt", SIGNED "legacy.txt"};
    for (int i = 0; i < 2; i++) {
        char name[64];
        size_t size = 0, minisig_size = 0;
        char *text = read_text(names[i], &size);
        snprintf(name, sizeof name, "%s.minisig", names[i]);
        char *minisig = read_text(name, &minisig_size);
        struct clv_signature signature;
        REQUIRE(text != NULL && minisig != NULL);
        const char *path = put(text, size, minisig, minisig_size);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            flip(path, text, bit);
            CHECK_ERROR(clv_signature_check(&signature, path, signer, 1, NULL), CLV_ECORRUPT,
                        "is not the file that the key ");
            flip(path, text, bit);
        }
        const char *signature_path = t_path(directory, "file.minisig");
        size_t comment = strlen("untrusted comment: ");
        size_t comment_end = strcspn(minisig, "\n");
        for (size_t bit = 0; bit < 8 * minisig_size; bit++) {
            size_t at = bit / 8;
            flip(signature_path, minisig, bit);
            /* The text of the untrusted comment is anyone's, short of a line end in it. */
            bool is_free = at >= comment && at < comment_end && minisig[at] != '\n';
            int status = clv_signature_check(&signature, path, signer, 1, NULL);
            if (is_free)
                CHECK_OK(status);
            else if (status != CLV_ECORRUPT && status != CLV_ENOTFOUND)
                t_fail(__FILE__, __LINE__, "bit %zu of %s changed gives %s", bit, name,
                       clv_status_name(status));
            CHECK(is_free || signature.state != CLV_SIGNATURE_GOOD);
            flip(signature_path, minisig, bit);
        }
        CHECK_OK(clv_signature_check(&signature, put(text, size, minisig, minisig_size), signer, 1,
                                     NULL));
        free(text);
        free(minisig);
    }
}

/* Any part of it, without its end. Only the last line's end may be missing. */
static void cut_signatures_are_malformed(void)
{
    size_t size = 0, minisig_size = 0;
    char *text = read_text(SIGNED "prehashed.txt", &size);
    char *minisig = read_text(SIGNED "prehashed.txt.minisig", &minisig_size);
    struct clv_signature signature;
    REQUIRE(text != NULL && minisig != NULL);
    for (size_t cut = 0; cut + 1 < minisig_size; cut++) {
        const char *path = put(text, size, minisig, cut);
        CHECK_ERROR(clv_signature_check(&signature, path, signer, 1, NULL), CLV_ECORRUPT,
                    "file.minisig' is no minisign signature: ");
    }
    CHECK_OK(clv_signature_check(&signature, put(text, size, minisig, minisig_size - 1), signer, 1,
                                 NULL));
    free(text);
    free(minisig);
}

static void line_ends_of_windows_are_fine(void)
{
    size_t size = 0, minisig_size = 0, used = 0;
    char *text = read_text(SIGNED "legacy.txt", &size);
    char *minisig = read_text(SIGNED "legacy.txt.minisig", &minisig_size);
    REQUIRE(text != NULL && minisig != NULL);
    char *windows = malloc(2 * minisig_size);
    REQUIRE(windows != NULL);
    for (size_t i = 0; i < minisig_size; i++) {
        if (minisig[i] == '\n')
            windows[used++] = '\r';
        windows[used++] = minisig[i];
    }
    struct clv_signature signature;
    CHECK_OK(clv_signature_check(&signature, put(text, size, windows, used), signer, 1, NULL));
    free(windows);
    free(text);
    free(minisig);
}

static void what_is_no_signature_is_said(void)
{
    static const char good[] = "RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/"
                               "z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n";
    static const char *const bad[][2] = {
        {"", "it is empty"},
        {"\n\n\n\n", "its first line"},
        {"untrusted comment: x\nAAAA\ntrusted comment: x\nAAAA\n", "its second line"},
        {"a\nb\nc\nd\ne\n", "more than four"},
        {"a\nb\nc\n", "fewer than four"},
    };
    struct clv_signature signature;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *path = put("x", 1, bad[i][0], strlen(bad[i][0]));
        CHECK_ERROR(clv_signature_check(&signature, path, signer, 1, NULL), CLV_ECORRUPT,
                    bad[i][1]);
        CHECK_INT(signature.state, CLV_SIGNATURE_BAD);
    }
    char *huge = malloc(100000);
    REQUIRE(huge != NULL);
    memset(huge, 'a', 100000);
    CHECK_ERROR(clv_signature_check(&signature, put("x", 1, huge, 100000), signer, 1, NULL),
                CLV_ECORRUPT, "it is too long");
    /* A comment longer than minisign's longest, or with a zero in it. */
    struct clv_minisig parts;
    static const char tail[] = "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                               "AAAAAAAAAAAAAAAAAAAAAA==\n";
    for (int length = 8191; length <= 8193; length++) {
        int used = snprintf(huge, 100000, "untrusted comment: \n%strusted comment: %0*d%s", good,
                            length, 0, tail);
        int status = clv_minisig_parse(&parts, huge, (size_t)used, "it");
        CHECK_INT(status, length <= 8192 ? CLV_OK : CLV_ECORRUPT);
    }
    int used = snprintf(huge, 100000, "untrusted comment: \n%strusted comment: a_b%s", good, tail);
    *strchr(huge, '_') = '\0';
    CHECK_ERROR(clv_minisig_parse(&parts, huge, (size_t)used, "it"), CLV_ECORRUPT, "is no text");
    free(huge);
}

static void what_is_no_key_is_said(void)
{
    struct clv_signature signature;
    const char *path = t_path(directory, "bad.pub");
    const char *const keys[] = {path};
    static const char *const bad[] = {"", "x", "untrusted comment: x\n",
                                      "untrusted comment: x\nAAAA\n", "untrusted comment: x\n\n\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        REQUIRE_OK(clv_file_replace(path, bad[i], strlen(bad[i])));
        CHECK_ERROR(clv_signature_check(&signature, SIGNED "legacy.txt", keys, 1, NULL),
                    CLV_ECORRUPT, "bad.pub' is no minisign public key");
    }
    const char *const missing[] = {"RWnonsense"};
    CHECK_ERROR(clv_signature_check(&signature, SIGNED "legacy.txt", missing, 1, NULL),
                CLV_ENOTFOUND, "'RWnonsense' is neither a file nor the line of");
}

/* A key of the right id that is another's: the id alone proves nothing. */
static void a_stolen_id_does_not_help(void)
{
    size_t size = 0, other_size = 0;
    char *mine = read_text(signer[0], &size);
    char *theirs = read_text(other[0], &other_size);
    REQUIRE(mine != NULL && theirs != NULL);
    uint8_t bytes[42], forged[42];
    CHECK(clv_base64_decode(bytes, 42, strchr(mine, '\n') + 1, 56));
    CHECK(clv_base64_decode(forged, 42, strchr(theirs, '\n') + 1, 56));
    memcpy(forged + 2, bytes + 2, CLV_SIGNATURE_ID_BYTES);
    char *line = clv_base64(forged, 42);
    REQUIRE(line != NULL);
    const char *const keys[] = {line};
    struct clv_signature signature;
    CHECK_ERROR(clv_signature_check(&signature, SIGNED "prehashed.txt", keys, 1, NULL),
                CLV_ECORRUPT, "was changed");
    CHECK_INT(signature.state, CLV_SIGNATURE_BAD);
    free(line);
    free(mine);
    free(theirs);
}

int main(void)
{
    directory = t_directory();
    T_RUN(good_ones_are_good);
    T_RUN(the_key_id_is_minisigns);
    T_RUN(a_key_may_be_its_line);
    T_RUN(unsigned_files_are_no_error);
    T_RUN(unknown_keys_are_named);
    T_RUN(one_changed_bit_is_found);
    T_RUN(cut_signatures_are_malformed);
    T_RUN(line_ends_of_windows_are_fine);
    T_RUN(what_is_no_signature_is_said);
    T_RUN(what_is_no_key_is_said);
    T_RUN(a_stolen_id_does_not_help);
    return t_end();
}
