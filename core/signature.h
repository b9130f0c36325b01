/* Detached minisign signatures (https://jedisct1.github.io/minisign/), prehashed and legacy. */
#ifndef CLV_CORE_SIGNATURE_H
#define CLV_CORE_SIGNATURE_H

#include "core/cancel.h"
#include "core/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_SIGNATURE_ID_BYTES 8
#define CLV_SIGNATURE_ID_TEXT_SIZE (2 * CLV_SIGNATURE_ID_BYTES + 1)
#define CLV_SIGNATURE_COMMENT_SIZE 8193 /* what minisign itself writes at most */

enum clv_signature_state {
    CLV_SIGNATURE_NONE,    /* no PATH.minisig */
    CLV_SIGNATURE_UNKNOWN, /* none of the keys made it */
    CLV_SIGNATURE_GOOD,
    CLV_SIGNATURE_BAD,
};

struct clv_signature {
    enum clv_signature_state state;
    char key_id[CLV_SIGNATURE_ID_TEXT_SIZE];          /* as minisign prints it; "" where unsigned */
    char trusted_comment[CLV_SIGNATURE_COMMENT_SIZE]; /* only of a good one; "" otherwise */
};

/* Checks PATH.minisig, where there is one, with the public keys given: each a minisign public key
 * file or the base64 line of one. CLV_ECORRUPT where the signature or its trusted comment is wrong
 * or malformed; CLV_ENOTFOUND where none of the keys made it, naming its key id. */
int clv_signature_check(struct clv_signature *out, const char *path, const char *const *keys,
                        int key_count, struct clv_cancel *cancel);

/* ---- the two files, as bytes ---- */

struct clv_public_key {
    uint8_t id[CLV_SIGNATURE_ID_BYTES];
    uint8_t key[CLV_ED25519_KEY_BYTES];
};
/* A public key file's text, or only its base64 line. CLV_ECORRUPT names `name`. */
int clv_public_key_parse(struct clv_public_key *out, const char *text, size_t size_bytes,
                         const char *name);

struct clv_minisig {
    bool is_prehashed; /* of the file's BLAKE2b-512, not of its bytes */
    uint8_t key_id[CLV_SIGNATURE_ID_BYTES];
    uint8_t signature[CLV_ED25519_SIGNATURE_BYTES];
    uint8_t comment_signature[CLV_ED25519_SIGNATURE_BYTES]; /* of signature and trusted comment */
    const char *comment;                                    /* into the text parsed */
    size_t comment_size;
};
/* A signature file's text. CLV_ECORRUPT names `name` and what is wrong. */
int clv_minisig_parse(struct clv_minisig *out, const char *text, size_t size_bytes,
                      const char *name);
/* True where `key` made the signature of this trusted comment. */
bool clv_minisig_comment_is_good(const struct clv_minisig *minisig,
                                 const struct clv_public_key *key);

#endif
