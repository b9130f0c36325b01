/* Checkpoints: a model file like any other, and in last.safetensors beside it AdamW's moments and
 * the state of the run. Tensors "claverdb.moment1.NAME" and "claverdb.moment2.NAME" are no part of
 * the model; metadata "claverdb.training.options" and "claverdb.training.state" are JSON. */
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/model/trainer_state.h"
#include "core/version.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPTIONS_KEY "claverdb.training.options"
#define STATE_KEY "claverdb.training.state"
#define MOMENT_1 "claverdb.moment1."
#define MOMENT_2 "claverdb.moment2."
#define OWN_METADATA_MAX 4 /* beside the model's and the caller's */

/* ---- the table of tensors -------------------------------------------------------------------- */

static struct clv_weight_entry entry_of(const struct clv_param *param, const char *name)
{
    struct clv_weight_entry entry = {.name = name,
                                     .dtype = CLV_F32,
                                     .dimension_count = param->dimension_count,
                                     .element_count = param->element_count,
                                     .size_bytes = param->element_count * sizeof(float)};
    for (int i = 0; i < param->dimension_count; i++)
        entry.shape[i] = param->shape[i];
    return entry;
}

/* The parameter whose moments entry `index` and the one after it are. */
static size_t moment_owner(const struct clv_trainer *trainer, size_t index)
{
    const char *name = trainer->entries[index].name + strlen(MOMENT_1);
    const struct clv_params *params = clv_learner_params(trainer->learner);
    return (size_t)(clv_params_find(params, name) - params->items);
}

int clv_trainer_list_entries(struct clv_trainer *trainer)
{
    const struct clv_params *params = clv_learner_params(trainer->learner);
    const size_t files = (size_t)trainer->vocabulary.count;
    trainer->entries = calloc(3 * params->count + files, sizeof *trainer->entries);
    trainer->moment_names = calloc(2 * params->count, sizeof *trainer->moment_names);
    trainer->metadata = calloc(CLV_SETTING_MAX + OWN_METADATA_MAX + trainer->options.metadata_count,
                               sizeof *trainer->metadata);
    if (!trainer->entries || !trainer->moment_names || !trainer->metadata)
        return clv_fail_memory("the table of tensors");
    size_t count = 0, names = 0;
    for (size_t i = 0; i < params->count; i++)
        trainer->entries[count++] = entry_of(&params->items[i], params->items[i].name);
    for (size_t i = 0; i < files; i++) {
        trainer->entries[count] = clv_vocabulary_entry(&trainer->vocabulary.items[i]);
        if (!trainer->entries[count++].name)
            return clv_fail(CLV_EUNSUPPORTED, "a vocabulary file named '%s' cannot be kept",
                            trainer->vocabulary.items[i].name);
    }
    trainer->model_entry_count = count;
    for (size_t i = 0; i < params->count; i++)
        for (int moment = 0; moment < 2 && params->items[i].trainable; moment++) {
            char *name = trainer->moment_names[names++];
            snprintf(name, sizeof *trainer->moment_names, "%s%s", moment ? MOMENT_2 : MOMENT_1,
                     params->items[i].name);
            trainer->entries[count++] = entry_of(&params->items[i], name);
        }
    trainer->entry_count = count;
    return CLV_OK;
}

void clv_trainer_release_entries(struct clv_trainer *trainer)
{
    free(trainer->entries);
    free(trainer->moment_names);
    free(trainer->metadata);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int fill(void *payload, size_t index, void *out)
{
    struct clv_trainer *trainer = payload;
    const size_t params = clv_learner_params(trainer->learner)->count;
    if (index < params)
        return clv_learner_read(trainer->learner, out, CLV_LEARNER_VALUE, index);
    if (index >= trainer->model_entry_count) {
        const bool is_second =
            strncmp(trainer->entries[index].name, MOMENT_2, strlen(MOMENT_2)) == 0;
        return clv_learner_read(trainer->learner, out,
                                is_second ? CLV_LEARNER_MOMENT_2 : CLV_LEARNER_MOMENT_1,
                                moment_owner(trainer, index));
    }
    const struct clv_tokenizer_file *file = &trainer->vocabulary.items[index - params];
    if (file->size_bytes)
        memcpy(out, file->data, file->size_bytes);
    return CLV_OK;
}

/* Exact, which decimal numbers of JSON need not be. */
static void put_exact(struct clv_json *json, const char *key, double value)
{
    char text[64];
    snprintf(text, sizeof text, "%a", value);
    clv_json_put_string(json, key, text);
}

static struct clv_json *state_json(const struct clv_trainer *trainer)
{
    const struct clv_trainer_state *state = &trainer->state;
    struct clv_json *json = clv_json_object();
    clv_json_put_integer(json, "steps", state->steps);
    clv_json_put_integer(json, "epochs_closed", state->epochs_closed);
    clv_json_put_integer(json, "adam_steps", clv_learner_step_count(trainer->learner));
    put_exact(json, "best", state->best);
    put_exact(json, "seconds", state->seconds);
    put_exact(json, "loss_sum", state->loss_sum);
    put_exact(json, "norm_sum", state->norm_sum);
    clv_json_put_integer(json, "loss_count", state->loss_count);
    clv_json_put_integer(json, "clip_count", state->clip_count);
    clv_json_put_integer(json, "skipped_count", state->skipped_count);
    return json;
}

/* Where the model comes from: on what, with what, when and how long it was trained. */
static struct clv_json *provenance_json(const struct clv_trainer *trainer)
{
    const struct clv_trainer_state *state = &trainer->state;
    const time_t now = (time_t)(clv_clock_unix_ms() / 1000);
    struct clv_json *json = clv_json_object();
    struct tm parts;
    char text[32] = "";
    if (gmtime_r(&now, &parts))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    clv_json_put_string(json, "claverdb", CLV_VERSION);
    clv_json_put_string(json, "written", text);
    clv_json_put_string(json, "machine", trainer->machine);
    clv_json_put_number(json, "seconds", round(state->seconds));
    clv_json_put_string(json, "started_from", trainer->started_from);
    clv_json_put_integer(json, "steps", state->steps);
    clv_json_put_integer(json, "step_count", clv_trainer_step_count(trainer));
    clv_json_put_integer(json, "epochs", state->epochs_closed);
    clv_json_put_integer(json, "sentences", trainer->sentences.count);
    if (trainer->validation)
        clv_json_put_integer(json, "validation_clips", trainer->validation->clip_count);
    if (state->best >= 0)
        clv_json_put_number(json, trainer->class_count ? "best_top1" : "best_recall1", state->best);
    clv_json_put(json, "options", clv_trainer_options_json(trainer));
    return json;
}

/* Writes `json`, which it frees, into `out`. */
static int write_json(struct clv_bytes *out, struct clv_json *json)
{
    int status = clv_json_write(out, json, false);
    clv_json_free(json);
    return status;
}

static void put_metadata(struct clv_trainer *trainer, size_t *count, const char *key,
                         const char *value)
{
    trainer->metadata[(*count)++] = (struct clv_weight_metadata){key, value};
}

static int write_file(struct clv_trainer *trainer, const char *path, bool is_checkpoint)
{
    struct clv_bytes provenance = {0}, options = {0}, state = {0};
    struct clv_import_settings frames = {.count = 1, .items = {{"T", ""}}};
    const enum clv_layout_kind kind =
        trainer->config.temporal.width ? CLV_LAYOUT_CLAVER : CLV_LAYOUT_OPENAI;
    size_t count = 0;
    int status = write_json(&provenance, provenance_json(trainer));
    if (status == CLV_OK && is_checkpoint)
        status = write_json(&options, clv_trainer_options_json(trainer));
    if (status == CLV_OK && is_checkpoint)
        status = write_json(&state, state_json(trainer));
    if (status == CLV_OK) {
        clv_import_metadata(&trainer->settings, &trainer->config, &frames, kind);
        for (size_t i = 0; i < trainer->settings.count; i++)
            trainer->metadata[count++] = trainer->settings.items[i];
        put_metadata(trainer, &count, "training", provenance.data);
        if (is_checkpoint) {
            put_metadata(trainer, &count, OPTIONS_KEY, options.data);
            put_metadata(trainer, &count, STATE_KEY, state.data);
        }
        for (size_t i = 0; i < trainer->options.metadata_count; i++)
            put_metadata(trainer, &count, trainer->metadata_texts[2 * i],
                         trainer->metadata_texts[2 * i + 1]);
        status =
            clv_weights_stream(path, trainer->entries,
                               is_checkpoint ? trainer->entry_count : trainer->model_entry_count,
                               trainer->metadata, count, fill, trainer);
    }
    clv_bytes_release(&provenance);
    clv_bytes_release(&options);
    clv_bytes_release(&state);
    return status;
}

int clv_trainer_save(struct clv_trainer *trainer, const char *name, bool is_checkpoint)
{
    if (!trainer->directory)
        return CLV_OK;
    char *path = clv_path_join(trainer->directory, name);
    if (!path)
        return CLV_ENOMEM;
    int status = write_file(trainer, path, is_checkpoint);
    struct clv_trainer_event event = {.kind = CLV_TRAINER_SAVED, .path = path};
    if (status == CLV_OK)
        clv_trainer_tell(trainer, &event);
    free(path);
    return status;
}

int clv_trainer_save_model(struct clv_trainer *trainer, const char *path)
{
    return write_file(trainer, path, false);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int broken_state(const struct clv_weights *weights, const char *key)
{
    return clv_fail(CLV_ECORRUPT, "'%s': the state of training has no usable %s",
                    clv_weights_path(weights), key);
}

static int get_count(int64_t *out, const struct clv_weights *weights, const struct clv_json *json,
                     const char *key, int64_t most)
{
    *out = clv_json_integer(clv_json_get(json, key), -1);
    return *out >= 0 && *out <= most ? CLV_OK : broken_state(weights, key);
}

static int get_exact(double *out, const struct clv_weights *weights, const struct clv_json *json,
                     const char *key)
{
    const char *text = clv_json_string(clv_json_get(json, key), NULL, "");
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) ? CLV_OK : broken_state(weights, key);
}

static int parse_state(struct clv_trainer_state *out, int64_t *adam_steps,
                       const struct clv_trainer *trainer, const struct clv_weights *weights,
                       const struct clv_json *json)
{
    const int64_t steps = clv_trainer_step_count(trainer), a_step = trainer->steps_an_epoch;
    const struct {
        const char *key;
        int64_t *value;
        int64_t most;
    } counts[] = {
        {"steps", &out->steps, steps},
        {"epochs_closed", &out->epochs_closed, trainer->options.epoch_count},
        {"adam_steps", adam_steps, steps},
        {"loss_count", &out->loss_count, a_step},
        {"clip_count", &out->clip_count, trainer->training->clip_count},
        {"skipped_count", &out->skipped_count, trainer->training->clip_count},
    };
    const struct {
        const char *key;
        double *value;
    } numbers[] = {{"best", &out->best},
                   {"seconds", &out->seconds},
                   {"loss_sum", &out->loss_sum},
                   {"norm_sum", &out->norm_sum}};
    int status = CLV_OK;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && status == CLV_OK; i++)
        status = get_count(counts[i].value, weights, json, counts[i].key, counts[i].most);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == CLV_OK; i++)
        status = get_exact(numbers[i].value, weights, json, numbers[i].key);
    if (status == CLV_OK && (out->steps < out->epochs_closed * a_step ||
                             out->steps > (out->epochs_closed + 1) * a_step))
        status = broken_state(weights, "steps");
    return status;
}

/* Every tensor is there, as it was written. */
static int check_tensors(const struct clv_trainer *trainer, const struct clv_weights *weights)
{
    const size_t params = clv_learner_params(trainer->learner)->count;
    for (size_t i = 0; i < trainer->entry_count; i++) {
        const struct clv_weight_entry *want = &trainer->entries[i];
        if (i >= params && i < trainer->model_entry_count)
            continue;
        const struct clv_weight_entry *got = clv_weights_find(weights, want->name);
        if (!got || got->dtype != CLV_F32 || got->element_count != want->element_count)
            return clv_fail(CLV_ECORRUPT, "'%s': tensor '%s' is %s", clv_weights_path(weights),
                            want->name, got ? "of another type or size" : "missing");
    }
    return CLV_OK;
}

static int read_tensors(struct clv_trainer *trainer, const struct clv_weights *weights)
{
    const size_t params = clv_learner_params(trainer->learner)->count;
    int status = CLV_OK;
    for (size_t i = 0; i < trainer->entry_count && status == CLV_OK; i++) {
        const char *name = trainer->entries[i].name;
        const bool is_second = strncmp(name, MOMENT_2, strlen(MOMENT_2)) == 0;
        if (i >= params && i < trainer->model_entry_count)
            continue;
        status = clv_weights_read(trainer->values, clv_weights_find(weights, name));
        if (status == CLV_OK)
            status = clv_learners_write(trainer->learners,
                                        i < params  ? CLV_LEARNER_VALUE
                                        : is_second ? CLV_LEARNER_MOMENT_2
                                                    : CLV_LEARNER_MOMENT_1,
                                        i < params ? i : moment_owner(trainer, i), trainer->values);
    }
    return status;
}

static int resume(struct clv_trainer *trainer, const struct clv_weights *weights)
{
    const char *options = clv_weights_metadata(weights, OPTIONS_KEY);
    const char *text = clv_weights_metadata(weights, STATE_KEY);
    struct clv_trainer_state state = {0};
    struct clv_json *json = NULL;
    int64_t adam_steps;
    if (!options || !text)
        return clv_fail(CLV_EINVAL, "'%s' is no checkpoint of training that can go on",
                        clv_weights_path(weights));
    int status = clv_trainer_agree(trainer, options, clv_weights_path(weights));
    if (status == CLV_OK)
        status = clv_json_parse(&json, text, strlen(text), clv_weights_path(weights));
    if (status == CLV_OK)
        status = parse_state(&state, &adam_steps, trainer, weights, json);
    if (status == CLV_OK)
        status = check_tensors(trainer, weights);
    if (status == CLV_OK)
        status = read_tensors(trainer, weights);
    if (status == CLV_OK) {
        clv_learners_set_step_count(trainer->learners, adam_steps);
        trainer->state = state;
        status = clv_trainer_encode_frozen(trainer);
    }
    clv_json_free(json);
    return status;
}

int clv_trainer_resume(struct clv_trainer *trainer, const char *path)
{
    struct clv_weights *weights = NULL;
    int status = clv_weights_open(&weights, path);
    if (status == CLV_OK)
        status = resume(trainer, weights);
    clv_weights_close(weights);
    return status;
}
