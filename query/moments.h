/* Merging ranked hits into moments: pure, no store, no model. */
#ifndef CLV_QUERY_MOMENTS_H
#define CLV_QUERY_MOMENTS_H

#include <stdint.h>

/* A scored piece of one video, times in milliseconds. */
struct clv_moment_hit {
    int64_t video_id;
    int64_t start_ms;
    int64_t end_ms;
    float score;
};

struct clv_moment_span {
    int64_t video_id;
    int64_t start_ms, end_ms;
    int64_t peak_start_ms, peak_end_ms; /* the best hit */
    float score;
    int hit_count;
};

#endif
