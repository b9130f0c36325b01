/* `search`: a sentence or an example in, moments out. */
#include "cli/command.h"
#include "cli/device.h"
#include "cli/out.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/json.h"
#include "query/search.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    int64_t count;
    const char *in;
    double min_score;
    int64_t from_ms;
    int64_t to_ms;
    const char *like;
    double like_weight;
    bool exact;
};

static const struct settings defaults = {.count = 10, .min_score = -2, .like_weight = 0.5};

#define FIELD(field) .offset = offsetof(struct settings, field)
static const struct clv_opt opts[] = {
    {.name = "count",
     .letter = 'n',
     .kind = CLV_OPT_INTEGER,
     FIELD(count),
     .value_name = "N",
     .minimum = 1,
     .maximum = 100000,
     .help = "how many moments at most [10]"},
    {.name = "in",
     .kind = CLV_OPT_STRING,
     FIELD(in),
     .value_name = "GLOB",
     .help = "only in videos whose path matches, or that lie under this folder"},
    {.name = "min-score",
     .kind = CLV_OPT_NUMBER,
     FIELD(min_score),
     .value_name = "X",
     .minimum = -1,
     .maximum = 1,
     .help = "only moments that score at least this (a cosine)"},
    {.name = "from",
     .kind = CLV_OPT_TIME,
     FIELD(from_ms),
     .value_name = "TIME",
     .minimum = 0,
     .maximum = 1e12,
     .help = "only after this time of each video"},
    {.name = "to",
     .kind = CLV_OPT_TIME,
     FIELD(to_ms),
     .value_name = "TIME",
     .minimum = 0,
     .maximum = 1e12,
     .help = "only before this time of each video"},
    {.name = "like",
     .kind = CLV_OPT_STRING,
     FIELD(like),
     .value_name = "FILE[@TIME[-TIME]]",
     .help = "what looks like this clip or picture, or this part of a clip; alone or with a text"},
    {.name = "like-weight",
     .kind = CLV_OPT_NUMBER,
     FIELD(like_weight),
     .value_name = "X",
     .minimum = 0,
     .maximum = 1,
     .help = "share of the example where there is a text too [0.5]"},
    {.name = "exact",
     .kind = CLV_OPT_BOOL,
     FIELD(exact),
     .help = "compare with every segment, whatever the index says"},
    {.name = NULL},
};

static int print_json(const struct clv_session *session, const struct clv_search_result *result,
                      const char *query)
{
    int status = CLV_OK;
    for (int i = 0; i < result->count && status == CLV_OK; i++) {
        const struct clv_moment *moment = &result->moments[i];
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "moment");
        clv_json_put_integer(object, "rank", i + 1);
        clv_json_put_integer(object, "id", moment->id);
        clv_json_put_string(object, "path", moment->path);
        clv_json_put_integer(object, "start_ms", moment->start_ms);
        clv_json_put_integer(object, "end_ms", moment->end_ms);
        clv_json_put_integer(object, "peak_ms", moment->peak_ms);
        clv_json_put_number(object, "score", moment->score);
        clv_json_put_number(object, "percentile", moment->percentile);
        clv_json_put_integer(object, "segments", moment->segment_count);
        clv_json_put_integer(object, "video_id", moment->video_id);
        status = clv_out_json(object);
    }
    if (status != CLV_OK)
        return status;
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "summary");
    clv_json_put_string(object, "query", query);
    clv_json_put_integer(object, "count", result->count);
    clv_json_put_integer(object, "segments", result->segment_total);
    clv_json_put_integer(object, "cut_prompts", result->cut_prompt_count);
    clv_json_put_string(object, "model", session->model.path);
    clv_json_put_integer(object, "model_id", session->model_id);
    /* Programs may still ask for what older versions had. */
    clv_json_put_bool(object, "placeholder_model", false);
    clv_json_put_bool(object, "builtin_model", session->model.is_builtin);
    clv_json_put_number(object, "encode_s", result->encode_s);
    clv_json_put_number(object, "search_s", result->search_s);
    return clv_out_json(object);
}

static int print_table(const struct clv_search_result *result)
{
    if (result->count == 0)
        return CLV_OK;
    struct clv_table table = {0};
    clv_table_begin(&table, "#> ID> SCORE> PERCENTILE> TIME PATH");
    for (int i = 0; i < result->count; i++) {
        const struct clv_moment *moment = &result->moments[i];
        char start[CLV_TIME_TEXT_SIZE];
        char end[CLV_TIME_TEXT_SIZE];
        char *path = clv_out_path(moment->path);
        clv_table_cell(&table, "%d", i + 1);
        if (moment->id != 0)
            clv_table_cell(&table, "%" PRId64, moment->id);
        else
            clv_table_cell(&table, "-"); /* not remembered */
        clv_table_cell(&table, "%.3f", (double)moment->score);
        clv_table_cell(&table, "%.1f", (double)moment->percentile);
        clv_table_cell(&table, "%s-%s", clv_time_format(start, moment->start_ms),
                       clv_time_format(end, moment->end_ms));
        clv_table_cell(&table, "%s", path == NULL ? moment->path : path);
        free(path);
    }
    return clv_table_print(&table);
}

/* What the result is remembered under. */
static char *query_text(const char *text, const char *like)
{
    struct clv_bytes query = {0};
    clv_bytes_text(&query, text == NULL ? "" : text);
    if (like != NULL)
        clv_bytes_format(&query, "%slike %s", text == NULL ? "" : ", ", like);
    if (query.status == CLV_OK)
        return query.data;
    clv_bytes_release(&query);
    clv_fail_memory("the query");
    return NULL;
}

static int find_and_print(struct clv_session *session, const struct clv_search_options *options)
{
    const struct clv_globals *flags = &session->cli->flags;
    struct clv_search_result result = {0};
    char *query = query_text(options->text, options->like);
    if (query == NULL)
        return CLV_ENOMEM;
    int status = clv_search_run(&result, session->store, &session->model, session->device,
                                session->model_id, options);
    if (status != CLV_OK)
        goto done;
    /* An answer that cannot be remembered (a read-only disk) is an answer all the same. */
    if (clv_search_remember(session->store, query, session->model_id, &result) != CLV_OK &&
        !flags->quiet)
        clv_out_warning("this result is not remembered for export: %s", clv_error_message());
    if (result.cut_prompt_count > 0 && !flags->quiet)
        clv_out_warning("the text is longer than the model reads; %d of its prompts were cut",
                        result.cut_prompt_count);
    status = flags->json ? print_json(session, &result, query) : print_table(&result);
    if (status != CLV_OK)
        goto done;
    if (result.count == 0 && !flags->json && !flags->quiet)
        clv_out_error("nothing found among %" PRId64 " segments", result.segment_total);
    status = result.count > 0 ? CLV_EXIT_OK : CLV_EXIT_NOTHING;
done:
    clv_search_result_release(&result);
    free(query);
    return status;
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    const char *text = cli->operand_count > 0 ? cli->operands[0] : NULL;
    if (text == NULL && settings->like == NULL)
        return clv_fail(CLV_EINVAL, "search needs a text, or --like with a clip or picture");
    if (settings->to_ms > 0 && settings->to_ms <= settings->from_ms)
        return clv_fail(CLV_EINVAL, "--to lies before --from");
    struct clv_session session = {0};
    char *glob = NULL;
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = clv_session_open_model(&session, false);
    if (status == CLV_OK)
        status = clv_session_need_vectors(&session);
    /* Without a device named, the library opens one only if the query's vector is not cached. */
    if (status == CLV_OK && clv_cli_names_device(cli))
        status = clv_session_open_device(&session);
    if (status == CLV_OK && settings->in != NULL) {
        glob = clv_session_glob(settings->in);
        status = glob == NULL ? CLV_ENOMEM : CLV_OK;
    }
    if (status == CLV_OK) {
        struct clv_search_options options = {
            .text = text,
            .like = settings->like,
            .like_weight = settings->like_weight,
            .moment_max = (int)settings->count,
            .glob = glob,
            .from_ms = settings->from_ms,
            .to_ms = settings->to_ms,
            .score_min = settings->min_score,
            .has_score_min = settings->min_score > defaults.min_score,
            .exact = settings->exact,
            .cancel = cli->cancel,
        };
        status = find_and_print(&session, &options);
    }
    free(glob);
    clv_session_release(&session);
    return status;
}

const struct clv_command clv_command_search = {
    .name = "search",
    .operands = "[TEXT]",
    .summary = "find moments by a sentence or an example",
    .description =
        "Prints the moments that answer the text best, the best first: neighbouring segments of "
        "one video are one moment. SCORE is a cosine and means little by itself; PERCENTILE is "
        "the share of the indexed footage that scores lower. The result is remembered for "
        "'claverdb export'.\n"
        "Exit status 1 means that nothing was found.",
    .example = "claverdb search \"a person opens a door\"\n"
               "claverdb search \"two people shake hands\" -n 3 --in '*/lobby/*'\n"
               "claverdb search --like walk.mp4@0:12-0:16",
    .operand_max = 1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
    .computes = true,
};
