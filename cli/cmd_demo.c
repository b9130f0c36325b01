/* `demo`: the whole way once, with the very commands a person would type, on clips made here. */
#include "cli/command.h"
#include "cli/film.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/file.h"

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
     .help = "only make the clips"},
    {.name = NULL},
};

/* Paths of the demonstration, all inside `directory`. */
struct demo {
    const struct clv_cli *cli;
    char *directory;
    char *clips;
    char *database;
    char *clip; /* the example of --like, and its other take */
    char *twin;
    char *export_directory;
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
    char *argv[MAX + 3] = {(char *)"claverdb"};
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
    if (demo->cli->flags.json)
        argv[argc++] = (char *)"--json";
    int status = clv_command_line(argc, argv);
    fflush(stdout);
    return status;
}

static void demo_release(struct demo *demo)
{
    free(demo->directory);
    free(demo->clips);
    free(demo->database);
    free(demo->clip);
    free(demo->twin);
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
    demo->clips = clv_path_join(demo->directory, "clips");
    demo->database = clv_path_join(demo->directory, "db");
    demo->export_directory = clv_path_join(demo->directory, "export");
    if (demo->clips == NULL || demo->database == NULL || demo->export_directory == NULL)
        return CLV_ENOMEM;
    return clv_directory_create(demo->clips);
}

static char *clip_path(const struct demo *demo, int scene, int take)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%c.mp4", clv_film_name(scene), 'a' + take);
    return clv_path_join(demo->clips, name);
}

static int film(struct demo *demo)
{
    struct clv_progress progress = {0};
    clv_progress_begin(&progress, demo->cli);
    int status = CLV_OK;
    int total = clv_film_count() * CLV_FILM_TAKES;
    for (int i = 0; i < total && status == CLV_OK; i++) {
        char *path = clip_path(demo, i / CLV_FILM_TAKES, i % CLV_FILM_TAKES);
        if (path == NULL)
            return CLV_ENOMEM;
        if (clv_progress_due(&progress) && progress.mode == CLV_PROGRESS_BAR)
            clv_progress_show(&progress, (double)i / total, "filming");
        /* A clip is written in one step, so one that is there is whole. */
        if (!clv_file_exists(path))
            status = clv_film_make(path, i / CLV_FILM_TAKES, i % CLV_FILM_TAKES, demo->cli->cancel);
        free(path);
    }
    clv_progress_end(&progress);
    if (status != CLV_OK)
        return status;
    demo->clip = clip_path(demo, 0, 0);
    demo->twin = clip_path(demo, 0, 1);
    return demo->clip == NULL || demo->twin == NULL ? CLV_ENOMEM : CLV_OK;
}

/* Looks the last result up: is the best moment of another file one of the twin? */
static int check_twin(const struct demo *demo, bool *found_out)
{
    struct clv_store *store = NULL;
    struct clv_moment_row *moments = NULL;
    char *query = NULL;
    int count = 0;
    struct clv_store_options options = {0};
    *found_out = false;
    int status = clv_store_open(&store, demo->database, &options);
    if (status == CLV_OK)
        status = clv_store_result_last(store, &query, &moments, &count);
    for (int i = 0; i < count && status == CLV_OK; i++) {
        if (strcmp(moments[i].path, demo->clip) == 0)
            continue;
        *found_out = strcmp(moments[i].path, demo->twin) == 0;
        break;
    }
    free(query);
    clv_moment_rows_free(moments, count);
    clv_store_close(store);
    return status;
}

static int search_and_export(struct demo *demo)
{
    const char *const text[] = {"search",  "a ball bounces", "-n",           "3",
                                "--quiet", "--db",           demo->database, NULL};
    const char *const like[] = {"search",  "--like", demo->clip,     "-n", "3",
                                "--quiet", "--db",   demo->database, NULL};
    const char *const export[] = {"export",      "--last",  "-o",   demo->export_directory,
                                  "--overwrite", "--quiet", "--db", demo->database,
                                  NULL};
    bool found = false;
    if (demo->cli->flags.model == NULL)
        say(demo, "\nNow by a text, which the built-in model answers.\n");
    else
        say(demo, "\nNow by a text.\n");
    int status = command(demo, text);
    if (status != CLV_EXIT_OK)
        return status;
    say(demo, "\nNow by an example: the clip itself comes first, then its other take.\n");
    status = command(demo, like);
    if (status == CLV_EXIT_OK)
        status = check_twin(demo, &found);
    if (status != CLV_OK)
        return status;
    char *shown = clv_out_path(demo->twin);
    say(demo, "\n%s %s first among the other clips%s\n", shown == NULL ? demo->twin : shown,
        found ? "comes" : "does NOT come", found ? ", as it should." : ".");
    free(shown);
    if (!found)
        return clv_fail(CLV_ERR, "the clip that looks alike was not found first");
    return command(demo, export);
}

static int run(const struct clv_cli *cli)
{
    struct demo demo = {.cli = cli};
    int status = find_directory(&demo);
    if (status != CLV_OK)
        goto done;
    say(&demo, "Filming %d short clips of %d scenes, two takes each, in %s\n",
        clv_film_count() * CLV_FILM_TAKES, clv_film_count(), demo.clips);
    status = film(&demo);
    if (status != CLV_OK || ((const struct settings *)cli->settings)->clips_only)
        goto done;
    const char *const index[] = {"index", demo.clips, "--db", demo.database, NULL};
    const char *const index_model[] = {"index",   demo.clips,       "--db", demo.database,
                                       "--model", cli->flags.model, NULL};
    status = command(&demo, cli->flags.model == NULL ? index : index_model);
    if (status == CLV_EXIT_OK)
        status = search_and_export(&demo);
    if (status == CLV_EXIT_OK)
        say(&demo,
            "\nThe contact sheet is %s/contact-sheet.html; open it in a browser.\n"
            "With a CLAVER or CLIP checkpoint (--model FILE) and your own footage, the same "
            "commands\nfind what you describe.\n",
            demo.export_directory);
done:
    demo_release(&demo);
    return status;
}

const struct clv_command clv_command_demo = {
    .name = "demo",
    .operands = "[DIR]",
    .summary = "film, index, search and export a few clips",
    .description =
        "Makes a dozen short clips itself, indexes them, searches them by a text and by an "
        "example, and exports what it found, all inside DIR (./claverdb-demo).",
    .example = "claverdb demo\n"
               "claverdb demo /tmp/demo --model vit-b-32.safetensors",
    .operand_max = 1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
    .computes = true,
};
