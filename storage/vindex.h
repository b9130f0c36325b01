/* Private to storage: a vector index over FAISS, through its C API, and its cache file. Knows
 * segment ids and vectors, nothing of SQLite. Positions in the index are 0, 1, … in ascending order
 * of segment id; a bitmap (bit i % 8 of byte i / 8) selects positions.
 *
 * Cache file, little-endian: "CLVVEC01", u32 dim, u32 reserved 0, i64 count, i64 trained count,
 * i64 ids[count], u8 live[(count + 7) / 8], then FAISS's own format. It must never be parsed before
 * its digest was compared: FAISS's reader trusts what it reads. */
#ifndef CLV_STORAGE_VINDEX_H
#define CLV_STORAGE_VINDEX_H

#include "core/digest.h"
#include "core/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_vindex;

/* An empty index for about `count` vectors of `dim`: exact ("flat") up to `flat_max`, inverted
 * lists with 8-bit codes ("ivfNNN,sq8") above. */
int clv_vindex_create(struct clv_vindex **out, int dim, int64_t count, int64_t flat_max);
void clv_vindex_free(struct clv_vindex *index);

/* How many vectors, evenly taken from all, clv_vindex_train() should be given; 0 for none. */
int64_t clv_vindex_training_size(const struct clv_vindex *index);
int clv_vindex_train(struct clv_vindex *index, const float *vectors, int64_t count);

/* Appends live vectors [count, dim]; ids ascend, also from call to call. */
int clv_vindex_add(struct clv_vindex *index, const int64_t *segment_ids, const float *vectors,
                   int64_t count);

int64_t clv_vindex_count(const struct clv_vindex *index);
const int64_t *clv_vindex_ids(const struct clv_vindex *index);
/* Positions whose segments exist, as a bitmap of (count + 7) / 8 bytes, the caller's to change
 * through clv_vindex_set_live(). */
const uint8_t *clv_vindex_live(const struct clv_vindex *index);
int64_t clv_vindex_live_count(const struct clv_vindex *index);
void clv_vindex_set_live(struct clv_vindex *index, int64_t position, bool live);
/* The greatest id ever added, 0 where there is none. */
int64_t clv_vindex_last_id(const struct clv_vindex *index);
/* How many vectors it was laid out for; growth far beyond that asks for a rebuild. */
int64_t clv_vindex_trained_count(const struct clv_vindex *index);
bool clv_vindex_is_flat(const struct clv_vindex *index);
const char *clv_vindex_kind(const struct clv_vindex *index);

/* Writes to a begun replacement and syncs it; the caller commits. */
int clv_vindex_save(const struct clv_vindex *index, struct clv_replace *replace,
                    uint8_t digest_out[CLV_DIGEST_BYTES], int64_t *size_out);
/* CLV_ENOTFOUND, or CLV_ECORRUPT where the file is not the one with this digest. */
int clv_vindex_load(struct clv_vindex **out, const char *path, int dim,
                    const uint8_t digest[CLV_DIGEST_BYTES]);

struct clv_vindex_match {
    int64_t segment_id;
    float score; /* approximate unless flat */
};

/* Up to `match_max` best positions of `bitmap` (NULL: all), best first. `share` is the part of all
 * vectors that the bitmap selects: the smaller, the more lists are probed; `effort` (1, 4, 16, …)
 * multiplies that. *is_exhaustive_out: everything selected was looked at. */
int clv_vindex_search(const struct clv_vindex *index, struct clv_vindex_match *matches_out,
                      int64_t *match_count_out, const float *vector, int64_t match_max,
                      const uint8_t *bitmap, double share, double effort, bool *is_exhaustive_out);

/* The vectors as the index holds them, [count, dim]. */
int clv_vindex_reconstruct(const struct clv_vindex *index, float *out, int64_t first,
                           int64_t count);
/* What the index would hold of `vector` [dim] if it were added. */
int clv_vindex_encode(const struct clv_vindex *index, float *out, const float *vector);

/* Square distance of unit vectors from what lists hold of them, above which the codes do not fit:
 * they were trained on other footage. */
#define CLV_VINDEX_CODE_ERROR 0.05

/* "1.7.3": of FAISS. */
const char *clv_vindex_version(void);

#endif
