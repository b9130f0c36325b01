/* Makes the Nth allocation or file operation fail. The program is linked with --wrap for each of
 * the functions, so product code has no hooks. */
#ifndef CLV_TESTS_FAULT_FAULT_H
#define CLV_TESTS_FAULT_FAULT_H

#include <stdbool.h>

enum fault_kind {
    FAULT_MEMORY = 1, /* malloc, calloc, realloc, aligned_alloc, strdup, strndup, asprintf */
    FAULT_WRITE = 2,  /* write; SQLite's own writes too */
    FAULT_SYNC = 4,   /* fsync */
    FAULT_RENAME = 8,
    FAULT_SQLITE = 16, /* SQLite's allocations */
    FAULT_FILES = FAULT_WRITE | FAULT_SYNC | FAULT_RENAME,
};

/* From now on the call number `nth` (from 0) of these kinds fails, and where `persists` every one
 * after it. Counts the calls of all threads. */
void fault_arm(int kinds, long nth, bool persists);
/* Back to normal. True where a call failed since fault_arm(). */
bool fault_disarm(void);

/* Lets SQLite, which is not linked with --wrap, meet FAULT_SQLITE and FAULT_WRITE. Before its first
 * use. */
void fault_sqlite(void);

/* What is tested: runs the operation, and looks at what it left behind. `status` is the
 * operation's; `check` runs without faults, after every run, so it also sees the complete one. */
struct fault_case {
    const char *name;
    int kinds;
    int (*prepare)(void *payload); /* may be NULL; without faults */
    int (*operate)(void *payload);
    void (*check)(void *payload, int status);
    void *payload;
    long every; /* the first so many calls fail one by one, later ones ever more rarely; 0: all */
};

/* Fails call 0, 1, 2, … of the operation until a run meets no fault, first each call alone, then
 * each with all that follow. A run that met a fault may succeed only where `check` finds it whole.
 * Reports a failed check where no call ever failed. */
void fault_each(const struct fault_case *fault_case);

#endif
