/* `export`: moments out as clips, with a manifest and a contact sheet. */
#include "cli/command.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/json.h"
#include "query/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    bool last;
    const char *output;
    bool copy;
    int64_t pad_ms;
    bool audio;
    bool overwrite;
    bool clips;
    int64_t quality;
};

static const struct settings defaults = {
    .output = "claverdb-export", .audio = true, .clips = true, .quality = 18};

#define FIELD(field) .offset = offsetof(struct settings, field)
static const struct clv_opt opts[] = {
    {.name = "last",
     .kind = CLV_OPT_BOOL,
     FIELD(last),
     .help = "the result of the last search; what is done without operands anyway"},
    {.name = "output",
     .letter = 'o',
     .kind = CLV_OPT_STRING,
     FIELD(output),
     .value_name = "DIR",
     .help = "where to, made where it is missing [claverdb-export]"},
    {.name = "copy",
     .kind = CLV_OPT_BOOL,
     FIELD(copy),
     .help = "copy the streams instead of encoding again: fast and without loss, but clips begin "
             "at a keyframe; what that moved is said"},
    {.name = "pad",
     .kind = CLV_OPT_TIME,
     FIELD(pad_ms),
     .value_name = "TIME",
     .minimum = 0,
     .maximum = 3600000,
     .help = "so much more before and after each moment"},
    {.name = "audio", .kind = CLV_OPT_BOOL, FIELD(audio), .help = "leave the sound out"},
    {.name = "overwrite",
     .kind = CLV_OPT_BOOL,
     FIELD(overwrite),
     .help = "replace files that exist"},
    {.name = "clips",
     .kind = CLV_OPT_BOOL,
     FIELD(clips),
     .help = "only the manifest and the contact sheet"},
    {.name = "quality",
     .kind = CLV_OPT_INTEGER,
     FIELD(quality),
     .value_name = "CRF",
     .minimum = 1,
     .maximum = 51,
     .help = "x264's constant rate factor: lower is better and larger [18]"},
    {.name = NULL},
};

static int parse_id(int64_t *out, const char *text)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value <= 0)
        return clv_fail(CLV_EINVAL, "'%s' is no moment id; search shows them", text);
    *out = value;
    return CLV_OK;
}

struct state {
    const struct clv_cli *cli;
    struct clv_progress progress;
};

static void print_clip(const struct clv_cli *cli, const struct clv_export_progress *progress)
{
    const struct settings *settings = cli->settings;
    if (!settings->clips && !progress->failed)
        return;
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "clip");
        clv_json_put_string(object, "status", progress->failed ? "failed" : "written");
        clv_json_put_string(object, "path", progress->path);
        if (progress->detail[0] != '\0')
            clv_json_put_string(object, "detail", progress->detail);
        (void)clv_out_json(object);
        return;
    }
    clv_progress_clear();
    char *path = clv_out_path(progress->path);
    const char *shown = path == NULL ? progress->path : path;
    if (progress->failed) {
        if (strstr(progress->detail, progress->path) != NULL)
            clv_out_error("%s", progress->detail);
        else
            clv_out_error("'%s': %s", shown, progress->detail);
    } else if (!cli->flags.quiet) {
        struct clv_bytes safe = {0};
        clv_out_safe(&safe, shown);
        printf("%s%s%s\n", safe.data == NULL ? "" : safe.data,
               progress->detail[0] != '\0' ? ": " : "", progress->detail);
        clv_bytes_release(&safe);
    }
    free(path);
}

static void report(const struct clv_export_progress *progress, void *payload)
{
    struct state *state = payload;
    print_clip(state->cli, progress);
    if (!clv_progress_due(&state->progress))
        return;
    char text[64];
    snprintf(text, sizeof text, "%d/%d clips", progress->done, progress->count);
    double fraction = progress->count > 0 ? (double)progress->done / progress->count : -1;
    if (state->progress.mode == CLV_PROGRESS_JSON) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "progress");
        clv_json_put_integer(object, "done", progress->done);
        clv_json_put_integer(object, "count", progress->count);
        clv_progress_json(&state->progress, object);
    } else {
        clv_progress_show(&state->progress, fraction, text);
    }
}

static int print_totals(const struct clv_cli *cli, const struct clv_export_totals *totals)
{
    const struct settings *settings = cli->settings;
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "summary");
        clv_json_put_integer(object, "written", totals->written_count);
        clv_json_put_integer(object, "failed", totals->failed_count);
        clv_json_put_string(object, "manifest_csv", totals->manifest_csv);
        clv_json_put_string(object, "manifest_json", totals->manifest_json);
        clv_json_put_string(object, "contact_sheet", totals->sheet);
        return clv_out_json(object);
    }
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, totals->sheet);
    if (settings->clips)
        printf("%d clip%s written; ", totals->written_count, clv_out_plural(totals->written_count));
    printf("contact sheet: %s\n", safe.data == NULL ? "" : safe.data);
    clv_bytes_release(&safe);
    return CLV_OK;
}

static int cut(struct clv_session *session, const int64_t *ids)
{
    const struct clv_cli *cli = session->cli;
    const struct settings *settings = cli->settings;
    struct clv_export_options options = {
        .directory = settings->output,
        .copy = settings->copy,
        .no_audio = !settings->audio,
        .overwrite = settings->overwrite,
        .no_clips = !settings->clips,
        .pad_ms = settings->pad_ms,
        .quality = (int)settings->quality,
        .store = session->store,
        .cancel = cli->cancel,
    };
    struct state state = {.cli = cli};
    struct clv_export_totals totals = {0};
    clv_progress_begin(&state.progress, cli);
    int status = cli->operand_count > 0
                     ? clv_export_ids(&totals, session->store, ids, cli->operand_count, &options,
                                      report, &state)
                     : clv_export_last(&totals, session->store, &options, report, &state);
    clv_progress_end(&state.progress);
    if (status == CLV_OK)
        status = print_totals(cli, &totals);
    if (status == CLV_OK && totals.failed_count > 0)
        status = CLV_EXIT_UNREAD;
    clv_export_totals_release(&totals);
    return status;
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    if (settings->last && cli->operand_count > 0)
        return clv_fail(CLV_EINVAL, "--last and moment ids do not go together");
    if (settings->copy && settings->quality != defaults.quality)
        return clv_fail(CLV_EINVAL, "--quality means nothing with --copy, which encodes nothing");
    struct clv_session session = {0};
    int64_t *ids = calloc((size_t)cli->operand_count + 1, sizeof *ids);
    int status = ids == NULL ? clv_fail_memory("moments") : CLV_OK;
    for (int i = 0; i < cli->operand_count && status == CLV_OK; i++)
        status = parse_id(&ids[i], cli->operands[i]);
    if (status == CLV_OK)
        status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = cut(&session, ids);
    free(ids);
    clv_session_release(&session);
    return status;
}

const struct clv_command clv_command_export = {
    .name = "export",
    .operands = "[ID…]",
    .summary = "cut found moments out as clips",
    .description =
        "Cuts the moments of the last search, or those with the ids given, out of their videos: "
        "one clip each, a manifest (CSV and JSON), and a contact sheet (one HTML file with a "
        "strip of pictures per moment). Cuts are exact to the frame; nothing that exists is "
        "overwritten unasked.",
    .example = "claverdb export --last -o clips\n"
               "claverdb export 12 15 --pad 1s\n"
               "claverdb export --copy --no-audio",
    .operand_max = -1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
