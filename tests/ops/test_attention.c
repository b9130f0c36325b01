/* Attention against a double-precision reference over an explicit mask, and the properties of the
 * Kronecker masks (claver.md 1.2 and 1.3). */
#include "core/compute/ops.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void attend(struct clv_device *device, struct attention_setting *s, struct clv_tensor out)
{
    struct clv_attention attention = attention_of(s);
    clv_attention(device, out, s->q.tensor, s->k.tensor, s->v.tensor, &attention);
}

/* softmax(q k^T / sqrt(width) + M) v of one query and head, in double. */
static void reference_row(struct attention_setting *s, double *out, double *scores, int query,
                          int head)
{
    int width = s->c.width, row = attention_key_row(s, query), column = head * width;
    int sequence = attention_sequence(s, row);
    double highest = -INFINITY, total = 0.0;
    for (int j = s->starts[sequence]; j < s->starts[sequence + 1]; j++) {
        double dot = 0.0;
        for (int d = 0; d < width; d++)
            dot +=
                (double)*guarded_at(&s->q, query, column + d) * *guarded_at(&s->k, j, column + d);
        scores[j] = attention_sees(s, row, j) ? dot / sqrt(width) : -INFINITY;
        highest = fmax(highest, scores[j]);
    }
    for (int d = 0; d < width; d++)
        out[d] = 0.0;
    for (int j = s->starts[sequence]; j < s->starts[sequence + 1]; j++) {
        double p = exp(scores[j] - highest);
        const float *v = guarded_at(&s->v, j, column);
        total += p;
        for (int d = 0; d < width; d++)
            out[d] += p * v[d];
    }
    for (int d = 0; d < width; d++)
        out[d] /= total;
}

static void check_case(struct clv_device *device, const struct attention_case *c)
{
    uint64_t seed = 1;
    struct attention_setting s = attention_setting_create(device, c, &seed);
    int cols = c->heads * c->width;
    struct guarded out = guarded_output(device, s.query_count, cols);
    double *want = malloc(sizeof *want * (size_t)s.query_count * (size_t)cols);
    double *scores = malloc(sizeof *scores * (size_t)s.key_count);
    for (int i = 0; i < s.query_count; i++)
        for (int head = 0; head < c->heads; head++)
            reference_row(&s, want + (size_t)i * (size_t)cols + (size_t)(head * c->width), scores,
                          i, head);
    attend(device, &s, out.tensor);
    guarded_check(&out, want, 3e-6);
    guarded_check_unchanged(&s.q);
    guarded_check_unchanged(&s.k);
    guarded_check_unchanged(&s.v);
    free(want);
    free(scores);
    guarded_free(&out);
    attention_setting_free(&s);
}

/* What the ops read and write must not depend on who else is a query. */
static void check_subset_bits(struct clv_device *device, const struct attention_case *c)
{
    uint64_t seed = 2;
    struct attention_case all = *c;
    all.query_step = 0;
    struct attention_setting s = attention_setting_create(device, &all, &seed);
    int cols = c->heads * c->width;
    struct guarded full = guarded_output(device, s.query_count, cols);
    attend(device, &s, full.tensor);
    guarded_read(&full);

    struct guarded q_all = s.q;
    seed = 3;
    s.query_rows = malloc(sizeof *s.query_rows * (size_t)s.key_count);
    s.query_count = 0;
    for (int i = 0; i < s.key_count; i++)
        if (t_uniform(&seed) < 0.3 || i == s.key_count - 1)
            s.query_rows[s.query_count++] = i;
    s.q = guarded_input(device, s.query_count, cols, 1.0, &seed);
    for (int i = 0; i < s.query_count; i++)
        memcpy(guarded_at(&s.q, i, 0), guarded_at(&q_all, s.query_rows[i], 0),
               sizeof(float) * (size_t)cols);
    guarded_write(&s.q);
    struct guarded part = guarded_output(device, s.query_count, cols);
    attend(device, &s, part.tensor);
    guarded_read(&part);
    int different = 0;
    for (int i = 0; i < s.query_count; i++)
        different += memcmp(guarded_at(&part, i, 0), guarded_at(&full, s.query_rows[i], 0),
                            sizeof(float) * (size_t)cols) != 0;
    CHECK_INT(different, 0);
    guarded_free(&q_all);
    guarded_free(&full);
    guarded_free(&part);
    attention_setting_free(&s);
}

/* NaN in one key or value row comes out of the rows that see it, and of no other. */
static void check_poison(struct clv_device *device, const struct attention_case *c, bool in_values)
{
    uint64_t seed = 4;
    struct attention_setting s = attention_setting_create(device, c, &seed);
    int cols = c->heads * c->width;
    struct guarded *poisoned = in_values ? &s.v : &s.k;
    int wrong = 0, tries = s.key_count > 400 ? 2 : 6;
    for (int try = 0; try < tries; try++) {
        int key = try == 0   ? 0
                  : try == 1 ? s.key_count - 1
                             : (int)(t_random(&seed) >> 33) % s.key_count;
        float before = *guarded_at(poisoned, key, 0);
        *guarded_at(poisoned, key, 0) = NAN; /* head 0 only */
        guarded_write(poisoned);
        struct guarded out = guarded_output(device, s.query_count, cols);
        attend(device, &s, out.tensor);
        guarded_read(&out);
        for (int i = 0; i < s.query_count; i++)
            for (int col = 0; col < cols; col++) {
                bool reached = attention_sees(&s, attention_key_row(&s, i), key) &&
                               (in_values ? col == 0 : col < c->width);
                wrong += reached != (isnan(*guarded_at(&out, i, col)) != 0);
            }
        guarded_free(&out);
        *guarded_at(poisoned, key, 0) = before;
    }
    CHECK_INT(wrong, 0);
    attention_setting_free(&s);
}

/* Scores far apart, and far from zero: the largest decides and nothing overflows. */
static void check_large_scores(struct clv_device *device)
{
    uint64_t seed = 5;
    const struct attention_case c = {CLV_MASK_KMCT, 2, 64, 50, {8}, 0};
    struct attention_setting s = attention_setting_create(device, &c, &seed);
    for (int r = 0; r < s.key_count; r++)
        for (int col = 0; col < 128; col++) {
            *guarded_at(&s.q, r, col) *= 12.0f;
            *guarded_at(&s.k, r, col) *= 12.0f;
        }
    guarded_write(&s.q);
    guarded_write(&s.k);
    struct guarded out = guarded_output(device, s.query_count, 128);
    double *want = malloc(sizeof *want * (size_t)s.query_count * 128);
    double *scores = malloc(sizeof *scores * (size_t)s.key_count);
    for (int i = 0; i < s.query_count; i++)
        for (int head = 0; head < 2; head++)
            reference_row(&s, want + (size_t)i * 128 + (size_t)(head * 64), scores, i, head);
    attend(device, &s, out.tensor);
    guarded_check(&out, want, 3e-4); /* rounding of scores around 300 */
    free(want);
    free(scores);
    guarded_free(&out);
    attention_setting_free(&s);
}

static void move_frame_rows(struct guarded *to, struct guarded *from, const int *order, int frames,
                            int tokens)
{
    for (int t = 0; t < frames; t++)
        for (int l = 0; l < tokens; l++)
            memcpy(guarded_at(to, t * tokens + l, 0), guarded_at(from, order[t] * tokens + l, 0),
                   sizeof(float) * (size_t)to->tensor.cols);
}

/* KMT: permuting the frames permutes the output frames. */
static void check_permutation(struct clv_device *device)
{
    uint64_t seed = 6;
    static const int order[8] = {3, 0, 7, 1, 6, 2, 5, 4};
    const struct attention_case c = {CLV_MASK_KMT, 3, 64, 50, {8}, 0};
    struct attention_setting a = attention_setting_create(device, &c, &seed),
                             b = attention_setting_create(device, &c, &seed);
    struct guarded out_a = guarded_output(device, 400, 192),
                   out_b = guarded_output(device, 400, 192);
    move_frame_rows(&b.q, &a.q, order, 8, 50);
    move_frame_rows(&b.k, &a.k, order, 8, 50);
    move_frame_rows(&b.v, &a.v, order, 8, 50);
    guarded_write(&b.q);
    guarded_write(&b.k);
    guarded_write(&b.v);
    attend(device, &a, out_a.tensor);
    attend(device, &b, out_b.tensor);
    guarded_read(&out_a);
    double *want = malloc(sizeof *want * 400 * 192);
    for (int row = 0; row < 400; row++)
        for (int col = 0; col < 192; col++)
            want[row * 192 + col] = *guarded_at(&out_a, order[row / 50] * 50 + row % 50, col);
    guarded_check(&out_b, want, 2e-6);
    free(want);
    guarded_free(&out_a);
    guarded_free(&out_b);
    attention_setting_free(&a);
    attention_setting_free(&b);
}

/* KMCT: frame t does not reach the frames before it, to the last bit. */
static void check_causality(struct clv_device *device, int tokens, int frames)
{
    uint64_t seed = 7;
    const struct attention_case c = {CLV_MASK_KMCT, 2, 64, tokens, {frames}, 0};
    struct attention_setting s = attention_setting_create(device, &c, &seed);
    struct guarded before = guarded_output(device, s.query_count, 128);
    attend(device, &s, before.tensor);
    guarded_read(&before);
    int changed = frames - 1 > 3 ? 3 : frames - 1;
    for (int row = changed * tokens; row < (changed + 1) * tokens; row++)
        for (int col = 0; col < 128; col++) {
            *guarded_at(&s.q, row, col) = (float)t_normal(&seed);
            *guarded_at(&s.k, row, col) = (float)t_normal(&seed);
            *guarded_at(&s.v, row, col) = NAN;
        }
    guarded_write(&s.q);
    guarded_write(&s.k);
    guarded_write(&s.v);
    struct guarded after = guarded_output(device, s.query_count, 128);
    attend(device, &s, after.tensor);
    guarded_read(&after);
    int differing = 0;
    for (int row = 0; row < changed * tokens; row++)
        differing += memcmp(guarded_at(&before, row, 0), guarded_at(&after, row, 0),
                            128 * sizeof(float)) != 0;
    CHECK_INT(differing, 0);
    for (int row = changed * tokens; row < s.query_count; row++)
        differing += memcmp(guarded_at(&before, row, 0), guarded_at(&after, row, 0),
                            128 * sizeof(float)) != 0;
    CHECK_INT(differing, s.query_count - changed * tokens);
    guarded_free(&before);
    guarded_free(&after);
    attention_setting_free(&s);
}

static void check_all(struct clv_device *device, const struct attention_case *c)
{
    check_case(device, c);
    check_subset_bits(device, c);
    check_poison(device, c, false);
    check_poison(device, c, true);
}

static void check_causality_sizes(struct clv_device *device)
{
    check_causality(device, 50, 8);
    check_causality(device, 197, 8);
    check_causality(device, 300, 5);
    check_causality(device, 1, 5);
}

int main(void)
{
    for (int v = variant_first(); v < variant_count(); v++) {
        const struct variant *variant = &variants[v];
        struct clv_device *device = NULL;
        for (size_t i = 0; i < ATTENTION_CASE_COUNT; i++) {
            const struct attention_case *c = &attention_cases[i];
            if (variant_begin(variant, &device, "attention %s %dx%d L %d lengths %d %d step %d",
                              attention_mask_names[c->mask], c->heads, c->width, c->tokens,
                              c->lengths[0], c->lengths[1], c->query_step))
                check_all(device, c);
            t_finish();
        }
        if (variant_begin(variant, &device, "scores far from zero"))
            check_large_scores(device);
        t_finish();
        if (variant_begin(variant, &device, "kmt follows a permutation of frames"))
            check_permutation(device);
        t_finish();
        if (variant_begin(variant, &device, "kmct frames do not reach earlier ones"))
            check_causality_sizes(device);
        t_finish();
        clv_device_close(device);
    }
    return t_end();
}
