/* What a trainer is made of: parameters to begin with, vocabulary, texts, memory. */
#include "core/arena.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "core/model/import_source.h"
#include "core/model/initialize.h"
#include "core/model/tokenizer.h"
#include "core/model/trainer_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STD_MAX 10.0
#define TEXT_BATCH_DEFAULT 8192
#define TOKEN_BATCH 4096 /* frame tokens a validating pass takes together, about */
#define WINDOW_BATCH_MAX 8

const struct clv_learner *clv_trainer_learner(const struct clv_trainer *trainer)
{
    return trainer->learner;
}

const struct clv_model_config *clv_trainer_config(const struct clv_trainer *trainer)
{
    return &trainer->config;
}

const struct clv_tokenizer *clv_trainer_tokenizer(const struct clv_trainer *trainer)
{
    return trainer->tokenizer;
}

int64_t clv_trainer_step_count(const struct clv_trainer *trainer)
{
    return trainer->steps_an_epoch * trainer->options.epoch_count;
}

const char *clv_trainer_machine(const struct clv_trainer *trainer)
{
    return trainer->machine;
}

int64_t clv_trainer_steps_taken(const struct clv_trainer *trainer)
{
    return trainer->state.steps;
}

int clv_trainer_add_temporal(struct clv_model_config *config, int layer_count, enum clv_mask mask,
                             int frame_count)
{
    struct clv_model_config wanted = *config;
    if (config->temporal.width)
        return clv_fail(CLV_EINVAL, "the model has a temporal branch already");
    wanted.temporal = config->vision;
    wanted.temporal.layer_count = layer_count ? layer_count : config->vision.layer_count / 3;
    wanted.mask = mask;
    wanted.frame_count = frame_count ? frame_count : config->frame_count;
    wanted.resize = CLV_RESIZE_BILINEAR_256;
    struct clv_model_config checked = wanted;
    if (checked.vocabulary_size == 0) /* the vocabulary's, which is read later */
        checked.vocabulary_size = 1;
    int status = clv_config_check(&checked);
    if (status == CLV_OK)
        *config = wanted;
    return status;
}

/* ---- vocabulary ------------------------------------------------------------------------------ */

/* From the file named, or from inside or beside the weights. */
static int load_vocabulary(struct clv_trainer *trainer, const struct clv_trainer_start *start)
{
    const struct clv_import_options options = {.vocabulary_path = start->vocabulary_path};
    struct clv_checkpoint *checkpoint = NULL;
    struct clv_bytes notes = {0};
    int status;
    if (start->vocabulary_path) {
        status = clv_vocabulary_load(&trainer->vocabulary, start->vocabulary_path);
    } else if (start->weights) {
        /* Weights that are compiled in have no file, and hold their vocabulary. */
        status = clv_vocabulary_inside(&trainer->vocabulary, start->weights);
        if (status == CLV_OK && trainer->vocabulary.count > 0)
            return CLV_OK;
        if (status == CLV_OK)
            status = clv_checkpoint_open(&checkpoint, clv_weights_path(start->weights));
        if (status == CLV_OK)
            status = clv_import_vocabulary(&trainer->vocabulary, checkpoint, &options,
                                           trainer->config.vocabulary_size, &notes);
        clv_checkpoint_close(checkpoint);
    } else {
        status = clv_fail(CLV_EINVAL, "a new model needs a vocabulary");
    }
    if (status == CLV_OK && trainer->vocabulary.count == 0)
        status = clv_fail(CLV_ENOTFOUND, "'%s' has no vocabulary inside or beside it%s%s",
                          clv_weights_path(start->weights), notes.size_bytes ? ": " : "",
                          notes.size_bytes ? notes.data : "");
    clv_bytes_release(&notes);
    return status;
}

static int open_vocabulary(struct clv_trainer *trainer, const struct clv_trainer_start *start)
{
    int status = load_vocabulary(trainer, start);
    if (status == CLV_OK)
        status = clv_tokenizer_open_files(&trainer->tokenizer, trainer->vocabulary.items,
                                          trainer->vocabulary.count);
    if (status != CLV_OK)
        return status;
    const int size = clv_tokenizer_size(trainer->tokenizer);
    if (trainer->config.vocabulary_size == 0)
        trainer->config.vocabulary_size = size;
    if (size != trainer->config.vocabulary_size)
        return clv_fail(CLV_EINVAL, "the vocabulary '%s' has %d tokens, the model %d",
                        trainer->vocabulary.items[0].path, size, trainer->config.vocabulary_size);
    return CLV_OK;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static int sentence_count(const struct clv_trainer *trainer)
{
    const struct clv_clips *clips = trainer->training;
    return clips->sentences ? clips->sentence_starts[clips->clip_count] : 0;
}

/* Which of the two losses there can be, and how often the second. */
static int settle_losses(struct clv_trainer *trainer, const struct clv_trainer_data *data)
{
    const bool has_classes = data->training->class_count > 0 && data->prompt_count > 0;
    const bool has_sentences = data->training->sentences != NULL;
    trainer->prompt_count = has_classes ? data->prompt_count : 0;
    trainer->class_count = has_classes ? data->training->class_count : 0;
    if (!has_classes && !has_sentences)
        return clv_fail(CLV_EINVAL, "clips have neither classes with prompts nor sentences");
    if (!has_classes)
        trainer->options.caption_share = 1;
    if (!has_sentences)
        trainer->options.caption_share = 0;
    if (data->prompt_count > 0 && trainer->options.prompt_slots > data->prompt_count)
        trainer->options.prompt_slots = data->prompt_count;
    if (data->validation && data->validation->class_count != data->training->class_count)
        return clv_fail(CLV_EINVAL, "validation has %d classes, training %d",
                        data->validation->class_count, data->training->class_count);
    return CLV_OK;
}

static int tokenize(struct clv_trainer *trainer, const struct clv_trainer_data *data)
{
    const int context = trainer->config.context_length;
    if (trainer->class_count && trainer->prompt_count > INT32_MAX / trainer->class_count)
        return clv_fail(CLV_EINVAL, "%d prompts of %d classes are too many", trainer->prompt_count,
                        trainer->class_count);
    int status = clv_texts_init(&trainer->prompts, trainer->tokenizer, data->prompts,
                                trainer->prompt_count * trainer->class_count, context);
    if (status == CLV_OK)
        status = clv_texts_init(&trainer->sentences, trainer->tokenizer, data->training->sentences,
                                sentence_count(trainer), context);
    return status;
}

static void add_text(struct clv_digest *digest, const char *text)
{
    clv_digest_add(digest, text, strlen(text) + 1);
}

/* Of everything the loss depends on but the pixels. */
static void digest_data(struct clv_trainer *trainer, const struct clv_trainer_data *data)
{
    const struct clv_clips *clips = data->training;
    struct clv_digest digest;
    clv_digest_init(&digest);
    for (int c = 0; c < clips->class_count; c++)
        add_text(&digest, clips->class_names ? clips->class_names[c] : "");
    if (clips->class_count)
        clv_digest_add(&digest, clips->classes, (size_t)clips->clip_count * sizeof *clips->classes);
    for (int i = 0; i < trainer->prompts.count; i++)
        add_text(&digest, data->prompts[i]);
    for (int i = 0; i < trainer->sentences.count; i++)
        add_text(&digest, clips->sentences[i]);
    clv_digest_finish(&digest, trainer->data_digest);
}

/* Tokens of the longest pass there can be. */
static int longest_pass(const struct clv_trainer *trainer)
{
    int64_t most = (int64_t)trainer->options.batch_size * trainer->sentences.longest;
    for (int a = 0; a < trainer->prompt_count; a++) {
        const int32_t *starts = trainer->prompts.starts + (size_t)a * (size_t)trainer->class_count;
        const int64_t rows =
            (int64_t)trainer->options.prompt_slots * (starts[trainer->class_count] - starts[0]);
        most = rows > most ? rows : most;
    }
    return most < INT32_MAX / 4 ? (int)most : INT32_MAX / 4;
}

static int texts_of_a_pass(const struct clv_trainer *trainer)
{
    const int classes = trainer->options.prompt_slots * trainer->class_count;
    const int captions = trainer->options.caption_share > 0 ? trainer->options.batch_size : 0;
    return classes > captions ? classes : captions;
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* Names all that `weights` lack, a new temporal branch left out. */
static int check_weights(const struct clv_model_config *config, const struct clv_weights *weights,
                         bool is_new_temporal)
{
    struct clv_model_config known = *config;
    struct clv_params params;
    if (is_new_temporal) {
        known.temporal = (struct clv_tower){0};
        known.mask = CLV_MASK_NONE;
    }
    int status = clv_params_init(&params, &known);
    if (status == CLV_OK)
        status = clv_params_check(&params, weights, NULL);
    clv_params_release(&params);
    return status;
}

static int fill_parameters(struct clv_trainer *trainer, const struct clv_trainer_start *start)
{
    const struct clv_params *params = clv_learner_params(trainer->learner);
    const struct clv_initialize how = {.seed = trainer->options.seed,
                                       .is_identity = start->temporal == CLV_TEMPORAL_IDENTITY,
                                       .embedding_std = start->embedding_std,
                                       .temporal_std = start->temporal_std,
                                       .text_std = start->text_std};
    const bool is_new_temporal = start->weights && trainer->config.temporal.width &&
                                 !clv_weights_find(start->weights, "visual.temporal_embedding");
    int status = CLV_OK;
    if (!(how.embedding_std >= 0 && how.embedding_std <= STD_MAX) ||
        !(how.temporal_std >= 0 && how.temporal_std <= STD_MAX) ||
        !(how.text_std >= 0 && how.text_std <= STD_MAX))
        return clv_fail(CLV_EINVAL, "deviations of embeddings of %g, %g and %g are not in 0..%g",
                        (double)how.embedding_std, (double)how.temporal_std, (double)how.text_std,
                        STD_MAX);
    if (start->weights)
        status = check_weights(&trainer->config, start->weights, is_new_temporal);
    for (size_t i = 0; i < params->count && status == CLV_OK; i++) {
        const struct clv_param *param = &params->items[i];
        if (start->weights && !(is_new_temporal && param->branch == CLV_BRANCH_TEMPORAL))
            status =
                clv_weights_read(trainer->values, clv_weights_find(start->weights, param->name));
        else
            clv_initialize_param(trainer->values, param, &trainer->config, &how);
        if (status == CLV_OK)
            status = clv_learners_write(trainer->learners, CLV_LEARNER_VALUE, i, trainer->values);
    }
    return status;
}

/* `device`, and the more there are in the options. */
static int create_learners(struct clv_trainer *trainer, struct clv_device *device,
                           const struct clv_learner_options *wanted)
{
    const struct clv_trainer_options *options = &trainer->options;
    const int count = 1 + options->more_device_count;
    struct clv_device **devices = calloc((size_t)count, sizeof *devices);
    struct clv_bytes machine = {0};
    if (!devices)
        return clv_fail_memory("a trainer");
    for (int i = 0; i < count; i++) {
        devices[i] = i == 0 ? device : options->more_devices[i - 1];
        clv_bytes_format(&machine, "%s%s", i == 0 ? "" : "; ", clv_device_name(devices[i]));
    }
    int status = machine.status;
    trainer->machine = machine.data;
    if (status == CLV_OK)
        status =
            clv_learners_create(&trainer->learners, devices, count, &trainer->config, NULL, wanted);
    if (status == CLV_OK)
        trainer->learner = clv_learners_member(trainer->learners, 0);
    trainer->options.more_devices = NULL;
    free(devices);
    return status;
}

static int create_learner(struct clv_trainer *trainer, struct clv_device *device,
                          const struct clv_trainer_start *start)
{
    const struct clv_trainer_options *options = &trainer->options;
    const int rows = longest_pass(trainer);
    const int context = trainer->config.context_length;
    const int text_batch = options->text_batch_max ? options->text_batch_max : TEXT_BATCH_DEFAULT;
    const struct clv_learner_options wanted = {
        .freeze_text = options->freeze_text,
        .freeze_image = options->freeze_image,
        .freeze_temporal = options->freeze_temporal,
        .checkpoint = options->checkpoint,
        .drop_path = options->drop_path,
        .clip_max = options->batch_size,
        .clip_batch_max = options->clip_batch_max,
        .text_max = texts_of_a_pass(trainer),
        .text_row_max = options->freeze_text ? context : rows,
        .text_batch_max = options->freeze_text ? context
                          : text_batch < rows  ? text_batch
                                               : rows,
    };
    size_t largest = 0;
    int status = create_learners(trainer, device, &wanted);
    if (status != CLV_OK)
        return status;
    const struct clv_params *params = clv_learner_params(trainer->learner);
    for (size_t i = 0; i < params->count; i++)
        if (params->items[i].element_count > largest)
            largest = params->items[i].element_count;
    trainer->values = malloc(largest * sizeof *trainer->values);
    if (!trainer->values)
        return clv_fail_memory("a trainer");
    return fill_parameters(trainer, start);
}

static int clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

static int create_encoder(struct clv_trainer *trainer)
{
    const struct clv_model_config *config = &trainer->config;
    const int frames = config->frame_count;
    const int windows = clamp(TOKEN_BATCH / (frames * config->token_count), 1, WINDOW_BATCH_MAX);
    const struct clv_encoder_options options = {
        .slot_count = windows * frames,
        .frame_batch_max = clamp(TOKEN_BATCH / config->token_count, 1, windows * frames),
        .window_batch_max = windows,
    };
    return clv_learner_encoder(&trainer->encoder, trainer->learner, &options);
}

/* ---- memory of a pass ------------------------------------------------------------------------ */

/* Checked product of counts; 0 after an overflow. */
static size_t product(size_t a, size_t b)
{
    size_t out;
    return clv_size_multiply(&out, a, b) ? out : 0;
}

static int allocate(struct clv_trainer *trainer)
{
    const size_t batch = (size_t)trainer->options.batch_size;
    const size_t classes = (size_t)trainer->class_count, embed = (size_t)trainer->config.embed_dim;
    const size_t texts = (size_t)texts_of_a_pass(trainer);
    const bool is_frozen = trainer->options.freeze_text;
    trainer->labels = calloc(product(batch, classes > batch ? classes : batch), sizeof(float));
    trainer->classes = calloc(batch, sizeof *trainer->classes);
    trainer->ids = calloc((size_t)longest_pass(trainer) + 1, sizeof *trainer->ids);
    trainer->starts = calloc(texts + 1, sizeof *trainer->starts);
    trainer->chosen = calloc(texts, sizeof *trainer->chosen);
    trainer->features = calloc(is_frozen ? product(texts, embed) : 1, sizeof(float));
    trainer->prompt_features =
        calloc(product((size_t)trainer->prompts.count, embed) + 1, sizeof(float));
    trainer->sentence_features =
        calloc(is_frozen ? product((size_t)trainer->sentences.count, embed) + 1 : 1, sizeof(float));
    trainer->is_named[0] = calloc((size_t)trainer->training->clip_count, 1);
    trainer->is_named[1] =
        calloc(trainer->validation ? (size_t)trainer->validation->clip_count : 1, 1);
    if (!trainer->labels || !trainer->classes || !trainer->ids || !trainer->starts ||
        !trainer->chosen || !trainer->features || !trainer->prompt_features ||
        !trainer->sentence_features || !trainer->is_named[0] || !trainer->is_named[1])
        return clv_fail_memory("a trainer");
    return CLV_OK;
}

static int copy_options(struct clv_trainer *trainer, const struct clv_trainer_start *start,
                        const struct clv_trainer_options *options)
{
    const size_t count = options->metadata_count;
    trainer->options = *options;
    trainer->options.metadata = NULL;
    trainer->options.directory = NULL;
    trainer->metadata_texts = calloc(2 * count + 1, sizeof *trainer->metadata_texts);
    /* Without its folder: weights are handed on, and whose disk they lay on is no one's business.
     */
    trainer->started_from =
        strdup(start->weights ? clv_path_base(clv_weights_path(start->weights)) : "random");
    if (options->directory)
        trainer->directory = strdup(options->directory);
    bool is_copied = trainer->metadata_texts && trainer->started_from &&
                     (trainer->directory || !options->directory);
    for (size_t i = 0; i < count && is_copied; i++) {
        trainer->metadata_texts[2 * i] = strdup(options->metadata[i].key);
        trainer->metadata_texts[2 * i + 1] = strdup(options->metadata[i].value);
        is_copied = trainer->metadata_texts[2 * i] && trainer->metadata_texts[2 * i + 1];
    }
    return is_copied ? CLV_OK : clv_fail_memory("a trainer's options");
}

static int create_loader(struct clv_trainer *trainer)
{
    const struct clv_trainer_options *options = &trainer->options;
    const struct clv_loader_options wanted = {.seed = options->seed,
                                              .batch_size = options->batch_size,
                                              .prefetch = options->prefetch,
                                              .caption_share = options->caption_share,
                                              .augment = &options->augment};
    int status = clv_loader_create(&trainer->loader, trainer->training, &trainer->config, &wanted);
    if (status != CLV_OK)
        return status;
    const int64_t passes = clv_loader_pass_count(trainer->loader);
    trainer->passes_an_epoch = passes;
    trainer->steps_an_epoch = (passes + options->accumulate - 1) / options->accumulate;
    trainer->schedule = (struct clv_schedule){
        .lr = (double)options->step.lr,
        .lr_min = (double)options->step.lr * (double)options->lr_min_factor,
        .warmup = llround(options->warmup_epochs * (double)passes),
        .total = passes * options->epoch_count,
    };
    return CLV_OK;
}

int clv_trainer_create(struct clv_trainer **out, struct clv_device *device,
                       const struct clv_trainer_start *start, const struct clv_trainer_data *data,
                       const struct clv_trainer_options *options)
{
    *out = NULL;
    int status = clv_trainer_check(options);
    if (status == CLV_OK)
        status = clv_clips_check(data->training);
    if (status == CLV_OK && data->validation)
        status = clv_clips_check(data->validation);
    if (status != CLV_OK)
        return status;
    struct clv_trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer)
        return clv_fail_memory("a trainer");
    trainer->training = data->training;
    trainer->validation = data->validation;
    trainer->config = *start->config;
    trainer->state.best = -1;
    int (*const steps[])(struct clv_trainer *) = {allocate, create_loader, create_encoder,
                                                  clv_trainer_encode_frozen,
                                                  clv_trainer_list_entries};
    status = copy_options(trainer, start, options);
    if (status == CLV_OK)
        status = settle_losses(trainer, data);
    if (status == CLV_OK)
        status = open_vocabulary(trainer, start);
    if (status == CLV_OK)
        status = tokenize(trainer, data);
    if (status == CLV_OK)
        status = create_learner(trainer, device, start);
    if (status == CLV_OK)
        digest_data(trainer, data);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == CLV_OK; i++)
        status = steps[i](trainer);
    if (status == CLV_OK && trainer->directory)
        status = clv_directory_create(trainer->directory);
    if (status == CLV_OK)
        *out = trainer;
    else
        clv_trainer_free(trainer);
    return status;
}

void clv_trainer_free(struct clv_trainer *trainer)
{
    if (!trainer)
        return;
    clv_loader_free(trainer->loader);
    clv_encoder_free(trainer->encoder);
    clv_learners_free(trainer->learners);
    clv_tokenizer_close(trainer->tokenizer);
    clv_vocabulary_files_release(&trainer->vocabulary);
    clv_texts_release(&trainer->prompts);
    clv_texts_release(&trainer->sentences);
    clv_trainer_release_entries(trainer);
    for (size_t i = 0; trainer->metadata_texts && i < 2 * trainer->options.metadata_count; i++)
        free(trainer->metadata_texts[i]);
    void *const blocks[] = {trainer->metadata_texts,
                            trainer->started_from,
                            trainer->machine,
                            trainer->directory,
                            trainer->prompt_features,
                            trainer->sentence_features,
                            trainer->is_named[0],
                            trainer->is_named[1],
                            trainer->labels,
                            trainer->classes,
                            trainer->ids,
                            trainer->starts,
                            trainer->features,
                            trainer->chosen,
                            trainer->values};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        free(blocks[i]);
    free(trainer);
}
