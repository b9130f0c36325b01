/* Runs an expectation file through the model and measures the differences. */
#include "core/model/compare.h"

#include "core/error.h"
#include "core/model/compare_parts.h"
#include "core/model/encoder.h"
#include "core/model/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the model gave, under the names of the file. */
enum result {
    FRAME_TOKENS,
    FRAME_FEATURES,
    PATCH_TOKENS,
    VIDEO_VECTOR,
    TEXT_FEATURES,
    LOGITS,
    LOSS,
    RESULT_COUNT,
};
static const char *const result_names[RESULT_COUNT] = {
    [FRAME_TOKENS] = "frame_tokens",
    [FRAME_FEATURES] = "frame_features",
    [PATCH_TOKENS] = "patch_tokens",
    [VIDEO_VECTOR] = "video_vector",
    [TEXT_FEATURES] = "text_features",
    [LOGITS] = "logits",
    [LOSS] = "loss",
};

struct comparison {
    const struct clv_model *model;
    struct clv_device *device;
    struct clv_model_config config;
    struct clv_weights *file;
    const struct clv_weight_entry *video, *tokens, *labels; /* NULL where absent */
    int64_t clip_count, prompt_count, action_count;         /* B, A, C */
    float *result[RESULT_COUNT];                            /* NULL where not computed */
    int64_t shape[RESULT_COUNT][4];
    int dimension_count[RESULT_COUNT];
};

static int mismatch(const struct comparison *c, const struct clv_weight_entry *entry)
{
    return clv_fail(CLV_ECORRUPT, "'%s': the shape of tensor '%s' does not fit the model",
                    clv_weights_path(c->file), entry->name);
}

/* Reserves a result of up to four dimensions. */
static int reserve(struct comparison *c, enum result which, int count, const int64_t *shape)
{
    size_t elements = 1, size;
    c->dimension_count[which] = count;
    for (int i = 0; i < count; i++) {
        c->shape[which][i] = shape[i];
        if (__builtin_mul_overflow(elements, (size_t)shape[i], &elements))
            return clv_fail(CLV_ECORRUPT, "'%s': its inputs make too large a result",
                            clv_weights_path(c->file));
    }
    if (__builtin_mul_overflow(elements, sizeof(float), &size) ||
        !(c->result[which] = malloc(size ? size : 1)))
        return clv_fail_memory("what the model computes");
    return CLV_OK;
}

float *clv_compare_read(const struct clv_weight_entry *entry)
{
    float *values = malloc(entry->element_count * sizeof *values + 1);
    if (!values)
        (void)clv_fail_memory("a tensor");
    else if (clv_weights_read(values, entry) != CLV_OK) {
        free(values);
        values = NULL;
    }
    return values;
}

/* ---- video ----------------------------------------------------------------------------------- */

static int check_video(struct comparison *c)
{
    const int64_t *shape = c->video->shape;
    const int64_t side = c->config.image_side;
    if (c->video->dimension_count != 5 || shape[0] < 1 || shape[1] < 1 || shape[2] != 3 ||
        shape[3] != side || shape[4] != side || shape[1] > 1 << 12)
        return mismatch(c, c->video);
    if (c->config.temporal.width && shape[1] != c->config.frame_count)
        return mismatch(c, c->video);
    c->config.frame_count = (int)shape[1];
    c->clip_count = shape[0];
    const int64_t b = shape[0], t = shape[1], l = c->config.token_count, w = c->config.vision.width;
    int status = reserve(c, FRAME_TOKENS, 3, (int64_t[]){b * t, l, w});
    if (status == CLV_OK)
        status = reserve(c, FRAME_FEATURES, 3, (int64_t[]){b, t, c->config.embed_dim});
    if (status == CLV_OK)
        status = reserve(c, PATCH_TOKENS, 4, (int64_t[]){b, t, l - 1, w});
    if (status == CLV_OK)
        status = reserve(c, VIDEO_VECTOR, 2, (int64_t[]){b, c->config.embed_dim});
    return status;
}

/* The class-token path that searches use gives vectors and features; the patch tokens come of a
 * second pass over all rows. */
static int run_clip(struct comparison *c, struct clv_encoder *encoder, const int32_t *slots,
                    const float *pixels, size_t clip)
{
    const size_t t = (size_t)c->config.frame_count, e = (size_t)c->config.embed_dim;
    const size_t l = (size_t)c->config.token_count, w = (size_t)c->config.vision.width;
    const size_t side = (size_t)c->config.image_side;
    const struct clv_window_outputs vectors = {
        .vectors = c->result[VIDEO_VECTOR] + clip * e,
        .frame_features = c->result[FRAME_FEATURES] + clip * t * e,
    };
    const struct clv_window_outputs tokens = {
        .patch_tokens = c->result[PATCH_TOKENS] + clip * t * (l - 1) * w,
    };
    int status = clv_encoder_frames(encoder, slots, pixels + clip * t * 3 * side * side, (int)t);
    for (size_t i = 0; i < t && status == CLV_OK; i++)
        status = clv_encoder_frame_tokens(encoder, c->result[FRAME_TOKENS] + (clip * t + i) * l * w,
                                          slots[i]);
    if (status == CLV_OK)
        status = clv_encoder_windows(encoder, &vectors, slots, 1);
    if (status == CLV_OK)
        status = clv_encoder_windows(encoder, &tokens, slots, 1);
    return status;
}

static int run_video(struct comparison *c)
{
    struct clv_encoder *encoder = NULL;
    float *pixels = NULL;
    int32_t *slots = NULL;
    int status = check_video(c);
    if (status != CLV_OK)
        return status;
    const struct clv_encoder_options options = {
        .no_text = true, .all_tokens = true, .frame_count = c->config.frame_count};
    pixels = clv_compare_read(c->video);
    slots = calloc((size_t)c->config.frame_count, sizeof *slots);
    if (!pixels || !slots) {
        status = pixels ? clv_fail_memory("frame slots") : CLV_ECORRUPT;
        goto done;
    }
    for (int i = 0; i < c->config.frame_count; i++)
        slots[i] = i;
    status =
        clv_encoder_create(&encoder, c->device, c->model->weights, &c->model->config, &options);
    for (int64_t i = 0; i < c->clip_count && status == CLV_OK; i++)
        status = run_clip(c, encoder, slots, pixels, (size_t)i);
done:
    clv_encoder_free(encoder);
    free(pixels);
    free(slots);
    return status;
}

/* ---- text ------------------------------------------------------------------------------------ */

static int64_t read_id(const struct clv_weight_entry *entry, size_t index)
{
    int32_t narrow;
    int64_t wide;
    if (entry->dtype == CLV_I32) {
        memcpy(&narrow, (const unsigned char *)entry->data + 4 * index, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, (const unsigned char *)entry->data + 8 * index, sizeof wide);
    return wide;
}

int clv_compare_pack(int32_t *ids, int32_t *starts, const struct clv_weights *file,
                     const struct clv_weight_entry *tokens, int vocabulary_size)
{
    const size_t length = (size_t)tokens->shape[2], count = tokens->element_count / length;
    int32_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t end = 0;
        for (size_t k = 1; k < length; k++)
            if (read_id(tokens, i * length + k) > read_id(tokens, i * length + end))
                end = k;
        starts[i] = used;
        for (size_t k = 0; k <= end; k++) {
            int64_t id = read_id(tokens, i * length + k);
            if (id < 0 || id >= vocabulary_size)
                return clv_fail(CLV_ECORRUPT,
                                "'%s': tensor 'input_tokens' holds %" PRId64
                                ", the model's vocabulary has %d tokens",
                                clv_weights_path(file), id, vocabulary_size);
            ids[used++] = (int32_t)id;
        }
    }
    starts[count] = used;
    return CLV_OK;
}

bool clv_compare_is_tokens(const struct clv_weight_entry *entry,
                           const struct clv_model_config *config)
{
    return entry->dimension_count == 3 && entry->element_count > 0 &&
           entry->element_count <= INT32_MAX && entry->shape[2] <= config->context_length &&
           (entry->dtype == CLV_I32 || entry->dtype == CLV_I64);
}

static int run_text(struct comparison *c)
{
    struct clv_encoder *encoder = NULL;
    const struct clv_encoder_options options = {.no_vision = true};
    const struct clv_weight_entry *tokens = c->tokens;
    const int64_t *shape = tokens->shape;
    if (!clv_compare_is_tokens(tokens, &c->config))
        return mismatch(c, tokens);
    c->prompt_count = shape[0];
    c->action_count = shape[1];
    const size_t count = (size_t)(shape[0] * shape[1]);
    int32_t *ids = malloc(tokens->element_count * sizeof *ids);
    int32_t *starts = malloc((count + 1) * sizeof *starts);
    int status;
    if (!ids || !starts) {
        status = clv_fail_memory("the tokens of texts");
        goto done;
    }
    status = reserve(c, TEXT_FEATURES, 2, (int64_t[]){(int64_t)count, c->config.embed_dim});
    if (status == CLV_OK)
        status = clv_compare_pack(ids, starts, c->file, tokens, c->config.vocabulary_size);
    if (status == CLV_OK)
        status =
            clv_encoder_create(&encoder, c->device, c->model->weights, &c->model->config, &options);
    if (status == CLV_OK)
        status = clv_encoder_text(encoder, c->result[TEXT_FEATURES], ids, starts, (int)count);
done:
    clv_encoder_free(encoder);
    free(ids);
    free(starts);
    return status;
}

/* ---- both ------------------------------------------------------------------------------------ */

/* exp(logit_scale) <video vector, unit text feature> (claver.md 1.1). */
static float logit(const struct comparison *c, size_t clip, size_t text)
{
    const size_t e = (size_t)c->config.embed_dim;
    const float *v = c->result[VIDEO_VECTOR] + clip * e, *t = c->result[TEXT_FEATURES] + text * e;
    double product = 0, square = 0;
    for (size_t i = 0; i < e; i++) {
        product += (double)v[i] * t[i];
        square += (double)t[i] * t[i];
    }
    return (float)(exp((double)c->config.logit_scale) * product / sqrt(square));
}

static int run_logits(struct comparison *c)
{
    const size_t texts = (size_t)(c->prompt_count * c->action_count);
    int status =
        reserve(c, LOGITS, 3, (int64_t[]){c->clip_count, c->prompt_count, c->action_count});
    for (size_t i = 0; i < (size_t)c->clip_count && status == CLV_OK; i++)
        for (size_t k = 0; k < texts; k++)
            c->result[LOGITS][i * texts + k] = logit(c, i, k);
    return status;
}

/* Cross entropy of one row of C logits with its soft labels. */
static double cross_entropy(const float *logits, const float *labels, size_t count)
{
    double largest = logits[0], sum = 0, loss = 0;
    for (size_t i = 1; i < count; i++)
        largest = fmax(largest, logits[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp(logits[i] - largest);
    for (size_t i = 0; i < count; i++)
        loss -= labels[i] * (logits[i] - largest - log(sum));
    return loss;
}

/* Soft-label cross entropy over the actions, averaged over clips and prompts. */
static int run_loss(struct comparison *c)
{
    const size_t a = (size_t)c->prompt_count, n = (size_t)c->action_count;
    const size_t b = (size_t)c->clip_count;
    if (c->labels->dimension_count != 2 || c->labels->shape[0] != c->clip_count ||
        c->labels->shape[1] != c->action_count)
        return mismatch(c, c->labels);
    float *labels = clv_compare_read(c->labels);
    int status = labels ? reserve(c, LOSS, 1, (int64_t[]){1}) : CLV_ECORRUPT;
    double sum = 0;
    for (size_t i = 0; i < b && status == CLV_OK; i++)
        for (size_t k = 0; k < a; k++)
            sum += cross_entropy(c->result[LOGITS] + (i * a + k) * n, labels + i * n, n);
    if (status == CLV_OK)
        c->result[LOSS][0] = (float)(sum / (double)(a * b));
    free(labels);
    return status;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static bool same_shape(const struct comparison *c, enum result which,
                       const struct clv_weight_entry *entry)
{
    /* The loss may come without dimensions. */
    if (which == LOSS)
        return entry->element_count == 1;
    if (entry->dimension_count != c->dimension_count[which])
        return false;
    for (int i = 0; i < entry->dimension_count; i++)
        if (entry->shape[i] != c->shape[which][i])
            return false;
    return true;
}

int clv_compare_measure(struct clv_compare_line *line, const struct clv_weight_entry *entry,
                        const float *got)
{
    float *want = clv_compare_read(entry);
    if (!want)
        return CLV_ECORRUPT;
    double largest = 0, error = 0;
    for (size_t i = 0; i < entry->element_count; i++) {
        double difference = fabs((double)got[i] - want[i]);
        largest = fmax(largest, fabs((double)want[i]));
        /* A NaN must stay. */
        if (isnan(difference) || difference > error)
            error = isnan(error) ? error : difference;
    }
    free(want);
    line->largest = largest > 0 ? largest : 1;
    line->error = error / line->largest;
    line->is_compared = true;
    return CLV_OK;
}

void clv_compare_note(struct clv_compare_result *out, struct clv_compare_line *line,
                      double tolerance, clv_compare_each *each, void *payload)
{
    if (line->is_compared) {
        line->is_within = line->error <= tolerance;
        out->compared_count++;
        out->is_within = out->is_within && line->is_within;
        if (isnan(line->error) || line->error > out->error_max)
            out->error_max = isnan(out->error_max) ? out->error_max : line->error;
    } else {
        out->ignored_count++;
    }
    if (each)
        each(line, payload);
}

static int measure(struct clv_compare_line *line, const struct comparison *c, enum result which,
                   const struct clv_weight_entry *entry)
{
    if (!same_shape(c, which, entry))
        return mismatch(c, entry);
    return clv_compare_measure(line, entry, c->result[which]);
}

static int run_all(struct comparison *c)
{
    int status = CLV_OK;
    if (c->video)
        status = run_video(c);
    if (c->tokens && status == CLV_OK)
        status = run_text(c);
    if (c->video && c->tokens && status == CLV_OK)
        status = run_logits(c);
    if (c->result[LOGITS] && c->labels && status == CLV_OK)
        status = run_loss(c);
    return status;
}

static int report(struct clv_compare_result *out, const struct comparison *c, double tolerance,
                  clv_compare_each *each, void *payload)
{
    out->is_within = true;
    for (size_t i = 0; i < clv_weights_count(c->file); i++) {
        const struct clv_weight_entry *entry = clv_weights_at(c->file, i);
        struct clv_compare_line line = {.name = entry->name};
        int status = CLV_OK;
        if (strncmp(entry->name, "input_", 6) == 0)
            continue;
        for (int k = 0; k < RESULT_COUNT && status == CLV_OK; k++)
            if (c->result[k] && strcmp(entry->name, result_names[k]) == 0)
                status = measure(&line, c, (enum result)k, entry);
        if (status != CLV_OK)
            return status;
        clv_compare_note(out, &line, tolerance, each, payload);
    }
    return CLV_OK;
}

/* Whether the file expects anything its inputs lead to. */
static bool is_useful(const struct comparison *c)
{
    const bool possible[RESULT_COUNT] = {
        [FRAME_TOKENS] = c->video,
        [FRAME_FEATURES] = c->video,
        [PATCH_TOKENS] = c->video,
        [VIDEO_VECTOR] = c->video,
        [TEXT_FEATURES] = c->tokens,
        [LOGITS] = c->video && c->tokens,
        [LOSS] = c->video && c->tokens && c->labels,
    };
    for (int i = 0; i < RESULT_COUNT; i++)
        if (possible[i] && clv_weights_find(c->file, result_names[i]))
            return true;
    return false;
}

int clv_compare_run(struct clv_compare_result *out, const struct clv_model *model,
                    struct clv_device *device, const char *expect_path, double tolerance,
                    clv_compare_each *each, void *payload)
{
    struct comparison c = {.model = model, .device = device, .config = model->config};
    *out = (struct clv_compare_result){0};
    int status = clv_weights_open(&c.file, expect_path);
    if (status != CLV_OK)
        return status;
    c.video = clv_weights_find(c.file, "input_video");
    c.tokens = clv_weights_find(c.file, "input_tokens");
    c.labels = clv_weights_find(c.file, "input_soft_labels");
    if (!is_useful(&c))
        status = clv_fail(CLV_EINVAL,
                          "'%s' expects nothing this can compare: it needs input_video "
                          "or input_tokens, and what must come of them",
                          expect_path);
    if (status == CLV_OK)
        status = run_all(&c);
    if (status == CLV_OK)
        status = report(out, &c, tolerance, each, payload);
    for (int i = 0; i < RESULT_COUNT; i++)
        free(c.result[i]);
    clv_weights_close(c.file);
    return status;
}
