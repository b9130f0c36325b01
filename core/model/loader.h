/* Reads and augments the clips of training passes ahead, on as many background threads as the
 * source has readers. What comes, and in which order, is a function of the seed alone. Private to
 * core/model. */
#ifndef CLV_CORE_MODEL_LOADER_H
#define CLV_CORE_MODEL_LOADER_H

#include "core/model/augment.h"
#include "core/model/clips.h"
#include "core/model/config.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_loader;

struct clv_loader_options {
    uint64_t seed;
    int batch_size;
    int prefetch; /* passes ahead */
    float caption_share;
    const struct clv_augment_options *augment;
};

#define CLV_LOADER_MESSAGE_SIZE 768

/* What one pass through the model takes. */
struct clv_loaded {
    int status; /* other than CLV_OK: nothing can be read any more, `message` says why */
    char message[CLV_LOADER_MESSAGE_SIZE];
    int64_t pass;
    bool is_captions;
    int clip_count;     /* without the broken ones */
    int32_t *clips;     /* [clip_count] */
    int32_t *sentences; /* [clip_count], the one in use of each; only with is_captions */
    float *pixels;      /* [clip_count, T, 3, R, R]; NULL where no colour is ever changed: */
    uint8_t *squares;   /* [clip_count, T, R*R*3] is there instead */
    int broken_count;
    int32_t *broken;
    char (*reasons)[CLV_LOADER_MESSAGE_SIZE]; /* "NAME: what is wrong with it" */
};

int clv_loader_create(struct clv_loader **out, const struct clv_clips *clips,
                      const struct clv_model_config *config,
                      const struct clv_loader_options *options);
void clv_loader_free(struct clv_loader *loader);

/* Passes of an epoch; the last may be smaller. */
int64_t clv_loader_pass_count(const struct clv_loader *loader);
/* Clips that a pass has if none is broken. */
int clv_loader_clip_count(const struct clv_loader *loader, int64_t pass);

/* Starts reading passes first … end - 1, counted over the whole run. */
int clv_loader_start(struct clv_loader *loader, int64_t first, int64_t end);
/* The next pass in order, to be given back; NULL after the last. */
struct clv_loaded *clv_loader_next(struct clv_loader *loader);
void clv_loader_give_back(struct clv_loader *loader, struct clv_loaded *loaded);
/* Waits until the threads have ended; what it had read ahead is dropped. Safe where none runs. */
void clv_loader_stop(struct clv_loader *loader);

#endif
