/* `eval --data`: closed sets, pairs of classes, and splits. */
#include "cli/eval.h"
#include "cli/out.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "indexer/class_pairs.h"
#include "indexer/labelled.h"
#include "indexer/labels.h"
#include "indexer/shots.h"
#include "query/evaluate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A closed set being measured. */
struct closed {
    struct clv_eval *eval;
    struct clv_labels labels;
    enum clv_part *parts; /* [labels.count] */
    bool *is_in;          /* [labels.count] whether the clip is tried */
    struct clv_class_pairs pairs;
    struct clv_interpretations texts;
    struct clv_labelled *labelled;
    int prompt_count;
    float *features; /* [A, C, E] */
    float *scores;   /* [clips, C] */
    bool *is_read;   /* [clips] */
    struct clv_class_result result;
    struct clv_pair_result *pair_results, all_pairs;
};

/* ---- reading ---- */

static int read_prompts(struct closed *closed)
{
    const struct clv_opt_list *prompts = &closed->eval->settings->prompts;
    int status = CLV_OK;
    for (int i = 0; i < prompts->count && status == CLV_OK; i++)
        status =
            clv_interpretations_add(&closed->texts, &closed->labels.classes, prompts->items[i]);
    return status;
}

static int read_data(struct closed *closed)
{
    const struct clv_eval_settings *settings = closed->eval->settings;
    const struct clv_labels_options options = {.classes_path = settings->classes,
                                               .group_column = settings->group};
    int status = clv_labels_open(&closed->labels, settings->data, &options);
    if (status != CLV_OK)
        return status;
    if (closed->labels.classes.count == 0)
        return clv_fail(CLV_EINVAL, "'%s' has no labels", settings->data);
    closed->parts = calloc((size_t)closed->labels.count, sizeof *closed->parts);
    closed->is_in = calloc((size_t)closed->labels.count, sizeof *closed->is_in);
    if (closed->parts == NULL || closed->is_in == NULL)
        return clv_fail_memory("a list of clips");
    if (settings->shots > 0)
        status = clv_labels_shots(closed->parts, &closed->labels, (int)settings->shots,
                                  (uint64_t)settings->seed);
    for (int i = 0; i < closed->labels.count; i++)
        closed->is_in[i] = closed->parts[i] == CLV_PART_TEST;
    if (status == CLV_OK && settings->pairs != NULL)
        status = clv_class_pairs_open(&closed->pairs, &closed->labels.classes, settings->pairs);
    return status == CLV_OK ? read_prompts(closed) : status;
}

/* ---- splits ---- */

static int count_part(const struct closed *closed, enum clv_part part)
{
    int count = 0;
    for (int i = 0; i < closed->labels.count; i++)
        count += closed->parts[i] == part;
    return count;
}

/* "TRAIN,TEST" cut at its comma, into `names`, which is released by freeing names[0]. */
static int split_names(char *names[2], const char *text)
{
    const char *comma = strchr(text, ',');
    if (comma == NULL || comma == text || comma[1] == '\0' || strchr(comma + 1, ',') != NULL)
        return clv_fail(CLV_EINVAL, "--write-split needs two files as train.csv,test.csv, not '%s'",
                        text);
    names[0] = strdup(text);
    if (names[0] == NULL)
        return clv_fail_memory("the names of a split");
    names[1] = names[0] + (comma - text);
    *names[1]++ = '\0';
    if (strcmp(names[0], names[1]) == 0)
        return clv_fail(CLV_EINVAL, "both sides of a split cannot be '%s'", names[0]);
    for (int i = 0; i < 2; i++)
        if (clv_file_exists(names[i]))
            return clv_fail(CLV_EINVAL, "'%s' exists already; a split replaces nothing", names[i]);
    return CLV_OK;
}

static int print_split(const struct closed *closed, char *const names[2])
{
    const struct clv_eval *eval = closed->eval;
    int training = count_part(closed, CLV_PART_TRAINING);
    int test = count_part(closed, CLV_PART_TEST);
    int neither = count_part(closed, CLV_PART_NEITHER);
    if (eval->cli->flags.json) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "split");
        clv_json_put_string(object, "training_path", names[0]);
        clv_json_put_string(object, "test_path", names[1]);
        clv_json_put_integer(object, "training", training);
        clv_json_put_integer(object, "test", test);
        clv_json_put_integer(object, "neither", neither);
        clv_json_put_integer(object, "shots", eval->settings->shots);
        clv_json_put_integer(object, "seed", eval->settings->seed);
        return clv_out_json(object);
    }
    printf("training  %d clip%s in %s\n", training, clv_out_plural(training), names[0]);
    printf("test      %d clip%s in %s\n", test, clv_out_plural(test), names[1]);
    if (neither > 0)
        printf("neither   %d clip%s of groups that are trained on\n", neither,
               clv_out_plural(neither));
    return CLV_OK;
}

static int write_split(const struct closed *closed)
{
    const struct clv_eval_settings *settings = closed->eval->settings;
    static const enum clv_part parts[2] = {CLV_PART_TRAINING, CLV_PART_TEST};
    char *names[2] = {NULL, NULL};
    int status = split_names(names, settings->write_split);
    for (int i = 0; i < 2 && status == CLV_OK; i++)
        status =
            clv_labels_write(names[i], &closed->labels, closed->parts, parts[i], settings->group);
    if (status == CLV_OK)
        status = print_split(closed, names);
    free(names[0]);
    return status;
}

/* ---- measuring ---- */

static int encode_prompts(struct closed *closed)
{
    const struct clv_classes *classes = &closed->labels.classes;
    struct clv_eval *eval = closed->eval;
    char **prompts = NULL;
    int status = clv_class_prompts(&prompts, &closed->prompt_count, classes, &closed->texts);
    if (status != CLV_OK)
        return status;
    size_t count = (size_t)closed->prompt_count * (size_t)classes->count;
    closed->features =
        calloc(count, (size_t)eval->session.model.config.embed_dim * sizeof *closed->features);
    if (count > INT32_MAX || closed->features == NULL)
        status = clv_fail_memory("the texts of the classes");
    if (status == CLV_OK)
        status =
            clv_eval_encode_texts(eval, closed->features, (const char *const *)prompts, (int)count);
    clv_class_prompts_free(prompts, closed->prompt_count, classes->count);
    return status;
}

static struct clv_class_scores scores_of(const struct closed *closed)
{
    const struct clv_clips *clips = clv_labelled_clips(closed->labelled);
    return (struct clv_class_scores){closed->scores, clips->classes, closed->is_read,
                                     clips->clip_count, clips->class_count};
}

static int measure(struct closed *closed)
{
    struct clv_eval *eval = closed->eval;
    const struct clv_labelled_options reading = clv_eval_reading(eval);
    int status =
        clv_labelled_create(&closed->labelled, &closed->labels, closed->is_in, true, &reading);
    if (status != CLV_OK)
        return status;
    const struct clv_clips *clips = clv_labelled_clips(closed->labelled);
    size_t count = (size_t)clips->clip_count;
    closed->scores = calloc(count + 1, (size_t)clips->class_count * sizeof *closed->scores);
    closed->is_read = calloc(count + 1, sizeof *closed->is_read);
    closed->pair_results = calloc((size_t)closed->pairs.count + 1, sizeof *closed->pair_results);
    if (!closed->scores || !closed->is_read || !closed->pair_results)
        return clv_fail_memory("the results of clips");
    const struct clv_eval_clips run = {.clips = clips,
                                       .text_features = closed->features,
                                       .prompt_count = closed->prompt_count,
                                       .scores = closed->scores,
                                       .is_read = closed->is_read};
    status = clv_eval_run_clips(eval, &run);
    if (status != CLV_OK)
        return status;
    const struct clv_class_scores scores = scores_of(closed);
    status = clv_evaluate_classes(&closed->result, &scores);
    if (status == CLV_OK)
        clv_evaluate_pairs(closed->pair_results, &closed->all_pairs, &scores,
                           (const int32_t(*)[2])closed->pairs.pairs, closed->pairs.count);
    return status;
}

/* ---- printing ---- */

static int print_clips_json(const struct closed *closed)
{
    const struct clv_class_scores scores = scores_of(closed);
    char *const *names = closed->labels.classes.names;
    int status = CLV_OK;
    for (int i = 0; i < scores.clip_count && status == CLV_OK; i++) {
        const float *row = closed->scores + (size_t)i * (size_t)scores.class_count;
        int32_t predicted = clv_evaluate_predicted(&scores, i);
        const struct clv_label *label = clv_labelled_row(closed->labelled, i);
        if (!closed->is_read[i])
            continue;
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "clip");
        clv_json_put_string(object, "path", label->name);
        if (label->start_ms >= 0)
            clv_json_put_integer(object, "start_ms", label->start_ms);
        if (label->end_ms >= 0)
            clv_json_put_integer(object, "end_ms", label->end_ms);
        clv_json_put_string(object, "label", names[label->class_index]);
        clv_json_put_string(object, "predicted", predicted < 0 ? "" : names[predicted]);
        clv_json_put_integer(object, "rank", clv_evaluate_class_rank(&scores, i));
        clv_json_put_number(object, "probability", (double)row[label->class_index]);
        if (closed->eval->settings->scores) {
            struct clv_json *all = clv_json_array();
            for (int c = 0; c < scores.class_count; c++)
                clv_json_append_number(all, (double)row[c]);
            clv_json_put(object, "probabilities", all);
        }
        status = clv_out_json(object);
    }
    return status;
}

/* A class with its row of the confusion matrix: how often it was taken for each class, in the
 * order of the classes. */
static int print_classes_json(const struct closed *closed)
{
    const struct clv_class_result *result = &closed->result;
    int status = CLV_OK;
    for (int c = 0; c < result->class_count && status == CLV_OK; c++) {
        struct clv_json *object = clv_json_object();
        struct clv_json *row = clv_json_array();
        clv_json_put_string(object, "type", "class");
        clv_json_put_integer(object, "id", closed->labels.classes.ids[c]);
        clv_json_put_string(object, "name", closed->labels.classes.names[c]);
        clv_json_put_integer(object, "clips", result->class_clips[c]);
        clv_json_put_integer(object, "right", result->class_right[c]);
        for (int k = 0; k < result->class_count; k++)
            clv_json_append_integer(
                row, result->confusion[(size_t)c * (size_t)result->class_count + (size_t)k]);
        clv_json_put(object, "taken_for", row);
        status = clv_out_json(object);
    }
    return status;
}

static int print_pairs_json(const struct closed *closed)
{
    int status = CLV_OK;
    for (int p = 0; p < closed->pairs.count && status == CLV_OK; p++) {
        struct clv_json *object = clv_json_object();
        clv_json_put_string(object, "type", "pair");
        clv_json_put_string(object, "a", closed->labels.classes.names[closed->pairs.pairs[p][0]]);
        clv_json_put_string(object, "b", closed->labels.classes.names[closed->pairs.pairs[p][1]]);
        clv_json_put_integer(object, "clips", closed->pair_results[p].clip_count);
        if (closed->pair_results[p].clip_count > 0)
            clv_json_put_number(object, "accuracy", closed->pair_results[p].accuracy);
        status = clv_out_json(object);
    }
    return status;
}

static int print_json(const struct closed *closed)
{
    const struct clv_class_result *result = &closed->result;
    int status = print_clips_json(closed);
    if (status == CLV_OK)
        status = print_classes_json(closed);
    if (status == CLV_OK)
        status = print_pairs_json(closed);
    if (status != CLV_OK)
        return status;
    struct clv_json *object = clv_eval_summary(closed->eval, "classes");
    clv_json_put_integer(object, "classes", result->class_count);
    clv_json_put_integer(object, "classes_with_clips", result->tried_class_count);
    clv_json_put_integer(object, "prompts", closed->prompt_count);
    clv_json_put_string(object, "views", closed->eval->settings->views);
    clv_json_put_number(object, "top1", result->top1);
    clv_json_put_number(object, "top5", result->top5);
    clv_json_put_number(object, "mean_class", result->mean_class);
    if (closed->all_pairs.clip_count > 0) {
        clv_json_put_integer(object, "pair_clips", closed->all_pairs.clip_count);
        clv_json_put_number(object, "pair_accuracy", closed->all_pairs.accuracy);
    }
    return clv_out_json(object);
}

/* The wrong class that class `c` was taken for most often; -1: none. */
static int32_t worst_of(const struct clv_class_result *result, int32_t c)
{
    const int64_t *row = result->confusion + (size_t)c * (size_t)result->class_count;
    int32_t worst = -1;
    for (int32_t k = 0; k < result->class_count; k++)
        if (k != c && row[k] > 0 && (worst < 0 || row[k] > row[worst]))
            worst = k;
    return worst;
}

static void cell_name(struct clv_table *table, const char *name)
{
    struct clv_bytes safe = {0};
    clv_out_safe(&safe, name);
    clv_table_cell(table, "%s", safe.data == NULL ? "" : safe.data);
    clv_bytes_release(&safe);
}

static int print_classes(const struct closed *closed)
{
    const struct clv_class_result *result = &closed->result;
    char *const *names = closed->labels.classes.names;
    struct clv_table table = {0};
    clv_table_begin(&table, "CLASS CLIPS> RIGHT> SHARE> TAKEN-FOR");
    for (int32_t c = 0; c < result->class_count; c++) {
        int32_t worst = worst_of(result, c);
        if (result->class_clips[c] == 0)
            continue;
        cell_name(&table, names[c]);
        clv_table_cell(&table, "%" PRId64, result->class_clips[c]);
        clv_table_cell(&table, "%" PRId64, result->class_right[c]);
        clv_table_cell(&table, "%.1f %%",
                       100 * (double)result->class_right[c] / (double)result->class_clips[c]);
        cell_name(&table, worst < 0 ? "" : names[worst]);
    }
    int status = clv_table_print(&table);
    if (closed->pairs.count == 0 || status != CLV_OK)
        return status;
    putchar('\n');
    clv_table_begin(&table, "PAIR AND CLIPS> TOLD-APART>");
    for (int p = 0; p < closed->pairs.count; p++) {
        cell_name(&table, names[closed->pairs.pairs[p][0]]);
        cell_name(&table, names[closed->pairs.pairs[p][1]]);
        clv_table_cell(&table, "%" PRId64, closed->pair_results[p].clip_count);
        if (closed->pair_results[p].clip_count > 0)
            clv_table_cell(&table, "%.1f %%", 100 * closed->pair_results[p].accuracy);
        else
            clv_table_cell(&table, "-");
    }
    return clv_table_print(&table);
}

static int print_text(const struct closed *closed)
{
    const struct clv_class_result *result = &closed->result;
    int status = print_classes(closed);
    if (status != CLV_OK)
        return status;
    putchar('\n');
    clv_eval_print_model(closed->eval, 12);
    printf("clips       %" PRId64 " of %d read, %s view%s, %d prompt%s a class\n",
           result->clip_count, closed->eval->clip_count, closed->eval->settings->views,
           closed->eval->view_count * closed->eval->crop_count == 1 ? "" : "s",
           closed->prompt_count, clv_out_plural(closed->prompt_count));
    printf("top-1       %.1f %%\n", 100 * result->top1);
    printf("top-5       %.1f %%\n", 100 * result->top5);
    printf("mean class  %.1f %% over %d class%s\n", 100 * result->mean_class,
           result->tried_class_count, result->tried_class_count == 1 ? "" : "es");
    if (closed->all_pairs.clip_count > 0)
        printf("pairs       %.1f %% of %" PRId64 " told apart\n", 100 * closed->all_pairs.accuracy,
               closed->all_pairs.clip_count);
    return CLV_OK;
}

int clv_eval_classes(struct clv_eval *eval)
{
    struct closed closed = {.eval = eval};
    int status = read_data(&closed);
    if (status == CLV_OK && eval->settings->write_split != NULL) {
        status = write_split(&closed);
        goto done;
    }
    if (status == CLV_OK)
        status = clv_session_open_model_alone(&eval->session);
    if (status == CLV_OK)
        status = clv_eval_open_encoder(eval, true);
    if (status == CLV_OK)
        status = encode_prompts(&closed);
    if (status == CLV_OK)
        status = measure(&closed);
    clv_progress_clear();
    if (status == CLV_OK)
        status = eval->cli->flags.json ? print_json(&closed) : print_text(&closed);
    if (status == CLV_OK)
        status = clv_eval_exit(eval);
done:
    clv_class_result_release(&closed.result);
    clv_labelled_free(closed.labelled);
    clv_interpretations_release(&closed.texts);
    clv_class_pairs_release(&closed.pairs);
    clv_labels_release(&closed.labels);
    free(closed.pair_results);
    free(closed.features);
    free(closed.scores);
    free(closed.is_read);
    free(closed.is_in);
    free(closed.parts);
    return status;
}
