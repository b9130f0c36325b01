/* The wrapped functions, and the loop over which call fails. */
#include "tests/fault/fault.h"

#include "core/error.h"
#include "tests/t.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    atomic_int kinds; /* 0: nothing fails */
    atomic_long left; /* calls until the first that fails */
    atomic_bool persists;
    atomic_bool fired;
} fault;

void fault_arm(int kinds, long nth, bool persists)
{
    fault.fired = false;
    fault.persists = persists;
    fault.left = nth;
    fault.kinds = kinds;
}

bool fault_disarm(void)
{
    fault.kinds = 0;
    return fault.fired;
}

/* Whether this call is to fail. A breakpoint here shows who meets the fault. */
static bool fails(int kind)
{
    if (!(fault.kinds & kind))
        return false;
    long left = atomic_fetch_sub(&fault.left, 1);
    if (left > 0 || (left < 0 && !fault.persists))
        return false;
    fault.fired = true;
    errno = kind & (FAULT_MEMORY | FAULT_SQLITE) ? ENOMEM : kind == FAULT_WRITE ? ENOSPC : EIO;
    return true;
}

/* NOLINTBEGIN: the linker chooses these names. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
ssize_t __real_write(int descriptor, const void *data, size_t size);
int __real_fsync(int descriptor);
int __real_rename(const char *from, const char *to);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_asprintf(char **out, const char *format, ...);
ssize_t __wrap_write(int descriptor, const void *data, size_t size);
int __wrap_fsync(int descriptor);
int __wrap_rename(const char *from, const char *to);

void *__wrap_malloc(size_t size)
{
    return fails(FAULT_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAULT_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails(FAULT_MEMORY) ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails(FAULT_MEMORY) ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails(FAULT_MEMORY) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails(FAULT_MEMORY) ? NULL : __real_strndup(text, size);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    if (fails(FAULT_MEMORY)) {
        *out = (char *)(uintptr_t)1; /* undefined after a failure: must not be used */
        return -1;
    }
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(out, format, arguments);
    va_end(arguments);
    return size;
}

ssize_t __wrap_write(int descriptor, const void *data, size_t size)
{
    return fails(FAULT_WRITE) ? -1 : __real_write(descriptor, data, size);
}

int __wrap_fsync(int descriptor)
{
    return fails(FAULT_SYNC) ? -1 : __real_fsync(descriptor);
}

int __wrap_rename(const char *from, const char *to)
{
    return fails(FAULT_RENAME) ? -1 : __real_rename(from, to);
}
/* NOLINTEND */

/* ---- SQLite: memory with its size in front, since it asks for sizes; and its writes ---- */

#define SIZE_ROOM 16

static void *sqlite_malloc(int size)
{
    char *memory = fails(FAULT_SQLITE) ? NULL : __real_malloc((size_t)size + SIZE_ROOM);
    if (!memory)
        return NULL;
    memcpy(memory, &size, sizeof size);
    return memory + SIZE_ROOM;
}

static void sqlite_free(void *memory)
{
    if (memory)
        free((char *)memory - SIZE_ROOM);
}

static void *sqlite_realloc(void *memory, int size)
{
    size_t whole = (size_t)size + SIZE_ROOM;
    char *moved = fails(FAULT_SQLITE) ? NULL : __real_realloc((char *)memory - SIZE_ROOM, whole);
    if (!moved)
        return NULL;
    memcpy(moved, &size, sizeof size);
    return moved + SIZE_ROOM;
}

static int sqlite_size(void *memory)
{
    int size = 0;
    if (memory)
        memcpy(&size, (char *)memory - SIZE_ROOM, sizeof size);
    return size;
}

static int sqlite_round_up(int size)
{
    return (size + 7) & ~7;
}

static int sqlite_start(void *unused)
{
    (void)unused;
    return SQLITE_OK;
}

static void sqlite_stop(void *unused)
{
    (void)unused;
}

static ssize_t sqlite_pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    return fails(FAULT_WRITE) ? -1 : pwrite(descriptor, data, size, offset);
}

void fault_sqlite(void)
{
    static const sqlite3_mem_methods methods = {
        sqlite_malloc,   sqlite_free,  sqlite_realloc, sqlite_size,
        sqlite_round_up, sqlite_start, sqlite_stop,    NULL};
    CHECK_INT(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    CHECK_INT(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
    CHECK_INT(sqlite3_initialize(), SQLITE_OK);
    sqlite3_vfs *files = sqlite3_vfs_find(NULL);
    CHECK(files && files->xSetSystemCall);
    static const char *const names[] = {"pwrite", "pwrite64"};
    for (size_t i = 0; files && i < sizeof names / sizeof *names; i++)
        if (files->xGetSystemCall(files, names[i]))
            CHECK_INT(files->xSetSystemCall(files, names[i], (sqlite3_syscall_ptr)sqlite_pwrite),
                      SQLITE_OK);
}

/* ---- the loop ---- */

static void fault_round(const struct fault_case *c, bool persists)
{
    bool fired = true, ever = false;
    for (long nth = 0; fired && !t_failed();
         nth += c->every && nth >= c->every ? 1 + nth / c->every : 1) {
        if (c->prepare)
            CHECK_OK(c->prepare(c->payload));
        clv_error_clear();
        fault_arm(c->kinds, nth, persists);
        int status = c->operate(c->payload);
        fired = fault_disarm();
        ever = ever || fired;
        if (status != CLV_OK && !fired)
            t_fail(__FILE__, __LINE__, "%s: fails without a fault: %s", c->name,
                   clv_error_message());
        if (status != CLV_OK && !clv_error_message()[0])
            t_fail(__FILE__, __LINE__, "%s: call %ld: status %d without a message", c->name, nth,
                   status);
        c->check(c->payload, status);
        if (t_failed())
            t_fail(__FILE__, __LINE__, "%s: that was with call %ld failing%s, status %d (%s)",
                   c->name, nth, persists ? " and all after it" : "", status, clv_error_message());
    }
    if (!ever && !t_failed())
        t_fail(__FILE__, __LINE__, "%s: no call could be made to fail", c->name);
}

void fault_each(const struct fault_case *fault_case)
{
    fault_round(fault_case, false);
    fault_round(fault_case, true);
}
