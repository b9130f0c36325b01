/* Messages, their threads, and the log. */
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "tests/t.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void the_message_is_the_last_one(void)
{
    clv_error_clear();
    CHECK_STRING(clv_error_message(), "");
    CHECK_INT(clv_fail(CLV_EINVAL, "'%s' has %d", "x", 3), CLV_EINVAL);
    CHECK_STRING(clv_error_message(), "'x' has 3");
    CHECK_INT(clv_fail(CLV_ERR, "again: %s", clv_error_message()), CLV_ERR);
    CHECK_STRING(clv_error_message(), "again: 'x' has 3");
    CHECK_INT(clv_fail_memory("a thing"), CLV_ENOMEM);
    CHECK_STRING(clv_error_message(), "out of memory for a thing");
}

static void system_errors_keep_their_kind(void)
{
    errno = ENOENT;
    CHECK_ERROR(clv_fail_errno("cannot open '%s'", "x"), CLV_ENOTFOUND,
                "cannot open 'x': No such file");
    errno = ENOMEM;
    CHECK_ERROR(clv_fail_errno("no"), CLV_ENOMEM, "no: ");
    errno = EACCES;
    CHECK_ERROR(clv_fail_errno("no"), CLV_EIO, "no: Permission denied");
}

static void long_messages_are_cut(void)
{
    char text[20000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_INT(clv_fail(CLV_ERR, "%s", text), CLV_ERR);
    size_t size = strlen(clv_error_message());
    CHECK(size > 1000 && size < sizeof text - 1);
    errno = EIO;
    CHECK_INT(clv_fail_errno("%s", text), CLV_EIO);
    CHECK(strstr(clv_error_message(), "Input/output error") != NULL);
}

static void *fail_elsewhere(void *payload)
{
    (void)payload;
    bool was_empty = clv_error_message()[0] == '\0';
    clv_fail(CLV_ERR, "elsewhere");
    return was_empty ? payload : NULL;
}

static void messages_belong_to_their_thread(void)
{
    pthread_t thread;
    void *result = NULL;
    clv_fail(CLV_ERR, "here");
    REQUIRE(pthread_create(&thread, NULL, fail_elsewhere, &result) == 0);
    pthread_join(thread, &result);
    CHECK(result == &result);
    CHECK_STRING(clv_error_message(), "here");
}

static void every_status_has_a_name(void)
{
    for (int status = CLV_EUNSUPPORTED; status <= CLV_DONE; status++) {
        CHECK(strcmp(clv_status_name(status), "unknown status") != 0);
        for (int other = CLV_EUNSUPPORTED; other < status; other++)
            CHECK(strcmp(clv_status_name(status), clv_status_name(other)) != 0);
    }
    CHECK_STRING(clv_status_name(-99), "unknown status");
}

struct lines {
    int count;
    enum clv_log_level level;
    char last[128];
};

static void keep_line(enum clv_log_level level, const char *line, void *payload)
{
    struct lines *lines = payload;
    lines->count++;
    lines->level = level;
    strncpy(lines->last, line, sizeof lines->last - 1);
}

static void the_sink_gets_what_it_asked_for(void)
{
    struct lines lines = {0};
    clv_log(CLV_LOG_WARNING, "to nobody");
    clv_log_set(keep_line, &lines, CLV_LOG_INFO);
    clv_log(CLV_LOG_DEBUG, "too low");
    CHECK_INT(lines.count, 0);
    clv_log(CLV_LOG_INFO, "%d of %s", 1, "two");
    CHECK_INT(lines.count, 1);
    CHECK_STRING(lines.last, "1 of two");
    clv_log(CLV_LOG_WARNING, "more");
    CHECK_INT(lines.level, CLV_LOG_WARNING);
    clv_log_set(NULL, NULL, CLV_LOG_DEBUG);
    clv_log(CLV_LOG_WARNING, "to nobody");
    CHECK_INT(lines.count, 2);
}

static void clocks_run_forward(void)
{
    double before = clv_clock_seconds();
    double after = clv_clock_seconds();
    CHECK(after >= before);
    CHECK(clv_clock_unix_ms() > INT64_C(1600000000000));
}

int main(void)
{
    T_RUN(the_message_is_the_last_one);
    T_RUN(system_errors_keep_their_kind);
    T_RUN(long_messages_are_cut);
    T_RUN(messages_belong_to_their_thread);
    T_RUN(every_status_has_a_name);
    T_RUN(the_sink_gets_what_it_asked_for);
    T_RUN(clocks_run_forward);
    return t_end();
}
