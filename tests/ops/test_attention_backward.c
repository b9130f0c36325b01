/* The gradients of attention, and the statistics it keeps for them, against double-precision
 * references over an explicit mask, which finite differences check in turn. */
#include "core/compute/gradients.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything in double, dense: q, dout, dq [queries, cols]; k, v, dk, dv [keys, cols]. */
struct reference {
    double *q, *k, *v, *dout;
    double *dq, *dk, *dv;
    double *stats; /* [queries, heads] */
    double loss;   /* sum of dout * out */
};

static double *new_array(int rows, int cols)
{
    double *array = calloc((size_t)rows * (size_t)cols, sizeof *array);
    if (!array) {
        printf("FAIL out of memory for a reference\n");
        exit(1);
    }
    return array;
}

static double *widened(struct guarded *g)
{
    double *array = new_array(g->tensor.rows, g->tensor.cols);
    for (int r = 0; r < g->tensor.rows; r++)
        for (int c = 0; c < g->tensor.cols; c++)
            array[(ptrdiff_t)r * g->tensor.cols + c] = *guarded_at(g, r, c);
    return array;
}

static struct reference reference_create(struct attention_setting *s, struct guarded *dout)
{
    int cols = s->c.heads * s->c.width;
    return (struct reference){.q = widened(&s->q),
                              .k = widened(&s->k),
                              .v = widened(&s->v),
                              .dout = widened(dout),
                              .dq = new_array(s->query_count, cols),
                              .dk = new_array(s->key_count, cols),
                              .dv = new_array(s->key_count, cols),
                              .stats = new_array(s->query_count, s->c.heads)};
}

static void reference_free(struct reference *r)
{
    free(r->q);
    free(r->k);
    free(r->v);
    free(r->dout);
    free(r->dq);
    free(r->dk);
    free(r->dv);
    free(r->stats);
}

static double dot(const double *a, const double *b, int count)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add(double *out, const double *x, double factor, int count)
{
    for (int i = 0; i < count; i++)
        out[i] += factor * x[i];
}

/* One query and head; p and dp are scratch of a sequence's length. */
static void reference_row(const struct attention_setting *s, struct reference *r, double *p,
                          double *dp, int query, int head)
{
    int width = s->c.width, cols = s->c.heads * width, row = attention_key_row(s, query);
    int sequence = attention_sequence(s, row), start = s->starts[sequence];
    int count = s->starts[sequence + 1] - start;
    ptrdiff_t at = (ptrdiff_t)query * cols + head * width;
    ptrdiff_t key = (ptrdiff_t)start * cols + head * width;
    double highest = -INFINITY, total = 0.0, delta = 0.0, scale = 1.0 / sqrt(width);
    for (int j = 0; j < count; j++) {
        p[j] = attention_sees(s, row, start + j)
                   ? scale * dot(r->q + at, r->k + key + (ptrdiff_t)j * cols, width)
                   : -INFINITY;
        highest = fmax(highest, p[j]);
    }
    for (int j = 0; j < count; j++)
        total += p[j] = exp(p[j] - highest);
    r->stats[query * s->c.heads + head] = highest + log(total);
    for (int j = 0; j < count; j++) {
        p[j] /= total;
        dp[j] = dot(r->dout + at, r->v + key + (ptrdiff_t)j * cols, width);
        delta += p[j] * dp[j];
    }
    r->loss += delta;
    for (int j = 0; j < count; j++) {
        if (p[j] == 0.0)
            continue;
        double ds = p[j] * (dp[j] - delta) * scale;
        ptrdiff_t cell = key + (ptrdiff_t)j * cols;
        add(r->dq + at, r->k + cell, ds, width);
        add(r->dk + cell, r->q + at, ds, width);
        add(r->dv + cell, r->dout + at, p[j], width);
    }
}

static void reference_run(const struct attention_setting *s, struct reference *r)
{
    double *p = new_array(s->key_count, 1), *dp = new_array(s->key_count, 1);
    r->loss = 0.0;
    for (int i = 0; i < s->query_count; i++)
        for (int head = 0; head < s->c.heads; head++)
            reference_row(s, r, p, dp, i, head);
    free(p);
    free(dp);
}

/* What the ops wrote: the gradients, side by side in one tensor where their rows are as many. */
struct result {
    struct guarded out, stats, dout, together, dq, dkv;
    struct clv_attention_views {
        struct clv_tensor dq, dk, dv;
    } views;
    bool is_together;
};

static struct result result_create(struct clv_device *device, const struct attention_setting *s,
                                   uint64_t *seed)
{
    int cols = s->c.heads * s->c.width;
    struct result r = {.is_together = !s->query_rows};
    r.out = guarded_output(device, s->query_count, cols);
    r.dout = guarded_input(device, s->query_count, cols, 1.0, seed);
    r.stats = guarded_output(device, 1, s->query_count * s->c.heads);
    if (r.is_together) {
        r.together = guarded_output(device, s->key_count, 3 * cols);
        r.views.dq = clv_tensor_cols(r.together.tensor, 0, cols);
        r.views.dk = clv_tensor_cols(r.together.tensor, cols, cols);
        r.views.dv = clv_tensor_cols(r.together.tensor, 2 * cols, cols);
        return r;
    }
    r.dq = guarded_output(device, s->query_count, cols);
    r.dkv = guarded_output(device, s->key_count, 2 * cols);
    r.views.dq = r.dq.tensor;
    r.views.dk = clv_tensor_cols(r.dkv.tensor, 0, cols);
    r.views.dv = clv_tensor_cols(r.dkv.tensor, cols, cols);
    return r;
}

static void result_free(struct result *r)
{
    guarded_free(&r->out);
    guarded_free(&r->dout);
    guarded_free(&r->stats);
    if (r->is_together)
        guarded_free(&r->together);
    else {
        guarded_free(&r->dq);
        guarded_free(&r->dkv);
    }
}

static void run(struct clv_device *device, struct attention_setting *s, struct result *r)
{
    struct clv_attention attention = attention_of(s);
    attention.stats = r->stats.tensor.data;
    clv_attention(device, r->out.tensor, s->q.tensor, s->k.tensor, s->v.tensor, &attention);
    guarded_read(&r->out);
    guarded_read(&r->stats);
    clv_attention_backward(device, r->views.dq, r->views.dk, r->views.dv, r->dout.tensor,
                           r->out.tensor, s->q.tensor, s->k.tensor, s->v.tensor, &attention);
    guarded_check_unchanged(&r->out);
    guarded_check_unchanged(&r->dout);
    guarded_check_unchanged(&r->stats);
}

/* Joins arrays of the same rows side by side. */
static double *joined(const double *const *parts, int part_count, int rows, int cols)
{
    double *all = new_array(rows, part_count * cols);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < part_count; i++)
            memcpy(all + ((ptrdiff_t)r * part_count + i) * cols, parts[i] + (ptrdiff_t)r * cols,
                   sizeof *all * (size_t)cols);
    return all;
}

static void check_result(const struct attention_setting *s, struct result *r,
                         const struct reference *want, double limit)
{
    int cols = s->c.heads * s->c.width;
    const double *parts[3] = {want->dq, want->dk, want->dv};
    if (r->is_together) {
        double *all = joined(parts, 3, s->key_count, cols);
        guarded_check(&r->together, all, limit);
        free(all);
        return;
    }
    double *all = joined(parts + 1, 2, s->key_count, cols);
    guarded_check(&r->dq, want->dq, limit);
    guarded_check(&r->dkv, all, limit);
    free(all);
}

static void check_case(struct clv_device *device, const struct attention_case *c)
{
    uint64_t seed = 1;
    struct attention_setting s = attention_setting_create(device, c, &seed);
    struct result r = result_create(device, &s, &seed);
    struct reference want = reference_create(&s, &r.dout);
    reference_run(&s, &want);
    run(device, &s, &r);
    guarded_check(&r.stats, want.stats, 1e-6);
    check_result(&s, &r, &want, 1e-5);
    guarded_check_unchanged(&s.q);
    guarded_check_unchanged(&s.k);
    guarded_check_unchanged(&s.v);
    reference_free(&want);
    result_free(&r);
    attention_setting_free(&s);
}

/* The reference's own gradients against differences of its loss. */
static void check_differences(const struct attention_setting *s, struct reference *r,
                              double *values, const double *gradient, int count, uint64_t *seed)
{
    const double step = 1e-5;
    for (int try = 0; try < 12; try++) {
        int at = (int)((t_random(seed) >> 33) % (uint64_t)count);
        double before = values[at], want = gradient[at];
        values[at] = before + step;
        reference_run(s, r);
        double above = r->loss;
        values[at] = before - step;
        reference_run(s, r);
        values[at] = before;
        CHECK_NEAR((above - r->loss) / (2 * step), want, 1e-7);
    }
}

static void check_reference(struct clv_device *device, const struct attention_case *c)
{
    uint64_t seed = 8;
    struct attention_setting s = attention_setting_create(device, c, &seed);
    struct result r = result_create(device, &s, &seed);
    struct reference exact = reference_create(&s, &r.dout);
    struct reference moved = reference_create(&s, &r.dout);
    int cols = c->heads * c->width;
    reference_run(&s, &exact);
    check_differences(&s, &moved, moved.q, exact.dq, s.query_count * cols, &seed);
    check_differences(&s, &moved, moved.k, exact.dk, s.key_count * cols, &seed);
    check_differences(&s, &moved, moved.v, exact.dv, s.key_count * cols, &seed);
    reference_free(&exact);
    reference_free(&moved);
    result_free(&r);
    attention_setting_free(&s);
}

/* Scores far apart, and far from zero. */
static void check_large_scores(struct clv_device *device)
{
    uint64_t seed = 5;
    const struct attention_case c = {CLV_MASK_CAUSAL, 2, 64, 0, {150}, 0};
    struct attention_setting s = attention_setting_create(device, &c, &seed);
    for (int r = 0; r < s.key_count; r++)
        for (int col = 0; col < 128; col++) {
            *guarded_at(&s.q, r, col) *= 6.0f;
            *guarded_at(&s.k, r, col) *= 6.0f;
        }
    guarded_write(&s.q);
    guarded_write(&s.k);
    struct result r = result_create(device, &s, &seed);
    struct reference want = reference_create(&s, &r.dout);
    reference_run(&s, &want);
    run(device, &s, &r);
    check_result(&s, &r, &want, 5e-4); /* rounding of scores around 100 */
    reference_free(&want);
    result_free(&r);
    attention_setting_free(&s);
}

/* The same bits from one thread and from several. */
static void check_threads(const struct variant *variant, const struct attention_case *c)
{
    struct guarded kept[2];
    for (int i = 0; i < 2; i++) {
        struct clv_device_options options = {.thread_count = i == 0 ? 1 : 2};
        struct clv_device *device = NULL;
        REQUIRE_OK(variant_open(&device, variant, &options));
        uint64_t seed = 9;
        struct attention_setting s = attention_setting_create(device, c, &seed);
        struct result r = result_create(device, &s, &seed);
        run(device, &s, &r);
        guarded_read(&r.together);
        kept[i] = r.together;
        kept[i].host = malloc(kept[i].float_count * sizeof(float));
        REQUIRE(kept[i].host);
        memcpy(kept[i].host, r.together.host, kept[i].float_count * sizeof(float));
        result_free(&r);
        attention_setting_free(&s);
        clv_device_close(device);
    }
    CHECK(memcmp(kept[0].host, kept[1].host, kept[0].float_count * sizeof(float)) == 0);
    free(kept[0].host);
    free(kept[1].host);
}

static const struct attention_case small[] = {
    {CLV_MASK_NONE, 2, 3, 0, {5, 1, 9}, 0},
    {CLV_MASK_CAUSAL, 2, 4, 0, {7, 8}, 3},
    {CLV_MASK_KMT, 1, 5, 3, {4, 1}, 2},
    {CLV_MASK_KMCT, 2, 3, 2, {5, 2}, 0},
};

int main(void)
{
    for (int v = variant_first(); v < variant_count(); v++) {
        const struct variant *variant = &variants[v];
        struct clv_device *device = NULL;
        for (size_t i = 0; i < ATTENTION_CASE_COUNT; i++) {
            const struct attention_case *c = &attention_cases[i];
            if (variant_begin(variant, &device, "gradients %s %dx%d L %d lengths %d %d step %d",
                              attention_mask_names[c->mask], c->heads, c->width, c->tokens,
                              c->lengths[0], c->lengths[1], c->query_step))
                check_case(device, c);
            t_finish();
        }
        for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
            if (variant_begin(variant, &device, "the reference %s",
                              attention_mask_names[small[i].mask])) {
                check_reference(device, &small[i]);
                check_case(device, &small[i]);
            }
            t_finish();
        }
        if (variant_begin(variant, &device, "gradients of scores far from zero"))
            check_large_scores(device);
        t_finish();
        if (variant_begin(variant, &device, "gradients on one thread and two")) {
            check_threads(variant, &(struct attention_case){CLV_MASK_KMT, 3, 64, 50, {4, 3}, 0});
            check_threads(variant,
                          &(struct attention_case){CLV_MASK_CAUSAL, 5, 31, 0, {77, 12}, 0});
        }
        t_finish();
        clv_device_close(device);
    }
    return t_end();
}
