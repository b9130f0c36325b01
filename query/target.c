/* Encoders are made late and with one branch only: what a search costs at its start is what its
 * query needs. */
#include "query/target.h"

#include "core/bytes.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/model/prompts.h"
#include "query/like.h"
#include "query/vector.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Sums the unit features of all templates filled with `text`, re-normalised. */
static int encode_templates(float *vector_out, const struct clv_model *model,
                            struct clv_encoder *encoder, const struct clv_bytes *prompts)
{
    int count = clv_prompt_template_count, dim = model->config.embed_dim;
    const char **texts = calloc((size_t)count, sizeof *texts);
    float *features = calloc((size_t)count * (size_t)dim, sizeof *features);
    int status = texts && features ? CLV_OK : clv_fail_memory("the prompts");
    for (int i = 0; i < count && status == CLV_OK; i++)
        texts[i] = prompts[i].data ? prompts[i].data : "";
    if (status == CLV_OK)
        status = clv_model_encode_texts(model, encoder, features, NULL, texts, count);
    for (int i = 0; i < count && status == CLV_OK; i++)
        clv_vector_add(vector_out, features + (size_t)i * (size_t)dim, 1.0F, dim);
    free(texts);
    free(features);
    return status;
}

/* What the prompt cache knows the prompts' vector by: the ids the model reads, so that another
 * vocabulary or other templates never find an old vector. Also how many do not fit the context.
 * Without a vocabulary the key is empty. */
static int prompt_key(struct clv_bytes *key, int *cut_out, const struct clv_model *model,
                      const struct clv_bytes *prompts)
{
    int length = model->config.context_length;
    int32_t *ids = calloc((size_t)length, sizeof *ids);
    int status = ids ? CLV_OK : clv_fail_memory("token ids");
    struct clv_digest digest;
    uint8_t sum[CLV_DIGEST_BYTES];
    char text[CLV_DIGEST_TEXT_SIZE];
    clv_digest_init(&digest);
    *cut_out = 0;
    for (int i = 0; i < clv_prompt_template_count && model->tokenizer && status == CLV_OK; i++) {
        int id_count = 0;
        bool cut = false;
        status = clv_tokenizer_encode(model->tokenizer, ids, &id_count, &cut,
                                      prompts[i].data ? prompts[i].data : "", length);
        *cut_out += cut;
        clv_digest_add(&digest, &id_count, sizeof id_count);
        clv_digest_add(&digest, ids, (size_t)id_count * sizeof *ids);
    }
    clv_digest_finish(&digest, sum);
    if (model->tokenizer && status == CLV_OK) {
        clv_bytes_format(key, "mean:v1:%s", clv_digest_text(text, sum));
        status = key->status;
    }
    free(ids);
    return status;
}

/* An encoder with one branch, and a device for it where the caller has none. */
struct branch {
    struct clv_device *own_device;
    struct clv_encoder *encoder;
};

static int branch_open(struct branch *branch, const struct clv_model *model,
                       struct clv_device *device, bool is_text)
{
    /* A sentence or a picture is done before another device would be open. */
    struct clv_device_options cpu = {.kind = CLV_DEVICE_CPU};
    struct clv_encoder_options options = {.no_vision = is_text, .no_text = !is_text};
    int status = CLV_OK;
    *branch = (struct branch){0};
    if (!device) {
        status = clv_device_open(&branch->own_device, &cpu);
        device = branch->own_device;
    }
    if (status != CLV_OK)
        return status;
    return clv_encoder_create(&branch->encoder, device, model->weights, &model->config, &options);
}

static void branch_close(struct branch *branch)
{
    clv_encoder_free(branch->encoder);
    clv_device_close(branch->own_device);
}

static int fill_templates(struct clv_bytes *prompts, const char *text)
{
    int status = CLV_OK;
    for (int i = 0; i < clv_prompt_template_count && status == CLV_OK; i++)
        status = clv_prompt_fill(&prompts[i], clv_prompt_templates[i], text);
    return status;
}

static void prompts_free(struct clv_bytes *prompts)
{
    for (int i = 0; prompts && i < clv_prompt_template_count; i++)
        clv_bytes_release(&prompts[i]);
    free(prompts);
}

int clv_target_prompt_key(struct clv_bytes *key, const struct clv_model *model, const char *text)
{
    int cut = 0;
    struct clv_bytes *prompts = calloc((size_t)clv_prompt_template_count, sizeof *prompts);
    int status = prompts ? fill_templates(prompts, text) : clv_fail_memory("the prompts");
    clv_bytes_clear(key);
    if (status == CLV_OK)
        status = prompt_key(key, &cut, model, prompts);
    prompts_free(prompts);
    return status;
}

/* One row of the prompt cache holds the whole ensemble. */
static int text_vector(float *vector_out, int *cut_out, struct clv_store *store,
                       const struct clv_model *model, struct clv_device *device, int64_t model_id,
                       const char *text)
{
    int dim = model->config.embed_dim;
    struct branch branch = {0};
    struct clv_bytes key = {0};
    struct clv_bytes *prompts = calloc((size_t)clv_prompt_template_count, sizeof *prompts);
    int status = prompts ? fill_templates(prompts, text) : clv_fail_memory("the prompts");
    if (status == CLV_OK)
        status = prompt_key(&key, cut_out, model, prompts);
    if (status == CLV_OK && key.data)
        status = clv_store_prompt_get(store, vector_out, model_id, key.data, dim);
    if (key.data ? status != CLV_ENOTFOUND : status != CLV_OK)
        goto done;
    memset(vector_out, 0, (size_t)dim * sizeof *vector_out);
    status = branch_open(&branch, model, device, true);
    if (status == CLV_OK)
        status = encode_templates(vector_out, model, branch.encoder, prompts);
    if (status == CLV_OK)
        status = clv_vector_unit(vector_out, dim, text);
    if (status == CLV_OK && key.data)
        status = clv_store_prompt_put(store, model_id, key.data, vector_out, dim);
done:
    branch_close(&branch);
    prompts_free(prompts);
    clv_bytes_release(&key);
    return status;
}

static int like_vector(float *vector_out, const struct clv_model *model, struct clv_device *device,
                       const char *spec, struct clv_cancel *cancel)
{
    struct clv_like like;
    struct branch branch = {0};
    int status = clv_like_parse(&like, spec);
    if (status == CLV_OK)
        status = branch_open(&branch, model, device, false);
    if (status == CLV_OK)
        status = clv_like_vector(vector_out, branch.encoder, &like, cancel);
    branch_close(&branch);
    clv_like_release(&like);
    return status;
}

int clv_target_vector(float *vector_out, int *cut_count_out, const struct clv_target *target,
                      struct clv_store *store, const struct clv_model *model,
                      struct clv_device *device, int64_t model_id)
{
    int dim = model->config.embed_dim;
    struct clv_bytes text = {0};
    float *shown = calloc((size_t)dim, sizeof *shown);
    int status = shown ? CLV_OK : clv_fail_memory("a query vector");
    *cut_count_out = 0;
    if (status == CLV_OK && target->text)
        status = clv_prompt_fill(&text, "{}", target->text);
    bool has_text = text.size_bytes > 0;
    if (status == CLV_OK && !has_text && !target->like)
        status = clv_fail(CLV_EINVAL, "the query is empty");
    if (status == CLV_OK && has_text)
        status = text_vector(vector_out, cut_count_out, store, model, device, model_id, text.data);
    if (status == CLV_OK && target->like)
        status =
            like_vector(has_text ? shown : vector_out, model, device, target->like, target->cancel);
    if (status == CLV_OK && has_text && target->like) {
        for (int i = 0; i < dim; i++)
            vector_out[i] =
                (float)((1 - target->like_weight) * vector_out[i] + target->like_weight * shown[i]);
        status = clv_vector_unit(vector_out, dim, text.data);
    }
    clv_bytes_release(&text);
    free(shown);
    return status;
}
