/* From what an action is called, or a person types, to the sentences the text branch is given
 * (claver.md 3). */
#ifndef CLV_CORE_MODEL_PROMPTS_H
#define CLV_CORE_MODEL_PROMPTS_H

#include "core/bytes.h"

/* CLAVER's 16 plain templates, each with one "{}". */
extern const char *const clv_prompt_templates[];
extern const int clv_prompt_template_count;

/* Fills the template's "{}" with `text` into `out` (cleared first). Leading and trailing white
 * space of `text` is dropped; so is a final full stop where the template ends in one. */
int clv_prompt_fill(struct clv_bytes *out, const char *prompt_template, const char *text);

#endif
