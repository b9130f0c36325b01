/* Private to the kernels: the table of an instruction set, over the sources above it. */
#ifndef CLV_CORE_COMPUTE_KERNELS_BODY_H
#define CLV_CORE_COMPUTE_KERNELS_BODY_H

#include "core/compute/kernels.h"
#include "core/compute/kernels_attention.h"
#include "core/compute/kernels_rows.h"

#define CLV_KERNELS_OF(variant)                                                          \
    {                                                                                    \
        .name = (variant), .activate = activate_row, .add = add_rows,                    \
        .layer_norm = layer_norm_row, .unit_mean = unit_mean_rows, .attend = attend_run, \
        .attend_scratch = attend_scratch_floats,                                         \
    }

#endif
