#include "core/model/texts.h"

#include "core/error.h"
#include "core/model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int clv_texts_init(struct clv_texts *out, const struct clv_tokenizer *tokenizer,
                   const char *const *texts, int count, int context_length)
{
    int32_t used = 0;
    *out = (struct clv_texts){.count = count};
    if (count < 0 || count >= INT32_MAX / context_length)
        return clv_fail(CLV_EINVAL, "%d texts are too many at once", count);
    out->ids = malloc(((size_t)count * (size_t)context_length + 1) * sizeof *out->ids);
    out->starts = malloc(((size_t)count + 1) * sizeof *out->starts);
    if (!out->ids || !out->starts)
        return clv_fail_memory("the tokens of texts");
    for (int i = 0; i < count; i++) {
        int length;
        bool is_cut;
        int status = clv_tokenizer_encode(tokenizer, out->ids + used, &length, &is_cut, texts[i],
                                          context_length);
        if (status != CLV_OK)
            return status;
        out->starts[i] = used;
        out->cut_count += is_cut;
        if (length > out->longest)
            out->longest = length;
        used += length;
    }
    out->starts[count] = used;
    int32_t *fitting = realloc(out->ids, ((size_t)used + 1) * sizeof *out->ids);
    if (fitting)
        out->ids = fitting;
    return CLV_OK;
}

void clv_texts_release(struct clv_texts *texts)
{
    free(texts->ids);
    free(texts->starts);
    *texts = (struct clv_texts){0};
}

void clv_texts_append(const struct clv_texts *texts, int index, int32_t *ids, int32_t *starts,
                      int count)
{
    const int length = clv_texts_length(texts, index);
    memcpy(ids + starts[count], texts->ids + texts->starts[index], (size_t)length * sizeof *ids);
    starts[count + 1] = starts[count] + length;
}
