/* Private to core/model: how the publishers of CLIP-like models name their tensors, and which of a
 * checkpoint's tensors make up a tensor under the published CLIP/CLAVER names.
 *
 * Two naming schemes are known, each under any prefix: OpenAI's (which CLAVER, OpenCLIP, ViFi-CLIP
 * and X-CLIP use too) and Hugging Face's. The two towers may have prefixes of their own. */
#ifndef CLV_CORE_MODEL_LAYOUT_H
#define CLV_CORE_MODEL_LAYOUT_H

#include "core/model/checkpoint.h"
#include "core/model/params.h"

#include <stdbool.h>

enum clv_layout_kind {
    CLV_LAYOUT_OPENAI,
    CLV_LAYOUT_CLAVER,
    CLV_LAYOUT_OPENCLIP, /* as far as its names say: the text tower under "text." */
    CLV_LAYOUT_VIFI_CLIP,
    CLV_LAYOUT_X_CLIP,
    CLV_LAYOUT_HUGGING_FACE,
};

struct clv_layout {
    enum clv_layout_kind kind;
    char *root;   /* prefix of what belongs to neither tower: "", "model.", "module.clip." */
    char *vision; /* "visual.", "model.image_encoder.", "vision_model." */
    char *text;   /* "", "text.", "text_model." */
    char *other;  /* the prefix of another picture tower in the file that was not taken; NULL */
    int vision_blocks;
    int temporal_blocks;
    int text_blocks;
    bool is_temporal;       /* has a temporal embedding or blocks */
    bool has_prompts;       /* learned prompt vectors, which no published CLIP has */
    bool has_messages;      /* X-CLIP's attention across frames */
    bool lacks_token_table; /* as ViFi-CLIP's checkpoints do */
};

/* Finds the towers. CLV_EUNSUPPORTED naming the tensor that makes it another kind of model, or
 * saying that there is no CLIP in the file. Pair with clv_layout_release(). */
int clv_layout_find(struct clv_layout *out, const struct clv_checkpoint *checkpoint);
void clv_layout_release(struct clv_layout *layout);

/* "OpenAI", "Hugging Face", … */
const char *clv_layout_name(enum clv_layout_kind kind);

enum clv_layout_operation {
    CLV_LAYOUT_COPY,
    CLV_LAYOUT_TRANSPOSE, /* the one part, rows to columns */
    CLV_LAYOUT_JOIN,      /* the parts, one after another along the first dimension */
};

#define CLV_LAYOUT_PART_MAX 3
#define CLV_LAYOUT_NAME_SIZE 512

/* Where a parameter comes from. */
struct clv_layout_source {
    enum clv_layout_operation operation;
    int part_count;
    char names[CLV_LAYOUT_PART_MAX][CLV_LAYOUT_NAME_SIZE]; /* in the checkpoint */
    size_t indices[CLV_LAYOUT_PART_MAX];                   /* SIZE_MAX where there is none */
};
void clv_layout_source(struct clv_layout_source *out, const struct clv_layout *layout,
                       const struct clv_checkpoint *checkpoint, const char *param_name);

/* What a tensor is that no parameter comes from. */
enum clv_layout_rest {
    CLV_REST_SILENT,  /* a buffer that holds nothing learned */
    CLV_REST_OUTSIDE, /* not part of the towers: optimiser state, other heads */
    CLV_REST_KNOWN,   /* of a tower, left out on purpose: has_prompts, has_messages */
    CLV_REST_SURPLUS, /* of a tower, unknown: without it the tower computes something else */
};
enum clv_layout_rest clv_layout_rest(const struct clv_layout *layout, const char *name);

#endif
