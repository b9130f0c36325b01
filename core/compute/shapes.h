/* Private to core/compute: what the ops assert of their arguments. */
#ifndef CLV_CORE_COMPUTE_SHAPES_H
#define CLV_CORE_COMPUTE_SHAPES_H

#include "core/compute/ops.h"

#include <stdbool.h>
#include <stdint.h>

/* What most arguments must be: a tensor of fp32. */
static inline bool clv_is_tensor(struct clv_tensor t)
{
    return t.data != NULL && t.rows >= 0 && t.cols > 0 && t.stride >= t.cols &&
           t.type == CLV_TYPE_FP32;
}

static inline bool clv_is_shaped(struct clv_tensor t, int rows, int cols)
{
    return clv_is_tensor(t) && t.rows == rows && t.cols == cols;
}

static inline bool clv_is_like(struct clv_tensor t, struct clv_tensor other)
{
    return clv_is_shaped(t, other.rows, other.cols);
}

/* What an activation may be: of the shape given, in fp32 or as the device stores activations. */
static inline bool clv_is_activation(const struct clv_device *device, struct clv_tensor t, int rows,
                                     int cols)
{
    if (t.type != clv_device_activation_type(device) && t.type != CLV_TYPE_FP32)
        return false;
    t.type = CLV_TYPE_FP32;
    return clv_is_shaped(t, rows, cols);
}

/* The same of the shape and type of another. */
static inline bool clv_is_activation_like(const struct clv_device *device, struct clv_tensor t,
                                          struct clv_tensor other)
{
    return t.type == other.type && clv_is_activation(device, t, other.rows, other.cols);
}

/* Of the shape that the weight was prepared from. */
static inline bool clv_is_weight_of(struct clv_tensor t, const struct clv_weight *weight)
{
    bool is_out_in = weight->layout == CLV_WEIGHT_OUT_IN;
    return clv_is_shaped(t, is_out_in ? weight->out_cols : weight->in_cols,
                         is_out_in ? weight->in_cols : weight->out_cols);
}

/* Absent, or of the shape given. */
static inline bool clv_is_absent_or(struct clv_tensor t, int rows, int cols)
{
    return !t.data || clv_is_shaped(t, rows, cols);
}

static inline bool clv_are_indices(const int32_t *indices, int count, int limit)
{
    for (int i = 0; i < count; i++)
        if (indices[i] < 0 || indices[i] >= limit)
            return false;
    return true;
}

/* Starts rise from 0 to `rows`. */
static inline bool clv_are_starts(const int32_t *starts, int count, int rows)
{
    if (starts[0] != 0 || starts[count] != rows)
        return false;
    for (int s = 0; s < count; s++)
        if (starts[s] > starts[s + 1])
            return false;
    return true;
}

/* Every query is a row of k, in ascending order, and each sequence is whole frames. */
static inline bool clv_is_attention(const struct clv_attention *attention, int query_count,
                                    int key_count)
{
    if (!clv_are_starts(attention->starts, attention->sequence_count, key_count))
        return false;
    if (attention->mask == CLV_MASK_KMT || attention->mask == CLV_MASK_KMCT) {
        if (attention->token_count <= 0)
            return false;
        for (int s = 0; s <= attention->sequence_count; s++)
            if (attention->starts[s] % attention->token_count != 0)
                return false;
    }
    if (!attention->query_rows)
        return query_count == key_count;
    for (int i = 1; i < query_count; i++)
        if (attention->query_rows[i] <= attention->query_rows[i - 1])
            return false;
    return clv_are_indices(attention->query_rows, query_count, key_count);
}

#endif
