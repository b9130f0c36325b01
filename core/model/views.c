#include "core/model/views.h"

#include "core/arena.h"
#include "core/error.h"
#include "core/model/crew.h"
#include "core/model/random.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_SIZE 768
#define GROUP_PER_READER 4 /* so that none waits long for the slowest */

struct clv_views {
    const struct clv_clips *clips;
    struct clv_views_options options;
    int frame_count;
    size_t crop_size, view_size; /* bytes of one square of all frames, and of all of them */
    struct clv_crew *crew;
    /* The group: views first … first + count - 1 of all clips together. */
    int64_t first, total;
    int capacity, count, given;
    uint8_t *squares; /* [capacity, view_size] */
    int *statuses;    /* [capacity] */
    char (*messages)[MESSAGE_SIZE];
};

static int create_group(struct clv_views *views)
{
    const size_t capacity = (size_t)views->capacity;
    size_t bytes;
    if (!clv_size_multiply(&bytes, capacity, views->view_size))
        return clv_fail_memory("a validation");
    views->squares = malloc(bytes);
    views->statuses = calloc(capacity, sizeof *views->statuses);
    views->messages = calloc(capacity, sizeof *views->messages);
    return views->squares && views->statuses && views->messages ? CLV_OK
                                                                : clv_fail_memory("a validation");
}

int clv_views_create(struct clv_views **out, const struct clv_clips *clips,
                     const struct clv_model_config *config, const struct clv_views_options *options)
{
    *out = NULL;
    struct clv_views *views = calloc(1, sizeof *views);
    if (!views)
        return clv_fail_memory("a validation");
    const struct clv_augment_options plain = {0};
    const size_t side = (size_t)config->image_side;
    const int readers = clv_clips_reader_count(clips);
    views->clips = clips;
    views->options = *options;
    views->frame_count = config->frame_count;
    views->crop_size = (size_t)config->frame_count * 3 * side * side;
    views->view_size = (size_t)options->crop_count * views->crop_size;
    views->total = (int64_t)clips->clip_count * options->view_count;
    views->capacity = readers > 1 ? GROUP_PER_READER * readers : 1;
    int status = clv_crew_create(&views->crew, readers, config, &plain);
    if (status == CLV_OK)
        status = create_group(views);
    if (status == CLV_OK)
        *out = views;
    else
        clv_views_free(views);
    return status;
}

void clv_views_free(struct clv_views *views)
{
    if (!views)
        return;
    clv_crew_free(views->crew);
    free(views->squares);
    free(views->statuses);
    free(views->messages);
    free(views);
}

static int read_view(struct clv_views *views, int place, int reader,
                     const struct clv_crew_member *member)
{
    const struct clv_views_options *options = &views->options;
    const int64_t number = views->first + place;
    const int clip = (int)(number / options->view_count);
    struct clv_random random = clv_random_stream(
        options->seed, CLV_RANDOM_FRAMES, (uint64_t)(number % options->view_count), (uint64_t)clip);
    const struct clv_clip_request request = {.clip = clip,
                                             .frame_count = views->frame_count,
                                             .is_training = options->view_count > 1,
                                             .seed = clv_random_bits(&random),
                                             .reader = reader};
    uint8_t *squares = views->squares + (size_t)place * views->view_size;
    if (clv_cancelled(options->cancel))
        return clv_fail(CLV_ECANCELED, "the validation was canceled");
    int status = views->clips->read(views->clips->payload, member->images, &request);
    for (int crop = 0; crop < options->crop_count && status == CLV_OK; crop++)
        status = clv_augment_view(member->augment, squares + (size_t)crop * views->crop_size,
                                  member->images, views->frame_count, crop, options->crop_count);
    return status;
}

static int try_view(void *payload, int place, int reader, const struct clv_crew_member *member)
{
    struct clv_views *views = payload;
    views->statuses[place] = read_view(views, place, reader, member);
    if (views->statuses[place] != CLV_OK)
        snprintf(views->messages[place], MESSAGE_SIZE, "%s", clv_error_message());
    return CLV_OK;
}

int clv_views_next(struct clv_views *views, const uint8_t **squares_out)
{
    if (views->given == views->count) {
        const int64_t left = views->total - views->first - views->count;
        views->first += views->count;
        views->count = left < views->capacity ? (int)left : views->capacity;
        views->given = 0;
        (void)clv_crew_run(views->crew, views->count, try_view, views);
    }
    const int place = views->given++;
    *squares_out = views->squares + (size_t)place * views->view_size;
    return views->statuses[place] == CLV_OK
               ? CLV_OK
               : clv_fail(views->statuses[place], "%s", views->messages[place]);
}
