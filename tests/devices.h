/* The devices that tests run on: every backend of this build that this machine has. */
#ifndef CLV_TESTS_DEVICES_H
#define CLV_TESTS_DEVICES_H

#include "core/compute/device.h"

#include <stdbool.h>

/* Whether a CUDA device serves. Where the build has CUDA and the machine has no device, the first
 * call in a program reports one SKIP with the reason; with CLV_REQUIRE_CUDA=1 in the environment
 * every want of a device, also of a build without CUDA, is a FAIL instead. */
bool t_cuda(void);

/* Whether tests run on the CPU too: not with CLV_ONLY_CUDA=1 in the environment. */
bool t_cpu(void);

/* The CPU where t_cpu(), then CUDA where it serves: opens each into *device with `options` (NULL:
 * defaults; the kind is set here), calls run(), and closes it. Names of tests on CUDA end in
 * "(cuda)". Returns what main() returns. */
int t_each_device(struct clv_device **device, const struct clv_device_options *options,
                  void (*run)(void));

#endif
