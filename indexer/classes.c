/* Lists are looked up by bisection in three orders, since label files run to hundreds of thousands
 * of rows. */
#include "indexer/classes.h"

#include "core/csv.h"
#include "core/error.h"
#include "core/unicode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const id_names[] = {"id", "class_id", "index", "label_id", NULL};
static const char *const name_names[] = {"name", "label", "class", "class_name", "action", NULL};

/* ---- names as they are compared loosely ---- */

static char *plain_name(const char *name)
{
    struct clv_bytes lower = {0};
    clv_bytes_text(&lower, ""); /* there is something to be found even of an empty name */
    if (clv_unicode_lower(&lower, name, strlen(name)) != CLV_OK || lower.status != CLV_OK) {
        clv_bytes_release(&lower);
        return NULL;
    }
    char *to = lower.data;
    for (const char *from = lower.data; *from; from++) {
        char c = *from == '_' || *from == '\t' ? ' ' : *from;
        if (c != ' ' || (to > lower.data && to[-1] != ' '))
            *to++ = c;
    }
    while (to > lower.data && to[-1] == ' ')
        to--;
    *to = 0;
    return lower.data;
}

/* ---- the three orders ---- */

static int compare_names(const void *a, const void *b, void *payload)
{
    char *const *names = payload;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    int order = strcmp(names[i], names[j]);
    return order ? order : (i > j) - (i < j);
}

static int compare_ids(const void *a, const void *b, void *payload)
{
    const int64_t *ids = payload;
    int64_t i = ids[*(const int32_t *)a], j = ids[*(const int32_t *)b];
    return (i > j) - (i < j);
}

static int sort_classes(struct clv_classes *classes)
{
    size_t count = (size_t)classes->count;
    classes->by_name = calloc(count + 1, sizeof *classes->by_name);
    classes->by_id = calloc(count + 1, sizeof *classes->by_id);
    classes->by_plain = calloc(count + 1, sizeof *classes->by_plain);
    classes->plain = calloc(count + 1, sizeof *classes->plain);
    if (!classes->by_name || !classes->by_id || !classes->by_plain || !classes->plain)
        return clv_fail_memory("a list of classes");
    for (int i = 0; i < classes->count; i++) {
        classes->by_name[i] = classes->by_id[i] = classes->by_plain[i] = i;
        classes->plain[i] = plain_name(classes->names[i]);
        if (!classes->plain[i])
            return clv_fail_memory("a list of classes");
    }
    qsort_r(classes->by_name, count, sizeof *classes->by_name, compare_names, classes->names);
    qsort_r(classes->by_plain, count, sizeof *classes->by_plain, compare_names, classes->plain);
    qsort_r(classes->by_id, count, sizeof *classes->by_id, compare_ids, classes->ids);
    return CLV_OK;
}

static int check_unique(const struct clv_classes *classes)
{
    for (int i = 1; i < classes->count; i++) {
        const char *name = classes->names[classes->by_name[i]];
        int64_t id = classes->ids[classes->by_id[i]];
        if (strcmp(name, classes->names[classes->by_name[i - 1]]) == 0)
            return clv_fail(CLV_EINVAL, "'%s' has the class '%s' twice", classes->path, name);
        if (id == classes->ids[classes->by_id[i - 1]])
            return clv_fail(CLV_EINVAL, "'%s' has the id %" PRId64 " twice: for '%s' and for '%s'",
                            classes->path, id, classes->names[classes->by_id[i - 1]],
                            classes->names[classes->by_id[i]]);
    }
    return CLV_OK;
}

/* ---- making lists ---- */

static bool parse_id(int64_t *out, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return *text && *text != ' ' && !*end && errno == 0;
}

/* Columns of a list of classes; ids are absent where `id` is -1. */
struct columns {
    int id, name;
    bool has_header;
};

static int find_columns(struct columns *out, const struct clv_csv *csv)
{
    int64_t id;
    out->id = clv_csv_column(csv, id_names);
    out->name = clv_csv_column(csv, name_names);
    out->has_header = out->name >= 0;
    if (out->has_header)
        return CLV_OK;
    size_t count = clv_csv_cell_count(csv, 0);
    if (count == 1)
        *out = (struct columns){-1, 0, false};
    else if (count == 2 && parse_id(&id, clv_csv_cell(csv, 0, 0)))
        *out = (struct columns){0, 1, false};
    else
        return clv_fail(CLV_EINVAL,
                        "line %zu of '%s': a list of classes has the columns id and name",
                        clv_csv_line(csv, 0), clv_csv_name(csv));
    return CLV_OK;
}

static int read_class(struct clv_classes *classes, const struct clv_csv *csv, size_t row,
                      const struct columns *columns)
{
    const char *name = clv_csv_cell(csv, row, (size_t)columns->name);
    const char *id = columns->id < 0 ? NULL : clv_csv_cell(csv, row, (size_t)columns->id);
    size_t line = clv_csv_line(csv, row), cells = clv_csv_cell_count(csv, row);
    if (cells > clv_csv_cell_count(csv, 0))
        return clv_fail(CLV_EINVAL,
                        "line %zu of '%s' has %zu cells, the first row %zu: put names that hold a "
                        "'%c' in quotes",
                        line, classes->path, cells, clv_csv_cell_count(csv, 0),
                        clv_csv_separator(csv));
    if (!name || !*name)
        return clv_fail(CLV_EINVAL, "line %zu of '%s' has no name", line, classes->path);
    if (!clv_unicode_is_valid(name, strlen(name)))
        return clv_fail(CLV_ECORRUPT, "line %zu of '%s' is not UTF-8 text", line, classes->path);
    classes->ids[classes->count] = classes->count;
    if (columns->id >= 0 && (!id || !parse_id(&classes->ids[classes->count], id)))
        return clv_fail(CLV_EINVAL, "line %zu of '%s': the id '%s' is no whole number", line,
                        classes->path, id ? id : "");
    classes->names[classes->count] = strdup(name);
    if (!classes->names[classes->count])
        return clv_fail_memory("a list of classes");
    classes->count++;
    return CLV_OK;
}

static int begin(struct clv_classes *out, size_t count_max, const char *path)
{
    *out = (struct clv_classes){0};
    out->path = strdup(path);
    out->names = calloc(count_max + 1, sizeof *out->names);
    out->ids = calloc(count_max + 1, sizeof *out->ids);
    if (!out->path || !out->names || !out->ids || count_max > INT32_MAX)
        return clv_fail_memory("a list of classes");
    return CLV_OK;
}

int clv_classes_open(struct clv_classes *out, const char *path)
{
    struct clv_csv *csv = NULL;
    struct columns columns;
    *out = (struct clv_classes){0};
    int status = clv_csv_open(&csv, path, NULL);
    if (status != CLV_OK)
        return status;
    status = begin(out, clv_csv_row_count(csv), path);
    if (status == CLV_OK)
        status = find_columns(&columns, csv);
    for (size_t row = status == CLV_OK && columns.has_header;
         status == CLV_OK && row < clv_csv_row_count(csv); row++)
        status = read_class(out, csv, row, &columns);
    if (status == CLV_OK && out->count == 0)
        status = clv_fail(CLV_EINVAL, "'%s' lists no class", path);
    if (status == CLV_OK)
        status = sort_classes(out);
    if (status == CLV_OK)
        status = check_unique(out);
    clv_csv_free(csv);
    return status;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int clv_classes_of_names(struct clv_classes *out, const char *const *names, size_t count,
                         const char *path)
{
    int status = begin(out, count, path);
    const char **sorted = calloc(count + 1, sizeof *sorted);
    if (!sorted)
        status = clv_fail_memory("a list of classes");
    if (status == CLV_OK && count > 0) {
        memcpy(sorted, names, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_texts);
    }
    for (size_t i = 0; i < count && status == CLV_OK; i++) {
        if (i > 0 && strcmp(sorted[i], sorted[i - 1]) == 0)
            continue;
        out->ids[out->count] = out->count;
        out->names[out->count] = strdup(sorted[i]);
        if (!out->names[out->count++])
            status = clv_fail_memory("a list of classes");
    }
    free(sorted);
    return status == CLV_OK ? sort_classes(out) : status;
}

int clv_classes_copy(struct clv_classes *out, const struct clv_classes *classes)
{
    int status = begin(out, (size_t)classes->count, classes->path);
    for (int i = 0; i < classes->count && status == CLV_OK; i++) {
        out->ids[i] = classes->ids[i];
        out->names[i] = strdup(classes->names[i]);
        if (!out->names[out->count++])
            status = clv_fail_memory("a list of classes");
    }
    return status == CLV_OK ? sort_classes(out) : status;
}

void clv_classes_release(struct clv_classes *classes)
{
    for (int i = 0; i < classes->count; i++) {
        free(classes->names[i]);
        if (classes->plain)
            free(classes->plain[i]);
    }
    free(classes->names);
    free(classes->plain);
    free(classes->ids);
    free(classes->by_name);
    free(classes->by_id);
    free(classes->by_plain);
    free(classes->path);
    *classes = (struct clv_classes){0};
}

/* ---- looking up ---- */

/* The first place in `order` whose name is not less than `name`. */
static int lower_bound(const int32_t *order, char *const *names, int count, const char *name)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(names[order[middle]], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int find_plain(const struct clv_classes *classes, const char *label)
{
    char *plain = plain_name(label);
    if (!plain)
        return clv_fail_memory("a list of classes");
    int at = lower_bound(classes->by_plain, classes->plain, classes->count, plain);
    int found = -1;
    if (at < classes->count && strcmp(classes->plain[classes->by_plain[at]], plain) == 0)
        found = classes->by_plain[at];
    /* Two that differ only by what does not count: neither is meant for certain. */
    if (found >= 0 && at + 1 < classes->count &&
        strcmp(classes->plain[classes->by_plain[at + 1]], plain) == 0)
        found = -1;
    free(plain);
    return found;
}

static int find_id(const struct clv_classes *classes, const char *label)
{
    int64_t id;
    if (!parse_id(&id, label))
        return -1;
    int low = 0, high = classes->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (classes->ids[classes->by_id[middle]] < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < classes->count && classes->ids[classes->by_id[low]] == id)
        return classes->by_id[low];
    return -1;
}

int clv_classes_find(const struct clv_classes *classes, const char *label)
{
    int at = lower_bound(classes->by_name, classes->names, classes->count, label);
    if (at < classes->count && strcmp(classes->names[classes->by_name[at]], label) == 0)
        return classes->by_name[at];
    int found = find_plain(classes, label);
    return found != -1 ? found : find_id(classes, label);
}
