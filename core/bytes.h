/* A growing byte string: the one way text and binary output is put together in memory. */
#ifndef CLV_CORE_BYTES_H
#define CLV_CORE_BYTES_H

#include <stddef.h>

/* Zero-initialise before use. `data` is always followed by a NUL once anything was added. The
 * first failure (out of memory) is kept in `status`; later additions do nothing, so a caller
 * checks once at the end. */
struct clv_bytes {
    char *data;
    size_t size_bytes;
    size_t capacity_bytes;
    int status;
};

void clv_bytes_add(struct clv_bytes *bytes, const void *data, size_t size_bytes);
void clv_bytes_text(struct clv_bytes *bytes, const char *text);
void clv_bytes_format(struct clv_bytes *bytes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Empties it, keeping the memory and clearing `status`. */
void clv_bytes_clear(struct clv_bytes *bytes);
void clv_bytes_release(struct clv_bytes *bytes);

#endif
