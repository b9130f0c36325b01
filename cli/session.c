#include "cli/session.h"

#include "cli/command.h"
#include "cli/out.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"

#include <stdlib.h>
#include <string.h>

static const char setting_model[] = "model";
static const char setting_vocab[] = "vocab";

static int find_directory(struct clv_session *session)
{
    if (session->cli->flags.db != NULL) {
        session->directory = strdup(session->cli->flags.db);
        return session->directory == NULL ? clv_fail_memory("the database's path") : CLV_OK;
    }
    char *home = NULL;
    int status = clv_path_data_home(&home);
    if (status != CLV_OK)
        return clv_fail(CLV_ENOTFOUND,
                        "neither XDG_DATA_HOME nor HOME is set; name the database with --db");
    session->directory = clv_path_join(home, "db");
    free(home);
    return session->directory == NULL ? CLV_ENOMEM : CLV_OK;
}

int clv_session_open_store(struct clv_session *session, const struct clv_cli *cli, bool create)
{
    session->cli = cli;
    int status = find_directory(session);
    if (status != CLV_OK)
        return status;
    struct clv_store_options options = {.create = create};
    status = clv_store_open(&session->store, session->directory, &options);
    if (status == CLV_ENOTFOUND && !create)
        return clv_fail(CLV_ENOTFOUND,
                        "no database at '%s'; run claverdb index first, or name "
                        "another with --db",
                        session->directory);
    return status;
}

int clv_session_open_device(struct clv_session *session)
{
    struct clv_device_options options = {.thread_count = (int)session->cli->flags.threads};
    return clv_device_open(&session->device, &options);
}

/* ---- models ---- */

/* "out" stays NULL where the setting is absent or empty. */
static int get_setting(struct clv_session *session, char **out, const char *key)
{
    int status = clv_store_setting_get(session->store, out, key);
    if (status == CLV_OK && *out != NULL && (*out)[0] == '\0') {
        free(*out);
        *out = NULL;
    }
    return status;
}

static int open_placeholder(struct clv_session *session, bool warns)
{
    int status = clv_model_open_placeholder(&session->model);
    session->has_model = status == CLV_OK;
    if (status == CLV_OK && warns && !session->cli->flags.quiet)
        clv_out_warning("no model was named (--model FILE), so the built-in placeholder is used: "
                        "its scores of text mean nothing, --like finds what looks alike");
    return status;
}

static int open_file(struct clv_session *session, const char *path, const char *vocab)
{
    struct clv_model_options options = {.vocabulary_path = vocab};
    int status = clv_model_open(&session->model, path, &options);
    session->has_model = status == CLV_OK;
    return status;
}

int clv_session_open_model(struct clv_session *session, bool warns)
{
    const struct clv_globals *flags = &session->cli->flags;
    if (flags->model != NULL)
        return open_file(session, flags->model, flags->vocab);
    char *path = NULL;
    char *vocab = NULL;
    int status = get_setting(session, &path, setting_model);
    if (status == CLV_OK)
        status = get_setting(session, &vocab, setting_vocab);
    if (status != CLV_OK)
        goto done;
    if (path == NULL)
        status = open_placeholder(session, warns);
    else if (!clv_file_exists(path))
        status =
            clv_fail(CLV_ENOTFOUND,
                     "the model of this database is no longer at '%s'; name it with --model", path);
    else
        status = open_file(session, path, flags->vocab != NULL ? flags->vocab : vocab);
done:
    free(path);
    free(vocab);
    return status;
}

/* The row whose digest is that of the open model. */
static int match_digest(const struct clv_model_row *row, void *payload)
{
    struct clv_session *session = payload;
    const struct clv_model *model = &session->model;
    if (memcmp(row->digest, model->digest, CLV_DIGEST_BYTES) == 0 &&
        row->dim == model->config.embed_dim && row->frame_count == model->config.frame_count)
        session->model_id = row->id;
    return CLV_OK;
}

int clv_session_find_model(struct clv_session *session)
{
    session->model_id = 0;
    return clv_store_models(session->store, match_digest, session);
}

int clv_session_put_model(struct clv_session *session)
{
    struct clv_model *model = &session->model;
    char *path = NULL;
    char *vocab = NULL;
    int status = CLV_OK;
    if (!model->is_placeholder)
        status = clv_path_absolute(&path, model->path);
    if (status == CLV_OK && session->cli->flags.vocab != NULL)
        status = clv_path_absolute(&vocab, session->cli->flags.vocab);
    if (status != CLV_OK)
        goto done;
    struct clv_model_row row = {
        .name = model->is_placeholder ? "built-in placeholder" : clv_path_base(path),
        .path = model->is_placeholder ? "" : path,
        .dim = model->config.embed_dim,
        .frame_count = model->config.frame_count,
    };
    memcpy(row.digest, model->digest, CLV_DIGEST_BYTES);
    status = clv_store_model_put(session->store, &row);
    session->model_id = row.id;
    if (status == CLV_OK && path != NULL)
        status = clv_store_setting_put(session->store, setting_model, path);
    /* A vocabulary belongs to the model it was named with: a new model forgets the old one's. */
    if (status == CLV_OK && (vocab != NULL || session->cli->flags.model != NULL))
        status = clv_store_setting_put(session->store, setting_vocab, vocab == NULL ? "" : vocab);
done:
    free(path);
    free(vocab);
    return status;
}

struct shown_search {
    const char *path; /* NULL: any */
    struct clv_session_model found, newest;
};

static int match_path(const struct clv_model_row *row, void *payload)
{
    struct shown_search *search = payload;
    struct clv_session_model model = {.id = row->id, .dim = row->dim};
    if (row->segment_count > 0 || search->newest.id == 0)
        search->newest = model;
    if (search->path != NULL && strcmp(row->path, search->path) == 0)
        search->found = model;
    return CLV_OK;
}

int clv_session_shown_model(struct clv_session *session, struct clv_session_model *out)
{
    const char *named = session->cli->flags.model;
    char *path = NULL;
    *out = (struct clv_session_model){0};
    int status = named != NULL ? clv_path_absolute(&path, named)
                               : get_setting(session, &path, setting_model);
    struct shown_search search = {.path = path};
    if (status == CLV_OK)
        status = clv_store_models(session->store, match_path, &search);
    if (status == CLV_OK && named != NULL && search.found.id == 0)
        status = clv_fail(CLV_ENOTFOUND, "nothing in '%s' was indexed with the model '%s'",
                          session->directory, named);
    if (status == CLV_OK)
        *out = search.found.id != 0 ? search.found : search.newest;
    free(path);
    return status;
}

/* `path` with what a pattern would take for its own made literal. */
static void add_literal(struct clv_bytes *out, const char *path)
{
    for (; *path != '\0'; path++) {
        if (strchr("*?[", *path) != NULL)
            clv_bytes_format(out, "[%c]", *path);
        else
            clv_bytes_add(out, path, 1);
    }
}

char *clv_session_glob(const char *operand)
{
    struct clv_bytes pattern = {0};
    struct clv_file_facts facts;
    char *absolute = NULL;
    if (clv_path_absolute(&absolute, operand) == CLV_OK &&
        clv_file_facts(&facts, absolute) == CLV_OK) {
        add_literal(&pattern, absolute);
        if (facts.is_directory)
            clv_bytes_text(&pattern, strcmp(absolute, "/") == 0 ? "*" : "/*");
    } else {
        clv_error_clear();
        clv_bytes_text(&pattern, operand + (strncmp(operand, "./", 2) == 0 ? 2 : 0));
    }
    free(absolute);
    if (pattern.status != CLV_OK || pattern.data == NULL) {
        clv_bytes_release(&pattern);
        clv_fail_memory("a pattern");
        return NULL;
    }
    return pattern.data;
}

void clv_session_release(struct clv_session *session)
{
    if (session->has_model)
        clv_model_release(&session->model);
    clv_device_close(session->device);
    clv_store_close(session->store);
    free(session->directory);
}
