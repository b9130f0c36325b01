/* `model pull`: a model by name, from the internet to the user's data directory. */
#include "cli/command.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/catalogue.h"
#include "core/model/model.h"
#include "core/model/pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *from;
    const char *sha256;
    const char *mirror;
    const char *catalogue;
    bool force;
    bool keep;
};

#define FIELD(field) .offset = offsetof(struct settings, field)
static const struct settings defaults = {0};
static const struct clv_opt opts[] = {
    {.name = "from",
     .kind = CLV_OPT_STRING,
     FIELD(from),
     .value_name = "URL",
     .help = "download from here: the file's own address, or a folder's that ends in '/'"},
    {.name = "sha256",
     .kind = CLV_OPT_STRING,
     FIELD(sha256),
     .value_name = "HEX",
     .help = "what the file must be; by default what the list says"},
    {.name = "mirror",
     .kind = CLV_OPT_STRING,
     FIELD(mirror),
     .value_name = "URLS",
     .help = "folders to try before the public address, parted by spaces"},
    {.name = "catalogue",
     .kind = CLV_OPT_STRING,
     FIELD(catalogue),
     .value_name = "FILE",
     .help = "a list of your own, which adds to the built-in one; see 'claverdb help model list'"},
    {.name = "force", .kind = CLV_OPT_BOOL, FIELD(force), .help = "pull what is here already"},
    {.name = "keep",
     .kind = CLV_OPT_BOOL,
     FIELD(keep),
     .help = "keep the downloaded file beside the model made of it"},
    {.name = NULL},
};

/* ---- progress ---- */

struct watch {
    struct clv_progress progress;
    const char *file;    /* that the following is about */
    int64_t first_bytes; /* there already when it began */
    double first_s;
};

static void show_json(struct watch *watch, const struct clv_pull_state *state, double rate,
                      double left_s)
{
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "progress");
    clv_json_put_string(object, "step", state->is_import ? "import" : "download");
    clv_json_put_string(object, "file", state->file);
    if (!state->is_import) {
        clv_json_put_integer(object, "bytes_done", state->done_bytes);
        if (state->total_bytes >= 0)
            clv_json_put_integer(object, "bytes_total", state->total_bytes);
        clv_json_put_number(object, "bytes_per_s", rate);
        if (left_s >= 0)
            clv_json_put_number(object, "left_s", left_s);
    }
    clv_progress_json(&watch->progress, object);
}

static void show_text(struct watch *watch, const struct clv_pull_state *state, double rate,
                      double left_s)
{
    char text[512];
    char done[CLV_OUT_NUMBER_SIZE];
    char total[CLV_OUT_NUMBER_SIZE] = "?";
    char speed[CLV_OUT_NUMBER_SIZE];
    char left[CLV_OUT_NUMBER_SIZE] = "?";
    double fraction = -1;
    if (state->is_import) {
        snprintf(text, sizeof text, "%s, importing", state->file);
        clv_progress_show(&watch->progress, 1, text);
        return;
    }
    if (state->total_bytes > 0) {
        fraction = (double)state->done_bytes / (double)state->total_bytes;
        clv_out_size(total, state->total_bytes);
    }
    if (left_s >= 0)
        clv_out_duration(left, left_s);
    snprintf(text, sizeof text, "%s, %s of %s, %s/s, %s left", state->file,
             clv_out_size(done, state->done_bytes), total, clv_out_size(speed, (int64_t)rate),
             left);
    clv_progress_show(&watch->progress, fraction, text);
}

static void show_progress(const struct clv_pull_state *state, void *payload)
{
    struct watch *watch = payload;
    /* Less than at first: begun anew. */
    bool is_new = watch->file != state->file || state->done_bytes < watch->first_bytes;
    if (is_new) {
        watch->file = state->file;
        watch->first_bytes = state->done_bytes;
        watch->first_s = clv_clock_seconds();
    }
    bool is_due = clv_progress_due(&watch->progress);
    bool is_news = state->is_import && watch->progress.mode != CLV_PROGRESS_PLAIN;
    if (!is_due && !is_news)
        return;
    double elapsed_s = clv_clock_seconds() - watch->first_s;
    double came = (double)(state->done_bytes - watch->first_bytes);
    double rate = elapsed_s > 0 ? came / elapsed_s : 0;
    double left_s = rate > 0 && state->total_bytes >= 0 && elapsed_s > 0.5
                        ? (double)(state->total_bytes - state->done_bytes) / rate
                        : -1;
    if (watch->progress.mode == CLV_PROGRESS_JSON)
        show_json(watch, state, rate, left_s);
    else
        show_text(watch, state, rate, left_s);
}

/* ---- results ---- */

static int print_json(const char *name, const struct clv_pull_result *result)
{
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "pull");
    clv_json_put_string(object, "name", name);
    clv_json_put_string(object, "path", result->path);
    clv_json_put_bool(object, "was_here", result->was_here);
    if (result->sha256[0] != '\0') {
        clv_json_put_string(object, "sha256", result->sha256);
        clv_json_put_bool(object, "vouched", result->is_vouched);
    }
    if (result->report.layout != NULL) {
        clv_json_put_string(object, "layout", result->report.layout);
        clv_json_put_integer(object, "tensors", result->report.tensor_count);
        clv_json_put_integer(object, "written_bytes", result->report.written_bytes);
        clv_json_put_bool(object, "has_vocabulary", result->report.has_vocabulary);
    }
    if (result->download_path != NULL)
        clv_json_put_string(object, "download_path", result->download_path);
    return clv_out_json(object);
}

static void print_text(const char *name, bool is_vocabulary, const struct clv_pull_result *result)
{
    char *shown = clv_out_path(result->path);
    const char *path = shown == NULL ? result->path : shown;
    char size[CLV_OUT_NUMBER_SIZE];
    if (result->was_here)
        printf("%s is here already: %s\n", name, path);
    else if (is_vocabulary)
        printf("pulled %s: %s\n", name, path);
    else
        printf("pulled %s: %s (%s, %d tensors of %s's layout)\n", name, path,
               clv_out_size(size, result->report.written_bytes), result->report.tensor_count,
               result->report.layout);
    free(shown);
    if (result->report.notes.size_bytes > 0)
        fputs(result->report.notes.data, stdout);
    if (result->download_path != NULL)
        printf("kept the download: %s\n", result->download_path);
    if (!result->was_here && !result->is_vouched)
        printf("nobody vouched for it: its SHA-256 is %s, and whether that is right only those "
               "know who published it (--sha256 checks it)\n",
               result->sha256);
    if (!is_vocabulary)
        printf("next: claverdb index FOOTAGE --model %s\n", name);
}

/* ---- running ---- */

/* What the library cannot know: how to say it on the command line. */
static int check_name(const struct clv_catalogue *catalogue, const char *name, const char *from)
{
    const char *nearest = NULL;
    int fewest = 4;
    if (clv_model_is_mini(name))
        return clv_fail(CLV_EINVAL, "'%s' is built in, so there is nothing to pull", name);
    if (clv_catalogue_find(catalogue, name) != NULL || from != NULL)
        return CLV_OK;
    for (size_t i = 0; i < clv_catalogue_count(catalogue); i++) {
        const char *known = clv_catalogue_at(catalogue, i)->name;
        int edits = clv_opt_edits(name, known);
        if (edits < fewest) {
            fewest = edits;
            nearest = known;
        }
    }
    if (nearest != NULL)
        return clv_fail(CLV_ENOTFOUND, "there is no model '%s' in the list; did you mean '%s'?",
                        name, nearest);
    return clv_fail(
        CLV_ENOTFOUND,
        "there is no model '%s' in the list; 'claverdb model list' shows it, and --from "
        "takes an address",
        name);
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    const char *name = cli->operands[0];
    struct clv_catalogue *catalogue = NULL;
    struct clv_pull_result result = {0};
    struct watch watch = {0};
    clv_progress_begin(&watch.progress, cli);
    struct clv_pull_options options = {
        .from = settings->from,
        .sha256 = settings->sha256,
        .mirrors = settings->mirror,
        .forces = settings->force,
        .keeps = settings->keep,
        .cancel = cli->cancel,
        .progress = show_progress,
        .payload = &watch,
    };
    int status = clv_catalogue_open(&catalogue, settings->catalogue);
    if (status == CLV_OK)
        status = check_name(catalogue, name, settings->from);
    if (status == CLV_OK)
        status = clv_pull(&result, catalogue, name, &options);
    clv_progress_end(&watch.progress);
    if (status == CLV_OK) {
        const struct clv_catalogue_entry *entry = clv_catalogue_find(catalogue, name);
        bool is_vocabulary = entry != NULL && entry->is_vocabulary;
        if (cli->flags.json)
            status = print_json(name, &result);
        else
            print_text(name, is_vocabulary, &result);
    }
    clv_pull_result_release(&result);
    clv_catalogue_close(catalogue);
    return status;
}

const struct clv_command clv_command_model_pull = {
    .name = "model pull",
    .operands = "NAME",
    .summary = "download a model and import it",
    .description =
        "Downloads a model that 'claverdb model list' shows, checks that its SHA-256 is the "
        "published one, and imports it, with its vocabulary, into the data directory "
        "(~/.local/share/claverdb/models), where --model NAME finds it. A download that broke off, "
        "or was stopped by Ctrl-C, goes on where it was.\n"
        "A name that is in no list needs --from; without --sha256 nobody then vouches for the "
        "file, and its digest is printed. Proxies are those of http_proxy, https_proxy, all_proxy "
        "and no_proxy.",
    .example = "claverdb model pull clip-b32\n"
               "claverdb model pull clip-l14 --mirror 'http://nas.local/models/'\n"
               "claverdb model pull mine --from https://example.org/mine.pt",
    .operand_min = 1,
    .operand_max = 1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
