#include "core/model/crew.h"

#include "core/error.h"
#include "core/team.h"

#include <stdatomic.h>
#include <stdlib.h>

struct clv_crew {
    struct clv_crew_member *members;
    int member_count;
    struct clv_team *team;
    /* The run at hand. */
    clv_crew_work *work;
    void *payload;
    int place_count;
    atomic_int next; /* that nobody has taken */
};

static int create_members(struct clv_crew *crew, const struct clv_model_config *config,
                          const struct clv_augment_options *augment)
{
    int status = CLV_OK;
    crew->members = calloc((size_t)crew->member_count, sizeof *crew->members);
    if (!crew->members)
        return clv_fail_memory("readers of clips");
    for (int i = 0; i < crew->member_count && status == CLV_OK; i++) {
        struct clv_crew_member *member = &crew->members[i];
        member->images = calloc((size_t)config->frame_count, sizeof *member->images);
        status = member->images ? clv_augment_create(&member->augment, config, augment)
                                : clv_fail_memory("readers of clips");
    }
    return status;
}

int clv_crew_create(struct clv_crew **out, int member_count, const struct clv_model_config *config,
                    const struct clv_augment_options *augment)
{
    *out = NULL;
    struct clv_crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return clv_fail_memory("readers of clips");
    crew->member_count = member_count;
    int status = create_members(crew, config, augment);
    if (status == CLV_OK)
        status = clv_team_create(&crew->team, member_count);
    if (status == CLV_OK)
        *out = crew;
    else
        clv_crew_free(crew);
    return status;
}

void clv_crew_free(struct clv_crew *crew)
{
    if (!crew)
        return;
    clv_team_free(crew->team);
    for (int i = 0; crew->members && i < crew->member_count; i++) {
        clv_augment_free(crew->members[i].augment);
        free(crew->members[i].images);
    }
    free(crew->members);
    free(crew);
}

static int take_places(void *payload, int reader)
{
    struct clv_crew *crew = payload;
    int place, status = CLV_OK;
    while (status == CLV_OK && (place = atomic_fetch_add(&crew->next, 1)) < crew->place_count)
        status = crew->work(crew->payload, place, reader, &crew->members[reader]);
    if (status != CLV_OK)
        atomic_store(&crew->next, crew->place_count);
    return status;
}

int clv_crew_run(struct clv_crew *crew, int place_count, clv_crew_work *work, void *payload)
{
    crew->work = work;
    crew->payload = payload;
    crew->place_count = place_count;
    atomic_store(&crew->next, 0);
    return clv_team_run(crew->team, take_places, crew);
}
