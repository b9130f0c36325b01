/* Patches of bytes, and clips mixed into each other: to the bit what normalising on the host and
 * mixing there come to, on every backend, and near the formulas in double precision. */
#include "core/compute/gradients.h"
#include "core/model/pixels.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
    if (!memory) {
        printf("FAIL out of memory for a test\n");
        exit(1);
    }
    return memory;
}

/* Device memory with `values` in it, `offset` bytes behind an aligned address. */
static struct clv_buffer *buffer_of(struct clv_device *device, const void *values,
                                    size_t size_bytes, size_t offset)
{
    struct clv_buffer *buffer = NULL;
    CHECK_OK(clv_buffer_create(&buffer, device, size_bytes + offset));
    need(buffer);
    clv_device_write(device, (unsigned char *)clv_buffer_data(buffer) + offset, values, size_bytes);
    return buffer;
}

/* ---- patches of squares ---------------------------------------------------------------------- */

static const struct clv_model_config statistics = {.pixel_mean = {0.48145466f, 0.4578275f, 0.4f},
                                                   .pixel_std = {0.26862954f, 0.26130258f, 0.3f}};

/* The frames of the squares, normalised on the host, on the device. */
static struct guarded frames_of(struct clv_device *device, const uint8_t *squares, int frames,
                                int side)
{
    struct clv_model_config config = statistics;
    config.image_side = side;
    uint64_t seed = 1;
    const int cols = 3 * side * side;
    struct guarded g = guarded_input(device, frames, cols, 1.0, &seed);
    for (int f = 0; f < frames; f++) {
        const uint8_t *square = squares + (size_t)f * (size_t)cols;
        clv_pixels_normalize(guarded_at(&g, f, 0), &square, 1, &config);
    }
    guarded_write(&g);
    return g;
}

/* Elements of `out` that differ from those of the same shape in `want`, bit for bit. */
static int count_differences(struct guarded *out, struct guarded *want)
{
    int count = 0;
    guarded_read(out);
    guarded_read(want);
    for (int r = 0; r < out->tensor.rows; r++)
        count += memcmp(guarded_at(out, r, 0), guarded_at(want, r, 0),
                        (size_t)out->tensor.cols * sizeof(float)) != 0;
    return count;
}

/* Every frame's patches against the bytes, in double precision. */
static void check_values(struct guarded *out, const uint8_t *squares, int side, int patch)
{
    const int grid = side / patch, area = patch * patch;
    double worst = 0;
    for (int r = 0; r < out->tensor.rows; r++)
        for (int c = 0; c < out->tensor.cols; c++) {
            const int frame = r / (grid * grid), plane = c / area;
            const int y = r / grid % grid * patch + c % area / patch;
            const int x = r % grid * patch + c % patch;
            const uint8_t byte =
                squares[(((size_t)frame * (size_t)side + (size_t)y) * (size_t)side + (size_t)x) *
                            3 +
                        (size_t)plane];
            const double want = (byte / 255.0 - (double)statistics.pixel_mean[plane]) /
                                (double)statistics.pixel_std[plane];
            const double error = fabs((double)*guarded_at(out, r, c) - want);
            worst = !(error <= worst) ? error : worst;
        }
    CHECK_NEAR(worst, 0, 1e-6);
}

static void check_squares(struct clv_device *device, int frames, int side, int patch, size_t offset)
{
    const int grid = side / patch, rows = frames * grid * grid, cols = 3 * patch * patch;
    const size_t size = (size_t)frames * 3 * (size_t)side * (size_t)side;
    uint8_t *bytes = need(malloc(size));
    float values[3 * 256];
    uint64_t seed = 9 + offset;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)t_random(&seed);
    clv_pixels_values(values, &statistics);
    struct clv_buffer *squares = buffer_of(device, bytes, size, offset);
    struct clv_buffer *table = buffer_of(device, values, sizeof values, 0);
    struct guarded pixels = frames_of(device, bytes, frames, side);
    struct guarded out = guarded_output(device, rows, cols);
    struct guarded want = guarded_output(device, rows, cols);
    const uint8_t *from = (const uint8_t *)clv_buffer_data(squares) + offset;
    clv_patches(device, want.tensor, pixels.tensor, side, patch);
    clv_square_patches(device, out.tensor, from, clv_buffer_data(table), side, patch);
    CHECK_INT(count_differences(&out, &want), 0);
    check_values(&out, bytes, side, patch);
    uint8_t *after = need(malloc(size));
    clv_device_read(device, after, from, size);
    CHECK(memcmp(after, bytes, size) == 0);
    free(after);
    free(bytes);
    guarded_free(&pixels);
    guarded_free(&out);
    guarded_free(&want);
    clv_buffer_free(squares);
    clv_buffer_free(table);
}

/* Rows one after another from an aligned address, as the encoder has them. */
static void check_dense_squares(struct clv_device *device, int frames, int side, int patch)
{
    const int grid = side / patch, rows = frames * grid * grid, cols = 3 * patch * patch;
    const size_t size = (size_t)frames * 3 * (size_t)side * (size_t)side;
    uint8_t *bytes = need(malloc(size));
    float values[3 * 256], *got = need(malloc(size * sizeof *got));
    float *want = need(malloc(size * sizeof *want));
    uint64_t seed = 19;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)t_random(&seed);
    clv_pixels_values(values, &statistics);
    struct clv_buffer *squares = buffer_of(device, bytes, size, 0);
    struct clv_buffer *table = buffer_of(device, values, sizeof values, 0);
    struct clv_buffer *out = buffer_of(device, got, size * sizeof *got, 0);
    struct guarded pixels = frames_of(device, bytes, frames, side);
    const struct clv_tensor patches = clv_tensor(clv_buffer_data(out), rows, cols);
    clv_patches(device, patches, pixels.tensor, side, patch);
    clv_device_read(device, want, patches.data, size * sizeof *want);
    clv_fill(device, patches, NAN);
    clv_square_patches(device, patches, clv_buffer_data(squares), clv_buffer_data(table), side,
                       patch);
    clv_device_read(device, got, patches.data, size * sizeof *got);
    CHECK_OK(clv_device_sync(device));
    CHECK(memcmp(got, want, size * sizeof *got) == 0);
    free(bytes);
    free(got);
    free(want);
    guarded_free(&pixels);
    clv_buffer_free(squares);
    clv_buffer_free(table);
    clv_buffer_free(out);
}

/* ---- mixing clips ---------------------------------------------------------------------------- */

/* What becomes of an element of its own clip, with the other's at the same place. */
static float mixed(float own, float other, int at, int side, const struct clv_mix *mix)
{
    const int x = at % side, y = at / side % side;
    const bool is_inside = y >= mix->top && y < mix->bottom && x >= mix->left && x < mix->right;
    const float lambda = (float)mix->lambda;
    if (mix->lambda == 1)
        return own;
    if (mix->is_cutmix)
        return is_inside ? other : own;
    return lambda * own + (1 - lambda) * other;
}

/* With another batch, and with itself. */
static void check_mix(struct clv_device *device, const int *size, bool is_self,
                      const struct clv_mix *mix)
{
    const int clips = size[0], frames = size[1], side = size[2];
    const int rows = clips * frames, cols = 3 * side * side;
    uint64_t seed = 3;
    struct guarded x = guarded_input(device, rows, cols, 1.0, &seed);
    struct guarded y = guarded_input(device, rows, cols, 1.0, &seed);
    struct guarded *other = is_self ? &x : &y;
    float *want = need(malloc((size_t)rows * (size_t)cols * sizeof *want));
    int wrong = 0;
    double worst = 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const int clip = clips - 1 - r / frames, partner = clip * frames + r % frames;
            const float a = *guarded_at(&x, r, c), b = *guarded_at(other, partner, c);
            want[r * cols + c] = is_self && partner == r ? a : mixed(a, b, c, side, mix);
        }
    struct guarded before = guarded_input(device, rows, cols, 1.0, &(uint64_t){3});
    clv_mix_clips(device, x.tensor, is_self ? x.tensor : y.tensor, frames, side, mix);
    guarded_read(&x);
    guarded_check_unchanged(&y);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const int clip = clips - 1 - r / frames, partner = clip * frames + r % frames;
            const double a = *guarded_at(&before, r, c);
            const double b = *guarded_at(is_self ? &before : &y, partner, c);
            const double near = mix->lambda * a + (1 - mix->lambda) * b;
            const double error = fabs((double)*guarded_at(&x, r, c) - near);
            wrong += memcmp(guarded_at(&x, r, c), &want[r * cols + c], sizeof *want) != 0;
            if (!mix->is_cutmix && !(is_self && partner == r))
                worst = !(error <= worst) ? error : worst;
        }
    CHECK_INT(wrong, 0);
    CHECK_NEAR(worst, 0, 1e-6);
    free(want);
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&before);
}

/* Dense rows from an aligned address, as the learner has them: against the same of wider rows. */
static void check_dense_mix(struct clv_device *device, const int *size, const struct clv_mix *mix)
{
    const int rows = size[0] * size[1], cols = 3 * size[2] * size[2];
    const size_t bytes = (size_t)rows * (size_t)cols * sizeof(float);
    uint64_t seed = 4;
    int wrong = 0;
    struct guarded x = guarded_input(device, rows, cols, 1.0, &seed);
    float *dense = need(malloc(bytes));
    for (int r = 0; r < rows; r++)
        memcpy(dense + r * cols, guarded_at(&x, r, 0), (size_t)cols * sizeof *dense);
    struct clv_buffer *buffer = buffer_of(device, dense, bytes, 0);
    const struct clv_tensor tensor = clv_tensor(clv_buffer_data(buffer), rows, cols);
    clv_mix_clips(device, tensor, tensor, size[1], size[2], mix);
    clv_mix_clips(device, x.tensor, x.tensor, size[1], size[2], mix);
    clv_device_read(device, dense, tensor.data, bytes);
    guarded_read(&x);
    for (int r = 0; r < rows; r++)
        wrong += memcmp(dense + r * cols, guarded_at(&x, r, 0), (size_t)cols * sizeof *dense) != 0;
    CHECK_INT(wrong, 0);
    free(dense);
    guarded_free(&x);
    clv_buffer_free(buffer);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void squares_on(struct clv_device *device, const int *size)
{
    for (size_t offset = 0; offset < 4; offset++)
        check_squares(device, size[0], size[1], size[2], offset);
    check_dense_squares(device, size[0], size[1], size[2]);
}

static void mix_on(struct clv_device *device, const int *size)
{
    const int side = size[2];
    const struct clv_mix mixes[] = {
        {.lambda = 0.3},
        {.lambda = 0},
        {.lambda = 1},
        {.lambda = 0.75, .is_cutmix = true, .top = side / 3, .bottom = side, .right = side / 2},
        {.lambda = 0, .is_cutmix = true, .bottom = side, .right = side},
        {.lambda = 0.5, .is_cutmix = true, .top = side / 2, .bottom = side / 2, .right = side}};
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++) {
        check_mix(device, size, true, &mixes[i]);
        check_mix(device, size, false, &mixes[i]);
        check_dense_mix(device, size, &mixes[i]);
    }
}

/* clang-format off */
static const struct {
    const char *name;
    void (*check)(struct clv_device *device, const int *size);
    int size[3];
} cases[] = {
    {"patches of squares", squares_on, {1, 1, 1}},
    {"patches of squares", squares_on, {3, 224, 32}},
    {"patches of squares", squares_on, {2, 224, 14}},
    {"patches of squares", squares_on, {2, 48, 16}},
    {"patches of squares", squares_on, {5, 33, 3}},
    {"squares as frames", squares_on, {3, 48, 48}},
    {"squares as frames", squares_on, {1, 31, 31}},
    {"no squares", squares_on, {0, 32, 16}},
    {"mixed clips", mix_on, {1, 2, 4}},
    {"mixed clips", mix_on, {4, 3, 7}},
    {"mixed clips", mix_on, {5, 2, 32}},
    {"mixed clips", mix_on, {2, 8, 64}},
};
/* clang-format on */

int main(void)
{
    for (int v = variant_first(); v < variant_count(); v++) {
        struct clv_device *device = NULL;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const int *size = cases[i].size;
            if (variant_begin(&variants[v], &device, "%s %d %d %d", cases[i].name, size[0], size[1],
                              size[2]))
                cases[i].check(device, size);
            t_finish();
        }
        clv_device_close(device);
    }
    return t_end();
}
