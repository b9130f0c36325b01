/* The CLAVER encoders: frames, windows, text; written once over the op table (claver.md 1). Knows
 * nothing of files, videos or databases.
 *
 * Frame tokens are computed once per frame into numbered slots on the device, and every window
 * that contains the frame reads them there. One encoder serves one thread at a time. */
#ifndef CLV_CORE_MODEL_ENCODER_H
#define CLV_CORE_MODEL_ENCODER_H

#include "core/compute/device.h"
#include "core/model/config.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_encoder;
struct clv_weights;

/* Zeros take the default in brackets. Memory is set aside at creation; the encode calls allocate
 * nothing and split larger counts into these batches themselves. */
struct clv_encoder_options {
    bool no_vision;       /* load the text branch only */
    bool no_text;         /* load the visual branch only */
    bool all_tokens;      /* keep all tokens of a frame where windows need only the class token */
    int slot_count;       /* frames whose tokens are kept [frame_count] */
    int frame_batch_max;  /* frames a pass [8] */
    int window_batch_max; /* windows a pass [1] */
    int text_batch_max;   /* packed text rows a pass [8 * context_length] */
    int frame_count;      /* T where the model leaves it free [config's] */
};

/* Weights are borrowed from `weights` (which must outlive the encoder) where the device can use
 * them in place, copied otherwise. CLV_ECORRUPT names a tensor that is missing or mis-shaped. */
int clv_encoder_create(struct clv_encoder **out, struct clv_device *device,
                       const struct clv_weights *weights, const struct clv_model_config *config,
                       const struct clv_encoder_options *options);
void clv_encoder_free(struct clv_encoder *encoder);

const struct clv_model_config *clv_encoder_config(const struct clv_encoder *encoder);
int clv_encoder_slot_count(const struct clv_encoder *encoder);
/* Frames and windows a pass, at most. */
int clv_encoder_frame_batch(const struct clv_encoder *encoder);
int clv_encoder_window_batch(const struct clv_encoder *encoder);
struct clv_device *clv_encoder_device(const struct clv_encoder *encoder);

/* Spatial branch: pixels [count, 3, R, R] (host, normalised) into the frame slots given. Returns
 * when the pixels are read: the device may still be computing, beside which the next ones can be
 * made. What fails later is told by the next call that waits for results. */
int clv_encoder_frames(struct clv_encoder *encoder, const int32_t *slots, const float *pixels,
                       int count);

/* The same from `count` squares [R*R*3] of bytes as clv_pixels_crop() leaves them, each anywhere on
 * the host; normalised on the device. */
int clv_encoder_squares(struct clv_encoder *encoder, const int32_t *slots,
                        const uint8_t *const *squares, int count);

/* Where the results of clv_encoder_windows() go (host); NULL: not wanted. */
struct clv_window_outputs {
    float *vectors;        /* [count, E] mean of unit frame features, not re-normalised */
    float *frame_features; /* [count, T, E] before normalisation */
    float *patch_tokens;   /* [count, T, L-1, W]; asking for it computes the whole last block.
                            * CLV_EINVAL where the slots keep no patch tokens */
};

/* Temporal branch over windows of T slots each: slots [count, T]. */
int clv_encoder_windows(struct clv_encoder *encoder, const struct clv_window_outputs *outputs,
                        const int32_t *slots, int count);

/* The same in two steps, between which the host may do other things, and call the encoder for
 * other frames and texts: the slots are read before those frames are written. `slots` may change at
 * once; the vectors are the encoder's to fill until clv_encoder_windows_end(), which waits for all
 * windows begun and for nothing called after them, and tells what has failed. clv_encoder_windows()
 * ends them too. After an error of the first call there is nothing of it to end. The drop gives up
 * what was begun, without waiting. */
int clv_encoder_windows_begin(struct clv_encoder *encoder, const struct clv_window_outputs *outputs,
                              const int32_t *slots, int count);
int clv_encoder_windows_end(struct clv_encoder *encoder);
void clv_encoder_windows_drop(struct clv_encoder *encoder);

/* Tokens a slot keeps: L, or 1 (the class token) where no temporal block follows. */
int clv_encoder_slot_token_count(const struct clv_encoder *encoder);
/* The tokens of one slot [slot token count, W] as clv_encoder_frames() left them. */
int clv_encoder_frame_tokens(struct clv_encoder *encoder, float *out, int32_t slot);

/* Text branch: `ids` packed, text i being ids[starts[i] .. starts[i+1]) up to and with its end
 * token. features_out [count, E], not normalised. CLV_EINVAL for an id outside the vocabulary or a
 * text longer than the context. */
int clv_encoder_text(struct clv_encoder *encoder, float *features_out, const int32_t *ids,
                     const int32_t *starts, int count);

#endif
