/* Which runs of ops are recorded, least recently used last. */
#include "core/compute/replay.h"

#include <assert.h>

void clv_replay_init(struct clv_replay_table *table, void (*drop)(void *payload, int index),
                     void *payload)
{
    *table = (struct clv_replay_table){.current = -1, .drop = drop, .payload = payload};
}

static bool is_same(const struct clv_replay_key *a, const struct clv_replay_key *b)
{
    return a->owner == b->owner && a->input == b->input && a->pass == b->pass &&
           a->count == b->count;
}

static void clear(struct clv_replay_table *table, int index)
{
    if (table->entries[index].state == CLV_REPLAY_RECORDED)
        table->drop(table->payload, index);
    table->entries[index] = (struct clv_replay_entry){0};
}

/* The entry of `key`, or a cleared one for it. */
static int find(struct clv_replay_table *table, const struct clv_replay_key *key)
{
    int oldest = 0;
    for (int i = 0; i < CLV_REPLAY_MAX; i++) {
        const struct clv_replay_entry *entry = &table->entries[i];
        if (entry->state != CLV_REPLAY_UNUSED && is_same(&entry->key, key))
            return i;
        if (entry->used < table->entries[oldest].used)
            oldest = i;
    }
    clear(table, oldest); /* an unused one was used at 0, before all others */
    return oldest;
}

enum clv_replay_step clv_replay_next(struct clv_replay_table *table, int *index_out,
                                     const struct clv_replay_key *key)
{
    assert(table->current < 0);
    const int index = find(table, key);
    struct clv_replay_entry *entry = &table->entries[index];
    entry->used = ++table->begins;
    *index_out = index;
    if (entry->state == CLV_REPLAY_RECORDED)
        return CLV_REPLAY_PLAY;
    table->current = index;
    if (entry->state == CLV_REPLAY_SEEN)
        return CLV_REPLAY_RECORD;
    if (entry->state == CLV_REPLAY_UNUSED) {
        entry->key = *key;
        entry->state = CLV_REPLAY_NEW;
    }
    return CLV_REPLAY_CALL;
}

void clv_replay_called(struct clv_replay_table *table)
{
    assert(table->current >= 0);
    struct clv_replay_entry *entry = &table->entries[table->current];
    table->current = -1;
    if (entry->state == CLV_REPLAY_NEW)
        entry->state = CLV_REPLAY_SEEN;
}

void clv_replay_recorded(struct clv_replay_table *table, bool is_recorded)
{
    assert(table->current >= 0);
    table->entries[table->current].state = is_recorded ? CLV_REPLAY_RECORDED : CLV_REPLAY_REFUSED;
    if (is_recorded)
        table->current = -1;
}

void clv_replay_refuse(struct clv_replay_table *table, int index)
{
    assert(table->current < 0 && table->entries[index].state == CLV_REPLAY_RECORDED);
    table->drop(table->payload, index);
    table->entries[index].state = CLV_REPLAY_REFUSED;
    table->current = index;
}

void clv_replay_moved(struct clv_replay_table *table)
{
    for (int i = 0; i < CLV_REPLAY_MAX; i++) {
        if (table->entries[i].state != CLV_REPLAY_RECORDED)
            continue;
        table->drop(table->payload, i);
        table->entries[i].state = CLV_REPLAY_SEEN;
    }
}

void clv_replay_forget(struct clv_replay_table *table)
{
    assert(table->current < 0);
    for (int i = 0; i < CLV_REPLAY_MAX; i++)
        clear(table, i);
}
