#include "cli/device.h"

#include "cli/command.h"
#include "core/error.h"
#include "indexer/batches.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INDEX_DIGITS_MAX 3
#define CUDA_ALL "cuda:all"

/* What --device names, in order. */
struct names {
    struct clv_device_options items[CLV_CLI_DEVICE_MAX];
    int count;
};

static int fail_device(const char *text)
{
    return clv_fail(CLV_EINVAL,
                    "--device takes auto, cpu, cuda or cuda:N, not '%s'; train takes several, as "
                    "cuda:0,1 or cuda:all",
                    text);
}

static bool is_item(const char *item, size_t size, const char *name)
{
    return size == strlen(name) && strncmp(item, name, size) == 0;
}

/* The N of cuda:N. */
static int read_index(int *out, const char *digits, size_t size, const char *text)
{
    if (size == 0 || size > INDEX_DIGITS_MAX || strspn(digits, "0123456789") < size)
        return fail_device(text);
    *out = (int)strtol(digits, NULL, 10);
    return CLV_OK;
}

static int add_name(struct names *names, struct clv_device_options options, const char *text)
{
    if (names->count == CLV_CLI_DEVICE_MAX)
        return clv_fail(CLV_EINVAL, "--device names more than %d devices", CLV_CLI_DEVICE_MAX);
    for (int i = 0; i < names->count; i++) {
        const struct clv_device_options *other = &names->items[i];
        if (other->kind != options.kind)
            return clv_fail(CLV_EINVAL, "--device names devices of different kinds: '%s'", text);
        if (options.kind == CLV_DEVICE_CUDA && other->cuda_index == options.cuda_index)
            return clv_fail(CLV_EINVAL, "--device names cuda:%d twice", options.cuda_index);
    }
    names->items[names->count++] = options;
    return CLV_OK;
}

static int add_all(struct names *names, const char *text)
{
    const int count = clv_device_count(CLV_DEVICE_CUDA);
    int status = count > 0 ? CLV_OK : clv_fail(CLV_EDEVICE, "%s", clv_error_message());
    for (int i = 0; i < count && status == CLV_OK; i++)
        status = add_name(
            names, (struct clv_device_options){.kind = CLV_DEVICE_CUDA, .cuda_index = i}, text);
    return status;
}

/* One of the list; numbers alone go on where cuda:N has begun. */
static int read_item(struct names *names, const char *item, size_t size, const char *text)
{
    struct clv_device_options options = {.kind = CLV_DEVICE_CUDA};
    int status = CLV_OK;
    if (is_item(item, size, "cpu"))
        options.kind = CLV_DEVICE_CPU;
    else if (size > 5 && strncmp(item, "cuda:", 5) == 0)
        status = read_index(&options.cuda_index, item + 5, size - 5, text);
    else if (names->count > 0 && names->items[0].kind == CLV_DEVICE_CUDA)
        status = read_index(&options.cuda_index, item, size, text);
    else if (!is_item(item, size, "cuda"))
        status = fail_device(text);
    return status == CLV_OK ? add_name(names, options, text) : status;
}

static int read_names(struct names *names, const char *text)
{
    if (text == NULL || strcmp(text, "auto") == 0) {
        names->items[names->count++] = (struct clv_device_options){.kind = CLV_DEVICE_AUTO};
        return CLV_OK;
    }
    if (strcmp(text, CUDA_ALL) == 0)
        return add_all(names, text);
    for (const char *item = text;;) {
        const size_t size = strcspn(item, ",");
        int status = read_item(names, item, size, text);
        if (status != CLV_OK || item[size] == '\0')
            return status;
        item += size + 1;
    }
}

int clv_cli_open_device(struct clv_device **out, const struct clv_cli *cli)
{
    struct names names = {.count = 0};
    int status = read_names(&names, cli->flags.device);
    if (status == CLV_OK && names.count > 1)
        status =
            clv_fail(CLV_EINVAL, "--device names %d devices: only training computes on several",
                     names.count);
    if (status != CLV_OK)
        return status;
    names.items[0].thread_count = (int)cli->flags.threads;
    names.items[0].precision = (enum clv_precision)cli->flags.precision;
    return clv_device_open(out, &names.items[0]);
}

/* Of one of several CPUs. */
static int threads_each(const struct clv_cli *cli, int count)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int threads = cli->flags.threads > 0 ? (int)cli->flags.threads
                        : cores > 0            ? (int)cores
                                               : 1;
    return threads > count ? threads / count : 1;
}

int clv_cli_open_devices(struct clv_cli_devices *out, const struct clv_cli *cli)
{
    struct names names = {.count = 0};
    int status = read_names(&names, cli->flags.device);
    for (int i = 0; i < names.count && status == CLV_OK; i++) {
        struct clv_device_options *options = &names.items[i];
        options->thread_count =
            names.count > 1 ? threads_each(cli, names.count) : (int)cli->flags.threads;
        options->precision = (enum clv_precision)cli->flags.precision;
        status = clv_device_open(&out->items[i], options);
        if (status == CLV_OK)
            out->count++;
    }
    return status;
}

void clv_cli_release_devices(struct clv_cli_devices *devices)
{
    for (int i = 0; i < devices->count; i++)
        clv_device_close(devices->items[i]);
    devices->count = 0;
}

const char *const clv_cli_decoders[] = {"auto", "cpu", "gpu", NULL};
const char clv_cli_decoder_help[] =
    "what decodes: the GPU's video engine or the CPU; auto is the GPU where the model computes on "
    "one, and the CPU for what it does not decode";
const char clv_cli_readers_help[] =
    "files decoded at once [1; for a GPU, as many as cores, up to 16]";

int clv_cli_open_decoder(struct clv_decoder **out, const struct clv_cli *cli,
                         const struct clv_device *device, enum clv_decoder_kind kind)
{
    struct names names = {.count = 0};
    *out = NULL;
    int status = read_names(&names, cli->flags.device);
    if (status != CLV_OK)
        return status;
    if (kind == CLV_DECODER_AUTO && clv_device_kind(device) != CLV_DEVICE_CUDA)
        kind = CLV_DECODER_CPU;
    return clv_decoder_open(out, kind, names.items[0].cuda_index);
}

struct clv_labelled_options clv_cli_reading(const struct clv_device *device,
                                            const struct clv_decoder *decoder, int64_t readers,
                                            int64_t decode_threads)
{
    const int count =
        clv_batches_readers(clv_device_kind(device), (int)readers, (int)decode_threads);
    return (struct clv_labelled_options){
        .reader_count = count,
        .thread_count = clv_batches_decode_threads((int)decode_threads, count),
        .decoder = decoder,
    };
}

bool clv_cli_names_device(const struct clv_cli *cli)
{
    const char *device = cli->flags.device;
    return cli->flags.threads > 0 || (device != NULL && strcmp(device, "cpu") != 0);
}
