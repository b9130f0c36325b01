#include "indexer/pipe.h"

#include "core/arena.h"
#include "core/error.h"

#include <stdlib.h>

/* How far decoding may run ahead, in items; frames are most of them. */
#define DEPTH 48

static int fill(struct clv_pipe *pipe, size_t square_bytes, int square_count)
{
    size_t frame_count = (size_t)pipe->frame_count, squares_size = 0;
    if (!clv_size_multiply(&squares_size, (size_t)square_count, square_bytes))
        return clv_fail_memory("the pipeline");
    pipe->items = calloc(DEPTH, sizeof *pipe->items);
    pipe->frames = calloc(DEPTH * frame_count, sizeof *pipe->frames);
    pipe->squares = malloc(squares_size);
    pipe->at_place = calloc((size_t)clv_windows_place_count(pipe->frame_count), sizeof(uint8_t *));
    if (!pipe->at_place || !pipe->items || !pipe->frames || !pipe->squares)
        return clv_fail_memory("the pipeline");
    for (int i = 0; i < DEPTH; i++) {
        pipe->items[i].frames = pipe->frames + (size_t)i * frame_count;
        clv_queue_push(pipe->free_work, &pipe->items[i]);
    }
    for (int i = 0; i < square_count; i++)
        clv_queue_push(pipe->free_squares, pipe->squares + (size_t)i * square_bytes);
    return CLV_OK;
}

int clv_pipe_create(struct clv_pipe **out, size_t square_bytes, int frame_count, int held_count,
                    struct clv_cancel *cancel)
{
    int square_count = clv_windows_place_count(frame_count) + held_count + DEPTH;
    struct clv_pipe *pipe = *out = calloc(1, sizeof *pipe);
    if (!pipe)
        return clv_fail_memory("the pipeline");
    pipe->frame_count = frame_count;
    pipe->cancel = cancel;
    int status = clv_queue_create(&pipe->work, DEPTH);
    if (status == CLV_OK)
        status = clv_queue_create(&pipe->free_work, DEPTH);
    if (status == CLV_OK)
        status = clv_queue_create(&pipe->free_squares, square_count);
    if (status == CLV_OK)
        status = fill(pipe, square_bytes, square_count);
    if (status != CLV_OK) {
        clv_pipe_free(pipe);
        *out = NULL;
    }
    return status;
}

void clv_pipe_free(struct clv_pipe *pipe)
{
    if (!pipe)
        return;
    clv_queue_free(pipe->work);
    clv_queue_free(pipe->free_work);
    clv_queue_free(pipe->free_squares);
    free(pipe->items);
    free(pipe->frames);
    free(pipe->squares);
    free(pipe->at_place);
    free(pipe);
}

void clv_pipe_stop(struct clv_pipe *pipe)
{
    atomic_store(&pipe->is_stopped, true);
    clv_queue_close(pipe->work);
    clv_queue_close(pipe->free_work);
    clv_queue_close(pipe->free_squares);
}

void clv_pipe_finish(struct clv_pipe *pipe)
{
    clv_queue_close(pipe->work);
}

bool clv_pipe_is_stopped(struct clv_pipe *pipe)
{
    return atomic_load(&pipe->is_stopped) || clv_cancelled(pipe->cancel);
}

uint8_t *clv_pipe_take_square(struct clv_pipe *pipe)
{
    return clv_queue_pop(pipe->free_squares);
}

void clv_pipe_return_square(struct clv_pipe *pipe, uint8_t *square)
{
    (void)clv_queue_push(pipe->free_squares, square);
}

struct clv_work *clv_pipe_take(struct clv_pipe *pipe)
{
    return clv_queue_pop(pipe->free_work);
}

int clv_pipe_send(struct clv_pipe *pipe, struct clv_work *work)
{
    return clv_queue_push(pipe->work, work) ? CLV_OK
                                            : clv_fail(CLV_ECANCELED, "indexing was stopped");
}

struct clv_work *clv_pipe_receive(struct clv_pipe *pipe, int timeout_ms, bool *timed_out_out)
{
    return clv_queue_pop_for(pipe->work, timeout_ms, timed_out_out);
}

void clv_pipe_return(struct clv_pipe *pipe, struct clv_work *work)
{
    (void)clv_queue_push(pipe->free_work, work);
}
