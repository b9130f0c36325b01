/* Character references, as the HTML standard's "character reference state" has them. */
#include "core/model/entities.h"

#include "core/unicode.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NAME_BYTES_MAX 8

struct entity {
    char name[NAME_BYTES_MAX + 1];
    bool is_bare; /* read without its semicolon too, and where more letters follow */
    uint16_t code_point;
};

/* In order of strcmp(). */
// clang-format off
static const struct entity entities[] = {
    {"AElig", 1, 0xc6}, {"AMP", 1, 0x26}, {"Aacute", 1, 0xc1}, {"Acirc", 1, 0xc2},
    {"Agrave", 1, 0xc0}, {"Alpha", 0, 0x391}, {"Aring", 1, 0xc5}, {"Atilde", 1, 0xc3},
    {"Auml", 1, 0xc4}, {"Beta", 0, 0x392}, {"COPY", 1, 0xa9}, {"Ccedil", 1, 0xc7},
    {"Chi", 0, 0x3a7}, {"Dagger", 0, 0x2021}, {"Delta", 0, 0x394}, {"ETH", 1, 0xd0},
    {"Eacute", 1, 0xc9}, {"Ecirc", 1, 0xca}, {"Egrave", 1, 0xc8}, {"Epsilon", 0, 0x395},
    {"Eta", 0, 0x397}, {"Euml", 1, 0xcb}, {"GT", 1, 0x3e}, {"Gamma", 0, 0x393}, {"Iacute", 1, 0xcd},
    {"Icirc", 1, 0xce}, {"Igrave", 1, 0xcc}, {"Iota", 0, 0x399}, {"Iuml", 1, 0xcf},
    {"Kappa", 0, 0x39a}, {"LT", 1, 0x3c}, {"Lambda", 0, 0x39b}, {"Mu", 0, 0x39c},
    {"Ntilde", 1, 0xd1}, {"Nu", 0, 0x39d}, {"OElig", 0, 0x152}, {"Oacute", 1, 0xd3},
    {"Ocirc", 1, 0xd4}, {"Ograve", 1, 0xd2}, {"Omega", 0, 0x3a9}, {"Omicron", 0, 0x39f},
    {"Oslash", 1, 0xd8}, {"Otilde", 1, 0xd5}, {"Ouml", 1, 0xd6}, {"Phi", 0, 0x3a6},
    {"Pi", 0, 0x3a0}, {"Prime", 0, 0x2033}, {"Psi", 0, 0x3a8}, {"QUOT", 1, 0x22}, {"REG", 1, 0xae},
    {"Rho", 0, 0x3a1}, {"Scaron", 0, 0x160}, {"Sigma", 0, 0x3a3}, {"THORN", 1, 0xde},
    {"Tau", 0, 0x3a4}, {"Theta", 0, 0x398}, {"Uacute", 1, 0xda}, {"Ucirc", 1, 0xdb},
    {"Ugrave", 1, 0xd9}, {"Upsilon", 0, 0x3a5}, {"Uuml", 1, 0xdc}, {"Xi", 0, 0x39e},
    {"Yacute", 1, 0xdd}, {"Yuml", 0, 0x178}, {"Zeta", 0, 0x396}, {"aacute", 1, 0xe1},
    {"acirc", 1, 0xe2}, {"acute", 1, 0xb4}, {"aelig", 1, 0xe6}, {"agrave", 1, 0xe0},
    {"alefsym", 0, 0x2135}, {"alpha", 0, 0x3b1}, {"amp", 1, 0x26}, {"and", 0, 0x2227},
    {"ang", 0, 0x2220}, {"apos", 0, 0x27}, {"aring", 1, 0xe5}, {"asymp", 0, 0x2248},
    {"atilde", 1, 0xe3}, {"auml", 1, 0xe4}, {"bdquo", 0, 0x201e}, {"beta", 0, 0x3b2},
    {"brvbar", 1, 0xa6}, {"bull", 0, 0x2022}, {"cap", 0, 0x2229}, {"ccedil", 1, 0xe7},
    {"cedil", 1, 0xb8}, {"cent", 1, 0xa2}, {"chi", 0, 0x3c7}, {"circ", 0, 0x2c6},
    {"clubs", 0, 0x2663}, {"cong", 0, 0x2245}, {"copy", 1, 0xa9}, {"crarr", 0, 0x21b5},
    {"cup", 0, 0x222a}, {"curren", 1, 0xa4}, {"dArr", 0, 0x21d3}, {"dagger", 0, 0x2020},
    {"darr", 0, 0x2193}, {"deg", 1, 0xb0}, {"delta", 0, 0x3b4}, {"diams", 0, 0x2666},
    {"divide", 1, 0xf7}, {"eacute", 1, 0xe9}, {"ecirc", 1, 0xea}, {"egrave", 1, 0xe8},
    {"empty", 0, 0x2205}, {"emsp", 0, 0x2003}, {"ensp", 0, 0x2002}, {"epsilon", 0, 0x3b5},
    {"equiv", 0, 0x2261}, {"eta", 0, 0x3b7}, {"eth", 1, 0xf0}, {"euml", 1, 0xeb},
    {"euro", 0, 0x20ac}, {"exist", 0, 0x2203}, {"fnof", 0, 0x192}, {"forall", 0, 0x2200},
    {"frac12", 1, 0xbd}, {"frac14", 1, 0xbc}, {"frac34", 1, 0xbe}, {"frasl", 0, 0x2044},
    {"gamma", 0, 0x3b3}, {"ge", 0, 0x2265}, {"gt", 1, 0x3e}, {"hArr", 0, 0x21d4},
    {"harr", 0, 0x2194}, {"hearts", 0, 0x2665}, {"hellip", 0, 0x2026}, {"iacute", 1, 0xed},
    {"icirc", 1, 0xee}, {"iexcl", 1, 0xa1}, {"igrave", 1, 0xec}, {"image", 0, 0x2111},
    {"infin", 0, 0x221e}, {"int", 0, 0x222b}, {"iota", 0, 0x3b9}, {"iquest", 1, 0xbf},
    {"isin", 0, 0x2208}, {"iuml", 1, 0xef}, {"kappa", 0, 0x3ba}, {"lArr", 0, 0x21d0},
    {"lambda", 0, 0x3bb}, {"lang", 0, 0x27e8}, {"laquo", 1, 0xab}, {"larr", 0, 0x2190},
    {"lceil", 0, 0x2308}, {"ldquo", 0, 0x201c}, {"le", 0, 0x2264}, {"lfloor", 0, 0x230a},
    {"lowast", 0, 0x2217}, {"loz", 0, 0x25ca}, {"lrm", 0, 0x200e}, {"lsaquo", 0, 0x2039},
    {"lsquo", 0, 0x2018}, {"lt", 1, 0x3c}, {"macr", 1, 0xaf}, {"mdash", 0, 0x2014},
    {"micro", 1, 0xb5}, {"middot", 1, 0xb7}, {"minus", 0, 0x2212}, {"mu", 0, 0x3bc},
    {"nabla", 0, 0x2207}, {"nbsp", 1, 0xa0}, {"ndash", 0, 0x2013}, {"ne", 0, 0x2260},
    {"ni", 0, 0x220b}, {"not", 1, 0xac}, {"notin", 0, 0x2209}, {"nsub", 0, 0x2284},
    {"ntilde", 1, 0xf1}, {"nu", 0, 0x3bd}, {"oacute", 1, 0xf3}, {"ocirc", 1, 0xf4},
    {"oelig", 0, 0x153}, {"ograve", 1, 0xf2}, {"oline", 0, 0x203e}, {"omega", 0, 0x3c9},
    {"omicron", 0, 0x3bf}, {"oplus", 0, 0x2295}, {"or", 0, 0x2228}, {"ordf", 1, 0xaa},
    {"ordm", 1, 0xba}, {"oslash", 1, 0xf8}, {"otilde", 1, 0xf5}, {"otimes", 0, 0x2297},
    {"ouml", 1, 0xf6}, {"para", 1, 0xb6}, {"part", 0, 0x2202}, {"permil", 0, 0x2030},
    {"perp", 0, 0x22a5}, {"phi", 0, 0x3c6}, {"pi", 0, 0x3c0}, {"piv", 0, 0x3d6},
    {"plusmn", 1, 0xb1}, {"pound", 1, 0xa3}, {"prime", 0, 0x2032}, {"prod", 0, 0x220f},
    {"prop", 0, 0x221d}, {"psi", 0, 0x3c8}, {"quot", 1, 0x22}, {"rArr", 0, 0x21d2},
    {"radic", 0, 0x221a}, {"rang", 0, 0x27e9}, {"raquo", 1, 0xbb}, {"rarr", 0, 0x2192},
    {"rceil", 0, 0x2309}, {"rdquo", 0, 0x201d}, {"real", 0, 0x211c}, {"reg", 1, 0xae},
    {"rfloor", 0, 0x230b}, {"rho", 0, 0x3c1}, {"rlm", 0, 0x200f}, {"rsaquo", 0, 0x203a},
    {"rsquo", 0, 0x2019}, {"sbquo", 0, 0x201a}, {"scaron", 0, 0x161}, {"sdot", 0, 0x22c5},
    {"sect", 1, 0xa7}, {"shy", 1, 0xad}, {"sigma", 0, 0x3c3}, {"sigmaf", 0, 0x3c2},
    {"sim", 0, 0x223c}, {"spades", 0, 0x2660}, {"sub", 0, 0x2282}, {"sube", 0, 0x2286},
    {"sum", 0, 0x2211}, {"sup", 0, 0x2283}, {"sup1", 1, 0xb9}, {"sup2", 1, 0xb2}, {"sup3", 1, 0xb3},
    {"supe", 0, 0x2287}, {"szlig", 1, 0xdf}, {"tau", 0, 0x3c4}, {"there4", 0, 0x2234},
    {"theta", 0, 0x3b8}, {"thetasym", 0, 0x3d1}, {"thinsp", 0, 0x2009}, {"thorn", 1, 0xfe},
    {"tilde", 0, 0x2dc}, {"times", 1, 0xd7}, {"trade", 0, 0x2122}, {"uArr", 0, 0x21d1},
    {"uacute", 1, 0xfa}, {"uarr", 0, 0x2191}, {"ucirc", 1, 0xfb}, {"ugrave", 1, 0xf9},
    {"uml", 1, 0xa8}, {"upsih", 0, 0x3d2}, {"upsilon", 0, 0x3c5}, {"uuml", 1, 0xfc},
    {"weierp", 0, 0x2118}, {"xi", 0, 0x3be}, {"yacute", 1, 0xfd}, {"yen", 1, 0xa5},
    {"yuml", 1, 0xff}, {"zeta", 0, 0x3b6}, {"zwj", 0, 0x200d}, {"zwnj", 0, 0x200c},
};
// clang-format on

/* What windows-1252 has at 0x80 to 0x9f, which people meant by those numbers. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

static const struct entity *find(const char *name, size_t size)
{
    size_t low = 0, high = sizeof entities / sizeof *entities;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp(entities[middle].name, name, size);
        if (order == 0 && entities[middle].name[size] != '\0')
            order = 1;
        if (order == 0)
            return &entities[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void add_code_point(struct clv_bytes *out, uint32_t code_point)
{
    char encoded[4];
    clv_bytes_add(out, encoded, clv_unicode_encode(encoded, code_point));
}

/* What the standard makes of a number; nothing for controls and non-characters. */
static void add_number(struct clv_bytes *out, uint32_t number)
{
    if (number == 0 || (number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff)
        add_code_point(out, 0xfffd);
    else if (number >= 0x80 && number <= 0x9f)
        add_code_point(out, windows_1252[number - 0x80]);
    else if (number == '\t' || number == '\n' || number == '\f' || number == '\r' ||
             (number >= 0x20 && number != 0x7f && !(number >= 0xfdd0 && number <= 0xfdef) &&
              (number & 0xfffe) != 0xfffe))
        add_code_point(out, number);
}

/* The value of a digit in `base`, 10 or 16; -1 where it is none. */
static int digit_of(char character, int base)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    int letter = (character | 0x20) - 'a';
    return base == 16 && letter >= 0 && letter < 6 ? letter + 10 : -1;
}

/* `text` follows "&#". Returns the bytes taken, 0 where it is no number. */
static size_t replace_number(struct clv_bytes *out, const char *text, size_t size)
{
    size_t at = size > 0 && (text[0] == 'x' || text[0] == 'X');
    int base = at ? 16 : 10, digit;
    size_t first = at;
    uint32_t number = 0;
    for (; at < size && (digit = digit_of(text[at], base)) >= 0; at++)
        if (number <= 0x10ffff)
            number = number * (uint32_t)base + (uint32_t)digit;
    if (at == first)
        return 0;
    add_number(out, number);
    return at + (at < size && text[at] == ';');
}

/* `text` follows "&". Returns the bytes taken, 0 where it is no name known here. */
static size_t replace_name(struct clv_bytes *out, const char *text, size_t size)
{
    static const char ends[] = {'\t', '\n', '\f', ' ', '<', '&', '#', ';'};
    size_t length = 0;
    while (length < size && length < NAME_BYTES_MAX && !memchr(ends, text[length], sizeof ends))
        length++;
    const struct entity *entity = find(text, length);
    if (entity && length < size && text[length] == ';') {
        add_code_point(out, entity->code_point);
        return length + 1;
    }
    for (; length >= 2; length--) {
        entity = find(text, length);
        if (entity && entity->is_bare) {
            add_code_point(out, entity->code_point);
            return length;
        }
    }
    return 0;
}

void clv_entities_replace(struct clv_bytes *out, const char *text, size_t size_bytes)
{
    const char *end = text + size_bytes;
    while (text < end) {
        const char *ampersand = memchr(text, '&', (size_t)(end - text));
        if (!ampersand)
            ampersand = end;
        clv_bytes_add(out, text, (size_t)(ampersand - text));
        text = ampersand;
        if (text == end)
            return;
        size_t left = (size_t)(end - text - 1);
        size_t taken = left > 0 && text[1] == '#' ? replace_number(out, text + 2, left - 1)
                                                  : replace_name(out, text + 1, left);
        if (taken == 0)
            clv_bytes_add(out, text, 1);
        else if (text[1] == '#')
            text++;
        text += 1 + taken;
    }
}
