/* The gradients of a learner: against a double-precision CLAVER, and against each other. */
#include "core/compute/gradients.h"
#include "core/error.h"
#include "core/model/augment.h"
#include "core/model/learner.h"
#include "core/model/params.h"
#include "tests/devices.h"
#include "tests/model/learner_fixture.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct clv_device *device;

static const enum clv_learner_loss losses[] = {CLV_LOSS_CLASSES, CLV_LOSS_CAPTIONS};

/* All gradients of one call; the caller frees. */
static float *gradients_of(struct clv_learner *learner, const struct clv_learner_batch *batch,
                           size_t *count_out, double *loss_out)
{
    CHECK_OK(clv_learner_forward_backward(learner, loss_out, batch));
    return learner_parts(learner, CLV_LEARNER_GRADIENT, count_out);
}

static struct clv_learner *make(const struct learner_fixture *fixture,
                                struct clv_learner_options options)
{
    return learner_make(fixture, device, &options);
}

/* ---- against the reference ------------------------------------------------------------------- */

/* Moves parameter `index` along a random direction by about `size` of its scale; the moves as they
 * were rounded go to `moves`. `sign` turns it. */
static void move(float *values, const float *before, size_t count, double size, double sign,
                 uint64_t seed)
{
    double square = 0;
    for (size_t i = 0; i < count; i++)
        square += (double)before[i] * before[i];
    const double scale = size * (sqrt(square / (double)count) + 0.02);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(before[i] + sign * scale * t_normal(&seed));
}

/* The loss's change along a direction in one parameter, against what its gradient says. */
static void check_direction(const struct learner_fixture *fixture,
                            const struct clv_learner_batch *batch, const char *shape, size_t index,
                            const float *gradient)
{
    const struct clv_param *param = &fixture->params.items[index];
    const size_t count = param->element_count;
    float *values = learner_value(fixture, index);
    float *before = malloc(count * sizeof *before), *up = malloc(count * sizeof *up);
    if (!before || !up)
        abort();
    double expected = 0, size = 0;
    memcpy(before, values, count * sizeof *before);
    move(values, before, count, 1e-3, 1, index + 1);
    memcpy(up, values, count * sizeof *up);
    const double high = learner_reference_loss(fixture, batch, NULL);
    move(values, before, count, 1e-3, -1, index + 1);
    const double low = learner_reference_loss(fixture, batch, NULL);
    for (size_t i = 0; i < count; i++) {
        const double step = (double)up[i] - values[i];
        expected += step * gradient[i];
        size += step * step * gradient[i] * gradient[i];
    }
    memcpy(values, before, count * sizeof *values);
    const double limit = 1e-3 * sqrt(size) + 1e-9;
    if (!(fabs(high - low - expected) <= limit))
        t_fail(__FILE__, __LINE__, "%s: %s: the loss changes by %.9g, its gradient says %.9g (%g)",
               shape, param->name, high - low, expected, limit);
    free(before);
    free(up);
}

static void check_shape(const struct learner_shape *shape, enum clv_learner_loss loss)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, shape, 5);
    struct clv_learner *learner = make(&fixture, (struct clv_learner_options){0});
    struct clv_learner_batch batch = learner_batch(&fixture, loss);
    float logits[LEARNER_CLIPS * LEARNER_TEXTS], again[LEARNER_CLIPS * LEARNER_TEXTS];
    double want[LEARNER_CLIPS * LEARNER_TEXTS], got = NAN, forward = NAN;
    size_t count;
    batch.logits_out = logits;
    float *gradient = gradients_of(learner, &batch, &count, &got);
    const float *at = gradient;
    CHECK_NEAR(got, learner_reference_loss(&fixture, &batch, want), 1e-5);
    for (int i = 0; i < batch.clip_count * batch.text_count; i++)
        CHECK_NEAR(logits[i], want[i], 1e-4);
    for (size_t i = 0; i < fixture.params.count; i++) {
        check_direction(&fixture, &batch, shape->name, i, at);
        at += fixture.params.items[i].element_count;
    }
    CHECK_INT(at - gradient, count);
    /* Forward alone says the same and changes no gradient. */
    batch.logits_out = again;
    CHECK_OK(clv_learner_forward(learner, &forward, &batch));
    CHECK(forward == got);
    CHECK(memcmp(logits, again, (size_t)(batch.clip_count * batch.text_count) * sizeof *logits) ==
          0);
    float *after = learner_parts(learner, CLV_LEARNER_GRADIENT, &count);
    CHECK(memcmp(gradient, after, count * sizeof *after) == 0);
    free(gradient);
    free(after);
    clv_learner_free(learner);
    learner_fixture_release(&fixture);
}

static void classes_match_the_reference(void)
{
    for (int i = 0; i < learner_shape_count; i++)
        check_shape(&learner_shapes[i], CLV_LOSS_CLASSES);
}

static void captions_match_the_reference(void)
{
    for (int i = 0; i < learner_shape_count; i++)
        check_shape(&learner_shapes[i], CLV_LOSS_CAPTIONS);
}

/* Without labels each caption is its own clip's. */
static void captions_are_each_their_own(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 5);
    struct clv_learner *learner = make(&fixture, (struct clv_learner_options){0});
    struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CAPTIONS);
    float own[LEARNER_CLIPS * LEARNER_CLIPS] = {0};
    double loss, want;
    for (int i = 0; i < LEARNER_CLIPS; i++)
        own[i * LEARNER_CLIPS + i] = 1;
    batch.labels = own;
    CHECK_OK(clv_learner_forward(learner, &want, &batch));
    batch.labels = NULL;
    CHECK_OK(clv_learner_forward(learner, &loss, &batch));
    CHECK(loss == want);
    clv_learner_free(learner);
    learner_fixture_release(&fixture);
}

/* A key bias changes no attention, so nothing of it is left, not even rounding. */
static void key_biases_have_no_gradient(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 5);
    struct clv_learner *learner = make(&fixture, (struct clv_learner_options){0});
    const struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
    float bias[3 * 16];
    int seen = 0;
    CHECK_OK(clv_learner_forward_backward(learner, NULL, &batch));
    for (size_t i = 0; i < fixture.params.count; i++) {
        const int64_t width = fixture.params.items[i].shape[0] / 3;
        if (!strstr(fixture.params.items[i].name, "in_proj_bias"))
            continue;
        CHECK_OK(clv_learner_read(learner, bias, CLV_LEARNER_GRADIENT, i));
        double others = 0;
        for (int64_t k = 0; k < width; k++) {
            CHECK(bias[width + k] == 0);
            others += fabs((double)bias[k]) + fabs((double)bias[2 * width + k]);
        }
        CHECK(others > 0);
        seen++;
    }
    CHECK_INT(seen, 5);
    clv_learner_free(learner);
    learner_fixture_release(&fixture);
}

/* ---- against each other ---------------------------------------------------------------------- */

static void halves_add_up(void)
{
    for (int s = 0; s < learner_shape_count; s++) {
        struct learner_fixture fixture;
        learner_fixture_init(&fixture, &learner_shapes[s], 6);
        struct clv_learner *whole = make(&fixture, (struct clv_learner_options){0});
        struct clv_learner *halves = make(&fixture, (struct clv_learner_options){.clip_max = 2});
        struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
        const int clip_size = 3 * 3 * 12 * 12;
        double loss, first, second;
        size_t count;
        float *want = gradients_of(whole, &batch, &count, &loss);
        batch.clip_count = 2;
        batch.weight = 0.5f;
        CHECK_OK(clv_learner_forward_backward(halves, &first, &batch));
        batch.pixels += 2 * clip_size;
        batch.labels += 2 * LEARNER_CLASSES;
        float *got = gradients_of(halves, &batch, &count, &second);
        CHECK_NEAR((first + second) / 2, loss, learner_limit(device));
        CHECK_NEAR(learner_difference(got, want, count), 0, learner_limit(device));
        /* Zeroed, they begin again. */
        clv_learner_zero_gradients(halves);
        free(got);
        got = learner_parts(halves, CLV_LEARNER_GRADIENT, &count);
        for (size_t i = 0; i < count; i++)
            CHECK(got[i] == 0);
        free(got);
        free(want);
        clv_learner_free(whole);
        clv_learner_free(halves);
        learner_fixture_release(&fixture);
    }
}

enum { MIX_SIDE = 12, MIX_FRAME = 3 * MIX_SIDE * MIX_SIDE, MIX_CLIP = 3 * MIX_FRAME };

/* Floats of bytes as the learner values them, and the same mixed. */
static void fill_clips(const struct learner_fixture *fixture, const uint8_t *squares, float *pixels,
                       float *mixed, int clips, const struct clv_mix *mix)
{
    float values[3 * 256];
    const float lambda = (float)mix->lambda;
    clv_augment_values(values, &fixture->config);
    for (int i = 0; i < clips * MIX_CLIP; i++) {
        const int frame = i / MIX_FRAME, plane = i % MIX_FRAME / (MIX_SIDE * MIX_SIDE);
        const int at = i % (MIX_SIDE * MIX_SIDE);
        pixels[i] = values[plane * 256 + squares[frame * MIX_FRAME + 3 * at + plane]];
    }
    for (int i = 0; i < clips * MIX_CLIP; i++) {
        const int clip = i / MIX_CLIP, y = i / MIX_SIDE % MIX_SIDE, x = i % MIX_SIDE;
        const float own = pixels[i];
        const float other = pixels[(clips - 1 - clip) * MIX_CLIP + i % MIX_CLIP];
        const bool is_inside = y >= mix->top && y < mix->bottom && x >= mix->left && x < mix->right;
        if (clip == clips - 1 - clip)
            mixed[i] = own;
        else if (mix->is_cutmix)
            mixed[i] = is_inside ? other : own;
        else
            mixed[i] = lambda * own + (1 - lambda) * other;
    }
}

/* Clips that come as bytes, or are mixed on the device, give the bits of floats that were mixed
 * before, in as many passes as there may be, with and without a clip that has no partner. */
static void bytes_and_mixing_are_the_same_clips(void)
{
    static uint8_t squares[LEARNER_CLIPS * MIX_CLIP];
    static float pixels[LEARNER_CLIPS * MIX_CLIP], mixed[LEARNER_CLIPS * MIX_CLIP];
    const struct clv_mix mixes[] = {
        {.lambda = 0.3},
        {.lambda = 0.75, .is_cutmix = true, .top = 2, .bottom = 8, .left = 3, .right = 9}};
    struct learner_fixture fixture;
    uint64_t seed = 23;
    learner_fixture_init(&fixture, &learner_shapes[7], 6);
    for (int c = 0; c < 3; c++) {
        fixture.config.pixel_mean[c] = 0.4f + 0.03f * (float)c;
        fixture.config.pixel_std[c] = 0.25f + 0.02f * (float)c;
    }
    for (size_t i = 0; i < sizeof squares; i++)
        squares[i] = (uint8_t)t_random(&seed);
    for (int n = 1; n <= LEARNER_CLIPS; n++)
        for (int most = 1; most <= n; most++) {
            struct clv_learner *learner =
                make(&fixture, (struct clv_learner_options){.clip_batch_max = most});
            const struct clv_mix *mix = &mixes[(n + most) % 2];
            struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
            size_t count;
            fill_clips(&fixture, squares, pixels, mixed, n, mix);
            batch.clip_count = n;
            batch.pixels = mixed;
            float *want = gradients_of(learner, &batch, &count, NULL);
            for (int kind = 0; kind < 2; kind++) {
                batch.mix = mix;
                batch.pixels = kind == 0 ? pixels : NULL;
                batch.squares = kind == 0 ? NULL : squares;
                clv_learner_zero_gradients(learner);
                float *got = gradients_of(learner, &batch, &count, NULL);
                if (memcmp(got, want, count * sizeof *got) != 0)
                    t_fail(__FILE__, __LINE__, "%d clips, %d a pass: %s have other gradients", n,
                           most, kind == 0 ? "floats" : "bytes");
                free(got);
            }
            free(want);
            clv_learner_free(learner);
        }
    learner_fixture_release(&fixture);
}

/* Passes of fewer clips and of fewer texts bound memory and change nothing else. */
static void small_passes_are_one_batch(void)
{
    for (int s = 0; s < learner_shape_count; s++)
        for (int l = 0; l < 2; l++) {
            struct learner_fixture fixture;
            learner_fixture_init(&fixture, &learner_shapes[s], 7);
            const struct clv_learner_options small = {.clip_batch_max = 3, .text_batch_max = 8};
            struct clv_learner *whole = make(&fixture, (struct clv_learner_options){0});
            struct clv_learner *passes = make(&fixture, small);
            const struct clv_learner_batch batch = learner_batch(&fixture, losses[l]);
            double loss, got_loss;
            size_t count;
            float *want = gradients_of(whole, &batch, &count, &loss);
            float *got = gradients_of(passes, &batch, &count, &got_loss);
            CHECK_NEAR(got_loss, loss, learner_limit(device));
            CHECK_NEAR(learner_difference(got, want, count), 0, learner_limit(device));
            CHECK(clv_learner_activation_bytes(passes) < clv_learner_activation_bytes(whole));
            free(want);
            free(got);
            clv_learner_free(whole);
            clv_learner_free(passes);
            learner_fixture_release(&fixture);
        }
}

static void checkpointing_changes_no_bit(void)
{
    for (int s = 0; s < learner_shape_count; s++)
        for (int l = 0; l < 2; l++) {
            struct learner_fixture fixture;
            learner_fixture_init(&fixture, &learner_shapes[s], 8);
            struct clv_learner_options options = {.drop_path = 0.3f, .clip_batch_max = 2 + 2 * l};
            struct clv_learner *kept = make(&fixture, options);
            options.checkpoint = true;
            struct clv_learner *again = make(&fixture, options);
            struct clv_learner_batch batch = learner_batch(&fixture, losses[l]);
            double loss, got_loss;
            size_t count;
            batch.seed = 3;
            float *want = gradients_of(kept, &batch, &count, &loss);
            float *got = gradients_of(again, &batch, &count, &got_loss);
            CHECK(got_loss == loss);
            if (memcmp(got, want, count * sizeof *got) != 0)
                t_fail(__FILE__, __LINE__, "%s: gradients differ by %g", learner_shapes[s].name,
                       learner_difference(got, want, count));
            if (learner_shapes[s].layers > 1)
                CHECK(clv_learner_activation_bytes(again) < clv_learner_activation_bytes(kept));
            free(want);
            free(got);
            clv_learner_free(kept);
            clv_learner_free(again);
            learner_fixture_release(&fixture);
        }
}

static void threads_change_next_to_nothing(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[7], 9);
    const struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
    float *first = NULL;
    size_t count;
    for (int threads = 1; threads <= 4; threads++) {
        struct clv_device *other = NULL;
        REQUIRE_OK(clv_device_open(
            &other, &(struct clv_device_options){.kind = CLV_DEVICE_CPU, .thread_count = threads}));
        float *run[2];
        for (int i = 0; i < 2; i++) {
            struct clv_learner *learner = learner_make(&fixture, other, NULL);
            run[i] = gradients_of(learner, &batch, &count, NULL);
            clv_learner_free(learner);
        }
        CHECK(memcmp(run[0], run[1], count * sizeof **run) == 0);
        free(run[1]);
        if (first) {
            CHECK_NEAR(learner_difference(run[0], first, count), 0, 1e-5);
            free(run[0]);
        } else {
            first = run[0];
        }
        clv_device_close(other);
    }
    free(first);
    learner_fixture_release(&fixture);
}

/* ---- frozen parts ---------------------------------------------------------------------------- */

static bool is_frozen(const struct clv_param *param, const struct clv_learner_options *options)
{
    const bool is_visual = strncmp(param->name, "visual.", 7) == 0;
    const bool is_temporal = strstr(param->name, "temporal_") != NULL;
    return is_temporal ? options->freeze_temporal
           : is_visual ? options->freeze_image
                       : options->freeze_text;
}

static void check_frozen(const struct learner_shape *shape, struct clv_learner_options options,
                         enum clv_learner_loss loss)
{
    struct learner_fixture fixture;
    float full[16384], part[16384];
    size_t trained = 0;
    learner_fixture_init(&fixture, shape, 10);
    const struct clv_learner_batch batch = learner_batch(&fixture, loss);
    struct clv_learner *all = make(&fixture, (struct clv_learner_options){0});
    struct clv_learner *some = make(&fixture, options);
    double want, got;
    CHECK_OK(clv_learner_forward_backward(all, &want, &batch));
    CHECK_OK(clv_learner_forward_backward(some, &got, &batch));
    CHECK_NEAR(got, want, learner_limit(device));
    for (size_t i = 0; i < fixture.params.count; i++) {
        const struct clv_param *param = &clv_learner_params(some)->items[i];
        const size_t count = param->element_count;
        REQUIRE(count <= sizeof full / sizeof *full);
        CHECK_INT(param->trainable, !is_frozen(param, &options));
        CHECK_OK(clv_learner_read(some, part, CLV_LEARNER_VALUE, i));
        CHECK(memcmp(part, learner_value(&fixture, i), count * sizeof *part) == 0);
        if (is_frozen(param, &options)) {
            CHECK_ERROR(clv_learner_read(some, part, CLV_LEARNER_GRADIENT, i), CLV_EINVAL,
                        "is frozen");
            CHECK_ERROR(clv_learner_write(some, CLV_LEARNER_MOMENT_1, i, part), CLV_EINVAL,
                        param->name);
            continue;
        }
        trained += (count + 15) / 16 * 16;
        CHECK_OK(clv_learner_read(all, full, CLV_LEARNER_GRADIENT, i));
        CHECK_OK(clv_learner_read(some, part, CLV_LEARNER_GRADIENT, i));
        /* The frozen branches run as they serve, whose rounding may differ by a bit. */
        if (!(learner_difference(part, full, count) <= learner_limit(device)))
            t_fail(__FILE__, __LINE__, "%s: %s differs by %g", shape->name, param->name,
                   learner_difference(part, full, count));
    }
    /* No memory for gradients and moments of the frozen, nor a tape. */
    size_t values = 0;
    for (size_t i = 0; i < fixture.params.count; i++)
        values += (fixture.params.items[i].element_count + 15) / 16 * 16;
    CHECK_INT(clv_learner_bytes(some) - clv_learner_activation_bytes(some),
              (values + 3 * trained) * sizeof(float));
    CHECK(clv_learner_activation_bytes(some) <= clv_learner_activation_bytes(all));
    CHECK_OK(clv_learner_step(some, NULL, &clv_learner_step_defaults));
    clv_learner_free(all);
    clv_learner_free(some);
    learner_fixture_release(&fixture);
}

static void frozen_parts_have_no_gradient(void)
{
    for (int s = 0; s < 5; s++)
        for (int bits = 1; bits < 8; bits++)
            for (int l = 0; l < 2; l++)
                check_frozen(&learner_shapes[s],
                             (struct clv_learner_options){.freeze_text = bits & 1,
                                                          .freeze_image = bits & 2,
                                                          .freeze_temporal = bits & 4},
                             losses[l]);
}

/* Frozen texts may come as features, of any length. */
static void features_stand_in_for_frozen_texts(void)
{
    struct learner_fixture fixture;
    struct clv_encoder *encoder = NULL;
    float features[LEARNER_TEXTS * 10];
    learner_fixture_init(&fixture, &learner_shapes[2], 11);
    struct clv_learner *learner = make(&fixture, (struct clv_learner_options){.freeze_text = true});
    struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
    size_t count;
    double loss, got_loss;
    float *want = gradients_of(learner, &batch, &count, &loss);
    REQUIRE_OK(clv_learner_encoder(&encoder, learner, NULL));
    REQUIRE_OK(clv_encoder_text(encoder, features, batch.ids, batch.starts, LEARNER_TEXTS));
    for (int i = 0; i < LEARNER_TEXTS * 10; i++)
        features[i] *= 4;
    batch.ids = batch.starts = NULL;
    batch.text_features = features;
    clv_learner_zero_gradients(learner);
    float *got = gradients_of(learner, &batch, &count, &got_loss);
    CHECK_NEAR(got_loss, loss, learner_limit(device));
    CHECK_NEAR(learner_difference(got, want, count), 0, learner_limit(device));
    struct clv_learner *whole = make(&fixture, (struct clv_learner_options){0});
    CHECK_ERROR(clv_learner_forward_backward(whole, NULL, &batch), CLV_EINVAL, "trained");
    free(want);
    free(got);
    clv_encoder_free(encoder);
    clv_learner_free(learner);
    clv_learner_free(whole);
    learner_fixture_release(&fixture);
}

/* ---- drop path ------------------------------------------------------------------------------- */

/* The loss of one seed is a smooth function, whose gradient it must be. */
static void drop_path_has_its_gradient(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 12);
    struct clv_learner *learner = make(&fixture, (struct clv_learner_options){.drop_path = 0.6f});
    struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
    size_t count;
    batch.seed = 77;
    float *gradient = gradients_of(learner, &batch, &count, NULL), *at = gradient;
    for (size_t i = 0; i < fixture.params.count; i++) {
        const size_t size = fixture.params.items[i].element_count;
        float *before = learner_value(&fixture, i), up[2048], down[2048];
        double high, low, expected = 0, square = 0;
        REQUIRE(size <= 2048);
        move(up, before, size, 3e-3, 1, i + 1);
        move(down, before, size, 3e-3, -1, i + 1);
        CHECK_OK(clv_learner_write(learner, CLV_LEARNER_VALUE, i, up));
        CHECK_OK(clv_learner_forward_backward(learner, &high, &batch));
        CHECK_OK(clv_learner_write(learner, CLV_LEARNER_VALUE, i, down));
        CHECK_OK(clv_learner_forward_backward(learner, &low, &batch));
        CHECK_OK(clv_learner_write(learner, CLV_LEARNER_VALUE, i, before));
        for (size_t k = 0; k < size; k++) {
            const double step = (double)up[k] - down[k];
            expected += step * at[k];
            square += step * step * at[k] * at[k];
        }
        if (!(fabs(high - low - expected) <= 1e-2 * sqrt(square) + 5e-6))
            t_fail(__FILE__, __LINE__, "%s: the loss changes by %.9g, its gradient says %.9g",
                   fixture.params.items[i].name, high - low, expected);
        at += size;
    }
    free(gradient);
    clv_learner_free(learner);
    learner_fixture_release(&fixture);
}

static void drop_path_follows_seed_and_place(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 13);
    struct clv_learner *plain = make(&fixture, (struct clv_learner_options){0});
    struct clv_learner *whole = make(&fixture, (struct clv_learner_options){.drop_path = 0.4f});
    struct clv_learner *passes =
        make(&fixture, (struct clv_learner_options){.drop_path = 0.4f, .clip_batch_max = 1});
    struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
    double without, forward, loss, mean = 0;
    int differing = 0;
    CHECK_OK(clv_learner_forward(plain, &without, &batch));
    CHECK_OK(clv_learner_forward(whole, &forward, &batch));
    CHECK(forward == without);
    for (batch.seed = 1; batch.seed <= 20; batch.seed++) {
        double again;
        CHECK_OK(clv_learner_forward_backward(whole, &loss, &batch));
        CHECK_OK(clv_learner_forward_backward(whole, &again, &batch));
        CHECK(again == loss);
        CHECK_OK(clv_learner_forward_backward(passes, &again, &batch));
        CHECK_NEAR(again, loss, learner_limit(device));
        differing += fabs(loss - without) > 1e-4;
        mean += loss / 20;
    }
    CHECK(differing > 15);
    CHECK(isfinite(mean));
    clv_learner_free(plain);
    clv_learner_free(whole);
    clv_learner_free(passes);
    learner_fixture_release(&fixture);
}

/* ---- memory and limits ----------------------------------------------------------------------- */

static size_t room(size_t count)
{
    return (count + 15) / 16 * 16 * sizeof(float);
}

/* The tape of a tower: R rows, of which the last block computes Q. */
static size_t tape_bytes(const struct clv_tower *tower, size_t r, size_t q, bool is_checkpointed)
{
    const size_t w = (size_t)tower->width, h = (size_t)tower->mlp_width;
    const size_t heads = (size_t)tower->head_count;
    size_t bytes = 0;
    for (int i = 0; i < tower->layer_count; i++) {
        const size_t rows = i == tower->layer_count - 1 ? q : r;
        const size_t inside =
            room(2 * r * w + rows * w) + room(rows * heads) + 2 * room(rows * w) + room(rows * h);
        bytes += room(r * w);
        if (!is_checkpointed || i == 0)
            bytes += inside;
    }
    return bytes + room(q * w);
}

static void memory_is_what_the_formula_says(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 14);
    const struct clv_model_config *config = &fixture.config;
    const size_t t = 3, l = 5, w = 16, wide = 64, texts = LEARNER_TEXTS, e = 10;
    for (int is_checkpointed = 0; is_checkpointed < 2; is_checkpointed++)
        for (size_t b = 1; b <= LEARNER_CLIPS; b++) {
            const size_t rows = b * t * l, text_rows = 48, clips = LEARNER_CLIPS;
            const size_t stream = rows * w > text_rows * 12 ? rows * w : text_rows * 12;
            size_t widest = rows * wide > text_rows * 48 ? rows * wide : text_rows * 48;
            const size_t patches = b * t * 4 * 3 * 36;
            struct clv_learner *learner =
                make(&fixture, (struct clv_learner_options){.clip_batch_max = (int)b,
                                                            .checkpoint = is_checkpointed != 0});
            size_t want = 4 * room(stream) + room(widest) +
                          room(widest > patches ? widest : patches) + room(b * t * 3 * 144) +
                          2 * room(b * t * e) + 2 * room(clips * e) + 4 * room(texts * e) +
                          3 * room(clips * texts) + room(4) + room(t * 3 * 144) + room(768);
            want += room(rows * w) + tape_bytes(&config->vision, rows, rows, is_checkpointed);
            want += tape_bytes(&config->temporal, rows, b * t, is_checkpointed);
            want += tape_bytes(&config->text, text_rows, texts, is_checkpointed);
            CHECK_INT(clv_learner_activation_bytes(learner), want);
            clv_learner_free(learner);
        }
    learner_fixture_release(&fixture);
}

static void impossible_batches_are_refused(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 15);
    struct clv_learner *learner =
        make(&fixture, (struct clv_learner_options){.clip_max = 4, .text_row_max = 23});
    const struct clv_learner_batch good = learner_batch(&fixture, CLV_LOSS_CLASSES);
    const int32_t wrong_ids[] = {1, 2, 20}, starts[] = {0, 1, 2, 3}, empty[] = {0, 1, 1, 3};
    const int32_t negative[] = {1, -1, 3};
    struct clv_learner_batch bad;
    double loss = 0;
    CHECK_OK(clv_learner_forward(learner, &loss, &good));
#define REFUSED(part, ...)                                                                 \
    do {                                                                                   \
        bad = good;                                                                        \
        __VA_ARGS__;                                                                       \
        CHECK_ERROR(clv_learner_forward_backward(learner, &loss, &bad), CLV_EINVAL, part); \
    } while (0)
    REFUSED("a batch of 5 clips is not in 1..4", bad.clip_count = 5);
    REFUSED("a batch of 0 clips", bad.clip_count = 0);
    REFUSED("a batch of 7 texts is not in 1..6", bad.text_count = 7);
    REFUSED("6 texts are no classes of 4 prompts each", bad.prompt_count = 4);
    REFUSED("6 captions do not belong to 4 clips", bad.loss = CLV_LOSS_CAPTIONS);
    REFUSED("no labels", bad.labels = NULL);
    REFUSED("outside the vocabulary of 20",
            (bad.ids = wrong_ids, bad.starts = starts, bad.text_count = 3, bad.prompt_count = 1));
    REFUSED("outside the vocabulary of 20",
            (bad.ids = negative, bad.starts = starts, bad.text_count = 3, bad.prompt_count = 1));
    REFUSED("text 1 has 0 tokens",
            (bad.ids = wrong_ids, bad.starts = empty, bad.text_count = 3, bad.prompt_count = 1));
#undef REFUSED
    clv_learner_free(learner);
    learner = make(&fixture, (struct clv_learner_options){.text_row_max = 22});
    CHECK_ERROR(clv_learner_forward(learner, &loss, &good), CLV_EINVAL,
                "a batch of 23 text tokens is larger than 22");
    clv_learner_free(learner);
    learner_fixture_release(&fixture);
}

static void impossible_options_are_refused(void)
{
    struct learner_fixture fixture, clip;
    learner_fixture_init(&fixture, &learner_shapes[1], 15);
    learner_fixture_init(&clip, &learner_shapes[0], 15);
    const struct {
        struct clv_learner_options options;
        const char *part;
    } cases[] = {
        {{.drop_path = 1}, "a drop path rate of 1"},
        {{.drop_path = -0.1f}, "a drop path rate of -0.1"},
        {{.drop_path = NAN}, "a drop path rate of"},
        {{.clip_max = -1}, "a clip batch of -1"},
        {{.clip_batch_max = -2}, "a pass of clips of -2"},
        {{.text_max = -1}, "a text batch of -1"},
        {{.text_max = 1 << 21}, "a text batch of"},
        {{.text_row_max = -1}, "a batch of text tokens of -1"},
        {{.text_batch_max = -1}, "a pass of text tokens of -1"},
        {{.frame_count = 2}, "the model takes 3 frames a window, not 2"},
    };
    struct clv_learner *learner;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_ERROR(clv_learner_create(&learner, device, &fixture.config, fixture.weights,
                                       &cases[i].options),
                    CLV_EINVAL, cases[i].part);
        CHECK(learner == NULL);
    }
    CHECK_ERROR(clv_learner_create(&learner, device, &fixture.config, clip.weights, NULL),
                CLV_ECORRUPT, "is missing");
    CHECK(learner == NULL);
    /* Plain CLIP leaves T free. */
    CHECK_OK(clv_learner_create(&learner, device, &clip.config, clip.weights,
                                &(struct clv_learner_options){.frame_count = 2}));
    CHECK_INT(clv_learner_config(learner)->frame_count, 2);
    clv_learner_free(learner);
    clv_learner_free(NULL);
    learner_fixture_release(&fixture);
    learner_fixture_release(&clip);
}

static void run_all(void)
{
    T_RUN(classes_match_the_reference);
    T_RUN(captions_match_the_reference);
    T_RUN(captions_are_each_their_own);
    T_RUN(key_biases_have_no_gradient);
    T_RUN(halves_add_up);
    T_RUN(bytes_and_mixing_are_the_same_clips);
    T_RUN(small_passes_are_one_batch);
    T_RUN(checkpointing_changes_no_bit);
    T_RUN(threads_change_next_to_nothing);
    T_RUN(frozen_parts_have_no_gradient);
    T_RUN(features_stand_in_for_frozen_texts);
    T_RUN(drop_path_has_its_gradient);
    T_RUN(drop_path_follows_seed_and_place);
    T_RUN(memory_is_what_the_formula_says);
    T_RUN(impossible_batches_are_refused);
    T_RUN(impossible_options_are_refused);
}

int main(void)
{
    return t_each_device(&device, NULL, run_all);
}
