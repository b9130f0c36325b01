/* Reads the views of clips that a validation takes, a group ahead, by as many threads as the source
 * has readers. What comes does not depend on how many they are. Private to core/model. */
#ifndef CLV_CORE_MODEL_VIEWS_H
#define CLV_CORE_MODEL_VIEWS_H

#include "core/cancel.h"
#include "core/model/clips.h"
#include "core/model/config.h"

#include <stdint.h>

struct clv_views;

struct clv_views_options {
    int view_count;            /* choices of frames a clip: 1 the deterministic one, more: random */
    int crop_count;            /* 1, or 3 squares side by side */
    uint64_t seed;             /* of random choices */
    struct clv_cancel *cancel; /* may be NULL */
};

int clv_views_create(struct clv_views **out, const struct clv_clips *clips,
                     const struct clv_model_config *config,
                     const struct clv_views_options *options);
void clv_views_free(struct clv_views *views);

/* The next view, of clip 0 the first, of the last clip the last: *squares_out [crops, T, R*R*3],
 * borrowed until the next call. A failure is the clip's; CLV_ENOMEM and CLV_ECANCELED are not. Not
 * to be called after the last. */
int clv_views_next(struct clv_views *views, const uint8_t **squares_out);

#endif
