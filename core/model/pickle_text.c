/* The textual arguments that only protocol 0 writes. */
#include "core/model/pickle_text.h"

#include "core/unicode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_SIZE 64

bool clv_pickle_text_is_integer(const char *text, size_t size_bytes)
{
    size_t at = size_bytes > 0 && (text[0] == '-' || text[0] == '+');
    if (at == size_bytes)
        return false;
    for (; at < size_bytes; at++)
        if (text[at] < '0' || text[at] > '9')
            return false;
    return true;
}

bool clv_pickle_text_integer(int64_t *out, const char *text, size_t size_bytes)
{
    char digits[NUMBER_SIZE];
    if (size_bytes >= sizeof digits || !clv_pickle_text_is_integer(text, size_bytes))
        return false;
    memcpy(digits, text, size_bytes);
    digits[size_bytes] = '\0';
    errno = 0;
    *out = strtoll(digits, NULL, 10);
    return errno == 0;
}

bool clv_pickle_text_number(double *out, const char *text, size_t size_bytes)
{
    char digits[NUMBER_SIZE], *end;
    if (size_bytes == 0 || size_bytes >= sizeof digits || memchr(text, '\0', size_bytes))
        return false;
    memcpy(digits, text, size_bytes);
    digits[size_bytes] = '\0';
    *out = strtod(digits, &end);
    return *end == '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* `count` digits of `base` at `text`, fewer where `least` allows it; returns how many were taken,
 * 0 where there are too few. */
static size_t read_digits(uint32_t *out, const char *text, size_t size_bytes, size_t least,
                          size_t count, int base)
{
    size_t taken = 0;
    *out = 0;
    while (taken < count && taken < size_bytes && digit(text[taken]) < base)
        *out = *out * (uint32_t)base + (uint32_t)digit(text[taken++]);
    return taken >= least ? taken : 0;
}

size_t clv_pickle_text_unescape(char *out, const char *text, size_t size_bytes)
{
    static const char letters[] = "abfnrtv\\'\"", meanings[] = "\a\b\f\n\r\t\v\\'\"";
    size_t used = 0;
    for (size_t at = 0; at < size_bytes; at++) {
        if (text[at] != '\\') {
            out[used++] = text[at];
            continue;
        }
        if (++at == size_bytes)
            return SIZE_MAX;
        uint32_t code;
        const char *letter = text[at] ? strchr(letters, text[at]) : NULL;
        size_t taken = text[at] == 'x'
                           ? read_digits(&code, text + at + 1, size_bytes - at - 1, 2, 2, 16)
                           : read_digits(&code, text + at, size_bytes - at, 1, 3, 8);
        if (letter) {
            out[used++] = meanings[letter - letters];
        } else if (taken > 0) {
            out[used++] = (char)code;
            at += text[at] == 'x' ? taken : taken - 1;
        } else if (text[at] == 'x') {
            return SIZE_MAX;
        } else {
            out[used++] = '\\';
            out[used++] = text[at];
        }
    }
    return used;
}

size_t clv_pickle_text_decode(char *out, const char *text, size_t size_bytes)
{
    size_t used = 0;
    for (size_t at = 0; at < size_bytes;) {
        uint32_t code = (unsigned char)text[at++];
        if (code == '\\' && at < size_bytes && (text[at] == 'u' || text[at] == 'U')) {
            size_t count = text[at] == 'u' ? 4 : 8;
            if (!read_digits(&code, text + at + 1, size_bytes - at - 1, count, count, 16) ||
                code > 0x10ffff)
                return SIZE_MAX;
            at += 1 + count;
        }
        used += clv_unicode_encode(out + used, code);
    }
    return used;
}
