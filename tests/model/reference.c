#include "tests/model/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *doubles(size_t count)
{
    double *values = calloc(count + 1, sizeof *values);
    if (!values)
        abort();
    return values;
}

/* The tensor prefix + name as doubles. */
static double *get(const struct clv_weights *weights, const char *prefix, const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const struct clv_weight_entry *entry = clv_weights_find(weights, full);
    if (!entry)
        abort();
    float *values = malloc(entry->element_count * sizeof *values);
    double *out = doubles(entry->element_count);
    if (!values || clv_weights_read(values, entry) != 0)
        abort();
    for (size_t i = 0; i < entry->element_count; i++)
        out[i] = values[i];
    free(values);
    return out;
}

/* y [n, out] = x [n, in] w^T + b, the Linear prefix + name; the bias may be absent. */
static double *linear(const struct clv_weights *weights, const char *prefix, const char *weight,
                      const char *bias, const double *x, int n, int in, int out)
{
    double *w = get(weights, prefix, weight), *b = get(weights, prefix, bias);
    double *y = doubles((size_t)n * (size_t)out);
    for (int i = 0; i < n; i++)
        for (int o = 0; o < out; o++) {
            double sum = b[o];
            for (int k = 0; k < in; k++)
                sum += x[i * in + k] * w[o * in + k];
            y[i * out + o] = sum;
        }
    free(w);
    free(b);
    return y;
}

static double *norm(const struct clv_weights *weights, const char *prefix, const char *name,
                    const double *x, int n, int width)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%sweight", name);
    snprintf(bias, sizeof bias, "%sbias", name);
    double *w = get(weights, prefix, weight), *b = get(weights, prefix, bias);
    double *y = doubles((size_t)n * (size_t)width);
    for (int i = 0; i < n; i++) {
        double mean = 0, variance = 0;
        for (int k = 0; k < width; k++)
            mean += x[i * width + k] / width;
        for (int k = 0; k < width; k++)
            variance += (x[i * width + k] - mean) * (x[i * width + k] - mean) / width;
        for (int k = 0; k < width; k++)
            y[i * width + k] = (x[i * width + k] - mean) / sqrt(variance + 1e-5) * w[k] + b[k];
    }
    free(w);
    free(b);
    return y;
}

/* Whether row i may see row j (claver.md 1.2, by the Kronecker formulas). */
static bool sees(enum clv_mask mask, int token_count, int i, int j)
{
    int ti = token_count ? i / token_count : 0, tj = token_count ? j / token_count : 0;
    switch (mask) {
    case CLV_MASK_NONE:
        return true;
    case CLV_MASK_CAUSAL:
        return j <= i;
    case CLV_MASK_KMT:
        return i == j || ti != tj;
    case CLV_MASK_KMCT:
        return i == j || tj < ti;
    }
    return false;
}

static double *attend(const double *qkv, int n, int width, int heads, enum clv_mask mask,
                      int token_count)
{
    const int head = width / heads;
    double *out = doubles((size_t)n * (size_t)width), *score = doubles((size_t)n);
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < n; i++) {
            double largest = -INFINITY, sum = 0;
            for (int j = 0; j < n; j++) {
                score[j] = -INFINITY;
                if (!sees(mask, token_count, i, j))
                    continue;
                score[j] = 0;
                for (int k = h * head; k < (h + 1) * head; k++)
                    score[j] += qkv[i * 3 * width + k] * qkv[j * 3 * width + width + k];
                score[j] /= sqrt(head);
                largest = fmax(largest, score[j]);
            }
            for (int j = 0; j < n; j++)
                sum += score[j] = exp(score[j] - largest);
            for (int j = 0; j < n; j++)
                for (int k = h * head; k < (h + 1) * head; k++)
                    out[i * width + k] += score[j] / sum * qkv[j * 3 * width + 2 * width + k];
        }
    free(score);
    return out;
}

static void add(double *x, double *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] += y[i];
    free(y);
}

/* x [n, width] through the blocks "tower.resblocks.0" and so on. */
static void blocks(const struct clv_weights *weights, double *x, int n,
                   const struct clv_tower *tower, const char *name, const char *t,
                   enum clv_mask mask, int token_count, enum clv_activation activation)
{
    const int w = tower->width, mlp = tower->mlp_width;
    const size_t size = (size_t)n * (size_t)w, hidden_size = (size_t)n * (size_t)mlp;
    for (int i = 0; i < tower->layer_count; i++) {
        char prefix[128];
        snprintf(prefix, sizeof prefix, "%s.resblocks.%d.%s", name, i, t);
        double *h = norm(weights, prefix, "ln_1.", x, n, w);
        double *qkv =
            linear(weights, prefix, "attn.in_proj_weight", "attn.in_proj_bias", h, n, w, 3 * w);
        double *mixed = attend(qkv, n, w, tower->head_count, mask, token_count);
        add(x,
            linear(weights, prefix, "attn.out_proj.weight", "attn.out_proj.bias", mixed, n, w, w),
            size);
        free(h);
        h = norm(weights, prefix, "ln_2.", x, n, w);
        double *hidden = linear(weights, prefix, "mlp.c_fc.weight", "mlp.c_fc.bias", h, n, w, mlp);
        for (size_t k = 0; k < hidden_size; k++)
            hidden[k] = activation == CLV_ACTIVATION_GELU
                            ? hidden[k] * 0.5 * (1 + erf(hidden[k] / sqrt(2)))
                            : hidden[k] / (1 + exp(-1.702 * hidden[k]));
        add(x, linear(weights, prefix, "mlp.c_proj.weight", "mlp.c_proj.bias", hidden, n, mlp, w),
            size);
        free(h);
        free(qkv);
        free(mixed);
        free(hidden);
    }
}

/* Token l > 0 of one frame: the patch convolved with conv1. */
static void embed_patches(double *x, const double *conv, const struct clv_model_config *config,
                          const float *pixels)
{
    const int side = config->image_side, p = config->patch_side, grid = side / p;
    const int w = config->vision.width;
    for (int l = 0; l < grid * grid; l++)
        for (int o = 0; o < w; o++) {
            double sum = 0;
            for (int c = 0; c < 3; c++)
                for (int dy = 0; dy < p; dy++)
                    for (int dx = 0; dx < p; dx++)
                        sum += conv[((o * 3 + c) * p + dy) * p + dx] *
                               pixels[(c * side + l / grid * p + dy) * side + l % grid * p + dx];
            x[(1 + l) * w + o] = sum;
        }
}

double *reference_frames(const struct clv_weights *weights, const struct clv_model_config *config,
                         const float *pixels, int frame_count)
{
    const int l = config->token_count, w = config->vision.width, side = config->image_side;
    const size_t size = (size_t)l * (size_t)w;
    double *out = doubles((size_t)frame_count * size);
    double *conv = get(weights, "visual.", "conv1.weight");
    double *class_embedding = get(weights, "visual.", "class_embedding");
    double *position = get(weights, "visual.", "positional_embedding");
    for (int f = 0; f < frame_count; f++) {
        double *x = doubles(size);
        memcpy(x, class_embedding, (size_t)w * sizeof *x);
        embed_patches(x, conv, config, pixels + (size_t)f * 3 * (size_t)side * (size_t)side);
        for (size_t i = 0; i < size; i++)
            x[i] += position[i];
        double *y = norm(weights, "visual.", "ln_pre.", x, l, w);
        blocks(weights, y, l, &config->vision, "visual.transformer", "", CLV_MASK_NONE, l,
               config->activation);
        memcpy(out + (size_t)f * size, y, size * sizeof *y);
        free(x);
        free(y);
    }
    free(conv);
    free(class_embedding);
    free(position);
    return out;
}

/* x [n, width] @ matrix [width, out], as CLIP multiplies its projections. */
static double *project(const struct clv_weights *weights, const char *name, const double *x, int n,
                       int width, int out)
{
    double *matrix = get(weights, "", name), *y = doubles((size_t)n * (size_t)out);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < width; k++)
            for (int o = 0; o < out; o++)
                y[i * out + o] += x[i * width + k] * matrix[k * out + o];
    free(matrix);
    return y;
}

struct reference_window reference_windows(const struct clv_weights *weights,
                                          const struct clv_model_config *config,
                                          const double *const *tokens)
{
    const int t = config->frame_count, l = config->token_count, w = config->vision.width;
    const int e = config->embed_dim;
    const size_t frame = (size_t)l * (size_t)w;
    struct reference_window window = {0};
    double *x = doubles((size_t)t * frame), *classes = doubles((size_t)t * (size_t)w);
    double *temporal =
        config->temporal.width ? get(weights, "visual.", "temporal_embedding") : NULL;
    for (int i = 0; i < t; i++)
        for (size_t k = 0; k < frame; k++)
            x[(size_t)i * frame + k] =
                tokens[i][k] + (temporal ? temporal[(size_t)i * (size_t)w + k % (size_t)w] : 0);
    blocks(weights, x, t * l, &config->temporal, "visual.transformer_t", "temporal_", config->mask,
           l, config->activation);
    window.patch_tokens = doubles((size_t)t * frame);
    for (int i = 0; i < t; i++) {
        memcpy(classes + i * w, x + (size_t)i * frame, (size_t)w * sizeof *x);
        memcpy(window.patch_tokens + (size_t)i * (frame - (size_t)w),
               x + (size_t)i * frame + (size_t)w, (frame - (size_t)w) * sizeof *x);
    }
    double *normed = norm(weights, "visual.", "ln_post.", classes, t, w);
    window.frame_features = project(weights, "visual.proj", normed, t, w, e);
    window.vector = doubles((size_t)e);
    for (int i = 0; i < t; i++) {
        double square = 0;
        for (int k = 0; k < e; k++)
            square += window.frame_features[i * e + k] * window.frame_features[i * e + k];
        for (int k = 0; k < e; k++)
            window.vector[k] += window.frame_features[i * e + k] / sqrt(square) / t;
    }
    free(x);
    free(classes);
    free(temporal);
    free(normed);
    return window;
}

void reference_window_free(struct reference_window *window)
{
    free(window->frame_features);
    free(window->patch_tokens);
    free(window->vector);
}

double *reference_text(const struct clv_weights *weights, const struct clv_model_config *config,
                       const int32_t *ids, int count)
{
    const int w = config->text.width;
    double *table = get(weights, "", "token_embedding.weight");
    double *position = get(weights, "", "positional_embedding");
    double *x = doubles((size_t)count * (size_t)w);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < w; k++)
            x[i * w + k] = table[ids[i] * w + k] + position[i * w + k];
    blocks(weights, x, count, &config->text, "transformer", "", CLV_MASK_CAUSAL, 0,
           config->activation);
    double *last = norm(weights, "", "ln_final.", x + (count - 1) * w, 1, w);
    double *feature = project(weights, "text_projection", last, 1, w, config->embed_dim);
    free(table);
    free(position);
    free(x);
    free(last);
    return feature;
}
