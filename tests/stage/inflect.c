/* The two verb forms that sentences need, by the rules of spelling. */
#include "tests/stage/text.h"

#include <string.h>

static bool is_in(const char *const *words, const char *word, size_t length)
{
    for (; *words; words++)
        if (strlen(*words) == length && memcmp(*words, word, length) == 0)
            return true;
    return false;
}

static bool is_vowel(char letter)
{
    return strchr("aeiou", letter) != NULL;
}

void stage_gerund(struct clv_bytes *out, const char *phrase)
{
    /* One-syllable verbs that double their last letter. */
    static const char *const doubling[] = {"sit",  "get",  "put",  "set",  "run",   "hop",  "spin",
                                           "step", "drop", "clap", "slip", "cut",   "shut", "rub",
                                           "let",  "grab", "flip", "skip", "sip",   "tug",  "drag",
                                           "drum", "slap", "don",  "stop", "squat", NULL};
    size_t n = strcspn(phrase, " ");
    if (is_in(doubling, phrase, n)) {
        clv_bytes_add(out, phrase, n);
        clv_bytes_add(out, phrase + n - 1, 1);
    } else if (n > 2 && memcmp(phrase + n - 2, "ie", 2) == 0) {
        clv_bytes_add(out, phrase, n - 2);
        clv_bytes_text(out, "y");
    } else if (n > 2 && phrase[n - 1] == 'e' && !strchr("eoy", phrase[n - 2])) {
        clv_bytes_add(out, phrase, n - 1);
    } else {
        clv_bytes_add(out, phrase, n);
    }
    clv_bytes_text(out, "ing");
    clv_bytes_text(out, phrase + n);
}

void stage_third_person(struct clv_bytes *out, const char *phrase)
{
    size_t n = strcspn(phrase, " ");
    const char *ending = "s";
    char last = phrase[n - 1], before = n > 1 ? phrase[n - 2] : ' ';
    if (n == 2 && memcmp(phrase, "be", 2) == 0) {
        clv_bytes_text(out, "is");
        clv_bytes_text(out, phrase + n);
        return;
    }
    if (n == 4 && memcmp(phrase, "have", 4) == 0) {
        clv_bytes_text(out, "has");
        clv_bytes_text(out, phrase + n);
        return;
    }
    if (last == 'y' && !is_vowel(before)) {
        n--;
        ending = "ies";
    } else if (strchr("sxzo", last) || (last == 'h' && strchr("cs", before))) {
        ending = "es";
    }
    clv_bytes_add(out, phrase, n);
    clv_bytes_text(out, ending);
    clv_bytes_text(out, phrase + strcspn(phrase, " "));
}
