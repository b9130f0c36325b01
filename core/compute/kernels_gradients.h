/* Private to the kernels: the row-wise gradients, the loss and the optimiser's step. Included once
 * per instruction set. */
#ifndef CLV_CORE_COMPUTE_KERNELS_GRADIENTS_H
#define CLV_CORE_COMPUTE_KERNELS_GRADIENTS_H

#include "core/compute/kernels.h"
#include "core/compute/kernels_rows.h"
#include "core/compute/vec.h"

#include <math.h>

/* The activation is a constant at each call. */
static inline __attribute__((always_inline)) void
activate_backward_as(float *dx, const float *dy, const float *x, int cols,
                     enum clv_activation activation)
{
#define SLOPE(a) \
    (activation == CLV_ACTIVATION_QUICK_GELU ? vec_quick_gelu_slope(a) : vec_gelu_slope(a))
    int whole = whole_cols(cols), part = cols - whole;
    for (int c = 0; c < whole; c += VEC_LANES)
        vec_store(dx + c, vec_mul(vec_load(dy + c), SLOPE(vec_load(x + c))));
    if (part > 0) {
        vec slope = SLOPE(vec_load_part(x + whole, part));
        vec_store_part(dx + whole, vec_mul(vec_load_part(dy + whole, part), slope), part);
    }
#undef SLOPE
}

static inline void activate_backward_row(float *dx, const float *dy, const float *x, int cols,
                                         enum clv_activation activation)
{
    if (activation == CLV_ACTIVATION_QUICK_GELU)
        activate_backward_as(dx, dy, x, cols, CLV_ACTIVATION_QUICK_GELU);
    else if (activation == CLV_ACTIVATION_GELU)
        activate_backward_as(dx, dy, x, cols, CLV_ACTIVATION_GELU);
    else
        add_rows(dx, dy, NULL, cols);
}

/* What a row of layer norm was computed with, and the means its gradient needs. */
struct norm_row {
    vec mean, scale;         /* of x */
    vec slope_mean, product; /* means of dy * weight, and of that times the unit row */
};

static inline vec norm_unit(vec x, const struct norm_row *n)
{
    return vec_mul(vec_sub(x, n->mean), n->scale);
}

/* Also adds the row's share to dweight and dbias, each of which may be NULL. */
static inline struct norm_row norm_row_means(float *dweight, float *dbias, const float *dy,
                                             const float *x, const float *weight, int cols)
{
    struct norm_row n;
    float sum, squares;
    SUM_ROW(sum, x, cols, at);
    const vec mean = vec_set(sum / (float)cols);
    SUM_ROW(squares, x, cols, vec_mul(vec_sub(at, mean), vec_sub(at, mean)));
    n.mean = mean;
    n.scale = vec_set(1.0f / sqrtf(squares / (float)cols + CLV_LAYER_NORM_EPSILON));
    vec sums[2] = {vec_zero(), vec_zero()}, products[2] = {vec_zero(), vec_zero()};
    int whole = whole_cols(cols), part = cols - whole;
    for (int c = 0, i = 0; c < whole; c += VEC_LANES, i ^= 1) {
        vec d = vec_load(dy + c), unit = norm_unit(vec_load(x + c), &n);
        vec slope = vec_mul(d, vec_load(weight + c));
        sums[i] = vec_add(sums[i], slope);
        products[i] = vec_fma(slope, unit, products[i]);
        if (dweight)
            vec_store(dweight + c, vec_fma(d, unit, vec_load(dweight + c)));
        if (dbias)
            vec_store(dbias + c, vec_add(d, vec_load(dbias + c)));
    }
    if (part > 0) { /* past the row dy is zero, and so is all it is multiplied with */
        vec d = vec_load_part(dy + whole, part);
        vec unit = norm_unit(vec_load_part(x + whole, part), &n);
        vec slope = vec_mul(d, vec_load_part(weight + whole, part));
        sums[0] = vec_add(sums[0], slope);
        products[0] = vec_fma(slope, unit, products[0]);
        if (dweight)
            vec_store_part(dweight + whole, vec_fma(d, unit, vec_load_part(dweight + whole, part)),
                           part);
        if (dbias)
            vec_store_part(dbias + whole, vec_add(d, vec_load_part(dbias + whole, part)), part);
    }
    n.slope_mean = vec_set(vec_sum(vec_add(sums[0], sums[1])) / (float)cols);
    n.product = vec_set(vec_sum(vec_add(products[0], products[1])) / (float)cols);
    return n;
}

/* dx = scale (g - mean(g) - unit mean(g unit)) with g = dy weight, unit = (x - mean) scale; added
 * to `base` (which may be dx) where that is not NULL. */
static inline void layer_norm_backward_row(float *dx, const float *base, float *dweight,
                                           float *dbias, const float *dy, const float *x,
                                           const float *weight, int cols)
{
    struct norm_row n = norm_row_means(dweight, dbias, dy, x, weight, cols);
    int whole = whole_cols(cols), part = cols - whole;
    for (int c = 0; c < whole; c += VEC_LANES) {
        vec unit = norm_unit(vec_load(x + c), &n);
        vec slope = vec_mul(vec_load(dy + c), vec_load(weight + c));
        vec rest = vec_sub(vec_sub(slope, n.slope_mean), vec_mul(unit, n.product));
        vec before = base ? vec_load(base + c) : vec_zero();
        vec_store(dx + c, vec_fma(rest, n.scale, before));
    }
    if (part > 0) {
        vec unit = norm_unit(vec_load_part(x + whole, part), &n);
        vec slope = vec_mul(vec_load_part(dy + whole, part), vec_load_part(weight + whole, part));
        vec rest = vec_sub(vec_sub(slope, n.slope_mean), vec_mul(unit, n.product));
        vec before = base ? vec_load_part(base + whole, part) : vec_zero();
        vec_store_part(dx + whole, vec_fma(rest, n.scale, before), part);
    }
}

static inline void accumulate_add(float *out, const float *x, float factor, int cols, bool add)
{
    accumulate_row(out, x, factor, cols, !add);
}

static inline float dot_row(const float *a, const float *b, int cols)
{
    vec sums[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    int c = 0;
    for (; c + 4 * VEC_LANES <= cols; c += 4 * VEC_LANES)
        for (int i = 0; i < 4; i++)
            sums[i] =
                vec_fma(vec_load(a + c + i * VEC_LANES), vec_load(b + c + i * VEC_LANES), sums[i]);
    for (; c + VEC_LANES <= cols; c += VEC_LANES)
        sums[0] = vec_fma(vec_load(a + c), vec_load(b + c), sums[0]);
    if (c < cols)
        sums[1] = vec_fma(vec_load_part(a + c, cols - c), vec_load_part(b + c, cols - c), sums[1]);
    return vec_sum(vec_add(vec_add(sums[0], sums[1]), vec_add(sums[2], sums[3])));
}

/* The same for rows of any length: short runs in single precision, their sums in double. */
static inline double dot_long(const float *a, const float *b, int cols)
{
    enum { RUN = 256 };
    double sum = 0.0;
    for (int c = 0; c < cols; c += RUN)
        sum += (double)dot_row(a + c, b + c, cols - c < RUN ? cols - c : RUN);
    return sum;
}

/* Of one row's x / |x| / count: (dout - unit (unit . dout)) / (|x| count). */
static inline void unit_backward_row(float *dx, const float *dout, const float *x, int cols,
                                     int count)
{
    float squares;
    SUM_ROW(squares, x, cols, vec_mul(at, at));
    if (squares == 0.0f) {
        accumulate_row(dx, x, 0.0f, cols, 1);
        return;
    }
    float scale = 1.0f / (sqrtf(squares) * (float)count);
    float along = -dot_row(x, dout, cols) / squares * scale;
    accumulate_row(dx, dout, scale, cols, 1);
    accumulate_row(dx, x, along, cols, 0);
}

/* Returns -sum labels log softmax(logits); where dlogits is not NULL writes factor times its
 * gradient, softmax sum(labels) - labels. dlogits may be logits. */
static inline double cross_entropy_row(float *dlogits, const float *logits, const float *labels,
                                       int cols, double factor)
{
    double highest = -INFINITY, total = 0.0, mass = 0.0, loss = 0.0;
    for (int c = 0; c < cols; c++)
        if (!((double)logits[c] <= highest)) /* NaN stays */
            highest = (double)logits[c];
    for (int c = 0; c < cols; c++)
        total += exp((double)logits[c] - highest);
    double log_total = log(total);
    for (int c = 0; c < cols; c++) {
        mass += (double)labels[c];
        loss -= (double)labels[c] * ((double)logits[c] - highest - log_total);
    }
    for (int c = 0; c < cols && dlogits; c++) {
        double p = exp((double)logits[c] - highest) / total;
        dlogits[c] = (float)(factor * (p * mass - (double)labels[c]));
    }
    return loss;
}

static inline void adamw_row(float *param, float *m, float *v, const float *grad, int cols,
                             const struct clv_adamw_factors *f)
{
#define STEP(load, store)                                                             \
    do {                                                                              \
        vec g = vec_mul(load(grad), scale), p = load(param);                          \
        vec mean = vec_fma(one_less_beta1, vec_sub(g, load(m)), load(m));             \
        vec square = vec_fma(vec_mul(g, g), one_less_beta2, vec_mul(load(v), beta2)); \
        vec root = vec_fma(vec_sqrt(square), root_factor, epsilon);                   \
        store(m, mean);                                                               \
        store(v, square);                                                             \
        store(param, vec_sub(vec_mul(p, keep), vec_div(vec_mul(mean, rate), root)));  \
    } while (0)
    const vec scale = vec_set(f->grad_scale), one_less_beta1 = vec_set(f->one_less_beta1);
    const vec one_less_beta2 = vec_set(f->one_less_beta2), beta2 = vec_set(f->beta2);
    const vec root_factor = vec_set(f->root_factor), epsilon = vec_set(f->epsilon);
    const vec keep = vec_set(f->keep), rate = vec_set(f->rate);
    int whole = whole_cols(cols), part = cols - whole, c = 0;
#define LOAD(p) vec_load((p) + c)
#define STORE(p, a) vec_store((p) + c, a)
    for (; c < whole; c += VEC_LANES)
        STEP(LOAD, STORE);
#undef LOAD
#undef STORE
#define LOAD(p) vec_load_part((p) + c, part)
#define STORE(p, a) vec_store_part((p) + c, a, part)
    if (part > 0)
        STEP(LOAD, STORE);
#undef LOAD
#undef STORE
#undef STEP
}

#endif
