/* The vector that a sentence asks with, without a database. */
#ifndef CLV_QUERY_SENTENCES_H
#define CLV_QUERY_SENTENCES_H

#include "core/model/model.h"

/* The unit vector [E] of a sentence as search makes it: the mean of the unit features of CLAVER's
 * plain templates filled with it, re-normalised (claver.md 3, 6). *cut_count_out: prompts longer
 * than the context. CLV_EINVAL where the sentence is empty. */
int clv_sentence_vector(float *vector_out, int *cut_count_out, const struct clv_model *model,
                        struct clv_encoder *encoder, const char *sentence);

#endif
