/* An encoder whose towers are recorded and played back, against encoders on devices opened for one
 * answer each: batches of changing size, other pictures each time, weights that writes and the
 * optimiser change in place, memory that moves. Bit for bit, on every backend found. */
#include "core/compute/gradients.h"
#include "core/error.h"
#include "core/model/encoder_over.h"
#include "core/model/network.h"
#include "tests/devices.h"
#include "tests/model/random_model.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 2, SIDE = 16, FRAMES_MAX = 6, WINDOWS_MAX = 3, EMBED = 24, CONTEXT = 8, TEXTS = 3 };
#define PICTURE ((size_t)3 * SIDE * SIDE)

static struct clv_device *device;
static enum clv_precision precision;

static void *need(size_t size)
{
    void *memory = calloc(1, size + 1);
    if (!memory)
        abort();
    return memory;
}

/* ---- a model in memory of our own ------------------------------------------------------------ */

struct model {
    struct clv_network network; /* for its device and config only */
    struct clv_params params;
    float *values; /* host, all parameters one after another, each on a multiple of 64 */
    size_t count;
    struct clv_buffer *buffer;
    float **param;
    struct clv_encoder *encoder;
};

static size_t count_of(const struct clv_param *param)
{
    return param->element_count;
}

static struct clv_model_config config_of(void)
{
    struct clv_model_config config = {
        .vision = {64, 2, 1, 0},
        .temporal = {64, 2, 1, 0},
        .text = {64, 1, 1, 0},
        .embed_dim = EMBED,
        .image_side = SIDE,
        .patch_side = 8,
        .frame_count = T,
        .context_length = CONTEXT,
        .vocabulary_size = 50,
        .mask = CLV_MASK_KMCT,
        .activation = CLV_ACTIVATION_QUICK_GELU,
    };
    random_model_complete(&config);
    return config;
}

/* With `values`, or random ones where it is NULL. */
static bool model_open(struct model *model, struct clv_device *on, const float *values)
{
    const struct clv_encoder_options options = {.slot_count = FRAMES_MAX,
                                                .frame_batch_max = FRAMES_MAX,
                                                .window_batch_max = WINDOWS_MAX,
                                                .text_batch_max = TEXTS * CONTEXT,
                                                .all_tokens = true};
    uint64_t seed = 11;
    *model = (struct model){.network = {.device = on, .config = config_of()}};
    if (clv_params_init(&model->params, &model->network.config) != CLV_OK)
        return false;
    for (size_t i = 0; i < model->params.count; i++)
        model->count += (count_of(&model->params.items[i]) + 63) / 64 * 64;
    model->values = need(model->count * sizeof *model->values);
    for (size_t i = 0; i < model->count; i++)
        model->values[i] = values ? values[i] : (float)(0.1 * t_normal(&seed));
    model->param = need(model->params.count * sizeof *model->param);
    if (clv_buffer_create(&model->buffer, on, model->count * sizeof(float)) != CLV_OK)
        return false;
    float *at = clv_buffer_data(model->buffer);
    for (size_t i = 0; i < model->params.count; i++) {
        model->param[i] = at;
        at += (count_of(&model->params.items[i]) + 63) / 64 * 64;
    }
    clv_device_write(on, clv_buffer_data(model->buffer), model->values,
                     model->count * sizeof(float));
    return t_check_ok(__FILE__, __LINE__, "an encoder",
                      clv_encoder_over(&model->encoder, &model->network, model->param, &options));
}

static void model_close(struct model *model)
{
    clv_encoder_free(model->encoder);
    clv_buffer_free(model->buffer);
    clv_params_release(&model->params);
    free(model->values);
    free(model->param);
}

/* ---- what it answers ------------------------------------------------------------------------- */

struct question {
    uint64_t seed; /* of the pictures */
    int frames, windows;
    bool patch_tokens;
};

struct answer {
    float vectors[WINDOWS_MAX * EMBED];
    float patch_tokens[WINDOWS_MAX * T * 4 * 64];
    float texts[TEXTS * EMBED];
};

static void ask(struct answer *out, struct model *model, const struct question *question)
{
    static float pixels[FRAMES_MAX * PICTURE];
    static const int32_t starts[TEXTS + 1] = {0, 8, 10, 15};
    int32_t slots[FRAMES_MAX], windows[WINDOWS_MAX * T], ids[TEXTS * CONTEXT];
    uint64_t seed = question->seed;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < (size_t)question->frames * PICTURE; i++)
        pixels[i] = (float)t_normal(&seed);
    for (int i = 0; i < question->frames; i++)
        slots[i] = (i + (int)question->seed) % question->frames;
    for (int i = 0; i < WINDOWS_MAX * T; i++)
        windows[i] = (int32_t)(t_random(&seed) % (uint64_t)question->frames);
    for (int i = 0; i < TEXTS * CONTEXT; i++)
        ids[i] = (int32_t)(t_random(&seed) % 50);
    CHECK_OK(clv_encoder_frames(model->encoder, slots, pixels, question->frames));
    memset(pixels, 0x7f, sizeof pixels); /* they are ours again */
    const struct clv_window_outputs outputs = {
        .vectors = out->vectors, .patch_tokens = question->patch_tokens ? out->patch_tokens : NULL};
    CHECK_OK(clv_encoder_windows(model->encoder, &outputs, windows, question->windows));
    CHECK_OK(clv_encoder_text(model->encoder, out->texts, ids, starts, TEXTS));
}

/* The answer of a device that never answered before and records nothing. */
static bool ask_afresh(struct answer *out, const float *values, const struct question *question)
{
    const struct clv_device_options options = {
        .kind = clv_device_kind(device), .precision = precision, .no_replay = true};
    struct clv_device *fresh = NULL;
    struct model model;
    if (!t_check_ok(__FILE__, __LINE__, "a device", clv_device_open(&fresh, &options)))
        return false;
    bool is_open = model_open(&model, fresh, values);
    if (is_open)
        ask(out, &model, question);
    CHECK_INT(clv_device_replay_count(fresh), 0);
    model_close(&model);
    clv_device_close(fresh);
    return is_open;
}

static bool is_zero(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != 0)
            return false;
    return true;
}

static void check(struct model *model, const struct question *question)
{
    static struct answer got, want;
    ask(&got, model, question);
    if (!ask_afresh(&want, model->values, question))
        return;
    CHECK_INT(memcmp(&got, &want, sizeof got), 0);
    CHECK(!is_zero(got.vectors, (size_t)question->windows * EMBED));
    CHECK(!is_zero(got.texts, TEXTS * EMBED));
    CHECK(!question->patch_tokens == is_zero(got.patch_tokens, WINDOWS_MAX * T * 4 * 64));
}

/* ---- what changes in between ----------------------------------------------------------------- */

/* Part of every parameter, from the host. */
static void write_weights(struct model *model, uint64_t seed)
{
    for (size_t i = 0; i < model->params.count; i++) {
        const size_t at = (size_t)(model->param[i] - model->param[0]);
        const size_t count = count_of(&model->params.items[i]);
        for (size_t k = 0; k < count; k += 3)
            model->values[at + k] += (float)(0.05 * t_normal(&seed));
        clv_device_write(device, model->param[i], model->values + at, count * sizeof(float));
    }
}

/* A step of the optimiser over everything, its gradient the parameters themselves. */
static void step_weights(struct model *model)
{
    const int rows = (int)(model->count / 64);
    struct clv_buffer *room = NULL;
    REQUIRE_OK(clv_buffer_create(&room, device, 3 * model->count * sizeof(float)));
    float *m = clv_buffer_data(room), *v = m + model->count, *grad = v + model->count;
    const struct clv_tensor param = clv_tensor(model->param[0], rows, 64);
    clv_copy(device, clv_tensor(grad, rows, 64), param);
    clv_adamw(device, param, clv_tensor(m, rows, 64), clv_tensor(v, rows, 64),
              clv_tensor(grad, rows, 64),
              &(struct clv_adamw){.learning_rate = 0.02f,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.999f,
                                  .epsilon = 1e-8f,
                                  .step = 1,
                                  .grad_scale = 1});
    clv_device_read(device, model->values, model->param[0], model->count * sizeof(float));
    clv_buffer_free(room);
}

/* Another model comes and goes: addresses and scratch are shared out anew. */
static void pass_by(void)
{
    static struct answer answer;
    struct model other;
    if (model_open(&other, device, NULL))
        ask(&answer, &other, &(struct question){3, FRAMES_MAX, WINDOWS_MAX, false});
    model_close(&other);
}

/* The same model again, likely at the same host addresses, and not at the same of the device. */
static bool open_again(struct model *model, struct clv_buffer **occupier)
{
    const size_t size = model->count * sizeof *model->values;
    float *values = need(size);
    memcpy(values, model->values, size);
    model_close(model);
    bool is_open =
        clv_buffer_create(occupier, device, size) == CLV_OK && model_open(model, device, values);
    free(values);
    return is_open;
}

static void answers_stay_those_of_a_fresh_device(void)
{
    static const int frames[] = {FRAMES_MAX, 3, FRAMES_MAX, 1, 3};
    static const int windows[] = {WINDOWS_MAX, 1, 2, WINDOWS_MAX};
    struct model model;
    struct clv_buffer *occupier = NULL;
    if (!model_open(&model, device, NULL))
        return;
    for (int round = 0; round < 24; round++) {
        const struct question question = {100 + (uint64_t)round, frames[round % 5],
                                          windows[round % 4], round % 7 == 3};
        check(&model, &question);
        if (round % 4 == 1)
            write_weights(&model, (uint64_t)round);
        if (round % 6 == 4)
            step_weights(&model);
        if (round == 11)
            pass_by();
        if (round == 16 && !open_again(&model, &occupier))
            break;
        if (t_failed())
            break;
    }
    clv_buffer_free(occupier);
    const bool plays = clv_device_kind(device) == CLV_DEVICE_CUDA;
    CHECK(plays ? clv_device_replay_count(device) > 8 : clv_device_replay_count(device) == 0);
    model_close(&model);
}

/* After creation the largest batches, and smaller ones, find all the memory they need. */
static void nothing_is_allocated_later(void)
{
    static struct answer answer;
    struct model model;
    if (!model_open(&model, device, NULL))
        return;
    const size_t peak = clv_device_memory_peak(device);
    for (int round = 0; round < 6; round++)
        ask(&answer, &model,
            &(struct question){9, FRAMES_MAX - round % 3, WINDOWS_MAX - round % 2, round == 3});
    CHECK_INT(clv_device_memory_peak(device), peak);
    model_close(&model);
}

static void run(void)
{
    /* First, while the device holds nothing yet that could be larger. */
    T_RUN(nothing_is_allocated_later);
    T_RUN(answers_stay_those_of_a_fresh_device);
}

int main(void)
{
    int status = t_each_device(&device, NULL, run);
    if (!t_cuda())
        return status;
    /* bfloat16 works on copies of the weights, which follow them. */
    const struct clv_device_options options = {.kind = CLV_DEVICE_CUDA,
                                               .precision = precision = CLV_PRECISION_BF16};
    if (clv_device_open(&device, &options) != CLV_OK) {
        printf("FAIL device in bfloat16\n");
        return 1;
    }
    t_suffix(" (cuda, bf16)");
    run();
    clv_device_close(device);
    t_suffix("");
    return t_end();
}
