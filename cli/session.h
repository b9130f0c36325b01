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

struct clv_session {
    const struct clv_cli *cli;
    char *directory; /* of the database */
    struct clv_store *store;
    struct clv_device *device;
    struct clv_model model;
    bool has_model;
    int64_t model_id; /* in the store; 0: nothing was indexed with this model */
};

/* The database that --db names, or the default one. A missing one is CLV_ENOTFOUND with what to do
 * about it, unless it is to be made. */
int clv_session_open_store(struct clv_session *session, const struct clv_cli *cli, bool create);

/* The model that --model names, else the one remembered in the database, else the built-in
 * placeholder, with a warning on stderr that text means nothing to it, where `warns`. Needs the
 * store. */
int clv_session_open_model(struct clv_session *session, bool warns);
/* Sets model_id where the store knows the model. */
int clv_session_find_model(struct clv_session *session);
/* Adds the model to the store where it is new, and remembers where it lies. */
int clv_session_put_model(struct clv_session *session);

int clv_session_open_device(struct clv_session *session);

void clv_session_release(struct clv_session *session);

/* The model whose segments status and ls show: the one --model names, else the remembered one, else
 * the newest in the store; all zero where there is none. Opens no model file. */
struct clv_session_model {
    int64_t id;
    int dim;
};
int clv_session_shown_model(struct clv_session *session, struct clv_session_model *out);

/* A pattern as the store takes it of what a person types: a path that exists means itself, or
 * everything under it where it is a folder; anything else is a pattern already. The caller frees;
 * NULL with the message recorded when out of memory. */
char *clv_session_glob(const char *operand);

#endif
