/* The probabilities of a validation against the paper's formula in double precision: a softmax for
 * each prompt, averaged over prompts, over views and crops (claver.md 2.3). */
#include "core/error.h"
#include "core/model/augment.h"
#include "core/model/model.h"
#include "core/model/pixels.h"
#include "core/model/validate.h"
#include "query/sentences.h"
#include "tests/t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLIPS = 5, CLASSES = 3, PROMPTS = 2, WIDTH = 50, HEIGHT = 40, FRAMES_MAX = 16, READS = 64 };
enum { BROKEN = 2 };

static const char *const texts[PROMPTS * CLASSES] = {"run",           "jump",          "sit down",
                                                     "a person runs", "one who jumps", "sitting"};

/* Clips of noise, with a note of what was asked for. */
struct source {
    struct clv_image images[FRAMES_MAX];
    struct clv_clip_request requests[READS];
    int request_count;
};

static void paint(struct clv_image *images, const struct clv_clip_request *request)
{
    for (int t = 0; t < request->frame_count; t++) {
        uint64_t state = (uint64_t)request->clip * 1000 + (uint64_t)t +
                         (request->is_training ? request->seed : 0);
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < 3 * WIDTH; x++)
                images[t].pixels[(size_t)y * images[t].stride_bytes + (size_t)x] =
                    (uint8_t)(t_random(&state) >> 9);
    }
}

static int read_clip(void *payload, struct clv_image *images_out,
                     const struct clv_clip_request *request)
{
    struct source *source = payload;
    if (request->clip == BROKEN)
        return clv_fail(CLV_ECORRUPT, "clip %d is broken", request->clip);
    if (source->request_count < READS)
        source->requests[source->request_count++] = *request;
    paint(source->images, request);
    memcpy(images_out, source->images, (size_t)request->frame_count * sizeof *images_out);
    return CLV_OK;
}

/* What a test works with. */
struct world {
    struct clv_model model;
    struct clv_device *device;
    struct clv_encoder *encoder;
    struct clv_augment *augment;
    struct source source;
    int32_t classes[CLIPS];
    struct clv_clips clips;
    float *features; /* [A, C, E] */
};

static int open_world(struct world *world)
{
    static const char *const names[CLASSES] = {"run", "jump", "sit"};
    const struct clv_augment_options plain = {0};
    memset(world, 0, sizeof *world);
    int status = clv_model_open_mini(&world->model, NULL);
    const struct clv_model_config *config = &world->model.config;
    const struct clv_encoder_options options = {.slot_count = 3 * config->frame_count,
                                                .window_batch_max = 3};
    if (status == CLV_OK)
        status = clv_device_open(&world->device, &(struct clv_device_options){.thread_count = 1});
    if (status == CLV_OK)
        status = clv_encoder_create(&world->encoder, world->device, world->model.weights, config,
                                    &options);
    if (status == CLV_OK)
        status = clv_augment_create(&world->augment, config, &plain);
    for (int t = 0; t < config->frame_count && status == CLV_OK; t++)
        status = clv_image_create(&world->source.images[t], WIDTH, HEIGHT);
    for (int i = 0; i < CLIPS; i++)
        world->classes[i] = i % CLASSES;
    world->clips = (struct clv_clips){.payload = &world->source,
                                      .read = read_clip,
                                      .clip_count = CLIPS,
                                      .class_count = CLASSES,
                                      .class_names = names,
                                      .classes = world->classes};
    world->features = calloc(PROMPTS * CLASSES, (size_t)config->embed_dim * sizeof(float));
    if (status == CLV_OK)
        status = clv_model_encode_texts(&world->model, world->encoder, world->features, NULL, texts,
                                        PROMPTS * CLASSES);
    return status;
}

static void close_world(struct world *world)
{
    for (int t = 0; t < FRAMES_MAX; t++)
        clv_image_release(&world->source.images[t]);
    clv_augment_free(world->augment);
    clv_encoder_free(world->encoder);
    clv_device_close(world->device);
    clv_model_release(&world->model);
    free(world->features);
}

/* Adds to sums [C] what one crop of the frames asked for comes to. */
static void add_view(struct world *world, double *sums, const struct clv_clip_request *request,
                     int crop, int crop_count)
{
    const struct clv_model_config *config = &world->model.config;
    size_t frames = (size_t)config->frame_count, side = (size_t)config->image_side;
    size_t embed = (size_t)config->embed_dim;
    float *pixels = calloc(frames, 3 * side * side * sizeof *pixels);
    uint8_t *bytes = calloc(frames, 3 * side * side);
    float *vector = calloc(embed, sizeof *vector);
    int32_t slots[FRAMES_MAX];
    const struct clv_window_outputs outputs = {.vectors = vector};
    for (int t = 0; t < FRAMES_MAX; t++)
        slots[t] = t;
    paint(world->source.images, request);
    CHECK_OK(clv_augment_view(world->augment, bytes, world->source.images, config->frame_count,
                              crop, crop_count));
    for (size_t t = 0; t < frames; t++)
        clv_pixels_normalize(pixels + t * 3 * side * side,
                             &(const uint8_t *){bytes + t * 3 * side * side}, 1, config);
    CHECK_OK(clv_encoder_frames(world->encoder, slots, pixels, config->frame_count));
    CHECK_OK(clv_encoder_windows(world->encoder, &outputs, slots, 1));
    for (int a = 0; a < PROMPTS; a++) {
        double logits[CLASSES], sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            const float *text = world->features + (size_t)(a * CLASSES + c) * embed;
            double dot = 0, length = 0;
            for (size_t k = 0; k < embed; k++) {
                dot += (double)text[k] * (double)vector[k];
                length += (double)text[k] * (double)text[k];
            }
            logits[c] = exp(exp((double)config->logit_scale) * dot / sqrt(length));
            sum += logits[c];
        }
        for (int c = 0; c < CLASSES; c++)
            sums[c] += logits[c] / sum;
    }
    free(bytes);
    free(pixels);
    free(vector);
}

static void check_scores(struct world *world, int views, int crops)
{
    float scores[CLIPS * CLASSES];
    struct clv_validation result;
    const struct clv_validate_options options = {.view_count = views,
                                                 .crop_count = crops,
                                                 .seed = 12,
                                                 .text_features = world->features,
                                                 .prompt_count = PROMPTS,
                                                 .scores_out = scores};
    memset(scores, 0x7f, sizeof scores);
    world->source.request_count = 0;
    REQUIRE_OK(clv_validate(&result, world->encoder, &world->clips, &options));
    CHECK_INT(result.clip_count, CLIPS - 1);
    CHECK_INT(result.skipped_count, 1);
    CHECK_INT(world->source.request_count, views * (CLIPS - 1));
    for (int i = 0; i < CLIPS; i++) {
        double want[CLASSES] = {0};
        int found = 0;
        for (int r = 0; r < world->source.request_count; r++) {
            const struct clv_clip_request request = world->source.requests[r];
            for (int crop = 0; request.clip == i && crop < crops; crop++, found++)
                add_view(world, want, &request, crop, crops);
        }
        CHECK_INT(found, i == BROKEN ? 0 : views * crops);
        for (int c = 0; c < CLASSES; c++)
            CHECK_NEAR(scores[i * CLASSES + c], found ? want[c] / (found * PROMPTS) : 0, 2e-6);
    }
    clv_validation_release(&result);
}

static void probabilities_are_the_papers(void)
{
    struct world world;
    CHECK_OK(open_world(&world));
    if (!t_failed()) {
        check_scores(&world, 1, 1);
        check_scores(&world, 1, 3);
        check_scores(&world, 2, 3);
        check_scores(&world, 4, 1);
    }
    close_world(&world);
}

/* The query of a sentence is the normalised sum of its templates' features. */
static void a_sentence_asks_with_all_templates(void)
{
    struct world world;
    CHECK_OK(open_world(&world));
    size_t embed = (size_t)world.model.config.embed_dim;
    float *got = calloc(embed, sizeof *got);
    float *one = calloc(embed, sizeof *one);
    double *want = calloc(embed, sizeof *want), length = 0;
    /* The list of claver.md 3, by hand. */
    static const char *const filled[] = {"open the door",
                                         "a video of open the door.",
                                         "a video of a person open the door.",
                                         "a example of open the door.",
                                         "a example of a person open the door.",
                                         "a demonstration of open the door.",
                                         "a demonstration of a person open the door.",
                                         "Human action of open the door.",
                                         "open the door, an action.",
                                         "open the door this is an action.",
                                         "open the door, a video of action.",
                                         "Playing action of open the door.",
                                         "Playing a kind of action, open the door",
                                         "Doing a kind of action, open the door",
                                         "Look, the human is open the door",
                                         "Video classification of open the door"};
    int cut = -1;
    for (int i = 0; i < 16 && !t_failed(); i++) {
        CHECK_OK(clv_model_encode_texts(&world.model, world.encoder, one, NULL, &filled[i], 1));
        for (size_t k = 0; k < embed; k++)
            want[k] += (double)one[k];
    }
    for (size_t k = 0; k < embed; k++)
        length += want[k] * want[k];
    CHECK_OK(clv_sentence_vector(got, &cut, &world.model, world.encoder, " open the door "));
    for (size_t k = 0; k < embed; k++)
        CHECK_NEAR(got[k], want[k] / sqrt(length), 1e-5);
    CHECK_INT(cut, 0);
    CHECK_ERROR(clv_sentence_vector(got, &cut, &world.model, world.encoder, " \n"), CLV_EINVAL,
                "empty");
    free(got);
    free(one);
    free(want);
    close_world(&world);
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    T_RUN(probabilities_are_the_papers);
    T_RUN(a_sentence_asks_with_all_templates);
    return t_end();
}
