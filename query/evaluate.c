/* Every rank is a count of what is not beaten, so that ties and NaN fall on the wrong side by
 * themselves. */
#include "query/evaluate.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>

/* ---- closed set ---- */

static const float *row_of(const struct clv_class_scores *scores, int clip)
{
    return scores->scores + (size_t)clip * (size_t)scores->class_count;
}

static bool is_read(const struct clv_class_scores *scores, int clip)
{
    return !scores->is_read || scores->is_read[clip];
}

int clv_evaluate_class_rank(const struct clv_class_scores *scores, int clip)
{
    const float *row = row_of(scores, clip);
    int32_t truth = scores->truths[clip];
    int rank = 1;
    for (int32_t c = 0; c < scores->class_count; c++)
        rank += c != truth && !(row[c] < row[truth]);
    return rank;
}

int32_t clv_evaluate_predicted(const struct clv_class_scores *scores, int clip)
{
    const float *row = row_of(scores, clip);
    int32_t best = -1;
    for (int32_t c = 0; c < scores->class_count; c++)
        if (!isnan(row[c]) && (best < 0 || row[c] > row[best]))
            best = c;
    return best;
}

void clv_class_result_release(struct clv_class_result *result)
{
    free(result->class_clips);
    free(result->class_right);
    free(result->confusion);
    *result = (struct clv_class_result){0};
}

static void count_clip(struct clv_class_result *out, const struct clv_class_scores *scores,
                       int clip)
{
    int32_t truth = scores->truths[clip], predicted = clv_evaluate_predicted(scores, clip);
    int rank = clv_evaluate_class_rank(scores, clip);
    out->clip_count++;
    out->top1 += rank <= 1;
    out->top5 += rank <= 5;
    out->class_clips[truth]++;
    out->class_right[truth] += rank <= 1;
    if (predicted >= 0)
        out->confusion[(size_t)truth * (size_t)out->class_count + (size_t)predicted]++;
}

int clv_evaluate_classes(struct clv_class_result *out, const struct clv_class_scores *scores)
{
    size_t count = (size_t)scores->class_count;
    *out = (struct clv_class_result){.class_count = scores->class_count};
    out->class_clips = calloc(count, sizeof *out->class_clips);
    out->class_right = calloc(count, sizeof *out->class_right);
    out->confusion = calloc(count, count * sizeof *out->confusion);
    if (!out->class_clips || !out->class_right || !out->confusion)
        return clv_fail_memory("a confusion matrix");
    for (int i = 0; i < scores->clip_count; i++)
        if (is_read(scores, i))
            count_clip(out, scores, i);
    if (out->clip_count == 0)
        return clv_fail(CLV_EINVAL, "none of %d clips was read", scores->clip_count);
    out->top1 /= (double)out->clip_count;
    out->top5 /= (double)out->clip_count;
    for (size_t c = 0; c < count; c++) {
        if (out->class_clips[c] == 0)
            continue;
        out->tried_class_count++;
        out->mean_class += (double)out->class_right[c] / (double)out->class_clips[c];
    }
    out->mean_class /= out->tried_class_count;
    return CLV_OK;
}

void clv_evaluate_pairs(struct clv_pair_result *results_out, struct clv_pair_result *all_out,
                        const struct clv_class_scores *scores, const int32_t (*pairs)[2],
                        int pair_count)
{
    double right_sum = 0;
    *all_out = (struct clv_pair_result){0};
    for (int p = 0; p < pair_count; p++) {
        double right = 0;
        results_out[p] = (struct clv_pair_result){0};
        for (int i = 0; i < scores->clip_count; i++) {
            int32_t truth = scores->truths[i],
                    other = pairs[p][0] == truth ? pairs[p][1] : pairs[p][0];
            if (!is_read(scores, i) || (truth != pairs[p][0] && truth != pairs[p][1]))
                continue;
            const float *row = row_of(scores, i);
            right += row[truth] > row[other] ? 1 : row[truth] == row[other] ? 0.5 : 0;
            results_out[p].clip_count++;
        }
        right_sum += right;
        all_out->clip_count += results_out[p].clip_count;
        if (results_out[p].clip_count > 0)
            results_out[p].accuracy = right / (double)results_out[p].clip_count;
    }
    if (all_out->clip_count > 0)
        all_out->accuracy = right_sum / (double)all_out->clip_count;
}

/* ---- retrieval ---- */

/* Highest first; NaN last. */
static int by_score(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a < b) - (a > b);
}

/* The first of the right ones, highest first, that the wrong score is not beaten by. */
static size_t first_not_above(const float *rights, size_t count, float score)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rights[middle] > score)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int clv_evaluate_query(struct clv_query_result *out, const float *scores, const bool *is_right,
                       size_t count)
{
    size_t right_count = 0;
    *out = (struct clv_query_result){0};
    for (size_t i = 0; i < count; i++)
        right_count += is_right[i];
    if (right_count == 0)
        return CLV_OK;
    float *rights = calloc(right_count, sizeof *rights);
    size_t *wrongs = calloc(right_count + 1, sizeof *wrongs); /* that come in before right i */
    if (!rights || !wrongs) {
        free(rights);
        free(wrongs);
        return clv_fail_memory("the ranks of a query");
    }
    for (size_t i = 0, at = 0; i < count; i++)
        if (is_right[i])
            rights[at++] = scores[i];
    qsort(rights, right_count, sizeof *rights, by_score);
    for (size_t i = 0; i < count; i++)
        if (!is_right[i])
            wrongs[isnan(scores[i]) ? 0 : first_not_above(rights, right_count, scores[i])]++;
    size_t before = 0;
    for (size_t i = 0; i < right_count; i++) {
        before += wrongs[i];
        out->average_precision += (double)(i + 1) / (double)(i + 1 + before);
    }
    out->right_count = (int64_t)right_count;
    out->rank = (int64_t)wrongs[0] + 1;
    out->average_precision /= (double)right_count;
    free(rights);
    free(wrongs);
    return CLV_OK;
}

static int by_rank(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

int clv_evaluate_retrieval(struct clv_retrieval_result *out, const struct clv_query_result *queries,
                           size_t count)
{
    size_t tried = 0;
    *out = (struct clv_retrieval_result){0};
    int64_t *ranks = calloc(count + 1, sizeof *ranks);
    if (!ranks)
        return clv_fail_memory("the ranks of the queries");
    for (size_t i = 0; i < count; i++) {
        const struct clv_query_result *query = &queries[i];
        if (query->right_count == 0)
            continue;
        ranks[tried++] = query->rank;
        out->recall1 += query->rank <= 1;
        out->recall5 += query->rank <= 5;
        out->recall10 += query->rank <= 10;
        out->mean_rank += (double)query->rank;
        out->mean_average_precision += query->average_precision;
    }
    out->query_count = (int64_t)tried;
    out->without_count = (int64_t)(count - tried);
    if (tried > 0) {
        double share = 1 / (double)tried;
        qsort(ranks, tried, sizeof *ranks, by_rank);
        out->median_rank = ((double)ranks[(tried - 1) / 2] + (double)ranks[tried / 2]) / 2;
        out->recall1 *= share;
        out->recall5 *= share;
        out->recall10 *= share;
        out->mean_rank *= share;
        out->mean_average_precision *= share;
    }
    free(ranks);
    return tried > 0 ? CLV_OK
                     : clv_fail(CLV_EINVAL,
                                "none of %zu sentences has a right answer among the "
                                "candidates",
                                count);
}
