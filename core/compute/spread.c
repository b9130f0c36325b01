/* Copies by several threads. */
#include "core/compute/spread.h"

#include <omp.h>
#include <stdbool.h>
#include <string.h>

#define PIECE_BYTES ((size_t)256 << 10)
#define SPREAD_BYTES ((size_t)1 << 20) /* less is done before threads have begun */
#define SHARE 4                        /* of all threads, one in so many */
#define THREADS_MAX 4

int clv_spread_threads(int thread_count)
{
    const int share = (thread_count > 0 ? thread_count : omp_get_max_threads()) / SHARE;
    return share < 1 ? 1 : share > THREADS_MAX ? THREADS_MAX : share;
}

void clv_spread_copy(void *to, const void *from, size_t size_bytes, int thread_count)
{
    if (size_bytes < SPREAD_BYTES || thread_count < 2) {
        memcpy(to, from, size_bytes);
        return;
    }
    const ptrdiff_t pieces = (ptrdiff_t)((size_bytes + PIECE_BYTES - 1) / PIECE_BYTES);
#pragma omp parallel for num_threads(thread_count) schedule(dynamic)
    for (ptrdiff_t i = 0; i < pieces; i++) {
        const size_t at = (size_t)i * PIECE_BYTES;
        const size_t piece = size_bytes - at < PIECE_BYTES ? size_bytes - at : PIECE_BYTES;
        memcpy((unsigned char *)to + at, (const unsigned char *)from + at, piece);
    }
}

void clv_spread_parts(void *to, const void *const *parts, int count, size_t part_bytes,
                      int thread_count)
{
    const bool is_spread = thread_count > 1 && (size_t)count * part_bytes >= SPREAD_BYTES;
#pragma omp parallel for num_threads(thread_count) schedule(dynamic) if (is_spread)
    for (int i = 0; i < count; i++)
        memcpy((unsigned char *)to + (size_t)i * part_bytes, parts[i], part_bytes);
}
