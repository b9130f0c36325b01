/* How good answers are, when the right ones are known: pure arithmetic on scores.
 *
 * Ties are no knowledge. What scores as high as a right answer without being one counts as standing
 * before it (the pessimistic rank), and so does what scores NaN; a right answer that scores NaN
 * stands last. Only between the two classes of a pair a tie counts half, so that knowing nothing is
 * chance. */
#ifndef CLV_QUERY_EVALUATE_H
#define CLV_QUERY_EVALUATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- closed set ---- */

/* Scores of clips for every class: [clip_count, class_count], higher is better. */
struct clv_class_scores {
    const float *scores;
    const int32_t *truths; /* [clip_count] 0 … class_count - 1 */
    const bool *is_read;   /* [clip_count]; the others are left out. NULL: all were read */
    int clip_count;
    int class_count;
};

/* 1 + the classes that are not beaten by the truth of the clip: 1 is right. */
int clv_evaluate_class_rank(const struct clv_class_scores *scores, int clip);
/* The class with the highest score, of equals the first; -1 where all are NaN. */
int32_t clv_evaluate_predicted(const struct clv_class_scores *scores, int clip);

struct clv_class_result {
    int64_t clip_count; /* read */
    double top1, top5;  /* shares of the clips */
    double mean_class;  /* mean over the classes that have clips of their share that is right */
    int class_count, tried_class_count; /* all, and those that have clips */
    int64_t *class_clips, *class_right; /* [class_count] */
    int64_t *confusion; /* [class_count, class_count], row: truth, column: predicted */
};

/* CLV_EINVAL where no clip was read. Release also after a failure. */
int clv_evaluate_classes(struct clv_class_result *out, const struct clv_class_scores *scores);
void clv_class_result_release(struct clv_class_result *result);

struct clv_pair_result {
    int64_t clip_count; /* read, of either class */
    double accuracy; /* share that scores higher for its own class than for the other; 0 of none */
};

/* Of two classes that are each other's reversal, or alike in another way: pairs [pair_count, 2].
 * Fills results_out [pair_count], and what all pairs together come to: every clip counts once for
 * each pair its class is in. */
void clv_evaluate_pairs(struct clv_pair_result *results_out, struct clv_pair_result *all_out,
                        const struct clv_class_scores *scores, const int32_t (*pairs)[2],
                        int pair_count);

/* ---- retrieval ---- */

/* How one sentence did among all candidates. */
struct clv_query_result {
    int64_t right_count; /* candidates that are right; 0: the rest means nothing */
    int64_t rank;        /* of the first right one, from 1 */
    /* Mean over the right ones of the share of right ones down to each. */
    double average_precision;
};

/* `scores` and `is_right` [count]. CLV_ENOMEM. */
int clv_evaluate_query(struct clv_query_result *out, const float *scores, const bool *is_right,
                       size_t count);

struct clv_retrieval_result {
    int64_t query_count;   /* that have a right candidate: the figures are of these */
    int64_t without_count; /* that have none */
    double recall1, recall5, recall10;
    double median_rank, mean_rank; /* the median of an even number is the mean of the middle two */
    double mean_average_precision;
};

/* CLV_EINVAL where no query has a right candidate. */
int clv_evaluate_retrieval(struct clv_retrieval_result *out, const struct clv_query_result *queries,
                           size_t count);

#endif
