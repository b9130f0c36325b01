/* What a training run writes down as it goes, one JSON object a line, and reads again for its
 * report. Each object has a "type": "start", "step", "epoch", "skipped", and, except for the first,
 * the "step" it belongs to. */
#ifndef CLV_INDEXER_JOURNAL_H
#define CLV_INDEXER_JOURNAL_H

#include "core/model/trainer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_journal;
struct clv_json;

/* A new file in place of an old one; or, with `step` >= 0, the old one less what it says of later
 * steps, which are done again. */
int clv_journal_open(struct clv_journal **out, const char *path, int64_t step);
/* One line, at once. Takes `object` over. */
int clv_journal_note(struct clv_journal *journal, struct clv_json *object);
/* What the trainer says; `name` is that of the clip of a SKIPPED event. Files and progress within
 * a validation are no lines. */
int clv_journal_event(struct clv_journal *journal, const struct clv_trainer_event *event,
                      const char *name);
/* CLV_EIO where something could not be written. Accepts NULL. */
int clv_journal_close(struct clv_journal *journal);

/* The event as JSON, of the type given; NULL where it is of no interest to programs. */
struct clv_json *clv_journal_json(const struct clv_trainer_event *event, const char *name);

struct clv_history_step {
    int64_t step;
    double loss, lr;
};

struct clv_history_epoch {
    int epoch; /* from 1 */
    int64_t step;
    double loss;
    bool is_validated;
    double validation_loss, top1, top5, recall1, recall5, recall10, median_rank;
    int class_clips, sentences; /* validated by class and by sentence */
};

struct clv_history_skip {
    char *name, *message;
};

struct clv_history {
    struct clv_history_step *steps;
    struct clv_history_epoch *epochs;
    struct clv_history_skip *skips;
    size_t step_count, epoch_count, skip_count;
};

/* Lines of other types are passed over, and so is a last line that was cut off. Release also after
 * a failure. */
int clv_history_read(struct clv_history *out, const char *path);
void clv_history_release(struct clv_history *history);

#endif
