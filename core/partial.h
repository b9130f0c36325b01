/* A file that is still being downloaded: PATH.part, locked, its SHA-256 carried along, and beside
 * it PATH.part.info, which says whose bytes they are. Knows nothing of networks. */
#ifndef CLV_CORE_PARTIAL_H
#define CLV_CORE_PARTIAL_H

#include "core/cancel.h"
#include "core/digest.h"
#include "core/lock.h"

#include <stdint.h>

#define CLV_PARTIAL_VALIDATOR_SIZE 256

/* Zero-initialise. */
struct clv_partial {
    char *path;      /* of the finished file */
    char *info_path; /* of what is known about the part */
    struct clv_lock lock;
    int64_t size_bytes; /* so far */
    struct clv_sha256 sha256;
    /* Of the server's file that the bytes are of: */
    char source[CLV_DIGEST_TEXT_SIZE];          /* digest of its address; "" where not known */
    char validator[CLV_PARTIAL_VALIDATOR_SIZE]; /* its ETag or date; "" where there is none */
    int64_t total_bytes;                        /* its size; -1 where not known */
};

/* Opens or makes PATH.part and reads through what it holds. CLV_EBUSY where another process is
 * downloading the same file. */
int clv_partial_open(struct clv_partial *out, const char *path, struct clv_cancel *cancel);
int clv_partial_add(struct clv_partial *partial, const void *data, size_t size_bytes);
/* Back to no bytes. */
int clv_partial_restart(struct clv_partial *partial);
/* Records where the bytes come from, for whoever continues. */
int clv_partial_describe(struct clv_partial *partial, const char *source, const char *validator,
                         int64_t total_bytes);
/* SHA-256 of the bytes so far. */
void clv_partial_digest(const struct clv_partial *partial, uint8_t out[CLV_DIGEST_BYTES]);
/* Puts the finished file in place. */
int clv_partial_finish(struct clv_partial *partial);
/* Keeps what there is for the next time, or removes the part where it is empty. Safe after
 * clv_partial_finish(), and on a zeroed one. */
void clv_partial_close(struct clv_partial *partial);

#endif
