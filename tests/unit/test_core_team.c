/* Threads of a team: that all take part at once, and whose failure is told. */
#include "core/clock.h"
#include "core/error.h"
#include "core/team.h"
#include "tests/t.h"

#include <sched.h>
#include <stdatomic.h>

enum { MEMBERS = 4, ROUNDS = 2000 };

struct round {
    atomic_int here;
    int count;
    int failing[MEMBERS]; /* the status of each */
    int sums[MEMBERS];
};

/* Ends only when all members have come, which needs a thread for each. */
static int meet(void *payload, int member)
{
    struct round *round = payload;
    const double begun = clv_clock_seconds();
    round->sums[member] += member + 1;
    atomic_fetch_add(&round->here, 1);
    while (atomic_load(&round->here) < round->count) {
        if (clv_clock_seconds() - begun > 60)
            return clv_fail(CLV_ERR, "member %d is alone", member);
        sched_yield();
    }
    return CLV_OK;
}

static int fail(void *payload, int member)
{
    const struct round *round = payload;
    return round->failing[member] ? clv_fail(round->failing[member], "member %d fails", member)
                                  : CLV_OK;
}

static void all_take_part_at_once(void)
{
    for (int count = 1; count <= MEMBERS; count++) {
        struct clv_team *team = NULL;
        struct round round = {.count = count};
        REQUIRE_OK(clv_team_create(&team, count));
        CHECK_OK(clv_team_run(team, meet, &round));
        for (int i = 0; i < MEMBERS; i++)
            CHECK_INT(round.sums[i], i < count ? i + 1 : 0);
        clv_team_free(team);
    }
    clv_team_free(NULL);
}

/* What a round wrote is there when it has ended, round after round. */
static void rounds_follow_each_other(void)
{
    struct clv_team *team = NULL;
    struct round round = {.count = 0}; /* no one waits */
    REQUIRE_OK(clv_team_create(&team, MEMBERS));
    for (int i = 1; i <= ROUNDS; i++) {
        REQUIRE_OK(clv_team_run(team, meet, &round));
        for (int k = 0; k < MEMBERS; k++)
            if (round.sums[k] != i * (k + 1))
                t_fail(__FILE__, __LINE__, "member %d missed round %d", k, i);
    }
    clv_team_free(team);
}

static void the_first_failure_is_told(void)
{
    struct clv_team *team = NULL;
    struct round round = {.failing = {0, 0, CLV_EDEVICE, CLV_ENOMEM}};
    REQUIRE_OK(clv_team_create(&team, MEMBERS));
    CHECK_ERROR(clv_team_run(team, fail, &round), CLV_EDEVICE, "member 2 fails");
    round.failing[0] = CLV_EIO;
    CHECK_ERROR(clv_team_run(team, fail, &round), CLV_EIO, "member 0 fails");
    round = (struct round){.count = 0};
    CHECK_OK(clv_team_run(team, fail, &round));
    clv_team_free(team);
}

int main(void)
{
    T_RUN(all_take_part_at_once);
    T_RUN(rounds_follow_each_other);
    T_RUN(the_first_failure_is_told);
    return t_end();
}
