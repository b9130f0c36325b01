/* What flows from the decoding thread to the encoding one: pooled work items through a bounded
 * queue. Nothing is allocated once the pipe is made, and memory does not grow with the footage. */
#ifndef CLV_INDEXER_PIPE_H
#define CLV_INDEXER_PIPE_H

#include "core/cancel.h"
#include "core/media/reader.h"
#include "core/queue.h"
#include "indexer/known.h"
#include "indexer/windows.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_JOB_ERROR_SIZE 1024

/* One file to be read. The decoding thread fills the rest in and does not touch it any more once
 * it has sent CLV_WORK_END. */
struct clv_job {
    const char *path;
    int64_t size_bytes;
    int64_t modified_ns;
    uint8_t digest[CLV_DIGEST_BYTES];
    struct clv_verdict verdict;
    int status; /* of the file */
    char error[CLV_JOB_ERROR_SIZE];
    struct clv_media_info info;
    int64_t end_ticks; /* of the last frame */
    int64_t damage_count;
};

enum clv_work_kind {
    CLV_WORK_BEGIN,
    CLV_WORK_FRAME,  /* `square` is the next picture sent */
    CLV_WORK_WINDOW, /* of pictures sent before */
    CLV_WORK_EXTEND, /* the last window ends at window.end_ticks instead */
    CLV_WORK_END,
};

struct clv_work {
    enum clv_work_kind kind;
    struct clv_job *job;
    uint8_t *square; /* [R * R * 3]; goes back with clv_pipe_return_square() */
    struct clv_window window;
    int64_t *frames; /* [T], what window.frames points to */
};

struct clv_pipe {
    struct clv_queue *work, *free_work, *free_squares;
    struct clv_work *items;
    int64_t *frames;
    uint8_t *squares;
    uint8_t **at_place; /* the decoding thread's: squares its window plan keeps; NULL: none */
    int frame_count;    /* T */
    struct clv_cancel *cancel; /* the caller's; may be NULL */
    atomic_bool is_stopped;
    /* What the decoding thread has done so far. */
    _Atomic int64_t bytes_done, footage_ms, busy_us;
};

/* `held_count`: squares the encoding side keeps while it waits for more. */
int clv_pipe_create(struct clv_pipe **out, size_t square_bytes, int frame_count, int held_count,
                    struct clv_cancel *cancel);
/* Both threads must be done with it. Accepts NULL. */
void clv_pipe_free(struct clv_pipe *pipe);

/* Makes every wait on the pipe end, on both sides. */
void clv_pipe_stop(struct clv_pipe *pipe);
/* No more work comes. */
void clv_pipe_finish(struct clv_pipe *pipe);
bool clv_pipe_is_stopped(struct clv_pipe *pipe);

/* A free square; NULL once stopped. */
uint8_t *clv_pipe_take_square(struct clv_pipe *pipe);
void clv_pipe_return_square(struct clv_pipe *pipe, uint8_t *square);
/* A free item; NULL once stopped. */
struct clv_work *clv_pipe_take(struct clv_pipe *pipe);
/* Hands the item on; CLV_ECANCELED once stopped. */
int clv_pipe_send(struct clv_pipe *pipe, struct clv_work *work);
/* The next item, waiting for at most `timeout_ms`. NULL with *timed_out_out, or at the end. */
struct clv_work *clv_pipe_receive(struct clv_pipe *pipe, int timeout_ms, bool *timed_out_out);
void clv_pipe_return(struct clv_pipe *pipe, struct clv_work *work);

#endif
