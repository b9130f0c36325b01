/* The vector index alone: exactness, recall, selectors, and the cache file. */
#include "storage/vindex.h"

#include "core/error.h"
#include "tests/t.h"
#include "tests/unit/store_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 48, COUNT = 6000 };

static float vectors[COUNT][DIM];
static int64_t ids[COUNT];

/* 120 clusters; ids 3, 6, 9, … */
static void make_data(void)
{
    uint64_t seed = 11;
    for (int i = 0; i < COUNT; i++) {
        fixture_vector(vectors[i], DIM, &seed, (int)(t_random(&seed) % 120));
        ids[i] = 3 * (int64_t)i + 3;
    }
}

static struct clv_vindex *make_index(int64_t flat_max)
{
    struct clv_vindex *index = NULL;
    CHECK_OK(clv_vindex_create(&index, DIM, COUNT, flat_max));
    int64_t sample = index ? clv_vindex_training_size(index) : 0;
    if (sample > 0)
        CHECK_OK(clv_vindex_train(index, vectors[0], sample < COUNT ? sample : COUNT));
    for (int i = 0; i < COUNT && index; i += 1500)
        CHECK_OK(clv_vindex_add(index, ids + i, vectors[i], 1500));
    return index;
}

static bool selected(const uint8_t *bitmap, int position)
{
    return !bitmap || (bitmap[position / 8] >> (position % 8) & 1);
}

/* The score of the `rank`-th best selected vector, in float64. */
static double ranked_score(const float *query, const uint8_t *bitmap, int rank)
{
    static double scores[COUNT];
    int count = 0;
    for (int i = 0; i < COUNT; i++) {
        if (!selected(bitmap, i))
            continue;
        double score = 0;
        for (int c = 0; c < DIM; c++)
            score += (double)query[c] * vectors[i][c];
        scores[count++] = score;
    }
    for (int k = 0; k <= rank && k < count; k++)
        for (int i = k + 1; i < count; i++)
            if (scores[i] > scores[k]) {
                double kept = scores[k];
                scores[k] = scores[i];
                scores[i] = kept;
            }
    return scores[rank < count ? rank : count - 1];
}

/* How many of the first `found` matches are among the true ten best. */
static int recall_of(const struct clv_vindex_match *matches, int64_t found, const float *query,
                     const uint8_t *bitmap)
{
    double tenth = ranked_score(query, bitmap, 9);
    int hits = 0;
    for (int64_t i = 0; i < found; i++) {
        int position = (int)(matches[i].segment_id / 3 - 1);
        double score = 0;
        CHECK(selected(bitmap, position));
        for (int c = 0; c < DIM; c++)
            score += (double)query[c] * vectors[position][c];
        hits += score >= tenth - 1e-7;
    }
    return hits < 10 ? hits : 10;
}

static void flat_is_exact(void)
{
    struct clv_vindex *index = make_index(COUNT);
    REQUIRE(index != NULL);
    CHECK_STRING(clv_vindex_kind(index), "flat");
    CHECK(clv_vindex_is_flat(index));
    CHECK_INT(clv_vindex_training_size(index), 0);
    CHECK_INT(clv_vindex_count(index), COUNT);
    CHECK_INT(clv_vindex_last_id(index), 3 * COUNT);
    static uint8_t bitmap[(COUNT + 7) / 8];
    for (int i = 0; i < COUNT; i += 9)
        bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
    uint64_t seed = 5;
    for (int q = 0; q < 20; q++) {
        float query[DIM];
        struct clv_vindex_match matches[10];
        int64_t found = 0;
        bool exhaustive = false;
        const uint8_t *mask = q % 2 ? bitmap : NULL;
        fixture_vector(query, DIM, &seed, q);
        CHECK_OK(clv_vindex_search(index, matches, &found, query, 10, mask, 1, 1, &exhaustive));
        CHECK(exhaustive);
        CHECK_INT(found, 10);
        for (int i = 0; i < found; i++)
            CHECK_NEAR(matches[i].score, ranked_score(query, mask, i), 1e-6);
        CHECK_INT(recall_of(matches, found, query, mask), 10);
    }
    clv_vindex_free(index);
}

static void lists_recall(void)
{
    struct clv_vindex *index = make_index(1000);
    REQUIRE(index != NULL);
    CHECK(strncmp(clv_vindex_kind(index), "ivf", 3) == 0);
    CHECK(!clv_vindex_is_flat(index));
    static uint8_t bitmap[(COUNT + 7) / 8];
    int selected_count = 0;
    for (int i = 0; i < COUNT; i += 20, selected_count++)
        bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
    uint64_t seed = 6;
    int recall[2] = {0};
    for (int q = 0; q < 100; q++) {
        float query[DIM];
        struct clv_vindex_match matches[64];
        int64_t found = 0;
        bool exhaustive = true;
        const uint8_t *mask = q % 2 ? bitmap : NULL;
        fixture_vector(query, DIM, &seed, q);
        CHECK_OK(clv_vindex_search(index, matches, &found, query, 64, mask,
                                   mask ? (double)selected_count / COUNT : 1, 1, &exhaustive));
        CHECK(q % 2 || !exhaustive);
        CHECK_INT(found, 64);
        recall[q % 2] += recall_of(matches, found, query, mask);
        for (int i = 1; i < found; i++)
            CHECK(matches[i - 1].score >= matches[i].score);
    }
    printf("recall@10 %.3f, under a filter %.3f\n", recall[0] / 500.0, recall[1] / 500.0);
    CHECK(recall[0] >= 485);
    CHECK(recall[1] >= 485);
    /* More effort ends in every list. */
    float query[DIM];
    struct clv_vindex_match matches[10];
    int64_t found = 0;
    bool exhaustive = false;
    fixture_vector(query, DIM, &seed, 3);
    CHECK_OK(clv_vindex_search(index, matches, &found, query, 10, NULL, 1, 1024, &exhaustive));
    CHECK(exhaustive);
    clv_vindex_free(index);
}

static void refuses_bad_input(void)
{
    struct clv_vindex *index = NULL;
    REQUIRE_OK(clv_vindex_create(&index, DIM, 10, 100));
    int64_t bad[3] = {4, 9, 9}, zero[1] = {0};
    CHECK_ERROR(clv_vindex_add(index, bad, vectors[0], 3), CLV_EINVAL, "segment 9 comes after 9");
    CHECK_ERROR(clv_vindex_add(index, zero, vectors[0], 1), CLV_EINVAL, "segment 0");
    CHECK_OK(clv_vindex_add(index, bad, vectors[0], 2));
    CHECK_ERROR(clv_vindex_add(index, bad, vectors[0], 1), CLV_EINVAL, "segment 4 comes after 9");
    CHECK_INT(clv_vindex_count(index), 2);
    struct clv_vindex_match matches[5];
    int64_t found = 9;
    bool exhaustive = false;
    CHECK_OK(clv_vindex_search(index, matches, &found, vectors[0], 5, NULL, 1, 1, &exhaustive));
    CHECK_INT(found, 2);
    uint8_t none[1] = {0};
    CHECK_OK(clv_vindex_search(index, matches, &found, vectors[0], 2, none, 1, 1, &exhaustive));
    CHECK_INT(found, 0);
    clv_vindex_free(index);
    clv_vindex_free(NULL);
    /* An untrained index says so instead of ending the program. */
    REQUIRE_OK(clv_vindex_create(&index, DIM, 5000, 100));
    CHECK_ERROR(clv_vindex_add(index, ids, vectors[0], 2), CLV_ERR, "cannot add to a vector index");
    CHECK_ERROR(clv_vindex_train(index, vectors[0], 3), CLV_ERR, "cannot train a vector index");
    clv_vindex_free(index);
}

static void keeps_itself_in_a_file(void)
{
    for (int64_t flat_max = 1000; flat_max <= 100000; flat_max *= 100) {
        const char *path = t_path(t_directory(), "a.faiss");
        struct clv_vindex *index = make_index(flat_max), *copy = NULL;
        struct clv_replace replace;
        uint8_t digest[CLV_DIGEST_BYTES], file_digest[CLV_DIGEST_BYTES];
        int64_t size = 0;
        REQUIRE(index != NULL);
        clv_vindex_set_live(index, 17, false);
        clv_vindex_set_live(index, 17, false);
        clv_vindex_set_live(index, 5999, false);
        CHECK_INT(clv_vindex_live_count(index), COUNT - 2);
        REQUIRE_OK(clv_replace_begin(&replace, path));
        CHECK_OK(clv_vindex_save(index, &replace, digest, &size));
        CHECK_OK(clv_replace_commit(&replace));
        CHECK_OK(clv_digest_file(file_digest, path, NULL));
        CHECK(memcmp(digest, file_digest, sizeof digest) == 0);
        struct clv_file_facts facts;
        CHECK_OK(clv_file_facts(&facts, path));
        CHECK_INT(facts.size_bytes, size);
        REQUIRE_OK(clv_vindex_load(&copy, path, DIM, digest));
        CHECK_STRING(clv_vindex_kind(copy), clv_vindex_kind(index));
        CHECK_INT(clv_vindex_count(copy), COUNT);
        CHECK_INT(clv_vindex_live_count(copy), COUNT - 2);
        CHECK_INT(clv_vindex_trained_count(copy), COUNT);
        CHECK(memcmp(clv_vindex_ids(copy), ids, sizeof ids) == 0);
        static float held[COUNT][DIM];
        CHECK_OK(clv_vindex_reconstruct(copy, held[0], 0, COUNT));
        double limit = clv_vindex_is_flat(copy) ? 0 : 0.02;
        for (int i = 0; i < COUNT && !t_failed(); i++)
            for (int c = 0; c < DIM; c++)
                CHECK_NEAR(held[i][c], vectors[i][c], limit);
        clv_vindex_free(copy);

        CHECK_ERROR(clv_vindex_load(&copy, path, DIM + 1, digest), CLV_ECORRUPT, "49 dimensions");
        digest[5] ^= 1;
        CHECK_ERROR(clv_vindex_load(&copy, path, DIM, digest), CLV_ECORRUPT, path);
        CHECK(copy == NULL);
        CHECK_ERROR(clv_vindex_load(&copy, t_path(path, "x"), DIM, digest), CLV_EIO, "open");
        CHECK_ERROR(clv_vindex_load(&copy, t_path(t_directory(), "x"), DIM, digest), CLV_ENOTFOUND,
                    "open");
        clv_vindex_free(index);
    }
}

/* Files that carry their right digest and are no index: said, not crashed on. */
static void refuses_files_of_other_kinds(void)
{
    struct {
        char magic[8];
        uint32_t dim, reserved;
        int64_t count, trained_count, ids[2];
        char rest[16];
    } file = {"CLVVEC01", DIM, 0, 2, 2, {1, 2}, "\x03Ixxx"};
    const char *path = t_path(t_directory(), "b.faiss");
    static const struct {
        int64_t count, second;
        size_t size_bytes;
        const char *want;
    } cases[] = {
        {2, 2, sizeof file, "cannot be read"}, {2, 2, 48, "cut short"},
        {2, 2, 20, "not a vector index"},      {2, 1, sizeof file, "out of order"},
        {-1, 2, sizeof file, "not a vector"},  {1000, 2, sizeof file, "cannot hold 1000"},
        {INT64_MAX, 2, sizeof file, "not a"},  {0, 2, 32, "cannot be read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t digest[CLV_DIGEST_BYTES];
        struct clv_vindex *index = NULL;
        file.count = cases[i].count;
        file.ids[1] = cases[i].second;
        CHECK_OK(clv_file_replace(path, &file, cases[i].size_bytes));
        CHECK_OK(clv_digest_file(digest, path, NULL));
        CHECK_ERROR(clv_vindex_load(&index, path, DIM, digest), CLV_ECORRUPT, cases[i].want);
        CHECK(index == NULL);
    }
}

int main(void)
{
    make_data();
    T_RUN(flat_is_exact);
    T_RUN(lists_recall);
    T_RUN(refuses_bad_input);
    T_RUN(keeps_itself_in_a_file);
    T_RUN(refuses_files_of_other_kinds);
    return t_end();
}
