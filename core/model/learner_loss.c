/* The loss of a batch, and its way back through the branches.
 *
 * Texts are encoded first and their gradient is gathered over all clips, so that each tower runs
 * back once. Where clips come in several passes, classes let each pass go back at once; captions
 * need every clip's vector first, and run the passes forward a second time.
 *
 * The members of a batch that is shared out (learner_state.h) each do this for their own texts and
 * clips. A member's part of a table that all need is the rest of the table left zero, so that one
 * sum over the members is the whole of it, to the bit. */
#include "core/compute/gradients.h"
#include "core/error.h"
#include "core/model/learner_state.h"

#include <math.h>
#include <string.h>

/* ---- checks ---------------------------------------------------------------------------------- */

static int check_texts(const struct clv_learner *learner, const struct clv_learner_batch *batch)
{
    const struct clv_learner_options *options = &learner->options;
    if (batch->text_count < 1 || batch->text_count > options->text_max)
        return clv_fail(CLV_EINVAL, "a batch of %d texts is not in 1..%d", batch->text_count,
                        options->text_max);
    if (batch->text_features)
        return options->freeze_text
                   ? CLV_OK
                   : clv_fail(CLV_EINVAL, "features stand in for texts that are trained");
    const int rows = batch->starts[batch->text_count] - batch->starts[0];
    if (rows > options->text_row_max)
        return clv_fail(CLV_EINVAL, "a batch of %d text tokens is larger than %d", rows,
                        options->text_row_max);
    const struct clv_pass_texts texts = {batch->ids, batch->starts, batch->text_count};
    return clv_pass_check_texts(&learner->config, &texts);
}

int clv_learner_check_batch(const struct clv_learner *learner,
                            const struct clv_learner_batch *batch)
{
    const int prompts = batch->prompt_count ? batch->prompt_count : 1;
    if (batch->clip_count < 1 || batch->clip_count > learner->options.clip_max)
        return clv_fail(CLV_EINVAL, "a batch of %d clips is not in 1..%d", batch->clip_count,
                        learner->options.clip_max);
    int status = check_texts(learner, batch);
    if (status != CLV_OK)
        return status;
    if (batch->loss == CLV_LOSS_CAPTIONS && batch->text_count != batch->clip_count)
        return clv_fail(CLV_EINVAL, "%d captions do not belong to %d clips", batch->text_count,
                        batch->clip_count);
    if (batch->loss == CLV_LOSS_CLASSES && (prompts < 1 || batch->text_count % prompts))
        return clv_fail(CLV_EINVAL, "%d texts are no classes of %d prompts each", batch->text_count,
                        prompts);
    if (batch->loss == CLV_LOSS_CLASSES && !batch->labels)
        return clv_fail(CLV_EINVAL, "a batch of classes has no labels");
    return CLV_OK;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* The texts from `first` on that one pass takes. */
static struct clv_pass_texts next_texts(const struct clv_learner_work *work, int first)
{
    const struct clv_learner_batch *batch = work->batch;
    const int32_t *starts = batch->starts;
    struct clv_pass_texts texts = {batch->ids, starts + first, 1};
    while (first + texts.count < work->text_end &&
           starts[first + texts.count + 1] - starts[first] <= work->learner->options.text_batch_max)
        texts.count++;
    return texts;
}

static const struct clv_tower_tape *text_tape(const struct clv_learner *learner)
{
    return learner->trains_text ? &learner->text_tape : NULL;
}

static struct clv_tensor text_room(const struct clv_learner_work *work, enum clv_learner_room room)
{
    return clv_tensor(work->learner->room[room], work->batch->text_count,
                      work->learner->config.embed_dim);
}

static struct clv_tensor own_texts(const struct clv_learner_work *work, struct clv_tensor texts)
{
    return clv_tensor_rows(texts, work->text_first, work->text_end - work->text_first);
}

static void forward_texts(const struct clv_learner_work *work)
{
    const struct clv_learner *learner = work->learner;
    const struct clv_learner_batch *batch = work->batch;
    const struct clv_tensor features = text_room(work, CLV_ROOM_TEXT_FEATURES);
    if (batch->text_features) {
        clv_device_write(learner->device, features.data, batch->text_features,
                         (size_t)features.rows * (size_t)features.cols * sizeof(float));
    } else {
        for (int at = work->text_first; at < work->text_end;) {
            const struct clv_pass_texts texts = next_texts(work, at);
            clv_pass_texts(&learner->pass, text_tape(learner),
                           clv_tensor_rows(features, at, texts.count), &texts);
            at += texts.count;
        }
    }
    if (work->text_end - work->text_first < work->batch->text_count)
        clv_zero(learner->device, work->units);
    if (work->text_end > work->text_first)
        clv_unit_rows(learner->device, own_texts(work, work->units), own_texts(work, features));
}

/* From the gradient of the units to that of the text branch's parameters. */
static void backward_texts(const struct clv_learner_work *work)
{
    const struct clv_learner *learner = work->learner;
    const struct clv_tensor features = text_room(work, CLV_ROOM_TEXT_FEATURES);
    const struct clv_tensor d = text_room(work, CLV_ROOM_DTEXT_FEATURES);
    const int count = work->text_end - work->text_first;
    if (count == 0)
        return;
    clv_unit_rows_backward(learner->device, own_texts(work, d), own_texts(work, work->dunits),
                           own_texts(work, features));
    for (int at = work->text_first; at < work->text_end;) {
        const struct clv_pass_texts texts = next_texts(work, at);
        if (texts.count < count) /* another pass may have used the tape since */
            clv_pass_texts(&learner->pass, text_tape(learner),
                           clv_tensor_rows(features, at, texts.count), &texts);
        clv_pass_texts_backward(&learner->pass, text_tape(learner),
                                clv_tensor_rows(d, at, texts.count), &texts);
        at += texts.count;
    }
}

/* ---- clips ----------------------------------------------------------------------------------- */

/* splitmix64's mixing of a number into a uniform one in [0, 1). */
static double uniform(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Draws what clips first.. keep of each block's two branches (stochastic depth by sample: Huang et
 * al., 2016), as a function of the seed and the clip's place only. */
static void draw_drops(const struct clv_learner_work *work, int first, int count)
{
    struct clv_learner *learner = work->learner;
    const int vision = learner->config.vision.layer_count;
    const int layers = vision + learner->config.temporal.layer_count;
    const bool is_dropped = work->is_backward && learner->drop && layers > 1;
    float *drop = learner->drop;
    learner->vision_tape.drop = is_dropped ? drop : NULL;
    learner->temporal_tape.drop = is_dropped ? drop + 2 * vision * count : NULL;
    learner->vision_tape.drop_count = learner->temporal_tape.drop_count = count;
    for (int i = 0; is_dropped && i < 2 * layers; i++) {
        const int block = i / 2;
        const float rate = learner->options.drop_path * (float)block / (float)(layers - 1);
        for (int b = 0; b < count; b++) {
            uint64_t place = ((uint64_t)(first + b) << 16 | (uint64_t)i) + 1;
            double draw = uniform(work->batch->seed + place * 0x9e3779b97f4a7c15u);
            drop[i * count + b] = draw < (double)rate ? 0.0f : 1.0f / (1.0f - rate);
        }
    }
}

static struct clv_tensor vector_rows(const struct clv_learner_work *work,
                                     enum clv_learner_room room, int first, int count)
{
    const int embed = work->learner->config.embed_dim;
    return clv_tensor(work->learner->room[room] + (size_t)first * (size_t)embed, count, embed);
}

/* The tokens of a pass's frames, as its windows take them. */
static struct clv_pass_windows windows_of(const struct clv_learner *learner, int clip_count)
{
    const struct clv_model_config *config = &learner->config;
    float *frames = learner->trains_vision
                        ? learner->vision_tape.blocks[config->vision.layer_count].x
                        : learner->room[CLV_ROOM_FRAMES];
    const int rows = clip_count * config->frame_count * learner->slot_token_count;
    return (struct clv_pass_windows){.frames = clv_tensor(frames, rows, config->vision.width),
                                     .slots = learner->slots,
                                     .count = clip_count,
                                     .token_count = learner->slot_token_count};
}

static struct clv_tensor feature_rows(const struct clv_learner *learner, enum clv_learner_room room,
                                      int clip_count)
{
    return clv_tensor(learner->room[room], clip_count * learner->config.frame_count,
                      learner->config.embed_dim);
}

/* One pass: the vectors of clips first.. */
static void forward_clips(const struct clv_learner_work *work, int first, int count)
{
    struct clv_learner *learner = work->learner;
    struct clv_device *device = learner->device;
    const struct clv_pass_windows windows = windows_of(learner, count);
    const struct clv_tensor features = feature_rows(learner, CLV_ROOM_FEATURES, count);
    const struct clv_tower_tape *tape = learner->trains_windows ? &learner->temporal_tape : NULL;
    draw_drops(work, first, count);
    const struct clv_tensor pixels = clv_learner_load_clips(work, first, count);
    const struct clv_tensor frames =
        clv_pass_frames(&learner->pass, learner->trains_vision ? &learner->vision_tape : NULL,
                        clv_pass_patches(&learner->pass, pixels), learner->slot_token_count == 1);
    if (!learner->trains_vision)
        clv_copy(device, windows.frames, frames);
    const struct clv_tensor classes = clv_pass_windows(&learner->pass, tape, &windows);
    clv_pass_features(&learner->pass, tape, features, classes);
    clv_unit_mean(device, vector_rows(work, CLV_ROOM_VECTORS, first, count), features,
                  learner->config.frame_count);
}

/* After forward_clips() of the same: from the gradient of the vectors back. */
static void backward_clips(const struct clv_learner_work *work, int first, int count)
{
    const struct clv_learner *learner = work->learner;
    const struct clv_model_config *config = &learner->config;
    const struct clv_pass_windows windows = windows_of(learner, count);
    const struct clv_tensor dfeatures = feature_rows(learner, CLV_ROOM_DFEATURES, count);
    const struct clv_tensor classes =
        clv_tensor(learner->temporal_tape.blocks[config->temporal.layer_count].x,
                   count * config->frame_count, config->vision.width);
    clv_unit_mean_backward(learner->device, dfeatures,
                           vector_rows(work, CLV_ROOM_DVECTORS, first, count),
                           feature_rows(learner, CLV_ROOM_FEATURES, count), config->frame_count);
    struct clv_tensor d = clv_pass_features_backward(&learner->pass, dfeatures, classes);
    d = clv_pass_windows_backward(&learner->pass, &learner->temporal_tape, &windows, d);
    if (learner->trains_vision)
        clv_pass_frames_backward(&learner->pass, &learner->vision_tape,
                                 clv_learner_clips(learner, count), learner->slot_token_count == 1,
                                 d);
}

/* ---- losses ---------------------------------------------------------------------------------- */

/* Logits of `rows` vectors against `cols` others, and their loss; z [rows, cols] stays. */
static struct clv_tensor compare(const struct clv_learner_work *work, struct clv_tensor rows,
                                 struct clv_tensor cols, const float *labels, int prompt_count,
                                 float share)
{
    const struct clv_learner *learner = work->learner;
    struct clv_device *device = learner->device;
    const struct clv_tensor z = clv_tensor(learner->room[CLV_ROOM_LOGITS], rows.rows, cols.rows);
    const struct clv_tensor dz = clv_tensor(learner->room[CLV_ROOM_DLOGITS], z.rows, z.cols);
    const struct clv_tensor y =
        clv_tensor(learner->room[CLV_ROOM_LABELS], z.rows, z.cols / prompt_count);
    clv_device_write(device, y.data, labels, (size_t)y.rows * (size_t)y.cols * sizeof *labels);
    clv_matmul(device, z, rows, false, cols, true, work->scale, 0);
    clv_soft_cross_entropy(device, clv_learner_sum(learner, CLV_SUM_LOSS),
                           work->is_backward ? dz : CLV_NO_TENSOR, z, y, prompt_count,
                           share * work->weight);
    if (work->dlogit_scale)
        clv_dot_add(device, work->dlogit_scale, dz, z);
    return dz;
}

static void read_logits(const struct clv_learner_work *work, int first, int count)
{
    const size_t cols = (size_t)work->batch->text_count;
    if (work->batch->logits_out)
        clv_device_read(work->learner->device, work->batch->logits_out + (size_t)first * cols,
                        work->learner->room[CLV_ROOM_LOGITS], (size_t)count * cols * sizeof(float));
}

static void run_classes(const struct clv_learner_work *work)
{
    const struct clv_learner *learner = work->learner;
    const struct clv_learner_batch *batch = work->batch;
    const int prompts = batch->prompt_count ? batch->prompt_count : 1;
    const size_t classes = (size_t)(batch->text_count / prompts);
    const int most = learner->options.clip_batch_max;
    for (int at = work->clip_first; at < work->clip_end; at += most) {
        const int count = work->clip_end - at < most ? work->clip_end - at : most;
        const struct clv_tensor vectors = vector_rows(work, CLV_ROOM_VECTORS, at, count);
        forward_clips(work, at, count);
        const struct clv_tensor dz =
            compare(work, vectors, work->units, batch->labels + (size_t)at * classes, prompts,
                    (float)count / (float)batch->clip_count);
        read_logits(work, at, count);
        if (work->dunits.data)
            clv_matmul(learner->device, work->dunits, dz, true, vectors, false, work->scale, 1);
        if (!work->is_backward || !learner->trains_windows)
            continue;
        clv_matmul(learner->device, vector_rows(work, CLV_ROOM_DVECTORS, at, count), dz, false,
                   work->units, false, work->scale, 0);
        backward_clips(work, at, count);
    }
}

/* Labels of captions against clips, or transposed, in the host scratch. */
static const float *caption_labels(const struct clv_learner_work *work, bool is_transposed)
{
    const struct clv_learner_batch *batch = work->batch;
    const size_t n = (size_t)batch->clip_count;
    float *labels = work->learner->labels;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            size_t from = is_transposed ? k * n + i : i * n + k;
            labels[i * n + k] = batch->labels ? batch->labels[from] : i == k ? 1.0f : 0.0f;
        }
    return labels;
}

/* Both directions of the contrast, and the gradients of the vectors of either side. */
static void contrast(const struct clv_learner_work *work)
{
    const struct clv_learner *learner = work->learner;
    struct clv_device *device = learner->device;
    const int n = work->batch->clip_count;
    const struct clv_tensor vectors = vector_rows(work, CLV_ROOM_VECTORS, 0, n);
    const struct clv_tensor dvectors = vector_rows(work, CLV_ROOM_DVECTORS, 0, n);
    const bool wants_vectors = work->is_backward && learner->trains_windows;
    for (int direction = 0; direction < 2; direction++) {
        const bool by_clip = direction == 1; /* each caption over the clips */
        const struct clv_tensor dz =
            compare(work, by_clip ? work->units : vectors, by_clip ? vectors : work->units,
                    caption_labels(work, by_clip), 1, 0.5f);
        if (!by_clip && work->member == 0)
            read_logits(work, 0, n);
        if (wants_vectors)
            clv_matmul(device, dvectors, dz, by_clip, work->units, false, work->scale,
                       by_clip ? 1.0f : 0.0f);
        if (work->dunits.data)
            clv_matmul(device, work->dunits, dz, !by_clip, vectors, false, work->scale, 1);
    }
}

/* The vectors of own clips, among all. */
static void run_captions(const struct clv_learner_work *work)
{
    const struct clv_learner *learner = work->learner;
    const int most = learner->options.clip_batch_max, end = work->clip_end;
    if (end - work->clip_first < work->batch->clip_count)
        clv_zero(learner->device, vector_rows(work, CLV_ROOM_VECTORS, 0, work->batch->clip_count));
    for (int at = work->clip_first; at < end; at += most)
        forward_clips(work, at, end - at < most ? end - at : most);
}

/* From the gradient of all vectors to own clips. */
static void backward_captions(const struct clv_learner_work *work)
{
    const struct clv_learner *learner = work->learner;
    const int most = learner->options.clip_batch_max, end = work->clip_end;
    for (int at = work->clip_first; at < end; at += most) {
        const int count = end - at < most ? end - at : most;
        if (count < end - work->clip_first) /* another pass has used the tape since */
            forward_clips(work, at, count);
        backward_clips(work, at, count);
    }
}

/* ---- the way --------------------------------------------------------------------------------- */

/* Where the part of member `index` of `count` begins in `total`. */
static int part_start(int total, int index, int count)
{
    return (int)((int64_t)total * index / count);
}

/* Features that are given are given to all. */
static void share_out(struct clv_learner_work *work)
{
    const struct clv_learner_batch *batch = work->batch;
    const int index = work->member, count = work->member_count;
    const bool is_given = batch->text_features != NULL;
    work->clip_first = part_start(batch->clip_count, index, count);
    work->clip_end = part_start(batch->clip_count, index + 1, count);
    work->text_first = is_given ? 0 : part_start(batch->text_count, index, count);
    work->text_end = is_given ? batch->text_count : part_start(batch->text_count, index + 1, count);
}

void clv_learner_begin(struct clv_learner_work *work)
{
    struct clv_learner *learner = work->learner;
    struct clv_device *device = learner->device;
    const double loss = 0;
    float logit_scale;
    share_out(work);
    work->weight = work->is_backward && work->batch->weight != 0 ? work->batch->weight : 1;
    clv_device_write(device, clv_learner_sum(learner, CLV_SUM_LOSS), &loss, sizeof loss);
    clv_device_read(device, &logit_scale,
                    clv_network_single(&learner->network, CLV_PARAM_LOGIT_SCALE),
                    sizeof logit_scale);
    work->scale = expf(logit_scale);
    work->units = text_room(work, CLV_ROOM_TEXT_UNITS);
    work->dunits = CLV_NO_TENSOR;
    work->dlogit_scale = NULL;
    if (work->is_backward && learner->trains_text) {
        work->dunits = text_room(work, CLV_ROOM_DTEXT_UNITS);
        /* Every member computes the whole contrast of captions; the scale's part counts once. */
        if (work->batch->loss == CLV_LOSS_CLASSES || work->member == 0)
            work->dlogit_scale =
                clv_network_single_gradient(&learner->network, CLV_PARAM_LOGIT_SCALE);
        clv_zero(device, work->dunits);
    }
    forward_texts(work);
}

struct clv_tensor clv_learner_shared_texts(const struct clv_learner_work *work)
{
    return work->batch->text_features ? CLV_NO_TENSOR : work->units;
}

void clv_learner_middle(struct clv_learner_work *work)
{
    if (work->batch->loss == CLV_LOSS_CAPTIONS)
        run_captions(work);
    else
        run_classes(work);
}

struct clv_tensor clv_learner_shared_clips(const struct clv_learner_work *work)
{
    return work->batch->loss == CLV_LOSS_CLASSES
               ? work->dunits
               : vector_rows(work, CLV_ROOM_VECTORS, 0, work->batch->clip_count);
}

int clv_learner_finish(struct clv_learner_work *work)
{
    const struct clv_learner *learner = work->learner;
    if (work->batch->loss == CLV_LOSS_CAPTIONS) {
        contrast(work);
        if (work->is_backward && learner->trains_windows)
            backward_captions(work);
    }
    if (work->dunits.data)
        backward_texts(work);
    clv_device_read(learner->device, &work->loss, clv_learner_sum(learner, CLV_SUM_LOSS),
                    sizeof work->loss);
    work->loss /= (double)work->weight;
    return clv_device_sync(learner->device);
}

/* ---- alone ----------------------------------------------------------------------------------- */

static int run(struct clv_learner *learner, double *loss_out, const struct clv_learner_batch *batch,
               bool is_backward)
{
    struct clv_learner_work work = {
        .learner = learner, .batch = batch, .is_backward = is_backward, .member_count = 1};
    int status = clv_learner_check_batch(learner, batch);
    if (status != CLV_OK)
        return status;
    clv_learner_begin(&work);
    clv_learner_middle(&work);
    status = clv_learner_finish(&work);
    if (loss_out)
        *loss_out = work.loss;
    return status;
}

int clv_learner_forward_backward(struct clv_learner *learner, double *loss_out,
                                 const struct clv_learner_batch *batch)
{
    return run(learner, loss_out, batch, true);
}

int clv_learner_forward(struct clv_learner *learner, double *loss_out,
                        const struct clv_learner_batch *batch)
{
    return run(learner, loss_out, batch, false);
}
