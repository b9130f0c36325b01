/* Training of a byte-pair vocabulary in CLIP's scheme: the 256 bytes, the 256 bytes that end a
 * word, then the most frequent pairs, merged one after another; words are cleaned and split as the
 * tokenizer does (Sennrich et al. 2016, arXiv 1508.07909). The same text gives the same list. */
#ifndef CLV_CORE_MODEL_VOCABULARY_TRAIN_H
#define CLV_CORE_MODEL_VOCABULARY_TRAIN_H

#include "core/bytes.h"
#include "core/cancel.h"

#include <stddef.h>
#include <stdint.h>

/* Ids of the smallest vocabulary (bytes and the two specials) and of CLIP's own. */
#define CLV_VOCABULARY_SIZE_MIN 514
#define CLV_VOCABULARY_SIZE_MAX 49408

struct clv_vocabulary_train;

int clv_vocabulary_train_create(struct clv_vocabulary_train **out);
void clv_vocabulary_train_free(struct clv_vocabulary_train *train);

/* Counts the words of a text, each line of which is a text to the tokenizer. It may be anything:
 * bytes that are not UTF-8 count as U+FFFD, which is what the tokenizer makes of them. CLV_EINVAL
 * where all texts together have more than 256 MiB of different words. */
int clv_vocabulary_train_add(struct clv_vocabulary_train *train, const char *text,
                             size_t size_bytes);
/* Words counted so far, and how many of them differ. */
int64_t clv_vocabulary_train_word_count(const struct clv_vocabulary_train *train);
int64_t clv_vocabulary_train_distinct_count(const struct clv_vocabulary_train *train);

/* Writes OpenAI's list text of a vocabulary of `size` ids into `list_out` (cleared first), of fewer
 * where there are no more pairs; *size_out says how many. Of pairs equally frequent the one whose
 * line of the list comes first in byte order is merged first. What clv_tokenizer_open_text() reads;
 * the text may be trained on again afterwards. CLV_EINVAL for a size out of range or where there
 * were no words, CLV_ECANCELED. `cancel` may be NULL. */
int clv_vocabulary_train_list(const struct clv_vocabulary_train *train, struct clv_bytes *list_out,
                              int *size_out, int size, struct clv_cancel *cancel);

#endif
