/* The gradient ops but attention's. What is linear is checked against sums in double precision;
 * the rest against central differences of the forward formula in double precision. Accumulating
 * gradients start from noise, written ones from NaN. */
#include "core/compute/gradients.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 1e-5 /* of the differences */

static double *new_array(size_t count)
{
    double *array = calloc(count + 1, sizeof *array);
    if (!array) {
        printf("FAIL out of memory for a reference\n");
        exit(1);
    }
    return array;
}

/* The tensor's values as last written or read, widened. */
static double *widened(struct guarded *g)
{
    int cols = g->tensor.cols;
    double *array = new_array((size_t)g->tensor.rows * (size_t)cols);
    for (int r = 0; r < g->tensor.rows; r++)
        for (int c = 0; c < cols; c++)
            array[(ptrdiff_t)r * cols + c] = *guarded_at(g, r, c);
    return array;
}

struct size {
    int rows, cols;
};

static const struct size sizes[] = {{1, 1}, {3, 31}, {33, 77}, {130, 64}, {2, 768}, {300, 65}};

#define SIZE_COUNT (sizeof sizes / sizeof *sizes)

/* ---- activations ----------------------------------------------------------------------------- */

static double activated(double x, int activation)
{
    if (activation == CLV_ACTIVATION_QUICK_GELU)
        return x / (1.0 + exp(-1.702 * x));
    if (activation == CLV_ACTIVATION_GELU)
        return 0.5 * x * erfc(-x / sqrt(2.0));
    return x;
}

static void check_activation(struct clv_device *device, struct size size, int activation)
{
    uint64_t seed = 1;
    struct guarded x = guarded_input(device, size.rows, size.cols, 4.0, &seed);
    struct guarded dy = guarded_input(device, size.rows, size.cols, 1.0, &seed);
    struct guarded y = guarded_output(device, size.rows, size.cols);
    struct guarded dx = guarded_output(device, size.rows, size.cols);
    size_t count = (size_t)size.rows * (size_t)size.cols;
    double *in = widened(&x), *slope = widened(&dy), *out = new_array(count);
    for (size_t i = 0; i < count; i++) {
        out[i] = activated(in[i], activation);
        slope[i] *= (activated(in[i] + STEP, activation) - activated(in[i] - STEP, activation)) /
                    (2 * STEP);
    }
    clv_activate(device, y.tensor, x.tensor, (enum clv_activation)activation);
    guarded_check(&y, out, 2e-6);
    clv_activate_backward(device, dx.tensor, dy.tensor, x.tensor, (enum clv_activation)activation);
    guarded_check(&dx, slope, 2e-6);
    guarded_check_unchanged(&dy);
    clv_activate_backward(device, dy.tensor, dy.tensor, x.tensor, (enum clv_activation)activation);
    guarded_check(&dy, slope, 2e-6);
    guarded_check_unchanged(&x);
    clv_activate(device, x.tensor, x.tensor, (enum clv_activation)activation);
    guarded_check(&x, out, 2e-6);
    free(in);
    free(slope);
    free(out);
    guarded_free(&x);
    guarded_free(&dy);
    guarded_free(&y);
    guarded_free(&dx);
}

static void check_activations(struct clv_device *device)
{
    for (size_t i = 0; i < SIZE_COUNT; i++)
        for (int activation = 0; activation < 3; activation++)
            check_activation(device, sizes[i], activation);
}

/* Far out the slopes are 0 and 1, and finite in between. */
static void check_activation_ends(struct clv_device *device)
{
    for (int activation = CLV_ACTIVATION_QUICK_GELU; activation <= CLV_ACTIVATION_GELU;
         activation++) {
        static const float at[] = {-1e4f, -300.0f, -60.0f, -20.0f, 20.0f, 60.0f, 300.0f, 1e4f};
        uint64_t seed = 2;
        struct guarded x = guarded_input(device, 1, 24, 1.0, &seed);
        struct guarded dy = guarded_input(device, 1, 24, 1.0, &seed);
        double want[24];
        for (int c = 0; c < 24; c++) {
            *guarded_at(&x, 0, c) = at[c % 8];
            want[c] = c % 8 < 4 ? 0.0 : *guarded_at(&dy, 0, c);
        }
        guarded_write(&x);
        clv_activate_backward(device, dy.tensor, dy.tensor, x.tensor,
                              (enum clv_activation)activation);
        guarded_check(&dy, want, 1e-6);
        guarded_free(&x);
        guarded_free(&dy);
    }
}

/* ---- linear ---------------------------------------------------------------------------------- */

struct linear_case {
    int rows, in, out;
};

struct linear_setting {
    struct linear_case c;
    enum clv_weight_layout layout;
    struct guarded x, dy, weight, dweight, dbias, dx;
    double *want_dx, *want_dweight, *want_dbias; /* begin with what the gradients begin with */
};

static void fill_linear_want(struct linear_setting *s, bool add)
{
    const struct linear_case *c = &s->c;
    bool is_out_in = s->layout == CLV_WEIGHT_OUT_IN;
    s->want_dx = add ? widened(&s->dx) : new_array((size_t)c->rows * (size_t)c->in);
    s->want_dweight = widened(&s->dweight);
    s->want_dbias = widened(&s->dbias);
    for (int r = 0; r < c->rows; r++)
        for (int o = 0; o < c->out; o++) {
            double dy = *guarded_at(&s->dy, r, o);
            s->want_dbias[o] += dy;
            for (int i = 0; i < c->in; i++) {
                int row = is_out_in ? o : i, col = is_out_in ? i : o;
                s->want_dx[r * c->in + i] += dy * *guarded_at(&s->weight, row, col);
                s->want_dweight[row * s->weight.tensor.cols + col] += dy * *guarded_at(&s->x, r, i);
            }
        }
}

static struct linear_setting linear_create(struct clv_device *device, const struct linear_case *c,
                                           enum clv_weight_layout layout, bool add)
{
    uint64_t seed = 3;
    bool is_out_in = layout == CLV_WEIGHT_OUT_IN;
    int rows = is_out_in ? c->out : c->in, cols = is_out_in ? c->in : c->out;
    struct linear_setting s = {.c = *c, .layout = layout};
    s.x = guarded_input(device, c->rows, c->in, 1.0, &seed);
    s.dy = guarded_input(device, c->rows, c->out, 1.0 / sqrt(c->rows), &seed);
    s.weight = guarded_input(device, rows, cols, 1.0 / sqrt(c->in), &seed);
    s.dweight = guarded_input(device, rows, cols, 1.0, &seed);
    s.dbias = guarded_input(device, 1, c->out, 1.0, &seed);
    s.dx = add ? guarded_input(device, c->rows, c->in, 1.0, &seed)
               : guarded_output(device, c->rows, c->in);
    fill_linear_want(&s, add);
    return s;
}

static void linear_free(struct linear_setting *s)
{
    guarded_free(&s->x);
    guarded_free(&s->dy);
    guarded_free(&s->weight);
    guarded_free(&s->dweight);
    guarded_free(&s->dbias);
    guarded_free(&s->dx);
    free(s->want_dx);
    free(s->want_dweight);
    free(s->want_dbias);
}

/* `wanted`: which of dx, dweight, dbias, as bits. */
static void check_linear(struct clv_device *device, const struct linear_case *c,
                         enum clv_weight_layout layout, bool add, int wanted)
{
    struct linear_setting s = linear_create(device, c, layout, add);
    struct clv_weight weight;
    clv_weight_prepare(device, &weight, s.weight.tensor, layout);
    struct clv_tensor dx = wanted & 1 ? s.dx.tensor : CLV_NO_TENSOR;
    struct clv_tensor dweight = wanted & 2 ? s.dweight.tensor : CLV_NO_TENSOR;
    struct clv_tensor x = wanted & 2 ? s.x.tensor : CLV_NO_TENSOR;
    float *dbias = wanted & 4 ? s.dbias.tensor.data : NULL;
    (add ? clv_linear_backward_add : clv_linear_backward)(device, dx, dweight, dbias, s.dy.tensor,
                                                          x, &weight);
    if (wanted & 1)
        guarded_check(&s.dx, s.want_dx, 5e-6);
    else
        guarded_check_unchanged(&s.dx);
    if (wanted & 2)
        guarded_check(&s.dweight, s.want_dweight, 5e-6);
    else
        guarded_check_unchanged(&s.dweight);
    if (wanted & 4)
        guarded_check(&s.dbias, s.want_dbias, 5e-6);
    else
        guarded_check_unchanged(&s.dbias);
    guarded_check_unchanged(&s.x);
    guarded_check_unchanged(&s.dy);
    guarded_check_unchanged(&s.weight);
    clv_weight_release(&weight);
    linear_free(&s);
}

static void check_linears(struct clv_device *device)
{
    static const struct linear_case cases[] = {{1, 1, 1}, {5, 7, 3}, {33, 77, 50}, {400, 64, 129}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int option = 0; option < 4; option++)
            for (int wanted = 1; wanted < 8; wanted++)
                check_linear(device, &cases[i], (enum clv_weight_layout)(option % 2), option / 2,
                             wanted);
}

static void check_matmul(struct clv_device *device, int m, int n, int k, int option)
{
    uint64_t seed = 4;
    bool a_transposed = option & 1, b_transposed = option & 2, has_beta = option & 4;
    struct guarded a =
        guarded_input(device, a_transposed ? k : m, a_transposed ? m : k, 1.0, &seed);
    struct guarded b =
        guarded_input(device, b_transposed ? n : k, b_transposed ? k : n, 1.0 / sqrt(k), &seed);
    struct guarded out =
        has_beta ? guarded_input(device, m, n, 1.0, &seed) : guarded_output(device, m, n);
    double *want = new_array((size_t)m * (size_t)n);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0.0;
            for (int l = 0; l < k; l++)
                sum += (double)(a_transposed ? *guarded_at(&a, l, i) : *guarded_at(&a, i, l)) *
                       (b_transposed ? *guarded_at(&b, j, l) : *guarded_at(&b, l, j));
            want[i * n + j] = 2.5 * sum + (has_beta ? -0.5 * *guarded_at(&out, i, j) : 0.0);
        }
    clv_matmul(device, out.tensor, a.tensor, a_transposed, b.tensor, b_transposed, 2.5f,
               has_beta ? -0.5f : 0.0f);
    guarded_check(&out, want, 5e-6);
    guarded_check_unchanged(&a);
    guarded_check_unchanged(&b);
    free(want);
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&out);
}

static void check_matmuls(struct clv_device *device)
{
    for (int option = 0; option < 8; option++) {
        check_matmul(device, 1, 1, 1, option);
        check_matmul(device, 5, 93, 512, option);
        check_matmul(device, 67, 33, 9, option);
    }
}

/* ---- layer norm ------------------------------------------------------------------------------ */

/* sum of dy * (x - mean) / sqrt(var + 1e-5) * weight of one row. */
static double norm_loss(const double *x, const double *dy, const double *weight, int cols)
{
    double mean = 0.0, var = 0.0, loss = 0.0;
    for (int c = 0; c < cols; c++)
        mean += x[c] / cols;
    for (int c = 0; c < cols; c++)
        var += (x[c] - mean) * (x[c] - mean) / cols;
    for (int c = 0; c < cols; c++)
        loss += dy[c] * weight[c] * (x[c] - mean) / sqrt(var + 1e-5);
    return loss;
}

/* Adds a row's differences to dx, and its share to dweight and dbias. */
static void norm_differences(double *dx, double *dweight, double *dbias, double *x,
                             const double *dy, double *weight, int cols)
{
    double mean = 0.0, var = 0.0;
    for (int c = 0; c < cols; c++)
        mean += x[c] / cols;
    for (int c = 0; c < cols; c++)
        var += (x[c] - mean) * (x[c] - mean) / cols;
    for (int c = 0; c < cols; c++) {
        double before = x[c];
        x[c] = before + STEP;
        double above = norm_loss(x, dy, weight, cols);
        x[c] = before - STEP;
        dx[c] += (above - norm_loss(x, dy, weight, cols)) / (2 * STEP);
        x[c] = before;
        dweight[c] += dy[c] * (before - mean) / sqrt(var + 1e-5);
        dbias[c] += dy[c];
    }
}

enum norm_form { NORM_APART, NORM_IN_PLACE, NORM_ADD, NORM_FORMS };

/* `wanted`: which of dweight, dbias, as bits. */
static void check_norm(struct clv_device *device, struct size size, int form, int wanted)
{
    uint64_t seed = 5;
    int cols = size.cols;
    struct guarded x = guarded_input(device, size.rows, cols, 2.0, &seed);
    struct guarded dy = guarded_input(device, size.rows, cols, 1.0 / sqrt(size.rows), &seed);
    struct guarded weight = guarded_input(device, 1, cols, 1.0, &seed);
    struct guarded dweight = guarded_input(device, 1, cols, 1.0, &seed);
    struct guarded dbias = guarded_input(device, 1, cols, 1.0, &seed);
    struct guarded dx = form == NORM_ADD ? guarded_input(device, size.rows, cols, 1.0, &seed)
                                         : guarded_output(device, size.rows, cols);
    double *in = widened(&x), *slopes = widened(&dy), *scale = widened(&weight);
    double *want_dweight = widened(&dweight), *want_dbias = widened(&dbias);
    double *want = form == NORM_ADD ? widened(&dx) : new_array((size_t)(size.rows * cols));
    for (int r = 0; r < size.rows; r++)
        norm_differences(want + r * cols, want_dweight, want_dbias, in + r * cols,
                         slopes + r * cols, scale, cols);
    struct guarded *to = form == NORM_IN_PLACE ? &dy : &dx;
    (form == NORM_ADD ? clv_layer_norm_backward_add : clv_layer_norm_backward)(
        device, to->tensor, wanted & 1 ? dweight.tensor.data : NULL,
        wanted & 2 ? dbias.tensor.data : NULL, dy.tensor, x.tensor, weight.tensor.data);
    guarded_check(to, want, 5e-6);
    if (wanted & 1)
        guarded_check(&dweight, want_dweight, 5e-6);
    else
        guarded_check_unchanged(&dweight);
    if (wanted & 2)
        guarded_check(&dbias, want_dbias, 5e-6);
    else
        guarded_check_unchanged(&dbias);
    guarded_check_unchanged(form == NORM_IN_PLACE ? &dx : &dy);
    guarded_check_unchanged(&x);
    guarded_check_unchanged(&weight);
    double *arrays[] = {in, slopes, scale, want_dweight, want_dbias, want};
    for (int i = 0; i < 6; i++)
        free(arrays[i]);
    struct guarded *tensors[] = {&x, &dy, &weight, &dweight, &dbias, &dx};
    for (int i = 0; i < 6; i++)
        guarded_free(tensors[i]);
}

static void check_norms(struct clv_device *device)
{
    for (size_t i = 1; i < SIZE_COUNT; i++) /* one column has no variance */
        for (int form = 0; form < NORM_FORMS; form++)
            for (int wanted = 0; wanted < 4; wanted++)
                check_norm(device, sizes[i], form, wanted);
}

/* ---- embeddings and gathers ------------------------------------------------------------------ */

static void add_row(double *out, struct guarded *from, int row)
{
    for (int c = 0; c < from->tensor.cols; c++)
        out[c] += *guarded_at(from, row, c);
}

static void check_frame_embed(struct clv_device *device, int frames, int tokens, int cols)
{
    uint64_t seed = 6;
    struct guarded dout = guarded_input(device, frames * tokens, cols, 1.0, &seed);
    struct guarded dpatches = guarded_output(device, frames * (tokens - 1), cols);
    struct guarded dclass = guarded_input(device, 1, cols, 1.0, &seed);
    struct guarded dposition = guarded_input(device, tokens, cols, 1.0, &seed);
    double *want_class = widened(&dclass), *want_position = widened(&dposition);
    double *want_patches = new_array((size_t)(frames * tokens * cols));
    for (int r = 0; r < frames * tokens; r++) {
        int token = r % tokens;
        add_row(want_position + token * cols, &dout, r);
        add_row(token == 0 ? want_class : want_patches + (r - r / tokens - 1) * cols, &dout, r);
    }
    clv_frame_embed_backward(device, CLV_NO_TENSOR, NULL, CLV_NO_TENSOR, dout.tensor, tokens);
    clv_frame_embed_backward(device, dpatches.tensor, NULL, CLV_NO_TENSOR, dout.tensor, tokens);
    guarded_check(&dpatches, want_patches, 0.0);
    guarded_check_unchanged(&dclass);
    clv_frame_embed_backward(device, dpatches.tensor, dclass.tensor.data, dposition.tensor,
                             dout.tensor, tokens);
    guarded_check(&dpatches, want_patches, 0.0);
    guarded_check(&dclass, want_class, 3e-6);
    guarded_check(&dposition, want_position, 3e-6);
    guarded_check_unchanged(&dout);
    free(want_class);
    free(want_position);
    free(want_patches);
    guarded_free(&dout);
    guarded_free(&dpatches);
    guarded_free(&dclass);
    guarded_free(&dposition);
}

static void check_window_embed(struct clv_device *device, int windows, int frames, int tokens,
                               int cols)
{
    enum { SLOTS = 7 };
    uint64_t seed = 7;
    int slots = windows * frames;
    struct guarded dout = guarded_input(device, slots * tokens, cols, 1.0, &seed);
    struct guarded dframes = guarded_input(device, SLOTS * tokens, cols, 1.0, &seed);
    struct guarded dtemporal = guarded_input(device, frames, cols, 1.0, &seed);
    double *want_frames = widened(&dframes), *want_temporal = widened(&dtemporal);
    int32_t *indices = malloc(sizeof *indices * (size_t)slots);
    REQUIRE(indices);
    for (int i = 0; i < slots; i++)
        indices[i] = (int32_t)((t_random(&seed) >> 33) % (SLOTS - 1)); /* the last is never used */
    for (int r = 0; r < slots * tokens; r++) {
        int slot = r / tokens;
        add_row(want_frames + (indices[slot] * tokens + r % tokens) * cols, &dout, r);
        add_row(want_temporal + slot % frames * cols, &dout, r);
    }
    clv_window_embed_backward(device, dframes.tensor, CLV_NO_TENSOR, dout.tensor, indices, frames,
                              tokens);
    guarded_check(&dframes, want_frames, 3e-6);
    guarded_check_unchanged(&dtemporal);
    clv_window_embed_backward(device, CLV_NO_TENSOR, dtemporal.tensor, dout.tensor, indices, frames,
                              tokens);
    guarded_check(&dtemporal, want_temporal, 1e-5);
    guarded_check_unchanged(&dframes);
    guarded_check_unchanged(&dout);
    free(indices);
    free(want_frames);
    free(want_temporal);
    guarded_free(&dout);
    guarded_free(&dframes);
    guarded_free(&dtemporal);
}

static void check_token_embed(struct clv_device *device, int cols)
{
    enum { ROWS = 40, VOCABULARY = 9, COUNT = 4 };
    static const int32_t starts[COUNT + 1] = {0, 17, 17, 18, ROWS};
    uint64_t seed = 8;
    struct guarded dout = guarded_input(device, ROWS, cols, 1.0, &seed);
    struct guarded dtable = guarded_input(device, VOCABULARY, cols, 1.0, &seed);
    struct guarded dposition = guarded_input(device, 25, cols, 1.0, &seed);
    double *want_table = widened(&dtable), *want_position = widened(&dposition);
    int32_t ids[ROWS];
    for (int r = 0, s = 0; r < ROWS; r++) {
        ids[r] = (int32_t)((t_random(&seed) >> 33) % VOCABULARY);
        while (r >= starts[s + 1])
            s++;
        add_row(want_table + ids[r] * cols, &dout, r);
        add_row(want_position + (r - starts[s]) * cols, &dout, r);
    }
    clv_token_embed_backward(device, dtable.tensor, CLV_NO_TENSOR, dout.tensor, ids, starts, COUNT);
    guarded_check(&dtable, want_table, 3e-6);
    guarded_check_unchanged(&dposition);
    clv_token_embed_backward(device, CLV_NO_TENSOR, dposition.tensor, dout.tensor, ids, starts,
                             COUNT);
    guarded_check(&dposition, want_position, 3e-6);
    guarded_check_unchanged(&dtable);
    guarded_check_unchanged(&dout);
    free(want_table);
    free(want_position);
    guarded_free(&dout);
    guarded_free(&dtable);
    guarded_free(&dposition);
}

static void check_scatter(struct clv_device *device, int cols)
{
    static const int32_t indices[] = {4, 0, 4, 4, 2, 0};
    uint64_t seed = 9;
    struct guarded dout = guarded_input(device, 6, cols, 1.0, &seed);
    struct guarded dx = guarded_input(device, 5, cols, 1.0, &seed);
    double *want = widened(&dx);
    for (int r = 0; r < 6; r++)
        add_row(want + indices[r] * cols, &dout, r);
    clv_scatter_rows_add(device, dx.tensor, dout.tensor, indices);
    guarded_check(&dx, want, 1e-6);
    guarded_check_unchanged(&dout);
    free(want);
    guarded_free(&dout);
    guarded_free(&dx);
}

static void check_embeddings(struct clv_device *device)
{
    check_frame_embed(device, 1, 2, 1);
    check_frame_embed(device, 13, 10, 77);
    check_frame_embed(device, 24, 50, 64);
    check_window_embed(device, 1, 1, 1, 1);
    check_window_embed(device, 3, 4, 5, 33);
    check_window_embed(device, 5, 8, 50, 64);
    static const int cols[] = {1, 33, 64, 65, 768};
    for (int i = 0; i < 5; i++) {
        check_token_embed(device, cols[i]);
        check_scatter(device, cols[i]);
    }
}

/* ---- unit mean ------------------------------------------------------------------------------- */

/* dout . x / |x| / count of one row. */
static double unit_loss(const double *x, const double *dout, int cols, int count)
{
    double squares = 0.0, sum = 0.0;
    for (int c = 0; c < cols; c++) {
        squares += x[c] * x[c];
        sum += dout[c] * x[c];
    }
    return sum / sqrt(squares) / count;
}

static void check_unit_mean(struct clv_device *device, struct size size, int frames)
{
    uint64_t seed = 10;
    int cols = size.cols;
    struct guarded x = guarded_input(device, size.rows * frames, cols, 3.0, &seed);
    struct guarded dout = guarded_input(device, size.rows, cols, 1.0, &seed);
    struct guarded dx = guarded_output(device, size.rows * frames, cols);
    for (int c = 0; c < cols && size.rows > 1; c++)
        *guarded_at(&x, 1, c) = 0.0f;
    guarded_write(&x);
    double *in = widened(&x), *slopes = widened(&dout);
    double *want = new_array((size_t)(size.rows * frames * cols));
    for (int r = 0; r < size.rows * frames; r++)
        for (int c = 0; c < cols && !(r == 1 && size.rows > 1); c++) {
            double *row = in + r * cols, before = row[c];
            row[c] = before + STEP;
            double above = unit_loss(row, slopes + r / frames * cols, cols, frames);
            row[c] = before - STEP;
            want[r * cols + c] =
                (above - unit_loss(row, slopes + r / frames * cols, cols, frames)) / (2 * STEP);
            row[c] = before;
        }
    clv_unit_mean_backward(device, dx.tensor, dout.tensor, x.tensor, frames);
    guarded_check(&dx, want, 2e-6);
    if (frames == 1) {
        clv_fill(device, dx.tensor, NAN);
        clv_unit_rows_backward(device, dx.tensor, dout.tensor, x.tensor);
        guarded_check(&dx, want, 2e-6);
    }
    guarded_check_unchanged(&x);
    guarded_check_unchanged(&dout);
    free(in);
    free(slopes);
    free(want);
    guarded_free(&x);
    guarded_free(&dout);
    guarded_free(&dx);
}

static void check_unit_means(struct clv_device *device)
{
    for (size_t i = 1; i < SIZE_COUNT; i++) {
        check_unit_mean(device, sizes[i], 1);
        check_unit_mean(device, sizes[i], 3);
    }
}

/* ---- on one thread and on two ---------------------------------------------------------------- */

enum { DRIFT_ROWS = 1500, DRIFT_COLS = 77 };

/* Everything that sums over rows, into one tensor. */
static struct guarded drift_run(struct clv_device *device)
{
    uint64_t seed = 11;
    int32_t indices[DRIFT_ROWS / 5], starts[] = {0, 700, DRIFT_ROWS}, ids[DRIFT_ROWS];
    struct guarded x = guarded_input(device, DRIFT_ROWS, DRIFT_COLS, 1.0, &seed);
    struct guarded dy = guarded_input(device, DRIFT_ROWS, DRIFT_COLS, 1.0, &seed);
    struct guarded weight = guarded_input(device, DRIFT_COLS, DRIFT_COLS, 1.0, &seed);
    struct guarded sums = guarded_input(device, 900, DRIFT_COLS, 1.0, &seed);
    struct clv_weight prepared;
    clv_weight_prepare(device, &prepared, weight.tensor, CLV_WEIGHT_OUT_IN);
    for (int i = 0; i < DRIFT_ROWS; i++)
        ids[i] = i * 7 % 50;
    for (int i = 0; i < DRIFT_ROWS / 5; i++)
        indices[i] = i % 10;
    float *first = sums.tensor.data;
    clv_linear_backward(device, CLV_NO_TENSOR, CLV_NO_TENSOR, first, dy.tensor, CLV_NO_TENSOR,
                        &prepared);
    clv_layer_norm_backward(device, dy.tensor, first + sums.tensor.stride,
                            first + 2 * sums.tensor.stride, dy.tensor, x.tensor,
                            weight.tensor.data);
    clv_frame_embed_backward(device, CLV_NO_TENSOR, first + 3 * sums.tensor.stride,
                             clv_tensor_rows(sums.tensor, 4, 5), dy.tensor, 5);
    clv_window_embed_backward(device, clv_tensor_rows(sums.tensor, 10, 50),
                              clv_tensor_rows(sums.tensor, 60, 3), dy.tensor, indices, 3, 5);
    clv_token_embed_backward(device, clv_tensor_rows(sums.tensor, 64, 50),
                             clv_tensor_rows(sums.tensor, 64, 800), dy.tensor, ids, starts, 2);
    clv_scatter_rows_add(device, clv_tensor_rows(sums.tensor, 864, 36),
                         clv_tensor_rows(x.tensor, 0, 300), indices);
    clv_weight_release(&prepared);
    guarded_read(&sums);
    guarded_free(&x);
    guarded_free(&dy);
    guarded_free(&weight);
    return sums;
}

static void check_drift(const struct variant *variant)
{
    struct clv_device *devices[2] = {NULL, NULL};
    struct guarded sums[2];
    for (int i = 0; i < 2; i++) {
        struct clv_device_options options = {.thread_count = 1 + i};
        REQUIRE_OK(variant_open(&devices[i], variant, &options));
        sums[i] = drift_run(devices[i]);
    }
    CHECK(memcmp(sums[0].host, sums[1].host, sums[0].float_count * sizeof(float)) == 0);
    for (int i = 0; i < 2; i++) {
        guarded_free(&sums[i]);
        clv_device_close(devices[i]);
    }
}

static const struct {
    const char *name;
    void (*check)(struct clv_device *device);
} tests[] = {
    {"activations and their gradients", check_activations},
    {"activation gradients far out", check_activation_ends},
    {"linear gradients", check_linears},
    {"matrix products", check_matmuls},
    {"layer norm gradients", check_norms},
    {"embedding and gather gradients", check_embeddings},
    {"unit mean gradients", check_unit_means},
};

int main(void)
{
    for (int v = variant_first(); v < variant_count(); v++) {
        const struct variant *variant = &variants[v];
        struct clv_device *device = NULL;
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
            if (variant_begin(variant, &device, "%s", tests[i].name))
                tests[i].check(device);
            t_finish();
        }
        if (variant_begin(variant, &device, "sums over rows on one thread and two"))
            check_drift(variant);
        t_finish();
        clv_device_close(device);
    }
    return t_end();
}
