/* Libraries that are loaded when they are first wanted: the program starts without them. */
#include "core/compute/cuda_state.cuh"

#include <dlfcn.h>

#include <cstdio>

void *clv_cuda_library(const char *name, char *error, size_t error_bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", CLV_CUDA_LIBRARIES, name);
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        snprintf(error, error_bytes, "%s", reason ? reason : name);
    }
    return handle;
}
