#include "tests/model/squares.h"

#include "core/error.h"
#include "core/model/random.h"
#include "tests/model/random_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int directions[SQUARE_CLASSES][2] = {{1, 0}, {-1, 0},  {0, 1},  {0, -1},
                                                  {1, 1}, {-1, -1}, {1, -1}, {-1, 1}};
static const int32_t opposites[SQUARE_CLASSES] = {1, 0, 3, 2, 5, 4, 7, 6};
static const char *const names[SQUARE_CLASSES] = {"right",      "left",    "down",     "up",
                                                  "down right", "up left", "up right", "down left"};

const char *const square_prompts[SQUARE_PROMPTS * SQUARE_CLASSES] = {
    "right",          "left",          "down",          "up",
    "down right",     "up left",       "up right",      "down left",
    "it moves right", "it moves left", "it moves down", "it moves up",
    "it goes se",     "it goes nw",    "it goes ne",    "it goes sw",
};

/* Where the square is in frame t of T, along one axis: its path's middle is spread evenly over what
 * leaves the whole path inside. */
struct path {
    double from, to;
};

static struct path draw_path(struct clv_random *random, int direction, double length, double room)
{
    const double spare = room - fabs((double)direction) * length;
    const double low = clv_random_uniform(random) * spare;
    const double high = low + fabs((double)direction) * length;
    return direction < 0 ? (struct path){high, low} : (struct path){low, high};
}

static void draw_frame(uint8_t *pixels, int side, const int at[2], int size,
                       const uint8_t colour[3], struct clv_random *random)
{
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            uint8_t *pixel = pixels + 3 * (y * side + x);
            const bool is_inside = x >= at[0] && x < at[0] + size && y >= at[1] && y < at[1] + size;
            const int noise = (int)(clv_random_bits(random) % 48);
            for (int c = 0; c < 3; c++)
                pixel[c] = is_inside ? colour[c] : (uint8_t)noise;
        }
}

static int draw_clip(struct squares *squares, struct clv_image *images,
                     const struct clv_clip_request *request)
{
    const int side = squares->side, frames = request->frame_count;
    struct clv_random random =
        clv_random_stream(squares->seed, CLV_RANDOM_FRAMES, (uint64_t)request->clip, 0);
    const int *direction = directions[squares->classes[request->clip]];
    atomic_fetch_add(&squares->reads, 1);
    if (request->clip == squares->broken)
        return clv_fail(CLV_ECORRUPT, "its squares are round");
    const int size = side / 6 + clv_random_below(&random, side / 8 + 1);
    const double length = side * clv_random_between(&random, 0.4, 0.6), room = side - size;
    uint8_t colour[3];
    for (int c = 0; c < 3; c++)
        colour[c] = (uint8_t)(120 + clv_random_below(&random, 136));
    const struct path x = draw_path(&random, direction[0], length, room);
    const struct path y = draw_path(&random, direction[1], length, room);
    /* The noise follows the frames asked for, so that training sees new ones every time. */
    random = clv_random_stream(request->seed, CLV_RANDOM_FRAMES, (uint64_t)request->clip, 1);
    for (int t = 0; t < frames; t++) {
        const int place = request->reader * SQUARE_FRAME_MAX + t;
        uint8_t *pixels = squares->pixels + (size_t)place * (size_t)(3 * side * side);
        const double share = frames > 1 ? (double)t / (frames - 1) : 0.5;
        const int at[2] = {(int)lround(x.from + share * (x.to - x.from)),
                           (int)lround(y.from + share * (y.to - y.from))};
        draw_frame(pixels, side, at, size, colour, &random);
        images[t] = (struct clv_image){pixels, side, side, 3 * (size_t)side};
    }
    return CLV_OK;
}

static int read_squares(void *payload, struct clv_image *images,
                        const struct clv_clip_request *request)
{
    struct squares *squares = payload;
    const int reader = request->reader;
    const int others = atomic_fetch_add(&squares->in_use[reader], 1);
    if (others > 0)
        atomic_fetch_add(&squares->collisions, 1);
    if (squares->clips.reader_count > 1)
        usleep((useconds_t)(request->clip * 37 % 5 * 150));
    int status = draw_clip(squares, images, request);
    atomic_fetch_sub(&squares->in_use[reader], 1);
    return status;
}

bool squares_create(struct squares *out, int clip_count, int side, uint64_t seed,
                    bool with_sentences)
{
    const size_t count = (size_t)clip_count;
    *out = (struct squares){.side = side, .seed = seed, .broken = -1};
    out->pixels = malloc((size_t)(SQUARE_READERS * SQUARE_FRAME_MAX * 3 * side * side));
    out->classes = malloc(count * sizeof *out->classes);
    out->sentence_starts = malloc((count + 1) * sizeof *out->sentence_starts);
    out->sentences = malloc(count * sizeof *out->sentences);
    if (!out->pixels || !out->classes || !out->sentence_starts || !out->sentences)
        return false;
    for (int i = 0; i <= clip_count; i++)
        out->sentence_starts[i] = i;
    for (int i = 0; i < clip_count; i++) {
        out->classes[i] = i % SQUARE_CLASSES;
        out->sentences[i] = square_prompts[i % (SQUARE_PROMPTS * SQUARE_CLASSES)];
    }
    out->clips = (struct clv_clips){.payload = out,
                                    .read = read_squares,
                                    .clip_count = clip_count,
                                    .class_count = SQUARE_CLASSES,
                                    .class_names = names,
                                    .classes = out->classes,
                                    .opposites = opposites};
    if (with_sentences) {
        out->clips.sentences = out->sentences;
        out->clips.sentence_starts = out->sentence_starts;
    }
    return true;
}

void squares_release(struct squares *squares)
{
    free(squares->pixels);
    free(squares->classes);
    free(squares->sentence_starts);
    free(squares->sentences);
}

void square_network(struct clv_model_config *out, int side, int patch, int width, int layers,
                    int temporal_layers, int frame_count, enum clv_mask mask)
{
    *out = (struct clv_model_config){
        .vision = {.width = width, .layer_count = layers, .head_count = width < 64 ? 2 : 4},
        .text = {.width = 32, .layer_count = 1, .head_count = 2},
        .embed_dim = 32,
        .image_side = side,
        .patch_side = patch,
        .frame_count = frame_count,
        .context_length = 24,
        .vocabulary_size = 514,
        .mask = CLV_MASK_NONE,
    };
    if (temporal_layers) {
        out->temporal = out->vision;
        out->temporal.layer_count = temporal_layers;
        out->mask = mask;
    }
    random_model_complete(out);
    for (int i = 0; i < 3; i++)
        out->pixel_mean[i] = out->pixel_std[i] = 0.5f;
    out->resize = CLV_RESIZE_BICUBIC_ANTIALIAS; /* no margin: pictures go in as they are */
}
