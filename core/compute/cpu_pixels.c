/* Pixels on the CPU: bytes into patches, and clips of a batch into each other. Outside of the SIMD
 * variants, so that mixing rounds the same on every processor. */
#include "core/compute/cpu.h"

void clv_cpu_square_patches(struct clv_device *device, struct clv_tensor out,
                            const uint8_t *squares, const float *values, int side, int patch)
{
    (void)device; /* without OpenMP */
    const int grid = side / patch, area = patch * patch;
    const float *red = values, *green = values + 256, *blue = values + 512;
    /* Lines rather than patches, which may be whole frames. */
    const int64_t lines = (int64_t)out.rows * patch;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, out.rows, out.cols)) \
    schedule(static)
    for (int64_t i = 0; i < lines; i++) {
        const int64_t r = i / patch, frame = r / (grid * grid);
        const int64_t y = r / grid % grid * patch + i % patch, x = r % grid * patch;
        const uint8_t *from = squares + 3 * ((frame * side + y) * side + x);
        float *restrict to = out.data + r * out.stride + i % patch * patch;
        for (int c = 0; c < patch; c++, from += 3) {
            to[c] = red[from[0]];
            to[area + c] = green[from[1]];
            to[2 * area + c] = blue[from[2]];
        }
    }
}

/* Row `r` of x and the row that is mixed into it. */
struct pair {
    float *own;
    float *other;
};

static struct pair pair_at(struct clv_tensor x, struct clv_tensor other, int frame_count, int r)
{
    const int clip = x.rows / frame_count - 1 - r / frame_count;
    const ptrdiff_t partner = (ptrdiff_t)clip * frame_count + r % frame_count;
    return (struct pair){x.data + r * x.stride, other.data + partner * other.stride};
}

static void blend(struct pair pair, bool is_swap, int cols, float lambda)
{
    float *restrict own = pair.own, *restrict other = pair.other;
    for (int i = 0; !is_swap && i < cols; i++)
        own[i] = lambda * own[i] + (1 - lambda) * other[i];
    for (int i = 0; is_swap && i < cols; i++) {
        const float x = own[i], y = other[i];
        own[i] = lambda * x + (1 - lambda) * y;
        other[i] = lambda * y + (1 - lambda) * x;
    }
}

static void cut(struct pair pair, bool is_swap, int side, const struct clv_mix *mix)
{
    for (int plane = 0; plane < 3; plane++)
        for (int y = mix->top; y < mix->bottom; y++) {
            const ptrdiff_t line = ((ptrdiff_t)plane * side + y) * side;
            for (ptrdiff_t i = line + mix->left; i < line + mix->right; i++) {
                const float x = pair.own[i];
                pair.own[i] = pair.other[i];
                if (is_swap)
                    pair.other[i] = x;
            }
        }
}

void clv_cpu_mix_clips(struct clv_device *device, struct clv_tensor x, struct clv_tensor other,
                       int frame_count, int side, const struct clv_mix *mix)
{
    (void)device;
    const bool is_swap = other.data == x.data;
    const int rows = is_swap ? x.rows / frame_count / 2 * frame_count : x.rows;
#pragma omp parallel for num_threads(clv_cpu_threads_for(device, rows, x.cols)) schedule(static)
    for (int r = 0; r < rows; r++) {
        const struct pair pair = pair_at(x, other, frame_count, r);
        if (mix->is_cutmix)
            cut(pair, is_swap, side, mix);
        else
            blend(pair, is_swap, x.cols, (float)mix->lambda);
    }
}
