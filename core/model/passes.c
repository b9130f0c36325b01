/* The passes of the three branches, forward and backward side by side. */
#include "core/model/passes.h"

#include "core/compute/gradients.h"
#include "core/error.h"

#include <assert.h>

/* A two-dimensional parameter, and its gradient. */
static struct clv_tensor matrix(const struct clv_pass *pass, enum clv_param_single which, int rows,
                                int cols)
{
    const float *data = clv_network_single(pass->network, which);
    /* Ops take views of mutable memory; weights are only read. */
    return data ? clv_tensor((float *)data, rows, cols) : CLV_NO_TENSOR;
}

static struct clv_tensor matrix_gradient(const struct clv_pass *pass, enum clv_param_single which,
                                         int rows, int cols)
{
    float *data = clv_network_single_gradient(pass->network, which);
    return data ? clv_tensor(data, rows, cols) : CLV_NO_TENSOR;
}

static void norm(const struct clv_pass *pass, struct clv_tensor out, struct clv_tensor x,
                 enum clv_param_single weight, enum clv_param_single bias)
{
    clv_layer_norm(pass->network->device, out, x, clv_network_single(pass->network, weight),
                   clv_network_single(pass->network, bias));
}

static void norm_backward(const struct clv_pass *pass, struct clv_tensor dx, struct clv_tensor dy,
                          struct clv_tensor x, enum clv_param_single weight,
                          enum clv_param_single bias)
{
    clv_layer_norm_backward(pass->network->device, dx,
                            clv_network_single_gradient(pass->network, weight),
                            clv_network_single_gradient(pass->network, bias), dy, x,
                            clv_network_single(pass->network, weight));
}

/* A run of a tower's blocks over `count` sequences that begin at pass->starts. */
static struct clv_block_run run_of(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                                   const struct clv_block *blocks, const struct clv_tower *tower,
                                   enum clv_mask mask, int count, int token_count)
{
    struct clv_block_run run = {
        .blocks = blocks,
        .count = tower->layer_count,
        .attention = {.mask = mask,
                      .head_count = tower->head_count,
                      .sequence_count = count,
                      .token_count = token_count,
                      .starts = pass->starts},
        .activation = pass->network->config.activation,
        .scratch = pass->scratch,
    };
    if (tape) {
        run.tape = tape->blocks;
        run.is_checkpointed = tape->is_checkpointed;
        run.drop = tape->drop;
        run.drop_count = tape->drop_count;
    }
    return run;
}

/* `count` sequences of `rows` rows each. */
static void set_equal_starts(const struct clv_pass *pass, int count, int rows)
{
    for (int i = 0; i <= count; i++)
        pass->starts[i] = i * rows;
}

/* The class tokens of `count` frames of `token_count` rows. */
static void set_class_queries(const struct clv_pass *pass, int count, int token_count)
{
    for (int i = 0; i < count; i++)
        pass->queries[i] = i * token_count;
}

/* Names of runs that are recorded, of towers that no tape follows. With a tape ops are called: what
 * drops out of a step differs each time, and kernels are too large for their launches to show.
 * Texts call theirs, for no two batches are packed alike. */
enum replay { REPLAY_FRAMES, REPLAY_FRAME_CLASSES, REPLAY_WINDOWS, REPLAY_WINDOW_CLASSES };

static struct clv_replay_key replay_key(const struct clv_pass *pass, struct clv_tensor input,
                                        enum replay which, int count)
{
    return (struct clv_replay_key){
        .owner = pass, .input = input.data, .pass = which, .count = count};
}

/* ---- frames ---------------------------------------------------------------------------------- */

static struct clv_block_run frames_run(const struct clv_pass *pass,
                                       const struct clv_tower_tape *tape, int count,
                                       bool class_only)
{
    const struct clv_network *network = pass->network;
    const int tokens = network->config.token_count;
    struct clv_block_run run =
        run_of(pass, tape, network->vision, &network->config.vision, CLV_MASK_NONE, count, tokens);
    set_equal_starts(pass, count, tokens);
    set_class_queries(pass, count, tokens);
    run.queries = class_only ? pass->queries : NULL;
    run.query_count = count;
    return run;
}

static struct clv_tensor patch_rows(const struct clv_pass *pass, int frame_count)
{
    const struct clv_model_config *config = &pass->network->config;
    return clv_tensor_of(pass->scratch.type, pass->scratch.wide,
                         frame_count * (config->token_count - 1),
                         3 * config->patch_side * config->patch_side);
}

struct clv_tensor clv_pass_patches(const struct clv_pass *pass, struct clv_tensor pixels)
{
    const struct clv_model_config *config = &pass->network->config;
    const struct clv_tensor patches = patch_rows(pass, pixels.rows);
    clv_patches(pass->network->device, patches, pixels, config->image_side, config->patch_side);
    return patches;
}

struct clv_tensor clv_pass_square_patches(const struct clv_pass *pass, const uint8_t *squares,
                                          const float *values, int frame_count)
{
    const struct clv_model_config *config = &pass->network->config;
    const struct clv_tensor patches = patch_rows(pass, frame_count);
    clv_square_patches(pass->network->device, patches, squares, values, config->image_side,
                       config->patch_side);
    return patches;
}

/* The tower over patches, its stream being x. */
static void run_frames(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                       const struct clv_block_run *run, struct clv_tensor patches,
                       struct clv_tensor x)
{
    const struct clv_network *network = pass->network;
    const int width = x.cols, tokens = network->config.token_count;
    const struct clv_tensor before = tape ? clv_tensor(tape->embedded, x.rows, width) : x;
    const struct clv_tensor embedded = clv_tensor(pass->scratch.mixed, patches.rows, width);

    clv_linear(network->device, embedded, patches, &network->conv1, NULL, CLV_ACTIVATION_NONE,
               CLV_NO_TENSOR);
    clv_frame_embed(network->device, before, embedded,
                    clv_network_single(network, CLV_PARAM_CLASS_EMBEDDING),
                    matrix(pass, CLV_PARAM_FRAME_POSITION, tokens, width));
    norm(pass, x, before, CLV_PARAM_LN_PRE_WEIGHT, CLV_PARAM_LN_PRE_BIAS);
    (void)clv_blocks_forward(network->device, run, x);
}

struct clv_tensor clv_pass_frames(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                                  struct clv_tensor patches, bool class_only)
{
    struct clv_device *device = pass->network->device;
    const struct clv_model_config *config = &pass->network->config;
    const int count = patches.rows / (config->token_count - 1);
    const struct clv_block_run run = frames_run(pass, tape, count, class_only);
    const struct clv_tensor x =
        clv_tensor(clv_blocks_input(&run), count * config->token_count, config->vision.width);
    if (tape) {
        run_frames(pass, tape, &run, patches, x);
        return clv_blocks_result(&run, x);
    }
    const struct clv_replay_key key =
        replay_key(pass, patches, class_only ? REPLAY_FRAME_CLASSES : REPLAY_FRAMES, count);
    for (bool calls = clv_device_replay_begin(device, &key); calls;
         calls = clv_device_replay_end(device))
        run_frames(pass, NULL, &run, patches, x);
    return clv_blocks_result(&run, x);
}

void clv_pass_frames_backward(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                              struct clv_tensor pixels, bool class_only, struct clv_tensor d)
{
    const struct clv_network *network = pass->network;
    const int width = network->config.vision.width, tokens = network->config.token_count;
    const int rows = pixels.rows * tokens, patch = network->config.patch_side;
    const struct clv_block_run run = frames_run(pass, tape, pixels.rows, class_only);
    const struct clv_tensor dx = clv_blocks_backward(network->device, &run, d, rows);
    norm_backward(pass, dx, dx, clv_tensor(tape->embedded, rows, width), CLV_PARAM_LN_PRE_WEIGHT,
                  CLV_PARAM_LN_PRE_BIAS);

    const struct clv_tensor patches = clv_pass_patches(pass, pixels);
    const struct clv_tensor dembedded = clv_tensor(pass->scratch.mixed, patches.rows, width);
    clv_frame_embed_backward(
        network->device, dembedded, clv_network_single_gradient(network, CLV_PARAM_CLASS_EMBEDDING),
        matrix_gradient(pass, CLV_PARAM_FRAME_POSITION, tokens, width), dx, tokens);
    clv_linear_backward(network->device, CLV_NO_TENSOR,
                        matrix_gradient(pass, CLV_PARAM_CONV1, width, 3 * patch * patch), NULL,
                        dembedded, patches, &network->conv1);
}

/* ---- windows --------------------------------------------------------------------------------- */

static struct clv_block_run windows_run(const struct clv_pass *pass,
                                        const struct clv_tower_tape *tape,
                                        const struct clv_pass_windows *windows)
{
    const struct clv_network *network = pass->network;
    const int frame_count = network->config.frame_count, tokens = windows->token_count;
    struct clv_block_run run = run_of(pass, tape, network->temporal, &network->config.temporal,
                                      network->config.mask, windows->count, tokens);
    set_equal_starts(pass, windows->count, frame_count * tokens);
    set_class_queries(pass, windows->count * frame_count, tokens);
    run.queries = windows->all_rows ? NULL : pass->queries;
    run.query_count = windows->count * frame_count;
    return run;
}

struct clv_tensor clv_pass_windows(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                                   const struct clv_pass_windows *windows)
{
    const struct clv_network *network = pass->network;
    const int frame_count = network->config.frame_count, width = network->config.vision.width;
    const struct clv_block_run run = windows_run(pass, tape, windows);
    const struct clv_tensor x = clv_tensor(
        clv_blocks_input(&run), windows->count * frame_count * windows->token_count, width);
    clv_window_embed(network->device, x, windows->frames, windows->slots, frame_count,
                     windows->token_count,
                     matrix(pass, CLV_PARAM_TEMPORAL_EMBEDDING, frame_count, width));
    if (tape || run.count == 0)
        return clv_blocks_forward(network->device, &run, x);
    const struct clv_replay_key key = replay_key(
        pass, x, windows->all_rows ? REPLAY_WINDOWS : REPLAY_WINDOW_CLASSES, windows->count);
    for (bool calls = clv_device_replay_begin(network->device, &key); calls;
         calls = clv_device_replay_end(network->device))
        (void)clv_blocks_forward(network->device, &run, x);
    return clv_blocks_result(&run, x);
}

struct clv_tensor clv_pass_windows_backward(const struct clv_pass *pass,
                                            const struct clv_tower_tape *tape,
                                            const struct clv_pass_windows *windows,
                                            struct clv_tensor d)
{
    const struct clv_network *network = pass->network;
    const int frame_count = network->config.frame_count, width = network->config.vision.width;
    const struct clv_block_run run = windows_run(pass, tape, windows);
    const struct clv_tensor dx = clv_blocks_backward(
        network->device, &run, d, windows->count * frame_count * windows->token_count);
    const struct clv_tensor dtemporal =
        matrix_gradient(pass, CLV_PARAM_TEMPORAL_EMBEDDING, frame_count, width);
    if (dtemporal.data)
        clv_window_embed_backward(network->device, CLV_NO_TENSOR, dtemporal, dx, windows->slots,
                                  frame_count, windows->token_count);
    return dx;
}

struct clv_tensor clv_pass_class_rows(const struct clv_pass *pass, struct clv_tensor x,
                                      int frame_count)
{
    const struct clv_tensor rows = clv_tensor(pass->scratch.normed, frame_count, x.cols);
    set_class_queries(pass, frame_count, x.rows / frame_count);
    clv_gather_rows(pass->network->device, rows, x, pass->queries);
    return rows;
}

/* The head of a branch: layer norm and projection. */
static void project(const struct clv_pass *pass, bool has_tape, struct clv_tensor out,
                    struct clv_tensor x, enum clv_param_single weight, enum clv_param_single bias,
                    const struct clv_weight *projection)
{
    /* Serving's x may lie in `normed`, but never in `mixed`. */
    const struct clv_tensor normed = clv_tensor_of(
        pass->scratch.type, has_tape ? pass->scratch.normed : pass->scratch.mixed, x.rows, x.cols);
    norm(pass, normed, x, weight, bias);
    clv_linear(pass->network->device, out, normed, projection, NULL, CLV_ACTIVATION_NONE,
               CLV_NO_TENSOR);
}

static struct clv_tensor project_backward(const struct clv_pass *pass, struct clv_tensor dout,
                                          struct clv_tensor x, enum clv_param_single weight,
                                          enum clv_param_single bias,
                                          const struct clv_weight *projection,
                                          struct clv_tensor dprojection)
{
    const enum clv_type type = pass->scratch.type;
    const struct clv_tensor normed = clv_tensor_of(type, pass->scratch.normed, x.rows, x.cols);
    const struct clv_tensor dnormed = clv_tensor_of(type, pass->scratch.mixed, x.rows, x.cols);
    const struct clv_tensor dx = clv_tensor(pass->scratch.stream, x.rows, x.cols);
    norm(pass, normed, x, weight, bias);
    clv_linear_backward(pass->network->device, dnormed, dprojection, NULL, dout, normed,
                        projection);
    norm_backward(pass, dx, dnormed, x, weight, bias);
    return dx;
}

void clv_pass_features(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                       struct clv_tensor out, struct clv_tensor x)
{
    project(pass, tape != NULL, out, x, CLV_PARAM_LN_POST_WEIGHT, CLV_PARAM_LN_POST_BIAS,
            &pass->network->vision_projection);
}

struct clv_tensor clv_pass_features_backward(const struct clv_pass *pass, struct clv_tensor dout,
                                             struct clv_tensor x)
{
    return project_backward(pass, dout, x, CLV_PARAM_LN_POST_WEIGHT, CLV_PARAM_LN_POST_BIAS,
                            &pass->network->vision_projection,
                            matrix_gradient(pass, CLV_PARAM_VISION_PROJECTION, x.cols, dout.cols));
}

/* ---- texts ----------------------------------------------------------------------------------- */

static struct clv_block_run texts_run(const struct clv_pass *pass,
                                      const struct clv_tower_tape *tape,
                                      const struct clv_pass_texts *texts)
{
    const struct clv_network *network = pass->network;
    struct clv_block_run run =
        run_of(pass, tape, network->text, &network->config.text, CLV_MASK_CAUSAL, texts->count, 0);
    for (int i = 0; i <= texts->count; i++)
        pass->starts[i] = texts->starts[i] - texts->starts[0];
    for (int i = 0; i < texts->count; i++)
        pass->queries[i] = pass->starts[i + 1] - 1;
    run.queries = pass->queries;
    run.query_count = texts->count;
    return run;
}

void clv_pass_texts(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                    struct clv_tensor out, const struct clv_pass_texts *texts)
{
    const struct clv_network *network = pass->network;
    const struct clv_model_config *config = &network->config;
    const struct clv_block_run run = texts_run(pass, tape, texts);
    const struct clv_tensor x =
        clv_tensor(clv_blocks_input(&run), pass->starts[texts->count], config->text.width);
    clv_token_embed(
        network->device, x,
        matrix(pass, CLV_PARAM_TOKEN_EMBEDDING, config->vocabulary_size, config->text.width),
        matrix(pass, CLV_PARAM_POSITION, config->context_length, config->text.width),
        texts->ids + texts->starts[0], pass->starts, texts->count);
    const struct clv_tensor y = clv_blocks_forward(network->device, &run, x);
    project(pass, tape != NULL, out, y, CLV_PARAM_LN_FINAL_WEIGHT, CLV_PARAM_LN_FINAL_BIAS,
            &network->text_projection);
}

void clv_pass_texts_backward(const struct clv_pass *pass, const struct clv_tower_tape *tape,
                             struct clv_tensor dout, const struct clv_pass_texts *texts)
{
    const struct clv_network *network = pass->network;
    const struct clv_model_config *config = &network->config;
    const int width = config->text.width;
    const struct clv_block_run run = texts_run(pass, tape, texts);
    const struct clv_tensor y = clv_tensor(tape->blocks[run.count].x, texts->count, width);
    const struct clv_tensor d = project_backward(
        pass, dout, y, CLV_PARAM_LN_FINAL_WEIGHT, CLV_PARAM_LN_FINAL_BIAS,
        &network->text_projection,
        matrix_gradient(pass, CLV_PARAM_TEXT_PROJECTION, width, config->embed_dim));
    const struct clv_tensor dx =
        clv_blocks_backward(network->device, &run, d, pass->starts[texts->count]);
    clv_token_embed_backward(
        network->device,
        matrix_gradient(pass, CLV_PARAM_TOKEN_EMBEDDING, config->vocabulary_size, width),
        matrix_gradient(pass, CLV_PARAM_POSITION, config->context_length, width), dx,
        texts->ids + texts->starts[0], pass->starts, texts->count);
}

int clv_pass_check_texts(const struct clv_model_config *config, const struct clv_pass_texts *texts)
{
    const int32_t *ids = texts->ids, *starts = texts->starts;
    for (int i = 0; i < texts->count; i++) {
        int length = starts[i + 1] - starts[i];
        if (length < 1 || length > config->context_length)
            return clv_fail(CLV_EINVAL, "text %d has %d tokens, 1 to %d are possible", i, length,
                            config->context_length);
        for (int32_t k = starts[i]; k < starts[i + 1]; k++)
            if (ids[k] < 0 || ids[k] >= config->vocabulary_size)
                return clv_fail(CLV_EINVAL, "token %d of text %d is outside the vocabulary of %d",
                                ids[k], i, config->vocabulary_size);
    }
    return CLV_OK;
}
