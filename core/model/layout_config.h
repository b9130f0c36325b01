/* Private to core/model: the configuration files that Hugging Face and OpenCLIP publish beside
 * their weights, as far as they change what a CLIP computes or which pixels it is given. */
#ifndef CLV_CORE_MODEL_LAYOUT_CONFIG_H
#define CLV_CORE_MODEL_LAYOUT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct clv_tower_said {
    int heads;
    int head_width;
    int width;
    int layers;
    int mlp_width;
};

/* What the files say; zeros, NULLs and "" where they say nothing. */
struct clv_layout_config {
    const char *activation; /* "quick_gelu" or "gelu"; static */
    struct clv_tower_said vision;
    struct clv_tower_said text;
    int embed_dim;
    int image_side;
    int patch_side;
    int context_length;
    int vocabulary_size;
    bool has_mean;
    bool has_std;
    float pixel_mean[3];
    float pixel_std[3];
    int pixel_side;     /* of the picture the preprocessing makes */
    const char *resize; /* "bicubic"; static */
    /* Why claverdb cannot prepare pixels as the files say: a clause that follows the file's name,
     * such as "resizes by resample 2 (bilinear)". */
    char obstacle[160];
};

/* Each adds to *out what its file says. `name` is the file's, for messages. CLV_ECORRUPT where the
 * text is no such file, CLV_EUNSUPPORTED naming the setting that makes it another model. */
int clv_layout_config_hugging_face(struct clv_layout_config *out, const char *text, size_t size,
                                   const char *name); /* config.json */
int clv_layout_config_preprocessor(struct clv_layout_config *out, const char *text, size_t size,
                                   const char *name); /* preprocessor_config.json */
int clv_layout_config_open_clip(struct clv_layout_config *out, const char *text, size_t size,
                                const char *name); /* open_clip_config.json, or its model_cfg */

#endif
