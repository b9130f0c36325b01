/* Encoders are made late and with one branch only: what a search costs at its start is what its
 * query needs. */
#include "query/target.h"

#include "core/bytes.h"
#include "core/error.h"
#include "query/like.h"
#include "query/prompts.h"
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

/* How many prompts do not fit the context; also for a query whose vector is cached. */
static int count_cut(int *cut_out, const struct clv_model *model, const struct clv_bytes *prompts)
{
    int length = model->config.context_length;
    int32_t *ids = calloc((size_t)length, sizeof *ids);
    int status = ids ? CLV_OK : clv_fail_memory("token ids");
    *cut_out = 0;
    for (int i = 0; i < clv_prompt_template_count && model->tokenizer && status == CLV_OK; i++) {
        int id_count;
        bool cut = false;
        status = clv_tokenizer_encode(model->tokenizer, ids, &id_count, &cut,
                                      prompts[i].data ? prompts[i].data : "", length);
        *cut_out += cut;
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
    struct clv_device_options any = {0};
    struct clv_encoder_options options = {.no_vision = is_text, .no_text = !is_text};
    int status = CLV_OK;
    *branch = (struct branch){0};
    if (!device) {
        status = clv_device_open(&branch->own_device, &any);
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

/* `key`: what the prompt cache knows this text's vector by. One row holds the whole ensemble. */
static int text_vector(float *vector_out, int *cut_out, struct clv_store *store,
                       const struct clv_model *model, struct clv_device *device, int64_t model_id,
                       const char *key, const char *text)
{
    int dim = model->config.embed_dim;
    struct branch branch = {0};
    struct clv_bytes *prompts = calloc((size_t)clv_prompt_template_count, sizeof *prompts);
    int status = prompts ? fill_templates(prompts, text) : clv_fail_memory("the prompts");
    if (status == CLV_OK)
        status = count_cut(cut_out, model, prompts);
    if (status != CLV_OK)
        goto done;
    status = clv_store_prompt_get(store, vector_out, model_id, key, dim);
    if (status != CLV_ENOTFOUND)
        goto done;
    memset(vector_out, 0, (size_t)dim * sizeof *vector_out);
    status = branch_open(&branch, model, device, true);
    if (status == CLV_OK)
        status = encode_templates(vector_out, model, branch.encoder, prompts);
    if (status == CLV_OK)
        status = clv_vector_unit(vector_out, dim, text);
    if (status == CLV_OK)
        status = clv_store_prompt_put(store, model_id, key, vector_out, dim);
done:
    branch_close(&branch);
    for (int i = 0; prompts && i < clv_prompt_template_count; i++)
        clv_bytes_release(&prompts[i]);
    free(prompts);
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
    struct clv_bytes text = {0}, key = {0};
    float *shown = calloc((size_t)dim, sizeof *shown);
    int status = shown ? CLV_OK : clv_fail_memory("a query vector");
    *cut_count_out = 0;
    if (status == CLV_OK && target->text)
        status = clv_prompt_fill(&text, "{}", target->text);
    bool has_text = text.size_bytes > 0;
    if (status == CLV_OK && !has_text && !target->like)
        status = clv_fail(CLV_EINVAL, "the query is empty");
    if (status == CLV_OK && has_text) {
        clv_bytes_format(&key, "templates:v1:%s", text.data);
        status = key.status != CLV_OK ? clv_fail_memory("a query")
                                      : text_vector(vector_out, cut_count_out, store, model, device,
                                                    model_id, key.data, text.data);
    }
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
    clv_bytes_release(&key);
    free(shown);
    return status;
}
