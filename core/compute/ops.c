/* The ops: shapes are checked here, once for every backend, and the device's table does the rest.
 */
#include "core/compute/ops.h"

#include "core/compute/ops_table.h"

#include <assert.h>
#include <stdbool.h>

static bool is_tensor(struct clv_tensor t)
{
    return t.data != NULL && t.rows >= 0 && t.cols > 0 && t.stride >= t.cols;
}

static bool is_shaped(struct clv_tensor t, int rows, int cols)
{
    return is_tensor(t) && t.rows == rows && t.cols == cols;
}

void clv_weight_prepare(struct clv_device *device, struct clv_weight *out, struct clv_tensor source,
                        enum clv_weight_layout layout)
{
    assert(is_tensor(source) && source.rows > 0);
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
    assert(is_shaped(out, x.rows, weight->out_cols));
    assert(is_shaped(x, x.rows, weight->in_cols));
    assert(out.data != x.data);
    assert(!residual.data || is_shaped(residual, out.rows, out.cols));
    assert(residual.data != out.data || residual.stride == out.stride);
    if (out.rows > 0)
        device->ops->linear(device, out, x, weight, bias, activation, residual);
}

void clv_layer_norm(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                    const float *weight, const float *bias)
{
    assert(is_tensor(x) && is_shaped(out, x.rows, x.cols) && weight && bias);
    device->ops->layer_norm(device, out, x, weight, bias);
}

void clv_patches(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                 int side, int patch)
{
    assert(patch > 0 && side >= patch && side % patch == 0);
    assert(is_shaped(frames, frames.rows, 3 * side * side));
    assert(is_shaped(out, frames.rows * (side / patch) * (side / patch), 3 * patch * patch));
    device->ops->patches(device, out, frames, side, patch);
}

void clv_frame_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor patches,
                     const float *class_embedding, struct clv_tensor position)
{
    assert(class_embedding && is_tensor(position) && position.rows > 1);
    assert(out.rows % position.rows == 0 && is_shaped(out, out.rows, position.cols));
    assert(is_shaped(patches, out.rows / position.rows * (position.rows - 1), position.cols));
    device->ops->frame_embed(device, out, patches, class_embedding, position);
}

static bool are_indices(const int32_t *indices, int count, int limit)
{
    for (int i = 0; i < count; i++)
        if (indices[i] < 0 || indices[i] >= limit)
            return false;
    return true;
}

void clv_window_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                      const int32_t *indices, int frame_count, int token_count,
                      struct clv_tensor temporal)
{
    assert(frame_count > 0 && token_count > 0);
    assert(is_tensor(frames) && frames.rows % token_count == 0);
    assert(is_shaped(out, out.rows, frames.cols) && out.rows % (frame_count * token_count) == 0);
    assert(are_indices(indices, out.rows / token_count, frames.rows / token_count));
    assert(!temporal.data || is_shaped(temporal, frame_count, out.cols));
    device->ops->window_embed(device, out, frames, indices, frame_count, token_count, temporal);
}

/* Starts rise from 0 to `rows`. */
static bool are_starts(const int32_t *starts, int count, int rows)
{
    if (starts[0] != 0 || starts[count] != rows)
        return false;
    for (int s = 0; s < count; s++)
        if (starts[s] > starts[s + 1])
            return false;
    return true;
}

void clv_token_embed(struct clv_device *device, struct clv_tensor out, struct clv_tensor table,
                     struct clv_tensor position, const int32_t *ids, const int32_t *starts,
                     int count)
{
    assert(is_tensor(table) && is_shaped(out, out.rows, table.cols));
    assert(is_shaped(position, position.rows, table.cols));
    assert(are_starts(starts, count, out.rows) && are_indices(ids, out.rows, table.rows));
    for (int s = 0; s < count; s++)
        assert(starts[s + 1] - starts[s] <= position.rows);
    device->ops->token_embed(device, out, table, position, ids, starts, count);
}

void clv_gather_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     const int32_t *indices)
{
    assert(is_tensor(x) && is_shaped(out, out.rows, x.cols) && out.data != x.data);
    assert(are_indices(indices, out.rows, x.rows));
    device->ops->gather_rows(device, out, x, indices);
}

void clv_copy(struct clv_device *device, struct clv_tensor out, struct clv_tensor x)
{
    assert(is_tensor(x) && is_shaped(out, x.rows, x.cols) && out.data != x.data);
    device->ops->copy(device, out, x);
}

/* Every query is a row of k, in ascending order, and each sequence is whole frames. */
static bool is_attention(const struct clv_attention *attention, int query_count, int key_count)
{
    if (!are_starts(attention->starts, attention->sequence_count, key_count))
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
    return are_indices(attention->query_rows, query_count, key_count);
}

void clv_attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                   struct clv_tensor k, struct clv_tensor v, const struct clv_attention *attention)
{
    assert(is_tensor(q) && is_shaped(out, q.rows, q.cols));
    assert(is_shaped(k, k.rows, q.cols) && is_shaped(v, k.rows, q.cols));
    assert(attention->head_count > 0 && q.cols % attention->head_count == 0);
    assert(is_attention(attention, q.rows, k.rows));
    assert(out.data != q.data && out.data != k.data && out.data != v.data);
    device->ops->attention(device, out, q, k, v, attention);
}

void clv_unit_mean(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                   int frame_count)
{
    assert(frame_count > 0 && is_tensor(x) && x.rows % frame_count == 0);
    assert(is_shaped(out, x.rows / frame_count, x.cols));
    device->ops->unit_mean(device, out, x, frame_count);
}
