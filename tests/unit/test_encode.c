/* indexer/encode: the vectors are those of windows encoded one by one, whatever the number of slots
 * and the batches, and each picture goes through the model once. */
#include "indexer/encode.h"

#include "core/error.h"
#include "core/model/model.h"
#include "core/model/pixels.h"
#include "indexer/track.h"

#include "tests/model/random_model.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { T = 4, PICTURES = 61, DIM_MAX = 64 };

static struct clv_device *device;
static struct clv_model model;
static uint8_t pictures[PICTURES][64 * 64 * 3];

static void make_pictures(void)
{
    uint64_t seed = 3;
    for (int i = 0; i < PICTURES; i++) {
        int base = (int)(t_random(&seed) % 200);
        for (size_t k = 0; k < sizeof pictures[i]; k++)
            pictures[i][k] = (uint8_t)(base + (int)(t_random(&seed) % 50));
    }
}

static struct clv_encoder *new_encoder(int slot_count, int frame_batch, int window_batch)
{
    struct clv_encoder *encoder = NULL;
    struct clv_encoder_options options = {.no_text = true,
                                          .slot_count = slot_count,
                                          .frame_batch_max = frame_batch,
                                          .window_batch_max = window_batch};
    CHECK_OK(clv_encoder_create(&encoder, device, model.weights, &model.config, &options));
    return encoder;
}

/* Windows of T pictures from every stride-th on, as a long shot gives them. Returns how many. */
static int make_windows(int64_t (*windows)[T], int stride)
{
    int count = 0;
    for (int first = 0; first + T <= PICTURES; first += stride, count++)
        for (int i = 0; i < T; i++)
            windows[count][i] = first + i;
    /* A picture that serves twice. */
    windows[count - 1][0] = windows[count - 1][1];
    return count;
}

/* Unit vector and norm of one window, encoded alone. */
static double encode_alone(float *vector, const int64_t *window)
{
    static float pixels[T * 3 * 64 * 64];
    struct clv_encoder *encoder = new_encoder(T, 1, 1);
    int32_t slots[T];
    double square = 0;
    for (int i = 0; i < T; i++) {
        const uint8_t *picture = pictures[window[i]];
        slots[i] = i;
        clv_pixels_normalize(pixels + (size_t)i * 3 * 64 * 64, &picture, 1, &model.config);
    }
    CHECK_OK(clv_encoder_frames(encoder, slots, pixels, T));
    struct clv_window_outputs outputs = {.vectors = vector};
    CHECK_OK(clv_encoder_windows(encoder, &outputs, slots, 1));
    clv_encoder_free(encoder);
    for (int c = 0; c < model.config.embed_dim; c++)
        square += (double)vector[c] * vector[c];
    for (int c = 0; c < model.config.embed_dim; c++)
        vector[c] = (float)(vector[c] / sqrt(square));
    return sqrt(square);
}

/* Sends all pictures and, each as soon as its pictures are out, the windows. */
static int encode_all(struct clv_track *track, int64_t (*windows)[T], int count, int slot_count,
                      int frame_max, int window_max, struct clv_encode_counts *counts_out)
{
    struct clv_encoder *encoder = new_encoder(slot_count, frame_max, window_max);
    struct clv_pipe *pipe = NULL;
    struct clv_encode *encode = NULL;
    int next = 0;
    int status = clv_pipe_create(&pipe, 64 * 64 * 3, T, frame_max, NULL);
    if (status == CLV_OK)
        status = clv_encode_create(&encode, encoder, pipe, frame_max, window_max);
    if (status == CLV_OK)
        clv_encode_begin(encode, track);
    for (int i = 0; i < PICTURES && status == CLV_OK; i++) {
        uint8_t *square = clv_pipe_take_square(pipe);
        memcpy(square, pictures[i], sizeof pictures[i]);
        status = clv_encode_frame(encode, square);
        while (status == CLV_OK && next < count && windows[next][T - 1] == i) {
            struct clv_window window = {next, next + 10, 0, windows[next]};
            status = clv_encode_window(encode, &window);
            next++;
        }
    }
    if (status == CLV_OK)
        status = clv_encode_flush(encode);
    if (status == CLV_OK) {
        *counts_out = clv_encode_counts(encode);
        clv_track_settle(track);
    }
    clv_encode_free(encode);
    clv_pipe_free(pipe);
    clv_encoder_free(encoder);
    return status;
}

static void check_model(const char *arch, bool is_clip)
{
    static int64_t windows[PICTURES][T];
    static float want[PICTURES][DIM_MAX];
    static double norms[PICTURES];
    struct clv_model_config config;
    struct random_model_options options = {.seed = 5};
    const char *path = t_path(t_directory(), "model.safetensors");
    REQUIRE(random_model_arch(&config, arch, T, CLV_MASK_KMT, is_clip));
    REQUIRE_OK(random_model_write(path, &config, &options));
    REQUIRE_OK(clv_model_open(&model, path, &(struct clv_model_options){.frame_count = T}));
    for (int stride = 1; stride <= T + 1; stride += 2) {
        int count = make_windows(windows, stride);
        for (int i = 0; i < count; i++)
            norms[i] = encode_alone(want[i], windows[i]);
        static const int shapes[][3] = {{T, 1, 1},      {T, 8, 4},     {T + 1, 3, 2},
                                        {2 * T, 8, 4},  {3 * T, 8, 4}, {5 * T, 16, 8},
                                        {40 * T, 5, 3}, {2 * T, 1, 8}};
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct clv_track track;
            struct clv_encode_counts counts = {0};
            clv_track_init(&track, model.config.embed_dim);
            REQUIRE_OK(encode_all(&track, windows, count, shapes[s][0], shapes[s][1], shapes[s][2],
                                  &counts));
            CHECK_INT(counts.frames, PICTURES);
            CHECK_INT(counts.windows, count);
            CHECK_INT(track.count, count);
            for (int i = 0; i < count && i < (int)track.count; i++) {
                CHECK_INT(track.segments[i].start_ticks, i);
                CHECK_NEAR(track.segments[i].norm, norms[i], 1e-5);
                for (int c = 0; c < model.config.embed_dim; c++)
                    CHECK_NEAR(track.segments[i].vector[c], want[i][c], 1e-5);
            }
            clv_track_release(&track);
        }
    }
    clv_model_release(&model);
}

static void agrees_with_windows_encoded_alone(void)
{
    check_model("tiny", false);
}

static void agrees_for_plain_clip(void)
{
    check_model("tiny", true);
}

static void refuses_too_few_slots(void)
{
    struct clv_model_config config;
    struct random_model_options options = {.seed = 5};
    struct clv_pipe *pipe = NULL;
    struct clv_encode *encode = NULL;
    const char *path = t_path(t_directory(), "model.safetensors");
    REQUIRE(random_model_arch(&config, "tiny", T, CLV_MASK_KMT, false));
    REQUIRE_OK(random_model_write(path, &config, &options));
    REQUIRE_OK(clv_model_open(&model, path, &(struct clv_model_options){0}));
    struct clv_encoder *encoder = new_encoder(T, 1, 1);
    REQUIRE_OK(clv_pipe_create(&pipe, 64 * 64 * 3, T + 1, 1, NULL));
    CHECK_ERROR(clv_encode_create(&encode, encoder, pipe, 1, 1), CLV_EINVAL, "keeps 4 frames");
    CHECK(encode == NULL);
    clv_pipe_free(pipe);
    clv_encoder_free(encoder);
    clv_model_release(&model);
}

static void refuses_vectors_without_direction(void)
{
    struct clv_track track;
    struct clv_segment segment = {0, 1, 0, 0, NULL};
    size_t index;
    float zero[3] = {0}, nan[3] = {1, NAN, 0}, big[3] = {INFINITY, 0, 0}, good[3] = {0, -0.5f, 0};
    clv_track_init(&track, 3);
    REQUIRE_OK(clv_track_add(&track, &index, &segment));
    CHECK_ERROR(clv_track_set(&track, index, zero), CLV_ECORRUPT, "no direction");
    CHECK_ERROR(clv_track_set(&track, index, nan), CLV_ECORRUPT, "no direction");
    CHECK_ERROR(clv_track_set(&track, index, big), CLV_ECORRUPT, "no direction");
    CHECK_OK(clv_track_set(&track, index, good));
    clv_track_settle(&track);
    CHECK_NEAR(track.segments[0].norm, 0.5, 0);
    CHECK_NEAR(track.segments[0].vector[1], -1, 0);
    clv_track_release(&track);
}

int main(void)
{
    struct clv_device_options options = {.kind = CLV_DEVICE_CPU, .thread_count = 1};
    if (clv_device_open(&device, &options) != CLV_OK)
        return 1;
    make_pictures();
    T_RUN(agrees_with_windows_encoded_alone);
    T_RUN(agrees_for_plain_clip);
    T_RUN(refuses_too_few_slots);
    T_RUN(refuses_vectors_without_direction);
    clv_device_close(device);
    return t_end();
}
