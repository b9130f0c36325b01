/* The encoders against a double-precision CLAVER, over models of many shapes. */
#include "core/model/encoder.h"

#include "core/error.h"
#include "core/model/pixels.h"
#include "tests/devices.h"
#include "tests/model/random_model.h"
#include "tests/model/reference.h"
#include "tests/t.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *directory;

#define LIMIT 1e-4
#define TEXT_MAX 8

static struct clv_device *device;

struct shape {
    const char *name;
    int t, patch, grid, width, layers, temporal_layers, text_width, text_layers, heads;
    enum clv_mask mask;
    enum clv_dtype dtype;
    bool is_clip, is_unaligned, is_gelu;
    int mlp; /* of every tower; 0: 4W */
};

static const struct shape shapes[] = {
    {"kmt t8", 8, 16, 3, 128, 3, 2, 64, 2, 0, CLV_MASK_KMT, CLV_F32, false, false, false, 0},
    {"kmct t8", 8, 4, 2, 64, 2, 1, 128, 1, 0, CLV_MASK_KMCT, CLV_F32, false, false, false, 0},
    {"kmct deep", 2, 4, 2, 64, 1, 3, 32, 1, 0, CLV_MASK_KMCT, CLV_F32, false, false, false, 0},
    {"t1", 1, 32, 2, 32, 2, 2, 32, 2, 0, CLV_MASK_KMT, CLV_F32, false, false, false, 0},
    {"t1 causal", 1, 4, 1, 192, 1, 1, 192, 1, 0, CLV_MASK_KMCT, CLV_F32, false, false, false, 0},
    {"t2 wide", 2, 4, 4, 192, 2, 1, 64, 3, 0, CLV_MASK_KMT, CLV_F32, false, false, false, 0},
    {"five heads", 2, 8, 2, 80, 2, 1, 64, 1, 5, CLV_MASK_KMT, CLV_F32, false, false, false, 0},
    {"no blocks", 2, 8, 2, 64, 0, 0, 64, 0, 0, CLV_MASK_KMT, CLV_F32, false, false, false, 0},
    {"embedding only", 4, 8, 2, 64, 2, 0, 64, 1, 0, CLV_MASK_KMT, CLV_F32, false, false, false, 0},
    {"gelu", 2, 8, 2, 64, 2, 1, 64, 1, 0, CLV_MASK_KMT, CLV_F32, false, false, true, 0},
    {"clip", 4, 16, 3, 128, 3, 0, 64, 2, 0, CLV_MASK_NONE, CLV_F32, true, false, false, 0},
    {"clip t1", 1, 4, 2, 32, 1, 0, 32, 1, 0, CLV_MASK_NONE, CLV_F32, true, false, false, 0},
    {"f16", 2, 8, 2, 64, 2, 1, 64, 2, 0, CLV_MASK_KMT, CLV_F16, false, false, false, 0},
    {"bf16", 2, 8, 2, 128, 2, 1, 64, 2, 0, CLV_MASK_KMCT, CLV_BF16, false, false, false, 0},
    {"f16 clip", 3, 8, 2, 64, 2, 0, 64, 2, 0, CLV_MASK_NONE, CLV_F16, true, false, false, 0},
    {"unaligned", 2, 8, 2, 64, 2, 1, 64, 2, 0, CLV_MASK_KMT, CLV_F32, false, true, false, 0},
    {"f16 unaligned", 2, 8, 2, 64, 2, 1, 64, 2, 0, CLV_MASK_KMT, CLV_F16, false, true, false, 0},
    {"mlp of 50", 2, 8, 2, 64, 2, 1, 64, 2, 0, CLV_MASK_KMT, CLV_F32, false, false, false, 50},
    {"mlp of 437", 2, 8, 2, 64, 2, 1, 64, 2, 0, CLV_MASK_KMCT, CLV_F16, false, false, true, 437},
    {"mlp of 10, clip", 2, 8, 3, 64, 2, 0, 64, 2, 0, CLV_MASK_NONE, CLV_F32, true, false, false,
     10},
    {"heads of 80", 2, 8, 3, 160, 2, 1, 160, 2, 2, CLV_MASK_KMT, CLV_F32, false, false, true, 0},
    {"heads of 88", 2, 8, 3, 176, 2, 1, 176, 2, 2, CLV_MASK_KMCT, CLV_F32, false, false, true, 768},
    {"heads of 104", 2, 8, 3, 208, 2, 0, 208, 2, 2, CLV_MASK_NONE, CLV_F32, true, false, true,
     1024},
    {"heads of 16", 2, 8, 3, 64, 2, 1, 64, 2, 4, CLV_MASK_KMT, CLV_F32, false, false, true, 0},
    {"heads of 8", 2, 8, 3, 32, 2, 1, 32, 2, 4, CLV_MASK_KMCT, CLV_F32, false, false, false, 0},
    {"joint", 3, 8, 2, 64, 2, 2, 64, 1, 0, CLV_MASK_NONE, CLV_F32, false, false, false, 0},
};
#define SHAPE_COUNT (sizeof shapes / sizeof shapes[0])

static int heads_of(const struct shape *shape, int width)
{
    if (shape->heads && width % shape->heads == 0)
        return shape->heads;
    return width < 64 ? 1 : width / 64;
}

static struct clv_model_config config_of(const struct shape *shape)
{
    struct clv_model_config config = {
        .vision = {shape->width, shape->layers, heads_of(shape, shape->width), shape->mlp},
        .text = {shape->text_width, shape->text_layers, heads_of(shape, shape->text_width),
                 shape->mlp},
        .embed_dim = 24,
        .image_side = shape->patch * shape->grid,
        .patch_side = shape->patch,
        .frame_count = shape->t,
        .context_length = 77,
        .vocabulary_size = 100,
        .mask = shape->mask,
        .activation = shape->is_gelu ? CLV_ACTIVATION_GELU : CLV_ACTIVATION_QUICK_GELU,
    };
    if (!shape->is_clip) {
        config.temporal = config.vision;
        config.temporal.layer_count = shape->temporal_layers;
        /* The temporal tower may have an MLP of its own width. */
        config.temporal.mlp_width += shape->mlp ? 6 : 0;
    }
    random_model_complete(&config);
    return config;
}

/* A written, opened and inferred model. */
struct fixture {
    struct clv_weights *weights;
    struct clv_model_config config;
};

static bool setup(struct fixture *out, const struct shape *shape)
{
    const struct random_model_options options = {
        .seed = 7, .dtype = shape->dtype, .is_unaligned = shape->is_unaligned};
    struct clv_model_config config = config_of(shape);
    const char *path = t_path(directory, "model.safetensors");
    *out = (struct fixture){0};
    if (random_model_write(path, &config, &options) != CLV_OK ||
        clv_weights_open(&out->weights, path) != CLV_OK ||
        clv_config_infer(&out->config, out->weights) != CLV_OK) {
        t_fail(__FILE__, __LINE__, "%s: %s", shape->name, clv_error_message());
        return false;
    }
    return true;
}

/* The largest error relative to the largest value wanted. */
static double relative_error(const float *got, const double *want, size_t count)
{
    double error = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs(got[i] - want[i]);
        if (!(difference <= error))
            error = isnan(difference) ? INFINITY : difference;
        largest = fmax(largest, fabs(want[i]));
    }
    return largest > 0 ? error / largest : error;
}

static void check_near(const char *shape, const char *what, const float *got, const double *want,
                       size_t count)
{
    double error = relative_error(got, want, count);
    if (!(error <= LIMIT))
        t_fail(__FILE__, __LINE__, "%s: %s is off by %g", shape, what, error);
}

static void *need(size_t size)
{
    void *memory = malloc(size + 1);
    if (!memory)
        abort();
    return memory;
}

static float *random_pixels(const struct clv_model_config *config, int count, uint64_t seed)
{
    size_t size = (size_t)count * 3 * (size_t)config->image_side * (size_t)config->image_side;
    float *pixels = need(size * sizeof *pixels);
    for (size_t i = 0; i < size; i++)
        pixels[i] = (float)t_normal(&seed);
    return pixels;
}

/* Windows over `frame_count` slots: three of them, forwards, backwards, and all of one frame. */
static void fill_slots(int32_t *slots, int t, int frame_count)
{
    for (int i = 0; i < t; i++) {
        slots[i] = i % frame_count;
        slots[t + i] = (frame_count + t - i) % frame_count;
        slots[2 * t + i] = frame_count - 1;
    }
}

static void check_windows(const struct shape *shape, const struct fixture *fixture,
                          struct clv_encoder *encoder, const double *tokens, int frame_count)
{
    const struct clv_model_config *config = &fixture->config;
    const size_t t = (size_t)config->frame_count, e = (size_t)config->embed_dim;
    const size_t frame = (size_t)config->token_count * (size_t)config->vision.width;
    const size_t patches = t * (frame - (size_t)config->vision.width);
    const bool has_patches = clv_encoder_slot_token_count(encoder) == config->token_count;
    int32_t *slots = need(3 * t * sizeof *slots);
    float *vectors = need(3 * e * sizeof *vectors), *features = need(3 * t * e * sizeof *features);
    float *patch_tokens = need(3 * patches * sizeof *patch_tokens);
    float *full_features = need(3 * t * e * sizeof *full_features);
    const double **frames = need(t * sizeof *frames);
    fill_slots(slots, (int)t, frame_count);
    CHECK_OK(clv_encoder_windows(
        encoder, &(struct clv_window_outputs){.vectors = vectors, .frame_features = features},
        slots, 3));
    if (has_patches)
        CHECK_OK(clv_encoder_windows(encoder,
                                     &(struct clv_window_outputs){.frame_features = full_features,
                                                                  .patch_tokens = patch_tokens},
                                     slots, 3));
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < t; k++)
            frames[k] = tokens + (size_t)slots[i * t + k] * frame;
        struct reference_window want = reference_windows(fixture->weights, config, frames);
        check_near(shape->name, "a vector", vectors + i * e, want.vector, e);
        check_near(shape->name, "features", features + i * t * e, want.frame_features, t * e);
        if (has_patches) {
            check_near(shape->name, "full features", full_features + i * t * e, want.frame_features,
                       t * e);
            check_near(shape->name, "patch tokens", patch_tokens + i * patches, want.patch_tokens,
                       patches);
        }
        reference_window_free(&want);
    }
    free(slots);
    free(vectors);
    free(features);
    free(patch_tokens);
    free(full_features);
    free(frames);
}

/* Frames into scattered slots, then windows over them. */
static void check_vision(const struct shape *shape, const struct fixture *fixture,
                         const struct clv_encoder_options *options)
{
    const struct clv_model_config *config = &fixture->config;
    struct clv_encoder *encoder = NULL;
    const int frame_count = 5;
    const size_t frame = (size_t)config->token_count * (size_t)config->vision.width;
    const int32_t slots[] = {4, 2, 0, 1, 3};
    float *pixels = random_pixels(config, frame_count, 3);
    float *got = need(frame * sizeof *got);
    double *want = reference_frames(fixture->weights, config, pixels, frame_count);
    double *by_slot = need((size_t)frame_count * frame * sizeof *by_slot);
    CHECK_OK(clv_encoder_create(&encoder, device, fixture->weights, config, options));
    if (encoder) {
        CHECK_INT(clv_encoder_slot_count(encoder), options->slot_count);
        CHECK_OK(clv_encoder_frames(encoder, slots, pixels, frame_count));
        size_t kept = (size_t)clv_encoder_slot_token_count(encoder) * (size_t)config->vision.width;
        for (int i = 0; i < frame_count; i++) {
            CHECK_OK(clv_encoder_frame_tokens(encoder, got, slots[i]));
            check_near(shape->name, "frame tokens", got, want + (size_t)i * frame, kept);
            memcpy(by_slot + (size_t)slots[i] * frame, want + (size_t)i * frame,
                   frame * sizeof *want);
        }
        check_windows(shape, fixture, encoder, by_slot, frame_count);
    }
    clv_encoder_free(encoder);
    free(pixels);
    free(got);
    free(want);
    free(by_slot);
}

/* Bytes give the bits of the same normalised on the host, wherever each square lies, and more of
 * them than a batch takes. */
static void check_squares(const struct shape *shape, const struct fixture *fixture,
                          const struct clv_encoder_options *options)
{
    const struct clv_model_config *config = &fixture->config;
    enum { COUNT = 5 };
    static const int32_t slots[COUNT] = {4, 2, 0, 1, 3};
    static const int places[COUNT] = {3, 0, 4, 1, 2};
    const size_t size = 3 * (size_t)config->image_side * (size_t)config->image_side;
    const uint8_t *squares[COUNT];
    uint8_t *bytes = need(COUNT * size);
    float *pixels = need(COUNT * size * sizeof *pixels);
    uint64_t seed = 17;
    struct clv_encoder *encoder = NULL;
    for (size_t i = 0; i < COUNT * size; i++)
        bytes[i] = (uint8_t)t_random(&seed);
    for (int i = 0; i < COUNT; i++)
        squares[i] = bytes + (size_t)places[i] * size;
    clv_pixels_normalize(pixels, squares, COUNT, config);
    CHECK_OK(clv_encoder_create(&encoder, device, fixture->weights, config, options));
    if (encoder) {
        const size_t kept =
            (size_t)clv_encoder_slot_token_count(encoder) * (size_t)config->vision.width;
        float *want = need(COUNT * kept * sizeof *want), *got = need(kept * sizeof *got);
        CHECK_OK(clv_encoder_frames(encoder, slots, pixels, COUNT));
        for (int i = 0; i < COUNT; i++)
            CHECK_OK(clv_encoder_frame_tokens(encoder, want + (size_t)i * kept, slots[i]));
        memset(pixels, 0, COUNT * size * sizeof *pixels);
        CHECK_OK(clv_encoder_frames(encoder, slots, pixels, COUNT));
        CHECK_OK(clv_encoder_squares(encoder, slots, squares, COUNT));
        memset(bytes, 0, COUNT * size); /* they were taken */
        for (int i = 0; i < COUNT; i++) {
            CHECK_OK(clv_encoder_frame_tokens(encoder, got, slots[i]));
            if (memcmp(got, want + (size_t)i * kept, kept * sizeof *got) != 0)
                t_fail(__FILE__, __LINE__, "%s: square %d has other tokens as bytes", shape->name,
                       i);
        }
        free(want);
        free(got);
    }
    clv_encoder_free(encoder);
    free(bytes);
    free(pixels);
}

static void check_text(const struct shape *shape, const struct fixture *fixture,
                       const struct clv_encoder_options *options)
{
    const struct clv_model_config *config = &fixture->config;
    static const int lengths[] = {2, 77, 1, 9, 40, 3};
    const int count = (int)(sizeof lengths / sizeof lengths[0]);
    const size_t e = (size_t)config->embed_dim;
    int32_t ids[TEXT_MAX * 77], starts[TEXT_MAX + 1] = {5}; /* ids need not begin at 0 */
    uint64_t seed = 11;
    struct clv_encoder *encoder = NULL;
    float *got = need((size_t)count * e * sizeof *got);
    for (int i = 0; i < count; i++)
        starts[i + 1] = starts[i] + lengths[i];
    for (int i = 0; i < starts[count]; i++)
        ids[i] = (int32_t)(t_random(&seed) % (uint64_t)config->vocabulary_size);
    CHECK_OK(clv_encoder_create(&encoder, device, fixture->weights, config, options));
    if (encoder)
        CHECK_OK(clv_encoder_text(encoder, got, ids, starts, count));
    for (int i = 0; encoder && i < count; i++) {
        double *want = reference_text(fixture->weights, config, ids + starts[i], lengths[i]);
        check_near(shape->name, "a text", got + (size_t)i * e, want, e);
        free(want);
    }
    clv_encoder_free(encoder);
    free(got);
}

static void vision_equals_reference(void)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        struct fixture fixture;
        if (setup(&fixture, &shapes[i]))
            check_vision(&shapes[i], &fixture,
                         &(struct clv_encoder_options){.no_text = true, .slot_count = 5});
        clv_weights_close(fixture.weights);
    }
}

/* Batches that split the work unevenly, and the tokens plain CLIP does not need. */
static void vision_equals_reference_in_batches(void)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        const struct clv_encoder_options options = {.no_text = true,
                                                    .all_tokens = true,
                                                    .slot_count = 5,
                                                    .frame_batch_max = 2,
                                                    .window_batch_max = 2};
        struct fixture fixture;
        if (setup(&fixture, &shapes[i]))
            check_vision(&shapes[i], &fixture, &options);
        clv_weights_close(fixture.weights);
    }
}

static void squares_equal_pixels(void)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        struct fixture fixture;
        struct clv_encoder_options options = {.no_text = true, .slot_count = 5};
        if (setup(&fixture, &shapes[i])) {
            check_squares(&shapes[i], &fixture, &options);
            options.frame_batch_max = 2;
            check_squares(&shapes[i], &fixture, &options);
        }
        clv_weights_close(fixture.weights);
    }
}

static void text_equals_reference(void)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        struct fixture fixture;
        if (setup(&fixture, &shapes[i])) {
            check_text(&shapes[i], &fixture, &(struct clv_encoder_options){.no_vision = true});
            check_text(&shapes[i], &fixture, &(struct clv_encoder_options){.text_batch_max = 80});
        }
        clv_weights_close(fixture.weights);
    }
}

/* KMT sees order only through the temporal embedding; with that at zero, permuting a window's
 * frames permutes its features and leaves its vector. */
static void kmt_ignores_the_order_of_frames(void)
{
    static const struct shape shape = {"order",      4,       8,     2,     64,    1, 2, 64, 1, 0,
                                       CLV_MASK_KMT, CLV_F32, false, false, false, 0};
    static const int32_t slots[] = {0, 1, 2, 3, 2, 0, 3, 1};
    struct fixture fixture;
    struct clv_encoder *encoder = NULL;
    float vectors[2][24], features[2][4][24];
    REQUIRE(setup(&fixture, &shape));
    /* A private map: writing changes only this process's copy. */
    const struct clv_weight_entry *entry =
        clv_weights_find(fixture.weights, "visual.temporal_embedding");
    uintptr_t page = (uintptr_t)entry->data & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
    REQUIRE(mprotect((void *)page, (uintptr_t)entry->data + entry->size_bytes - page,
                     PROT_READ | PROT_WRITE) == 0);
    memset((void *)(uintptr_t)entry->data, 0, entry->size_bytes);
    float *pixels = random_pixels(&fixture.config, 4, 5);
    CHECK_OK(clv_encoder_create(&encoder, device, fixture.weights, &fixture.config,
                                &(struct clv_encoder_options){.no_text = true}));
    CHECK_OK(clv_encoder_frames(encoder, slots, pixels, 4));
    CHECK_OK(clv_encoder_windows(
        encoder,
        &(struct clv_window_outputs){.vectors = vectors[0], .frame_features = features[0][0]},
        slots, 2));
    double difference = 0;
    for (int k = 0; k < 24; k++) {
        CHECK_NEAR(vectors[0][k], vectors[1][k], 1e-5);
        for (int t = 0; t < 4; t++)
            CHECK_NEAR(features[1][t][k], features[0][slots[4 + t]][k], 1e-4);
        difference = fmax(difference, fabs(features[0][0][k] - features[0][1][k]));
    }
    CHECK(difference > 1e-2); /* the frames do differ */
    free(pixels);
    clv_encoder_free(encoder);
    clv_weights_close(fixture.weights);
}

/* KMCT: what happens later leaves earlier frames bit for bit as they were. */
static void kmct_is_causal(void)
{
    static const struct shape shape = {"causal",      3,       8,     2,     64,    1, 2, 64, 1, 0,
                                       CLV_MASK_KMCT, CLV_F32, false, false, false, 0};
    static const int32_t slots[] = {0, 1, 2, 0, 1, 3};
    struct fixture fixture;
    struct clv_encoder *encoder = NULL;
    float features[2][3][24];
    REQUIRE(setup(&fixture, &shape));
    float *pixels = random_pixels(&fixture.config, 4, 5);
    CHECK_OK(clv_encoder_create(&encoder, device, fixture.weights, &fixture.config,
                                &(struct clv_encoder_options){.no_text = true, .slot_count = 4}));
    CHECK_OK(clv_encoder_frames(encoder, (int32_t[]){0, 1, 2, 3}, pixels, 4));
    CHECK_OK(clv_encoder_windows(
        encoder, &(struct clv_window_outputs){.frame_features = features[0][0]}, slots, 2));
    CHECK(memcmp(features[0], features[1], 2 * sizeof features[0][0]) == 0);
    CHECK(memcmp(features[0][2], features[1][2], sizeof features[0][2]) != 0);
    free(pixels);
    clv_encoder_free(encoder);
    clv_weights_close(fixture.weights);
}

/* Each window sees the frames as they were when it was begun, and one given up leaves no trace. */
static void windows_come_in_two_steps(void)
{
    static const struct shape shape = {"two steps",  3,       8,     2,     64,    1, 2, 64, 1, 0,
                                       CLV_MASK_KMT, CLV_F32, false, false, false, 0};
    static const int32_t all[] = {0, 1, 2, 3}, slots[2][3] = {{0, 1, 2}, {3, 1, 0}};
    struct fixture fixture;
    struct clv_encoder *encoder = NULL;
    float got[2][24], before[24], after[24], again[24];
    REQUIRE(setup(&fixture, &shape));
    const struct clv_encoder_options options = {.no_text = true, .slot_count = 4};
    float *old_pixels = random_pixels(&fixture.config, 4, 5);
    float *new_pixels = random_pixels(&fixture.config, 4, 6);
    CHECK_OK(clv_encoder_create(&encoder, device, fixture.weights, &fixture.config, &options));
    CHECK_OK(clv_encoder_frames(encoder, all, old_pixels, 4));
    CHECK_OK(
        clv_encoder_windows(encoder, &(struct clv_window_outputs){.vectors = before}, slots[0], 1));
    CHECK_OK(clv_encoder_windows_begin(encoder, &(struct clv_window_outputs){.vectors = got[0]},
                                       slots[0], 1));
    CHECK_OK(clv_encoder_frames(encoder, all, new_pixels, 4));
    CHECK_OK(clv_encoder_windows_begin(encoder, &(struct clv_window_outputs){.vectors = got[1]},
                                       slots[1], 1));
    CHECK_OK(clv_encoder_windows_end(encoder));
    CHECK_OK(clv_encoder_windows_begin(encoder, &(struct clv_window_outputs){.vectors = again},
                                       slots[0], 1));
    clv_encoder_windows_drop(encoder);
    CHECK_OK(
        clv_encoder_windows(encoder, &(struct clv_window_outputs){.vectors = after}, slots[1], 1));
    CHECK(memcmp(got[0], before, sizeof before) == 0);
    CHECK(memcmp(got[1], after, sizeof after) == 0);
    CHECK(memcmp(before, after, sizeof before) != 0);
    free(old_pixels);
    free(new_pixels);
    clv_encoder_free(encoder);
    clv_weights_close(fixture.weights);
}

/* Whole pages of the visual tensors are made unreadable: loading the text branch must not care. */
static void text_branch_leaves_visual_weights_alone(void)
{
    for (int dtype = CLV_F32; dtype <= CLV_F16; dtype++) {
        struct shape shape = shapes[0];
        struct fixture fixture;
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        int locked_count = 0;
        shape.dtype = (enum clv_dtype)dtype;
        REQUIRE(setup(&fixture, &shape));
        for (size_t i = 0; i < clv_weights_count(fixture.weights); i++) {
            const struct clv_weight_entry *entry = clv_weights_at(fixture.weights, i);
            uintptr_t begin = ((uintptr_t)entry->data + page - 1) / page * page;
            uintptr_t end = ((uintptr_t)entry->data + entry->size_bytes) / page * page;
            if (strncmp(entry->name, "visual.", 7) == 0 && end > begin) {
                REQUIRE(mprotect((void *)begin, end - begin, PROT_NONE) == 0);
                locked_count++;
            }
        }
        CHECK(locked_count > 10);
        check_text(&shape, &fixture, &(struct clv_encoder_options){.no_vision = true});
        clv_weights_close(fixture.weights);
    }
}

static void bad_input_is_refused(void)
{
    struct fixture fixture;
    struct clv_encoder *encoder = NULL;
    float out[24];
    REQUIRE(setup(&fixture, &shapes[2]));
    CHECK_ERROR(clv_encoder_create(&encoder, device, fixture.weights, &fixture.config,
                                   &(struct clv_encoder_options){.frame_count = 3}),
                CLV_EINVAL, "takes 2 frames a window, not 3");
    CHECK(encoder == NULL);
    CHECK_ERROR(clv_encoder_create(&encoder, device, fixture.weights, &fixture.config,
                                   &(struct clv_encoder_options){.slot_count = -1}),
                CLV_EINVAL, "slot count");
    REQUIRE_OK(clv_encoder_create(&encoder, device, fixture.weights, &fixture.config, NULL));
    struct clv_window_outputs outputs = {.vectors = out};
    CHECK_ERROR(clv_encoder_windows(encoder, &outputs, (int32_t[]){0, 2}, 1), CLV_EINVAL,
                "frame slot 2 is not one of the encoder's 2");
    CHECK_ERROR(clv_encoder_frames(encoder, (int32_t[]){-1}, out, 1), CLV_EINVAL, "frame slot -1");
    CHECK_ERROR(clv_encoder_frame_tokens(encoder, out, 9), CLV_EINVAL, "frame slot 9");
    int32_t ids[80] = {0, 100};
    CHECK_ERROR(clv_encoder_text(encoder, out, ids, (int32_t[]){0, 2}, 1), CLV_EINVAL,
                "token 100 of text 0");
    CHECK_ERROR(clv_encoder_text(encoder, out, ids, (int32_t[]){0, 78}, 1), CLV_EINVAL,
                "text 0 has 78 tokens");
    CHECK_ERROR(clv_encoder_text(encoder, out, ids, (int32_t[]){0, 1, 1}, 2), CLV_EINVAL,
                "text 1 has 0 tokens");
    ids[1] = 3;
    CHECK_OK(clv_encoder_text(encoder, out, ids, (int32_t[]){0, 2}, 1));
    CHECK_OK(clv_encoder_text(encoder, out, ids, (int32_t[]){0}, 0));
    CHECK_OK(clv_encoder_windows(encoder, &outputs, NULL, 0));
    clv_encoder_free(encoder);
    clv_weights_close(fixture.weights);
}

static void patch_tokens_need_kept_tokens(void)
{
    struct fixture fixture;
    struct clv_encoder *encoder = NULL;
    struct shape clip = shapes[10];
    REQUIRE(clip.is_clip);
    REQUIRE(setup(&fixture, &clip));
    REQUIRE_OK(clv_encoder_create(&encoder, device, fixture.weights, &fixture.config,
                                  &(struct clv_encoder_options){.frame_count = 2}));
    CHECK_INT(clv_encoder_slot_token_count(encoder), 1);
    CHECK_INT(clv_encoder_slot_count(encoder), 2);
    CHECK_INT(clv_encoder_config(encoder)->frame_count, 2);
    float out[1];
    CHECK_ERROR(clv_encoder_windows(encoder, &(struct clv_window_outputs){.patch_tokens = out},
                                    (int32_t[]){0, 1}, 1),
                CLV_EINVAL, "keeps no patch tokens");
    clv_encoder_free(encoder);
    clv_weights_close(fixture.weights);
}

static void run_all(void)
{
    T_RUN(vision_equals_reference);
    T_RUN(vision_equals_reference_in_batches);
    T_RUN(squares_equal_pixels);
    T_RUN(text_equals_reference);
    T_RUN(kmt_ignores_the_order_of_frames);
    T_RUN(kmct_is_causal);
    T_RUN(windows_come_in_two_steps);
    T_RUN(text_branch_leaves_visual_weights_alone);
    T_RUN(bad_input_is_refused);
    T_RUN(patch_tokens_need_kept_tokens);
}

int main(void)
{
    directory = t_directory();
    return t_each_device(&device, NULL, run_all);
}
