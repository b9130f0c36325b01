/* vocab.json + merges.txt and tokenizer.json, of which only what CLIP's tokenizer is made of is
 * read; what would make it another tokenizer is refused. */
#include "core/model/huggingface.h"

#include "core/error.h"
#include "core/json.h"
#include "core/model/symbols.h"

#include <inttypes.h>
#include <string.h>

struct filler {
    struct clv_symbols *symbols;
    const char *name;
};

/* Every id from 0 to the number of symbols is given once: with as many ids as symbols and none
 * twice, none is missing. */
static int put_id(struct filler *filler, const char *key, const struct clv_json *value)
{
    struct clv_symbols *symbols = filler->symbols;
    int64_t id = clv_json_integer(value, -1);
    if (clv_json_kind(value) != CLV_JSON_INTEGER || id < 0 || id >= symbols->capacity)
        return clv_fail(CLV_ECORRUPT, "'%s' gives '%.40s' the id %" PRId64 ", outside 0 to %d",
                        filler->name, key, id, symbols->capacity - 1);
    if (symbols->entries[id].text)
        return clv_fail(CLV_ECORRUPT, "'%s' gives the id %" PRId64 " to '%.40s' and to '%.40s'",
                        filler->name, id, symbols->entries[id].text, key);
    clv_symbols_put(symbols, (int32_t)id, key, strlen(key));
    return CLV_OK;
}

static int put_member(const char *key, const struct clv_json *value, void *payload)
{
    return put_id(payload, key, value);
}

/* `added` lists tokens beside the vocabulary, some of which may be in it too; may be NULL. */
static int fill(struct clv_symbols *symbols, const struct clv_json *vocab,
                const struct clv_json *added, const char *name)
{
    size_t count = clv_json_count(vocab);
    if (clv_json_kind(vocab) != CLV_JSON_OBJECT || count == 0)
        return clv_fail(CLV_ECORRUPT, "'%s' has no vocabulary: an object of symbols and ids", name);
    for (size_t i = 0; i < clv_json_count(added); i++) {
        const char *text =
            clv_json_string(clv_json_get(clv_json_at(added, i), "content"), NULL, NULL);
        if (!text)
            return clv_fail(CLV_ECORRUPT, "added token %zu of '%s' has no text", i, name);
        count += clv_json_get(vocab, text) == NULL;
    }
    struct filler filler = {symbols, name};
    int status = clv_symbols_init(symbols, (int)count);
    if (status == CLV_OK)
        status = clv_json_members(vocab, put_member, &filler);
    for (size_t i = 0; status == CLV_OK && i < clv_json_count(added); i++) {
        const struct clv_json *token = clv_json_at(added, i);
        const struct clv_json *id = clv_json_get(token, "id");
        const char *text = clv_json_string(clv_json_get(token, "content"), NULL, "");
        const struct clv_json *known = clv_json_get(vocab, text);
        if (!known)
            status = put_id(&filler, text, id);
        else if (clv_json_integer(known, -1) != clv_json_integer(id, -1))
            status = clv_fail(CLV_ECORRUPT, "'%s' gives '%.40s' two ids", name, text);
    }
    return status;
}

int clv_huggingface_pair(struct clv_vocabulary *out, const struct clv_bytes *vocab,
                         const char *vocab_name, const struct clv_bytes *merges,
                         const char *merges_name)
{
    *out = (struct clv_vocabulary){0};
    struct clv_symbols symbols = {0};
    struct clv_json *root = NULL;
    const char *text = merges->size_bytes ? merges->data : "";
    const char *end = text + merges->size_bytes, *at = text, *line;
    size_t size, line_count = 0;
    while (clv_vocabulary_line(&line, &size, &at, end))
        line_count++;
    int status =
        clv_json_parse(&root, vocab->size_bytes ? vocab->data : "", vocab->size_bytes, vocab_name);
    if (status == CLV_OK)
        status = fill(&symbols, root, NULL, vocab_name);
    if (status == CLV_OK)
        status = clv_vocabulary_init(out, line_count);
    for (at = text; status == CLV_OK && clv_vocabulary_line(&line, &size, &at, end);) {
        bool is_header = line == text && size >= 8 && memcmp(line, "#version", 8) == 0;
        if (!is_header && (size > 0 || at != end))
            status =
                clv_vocabulary_add(out, &symbols, line, size, merges_name, out->merge_count + 1);
    }
    if (status == CLV_OK)
        status = clv_vocabulary_finish(out, &symbols, symbols.capacity, vocab_name);
    clv_symbols_release(&symbols);
    clv_json_free(root);
    if (status != CLV_OK)
        clv_vocabulary_release(out);
    return status;
}

/* "a b" in older files, ["a", "b"] in newer ones. */
static int add_merge(struct clv_vocabulary *out, const struct clv_symbols *symbols,
                     struct clv_bytes *pair, const struct clv_json *merge, const char *name)
{
    size_t number = out->merge_count + 1;
    clv_bytes_clear(pair);
    if (clv_json_kind(merge) == CLV_JSON_STRING) {
        size_t size;
        const char *text = clv_json_string(merge, &size, "");
        return clv_vocabulary_add(out, symbols, text, size, name, number);
    }
    const char *left = clv_json_string(clv_json_at(merge, 0), NULL, NULL);
    const char *right = clv_json_string(clv_json_at(merge, 1), NULL, NULL);
    if (!left || !right || clv_json_count(merge) != 2)
        return clv_fail(CLV_ECORRUPT, "merge %zu of '%s' is not two symbols", number, name);
    clv_bytes_text(pair, left);
    clv_bytes_text(pair, " ");
    clv_bytes_text(pair, right);
    if (pair->status != CLV_OK)
        return pair->status;
    return clv_vocabulary_add(out, symbols, pair->data, pair->size_bytes, name, number);
}

/* Settings that would make another tokenizer of the same vocabulary. */
static int check_model(const struct clv_json *model, const char *name)
{
    const char *type = clv_json_string(clv_json_get(model, "type"), NULL, "BPE");
    const char *suffix = clv_json_string(clv_json_get(model, "end_of_word_suffix"), NULL, "</w>");
    if (strcmp(type, "BPE") != 0)
        return clv_fail(CLV_EUNSUPPORTED, "the tokenizer of '%s' is of type '%.40s', not BPE", name,
                        type);
    if (strcmp(suffix, "</w>") != 0)
        return clv_fail(CLV_EUNSUPPORTED, "words of '%s' end in '%.40s', not in '</w>'", name,
                        suffix);
    return CLV_OK;
}

int clv_huggingface_whole(struct clv_vocabulary *out, const struct clv_bytes *text,
                          const char *name)
{
    *out = (struct clv_vocabulary){0};
    struct clv_symbols symbols = {0};
    struct clv_bytes pair = {0};
    struct clv_json *root = NULL;
    int status = clv_json_parse(&root, text->data, text->size_bytes, name);
    const struct clv_json *model = clv_json_get(root, "model");
    const struct clv_json *merges = clv_json_get(model, "merges");
    if (status == CLV_OK && clv_json_kind(merges) != CLV_JSON_ARRAY)
        status = clv_fail(CLV_ECORRUPT, "'%s' has no merges and is no tokenizer.json", name);
    if (status == CLV_OK)
        status = check_model(model, name);
    if (status == CLV_OK)
        status =
            fill(&symbols, clv_json_get(model, "vocab"), clv_json_get(root, "added_tokens"), name);
    if (status == CLV_OK)
        status = clv_vocabulary_init(out, clv_json_count(merges));
    for (size_t i = 0; status == CLV_OK && i < clv_json_count(merges); i++)
        status = add_merge(out, &symbols, &pair, clv_json_at(merges, i), name);
    if (status == CLV_OK)
        status = clv_vocabulary_finish(out, &symbols, symbols.capacity, name);
    clv_bytes_release(&pair);
    clv_symbols_release(&symbols);
    clv_json_free(root);
    if (status != CLV_OK)
        clv_vocabulary_release(out);
    return status;
}
