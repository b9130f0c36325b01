/* indexer/encode: the vectors are those of windows encoded one by one, whatever the number of
 * slots, the batches and the lanes, and each picture goes through the model once. */
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

enum { T = 4, PICTURES = 61, DIM_MAX = 64, VIDEOS = 12, LANES = 3, DEPTH = 8 };

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

static int new_pipe(struct clv_pipe **out, const struct clv_encode_options *options,
                    int frame_count)
{
    const struct clv_pipe_options pipe = {
        .square_bytes = 64 * 64 * 3,
        .frame_count = frame_count,
        .lane_count = options->lane_count,
        .depth = DEPTH,
        .held_count = clv_encode_held_count(options),
        .job_count = 1,
        .ahead_max = 1,
        .held_max_bytes = 1,
    };
    return clv_pipe_create(out, &pipe);
}

/* Sends all pictures and, each as soon as its pictures are out, the windows. */
static int encode_all(struct clv_track *track, int64_t (*windows)[T], int count, int slot_count,
                      int frame_max, int window_max, struct clv_encode_counts *counts_out)
{
    struct clv_encoder *encoder = new_encoder(slot_count, frame_max, window_max);
    struct clv_pipe *pipe = NULL;
    struct clv_encode *encode = NULL;
    const struct clv_encode_options options = {1, frame_max, window_max, false};
    int next = 0;
    int status = new_pipe(&pipe, &options, T);
    if (status == CLV_OK)
        status = clv_encode_create(&encode, encoder, pipe, &options);
    if (status == CLV_OK)
        clv_encode_begin(encode, 0, track);
    for (int i = 0; i < PICTURES && status == CLV_OK; i++) {
        uint8_t *square = clv_pipe_take_square(pipe);
        memcpy(square, pictures[i], sizeof pictures[i]);
        status = clv_encode_frame(encode, 0, square);
        while (status == CLV_OK && next < count && windows[next][T - 1] == i) {
            struct clv_window window = {next, next + 10, 0, windows[next]};
            status = clv_encode_window(encode, 0, &window);
            next++;
        }
    }
    if (status == CLV_OK)
        status = clv_encode_end(encode, 0);
    if (status == CLV_OK) {
        CHECK_INT(track->awaited_count, 0);
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

/* ---- several lanes ---- */

/* A video is so many of the pictures from `first` on, in windows of T every `stride`. */
struct video {
    int first, picture_count, stride;
    bool is_dropped; /* comes to nothing at its end */
};

/* From a single window to a hundred; some with fewer pictures than a window takes. */
static const struct video videos[VIDEOS] = {
    {0, T, 1, false},  {5, 2, 1, false},     {7, 40, 2, false}, {11, T, 1, false},
    {15, 1, 1, false}, {16, 3 * T, 4, true}, {20, 9, 1, false}, {30, T + 1, 1, false},
    {1, 60, 1, false}, {31, 3, 3, true},     {33, 8, T, false}, {40, T, 1, false},
};

static int window_total(const struct video *video)
{
    return video->picture_count < T ? 1 : (video->picture_count - T) / video->stride + 1;
}

struct feed {
    struct clv_pipe *pipe;
    struct clv_encode *encode;
    struct clv_track *tracks; /* [VIDEOS] */
    int lane_video[LANES];    /* -1: none */
    int lane_sent[LANES], lane_windows[LANES];
    int next_video, ended_count;
};

static int feed_windows(struct feed *feed, int lane, const struct video *video)
{
    const int total = window_total(video);
    int64_t frames[T];
    int status = CLV_OK;
    while (status == CLV_OK && feed->lane_windows[lane] < total) {
        const int first = feed->lane_windows[lane] * video->stride;
        const int last = first + T < video->picture_count ? first + T : video->picture_count;
        if (feed->lane_sent[lane] < last)
            return CLV_OK;
        for (int i = 0; i < T; i++)
            frames[i] = first + i < last ? first + i : last - 1;
        const int number = feed->lane_windows[lane]++;
        status = clv_encode_window(feed->encode, lane,
                                   &(struct clv_window){number, number + 1, 0, frames});
    }
    return status;
}

/* The lane's next picture with the windows it completes, or the end of its video. */
static int feed_lane(struct feed *feed, int lane)
{
    if (feed->lane_video[lane] < 0) {
        if (feed->next_video == VIDEOS)
            return CLV_OK;
        feed->lane_video[lane] = feed->next_video++;
        feed->lane_sent[lane] = feed->lane_windows[lane] = 0;
        clv_encode_begin(feed->encode, lane, &feed->tracks[feed->lane_video[lane]]);
    }
    const struct video *video = &videos[feed->lane_video[lane]];
    if (feed->lane_sent[lane] == video->picture_count) {
        feed->lane_video[lane] = -1;
        feed->ended_count++;
        if (!video->is_dropped)
            return clv_encode_end(feed->encode, lane);
        clv_encode_drop(feed->encode, lane);
        return CLV_OK;
    }
    uint8_t *square = clv_pipe_take_square(feed->pipe);
    memcpy(square, pictures[video->first + feed->lane_sent[lane]++], sizeof pictures[0]);
    int status = clv_encode_frame(feed->encode, lane, square);
    return status == CLV_OK ? feed_windows(feed, lane, video) : status;
}

/* Waits for ever where one was not given back. */
static void check_squares(struct clv_pipe *pipe, const struct clv_encode_options *options)
{
    const int total =
        options->lane_count * clv_windows_place_count(T) + clv_encode_held_count(options) + DEPTH;
    for (int i = 0; i < total; i++)
        CHECK(clv_pipe_take_square(pipe) != NULL);
}

/* Encodes all videos, the lanes taking turns by chance. */
static void encode_videos(struct clv_track *tracks, const struct clv_encode_options *options,
                          int slot_count, uint64_t seed, struct clv_encode_counts *counts_out)
{
    struct clv_encoder *encoder = new_encoder(slot_count, options->frame_max, options->window_max);
    struct feed feed = {.tracks = tracks, .lane_video = {-1, -1, -1}};
    for (int i = 0; i < VIDEOS; i++)
        clv_track_init(&tracks[i], model.config.embed_dim);
    REQUIRE_OK(new_pipe(&feed.pipe, options, T));
    REQUIRE_OK(clv_encode_create(&feed.encode, encoder, feed.pipe, options));
    while (feed.ended_count < VIDEOS)
        REQUIRE_OK(feed_lane(&feed, (int)(t_random(&seed) % (uint64_t)options->lane_count)));
    REQUIRE_OK(clv_encode_flush(feed.encode));
    *counts_out = clv_encode_counts(feed.encode);
    check_squares(feed.pipe, options);
    clv_encode_free(feed.encode);
    clv_pipe_free(feed.pipe);
    clv_encoder_free(encoder);
}

static double distance(const struct clv_track *a, const struct clv_track *b)
{
    double most = 0;
    for (size_t i = 0; i < a->count * (size_t)a->dim; i++)
        most = fmax(most, fabs((double)a->vectors[i] - b->vectors[i]));
    return most;
}

static void compare_tracks(const struct clv_track *got, const struct clv_track *want, double limit)
{
    for (int i = 0; i < VIDEOS; i++) {
        CHECK_INT(got[i].count, videos[i].is_dropped ? 0 : window_total(&videos[i]));
        CHECK_INT(got[i].awaited_count, 0);
        REQUIRE(got[i].count == want[i].count);
        CHECK_NEAR(distance(&got[i], &want[i]), 0, limit);
        for (size_t k = 0; k < got[i].count; k++) {
            CHECK_INT(got[i].segments[k].start_ticks, (int64_t)k);
            CHECK_NEAR(got[i].segments[k].norm, want[i].segments[k].norm, limit);
        }
    }
}

static void release_tracks(struct clv_track *tracks)
{
    for (int i = 0; i < VIDEOS; i++)
        clv_track_release(&tracks[i]);
}

static void open_model(void)
{
    struct clv_model_config config;
    struct random_model_options options = {.seed = 5};
    const char *path = t_path(t_directory(), "model.safetensors");
    REQUIRE(random_model_arch(&config, "tiny", T, CLV_MASK_KMT, false));
    REQUIRE_OK(random_model_write(path, &config, &options));
    REQUIRE_OK(clv_model_open(&model, path, &(struct clv_model_options){.frame_count = T}));
}

/* Each picture and each window once; of the dropped ones maybe some. */
static void check_counts(struct clv_encode_counts counts)
{
    int64_t frames = 0, windows = 0, lost_frames = 0, lost_windows = 0;
    for (int i = 0; i < VIDEOS; i++) {
        const int64_t window_count = window_total(&videos[i]);
        *(videos[i].is_dropped ? &lost_frames : &frames) += videos[i].picture_count;
        *(videos[i].is_dropped ? &lost_windows : &windows) += window_count;
    }
    CHECK(counts.windows >= windows && counts.windows <= windows + lost_windows);
    CHECK(counts.frames >= frames && counts.frames <= frames + lost_frames);
}

/* Batches of their own depend on the video and its lane's slots only. */
static void lanes_do_not_matter_to_the_bit(void)
{
    static const int shapes[][3] = {{T, 8, 4}, {3 * T, 8, 4}, {4 * T + 8, 8, 4}, {T + 1, 3, 1}};
    open_model();
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct clv_track want[VIDEOS], got[VIDEOS];
        struct clv_encode_counts counts;
        struct clv_encode_options options = {1, shapes[s][1], shapes[s][2], false};
        encode_videos(want, &options, shapes[s][0], 1, &counts);
        for (uint64_t seed = 1; seed < 4; seed++) {
            options.lane_count = LANES;
            encode_videos(got, &options, LANES * shapes[s][0], seed, &counts);
            compare_tracks(got, want, 0);
            release_tracks(got);
        }
        release_tracks(want);
    }
    clv_model_release(&model);
}

static void shared_batches_agree_with_own(void)
{
    /* From slots that hardly do to batches that hold everything. */
    static const int shapes[][3] = {{LANES * T + 1, 8, 4}, {LANES * T + 1, 64, 32},
                                    {60 + 1, 16, 4},       {200, 7, 5},
                                    {2 * LANES * T, 1, 1}, {1000, 128, 32},
                                    {1000, 512, 512},      {LANES * (T + 1) + 2, 40, 3}};
    struct clv_track want[VIDEOS], got[VIDEOS];
    struct clv_encode_counts counts;
    open_model();
    encode_videos(want, &(struct clv_encode_options){1, 8, 4, false}, 4 * T + 8, 1, &counts);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int lanes = 1; lanes <= LANES; lanes++) {
            const struct clv_encode_options options = {lanes, shapes[s][1], shapes[s][2], true};
            encode_videos(got, &options, shapes[s][0], s + 7, &counts);
            compare_tracks(got, want, 1e-5);
            check_counts(counts);
            release_tracks(got);
        }
    release_tracks(want);
    clv_model_release(&model);
}

/* Sends one video of one window; its vector waits until the batch is full. */
static void send_clip(struct feed *feed, struct clv_track *track, int first)
{
    int64_t frames[T];
    clv_track_init(track, model.config.embed_dim);
    clv_encode_begin(feed->encode, 0, track);
    for (int i = 0; i < T; i++) {
        uint8_t *square = clv_pipe_take_square(feed->pipe);
        memcpy(square, pictures[first + i], sizeof pictures[0]);
        CHECK_OK(clv_encode_frame(feed->encode, 0, square));
        frames[i] = i;
    }
    CHECK_OK(clv_encode_window(feed->encode, 0, &(struct clv_window){0, 1, 0, frames}));
    CHECK_OK(clv_encode_end(feed->encode, 0));
}

static void shared_batches_span_videos(void)
{
    enum { CLIPS = 11 };
    const struct clv_encode_options options = {1, 4 * T, 2, true};
    struct clv_track tracks[CLIPS];
    struct feed feed = {0};
    open_model();
    struct clv_encoder *encoder = new_encoder(10 * T, options.frame_max, options.window_max);
    REQUIRE_OK(new_pipe(&feed.pipe, &options, T));
    REQUIRE_OK(clv_encode_create(&feed.encode, encoder, feed.pipe, &options));
    for (int i = 0; i < CLIPS; i++) {
        send_clip(&feed, &tracks[i], 3 * i);
        /* Four clips fill a pass of frames, which goes when the fifth comes; their windows make
         * two passes, and none of another's waits for one. Their vectors come with the next. */
        CHECK_INT(clv_encode_counts(feed.encode).frames, i / 4 * 4 * T);
        CHECK_INT(clv_encode_counts(feed.encode).windows, i / 4 * 4);
        for (int k = 0; k <= i; k++)
            CHECK_INT(tracks[k].awaited_count, k >= (i / 4 - 1) * 4);
    }
    CHECK_OK(clv_encode_flush(feed.encode));
    CHECK_INT(clv_encode_counts(feed.encode).frames, CLIPS * T);
    CHECK_INT(clv_encode_counts(feed.encode).windows, CLIPS);
    for (int i = 0; i < CLIPS; i++) {
        float want[DIM_MAX];
        int64_t window[T];
        for (int k = 0; k < T; k++)
            window[k] = 3 * i + k;
        CHECK_INT(tracks[i].awaited_count, 0);
        CHECK_NEAR(tracks[i].segments[0].norm, encode_alone(want, window), 1e-5);
        for (int c = 0; c < model.config.embed_dim; c++)
            CHECK_NEAR(tracks[i].vectors[c], want[c], 1e-5);
        clv_track_release(&tracks[i]);
    }
    check_squares(feed.pipe, &options);
    clv_encode_free(feed.encode);
    clv_pipe_free(feed.pipe);
    clv_encoder_free(encoder);
    clv_model_release(&model);
}

/* The other videos of a batch lose nothing by one that goes, the lane's next one neither. */
static void forgets_what_is_dropped(void)
{
    const struct clv_encode_options options = {1, 64, 16, true};
    struct clv_track before, gone, after;
    struct feed feed = {0};
    float want[DIM_MAX];
    int64_t frames[T];
    open_model();
    struct clv_encoder *encoder = new_encoder(100, options.frame_max, options.window_max);
    REQUIRE_OK(new_pipe(&feed.pipe, &options, T));
    REQUIRE_OK(clv_encode_create(&feed.encode, encoder, feed.pipe, &options));
    send_clip(&feed, &before, 0);
    send_clip(&feed, &gone, 10);
    clv_encode_drop(feed.encode, 0);
    CHECK_INT(gone.count, 0);
    CHECK_INT(gone.awaited_count, 0);
    CHECK_INT(before.awaited_count, 1);
    send_clip(&feed, &after, 20);
    CHECK_OK(clv_encode_flush(feed.encode));
    CHECK_INT(clv_encode_counts(feed.encode).frames, 2 * T);
    CHECK_INT(clv_encode_counts(feed.encode).windows, 2);
    for (int k = 0; k < 2; k++) {
        const struct clv_track *track = k ? &after : &before;
        for (int i = 0; i < T; i++)
            frames[i] = 20 * k + i;
        CHECK_NEAR(track->segments[0].norm, encode_alone(want, frames), 1e-5);
        for (int c = 0; c < model.config.embed_dim; c++)
            CHECK_NEAR(track->vectors[c], want[c], 1e-5);
    }
    check_squares(feed.pipe, &options);
    clv_track_release(&before);
    clv_track_release(&gone);
    clv_track_release(&after);
    clv_encode_free(feed.encode);
    clv_pipe_free(feed.pipe);
    clv_encoder_free(encoder);
    clv_model_release(&model);
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
    struct clv_encode_options encoding = {1, 1, 1, false};
    REQUIRE_OK(new_pipe(&pipe, &encoding, T + 1));
    CHECK_ERROR(clv_encode_create(&encode, encoder, pipe, &encoding), CLV_EINVAL, "keeps 4 frames");
    CHECK(encode == NULL);
    clv_pipe_free(pipe);
    REQUIRE_OK(new_pipe(&pipe, &encoding, T));
    encoding.is_shared = true;
    CHECK_ERROR(clv_encode_create(&encode, encoder, pipe, &encoding), CLV_EINVAL, "keeps 3 frames");
    encoding.is_shared = false;
    encoding.lane_count = 2;
    CHECK_ERROR(clv_encode_create(&encode, encoder, pipe, &encoding), CLV_EINVAL, "keeps 2 frames");
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
    CHECK_INT(track.awaited_count, 0);
    CHECK_OK(clv_track_copy(&track, &(struct clv_segment){1, 2, 0, 0.25f, NULL}, good));
    CHECK_INT(track.count, 2);
    CHECK_INT(track.awaited_count, 0);
    CHECK_INT(clv_track_bytes(&track), 2 * (sizeof(struct clv_segment) + 3 * sizeof(float)));
    clv_track_settle(&track);
    CHECK_NEAR(track.segments[1].vector[1], -0.5, 0);
    CHECK_NEAR(track.segments[1].norm, 0.25, 0);
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
    T_RUN(lanes_do_not_matter_to_the_bit);
    T_RUN(shared_batches_agree_with_own);
    T_RUN(shared_batches_span_videos);
    T_RUN(forgets_what_is_dropped);
    T_RUN(refuses_too_few_slots);
    T_RUN(refuses_vectors_without_direction);
    clv_device_close(device);
    return t_end();
}
