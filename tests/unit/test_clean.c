/* Cleaning of text before it is tokenized. Expectations of references are what Python's
 * html.unescape() gives; of the rest, what OpenAI's whitespace_clean(…).lower() gives. */
#include "core/bytes.h"
#include "core/error.h"
#include "core/model/clean.h"
#include "core/model/entities.h"
#include "tests/t.h"

#include <string.h>

static void references_are_replaced_as_html_says(void)
{
    static const char *const cases[][2] = {
        {"&amp;", "&"},
        {"&amp", "&"},
        {"&ampx;", "&x;"},
        {"&AMP;", "&"},
        {"&lt;b&gt;", "<b>"},
        {"&notit;", "\xc2\xacit;"},
        {"&notin;", "\xe2\x88\x89"},
        {"&hellip;", "\xe2\x80\xa6"},
        {"&hellip", "&hellip"},
        {"&mdash", "&mdash"},
        {"&#65;", "A"},
        {"&#65", "A"},
        {"&#x41;", "A"},
        {"&#X41", "A"},
        {"&#0;", "\xef\xbf\xbd"},
        {"&#128;", "\xe2\x82\xac"},
        {"&#x80;", "\xe2\x82\xac"},
        {"&#x81;", "\xc2\x81"},
        {"&#xD800;", "\xef\xbf\xbd"},
        {"&#1114112;", "\xef\xbf\xbd"},
        {"&#99999999999999999999;", "\xef\xbf\xbd"},
        {"&#1;", ""},
        {"&#11;", ""},
        {"&#9;|", "\x09|"},
        {"&#13;|", "\x0d|"},
        {"&#xFFFE;", ""},
        {"&#xFDD0;|", "|"},
        {"&#x1F600;", "\xf0\x9f\x98\x80"},
        {"&#;", "&#;"},
        {"&#x;", "&#x;"},
        {"&#xg;", "&#xg;"},
        {"& amp;", "& amp;"},
        {"&", "&"},
        {"&&amp;", "&&"},
        {"&nosuch;", "&nosuch;"},
        {"&copy2024", "\xc2\xa9"
                      "2024"},
        {"&thetasym;", "\xcf\x91"},
        {"&thetasymx;", "&thetasymx;"},
        {"&amp;amp;", "&amp;"},
        {"&lang;", "\xe2\x9f\xa8"},
        {"&eacute;", "\xc3\xa9"},
        {"&Eacute", "\xc3\x89"},
        {"&apos;", "'"},
        {"&apos", "&apos"},
        {"&quot;q&quot", "\x22q\x22"},
        {"&#12a;", "\x0c"
                   "a;"},
        {"&amp&lt", "&<"},
        {"&ltfoo", "<foo"},
        {"&frac12;", "\xc2\xbd"},
        {"&frac12", "\xc2\xbd"},
        {"&frac129", "\xc2\xbd"
                     "9"},
        {"a&b;c", "a&b;c"},
        {"&amp;&", "&&"},
        {"&sup1;", "\xc2\xb9"},
        {"&there4;", "\xe2\x88\xb4"},
        {"&zwnj;|", "\xe2\x80\x8c|"},
        {"&#127;|", "|"},
        {"&#x10FFFF;|", "|"},
        {"&#13", "\x0d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct clv_bytes out = {0};
        clv_bytes_text(&out, "");
        clv_entities_replace(&out, cases[i][0], strlen(cases[i][0]));
        CHECK_INT(out.status, CLV_OK);
        if (strcmp(out.data, cases[i][1]) != 0)
            t_fail(__FILE__, __LINE__, "'%s' gives '%s', want '%s'", cases[i][0], out.data,
                   cases[i][1]);
        clv_bytes_release(&out);
    }
}

static void check_clean(const char *text, size_t size, const char *want)
{
    struct clv_bytes out = {0};
    CHECK_OK(clv_clean_text(&out, text, size));
    CHECK_STRING(out.size_bytes ? out.data : "", want);
    clv_bytes_release(&out);
}
#define CLEAN(text, want) check_clean(text, sizeof(text) - 1, want)

static void text_is_cleaned(void)
{
    CLEAN("", "");
    CLEAN(" \t\r\n", "");
    CLEAN("  Two   Words\n", "two words");
    CLEAN("a\xc2\xa0\xe3\x80\x80"
          "b",
          "a b"); /* no-break and ideographic space */
    CLEAN("\x1c"
          "a\x1c"
          "b\x1f",
          "a\x1c"
          "b");                        /* stripped, but no white space inside */
    CLEAN("&amp;lt;B&amp;gt;", "<b>"); /* twice */
    CLEAN("&nbsp;a&nbsp;&nbsp;b&nbsp;", "a b");
    CLEAN("e\xcc\x81", "\xc3\xa9"); /* composed */
    CLEAN("\xc3\x89\xc4\xb0", "\xc3\xa9i\xcc\x87");
    CLEAN("\xce\xa3\xce\x9f\xce\xa3 \xce\xa3", /* sigma: first, last of a word, alone */
          "\xcf\x83\xce\xbf\xcf\x82 \xcf\x83");
    CLEAN("a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd");
    CLEAN("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate is no UTF-8 */
}

int main(void)
{
    T_RUN(references_are_replaced_as_html_says);
    T_RUN(text_is_cleaned);
    return t_end();
}
