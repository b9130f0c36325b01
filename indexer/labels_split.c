/* Which clips of a list are kept for validation. */
#include "indexer/labels.h"

#include "core/error.h"
#include "core/model/random.h"

#include <stdlib.h>
#include <string.h>

static int count_held(const bool *held_out, int count)
{
    int held = 0;
    for (int i = 0; i < count; i++)
        held += held_out[i];
    return held;
}

/* The share of `count` clips, rounded, so that of two or more at least one is on either side. */
static int share_of(int count, double fraction)
{
    int share = (int)(count * fraction + 0.5);
    if (count < 2)
        return 0;
    return share < 1 ? 1 : share > count - 1 ? count - 1 : share;
}

/* Holds out the share of the `count` rows numbered in `rows`, whose order is lost. */
static void hold_some(bool *held_out, int *rows, int count, double fraction,
                      struct clv_random *random)
{
    int share = share_of(count, fraction);
    for (int i = 0; i < share; i++) {
        int k = i + clv_random_below(random, count - i);
        int row = rows[k];
        rows[k] = rows[i];
        rows[i] = row;
        held_out[row] = true;
    }
}

int clv_labels_hold_out(bool *held_out, const struct clv_labels *labels, double fraction,
                        uint64_t seed)
{
    if (!(fraction > 0 && fraction < 1))
        return clv_fail(CLV_EINVAL, "the share held out is %g, not between 0 and 1", fraction);
    int *rows = calloc((size_t)labels->count, sizeof *rows);
    if (!rows)
        return clv_fail_memory("a list of clips");
    memset(held_out, 0, (size_t)labels->count * sizeof *held_out);
    int class_count = labels->classes.count > 0 ? labels->classes.count : 1;
    for (int c = 0; c < class_count; c++) {
        struct clv_random random =
            clv_random_stream(seed, CLV_RANDOM_ORDER, UINT64_MAX, (uint64_t)c);
        int count = 0;
        for (int i = 0; i < labels->count; i++)
            if (labels->classes.count == 0 || labels->rows[i].class_index == c)
                rows[count++] = i;
        hold_some(held_out, rows, count, fraction, &random);
    }
    free(rows);
    if (count_held(held_out, labels->count) == 0)
        return clv_fail(CLV_EINVAL,
                        "'%s' has no class with two clips, so that none can be held out",
                        labels->path);
    return CLV_OK;
}

int clv_labels_hold_out_group(bool *held_out, const struct clv_labels *labels, const char *group)
{
    for (int i = 0; i < labels->count; i++)
        held_out[i] = labels->rows[i].group && strcmp(labels->rows[i].group, group) == 0;
    int held = count_held(held_out, labels->count);
    if (held == 0)
        return clv_fail(CLV_EINVAL, "no clip of '%s' is in the group '%s'", labels->path, group);
    if (held == labels->count)
        return clv_fail(CLV_EINVAL,
                        "all clips of '%s' are in the group '%s': none is left to "
                        "train on",
                        labels->path, group);
    return CLV_OK;
}
