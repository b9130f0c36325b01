/* Attention on the CPU: cuts the queries of every sequence and head into runs and deals them out to
 * the threads; the kernels do a run each. */
#include "core/compute/cpu.h"

#include "core/error.h"

#include <stdint.h>

/* Query rows [first, first + count) of q, all of one sequence. */
struct run {
    int sequence;
    int first;
    int count;
};

/* The first row of q at or after `from` that belongs past the k rows ending at `end`. */
static int query_end(const struct clv_attention *attention, int q_rows, int from, int end)
{
    if (!attention->query_rows)
        return end;
    while (from < q_rows && attention->query_rows[from] < end)
        from++;
    return from;
}

/* Walks the runs in order; writes them where `out` is given. Returns how many there are. */
static int list_runs(struct run *out, const struct clv_attention *attention, int q_rows)
{
    int run_count = 0, first = 0;
    for (int s = 0; s < attention->sequence_count; s++) {
        int end = query_end(attention, q_rows, first, attention->starts[s + 1]);
        int pieces = (end - first + CLV_ATTEND_QUERY_MAX - 1) / CLV_ATTEND_QUERY_MAX;
        for (int piece = 0; piece < pieces; piece++) {
            int count = (end - first) / (pieces - piece);
            if (out)
                out[run_count] = (struct run){s, first, count};
            run_count++;
            first += count;
        }
    }
    return run_count;
}

static size_t round_up(size_t size_bytes)
{
    return (size_bytes + 63) & ~(size_t)63;
}

void clv_cpu_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                       struct clv_tensor k, struct clv_tensor v,
                       const struct clv_attention *attention)
{
    const struct clv_cpu *cpu = device->state;
    const struct clv_kernels *kernels = cpu->kernels;
    int head_count = attention->head_count, width = q.cols / head_count;
    int run_count = list_runs(NULL, attention, q.rows);
    size_t runs_bytes = round_up(sizeof(struct run) * (size_t)run_count);
    size_t scratch_bytes = round_up(kernels->attend_scratch(width) * sizeof(float));
    unsigned char *workspace =
        clv_cpu_workspace(device, runs_bytes + scratch_bytes * (size_t)cpu->thread_count);
    if (!workspace)
        return;
    struct run *runs = (struct run *)(void *)workspace;
    list_runs(runs, attention, q.rows);
#pragma omp parallel for num_threads(cpu->thread_count) schedule(dynamic)
    for (int task = 0; task < run_count * head_count; task++) {
        struct run run = runs[task / head_count];
        int column = task % head_count * width;
        int start = attention->starts[run.sequence];
        unsigned char *scratch =
            workspace + runs_bytes + scratch_bytes * (size_t)clv_cpu_thread_index();
        struct clv_attend attend = {
            .out = out.data + run.first * out.stride + column,
            .q = q.data + run.first * q.stride + column,
            .k = k.data + start * k.stride + column,
            .v = v.data + start * v.stride + column,
            .out_stride = out.stride,
            .q_stride = q.stride,
            .k_stride = k.stride,
            .v_stride = v.stride,
            .mask = attention->mask,
            .width = width,
            .query_count = run.count,
            .key_count = attention->starts[run.sequence + 1] - start,
            .token_count = attention->token_count,
            .first_query = run.first - start,
            .query_rows = attention->query_rows ? attention->query_rows + run.first : NULL,
            .sequence_start = start,
            .stats = attention->stats
                         ? attention->stats + (ptrdiff_t)run.first * head_count + task % head_count
                         : NULL,
            .stats_stride = head_count,
            .scratch = (float *)(void *)scratch,
        };
        kernels->attend(&attend);
    }
}
