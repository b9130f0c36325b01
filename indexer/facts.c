#include "indexer/facts.h"

#include "core/csv.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "indexer/labels_parts.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file being read. */
struct reading {
    struct clv_facts *facts;
    const char *path;
    char *directory;
    const char *const *columns;
};

void clv_facts_release(struct clv_facts *facts)
{
    for (size_t i = 0; i < facts->count; i++) {
        for (int k = 0; facts->rows[i].values && k < facts->column_count; k++)
            free(facts->rows[i].values[k]);
        free(facts->rows[i].values);
        free(facts->rows[i].path);
    }
    free(facts->rows);
    *facts = (struct clv_facts){0};
}

/* A new last row, its values not said. */
static int add_row(struct clv_facts_row **out, struct reading *reading, const char *name)
{
    struct clv_facts *facts = reading->facts;
    if (facts->count == facts->capacity) {
        size_t capacity = facts->capacity ? 2 * facts->capacity : 256;
        struct clv_facts_row *rows = realloc(facts->rows, capacity * sizeof *rows);
        if (!rows)
            return clv_fail_memory("facts about footage");
        facts->rows = rows;
        facts->capacity = capacity;
    }
    *out = &facts->rows[facts->count++];
    **out = (struct clv_facts_row){
        .path = clv_labels_resolve(reading->directory, name),
        .values = calloc((size_t)facts->column_count + 1, sizeof *(*out)->values),
    };
    return (*out)->path && (*out)->values ? CLV_OK : clv_fail_memory("facts about footage");
}

static int set_value(struct clv_facts_row *row, int column, const char *text)
{
    row->values[column] = strdup(text);
    return row->values[column] ? CLV_OK : clv_fail_memory("facts about footage");
}

/* ---- tables ---- */

static int read_table(struct reading *reading)
{
    struct clv_csv *csv = NULL;
    int count = reading->facts->column_count, status = clv_csv_open(&csv, reading->path, NULL);
    if (status != CLV_OK)
        return status;
    int path_column = clv_csv_column(csv, clv_labels_path_names);
    if (path_column < 0)
        status = clv_fail(CLV_EINVAL, "'%s' has no column for the footage (path, file, …)",
                          reading->path);
    for (size_t i = 1; i < clv_csv_row_count(csv) && status == CLV_OK; i++) {
        struct clv_facts_row *row = NULL;
        const char *name = clv_csv_cell(csv, i, (size_t)path_column);
        if (!name || !*name)
            status = clv_fail(CLV_EINVAL, "line %zu of '%s' names no file", clv_csv_line(csv, i),
                              reading->path);
        else
            status = add_row(&row, reading, name);
        for (int k = 0; k < count && status == CLV_OK; k++) {
            const char *const names[] = {reading->columns[k], NULL};
            int column = clv_csv_column(csv, names);
            const char *text = column < 0 ? NULL : clv_csv_cell(csv, i, (size_t)column);
            if (text)
                status = set_value(row, k, text);
        }
    }
    clv_csv_free(csv);
    return status;
}

/* ---- JSON lines ---- */

static const char *path_member(const struct clv_json *object)
{
    for (int i = 0; clv_labels_path_names[i]; i++) {
        const char *text =
            clv_json_string(clv_json_get(object, clv_labels_path_names[i]), NULL, NULL);
        if (text && *text)
            return text;
    }
    return NULL;
}

/* Strings, and numbers as they are written; anything else says nothing. */
static int add_member(struct clv_facts_row *row, int column, const struct clv_json *value)
{
    char number[32];
    switch (clv_json_kind(value)) {
    case CLV_JSON_STRING:
        return set_value(row, column, clv_json_string(value, NULL, ""));
    case CLV_JSON_INTEGER:
        snprintf(number, sizeof number, "%" PRId64, clv_json_integer(value, 0));
        return set_value(row, column, number);
    default:
        return CLV_OK;
    }
}

static int read_line(struct reading *reading, const char *line, size_t size_bytes, size_t number)
{
    struct clv_json *object = NULL;
    struct clv_facts_row *row = NULL;
    char name[600];
    snprintf(name, sizeof name, "line %zu of '%.500s'", number, reading->path);
    int status = clv_json_parse(&object, line, size_bytes, name);
    const char *path = status == CLV_OK ? path_member(object) : NULL;
    if (status == CLV_OK && !path)
        status = clv_fail(CLV_EINVAL, "%s names no file", name);
    if (status == CLV_OK)
        status = add_row(&row, reading, path);
    for (int k = 0; k < reading->facts->column_count && status == CLV_OK; k++)
        status = add_member(row, k, clv_json_get(object, reading->columns[k]));
    clv_json_free(object);
    return status;
}

static int read_lines(struct reading *reading, const struct clv_map *map)
{
    const char *at = (const char *)map->data, *end = at + map->size_bytes;
    int status = CLV_OK;
    for (size_t number = 1; at < end && status == CLV_OK; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        size_t size = (size_t)(stop - at);
        while (size > 0 && strchr(" \t\r", at[size - 1]))
            size--;
        if (size > 0)
            status = read_line(reading, at, size, number);
        at = newline ? newline + 1 : end;
    }
    return status;
}

/* ---- both ---- */

static int by_path(const void *left, const void *right)
{
    const struct clv_facts_row *a = left, *b = right;
    return strcmp(a->path, b->path);
}

static int check(const struct reading *reading)
{
    const struct clv_facts *facts = reading->facts;
    for (size_t i = 1; i < facts->count; i++)
        if (strcmp(facts->rows[i - 1].path, facts->rows[i].path) == 0)
            return clv_fail(CLV_EINVAL, "'%s' has two rows about '%s'", reading->path,
                            facts->rows[i].path);
    for (int k = 0; k < facts->column_count; k++) {
        bool is_said = false;
        for (size_t i = 0; i < facts->count && !is_said; i++)
            is_said = facts->rows[i].values[k] != NULL;
        if (!is_said)
            return clv_fail(CLV_EINVAL, "'%s' says nothing about '%s'", reading->path,
                            reading->columns[k]);
    }
    return CLV_OK;
}

int clv_facts_open(struct clv_facts *out, const char *path, const char *const *columns,
                   int column_count)
{
    struct reading reading = {.facts = out, .path = path, .columns = columns};
    struct clv_map map = {0};
    *out = (struct clv_facts){.column_count = column_count};
    int status = clv_map_open(&map, path);
    if (status != CLV_OK)
        return status;
    status = clv_labels_directory(&reading.directory, path);
    size_t blank = 0;
    while (blank < map.size_bytes && strchr(" \t\r\n", map.data[blank]) && map.data[blank])
        blank++;
    bool is_json = blank < map.size_bytes && map.data[blank] == '{';
    if (status == CLV_OK)
        status = is_json ? read_lines(&reading, &map) : read_table(&reading);
    clv_map_release(&map);
    if (status == CLV_OK && out->count > 1)
        qsort(out->rows, out->count, sizeof *out->rows, by_path);
    if (status == CLV_OK)
        status = check(&reading);
    free(reading.directory);
    return status;
}

const struct clv_facts_row *clv_facts_find(const struct clv_facts *facts, const char *path)
{
    size_t low = 0, high = facts->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(facts->rows[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < facts->count && strcmp(facts->rows[low].path, path) == 0 ? &facts->rows[low]
                                                                          : NULL;
}
