#include "tests/unit/http_server.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DOCUMENTS_MAX = 16, STEPS_MAX = 64, REQUESTS_MAX = 512, URLS_MAX = 256, PIECES = 20 };

const char *const http_step_names[HTTP_STEPS] = {
    "normal",      "ignores-range", "stalls",    "silent",      "truncates",   "claims-more",
    "claims-less", "claims-huge",   "no-length", "wrong-bytes", "wrong-range", "no-validator",
    "404",         "403",           "416",       "500",         "503-later",   "loops",
    "moves",       "to-ftp",        "closes",    "garbage",     "drips",
};

struct document {
    char path[128];
    char *data;
    size_t size_bytes;
    char etag[64];
};

struct http_server {
    int listener;
    int port;
    int stop_pipe[2];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    int open_count; /* connections being served */
    struct document documents[DOCUMENTS_MAX];
    int document_count;
    enum http_step steps[STEPS_MAX];
    int step_count, step_index;
    struct http_request requests[REQUESTS_MAX];
    int request_count;
    char urls[URLS_MAX][192];
    int url_count;
};

struct connection {
    struct http_server *server;
    int socket;
};

/* The answer to one request. */
struct answer {
    enum http_step step;
    int index; /* of the request in the log; -1: not logged */
    char *data;
    int64_t size_bytes;
    char etag[64];
    int64_t start;
};

/* ---- sending ---- */

static bool send_all(int socket, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

static void count_sent(struct http_server *server, const struct answer *answer, int code,
                       int64_t bytes)
{
    pthread_mutex_lock(&server->mutex);
    if (answer->index >= 0) {
        server->requests[answer->index].code = code;
        server->requests[answer->index].sent_bytes += bytes;
    }
    pthread_mutex_unlock(&server->mutex);
}

/* Until the client goes away or the server stops. */
static void wait_for_end(const struct connection *connection)
{
    char byte;
    for (;;) {
        struct pollfd watched[] = {{.fd = connection->socket, .events = POLLIN},
                                   {.fd = connection->server->stop_pipe[0], .events = POLLIN}};
        if (poll(watched, 2, -1) < 0 || watched[1].revents != 0)
            return;
        if (watched[0].revents != 0 && recv(connection->socket, &byte, 1, 0) <= 0)
            return;
    }
}

static void send_code(const struct connection *connection, const struct answer *answer, int code,
                      const char *extra)
{
    char text[512];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %d Whatever\r\nContent-Length: 5\r\nConnection: close\r\n%s\r\n"
                        "page\n",
                        code, extra);
    count_sent(connection->server, answer, code, 0);
    send_all(connection->socket, text, (size_t)size);
}

static void send_headers(const struct connection *connection, const struct answer *answer, int code)
{
    enum http_step step = answer->step;
    char text[512];
    int64_t length = answer->size_bytes - answer->start;
    int used = snprintf(text, sizeof text, "HTTP/1.1 %d Fine\r\nConnection: close\r\n", code);
    if (step == HTTP_CLAIMS_MORE)
        length += 1000;
    if (step == HTTP_CLAIMS_LESS)
        length /= 2;
    if (step == HTTP_CLAIMS_HUGE)
        length = (int64_t)1 << 60;
    if (step != HTTP_NO_LENGTH)
        used += snprintf(text + used, sizeof text - (size_t)used, "Content-Length: %" PRId64 "\r\n",
                         length);
    if (step != HTTP_NO_VALIDATOR && answer->etag[0] != '\0')
        used += snprintf(text + used, sizeof text - (size_t)used, "ETag: %s\r\n", answer->etag);
    if (code == 206)
        used += snprintf(text + used, sizeof text - (size_t)used,
                         "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n",
                         answer->start + (step == HTTP_WRONG_RANGE), answer->size_bytes - 1,
                         answer->size_bytes);
    used += snprintf(text + used, sizeof text - (size_t)used, "\r\n");
    send_all(connection->socket, text, (size_t)used);
}

static void send_body(const struct connection *connection, const struct answer *answer, int code)
{
    struct http_server *server = connection->server;
    const char *data = answer->data + answer->start;
    int64_t left = answer->size_bytes - answer->start;
    send_headers(connection, answer, code);
    count_sent(server, answer, code, 0);
    if (answer->step == HTTP_STALLS || answer->step == HTTP_TRUNCATES)
        left = left / 2 > 0 ? left / 2 : left;
    if (answer->step == HTTP_DRIPS) {
        for (int i = 0; i < PIECES; i++) {
            int64_t from = left * i / PIECES;
            int64_t to = left * (i + 1) / PIECES;
            count_sent(server, answer, code, to - from);
            if (!send_all(connection->socket, data + from, (size_t)(to - from)))
                return;
            struct timespec pause = {.tv_nsec = 60 * 1000 * 1000};
            nanosleep(&pause, NULL);
        }
        return;
    }
    count_sent(server, answer, code, left);
    bool sent = send_all(connection->socket, data, (size_t)left);
    if (sent && (answer->step == HTTP_STALLS))
        wait_for_end(connection);
}

/* ---- answering ---- */

static void answer_document(const struct connection *connection, struct answer *answer,
                            const struct http_request *request)
{
    bool has_range = request->range_start >= 0 && answer->step != HTTP_IGNORES_RANGE;
    if (request->if_range[0] != '\0' && strcmp(request->if_range, answer->etag) != 0)
        has_range = false;
    if (answer->step == HTTP_WRONG_BYTES && answer->size_bytes > 0)
        answer->data[answer->size_bytes - 1] ^= 1;
    if (has_range && request->range_start >= answer->size_bytes) {
        char extra[64];
        snprintf(extra, sizeof extra, "Content-Range: bytes */%" PRId64 "\r\n", answer->size_bytes);
        send_code(connection, answer, 416, extra);
        return;
    }
    answer->start = has_range ? request->range_start : 0;
    send_body(connection, answer, has_range ? 206 : 200);
}

static void answer_request(const struct connection *connection, struct answer *answer,
                           const struct http_request *request)
{
    char extra[256];
    switch (answer->step) {
    case HTTP_404:
        send_code(connection, answer, 404, "");
        return;
    case HTTP_403:
        send_code(connection, answer, 403, "");
        return;
    case HTTP_416:
        send_code(connection, answer, 416, "");
        return;
    case HTTP_500:
        send_code(connection, answer, 500, "");
        return;
    case HTTP_503_LATER:
        send_code(connection, answer, 503, "Retry-After: 1\r\n");
        return;
    case HTTP_LOOPS:
        snprintf(extra, sizeof extra, "Location: %s\r\n", request->path);
        send_code(connection, answer, 302, extra);
        return;
    case HTTP_MOVES:
        snprintf(extra, sizeof extra, "Location: /real%s\r\n", request->path);
        send_code(connection, answer, 301, extra);
        return;
    case HTTP_TO_FTP:
        send_code(connection, answer, 302, "Location: ftp://127.0.0.1/file\r\n");
        return;
    case HTTP_SILENT:
        wait_for_end(connection);
        return;
    case HTTP_GARBAGE:
        send_all(connection->socket, "\1\2\3 nothing of the kind\r\n\r\n", 27);
        return;
    case HTTP_CLOSES:
        return;
    default:
        break;
    }
    if (answer->data == NULL)
        send_code(connection, answer, 404, "");
    else
        answer_document(connection, answer, request);
}

/* ---- requests ---- */

static bool read_request(int socket, char *text, size_t size)
{
    size_t used = 0;
    while (used + 1 < size) {
        ssize_t got = recv(socket, text + used, size - used - 1, 0);
        if (got <= 0)
            return false;
        used += (size_t)got;
        text[used] = '\0';
        if (strstr(text, "\r\n\r\n") != NULL)
            return true;
    }
    return false;
}

static void parse_request(struct http_request *out, const char *text)
{
    *out = (struct http_request){.range_start = -1};
    sscanf(text, "%*15s %127s", out->path);
    const char *range = strcasestr(text, "\r\nRange: bytes=");
    if (range != NULL)
        out->range_start = strtoll(range + 15, NULL, 10);
    const char *validator = strcasestr(text, "\r\nIf-Range: ");
    if (validator != NULL)
        sscanf(validator + 12, "%127[^\r]", out->if_range);
}

static const struct document *find(const struct http_server *server, const char *path)
{
    if (strncmp(path, "/real/", 6) == 0)
        path += 5;
    for (int i = 0; i < server->document_count; i++) {
        if (strcmp(server->documents[i].path, path) == 0)
            return &server->documents[i];
    }
    return NULL;
}

static void *serve(void *payload)
{
    struct connection connection = *(struct connection *)payload;
    struct http_server *server = connection.server;
    struct http_request request;
    struct answer answer = {.index = -1};
    char text[8192];
    free(payload);
    if (read_request(connection.socket, text, sizeof text)) {
        parse_request(&request, text);
        pthread_mutex_lock(&server->mutex);
        if (server->request_count < REQUESTS_MAX) {
            answer.index = server->request_count++;
            server->requests[answer.index] = request;
        }
        answer.step = server->step_index < server->step_count ? server->steps[server->step_index++]
                                                              : HTTP_NORMAL;
        const struct document *document = find(server, request.path);
        if (document != NULL) {
            answer.data = malloc(document->size_bytes + 1);
            memcpy(answer.data, document->data, document->size_bytes);
            answer.size_bytes = (int64_t)document->size_bytes;
            snprintf(answer.etag, sizeof answer.etag, "%s", document->etag);
        }
        pthread_mutex_unlock(&server->mutex);
        answer_request(&connection, &answer, &request);
    }
    free(answer.data);
    shutdown(connection.socket, SHUT_WR);
    close(connection.socket);
    pthread_mutex_lock(&server->mutex);
    server->open_count--;
    pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}

static void *accept_all(void *payload)
{
    struct http_server *server = payload;
    for (;;) {
        struct pollfd watched[] = {{.fd = server->listener, .events = POLLIN},
                                   {.fd = server->stop_pipe[0], .events = POLLIN}};
        if (poll(watched, 2, -1) < 0 || watched[1].revents != 0)
            return NULL;
        int socket = accept(server->listener, NULL, NULL);
        struct connection *connection = socket < 0 ? NULL : malloc(sizeof *connection);
        if (connection == NULL)
            continue;
        *connection = (struct connection){server, socket};
        pthread_t thread;
        pthread_mutex_lock(&server->mutex);
        server->open_count++;
        pthread_mutex_unlock(&server->mutex);
        if (pthread_create(&thread, NULL, serve, connection) == 0)
            pthread_detach(thread);
        else
            abort();
    }
}

/* ---- starting and stopping ---- */

struct http_server *http_server_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listener, 16) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &size) != 0 ||
        pipe(server->stop_pipe) != 0) {
        free(server);
        return NULL;
    }
    server->port = ntohs(address.sin_port);
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->idle, NULL);
    if (pthread_create(&server->thread, NULL, accept_all, server) != 0)
        abort();
    return server;
}

void http_server_stop(struct http_server *server)
{
    if (server == NULL)
        return;
    /* Nobody reads it: it stays readable for everyone who waits. */
    if (write(server->stop_pipe[1], "x", 1) != 1)
        abort();
    pthread_join(server->thread, NULL);
    pthread_mutex_lock(&server->mutex);
    while (server->open_count > 0)
        pthread_cond_wait(&server->idle, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
    close(server->listener);
    close(server->stop_pipe[0]);
    close(server->stop_pipe[1]);
    for (int i = 0; i < server->document_count; i++)
        free(server->documents[i].data);
    pthread_mutex_destroy(&server->mutex);
    pthread_cond_destroy(&server->idle);
    free(server);
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

const char *http_server_url(struct http_server *server, const char *path)
{
    char *url = server->urls[server->url_count++ % URLS_MAX];
    snprintf(url, sizeof server->urls[0], "http://127.0.0.1:%d%s", server->port, path);
    return url;
}

void http_server_put(struct http_server *server, const char *path, const void *data,
                     size_t size_bytes, const char *etag)
{
    pthread_mutex_lock(&server->mutex);
    struct document *document = (struct document *)(uintptr_t)find(server, path);
    if (document == NULL && server->document_count < DOCUMENTS_MAX)
        document = &server->documents[server->document_count++];
    if (document == NULL)
        abort();
    free(document->data);
    document->data = malloc(size_bytes + 1);
    memcpy(document->data, data, size_bytes);
    document->size_bytes = size_bytes;
    snprintf(document->path, sizeof document->path, "%s", path);
    snprintf(document->etag, sizeof document->etag, "%s", etag);
    pthread_mutex_unlock(&server->mutex);
}

void http_server_script(struct http_server *server, const enum http_step *steps, int count)
{
    pthread_mutex_lock(&server->mutex);
    server->step_count = count < STEPS_MAX ? count : STEPS_MAX;
    if (server->step_count > 0)
        memcpy(server->steps, steps, (size_t)server->step_count * sizeof *steps);
    server->step_index = 0;
    server->request_count = 0;
    pthread_mutex_unlock(&server->mutex);
}

int http_server_request_count(struct http_server *server)
{
    pthread_mutex_lock(&server->mutex);
    int count = server->request_count;
    pthread_mutex_unlock(&server->mutex);
    return count;
}

struct http_request http_server_request(struct http_server *server, int index)
{
    struct http_request request = {.range_start = -2};
    pthread_mutex_lock(&server->mutex);
    if (index < server->request_count)
        request = server->requests[index];
    pthread_mutex_unlock(&server->mutex);
    return request;
}
