/* Sums over the devices of a group: on CPUs to the bit, between CUDA devices where there are two,
 * and through the host where one CUDA device is all there is. */
#include "core/compute/group.h"

#include "core/compute/gradients.h"
#include "core/error.h"
#include "core/log.h"
#include "tests/devices.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 4, GUARD = 16 };

static const size_t counts[] = {1, 31, 4096, 1000003};

struct member {
    struct clv_device *device;
    struct clv_buffer *buffer;
    float *host; /* guard, numbers, guard */
    float *back;
};

struct group {
    struct member members[MEMBERS];
    int count;
    struct clv_group *group;
};

static bool open_group(struct group *out, const struct clv_device_options *options, int count)
{
    struct clv_device *devices[MEMBERS];
    *out = (struct group){.count = count};
    for (int i = 0; i < count; i++) {
        CHECK_OK(clv_device_open(&out->members[i].device, &options[i]));
        devices[i] = out->members[i].device;
        if (!devices[i])
            return false;
    }
    CHECK_OK(clv_group_open(&out->group, devices, count));
    if (out->group)
        CHECK_INT(clv_group_count(out->group), count);
    return out->group != NULL;
}

static void close_group(struct group *group)
{
    clv_group_close(group->group);
    for (int i = 0; i < group->count; i++)
        clv_device_close(group->members[i].device);
}

static bool create_memory(struct group *group, size_t count)
{
    const size_t bytes = (count + 2 * GUARD) * sizeof(float);
    bool is_made = true;
    for (int i = 0; i < group->count; i++) {
        struct member *member = &group->members[i];
        member->host = malloc(bytes);
        member->back = malloc(bytes);
        CHECK_OK(clv_buffer_create(&member->buffer, member->device, bytes));
        is_made = is_made && member->host && member->back && member->buffer;
    }
    return is_made;
}

static void release_memory(struct group *group)
{
    for (int i = 0; i < group->count; i++) {
        clv_buffer_free(group->members[i].buffer);
        free(group->members[i].host);
        free(group->members[i].back);
    }
}

/* The sum in order of the members, as floats, of numbers doubled on their devices first. */
static float sum_of(const struct group *group, size_t k)
{
    float sum = 2 * group->members[0].host[GUARD + k];
    for (int i = 1; i < group->count; i++)
        sum += 2 * group->members[i].host[GUARD + k];
    return sum;
}

/* limit 0: to the bit. */
static void check_sum(struct group *group, size_t count, double limit)
{
    const size_t bytes = (count + 2 * GUARD) * sizeof(float);
    float *data[MEMBERS];
    uint64_t seed = 7;
    size_t wrong = 0, touched = 0;
    REQUIRE(create_memory(group, count));
    for (int i = 0; i < group->count; i++) {
        struct member *member = &group->members[i];
        for (size_t k = 0; k < count + 2 * GUARD; k++)
            member->host[k] = (float)t_normal(&seed);
        float *start = clv_buffer_data(member->buffer);
        data[i] = start + GUARD;
        clv_device_write(member->device, start, member->host, bytes);
        /* The sum takes its place after what was called before it. */
        const struct clv_tensor numbers = clv_tensor(data[i], 1, (int)count);
        clv_scale(member->device, numbers, numbers, 2);
    }
    clv_group_all_reduce(group->group, data, count);
    for (int i = 0; i < group->count; i++) {
        struct member *member = &group->members[i];
        clv_device_read(member->device, member->back, data[i] - GUARD, bytes);
        CHECK_OK(clv_device_sync(member->device));
        for (size_t k = 0; k < count; k++)
            wrong += !(fabs((double)member->back[GUARD + k] - (double)sum_of(group, k)) <= limit);
        for (size_t k = 0; k < GUARD; k++)
            touched += member->back[k] != member->host[k] ||
                       member->back[GUARD + count + k] != member->host[GUARD + count + k];
        CHECK(memcmp(member->back + GUARD, group->members[0].back + GUARD, count * sizeof(float)) ==
              0);
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(touched, 0);
    release_memory(group);
}

static void check_group(const struct clv_device_options *options, int count, const char *name,
                        double limit)
{
    struct group group;
    REQUIRE(open_group(&group, options, count));
    if (strncmp(clv_group_name(group.group), name, strlen(name)) != 0)
        t_fail(__FILE__, __LINE__, "sums are made by %s, not %s", clv_group_name(group.group),
               name);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        check_sum(&group, counts[i], limit);
    clv_group_all_reduce(group.group, (float *[MEMBERS]){NULL}, 0);
    for (int i = 0; i < count; i++)
        CHECK_OK(clv_device_sync(group.members[i].device));
    close_group(&group);
}

static void cpus_sum_in_order(void)
{
    struct clv_device_options options[MEMBERS];
    for (int i = 0; i < MEMBERS; i++)
        options[i] = (struct clv_device_options){.kind = CLV_DEVICE_CPU, .thread_count = 1 + i % 2};
    for (int count = 1; count <= MEMBERS; count++)
        check_group(options, count, "the host", 0);
    clv_group_close(NULL);
}

/* A failure on one device is kept there, and comes back from its sync. */
static void failures_stay_on_their_devices(void)
{
    const struct clv_device_options options[2] = {{.kind = CLV_DEVICE_CPU},
                                                  {.kind = CLV_DEVICE_CPU}};
    struct group group;
    REQUIRE(open_group(&group, options, 2));
    float numbers[2][3] = {{1, 2, 3}, {4, 5, 6}};
    clv_device_fail(group.members[1].device, clv_fail(CLV_ENOMEM, "the second has no memory"));
    clv_group_all_reduce(group.group, (float *[2]){numbers[0], numbers[1]}, 3);
    CHECK_OK(clv_device_sync(group.members[0].device));
    CHECK_ERROR(clv_device_sync(group.members[1].device), CLV_ENOMEM, "the second");
    check_sum(&group, 100, 0);
    close_group(&group);
}

static void cuda_devices_sum_by_nccl(void)
{
    struct clv_device_options options[MEMBERS];
    const int there = t_cuda() ? clv_device_count(CLV_DEVICE_CUDA) : 0;
    if (there < 2) {
        t_skip("%d CUDA devices where two are needed", there);
        return;
    }
    for (int i = 0; i < MEMBERS; i++)
        options[i] = (struct clv_device_options){.kind = CLV_DEVICE_CUDA, .cuda_index = i};
    for (int count = 2; count <= MEMBERS && count <= there; count++)
        check_group(options, count, "NCCL ", 1e-5);
}

static void keep_line(enum clv_log_level level, const char *line, void *payload)
{
    (void)level;
    snprintf(payload, 512, "%s", line);
}

/* NCCL takes no device twice: so does one device show what happens without it. */
static void cuda_devices_sum_on_the_host_where_nccl_does_not_serve(void)
{
    const struct clv_device_options options[3] = {
        {.kind = CLV_DEVICE_CUDA}, {.kind = CLV_DEVICE_CUDA}, {.kind = CLV_DEVICE_CPU}};
    char line[512] = "";
    if (!t_cuda()) {
        t_skip("no CUDA device");
        return;
    }
    clv_log_set(keep_line, line, CLV_LOG_WARNING);
    check_group(options, 2, "the host", 0);
    if (!strstr(line, "the 2 CUDA devices exchange through the host"))
        t_fail(__FILE__, __LINE__, "the log says '%s'", line);
    line[0] = '\0';
    check_group(options + 1, 2, "the host", 0);
    CHECK_STRING(line, "");
    clv_log_set(NULL, NULL, CLV_LOG_WARNING);
}

int main(void)
{
    if (t_cpu()) {
        T_RUN(cpus_sum_in_order);
        T_RUN(failures_stay_on_their_devices);
    }
    T_RUN(cuda_devices_sum_by_nccl);
    T_RUN(cuda_devices_sum_on_the_host_where_nccl_does_not_serve);
    return t_end();
}
