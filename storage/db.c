/* The connection to the catalog. */
#include "storage/db.h"

#include "core/error.h"
#include "core/file.h"
#include "schema/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CLV_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return CLV_ECORRUPT;
    case SQLITE_NOMEM:
        return CLV_ENOMEM;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return CLV_EIO;
    default:
        return CLV_ERR;
    }
}

static const char *reason_of(sqlite3 *handle, int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another process is writing to it";
    case SQLITE_CORRUPT:
        return "the file is damaged";
    case SQLITE_NOTADB:
        return "the file is not a database";
    case SQLITE_FULL:
        return "the disk is full";
    case SQLITE_READONLY:
        return "it is read-only";
    default:
        return handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    }
}

int clv_db_fail(struct clv_db *db, const char *doing)
{
    int code = sqlite3_errcode(db->handle);
    return clv_fail(status_of(code), "cannot %s in '%s': %s", doing, db->path,
                    reason_of(db->handle, code));
}

static int execute(struct clv_db *db, const char *sql, const char *doing)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return clv_db_fail(db, doing);
    return CLV_OK;
}

/* A file: URI of `path`, which may hold any byte. */
static char *uri_of(const char *path, const char *parameters)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = strlen(path), at = path[0] == '/' ? 7 : 5;
    char *uri = malloc(3 * length + strlen(parameters) + 8);
    if (!uri)
        return NULL;
    memcpy(uri, "file://", at); /* "//": an empty authority, so that "//a" is a path too */
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)path[i];
        if (c == '%' || c == '?' || c == '#') {
            uri[at++] = '%';
            uri[at++] = digits[c >> 4];
            uri[at++] = digits[c & 15];
        } else {
            uri[at++] = (char)c;
        }
    }
    memcpy(uri + at, parameters, strlen(parameters) + 1);
    return uri;
}

static int connect_with(struct clv_db *db, int flags, const char *parameters)
{
    char *uri = uri_of(db->path, parameters);
    if (!uri)
        return clv_fail_memory("a file name");
    int code =
        sqlite3_open_v2(uri, &db->handle, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    free(uri);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(db->handle, 0);
        sqlite3_busy_timeout(db->handle, db->busy_timeout_ms);
        /* Opening is lazy: only the first read finds out. */
        code = sqlite3_exec(db->handle, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    if (code == SQLITE_OK)
        return CLV_OK;
    int status =
        clv_fail(status_of(code), "cannot open '%s': %s", db->path, reason_of(db->handle, code));
    sqlite3_close(db->handle);
    db->handle = NULL;
    return status;
}

/* On read-only media SQLite cannot make its shared-memory file. Without a write-ahead log there is
 * nobody to share with: the catalog may then be read as a file that never changes. */
static int connect_read_only(struct clv_db *db)
{
    int status = connect_with(db, SQLITE_OPEN_READONLY, "");
    if (status != CLV_EIO)
        return status;
    struct clv_file_facts facts = {0};
    char *log = sqlite3_mprintf("%s-wal", db->path);
    bool has_log = log && clv_file_facts(&facts, log) == CLV_OK && facts.size_bytes > 0;
    sqlite3_free(log);
    if (has_log)
        return clv_fail(CLV_EIO, "cannot open '%s': its folder is read-only and it was not closed",
                        db->path);
    return connect_with(db, SQLITE_OPEN_READONLY, "?immutable=1");
}

/* Switching a new file to WAL is refused at once, without waiting, while another process does the
 * same. */
static int use_log(struct clv_db *db)
{
    for (int waited_ms = 0;; waited_ms += 5) {
        int code = sqlite3_exec(db->handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if (code == SQLITE_OK)
            return CLV_OK;
        if ((code & 0xff) != SQLITE_BUSY || waited_ms >= db->busy_timeout_ms)
            return clv_db_fail(db, "turn on the write-ahead log");
        usleep(5000);
    }
}

/* FULL: a video costs seconds to encode and one sync to keep, also when the power goes. */
static int configure(struct clv_db *db, bool create)
{
    int version = 0;
    int status = execute(db, "PRAGMA foreign_keys = ON", "turn on foreign keys");
    if (status == CLV_OK)
        status = clv_schema_version(&version, db->handle);
    if (status != CLV_OK)
        return status;
    /* An empty file is a creation that was cut short, or a loss: only a creator may fill it. */
    if (version == 0 && (!create || db->read_only))
        return clv_fail(CLV_ECORRUPT, "'%s' is not a claverdb catalog", db->path);
    if (db->read_only && version < clv_schema_latest())
        return clv_fail(CLV_EIO, "'%s' has version %d, not yet %d, and is opened for reading only",
                        db->path, version, clv_schema_latest());
    /* Fifteen vectors of 512 numbers to a page; fixed by the first table. */
    if (!db->read_only)
        status = execute(db, "PRAGMA page_size = 16384; PRAGMA synchronous = FULL", "set up pages");
    if (status == CLV_OK)
        status = clv_schema_migrate(db->handle);
    return status == CLV_OK && !db->read_only ? use_log(db) : status;
}

int clv_db_open(struct clv_db **out, const char *path, bool create, bool read_only,
                int busy_timeout_ms)
{
    *out = NULL;
    struct clv_db *db = calloc(1, sizeof *db);
    if (!db || !(db->path = strdup(path))) {
        free(db);
        return clv_fail_memory("the catalog");
    }
    db->busy_timeout_ms = busy_timeout_ms;
    int status = CLV_OK;
    if (!clv_file_exists(path) && (!create || read_only))
        status = clv_fail(CLV_ENOTFOUND, "there is no database at '%s'", path);
    if (status == CLV_OK && !read_only)
        status = connect_with(db, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), "");
    if (read_only ? status == CLV_OK : status == CLV_EIO && clv_file_exists(path))
        status = connect_read_only(db);
    if (status == CLV_OK) {
        db->read_only = read_only || sqlite3_db_readonly(db->handle, "main") == 1;
        status = configure(db, create);
    }
    if (status != CLV_OK) {
        clv_db_close(db);
        return status;
    }
    *out = db;
    return CLV_OK;
}

void clv_db_close(struct clv_db *db)
{
    if (!db)
        return;
    for (int i = 0; i < db->slot_count; i++)
        sqlite3_finalize(db->slots[i].statement);
    sqlite3_close(db->handle);
    free(db->path);
    free(db);
}

sqlite3_stmt *clv_db_take(struct clv_db *db, const char *sql)
{
    struct clv_db_slot *slot = NULL;
    for (int i = 0; i < db->slot_count && !slot; i++)
        if (db->slots[i].sql == sql && !db->slots[i].is_used)
            slot = &db->slots[i];
    if (slot) {
        slot->is_used = true;
        return slot->statement;
    }
    sqlite3_stmt *statement = NULL;
    bool keeps = db->slot_count < CLV_DB_STATEMENT_MAX;
    if (sqlite3_prepare_v3(db->handle, sql, -1, keeps ? SQLITE_PREPARE_PERSISTENT : 0, &statement,
                           NULL) != SQLITE_OK) {
        db->failure = clv_db_fail(db, "read the tables");
        return NULL;
    }
    if (keeps)
        db->slots[db->slot_count++] = (struct clv_db_slot){sql, statement, true};
    return statement;
}

void clv_db_release(struct clv_db *db, sqlite3_stmt *statement)
{
    if (!statement)
        return;
    for (int i = 0; i < db->slot_count; i++)
        if (db->slots[i].statement == statement) {
            sqlite3_reset(statement);
            sqlite3_clear_bindings(statement);
            db->slots[i].is_used = false;
            return;
        }
    sqlite3_finalize(statement);
}

int clv_db_step(struct clv_db *db, sqlite3_stmt *statement, const char *doing)
{
    int code = sqlite3_step(statement);
    return code == SQLITE_ROW ? CLV_OK : code == SQLITE_DONE ? CLV_DONE : clv_db_fail(db, doing);
}

int clv_db_run(struct clv_db *db, sqlite3_stmt *statement, const char *doing)
{
    int status = clv_db_step(db, statement, doing);
    clv_db_release(db, statement);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_db_integer(struct clv_db *db, int64_t *out, sqlite3_stmt *statement, int64_t fallback,
                   const char *doing)
{
    int status = clv_db_step(db, statement, doing);
    *out = status == CLV_OK ? sqlite3_column_int64(statement, 0) : fallback;
    clv_db_release(db, statement);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_db_begin_read(struct clv_db *db)
{
    return execute(db, "BEGIN", "begin reading");
}

int clv_db_begin_write(struct clv_db *db)
{
    if (db->read_only)
        return clv_fail(CLV_EIO, "cannot write to '%s': it is opened for reading only", db->path);
    return execute(db, "BEGIN IMMEDIATE", "begin writing");
}

int clv_db_end(struct clv_db *db, int status)
{
    if (status == CLV_OK)
        status = execute(db, "COMMIT", "keep a change");
    /* Some failures (a full disk) have rolled back already. */
    if (status != CLV_OK && !sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

const char *clv_db_version(void)
{
    return sqlite3_libversion();
}
