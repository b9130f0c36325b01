/* Private to core/compute: which runs of ops a backend has recorded, and what to do with the next
 * one. Knows keys and their order of use; the recordings themselves are the backend's, one place
 * for each entry of the table. */
#ifndef CLV_CORE_COMPUTE_REPLAY_H
#define CLV_CORE_COMPUTE_REPLAY_H

#include "core/compute/device.h"

#include <stdbool.h>
#include <stdint.h>

#define CLV_REPLAY_MAX 32 /* the least recently used goes for a new one */

enum clv_replay_state {
    CLV_REPLAY_UNUSED,
    CLV_REPLAY_NEW,      /* its ops are called for the first time: memory grows, plans are made */
    CLV_REPLAY_SEEN,     /* to be recorded the next time */
    CLV_REPLAY_RECORDED, /* to be played back from now on */
    CLV_REPLAY_REFUSED,  /* could not be recorded: called for good */
};

struct clv_replay_entry {
    struct clv_replay_key key;
    enum clv_replay_state state;
    uint64_t used; /* when last, in begins */
};

struct clv_replay_table {
    struct clv_replay_entry entries[CLV_REPLAY_MAX];
    uint64_t begins;
    int current; /* the run that is being called or recorded; -1: none */
    /* Destroys what is recorded at an entry. */
    void (*drop)(void *payload, int index);
    void *payload;
};

enum clv_replay_step {
    CLV_REPLAY_CALL,   /* call the ops, then clv_replay_called() */
    CLV_REPLAY_RECORD, /* record them at table->current, then clv_replay_recorded() */
    CLV_REPLAY_PLAY,   /* play entry *index_out back; clv_replay_refuse() where that fails */
};

void clv_replay_init(struct clv_replay_table *table, void (*drop)(void *payload, int index),
                     void *payload);

/* What to do with the run of `key`, which has an entry from here on. */
enum clv_replay_step clv_replay_next(struct clv_replay_table *table, int *index_out,
                                     const struct clv_replay_key *key);
void clv_replay_called(struct clv_replay_table *table);
/* After an attempt to record: where it failed, the run has to be called, which makes it the current
 * one again. */
void clv_replay_recorded(struct clv_replay_table *table, bool is_recorded);
/* Entry `index`, just to be played, is no good: it is dropped and its run called for good. */
void clv_replay_refuse(struct clv_replay_table *table, int index);

/* Memory that the ops share has moved: what is recorded is dropped, to be recorded anew. */
void clv_replay_moved(struct clv_replay_table *table);
/* Memory of someone is freed: who the keys stand for is not known any more, and every run is new.
 * Not while one is current. */
void clv_replay_forget(struct clv_replay_table *table);

#endif
