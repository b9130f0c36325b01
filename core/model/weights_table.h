/* Private to core/model: what a clv_weights is, and one made of memory instead of a file. */
#ifndef CLV_CORE_MODEL_WEIGHTS_TABLE_H
#define CLV_CORE_MODEL_WEIGHTS_TABLE_H

#include "core/file.h"
#include "core/model/weights.h"

struct clv_weights {
    char *path;
    struct clv_map map;
    size_t file_bytes; /* header and all; 0: there is no file */
    void *memory;      /* the data where there is no file; owned */
    size_t count;
    struct clv_weight_entry *entries; /* in order of their data; names owned */
    size_t *by_name;                  /* indices of `entries`, sorted by name */
    size_t metadata_count;
    struct clv_weight_metadata *metadata; /* keys and values owned */
    /* Of a file opened by clv_weights_open_any(): tensors of types that are not read. */
    char **skipped; /* owned */
    size_t skipped_count;
};

/* As clv_weights_open(), but data types that safetensors has and clv_dtype has not are no error:
 * their tensors are left out, and named in `skipped`. */
int clv_weights_open_any(struct clv_weights **out, const char *path);

/* "F32" and so on, as in the file. */
const char *clv_dtype_name(enum clv_dtype dtype);
/* Bytes of one element. */
size_t clv_dtype_size(enum clv_dtype dtype);

/* Fills entry->element_count and size_bytes from dtype and shape; false where the dimensions are
 * too many, negative, or their product overflows. */
bool clv_weight_entry_measure(struct clv_weight_entry *entry);

/* A clv_weights of copies of `entries`, whose data point into `memory` (malloc'd), which it takes
 * over on success. `path` is the name used in messages. */
int clv_weights_from_memory(struct clv_weights **out, const char *path,
                            const struct clv_weight_entry *entries, size_t entry_count,
                            const struct clv_weight_metadata *metadata, size_t metadata_count,
                            void *memory);

#endif
