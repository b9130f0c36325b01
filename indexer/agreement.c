#include "indexer/agreement.h"

#include "core/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_STATED = -1, NEVER_SAID = -2 };

/* What one clip says. */
struct said {
    const char *value;
    int32_t clip;
};

static int compare_said(const void *left, const void *right)
{
    const struct said *a = left, *b = right;
    int order = strcmp(a->value, b->value);
    return order ? order : (a->clip > b->clip) - (a->clip < b->clip);
}

/* Sorted by value: clips of one value stand together then. */
static int32_t gather(struct said *out, const struct clv_facts_row *const *facts, int clip_count,
                      int column)
{
    int32_t count = 0;
    for (int32_t c = 0; c < clip_count; c++) {
        const char *value = facts[c] ? facts[c]->values[column] : NULL;
        if (value && *value)
            out[count++] = (struct said){value, c};
    }
    qsort(out, (size_t)count, sizeof *out, compare_said);
    return count;
}

static int fill(struct clv_agreement_column *column, const struct said *said, int32_t count,
                int clip_count)
{
    column->values = calloc((size_t)count + 1, sizeof *column->values);
    column->starts = calloc((size_t)count + 1, sizeof *column->starts);
    column->clips = calloc((size_t)count + 1, sizeof *column->clips);
    column->value_of = calloc((size_t)clip_count + 1, sizeof *column->value_of);
    if (!column->values || !column->starts || !column->clips || !column->value_of)
        return clv_fail_memory("facts about footage");
    for (int32_t c = 0; c < clip_count; c++)
        column->value_of[c] = NOT_STATED;
    for (int32_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(said[i - 1].value, said[i].value) != 0) {
            column->starts[column->value_count] = i;
            column->values[column->value_count++] = said[i].value;
        }
        column->clips[i] = said[i].clip;
        column->value_of[said[i].clip] = column->value_count - 1;
    }
    column->starts[column->value_count] = count;
    return CLV_OK;
}

int clv_agreement_create(struct clv_agreement *out, const struct clv_facts_row *const *facts,
                         int clip_count, int column_count)
{
    struct said *said = calloc((size_t)clip_count + 1, sizeof *said);
    *out = (struct clv_agreement){
        .columns = calloc((size_t)column_count + 1, sizeof *out->columns),
        .column_count = column_count,
        .clip_count = clip_count,
        .wanted = calloc((size_t)column_count + 1, sizeof *out->wanted),
        .found = calloc((size_t)clip_count + 1, sizeof *out->found),
    };
    int status = said && out->columns && out->wanted && out->found
                     ? CLV_OK
                     : clv_fail_memory("facts about footage");
    for (int k = 0; k < column_count && status == CLV_OK; k++)
        status = fill(&out->columns[k], said, gather(said, facts, clip_count, k), clip_count);
    free(said);
    return status;
}

void clv_agreement_release(struct clv_agreement *agreement)
{
    for (int k = 0; agreement->columns && k < agreement->column_count; k++) {
        free(agreement->columns[k].values);
        free(agreement->columns[k].starts);
        free(agreement->columns[k].clips);
        free(agreement->columns[k].value_of);
    }
    free(agreement->columns);
    free(agreement->wanted);
    free(agreement->found);
    *agreement = (struct clv_agreement){0};
}

static int32_t number_of(const struct clv_agreement_column *column, const char *value)
{
    int32_t low = 0, high = column->value_count;
    if (!value || !*value)
        return NOT_STATED;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (strcmp(column->values[middle], value) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < column->value_count && strcmp(column->values[low], value) == 0 ? low : NEVER_SAID;
}

static int32_t clips_of(const struct clv_agreement_column *column, int32_t value)
{
    return value == NEVER_SAID ? 0 : column->starts[value + 1] - column->starts[value];
}

static bool agrees(const struct clv_agreement *agreement, int32_t clip)
{
    for (int k = 0; k < agreement->column_count; k++)
        if (agreement->wanted[k] != NOT_STATED &&
            agreement->columns[k].value_of[clip] != agreement->wanted[k])
            return false;
    return true;
}

int32_t clv_agreement_find(struct clv_agreement *agreement, const int32_t **clips_out,
                           const char *const *stated)
{
    int rarest = -1;
    int32_t fewest = 0, count = 0;
    for (int k = 0; k < agreement->column_count; k++) {
        const struct clv_agreement_column *column = &agreement->columns[k];
        const int32_t value = agreement->wanted[k] = number_of(column, stated[k]);
        if (value == NOT_STATED || (rarest >= 0 && clips_of(column, value) >= fewest))
            continue;
        rarest = k;
        fewest = clips_of(column, value);
    }
    *clips_out = agreement->found;
    if (fewest == 0)
        return 0;
    const struct clv_agreement_column *column = &agreement->columns[rarest];
    const int32_t *clips = column->clips + column->starts[agreement->wanted[rarest]];
    for (int32_t i = 0; i < fewest; i++)
        if (agrees(agreement, clips[i]))
            agreement->found[count++] = clips[i];
    return count;
}
