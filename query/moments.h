/* Merging ranked hits into moments: pure, no store, no model.
 *
 * Windows overlap, so one event answers as a cluster of hits. Taking the hits best first, each one
 * that is not yet accounted for founds a moment (it is its peak), which then takes in what touches
 * it and is about as good as the peak: never merely as good as the last one taken, so that a chain
 * of ever weaker neighbours does not become one long answer. What lies mostly inside a moment but
 * is clearly weaker is its shoulder: no moment of its own. Everything else founds its own. */
#ifndef CLV_QUERY_MOMENTS_H
#define CLV_QUERY_MOMENTS_H

#include <stdbool.h>
#include <stdint.h>

/* A scored piece of one video, times in milliseconds. */
struct clv_moment_hit {
    int64_t video_id;
    const char *path; /* of the video: equal scores go by path, then by time; may be NULL */
    int64_t start_ms;
    int64_t end_ms;
    float score;
    int moment;     /* set: the moment that accounts for it, -1: none (more than moment_max) */
    bool is_member; /* set: part of that moment; false: only its shoulder */
};

struct clv_moment_rule {
    int64_t gap_ms; /* hits this close touch; negative: half the shorter of hit and peak */
    float margin;   /* a hit scoring at least peak - margin is about as good; not negative */
    int moment_max;
};

struct clv_moment_span {
    int64_t video_id;
    const char *path;
    int64_t start_ms, end_ms;
    int64_t peak_start_ms, peak_end_ms; /* the best hit */
    float score;                        /* of the best hit */
    int hit_count;
};

/* Writes up to rule->moment_max spans, best first, and returns how many. Sorts `hits` and sets
 * their last two fields. The outcome does not depend on the order hits come in.
 *
 * The first n spans are final, whatever further hits there are, once the weakest hit scores below
 * spans[n-1].score - margin: only then can no unseen hit belong to them. Scores must not be NaN. */
int clv_moments_merge(struct clv_moment_span *spans_out, struct clv_moment_hit *hits, int hit_count,
                      const struct clv_moment_rule *rule);

#endif
