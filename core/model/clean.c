/* Cleaning, in OpenAI's order. */
#include "core/model/clean.h"

#include "core/error.h"
#include "core/model/entities.h"
#include "core/unicode.h"

#include <stdint.h>

/* What str.strip() drops: White_Space and the four information separators. */
static bool is_stripped(uint32_t code_point)
{
    return clv_unicode_is_space(code_point) || (code_point >= 0x1c && code_point <= 0x1f);
}

static void strip(const char **text, size_t *size_bytes)
{
    const char *at = *text, *end = at + *size_bytes;
    uint32_t code_point;
    size_t taken;
    while ((taken = clv_unicode_decode(&code_point, at, (size_t)(end - at))) &&
           is_stripped(code_point))
        at += taken;
    while (end > at) {
        const char *last = end - 1;
        while (last > at && ((unsigned char)*last & 0xc0) == 0x80)
            last--;
        if (!clv_unicode_decode(&code_point, last, (size_t)(end - last)) ||
            !is_stripped(code_point))
            break;
        end = last;
    }
    *text = at;
    *size_bytes = (size_t)(end - at);
}

/* Collapses white space, and writes the capital sigma at the end of a word as Python lowers it;
 * the letter by letter lowering that follows cannot know where words end. */
static void collapse(struct clv_bytes *out, const char *text, size_t size_bytes)
{
    const uint32_t capital_sigma = 0x3a3;
    bool after_letter = false, after_space = false;
    size_t taken;
    for (size_t at = 0; at < size_bytes; at += taken) {
        uint32_t code_point, next;
        taken = clv_unicode_decode(&code_point, text + at, size_bytes - at);
        if (taken == 0)
            break;
        bool is_space = clv_unicode_is_space(code_point);
        bool is_letter = clv_unicode_is_letter(code_point);
        if (is_space && !after_space)
            clv_bytes_text(out, " ");
        else if (code_point == capital_sigma && after_letter &&
                 !(clv_unicode_decode(&next, text + at + taken, size_bytes - at - taken) &&
                   clv_unicode_is_letter(next)))
            clv_bytes_text(out, "\xcf\x82");
        else if (!is_space)
            clv_bytes_add(out, text + at, taken);
        after_space = is_space;
        after_letter = is_letter;
    }
}

int clv_clean_text(struct clv_bytes *out, const char *text, size_t size_bytes)
{
    struct clv_bytes one = {0}, two = {0};
    clv_bytes_clear(out);
    int status = clv_unicode_nfc(&one, text, size_bytes);
    if (status == CLV_OK && one.size_bytes) {
        clv_entities_replace(&two, one.data, one.size_bytes);
        clv_bytes_clear(&one);
        if (two.status == CLV_OK && two.size_bytes)
            clv_entities_replace(&one, two.data, two.size_bytes);
        status = two.status != CLV_OK ? two.status : one.status;
    }
    if (status == CLV_OK && one.size_bytes) {
        const char *stripped = one.data;
        size_t size = one.size_bytes;
        strip(&stripped, &size);
        clv_bytes_clear(&two);
        collapse(&two, stripped, size);
        status = two.status;
    }
    if (status == CLV_OK && two.size_bytes)
        status = clv_unicode_lower(out, two.data, two.size_bytes);
    clv_bytes_release(&one);
    clv_bytes_release(&two);
    return status;
}
