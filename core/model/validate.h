/* How well an encoder tells clips apart: by a closed list of classes, or by their sentences. */
#ifndef CLV_CORE_MODEL_VALIDATE_H
#define CLV_CORE_MODEL_VALIDATE_H

#include "core/cancel.h"
#include "core/model/clips.h"
#include "core/model/encoder.h"

#include <stdint.h>

#define CLV_MISTAKE_MAX 32

struct clv_mistake {
    int clip;
    int32_t truth, predicted;
    float truth_probability, predicted_probability;
};

struct clv_validation {
    int clip_count;    /* read */
    int skipped_count; /* broken */
    /* By classes: softmax over the classes for each prompt, averaged over prompts, summed over
     * views. Zero, and no confusion, where the source has none. */
    double top1, top5; /* shares */
    double loss;       /* mean of -log of the truth's averaged probability */
    /* Clips whose class has an opposite, and the share of them that score higher as what they are
     * than as that. */
    int pair_count;
    double pair_accuracy;
    int class_count;
    int64_t *confusion; /* [C, C], row: truth, column: predicted */
    /* The most confident wrong answers, worst first. */
    struct clv_mistake mistakes[CLV_MISTAKE_MAX];
    int mistake_count;
    /* By sentences, each clip's first one against all clips: a hit is a clip it is true of. Zero
     * where the source has none. */
    double recall1, recall5, recall10;
    double median_rank; /* of the first hit; 1 is best */
    int sentence_count;
};

/* Called after every clip; `message` is NULL, or says why the clip could not be read. */
typedef void clv_validate_progress(void *payload, int clip, int done_count, int clip_count,
                                   const char *message);

struct clv_validate_options {
    int view_count; /* choices of frames: 1 the deterministic one, more: random ones [1] */
    int crop_count; /* 1, or 3 squares side by side [1] */
    uint64_t seed;  /* of random views */
    const float *text_features;     /* [A, C, E], of any length; NULL: no classes */
    int prompt_count;               /* A */
    const float *sentence_features; /* [clip_count, E], of each clip's first sentence; NULL: none */
    clv_validate_progress *progress;
    void *payload;
    struct clv_cancel *cancel;
    const float *logit_scale; /* NULL: as in the encoder's config */
    /* Where the clips' vectors go: [clip_count, E], unit, zero for broken ones; NULL: nowhere. */
    float *vectors_out;
    /* Where their probabilities go: [clip_count, C], averaged over prompts and views, zero for
     * broken clips; NULL: nowhere. */
    float *scores_out;
};

/* Memory is set aside once, at the start. Pair with clv_validation_release(), which `out` is ready
 * for after a failure too. CLV_ECANCELED. */
int clv_validate(struct clv_validation *out, struct clv_encoder *encoder,
                 const struct clv_clips *clips, const struct clv_validate_options *options);
void clv_validation_release(struct clv_validation *validation);

#endif
