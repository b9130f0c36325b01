/* `eval --captions`: sentences against clips, or against the segments of the database. */
#include "cli/eval.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/time.h"
#include "indexer/captions.h"
#include "indexer/labelled.h"
#include "query/evaluate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sentences and candidates being measured. A candidate belongs to clips of the captions (a clip to
 * itself alone; a segment to each captioned part its middle lies in, maybe to none). */
struct retrieval {
    struct clv_eval *eval;
    struct clv_captions captions;
    float *features; /* [sentences, E] */
    float *vectors;  /* [candidates, E] */
    size_t candidate_count, candidate_capacity;
    int32_t *owners; /* clips that candidates belong to */
    size_t owner_count, owner_capacity;
    size_t *owner_starts;             /* [candidates + 1] */
    bool *has_candidate;              /* [clips] */
    struct clv_query_result *results; /* [sentences] */
    struct clv_retrieval_result result;
    /* Of the database: the order of its clips by path, and the video being read. */
    int32_t *by_path;
    struct clv_timebase timebase;
    int64_t video_start_ticks;
    const char *video_path;
};

static size_t dim_of(const struct retrieval *retrieval)
{
    return (size_t)retrieval->eval->session.model.config.embed_dim;
}

static void release(struct retrieval *retrieval)
{
    clv_captions_release(&retrieval->captions);
    free(retrieval->features);
    free(retrieval->vectors);
    free(retrieval->owners);
    free(retrieval->owner_starts);
    free(retrieval->has_candidate);
    free(retrieval->results);
    free(retrieval->by_path);
}

/* ---- sentences ---- */

static int open_captions(struct retrieval *retrieval)
{
    const struct clv_eval *eval = retrieval->eval;
    const struct clv_captions_options options = {.facts_path = eval->settings->facts,
                                                 .match = eval->settings->match};
    int status = clv_captions_open(&retrieval->captions, eval->settings->captions, &options);
    if (status != CLV_OK)
        return status;
    const struct clv_captions *captions = &retrieval->captions;
    if (captions->without_facts_count > 0 && !eval->cli->flags.quiet)
        clv_out_warning("'%s' says nothing about %d of %d clips: only their own sentences are "
                        "true of them",
                        eval->settings->facts, captions->without_facts_count, captions->clip_count);
    retrieval->has_candidate =
        calloc((size_t)captions->clip_count, sizeof *retrieval->has_candidate);
    retrieval->results = calloc((size_t)captions->sentence_count, sizeof *retrieval->results);
    return retrieval->has_candidate && retrieval->results ? CLV_OK : clv_fail_memory("captions");
}

static int encode_sentences(struct retrieval *retrieval)
{
    const struct clv_captions *captions = &retrieval->captions;
    retrieval->features =
        calloc((size_t)captions->sentence_count, dim_of(retrieval) * sizeof *retrieval->features);
    if (retrieval->features == NULL)
        return clv_fail_memory("the vectors of sentences");
    return clv_eval_encode_sentences(retrieval->eval, retrieval->features,
                                     (const char *const *)captions->sentences,
                                     captions->sentence_count);
}

/* ---- candidates ---- */

static int add_owner(struct retrieval *retrieval, int32_t clip)
{
    if (retrieval->owner_count == retrieval->owner_capacity) {
        size_t capacity = 2 * retrieval->owner_capacity + 256;
        int32_t *owners = realloc(retrieval->owners, capacity * sizeof *owners);
        if (owners == NULL)
            return clv_fail_memory("candidates");
        retrieval->owners = owners;
        retrieval->owner_capacity = capacity;
    }
    retrieval->owners[retrieval->owner_count++] = clip;
    retrieval->has_candidate[clip] = true;
    return CLV_OK;
}

/* A candidate whose owners follow until the next one. */
static int add_candidate(struct retrieval *retrieval, const float *vector)
{
    size_t dim = dim_of(retrieval);
    if (retrieval->candidate_count == retrieval->candidate_capacity) {
        size_t capacity = 2 * retrieval->candidate_capacity + 256;
        float *vectors = realloc(retrieval->vectors, capacity * dim * sizeof *vectors);
        retrieval->vectors = vectors != NULL ? vectors : retrieval->vectors;
        size_t *starts = realloc(retrieval->owner_starts, (capacity + 1) * sizeof *starts);
        retrieval->owner_starts = starts != NULL ? starts : retrieval->owner_starts;
        if (vectors == NULL || starts == NULL)
            return clv_fail_memory("candidates");
        retrieval->candidate_capacity = capacity;
    }
    memcpy(retrieval->vectors + retrieval->candidate_count * dim, vector, dim * sizeof *vector);
    retrieval->owner_starts[retrieval->candidate_count++] = retrieval->owner_count;
    return CLV_OK;
}

static int encode_clips(struct retrieval *retrieval)
{
    const struct clv_captions *captions = &retrieval->captions;
    size_t dim = dim_of(retrieval), count = (size_t)captions->clip_count;
    const struct clv_labelled_options reading = clv_eval_reading(retrieval->eval);
    struct clv_labelled *labelled = NULL;
    float *vectors = calloc(count, dim * sizeof *vectors);
    bool *is_read = calloc(count, sizeof *is_read);
    int status = vectors && is_read ? CLV_OK : clv_fail_memory("the vectors of clips");
    if (status == CLV_OK)
        status =
            clv_labelled_create(&labelled, &captions->labels, captions->is_first, true, &reading);
    if (status == CLV_OK) {
        const struct clv_eval_clips run = {
            .clips = clv_labelled_clips(labelled), .vectors = vectors, .is_read = is_read};
        status = clv_eval_run_clips(retrieval->eval, &run);
    }
    for (size_t c = 0; c < count && status == CLV_OK; c++) {
        if (!is_read[c])
            continue;
        status = add_candidate(retrieval, vectors + c * dim);
        if (status == CLV_OK)
            status = add_owner(retrieval, (int32_t)c);
    }
    clv_labelled_free(labelled);
    free(vectors);
    free(is_read);
    return status;
}

/* ---- the database's candidates ---- */

static const struct clv_label *clip_label(const struct clv_captions *captions, int32_t clip)
{
    return &captions->labels.rows[captions->clip_rows[clip]];
}

static int by_path(const void *left, const void *right, void *payload)
{
    const struct clv_captions *captions = payload;
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    int order = strcmp(clip_label(captions, a)->path, clip_label(captions, b)->path);
    return order != 0 ? order : (a > b) - (a < b);
}

static int sort_clips(struct retrieval *retrieval)
{
    struct clv_captions *captions = &retrieval->captions;
    size_t count = (size_t)captions->clip_count;
    retrieval->by_path = calloc(count, sizeof *retrieval->by_path);
    if (retrieval->by_path == NULL)
        return clv_fail_memory("captions");
    for (int32_t c = 0; c < captions->clip_count; c++) {
        /* The index knows files by their absolute path with links resolved. */
        struct clv_label *label = &captions->labels.rows[captions->clip_rows[c]];
        char *absolute = NULL;
        retrieval->by_path[c] = c;
        if (clv_path_absolute(&absolute, label->path) == CLV_OK) {
            free(label->path);
            label->path = absolute;
        } else {
            clv_error_clear();
        }
    }
    qsort_r(retrieval->by_path, count, sizeof *retrieval->by_path, by_path, captions);
    return CLV_OK;
}

/* The first place in by_path that is not before `path`. */
static int32_t find_path(const struct retrieval *retrieval, const char *path)
{
    int32_t low = 0, high = retrieval->captions.clip_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (strcmp(clip_label(&retrieval->captions, retrieval->by_path[middle])->path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int add_segment(const struct clv_hit *segment, const float *vector, void *payload)
{
    struct retrieval *retrieval = payload;
    const struct clv_captions *captions = &retrieval->captions;
    int64_t middle_ticks = segment->start_ticks + (segment->end_ticks - segment->start_ticks) / 2 -
                           retrieval->video_start_ticks;
    double middle_ms = 1000 * clv_time_seconds(middle_ticks, retrieval->timebase);
    int status = add_candidate(retrieval, vector);
    for (int32_t i = find_path(retrieval, retrieval->video_path);
         i < captions->clip_count && status == CLV_OK; i++) {
        const struct clv_label *label = clip_label(captions, retrieval->by_path[i]);
        if (strcmp(label->path, retrieval->video_path) != 0)
            break;
        if ((label->start_ms < 0 || middle_ms >= (double)label->start_ms) &&
            (label->end_ms < 0 || middle_ms < (double)label->end_ms))
            status = add_owner(retrieval, retrieval->by_path[i]);
    }
    return status;
}

static int add_video(const struct clv_video_row *row, void *payload)
{
    struct retrieval *retrieval = payload;
    struct clv_session *session = &retrieval->eval->session;
    if (row->status != CLV_VIDEO_INDEXED)
        return CLV_OK;
    if (clv_cancelled(retrieval->eval->cli->cancel))
        return clv_fail(CLV_ECANCELED, "interrupted");
    retrieval->timebase = row->timebase;
    retrieval->video_start_ticks = row->start_ticks;
    retrieval->video_path = row->path;
    return clv_store_segments(session->store, row->id, session->model_id, add_segment, retrieval);
}

static void report_missing(struct clv_eval *eval, const struct clv_label *label)
{
    char start[CLV_TIME_TEXT_SIZE], end[CLV_TIME_TEXT_SIZE];
    const char *from = label->start_ms >= 0 ? clv_time_format(start, label->start_ms) : NULL;
    const char *to = label->end_ms >= 0 ? clv_time_format(end, label->end_ms) : NULL;
    eval->unread_count++;
    clv_out_error("'%s'%s%s%s%s has no segment in the index", label->name, from ? " from " : "",
                  from ? from : "", to ? " to " : "", to ? to : "");
    if (!eval->cli->flags.json)
        return;
    struct clv_json *object = clv_json_object();
    clv_json_put_string(object, "type", "unread");
    clv_json_put_string(object, "path", label->name);
    clv_json_put_string(object, "error", "has no segment in the index");
    (void)clv_out_json(object);
}

static int read_index(struct retrieval *retrieval)
{
    const struct clv_captions *captions = &retrieval->captions;
    struct clv_session *session = &retrieval->eval->session;
    int status = sort_clips(retrieval);
    if (status == CLV_OK)
        status = clv_store_videos(session->store, NULL, session->model_id, add_video, retrieval);
    if (status != CLV_OK)
        return status;
    retrieval->eval->clip_count = captions->clip_count;
    for (int c = 0; c < captions->clip_count; c++)
        if (!retrieval->has_candidate[c])
            report_missing(retrieval->eval, clip_label(captions, c));
    return CLV_OK;
}

/* ---- measuring ---- */

static void mark_right(bool *is_right, const struct retrieval *retrieval, int sentence)
{
    const struct clv_captions *captions = &retrieval->captions;
    for (size_t i = 0; i < retrieval->candidate_count; i++) {
        is_right[i] = false;
        for (size_t k = retrieval->owner_starts[i]; k < retrieval->owner_starts[i + 1]; k++)
            is_right[i] |= clv_captions_is_right(captions, sentence, retrieval->owners[k]);
    }
}

static void score(float *scores, const struct retrieval *retrieval, int sentence)
{
    size_t dim = dim_of(retrieval);
    const float *feature = retrieval->features + (size_t)sentence * dim;
    for (size_t i = 0; i < retrieval->candidate_count; i++) {
        const float *vector = retrieval->vectors + i * dim;
        double sum = 0;
        for (size_t k = 0; k < dim; k++)
            sum += (double)feature[k] * (double)vector[k];
        scores[i] = (float)sum;
    }
}

static int measure(struct retrieval *retrieval)
{
    size_t count = retrieval->candidate_count;
    int sentences = retrieval->captions.sentence_count, status = CLV_OK;
    if (count == 0)
        return clv_fail(CLV_EINVAL, "there is nothing to look for sentences in");
    retrieval->owner_starts[count] = retrieval->owner_count;
    float *scores = calloc(count, sizeof *scores);
    bool *is_right = calloc(count, sizeof *is_right);
    if (scores == NULL || is_right == NULL)
        status = clv_fail_memory("the scores of a sentence");
    for (int q = 0; q < sentences && status == CLV_OK; q++) {
        if (clv_cancelled(retrieval->eval->cli->cancel))
            status = clv_fail(CLV_ECANCELED, "interrupted");
        mark_right(is_right, retrieval, q);
        score(scores, retrieval, q);
        if (status == CLV_OK)
            status = clv_evaluate_query(&retrieval->results[q], scores, is_right, count);
    }
    free(scores);
    free(is_right);
    if (status == CLV_OK)
        status = clv_evaluate_retrieval(&retrieval->result, retrieval->results, (size_t)sentences);
    return status;
}

/* ---- printing ---- */

static int print_sentences_json(const struct retrieval *retrieval)
{
    int status = CLV_OK;
    for (int q = 0; q < retrieval->captions.sentence_count && status == CLV_OK; q++) {
        const struct clv_query_result *result = &retrieval->results[q];
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "sentence");
        clv_json_put_string(object, "sentence", retrieval->captions.sentences[q]);
        clv_json_put_integer(object, "right", result->right_count);
        if (result->right_count > 0) {
            clv_json_put_integer(object, "rank", result->rank);
            clv_json_put_number(object, "average_precision", result->average_precision);
        }
        status = clv_out_json(object);
    }
    return status;
}

static int print_json(const struct retrieval *retrieval)
{
    const struct clv_eval *eval = retrieval->eval;
    const struct clv_retrieval_result *result = &retrieval->result;
    int status = eval->settings->scores ? print_sentences_json(retrieval) : CLV_OK;
    if (status != CLV_OK)
        return status;
    struct clv_json *object =
        clv_eval_summary(eval, eval->settings->indexed ? "indexed" : "captions");
    clv_json_put_integer(object, "candidates", (int64_t)retrieval->candidate_count);
    clv_json_put_integer(object, "sentences", result->query_count);
    clv_json_put_integer(object, "sentences_without_answer", result->without_count);
    clv_json_put_bool(object, "templates", !eval->settings->plain);
    clv_json_put_number(object, "recall1", result->recall1);
    clv_json_put_number(object, "recall5", result->recall5);
    clv_json_put_number(object, "recall10", result->recall10);
    clv_json_put_number(object, "median_rank", result->median_rank);
    clv_json_put_number(object, "mean_rank", result->mean_rank);
    clv_json_put_number(object, "mean_average_precision", result->mean_average_precision);
    return clv_out_json(object);
}

static void print_text(const struct retrieval *retrieval)
{
    const struct clv_retrieval_result *result = &retrieval->result;
    const char *what = retrieval->eval->settings->indexed ? "segment" : "clip";
    clv_eval_print_model(retrieval->eval, 13);
    printf("sentences    %" PRId64 " among %zu %s%s\n", result->query_count,
           retrieval->candidate_count, what, clv_out_plural((int64_t)retrieval->candidate_count));
    if (result->without_count > 0)
        printf("left out     %" PRId64 " whose %ss could not be had\n", result->without_count,
               what);
    printf("R@1          %.1f %%\n", 100 * result->recall1);
    printf("R@5          %.1f %%\n", 100 * result->recall5);
    printf("R@10         %.1f %%\n", 100 * result->recall10);
    printf("median rank  %.1f\n", result->median_rank);
    printf("mean rank    %.1f\n", result->mean_rank);
    printf("mAP          %.1f %%\n", 100 * result->mean_average_precision);
}

static int finish(struct retrieval *retrieval, int status)
{
    struct clv_eval *eval = retrieval->eval;
    if (status == CLV_OK)
        status = measure(retrieval);
    clv_progress_clear();
    if (status == CLV_OK && eval->cli->flags.json)
        status = print_json(retrieval);
    else if (status == CLV_OK)
        print_text(retrieval);
    release(retrieval);
    return status == CLV_OK ? clv_eval_exit(eval) : status;
}

int clv_eval_retrieval(struct clv_eval *eval)
{
    struct retrieval retrieval = {.eval = eval};
    int status = open_captions(&retrieval);
    if (status == CLV_OK)
        status = clv_session_open_model_alone(&eval->session);
    if (status == CLV_OK)
        status = clv_eval_open_encoder(eval, true);
    if (status == CLV_OK)
        status = encode_sentences(&retrieval);
    if (status == CLV_OK)
        status = encode_clips(&retrieval);
    return finish(&retrieval, status);
}

int clv_eval_index(struct clv_eval *eval)
{
    struct retrieval retrieval = {.eval = eval};
    int status = open_captions(&retrieval);
    if (status == CLV_OK)
        status = clv_session_open_store(&eval->session, eval->cli, false);
    if (status == CLV_OK)
        status = clv_session_open_model(&eval->session, false);
    if (status == CLV_OK)
        status = clv_session_need_vectors(&eval->session);
    if (status == CLV_OK)
        status = clv_eval_open_encoder(eval, false);
    if (status == CLV_OK)
        status = encode_sentences(&retrieval);
    if (status == CLV_OK)
        status = read_index(&retrieval);
    return finish(&retrieval, status);
}
