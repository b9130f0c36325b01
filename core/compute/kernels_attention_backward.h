/* Private to the kernels: the gradients of attention over one sequence and one head. Scores are
 * computed again, a block of queries by a block of keys at a time, as softmax's statistics are
 * known (Dao et al., FlashAttention, 2022, algorithm 4). Included once per instruction set.
 *
 * With s the scaled scores, p = exp(s - stats) and delta = out . dout of a query:
 *   dv = p^T dout,  dp = dout v^T,  ds = p (dp - delta) scale,  dq = ds k,  dk = ds^T q. */
#ifndef CLV_CORE_COMPUTE_KERNELS_ATTENTION_BACKWARD_H
#define CLV_CORE_COMPUTE_KERNELS_ATTENTION_BACKWARD_H

#include "core/compute/kernels_attention.h"
#include "core/compute/kernels_gradients.h"

#define BACKWARD_KEYS 256   /* a multiple of every PANEL */
#define BACKWARD_QUERIES 66 /* a multiple of GROUP */
#define BACKWARD_STRIDE \
    (BACKWARD_KEYS + 16) /* of p and ds: columns of them spread over cache sets */

struct backward_scratch {
    float *keys, *values;   /* [BACKWARD_KEYS / PANEL][width][PANEL], transposed */
    float *key_rows;        /* [BACKWARD_KEYS][width] */
    float *dkeys, *dvalues; /* [BACKWARD_KEYS][width] */
    float *queries, *douts; /* [BACKWARD_QUERIES][width] */
    float *p, *ds;          /* [BACKWARD_QUERIES][BACKWARD_STRIDE] */
    float *deltas;          /* [query_count] */
};

static inline size_t attend_backward_scratch_floats(int width, int query_count)
{
    return (size_t)width * (5 * BACKWARD_KEYS + 2 * BACKWARD_QUERIES) +
           2 * (size_t)BACKWARD_QUERIES * BACKWARD_STRIDE + (size_t)query_count + 64;
}

static inline struct backward_scratch backward_scratch_split(float *at, int width)
{
    size_t keys = (size_t)width * BACKWARD_KEYS, queries = (size_t)width * BACKWARD_QUERIES;
    struct backward_scratch s;
    s.keys = at;
    s.values = s.keys + keys;
    s.key_rows = s.values + keys;
    s.dkeys = s.key_rows + keys;
    s.dvalues = s.dkeys + keys;
    s.p = s.dvalues + keys;
    s.ds = s.p + (size_t)BACKWARD_QUERIES * BACKWARD_STRIDE;
    s.queries = s.ds + (size_t)BACKWARD_QUERIES * BACKWARD_STRIDE;
    s.douts = s.queries + queries;
    s.deltas = s.douts + queries;
    return s;
}

/* Queries [first, first + count) against keys of a block, of which query i sees range.first to
 * limits[i]; limits rise, and the last is range.end. */
struct backward_tile {
    int first, count;
    struct key_range range;
    int limits[BACKWARD_QUERIES];
};

static inline void copy_rows(float *out, const float *x, ptrdiff_t x_stride, int count, int width)
{
    for (int i = 0; i < count; i++, out += width, x += x_stride)
        memcpy(out, x, sizeof *out * (size_t)width);
}

/* sums[r] = x[r] . panel, `rows` a constant at each call. */
static inline __attribute__((always_inline)) void dot_tile(vec sums[GROUP][2], const float *x,
                                                           const float *panel, int width, int rows)
{
    for (int r = 0; r < rows; r++)
        sums[r][0] = sums[r][1] = vec_zero();
    for (int d = 0; d < width; d++) {
        vec key0 = vec_load(panel), key1 = vec_load(panel + VEC_LANES);
        for (int r = 0; r < rows; r++) {
            vec query = vec_set(x[r * width + d]);
            sums[r][0] = vec_fma(query, key0, sums[r][0]);
            sums[r][1] = vec_fma(query, key1, sums[r][1]);
        }
        panel += PANEL;
    }
}

/* p and ds of `rows` queries from row `at` of the block on, and the panel at key `key`. */
static inline __attribute__((always_inline)) void soften_tile(const struct clv_attend_backward *b,
                                                              const struct backward_scratch *s,
                                                              int query, int at, int key, int width,
                                                              int rows)
{
    const vec scale = vec_set(1.0f / sqrtf((float)width));
    float *p = s->p + at * BACKWARD_STRIDE + key, *ds = s->ds + at * BACKWARD_STRIDE + key;
    vec sums[GROUP][2];
    dot_tile(sums, s->queries + at * width, s->keys + key * width, width, rows);
    for (int r = 0; r < rows; r++) {
        vec stats = vec_set(-b->forward.stats[(query + r) * b->forward.stats_stride]);
        for (int i = 0; i < 2; i++)
            vec_store(p + r * BACKWARD_STRIDE + i * VEC_LANES,
                      vec_exp(vec_fma(sums[r][i], scale, stats)));
    }
    dot_tile(sums, s->douts + at * width, s->values + key * width, width, rows);
    for (int r = 0; r < rows; r++) {
        vec delta = vec_set(s->deltas[query + r]);
        for (int i = 0; i < 2; i++) {
            ptrdiff_t cell = r * BACKWARD_STRIDE + i * VEC_LANES;
            vec weight = vec_mul(vec_load(p + cell), scale);
            vec_store(ds + cell, vec_mul(weight, vec_sub(sums[r][i], delta)));
        }
    }
}

static inline __attribute__((always_inline)) void soften_rows(const struct clv_attend_backward *b,
                                                              const struct backward_scratch *s,
                                                              int query, int at, int key, int width,
                                                              int rows)
{
    if (width == 64) /* every CLIP's; a constant unrolls the loop */
        soften_tile(b, s, query, at, key, 64, rows);
    else
        soften_tile(b, s, query, at, key, width, rows);
}

/* Fills p and ds over the tile, panel by panel, with zeros from each query's limit to as far as its
 * group's products may reach: a group of keys past the group's limit. */
static inline void soften_block(const struct clv_attend_backward *b,
                                const struct backward_scratch *s, const struct backward_tile *t)
{
    int width = b->forward.width;
    for (int key = t->range.first - t->range.first % PANEL; key < t->range.end; key += PANEL)
        for (int at = 0; at < t->count; at += GROUP) {
            int rows = at_most(GROUP, t->count - at);
            if (key < t->limits[at + rows - 1])
                WITH_ROWS(rows, soften_rows, b, s, t->first + at, at, key, width)
        }
    for (int at = 0; at < t->count; at++) {
        int group = at - at % GROUP, end = t->limits[at_most(group + GROUP, t->count) - 1];
        end = at_most(end + GROUP, t->range.end);
        if (t->limits[at] >= end)
            continue;
        size_t size_bytes = sizeof *s->p * (size_t)(end - t->limits[at]);
        memset(s->p + at * BACKWARD_STRIDE + t->limits[at], 0, size_bytes);
        memset(s->ds + at * BACKWARD_STRIDE + t->limits[at], 0, size_bytes);
    }
}

static inline void add_query_gradients(const struct clv_attend_backward *b,
                                       const struct backward_scratch *s,
                                       const struct backward_tile *t)
{
    const struct weight_steps by_key = {1, BACKWARD_STRIDE};
    int width = b->forward.width, key = t->range.first;
    for (int at = 0; at < t->count; at += GROUP) {
        int rows = at_most(GROUP, t->count - at), end = t->limits[at + rows - 1];
        float *dq = b->dq + (ptrdiff_t)(t->first + at) * b->dq_stride;
        const float *ds = s->ds + at * BACKWARD_STRIDE + key;
        if (key < end)
            WITH_ROWS(rows, value_rows, dq, b->dq_stride, ds, by_key, s->key_rows + key * width,
                      width, end - key, width)
    }
}

static inline void add_key_gradients(const struct backward_scratch *s,
                                     const struct backward_tile *t, int width)
{
    const struct weight_steps by_query = {BACKWARD_STRIDE, 1};
    int at = 0; /* the first query of the first group that sees any of the keys */
    for (int key = t->range.first; key < t->range.end; key += GROUP) {
        int keys = at_most(GROUP, t->range.end - key);
        while (t->limits[at_most(at + GROUP, t->count) - 1] <= key)
            at += GROUP;
        ptrdiff_t cell = at * BACKWARD_STRIDE + key;
        int count = t->count - at;
        WITH_ROWS(keys, value_rows, s->dvalues + key * width, width, s->p + cell, by_query,
                  s->douts + at * width, width, count, width)
        WITH_ROWS(keys, value_rows, s->dkeys + key * width, width, s->ds + cell, by_query,
                  s->queries + at * width, width, count, width)
    }
}

/* How many queries from `first` on make the next block: of one frame, where the mask knows frames,
 * and such that a frame is cut evenly. */
static inline int block_queries(const struct clv_attend *a, int first)
{
    int rows = a->query_count - first;
    if (a->mask == CLV_MASK_KMT || a->mask == CLV_MASK_KMCT) {
        int frame = query_row(a, first) / a->token_count, same = 1;
        while (same < rows && query_row(a, first + same) / a->token_count == frame)
            same++;
        rows = same;
    }
    int blocks = (rows + BACKWARD_QUERIES - 1) / BACKWARD_QUERIES;
    int even = (rows + blocks - 1) / blocks;
    return at_most(rows, (even + GROUP - 1) / GROUP * GROUP);
}

/* What the block of queries sees of the block of keys, but for the own tokens of Kronecker masks.
 */
static inline void view_tile(const struct clv_attend *a, struct key_range block,
                             struct backward_tile *t, struct key_range ranges[2])
{
    struct group_view view = view_block(a, block, t->first, 0);
    ranges[0] = view.shared[0];
    ranges[1] = view.shared[1];
    if (a->mask == CLV_MASK_CAUSAL)
        ranges[0] = clip_range(0, query_row(a, t->first + t->count - 1) + 1, block);
}

static inline void backward_block(const struct clv_attend_backward *b,
                                  const struct backward_scratch *s, struct key_range block,
                                  int first, int count)
{
    const struct clv_attend *a = &b->forward;
    struct backward_tile tile = {.first = first, .count = count};
    struct key_range ranges[2];
    view_tile(a, block, &tile, ranges);
    if (ranges[0].first >= ranges[0].end && ranges[1].first >= ranges[1].end)
        return;
    copy_rows(s->queries, a->q + (ptrdiff_t)first * a->q_stride, a->q_stride, count, a->width);
    copy_rows(s->douts, b->dout + (ptrdiff_t)first * b->dout_stride, b->dout_stride, count,
              a->width);
    for (int i = 0; i < 2; i++) {
        if (ranges[i].first >= ranges[i].end)
            continue;
        tile.range = ranges[i];
        for (int r = 0; r < count; r++)
            tile.limits[r] = a->mask == CLV_MASK_CAUSAL
                                 ? clip_range(0, query_row(a, first + r) + 1, block).end
                                 : ranges[i].end;
        soften_block(b, s, &tile);
        add_query_gradients(b, s, &tile);
        add_key_gradients(s, &tile, a->width);
    }
}

/* The query's own token, which the Kronecker masks let it see beside other frames. */
static inline void backward_own(const struct clv_attend_backward *b, int query, float delta)
{
    const struct clv_attend *a = &b->forward;
    int row = query_row(a, query), width = a->width;
    float scale = 1.0f / sqrtf((float)width);
    const float *q = a->q + (ptrdiff_t)query * a->q_stride, *k = a->k + row * a->k_stride;
    const float *dout = b->dout + (ptrdiff_t)query * b->dout_stride;
    float p = expf(dot_row(q, k, width) * scale - a->stats[query * a->stats_stride]);
    float ds = p * (dot_row(dout, a->v + row * a->v_stride, width) - delta) * scale;
    accumulate_row(b->dq + (ptrdiff_t)query * b->dq_stride, k, ds, width, 0);
    accumulate_row(b->dk + row * b->dk_stride, q, ds, width, 0);
    accumulate_row(b->dv + row * b->dv_stride, dout, p, width, 0);
}

static inline void backward_keys(const struct clv_attend_backward *b,
                                 const struct backward_scratch *s, struct key_range block)
{
    const struct clv_attend *a = &b->forward;
    int count = block.end - block.first, width = a->width;
    const float *k = a->k + (ptrdiff_t)block.first * a->k_stride;
    pack_panels(s->keys, k, a->k_stride, count, width);
    pack_panels(s->values, a->v + (ptrdiff_t)block.first * a->v_stride, a->v_stride, count, width);
    copy_rows(s->key_rows, k, a->k_stride, count, width);
    memset(s->dkeys, 0, sizeof *s->dkeys * (size_t)count * (size_t)width);
    memset(s->dvalues, 0, sizeof *s->dvalues * (size_t)count * (size_t)width);
    for (int first = 0, rows; first < a->query_count; first += rows) {
        rows = block_queries(a, first);
        backward_block(b, s, block, first, rows);
    }
    for (int i = 0; i < count; i++) {
        ptrdiff_t row = block.first + i;
        memcpy(b->dk + row * b->dk_stride, s->dkeys + i * width, sizeof(float) * (size_t)width);
        memcpy(b->dv + row * b->dv_stride, s->dvalues + i * width, sizeof(float) * (size_t)width);
    }
}

static inline void attend_backward_run(const struct clv_attend_backward *b)
{
    const struct clv_attend *a = &b->forward;
    struct backward_scratch s = backward_scratch_split(a->scratch, a->width);
    int is_kronecker = a->mask == CLV_MASK_KMT || a->mask == CLV_MASK_KMCT;
    int block_keys = BACKWARD_KEYS;
    if (is_kronecker && a->token_count <= BACKWARD_KEYS)
        block_keys = BACKWARD_KEYS / a->token_count * a->token_count;
    for (int i = 0; i < a->query_count; i++) {
        s.deltas[i] = dot_row(a->out + (ptrdiff_t)i * a->out_stride,
                              b->dout + (ptrdiff_t)i * b->dout_stride, a->width);
        memset(b->dq + (ptrdiff_t)i * b->dq_stride, 0, sizeof(float) * (size_t)a->width);
    }
    for (int key = 0; key < a->key_count; key += block_keys) {
        struct key_range block = {key, at_most(key + block_keys, a->key_count)};
        backward_keys(b, &s, block);
    }
    for (int i = 0; i < a->query_count && is_kronecker; i++)
        backward_own(b, i, s.deltas[i]);
}

#endif
