/* The CPU's ops over BF16 activations: widened to fp32, run as ever, rounded on the way out. It is
 * slow and meant so: tests run the model here as a CUDA device at bf16 stores it. */
#include "core/compute/cpu.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- numbers --------------------------------------------------------------------------------- */

static float widened(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* To nearest, ties to even; NaN stays NaN, whose low bits alone may have said so. */
static uint16_t rounded(float x)
{
    uint32_t bits;
    if (isnan(x))
        return 0x7fc0;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static uint16_t *half_row(struct clv_tensor t, int row)
{
    return clv_tensor_at(t, row * t.stride);
}

/* ---- stand-ins ------------------------------------------------------------------------------- */

enum use { READ, WRITTEN };

/* A tensor argument of an op. Between widen() and narrow() one of BF16 is an fp32 copy. */
struct argument {
    struct clv_tensor *tensor;
    enum use use;
    struct clv_tensor original;
};

static size_t padded_count(struct clv_tensor t)
{
    return ((size_t)t.rows * (size_t)t.cols + 15) / 16 * 16;
}

/* False after a sticky failure. */
static bool widen(struct clv_device *device, struct argument *arguments, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += padded_count(*arguments[i].tensor);
    float *at = clv_cpu_widened(device, (total + 1) * sizeof *at);
    for (int i = 0; at && i < count; i++) {
        struct clv_tensor *tensor = arguments[i].tensor;
        const struct clv_tensor original = *tensor;
        arguments[i].original = original;
        if (original.type != CLV_TYPE_BF16)
            continue;
        *tensor = clv_tensor(at, original.rows, original.cols);
        at += padded_count(original);
        for (int r = 0; arguments[i].use == READ && r < original.rows; r++)
            for (int c = 0; c < original.cols; c++)
                tensor->data[r * tensor->stride + c] = widened(half_row(original, r)[c]);
    }
    return at != NULL;
}

static void narrow(const struct argument *arguments, int count)
{
    for (int i = 0; i < count; i++) {
        const struct clv_tensor original = arguments[i].original, *wide = arguments[i].tensor;
        if (original.type != CLV_TYPE_BF16 || arguments[i].use == READ)
            continue;
        for (int r = 0; r < original.rows; r++)
            for (int c = 0; c < original.cols; c++)
                half_row(original, r)[c] = rounded(wide->data[r * wide->stride + c]);
    }
}

/* Runs an op of the fp32 table between the two. */
#define RUN(arguments, ...)                                                \
    do {                                                                   \
        const int count_ = (int)(sizeof(arguments) / sizeof *(arguments)); \
        if (widen(device, arguments, count_)) {                            \
            clv_ops_cpu.__VA_ARGS__;                                       \
            narrow(arguments, count_);                                     \
        }                                                                  \
    } while (0)

/* ---- ops ------------------------------------------------------------------------------------- */

static void linear(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                   const struct clv_weight *weight, const float *bias,
                   enum clv_activation activation, struct clv_tensor residual)
{
    struct argument arguments[] = {{.tensor = &out, .use = WRITTEN}, {.tensor = &x}};
    RUN(arguments, linear(device, out, x, weight, bias, activation, residual));
}

static void layer_norm(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                       const float *weight, const float *bias)
{
    struct argument arguments[] = {{.tensor = &out, .use = WRITTEN}};
    RUN(arguments, layer_norm(device, out, x, weight, bias));
}

static void patches(struct clv_device *device, struct clv_tensor out, struct clv_tensor frames,
                    int side, int patch)
{
    struct argument arguments[] = {{.tensor = &out, .use = WRITTEN}};
    RUN(arguments, patches(device, out, frames, side, patch));
}

static void square_patches(struct clv_device *device, struct clv_tensor out, const uint8_t *squares,
                           const float *values, int side, int patch)
{
    struct argument arguments[] = {{.tensor = &out, .use = WRITTEN}};
    RUN(arguments, square_patches(device, out, squares, values, side, patch));
}

static void gather_rows(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                        const int32_t *indices)
{
    struct argument arguments[] = {{.tensor = &out, .use = WRITTEN}, {.tensor = &x}};
    RUN(arguments, gather_rows(device, out, x, indices));
}

static void copy(struct clv_device *device, struct clv_tensor out, struct clv_tensor x)
{
    struct argument arguments[] = {{.tensor = &out, .use = WRITTEN}, {.tensor = &x}};
    RUN(arguments, copy(device, out, x));
}

static void attention(struct clv_device *device, struct clv_tensor out, struct clv_tensor q,
                      struct clv_tensor k, struct clv_tensor v,
                      const struct clv_attention *attention)
{
    struct argument arguments[] = {
        {.tensor = &out, .use = WRITTEN}, {.tensor = &q}, {.tensor = &k}, {.tensor = &v}};
    RUN(arguments, attention(device, out, q, k, v, attention));
}

static void activate(struct clv_device *device, struct clv_tensor out, struct clv_tensor x,
                     enum clv_activation activation)
{
    struct argument arguments[] = {{.tensor = &out, .use = WRITTEN}, {.tensor = &x}};
    RUN(arguments, activate(device, out, x, activation));
}

static void activate_backward(struct clv_device *device, struct clv_tensor dx, struct clv_tensor dy,
                              struct clv_tensor x, enum clv_activation activation)
{
    struct argument arguments[] = {
        {.tensor = &dx, .use = WRITTEN}, {.tensor = &dy}, {.tensor = &x}};
    RUN(arguments, activate_backward(device, dx, dy, x, activation));
}

static void linear_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                            struct clv_tensor dweight, float *dbias, struct clv_tensor dy,
                            struct clv_tensor x, const struct clv_weight *weight)
{
    if (!dweight.data)
        x = CLV_NO_TENSOR; /* not to be read */
    struct argument arguments[] = {
        {.tensor = &dx, .use = WRITTEN}, {.tensor = &dy}, {.tensor = &x}};
    RUN(arguments, linear_backward(device, dx, add, dweight, dbias, dy, x, weight));
}

static void layer_norm_backward(struct clv_device *device, struct clv_tensor dx, bool add,
                                float *dweight, float *dbias, struct clv_tensor dy,
                                struct clv_tensor x, const float *weight)
{
    struct argument arguments[] = {{.tensor = &dy}};
    RUN(arguments, layer_norm_backward(device, dx, add, dweight, dbias, dy, x, weight));
}

static void attention_backward(struct clv_device *device,
                               const struct clv_attention_gradients *gradients,
                               struct clv_tensor dout, struct clv_tensor out, struct clv_tensor q,
                               struct clv_tensor k, struct clv_tensor v,
                               const struct clv_attention *attention)
{
    struct clv_attention_gradients g = *gradients;
    struct argument arguments[] = {{.tensor = &g.dq, .use = WRITTEN},
                                   {.tensor = &g.dk, .use = WRITTEN},
                                   {.tensor = &g.dv, .use = WRITTEN},
                                   {.tensor = &dout},
                                   {.tensor = &out},
                                   {.tensor = &q},
                                   {.tensor = &k},
                                   {.tensor = &v}};
    RUN(arguments, attention_backward(device, &g, dout, out, q, k, v, attention));
}

void clv_cpu_take_bf16(struct clv_ops *table)
{
    *table = clv_ops_cpu;
    table->linear = linear;
    table->layer_norm = layer_norm;
    table->patches = patches;
    table->square_patches = square_patches;
    table->gather_rows = gather_rows;
    table->copy = copy;
    table->attention = attention;
    table->activate = activate;
    table->activate_backward = activate_backward;
    table->linear_backward = linear_backward;
    table->layer_norm_backward = layer_norm_backward;
    table->attention_backward = attention_backward;
}
