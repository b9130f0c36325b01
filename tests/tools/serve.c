/* Serves the files of a directory on a free port of loopback until it is killed, for the tests of
 * `model pull`.
 *   serve DIRECTORY [STEP…]     prints "http://127.0.0.1:PORT/" and, when it is ended, what was
 * asked of it: lines "PATH RANGE-START CODE SENT-BYTES" The first requests get the steps named
 * (tests/unit/http_server.h), later ones "normal". */
#include "core/file.h"
#include "tests/unit/http_server.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STEPS_MAX = 32 };

static volatile sig_atomic_t is_stopping;
static void stop(int number)
{
    (void)number;
    is_stopping = 1;
}

static int put_files(struct http_server *server, const char *directory)
{
    DIR *listing = opendir(directory);
    const struct dirent *entry;
    int count = 0;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char path[4096], name[300], etag[32];
        struct clv_map map;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        snprintf(name, sizeof name, "/%s", entry->d_name);
        if (entry->d_name[0] == '.' || clv_map_open(&map, path) != 0)
            continue;
        snprintf(etag, sizeof etag, "\"%zu\"", map.size_bytes);
        http_server_put(server, name, map.data, map.size_bytes, etag);
        clv_map_release(&map);
        count++;
    }
    if (listing != NULL)
        closedir(listing);
    return count;
}

int main(int argc, char **argv)
{
    enum http_step steps[STEPS_MAX];
    int step_count = 0;
    for (int i = 2; i < argc && step_count < STEPS_MAX; i++) {
        for (int step = 0; step < HTTP_STEPS; step++) {
            if (strcmp(argv[i], http_step_names[step]) == 0)
                steps[step_count++] = (enum http_step)step;
        }
        if (step_count != i - 1) {
            fprintf(stderr, "serve: there is no step '%s'\n", argv[i]);
            return 2;
        }
    }
    struct http_server *server = argc < 2 ? NULL : http_server_start();
    if (server == NULL || put_files(server, argv[1]) == 0) {
        fprintf(stderr, "usage: serve DIRECTORY [STEP...]\n");
        http_server_stop(server);
        return 2;
    }
    http_server_script(server, steps, step_count);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    printf("%s\n", http_server_url(server, "/"));
    fflush(stdout);
    while (!is_stopping) {
        struct timespec pause = {.tv_nsec = 20 * 1000000};
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < http_server_request_count(server); i++) {
        struct http_request request = http_server_request(server, i);
        printf("%s %" PRId64 " %d %" PRId64 "\n", request.path, request.range_start, request.code,
               request.sent_bytes);
    }
    http_server_stop(server);
    return 0;
}
