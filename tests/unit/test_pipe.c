/* indexer/order and indexer/pipe: files are begun, judged and ended in order by any number of
 * threads, none waits for ever, and stopping ends every wait. */
#include "indexer/pipe.h"

#include "core/error.h"
#include "tests/t.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 9, JOBS_MAX = 400 };

/* ---- the order ---- */

struct race {
    struct clv_order *order;
    int job_count;
    atomic_int judged_next, in_judgement, claims[JOBS_MAX], ended_count;
};

static void *race_run(void *payload)
{
    struct race *race = payload;
    int job;
    while (clv_order_claim(race->order, &job)) {
        atomic_fetch_add(&race->claims[job], 1);
        if (job % 7 == 0)
            usleep(200);
        if (!clv_order_await(race->order, job))
            break;
        CHECK_INT(atomic_fetch_add(&race->in_judgement, 1), 0);
        CHECK_INT(atomic_fetch_add(&race->judged_next, 1), job);
        atomic_fetch_sub(&race->in_judgement, 1);
        clv_order_judged(race->order, job);
        atomic_fetch_add(&race->ended_count, 1);
    }
    return NULL;
}

static void each_file_has_its_turn(void)
{
    for (int count = 1; count <= THREADS_MAX; count += 4) {
        struct race race = {.job_count = JOBS_MAX};
        pthread_t threads[THREADS_MAX];
        REQUIRE_OK(clv_order_create(&race.order, JOBS_MAX, JOBS_MAX, 1));
        for (int i = 0; i < count; i++)
            CHECK_INT(pthread_create(&threads[i], NULL, race_run, &race), 0);
        for (int i = 0; i < count; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < JOBS_MAX; i++)
            CHECK_INT(atomic_load(&race.claims[i]), 1);
        CHECK_INT(atomic_load(&race.judged_next), JOBS_MAX);
        clv_order_free(race.order);
    }
    clv_order_free(NULL);
}

static void reading_runs_so_far_ahead(void)
{
    struct race race = {.job_count = 50};
    pthread_t threads[4];
    int stored = 0;
    REQUIRE_OK(clv_order_create(&race.order, race.job_count, 10, 1000));
    CHECK(!clv_order_is_waiting(race.order));
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, race_run, &race), 0);
    while (stored < race.job_count) {
        const int most = stored + 10 < race.job_count ? stored + 10 : race.job_count;
        for (int tries = 0; atomic_load(&race.ended_count) < most && tries < 5000; tries++)
            usleep(1000);
        usleep(2000);
        CHECK_INT(atomic_load(&race.ended_count), most);
        CHECK(clv_order_is_waiting(race.order) == (most < race.job_count));
        /* What is held keeps the others waiting as well, until it is not. */
        clv_order_hold(race.order, stored == 0 ? 1000 : 1);
        clv_order_stored(race.order, 0);
        CHECK(clv_order_is_waiting(race.order) == (most < race.job_count));
        usleep(500);
        CHECK_INT(atomic_load(&race.ended_count), most);
        clv_order_stored(race.order, 1);
        stored += 2;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    clv_order_free(race.order);
}

static void stopping_ends_waits_for_turns(void)
{
    struct race race = {.job_count = 50};
    pthread_t threads[4];
    int first;
    REQUIRE_OK(clv_order_create(&race.order, race.job_count, 3, 1));
    /* This one is never judged, so that the others wait for it, and one more for room. */
    REQUIRE(clv_order_claim(race.order, &first));
    CHECK_INT(first, 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, race_run, &race), 0);
    usleep(20000);
    CHECK_INT(atomic_load(&race.judged_next), 0);
    clv_order_stop(race.order);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(!clv_order_claim(race.order, &first));
    CHECK(!clv_order_await(race.order, 0));
    CHECK_INT(atomic_load(&race.judged_next), 0);
    clv_order_free(race.order);
}

/* ---- the pipe ---- */

enum { SQUARE = 4, T = 2 };

struct sender {
    struct clv_pipe *pipe;
    struct clv_job *jobs;
    int lane;
    int sent_count;
};

/* Reads a file: job i has i % 5 pictures. */
static bool send_job(struct sender *sender, int index)
{
    for (int i = -1; i <= index % 5; i++) {
        const bool is_frame = i >= 0 && i < index % 5;
        uint8_t *square = is_frame ? clv_pipe_take_square(sender->pipe) : NULL;
        struct clv_work *work = is_frame && !square ? NULL : clv_pipe_take(sender->pipe);
        if (!work)
            return false;
        work->kind = i < 0 ? CLV_WORK_BEGIN : is_frame ? CLV_WORK_FRAME : CLV_WORK_END;
        work->lane = sender->lane;
        work->job = &sender->jobs[index];
        work->square = square;
        if (square)
            memset(square, i, SQUARE);
        if (clv_pipe_send(sender->pipe, work) != CLV_OK)
            return false;
    }
    return true;
}

static void *sender_run(void *payload)
{
    struct sender *sender = payload;
    int index;
    while (clv_order_claim(sender->pipe->order, &index)) {
        if (!clv_order_await(sender->pipe->order, index))
            break;
        clv_order_judged(sender->pipe->order, index);
        if (!send_job(sender, index))
            break;
        sender->sent_count++;
    }
    clv_pipe_finish(sender->pipe);
    return NULL;
}

struct line {
    struct clv_pipe *pipe;
    struct clv_job jobs[JOBS_MAX];
    struct sender senders[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    int lane_count;
};

static void start(struct line *line, int lane_count, int job_count, int ahead_max)
{
    const struct clv_pipe_options options = {
        .square_bytes = SQUARE,
        .frame_count = T,
        .lane_count = lane_count,
        .depth = 5,
        .held_count = 1,
        .job_count = job_count,
        .ahead_max = ahead_max,
        .held_max_bytes = 1,
    };
    memset(line->jobs, 0, sizeof line->jobs);
    line->lane_count = lane_count;
    REQUIRE_OK(clv_pipe_create(&line->pipe, &options));
    for (int i = 0; i < lane_count; i++) {
        for (int k = 0; k < clv_windows_place_count(T); k++)
            CHECK(clv_pipe_places(line->pipe, i)[k] == NULL);
        line->senders[i] = (struct sender){line->pipe, line->jobs, i, 0};
        CHECK_INT(pthread_create(&line->threads[i], NULL, sender_run, &line->senders[i]), 0);
    }
}

/* Joins the senders; returns how many jobs they sent. */
static int finish(struct line *line)
{
    int sent_count = 0;
    for (int i = 0; i < line->lane_count; i++) {
        pthread_join(line->threads[i], NULL);
        sent_count += line->senders[i].sent_count;
    }
    clv_pipe_free(line->pipe);
    return sent_count;
}

/* Takes work until none comes or `job_max` jobs have ended. Returns how many have. */
static int receive(struct line *line, int job_max)
{
    struct clv_job *at[THREADS_MAX] = {0};
    int pictures[THREADS_MAX] = {0};
    int ended = 0, stored = 0;
    while (ended < job_max) {
        bool timed_out;
        struct clv_work *work = clv_pipe_receive(line->pipe, 10000, &timed_out);
        CHECK(!timed_out);
        if (!work)
            break;
        const int lane = work->lane;
        /* The items of a lane come in order, one job after another. */
        CHECK(work->kind == CLV_WORK_BEGIN ? !at[lane] : at[lane] == work->job);
        if (work->kind == CLV_WORK_FRAME) {
            CHECK_INT(work->square[SQUARE - 1], pictures[lane]++);
            clv_pipe_return_square(line->pipe, work->square);
        } else if (work->kind == CLV_WORK_END) {
            CHECK_INT(pictures[lane], (int)(work->job - line->jobs) % 5);
            work->job->is_ended = true;
            pictures[lane] = 0;
            ended++;
        }
        at[lane] = work->kind == CLV_WORK_END ? NULL : work->job;
        clv_pipe_return(line->pipe, work);
        for (; stored < JOBS_MAX && line->jobs[stored].is_ended; stored++)
            clv_order_stored(line->pipe->order, 0);
    }
    return ended;
}

static struct line line;

/* Also with more threads than files. */
static void all_that_is_sent_arrives(void)
{
    for (int lanes = 1; lanes <= THREADS_MAX; lanes += 2)
        for (int jobs = 0; jobs <= JOBS_MAX; jobs = jobs * 4 + 1) {
            start(&line, lanes, jobs, 6);
            CHECK_INT(receive(&line, JOBS_MAX), jobs);
            for (int i = 0; i < jobs; i++)
                CHECK(line.jobs[i].is_ended);
            CHECK_INT(finish(&line), jobs);
        }
}

static void stopping_ends_every_wait(void)
{
    for (int lanes = 1; lanes <= THREADS_MAX; lanes += 2)
        for (int stop_at = 0; stop_at < 60; stop_at += 19) {
            /* Some wait for room in the pipe, some for the order. */
            start(&line, lanes, JOBS_MAX, 1 + stop_at % 4);
            CHECK_INT(receive(&line, stop_at), stop_at);
            CHECK(!clv_pipe_is_stopped(line.pipe));
            clv_pipe_stop(line.pipe);
            CHECK(clv_pipe_is_stopped(line.pipe));
            CHECK(finish(&line) < JOBS_MAX);
        }
}

int main(void)
{
    T_RUN(each_file_has_its_turn);
    T_RUN(reading_runs_so_far_ahead);
    T_RUN(stopping_ends_waits_for_turns);
    T_RUN(all_that_is_sent_arrives);
    T_RUN(stopping_ends_every_wait);
    return t_end();
}
