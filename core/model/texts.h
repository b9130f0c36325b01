/* Texts as training needs them: tokenised once and packed. Private to
 * core/model. */
#ifndef CLV_CORE_MODEL_TEXTS_H
#define CLV_CORE_MODEL_TEXTS_H

#include <stdint.h>

struct clv_tokenizer;

/* Zero-initialise. Text i is ids[starts[i] … starts[i + 1] - 1]. */
struct clv_texts {
    int count;
    int32_t *ids;
    int32_t *starts; /* [count + 1] */
    int cut_count;   /* texts cut at the context length */
    int longest;     /* tokens of the longest */
};

int clv_texts_init(struct clv_texts *out, const struct clv_tokenizer *tokenizer,
                   const char *const *texts, int count, int context_length);
void clv_texts_release(struct clv_texts *texts);

static inline int clv_texts_length(const struct clv_texts *texts, int index)
{
    return texts->starts[index + 1] - texts->starts[index];
}

/* Appends the tokens of a text to ids and starts of `count` texts before it. */
void clv_texts_append(const struct clv_texts *texts, int index, int32_t *ids, int32_t *starts,
                      int count);

#endif
