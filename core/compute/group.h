/* Devices of one machine that compute parts of one thing, and what passes between them. */
#ifndef CLV_CORE_COMPUTE_GROUP_H
#define CLV_CORE_COMPUTE_GROUP_H

#include "core/compute/device.h"

#include <stddef.h>

struct clv_group;

/* The devices must outlive the group. CUDA devices exchange through NCCL; where its library does
 * not load or does not take them, and between other devices, sums are made on the host, and a
 * group of CUDA devices says so in one line of the log. */
int clv_group_open(struct clv_group **out, struct clv_device *const *devices, int count);
void clv_group_close(struct clv_group *group);

int clv_group_count(const struct clv_group *group);
/* How sums are made: "NCCL 2.28.9", "the host". Borrowed. */
const char *clv_group_name(const struct clv_group *group);

/* data[i] [count], contiguous in the memory of device i, becomes the sum of all of them, the same
 * bits in each. On the host it is ((data[0] + data[1]) + data[2]) …; NCCL chooses an order of its
 * own. In order with the ops of every device, none of which another thread may be calling.
 * Failures are kept on the devices. Where NCCL fails, or a device is lost while the others wait for
 * its part, that ends for them too, with what is no sum; later sums of the group fail. */
void clv_group_all_reduce(struct clv_group *group, float *const *data, size_t count);

#endif
