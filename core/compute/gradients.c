/* The gradient and training ops: shapes are checked here, once for every backend, and the device's
 * table does the rest. */
#include "core/compute/gradients.h"

#include "core/compute/ops_table.h"
#include "core/compute/shapes.h"

#include <assert.h>

void clv_activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                  enum clv_activation activation)
{
    assert(clv_is_activation(device, x, x.rows, x.cols) && clv_is_activation_like(device, out, x));
    device->ops->activate(device, out, x, activation);
}

void clv_activate_backward(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dy,
                           struct clv_tensor x, enum clv_activation activation)
{
    assert(clv_is_activation(device, x, x.rows, x.cols));
    assert(clv_is_activation_like(device, dx, x) && clv_is_activation_like(device, dy, x));
    device->ops->activate_backward(device, dx, dy, x, activation);
}

static void linear_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                            struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                            struct clv_tensor x, const struct clv_weight *weight)
{
    assert(clv_is_activation(device, dy, dy.rows, weight->out_cols));
    assert(!dx.data || clv_is_activation(device, dx, dy.rows, weight->in_cols));
    assert(!add || dx.type == CLV_TYPE_FP32);
    assert(!dweight.data || clv_is_activation(device, x, dy.rows, weight->in_cols));
    assert(!dweight.data || clv_is_weight_of(dweight, weight));
    assert(!dx.data || (dx.data != dy.data && dx.data != x.data));
    if (dy.rows > 0)
        device->ops->linear_backward(device, dx, add, dweight, dbias, dy, x, weight);
}

void clv_linear_backward(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dweight,
                         float *dbias, struct clv_tensor dy, struct clv_tensor x,
                         const struct clv_weight *weight)
{
    linear_backward(device, dx, false, dweight, dbias, dy, x, weight);
}

void clv_linear_backward_add(struct clv_device *device, struct clv_tensor dx,
                             struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                             struct clv_tensor x, const struct clv_weight *weight)
{
    linear_backward(device, dx, true, dweight, dbias, dy, x, weight);
}

void clv_layer_norm_backward(struct clv_device *device, struct clv_tensor dx, float *dweight,
                             float *dbias, struct clv_tensor dy, struct clv_tensor x,
                             const float *weight)
{
    assert(clv_is_tensor(x) && clv_is_like(dx, x) && weight);
    assert(clv_is_activation(device, dy, x.rows, x.cols));
    assert(dx.data != x.data && (dx.data != dy.data || dx.type == dy.type));
    device->ops->layer_norm_backward(device, dx, false, dweight, dbias, dy, x, weight);
}

void clv_layer_norm_backward_add(struct clv_device *device, struct clv_tensor dx, float *dweight,
                                 float *dbias, struct clv_tensor dy, struct clv_tensor x,
                                 const float *weight)
{
    assert(clv_is_tensor(x) && clv_is_like(dx, x) && weight);
    assert(clv_is_activation(device, dy, x.rows, x.cols));
    assert(dx.data != x.data && dx.data != dy.data);
    device->ops->layer_norm_backward(device, dx, true, dweight, dbias, dy, x, weight);
}

void clv_attention_backward(struct clv_device *device, struct clv_tensor dq, struct clv_tensor dk,
                            struct clv_tensor dv, struct clv_tensor dout, struct clv_tensor out,
                            struct clv_tensor q, struct clv_tensor k, struct clv_tensor v,
                            const struct clv_attention *attention)
{
    assert(clv_is_activation(device, q, q.rows, q.cols) && clv_is_activation_like(device, dq, q));
    assert(clv_is_activation_like(device, out, q) && clv_is_activation_like(device, dout, q));
    assert(clv_is_activation(device, k, k.rows, q.cols) && k.type == q.type);
    assert(clv_is_activation_like(device, v, k) && clv_is_activation_like(device, dk, k) &&
           clv_is_activation_like(device, dv, k));
    assert(attention->head_count > 0 && q.cols % attention->head_count == 0 && attention->stats);
    assert(clv_is_attention(attention, q.rows, k.rows));
    assert(dq.data != dk.data && dq.data != dv.data && dk.data != dv.data);
    struct clv_attention_gradients gradients = {dq, dk, dv};
    device->ops->attention_backward(device, &gradients, dout, out, q, k, v, attention);
}

void clv_frame_embed_backward(struct clv_device *device, struct clv_tensor dpatches,
                              float *dclass_embedding, struct clv_tensor dposition,
                              struct clv_tensor dout, int token_count)
{
    assert(clv_is_tensor(dout) && token_count > 1 && dout.rows % token_count == 0);
    assert(clv_is_absent_or(dpatches, dout.rows / token_count * (token_count - 1), dout.cols));
    assert(clv_is_absent_or(dposition, token_count, dout.cols));
    device->ops->frame_embed_backward(device, dpatches, dclass_embedding, dposition, dout,
                                      token_count);
}

void clv_window_embed_backward(struct clv_device *device, struct clv_tensor dframes,
                               struct clv_tensor dtemporal, struct clv_tensor dout,
                               const int32_t *indices, int frame_count, int token_count)
{
    assert(frame_count > 0 && token_count > 0 && clv_is_tensor(dout));
    assert(dout.rows % (frame_count * token_count) == 0);
    assert(clv_is_absent_or(dframes, dframes.rows, dout.cols) && dframes.rows % token_count == 0);
    assert(!dframes.data ||
           clv_are_indices(indices, dout.rows / token_count, dframes.rows / token_count));
    assert(clv_is_absent_or(dtemporal, frame_count, dout.cols));
    device->ops->window_embed_backward(device, dframes, dtemporal, dout, indices, frame_count,
                                       token_count);
}

void clv_token_embed_backward(struct clv_device *device, struct clv_tensor dtable,
                              struct clv_tensor dposition, struct clv_tensor dout,
                              const int32_t *ids, const int32_t *starts, int count)
{
    assert(clv_is_tensor(dout) && clv_are_starts(starts, count, dout.rows));
    assert(clv_is_absent_or(dtable, dtable.rows, dout.cols));
    assert(!dtable.data || clv_are_indices(ids, dout.rows, dtable.rows));
    assert(clv_is_absent_or(dposition, dposition.rows, dout.cols));
    for (int s = 0; s < count; s++)
        assert(!dposition.data || starts[s + 1] - starts[s] <= dposition.rows);
    device->ops->token_embed_backward(device, dtable, dposition, dout, ids, starts, count);
}

void clv_scatter_rows_add(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dout,
                          const int32_t *indices)
{
    assert(clv_is_tensor(dx) && clv_is_shaped(dout, dout.rows, dx.cols) && dout.data != dx.data);
    assert(clv_are_indices(indices, dout.rows, dx.rows));
    device->ops->scatter_rows_add(device, dx, dout, indices);
}

void clv_unit_mean_backward(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dout,
                            struct clv_tensor x, int frame_count)
{
    assert(frame_count > 0 && clv_is_tensor(x) && x.rows % frame_count == 0 && clv_is_like(dx, x));
    assert(clv_is_shaped(dout, x.rows / frame_count, x.cols) && dx.data != dout.data);
    device->ops->unit_mean_backward(device, dx, dout, x, frame_count);
}

void clv_matmul(struct clv_device *device, struct clv_tensor out, struct clv_tensor a,
                bool a_transposed, struct clv_tensor b, bool b_transposed, float alpha, float beta)
{
    assert(clv_is_tensor(a) && clv_is_tensor(b) && a.rows > 0 && b.rows > 0);
    assert(clv_is_shaped(out, a_transposed ? a.cols : a.rows, b_transposed ? b.rows : b.cols));
    assert((a_transposed ? a.rows : a.cols) == (b_transposed ? b.cols : b.rows));
    assert(out.data != a.data && out.data != b.data);
    device->ops->matmul(device, out, a, a_transposed, b, b_transposed, alpha, beta);
}

void clv_soft_cross_entropy(struct clv_device *device, double *loss, struct clv_tensor dlogits,
                            struct clv_tensor logits, struct clv_tensor labels, int prompt_count,
                            float weight)
{
    assert(loss && clv_is_tensor(logits) && logits.rows > 0 && prompt_count > 0);
    assert(logits.cols % prompt_count == 0);
    assert(clv_is_shaped(labels, logits.rows, logits.cols / prompt_count));
    assert(clv_is_absent_or(dlogits, logits.rows, logits.cols));
    device->ops->soft_cross_entropy(device, loss, dlogits, logits, labels, prompt_count, weight);
}

void clv_fill(struct clv_device *device, struct clv_tensor x, float value)
{
    assert(clv_is_tensor(x));
    device->ops->fill(device, x, value);
}

void clv_scale(struct clv_device *device, struct clv_tensor out, struct clv_tensor x, float factor)
{
    assert(clv_is_tensor(x) && clv_is_like(out, x));
    device->ops->scale_rows(device, out, false, x, &factor, NULL, 1);
}

void clv_add_scaled(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                    float factor)
{
    assert(clv_is_tensor(x) && clv_is_like(out, x));
    device->ops->scale_rows(device, out, true, x, &factor, NULL, 1);
}

static void scale_rows(struct clv_device *device, struct clv_tensor out, bool add,
                       struct clv_tensor x, const float *factors, const int32_t *starts, int count)
{
    assert(clv_is_tensor(x) && clv_is_like(out, x) && factors && count > 0);
    assert(starts ? clv_are_starts(starts, count, x.rows) : x.rows % count == 0);
    device->ops->scale_rows(device, out, add, x, factors, starts, count);
}

void clv_scale_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                    const float *factors, const int32_t *starts, int count)
{
    scale_rows(device, out, false, x, factors, starts, count);
}

void clv_add_scaled_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                         const float *factors, const int32_t *starts, int count)
{
    scale_rows(device, out, true, x, factors, starts, count);
}

void clv_mix_clips(struct clv_device *device, struct clv_tensor x, struct clv_tensor other,
                   int frame_count, int side, const struct clv_mix *mix)
{
    assert(frame_count > 0 && side > 0 && x.rows % frame_count == 0);
    assert(clv_is_shaped(x, x.rows, 3 * side * side) && clv_is_like(other, x));
    assert(other.data != x.data || other.stride == x.stride);
    assert(!mix->is_cutmix || (0 <= mix->top && mix->top <= mix->bottom && mix->bottom <= side));
    assert(!mix->is_cutmix || (0 <= mix->left && mix->left <= mix->right && mix->right <= side));
    if (mix->lambda != 1)
        device->ops->mix_clips(device, x, other, frame_count, side, mix);
}

void clv_sum_squares(struct clv_device *device, double *out, struct clv_tensor x)
{
    assert(out && clv_is_tensor(x));
    device->ops->sum_squares(device, out, x);
}

void clv_dot_add(struct clv_device *device, float *out, struct clv_tensor a, struct clv_tensor b)
{
    assert(out && clv_is_tensor(a) && clv_is_like(b, a));
    device->ops->dot_add(device, out, a, b);
}

void clv_adamw(struct clv_device *device, struct clv_tensor param, struct clv_tensor m,
               struct clv_tensor v, struct clv_tensor grad, const struct clv_adamw *options)
{
    assert(clv_is_tensor(param) && clv_is_like(m, param) && clv_is_like(v, param) &&
           clv_is_like(grad, param));
    assert(options->step > 0);
    device->ops->adamw(device, param, m, v, grad, options);
}
