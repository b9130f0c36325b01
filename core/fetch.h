/* Downloads over HTTP and HTTPS; the one file that knows libcurl. */
#ifndef CLV_CORE_FETCH_H
#define CLV_CORE_FETCH_H

#include "core/cancel.h"
#include "core/digest.h"

#include <stdbool.h>
#include <stdint.h>

/* Called now and then; `total_bytes` is -1 where it is not known. */
typedef void clv_fetch_progress(int64_t done_bytes, int64_t total_bytes, void *payload);

struct clv_fetch_options {
    const uint8_t *sha256;        /* what the file must be; NULL: anything */
    int64_t size_bytes;           /* what its size must be; 0: anything */
    int stall_s;                  /* give up an attempt after this long without a byte [30] */
    int attempt_max;              /* attempts that gain nothing before giving up [4] */
    struct clv_cancel *cancel;    /* may be NULL */
    clv_fetch_progress *progress; /* may be NULL */
    void *payload;
};

/* Downloads `url` into `path`. Bytes collect in `path`.part, which a later call continues (a Range
 * request that the server must answer for the same file), and which is renamed into place once
 * length and SHA-256 are right; wrong bytes are thrown away. Redirects are followed, from https
 * only to https. CLV_EIO for the network, CLV_ENOTFOUND where the server has no such file,
 * CLV_ECORRUPT where the content is not what was asked for; each names the address. */
int clv_fetch(const char *url, const char *path, const struct clv_fetch_options *options);

/* "libcurl 7.88.1", for `--version`. */
const char *clv_fetch_version(void);

#endif
