/* What the parts of `eval` share: its settings, the model, and clips going through it. */
#ifndef CLV_CLI_EVAL_H
#define CLV_CLI_EVAL_H

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "indexer/labelled.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_eval_settings {
    const char *data;
    const char *classes;
    struct clv_opt_list prompts;
    const char *pairs;
    const char *group;
    const char *views;
    int64_t shots;
    int64_t seed;
    const char *write_split;
    const char *captions;
    const char *facts;
    const char *match;
    bool indexed;
    bool plain;
    bool scores;
    int64_t frames;
    int64_t readers;
    int decoder; /* enum clv_decoder_kind */
};

struct clv_eval {
    const struct clv_cli *cli;
    const struct clv_eval_settings *settings;
    struct clv_session session;
    struct clv_encoder *encoder;
    struct clv_decoder *decoder; /* NULL: the CPU */
    struct clv_progress progress;
    int view_count, crop_count;
    int clip_count, unread_count; /* of the list, and how many of them could not be read */
};

/* Device and encoder for the session's model, with the branches asked for; with `vision` also what
 * decodes. */
int clv_eval_open_encoder(struct clv_eval *eval, bool vision);
/* How clips are read. */
struct clv_labelled_options clv_eval_reading(const struct clv_eval *eval);

/* Texts as the encoder takes them, one by one: unit features [count, E]. */
int clv_eval_encode_texts(struct clv_eval *eval, float *out, const char *const *texts, int count);
/* Sentences as queries: the mean of the plain templates filled with them, as search asks, or with
 * --plain the sentence alone. Unit features [count, E]. */
int clv_eval_encode_sentences(struct clv_eval *eval, float *out, const char *const *sentences,
                              int count);

/* What clips come to. */
struct clv_eval_clips {
    const struct clv_clips *clips;
    const float *text_features; /* [A, C, E]; NULL: classes are not asked for */
    int prompt_count;           /* A */
    float *scores;              /* [clips, C]: mean probabilities; NULL: not wanted */
    float *vectors;             /* [clips, E] unit; NULL: not wanted */
    bool *is_read;              /* [clips] */
};
/* Reads and encodes all clips. Those that cannot be read are named on stderr (with --json as
 * objects on stdout too) and counted. */
int clv_eval_run_clips(struct clv_eval *eval, const struct clv_eval_clips *clips);

/* The measures; each prints its results. They return an enum clv_exit or a negative status. */
int clv_eval_classes(struct clv_eval *eval);
int clv_eval_retrieval(struct clv_eval *eval);
/* The same against the database instead of clips. */
int clv_eval_index(struct clv_eval *eval);

/* What the last lines of all of them are: which model, how many clips. */
struct clv_json *clv_eval_summary(const struct clv_eval *eval, const char *measure);
/* Which model, as text; `width`: of the first column. */
void clv_eval_print_model(const struct clv_eval *eval, int width);
/* The exit status of a measure that was printed. */
int clv_eval_exit(const struct clv_eval *eval);

#endif
