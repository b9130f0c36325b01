/* A reader gives the picture of the frame it read last, and that a frame is the last shows only
 * when the next one does not come: the last frame's picture may have to be fetched again. */
#include "query/stills.h"

#include "core/error.h"
#include "core/time.h"

/* Reading on is cheaper than seeking for less than about this much footage. */
#define SEEK_FROM_MS 10000

static const struct clv_timebase milliseconds = {1, 1000};

int clv_stills_open(struct clv_stills *stills, const char *path, struct clv_cancel *cancel)
{
    struct clv_reader_options options = {.cancel = cancel};
    *stills = (struct clv_stills){0};
    return clv_reader_open(&stills->reader, path, &options);
}

void clv_stills_close(struct clv_stills *stills)
{
    clv_reader_close(stills->reader);
    *stills = (struct clv_stills){0};
}

int64_t clv_stills_ticks(const struct clv_stills *stills, int64_t time_ms)
{
    const struct clv_media_info *info = clv_reader_info(stills->reader);
    return info->start_ticks + clv_time_rescale(time_ms, milliseconds, info->timebase);
}

int64_t clv_stills_ms(const struct clv_stills *stills, int64_t ticks)
{
    const struct clv_media_info *info = clv_reader_info(stills->reader);
    return clv_time_rescale(ticks - info->start_ticks, info->timebase, milliseconds);
}

/* One frame on. */
static int step(struct clv_stills *stills)
{
    struct clv_frame next;
    int status = clv_reader_next(stills->reader, &next);
    if (status == CLV_OK) {
        stills->frame = next;
        stills->has_frame = true;
        return CLV_OK;
    }
    if (status != CLV_DONE)
        return status;
    stills->at_end = stills->is_lost = true;
    return CLV_OK;
}

int clv_stills_to(struct clv_stills *stills, int64_t ticks)
{
    const struct clv_media_info *info = clv_reader_info(stills->reader);
    int64_t at_ticks = stills->has_frame ? stills->frame.end_ticks : info->start_ticks;
    bool is_back = stills->has_frame && ticks < stills->frame.time_ticks;
    bool is_far = !stills->at_end && ticks > at_ticks &&
                  clv_time_rescale(ticks - at_ticks, info->timebase, milliseconds) > SEEK_FROM_MS;
    if (is_back || is_far) {
        int status = clv_reader_seek(stills->reader, ticks);
        if (status != CLV_OK)
            return status;
        stills->has_frame = stills->at_end = stills->is_lost = false;
    }
    while (!stills->at_end && !(stills->has_frame && stills->frame.end_ticks > ticks)) {
        int status = step(stills);
        if (status != CLV_OK)
            return status;
    }
    return CLV_OK;
}

int clv_stills_to_end(struct clv_stills *stills)
{
    while (!stills->at_end) {
        int status = step(stills);
        if (status != CLV_OK)
            return status;
    }
    return CLV_OK;
}

/* Reads up to the last frame once more, and not beyond it. */
static int fetch_last(struct clv_stills *stills)
{
    int64_t last_ticks = stills->frame.time_ticks;
    int status = clv_reader_seek(stills->reader, last_ticks);
    while (status == CLV_OK) {
        status = clv_reader_next(stills->reader, &stills->frame);
        if (status == CLV_OK && stills->frame.time_ticks >= last_ticks) {
            stills->is_lost = false;
            return CLV_OK;
        }
    }
    return status == CLV_DONE ? clv_fail(CLV_ECORRUPT, "the last frame cannot be read again")
                              : status;
}

int clv_stills_image(struct clv_stills *stills, const struct clv_image **image_out)
{
    *image_out = NULL;
    if (!stills->has_frame)
        return clv_fail(CLV_EINVAL, "there is no frame to be shown");
    if (stills->is_lost) {
        int status = fetch_last(stills);
        if (status != CLV_OK)
            return status;
    }
    return clv_reader_image(stills->reader, image_out);
}
