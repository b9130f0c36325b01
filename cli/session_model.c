/* Which model a command works with, and that an index never meets another one's vectors. */
#include "cli/command.h"
#include "cli/naming.h"
#include "cli/out.h"
#include "cli/session.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was named: an absolute path, a pulled model's name, or CLV_MODEL_MINI. Nothing where there
 * is no default, and in databases of versions whose built-in model was a placeholder. */
static const char setting_model[] = "model";
static const char setting_vocab[] = "vocab";
/* The default's number in the store. */
static const char setting_id[] = "model_id";

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

/* ---- what the store has ---- */

void clv_session_free_models(struct clv_session *session)
{
    for (int i = 0; i < session->model_count; i++) {
        free(session->models[i].name);
        free(session->models[i].path);
    }
    free(session->models);
    session->models = NULL;
    session->model_count = 0;
}

static int add_model(const struct clv_model_row *row, void *payload)
{
    struct clv_session *session = payload;
    size_t count = (size_t)session->model_count;
    struct clv_session_model *grown =
        realloc(session->models, (count + 1) * sizeof *session->models);
    if (grown == NULL)
        return clv_fail_memory("the models");
    session->models = grown;
    struct clv_session_model *model = &grown[count];
    *model = (struct clv_session_model){
        .id = row->id,
        .dim = row->dim,
        .frame_count = row->frame_count,
        .segment_count = row->segment_count,
        .video_count = row->video_count,
        .name = strdup(row->name),
        .path = strdup(row->path),
    };
    memcpy(model->digest, row->digest, CLV_DIGEST_BYTES);
    session->model_count++;
    return model->name == NULL || model->path == NULL ? clv_fail_memory("the models") : CLV_OK;
}

static struct clv_session_model *find_id(struct clv_session *session, int64_t id)
{
    for (int i = 0; i < session->model_count; i++) {
        if (session->models[i].id == id)
            return &session->models[i];
    }
    return NULL;
}

int clv_session_load_models(struct clv_session *session)
{
    char *number = NULL;
    char *name = NULL;
    clv_session_free_models(session);
    int status = clv_store_models(session->store, add_model, session);
    if (status == CLV_OK)
        status = get_setting(session, &number, setting_id);
    if (status == CLV_OK)
        status = get_setting(session, &name, setting_model);
    struct clv_session_model *model = NULL;
    if (status == CLV_OK && number != NULL)
        model = find_id(session, strtoll(number, NULL, 10));
    /* A database that remembers no number: the newest that was opened from there. */
    for (int i = session->model_count; status == CLV_OK && model == NULL && i-- > 0;) {
        if (strcmp(session->models[i].path, name == NULL ? "" : name) == 0)
            model = &session->models[i];
    }
    if (model != NULL)
        model->is_default = true;
    free(number);
    free(name);
    return status;
}

static const struct clv_session_model *default_model(const struct clv_session *session)
{
    for (int i = 0; i < session->model_count; i++) {
        if (session->models[i].is_default)
            return &session->models[i];
    }
    return NULL;
}

/* The default, else the newest that has vectors, else the newest of those at `path` (NULL: of
 * all). */
static const struct clv_session_model *best_at(const struct clv_session *session, const char *path)
{
    const struct clv_session_model *best = NULL;
    for (int i = 0; i < session->model_count; i++) {
        const struct clv_session_model *model = &session->models[i];
        if (path != NULL && strcmp(model->path, path) != 0)
            continue;
        if (model->is_default)
            return model;
        if (best == NULL || best->segment_count == 0 || model->segment_count > 0)
            best = model;
    }
    return best;
}

int clv_session_shown_model(struct clv_session *session, const struct clv_session_model **out)
{
    const char *named = session->cli->flags.model;
    *out = NULL;
    int status = session->models == NULL ? clv_session_load_models(session) : CLV_OK;
    if (status != CLV_OK)
        return status;
    if (named == NULL) {
        *out = best_at(session, NULL);
        return CLV_OK;
    }
    char *path = NULL;
    status = clv_model_is_mini(named) ? CLV_OK : clv_naming_path(&path, NULL, named);
    if (status == CLV_OK)
        *out = best_at(session, path == NULL ? CLV_MODEL_MINI : path);
    if (status == CLV_OK && *out == NULL)
        status = clv_fail(CLV_ENOTFOUND, "nothing in '%s' was indexed with the model '%s'",
                          session->directory, named);
    free(path);
    return status;
}

/* True where `text` is the model's number, its name, or the path it was opened from. The built-in
 * model's names are its alone. */
static bool is_called(const struct clv_session_model *model, const char *text, const char *path)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, model->id);
    if (clv_model_is_mini(text))
        return strcmp(model->path, CLV_MODEL_MINI) == 0;
    return strcmp(text, number) == 0 || strcmp(text, model->name) == 0 ||
           (model->path[0] != '\0' && strcmp(path, model->path) == 0);
}

int clv_session_named_model(struct clv_session *session, const struct clv_session_model **out,
                            const char *text)
{
    char *path = NULL;
    int count = 0;
    *out = NULL;
    /* A file that is gone is called by the path that status shows. */
    if (clv_path_absolute(&path, text) != CLV_OK)
        clv_error_clear();
    for (int i = 0; i < session->model_count; i++) {
        if (!is_called(&session->models[i], text, path == NULL ? text : path))
            continue;
        *out = &session->models[i];
        count++;
    }
    free(path);
    if (count == 0)
        return clv_fail(CLV_ENOTFOUND,
                        "'%s' has no vectors of a model '%s'; claverdb status "
                        "lists the models",
                        session->directory, text);
    if (count > 1)
        return clv_fail(CLV_EINVAL,
                        "%d models of '%s' are called '%s'; give the number that claverdb status "
                        "shows",
                        count, session->directory, text);
    return CLV_OK;
}

/* ---- opening ---- */

static int open_mini(struct clv_session *session, const struct clv_model_options *options)
{
    int status = clv_model_open_mini(&session->model, options);
    session->has_model = status == CLV_OK;
    session->model_label = CLV_MODEL_MINI;
    if (status == CLV_OK && (session->model_name = strdup(CLV_MODEL_MINI)) == NULL)
        status = clv_fail_memory("a model's name");
    return status;
}

/* Opens what `name` means; its path and name are kept. */
static int open_named(struct clv_session *session, const char *name, const char *vocab)
{
    struct clv_model_options options = {.vocabulary_path = vocab,
                                        .frame_count = session->frame_count};
    char *path = NULL;
    bool is_pulled = false;
    if (clv_model_is_mini(name))
        return open_mini(session, &options);
    int status = clv_naming_path(&path, &is_pulled, name);
    if (status != CLV_OK)
        return status;
    status = clv_model_open(&session->model, path, &options);
    session->has_model = status == CLV_OK;
    if (status == CLV_OK && is_pulled) {
        session->model_name = strdup(name);
        if (session->model_name == NULL)
            status = clv_fail_memory("a model's name");
        free(path);
    } else {
        session->model_name = path;
    }
    if (status == CLV_OK)
        session->model_label = clv_path_base(session->model_name);
    return status;
}

static int changed_weights(const char *name, const char *path)
{
    return clv_fail(CLV_EINVAL,
                    "'%s' is no longer the model that this index was made with; put that one "
                    "back, name it with --model, or run claverdb index --model '%s' PATH… to "
                    "add vectors of the new one",
                    path, name);
}

/* The built-in model of the version that made the index is gone with that version. */
static int other_version(const struct clv_session *session, const char *name)
{
    return clv_fail(CLV_EINVAL,
                    "'%s' was indexed with the %s of another version of claverdb, which this one "
                    "does not have; run claverdb index PATH… to index the footage again with '%s' "
                    "(or name a model with --model)",
                    session->directory, name, CLV_MODEL_MINI);
}

static bool is_unchanged(const struct clv_session *session)
{
    const struct clv_session_model *model = default_model(session);
    return model == NULL || (memcmp(model->digest, session->model.digest, CLV_DIGEST_BYTES) == 0 &&
                             model->dim == session->model.config.embed_dim);
}

/* The remembered model, of which the database says that it is called `name`. What lies there must
 * still be that model. */
static int open_remembered(struct clv_session *session, const char *name, const char *vocab)
{
    if (name[0] == '/' && !clv_file_exists(name))
        return clv_fail(CLV_ENOTFOUND,
                        "the model of this database is no longer at '%s'; name it with --model",
                        name);
    int status = open_named(session, name, vocab);
    if (status == CLV_OK && !is_unchanged(session))
        status = changed_weights(session->model_name, session->model.path);
    return status;
}

/* The built-in one, which the database remembers, or which is used because nothing is. */
static int open_default(struct clv_session *session, bool is_remembered, const char *vocab,
                        bool indexes)
{
    const struct clv_session_model *before = default_model(session);
    struct clv_model_options options = {.vocabulary_path = vocab,
                                        .frame_count = session->frame_count};
    bool is_first = before == NULL || before->segment_count == 0;
    int status = open_mini(session, &options);
    if (status != CLV_OK)
        return status;
    if (!indexes && !is_first && !is_unchanged(session))
        return other_version(session, before->name);
    if (indexes && !session->cli->flags.quiet && (is_first || !is_remembered))
        clv_out_warning("no model was named (--model), so the built-in claver-mini is used, which "
                        "was trained on animated scenes and not on filmed reality; for real "
                        "footage, claverdb model pull fetches better ones (claverdb model list)");
    return CLV_OK;
}

/* True where --model means what is remembered anyway. */
static bool means_remembered(const char *named, const char *remembered)
{
    char *path = NULL;
    bool is_pulled = false;
    bool same = false;
    if (remembered == NULL)
        return false;
    if (clv_model_is_mini(named))
        return strcmp(remembered, CLV_MODEL_MINI) == 0;
    if (clv_naming_path(&path, &is_pulled, named) == CLV_OK)
        same = strcmp(is_pulled ? named : path, remembered) == 0;
    else
        clv_error_clear();
    free(path);
    return same;
}

int clv_session_open_model(struct clv_session *session, bool indexes)
{
    const struct clv_globals *flags = &session->cli->flags;
    char *remembered = NULL;
    char *vocab = NULL;
    int status = clv_session_load_models(session);
    if (status == CLV_OK)
        status = get_setting(session, &remembered, setting_model);
    if (status == CLV_OK)
        status = get_setting(session, &vocab, setting_vocab);
    if (status != CLV_OK)
        goto done;
    const char *vocabulary = flags->vocab;
    if (vocabulary == NULL && (flags->model == NULL || means_remembered(flags->model, remembered)))
        vocabulary = vocab;
    if (flags->model != NULL)
        status = open_named(session, flags->model, vocabulary);
    else if (remembered != NULL && strcmp(remembered, CLV_MODEL_MINI) != 0)
        status = open_remembered(session, remembered, vocabulary);
    else
        status = open_default(session, remembered != NULL, vocabulary, indexes);
done:
    free(remembered);
    free(vocab);
    return status;
}

int clv_session_open_model_alone(struct clv_session *session)
{
    const struct clv_globals *flags = &session->cli->flags;
    return open_named(session, flags->model != NULL ? flags->model : CLV_MODEL_MINI, flags->vocab);
}

/* ---- which vectors are its own ---- */

int clv_session_find_model(struct clv_session *session)
{
    struct clv_model *model = &session->model;
    const struct clv_session_model *best = NULL;
    bool is_free = model->config.temporal.width == 0;
    int frame_count = is_free ? session->frame_count : model->config.frame_count;
    session->model_id = 0;
    for (int i = 0; i < session->model_count; i++) {
        const struct clv_session_model *row = &session->models[i];
        if (memcmp(row->digest, model->digest, CLV_DIGEST_BYTES) != 0 ||
            row->dim != model->config.embed_dim ||
            (frame_count != 0 && row->frame_count != frame_count))
            continue;
        if (best == NULL || row->is_default ||
            (!best->is_default && (best->segment_count == 0 || row->segment_count > 0)))
            best = row;
    }
    if (best != NULL) {
        session->model_id = best->id;
        model->config.frame_count = best->frame_count;
    }
    return CLV_OK;
}

/* What a search says where the model has no vectors while others have. */
static int no_vectors(const struct clv_session *session)
{
    const char *name = session->model_name;
    for (int i = 0; i < session->model_count; i++) {
        if (session->models[i].segment_count > 0 &&
            strcmp(session->models[i].path, session->model.path) == 0)
            return session->model.is_builtin ? other_version(session, name)
                                             : changed_weights(name, session->model.path);
    }
    return clv_fail(CLV_ENOTFOUND,
                    "nothing in '%s' was indexed with the model '%s'; claverdb index --model '%s' "
                    "PATH… adds its vectors, and claverdb status lists the models that have some",
                    session->directory, name, name);
}

int clv_session_need_vectors(struct clv_session *session)
{
    int status = clv_session_find_model(session);
    if (status != CLV_OK)
        return status;
    int64_t own_count = 0;
    int64_t all_count = 0;
    for (int i = 0; i < session->model_count; i++) {
        all_count += session->models[i].segment_count;
        if (session->models[i].id == session->model_id)
            own_count = session->models[i].segment_count;
    }
    if (own_count == 0 && all_count > 0)
        return no_vectors(session);
    if (session->model_id == 0)
        return clv_fail(CLV_ENOTFOUND,
                        "nothing has been indexed in '%s'; run claverdb index PATH… first",
                        session->directory);
    return CLV_OK;
}

/* ---- remembering ---- */

static int remember(struct clv_session *session, int64_t id, const char *name, const char *vocab)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, id);
    int status = clv_store_setting_put(session->store, setting_id, number);
    if (status == CLV_OK)
        status = clv_store_setting_put(session->store, setting_model, name == NULL ? "" : name);
    if (status == CLV_OK && vocab != NULL)
        status = clv_store_setting_put(session->store, setting_vocab, vocab);
    return status;
}

int clv_session_remember_model(struct clv_session *session)
{
    char *vocab = NULL;
    char *before = NULL;
    const char *flag = session->cli->flags.vocab;
    int status = get_setting(session, &before, setting_model);
    if (status == CLV_OK && flag != NULL)
        status = clv_path_absolute(&vocab, flag);
    /* A vocabulary belongs to the model it was named with: a new model forgets the old one's. */
    bool is_same =
        before != NULL && session->model_name != NULL && strcmp(before, session->model_name) == 0;
    if (status == CLV_OK)
        status = remember(session, session->model_id, session->model_name,
                          vocab != NULL ? vocab
                          : is_same     ? NULL
                                        : "");
    free(vocab);
    free(before);
    return status;
}

int clv_session_put_model(struct clv_session *session, bool *is_beside_out)
{
    const struct clv_model *model = &session->model;
    const struct clv_session_model *before = default_model(session);
    bool is_first = before == NULL || before->segment_count == 0;
    int status = clv_session_find_model(session);
    if (status != CLV_OK)
        return status;
    bool has_own = false;
    bool has_others = false;
    for (int i = 0; i < session->model_count; i++) {
        bool has_vectors = session->models[i].segment_count > 0;
        if (session->models[i].id == session->model_id)
            has_own = has_vectors;
        else
            has_others = has_others || has_vectors;
    }
    *is_beside_out = has_others && !has_own;
    struct clv_model_row row = {
        .name = session->model_label,
        .path = model->path,
        .dim = model->config.embed_dim,
        .frame_count = model->config.frame_count,
    };
    memcpy(row.digest, model->digest, CLV_DIGEST_BYTES);
    status = clv_store_model_put(session->store, &row);
    session->model_id = row.id;
    /* Other vectors stay what is searched until there are some of this model. */
    return status == CLV_OK && is_first ? clv_session_remember_model(session) : status;
}

int clv_session_set_default(struct clv_session *session, const struct clv_session_model *model)
{
    return remember(session, model->id, model->path, "");
}
