/* What both ways of cutting share: checks, and the way of failing. */
#include "core/media/cut.h"

#include "core/error.h"
#include "core/media/piece.h"

#include <sys/stat.h>

int clv_piece_fail_empty(const struct clv_piece *piece)
{
    char start[CLV_TIME_TEXT_SIZE], end[CLV_TIME_TEXT_SIZE];
    return clv_fail(CLV_EINVAL, "'%s' has no frame from %s to %s", piece->source,
                    clv_time_format(start, piece->start_ms), clv_time_format(end, piece->end_ms));
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

int clv_media_cut(struct clv_cut_result *result_out, const char *target, const char *source,
                  int64_t start_ms, int64_t end_ms, const struct clv_cut_options *options)
{
    const struct clv_piece piece = {source, target, start_ms, end_ms, *options};
    *result_out = (struct clv_cut_result){0};
    if (end_ms <= start_ms)
        return clv_piece_fail_empty(&piece);
    if (options->quality < 0 || options->quality > 51)
        return clv_fail(CLV_EINVAL, "quality %d is not from 0 to 51", options->quality);
    if (is_same_file(target, source))
        return clv_fail(CLV_EINVAL, "'%s' would be replaced by a piece of itself", source);
    return options->copy ? clv_piece_copy(result_out, &piece)
                         : clv_piece_recode(result_out, &piece);
}
