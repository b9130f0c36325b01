/* Sentences about clips, from a table of their own: joined to the list by path. */
#include "indexer/labels_parts.h"

#include "core/csv.h"
#include "core/error.h"
#include "core/file.h"
#include "core/unicode.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const sentence_names[] = {"sentence", "caption", "text", "description", NULL};

struct caption {
    char *path;
    const char *text; /* the table's */
    size_t row;
};

static int compare_captions(const void *a, const void *b)
{
    const struct caption *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static int find_columns(int *path_out, int *text_out, bool *has_header_out,
                        const struct clv_csv *csv)
{
    *path_out = clv_csv_column(csv, clv_labels_path_names);
    *text_out = clv_csv_column(csv, sentence_names);
    *has_header_out = *path_out >= 0 && *text_out >= 0;
    if (!*has_header_out && *path_out < 0 && *text_out < 0 && clv_csv_cell_count(csv, 0) == 2) {
        *path_out = 0;
        *text_out = 1;
    }
    if (*path_out < 0 || *text_out < 0)
        return clv_fail(CLV_EINVAL,
                        "'%s' needs a column for the footage (path, file, video, filename or "
                        "clip) and one for what is seen (sentence, caption or text)",
                        clv_csv_name(csv));
    return CLV_OK;
}

static int check_row(const struct clv_csv *csv, size_t row, const char *name, const char *text)
{
    size_t line = clv_csv_line(csv, row);
    if (clv_csv_cell_count(csv, row) > clv_csv_cell_count(csv, 0))
        return clv_fail(CLV_EINVAL,
                        "line %zu of '%s' has %zu cells, the first row %zu: put text that holds a "
                        "'%c' in quotes",
                        line, clv_csv_name(csv), clv_csv_cell_count(csv, row),
                        clv_csv_cell_count(csv, 0), clv_csv_separator(csv));
    if (!name || !*name || !text || !*text)
        return clv_fail(CLV_EINVAL, "line %zu of '%s' lacks a path or a sentence", line,
                        clv_csv_name(csv));
    if (!clv_unicode_is_valid(text, strlen(text)))
        return clv_fail(CLV_ECORRUPT, "line %zu of '%s' is not UTF-8 text", line,
                        clv_csv_name(csv));
    return CLV_OK;
}

static int read_captions(struct caption *captions, size_t *count_out, const struct clv_csv *csv)
{
    int path_column = -1, text_column = -1;
    bool has_header = false;
    char *directory = NULL;
    *count_out = 0;
    int status = find_columns(&path_column, &text_column, &has_header, csv);
    if (status == CLV_OK)
        status = clv_labels_directory(&directory, clv_csv_name(csv));
    for (size_t row = has_header; status == CLV_OK && row < clv_csv_row_count(csv); row++) {
        struct caption *to = &captions[*count_out];
        const char *name = clv_csv_cell(csv, row, (size_t)path_column);
        const char *text = clv_csv_cell(csv, row, (size_t)text_column);
        status = check_row(csv, row, name, text);
        if (status != CLV_OK)
            break;
        *to = (struct caption){clv_labels_resolve(directory, name), text, row};
        if (to->path)
            ++*count_out;
        else
            status = clv_fail_memory("captions");
    }
    free(directory);
    return status;
}

/* How many captions are of `path`, from *first_out on. */
static size_t find_path(size_t *first_out, const struct caption *captions, size_t count,
                        const char *path)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(captions[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *first_out = low;
    while (high < count && strcmp(captions[high].path, path) == 0)
        high++;
    return high - low;
}

static int join(struct clv_labels *labels, const struct caption *captions, size_t count,
                const char *path)
{
    size_t total = 0, first;
    for (int i = 0; i < labels->count; i++) {
        size_t found = find_path(&first, captions, count, labels->rows[i].path);
        if (found == 0)
            return clv_fail(CLV_EINVAL, "'%s' has no sentence for '%s' (line %zu of '%s')", path,
                            labels->rows[i].name, labels->rows[i].line, labels->path);
        total += found;
    }
    if (total > INT32_MAX)
        return clv_fail_memory("captions");
    labels->sentences = calloc(total, sizeof *labels->sentences);
    if (!labels->sentences)
        return clv_fail_memory("captions");
    for (int i = 0; i < labels->count; i++) {
        size_t found = find_path(&first, captions, count, labels->rows[i].path);
        labels->rows[i].sentence_first = labels->sentence_count;
        labels->rows[i].sentence_count = (int32_t)found;
        for (size_t k = 0; k < found; k++) {
            char *text = strdup(captions[first + k].text);
            if (!text)
                return clv_fail_memory("captions");
            labels->sentences[labels->sentence_count++] = text;
        }
    }
    return CLV_OK;
}

/* Captions in a column of the list itself belong to their own rows, several of which may be cut
 * out of one file. */
static int take_column(struct clv_labels *labels, const struct caption *captions, size_t count)
{
    labels->sentences = calloc(count, sizeof *labels->sentences);
    if (!labels->sentences || count != (size_t)labels->count)
        return clv_fail_memory("captions");
    for (int i = 0; i < labels->count; i++) {
        labels->rows[i].sentence_first = i;
        labels->rows[i].sentence_count = 1;
        labels->sentences[i] = strdup(captions[i].text);
        if (!labels->sentences[i])
            return clv_fail_memory("captions");
        labels->sentence_count++;
    }
    return CLV_OK;
}

static int is_same_file(bool *same_out, const char *path, const char *other)
{
    char *a = NULL, *b = NULL;
    int status = clv_path_absolute(&a, path);
    if (status == CLV_OK)
        status = clv_path_absolute(&b, other);
    *same_out = status == CLV_OK && strcmp(a, b) == 0;
    free(a);
    free(b);
    return status;
}

int clv_labels_add_captions(struct clv_labels *labels, const char *path)
{
    struct clv_csv *csv = NULL;
    size_t count = 0;
    bool is_own = false;
    int status = is_same_file(&is_own, path, labels->path);
    if (status == CLV_OK)
        status = clv_csv_open(&csv, path, NULL);
    if (status != CLV_OK)
        return status;
    struct caption *captions = calloc(clv_csv_row_count(csv), sizeof *captions);
    status = captions ? read_captions(captions, &count, csv) : clv_fail_memory("captions");
    if (status == CLV_OK && is_own) {
        status = take_column(labels, captions, count);
    } else if (status == CLV_OK) {
        qsort(captions, count, sizeof *captions, compare_captions);
        status = join(labels, captions, count, path);
    }
    for (size_t i = 0; captions && i < count; i++)
        free(captions[i].path);
    free(captions);
    clv_csv_free(csv);
    return status;
}
