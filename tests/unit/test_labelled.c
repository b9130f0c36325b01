/* Which frames are taken of a clip, and that these are the ones that come. */
#include "indexer/frame_cache.h"
#include "indexer/labelled.h"

#include "core/error.h"
#include "core/file.h"
#include "core/model/segments.h"
#include "indexer/captions.h"

#include "tests/t.h"
#include "tests/unit/clips.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static void check_middles(int total, int frame_count, const int *want)
{
    int64_t got[32];
    clv_segments_choose(got, total, frame_count, false, 99);
    for (int i = 0; i < frame_count; i++)
        CHECK_INT(got[i], want[i]);
}

/* The published sampler's (claver.md 7). */
static void middles_are_the_published_ones(void)
{
    check_middles(300, 8, (int[]){18, 56, 93, 131, 168, 206, 243, 281});
    check_middles(250, 16,
                  (int[]){7, 23, 39, 54, 70, 85, 101, 117, 132, 148, 164, 179, 195, 210, 226, 242});
    check_middles(5, 8, (int[]){0, 0, 1, 2, 2, 3, 4, 4});
    check_middles(1, 4, (int[]){0, 0, 0, 0});
    check_middles(4, 1, (int[]){2});
}

static void training_takes_one_of_each_segment(void)
{
    int seen[6][6] = {{0}};
    int64_t first[6], got[6];
    clv_segments_choose(first, 40, 6, true, 0);
    for (uint64_t seed = 0; seed < 600; seed++) {
        clv_segments_choose(got, 40, 6, true, seed);
        for (int i = 0; i < 6; i++) {
            REQUIRE(got[i] >= 6 * i && got[i] < 6 * i + 6);
            seen[i][got[i] - 6 * i]++;
        }
    }
    /* 600 draws of 6 values: 100 each, 5 deviations are 46. */
    for (int i = 0; i < 36; i++)
        CHECK(seen[i / 6][i % 6] > 54 && seen[i / 6][i % 6] < 146);
    clv_segments_choose(got, 40, 6, true, 0);
    CHECK(memcmp(first, got, sizeof got) == 0);
}

/* Python's round(i * 5 / 8), and of the halves of round(i * 2 / 4): 0, .5, 1, 1.5. */
static void training_on_too_few_frames(void)
{
    static const int fives[] = {0, 1, 1, 2, 2, 3, 4, 4}, twos[] = {0, 0, 1, 1};
    int64_t got[8];
    clv_segments_choose(got, 5, 8, true, 3);
    for (int i = 0; i < 8; i++)
        CHECK_INT(got[i], fives[i]);
    clv_segments_choose(got, 2, 4, true, 3);
    for (int i = 0; i < 4; i++)
        CHECK_INT(got[i], twos[i]);
}

/* ---- clips ---- */

static const char *directory;

static struct clv_labelled *source_of(struct clv_labels *labels, const char *text)
{
    struct clv_labelled *labelled = NULL;
    const struct clv_labels_options none = {0};
    const char *list = t_path(directory, "labels.csv");
    CHECK_OK(clv_file_replace(list, text, strlen(text)));
    CHECK_OK(clv_labels_open(labels, list, &none));
    CHECK_OK(clv_labelled_create(&labelled, labels, NULL, true,
                                 &(struct clv_labelled_options){.thread_count = 1}));
    return labelled;
}

static int read_clip(int *numbers, struct clv_labelled *labelled, int clip, int frame_count,
                     bool is_training, uint64_t seed)
{
    struct clv_image images[64];
    const struct clv_clips *clips = clv_labelled_clips(labelled);
    const struct clv_clip_request request = {clip, frame_count, is_training, seed, 0};
    int status = clips->read(clips->payload, images, &request);
    for (int i = 0; status == CLV_OK && i < frame_count; i++)
        numbers[i] = clip_number(&images[i]);
    return status;
}

static void check_frames(struct clv_labelled *labelled, int clip, int first, int total,
                         int frame_count, bool is_training, uint64_t seed)
{
    int numbers[64];
    int64_t want[64];
    clv_segments_choose(want, total, frame_count, is_training, seed);
    REQUIRE_OK(read_clip(numbers, labelled, clip, frame_count, is_training, seed));
    for (int i = 0; i < frame_count; i++)
        CHECK_INT(numbers[i], first + want[i]);
}

/* With no cache, one that holds some of the clips, and one that holds all. */
static void the_frames_come(size_t cache_bytes)
{
    struct clv_labels labels;
    directory = t_directory();
    clip_write(directory, "a.mp4", &(struct clip){.width = 160, .height = 120, .frame_count = 53});
    clip_write(directory, "b.mkv", &(struct clip){.width = 96, .height = 128, .frame_count = 5});
    struct clv_labelled *labelled =
        source_of(&labels, "path,label,start,end\na.mp4,x,,\nb.mkv,y,,\na.mp4,y,0.4,1.2\n"
                           "a.mp4,y,1,\na.mp4,y,0,0.2\n");
    REQUIRE(labelled);
    if (cache_bytes > 0)
        REQUIRE_OK(clv_labelled_keep(labelled, cache_bytes));
    const struct clv_clips *clips = clv_labelled_clips(labelled);
    CHECK_INT(clips->clip_count, 5);
    CHECK_INT(clips->class_count, 2);
    CHECK_STRING(clips->class_names[clips->classes[1]], "y");
    CHECK_STRING(clips->name(clips->payload, 1), "b.mkv");
    for (int pass = 0; pass < 2; pass++) {
        check_frames(labelled, 0, 0, 53, 8, false, 0);
        check_frames(labelled, 1, 0, 5, 8, false, 0);
        /* 25 frames a second: the frame on display at the end is none of the clip's. */
        check_frames(labelled, 2, 10, 20, 8, false, 0);
        check_frames(labelled, 3, 25, 28, 4, false, 0);
        check_frames(labelled, 4, 0, 5, 8, false, 0);
        for (uint64_t seed = 0; seed < 3; seed++) {
            check_frames(labelled, 0, 0, 53, 8, true, seed);
            check_frames(labelled, 1, 0, 5, 8, true, seed);
            check_frames(labelled, 2, 10, 20, 16, true, seed);
        }
    }
    clv_labelled_free(labelled);
    clv_labels_release(&labels);
}

static void the_frames_come_decoded(void)
{
    the_frames_come(0);
}

static void the_frames_come_from_the_cache(void)
{
    the_frames_come(1);
    the_frames_come((size_t)53 * 160 * 120 * 3);
    the_frames_come((size_t)1 << 30);
}

static void fill(struct clv_image *image, int value)
{
    for (int y = 0; y < image->height; y++)
        memset(image->pixels + (size_t)y * image->stride_bytes, value, 3 * (size_t)image->width);
}

/* ---- several readers ---- */

enum { READERS = 4, ROUNDS = 6 };

struct reading {
    struct clv_labelled *labelled;
    int reader;
    int wrong_count;
};

/* Reads every clip, from another one on than the others do. */
static void *read_all(void *payload)
{
    struct reading *reading = payload;
    static const int totals[] = {53, 5, 20, 28, 5}, firsts[] = {0, 0, 10, 25, 0};
    const struct clv_clips *clips = clv_labelled_clips(reading->labelled);
    for (int i = 0; i < ROUNDS * clips->clip_count; i++) {
        struct clv_image images[8];
        int64_t want[8];
        const struct clv_clip_request request = {(i + reading->reader) % clips->clip_count, 8, true,
                                                 (uint64_t)i, reading->reader};
        clv_segments_choose(want, totals[request.clip], 8, true, request.seed);
        const int status = clips->read(clips->payload, images, &request);
        reading->wrong_count += status != CLV_OK;
        for (int t = 0; t < 8 && status == CLV_OK; t++)
            reading->wrong_count += clip_number(&images[t]) != firsts[request.clip] + want[t];
    }
    return NULL;
}

/* Also where they come to the same clip, and to a cache that takes some of them. */
static void readers_do_not_disturb_each_other(void)
{
    directory = t_directory();
    clip_write(directory, "a.mp4", &(struct clip){.width = 160, .height = 120, .frame_count = 53});
    clip_write(directory, "b.mkv", &(struct clip){.width = 96, .height = 128, .frame_count = 5});
    const char *list = t_path(directory, "labels.csv");
    const char *text = "path,label,start,end\na.mp4,x,,\nb.mkv,y,,\na.mp4,y,0.4,1.2\n"
                       "a.mp4,y,1,\na.mp4,y,0,0.2\n";
    const size_t limits[] = {0, (size_t)53 * 160 * 120 * 3, (size_t)1 << 30};
    REQUIRE_OK(clv_file_replace(list, text, strlen(text)));
    for (int c = 0; c < 3; c++) {
        struct clv_labels labels;
        struct clv_labelled *labelled = NULL;
        struct reading readings[READERS];
        pthread_t threads[READERS];
        REQUIRE_OK(clv_labels_open(&labels, list, &(struct clv_labels_options){0}));
        REQUIRE_OK(clv_labelled_create(
            &labelled, &labels, NULL, true,
            &(struct clv_labelled_options){.reader_count = READERS, .thread_count = 1}));
        CHECK_INT(clv_clips_reader_count(clv_labelled_clips(labelled)), READERS);
        if (limits[c] > 0)
            REQUIRE_OK(clv_labelled_keep(labelled, limits[c]));
        for (int i = 0; i < READERS; i++) {
            readings[i] = (struct reading){labelled, i, 0};
            CHECK_INT(pthread_create(&threads[i], NULL, read_all, &readings[i]), 0);
        }
        for (int i = 0; i < READERS; i++) {
            pthread_join(threads[i], NULL);
            CHECK_INT(readings[i].wrong_count, 0);
        }
        clv_labelled_free(labelled);
        clv_labels_release(&labels);
    }
}

static void gather(struct clv_frame_cache *cache, struct clv_frame_clip *gathered,
                   struct clv_image *frame, int count, int value)
{
    for (int i = 0; i < count; i++) {
        fill(frame, value + i);
        clv_frame_cache_gather(cache, gathered, frame);
    }
}

static void what_a_cache_keeps(void)
{
    struct clv_frame_cache *cache = NULL;
    struct clv_frame_clip one = {0}, other = {0};
    struct clv_image small, large;
    REQUIRE_OK(clv_image_create(&small, 5, 4));
    REQUIRE_OK(clv_image_create(&large, 10, 4));
    fill(&large, 0);
    REQUIRE_OK(clv_frame_cache_create(&cache, 5, 60 * 40));
    /* Two at once. */
    for (int i = 0; i < 15; i++) {
        gather(cache, &one, &small, 1, i);
        gather(cache, &other, &small, 1, 20 + i);
    }
    CHECK(!clv_frame_cache_has(cache, 0));
    clv_frame_cache_keep(cache, &one, 0, 15);
    clv_frame_cache_keep(cache, &other, 1, 15);
    CHECK(clv_frame_cache_has(cache, 0));
    CHECK(clv_frame_cache_has(cache, 1));
    CHECK_INT(clv_frame_cache_bytes(cache), 30 * 60);
    const struct clv_image frame = clv_frame_cache_frame(cache, 1, 7);
    CHECK_INT(frame.width, 5);
    CHECK_INT(frame.pixels[frame.stride_bytes * 3 + 14], 27);
    /* Neither a clip whose size changes, nor one that lost frames, nor one that is in already, nor
     * one that is too large, even where another leaves memory meanwhile. */
    gather(cache, &one, &small, 1, 0);
    clv_frame_cache_gather(cache, &one, &large);
    clv_frame_cache_keep(cache, &one, 2, 2);
    CHECK(!clv_frame_cache_has(cache, 2));
    gather(cache, &one, &small, 1, 0);
    clv_frame_cache_keep(cache, &one, 3, 2);
    CHECK(!clv_frame_cache_has(cache, 3));
    gather(cache, &one, &small, 3, 90);
    clv_frame_cache_keep(cache, &one, 1, 3);
    CHECK_INT(clv_frame_cache_frame(cache, 1, 2).pixels[0], 22);
    gather(cache, &other, &small, 4, 0);
    gather(cache, &one, &small, 7, 0);
    clv_frame_cache_drop(cache, &other);
    CHECK_INT(clv_frame_cache_bytes(cache), 30 * 60);
    gather(cache, &one, &small, 1, 0);
    clv_frame_cache_keep(cache, &one, 4, 8);
    CHECK(!clv_frame_cache_has(cache, 4));
    CHECK_INT(clv_frame_cache_bytes(cache), 30 * 60);
    gather(cache, &one, &small, 10, 0);
    clv_frame_cache_keep(cache, &one, 4, 10);
    CHECK(clv_frame_cache_has(cache, 4));
    clv_frame_cache_free(cache);
    clv_image_release(&small);
    clv_image_release(&large);
}

static void long_clips(void)
{
    struct clv_labels labels;
    directory = t_directory();
    clip_write(directory, "long.mp4",
               &(struct clip){.width = 64, .height = 48, .frame_count = 1000, .rate_num = 10});
    struct clv_labelled *labelled =
        source_of(&labels, "path,label,start,end\nlong.mp4,x,,\nlong.mp4,x,20,95\n"
                           "long.mp4,x,80,400\n");
    REQUIRE(labelled);
    check_frames(labelled, 0, 0, 1000, 8, false, 0);
    check_frames(labelled, 0, 0, 1000, 50, true, 4);
    check_frames(labelled, 1, 200, 750, 8, false, 0);
    check_frames(labelled, 1, 200, 750, 8, true, 5);
    check_frames(labelled, 2, 800, 200, 8, false, 0);
    clv_labelled_free(labelled);
    clv_labels_release(&labels);
}

static void broken_clips(void)
{
    struct clv_labels labels;
    int numbers[8];
    directory = t_directory();
    const char *good =
        clip_write(directory, "a.mp4", &(struct clip){.width = 64, .height = 48, .frame_count = 9});
    size_t size;
    uint8_t *bytes = clip_bytes(good, &size);
    REQUIRE(bytes && size > 400);
    clip_put(t_path(directory, "cut.mp4"), bytes, 200);
    clip_put(t_path(directory, "text.mp4"), "nothing of a film\n", 18);
    free(bytes);
    struct clv_labelled *labelled =
        source_of(&labels, "path,label,start\nmissing.mp4,x,\ncut.mp4,x,\ntext.mp4,x,\n"
                           "a.mp4,x,70\na.mp4,x,0\n");
    REQUIRE(labelled);
    CHECK_ERROR(read_clip(numbers, labelled, 0, 4, true, 0), CLV_ENOTFOUND, "missing.mp4");
    int status = read_clip(numbers, labelled, 1, 4, true, 0);
    CHECK(status == CLV_ECORRUPT || status == CLV_EUNSUPPORTED);
    CHECK_ERROR(status, status, "cut.mp4");
    status = read_clip(numbers, labelled, 2, 4, true, 0);
    CHECK(status == CLV_ECORRUPT || status == CLV_EUNSUPPORTED);
    CHECK_ERROR(status, status, "text.mp4");
    CHECK_ERROR(read_clip(numbers, labelled, 3, 4, true, 0), CLV_EINVAL, "has no frame from 1:10");
    /* What was wrong with them does not stay. */
    check_frames(labelled, 4, 0, 9, 4, false, 0);
    clv_labelled_free(labelled);
    clv_labels_release(&labels);
}

/* The two sides of a split are whole and apart, and keep classes and sentences. */
static void sides_of_a_split(void)
{
    struct clv_labels labels;
    struct clv_labelled *train = NULL, *held = NULL;
    directory = t_directory();
    const char *list = t_path(directory, "l.csv");
    const char *text = "path,label,caption\na,x,one\nb,y,two\nc,x,three\nc,y,four\n";
    struct clv_labels_options options = {.captions_path = list};
    const bool held_out[] = {false, true, true, false};
    CHECK_OK(clv_file_replace(list, text, strlen(text)));
    REQUIRE_OK(clv_labels_open(&labels, list, &options));
    REQUIRE_OK(clv_labelled_create(&train, &labels, held_out, false,
                                   &(struct clv_labelled_options){.thread_count = 1}));
    REQUIRE_OK(clv_labelled_create(&held, &labels, held_out, true,
                                   &(struct clv_labelled_options){.thread_count = 1}));
    const struct clv_clips *a = clv_labelled_clips(train), *b = clv_labelled_clips(held);
    CHECK_INT(a->clip_count, 2);
    CHECK_INT(b->clip_count, 2);
    CHECK_STRING(a->name(a->payload, 1), "c");
    CHECK_STRING(b->name(b->payload, 0), "b");
    CHECK_INT(b->classes[0], 1);
    CHECK_STRING(a->sentences[a->sentence_starts[0]], "one");
    /* Two clips cut out of one file keep what is said of each. */
    CHECK_INT(a->sentence_starts[2], 2);
    CHECK_STRING(a->sentences[a->sentence_starts[1]], "four");
    CHECK_STRING(b->sentences[b->sentence_starts[1]], "three");
    clv_labelled_free(train);
    clv_labelled_free(held);
    clv_labelled_free(NULL);
    clv_labels_release(&labels);
}

/* Which sentences are true of which clips, by their facts; clips of one file told apart by time. */
static void facts_of_clips(void)
{
    struct clv_labels labels;
    struct clv_captions captions;
    struct clv_labelled *labelled = NULL;
    directory = t_directory();
    const char *list = t_path(directory, "l.csv"), *table = t_path(directory, "s.csv");
    const char *facts = t_path(directory, "f.csv");
    const char *rows = "path,label\na,x\nb,x\nc,x\nd,x\n";
    const char *texts = "path,sentence,action,place\na,one sits,sit,\nb,sits in a park,sit,park\n"
                        "c,one runs,run,\nd,a sentence of its own,,\n";
    const char *truths = "path,action,place\na,sit,house\nb,sit,park\nc,run,park\n";
    CHECK_OK(clv_file_replace(list, rows, strlen(rows)));
    CHECK_OK(clv_file_replace(table, texts, strlen(texts)));
    CHECK_OK(clv_file_replace(facts, truths, strlen(truths)));
    struct clv_labels_options options = {.captions_path = table};
    struct clv_captions_options about = {.facts_path = facts};
    REQUIRE_OK(clv_labels_open(&labels, list, &options));
    REQUIRE_OK(clv_captions_open(&captions, table, &about));
    REQUIRE_OK(clv_labelled_create(&labelled, &labels, NULL, true,
                                   &(struct clv_labelled_options){.thread_count = 1}));
    const struct clv_clips *clips = clv_labelled_clips(labelled);
    CHECK(clips->is_true_of == NULL);
    REQUIRE_OK(clv_labelled_set_truth(labelled, &captions));
    REQUIRE(clips->is_true_of != NULL);
    static const char *const want[] = {"ab", "b", "c"};
    for (int s = 0; s < 3; s++)
        for (int c = 0; c < 4; c++)
            CHECK_INT(clips->is_true_of(clips->payload, s, c), strchr(want[s], "abcd"[c]) != NULL);
    clv_labelled_free(labelled);
    clv_captions_release(&captions);
    clv_labels_release(&labels);
}

static void real_footage(void)
{
    const char *list = t_shared("footage/ut/labels.csv");
    if (!list)
        return;
    struct clv_labels labels;
    struct clv_labelled *labelled = NULL;
    const struct clv_labels_options none = {0};
    struct clv_image images[8];
    REQUIRE_OK(clv_labels_open(&labels, list, &none));
    REQUIRE_OK(clv_labelled_create(&labelled, &labels, NULL, true,
                                   &(struct clv_labelled_options){.thread_count = 2}));
    const struct clv_clips *clips = clv_labelled_clips(labelled);
    for (int i = 0; i < clips->clip_count; i += 13) {
        const struct clv_clip_request request = {i, 8, true, (uint64_t)i, 0};
        CHECK_OK(clips->read(clips->payload, images, &request));
        for (int k = 0; k < 8; k++)
            CHECK(images[k].width > 0 && images[k].height > 0);
    }
    clv_labelled_free(labelled);
    clv_labels_release(&labels);
}

int main(void)
{
    T_RUN(middles_are_the_published_ones);
    T_RUN(training_takes_one_of_each_segment);
    T_RUN(training_on_too_few_frames);
    T_RUN(the_frames_come_decoded);
    T_RUN(the_frames_come_from_the_cache);
    T_RUN(readers_do_not_disturb_each_other);
    T_RUN(what_a_cache_keeps);
    T_RUN(long_clips);
    T_RUN(broken_clips);
    T_RUN(sides_of_a_split);
    T_RUN(facts_of_clips);
    T_RUN(real_footage);
    return t_end();
}
