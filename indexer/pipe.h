/* What flows from the decoding threads to the encoding one: pooled work items through one bounded
 * queue. Each decoding thread is a lane; the items of a lane come in order, those of several as
 * they happen to. Nothing is allocated once the pipe is made, and memory does not grow with the
 * footage. */
#ifndef CLV_INDEXER_PIPE_H
#define CLV_INDEXER_PIPE_H

#include "core/cancel.h"
#include "core/media/reader.h"
#include "core/queue.h"
#include "indexer/ingest.h"
#include "indexer/known.h"
#include "indexer/order.h"
#include "indexer/track.h"
#include "indexer/windows.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_JOB_ERROR_SIZE 1024

/* One file to be read. A decoding thread fills in what it finds and does not touch it any more once
 * it has sent CLV_WORK_END; the encoding side gathers its segments and hands it to the storing one,
 * which says what came of it. */
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
    /* The encoding side's. */
    struct clv_track track;
    bool is_ended;
    size_t held_bytes; /* of its segments, once it has ended */
    /* The storing side's. */
    enum clv_ingest_event event; /* what is to be reported, */
    const char *detail;          /* with this; borrowed from the job or what it borrows from */
    int64_t segment_count;       /* stored */
    bool is_again;               /* nothing came of it yet: it must be read itself */
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
    int lane;
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
    struct clv_order *order;   /* of the jobs */
    uint8_t **at_place;        /* [lanes, places] squares a lane's window plan keeps; NULL: none */
    int frame_count;           /* T */
    struct clv_cancel *cancel; /* the caller's; may be NULL */
    atomic_bool is_stopped;
    atomic_int open_lanes;
    /* What the decoding threads have done so far, together. */
    _Atomic int64_t bytes_done, footage_ms, busy_us;
};

struct clv_pipe_options {
    size_t square_bytes;
    int frame_count; /* T */
    int lane_count;
    int depth;      /* items between the two sides: how far decoding may run ahead */
    int held_count; /* squares the encoding side keeps while it waits for more */
    int job_count;
    int ahead_max;         /* as of the order, */
    size_t held_max_bytes; /* and this too */
    struct clv_cancel *cancel;
};

int clv_pipe_create(struct clv_pipe **out, const struct clv_pipe_options *options);
/* All threads must be done with it. Accepts NULL. */
void clv_pipe_free(struct clv_pipe *pipe);

/* Makes every wait on the pipe end, on both sides, and those for the order of jobs. */
void clv_pipe_stop(struct clv_pipe *pipe);
/* No more work comes of one lane; of all, when each has said so. */
void clv_pipe_finish(struct clv_pipe *pipe);
bool clv_pipe_is_stopped(struct clv_pipe *pipe);
/* Where a lane's squares are kept [clv_windows_place_count(T)]. */
uint8_t **clv_pipe_places(struct clv_pipe *pipe, int lane);

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
