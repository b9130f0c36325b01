/* Private to the CUDA backend: which keys a query sees, and what that means for tiles of queries
 * and keys. Plain C, so that tests on any machine can hold it against the masks written out.
 *
 * Rows are counted from the start of their sequence. A query in row r sees itself, the keys before
 * `below` and the keys from `above` on: that is every mask there is. */
#ifndef CLV_CORE_COMPUTE_CUDA_TILES_H
#define CLV_CORE_COMPUTE_CUDA_TILES_H

#include "core/compute/ops.h"

#include <limits.h>
#include <stdbool.h>

#ifdef __CUDACC__
#define CLV_TILE_HD __host__ __device__ __forceinline__
#else
#define CLV_TILE_HD inline
#endif

struct clv_sight {
    int row, below, above;
};

/* What the query in `row` sees of a sequence of key_count rows; `token_count` as in struct
 * clv_attention. */
CLV_TILE_HD static struct clv_sight clv_sight_of(enum clv_mask mask, int token_count, int key_count,
                                                 int row)
{
    struct clv_sight sight = {row, key_count, key_count};
    if (mask == CLV_MASK_CAUSAL)
        sight.below = row + 1;
    if (mask == CLV_MASK_KMT || mask == CLV_MASK_KMCT)
        sight.below = row - row % token_count;
    if (mask == CLV_MASK_KMT)
        sight.above = sight.below + token_count;
    return sight;
}

/* Of a query that is not there. */
CLV_TILE_HD static struct clv_sight clv_sight_none(void)
{
    struct clv_sight sight = {-1, 0, INT_MAX};
    return sight;
}

/* `key` lies in the sequence, or past its end: no query sees that. */
CLV_TILE_HD static bool clv_sees(struct clv_sight sight, int key, int key_count)
{
    return key < sight.below || key == sight.row || (key >= sight.above && key < key_count);
}

enum clv_tile_view {
    CLV_TILE_HIDDEN, /* no query of the tile sees a key of it: to be skipped */
    CLV_TILE_MIXED,
    CLV_TILE_WHOLE, /* every query sees every key: no need to look at each */
};

/* How queries in rows first..last (ascending, not necessarily all of them) see the keys
 * key_first..key_end - 1 of their sequence. MIXED wherever it is neither of the others for sure. */
CLV_TILE_HD static enum clv_tile_view clv_tile_view_of(enum clv_mask mask, int token_count,
                                                       int first, int last, int key_first,
                                                       int key_end)
{
    const int key_last = key_end - 1;
    if (mask == CLV_MASK_NONE)
        return CLV_TILE_WHOLE;
    if (mask == CLV_MASK_CAUSAL)
        return key_last <= first  ? CLV_TILE_WHOLE
               : key_first > last ? CLV_TILE_HIDDEN
                                  : CLV_TILE_MIXED;
    const int frame_first = first / token_count, frame_last = last / token_count;
    const int key_frame_first = key_first / token_count, key_frame_last = key_last / token_count;
    if (key_frame_last < frame_first || (mask == CLV_MASK_KMT && key_frame_first > frame_last))
        return CLV_TILE_WHOLE;
    const bool has_self = key_first <= last && key_last >= first;
    const bool all_own = mask == CLV_MASK_KMT
                             ? frame_first == frame_last && key_frame_first == frame_first &&
                                   key_frame_last == frame_first
                             : key_frame_first >= frame_last;
    return all_own && !has_self ? CLV_TILE_HIDDEN : CLV_TILE_MIXED;
}

#endif
