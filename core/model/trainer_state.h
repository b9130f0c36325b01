/* A trainer inside. Private to trainer*.c. */
#ifndef CLV_CORE_MODEL_TRAINER_STATE_H
#define CLV_CORE_MODEL_TRAINER_STATE_H

#include "core/bytes.h"
#include "core/digest.h"
#include "core/json.h"
#include "core/model/import_settings.h"
#include "core/model/learners.h"
#include "core/model/loader.h"
#include "core/model/params.h"
#include "core/model/schedule.h"
#include "core/model/texts.h"
#include "core/model/trainer.h"
#include "core/model/vocabulary.h"

/* What changes as training goes on, and with the parameters and moments all that resuming needs. */
struct clv_trainer_state {
    int64_t steps;         /* taken in the whole run, those over broken clips included */
    int64_t epochs_closed; /* validated, reported and saved */
    double best;           /* < 0: none yet */
    double seconds;        /* spent so far */
    /* Of the epoch under way. */
    double loss_sum, norm_sum;
    int64_t loss_count; /* steps in the sums */
    int64_t clip_count;
    int64_t skipped_count;
};

struct clv_trainer {
    char *machine; /* what computes */
    const struct clv_clips *training, *validation;
    struct clv_trainer_options options;
    struct clv_model_config config;
    struct clv_learners *learners; /* one on every device */
    struct clv_learner *learner;   /* the first of them */
    struct clv_encoder *encoder;   /* over its parameters */
    struct clv_tokenizer *tokenizer;
    struct clv_vocabulary_files vocabulary;
    struct clv_loader *loader;
    char *directory;
    char *started_from; /* what the parameters were before: a path, or "random" */

    int prompt_count;           /* A */
    int class_count;            /* C of the classification; 0: captions only */
    struct clv_texts prompts;   /* [A, C] */
    struct clv_texts sentences; /* of the training clips */
    float *prompt_features;     /* [A, C, E]; before every validation, or once where frozen */
    float *sentence_features;   /* [sentences, E], where the text is frozen */
    uint8_t data_digest[CLV_DIGEST_BYTES];

    int64_t passes_an_epoch, steps_an_epoch;
    struct clv_schedule schedule;
    struct clv_trainer_state state;
    bool *is_named[2]; /* of each training, validation clip: its being broken has been told */
    int named_count;

    /* Of one pass. */
    float *labels;    /* [B, C] or [B, B] */
    int32_t *classes; /* [B] */
    int32_t *ids;
    int32_t *starts;
    float *features; /* [texts, E], where the text is frozen */
    int32_t *chosen; /* [texts] indices of prompts or sentences */

    /* Of files written. */
    struct clv_weight_entry *entries; /* values, vocabulary, moments */
    char (*moment_names)[CLV_PARAM_NAME_SIZE + 32];
    size_t model_entry_count, entry_count;
    struct clv_import_settings settings;
    struct clv_weight_metadata *metadata;
    char **metadata_texts; /* copies of the caller's keys and values */
    float *values;         /* room for the largest parameter */

    /* Of one run. */
    clv_trainer_progress *progress;
    void *payload;
    struct clv_cancel *cancel;
    double step_seconds; /* of a step, lately; 0: not known */
    double clips_per_s;
    double run_started, run_seconds_before;
};

/* trainer_options.c */
int clv_trainer_check(const struct clv_trainer_options *options);
/* All that must be the same when training goes on. */
struct clv_json *clv_trainer_options_json(const struct clv_trainer *trainer);
/* CLV_EINVAL naming the first option that `text` has otherwise. */
int clv_trainer_agree(const struct clv_trainer *trainer, const char *text, const char *path);

/* trainer_step.c: the passes of step `state.steps` and the optimiser's step; counts it. */
int clv_trainer_take_step(struct clv_trainer *trainer);

/* trainer_files.c */
int clv_trainer_list_entries(struct clv_trainer *trainer);
void clv_trainer_release_entries(struct clv_trainer *trainer);
/* With everything needed to go on, or the model alone; tells of it. Nothing where there is no
 * directory. */
int clv_trainer_save(struct clv_trainer *trainer, const char *name, bool is_checkpoint);

/* trainer_run.c */
void clv_trainer_tell(struct clv_trainer *trainer, struct clv_trainer_event *event);
/* Of all prompts, as the parameters are now. */
int clv_trainer_encode_prompts(struct clv_trainer *trainer);
/* Where texts are frozen: of all of them, once for all. */
int clv_trainer_encode_frozen(struct clv_trainer *trainer);
double clv_trainer_seconds(const struct clv_trainer *trainer);

#endif
