/* The catalog's tables: numbered SQL migrations (NNNN_name.sql beside this file), embedded at build
 * time and applied in order. PRAGMA user_version holds the last one applied. */
#ifndef CLV_SCHEMA_SCHEMA_H
#define CLV_SCHEMA_SCHEMA_H

struct sqlite3;

/* The newest version this build knows. */
int clv_schema_latest(void);
int clv_schema_version(int *version_out, struct sqlite3 *db);
/* Applies what is missing in one transaction. CLV_EVERSION where the catalog is newer than this
 * build; CLV_ECORRUPT where the file is no claverdb catalog (application_id). */
int clv_schema_migrate(struct sqlite3 *db);

#endif
