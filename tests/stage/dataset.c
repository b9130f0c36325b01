/* Folders of films. */
#include "tests/stage/dataset.h"

#include "cli/stage/random.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "tests/stage/film.h"
#include "tests/stage/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void stage_dataset_defaults(struct stage_dataset_options *out)
{
    *out = (struct stage_dataset_options){.seed = 1, .sentence_count = 2};
    out->action_count = stage_action_count();
    out->clip_count = out->action_count;
    for (int i = 0; i < out->action_count; i++)
        out->actions[i] = i;
}

void stage_dataset_clip(struct stage_clip *out, const struct stage_dataset_options *options,
                        int index)
{
    int round = index / options->action_count;
    stage_draw_clip(out, stage_hash(options->seed, (uint64_t)round), options->split,
                    options->actions[index % options->action_count]);
    if (options->frame_rate > 0) {
        /* The same length in seconds at another rate. */
        out->frame_count = out->frame_count * options->frame_rate / out->frame_rate;
        out->frame_rate = options->frame_rate;
    }
}

static int write_text(const char *directory, const char *name, const struct clv_bytes *text)
{
    if (text->status != CLV_OK)
        return text->status;
    char *path = clv_path_join(directory, name);
    int status =
        path ? clv_file_replace(path, text->data ? text->data : "", text->size_bytes) : CLV_ENOMEM;
    free(path);
    return status;
}

static int write_classes(const char *directory, const struct stage_dataset_options *options)
{
    struct clv_bytes text = {0};
    clv_bytes_text(&text, "id,name\n");
    for (int i = 0; i < options->action_count; i++)
        clv_bytes_format(&text, "%d,%s\n", i, stage_action_at(options->actions[i])->title);
    int status = write_text(directory, "classes.csv", &text);
    static const char *const names[STAGE_PROMPT_KINDS] = {"action_decomposition.csv", "body.csv",
                                                          "synonyms.csv"};
    for (int kind = 0; kind < STAGE_PROMPT_KINDS && status == CLV_OK; kind++) {
        clv_bytes_clear(&text);
        clv_bytes_text(&text, "id;name\n");
        for (int i = 0; i < options->action_count; i++)
            for (int k = 0; k < STAGE_PROMPTS; k++) {
                clv_bytes_format(&text, "%d;", i);
                stage_prompt(&text, options->actions[i], (enum stage_prompt_kind)kind, k);
                clv_bytes_text(&text, "\n");
            }
        status = write_text(directory, names[kind], &text);
    }
    clv_bytes_release(&text);
    return status;
}

/* Each pair of chosen actions once, where the first of them stands. */
static int write_pairs(const char *directory, const struct stage_dataset_options *options)
{
    struct clv_bytes text = {0};
    clv_bytes_text(&text, "action,reversal\n");
    for (int i = 0; i < options->action_count; i++)
        for (int k = i + 1; k < options->action_count; k++)
            if (stage_action_pair(options->actions[i]) == options->actions[k])
                clv_bytes_format(&text, "%s,%s\n", stage_action_at(options->actions[i])->title,
                                 stage_action_at(options->actions[k])->title);
    int status = write_text(directory, "pairs.csv", &text);
    clv_bytes_release(&text);
    return status;
}

struct shown {
    const char *action, *place;
    char actor[64], clothes[64], object[64];
};

static void describe(struct shown *out, const struct stage_clip *clip)
{
    out->action = stage_action_at(clip->action)->title;
    out->place = stage_place_name(clip->place);
    stage_clip_actor(out->actor, sizeof out->actor, clip);
    stage_clip_clothes(out->clothes, sizeof out->clothes, clip);
    stage_clip_object(out->object, sizeof out->object, clip);
}

static void add_captions(struct clv_bytes *text, const char *path, const struct stage_clip *clip,
                         int count)
{
    struct shown shown;
    describe(&shown, clip);
    for (int i = 0; i < count; i++) {
        struct stage_sentence sentence;
        stage_sentence(&sentence, clip, i);
        clv_bytes_format(
            text, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", path, sentence.text, shown.action,
            sentence.says_actor ? shown.actor : "", sentence.says_clothes ? shown.clothes : "",
            sentence.says_object ? shown.object : "", sentence.says_place ? shown.place : "");
    }
}

static int add_facts(struct clv_bytes *text, const char *path, const struct stage_clip *clip,
                     const struct stage_coding *coding)
{
    struct shown shown;
    describe(&shown, clip);
    struct clv_json *line = clv_json_object();
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, clip->seed);
    clv_json_put_string(line, "path", path);
    clv_json_put_string(line, "seed", seed);
    clv_json_put_string(line, "split", stage_split_name(clip->split));
    clv_json_put_string(line, "action", shown.action);
    clv_json_put_bool(line, "reversed", clip->is_reversed);
    clv_json_put_string(line, "actor", shown.actor);
    clv_json_put_string(line, "clothes", shown.clothes);
    clv_json_put_string(line, "object", shown.object);
    clv_json_put_string(line, "place", shown.place);
    clv_json_put_integer(line, "body", clip->actors[0].body);
    clv_json_put_integer(line, "palette", clip->actors[0].palette);
    clv_json_put_integer(line, "layout", clip->layout);
    clv_json_put_integer(line, "frames", clip->frame_count);
    clv_json_put_integer(line, "frame_rate", clip->frame_rate);
    clv_json_put_string(line, "codec", stage_codec_name(coding->codec));
    clv_json_put_integer(line, "quality", coding->quality);
    clv_json_put_integer(line, "group", coding->group);
    clv_json_put_integer(line, "width", coding->width);
    clv_json_put_integer(line, "height", coding->height);
    int status = clv_json_write(text, line, false);
    clv_bytes_text(text, "\n");
    clv_json_free(line);
    return status;
}

static int film_one(const char *directory, const char *name, const struct stage_clip *clip,
                    const struct stage_coding *coding)
{
    char *path = clv_path_join(directory, name);
    int status = path ? stage_film(path, clip, coding) : CLV_ENOMEM;
    free(path);
    return status;
}

static int write_films(const char *directory, const struct stage_dataset_options *options,
                       struct clv_bytes texts[3], void (*progress)(int done, int count))
{
    clv_bytes_text(&texts[0], "path,label,start,end\n");
    clv_bytes_text(&texts[1], "path\tsentence\taction\tactor\tclothes\tobject\tplace\n");
    for (int i = 0; i < options->clip_count; i++) {
        struct stage_clip clip;
        struct stage_coding coding;
        char name[64];
        stage_dataset_clip(&clip, options, i);
        stage_draw_coding(&coding, &clip);
        if (options->width > 0) {
            coding.width = options->width;
            coding.height = options->height;
        }
        if (options->group > 0)
            coding.group = options->group;
        snprintf(name, sizeof name, "clips/%06d.%s", i, stage_codec_container(coding.codec));
        int status = film_one(directory, name, &clip, &coding);
        if (status == CLV_OK)
            status = add_facts(&texts[2], name, &clip, &coding);
        if (status != CLV_OK)
            return status;
        clv_bytes_format(&texts[0], "%s,%s,0,%.3f\n", name, stage_action_at(clip.action)->title,
                         (double)clip.frame_count / clip.frame_rate);
        add_captions(&texts[1], name, &clip, options->sentence_count);
        if (progress)
            progress(i + 1, options->clip_count);
    }
    return CLV_OK;
}

int stage_dataset_write(const char *directory, const struct stage_dataset_options *options,
                        void (*progress)(int done, int count))
{
    static const char *const names[3] = {"labels.csv", "captions.tsv", "clips.jsonl"};
    struct clv_bytes texts[3] = {{0}};
    char *clips = clv_path_join(directory, "clips");
    int status = clips ? clv_directory_create(clips) : CLV_ENOMEM;
    if (status == CLV_OK)
        status = write_classes(directory, options);
    if (status == CLV_OK)
        status = write_pairs(directory, options);
    if (status == CLV_OK)
        status = write_films(directory, options, texts, progress);
    for (int i = 0; i < 3; i++) {
        if (status == CLV_OK)
            status = write_text(directory, names[i], &texts[i]);
        clv_bytes_release(&texts[i]);
    }
    free(clips);
    return status;
}
