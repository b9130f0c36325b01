/* Lists of classes, prompts and clips, as people and programs write them. */
#include "indexer/labels.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/prompts.h"

#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *in_directory(const char *name)
{
    static const char *directory;
    if (!directory)
        directory = t_directory();
    return t_path(directory, name);
}

static const char *put(const char *name, const char *text)
{
    const char *path = in_directory(name);
    CHECK_OK(clv_file_replace(path, text, strlen(text)));
    return path;
}

static struct clv_classes classes_of(const char *text)
{
    struct clv_classes classes;
    CHECK_OK(clv_classes_open(&classes, put("classes.csv", text)));
    return classes;
}

/* ---- classes ---- */

static void classes_are_read(void)
{
    static const char *const forms[] = {
        "id,name\n5,sit down\n7,stand up\n",
        "name;id\nsit down;5\nstand up;7\n",
        "5,sit down\n7,stand up\n",
        "\xef\xbb\xbfID,Name\r\n5,\"sit down\"\r\n7,stand up\r\n",
        "id\tname\tnote\n5\tsit down\tx\n7\tstand up\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct clv_classes classes = classes_of(forms[i]);
        REQUIRE(classes.count == 2);
        CHECK_STRING(classes.names[0], "sit down");
        CHECK_STRING(classes.names[1], "stand up");
        CHECK_INT(classes.ids[1], 7);
        clv_classes_release(&classes);
    }
    struct clv_classes names = classes_of("wave\nclap\n");
    REQUIRE(names.count == 2);
    CHECK_STRING(names.names[0], "wave");
    CHECK_INT(names.ids[1], 1);
    clv_classes_release(&names);
}

static void classes_are_found(void)
{
    struct clv_classes classes = classes_of("id,name\n20,kick ball\n21,kick\n3,7\n7,Kick_High\n");
    CHECK_INT(clv_classes_find(&classes, "kick ball"), 0);
    CHECK_INT(clv_classes_find(&classes, "kick_ball"), 0);
    CHECK_INT(clv_classes_find(&classes, " KICK   ball"), 0);
    CHECK_INT(clv_classes_find(&classes, "kick"), 1);
    CHECK_INT(clv_classes_find(&classes, "kick high"), 3);
    CHECK_INT(clv_classes_find(&classes, "21"), 1);
    /* A name goes before an id. */
    CHECK_INT(clv_classes_find(&classes, "7"), 2);
    CHECK_INT(clv_classes_find(&classes, "3"), 2);
    CHECK_INT(clv_classes_find(&classes, "kic"), -1);
    CHECK_INT(clv_classes_find(&classes, ""), -1);
    CHECK_INT(clv_classes_find(&classes, "99999999999999999999"), -1);
    clv_classes_release(&classes);
    /* Names that are loosely the same are told apart by their letters only. */
    classes = classes_of("id,name\n0,a_b\n1,a b\n");
    CHECK_INT(clv_classes_find(&classes, "a_b"), 0);
    CHECK_INT(clv_classes_find(&classes, "a b"), 1);
    CHECK_INT(clv_classes_find(&classes, "A B"), -1);
    clv_classes_release(&classes);
}

static void bad_classes(void)
{
    const struct {
        const char *text, *part;
    } cases[] = {
        {"id,name\n", "lists no class"},
        {"id,name\n0,a\n1,a\n", "has the class 'a' twice"},
        {"id,name\n0,a\n0,b\n", "has the id 0 twice: for 'a' and for 'b'"},
        {"id,name\nx,a\n", "line 2 of"},
        {"id,name\n0,\n", "has no name"},
        {"id,name\n0,a,b\n", "put names that hold a ',' in quotes"},
        {"x,y,z\n", "has the columns id and name"},
        {"id,name\n0,\xe9t\xe9\n", "is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct clv_classes classes;
        const char *path = put("bad.csv", cases[i].text);
        int status = clv_classes_open(&classes, path);
        CHECK(status == CLV_EINVAL || status == CLV_ECORRUPT);
        CHECK_ERROR(status, status, cases[i].part);
        CHECK_ERROR(status, status, path);
        clv_classes_release(&classes);
    }
}

/* ---- prompts ---- */

static void prompts_are_read(void)
{
    struct clv_classes classes = classes_of("id,name\n4,wave\n9,clap\n");
    struct clv_interpretations texts = {0};
    char **prompts = NULL;
    int count = 0;
    CHECK_ERROR(clv_interpretations_add(&texts, &classes,
                                        put("a.csv", "id;name\n9;hands, together\n4;x\n9;b;\n")),
                CLV_EINVAL, "line 4 of");
    CHECK_INT(texts.text_count, 0);
    CHECK_OK(clv_interpretations_add(
        &texts, &classes,
        put("a.csv", "id;name\n9;hands, together\n4;a hand \\\"up\\\"\n9;\"b; c\"\n")));
    REQUIRE(texts.text_count == 2);
    CHECK_STRING(texts.texts[0], "a hand \"up\"");
    CHECK_STRING(texts.texts[1], "hands, together");
    CHECK_STRING(texts.texts[2], "a hand \"up\""); /* its own again */
    CHECK_STRING(texts.texts[3], "b; c");
    /* The published generator's form, where it can be understood; and names for ids. */
    CHECK_OK(clv_interpretations_add(&texts, &classes,
                                     put("b.csv", "id,name\n4,up\\, and down\n9,clap\\, clap\n")));
    CHECK_OK(clv_interpretations_add(&texts, &classes, put("c.csv", "wave;hello\nclap;bravo\n")));
    REQUIRE(texts.text_count == 4);
    CHECK_STRING(texts.texts[4], "up, and down");
    CHECK_STRING(texts.texts[7], "bravo");
    CHECK_OK(clv_class_prompts(&prompts, &count, &classes, &texts));
    REQUIRE(count == 20 && prompts != NULL);
    CHECK_STRING(prompts[0], "wave");
    CHECK_STRING(prompts[1], "clap");
    CHECK_STRING(prompts[2], "a video of wave.");
    CHECK_STRING(prompts[2 * 15 + 1], "Video classification of clap");
    CHECK_STRING(prompts[2 * 16], "a hand \"up\"");
    CHECK_STRING(prompts[2 * 19 + 1], "bravo");
    clv_class_prompts_free(prompts, count, classes.count);
    CHECK_OK(clv_class_prompts(&prompts, &count, &classes, NULL));
    CHECK_INT(count, clv_prompt_template_count);
    clv_class_prompts_free(prompts, count, classes.count);
    clv_interpretations_release(&texts);
    clv_classes_release(&classes);
}

static void bad_prompts(void)
{
    struct clv_classes classes = classes_of("id,name\n0,wave\n1,clap\n");
    struct clv_interpretations texts = {0};
    const struct {
        const char *text, *part;
    } cases[] = {
        {"id,name\n0,hands, together\n1,b\n", "line 2 of"},
        {"id,name\n0,hands, together\n1,b\n", "';' stand between id and text"},
        {"id;name\n0;a text that\nends here\n1;b\n", "line 3 of"},
        {"id;name\n0;a text that\nends here\n1;b\n", "must be in quotes"},
        {"id;name\n0;a\n", "no text for the class 'clap'"},
        {"id;name\n0;a\n1;\n", "the text for 'clap' is empty"},
        {"id;name\n0;a\n1;b\n2;c\n", "begins with '2', which is no class"},
        {"id;name\n0;a\n1;\xe9\n", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = clv_interpretations_add(&texts, &classes, put("p.csv", cases[i].text));
        CHECK(status < 0);
        CHECK_ERROR(status, status, cases[i].part);
        CHECK_INT(texts.text_count, 0);
    }
    clv_interpretations_release(&texts);
    clv_classes_release(&classes);
}

/* ---- clips ---- */

static int open_labels(struct clv_labels *labels, const char *text, const char *classes)
{
    struct clv_labels_options options = {.classes_path = classes};
    return clv_labels_open(labels, put("labels.csv", text), &options);
}

static void labels_are_read(void)
{
    const char *classes = put("two.csv", "id,name\n0,sit down\n1,stand up\n");
    static const char *const forms[] = {
        "path,label,start,end\nclips/a b.mp4,sit down,0,2.5\nc.mp4,stand up,1:02.5,\n",
        "file;start;end;class\nclips/a b.mp4;;2.5;0\n\"c.mp4\";62.5;;1\n",
        "\xef\xbb\xbfVideo\tLabel\tBegin\tEnd\r\n./clips/a b.mp4\tsit_down\t\t2.5\r\nc.mp4\tSTAND "
        "UP\t62.5\r\n",
        "clips/a b.mp4,sit down,0,2.5\nc.mp4,stand up,62.5,\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct clv_labels labels;
        REQUIRE_OK(open_labels(&labels, forms[i], classes));
        REQUIRE(labels.count == 2);
        CHECK(strstr(labels.rows[0].path, "/clips/a b.mp4") != NULL);
        CHECK(strstr(labels.rows[0].path, "/./") == NULL);
        CHECK(labels.rows[0].path[0] == '/');
        CHECK_STRING(labels.rows[1].name, "c.mp4");
        CHECK_INT(labels.rows[0].class_index, 0);
        CHECK_INT(labels.rows[1].class_index, 1);
        CHECK(labels.rows[0].start_ms <= 0);
        CHECK_INT(labels.rows[0].end_ms, 2500);
        CHECK_INT(labels.rows[1].start_ms, 62500);
        CHECK_INT(labels.rows[1].end_ms, -1);
        clv_labels_release(&labels);
    }
    struct clv_labels labels;
    REQUIRE_OK(open_labels(&labels, "k400/a b.mp4 1\nk400/c.mp4   0\n/x/d.mp4 1\n", classes));
    CHECK(strstr(labels.rows[0].path, "/k400/a b.mp4") != NULL);
    CHECK_STRING(labels.rows[1].name, "k400/c.mp4");
    CHECK_STRING(labels.rows[2].path, "/x/d.mp4");
    CHECK_INT(labels.rows[0].class_index, 1);
    CHECK_INT(labels.rows[1].class_index, 0);
    clv_labels_release(&labels);
}

/* Without a list of classes they are what labels say. */
static void classes_of_labels(void)
{
    struct clv_labels labels;
    REQUIRE_OK(open_labels(&labels, "file,label\na,push\nb,hug\nc,push\n", NULL));
    REQUIRE(labels.classes.count == 2);
    CHECK_STRING(labels.classes.names[0], "hug");
    CHECK_INT(labels.rows[0].class_index, 1);
    CHECK_INT(labels.rows[1].class_index, 0);
    clv_labels_release(&labels);
}

static void bad_labels(void)
{
    const char *classes = put("two.csv", "id,name\n0,sit down\n1,stand up\n");
    const struct {
        const char *text, *part;
    } cases[] = {
        {"path,label\n", "lists no clip"},
        {"path,label\na.mp4,\n", "line 2 of"},
        {"path,label\na.mp4,\n", "'a.mp4' has no label"},
        {"path,label\n,0\n", "names no file"},
        {"path,label\na.mp4,0\nb.mp4,jump\nc.mp4,7\nd.mp4,jump\n", "3 rows of"},
        {"path,label\na.mp4,0\nb.mp4,jump\nc.mp4,7\nd.mp4,jump\n", "'jump' (line 3), '7' (line 4)"},
        {"path,label,start\na.mp4,0,soon\n", "'soon' is no time"},
        {"path,label,start,end\na.mp4,0,3,2\n", "ends at 2, not after its start"},
        {"path,label\na.mp4,sit down, slowly\n", "has 3 cells, the first row 2"},
        {"label,youtube_id,time_start\n0,x,1\n", "no column for the footage"},
        {"label,youtube_id,time_start\n0,x,1\n", "label, youtube_id, time_start"},
        {"path,start\na.mp4,0\n", "no column for the class"},
        {"path,label\na.mp4,\"sit down\n", "a quote is opened"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct clv_labels labels;
        int status = open_labels(&labels, cases[i].text, classes);
        CHECK(status < 0);
        CHECK_ERROR(status, status, cases[i].part);
        clv_labels_release(&labels);
    }
    struct clv_labels labels;
    CHECK_ERROR(open_labels(&labels, "path,label\na,0\n", "/nonexistent/classes.csv"),
                CLV_ENOTFOUND, "classes.csv");
    clv_labels_release(&labels);
}

static void captions_are_joined(void)
{
    const char *list = put("l.csv", "path,label\na.mp4,0\nb.mp4,1\n");
    const char *captions = put(
        "captions.tsv", "path\tsentence\tx\n./b.mp4\tone, two\t\nb.mp4\tthree\t\na.mp4\tfour\t\n"
                        "else.mp4\tfive\t\n");
    struct clv_labels labels;
    struct clv_labels_options options = {.captions_path = captions};
    REQUIRE_OK(clv_labels_open(&labels, list, &options));
    REQUIRE(labels.sentence_count == 3);
    CHECK_INT(labels.rows[0].sentence_count, 1);
    CHECK_INT(labels.rows[1].sentence_count, 2);
    CHECK_STRING(labels.sentences[labels.rows[0].sentence_first], "four");
    CHECK_STRING(labels.sentences[labels.rows[1].sentence_first], "one, two");
    CHECK_STRING(labels.sentences[labels.rows[1].sentence_first + 1], "three");
    clv_labels_release(&labels);
    /* The list's own column, and no labels at all. */
    list = put("own.csv", "path,caption\na.mp4,\"x, y\"\n");
    options.captions_path = list;
    REQUIRE_OK(clv_labels_open(&labels, list, &options));
    CHECK_INT(labels.classes.count, 0);
    CHECK_STRING(labels.sentences[0], "x, y");
    clv_labels_release(&labels);
    options.captions_path = put("few.tsv", "path\tsentence\na.mp4\tfour\n");
    CHECK_ERROR(clv_labels_open(&labels, in_directory("l.csv"), &options), CLV_EINVAL,
                "no sentence for 'b.mp4' (line 3 of");
    clv_labels_release(&labels);
    options.captions_path = put("odd.tsv", "path\tword\na.mp4\tfour\n");
    CHECK_ERROR(clv_labels_open(&labels, in_directory("l.csv"), &options), CLV_EINVAL,
                "needs a column for the footage");
    clv_labels_release(&labels);
}

/* ---- held out ---- */

static void some_are_held_out(void)
{
    char text[4096] = "path,label,sequence\n";
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d.mp4,%s,%d\n", i,
                 i < 30   ? "a"
                 : i < 39 ? "b"
                          : "c",
                 i % 10);
    struct clv_labels labels;
    struct clv_labels_options options = {.group_column = "Sequence"};
    bool held[40], again[40];
    int of_class[3] = {0}, of_group = 0;
    REQUIRE_OK(clv_labels_open(&labels, put("g.csv", text), &options));
    CHECK_OK(clv_labels_hold_out(held, &labels, 0.2, 7));
    CHECK_OK(clv_labels_hold_out(again, &labels, 0.2, 7));
    CHECK(memcmp(held, again, sizeof held) == 0);
    CHECK_OK(clv_labels_hold_out(again, &labels, 0.2, 8));
    CHECK(memcmp(held, again, sizeof held) != 0);
    for (int i = 0; i < 40; i++)
        of_class[labels.rows[i].class_index] += held[i];
    CHECK_INT(of_class[0], 6);
    CHECK_INT(of_class[1], 2);
    CHECK_INT(of_class[2], 0); /* its only clip is trained on */
    CHECK_OK(clv_labels_hold_out_group(held, &labels, "3"));
    for (int i = 0; i < 40; i++) {
        CHECK_INT(held[i], i % 10 == 3);
        of_group += held[i];
    }
    CHECK_INT(of_group, 4);
    CHECK_ERROR(clv_labels_hold_out_group(held, &labels, "30"), CLV_EINVAL, "is in the group '30'");
    CHECK_ERROR(clv_labels_hold_out(held, &labels, 1, 7), CLV_EINVAL, "not between 0 and 1");
    clv_labels_release(&labels);
    options.group_column = "scene";
    CHECK_ERROR(clv_labels_open(&labels, in_directory("g.csv"), &options), CLV_EINVAL,
                "no column for the groups (scene)");
    clv_labels_release(&labels);
}

/* ---- published lists ---- */

static void published_lists(void)
{
    static const struct {
        const char *name;
        int count;
    } lists[] = {{"kinetics_400_labels.csv", 400},
                 {"kinetics_600_labels.csv", 600},
                 {"ucf_101_labels.csv", 101},
                 {"hmdb_51_labels.csv", 51},
                 {"SSv2_labels.csv", 174}};
    const char *folder = t_shared("labels");
    if (!folder)
        return;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct clv_classes classes;
        CHECK_OK(clv_classes_open(&classes, t_path(folder, lists[i].name)));
        CHECK_INT(classes.count, lists[i].count);
        for (int c = 0; c < classes.count; c++)
            CHECK_INT(clv_classes_find(&classes, classes.names[c]), c);
        clv_classes_release(&classes);
    }
}

static void real_labels(void)
{
    const char *list = t_shared("footage/ut/labels.csv");
    if (!list)
        return;
    struct clv_labels labels;
    struct clv_labels_options options = {.group_column = "sequence"};
    bool held[64];
    int count = 0;
    REQUIRE_OK(clv_labels_open(&labels, list, &options));
    REQUIRE(labels.count == 60 && labels.classes.count == 6);
    CHECK_OK(clv_labels_hold_out_group(held, &labels, "4"));
    for (int i = 0; i < labels.count; i++) {
        CHECK(clv_file_exists(labels.rows[i].path));
        count += held[i];
    }
    CHECK_INT(count, 6);
    clv_labels_release(&labels);
}

int main(void)
{
    T_RUN(classes_are_read);
    T_RUN(classes_are_found);
    T_RUN(bad_classes);
    T_RUN(prompts_are_read);
    T_RUN(bad_prompts);
    T_RUN(labels_are_read);
    T_RUN(classes_of_labels);
    T_RUN(bad_labels);
    T_RUN(captions_are_joined);
    T_RUN(some_are_held_out);
    T_RUN(published_lists);
    T_RUN(real_labels);
    return t_end();
}
