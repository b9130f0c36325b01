#include "core/partial.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)1 << 18)
#define INFO_MAX_BYTES 4096

/* ---- what is known about the part ---- */

static void forget_source(struct clv_partial *partial)
{
    partial->source[0] = '\0';
    partial->validator[0] = '\0';
    partial->total_bytes = -1;
}

/* Anything wrong with the file only means that nothing is known. */
static void read_info(struct clv_partial *partial)
{
    struct clv_map map = {0};
    struct clv_json *info = NULL;
    forget_source(partial);
    if (!clv_file_exists(partial->info_path) || clv_map_open(&map, partial->info_path) != CLV_OK)
        return;
    if (map.size_bytes > 0 && map.size_bytes <= INFO_MAX_BYTES &&
        clv_json_parse(&info, (const char *)map.data, map.size_bytes, partial->info_path) ==
            CLV_OK) {
        const char *source = clv_json_string(clv_json_get(info, "source"), NULL, "");
        const char *validator = clv_json_string(clv_json_get(info, "validator"), NULL, "");
        snprintf(partial->source, sizeof partial->source, "%s", source);
        if (strlen(validator) < sizeof partial->validator)
            snprintf(partial->validator, sizeof partial->validator, "%s", validator);
        partial->total_bytes = clv_json_integer(clv_json_get(info, "total_bytes"), -1);
    }
    clv_json_free(info);
    clv_map_release(&map);
}

int clv_partial_describe(struct clv_partial *partial, const char *source, const char *validator,
                         int64_t total_bytes)
{
    if (strcmp(partial->source, source) == 0 && strcmp(partial->validator, validator) == 0 &&
        partial->total_bytes == total_bytes)
        return CLV_OK;
    snprintf(partial->source, sizeof partial->source, "%s", source);
    snprintf(partial->validator, sizeof partial->validator, "%s", validator);
    partial->total_bytes = total_bytes;
    struct clv_json *info = clv_json_object();
    struct clv_bytes text = {0};
    clv_json_put_string(info, "source", source);
    clv_json_put_string(info, "validator", validator);
    clv_json_put_integer(info, "total_bytes", total_bytes);
    int status = clv_json_write(&text, info, false);
    if (status == CLV_OK)
        status = clv_file_replace(partial->info_path, text.data, text.size_bytes);
    clv_bytes_release(&text);
    clv_json_free(info);
    return status;
}

/* ---- the bytes ---- */

static int read_through(struct clv_partial *partial, struct clv_cancel *cancel)
{
    int status = CLV_OK;
    unsigned char *block = malloc(READ_BYTES);
    if (!block)
        return clv_fail_memory("reading a file");
    while (status == CLV_OK) {
        if (clv_cancelled(cancel)) {
            status = clv_fail(CLV_ECANCELED, "canceled");
            break;
        }
        ssize_t got = read(partial->lock.descriptor, block, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = clv_fail_errno("cannot read '%s'", partial->lock.path);
        if (got <= 0)
            break;
        clv_sha256_add(&partial->sha256, block, (size_t)got);
        partial->size_bytes += got;
    }
    free(block);
    return status;
}

int clv_partial_open(struct clv_partial *out, const char *path, struct clv_cancel *cancel)
{
    char *part = NULL;
    *out = (struct clv_partial){.total_bytes = -1, .lock.descriptor = -1};
    clv_sha256_init(&out->sha256);
    out->path = strdup(path);
    if (!out->path || asprintf(&part, "%s.part", path) < 0) {
        clv_partial_close(out);
        return clv_fail_memory("a path");
    }
    int status = CLV_OK;
    if (asprintf(&out->info_path, "%s.info", part) < 0) {
        out->info_path = NULL;
        status = clv_fail_memory("a path");
    }
    if (status == CLV_OK)
        status = clv_lock_take(&out->lock, part);
    if (status == CLV_OK)
        status = read_through(out, cancel);
    if (status == CLV_OK)
        read_info(out);
    free(part);
    if (status != CLV_OK)
        clv_partial_close(out);
    return status;
}

int clv_partial_add(struct clv_partial *partial, const void *data, size_t size_bytes)
{
    const char *at = data;
    while (size_bytes > 0) {
        ssize_t written =
            pwrite(partial->lock.descriptor, at, size_bytes, (off_t)partial->size_bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return clv_fail_errno("cannot write '%s'", partial->lock.path);
        clv_sha256_add(&partial->sha256, at, (size_t)written);
        at += written;
        partial->size_bytes += written;
        size_bytes -= (size_t)written;
    }
    return CLV_OK;
}

int clv_partial_restart(struct clv_partial *partial)
{
    if (ftruncate(partial->lock.descriptor, 0) != 0)
        return clv_fail_errno("cannot write '%s'", partial->lock.path);
    partial->size_bytes = 0;
    clv_sha256_init(&partial->sha256);
    forget_source(partial);
    unlink(partial->info_path);
    return CLV_OK;
}

void clv_partial_digest(const struct clv_partial *partial, uint8_t out[CLV_DIGEST_BYTES])
{
    struct clv_sha256 copy = partial->sha256;
    clv_sha256_finish(&copy, out);
}

int clv_partial_finish(struct clv_partial *partial)
{
    if (fsync(partial->lock.descriptor) != 0)
        return clv_fail_errno("cannot write '%s'", partial->lock.path);
    if (rename(partial->lock.path, partial->path) != 0)
        return clv_fail_errno("cannot put '%s' in place", partial->path);
    unlink(partial->info_path);
    clv_lock_release(&partial->lock, false);
    return CLV_OK;
}

void clv_partial_close(struct clv_partial *partial)
{
    if (partial->lock.path) {
        /* Asked of the file, which may not have been read through. */
        struct stat facts;
        bool removes = fstat(partial->lock.descriptor, &facts) == 0 && facts.st_size == 0;
        if (removes)
            unlink(partial->info_path);
        clv_lock_release(&partial->lock, removes);
    }
    free(partial->path);
    free(partial->info_path);
    *partial = (struct clv_partial){.lock.descriptor = -1};
}
