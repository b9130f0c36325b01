/* `forget`: videos, or one model's vectors, out of the database. */
#include "cli/command.h"
#include "cli/out.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *vectors_of;
};

static const struct settings defaults = {0};
static const struct clv_opt opts[] = {
    {.name = "vectors-of",
     .kind = CLV_OPT_STRING,
     .offset = offsetof(struct settings, vectors_of),
     .value_name = "MODEL",
     .help = "drop all vectors of this model instead, named by its number, name or path as status "
             "shows them; the videos stay"},
    {.name = NULL},
};

/* ---- videos ---- */

struct forgetting {
    const struct clv_cli *cli;
    struct clv_store *store;
    int64_t video_count;
    int64_t segment_count;
};

static int forget_video(const struct clv_video_row *row, void *payload)
{
    struct forgetting *forgetting = payload;
    if (clv_cancelled(forgetting->cli->cancel))
        return clv_fail(CLV_ECANCELED, "interrupted");
    int status = clv_store_video_forget(forgetting->store, row->id);
    if (status != CLV_OK)
        return status;
    forgetting->video_count++;
    forgetting->segment_count += row->segment_count;
    if (forgetting->cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "forgotten");
        clv_json_put_string(object, "path", row->path);
        clv_json_put_integer(object, "segments", row->segment_count);
        return clv_out_json(object);
    }
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, row->path);
    printf("forgot %s\n", safe.data == NULL ? "" : safe.data);
    clv_bytes_release(&safe);
    return CLV_OK;
}

static int forget_operand(struct forgetting *forgetting, const char *operand, int64_t model_id)
{
    char *glob = clv_session_glob(operand);
    if (glob == NULL)
        return CLV_ENOMEM;
    int64_t before = forgetting->video_count;
    int status = clv_store_videos(forgetting->store, glob, model_id, forget_video, forgetting);
    free(glob);
    if (status == CLV_OK && forgetting->video_count == before)
        return clv_fail(CLV_ENOTFOUND, "no video of the database matches '%s'", operand);
    return status;
}

static int forget_videos(const struct clv_cli *cli)
{
    struct clv_session session = {0};
    const struct clv_session_model *model = NULL;
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = clv_session_shown_model(&session, &model);
    struct forgetting forgetting = {.cli = cli, .store = session.store};
    for (int i = 0; i < cli->operand_count && status == CLV_OK; i++)
        status = forget_operand(&forgetting, cli->operands[i], model == NULL ? 0 : model->id);
    if (status == CLV_OK)
        status = clv_store_refresh(session.store, cli->cancel);
    clv_session_release(&session);
    if (status != CLV_OK)
        return status;
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "summary");
        clv_json_put_integer(object, "videos", forgetting.video_count);
        clv_json_put_integer(object, "segments", forgetting.segment_count);
        return clv_out_json(object);
    }
    printf("forgot %" PRId64 " video%s with %" PRId64 " segment%s; no file was touched\n",
           forgetting.video_count, clv_out_plural(forgetting.video_count), forgetting.segment_count,
           clv_out_plural(forgetting.segment_count));
    return CLV_OK;
}

/* ---- one model's vectors ---- */

/* The newest other model that has vectors; NULL where there is none. */
static const struct clv_session_model *next_default(const struct clv_session *session,
                                                    const struct clv_session_model *dropped)
{
    for (int i = session->model_count; i-- > 0;) {
        if (&session->models[i] != dropped && session->models[i].segment_count > 0)
            return &session->models[i];
    }
    return NULL;
}

static const char *label(const struct clv_session_model *model)
{
    return model->path[0] != '\0' ? model->path : model->name;
}

static int print_dropped(const struct clv_cli *cli, const struct clv_session_model *model,
                         const struct clv_session_model *next)
{
    if (cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "summary");
        clv_json_put_integer(object, "model_id", model->id);
        clv_json_put_string(object, "model", label(model));
        clv_json_put_integer(object, "videos", 0);
        clv_json_put_integer(object, "segments", model->segment_count);
        if (next != NULL)
            clv_json_put_string(object, "default", label(next));
        return clv_out_json(object);
    }
    struct clv_bytes name = {0};
    clv_out_safe(&name, label(model));
    printf("forgot %" PRId64 " segment%s of %s; no file was touched\n", model->segment_count,
           clv_out_plural(model->segment_count), name.data == NULL ? "" : name.data);
    clv_bytes_clear(&name);
    if (next != NULL) {
        clv_out_safe(&name, label(next));
        printf("searches use the vectors of '%s'\n", name.data == NULL ? "" : name.data);
    }
    clv_bytes_release(&name);
    return CLV_OK;
}

static int forget_vectors(const struct clv_cli *cli, const char *named)
{
    struct clv_session session = {0};
    const struct clv_session_model *model = NULL;
    const struct clv_session_model *next = NULL;
    int status = clv_session_open_store(&session, cli, false);
    if (status == CLV_OK)
        status = clv_session_load_models(&session);
    if (status == CLV_OK)
        status = clv_session_named_model(&session, &model, named);
    if (status == CLV_OK && model->is_default)
        next = next_default(&session, model);
    /* First, so that a kill in between leaves a default that has vectors. */
    if (status == CLV_OK && next != NULL)
        status = clv_session_set_default(&session, next);
    if (status == CLV_OK)
        status = clv_store_model_forget(session.store, model->id);
    if (status == CLV_OK)
        status = clv_store_refresh(session.store, cli->cancel);
    if (status == CLV_OK)
        status = print_dropped(cli, model, next);
    clv_session_release(&session);
    return status;
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    if (settings->vectors_of != NULL && cli->operand_count > 0)
        return clv_fail(CLV_EINVAL,
                        "--vectors-of drops the vectors of every video; it takes no "
                        "'%s'",
                        cli->operands[0]);
    if (settings->vectors_of != NULL)
        return forget_vectors(cli, settings->vectors_of);
    if (cli->operand_count == 0)
        return clv_fail(CLV_EINVAL, "'forget' needs more operands: claverdb forget PATH|GLOB…");
    return forget_videos(cli);
}

const struct clv_command clv_command_forget = {
    .name = "forget",
    .operands = "PATH|GLOB…",
    .summary = "drop videos, or a model's vectors, from the database",
    .description = "Drops the videos that match, or that lie under the folder given, with their "
                   "segments and vectors for every model. Files are never touched. Does not ask.",
    .example = "claverdb forget ~/footage/old\n"
               "claverdb forget '*/cam3/2023-*'\n"
               "claverdb forget --vectors-of 1",
    .operand_min = 0,
    .operand_max = -1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
