/* Sentences and what they are true of: tables with repeats, times, facts, and broken ones. */
#include "core/error.h"
#include "core/file.h"
#include "indexer/captions.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One directory for all files of a test. */
static const char *place(const char *name)
{
    static const char *directory;
    directory = directory ? directory : t_directory();
    return t_path(directory, name);
}

static const char *put(const char *name, const char *text)
{
    const char *path = place(name);
    CHECK_OK(clv_file_replace(path, text, strlen(text)));
    return path;
}

static int open_text(struct clv_captions *out, const char *text)
{
    const struct clv_captions_options options = {0};
    return clv_captions_open(out, put("captions.csv", text), &options);
}

/* "0 2" of the clips that a sentence is true of. */
static void check_right(const struct clv_captions *captions, const char *sentence, const char *want)
{
    char got[256] = "";
    for (int q = 0; q < captions->sentence_count; q++) {
        if (strcmp(captions->sentences[q], sentence) != 0)
            continue;
        for (int32_t c = 0; c < captions->clip_count; c++)
            if (clv_captions_is_right(captions, q, c))
                snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", *got ? " " : "",
                         (int)c);
        CHECK_STRING(got, want);
        CHECK(!clv_captions_is_right(captions, q, captions->clip_count));
        return;
    }
    t_fail(__FILE__, __LINE__, "there is no sentence '%s'", sentence);
}

static void joins_repeats(void)
{
    struct clv_captions captions;
    REQUIRE_OK(open_text(&captions, "path,sentence\n"
                                    "a.mp4,a dog runs\n"
                                    "b.mp4,a cat sleeps\n"
                                    "a.mp4,something moves\n"
                                    "./b.mp4,a cat sleeps\n"
                                    "c.mp4,a dog runs\n"
                                    "b.mp4,something moves\n"));
    CHECK_INT(captions.clip_count, 3);
    CHECK_INT(captions.sentence_count, 3);
    CHECK_STRING(captions.sentences[0], "a dog runs");
    CHECK_STRING(captions.sentences[2], "something moves");
    CHECK_INT(captions.clip_rows[2], 4);
    CHECK(captions.is_first[4] && !captions.is_first[3] && !captions.is_first[5]);
    check_right(&captions, "a dog runs", "0 2");
    check_right(&captions, "a cat sleeps", "1");
    check_right(&captions, "something moves", "0 1");
    clv_captions_release(&captions);
}

/* Parts of one file are clips of their own. */
static void keeps_parts_of_a_file_apart(void)
{
    struct clv_captions captions;
    REQUIRE_OK(open_text(&captions, "video\tcaption\tstart\tend\n"
                                    "a.mp4\tx\t0\t2\n"
                                    "a.mp4\ty\t2\t0:04.5\n"
                                    "a.mp4\tz\t0\t2\n"
                                    "a.mp4\tx\t\t\n"));
    CHECK_INT(captions.clip_count, 3);
    CHECK_INT(captions.labels.rows[captions.clip_rows[1]].end_ms, 4500);
    CHECK_INT(captions.labels.rows[captions.clip_rows[2]].start_ms, -1);
    check_right(&captions, "x", "0 2");
    check_right(&captions, "y", "1");
    check_right(&captions, "z", "0");
    clv_captions_release(&captions);
}

static const char stated[] = "path,sentence,action,actor,place\n"
                             "a.mp4,a boy runs in the park,running,boy,park\n"
                             "b.mp4,someone runs,running,,\n"
                             "c.mp4,a boy sits,sitting,boy,\n"
                             "d.mp4,look,,,\n"
                             "a.mp4,someone runs,running,,\n";

static int open_stated(struct clv_captions *out, const char *facts_name, const char *facts,
                       const char *match)
{
    const struct clv_captions_options options = {.facts_path = put(facts_name, facts),
                                                 .match = match};
    return clv_captions_open(out, put("stated.csv", stated), &options);
}

static void check_stated(const struct clv_captions *captions)
{
    check_right(captions, "a boy runs in the park", "0");
    check_right(captions, "someone runs", "0 1");
    /* d: a girl who sits, and whose place is not known */
    check_right(captions, "a boy sits", "2");
    check_right(captions, "look", "3");
    CHECK_INT(captions->without_facts_count, 0);
}

static void believes_the_facts(void)
{
    struct clv_captions captions;
    REQUIRE_OK(
        open_stated(&captions, "facts.csv",
                    "place,path,actor,action\npark,a.mp4,boy,running\nyard,b.mp4,boy,running\n"
                    "gym,c.mp4,boy,sitting\n,d.mp4,girl,sitting\n",
                    NULL));
    check_stated(&captions);
    clv_captions_release(&captions);
    const char *lines =
        "{\"path\":\"a.mp4\",\"action\":\"running\",\"actor\":\"boy\",\"place\":\"park\"}\n"
        "\r\n"
        "{\"path\":\"b.mp4\",\"action\":\"running\",\"actor\":\"boy\",\"place\":\"yard\"}\r\n"
        "{\"path\":\"c.mp4\",\"action\":\"sitting\",\"actor\":\"boy\",\"place\":[]}\n"
        "{\"path\":\"d.mp4\",\"action\":\"sitting\",\"actor\":\"girl\"}";
    REQUIRE_OK(open_stated(&captions, "facts.jsonl", lines, NULL));
    check_stated(&captions);
    clv_captions_release(&captions);
    /* By the action alone all that run are right, and the girl sits as well. */
    REQUIRE_OK(open_stated(&captions, "facts.jsonl", lines, "action"));
    check_right(&captions, "a boy runs in the park", "0 1");
    check_right(&captions, "a boy sits", "2 3");
    clv_captions_release(&captions);
    REQUIRE_OK(
        open_stated(&captions, "facts.jsonl",
                    "{\"path\":\"b.mp4\",\"action\":\"running\",\"actor\":\"\",\"place\":\"\"}",
                    "action,actor"));
    CHECK_INT(captions.without_facts_count, 3);
    check_right(&captions, "someone runs", "0 1");
    check_right(&captions, "a boy runs in the park", "0");
    clv_captions_release(&captions);
}

static void refuses_facts_that_do_not_fit(void)
{
    static const struct {
        const char *facts, *match, *part;
    } cases[] = {
        {"path,action\na.mp4,running\n", NULL, "says nothing about 'actor'"},
        {"path,action\na.mp4,running\n", "colour", "no column 'colour'"},
        {"path,action\na.mp4,running\na.mp4,running\n", "action", "two rows about"},
        {"path,action\nz.mp4,running\n", "action", "says nothing about any clip"},
        {"action\nrunning\n", "action", "no column for the footage"},
        {"path,action\n,running\n", "action", "line 2 of"},
        {"{\"path\":\"a.mp4\",\"action\":\"running\"}\n{\"action\":\"x\"}\n", "action",
         "line 2 of"},
        {"{\"path\":\"a.mp4\"", "action", "line 1 of"},
        {"", "action", "facts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clv_captions captions;
        int status = open_stated(&captions, "facts", cases[i].facts, cases[i].match);
        if (status != CLV_EINVAL && status != CLV_ECORRUPT)
            t_fail(__FILE__, __LINE__, "case %zu: status %d", i, status);
        CHECK_ERROR(status, status, cases[i].part);
        clv_captions_release(&captions);
    }
}

static void refuses_broken_lists(void)
{
    struct clv_captions captions;
    const struct clv_captions_options match = {.match = "action"};
    CHECK_ERROR(open_text(&captions, ""), CLV_EINVAL, "captions.csv");
    clv_captions_release(&captions);
    CHECK_ERROR(open_text(&captions, "path,sentence\n"), CLV_EINVAL, "captions.csv");
    clv_captions_release(&captions);
    CHECK_ERROR(open_text(&captions, "path,sentence\na.mp4,\n"), CLV_EINVAL, "line 2");
    clv_captions_release(&captions);
    CHECK_ERROR(open_text(&captions, "path,sentence,start,end\na.mp4,x,3,2\n"), CLV_EINVAL,
                "line 2");
    clv_captions_release(&captions);
    CHECK_ERROR(open_text(&captions, "one,two,three\na,b,c\n"), CLV_EINVAL, "captions.csv");
    clv_captions_release(&captions);
    CHECK_ERROR(clv_captions_open(&captions, put("a.csv", "path,sentence\na,b\n"), &match),
                CLV_EINVAL, "facts");
    clv_captions_release(&captions);
    CHECK_ERROR(
        clv_captions_open(&captions, "/nowhere/at/all.csv", &(struct clv_captions_options){0}),
        CLV_ENOTFOUND, "/nowhere/at/all.csv");
    clv_captions_release(&captions);
}

/* Random tables against a slow reading of them. */
static void matches_a_slow_reading(void)
{
    for (uint64_t seed = 1; seed <= 20 && !t_failed(); seed++) {
        enum { ROWS = 40 };
        struct clv_bytes text = {0};
        int clip[ROWS], sentence[ROWS];
        uint64_t state = seed;
        clv_bytes_text(&text, "path,sentence\n");
        for (int i = 0; i < ROWS; i++) {
            clip[i] = (int)(t_random(&state) % 9);
            sentence[i] = (int)(t_random(&state) % 12);
            clv_bytes_format(&text, "clip%d,says %d\n", clip[i], sentence[i]);
        }
        struct clv_captions captions;
        REQUIRE_OK(open_text(&captions, text.data));
        for (int q = 0; q < captions.sentence_count; q++)
            for (int c = 0; c < captions.clip_count; c++) {
                bool want = false;
                for (int i = 0; i < ROWS; i++) {
                    char name[16], says[16];
                    snprintf(name, sizeof name, "clip%d", clip[i]);
                    snprintf(says, sizeof says, "says %d", sentence[i]);
                    want |= strcmp(captions.labels.rows[captions.clip_rows[c]].name, name) == 0 &&
                            strcmp(captions.sentences[q], says) == 0;
                }
                CHECK_INT(clv_captions_is_right(&captions, q, c), want);
            }
        clv_captions_release(&captions);
        clv_bytes_release(&text);
    }
}

enum { STATED_ROWS = 60, STATED_CLIPS = 15, STATED_COLUMNS = 3, STATED_VALUES = 4 };

/* Numbers of values; 0 is nothing, and the last is said of no clip. */
struct random_facts {
    int of_clip[STATED_CLIPS][STATED_COLUMNS], of_sentence[STATED_ROWS][STATED_COLUMNS];
    int clip[STATED_ROWS], sentence[STATED_ROWS]; /* of each row */
};

static void add_values(struct clv_bytes *text, const int *values)
{
    for (int k = 0; k < STATED_COLUMNS; k++)
        if (values[k] > 0)
            clv_bytes_format(text, ",value %d", values[k]);
        else
            clv_bytes_text(text, ",");
    clv_bytes_text(text, "\n");
}

static void write_random(struct random_facts *out, struct clv_bytes *rows, struct clv_bytes *facts,
                         uint64_t seed)
{
    uint64_t state = seed;
    clv_bytes_text(rows, "path,sentence,x,y,z\n");
    clv_bytes_text(facts, "path,x,y,z\n");
    for (int c = 0; c < STATED_CLIPS; c++) {
        for (int k = 0; k < STATED_COLUMNS; k++)
            out->of_clip[c][k] = c % 5 == 4 ? 0 : (int)(t_random(&state) % STATED_VALUES);
        clv_bytes_format(facts, c % 5 == 4 ? "other%d" : "clip%d", c);
        add_values(facts, out->of_clip[c]);
    }
    for (int q = 0; q < STATED_ROWS; q++)
        for (int k = 0; k < STATED_COLUMNS; k++)
            out->of_sentence[q][k] =
                t_random(&state) % 2 ? 0 : (int)(t_random(&state) % (STATED_VALUES + 1));
    for (int i = 0; i < STATED_ROWS; i++) {
        out->clip[i] = (int)(t_random(&state) % STATED_CLIPS);
        out->sentence[i] = (int)(t_random(&state) % (STATED_ROWS / 2));
        clv_bytes_format(rows, "clip%d,says %d", out->clip[i], out->sentence[i]);
        add_values(rows, out->of_sentence[out->sentence[i]]);
    }
}

static bool is_right_slowly(const struct random_facts *facts, int sentence, int clip)
{
    bool states = false, agrees = true, stands_beside = false;
    for (int k = 0; k < STATED_COLUMNS; k++) {
        int value = facts->of_sentence[sentence][k];
        states |= value > 0;
        agrees &= value == 0 || value == facts->of_clip[clip][k];
    }
    for (int i = 0; i < STATED_ROWS; i++)
        stands_beside |= facts->clip[i] == clip && facts->sentence[i] == sentence;
    return stands_beside || (states && agrees);
}

static int number_in(const char *text)
{
    return (int)strtol(text + strcspn(text, "0123456789"), NULL, 10);
}

static void agrees_with_facts_read_slowly(void)
{
    for (uint64_t seed = 1; seed <= 30 && !t_failed(); seed++) {
        struct random_facts facts;
        struct clv_bytes rows = {0}, said = {0};
        struct clv_captions captions;
        write_random(&facts, &rows, &said, seed);
        const struct clv_captions_options options = {.facts_path = put("said.csv", said.data)};
        REQUIRE_OK(clv_captions_open(&captions, put("stating.csv", rows.data), &options));
        for (int q = 0; q < captions.sentence_count; q++)
            for (int c = 0; c < captions.clip_count; c++) {
                const char *name = captions.labels.rows[captions.clip_rows[c]].name;
                CHECK_INT(
                    clv_captions_is_right(&captions, q, c),
                    is_right_slowly(&facts, number_in(captions.sentences[q]), number_in(name)));
            }
        const int32_t *starts = captions.right_starts;
        for (int q = 0; q < captions.sentence_count; q++)
            for (int32_t i = starts[q] + 1; i < starts[q + 1]; i++)
                CHECK(captions.right[i - 1] < captions.right[i]);
        clv_captions_release(&captions);
        clv_bytes_release(&rows);
        clv_bytes_release(&said);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    T_RUN(joins_repeats);
    T_RUN(keeps_parts_of_a_file_apart);
    T_RUN(believes_the_facts);
    T_RUN(refuses_facts_that_do_not_fit);
    T_RUN(refuses_broken_lists);
    T_RUN(matches_a_slow_reading);
    T_RUN(agrees_with_facts_read_slowly);
    return t_end();
}
