/* Lists of labelled clips, read and checked as a whole before anything is done with them. */
#ifndef CLV_INDEXER_LABELS_H
#define CLV_INDEXER_LABELS_H

#include "indexer/classes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_label {
    char *path;          /* of the footage, from the list's own directory on where it is relative */
    char *name;          /* the path as it stands in the list */
    int32_t class_index; /* -1: the list has no labels */
    int64_t start_ms, end_ms; /* -1: from the beginning, to the end */
    size_t line;
    int32_t sentence_first, sentence_count; /* in clv_labels.sentences */
    char *group;                            /* the cell of the column asked for; NULL */
};

struct clv_labels {
    char *path;
    struct clv_label *rows;
    int count;
    char **sentences;
    int sentence_count;
    struct clv_classes classes; /* count 0: there are none */
};

struct clv_labels_options {
    /* The classes that labels name. NULL: the labels that occur, sorted by name. */
    const char *classes_path;
    const struct clv_classes *classes; /* already read, in place of the path; NULL */
    /* A table of paths and sentences about them, several for a path if need be; or the list itself,
     * where each row's sentence is that row's. Where it is named the list needs no labels, but
     * every clip a sentence. NULL: none are wanted. */
    const char *captions_path;
    const char *group_column; /* NULL: none is wanted */
    bool ignores_labels;      /* the list may have none, and a column of them is not looked at */
};

/* Reads a table with a column for the footage (path, file, video, filename or clip) and one for
 * its class (label, class, action or name), by name or id; and, if it has them, start and end in
 * seconds ("1:02.5" too). Without a header: these columns in this order. Lines "PATH LABEL" with a
 * blank between them are understood as well. Whether footage exists is not looked at.
 *
 * CLV_EINVAL names file, line and what is wrong; labels that no class has are named together.
 * Release also after a failure. */
int clv_labels_open(struct clv_labels *out, const char *path,
                    const struct clv_labels_options *options);
void clv_labels_release(struct clv_labels *labels);

/* Marks rows that are held out of training: of every class about the share `fraction`, at least one
 * of each that has two, chosen by `seed`; held_out [count]. CLV_EINVAL where that leaves nothing on
 * one side. */
int clv_labels_hold_out(bool *held_out, const struct clv_labels *labels, double fraction,
                        uint64_t seed);
/* Or those whose group is `group`. CLV_EINVAL where that is none, or all. */
int clv_labels_hold_out_group(bool *held_out, const struct clv_labels *labels, const char *group);

#endif
