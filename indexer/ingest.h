/* Indexing: files in, segments in the store. Decode runs ahead of the encoder through a bounded
 * queue, several files at once where that is worth it, and what is complete is stored while the
 * encoder goes on; a file's segments become visible in one transaction, file after file in order,
 * whatever the number of threads. Only what is new or changed is done; a moved file is recognised
 * by its content. */
#ifndef CLV_INDEXER_INGEST_H
#define CLV_INDEXER_INGEST_H

#include "core/cancel.h"
#include "core/media/decoder.h"
#include "core/model/model.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether what is computed together may be of several videos. A video's vectors differ by rounding
 * with what is computed beside them, where the device's products depend on their shape. */
enum clv_batching {
    CLV_BATCHING_DEVICE, /* a CPU: each video's own; CUDA: shared */
    CLV_BATCHING_OWN,
    CLV_BATCHING_SHARED,
};

/* Zeros take the default in brackets. */
struct clv_ingest_options {
    int64_t length_ms; /* of a window [4000] */
    int64_t
        stride_ms; /* between window starts, rounded to whole grid steps of length/T [length/2] */
    double cut_score;   /* scene-detection threshold [10]; negative: no shot detection */
    int reader_count;   /* files decoded at once [by the device: a CPU 1, CUDA as many as cores] */
    int decode_threads; /* of all of these together [all cores] */
    enum clv_batching batching;
    const struct clv_decoder *decoder; /* of the footage [the CPU] */
    bool force;                        /* index again even what is unchanged */
    bool retry_failed;                 /* try files again that failed before and have not changed */
    bool prune;                        /* drop videos under the given paths whose files are gone */
    bool dry_run;                      /* only say what would be done */
    struct clv_cancel *cancel;
};

enum clv_ingest_event {
    CLV_INGEST_SCANNED,  /* totals are known */
    CLV_INGEST_BEGIN,    /* `path` begins */
    CLV_INGEST_PROGRESS, /* several times a second */
    CLV_INGEST_INDEXED,  /* `path` is in the store */
    CLV_INGEST_UNCHANGED,
    CLV_INGEST_MOVED,  /* `path` was known as `detail` */
    CLV_INGEST_FAILED, /* `detail` says why; `path` is a file, or a folder that cannot be read */
    CLV_INGEST_GONE,   /* in the store, its file is not there; not dropped */
    CLV_INGEST_PRUNED,
};

struct clv_ingest_progress {
    enum clv_ingest_event event;
    const char *path;
    const char *detail; /* "" where the event has none */
    int file_count, files_done;
    int indexed_count, unchanged_count, moved_count, failed_count, gone_count, pruned_count;
    int64_t segment_count;
    int64_t frame_count;             /* that went through the model */
    int64_t bytes_total, bytes_done; /* of files to be read: what the time left is reckoned from */
    int64_t footage_ms;              /* decoded so far */
    double elapsed_s;
    double decode_s, encode_s, write_s; /* time each stage was busy; a reader, on average */
};

/* The stage that set the pace: "decoding", "encoding" or "writing"; "" where nothing was decoded.
 */
const char *clv_ingest_limit(const struct clv_ingest_progress *progress);

typedef void clv_ingest_report(const struct clv_ingest_progress *progress, void *payload);

/* An encoder for clv_ingest_paths() with the same options, with batches as its device likes them
 * and has room for. `model` must outlive it. */
int clv_ingest_encoder(struct clv_encoder **out, struct clv_device *device,
                       const struct clv_model *model, const struct clv_ingest_options *options);

/* Indexes `paths` for the model already put as `model_id`; reports on the caller's thread. The
 * store must not be used meanwhile, from the report neither. Per-file failures are reported and
 * recorded and do not stop it; totals_out holds the sums. Any encoder does that keeps at least a
 * window's frames; one with few slots reads few files at once. CLV_ECANCELED after finishing the
 * write in hand; other errors are of the store, the model or the paths themselves. */
int clv_ingest_paths(struct clv_ingest_progress *totals_out, struct clv_store *store,
                     struct clv_encoder *encoder, int64_t model_id, const char *const *paths,
                     int path_count, const struct clv_ingest_options *options,
                     clv_ingest_report *report, void *payload);

#endif
