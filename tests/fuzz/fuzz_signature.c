/* minisign's two files: a public key, a zero byte, a signature. Without the zero byte the whole is
 * taken for both. */
#include "core/signature.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *zero = size == 0 ? NULL : memchr(text, '\0', size);
    size_t key_size = zero == NULL ? size : (size_t)(zero - text);
    const char *signature = zero == NULL ? text : zero + 1;
    size_t signature_size = zero == NULL ? size : size - key_size - 1;
    struct clv_public_key key = {.key = {0}};
    struct clv_minisig parts;
    bool has_key = clv_public_key_parse(&key, text, key_size, "key") == 0;
    if (clv_minisig_parse(&parts, signature, signature_size, "signature") != 0)
        return 0;
    check(parts.comment >= signature);
    check(parts.comment + parts.comment_size <= signature + signature_size);
    check(parts.comment_size < CLV_SIGNATURE_COMMENT_SIZE);
    bool is_good = clv_minisig_comment_is_good(&parts, &key);
    check(has_key || !is_good);
    return 0;
}
