/* Few-shot splits, the lists they are written as, and pairs of classes. */
#include "core/error.h"
#include "core/file.h"
#include "indexer/class_pairs.h"
#include "indexer/shots.h"
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

enum { CLASSES = 5, PER_CLASS = 12, ROWS = CLASSES * PER_CLASS, GROUPS = 10 };

/* Clip i is of class i % CLASSES and of group (i / CLASSES) % GROUPS. */
static void open_many(struct clv_labels *out, bool grouped)
{
    struct clv_bytes text = {0};
    clv_bytes_text(&text, "path,label,who\n");
    for (int i = 0; i < ROWS; i++)
        clv_bytes_format(&text, "%d.mp4,class %c,p%d\n", i, 'a' + i % CLASSES,
                         i / CLASSES % GROUPS);
    const struct clv_labels_options options = {.group_column = grouped ? "who" : NULL};
    REQUIRE_OK(clv_labels_open(out, put("many.csv", text.data), &options));
    clv_bytes_release(&text);
}

static void takes_k_of_each_class(void)
{
    enum clv_part parts[ROWS], again[ROWS], other[ROWS];
    struct clv_labels labels;
    open_many(&labels, false);
    for (int shots = 1; shots < PER_CLASS; shots++) {
        int taken[CLASSES] = {0};
        REQUIRE_OK(clv_labels_shots(parts, &labels, shots, 7));
        REQUIRE_OK(clv_labels_shots(again, &labels, shots, 7));
        CHECK(memcmp(parts, again, sizeof parts) == 0);
        for (int i = 0; i < ROWS; i++) {
            taken[labels.rows[i].class_index] += parts[i] == CLV_PART_TRAINING;
            CHECK(parts[i] != CLV_PART_NEITHER);
        }
        for (int c = 0; c < CLASSES; c++)
            CHECK_INT(taken[c], shots);
    }
    REQUIRE_OK(clv_labels_shots(parts, &labels, 4, 1));
    REQUIRE_OK(clv_labels_shots(other, &labels, 4, 2));
    CHECK(memcmp(parts, other, sizeof parts) != 0);
    CHECK_ERROR(clv_labels_shots(parts, &labels, PER_CLASS, 1), CLV_EINVAL, "none is left");
    CHECK_ERROR(clv_labels_shots(parts, &labels, PER_CLASS + 1, 1), CLV_EINVAL, "too few");
    CHECK_ERROR(clv_labels_shots(parts, &labels, 0, 1), CLV_EINVAL, "0 shots");
    clv_labels_release(&labels);
}

/* Over many seeds each clip of a class is taken about equally often. */
static void is_fair(void)
{
    enum { SEEDS = 600, SHOTS = 3 };
    enum clv_part parts[ROWS];
    int taken[ROWS] = {0};
    struct clv_labels labels;
    open_many(&labels, false);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        REQUIRE_OK(clv_labels_shots(parts, &labels, SHOTS, seed));
        for (int i = 0; i < ROWS; i++)
            taken[i] += parts[i] == CLV_PART_TRAINING;
    }
    /* Binomial: 150 expected, deviation 10.6; five of them. */
    for (int i = 0; i < ROWS; i++)
        CHECK_NEAR(taken[i], SEEDS * SHOTS / (double)PER_CLASS, 53);
    clv_labels_release(&labels);
}

static void keeps_groups_together(void)
{
    enum clv_part parts[ROWS];
    struct clv_labels labels;
    open_many(&labels, true);
    for (uint64_t seed = 0; seed < 40; seed++) {
        int in[GROUPS][3] = {{0}}, taken[CLASSES] = {0}, trained = 0;
        REQUIRE_OK(clv_labels_shots(parts, &labels, 3, seed));
        for (int i = 0; i < ROWS; i++) {
            in[i / CLASSES % GROUPS][parts[i]]++;
            taken[labels.rows[i].class_index] += parts[i] == CLV_PART_TRAINING;
        }
        for (int c = 0; c < CLASSES; c++)
            CHECK_INT(taken[c], 3);
        for (int g = 0; g < GROUPS; g++) {
            CHECK(in[g][CLV_PART_TRAINING] == 0 || in[g][CLV_PART_TEST] == 0);
            CHECK(in[g][CLV_PART_TRAINING] > 0 || in[g][CLV_PART_NEITHER] == 0);
            trained += in[g][CLV_PART_TRAINING] > 0;
        }
        /* Each group has a clip or two of every class: three clips are had of three at most. */
        CHECK(trained == 2 || trained == 3);
    }
    CHECK_ERROR(clv_labels_shots(parts, &labels, 12, 1), CLV_EINVAL, "none is left to test");
    clv_labels_release(&labels);
}

static void writes_lists_that_read_back(void)
{
    const struct clv_labels_options options = {.group_column = "who, really"};
    struct clv_labels labels, back;
    const char *text = "path,label,start,end,\"who, really\"\n"
                       "\"a, b.mp4\",\"say \"\"hi\"\"\",0.5,1:02.25,one\n"
                       "/abs/c.mp4,wave,,,\n"
                       "d e.mp4,wave,3,,\" two\"\n"
                       "f.mp4,\"say \"\"hi\"\"\",,9,three\n";
    REQUIRE_OK(clv_labels_open(&labels, put("odd.csv", text), &options));
    const enum clv_part parts[4] = {CLV_PART_TRAINING, CLV_PART_TRAINING, CLV_PART_TRAINING,
                                    CLV_PART_TEST};
    CHECK_OK(clv_directory_create(place("elsewhere")));
    const char *path = place("elsewhere/part.csv");
    REQUIRE_OK(clv_labels_write(path, &labels, parts, CLV_PART_TRAINING, "who, really"));
    REQUIRE_OK(clv_labels_open(&back, path, &options));
    CHECK_INT(back.count, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_STRING(back.rows[i].path, labels.rows[i].path);
        CHECK_STRING(back.classes.names[back.rows[i].class_index],
                     labels.classes.names[labels.rows[i].class_index]);
        CHECK_INT(back.rows[i].start_ms, labels.rows[i].start_ms);
        CHECK_INT(back.rows[i].end_ms, labels.rows[i].end_ms);
        CHECK_STRING(back.rows[i].group ? back.rows[i].group : "",
                     labels.rows[i].group ? labels.rows[i].group : "");
    }
    clv_labels_release(&back);
    CHECK_ERROR(clv_labels_write(place("no/such/folder.csv"), &labels, parts, CLV_PART_TEST, NULL),
                CLV_ENOTFOUND, "folder.csv");
    clv_labels_release(&labels);
}

static void reads_pairs(void)
{
    struct clv_classes classes;
    struct clv_class_pairs pairs;
    REQUIRE_OK(clv_classes_open(
        &classes, put("classes.csv", "id,name\n0,sit down\n1,stand up\n2,open\n3,close\n")));
    REQUIRE_OK(clv_class_pairs_open(&pairs, &classes,
                                    put("pairs.csv", "one,other\nstand up,sit_down\n2,3\n")));
    REQUIRE(pairs.count == 2);
    CHECK_INT(pairs.pairs[0][0], 1);
    CHECK_INT(pairs.pairs[0][1], 0);
    CHECK_INT(pairs.pairs[1][0], 2);
    CHECK_INT(pairs.pairs[1][1], 3);
    clv_class_pairs_release(&pairs);
    REQUIRE_OK(clv_class_pairs_open(&pairs, &classes, put("pairs.csv", "0;1\n")));
    CHECK_INT(pairs.count, 1);
    clv_class_pairs_release(&pairs);
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"0,1\n0,jump\n", "line 2 of"},     {"0,1\nsit down\n", "1 cells"},
        {"0,1\n1,1\n", "with itself"},      {"0,1\n2,3\n1,0\n", "again"},
        {"a,b\n", "names no pair"},         {"0,1,2\n", "3 cells"},
        {"0,jump\n", "'jump' is no class"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_ERROR(clv_class_pairs_open(&pairs, &classes, put("pairs.csv", cases[i].text)),
                    CLV_EINVAL, cases[i].part);
        clv_class_pairs_release(&pairs);
    }
    clv_classes_release(&classes);
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    T_RUN(takes_k_of_each_class);
    T_RUN(is_fair);
    T_RUN(keeps_groups_together);
    T_RUN(writes_lists_that_read_back);
    T_RUN(reads_pairs);
    return t_end();
}
