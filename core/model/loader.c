#include "core/model/loader.h"

#include "core/ahead.h"
#include "core/arena.h"
#include "core/error.h"
#include "core/model/crew.h"
#include "core/model/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct clv_loader {
    const struct clv_clips *clips;
    struct clv_loader_options options;
    int frame_count;
    size_t clip_size; /* numbers of a clip's pixels */
    bool has_colour;  /* so pixels are floats */
    struct clv_crew *crew;
    bool *class_keeps_side;
    bool *sentence_keeps_side;
    int32_t *order; /* of the clips in `order_epoch` */
    int64_t order_epoch;
    /* The pass at hand. */
    struct clv_loaded *loaded;
    int *statuses; /* [batch_size] of its clips */
    struct clv_loaded *slots;
    int slot_count;
    struct clv_ahead *ahead; /* NULL: nothing is read */
};

int64_t clv_loader_pass_count(const struct clv_loader *loader)
{
    const int64_t size = loader->options.batch_size;
    return (loader->clips->clip_count + size - 1) / size;
}

int clv_loader_clip_count(const struct clv_loader *loader, int64_t pass)
{
    const int64_t size = loader->options.batch_size;
    const int64_t left = loader->clips->clip_count - pass % clv_loader_pass_count(loader) * size;
    return (int)(left < size ? left : size);
}

/* ---- creation -------------------------------------------------------------------------------- */

static int find_sides(struct clv_loader *loader)
{
    const struct clv_clips *clips = loader->clips;
    const int sentences = clips->sentences ? clips->sentence_starts[clips->clip_count] : 0;
    loader->class_keeps_side = calloc((size_t)clips->class_count + 1, 1);
    loader->sentence_keeps_side = calloc((size_t)sentences + 1, 1);
    if (!loader->class_keeps_side || !loader->sentence_keeps_side)
        return clv_fail_memory("a loader of clips");
    for (int c = 0; c < clips->class_count; c++)
        loader->class_keeps_side[c] = clv_clips_class_keeps_side(clips, c);
    for (int i = 0; i < sentences; i++)
        loader->sentence_keeps_side[i] = clv_augment_name_has_side(clips->sentences[i]);
    return CLV_OK;
}

static int create_slot(struct clv_loaded *slot, const struct clv_loader *loader)
{
    const size_t batch = (size_t)loader->options.batch_size;
    size_t count, bytes;
    if (!clv_size_multiply(&count, batch, loader->clip_size) ||
        !clv_size_multiply(&bytes, count, sizeof *slot->pixels))
        return clv_fail_memory("clips");
    slot->clips = calloc(batch, sizeof *slot->clips);
    slot->sentences = calloc(batch, sizeof *slot->sentences);
    slot->broken = calloc(batch, sizeof *slot->broken);
    slot->reasons = calloc(batch, sizeof *slot->reasons);
    if (loader->has_colour)
        slot->pixels = malloc(bytes);
    else
        slot->squares = malloc(count);
    if (!slot->clips || !slot->sentences || !slot->broken || !slot->reasons ||
        (!slot->pixels && !slot->squares))
        return clv_fail_memory("clips");
    return CLV_OK;
}

static int create_memory(struct clv_loader *loader, const struct clv_model_config *config)
{
    loader->statuses = calloc((size_t)loader->options.batch_size, sizeof *loader->statuses);
    loader->order = calloc((size_t)loader->clips->clip_count, sizeof *loader->order);
    loader->slots = calloc((size_t)loader->slot_count, sizeof *loader->slots);
    if (!loader->statuses || !loader->order || !loader->slots)
        return clv_fail_memory("a loader of clips");
    int status = find_sides(loader);
    for (int i = 0; i < loader->slot_count && status == CLV_OK; i++)
        status = create_slot(&loader->slots[i], loader);
    const int readers = clv_clips_reader_count(loader->clips), most = loader->options.batch_size;
    if (status == CLV_OK)
        status = clv_crew_create(&loader->crew, readers < most ? readers : most, config,
                                 loader->options.augment);
    return status;
}

int clv_loader_create(struct clv_loader **out, const struct clv_clips *clips,
                      const struct clv_model_config *config,
                      const struct clv_loader_options *options)
{
    *out = NULL;
    struct clv_loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return clv_fail_memory("a loader of clips");
    loader->clips = clips;
    loader->options = *options;
    loader->frame_count = config->frame_count;
    loader->clip_size =
        (size_t)config->frame_count * 3 * (size_t)config->image_side * (size_t)config->image_side;
    loader->has_colour = clv_augment_has_colour(options->augment);
    loader->order_epoch = -1;
    loader->slot_count = options->prefetch + 1;
    int status = create_memory(loader, config);
    if (status == CLV_OK)
        *out = loader;
    else
        clv_loader_free(loader);
    return status;
}

void clv_loader_free(struct clv_loader *loader)
{
    if (!loader)
        return;
    clv_loader_stop(loader);
    for (int i = 0; loader->slots && i < loader->slot_count; i++) {
        free(loader->slots[i].clips);
        free(loader->slots[i].sentences);
        free(loader->slots[i].broken);
        free(loader->slots[i].reasons);
        free(loader->slots[i].pixels);
        free(loader->slots[i].squares);
    }
    clv_crew_free(loader->crew);
    free(loader->statuses);
    free(loader->slots);
    free(loader->order);
    free(loader->class_keeps_side);
    free(loader->sentence_keeps_side);
    free(loader);
}

/* ---- one pass -------------------------------------------------------------------------------- */

/* Fisher and Yates. */
static void shuffle(struct clv_loader *loader, int64_t epoch)
{
    struct clv_random random =
        clv_random_stream(loader->options.seed, CLV_RANDOM_ORDER, (uint64_t)epoch, 0);
    const int count = loader->clips->clip_count;
    for (int i = 0; i < count; i++)
        loader->order[i] = i;
    for (int i = count - 1; i > 0; i--) {
        const int k = clv_random_below(&random, i + 1);
        const int32_t held = loader->order[i];
        loader->order[i] = loader->order[k];
        loader->order[k] = held;
    }
    loader->order_epoch = epoch;
}

/* The sentence of a clip that is used in an epoch. */
static int32_t choose_sentence(const struct clv_loader *loader, int64_t epoch, int32_t clip)
{
    const int32_t *starts = loader->clips->sentence_starts;
    struct clv_random random = clv_random_stream(loader->options.seed, CLV_RANDOM_SENTENCES,
                                                 (uint64_t)epoch, (uint64_t)clip);
    return starts[clip] + clv_random_below(&random, starts[clip + 1] - starts[clip]);
}

/* The pixels of the frames read, as clip `place` of the pass. */
static int augment_clip(struct clv_loader *loader, const struct clv_crew_member *member, int place,
                        bool may_flip, struct clv_random *random)
{
    const size_t at = (size_t)place * loader->clip_size;
    if (loader->has_colour)
        return clv_augment_clip(member->augment, loader->loaded->pixels + at, member->images,
                                loader->frame_count, may_flip, random);
    return clv_augment_squares(member->augment, loader->loaded->squares + at, member->images,
                               loader->frame_count, may_flip, random);
}

static int read_clip(struct clv_loader *loader, int place, int reader,
                     const struct clv_crew_member *member)
{
    const struct clv_clips *clips = loader->clips;
    struct clv_loaded *loaded = loader->loaded;
    const int32_t clip = loaded->clips[place];
    const int64_t epoch = loaded->pass / clv_loader_pass_count(loader);
    const uint64_t seed = loader->options.seed, e = (uint64_t)epoch, n = (uint64_t)clip;
    struct clv_random frames = clv_random_stream(seed, CLV_RANDOM_FRAMES, e, n);
    struct clv_random augment = clv_random_stream(seed, CLV_RANDOM_AUGMENT, e, n);
    const struct clv_clip_request request = {.clip = clip,
                                             .frame_count = loader->frame_count,
                                             .is_training = true,
                                             .seed = clv_random_bits(&frames),
                                             .reader = reader};
    bool may_flip = !(clips->class_count && loader->class_keeps_side[clips->classes[clip]]);
    if (loaded->is_captions) {
        const int32_t sentence = choose_sentence(loader, epoch, clip);
        loaded->sentences[place] = sentence;
        may_flip = may_flip && !loader->sentence_keeps_side[sentence];
    }
    int status = clips->read(clips->payload, member->images, &request);
    return status == CLV_OK ? augment_clip(loader, member, place, may_flip, &augment) : status;
}

/* Returns what ends the pass; what is wrong with the clip is noted. */
static int try_clip(void *payload, int place, int reader, const struct clv_crew_member *member)
{
    struct clv_loader *loader = payload;
    struct clv_loaded *loaded = loader->loaded;
    char name[CLV_CLIP_NAME_SIZE];
    const int status = loader->statuses[place] = read_clip(loader, place, reader, member);
    if (status == CLV_ENOMEM || status == CLV_ECANCELED)
        return status;
    if (status != CLV_OK)
        snprintf(loaded->reasons[place], CLV_LOADER_MESSAGE_SIZE, "%s: %s",
                 clv_clips_name(name, loader->clips, loaded->clips[place]), clv_error_message());
    return CLV_OK;
}

static void move_clip(struct clv_loader *loader, int to, int from)
{
    struct clv_loaded *loaded = loader->loaded;
    const size_t size = loader->clip_size;
    if (to == from)
        return;
    loaded->clips[to] = loaded->clips[from];
    loaded->sentences[to] = loaded->sentences[from];
    if (loader->has_colour)
        memcpy(loaded->pixels + (size_t)to * size, loaded->pixels + (size_t)from * size,
               size * sizeof *loaded->pixels);
    else
        memcpy(loaded->squares + (size_t)to * size, loaded->squares + (size_t)from * size, size);
}

/* Whole clips close up where broken ones were. */
static void part_broken(struct clv_loader *loader)
{
    struct clv_loaded *loaded = loader->loaded;
    int whole = 0;
    for (int i = 0; i < loaded->clip_count; i++) {
        if (loader->statuses[i] == CLV_OK) {
            move_clip(loader, whole++, i);
            continue;
        }
        const int to = loaded->broken_count++;
        loaded->broken[to] = loaded->clips[i];
        if (to != i)
            memcpy(loaded->reasons[to], loaded->reasons[i], CLV_LOADER_MESSAGE_SIZE);
    }
    loaded->clip_count = whole;
}

static bool load(void *payload, void *slot, int64_t pass)
{
    struct clv_loader *loader = payload;
    struct clv_loaded *loaded = slot;
    const int64_t passes = clv_loader_pass_count(loader);
    const int64_t epoch = pass / passes;
    const int32_t *order = loader->order + pass % passes * loader->options.batch_size;
    struct clv_random random =
        clv_random_stream(loader->options.seed, CLV_RANDOM_LOSS, (uint64_t)pass, 0);
    if (epoch != loader->order_epoch)
        shuffle(loader, epoch);
    loaded->pass = pass;
    loaded->is_captions = clv_random_uniform(&random) < (double)loader->options.caption_share;
    loaded->clip_count = clv_loader_clip_count(loader, pass);
    loaded->broken_count = 0;
    memcpy(loaded->clips, order, (size_t)loaded->clip_count * sizeof *order);
    loader->loaded = loaded;
    loaded->status = clv_crew_run(loader->crew, loaded->clip_count, try_clip, loader);
    if (loaded->status == CLV_OK)
        part_broken(loader);
    else
        snprintf(loaded->message, sizeof loaded->message, "%s", clv_error_message());
    return loaded->status == CLV_OK;
}

int clv_loader_start(struct clv_loader *loader, int64_t first, int64_t end)
{
    const struct clv_ahead_options options = {
        .slots = loader->slots,
        .slot_size_bytes = sizeof *loader->slots,
        .slot_count = loader->slot_count,
        .first = first,
        .end = end,
        .fill = load,
        .payload = loader,
    };
    clv_loader_stop(loader);
    return clv_ahead_start(&loader->ahead, &options);
}

struct clv_loaded *clv_loader_next(struct clv_loader *loader)
{
    return clv_ahead_next(loader->ahead);
}

void clv_loader_give_back(struct clv_loader *loader, struct clv_loaded *loaded)
{
    clv_ahead_give_back(loader->ahead, loaded);
}

void clv_loader_stop(struct clv_loader *loader)
{
    clv_ahead_stop(loader->ahead);
    loader->ahead = NULL;
}
