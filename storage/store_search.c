/* Searching: candidates from the vector index and from rows it does not have yet, scored exactly
 * from the stored vectors.
 *
 * The answer is the same as that of a scan of every row: for a flat index always, for inverted
 * lists but for what they miss by design. Whatever cannot be vouched for (ties beyond the
 * candidates, too few of them) ends in a scan. */
#include "core/error.h"
#include "core/half.h"
#include "storage/catalog_segment.h"
#include "storage/store_index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_PER_HIT 4
#define CANDIDATES_MIN 64
/* Selected rows so few that scoring each is cheaper than searching an index with a mask. */
#define SCAN_MAX 4096
/* FAISS adds products up in another order. */
#define FLAT_ERROR 1e-5f

struct candidate {
    int64_t segment_id;
    float score;
};

/* The best `max` so far; a heap with the worst on top. */
struct ranking {
    struct candidate *items;
    int64_t count, max;
};

static bool is_better(struct candidate a, struct candidate b)
{
    return a.score > b.score || (a.score == b.score && a.segment_id < b.segment_id);
}

static void sift_down(struct ranking *ranking, int64_t at)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= ranking->count)
            return;
        if (child + 1 < ranking->count &&
            is_better(ranking->items[child], ranking->items[child + 1]))
            child++;
        if (!is_better(ranking->items[at], ranking->items[child]))
            return;
        struct candidate moved = ranking->items[at];
        ranking->items[at] = ranking->items[child];
        ranking->items[child] = moved;
        at = child;
    }
}

static void offer(struct ranking *ranking, int64_t segment_id, float score)
{
    struct candidate item = {segment_id, score};
    if (ranking->count == ranking->max) {
        if (!is_better(item, ranking->items[0]))
            return;
        ranking->items[0] = item;
        sift_down(ranking, 0);
        return;
    }
    int64_t at = ranking->count++;
    for (; at > 0 && is_better(ranking->items[(at - 1) / 2], item); at = (at - 1) / 2)
        ranking->items[at] = ranking->items[(at - 1) / 2];
    ranking->items[at] = item;
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return is_better(*x, *y) ? -1 : is_better(*y, *x) ? 1 : 0;
}

/* Sixteen sums in a fixed order, so that a score does not depend on the machine. */
static float product(const float *a, const float *b, int dim)
{
    float sums[16] = {0};
    int i = 0;
    for (; i + 16 <= dim; i += 16)
        for (int lane = 0; lane < 16; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    for (int lane = 0; i < dim; i++, lane++)
        sums[lane] += a[i] * b[i];
    for (int step = 8; step > 0; step /= 2)
        for (int lane = 0; lane < step; lane++)
            sums[lane] += sums[lane + step];
    return sums[0];
}

struct search {
    struct clv_store *store;
    int64_t model_id;
    int dim;
    const float *vector;
    struct clv_id_list allowed; /* used where is_filtered */
    bool is_filtered;
    struct ranking ranking;
    float *wide;    /* [dim] */
    uint16_t *half; /* [dim] */
    size_t cursor;  /* into allowed, while a scan ascends */
};

static float score_of(struct search *search, const uint16_t *half)
{
    clv_half_widen(search->wide, half, (size_t)search->dim);
    return product(search->vector, search->wide, search->dim);
}

/* ---- scans ---- */

static int scan_row(int64_t segment_id, const uint16_t *half, void *payload)
{
    struct search *search = payload;
    if (search->is_filtered) {
        const struct clv_id_list *allowed = &search->allowed;
        while (search->cursor < allowed->count && allowed->ids[search->cursor] < segment_id)
            search->cursor++;
        if (search->cursor == allowed->count)
            return CLV_DONE;
        if (allowed->ids[search->cursor] != segment_id)
            return CLV_OK;
    }
    offer(&search->ranking, segment_id, score_of(search, half));
    return CLV_OK;
}

static int scan_listed(struct search *search, int64_t after_id)
{
    const struct clv_id_list *allowed = &search->allowed;
    for (size_t i = 0; i < allowed->count; i++) {
        if (allowed->ids[i] <= after_id)
            continue;
        int status = clv_catalog_vector(search->store, search->half, allowed->ids[i], search->dim);
        if (status == CLV_DONE)
            status = clv_fail(CLV_ECORRUPT, "'%s' has no vector for segment %lld",
                              search->store->db->path, (long long)allowed->ids[i]);
        if (status != CLV_OK)
            return status;
        offer(&search->ranking, allowed->ids[i], score_of(search, search->half));
    }
    return CLV_OK;
}

/* Scores every row that the filter lets through and whose id is above `after_id`. */
static int scan(struct search *search, int64_t after_id)
{
    if (search->is_filtered && search->allowed.count <= SCAN_MAX)
        return scan_listed(search, after_id);
    search->cursor = 0;
    int status = clv_catalog_vectors(search->store, search->model_id, search->dim, after_id,
                                     scan_row, search);
    return status == CLV_DONE ? CLV_OK : status;
}

/* ---- through the index ---- */

/* The positions to be looked at; *bitmap_out is NULL where that is all of them. Returns their
 * count. The caller frees. */
static int select_positions(struct search *search, const struct clv_vindex *index,
                            uint8_t **bitmap_out, int64_t *count_out)
{
    int64_t count = clv_vindex_count(index);
    size_t size = (size_t)(count + 7) / 8, at = 0;
    *bitmap_out = NULL;
    *count_out = clv_vindex_live_count(index);
    if (!search->is_filtered && *count_out == count)
        return CLV_OK;
    uint8_t *bitmap = calloc(size ? size : 1, 1);
    if (!bitmap)
        return clv_fail_memory("a search");
    if (!search->is_filtered) {
        memcpy(bitmap, clv_vindex_live(index), size);
    } else {
        const int64_t *ids = clv_vindex_ids(index);
        const struct clv_id_list *allowed = &search->allowed;
        *count_out = 0;
        for (int64_t i = 0; i < count && at < allowed->count; i++) {
            while (at < allowed->count && allowed->ids[at] < ids[i])
                at++;
            if (at < allowed->count && allowed->ids[at] == ids[i]) {
                bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
                ++*count_out;
            }
        }
    }
    *bitmap_out = bitmap;
    return CLV_OK;
}

/* Scores the matches exactly; *worst_out is the lowest of these scores. */
static int rescore(struct search *search, const struct clv_vindex_match *matches, int64_t count,
                   float *worst_out)
{
    *worst_out = INFINITY;
    for (int64_t i = 0; i < count; i++) {
        int64_t id = matches[i].segment_id;
        int status = clv_catalog_vector(search->store, search->half, id, search->dim);
        if (status == CLV_DONE)
            status = clv_fail(CLV_ECORRUPT, "'%s' has no vector for segment %lld",
                              search->store->db->path, (long long)id);
        if (status != CLV_OK)
            return status;
        float score = score_of(search, search->half);
        if (score < *worst_out)
            *worst_out = score;
        offer(&search->ranking, id, score);
    }
    return CLV_OK;
}

/* One search of the index. *is_sure_out: a scan would not find better, as far as the index can
 * know. */
static int consult(struct search *search, const struct clv_vindex *index, const uint8_t *bitmap,
                   int64_t selected, double effort, bool *is_sure_out, bool *is_exhaustive_out)
{
    int64_t wanted = CANDIDATES_PER_HIT * search->ranking.max, found = 0;
    if (wanted < CANDIDATES_MIN)
        wanted = CANDIDATES_MIN;
    if (wanted > selected)
        wanted = selected;
    *is_sure_out = false;
    struct clv_vindex_match *matches = malloc((size_t)(wanted + 1) * sizeof *matches);
    if (!matches)
        return clv_fail_memory("a search");
    float worst = 0;
    double share = (double)selected / (double)clv_vindex_count(index);
    int status = clv_vindex_search(index, matches, &found, search->vector, wanted, bitmap, share,
                                   effort, is_exhaustive_out);
    if (status == CLV_OK && found == wanted) {
        status = rescore(search, matches, found, &worst);
        /* What is not among the candidates scores at most as the last of them. */
        float bound = clv_vindex_is_flat(index) ? matches[found - 1].score + FLAT_ERROR : worst;
        *is_sure_out = wanted == selected || (search->ranking.count == search->ranking.max &&
                                              search->ranking.items[0].score > bound);
    }
    free(matches);
    return status;
}

/* The rows the index has, through it or, where it cannot vouch for the answer, by a scan of all.
 * Each try starts from what the newer rows gave. */
static int search_index(struct search *search, struct clv_index_state *state)
{
    const struct clv_vindex *index = state->index;
    uint8_t *bitmap = NULL;
    int64_t selected = 0;
    bool is_sure = false, is_exhaustive = false;
    int status = scan(search, clv_vindex_last_id(index));
    if (status == CLV_OK)
        status = select_positions(search, index, &bitmap, &selected);
    if (status != CLV_OK || selected == 0) {
        free(bitmap);
        return status;
    }
    int64_t newer_count = search->ranking.count;
    struct candidate *newer = malloc((size_t)(newer_count + 1) * sizeof *newer);
    if (!newer) {
        free(bitmap);
        return clv_fail_memory("a search");
    }
    memcpy(newer, search->ranking.items, (size_t)newer_count * sizeof *newer);
    bool worth = CANDIDATES_PER_HIT * search->ranking.max <= selected / 2;
    for (double effort = 1; worth && !is_sure && !is_exhaustive && status == CLV_OK; effort *= 4) {
        memcpy(search->ranking.items, newer, (size_t)newer_count * sizeof *newer);
        search->ranking.count = newer_count;
        status = consult(search, index, bitmap, selected, effort, &is_sure, &is_exhaustive);
    }
    free(newer);
    free(bitmap);
    if (status != CLV_OK || is_sure)
        return status;
    search->ranking.count = 0;
    return scan(search, 0);
}

/* ---- the whole ---- */

static int prepare(struct search *search, const struct clv_search_filter *filter)
{
    static const struct clv_search_filter none;
    int64_t generation = 0;
    bool has_missing = false;
    int status = clv_catalog_model(search->store, &search->dim, &generation, search->model_id);
    if (status == CLV_OK)
        status = clv_catalog_has_missing(search->store, &has_missing);
    if (status != CLV_OK)
        return status;
    search->wide = malloc((size_t)search->dim * sizeof *search->wide);
    search->half = malloc((size_t)search->dim * sizeof *search->half);
    if (!search->wide || !search->half)
        return clv_fail_memory("a search");
    for (int c = 0; c < search->dim; c++)
        if (!isfinite(search->vector[c]))
            return clv_fail(CLV_EINVAL, "number %d of the query vector is not finite", c);
    search->is_filtered =
        has_missing || (filter && ((filter->glob && filter->glob[0]) || filter->from_ms > 0 ||
                                   filter->to_ms > 0 || filter->video_id != 0));
    return search->is_filtered ? clv_catalog_filter(search->store, &search->allowed,
                                                    search->model_id, filter ? filter : &none)
                               : CLV_OK;
}

static int run(struct search *search, struct clv_index_state *state, bool exact)
{
    bool few = search->is_filtered && search->allowed.count <= SCAN_MAX;
    if (!state || !state->index || exact || few)
        return scan(search, 0);
    int status = clv_index_sync(search->store, state);
    return status == CLV_OK ? search_index(search, state) : status;
}

static int give_hits(struct search *search, struct clv_hit *hits_out, int *hit_count_out)
{
    struct ranking *ranking = &search->ranking;
    if (ranking->count > 1)
        qsort(ranking->items, (size_t)ranking->count, sizeof *ranking->items, compare_candidates);
    for (int64_t i = 0; i < ranking->count; i++) {
        int status = clv_catalog_hit(search->store, &hits_out[i], ranking->items[i].segment_id);
        if (status != CLV_OK)
            return status;
        hits_out[i].score = ranking->items[i].score;
    }
    *hit_count_out = (int)ranking->count;
    return CLV_OK;
}

int clv_store_search(struct clv_store *store, struct clv_hit *hits_out, int *hit_count_out,
                     int64_t model_id, const float *vector, int hit_max,
                     const struct clv_search_filter *filter)
{
    struct search search = {.store = store, .model_id = model_id, .vector = vector};
    struct clv_index_state *state = NULL;
    bool exact = filter && filter->exact;
    *hit_count_out = 0;
    if (hit_max <= 0 || (filter && (filter->from_ms < 0 || filter->to_ms < 0)))
        return clv_fail(CLV_EINVAL, "cannot search for %d segments from %lld to %lld ms", hit_max,
                        filter ? (long long)filter->from_ms : 0LL,
                        filter ? (long long)filter->to_ms : 0LL);
    int status = exact ? CLV_OK : clv_index_load(store, &state, model_id);
    search.ranking.max = hit_max;
    search.ranking.items = malloc((size_t)hit_max * sizeof *search.ranking.items);
    if (status == CLV_OK && !search.ranking.items)
        status = clv_fail_memory("a search");
    if (status == CLV_OK)
        status = clv_db_begin_read(store->db);
    if (status == CLV_OK) {
        status = prepare(&search, filter);
        if (status == CLV_OK)
            status = run(&search, state, exact);
        if (status == CLV_OK)
            status = give_hits(&search, hits_out, hit_count_out);
        status = clv_db_end(store->db, status);
    }
    clv_id_list_release(&search.allowed);
    free(search.ranking.items);
    free(search.wide);
    free(search.half);
    return status;
}

/* ---- what arbitrary footage scores ---- */

struct sample {
    struct search *search;
    float *scores;
    int count, max;
    int64_t seen, total;
};

static int sample_row(int64_t segment_id, const uint16_t *half, void *payload)
{
    struct sample *sample = payload;
    (void)segment_id;
    int64_t due = (int64_t)((double)++sample->seen * sample->max / (double)sample->total);
    if (sample->count < sample->max && (sample->total <= sample->max || due > sample->count))
        sample->scores[sample->count++] = score_of(sample->search, half);
    return CLV_OK;
}

/* Of large indexes, rows at evenly spaced ids, without reading those between. */
static int sample_ids(struct sample *sample, const struct clv_id_list *ids)
{
    struct search *search = sample->search;
    for (int i = 0; i < sample->max; i++) {
        size_t at = (size_t)((double)i * (double)ids->count / sample->max);
        int status = clv_catalog_vector(search->store, search->half, ids->ids[at], search->dim);
        if (status != CLV_OK)
            return status == CLV_DONE
                       ? clv_fail(CLV_ECORRUPT, "'%s' has no vector for segment %lld",
                                  search->store->db->path, (long long)ids->ids[at])
                       : status;
        sample->scores[sample->count++] = score_of(search, search->half);
    }
    return CLV_OK;
}

static int run_sample(struct sample *sample)
{
    struct search *search = sample->search;
    struct clv_id_list ids = {0};
    int status = prepare(search, NULL);
    if (status == CLV_OK)
        status = clv_catalog_segment_ids(search->store, &ids, search->model_id, 0, INT64_MAX);
    sample->total = (int64_t)ids.count;
    if (status == CLV_OK && sample->total > 4 * (int64_t)sample->max)
        status = sample_ids(sample, &ids);
    else if (status == CLV_OK)
        status = clv_catalog_vectors(search->store, search->model_id, search->dim, 0, sample_row,
                                     sample);
    clv_id_list_release(&ids);
    return status;
}

int clv_store_sample_scores(struct clv_store *store, float *scores_out, int *count_out,
                            int64_t model_id, const float *vector, int max)
{
    struct search search = {.store = store, .model_id = model_id, .vector = vector};
    struct sample sample = {.search = &search, .scores = scores_out, .max = max};
    *count_out = 0;
    if (max <= 0)
        return clv_fail(CLV_EINVAL, "cannot sample %d segments", max);
    int status = clv_db_begin_read(store->db);
    if (status == CLV_OK)
        status = clv_db_end(store->db, run_sample(&sample));
    if (status == CLV_OK)
        *count_out = sample.count;
    clv_id_list_release(&search.allowed);
    free(search.wide);
    free(search.half);
    return status;
}
