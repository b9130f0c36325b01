/* The stage's words: sentences say what the clip shows and nothing else; the files parse. */
#include "tests/t.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/media/reader.h"
#include "tests/stage/dataset.h"
#include "tests/stage/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        char before = at > text ? at[-1] : ' ', after = at[length];
        if (before == ' ' && (after == ' ' || after == 0))
            return true;
    }
    return false;
}

static bool names_a_hue(const char *text)
{
    for (int i = 0; i < STAGE_HUES; i++)
        if (has_word(text, stage_hue_name((enum stage_hue)i)))
            return true;
    return false;
}

static bool names_an_actor(const char *text)
{
    static const char *const words[] = {"man", "guy",  "gentleman", "woman",  "lady",
                                        "boy", "girl", "robot",     "android"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (has_word(text, words[i]))
            return true;
    return false;
}

static bool names_a_place(const char *text)
{
    for (int i = 0; i < STAGE_PLACE_KINDS; i++)
        if (has_word(text, stage_place_name((enum stage_place_kind)i)))
            return true;
    return false;
}

static void check_sentence(const struct stage_clip *clip, const struct stage_sentence *sentence)
{
    const char *text = sentence->text;
    bool is_alone = stage_action_at(clip->action)->flags & STAGE_ALONE;
    CHECK(strlen(text) > 2 && strlen(text) + 1 < sizeof sentence->text);
    CHECK(!strpbrk(text, "{}\t\n|") && !strstr(text, "  "));
    CHECK(text[0] != ' ' && text[strlen(text) - 1] != ' ');
    CHECK(sentence->says_actor == names_an_actor(text));
    CHECK(sentence->says_place == names_a_place(text));
    if (sentence->says_place)
        CHECK(has_word(text, stage_place_name(clip->place)));
    if (sentence->says_clothes) {
        CHECK(!is_alone && has_word(text, stage_hue_name(clip->actors[0].hue)));
        const char *garment = stage_garment_name(clip->actors[0].garment);
        CHECK(!garment[0] || has_word(text, garment));
    }
    if (sentence->says_object) {
        CHECK(has_word(text, stage_hue_name(clip->hue)));
        CHECK(has_word(text, stage_prop_name(clip->prop)));
    }
    CHECK((sentence->says_clothes || sentence->says_object) == names_a_hue(text));
    if (t_failed())
        printf("of \"%s\"\n", text);
}

static void sentences_say_what_is_seen(void)
{
    for (int action = 0; action < stage_action_count() && !t_failed(); action++)
        for (int k = 0; k < 60 && !t_failed(); k++) {
            struct stage_clip clip;
            struct stage_sentence sentence;
            stage_draw_clip(&clip, (uint64_t)k, (enum stage_split)(k % STAGE_SPLITS), action);
            stage_sentence(&sentence, &clip, k);
            check_sentence(&clip, &sentence);
        }
}

static void sentences_vary(void)
{
    struct stage_clip clip;
    struct stage_sentence sentences[40];
    int different = 0;
    stage_draw_clip(&clip, 5, STAGE_TRAIN, stage_action_find("pick up"));
    for (int i = 0; i < 40; i++) {
        bool is_new = true;
        stage_sentence(&sentences[i], &clip, i);
        for (int j = 0; j < i; j++)
            is_new = is_new && strcmp(sentences[i].text, sentences[j].text) != 0;
        different += is_new;
    }
    CHECK(different >= 35);
    struct stage_sentence again;
    stage_sentence(&again, &clip, 3);
    CHECK_STRING(again.text, sentences[3].text);
}

/* No frame of a split is one of another; all their words are known from training. */
static void frames_of_splits_are_disjoint(void)
{
    char words[1024] = " ";
    for (int i = 0; stage_frame_at(STAGE_TRAIN, i); i++) {
        strncat(words, stage_frame_at(STAGE_TRAIN, i), sizeof words - strlen(words) - 1);
        strncat(words, " ", sizeof words - strlen(words) - 1);
    }
    for (int split = STAGE_VALIDATION; split < STAGE_SPLITS; split++) {
        int count = 0;
        for (int i = 0; stage_frame_at((enum stage_split)split, i); i++, count++) {
            const char *frame = stage_frame_at((enum stage_split)split, i);
            for (int other = 0; other < split; other++)
                for (int j = 0; stage_frame_at((enum stage_split)other, j); j++)
                    CHECK(strcmp(frame, stage_frame_at((enum stage_split)other, j)) != 0);
            while (*frame) {
                char word[64];
                int length = (int)strcspn(frame, " ");
                snprintf(word, sizeof word, "%.*s", length, frame);
                if (!has_word(words, word))
                    t_fail(__FILE__, __LINE__, "'%s' is in no training sentence", word);
                frame += length + (frame[length] == ' ');
            }
        }
        CHECK(count >= 3);
    }
}

static void check_forms(const char *phrase, const char *gerund, const char *third)
{
    struct clv_bytes text = {0};
    stage_gerund(&text, phrase);
    CHECK_STRING(text.data, gerund);
    clv_bytes_clear(&text);
    stage_third_person(&text, phrase);
    CHECK_STRING(text.data, third);
    clv_bytes_release(&text);
}

static void verbs_are_inflected(void)
{
    check_forms("sit down", "sitting down", "sits down");
    check_forms("lie down", "lying down", "lies down");
    check_forms("take a seat", "taking a seat", "takes a seat");
    check_forms("be seated", "being seated", "is seated");
    check_forms("push it", "pushing it", "pushes it");
    check_forms("catch a ball", "catching a ball", "catches a ball");
    check_forms("carry", "carrying", "carries");
    check_forms("play a drum", "playing a drum", "plays a drum");
    check_forms("have a drink", "having a drink", "has a drink");
    check_forms("go away", "going away", "goes away");
    check_forms("high-five", "high-fiving", "high-fives");
    check_forms("squat down low", "squatting down low", "squats down low");
}

/* Calls for lines of a file, split at `separator`; returns the number of lines. */
static int check_table(const char *path, char separator, int columns)
{
    struct clv_map map;
    int lines = 0, fields = 1;
    if (clv_map_open(&map, path) != CLV_OK)
        return -1;
    for (size_t i = 0; i < map.size_bytes; i++) {
        fields += map.data[i] == (unsigned char)separator;
        if (map.data[i] != '\n')
            continue;
        CHECK_INT(fields, columns);
        fields = 1;
        lines++;
    }
    clv_map_release(&map);
    return lines;
}

static bool begins_with(const char *path, const char *text)
{
    struct clv_map map;
    if (clv_map_open(&map, path) != CLV_OK)
        return false;
    bool does = map.size_bytes >= strlen(text) && memcmp(map.data, text, strlen(text)) == 0;
    clv_map_release(&map);
    return does;
}

static void check_facts(const char *directory, int count)
{
    struct clv_map map;
    int lines = 0;
    REQUIRE_OK(clv_map_open(&map, t_path(directory, "clips.jsonl")));
    for (size_t at = 0; at < map.size_bytes; lines++) {
        const unsigned char *end = memchr(map.data + at, '\n', map.size_bytes - at);
        size_t size = end ? (size_t)(end - map.data) - at : map.size_bytes - at;
        struct clv_json *line;
        REQUIRE_OK(clv_json_parse(&line, (const char *)map.data + at, size, "clips.jsonl"));
        const char *path = clv_json_string(clv_json_get(line, "path"), NULL, "");
        const char *action = clv_json_string(clv_json_get(line, "action"), NULL, "");
        int64_t frames = clv_json_integer(clv_json_get(line, "frames"), -1), seen = 0;
        CHECK(stage_action_find(action) >= 0);
        struct clv_reader *reader;
        struct clv_frame frame;
        REQUIRE_OK(
            clv_reader_open(&reader, t_path(directory, path), &(struct clv_reader_options){0}));
        while (clv_reader_next(reader, &frame) == CLV_OK)
            seen++;
        clv_reader_close(reader);
        CHECK_INT(seen, frames);
        clv_json_free(line);
        at += size + 1;
    }
    CHECK_INT(lines, count);
    clv_map_release(&map);
}

static void dataset_holds_what_it_says(void)
{
    struct stage_dataset_options options;
    const char *directory = t_path(t_directory(), "set");
    stage_dataset_defaults(&options);
    options.action_count = 4;
    options.clip_count = 6;
    options.sentence_count = 3;
    options.split = STAGE_TEST;
    REQUIRE_OK(stage_dataset_write(directory, &options, NULL));
    CHECK_INT(check_table(t_path(directory, "labels.csv"), ',', 4), 1 + 6);
    CHECK_INT(check_table(t_path(directory, "classes.csv"), ',', 2), 1 + 4);
    CHECK_INT(check_table(t_path(directory, "captions.tsv"), '\t', 7), 1 + 6 * 3);
    CHECK(begins_with(t_path(directory, "labels.csv"), "path,label,start,end\nclips/000000."));
    CHECK(
        begins_with(t_path(directory, "classes.csv"), "id,name\n0,sitting down\n1,standing up\n"));
    static const char *const prompts[] = {"action_decomposition.csv", "body.csv", "synonyms.csv"};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(check_table(t_path(directory, prompts[i]), ';', 2), 1 + 5 * 4);
        CHECK(begins_with(t_path(directory, prompts[i]), "id;name\n0;"));
    }
    check_facts(directory, 6);
    CHECK_ERROR(stage_dataset_write("/dev/null/set", &options, NULL), CLV_EIO, "/dev/null");
}

/* All classes have five different prompts of each kind. */
static void prompts_are_complete(void)
{
    for (int action = 0; action < stage_action_count(); action++)
        for (int kind = 0; kind < STAGE_PROMPT_KINDS; kind++) {
            struct clv_bytes texts[STAGE_PROMPTS] = {{0}};
            for (int i = 0; i < STAGE_PROMPTS; i++) {
                stage_prompt(&texts[i], action, (enum stage_prompt_kind)kind, i);
                REQUIRE(texts[i].data && strlen(texts[i].data) > 3);
                CHECK(!strpbrk(texts[i].data, ";{}|\n\"ABCPT"));
                for (int j = 0; j < i; j++)
                    CHECK(strcmp(texts[i].data, texts[j].data) != 0);
            }
            for (int i = 0; i < STAGE_PROMPTS; i++)
                clv_bytes_release(&texts[i]);
        }
}

int main(void)
{
    T_RUN(sentences_say_what_is_seen);
    T_RUN(sentences_vary);
    T_RUN(frames_of_splits_are_disjoint);
    T_RUN(verbs_are_inflected);
    T_RUN(dataset_holds_what_it_says);
    T_RUN(prompts_are_complete);
    return t_end();
}
