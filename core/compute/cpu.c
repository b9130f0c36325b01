/* The CPU backend's life: opening with the instruction set the processor has, memory, workspace. */
#include "core/compute/cpu.h"

#include "core/compute/blas.h"
#include "core/error.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#define ALIGNMENT 64

static bool processor_has(enum clv_variant variant)
{
#if defined(__x86_64__)
    if (variant == CLV_VARIANT_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (variant == CLV_VARIANT_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return variant == CLV_VARIANT_PLAIN;
}

const struct clv_kernels *clv_kernels_find(enum clv_variant variant)
{
    static const struct clv_kernels *const tables[] = {
        [CLV_VARIANT_PLAIN] = &clv_kernels_plain,
#if defined(__x86_64__)
        [CLV_VARIANT_AVX2] = &clv_kernels_avx2,
        [CLV_VARIANT_AVX512] = &clv_kernels_avx512,
#endif
    };
    if (variant == CLV_VARIANT_BEST) {
        variant = CLV_VARIANT_AVX512;
        while (!processor_has(variant))
            variant--;
    }
    return processor_has(variant) ? tables[variant] : NULL;
}

int clv_cpu_open(struct clv_device *device, const struct clv_device_options *options,
                 enum clv_variant variant)
{
    const struct clv_kernels *kernels = clv_kernels_find(variant);
    if (!kernels)
        return clv_fail(CLV_EDEVICE, "this processor lacks the instructions asked for");
    if (options->thread_count < 0)
        return clv_fail(CLV_EINVAL, "%d is no number of threads", options->thread_count);
    int thread_count;
    int status = clv_blas_open(&thread_count, options->thread_count);
    if (status != 0)
        return status;
    struct clv_cpu *cpu = calloc(1, sizeof *cpu);
    if (!cpu)
        return clv_fail_memory("the CPU backend");
    cpu->kernels = kernels;
    cpu->thread_count = thread_count;
    device->ops = &clv_ops_cpu;
    if (options->bf16_activations) {
        clv_cpu_take_bf16(&cpu->bf16_ops);
        device->ops = &cpu->bf16_ops;
        device->activation_type = CLV_TYPE_BF16;
    }
    device->kind = CLV_DEVICE_CPU;
    device->state = cpu;
    char blas[80];
    clv_blas_describe(blas, sizeof blas);
    snprintf(device->name, sizeof device->name, "cpu, %d thread%s, %s, %s", thread_count,
             thread_count == 1 ? "" : "s", kernels->name, blas);
    return 0;
}

void clv_cpu_close(struct clv_device *device)
{
    struct clv_cpu *cpu = device->state;
    if (cpu) {
        free(cpu->workspace_base);
        free(cpu->widened_base);
    }
    free(cpu);
    device->state = NULL;
}

/* calloc() rather than an aligned allocation: the system's fresh pages are zero already. */
static void *allocate_aligned(void **base_out, size_t size_bytes)
{
    *base_out = NULL;
    if (size_bytes > SIZE_MAX - ALIGNMENT) {
        (void)clv_fail(CLV_ENOMEM, "out of memory for %zu bytes of tensors", size_bytes);
        return NULL;
    }
    void *base = calloc(1, size_bytes + ALIGNMENT);
    if (!base) {
        (void)clv_fail(CLV_ENOMEM, "out of memory for %zu bytes of tensors", size_bytes);
        return NULL;
    }
    *base_out = base;
    return (unsigned char *)base + (ALIGNMENT - (uintptr_t)base % ALIGNMENT);
}

void *clv_cpu_allocate(struct clv_device *device, void **base_out, size_t size_bytes)
{
    (void)device;
    return allocate_aligned(base_out, size_bytes);
}

void clv_cpu_release(struct clv_device *device, void *base)
{
    (void)device;
    free(base);
}

/* Memory that is kept and grows. */
static void *grow(struct clv_device *device, void **memory, void **base, size_t *have_bytes,
                  size_t size_bytes)
{
    if (*have_bytes >= size_bytes && *memory)
        return *memory;
    free(*base);
    *have_bytes = 0;
    *memory = allocate_aligned(base, size_bytes);
    if (*memory)
        *have_bytes = size_bytes;
    else
        clv_device_fail(device, CLV_ENOMEM);
    return *memory;
}

void *clv_cpu_workspace(struct clv_device *device, size_t size_bytes)
{
    struct clv_cpu *cpu = device->state;
    return grow(device, &cpu->workspace, &cpu->workspace_base, &cpu->workspace_bytes, size_bytes);
}

void *clv_cpu_widened(struct clv_device *device, size_t size_bytes)
{
    struct clv_cpu *cpu = device->state;
    return grow(device, &cpu->widened, &cpu->widened_base, &cpu->widened_bytes, size_bytes);
}

int clv_cpu_threads_for(const struct clv_device *device, int rows, int cols)
{
    const struct clv_cpu *cpu = device->state;
    return (size_t)rows * (size_t)cols < CLV_CPU_PARALLEL_ELEMENTS ? 1 : cpu->thread_count;
}

int clv_cpu_thread_index(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}
