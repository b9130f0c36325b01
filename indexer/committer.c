#include "indexer/committer.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_SIZE 8192

struct clv_committer {
    const struct clv_run *run;
    struct clv_order *order;
    struct clv_queue *complete, *stored; /* of jobs; with room for all of them */
    pthread_t thread;
    bool has_thread;
    atomic_bool is_stopped;
    _Atomic int64_t busy_us;
    /* The thread's, until `stored` is closed. */
    int status;
    char message[MESSAGE_SIZE];
};

static int store_job(struct clv_committer *committer, struct clv_job *job)
{
    double begun = clv_clock_seconds();
    int status = clv_run_store_job(committer->run, job);
    clv_track_release(&job->track);
    atomic_fetch_add(&committer->busy_us, (int64_t)(1e6 * (clv_clock_seconds() - begun)));
    return status;
}

static void *run_committer(void *payload)
{
    struct clv_committer *committer = payload;
    struct clv_job *job;
    int status = CLV_OK;
    while (status == CLV_OK && !atomic_load(&committer->is_stopped) &&
           (job = clv_queue_pop(committer->complete))) {
        status = clv_cancelled(committer->run->options.cancel)
                     ? clv_fail(CLV_ECANCELED, "indexing was stopped")
                     : store_job(committer, job);
        if (status != CLV_OK)
            break;
        clv_order_stored(committer->order, job->held_bytes);
        (void)clv_queue_push(committer->stored, job);
    }
    committer->status = status;
    if (status != CLV_OK)
        snprintf(committer->message, sizeof committer->message, "%s", clv_error_message());
    clv_queue_close(committer->stored);
    return NULL;
}

int clv_committer_create(struct clv_committer **out, const struct clv_run *run,
                         struct clv_order *order, int job_count)
{
    struct clv_committer *committer = *out = calloc(1, sizeof *committer);
    if (!committer)
        return clv_fail_memory("the thread that stores");
    committer->run = run;
    committer->order = order;
    int status = clv_queue_create(&committer->complete, job_count);
    if (status == CLV_OK)
        status = clv_queue_create(&committer->stored, job_count);
    if (status == CLV_OK) {
        committer->has_thread =
            pthread_create(&committer->thread, NULL, run_committer, committer) == 0;
        if (!committer->has_thread)
            status = clv_fail(CLV_ERR, "cannot start the thread that stores");
    }
    if (status != CLV_OK) {
        clv_committer_free(committer);
        *out = NULL;
    }
    return status;
}

void clv_committer_free(struct clv_committer *committer)
{
    if (!committer)
        return;
    atomic_store(&committer->is_stopped, true);
    if (committer->complete)
        clv_queue_close(committer->complete);
    if (committer->has_thread)
        pthread_join(committer->thread, NULL);
    clv_queue_free(committer->complete);
    clv_queue_free(committer->stored);
    free(committer);
}

void clv_committer_hand(struct clv_committer *committer, struct clv_job *job)
{
    (void)clv_queue_push(committer->complete, job);
}

void clv_committer_end(struct clv_committer *committer)
{
    clv_queue_close(committer->complete);
}

struct clv_job *clv_committer_take(struct clv_committer *committer, int timeout_ms,
                                   bool *timed_out_out)
{
    return clv_queue_pop_for(committer->stored, timeout_ms, timed_out_out);
}

int clv_committer_status(const struct clv_committer *committer)
{
    return committer->status == CLV_OK ? CLV_OK
                                       : clv_fail(committer->status, "%s", committer->message);
}

double clv_committer_busy_s(const struct clv_committer *committer)
{
    return 1e-6 * (double)atomic_load(&committer->busy_us);
}
