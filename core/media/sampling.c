#include "core/media/sampling.h"

#include <assert.h>

int64_t clv_sampling_instant(int64_t start_ticks, int64_t end_ticks, int count, int index)
{
    __extension__ typedef __int128 wide;
    assert(index >= 0 && index < count && start_ticks <= end_ticks);
    wide length = (wide)end_ticks - start_ticks;
    return (int64_t)(start_ticks + length * (2 * (int64_t)index + 1) / (2 * (int64_t)count));
}
