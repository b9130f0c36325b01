/* The CUDA kernels' idea of the masks, against the masks written out. Needs no CUDA. */
#include "core/compute/cuda_tiles.h"
#include "tests/t.h"

#include <stdint.h>
#include <stdlib.h>

static const char *const names[4] = {"none", "causal", "kmt", "kmct"};

/* A 0 of claver.md's matrices. */
static bool is_seen(enum clv_mask mask, int tokens, int query, int key)
{
    if (mask == CLV_MASK_NONE || query == key)
        return true;
    if (mask == CLV_MASK_CAUSAL)
        return key < query;
    return mask == CLV_MASK_KMT ? query / tokens != key / tokens : key / tokens < query / tokens;
}

static void check_sight(enum clv_mask mask, int tokens, int count)
{
    int wrong = 0;
    for (int query = 0; query < count; query++) {
        struct clv_sight sight = clv_sight_of(mask, tokens, count, query);
        for (int key = 0; key < count + 70; key++)
            wrong +=
                clv_sees(sight, key, count) != (key < count && is_seen(mask, tokens, query, key));
    }
    for (int key = 0; key < count + 70; key++)
        wrong += clv_sees(clv_sight_none(), key, count);
    CHECK_INT(wrong, 0);
}

/* Every tile of `queries` x `keys`: never called whole or hidden where it is not, and with all rows
 * as queries always called so where it is (but for a row alone with itself). */
static void check_views(enum clv_mask mask, int tokens, int count, int queries, int keys)
{
    int false_view = 0, missed = 0;
    for (int first = 0; first < count; first += queries)
        for (int key_first = 0; key_first < count; key_first += keys) {
            int end = first + queries < count ? first + queries : count;
            int key_end = key_first + keys < count ? key_first + keys : count, seen = 0;
            for (int query = first; query < end; query++)
                for (int key = key_first; key < key_end; key++)
                    seen += is_seen(mask, tokens, query, key);
            enum clv_tile_view view =
                clv_tile_view_of(mask, tokens, first, end - 1, key_first, key_end);
            int all = (end - first) * (key_end - key_first);
            false_view += view == CLV_TILE_HIDDEN  ? seen != 0
                          : view == CLV_TILE_WHOLE ? seen != all
                                                   : 0;
            missed += view == CLV_TILE_MIXED && seen == 0;
            missed += view == CLV_TILE_MIXED && seen == all && all > 1 && tokens > 1;
        }
    CHECK_INT(false_view, 0);
    CHECK_INT(missed, 0);
}

/* Some rows only: what is called whole or hidden is so for those rows. */
static void check_subsets(enum clv_mask mask, int tokens, int count)
{
    uint64_t seed = 11;
    int wrong = 0;
    for (int try = 0; try < 300; try++) {
        int rows[64], row_count = 0, step = 1 + (int)(t_random(&seed) >> 33) % 60;
        for (int row = (int)(t_random(&seed) >> 33) % count; row < count && row_count < 64;
             row += 1 + (int)(t_random(&seed) >> 33) % step)
            rows[row_count++] = row;
        int key_first = (int)(t_random(&seed) >> 33) % count;
        int key_end = key_first + 1 + (int)(t_random(&seed) >> 33) % (count - key_first), seen = 0;
        for (int i = 0; i < row_count; i++)
            for (int key = key_first; key < key_end; key++)
                seen += is_seen(mask, tokens, rows[i], key);
        enum clv_tile_view view =
            clv_tile_view_of(mask, tokens, rows[0], rows[row_count - 1], key_first, key_end);
        wrong += view == CLV_TILE_HIDDEN  ? seen != 0
                 : view == CLV_TILE_WHOLE ? seen != row_count * (key_end - key_first)
                                          : 0;
    }
    CHECK_INT(wrong, 0);
}

int main(void)
{
    static const struct {
        int tokens, frames;
    } shapes[] = {{50, 8}, {197, 3}, {257, 2}, {64, 4}, {1, 31}, {5, 7}, {17, 5}, {33, 1}};
    for (int mask = CLV_MASK_NONE; mask <= CLV_MASK_KMCT; mask++) {
        t_begin(names[mask]);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            int tokens = shapes[i].tokens, count = tokens * shapes[i].frames;
            check_sight((enum clv_mask)mask, tokens, count);
            check_subsets((enum clv_mask)mask, tokens, count);
            static const int sides[][2] = {{64, 64}, {128, 64}, {16, 64}, {64, 32}, {1, 1}};
            for (size_t j = 0; j < sizeof sides / sizeof *sides; j++)
                check_views((enum clv_mask)mask, tokens, count, sides[j][0], sides[j][1]);
        }
        t_finish();
    }
    return t_end();
}
