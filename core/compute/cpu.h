/* Private to the CPU backend: its state, its workspace, and what its files call of each other. */
#ifndef CLV_CORE_COMPUTE_CPU_H
#define CLV_CORE_COMPUTE_CPU_H

#include "core/compute/kernels.h"
#include "core/compute/ops_table.h"

#include <stddef.h>

struct clv_cpu {
    int thread_count;
    const struct clv_kernels *kernels;
    void *workspace; /* 64-byte aligned, grown rarely, kept for the life of the device */
    void *workspace_base;
    size_t workspace_bytes;
};

/* Opens the CPU backend on `device`: state, op table, name. CLV_EDEVICE where the processor lacks
 * `variant` or BLAS computes wrong products. */
int clv_cpu_open(struct clv_device *device, const struct clv_device_options *options,
                 enum clv_variant variant);

/* Scratch of at least `size_bytes`, contents undefined, shared by all ops of the device. NULL
 * after a sticky CLV_ENOMEM. */
void *clv_cpu_workspace(struct clv_device *device, size_t size_bytes);

/* Which of the team's threads runs this, 0 outside a parallel region. */
int clv_cpu_thread_index(void);

/* Regions with less work than this many touched elements stay on one thread. */
#define CLV_CPU_PARALLEL_ELEMENTS 16384

extern const struct clv_ops clv_ops_cpu;

/* cpu.c */
void clv_cpu_close(struct clv_device *device);
void *clv_cpu_allocate(struct clv_device *device, void **base_out, size_t size_bytes);
void clv_cpu_release(struct clv_device *device, void *base);
/* cpu_attention.c */
void clv_cpu_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                       struct clv_tensor k, struct clv_tensor v,
                       const struct clv_attention *attention);

#endif
