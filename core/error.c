/* The thread-local message buffer. Knows nothing of who reports or prints. */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for the names of all tensors a file lacks. */
#define MESSAGE_SIZE 8192

static _Thread_local char message[MESSAGE_SIZE];

int clv_fail(int status, const char *format, ...)
{
    /* Formatted aside first: an argument may be the current message itself. */
    char text[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof message);
    return status;
}

int clv_fail_errno(const char *format, ...)
{
    int code = errno;
    char text[MESSAGE_SIZE / 2];
    char reason[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int status = code == ENOMEM ? CLV_ENOMEM : code == ENOENT ? CLV_ENOTFOUND : CLV_EIO;
    return clv_fail(status, "%s: %s", text, strerror_r(code, reason, sizeof reason));
}

int clv_fail_memory(const char *what)
{
    return clv_fail(CLV_ENOMEM, "out of memory for %s", what);
}

const char *clv_error_message(void)
{
    return message;
}

const char *clv_status_name(int status)
{
    switch ((enum clv_status)status) {
    case CLV_OK:
        return "ok";
    case CLV_DONE:
        return "done";
    case CLV_ERR:
        return "error";
    case CLV_ENOMEM:
        return "out of memory";
    case CLV_EIO:
        return "input/output error";
    case CLV_ENOTFOUND:
        return "not found";
    case CLV_EINVAL:
        return "invalid input";
    case CLV_ECORRUPT:
        return "corrupt file";
    case CLV_EVERSION:
        return "newer version";
    case CLV_EDEVICE:
        return "device failure";
    case CLV_ECANCELED:
        return "canceled";
    case CLV_EBUSY:
        return "busy";
    case CLV_EUNSUPPORTED:
        return "unsupported";
    }
    return "unknown status";
}

void clv_error_clear(void)
{
    message[0] = '\0';
}
