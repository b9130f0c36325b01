#include "core/lock.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* False where the file was removed or replaced before its lock was had. */
static bool is_still_there(int descriptor, const char *path)
{
    struct stat opened;
    struct stat named;
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

int clv_lock_take(struct clv_lock *out, const char *path)
{
    *out = (struct clv_lock){.descriptor = -1};
    int descriptor = -1;
    for (;;) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
        if (descriptor < 0)
            return clv_fail_errno("cannot open '%s'", path);
        int taken = flock(descriptor, LOCK_EX | LOCK_NB);
        if (taken == 0 && is_still_there(descriptor, path))
            break;
        int status = CLV_OK;
        if (taken != 0 && errno == EWOULDBLOCK)
            status = clv_fail(CLV_EBUSY, "'%s' is in use by another process", path);
        else if (taken != 0 && errno != EINTR)
            status = clv_fail_errno("cannot lock '%s'", path);
        close(descriptor);
        if (status != CLV_OK)
            return status;
    }
    out->path = strdup(path);
    if (!out->path) {
        close(descriptor);
        return clv_fail_memory("a path");
    }
    out->descriptor = descriptor;
    return CLV_OK;
}

void clv_lock_release(struct clv_lock *lock, bool removes)
{
    if (!lock->path)
        return;
    /* Removed while it is held, so that nobody's new file of that name goes. */
    if (removes)
        unlink(lock->path);
    close(lock->descriptor);
    free(lock->path);
    *lock = (struct clv_lock){.descriptor = -1};
}
