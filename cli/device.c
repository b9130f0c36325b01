#include "cli/device.h"

#include "cli/command.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_DIGITS_MAX 3

static int fail_device(const char *text)
{
    return clv_fail(CLV_EINVAL, "--device takes auto, cpu, cuda or cuda:N, not '%s'", text);
}

/* The N of cuda:N. */
static int read_index(int *out, const char *digits, const char *text)
{
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > INDEX_DIGITS_MAX || digits[count] != '\0')
        return fail_device(text);
    *out = (int)strtol(digits, NULL, 10);
    return CLV_OK;
}

static int read_device(struct clv_device_options *options, const char *text)
{
    if (text == NULL || strcmp(text, "auto") == 0) {
        options->kind = CLV_DEVICE_AUTO;
        return CLV_OK;
    }
    if (strcmp(text, "cpu") == 0) {
        options->kind = CLV_DEVICE_CPU;
        return CLV_OK;
    }
    if (strncmp(text, "cuda", 4) != 0)
        return fail_device(text);
    options->kind = CLV_DEVICE_CUDA;
    if (text[4] == '\0')
        return CLV_OK;
    return text[4] == ':' ? read_index(&options->cuda_index, text + 5, text) : fail_device(text);
}

int clv_cli_open_device(struct clv_device **out, const struct clv_cli *cli)
{
    struct clv_device_options options = {.thread_count = (int)cli->flags.threads,
                                         .precision = (enum clv_precision)cli->flags.precision};
    int status = read_device(&options, cli->flags.device);
    return status == CLV_OK ? clv_device_open(out, &options) : status;
}

bool clv_cli_names_device(const struct clv_cli *cli)
{
    const char *device = cli->flags.device;
    return cli->flags.threads > 0 || (device != NULL && strcmp(device, "cpu") != 0);
}
