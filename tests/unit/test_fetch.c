/* Downloads from a server that stalls, truncates, lies about its length and serves wrong bytes. */
#include "core/clock.h"
#include "core/error.h"
#include "core/fetch.h"
#include "core/file.h"
#include "core/lock.h"
#include "tests/t.h"
#include "tests/unit/http_server.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SIZE 300000
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static struct http_server *server;
static const char *directory;
static unsigned char document[SIZE];
static uint8_t sha256[CLV_DIGEST_BYTES];

/* A fresh name to download to, and the server doing as told. */
static const char *prepare(const enum http_step *steps, int count)
{
    static int number;
    char name[32];
    snprintf(name, sizeof name, "file-%d", number++);
    http_server_put(server, "/file", document, SIZE, "\"one\"");
    http_server_script(server, steps, count);
    return t_path(directory, name);
}

/* Quick to give up. */
static struct clv_fetch_options quick(void)
{
    return (struct clv_fetch_options){
        .sha256 = sha256, .size_bytes = SIZE, .stall_s = 1, .attempt_max = 3, .pause_ms = 2};
}

static int get(const char *path, const struct clv_fetch_options *options)
{
    return clv_fetch(http_server_url(server, "/file"), path, options);
}

static const char *part_of(const char *path)
{
    char name[64];
    snprintf(name, sizeof name, "%s.part", clv_path_base(path));
    return t_path(directory, name);
}

static void check_content(const char *path)
{
    struct clv_map map;
    char info[64];
    REQUIRE_OK(clv_map_open(&map, path));
    CHECK_INT(map.size_bytes, SIZE);
    CHECK(map.size_bytes == SIZE && memcmp(map.data, document, SIZE) == 0);
    clv_map_release(&map);
    snprintf(info, sizeof info, "%s.part.info", clv_path_base(path));
    CHECK(!clv_file_exists(part_of(path)));
    CHECK(!clv_file_exists(t_path(directory, info)));
}

static void check_nothing_left(const char *path)
{
    CHECK(!clv_file_exists(path));
    CHECK(!clv_file_exists(part_of(path)));
}

static int64_t size_of(const char *path)
{
    struct clv_file_facts facts;
    return clv_file_facts(&facts, path) == CLV_OK ? facts.size_bytes : -1;
}

static void a_whole_file_comes(void)
{
    uint8_t got[CLV_DIGEST_BYTES];
    const char *path = prepare(NULL, 0);
    struct clv_fetch_options options = quick();
    options.sha256_out = got;
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK(memcmp(got, sha256, sizeof got) == 0);
    CHECK_INT(http_server_request_count(server), 1);
    CHECK_INT(http_server_request(server, 0).range_start, -1);

    /* Nothing is known of it: not its digest, not its size. */
    path = prepare(NULL, 0);
    REQUIRE_OK(get(path, NULL));
    check_content(path);

    /* One that was there is replaced. */
    REQUIRE_OK(clv_file_replace(path, "old", 3));
    REQUIRE_OK(get(path, &options));
    check_content(path);
}

static void an_empty_file_comes(void)
{
    const char *path = prepare(NULL, 0);
    http_server_put(server, "/empty", "", 0, "\"none\"");
    REQUIRE_OK(clv_fetch(http_server_url(server, "/empty"), path, NULL));
    CHECK_INT(size_of(path), 0);
}

/* Each step breaks the download off; the rest is asked for, and only the rest is sent. */
static void broken_downloads_continue(void)
{
    static const enum http_step breaks[] = {HTTP_TRUNCATES, HTTP_STALLS};
    for (int i = 0; i < COUNT(breaks); i++) {
        const char *path = prepare(&breaks[i], 1);
        struct clv_fetch_options options = quick();
        REQUIRE_OK(get(path, &options));
        check_content(path);
        CHECK_INT(http_server_request_count(server), 2);
        CHECK_INT(http_server_request(server, 0).sent_bytes, SIZE / 2);
        struct http_request rest = http_server_request(server, 1);
        CHECK_INT(rest.range_start, SIZE / 2);
        CHECK_INT(rest.sent_bytes, SIZE - SIZE / 2);
        CHECK_INT(rest.code, 206);
        CHECK_STRING(rest.if_range, "\"one\"");
    }
}

static void a_later_call_continues(void)
{
    static const enum http_step steps[] = {HTTP_TRUNCATES, HTTP_500, HTTP_500, HTTP_500};
    for (int with_digest = 0; with_digest < 2; with_digest++) {
        const char *path = prepare(steps, COUNT(steps));
        struct clv_fetch_options options = quick();
        if (!with_digest)
            options.sha256 = NULL;
        CHECK_ERROR(get(path, &options), CLV_EIO, "/file': the server answers 500");
        CHECK(!clv_file_exists(path));
        CHECK_INT(size_of(part_of(path)), SIZE / 2);
        http_server_script(server, NULL, 0);
        REQUIRE_OK(get(path, &options));
        check_content(path);
        CHECK_INT(http_server_request_count(server), 1);
        CHECK_INT(http_server_request(server, 0).range_start, SIZE / 2);
        CHECK_INT(http_server_request(server, 0).sent_bytes, SIZE - SIZE / 2);
    }
}

/* Half of it, and half of the rest, and so on. */
static void any_number_of_breaks_is_fine_while_something_comes(void)
{
    enum http_step steps[12];
    for (int i = 0; i < COUNT(steps); i++)
        steps[i] = HTTP_TRUNCATES;
    const char *path = prepare(steps, COUNT(steps));
    struct clv_fetch_options options = quick();
    options.attempt_max = 1;
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), COUNT(steps) + 1);
    int64_t sent = 0;
    for (int i = 0; i <= COUNT(steps); i++)
        sent += http_server_request(server, i).sent_bytes;
    CHECK_INT(sent, SIZE);
}

static void a_server_without_ranges_starts_over(void)
{
    static const enum http_step steps[] = {HTTP_TRUNCATES, HTTP_IGNORES_RANGE};
    const char *path = prepare(steps, COUNT(steps));
    struct clv_fetch_options options = quick();
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 2);
    CHECK_INT(http_server_request(server, 1).range_start, SIZE / 2);
    CHECK_INT(http_server_request(server, 1).code, 200);
    CHECK_INT(http_server_request(server, 1).sent_bytes, SIZE);
}

/* Without ever getting further, it ends. */
static void no_gain_ends(void)
{
    enum http_step steps[20];
    for (int i = 0; i < COUNT(steps); i++)
        steps[i] = HTTP_CLOSES;
    steps[0] = HTTP_TRUNCATES;
    const char *path = prepare(steps, COUNT(steps));
    struct clv_fetch_options options = quick();
    CHECK_ERROR(get(path, &options), CLV_EIO, "cannot download 'http://127.0.0.1:");
    CHECK_INT(http_server_request_count(server), 1 + 3);
    CHECK_INT(size_of(part_of(path)), SIZE / 2);
}

static void a_changed_file_is_begun_anew(void)
{
    static const enum http_step steps[] = {HTTP_TRUNCATES, HTTP_500, HTTP_500, HTTP_500};
    const char *path = prepare(steps, COUNT(steps));
    struct clv_fetch_options options = quick();
    options.sha256 = NULL;
    CHECK_ERROR(get(path, &options), CLV_EIO, "500");
    document[0] ^= 1;
    http_server_put(server, "/file", document, SIZE, "\"two\"");
    http_server_script(server, NULL, 0);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_STRING(http_server_request(server, 0).if_range, "\"one\"");
    CHECK_INT(http_server_request(server, 0).code, 200);
    CHECK_INT(http_server_request(server, 0).sent_bytes, SIZE);
    document[0] ^= 1;
}

/* Without a validator and without a digest nothing says that the parts belong together. */
static void unknown_parts_are_not_continued(void)
{
    static const enum http_step steps[] = {HTTP_NO_VALIDATOR};
    const char *path = prepare(steps, COUNT(steps));
    REQUIRE_OK(clv_file_replace(part_of(path), document, 1000));
    struct clv_fetch_options options = quick();
    options.sha256 = NULL;
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request(server, 0).range_start, -1);

    /* With a digest, they are: it will show. */
    path = prepare(steps, COUNT(steps));
    REQUIRE_OK(clv_file_replace(part_of(path), document, 1000));
    options.sha256 = sha256;
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request(server, 0).range_start, 1000);
    CHECK_STRING(http_server_request(server, 0).if_range, "");
}

/* A part that turns out wrong at the end costs one more download, of the whole. */
static void a_wrong_part_is_found_out(void)
{
    const char *path = prepare(NULL, 0);
    unsigned char wrong[1000];
    memcpy(wrong, document, sizeof wrong);
    wrong[500] ^= 1;
    REQUIRE_OK(clv_file_replace(part_of(path), wrong, sizeof wrong));
    struct clv_fetch_options options = quick();
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 2);
    CHECK_INT(http_server_request(server, 0).range_start, 1000);
    CHECK_INT(http_server_request(server, 1).range_start, -1);

    /* So does one that is longer than the file. */
    path = prepare(NULL, 0);
    unsigned char *longer = calloc(1, SIZE + 5);
    REQUIRE(longer != NULL);
    REQUIRE_OK(clv_file_replace(part_of(path), longer, SIZE + 5));
    free(longer);
    REQUIRE_OK(get(path, &options));
    check_content(path);
}

/* Stopped between the last byte and the rename. */
static void a_whole_part_needs_no_server(void)
{
    const char *path = prepare(NULL, 0);
    REQUIRE_OK(clv_file_replace(part_of(path), document, SIZE));
    struct clv_fetch_options options = quick();
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 0);
}

static void a_416_is_understood(void)
{
    /* Everything is there, says the server: its file is the same. */
    static const enum http_step cut[] = {HTTP_TRUNCATES, HTTP_500, HTTP_500, HTTP_500};
    const char *path = prepare(cut, COUNT(cut));
    struct clv_fetch_options options = quick();
    options.sha256 = NULL;
    options.size_bytes = 0;
    CHECK_ERROR(get(path, &options), CLV_EIO, "500");
    REQUIRE_OK(clv_file_replace(part_of(path), document, SIZE));
    http_server_script(server, NULL, 0);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 1);
    CHECK_INT(http_server_request(server, 0).code, 416);

    /* A server that has nothing from there on, for no reason. */
    static const enum http_step refused[] = {HTTP_TRUNCATES, HTTP_416};
    path = prepare(refused, COUNT(refused));
    options = quick();
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 3);
    CHECK_INT(http_server_request(server, 2).range_start, -1);
}

static void a_part_of_another_place_is_refused(void)
{
    static const enum http_step steps[] = {HTTP_TRUNCATES, HTTP_WRONG_RANGE};
    const char *path = prepare(steps, COUNT(steps));
    struct clv_fetch_options options = quick();
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 3);
    CHECK_INT(http_server_request(server, 2).range_start, -1);
}

static void lies_about_the_length_are_found_out(void)
{
    struct clv_fetch_options options = quick();
    static const enum http_step more[] = {HTTP_CLAIMS_MORE};
    static const enum http_step less[] = {HTTP_CLAIMS_LESS};

    /* The size is known: either is another file. */
    const char *path = prepare(more, 1);
    CHECK_ERROR(get(path, &options), CLV_ECORRUPT, "it has 301000 bytes, not 300000");
    check_nothing_left(path);
    path = prepare(less, 1);
    CHECK_ERROR(get(path, &options), CLV_ECORRUPT, "it has 150000 bytes, not 300000");
    check_nothing_left(path);

    /* Only the digest is known: it is right in spite of the longer length. */
    options.size_bytes = 0;
    path = prepare(more, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 1);
    path = prepare(less, 1);
    CHECK_ERROR(get(path, &options), CLV_ECORRUPT, "and was thrown away: its SHA-256 is ");
    check_nothing_left(path);

    /* Only the server's word, which it takes back: there is nothing after the last byte. */
    options.sha256 = NULL;
    path = prepare(more, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request(server, 1).code, 416);
}

static void a_length_that_fits_nowhere_is_said(void)
{
    static const enum http_step huge[] = {HTTP_CLAIMS_HUGE};
    struct clv_fetch_options options = quick();
    options.size_bytes = 0;
    const char *path = prepare(huge, 1);
    CHECK_ERROR(get(path, &options), CLV_EIO, "': 1152921504606846976 more bytes are needed, ");
    check_nothing_left(path);
    CHECK_INT(http_server_request_count(server), 1);

    /* Known before anything is asked for. */
    options.size_bytes = (int64_t)1 << 60;
    path = prepare(NULL, 0);
    CHECK_ERROR(get(path, &options), CLV_EIO, "there is no room for ");
    CHECK_INT(http_server_request_count(server), 0);
}

static void a_length_that_is_not_said_is_fine(void)
{
    static const enum http_step steps[] = {HTTP_NO_LENGTH};
    struct clv_fetch_options options = quick();
    const char *path = prepare(steps, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    path = prepare(steps, 1);
    REQUIRE_OK(get(path, NULL));
    check_content(path);

    /* Longer than it may be: stopped at once. */
    options.sha256 = NULL;
    options.size_bytes = 1000;
    path = prepare(steps, 1);
    CHECK_ERROR(get(path, &options), CLV_ECORRUPT, "it has more than 1000 bytes");
    check_nothing_left(path);
    options.size_bytes = SIZE + 1;
    path = prepare(steps, 1);
    CHECK_ERROR(get(path, &options), CLV_ECORRUPT, "it has 300000 bytes, not 300001");
    check_nothing_left(path);
}

static void wrong_bytes_are_thrown_away(void)
{
    static const enum http_step steps[] = {HTTP_WRONG_BYTES};
    char want[CLV_DIGEST_TEXT_SIZE];
    struct clv_fetch_options options = quick();
    const char *path = prepare(steps, 1);
    CHECK_ERROR(get(path, &options), CLV_ECORRUPT, clv_digest_text(want, sha256));
    CHECK_INT(http_server_request_count(server), 1);
    check_nothing_left(path);
}

static void missing_files_are_not_tried_again(void)
{
    static const enum http_step missing[] = {HTTP_404};
    static const enum http_step forbidden[] = {HTTP_403};
    struct clv_fetch_options options = quick();
    const char *path = prepare(missing, 1);
    CHECK_ERROR(get(path, &options), CLV_ENOTFOUND, "/file' (the server answers 404)");
    CHECK_INT(http_server_request_count(server), 1);
    check_nothing_left(path);
    path = prepare(forbidden, 1);
    CHECK_ERROR(get(path, &options), CLV_EIO, "the server answers 403");
    CHECK_INT(http_server_request_count(server), 1);
}

static void passing_trouble_is_outlasted(void)
{
    static const enum http_step steps[] = {HTTP_500, HTTP_CLOSES};
    static const enum http_step garbage[] = {HTTP_GARBAGE};
    static const enum http_step silent[] = {HTTP_SILENT};
    static const enum http_step later[] = {HTTP_503_LATER};
    struct clv_fetch_options options = quick();
    const char *path = prepare(steps, COUNT(steps));
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 3);
    path = prepare(garbage, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    path = prepare(silent, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    /* The server says for how long. */
    double begin_s = clv_clock_seconds();
    path = prepare(later, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK(clv_clock_seconds() - begin_s >= 0.99);
}

static void redirects_are_followed_within_reason(void)
{
    static const enum http_step moves[] = {HTTP_MOVES};
    static const enum http_step elsewhere[] = {HTTP_TO_FTP};
    enum http_step loops[20];
    for (int i = 0; i < COUNT(loops); i++)
        loops[i] = HTTP_LOOPS;
    struct clv_fetch_options options = quick();
    const char *path = prepare(moves, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_STRING(http_server_request(server, 1).path, "/real/file");
    path = prepare(loops, COUNT(loops));
    CHECK_ERROR(get(path, &options), CLV_EIO, "it was redirected more than 8 times, last to ");
    CHECK_INT(http_server_request_count(server), 9);
    check_nothing_left(path);
    path = prepare(elsewhere, 1);
    CHECK_ERROR(get(path, &options), CLV_EIO, "it redirects to 'ftp://127.0.0.1/file'");
    check_nothing_left(path);

    /* From https only to https. */
    CHECK(clv_fetch_may_redirect("http://a/b", "https://c/d"));
    CHECK(clv_fetch_may_redirect("http://a/b", "http://c/d"));
    CHECK(clv_fetch_may_redirect("https://a/b", "HTTPS://c/d"));
    CHECK(!clv_fetch_may_redirect("https://a/b", "http://c/d"));
    CHECK(!clv_fetch_may_redirect("HTTPS://a/b", "http://c/d"));
    CHECK(!clv_fetch_may_redirect("http://a/b", "file:///etc/passwd"));
    CHECK(!clv_fetch_may_redirect("http://a/b", "/etc/passwd"));
}

static void addresses_are_checked(void)
{
    const char *path = prepare(NULL, 0);
    static const char *const bad[] = {"ftp://127.0.0.1/x", "file:///etc/passwd", "x", ""};
    for (int i = 0; i < COUNT(bad); i++)
        CHECK_ERROR(clv_fetch(bad[i], path, NULL), CLV_EINVAL, "is no http or https address");
    CHECK_ERROR(clv_fetch("http://:bad:port/", path, NULL), CLV_EIO, "cannot download");
    /* What may be a secret is not shown. */
    struct clv_fetch_options options = quick();
    CHECK_ERROR(clv_fetch("http://me:word@127.0.0.1:1/a?key=secret#x", path, &options), CLV_EIO,
                "cannot download 'http://127.0.0.1:1/a': ");
    CHECK(strstr(clv_error_message(), "secret") == NULL &&
          strstr(clv_error_message(), "word") == NULL);
    check_nothing_left(path);
}

/* No network: at once, with the host and the reason. */
static void no_network_is_said_at_once(void)
{
    struct clv_fetch_options options = quick();
    options.pause_ms = 60000;
    const char *path = prepare(NULL, 0);
    CHECK_ERROR(clv_fetch("http://127.0.0.1:1/file", path, &options), CLV_EIO,
                "cannot download 'http://127.0.0.1:1/file': Failed to connect to 127.0.0.1");
    CHECK_ERROR(clv_fetch("http://nowhere.invalid/file", path, &options), CLV_EIO,
                "cannot download 'http://nowhere.invalid/file': Could not resolve host: "
                "nowhere.invalid");
    check_nothing_left(path);
}

/* ---- cancelling ---- */

struct watch {
    struct clv_cancel cancel;
    int64_t stop_at; /* bytes */
    int64_t done, total;
    int calls;
};

static void observe(int64_t done, int64_t total, void *payload)
{
    struct watch *watch = payload;
    CHECK(done >= watch->done);
    watch->done = done;
    watch->total = total;
    watch->calls++;
    if (watch->stop_at > 0 && done >= watch->stop_at)
        clv_cancel_request(&watch->cancel);
}

static void slow_servers_are_waited_for(void)
{
    static const enum http_step drips[] = {HTTP_DRIPS};
    struct watch watch = {0};
    struct clv_fetch_options options = quick();
    options.progress = observe;
    options.payload = &watch;
    const char *path = prepare(drips, 1);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request_count(server), 1);
    CHECK_INT(watch.done, SIZE);
    CHECK_INT(watch.total, SIZE);
    CHECK(watch.calls >= 10);
}

static void cancelling_keeps_what_came(void)
{
    static const enum http_step drips[] = {HTTP_DRIPS};
    struct watch watch = {.stop_at = SIZE / 4};
    struct clv_fetch_options options = quick();
    options.progress = observe;
    options.payload = &watch;
    options.cancel = &watch.cancel;
    const char *path = prepare(drips, 1);
    CHECK_ERROR(get(path, &options), CLV_ECANCELED, "the same command goes on from there");
    CHECK(!clv_file_exists(path));
    int64_t kept = size_of(part_of(path));
    CHECK(kept >= SIZE / 4 && kept < SIZE);
    /* Cancelled before it begins, or while it reads what is there: nothing is lost. */
    CHECK_INT(get(path, &options), CLV_ECANCELED);
    CHECK_INT(size_of(part_of(path)), kept);
    http_server_script(server, NULL, 0);
    options = quick();
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request(server, 0).range_start, kept);
    CHECK_INT(http_server_request(server, 0).sent_bytes, SIZE - kept);
}

static void *cancel_soon(void *payload)
{
    struct timespec pause = {.tv_nsec = 150 * 1000 * 1000};
    nanosleep(&pause, NULL);
    clv_cancel_request(payload);
    return NULL;
}

/* A server that says nothing, and the pause before another attempt, hold nobody up. */
static void cancelling_works_while_nothing_comes(void)
{
    static const enum http_step steps[][2] = {{HTTP_SILENT, HTTP_SILENT}, {HTTP_500, HTTP_500}};
    for (int i = 0; i < 2; i++) {
        struct clv_cancel cancel = {0};
        struct clv_fetch_options options = quick();
        options.stall_s = 60;
        options.pause_ms = 60000;
        options.cancel = &cancel;
        const char *path = prepare(steps[i], 2);
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, cancel_soon, &cancel) == 0);
        double begin_s = clv_clock_seconds();
        CHECK_ERROR(get(path, &options), CLV_ECANCELED, "stopped at 0 bytes");
        CHECK(clv_clock_seconds() - begin_s < 2);
        pthread_join(thread, NULL);
        check_nothing_left(path);
    }
}

/* ---- the disk, and others ---- */

static void a_full_disk_loses_nothing(void)
{
    struct rlimit before;
    struct clv_fetch_options options = quick();
    const char *path = prepare(NULL, 0);
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    struct rlimit small = {.rlim_cur = SIZE / 2, .rlim_max = before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    int status = get(path, &options);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_ERROR(status, CLV_EIO, ".part': File too large");
    CHECK_INT(size_of(part_of(path)), SIZE / 2);
    http_server_script(server, NULL, 0);
    REQUIRE_OK(get(path, &options));
    check_content(path);
    CHECK_INT(http_server_request(server, 0).range_start, SIZE / 2);
}

static void places_that_cannot_be_written_are_named(void)
{
    prepare(NULL, 0);
    CHECK_ERROR(get(t_path(directory, "no/such/file"), NULL), CLV_ENOTFOUND, "/no/such/file.part'");
    CHECK_INT(http_server_request_count(server), 0);
}

static void only_one_downloads_a_file(void)
{
    struct clv_lock lock;
    struct clv_fetch_options options = quick();
    const char *path = prepare(NULL, 0);
    REQUIRE_OK(clv_lock_take(&lock, part_of(path)));
    CHECK_ERROR(get(path, &options), CLV_EBUSY, ".part' is in use by another process");
    CHECK_INT(http_server_request_count(server), 0);
    clv_lock_release(&lock, true);
    CHECK(!clv_file_exists(part_of(path)));
    REQUIRE_OK(get(path, &options));
    check_content(path);
    clv_lock_release(&lock, true);
}

static void *get_one(void *payload)
{
    struct clv_fetch_options options = quick();
    int *status = malloc(sizeof *status);
    if (status != NULL)
        *status = get(payload, &options);
    return status;
}

/* Several at once: one gets it, the others hear of it, and the file is whole. */
static void several_at_once_do_no_harm(void)
{
    static const enum http_step drips[] = {HTTP_DRIPS};
    pthread_t threads[4];
    const char *path = prepare(drips, 1);
    int right = 0;
    for (int i = 0; i < COUNT(threads); i++)
        REQUIRE(pthread_create(&threads[i], NULL, get_one, (void *)(uintptr_t)path) == 0);
    for (int i = 0; i < COUNT(threads); i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        int status = result == NULL ? CLV_ENOMEM : *(int *)result;
        free(result);
        CHECK(status == CLV_OK || status == CLV_EBUSY);
        right += status == CLV_OK;
    }
    CHECK(right >= 1);
    check_content(path);
}

/* A description that makes no sense is as good as none. */
static void broken_descriptions_are_ignored(void)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[1,2]",
                                        "{\"source\":7,\"validator\":[]}",
                                        "{\"total_bytes\":-5}",
                                        "{\"total_bytes\":1}"};
    for (int i = 0; i < COUNT(texts); i++) {
        char name[64];
        const char *path = prepare(NULL, 0);
        struct clv_fetch_options options = quick();
        snprintf(name, sizeof name, "%s.part.info", clv_path_base(path));
        REQUIRE_OK(clv_file_replace(part_of(path), document, 1000));
        REQUIRE_OK(clv_file_replace(t_path(directory, name), texts[i], strlen(texts[i])));
        REQUIRE_OK(get(path, &options));
        check_content(path);
    }
}

static void the_version_is_named(void)
{
    CHECK(strncmp(clv_fetch_version(), "libcurl ", 8) == 0);
}

int main(void)
{
    static const char *const variables[] = {"http_proxy", "https_proxy", "all_proxy",
                                            "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
    for (int i = 0; i < COUNT(variables); i++)
        unsetenv(variables[i]);
    signal(SIGXFSZ, SIG_IGN);
    directory = t_directory();
    uint64_t seed = 11;
    for (int i = 0; i < SIZE; i++)
        document[i] = (unsigned char)t_random(&seed);
    struct clv_sha256 state;
    clv_sha256_init(&state);
    clv_sha256_add(&state, document, SIZE);
    clv_sha256_finish(&state, sha256);
    server = http_server_start();
    if (server == NULL) {
        printf("SKIP fetch: no server on loopback\n");
        return 0;
    }
    T_RUN(a_whole_file_comes);
    T_RUN(an_empty_file_comes);
    T_RUN(broken_downloads_continue);
    T_RUN(a_later_call_continues);
    T_RUN(any_number_of_breaks_is_fine_while_something_comes);
    T_RUN(a_server_without_ranges_starts_over);
    T_RUN(no_gain_ends);
    T_RUN(a_changed_file_is_begun_anew);
    T_RUN(unknown_parts_are_not_continued);
    T_RUN(a_wrong_part_is_found_out);
    T_RUN(a_whole_part_needs_no_server);
    T_RUN(a_416_is_understood);
    T_RUN(a_part_of_another_place_is_refused);
    T_RUN(lies_about_the_length_are_found_out);
    T_RUN(a_length_that_fits_nowhere_is_said);
    T_RUN(a_length_that_is_not_said_is_fine);
    T_RUN(wrong_bytes_are_thrown_away);
    T_RUN(missing_files_are_not_tried_again);
    T_RUN(passing_trouble_is_outlasted);
    T_RUN(redirects_are_followed_within_reason);
    T_RUN(addresses_are_checked);
    T_RUN(no_network_is_said_at_once);
    T_RUN(slow_servers_are_waited_for);
    T_RUN(cancelling_keeps_what_came);
    T_RUN(cancelling_works_while_nothing_comes);
    T_RUN(a_full_disk_loses_nothing);
    T_RUN(places_that_cannot_be_written_are_named);
    T_RUN(only_one_downloads_a_file);
    T_RUN(several_at_once_do_no_harm);
    T_RUN(broken_descriptions_are_ignored);
    T_RUN(the_version_is_named);
    http_server_stop(server);
    return t_end();
}
