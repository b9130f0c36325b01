/* `index`: footage in. */
#include "cli/command.h"
#include "cli/device.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/json.h"
#include "indexer/ingest.h"
#include "indexer/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    int64_t length_ms;
    int64_t stride_ms;
    int64_t frame_count;
    double cut_score;
    bool cuts;
    bool force;
    bool retry_failed;
    bool prune;
    bool dry_run;
    int64_t readers;
    int64_t decode_threads;
    int decoder; /* enum clv_decoder_kind */
};

static const struct settings defaults = {.length_ms = 4000, .cut_score = 10, .cuts = true};

#define FIELD(field) .offset = offsetof(struct settings, field)
static const struct clv_opt opts[] = {
    {.name = "length",
     .kind = CLV_OPT_TIME,
     FIELD(length_ms),
     .value_name = "TIME",
     .minimum = 100,
     .maximum = 600000,
     .help = "length of a segment [4s]"},
    {.name = "stride",
     .kind = CLV_OPT_TIME,
     FIELD(stride_ms),
     .value_name = "TIME",
     .minimum = 0,
     .maximum = 600000,
     .help = "time from the start of a segment to that of the next [half the length]"},
    {.name = "frames",
     .kind = CLV_OPT_INTEGER,
     FIELD(frame_count),
     .value_name = "N",
     .minimum = 0,
     .maximum = 1024,
     .help = "frames taken of a segment, for a model that leaves it free (CLIP without a temporal "
             "branch) [as indexed before, else 8]"},
    {.name = "cut-score",
     .kind = CLV_OPT_NUMBER,
     FIELD(cut_score),
     .value_name = "N",
     .minimum = 0.1,
     .maximum = 100,
     .help = "how sudden a change of picture is a cut between shots, which no segment straddles "
             "[10]"},
    {.name = "cuts",
     .kind = CLV_OPT_BOOL,
     FIELD(cuts),
     .help = "do not look for cuts: footage is one shot"},
    {.name = "force",
     .letter = 'f',
     .kind = CLV_OPT_BOOL,
     FIELD(force),
     .help = "index again what is unchanged"},
    {.name = "retry-failed",
     .kind = CLV_OPT_BOOL,
     FIELD(retry_failed),
     .help = "try files again that could not be read and have not changed since"},
    {.name = "prune",
     .kind = CLV_OPT_BOOL,
     FIELD(prune),
     .help = "drop what is under the given paths in the database and no longer on disk"},
    {.name = "dry-run",
     .letter = 'n',
     .kind = CLV_OPT_BOOL,
     FIELD(dry_run),
     .help = "only say what would be done"},
    {.name = "readers",
     .kind = CLV_OPT_INTEGER,
     FIELD(readers),
     .value_name = "N",
     .minimum = 0,
     .maximum = 64,
     .help = clv_cli_readers_help},
    {.name = "decode-threads",
     .kind = CLV_OPT_INTEGER,
     FIELD(decode_threads),
     .value_name = "N",
     .minimum = 0,
     .maximum = 1024,
     .help = "threads that decode, shared by the readers [all cores]"},
    {.name = "decoder",
     .kind = CLV_OPT_ENUM,
     FIELD(decoder),
     .enums = clv_cli_decoders,
     .help = clv_cli_decoder_help},
    {.name = NULL},
};

/* What the report callback works with. */
struct state {
    const struct clv_cli *cli;
    bool dry_run;
    struct clv_decoder *decoder; /* NULL: the CPU */
    struct clv_progress progress;
    struct clv_bytes failures; /* path NUL reason NUL, … */
};

static const char *const event_names[] = {
    [CLV_INGEST_INDEXED] = "indexed", [CLV_INGEST_UNCHANGED] = "unchanged",
    [CLV_INGEST_MOVED] = "moved",     [CLV_INGEST_FAILED] = "failed",
    [CLV_INGEST_GONE] = "gone",       [CLV_INGEST_PRUNED] = "pruned",
};

/* Seconds left by the bytes still to be read; negative while unknown. */
static double time_left_s(const struct clv_ingest_progress *progress)
{
    if (progress->bytes_done <= 0 || progress->elapsed_s < 0.5)
        return -1;
    return progress->elapsed_s * (double)(progress->bytes_total - progress->bytes_done) /
           (double)progress->bytes_done;
}

static double speed(const struct clv_ingest_progress *progress)
{
    return progress->elapsed_s > 0 ? (double)progress->footage_ms / 1000 / progress->elapsed_s : 0;
}

static void show_progress(struct state *state, const struct clv_ingest_progress *progress)
{
    double fraction = progress->bytes_total > 0
                          ? (double)progress->bytes_done / (double)progress->bytes_total
                          : -1;
    double left_s = time_left_s(progress);
    if (state->progress.mode == CLV_PROGRESS_JSON) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "progress");
        clv_json_put_integer(object, "files_done", progress->files_done);
        clv_json_put_integer(object, "file_count", progress->file_count);
        clv_json_put_integer(object, "bytes_done", progress->bytes_done);
        clv_json_put_integer(object, "bytes_total", progress->bytes_total);
        clv_json_put_integer(object, "footage_ms", progress->footage_ms);
        clv_json_put_number(object, "elapsed_s", progress->elapsed_s);
        clv_json_put_number(object, "speed", speed(progress));
        if (left_s >= 0)
            clv_json_put_number(object, "left_s", left_s);
        clv_progress_json(&state->progress, object);
        return;
    }
    char footage[CLV_OUT_NUMBER_SIZE];
    char left[CLV_OUT_NUMBER_SIZE] = "?";
    if (left_s >= 0)
        clv_out_duration(left, left_s);
    char text[512];
    snprintf(text, sizeof text, "%d/%d files, %s of footage, %.1fx real time, %s left",
             progress->files_done, progress->file_count,
             clv_out_duration(footage, (double)progress->footage_ms / 1000), speed(progress), left);
    clv_progress_show(&state->progress, fraction, text);
}

static void print_file(struct state *state, const struct clv_ingest_progress *progress)
{
    const char *name = event_names[progress->event];
    if (state->cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "file");
        clv_json_put_string(object, "status", name);
        clv_json_put_string(object, "path", progress->path);
        if (progress->detail[0] != '\0')
            clv_json_put_string(object, progress->event == CLV_INGEST_MOVED ? "from" : "detail",
                                progress->detail);
        if (clv_out_json(object) == CLV_OK)
            fflush(stdout);
    } else if (state->dry_run || (state->cli->flags.verbose && !state->cli->flags.quiet)) {
        clv_progress_clear();
        fprintf(state->dry_run ? stdout : stderr, "%s%-9s ",
                state->dry_run && progress->event == CLV_INGEST_INDEXED ? "would be " : "", name);
        struct clv_bytes safe = {0};
        clv_out_safe(&safe, progress->path);
        fprintf(state->dry_run ? stdout : stderr, "%s\n", safe.data == NULL ? "" : safe.data);
        clv_bytes_release(&safe);
    }
}

static void report(const struct clv_ingest_progress *progress, void *payload)
{
    struct state *state = payload;
    switch (progress->event) {
    case CLV_INGEST_FAILED:
        clv_bytes_add(&state->failures, progress->path, strlen(progress->path) + 1);
        clv_bytes_add(&state->failures, progress->detail, strlen(progress->detail) + 1);
        print_file(state, progress);
        break;
    case CLV_INGEST_INDEXED:
    case CLV_INGEST_UNCHANGED:
    case CLV_INGEST_MOVED:
    case CLV_INGEST_GONE:
    case CLV_INGEST_PRUNED:
        print_file(state, progress);
        break;
    case CLV_INGEST_SCANNED:
    case CLV_INGEST_BEGIN:
    case CLV_INGEST_PROGRESS:
        break;
    }
    if (clv_progress_due(&state->progress))
        show_progress(state, progress);
}

static int print_summary_json(const struct clv_ingest_progress *totals, bool dry_run,
                              bool interrupted)
{
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "summary");
    clv_json_put_bool(object, "dry_run", dry_run);
    clv_json_put_bool(object, "interrupted", interrupted);
    clv_json_put_integer(object, "files", totals->file_count);
    clv_json_put_integer(object, "indexed", totals->indexed_count);
    clv_json_put_integer(object, "unchanged", totals->unchanged_count);
    clv_json_put_integer(object, "moved", totals->moved_count);
    clv_json_put_integer(object, "failed", totals->failed_count);
    clv_json_put_integer(object, "gone", totals->gone_count);
    clv_json_put_integer(object, "pruned", totals->pruned_count);
    clv_json_put_integer(object, "segments", totals->segment_count);
    clv_json_put_integer(object, "footage_ms", totals->footage_ms);
    clv_json_put_number(object, "elapsed_s", totals->elapsed_s);
    clv_json_put_number(object, "speed", speed(totals));
    clv_json_put_number(object, "decode_s", totals->decode_s);
    clv_json_put_number(object, "encode_s", totals->encode_s);
    clv_json_put_number(object, "write_s", totals->write_s);
    clv_json_put_string(object, "limited_by", clv_ingest_limit(totals));
    return clv_out_json(object);
}

static void print_summary(const struct clv_ingest_progress *totals, bool dry_run)
{
    char footage[CLV_OUT_NUMBER_SIZE];
    char elapsed[CLV_OUT_NUMBER_SIZE];
    if (dry_run)
        printf("would index %d of %d files", totals->indexed_count, totals->file_count);
    else
        printf("indexed %d of %d files: %s of footage, %" PRId64
               " segment%s, in %s (%.1fx real time)",
               totals->indexed_count, totals->file_count,
               clv_out_duration(footage, (double)totals->footage_ms / 1000), totals->segment_count,
               clv_out_plural(totals->segment_count), clv_out_duration(elapsed, totals->elapsed_s),
               speed(totals));
    const struct {
        int count;
        const char *text;
    } parts[] = {
        {totals->unchanged_count, "unchanged"},
        {totals->moved_count, "moved"},
        {totals->pruned_count, dry_run ? "to be dropped" : "dropped"},
        {totals->gone_count, "no longer on disk (--prune drops them)"},
        {totals->failed_count, "could not be read"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].count > 0)
            printf("; %d %s", parts[i].count, parts[i].text);
    }
    putchar('\n');
}

static double percent(double busy_s, double elapsed_s)
{
    return elapsed_s > 0 ? 100 * busy_s / elapsed_s : 0;
}

/* Where the time went. */
static void print_shares(const struct clv_ingest_progress *totals)
{
    const char *limit = clv_ingest_limit(totals);
    if (limit[0] == '\0')
        return;
    fprintf(stderr,
            "decoding was busy %.0f%% of the time, encoding %.0f%%, writing %.0f%%; %s set the "
            "pace\n",
            percent(totals->decode_s, totals->elapsed_s),
            percent(totals->encode_s, totals->elapsed_s),
            percent(totals->write_s, totals->elapsed_s), limit);
}

static void print_failures(const struct clv_bytes *failures)
{
    const char *end = failures->data + failures->size_bytes;
    for (const char *path = failures->data; path != NULL && path < end;) {
        const char *reason = path + strlen(path) + 1;
        char *shown = clv_out_path(path);
        /* Most reasons name the file already. */
        if (strstr(reason, path) != NULL)
            clv_out_error("%s", reason);
        else
            clv_out_error("'%s': %s", shown == NULL ? path : shown, reason);
        free(shown);
        path = reason + strlen(reason) + 1;
    }
}

static int index_paths(struct clv_session *session, struct state *state,
                       const struct settings *settings)
{
    const struct clv_cli *cli = session->cli;
    struct clv_encoder *encoder = NULL;
    struct clv_ingest_options options = {
        .length_ms = settings->length_ms,
        .stride_ms = settings->stride_ms,
        .cut_score = settings->cuts ? settings->cut_score : -1,
        .reader_count = (int)settings->readers,
        .decode_threads = (int)settings->decode_threads,
        .force = settings->force,
        .retry_failed = settings->retry_failed,
        .decoder = state->decoder,
        .prune = settings->prune,
        .dry_run = settings->dry_run,
        .cancel = cli->cancel,
    };
    int status = clv_ingest_encoder(&encoder, session->device, &session->model, &options);
    if (status != CLV_OK)
        return status;
    struct clv_ingest_progress totals = {0};
    clv_progress_begin(&state->progress, cli);
    status = clv_ingest_paths(&totals, session->store, encoder, session->model_id, cli->operands,
                              cli->operand_count, &options, report, state);
    clv_progress_end(&state->progress);
    clv_encoder_free(encoder);
    if (status != CLV_OK && status != CLV_ECANCELED)
        return status;
    if (cli->flags.json)
        (void)print_summary_json(&totals, settings->dry_run, status == CLV_ECANCELED);
    else
        print_summary(&totals, settings->dry_run);
    if (cli->flags.verbose && !cli->flags.quiet && !cli->flags.json)
        print_shares(&totals);
    print_failures(&state->failures);
    if (status != CLV_OK)
        return status;
    return totals.failed_count > 0 ? CLV_EXIT_UNREAD : CLV_EXIT_OK;
}

/* A dry run where there is no database, which makes none: everything is new. */
static int list_new(const struct clv_cli *cli)
{
    struct clv_scan scan = {0};
    struct state state = {.cli = cli, .dry_run = true};
    int status = clv_scan_paths(&scan, cli->operands, cli->operand_count, cli->cancel);
    struct clv_ingest_progress totals = {
        .event = CLV_INGEST_INDEXED, .detail = "", .file_count = scan.count};
    for (int i = 0; i < scan.count && status == CLV_OK; i++) {
        totals.path = scan.files[i].path;
        totals.indexed_count++;
        print_file(&state, &totals);
    }
    clv_scan_release(&scan);
    if (status != CLV_OK)
        return status;
    if (cli->flags.json)
        return print_summary_json(&totals, true, false);
    print_summary(&totals, true);
    return CLV_OK;
}

/* `index --model FILE` without footage: what is indexed with it is what is searched from now on. */
static int make_default(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    struct clv_session session = {.frame_count = (int)settings->frame_count};
    if (cli->flags.model == NULL)
        return clv_fail(CLV_EINVAL, "'index' needs more operands: claverdb index PATH…");
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = clv_session_open_model(&session, false);
    if (status == CLV_OK)
        status = clv_session_need_vectors(&session);
    if (status == CLV_OK && !settings->dry_run)
        status = clv_session_remember_model(&session);
    if (status == CLV_OK && cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "default");
        clv_json_put_integer(object, "model_id", session.model_id);
        clv_json_put_string(object, "model", session.model.path);
        status = clv_out_json(object);
    } else if (status == CLV_OK) {
        struct clv_bytes safe = {0};
        clv_out_safe(&safe, session.model_label);
        printf("searches use the vectors of '%s'\n", safe.data == NULL ? "" : safe.data);
        clv_bytes_release(&safe);
    }
    clv_session_release(&session);
    return status;
}

static int index_and_remember(struct clv_session *session, struct state *state)
{
    const struct settings *settings = session->cli->settings;
    bool is_beside = false;
    int status = settings->dry_run ? clv_session_find_model(session)
                                   : clv_session_put_model(session, &is_beside);
    if (status != CLV_OK)
        return status;
    int result = index_paths(session, state, settings);
    if (result < 0 || settings->dry_run)
        return result;
    status = clv_session_remember_model(session);
    if (status == CLV_OK && is_beside && !session->cli->flags.quiet)
        clv_out_warning("these vectors lie beside those of another model, and are what is searched "
                        "from now on; claverdb status lists the models");
    return status == CLV_OK ? result : status;
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    struct clv_session session = {.frame_count = (int)settings->frame_count};
    struct state state = {.cli = cli, .dry_run = settings->dry_run};
    if (cli->operand_count == 0)
        return make_default(cli);
    int status = clv_session_open_store(&session, cli, !settings->dry_run);
    if (status == CLV_ENOTFOUND && settings->dry_run) {
        status = list_new(cli);
        goto done;
    }
    if (status == CLV_OK)
        status = clv_session_open_model(&session, true);
    if (status == CLV_OK)
        status = clv_session_open_device(&session);
    if (status == CLV_OK && !settings->dry_run)
        status = clv_cli_open_decoder(&state.decoder, cli, session.device,
                                      (enum clv_decoder_kind)settings->decoder);
    if (status == CLV_OK)
        status = index_and_remember(&session, &state);
done:
    clv_bytes_release(&state.failures);
    clv_decoder_close(state.decoder);
    clv_session_release(&session);
    return status;
}

const struct clv_command clv_command_index = {
    .name = "index",
    .operands = "PATH…",
    .summary = "read footage into the database",
    .description =
        "Walks the folders given (hidden ones and files that are no video are skipped), decodes "
        "every video, and stores what each few seconds of it show. Running it again does only "
        "what is new or has changed; a file that was moved is recognised. It may be interrupted "
        "at any time and goes on from there.\n"
        "Files that cannot be read are listed at the end with the reason, and make the exit "
        "status 3; nothing else suffers from them.\n"
        "Vectors of two models never mix: with another --model a second set is made beside the "
        "first, and searched from then on. Without PATH, --model only says which set that is.",
    .example = "claverdb index ~/footage --model ViT-B-32.pt\n"
               "claverdb index ~/footage --length 2s --stride 500ms\n"
               "claverdb index ~/footage --prune --dry-run",
    .operand_min = 0,
    .operand_max = -1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
    .computes = true,
};
