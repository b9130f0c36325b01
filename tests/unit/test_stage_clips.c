/* The stage: same seed, same pictures; a reversal is the same bag of frames; everything moves;
 * the splits share nothing. */
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "core/media/reader.h"
#include "tests/stage/dataset.h"
#include "tests/stage/film.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 12, FRAMES_MAX = 256 };

static void digest_of(uint8_t out[CLV_DIGEST_BYTES], const struct clv_image *image)
{
    struct clv_digest digest;
    clv_digest_init(&digest);
    for (int y = 0; y < image->height; y++)
        clv_digest_add(&digest, image->pixels + (size_t)y * image->stride_bytes,
                       3 * (size_t)image->width);
    clv_digest_finish(&digest, out);
}

/* Any change to what is filmed changes this number; then claver-mini must be trained again. */
static void seed_gives_the_same_pictures_everywhere(void)
{
    struct clv_image image;
    struct clv_digest all;
    uint8_t digest[CLV_DIGEST_BYTES];
    char text[CLV_DIGEST_TEXT_SIZE];
    REQUIRE_OK(clv_image_create(&image, 80, 60));
    clv_digest_init(&all);
    for (int action = 0; action < stage_action_count(); action++) {
        struct stage_clip clip;
        stage_draw_clip(&clip, 7, (enum stage_split)(action % STAGE_SPLITS), action);
        for (int i = 0; i < 3; i++) {
            stage_render_frame(&clip, i, 3, &image);
            digest_of(digest, &image);
            clv_digest_add(&all, digest, sizeof digest);
        }
    }
    clv_digest_finish(&all, digest);
    CHECK_STRING(clv_digest_text(text, digest),
                 "25fe5535baebfd90f3da5fc3e326b84ccfda2f96969a7d099302397bc2428658");
    clv_image_release(&image);
}

/* Whatever the picture held before. */
static void instants_and_frames_agree(void)
{
    struct clv_image a, b;
    REQUIRE_OK(clv_image_create(&a, 64, 48));
    REQUIRE_OK(clv_image_create(&b, 64, 48));
    memset(a.pixels, 0, a.stride_bytes * (size_t)a.height);
    memset(b.pixels, 255, b.stride_bytes * (size_t)b.height);
    for (int action = 0; action < stage_action_count(); action++) {
        struct stage_clip clip;
        stage_draw_clip(&clip, (uint64_t)action, STAGE_TEST, action);
        clip.light[0].noise = 0; /* noise is numbered by frame in one, by instant in the other */
        stage_render_frame(&clip, 1, 4, &a);
        stage_render(&clip, 0.375, &b);
        for (int y = 0; y < a.height; y++)
            CHECK(memcmp(a.pixels + (size_t)y * a.stride_bytes,
                         b.pixels + (size_t)y * b.stride_bytes, 3 * (size_t)a.width) == 0);
    }
    clv_image_release(&a);
    clv_image_release(&b);
}

static void table_has_the_actions_asked_for(void)
{
    int count = stage_action_count(), paired = 0;
    CHECK(count >= 48);
    for (int i = 0; i < count; i++) {
        const struct stage_action *row = stage_action_at(i);
        CHECK_INT(stage_action_find(row->name), i);
        CHECK_INT(stage_action_find(row->title), i);
        CHECK(!strpbrk(row->title, ",;\"\t"));
        int other = stage_action_pair(i);
        CHECK((other >= 0) == (row->mirror != NULL));
        CHECK(row->move || other >= 0);
        if (other < 0)
            continue;
        paired++;
        const struct stage_action *back = stage_action_at(other);
        CHECK_INT(stage_action_pair(other), i);
        CHECK((row->move != NULL) != (back->move != NULL));
        unsigned said = STAGE_ALONE | STAGE_TOGETHER | STAGE_CHIRAL;
        CHECK_INT(row->flags & said, back->flags & said);
        CHECK_INT(row->props, back->props);
    }
    CHECK(paired >= 16);
    CHECK_INT(stage_action_find("sit sideways"), -1);
}

static void reversal_is_the_same_clip_backwards(void)
{
    struct clv_image image;
    REQUIRE_OK(clv_image_create(&image, 64, 64));
    for (int action = 0; action < stage_action_count(); action++) {
        int other = stage_action_pair(action);
        if (other < action)
            continue;
        struct stage_clip clips[2];
        uint8_t digests[2][FRAMES][CLV_DIGEST_BYTES];
        for (int k = 0; k < 2; k++) {
            stage_draw_clip(&clips[k], 100 + (uint64_t)action, STAGE_TRAIN, k ? other : action);
            for (int i = 0; i < FRAMES; i++) {
                stage_render_frame(&clips[k], i, FRAMES, &image);
                digest_of(digests[k][i], &image);
            }
        }
        for (int i = 0; i < FRAMES; i++)
            CHECK(memcmp(digests[0][i], digests[1][FRAMES - 1 - i], CLV_DIGEST_BYTES) == 0);
        CHECK_INT(clips[0].frame_count, clips[1].frame_count);
        CHECK_INT(clips[0].frame_rate, clips[1].frame_rate);
        CHECK(clips[0].is_reversed != clips[1].is_reversed);
    }
    clv_image_release(&image);
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, CLV_DIGEST_BYTES);
}

/* Digests of the decoded frames of a film, sorted; returns how many. */
static int decode_sorted(uint8_t digests[][CLV_DIGEST_BYTES], const char *path)
{
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    int count = 0;
    if (clv_reader_open(&reader, path, &(struct clv_reader_options){.thread_count = 1}) != CLV_OK)
        return -1;
    while (count < FRAMES_MAX && clv_reader_next(reader, &frame) == CLV_OK) {
        const struct clv_image *image;
        if (clv_reader_image(reader, &image) == CLV_OK)
            digest_of(digests[count++], image);
    }
    clv_reader_close(reader);
    qsort(digests, (size_t)count, CLV_DIGEST_BYTES, compare_digests);
    return count;
}

static void compression_keeps_the_bag_of_frames(void)
{
    static uint8_t digests[2][FRAMES_MAX][CLV_DIGEST_BYTES];
    for (int codec = 0; codec < STAGE_CODECS; codec++) {
        struct stage_clip clips[2];
        struct stage_coding coding;
        int counts[2];
        for (int k = 0; k < 2; k++) {
            char name[32];
            stage_draw_clip(&clips[k], 40 + (uint64_t)codec, STAGE_TRAIN,
                            stage_action_find(k ? "walk away" : "come closer"));
            stage_draw_coding(&coding, &clips[k]);
            coding.codec = (enum stage_codec)codec;
            coding.quality = codec == STAGE_H264 ? 30 : 7;
            coding.width = 128;
            coding.height = 96;
            snprintf(name, sizeof name, "%d-%d.%s", codec, k, stage_codec_container(coding.codec));
            const char *path = t_path(t_directory(), name);
            REQUIRE_OK(stage_film(path, &clips[k], &coding));
            counts[k] = decode_sorted(digests[k], path);
        }
        CHECK_INT(counts[0], clips[0].frame_count);
        CHECK_INT(counts[1], counts[0]);
        for (int i = 0; i < counts[0] && i < counts[1]; i++)
            CHECK(memcmp(digests[0][i], digests[1][i], CLV_DIGEST_BYTES) == 0);
    }
}

static void impossible_films_are_refused(void)
{
    struct stage_clip clip;
    struct stage_coding coding = {.codec = STAGE_MPEG4, .quality = 5, .group = 1};
    stage_draw_clip(&clip, 1, STAGE_TRAIN, 0);
    const char *path = t_path(t_directory(), "none.avi");
    CHECK_ERROR(stage_film(path, &clip, &coding), CLV_EUNSUPPORTED, "mpeg4");
    CHECK(!clv_file_exists(path));
    CHECK_ERROR(stage_film(t_path(t_directory(), "none.nonsense"), &clip, &coding), CLV_EINVAL,
                "nonsense");
}

/* Mean change of a pixel between two instants with everything still but the action. */
static double change(struct stage_clip *clip, double from, double to, struct clv_image images[2])
{
    clip->light[0].noise = 0;
    clip->light[1] = clip->light[0];
    clip->occluder.kind = STAGE_CLEAR;
    clip->shot = (struct stage_shot){.zoom_from = 1, .zoom_to = 1};
    stage_render(clip, from, &images[0]);
    stage_render(clip, to, &images[1]);
    double sum = 0;
    for (int y = 0; y < images[0].height; y++)
        for (int x = 0; x < 3 * images[0].width; x++) {
            size_t at = (size_t)y * images[0].stride_bytes + (size_t)x;
            sum += abs(images[0].pixels[at] - images[1].pixels[at]);
        }
    return sum / (3.0 * images[0].width * images[0].height);
}

static void every_action_moves(void)
{
    struct clv_image images[2];
    REQUIRE_OK(clv_image_create(&images[0], 64, 64));
    REQUIRE_OK(clv_image_create(&images[1], 64, 64));
    for (int action = 0; action < stage_action_count(); action++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct stage_clip clip;
            double most = 0;
            stage_draw_clip(&clip, seed, STAGE_VALIDATION, action);
            for (int i = 0; i < 8; i++) {
                double moved = change(&clip, 0.05, 0.15 + 0.11 * i, images);
                most = moved > most ? moved : most;
            }
            if (!(most > 0.3))
                t_fail(__FILE__, __LINE__, "'%s' hardly moves: %g", stage_action_at(action)->name,
                       most);
        }
    clv_image_release(&images[0]);
    clv_image_release(&images[1]);
}

static void check_number(enum stage_split split, int number)
{
    struct stage_pool pool = stage_split_pool(split);
    CHECK(number >= pool.first && number < pool.first + pool.count);
}

static void splits_share_nothing(void)
{
    int owner[STAGE_POOL];
    for (int i = 0; i < STAGE_POOL; i++)
        owner[i] = -1;
    for (int split = 0; split < STAGE_SPLITS; split++) {
        struct stage_pool pool = stage_split_pool((enum stage_split)split);
        CHECK(pool.count > 0 && pool.first >= 0 && pool.first + pool.count <= STAGE_POOL);
        for (int i = pool.first; i < pool.first + pool.count; i++) {
            CHECK_INT(owner[i], -1);
            owner[i] = split;
        }
        for (uint64_t k = 0; k < 500; k++) {
            struct stage_clip clip;
            uint64_t seed = k * 0x9e3779b97f4a7c15u;
            stage_draw_clip(&clip, seed, (enum stage_split)split, (int)k % stage_action_count());
            CHECK_INT(clip.seed >> 62, split);
            for (int i = 0; i < 2; i++) {
                check_number(clip.split, clip.actors[i].body);
                check_number(clip.split, clip.actors[i].palette);
            }
            check_number(clip.split, clip.layout);
            check_number(clip.split, clip.prop_palette);
        }
    }
}

int main(void)
{
    T_RUN(seed_gives_the_same_pictures_everywhere);
    T_RUN(instants_and_frames_agree);
    T_RUN(table_has_the_actions_asked_for);
    T_RUN(reversal_is_the_same_clip_backwards);
    T_RUN(compression_keeps_the_bag_of_frames);
    T_RUN(impossible_films_are_refused);
    T_RUN(every_action_moves);
    T_RUN(splits_share_nothing);
    return t_end();
}
