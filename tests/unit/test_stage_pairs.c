/* What a bag of frames can tell of the arrow of time: nothing. Over clips of different seeds, a
 * classifier of order-free features stays at chance on every pair together, on clips it was not
 * fitted to, while the same classifier given the order does not. */
#include "core/image.h"
#include "tests/stage/film.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 16, CELLS = 8, FRAMES = 8, CLIPS = 60, FEATURES = 3 * CELLS * CELLS };

/* Mean colour of each of CELLS x CELLS parts of the picture. */
static void cells_of(double out[FEATURES], const struct clv_image *image)
{
    int step = SIDE / CELLS;
    memset(out, 0, FEATURES * sizeof *out);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++)
                out[3 * (y / step * CELLS + x / step) + c] +=
                    image->pixels[(size_t)y * image->stride_bytes + 3 * (size_t)x + (size_t)c];
}

struct features {
    double bag[2 * FEATURES]; /* mean and deviation of the frames, whatever their order */
    double ordered[FEATURES]; /* the second half less the first */
};

static void features_of(struct features *out, const struct stage_clip *clip,
                        struct clv_image *image)
{
    double frames[FRAMES][FEATURES];
    for (int i = 0; i < FRAMES; i++) {
        /* The middle of a segment, as a video file is sampled. */
        int index = (2 * i + 1) * clip->frame_count / (2 * FRAMES);
        stage_render_frame(clip, index, clip->frame_count, image);
        cells_of(frames[i], image);
    }
    for (int f = 0; f < FEATURES; f++) {
        double sum = 0, squares = 0, halves = 0;
        for (int i = 0; i < FRAMES; i++) {
            sum += frames[i][f];
            squares += frames[i][f] * frames[i][f];
            halves += i < FRAMES / 2 ? -frames[i][f] : frames[i][f];
        }
        double mean = sum / FRAMES, variance = squares / FRAMES - mean * mean;
        out->bag[f] = mean;
        out->bag[FEATURES + f] = sqrt(variance > 0 ? variance : 0);
        out->ordered[f] = halves;
    }
}

/* How many of the later half of the clips are nearest to their own class's mean of the first half,
 * each feature over its deviation. `classes[k][i]` are the features of clip i of class k. */
static int count_right(const double *classes[2][CLIPS], int count)
{
    double axis[2 * FEATURES], middle[2 * FEATURES];
    int right = 0, half = CLIPS / 2;
    for (int f = 0; f < count; f++) {
        double sums[2] = {0, 0}, squares = 0;
        for (int k = 0; k < 2; k++)
            for (int i = 0; i < half; i++) {
                double value = classes[k][i][f];
                sums[k] += value / half;
                squares += value * value / (2 * half);
            }
        middle[f] = (sums[0] + sums[1]) / 2;
        axis[f] = (sums[1] - sums[0]) / (squares - middle[f] * middle[f] + 1e-9);
    }
    for (int k = 0; k < 2; k++)
        for (int i = half; i < CLIPS; i++) {
            double score = 0;
            for (int f = 0; f < count; f++)
                score += axis[f] * (classes[k][i][f] - middle[f]);
            right += (score > 0) == (k == 1);
        }
    return right;
}

static void bags_of_frames_do_not_tell_reversals_apart(void)
{
    static struct features features[2][CLIPS];
    struct clv_image image;
    const double *bags[2][CLIPS], *orders[2][CLIPS];
    int bag = 0, ordered = 0, total = 0;
    REQUIRE_OK(clv_image_create(&image, SIDE, SIDE));
    for (int action = 0; action < stage_action_count(); action++) {
        int other = stage_action_pair(action);
        if (other < action)
            continue;
        for (int k = 0; k < 2; k++)
            for (int i = 0; i < CLIPS; i++) {
                struct stage_clip clip;
                uint64_t seed = (uint64_t)(k * CLIPS + i);
                stage_draw_clip(&clip, 5000 + seed, STAGE_TRAIN, k ? other : action);
                features_of(&features[k][i], &clip, &image);
                bags[k][i] = features[k][i].bag;
                orders[k][i] = features[k][i].ordered;
            }
        bag += count_right(bags, 2 * FEATURES);
        ordered += count_right(orders, FEATURES);
        total += 2 * (CLIPS - CLIPS / 2);
    }
    clv_image_release(&image);
    /* Some 1700 clips: four standard deviations of chance are 0.05. */
    CHECK_NEAR((double)bag / total, 0.5, 0.05);
    CHECK((double)ordered / total > 0.65);
}

/* The parameters that are fixed before it is known which way the clip is played. */
static void drifts_have_no_direction(void)
{
    double zoom = 0, pan = 0, light = 0, hold = 0;
    int count = 4000;
    for (int i = 0; i < count; i++) {
        struct stage_clip clip;
        stage_draw_clip(&clip, (uint64_t)i, STAGE_TRAIN, 2 * (i % 20));
        zoom += (clip.shot.zoom_to - clip.shot.zoom_from) / count;
        pan += (clip.shot.to.x - clip.shot.from.x) / count;
        light += (clip.light[1].gain[1] - clip.light[0].gain[1]) / count;
        hold += (clip.hold_last - clip.hold_first) / count;
    }
    /* Each is the mean of differences that spread by less than 0.14. */
    CHECK_NEAR(zoom, 0, 0.009);
    CHECK_NEAR(pan, 0, 0.009);
    CHECK_NEAR(light, 0, 0.009);
    CHECK_NEAR(hold, 0, 0.009);
}

int main(void)
{
    T_RUN(bags_of_frames_do_not_tell_reversals_apart);
    T_RUN(drifts_have_no_direction);
    return t_end();
}
