/* Applies the embedded migrations. */
#include "schema/schema.h"

#include "core/error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "migrations.h"

/* "CLVR" in PRAGMA application_id: what makes a SQLite file a claverdb catalog. */
#define APPLICATION_ID 0x434c5652

#define MIGRATION_COUNT ((int)(sizeof migrations / sizeof migrations[0]))

int clv_schema_latest(void)
{
    return MIGRATION_COUNT;
}

static const char *name_of(sqlite3 *db)
{
    const char *name = sqlite3_db_filename(db, "main");
    return name && name[0] ? name : "catalog";
}

static int fail(sqlite3 *db, const char *doing)
{
    int code = sqlite3_errcode(db) & 0xff;
    int status = code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? CLV_ECORRUPT
                 : code == SQLITE_BUSY || code == SQLITE_LOCKED  ? CLV_EBUSY
                 : code == SQLITE_NOMEM                          ? CLV_ENOMEM
                                                                 : CLV_EIO;
    return clv_fail(status, "cannot %s of '%s': %s", doing, name_of(db), sqlite3_errmsg(db));
}

static int query_integer(sqlite3 *db, int *out, const char *sql, const char *doing)
{
    sqlite3_stmt *statement = NULL;
    int status = CLV_OK;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        status = fail(db, doing);
    else
        *out = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return status;
}

int clv_schema_version(int *version_out, struct sqlite3 *db)
{
    return query_integer(db, version_out, "PRAGMA user_version", "read the version");
}

/* The version; refuses what is not ours or too new. Inside a transaction: another process may be
 * making the tables. */
static int inspect(sqlite3 *db, int *version_out)
{
    int application = 0, table_count = 0;
    int status = clv_schema_version(version_out, db);
    if (status == CLV_OK)
        status = query_integer(db, &application, "PRAGMA application_id", "read the kind");
    if (status == CLV_OK)
        status = query_integer(db, &table_count, "SELECT count(*) FROM sqlite_schema",
                               "read the tables");
    if (status != CLV_OK)
        return status;
    bool is_new = *version_out == 0 && application == 0 && table_count == 0;
    if (!is_new && application != APPLICATION_ID)
        return clv_fail(CLV_ECORRUPT, "'%s' is not a claverdb catalog", name_of(db));
    if (*version_out > MIGRATION_COUNT)
        return clv_fail(CLV_EVERSION, "'%s' has version %d, this claverdb knows versions up to %d",
                        name_of(db), *version_out, MIGRATION_COUNT);
    if (!is_new && *version_out <= 0)
        return clv_fail(CLV_ECORRUPT, "'%s' has the impossible version %d", name_of(db),
                        *version_out);
    return CLV_OK;
}

static int apply(sqlite3 *db, int version)
{
    for (; version < MIGRATION_COUNT; version++)
        if (sqlite3_exec(db, migrations[version], NULL, NULL, NULL) != SQLITE_OK)
            return fail(db, "bring up to date the tables");
    char pragmas[96];
    sqlite3_snprintf(sizeof pragmas, pragmas,
                     "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
                     MIGRATION_COUNT);
    if (sqlite3_exec(db, pragmas, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, "bring up to date the tables");
    return CLV_OK;
}

int clv_schema_migrate(struct sqlite3 *db)
{
    int version = 0;
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, "read the tables");
    int status = inspect(db, &version);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (status != CLV_OK || version == MIGRATION_COUNT)
        return status;
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, "bring up to date the tables");
    /* Another process may have done it while this one waited for the lock. */
    status = inspect(db, &version);
    if (status == CLV_OK)
        status = apply(db, version);
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}
