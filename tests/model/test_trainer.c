/* Training on moving squares: that it learns the order of frames, goes on bit-equal after a stop,
 * leaves alone what is frozen, survives broken clips, and writes models that open. */
#include "core/model/trainer.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/model.h"
#include "core/model/params.h"
#include "tests/devices.h"
#include "tests/model/squares.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 12, PATCH = 4, FRAMES = 4, SEEN_MAX = 64 };

static struct clv_device *device;
static const char *directory, *vocabulary;

/* What was told. */
struct seen {
    int steps, epochs, saved, skipped[2], validated;
    double losses[SEEN_MAX], rates[SEEN_MAX];
    char skipped_message[256];
    double top1, best;
    int stop_after; /* steps; 0: never */
    struct clv_cancel cancel;
};

static void look(void *payload, const struct clv_trainer_event *event)
{
    struct seen *seen = payload;
    switch (event->kind) {
    case CLV_TRAINER_STEP:
        if (event->step <= SEEN_MAX) {
            seen->losses[event->step - 1] = event->loss;
            seen->rates[event->step - 1] = event->lr;
        }
        if (++seen->steps == seen->stop_after)
            clv_cancel_request(&seen->cancel);
        break;
    case CLV_TRAINER_SKIPPED:
        seen->skipped[event->is_validation]++;
        snprintf(seen->skipped_message, sizeof seen->skipped_message, "%s", event->message);
        break;
    case CLV_TRAINER_VALIDATING:
        seen->validated++;
        break;
    case CLV_TRAINER_EPOCH:
        seen->epochs++;
        seen->best = event->best;
        seen->top1 = event->validation ? event->validation->top1 : -1;
        break;
    case CLV_TRAINER_SAVED:
        seen->saved++;
        break;
    }
}

static struct clv_trainer_options plain_options(void)
{
    struct clv_trainer_options options = clv_trainer_defaults;
    options.seed = 1;
    options.epoch_count = 1;
    options.accumulate = 1;
    options.warmup_epochs = 0;
    options.step.lr = 2e-3f;
    options.step.lr_temporal_factor = 1;
    options.label_smoothing = 0;
    options.augment = (struct clv_augment_options){0};
    options.mix.probability = 0;
    return options;
}

/* Everything there is, on few clips: two epochs of five passes, two a step. */
static struct clv_trainer_options full_options(void)
{
    struct clv_trainer_options options = clv_trainer_defaults;
    options.seed = 5;
    options.epoch_count = 2;
    options.batch_size = 4;
    options.accumulate = 2;
    options.warmup_epochs = 0.5;
    options.step.lr = 1e-3f;
    options.caption_share = 0.4f;
    options.drop_path = 0.2f;
    return options;
}

static int new_trainer(struct clv_trainer **out, int temporal_layers,
                       const struct squares *training, const struct squares *validation,
                       const struct clv_trainer_options *options)
{
    struct clv_model_config config;
    const struct clv_trainer_start start = {.config = &config,
                                            .temporal = CLV_TEMPORAL_IDENTITY,
                                            .embedding_std = 0.3f,
                                            .temporal_std = 1.5f,
                                            .text_std = 0.3f,
                                            .vocabulary_path = vocabulary};
    const struct clv_trainer_data data = {.training = &training->clips,
                                          .validation = validation ? &validation->clips : NULL,
                                          .prompts = square_prompts,
                                          .prompt_count = SQUARE_PROMPTS};
    square_network(&config, SIDE, PATCH, 48, 1, temporal_layers, FRAMES, CLV_MASK_KMT);
    return clv_trainer_create(out, device, &start, &data, options);
}

/* A copy of part of all parameters, those without it left zero. */
static float *copy_part(const struct clv_trainer *trainer, enum clv_learner_part part)
{
    const struct clv_learner *learner = clv_trainer_learner(trainer);
    const struct clv_params *params = clv_learner_params(learner);
    float *out = calloc((size_t)params->element_count, sizeof *out), *at = out;
    for (size_t i = 0; out && i < params->count; at += params->items[i].element_count, i++)
        if (part == CLV_LEARNER_VALUE || params->items[i].trainable)
            CHECK_OK(clv_learner_read(learner, at, part, i));
    return out;
}

static void check_same_state(const struct clv_trainer *a, const struct clv_trainer *b)
{
    static const enum clv_learner_part parts[] = {CLV_LEARNER_VALUE, CLV_LEARNER_MOMENT_1,
                                                  CLV_LEARNER_MOMENT_2};
    const size_t count = (size_t)clv_learner_params(clv_trainer_learner(a))->element_count;
    for (int i = 0; i < 3; i++) {
        float *x = copy_part(a, parts[i]), *y = copy_part(b, parts[i]);
        CHECK(x && y && memcmp(x, y, count * sizeof *x) == 0);
        free(x);
        free(y);
    }
    CHECK_INT(clv_trainer_steps_taken(a), clv_trainer_steps_taken(b));
    CHECK_INT(clv_learner_step_count(clv_trainer_learner(a)),
              clv_learner_step_count(clv_trainer_learner(b)));
}

/* ---- learning -------------------------------------------------------------------------------- */

static double pair_accuracy(int temporal_layers, int steps)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL;
    struct squares training, fresh;
    struct clv_validation found = {0};
    options.batch_size = 32;
    options.prompt_slots = 1;
    options.warmup_epochs = 50.0 / steps;
    options.freeze_text = true;
    CHECK(squares_create(&training, 32 * steps, SIDE, 1, false) &&
          squares_create(&fresh, 512, SIDE, 99, false));
    int status = new_trainer(&trainer, temporal_layers, &training, NULL, &options);
    if (status == CLV_OK)
        status = clv_trainer_run(trainer, NULL, NULL, NULL);
    if (status == CLV_OK)
        status = clv_trainer_validate(trainer, &found, &fresh.clips, NULL);
    CHECK_OK(status);
    CHECK_INT(found.pair_count, 512);
    CHECK_INT(found.clip_count, 512);
    const double accuracy = found.pair_accuracy;
    clv_validation_release(&found);
    clv_trainer_free(trainer);
    squares_release(&training);
    squares_release(&fresh);
    return accuracy;
}

static void temporal_attention_learns_the_order_of_frames(void)
{
    const double kmt = pair_accuracy(1, 1000);
    if (!(kmt >= 0.93))
        t_fail(__FILE__, __LINE__, "KMT tells %.3f of reversed pairs apart", kmt);
}

static void mean_pooling_stays_at_chance(void)
{
    CHECK_NEAR(pair_accuracy(0, 200), 0.5, 0.08);
}

/* ---- going on -------------------------------------------------------------------------------- */

/* Runs with everything on, and stops after `stop_after` steps. */
static int run_full(struct clv_trainer *trainer, struct seen *seen, int stop_after)
{
    *seen = (struct seen){.stop_after = stop_after};
    return clv_trainer_run(trainer, look, seen, &seen->cancel);
}

static void stop_and_resume_is_bit_equal_to_not_stopping(void)
{
    struct clv_trainer_options options = full_options();
    struct clv_trainer *whole = NULL, *stopped = NULL, *resumed = NULL;
    struct squares squares, validation;
    static struct seen want, first, second;
    REQUIRE(squares_create(&squares, 19, SIDE, 3, true));
    REQUIRE(squares_create(&validation, 8, SIDE, 4, true));
    squares.broken = 7;
    REQUIRE_OK(new_trainer(&whole, 1, &squares, &validation, &options));
    REQUIRE_OK(run_full(whole, &want, 0));
    CHECK_INT(clv_trainer_step_count(whole), 6);
    CHECK_INT(want.epochs, 2);
    for (int stop = 1; stop < 6; stop++) {
        options.directory = t_path(directory, "resume");
        options.prefetch = stop;
        REQUIRE_OK(new_trainer(&stopped, 1, &squares, &validation, &options));
        CHECK_ERROR(run_full(stopped, &first, stop), CLV_ECANCELED, "canceled");
        CHECK_INT(clv_trainer_steps_taken(stopped), stop);
        clv_trainer_free(stopped);
        REQUIRE_OK(new_trainer(&resumed, 1, &squares, &validation, &options));
        REQUIRE_OK(clv_trainer_resume(resumed, t_path(directory, "resume/last.safetensors")));
        REQUIRE_OK(run_full(resumed, &second, 0));
        check_same_state(whole, resumed);
        for (int i = 0; i < 6; i++)
            CHECK((i < stop ? first : second).losses[i] == want.losses[i]);
        CHECK(second.top1 == want.top1 && second.best == want.best);
        clv_trainer_free(resumed);
    }
    clv_trainer_free(whole);
    squares_release(&squares);
    squares_release(&validation);
}

static void the_same_trainer_goes_on_after_a_stop(void)
{
    const struct clv_trainer_options options = full_options();
    struct clv_trainer *whole = NULL, *stopped = NULL;
    struct squares squares;
    static struct seen seen;
    REQUIRE(squares_create(&squares, 19, SIDE, 3, true));
    REQUIRE_OK(new_trainer(&whole, 1, &squares, NULL, &options));
    REQUIRE_OK(run_full(whole, &seen, 0));
    REQUIRE_OK(new_trainer(&stopped, 1, &squares, NULL, &options));
    CHECK_ERROR(run_full(stopped, &seen, 2), CLV_ECANCELED, "canceled");
    REQUIRE_OK(run_full(stopped, &seen, 0));
    check_same_state(whole, stopped);
    clv_trainer_free(whole);
    clv_trainer_free(stopped);
    squares_release(&squares);
}

static void other_options_data_or_files_do_not_go_on(void)
{
    struct clv_trainer_options options = full_options();
    struct clv_trainer *trainer = NULL;
    struct squares squares, others;
    static struct seen seen;
    const char *path = t_path(directory, "other/last.safetensors");
    options.directory = t_path(directory, "other");
    REQUIRE(squares_create(&squares, 19, SIDE, 3, true));
    REQUIRE(squares_create(&others, 20, SIDE, 3, true));
    REQUIRE_OK(new_trainer(&trainer, 1, &squares, NULL, &options));
    CHECK_ERROR(run_full(trainer, &seen, 1), CLV_ECANCELED, "");
    CHECK_OK(clv_trainer_save_model(trainer, t_path(directory, "plain.safetensors")));
    clv_trainer_free(trainer);
    options.mix.mixup_alpha = 0.7f;
    REQUIRE_OK(new_trainer(&trainer, 1, &squares, NULL, &options));
    CHECK_ERROR(clv_trainer_resume(trainer, path), CLV_EINVAL, "mixup_alpha 0.8");
    clv_trainer_free(trainer);
    options = full_options();
    REQUIRE_OK(new_trainer(&trainer, 1, &others, NULL, &options));
    CHECK_ERROR(clv_trainer_resume(trainer, path), CLV_EINVAL, "clips 19");
    clv_trainer_free(trainer);
    REQUIRE_OK(new_trainer(&trainer, 1, &squares, NULL, &options));
    CHECK_ERROR(clv_trainer_resume(trainer, t_path(directory, "plain.safetensors")), CLV_EINVAL,
                "no checkpoint of training");
    CHECK_ERROR(clv_trainer_resume(trainer, t_path(directory, "none")), CLV_ENOTFOUND, "none");
    clv_trainer_free(trainer);
    squares_release(&squares);
    squares_release(&others);
}

/* ---- several devices ------------------------------------------------------------------------- */

/* Of the kind under test; where there is one CUDA device it serves several times. */
static bool open_more(struct clv_device *more[2])
{
    const enum clv_device_kind kind = clv_device_kind(device);
    const int there = clv_device_count(kind);
    for (int i = 0; i < 2; i++) {
        const struct clv_device_options options = {
            .kind = kind, .thread_count = 1, .cuda_index = there > 1 ? (i + 1) % there : 0};
        CHECK_OK(clv_device_open(&more[i], &options));
        if (!more[i])
            return false;
    }
    return true;
}

/* Everything on; a gradient of nothing but rounding moves nothing. */
static struct clv_trainer_options devices_options(struct clv_device *const *more, int count)
{
    struct clv_trainer_options options = full_options();
    options.step.eps = 1e-3f;
    options.step.clip_norm = 1;
    options.more_devices = more;
    options.more_device_count = count;
    return options;
}

static void check_near_state(const struct clv_trainer *a, const struct clv_trainer *b,
                             const struct seen *seen_a, const struct seen *seen_b)
{
    const size_t count = (size_t)clv_learner_params(clv_trainer_learner(a))->element_count;
    float *x = copy_part(a, CLV_LEARNER_VALUE), *y = copy_part(b, CLV_LEARNER_VALUE);
    double worst = 0;
    for (size_t i = 0; x && y && i < count; i++)
        worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
    CHECK(x && y);
    CHECK_NEAR(worst, 0, 2e-5);
    CHECK_INT(seen_a->steps, seen_b->steps);
    CHECK_INT(seen_a->epochs, seen_b->epochs);
    CHECK_INT(seen_a->skipped[0], seen_b->skipped[0]);
    for (int i = 0; i < 6; i++)
        CHECK_NEAR(seen_a->losses[i], seen_b->losses[i], 1e-4);
    free(x);
    free(y);
}

/* Passes of four clips, the last of three, one clip broken: two or three devices, a run stopped and
 * gone on with on the same number of them or another. */
static void several_devices_train_as_one(void)
{
    struct clv_device *more[2] = {NULL, NULL};
    struct clv_trainer_options options = devices_options(NULL, 0);
    struct clv_trainer *one = NULL, *several = NULL, *resumed = NULL;
    struct squares squares;
    static struct seen want, seen, rest;
    REQUIRE(squares_create(&squares, 19, SIDE, 3, true));
    squares.broken = 7;
    REQUIRE(open_more(more));
    REQUIRE_OK(new_trainer(&one, 1, &squares, NULL, &options));
    REQUIRE_OK(run_full(one, &want, 0));
    for (int count = 1; count <= 2; count++) {
        options = devices_options(more, count);
        REQUIRE_OK(new_trainer(&several, 1, &squares, NULL, &options));
        CHECK(strstr(clv_trainer_machine(several), "; ") != NULL);
        REQUIRE_OK(run_full(several, &seen, 0));
        check_near_state(several, one, &seen, &want);
        options.directory = t_path(directory, "devices");
        REQUIRE_OK(new_trainer(&resumed, 1, &squares, NULL, &options));
        CHECK_ERROR(run_full(resumed, &rest, 3), CLV_ECANCELED, "canceled");
        clv_trainer_free(resumed);
        for (int others = 0; others <= 2; others++) {
            options = devices_options(more, others);
            REQUIRE_OK(new_trainer(&resumed, 1, &squares, NULL, &options));
            REQUIRE_OK(clv_trainer_resume(resumed, t_path(directory, "devices/last.safetensors")));
            REQUIRE_OK(run_full(resumed, &rest, 0));
            for (int i = 0; i < 3; i++)
                rest.losses[i] = want.losses[i];
            rest.steps = want.steps;
            rest.epochs = want.epochs;
            rest.skipped[0] = want.skipped[0];
            check_near_state(resumed, one, &rest, &want);
            if (others == count)
                check_same_state(resumed, several);
            clv_trainer_free(resumed);
        }
        clv_trainer_free(several);
    }
    clv_trainer_free(one);
    clv_device_close(more[0]);
    clv_device_close(more[1]);
    squares_release(&squares);
}

/* ---- readers --------------------------------------------------------------------------------- */

/* A run on clips that so many read at once; the caller frees. */
static struct clv_trainer *run_readers(struct seen *seen, int reader_count, bool has_colour)
{
    struct clv_trainer_options options = full_options();
    struct clv_trainer *trainer = NULL;
    struct squares training, validation;
    if (!has_colour)
        options.augment.jitter = options.augment.grayscale = 0;
    if (!squares_create(&training, 19, SIDE, 3, true) ||
        !squares_create(&validation, 21, SIDE, 4, true))
        abort();
    training.broken = 7;
    validation.broken = 10;
    training.clips.reader_count = validation.clips.reader_count = reader_count;
    CHECK_OK(new_trainer(&trainer, 1, &training, &validation, &options));
    if (!trainer)
        abort();
    CHECK_OK(run_full(trainer, seen, 0));
    CHECK_INT(atomic_load(&training.collisions), 0);
    CHECK_INT(atomic_load(&validation.collisions), 0);
    CHECK_INT(atomic_load(&training.reads), 2 * 19);
    CHECK_INT(atomic_load(&validation.reads), 2 * 21);
    squares_release(&training);
    squares_release(&validation);
    return trainer;
}

/* Bit for bit, in losses, parameters and validation, with broken clips among them. */
static void readers_change_nothing(void)
{
    static struct seen want, seen;
    for (int colour = 0; colour < 2; colour++) {
        struct clv_trainer *one = run_readers(&want, 1, colour);
        CHECK_INT(want.skipped[0], 1);
        CHECK_INT(want.skipped[1], 1);
        for (int readers = 2; readers <= SQUARE_READERS; readers++) {
            struct clv_trainer *several = run_readers(&seen, readers, colour);
            check_same_state(several, one);
            CHECK(memcmp(seen.losses, want.losses, sizeof want.losses) == 0);
            CHECK(seen.top1 == want.top1 && seen.best == want.best);
            CHECK_INT(seen.skipped[0], want.skipped[0]);
            CHECK_INT(seen.skipped[1], want.skipped[1]);
            CHECK_INT(seen.validated, want.validated);
            CHECK_STRING(seen.skipped_message, want.skipped_message);
            clv_trainer_free(several);
        }
        clv_trainer_free(one);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static void models_written_open_with_vocabulary_and_provenance(void)
{
    static const char *const names[] = {"last.safetensors", "best.safetensors",
                                        "model.safetensors"};
    const struct clv_weight_metadata metadata[] = {{"trained on", "squares"}};
    struct clv_trainer_options options = full_options();
    struct clv_trainer *trainer = NULL;
    struct squares squares;
    struct clv_model model;
    static struct seen seen;
    options.directory = t_path(directory, "files");
    options.metadata = metadata;
    options.metadata_count = 1;
    options.save_steps = 1;
    REQUIRE(squares_create(&squares, 19, SIDE, 3, true));
    REQUIRE_OK(new_trainer(&trainer, 1, &squares, &squares, &options));
    REQUIRE_OK(run_full(trainer, &seen, 0));
    CHECK(seen.saved >= 4 + 2 + 1 + 1);
    for (int i = 0; i < 3; i++) {
        char name[64], machine[256];
        snprintf(name, sizeof name, "files/%s", names[i]);
        REQUIRE_OK(clv_model_open(&model, t_path(directory, name), NULL));
        CHECK(model.tokenizer != NULL);
        CHECK_INT(model.config.frame_count, FRAMES);
        CHECK(model.config.mask == CLV_MASK_KMT);
        CHECK_STRING(clv_weights_metadata(model.weights, "trained on"), "squares");
        const char *training = clv_weights_metadata(model.weights, "training");
        snprintf(machine, sizeof machine, "\"machine\":\"%s\"", clv_device_name(device));
        CHECK(training && strstr(training, "\"seed\":5") && strstr(training, machine));
        CHECK((clv_weights_find(model.weights, "claverdb.moment1.visual.proj") != NULL) ==
              (i == 0));
        clv_model_release(&model);
    }
    clv_trainer_free(trainer);
    squares_release(&squares);
}

/* ---- broken clips and broken numbers --------------------------------------------------------- */

static void broken_clips_are_skipped_counted_and_named(void)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL;
    struct squares training, validation;
    static struct seen seen;
    options.epoch_count = 3;
    REQUIRE(squares_create(&training, 16, SIDE, 1, false));
    REQUIRE(squares_create(&validation, 16, SIDE, 2, false));
    training.broken = 11;
    validation.broken = 4;
    REQUIRE_OK(new_trainer(&trainer, 1, &training, &validation, &options));
    REQUIRE_OK(clv_trainer_run(trainer, look, &seen, NULL));
    CHECK_INT(seen.steps, 6);
    CHECK_INT(seen.skipped[0], 1);
    CHECK_INT(seen.skipped[1], 1);
    CHECK_INT(seen.validated, 48);
    CHECK_STRING(seen.skipped_message, "clip 4: its squares are round");
    CHECK_INT(atomic_load(&training.reads), 48);
    clv_trainer_free(trainer);
    squares_release(&training);
    squares_release(&validation);
}

static void a_source_of_broken_clips_only_is_refused(void)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL;
    struct squares training;
    REQUIRE(squares_create(&training, 1, SIDE, 1, false));
    training.broken = 0;
    REQUIRE_OK(new_trainer(&trainer, 1, &training, NULL, &options));
    CHECK_ERROR(clv_trainer_run(trainer, NULL, NULL, NULL), CLV_EINVAL, "none of 1 clips");
    clv_trainer_free(trainer);
    squares_release(&training);
}

static void a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(void)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL;
    struct squares training;
    struct clv_map before, after;
    const char *path = t_path(directory, "diverged/last.safetensors");
    const float scale = 200; /* e^200 is no float */
    static struct seen seen;
    options.directory = t_path(directory, "diverged");
    options.batch_size = 2;
    REQUIRE(squares_create(&training, 8, SIDE, 1, false));
    REQUIRE_OK(new_trainer(&trainer, 1, &training, NULL, &options));
    seen.stop_after = 1;
    CHECK_ERROR(clv_trainer_run(trainer, look, &seen, &seen.cancel), CLV_ECANCELED, "canceled");
    REQUIRE_OK(clv_map_open(&before, path));
    struct clv_learner *learner = (struct clv_learner *)clv_trainer_learner(trainer);
    const int index = clv_learner_params(learner)->single[CLV_PARAM_LOGIT_SCALE];
    REQUIRE_OK(clv_learner_write(learner, CLV_LEARNER_VALUE, (size_t)index, &scale));
    CHECK_ERROR(clv_trainer_run(trainer, NULL, NULL, NULL), CLV_ERR,
                "in step 2 of epoch 1, the last checkpoint stays");
    REQUIRE_OK(clv_map_open(&after, path));
    CHECK(after.size_bytes == before.size_bytes &&
          memcmp(after.data, before.data, after.size_bytes) == 0);
    CHECK(!clv_file_exists(t_path(directory, "diverged/model.safetensors")));
    CHECK_OK(clv_trainer_resume(trainer, path));
    CHECK_OK(clv_trainer_run(trainer, NULL, NULL, NULL));
    clv_trainer_free(trainer);
    clv_map_release(&before);
    clv_map_release(&after);
    squares_release(&training);
}

/* ---- what is trained ------------------------------------------------------------------------- */

static void what_is_frozen_stays(void)
{
    struct squares training;
    REQUIRE(squares_create(&training, 16, SIDE, 1, true));
    for (int kind = 0; kind < 3; kind++) {
        struct clv_trainer_options options = full_options();
        struct clv_trainer *trainer = NULL;
        options.freeze_text = kind == CLV_BRANCH_TEXT;
        options.freeze_image = kind == CLV_BRANCH_VISION;
        options.freeze_temporal = kind == CLV_BRANCH_TEMPORAL;
        REQUIRE_OK(new_trainer(&trainer, 1, &training, NULL, &options));
        float *before = copy_part(trainer, CLV_LEARNER_VALUE);
        REQUIRE_OK(clv_trainer_run(trainer, NULL, NULL, NULL));
        float *after = copy_part(trainer, CLV_LEARNER_VALUE);
        const struct clv_params *params = clv_learner_params(clv_trainer_learner(trainer));
        bool has_changed[3] = {false};
        size_t at = 0;
        for (size_t i = 0; i < params->count; at += params->items[i].element_count, i++)
            has_changed[params->items[i].branch] |=
                memcmp(before + at, after + at, params->items[i].element_count * sizeof *after) !=
                0;
        for (int branch = 0; branch < 3; branch++)
            CHECK(has_changed[branch] == (branch != kind));
        free(before);
        free(after);
        clv_trainer_free(trainer);
    }
    squares_release(&training);
}

/* The first rate is zero, then they rise, and end near lr_min. */
static void rates_follow_the_passes(void)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL;
    struct squares training;
    static struct seen seen;
    options.batch_size = 4;
    options.accumulate = 2;
    options.epoch_count = 4;
    options.warmup_epochs = 1;
    REQUIRE(squares_create(&training, 16, SIDE, 1, false));
    REQUIRE_OK(new_trainer(&trainer, 1, &training, NULL, &options));
    REQUIRE_OK(clv_trainer_run(trainer, look, &seen, NULL));
    CHECK_INT(seen.steps, 8);
    CHECK_NEAR(seen.rates[0], 0, 0);
    CHECK_NEAR(seen.rates[1], 1e-3, 1e-9);
    for (int i = 2; i < 8; i++)
        CHECK_NEAR(seen.rates[i], 2e-5 + 0.5 * (2e-3 - 2e-5) * (1 + cos(M_PI * 2 * i / 16)), 1e-9);
    clv_trainer_free(trainer);
    squares_release(&training);
}

static void sentences_alone_train_and_rank(void)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL;
    struct squares training;
    static struct seen seen;
    struct clv_validation found = {0};
    struct clv_model_config config;
    options.epoch_count = 8;
    options.batch_size = 8;
    REQUIRE(squares_create(&training, 32, SIDE, 1, true));
    training.clips.class_count = 0;
    const struct clv_trainer_start start = {.config = &config, .vocabulary_path = vocabulary};
    const struct clv_trainer_data data = {.training = &training.clips};
    square_network(&config, SIDE, PATCH, 48, 1, 1, FRAMES, CLV_MASK_KMCT);
    REQUIRE_OK(clv_trainer_create(&trainer, device, &start, &data, &options));
    REQUIRE_OK(clv_trainer_run(trainer, look, &seen, NULL));
    REQUIRE_OK(clv_trainer_validate(trainer, &found, &training.clips, NULL));
    CHECK_INT(found.sentence_count, 32);
    CHECK(found.confusion == NULL && found.class_count == 0);
    CHECK(found.recall1 <= found.recall5 && found.recall5 <= found.recall10);
    CHECK(found.median_rank >= 1 && found.median_rank <= 32);
    clv_validation_release(&found);
    clv_trainer_free(trainer);
    squares_release(&training);
}

/* ---- beginnings ------------------------------------------------------------------------------ */

/* A plain CLIP checkpoint gets a temporal branch; what was there stays. */
static void a_temporal_branch_is_added_to_clip(void)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL, *grown = NULL;
    struct squares training;
    struct clv_weights *weights = NULL;
    struct clv_model_config config;
    const char *path = t_path(directory, "clip.safetensors");
    REQUIRE(squares_create(&training, 16, SIDE, 1, false));
    REQUIRE_OK(new_trainer(&trainer, 0, &training, NULL, &options));
    REQUIRE_OK(clv_trainer_save_model(trainer, path));
    REQUIRE_OK(clv_weights_open(&weights, path));
    REQUIRE_OK(clv_config_infer(&config, weights));
    CHECK_INT(config.temporal.width, 0);
    REQUIRE_OK(clv_trainer_add_temporal(&config, 2, CLV_MASK_KMCT, FRAMES));
    CHECK_ERROR(clv_trainer_add_temporal(&config, 2, CLV_MASK_KMCT, FRAMES), CLV_EINVAL, "already");
    const struct clv_trainer_start start = {.config = &config, .weights = weights};
    const struct clv_trainer_data data = {
        .training = &training.clips, .prompts = square_prompts, .prompt_count = SQUARE_PROMPTS};
    REQUIRE_OK(clv_trainer_create(&grown, device, &start, &data, &options));
    const struct clv_learner *learner = clv_trainer_learner(grown);
    const struct clv_params *params = clv_learner_params(learner);
    float *got = malloc((size_t)params->element_count * sizeof *got);
    float *want = malloc((size_t)params->element_count * sizeof *want);
    REQUIRE(got && want);
    int zeros = 0, temporals = 0;
    for (size_t i = 0; i < params->count; i++) {
        const struct clv_param *param = &params->items[i];
        CHECK_OK(clv_learner_read(learner, got, CLV_LEARNER_VALUE, i));
        if (param->branch != CLV_BRANCH_TEMPORAL) {
            REQUIRE_OK(clv_weights_read(want, clv_weights_find(weights, param->name)));
            CHECK(memcmp(got, want, param->element_count * sizeof *got) == 0);
            continue;
        }
        temporals++;
        bool is_zero = true;
        for (size_t k = 0; k < param->element_count; k++)
            is_zero = is_zero && got[k] == 0;
        if (strstr(param->name, "temporal_attn.out_proj.") ||
            strstr(param->name, "temporal_mlp.c_proj."))
            zeros += is_zero;
        if (strstr(param->name, "in_proj_weight") || strstr(param->name, "c_fc.weight") ||
            strstr(param->name, "temporal_embedding"))
            CHECK(!is_zero);
    }
    CHECK_INT(temporals, 2 * 12 + 1);
    CHECK_INT(zeros, 2 * 4);
    free(got);
    free(want);
    clv_trainer_free(grown);
    clv_trainer_free(trainer);
    clv_weights_close(weights);
    squares_release(&training);
}

static void senseless_options_are_refused(void)
{
    struct clv_trainer_options options = plain_options();
    struct clv_trainer *trainer = NULL;
    struct squares training;
    REQUIRE(squares_create(&training, 16, SIDE, 1, false));
    options.freeze_text = options.freeze_image = options.freeze_temporal = true;
    CHECK_ERROR(new_trainer(&trainer, 1, &training, NULL, &options), CLV_EINVAL, "all frozen");
    options = plain_options();
    options.step.lr = NAN;
    CHECK_ERROR(new_trainer(&trainer, 1, &training, NULL, &options), CLV_EINVAL, "learning rate");
    options = plain_options();
    options.batch_size = 0;
    CHECK_ERROR(new_trainer(&trainer, 1, &training, NULL, &options), CLV_EINVAL, "batch size of 0");
    options = plain_options();
    options.more_device_count = -1;
    CHECK_ERROR(new_trainer(&trainer, 1, &training, NULL, &options), CLV_EINVAL,
                "more devices of -1");
    options = plain_options();
    training.classes[3] = 8;
    CHECK_ERROR(new_trainer(&trainer, 1, &training, NULL, &options), CLV_EINVAL,
                "clip 3 is of class 8");
    CHECK(trainer == NULL);
    squares_release(&training);
}

static void run_all(void)
{
    T_RUN(temporal_attention_learns_the_order_of_frames);
    T_RUN(mean_pooling_stays_at_chance);
    T_RUN(stop_and_resume_is_bit_equal_to_not_stopping);
    T_RUN(the_same_trainer_goes_on_after_a_stop);
    T_RUN(other_options_data_or_files_do_not_go_on);
    T_RUN(several_devices_train_as_one);
    T_RUN(readers_change_nothing);
    T_RUN(models_written_open_with_vocabulary_and_provenance);
    T_RUN(broken_clips_are_skipped_counted_and_named);
    T_RUN(a_source_of_broken_clips_only_is_refused);
    T_RUN(a_loss_that_is_no_number_stops_and_keeps_the_checkpoint);
    T_RUN(what_is_frozen_stays);
    T_RUN(rates_follow_the_passes);
    T_RUN(sentences_alone_train_and_rank);
    T_RUN(a_temporal_branch_is_added_to_clip);
    T_RUN(senseless_options_are_refused);
}

int main(void)
{
    const struct clv_device_options options = {.thread_count = 1};
    directory = t_directory();
    vocabulary = t_path(directory, "bpe_simple_vocab_16e6.txt");
    if (clv_file_replace(vocabulary, "#version: 0.2\n", 14) != CLV_OK)
        return 1;
    return t_each_device(&device, &options, run_all);
}
