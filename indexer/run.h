/* One run of clv_ingest_paths(), shared by its parts: ingest.c leads, outcome.c says what came of
 * each file and committer.c has it stored. Private to the indexer. */
#ifndef CLV_INDEXER_RUN_H
#define CLV_INDEXER_RUN_H

#include "indexer/batches.h"
#include "indexer/decode.h"
#include "indexer/encode.h"
#include "indexer/ingest.h"
#include "indexer/known.h"
#include "indexer/scan.h"

#include <stdint.h>

struct clv_run {
    struct clv_store *store;
    struct clv_encoder *encoder;
    int64_t model_id;
    struct clv_ingest_options options; /* defaults filled in */
    char settings[64];                 /* as stored with the segments */
    struct clv_decode_settings decode;
    struct clv_batches batches;
    struct clv_scan scan;
    struct clv_known *known;

    struct clv_job *jobs; /* [scan.count] the files to be read */
    int job_count;
    struct clv_job **again; /* [job_count] copies whose source came to nothing */
    int again_count;

    clv_ingest_report *report;
    void *payload;
    struct clv_ingest_progress progress;
    double begun_s, reported_s;
};

/* Reports `event` with the progress as it stands. */
void clv_run_report(struct clv_run *run, enum clv_ingest_event event, const char *path,
                    const char *detail);

/* Stores what came of a job that was read, whose segments all have their vectors, and notes in it
 * what is to be reported. A failure of the file is recorded; what is returned is a failure of the
 * store. Changes nothing of the run but its store. */
int clv_run_store_job(const struct clv_run *run, struct clv_job *job);
/* Counts and reports what came of a job that is stored. */
void clv_run_report_job(struct clv_run *run, struct clv_job *job);
/* Videos of the catalog under the given paths whose files are not there any more. */
int clv_run_finish_gone(struct clv_run *run);

#endif
