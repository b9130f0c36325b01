/* A decoding thread: reads files one after another and sends what the encoder needs of them.
 * Several may work at the same jobs, each taking the next that none has. */
#ifndef CLV_INDEXER_DECODE_H
#define CLV_INDEXER_DECODE_H

#include "core/model/config.h"
#include "indexer/pipe.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_decode_settings {
    int64_t length_ms;
    int stride_steps;
    double cut_score;                  /* negative: no shot detection */
    int thread_count;                  /* of each file's decoder; 0: all cores */
    const struct clv_decoder *decoder; /* NULL: the CPU */
    bool dry_run;                      /* decide only; content is read only where it can matter */
    const struct clv_model_config *config;
    struct clv_known_rules rules;
};

struct clv_decode_task {
    struct clv_pipe *pipe;
    int lane;                /* of the pipe, this thread's own */
    struct clv_known *known; /* the threads', one at a time, while they run */
    struct clv_job *const *jobs;
    int job_count;
    const struct clv_decode_settings *settings;
};

/* Works at the jobs by the pipe's order; `payload` is a struct clv_decode_task. Each job is one
 * CLV_WORK_BEGIN, its frames and windows, and one CLV_WORK_END with the file's status, all of one
 * lane, unless the pipe is stopped. Returns NULL: a pthread's body. */
void *clv_decode_run(void *payload);

#endif
