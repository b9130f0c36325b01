/* Finding the devices that tests run on. */
#include "tests/devices.h"

#include "core/error.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value && strcmp(value, "0") != 0;
}

bool t_cpu(void)
{
    return !is_set("CLV_ONLY_CUDA");
}

static bool find_cuda(void)
{
    struct clv_device *device = NULL;
    if (clv_device_open(&device, &(struct clv_device_options){.kind = CLV_DEVICE_CUDA}) == CLV_OK) {
        clv_device_close(device);
        return true;
    }
    bool is_required = is_set("CLV_REQUIRE_CUDA");
    char reason[512];
    snprintf(reason, sizeof reason, "%s", clv_error_message());
    if (!is_required && !clv_device_is_built(CLV_DEVICE_CUDA))
        return false;
    t_begin("cuda");
    if (is_required)
        t_fail(__FILE__, __LINE__, "CLV_REQUIRE_CUDA is set: %s", reason);
    else
        t_skip("%s", reason);
    t_finish();
    return false;
}

bool t_cuda(void)
{
    static bool is_known, is_there;
    if (!is_known)
        is_there = find_cuda();
    is_known = true;
    return is_there;
}

int t_each_device(struct clv_device **device, const struct clv_device_options *options,
                  void (*run)(void))
{
    static const enum clv_device_kind kinds[] = {CLV_DEVICE_CPU, CLV_DEVICE_CUDA};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct clv_device_options opened = options ? *options : (struct clv_device_options){0};
        opened.kind = kinds[i];
        if (kinds[i] == CLV_DEVICE_CUDA ? !t_cuda() : !t_cpu())
            continue;
        if (clv_device_open(device, &opened) != CLV_OK) {
            printf("FAIL device: %s\n", clv_error_message());
            return 1;
        }
        t_suffix(kinds[i] == CLV_DEVICE_CUDA ? " (cuda)" : "");
        run();
        clv_device_close(*device);
        *device = NULL;
    }
    t_suffix("");
    return t_end();
}
