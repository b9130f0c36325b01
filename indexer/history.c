/* The journal read again. */
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "indexer/journal.h"

#include <stdlib.h>
#include <string.h>

/* The elements with room for one more, in an array that doubles. NULL when out of memory, when
 * they stay as they are. */
static void *make_room(void *elements, size_t count, size_t element_bytes)
{
    if (count & (count - 1) && count > 0)
        return elements;
    if (count >= SIZE_MAX / 2 / element_bytes)
        return NULL;
    return realloc(elements, (count ? 2 * count : 1) * element_bytes);
}

static double number(const struct clv_json *line, const char *key)
{
    return clv_json_number(clv_json_get(line, key), 0);
}

static int add_step(struct clv_history *history, const struct clv_json *line)
{
    struct clv_history_step *steps = make_room(history->steps, history->step_count, sizeof *steps);
    if (!steps)
        return clv_fail_memory("a journal");
    history->steps = steps;
    history->steps[history->step_count++] = (struct clv_history_step){
        .step = clv_json_integer(clv_json_get(line, "step"), 0),
        .loss = number(line, "loss"),
        .lr = number(line, "lr"),
    };
    return CLV_OK;
}

static int add_epoch(struct clv_history *history, const struct clv_json *line)
{
    struct clv_history_epoch epoch = {
        .epoch = (int)clv_json_integer(clv_json_get(line, "epoch"), 0),
        .step = clv_json_integer(clv_json_get(line, "step"), 0),
        .loss = number(line, "loss"),
        .is_validated = clv_json_get(line, "validation_clips") != NULL,
        .validation_loss = number(line, "validation_loss"),
        .top1 = number(line, "top1"),
        .top5 = number(line, "top5"),
        .recall1 = number(line, "recall1"),
        .recall5 = number(line, "recall5"),
        .recall10 = number(line, "recall10"),
        .median_rank = number(line, "median_rank"),
        .sentences = (int)clv_json_integer(clv_json_get(line, "sentences"), 0),
    };
    if (clv_json_get(line, "top1"))
        epoch.class_clips = (int)clv_json_integer(clv_json_get(line, "validation_clips"), 0);
    /* One that was ended, stopped after, and ended again. */
    if (history->epoch_count > 0 && history->epochs[history->epoch_count - 1].epoch == epoch.epoch)
        history->epoch_count--;
    struct clv_history_epoch *epochs =
        make_room(history->epochs, history->epoch_count, sizeof *epochs);
    if (!epochs)
        return clv_fail_memory("a journal");
    history->epochs = epochs;
    history->epochs[history->epoch_count++] = epoch;
    return CLV_OK;
}

static int add_skip(struct clv_history *history, const struct clv_json *line)
{
    const char *name = clv_json_string(clv_json_get(line, "clip"), NULL, "");
    for (size_t i = 0; i < history->skip_count; i++)
        if (strcmp(history->skips[i].name, name) == 0)
            return CLV_OK;
    struct clv_history_skip *skips = make_room(history->skips, history->skip_count, sizeof *skips);
    if (!skips)
        return clv_fail_memory("a journal");
    history->skips = skips;
    struct clv_history_skip skip = {
        strdup(name), strdup(clv_json_string(clv_json_get(line, "message"), NULL, ""))};
    if (!skip.name || !skip.message) {
        free(skip.name);
        free(skip.message);
        return clv_fail_memory("a journal");
    }
    history->skips[history->skip_count++] = skip;
    return CLV_OK;
}

static int add_line(struct clv_history *history, const struct clv_json *line)
{
    const char *type = clv_json_string(clv_json_get(line, "type"), NULL, "");
    if (strcmp(type, "step") == 0)
        return add_step(history, line);
    if (strcmp(type, "epoch") == 0)
        return add_epoch(history, line);
    if (strcmp(type, "skipped") == 0)
        return add_skip(history, line);
    return CLV_OK;
}

int clv_history_read(struct clv_history *out, const char *path)
{
    struct clv_map map;
    *out = (struct clv_history){0};
    int status = clv_map_open(&map, path);
    if (status != CLV_OK)
        return status;
    const char *at = (const char *)map.data, *end = at ? at + map.size_bytes : at, *newline;
    while (status == CLV_OK && at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        struct clv_json *line = NULL;
        status = clv_json_parse(&line, at, (size_t)(newline - at), path);
        if (status == CLV_OK)
            status = add_line(out, line);
        clv_json_free(line);
        at = newline + 1;
    }
    clv_map_release(&map);
    return status;
}

void clv_history_release(struct clv_history *history)
{
    for (size_t i = 0; i < history->skip_count; i++) {
        free(history->skips[i].name);
        free(history->skips[i].message);
    }
    free(history->steps);
    free(history->epochs);
    free(history->skips);
    *history = (struct clv_history){0};
}
