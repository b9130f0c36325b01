/* `doctor`: which devices claverdb can compute on here, what they decode, and why not the others.
 */
#include "cli/command.h"
#include "cli/out.h"
#include "core/compute/device.h"
#include "core/error.h"
#include "core/json.h"
#include "core/media/decoder.h"

#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 512

struct settings {
    int unused;
};

static const struct settings defaults = {0};
static const struct clv_opt opts[] = {{.name = NULL}};

/* One line. `name` is what --device takes; `text` says what it is, or why it does not serve. */
static int say(const struct clv_cli *cli, const char *name, bool serves, const char *text)
{
    if (!cli->flags.json) {
        printf("%-8s %s%s\n", name, serves ? "" : "unavailable: ", text);
        return CLV_OK;
    }
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "device");
    clv_json_put_string(object, "device", name);
    clv_json_put_bool(object, "serves", serves);
    clv_json_put_string(object, serves ? "description" : "reason", text);
    return clv_out_json(object);
}

/* Opening is the only test that finds a library missing or a device that is full. */
static int say_device(const struct clv_cli *cli, enum clv_device_kind kind, int index,
                      const char *name)
{
    struct clv_device *device = NULL;
    char text[TEXT_SIZE];
    const struct clv_device_options options = {
        .kind = kind, .cuda_index = index, .thread_count = (int)cli->flags.threads};
    if (clv_device_open(&device, &options) != CLV_OK)
        return say(cli, name, false, clv_error_message());
    int status = clv_device_describe(kind, index, text, sizeof text);
    clv_device_close(device);
    return say(cli, name, status == CLV_OK, status == CLV_OK ? text : clv_error_message());
}

/* What GPU `index` decodes, or why it decodes nothing. */
static int say_decoder(const struct clv_cli *cli, int index)
{
    struct clv_decoder *decoder = NULL;
    char list[TEXT_SIZE] = "";
    bool serves = clv_decoder_open(&decoder, CLV_DECODER_GPU, index) == CLV_OK;
    struct clv_json *codecs = clv_json_array();
    for (int i = 0; serves && clv_decoder_codecs[i] != NULL; i++) {
        size_t used = strlen(list);
        if (!clv_decoder_decodes(decoder, clv_decoder_codecs[i]))
            continue;
        snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
                 clv_decoder_codecs[i]);
        clv_json_append_string(codecs, clv_decoder_codecs[i]);
    }
    clv_decoder_close(decoder);
    if (!cli->flags.json) {
        clv_json_free(codecs);
        if (serves)
            printf("%-8s on cuda:%d: %s\n", "decoder", index, list);
        else
            printf("%-8s cpu: %s\n", "decoder", clv_error_message());
        return CLV_OK;
    }
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "decoder");
    clv_json_put_string(object, "decoder", "gpu");
    clv_json_put_integer(object, "index", index);
    clv_json_put_bool(object, "serves", serves);
    clv_json_put_string(object, serves ? "description" : "reason",
                        serves ? list : clv_error_message());
    clv_json_put(object, "codecs", codecs);
    return clv_out_json(object);
}

static int run(const struct clv_cli *cli)
{
    int status = say_device(cli, CLV_DEVICE_CPU, 0, "cpu");
    int count = clv_device_count(CLV_DEVICE_CUDA);
    if (status == CLV_OK && count == 0)
        status = say(cli, "cuda", false, clv_error_message());
    for (int i = 0; i < count && status == CLV_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "cuda:%d", i);
        status = say_device(cli, CLV_DEVICE_CUDA, i, name);
    }
    for (int i = 0; (i == 0 || i < count) && status == CLV_OK; i++)
        status = say_decoder(cli, i);
    clv_error_clear(); /* a device that is not there is no failure of this command */
    return status;
}

const struct clv_command clv_command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "say which devices can compute here",
    .description =
        "Opens every device this build and this machine have, and says what each is or "
        "why it does not serve: no support built in, no driver, a card too old, a "
        "library that is missing. What is shown at the left is what --device takes. Says "
        "too which videos the GPU itself decodes, by decoding a picture of each kind.",
    .example = "claverdb doctor\n"
               "claverdb doctor --json",
    .opts = opts,
    .settings_size = sizeof(struct settings),
    .defaults = &defaults,
    .run = run,
};
