#include "core/model/views.h"

#include "core/ahead.h"
#include "core/arena.h"
#include "core/error.h"
#include "core/model/crew.h"
#include "core/model/random.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_SIZE 768
#define GROUP_PER_READER 4 /* so that none waits long for the slowest */

/* Views that are read together. */
struct group {
    int64_t first; /* of all clips' views, one clip's after the other's */
    int count;
    uint8_t *squares; /* [capacity, view_size] */
    int *statuses;    /* [capacity] */
    char (*messages)[MESSAGE_SIZE];
};

enum { GROUPS = 2 }; /* one is given while the other is read */

struct clv_views {
    const struct clv_clips *clips;
    struct clv_views_options options;
    int frame_count;
    size_t crop_size, view_size; /* bytes of one square of all frames, and of all of them */
    struct clv_crew *crew;
    int64_t total; /* views */
    int capacity;  /* of a group */
    struct group groups[GROUPS];
    struct clv_ahead *ahead;
    struct group *reading; /* the thread's */
    struct group *giving;  /* NULL: none yet */
    int given;             /* of it */
};

/* ---- reading, on threads of its own ---------------------------------------------------------- */

static int read_view(struct clv_views *views, int place, int reader,
                     const struct clv_crew_member *member)
{
    const struct clv_views_options *options = &views->options;
    const int64_t number = views->reading->first + place;
    const int clip = (int)(number / options->view_count);
    struct clv_random random = clv_random_stream(
        options->seed, CLV_RANDOM_FRAMES, (uint64_t)(number % options->view_count), (uint64_t)clip);
    const struct clv_clip_request request = {.clip = clip,
                                             .frame_count = views->frame_count,
                                             .is_training = options->view_count > 1,
                                             .seed = clv_random_bits(&random),
                                             .reader = reader};
    uint8_t *squares = views->reading->squares + (size_t)place * views->view_size;
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
    struct group *group = views->reading;
    group->statuses[place] = read_view(views, place, reader, member);
    if (group->statuses[place] != CLV_OK)
        snprintf(group->messages[place], MESSAGE_SIZE, "%s", clv_error_message());
    return CLV_OK;
}

static bool read_group(void *payload, void *slot, int64_t number)
{
    struct clv_views *views = payload;
    struct group *group = slot;
    const int64_t left = views->total - number * views->capacity;
    group->first = number * views->capacity;
    group->count = left < views->capacity ? (int)left : views->capacity;
    views->reading = group;
    return clv_crew_run(views->crew, group->count, try_view, views) == CLV_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int create_group(struct group *group, const struct clv_views *views)
{
    const size_t capacity = (size_t)views->capacity;
    size_t bytes;
    if (!clv_size_multiply(&bytes, capacity, views->view_size))
        return clv_fail_memory("a validation");
    group->squares = malloc(bytes);
    group->statuses = calloc(capacity, sizeof *group->statuses);
    group->messages = calloc(capacity, sizeof *group->messages);
    return group->squares && group->statuses && group->messages ? CLV_OK
                                                                : clv_fail_memory("a validation");
}

static int start(struct clv_views *views)
{
    const struct clv_ahead_options options = {
        .slots = views->groups,
        .slot_size_bytes = sizeof *views->groups,
        .slot_count = GROUPS,
        .end = (views->total + views->capacity - 1) / views->capacity,
        .fill = read_group,
        .payload = views,
    };
    return clv_ahead_start(&views->ahead, &options);
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
    for (int i = 0; i < GROUPS && status == CLV_OK; i++)
        status = create_group(&views->groups[i], views);
    if (status == CLV_OK)
        status = start(views);
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
    clv_ahead_stop(views->ahead);
    clv_crew_free(views->crew);
    for (int i = 0; i < GROUPS; i++) {
        free(views->groups[i].squares);
        free(views->groups[i].statuses);
        free(views->groups[i].messages);
    }
    free(views);
}

int clv_views_next(struct clv_views *views, const uint8_t **squares_out)
{
    if (!views->giving || views->given == views->giving->count) {
        if (views->giving)
            clv_ahead_give_back(views->ahead, views->giving);
        views->giving = clv_ahead_next(views->ahead);
        views->given = 0;
    }
    const struct group *group = views->giving;
    const int place = views->given++;
    *squares_out = group->squares + (size_t)place * views->view_size;
    return group->statuses[place] == CLV_OK
               ? CLV_OK
               : clv_fail(group->statuses[place], "%s", group->messages[place]);
}
