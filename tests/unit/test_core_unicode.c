/* Decoding, classes, case and normal forms. Expectations are Python's unicodedata and str. */
#include "core/error.h"
#include "core/unicode.h"
#include "tests/t.h"

#include <string.h>

static void code_points_survive_encoding(void)
{
    static const uint32_t edges[] = {0,      1,      0x7f,   0x80,    0x7ff,   0x800,   0xd7ff,
                                     0xe000, 0xfffd, 0xffff, 0x10000, 0x1f600, 0x10ffff};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        char text[4];
        uint32_t back = 0;
        size_t size = clv_unicode_encode(text, edges[i]);
        size_t want = edges[i] < 0x80 ? 1 : edges[i] < 0x800 ? 2 : edges[i] < 0x10000 ? 3 : 4;
        CHECK_INT(size, want);
        CHECK_INT(clv_unicode_decode(&back, text, size), want);
        CHECK_INT(back, edges[i]);
        for (size_t cut = 0; cut < size; cut++)
            CHECK_INT(clv_unicode_decode(&back, text, cut), 0);
    }
}

static void what_is_not_utf8_is_refused(void)
{
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3x",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xe2\x82",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xe2x\x82",
        "\xf0\x9f\x98",
    };
    uint32_t code_point;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(clv_unicode_decode(&code_point, bad[i], strlen(bad[i])), 0);
}

static void classes_are_unicodes(void)
{
    static const uint32_t letters[] = {'a',   'Z',   0xaa,   0xe9,    0x1c5,  0x2b0,
                                       0x3b1, 0x5d0, 0x4e2d, 0x10400, 0x20000};
    static const uint32_t numbers[] = {'0', '9', 0xb2, 0xbd, 0x661, 0x2160, 0x3007, 0x1d7ce};
    static const uint32_t spaces[] = {9,      10,     11,     12,     13,     ' ',
                                      0x85,   0xa0,   0x1680, 0x2000, 0x200a, 0x2028,
                                      0x2029, 0x202f, 0x205f, 0x3000};
    static const uint32_t others[] = {0,      0x1c,   '!',    '_',    0x301,
                                      0x180e, 0x200b, 0x200d, 0x20ac, 0x1f600,
                                      0xfffd, 0xfeff, 0x378,  0xe000, 0x10ffff};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        CHECK(clv_unicode_is_letter(letters[i]) && !clv_unicode_is_number(letters[i]) &&
              !clv_unicode_is_space(letters[i]));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        CHECK(clv_unicode_is_number(numbers[i]) && !clv_unicode_is_letter(numbers[i]));
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        CHECK(clv_unicode_is_space(spaces[i]) && !clv_unicode_is_letter(spaces[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(!clv_unicode_is_letter(others[i]) && !clv_unicode_is_number(others[i]) &&
              !clv_unicode_is_space(others[i]));
}

static void columns_are_those_of_terminals(void)
{
    CHECK_INT(clv_unicode_columns('a'), 1);
    CHECK_INT(clv_unicode_columns(0xe9), 1);
    CHECK_INT(clv_unicode_columns(0x4e2d), 2);
    CHECK_INT(clv_unicode_columns(0x1f600), 2);
    CHECK_INT(clv_unicode_columns(0x301), 0);
    CHECK_INT(clv_unicode_columns(0x200b), 0);
    CHECK_INT(clv_unicode_columns('\n'), 0);
}

static void check_text(int (*map)(struct clv_bytes *, const char *, size_t), const char *text,
                       const char *want)
{
    struct clv_bytes out = {0};
    clv_bytes_text(&out, ">");
    CHECK_OK(map(&out, text, strlen(text)));
    CHECK_STRING(out.data + 1, want);
    clv_bytes_release(&out);
}

static void text_is_composed(void)
{
    check_text(clv_unicode_nfc, "", "");
    check_text(clv_unicode_nfc, "plain", "plain");
    check_text(clv_unicode_nfc, "e\xcc\x81", "\xc3\xa9");
    check_text(clv_unicode_nfc, "\xe2\x84\xab", "\xc3\x85"); /* Angstrom sign */
    check_text(clv_unicode_nfc, "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
               "\xed\x95\x9c");                                              /* Hangul */
    check_text(clv_unicode_nfc, "q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87");   /* reordered */
    check_text(clv_unicode_nfc, "\xef\xac\x81", "\xef\xac\x81");             /* fi stays */
    check_text(clv_unicode_nfc, "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"); /* excluded */
    check_text(clv_unicode_nfc,
               "a\xff"
               "b",
               "a\xef\xbf\xbd"
               "b");
}

static void text_is_lowered(void)
{
    check_text(clv_unicode_lower, "", "");
    check_text(clv_unicode_lower, "ABC xyz 1", "abc xyz 1");
    check_text(clv_unicode_lower, "\xc3\x89\xce\xa9\xd0\x96", "\xc3\xa9\xcf\x89\xd0\xb6");
    check_text(clv_unicode_lower, "\xc4\xb0", "i\xcc\x87");
    check_text(clv_unicode_lower, "\xe1\xba\x9e\xc3\x9f", "\xc3\x9f\xc3\x9f"); /* sharp s */
    check_text(clv_unicode_lower, "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8");
    check_text(clv_unicode_lower, "\xc7\x85", "\xc7\x86"); /* title case */
    check_text(clv_unicode_lower, "\xe2\x84\xaa", "k");    /* Kelvin sign */
    check_text(clv_unicode_lower, "A\xc3", "a\xef\xbf\xbd");
}

static void a_failed_output_stays_failed(void)
{
    struct clv_bytes out = {.status = CLV_ENOMEM};
    CHECK_INT(clv_unicode_nfc(&out, "x", 1), CLV_ENOMEM);
    CHECK_INT(clv_unicode_lower(&out, "x", 1), CLV_ENOMEM);
    CHECK(out.data == NULL);
}

int main(void)
{
    T_RUN(code_points_survive_encoding);
    T_RUN(what_is_not_utf8_is_refused);
    T_RUN(classes_are_unicodes);
    T_RUN(columns_are_those_of_terminals);
    T_RUN(text_is_composed);
    T_RUN(text_is_lowered);
    T_RUN(a_failed_output_stays_failed);
    return t_end();
}
