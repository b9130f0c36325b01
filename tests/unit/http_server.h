/* A small HTTP/1.1 server on loopback that misbehaves on request. It serves documents from memory,
 * takes what to do from a script, one step a request, and keeps a log. */
#ifndef CLV_TESTS_HTTP_SERVER_H
#define CLV_TESTS_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

enum http_step {
    HTTP_NORMAL, /* Range and If-Range are honoured */
    HTTP_IGNORES_RANGE,
    HTTP_STALLS,      /* half of what is left, then nothing, for ever */
    HTTP_SILENT,      /* not even a header */
    HTTP_TRUNCATES,   /* half of what is left, then closes */
    HTTP_CLAIMS_MORE, /* Content-Length is 1000 too large */
    HTTP_CLAIMS_LESS, /* Content-Length is half of it */
    HTTP_CLAIMS_HUGE, /* Content-Length is 2^60 */
    HTTP_NO_LENGTH,   /* ends by closing */
    HTTP_WRONG_BYTES, /* the last byte is another */
    HTTP_WRONG_RANGE, /* 206, but one byte further on */
    HTTP_NO_VALIDATOR,
    HTTP_404,
    HTTP_403,
    HTTP_416,
    HTTP_500,
    HTTP_503_LATER, /* Retry-After: 1 */
    HTTP_LOOPS,     /* redirects to itself */
    HTTP_MOVES,     /* redirects to "/real" and its own path */
    HTTP_TO_FTP,    /* redirects to an ftp address */
    HTTP_CLOSES,    /* at once */
    HTTP_GARBAGE,   /* no HTTP */
    HTTP_DRIPS,     /* twenty pieces with pauses */
    HTTP_STEPS,
};
/* "normal", "ignores-range", … in the same order. */
extern const char *const http_step_names[HTTP_STEPS];

struct http_request {
    char path[128];
    int64_t range_start; /* -1: no Range */
    char if_range[128];
    int code;
    int64_t sent_bytes; /* of the body */
};

struct http_server;

/* Listens on a free port of 127.0.0.1; NULL where that cannot be. */
struct http_server *http_server_start(void);
void http_server_stop(struct http_server *server);
int http_server_port(const struct http_server *server);
/* "http://127.0.0.1:PORT" and `path`, in a buffer that lives as long as the server. */
const char *http_server_url(struct http_server *server, const char *path);
/* Adds the document, or replaces it; the bytes are copied. */
void http_server_put(struct http_server *server, const char *path, const void *data,
                     size_t size_bytes, const char *etag);
/* What the next requests get, one step each; after them, HTTP_NORMAL. A path of "/real/…" is that
 * of the document without "/real". Clears the log. */
void http_server_script(struct http_server *server, const enum http_step *steps, int count);
int http_server_request_count(struct http_server *server);
struct http_request http_server_request(struct http_server *server, int index);

#endif
