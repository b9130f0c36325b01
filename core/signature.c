#include "core/signature.h"

#include "core/error.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)16 << 10)
#define COMMENT_BYTES_MAX (CLV_SIGNATURE_COMMENT_SIZE - 1)

static const char untrusted[] = "untrusted comment: ";
static const char trusted[] = "trusted comment: ";

/* What the base64 lines hold. */
struct __attribute__((packed)) key_bytes {
    uint8_t algorithm[2]; /* "Ed" */
    uint8_t id[CLV_SIGNATURE_ID_BYTES];
    uint8_t key[CLV_ED25519_KEY_BYTES];
};
struct __attribute__((packed)) signature_bytes {
    uint8_t algorithm[2]; /* "ED" of the file's digest, "Ed" of the file */
    uint8_t id[CLV_SIGNATURE_ID_BYTES];
    uint8_t signature[CLV_ED25519_SIGNATURE_BYTES];
};

struct line {
    const char *text;
    size_t size;
};

/* Takes the next line without its end ("\n" or "\r\n"); false where there is none. */
static bool take_line(struct line *out, const char **text_io, const char *end)
{
    if (*text_io == end)
        return false;
    const char *newline = memchr(*text_io, '\n', (size_t)(end - *text_io));
    const char *stop = newline == NULL ? end : newline;
    *out = (struct line){*text_io, (size_t)(stop - *text_io)};
    if (newline != NULL && out->size > 0 && stop[-1] == '\r')
        out->size--;
    *text_io = newline == NULL ? end : newline + 1;
    return true;
}

static bool begins_with(const struct line *line, const char *prefix)
{
    size_t size = strlen(prefix);
    return line->size >= size && memcmp(line->text, prefix, size) == 0;
}

/* minisign reads the id as a little-endian number. */
static void id_text(char out[CLV_SIGNATURE_ID_TEXT_SIZE], const uint8_t id[CLV_SIGNATURE_ID_BYTES])
{
    for (int i = 0; i < CLV_SIGNATURE_ID_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02X", id[CLV_SIGNATURE_ID_BYTES - 1 - i]);
}

/* ---- public keys ---- */

static bool decode_key(struct clv_public_key *out, const struct line *line)
{
    struct key_bytes bytes;
    if (!clv_base64_decode(&bytes, sizeof bytes, line->text, line->size) ||
        memcmp(bytes.algorithm, "Ed", 2) != 0)
        return false;
    memcpy(out->id, bytes.id, sizeof out->id);
    memcpy(out->key, bytes.key, sizeof out->key);
    return true;
}

int clv_public_key_parse(struct clv_public_key *out, const char *text, size_t size_bytes,
                         const char *name)
{
    const char *end = text + size_bytes;
    struct line line = {0};
    bool found = take_line(&line, &text, end);
    if (found && begins_with(&line, untrusted))
        found = take_line(&line, &text, end);
    if (!found || !decode_key(out, &line) || text != end)
        return clv_fail(CLV_ECORRUPT, "'%s' is no minisign public key", name);
    return CLV_OK;
}

static int read_key(struct clv_public_key *out, const char *key)
{
    struct line line = {key, strlen(key)};
    if (decode_key(out, &line))
        return CLV_OK;
    struct clv_map map;
    int status = clv_map_open(&map, key);
    if (status != CLV_OK)
        return clv_fail(status, "'%s' is neither a file nor the line of a minisign public key",
                        key);
    if (map.size_bytes == 0 || map.size_bytes > FILE_MAX_BYTES)
        status = clv_fail(CLV_ECORRUPT, "'%s' is no minisign public key", key);
    else
        status = clv_public_key_parse(out, (const char *)map.data, map.size_bytes, key);
    clv_map_release(&map);
    return status;
}

/* ---- signatures ---- */

static int fail_malformed(const char *name, const char *what)
{
    return clv_fail(CLV_ECORRUPT, "'%s' is no minisign signature: %s", name, what);
}

int clv_minisig_parse(struct clv_minisig *out, const char *text, size_t size_bytes,
                      const char *name)
{
    const char *end = text + size_bytes;
    struct line lines[4];
    struct signature_bytes bytes;
    for (int i = 0; i < 4; i++) {
        if (!take_line(&lines[i], &text, end))
            return fail_malformed(name, "it has fewer than four lines");
    }
    if (text != end)
        return fail_malformed(name, "it has more than four lines");
    if (!begins_with(&lines[0], untrusted))
        return fail_malformed(name, "its first line is no untrusted comment");
    if (!clv_base64_decode(&bytes, sizeof bytes, lines[1].text, lines[1].size))
        return fail_malformed(name, "its second line is not the base64 of 74 bytes");
    if (bytes.algorithm[0] != 'E' || (bytes.algorithm[1] != 'D' && bytes.algorithm[1] != 'd'))
        return fail_malformed(name, "its algorithm is not known");
    if (!begins_with(&lines[2], trusted))
        return fail_malformed(name, "its third line is no trusted comment");
    if (!clv_base64_decode(out->comment_signature, sizeof out->comment_signature, lines[3].text,
                           lines[3].size))
        return fail_malformed(name, "its fourth line is not the base64 of 64 bytes");
    out->comment = lines[2].text + strlen(trusted);
    out->comment_size = lines[2].size - strlen(trusted);
    if (out->comment_size > COMMENT_BYTES_MAX ||
        memchr(out->comment, '\0', out->comment_size) != NULL)
        return fail_malformed(name, "its trusted comment is no text");
    out->is_prehashed = bytes.algorithm[1] == 'D';
    memcpy(out->key_id, bytes.id, sizeof out->key_id);
    memcpy(out->signature, bytes.signature, sizeof out->signature);
    return CLV_OK;
}

bool clv_minisig_comment_is_good(const struct clv_minisig *minisig,
                                 const struct clv_public_key *key)
{
    uint8_t message[CLV_ED25519_SIGNATURE_BYTES + COMMENT_BYTES_MAX];
    memcpy(message, minisig->signature, CLV_ED25519_SIGNATURE_BYTES);
    memcpy(message + CLV_ED25519_SIGNATURE_BYTES, minisig->comment, minisig->comment_size);
    return clv_ed25519_verify(minisig->comment_signature, message,
                              CLV_ED25519_SIGNATURE_BYTES + minisig->comment_size, key->key);
}

static int verify_file(bool *is_good_out, const char *path, const struct clv_minisig *minisig,
                       const struct clv_public_key *key, struct clv_cancel *cancel)
{
    if (minisig->is_prehashed) {
        uint8_t digest[CLV_DIGEST512_BYTES];
        int status = clv_digest512_file(digest, path, cancel);
        if (status == CLV_OK)
            *is_good_out = clv_ed25519_verify(minisig->signature, digest, sizeof digest, key->key);
        return status;
    }
    struct clv_map map;
    int status = clv_map_open(&map, path);
    if (status != CLV_OK)
        return status;
    *is_good_out =
        clv_ed25519_verify(minisig->signature, map.data == NULL ? "" : (const char *)map.data,
                           map.size_bytes, key->key);
    clv_map_release(&map);
    return CLV_OK;
}

/* Looks for the key that `minisig` names; CLV_ENOTFOUND where it is not among them. */
static int find_key(struct clv_public_key *out, const struct clv_minisig *minisig, const char *path,
                    const char *const *keys, int key_count)
{
    char id[CLV_SIGNATURE_ID_TEXT_SIZE];
    for (int i = 0; i < key_count; i++) {
        int status = read_key(out, keys[i]);
        if (status != CLV_OK)
            return status;
        if (memcmp(out->id, minisig->key_id, sizeof out->id) == 0)
            return CLV_OK;
    }
    id_text(id, minisig->key_id);
    return clv_fail(CLV_ENOTFOUND,
                    "'%s' is signed with the key %s, which is not among the %d known", path, id,
                    key_count);
}

static int check_minisig(struct clv_signature *out, const char *path, const char *minisig_path,
                         const struct clv_map *map, const char *const *keys, int key_count,
                         struct clv_cancel *cancel)
{
    struct clv_minisig minisig;
    struct clv_public_key key;
    bool is_good = false;
    out->state = CLV_SIGNATURE_BAD;
    if (map->size_bytes == 0 || map->size_bytes > FILE_MAX_BYTES)
        return fail_malformed(minisig_path,
                              map->size_bytes == 0 ? "it is empty" : "it is too long");
    int status =
        clv_minisig_parse(&minisig, (const char *)map->data, map->size_bytes, minisig_path);
    if (status != CLV_OK)
        return status;
    id_text(out->key_id, minisig.key_id);
    status = find_key(&key, &minisig, path, keys, key_count);
    if (status != CLV_OK) {
        out->state = CLV_SIGNATURE_UNKNOWN;
        return status;
    }
    /* The file is read to its end only for a signature that holds together. */
    if (!clv_minisig_comment_is_good(&minisig, &key))
        return clv_fail(CLV_ECORRUPT,
                        "'%s' is not as the key %s signed it: its signature or its trusted comment "
                        "was changed",
                        minisig_path, out->key_id);
    status = verify_file(&is_good, path, &minisig, &key, cancel);
    if (status != CLV_OK)
        return status;
    if (!is_good)
        return clv_fail(CLV_ECORRUPT, "'%s' is not the file that the key %s signed", path,
                        out->key_id);
    out->state = CLV_SIGNATURE_GOOD;
    snprintf(out->trusted_comment, sizeof out->trusted_comment, "%.*s", (int)minisig.comment_size,
             minisig.comment);
    return CLV_OK;
}

int clv_signature_check(struct clv_signature *out, const char *path, const char *const *keys,
                        int key_count, struct clv_cancel *cancel)
{
    char *minisig_path = NULL;
    struct clv_map map = {0};
    struct clv_file_facts facts;
    *out = (struct clv_signature){.state = CLV_SIGNATURE_NONE};
    int status = clv_file_facts(&facts, path);
    if (status != CLV_OK)
        return status;
    if (facts.is_directory)
        return clv_fail(CLV_EINVAL, "'%s' is a directory; only files are signed", path);
    if (asprintf(&minisig_path, "%s.minisig", path) < 0)
        return clv_fail_memory("a path");
    if (clv_file_exists(minisig_path)) {
        status = clv_map_open(&map, minisig_path);
        if (status == CLV_OK)
            status = check_minisig(out, path, minisig_path, &map, keys, key_count, cancel);
        clv_map_release(&map);
    }
    free(minisig_path);
    return status;
}
