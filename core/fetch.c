#include "core/fetch.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/partial.h"
#include "core/version.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <time.h>

#define SHOWN_SIZE 400
#define REDIRECT_MAX 8
#define POLL_MS 100
/* Longer waits than this are not worth sitting through, whatever the server asks for. */
#define PAUSE_MAX_MS 60000
/* A redirect's own page is skipped; more than this is no such page. */
#define SKIP_MAX_BYTES ((int64_t)1 << 20)

/* What to do after an attempt. Where it is not DONE, the reason is recorded. */
enum outcome { DONE, RETRY, AGAIN, FAIL };

/* The headers of the response at hand. */
struct response {
    long code;
    bool has_range;                   /* "Content-Range: bytes START-END/TOTAL" */
    int64_t range_start, range_total; /* -1: not said */
    char etag[CLV_PARTIAL_VALIDATOR_SIZE];
    char modified[CLV_PARTIAL_VALIDATOR_SIZE];
};

struct fetch {
    const struct clv_fetch_options *options;
    const char *url;
    char shown[SHOWN_SIZE];            /* the address, for people */
    char source[CLV_DIGEST_TEXT_SIZE]; /* the address, for the part's description */
    struct clv_partial partial;
    int64_t most_bytes; /* that the part ever held in this call */
    bool is_patched;    /* the part was put together out of several responses */
    bool was_patched;   /* and once turned out wrong: it was begun anew */
    bool has_gained;    /* the server sent something in this call */
    /* Of the attempt: */
    CURL *easy;
    char reason[CURL_ERROR_SIZE];
    struct response response;
    int64_t asked_bytes; /* where the Range asked for begins; 0: none was asked for */
    int64_t skipped_bytes;
    double heard_s;       /* when the server last sent anything */
    bool has_begun;       /* the body is going into the part */
    enum outcome verdict; /* of whoever stopped the transfer */
    int status;
};

/* ---- addresses ---- */

bool clv_fetch_is_address(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

bool clv_fetch_may_redirect(const char *from, const char *to)
{
    bool is_secure = strncasecmp(from, "https://", 8) == 0;
    return clv_fetch_is_address(to) && (!is_secure || strncasecmp(to, "https://", 8) == 0);
}

/* Without user, password and query, which may be secrets. */
static void show_address(char out[SHOWN_SIZE], const char *url)
{
    const char *host = strstr(url, "://");
    host = host == NULL ? url : host + 3;
    const char *at = host;
    for (const char *c = host; *c != '\0' && strchr("/?#", *c) == NULL; c++) {
        if (*c == '@')
            at = c + 1;
    }
    snprintf(out, SHOWN_SIZE, "%.*s%.*s", (int)(host - url), url, (int)strcspn(at, "?#"), at);
}

/* ---- stopping and judging ---- */

static enum outcome fail(struct fetch *fetch, int status)
{
    fetch->status = status;
    return FAIL;
}

/* Records what the transfer is stopped for; the callbacks then return a count that is not theirs.
 */
static size_t stop(struct fetch *fetch, enum outcome verdict, int status)
{
    fetch->verdict = verdict;
    fetch->status = status;
    return 0;
}

static int check_room(struct fetch *fetch, int64_t wanted_bytes)
{
    struct statvfs facts;
    if (statvfs(fetch->partial.lock.path, &facts) != 0)
        return CLV_OK;
    uint64_t free_bytes = (uint64_t)facts.f_bavail * facts.f_frsize;
    if (wanted_bytes <= 0 || (uint64_t)wanted_bytes <= free_bytes)
        return CLV_OK;
    return clv_fail(CLV_EIO,
                    "there is no room for '%s': %" PRId64 " more bytes are needed, %" PRIu64
                    " are free",
                    fetch->partial.path, wanted_bytes, free_bytes);
}

/* ---- headers ---- */

static void copy_value(char *out, size_t size, const char *value, size_t length)
{
    out[0] = '\0';
    /* One cut short would be another's. */
    if (length < size)
        snprintf(out, size, "%.*s", (int)length, value);
}

/* "bytes 5-9/10", "bytes 5-9/" and '*', or "bytes " and '*' and "/10" in refusals. */
static void parse_range(struct response *response, const char *value, size_t length)
{
    char text[80];
    copy_value(text, sizeof text, value, length);
    int64_t start = -1, end = -1, total = -1;
    if (sscanf(text, "bytes %" SCNd64 "-%" SCNd64 "/%" SCNd64, &start, &end, &total) >= 2) {
        response->has_range = start >= 0 && end >= start && (total == -1 || total > end);
        response->range_start = start;
        response->range_total = total;
    } else if (sscanf(text, "bytes */%" SCNd64, &total) == 1) {
        response->range_total = total;
    }
}

static size_t take_header(char *line, size_t unit, size_t count, void *payload)
{
    struct fetch *fetch = payload;
    struct response *response = &fetch->response;
    size_t size = unit * count;
    fetch->heard_s = clv_clock_seconds();
    if (size >= 5 && strncmp(line, "HTTP/", 5) == 0) {
        *response = (struct response){.range_start = -1, .range_total = -1};
        curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &response->code);
        return size;
    }
    const char *colon = memchr(line, ':', size);
    if (colon == NULL)
        return size;
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1;
    const char *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    size_t length = (size_t)(end - value);
    if (name == 4 && strncasecmp(line, "ETag", 4) == 0)
        copy_value(response->etag, sizeof response->etag, value, length);
    else if (name == 13 && strncasecmp(line, "Last-Modified", 13) == 0)
        copy_value(response->modified, sizeof response->modified, value, length);
    else if (name == 13 && strncasecmp(line, "Content-Range", 13) == 0)
        parse_range(response, value, length);
    return size;
}

/* What a later If-Range may name: a strong ETag, else the date. */
static const char *validator_of(const struct response *response)
{
    return response->etag[0] == '"' ? response->etag : response->modified;
}

/* ---- the body ---- */

/* Makes the part ready for the body of a response that will do; says why it will not otherwise. */
static enum outcome begin_body(struct fetch *fetch)
{
    const struct response *response = &fetch->response;
    struct clv_partial *partial = &fetch->partial;
    int status = CLV_OK;
    curl_off_t length = -1; /* -1: not said */
    curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    int64_t total = length;
    if (response->code == 206) {
        total = response->range_total;
        bool fits = response->has_range && response->range_start == partial->size_bytes &&
                    (total < 0 || length <= total - response->range_start) &&
                    (total < 0 || partial->total_bytes < 0 || total == partial->total_bytes);
        if (!fits && fetch->asked_bytes > 0) {
            status = clv_partial_restart(partial);
            return status == CLV_OK ? AGAIN : fail(fetch, status);
        }
        if (!fits)
            return fail(fetch, clv_fail(CLV_EIO, "'%s' answers with a part that nobody asked for",
                                        fetch->shown));
        if (total < 0)
            total = partial->total_bytes;
    }
    int64_t wanted = fetch->options->size_bytes;
    if (wanted > 0 && total >= 0 && total != wanted)
        return fail(fetch, clv_fail(CLV_ECORRUPT,
                                    "'%s' is not the file asked for: it has %" PRId64
                                    " bytes, not %" PRId64,
                                    fetch->shown, total, wanted));
    if (response->code == 206)
        fetch->is_patched = true;
    else if (partial->size_bytes > 0)
        status = clv_partial_restart(partial);
    if (response->code == 200)
        fetch->is_patched = false;
    if (status == CLV_OK)
        status = check_room(fetch, total - partial->size_bytes);
    if (status == CLV_OK)
        status = clv_partial_describe(partial, fetch->source, validator_of(response), total);
    fetch->has_begun = true;
    return status == CLV_OK ? DONE : fail(fetch, status);
}

static size_t take_body(char *data, size_t unit, size_t count, void *payload)
{
    struct fetch *fetch = payload;
    struct clv_partial *partial = &fetch->partial;
    size_t size = unit * count;
    fetch->heard_s = clv_clock_seconds();
    if (fetch->response.code != 200 && fetch->response.code != 206) {
        fetch->skipped_bytes += (int64_t)size;
        return fetch->skipped_bytes <= SKIP_MAX_BYTES ? size : 0;
    }
    if (!fetch->has_begun) {
        enum outcome outcome = begin_body(fetch);
        if (outcome != DONE)
            return stop(fetch, outcome, fetch->status);
    }
    int64_t wanted =
        fetch->options->size_bytes > 0 ? fetch->options->size_bytes : partial->total_bytes;
    if (wanted >= 0 && (int64_t)size > wanted - partial->size_bytes) {
        int failed = clv_partial_restart(partial);
        return stop(
            fetch, FAIL,
            failed != CLV_OK
                ? failed
                : clv_fail(CLV_ECORRUPT,
                           "'%s' is not the file asked for and was thrown away: it has more "
                           "than %" PRId64 " bytes",
                           fetch->shown, wanted));
    }
    int status = clv_partial_add(partial, data, size);
    if (partial->size_bytes > fetch->most_bytes) {
        fetch->most_bytes = partial->size_bytes;
        fetch->has_gained = true;
    }
    return status == CLV_OK ? size : stop(fetch, FAIL, status);
}

/* ---- one request ---- */

static void set_up(struct fetch *fetch, const char *url)
{
    CURL *easy = fetch->easy;
    fetch->reason[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->reason);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "claverdb/" CLV_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
    /* Stalls are watched here, with connecting as one of them. */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, 24L * 3600);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
}

/* Asks for what is missing, where the bytes there are can be relied on: because the server will say
 * whether its file is still the one they are of, or because their SHA-256 will show. NULL where the
 * whole file is asked for. */
static struct curl_slist *ask_range(struct fetch *fetch)
{
    const struct clv_partial *partial = &fetch->partial;
    bool is_known = partial->validator[0] != '\0' && strcmp(partial->source, fetch->source) == 0;
    fetch->asked_bytes = 0;
    if (partial->size_bytes == 0 || (!is_known && fetch->options->sha256 == NULL))
        return NULL;
    char text[CLV_PARTIAL_VALIDATOR_SIZE + 16];
    snprintf(text, sizeof text, "%" PRId64 "-", partial->size_bytes);
    fetch->asked_bytes = partial->size_bytes;
    curl_easy_setopt(fetch->easy, CURLOPT_RANGE, text);
    if (!is_known)
        return NULL;
    snprintf(text, sizeof text, "If-Range: %s", partial->validator);
    struct curl_slist *headers = curl_slist_append(NULL, text);
    curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, headers);
    return headers;
}

static void report_progress(struct fetch *fetch)
{
    const struct clv_fetch_options *options = fetch->options;
    int64_t total = options->size_bytes > 0 ? options->size_bytes : fetch->partial.total_bytes;
    if (options->progress != NULL)
        options->progress(fetch->partial.size_bytes, total, options->payload);
}

/* CLV_OK once the transfer has ended in any way. */
static int pump(struct fetch *fetch, CURLM *multi, CURLcode *result_out)
{
    int running = 1;
    int stall_s = fetch->options->stall_s > 0 ? fetch->options->stall_s : 30;
    while (running != 0) {
        if (clv_cancelled(fetch->options->cancel))
            return clv_fail(CLV_ECANCELED,
                            "the download of '%s' was stopped at %" PRId64
                            " bytes; the same command goes on from there",
                            fetch->shown, fetch->partial.size_bytes);
        CURLMcode code = curl_multi_perform(multi, &running);
        report_progress(fetch);
        if (code == CURLM_OK && running != 0)
            code = curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
        if (code != CURLM_OK)
            return clv_fail(CLV_ERR, "cannot download '%s': %s", fetch->shown,
                            curl_multi_strerror(code));
        if (clv_clock_seconds() - fetch->heard_s > stall_s) {
            *result_out = CURLE_OPERATION_TIMEDOUT;
            snprintf(fetch->reason, sizeof fetch->reason, "nothing came for %d seconds", stall_s);
            return CLV_OK;
        }
    }
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    *result_out = message == NULL ? CURLE_OK : message->data.result;
    return CLV_OK;
}

/* ---- judging a response ---- */

static enum outcome judge_code(struct fetch *fetch)
{
    long code = fetch->response.code;
    if (code == 404 || code == 410)
        return fail(fetch, clv_fail(CLV_ENOTFOUND, "there is no '%s' (the server answers %ld)",
                                    fetch->shown, code));
    int status =
        clv_fail(CLV_EIO, "cannot download '%s': the server answers %ld", fetch->shown, code);
    if (code == 408 || code == 429 || code >= 500) {
        fetch->status = status;
        return RETRY;
    }
    return fail(fetch, status);
}

/* The server has nothing from there on: it is all there, or what is there is of another file. */
static enum outcome judge_416(struct fetch *fetch)
{
    if (fetch->asked_bytes == 0)
        return judge_code(fetch);
    if (fetch->response.range_total == fetch->partial.size_bytes)
        return DONE;
    int status = clv_partial_restart(&fetch->partial);
    return status == CLV_OK ? AGAIN : fail(fetch, status);
}

/* Some failures stay what they are however often one tries. */
static enum outcome judge_failure(struct fetch *fetch, CURLcode result)
{
    const char *reason = fetch->reason[0] != '\0' ? fetch->reason : curl_easy_strerror(result);
    fetch->status = clv_fail(CLV_EIO, "cannot download '%s': %s", fetch->shown, reason);
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        return fail(fetch, clv_fail_memory("a download"));
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return FAIL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        /* Without a network, one is told at once; one that went away may come back. */
        return fetch->has_gained ? RETRY : FAIL;
    default:
        return RETRY;
    }
}

static enum outcome judge(struct fetch *fetch, CURLcode result)
{
    const struct clv_partial *partial = &fetch->partial;
    if (fetch->verdict != DONE)
        return fetch->verdict;
    if (result != CURLE_OK)
        return judge_failure(fetch, result);
    if (fetch->response.code == 416)
        return judge_416(fetch);
    if (fetch->response.code != 200 && fetch->response.code != 206)
        return judge_code(fetch);
    if (!fetch->has_begun) {
        enum outcome outcome = begin_body(fetch);
        if (outcome != DONE)
            return outcome;
    }
    if (partial->total_bytes >= 0 && partial->size_bytes < partial->total_bytes) {
        fetch->status = clv_fail(
            CLV_EIO, "cannot download '%s': it broke off at %" PRId64 " of %" PRId64 " bytes",
            fetch->shown, partial->size_bytes, partial->total_bytes);
        return RETRY;
    }
    return DONE;
}

/* ---- an attempt: a request, and those it is redirected to ---- */

/* `next_out` is where the server sends us on to, NULL: nowhere; the caller frees. */
static enum outcome request(struct fetch *fetch, const char *url, char **next_out,
                            int64_t *pause_ms_out)
{
    *next_out = NULL;
    fetch->response = (struct response){.range_start = -1, .range_total = -1};
    fetch->skipped_bytes = 0;
    fetch->has_begun = false;
    fetch->verdict = DONE;
    fetch->heard_s = clv_clock_seconds();
    fetch->easy = curl_easy_init();
    CURLM *multi = curl_multi_init();
    struct curl_slist *headers = NULL;
    enum outcome outcome = FAIL;
    CURLcode result = CURLE_OK;
    fetch->status = CLV_OK;
    if (fetch->easy == NULL || multi == NULL) {
        fetch->status = clv_fail_memory("a download");
        goto done;
    }
    set_up(fetch, url);
    headers = ask_range(fetch);
    curl_multi_add_handle(multi, fetch->easy);
    int pumped = pump(fetch, multi, &result);
    if (pumped != CLV_OK) {
        fetch->status = pumped;
    } else {
        const char *next = NULL;
        curl_off_t wait_s = 0;
        curl_easy_getinfo(fetch->easy, CURLINFO_REDIRECT_URL, &next);
        curl_easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &wait_s);
        *pause_ms_out = wait_s > 0 && wait_s < PAUSE_MAX_MS / 1000 ? (int64_t)wait_s * 1000 : 0;
        bool moves = result == CURLE_OK && next != NULL && fetch->response.code / 100 == 3;
        *next_out = moves ? strdup(next) : NULL;
        outcome = moves ? DONE : judge(fetch, result);
        if (moves && *next_out == NULL)
            outcome = fail(fetch, clv_fail_memory("an address"));
    }
    curl_multi_remove_handle(multi, fetch->easy);
done:
    curl_easy_cleanup(fetch->easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    fetch->easy = NULL;
    return outcome;
}

static enum outcome attempt(struct fetch *fetch, int64_t *pause_ms_out)
{
    char *url = strdup(fetch->url);
    enum outcome outcome = FAIL;
    if (url == NULL)
        return fail(fetch, clv_fail_memory("an address"));
    for (int hops = 0;; hops++) {
        char *next = NULL;
        outcome = request(fetch, url, &next, pause_ms_out);
        if (next == NULL)
            break;
        char shown[SHOWN_SIZE];
        show_address(shown, next);
        bool is_allowed = clv_fetch_may_redirect(url, next);
        free(url);
        url = next;
        if (is_allowed && hops < REDIRECT_MAX)
            continue;
        outcome = fail(fetch, is_allowed
                                  ? clv_fail(CLV_EIO,
                                             "cannot download '%s': it was redirected more than %d "
                                             "times, last to '%s'",
                                             fetch->shown, REDIRECT_MAX, shown)
                                  : clv_fail(CLV_EIO,
                                             "cannot download '%s': it redirects to '%s', which is "
                                             "not as safe",
                                             fetch->shown, shown));
        break;
    }
    free(url);
    return outcome;
}

/* ---- the whole download ---- */

static bool has_right_digest(const struct fetch *fetch)
{
    uint8_t digest[CLV_DIGEST_BYTES];
    clv_partial_digest(&fetch->partial, digest);
    return memcmp(digest, fetch->options->sha256, CLV_DIGEST_BYTES) == 0;
}

/* The server says this is all. */
static enum outcome check_whole(struct fetch *fetch)
{
    const struct clv_fetch_options *options = fetch->options;
    int64_t size = fetch->partial.size_bytes;
    bool has_size = options->size_bytes == 0 || size == options->size_bytes;
    if (has_size && (options->sha256 == NULL || has_right_digest(fetch)))
        return DONE;
    /* Perhaps only what was there before is wrong. */
    bool was_patched = fetch->is_patched && !fetch->was_patched;
    char got[CLV_DIGEST_TEXT_SIZE];
    char want[CLV_DIGEST_TEXT_SIZE];
    uint8_t digest[CLV_DIGEST_BYTES];
    clv_partial_digest(&fetch->partial, digest);
    int status = clv_partial_restart(&fetch->partial);
    if (status != CLV_OK)
        return fail(fetch, status);
    if (was_patched) {
        fetch->was_patched = true;
        return AGAIN;
    }
    if (!has_size)
        return fail(fetch, clv_fail(CLV_ECORRUPT,
                                    "'%s' is not the file asked for and was thrown away: it has "
                                    "%" PRId64 " bytes, not %" PRId64,
                                    fetch->shown, size, options->size_bytes));
    return fail(fetch, clv_fail(CLV_ECORRUPT,
                                "'%s' is not the file asked for and was thrown away: its SHA-256 "
                                "is %s, not %s",
                                fetch->shown, clv_digest_text(got, digest),
                                clv_digest_text(want, options->sha256)));
}

static enum outcome wait_before_retry(struct fetch *fetch, int64_t pause_ms)
{
    double until_s = clv_clock_seconds() + (double)pause_ms / 1000;
    while (clv_clock_seconds() < until_s) {
        if (clv_cancelled(fetch->options->cancel))
            return fail(fetch, clv_fail(CLV_ECANCELED,
                                        "the download of '%s' was stopped at %" PRId64
                                        " bytes; the same command goes on from there",
                                        fetch->shown, fetch->partial.size_bytes));
        int64_t left_ms = (int64_t)((until_s - clv_clock_seconds()) * 1000) + 1;
        struct timespec slice = {.tv_nsec = (left_ms < POLL_MS ? left_ms : POLL_MS) * 1000000};
        nanosleep(&slice, NULL);
    }
    return RETRY;
}

/* Attempt after attempt, until the file is whole or there is no point in another. */
static enum outcome insist(struct fetch *fetch)
{
    const struct clv_fetch_options *options = fetch->options;
    int attempt_max = options->attempt_max > 0 ? options->attempt_max : 4;
    int first_ms = options->pause_ms > 0 ? options->pause_ms : 500;
    int fruitless = 0;
    enum outcome outcome = RETRY;
    while (outcome == RETRY || outcome == AGAIN) {
        /* Whole but not yet in place when it was stopped; or the server wrongly promised more. */
        if (options->sha256 != NULL && fetch->partial.size_bytes > 0 && has_right_digest(fetch))
            return DONE;
        int64_t before = fetch->most_bytes;
        int64_t pause_ms = 0;
        outcome = attempt(fetch, &pause_ms);
        if (outcome == DONE)
            outcome = check_whole(fetch);
        if (outcome != RETRY && outcome != AGAIN)
            break;
        fruitless = fetch->most_bytes > before ? 0 : fruitless + 1;
        if (outcome == RETRY && fruitless >= attempt_max)
            return FAIL;
        if (outcome == AGAIN && fruitless > attempt_max)
            return fail(fetch,
                        clv_fail(CLV_EIO, "cannot download '%s': the server contradicts itself",
                                 fetch->shown));
        if (outcome == RETRY) {
            clv_log(CLV_LOG_INFO, "%s; trying again", clv_error_message());
            int64_t backoff_ms = (int64_t)first_ms << (fruitless > 7 ? 7 : fruitless);
            outcome =
                wait_before_retry(fetch, pause_ms > backoff_ms / 2 ? pause_ms : backoff_ms / 2);
        }
    }
    return outcome;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int clv_fetch(const char *url, const char *path, const struct clv_fetch_options *options)
{
    static const struct clv_fetch_options nothing;
    struct fetch fetch = {.options = options == NULL ? &nothing : options, .url = url};
    show_address(fetch.shown, url);
    if (!clv_fetch_is_address(url))
        return clv_fail(CLV_EINVAL, "'%s' is no http or https address", fetch.shown);
    pthread_once(&once, start_curl);
    uint8_t digest[CLV_DIGEST_BYTES];
    clv_digest_bytes(digest, url, strlen(url));
    clv_digest_text(fetch.source, digest);
    int status = clv_partial_open(&fetch.partial, path, fetch.options->cancel);
    if (status != CLV_OK)
        return status;
    int64_t wanted = fetch.options->size_bytes;
    if (wanted > 0 && fetch.partial.size_bytes > wanted)
        status = clv_partial_restart(&fetch.partial);
    fetch.is_patched = fetch.partial.size_bytes > 0;
    fetch.most_bytes = fetch.partial.size_bytes;
    if (status == CLV_OK)
        status = check_room(&fetch, wanted - fetch.partial.size_bytes);
    if (status == CLV_OK && insist(&fetch) == FAIL)
        status = fetch.status;
    if (status == CLV_OK && fetch.options->sha256_out != NULL)
        clv_partial_digest(&fetch.partial, fetch.options->sha256_out);
    if (status == CLV_OK)
        status = clv_partial_finish(&fetch.partial);
    clv_partial_close(&fetch.partial);
    return status;
}

const char *clv_fetch_version(void)
{
    return "libcurl " LIBCURL_VERSION;
}
