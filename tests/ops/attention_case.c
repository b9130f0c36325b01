/* The attention tests' cases and their tensors. */
#include "tests/ops/attention_case.h"

#include <stdlib.h>

/* clang-format off */
const struct attention_case attention_cases[ATTENTION_CASE_COUNT] = {
    {CLV_MASK_NONE, 1, 64, 0, {1}, 0},
    {CLV_MASK_NONE, 4, 64, 0, {50, 50, 50}, 0},
    {CLV_MASK_NONE, 2, 64, 0, {197}, 0},
    {CLV_MASK_NONE, 2, 64, 0, {257, 257}, 0},
    {CLV_MASK_NONE, 1, 80, 0, {577}, 0},
    {CLV_MASK_NONE, 3, 8, 0, {31, 1, 33, 77}, 0},
    {CLV_MASK_NONE, 2, 32, 0, {1003}, 0},
    {CLV_MASK_NONE, 2, 64, 0, {256, 512}, 0},
    {CLV_MASK_NONE, 1, 1, 0, {33}, 0},
    {CLV_MASK_NONE, 1, 77, 0, {50, 31}, 7},
    {CLV_MASK_NONE, 2, 88, 0, {257, 65}, 0},
    {CLV_MASK_NONE, 2, 104, 0, {257}, 257},
    {CLV_MASK_NONE, 2, 16, 0, {50, 5}, 0},
    {CLV_MASK_CAUSAL, 8, 64, 0, {77, 77}, 0},
    {CLV_MASK_CAUSAL, 8, 64, 0, {5, 1, 77, 13}, 0},
    {CLV_MASK_CAUSAL, 1, 31, 0, {1003}, 0},
    {CLV_MASK_CAUSAL, 3, 80, 0, {300, 33}, 5},
    {CLV_MASK_CAUSAL, 2, 88, 0, {77, 5}, 0},
    {CLV_MASK_CAUSAL, 2, 104, 0, {77, 13}, 12},
    {CLV_MASK_CAUSAL, 4, 16, 0, {77, 1}, 0},
    {CLV_MASK_KMT, 3, 64, 50, {8}, 0},
    {CLV_MASK_KMT, 12, 64, 50, {8, 8}, 50},
    {CLV_MASK_KMT, 1, 64, 50, {1}, 0},
    {CLV_MASK_KMT, 1, 64, 197, {8}, 0},
    {CLV_MASK_KMT, 2, 64, 257, {3}, 0},
    {CLV_MASK_KMT, 1, 80, 577, {2}, 577},
    {CLV_MASK_KMT, 3, 8, 1, {31, 1, 5}, 0},
    {CLV_MASK_KMT, 1, 33, 5, {7, 3, 1}, 3},
    {CLV_MASK_KMT, 2, 88, 17, {5}, 0},
    {CLV_MASK_KMT, 1, 104, 50, {3}, 50},
    {CLV_MASK_KMT, 2, 16, 5, {4}, 0},
    {CLV_MASK_KMCT, 3, 64, 50, {8}, 0},
    {CLV_MASK_KMCT, 12, 64, 50, {8, 8}, 50},
    {CLV_MASK_KMCT, 1, 64, 50, {1}, 0},
    {CLV_MASK_KMCT, 2, 64, 197, {8}, 197},
    {CLV_MASK_KMCT, 2, 32, 257, {3}, 0},
    {CLV_MASK_KMCT, 3, 8, 1, {77, 1, 5}, 0},
    {CLV_MASK_KMCT, 1, 31, 10, {26, 3}, 3},
    {CLV_MASK_KMCT, 2, 88, 17, {5}, 0},
    {CLV_MASK_KMCT, 1, 104, 50, {3}, 50},
    {CLV_MASK_KMCT, 2, 16, 5, {4}, 0},
};
/* clang-format on */

const char *const attention_mask_names[4] = {"none", "causal", "kmt", "kmct"};

struct attention_setting attention_setting_create(struct clv_device *device,
                                                  const struct attention_case *c, uint64_t *seed)
{
    struct attention_setting s = {.c = *c};
    int rows_each = c->tokens > 0 ? c->tokens : 1;
    while (s.sequence_count < ATTENTION_SEQUENCE_MAX && c->lengths[s.sequence_count] > 0) {
        s.key_count += c->lengths[s.sequence_count] * rows_each;
        s.starts[++s.sequence_count] = s.key_count;
    }
    s.query_count = s.key_count;
    if (c->query_step > 0) {
        s.query_rows = malloc(sizeof *s.query_rows * (size_t)s.key_count);
        s.query_count = 0;
        for (int i = 0; s.query_rows && i < s.key_count; i += c->query_step)
            s.query_rows[s.query_count++] = i;
    }
    int cols = c->heads * c->width;
    s.q = guarded_input(device, s.query_count, cols, 1.5, seed);
    s.k = guarded_input(device, s.key_count, cols, 1.5, seed);
    s.v = guarded_input(device, s.key_count, cols, 1.0, seed);
    return s;
}

void attention_setting_free(struct attention_setting *s)
{
    free(s->query_rows);
    guarded_free(&s->q);
    guarded_free(&s->k);
    guarded_free(&s->v);
}

int attention_sequence(const struct attention_setting *s, int row)
{
    int sequence = 0;
    while (row >= s->starts[sequence + 1])
        sequence++;
    return sequence;
}

/* A 0 of claver.md's matrices: the query in k's row i sees key j. */
bool attention_sees(const struct attention_setting *s, int i, int j)
{
    int sequence = attention_sequence(s, i);
    if (sequence != attention_sequence(s, j))
        return false;
    if (s->c.mask == CLV_MASK_NONE || i == j)
        return true;
    if (s->c.mask == CLV_MASK_CAUSAL)
        return j < i;
    int start = s->starts[sequence];
    int frame_i = (i - start) / s->c.tokens, frame_j = (j - start) / s->c.tokens;
    return s->c.mask == CLV_MASK_KMT ? frame_i != frame_j : frame_j < frame_i;
}

int attention_key_row(const struct attention_setting *s, int query)
{
    return s->query_rows ? s->query_rows[query] : query;
}

struct clv_attention attention_of(struct attention_setting *s)
{
    return (struct clv_attention){.mask = s->c.mask,
                                  .head_count = s->c.heads,
                                  .sequence_count = s->sequence_count,
                                  .token_count = s->c.tokens,
                                  .starts = s->starts,
                                  .query_rows = s->query_rows};
}
