/* Sentences: a frame of the split, filled with a subject, a verb phrase and a place. */
#include "tests/stage/text.h"

#include "cli/stage/random.h"

#include <stdio.h>
#include <string.h>

/* Every word of a held-out frame occurs in a frame of the training split: what is new in
 * validation and test is how they are put together. */
static const char *const frames[STAGE_SPLITS][14] = {
    {"{S} {V} {P}", "{S} {B} {G} {P}", "{P} {S} {V}", "{S} {G} {P}", "a video of {S} {G} {P}",
     "here {S} {V} {P}", "watch {S} {G} {P}", "this clip shows {S} {G} {P}",
     "a scene {P} where {S} {V}", "{S} can be seen {G} {P}", "there {B} {S} {G} {P}", "{G} {P}"},
    {"{P} there {B} {S} {G}", "a clip where {S} {V} {P}", "here there {B} {S} {G} {P}"},
    {"this video shows {S} {G} {P}", "here {B} {S} {G} {P}", "{P} {S} can be seen {G}",
     "a scene of {S} {G} {P}"},
};

const char *stage_frame_at(enum stage_split split, int index)
{
    return index < 14 ? frames[split][index] : NULL;
}

static const char *const nouns[STAGE_ACTOR_KINDS] = {
    "man|guy|man|gentleman", "woman|lady|woman", "boy|young boy|little boy",
    "girl|young girl|little girl", "robot|android|robot"};
static const char *const kinds[STAGE_ACTOR_KINDS] = {"man", "woman", "boy", "girl", "robot"};
static const char *const places[STAGE_PLACE_KINDS] = {
    "in the kitchen|in a kitchen",
    "on the street|in a street",
    "in the park|in a park",
    "in the office|in an office",
    "on the beach|at the beach",
    "in the gym|at the gym",
    "in the living room|in a living room",
    "in the snow|outside in the snow",
};

static int count_choices(const char *list)
{
    int count = 1;
    for (; *list; list++)
        count += *list == '|';
    return count;
}

/* Choice `index` of a list separated by '|'. */
static void add_choice(struct clv_bytes *out, const char *list, int index)
{
    while (index-- > 0)
        list += strcspn(list, "|") + 1;
    clv_bytes_add(out, list, strcspn(list, "|"));
}

static void add_random(struct clv_bytes *out, const char *list, struct stage_random *random)
{
    add_choice(out, list, stage_random_below(random, count_choices(list)));
}

static bool starts_with_vowel(const char *word)
{
    return strchr("aeiou", word[0]) != NULL;
}

/* What the prop is called, with its colour where `with_hue`. */
static void add_object(struct clv_bytes *out, const struct stage_clip *clip, bool with_hue)
{
    const char *name = stage_prop_name(clip->prop), *hue = stage_hue_name(clip->hue);
    bool is_plural = clip->prop == STAGE_CURTAINS;
    if (clip->prop == STAGE_GLASS)
        clv_bytes_format(out, with_hue ? "a glass of %s juice" : "a glass", hue);
    else if (is_plural)
        clv_bytes_format(out, "%s %s", with_hue ? hue : "the", name);
    else if (with_hue)
        clv_bytes_format(out, "%s %s %s", starts_with_vowel(hue) ? "an" : "a", hue, name);
    else
        clv_bytes_format(out, "%s %s", starts_with_vowel(name) ? "an" : "a", name);
}

static void add_actor(struct clv_bytes *out, const struct stage_actor *actor,
                      struct stage_random *random, bool with_clothes)
{
    struct clv_bytes noun = {0};
    add_random(&noun, nouns[actor->kind], random);
    const char *hue = stage_hue_name(actor->hue), *word = noun.data ? noun.data : "";
    bool is_robot = actor->kind == STAGE_ROBOT;
    if (is_robot && with_clothes)
        clv_bytes_format(out, "%s %s %s", starts_with_vowel(hue) ? "an" : "a", hue, word);
    else
        clv_bytes_format(out, "%s %s", starts_with_vowel(word) ? "an" : "a", word);
    if (!is_robot && with_clothes)
        clv_bytes_format(out, "%s %s %s %s", stage_random_chance(random, 0.5f) ? " in" : " wearing",
                         starts_with_vowel(hue) ? "an" : "a", hue,
                         stage_garment_name(actor->garment));
    clv_bytes_release(&noun);
}

/* True where the subject is plural. */
static bool add_subject(struct clv_bytes *out, struct stage_sentence *sentence,
                        const struct stage_clip *clip, struct stage_random *random)
{
    unsigned flags = stage_action_at(clip->action)->flags;
    if (flags & STAGE_ALONE) {
        add_object(out, clip, sentence->says_object);
        return false;
    }
    if (!sentence->says_actor) {
        static const char *const anyone = "someone|a person|somebody";
        if (flags & STAGE_TOGETHER)
            clv_bytes_text(out, "two people");
        else
            add_random(out, anyone, random);
        return flags & STAGE_TOGETHER;
    }
    add_actor(out, &clip->actors[0], random, sentence->says_clothes);
    if (!(flags & STAGE_TOGETHER))
        return false;
    clv_bytes_text(out, " and ");
    add_actor(out, &clip->actors[1], random, sentence->says_clothes);
    return true;
}

/* `text` with {o} replaced by `object`. */
static void add_with_object(struct clv_bytes *out, const char *text, const char *object)
{
    const char *slot = strstr(text, "{o}");
    if (!slot) {
        clv_bytes_text(out, text);
        return;
    }
    clv_bytes_add(out, text, (size_t)(slot - text));
    clv_bytes_text(out, object);
    clv_bytes_text(out, slot + 3);
}

struct slots {
    struct clv_bytes subject, verb, gerund, place;
    bool is_plural;
};

static void fill_frame(struct clv_bytes *out, const char *frame, const struct slots *slots)
{
    for (; *frame; frame++) {
        if (frame[0] != '{') {
            clv_bytes_add(out, frame, 1);
            continue;
        }
        const struct clv_bytes *slot = frame[1] == 'S'   ? &slots->subject
                                       : frame[1] == 'V' ? &slots->verb
                                       : frame[1] == 'G' ? &slots->gerund
                                                         : &slots->place;
        if (frame[1] == 'B')
            clv_bytes_text(out, slots->is_plural ? "are" : "is");
        else if (slot->data)
            clv_bytes_text(out, slot->data);
        frame += 2;
    }
}

/* Copies `text` without the spaces that empty slots left. */
static void tidy(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++)
        if (*text != ' ' || (n > 0 && out[n - 1] != ' '))
            out[n++] = *text;
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = 0;
}

static void choose_statements(struct stage_sentence *out, const struct stage_clip *clip,
                              struct stage_random *random)
{
    unsigned flags = stage_action_at(clip->action)->flags;
    bool has_actor = stage_random_chance(random, 0.85f),
         has_clothes = stage_random_chance(random, 0.7f);
    bool has_object = stage_random_chance(random, 0.75f),
         has_place = stage_random_chance(random, 0.75f);
    out->says_actor = has_actor && !(flags & STAGE_ALONE);
    out->says_clothes = has_clothes && out->says_actor;
    out->says_place = has_place;
    out->says_object = has_object && clip->prop != STAGE_NOTHING && clip->prop != STAGE_BLOCKS;
}

void stage_sentence(struct stage_sentence *out, const struct stage_clip *clip, int index)
{
    struct stage_random random =
        stage_random_seed(clip->chance, 9000 + 2 * (uint64_t)index + clip->is_reversed);
    const struct stage_action *row = stage_action_at(clip->action);
    *out = (struct stage_sentence){0};
    choose_statements(out, clip, &random);
    int count = 0;
    while (stage_frame_at(clip->split, count))
        count++;
    const char *frame = stage_frame_at(clip->split, stage_random_below(&random, count));
    bool is_bare = !strstr(frame, "{S}");
    if (is_bare && row->flags & (STAGE_ALONE | STAGE_TOGETHER)) {
        frame = stage_frame_at(clip->split, 0);
        is_bare = false;
    }
    if (is_bare)
        out->says_actor = out->says_clothes = false;
    struct slots slots = {0};
    struct clv_bytes phrase = {0}, object = {0}, verb = {0}, text = {0};
    slots.is_plural = add_subject(&slots.subject, out, clip, &random);
    add_object(&object, clip, out->says_object);
    add_random(&phrase, row->phrases, &random);
    if (!(row->flags & STAGE_ALONE) && phrase.data && !strstr(phrase.data, "{o}"))
        out->says_object = false;
    add_with_object(&verb, phrase.data ? phrase.data : "", object.data ? object.data : "");
    if (verb.data && slots.is_plural)
        clv_bytes_text(&slots.verb, verb.data);
    else if (verb.data)
        stage_third_person(&slots.verb, verb.data);
    if (verb.data)
        stage_gerund(&slots.gerund, verb.data);
    if (out->says_place)
        add_random(&slots.place, places[clip->place], &random);
    fill_frame(&text, frame, &slots);
    tidy(out->text, sizeof out->text, text.data ? text.data : "");
    struct clv_bytes *all[] = {&slots.subject, &slots.verb, &slots.gerund, &slots.place,
                               &phrase,        &object,     &verb,         &text};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        clv_bytes_release(all[i]);
}

void stage_clip_actor(char *out, size_t size, const struct stage_clip *clip)
{
    unsigned flags = stage_action_at(clip->action)->flags;
    if (flags & STAGE_ALONE)
        out[0] = 0;
    else if (flags & STAGE_TOGETHER)
        snprintf(out, size, "%s and %s", kinds[clip->actors[0].kind], kinds[clip->actors[1].kind]);
    else
        snprintf(out, size, "%s", kinds[clip->actors[0].kind]);
}

static int dress(char *out, size_t size, const struct stage_actor *actor)
{
    return snprintf(out, size, "%s%s%s", stage_hue_name(actor->hue),
                    actor->kind == STAGE_ROBOT ? "" : " ", stage_garment_name(actor->garment));
}

void stage_clip_clothes(char *out, size_t size, const struct stage_clip *clip)
{
    unsigned flags = stage_action_at(clip->action)->flags;
    char first[64], second[64];
    dress(first, sizeof first, &clip->actors[0]);
    dress(second, sizeof second, &clip->actors[1]);
    if (flags & STAGE_ALONE)
        out[0] = 0;
    else if (flags & STAGE_TOGETHER)
        snprintf(out, size, "%s and %s", first, second);
    else
        snprintf(out, size, "%s", first);
}

void stage_clip_object(char *out, size_t size, const struct stage_clip *clip)
{
    out[0] = 0;
    if (clip->prop != STAGE_NOTHING)
        snprintf(out, size, "%s %s", stage_hue_name(clip->hue), stage_prop_name(clip->prop));
}

/* The object as a prompt names it: by kind where there is but one. */
static void add_any_object(struct clv_bytes *out, unsigned props)
{
    struct stage_clip clip = {0};
    int count = 0;
    for (int i = 0; i < STAGE_PROPS; i++)
        if (props & STAGE_PROP(i)) {
            clip.prop = (enum stage_prop)i;
            count++;
        }
    if (count == 1)
        add_object(out, &clip, false);
    else
        clv_bytes_text(out, "something");
}

static void add_filled(struct clv_bytes *out, const char *form, const struct stage_action *row)
{
    for (; *form; form++) {
        if (*form == 'T')
            clv_bytes_text(out, row->title);
        else if (*form == 'P')
            clv_bytes_text(out, row->parts);
        else if (*form >= 'A' && *form <= 'C')
            add_choice(out, row->steps, *form - 'A');
        else
            clv_bytes_add(out, form, 1);
    }
}

static void add_synonym(struct clv_bytes *out, const struct stage_action *row, int index)
{
    struct clv_bytes phrase = {0}, object = {0}, verb = {0};
    add_choice(&phrase, row->phrases, index % count_choices(row->phrases));
    add_any_object(&object, row->props);
    add_with_object(&verb, phrase.data ? phrase.data : "", object.data ? object.data : "");
    if (row->flags & STAGE_ALONE)
        clv_bytes_format(out, "%s ", object.data ? object.data : "");
    else if (row->flags & STAGE_TOGETHER)
        clv_bytes_text(out, "two people ");
    if (verb.data)
        stage_gerund(out, verb.data);
    clv_bytes_release(&phrase);
    clv_bytes_release(&object);
    clv_bytes_release(&verb);
}

void stage_prompt(struct clv_bytes *out, int action, enum stage_prompt_kind kind, int index)
{
    /* T the title, A to C the steps, P the parts of the body. */
    static const char *const decomposition[STAGE_PROMPTS] = {
        "first A, then B, at last C", "T: A, B, C", "A, next B, in the end C",
        "T begins with A, goes on with B, ends with C", "T means A, then B, then C"};
    static const char *const body[STAGE_PROMPTS] = {"T with the P", "T, a movement of the P",
                                                    "the P take part in T", "look at the P: T",
                                                    "T, seen by the P"};
    const struct stage_action *row = stage_action_at(action);
    if (kind == STAGE_SYNONYMS)
        add_synonym(out, row, index);
    else
        add_filled(out, (kind == STAGE_BODY ? body : decomposition)[index % STAGE_PROMPTS], row);
}
