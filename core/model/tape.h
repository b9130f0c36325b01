/* Private to core/model: where the tape of a tower lies, from one table. */
#ifndef CLV_CORE_MODEL_TAPE_H
#define CLV_CORE_MODEL_TAPE_H

#include "core/model/config.h"
#include "core/model/passes.h"

struct clv_tape_shape {
    const struct clv_tower *tower;
    enum clv_type type; /* of the blocks' insides */
    int width;          /* the stream's; the tower may have no blocks */
    size_t row_max;     /* of the stream */
    size_t query_max;   /* rows the last block computes; 0: all */
    bool has_embedded;
    bool is_checkpointed; /* all blocks share the place of their insides */
};

/* What the tape of `shape` takes, in fp32 numbers. */
size_t clv_tape_count(const struct clv_tape_shape *shape);

/* Lays the tape out at `memory` of so many. Pair with clv_tape_release(). CLV_ENOMEM. */
int clv_tape_init(struct clv_tower_tape *out, const struct clv_tape_shape *shape, float *memory);
void clv_tape_release(struct clv_tower_tape *tape);

#endif
