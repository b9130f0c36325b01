/* The ops: shapes are checked here, once for every backend, and the device's table does the rest.
 */
#include "core/compute/ops.h"

#include "core/compute/ops_table.h"
#include "core/compute/shapes.h"

#include <assert.h>

void clv_weight_prepare(struct clv_device *device, struct clv_weight *out, struct clv_tensor source,
                        enum clv_weight_layout layout)
{
    assert(clv_is_tensor(source) && source.rows > 0);
    device->ops->weight_prepare(device, out, source, layout);
}

void clv_weight_release(struct clv_weight *weight)
{
    if (!weight)
        return;
    clv_buffer_free(weight->owned);
    *weight = (struct clv_weight){0};
}

void clv_linear(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                const struct clv_weight *weight, const float *bias, enum clv_activation activation,
                struct clv_tensor residual)
{
    assert(clv_is_activation(device, out, x.rows, weight->out_cols));
    assert(clv_is_activation(device, x, x.rows, weight->in_cols));
    assert(out.data != x.data);
    assert(!residual.data || clv_is_like(residual, out));
    assert(!residual.data || out.type == CLV_TYPE_FP32);
    assert(residual.data != out.data || residual.stride == out.stride);
    if (out.rows > 0)
        device->ops->linear(device, out, x, weight, bias, activation, residual);
}

void clv_layer_norm(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                    const float *weight, const float *bias)
{
    assert(clv_is_tensor(x) && clv_is_activation(device, out, x.rows, x.cols) && weight && bias);
    device->ops->layer_norm(device, out, x, weight, bias);
}

void clv_patches(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                 int side, int patch)
{
    assert(patch > 0 && side >= patch && side % patch == 0);
    assert(clv_is_shaped(frames, frames.rows, 3 * side * side));
    assert(clv_is_activation(device, out, frames.rows * (side / patch) * (side / patch),
                             3 * patch * patch));
    device->ops->patches(device, out, frames, side, patch);
}

void clv_square_patches(struct clv_device *device, struct clv_tensor out, const uint8_t *squares,
                        const float *values, int side, int patch)
{
    assert(patch > 0 && side > 0 && side % patch == 0 && squares && values);
    int grid = side / patch;
    assert(clv_is_activation(device, out, out.rows, 3 * patch * patch));
    assert(out.rows % (grid * grid) == 0);
    device->ops->square_patches(device, out, squares, values, side, patch);
}

void clv_frame_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor patches,
                     const float *class_embedding, struct clv_tensor position)
{
    assert(class_embedding && clv_is_tensor(position) && position.rows > 1);
    assert(out.rows % position.rows == 0 && clv_is_shaped(out, out.rows, position.cols));
    assert(clv_is_shaped(patches, out.rows / position.rows * (position.rows - 1), position.cols));
    device->ops->frame_embed(device, out, patches, class_embedding, position);
}

void clv_window_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                      const int32_t *indices, int frame_count, int token_count,
                      struct clv_tensor temporal)
{
    assert(frame_count > 0 && token_count > 0);
    assert(clv_is_tensor(frames) && frames.rows % token_count == 0);
    assert(clv_is_shaped(out, out.rows, frames.cols) &&
           out.rows % (frame_count * token_count) == 0);
    assert(clv_are_indices(indices, out.rows / token_count, frames.rows / token_count));
    assert(!temporal.data || clv_is_shaped(temporal, frame_count, out.cols));
    device->ops->window_embed(device, out, frames, indices, frame_count, token_count, temporal);
}

void clv_token_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor table,
                     struct clv_tensor position, const int32_t *ids, const int32_t *starts,
                     int count)
{
    assert(clv_is_tensor(table) && clv_is_shaped(out, out.rows, table.cols));
    assert(clv_is_shaped(position, position.rows, table.cols));
    assert(clv_are_starts(starts, count, out.rows) && clv_are_indices(ids, out.rows, table.rows));
    for (int s = 0; s < count; s++)
        assert(starts[s + 1] - starts[s] <= position.rows);
    device->ops->token_embed(device, out, table, position, ids, starts, count);
}

void clv_gather_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     const int32_t *indices)
{
    assert(clv_is_activation(device, x, x.rows, x.cols) && out.type == x.type);
    assert(clv_is_activation(device, out, out.rows, x.cols) && out.data != x.data);
    assert(clv_are_indices(indices, out.rows, x.rows));
    device->ops->gather_rows(device, out, x, indices);
}

void clv_copy(struct clv_device *device, struct clv_tensor out, struct clv_tensor x)
{
    assert(clv_is_activation(device, x, x.rows, x.cols));
    assert(clv_is_activation_like(device, out, x) && out.data != x.data);
    device->ops->copy(device, out, x);
}

void clv_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                   struct clv_tensor k, struct clv_tensor v, const struct clv_attention *attention)
{
    assert(clv_is_activation(device, q, q.rows, q.cols) && clv_is_activation_like(device, out, q));
    assert(clv_is_activation(device, k, k.rows, q.cols) && clv_is_activation_like(device, v, k) &&
           k.type == q.type);
    assert(attention->head_count > 0 && q.cols % attention->head_count == 0);
    assert(clv_is_attention(attention, q.rows, k.rows));
    assert(out.data != q.data && out.data != k.data && out.data != v.data);
    device->ops->attention(device, out, q, k, v, attention);
}

void clv_unit_mean(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                   int frame_count)
{
    assert(frame_count > 0 && clv_is_tensor(x) && x.rows % frame_count == 0);
    assert(clv_is_shaped(out, x.rows / frame_count, x.cols));
    device->ops->unit_mean(device, out, x, frame_count);
}
