/* Vocabularies of every form, and text through whatever came of them.
 *
 * The input is one letter (l: OpenAI's list, p: vocab.json and merges.txt, w: tokenizer.json) and
 * parts separated by NULs: the vocabulary (two parts for p), then the text, which keeps its own
 * NULs. Text goes through the byte vocabulary as well. */
#include "core/model/huggingface.h"
#include "core/model/tokenizer.h"
#include "core/model/vocabulary.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONTEXT 77

static void encode(const struct clv_tokenizer *tokenizer, const char *text, size_t size)
{
    int32_t ids[CONTEXT];
    int count = 0;
    bool is_cut;
    if (clv_tokenizer_encode_bytes(tokenizer, ids, &count, &is_cut, text, size, CONTEXT) != 0)
        return;
    if (count < 2 || count > CONTEXT || (is_cut && count != CONTEXT) ||
        ids[0] != clv_tokenizer_start_id(tokenizer) ||
        ids[count - 1] != clv_tokenizer_end_id(tokenizer))
        abort();
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= clv_tokenizer_size(tokenizer))
            abort();
}

/* The next part, without its NUL. */
static struct clv_bytes take(const char **at, const char *end)
{
    const char *stop = memchr(*at, 0, (size_t)(end - *at));
    struct clv_bytes part = {0};
    clv_bytes_add(&part, *at, (size_t)((stop ? stop : end) - *at));
    *at = stop ? stop + 1 : end;
    return part;
}

/* What comes of a vocabulary file: merges between ids that exist. */
static void check(struct clv_vocabulary *vocabulary, int status)
{
    for (size_t i = 0; status == 0 && i <= vocabulary->merge_mask; i++) {
        const struct clv_merge *merge = &vocabulary->merges[i];
        if (merge->rank &&
            (merge->left < 0 || merge->left >= vocabulary->size || merge->right < 0 ||
             merge->right >= vocabulary->size || merge->id < 0 || merge->id >= vocabulary->size))
            abort();
    }
    clv_vocabulary_release(vocabulary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    struct clv_bytes first = take(&at, end), second = {0};
    struct clv_tokenizer *tokenizer = NULL;
    struct clv_vocabulary vocabulary = {0};
    if (data[0] == 'p') {
        second = take(&at, end);
        check(&vocabulary,
              clv_huggingface_pair(&vocabulary, &first, "vocab.json", &second, "merges.txt"));
    } else if (data[0] == 'w')
        check(&vocabulary, clv_huggingface_whole(&vocabulary, &first, "tokenizer.json"));
    else if (clv_tokenizer_open_text(&tokenizer, first.data, first.size_bytes, "list") == 0)
        encode(tokenizer, at, (size_t)(end - at));
    clv_tokenizer_close(tokenizer);
    if (clv_tokenizer_open_text(&tokenizer, NULL, 0, "bytes") == 0)
        encode(tokenizer, at, (size_t)(end - at));
    clv_tokenizer_close(tokenizer);
    clv_bytes_release(&first);
    clv_bytes_release(&second);
    return 0;
}
