/* Attention's gradients on the CPU: every head of every sequence is one task, whose thread owns the
 * gradients it writes. */
#include "core/compute/cpu.h"

#include <stdint.h>

struct task {
    const struct clv_attention_gradients *gradients;
    struct clv_tensor dout, out, q, k, v;
    const struct clv_attention *attention;
    const int32_t *firsts; /* [B+1]: each sequence's first row of q */
};

static void find_queries(int32_t *firsts, const struct clv_attention *attention, int query_count)
{
    int row = 0;
    firsts[0] = 0;
    for (int s = 0; s < attention->sequence_count; s++) {
        int end = attention->starts[s + 1];
        if (!attention->query_rows)
            row = end;
        while (attention->query_rows && row < query_count && attention->query_rows[row] < end)
            row++;
        firsts[s + 1] = row;
    }
}

static void run_task(const struct clv_kernels *kernels, const struct task *t, int sequence,
                     int head, float *scratch)
{
    const struct clv_attention *attention = t->attention;
    int head_count = attention->head_count, width = t->q.cols / head_count, column = head * width;
    ptrdiff_t start = attention->starts[sequence], first = t->firsts[sequence];
    const struct clv_attention_gradients *g = t->gradients;
    struct clv_attend_backward attend = {
        .forward = {.out = t->out.data + first * t->out.stride + column,
                    .q = t->q.data + first * t->q.stride + column,
                    .k = t->k.data + start * t->k.stride + column,
                    .v = t->v.data + start * t->v.stride + column,
                    .out_stride = t->out.stride,
                    .q_stride = t->q.stride,
                    .k_stride = t->k.stride,
                    .v_stride = t->v.stride,
                    .mask = attention->mask,
                    .width = width,
                    .query_count = t->firsts[sequence + 1] - (int)first,
                    .key_count = attention->starts[sequence + 1] - (int)start,
                    .token_count = attention->token_count,
                    .query_rows = attention->query_rows ? attention->query_rows + first : NULL,
                    .sequence_start = (int)start,
                    .stats = attention->stats + first * head_count + head,
                    .stats_stride = head_count,
                    .scratch = scratch},
        .dq = g->dq.data + first * g->dq.stride + column,
        .dk = g->dk.data + start * g->dk.stride + column,
        .dv = g->dv.data + start * g->dv.stride + column,
        .dout = t->dout.data + first * t->dout.stride + column,
        .dq_stride = g->dq.stride,
        .dk_stride = g->dk.stride,
        .dv_stride = g->dv.stride,
        .dout_stride = t->dout.stride,
    };
    kernels->attend_backward(&attend);
}

static size_t round_up(size_t size_bytes)
{
    return (size_bytes + 63) & ~(size_t)63;
}

void clv_cpu_attention_backward(struct clv_device *device,
                                const struct clv_attention_gradients *gradients,
                                struct clv_tensor dout, struct clv_tensor out, struct clv_tensor q,
                                struct clv_tensor k, struct clv_tensor v,
                                const struct clv_attention *attention)
{
    const struct clv_cpu *cpu = device->state;
    const struct clv_kernels *kernels = cpu->kernels;
    int head_count = attention->head_count, sequence_count = attention->sequence_count;
    size_t firsts_bytes = round_up(sizeof(int32_t) * ((size_t)sequence_count + 1));
    size_t scratch_bytes =
        round_up(kernels->attend_backward_scratch(q.cols / head_count, q.rows) * sizeof(float));
    unsigned char *workspace =
        clv_cpu_workspace(device, firsts_bytes + scratch_bytes * (size_t)cpu->thread_count);
    if (!workspace)
        return;
    int32_t *firsts = (int32_t *)(void *)workspace;
    find_queries(firsts, attention, q.rows);
    struct task task = {gradients, dout, out, q, k, v, attention, firsts};
#pragma omp parallel for num_threads(cpu->thread_count) schedule(dynamic)
    for (int i = 0; i < sequence_count * head_count; i++) {
        unsigned char *scratch =
            workspace + firsts_bytes + scratch_bytes * (size_t)clv_cpu_thread_index();
        run_task(kernels, &task, i / head_count, i % head_count, (float *)(void *)scratch);
    }
}
