/* The device that --device and --precision name. */
#ifndef CLV_CLI_DEVICE_H
#define CLV_CLI_DEVICE_H

#include "core/compute/device.h"

#include <stdbool.h>

struct clv_cli;

/* Opens it, with --threads. CLV_EINVAL where --device is none of auto, cpu, cuda and cuda:N. */
int clv_cli_open_device(struct clv_device **out, const struct clv_cli *cli);

/* Whether the command line asks for more than the CPU with all its cores. */
bool clv_cli_names_device(const struct clv_cli *cli);

#endif
