#include "indexer/class_pairs.h"

#include "core/csv.h"
#include "core/error.h"

#include <stdlib.h>

void clv_class_pairs_release(struct clv_class_pairs *pairs)
{
    free(pairs->pairs);
    *pairs = (struct clv_class_pairs){0};
}

static int add_pair(struct clv_class_pairs *out, const struct clv_classes *classes,
                    const struct clv_csv *csv, size_t row)
{
    const char *name = clv_csv_name(csv);
    size_t line = clv_csv_line(csv, row);
    int32_t pair[2];
    if (clv_csv_cell_count(csv, row) != 2)
        return clv_fail(CLV_EINVAL, "line %zu of '%s' has %zu cells, not two classes", line, name,
                        clv_csv_cell_count(csv, row));
    for (size_t k = 0; k < 2; k++) {
        const char *cell = clv_csv_cell(csv, row, k);
        pair[k] = clv_classes_find(classes, cell);
        if (pair[k] < 0)
            return clv_fail(CLV_EINVAL, "line %zu of '%s': '%s' is no class of '%s'", line, name,
                            cell, classes->path);
    }
    if (pair[0] == pair[1])
        return clv_fail(CLV_EINVAL, "line %zu of '%s' pairs '%s' with itself", line, name,
                        classes->names[pair[0]]);
    for (int i = 0; i < out->count; i++) {
        const int32_t *other = out->pairs[i];
        if ((other[0] == pair[0] && other[1] == pair[1]) ||
            (other[0] == pair[1] && other[1] == pair[0]))
            return clv_fail(CLV_EINVAL, "line %zu of '%s' pairs '%s' and '%s' again", line, name,
                            classes->names[pair[0]], classes->names[pair[1]]);
    }
    out->pairs[out->count][0] = pair[0];
    out->pairs[out->count++][1] = pair[1];
    return CLV_OK;
}

int clv_class_pairs_open(struct clv_class_pairs *out, const struct clv_classes *classes,
                         const char *path)
{
    struct clv_csv *csv = NULL;
    *out = (struct clv_class_pairs){0};
    int status = clv_csv_open(&csv, path, NULL);
    if (status != CLV_OK)
        return status;
    size_t count = clv_csv_row_count(csv);
    bool is_header = clv_csv_cell_count(csv, 0) == 2 &&
                     clv_classes_find(classes, clv_csv_cell(csv, 0, 0)) < 0 &&
                     clv_classes_find(classes, clv_csv_cell(csv, 0, 1)) < 0;
    out->pairs = calloc(count, sizeof *out->pairs);
    if (!out->pairs)
        status = clv_fail_memory("pairs of classes");
    for (size_t row = is_header; row < count && status == CLV_OK; row++)
        status = add_pair(out, classes, csv, row);
    if (status == CLV_OK && out->count == 0)
        status = clv_fail(CLV_EINVAL, "'%s' names no pair of classes", path);
    clv_csv_free(csv);
    return status;
}
