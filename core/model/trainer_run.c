/* Epochs: steps, validation, checkpoints, and what is told of them. */
#include "core/clock.h"
#include "core/error.h"
#include "core/model/trainer_state.h"

#include <stdlib.h>
#include <string.h>

#define PACE_SHARE 0.05 /* of the newest step in what a step is said to take */

/* ---- telling --------------------------------------------------------------------------------- */

double clv_trainer_seconds(const struct clv_trainer *trainer)
{
    return trainer->run_seconds_before + clv_clock_seconds() - trainer->run_started;
}

void clv_trainer_tell(struct clv_trainer *trainer, struct clv_trainer_event *event)
{
    const int64_t steps = clv_trainer_step_count(trainer);
    if (!trainer->progress)
        return;
    event->epoch = (int)trainer->state.epochs_closed;
    event->epoch_count = trainer->options.epoch_count;
    event->step = trainer->state.steps;
    event->step_count = steps;
    event->clips_per_s = trainer->clips_per_s;
    event->seconds_left = trainer->step_seconds > 0
                              ? trainer->step_seconds * (double)(steps - trainer->state.steps)
                              : -1;
    event->best = trainer->state.best;
    trainer->progress(trainer->payload, event);
}

/* Follows the pace of the steps; the first of a run also waits for the first clips. */
static void follow_pace(struct clv_trainer *trainer, double seconds, int64_t clip_count)
{
    const double share = trainer->step_seconds > 0 ? PACE_SHARE : 1;
    trainer->step_seconds += share * (seconds - trainer->step_seconds);
    if (seconds > 0)
        trainer->clips_per_s += share * ((double)clip_count / seconds - trainer->clips_per_s);
}

/* ---- validation ------------------------------------------------------------------------------ */

int clv_trainer_encode_prompts(struct clv_trainer *trainer)
{
    if (trainer->prompts.count == 0)
        return CLV_OK;
    return clv_encoder_text(trainer->encoder, trainer->prompt_features, trainer->prompts.ids,
                            trainer->prompts.starts, trainer->prompts.count);
}

int clv_trainer_encode_frozen(struct clv_trainer *trainer)
{
    if (!trainer->options.freeze_text)
        return CLV_OK;
    int status = clv_trainer_encode_prompts(trainer);
    if (status == CLV_OK && trainer->sentences.count)
        status =
            clv_encoder_text(trainer->encoder, trainer->sentence_features, trainer->sentences.ids,
                             trainer->sentences.starts, trainer->sentences.count);
    return status;
}

/* Features of each clip's first sentence; the caller frees. */
static int encode_sentences(struct clv_trainer *trainer, float **out, const struct clv_clips *clips)
{
    const size_t count = (size_t)clips->clip_count;
    const char **first = malloc(count * sizeof *first);
    struct clv_texts texts = {0};
    *out = malloc(count * (size_t)trainer->config.embed_dim * sizeof **out);
    int status = first && *out ? CLV_OK : clv_fail_memory("the sentences of clips");
    for (size_t i = 0; i < count && status == CLV_OK; i++)
        first[i] = clips->sentences[clips->sentence_starts[i]];
    if (status == CLV_OK)
        status = clv_texts_init(&texts, trainer->tokenizer, first, clips->clip_count,
                                trainer->config.context_length);
    if (status == CLV_OK)
        status = clv_encoder_text(trainer->encoder, *out, texts.ids, texts.starts, texts.count);
    clv_texts_release(&texts);
    free(first);
    return status;
}

static void tell_validated(void *payload, int clip, int done_count, int clip_count,
                           const char *message)
{
    struct clv_trainer *trainer = payload;
    struct clv_trainer_event event = {.kind = CLV_TRAINER_VALIDATING,
                                      .clip = clip,
                                      .is_validation = true,
                                      .done_count = done_count,
                                      .clip_count = clip_count};
    if (message && !trainer->is_named[1][clip]) {
        struct clv_trainer_event skipped = {.kind = CLV_TRAINER_SKIPPED,
                                            .clip = clip,
                                            .is_validation = true,
                                            .message = message,
                                            .skipped_count = ++trainer->named_count};
        trainer->is_named[1][clip] = true;
        clv_trainer_tell(trainer, &skipped);
    }
    clv_trainer_tell(trainer, &event);
}

static int validate(struct clv_trainer *trainer, struct clv_validation *out,
                    const struct clv_clips *clips, clv_validate_progress *progress,
                    struct clv_cancel *cancel)
{
    const struct clv_params *params = clv_learner_params(trainer->learner);
    float logit_scale, *sentences = NULL;
    *out = (struct clv_validation){0};
    int status = clv_learner_read(trainer->learner, &logit_scale, CLV_LEARNER_VALUE,
                                  (size_t)params->single[CLV_PARAM_LOGIT_SCALE]);
    if (status == CLV_OK && clips->class_count != trainer->training->class_count)
        status = clv_fail(CLV_EINVAL, "clips have %d classes, those trained on %d",
                          clips->class_count, trainer->training->class_count);
    if (status == CLV_OK && !trainer->options.freeze_text)
        status = clv_trainer_encode_prompts(trainer);
    if (status == CLV_OK && clips->sentences)
        status = encode_sentences(trainer, &sentences, clips);
    const struct clv_validate_options options = {
        .text_features = trainer->class_count ? trainer->prompt_features : NULL,
        .prompt_count = trainer->prompt_count,
        .sentence_features = sentences,
        .progress = progress,
        .payload = trainer,
        .cancel = cancel,
        .logit_scale = &logit_scale,
    };
    if (status == CLV_OK)
        status = clv_validate(out, trainer->encoder, clips, &options);
    free(sentences);
    return status;
}

int clv_trainer_validate(struct clv_trainer *trainer, struct clv_validation *out,
                         const struct clv_clips *clips, struct clv_cancel *cancel)
{
    return validate(trainer, out, clips, NULL, cancel);
}

int clv_trainer_end_epoch(const struct clv_trainer *trainer)
{
    const struct clv_trainer_options *options = &trainer->options;
    const bool is_short = options->stop_epoch > 0 && options->stop_epoch < options->epoch_count;
    return is_short ? options->stop_epoch : options->epoch_count;
}

/* ---- the end of an epoch --------------------------------------------------------------------- */

static bool is_validated(const struct clv_trainer *trainer)
{
    const int64_t epoch = trainer->state.epochs_closed + 1;
    const int every = trainer->options.validation_epochs;
    return trainer->validation && every > 0 &&
           (epoch % every == 0 || epoch == clv_trainer_end_epoch(trainer));
}

static void tell_epoch(struct clv_trainer *trainer, const struct clv_validation *validation,
                       bool is_best)
{
    const struct clv_trainer_state *state = &trainer->state;
    const double count = state->loss_count > 0 ? (double)state->loss_count : 1;
    struct clv_trainer_event event = {
        .kind = CLV_TRAINER_EPOCH,
        .loss = state->loss_sum / count,
        .gradient_norm = state->norm_sum / count,
        .lr = clv_schedule_rate(&trainer->schedule,
                                (state->epochs_closed + 1) * trainer->passes_an_epoch),
        .clip_count = (int)state->clip_count,
        .skipped_count = (int)state->skipped_count,
        .validation = validation,
        .is_best = is_best};
    clv_trainer_tell(trainer, &event);
}

/* Validates, tells, saves, and begins the next one's sums. */
static int close_epoch(struct clv_trainer *trainer)
{
    struct clv_trainer_state *state = &trainer->state;
    struct clv_validation validation = {0};
    const bool validates = is_validated(trainer);
    bool is_best = false;
    int status = CLV_OK;
    if (state->clip_count == 0)
        return clv_fail(CLV_EINVAL, "none of %d clips can be read", trainer->training->clip_count);
    if (validates)
        status =
            validate(trainer, &validation, trainer->validation, tell_validated, trainer->cancel);
    if (status != CLV_OK) { /* what was trained is not lost */
        int saved = clv_trainer_save(trainer, "last.safetensors", true);
        return saved == CLV_OK ? status : saved;
    }
    const double reached = trainer->class_count ? validation.top1 : validation.recall1;
    if (validates && reached > state->best) {
        state->best = reached;
        is_best = true;
    }
    tell_epoch(trainer, validates ? &validation : NULL, is_best);
    clv_validation_release(&validation);
    *state = (struct clv_trainer_state){.steps = state->steps,
                                        .epochs_closed = state->epochs_closed + 1,
                                        .best = state->best,
                                        .seconds = clv_trainer_seconds(trainer)};
    if (is_best)
        status = clv_trainer_save(trainer, "best.safetensors", false);
    if (status == CLV_OK)
        status = clv_trainer_save(trainer, "last.safetensors", true);
    return status;
}

/* ---- runs ------------------------------------------------------------------------------------ */

static int stop(struct clv_trainer *trainer)
{
    trainer->state.seconds = clv_trainer_seconds(trainer);
    int status = clv_trainer_save(trainer, "last.safetensors", true);
    return status == CLV_OK ? clv_fail(CLV_ECANCELED, "training was canceled") : status;
}

/* The steps that are left of the epoch. */
static int run_steps(struct clv_trainer *trainer)
{
    struct clv_trainer_state *state = &trainer->state;
    const int64_t epoch = state->epochs_closed;
    const int64_t last = (epoch + 1) * trainer->steps_an_epoch;
    const int64_t in_epoch = state->steps - epoch * trainer->steps_an_epoch;
    if (state->steps == last)
        return CLV_OK;
    int status = clv_loader_start(
        trainer->loader, epoch * trainer->passes_an_epoch + in_epoch * trainer->options.accumulate,
        (epoch + 1) * trainer->passes_an_epoch);
    for (bool is_first = true; status == CLV_OK && state->steps < last; is_first = false) {
        const double started = clv_clock_seconds();
        const int64_t clips = state->clip_count;
        status = clv_trainer_take_step(trainer);
        if (!is_first || trainer->steps_an_epoch == 1)
            follow_pace(trainer, clv_clock_seconds() - started, state->clip_count - clips);
        if (status != CLV_OK || state->steps == last)
            break;
        if (clv_cancelled(trainer->cancel)) {
            status = stop(trainer);
        } else if (trainer->options.save_steps && state->steps % trainer->options.save_steps == 0) {
            state->seconds = clv_trainer_seconds(trainer);
            status = clv_trainer_save(trainer, "last.safetensors", true);
        }
    }
    clv_loader_stop(trainer->loader);
    return status;
}

static int run(struct clv_trainer *trainer)
{
    const int end = clv_trainer_end_epoch(trainer);
    int status = CLV_OK;
    while (status == CLV_OK && trainer->state.epochs_closed < end) {
        if (clv_cancelled(trainer->cancel))
            return stop(trainer);
        status = run_steps(trainer);
        if (status == CLV_OK && clv_cancelled(trainer->cancel))
            return stop(trainer);
        if (status == CLV_OK)
            status = close_epoch(trainer);
    }
    if (status == CLV_OK)
        status = clv_trainer_save(trainer, "model.safetensors", false);
    return status;
}

int clv_trainer_run(struct clv_trainer *trainer, clv_trainer_progress *progress, void *payload,
                    struct clv_cancel *cancel)
{
    trainer->progress = progress;
    trainer->payload = payload;
    trainer->cancel = cancel;
    trainer->run_started = clv_clock_seconds();
    trainer->run_seconds_before = trainer->state.seconds;
    int status = run(trainer);
    trainer->state.seconds = clv_trainer_seconds(trainer);
    trainer->progress = NULL;
    trainer->cancel = NULL;
    trainer->run_started = clv_clock_seconds();
    trainer->run_seconds_before = trainer->state.seconds;
    return status;
}
