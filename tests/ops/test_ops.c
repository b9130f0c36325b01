/* The row-wise ops and the linear layer against double-precision references written here, for every
 * variant of the CPU backend. Attention has its own file. */
#include "core/compute/ops.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum residual_kind { RESIDUAL_NONE, RESIDUAL_APART, RESIDUAL_IN_PLACE };

static double *new_reference(int rows, int cols)
{
    double *want = calloc((size_t)rows * (size_t)cols, sizeof *want);
    if (!want) {
        printf("FAIL out of memory for a reference\n");
        exit(1);
    }
    return want;
}

static double activated(double x, enum clv_activation activation)
{
    if (activation == CLV_ACTIVATION_QUICK_GELU)
        return x / (1.0 + exp(-1.702 * x));
    if (activation == CLV_ACTIVATION_GELU)
        return 0.5 * x * erfc(-x / sqrt(2.0));
    return x;
}

/* ---- linear ---------------------------------------------------------------------------------- */

struct linear_case {
    int rows, in, out;
};

struct linear_setting {
    struct guarded x, weight, bias, residual;
    enum clv_weight_layout layout;
    enum clv_activation activation;
    enum residual_kind residual_kind;
    bool has_bias;
};

static double *linear_reference(struct linear_setting *s, const struct linear_case *c)
{
    double *want = new_reference(c->rows, c->out);
    for (int r = 0; r < c->rows; r++)
        for (int o = 0; o < c->out; o++) {
            double sum = s->has_bias ? *guarded_at(&s->bias, 0, o) : 0.0;
            for (int i = 0; i < c->in; i++)
                sum += (double)*guarded_at(&s->x, r, i) * (s->layout == CLV_WEIGHT_OUT_IN
                                                               ? *guarded_at(&s->weight, o, i)
                                                               : *guarded_at(&s->weight, i, o));
            sum = activated(sum, s->activation);
            if (s->residual_kind != RESIDUAL_NONE)
                sum += *guarded_at(&s->residual, r, o);
            want[(size_t)r * (size_t)c->out + (size_t)o] = sum;
        }
    return want;
}

static struct linear_setting linear_setting(struct clv_device *device, const struct linear_case *c,
                                            enum clv_weight_layout layout, uint64_t *seed)
{
    struct linear_setting s = {.layout = layout};
    bool is_out_in = layout == CLV_WEIGHT_OUT_IN;
    s.x = guarded_input(device, c->rows, c->in, 1.0, seed);
    s.weight = guarded_input(device, is_out_in ? c->out : c->in, is_out_in ? c->in : c->out,
                             1.0 / sqrt(c->in), seed);
    s.bias = guarded_input(device, 1, c->out, 0.5, seed);
    s.residual = guarded_input(device, c->rows, c->out, 1.0, seed);
    return s;
}

static void linear_setting_free(struct linear_setting *s)
{
    guarded_free(&s->x);
    guarded_free(&s->weight);
    guarded_free(&s->bias);
    guarded_free(&s->residual);
}

/* Runs the layer into a fresh output, which holds the residual where that is in place. */
static struct guarded linear_run(struct clv_device *device, struct linear_setting *s,
                                 const struct linear_case *c)
{
    struct guarded out = guarded_output(device, c->rows, c->out);
    struct clv_tensor residual = CLV_NO_TENSOR;
    if (s->residual_kind == RESIDUAL_APART)
        residual = s->residual.tensor;
    if (s->residual_kind == RESIDUAL_IN_PLACE) {
        for (int r = 0; r < c->rows; r++)
            memcpy(guarded_at(&out, r, 0), guarded_at(&s->residual, r, 0),
                   sizeof(float) * (size_t)c->out);
        guarded_write(&out);
        residual = out.tensor;
    }
    struct clv_weight weight;
    clv_weight_prepare(device, &weight, s->weight.tensor, s->layout);
    CHECK_INT(weight.in_cols, c->in);
    CHECK_INT(weight.out_cols, c->out);
    clv_linear(device, out.tensor, s->x.tensor, &weight, s->has_bias ? s->bias.tensor.data : NULL,
               s->activation, residual);
    clv_weight_release(&weight);
    return out;
}

static void check_linear(struct clv_device *device, const struct linear_case *c)
{
    uint64_t seed = 1;
    int step = c->rows * c->out > 50000 ? 7 : 1; /* still meets every value of every option */
    for (int option = 0; option < 36; option += step) {
        struct linear_setting s =
            linear_setting(device, c, (enum clv_weight_layout)(option % 2), &seed);
        s.has_bias = option / 2 % 2;
        s.activation = (enum clv_activation)(option / 4 % 3);
        s.residual_kind = (enum residual_kind)(option / 12);
        double *want = linear_reference(&s, c);
        struct guarded out = linear_run(device, &s, c);
        guarded_check(&out, want, 3e-6);
        guarded_check_unchanged(&s.x);
        guarded_check_unchanged(&s.weight);
        guarded_check_unchanged(&s.residual);
        free(want);
        guarded_free(&out);
        linear_setting_free(&s);
    }
}

/* NaN in row 20 of x and in output 5 of the weight reaches that row and that column, no other. */
static void check_linear_poison(struct clv_device *device)
{
    uint64_t seed = 2;
    const struct linear_case c = {33, 77, 50};
    for (int activation = 0; activation < 3; activation++) {
        struct linear_setting s = linear_setting(device, &c, CLV_WEIGHT_OUT_IN, &seed);
        s.activation = (enum clv_activation)activation;
        s.has_bias = true;
        *guarded_at(&s.x, 20, 76) = NAN;
        *guarded_at(&s.weight, 5, 0) = NAN;
        *guarded_at(&s.bias, 0, 49) = NAN;
        guarded_write(&s.x);
        guarded_write(&s.weight);
        guarded_write(&s.bias);
        struct guarded out = linear_run(device, &s, &c);
        guarded_read(&out);
        int wrong = 0;
        for (int r = 0; r < c.rows; r++)
            for (int o = 0; o < c.out; o++)
                wrong += (r == 20 || o == 5 || o == 49) != (isnan(*guarded_at(&out, r, o)) != 0);
        CHECK_INT(wrong, 0);
        guarded_free(&out);
        linear_setting_free(&s);
    }
}

/* The activations alone, over their whole range: x times a weight of one. Errors are relative, so
 * that the tail of negative x counts. */
static void check_activations(struct clv_device *device)
{
    enum { COUNT = 4003 };
    uint64_t seed = 3;
    struct guarded x = guarded_input(device, COUNT, 1, 1.0, &seed);
    struct guarded one = guarded_input(device, 1, 1, 1.0, &seed);
    for (int i = 0; i < COUNT; i++)
        *guarded_at(&x, i, 0) = (float)(-100.0 + 0.05 * i + 1e-3 * t_uniform(&seed));
    *guarded_at(&one, 0, 0) = 1.0f;
    guarded_write(&x);
    guarded_write(&one);
    for (int kind = CLV_ACTIVATION_QUICK_GELU; kind <= CLV_ACTIVATION_GELU; kind++) {
        /* One long row, so that every lane takes part: out [1, COUNT] = one [1, 1] x^T. */
        struct clv_tensor column = clv_tensor(x.tensor.data, COUNT, 1);
        column.stride = x.tensor.stride;
        struct clv_weight weight;
        clv_weight_prepare(device, &weight, column, CLV_WEIGHT_OUT_IN);
        struct guarded out = guarded_output(device, 1, COUNT);
        clv_linear(device, out.tensor, one.tensor, &weight, NULL, (enum clv_activation)kind,
                   CLV_NO_TENSOR);
        guarded_read(&out);
        double worst = 0.0;
        for (int i = 0; i < COUNT; i++) {
            double want = activated(*guarded_at(&x, i, 0), (enum clv_activation)kind);
            double error = fabs(*guarded_at(&out, 0, i) - want);
            double x_i = *guarded_at(&x, i, 0);
            double argument = kind == CLV_ACTIVATION_GELU ? x_i * x_i / 2.0 : 1.702 * fabs(x_i);
            /* exp turns its argument's rounding into a relative error; below 1e-36 it may be 0. */
            double limit = fabs(want) * (5e-7 + 2e-7 * fmin(argument, 90.0)) + 1e-36;
            if (!(error <= worst * limit))
                worst = error / limit;
        }
        CHECK_NEAR(worst, 0.0, 1.0);
        guarded_free(&out);
        clv_weight_release(&weight);
    }
    guarded_free(&x);
    guarded_free(&one);
}

/* ---- layer norm ------------------------------------------------------------------------------ */

static void check_layer_norm(struct clv_device *device, int rows, int cols, bool in_place,
                             double offset)
{
    uint64_t seed = 4;
    struct guarded x = guarded_input(device, rows, cols, 2.0, &seed);
    struct guarded weight = guarded_input(device, 1, cols, 1.0, &seed);
    struct guarded bias = guarded_input(device, 1, cols, 1.0, &seed);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            *guarded_at(&x, r, c) += (float)offset;
    guarded_write(&x);
    double *want = new_reference(rows, cols);
    for (int r = 0; r < rows; r++) {
        double mean = 0.0, variance = 0.0;
        for (int c = 0; c < cols; c++)
            mean += *guarded_at(&x, r, c) / (double)cols;
        for (int c = 0; c < cols; c++)
            variance += pow(*guarded_at(&x, r, c) - mean, 2.0) / cols;
        for (int c = 0; c < cols; c++)
            want[(size_t)r * (size_t)cols + (size_t)c] = (*guarded_at(&x, r, c) - mean) /
                                                             sqrt(variance + 1e-5) *
                                                             *guarded_at(&weight, 0, c) +
                                                         *guarded_at(&bias, 0, c);
    }
    struct guarded out = in_place ? x : guarded_output(device, rows, cols);
    clv_layer_norm(device, out.tensor, x.tensor, weight.tensor.data, bias.tensor.data);
    /* A mean of 100 costs digits: its own rounding stands against a deviation of 2. */
    guarded_check(&out, want,
                  cols == 1       ? 1e-2 * (offset != 0.0) + 1e-6
                  : offset != 0.0 ? 1e-4
                                  : 2e-6);
    if (!in_place) {
        guarded_check_unchanged(&x);
        guarded_free(&x);
    }
    free(want);
    guarded_free(&out);
    guarded_free(&weight);
    guarded_free(&bias);
}

static void check_layer_norm_poison(struct clv_device *device)
{
    uint64_t seed = 5;
    struct guarded x = guarded_input(device, 31, 77, 1.0, &seed);
    struct guarded weight = guarded_input(device, 1, 77, 1.0, &seed);
    struct guarded bias = guarded_input(device, 1, 77, 1.0, &seed);
    struct guarded out = guarded_output(device, 31, 77);
    *guarded_at(&x, 4, 0) = NAN;
    *guarded_at(&x, 30, 76) = NAN;
    guarded_write(&x);
    clv_layer_norm(device, out.tensor, x.tensor, weight.tensor.data, bias.tensor.data);
    guarded_read(&out);
    int wrong = 0;
    for (int r = 0; r < 31; r++)
        for (int c = 0; c < 77; c++)
            wrong += (r == 4 || r == 30) != (isnan(*guarded_at(&out, r, c)) != 0);
    CHECK_INT(wrong, 0);
    guarded_free(&x);
    guarded_free(&weight);
    guarded_free(&bias);
    guarded_free(&out);
}

/* ---- patches and embeddings ------------------------------------------------------------------ */

static void check_patches(struct clv_device *device, int frames, int side, int patch)
{
    uint64_t seed = 6;
    int grid = side / patch, cols = 3 * patch * patch;
    struct guarded pixels = guarded_input(device, frames, 3 * side * side, 1.0, &seed);
    struct guarded out = guarded_output(device, frames * grid * grid, cols);
    clv_patches(device, out.tensor, pixels.tensor, side, patch);
    double *want = new_reference(frames * grid * grid, cols), *at = want;
    for (int f = 0; f < frames; f++)
        for (int gy = 0; gy < grid; gy++)
            for (int gx = 0; gx < grid; gx++)
                for (int plane = 0; plane < 3; plane++)
                    for (int y = gy * patch; y < (gy + 1) * patch; y++)
                        for (int x = gx * patch; x < (gx + 1) * patch; x++)
                            *at++ = *guarded_at(&pixels, f, (plane * side + y) * side + x);
    guarded_check(&out, want, 0.0);
    guarded_check_unchanged(&pixels);
    free(want);
    guarded_free(&pixels);
    guarded_free(&out);
}

static void check_frame_embed(struct clv_device *device, int frames, int tokens, int cols)
{
    uint64_t seed = 7;
    struct guarded patches = guarded_input(device, frames * (tokens - 1), cols, 1.0, &seed);
    struct guarded class_embedding = guarded_input(device, 1, cols, 1.0, &seed);
    struct guarded position = guarded_input(device, tokens, cols, 1.0, &seed);
    struct guarded out = guarded_output(device, frames * tokens, cols);
    clv_frame_embed(device, out.tensor, patches.tensor, class_embedding.tensor.data,
                    position.tensor);
    double *want = new_reference(frames * tokens, cols);
    for (int f = 0; f < frames; f++)
        for (int l = 0; l < tokens; l++)
            for (int c = 0; c < cols; c++)
                want[(size_t)(f * tokens + l) * (size_t)cols + (size_t)c] =
                    (double)*guarded_at(&position, l, c) +
                    (l == 0 ? *guarded_at(&class_embedding, 0, c)
                            : *guarded_at(&patches, f * (tokens - 1) + l - 1, c));
    guarded_check(&out, want, 1e-7);
    guarded_check_unchanged(&patches);
    guarded_check_unchanged(&position);
    free(want);
    guarded_free(&patches);
    guarded_free(&class_embedding);
    guarded_free(&position);
    guarded_free(&out);
}

static void check_window_embed(struct clv_device *device, int windows, int frame_count, int tokens,
                               int cols, bool has_temporal)
{
    uint64_t seed = 8;
    int slots = 11;
    struct guarded frames = guarded_input(device, slots * tokens, cols, 1.0, &seed);
    struct guarded temporal = guarded_input(device, frame_count, cols, 1.0, &seed);
    struct guarded out = guarded_output(device, windows * frame_count * tokens, cols);
    int32_t indices[64];
    for (int i = 0; i < windows * frame_count; i++)
        indices[i] = (int32_t)(t_random(&seed) >> 33) % slots;
    clv_window_embed(device, out.tensor, frames.tensor, indices, frame_count, tokens,
                     has_temporal ? temporal.tensor : CLV_NO_TENSOR);
    double *want = new_reference(out.tensor.rows, cols);
    for (int r = 0; r < out.tensor.rows; r++)
        for (int c = 0; c < cols; c++) {
            int slot = r / tokens;
            want[(size_t)r * (size_t)cols + (size_t)c] =
                *guarded_at(&frames, indices[slot] * tokens + r % tokens, c) +
                (has_temporal ? (double)*guarded_at(&temporal, slot % frame_count, c) : 0.0);
        }
    guarded_check(&out, want, 1e-7);
    guarded_check_unchanged(&frames);
    free(want);
    guarded_free(&frames);
    guarded_free(&temporal);
    guarded_free(&out);
}

static void check_token_embed(struct clv_device *device, int cols)
{
    uint64_t seed = 9;
    static const int32_t starts[] = {0, 5, 5, 6, 83};
    struct guarded table = guarded_input(device, 1003, cols, 1.0, &seed);
    struct guarded position = guarded_input(device, 77, cols, 1.0, &seed);
    struct guarded out = guarded_output(device, 83, cols);
    int32_t ids[83];
    for (int i = 0; i < 83; i++)
        ids[i] = (int32_t)(t_random(&seed) >> 33) % 1003;
    ids[0] = 0;
    ids[82] = 1002;
    clv_token_embed(device, out.tensor, table.tensor, position.tensor, ids, starts, 4);
    double *want = new_reference(83, cols);
    for (int s = 0; s < 4; s++)
        for (int r = starts[s]; r < starts[s + 1]; r++)
            for (int c = 0; c < cols; c++)
                want[(size_t)r * (size_t)cols + (size_t)c] =
                    (double)*guarded_at(&table, ids[r], c) +
                    *guarded_at(&position, r - starts[s], c);
    guarded_check(&out, want, 1e-7);
    guarded_check_unchanged(&table);
    free(want);
    guarded_free(&table);
    guarded_free(&position);
    guarded_free(&out);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void check_gather_and_copy(struct clv_device *device, int cols)
{
    uint64_t seed = 10;
    static const int32_t indices[] = {30, 0, 7, 7, 12};
    struct guarded x = guarded_input(device, 31, cols, 1.0, &seed);
    struct guarded some = guarded_output(device, 5, cols), all = guarded_output(device, 31, cols);
    clv_gather_rows(device, some.tensor, x.tensor, indices);
    clv_copy(device, all.tensor, x.tensor);
    double *want_some = new_reference(5, cols), *want_all = new_reference(31, cols);
    for (int c = 0; c < cols; c++) {
        for (int r = 0; r < 5; r++)
            want_some[r * cols + c] = *guarded_at(&x, indices[r], c);
        for (int r = 0; r < 31; r++)
            want_all[r * cols + c] = *guarded_at(&x, r, c);
    }
    guarded_check(&some, want_some, 0.0);
    guarded_check(&all, want_all, 0.0);
    free(want_some);
    free(want_all);
    guarded_free(&x);
    guarded_free(&some);
    guarded_free(&all);
}

static void check_unit_mean(struct clv_device *device, int count, int frame_count, int cols)
{
    uint64_t seed = 11;
    struct guarded x = guarded_input(device, count * frame_count, cols, 3.0, &seed);
    struct guarded out = guarded_output(device, count, cols);
    int zero_row = count * frame_count - 1; /* stays zero */
    for (int c = 0; c < cols; c++)
        *guarded_at(&x, zero_row, c) = 0.0f;
    guarded_write(&x);
    clv_unit_mean(device, out.tensor, x.tensor, frame_count);
    double *want = new_reference(count, cols);
    for (int r = 0; r < count * frame_count; r++) {
        double squares = 0.0;
        for (int c = 0; c < cols; c++)
            squares += pow(*guarded_at(&x, r, c), 2.0);
        for (int c = 0; c < cols && squares > 0.0; c++)
            want[(size_t)(r / frame_count) * (size_t)cols + (size_t)c] +=
                *guarded_at(&x, r, c) / sqrt(squares) / frame_count;
    }
    guarded_check(&out, want, 1e-6);
    guarded_check_unchanged(&x);
    *guarded_at(&x, 0, cols - 1) = NAN; /* reaches the first mean, all of it, and no other */
    guarded_write(&x);
    clv_unit_mean(device, out.tensor, x.tensor, frame_count);
    guarded_read(&out);
    int wrong = 0;
    for (int r = 0; r < count; r++)
        for (int c = 0; c < cols; c++)
            wrong += (r == 0) != (isnan(*guarded_at(&out, r, c)) != 0);
    CHECK_INT(wrong, 0);
    free(want);
    guarded_free(&x);
    guarded_free(&out);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void linear_on(struct clv_device *device, const int *size)
{
    const struct linear_case c = {size[0], size[1], size[2]};
    check_linear(device, &c);
}

static void linear_poison_on(struct clv_device *device, const int *size)
{
    (void)size;
    check_linear_poison(device);
}

static void activations_on(struct clv_device *device, const int *size)
{
    (void)size;
    check_activations(device);
}

static void layer_norm_on(struct clv_device *device, const int *size)
{
    check_layer_norm(device, size[0], size[1], false, 0.0);
    check_layer_norm(device, size[0], size[1], true, 0.0);
    check_layer_norm(device, size[0], size[1], false, 100.0);
}

static void layer_norm_poison_on(struct clv_device *device, const int *size)
{
    (void)size;
    check_layer_norm_poison(device);
}

static void patches_on(struct clv_device *device, const int *size)
{
    check_patches(device, size[0], size[1], size[2]);
}

static void frame_embed_on(struct clv_device *device, const int *size)
{
    check_frame_embed(device, size[0], size[1], size[2]);
}

static void window_embed_on(struct clv_device *device, const int *size)
{
    check_window_embed(device, size[0], size[1], size[2], size[3], true);
    check_window_embed(device, size[0], size[1], size[2], size[3], false);
}

static void token_embed_on(struct clv_device *device, const int *size)
{
    check_token_embed(device, size[0]);
}

static void gather_and_copy_on(struct clv_device *device, const int *size)
{
    check_gather_and_copy(device, size[0]);
}

static void unit_mean_on(struct clv_device *device, const int *size)
{
    check_unit_mean(device, size[0], size[1], size[2]);
}

struct op_case {
    const char *name;
    void (*check)(struct clv_device *device, const int *size);
    int size[4];
};

/* clang-format off */
static const struct op_case cases[] = {
    {"linear", linear_on, {1, 1, 1}},
    {"linear", linear_on, {1, 512, 512}},
    {"linear", linear_on, {31, 33, 1}},
    {"linear", linear_on, {33, 31, 77}},
    {"linear", linear_on, {50, 64, 33}},
    {"linear", linear_on, {77, 1, 1003}},
    {"linear", linear_on, {13, 1003, 80}},
    {"linear", linear_on, {1003, 50, 31}},
    {"linear over more rows than a block", linear_on, {2200, 3, 1003}},
    {"linear with NaN", linear_poison_on, {0}},
    {"activations", activations_on, {0}},
    {"layer norm", layer_norm_on, {1, 1}},
    {"layer norm", layer_norm_on, {31, 33}},
    {"layer norm", layer_norm_on, {50, 768}},
    {"layer norm", layer_norm_on, {77, 31}},
    {"layer norm", layer_norm_on, {33, 1003}},
    {"layer norm", layer_norm_on, {1003, 64}},
    {"layer norm with NaN", layer_norm_poison_on, {0}},
    {"patches", patches_on, {1, 1, 1}},
    {"patches", patches_on, {3, 224, 32}},
    {"patches", patches_on, {2, 42, 14}},
    {"patches", patches_on, {5, 33, 3}},
    {"patches", patches_on, {1, 31, 31}},
    {"frame embed", frame_embed_on, {1, 2, 1}},
    {"frame embed", frame_embed_on, {3, 50, 77}},
    {"frame embed", frame_embed_on, {8, 50, 768}},
    {"window embed", window_embed_on, {1, 1, 1, 1}},
    {"window embed", window_embed_on, {3, 8, 50, 33}},
    {"window embed", window_embed_on, {2, 5, 31, 1003}},
    {"window embed", window_embed_on, {2, 3, 5, 768}},
    {"token embed", token_embed_on, {1}},
    {"token embed", token_embed_on, {77}},
    {"token embed", token_embed_on, {512}},
    {"gather and copy", gather_and_copy_on, {1}},
    {"gather and copy", gather_and_copy_on, {1003}},
    {"unit mean", unit_mean_on, {3, 8, 512}},
    {"unit mean", unit_mean_on, {2, 1, 33}},
    {"unit mean", unit_mean_on, {5, 31, 1003}},
    {"unit mean", unit_mean_on, {2, 3, 1}},
};
/* clang-format on */

int main(void)
{
    for (int v = variant_first(); v < variant_count(); v++) {
        struct clv_device *device = NULL;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const struct op_case *c = &cases[i];
            if (variant_begin(&variants[v], &device, "%s %d %d %d %d", c->name, c->size[0],
                              c->size[1], c->size[2], c->size[3]))
                c->check(device, c->size);
            t_finish();
        }
        clv_device_close(device);
    }
    return t_end();
}
