/* A folder of films with everything that is written about them:
 *
 *     clips/000000.mp4 …      the films
 *     labels.csv              path,label,start,end: label as `name` in classes.csv, seconds
 *     classes.csv             id,name
 *     pairs.csv               action,reversal: names of classes that are each other's reversal
 *     captions.tsv            path, sentence, and what the sentence states: action, actor, clothes,
 *                             object, place (empty where it does not); tab-separated, with a header
 *     clips.jsonl             one line a film: everything it shows, its seed, how it is coded
 *     action_decomposition.csv, body.csv, synonyms.csv
 *                             interpretive prompts, id;name, five for each class
 *
 * Paths are relative to the folder. classes.csv, pairs.csv and the prompts hold the chosen actions
 * alone. */
#ifndef CLV_TESTS_STAGE_DATASET_H
#define CLV_TESTS_STAGE_DATASET_H

#include "cli/stage/stage.h"

enum { STAGE_ACTIONS_MAX = 256 };

struct stage_dataset_options {
    uint64_t seed;
    enum stage_split split;
    int clip_count;     /* actions in turns */
    int sentence_count; /* for each clip */
    int width, height;  /* 0: varied */
    int frame_rate;     /* 0: varied */
    int group;          /* frames from one intra picture to the next; 0: 1 */
    int action_count;
    int actions[STAGE_ACTIONS_MAX];
};

/* All actions, one clip of each, two sentences for each clip. */
void stage_dataset_defaults(struct stage_dataset_options *out);
/* The clip number `index` of such a folder. Reversals with one seed are each other's reversal: as
 * many rounds of all the actions as there are clips, a seed a round. */
void stage_dataset_clip(struct stage_clip *out, const struct stage_dataset_options *options,
                        int index);
/* Writes the folder; `progress` (may be NULL) is called after each film. */
int stage_dataset_write(const char *directory, const struct stage_dataset_options *options,
                        void (*progress)(int done, int count));

#endif
