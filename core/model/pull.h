/* From a model's name to a file to open: found in the catalogue, downloaded, verified, imported,
 * and kept in the user's data directory (DATA below):
 *
 *     DATA/models/NAME.safetensors   whole models, ready to open
 *     DATA/vocabulary/FILE           vocabularies that went into them
 *     DATA/downloads/NAME-FILE       what is being downloaded, or was kept */
#ifndef CLV_CORE_MODEL_PULL_H
#define CLV_CORE_MODEL_PULL_H

#include "core/digest.h"
#include "core/model/catalogue.h"
#include "core/model/import.h"

#include <stdbool.h>
#include <stdint.h>

/* True where `name` may be a pulled model's, as clv_catalogue_is_name(). No path is one, unless it
 * is a file name without a folder. */
bool clv_pull_is_name(const char *name);

/* Where the model called `name` lies once it was pulled, whether it was or not. The caller frees.
 * CLV_EINVAL where it can be no model's name. */
int clv_pull_path(char **out, const char *name);
/* The same of anything in the catalogue: a vocabulary lies elsewhere. */
int clv_pull_entry_path(char **out, const struct clv_catalogue_entry *entry);

struct clv_pull_state {
    const char *file;    /* what is being worked on */
    bool is_import;      /* downloaded already */
    int64_t done_bytes;  /* downloaded */
    int64_t total_bytes; /* -1: not known */
};
typedef void clv_pull_progress(const struct clv_pull_state *state, void *payload);

struct clv_pull_options {
    const char *from;   /* the file's own address, or one ending in '/', the file's name to be
                           appended; NULL: the mirrors, and the catalogue's address */
    const char *sha256; /* what the file must be, instead of what the catalogue says; may be NULL */
    const char *mirrors;         /* base addresses parted by blanks, tried in turn; may be NULL */
    bool forces;                 /* pull what is here already */
    bool keeps;                  /* keep the downloaded file */
    struct clv_cancel *cancel;   /* may be NULL */
    clv_pull_progress *progress; /* may be NULL */
    void *payload;
};

/* Zero-initialise; pair with clv_pull_result_release(). */
struct clv_pull_result {
    char *path;                        /* of the model or vocabulary */
    char *download_path;               /* where it was kept, otherwise NULL */
    bool was_here;                     /* nothing had to be done */
    bool is_vouched;                   /* its SHA-256 was known beforehand */
    char sha256[CLV_DIGEST_TEXT_SIZE]; /* of what was downloaded; "" where nothing was */
    struct clv_import_report report;   /* all zero of a vocabulary */
};
void clv_pull_result_release(struct clv_pull_result *result);

/* Pulls `name`, which need not be in the catalogue where `from` says where it is. What broke off is
 * continued the next time. Errors are those of clv_fetch() and clv_import(); CLV_ENOTFOUND where
 * the name is in no list and there is no address, CLV_EBUSY where it is being pulled already. */
int clv_pull(struct clv_pull_result *out, const struct clv_catalogue *catalogue, const char *name,
             const struct clv_pull_options *options);

#endif
