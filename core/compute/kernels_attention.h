/* Private to the kernels: attention of a run of queries over one sequence and one head, with the
 * softmax streamed over blocks of keys. Included once per instruction set.
 *
 * Queries go in groups of up to GROUP rows (of one frame, for the Kronecker masks). A group sees of
 * a key block at most two ranges that all its rows share, and per row one range of its own (its own
 * token; under the causal mask the keys from the group's first row on). Masked keys are skipped,
 * never multiplied by zero, so NaN in them goes nowhere.
 *
 * What is computed for a row, and in which order, depends on the row and the sequence alone, never
 * on the rows grouped with it: any subset of queries gives the same bits. */
#ifndef CLV_CORE_COMPUTE_KERNELS_ATTENTION_H
#define CLV_CORE_COMPUTE_KERNELS_ATTENTION_H

#include "core/compute/kernels.h"
#include "core/compute/vec.h"

#include <math.h>
#include <string.h>

#define GROUP 6
#define PANEL (2 * VEC_LANES) /* keys a score tile computes side by side */
#define KEY_BLOCK 256         /* a multiple of every PANEL */

struct key_range {
    int first, end;
};

/* What a group of query rows sees of one key block, relative to the block. */
struct group_view {
    struct key_range shared[2];
    struct key_range own[GROUP];
};

struct attend_scratch {
    float *keys;    /* [KEY_BLOCK / PANEL][width][PANEL]: a key block, transposed in panels */
    float *scores;  /* [GROUP][KEY_BLOCK] */
    float *queries; /* [width][GROUP], scaled by 1 / sqrt(width) */
    float *sums;    /* [CLV_ATTEND_QUERY_MAX][width]: sum of p v so far */
    float *highest; /* [CLV_ATTEND_QUERY_MAX]: largest score so far */
    float *weights; /* [CLV_ATTEND_QUERY_MAX]: sum of p so far */
};

static inline size_t attend_scratch_floats(int width)
{
    return (size_t)width * (KEY_BLOCK + GROUP + CLV_ATTEND_QUERY_MAX) + (size_t)GROUP * KEY_BLOCK +
           2 * (size_t)CLV_ATTEND_QUERY_MAX + 64;
}

static inline struct attend_scratch attend_scratch_split(float *at, int width)
{
    struct attend_scratch s;
    s.keys = at;
    s.scores = s.keys + (size_t)width * KEY_BLOCK;
    s.highest = s.scores + (size_t)GROUP * KEY_BLOCK;
    s.weights = s.highest + CLV_ATTEND_QUERY_MAX;
    s.sums = s.weights + CLV_ATTEND_QUERY_MAX;
    s.queries = s.sums + (size_t)CLV_ATTEND_QUERY_MAX * (size_t)width;
    return s;
}

static inline int at_most(int a, int b)
{
    return a < b ? a : b;
}

static inline int at_least(int a, int b)
{
    return a > b ? a : b;
}

static inline struct key_range clip_range(int first, int end, struct key_range block)
{
    first = at_least(first, block.first);
    end = at_most(end, block.end);
    if (end < first)
        end = first = at_most(first, block.end);
    return (struct key_range){first - block.first, end - block.first};
}

/* The row of query i within its sequence. */
static inline int query_row(const struct clv_attend *a, int i)
{
    return a->query_rows ? a->query_rows[i] - a->sequence_start : a->first_query + i;
}

static inline struct group_view view_block(const struct clv_attend *a, struct key_range block,
                                           int first, int count)
{
    struct group_view view;
    memset(&view, 0, sizeof view);
    int lead = query_row(a, first);
    int frame_start = 0, frame_end = 0;
    if (a->mask == CLV_MASK_KMT || a->mask == CLV_MASK_KMCT) {
        frame_start = lead - lead % a->token_count;
        frame_end = frame_start + a->token_count;
    }
    if (a->mask == CLV_MASK_NONE)
        view.shared[0] = clip_range(0, a->key_count, block);
    else if (a->mask == CLV_MASK_CAUSAL)
        view.shared[0] = clip_range(0, lead + 1, block);
    else
        view.shared[0] = clip_range(0, frame_start, block);
    if (a->mask == CLV_MASK_KMT)
        view.shared[1] = clip_range(frame_end, a->key_count, block);
    for (int r = 0; r < count; r++) {
        int row = query_row(a, first + r);
        if (a->mask == CLV_MASK_CAUSAL)
            view.own[r] = clip_range(lead + 1, row + 1, block);
        else if (a->mask != CLV_MASK_NONE)
            view.own[r] = clip_range(row, row + 1, block);
    }
    return view;
}

/* Transposes up to VEC_LANES rows of `width` into half a panel; lanes past the last row are zero.
 */
static inline void pack_lanes(float *panel, const float *x, ptrdiff_t x_stride, int count,
                              int width)
{
    int d = 0;
    for (; VEC_LANES > 1 && d + VEC_LANES <= width; d += VEC_LANES) {
        vec rows[VEC_LANES];
        for (int i = 0; i < VEC_LANES; i++)
            rows[i] = i < count ? vec_load(x + i * x_stride + d) : vec_zero();
        vec_transpose(rows);
        for (int i = 0; i < VEC_LANES; i++)
            vec_store(panel + (d + i) * PANEL, rows[i]);
    }
    for (; d < width; d++)
        for (int i = 0; i < VEC_LANES; i++)
            panel[d * PANEL + i] = i < count ? x[i * x_stride + d] : 0.0f;
}

/* Transposes `count` rows of `width` into panels [ceil(count / PANEL)][width][PANEL]. */
static inline void pack_panels(float *out, const float *x, ptrdiff_t x_stride, int count, int width)
{
    for (int i = 0; i < (count + PANEL - 1) / PANEL * PANEL; i += VEC_LANES) {
        float *panel = out + (size_t)(i / PANEL) * PANEL * (size_t)width + i % PANEL;
        pack_lanes(panel, x + i * x_stride, x_stride, at_most(VEC_LANES, count - i), width);
    }
}

static inline void pack_queries(float *out, const struct clv_attend *a, int first, int count)
{
    float scale = 1.0f / sqrtf((float)a->width);
    for (int r = 0; r < GROUP; r++) {
        const float *query = a->q + (ptrdiff_t)(first + (r < count ? r : 0)) * a->q_stride;
        for (int d = 0; d < a->width; d++)
            out[d * GROUP + r] = query[d] * scale;
    }
}

/* scores[r][panel] = queries[r] . keys, `rows` a constant at each call. */
static inline __attribute__((always_inline)) void score_tile(float *scores, const float *queries,
                                                             const float *keys, int width, int rows)
{
    vec sums[GROUP][2];
    for (int r = 0; r < rows; r++)
        sums[r][0] = sums[r][1] = vec_zero();
    for (int d = 0; d < width; d++) {
        vec key0 = vec_load(keys), key1 = vec_load(keys + VEC_LANES);
        for (int r = 0; r < rows; r++) {
            vec query = vec_set(queries[r]);
            sums[r][0] = vec_fma(query, key0, sums[r][0]);
            sums[r][1] = vec_fma(query, key1, sums[r][1]);
        }
        keys += PANEL;
        queries += GROUP;
    }
    for (int r = 0; r < rows; r++) {
        vec_store(scores + r * KEY_BLOCK, sums[r][0]);
        vec_store(scores + r * KEY_BLOCK + VEC_LANES, sums[r][1]);
    }
}

/* How the weights of a product lie in memory: from one summed row to the next, and from one row of
 * the output to the next. */
struct weight_steps {
    ptrdiff_t sum, row;
};

/* out[r] += sum over i of p[i * sum + r * row] v[i], for `vecs` vectors of columns, or for `part`
 * columns where vecs is 1 and part is not 0. rows, vecs and the steps are constants at each call.
 */
static inline __attribute__((always_inline)) void
value_tile(float *out, ptrdiff_t out_stride, const float *p, struct weight_steps steps,
           const float *v, ptrdiff_t v_stride, int count, int rows, int vecs, int part)
{
    vec sums[GROUP][2];
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < vecs; i++)
            sums[r][i] = part ? vec_load_part(out + r * out_stride, part)
                              : vec_load(out + r * out_stride + i * VEC_LANES);
    for (int key = 0; key < count; key++) {
        vec value[2];
        for (int i = 0; i < vecs; i++)
            value[i] = part ? vec_load_part(v, part) : vec_load(v + i * VEC_LANES);
        for (int r = 0; r < rows; r++) {
            vec weight = vec_set(p[r * steps.row]);
            for (int i = 0; i < vecs; i++)
                sums[r][i] = vec_fma(weight, value[i], sums[r][i]);
        }
        p += steps.sum;
        v += v_stride;
    }
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < vecs; i++) {
            if (part)
                vec_store_part(out + r * out_stride, sums[r][i], part);
            else
                vec_store(out + r * out_stride + i * VEC_LANES, sums[r][i]);
        }
}

static inline __attribute__((always_inline)) void
value_rows(float *out, ptrdiff_t out_stride, const float *p, struct weight_steps steps,
           const float *v, ptrdiff_t v_stride, int count, int width, int rows)
{
    int c = 0;
    for (; c + 2 * VEC_LANES <= width; c += 2 * VEC_LANES)
        value_tile(out + c, out_stride, p, steps, v + c, v_stride, count, rows, 2, 0);
    for (; c + VEC_LANES <= width; c += VEC_LANES)
        value_tile(out + c, out_stride, p, steps, v + c, v_stride, count, rows, 1, 0);
    if (c < width)
        value_tile(out + c, out_stride, p, steps, v + c, v_stride, count, rows, 1, width - c);
}

/* Calls `tile` with its row count as a constant, so that its sums stay in registers. */
#define WITH_ROWS(rows, tile, ...) \
    switch (rows) {                \
    case 1:                        \
        tile(__VA_ARGS__, 1);      \
        break;                     \
    case 2:                        \
        tile(__VA_ARGS__, 2);      \
        break;                     \
    case 3:                        \
        tile(__VA_ARGS__, 3);      \
        break;                     \
    case 4:                        \
        tile(__VA_ARGS__, 4);      \
        break;                     \
    case 5:                        \
        tile(__VA_ARGS__, 5);      \
        break;                     \
    default:                       \
        tile(__VA_ARGS__, GROUP);  \
        break;                     \
    }

static inline int overlaps(struct key_range range, int first, int end)
{
    return range.first < range.end && range.first < end && range.end > first;
}

static inline void score_group(const struct attend_scratch *s, const struct group_view *view,
                               int key_count, int width, int rows)
{
    for (int p = 0; p < key_count; p += PANEL) {
        int wanted =
            overlaps(view->shared[0], p, p + PANEL) || overlaps(view->shared[1], p, p + PANEL);
        for (int r = 0; r < rows && !wanted; r++)
            wanted = overlaps(view->own[r], p, p + PANEL);
        if (!wanted)
            continue;
        const float *keys = s->keys + (size_t)p * (size_t)width;
        WITH_ROWS(rows, score_tile, s->scores + p, s->queries, keys, width)
    }
}

/* The largest score of a range; `so_far` for an empty one. */
static inline float range_highest(const float *scores, struct key_range range, float so_far)
{
    if (range.first >= range.end)
        return so_far;
    vec highest = vec_set(so_far);
    int c = range.first;
    for (; c + VEC_LANES <= range.end; c += VEC_LANES)
        highest = vec_max(vec_load(scores + c), highest);
    if (c < range.end) {
        int part = range.end - c;
        vec last = vec_part(vec_load_part(scores + c, part), highest, part);
        highest = vec_max(last, highest);
    }
    return vec_highest(highest);
}

/* Replaces a range's scores by exp(score - highest) and returns their sum. */
static inline float range_exp(float *scores, struct key_range range, float highest)
{
    const vec top = vec_set(highest);
    vec sum = vec_zero();
    int c = range.first;
    for (; c + VEC_LANES <= range.end; c += VEC_LANES) {
        vec p = vec_exp(vec_sub(vec_load(scores + c), top));
        vec_store(scores + c, p);
        sum = vec_add(sum, p);
    }
    if (c < range.end) {
        int part = range.end - c;
        vec p = vec_exp(vec_sub(vec_load_part(scores + c, part), top));
        vec_store_part(scores + c, p, part);
        sum = vec_add(sum, vec_part(p, vec_zero(), part));
    }
    return vec_sum(sum);
}

static inline void scale_row(float *row, float scale, int cols)
{
    for (int c = 0; c < cols; c++)
        row[c] *= scale;
}

/* One row's online softmax step over what it sees of the block (Milakov and Gimelshein, 2018). */
static inline void soften_row(const struct attend_scratch *s, float *scores, int query,
                              const struct group_view *view, int row, int width)
{
    struct key_range ranges[3] = {view->shared[0], view->shared[1], view->own[row]};
    if (ranges[2].first == ranges[0].end) { /* adjoining: one range, however rows are grouped */
        ranges[0].end = ranges[2].end;
        ranges[2].end = ranges[2].first;
    }
    float before = s->highest[query], highest = before;
    int count = 0;
    for (int i = 0; i < 3; i++) {
        highest = range_highest(scores, ranges[i], highest);
        count += ranges[i].end - ranges[i].first;
    }
    if (count == 0)
        return;
    float sum = 0.0f;
    for (int i = 0; i < 3; i++)
        sum += range_exp(scores, ranges[i], highest);
    if (highest != before && s->weights[query] != 0.0f) {
        float scale = expf(before - highest);
        s->weights[query] *= scale;
        scale_row(s->sums + (size_t)query * (size_t)width, scale, width);
    }
    s->weights[query] += sum;
    s->highest[query] = highest;
}

static inline void attend_group(const struct clv_attend *a, const struct attend_scratch *s,
                                struct key_range block, int first, int rows)
{
    struct group_view view = view_block(a, block, first, rows);
    pack_queries(s->queries, a, first, rows);
    score_group(s, &view, block.end - block.first, a->width, rows);
    for (int r = 0; r < rows; r++)
        soften_row(s, s->scores + r * KEY_BLOCK, first + r, &view, r, a->width);
    float *sums = s->sums + (size_t)first * (size_t)a->width;
    const float *values = a->v + (ptrdiff_t)block.first * a->v_stride;
    const struct weight_steps by_key = {1, KEY_BLOCK};
    for (int i = 0; i < 2; i++) {
        struct key_range seen = view.shared[i];
        if (seen.first < seen.end) {
            const float *v = values + seen.first * a->v_stride;
            WITH_ROWS(rows, value_rows, sums, a->width, s->scores + seen.first, by_key, v,
                      a->v_stride, seen.end - seen.first, a->width)
        }
    }
    for (int r = 0; r < rows; r++) {
        struct key_range seen = view.own[r];
        if (seen.first < seen.end)
            value_rows(sums + (size_t)r * (size_t)a->width, a->width,
                       s->scores + r * KEY_BLOCK + seen.first, by_key,
                       values + seen.first * a->v_stride, a->v_stride, seen.end - seen.first,
                       a->width, 1);
    }
}

/* Rows from `first` on that go as one group: of one frame, where the mask knows frames. */
static inline int group_rows(const struct clv_attend *a, int first)
{
    int rows = at_most(GROUP, a->query_count - first);
    if (a->mask == CLV_MASK_NONE || a->mask == CLV_MASK_CAUSAL)
        return rows;
    int frame = query_row(a, first) / a->token_count, same = 1;
    while (same < rows && query_row(a, first + same) / a->token_count == frame)
        same++;
    return same;
}

static inline void attend_run(const struct clv_attend *a)
{
    struct attend_scratch s = attend_scratch_split(a->scratch, a->width);
    int block_keys = KEY_BLOCK;
    if ((a->mask == CLV_MASK_KMT || a->mask == CLV_MASK_KMCT) && a->token_count <= KEY_BLOCK)
        block_keys = KEY_BLOCK / a->token_count * a->token_count;
    memset(s.sums, 0, sizeof *s.sums * (size_t)a->query_count * (size_t)a->width);
    for (int i = 0; i < a->query_count; i++) {
        s.highest[i] = -INFINITY;
        s.weights[i] = 0.0f;
    }
    int last_row = query_row(a, a->query_count - 1);
    int sees_later = a->mask == CLV_MASK_NONE || a->mask == CLV_MASK_KMT;
    int key_end = sees_later ? a->key_count : last_row + 1;
    for (int key = 0; key < key_end; key += block_keys) {
        struct key_range block = {key, at_most(key + block_keys, a->key_count)};
        pack_panels(s.keys, a->k + (ptrdiff_t)key * a->k_stride, a->k_stride,
                    block.end - block.first, a->width);
        for (int first = 0, rows; first < a->query_count; first += rows) {
            rows = group_rows(a, first);
            attend_group(a, &s, block, first, rows);
        }
    }
    for (int i = 0; i < a->query_count; i++) {
        float *out = a->out + (ptrdiff_t)i * a->out_stride;
        const float *sums = s.sums + (size_t)i * (size_t)a->width;
        float scale = 1.0f / s.weights[i];
        for (int d = 0; d < a->width; d++)
            out[d] = sums[d] * scale;
        if (a->stats)
            a->stats[i * a->stats_stride] = s.highest[i] + logf(s.weights[i]);
    }
}

#endif
