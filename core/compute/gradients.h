/* The ops that training adds: each forward op's gradient, the loss, and the optimiser's step.
 *
 * Rules of every op here, as in ops.h: shapes are asserted, failures are sticky on the device, host
 * arrays are read before the call returns. dX is the gradient of the loss with respect to X and has
 * X's shape. Gradients of parameters (weights, biases, tables, embeddings) are ADDED to what is
 * there; gradients of activations are WRITTEN, unless the op's name ends in _add or its comment
 * says otherwise. An argument documented as optional is absent as CLV_NO_TENSOR or NULL. The result
 * of every op but the products is the same, bit for bit, whatever the number of threads.
 *
 * Letters as in ops.h; C classes, A prompts a class. */
#ifndef CLV_CORE_COMPUTE_GRADIENTS_H
#define CLV_CORE_COMPUTE_GRADIENTS_H

#include "core/compute/ops.h"

#include <stdbool.h>
#include <stdint.h>

/* out = activation(x): training keeps x, which clv_linear() with an activation would not. out may
 * be x. Both may be BF16. */
void clv_activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                  enum clv_activation activation);
/* dx = dy * activation'(x), x being what went into clv_activate(). dx may be dy. All may be
 * BF16. */
void clv_activate_backward(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dy,
                           struct clv_tensor x, enum clv_activation activation);

/* Of y [rows, out_cols] = x [rows, in_cols] W + bias (clv_linear() without activation; a residual's
 * gradient is dy itself): dx = dy W^T, dweight += in the layout and shape of the weight's source,
 * dbias [out_cols] += column sums of dy. dx, dweight and dbias are each optional; x is too where
 * dweight is absent. dx must not overlap dy or x. dx, dy and x may be BF16, each for itself. */
void clv_linear_backward(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dweight,
                         float *dbias, struct clv_tensor dy, struct clv_tensor x,
                         const struct clv_weight *weight);
/* The same with dx += dy W^T: for an x that feeds several layers. dx is fp32. */
void clv_linear_backward_add(struct clv_device *device, struct clv_tensor dx,
                             struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                             struct clv_tensor x, const struct clv_weight *weight);

/* Of y = clv_layer_norm(x): mean and deviation are computed again from x. dweight and dbias [cols]
 * += and optional. dx may be dy. dy may be BF16. */
void clv_layer_norm_backward(struct clv_device *device, struct clv_tensor dx, float *dweight,
                             float *dbias, struct clv_tensor dy, struct clv_tensor x,
                             const float *weight);
/* The same with dx +=. In a pre-norm block z = x + f(norm(x)), dz is at once what f receives and
 * what passes by it: with dx holding dz and dy holding f's gradient, this one call leaves dx
 * complete. dx must not overlap dy. dy may be BF16. */
void clv_layer_norm_backward_add(struct clv_device *device, struct clv_tensor dx, float *dweight,
                                 float *dbias, struct clv_tensor dy, struct clv_tensor x,
                                 const float *weight);

/* Of out = clv_attention(q, k, v) run with the same `attention`, whose `stats` must be set and hold
 * what that run wrote. Scores are computed again in blocks: no array of the sequence's square
 * exists. dq has the rows of q; dk and dv are written for every row of k, with zeros where no query
 * looks. The gradients must overlap neither the inputs nor each other; they may be column views of
 * one tensor. All eight may be BF16. Threads own whole heads of whole sequences. */
void clv_attention_backward(struct clv_device *device, struct clv_tensor dq, struct clv_tensor dk,
                            struct clv_tensor dv, struct clv_tensor dout, struct clv_tensor out,
                            struct clv_tensor q, struct clv_tensor k, struct clv_tensor v,
                            const struct clv_attention *attention);

/* Of clv_frame_embed(): dpatches [F*P, W] = and optional, dclass_embedding [W] += and optional,
 * dposition [L, W] += and optional; dout [F*L, W], L = token_count. */
void clv_frame_embed_backward(struct clv_device *device, struct clv_tensor dpatches,
                              float *dclass_embedding, struct clv_tensor dposition,
                              struct clv_tensor dout, int token_count);

/* Of clv_window_embed(): dframes [slots*L, W] += (a slot may be in several windows: zero it first)
 * and optional, dtemporal [T, W] += and optional; dout [B*T*L, W], host `indices` [B*T]. */
void clv_window_embed_backward(struct clv_device *device, struct clv_tensor dframes,
                               struct clv_tensor dtemporal, struct clv_tensor dout,
                               const int32_t *indices, int frame_count, int token_count);

/* Of clv_token_embed(): dtable and dposition += and optional. */
void clv_token_embed_backward(struct clv_device *device, struct clv_tensor dtable,
                              struct clv_tensor dposition, struct clv_tensor dout,
                              const int32_t *ids, const int32_t *starts, int count);

/* Of clv_gather_rows(): dx[indices[i]] += dout[i]; host `indices` [dout.rows] may repeat. Zero dx
 * first where rows that were not gathered are to be zero. */
void clv_scatter_rows_add(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dout,
                          const int32_t *indices);

/* Of clv_unit_mean(): dx [B*T, E], dout [B, E]. A zero row of x gets a zero gradient. */
void clv_unit_mean_backward(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dout,
                            struct clv_tensor x, int frame_count);

/* Each row divided by its length, and the gradient of that. */
static inline void clv_unit_rows(struct clv_device *device, struct clv_tensor out,
                                 struct clv_tensor x)
{
    clv_unit_mean(device, out, x, 1);
}
static inline void clv_unit_rows_backward(struct clv_device *device, struct clv_tensor dx,
                                          struct clv_tensor dout, struct clv_tensor x)
{
    clv_unit_mean_backward(device, dx, dout, x, 1);
}

/* out [m, n] = alpha a b + beta out, with a [m, k] (or [k, m], transposed) and b [k, n] (or [n, k],
 * transposed). With beta 0 out is not read. out must not overlap a or b. */
void clv_matmul(struct clv_device *device, struct clv_tensor out, struct clv_tensor a,
                bool a_transposed, struct clv_tensor b, bool b_transposed, float alpha, float beta);

/* Cross-entropy with soft labels (claver.md 2.3). logits [B, A*C], column a*C + c being prompt a of
 * class c; labels [B, C], the same for every prompt:
 *   *loss += weight / (B A) * sum over b, a of -sum_c labels[b][c] log softmax_c(logits[b][a])
 *   dlogits = weight * its gradient
 * `loss` is one double in device memory. dlogits is optional and may be logits. The rows of labels
 * need not sum to one. */
void clv_soft_cross_entropy(struct clv_device *device, double *loss, struct clv_tensor dlogits,
                            struct clv_tensor logits, struct clv_tensor labels, int prompt_count,
                            float weight);

/* x = value; clv_zero() is what gradients need before the first accumulation. */
void clv_fill(struct clv_device *device, struct clv_tensor x, float value);
static inline void clv_zero(struct clv_device *device, struct clv_tensor x)
{
    clv_fill(device, x, 0.0f);
}

/* out = factor x; out may be x. */
void clv_scale(struct clv_device *device, struct clv_tensor out, struct clv_tensor x, float factor);
/* out += factor x. */
void clv_add_scaled(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                    float factor);

/* out = factors[s] x for the rows of each sequence s (drop path by sample, and its gradient); host
 * `factors` [count], host `starts` [count+1] as in clv_token_embed(), or NULL for sequences of
 * equal length. out may be x. */
void clv_scale_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                    const float *factors, const int32_t *starts, int count);
/* out += factors[s] x. */
void clv_add_scaled_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                         const float *factors, const int32_t *starts, int count);

/* What is done to a batch of clips: mixup (Zhang et al., 2018), or one box of all frames for CutMix
 * (Yun et al., 2019). */
struct clv_mix {
    double lambda; /* share of the clip itself; 1: nothing is mixed */
    bool is_cutmix;
    int top, bottom, left, right; /* cutmix: rows top … bottom - 1 come from the other clip */
};

/* Mixes clip i of x [B*T, 3*side*side] with clip B-1-i of `other`, which is of the same shape and
 * stays. Or it is x itself: then both of a pair are mixed, and the middle of an odd B stays. */
void clv_mix_clips(struct clv_device *device, struct clv_tensor x, struct clv_tensor other,
                   int frame_count, int side, const struct clv_mix *mix);

/* *out += the sum of the squares of x; one double in device memory. */
void clv_sum_squares(struct clv_device *device, double *out, struct clv_tensor x);
/* *out += the sum over all elements of a * b, one float in device memory. With a = dlogits and
 * b = logits it is the gradient of a logit scale kept as a logarithm. */
void clv_dot_add(struct clv_device *device, float *out, struct clv_tensor a, struct clv_tensor b);

/* One step of AdamW (Loshchilov and Hutter, 2019; torch.optim.AdamW without amsgrad): decay is
 * decoupled, moments are bias-corrected. */
struct clv_adamw {
    float learning_rate;
    float beta1, beta2;
    float epsilon;
    float weight_decay;
    int64_t step;     /* 1 for the first */
    float grad_scale; /* what the gradient is multiplied by first: clipping, 1 / accumulated */
};

/* Updates param, m and v in place; all four have one shape. m and v start as zero. */
void clv_adamw(struct clv_device *device, struct clv_tensor param, struct clv_tensor m,
               struct clv_tensor v, struct clv_tensor grad, const struct clv_adamw *options);

#endif
