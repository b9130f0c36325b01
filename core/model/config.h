/* A model's hyper-parameters: inferred from tensor names and shapes as the published loader does,
 * completed from the file's metadata, and checked in one place. */
#ifndef CLV_CORE_MODEL_CONFIG_H
#define CLV_CORE_MODEL_CONFIG_H

#include "core/compute/ops.h"

#include <stdbool.h>

struct clv_weights;

enum clv_resize {
    CLV_RESIZE_BICUBIC_ANTIALIAS, /* CLIP: Pillow's bicubic of the short side to R */
    CLV_RESIZE_BILINEAR_256,      /* CLAVER: OpenCV's bilinear of the short side to 256/224 R */
};

struct clv_tower {
    int width;
    int layer_count;
    int head_count;
    int mlp_width; /* columns between a block's c_fc and c_proj; 4 * width in most models */
};

struct clv_model_config {
    struct clv_tower vision;
    struct clv_tower temporal; /* width 0: plain CLIP, no temporal branch */
    struct clv_tower text;
    int embed_dim;  /* E */
    int image_side; /* R */
    int patch_side;
    int token_count;    /* L = (R / patch)^2 + 1 */
    int frame_count;    /* T; free to choose where there is no temporal branch */
    int context_length; /* text positions, 77 */
    int vocabulary_size;
    enum clv_mask mask; /* KMT or KMCT; NONE: joint attention, or no temporal branch */
    enum clv_activation activation;
    float logit_scale;   /* natural logarithm, as stored */
    float pixel_mean[3]; /* of pixels in 0..1 */
    float pixel_std[3];
    enum clv_resize resize;
};

/* Infers everything from `weights`. Metadata keys read, all optional: "mask" (KMT, KMCT, joint),
 * "T", "patch", "resolution", "pixel_mean", "pixel_std" (three numbers, commas), "resize" (bicubic,
 * bilinear), "activation" (quick_gelu, gelu), "vision_heads", "text_heads". Without them: KMT,
 * ImageNet pixels and bilinear where there is a temporal branch, CLIP's pixels and bicubic where
 * there is none. Heads are width / 64, one head where the width is below 64. CLV_ECORRUPT naming
 * the tensor that is missing or mis-shaped, or the metadata that contradicts the tensors. */
int clv_config_infer(struct clv_model_config *out, const struct clv_weights *weights);

/* Sets T where the model leaves it free; 0 keeps the config's. CLV_EINVAL where the temporal branch
 * fixes it at another. The range is clv_config_check()'s. */
int clv_config_set_frame_count(struct clv_model_config *config, int frame_count);

/* The range checks every config passes, inferred or made by hand. */
int clv_config_check(const struct clv_model_config *config);

/* The mask as metadata says it: "KMT", "KMCT", "joint", or "none" without a temporal branch. */
const char *clv_config_mask_name(const struct clv_model_config *config);

#endif
