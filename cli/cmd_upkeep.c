/* `status`, `check` and `rebuild`: the database itself. */
#include "cli/command.h"
#include "cli/out.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct clv_opt no_opts[] = {{.name = NULL}};
static const char no_defaults[1];

/* ---- status ---- */

static int print_model(struct clv_session *session, const struct clv_session_model *model)
{
    char kind[64] = "";
    int status = clv_store_index_kind(session->store, model->id, kind);
    if (status != CLV_OK)
        return status;
    if (session->cli->flags.json) {
        char digest[CLV_DIGEST_TEXT_SIZE];
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "model");
        clv_json_put_integer(object, "id", model->id);
        clv_json_put_string(object, "name", model->name);
        clv_json_put_string(object, "path", model->path);
        clv_json_put_bool(object, "default", model->is_default);
        clv_json_put_string(object, "digest", clv_digest_text(digest, model->digest));
        clv_json_put_integer(object, "dim", model->dim);
        clv_json_put_integer(object, "frame_count", model->frame_count);
        clv_json_put_integer(object, "segments", model->segment_count);
        clv_json_put_integer(object, "videos", model->video_count);
        clv_json_put_string(object, "index", kind);
        return clv_out_json(object);
    }
    struct clv_bytes name = {0};
    clv_out_safe(&name, model->path[0] != '\0' ? model->path : model->name);
    printf("model %-3" PRId64 " %s%s: %" PRId64 " segment%s of %" PRId64 " video%s, %d numbers a "
           "vector, %d frames a segment, index %s\n",
           model->id, name.data == NULL ? "" : name.data, model->is_default ? " (default)" : "",
           model->segment_count, clv_out_plural(model->segment_count), model->video_count,
           clv_out_plural(model->video_count), model->dim, model->frame_count,
           kind[0] != '\0' ? kind : "not built");
    clv_bytes_release(&name);
    return CLV_OK;
}

static int print_status(struct clv_session *session)
{
    struct clv_store_status facts;
    int status = clv_store_status(session->store, &facts);
    if (status != CLV_OK)
        return status;
    if (session->cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "status");
        clv_json_put_string(object, "database", session->directory);
        clv_json_put_integer(object, "schema", facts.schema_version);
        clv_json_put_integer(object, "generation", facts.generation);
        clv_json_put_integer(object, "videos", facts.video_count);
        clv_json_put_integer(object, "failed", facts.failed_count);
        clv_json_put_integer(object, "missing", facts.missing_count);
        clv_json_put_integer(object, "segments", facts.segment_count);
        clv_json_put_integer(object, "footage_ms", facts.footage_ms);
        clv_json_put_integer(object, "catalog_bytes", facts.catalog_bytes);
        clv_json_put_integer(object, "vector_bytes", facts.vector_bytes);
        return clv_out_json(object);
    }
    char text[CLV_OUT_NUMBER_SIZE];
    struct clv_bytes directory = {0};
    clv_out_safe(&directory, session->directory);
    printf("database  %s (schema %d)\n", directory.data == NULL ? "" : directory.data,
           facts.schema_version);
    clv_bytes_release(&directory);
    printf("videos    %" PRId64 "; %" PRId64 " could not be read, %" PRId64 " missing\n",
           facts.video_count, facts.failed_count, facts.missing_count);
    printf("footage   %s in %" PRId64 " segments\n",
           clv_out_duration(text, (double)facts.footage_ms / 1000), facts.segment_count);
    printf("size      catalog %s", clv_out_size(text, facts.catalog_bytes));
    printf(", vector indexes %s\n", clv_out_size(text, facts.vector_bytes));
    return CLV_OK;
}

static int run_status(const struct clv_cli *cli)
{
    struct clv_session session = {0};
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = print_status(&session);
    if (status == CLV_OK)
        status = clv_session_load_models(&session);
    for (int i = 0; i < session.model_count && status == CLV_OK; i++)
        status = print_model(&session, &session.models[i]);
    clv_session_release(&session);
    return status;
}

const struct clv_command clv_command_status = {
    .name = "status",
    .operands = "",
    .summary = "say what the database holds",
    .description = "Says how much footage the database holds, for which models, and how large it "
                   "is.",
    .example = "claverdb status --json",
    .opts = no_opts,
    .defaults = no_defaults,
    .run = run_status,
};

/* ---- check ---- */

static void print_problem(const char *problem, void *payload)
{
    const struct clv_cli *cli = payload;
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "problem");
        clv_json_put_string(object, "text", problem);
        (void)clv_out_json(object);
        return;
    }
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, problem);
    printf("%s\n", safe.data == NULL ? "" : safe.data);
    clv_bytes_release(&safe);
}

static int run_check(const struct clv_cli *cli)
{
    struct clv_session session = {0};
    int64_t count = 0;
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = clv_store_check(session.store, &count, print_problem, (void *)cli);
    clv_session_release(&session);
    if (status != CLV_OK)
        return status;
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "summary");
        clv_json_put_integer(object, "problems", count);
        status = clv_out_json(object);
        if (status != CLV_OK)
            return status;
    } else if (count == 0) {
        printf("no problems\n");
    } else {
        printf("%" PRId64 " problem%s\n", count, clv_out_plural(count));
    }
    return count == 0 ? CLV_EXIT_OK : CLV_EXIT_NOTHING;
}

const struct clv_command clv_command_check = {
    .name = "check",
    .operands = "",
    .summary = "read everything and report what is wrong",
    .description =
        "Reads the whole database: SQLite's own integrity check, every vector, the order of times, "
        "and whether the vector indexes are what the catalog says. Exit status 1 means that there "
        "are problems; those of a vector index go with 'claverdb rebuild'.",
    .example = "claverdb check && echo clean",
    .opts = no_opts,
    .defaults = no_defaults,
    .run = run_check,
};

/* ---- rebuild ---- */

static int run_rebuild(const struct clv_cli *cli)
{
    struct clv_session session = {0};
    struct clv_store_status facts = {0};
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = clv_store_rebuild(session.store, cli->cancel);
    if (status == CLV_OK)
        status = clv_store_status(session.store, &facts);
    clv_session_release(&session);
    if (status != CLV_OK)
        return status;
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "summary");
        clv_json_put_integer(object, "segments", facts.segment_count);
        clv_json_put_integer(object, "vector_bytes", facts.vector_bytes);
        return clv_out_json(object);
    }
    char size[CLV_OUT_NUMBER_SIZE];
    printf("rebuilt the vector indexes of %" PRId64 " segment%s: %s\n", facts.segment_count,
           clv_out_plural(facts.segment_count), clv_out_size(size, facts.vector_bytes));
    return CLV_OK;
}

const struct clv_command clv_command_rebuild = {
    .name = "rebuild",
    .operands = "",
    .summary = "build the vector indexes anew",
    .description = "Throws the vector indexes away and builds them from the catalog, which holds "
                   "every vector. No footage is read.",
    .example = "claverdb rebuild",
    .opts = no_opts,
    .defaults = no_defaults,
    .run = run_rebuild,
};
