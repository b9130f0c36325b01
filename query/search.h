/* Search: a sentence, a clip or a picture in; moments out. */
#ifndef CLV_QUERY_SEARCH_H
#define CLV_QUERY_SEARCH_H

#include "core/cancel.h"
#include "core/model/model.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeros take the default in brackets. */
struct clv_search_options {
    const char *text;   /* what happens, in plain words; may be NULL with `like` */
    const char *like;   /* FILE, FILE@TIME or FILE@TIME-TIME: a clip or picture as the query */
    double like_weight; /* share of `like` where both are given, 0..1 [0.5] */
    int moment_max;     /* [10] */
    const char *glob;   /* only videos whose path matches */
    int64_t from_ms;    /* only inside this range of each file */
    int64_t to_ms;      /* 0: no end */
    double score_min;   /* lowest cosine that counts */
    bool has_score_min;
    int64_t gap_ms; /* hits this close are neighbours [half a segment]; negative: they must touch */
    bool exact;     /* scan every vector */
    struct clv_cancel *cancel;
};

/* A stretch of one video that answers the query: overlapping and neighbouring hits merged. */
struct clv_moment {
    int64_t id; /* set once remembered in the store */
    int64_t video_id;
    char *path;
    uint8_t video_digest[CLV_DIGEST_BYTES];
    int64_t start_ms; /* from what a player shows as 0:00 */
    int64_t end_ms;
    int64_t peak_ms;  /* middle of the best segment */
    float score;      /* cosine of the best segment */
    float percentile; /* share of the index's own footage that scores lower, 0..100 */
    int segment_count;
};

struct clv_search_result {
    struct clv_moment *moments; /* best first */
    int count;
    int cut_prompt_count;  /* prompts longer than the context, cut */
    int64_t segment_total; /* segments of the model in the store */
    double encode_s, search_s;
};

/* Runs the query against the segments of `model_id`. An encoder is made through `model` and
 * `device` only when needed (not for a text in the store's prompt cache), and with only the branch
 * needed; with `device` NULL so is a device. CLV_EINVAL for a query that is empty or whose `like`
 * makes no sense, CLV_ENOTFOUND where `like` names no file. Fewer moments than asked for means
 * there are no more.
 *
 * Hits that touch and score within half a standard deviation (of what this footage scores for the
 * query) of a moment's best belong to it; see query/moments.h. A segment counts for the range
 * [from_ms, to_ms) where half of it, or of the range, is shared; moments are cut to the range. */
int clv_search_run(struct clv_search_result *out, struct clv_store *store,
                   const struct clv_model *model, struct clv_device *device, int64_t model_id,
                   const struct clv_search_options *options);
void clv_search_result_release(struct clv_search_result *result);

/* Remembers the result in the store for `export --last` and sets the moments' ids. */
int clv_search_remember(struct clv_store *store, const char *query, int64_t model_id,
                        struct clv_search_result *result);

#endif
