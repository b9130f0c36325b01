#include "core/html.h"

#include "core/unicode.h"

#include <stdint.h>
#include <string.h>

void clv_html_text(struct clv_bytes *out, const char *text)
{
    size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        uint32_t code_point = 0;
        size_t taken = clv_unicode_decode(&code_point, text + at, size - at);
        switch (taken ? code_point : 0) {
        case '&':
            clv_bytes_text(out, "&amp;");
            break;
        case '<':
            clv_bytes_text(out, "&lt;");
            break;
        case '>':
            clv_bytes_text(out, "&gt;");
            break;
        case '"':
            clv_bytes_text(out, "&quot;");
            break;
        case '\'':
            clv_bytes_text(out, "&#39;");
            break;
        default:
            if (taken == 0 || code_point < ' ' || (code_point >= 0x7f && code_point < 0xa0))
                clv_bytes_text(out, "\xef\xbf\xbd");
            else
                clv_bytes_add(out, text + at, taken);
        }
        at += taken ? taken : 1;
    }
}
