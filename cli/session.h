/* What most commands begin with: the database, the model, the device. Zero-initialise, open what is
 * needed, release at the end whatever happened. */
#ifndef CLV_CLI_SESSION_H
#define CLV_CLI_SESSION_H

#include "core/compute/device.h"
#include "core/model/model.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_cli;

/* A model whose vectors the database holds. */
struct clv_session_model {
    int64_t id;
    uint8_t digest[CLV_DIGEST_BYTES];
    int dim;
    int frame_count;
    int64_t segment_count;
    int64_t video_count;
    char *name;
    char *path;      /* CLV_MODEL_MINI: built in; "": the built-in one of older versions */
    bool is_default; /* what is used where --model names none */
};

struct clv_session {
    const struct clv_cli *cli;
    char *directory; /* of the database */
    struct clv_store *store;
    struct clv_device *device;
    int frame_count; /* T to be used where the model leaves it free; 0: as indexed before */
    struct clv_model model;
    bool has_model;
    char *model_name;                 /* the open model as the database is to remember it */
    const char *model_label;          /* its base name, or the name it was pulled under */
    int64_t model_id;                 /* in the store; 0: nothing was indexed with this model */
    struct clv_session_model *models; /* in order of id, once loaded */
    int model_count;
};

/* The database that --db names, or the default one. A missing one is CLV_ENOTFOUND with what to do
 * about it, unless it is to be made. */
int clv_session_open_store(struct clv_session *session, const struct clv_cli *cli, bool create);

/* The model that --model names, else the one remembered in the database, else the built-in one. A
 * remembered one whose weights have become others is CLV_EINVAL with what to do about it. Where
 * footage is to be indexed, a built-in model of another version is replaced by this one's, and a
 * warning says once what the built-in one is. Needs the store. */
int clv_session_open_model(struct clv_session *session, bool indexes);
/* The same without a database: the model that --model names, else the built-in one. */
int clv_session_open_model_alone(struct clv_session *session);
/* Sets model_id where the store knows the model, and the model's frame count to what was indexed
 * where it is free: that of the default, else of the newest. */
int clv_session_find_model(struct clv_session *session);
/* The same for a search: CLV_ENOTFOUND with what to do where there are no vectors of the model. */
int clv_session_need_vectors(struct clv_session *session);
/* Adds the model to the store where it is new, *is_beside_out saying that vectors of others are
 * there already; remembers it where the database has no other default. */
int clv_session_put_model(struct clv_session *session, bool *is_beside_out);
/* Makes the open model the default of the database. */
int clv_session_remember_model(struct clv_session *session);

int clv_session_open_device(struct clv_session *session);

void clv_session_release(struct clv_session *session);

/* Fills session->models. */
int clv_session_load_models(struct clv_session *session);
void clv_session_free_models(struct clv_session *session);
/* The model whose segments ls shows: the one --model names, else the default, else the newest; NULL
 * where there is none. Opens no model file. */
int clv_session_shown_model(struct clv_session *session, const struct clv_session_model **out);
/* The model that `text` means, as a person says it: its number, name or path. CLV_ENOTFOUND, or
 * CLV_EINVAL where it means several. Needs loaded models. */
int clv_session_named_model(struct clv_session *session, const struct clv_session_model **out,
                            const char *text);
/* Makes an indexed model the default, without opening it. */
int clv_session_set_default(struct clv_session *session, const struct clv_session_model *model);

/* A pattern as the store takes it of what a person types: a path that exists means itself, or
 * everything under it where it is a folder; anything else is a pattern already. The caller frees;
 * NULL with the message recorded when out of memory. */
char *clv_session_glob(const char *operand);

#endif
