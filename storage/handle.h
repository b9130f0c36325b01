/* Private to storage: what a store is made of, shared by the files that implement store.h. */
#ifndef CLV_STORAGE_HANDLE_H
#define CLV_STORAGE_HANDLE_H

#include "storage/db.h"
#include "storage/store.h"

struct clv_index_state;

struct clv_store {
    char *directory;
    struct clv_db *db;
    int64_t flat_max;
    struct clv_index_state *indexes; /* one for each model searched so far; store_index.c */
};

/* Counts a change of videos or segments; inside the transaction that makes it. */
int clv_catalog_touch(struct clv_store *store);
/* Counts a change of the segments of one model, or of every model that has some of `video_id`. */
int clv_catalog_touch_model(struct clv_store *store, int64_t model_id);
int clv_catalog_touch_models_of(struct clv_store *store, int64_t video_id);

/* The model's vector length and generation; CLV_ENOTFOUND where there is no such model. */
int clv_catalog_model(struct clv_store *store, int *dim_out, int64_t *generation_out,
                      int64_t model_id);

/* "*" + "/" + glob where the pattern may start at any folder; NULL stays NULL. The caller frees. */
int clv_catalog_glob(char **out, const char *glob);

/* Binds NULL-safe text of any bytes. */
void clv_catalog_bind_text(sqlite3_stmt *statement, int index, const char *text);
/* A column's text, "" for NULL; valid until the statement moves. */
const char *clv_catalog_text(sqlite3_stmt *statement, int column);
/* Copies a digest column; a blob of another size is CLV_ECORRUPT. */
int clv_catalog_digest(struct clv_store *store, uint8_t out[CLV_DIGEST_BYTES],
                       sqlite3_stmt *statement, int column);

#endif
