/* The devices that --device and --precision name. */
#ifndef CLV_CLI_DEVICE_H
#define CLV_CLI_DEVICE_H

#include "core/compute/device.h"
#include "core/media/decoder.h"
#include "indexer/labelled.h"

#include <stdbool.h>
#include <stdint.h>

#define CLV_CLI_DEVICE_MAX 64

struct clv_cli;

/* Opens the one device that is named, with --threads. CLV_EINVAL where --device is none of auto,
 * cpu, cuda and cuda:N, or names several. */
int clv_cli_open_device(struct clv_device **out, const struct clv_cli *cli);

/* The same for commands that compute on several: "cuda:0,1", "cuda:all", "cpu,cpu". CPUs share
 * the threads. Zero-initialise, and release whatever happened. */
struct clv_cli_devices {
    struct clv_device *items[CLV_CLI_DEVICE_MAX];
    int count;
};
int clv_cli_open_devices(struct clv_cli_devices *out, const struct clv_cli *cli);
void clv_cli_release_devices(struct clv_cli_devices *devices);

/* The choices of --decoder, in the order of enum clv_decoder_kind. */
extern const char *const clv_cli_decoders[];
extern const char clv_cli_decoder_help[];
extern const char clv_cli_readers_help[];
/* What decodes footage for a model on `device`, the GPU being the one that --device names. AUTO is
 * the CPU where the model computes on the CPU, and no driver is loaded then. */
int clv_cli_open_decoder(struct clv_decoder **out, const struct clv_cli *cli,
                         const struct clv_device *device, enum clv_decoder_kind kind);

/* How labelled clips are read for what computes on `device`; zeros take the default. */
struct clv_labelled_options clv_cli_reading(const struct clv_device *device,
                                            const struct clv_decoder *decoder, int64_t readers,
                                            int64_t decode_threads);

/* Whether the command line asks for more than the CPU with all its cores. */
bool clv_cli_names_device(const struct clv_cli *cli);

#endif
