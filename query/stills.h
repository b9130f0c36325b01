/* Single pictures out of a clip: what is on display at given instants. */
#ifndef CLV_QUERY_STILLS_H
#define CLV_QUERY_STILLS_H

#include "core/cancel.h"
#include "core/media/reader.h"

#include <stdbool.h>
#include <stdint.h>

/* Caller-owned; the fields may be read. */
struct clv_stills {
    struct clv_reader *reader;
    struct clv_frame frame; /* the one on display */
    bool has_frame;
    bool at_end;  /* `frame` is the last there is */
    bool is_lost; /* … and its picture has to be fetched again */
};

/* The reader's errors. Pair with clv_stills_close(), also after a failure. */
int clv_stills_open(struct clv_stills *stills, const char *path, struct clv_cancel *cancel);
void clv_stills_close(struct clv_stills *stills);

/* Milliseconds from what a player shows as 0:00 to the stream's ticks and back. */
int64_t clv_stills_ticks(const struct clv_stills *stills, int64_t time_ms);
int64_t clv_stills_ms(const struct clv_stills *stills, int64_t ticks);

/* Makes the frame on display at `ticks` the current one: the first frame for earlier instants, the
 * last for later ones (then `at_end`). Reads on, or seeks where that is far or backwards. */
int clv_stills_to(struct clv_stills *stills, int64_t ticks);
/* Reads to the end of the file; the last frame is then the current one. */
int clv_stills_to_end(struct clv_stills *stills);

/* The current frame's picture; borrowed until the next call. CLV_EINVAL where there is none. */
int clv_stills_image(struct clv_stills *stills, const struct clv_image **image_out);

#endif
