#include "core/error.h"
#include "core/model/trainer_state.h"

#include <math.h>
#include <string.h>

#define COUNT_LIMIT (1 << 20)

const struct clv_trainer_options clv_trainer_defaults = {
    .seed = 3047,
    .epoch_count = 60,
    .batch_size = 8,
    .accumulate = 4,
    .warmup_epochs = 5,
    .lr_min_factor = 0.01f,
    .step = {.lr = 1.2e-5f,
             .lr_temporal_factor = 10,
             .beta1 = 0.9f,
             .beta2 = 0.98f,
             .eps = 1e-8f,
             .weight_decay = 1e-3f},
    .prompt_slots = 5,
    .label_smoothing = 0.1f,
    .augment = CLV_AUGMENT_DEFAULTS,
    .mix = {.probability = 1, .mixup_alpha = 0.8f, .cutmix_alpha = 1, .switch_probability = 0.5f},
    .prefetch = 2,
    .validation_epochs = 1,
};

static int check_count(const char *what, int value, int least)
{
    if (value >= least && value <= COUNT_LIMIT)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "the %s of %d is not in %d..%d", what, value, least, COUNT_LIMIT);
}

/* In low..high, high included; NaN is nowhere. */
static int check_number(const char *what, double value, double low, double high)
{
    if (value >= low && value <= high)
        return CLV_OK;
    return clv_fail(CLV_EINVAL, "the %s of %g is not in %g..%g", what, value, low, high);
}

int clv_trainer_check(const struct clv_trainer_options *options)
{
    const struct {
        const char *what;
        int value, least;
    } counts[] = {
        {"number of epochs", options->epoch_count, 1},
        {"batch size", options->batch_size, 1},
        {"number of passes a step", options->accumulate, 1},
        {"number of prompts a pass", options->prompt_slots, 1},
        {"number of clips in memory", options->clip_batch_max, 0},
        {"number of text tokens in memory", options->text_batch_max, 0},
        {"number of passes read ahead", options->prefetch, 1},
        {"number of epochs between validations", options->validation_epochs, 0},
        {"number of steps between checkpoints", options->save_steps, 0},
        {"number of epochs to stop after", options->stop_epoch, 0},
        {"number of more devices", options->more_device_count, 0},
    };
    const struct {
        const char *what;
        double value, low, high;
    } numbers[] = {
        {"number of warm-up epochs", options->warmup_epochs, 0, COUNT_LIMIT},
        {"learning rate", (double)options->step.lr, 0, 10},
        {"temporal factor of the learning rate", (double)options->step.lr_temporal_factor, 0, 1e6},
        {"least learning rate's factor", (double)options->lr_min_factor, 0, 1},
        {"weight decay", (double)options->step.weight_decay, 0, 10},
        {"beta 1", (double)options->step.beta1, 0, 0.999999},
        {"beta 2", (double)options->step.beta2, 0, 0.999999},
        {"epsilon", (double)options->step.eps, 1e-30, 1},
        {"gradient's greatest norm", (double)options->step.clip_norm, 0, 1e30},
        {"label smoothing", (double)options->label_smoothing, 0, 0.999},
        {"share of captions", (double)options->caption_share, 0, 1},
        {"probability of mixing", (double)options->mix.probability, 0, 1},
        {"probability of cutmix", (double)options->mix.switch_probability, 0, 1},
        {"mixup's alpha", (double)options->mix.mixup_alpha, 0, 1e6},
        {"cutmix's alpha", (double)options->mix.cutmix_alpha, 0, 1e6},
    };
    int status = clv_augment_check(&options->augment);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && status == CLV_OK; i++)
        status = check_count(counts[i].what, counts[i].value, counts[i].least);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == CLV_OK; i++)
        status = check_number(numbers[i].what, numbers[i].value, numbers[i].low, numbers[i].high);
    if (status == CLV_OK && options->freeze_text && options->freeze_image &&
        options->freeze_temporal)
        status = clv_fail(CLV_EINVAL, "text, image and temporal branch are all frozen: nothing is "
                                      "left to train");
    return status;
}

static void put_augment(struct clv_json *json, const struct clv_augment_options *augment)
{
    clv_json_put_bool(json, "crops", augment->crops);
    clv_json_put_number(json, "flip", (double)augment->flip);
    clv_json_put_number(json, "jitter", (double)augment->jitter);
    clv_json_put_number(json, "brightness", (double)augment->brightness);
    clv_json_put_number(json, "contrast", (double)augment->contrast);
    clv_json_put_number(json, "saturation", (double)augment->saturation);
    clv_json_put_number(json, "hue", (double)augment->hue);
    clv_json_put_bool(json, "jitter_per_clip", augment->is_jitter_per_clip);
    clv_json_put_number(json, "grayscale", (double)augment->grayscale);
}

static void put_step(struct clv_json *json, const struct clv_learner_step_options *step)
{
    clv_json_put_number(json, "lr", (double)step->lr);
    clv_json_put_number(json, "lr_temporal_factor", (double)step->lr_temporal_factor);
    clv_json_put_number(json, "beta1", (double)step->beta1);
    clv_json_put_number(json, "beta2", (double)step->beta2);
    clv_json_put_number(json, "eps", (double)step->eps);
    clv_json_put_number(json, "weight_decay", (double)step->weight_decay);
    clv_json_put_number(json, "clip_norm", (double)step->clip_norm);
}

struct clv_json *clv_trainer_options_json(const struct clv_trainer *trainer)
{
    const struct clv_trainer_options *options = &trainer->options;
    char digest[CLV_DIGEST_TEXT_SIZE];
    struct clv_json *json = clv_json_object();
    clv_json_put_integer(json, "seed", (int64_t)options->seed);
    clv_json_put_integer(json, "epochs", options->epoch_count);
    clv_json_put_integer(json, "batch_size", options->batch_size);
    clv_json_put_integer(json, "accumulate", options->accumulate);
    clv_json_put_number(json, "warmup_epochs", options->warmup_epochs);
    clv_json_put_number(json, "lr_min_factor", (double)options->lr_min_factor);
    put_step(json, &options->step);
    clv_json_put_integer(json, "prompt_slots", options->prompt_slots);
    clv_json_put_number(json, "label_smoothing", (double)options->label_smoothing);
    clv_json_put_number(json, "caption_share", (double)options->caption_share);
    put_augment(json, &options->augment);
    clv_json_put_number(json, "mix_probability", (double)options->mix.probability);
    clv_json_put_number(json, "mixup_alpha", (double)options->mix.mixup_alpha);
    clv_json_put_number(json, "cutmix_alpha", (double)options->mix.cutmix_alpha);
    clv_json_put_number(json, "mix_switch_probability", (double)options->mix.switch_probability);
    clv_json_put_bool(json, "freeze_text", options->freeze_text);
    clv_json_put_bool(json, "freeze_image", options->freeze_image);
    clv_json_put_bool(json, "freeze_temporal", options->freeze_temporal);
    clv_json_put_number(json, "drop_path", (double)options->drop_path);
    clv_json_put_integer(json, "clip_batch_max", options->clip_batch_max);
    clv_json_put_integer(json, "text_batch_max", options->text_batch_max);
    clv_json_put_string(json, "mask", clv_config_mask_name(&trainer->config));
    clv_json_put_integer(json, "frames", trainer->config.frame_count);
    clv_json_put_integer(json, "clips", trainer->training->clip_count);
    clv_json_put_integer(json, "classes", trainer->class_count);
    clv_json_put_integer(json, "prompts", trainer->prompt_count);
    clv_json_put_string(json, "data", clv_digest_text(digest, trainer->data_digest));
    return json;
}

struct agreeing {
    const struct clv_json *stored;
    const char *path;
};

static int agree(const char *key, const struct clv_json *value, void *payload)
{
    const struct agreeing *agreeing = payload;
    const struct clv_json *stored = clv_json_get(agreeing->stored, key);
    struct clv_bytes mine = {0}, theirs = {0};
    int status = clv_json_write(&mine, value, false);
    if (status == CLV_OK && stored)
        status = clv_json_write(&theirs, stored, false);
    if (status == CLV_OK && (!stored || strcmp(mine.data, theirs.data) != 0))
        status = clv_fail(CLV_EINVAL, "'%s' was written with %s %s, this training has %s",
                          agreeing->path, key, stored ? theirs.data : "unknown", mine.data);
    clv_bytes_release(&mine);
    clv_bytes_release(&theirs);
    return status;
}

int clv_trainer_agree(const struct clv_trainer *trainer, const char *text, const char *path)
{
    struct clv_json *stored = NULL, *mine = NULL, *settled = NULL;
    struct clv_bytes bytes = {0};
    int status = clv_json_parse(&stored, text, strlen(text), path);
    if (status == CLV_OK) {
        /* Through text, as the stored ones went. */
        mine = clv_trainer_options_json(trainer);
        status = clv_json_write(&bytes, mine, false);
    }
    if (status == CLV_OK)
        status = clv_json_parse(&settled, bytes.data, bytes.size_bytes, path);
    if (status == CLV_OK)
        status = clv_json_members(settled, agree, &(struct agreeing){stored, path});
    clv_bytes_release(&bytes);
    clv_json_free(stored);
    clv_json_free(mine);
    clv_json_free(settled);
    return status;
}
