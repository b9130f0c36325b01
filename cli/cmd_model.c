/* `model info` and `model compare`: weight files. */
#include "cli/command.h"
#include "cli/device.h"
#include "cli/naming.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/json.h"
#include "core/model/compare.h"
#include "core/model/model.h"
#include "core/model/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_model(struct clv_model *out, const struct clv_cli *cli, const char *name)
{
    struct clv_model_options options = {.vocabulary_path = cli->flags.vocab};
    return clv_naming_open(out, name, &options);
}

/* ---- info ---- */

static void put_tower(struct clv_json *object, const char *key, const struct clv_tower *tower)
{
    struct clv_json *value = clv_json_object();
    clv_json_put_integer(value, "width", tower->width);
    clv_json_put_integer(value, "layers", tower->layer_count);
    clv_json_put_integer(value, "heads", tower->head_count);
    clv_json_put_integer(value, "mlp_width", tower->mlp_width);
    clv_json_put(object, key, value);
}

static struct clv_json *metadata_object(const struct clv_model *model)
{
    struct clv_json *object = clv_json_object();
    for (size_t i = 0; i < clv_weights_metadata_count(model->weights); i++) {
        const char *key = NULL;
        const char *value = NULL;
        clv_weights_metadata_at(model->weights, i, &key, &value);
        clv_json_put_string(object, key, value);
    }
    return object;
}

static int print_info_json(const struct clv_model *model, const struct clv_model_facts *facts)
{
    const struct clv_model_config *config = &model->config;
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "model");
    clv_json_put_string(object, "path", model->path);
    clv_json_put_string(object, "kind", config->temporal.layer_count > 0 ? "CLAVER" : "CLIP");
    clv_json_put_string(object, "digest", facts->digest_text);
    clv_json_put_integer(object, "file_bytes", facts->file_bytes);
    clv_json_put_string(object, "dtype", facts->dtype);
    clv_json_put_integer(object, "parameters", facts->parameter_count);
    put_tower(object, "vision", &config->vision);
    put_tower(object, "temporal", &config->temporal);
    put_tower(object, "text", &config->text);
    clv_json_put_integer(object, "embed_dim", config->embed_dim);
    clv_json_put_integer(object, "image_side", config->image_side);
    clv_json_put_integer(object, "patch_side", config->patch_side);
    clv_json_put_integer(object, "frame_count", config->frame_count);
    clv_json_put_integer(object, "context_length", config->context_length);
    clv_json_put_integer(object, "vocabulary_size", config->vocabulary_size);
    clv_json_put_integer(object, "tokenizer_size", facts->tokenizer_size);
    clv_json_put_string(object, "mask", facts->mask);
    clv_json_put_string(object, "activation", facts->activation);
    clv_json_put_string(object, "resize", facts->resize);
    clv_json_put_number(object, "logit_scale", exp((double)config->logit_scale));
    struct clv_json *mean = clv_json_array();
    struct clv_json *std = clv_json_array();
    for (int i = 0; i < 3; i++) {
        clv_json_append_number(mean, config->pixel_mean[i]);
        clv_json_append_number(std, config->pixel_std[i]);
    }
    clv_json_put(object, "pixel_mean", mean);
    clv_json_put(object, "pixel_std", std);
    clv_json_put_integer(object, "tensors", facts->tensor_count);
    clv_json_put_integer(object, "ignored_tensors", facts->ignored_tensor_count);
    clv_json_put_number(object, "frame_gmacs", facts->frame_gmacs);
    clv_json_put_number(object, "window_gmacs", facts->window_gmacs);
    clv_json_put_number(object, "text_gmacs", facts->text_gmacs);
    const char *card = clv_weights_metadata(model->weights, CLV_MODEL_CARD);
    if (card != NULL)
        clv_json_put_string(object, "card", card);
    clv_json_put(object, "metadata", metadata_object(model));
    return clv_out_json(object);
}

static void print_tower(const char *name, const struct clv_tower *tower, int64_t parameters,
                        double gmacs, const char *unit)
{
    if (tower->layer_count == 0) {
        printf("%-12snone\n", name);
        return;
    }
    printf("%-12s%d layer%s, width %d, %d head%s, %.1f M parameters, %.3g GMAC %s\n", name,
           tower->layer_count, clv_out_plural(tower->layer_count), tower->width, tower->head_count,
           clv_out_plural(tower->head_count), (double)parameters / 1e6, gmacs, unit);
}

static void print_pair(const char *key, const char *value)
{
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, key);
    clv_bytes_text(&safe, " = ");
    clv_out_safe(&safe, value);
    printf("metadata    %s\n", safe.data == NULL ? "" : safe.data);
    clv_bytes_release(&safe);
}

/* Line by line, below the first word of the first. */
static void print_card(const char *card)
{
    const char *heading = "card";
    struct clv_bytes line = {0}, safe = {0};
    while (*card != '\0') {
        size_t size = strcspn(card, "\n");
        clv_bytes_clear(&line);
        clv_bytes_clear(&safe);
        clv_bytes_add(&line, card, size > 0 && card[size - 1] == '\r' ? size - 1 : size);
        clv_out_safe(&safe, line.data == NULL ? "" : line.data);
        printf("%-12s%s\n", heading, safe.data == NULL ? "" : safe.data);
        card += size + (card[size] == '\n');
        heading = "";
    }
    clv_bytes_release(&line);
    clv_bytes_release(&safe);
}

static void print_info(const struct clv_model *model, const struct clv_model_facts *facts)
{
    const struct clv_model_config *config = &model->config;
    char size[CLV_OUT_NUMBER_SIZE];
    struct clv_bytes path = {0};
    clv_out_safe(&path, model->path);
    printf("file        %s (%s, %s)\n", path.data == NULL ? "" : path.data,
           clv_out_size(size, facts->file_bytes), facts->dtype);
    clv_bytes_release(&path);
    printf("kind        %s, %.1f M parameters in %d tensors\n",
           config->temporal.layer_count > 0 ? "CLAVER" : "CLIP without a temporal branch",
           (double)facts->parameter_count / 1e6, facts->tensor_count);
    if (facts->ignored_tensor_count > 0)
        printf("ignored     %d tensor%s that are no part of the model\n",
               facts->ignored_tensor_count, clv_out_plural(facts->ignored_tensor_count));
    print_tower("vision", &config->vision, facts->vision_parameter_count, facts->frame_gmacs,
                "a frame");
    print_tower("temporal", &config->temporal, facts->temporal_parameter_count, facts->window_gmacs,
                "a window");
    print_tower("text", &config->text, facts->text_parameter_count, facts->text_gmacs, "a text");
    printf("pictures    %dx%d in patches of %d, %s, mean %.4g %.4g %.4g, std %.4g %.4g %.4g\n",
           config->image_side, config->image_side, config->patch_side, facts->resize,
           (double)config->pixel_mean[0], (double)config->pixel_mean[1],
           (double)config->pixel_mean[2], (double)config->pixel_std[0],
           (double)config->pixel_std[1], (double)config->pixel_std[2]);
    printf("frames      %d a window, mask %s\n", config->frame_count, facts->mask);
    printf("vectors     %d numbers, logit scale %.4g, %s\n", config->embed_dim,
           exp((double)config->logit_scale), facts->activation);
    printf("vocabulary  %d tokens, context %d; %s\n", config->vocabulary_size,
           config->context_length,
           facts->tokenizer_size > 0 ? "at hand" : "not found (name its file with --vocab)");
    printf("digest      %s\n", facts->digest_text);
    const char *card = clv_weights_metadata(model->weights, CLV_MODEL_CARD);
    if (card != NULL)
        print_card(card);
    for (size_t i = 0; i < clv_weights_metadata_count(model->weights); i++) {
        const char *key = NULL;
        const char *value = NULL;
        clv_weights_metadata_at(model->weights, i, &key, &value);
        if (strcmp(key, CLV_MODEL_CARD) != 0)
            print_pair(key, value);
    }
}

static int run_info(const struct clv_cli *cli)
{
    struct clv_model model = {0};
    struct clv_model_facts facts;
    int status = open_model(&model, cli, cli->operands[0]);
    if (status != CLV_OK)
        return status;
    status = clv_model_facts(&facts, &model);
    if (status == CLV_OK && cli->flags.json)
        status = print_info_json(&model, &facts);
    else if (status == CLV_OK)
        print_info(&model, &facts);
    clv_model_release(&model);
    return status;
}

static const struct clv_opt no_opts[] = {{.name = NULL}};
static const char no_defaults[1];

const struct clv_command clv_command_model_info = {
    .name = "model info",
    .operands = "FILE",
    .summary = "say what a weight file is",
    .description =
        "Prints what the tensors and metadata of a model make of it: the kind of model, its sizes, "
        "what it wants of pictures and text; and its card, where it has one: what it was trained "
        "on, and what it is not. 'mini' is the built-in model.",
    .example = "claverdb model info mini\n"
               "claverdb model info vit-b-32.safetensors",
    .operand_min = 1,
    .operand_max = 1,
    .opts = no_opts,
    .defaults = no_defaults,
    .run = run_info,
};

/* ---- compare ---- */

struct settings {
    bool train;
    double tolerance; /* negative: the usual one */
};

static const struct settings defaults = {.tolerance = -1};
static const struct clv_opt opts[] = {
    {.name = "train",
     .kind = CLV_OPT_BOOL,
     .offset = offsetof(struct settings, train),
     .help = "compare the loss, its gradients and a training step"},
    {.name = "tolerance",
     .kind = CLV_OPT_NUMBER,
     .offset = offsetof(struct settings, tolerance),
     .value_name = "X",
     .minimum = 0,
     .maximum = 1e9,
     .help =
         "largest error allowed, relative to the tensor's largest value [1e-4; 1e-3 with --train]"},
    {.name = NULL},
};

struct comparison {
    const struct clv_cli *cli;
    double tolerance;
    struct clv_table table;
};

static void print_line(const struct clv_compare_line *line, void *payload)
{
    struct comparison *comparison = payload;
    if (comparison->cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "tensor");
        clv_json_put_string(object, "name", line->name);
        clv_json_put_bool(object, "compared", line->is_compared);
        if (line->is_compared) {
            clv_json_put_number(object, "error", line->error);
            clv_json_put_number(object, "largest", line->largest);
            clv_json_put_bool(object, "within", line->is_within);
        }
        (void)clv_out_json(object);
        return;
    }
    if (!line->is_compared)
        return;
    clv_table_cell(&comparison->table, "%s", line->name);
    clv_table_cell(&comparison->table, "%.3g", line->error);
    clv_table_cell(&comparison->table, "%.4g", line->largest);
    clv_table_cell(&comparison->table, "%s", line->is_within ? "ok" : "DIFFERS");
}

static int print_comparison(struct comparison *comparison, const struct clv_compare_result *result)
{
    if (comparison->cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "summary");
        clv_json_put_integer(object, "compared", result->compared_count);
        clv_json_put_integer(object, "ignored", result->ignored_count);
        clv_json_put_number(object, "error_max", result->error_max);
        clv_json_put_number(object, "tolerance", comparison->tolerance);
        clv_json_put_bool(object, "within", result->is_within);
        return clv_out_json(object);
    }
    int status = clv_table_print(&comparison->table);
    if (status != CLV_OK)
        return status;
    printf("%d tensors compared, %d not; the largest error is %.3g, %s the tolerance of %g\n",
           result->compared_count, result->ignored_count, result->error_max,
           result->is_within ? "within" : "outside", comparison->tolerance);
    return CLV_OK;
}

static int run_compare(const struct clv_cli *cli)
{
    const struct settings *settings = cli->settings;
    struct clv_model model = {0};
    struct clv_device *device = NULL;
    struct clv_compare_result result = {0};
    struct comparison comparison = {.cli = cli, .tolerance = settings->tolerance};
    int status = open_model(&model, cli, cli->operands[0]);
    if (status != CLV_OK)
        return status;
    status = clv_cli_open_device(&device, cli);
    if (status != CLV_OK)
        goto done;
    if (!cli->flags.json)
        clv_table_begin(&comparison.table, "TENSOR ERROR> LARGEST> RESULT");
    if (comparison.tolerance < 0)
        comparison.tolerance = settings->train ? 1e-3 : 1e-4;
    status = (settings->train ? clv_compare_train : clv_compare_run)(
        &result, &model, device, cli->operands[1], comparison.tolerance, print_line, &comparison);
    if (status == CLV_OK)
        status = print_comparison(&comparison, &result);
    if (status == CLV_OK && !result.is_within)
        status = CLV_EXIT_NOTHING;
done:
    clv_bytes_release(&comparison.table.cells);
    clv_device_close(device);
    clv_model_release(&model);
    return status;
}

const struct clv_command clv_command_model_compare = {
    .name = "model compare",
    .operands = "WEIGHTS EXPECT",
    .summary = "compare a model's results with expected ones",
    .description =
        "Runs every input_* tensor of an expectation file (safetensors) through the model and "
        "prints, tensor by tensor, the largest error relative to that tensor's largest value. Exit "
        "status 1 means that one is above the tolerance. With --train, what is compared is the "
        "loss, every grad.* and, after "
        "one step of AdamW, every step.*.",
    .example = "claverdb model compare tiny.safetensors tiny.expect.safetensors",
    .operand_min = 2,
    .operand_max = 2,
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run_compare,
    .computes = true,
};
