/* The clips of a pass on the device: floats, or bytes that become floats there, and each mixed with
 * its partner at the other end of the batch. */
#include "core/compute/gradients.h"
#include "core/model/augment.h"
#include "core/model/learner_state.h"

void clv_learner_write_values(const struct clv_learner *learner)
{
    float values[CLV_BYTE_VALUES];
    clv_augment_values(values, &learner->config);
    clv_device_write(learner->device, learner->room[CLV_ROOM_VALUES], values, sizeof values);
}

struct clv_tensor clv_learner_clips(const struct clv_learner *learner, int clip_count)
{
    const int side = learner->config.image_side;
    return clv_tensor(learner->room[CLV_ROOM_PIXELS], clip_count * learner->config.frame_count,
                      3 * side * side);
}

/* Clips first.. of the batch as they are, into `frames`. Bytes go through scratch that no pass uses
 * yet, and that holds as many numbers of two bytes at least. */
static void write_clips(const struct clv_learner_work *work, struct clv_tensor frames, int first)
{
    const struct clv_learner *learner = work->learner;
    const struct clv_learner_batch *batch = work->batch;
    const int side = learner->config.image_side;
    const size_t count = (size_t)frames.rows * (size_t)frames.cols;
    const size_t from = (size_t)first * (size_t)learner->config.frame_count * (size_t)frames.cols;
    if (batch->squares) {
        uint8_t *squares = (uint8_t *)learner->room[CLV_ROOM_WIDE];
        clv_device_write(learner->device, squares, batch->squares + from, count);
        clv_square_patches(learner->device, frames, squares, learner->room[CLV_ROOM_VALUES], side,
                           side);
    } else {
        clv_device_write(learner->device, frames.data, batch->pixels + from,
                         count * sizeof *batch->pixels);
    }
}

/* Clip i of a batch of n is mixed with clip n - 1 - i; the middle one of an odd n has no partner.
 * Partners of other passes are brought along one at a time. */
static void mix_clips(const struct clv_learner_work *work, struct clv_tensor frames, int first,
                      int count)
{
    const struct clv_learner *learner = work->learner;
    const struct clv_mix *mix = work->batch->mix;
    const int n = work->batch->clip_count, each = learner->config.frame_count;
    const int side = learner->config.image_side;
    const struct clv_tensor partner =
        clv_tensor(learner->room[CLV_ROOM_PARTNER], each, frames.cols);
    if (count == n)
        clv_mix_clips(learner->device, frames, frames, each, side, mix);
    for (int i = 0; i < count && count < n; i++) {
        if (n - 1 - first - i == first + i)
            continue;
        write_clips(work, partner, n - 1 - first - i);
        clv_mix_clips(learner->device, clv_tensor_rows(frames, i * each, each), partner, each, side,
                      mix);
    }
}

struct clv_tensor clv_learner_load_clips(const struct clv_learner_work *work, int first, int count)
{
    const struct clv_tensor frames = clv_learner_clips(work->learner, count);
    const struct clv_mix *mix = work->batch->mix;
    write_clips(work, frames, first);
    if (mix && mix->lambda != 1)
        mix_clips(work, frames, first, count);
    return frames;
}
