/* Private to core/compute: what device.c asks of the CUDA backend. In builds without it (no nvcc,
 * or CUDA=0) nothing defines these. */
#ifndef CLV_CORE_COMPUTE_CUDA_H
#define CLV_CORE_COMPUTE_CUDA_H

#include "core/compute/ops_table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the CUDA device options->cuda_index on `device`: state, op table, name. CLV_EDEVICE where
 * there is no driver, no such device, or one older than compute capability 8.0. */
int clv_cuda_open(struct clv_device *device, const struct clv_device_options *options);

/* Devices the driver shows, whether or not they serve; 0 with the reason recorded as this thread's
 * message where there are none. */
int clv_cuda_count(void);

/* Whether clv_cuda_open() would take device `index`; records why where not. */
bool clv_cuda_serves(int index);

/* One line: "NVIDIA H100 80GB HBM3, compute capability 9.0, 79.1 GiB". */
int clv_cuda_describe(int index, char *out, size_t size);

/* cuda_group.cu: clv_device_link(), clv_device_link_sum() and clv_device_unlink(). */
int clv_cuda_link(struct clv_device_link **out, char *name, size_t name_size,
                  struct clv_device *const *devices, int count);
void clv_cuda_link_sum(struct clv_device_link *link, float *const *data, size_t count);
void clv_cuda_unlink(struct clv_device_link *link);

/* The table, complete whether or not there is a device. */
const struct clv_ops *clv_cuda_ops(void);

#ifdef __cplusplus
}
#endif

#endif
