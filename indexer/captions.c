/* Rows become clips and sentences by sorting: equal ones stand together then, and the first of
 * each keeps its place. */
#include "indexer/captions.h"

#include "core/csv.h"
#include "core/error.h"
#include "indexer/agreement.h"
#include "indexer/facts.h"

#include <stdlib.h>
#include <string.h>

/* What one call of clv_captions_open() works on. */
struct work {
    struct clv_captions *out;
    const char *path;
    const struct clv_captions_options *options;
    int32_t *order;       /* [labels.count] rows */
    int32_t *clip_of_row; /* [labels.count] */
    int32_t *sentence_of_row;
    int32_t *first_rows; /* [sentence_count] the first row of each sentence */
    struct clv_csv *csv; /* the table again, for what its sentences state */
    const char **columns;
    int *column_numbers;
    int column_count;
    char *match; /* the option, cut at its commas */
    struct clv_facts facts;
    struct clv_agreement agreement; /* with them */
    const char **stated;            /* [column_count] by the sentence at hand; NULL: no facts */
    size_t right_capacity;
};

void clv_captions_release(struct clv_captions *captions)
{
    clv_labels_release(&captions->labels);
    free(captions->clip_rows);
    free(captions->is_first);
    free(captions->sentences);
    free(captions->right_starts);
    free(captions->right);
    *captions = (struct clv_captions){0};
}

static const char *text_of(const struct clv_captions *captions, int32_t row)
{
    return captions->labels.sentences[captions->labels.rows[row].sentence_first];
}

/* ---- clips and sentences ---- */

static int compare_clips(const struct clv_label *a, const struct clv_label *b)
{
    int order = strcmp(a->path, b->path);
    if (order == 0)
        order = (a->start_ms > b->start_ms) - (a->start_ms < b->start_ms);
    return order ? order : (a->end_ms > b->end_ms) - (a->end_ms < b->end_ms);
}

static int by_clip(const void *left, const void *right, void *payload)
{
    const struct clv_captions *captions = payload;
    int32_t i = *(const int32_t *)left, j = *(const int32_t *)right;
    int order = compare_clips(&captions->labels.rows[i], &captions->labels.rows[j]);
    return order ? order : (i > j) - (i < j);
}

static int by_sentence(const void *left, const void *right, void *payload)
{
    const struct clv_captions *captions = payload;
    int32_t i = *(const int32_t *)left, j = *(const int32_t *)right;
    int order = strcmp(text_of(captions, i), text_of(captions, j));
    return order ? order : (i > j) - (i < j);
}

/* Numbers the groups of rows that `compare` finds equal by their first rows: group_of_row [rows],
 * and first_rows [*count_out] ascending. */
static void group(struct work *work, int32_t *group_of_row, int32_t *first_rows, int *count_out,
                  int (*compare)(const void *, const void *, void *), bool is_clip)
{
    struct clv_captions *captions = work->out;
    int32_t count = captions->labels.count, *order = work->order, leader = 0;
    for (int32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, (size_t)count, sizeof *order, compare, captions);
    for (int32_t i = 0; i < count; i++) {
        const struct clv_label *rows = captions->labels.rows;
        bool same = i > 0 &&
                    (is_clip ? compare_clips(&rows[leader], &rows[order[i]]) == 0
                             : strcmp(text_of(captions, leader), text_of(captions, order[i])) == 0);
        leader = same ? leader : order[i];
        group_of_row[order[i]] = leader;
    }
    *count_out = 0;
    for (int32_t i = 0; i < count; i++) {
        if (group_of_row[i] == i) {
            first_rows[*count_out] = i;
            group_of_row[i] = (*count_out)++;
        } else {
            group_of_row[i] = group_of_row[group_of_row[i]];
        }
    }
}

static int make_groups(struct work *work)
{
    struct clv_captions *out = work->out;
    size_t count = (size_t)out->labels.count;
    work->order = calloc(count, sizeof *work->order);
    work->clip_of_row = calloc(count, sizeof *work->clip_of_row);
    work->sentence_of_row = calloc(count, sizeof *work->sentence_of_row);
    work->first_rows = calloc(count, sizeof *work->first_rows);
    out->clip_rows = calloc(count, sizeof *out->clip_rows);
    out->is_first = calloc(count, sizeof *out->is_first);
    out->sentences = calloc(count, sizeof *out->sentences);
    if (!work->order || !work->clip_of_row || !work->sentence_of_row || !work->first_rows ||
        !out->clip_rows || !out->is_first || !out->sentences)
        return clv_fail_memory("captions");
    group(work, work->clip_of_row, out->clip_rows, &out->clip_count, by_clip, true);
    group(work, work->sentence_of_row, work->first_rows, &out->sentence_count, by_sentence, false);
    for (int c = 0; c < out->clip_count; c++)
        out->is_first[out->clip_rows[c]] = true;
    for (int q = 0; q < out->sentence_count; q++)
        out->sentences[q] =
            out->labels.sentences[out->labels.rows[work->first_rows[q]].sentence_first];
    return CLV_OK;
}

/* ---- what sentences state ---- */

/* Columns that say where and when, not what. */
static bool is_fact(const struct clv_csv *csv, int column)
{
    static const char *const others[] = {
        "path",       "file",    "video", "filename",    "clip",     "filepath", "video_path",
        "sentence",   "caption", "text",  "description", "start",    "begin",    "start_s",
        "time_start", "end",     "stop",  "end_s",       "time_end", NULL};
    const char *name = clv_csv_cell(csv, 0, (size_t)column);
    for (int i = 0; others[i]; i++)
        if (!name || !*name || strcasecmp(name, others[i]) == 0)
            return false;
    return true;
}

static int add_column(struct work *work, const char *name)
{
    const char *const names[] = {name, NULL};
    int column = clv_csv_column(work->csv, names);
    if (column < 0)
        return clv_fail(CLV_EINVAL, "'%s' has no column '%s' for what sentences state", work->path,
                        name);
    work->columns[work->column_count] = name;
    work->column_numbers[work->column_count++] = column;
    return CLV_OK;
}

static int find_columns(struct work *work)
{
    const char *match = work->options->match;
    size_t count = clv_csv_cell_count(work->csv, 0) + 1;
    for (const char *at = match; at && *at; at++)
        count += *at == ',';
    work->columns = calloc(count, sizeof *work->columns);
    work->column_numbers = calloc(count, sizeof *work->column_numbers);
    work->match = match ? strdup(match) : NULL;
    if (!work->columns || !work->column_numbers || (match && !work->match))
        return clv_fail_memory("captions");
    int status = CLV_OK;
    char *rest = work->match;
    for (char *name; status == CLV_OK && match && (name = strsep(&rest, ",")) != NULL;)
        status = add_column(work, name);
    for (int i = 0; !match && status == CLV_OK && i < (int)clv_csv_cell_count(work->csv, 0); i++)
        if (is_fact(work->csv, i))
            status = add_column(work, clv_csv_cell(work->csv, 0, (size_t)i));
    if (status == CLV_OK && work->column_count == 0)
        status = clv_fail(CLV_EINVAL,
                          "'%s' has no columns for what its sentences state beside path and "
                          "sentence",
                          work->path);
    return status;
}

static int open_facts(struct work *work)
{
    int status = clv_csv_open(&work->csv, work->path, NULL);
    if (status == CLV_OK)
        status = find_columns(work);
    if (status == CLV_OK)
        status = clv_facts_open(&work->facts, work->options->facts_path, work->columns,
                                work->column_count);
    return status;
}

/* The rows of labels are those of the table, less its header. */
static size_t table_row(const struct work *work, int32_t row)
{
    return clv_csv_row_count(work->csv) - (size_t)work->out->labels.count + (size_t)row;
}

static int weigh_facts(struct work *work)
{
    struct clv_captions *out = work->out;
    const struct clv_facts_row **facts = calloc((size_t)out->clip_count, sizeof *facts);
    work->stated = calloc((size_t)work->column_count, sizeof *work->stated);
    if (!facts || !work->stated) {
        free(facts);
        return clv_fail_memory("what sentences are true of");
    }
    for (int c = 0; c < out->clip_count; c++) {
        facts[c] = clv_facts_find(&work->facts, out->labels.rows[out->clip_rows[c]].path);
        out->without_facts_count += facts[c] == NULL;
    }
    int status = CLV_OK;
    if (out->without_facts_count == out->clip_count)
        status = clv_fail(CLV_EINVAL, "'%s' says nothing about any clip of '%s'",
                          work->options->facts_path, work->path);
    if (status == CLV_OK)
        status = clv_agreement_create(&work->agreement, facts, out->clip_count, work->column_count);
    free(facts);
    return status;
}

/* ---- what is right ---- */

/* The clips that agree with all that the row's sentence states. */
static int32_t find_agreeing(const int32_t **clips_out, struct work *work, int32_t row)
{
    if (!work->stated)
        return 0;
    for (int k = 0; k < work->column_count; k++)
        work->stated[k] =
            clv_csv_cell(work->csv, table_row(work, row), (size_t)work->column_numbers[k]);
    return clv_agreement_find(&work->agreement, clips_out, work->stated);
}

static int reserve(struct work *work, size_t count)
{
    struct clv_captions *out = work->out;
    if (count <= work->right_capacity)
        return CLV_OK;
    size_t capacity = 2 * count < INT32_MAX ? 2 * count : INT32_MAX;
    int32_t *right = count > INT32_MAX ? NULL : realloc(out->right, capacity * sizeof *right);
    if (!right)
        return clv_fail_memory("what sentences are true of");
    out->right = right;
    work->right_capacity = capacity;
    return CLV_OK;
}

static bool is_in(const int32_t *ascending, size_t count, int32_t number)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ascending[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ascending[low] == number;
}

static int compare_numbers(const void *left, const void *right)
{
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Puts numbers in order, each once, and returns how many are left. */
static size_t put_in_order(int32_t *numbers, size_t count)
{
    size_t left = 0, first = 1;
    while (first < count && numbers[first - 1] < numbers[first])
        first++;
    if (first >= count)
        return count;
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    for (size_t i = 0; i < count; i++)
        if (left == 0 || numbers[left - 1] != numbers[i])
            numbers[left++] = numbers[i];
    return left;
}

/* What sentence `sentence` is true of, the last so far: the clips that agree with it, and those
 * that it stands beside, in the rows `rows`. */
static int add_right(struct work *work, int sentence, const int32_t *rows, int32_t row_count)
{
    struct clv_captions *out = work->out;
    const int32_t *agreeing = NULL;
    const int32_t found = find_agreeing(&agreeing, work, work->first_rows[sentence]);
    const size_t before = (size_t)out->right_starts[sentence];
    int status = reserve(work, before + (size_t)found + (size_t)row_count);
    if (status != CLV_OK)
        return status;
    int32_t *right = out->right + before;
    size_t count = (size_t)found;
    if (found > 0)
        memcpy(right, agreeing, count * sizeof *right);
    for (int32_t i = 0; i < row_count; i++) {
        const int32_t clip = work->clip_of_row[rows[i]];
        if (!is_in(right, (size_t)found, clip))
            right[count++] = clip;
    }
    count = put_in_order(right, count);
    out->right_starts[sentence + 1] = (int32_t)(before + count);
    return CLV_OK;
}

static int find_right(struct work *work)
{
    struct clv_captions *out = work->out;
    int status = CLV_OK;
    out->right_starts = calloc((size_t)out->sentence_count + 1, sizeof *out->right_starts);
    int32_t *starts = calloc((size_t)out->sentence_count, sizeof *starts);
    int32_t *counts = calloc((size_t)out->sentence_count, sizeof *counts);
    if (!out->right_starts || !starts || !counts)
        status = clv_fail_memory("what sentences are true of");
    /* `order` is still that of the sentences: the rows of one stand together. */
    for (int32_t i = 0; i < out->labels.count && status == CLV_OK; i++) {
        int32_t sentence = work->sentence_of_row[work->order[i]];
        if (counts[sentence]++ == 0)
            starts[sentence] = i;
    }
    for (int q = 0; q < out->sentence_count && status == CLV_OK; q++)
        status = add_right(work, q, work->order + starts[q], counts[q]);
    free(starts);
    free(counts);
    return status;
}

int clv_captions_open(struct clv_captions *out, const char *path,
                      const struct clv_captions_options *options)
{
    struct work work = {.out = out, .path = path, .options = options};
    const struct clv_labels_options labels = {.captions_path = path, .ignores_labels = true};
    *out = (struct clv_captions){0};
    if (options->match && !options->facts_path)
        return clv_fail(CLV_EINVAL, "columns to match need a table of facts");
    int status = clv_labels_open(&out->labels, path, &labels);
    if (status == CLV_OK)
        status = make_groups(&work);
    if (status == CLV_OK && options->facts_path)
        status = open_facts(&work);
    if (status == CLV_OK && options->facts_path)
        status = weigh_facts(&work);
    if (status == CLV_OK)
        status = find_right(&work);
    clv_agreement_release(&work.agreement);
    clv_facts_release(&work.facts);
    clv_csv_free(work.csv);
    free(work.stated);
    free(work.columns);
    free(work.column_numbers);
    free(work.match);
    free(work.order);
    free(work.clip_of_row);
    free(work.sentence_of_row);
    free(work.first_rows);
    return status;
}

bool clv_captions_is_right(const struct clv_captions *captions, int sentence, int clip)
{
    const int32_t *starts = captions->right_starts + sentence;
    return is_in(captions->right + starts[0], (size_t)(starts[1] - starts[0]), clip);
}
