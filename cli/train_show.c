/* What a person, a program and the run's folder learn of a training run. */
#include "cli/out.h"
#include "cli/train.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- while it runs ---- */

struct clv_json *clv_train_start_json(const struct clv_train_show *show,
                                      const struct clv_trainer *trainer)
{
    const struct clv_train_settings *settings = show->settings;
    const struct clv_clips *clips = clv_labelled_clips(show->data->training);
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "start");
    clv_json_put_integer(object, "step", clv_trainer_steps_taken(trainer));
    clv_json_put_integer(object, "steps", clv_trainer_step_count(trainer));
    clv_json_put_integer(object, "epochs", settings->epochs);
    clv_json_put_string(object, "data", settings->data);
    clv_json_put_integer(object, "clips", clips->clip_count);
    clv_json_put_integer(object, "classes", clips->class_count);
    clv_json_put_integer(object, "prompts", show->data->prompt_count);
    if (show->data->validation)
        clv_json_put_integer(object, "validation_clips",
                             clv_labelled_clips(show->data->validation)->clip_count);
    clv_json_put_string(object, "init", settings->init);
    clv_json_put_integer(object, "seed", settings->seed);
    return object;
}

static const char *clip_name(const struct clv_train_show *show,
                             const struct clv_trainer_event *event)
{
    const struct clv_labelled *source =
        event->is_validation ? show->data->validation : show->data->training;
    return clv_labelled_row(source, event->clip)->name;
}

static void show_bar(struct clv_train_show *show, const struct clv_trainer_event *event)
{
    double fraction = event->step_count > 0 ? (double)event->step / (double)event->step_count : -1;
    char left[CLV_OUT_NUMBER_SIZE] = "?", text[256];
    if (event->seconds_left >= 0)
        clv_out_duration(left, event->seconds_left);
    int epoch = event->epoch < event->epoch_count ? event->epoch + 1 : event->epoch_count;
    if (event->kind == CLV_TRAINER_VALIDATING)
        snprintf(text, sizeof text, "epoch %d/%d, validating %d/%d clips, %s left", epoch,
                 event->epoch_count, event->done_count, event->clip_count, left);
    else
        snprintf(text, sizeof text, "epoch %d/%d, loss %.4f, lr %.3g, %.1f clips/s, %s left", epoch,
                 event->epoch_count, event->loss, event->lr, event->clips_per_s, left);
    clv_progress_show(&show->progress, fraction, text);
}

static void show_json(struct clv_train_show *show, const struct clv_trainer_event *event)
{
    struct clv_json *object = clv_json_object();
    bool validates = event->kind == CLV_TRAINER_VALIDATING;
    clv_json_put_string(object, "type", "progress");
    clv_json_put_string(object, "phase", validates ? "validate" : "train");
    clv_json_put_integer(object, "epoch", event->epoch + 1);
    clv_json_put_integer(object, "epochs", event->epoch_count);
    clv_json_put_integer(object, "step", event->step);
    clv_json_put_integer(object, "steps", event->step_count);
    if (validates) {
        clv_json_put_integer(object, "clips_done", event->done_count);
        clv_json_put_integer(object, "clips", event->clip_count);
    } else {
        clv_json_put_number(object, "loss", event->loss);
        clv_json_put_number(object, "lr", event->lr);
        clv_json_put_number(object, "clips_per_s", event->clips_per_s);
    }
    if (event->seconds_left >= 0)
        clv_json_put_number(object, "left_s", event->seconds_left);
    clv_progress_json(&show->progress, object);
}

static int keep_validation(struct clv_train_show *show, const struct clv_validation *validation)
{
    size_t count = (size_t)validation->class_count * (size_t)validation->class_count;
    clv_validation_release(&show->validation);
    show->has_validation = false;
    show->validation = *validation;
    show->validation.confusion = NULL;
    if (validation->confusion) {
        show->validation.confusion = malloc(count * sizeof *validation->confusion);
        if (!show->validation.confusion)
            return clv_fail_memory("a validation");
        memcpy(show->validation.confusion, validation->confusion,
               count * sizeof *validation->confusion);
    }
    show->has_validation = true;
    return CLV_OK;
}

static void print_epoch(const struct clv_train_show *show, const struct clv_trainer_event *event)
{
    const struct clv_validation *validation = event->validation;
    if (show->cli->flags.json || show->cli->flags.quiet)
        return;
    clv_progress_clear();
    fprintf(stderr, "epoch %d/%d: loss %.4f", event->epoch + 1, event->epoch_count, event->loss);
    if (validation && validation->class_count > 0)
        fprintf(stderr, ", top-1 %.1f %%, top-5 %.1f %%", 100 * validation->top1,
                100 * validation->top5);
    if (validation && validation->sentence_count > 0)
        fprintf(stderr, ", R@1 %.1f %%, R@5 %.1f %%", 100 * validation->recall1,
                100 * validation->recall5);
    if (event->skipped_count > 0)
        fprintf(stderr, ", %d clip%s left out", event->skipped_count,
                clv_out_plural(event->skipped_count));
    fprintf(stderr, "%s\n", event->is_best ? ", the best so far" : "");
}

static void tell_epoch(struct clv_train_show *show, const struct clv_trainer_event *event)
{
    int status = CLV_OK;
    if (event->is_best) {
        show->best = event->best;
        show->best_epoch = event->epoch + 1;
    }
    if (event->validation)
        status = keep_validation(show, event->validation);
    if (show->status == CLV_OK)
        show->status = status;
    print_epoch(show, event);
}

void clv_train_tell(void *payload, const struct clv_trainer_event *event)
{
    struct clv_train_show *show = payload;
    const char *name = event->kind == CLV_TRAINER_SKIPPED ? clip_name(show, event) : NULL;
    struct clv_json *object = show->cli->flags.json && event->kind != CLV_TRAINER_STEP
                                  ? clv_journal_json(event, name)
                                  : NULL;
    int status = clv_journal_event(show->journal, event, name);
    if (show->status == CLV_OK)
        show->status = status;
    if (object && clv_out_json(object) == CLV_OK)
        fflush(stdout);
    if (event->kind == CLV_TRAINER_STEP || event->kind == CLV_TRAINER_EPOCH) {
        show->last = *event;
        show->last.validation = NULL;
        show->last.message = show->last.path = NULL;
    }
    if (event->kind == CLV_TRAINER_EPOCH)
        tell_epoch(show, event);
    if (event->kind == CLV_TRAINER_SKIPPED) {
        show->skipped_count = event->skipped_count;
        if (!show->cli->flags.quiet)
            clv_out_warning("left out: %s", event->message);
    }
    bool moves = event->kind == CLV_TRAINER_STEP || event->kind == CLV_TRAINER_VALIDATING;
    if (!moves || !clv_progress_due(&show->progress))
        return;
    if (show->progress.mode == CLV_PROGRESS_JSON)
        show_json(show, event);
    else
        show_bar(show, event);
}

/* ---- afterwards ---- */

enum { FACTS_MAX = 40 };

/* Names are literals; values lie in `text`, each ended by a NUL, until all are there. */
struct facts {
    struct clv_report_fact items[FACTS_MAX];
    size_t starts[FACTS_MAX];
    size_t count;
    struct clv_bytes text;
};

#define ADD_FACT(facts, label, ...)                                   \
    do {                                                              \
        (facts)->items[(facts)->count].name = (label);                \
        (facts)->starts[(facts)->count++] = (facts)->text.size_bytes; \
        clv_bytes_format(&(facts)->text, __VA_ARGS__);                \
        clv_bytes_add(&(facts)->text, "", 1);                         \
    } while (0)

static void add_data_facts(struct facts *facts, const struct clv_train_show *show)
{
    const struct clv_train_settings *settings = show->settings;
    const struct clv_clips *clips = clv_labelled_clips(show->data->training);
    ADD_FACT(facts, "Clips", "%d of %s", clips->clip_count, settings->data);
    if (show->data->validation)
        ADD_FACT(facts, "Validated with", "%d clips: %s%s",
                 clv_labelled_clips(show->data->validation)->clip_count,
                 settings->validation ? "" : "held out, ",
                 settings->validation ? settings->validation : settings->hold_out);
    if (clips->class_count > 0)
        ADD_FACT(facts, "Classes", "%d, with %d prompts each", clips->class_count,
                 show->data->prompt_count);
    if (settings->captions)
        ADD_FACT(facts, "Sentences", "%d of %s", clips->sentence_starts[clips->clip_count],
                 settings->captions);
    ADD_FACT(facts, "Started from", "%s", settings->init);
}

static void add_model_facts(struct facts *facts, const struct clv_trainer *trainer)
{
    const struct clv_model_config *config = clv_trainer_config(trainer);
    ADD_FACT(facts, "Pictures", "%d frames of %d pixels in patches of %d", config->frame_count,
             config->image_side, config->patch_side);
    ADD_FACT(facts, "Spatial branch", "%d block%s, width %d", config->vision.layer_count,
             clv_out_plural(config->vision.layer_count), config->vision.width);
    if (config->temporal.width > 0)
        ADD_FACT(facts, "Temporal branch", "%d block%s, mask %s", config->temporal.layer_count,
                 clv_out_plural(config->temporal.layer_count), clv_config_mask_name(config));
    else
        ADD_FACT(facts, "Temporal branch", "none");
    ADD_FACT(facts, "Text branch", "%d block%s, width %d, %d ids", config->text.layer_count,
             clv_out_plural(config->text.layer_count), config->text.width, config->vocabulary_size);
    ADD_FACT(facts, "Vectors", "%d numbers", config->embed_dim);
}

static void add_recipe_facts(struct facts *facts, const struct clv_train_show *show)
{
    const struct clv_train_settings *settings = show->settings;
    struct clv_trainer_options options;
    clv_train_fill_options(&options, settings);
    ADD_FACT(facts, "Epochs", "%d, %g of warm-up", options.epoch_count, options.warmup_epochs);
    ADD_FACT(facts, "Batch", "%d clips and %d prompts, %d a step", options.batch_size,
             options.prompt_slots, options.accumulate);
    ADD_FACT(facts, "Learning rate", "%g, times %g for the temporal branch",
             (double)options.step.lr, (double)options.step.lr_temporal_factor);
    ADD_FACT(facts, "Label smoothing, mixup, cutmix", "%g, %g, %g", settings->smoothing,
             settings->mixup, settings->cutmix);
    ADD_FACT(facts, "Crop, flip, jitter, grayscale", "%s, %g, %g, %g",
             settings->crop ? "multi-scale" : "middle", settings->flip, settings->jitter,
             settings->grayscale);
    ADD_FACT(facts, "Weight decay, drop path", "%g, %g", settings->weight_decay,
             settings->drop_path);
    if (settings->freeze_text || settings->freeze_image)
        ADD_FACT(facts, "Frozen", "%s%s%s", settings->freeze_text ? "text" : "",
                 settings->freeze_text && settings->freeze_image ? ", " : "",
                 settings->freeze_image ? "spatial branch" : "");
    ADD_FACT(facts, "Seed", "%" PRId64, settings->seed);
}

/* "run" of "a/run/". */
static char *run_name(const char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    size_t start = size;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return strndup(path + start, size - start);
}

int clv_train_report(struct clv_train_show *show, const struct clv_trainer *trainer,
                     bool is_unfinished)
{
    struct facts facts = {0};
    char elapsed[CLV_OUT_NUMBER_SIZE];
    char *path = clv_path_join(show->settings->output, "report.html");
    char *journal = clv_path_join(show->settings->output, "log.jsonl");
    char *title = run_name(show->settings->output);
    add_data_facts(&facts, show);
    add_model_facts(&facts, trainer);
    add_recipe_facts(&facts, show);
    ADD_FACT(&facts, "Computed by", "%s", clv_trainer_machine(trainer));
    ADD_FACT(&facts, "Time of this sitting", "%s",
             clv_out_duration(elapsed, clv_clock_seconds() - show->begun_s));
    for (size_t i = 0; i < facts.count && facts.text.status == CLV_OK; i++)
        facts.items[i].value = facts.text.data + facts.starts[i];
    const struct clv_report report = {
        .title = title,
        .journal_path = journal,
        .facts = facts.items,
        .fact_count = facts.count,
        .epoch_count = (int)show->settings->epochs,
        .is_unfinished = is_unfinished,
        .validation = show->has_validation ? &show->validation : NULL,
        .clips = show->has_validation ? clv_labelled_clips(show->data->validation) : NULL,
    };
    int status = facts.text.status;
    if (status == CLV_OK)
        status = path && journal && title ? clv_report_write(path, &report)
                                          : clv_fail_memory("a report");
    clv_bytes_release(&facts.text);
    free(path);
    free(journal);
    free(title);
    return status;
}

static int print_json(const struct clv_train_show *show, const struct clv_trainer *trainer,
                      const char *model, bool is_unfinished)
{
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "summary");
    clv_json_put_bool(object, "interrupted", is_unfinished);
    clv_json_put_integer(object, "step", clv_trainer_steps_taken(trainer));
    clv_json_put_integer(object, "steps", clv_trainer_step_count(trainer));
    clv_json_put_number(object, "loss", show->last.loss);
    if (show->has_validation && show->validation.class_count > 0)
        clv_json_put_number(object, "top1", show->validation.top1);
    if (show->has_validation && show->validation.sentence_count > 0)
        clv_json_put_number(object, "recall1", show->validation.recall1);
    if (show->best >= 0) {
        clv_json_put_number(object, "best", show->best);
        clv_json_put_integer(object, "best_epoch", show->best_epoch);
    }
    clv_json_put_integer(object, "skipped", show->skipped_count);
    clv_json_put_number(object, "elapsed_s", clv_clock_seconds() - show->begun_s);
    if (!is_unfinished)
        clv_json_put_string(object, "model", model);
    return clv_out_json(object);
}

static void print_text(const struct clv_train_show *show, const struct clv_trainer *trainer,
                       const char *model)
{
    char elapsed[CLV_OUT_NUMBER_SIZE];
    const struct clv_validation *validation = show->has_validation ? &show->validation : NULL;
    const int epochs = clv_trainer_end_epoch(trainer);
    printf("trained %d epoch%s (%" PRId64 " step%s) in %s", epochs, clv_out_plural(epochs),
           clv_trainer_steps_taken(trainer), clv_out_plural(clv_trainer_steps_taken(trainer)),
           clv_out_duration(elapsed, clv_clock_seconds() - show->begun_s));
    if (show->last.step > 0)
        printf(": loss %.4f", show->last.loss);
    if (validation && validation->class_count > 0)
        printf(", top-1 %.1f %%", 100 * validation->top1);
    if (validation && validation->sentence_count > 0)
        printf(", R@1 %.1f %%", 100 * validation->recall1);
    if (show->best_epoch > 0)
        printf(" (best %.1f %% after epoch %d)", 100 * show->best, show->best_epoch);
    if (show->skipped_count > 0)
        printf("; %d clip%s left out", show->skipped_count, clv_out_plural(show->skipped_count));
    printf("\n%s\n", model);
}

int clv_train_summary(const struct clv_train_show *show, const struct clv_trainer *trainer,
                      bool is_unfinished)
{
    int status = CLV_OK;
    char *model = clv_path_join(show->settings->output, "model.safetensors");
    if (!model)
        return CLV_ENOMEM;
    if (show->cli->flags.json)
        status = print_json(show, trainer, model, is_unfinished);
    else if (!is_unfinished)
        print_text(show, trainer, model);
    free(model);
    return status;
}

void clv_train_release_show(struct clv_train_show *show)
{
    clv_validation_release(&show->validation);
}
