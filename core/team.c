#include "core/team.h"

#include "core/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_SIZE 512

struct member {
    struct clv_team *team;
    int index;
    pthread_t thread;
    int status;
    char message[MESSAGE_SIZE];
};

struct clv_team {
    int count;
    int thread_count; /* started */
    pthread_mutex_t lock;
    pthread_cond_t has_work, has_ended;
    uint64_t round; /* of work given out */
    int busy_count; /* threads that have not ended this round */
    bool is_closed;
    clv_team_work *work;
    void *payload;
    struct member members[];
};

/* Messages belong to threads, so each leaves a copy. */
static void take_part(struct member *member, clv_team_work *work, void *payload)
{
    member->status = work(payload, member->index);
    if (member->status != CLV_OK)
        snprintf(member->message, sizeof member->message, "%s", clv_error_message());
}

static void *serve(void *payload)
{
    struct member *member = payload;
    struct clv_team *team = member->team;
    uint64_t round = 0;
    pthread_mutex_lock(&team->lock);
    while (true) {
        while (team->round == round && !team->is_closed)
            pthread_cond_wait(&team->has_work, &team->lock);
        if (team->is_closed)
            break;
        round = team->round;
        pthread_mutex_unlock(&team->lock);
        take_part(member, team->work, team->payload);
        pthread_mutex_lock(&team->lock);
        if (--team->busy_count == 0)
            pthread_cond_signal(&team->has_ended);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

int clv_team_create(struct clv_team **out, int count)
{
    *out = NULL;
    struct clv_team *team = calloc(1, sizeof *team + (size_t)count * sizeof *team->members);
    if (!team)
        return clv_fail_memory("threads");
    team->count = count;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->has_work, NULL);
    pthread_cond_init(&team->has_ended, NULL);
    for (int i = 0; i < count; i++) {
        team->members[i].team = team;
        team->members[i].index = i;
    }
    for (int i = 1; i < count; i++) {
        struct member *member = &team->members[i];
        if (pthread_create(&member->thread, NULL, serve, member) != 0) {
            clv_team_free(team);
            return clv_fail(CLV_ERR, "no thread can be started for member %d of %d", i, count);
        }
        team->thread_count++;
    }
    *out = team;
    return CLV_OK;
}

void clv_team_free(struct clv_team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->is_closed = true;
    pthread_cond_broadcast(&team->has_work);
    pthread_mutex_unlock(&team->lock);
    for (int i = 1; i <= team->thread_count; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_mutex_destroy(&team->lock);
    pthread_cond_destroy(&team->has_work);
    pthread_cond_destroy(&team->has_ended);
    free(team);
}

int clv_team_run(struct clv_team *team, clv_team_work *work, void *payload)
{
    pthread_mutex_lock(&team->lock);
    team->work = work;
    team->payload = payload;
    team->busy_count = team->thread_count;
    team->round++;
    pthread_cond_broadcast(&team->has_work);
    pthread_mutex_unlock(&team->lock);
    take_part(&team->members[0], work, payload);
    pthread_mutex_lock(&team->lock);
    while (team->busy_count > 0)
        pthread_cond_wait(&team->has_ended, &team->lock);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->count; i++)
        if (team->members[i].status != CLV_OK)
            return clv_fail(team->members[i].status, "%s", team->members[i].message);
    return CLV_OK;
}
