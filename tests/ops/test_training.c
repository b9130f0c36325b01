/* The loss, the optimiser's step and the arithmetic between them, against double precision. */
#include "core/compute/gradients.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *new_array(size_t count)
{
    double *array = calloc(count + 1, sizeof *array);
    if (!array) {
        printf("FAIL out of memory for a reference\n");
        exit(1);
    }
    return array;
}

static double *widened(struct guarded *g)
{
    int cols = g->tensor.cols;
    double *array = new_array((size_t)g->tensor.rows * (size_t)cols);
    for (int r = 0; r < g->tensor.rows; r++)
        for (int c = 0; c < cols; c++)
            array[(ptrdiff_t)r * cols + c] = *guarded_at(g, r, c);
    return array;
}

/* One double in device memory. */
struct number {
    struct clv_device *device;
    struct clv_buffer *buffer;
};

static struct number number_create(struct clv_device *device, double value)
{
    struct number n = {.device = device};
    CHECK_OK(clv_buffer_create(&n.buffer, device, sizeof value));
    clv_device_write(device, clv_buffer_data(n.buffer), &value, sizeof value);
    return n;
}

static double number_take(struct number *n)
{
    double value = NAN;
    clv_device_read(n->device, &value, clv_buffer_data(n->buffer), sizeof value);
    CHECK_OK(clv_device_sync(n->device));
    clv_buffer_free(n->buffer);
    return value;
}

/* ---- cross-entropy --------------------------------------------------------------------------- */

static double entropy_loss(const double *logits, const double *labels, int classes)
{
    double highest = -INFINITY, total = 0.0, loss = 0.0;
    for (int c = 0; c < classes; c++)
        highest = fmax(highest, logits[c]);
    for (int c = 0; c < classes; c++)
        total += exp(logits[c] - highest);
    for (int c = 0; c < classes; c++)
        loss -= labels[c] * (logits[c] - highest - log(total));
    return loss;
}

struct entropy_case {
    int batch, prompts, classes;
    double spread; /* of the logits */
};

static void check_entropy(struct clv_device *device, const struct entropy_case *c)
{
    const double step = 1e-5, weight = 0.75;
    uint64_t seed = 1;
    int cols = c->prompts * c->classes, count = c->batch * c->prompts;
    struct guarded logits = guarded_input(device, c->batch, cols, c->spread, &seed);
    struct guarded labels = guarded_input(device, c->batch, c->classes, 1.0, &seed);
    struct guarded dlogits = guarded_output(device, c->batch, cols);
    for (int b = 0; b < c->batch; b++)
        for (int i = 0; i < c->classes; i++)
            *guarded_at(&labels, b, i) = fabsf(*guarded_at(&labels, b, i)); /* of any sum */
    guarded_write(&labels);
    double *z = widened(&logits), *y = widened(&labels),
           *want = new_array((size_t)(c->batch * cols));
    double loss = 0.0;
    for (int g = 0; g < count; g++) {
        double *row = z + g * c->classes, *label = y + g / c->prompts * c->classes;
        loss += weight / count * entropy_loss(row, label, c->classes);
        for (int i = 0; i < c->classes; i++) {
            double before = row[i];
            row[i] = before + step;
            double above = entropy_loss(row, label, c->classes);
            row[i] = before - step;
            want[g * c->classes + i] =
                weight / count * (above - entropy_loss(row, label, c->classes)) / (2 * step);
            row[i] = before;
        }
    }
    struct number sum = number_create(device, 3.0), other = number_create(device, 3.0);
    clv_soft_cross_entropy(device, clv_buffer_data(sum.buffer), CLV_NO_TENSOR, logits.tensor,
                           labels.tensor, c->prompts, (float)weight);
    guarded_check_unchanged(&dlogits);
    CHECK_NEAR(number_take(&sum), 3.0 + loss, 1e-9 * (1.0 + fabs(loss)));
    clv_soft_cross_entropy(device, clv_buffer_data(other.buffer), dlogits.tensor, logits.tensor,
                           labels.tensor, c->prompts, (float)weight);
    CHECK_NEAR(number_take(&other), 3.0 + loss, 1e-9 * (1.0 + fabs(loss)));
    guarded_check(&dlogits, want, 2e-7);
    guarded_check_unchanged(&logits);
    guarded_check_unchanged(&labels);
    struct number last = number_create(device, 0.0);
    clv_soft_cross_entropy(device, clv_buffer_data(last.buffer), logits.tensor, logits.tensor,
                           labels.tensor, c->prompts, (float)weight);
    CHECK_NEAR(number_take(&last), loss, 1e-9 * (1.0 + fabs(loss)));
    guarded_check(&logits, want, 2e-7);
    free(z);
    free(y);
    free(want);
    guarded_free(&logits);
    guarded_free(&labels);
    guarded_free(&dlogits);
}

static void check_entropies(struct clv_device *device)
{
    static const struct entropy_case cases[] = {{1, 1, 1, 1.0},   {2, 2, 3, 3.0},
                                                {8, 5, 48, 20.0}, {33, 1, 33, 5.0},
                                                {4, 3, 401, 5.0}, {3, 2, 7, 200.0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_entropy(device, &cases[i]);
}

/* A logit that is not a number makes the loss not a number. */
static void check_entropy_poison(struct clv_device *device)
{
    for (int at = 0; at < 4; at++) {
        uint64_t seed = 2;
        struct guarded logits = guarded_input(device, 1, 4, 1.0, &seed);
        struct guarded labels = guarded_input(device, 1, 4, 1.0, &seed);
        *guarded_at(&logits, 0, at) = NAN;
        guarded_write(&logits);
        struct number loss = number_create(device, 0.0);
        clv_soft_cross_entropy(device, clv_buffer_data(loss.buffer), logits.tensor, logits.tensor,
                               labels.tensor, 1, 1.0f);
        CHECK(isnan(number_take(&loss)));
        guarded_read(&logits);
        CHECK(isnan(*guarded_at(&logits, 0, 0)) && isnan(*guarded_at(&logits, 0, 3)));
        guarded_free(&logits);
        guarded_free(&labels);
    }
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

struct size {
    int rows, cols;
};

static const struct size sizes[] = {{1, 1}, {3, 31}, {64, 77}, {2, 9000}, {1, 70001}, {1200, 65}};

#define SIZE_COUNT (sizeof sizes / sizeof *sizes)

static void check_scaling(struct clv_device *device, struct size size, bool add, bool in_place)
{
    uint64_t seed = 3;
    struct guarded x = guarded_input(device, size.rows, size.cols, 1.0, &seed);
    struct guarded out = add ? guarded_input(device, size.rows, size.cols, 1.0, &seed)
                             : guarded_output(device, size.rows, size.cols);
    int count = size.rows * size.cols;
    double *from = widened(&x), *want = add ? widened(&out) : new_array((size_t)count);
    for (int i = 0; i < count; i++)
        want[i] += -1.75 * from[i];
    struct guarded *to = in_place ? &x : &out;
    (add ? clv_add_scaled : clv_scale)(device, to->tensor, x.tensor, -1.75f);
    guarded_check(to, want, 2e-7);
    if (!in_place)
        guarded_check_unchanged(&x);
    free(from);
    free(want);
    guarded_free(&x);
    guarded_free(&out);
}

/* Rows 4 of 3 sequences, of given or of equal lengths. */
static void check_row_scaling(struct clv_device *device, int cols, bool add, bool equal)
{
    static const int32_t given[] = {0, 5, 5, 12}, even[] = {0, 4, 8, 12};
    static const float factors[] = {0.0f, 3.0f, -1.25f};
    uint64_t seed = 4;
    struct guarded x = guarded_input(device, 12, cols, 1.0, &seed);
    struct guarded out =
        add ? guarded_input(device, 12, cols, 1.0, &seed) : guarded_output(device, 12, cols);
    double *from = widened(&x), *want = add ? widened(&out) : new_array((size_t)(12 * cols));
    for (int s = 0; s < 3; s++)
        for (int i = (equal ? even : given)[s] * cols; i < (equal ? even : given)[s + 1] * cols;
             i++)
            want[i] += (double)factors[s] * from[i];
    (add ? clv_add_scaled_rows : clv_scale_rows)(device, out.tensor, x.tensor, factors,
                                                 equal ? NULL : given, 3);
    guarded_check(&out, want, 2e-7);
    guarded_check_unchanged(&x);
    free(from);
    free(want);
    guarded_free(&x);
    guarded_free(&out);
}

static void check_sums(struct clv_device *device, struct size size)
{
    uint64_t seed = 5;
    struct guarded a = guarded_input(device, size.rows, size.cols, 1.0, &seed);
    struct guarded b = guarded_input(device, size.rows, size.cols, 1.0, &seed);
    struct guarded total = guarded_input(device, 1, 1, 1.0, &seed);
    double *from = widened(&a), *with = widened(&b), squares = 0.0;
    double products = *guarded_at(&total, 0, 0);
    for (int i = 0; i < size.rows * size.cols; i++) {
        squares += from[i] * from[i];
        products += from[i] * with[i];
    }
    struct number sum = number_create(device, 7.0);
    clv_sum_squares(device, clv_buffer_data(sum.buffer), a.tensor);
    CHECK_NEAR(number_take(&sum), 7.0 + squares, 1e-6 * squares);
    clv_dot_add(device, total.tensor.data, a.tensor, b.tensor);
    guarded_read(&total);
    CHECK_NEAR(*guarded_at(&total, 0, 0), products, 1e-6 * (1.0 + sqrt(squares) + fabs(products)));
    guarded_check_unchanged(&a);
    guarded_check_unchanged(&b);
    free(from);
    free(with);
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&total);
}

static void check_fill(struct clv_device *device, struct size size)
{
    static const float values[] = {0.0f, -2.5f};
    for (int v = 0; v < 2; v++) {
        struct guarded x = guarded_output(device, size.rows, size.cols);
        double *want = new_array((size_t)(size.rows * size.cols));
        for (int i = 0; i < size.rows * size.cols; i++)
            want[i] = (double)values[v];
        clv_fill(device, x.tensor, values[v]);
        guarded_check(&x, want, 0.0);
        clv_zero(device, x.tensor);
        memset(want, 0, sizeof *want * (size_t)(size.rows * size.cols));
        guarded_check(&x, want, 0.0);
        free(want);
        guarded_free(&x);
    }
}

static void check_arithmetic(struct clv_device *device)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        check_scaling(device, sizes[i], false, false);
        check_scaling(device, sizes[i], false, true);
        check_scaling(device, sizes[i], true, false);
        check_sums(device, sizes[i]);
        check_fill(device, sizes[i]);
    }
    for (int option = 0; option < 4; option++) {
        check_row_scaling(device, 1, option & 1, option & 2);
        check_row_scaling(device, 77, option & 1, option & 2);
        check_row_scaling(device, 4097, option & 1, option & 2);
    }
}

/* ---- AdamW ----------------------------------------------------------------------------------- */

/* As torch.optim.AdamW's single-tensor form. */
static void adamw_reference(double *p, double *m, double *v, double g, const struct clv_adamw *o)
{
    double beta1 = (double)o->beta1, beta2 = (double)o->beta2, rate = (double)o->learning_rate;
    g *= (double)o->grad_scale;
    *p *= 1.0 - rate * (double)o->weight_decay;
    *m = beta1 * *m + (1.0 - beta1) * g;
    *v = beta2 * *v + (1.0 - beta2) * g * g;
    double root = sqrt(*v) / sqrt(1.0 - pow(beta2, (double)o->step)) + (double)o->epsilon;
    *p -= rate / (1.0 - pow(beta1, (double)o->step)) * *m / root;
}

static void check_adamw(struct clv_device *device, struct size size)
{
    struct clv_adamw options = {.learning_rate = 1e-2f,
                                .beta1 = 0.9f,
                                .beta2 = 0.98f,
                                .epsilon = 1e-8f,
                                .weight_decay = 0.1f,
                                .grad_scale = 0.25f};
    uint64_t seed = 6;
    int count = size.rows * size.cols;
    struct guarded param = guarded_input(device, size.rows, size.cols, 1.0, &seed);
    struct guarded m = guarded_input(device, size.rows, size.cols, 0.0, &seed);
    struct guarded v = guarded_input(device, size.rows, size.cols, 0.0, &seed);
    double *want_param = widened(&param), *want_m = new_array((size_t)count);
    double *want_v = new_array((size_t)count);
    for (options.step = 1; options.step <= 5; options.step++) {
        /* Gradients of very different sizes, and now and then none. */
        struct guarded grad = guarded_input(device, size.rows, size.cols, 1.0, &seed);
        for (int r = 0; r < size.rows; r++)
            for (int c = 0; c < size.cols; c++)
                *guarded_at(&grad, r, c) *= c % 4 == 3 ? 0.0f : powf(10.0f, (float)(c % 4) - 4.0f);
        guarded_write(&grad);
        double *g = widened(&grad);
        for (int i = 0; i < count; i++)
            adamw_reference(want_param + i, want_m + i, want_v + i, g[i], &options);
        clv_adamw(device, param.tensor, m.tensor, v.tensor, grad.tensor, &options);
        guarded_check_unchanged(&grad);
        free(g);
        guarded_free(&grad);
    }
    guarded_check(&param, want_param, 1e-6);
    guarded_check(&m, want_m, 1e-7);
    guarded_check(&v, want_v, 1e-7);
    free(want_param);
    free(want_m);
    free(want_v);
    guarded_free(&param);
    guarded_free(&m);
    guarded_free(&v);
}

static void check_adamws(struct clv_device *device)
{
    for (size_t i = 0; i < SIZE_COUNT; i++)
        check_adamw(device, sizes[i]);
}

/* ---- on one thread and on two ---------------------------------------------------------------- */

static void check_threads(const struct variant *variant)
{
    double squares[2], losses[2];
    for (int i = 0; i < 2; i++) {
        struct clv_device_options options = {.thread_count = 1 + i};
        struct clv_device *device = NULL;
        REQUIRE_OK(variant_open(&device, variant, &options));
        uint64_t seed = 7;
        struct guarded x = guarded_input(device, 300, 400, 1.0, &seed);
        struct guarded labels = guarded_input(device, 300, 100, 1.0, &seed);
        struct number sum = number_create(device, 0.0), loss = number_create(device, 0.0);
        clv_sum_squares(device, clv_buffer_data(sum.buffer), x.tensor);
        clv_soft_cross_entropy(device, clv_buffer_data(loss.buffer), x.tensor, x.tensor,
                               labels.tensor, 4, 1.0f);
        squares[i] = number_take(&sum);
        losses[i] = number_take(&loss);
        guarded_free(&x);
        guarded_free(&labels);
        clv_device_close(device);
    }
    CHECK(squares[0] == squares[1]);
    CHECK(losses[0] == losses[1]);
}

static const struct {
    const char *name;
    void (*check)(struct clv_device *device);
} tests[] = {
    {"cross-entropy with soft labels", check_entropies},
    {"cross-entropy of NaN", check_entropy_poison},
    {"fill, scale, sums", check_arithmetic},
    {"AdamW", check_adamws},
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
        if (variant_begin(variant, &device, "sums on one thread and two"))
            check_threads(variant);
        t_finish();
        clv_device_close(device);
    }
    return t_end();
}
