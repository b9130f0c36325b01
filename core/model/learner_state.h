/* Private to core/model/learner*.c: what a learner is made of. */
#ifndef CLV_CORE_MODEL_LEARNER_STATE_H
#define CLV_CORE_MODEL_LEARNER_STATE_H

#include "core/model/learner.h"
#include "core/model/network.h"
#include "core/model/passes.h"

/* Parts of the activation buffer. */
enum clv_learner_room {
    CLV_ROOM_STREAM,
    CLV_ROOM_NORMED,
    CLV_ROOM_MIXED,
    CLV_ROOM_WIDE,
    CLV_ROOM_GRADIENT,
    CLV_ROOM_WIDE_GRADIENT,
    CLV_ROOM_PIXELS,         /* of a pass */
    CLV_ROOM_PARTNER,        /* a clip that one of them is mixed with */
    CLV_ROOM_VALUES,         /* what a byte is worth: [3, 256] */
    CLV_ROOM_FRAMES,         /* the frames' tokens of a pass, where no tape holds them */
    CLV_ROOM_FEATURES,       /* [frames of a pass, E] */
    CLV_ROOM_DFEATURES,      /* their gradient */
    CLV_ROOM_VECTORS,        /* [B, E] */
    CLV_ROOM_DVECTORS,       /* their gradient */
    CLV_ROOM_TEXT_FEATURES,  /* [texts, E] */
    CLV_ROOM_TEXT_UNITS,     /* the same of unit length */
    CLV_ROOM_DTEXT_FEATURES, /* their gradients */
    CLV_ROOM_DTEXT_UNITS,
    CLV_ROOM_LOGITS,  /* [B, texts] */
    CLV_ROOM_DLOGITS, /* their gradient */
    CLV_ROOM_LABELS,  /* [B, texts] at most */
    CLV_ROOM_SUMS,    /* doubles, see enum clv_learner_sum */
    CLV_ROOM_VISION_TAPE,
    CLV_ROOM_TEMPORAL_TAPE,
    CLV_ROOM_TEXT_TAPE,
    CLV_ROOM_COUNT,
};

enum clv_learner_sum { CLV_SUM_LOSS, CLV_SUM_SQUARES, CLV_SUM_COUNT };

struct clv_learner {
    struct clv_device *device;
    struct clv_model_config config;
    struct clv_learner_options options; /* defaults filled in */
    struct clv_params params;
    struct clv_buffer *values, *gradients, *moments, *activations;
    float **value;         /* device address by index of the table */
    float **gradient;      /* NULL where frozen */
    size_t gradient_count; /* numbers in `gradients`; `moments` holds twice as many */
    struct clv_network network;
    struct clv_pass pass;
    int slot_token_count; /* rows of a frame that windows take: L or 1 */
    bool trains_vision;   /* so frames have a tape */
    bool trains_windows;  /* anything visual, so windows have one */
    bool trains_text;
    struct clv_tower_tape vision_tape, temporal_tape, text_tape;
    float *room[CLV_ROOM_COUNT];
    int32_t *slots; /* host: 0, 1, 2 … for windows of frames one after another */
    float *labels;  /* host scratch [clip_max, clip_max] */
    float *drop;    /* host scratch: drop factors of a pass, vision then temporal; NULL: none */
    int64_t step_count;
};

/* One batch on its way through one learner, alone or as one of several members that share the batch
 * out: each has clips and texts of its own. Between the parts of the way, what every member needs
 * of the others is summed over all of them (learners.c):
 *
 *     begin    own texts forward             then sum clv_learner_shared_texts()
 *     middle   own clips forward; with classes also backward
 *                                            then sum clv_learner_shared_clips()
 *     finish   what is left to go backward; the loss
 */
struct clv_learner_work {
    struct clv_learner *learner;
    const struct clv_learner_batch *batch;
    bool is_backward;
    int member, member_count;
    int clip_first, clip_end; /* the member's own */
    int text_first, text_end;
    float scale;              /* exp(logit_scale) */
    float weight;             /* of the gradients */
    struct clv_tensor units;  /* [texts, E] of unit length */
    struct clv_tensor dunits; /* its gradient; absent where not wanted */
    float *dlogit_scale;      /* NULL where not wanted */
    double loss;              /* once finished: of own clips for classes, of all for captions */
};

/* learner_loss.c. Failures of begin and middle are kept on the device for finish to return. */
int clv_learner_check_batch(const struct clv_learner *learner,
                            const struct clv_learner_batch *batch);
void clv_learner_begin(struct clv_learner_work *work);
void clv_learner_middle(struct clv_learner_work *work);
int clv_learner_finish(struct clv_learner_work *work);
/* Absent where there is nothing to sum. */
struct clv_tensor clv_learner_shared_texts(const struct clv_learner_work *work);
struct clv_tensor clv_learner_shared_clips(const struct clv_learner_work *work);

/* learner.c: clv_learner_step() is the one, then the other. The norm of all gradients together;
 * CLV_EINVAL where it is no finite number. */
int clv_learner_measure_norm(const struct clv_learner *learner, double *out);
int clv_learner_descend(struct clv_learner *learner, double norm,
                        const struct clv_learner_step_options *options);

/* learner_pixels.c */
void clv_learner_write_values(const struct clv_learner *learner);
/* The frames [count * T, 3*R*R] of a pass's clips where they lie. */
struct clv_tensor clv_learner_clips(const struct clv_learner *learner, int clip_count);
/* Brings clips first … first + count - 1 of the batch there, mixed as the batch says. */
struct clv_tensor clv_learner_load_clips(const struct clv_learner_work *work, int first, int count);

/* learner_memory.c: sizes the activations from one table and lays them out. */
int clv_learner_create_memory(struct clv_learner *learner);
void clv_learner_release_memory(struct clv_learner *learner);

static inline double *clv_learner_sum(const struct clv_learner *learner, enum clv_learner_sum which)
{
    return (double *)(void *)learner->room[CLV_ROOM_SUMS] + which;
}

#endif
