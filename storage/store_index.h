/* Private to storage: which vector index belongs to a model, and keeping it up. */
#ifndef CLV_STORAGE_STORE_INDEX_H
#define CLV_STORAGE_STORE_INDEX_H

#include "storage/handle.h"
#include "storage/vindex.h"

/* A model's index as this handle has it in memory. Segment ids are never used twice and vectors
 * never change, so that any index, however old, fits any state of the catalog once the ids that
 * are gone were masked; what is newer than its last id is not in it. */
struct clv_index_state {
    struct clv_index_state *next;
    int64_t model_id;
    struct clv_vindex *index; /* NULL: none to be had */
    char file[96];            /* its cache file; "" where it was built and not kept */
    char refused[96];         /* a cache file that could not be used */
    int64_t generation;       /* of the model, that the mask in `index` is right for */
};

struct clv_index_row {
    char file[96];
    uint8_t digest[CLV_DIGEST_BYTES];
    int64_t size_bytes;
    int64_t generation;
    char kind[64];
    bool is_there;
};
int clv_index_row(struct clv_store *store, struct clv_index_row *out, int64_t model_id);

/* Loads the model's index where it is not in memory yet. A cache that cannot be used is said in
 * the log and built anew, kept in the catalog where that can be written at once. Outside a
 * transaction. */
int clv_index_load(struct clv_store *store, struct clv_index_state **out, int64_t model_id);
/* Masks what the catalog no longer has. Inside a read transaction. */
int clv_index_sync(struct clv_store *store, struct clv_index_state *state);

void clv_index_forget_all(struct clv_store *store);

#endif
