/* Which words a mirror would make untrue. */
#include "core/model/augment.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Bytes of UTF-8 beyond ASCII count as letters. */
static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Whether a word begins at `at`, also inside of "turnLeft". */
static bool begins(const char *text, const char *at)
{
    return at == text || !is_letter(at[-1]) ||
           (isupper((unsigned char)at[0]) && islower((unsigned char)at[-1]));
}

/* Whether a word ends before `at`, also inside of "LeftTurn". */
static bool ends(const char *at)
{
    return !is_letter(*at) || (isupper((unsigned char)*at) && islower((unsigned char)at[-1]));
}

/* Past an ending that keeps the meaning: "leftwards", "right-handed" has none. */
static const char *skip_ending(const char *at)
{
    static const char *const endings[] = {"wards", "ward", "handed", "hand", "most"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (strncasecmp(at, endings[i], strlen(endings[i])) == 0 && ends(at + strlen(endings[i])))
            return at + strlen(endings[i]);
    return at;
}

bool clv_augment_name_has_side(const char *name)
{
    static const char *const words[] = {"left", "right", "clockwise", "anticlockwise",
                                        "counterclockwise"};
    for (const char *at = name; *at; at++)
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            const size_t length = strlen(words[i]);
            if (strncasecmp(at, words[i], length) == 0 && begins(name, at) &&
                ends(skip_ending(at + length)))
                return true;
        }
    return false;
}
