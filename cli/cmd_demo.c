/* `demo`: the whole way once, with the very commands a person would type, on films made here. What
 * they show is known, so every answer is checked. */
#include "cli/command.h"
#include "cli/film.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    bool clips_only;
};

static const struct settings defaults = {0};
static const struct clv_opt opts[] = {
    {.name = "clips-only",
     .kind = CLV_OPT_BOOL,
     .offset = offsetof(struct settings, clips_only),
     .help = "only make the films"},
    {.name = NULL},
};

/* How many of the twelve sentences the built-in model answers rightly, at least. One that did not
 * see the order of frames could answer both sentences of a pair of reversals by luck only, and
 * would come to about seven. */
enum { PROMISED = 10 };

/* Paths of the demonstration, all inside `directory`. */
struct demo {
    const struct clv_cli *cli;
    char *directory;
    char *films;
    char *database;
    char *export_directory;
    bool is_promised; /* of models other than the built-in one nothing is expected */
    int right_count;  /* sentences answered rightly */
    bool is_example_right;
};

__attribute__((format(printf, 2, 3))) static void say(const struct demo *demo, const char *format,
                                                      ...)
{
    if (demo->cli->flags.json)
        return;
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
}

/* Shows and runs one command line; `arguments` end in NULL. */
static int command(const struct demo *demo, const char *const *arguments)
{
    enum { MAX = 16 };
    char *argv[MAX + 7] = {(char *)"claverdb"};
    int argc = 1;
    say(demo, "\n%s$ claverdb", clv_out_dim(stdout));
    for (; arguments[argc - 1] != NULL && argc < MAX; argc++) {
        const char *argument = arguments[argc - 1];
        char *shown = argument[0] == '/' ? clv_out_path(argument) : NULL;
        bool quoted = strchr(shown == NULL ? argument : shown, ' ') != NULL;
        say(demo, quoted ? " \"%s\"" : " %s", shown == NULL ? argument : shown);
        free(shown);
        argv[argc] = (char *)argument;
    }
    say(demo, "%s\n", clv_out_reset(stdout));
    char threads[32];
    snprintf(threads, sizeof threads, "--threads=%d", (int)demo->cli->flags.threads);
    argv[argc++] = threads;
    if (demo->cli->flags.device != NULL) {
        argv[argc++] = (char *)"--device";
        argv[argc++] = (char *)demo->cli->flags.device;
    }
    if (demo->cli->flags.json)
        argv[argc++] = (char *)"--json";
    int status = clv_command_line(argc, argv);
    fflush(stdout);
    return status;
}

static void demo_release(struct demo *demo)
{
    free(demo->directory);
    free(demo->films);
    free(demo->database);
    free(demo->export_directory);
}

/* The directory named, else ./claverdb-demo, else the same under $TMPDIR where this one cannot be
 * written. */
static int find_directory(struct demo *demo)
{
    static const char name[] = "claverdb-demo";
    const char *wanted = name;
    char *fallback = NULL;
    if (demo->cli->operand_count > 0) {
        wanted = demo->cli->operands[0];
    } else if (access(".", W_OK) != 0) {
        const char *temporary = getenv("TMPDIR");
        fallback = clv_path_join(temporary == NULL ? "/tmp" : temporary, name);
        if (fallback == NULL)
            return CLV_ENOMEM;
        wanted = fallback;
    }
    int status = clv_directory_create(wanted);
    if (status == CLV_OK)
        status = clv_path_absolute(&demo->directory, wanted);
    free(fallback);
    if (status != CLV_OK)
        return status;
    demo->films = clv_path_join(demo->directory, "films");
    demo->database = clv_path_join(demo->directory, "db");
    demo->export_directory = clv_path_join(demo->directory, "export");
    if (demo->films == NULL || demo->database == NULL || demo->export_directory == NULL)
        return CLV_ENOMEM;
    return clv_directory_create(demo->films);
}

static int film(struct demo *demo)
{
    struct clv_progress progress = {0};
    clv_progress_begin(&progress, demo->cli);
    int status = CLV_OK;
    int total = clv_film_count() * CLV_FILM_TAKES;
    for (int i = 0; i < total && status == CLV_OK; i++) {
        char name[CLV_FILM_NAME_SIZE];
        int action = i / CLV_FILM_TAKES, take = i % CLV_FILM_TAKES;
        char *path = clv_path_join(demo->films, clv_film_name(name, action, take));
        if (path == NULL)
            return CLV_ENOMEM;
        if (clv_progress_due(&progress) && progress.mode == CLV_PROGRESS_BAR)
            clv_progress_show(&progress, (double)i / total, "filming");
        /* A film is written in one step, so one that is there is whole. */
        if (!clv_file_exists(path))
            status = clv_film_make(path, action, take, demo->cli->cancel);
        free(path);
    }
    clv_progress_end(&progress);
    return status;
}

/* Looks the last result up: does its best moment show the action? `name`: of its file. */
static int check_first(const struct demo *demo, int action, char name[CLV_FILM_NAME_SIZE],
                       bool *is_right_out)
{
    struct clv_store *store = NULL;
    struct clv_moment_row *moments = NULL;
    char *query = NULL;
    int count = 0;
    struct clv_store_options options = {0};
    *is_right_out = false;
    name[0] = '\0';
    int status = clv_store_open(&store, demo->database, &options);
    if (status == CLV_OK)
        status = clv_store_result_last(store, &query, &moments, &count);
    if (status == CLV_OK && count > 0) {
        snprintf(name, CLV_FILM_NAME_SIZE, "%s", clv_path_base(moments[0].path));
        *is_right_out = clv_film_shows(name, action);
    }
    free(query);
    clv_moment_rows_free(moments, count);
    clv_store_close(store);
    return status;
}

static int tell_answer(const struct demo *demo, const char *question, const char *name,
                       bool is_right)
{
    if (!demo->cli->flags.json) {
        say(demo, "%s: %s %s\n", is_right ? "right" : "WRONG", name,
            is_right ? "shows it" : "does not show it");
        return CLV_OK;
    }
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "answer");
    clv_json_put_string(object, "question", question);
    clv_json_put_string(object, "first", name);
    clv_json_put_bool(object, "right", is_right);
    return clv_out_json(object);
}

/* One sentence of each action, of which two films show it and, where it has a reversal, two more
 * show the same pictures in the opposite order. */
static int ask_all(struct demo *demo)
{
    int status = CLV_EXIT_OK;
    for (int action = 0; action < clv_film_count() && status == CLV_EXIT_OK; action++) {
        const char *sentence = clv_film_sentence(action);
        const char *const search[] = {"search",  sentence, "-n",           "3",
                                      "--quiet", "--db",   demo->database, NULL};
        char name[CLV_FILM_NAME_SIZE];
        bool is_right = false;
        status = command(demo, search);
        if (status == CLV_EXIT_OK)
            status = check_first(demo, action, name, &is_right);
        if (status == CLV_OK)
            status = tell_answer(demo, sentence, name, is_right);
        demo->right_count += is_right;
    }
    return status;
}

/* By an example, which is indexed itself: it and the other film of its action may come first, but
 * not their reversals. */
static int ask_like(struct demo *demo)
{
    char name[CLV_FILM_NAME_SIZE];
    char *example = clv_path_join(demo->films, clv_film_name(name, 0, 0));
    if (example == NULL)
        return CLV_ENOMEM;
    const char *const like[] = {"search",  "--like", example,        "-n", "3",
                                "--quiet", "--db",   demo->database, NULL};
    int status = command(demo, like);
    if (status == CLV_EXIT_OK)
        status = check_first(demo, 0, name, &demo->is_example_right);
    if (status == CLV_OK)
        status = tell_answer(demo, "--like", name, demo->is_example_right);
    free(example);
    return status;
}

static int conclude(const struct demo *demo)
{
    int count = clv_film_count(), status = CLV_OK;
    if (demo->cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "demo");
        clv_json_put_integer(object, "sentences", count);
        clv_json_put_integer(object, "right", demo->right_count);
        clv_json_put_integer(object, "promised", demo->is_promised ? PROMISED : 0);
        status = clv_out_json(object);
    }
    say(demo, "\n%d of %d sentences were answered rightly", demo->right_count, count);
    if (demo->is_promised)
        say(demo, "; at least %d are promised", PROMISED);
    say(demo,
        ".\nThe contact sheet is %s/contact-sheet.html; open it in a browser.\n"
        "For filmed reality: claverdb model pull clip-b32, then claverdb index FOOTAGE --model "
        "clip-b32.\n",
        demo->export_directory);
    if (status != CLV_OK || !demo->is_promised)
        return status;
    if (demo->right_count < PROMISED)
        clv_out_error("only %d of %d sentences were answered rightly, %d are promised",
                      demo->right_count, count, PROMISED);
    if (!demo->is_example_right)
        clv_out_error("what shows the same as the example was not found first");
    return demo->right_count < PROMISED || !demo->is_example_right ? CLV_EXIT_NOTHING : CLV_OK;
}

static int search_and_export(struct demo *demo)
{
    const char *const export[] = {"export",      "--last",  "-o",   demo->export_directory,
                                  "--overwrite", "--quiet", "--db", demo->database,
                                  NULL};
    say(demo, "\nEach action is asked for in words. Most have their reversal among the films: the "
              "same\npictures in the opposite order.\n");
    int status = ask_all(demo);
    if (status != CLV_EXIT_OK)
        return status;
    say(demo, "\nBy an example: what shows the same is found first.\n");
    status = ask_like(demo);
    return status == CLV_OK ? command(demo, export) : status;
}

static int run(const struct clv_cli *cli)
{
    const char *model = cli->flags.model == NULL ? "mini" : cli->flags.model;
    struct demo demo = {.cli = cli, .is_promised = clv_model_is_mini(model)};
    int status = find_directory(&demo);
    if (status != CLV_OK)
        goto done;
    say(&demo,
        "Filming %d short clips of %d actions in %s, with people and places that no model was\n"
        "trained on\n",
        clv_film_count() * CLV_FILM_TAKES, clv_film_count(), demo.films);
    status = film(&demo);
    if (status != CLV_OK || ((const struct settings *)cli->settings)->clips_only)
        goto done;
    const char *const index[] = {"index",   demo.films, "--db", demo.database,
                                 "--model", model,      NULL};
    status = command(&demo, index);
    if (status == CLV_EXIT_OK)
        status = search_and_export(&demo);
    if (status == CLV_EXIT_OK)
        status = conclude(&demo);
done:
    demo_release(&demo);
    return status;
}

const struct clv_command clv_command_demo = {
    .name = "demo",
    .operands = "[DIR]",
    .summary = "film, index, search and export a few clips",
    .description =
        "Films two dozen short clips of people doing things, indexes them with the built-in model, "
        "asks for each action in words and for one by an example, and exports what it found, all "
        "inside DIR (./claverdb-demo). What the films show is known, so it says of each answer "
        "whether it is right. With the built-in model at least 10 of the 12 sentences are; "
        "otherwise the exit status is 1. Of models named with --model nothing is expected.",
    .example = "claverdb demo\n"
               "claverdb demo /tmp/demo --model vit-b-32.safetensors",
    .operand_max = 1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
    .computes = true,
};
