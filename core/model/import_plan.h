/* Private to core/model: from the tensors of a checkpoint (and of the base that lends it what it
 * leaves out) to those of a model, in the order they are written. */
#ifndef CLV_CORE_MODEL_IMPORT_PLAN_H
#define CLV_CORE_MODEL_IMPORT_PLAN_H

#include "core/bytes.h"
#include "core/model/checkpoint.h"
#include "core/model/config.h"
#include "core/model/layout.h"

/* Where an entry's bytes come from. */
struct clv_plan_piece {
    struct clv_checkpoint *from;
    enum clv_layout_operation operation;
    int part_count;
    size_t parts[CLV_LAYOUT_PART_MAX];
};

struct clv_plan {
    struct clv_checkpoint *checkpoint; /* borrowed, as is the base */
    struct clv_checkpoint *base;       /* may be NULL */
    const struct clv_layout *layout;
    struct clv_layout base_layout;
    struct clv_weight_entry *entries; /* in order of the parameter table; names owned, no data */
    struct clv_plan_piece *pieces;
    size_t count;
    int ignored_count;              /* tensors of the checkpoint left out */
    struct clv_model_config config; /* what the tensors and the hints say */
};

/* Plans the import. `hints` are metadata as clv_config_infer() reads them. Appends to `notes` what
 * is left out and what the base lends, a sentence a line. CLV_ECORRUPT naming all tensors missing,
 * mis-shaped and surplus. Pair with clv_plan_release(). */
int clv_plan_make(struct clv_plan *out, struct clv_checkpoint *checkpoint,
                  const struct clv_layout *layout, struct clv_checkpoint *base,
                  const struct clv_weight_metadata *hints, size_t hint_count,
                  struct clv_bytes *notes);
void clv_plan_release(struct clv_plan *plan);

/* Writes the bytes of entry `index`, all its size_bytes, into `out`. */
int clv_plan_read(const struct clv_plan *plan, size_t index, void *out);

#endif
