/* Threads that do the same work at once, each on a member of its own. */
#ifndef CLV_CORE_TEAM_H
#define CLV_CORE_TEAM_H

struct clv_team;

/* `count` members: the caller's thread is the first, the others have a thread each until the team
 * is freed. CLV_ENOMEM, CLV_ERR where no thread can be started. */
int clv_team_create(struct clv_team **out, int count);
void clv_team_free(struct clv_team *team);

/* What a member does; the status of a failure has its message recorded. */
typedef int clv_team_work(void *payload, int member);

/* Runs `work` for every member at once and returns when all have ended: 0, or the status and
 * message of the first member in order that failed. One call at a time. */
int clv_team_run(struct clv_team *team, clv_team_work *work, void *payload);

#endif
