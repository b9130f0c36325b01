/* Ops over BF16 tensors, on every backend, against double-precision references written here. What
 * goes in is rounded before both sides read it, so they differ by what comes out alone: one
 * rounding, and fp32 sums. Attention is held against the CPU in fp32. */
#include "core/compute/gradients.h"
#include "core/compute/ops.h"
#include "tests/devices.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HALF CLV_TYPE_BF16
#define FP32 CLV_TYPE_FP32

/* One rounding of a result, and the error of a sum, in parts of 1 + |it|. */
#define ROUNDED 0.0045
#define FP32_SUM 1e-5

static double limit_of(enum clv_type type)
{
    return type == HALF ? ROUNDED : FP32_SUM;
}

static double *new_array(size_t count)
{
    double *array = calloc(count + 1, sizeof *array);
    if (!array)
        abort();
    return array;
}

/* Numbers that bfloat16 holds, stored as `type`: products round them or not. */
static struct guarded half_input(enum clv_type type, struct clv_device *device, int rows, int cols,
                                 double scale, uint64_t *seed)
{
    struct guarded g = guarded_input_of(type, device, rows, cols, scale, seed);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            *guarded_at(&g, r, c) = guarded_rounded(HALF, *guarded_at(&g, r, c));
    guarded_write(&g);
    return g;
}

struct size {
    int rows, cols;
};

/* Whole units of eight, of four and of neither; rows that no block shares evenly. */
static const struct size sizes[] = {{1, 8}, {37, 64}, {5, 12}, {33, 77}, {130, 768}, {3, 1}};
#define SIZE_COUNT ((int)(sizeof sizes / sizeof *sizes))

static double activated(double x, int activation)
{
    if (activation == CLV_ACTIVATION_QUICK_GELU)
        return x / (1.0 + exp(-1.702 * x));
    return activation == CLV_ACTIVATION_GELU ? 0.5 * x * erfc(-x / sqrt(2.0)) : x;
}

static double slope(double x, int activation)
{
    return (activated(x + 1e-5, activation) - activated(x - 1e-5, activation)) / 2e-5;
}

/* ---- linear ---------------------------------------------------------------------------------- */

struct linear_case {
    int rows, in, out;
};

static const struct linear_case linear_cases[] = {{37, 64, 128}, {130, 40, 24}, {5, 33, 77},
                                                  {1, 8, 8},     {33, 12, 20},  {3, 7, 1}};
#define LINEAR_CASE_COUNT ((int)(sizeof linear_cases / sizeof *linear_cases))

struct linear_setting {
    struct guarded x, weight, bias, residual;
    enum clv_weight_layout layout;
    enum clv_activation activation;
    bool has_bias, has_residual;
};

static struct linear_setting linear_create(struct clv_device *device, const struct linear_case *c,
                                           enum clv_type x_type, int option, uint64_t *seed)
{
    struct linear_setting s = {.layout = (enum clv_weight_layout)(option % 2),
                               .activation = (enum clv_activation)(option / 2 % 3),
                               .has_bias = option / 6 % 2,
                               .has_residual = option / 12 % 2};
    const bool is_out_in = s.layout == CLV_WEIGHT_OUT_IN;
    s.x = half_input(x_type, device, c->rows, c->in, 1.0, seed);
    s.weight = half_input(FP32, device, is_out_in ? c->out : c->in, is_out_in ? c->in : c->out,
                          1.0 / sqrt(c->in), seed);
    s.bias = guarded_input(device, 1, c->out, 0.5, seed);
    s.residual = guarded_input(device, c->rows, c->out, 1.0, seed);
    return s;
}

static void linear_free(struct linear_setting *s)
{
    guarded_free(&s->x);
    guarded_free(&s->weight);
    guarded_free(&s->bias);
    guarded_free(&s->residual);
}

static double weight_at(struct linear_setting *s, int out, int in)
{
    return s->layout == CLV_WEIGHT_OUT_IN ? *guarded_at(&s->weight, out, in)
                                          : *guarded_at(&s->weight, in, out);
}

static void check_linear(struct clv_device *device, const struct linear_case *c,
                         enum clv_type x_type, enum clv_type out_type, int option)
{
    uint64_t seed = 1;
    struct linear_setting s = linear_create(device, c, x_type, option, &seed);
    struct guarded out = guarded_output_of(out_type, device, c->rows, c->out);
    struct clv_weight weight;
    double *want = new_array((size_t)c->rows * (size_t)c->out);
    for (int r = 0; r < c->rows; r++)
        for (int o = 0; o < c->out; o++) {
            double sum = s.has_bias ? *guarded_at(&s.bias, 0, o) : 0.0;
            for (int i = 0; i < c->in; i++)
                sum += (double)*guarded_at(&s.x, r, i) * weight_at(&s, o, i);
            sum = activated(sum, s.activation);
            want[r * c->out + o] = sum + (s.has_residual ? *guarded_at(&s.residual, r, o) : 0.0);
        }
    clv_weight_prepare(device, &weight, s.weight.tensor, s.layout);
    clv_linear(device, out.tensor, s.x.tensor, &weight, s.has_bias ? s.bias.tensor.data : NULL,
               s.activation, s.has_residual ? s.residual.tensor : CLV_NO_TENSOR);
    /* CUDA rounds the bias, or the sum before an activation, too. */
    guarded_check(&out, want, 2 * limit_of(out_type));
    guarded_check_unchanged(&s.x);
    guarded_check_unchanged(&s.residual);
    clv_weight_release(&weight);
    free(want);
    guarded_free(&out);
    linear_free(&s);
}

static void check_linears(struct clv_device *device)
{
    for (int i = 0; i < LINEAR_CASE_COUNT; i++)
        for (int option = 0; option < 24; option++) {
            check_linear(device, &linear_cases[i], HALF, FP32, option);
            if (option >= 12)
                continue;
            check_linear(device, &linear_cases[i], HALF, HALF, option);
            check_linear(device, &linear_cases[i], FP32, HALF, option);
        }
}

/* NaN in one row reaches that row, through sums and through rounding, and no other. */
static void check_poison(struct clv_device *device)
{
    for (int option = 0; option < 12; option++) {
        const struct linear_case c = {33, 40, 24};
        uint64_t seed = 2;
        struct linear_setting s = linear_create(device, &c, HALF, option, &seed);
        struct guarded out = guarded_output_of(HALF, device, c.rows, c.out);
        struct clv_weight weight;
        int wrong = 0;
        *guarded_at(&s.x, 20, 3) = NAN;
        guarded_write(&s.x);
        clv_weight_prepare(device, &weight, s.weight.tensor, s.layout);
        clv_linear(device, out.tensor, s.x.tensor, &weight, s.has_bias ? s.bias.tensor.data : NULL,
                   s.activation, CLV_NO_TENSOR);
        guarded_read(&out);
        for (int r = 0; r < c.rows; r++)
            for (int o = 0; o < c.out; o++)
                wrong += isnan(*guarded_at(&out, r, o)) != (r == 20);
        CHECK_INT(wrong, 0);
        clv_weight_release(&weight);
        guarded_free(&out);
        linear_free(&s);
    }
}

/* dx, dweight and dbias of dy and x of the types given; dx is added to in fp32. */
static void check_linear_backward(struct clv_device *device, const struct linear_case *c,
                                  enum clv_type dx_type, enum clv_type dy_type,
                                  enum clv_type x_type, int option)
{
    uint64_t seed = 3;
    const bool is_added = option / 2 % 2 && dx_type == FP32;
    struct linear_setting s = linear_create(device, c, x_type, option % 2, &seed);
    struct guarded dy = half_input(dy_type, device, c->rows, c->out, 1.0, &seed);
    struct guarded dx = is_added ? guarded_input(device, c->rows, c->in, 1.0, &seed)
                                 : guarded_output_of(dx_type, device, c->rows, c->in);
    struct guarded dw =
        guarded_input(device, s.weight.tensor.rows, s.weight.tensor.cols, 1.0, &seed);
    struct guarded db = guarded_input(device, 1, c->out, 1.0, &seed);
    double *want_dx = new_array((size_t)c->rows * (size_t)c->in);
    double *want_dw = new_array((size_t)c->in * (size_t)c->out);
    double *want_db = new_array((size_t)c->out);
    struct clv_weight weight;
    for (int r = 0; r < c->rows; r++)
        for (int i = 0; i < c->in; i++)
            want_dx[r * c->in + i] = is_added ? *guarded_at(&dx, r, i) : 0.0;
    for (int r = 0; r < s.weight.tensor.rows; r++)
        for (int i = 0; i < s.weight.tensor.cols; i++)
            want_dw[r * s.weight.tensor.cols + i] = *guarded_at(&dw, r, i);
    for (int o = 0; o < c->out; o++)
        want_db[o] = *guarded_at(&db, 0, o);
    for (int r = 0; r < c->rows; r++)
        for (int o = 0; o < c->out; o++) {
            const double d = *guarded_at(&dy, r, o);
            want_db[o] += d;
            for (int i = 0; i < c->in; i++) {
                const int at = s.layout == CLV_WEIGHT_OUT_IN ? o * c->in + i : i * c->out + o;
                want_dx[r * c->in + i] += d * weight_at(&s, o, i);
                want_dw[at] += d * (double)*guarded_at(&s.x, r, i);
            }
        }
    clv_weight_prepare(device, &weight, s.weight.tensor, s.layout);
    (is_added ? clv_linear_backward_add : clv_linear_backward)(
        device, dx.tensor, dw.tensor, db.tensor.data, dy.tensor, s.x.tensor, &weight);
    guarded_check(&dx, want_dx, limit_of(dx_type));
    guarded_check(&dw, want_dw, 2 * FP32_SUM);
    guarded_check(&db, want_db, 2 * FP32_SUM);
    guarded_check_unchanged(&dy);
    guarded_check_unchanged(&s.x);
    clv_weight_release(&weight);
    struct guarded *all[] = {&dy, &dx, &dw, &db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
    free(want_dx);
    free(want_dw);
    free(want_db);
    linear_free(&s);
}

static void check_linears_backward(struct clv_device *device)
{
    for (int i = 0; i < LINEAR_CASE_COUNT; i++)
        for (int option = 0; option < 4; option++)
            for (int types = 0; types < 8; types++)
                if (types < 7) /* all fp32 is test_gradients' */
                    check_linear_backward(device, &linear_cases[i], types & 1 ? FP32 : HALF,
                                          types & 2 ? FP32 : HALF, types & 4 ? FP32 : HALF, option);
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct norm {
    double mean, scale;
};

static struct norm norm_of(struct guarded *x, int row)
{
    const int cols = x->tensor.cols;
    double mean = 0, variance = 0;
    for (int c = 0; c < cols; c++)
        mean += *guarded_at(x, row, c) / (double)cols;
    for (int c = 0; c < cols; c++)
        variance += pow(*guarded_at(x, row, c) - mean, 2) / (double)cols;
    return (struct norm){mean, 1.0 / sqrt(variance + 1e-5)};
}

static void check_layer_norm(struct clv_device *device, struct size size)
{
    uint64_t seed = 4;
    struct guarded x = guarded_input(device, size.rows, size.cols, 2.0, &seed);
    struct guarded weight = guarded_input(device, 1, size.cols, 1.0, &seed);
    struct guarded bias = guarded_input(device, 1, size.cols, 1.0, &seed);
    struct guarded out = guarded_output_of(HALF, device, size.rows, size.cols);
    double *want = new_array((size_t)size.rows * (size_t)size.cols);
    for (int r = 0; r < size.rows; r++) {
        const struct norm norm = norm_of(&x, r);
        for (int c = 0; c < size.cols; c++)
            want[r * size.cols + c] =
                (*guarded_at(&x, r, c) - norm.mean) * norm.scale * *guarded_at(&weight, 0, c) +
                *guarded_at(&bias, 0, c);
    }
    clv_layer_norm(device, out.tensor, x.tensor, weight.tensor.data, bias.tensor.data);
    guarded_check(&out, want, ROUNDED);
    guarded_check_unchanged(&x);
    free(want);
    struct guarded *all[] = {&x, &weight, &bias, &out};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

static void want_layer_norm_backward(double *dx, double *dweight, double *dbias, struct guarded *dy,
                                     struct guarded *x, struct guarded *weight)
{
    const int cols = x->tensor.cols;
    for (int r = 0; r < x->tensor.rows; r++) {
        const struct norm norm = norm_of(x, r);
        double sum = 0, product = 0;
        for (int c = 0; c < cols; c++) {
            const double unit = (*guarded_at(x, r, c) - norm.mean) * norm.scale;
            const double d = *guarded_at(dy, r, c), g = d * *guarded_at(weight, 0, c);
            sum += g / cols;
            product += g * unit / cols;
            dweight[c] += d * unit;
            dbias[c] += d;
        }
        for (int c = 0; c < cols; c++) {
            const double unit = (*guarded_at(x, r, c) - norm.mean) * norm.scale;
            const double g = *guarded_at(dy, r, c) * *guarded_at(weight, 0, c);
            dx[r * cols + c] += norm.scale * (g - sum - unit * product);
        }
    }
}

static void check_layer_norm_backward(struct clv_device *device, struct size size, bool is_added)
{
    uint64_t seed = 5;
    const size_t count = (size_t)size.rows * (size_t)size.cols;
    struct guarded x = guarded_input(device, size.rows, size.cols, 2.0, &seed);
    struct guarded dy = guarded_input_of(HALF, device, size.rows, size.cols, 1.0, &seed);
    struct guarded weight = guarded_input(device, 1, size.cols, 1.0, &seed);
    struct guarded dweight = guarded_input(device, 1, size.cols, 1.0, &seed);
    struct guarded dbias = guarded_input(device, 1, size.cols, 1.0, &seed);
    struct guarded dx = is_added ? guarded_input(device, size.rows, size.cols, 1.0, &seed)
                                 : guarded_output(device, size.rows, size.cols);
    double *want = new_array(count), *want_dweight = new_array((size_t)size.cols);
    double *want_dbias = new_array((size_t)size.cols);
    for (int i = 0; i < size.rows * size.cols && is_added; i++)
        want[i] = *guarded_at(&dx, i / size.cols, i % size.cols);
    for (int c = 0; c < size.cols; c++) {
        want_dweight[c] = *guarded_at(&dweight, 0, c);
        want_dbias[c] = *guarded_at(&dbias, 0, c);
    }
    want_layer_norm_backward(want, want_dweight, want_dbias, &dy, &x, &weight);
    (is_added ? clv_layer_norm_backward_add
              : clv_layer_norm_backward)(device, dx.tensor, dweight.tensor.data, dbias.tensor.data,
                                         dy.tensor, x.tensor, weight.tensor.data);
    if (size.cols > 1) /* one number has no deviation: noise times 1 / sqrt(eps) */
        guarded_check(&dx, want, 2e-5);
    guarded_check(&dweight, want_dweight, 2e-5);
    guarded_check(&dbias, want_dbias, 2e-5);
    guarded_check_unchanged(&dy);
    free(want);
    free(want_dweight);
    free(want_dbias);
    struct guarded *all[] = {&x, &dy, &weight, &dweight, &dbias, &dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

static void check_norms(struct clv_device *device)
{
    for (int i = 0; i < SIZE_COUNT; i++) {
        check_layer_norm(device, sizes[i]);
        check_layer_norm_backward(device, sizes[i], false);
        check_layer_norm_backward(device, sizes[i], true);
    }
}

static void check_activation(struct clv_device *device, struct size size, int activation,
                             bool is_in_place)
{
    uint64_t seed = 6;
    const size_t count = (size_t)size.rows * (size_t)size.cols;
    struct guarded x = guarded_input_of(HALF, device, size.rows, size.cols, 2.0, &seed);
    struct guarded dy = guarded_input_of(HALF, device, size.rows, size.cols, 1.0, &seed);
    struct guarded out = guarded_output_of(HALF, device, size.rows, size.cols);
    struct guarded dx = guarded_output_of(HALF, device, size.rows, size.cols);
    double *want = new_array(count), *want_dx = new_array(count);
    for (int i = 0; i < size.rows * size.cols; i++) {
        const int r = i / size.cols, c = i % size.cols;
        want[i] = activated(*guarded_at(&x, r, c), activation);
        want_dx[i] = *guarded_at(&dy, r, c) * slope(*guarded_at(&x, r, c), activation);
    }
    clv_activate_backward(device, is_in_place ? dy.tensor : dx.tensor, dy.tensor, x.tensor,
                          (enum clv_activation)activation);
    guarded_check(is_in_place ? &dy : &dx, want_dx, ROUNDED);
    guarded_check_unchanged(&x);
    clv_activate(device, is_in_place ? x.tensor : out.tensor, x.tensor,
                 (enum clv_activation)activation);
    guarded_check(is_in_place ? &x : &out, want, ROUNDED);
    free(want);
    free(want_dx);
    struct guarded *all[] = {&x, &dy, &out, &dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

static void check_activations(struct clv_device *device)
{
    for (int i = 0; i < SIZE_COUNT; i++)
        for (int option = 0; option < 6; option++)
            check_activation(device, sizes[i], option / 2, option % 2);
}

/* Moved numbers are the same numbers. */
static void check_moves(struct clv_device *device)
{
    for (int i = 0; i < SIZE_COUNT; i++) {
        uint64_t seed = 7;
        const int rows = sizes[i].rows, cols = sizes[i].cols, count = rows / 2 + 1;
        int32_t indices[128];
        struct guarded x = guarded_input_of(HALF, device, rows, cols, 2.0, &seed);
        struct guarded copied = guarded_output_of(HALF, device, rows, cols);
        struct guarded picked = guarded_output_of(HALF, device, count, cols);
        double *want = new_array((size_t)rows * (size_t)cols);
        double *want_picked = new_array((size_t)count * (size_t)cols);
        for (int k = 0; k < rows * cols; k++)
            want[k] = *guarded_at(&x, k / cols, k % cols);
        for (int r = 0; r < count; r++) {
            indices[r] = (r * 7 + 1) % rows;
            for (int c = 0; c < cols; c++)
                want_picked[r * cols + c] = *guarded_at(&x, indices[r], c);
        }
        clv_copy(device, copied.tensor, x.tensor);
        clv_gather_rows(device, picked.tensor, x.tensor, indices);
        guarded_check(&copied, want, 0);
        guarded_check(&picked, want_picked, 0);
        free(want);
        free(want_picked);
        guarded_free(&x);
        guarded_free(&copied);
        guarded_free(&picked);
    }
}

static void check_patches(struct clv_device *device)
{
    static const int sides[][2] = {{8, 4}, {6, 3}, {32, 16}, {12, 2}};
    for (int i = 0; i < 4; i++) {
        uint64_t seed = 8;
        const int side = sides[i][0], patch = sides[i][1], grid = side / patch;
        const int cols = 3 * patch * patch, rows = 3 * grid * grid;
        struct guarded frames = guarded_input(device, 3, 3 * side * side, 2.0, &seed);
        struct guarded out = guarded_output_of(HALF, device, rows, cols);
        double *want = new_array((size_t)rows * (size_t)cols);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) {
                const int plane = c / (patch * patch), y = c / patch % patch, x = c % patch;
                const int row = r / grid % grid * patch + y, col = r % grid * patch + x;
                want[r * cols + c] =
                    guarded_rounded(HALF, *guarded_at(&frames, r / (grid * grid),
                                                      plane * side * side + row * side + col));
            }
        clv_patches(device, out.tensor, frames.tensor, side, patch);
        guarded_check(&out, want, 0);
        free(want);
        guarded_free(&frames);
        guarded_free(&out);
    }
}

/* From bytes: what the table says, rounded; with unaligned bytes too. */
static void check_square_patches(struct clv_device *device)
{
    static const int sides[][2] = {{8, 4}, {6, 3}, {32, 16}, {12, 2}};
    enum { FRAMES = 3, BYTES_MAX = FRAMES * 32 * 32 * 3 + 1 };
    static uint8_t bytes[BYTES_MAX];
    float values[3 * 256];
    uint64_t seed = 12;
    struct clv_buffer *squares = NULL, *table = NULL;
    for (int i = 0; i < 3 * 256; i++)
        values[i] = (float)t_normal(&seed);
    for (int i = 0; i < BYTES_MAX; i++)
        bytes[i] = (uint8_t)t_random(&seed);
    REQUIRE_OK(clv_buffer_create(&squares, device, sizeof bytes));
    REQUIRE_OK(clv_buffer_create(&table, device, sizeof values));
    clv_device_write(device, clv_buffer_data(squares), bytes, sizeof bytes);
    clv_device_write(device, clv_buffer_data(table), values, sizeof values);
    for (int i = 0; i < 8; i++) {
        const int side = sides[i / 2][0], patch = sides[i / 2][1], grid = side / patch;
        const int cols = 3 * patch * patch, rows = FRAMES * grid * grid, offset = i % 2;
        struct guarded out = guarded_output_of(HALF, device, rows, cols);
        double *want = new_array((size_t)rows * (size_t)cols);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) {
                const int plane = c / (patch * patch), y = c / patch % patch, x = c % patch;
                const int row = r / grid % grid * patch + y, col = r % grid * patch + x;
                const int at = (r / (grid * grid) * side + row) * side + col;
                const uint8_t byte = bytes[offset + 3 * at + plane];
                want[r * cols + c] = guarded_rounded(HALF, values[plane * 256 + byte]);
            }
        clv_square_patches(device, out.tensor, (uint8_t *)clv_buffer_data(squares) + offset,
                           clv_buffer_data(table), side, patch);
        guarded_check(&out, want, 0);
        free(want);
        guarded_free(&out);
    }
    clv_buffer_free(squares);
    clv_buffer_free(table);
}

/* ---- attention ------------------------------------------------------------------------------- */

struct attention_run {
    struct attention_setting s;
    struct guarded dout, out, stats, dq, dk, dv;
};

/* The case's tensors as `type`, all of numbers that bfloat16 holds. */
static struct attention_run attention_create(struct clv_device *device,
                                             const struct attention_case *c, enum clv_type type)
{
    uint64_t seed = 1;
    struct attention_run run = {.s = attention_setting_create(device, c, &seed)};
    const int cols = c->heads * c->width, queries = run.s.query_count, keys = run.s.key_count;
    struct guarded *inputs[] = {&run.s.q, &run.s.k, &run.s.v, &run.dout};
    run.dout = guarded_input(device, queries, cols, 1.0, &seed);
    for (int i = 0; i < 4; i++) {
        struct guarded typed = guarded_output_of(type, device, inputs[i]->tensor.rows, cols);
        for (int r = 0; r < typed.tensor.rows; r++)
            for (int k = 0; k < cols; k++)
                *guarded_at(&typed, r, k) = guarded_rounded(HALF, *guarded_at(inputs[i], r, k));
        guarded_write(&typed);
        guarded_free(inputs[i]);
        *inputs[i] = typed;
    }
    run.out = guarded_output_of(type, device, queries, cols);
    run.stats = guarded_output(device, 1, queries * c->heads);
    run.dq = guarded_output_of(type, device, queries, cols);
    run.dk = guarded_output_of(type, device, keys, cols);
    run.dv = guarded_output_of(type, device, keys, cols);
    return run;
}

static void attention_run(struct clv_device *device, struct attention_run *run)
{
    struct clv_attention attention = attention_of(&run->s);
    struct guarded *results[] = {&run->out, &run->stats, &run->dq, &run->dk, &run->dv};
    struct guarded *inputs[] = {&run->s.q, &run->s.k, &run->s.v, &run->dout};
    attention.stats = run->stats.tensor.data;
    clv_attention(device, run->out.tensor, run->s.q.tensor, run->s.k.tensor, run->s.v.tensor,
                  &attention);
    clv_attention_backward(device, run->dq.tensor, run->dk.tensor, run->dv.tensor, run->dout.tensor,
                           run->out.tensor, run->s.q.tensor, run->s.k.tensor, run->s.v.tensor,
                           &attention);
    for (int i = 0; i < 5; i++)
        guarded_read(results[i]);
    for (int i = 0; i < 4; i++)
        guarded_check_unchanged(inputs[i]);
}

static void attention_free(struct attention_run *run)
{
    struct guarded *all[] = {&run->dout, &run->out, &run->stats, &run->dq, &run->dk, &run->dv};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
    attention_setting_free(&run->s);
}

static void compare(struct guarded *got, struct guarded *want, double limit, const char *what)
{
    double worst = 0.0;
    for (int r = 0; r < want->tensor.rows; r++)
        for (int c = 0; c < want->tensor.cols; c++) {
            const double w = *guarded_at(want, r, c), error = fabs(*guarded_at(got, r, c) - w);
            if (!(error / (1.0 + fabs(w)) <= worst))
                worst = error / (1.0 + fabs(w));
        }
    if (!(worst <= limit))
        t_fail(__FILE__, __LINE__, "%s is off by %.3g, over %.3g", what, worst, limit);
}

/* `is_rounding`: the device rounds the weights of keys too, not only what it stores. */
static void check_attention(struct clv_device *device, struct clv_device *exact,
                            const struct attention_case *c, bool is_rounding)
{
    struct attention_run got = attention_create(device, c, HALF);
    struct attention_run want = attention_create(exact, c, FP32);
    const double limit = is_rounding ? 0.04 : 0.02;
    attention_run(device, &got);
    attention_run(exact, &want);
    compare(&got.out, &want.out, is_rounding ? 0.01 : ROUNDED, "out");
    compare(&got.stats, &want.stats, 1e-4, "stats");
    compare(&got.dq, &want.dq, limit, "dq");
    compare(&got.dk, &want.dk, limit, "dk");
    compare(&got.dv, &want.dv, limit, "dv");
    attention_free(&got);
    attention_free(&want);
}

/* A head too wide for tiles. */
static const struct attention_case wide_case = {CLV_MASK_CAUSAL, 2, 136, 0, {17, 5}, 3};

static void check_attentions(struct clv_device *device)
{
    struct clv_device *exact = NULL;
    const bool is_rounding = clv_device_kind(device) == CLV_DEVICE_CUDA;
    REQUIRE_OK(clv_device_open(&exact, &(struct clv_device_options){.kind = CLV_DEVICE_CPU}));
    for (int i = 0; i < ATTENTION_CASE_COUNT; i++)
        check_attention(device, exact, &attention_cases[i], is_rounding);
    check_attention(device, exact, &wide_case, is_rounding);
    clv_device_close(exact);
}

/* ---- all ------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*check)(struct clv_device *device);
} checks[] = {
    {"linear layers", check_linears},
    {"NaN in a linear layer", check_poison},
    {"linear gradients", check_linears_backward},
    {"layer norms and their gradients", check_norms},
    {"activations and their gradients", check_activations},
    {"copies and gathered rows", check_moves},
    {"patches", check_patches},
    {"patches of squares", check_square_patches},
    {"attention and its gradients", check_attentions},
};

static void run_variant(const struct variant *variant)
{
    const struct clv_device_options options = {
        .precision = variant->kind == CLV_DEVICE_CUDA ? CLV_PRECISION_BF16 : CLV_PRECISION_FP32,
        .bf16_activations = variant->kind == CLV_DEVICE_CPU,
    };
    struct clv_device *device = NULL;
    if (variant->kind == CLV_DEVICE_CUDA || clv_kernels_find(variant->variant))
        (void)variant_open(&device, variant, &options);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (variant_begin(variant, &device, "bf16 %s", checks[i].name)) {
            CHECK_INT(clv_device_activation_type(device), HALF);
            checks[i].check(device);
            CHECK_OK(clv_device_sync(device));
        }
        t_finish();
    }
    clv_device_close(device);
}

int main(void)
{
    for (int i = variant_first(); i < variant_count(); i++)
        run_variant(&variants[i]);
    return t_end();
}
