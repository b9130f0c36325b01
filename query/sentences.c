#include "query/sentences.h"

#include "core/error.h"
#include "core/model/prompts.h"
#include "query/vector.h"

#include <stdlib.h>
#include <string.h>

int clv_sentence_vector(float *vector_out, int *cut_count_out, const struct clv_model *model,
                        struct clv_encoder *encoder, const char *sentence)
{
    int count = clv_prompt_template_count, dim = model->config.embed_dim, status = CLV_OK;
    struct clv_bytes *prompts = calloc((size_t)count, sizeof *prompts);
    const char **texts = calloc((size_t)count, sizeof *texts);
    float *features = calloc((size_t)count * (size_t)dim, sizeof *features);
    *cut_count_out = 0;
    memset(vector_out, 0, (size_t)dim * sizeof *vector_out);
    if (!prompts || !texts || !features)
        status = clv_fail_memory("the prompts");
    if (status == CLV_OK && sentence[strspn(sentence, " \t\r\n")] == '\0')
        status = clv_fail(CLV_EINVAL, "a sentence is empty");
    for (int i = 0; i < count && status == CLV_OK; i++) {
        status = clv_prompt_fill(&prompts[i], clv_prompt_templates[i], sentence);
        texts[i] = prompts[i].data ? prompts[i].data : "";
    }
    if (status == CLV_OK)
        status = clv_model_encode_texts(model, encoder, features, cut_count_out, texts, count);
    for (int i = 0; i < count && status == CLV_OK; i++)
        clv_vector_add(vector_out, features + (size_t)i * (size_t)dim, 1.0F, dim);
    if (status == CLV_OK)
        status = clv_vector_unit(vector_out, dim, sentence);
    for (int i = 0; prompts && i < count; i++)
        clv_bytes_release(&prompts[i]);
    free(prompts);
    free(texts);
    free(features);
    return status;
}
