#include "core/model/schedule.h"

#include <math.h>

double clv_schedule_rate(const struct clv_schedule *schedule, int64_t position)
{
    if (position < schedule->warmup)
        return schedule->lr * (double)position / (double)schedule->warmup;
    if (position >= schedule->total)
        return schedule->lr_min;
    const double angle = M_PI * (double)position / (double)schedule->total;
    return schedule->lr_min + 0.5 * (schedule->lr - schedule->lr_min) * (1 + cos(angle));
}
