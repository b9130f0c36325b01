#include "indexer/writer.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_SIZE 8192

struct clv_writer {
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

static int store_job(struct clv_writer *writer, struct clv_job *job)
{
    double begun = clv_clock_seconds();
    int status = clv_run_store_job(writer->run, job);
    clv_track_release(&job->track);
    atomic_fetch_add(&writer->busy_us, (int64_t)(1e6 * (clv_clock_seconds() - begun)));
    return status;
}

static void *run_writer(void *payload)
{
    struct clv_writer *writer = payload;
    struct clv_job *job;
    int status = CLV_OK;
    while (status == CLV_OK && !atomic_load(&writer->is_stopped) &&
           (job = clv_queue_pop(writer->complete))) {
        status = clv_cancelled(writer->run->options.cancel)
                     ? clv_fail(CLV_ECANCELED, "indexing was stopped")
                     : store_job(writer, job);
        if (status != CLV_OK)
            break;
        clv_order_stored(writer->order, job->held_bytes);
        (void)clv_queue_push(writer->stored, job);
    }
    writer->status = status;
    if (status != CLV_OK)
        snprintf(writer->message, sizeof writer->message, "%s", clv_error_message());
    clv_queue_close(writer->stored);
    return NULL;
}

int clv_writer_create(struct clv_writer **out, const struct clv_run *run, struct clv_order *order,
                      int job_count)
{
    struct clv_writer *writer = *out = calloc(1, sizeof *writer);
    if (!writer)
        return clv_fail_memory("the thread that stores");
    writer->run = run;
    writer->order = order;
    int status = clv_queue_create(&writer->complete, job_count);
    if (status == CLV_OK)
        status = clv_queue_create(&writer->stored, job_count);
    if (status == CLV_OK) {
        writer->has_thread = pthread_create(&writer->thread, NULL, run_writer, writer) == 0;
        if (!writer->has_thread)
            status = clv_fail(CLV_ERR, "cannot start the thread that stores");
    }
    if (status != CLV_OK) {
        clv_writer_free(writer);
        *out = NULL;
    }
    return status;
}

void clv_writer_free(struct clv_writer *writer)
{
    if (!writer)
        return;
    atomic_store(&writer->is_stopped, true);
    if (writer->complete)
        clv_queue_close(writer->complete);
    if (writer->has_thread)
        pthread_join(writer->thread, NULL);
    clv_queue_free(writer->complete);
    clv_queue_free(writer->stored);
    free(writer);
}

void clv_writer_hand(struct clv_writer *writer, struct clv_job *job)
{
    (void)clv_queue_push(writer->complete, job);
}

void clv_writer_end(struct clv_writer *writer)
{
    clv_queue_close(writer->complete);
}

struct clv_job *clv_writer_take(struct clv_writer *writer, int timeout_ms, bool *timed_out_out)
{
    return clv_queue_pop_for(writer->stored, timeout_ms, timed_out_out);
}

int clv_writer_status(const struct clv_writer *writer)
{
    return writer->status == CLV_OK ? CLV_OK : clv_fail(writer->status, "%s", writer->message);
}

double clv_writer_busy_s(const struct clv_writer *writer)
{
    return 1e-6 * (double)atomic_load(&writer->busy_us);
}
