/* Locks between processes: held on an open file, gone with the process that holds it. */
#ifndef CLV_CORE_LOCK_H
#define CLV_CORE_LOCK_H

#include <stdbool.h>

struct clv_lock {
    char *path;
    int descriptor; /* open for reading and writing */
};

/* Makes `path` where it is missing, opens it and takes its lock. CLV_EBUSY where someone else has
 * it. */
int clv_lock_take(struct clv_lock *out, const char *path);
/* Gives the lock back, and removes the file where `removes`. Safe on a zeroed one, and again. */
void clv_lock_release(struct clv_lock *lock, bool removes);

#endif
