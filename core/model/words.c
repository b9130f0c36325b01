/* Classes of characters, and the words they make. */
#include "core/model/words.h"

#include "core/model/vocabulary.h"
#include "core/unicode.h"

#include <string.h>

enum class { LETTER, NUMBER, SPACE, OTHER };

static enum class class_of(uint32_t code_point) {
    if (clv_unicode_is_letter(code_point)) return LETTER;
    if (clv_unicode_is_number(code_point)) return NUMBER;
    return clv_unicode_is_space(code_point) ? SPACE : OTHER;
}

/* The fixed words; those that stand for an id come first. */
static const char *const fixed[] = {
    CLV_VOCABULARY_START, CLV_VOCABULARY_END, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

enum clv_word clv_words_first(size_t *size_out, const char *text, size_t size_bytes)
{
    bool may_be_fixed = text[0] == '<' || text[0] == '\'';
    for (size_t i = 0; may_be_fixed && i < sizeof fixed / sizeof *fixed; i++) {
        size_t size = strlen(fixed[i]);
        if (size_bytes < size || memcmp(text, fixed[i], size) != 0)
            continue;
        *size_out = size;
        return i == 0 ? CLV_WORD_START : i == 1 ? CLV_WORD_END : CLV_WORD_TEXT;
    }
    uint32_t code_point = 0;
    size_t at = clv_unicode_decode(&code_point, text, size_bytes), taken;
    enum class first = class_of(code_point);
    *size_out = at;
    if (first == SPACE)
        return CLV_WORD_SPACE;
    while (first != NUMBER &&
           (taken = clv_unicode_decode(&code_point, text + at, size_bytes - at)) > 0 &&
           class_of(code_point) == first)
        at += taken;
    *size_out = at;
    return CLV_WORD_TEXT;
}

size_t clv_words_bound(const char *text, size_t size_bytes, size_t limit_bytes)
{
    if (size_bytes <= limit_bytes)
        return size_bytes;
    size_bytes = limit_bytes;
    for (int i = 0; i < 3 && size_bytes > 0 && ((unsigned char)text[size_bytes] & 0xc0) == 0x80;
         i++)
        size_bytes--;
    return size_bytes;
}
