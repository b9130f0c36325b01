/* The storing side: a thread that writes what came of complete files, one after another, while the
 * next ones are read and encoded. Handing a file over and asking for news never wait for the store;
 * how far the others run ahead of it is for the order of files to bound. */
#ifndef CLV_INDEXER_COMMITTER_H
#define CLV_INDEXER_COMMITTER_H

#include "indexer/order.h"
#include "indexer/run.h"

#include <stdbool.h>

struct clv_committer;

/* For up to `job_count` jobs of `run`, whose store is the thread's alone until it has been freed;
 * of the rest of the run it reads only what stays as it is. `order` hears of each job stored. */
int clv_committer_create(struct clv_committer **out, const struct clv_run *run,
                         struct clv_order *order, int job_count);
/* Finishes the write in hand; what was handed over and is not stored is the caller's again. Accepts
 * NULL. */
void clv_committer_free(struct clv_committer *committer);

/* The next job to be stored, none of whose segments awaits its vector. It is the committer's until
 * it comes back. */
void clv_committer_hand(struct clv_committer *committer, struct clv_job *job);
/* Nothing more will be handed over. */
void clv_committer_end(struct clv_committer *committer);

/* The next job that is stored, in the order they were handed over, waiting for at most
 * `timeout_ms`. NULL with *timed_out_out, or where no more will come. */
struct clv_job *clv_committer_take(struct clv_committer *committer, int timeout_ms,
                                   bool *timed_out_out);
/* Once no more will come: 0 where all is stored, or what ended it before, with its sentence: a
 * failure of the store, or CLV_ECANCELED. */
int clv_committer_status(const struct clv_committer *committer);
/* Time spent storing so far. */
double clv_committer_busy_s(const struct clv_committer *committer);

#endif
