/* The stage as a program.
 *   stage OUT_DIR --seed N --split train|validation|test --clips N [--actions "a,b"] [--size WxH]
 *         [--fps N] [--sentences N] [--group N]
 *   stage sheet OUT.jpg [--actions "a,b"] [--rows N] [--columns N] [--size N] [--seed N] [--split
 * S] stage speed [--size WxH]      frames a second on one core, as a JSON line stage --list the
 * actions, each with its reversal */
#include "core/clock.h"
#include "core/error.h"
#include "tests/stage/dataset.h"
#include "tests/stage/sheet.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option long_options[] = {
    {"seed", required_argument, NULL, 's'},
    {"split", required_argument, NULL, 'p'},
    {"clips", required_argument, NULL, 'c'},
    {"actions", required_argument, NULL, 'a'},
    {"size", required_argument, NULL, 'z'},
    {"fps", required_argument, NULL, 'f'},
    {"sentences", required_argument, NULL, 'n'},
    {"group", required_argument, NULL, 'g'},
    {"rows", required_argument, NULL, 'r'},
    {"columns", required_argument, NULL, 'o'},
    {"list", no_argument, NULL, 'l'},
    {NULL, 0, NULL, 0},
};

struct request {
    struct stage_dataset_options set;
    int rows, columns;
    bool is_list;
};

static int usage(const char *why)
{
    fprintf(stderr,
            "stage: %s\n"
            "usage: stage OUT_DIR [--seed N] [--split train|validation|test] [--clips N]\n"
            "             [--actions LIST] [--size WxH] [--fps N] [--sentences N] [--group N]\n"
            "       stage sheet OUT.jpg [--actions LIST] [--rows N] [--columns N] [--size N]\n"
            "       stage speed [--size WxH]\n"
            "       stage --list\n"
            "LIST is names from --list with commas between them\n",
            why);
    return 2;
}

static bool parse_actions(struct stage_dataset_options *set, const char *list)
{
    set->action_count = 0;
    while (*list) {
        char name[128];
        size_t length = strcspn(list, ",");
        if (length >= sizeof name || set->action_count == STAGE_ACTIONS_MAX)
            return false;
        memcpy(name, list, length);
        name[length] = 0;
        int action = stage_action_find(name);
        if (action < 0)
            return false;
        set->actions[set->action_count++] = action;
        list += length + (list[length] == ',');
    }
    return set->action_count > 0;
}

static bool parse_count(int *out, const char *text, int low, int high)
{
    char *end;
    long value = strtol(text, &end, 10);
    *out = (int)value;
    return *text && !*end && value >= low && value <= high;
}

/* "WxH", or "N" for a square. */
static bool parse_size(struct stage_dataset_options *set, const char *text)
{
    char *end;
    long width = strtol(text, &end, 10), height = width;
    if (*end == 'x')
        height = strtol(end + 1, &end, 10);
    set->width = (int)width;
    set->height = (int)height;
    return !*end && width >= 16 && height >= 16 && width <= 2048 && height <= 2048 &&
           width % 2 == 0 && height % 2 == 0;
}

static bool parse_split(enum stage_split *out, const char *text)
{
    for (int i = 0; i < STAGE_SPLITS; i++)
        if (strcmp(stage_split_name((enum stage_split)i), text) == 0) {
            *out = (enum stage_split)i;
            return true;
        }
    return false;
}

static bool parse_option(struct request *request, int letter, const char *value)
{
    struct stage_dataset_options *set = &request->set;
    char *end = NULL;
    switch (letter) {
    case 's':
        set->seed = strtoull(value, &end, 10);
        return *value && !*end;
    case 'p':
        return parse_split(&set->split, value);
    case 'c':
        return parse_count(&set->clip_count, value, 1, 10000000);
    case 'a':
        return parse_actions(set, value);
    case 'z':
        return parse_size(set, value);
    case 'f':
        return parse_count(&set->frame_rate, value, 1, 120);
    case 'n':
        return parse_count(&set->sentence_count, value, 0, 100);
    case 'g':
        return parse_count(&set->group, value, 1, 600);
    case 'r':
        return parse_count(&request->rows, value, 1, 100);
    case 'o':
        return parse_count(&request->columns, value, 1, 100);
    case 'l':
        request->is_list = true;
        return true;
    default:
        return false;
    }
}

static int list(void)
{
    for (int i = 0; i < stage_action_count(); i++) {
        const struct stage_action *row = stage_action_at(i);
        printf("%-32s %-36s %s\n", row->name, row->title, row->mirror ? row->mirror : "");
    }
    return 0;
}

static int measure(const struct stage_dataset_options *set)
{
    struct clv_image image;
    int side[2] = {set->width > 0 ? set->width : 64, set->height > 0 ? set->height : 64};
    if (clv_image_create(&image, side[0], side[1]) != CLV_OK)
        return 1;
    int frames = 0;
    double start = clv_clock_seconds(), now = start;
    for (uint64_t seed = 0; now - start < 2; seed++) {
        struct stage_clip clip;
        stage_draw_clip(&clip, seed, STAGE_TRAIN, (int)(seed % (uint64_t)stage_action_count()));
        for (int i = 0; i < 8; i++, frames++)
            stage_render_frame(&clip, i, 8, &image);
        now = clv_clock_seconds();
    }
    printf("{\"bench\":\"stage\",\"width\":%d,\"height\":%d,\"frames_per_s\":%.0f}\n", side[0],
           side[1], frames / (now - start));
    clv_image_release(&image);
    return 0;
}

static void show_progress(int done, int count)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%d of %d clips%s", done, count, done == count ? "\n" : "");
}

static int run(const struct request *request, int count, char **words)
{
    const struct stage_dataset_options *set = &request->set;
    int status;
    if (request->is_list)
        return list();
    if (count == 1 && strcmp(words[0], "speed") == 0)
        return measure(set);
    if (count == 2 && strcmp(words[0], "sheet") == 0)
        status =
            stage_sheet(words[1], set->actions, set->action_count, request->rows, request->columns,
                        set->width > 0 ? set->width : 112, set->seed, set->split);
    else if (count == 1)
        status = stage_dataset_write(words[0], set, show_progress);
    else
        return usage("say where to");
    if (status != CLV_OK)
        fprintf(stderr, "stage: %s\n", clv_error_message());
    return status != CLV_OK;
}

int main(int argc, char **argv)
{
    struct request request = {.rows = 1, .columns = 8};
    stage_dataset_defaults(&request.set);
    int letter, which = 0;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, "", long_options, &which)) != -1) {
        char why[256];
        if (letter == '?')
            snprintf(why, sizeof why, "there is no option '%s', or it lacks its value",
                     argv[optind - 1]);
        else if (parse_option(&request, letter, optarg))
            continue;
        else
            snprintf(why, sizeof why, "--%s does not take '%s'", long_options[which].name, optarg);
        return usage(why);
    }
    return run(&request, argc - optind, argv + optind);
}
