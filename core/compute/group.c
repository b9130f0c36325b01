/* Sums over the devices of a group: the backend's own where it has them, through the host where
 * not. */
#include "core/compute/group.h"

#include "core/compute/ops_table.h"
#include "core/error.h"
#include "core/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_COUNT ((size_t)256 << 10) /* floats that pass through the host at a time */
#define NAME_SIZE 64

struct clv_group {
    int count;
    struct clv_device **devices;
    struct clv_device_link *link; /* the backend's; NULL: sums are made on the host */
    float *sum, *part;            /* [PIECE_COUNT], where there is no link */
    char name[NAME_SIZE];
};

/* A group of CUDA devices without a link works, slower: that is worth a line. */
static void link_devices(struct clv_group *group)
{
    for (int i = 0; i < group->count; i++)
        if (group->devices[i]->kind != CLV_DEVICE_CUDA)
            return;
    if (clv_device_link(&group->link, group->name, sizeof group->name, group->devices,
                        group->count) == CLV_OK) {
        clv_log(CLV_LOG_INFO, "the %d CUDA devices exchange through %s", group->count, group->name);
        return;
    }
    clv_log(CLV_LOG_WARNING, "the %d CUDA devices exchange through the host, which is slower: %s",
            group->count, clv_error_message());
    clv_error_clear();
}

int clv_group_open(struct clv_group **out, struct clv_device *const *devices, int count)
{
    assert(count > 0);
    *out = NULL;
    struct clv_group *group = calloc(1, sizeof *group);
    if (!group)
        return clv_fail_memory("a group of devices");
    group->devices = calloc((size_t)count, sizeof *group->devices);
    if (!group->devices) {
        clv_group_close(group);
        return clv_fail_memory("a group of devices");
    }
    group->count = count;
    memcpy(group->devices, devices, (size_t)count * sizeof *devices);
    snprintf(group->name, sizeof group->name, "the host");
    if (count > 1)
        link_devices(group);
    if (count > 1 && !group->link) {
        group->sum = malloc(PIECE_COUNT * sizeof *group->sum);
        group->part = malloc(PIECE_COUNT * sizeof *group->part);
        if (!group->sum || !group->part) {
            clv_group_close(group);
            return clv_fail_memory("a group of devices");
        }
    }
    *out = group;
    return CLV_OK;
}

void clv_group_close(struct clv_group *group)
{
    if (!group)
        return;
    clv_device_unlink(group->link);
    free(group->devices);
    free(group->sum);
    free(group->part);
    free(group);
}

int clv_group_count(const struct clv_group *group)
{
    return group->count;
}

const char *clv_group_name(const struct clv_group *group)
{
    return group->name;
}

static void sum_on_host(struct clv_group *group, float *const *data, size_t first, size_t count)
{
    const size_t bytes = count * sizeof *group->sum;
    clv_device_read(group->devices[0], group->sum, data[0] + first, bytes);
    for (int i = 1; i < group->count; i++) {
        clv_device_read(group->devices[i], group->part, data[i] + first, bytes);
        for (size_t k = 0; k < count; k++)
            group->sum[k] += group->part[k];
    }
    for (int i = 0; i < group->count; i++)
        clv_device_write(group->devices[i], data[i] + first, group->sum, bytes);
}

void clv_group_all_reduce(struct clv_group *group, float *const *data, size_t count)
{
    if (group->count == 1 || count == 0)
        return;
    if (group->link) {
        clv_device_link_sum(group->link, data, count);
        return;
    }
    for (size_t at = 0; at < count; at += PIECE_COUNT)
        sum_on_host(group, data, at, count - at < PIECE_COUNT ? count - at : PIECE_COUNT);
}
