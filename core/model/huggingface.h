/* Hugging Face's files of a byte-pair vocabulary. Private to the tokenizer. */
#ifndef CLV_CORE_MODEL_HUGGINGFACE_H
#define CLV_CORE_MODEL_HUGGINGFACE_H

#include "core/bytes.h"
#include "core/model/vocabulary.h"

/* vocab.json and merges.txt. `out` is ready for clv_vocabulary_release() in either case. */
int clv_huggingface_pair(struct clv_vocabulary *out, const struct clv_bytes *vocab,
                         const char *vocab_name, const struct clv_bytes *merges,
                         const char *merges_name);
/* tokenizer.json: both in one. */
int clv_huggingface_whole(struct clv_vocabulary *out, const struct clv_bytes *text,
                          const char *name);

#endif
