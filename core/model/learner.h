/* A model being trained: its parameters, their gradients and AdamW's moments, and the loss of
 * claver.md 2.3 forward and backward through the same passes that serve. Knows nothing of files,
 * clips on disk, schedules or epochs. One learner serves one thread at a time.
 *
 * Every parameter lies in one buffer in order of the parameter table (params.h); gradients and
 * moments in buffers of their own, of the trainable ones only. After creation nothing is
 * allocated. The same calls on as many threads give the same bits. */
#ifndef CLV_CORE_MODEL_LEARNER_H
#define CLV_CORE_MODEL_LEARNER_H

#include "core/compute/device.h"
#include "core/model/config.h"
#include "core/model/encoder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_learner;
struct clv_mix;
struct clv_params;
struct clv_weights;

/* Zeros take the default in brackets. */
struct clv_learner_options {
    bool freeze_text;     /* all but visual.*, logit_scale included */
    bool freeze_image;    /* visual.* but the temporal branch */
    bool freeze_temporal; /* names with "temporal_" in them */
    bool checkpoint;      /* keep each block's input only, and compute its inside again: the same
                           * bits, a third more work, a fraction of the memory */
    float drop_path;      /* rate of the last visual block, rising linearly from 0 at the first;
                           * the temporal stack counts on after the spatial one [0] */
    int frame_count;      /* T where the model leaves it free [config's] */
    int clip_max;         /* B of the largest batch [8] */
    int clip_batch_max;   /* clips a pass, which bounds memory; the same gradients [clip_max] */
    int text_max;         /* texts of the largest batch [256] */
    int text_row_max;     /* their tokens together [text_max * context_length] */
    int text_batch_max;   /* packed tokens a pass; texts that need more passes than one are run
                           * forward twice [text_row_max] */
};

/* Starts from `weights` (copied, any floating-point type), or from zeros where NULL, to be filled
 * with clv_learner_write(). CLV_ECORRUPT names a tensor that is missing or mis-shaped, CLV_EINVAL
 * an option out of range. The device must outlive the learner. */
int clv_learner_create(struct clv_learner **out, struct clv_device *device,
                       const struct clv_model_config *config, const struct clv_weights *weights,
                       const struct clv_learner_options *options);
void clv_learner_free(struct clv_learner *learner);

/* With `frame_count` as settled and `logit_scale` as the parameter stood at creation. */
const struct clv_model_config *clv_learner_config(const struct clv_learner *learner);
/* The parameter table; `trainable` is false for the frozen ones. */
const struct clv_params *clv_learner_params(const struct clv_learner *learner);
/* Device memory held, in bytes: parameters, gradients, moments, activations. */
size_t clv_learner_bytes(const struct clv_learner *learner);
/* Of those, the activations. */
size_t clv_learner_activation_bytes(const struct clv_learner *learner);

/* What clips are compared with. */
enum clv_learner_loss {
    /* Soft cross entropy over the C classes, averaged over clips and prompts (claver.md 2.3). */
    CLV_LOSS_CLASSES,
    /* Text i is clip i's: (cross entropy over captions + cross entropy over clips) / 2. */
    CLV_LOSS_CAPTIONS,
};

/* All arrays are the host's. Texts are either tokens, packed as clv_encoder_text() takes them, or
 * features. For classes they are ordered [A, C]; for captions there is one a clip. */
struct clv_learner_batch {
    enum clv_learner_loss loss;
    int clip_count;             /* B */
    const float *pixels;        /* [B, T, 3, R, R], normalised */
    const uint8_t *squares;     /* [B, T, R*R*3] in place of pixels, worth clv_augment_values() */
    const struct clv_mix *mix;  /* how clip i is mixed with clip B-1-i first; NULL: not */
    int text_count;             /* A*C; B for captions */
    int prompt_count;           /* A, which divides text_count; 0 is 1 */
    const int32_t *ids;         /* tokens of all texts */
    const int32_t *starts;      /* [text_count + 1] */
    const float *text_features; /* [text_count, E] in place of tokens, of any length; only where
                                 * the text is frozen */
    const float *labels;        /* [B, C], soft. For captions [B, B], row i over the captions and
                                 * column j over the clips, or NULL: each its own only */
    float weight;               /* gradients are added times this: 1 / passes accumulated; 0 is 1 */
    uint64_t seed;              /* of drop path; a clip's fate depends on seed and place in batch */
    float *logits_out;          /* [B, A, C] or [B, B]; NULL: not wanted */
};

/* Adds weight * dloss/dparameter to the gradient of every trainable parameter. *loss_out (may be
 * NULL) is the unweighted loss. CLV_EINVAL for a batch larger than the options said, ids outside
 * the vocabulary, texts longer than the context, or features where the text is trained. */
int clv_learner_forward_backward(struct clv_learner *learner, double *loss_out,
                                 const struct clv_learner_batch *batch);

/* The loss and logits alone; no gradient changes, no drop path. */
int clv_learner_forward(struct clv_learner *learner, double *loss_out,
                        const struct clv_learner_batch *batch);

void clv_learner_zero_gradients(struct clv_learner *learner);

/* AdamW. Weight decay goes to parameters whose table entry `decays`. */
struct clv_learner_step_options {
    float lr;
    float lr_temporal_factor; /* times lr for parameters with "temporal_" in their name */
    float beta1, beta2, eps;
    float weight_decay;
    float clip_norm; /* gradients are scaled down to this norm first; 0: never */
};

/* lr 1.2e-5, temporal x10, betas 0.9 and 0.98, eps 1e-8, decay 0.001, no clipping (claver.md 2.4).
 */
extern const struct clv_learner_step_options clv_learner_step_defaults;

/* One step over the accumulated gradients, which stay. *norm_out (may be NULL) is their norm before
 * clipping. CLV_EINVAL where that norm is no finite number: nothing has changed then. */
int clv_learner_step(struct clv_learner *learner, double *norm_out,
                     const struct clv_learner_step_options *options);

/* Steps taken, on which AdamW's bias correction depends. Part of what resuming restores. */
int64_t clv_learner_step_count(const struct clv_learner *learner);
void clv_learner_set_step_count(struct clv_learner *learner, int64_t count);

enum clv_learner_part {
    CLV_LEARNER_VALUE,
    CLV_LEARNER_GRADIENT,
    CLV_LEARNER_MOMENT_1, /* of the gradient */
    CLV_LEARNER_MOMENT_2, /* of its square */
};

/* Copies a part of the parameter `index` of the table to or from the host, all its elements.
 * Frozen parameters have values only: CLV_EINVAL for the rest. Values, moments and the step count
 * together resume training bit-equal. */
int clv_learner_read(const struct clv_learner *learner, float *out, enum clv_learner_part part,
                     size_t index);
int clv_learner_write(struct clv_learner *learner, enum clv_learner_part part, size_t index,
                      const float *values);

/* An encoder over the learner's own parameters, without a copy: what it gives follows every step.
 * Free it before the learner. */
int clv_learner_encoder(struct clv_encoder **out, struct clv_learner *learner,
                        const struct clv_encoder_options *options);

#endif
