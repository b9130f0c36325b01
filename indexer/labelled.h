/* Labelled footage as a trainer's source of clips: frames are decoded as they are asked for. */
#ifndef CLV_INDEXER_LABELLED_H
#define CLV_INDEXER_LABELLED_H

#include "core/media/decoder.h"
#include "core/model/clips.h"
#include "indexer/labels.h"

struct clv_labelled;

struct clv_labelled_options {
    int reader_count;                  /* clips that may be read at once [1] */
    int thread_count;                  /* of each one's decoder; 0: all cores */
    const struct clv_decoder *decoder; /* must stay; NULL: the CPU. Frames are the same */
};

/* The clips of a list whose place in `is_in` [labels->count] is `wanted`; NULL: all. The list must
 * stay. Of a clip only the T frames asked for are kept, at their full size unless that is above 256
 * MiB (then both sides are divided by the smallest whole number that suits); a clip longer than a
 * minute is read by seeking, where frames are counted by the frame rate, others are decoded up to
 * the last frame needed. */
int clv_labelled_create(struct clv_labelled **out, const struct clv_labels *labels,
                        const bool *is_in, bool wanted, const struct clv_labelled_options *options);
void clv_labelled_free(struct clv_labelled *labelled);

/* Keeps decoded clips in memory, of at most `limit_bytes`: whole clips of up to a minute, first
 * come first kept. What is read is the same with and without. Call it before the first read. */
int clv_labelled_keep(struct clv_labelled *labelled, size_t limit_bytes);

/* Of which other clips each sentence is true, by a table that has all of them (captions.h), which
 * must stay. Clips and sentences it does not have are true of nothing but each other. */
struct clv_captions;
int clv_labelled_set_truth(struct clv_labelled *labelled, const struct clv_captions *captions);

/* The source, valid as long as `labelled` is. */
const struct clv_clips *clv_labelled_clips(const struct clv_labelled *labelled);
/* The row of the list that clip `clip` of the source is. */
const struct clv_label *clv_labelled_row(const struct clv_labelled *labelled, int clip);

#endif
