/* The learning rate over a training run (claver.md 2.4). */
#ifndef CLV_CORE_MODEL_SCHEDULE_H
#define CLV_CORE_MODEL_SCHEDULE_H

#include <stdint.h>

struct clv_schedule {
    double lr;      /* at the top */
    double lr_min;  /* at the end */
    int64_t warmup; /* in the unit of `total`; linear from 0 */
    int64_t total;
};

/* The rate at `position` (0 is the first): linear from 0 through the warm-up, and on the half
 * cosine over the whole run afterwards, which the warm-up does not shift. lr_min from `total` on.
 */
double clv_schedule_rate(const struct clv_schedule *schedule, int64_t position);

#endif
