/* Training pixels: crop, mirror and colour of claver.md 2.2, from the frames of a clip to what the
 * encoder takes. What is done is drawn first, once for a clip, and then applied to its frames. */
#ifndef CLV_CORE_MODEL_AUGMENT_H
#define CLV_CORE_MODEL_AUGMENT_H

#include "core/image.h"
#include "core/model/config.h"
#include "core/model/random.h"

#include <stdbool.h>
#include <stdint.h>

/* Probabilities and strengths; all zero: the centre of every frame, unchanged. */
struct clv_augment_options {
    bool crops;   /* MultiScaleCrop: sides of 1, .875, .75, .66 of the short one, at the
                   * corners or the middle; else the centre square */
    float flip;   /* probability */
    float jitter; /* probability, drawn once a clip */
    float brightness, contrast, saturation, hue;
    bool is_jitter_per_clip; /* one set of factors for all frames of a clip, where the published
                              * recipe draws them for every frame anew */
    float grayscale;         /* probability, drawn once a clip */
};

/* The published recipe: flip .5, jitter .8 (.4, .4, .2, .1, anew for every frame), grayscale .2. */
#define CLV_AUGMENT_DEFAULTS                                                               \
    {                                                                                      \
        .crops = true, .flip = 0.5f, .jitter = 0.8f, .brightness = 0.4f, .contrast = 0.4f, \
        .saturation = 0.2f, .hue = 0.1f, .grayscale = 0.2f                                 \
    }
extern const struct clv_augment_options clv_augment_defaults;

/* CLV_EINVAL where a probability is outside of 0..1 or a strength makes no sense. */
int clv_augment_check(const struct clv_augment_options *options);

/* Whether a class name or sentence says left, right or clockwise as a word: "turn left", "LeftTurn"
 * and "left-handed" do, "leftover", "bright" and "copyright" do not. */
bool clv_augment_name_has_side(const char *name);

/* Scratch memory for clips of one model; for one thread at a time. */
struct clv_augment;

/* Takes R and the pixels' statistics from `config`, which need not stay. */
int clv_augment_create(struct clv_augment **out, const struct clv_model_config *config,
                       const struct clv_augment_options *options);
void clv_augment_free(struct clv_augment *augment);

/* Training pixels of a clip: out [T, 3, R, R], normalised. The frames may differ in size; each is
 * cut as its own size asks, at the same place. Everything drawn comes from `random`. CLV_EINVAL
 * where a frame has no pixels. */
int clv_augment_clip(struct clv_augment *augment, float *out, const struct clv_image *frames,
                     int frame_count, bool may_flip, struct clv_random *random);

/* Whether colours may be changed, so that a clip's pixels need not be bytes any more. */
bool clv_augment_has_colour(const struct clv_augment_options *options);
/* The same clip as bytes where they are not: squares_out [T, R*R*3]. With what each byte is worth
 * to clv_augment_clip(), values_out [3, 256], they are the same pixels to the bit. */
int clv_augment_squares(struct clv_augment *augment, uint8_t *squares_out,
                        const struct clv_image *frames, int frame_count, bool may_flip,
                        struct clv_random *random);
void clv_augment_values(float *values_out, const struct clv_model_config *config);

/* Test pixels of a clip, deterministic, as bytes [T, R*R*3] for clv_encoder_squares(): the model's
 * own rule (crop 0 of 1), or with `crop_count` 3 the left, right and middle square of frames whose
 * short side is R (claver.md 2.2). */
int clv_augment_view(struct clv_augment *augment, uint8_t *squares_out,
                     const struct clv_image *frames, int frame_count, int crop, int crop_count);

#endif
