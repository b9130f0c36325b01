/* What the parts of `train` share. */
#ifndef CLV_CLI_TRAIN_H
#define CLV_CLI_TRAIN_H

#include "cli/command.h"
#include "cli/progress.h"
#include "core/bytes.h"
#include "core/model/model.h"
#include "core/model/trainer.h"
#include "indexer/captions.h"
#include "indexer/journal.h"
#include "indexer/labelled.h"
#include "indexer/labels.h"
#include "indexer/report.h"

enum clv_train_mask {
    CLV_TRAIN_MASK_MODEL,
    CLV_TRAIN_MASK_KMT,
    CLV_TRAIN_MASK_KMCT,
    CLV_TRAIN_MASK_JOINT,
    CLV_TRAIN_MASK_NONE
};

struct clv_train_settings {
    /* what it works on */
    const char *data, *classes, *captions, *validation, *validation_captions, *hold_out;
    const char *facts, *validation_facts;
    struct clv_opt_list prompts;
    const char *init, *output, *card;
    bool resume, force;
    /* the recipe */
    int64_t epochs, batch, accumulate, prompt_slots, validate_every, save_every, seed, frames;
    double lr, temporal_factor, warmup, weight_decay, clip_norm, smoothing, mixup, cutmix;
    double flip, jitter, grayscale, drop_path, caption_share;
    bool crop, freeze_text, freeze_image, checkpointing;
    int64_t clips_in_memory, readers, decode_threads;
    int decoder; /* enum clv_decoder_kind */
    /* the model */
    int mask;           /* enum clv_train_mask */
    int temporal_start; /* enum clv_temporal_start */
    int64_t temporal_layers;
    int64_t frame_cache; /* MiB */
    int64_t stop_after;  /* epochs */
    int64_t image, patch, width, layers, heads, text_width, text_layers, embed;
    double embedding_std; /* < 0: what suits */
    double temporal_std;  /* < 0: what suits */
    double text_std;      /* < 0: what suits */
};

/* The recipe as the trainer takes it; without metadata. */
void clv_train_fill_options(struct clv_trainer_options *out,
                            const struct clv_train_settings *settings);

/* The data of a run. Zero-initialise. */
struct clv_train_data {
    struct clv_labels labels, validation_labels;
    bool *held_out;
    struct clv_labelled *training, *validation;        /* the second NULL: none */
    struct clv_captions captions, validation_captions; /* what is true of what */
    struct clv_interpretations interpretations;
    char **prompts;
    int prompt_count;
};

/* What --card's file says of the model, without blanks at its end; NULL where there is none. The
 * caller frees. */
int clv_train_read_card(char **out, const struct clv_train_settings *settings);

int clv_train_open_data(struct clv_train_data *data, const struct clv_train_settings *settings,
                        const struct clv_labelled_options *reading);
void clv_train_release_data(struct clv_train_data *data);

/* The model a run starts from. Zero-initialise. */
struct clv_train_model {
    struct clv_model model; /* where there are weights */
    bool has_model;
    struct clv_model_config config;
    struct clv_trainer_start start;
};

int clv_train_open_model(struct clv_train_model *model, const struct clv_cli *cli);
void clv_train_release_model(struct clv_train_model *model);

/* What is shown and written while it runs. Zero-initialise. */
struct clv_train_show {
    const struct clv_cli *cli;
    const struct clv_train_settings *settings;
    const struct clv_train_data *data;
    struct clv_progress progress;
    struct clv_journal *journal;
    struct clv_trainer_event last; /* STEP or EPOCH; its pointers are not kept */
    double best, begun_s;
    int best_epoch, skipped_count;
    struct clv_validation validation; /* a copy of the last one */
    bool has_validation;
    int status; /* of writing the journal */
};

/* The first line of the journal. */
struct clv_json *clv_train_start_json(const struct clv_train_show *show,
                                      const struct clv_trainer *trainer);
/* A clv_trainer_progress; `payload` is a struct clv_train_show. */
void clv_train_tell(void *payload, const struct clv_trainer_event *event);
/* RUN/report.html. */
int clv_train_report(struct clv_train_show *show, const struct clv_trainer *trainer,
                     bool is_unfinished);
/* What came of it, on standard output. */
int clv_train_summary(const struct clv_train_show *show, const struct clv_trainer *trainer,
                      bool is_unfinished);
void clv_train_release_show(struct clv_train_show *show);

#endif
