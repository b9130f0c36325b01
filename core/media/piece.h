/* Private: the two ways to cut a piece out of a file. */
#ifndef CLV_CORE_MEDIA_PIECE_H
#define CLV_CORE_MEDIA_PIECE_H

#include "core/media/cut.h"

struct clv_piece {
    const char *source, *target;
    int64_t start_ms, end_ms;
    struct clv_cut_options options;
};

/* core/media/recode.c: decodes and encodes again, exact to the frame. */
int clv_piece_recode(struct clv_cut_result *result, const struct clv_piece *piece);
/* core/media/copy.c: copies packets, from a keyframe on. */
int clv_piece_copy(struct clv_cut_result *result, const struct clv_piece *piece);

/* Records that the range holds no frame. */
int clv_piece_fail_empty(const struct clv_piece *piece);

#endif
