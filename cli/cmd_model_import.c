/* `model import`: any CLIP-family checkpoint into one safetensors file. */
#include "cli/command.h"
#include "cli/naming.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/model/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AS_FOUND }; /* the first choice of every list */

struct settings {
    const char *output;
    const char *base;
    int mask;
    int activation;
    int pixels;
    int resize;
    int64_t vision_heads;
    int64_t text_heads;
    bool force;
};

static const char *const masks[] = {"auto", "KMT", "KMCT", NULL};
static const char *const activations[] = {"auto", "quick_gelu", "gelu", NULL};
static const char *const pixels[] = {"auto", "clip", "imagenet", NULL};
static const char *const resizes[] = {"auto", "bicubic", "bilinear", NULL};

static const struct settings defaults = {0};

#define FIELD(field) .offset = offsetof(struct settings, field)
static const struct clv_opt opts[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLV_OPT_STRING,
     FIELD(output),
     .value_name = "FILE",
     .help = "the safetensors file to write"},
    {.name = "base",
     .kind = CLV_OPT_STRING,
     FIELD(base),
     .value_name = "FILE",
     .help = "the CLIP that the checkpoint was trained from, for what it leaves out"},
    {.name = "mask",
     .kind = CLV_OPT_ENUM,
     FIELD(mask),
     .enums = masks,
     .help = "mask of the temporal branch, where the checkpoint does not say"},
    {.name = "activation",
     .kind = CLV_OPT_ENUM,
     FIELD(activation),
     .enums = activations,
     .help = "activation of the MLPs, where the checkpoint does not say"},
    {.name = "pixels",
     .kind = CLV_OPT_ENUM,
     FIELD(pixels),
     .enums = pixels,
     .help = "mean and deviation of pixels that the model was trained with"},
    {.name = "resize",
     .kind = CLV_OPT_ENUM,
     FIELD(resize),
     .enums = resizes,
     .help = "how pictures were scaled in its training"},
    {.name = "vision-heads",
     .kind = CLV_OPT_INTEGER,
     FIELD(vision_heads),
     .value_name = "N",
     .minimum = 0,
     .maximum = 1024,
     .help = "attention heads of the vision branch [its configuration's, else width / 64]"},
    {.name = "text-heads",
     .kind = CLV_OPT_INTEGER,
     FIELD(text_heads),
     .value_name = "N",
     .minimum = 0,
     .maximum = 1024,
     .help = "attention heads of the text branch [its configuration's, else width / 64]"},
    {.name = "force",
     .letter = 'f',
     .kind = CLV_OPT_BOOL,
     FIELD(force),
     .help = "replace the output where it exists"},
    {.name = NULL},
};

static const char *chosen(const char *const *choices, int choice)
{
    return choice == AS_FOUND ? NULL : choices[choice];
}

static int print_json(const char *output, const struct clv_import_report *report)
{
    struct clv_json *object = clv_json_object();
    struct clv_json *notes = clv_json_array();
    clv_json_put_string(object, "type", "import");
    clv_json_put_string(object, "path", output);
    clv_json_put_string(object, "format", report->format == NULL ? "" : report->format);
    clv_json_put_string(object, "layout", report->layout == NULL ? "" : report->layout);
    clv_json_put_integer(object, "tensors", report->tensor_count);
    clv_json_put_integer(object, "ignored_tensors", report->ignored_count);
    clv_json_put_integer(object, "bytes", report->written_bytes);
    clv_json_put_bool(object, "has_vocabulary", report->has_vocabulary);
    for (const char *line = report->notes.data; line != NULL && *line != '\0';) {
        size_t size = strcspn(line, "\n");
        char *note = strndup(line, size);
        if (note != NULL)
            clv_json_append_string(notes, note);
        free(note);
        line += size + (line[size] == '\n');
    }
    clv_json_put(object, "notes", notes);
    return clv_out_json(object);
}

static void print_report(const char *output, const struct clv_import_report *report)
{
    char size[CLV_OUT_NUMBER_SIZE];
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, output);
    printf("read     %s, %s layout\n", report->format == NULL ? "?" : report->format,
           report->layout == NULL ? "unknown" : report->layout);
    printf("wrote    %s: %d tensors, %s, %s vocabulary\n", safe.data == NULL ? "" : safe.data,
           report->tensor_count, clv_out_size(size, report->written_bytes),
           report->has_vocabulary ? "with its" : "without a");
    if (report->ignored_count > 0)
        printf("ignored  %d tensor%s\n", report->ignored_count,
               clv_out_plural(report->ignored_count));
    for (const char *line = report->notes.data; line != NULL && *line != '\0';) {
        int length = (int)strcspn(line, "\n");
        char *note = strndup(line, (size_t)length);
        clv_bytes_clear(&safe);
        clv_out_safe(&safe, note == NULL ? "" : note);
        printf("note     %s\n", safe.data == NULL ? "" : safe.data);
        free(note);
        line += length + (line[length] == '\n');
    }
    clv_bytes_release(&safe);
}

/* The checkpoint itself must not be replaced, even with --force: it may be all there is of it. */
static int check_output(const struct settings *settings, const char *path)
{
    struct clv_file_facts facts;
    if (settings->output == NULL)
        return clv_fail(CLV_EINVAL,
                        "name the file to write with -o: claverdb model import FILE|DIR "
                        "-o OUT.safetensors");
    if (clv_file_facts(&facts, settings->output) != CLV_OK) {
        clv_error_clear();
        return CLV_OK;
    }
    if (facts.is_directory)
        return clv_fail(CLV_EINVAL, "'%s' is a folder; name a file in it with -o",
                        settings->output);
    char *absolute = NULL;
    int status = clv_path_absolute(&absolute, settings->output);
    if (status == CLV_OK && strcmp(absolute, path) == 0)
        status = clv_fail(CLV_EINVAL, "'%s' is what is to be read; give the result another name",
                          settings->output);
    else if (status == CLV_OK && !settings->force)
        status = clv_fail(CLV_EINVAL, "'%s' exists; --force replaces it", settings->output);
    free(absolute);
    return status;
}

static int run(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    struct clv_import_report report = {0};
    char *path = NULL;
    char *base = NULL;
    int status = clv_naming_path(&path, NULL, cli->operands[0]);
    if (status == CLV_OK)
        status = check_output(settings, path);
    if (status == CLV_OK && settings->base != NULL)
        status = clv_naming_path(&base, NULL, settings->base);
    struct clv_import_options options = {
        .vocabulary_path = cli->flags.vocab,
        .base_path = base,
        .mask = chosen(masks, settings->mask),
        .activation = chosen(activations, settings->activation),
        .pixels = chosen(pixels, settings->pixels),
        .resize = chosen(resizes, settings->resize),
        .vision_heads = (int)settings->vision_heads,
        .text_heads = (int)settings->text_heads,
        .cancel = cli->cancel,
    };
    if (status == CLV_OK)
        status = clv_import(path, settings->output, &options, &report);
    if (status == CLV_OK && cli->flags.json)
        status = print_json(settings->output, &report);
    else if (status == CLV_OK)
        print_report(settings->output, &report);
    clv_import_report_release(&report);
    free(path);
    free(base);
    return status;
}

const struct clv_command clv_command_model_import = {
    .name = "model import",
    .operands = "FILE|DIR",
    .summary = "turn a checkpoint into one file that is a whole model",
    .description =
        "Reads a CLIP or CLAVER checkpoint of another program (OpenAI's .pt archives, PyTorch "
        "checkpoints of a training, directories of Hugging Face and OpenCLIP) and writes weights, "
        "settings and vocabulary into one safetensors file. Nothing in a checkpoint is ever "
        "executed. --vocab names the vocabulary where none lies beside it.\n"
        "index and search take such checkpoints directly too and keep the result in a cache.",
    .example = "claverdb model import ViT-B-32.pt -o vit-b-32.safetensors\n"
               "claverdb model import best.pth -o ours.safetensors --mask KMCT\n"
               "claverdb model import vifi.pth --base ViT-B-16.pt -o vifi.safetensors",
    .operand_min = 1,
    .operand_max = 1,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
