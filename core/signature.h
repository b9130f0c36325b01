/* Detached minisign signatures (https://jedisct1.github.io/minisign/), prehashed and legacy. */
#ifndef CLV_CORE_SIGNATURE_H
#define CLV_CORE_SIGNATURE_H

#include "core/cancel.h"

enum clv_signature_state {
    CLV_SIGNATURE_NONE, /* no PATH.minisig */
    CLV_SIGNATURE_GOOD,
};

struct clv_signature {
    enum clv_signature_state state;
    char key_id[17];            /* hexadecimal, as minisign prints it */
    char trusted_comment[1025]; /* "" where there is none */
};

/* Checks PATH.minisig, where there is one, with the public keys given: each a minisign public key
 * file or the base64 line of one. CLV_ECORRUPT where the signature or its trusted comment is wrong
 * or malformed; CLV_ENOTFOUND where none of the keys made it, naming its key id. */
int clv_signature_check(struct clv_signature *out, const char *path, const char *const *keys,
                        int key_count, struct clv_cancel *cancel);

#endif
