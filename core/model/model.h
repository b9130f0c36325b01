/* A whole model as callers hold it: weight file, configuration, vocabulary, identity, and encoders
 * made from it on demand. */
#ifndef CLV_CORE_MODEL_MODEL_H
#define CLV_CORE_MODEL_MODEL_H

#include "core/compute/device.h"
#include "core/digest.h"
#include "core/model/config.h"
#include "core/model/encoder.h"
#include "core/model/tokenizer.h"

struct clv_weights;

struct clv_model {
    struct clv_weights *weights;
    struct clv_model_config config;
    struct clv_tokenizer *tokenizer; /* NULL where no vocabulary was found */
    uint8_t digest[CLV_DIGEST_BYTES];
    char *path;      /* absolute; CLV_MODEL_MINI of the built-in one */
    bool is_builtin; /* claver-mini */
};

struct clv_model_options {
    const char *vocabulary_path; /* NULL: look beside the weight file */
    int frame_count;             /* T for a model that leaves it free; 0: 8 */
};

/* Opens a safetensors file and its vocabulary: the path given, else the usual vocabulary files in
 * the weight file's directory; none is no error until text is encoded. A vocabulary whose size
 * differs from the model's token table is CLV_EINVAL. The digest is computed (and cached by path,
 * size and modification time under the user's data directory). */
int clv_model_open(struct clv_model *out, const char *path,
                   const struct clv_model_options *options);
/* claver-mini, the small CLAVER that is compiled in: trained on films of drawn figures, it knows
 * actions and which way they go, but has never seen filmed reality. */
#define CLV_MODEL_MINI "claver-mini"
/* `options` as for clv_model_open(). */
int clv_model_open_mini(struct clv_model *out, const struct clv_model_options *options);
/* True for what people call it: that, or "mini". */
bool clv_model_is_mini(const char *name);
/* Of the file that is compiled in. */
size_t clv_model_mini_bytes(void);
void clv_model_release(struct clv_model *model);

/* Tokenizes `count` texts, encodes them and writes unit features [count, E]. *cut_count_out (may
 * be NULL): how many texts were cut at the context length. */
int clv_model_encode_texts(const struct clv_model *model, struct clv_encoder *encoder, float *out,
                           int *cut_count_out, const char *const *texts, int count);

/* What `claverdb model info` says of a model beyond `model->config`. */
struct clv_model_facts {
    int64_t parameter_count;
    int64_t vision_parameter_count;   /* visual.*, the temporal branch left out */
    int64_t temporal_parameter_count; /* names with "temporal_" in them */
    int64_t text_parameter_count;     /* the rest, logit_scale included */
    int tensor_count;                 /* of the model's own */
    int ignored_tensor_count;         /* in the file, but no part of the model */
    int64_t file_bytes;               /* 0: weights that never were a file */
    const char *dtype;                /* "f32", "f16", "bf16", "f64" or "mixed" */
    const char *mask;                 /* "KMT", "KMCT", "joint" or "none" */
    const char *resize;               /* as in the metadata: "bicubic" or "bilinear" */
    const char *activation;           /* as in the metadata: "quick_gelu" or "gelu" */
    int tokenizer_size;               /* ids; 0 where no vocabulary was found */
    double frame_gmacs;               /* spatial branch, one frame (1 MAC: one multiply-add) */
    double window_gmacs;              /* temporal branch, one window, class tokens wanted only */
    double text_gmacs;                /* text branch, one text of full context length */
    char digest_text[CLV_DIGEST_TEXT_SIZE];
};

/* Metadata is read with clv_weights_metadata_at(model->weights, …). This key's value is text for
 * people, of several lines: what the model was trained on, and what it is not. */
#define CLV_MODEL_CARD "card"
int clv_model_facts(struct clv_model_facts *out, const struct clv_model *model);

#endif
