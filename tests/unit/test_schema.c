/* Migrations: from nothing, twice, from several processes, and what is refused. */
#include "schema/schema.h"

#include "core/error.h"
#include "core/file.h"
#include "storage/store.h"
#include "tests/t.h"
#include "tests/unit/store_fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int one_integer(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return value;
}

static void migrates_from_empty(void)
{
    sqlite3 *db = NULL;
    int version = -1;
    REQUIRE(sqlite3_open(t_path(t_directory(), "a.sqlite"), &db) == SQLITE_OK);
    CHECK(clv_schema_latest() >= 1);
    CHECK_OK(clv_schema_version(&version, db));
    CHECK_INT(version, 0);
    CHECK_OK(clv_schema_migrate(db));
    CHECK_OK(clv_schema_version(&version, db));
    CHECK_INT(version, clv_schema_latest());
    CHECK_INT(one_integer(db, "PRAGMA application_id"), 0x434c5652);
    static const char *const tables[] = {"catalog", "model",   "video",  "coverage", "segment",
                                         "vector",  "setting", "prompt", "result",   "moment"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        CHECK_INT(one_integer(db, sql), i == 0);
    }
    int changes = sqlite3_total_changes(db);
    CHECK_OK(clv_schema_migrate(db));
    CHECK_INT(sqlite3_total_changes(db), changes);
    CHECK_INT(sqlite3_get_autocommit(db), 1);
    sqlite3_close(db);
}

static void refuses_what_is_not_ours(void)
{
    const char *directory = t_directory();
    struct clv_store *store = fixture_open(directory, 0);
    clv_store_close(store);
    CHECK_INT(fixture_sql(directory, "PRAGMA user_version = 99"), SQLITE_OK);
    CHECK_ERROR(clv_store_open(&store, directory, NULL), CLV_EVERSION, "version 99");
    struct clv_store_options read_only = {.read_only = true};
    CHECK_ERROR(clv_store_open(&store, directory, &read_only), CLV_EVERSION, "version 99");
    CHECK_INT(fixture_sql(directory, "PRAGMA user_version = -3"), SQLITE_OK);
    CHECK_ERROR(clv_store_open(&store, directory, NULL), CLV_ECORRUPT, "version -3");
    CHECK_INT(fixture_sql(directory, "PRAGMA user_version = 1; PRAGMA application_id = 5"),
              SQLITE_OK);
    CHECK_ERROR(clv_store_open(&store, directory, NULL), CLV_ECORRUPT, "not a claverdb catalog");

    struct clv_store_options create = {.create = true};
    const char *other = t_directory();
    CHECK_INT(fixture_sql(other, "CREATE TABLE theirs (a)"), SQLITE_OK);
    CHECK_ERROR(clv_store_open(&store, other, &create), CLV_ECORRUPT, "not a claverdb catalog");
    const char *text = t_directory();
    CHECK_OK(clv_file_replace(t_path(text, "catalog.sqlite"), "this is just some text, ok?\n", 28));
    CHECK_ERROR(clv_store_open(&store, text, &create), CLV_ECORRUPT, "not a database");
    /* An empty file is a creation that was cut short: for a creator only. */
    const char *empty = t_directory();
    CHECK_OK(clv_file_replace(t_path(empty, "catalog.sqlite"), "", 0));
    CHECK_ERROR(clv_store_open(&store, empty, NULL), CLV_ECORRUPT, "not a claverdb catalog");
    CHECK_ERROR(clv_store_open(&store, empty, &read_only), CLV_ECORRUPT, "not a claverdb catalog");
    CHECK_OK(clv_store_open(&store, empty, &create));
    clv_store_close(store);
}

static void lets_many_create_at_once(void)
{
    for (int round = 0; round < 5; round++) {
        const char *directory = t_path(t_directory(), "shared/db");
        pid_t children[4];
        for (int i = 0; i < 4; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                struct clv_store *store = NULL;
                struct clv_store_options create = {.create = true};
                int status = clv_store_open(&store, directory, &create);
                if (status != CLV_OK)
                    fprintf(stderr, "%s\n", clv_error_message());
                else if (fixture_model(store, 0, FIXTURE_DIM) != 1)
                    status = CLV_ERR;
                clv_store_close(store);
                _exit(status != CLV_OK);
            }
        }
        for (int i = 0; i < 4; i++) {
            int status = -1;
            CHECK(waitpid(children[i], &status, 0) == children[i]);
            CHECK_INT(status, 0);
        }
    }
}

int main(void)
{
    T_RUN(migrates_from_empty);
    T_RUN(refuses_what_is_not_ours);
    T_RUN(lets_many_create_at_once);
    return t_end();
}
