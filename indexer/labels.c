#include "indexer/labels.h"

#include "core/arena.h"
#include "core/csv.h"
#include "core/error.h"
#include "core/file.h"
#include "core/time.h"
#include "core/unicode.h"
#include "indexer/labels_parts.h"

#include <stdlib.h>
#include <string.h>

const char *const clv_labels_path_names[] = {"path", "file",     "video",      "filename",
                                             "clip", "filepath", "video_path", NULL};
static const char *const label_names[] = {"label", "class",    "action", "class_name",
                                          "name",  "label_id", "id",     NULL};
static const char *const start_names[] = {"start", "begin", "start_s", "time_start", NULL};
static const char *const end_names[] = {"end", "stop", "end_s", "time_end", NULL};

/* Where things stand; -1: nowhere. */
struct columns {
    int path, label, start, end, group;
    bool has_header;
    bool is_spaced; /* "PATH LABEL" in one cell */
};

/* A list being read. */
struct reading {
    const struct clv_csv *csv;
    struct columns columns;
    char *directory;
    struct clv_bytes cell; /* scratch */
};

int clv_labels_directory(char **out, const char *list_path)
{
    char *path = NULL;
    *out = NULL;
    int status = clv_path_absolute(&path, list_path);
    if (status == CLV_OK) {
        *out = strndup(path, (size_t)(clv_path_base(path) - path));
        if (!*out)
            status = clv_fail_memory("a list of clips");
    }
    free(path);
    return status;
}

char *clv_labels_resolve(const char *directory, const char *name)
{
    while (name[0] == '.' && name[1] == '/' && name[2])
        name += 2;
    return clv_path_join(directory, name);
}

/* ---- columns ---- */

/* A list without header: the second cell is no column's name, and the first holds a dot or slash
 * as paths do. */
static bool looks_headless(const struct clv_csv *csv)
{
    const char *first = clv_csv_cell(csv, 0, 0);
    return strpbrk(first, "./") != NULL && clv_csv_cell_count(csv, 0) <= 4;
}

static int fail_columns(const struct clv_csv *csv, const char *what, const char *names)
{
    struct clv_bytes seen = {0};
    for (size_t i = 0; i < clv_csv_cell_count(csv, 0) && seen.size_bytes < 120; i++)
        clv_bytes_format(&seen, "%s%.40s", i ? ", " : "", clv_csv_cell(csv, 0, i));
    int status = clv_fail(CLV_EINVAL, "'%s' has no column for the %s (%s); its first row is: %s",
                          clv_csv_name(csv), what, names, seen.data ? seen.data : "");
    clv_bytes_release(&seen);
    return status;
}

static int find_columns(struct columns *out, const struct clv_csv *csv,
                        const struct clv_labels_options *options)
{
    const char *const group_names[] = {options->group_column, NULL};
    const char *group_column = options->group_column;
    bool needs_label = !options->captions_path && !options->ignores_labels;
    *out = (struct columns){.path = clv_csv_column(csv, clv_labels_path_names),
                            .label = clv_csv_column(csv, label_names),
                            .start = clv_csv_column(csv, start_names),
                            .end = clv_csv_column(csv, end_names),
                            .group = group_column ? clv_csv_column(csv, group_names) : -1,
                            .has_header = true};
    if (out->path < 0 && looks_headless(csv)) {
        int count = (int)clv_csv_cell_count(csv, 0);
        *out = (struct columns){0,
                                count > 1 ? 1 : -1,
                                count > 2 ? 2 : -1,
                                count > 3 ? 3 : -1,
                                -1,
                                false,
                                count == 1 && strchr(clv_csv_cell(csv, 0, 0), ' ')};
    }
    if (options->ignores_labels) {
        out->label = -1;
        out->is_spaced = false;
    }
    if (out->path < 0)
        return fail_columns(csv, "footage", "path, file, video, filename or clip");
    if (needs_label && out->label < 0 && !out->is_spaced)
        return fail_columns(csv, "class", "label, class, action or name");
    if (group_column && out->group < 0)
        return fail_columns(csv, "groups", group_column);
    return CLV_OK;
}

/* ---- rows ---- */

static int read_time(int64_t *out, const struct clv_csv *csv, size_t row, int column)
{
    const char *text = column < 0 ? NULL : clv_csv_cell(csv, row, (size_t)column);
    *out = -1;
    if (!text || !*text)
        return CLV_OK;
    if (clv_time_parse(out, text) != CLV_OK || *out < 0)
        return clv_fail(CLV_EINVAL,
                        "line %zu of '%s': '%s' is no time; write seconds (83.5) or 1:23.5",
                        clv_csv_line(csv, row), clv_csv_name(csv), text);
    return CLV_OK;
}

static int read_times(struct clv_label *label, const struct reading *reading, size_t row)
{
    const struct clv_csv *csv = reading->csv;
    const struct columns *columns = &reading->columns;
    int status = read_time(&label->start_ms, csv, row, columns->start);
    if (status == CLV_OK)
        status = read_time(&label->end_ms, csv, row, columns->end);
    if (status == CLV_OK && label->end_ms >= 0 && label->end_ms <= label->start_ms)
        status =
            clv_fail(CLV_EINVAL, "line %zu of '%s': the clip ends at %s, not after its start",
                     label->line, clv_csv_name(csv), clv_csv_cell(csv, row, (size_t)columns->end));
    return status;
}

/* Path and label of a row, borrowed or (where they share a cell) put into the scratch cell. */
static int read_names(const char **path_out, const char **label_out, struct reading *reading,
                      size_t row)
{
    const struct clv_csv *csv = reading->csv;
    const struct columns *columns = &reading->columns;
    struct clv_bytes *cell = &reading->cell;
    size_t line = clv_csv_line(csv, row);
    *path_out = clv_csv_cell(csv, row, (size_t)columns->path);
    *label_out = columns->label < 0 ? NULL : clv_csv_cell(csv, row, (size_t)columns->label);
    if (columns->is_spaced && *path_out) {
        clv_bytes_clear(cell);
        clv_bytes_text(cell, *path_out);
        if (cell->status != CLV_OK)
            return cell->status;
        char *space = strrchr(cell->data, ' ');
        *label_out = space ? space + 1 : NULL;
        while (space && space > cell->data && *space == ' ')
            *space-- = 0;
        *path_out = cell->data;
    }
    if (!*path_out || !**path_out)
        return clv_fail(CLV_EINVAL, "line %zu of '%s' names no file", line, clv_csv_name(csv));
    if ((columns->label >= 0 || columns->is_spaced) && (!*label_out || !**label_out))
        return clv_fail(CLV_EINVAL, "line %zu of '%s': '%s' has no label", line, clv_csv_name(csv),
                        *path_out);
    return CLV_OK;
}

static int check_width(const struct clv_csv *csv, size_t row)
{
    size_t count = clv_csv_cell_count(csv, row), want = clv_csv_cell_count(csv, 0);
    if (count <= want)
        return CLV_OK;
    return clv_fail(CLV_EINVAL,
                    "line %zu of '%s' has %zu cells, the first row %zu: put text that holds a "
                    "'%c' in quotes",
                    clv_csv_line(csv, row), clv_csv_name(csv), count, want, clv_csv_separator(csv));
}

/* *label_out is put aside until all classes are known; the caller frees. */
static int read_row(struct clv_labels *labels, char **label_out, struct reading *reading,
                    size_t row)
{
    struct clv_label *to = &labels->rows[labels->count];
    const struct clv_csv *csv = reading->csv;
    const struct columns *columns = &reading->columns;
    const char *path = NULL, *label = NULL;
    *to = (struct clv_label){.class_index = -1, .line = clv_csv_line(csv, row)};
    int status = check_width(csv, row);
    if (status == CLV_OK)
        status = read_names(&path, &label, reading, row);
    if (status == CLV_OK)
        status = read_times(to, reading, row);
    if (status != CLV_OK)
        return status;
    if (label && !clv_unicode_is_valid(label, strlen(label)))
        return clv_fail(CLV_ECORRUPT, "line %zu of '%s' is not UTF-8 text", to->line, labels->path);
    const char *group = columns->group < 0 ? NULL : clv_csv_cell(csv, row, (size_t)columns->group);
    to->path = clv_labels_resolve(reading->directory, path);
    to->name = strdup(path);
    to->group = group ? strdup(group) : NULL;
    *label_out = label ? strdup(label) : NULL;
    labels->count++;
    if (!to->path || !to->name || (group && !to->group) || (label && !*label_out))
        return clv_fail_memory("a list of clips");
    return CLV_OK;
}

/* ---- classes ---- */

static bool was_named(char *const *texts, const size_t *missing, size_t missing_count,
                      const char *text)
{
    for (size_t i = 0; i < missing_count; i++)
        if (strcmp(texts[missing[i]], text) == 0)
            return true;
    return false;
}

enum { MISSING_NAMED_MAX = 5 };

/* Names the first few labels without a class, each once, and how many rows have one. */
static int fail_missing(const struct clv_labels *labels, char *const *texts)
{
    size_t missing[MISSING_NAMED_MAX], named = 0, rows = 0;
    struct clv_bytes list = {0};
    bool has_more = false;
    for (int i = 0; i < labels->count; i++) {
        if (labels->rows[i].class_index >= 0)
            continue;
        rows++;
        if (was_named(texts, missing, named, texts[i]))
            continue;
        has_more |= named == MISSING_NAMED_MAX;
        if (named == MISSING_NAMED_MAX)
            continue;
        missing[named] = (size_t)i;
        clv_bytes_format(&list, "%s'%.60s' (line %zu)", named++ ? ", " : "", texts[i],
                         labels->rows[i].line);
    }
    int status =
        clv_fail(CLV_EINVAL, "%zu row%s of '%s' with a label that is no class of '%s': %s%s", rows,
                 rows == 1 ? "" : "s", labels->path, labels->classes.path,
                 list.data ? list.data : "", has_more ? " and more" : "");
    clv_bytes_release(&list);
    return status;
}

static int find_classes(struct clv_labels *labels, char *const *texts,
                        const struct clv_labels_options *options)
{
    int missing = 0, status;
    if (options->classes)
        status = clv_classes_copy(&labels->classes, options->classes);
    else if (options->classes_path)
        status = clv_classes_open(&labels->classes, options->classes_path);
    else
        status = clv_classes_of_names(&labels->classes, (const char *const *)texts,
                                      (size_t)labels->count, labels->path);
    if (status != CLV_OK)
        return status;
    for (int i = 0; i < labels->count; i++) {
        labels->rows[i].class_index = clv_classes_find(&labels->classes, texts[i]);
        if (labels->rows[i].class_index == CLV_ENOMEM)
            return CLV_ENOMEM;
        missing += labels->rows[i].class_index < 0;
    }
    return missing ? fail_missing(labels, texts) : CLV_OK;
}

/* ---- the whole list ---- */

static int read_rows(struct clv_labels *labels, struct reading *reading,
                     const struct clv_labels_options *options)
{
    size_t count = clv_csv_row_count(reading->csv), row = reading->columns.has_header;
    char **texts = calloc(count, sizeof *texts);
    labels->rows = calloc(count, sizeof *labels->rows);
    int status = CLV_OK;
    if (!texts || !labels->rows || count > INT32_MAX)
        status = clv_fail_memory("a list of clips");
    for (; status == CLV_OK && row < count; row++)
        status = read_row(labels, &texts[labels->count], reading, row);
    if (status == CLV_OK && labels->count == 0)
        status = clv_fail(CLV_EINVAL, "'%s' lists no clip", labels->path);
    if (status == CLV_OK && (reading->columns.label >= 0 || reading->columns.is_spaced))
        status = find_classes(labels, texts, options);
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
    return status;
}

int clv_labels_open(struct clv_labels *out, const char *path,
                    const struct clv_labels_options *options)
{
    struct clv_csv *csv = NULL;
    struct reading reading = {0};
    *out = (struct clv_labels){0};
    int status = clv_csv_open(&csv, path, NULL);
    if (status != CLV_OK)
        return status;
    reading.csv = csv;
    out->path = strdup(path);
    if (!out->path)
        status = clv_fail_memory("a list of clips");
    if (status == CLV_OK)
        status = find_columns(&reading.columns, csv, options);
    if (status == CLV_OK)
        status = clv_labels_directory(&reading.directory, path);
    if (status == CLV_OK)
        status = read_rows(out, &reading, options);
    if (status == CLV_OK && options->captions_path)
        status = clv_labels_add_captions(out, options->captions_path);
    free(reading.directory);
    clv_bytes_release(&reading.cell);
    clv_csv_free(csv);
    return status;
}

void clv_labels_release(struct clv_labels *labels)
{
    for (int i = 0; i < labels->count; i++) {
        free(labels->rows[i].path);
        free(labels->rows[i].name);
        free(labels->rows[i].group);
    }
    for (int i = 0; i < labels->sentence_count; i++)
        free(labels->sentences[i]);
    free(labels->rows);
    free(labels->sentences);
    free(labels->path);
    clv_classes_release(&labels->classes);
    *labels = (struct clv_labels){0};
}
