/* core/ahead: items come in order, as far ahead as there are slots, and stopping ends every wait.
 */
#include "core/ahead.h"

#include "tests/t.h"

#include <stdatomic.h>
#include <unistd.h>

enum { SLOTS = 3, ITEMS = 200 };

struct slot {
    int64_t number;
    bool is_filled;
};

struct line {
    struct slot slots[SLOTS];
    atomic_int filled_count;
    int64_t last; /* after which no more is filled; negative: none */
};

static bool fill(void *payload, void *at, int64_t number)
{
    struct line *line = payload;
    struct slot *slot = at;
    CHECK(!slot->is_filled);
    *slot = (struct slot){number, true};
    atomic_fetch_add(&line->filled_count, 1);
    return number != line->last;
}

static struct clv_ahead *start(struct line *line, int64_t first, int64_t end)
{
    struct clv_ahead *ahead = NULL;
    const struct clv_ahead_options options = {
        .slots = line->slots,
        .slot_size_bytes = sizeof *line->slots,
        .slot_count = SLOTS,
        .first = first,
        .end = end,
        .fill = fill,
        .payload = line,
    };
    CHECK_OK(clv_ahead_start(&ahead, &options));
    return ahead;
}

/* Takes and gives back until nothing comes; returns how many came. */
static int64_t take_all(struct clv_ahead *ahead, int64_t first)
{
    int64_t count = 0;
    for (struct slot *slot; (slot = clv_ahead_next(ahead)); count++) {
        CHECK(slot->is_filled);
        CHECK_INT(slot->number, first + count);
        slot->is_filled = false;
        clv_ahead_give_back(ahead, slot);
    }
    return count;
}

static void items_come_in_order(void)
{
    for (int64_t first = 0; first <= 7; first += 7)
        for (int64_t count = 0; count <= ITEMS; count = 3 * count + 1) {
            struct line line = {.last = -1};
            struct clv_ahead *ahead = start(&line, first, first + count);
            CHECK_INT(take_all(ahead, first), count);
            CHECK(clv_ahead_next(ahead) == NULL);
            CHECK_INT(atomic_load(&line.filled_count), count);
            clv_ahead_stop(ahead);
        }
}

static void no_more_is_filled_than_there_is_room(void)
{
    struct line line = {.last = -1};
    struct clv_ahead *ahead = start(&line, 0, ITEMS);
    struct slot *slot = clv_ahead_next(ahead);
    for (int tries = 0; atomic_load(&line.filled_count) < SLOTS && tries < 5000; tries++)
        usleep(1000);
    usleep(2000);
    CHECK_INT(atomic_load(&line.filled_count), SLOTS);
    slot->is_filled = false;
    clv_ahead_give_back(ahead, slot);
    CHECK_INT(take_all(ahead, 1), ITEMS - 1);
    clv_ahead_stop(ahead);
}

static void the_filler_may_end_it(void)
{
    struct line line = {.last = 41};
    struct clv_ahead *ahead = start(&line, 0, ITEMS);
    CHECK_INT(take_all(ahead, 0), 42);
    CHECK_INT(atomic_load(&line.filled_count), 42);
    clv_ahead_stop(ahead);
}

static void stopping_ends_every_wait(void)
{
    for (int taken = 0; taken <= 2 * SLOTS; taken++) {
        struct line line = {.last = -1};
        struct clv_ahead *ahead = start(&line, 0, ITEMS);
        for (int i = 0; i < taken; i++) {
            struct slot *slot = clv_ahead_next(ahead);
            CHECK_INT(slot->number, i);
            slot->is_filled = false;
            clv_ahead_give_back(ahead, slot);
        }
        clv_ahead_stop(ahead);
        CHECK(atomic_load(&line.filled_count) <= taken + SLOTS);
    }
    clv_ahead_stop(NULL);
}

int main(void)
{
    T_RUN(items_come_in_order);
    T_RUN(no_more_is_filled_than_there_is_room);
    T_RUN(the_filler_may_end_it);
    T_RUN(stopping_ends_every_wait);
    return t_end();
}
