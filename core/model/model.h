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
    char *path;
    bool is_placeholder; /* the built-in random model: text scores mean nothing */
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
/* The fixed small random-weight model used where none is named: CLAVER, KMT, byte-level
 * vocabulary; the same bits on every machine. */
int clv_model_open_placeholder(struct clv_model *out);
void clv_model_release(struct clv_model *model);

/* Tokenizes `count` texts, encodes them and writes unit features [count, E]. *cut_count_out (may
 * be NULL): how many texts were cut at the context length. */
int clv_model_encode_texts(const struct clv_model *model, struct clv_encoder *encoder, float *out,
                           int *cut_count_out, const char *const *texts, int count);

#endif
