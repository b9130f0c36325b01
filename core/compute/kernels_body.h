/* Private to the kernels: the table of an instruction set, over the sources above it. */
#ifndef CLV_CORE_COMPUTE_KERNELS_BODY_H
#define CLV_CORE_COMPUTE_KERNELS_BODY_H

#include "core/compute/kernels.h"
#include "core/compute/kernels_attention.h"
#include "core/compute/kernels_attention_backward.h"
#include "core/compute/kernels_gradients.h"
#include "core/compute/kernels_rows.h"

#define CLV_KERNELS_OF(variant)                                                             \
    {                                                                                       \
        .name = (variant), .activate = activate_row, .add = add_rows,                       \
        .layer_norm = layer_norm_row, .unit_mean = unit_mean_rows, .attend = attend_run,    \
        .attend_scratch = attend_scratch_floats, .accumulate = accumulate_add,              \
        .activate_backward = activate_backward_row,                                         \
        .layer_norm_backward = layer_norm_backward_row, .unit_backward = unit_backward_row, \
        .cross_entropy = cross_entropy_row, .dot = dot_long, .adamw = adamw_row,            \
        .attend_backward = attend_backward_run,                                             \
        .attend_backward_scratch = attend_backward_scratch_floats,                          \
    }

#endif
