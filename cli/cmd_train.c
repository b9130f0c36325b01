/* `train`: a model from labelled footage. */
#include "cli/device.h"
#include "cli/out.h"
#include "cli/train.h"
#include "core/clock.h"
#include "core/compute/device.h"
#include "core/error.h"
#include "core/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The recipe of the paper, except that numbers of -1 depend on what training starts from. */
static const struct clv_train_settings defaults = {
    .epochs = 60,
    .batch = 8,
    .accumulate = -1,
    .prompt_slots = 5,
    .validate_every = 1,
    .seed = 3047,
    .frame_cache = 1024,
    .lr = -1,
    .temporal_factor = -1,
    .warmup = 5,
    .weight_decay = 0.001,
    .smoothing = 0.1,
    .mixup = 0.8,
    .cutmix = 1,
    .flip = 0.5,
    .jitter = 0.8,
    .grayscale = 0.2,
    .caption_share = 0.5,
    .crop = true,
    .image = 64,
    .patch = 8,
    .width = 128,
    .layers = 6,
    .text_width = 128,
    .text_layers = 3,
    .embed = 128,
    .embedding_std = -1,
    .temporal_std = -1,
    .text_std = -1,
};

static const char *const masks[] = {"model", "kmt", "kmct", "joint", "none", NULL};
static const char *const starts[] = {"identity", "published", NULL};

#define FIELD(field) .offset = offsetof(struct clv_train_settings, field)
#define STRING(flag, field, value, text)                                             \
    {                                                                                \
        .name = (flag), .kind = CLV_OPT_STRING, FIELD(field), .value_name = (value), \
        .help = (text)                                                               \
    }
#define COUNT(flag, field, low, high, text)                                       \
    {                                                                             \
        .name = (flag), .kind = CLV_OPT_INTEGER, FIELD(field), .value_name = "N", \
        .minimum = (low), .maximum = (high), .help = (text)                       \
    }
#define NUMBER(flag, field, low, high, text)                                                       \
    {                                                                                              \
        .name = (flag), .kind = CLV_OPT_NUMBER, FIELD(field), .value_name = "X", .minimum = (low), \
        .maximum = (high), .help = (text)                                                          \
    }
#define SWITCH(flag, field, text)                                          \
    {                                                                      \
        .name = (flag), .kind = CLV_OPT_BOOL, FIELD(field), .help = (text) \
    }
static const struct clv_opt opts[] = {
    STRING("data", data, "FILE",
           "the clips: a table with the columns path and label, and start and end in seconds where "
           "a clip is a part of its file; paths count from the table's folder"),
    STRING("classes", classes, "FILE",
           "the classes: a table with the columns id and name [the labels that occur]"),
    STRING("labels", classes, "FILE", "another name of --classes"),
    {.name = "prompts",
     .kind = CLV_OPT_LIST,
     FIELD(prompts),
     .value_name = "FILE",
     .no_environment = true,
     .help = "texts about each class, lines of id;text; may be given several times"},
    STRING("captions", captions, "FILE",
           "sentences about the clips, to be told apart by as well as, or instead of, classes: a "
           "table with the columns path and sentence, which may be that of --data"),
    STRING("facts", facts, "FILE",
           "what is true of each clip, so that sentences are not held against other clips that "
           "they are true of: a table or JSON lines with path, and the columns that --captions has "
           "beside path and sentence, where they say what the sentence states"),
    STRING("validation", validation, "FILE", "clips to validate with, in a table like --data's"),
    STRING("validation-captions", validation_captions, "FILE",
           "their sentences [those of --captions]"),
    STRING("validation-facts", validation_facts, "FILE", "what is true of them [that of --facts]"),
    STRING("hold-out", hold_out, "SHARE",
           "validate with a share of --data instead: 0.1, of each class; or COLUMN=VALUE, the rows "
           "where that column says so"),
    STRING("init", init, "WEIGHTS",
           "what to start from: CLAVER or CLIP weights, as file, directory or name of a pulled "
           "model; or 'random', with --vocab"),
    {.name = "output",
     .letter = 'o',
     .kind = CLV_OPT_STRING,
     FIELD(output),
     .value_name = "RUN",
     .help = "the folder of the run, made where it is missing"},
    STRING(
        "card", card, "FILE",
        "a few lines of text for people, 4000 bytes at most, about what the model was trained on "
        "and what it is not: written into it, and shown by model info"),
    SWITCH("resume", resume, "go on with the run in RUN; everything else must be as it was"),
    {.name = "force",
     .letter = 'f',
     .kind = CLV_OPT_BOOL,
     FIELD(force),
     .help = "begin anew where RUN holds a run already"},
    COUNT("epochs", epochs, 1, 100000, "passes over all clips [60]"),
    COUNT("stop-after", stop_after, 0, 1e6,
          "epochs after which to end, though --epochs says how the learning rate falls; --resume "
          "goes on; 0: all of them"),
    COUNT("batch", batch, 1, 65536, "clips that go through the model together [8]"),
    COUNT("accumulate", accumulate, 1, 65536, "batches a step [4; 1 from random weights]"),
    NUMBER("lr", lr, 0, 10, "learning rate at its highest [1.2e-5; 1e-3 from random weights]"),
    NUMBER("temporal-factor", temporal_factor, 0, 1e6,
           "times that for the temporal branch [10; 1 from random weights]"),
    NUMBER("warmup", warmup, 0, 100000, "epochs until the learning rate is at its highest [5]"),
    NUMBER("weight-decay", weight_decay, 0, 10, "AdamW's [0.001]"),
    NUMBER("clip-norm", clip_norm, 0, 1e30, "largest norm of the gradient; 0: any [0]"),
    COUNT("prompt-slots", prompt_slots, 1, 65536, "prompts drawn for a batch [5]"),
    NUMBER("smoothing", smoothing, 0, 0.999, "label smoothing [0.1]"),
    NUMBER("mixup", mixup, 0, 1e6, "mixup's alpha; 0: none [0.8]"),
    NUMBER("cutmix", cutmix, 0, 1e6, "cutmix's alpha; 0: none [1]"),
    SWITCH("crop", crop, "train on the middle of the picture only"),
    NUMBER("flip", flip, 0, 1,
           "how often a clip is mirrored, unless its class or sentence says left or right [0.5]"),
    NUMBER("jitter", jitter, 0, 1, "how often colours are changed [0.8]"),
    NUMBER("grayscale", grayscale, 0, 1, "how often they are taken away [0.2]"),
    NUMBER("drop-path", drop_path, 0, 0.99, "how often the last block is left out [0]"),
    NUMBER("caption-share", caption_share, 0, 1,
           "share of batches that go by captions where there are classes too [0.5]"),
    SWITCH("freeze-text", freeze_text, "leave the text branch as it is"),
    SWITCH("freeze-image", freeze_image, "leave the spatial branch as it is"),
    SWITCH("checkpointing", checkpointing,
           "keep less in memory and compute it again: a third more work, the same result"),
    COUNT("clips-in-memory", clips_in_memory, 0, 65536,
          "clips of a batch that are computed at a time; fewer need less memory [all]"),
    COUNT("validate-every", validate_every, 0, 100000, "epochs; 0: never [1]"),
    COUNT("save-every", save_every, 0, 1e9, "steps between checkpoints; 0: at the end of epochs"),
    COUNT("seed", seed, 0, 9e15, "of everything that is drawn [3047]"),
    COUNT("readers", readers, 0, 64, clv_cli_readers_help),
    COUNT("decode-threads", decode_threads, 0, 1024,
          "threads that decode, shared by the readers [all cores]"),
    {.name = "decoder",
     .kind = CLV_OPT_ENUM,
     FIELD(decoder),
     .enums = clv_cli_decoders,
     .help = clv_cli_decoder_help},
    COUNT(
        "frame-cache", frame_cache, 0, 1 << 30,
        "MiB of memory for decoded clips, which are then decoded once and not in every epoch; the "
        "same result [1024]"),
    {.name = "frames",
     .letter = 'T',
     .kind = CLV_OPT_INTEGER,
     FIELD(frames),
     .value_name = "N",
     .minimum = 0,
     .maximum = 1024,
     .help = "frames taken of a clip [the model's; 8 for a new temporal branch]"},
    {.name = "mask",
     .kind = CLV_OPT_ENUM,
     FIELD(mask),
     .enums = masks,
     .help = "what the temporal branch attends to; none: a new model without one [the model's; kmt "
             "for a new branch]"},
    {.name = "temporal-start",
     .kind = CLV_OPT_ENUM,
     FIELD(temporal_start),
     .enums = starts,
     .help = "how a new temporal branch begins: changing nothing, or as published [identity]"},
    COUNT("temporal-layers", temporal_layers, 0, 256,
          "blocks of a new temporal branch; 0: a third of the spatial ones"),
    COUNT("image", image, 8, 4096, "side of the picture of a random model, in pixels [64]"),
    COUNT("patch", patch, 1, 256, "side of its patches [8]"),
    COUNT("width", width, 8, 16384, "its width [128]"),
    COUNT("layers", layers, 1, 256, "its spatial blocks [6]"),
    COUNT("heads", heads, 0, 256, "heads of its attention, temporal too; 0: its width / 64"),
    COUNT("text-width", text_width, 8, 16384, "the width of its text branch [128]"),
    COUNT("text-layers", text_layers, 1, 256, "blocks of its text branch [3]"),
    COUNT("embed", embed, 8, 16384, "numbers in a vector of the index [128]"),
    NUMBER("embedding-std", embedding_std, 0, 10,
           "spread of new embeddings of place; 0: as published [0.3 in a random model]"),
    NUMBER("temporal-std", temporal_std, 0, 10,
           "spread of new embeddings of time; 0: as published [1.5 in a random model]"),
    NUMBER("text-std", text_std, 0, 10,
           "spread of new embeddings of tokens; 0: as published [0.3 in a random model]"),
    {.name = NULL},
};

/* ---- settings ---- */

static int check_settings(const struct clv_train_settings *settings)
{
    static const char usage[] =
        "claverdb train --data labels.csv --classes classes.csv --init WEIGHTS -o RUN";
    if (!settings->data)
        return clv_fail(CLV_EINVAL, "name the labelled clips with --data: %s", usage);
    if (!settings->init)
        return clv_fail(CLV_EINVAL, "say what to start from with --init: %s", usage);
    if (!settings->output)
        return clv_fail(CLV_EINVAL, "name the folder to write to with -o: %s", usage);
    if (settings->validation && settings->hold_out)
        return clv_fail(CLV_EINVAL, "--validation and --hold-out exclude each other");
    if ((settings->validation_captions || settings->validation_facts) && !settings->validation)
        return clv_fail(CLV_EINVAL, "--validation-captions and --validation-facts are about the "
                                    "clips of --validation");
    if (settings->validation_captions && !settings->captions)
        return clv_fail(CLV_EINVAL, "--validation-captions needs --captions");
    if ((settings->facts || settings->validation_facts) && !settings->captions)
        return clv_fail(CLV_EINVAL, "--facts needs --captions");
    if (settings->resume && settings->force)
        return clv_fail(CLV_EINVAL, "--resume and --force exclude each other");
    return CLV_OK;
}

void clv_train_fill_options(struct clv_trainer_options *out,
                            const struct clv_train_settings *settings)
{
    bool is_random = strcmp(settings->init, "random") == 0;
    *out = clv_trainer_defaults;
    out->seed = (uint64_t)settings->seed;
    out->epoch_count = (int)settings->epochs;
    out->batch_size = (int)settings->batch;
    out->accumulate = settings->accumulate > 0 ? (int)settings->accumulate : is_random ? 1 : 4;
    out->warmup_epochs = settings->warmup;
    out->step.lr = settings->lr >= 0 ? (float)settings->lr : is_random ? 1e-3f : 1.2e-5f;
    out->step.lr_temporal_factor = settings->temporal_factor >= 0 ? (float)settings->temporal_factor
                                   : is_random                    ? 1
                                                                  : 10;
    out->step.weight_decay = (float)settings->weight_decay;
    out->step.clip_norm = (float)settings->clip_norm;
    out->prompt_slots = (int)settings->prompt_slots;
    out->label_smoothing = (float)settings->smoothing;
    out->caption_share = (float)settings->caption_share;
    out->augment.crops = settings->crop;
    out->augment.flip = (float)settings->flip;
    out->augment.jitter = (float)settings->jitter;
    out->augment.grayscale = (float)settings->grayscale;
    out->mix.mixup_alpha = (float)settings->mixup;
    out->mix.cutmix_alpha = (float)settings->cutmix;
    out->freeze_text = settings->freeze_text;
    out->freeze_image = settings->freeze_image;
    out->drop_path = (float)settings->drop_path;
    out->checkpoint = settings->checkpointing;
    out->clip_batch_max = (int)settings->clips_in_memory;
    out->validation_epochs = (int)settings->validate_every;
    out->save_steps = (int)settings->save_every;
    out->stop_epoch = (int)settings->stop_after;
    out->directory = settings->output;
}

/* ---- the run's folder ---- */

static int check_output(const struct clv_train_settings *settings, const char *checkpoint)
{
    struct clv_file_facts facts;
    if (clv_file_facts(&facts, settings->output) == CLV_OK && !facts.is_directory)
        return clv_fail(CLV_EINVAL, "'%s' is a file; name a folder with -o", settings->output);
    bool holds_run = clv_file_exists(checkpoint);
    clv_error_clear();
    if (settings->resume && !holds_run)
        return clv_fail(CLV_ENOTFOUND, "there is nothing to go on with: no '%s'", checkpoint);
    if (holds_run && !settings->resume && !settings->force)
        return clv_fail(CLV_EINVAL,
                        "'%s' holds a run already; --resume goes on with it, --force begins anew",
                        settings->output);
    return CLV_OK;
}

static int open_journal(struct clv_train_show *show, const struct clv_trainer *trainer)
{
    const struct clv_train_settings *settings = show->settings;
    char *path = clv_path_join(settings->output, "log.jsonl");
    int status = path ? clv_journal_open(&show->journal, path,
                                         settings->resume ? clv_trainer_steps_taken(trainer) : -1)
                      : CLV_ENOMEM;
    free(path);
    return status;
}

/* ---- the run ---- */

static int make_trainer(struct clv_trainer **out, const struct clv_cli_devices *devices,
                        const struct clv_train_model *model, const struct clv_train_data *data,
                        const struct clv_train_settings *settings)
{
    struct clv_trainer_options options;
    char *card = NULL;
    char made_of[256];
    int status = clv_train_read_card(&card, settings);
    if (status != CLV_OK)
        return status;
    snprintf(made_of, sizeof made_of, "%d clips of %s",
             clv_labelled_clips(data->training)->clip_count, clv_path_base(settings->data));
    const struct clv_weight_metadata metadata[] = {{"trained_on", made_of}, {CLV_MODEL_CARD, card}};
    clv_train_fill_options(&options, settings);
    options.metadata = metadata;
    options.metadata_count = card == NULL ? 1 : 2;
    options.more_devices = devices->items + 1;
    options.more_device_count = devices->count - 1;
    struct clv_trainer_data sources = {
        .training = clv_labelled_clips(data->training),
        .validation = data->validation ? clv_labelled_clips(data->validation) : NULL,
        .prompts = (const char *const *)data->prompts,
        .prompt_count = data->prompt_count,
    };
    status = clv_trainer_create(out, devices->items[0], &model->start, &sources, &options);
    free(card);
    return status;
}

/* `path` is the checkpoint's. */
static int train(struct clv_train_show *show, struct clv_trainer *trainer, const char *path)
{
    const struct clv_cli *cli = show->cli;
    int status = CLV_OK;
    if (show->settings->resume)
        status = clv_trainer_resume(trainer, path);
    if (status == CLV_OK)
        status = open_journal(show, trainer);
    if (status != CLV_OK)
        return status;
    status = clv_journal_note(show->journal, clv_train_start_json(show, trainer));
    if (status != CLV_OK)
        return status;
    clv_progress_begin(&show->progress, cli);
    show->begun_s = clv_clock_seconds();
    status = clv_trainer_run(trainer, clv_train_tell, show, cli->cancel);
    clv_progress_end(&show->progress);
    bool is_canceled = status == CLV_ECANCELED;
    if (status != CLV_OK && !is_canceled)
        return status;
    status = show->status;
    if (status == CLV_OK)
        status = clv_train_report(show, trainer, is_canceled);
    if (status == CLV_OK)
        status = clv_train_summary(show, trainer, is_canceled);
    if (status == CLV_OK && is_canceled)
        status = clv_fail(CLV_ECANCELED,
                          "interrupted after step %" PRId64 " of %" PRId64
                          "; the same command with --resume goes on from '%s'",
                          clv_trainer_steps_taken(trainer), clv_trainer_step_count(trainer), path);
    return status != CLV_OK ? status : show->skipped_count > 0 ? CLV_EXIT_UNREAD : CLV_EXIT_OK;
}

static int run(const struct clv_cli *cli)
{
    const struct clv_train_settings *settings = cli->settings;
    struct clv_train_data data = {0};
    struct clv_train_model model = {0};
    struct clv_train_show show = {.cli = cli, .settings = settings, .data = &data, .best = -1};
    struct clv_cli_devices devices = {.count = 0};
    struct clv_decoder *decoder = NULL;
    struct clv_trainer *trainer = NULL;
    char *path = NULL;
    int status = check_settings(settings);
    if (status != CLV_OK)
        return status;
    path = clv_path_join(settings->output, "last.safetensors");
    status = path ? check_output(settings, path) : CLV_ENOMEM;
    if (status == CLV_OK)
        status = clv_cli_open_devices(&devices, cli);
    if (status == CLV_OK)
        status = clv_cli_open_decoder(&decoder, cli, devices.items[0],
                                      (enum clv_decoder_kind)settings->decoder);
    if (status == CLV_OK) {
        const struct clv_labelled_options reading =
            clv_cli_reading(devices.items[0], decoder, settings->readers, settings->decode_threads);
        status = clv_train_open_data(&data, settings, &reading);
    }
    if (status == CLV_OK)
        status = clv_train_open_model(&model, cli);
    if (status == CLV_OK)
        status = make_trainer(&trainer, &devices, &model, &data, settings);
    if (status == CLV_OK)
        status = train(&show, trainer, path);
    int closed = clv_journal_close(show.journal);
    if (status >= 0 && closed != CLV_OK)
        status = closed;
    clv_train_release_show(&show);
    clv_trainer_free(trainer);
    clv_cli_release_devices(&devices);
    clv_train_release_model(&model);
    clv_train_release_data(&data);
    clv_decoder_close(decoder);
    free(path);
    return status;
}

const struct clv_command clv_command_train = {
    .name = "train",
    .operands = "",
    .summary = "train a model on labelled footage",
    .description =
        "Trains a CLAVER by the recipe of its paper: clips are told apart by what their classes "
        "are called, or by sentences about them. Starts from CLIP weights, to which a temporal "
        "branch is added, from CLAVER weights, or from a small random model.\n"
        "RUN/ then holds model.safetensors to index and search with, best.safetensors (of the "
        "epoch that validated best), last.safetensors to go on from, log.jsonl and report.html. "
        "Ctrl-C finishes the step and saves; --resume goes on, and ends as if it had never been "
        "stopped, bit for bit.\n"
        "With several devices (--device cuda:0,1 or cuda:all) each batch is shared out among them; "
        "the result is the same up to rounding, and --resume may name others.\n"
        "Clips that cannot be read are left out, counted and named; the exit status is 3 then.",
    .example = "claverdb train --data train/labels.csv --classes classes.csv \\\n"
               "    --prompts synonyms.csv --init clip-vit-b32 --hold-out 0.1 -o run\n"
               "claverdb train --data train/labels.csv --init random --vocab merges.txt -o run",
    .operand_min = 0,
    .operand_max = 0,
    .opts = opts,
    .settings_size = sizeof(struct clv_train_settings),
    .defaults = &defaults,
    .run = run,
    .computes = true,
};
