/* The test harness: named tests, checks that print both values, three outcomes.
 *
 *     static void adds(void) { CHECK_INT(1 + 1, 2); }
 *     int main(int argc, char **argv) { T_RUN(adds); return t_end(); }
 *
 * A failed check prints where and what and marks the test as failed; the test goes on unless it is
 * a REQUIRE, which returns from it. t_skip() makes the test SKIP with a reason, which is never a
 * pass. Macros work under NDEBUG. */
#ifndef CLV_TESTS_T_H
#define CLV_TESTS_T_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void t_begin(const char *name);
void t_finish(void);
/* What the names of tests end in from now on; "" at first. Borrowed. */
void t_suffix(const char *suffix);
/* Exit status of the program: 0 where nothing failed and something ran. */
int t_end(void);
void t_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
void t_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool t_failed(void); /* the current test has a failed check */

#define T_RUN(test)     \
    do {                \
        t_begin(#test); \
        test();         \
        t_finish();     \
    } while (0)

bool t_check_int(const char *file, int line, const char *text, int64_t got, int64_t want);
bool t_check_string(const char *file, int line, const char *text, const char *got,
                    const char *want);
/* Passes where fabs(got - want) <= limit; NaN fails. */
bool t_check_near(const char *file, int line, const char *text, double got, double want,
                  double limit);
/* Passes where the status is 0; prints the recorded message otherwise. */
bool t_check_ok(const char *file, int line, const char *text, int status);
/* Passes where `status` is `want` and the recorded message contains `part`. */
bool t_check_error(const char *file, int line, const char *text, int status, int want,
                   const char *part);

#define CHECK(condition) \
    ((condition) ? (void)0 : t_fail(__FILE__, __LINE__, "%s is false", #condition))
#define CHECK_INT(got, want) \
    ((void)t_check_int(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(want)))
#define CHECK_STRING(got, want) ((void)t_check_string(__FILE__, __LINE__, #got, (got), (want)))
#define CHECK_NEAR(got, want, limit) \
    ((void)t_check_near(__FILE__, __LINE__, #got, (got), (want), (limit)))
#define CHECK_OK(status) ((void)t_check_ok(__FILE__, __LINE__, #status, (status)))
#define CHECK_ERROR(status, want, part) \
    ((void)t_check_error(__FILE__, __LINE__, #status, (status), (want), (part)))
#define REQUIRE(condition)                                         \
    do {                                                           \
        if (!(condition)) {                                        \
            t_fail(__FILE__, __LINE__, "%s is false", #condition); \
            return;                                                \
        }                                                          \
    } while (0)
#define REQUIRE_OK(status)                                      \
    do {                                                        \
        if (!t_check_ok(__FILE__, __LINE__, #status, (status))) \
            return;                                             \
    } while (0)

/* A fresh directory under the system's temporary one, removed with all it holds by t_end(). */
const char *t_directory(void);
/* "DIRECTORY/name" in a buffer that lives until t_end(). */
const char *t_path(const char *directory, const char *name);
/* The path of real test data ("footage/clips"), or NULL after a t_skip() naming it where the data
 * is absent. */
const char *t_shared(const char *name);

/* A small deterministic generator: uniform in [0, 1), and normal. */
uint64_t t_random(uint64_t *state);
double t_uniform(uint64_t *state);
double t_normal(uint64_t *state);

#endif
