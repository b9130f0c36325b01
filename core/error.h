/* Status codes and this thread's last error message.
 *
 * A function that can fail returns `int`: 0 on success, CLV_DONE from iterators at their end, a
 * negative status otherwise. The sentence is recorded once, where the failure is understood, with
 * clv_fail(); callers pass the status up untouched. The message lives in a fixed thread-local
 * buffer, so that running out of memory can be reported too. */
#ifndef CLV_CORE_ERROR_H
#define CLV_CORE_ERROR_H

enum clv_status {
    CLV_OK = 0,
    CLV_DONE = 1,           /* an iterator has no more */
    CLV_ERR = -1,           /* a failure no caller tells apart */
    CLV_ENOMEM = -2,        /* out of memory */
    CLV_EIO = -3,           /* the operating system refused a read or a write */
    CLV_ENOTFOUND = -4,     /* a named thing does not exist */
    CLV_EINVAL = -5,        /* the caller's or user's input makes no sense */
    CLV_ECORRUPT = -6,      /* a file is not what it claims to be */
    CLV_EVERSION = -7,      /* a file is from a newer claverdb */
    CLV_EDEVICE = -8,       /* a compute device failed */
    CLV_ECANCELED = -9,     /* the caller asked to stop */
    CLV_EBUSY = -10,        /* another process holds what is needed */
    CLV_EUNSUPPORTED = -11, /* well-formed, but claverdb cannot read it */
};

/* Records a message (one line, lower case, no full stop, the subject quoted, both numbers where
 * two disagree) and returns `status`, so that `return clv_fail(…)` is the whole error path. */
int clv_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As clv_fail(), with ": " and the text of `errno` appended; CLV_ENOMEM when errno is ENOMEM,
 * CLV_ENOTFOUND when it is ENOENT, otherwise CLV_EIO. */
int clv_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Records "out of memory" naming what was wanted; returns CLV_ENOMEM. */
int clv_fail_memory(const char *what);

/* This thread's last message; never NULL, "" when there was none. Valid until the next failure on
 * this thread. */
const char *clv_error_message(void);

/* The status's name ("not found"), for logs and tests. */
const char *clv_status_name(int status);

void clv_error_clear(void);

#endif
