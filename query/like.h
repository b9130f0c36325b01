/* A clip or picture as the query: what FILE@TIME-TIME means, and the vector of what it shows. */
#ifndef CLV_QUERY_LIKE_H
#define CLV_QUERY_LIKE_H

#include "core/cancel.h"
#include "core/model/encoder.h"

#include <stdbool.h>
#include <stdint.h>

/* FILE, FILE@TIME or FILE@TIME-TIME, taken apart. */
struct clv_like {
    char *path;
    bool has_start, has_end;
    int64_t start_ms; /* from what a player shows as 0:00 */
    int64_t end_ms;   /* after start_ms */
};

/* File names may hold '@', so the longest one that exists wins and what follows it must be a time.
 * CLV_ENOTFOUND where no such file exists, CLV_EINVAL where the rest is no time or the range is
 * empty. Release with clv_like_release(), also after a failure. */
int clv_like_parse(struct clv_like *out, const char *spec);
void clv_like_release(struct clv_like *like);

/* The same, asking `exists` instead of the file system. */
typedef bool clv_like_exists(const char *path, void *payload);
int clv_like_parse_with(struct clv_like *out, const char *spec, clv_like_exists *exists,
                        void *payload);

/* The unit vector [E] of what `like` shows, by an encoder with its visual branch. A picture counts
 * as a window of equal frames. A time without an end means the window that starts there. A range
 * (or a whole file) longer than a window is cut into windows, at most CLV_LIKE_WINDOW_MAX evenly
 * spread ones, and their unit vectors are averaged. Frames are those on display at the middles of
 * a window's T equal parts, as in the index. CLV_EINVAL where the time lies behind the end or is
 * given for a picture; the reader's errors; CLV_ECANCELED. */
#define CLV_LIKE_WINDOW_MS 4000
#define CLV_LIKE_WINDOW_MAX 16
int clv_like_vector(float *vector_out, struct clv_encoder *encoder, const struct clv_like *like,
                    struct clv_cancel *cancel);

/* Which windows [start, start + length) a range is cut into; returns how many. Pure. */
struct clv_like_window {
    int64_t start_ms;
    int64_t length_ms;
};
int clv_like_windows(struct clv_like_window out[CLV_LIKE_WINDOW_MAX], int64_t start_ms,
                     int64_t end_ms);

#endif
