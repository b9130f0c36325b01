/* The templates as published, and filling them. */
#include "core/error.h"
#include "core/model/prompts.h"
#include "tests/t.h"

#include <string.h>

static void check_fill(const char *prompt_template, const char *text, const char *want)
{
    struct clv_bytes out = {0};
    clv_bytes_text(&out, "what was there");
    CHECK_OK(clv_prompt_fill(&out, prompt_template, text));
    CHECK_STRING(out.data, want);
    CHECK_INT(out.size_bytes, strlen(want));
    clv_bytes_release(&out);
}

static void there_are_sixteen_templates(void)
{
    CHECK_INT(clv_prompt_template_count, 16);
    for (int i = 0; i < clv_prompt_template_count; i++) {
        const char *place = strstr(clv_prompt_templates[i], "{}");
        REQUIRE(place != NULL);
        CHECK(strstr(place + 2, "{}") == NULL);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(clv_prompt_templates[i], clv_prompt_templates[j]) != 0);
    }
    CHECK_STRING(clv_prompt_templates[0], "{}");
    CHECK_STRING(clv_prompt_templates[4], "a example of a person {}.");
    CHECK_STRING(clv_prompt_templates[9], "{} this is an action.");
    CHECK_STRING(clv_prompt_templates[15], "Video classification of {}");
}

static void fills_the_place(void)
{
    check_fill("{}", "riding a bike", "riding a bike");
    check_fill("a video of {}.", "riding a bike", "a video of riding a bike.");
    check_fill("{}, an action.", "", ", an action.");
    check_fill("{}", "{}", "{}"); /* the text is not a template */
    check_fill("a {} b", "%s {}", "a %s {} b");
}

static void drops_outer_space_and_a_doubled_stop(void)
{
    check_fill("a video of {}.", " \t riding  a bike\n", "a video of riding  a bike.");
    check_fill("{}", "\xc2\xa0\xe3\x80\x80run\xe2\x80\x83", "run"); /* Unicode's spaces */
    check_fill("a video of {}.", "He runs.", "a video of He runs.");
    check_fill("a video of {}.", "He runs .\n", "a video of He runs.");
    check_fill("Look, the human is {}", "He runs.", "Look, the human is He runs.");
    check_fill("a video of {}.", ".", "a video of .");
    check_fill("{}", "", "");
    check_fill("{}", " ", "");
    check_fill("{}", "caf\xc3\xa9 ", "caf\xc3\xa9");
    check_fill("{}", "cut \x80", "cut \x80"); /* not UTF-8: left to the tokenizer */
}

static void refuses_a_template_without_place(void)
{
    struct clv_bytes out = {0};
    CHECK_ERROR(clv_prompt_fill(&out, "a video.", "x"), CLV_EINVAL, "'a video.' has no {}");
    CHECK_ERROR(clv_prompt_fill(&out, "", "x"), CLV_EINVAL, "has no {}");
    CHECK_INT(out.size_bytes, 0);
    clv_bytes_release(&out);
}

int main(void)
{
    T_RUN(there_are_sixteen_templates);
    T_RUN(fills_the_place);
    T_RUN(drops_outer_space_and_a_doubled_stop);
    T_RUN(refuses_a_template_without_place);
    return t_end();
}
