/* `eval`: how good a model is, by labelled or captioned footage. */
#include "cli/device.h"
#include "cli/eval.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/json.h"
#include "core/model/encoder.h"
#include "core/model/validate.h"
#include "indexer/batches.h"
#include "query/sentences.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct clv_eval_settings defaults = {.views = "1x1"};

#define FIELD(field) .offset = offsetof(struct clv_eval_settings, field)
static const struct clv_opt opts[] = {
    {.name = "data",
     .kind = CLV_OPT_STRING,
     FIELD(data),
     .value_name = "LIST",
     .help = "labelled clips: a table with the columns path and label, and start and end where a "
             "clip is part of a file"},
    {.name = "classes",
     .kind = CLV_OPT_STRING,
     FIELD(classes),
     .value_name = "FILE",
     .help = "the closed list of classes: a table with the columns id and name [the labels that "
             "occur]"},
    {.name = "labels",
     .kind = CLV_OPT_STRING,
     FIELD(classes),
     .value_name = "FILE",
     .help = "another name of --classes"},
    {.name = "prompts",
     .kind = CLV_OPT_LIST,
     FIELD(prompts),
     .value_name = "FILE",
     .no_environment = true,
     .help = "texts about each class beside the plain templates, lines of id;text; may be given "
             "several times"},
    {.name = "pairs",
     .kind = CLV_OPT_STRING,
     FIELD(pairs),
     .value_name = "FILE",
     .help = "pairs of classes, two names or ids a line: the share told apart among the two alone"},
    {.name = "views",
     .kind = CLV_OPT_STRING,
     FIELD(views),
     .value_name = "NxM",
     .help = "N choices of frames in M crops (1 or 3). 1x1: the middles of T parts, the centre. "
             "4x3, as published: frames drawn at random four times (by --seed), left, right and "
             "middle crop [1x1]"},
    {.name = "shots",
     .kind = CLV_OPT_INTEGER,
     FIELD(shots),
     .value_name = "K",
     .minimum = 1,
     .maximum = 1000000,
     .help = "set K clips of each class apart for training, and use the rest alone"},
    {.name = "group",
     .kind = CLV_OPT_STRING,
     FIELD(group),
     .value_name = "COLUMN",
     .help = "the column of the list that says what belongs together (source video, person): "
             "never on both sides of a split"},
    {.name = "write-split",
     .kind = CLV_OPT_STRING,
     FIELD(write_split),
     .value_name = "TRAIN,TEST",
     .help = "only write the two sides of --shots as lists, for claverdb train"},
    {.name = "seed",
     .kind = CLV_OPT_INTEGER,
     FIELD(seed),
     .value_name = "N",
     .minimum = 0,
     .maximum = 9e15,
     .help = "of what is random: the split, and the frames of several views [0]"},
    {.name = "captions",
     .kind = CLV_OPT_STRING,
     FIELD(captions),
     .value_name = "LIST",
     .help = "retrieval by sentences instead: a table with the columns path and sentence, and "
             "start and end where a sentence is about part of a file"},
    {.name = "facts",
     .kind = CLV_OPT_STRING,
     FIELD(facts),
     .value_name = "FILE",
     .help = "what is true of each clip (a table or JSON lines): a sentence is then true of every "
             "clip that agrees with all that its other columns state"},
    {.name = "match",
     .kind = CLV_OPT_STRING,
     FIELD(match),
     .value_name = "COLUMNS",
     .help = "which of these columns count, with commas between them [all]"},
    {.name = "indexed",
     .kind = CLV_OPT_BOOL,
     FIELD(indexed),
     .help = "look for the sentences of --captions in the database: a segment is right if its "
             "middle lies in a captioned part"},
    {.name = "plain",
     .kind = CLV_OPT_BOOL,
     FIELD(plain),
     .help = "ask with the sentence alone, not with the templates that search fills with it"},
    {.name = "scores",
     .kind = CLV_OPT_BOOL,
     FIELD(scores),
     .help = "with --json: also every clip's probabilities, and the place of every sentence"},
    {.name = "frames",
     .kind = CLV_OPT_INTEGER,
     FIELD(frames),
     .value_name = "N",
     .minimum = 1,
     .maximum = 1024,
     .help = "frames of a clip, where the model leaves it open (plain CLIP) [8]"},
    {.name = "readers",
     .kind = CLV_OPT_INTEGER,
     FIELD(readers),
     .value_name = "N",
     .minimum = 0,
     .maximum = 64,
     .help = clv_cli_readers_help},
    {.name = "decoder",
     .kind = CLV_OPT_ENUM,
     FIELD(decoder),
     .enums = clv_cli_decoders,
     .help = clv_cli_decoder_help},
    {.name = NULL},
};

/* ---- the model ---- */

/* With batches as the device likes them and has room for. */
static int create_encoder(struct clv_eval *eval, bool vision)
{
    const struct clv_session *session = &eval->session;
    const int frames = session->model.config.frame_count;
    struct clv_batches batches;
    int status;
    clv_batches_choose(&batches, clv_device_kind(session->device), frames,
                       &(struct clv_ingest_options){0});
    do {
        const struct clv_encoder_options options = {
            .no_vision = !vision,
            .slot_count = batches.window_max * frames,
            .frame_batch_max = batches.frame_max,
            .window_batch_max = batches.window_max,
        };
        status = clv_encoder_create(&eval->encoder, session->device, session->model.weights,
                                    &session->model.config, &options);
    } while (status == CLV_ENOMEM && clv_batches_halve(&batches, frames));
    return status;
}

int clv_eval_open_encoder(struct clv_eval *eval, bool vision)
{
    int status = clv_session_open_device(&eval->session);
    if (status == CLV_OK)
        status = create_encoder(eval, vision);
    if (status == CLV_OK && vision)
        status = clv_cli_open_decoder(&eval->decoder, eval->cli, eval->session.device,
                                      (enum clv_decoder_kind)eval->settings->decoder);
    return status;
}

struct clv_labelled_options clv_eval_reading(const struct clv_eval *eval)
{
    return clv_cli_reading(eval->session.device, eval->decoder, eval->settings->readers,
                           eval->cli->flags.threads);
}

/* Texts go in portions, so that there is progress to show and a place to stop. */
#define PORTION 32

static int show_texts(struct clv_eval *eval, int done, int count)
{
    char text[64];
    if (clv_cancelled(eval->cli->cancel))
        return clv_fail(CLV_ECANCELED, "interrupted");
    if (!clv_progress_due(&eval->progress))
        return CLV_OK;
    snprintf(text, sizeof text, "%d of %d texts", done, count);
    clv_progress_show(&eval->progress, count > 0 ? (double)done / count : -1, text);
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "progress");
    clv_json_put_integer(object, "texts_done", done);
    clv_json_put_integer(object, "texts", count);
    clv_progress_json(&eval->progress, object);
    return CLV_OK;
}

static void warn_cut(const struct clv_eval *eval, int cut)
{
    if (cut > 0 && !eval->cli->flags.quiet)
        clv_out_warning("%d text%s longer than the model reads, and cut", cut,
                        cut == 1 ? " is" : "s are");
}

int clv_eval_encode_texts(struct clv_eval *eval, float *out, const char *const *texts, int count)
{
    const struct clv_model *model = &eval->session.model;
    int cut_sum = 0, status = CLV_OK;
    for (int done = 0; done < count && status == CLV_OK; done += PORTION) {
        int portion = count - done < PORTION ? count - done : PORTION, cut = 0;
        status = show_texts(eval, done, count);
        if (status == CLV_OK)
            status = clv_model_encode_texts(model, eval->encoder,
                                            out + (size_t)done * (size_t)model->config.embed_dim,
                                            &cut, texts + done, portion);
        cut_sum += cut;
    }
    if (status == CLV_OK)
        warn_cut(eval, cut_sum);
    return status;
}

int clv_eval_encode_sentences(struct clv_eval *eval, float *out, const char *const *sentences,
                              int count)
{
    const struct clv_model *model = &eval->session.model;
    int cut_sum = 0, status = CLV_OK;
    if (eval->settings->plain)
        return clv_eval_encode_texts(eval, out, sentences, count);
    for (int i = 0; i < count && status == CLV_OK; i++) {
        int cut = 0;
        status = show_texts(eval, i, count);
        if (status == CLV_OK)
            status = clv_sentence_vector(out + (size_t)i * (size_t)model->config.embed_dim, &cut,
                                         model, eval->encoder, sentences[i]);
        cut_sum += cut;
    }
    if (status == CLV_OK)
        warn_cut(eval, cut_sum);
    return status;
}

/* ---- clips ---- */

struct running {
    struct clv_eval *eval;
    const struct clv_eval_clips *clips;
};

static void report_unread(struct clv_eval *eval, const struct clv_clips *clips, int clip,
                          const char *message)
{
    char name[CLV_CLIP_NAME_SIZE];
    eval->unread_count++;
    clv_out_error("%s", message);
    if (!eval->cli->flags.json)
        return;
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "unread");
    clv_json_put_string(object, "path", clv_clips_name(name, clips, clip));
    clv_json_put_string(object, "error", message);
    (void)clv_out_json(object);
}

static void after_clip(void *payload, int clip, int done_count, int clip_count, const char *message)
{
    const struct running *running = payload;
    struct clv_progress *progress = &running->eval->progress;
    char text[64];
    running->clips->is_read[clip] = message == NULL;
    if (message != NULL)
        report_unread(running->eval, running->clips->clips, clip, message);
    if (!clv_progress_due(progress))
        return;
    snprintf(text, sizeof text, "%d of %d clips", done_count, clip_count);
    clv_progress_show(progress, (double)done_count / clip_count, text);
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "progress");
    clv_json_put_integer(object, "clips_done", done_count);
    clv_json_put_integer(object, "clips", clip_count);
    clv_progress_json(progress, object);
}

int clv_eval_run_clips(struct clv_eval *eval, const struct clv_eval_clips *clips)
{
    struct running running = {eval, clips};
    struct clv_validation result;
    const struct clv_validate_options options = {
        .view_count = eval->view_count,
        .crop_count = eval->crop_count,
        .seed = (uint64_t)eval->settings->seed,
        .text_features = clips->text_features,
        .prompt_count = clips->prompt_count,
        .scores_out = clips->scores,
        .vectors_out = clips->vectors,
        .progress = after_clip,
        .payload = &running,
        .cancel = eval->cli->cancel,
    };
    eval->clip_count = clips->clips->clip_count;
    int status = clv_validate(&result, eval->encoder, clips->clips, &options);
    clv_validation_release(&result);
    return status;
}

/* ---- results of every measure ---- */

struct clv_json *clv_eval_summary(const struct clv_eval *eval, const char *measure)
{
    const struct clv_session *session = &eval->session;
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "summary");
    clv_json_put_string(object, "measure", measure);
    clv_json_put_string(object, "model", session->model.path);
    /* Programs may still ask for what older versions had. */
    clv_json_put_bool(object, "placeholder_model", false);
    clv_json_put_bool(object, "builtin_model", session->model.is_builtin);
    clv_json_put_integer(object, "clips", eval->clip_count);
    clv_json_put_integer(object, "unread", eval->unread_count);
    clv_json_put_integer(object, "seed", eval->settings->seed);
    return object;
}

void clv_eval_print_model(const struct clv_eval *eval, int width)
{
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, eval->session.model.path);
    printf("%-*s%s\n", width, "model", safe.data == NULL ? "" : safe.data);
    clv_bytes_release(&safe);
}

int clv_eval_exit(const struct clv_eval *eval)
{
    return eval->unread_count > 0 ? CLV_EXIT_UNREAD : CLV_EXIT_OK;
}

/* ---- the command ---- */

static int check_data(const struct clv_eval_settings *settings)
{
    if ((settings->data == NULL) == (settings->captions == NULL))
        return clv_fail(CLV_EINVAL, settings->data == NULL
                                        ? "eval needs --data with labelled clips, or --captions"
                                        : "--data and --captions are measures of their own; ask "
                                          "for one at a time");
    if (settings->captions == NULL && (settings->indexed || settings->facts || settings->plain))
        return clv_fail(CLV_EINVAL, "%s belongs to --captions",
                        settings->indexed ? "--indexed"
                        : settings->facts ? "--facts"
                                          : "--plain");
    if (settings->captions != NULL && (settings->classes || settings->prompts.count > 0 ||
                                       settings->pairs || settings->shots > 0 || settings->group))
        return clv_fail(CLV_EINVAL, "%s belongs to --data",
                        settings->classes             ? "--classes"
                        : settings->prompts.count > 0 ? "--prompts"
                        : settings->pairs             ? "--pairs"
                        : settings->shots > 0         ? "--shots"
                                                      : "--group");
    if (settings->write_split != NULL && settings->shots == 0)
        return clv_fail(CLV_EINVAL, "--write-split needs --shots K");
    return CLV_OK;
}

static int parse_views(struct clv_eval *eval)
{
    char *end = NULL, *last = NULL;
    long views = strtol(eval->settings->views, &end, 10);
    long crops = *end == 'x' ? strtol(end + 1, &last, 10) : 0;
    if (last == NULL || last == end + 1 || *last != '\0' || views < 1 || views > 1024 ||
        (crops != 1 && crops != 3))
        return clv_fail(CLV_EINVAL,
                        "--views needs choices of frames and crops as 1x1 or 4x3, not "
                        "'%s'",
                        eval->settings->views);
    eval->view_count = (int)views;
    eval->crop_count = (int)crops;
    return CLV_OK;
}

static int run(const struct clv_cli *cli)
{
    struct clv_eval eval = {.cli = cli, .settings = cli->settings};
    eval.session.cli = cli;
    eval.session.frame_count = (int)eval.settings->frames;
    int status = check_data(eval.settings);
    if (status == CLV_OK)
        status = parse_views(&eval);
    if (status == CLV_OK) {
        clv_progress_begin(&eval.progress, cli);
        status = eval.settings->data != NULL ? clv_eval_classes(&eval)
                 : eval.settings->indexed    ? clv_eval_index(&eval)
                                             : clv_eval_retrieval(&eval);
        clv_progress_end(&eval.progress);
    }
    clv_decoder_close(eval.decoder);
    clv_encoder_free(eval.encoder);
    clv_session_release(&eval.session);
    return status;
}

const struct clv_command clv_command_eval = {
    .name = "eval",
    .operands = "",
    .summary = "measure a model by labelled or captioned footage",
    .description =
        "With --data: how many clips of a closed list of classes are recognised (top-1, top-5, "
        "mean over classes, confusions). For each prompt the classes' probabilities are a softmax; "
        "they are averaged over prompts and summed over views.\n"
        "With --captions: where the clips, or with --indexed the segments of the database, that a "
        "sentence is true of stand among all of them: R@1, R@5, R@10, median and mean rank, mean "
        "average precision. The same sentence may stand beside many clips, and a clip have many.\n"
        "Ties are no knowledge: what scores as high as the right answer counts as standing before "
        "it; between the two classes of a pair a tie counts half. Clips that cannot be read are "
        "named and left out, and the exit status is 3.",
    .example = "claverdb eval --model clip-b16 --data test.csv --classes classes.csv\n"
               "claverdb eval --data all.csv --shots 4 --write-split train.csv,test.csv\n"
               "claverdb eval --captions captions.csv --indexed",
    .opts = opts,
    .settings_size = sizeof(struct clv_eval_settings),
    .defaults = &defaults,
    .run = run,
    .computes = true,
};
