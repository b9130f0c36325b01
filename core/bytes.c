/* The growing byte string. */
#include "core/bytes.h"

#include "core/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `size_bytes` more and the final NUL. */
static int reserve(struct clv_bytes *bytes, size_t size_bytes)
{
    if (bytes->status != CLV_OK)
        return bytes->status;
    if (size_bytes >= SIZE_MAX / 2 - bytes->size_bytes)
        return bytes->status = clv_fail_memory("text");
    size_t needed = bytes->size_bytes + size_bytes + 1;
    if (needed <= bytes->capacity_bytes)
        return CLV_OK;
    size_t capacity = bytes->capacity_bytes ? bytes->capacity_bytes : 64;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(bytes->data, capacity);
    if (!data)
        return bytes->status = clv_fail_memory("text");
    bytes->data = data;
    bytes->capacity_bytes = capacity;
    return CLV_OK;
}

void clv_bytes_add(struct clv_bytes *bytes, const void *data, size_t size_bytes)
{
    if (reserve(bytes, size_bytes) != CLV_OK)
        return;
    if (size_bytes)
        memcpy(bytes->data + bytes->size_bytes, data, size_bytes);
    bytes->size_bytes += size_bytes;
    bytes->data[bytes->size_bytes] = '\0';
}

void clv_bytes_text(struct clv_bytes *bytes, const char *text)
{
    clv_bytes_add(bytes, text, strlen(text));
}

void clv_bytes_format(struct clv_bytes *bytes, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0)
        bytes->status = clv_fail(CLV_EINVAL, "text cannot be formatted");
    else if (reserve(bytes, (size_t)size) == CLV_OK) {
        vsnprintf(bytes->data + bytes->size_bytes, (size_t)size + 1, format, again);
        bytes->size_bytes += (size_t)size;
    }
    va_end(again);
}

void clv_bytes_clear(struct clv_bytes *bytes)
{
    bytes->size_bytes = 0;
    bytes->status = CLV_OK;
    if (bytes->data)
        bytes->data[0] = '\0';
}

void clv_bytes_release(struct clv_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct clv_bytes){0};
}
