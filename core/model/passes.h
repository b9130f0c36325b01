/* Private to core/model: the passes of the three branches over a network, forward for serving and
 * for training, and backward. The encoder and the learner own the memory and call these. */
#ifndef CLV_CORE_MODEL_PASSES_H
#define CLV_CORE_MODEL_PASSES_H

#include "core/model/blocks.h"
#include "core/model/network.h"

#include <stdbool.h>
#include <stdint.h>

/* What passes need beside weights. With R the rows of the largest stream: */
struct clv_pass {
    const struct clv_network *network;
    struct clv_block_scratch scratch;
    int32_t *starts;  /* host [R + 1]: rows of the sequences of a pass */
    int32_t *queries; /* host [R]: the rows the last block computes */
};

/* What a branch keeps for its backward pass, which takes the same pass, tape and arguments. */
struct clv_tower_tape {
    float *embedded;               /* frames only: [R, W] before ln_pre */
    struct clv_block_tape *blocks; /* [layer_count + 1], as in a run of blocks */
    bool is_checkpointed;
    const float *drop; /* as in a run of blocks; NULL: none */
    int drop_count;
};

/* The patches of frames on the device as rows, in the scratch: of pixels [F, 3*R*R], or of squares
 * and values as clv_square_patches() takes them. */
struct clv_tensor clv_pass_patches(const struct clv_pass *pass, struct clv_tensor pixels);
struct clv_tensor clv_pass_square_patches(const struct clv_pass *pass, const uint8_t *squares,
                                          const float *values, int frame_count);

/* Spatial branch over such patches: the tokens [F*L, W], or with `class_only` the class tokens [F,
 * W]. `tape` is NULL where serving, here and below. */
struct clv_tensor clv_pass_frames(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                                  struct clv_tensor patches, bool class_only);
/* d is the gradient of the result; the gradient of pixels is not computed. */
void clv_pass_frames_backward(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                              struct clv_tensor pixels, bool class_only, struct clv_tensor d);

/* Windows of frames; with `all_rows` every token is computed to the end. */
struct clv_pass_windows {
    struct clv_tensor frames; /* [slots * L', W] */
    const int32_t *slots;     /* host [count * T] */
    int count;
    int token_count; /* L', 1 where frames are class tokens */
    bool all_rows;
};
/* Temporal branch: the class tokens [count*T, W], or with all_rows the tokens [count*T*L', W]. */
struct clv_tensor clv_pass_windows(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                                   const struct clv_pass_windows *windows);
/* Only without all_rows. Returns the gradient of the windows' tokens, [count*T*L', W]. */
struct clv_tensor clv_pass_windows_backward(const struct clv_pass *pass,
                                            const struct clv_tower_tape *tape,
                                            const struct clv_pass_windows *windows,
                                            struct clv_tensor d);

/* The class tokens [F, W] of tokens x [F*L, W], into the scratch. */
struct clv_tensor clv_pass_class_rows(const struct clv_pass *pass, struct clv_tensor x,
                                      int frame_count);

/* out [F, E] = the features of class tokens x [F, W], which serving has anywhere but in `mixed`. */
void clv_pass_features(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                       struct clv_tensor out, struct clv_tensor x);
/* From dout [F, E] to the gradient of x [F, W]. */
struct clv_tensor clv_pass_features_backward(const struct clv_pass *pass, struct clv_tensor dout,
                                             struct clv_tensor x);

/* Packed texts: `ids` is that of all texts, starts[0..count] index it. */
struct clv_pass_texts {
    const int32_t *ids;
    const int32_t *starts;
    int count;
};
/* Text branch: out [count, E], not normalised. */
void clv_pass_texts(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                    struct clv_tensor out, const struct clv_pass_texts *texts);
void clv_pass_texts_backward(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                             struct clv_tensor dout, const struct clv_pass_texts *texts);

/* CLV_EINVAL for an id outside the vocabulary or a text of no or too many tokens. */
int clv_pass_check_texts(const struct clv_model_config *config, const struct clv_pass_texts *texts);

#endif
