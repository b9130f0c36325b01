/* Merging hits into moments: worked examples, every small timeline against the rules as the header
 * states them, and the two promises callers build on (order does not matter, a prefix of the hits
 * is enough). */
#include "query/moments.h"

#include "tests/t.h"

#include <stdlib.h>
#include <string.h>

#define HIT_MAX 256

static struct clv_moment_hit hit(int64_t video_id, int64_t start_ms, int64_t end_ms, double score)
{
    static const char *const paths[] = {"/v/a", "/v/b", "/v/c", "/v/d"};
    return (struct clv_moment_hit){
        .video_id = video_id,
        .path = paths[video_id & 3],
        .start_ms = start_ms,
        .end_ms = end_ms,
        .score = (float)score,
    };
}

static void check_span(const struct clv_moment_span *span, int64_t video_id, int64_t start_ms,
                       int64_t end_ms, int64_t peak_ms, int hit_count)
{
    CHECK_INT(span->video_id, video_id);
    CHECK_INT(span->start_ms, start_ms);
    CHECK_INT(span->end_ms, end_ms);
    CHECK_INT(span->peak_start_ms, peak_ms);
    CHECK_INT(span->hit_count, hit_count);
}

static void nothing_gives_nothing(void)
{
    struct clv_moment_span span;
    struct clv_moment_rule rule = {.gap_ms = 1000, .margin = 0.1F, .moment_max = 1};
    CHECK_INT(clv_moments_merge(&span, NULL, 0, &rule), 0);
    struct clv_moment_hit one = hit(1, 0, 4000, 0.5);
    rule.moment_max = 0;
    CHECK_INT(clv_moments_merge(&span, &one, 1, &rule), 0);
    CHECK_INT(one.moment, -1);
}

static void overlapping_equals_are_one(void)
{
    struct clv_moment_hit hits[] = {hit(1, 2000, 6000, 0.29), hit(1, 0, 4000, 0.30),
                                    hit(1, 4000, 8000, 0.28), hit(1, 40000, 44000, 0.27)};
    struct clv_moment_span spans[4];
    struct clv_moment_rule rule = {.gap_ms = -1, .margin = 0.02F, .moment_max = 4};
    CHECK_INT(clv_moments_merge(spans, hits, 4, &rule), 2);
    check_span(&spans[0], 1, 0, 8000, 0, 3);
    check_span(&spans[1], 1, 40000, 44000, 40000, 1);
    CHECK_NEAR(spans[0].score, 0.30, 1e-6);
}

/* Each neighbour is within the margin of the one before it, not of the peak. */
static void a_chain_downhill_stops(void)
{
    struct clv_moment_hit hits[20];
    struct clv_moment_span spans[20];
    for (int i = 0; i < 20; i++)
        hits[i] = hit(1, 2000 * i, 2000 * i + 4000, 0.5 - 0.01 * i);
    struct clv_moment_rule rule = {.gap_ms = -1, .margin = 0.025F, .moment_max = 20};
    int count = clv_moments_merge(spans, hits, 20, &rule);
    check_span(&spans[0], 1, 0, 8000, 0, 3);
    CHECK(count > 3);
    for (int i = 0; i < count; i++)
        CHECK(spans[i].end_ms - spans[i].start_ms <= 10000);
}

static void a_weak_shoulder_is_no_answer(void)
{
    struct clv_moment_hit hits[] = {hit(1, 10000, 14000, 0.30), hit(1, 8000, 12000, 0.24),
                                    hit(1, 12000, 16000, 0.23), hit(1, 14000, 18000, 0.22)};
    struct clv_moment_span spans[4];
    struct clv_moment_rule rule = {.gap_ms = -1, .margin = 0.02F, .moment_max = 4};
    CHECK_INT(clv_moments_merge(spans, hits, 4, &rule), 2);
    check_span(&spans[0], 1, 10000, 14000, 10000, 1);
    /* 14-18 only borders on the peak: footage of its own. */
    check_span(&spans[1], 1, 14000, 18000, 14000, 1);
    CHECK_INT(hits[1].moment, 0);
    CHECK(!hits[1].is_member);
    CHECK_INT(hits[2].moment, 0);
    CHECK(!hits[2].is_member);
}

static void videos_stay_apart(void)
{
    struct clv_moment_hit hits[] = {hit(1, 0, 4000, 0.30), hit(2, 0, 4000, 0.30),
                                    hit(2, 2000, 6000, 0.30), hit(1, 2000, 6000, 0.30)};
    struct clv_moment_span spans[4];
    struct clv_moment_rule rule = {.gap_ms = 100000, .margin = 1.0F, .moment_max = 4};
    CHECK_INT(clv_moments_merge(spans, hits, 4, &rule), 2);
    check_span(&spans[0], 1, 0, 6000, 0, 2);
    check_span(&spans[1], 2, 0, 6000, 0, 2);
}

static void gaps_are_bridged_up_to_the_limit(void)
{
    struct clv_moment_span spans[2];
    for (int64_t gap = 0; gap <= 3000; gap += 500) {
        struct clv_moment_hit hits[] = {hit(1, 0, 4000, 0.3), hit(1, 4000 + gap, 8000 + gap, 0.3)};
        struct clv_moment_rule rule = {.gap_ms = 1500, .margin = 0, .moment_max = 2};
        CHECK_INT(clv_moments_merge(spans, hits, 2, &rule), gap <= 1500 ? 1 : 2);
        rule.gap_ms = -1; /* half of 4000 */
        CHECK_INT(clv_moments_merge(spans, hits, 2, &rule), gap <= 2000 ? 1 : 2);
        rule.gap_ms = 0;
        CHECK_INT(clv_moments_merge(spans, hits, 2, &rule), gap == 0 ? 1 : 2);
    }
}

/* A gap that holds a better answer is no gap. */
static void no_moment_reaches_over_a_better_one(void)
{
    struct clv_moment_hit hits[] = {hit(1, 10000, 14000, 0.9), hit(1, 5000, 9000, 0.5),
                                    hit(1, 15000, 19000, 0.5)};
    struct clv_moment_span spans[3];
    struct clv_moment_rule rule = {.gap_ms = 10000, .margin = 0.1F, .moment_max = 3};
    CHECK_INT(clv_moments_merge(spans, hits, 3, &rule), 3);
    check_span(&spans[0], 1, 10000, 14000, 10000, 1);
    check_span(&spans[1], 1, 5000, 9000, 5000, 1);
    check_span(&spans[2], 1, 15000, 19000, 15000, 1);
}

static void ties_go_by_path_then_time(void)
{
    struct clv_moment_hit hits[] = {hit(3, 0, 1000, 0.5), hit(1, 90000, 91000, 0.5),
                                    hit(2, 0, 1000, 0.5), hit(1, 50000, 51000, 0.5)};
    struct clv_moment_span spans[4];
    struct clv_moment_rule rule = {.gap_ms = 0, .margin = 0, .moment_max = 4};
    CHECK_INT(clv_moments_merge(spans, hits, 4, &rule), 4);
    check_span(&spans[0], 1, 50000, 51000, 50000, 1);
    check_span(&spans[1], 1, 90000, 91000, 90000, 1);
    check_span(&spans[2], 2, 0, 1000, 0, 1);
    check_span(&spans[3], 3, 0, 1000, 0, 1);
}

static void short_pieces_have_no_special_case(void)
{
    struct clv_moment_hit hits[] = {hit(1, 0, 40, 0.5), hit(1, 0, 0, 0.4), hit(1, 500, 500, 0.3)};
    struct clv_moment_span spans[3];
    struct clv_moment_rule rule = {.gap_ms = -1, .margin = 0.01F, .moment_max = 3};
    CHECK_INT(clv_moments_merge(spans, hits, 3, &rule), 2);
    check_span(&spans[1], 1, 500, 500, 500, 1);
}

static int64_t shared_ms(const struct clv_moment_hit *a, const struct clv_moment_span *b)
{
    int64_t start = a->start_ms > b->start_ms ? a->start_ms : b->start_ms;
    int64_t end = a->end_ms < b->end_ms ? a->end_ms : b->end_ms;
    return end - start;
}

static int by_start(const void *left, const void *right)
{
    const struct clv_moment_hit *a = left, *b = right;
    return (a->start_ms > b->start_ms) - (a->start_ms < b->start_ms);
}

/* The members of one moment: their hull is the span, no hole between them is wider than the gap,
 * and the peak is the best of them. */
static void check_members(const struct clv_moment_span *span, const struct clv_moment_hit *hits,
                          int hit_count, int index, const struct clv_moment_rule *rule)
{
    struct clv_moment_hit members[HIT_MAX];
    int count = 0;
    bool has_peak = false;
    for (int i = 0; i < hit_count; i++) {
        if (hits[i].moment != index)
            continue;
        CHECK_INT(hits[i].video_id, span->video_id);
        if (!hits[i].is_member) {
            CHECK(2 * shared_ms(&hits[i], span) >= hits[i].end_ms - hits[i].start_ms);
            continue;
        }
        CHECK(hits[i].score >= span->score - rule->margin);
        CHECK(hits[i].score <= span->score);
        has_peak |= hits[i].score == span->score && hits[i].start_ms == span->peak_start_ms &&
                    hits[i].end_ms == span->peak_end_ms;
        members[count++] = hits[i];
    }
    CHECK(has_peak);
    CHECK_INT(count, span->hit_count);
    REQUIRE(count > 0);
    qsort(members, (size_t)count, sizeof *members, by_start);
    int64_t end_ms = members[0].end_ms;
    CHECK_INT(members[0].start_ms, span->start_ms);
    for (int i = 1; i < count; i++) {
        CHECK(members[i].start_ms <= end_ms + rule->gap_ms);
        end_ms = members[i].end_ms > end_ms ? members[i].end_ms : end_ms;
    }
    CHECK_INT(end_ms, span->end_ms);
}

/* Whatever touches a moment and is as good is in it, or in a better one, or beyond a better one. */
static void check_complete(const struct clv_moment_span *spans, int count,
                           const struct clv_moment_hit *hits, int hit_count,
                           const struct clv_moment_rule *rule)
{
    for (int m = 0; m < count; m++)
        for (int i = 0; i < hit_count; i++) {
            bool touches = hits[i].video_id == spans[m].video_id &&
                           shared_ms(&hits[i], &spans[m]) >= -rule->gap_ms;
            if (!touches || hits[i].score < spans[m].score - rule->margin ||
                (hits[i].moment >= 0 && hits[i].moment <= m))
                continue;
            bool beyond = false;
            for (int k = 0; k < m; k++)
                beyond |= spans[k].video_id == spans[m].video_id;
            CHECK(beyond);
        }
}

static void check_rules(const struct clv_moment_span *spans, int count,
                        const struct clv_moment_hit *hits, int hit_count,
                        const struct clv_moment_rule *rule)
{
    for (int i = 0; i < count; i++)
        check_members(&spans[i], hits, hit_count, i, rule);
    for (int i = 1; i < count; i++)
        CHECK(spans[i - 1].score >= spans[i].score);
    if (count < rule->moment_max)
        for (int i = 0; i < hit_count; i++)
            CHECK(hits[i].moment >= 0);
    check_complete(spans, count, hits, hit_count, rule);
}

/* Every timeline of 7 half-overlapping windows with scores of 4 levels, for 3 margins and 3 gaps:
 * 147456 cases. */
static void every_small_timeline(void)
{
    struct clv_moment_hit hits[7];
    struct clv_moment_span spans[7];
    for (int gap = 0; gap < 3; gap++)
        for (int margin = 0; margin < 3; margin++)
            for (int code = 0; code < 1 << 14; code++) {
                for (int i = 0; i < 7; i++)
                    hits[i] = hit(1, 2 * i, 2 * i + 4, (code >> (2 * i)) & 3);
                struct clv_moment_rule rule = {
                    .gap_ms = 2 * gap, .margin = (float)margin, .moment_max = 7};
                int count = clv_moments_merge(spans, hits, 7, &rule);
                CHECK(count >= 1);
                check_rules(spans, count, hits, 7, &rule);
                if (t_failed())
                    return;
            }
}

static int random_hits(struct clv_moment_hit *hits, uint64_t *state)
{
    int count = 1 + (int)(t_random(state) % 60);
    for (int i = 0; i < count; i++) {
        int64_t start = (int64_t)(t_random(state) % 100) * 500;
        int64_t length = (int64_t)(t_random(state) % 9) * 500;
        hits[i] = hit((int64_t)(t_random(state) % 4), start, start + length,
                      (double)(t_random(state) % 40) / 40);
    }
    return count;
}

static struct clv_moment_rule random_rule(uint64_t *state)
{
    return (struct clv_moment_rule){
        .gap_ms = (int64_t)(t_random(state) % 8) * 500,
        .margin = (float)(t_random(state) % 10) / 20.0F,
        .moment_max = 1 + (int)(t_random(state) % 80),
    };
}

static void random_timelines(void)
{
    struct clv_moment_hit hits[HIT_MAX];
    struct clv_moment_span spans[HIT_MAX];
    uint64_t state = 20;
    for (int round = 0; round < 20000 && !t_failed(); round++) {
        int hit_count = random_hits(hits, &state);
        struct clv_moment_rule rule = random_rule(&state);
        int count = clv_moments_merge(spans, hits, hit_count, &rule);
        CHECK(count <= rule.moment_max);
        check_rules(spans, count, hits, hit_count, &rule);
    }
}

static void check_same_span(const struct clv_moment_span *a, const struct clv_moment_span *b)
{
    check_span(a, b->video_id, b->start_ms, b->end_ms, b->peak_start_ms, b->hit_count);
    CHECK(a->score == b->score);
}

static void the_order_of_hits_does_not_matter(void)
{
    struct clv_moment_hit hits[HIT_MAX], shuffled[HIT_MAX];
    struct clv_moment_span spans[HIT_MAX], again[HIT_MAX];
    uint64_t state = 21;
    for (int round = 0; round < 3000 && !t_failed(); round++) {
        int hit_count = random_hits(hits, &state);
        struct clv_moment_rule rule = random_rule(&state);
        memcpy(shuffled, hits, sizeof hits);
        for (int i = hit_count - 1; i > 0; i--) {
            int k = (int)(t_random(&state) % (uint64_t)(i + 1));
            struct clv_moment_hit kept = shuffled[i];
            shuffled[i] = shuffled[k];
            shuffled[k] = kept;
        }
        int count = clv_moments_merge(spans, hits, hit_count, &rule);
        REQUIRE(clv_moments_merge(again, shuffled, hit_count, &rule) == count);
        for (int i = 0; i < count; i++)
            check_same_span(&again[i], &spans[i]);
    }
}

/* A search fetches only as many hits as the header says are needed. */
static void a_long_enough_prefix_is_enough(void)
{
    struct clv_moment_hit hits[HIT_MAX], all[HIT_MAX];
    struct clv_moment_span spans[HIT_MAX], part[HIT_MAX];
    uint64_t state = 22;
    int compared = 0;
    for (int round = 0; round < 3000 && !t_failed(); round++) {
        int hit_count = random_hits(all, &state);
        struct clv_moment_rule rule = random_rule(&state);
        int count = clv_moments_merge(spans, all, hit_count, &rule);
        for (int k = 1; k < hit_count; k++) {
            memcpy(hits, all, sizeof hits);
            int found = clv_moments_merge(part, hits, k, &rule);
            for (int n = 0; n < found && hits[k - 1].score < part[n].score - rule.margin; n++) {
                REQUIRE(n < count);
                check_same_span(&part[n], &spans[n]);
                compared++;
            }
        }
    }
    CHECK(compared > 10000);
}

int main(void)
{
    T_RUN(nothing_gives_nothing);
    T_RUN(overlapping_equals_are_one);
    T_RUN(a_chain_downhill_stops);
    T_RUN(a_weak_shoulder_is_no_answer);
    T_RUN(videos_stay_apart);
    T_RUN(gaps_are_bridged_up_to_the_limit);
    T_RUN(no_moment_reaches_over_a_better_one);
    T_RUN(ties_go_by_path_then_time);
    T_RUN(short_pieces_have_no_special_case);
    T_RUN(every_small_timeline);
    T_RUN(random_timelines);
    T_RUN(the_order_of_hits_does_not_matter);
    T_RUN(a_long_enough_prefix_is_enough);
    return t_end();
}
