/* The optimiser's step, resuming, and serving from a learner. */
#include "core/compute/device.h"
#include "core/error.h"
#include "core/model/compare.h"
#include "core/model/learner.h"
#include "core/model/params.h"
#include "tests/devices.h"
#include "tests/model/golden.h"
#include "tests/model/learner_fixture.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct clv_device *device;

/* AdamW of one parameter in double precision (torch.optim.AdamW's order of things). */
struct adam {
    double value, m, v;
};

static void adam_step(struct adam *a, double g, double lr, double decay,
                      const struct clv_learner_step_options *options, int step)
{
    const double b1 = (double)options->beta1, b2 = (double)options->beta2;
    a->value *= 1 - lr * decay;
    a->m = b1 * a->m + (1 - b1) * g;
    a->v = b2 * a->v + (1 - b2) * g * g;
    a->value -=
        lr * a->m / (1 - pow(b1, step)) / (sqrt(a->v / (1 - pow(b2, step))) + (double)options->eps);
}

static double norm_of(const struct clv_learner *learner)
{
    size_t count;
    double square = 0;
    float *gradient = learner_parts(learner, CLV_LEARNER_GRADIENT, &count);
    for (size_t i = 0; i < count; i++)
        square += (double)gradient[i] * gradient[i];
    free(gradient);
    return sqrt(square);
}

/* Steps on made-up gradients, and compares values and moments with the reference. */
static void check_steps(const struct clv_learner_step_options *options, int steps)
{
    struct learner_fixture fixture;
    uint64_t seed = 3;
    size_t count;
    learner_fixture_init(&fixture, &learner_shapes[1], 20);
    struct clv_learner *learner = learner_make(&fixture, device, NULL);
    float *start = learner_parts(learner, CLV_LEARNER_VALUE, &count);
    struct adam *want = calloc(count, sizeof *want);
    float *gradient = calloc(count, sizeof *gradient);
    REQUIRE(want && gradient);
    for (size_t i = 0; i < count; i++)
        want[i].value = start[i];
    for (int step = 1; step <= steps; step++) {
        double norm, expected;
        size_t at = 0;
        for (size_t i = 0; i < count; i++)
            gradient[i] = (float)(t_normal(&seed) * 0.1);
        for (size_t i = 0; i < fixture.params.count; i++) {
            CHECK_OK(clv_learner_write(learner, CLV_LEARNER_GRADIENT, i, gradient + at));
            at += fixture.params.items[i].element_count;
        }
        expected = norm_of(learner);
        CHECK_OK(clv_learner_step(learner, &norm, options));
        CHECK_NEAR(norm, expected, 1e-5 * expected);
        CHECK_INT(clv_learner_step_count(learner), step);
        const double factor = options->clip_norm > 0 && expected > (double)options->clip_norm
                                  ? (double)options->clip_norm / expected
                                  : 1;
        at = 0;
        for (size_t i = 0; i < fixture.params.count; i++) {
            const struct clv_param *param = &fixture.params.items[i];
            const double lr =
                (double)options->lr * (param->temporal ? (double)options->lr_temporal_factor : 1);
            for (size_t k = 0; k < param->element_count; k++, at++)
                adam_step(&want[at], factor * (double)gradient[at], lr,
                          param->decays ? (double)options->weight_decay : 0, options, step);
        }
    }
    float *value = learner_parts(learner, CLV_LEARNER_VALUE, &count);
    float *m = learner_parts(learner, CLV_LEARNER_MOMENT_1, &count);
    float *v = learner_parts(learner, CLV_LEARNER_MOMENT_2, &count);
    for (size_t i = 0; i < count; i++) {
        CHECK_NEAR(value[i], want[i].value, 1e-6);
        CHECK_NEAR(m[i], want[i].m, 1e-6);
        CHECK_NEAR(v[i], want[i].v, 1e-7);
    }
    free(start);
    free(want);
    free(gradient);
    free(value);
    free(m);
    free(v);
    clv_learner_free(learner);
    learner_fixture_release(&fixture);
}

static void steps_are_adamw(void)
{
    struct clv_learner_step_options options = clv_learner_step_defaults;
    options.lr = 1e-3f;
    options.weight_decay = 0.1f;
    check_steps(&options, 1);
    check_steps(&options, 4);
    options.clip_norm = 2.5f;
    check_steps(&options, 3);
    options.clip_norm = 1e6f;
    check_steps(&options, 2);
}

static void a_gradient_that_is_no_number_changes_nothing(void)
{
    struct learner_fixture fixture;
    size_t count;
    learner_fixture_init(&fixture, &learner_shapes[1], 21);
    struct clv_learner *learner = learner_make(&fixture, device, NULL);
    float *before = learner_parts(learner, CLV_LEARNER_VALUE, &count);
    const float bad[] = {NAN, INFINITY};
    const int scale = fixture.params.single[CLV_PARAM_LOGIT_SCALE];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(clv_learner_write(learner, CLV_LEARNER_GRADIENT, (size_t)scale, &bad[i]));
        CHECK_ERROR(clv_learner_step(learner, NULL, &clv_learner_step_defaults), CLV_EINVAL,
                    "no finite number");
    }
    CHECK_INT(clv_learner_step_count(learner), 0);
    float *after = learner_parts(learner, CLV_LEARNER_VALUE, &count);
    CHECK(memcmp(before, after, count * sizeof *after) == 0);
    free(before);
    free(after);
    clv_learner_free(learner);
    learner_fixture_release(&fixture);
}

static double train(struct clv_learner *learner, const struct learner_fixture *fixture,
                    uint64_t seed)
{
    struct clv_learner_step_options step = clv_learner_step_defaults;
    struct clv_learner_batch batch = learner_batch(fixture, CLV_LOSS_CLASSES);
    double loss = NAN;
    step.lr = 2e-3f;
    step.lr_temporal_factor = 1;
    batch.seed = seed;
    clv_learner_zero_gradients(learner);
    CHECK_OK(clv_learner_forward_backward(learner, &loss, &batch));
    CHECK_OK(clv_learner_step(learner, NULL, &step));
    return loss;
}

/* Labels that sum to one, else the least loss is far from zero. */
static void set_hard_labels(struct learner_fixture *fixture)
{
    for (int i = 0; i < LEARNER_CLIPS * LEARNER_CLASSES; i++)
        fixture->labels[i] = i % LEARNER_CLASSES == i / LEARNER_CLASSES % LEARNER_CLASSES;
}

static void the_loss_falls(void)
{
    for (int s = 0; s < 5; s++) {
        struct learner_fixture fixture;
        learner_fixture_init(&fixture, &learner_shapes[s], 22);
        set_hard_labels(&fixture);
        struct clv_learner *learner = learner_make(&fixture, device, NULL);
        const double first = train(learner, &fixture, 0);
        double last = first;
        for (int i = 0; i < 60; i++)
            last = train(learner, &fixture, 0);
        if (!(last < 0.1 * first))
            t_fail(__FILE__, __LINE__, "%s: from %g to %g", learner_shapes[s].name, first, last);
        clv_learner_free(learner);
        learner_fixture_release(&fixture);
    }
}

/* Values, moments and the count of steps are all there is to carry over. */
static void resuming_is_bit_equal(void)
{
    static const enum clv_learner_part parts[] = {CLV_LEARNER_VALUE, CLV_LEARNER_MOMENT_1,
                                                  CLV_LEARNER_MOMENT_2};
    const struct clv_learner_options options = {.drop_path = 0.2f, .freeze_image = true};
    struct learner_fixture fixture;
    struct clv_learner *second = NULL;
    float room[2048];
    size_t count;
    learner_fixture_init(&fixture, &learner_shapes[1], 23);
    struct clv_learner *first = learner_make(&fixture, device, &options);
    for (uint64_t i = 0; i < 3; i++)
        train(first, &fixture, i);
    /* From zeros: everything has to be written. */
    struct clv_learner_options limits = options;
    limits.clip_max = LEARNER_CLIPS;
    limits.text_max = LEARNER_TEXTS;
    REQUIRE_OK(clv_learner_create(&second, device, &fixture.config, NULL, &limits));
    for (size_t i = 0; i < fixture.params.count; i++)
        for (int k = 0; k < (clv_learner_params(first)->items[i].trainable ? 3 : 1); k++) {
            REQUIRE(fixture.params.items[i].element_count <= 2048);
            CHECK_OK(clv_learner_read(first, room, parts[k], i));
            CHECK_OK(clv_learner_write(second, parts[k], i, room));
        }
    clv_learner_set_step_count(second, clv_learner_step_count(first));
    for (uint64_t i = 3; i < 6; i++)
        CHECK(train(first, &fixture, i) == train(second, &fixture, i));
    for (int k = 0; k < 3; k++) {
        float *a = learner_parts(first, parts[k], &count);
        float *b = learner_parts(second, parts[k], &count);
        CHECK(memcmp(a, b, count * sizeof *a) == 0);
        free(a);
        free(b);
    }
    clv_learner_free(first);
    clv_learner_free(second);
    learner_fixture_release(&fixture);
}

/* One clip's vector and the texts' features. */
static void serve(struct clv_encoder *encoder, const struct learner_fixture *fixture,
                  float vector[10], float features[LEARNER_TEXTS * 10])
{
    static const int32_t slots[] = {0, 1, 2};
    const struct clv_window_outputs outputs = {.vectors = vector};
    CHECK_OK(clv_encoder_frames(encoder, slots, fixture->pixels, 3));
    CHECK_OK(clv_encoder_windows(encoder, &outputs, slots, 1));
    CHECK_OK(clv_encoder_text(encoder, features, fixture->ids, fixture->starts, LEARNER_TEXTS));
}

static void it_serves_what_it_learned(void)
{
    for (int s = 0; s < 4; s++) {
        struct learner_fixture fixture;
        struct clv_encoder *ours = NULL, *files = NULL;
        float vector[2][10], features[2][LEARNER_TEXTS * 10];
        learner_fixture_init(&fixture, &learner_shapes[s], 24);
        struct clv_learner *learner = learner_make(&fixture, device, NULL);
        REQUIRE_OK(clv_learner_encoder(&ours, learner, NULL));
        for (int round = 0; round < 2; round++) {
            REQUIRE_OK(clv_encoder_create(&files, device, fixture.weights, &fixture.config, NULL));
            serve(ours, &fixture, vector[0], features[0]);
            serve(files, &fixture, vector[1], features[1]);
            CHECK(memcmp(vector[0], vector[1], sizeof vector[0]) == 0);
            CHECK(memcmp(features[0], features[1], sizeof features[0]) == 0);
            /* An encoder of the weights has what the learner did once it is copied back. */
            train(learner, &fixture, 0);
            serve(ours, &fixture, vector[0], features[0]);
            CHECK(memcmp(vector[0], vector[1], sizeof vector[0]) != 0);
            for (size_t i = 0; i < fixture.params.count; i++)
                CHECK_OK(
                    clv_learner_read(learner, learner_value(&fixture, i), CLV_LEARNER_VALUE, i));
            clv_encoder_free(files);
        }
        clv_encoder_free(ours);
        clv_learner_free(learner);
        learner_fixture_release(&fixture);
    }
}

/* ---- the shared expectations ----------------------------------------------------------------- */

static void count_kinds(const struct clv_compare_line *line, void *payload)
{
    int *counts = payload;
    if (line->is_compared)
        counts[strncmp(line->name, "grad.", 5) == 0   ? 0
               : strncmp(line->name, "step.", 5) == 0 ? 1
                                                      : 2]++;
    if (line->is_compared && !line->is_within)
        t_fail(__FILE__, __LINE__, "%s is off by %g of %g", line->name, line->error, line->largest);
}

static void check_golden(const struct clv_model *model, const char *expect)
{
    struct clv_compare_result result;
    int counts[3] = {0};
    REQUIRE_OK(clv_compare_train(&result, model, device, expect, 1e-3, count_kinds, counts));
    CHECK(result.is_within);
    CHECK_INT(counts[0], counts[1]);
    CHECK(counts[0] > 60);
    CHECK_INT(counts[2], 1);
    CHECK(result.error_max < 1e-4);
    /* Nothing passes where nothing is allowed. */
    REQUIRE_OK(clv_compare_train(&result, model, device, expect, 0, NULL, NULL));
    CHECK(!result.is_within);
}

static void golden_models_train_as_they_must(void)
{
    golden_each(check_golden);
}

static void run_all(void)
{
    T_RUN(steps_are_adamw);
    T_RUN(a_gradient_that_is_no_number_changes_nothing);
    T_RUN(the_loss_falls);
    T_RUN(resuming_is_bit_equal);
    T_RUN(it_serves_what_it_learned);
    T_RUN(golden_models_train_as_they_must);
}

int main(void)
{
    return t_each_device(&device, NULL, run_all);
}
