/* Training a vocabulary: by hand, against a slow reference, through the tokenizer, and on texts
 * nobody would write. */
#include "core/clock.h"
#include "core/error.h"
#include "core/model/tokenizer.h"
#include "core/model/vocabulary_train.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The list of `text`, which the caller releases. */
static void make(struct clv_bytes *list, int *size, const char *text, size_t bytes, int wanted)
{
    struct clv_vocabulary_train *train = NULL;
    REQUIRE_OK(clv_vocabulary_train_create(&train));
    CHECK_OK(clv_vocabulary_train_add(train, text, bytes));
    CHECK_OK(clv_vocabulary_train_list(train, list, size, wanted, NULL));
    clv_vocabulary_train_free(train);
}

static void check_list(const char *text, int wanted, int size, const char *list)
{
    struct clv_bytes got = {0};
    int got_size = 0;
    make(&got, &got_size, text, strlen(text), wanted);
    CHECK_INT(got_size, size);
    CHECK_STRING(got.data, list);
    clv_bytes_release(&got);
}

/* The example of Sennrich et al. 2016, figure 1, where w and the end of the word are one symbol
 * here: low 5, lower 2, newest 6, widest 3. es and st stand 9 times each: "e s" comes first; the
 * end of a word keeps "t</w>" apart from t. */
static void matches_the_paper(void)
{
    const char *text = "low low low low low lower lower\n"
                       "newest newest newest newest newest newest widest widest widest\n";
    check_list(text, 518, 518, "#version: 0.2\ne s\nes t</w>\nl o\ne w");
}

/* All once: the line of the list that comes first in byte order, "</w>" included. */
static void breaks_ties_by_byte_order(void)
{
    check_list("ba ab", 516, 516, "#version: 0.2\na b</w>\nb a</w>");
    /* yz, zy and the pairs at the ends, each once; capital letters are lowered, so that Z is z. */
    check_list("xyZ", 520, 516, "#version: 0.2\nx y\nxy z</w>");
    /* a</w> is longer than a and comes after it. */
    check_list("aab aca", 515, 515, "#version: 0.2\na a");
    check_list("ca cab", 516, 516, "#version: 0.2\na b</w>\nc a</w>");
}

/* "aaaa" merges from the left: aa a a</w>, whatever overlaps. */
static void merges_repeats_from_the_left(void)
{
    check_list("aaaa", 560, 517, "#version: 0.2\na a\na a</w>\naa aa</w>");
    check_list("aaaaa", 560, 517, "#version: 0.2\na a\naa a</w>\naa aaa</w>");
}

static void counts_words_as_the_tokenizer_splits_them(void)
{
    struct clv_vocabulary_train *train = NULL;
    REQUIRE_OK(clv_vocabulary_train_create(&train));
    const char *text = "Don't  stop&amp;go 42 <|endoftext|>\r\nDON'T";
    CHECK_OK(clv_vocabulary_train_add(train, text, strlen(text)));
    /* don 't stop & go 4 2 don 't */
    CHECK_INT(clv_vocabulary_train_word_count(train), 9);
    CHECK_INT(clv_vocabulary_train_distinct_count(train), 7);
    clv_vocabulary_train_free(train);
}

/* ---- a slow reference: recounts every pair before each merge ---- */

#define WORDS 300
#define SYMBOLS 24

struct slow_word {
    char symbols[SYMBOLS][2 * SYMBOLS + 8]; /* each as the list writes it */
    int count;
};

static void slow_split(struct slow_word *out, const char *word)
{
    out->count = (int)strlen(word);
    for (int i = 0; i < out->count; i++)
        snprintf(out->symbols[i], sizeof out->symbols[i], "%c%s", word[i],
                 i == out->count - 1 ? "</w>" : "");
}

/* The most frequent pair as a line, "" where there is none; of equals the first line. */
static void slow_best(char *line_out, size_t size, const struct slow_word *words, int count)
{
    int best = 0;
    line_out[0] = '\0';
    for (int i = 0; i < count; i++)
        for (int j = 0; j + 1 < words[i].count; j++) {
            char line[128];
            int found = 0;
            snprintf(line, sizeof line, "%.40s %.40s", words[i].symbols[j],
                     words[i].symbols[j + 1]);
            for (int k = 0; k < count; k++)
                for (int l = 0; l + 1 < words[k].count; l++)
                    found += strcmp(words[k].symbols[l], words[i].symbols[j]) == 0 &&
                             strcmp(words[k].symbols[l + 1], words[i].symbols[j + 1]) == 0;
            if (found > best || (found == best && strcmp(line, line_out) < 0)) {
                best = found;
                snprintf(line_out, size, "%s", line);
            }
        }
}

static void slow_merge(struct slow_word *word, const char *left, const char *right)
{
    for (int j = 0; j + 1 < word->count; j++) {
        if (strcmp(word->symbols[j], left) != 0 || strcmp(word->symbols[j + 1], right) != 0)
            continue;
        strncat(word->symbols[j], right, sizeof word->symbols[j] - strlen(word->symbols[j]) - 1);
        word->count--;
        memmove(word->symbols[j + 1], word->symbols[j + 2],
                (size_t)(word->count - j - 1) * sizeof word->symbols[0]);
    }
}

/* Random words over few letters, so that pairs overlap and tie; the two lists must be one. */
static void matches_a_recount(void)
{
    static struct slow_word words[WORDS];
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct clv_bytes text = {0}, list = {0}, want = {0};
        uint64_t state = seed;
        int size = 0, letters = 1 + (int)seed % 4, count = 40 * (int)seed;
        for (int i = 0; i < count; i++) {
            char word[SYMBOLS + 1] = {0};
            int length = 1 + (int)(t_random(&state) % 12);
            for (int j = 0; j < length; j++)
                word[j] = (char)('a' + (int)(t_random(&state) % (uint64_t)letters));
            slow_split(&words[i], word);
            clv_bytes_format(&text, "%s%c", word, t_random(&state) % 2 ? ' ' : '\n');
        }
        clv_bytes_text(&want, "#version: 0.2");
        for (int merges = 0; merges < 25; merges++) {
            char line[128], left[128];
            slow_best(line, sizeof line, words, count);
            if (line[0] == '\0')
                break;
            clv_bytes_format(&want, "\n%s", line);
            const char *space = strchr(line, ' ');
            snprintf(left, sizeof left, "%.*s", (int)(space - line), line);
            for (int i = 0; i < count; i++)
                slow_merge(&words[i], left, space + 1);
        }
        make(&list, &size, text.data, text.size_bytes, 514 + 25);
        CHECK_STRING(list.data, want.data);
        clv_bytes_release(&text);
        clv_bytes_release(&list);
        clv_bytes_release(&want);
    }
}

/* ---- through the tokenizer ---- */

static const char sentences[] =
    "A man throws the red ball to a woman in the yard.\n"
    "The woman catches the ball; she's happy.\n"
    "Two people are throwing balls &amp; catching them, again and again\n"
    "\xc3\x89"
    "clair \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x99\x82 na\xc3\xafve\n";

/* Every word of the text becomes few ids, and the symbols of the ids joined are the text. */
static void serves_the_tokenizer(void)
{
    struct clv_bytes list = {0};
    struct clv_tokenizer *tokenizer = NULL, *bytes = NULL;
    int size = 0, count = 0, byte_count = 0;
    int32_t ids[512];
    make(&list, &size, sentences, sizeof sentences - 1, 580);
    CHECK_INT(size, 580);
    REQUIRE_OK(clv_tokenizer_open_text(&tokenizer, list.data, list.size_bytes, "made"));
    REQUIRE_OK(clv_tokenizer_open_text(&bytes, "", 0, "bytes"));
    CHECK_INT(clv_tokenizer_size(tokenizer), size);
    CHECK_INT(clv_tokenizer_start_id(tokenizer), size - 2);
    CHECK_OK(clv_tokenizer_encode(bytes, ids, &byte_count, NULL, sentences, 512));
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, NULL, sentences, 512));
    CHECK(count < byte_count / 2);
    /* "the" stands most often of all words with more than one letter */
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, NULL, "the", 512));
    CHECK_INT(count, 3);
    clv_tokenizer_close(tokenizer);
    clv_tokenizer_close(bytes);
    clv_bytes_release(&list);
}

/* With all pairs merged every word of the text is one id, each another. */
static void makes_each_word_one_id(void)
{
    struct clv_bytes list = {0};
    struct clv_tokenizer *tokenizer = NULL;
    const char *text = "abra cadabra abracadabra \xe6\x97\xa5\xe6\x9c\xac dabra";
    int size = 0, count = 0;
    int32_t ids[64];
    make(&list, &size, text, strlen(text), 49408);
    REQUIRE_OK(clv_tokenizer_open_text(&tokenizer, list.data, list.size_bytes, "made"));
    CHECK_INT(clv_tokenizer_size(tokenizer), size);
    CHECK_OK(clv_tokenizer_encode(tokenizer, ids, &count, NULL, text, 64));
    CHECK_INT(count, 2 + 5);
    for (int i = 1; i + 1 < count; i++)
        for (int j = 1; j < i; j++)
            CHECK(ids[i] != ids[j]);
    clv_tokenizer_close(tokenizer);
    clv_bytes_release(&list);
}

static void gives_the_same_list_twice(void)
{
    struct clv_bytes one = {0}, two = {0};
    int size = 0;
    struct clv_vocabulary_train *train = NULL;
    REQUIRE_OK(clv_vocabulary_train_create(&train));
    /* In pieces of a line each, and twice over: the same counts but doubled. */
    const char *at = sentences;
    for (int round = 0; round < 2; round++)
        for (at = sentences; *at != '\0'; at = strchr(at, '\n') + 1)
            CHECK_OK(clv_vocabulary_train_add(train, at, strcspn(at, "\n")));
    CHECK_OK(clv_vocabulary_train_list(train, &two, &size, 700, NULL));
    make(&one, &size, sentences, sizeof sentences - 1, 700);
    CHECK_STRING(two.data, one.data);
    /* A list is the beginning of every longer one. */
    CHECK_OK(clv_vocabulary_train_list(train, &two, &size, 540, NULL));
    CHECK_INT(size, 540);
    CHECK(two.size_bytes < one.size_bytes && memcmp(one.data, two.data, two.size_bytes) == 0);
    clv_vocabulary_train_free(train);
    clv_bytes_release(&one);
    clv_bytes_release(&two);
}

/* ---- refused, and hostile ---- */

static void refuses_what_makes_no_vocabulary(void)
{
    struct clv_vocabulary_train *train = NULL;
    struct clv_bytes list = {0};
    struct clv_cancel cancel = {0};
    int size = 7;
    REQUIRE_OK(clv_vocabulary_train_create(&train));
    CHECK_ERROR(clv_vocabulary_train_list(train, &list, &size, 600, NULL), CLV_EINVAL, "no words");
    CHECK_INT(size, 0);
    CHECK_OK(clv_vocabulary_train_add(train, NULL, 0));
    CHECK_OK(clv_vocabulary_train_add(train, " \n\t\r\n<|startoftext|>\n", 20));
    CHECK_ERROR(clv_vocabulary_train_list(train, &list, &size, 600, NULL), CLV_EINVAL, "no words");
    CHECK_OK(clv_vocabulary_train_add(train, "some words", 10));
    CHECK_ERROR(clv_vocabulary_train_list(train, &list, &size, 513, NULL), CLV_EINVAL, "513");
    CHECK_ERROR(clv_vocabulary_train_list(train, &list, &size, 49409, NULL), CLV_EINVAL, "49409");
    clv_cancel_request(&cancel);
    CHECK_ERROR(clv_vocabulary_train_list(train, &list, &size, 600, &cancel), CLV_ECANCELED,
                "interrupted");
    clv_vocabulary_train_free(train);
    clv_vocabulary_train_free(NULL);
    clv_bytes_release(&list);
    /* One letter a word: nothing to merge, and yet a vocabulary. */
    check_list("a b c", 600, 514, "#version: 0.2");
}

static void opens(const struct clv_bytes *list, int size)
{
    struct clv_tokenizer *tokenizer = NULL;
    REQUIRE_OK(clv_tokenizer_open_text(&tokenizer, list->data, list->size_bytes, "made"));
    CHECK_INT(clv_tokenizer_size(tokenizer), size);
    clv_tokenizer_close(tokenizer);
}

/* NULs, bytes that are no UTF-8, and all bytes at random: a list every reader takes. */
static void bears_any_bytes(void)
{
    struct clv_bytes list = {0};
    int size = 0;
    make(&list, &size, "a\0b\0a\0b \xff\xfe\xff\xfe \xc3(", 15, 600);
    opens(&list, size);
    char *noise = malloc(200000);
    REQUIRE(noise != NULL);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        uint64_t state = seed;
        for (size_t i = 0; i < 200000; i++)
            noise[i] = (char)(t_random(&state) >> 13);
        make(&list, &size, noise, 200000, 1024);
        CHECK_INT(size, 1024);
        opens(&list, size);
    }
    free(noise);
    clv_bytes_release(&list);
}

/* Lines of 3 MiB: one letter, two letters at random, and words. Long symbols stop somewhere. */
static void bears_one_giant_line(void)
{
    const size_t bytes = (size_t)3 << 20;
    struct clv_bytes list = {0};
    int size = 0;
    char *line = malloc(bytes);
    REQUIRE(line != NULL);
    memset(line, 'a', bytes);
    double begun = clv_clock_seconds();
    make(&list, &size, line, bytes, 49408);
    CHECK(size > 518 && size < 600);
    opens(&list, size);
    uint64_t state = 1;
    for (size_t i = 0; i < bytes; i++)
        line[i] = t_random(&state) >> 20 & 1 ? 'a' : 'b';
    make(&list, &size, line, bytes, 2048);
    CHECK_INT(size, 2048);
    opens(&list, size);
    for (size_t i = 0; i < bytes; i++)
        line[i] = t_random(&state) % 6 ? (char)('a' + (int)(t_random(&state) % 20)) : ' ';
    make(&list, &size, line, bytes, 4096);
    CHECK_INT(size, 4096);
    opens(&list, size);
    CHECK(clv_clock_seconds() - begun < 120);
    free(line);
    clv_bytes_release(&list);
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    T_RUN(matches_the_paper);
    T_RUN(breaks_ties_by_byte_order);
    T_RUN(merges_repeats_from_the_left);
    T_RUN(counts_words_as_the_tokenizer_splits_them);
    T_RUN(matches_a_recount);
    T_RUN(serves_the_tokenizer);
    T_RUN(makes_each_word_one_id);
    T_RUN(gives_the_same_list_twice);
    T_RUN(refuses_what_makes_no_vocabulary);
    T_RUN(bears_any_bytes);
    T_RUN(bears_one_giant_line);
    return t_end();
}
