#include "core/model/ranking.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static bool is_zero(const float *row, size_t count)
{
    return !(dot(row, row, count) > 0);
}

/* 1 + the clips that score at least as high as the best right one without being right. */
static int rank_of(const struct clv_clips *clips, int clip, const float *feature,
                   const float *vectors, size_t embed, double *scores)
{
    const int sentence = clips->sentence_starts[clip];
    double best = -INFINITY;
    int rank = 1;
    for (int i = 0; i < clips->clip_count; i++) {
        const float *vector = vectors + (size_t)i * embed;
        const bool is_read = !is_zero(vector, embed);
        const bool is_right = is_read && clv_clips_is_true(clips, sentence, i);
        scores[i] = is_read && !is_right ? dot(feature, vector, embed) : -INFINITY;
        if (is_right)
            best = fmax(best, dot(feature, vector, embed));
    }
    for (int i = 0; i < clips->clip_count; i++)
        rank += scores[i] > -INFINITY && scores[i] >= best;
    return rank;
}

static int by_value(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int clv_ranking(struct clv_validation *out, const struct clv_clips *clips,
                const float *sentence_features, const float *vectors, int embed_dim)
{
    const size_t embed = (size_t)embed_dim;
    double *scores = calloc((size_t)clips->clip_count, sizeof *scores);
    int *ranks = calloc((size_t)clips->clip_count, sizeof *ranks);
    int count = 0, status = CLV_OK;
    if (!scores || !ranks) {
        status = clv_fail_memory("ranks of clips");
        goto done;
    }
    for (int i = 0; i < clips->clip_count; i++)
        if (!is_zero(vectors + (size_t)i * embed, embed))
            ranks[count++] =
                rank_of(clips, i, sentence_features + (size_t)i * embed, vectors, embed, scores);
    if (count == 0)
        goto done;
    qsort(ranks, (size_t)count, sizeof *ranks, by_value);
    for (int i = 0; i < count; i++) {
        out->recall1 += ranks[i] <= 1;
        out->recall5 += ranks[i] <= 5;
        out->recall10 += ranks[i] <= 10;
    }
    out->recall1 /= count;
    out->recall5 /= count;
    out->recall10 /= count;
    out->median_rank = 0.5 * (ranks[(count - 1) / 2] + ranks[count / 2]);
    out->sentence_count = count;
done:
    free(scores);
    free(ranks);
    return status;
}
