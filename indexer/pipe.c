#include "indexer/pipe.h"

#include "core/arena.h"
#include "core/error.h"

#include <stdlib.h>

static int fill(struct clv_pipe *pipe, const struct clv_pipe_options *options, int square_count)
{
    const size_t frame_count = (size_t)options->frame_count, depth = (size_t)options->depth;
    const size_t place_count =
        (size_t)options->lane_count * (size_t)clv_windows_place_count(options->frame_count);
    size_t squares_size = 0;
    if (!clv_size_multiply(&squares_size, (size_t)square_count, options->square_bytes))
        return clv_fail_memory("the pipeline");
    pipe->items = calloc(depth, sizeof *pipe->items);
    pipe->frames = calloc(depth * frame_count, sizeof *pipe->frames);
    pipe->squares = malloc(squares_size);
    pipe->at_place = calloc(place_count, sizeof(uint8_t *));
    if (!pipe->at_place || !pipe->items || !pipe->frames || !pipe->squares)
        return clv_fail_memory("the pipeline");
    for (size_t i = 0; i < depth; i++) {
        pipe->items[i].frames = pipe->frames + i * frame_count;
        clv_queue_push(pipe->free_work, &pipe->items[i]);
    }
    for (int i = 0; i < square_count; i++)
        clv_queue_push(pipe->free_squares, pipe->squares + (size_t)i * options->square_bytes);
    return CLV_OK;
}

int clv_pipe_create(struct clv_pipe **out, const struct clv_pipe_options *options)
{
    /* Enough that a lane never waits for a square which only its own later work would free. */
    int square_count = options->lane_count * clv_windows_place_count(options->frame_count) +
                       options->held_count + options->depth;
    struct clv_pipe *pipe = *out = calloc(1, sizeof *pipe);
    if (!pipe)
        return clv_fail_memory("the pipeline");
    pipe->frame_count = options->frame_count;
    pipe->cancel = options->cancel;
    atomic_store(&pipe->open_lanes, options->lane_count);
    int status = clv_queue_create(&pipe->work, options->depth);
    if (status == CLV_OK)
        status = clv_queue_create(&pipe->free_work, options->depth);
    if (status == CLV_OK)
        status = clv_queue_create(&pipe->free_squares, square_count);
    if (status == CLV_OK)
        status = clv_order_create(&pipe->order, options->job_count, options->ahead_max,
                                  options->held_max_bytes);
    if (status == CLV_OK)
        status = fill(pipe, options, square_count);
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
    clv_order_free(pipe->order);
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
    clv_order_stop(pipe->order);
}

void clv_pipe_finish(struct clv_pipe *pipe)
{
    if (atomic_fetch_sub(&pipe->open_lanes, 1) == 1)
        clv_queue_close(pipe->work);
}

bool clv_pipe_is_stopped(struct clv_pipe *pipe)
{
    return atomic_load(&pipe->is_stopped) || clv_cancelled(pipe->cancel);
}

uint8_t **clv_pipe_places(struct clv_pipe *pipe, int lane)
{
    return pipe->at_place + (size_t)lane * (size_t)clv_windows_place_count(pipe->frame_count);
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
