#include "indexer/shots.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "core/model/random.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- choosing ---- */

/* A clip with what it is sorted by. */
struct place {
    const char *group;
    uint64_t group_key; /* random, the same for all of a group */
    uint64_t key;       /* random */
    int32_t row;
};

static int by_name(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    int order = strcmp(a->group, b->group);
    return order ? order : (a->row > b->row) - (a->row < b->row);
}

static int by_key(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->group_key != b->group_key)
        return a->group_key < b->group_key ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static bool same_group(const struct place *a, const struct place *b)
{
    return a->row == b->row || (*a->group && strcmp(a->group, b->group) == 0);
}

/* Random order of groups, and of clips within them. A clip without a group is one by itself. */
static void shuffle(struct place *places, const struct clv_labels *labels, uint64_t seed)
{
    struct clv_random random = clv_random_stream(seed, CLV_RANDOM_ORDER, UINT64_MAX, 0);
    for (int32_t i = 0; i < labels->count; i++) {
        const char *name = labels->rows[i].group;
        places[i] = (struct place){.group = name ? name : "", .row = i};
    }
    qsort(places, (size_t)labels->count, sizeof *places, by_name);
    for (int i = 0; i < labels->count; i++) {
        places[i].key = clv_random_bits(&random);
        places[i].group_key = i > 0 && same_group(&places[i - 1], &places[i])
                                  ? places[i - 1].group_key
                                  : clv_random_bits(&random);
    }
    qsort(places, (size_t)labels->count, sizeof *places, by_key);
}

/* Rows of a group that is trained on are for the test no more. */
static void close_groups(enum clv_part *parts, const struct place *places, int count)
{
    for (int first = 0, end; first < count; first = end) {
        bool is_trained = false;
        for (end = first; end < count && same_group(&places[first], &places[end]); end++)
            is_trained |= parts[places[end].row] == CLV_PART_TRAINING;
        for (int i = first; is_trained && i < end; i++)
            if (parts[places[i].row] == CLV_PART_TEST)
                parts[places[i].row] = CLV_PART_NEITHER;
    }
}

static int check(const enum clv_part *parts, const struct clv_labels *labels, int shots)
{
    for (int32_t c = 0; c < labels->classes.count; c++) {
        int total = 0, trained = 0, tested = 0;
        for (int i = 0; i < labels->count; i++) {
            if (labels->rows[i].class_index != c)
                continue;
            total++;
            trained += parts[i] == CLV_PART_TRAINING;
            tested += parts[i] == CLV_PART_TEST;
        }
        if (total > 0 && trained < shots)
            return clv_fail(CLV_EINVAL, "class '%s' has %d clips in '%s', too few for %d shots",
                            labels->classes.names[c], total, labels->path, shots);
        if (total > 0 && tested == 0)
            return clv_fail(CLV_EINVAL,
                            "class '%s' has %d clips in '%s': with %d shots none is left to test",
                            labels->classes.names[c], total, labels->path, shots);
    }
    return CLV_OK;
}

int clv_labels_shots(enum clv_part *parts_out, const struct clv_labels *labels, int shots,
                     uint64_t seed)
{
    int classes = labels->classes.count;
    if (shots < 1)
        return clv_fail(CLV_EINVAL, "%d shots are none", shots);
    if (classes < 1)
        return clv_fail(CLV_EINVAL, "'%s' has no labels to choose by", labels->path);
    struct place *places = calloc((size_t)labels->count, sizeof *places);
    int *taken = calloc((size_t)classes, sizeof *taken);
    int status = places && taken ? CLV_OK : clv_fail_memory("a split");
    if (status == CLV_OK) {
        shuffle(places, labels, seed);
        for (int i = 0; i < labels->count; i++) {
            int32_t row = places[i].row, class_index = labels->rows[row].class_index;
            parts_out[row] = taken[class_index]++ < shots ? CLV_PART_TRAINING : CLV_PART_TEST;
        }
        close_groups(parts_out, places, labels->count);
        status = check(parts_out, labels, shots);
    }
    free(places);
    free(taken);
    return status;
}

/* ---- writing ---- */

static void add_cell(struct clv_bytes *out, const char *text)
{
    size_t size = strlen(text);
    bool is_plain = size > 0 && text[strcspn(text, ",;\t\"\r\n")] == '\0' && text[0] != ' ' &&
                    text[size - 1] != ' ';
    if (is_plain) {
        clv_bytes_text(out, text);
        return;
    }
    clv_bytes_text(out, "\"");
    for (; *text; text++) {
        if (*text == '"')
            clv_bytes_text(out, "\"");
        clv_bytes_add(out, text, 1);
    }
    clv_bytes_text(out, "\"");
}

static void add_time(struct clv_bytes *out, int64_t time_ms)
{
    clv_bytes_text(out, ",");
    if (time_ms >= 0)
        clv_bytes_format(out, "%lld.%03d", (long long)(time_ms / 1000), (int)(time_ms % 1000));
}

int clv_labels_write(const char *path, const struct clv_labels *labels, const enum clv_part *parts,
                     enum clv_part part, const char *group_column)
{
    struct clv_bytes text = {0};
    bool has_times = false;
    for (int i = 0; i < labels->count; i++)
        has_times |= labels->rows[i].start_ms >= 0 || labels->rows[i].end_ms >= 0;
    clv_bytes_text(&text, has_times ? "path,label,start,end" : "path,label");
    if (group_column) {
        clv_bytes_text(&text, ",");
        add_cell(&text, group_column);
    }
    clv_bytes_text(&text, "\n");
    for (int i = 0; i < labels->count; i++) {
        const struct clv_label *row = &labels->rows[i];
        if (parts[i] != part)
            continue;
        add_cell(&text, row->path);
        clv_bytes_text(&text, ",");
        add_cell(&text, labels->classes.names[row->class_index]);
        if (has_times) {
            add_time(&text, row->start_ms);
            add_time(&text, row->end_ms);
        }
        if (group_column) {
            clv_bytes_text(&text, ",");
            add_cell(&text, row->group ? row->group : "");
        }
        clv_bytes_text(&text, "\n");
    }
    int status =
        text.status == CLV_OK ? clv_file_replace(path, text.data, text.size_bytes) : text.status;
    clv_bytes_release(&text);
    return status;
}
