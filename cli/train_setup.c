/* What is trained, and on what. */
#include "cli/naming.h"
#include "cli/train.h"
#include "core/error.h"
#include "core/file.h"
#include "core/unicode.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- data ---- */

/* "0.1", or "COLUMN=VALUE", whose column goes into *column_out (the caller frees; NULL). */
static int parse_hold_out(double *share_out, char **column_out, const char **group_out,
                          const char *text)
{
    char *end;
    *column_out = NULL;
    *group_out = NULL;
    *share_out = strtod(text, &end);
    if (*text && !*end)
        return CLV_OK;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return clv_fail(CLV_EINVAL,
                        "--hold-out takes a share such as 0.1, or COLUMN=VALUE, not "
                        "'%s'",
                        text);
    *group_out = equals + 1;
    *column_out = strndup(text, (size_t)(equals - text));
    return *column_out ? CLV_OK : clv_fail_memory("a name");
}

static int open_labels(struct clv_train_data *data, const struct clv_train_settings *settings)
{
    double share = 0;
    char *column = NULL;
    const char *group = NULL;
    int status = CLV_OK;
    if (settings->hold_out)
        status = parse_hold_out(&share, &column, &group, settings->hold_out);
    const struct clv_labels_options options = {
        .classes_path = settings->classes,
        .captions_path = settings->captions,
        .group_column = column,
    };
    if (status == CLV_OK)
        status = clv_labels_open(&data->labels, settings->data, &options);
    if (status == CLV_OK && settings->hold_out) {
        data->held_out = calloc((size_t)data->labels.count, sizeof *data->held_out);
        if (!data->held_out)
            status = clv_fail_memory("a list of clips");
        else if (group)
            status = clv_labels_hold_out_group(data->held_out, &data->labels, group);
        else
            status =
                clv_labels_hold_out(data->held_out, &data->labels, share, (uint64_t)settings->seed);
    }
    free(column);
    return status;
}

/* Lets the sources know which sentences are true of which clips. */
static int set_truth(struct clv_train_data *data, const struct clv_train_settings *settings)
{
    const char *facts = settings->validation_facts ? settings->validation_facts : settings->facts;
    const char *captions =
        settings->validation_captions ? settings->validation_captions : settings->captions;
    const struct clv_captions *truth = &data->captions;
    int status = CLV_OK;
    if (settings->facts) {
        status = clv_captions_open(&data->captions, settings->captions,
                                   &(struct clv_captions_options){.facts_path = settings->facts});
        if (status == CLV_OK)
            status = clv_labelled_set_truth(data->training, &data->captions);
    }
    if (status != CLV_OK || !facts || !data->validation)
        return status;
    if (settings->validation) {
        status = clv_captions_open(&data->validation_captions, captions,
                                   &(struct clv_captions_options){.facts_path = facts});
        truth = &data->validation_captions;
    }
    return status == CLV_OK ? clv_labelled_set_truth(data->validation, truth) : status;
}

static int open_validation(struct clv_train_data *data, const struct clv_train_settings *settings,
                           const struct clv_labelled_options *reading)
{
    const struct clv_labels_options options = {
        .classes = data->labels.classes.count > 0 ? &data->labels.classes : NULL,
        .captions_path =
            settings->validation_captions ? settings->validation_captions : settings->captions,
        .ignores_labels = data->labels.classes.count == 0,
    };
    int status = clv_labels_open(&data->validation_labels, settings->validation, &options);
    if (status == CLV_OK)
        status =
            clv_labelled_create(&data->validation, &data->validation_labels, NULL, true, reading);
    return status;
}

static int open_sources(struct clv_train_data *data, const struct clv_train_settings *settings,
                        const struct clv_labelled_options *reading)
{
    int status =
        clv_labelled_create(&data->training, &data->labels, data->held_out, false, reading);
    if (status == CLV_OK && settings->frame_cache > 0)
        status = clv_labelled_keep(data->training, (size_t)settings->frame_cache << 20);
    if (status == CLV_OK && data->held_out)
        status =
            clv_labelled_create(&data->validation, &data->labels, data->held_out, true, reading);
    if (status == CLV_OK && settings->validation)
        status = open_validation(data, settings, reading);
    return status == CLV_OK ? set_truth(data, settings) : status;
}

int clv_train_open_data(struct clv_train_data *data, const struct clv_train_settings *settings,
                        const struct clv_labelled_options *reading)
{
    int status = open_labels(data, settings);
    if (status == CLV_OK)
        status = open_sources(data, settings, reading);
    if (status == CLV_OK && settings->prompts.count > 0 && data->labels.classes.count == 0)
        status = clv_fail(CLV_EINVAL, "--prompts are about classes, and '%s' has no labels",
                          settings->data);
    for (int i = 0; i < settings->prompts.count && status == CLV_OK; i++)
        status = clv_interpretations_add(&data->interpretations, &data->labels.classes,
                                         settings->prompts.items[i]);
    if (status == CLV_OK && data->labels.classes.count > 0)
        status = clv_class_prompts(&data->prompts, &data->prompt_count, &data->labels.classes,
                                   &data->interpretations);
    return status;
}

void clv_train_release_data(struct clv_train_data *data)
{
    clv_class_prompts_free(data->prompts, data->prompt_count, data->labels.classes.count);
    clv_interpretations_release(&data->interpretations);
    clv_labelled_free(data->training);
    clv_labelled_free(data->validation);
    free(data->held_out);
    clv_captions_release(&data->captions);
    clv_captions_release(&data->validation_captions);
    clv_labels_release(&data->labels);
    clv_labels_release(&data->validation_labels);
    *data = (struct clv_train_data){0};
}

/* ---- the model ---- */

static enum clv_mask mask_of(int choice)
{
    switch (choice) {
    case CLV_TRAIN_MASK_KMCT:
        return CLV_MASK_KMCT;
    case CLV_TRAIN_MASK_JOINT:
        return CLV_MASK_NONE;
    default:
        return CLV_MASK_KMT;
    }
}

/* `heads` 0: as in CLIP. */
static struct clv_tower tower_of(int64_t width, int64_t layers, int64_t heads)
{
    const int64_t usual = width < 64 ? 1 : width / 64;
    return (struct clv_tower){.width = (int)width,
                              .layer_count = (int)layers,
                              .head_count = (int)(heads ? heads : usual),
                              .mlp_width = (int)(4 * width)};
}

/* A random model's, without the temporal branch. */
static int random_config(struct clv_model_config *out, const struct clv_train_settings *settings)
{
    if (settings->image % settings->patch != 0)
        return clv_fail(CLV_EINVAL, "pictures of %d pixels cannot be cut into patches of %d",
                        (int)settings->image, (int)settings->patch);
    int grid = (int)(settings->image / settings->patch);
    *out = (struct clv_model_config){
        .vision = tower_of(settings->width, settings->layers, settings->heads),
        .text = tower_of(settings->text_width, settings->text_layers, 0),
        .embed_dim = (int)settings->embed,
        .image_side = (int)settings->image,
        .patch_side = (int)settings->patch,
        .token_count = grid * grid + 1,
        .frame_count = settings->frames > 0 ? (int)settings->frames : 8,
        .context_length = 77,
        .mask = CLV_MASK_NONE,
        .activation = CLV_ACTIVATION_QUICK_GELU,
        .logit_scale = logf(1 / 0.07f),
        .pixel_mean = {0.485f, 0.456f, 0.406f},
        .pixel_std = {0.229f, 0.224f, 0.225f},
        .resize = CLV_RESIZE_BILINEAR_256,
    };
    return CLV_OK;
}

enum { CARD_BYTES_MAX = 4000 };

int clv_train_read_card(char **out, const struct clv_train_settings *settings)
{
    struct clv_map map;
    *out = NULL;
    if (settings->card == NULL)
        return CLV_OK;
    int status = clv_map_open(&map, settings->card);
    if (status != CLV_OK)
        return status;
    const char *text = (const char *)map.data;
    size_t size = map.size_bytes;
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL && text[size - 1] != '\0')
        size--;
    if (size == 0 || size > CARD_BYTES_MAX)
        status = clv_fail(CLV_EINVAL, "'%s' has %zu bytes; a card has 1 to %d", settings->card,
                          map.size_bytes, CARD_BYTES_MAX);
    else if (!clv_unicode_is_valid(text, size) || memchr(text, 0, size) != NULL)
        status = clv_fail(CLV_EINVAL, "'%s' is no text in UTF-8", settings->card);
    else if ((*out = strndup(text, size)) == NULL)
        status = clv_fail_memory("the card");
    clv_map_release(&map);
    return status;
}

static int open_random(struct clv_train_model *model, const struct clv_cli *cli)
{
    const struct clv_train_settings *settings = cli->settings;
    if (!cli->flags.vocab)
        return clv_fail(CLV_EINVAL, "a random model needs a vocabulary: name one with --vocab "
                                    "(claverdb model vocabulary makes one of your texts)");
    model->start.vocabulary_path = cli->flags.vocab;
    model->start.embedding_std =
        settings->embedding_std >= 0 ? (float)settings->embedding_std : 0.3f;
    model->start.temporal_std = settings->temporal_std >= 0 ? (float)settings->temporal_std : 1.5f;
    model->start.text_std = settings->text_std >= 0 ? (float)settings->text_std : 0.3f;
    return random_config(&model->config, settings);
}

static int open_weights(struct clv_train_model *model, const struct clv_cli *cli)
{
    const struct clv_train_settings *settings = cli->settings;
    const struct clv_model_options options = {.vocabulary_path = cli->flags.vocab,
                                              .frame_count = (int)settings->frames};
    int status = clv_naming_open(&model->model, settings->init, &options);
    if (status != CLV_OK)
        return status;
    model->has_model = true;
    model->config = model->model.config;
    model->start.weights = model->model.weights;
    model->start.vocabulary_path = cli->flags.vocab;
    model->start.embedding_std = settings->embedding_std >= 0 ? (float)settings->embedding_std : 0;
    model->start.temporal_std = settings->temporal_std >= 0 ? (float)settings->temporal_std : 0;
    return CLV_OK;
}

/* The temporal branch as wanted: the model's own, or a new one. */
static int settle_temporal(struct clv_train_model *model, const struct clv_train_settings *settings)
{
    struct clv_model_config *config = &model->config;
    if (config->temporal.width == 0 && settings->mask == CLV_TRAIN_MASK_NONE)
        return CLV_OK;
    if (config->temporal.width == 0) {
        int layers = (int)settings->temporal_layers;
        if (layers == 0 && config->vision.layer_count < 3)
            layers = 1;
        return clv_trainer_add_temporal(config, layers, mask_of(settings->mask),
                                        settings->frames > 0 ? (int)settings->frames
                                                             : config->frame_count);
    }
    if (settings->mask == CLV_TRAIN_MASK_NONE)
        return clv_fail(CLV_EINVAL,
                        "'%s' has a temporal branch, which --mask none cannot take away",
                        settings->init);
    if (settings->frames > 0 && settings->frames != config->frame_count)
        return clv_fail(CLV_EINVAL, "'%s' takes %d frames of a clip, not %d", settings->init,
                        config->frame_count, (int)settings->frames);
    if (settings->mask != CLV_TRAIN_MASK_MODEL)
        config->mask = mask_of(settings->mask);
    return CLV_OK;
}

int clv_train_open_model(struct clv_train_model *model, const struct clv_cli *cli)
{
    const struct clv_train_settings *settings = cli->settings;
    int status =
        strcmp(settings->init, "random") == 0 ? open_random(model, cli) : open_weights(model, cli);
    if (status == CLV_OK)
        status = settle_temporal(model, settings);
    model->start.config = &model->config;
    model->start.temporal = (enum clv_temporal_start)settings->temporal_start;
    return status;
}

void clv_train_release_model(struct clv_train_model *model)
{
    if (model->has_model)
        clv_model_release(&model->model);
    *model = (struct clv_train_model){0};
}
