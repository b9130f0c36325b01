/* A model as callers hold it: file, config, vocabulary and identity together. */
#include "core/model/model.h"

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/model/digest_cache.h"
#include "core/model/import_cache.h"
#include "core/model/import_source.h"
#include "core/model/mini.h"
#include "core/model/params.h"
#include "core/model/vocabulary.h"
#include "core/model/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Opens the vocabulary inside the weight file; *out is NULL where there is none. */
static int open_vocabulary_inside(struct clv_tokenizer **out, const struct clv_weights *weights)
{
    struct clv_vocabulary_files files;
    int status = clv_vocabulary_inside(&files, weights);
    if (status == CLV_OK && files.count > 0)
        status = clv_tokenizer_open_files(out, files.items, files.count);
    clv_vocabulary_files_release(&files);
    return status;
}

/* Opens the first of the usual vocabulary files beside (or in the directory) `path`; *out is NULL
 * where there is none. */
static int open_vocabulary_beside(struct clv_tokenizer **out, const char *path)
{
    char *directory = NULL, *file = NULL;
    int status = clv_import_directory(&directory, path);
    if (status == CLV_OK)
        status = clv_vocabulary_locate(&file, directory);
    if (status == CLV_OK && file)
        status = clv_tokenizer_open(out, file);
    free(file);
    free(directory);
    return status;
}

/* OpenAI's list in the user's data directory, where its size is the model's. */
static int open_user_vocabulary(struct clv_model *model)
{
    char *file = NULL;
    int status = clv_import_user_vocabulary(&file);
    if (status == CLV_OK && file)
        status = clv_tokenizer_open(&model->tokenizer, file);
    free(file);
    if (status == CLV_OK && model->tokenizer &&
        clv_tokenizer_size(model->tokenizer) != model->config.vocabulary_size) {
        clv_tokenizer_close(model->tokenizer);
        model->tokenizer = NULL;
    }
    return status;
}

/* What is open must be of the model's size. `source` has the vocabulary. */
static int check_vocabulary(const struct clv_model *model, const char *source,
                            const char *vocabulary_path)
{
    int size = clv_tokenizer_size(model->tokenizer);
    if (size == model->config.vocabulary_size)
        return CLV_OK;
    if (vocabulary_path)
        return clv_fail(CLV_EINVAL, "the vocabulary '%s' has %d tokens, the model '%s' %d",
                        vocabulary_path, size, source, model->config.vocabulary_size);
    return clv_fail(CLV_EINVAL, "the vocabulary of '%s' has %d tokens, the model %d", source, size,
                    model->config.vocabulary_size);
}

/* The one named, or the one inside; no other will do. */
static int open_own_vocabulary(struct clv_model *model, const char *vocabulary_path)
{
    int status = vocabulary_path ? clv_tokenizer_open(&model->tokenizer, vocabulary_path)
                                 : open_vocabulary_inside(&model->tokenizer, model->weights);
    if (status == CLV_OK && !model->tokenizer)
        return clv_fail(CLV_ECORRUPT, "'%s' has no vocabulary inside", model->path);
    return status == CLV_OK ? check_vocabulary(model, model->path, vocabulary_path) : status;
}

/* `is_imported`: the import has said already that what lies beside does not fit. */
static int open_vocabulary(struct clv_model *model, const char *path, const char *vocabulary_path,
                           bool is_imported)
{
    int status = CLV_OK;
    if (vocabulary_path)
        status = clv_tokenizer_open(&model->tokenizer, vocabulary_path);
    else
        status = open_vocabulary_inside(&model->tokenizer, model->weights);
    bool is_beside = status == CLV_OK && !model->tokenizer;
    if (is_beside)
        status = open_vocabulary_beside(&model->tokenizer, path);
    /* A weight file may be a link into another directory. */
    if (status == CLV_OK && !model->tokenizer)
        status = open_vocabulary_beside(&model->tokenizer, model->path);
    if (status == CLV_OK && !model->tokenizer)
        return open_user_vocabulary(model);
    if (status != CLV_OK)
        return status;
    if (is_beside && is_imported &&
        clv_tokenizer_size(model->tokenizer) != model->config.vocabulary_size) {
        clv_tokenizer_close(model->tokenizer);
        model->tokenizer = NULL;
        return CLV_OK;
    }
    return check_vocabulary(model, path, vocabulary_path);
}

/* Opens `path` where it can be used as it is, else its import in the cache. */
static int open_weights(struct clv_model *model, bool *is_imported_out, const char *path,
                        const char *vocabulary_path)
{
    const struct clv_import_options options = {.vocabulary_path = vocabulary_path};
    bool is_direct = false;
    char *imported = NULL;
    *is_imported_out = false;
    int status = clv_weights_open(&model->weights, path);
    if (status == CLV_OK)
        status = clv_import_is_direct(&is_direct, model->weights);
    else if (status != CLV_ECORRUPT && status != CLV_EINVAL)
        return status;
    if (is_direct || status == CLV_ENOMEM)
        return status;
    clv_weights_close(model->weights);
    model->weights = NULL;
    *is_imported_out = true;
    status = clv_import_cached(&imported, path, &options, NULL);
    if (status == CLV_OK)
        status = clv_weights_open(&model->weights, imported);
    free(imported);
    return status;
}

/* Checks the tensors against the table; says what the file holds beyond it. */
static int check_tensors(const struct clv_model *model)
{
    struct clv_params params;
    int ignored_count = 0;
    int status = clv_params_init(&params, &model->config);
    if (status == CLV_OK)
        status = clv_params_check(&params, model->weights, &ignored_count);
    if (status == CLV_OK && ignored_count)
        clv_log(CLV_LOG_INFO, "'%s': %d tensors are no part of the model and ignored",
                clv_weights_path(model->weights), ignored_count);
    clv_params_release(&params);
    return status;
}

/* Finds out what the opened weights are. */
static int configure(struct clv_model *model, const struct clv_model_options *options)
{
    int status = clv_config_infer(&model->config, model->weights);
    if (status == CLV_OK)
        status = clv_config_set_frame_count(&model->config, options->frame_count);
    if (status == CLV_OK)
        status = clv_config_check(&model->config);
    return status == CLV_OK ? check_tensors(model) : status;
}

int clv_model_open(struct clv_model *out, const char *path, const struct clv_model_options *options)
{
    static const struct clv_model_options defaults;
    struct clv_model model = {0};
    *out = model;
    if (!options)
        options = &defaults;
    bool is_imported = false;
    int status = open_weights(&model, &is_imported, path, options->vocabulary_path);
    if (status == CLV_OK)
        status = clv_path_absolute(&model.path, path);
    if (status == CLV_OK)
        status = configure(&model, options);
    if (status == CLV_OK)
        status = open_vocabulary(&model, path, options->vocabulary_path, is_imported);
    if (status == CLV_OK)
        status =
            clv_digest_cache_weights(model.digest, model.weights, &model.config,
                                     is_imported ? clv_weights_path(model.weights) : model.path);
    if (status == CLV_OK)
        *out = model;
    else
        clv_model_release(&model);
    return status;
}

bool clv_model_is_mini(const char *name)
{
    return strcmp(name, CLV_MODEL_MINI) == 0 || strcmp(name, "mini") == 0;
}

size_t clv_model_mini_bytes(void)
{
    size_t size_bytes;
    (void)clv_mini_bytes(&size_bytes);
    return size_bytes;
}

int clv_model_open_mini(struct clv_model *out, const struct clv_model_options *options)
{
    static const struct clv_model_options defaults;
    struct clv_model model = {.is_builtin = true};
    size_t size_bytes;
    const void *bytes = clv_mini_bytes(&size_bytes);
    *out = (struct clv_model){0};
    if (!options)
        options = &defaults;
    int status = clv_weights_open_bytes(&model.weights, CLV_MODEL_MINI, bytes, size_bytes);
    if (status == CLV_OK && !(model.path = strdup(CLV_MODEL_MINI)))
        status = clv_fail_memory("a path");
    if (status == CLV_OK)
        status = configure(&model, options);
    if (status == CLV_OK)
        status = open_own_vocabulary(&model, options->vocabulary_path);
    if (status == CLV_OK)
        status = clv_model_identity(model.digest, model.weights, &model.config);
    if (status == CLV_OK)
        *out = model;
    else
        clv_model_release(&model);
    return status;
}

void clv_model_release(struct clv_model *model)
{
    if (!model)
        return;
    clv_tokenizer_close(model->tokenizer);
    clv_weights_close(model->weights);
    free(model->path);
    *model = (struct clv_model){0};
}

/* Scales each row to unit length; a zero row stays zero. */
static void normalize_rows(float *rows, int count, int width)
{
    for (int i = 0; i < count; i++) {
        float *row = rows + (size_t)i * (size_t)width;
        double sum = 0;
        for (int k = 0; k < width; k++)
            sum += (double)row[k] * row[k];
        double scale = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int k = 0; k < width; k++)
            row[k] = (float)(row[k] * scale);
    }
}

/* Packs the texts' ids one after another. */
static int tokenize(const struct clv_model *model, int32_t *ids, int32_t *starts, int *cut_count,
                    const char *const *texts, int count)
{
    int used = 0;
    for (int i = 0; i < count; i++) {
        int length;
        bool is_cut;
        int status = clv_tokenizer_encode(model->tokenizer, ids + used, &length, &is_cut, texts[i],
                                          model->config.context_length);
        if (status != CLV_OK)
            return status;
        starts[i] = used;
        used += length;
        *cut_count += is_cut;
    }
    starts[count] = used;
    return CLV_OK;
}

int clv_model_encode_texts(const struct clv_model *model, struct clv_encoder *encoder, float *out,
                           int *cut_count_out, const char *const *texts, int count)
{
    int cut_count = 0;
    if (cut_count_out)
        *cut_count_out = 0;
    if (!model->tokenizer)
        return clv_fail(CLV_ENOTFOUND,
                        "'%s' has no vocabulary beside it, so it cannot read text (put "
                        "bpe_simple_vocab_16e6.txt.gz there, or name one with --vocab)",
                        model->path);
    const size_t length = (size_t)model->config.context_length;
    if (count < 0 || (size_t)count > INT32_MAX / length)
        return clv_fail(CLV_EINVAL, "%d texts are too many at once", count);
    int32_t *ids = calloc((size_t)count * length + 1, sizeof *ids);
    int32_t *starts = malloc(((size_t)count + 1) * sizeof *starts);
    int status;
    if (!ids || !starts) {
        status = clv_fail_memory("the tokens of texts");
        goto done;
    }
    status = tokenize(model, ids, starts, &cut_count, texts, count);
    if (status == CLV_OK)
        status = clv_encoder_text(encoder, out, ids, starts, count);
    if (status == CLV_OK) {
        normalize_rows(out, count, model->config.embed_dim);
        if (cut_count_out)
            *cut_count_out = cut_count;
    }
done:
    free(ids);
    free(starts);
    return status;
}
