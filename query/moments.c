/* Greedy clustering around peaks. Hits are visited best first; each moment is grown to its fixed
 * point before the next is founded, so a hit goes to the best moment that can have it. */
#include "query/moments.h"

#include <stdlib.h>
#include <string.h>

static int compare_integers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Best first; then path, time, length and id, so that the order is total but for equal hits. */
static int compare_hits(const void *left, const void *right)
{
    const struct clv_moment_hit *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->path && b->path) {
        int order = strcmp(a->path, b->path);
        if (order != 0)
            return order;
    }
    int order = compare_integers(a->video_id, b->video_id);
    if (order == 0)
        order = compare_integers(a->start_ms, b->start_ms);
    return order != 0 ? order : compare_integers(a->end_ms, b->end_ms);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Half of the hit or more lies in the span. */
static bool is_covered(const struct clv_moment_hit *hit, const struct clv_moment_span *span)
{
    if (hit->video_id != span->video_id)
        return false;
    int64_t shared = smaller(hit->end_ms, span->end_ms) - larger(hit->start_ms, span->start_ms);
    return shared >= 0 && 2 * shared >= hit->end_ms - hit->start_ms;
}

static bool touches(const struct clv_moment_hit *hit, const struct clv_moment_span *span,
                    int64_t gap_ms)
{
    if (gap_ms < 0)
        gap_ms = smaller(hit->end_ms - hit->start_ms, span->peak_end_ms - span->peak_start_ms) / 2;
    return hit->start_ms <= span->end_ms + gap_ms && hit->end_ms >= span->start_ms - gap_ms;
}

/* Would the span, stretched to the hit, reach over the peak of a better moment? Such a gap is not
 * empty: what lies in it has its own answer. */
static bool reaches_over(const struct clv_moment_hit *hit, const struct clv_moment_span *spans,
                         int current)
{
    const struct clv_moment_span *span = &spans[current];
    int64_t start_ms = smaller(span->start_ms, hit->start_ms);
    int64_t end_ms = larger(span->end_ms, hit->end_ms);
    for (int i = 0; i < current; i++)
        if (spans[i].video_id == span->video_id && start_ms <= spans[i].peak_start_ms &&
            end_ms >= spans[i].peak_end_ms)
            return true;
    return false;
}

/* Takes in every free hit that touches the span and is as good; again until nothing changes, since
 * each one can bring the next within reach. Hits are sorted, so the scan ends at the margin. */
static void grow(struct clv_moment_span *spans, int current, struct clv_moment_hit *hits,
                 int hit_count, int first, const struct clv_moment_rule *rule)
{
    struct clv_moment_span *span = &spans[current];
    bool changed = true;
    while (changed) {
        changed = false;
        for (int i = first; i < hit_count && hits[i].score >= span->score - rule->margin; i++) {
            struct clv_moment_hit *hit = &hits[i];
            if (hit->moment >= 0 || hit->video_id != span->video_id ||
                !touches(hit, span, rule->gap_ms) || reaches_over(hit, spans, current))
                continue;
            hit->moment = current;
            hit->is_member = true;
            span->start_ms = smaller(span->start_ms, hit->start_ms);
            span->end_ms = larger(span->end_ms, hit->end_ms);
            span->hit_count++;
            changed = true;
        }
    }
}

int clv_moments_merge(struct clv_moment_span *spans_out, struct clv_moment_hit *hits, int hit_count,
                      const struct clv_moment_rule *rule)
{
    int count = 0;
    if (hit_count > 1)
        qsort(hits, (size_t)hit_count, sizeof *hits, compare_hits);
    for (int i = 0; i < hit_count; i++) {
        hits[i].moment = -1;
        hits[i].is_member = false;
    }
    for (int i = 0; i < hit_count && count < rule->moment_max; i++) {
        if (hits[i].moment >= 0)
            continue;
        hits[i].moment = count;
        hits[i].is_member = true;
        spans_out[count] = (struct clv_moment_span){
            .video_id = hits[i].video_id,
            .path = hits[i].path,
            .start_ms = hits[i].start_ms,
            .end_ms = hits[i].end_ms,
            .peak_start_ms = hits[i].start_ms,
            .peak_end_ms = hits[i].end_ms,
            .score = hits[i].score,
            .hit_count = 1,
        };
        grow(spans_out, count, hits, hit_count, i + 1, rule);
        for (int k = i + 1; k < hit_count; k++)
            if (hits[k].moment < 0 && is_covered(&hits[k], &spans_out[count]))
                hits[k].moment = count;
        count++;
    }
    return count;
}
