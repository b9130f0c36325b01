#include "indexer/journal.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct clv_journal {
    char *path;
    int descriptor;
    double begun_s;
    struct clv_bytes line;
    int status; /* the first failure */
};

/* ---- writing ---- */

/* The old file without lines of steps after `step`, and without what is no JSON. */
static int cut_back(const char *path, int64_t step)
{
    struct clv_map map;
    struct clv_bytes kept = {0};
    int status = clv_map_open(&map, path);
    if (status == CLV_ENOTFOUND)
        return CLV_OK;
    if (status != CLV_OK)
        return status;
    const char *at = (const char *)map.data, *end = at ? at + map.size_bytes : at;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct clv_json *line = NULL;
        if (!newline)
            break;
        if (clv_json_parse(&line, at, (size_t)(newline - at), path) == CLV_OK &&
            clv_json_integer(clv_json_get(line, "step"), 0) <= step)
            clv_bytes_add(&kept, at, (size_t)(newline + 1 - at));
        clv_json_free(line);
        at = newline + 1;
    }
    clv_map_release(&map);
    status = kept.status;
    if (status == CLV_OK)
        status = clv_file_replace(path, kept.data ? kept.data : "", kept.size_bytes);
    clv_bytes_release(&kept);
    return status;
}

int clv_journal_open(struct clv_journal **out, const char *path, int64_t step)
{
    *out = NULL;
    int status = step >= 0 ? cut_back(path, step) : CLV_OK;
    if (status != CLV_OK)
        return status;
    struct clv_journal *journal = calloc(1, sizeof *journal);
    if (!journal || !(journal->path = strdup(path))) {
        free(journal);
        return clv_fail_memory("a journal");
    }
    journal->begun_s = clv_clock_seconds();
    journal->descriptor =
        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (step >= 0 ? 0 : O_TRUNC), 0666);
    if (journal->descriptor < 0) {
        status = clv_fail_errno("cannot write '%s'", path);
        free(journal->path);
        free(journal);
        return status;
    }
    *out = journal;
    return CLV_OK;
}

static int write_line(struct clv_journal *journal)
{
    const char *at = journal->line.data;
    size_t left = journal->line.size_bytes;
    while (left > 0) {
        ssize_t written = write(journal->descriptor, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return clv_fail_errno("cannot write '%s'", journal->path);
        at += written;
        left -= (size_t)written;
    }
    return CLV_OK;
}

int clv_journal_note(struct clv_journal *journal, struct clv_json *object)
{
    clv_json_put_number(object, "elapsed_s", clv_clock_seconds() - journal->begun_s);
    clv_bytes_clear(&journal->line);
    int status = clv_json_write(&journal->line, object, false);
    clv_bytes_text(&journal->line, "\n");
    if (status == CLV_OK)
        status = journal->line.status;
    if (status == CLV_OK)
        status = write_line(journal);
    if (journal->status == CLV_OK)
        journal->status = status;
    clv_json_free(object);
    return status;
}

static void put_validation(struct clv_json *object, const struct clv_trainer_event *event)
{
    const struct clv_validation *validation = event->validation;
    clv_json_put_integer(object, "validation_clips", validation->clip_count);
    clv_json_put_integer(object, "validation_skipped", validation->skipped_count);
    if (validation->class_count > 0) {
        clv_json_put_number(object, "validation_loss", validation->loss);
        clv_json_put_number(object, "top1", validation->top1);
        clv_json_put_number(object, "top5", validation->top5);
    }
    if (validation->sentence_count > 0) {
        clv_json_put_integer(object, "sentences", validation->sentence_count);
        clv_json_put_number(object, "recall1", validation->recall1);
        clv_json_put_number(object, "recall5", validation->recall5);
        clv_json_put_number(object, "recall10", validation->recall10);
        clv_json_put_number(object, "median_rank", validation->median_rank);
    }
    clv_json_put_bool(object, "best", event->is_best);
}

static void put_training(struct clv_json *object, const struct clv_trainer_event *event)
{
    clv_json_put_number(object, "loss", event->loss);
    clv_json_put_number(object, "lr", event->lr);
    clv_json_put_number(object, "gradient_norm", event->gradient_norm);
    clv_json_put_number(object, "clips_per_s", event->clips_per_s);
}

struct clv_json *clv_journal_json(const struct clv_trainer_event *event, const char *name)
{
    struct clv_json *object;
    if (event->kind != CLV_TRAINER_STEP && event->kind != CLV_TRAINER_EPOCH &&
        event->kind != CLV_TRAINER_SKIPPED)
        return NULL;
    object = clv_json_object();
    clv_json_put_string(object, "type",
                        event->kind == CLV_TRAINER_STEP    ? "step"
                        : event->kind == CLV_TRAINER_EPOCH ? "epoch"
                                                           : "skipped");
    clv_json_put_integer(object, "epoch", event->epoch + 1);
    clv_json_put_integer(object, "step", event->step);
    if (event->kind == CLV_TRAINER_SKIPPED) {
        clv_json_put_string(object, "clip", name ? name : "");
        clv_json_put_string(object, "message", event->message ? event->message : "");
        clv_json_put_bool(object, "validation", event->is_validation);
        return object;
    }
    put_training(object, event);
    clv_json_put_integer(object, "clips", event->clip_count);
    if (event->kind == CLV_TRAINER_EPOCH)
        clv_json_put_integer(object, "skipped", event->skipped_count);
    if (event->kind == CLV_TRAINER_EPOCH && event->validation)
        put_validation(object, event);
    return object;
}

int clv_journal_event(struct clv_journal *journal, const struct clv_trainer_event *event,
                      const char *name)
{
    struct clv_json *object = clv_journal_json(event, name);
    return object ? clv_journal_note(journal, object) : CLV_OK;
}

int clv_journal_close(struct clv_journal *journal)
{
    if (!journal)
        return CLV_OK;
    int status = journal->status;
    if (close(journal->descriptor) != 0 && status == CLV_OK)
        status = clv_fail_errno("cannot write '%s'", journal->path);
    clv_bytes_release(&journal->line);
    free(journal->path);
    free(journal);
    return status;
}
