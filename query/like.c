/* The query that is itself footage, a window of frames at a time. */
#include "query/like.h"

#include "core/arena.h"
#include "core/error.h"
#include "core/file.h"
#include "core/media/reader.h"
#include "core/media/sampling.h"
#include "core/model/pixels.h"
#include "core/time.h"
#include "query/stills.h"
#include "query/vector.h"

#include <stdlib.h>
#include <string.h>

/* ---- FILE@TIME-TIME -------------------------------------------------------------------------- */

/* TIME or TIME-TIME in `text`; false where it is neither. */
static bool parse_range(struct clv_like *like, const char *text)
{
    const char *dash = strchr(text, '-');
    like->has_start = like->has_end = false;
    char *first = dash ? strndup(text, (size_t)(dash - text)) : strdup(text);
    bool ok = first && clv_time_parse(&like->start_ms, first) == CLV_OK;
    free(first);
    if (!ok)
        return false;
    like->has_start = true;
    if (!dash)
        return true;
    like->has_end = clv_time_parse(&like->end_ms, dash + 1) == CLV_OK;
    return like->has_end;
}

/* No file of any reading exists: the message names the most likely one. */
static int not_found(struct clv_like *like, const char *spec)
{
    const char *at = strrchr(spec, '@');
    struct clv_like range = {0};
    int shown =
        at && at != spec && parse_range(&range, at + 1) ? (int)(at - spec) : (int)strlen(spec);
    clv_like_release(like);
    return clv_fail(CLV_ENOTFOUND, "there is no file '%.*s' to search by", shown, spec);
}

int clv_like_parse_with(struct clv_like *out, const char *spec, clv_like_exists *exists,
                        void *payload)
{
    *out = (struct clv_like){0};
    if (spec[0] == '\0')
        return clv_fail(CLV_EINVAL, "the name of the file to search by is empty");
    out->path = strdup(spec);
    if (!out->path)
        return clv_fail_memory("a path");
    if (exists(out->path, payload))
        return CLV_OK;
    for (char *at = strrchr(out->path, '@'); at; at = strrchr(out->path, '@')) {
        *at = '\0';
        if (at == out->path || !exists(out->path, payload))
            continue;
        const char *rest = spec + (at - out->path) + 1;
        if (!parse_range(out, rest))
            return clv_fail(CLV_EINVAL,
                            "'%s' after '%s@' is neither a time nor a range like 1:23-1:27.5", rest,
                            out->path);
        if (out->has_end && out->end_ms <= out->start_ms)
            return clv_fail(CLV_EINVAL, "the range '%s' in '%s' ends before it begins", rest,
                            out->path);
        return CLV_OK;
    }
    return not_found(out, spec);
}

/* Folders do not count: "/clips/@home/a.mp4" does not mean "/clips/" at a time. */
static bool file_exists(const char *path, void *payload)
{
    struct clv_file_facts facts;
    (void)payload;
    return clv_file_facts(&facts, path) == CLV_OK && !facts.is_directory;
}

int clv_like_parse(struct clv_like *out, const char *spec)
{
    int status = clv_like_parse_with(out, spec, file_exists, NULL);
    struct clv_file_facts facts;
    if (status == CLV_ENOTFOUND && clv_file_exists(spec) &&
        clv_file_facts(&facts, spec) == CLV_OK && facts.is_directory)
        status = clv_fail(CLV_EINVAL, "'%s' is a folder, not a clip or picture", spec);
    return status;
}

void clv_like_release(struct clv_like *like)
{
    free(like->path);
    *like = (struct clv_like){0};
}

/* ---- its vector ------------------------------------------------------------------------------ */

int clv_like_windows(struct clv_like_window out[CLV_LIKE_WINDOW_MAX], int64_t start_ms,
                     int64_t end_ms)
{
    int64_t length_ms = end_ms - start_ms;
    int64_t count = (length_ms + CLV_LIKE_WINDOW_MS / 2) / CLV_LIKE_WINDOW_MS;
    count = count < 1 ? 1 : count > CLV_LIKE_WINDOW_MAX ? CLV_LIKE_WINDOW_MAX : count;
    for (int64_t i = 0; i < count; i++) {
        /* Equal parts; where they are much longer than a window, its place is their middle. */
        int64_t part_ms = length_ms / count;
        int64_t from_ms = start_ms + (length_ms % count) * i / count + part_ms * i;
        int64_t window_ms = part_ms;
        if (part_ms > CLV_LIKE_WINDOW_MS * 3 / 2) {
            window_ms = CLV_LIKE_WINDOW_MS;
            from_ms += (part_ms - window_ms) / 2;
        }
        out[i] = (struct clv_like_window){from_ms, window_ms};
    }
    return (int)count;
}

/* What one run needs; all memory is set aside before the first frame. */
struct work {
    struct clv_encoder *encoder;
    const struct clv_model_config *config;
    struct clv_stills stills;
    size_t square_bytes;
    uint8_t *squares;        /* [T, R*R*3] */
    const uint8_t **pointer; /* [T] into squares */
    int32_t *slots;          /* [T] */
    int32_t *numbers;        /* [T] 0, 1, 2 … */
    float *vector;           /* [E] */
};

static int work_init(struct work *work, struct clv_encoder *encoder)
{
    *work = (struct work){.encoder = encoder, .config = clv_encoder_config(encoder)};
    size_t frames = (size_t)work->config->frame_count;
    size_t side = (size_t)work->config->image_side, squares_bytes;
    work->square_bytes = 3 * side * side;
    if (!clv_size_multiply(&squares_bytes, frames, work->square_bytes))
        return clv_fail_memory("the frames of a window");
    work->squares = malloc(squares_bytes);
    work->pointer = calloc(frames, sizeof *work->pointer);
    work->slots = calloc(frames, sizeof *work->slots);
    work->numbers = calloc(frames, sizeof *work->numbers);
    work->vector = calloc((size_t)work->config->embed_dim, sizeof *work->vector);
    if (!work->squares || !work->pointer || !work->slots || !work->numbers || !work->vector)
        return clv_fail_memory("the frames of a window");
    for (size_t i = 0; i < frames; i++) {
        work->pointer[i] = work->squares + i * work->square_bytes;
        work->numbers[i] = (int32_t)i;
    }
    return CLV_OK;
}

static void work_release(struct work *work)
{
    clv_stills_close(&work->stills);
    free(work->squares);
    free(work->pointer);
    free(work->slots);
    free(work->numbers);
    free(work->vector);
}

/* Encodes the window whose `distinct` different frames are in `squares`, slots saying which of them
 * each of the T places shows, and adds its unit vector to `sum`. */
static int add_window(struct work *work, float *sum, int distinct, const char *path)
{
    int status = clv_encoder_squares(work->encoder, work->numbers, work->pointer, distinct);
    struct clv_window_outputs outputs = {.vectors = work->vector};
    if (status == CLV_OK)
        status = clv_encoder_windows(work->encoder, &outputs, work->slots, 1);
    if (status == CLV_OK)
        status = clv_vector_unit(work->vector, work->config->embed_dim, path);
    if (status == CLV_OK)
        clv_vector_add(sum, work->vector, 1.0F, work->config->embed_dim);
    return status;
}

static int picture_vector(struct work *work, float *sum, const struct clv_like *like)
{
    if (like->has_start)
        return clv_fail(CLV_EINVAL, "'%s' is a picture: it has no times", like->path);
    struct clv_image image;
    int status = clv_image_load(&image, like->path);
    if (status != CLV_OK)
        return status;
    status = clv_pixels_square(work->squares, &image, work->config);
    clv_image_release(&image);
    return status == CLV_OK ? add_window(work, sum, 1, like->path) : status;
}

/* One window's frames into squares and slots; *distinct_out 0 where the file has ended before. */
static int read_window(struct work *work, int *distinct_out, const struct clv_like_window *window)
{
    struct clv_stills *stills = &work->stills;
    int frames = work->config->frame_count, distinct = 0;
    int64_t start_ticks = clv_stills_ticks(stills, window->start_ms);
    int64_t end_ticks = clv_stills_ticks(stills, window->start_ms + window->length_ms);
    int64_t shown_ticks = 0;
    *distinct_out = 0;
    for (int i = 0; i < frames; i++) {
        const struct clv_image *image;
        int status = clv_stills_to(stills, clv_sampling_instant(start_ticks, end_ticks, frames, i));
        if (status != CLV_OK)
            return status;
        if (!stills->has_frame || (stills->at_end && stills->frame.end_ticks <= start_ticks))
            return CLV_OK;
        if (i == 0 || stills->frame.time_ticks != shown_ticks) {
            status = clv_stills_image(stills, &image);
            if (status == CLV_OK)
                status = clv_pixels_square(work->squares + (size_t)distinct * work->square_bytes,
                                           image, work->config);
            if (status != CLV_OK)
                return status;
            shown_ticks = stills->frame.time_ticks;
            distinct++;
        }
        work->slots[i] = distinct - 1;
    }
    *distinct_out = distinct;
    return CLV_OK;
}

/* Adds the windows of [start, end); *encoded_out: how many of them the file had frames for. */
static int add_windows(struct work *work, float *sum, int *encoded_out, int64_t start_ms,
                       int64_t end_ms, const char *path, struct clv_cancel *cancel)
{
    struct clv_like_window windows[CLV_LIKE_WINDOW_MAX];
    int count = clv_like_windows(windows, start_ms, end_ms);
    int status = CLV_OK;
    *encoded_out = 0;
    for (int i = 0; i < count && status == CLV_OK && !work->stills.at_end; i++) {
        int distinct = 0;
        if (clv_cancelled(cancel))
            return clv_fail(CLV_ECANCELED, "interrupted");
        status = read_window(work, &distinct, &windows[i]);
        if (status == CLV_OK && distinct > 0) {
            status = add_window(work, sum, distinct, path);
            *encoded_out += 1;
        }
    }
    return status;
}

static int64_t stated_end_ms(const struct work *work)
{
    const struct clv_media_info *info = clv_reader_info(work->stills.reader);
    return clv_stills_ms(&work->stills, info->start_ticks + info->duration_ticks);
}

/* Part of a file. The length a container states only bounds the last window: it may be wrong. */
static int range_vector(struct work *work, float *sum, const struct clv_like *like,
                        struct clv_cancel *cancel)
{
    int64_t stated_ms = stated_end_ms(work);
    int64_t end_ms = like->has_end ? like->end_ms : like->start_ms + CLV_LIKE_WINDOW_MS;
    if (stated_ms > like->start_ms && stated_ms < end_ms)
        end_ms = stated_ms;
    int encoded;
    int status = add_windows(work, sum, &encoded, like->start_ms, end_ms, like->path, cancel);
    if (status != CLV_OK || encoded > 0)
        return status;
    char wanted[CLV_TIME_TEXT_SIZE], end[CLV_TIME_TEXT_SIZE];
    if (!work->stills.has_frame)
        return clv_fail(CLV_EINVAL, "'%s' has nothing at %s", like->path,
                        clv_time_format(wanted, like->start_ms));
    int64_t last_ms = clv_stills_ms(&work->stills, work->stills.frame.end_ticks);
    return clv_fail(CLV_EINVAL, "'%s' has nothing at %s: it ends at %s", like->path,
                    clv_time_format(wanted, like->start_ms), clv_time_format(end, last_ms));
}

/* All of a file; where it does not say how long it is, or what it says leads to no frame, it is
 * measured. */
static int file_vector(struct work *work, float *sum, const char *path, struct clv_cancel *cancel)
{
    int64_t end_ms = stated_end_ms(work);
    int encoded = 0;
    int status = CLV_OK;
    if (end_ms > 0)
        status = add_windows(work, sum, &encoded, 0, end_ms, path, cancel);
    if (status != CLV_OK || encoded > 0)
        return status;
    status = clv_stills_to_end(&work->stills);
    if (status == CLV_OK && work->stills.has_frame)
        end_ms = clv_stills_ms(&work->stills, work->stills.frame.end_ticks);
    clv_stills_close(&work->stills);
    if (status == CLV_OK)
        status = clv_stills_open(&work->stills, path, cancel);
    if (status == CLV_OK)
        status = add_windows(work, sum, &encoded, 0, end_ms > 0 ? end_ms : 1, path, cancel);
    if (status == CLV_OK && encoded == 0)
        status = clv_fail(CLV_EINVAL, "'%s' holds no frame that could be used", path);
    return status;
}

static int clip_vector(struct work *work, float *sum, const struct clv_like *like,
                       struct clv_cancel *cancel)
{
    int status = clv_stills_open(&work->stills, like->path, cancel);
    if (status != CLV_OK)
        return status;
    return like->has_start ? range_vector(work, sum, like, cancel)
                           : file_vector(work, sum, like->path, cancel);
}

int clv_like_vector(float *vector_out, struct clv_encoder *encoder, const struct clv_like *like,
                    struct clv_cancel *cancel)
{
    struct work work;
    int status = work_init(&work, encoder);
    memset(vector_out, 0, (size_t)work.config->embed_dim * sizeof(float));
    if (status == CLV_OK)
        status = clv_media_is_image_name(like->path) ? picture_vector(&work, vector_out, like)
                                                     : clip_vector(&work, vector_out, like, cancel);
    if (status == CLV_OK)
        status = clv_vector_unit(vector_out, work.config->embed_dim, like->path);
    work_release(&work);
    return status;
}
