/* utf8proc behind claverdb's names. */
#include "core/unicode.h"

#include "core/error.h"

#include <stdlib.h>
#include <utf8proc.h>

size_t clv_unicode_decode(uint32_t *code_point_out, const char *text, size_t size_bytes)
{
    utf8proc_int32_t code_point = -1;
    if (size_bytes == 0)
        return 0;
    utf8proc_ssize_t taken =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size_bytes, &code_point);
    if (taken <= 0)
        return 0;
    *code_point_out = (uint32_t)code_point;
    return (size_t)taken;
}

bool clv_unicode_is_valid(const char *text, size_t size_bytes)
{
    uint32_t code_point;
    size_t at = 0, taken;
    while ((taken = clv_unicode_decode(&code_point, text + at, size_bytes - at)))
        at += taken;
    return at == size_bytes;
}

size_t clv_unicode_encode(char out[4], uint32_t code_point)
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)code_point, (utf8proc_uint8_t *)out);
}

bool clv_unicode_is_letter(uint32_t code_point)
{
    switch (utf8proc_category((utf8proc_int32_t)code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return true;
    default:
        return false;
    }
}

bool clv_unicode_is_number(uint32_t code_point)
{
    switch (utf8proc_category((utf8proc_int32_t)code_point)) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return false;
    }
}

bool clv_unicode_is_space(uint32_t code_point)
{
    /* White_Space is the separators and these controls. */
    if ((code_point >= 0x09 && code_point <= 0x0d) || code_point == 0x85)
        return true;
    switch (utf8proc_category((utf8proc_int32_t)code_point)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return false;
    }
}

int clv_unicode_columns(uint32_t code_point)
{
    int columns = utf8proc_charwidth((utf8proc_int32_t)code_point);
    return columns < 0 ? 0 : columns;
}

/* Appends `text` with bytes that are not UTF-8 replaced by U+FFFD. */
static void add_valid(struct clv_bytes *out, const char *text, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes;) {
        uint32_t code_point;
        size_t taken = clv_unicode_decode(&code_point, text + at, size_bytes - at);
        if (taken)
            clv_bytes_add(out, text + at, taken);
        else
            clv_bytes_text(out, "\xef\xbf\xbd");
        at += taken ? taken : 1;
    }
}

int clv_unicode_nfc(struct clv_bytes *out, const char *text, size_t size_bytes)
{
    struct clv_bytes valid = {0};
    add_valid(&valid, text, size_bytes);
    if (valid.status == CLV_OK && valid.size_bytes > 0) {
        utf8proc_uint8_t *composed = NULL;
        utf8proc_ssize_t size =
            utf8proc_map((const utf8proc_uint8_t *)valid.data, (utf8proc_ssize_t)valid.size_bytes,
                         &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (size < 0)
            out->status = clv_fail_memory("text");
        else
            clv_bytes_add(out, composed, (size_t)size);
        free(composed);
    } else if (valid.status != CLV_OK)
        out->status = valid.status;
    clv_bytes_release(&valid);
    return out->status;
}

int clv_unicode_lower(struct clv_bytes *out, const char *text, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes;) {
        uint32_t code_point;
        size_t taken = clv_unicode_decode(&code_point, text + at, size_bytes - at);
        at += taken ? taken : 1;
        char encoded[4];
        if (!taken)
            clv_bytes_text(out, "\xef\xbf\xbd");
        else if (code_point == 0x130) /* the one letter whose lower case is two code points */
            clv_bytes_text(out, "i\xcc\x87");
        else
            clv_bytes_add(out, encoded,
                          clv_unicode_encode(
                              encoded, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code_point)));
    }
    return out->status;
}
