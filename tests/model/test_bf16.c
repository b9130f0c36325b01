/* The model where the insides of its blocks are stored as bfloat16: on the CPU, which then rounds
 * what it stores and nothing else, and on CUDA at bf16, which rounds factors too. Both against the
 * CPU in fp32. */
#include "core/error.h"
#include "core/model/learner.h"
#include "core/model/model.h"
#include "core/model/weights.h"
#include "tests/devices.h"
#include "tests/model/golden.h"
#include "tests/model/learner_fixture.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of bfloat16's 2^-9 a number: what is left of the cosine of a vector, and of a text of the golden
 * models, which are small differences of large numbers; how far the gradient of a parameter may lie
 * from that of fp32, in parts of its length, and how far all gradients together. */
struct limits {
    double cosine, golden_text, gradient, gradients;
};
static const struct limits storing = {0.9995, 0.9995, 0.15, 0.06};
static const struct limits multiplying = {0.9995, 0.998, 0.2, 0.12}; /* factors are rounded too */
static const struct limits *limits;

static struct clv_device *device, *exact; /* the one under test, and the CPU in fp32 */

static void *need(size_t size_bytes)
{
    void *memory = malloc(size_bytes + 1);
    if (!memory)
        abort();
    return memory;
}

static double cosine(const float *a, const float *b, size_t count)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static void check_cosines_to(double least, const char *what, const float *got, const float *want,
                             size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++) {
        const double c = cosine(got + i * cols, want + i * cols, cols);
        if (!(c >= least))
            t_fail(__FILE__, __LINE__, "%s %zu has cosine %.7f", what, i, c);
    }
}

static void check_cosines(const char *what, const float *got, const float *want, size_t rows,
                          size_t cols)
{
    check_cosines_to(limits->cosine, what, got, want, rows, cols);
}

/* ---- serving --------------------------------------------------------------------------------- */

/* What a device makes of the fixture: the first clip's window, whole and by class tokens alone, and
 * all texts. */
struct served {
    float vector[10], features[3 * 10], texts[LEARNER_TEXTS * 10];
    float *patch_tokens;
    size_t patch_token_count;
};

static struct served serve(struct clv_device *on, const struct learner_fixture *fixture)
{
    static const int32_t slots[] = {0, 1, 2};
    const struct clv_model_config *config = &fixture->config;
    const struct clv_encoder_options options = {.all_tokens = true, .frame_batch_max = 2};
    struct served out = {.patch_token_count =
                             3 * (size_t)(config->token_count - 1) * (size_t)config->vision.width};
    struct clv_encoder *encoder = NULL;
    out.patch_tokens = need(out.patch_token_count * sizeof(float));
    if (!t_check_ok(__FILE__, __LINE__, "an encoder",
                    clv_encoder_create(&encoder, on, fixture->weights, config, &options)))
        abort();
    CHECK_OK(clv_encoder_frames(encoder, slots, fixture->pixels, 3));
    CHECK_OK(clv_encoder_windows(
        encoder,
        &(struct clv_window_outputs){.vectors = out.vector, .frame_features = out.features}, slots,
        1));
    CHECK_OK(clv_encoder_windows(
        encoder, &(struct clv_window_outputs){.patch_tokens = out.patch_tokens}, slots, 1));
    CHECK_OK(clv_encoder_text(encoder, out.texts, fixture->ids, fixture->starts, LEARNER_TEXTS));
    clv_encoder_free(encoder);
    return out;
}

static void encoders_agree(void)
{
    for (int s = 0; s < learner_shape_count; s++) {
        struct learner_fixture fixture;
        learner_fixture_init(&fixture, &learner_shapes[s], 31);
        struct served got = serve(device, &fixture), want = serve(exact, &fixture);
        const size_t width = (size_t)fixture.config.vision.width;
        check_cosines(learner_shapes[s].name, got.vector, want.vector, 1, 10);
        check_cosines("a frame", got.features, want.features, 3, 10);
        check_cosines("a patch", got.patch_tokens, want.patch_tokens, got.patch_token_count / width,
                      width);
        check_cosines("a text", got.texts, want.texts, LEARNER_TEXTS, 10);
        /* Rounding there is, or nothing was tested. */
        if (learner_shapes[s].layers > 0)
            CHECK(memcmp(got.vector, want.vector, sizeof got.vector) != 0);
        free(got.patch_tokens);
        free(want.patch_tokens);
        learner_fixture_release(&fixture);
    }
}

/* ---- the shared expectations ----------------------------------------------------------------- */

static float *read_tensor(const struct clv_weights *file, const char *name, size_t *count_out)
{
    const struct clv_weight_entry *entry = clv_weights_find(file, name);
    if (!entry)
        abort();
    float *numbers = need(entry->element_count * sizeof *numbers);
    CHECK_OK(clv_weights_read(numbers, entry));
    *count_out = entry->element_count;
    return numbers;
}

static void check_golden_videos(const struct clv_model *model, const struct clv_weights *file)
{
    const struct clv_model_config *config = &model->config;
    const size_t t = (size_t)config->frame_count, e = (size_t)config->embed_dim;
    const struct clv_encoder_options options = {.no_text = true};
    struct clv_encoder *encoder = NULL;
    size_t pixel_count, feature_count, vector_count;
    float *pixels = read_tensor(file, "input_video", &pixel_count);
    float *features = read_tensor(file, "frame_features", &feature_count);
    float *vectors = read_tensor(file, "video_vector", &vector_count);
    float *got = need((t + 1) * e * sizeof *got);
    int32_t *slots = need(t * sizeof *slots);
    for (size_t i = 0; i < t; i++)
        slots[i] = (int32_t)i;
    CHECK_OK(clv_encoder_create(&encoder, device, model->weights, config, &options));
    for (size_t b = 0; encoder && b < vector_count / e; b++) {
        CHECK_OK(clv_encoder_frames(encoder, slots, pixels + b * (pixel_count / (vector_count / e)),
                                    (int)t));
        CHECK_OK(clv_encoder_windows(
            encoder, &(struct clv_window_outputs){.vectors = got, .frame_features = got + e}, slots,
            1));
        check_cosines("the vector of a video", got, vectors + b * e, 1, e);
        check_cosines("a frame", got + e, features + b * t * e, t, e);
    }
    clv_encoder_free(encoder);
    free(pixels);
    free(features);
    free(vectors);
    free(got);
    free(slots);
}

static void check_golden_texts(const struct clv_model *model, const struct clv_weights *file)
{
    const struct clv_weight_entry *tokens = clv_weights_find(file, "input_tokens");
    const struct clv_encoder_options options = {.no_vision = true};
    const size_t e = (size_t)model->config.embed_dim;
    struct clv_encoder *encoder = NULL;
    size_t feature_count;
    float *features = read_tensor(file, "text_features", &feature_count);
    float *got = need(feature_count * sizeof *got);
    REQUIRE(tokens && tokens->dtype == CLV_I32);
    const size_t length = (size_t)tokens->shape[2];
    CHECK_OK(clv_encoder_create(&encoder, device, model->weights, &model->config, &options));
    for (size_t i = 0; encoder && i < feature_count / e; i++) {
        int32_t ids[77];
        int32_t end = 0;
        REQUIRE(length <= 77);
        for (size_t k = 0; k < length; k++) {
            memcpy(&ids[k], (const unsigned char *)tokens->data + (i * length + k) * sizeof *ids,
                   sizeof *ids);
            if (ids[k] > ids[end]) /* the end token is the largest */
                end = (int32_t)k;
        }
        CHECK_OK(clv_encoder_text(encoder, got, ids, (int32_t[]){0, end + 1}, 1));
        check_cosines_to(limits->golden_text, "a text", got, features + i * e, 1, e);
    }
    clv_encoder_free(encoder);
    free(features);
    free(got);
}

static void check_golden(const struct clv_model *model, const char *expect)
{
    struct clv_weights *file = NULL;
    REQUIRE_OK(clv_weights_open(&file, expect));
    check_golden_videos(model, file);
    check_golden_texts(model, file);
    clv_weights_close(file);
}

static void golden_vectors_keep_their_direction(void)
{
    golden_each(check_golden);
}

/* ---- training -------------------------------------------------------------------------------- */

/* Parameter by parameter, in parts of its length; what is zero in fp32 (a key's bias) is zero. */
static void check_gradients(const struct clv_params *params, const char *shape, const float *got,
                            const float *want)
{
    double whole = 0, off_whole = 0;
    for (size_t i = 0; i < params->count; i++) {
        const size_t count = params->items[i].element_count;
        double square = 0, off = 0;
        if (!params->items[i].trainable)
            continue;
        for (size_t k = 0; k < count; k++) {
            const double difference = (double)got[k] - (double)want[k];
            square += (double)want[k] * (double)want[k];
            off += difference * difference;
        }
        if (!(sqrt(off) <= limits->gradient * sqrt(square)))
            t_fail(__FILE__, __LINE__, "%s: the gradient of %s is off by %.3g of %.3g", shape,
                   params->items[i].name, sqrt(off), sqrt(square));
        whole += square;
        off_whole += off;
        got += count;
        want += count;
    }
    CHECK(whole > 0);
    if (!(sqrt(off_whole) <= limits->gradients * sqrt(whole)))
        t_fail(__FILE__, __LINE__, "%s: the gradients are off by %.3g of %.3g", shape,
               sqrt(off_whole), sqrt(whole));
}

static float *gradients_on(struct clv_device *on, const struct learner_fixture *fixture,
                           const struct clv_learner_options *options, enum clv_learner_loss loss,
                           double *loss_out)
{
    struct clv_learner *learner = learner_make(fixture, on, options);
    struct clv_learner_batch batch = learner_batch(fixture, loss);
    size_t count;
    batch.seed = 9;
    CHECK_OK(clv_learner_forward_backward(learner, loss_out, &batch));
    float *gradient = learner_parts(learner, CLV_LEARNER_GRADIENT, &count);
    clv_learner_free(learner);
    return gradient;
}

static void check_training(const struct learner_shape *shape,
                           const struct clv_learner_options *options, enum clv_learner_loss loss)
{
    struct learner_fixture fixture;
    double got_loss = NAN, want_loss = NAN;
    learner_fixture_init(&fixture, shape, 32);
    float *got = gradients_on(device, &fixture, options, loss, &got_loss);
    float *want = gradients_on(exact, &fixture, options, loss, &want_loss);
    CHECK_NEAR(got_loss, want_loss, 0.02 * fabs(want_loss));
    check_gradients(&fixture.params, shape->name, got, want);
    free(got);
    free(want);
    learner_fixture_release(&fixture);
}

static void gradients_agree(void)
{
    for (int s = 0; s < learner_shape_count; s++) {
        check_training(&learner_shapes[s], NULL, CLV_LOSS_CLASSES);
        check_training(&learner_shapes[s], NULL, CLV_LOSS_CAPTIONS);
    }
}

/* Samples dropped from blocks, insides computed again, one clip a pass. */
static void gradients_agree_in_every_way_of_training(void)
{
    static const struct clv_learner_options ways[] = {
        {.drop_path = 0.4f}, {.checkpoint = true}, {.clip_batch_max = 1, .text_batch_max = 8}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (int s = 0; s < learner_shape_count; s++)
            check_training(&learner_shapes[s], &ways[i], CLV_LOSS_CAPTIONS);
}

/* Recomputed insides are the same bits as kept ones, also where they are rounded. */
static void checkpointing_changes_no_bit(void)
{
    for (int s = 0; s < learner_shape_count; s++) {
        const struct clv_learner_options kept = {0}, again = {.checkpoint = true};
        struct learner_fixture fixture;
        double losses[2];
        learner_fixture_init(&fixture, &learner_shapes[s], 33);
        float *a = gradients_on(device, &fixture, &kept, CLV_LOSS_CLASSES, &losses[0]);
        float *b = gradients_on(device, &fixture, &again, CLV_LOSS_CLASSES, &losses[1]);
        size_t count = 0;
        for (size_t i = 0; i < fixture.params.count; i++)
            count += fixture.params.items[i].element_count;
        CHECK(losses[0] == losses[1] && memcmp(a, b, count * sizeof *a) == 0);
        free(a);
        free(b);
        learner_fixture_release(&fixture);
    }
}

/* The tape is most of what training keeps, and a good part of it is activations. */
static void training_takes_less_memory(void)
{
    struct learner_fixture fixture;
    learner_fixture_init(&fixture, &learner_shapes[1], 34);
    struct clv_learner *halves = learner_make(&fixture, device, NULL);
    struct clv_learner *whole = learner_make(&fixture, exact, NULL);
    CHECK((double)clv_learner_activation_bytes(halves) <
          0.8 * (double)clv_learner_activation_bytes(whole));
    clv_learner_free(halves);
    clv_learner_free(whole);
    learner_fixture_release(&fixture);
}

static double last_loss(struct clv_device *on, const struct learner_fixture *fixture, int steps,
                        double *first_out)
{
    struct clv_learner *learner = learner_make(fixture, on, NULL);
    struct clv_learner_step_options step = clv_learner_step_defaults;
    struct clv_learner_batch batch = learner_batch(fixture, CLV_LOSS_CLASSES);
    double loss = NAN;
    step.lr = 2e-3f;
    step.lr_temporal_factor = 1;
    for (int i = 0; i <= steps; i++) {
        clv_learner_zero_gradients(learner);
        CHECK_OK(clv_learner_forward_backward(learner, &loss, &batch));
        CHECK_OK(clv_learner_step(learner, NULL, &step));
        if (i == 0)
            *first_out = loss;
    }
    clv_learner_free(learner);
    return loss;
}

/* Steps go where those of fp32 go: the loss falls as far, to a tenth of the fall. */
static void steps_agree(void)
{
    for (int s = 0; s < 5; s++) {
        struct learner_fixture fixture;
        double first, first_exact;
        learner_fixture_init(&fixture, &learner_shapes[s], 35);
        const double last = last_loss(device, &fixture, 30, &first);
        const double want = last_loss(exact, &fixture, 30, &first_exact);
        CHECK(want < 0.8 * first_exact);
        CHECK_NEAR(last, want, 0.1 * (first_exact - want));
        learner_fixture_release(&fixture);
    }
}

/* ---- devices --------------------------------------------------------------------------------- */

static void run_on(enum clv_device_kind kind)
{
    const struct clv_device_options options = {
        .kind = kind,
        .precision = kind == CLV_DEVICE_CUDA ? CLV_PRECISION_BF16 : CLV_PRECISION_FP32,
        .bf16_activations = kind == CLV_DEVICE_CPU,
    };
    limits = kind == CLV_DEVICE_CUDA ? &multiplying : &storing;
    t_suffix(kind == CLV_DEVICE_CUDA ? " (cuda)" : "");
    t_begin("a device with bf16 activations");
    CHECK_OK(clv_device_open(&device, &options));
    CHECK_INT(device ? (int)clv_device_activation_type(device) : -1, CLV_TYPE_BF16);
    t_finish();
    if (!device)
        return;
    T_RUN(encoders_agree);
    T_RUN(golden_vectors_keep_their_direction);
    T_RUN(gradients_agree);
    T_RUN(gradients_agree_in_every_way_of_training);
    T_RUN(checkpointing_changes_no_bit);
    T_RUN(training_takes_less_memory);
    T_RUN(steps_agree);
    clv_device_close(device);
    device = NULL;
}

int main(void)
{
    t_begin("a device to compare with");
    CHECK_OK(clv_device_open(&exact, &(struct clv_device_options){.kind = CLV_DEVICE_CPU}));
    CHECK_INT(exact ? (int)clv_device_activation_type(exact) : -1, CLV_TYPE_FP32);
    t_finish();
    if (exact && t_cpu())
        run_on(CLV_DEVICE_CPU);
    if (exact && t_cuda())
        run_on(CLV_DEVICE_CUDA);
    clv_device_close(exact);
    return t_end();
}
