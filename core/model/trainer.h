/* Training as claver.md 2 means it: epochs over a source of clips, validation, checkpoints that
 * resume bit-equal. Knows nothing of files of footage (clips.h) nor of what is shown to people.
 *
 * After clv_trainer_create() nothing is allocated from step to step; clips are read and augmented
 * by one background thread, in an order that depends on the seed only. */
#ifndef CLV_CORE_MODEL_TRAINER_H
#define CLV_CORE_MODEL_TRAINER_H

#include "core/cancel.h"
#include "core/compute/device.h"
#include "core/model/augment.h"
#include "core/model/clips.h"
#include "core/model/config.h"
#include "core/model/learner.h"
#include "core/model/mix.h"
#include "core/model/validate.h"
#include "core/model/weights.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_trainer;
struct clv_tokenizer;

/* How the temporal branch begins where it is new. */
enum clv_temporal_start {
    CLV_TEMPORAL_IDENTITY,  /* its output projections are zero: the model starts as plain CLIP */
    CLV_TEMPORAL_PUBLISHED, /* PyTorch's defaults (claver.md 2.4), which scramble CLIP's features */
};

/* What training starts from. */
struct clv_trainer_start {
    /* The model to train. With a temporal branch set and none in `weights`, a new one is added.
     * vocabulary_size 0: the vocabulary's. */
    const struct clv_model_config *config;
    const struct clv_weights *weights; /* copied; NULL: random parameters. */
    enum clv_temporal_start temporal;  /* of a new branch, alone or in a random model */
    /* Of new embeddings of places in the frame, of time, and of tokens and their places; 0: as
     * published (width^-1/2, .02, .02 and .01). A small model trained from nothing needs about .3
     * to see places at all, and tokens of .3 where few texts would begin alike. Time is added to
     * tokens that the spatial blocks have made large, and needs 1 or more to be seen. */
    float embedding_std, temporal_std, text_std;
    /* A vocabulary file or directory. NULL: the one inside `weights`, or beside their file. It goes
     * into every file that training writes. */
    const char *vocabulary_path;
};

/* A config with a new temporal branch of `layer_count` blocks (0: a third of the visual ones, as
 * published) over T frames. Pixels are cut as CLAVER does then. */
int clv_trainer_add_temporal(struct clv_model_config *config, int layer_count, enum clv_mask mask,
                             int frame_count);

struct clv_trainer_data {
    const struct clv_clips *training;
    const struct clv_clips *validation; /* NULL: none. Its classes are the training's. */
    /* Every text of every class: text of prompt a for class c at [a * C + c]. NULL with
     * prompt_count 0 where clips have sentences only. */
    const char *const *prompts;
    int prompt_count; /* A */
};

/* Start from clv_trainer_defaults and change what is to differ. */
struct clv_trainer_options {
    uint64_t seed;
    int epoch_count;
    int batch_size; /* clips a pass through the model; mixing and captions work within it */
    int accumulate; /* passes a step */
    double warmup_epochs;
    float lr_min_factor; /* of the rate at the end */
    struct clv_learner_step_options step;
    int prompt_slots; /* K prompts drawn a pass, at most A */
    float label_smoothing;
    float caption_share; /* of passes that compare clips with sentences instead of classes; where a
                          * source has only one of the two it is 1 or 0 by itself */
    struct clv_augment_options augment;
    struct clv_mix_options mix;
    bool freeze_text, freeze_image, freeze_temporal;
    float drop_path;
    bool checkpoint;       /* gradient checkpointing: less memory, a third more work */
    int text_batch_max;    /* text tokens in memory at a time; 0: all of a pass, up to 8192 */
    int clip_batch_max;    /* clips in a device's memory at a time; 0: all of its part */
    int prefetch;          /* passes read ahead */
    int validation_epochs; /* between validations; the last epoch always validates; 0: never */
    int save_steps;        /* between checkpoints; at the end of an epoch there is always one */
    int stop_epoch; /* epochs after which the run ends, though the schedule goes on; 0: all */
    /* Devices beside the trainer's own, all of one kind, which share every pass with it: each takes
     * a part of its clips and texts. The same training up to rounding; checkpoints go on on other
     * devices too. They must outlive the trainer; the array is read at once. */
    struct clv_device *const *more_devices;
    int more_device_count;
    /* Where last.safetensors and best.safetensors are written (the directory is made), and
     * model.safetensors when training is done. NULL: nowhere. */
    const char *directory;
    /* Provenance and whatever else the caller wants to find again in the files: their metadata. */
    const struct clv_weight_metadata *metadata;
    size_t metadata_count;
};

/* The published recipe for one machine: 60 epochs, 5 of warm-up, 8 clips a pass, 4 passes a step,
 * seed 3047, K 5, smoothing .1. */
extern const struct clv_trainer_options clv_trainer_defaults;

/* Data and device must outlive the trainer; the rest is copied. Texts are tokenised here, and
 * encoded here where the text branch is frozen. CLV_EINVAL for options or data that make no sense,
 * CLV_ENOTFOUND where no vocabulary is found, CLV_ECORRUPT for weights that do not fit. */
int clv_trainer_create(struct clv_trainer **out, struct clv_device *device,
                       const struct clv_trainer_start *start, const struct clv_trainer_data *data,
                       const struct clv_trainer_options *options);
void clv_trainer_free(struct clv_trainer *trainer);

/* Goes on from a checkpoint that a trainer of the same data and options wrote: what follows is bit
 * for bit what would have followed there. CLV_EINVAL names the first option that differs (only
 * prefetch, save_steps, stop_epoch, the directory, metadata and devices may; on other devices the
 * same holds up to rounding). */
int clv_trainer_resume(struct clv_trainer *trainer, const char *path);

enum clv_trainer_event_kind {
    CLV_TRAINER_STEP,       /* a step was taken */
    CLV_TRAINER_SKIPPED,    /* a clip could not be read: once for each */
    CLV_TRAINER_VALIDATING, /* one more clip validated */
    CLV_TRAINER_EPOCH,      /* an epoch has ended */
    CLV_TRAINER_SAVED,      /* a file was written */
};

struct clv_trainer_event {
    enum clv_trainer_event_kind kind;
    int epoch; /* of this event, from 0 */
    int epoch_count;
    int64_t step, step_count; /* steps taken, and in the whole run */
    /* STEP: of this step; EPOCH: means over the epoch. */
    double loss;
    double lr; /* of the group that is not temporal */
    double gradient_norm;
    double clips_per_s;  /* over the last seconds */
    double seconds_left; /* of the whole run; < 0: not known yet */
    int clip_count;      /* STEP, EPOCH: clips trained on; VALIDATING: in all */
    int done_count;      /* VALIDATING: so far */
    int skipped_count;   /* EPOCH: passes over broken clips; SKIPPED: different ones so far */
    /* SKIPPED. */
    int clip;
    bool is_validation;
    const char *message; /* names the clip and says why */
    /* EPOCH: NULL where this epoch was not validated. Borrowed during the call. */
    const struct clv_validation *validation;
    bool is_best;
    double best; /* top-1, or R@1 where there are no classes; < 0: none yet */
    /* SAVED. */
    const char *path;
};

typedef void clv_trainer_progress(void *payload, const struct clv_trainer_event *event);

/* Trains to the end. On a request to cancel the step in hand is finished, a checkpoint written and
 * CLV_ECANCELED returned; the same trainer may go on afterwards. CLV_ERR where the loss is no
 * finite number: the last checkpoint then stays as it is. CLV_EINVAL where no clip can be read. */
int clv_trainer_run(struct clv_trainer *trainer, clv_trainer_progress *progress, void *payload,
                    struct clv_cancel *cancel);

/* The model as it stands: tensors, vocabulary, metadata; no moments. */
int clv_trainer_save_model(struct clv_trainer *trainer, const char *path);

const struct clv_learner *clv_trainer_learner(const struct clv_trainer *trainer);
const struct clv_model_config *clv_trainer_config(const struct clv_trainer *trainer);
const struct clv_tokenizer *clv_trainer_tokenizer(const struct clv_trainer *trainer);
/* The devices by name, with "; " between them. */
const char *clv_trainer_machine(const struct clv_trainer *trainer);
int64_t clv_trainer_step_count(const struct clv_trainer *trainer); /* in the whole run */
int64_t clv_trainer_steps_taken(const struct clv_trainer *trainer);
/* The epoch after which clv_trainer_run() is done: the last, or stop_epoch where that is before. */
int clv_trainer_end_epoch(const struct clv_trainer *trainer);

/* Validates as an epoch's end does, on any source of the same classes. Pair with
 * clv_validation_release(). */
int clv_trainer_validate(struct clv_trainer *trainer, struct clv_validation *out,
                         const struct clv_clips *clips, struct clv_cancel *cancel);

#endif
