/* zlib's file reading, which passes plain files through unchanged. */
#include "core/gzip.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE_BYTES 16384

/* What zlib reported for `file`, as a status of ours. */
static int fail_zlib(gzFile file, const char *path)
{
    int code;
    int saved = errno;
    const char *reason = gzerror(file, &code);
    errno = saved;
    if (code == Z_ERRNO)
        return clv_fail_errno("cannot read '%s'", path);
    if (code == Z_MEM_ERROR)
        return clv_fail_memory("unpacking a file");
    if (code == Z_BUF_ERROR)
        return clv_fail(CLV_ECORRUPT, "the gzip data of '%s' is cut off", path);
    const char *colon = strstr(reason, ": "); /* after zlib's own name for the file */
    return clv_fail(CLV_ECORRUPT, "the gzip data of '%s' is damaged: %s", path,
                    colon ? colon + 2 : reason);
}

static int read_all(struct clv_bytes *out, gzFile file, const char *path, size_t size_max)
{
    char piece[PIECE_BYTES];
    for (;;) {
        int got = gzread(file, piece, sizeof piece);
        int code = Z_OK;
        if (got >= 0)
            (void)gzerror(file, &code);
        if (got < 0 || code != Z_OK)
            return fail_zlib(file, path);
        if (got == 0)
            return CLV_OK;
        if ((size_t)got > size_max - out->size_bytes)
            return clv_fail(CLV_EINVAL, "'%s' has more than %zu bytes", path, size_max);
        clv_bytes_add(out, piece, (size_t)got);
        if (out->status != CLV_OK)
            return out->status;
    }
}

int clv_gzip_read(struct clv_bytes *out, const char *path, size_t size_max)
{
    clv_bytes_clear(out);
    struct stat facts;
    /* O_NONBLOCK so that a FIFO is refused instead of waited for. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return clv_fail_errno("cannot open '%s'", path);
    int status = CLV_OK;
    gzFile file = NULL;
    if (fstat(descriptor, &facts) != 0)
        status = clv_fail_errno("cannot read '%s'", path);
    else if (!S_ISREG(facts.st_mode))
        status = clv_fail(CLV_EINVAL, "'%s' is not a regular file", path);
    else if (!(file = gzdopen(descriptor, "rb")))
        status = clv_fail_memory("unpacking a file");
    if (!file) {
        close(descriptor);
        return status;
    }
    (void)gzbuffer(file, 4 * PIECE_BYTES);
    status = read_all(out, file, path, size_max);
    int closed = gzclose_r(file);
    if (status == CLV_OK && closed == Z_BUF_ERROR)
        status = clv_fail(CLV_ECORRUPT, "the gzip data of '%s' is cut off", path);
    else if (status == CLV_OK && closed != Z_OK)
        status = clv_fail(CLV_EIO, "cannot read '%s'", path);
    if (status != CLV_OK)
        clv_bytes_clear(out);
    return status;
}
