/* Words for a clip: sentences that say what is seen, and the interpretive prompts of a class. */
#ifndef CLV_TESTS_STAGE_TEXT_H
#define CLV_TESTS_STAGE_TEXT_H

#include "cli/stage/stage.h"
#include "core/bytes.h"

/* What a sentence states of a clip besides its action. Where it does not, retrieval must not ask
 * for it. */
struct stage_sentence {
    char text[320];
    bool says_actor, says_clothes, says_object, says_place;
};

/* The sentence number `index` about `clip`. Frames of sentences are of the clip's split alone. */
void stage_sentence(struct stage_sentence *out, const struct stage_clip *clip, int index);
/* Frames of a split, with {S} subject, {V} verb, {G} gerund, {P} place; NULL after the last. */
const char *stage_frame_at(enum stage_split split, int index);

/* "man", "man and woman", "" where nobody is seen. */
void stage_clip_actor(char *out, size_t size, const struct stage_clip *clip);
/* "red coat", "red coat and blue shirt"; "red" for a robot. */
void stage_clip_clothes(char *out, size_t size, const struct stage_clip *clip);
/* "red ball", "" for none. */
void stage_clip_object(char *out, size_t size, const struct stage_clip *clip);

enum stage_prompt_kind { STAGE_DECOMPOSITION, STAGE_BODY, STAGE_SYNONYMS, STAGE_PROMPT_KINDS };
enum { STAGE_PROMPTS = 5 }; /* of each kind for a class */
/* Appends the text of one interpretive prompt. */
void stage_prompt(struct clv_bytes *out, int action, enum stage_prompt_kind kind, int index);

/* Appends the verb phrase `phrase` with its first word as a gerund ("sitting down") or in the third
 * person ("sits down"). */
void stage_gerund(struct clv_bytes *out, const char *phrase);
void stage_third_person(struct clv_bytes *out, const char *phrase);

#endif
