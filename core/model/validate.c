/* Clips go through the encoder several at a time: what is read waits until a batch is full. */
#include "core/model/validate.h"

#include "core/error.h"
#include "core/model/ranking.h"
#include "core/model/views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_SIZE 768

struct validating {
    struct clv_validation *out;
    struct clv_encoder *encoder;
    const struct clv_model_config *config;
    const struct clv_clips *clips;
    const struct clv_validate_options *options;
    struct clv_views *views;
    int view_count, crop_count;
    float scale; /* of the logits */
    /* Squares read and not yet encoded. */
    int waiting, waiting_max;
    uint8_t *squares;       /* [waiting_max, T, R*R*3] */
    const uint8_t **square; /* [waiting_max, T] in it */
    int32_t *owners;        /* the clip each is of */
    float *vectors;         /* [waiting_max, E] */
    int32_t *slots;         /* [waiting_max, T] */
    /* The clip whose squares are being added up. */
    int current;
    double *scores; /* [C] */
    double *mean;   /* [E] */
    float *all;     /* [clip_count, E] unit vectors; NULL where nobody asks */
    float *units;   /* [A, C, E] */
    double *logits; /* [C] */
};

void clv_validation_release(struct clv_validation *validation)
{
    free(validation->confusion);
    *validation = (struct clv_validation){0};
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static void unit_rows(float *out, const float *rows, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t k = 0; k < width; k++)
            sum += (double)rows[i * width + k] * (double)rows[i * width + k];
        const double factor = sum > 0 ? 1 / sqrt(sum) : 0;
        for (size_t k = 0; k < width; k++)
            out[i * width + k] = (float)((double)rows[i * width + k] * factor);
    }
}

static bool has_classes(const struct validating *v)
{
    return v->options->text_features && v->clips->class_count > 0;
}

static int allocate(struct validating *v)
{
    const size_t embed = (size_t)v->config->embed_dim, frames = (size_t)v->config->frame_count;
    const size_t side = (size_t)v->config->image_side, most = (size_t)v->waiting_max;
    const size_t classes = (size_t)v->clips->class_count;
    const size_t texts = has_classes(v) ? (size_t)v->options->prompt_count * classes : 0;
    v->squares = calloc(most * frames, 3 * side * side);
    v->square = calloc(most * frames, sizeof *v->square);
    v->owners = calloc(most, sizeof *v->owners);
    v->vectors = calloc(most, embed * sizeof *v->vectors);
    v->slots = calloc(most * frames, sizeof *v->slots);
    v->scores = calloc(classes + 1, sizeof *v->scores);
    v->logits = calloc(classes + 1, sizeof *v->logits);
    v->mean = calloc(embed, sizeof *v->mean);
    v->units = calloc(texts * embed + 1, sizeof *v->units);
    v->out->confusion =
        has_classes(v) ? calloc(classes * classes, sizeof *v->out->confusion) : NULL;
    if (v->options->vectors_out || v->options->sentence_features)
        v->all = calloc((size_t)v->clips->clip_count, embed * sizeof *v->all);
    if (!v->squares || !v->square || !v->owners || !v->vectors || !v->slots || !v->scores ||
        !v->logits || !v->mean || !v->units || (has_classes(v) && !v->out->confusion) ||
        (!v->all && (v->options->vectors_out || v->options->sentence_features)))
        return clv_fail_memory("a validation");
    for (size_t i = 0; i < most * frames; i++) {
        v->slots[i] = (int32_t)i;
        v->square[i] = v->squares + i * 3 * side * side;
    }
    if (v->options->scores_out)
        memset(v->options->scores_out, 0,
               (size_t)v->clips->clip_count * classes * sizeof *v->options->scores_out);
    if (texts)
        unit_rows(v->units, v->options->text_features, texts, embed);
    return CLV_OK;
}

static int begin(struct validating *v)
{
    const struct clv_validate_options *options = v->options;
    int status = clv_clips_check(v->clips);
    if (status != CLV_OK)
        return status;
    v->config = clv_encoder_config(v->encoder);
    v->view_count = options->view_count ? options->view_count : 1;
    v->crop_count = options->crop_count ? options->crop_count : 1;
    v->scale = expf(options->logit_scale ? *options->logit_scale : v->config->logit_scale);
    v->current = -1;
    v->waiting_max = clv_encoder_slot_count(v->encoder) / v->config->frame_count;
    if (v->view_count < 1 || v->view_count > 1024 || (v->crop_count != 1 && v->crop_count != 3))
        return clv_fail(CLV_EINVAL, "%d choices of frames in %d crops are no views of a clip",
                        v->view_count, v->crop_count);
    if (v->waiting_max < 1)
        return clv_fail(CLV_EINVAL, "an encoder of %d frame slots cannot hold a clip of %d frames",
                        clv_encoder_slot_count(v->encoder), v->config->frame_count);
    if (options->text_features && options->prompt_count < 1)
        return clv_fail(CLV_EINVAL, "classes have %d texts each", options->prompt_count);
    const struct clv_views_options views = {.view_count = v->view_count,
                                            .crop_count = v->crop_count,
                                            .seed = options->seed,
                                            .cancel = options->cancel};
    status = clv_views_create(&v->views, v->clips, v->config, &views);
    return status == CLV_OK ? allocate(v) : status;
}

static void end(struct validating *v)
{
    clv_views_free(v->views);
    free(v->squares);
    free(v->square);
    free(v->owners);
    free(v->vectors);
    free(v->slots);
    free(v->scores);
    free(v->logits);
    free(v->mean);
    free(v->all);
    free(v->units);
}

/* ---- one clip's answer ----------------------------------------------------------------------- */

/* Adds a square's probabilities, averaged over prompts (claver.md 2.3). */
static void add_scores(struct validating *v, const float *vector)
{
    const int prompts = v->options->prompt_count, classes = v->clips->class_count;
    const size_t embed = (size_t)v->config->embed_dim;
    for (int a = 0; a < prompts; a++) {
        double most = -INFINITY, sum = 0;
        for (int c = 0; c < classes; c++) {
            const float *text = v->units + ((size_t)a * (size_t)classes + (size_t)c) * embed;
            double dot = 0;
            for (size_t k = 0; k < embed; k++)
                dot += (double)text[k] * (double)vector[k];
            v->logits[c] = (double)v->scale * dot;
            most = fmax(most, v->logits[c]);
        }
        for (int c = 0; c < classes; c++)
            sum += v->logits[c] = exp(v->logits[c] - most);
        for (int c = 0; c < classes; c++)
            v->scores[c] += v->logits[c] / sum / prompts;
    }
}

/* Keeps the most confident ones, in order. */
static void add_mistake(struct clv_validation *out, const struct clv_mistake *mistake)
{
    int at = out->mistake_count;
    while (at > 0 && out->mistakes[at - 1].predicted_probability < mistake->predicted_probability)
        at--;
    if (at == CLV_MISTAKE_MAX)
        return;
    if (out->mistake_count < CLV_MISTAKE_MAX)
        out->mistake_count++;
    memmove(out->mistakes + at + 1, out->mistakes + at,
            (size_t)(out->mistake_count - 1 - at) * sizeof *mistake);
    out->mistakes[at] = *mistake;
}

static void judge(struct validating *v)
{
    struct clv_validation *out = v->out;
    const int classes = v->clips->class_count;
    const int32_t truth = v->clips->classes[v->current];
    const double squares = (double)v->view_count * v->crop_count;
    int32_t predicted = 0;
    float *kept = v->options->scores_out;
    int better = 0;
    for (int32_t c = 0; c < classes; c++) {
        if (kept)
            kept[(size_t)v->current * (size_t)classes + (size_t)c] =
                (float)(v->scores[c] / squares);
        if (v->scores[c] > v->scores[predicted])
            predicted = c;
        /* A tie is no knowledge, and NaN is none either. */
        better += c != truth && !(v->scores[c] < v->scores[truth]);
    }
    const int32_t opposite = v->clips->opposites ? v->clips->opposites[truth] : -1;
    if (opposite >= 0) {
        out->pair_count++;
        out->pair_accuracy += v->scores[truth] > v->scores[opposite];
    }
    out->top1 += better == 0;
    out->top5 += better < 5;
    out->loss -= log(fmax(v->scores[truth] / squares, 1e-30));
    out->confusion[(size_t)truth * (size_t)classes + (size_t)predicted]++;
    if (predicted != truth)
        add_mistake(out, &(struct clv_mistake){
                             .clip = v->current,
                             .truth = truth,
                             .predicted = predicted,
                             .truth_probability = (float)(v->scores[truth] / squares),
                             .predicted_probability = (float)(v->scores[predicted] / squares),
                         });
}

static void finish_clip(struct validating *v)
{
    const size_t embed = (size_t)v->config->embed_dim;
    if (v->current < 0)
        return;
    v->out->clip_count++;
    if (has_classes(v))
        judge(v);
    if (v->all) {
        float *row = v->all + (size_t)v->current * embed;
        for (size_t k = 0; k < embed; k++)
            row[k] = (float)v->mean[k];
        unit_rows(row, row, 1, embed);
    }
    v->current = -1;
}

/* Adds an encoded square to the clip it is of. */
static void absorb(struct validating *v, int owner, const float *vector)
{
    const size_t embed = (size_t)v->config->embed_dim;
    if (owner != v->current) {
        finish_clip(v);
        v->current = owner;
        memset(v->scores, 0, (size_t)v->clips->class_count * sizeof *v->scores);
        memset(v->mean, 0, embed * sizeof *v->mean);
    }
    if (has_classes(v))
        add_scores(v, vector);
    for (size_t k = 0; k < embed; k++)
        v->mean[k] += (double)vector[k];
}

/* ---- reading and encoding -------------------------------------------------------------------- */

static int encode_waiting(struct validating *v)
{
    const struct clv_window_outputs outputs = {.vectors = v->vectors};
    const int frames = v->config->frame_count;
    if (v->waiting == 0)
        return CLV_OK;
    int status = clv_encoder_squares(v->encoder, v->slots, v->square, v->waiting * frames);
    if (status == CLV_OK)
        status = clv_encoder_windows(v->encoder, &outputs, v->slots, v->waiting);
    for (int i = 0; i < v->waiting && status == CLV_OK; i++)
        absorb(v, v->owners[i], v->vectors + (size_t)i * (size_t)v->config->embed_dim);
    v->waiting = 0;
    return status;
}

static int add_square(struct validating *v, int clip, const uint8_t *square)
{
    const size_t side = (size_t)v->config->image_side;
    const size_t size = (size_t)v->config->frame_count * 3 * side * side;
    memcpy(v->squares + (size_t)v->waiting * size, square, size);
    v->owners[v->waiting++] = clip;
    return v->waiting == v->waiting_max ? encode_waiting(v) : CLV_OK;
}

/* The result is that of the clip, *status_out of the encoder. */
static int read_clip(struct validating *v, int clip, int *status_out)
{
    const size_t side = (size_t)v->config->image_side;
    const size_t size = (size_t)v->config->frame_count * 3 * side * side;
    const uint8_t *squares = NULL;
    int read = CLV_OK;
    for (int view = 0; view < v->view_count && *status_out == CLV_OK; view++) {
        const int status = clv_views_next(v->views, &squares);
        if (status == CLV_ENOMEM || status == CLV_ECANCELED)
            return status;
        if (read == CLV_OK)
            read = status;
        for (int crop = 0; crop < v->crop_count && read == CLV_OK && *status_out == CLV_OK; crop++)
            *status_out = add_square(v, clip, squares + (size_t)crop * size);
    }
    return read;
}

/* Forgets what was read of a clip that turned out to be broken. */
static void drop_clip(struct validating *v, int clip)
{
    while (v->waiting > 0 && v->owners[v->waiting - 1] == clip)
        v->waiting--;
    if (v->current == clip)
        v->current = -1;
    v->out->skipped_count++;
}

static int go_through(struct validating *v)
{
    const struct clv_validate_options *options = v->options;
    char message[MESSAGE_SIZE], name[CLV_CLIP_NAME_SIZE];
    int status = CLV_OK;
    for (int clip = 0; clip < v->clips->clip_count && status == CLV_OK; clip++) {
        if (clv_cancelled(options->cancel))
            return clv_fail(CLV_ECANCELED, "the validation was canceled");
        const int read = read_clip(v, clip, &status);
        if (read == CLV_ENOMEM || read == CLV_ECANCELED)
            return read;
        if (read != CLV_OK) {
            snprintf(message, sizeof message, "%s: %s", clv_clips_name(name, v->clips, clip),
                     clv_error_message());
            drop_clip(v, clip);
        }
        if (options->progress)
            options->progress(options->payload, clip, clip + 1, v->clips->clip_count,
                              read == CLV_OK ? NULL : message);
    }
    if (status == CLV_OK)
        status = encode_waiting(v);
    if (status == CLV_OK)
        finish_clip(v);
    return status;
}

static int conclude(struct validating *v)
{
    struct clv_validation *out = v->out;
    const size_t embed = (size_t)v->config->embed_dim;
    const double count = out->clip_count;
    if (out->clip_count == 0)
        return clv_fail(CLV_EINVAL, "none of %d clips can be read: %s", v->clips->clip_count,
                        clv_error_message());
    if (has_classes(v)) {
        out->class_count = v->clips->class_count;
        out->top1 /= count;
        out->top5 /= count;
        out->loss /= count;
        if (out->pair_count)
            out->pair_accuracy /= out->pair_count;
    }
    if (v->options->vectors_out)
        memcpy(v->options->vectors_out, v->all,
               (size_t)v->clips->clip_count * embed * sizeof *v->all);
    if (v->options->sentence_features && v->clips->sentences)
        return clv_ranking(out, v->clips, v->options->sentence_features, v->all, (int)embed);
    return CLV_OK;
}

int clv_validate(struct clv_validation *out, struct clv_encoder *encoder,
                 const struct clv_clips *clips, const struct clv_validate_options *options)
{
    struct validating v = {.out = out, .encoder = encoder, .clips = clips, .options = options};
    *out = (struct clv_validation){0};
    int status = begin(&v);
    if (status == CLV_OK)
        status = go_through(&v);
    if (status == CLV_OK)
        status = conclude(&v);
    end(&v);
    if (status != CLV_OK)
        clv_validation_release(out);
    return status;
}
