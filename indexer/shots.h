/* Few-shot splits of a list of labelled clips, and writing the parts down as lists. */
#ifndef CLV_INDEXER_SHOTS_H
#define CLV_INDEXER_SHOTS_H

#include "indexer/labels.h"

#include <stdint.h>

enum clv_part {
    CLV_PART_TEST,
    CLV_PART_TRAINING,
    CLV_PART_NEITHER, /* of a group that is trained on, but not trained on itself */
};

/* Chooses `shots` clips of each class for training, by `seed`; the rest is the test: parts_out
 * [labels->count]. Where the list was read with a column of groups (source videos, people), no
 * group is on both sides: groups come in a random order, the same for all classes, and a class
 * takes clips of as many of them as it needs. Classes without clips do not matter. CLV_EINVAL
 * names a class that has too few clips for training or none left for the test. */
int clv_labels_shots(enum clv_part *parts_out, const struct clv_labels *labels, int shots,
                     uint64_t seed);

/* Writes the clips of one part as a list that clv_labels_open() reads from anywhere: absolute
 * paths, names of classes, times, and groups under `group_column` (may be NULL). Replaces the file
 * atomically. */
int clv_labels_write(const char *path, const struct clv_labels *labels, const enum clv_part *parts,
                     enum clv_part part, const char *group_column);

#endif
