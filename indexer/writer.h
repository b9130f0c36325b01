/* The storing side: a thread that writes what came of complete files, one after another, while the
 * next ones are read and encoded. Handing a file over and asking for news never wait for the store;
 * how far the others run ahead of it is for the order of files to bound. */
#ifndef CLV_INDEXER_WRITER_H
#define CLV_INDEXER_WRITER_H

#include "indexer/order.h"
#include "indexer/run.h"

#include <stdbool.h>

struct clv_writer;

/* For up to `job_count` jobs of `run`, whose store is the thread's alone until it has been freed;
 * of the rest of the run it reads only what stays as it is. `order` hears of each job stored. */
int clv_writer_create(struct clv_writer **out, const struct clv_run *run, struct clv_order *order,
                      int job_count);
/* Finishes the write in hand; what was handed over and is not stored is the caller's again. Accepts
 * NULL. */
void clv_writer_free(struct clv_writer *writer);

/* The next job to be stored, none of whose segments awaits its vector. It is the writer's until it
 * comes back. */
void clv_writer_hand(struct clv_writer *writer, struct clv_job *job);
/* Nothing more will be handed over. */
void clv_writer_end(struct clv_writer *writer);

/* The next job that is stored, in the order they were handed over, waiting for at most
 * `timeout_ms`. NULL with *timed_out_out, or where no more will come. */
struct clv_job *clv_writer_take(struct clv_writer *writer, int timeout_ms, bool *timed_out_out);
/* Once no more will come: 0 where all is stored, or what ended it before, with its sentence: a
 * failure of the store, or CLV_ECANCELED. */
int clv_writer_status(const struct clv_writer *writer);
/* Time spent storing so far. */
double clv_writer_busy_s(const struct clv_writer *writer);

#endif
