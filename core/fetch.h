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
    uint8_t *sha256_out;          /* what it turned out to be; may be NULL */
    int stall_s;                  /* give up an attempt after this long without a byte [30] */
    int attempt_max;              /* attempts in a row that gain nothing before giving up [4] */
    int pause_ms;                 /* before the first new attempt; twice that each time [500] */
    struct clv_cancel *cancel;    /* may be NULL */
    clv_fetch_progress *progress; /* may be NULL */
    void *payload;
};

/* Downloads `url` into `path`. Bytes collect in `path`.part, which a later call continues (a Range
 * request that the server must answer for the same file), and which is renamed into place once
 * length and SHA-256 are right; wrong bytes are thrown away. Redirects are followed, from https
 * only to https; proxies are those of the usual environment variables. CLV_EIO for the network and
 * the disk, CLV_ENOTFOUND where the server has no such file, CLV_ECORRUPT where the content is not
 * what was asked for, CLV_EBUSY where another process downloads into `path`, CLV_ECANCELED; each
 * names the address (without what may be a password in it) or the file. */
int clv_fetch(const char *url, const char *path, const struct clv_fetch_options *options);

/* True for an http or https address. */
bool clv_fetch_is_address(const char *text);
/* True where a server at `from` may send us on to `to`. */
bool clv_fetch_may_redirect(const char *from, const char *to);

/* "libcurl 7.88.1", for `--version`. */
const char *clv_fetch_version(void);

#endif
