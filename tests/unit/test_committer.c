/* indexer/committer: complete files are stored in order by a thread nobody waits for; a stop and a
 * failing store end it after the write in hand. */
#include "indexer/committer.h"

#include "core/error.h"
#include "tests/t.h"
#include "tests/unit/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOBS = 40, WAIT_MS = 30000 };

struct line {
    struct clv_run run;
    struct clv_order *order;
    struct clv_committer *committer;
    struct clv_job jobs[JOBS];
    char paths[JOBS][32];
};

static struct line line;

/* Files that could not be read, every third with a failure of the disk. */
static bool start(struct clv_cancel *cancel, int ahead_max)
{
    line.run = (struct clv_run){.options = {.cancel = cancel}};
    line.run.store = fixture_open(t_path(t_directory(), "database"), 0);
    if (!line.run.store)
        return false;
    line.run.model_id = fixture_model(line.run.store, 1, FIXTURE_DIM);
    for (int i = 0; i < JOBS; i++) {
        struct clv_job *job = &line.jobs[i];
        snprintf(line.paths[i], sizeof line.paths[i], "/footage/%02d.mp4", i);
        *job = (struct clv_job){.path = line.paths[i],
                                .status = i % 3 ? CLV_ECORRUPT : CLV_EIO,
                                .size_bytes = 100 + i,
                                .held_bytes = 1};
        snprintf(job->error, sizeof job->error, "file %d is broken", i);
    }
    CHECK_OK(clv_order_create(&line.order, JOBS, ahead_max, 1000));
    CHECK_OK(clv_committer_create(&line.committer, &line.run, line.order, JOBS));
    return line.order && line.committer;
}

static void finish(void)
{
    clv_committer_free(line.committer);
    clv_order_free(line.order);
    clv_store_close(line.run.store);
}

static void hand(int index)
{
    clv_order_hold(line.order, line.jobs[index].held_bytes);
    clv_committer_hand(line.committer, &line.jobs[index]);
}

/* The index of the next job that is stored; -1 at the end. */
static int take(int timeout_ms)
{
    bool timed_out = false;
    const struct clv_job *job = clv_committer_take(line.committer, timeout_ms, &timed_out);
    CHECK(!timed_out);
    return job ? (int)(job - line.jobs) : -1;
}

static int check_row(const struct clv_video_row *row, void *payload)
{
    int *count = payload;
    char error[32];
    snprintf(error, sizeof error, "file %d is broken", *count);
    CHECK_STRING(row->path, line.paths[*count]);
    CHECK_STRING(row->error, error);
    CHECK_INT(row->id, *count + 1);
    ++*count;
    return CLV_OK;
}

/* The first `count` jobs, and no others, are in the store. */
static void check_stored(int count)
{
    int found = 0;
    CHECK_OK(clv_store_videos(line.run.store, NULL, line.run.model_id, check_row, &found));
    CHECK_INT(found, count);
    CHECK_INT(fixture_problems(line.run.store, true), 0);
}

static void files_are_stored_in_order(void)
{
    if (!start(NULL, 3))
        return;
    int first;
    for (int i = 0; i < 3; i++)
        CHECK(clv_order_claim(line.order, &first));
    CHECK(clv_order_is_waiting(line.order));
    for (int i = 0; i < JOBS; i++)
        hand(i);
    clv_committer_end(line.committer);
    for (int i = 0; i < JOBS; i++) {
        CHECK_INT(take(WAIT_MS), i);
        CHECK_INT(line.jobs[i].event, CLV_INGEST_FAILED);
        CHECK(line.jobs[i].detail == line.jobs[i].error);
        CHECK(!line.jobs[i].is_again);
    }
    CHECK_INT(take(WAIT_MS), -1);
    CHECK_OK(clv_committer_status(line.committer));
    CHECK(clv_committer_busy_s(line.committer) > 0);
    CHECK(!clv_order_is_waiting(line.order));
    check_stored(JOBS);
    finish();
}

static void nobody_waits_for_the_store(void)
{
    if (!start(NULL, JOBS))
        return;
    struct fixture_lock *lock = fixture_lock(clv_store_directory(line.run.store));
    bool timed_out = false;
    for (int i = 0; i < JOBS; i++)
        hand(i);
    CHECK(!clv_committer_take(line.committer, 0, &timed_out));
    CHECK(timed_out);
    CHECK(!clv_committer_take(line.committer, 20, &timed_out));
    CHECK(timed_out);
    fixture_unlock(lock);
    for (int i = 0; i < JOBS; i++)
        CHECK_INT(take(WAIT_MS), i);
    clv_committer_end(line.committer);
    CHECK_INT(take(WAIT_MS), -1);
    check_stored(JOBS);
    finish();
}

/* Whatever the committer was at when it was asked to stop, it is that and nothing after it. */
static void a_stop_finishes_the_write_in_hand(void)
{
    struct clv_cancel cancel = {0};
    if (!start(&cancel, JOBS))
        return;
    hand(0);
    CHECK_INT(take(WAIT_MS), 0);
    struct fixture_lock *lock = fixture_lock(clv_store_directory(line.run.store));
    for (int i = 1; i < JOBS; i++)
        hand(i);
    usleep(50000);
    clv_cancel_request(&cancel);
    fixture_unlock(lock);
    int stored = 1;
    for (int next; (next = take(WAIT_MS)) >= 0; stored++)
        CHECK_INT(next, stored);
    CHECK(stored <= 2);
    CHECK_ERROR(clv_committer_status(line.committer), CLV_ECANCELED, "stopped");
    check_stored(stored);
    finish();
}

static void a_store_that_fails_ends_it(void)
{
    if (!start(NULL, JOBS))
        return;
    hand(0);
    CHECK_INT(take(WAIT_MS), 0);
    /* A segment of a model that the store does not know. */
    struct clv_job *bad = &line.jobs[1];
    struct clv_segment segment = {.start_ticks = 0, .end_ticks = 10, .norm = 1};
    float vector[FIXTURE_DIM] = {1};
    bad->status = CLV_OK;
    bad->info.timebase = (struct clv_timebase){1, 1000};
    clv_track_init(&bad->track, FIXTURE_DIM);
    CHECK_OK(clv_track_copy(&bad->track, &segment, vector));
    line.run.model_id += 50;
    for (int i = 1; i < JOBS; i++)
        hand(i);
    CHECK_INT(take(WAIT_MS), -1);
    clv_error_clear();
    CHECK_ERROR(clv_committer_status(line.committer), CLV_ENOTFOUND, "model");
    line.run.model_id -= 50;
    check_stored(1);
    finish();
}

/* What was not stored is the caller's again, with its segments. */
static void what_is_left_comes_back(void)
{
    for (int i = 0; i < 20; i++) {
        if (!start(NULL, JOBS))
            return;
        for (int k = 0; k < i; k++)
            hand(k);
        clv_committer_free(line.committer);
        line.committer = NULL;
        int64_t problems = fixture_problems(line.run.store, true);
        CHECK_INT(problems, 0);
        finish();
    }
    clv_committer_free(NULL);
}

int main(void)
{
    T_RUN(files_are_stored_in_order);
    T_RUN(nobody_waits_for_the_store);
    T_RUN(a_stop_finishes_the_write_in_hand);
    T_RUN(a_store_that_fails_ends_it);
    T_RUN(what_is_left_comes_back);
    return t_end();
}
