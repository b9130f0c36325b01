/* The test harness. Prints "ok", "FAIL" and "SKIP" lines that tests/run.sh adds up. */
#include "tests/t.h"

#include "core/error.h"

#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *current = "";
static const char *suffix = "";
static int ok_count, fail_count, skip_count;
static bool current_failed, current_skipped;
static char skip_reason[512];

enum { DIRECTORY_MAX = 128 };
static char *directories[DIRECTORY_MAX];
static int directory_count;
static char *paths[4096];
static int path_count;

void t_begin(const char *name)
{
    current = name;
    current_failed = current_skipped = false;
    clv_error_clear();
}

void t_suffix(const char *text)
{
    suffix = text;
}

void t_finish(void)
{
    if (current_failed) {
        printf("FAIL %s%s\n", current, suffix);
        fail_count++;
    } else if (current_skipped) {
        printf("SKIP %s%s: %s\n", current, suffix, skip_reason);
        skip_count++;
    } else {
        printf("ok %s%s\n", current, suffix);
        ok_count++;
    }
    fflush(stdout);
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

int t_end(void)
{
    for (int i = 0; i < directory_count; i++) {
        nftw(directories[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(directories[i]);
    }
    for (int i = 0; i < path_count; i++)
        free(paths[i]);
    directory_count = path_count = 0;
    return fail_count > 0 || ok_count + skip_count == 0;
}

void t_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(skip_reason, sizeof skip_reason, format, arguments);
    va_end(arguments);
    current_skipped = true;
}

void t_fail(const char *file, int line, const char *format, ...)
{
    printf("%s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    current_failed = true;
}

bool t_failed(void)
{
    return current_failed;
}

bool t_check_int(const char *file, int line, const char *text, int64_t got, int64_t want)
{
    if (got != want)
        t_fail(file, line, "%s is %" PRId64 ", want %" PRId64, text, got, want);
    return got == want;
}

bool t_check_string(const char *file, int line, const char *text, const char *got, const char *want)
{
    bool same = got && want ? strcmp(got, want) == 0 : got == want;
    if (!same)
        t_fail(file, line, "%s is \"%s\", want \"%s\"", text, got ? got : "(null)",
               want ? want : "(null)");
    return same;
}

bool t_check_near(const char *file, int line, const char *text, double got, double want,
                  double limit)
{
    bool near = fabs(got - want) <= limit;
    if (!near)
        t_fail(file, line, "%s is %.9g, want %.9g within %.3g", text, got, want, limit);
    return near;
}

bool t_check_ok(const char *file, int line, const char *text, int status)
{
    if (status != CLV_OK)
        t_fail(file, line, "%s gives \"%s\": %s", text, clv_status_name(status),
               clv_error_message());
    return status == CLV_OK;
}

bool t_check_error(const char *file, int line, const char *text, int status, int want,
                   const char *part)
{
    bool same = status == want && strstr(clv_error_message(), part) != NULL;
    if (!same)
        t_fail(file, line, "%s gives \"%s\" (%s), want \"%s\" with '%s'", text,
               clv_status_name(status), clv_error_message(), clv_status_name(want), part);
    return same;
}

const char *t_directory(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    if (directory_count == DIRECTORY_MAX ||
        asprintf(&path, "%s/claverdb-test-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path)) {
        fprintf(stderr, "no temporary directory\n");
        exit(2);
    }
    directories[directory_count++] = path;
    return path;
}

const char *t_path(const char *directory, const char *name)
{
    char *path = NULL;
    if (path_count == 4096 || asprintf(&path, "%s/%s", directory, name) < 0) {
        fprintf(stderr, "too many test paths\n");
        exit(2);
    }
    paths[path_count++] = path;
    return path;
}

const char *t_shared(const char *name)
{
    const char *path = t_path("../shared", name);
    if (access(path, R_OK) == 0)
        return path;
    t_skip("no test data at %s", path);
    return NULL;
}

/* splitmix64 (Vigna, public domain). */
uint64_t t_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double t_uniform(uint64_t *state)
{
    return (double)(t_random(state) >> 11) * 0x1p-53;
}

double t_normal(uint64_t *state)
{
    double u = 1.0 - t_uniform(state);
    return sqrt(-2.0 * log(u)) * cos(2.0 * 3.14159265358979323846 * t_uniform(state));
}
