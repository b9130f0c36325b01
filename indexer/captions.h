/* Sentences about footage, and of which clips each is true: what retrieval is measured with. */
#ifndef CLV_INDEXER_CAPTIONS_H
#define CLV_INDEXER_CAPTIONS_H

#include "indexer/labels.h"

#include <stdbool.h>
#include <stdint.h>

struct clv_captions {
    /* A row a line of the table: footage and times, without classes. A clip is a file, or the part
     * of one between two times; clip c is the row clip_rows[c], the first that names it. */
    struct clv_labels labels;
    int32_t *clip_rows; /* [clip_count] ascending */
    bool *is_first;     /* [labels.count] whether the row is a clip's first */
    int clip_count;
    /* The different sentences in order of appearance. Sentence q is true of the clips
     * right[right_starts[q] … right_starts[q + 1]), ascending. */
    char **sentences;
    int32_t *right_starts; /* [sentence_count + 1] */
    int32_t *right;
    int sentence_count;
    int without_facts_count; /* clips about which the table of facts says nothing */
};

struct clv_captions_options {
    /* What is true of each clip: a table, or JSON lines, with a path and the columns that the
     * captions have beside path and sentence, where they say what the sentence states (nothing
     * where it does not). A sentence is then true of every clip whose facts agree with all it
     * states. NULL: a sentence is true of the clips that it stands beside. */
    const char *facts_path;
    /* Which of these columns count, with commas between them; NULL: all. */
    const char *match;
};

/* Reads a table with columns for footage (path, file, video, filename or clip) and sentence (or
 * caption, text, description), and, if it has them, start and end in seconds; the same file and
 * the same sentence may stand in it many times. Without a header: path and sentence. Whether
 * footage exists is not looked at. CLV_EINVAL and CLV_ECORRUPT name file and line. Release also
 * after a failure. */
int clv_captions_open(struct clv_captions *out, const char *path,
                      const struct clv_captions_options *options);
void clv_captions_release(struct clv_captions *captions);

/* Whether sentence `sentence` is true of clip `clip`. */
bool clv_captions_is_right(const struct clv_captions *captions, int sentence, int clip);

#endif
