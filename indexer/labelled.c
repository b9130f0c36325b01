/* Frame numbers need a frame count, and what containers say of that is often wrong: a clip is
 * counted by decoding it once, and the count is remembered. Frames are then taken in one pass. */
#include "indexer/labelled.h"

#include "core/arena.h"
#include "core/error.h"
#include "core/media/reader.h"
#include "core/model/segments.h"
#include "core/time.h"
#include "indexer/captions.h"
#include "indexer/frame_cache.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Longer clips are read by seeking; decoding on is cheaper than a seek for less than so much. */
#define LONG_MS 60000
#define SEEK_FROM_MS 10000
#define KEPT_BYTES_MAX ((size_t)256 << 20)

static const struct clv_timebase milliseconds = {1, 1000};

/* A reader's own, of the clip it read last: pictures taken, and the numbers of the frames. */
struct hand {
    struct clv_image *kept;
    int64_t *wanted;
    int kept_count; /* room in both */
};

struct clv_labelled {
    struct clv_clips clips;
    const struct clv_labels *labels;
    struct clv_labelled_options options;
    int32_t *rows;           /* [clip_count] of the list */
    _Atomic int64_t *totals; /* [clip_count] frames; 0: not counted yet */
    int32_t *classes;
    int32_t *sentence_starts;
    const char **sentences;
    /* Numbers that `truth` has for sentences and clips; -1: none. NULL: nothing is known. */
    const struct clv_captions *truth;
    int32_t *true_sentences, *true_clips;
    struct clv_frame_cache *cache; /* NULL: none */
    struct hand *hands;            /* [readers] */
};

/* One pass over one clip. */
struct pass {
    struct clv_labelled *labelled;
    const struct clv_label *label;
    const struct clv_clip_request *request;
    struct hand *hand;
    struct clv_reader *reader;
    int64_t start_ticks, end_ticks; /* of the clip */
    struct clv_frame frame;         /* the last one read */
    int taken;                      /* images of `images` that are filled */
    int kept;
    struct clv_image *images;
};

/* ---- the clip's part of its file ---- */

static int64_t instant_of(const struct clv_media_info *info, int64_t time_ms)
{
    return info->start_ticks + clv_time_rescale(time_ms, milliseconds, info->timebase);
}

static int open_pass(struct pass *pass)
{
    const struct clv_labelled_options *options = &pass->labelled->options;
    const struct clv_reader_options reading = {.thread_count = options->thread_count,
                                               .decoder = options->decoder};
    int status = clv_reader_open(&pass->reader, pass->label->path, &reading);
    if (status != CLV_OK)
        return status;
    const struct clv_media_info *info = clv_reader_info(pass->reader);
    if (info->timebase.numerator <= 0 || info->timebase.denominator <= 0)
        return clv_fail(CLV_ECORRUPT, "'%s' has the impossible time base %d/%d", pass->label->path,
                        info->timebase.numerator, info->timebase.denominator);
    pass->start_ticks =
        pass->label->start_ms > 0 ? instant_of(info, pass->label->start_ms) : INT64_MIN;
    pass->end_ticks = pass->label->end_ms > 0 ? instant_of(info, pass->label->end_ms) : INT64_MAX;
    if (pass->label->start_ms > SEEK_FROM_MS)
        status = clv_reader_seek(pass->reader, pass->start_ticks);
    return status;
}

/* The next frame of the clip; CLV_DONE behind its end. */
static int next_frame(struct pass *pass)
{
    int status;
    do
        status = clv_reader_next(pass->reader, &pass->frame);
    while (status == CLV_OK && pass->frame.time_ticks < pass->start_ticks &&
           pass->frame.end_ticks <= pass->start_ticks);
    if (status == CLV_OK && pass->frame.time_ticks >= pass->end_ticks)
        status = CLV_DONE;
    return status;
}

static int fail_empty(const struct pass *pass)
{
    char start[CLV_TIME_TEXT_SIZE];
    if (pass->label->start_ms <= 0 && pass->label->end_ms <= 0)
        return clv_fail(CLV_ECORRUPT, "not one frame of '%s' can be decoded", pass->label->path);
    return clv_fail(CLV_EINVAL, "'%s' has no frame from %s on", pass->label->path,
                    clv_time_format(start, pass->label->start_ms > 0 ? pass->label->start_ms : 0));
}

/* ---- keeping pictures ---- */

/* Averages squares of `factor` pixels a side. */
static void shrink(struct clv_image *to, const struct clv_image *from, int factor)
{
    unsigned area = (unsigned)(factor * factor);
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++)
            for (int c = 0; c < 3; c++) {
                unsigned sum = area / 2;
                for (int j = 0; j < factor; j++) {
                    const uint8_t *row = from->pixels +
                                         (size_t)(y * factor + j) * from->stride_bytes +
                                         3 * (size_t)x * (size_t)factor + c;
                    for (int i = 0; i < factor; i++)
                        sum += row[3 * i];
                }
                to->pixels[(size_t)y * to->stride_bytes + 3 * (size_t)x + (size_t)c] =
                    (uint8_t)(sum / area);
            }
}

static int factor_of(const struct clv_image *image, int frame_count)
{
    int factor = 1;
    int short_side = image->width < image->height ? image->width : image->height;
    while (factor < short_side &&
           (size_t)(image->width / factor) * (size_t)(image->height / factor) >
               KEPT_BYTES_MAX / 3 / (size_t)frame_count)
        factor++;
    return factor;
}

/* Copies the frame read last into the next place. */
static int keep(struct pass *pass)
{
    const struct clv_image *image = NULL;
    struct clv_image *to = &pass->hand->kept[pass->kept];
    int status = clv_reader_image(pass->reader, &image);
    if (status != CLV_OK)
        return status;
    int factor = factor_of(image, pass->request->frame_count);
    int width = image->width / factor, height = image->height / factor;
    if (to->width != width || to->height != height || !to->pixels) {
        clv_image_release(to);
        status = clv_image_create(to, width, height);
        if (status != CLV_OK)
            return status;
    }
    if (factor > 1)
        shrink(to, image, factor);
    else
        for (int y = 0; y < height; y++)
            memcpy(to->pixels + (size_t)y * to->stride_bytes,
                   image->pixels + (size_t)y * image->stride_bytes, 3 * (size_t)width);
    pass->kept++;
    return CLV_OK;
}

static void give(struct pass *pass)
{
    pass->images[pass->taken++] = pass->hand->kept[pass->kept - 1];
}

/* ---- short clips: by number ---- */

/* Counting decodes every frame, so it is also when the cache is filled. */
static int count_frames(int64_t *total_out, struct pass *pass)
{
    struct clv_frame_cache *cache = pass->labelled->cache;
    const struct clv_image *image = NULL;
    struct clv_frame_clip gathered = {0};
    int64_t total = 0;
    int status;
    while ((status = next_frame(pass)) == CLV_OK) {
        total++;
        if (cache && (status = clv_reader_image(pass->reader, &image)) != CLV_OK)
            break;
        if (cache && factor_of(image, pass->request->frame_count) == 1)
            clv_frame_cache_gather(cache, &gathered, image);
    }
    if (cache && status == CLV_DONE)
        clv_frame_cache_keep(cache, &gathered, pass->request->clip, total);
    else if (cache)
        clv_frame_cache_drop(cache, &gathered);
    if (status != CLV_DONE)
        return status;
    *total_out = total;
    return total > 0 ? CLV_OK : fail_empty(pass);
}

static void take_cached(struct pass *pass, int64_t total)
{
    const struct clv_clip_request *request = pass->request;
    int64_t *wanted = pass->hand->wanted;
    clv_segments_choose(wanted, total, request->frame_count, request->is_training, request->seed);
    for (int i = 0; i < request->frame_count; i++)
        pass->images[i] = clv_frame_cache_frame(pass->labelled->cache, request->clip, wanted[i]);
}

static int take_numbers(struct pass *pass, int64_t total)
{
    const struct clv_clip_request *request = pass->request;
    const int64_t *wanted = pass->hand->wanted;
    int count = request->frame_count, status = open_pass(pass);
    clv_segments_choose(pass->hand->wanted, total, count, request->is_training, request->seed);
    for (int64_t at = 0; status == CLV_OK && pass->taken < count; at++) {
        status = next_frame(pass);
        if (status == CLV_OK && wanted[pass->taken] == at)
            status = keep(pass);
        while (status == CLV_OK && pass->taken < count && wanted[pass->taken] == at)
            give(pass);
    }
    if (status == CLV_DONE)
        status =
            clv_fail(CLV_ECORRUPT, "'%s' has lost frames since it was counted", pass->label->path);
    return status;
}

/* ---- long clips: by time ---- */

/* Milliseconds that the clip lasts, as far as its container knows; 0: it does not. */
static int64_t length_ms(const struct pass *pass)
{
    const struct clv_media_info *info = clv_reader_info(pass->reader);
    int64_t start_ms = pass->label->start_ms > 0 ? pass->label->start_ms : 0;
    int64_t file_ms = clv_time_rescale(info->duration_ticks, info->timebase, milliseconds);
    int64_t end_ms = pass->label->end_ms > 0 ? pass->label->end_ms : file_ms;
    if (file_ms > 0 && end_ms > file_ms)
        end_ms = file_ms;
    return info->frame_rate > 0 && file_ms > 0 ? end_ms - start_ms : 0;
}

/* Reads on until the frame on display at `ticks`, which for the last one is what ends the file. */
static int go_to(struct pass *pass, int64_t ticks, bool *has_frame)
{
    const struct clv_media_info *info = clv_reader_info(pass->reader);
    int64_t at = *has_frame ? pass->frame.end_ticks : info->start_ticks;
    if (ticks > at && clv_time_rescale(ticks - at, info->timebase, milliseconds) > SEEK_FROM_MS) {
        int status = clv_reader_seek(pass->reader, ticks);
        if (status != CLV_OK)
            return status;
        *has_frame = false;
    }
    while (!*has_frame || pass->frame.end_ticks <= ticks) {
        int status = next_frame(pass);
        if (status != CLV_OK)
            return status;
        *has_frame = true;
    }
    return CLV_OK;
}

static int take_instants(struct pass *pass, int64_t clip_ms)
{
    const struct clv_media_info *info = clv_reader_info(pass->reader);
    int64_t *wanted = pass->hand->wanted;
    int count = pass->request->frame_count, status = CLV_OK;
    int64_t start_ms = pass->label->start_ms > 0 ? pass->label->start_ms : 0;
    int64_t total = llround((double)clip_ms / 1000 * info->frame_rate);
    bool has_frame = false;
    clv_segments_choose(wanted, total > 0 ? total : 1, count, pass->request->is_training,
                        pass->request->seed);
    while (status == CLV_OK && pass->taken < count) {
        int64_t time_ms =
            start_ms + (int64_t)(1000 * ((double)wanted[pass->taken] + 0.5) / info->frame_rate);
        int64_t before = has_frame ? pass->frame.time_ticks : INT64_MIN;
        status = go_to(pass, instant_of(info, time_ms), &has_frame);
        if (status == CLV_OK && (pass->taken == 0 || pass->frame.time_ticks != before))
            status = keep(pass);
        if (status == CLV_OK)
            give(pass);
    }
    /* A container that promised more than there is: the end is what was seen last. */
    while (status == CLV_DONE && pass->taken > 0 && pass->taken < count)
        give(pass);
    if (status == CLV_DONE)
        status = pass->taken == count ? CLV_OK : fail_empty(pass);
    return status;
}

/* ---- reading ---- */

static int make_room(struct hand *hand, int frame_count)
{
    if (frame_count <= hand->kept_count)
        return CLV_OK;
    struct clv_image *kept = realloc(hand->kept, (size_t)frame_count * sizeof *kept);
    if (kept) {
        memset(kept + hand->kept_count, 0, (size_t)(frame_count - hand->kept_count) * sizeof *kept);
        hand->kept = kept;
    }
    int64_t *wanted = realloc(hand->wanted, (size_t)frame_count * sizeof *wanted);
    if (wanted)
        hand->wanted = wanted;
    if (!kept || !wanted)
        return clv_fail_memory("the frames of a clip");
    hand->kept_count = frame_count;
    return CLV_OK;
}

static int read_clip(void *payload, struct clv_image *images_out,
                     const struct clv_clip_request *request)
{
    struct clv_labelled *labelled = payload;
    struct pass pass = {.labelled = labelled,
                        .label = clv_labelled_row(labelled, request->clip),
                        .request = request,
                        .hand = &labelled->hands[request->reader],
                        .images = images_out};
    int64_t total = atomic_load(&labelled->totals[request->clip]), clip_ms = 0;
    int status = make_room(pass.hand, request->frame_count);
    /* What was counted is short, and what is long is never counted. */
    if (status == CLV_OK && total == 0) {
        status = open_pass(&pass);
        clip_ms = status == CLV_OK ? length_ms(&pass) : 0;
        if (status == CLV_OK)
            status =
                clip_ms > LONG_MS ? take_instants(&pass, clip_ms) : count_frames(&total, &pass);
        atomic_store(&labelled->totals[request->clip], total);
        clv_reader_close(pass.reader);
        pass.reader = NULL;
    }
    if (status == CLV_OK && clip_ms <= LONG_MS) {
        if (labelled->cache && clv_frame_cache_has(labelled->cache, request->clip))
            take_cached(&pass, total);
        else
            status = take_numbers(&pass, total);
    }
    clv_reader_close(pass.reader);
    return status;
}

static const char *name_of(void *payload, int clip)
{
    return clv_labelled_row(payload, clip)->name;
}

/* ---- the source ---- */

static int count_rows(const struct clv_labels *labels, const bool *is_in, bool wanted)
{
    int count = 0;
    for (int i = 0; i < labels->count; i++)
        count += !is_in || is_in[i] == wanted;
    return count;
}

static void fill_rows(struct clv_labelled *labelled, const bool *is_in, bool wanted)
{
    const struct clv_labels *labels = labelled->labels;
    int clip = 0;
    int32_t sentence = 0;
    for (int i = 0; i < labels->count; i++) {
        if (is_in && is_in[i] != wanted)
            continue;
        const struct clv_label *row = &labels->rows[i];
        labelled->rows[clip] = i;
        labelled->classes[clip] = row->class_index;
        labelled->sentence_starts[clip++] = sentence;
        for (int k = 0; k < row->sentence_count; k++)
            labelled->sentences[sentence++] = labels->sentences[row->sentence_first + k];
    }
    labelled->sentence_starts[clip] = sentence;
}

int clv_labelled_create(struct clv_labelled **out, const struct clv_labels *labels,
                        const bool *is_in, bool wanted, const struct clv_labelled_options *options)
{
    *out = NULL;
    struct clv_labelled *labelled = calloc(1, sizeof *labelled);
    if (!labelled)
        return clv_fail_memory("a list of clips");
    int count = count_rows(labels, is_in, wanted);
    labelled->labels = labels;
    labelled->options = *options;
    const int readers = options->reader_count > 1 ? options->reader_count : 1;
    labelled->options.reader_count = readers;
    labelled->hands = calloc((size_t)readers, sizeof *labelled->hands);
    labelled->rows = calloc((size_t)count + 1, sizeof *labelled->rows);
    labelled->totals = calloc((size_t)count + 1, sizeof *labelled->totals);
    labelled->classes = calloc((size_t)count + 1, sizeof *labelled->classes);
    labelled->sentence_starts = calloc((size_t)count + 1, sizeof *labelled->sentence_starts);
    labelled->sentences = calloc((size_t)labels->sentence_count + 1, sizeof *labelled->sentences);
    if (!labelled->hands || !labelled->rows || !labelled->totals || !labelled->classes ||
        !labelled->sentence_starts || !labelled->sentences) {
        clv_labelled_free(labelled);
        return clv_fail_memory("a list of clips");
    }
    fill_rows(labelled, is_in, wanted);
    bool has_sentences = labels->sentence_count > 0;
    labelled->clips = (struct clv_clips){
        .payload = labelled,
        .read = read_clip,
        .reader_count = readers,
        .clip_count = count,
        .class_count = labels->classes.count,
        .class_names = (const char *const *)labels->classes.names,
        .classes = labelled->classes,
        .sentences = has_sentences ? labelled->sentences : NULL,
        .sentence_starts = has_sentences ? labelled->sentence_starts : NULL,
        .name = name_of,
    };
    *out = labelled;
    return CLV_OK;
}

int clv_labelled_keep(struct clv_labelled *labelled, size_t limit_bytes)
{
    clv_frame_cache_free(labelled->cache);
    return clv_frame_cache_create(&labelled->cache, labelled->clips.clip_count, limit_bytes);
}

static void release_hand(struct hand *hand)
{
    for (int i = 0; i < hand->kept_count; i++)
        clv_image_release(&hand->kept[i]);
    free(hand->kept);
    free(hand->wanted);
}

void clv_labelled_free(struct clv_labelled *labelled)
{
    if (!labelled)
        return;
    clv_frame_cache_free(labelled->cache);
    for (int i = 0; labelled->hands && i < labelled->options.reader_count; i++)
        release_hand(&labelled->hands[i]);
    free(labelled->hands);
    free(labelled->rows);
    free(labelled->totals);
    free(labelled->classes);
    free(labelled->sentence_starts);
    free(labelled->sentences);
    free(labelled->true_sentences);
    free(labelled->true_clips);
    free(labelled);
}

/* ---- what is true of what ---- */

struct named {
    const char *name;
    int32_t index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* The first of `count` that is called `name`; `count` where there is none. */
static size_t find_named(const struct named *sorted, size_t count, const char *name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(sorted[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && strcmp(sorted[low].name, name) == 0 ? low : count;
}

static bool is_same_clip(const struct clv_label *caption, const struct clv_label *row)
{
    bool is_whole = caption->start_ms <= 0 && caption->end_ms < 0;
    return is_whole || (caption->start_ms == row->start_ms && caption->end_ms == row->end_ms);
}

static void find_true_sentences(struct clv_labelled *labelled, struct named *sorted)
{
    const struct clv_captions *truth = labelled->truth;
    size_t count = (size_t)truth->sentence_count;
    int total = labelled->sentence_starts[labelled->clips.clip_count];
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct named){truth->sentences[i], (int32_t)i};
    qsort(sorted, count, sizeof *sorted, compare_named);
    for (int i = 0; i < total; i++) {
        size_t at = find_named(sorted, count, labelled->sentences[i]);
        labelled->true_sentences[i] = at < count ? sorted[at].index : -1;
    }
}

static void find_true_clips(struct clv_labelled *labelled, struct named *sorted)
{
    const struct clv_captions *truth = labelled->truth;
    size_t count = (size_t)truth->clip_count;
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct named){truth->labels.rows[truth->clip_rows[i]].path, (int32_t)i};
    qsort(sorted, count, sizeof *sorted, compare_named);
    for (int i = 0; i < labelled->clips.clip_count; i++) {
        const struct clv_label *row = clv_labelled_row(labelled, i);
        size_t at = find_named(sorted, count, row->path);
        labelled->true_clips[i] = -1;
        for (; at < count && strcmp(sorted[at].name, row->path) == 0; at++) {
            int32_t clip = sorted[at].index;
            if (is_same_clip(&truth->labels.rows[truth->clip_rows[clip]], row)) {
                labelled->true_clips[i] = clip;
                break;
            }
        }
    }
}

static bool is_true_of(void *payload, int sentence, int clip)
{
    const struct clv_labelled *labelled = payload;
    int32_t s = labelled->true_sentences[sentence], c = labelled->true_clips[clip];
    return s >= 0 && c >= 0 && clv_captions_is_right(labelled->truth, s, c);
}

int clv_labelled_set_truth(struct clv_labelled *labelled, const struct clv_captions *captions)
{
    size_t clip_count = (size_t)labelled->clips.clip_count;
    size_t sentence_count = (size_t)labelled->sentence_starts[clip_count];
    int most = captions->sentence_count > captions->clip_count ? captions->sentence_count
                                                               : captions->clip_count;
    struct named *sorted = calloc((size_t)most + 1, sizeof *sorted);
    free(labelled->true_sentences);
    free(labelled->true_clips);
    labelled->clips.is_true_of = NULL;
    labelled->true_sentences = calloc(sentence_count + 1, sizeof *labelled->true_sentences);
    labelled->true_clips = calloc(clip_count + 1, sizeof *labelled->true_clips);
    if (!sorted || !labelled->true_sentences || !labelled->true_clips) {
        free(sorted);
        return clv_fail_memory("a list of clips");
    }
    labelled->truth = captions;
    find_true_sentences(labelled, sorted);
    find_true_clips(labelled, sorted);
    labelled->clips.is_true_of = is_true_of;
    free(sorted);
    return CLV_OK;
}

const struct clv_clips *clv_labelled_clips(const struct clv_labelled *labelled)
{
    return &labelled->clips;
}

const struct clv_label *clv_labelled_row(const struct clv_labelled *labelled, int clip)
{
    return &labelled->labels->rows[labelled->rows[clip]];
}
