/* Weight files: safetensors, read through a map (or where they lie in memory) and written
 * atomically.
 *
 * Layout: u64 little-endian header size, that many bytes of JSON ({"name": {"dtype", "shape",
 * "data_offsets": [begin, end]}, …, "__metadata__": {string: string}}), then the data; offsets
 * count from the end of the header. Before any pointer is handed out, the reader has checked: the
 * header fits the file and 100 MB; names are unique; dtypes are known; shape products do not
 * overflow and equal the byte ranges; ranges lie in the file, do not overlap and leave no gaps;
 * numbers are non-negative integers. Data need not be aligned. */
#ifndef CLV_CORE_MODEL_WEIGHTS_H
#define CLV_CORE_MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum clv_dtype {
    CLV_F32,
    CLV_F16,
    CLV_BF16,
    CLV_F64,
    CLV_I64,
    CLV_I32,
    CLV_I16,
    CLV_I8,
    CLV_U8,
    CLV_BOOL,
};

#define CLV_DIMENSION_MAX 8

struct clv_weight_entry {
    const char *name;
    enum clv_dtype dtype;
    int dimension_count;
    int64_t shape[CLV_DIMENSION_MAX];
    size_t element_count;
    size_t size_bytes;
    const void *data; /* in the map, or given to clv_weights_save() */
};

struct clv_weights;

/* CLV_ECORRUPT names the file and what is wrong with it. */
int clv_weights_open(struct clv_weights **out, const char *path);
/* The same of a file's bytes in memory, which are borrowed; `name` is what messages call them. */
int clv_weights_open_bytes(struct clv_weights **out, const char *name, const void *bytes,
                           size_t size_bytes);
void clv_weights_close(struct clv_weights *weights);

const char *clv_weights_path(const struct clv_weights *weights);
/* Of the file, or of its bytes; 0 where the weights never were a file. */
size_t clv_weights_file_bytes(const struct clv_weights *weights);
size_t clv_weights_count(const struct clv_weights *weights);
/* In order of the data's offsets. Borrowed. */
const struct clv_weight_entry *clv_weights_at(const struct clv_weights *weights, size_t index);
/* NULL where there is none. */
const struct clv_weight_entry *clv_weights_find(const struct clv_weights *weights,
                                                const char *name);
/* NULL where the key is absent. Borrowed. */
const char *clv_weights_metadata(const struct clv_weights *weights, const char *key);
size_t clv_weights_metadata_count(const struct clv_weights *weights);
void clv_weights_metadata_at(const struct clv_weights *weights, size_t index, const char **key_out,
                             const char **value_out);

/* Converts F32, F16, BF16 or F64 elements to float. CLV_EINVAL for the other types. */
int clv_weights_read(float *out, const struct clv_weight_entry *entry);

struct clv_weight_metadata {
    const char *key;
    const char *value;
};

/* Writes a safetensors file atomically, data in the order given, header padded with spaces to
 * 64 bytes so that a map of the file is aligned. */
int clv_weights_save(const char *path, const struct clv_weight_entry *entries, size_t entry_count,
                     const struct clv_weight_metadata *metadata, size_t metadata_count);

/* Writes tensor `index` of the entries, all its size_bytes, into `out`. */
typedef int clv_weights_fill(void *payload, size_t index, void *out);

/* As clv_weights_save() for entries without data: `fill` is asked for each in turn, so that one
 * tensor is in memory at a time. Nothing is left behind where it fails. */
int clv_weights_stream(const char *path, const struct clv_weight_entry *entries, size_t entry_count,
                       const struct clv_weight_metadata *metadata, size_t metadata_count,
                       clv_weights_fill *fill, void *payload);

/* Tensors so named hold the files of a vocabulary as bytes: they are no part of the model and not
 * of its identity. */
#define CLV_WEIGHTS_VOCABULARY "claverdb.vocabulary."
bool clv_weights_is_vocabulary(const struct clv_weight_entry *entry);

#endif
