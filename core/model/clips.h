/* Where a trainer gets its clips from. Knows nothing of files: a source numbers its clips, says of
 * what class each is and which sentences describe it, and gives their frames when asked. */
#ifndef CLV_CORE_MODEL_CLIPS_H
#define CLV_CORE_MODEL_CLIPS_H

#include "core/image.h"

#include <stdbool.h>
#include <stdint.h>

/* Which frames of a clip of F frames are wanted. */
struct clv_clip_request {
    int clip;         /* 0 … clip_count - 1 */
    int frame_count;  /* T */
    bool is_training; /* one random frame of each of T equal segments; else their middles, the
                       * same every time (claver.md 2.1) */
    uint64_t seed;    /* of the random choice: the same seed, the same frames */
    int reader;       /* which of the source's readers is to read: 0 … reader_count - 1 */
};

/* Fills images_out[T]. The pixels stay the source's and are valid until this reader's next read. A
 * failure other than CLV_ENOMEM and CLV_ECANCELED means that this clip is broken: it is left out,
 * counted, and named with the message recorded. */
typedef int clv_clips_read(void *payload, struct clv_image *images_out,
                           const struct clv_clip_request *request);

/* Everything is borrowed and must stay and not change while it is in use. A reader serves one
 * thread at a time, though not always the same one; what it gives does not depend on the others. */
struct clv_clips {
    void *payload;
    clv_clips_read *read;
    int reader_count; /* that may read at once; 0 counts as 1 */
    int clip_count;

    int class_count;                /* C; 0: clips have sentences only */
    const char *const *class_names; /* [C] */
    const int32_t *classes;         /* [clip_count], each in 0 … C - 1 */
    /* [C]: clips of these classes are not mirrored. NULL: those whose names say left or right. */
    const bool *keeps_side;

    /* [C]: the class that each is when time runs backwards, -1 where there is none. Validation then
     * says how well the two are told apart. NULL: not known. */
    const int32_t *opposites;

    /* Sentences of clip i are sentences[sentence_starts[i] … sentence_starts[i + 1] - 1], at least
     * one a clip where there are any; NULL: there are none. Clips whose sentence in use says left
     * or right are not mirrored. */
    const char *const *sentences;
    const int32_t *sentence_starts; /* [clip_count + 1] */
    /* Whether a sentence (an index of `sentences`) is true of another clip too, so that training
     * does not push the two apart. NULL: only where one of that clip's own says exactly the same.
     */
    bool (*is_true_of)(void *payload, int sentence, int clip);

    /* What a clip is called in messages. NULL: "clip 12". */
    const char *(*name)(void *payload, int clip);
};

/* How many may read at once: 1 or more. */
int clv_clips_reader_count(const struct clv_clips *clips);

/* Whether numbers and tables make sense: CLV_EINVAL naming what does not. */
int clv_clips_check(const struct clv_clips *clips);

#define CLV_CLIP_NAME_SIZE 256
/* What a clip is called, in `out`, which is returned. */
const char *clv_clips_name(char out[CLV_CLIP_NAME_SIZE], const struct clv_clips *clips, int clip);

/* Whether a sentence is true of a clip: its own always are. */
bool clv_clips_is_true(const struct clv_clips *clips, int sentence, int clip);

/* Whether clips of a class must not be mirrored. */
bool clv_clips_class_keeps_side(const struct clv_clips *clips, int32_t class_index);

#endif
