/* Attention on tensor cores: factors rounded to bfloat16, against the CPU in fp32; and what
 * rounding does not excuse: which keys a query sees, and that it does not matter who else is a
 * query. */
#include "core/compute/gradients.h"
#include "core/compute/ops.h"
#include "tests/devices.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of 1 + the number itself. Factors are off by 2^-9 each, the tests' scores by several hundredths.
 */
#define LIMIT 0.04

/* A case's tensors on one device, and what came out. */
struct run {
    struct attention_setting s;
    struct guarded dout, out, stats, dq, dk, dv;
};

static struct run run_create(struct clv_device *device, const struct attention_case *c)
{
    uint64_t seed = 1;
    struct run r = {.s = attention_setting_create(device, c, &seed)};
    int cols = c->heads * c->width;
    r.dout = guarded_input(device, r.s.query_count, cols, 1.0, &seed);
    r.out = guarded_output(device, r.s.query_count, cols);
    r.stats = guarded_output(device, 1, r.s.query_count * c->heads);
    r.dq = guarded_output(device, r.s.query_count, cols);
    r.dk = guarded_output(device, r.s.key_count, cols);
    r.dv = guarded_output(device, r.s.key_count, cols);
    return r;
}

static void run_free(struct run *r)
{
    guarded_free(&r->dout);
    guarded_free(&r->out);
    guarded_free(&r->stats);
    guarded_free(&r->dq);
    guarded_free(&r->dk);
    guarded_free(&r->dv);
    attention_setting_free(&r->s);
}

static void run_forward(struct clv_device *device, struct run *r)
{
    struct clv_attention attention = attention_of(&r->s);
    attention.stats = r->stats.tensor.data;
    clv_attention(device, r->out.tensor, r->s.q.tensor, r->s.k.tensor, r->s.v.tensor, &attention);
    guarded_read(&r->out);
    guarded_read(&r->stats);
}

static void run_backward(struct clv_device *device, struct run *r)
{
    struct clv_attention attention = attention_of(&r->s);
    attention.stats = r->stats.tensor.data;
    clv_attention_backward(device, r->dq.tensor, r->dk.tensor, r->dv.tensor, r->dout.tensor,
                           r->out.tensor, r->s.q.tensor, r->s.k.tensor, r->s.v.tensor, &attention);
    guarded_read(&r->dq);
    guarded_read(&r->dk);
    guarded_read(&r->dv);
}

/* `got` against `want`, both read. */
static void compare(struct guarded *got, struct guarded *want, const char *what)
{
    double worst = 0.0;
    for (int r = 0; r < want->tensor.rows; r++)
        for (int c = 0; c < want->tensor.cols; c++) {
            double w = *guarded_at(want, r, c), error = fabs(*guarded_at(got, r, c) - w);
            if (!(error / (1.0 + fabs(w)) <= worst))
                worst = error / (1.0 + fabs(w));
        }
    if (!(worst <= LIMIT))
        t_fail(__FILE__, __LINE__, "%s is off by %.3g, over %.3g", what, worst, LIMIT);
}

/* Where no query looks the gradients are zero, not nearly. */
static void check_zeros(struct run *got, struct run *want)
{
    int wrong = 0;
    for (int r = 0; r < want->dv.tensor.rows; r++)
        for (int c = 0; c < want->dv.tensor.cols; c++)
            if (*guarded_at(&want->dv, r, c) == 0.0f)
                wrong += *guarded_at(&got->dv, r, c) != 0.0f || *guarded_at(&got->dk, r, c) != 0.0f;
    CHECK_INT(wrong, 0);
}

static void check_against_cpu(struct clv_device *cuda, struct clv_device *cpu,
                              const struct attention_case *c)
{
    struct run got = run_create(cuda, c), want = run_create(cpu, c);
    run_forward(cuda, &got);
    run_backward(cuda, &got);
    run_forward(cpu, &want);
    run_backward(cpu, &want);
    compare(&got.out, &want.out, "out");
    compare(&got.stats, &want.stats, "stats");
    compare(&got.dq, &want.dq, "dq");
    compare(&got.dk, &want.dk, "dk");
    compare(&got.dv, &want.dv, "dv");
    check_zeros(&got, &want);
    run_free(&got);
    run_free(&want);
}

/* Other numbers in one row of keys and values: the queries that see it change, the others not. */
static void check_sight(struct clv_device *cuda, const struct attention_case *c)
{
    uint64_t seed = 3;
    struct run before = run_create(cuda, c), after = run_create(cuda, c);
    struct attention_setting *s = &after.s;
    size_t row_bytes = sizeof(float) * (size_t)(c->heads * c->width);
    run_forward(cuda, &before);
    int wrong = 0;
    for (int try = 0; try < 4; try++) {
        int key = (int)((t_random(&seed) >> 33) % (uint64_t)s->key_count);
        for (int col = 0; col < c->heads * c->width; col++) {
            *guarded_at(&s->k, key, col) = (float)t_normal(&seed);
            *guarded_at(&s->v, key, col) = (float)t_normal(&seed);
        }
        guarded_write(&s->k);
        guarded_write(&s->v);
        run_forward(cuda, &after);
        for (int i = 0; i < s->query_count; i++) {
            bool differs =
                memcmp(guarded_at(&before.out, i, 0), guarded_at(&after.out, i, 0), row_bytes) != 0;
            wrong += differs != attention_sees(s, attention_key_row(s, i), key);
        }
        memcpy(guarded_at(&s->k, key, 0), guarded_at(&before.s.k, key, 0), row_bytes);
        memcpy(guarded_at(&s->v, key, 0), guarded_at(&before.s.v, key, 0), row_bytes);
    }
    CHECK_INT(wrong, 0);
    run_free(&before);
    run_free(&after);
}

/* The same bits for a row, whichever rows are queries beside it. */
static void check_subset(struct clv_device *cuda, const struct attention_case *c)
{
    struct attention_case every = *c, some = *c;
    every.query_step = 0;
    some.query_step = c->query_step > 0 ? c->query_step : 5;
    struct run all = run_create(cuda, &every), part = run_create(cuda, &some);
    int cols = c->heads * c->width, different = 0;
    memcpy(part.s.k.host, all.s.k.host, part.s.k.float_count * sizeof(float));
    memcpy(part.s.v.host, all.s.v.host, part.s.v.float_count * sizeof(float));
    for (int i = 0; i < part.s.query_count; i++)
        memcpy(guarded_at(&part.s.q, i, 0), guarded_at(&all.s.q, part.s.query_rows[i], 0),
               sizeof(float) * (size_t)cols);
    guarded_write(&part.s.q);
    guarded_write(&part.s.k);
    guarded_write(&part.s.v);
    run_forward(cuda, &all);
    run_forward(cuda, &part);
    for (int i = 0; i < part.s.query_count; i++)
        different +=
            memcmp(guarded_at(&part.out, i, 0), guarded_at(&all.out, part.s.query_rows[i], 0),
                   sizeof(float) * (size_t)cols) != 0;
    CHECK_INT(different, 0);
    run_free(&all);
    run_free(&part);
}

static void begin(const char *what, const struct attention_case *c)
{
    static char name[120]; /* the harness keeps the pointer */
    snprintf(name, sizeof name, "%s %s %dx%d L %d lengths %d %d step %d", what,
             attention_mask_names[c->mask], c->heads, c->width, c->tokens, c->lengths[0],
             c->lengths[1], c->query_step);
    t_begin(name);
}

static void run_on_cuda(struct clv_device *cpu)
{
    struct clv_device *cuda = NULL;
    REQUIRE_OK(
        clv_device_open(&cuda, &(struct clv_device_options){.kind = CLV_DEVICE_CUDA,
                                                            .precision = CLV_PRECISION_BF16}));
    for (size_t i = 0; i < 2 * ATTENTION_CASE_COUNT; i++) {
        const struct attention_case *c = &attention_cases[i % ATTENTION_CASE_COUNT];
        guarded_align(i >= ATTENTION_CASE_COUNT);
        begin(i >= ATTENTION_CASE_COUNT ? "aligned bf16 attention" : "bf16 attention", c);
        check_against_cpu(cuda, cpu, c);
        check_sight(cuda, c);
        check_subset(cuda, c);
        t_finish();
    }
    clv_device_close(cuda);
}

/* The checks that have no tolerance hold on the CPU too. */
static void run_on_cpu(struct clv_device *cpu)
{
    for (size_t i = 0; i < ATTENTION_CASE_COUNT; i++) {
        begin("sight of", &attention_cases[i]);
        check_sight(cpu, &attention_cases[i]);
        check_subset(cpu, &attention_cases[i]);
        t_finish();
    }
}

int main(void)
{
    struct clv_device *cpu = NULL;
    t_begin("a device to compare with");
    CHECK_OK(clv_device_open(&cpu, &(struct clv_device_options){.kind = CLV_DEVICE_CPU}));
    t_finish();
    if (cpu && t_cpu())
        run_on_cpu(cpu);
    if (t_cuda() && cpu)
        run_on_cuda(cpu);
    clv_device_close(cpu);
    return t_end();
}
