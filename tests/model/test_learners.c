/* Learners on several devices: the same losses, gradients and steps as one, and the same parameters
 * on every device to the bit. */
#include "core/model/learners.h"

#include "core/compute/gradients.h"
#include "core/error.h"
#include "core/model/params.h"
#include "tests/devices.h"
#include "tests/model/learner_fixture.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICE_MAX = 5 };

static struct clv_device *devices[DEVICE_MAX];

static const enum clv_learner_loss losses[] = {CLV_LOSS_CLASSES, CLV_LOSS_CAPTIONS};

static struct clv_learners *make(const struct learner_fixture *fixture, int count,
                                 const struct clv_learner_options *options)
{
    struct clv_learner_options limits = options ? *options : (struct clv_learner_options){0};
    struct clv_learners *learners = NULL;
    limits.clip_max = LEARNER_CLIPS;
    limits.text_max = LEARNER_TEXTS;
    CHECK_OK(clv_learners_create(&learners, devices, count, &fixture->config, fixture->weights,
                                 &limits));
    if (!learners)
        abort();
    CHECK_INT(clv_learners_count(learners), count);
    return learners;
}

/* The gradients of all members together; the caller frees. */
static float *summed_gradients(const struct clv_learners *learners, size_t *count_out)
{
    float *sum = learner_parts(clv_learners_member(learners, 0), CLV_LEARNER_GRADIENT, count_out);
    for (int i = 1; i < clv_learners_count(learners); i++) {
        float *part =
            learner_parts(clv_learners_member(learners, i), CLV_LEARNER_GRADIENT, count_out);
        for (size_t k = 0; k < *count_out; k++)
            sum[k] += part[k];
        free(part);
    }
    return sum;
}

/* Every member has the same bits. */
static void check_members_agree(const struct clv_learners *learners)
{
    static const enum clv_learner_part parts[] = {CLV_LEARNER_VALUE, CLV_LEARNER_GRADIENT,
                                                  CLV_LEARNER_MOMENT_1, CLV_LEARNER_MOMENT_2};
    for (int p = 0; p < 4; p++) {
        size_t count;
        float *first = learner_parts(clv_learners_member(learners, 0), parts[p], &count);
        for (int i = 1; i < clv_learners_count(learners); i++) {
            float *other = learner_parts(clv_learners_member(learners, i), parts[p], &count);
            if (memcmp(first, other, count * sizeof *first) != 0)
                t_fail(__FILE__, __LINE__, "part %d of member %d differs by %g", p, i,
                       learner_difference(other, first, count));
            free(other);
        }
        free(first);
    }
    for (int i = 0; i < clv_learners_count(learners); i++)
        CHECK_INT(clv_learner_step_count(clv_learners_member(learners, i)),
                  clv_learner_step_count(clv_learners_member(learners, 0)));
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* A batch's first clips, with their captions where those are compared. */
static void cut_batch(struct clv_learner_batch *batch, int clip_count, float *labels)
{
    if (batch->loss == CLV_LOSS_CAPTIONS) {
        for (int i = 0; i < clip_count; i++)
            for (int k = 0; k < clip_count; k++)
                labels[i * clip_count + k] = batch->labels[i * batch->clip_count + k];
        batch->labels = labels;
        batch->text_count = clip_count;
    }
    batch->clip_count = clip_count;
}

static void check_batch(const struct learner_fixture *fixture, const char *name,
                        const struct clv_learner_options *options, int member_count,
                        const struct clv_learner_batch *given)
{
    struct clv_learner *one = learner_make(fixture, devices[0], options);
    struct clv_learners *several = make(fixture, member_count, options);
    struct clv_learner_batch batch = *given;
    float want_logits[LEARNER_CLIPS * LEARNER_TEXTS] = {0}, logits[LEARNER_CLIPS * LEARNER_TEXTS];
    const int logit_count = batch.clip_count * batch.text_count;
    double want_loss = NAN, loss = NAN, forward = NAN, want_forward = NAN;
    size_t count;
    batch.logits_out = want_logits;
    CHECK_OK(clv_learner_forward(one, &want_forward, &batch));
    CHECK_OK(clv_learner_forward_backward(one, &want_loss, &batch));
    float *want = learner_parts(one, CLV_LEARNER_GRADIENT, &count);
    batch.logits_out = logits;
    CHECK_OK(clv_learners_forward(several, &forward, &batch));
    CHECK_OK(clv_learners_forward_backward(several, &loss, &batch));
    float *got = summed_gradients(several, &count);
    const double off = learner_difference(got, want, count), limit = learner_limit(devices[0]);
    CHECK_NEAR(loss, want_loss, limit);
    CHECK_NEAR(forward, want_forward, limit);
    for (int i = 0; i < logit_count; i++)
        CHECK_NEAR(logits[i], want_logits[i], 1e-4);
    if (!(off <= limit))
        t_fail(__FILE__, __LINE__, "%s: gradients of %d clips by %d members differ by %g", name,
               batch.clip_count, member_count, off);
    free(want);
    free(got);
    clv_learner_free(one);
    clv_learners_free(several);
}

static void check_batches(const struct learner_shape *shape,
                          const struct clv_learner_options *options, int member_count)
{
    struct learner_fixture fixture;
    float labels[LEARNER_CLIPS * LEARNER_CLIPS];
    learner_fixture_init(&fixture, shape, 30);
    for (int l = 0; l < 2; l++)
        for (int clips = 1; clips <= LEARNER_CLIPS; clips++) {
            struct clv_learner_batch batch = learner_batch(&fixture, losses[l]);
            cut_batch(&batch, clips, labels);
            batch.seed = 5;
            batch.weight = 0.25f;
            check_batch(&fixture, shape->name, options, member_count, &batch);
        }
    learner_fixture_release(&fixture);
}

/* Also where there are fewer clips, and fewer texts, than members. */
static void members_add_up_to_one(void)
{
    for (int s = 0; s < learner_shape_count; s++)
        for (int members = 1; members <= DEVICE_MAX; members += 1 + members / 3)
            check_batches(&learner_shapes[s], NULL, members);
}

/* What a clip drops depends on its place in the whole batch, whoever computes it; passes of a
 * member may be small, and its blocks computed again. */
static void members_drop_and_pass_as_one(void)
{
    const struct clv_learner_options options[] = {
        {.drop_path = 0.4f},
        {.drop_path = 0.4f, .clip_batch_max = 1, .text_batch_max = 8},
        {.drop_path = 0.2f, .checkpoint = true, .clip_batch_max = 3},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        for (int members = 2; members <= 3; members++)
            check_batches(&learner_shapes[1], &options[i], members);
}

static void frozen_branches_stay_out(void)
{
    const struct clv_learner_options options[] = {
        {.freeze_text = true},
        {.freeze_image = true},
        {.freeze_image = true, .freeze_temporal = true},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        check_batches(&learner_shapes[1], &options[i], 3);
}

/* Features in place of texts go to every member as they are. */
static void features_are_given_to_all(void)
{
    const struct clv_learner_options frozen = {.freeze_text = true};
    struct learner_fixture fixture;
    float features[LEARNER_TEXTS * 64];
    uint64_t seed = 9;
    learner_fixture_init(&fixture, &learner_shapes[1], 31);
    REQUIRE(fixture.config.embed_dim <= 64);
    for (int i = 0; i < LEARNER_TEXTS * 64; i++)
        features[i] = (float)t_normal(&seed);
    for (int l = 0; l < 2; l++) {
        struct clv_learner_batch batch = learner_batch(&fixture, losses[l]);
        batch.text_features = features;
        batch.ids = batch.starts = NULL;
        check_batch(&fixture, "features", &frozen, 3, &batch);
    }
    learner_fixture_release(&fixture);
}

/* Batches of any size follow one another: nothing of one is left for the next. */
static void sizes_change_from_batch_to_batch(void)
{
    static const int sizes[] = {4, 1, 3, 4, 2, 1, 4};
    struct learner_fixture fixture;
    float labels[LEARNER_CLIPS * LEARNER_CLIPS];
    learner_fixture_init(&fixture, &learner_shapes[1], 38);
    struct clv_learner *one = learner_make(&fixture, devices[0], NULL);
    struct clv_learners *several = make(&fixture, 3, NULL);
    for (int i = 0; i < 2 * (int)(sizeof sizes / sizeof *sizes); i++) {
        struct clv_learner_batch batch = learner_batch(&fixture, losses[i % 2]);
        double want_loss = NAN, loss = NAN;
        size_t count;
        cut_batch(&batch, sizes[i / 2], labels);
        clv_learner_zero_gradients(one);
        clv_learners_zero_gradients(several);
        CHECK_OK(clv_learner_forward_backward(one, &want_loss, &batch));
        CHECK_OK(clv_learners_forward_backward(several, &loss, &batch));
        float *want = learner_parts(one, CLV_LEARNER_GRADIENT, &count);
        float *got = summed_gradients(several, &count);
        CHECK_NEAR(loss, want_loss, learner_limit(devices[0]));
        CHECK_NEAR(learner_difference(got, want, count), 0, learner_limit(devices[0]));
        free(want);
        free(got);
    }
    clv_learner_free(one);
    clv_learners_free(several);
    learner_fixture_release(&fixture);
}

enum { MIX_CLIP = 3 * 3 * 12 * 12 };

/* Every number of clips on the members, as floats and as bytes. */
static void check_mixed(const struct learner_fixture *fixture, const uint8_t *squares,
                        const struct clv_learner_options *options, int member_count,
                        const struct clv_mix *mix)
{
    float labels[LEARNER_CLIPS * LEARNER_CLIPS];
    for (int l = 0; l < 2; l++)
        for (int clips = 1; clips <= LEARNER_CLIPS; clips++) {
            struct clv_learner_batch batch = learner_batch(fixture, losses[l]);
            cut_batch(&batch, clips, labels);
            batch.mix = mix;
            check_batch(fixture, "mixed floats", options, member_count, &batch);
            batch.pixels = NULL;
            batch.squares = squares;
            check_batch(fixture, "mixed bytes", options, member_count, &batch);
        }
}

/* A clip's partner lies at the other end of the batch, mostly with another member, and is mixed in
 * as it came: not as that member has mixed it, and not at the other end of its own share. */
static void partners_of_other_members_are_mixed_in(void)
{
    static uint8_t squares[LEARNER_CLIPS * MIX_CLIP];
    const struct clv_mix mixes[] = {
        {.lambda = 0.3},
        {.lambda = 0.75, .is_cutmix = true, .top = 2, .bottom = 8, .left = 3, .right = 9}};
    const struct clv_learner_options small = {.clip_batch_max = 1, .drop_path = 0.3f};
    struct learner_fixture fixture;
    uint64_t seed = 37;
    learner_fixture_init(&fixture, &learner_shapes[1], 36);
    REQUIRE(fixture.config.frame_count * fixture.config.image_side * fixture.config.image_side *
                3 ==
            MIX_CLIP);
    for (size_t i = 0; i < sizeof squares; i++)
        squares[i] = (uint8_t)t_random(&seed);
    for (int m = 0; m < 2; m++) {
        for (int members = 1; members <= DEVICE_MAX; members += 1 + members / 3)
            check_mixed(&fixture, squares, NULL, members, &mixes[m]);
        check_mixed(&fixture, squares, &small, 2, &mixes[m]);
    }
    learner_fixture_release(&fixture);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Large enough an epsilon that a gradient of nothing but rounding moves nothing. */
static const struct clv_learner_step_options step_options = {.lr = 3e-3f,
                                                             .lr_temporal_factor = 2,
                                                             .beta1 = 0.9f,
                                                             .beta2 = 0.98f,
                                                             .eps = 1e-3f,
                                                             .weight_decay = 0.01f,
                                                             .clip_norm = 0.5f};

static struct clv_learner_batch numbered_batch(const struct learner_fixture *fixture, int number)
{
    struct clv_learner_batch batch = learner_batch(fixture, losses[number % 2]);
    batch.seed = (uint64_t)number;
    batch.weight = 0.5f;
    return batch;
}

static void steps_agree(void)
{
    const struct clv_learner_options options = {.drop_path = 0.3f};
    for (int members = 1; members <= 3; members++) {
        struct learner_fixture fixture;
        size_t count;
        learner_fixture_init(&fixture, &learner_shapes[1], 32);
        struct clv_learner *one = learner_make(&fixture, devices[0], &options);
        struct clv_learners *several = make(&fixture, members, &options);
        float *before = learner_parts(one, CLV_LEARNER_VALUE, &count);
        for (int step = 0; step < 5; step++) {
            double want_loss = NAN, loss = NAN, want_norm = NAN, norm = NAN;
            clv_learner_zero_gradients(one);
            clv_learners_zero_gradients(several);
            for (int pass = 0; pass < 2; pass++) {
                const struct clv_learner_batch batch = numbered_batch(&fixture, 2 * step + pass);
                CHECK_OK(clv_learner_forward_backward(one, &want_loss, &batch));
                CHECK_OK(clv_learners_forward_backward(several, &loss, &batch));
                CHECK_NEAR(loss, want_loss, 1e-4);
            }
            CHECK_OK(clv_learner_step(one, &want_norm, &step_options));
            CHECK_OK(clv_learners_step(several, &norm, &step_options));
            CHECK(want_norm > (double)step_options.clip_norm);
            CHECK_NEAR(norm, want_norm, 1e-4 * want_norm);
            check_members_agree(several);
        }
        float *want = learner_parts(one, CLV_LEARNER_VALUE, &count);
        float *got = learner_parts(clv_learners_member(several, 0), CLV_LEARNER_VALUE, &count);
        CHECK(learner_difference(want, before, count) > 1e-3);
        CHECK_NEAR(learner_difference(got, want, count), 0, learner_limit(devices[0]));
        if (members == 1)
            CHECK(memcmp(got, want, count * sizeof *got) == 0);
        free(before);
        free(want);
        free(got);
        clv_learner_free(one);
        clv_learners_free(several);
        learner_fixture_release(&fixture);
    }
}

/* Gradients stay after a step, and what is added to them then is added once. */
static void gradients_stay_after_a_step(void)
{
    struct clv_learner_step_options still = step_options;
    struct learner_fixture fixture;
    double want_norm = NAN, norm = NAN;
    still.lr = 0;
    learner_fixture_init(&fixture, &learner_shapes[1], 33);
    struct clv_learner *one = learner_make(&fixture, devices[0], NULL);
    struct clv_learners *several = make(&fixture, 3, NULL);
    for (int i = 0; i < 3; i++) {
        const struct clv_learner_batch batch = numbered_batch(&fixture, i);
        CHECK_OK(clv_learner_forward_backward(one, NULL, &batch));
        CHECK_OK(clv_learners_forward_backward(several, NULL, &batch));
        for (int again = 0; again < 2; again++) {
            CHECK_OK(clv_learner_step(one, &want_norm, &still));
            CHECK_OK(clv_learners_step(several, &norm, &still));
            CHECK_NEAR(norm, want_norm, learner_limit(devices[0]) * want_norm);
        }
    }
    check_members_agree(several);
    clv_learner_free(one);
    clv_learners_free(several);
    learner_fixture_release(&fixture);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void what_makes_no_sense_is_refused(void)
{
    struct learner_fixture fixture;
    struct clv_learners *learners = NULL;
    learner_fixture_init(&fixture, &learner_shapes[1], 34);
    const struct clv_learner_options wrong = {.clip_max = LEARNER_CLIPS, .drop_path = 2};
    CHECK_ERROR(
        clv_learners_create(&learners, devices, 2, &fixture.config, fixture.weights, &wrong),
        CLV_EINVAL, "drop path");
    CHECK(learners == NULL);
    learners = make(&fixture, 2, NULL);
    struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CLASSES);
    batch.clip_count = LEARNER_CLIPS + 1;
    CHECK_ERROR(clv_learners_forward_backward(learners, NULL, &batch), CLV_EINVAL, "5 clips");
    CHECK_ERROR(clv_learners_write(learners, CLV_LEARNER_GRADIENT, 0, NULL), CLV_EINVAL,
                "gradients of its own");
    clv_learners_free(learners);
    clv_learners_free(NULL);
    learner_fixture_release(&fixture);
}

/* One device's failure is the call's, and the next call goes on. */
static void a_device_that_fails_is_told(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 35);
    struct clv_learners *learners = make(&fixture, 3, NULL);
    const struct clv_learner_batch batch = learner_batch(&fixture, CLV_LOSS_CAPTIONS);
    double loss = NAN, again = NAN;
    CHECK_OK(clv_learners_forward(learners, &loss, &batch));
    clv_device_fail(devices[2], clv_fail(CLV_EDEVICE, "the third has melted"));
    CHECK_ERROR(clv_learners_forward_backward(learners, NULL, &batch), CLV_EDEVICE, "melted");
    CHECK_OK(clv_learners_forward(learners, &again, &batch));
    CHECK(loss == again);
    /* Nobody takes a step that one cannot take. */
    CHECK_OK(clv_learners_forward_backward(learners, NULL, &batch));
    clv_device_fail(devices[1], clv_fail(CLV_EDEVICE, "the second has frozen"));
    CHECK_ERROR(clv_learners_step(learners, NULL, &step_options), CLV_EDEVICE, "frozen");
    check_members_agree(learners);
    CHECK_INT(clv_learner_step_count(clv_learners_member(learners, 0)), 0);
    clv_learners_zero_gradients(learners);
    /* A gradient that is no number changes nothing anywhere. */
    float *gradient = calloc((size_t)fixture.params.items[0].element_count, sizeof *gradient);
    REQUIRE(gradient);
    gradient[0] = NAN;
    CHECK_OK(
        clv_learner_write(clv_learners_member(learners, 1), CLV_LEARNER_GRADIENT, 0, gradient));
    CHECK_ERROR(clv_learners_step(learners, NULL, &step_options), CLV_EINVAL, "no finite number");
    clv_learners_zero_gradients(learners);
    check_members_agree(learners);
    CHECK_INT(clv_learner_step_count(clv_learners_member(learners, 0)), 0);
    free(gradient);
    clv_learners_free(learners);
    learner_fixture_release(&fixture);
}

/* ---- devices --------------------------------------------------------------------------------- */

/* CPUs of one thread; CUDA devices by turns, so that one alone serves several members too. */
static int run_on(enum clv_device_kind kind)
{
    const int there = clv_device_count(kind);
    for (int i = 0; i < DEVICE_MAX; i++) {
        const struct clv_device_options options = {
            .kind = kind, .thread_count = 1, .cuda_index = there > 0 ? i % there : 0};
        if (clv_device_open(&devices[i], &options) != CLV_OK)
            return t_check_ok(__FILE__, __LINE__, "clv_device_open", CLV_EDEVICE);
    }
    T_RUN(members_add_up_to_one);
    T_RUN(members_drop_and_pass_as_one);
    T_RUN(frozen_branches_stay_out);
    T_RUN(features_are_given_to_all);
    T_RUN(sizes_change_from_batch_to_batch);
    T_RUN(partners_of_other_members_are_mixed_in);
    T_RUN(steps_agree);
    T_RUN(gradients_stay_after_a_step);
    T_RUN(what_makes_no_sense_is_refused);
    T_RUN(a_device_that_fails_is_told);
    for (int i = 0; i < DEVICE_MAX; i++)
        clv_device_close(devices[i]);
    return 0;
}

int main(void)
{
    if (t_cpu())
        run_on(CLV_DEVICE_CPU);
    t_suffix(" (cuda)");
    if (t_cuda())
        run_on(CLV_DEVICE_CUDA);
    t_suffix("");
    return t_end();
}
