/* A claverdb database: one directory holding the catalog (SQLite, the only truth) and the vector
 * index files (FAISS, caches of it), kept one by this module.
 *
 * A handle serves one thread at a time; any number of processes may read while one writes. A
 * second writer waits for at most the busy time-out and then gets CLV_EBUSY. Rows and strings
 * handed to callbacks are borrowed for the call. */
#ifndef CLV_STORAGE_STORE_H
#define CLV_STORAGE_STORE_H

#include "core/cancel.h"
#include "core/digest.h"
#include "core/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_store;

struct clv_store_options {
    bool create;         /* make the directory and catalog where there is none */
    bool read_only;      /* search never writes the catalog (it may refresh a cache file) */
    int busy_timeout_ms; /* 0: 10000 */
    int64_t flat_max;    /* up to this many segments a vector index is exact; 0: 20000 */
};

/* CLV_ENOTFOUND where there is no database and none is to be made; CLV_EVERSION where a newer
 * claverdb wrote it; CLV_ECORRUPT. */
int clv_store_open(struct clv_store **out, const char *directory,
                   const struct clv_store_options *options);
void clv_store_close(struct clv_store *store);
const char *clv_store_directory(const struct clv_store *store);

/* ---- models ---- */

struct clv_model_row {
    int64_t id;
    uint8_t digest[CLV_DIGEST_BYTES];
    const char *name; /* file name, for people */
    const char *path; /* where it was last opened from; "" for the built-in one */
    int dim;          /* E */
    int frame_count;  /* T */
    int64_t segment_count;
    int64_t video_count; /* that have been indexed with it */
};

/* The longest vector a store takes. */
#define CLV_STORE_DIM_MAX 65536

/* Finds the model by digest, dim and frame_count or adds it; sets row->id. Name and path become
 * those given. On a read-only store CLV_ENOTFOUND where it is not there yet. */
int clv_store_model_put(struct clv_store *store, struct clv_model_row *row);
typedef int clv_store_model_each(const struct clv_model_row *row, void *payload);
int clv_store_models(struct clv_store *store, clv_store_model_each *each, void *payload);
/* Drops the model with its segments, vectors and cached prompts, in one transaction; its index file
 * goes with the next refresh. Videos stay, for other models. CLV_ENOTFOUND. */
int clv_store_model_forget(struct clv_store *store, int64_t model_id);

/* ---- videos ---- */

enum clv_video_status {
    CLV_VIDEO_INDEXED,
    CLV_VIDEO_FAILED,  /* could not be read; `error` says why */
    CLV_VIDEO_MISSING, /* was indexed, its file is gone; dropped by prune */
};

struct clv_video_row {
    int64_t id;
    const char *path;                 /* absolute; bytes, not necessarily UTF-8 */
    uint8_t digest[CLV_DIGEST_BYTES]; /* of the file */
    int64_t size_bytes;
    int64_t modified_ns;
    enum clv_video_status status;
    const char *error; /* "" unless failed */
    const char *codec;
    const char *container;
    int width, height, rotation;
    bool has_audio;
    double frame_rate;
    struct clv_timebase timebase;
    int64_t start_ticks;
    int64_t duration_ticks; /* as decoded: end of the last frame - start */
    int64_t damage_count;
    int64_t indexed_unix_ms;
    /* of the model asked for: */
    int64_t segment_count;
    char settings[64]; /* what the segments were made with, e.g. "length=4000 stride=2000 t=8" */
};

/* One segment to be stored: [start_ticks, end_ticks) in the video's time base. */
struct clv_segment {
    int64_t start_ticks;
    int64_t end_ticks;
    int32_t shot;        /* number of the shot within the video, from 0 */
    float norm;          /* of the mean of unit frame features, before re-normalisation */
    const float *vector; /* [dim], unit */
};

/* Stores the video and all its segments for one model in one transaction, replacing what was there
 * for this path and model. Sets video->id. Segments of other models stay if the file's digest is
 * the same, and go if it changed. */
int clv_store_video_put(struct clv_store *store, struct clv_video_row *video, int64_t model_id,
                        const struct clv_segment *segments, size_t segment_count);
/* Records a file that cannot be read; its earlier segments go. Needs path, digest, size_bytes,
 * modified_ns and error. */
int clv_store_video_fail(struct clv_store *store, struct clv_video_row *video);
/* The same content now lies at another path (the old path no longer exists). */
int clv_store_video_move(struct clv_store *store, int64_t video_id, const char *path,
                         int64_t modified_ns);
/* Records size and modification time of a file whose content turned out unchanged. */
int clv_store_video_touch(struct clv_store *store, int64_t video_id, int64_t size_bytes,
                          int64_t modified_ns);
int clv_store_video_mark_missing(struct clv_store *store, int64_t video_id);
/* Drops the video, its segments and vectors, for all models. */
int clv_store_video_forget(struct clv_store *store, int64_t video_id);

/* Copies of one row; release with clv_video_row_release(). CLV_ENOTFOUND. `model_id` 0: none. */
int clv_store_video_by_path(struct clv_store *store, struct clv_video_row *out, const char *path,
                            int64_t model_id);
int clv_store_video_by_id(struct clv_store *store, struct clv_video_row *out, int64_t video_id,
                          int64_t model_id);
/* Any video with this content; the first by id. */
int clv_store_video_by_digest(struct clv_store *store, struct clv_video_row *out,
                              const uint8_t digest[CLV_DIGEST_BYTES], int64_t model_id);
void clv_video_row_release(struct clv_video_row *row);

/* Every video in order of path whose path matches `glob` (SQLite GLOB, `*` matches '/'; a pattern
 * without a leading '/' or '*' matches from any folder; NULL: all). The callback may change the
 * store. */
typedef int clv_store_video_each(const struct clv_video_row *row, void *payload);
int clv_store_videos(struct clv_store *store, const char *glob, int64_t model_id,
                     clv_store_video_each *each, void *payload);

/* ---- segments and search ---- */

struct clv_hit {
    int64_t segment_id;
    int64_t video_id;
    int64_t start_ticks;
    int64_t end_ticks;
    int32_t shot;
    float norm;
    float score; /* product with the stored fp16 vector: the cosine but for its rounding */
};

struct clv_search_filter {
    const char *glob; /* as clv_store_videos(); NULL: all */
    int64_t from_ms;  /* segments that overlap [from_ms, to_ms) of their file */
    int64_t to_ms;    /* 0: no end */
    int64_t video_id; /* only this video; 0: all */
    bool exact;       /* scan every vector, whatever the index is */
};

/* The `hit_max` best segments of the model for the unit `vector` [dim], best first; hits_out must
 * have room. Filters are applied inside the vector search. Candidates are rescored exactly. Ties
 * go to the lower segment id. Missing videos are not searched. */
int clv_store_search(struct clv_store *store, struct clv_hit *hits_out, int *hit_count_out,
                     int64_t model_id, const float *vector, int hit_max,
                     const struct clv_search_filter *filter);

/* Cosines of the unit `vector` with up to `max` segments spread evenly over the whole index: what
 * an arbitrary piece of this footage scores. */
int clv_store_sample_scores(struct clv_store *store, float *scores_out, int *count_out,
                            int64_t model_id, const float *vector, int max);

/* Every segment of a video in order of start. `vector` [dim] is the stored fp16 one widened. */
typedef int clv_store_segment_each(const struct clv_hit *segment, const float *vector,
                                   void *payload);
int clv_store_segments(struct clv_store *store, int64_t video_id, int64_t model_id,
                       clv_store_segment_each *each, void *payload);

/* ---- upkeep ---- */

/* Brings every model's vector index up to the catalog (after indexing, so that searches need
 * not). */
int clv_store_refresh(struct clv_store *store, struct clv_cancel *cancel);
/* Throws the vector indexes away and builds them from the catalog. */
int clv_store_rebuild(struct clv_store *store, struct clv_cancel *cancel);

/* Reads everything: SQLite's own integrity check, foreign keys, vector sizes and norms, time
 * order, digests and contents of the vector indexes. Each problem is one call of `report`; a bad
 * vector index is a problem (fixed by rebuild). Returns CLV_OK with *problem_count_out. */
typedef void clv_store_report(const char *problem, void *payload);
int clv_store_check(struct clv_store *store, int64_t *problem_count_out, clv_store_report *report,
                    void *payload);

struct clv_store_status {
    int64_t video_count, failed_count, missing_count, segment_count;
    int64_t footage_ms; /* of indexed videos */
    int64_t catalog_bytes, vector_bytes;
    int schema_version;
    int64_t generation;
};
int clv_store_status(struct clv_store *store, struct clv_store_status *out);

/* What the vector index of a model is: "flat" or "ivf1024,sq8"; "" where none is built. */
int clv_store_index_kind(struct clv_store *store, int64_t model_id, char out[64]);

/* ---- settings, caches, the last result ---- */

/* *value_out is NULL where the key is absent; the caller frees. */
int clv_store_setting_get(struct clv_store *store, char **value_out, const char *key);
/* A NULL value removes the key. */
int clv_store_setting_put(struct clv_store *store, const char *key, const char *value);

/* Unit text vectors by model and exact text. CLV_ENOTFOUND where it is not cached. Putting is best
 * effort: a busy or read-only database is no error. */
int clv_store_prompt_get(struct clv_store *store, float *vector_out, int64_t model_id,
                         const char *text, int dim);
int clv_store_prompt_put(struct clv_store *store, int64_t model_id, const char *text,
                         const float *vector, int dim);

/* One moment of a remembered result. Strings are owned by whoever filled the row. */
struct clv_moment_row {
    int64_t id; /* unique over the life of the database; what `export ID` takes */
    int64_t video_id;
    char *path;
    int64_t start_ms, end_ms, peak_ms;
    float score;
    float percentile;
    uint8_t video_digest[CLV_DIGEST_BYTES];
};
/* Replaces nothing: adds a result of `count` moments and sets their ids; results older than the
 * last 100 go. */
int clv_store_result_put(struct clv_store *store, const char *query, int64_t model_id,
                         struct clv_moment_row *moments, int count);
/* The newest result; the caller frees *query_out and the array with clv_moment_rows_free().
 * CLV_ENOTFOUND where there is none. */
int clv_store_result_last(struct clv_store *store, char **query_out,
                          struct clv_moment_row **moments_out, int *count_out);
/* One moment by id, with the query that found it. */
int clv_store_result_moment(struct clv_store *store, char **query_out,
                            struct clv_moment_row **moment_out, int64_t moment_id);
void clv_moment_rows_free(struct clv_moment_row *rows, int count);

/* "SQLite 3.40.1, FAISS 1.7.3" into `out`, which it returns; for `--version`. */
#define CLV_STORE_VERSION_SIZE 64
char *clv_store_version(char out[CLV_STORE_VERSION_SIZE]);

#endif
