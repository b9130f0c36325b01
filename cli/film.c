#include "cli/film.h"

#include "cli/stage/stage.h"
#include "core/error.h"
#include "core/image.h"
#include "core/media/writer.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 240 };

/* Neighbours are each other's reversal where there is one. */
static const struct {
    const char *action; /* of the stage */
    const char *sentence;
} films[] = {
    {"sit down", "a person sits down"},
    {"stand up", "a person stands up"},
    {"open a door", "someone opens a door"},
    {"close a door", "someone closes a door"},
    {"pick up", "somebody picks something up"},
    {"put down", "somebody puts something down"},
    {"come closer", "a person comes closer"},
    {"walk away", "a person walks away"},
    {"climb up a ladder", "someone climbs up a ladder"},
    {"climb down a ladder", "someone climbs down a ladder"},
    {"juggle", "a person juggles three balls"},
    {"do jumping jacks", "somebody does jumping jacks"},
};

int clv_film_count(void)
{
    return (int)(sizeof films / sizeof films[0]);
}

const char *clv_film_sentence(int action)
{
    return films[action].sentence;
}

char *clv_film_name(char out[CLV_FILM_NAME_SIZE], int action, int take)
{
    snprintf(out, CLV_FILM_NAME_SIZE, "%s-%d.mp4", films[action].action, take + 1);
    for (char *at = out; *at != '\0'; at++)
        if (*at == ' ')
            *at = '-';
    return out;
}

bool clv_film_shows(const char *name, int action)
{
    char own[CLV_FILM_NAME_SIZE];
    for (int take = 0; take < CLV_FILM_TAKES; take++)
        if (strcmp(name, clv_film_name(own, action, take)) == 0)
            return true;
    return false;
}

struct filming {
    struct stage_clip clip;
    struct clv_cancel *cancel;
};

static int draw(void *payload, struct clv_image *image, int index)
{
    const struct filming *filming = payload;
    if (clv_cancelled(filming->cancel))
        return clv_fail(CLV_ECANCELED, "interrupted");
    stage_render_frame(&filming->clip, index, filming->clip.frame_count, image);
    return CLV_OK;
}

int clv_film_make(const char *path, int action, int take, struct clv_cancel *cancel)
{
    struct filming filming = {.cancel = cancel};
    /* People, clothes and places of the test split: no model was trained on them. */
    stage_draw_clip(&filming.clip, (uint64_t)take + 1, STAGE_TEST,
                    stage_action_find(films[action].action));
    const struct clv_writer_options options = {
        .width = WIDTH, .height = HEIGHT, .frame_time = {1, filming.clip.frame_rate}};
    return clv_writer_film(path, &options, filming.clip.frame_count, draw, &filming);
}
