/* Private to storage: one SQLite connection with cached statements, transactions, and errors as
 * ours. Apart from schema.c the only place that knows SQLite. */
#ifndef CLV_STORAGE_DB_H
#define CLV_STORAGE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_DB_STATEMENT_MAX 96

struct clv_db_slot {
    const char *sql; /* a literal: compared by address */
    sqlite3_stmt *statement;
    bool is_used;
};

struct clv_db {
    sqlite3 *handle;
    char *path;
    int busy_timeout_ms;
    bool read_only; /* by wish or because the file or folder is */
    int failure;    /* why clv_db_take() last gave NULL */
    struct clv_db_slot slots[CLV_DB_STATEMENT_MAX];
    int slot_count;
};

/* Opens (with `create`: makes) the catalog at `path`, WAL, foreign keys on, and migrates it.
 * CLV_ENOTFOUND where there is none and `create` is false. */
int clv_db_open(struct clv_db **out, const char *path, bool create, bool read_only,
                int busy_timeout_ms);
void clv_db_close(struct clv_db *db);

/* The connection's last failure as a status, "cannot DOING in 'PATH': why" recorded. */
int clv_db_fail(struct clv_db *db, const char *doing);

/* A statement, ready to be bound; NULL with the message recorded and the status in db->failure.
 * Give it back with
 * clv_db_release(). `sql` must be a string literal. May be taken again while in use. */
sqlite3_stmt *clv_db_take(struct clv_db *db, const char *sql);
void clv_db_release(struct clv_db *db, sqlite3_stmt *statement);

/* 0 on a row, CLV_DONE at the end, otherwise the failure with `doing` in its message. */
int clv_db_step(struct clv_db *db, sqlite3_stmt *statement, const char *doing);
/* Steps a statement that gives no rows and releases it, whatever comes of it. */
int clv_db_run(struct clv_db *db, sqlite3_stmt *statement, const char *doing);
/* The first column of the first row of a statement, released; `fallback` where there is no row. */
int clv_db_integer(struct clv_db *db, int64_t *out, sqlite3_stmt *statement, int64_t fallback,
                   const char *doing);

/* One read snapshot for several statements; never waits for a writer. */
int clv_db_begin_read(struct clv_db *db);
/* Takes the write lock, CLV_EBUSY after the time-out. */
int clv_db_begin_write(struct clv_db *db);
/* Commits where `status` is 0, rolls back otherwise; returns the first failure. */
int clv_db_end(struct clv_db *db, int status);

/* "3.40.1": of SQLite. */
const char *clv_db_version(void);

#endif
