/* The plain templates, spelled as published ("a example" too). */
#include "core/model/prompts.h"

#include "core/error.h"
#include "core/unicode.h"

#include <stdint.h>
#include <string.h>

const char *const clv_prompt_templates[] = {
    "{}",
    "a video of {}.",
    "a video of a person {}.",
    "a example of {}.",
    "a example of a person {}.",
    "a demonstration of {}.",
    "a demonstration of a person {}.",
    "Human action of {}.",
    "{}, an action.",
    "{} this is an action.",
    "{}, a video of action.",
    "Playing action of {}.",
    "Playing a kind of action, {}",
    "Doing a kind of action, {}",
    "Look, the human is {}",
    "Video classification of {}",
};
const int clv_prompt_template_count = sizeof clv_prompt_templates / sizeof *clv_prompt_templates;

/* Bytes of the white space `text` begins with. */
static size_t space_at_start(const char *text, size_t size)
{
    size_t at = 0, taken;
    uint32_t code_point;
    while ((taken = clv_unicode_decode(&code_point, text + at, size - at)) &&
           clv_unicode_is_space(code_point))
        at += taken;
    return at;
}

/* `size` less the white space `text` ends with. */
static size_t without_space_at_end(const char *text, size_t size)
{
    while (size > 0) {
        size_t last = size - 1;
        uint32_t code_point;
        while (last > 0 && ((unsigned char)text[last] & 0xc0) == 0x80)
            last--;
        if (clv_unicode_decode(&code_point, text + last, size - last) != size - last ||
            !clv_unicode_is_space(code_point))
            break;
        size = last;
    }
    return size;
}

int clv_prompt_fill(struct clv_bytes *out, const char *prompt_template, const char *text)
{
    clv_bytes_clear(out);
    const char *place = strstr(prompt_template, "{}");
    if (!place)
        return clv_fail(CLV_EINVAL, "the prompt template '%s' has no {}", prompt_template);
    size_t size = strlen(text);
    size_t skipped = space_at_start(text, size);
    text += skipped;
    size = without_space_at_end(text, size - skipped);
    size_t template_size = strlen(prompt_template);
    if (size > 0 && text[size - 1] == '.' && prompt_template[template_size - 1] == '.')
        size = without_space_at_end(text, size - 1);
    clv_bytes_add(out, prompt_template, (size_t)(place - prompt_template));
    clv_bytes_add(out, text, size);
    clv_bytes_text(out, place + 2);
    return out->status;
}
