/* The layout of a tape: one walk, which counts, and places where there is something to place. */
#include "core/model/tape.h"

#include "core/error.h"

#include <stdlib.h>

/* Takes `count` numbers at *used; their address where `memory` is given. */
static float *take(size_t *used, float *memory, size_t count)
{
    float *place = memory ? memory + *used : NULL;
    *used += clv_padded_count(count);
    return place;
}

/* A block's inside; of its `queries` rows only where that is not 0. */
static void take_inside(struct clv_block_tape *block, size_t *used, float *memory,
                        const struct clv_tape_shape *shape, size_t queries)
{
    const size_t width = (size_t)shape->width, rows = shape->row_max;
    const size_t count = queries ? queries : rows;
    const size_t hidden = count * (size_t)shape->tower->mlp_width;
    block->qkv = take(used, memory, clv_block_room(shape->type, rows * 2 * width + count * width));
    block->stats = take(used, memory, count * (size_t)shape->tower->head_count);
    block->mixed = take(used, memory, clv_block_room(shape->type, count * width));
    block->middle = take(used, memory, count * width);
    block->hidden = take(used, memory, clv_block_room(shape->type, hidden));
}

/* `blocks` [layer_count + 1] may be NULL: then it only counts. */
static size_t lay(struct clv_tower_tape *tape, const struct clv_tape_shape *shape, float *memory)
{
    const size_t width = (size_t)shape->width, rows = shape->row_max;
    const int count = shape->tower->layer_count;
    size_t used = 0;
    struct clv_block_tape inside = {0};
    /* The largest inside serves all: the last block's where it is the only one. */
    if (shape->is_checkpointed && count > 0)
        take_inside(&inside, &used, memory, shape, count == 1 ? shape->query_max : 0);
    float *embedded = take(&used, memory, shape->has_embedded ? rows * width : 0);
    if (memory && shape->has_embedded)
        tape->embedded = embedded;
    for (int i = 0; i <= count; i++) {
        const size_t results = i == count && shape->query_max ? shape->query_max : rows;
        struct clv_block_tape block = inside;
        block.x = take(&used, memory, results * width);
        if (!shape->is_checkpointed && i < count)
            take_inside(&block, &used, memory, shape, i == count - 1 ? shape->query_max : 0);
        if (memory)
            tape->blocks[i] = block;
    }
    return used;
}

size_t clv_tape_count(const struct clv_tape_shape *shape)
{
    return lay(NULL, shape, NULL);
}

int clv_tape_init(struct clv_tower_tape *out, const struct clv_tape_shape *shape, float *memory)
{
    *out = (struct clv_tower_tape){.is_checkpointed = shape->is_checkpointed};
    out->blocks = calloc((size_t)shape->tower->layer_count + 1, sizeof *out->blocks);
    if (!out->blocks)
        return clv_fail_memory("the tape of a tower");
    (void)lay(out, shape, memory);
    return CLV_OK;
}

void clv_tape_release(struct clv_tower_tape *tape)
{
    free(tape->blocks);
    *tape = (struct clv_tower_tape){0};
}
