/* Clips for training in memory: a square that moves in one of eight directions over noise. A frame,
 * or a bag of frames, does not tell a direction from its opposite. */
#ifndef CLV_TESTS_MODEL_SQUARES_H
#define CLV_TESTS_MODEL_SQUARES_H

#include "core/model/clips.h"
#include "core/model/config.h"

#include <stdatomic.h>
#include <stdint.h>

enum { SQUARE_CLASSES = 8, SQUARE_PROMPTS = 2, SQUARE_FRAME_MAX = 16, SQUARE_READERS = 4 };

struct squares {
    struct clv_clips clips;
    int side; /* of the pictures */
    uint64_t seed;
    int broken;       /* this clip cannot be read; -1: none */
    atomic_int reads; /* of clips so far */
    /* Readers that two threads used at once, against the rule. */
    atomic_int collisions, in_use[SQUARE_READERS];
    uint8_t *pixels; /* [SQUARE_READERS, SQUARE_FRAME_MAX, side * side * 3] */
    int32_t *classes, *sentence_starts;
    const char **sentences;
};

/* Clips number 0 … clip_count - 1 of a seed, drawn when read; with a sentence each where asked. One
 * reader; clips.reader_count may be set to SQUARE_READERS at most, and some reads then take longer
 * than others. False where memory is short. */
bool squares_create(struct squares *out, int clip_count, int side, uint64_t seed,
                    bool with_sentences);
void squares_release(struct squares *squares);

/* [SQUARE_PROMPTS, SQUARE_CLASSES] */
extern const char *const square_prompts[SQUARE_PROMPTS * SQUARE_CLASSES];

/* A network for them: patches of `patch`, `width` columns, so many blocks and frames; a temporal
 * branch of `temporal_layers` blocks, or none where that is 0. Its vocabulary is the byte-level
 * one. */
void square_network(struct clv_model_config *out, int side, int patch, int width, int layers,
                    int temporal_layers, int frame_count, enum clv_mask mask);

#endif
