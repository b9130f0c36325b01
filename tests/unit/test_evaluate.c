/* Every metric against a slow reference in double precision that sorts, and by hand. */
#include "core/error.h"
#include "query/evaluate.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- references: a full ranking, wrong before right where scores are equal ---- */

struct entry {
    double score; /* NaN of a wrong one: +inf, of a right one: -inf */
    bool is_right;
};

static int by_score(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (int)a->is_right - (int)b->is_right;
}

static void reference_query(int64_t *rank, double *precision, const float *scores,
                            const bool *is_right, int count)
{
    struct entry *entries = calloc((size_t)count, sizeof *entries);
    int right = 0;
    *rank = 0;
    *precision = 0;
    for (int i = 0; i < count; i++) {
        double score = (double)scores[i];
        entries[i] = (struct entry){isnan(score) ? (is_right[i] ? -INFINITY : INFINITY) : score,
                                    is_right[i]};
    }
    qsort(entries, (size_t)count, sizeof *entries, by_score);
    for (int i = 0; i < count; i++) {
        if (!entries[i].is_right)
            continue;
        *rank = *rank ? *rank : i + 1;
        *precision += (double)++right / (i + 1);
    }
    *precision /= right ? right : 1;
    free(entries);
}

/* Few different values, so that ties abound. */
static float draw(uint64_t *state, int levels)
{
    return levels ? (float)(t_random(state) % (uint64_t)levels) / 4 : (float)t_normal(state);
}

static void queries_match_a_sorted_list(void)
{
    uint64_t state = 7;
    float scores[60];
    bool is_right[60];
    for (int trial = 0; trial < 3000; trial++) {
        int count = 1 + (int)(t_random(&state) % 60), levels = (int)(t_random(&state) % 3) * 4;
        double share = t_uniform(&state);
        bool any = false;
        for (int i = 0; i < count; i++) {
            scores[i] = t_uniform(&state) < 0.05 ? NAN : draw(&state, levels);
            is_right[i] = t_uniform(&state) < share;
            any |= is_right[i];
        }
        struct clv_query_result got;
        int64_t rank;
        double precision;
        CHECK_OK(clv_evaluate_query(&got, scores, is_right, (size_t)count));
        reference_query(&rank, &precision, scores, is_right, count);
        CHECK_INT(got.right_count > 0, any);
        CHECK_INT(got.rank, rank);
        CHECK_NEAR(got.average_precision, precision, 1e-12);
        if (t_failed())
            return;
    }
}

static void queries_by_hand(void)
{
    struct clv_query_result got;
    /* Right ones at places 2 and 4: (1/2 + 2/4) / 2. */
    CHECK_OK(clv_evaluate_query(&got, (float[]){0.9F, 0.8F, 0.7F, 0.6F, 0.5F},
                                (bool[]){false, true, false, true, false}, 5));
    CHECK_INT(got.rank, 2);
    CHECK_INT(got.right_count, 2);
    CHECK_NEAR(got.average_precision, 0.5, 1e-15);
    /* A tie with two wrong ones: third, whatever their order. */
    CHECK_OK(clv_evaluate_query(&got, (float[]){0.5F, 0.5F, 0.5F, 0.1F},
                                (bool[]){true, false, false, false}, 4));
    CHECK_INT(got.rank, 3);
    CHECK_NEAR(got.average_precision, 1.0 / 3, 1e-15);
    /* A tie among right ones costs nothing. */
    CHECK_OK(clv_evaluate_query(&got, (float[]){0.5F, 0.5F, 0.4F}, (bool[]){true, true, false}, 3));
    CHECK_INT(got.rank, 1);
    CHECK_NEAR(got.average_precision, 1, 1e-15);
    CHECK_OK(clv_evaluate_query(&got, (float[]){NAN, 0.5F}, (bool[]){true, false}, 2));
    CHECK_INT(got.rank, 2);
    CHECK_OK(clv_evaluate_query(&got, (float[]){NAN, 0.5F}, (bool[]){false, true}, 2));
    CHECK_INT(got.rank, 2);
    CHECK_OK(clv_evaluate_query(&got, (float[]){0.5F}, (bool[]){false}, 1));
    CHECK_INT(got.right_count, 0);
    CHECK_OK(clv_evaluate_query(&got, NULL, NULL, 0));
    CHECK_INT(got.right_count, 0);
}

static void retrieval_sums_up(void)
{
    struct clv_query_result queries[] = {{1, 1, 1.0}, {2, 5, 0.25}, {1, 6, 1.0 / 6},
                                         {0, 0, 0},   {3, 10, 0.1}, {1, 11, 1.0 / 11},
                                         {1, 2, 0.5}};
    struct clv_retrieval_result got;
    REQUIRE_OK(clv_evaluate_retrieval(&got, queries, 7));
    CHECK_INT(got.query_count, 6);
    CHECK_INT(got.without_count, 1);
    CHECK_NEAR(got.recall1, 1.0 / 6, 1e-15);
    CHECK_NEAR(got.recall5, 3.0 / 6, 1e-15);
    CHECK_NEAR(got.recall10, 5.0 / 6, 1e-15);
    CHECK_NEAR(got.median_rank, 5.5, 1e-15); /* 1 2 5 6 10 11 */
    CHECK_NEAR(got.mean_rank, 35.0 / 6, 1e-15);
    CHECK_NEAR(got.mean_average_precision, (1 + 0.25 + 1.0 / 6 + 0.1 + 1.0 / 11 + 0.5) / 6, 1e-15);
    REQUIRE_OK(clv_evaluate_retrieval(&got, queries, 6));
    CHECK_NEAR(got.median_rank, 6, 1e-15);
    CHECK_ERROR(clv_evaluate_retrieval(&got, queries + 3, 1), CLV_EINVAL, "none of 1 sentences");
    CHECK_ERROR(clv_evaluate_retrieval(&got, NULL, 0), CLV_EINVAL, "none of 0 sentences");
}

/* ---- closed set ---- */

enum { CLIPS = 80, CLASSES = 9 };

/* 1 + how many classes come before the truth when all are sorted. */
static int reference_rank(const float *row, int32_t truth)
{
    bool is_right[CLASSES] = {false};
    int64_t rank;
    double precision;
    is_right[truth] = true;
    reference_query(&rank, &precision, row, is_right, CLASSES);
    return (int)rank;
}

static void fill(float *scores, int32_t *truths, bool *is_read, uint64_t *state, int levels)
{
    for (int i = 0; i < CLIPS; i++) {
        truths[i] = (int32_t)(t_random(state) % (CLASSES - 1)); /* the last has none */
        is_read[i] = t_uniform(state) < 0.9;
        for (int c = 0; c < CLASSES; c++)
            scores[i * CLASSES + c] = t_uniform(state) < 0.02 ? NAN : draw(state, levels);
    }
}

static void check_classes(const struct clv_class_scores *scores)
{
    struct clv_class_result got;
    double top1 = 0, top5 = 0, count = 0, mean = 0;
    double right[CLASSES] = {0}, clips[CLASSES] = {0};
    int64_t confusion[CLASSES][CLASSES] = {{0}};
    for (int i = 0; i < CLIPS; i++) {
        const float *row = scores->scores + i * CLASSES;
        int best = -1, rank = reference_rank(row, scores->truths[i]);
        CHECK_INT(clv_evaluate_class_rank(scores, i), rank);
        for (int c = CLASSES - 1; c >= 0; c--)
            if (!isnan(row[c]) && (best < 0 || !((double)row[c] < (double)row[best])))
                best = c;
        CHECK_INT(clv_evaluate_predicted(scores, i), best);
        if (!scores->is_read[i])
            continue;
        count++;
        top1 += rank == 1;
        top5 += rank <= 5;
        clips[scores->truths[i]]++;
        right[scores->truths[i]] += rank == 1;
        confusion[scores->truths[i]][best]++;
    }
    int tried = 0;
    for (int c = 0; c < CLASSES; c++) {
        tried += clips[c] > 0;
        mean += clips[c] > 0 ? right[c] / clips[c] : 0;
    }
    REQUIRE_OK(clv_evaluate_classes(&got, scores));
    CHECK_INT(got.clip_count, (int64_t)count);
    CHECK_NEAR(got.top1, top1 / count, 1e-12);
    CHECK_NEAR(got.top5, top5 / count, 1e-12);
    CHECK_NEAR(got.mean_class, mean / tried, 1e-12);
    CHECK_INT(got.tried_class_count, tried);
    for (int c = 0; c < CLASSES; c++) {
        CHECK_INT(got.class_clips[c], (int64_t)clips[c]);
        CHECK_INT(got.class_right[c], (int64_t)right[c]);
    }
    CHECK(memcmp(got.confusion, confusion, sizeof confusion) == 0);
    clv_class_result_release(&got);
}

static void check_pairs(const struct clv_class_scores *scores)
{
    static const int32_t pairs[][2] = {{0, 1}, {3, 2}, {1, 4}, {8, 7}};
    struct clv_pair_result got[4], all;
    double right_sum = 0, count_sum = 0;
    clv_evaluate_pairs(got, &all, scores, pairs, 4);
    for (int p = 0; p < 4; p++) {
        double right = 0, count = 0;
        for (int i = 0; i < CLIPS; i++) {
            if (!scores->is_read[i])
                continue;
            double a = (double)scores->scores[i * CLASSES + pairs[p][0]];
            double b = (double)scores->scores[i * CLASSES + pairs[p][1]];
            if (scores->truths[i] == pairs[p][0])
                right += a > b ? 1 : a < b || isnan(a) || isnan(b) ? 0 : 0.5;
            else if (scores->truths[i] == pairs[p][1])
                right += b > a ? 1 : b < a || isnan(a) || isnan(b) ? 0 : 0.5;
            else
                continue;
            count++;
        }
        CHECK_INT(got[p].clip_count, (int64_t)count);
        CHECK_NEAR(got[p].accuracy, count > 0 ? right / count : 0, 1e-12);
        right_sum += right;
        count_sum += count;
    }
    CHECK_INT(all.clip_count, (int64_t)count_sum);
    CHECK_NEAR(all.accuracy, right_sum / count_sum, 1e-12);
}

static void classes_match_a_sorted_list(void)
{
    float scores[CLIPS * CLASSES];
    int32_t truths[CLIPS];
    bool is_read[CLIPS];
    uint64_t state = 3;
    for (int trial = 0; trial < 60 && !t_failed(); trial++) {
        fill(scores, truths, is_read, &state, trial % 3 * 4);
        const struct clv_class_scores given = {scores, truths, is_read, CLIPS, CLASSES};
        check_classes(&given);
        check_pairs(&given);
    }
}

/* A model that says the same of everything: never right, and between two a coin. */
static void knowing_nothing_is_chance(void)
{
    float scores[6 * 2] = {0};
    const struct clv_class_scores given = {scores, (int32_t[]){0, 1, 0, 1, 0, 1}, NULL, 6, 2};
    const int32_t pair[1][2] = {{0, 1}};
    struct clv_class_result got;
    struct clv_pair_result one, all;
    REQUIRE_OK(clv_evaluate_classes(&got, &given));
    CHECK_NEAR(got.top1, 0, 0);
    CHECK_NEAR(got.top5, 1, 0);
    clv_class_result_release(&got);
    clv_evaluate_pairs(&one, &all, &given, pair, 1);
    CHECK_NEAR(one.accuracy, 0.5, 0);
    CHECK_NEAR(all.accuracy, 0.5, 0);
}

static void nothing_read_is_an_error(void)
{
    float scores[2] = {0};
    const struct clv_class_scores given = {scores, (int32_t[]){0}, (bool[]){false}, 1, 2};
    struct clv_class_result got;
    struct clv_pair_result one, all;
    const int32_t pair[1][2] = {{0, 1}};
    CHECK_ERROR(clv_evaluate_classes(&got, &given), CLV_EINVAL, "none of 1 clips");
    clv_class_result_release(&got);
    clv_evaluate_pairs(&one, &all, &given, pair, 1);
    CHECK_INT(all.clip_count, 0);
    CHECK_NEAR(all.accuracy, 0, 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    T_RUN(queries_by_hand);
    T_RUN(queries_match_a_sorted_list);
    T_RUN(retrieval_sums_up);
    T_RUN(classes_match_a_sorted_list);
    T_RUN(knowing_nothing_is_chance);
    T_RUN(nothing_read_is_an_error);
    return t_end();
}
