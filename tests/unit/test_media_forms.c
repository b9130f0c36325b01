/* The many forms a video comes in: turned, anamorphic, interlaced, of uneven rate, starting late,
 * deep colours, odd sizes, several streams, none of the usual facts. The files are made with the
 * ffmpeg program. */
#include "core/error.h"
#include "core/media/reader.h"
#include "tests/t.h"
#include "tests/unit/clips.h"

#include <stdlib.h>
#include <string.h>

static const struct clip small = {.width = 160, .height = 120, .frame_count = 50};
static const char *directory, *source;

/* The first picture of a file: its corners and size. */
static void check_first(const char *path, const char *corners, int width, int height, int rotation)
{
    const struct clv_reader_options options = {.thread_count = 1};
    const struct clv_image *image = NULL;
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    char got[5];
    REQUIRE_OK(clv_reader_open(&reader, path, &options));
    CHECK_INT(clv_reader_info(reader)->width, width);
    CHECK_INT(clv_reader_info(reader)->height, height);
    CHECK_INT(clv_reader_info(reader)->rotation, rotation);
    CHECK_OK(clv_reader_next(reader, &frame));
    CHECK_OK(clv_reader_image(reader, &image));
    if (image) {
        clip_corners(got, image);
        CHECK_STRING(got, corners);
        CHECK_INT(image->width, width);
        CHECK_INT(image->height, height);
    }
    clv_reader_close(reader);
}

static void turns_pictures_upright(void)
{
    static const struct {
        int degrees;
        const char *corners;
    } cases[] = {{0, "rgbw"}, {90, "wrgb"}, {180, "bwrg"}, {270, "gbwr"}};
    /* What FFmpeg 5 writes for rotate=N turns the picture by N counterclockwise. */
    for (int i = 0; i < 4; i++) {
        const char *path = t_path(directory, "turned.mp4");
        if (!clip_ffmpeg("-i %s -c copy -metadata:s:v:0 rotate=%d %s", source,
                         (360 - cases[i].degrees) % 360, path))
            return;
        bool is_upright = cases[i].degrees % 180 == 0;
        check_first(path, cases[i].corners, is_upright ? 160 : 120, is_upright ? 120 : 160,
                    cases[i].degrees);
    }
}

/* Finds the display matrix of the only video track, for matrices no tool writes. */
static void put_matrix(const char *path, const int32_t matrix[4])
{
    size_t size;
    uint8_t *data = clip_bytes(path, &size);
    int found = 0;
    for (size_t i = 4; data && i + 92 < size; i++) {
        if (memcmp(data + i, "tkhd", 4) != 0)
            continue;
        uint8_t *at = data + i + 4 + 40;
        for (int k = 0; k < 4; k++) {
            static const int places[4] = {0, 1, 3, 4};
            uint32_t value = (uint32_t)(matrix[k] * 65536);
            for (int b = 0; b < 4; b++)
                at[4 * places[k] + b] = (uint8_t)(value >> (24 - 8 * b));
        }
        found++;
    }
    CHECK_INT(found, 1);
    if (data)
        clip_put(path, data, size);
    free(data);
}

static void mirrors_pictures(void)
{
    static const struct {
        int32_t matrix[4];
        const char *corners;
        int rotation;
    } cases[] = {
        {{-1, 0, 0, 1}, "grwb", 0},    {{1, 0, 0, -1}, "wbgr", 0},  {{-1, 0, 0, -1}, "bwrg", 180},
        {{0, 1, 1, 0}, "rwbg", 90},    {{0, 1, -1, 0}, "wrgb", 90}, {{0, -1, 1, 0}, "gbwr", 270},
        {{0, -1, -1, 0}, "bgrw", 270}, {{0, 0, 0, 0}, "rgbw", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = clip_write(directory, "mirrored.mp4", &small);
        bool is_turned = cases[i].matrix[1] != 0;
        put_matrix(path, cases[i].matrix);
        check_first(path, cases[i].corners, is_turned ? 120 : 160, is_turned ? 160 : 120,
                    cases[i].rotation);
    }
}

static void squares_pixels(void)
{
    static const struct {
        const char *aspect;
        int width, height;
    } cases[] = {{"16/11", 233, 120},
                 {"2/1", 320, 120},
                 {"1/2", 160, 240},
                 {"1/1", 160, 120},
                 {"200/1", 160, 120}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = t_path(directory, "aspect.mkv");
        if (!clip_ffmpeg("-i %s -vf setsar=%s -c:v mpeg4 -q:v 2 %s", source, cases[i].aspect, path))
            return;
        check_first(path, "rgbw", cases[i].width, cases[i].height, 0);
    }
    const char *path = t_path(directory, "both.mp4"), *flat = t_path(directory, "flat.mp4");
    if (!clip_ffmpeg("-i %s -vf setsar=2/1 -c:v libx264 -crf 10 %s", source, flat) ||
        !clip_ffmpeg("-i %s -c copy -metadata:s:v:0 rotate=270 %s", flat, path))
        return;
    check_first(path, "wrgb", 120, 320, 90);
}

/* How much neighbouring lines differ more than lines two apart: combing. */
static double combing(const struct clv_image *image)
{
    double near = 0, far = 0;
    for (int y = image->height * 5 / 8; y < image->height * 7 / 8 - 2; y++)
        for (int x = 0; x < image->width; x++) {
            const uint8_t *at = image->pixels + (size_t)y * image->stride_bytes + 3 * x;
            near += abs(at[1] - at[image->stride_bytes + 1]);
            far += abs(at[1] - at[2 * image->stride_bytes + 1]);
        }
    return near - far;
}

static void check_interlaced(const char *path, double combing_max, int frame_count)
{
    const struct clv_reader_options options = {.thread_count = 2};
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    int64_t last = -1;
    int count = 0, status;
    double worst = 0;
    REQUIRE_OK(clv_reader_open(&reader, path, &options));
    while ((status = clv_reader_next(reader, &frame)) == CLV_OK) {
        const struct clv_image *image = NULL;
        CHECK(frame.time_ticks > last);
        last = frame.time_ticks;
        CHECK_OK(clv_reader_image(reader, &image));
        double comb = image ? combing(image) / image->width : 1e9;
        worst = comb > worst ? comb : worst;
        count++;
    }
    CHECK_INT(status, CLV_DONE);
    CHECK_INT(count, frame_count);
    if (combing_max > 0)
        CHECK_NEAR(worst, 0, combing_max);
    else
        CHECK(worst > 20);
    clv_reader_close(reader);
}

static void deinterlaces_what_says_so(void)
{
    const char *flagged = t_path(directory, "flagged.mp4"), *raw = t_path(directory, "raw.mkv");
    /* Two frames woven into one, with and without the word for it. */
    if (!clip_ffmpeg("-i %s -vf 'tinterlace=interleave_top,setfield=tff' -c:v libx264 -crf 8 "
                     "-flags +ildct+ilme -x264opts tff=1 %s",
                     source, flagged) ||
        !clip_ffmpeg("-i %s -vf 'tinterlace=interleave_top,setfield=prog' -c:v libx264 -crf 8 "
                     "%s",
                     source, raw))
        return;
    check_interlaced(raw, 0, 25);
    check_interlaced(flagged, 5, 25);
    /* Progressive, then interlaced at another size, then progressive again. */
    const char *a = t_path(directory, "j1.ts"), *b = t_path(directory, "j2.ts"),
               *list = t_path(directory, "j.ts");
    if (!clip_ffmpeg("-i %s -c:v mpeg2video -q:v 2 -bf 0 %s", source, a) ||
        !clip_ffmpeg("-i %s -vf 'scale=192:144,tinterlace=interleave_top' -c:v mpeg2video -q:v 2 "
                     "-bf 0 -flags +ildct+ilme -output_ts_offset 4 %s",
                     source, b))
        return;
    size_t size_a, size_b;
    uint8_t *data_a = clip_bytes(a, &size_a), *data_b = clip_bytes(b, &size_b);
    uint8_t *both = malloc(2 * size_a + size_b);
    REQUIRE(data_a && data_b && both);
    memcpy(both, data_a, size_a);
    memcpy(both + size_a, data_b, size_b);
    memcpy(both + size_a + size_b, data_a, size_a);
    clip_put(list, both, 2 * size_a + size_b);
    free(both), free(data_a), free(data_b);
    struct clip_reading got;
    clip_read(&got, list, 10);
    CHECK_INT(got.status, CLV_DONE);
    CHECK(got.frame_count >= 120 && got.frame_count <= 125);
}

static void keeps_uneven_times(void)
{
    /* Frames 0…9 of 25 a second, then every fourth only, then a pause. */
    const char *path = t_path(directory, "vfr.mp4");
    struct clip_reading got;
    if (!clip_ffmpeg("-i %s -vf \"select='lt(n,10)+gte(n,40)+not(mod(n,4))'\" -vsync vfr "
                     "-c:v libx264 -crf 12 -video_track_timescale 12800 %s",
                     source, path))
        return;
    clip_read(&got, path, 0);
    CHECK_INT(got.status, CLV_DONE);
    CHECK_INT(got.frame_count, 10 + 7 + 10 + 0);
    for (int i = 0; i < got.frame_count && i < 512; i++)
        CHECK_NEAR((double)got.times_us[i], got.numbers[i] * 40000.0, 100);
}

static void starts_late(void)
{
    struct clip_reading got;
    const char *path = t_path(directory, "late.ts");
    if (!clip_ffmpeg("-i %s -c:v libx264 -crf 12 -output_ts_offset 500 %s", source, path))
        return;
    clip_read(&got, path, 0);
    CHECK_INT(got.frame_count, 50);
    CHECK(clv_time_seconds(got.info.start_ticks, got.info.timebase) > 500);
    CHECK_INT(got.times_us[0], 0);
    CHECK_NEAR((double)got.times_us[49], 49 * 40000.0, 100);
    CHECK_INT(got.numbers[49], 49);
    /* Sound from 0:00 and the first picture a second later. */
    path = t_path(directory, "late.mkv");
    if (!clip_ffmpeg("-itsoffset 1 -i %s -f lavfi -i sine=d=3 -c:v copy -c:a pcm_s16le -map 0:v "
                     "-map 1:a %s",
                     source, path))
        return;
    clip_read(&got, path, 0);
    CHECK_INT(got.frame_count, 50);
    CHECK(got.info.has_audio);
    CHECK_NEAR((double)got.times_us[0], 1e6, 1001);
}

static void reads_edit_lists(void)
{
    struct clip_reading got;
    const char *path = t_path(directory, "edit.mp4");
    /* A copy from the middle of a group: an edit list hides the frames before. */
    if (!clip_ffmpeg("-ss 0.8 -i %s -c copy %s", source, path))
        return;
    clip_read(&got, path, 0);
    CHECK_INT(got.status, CLV_DONE);
    CHECK_INT(got.numbers[0], 20);
    CHECK_INT(got.times_us[0], 0);
    CHECK_INT(got.frame_count, 30);
}

static void reads_deep_and_odd_formats(void)
{
    static const char *const codings[] = {
        "-c:v libx264 -crf 8 -pix_fmt yuv420p10le",
        "-c:v libx264 -crf 8 -pix_fmt yuv422p10le",
        "-c:v libx264 -crf 8 -pix_fmt yuv444p",
        "-c:v libx265 -crf 8 -pix_fmt yuv420p12le -x265-params log-level=none",
        "-c:v libx264 -crf 8 -vf scale=out_range=pc -pix_fmt yuvj420p",
        "-c:v libx264 -crf 8 -vf scale=out_color_matrix=bt709 -colorspace bt709",
        "-c:v libx264rgb -crf 8",
        "-c:v ffv1 -pix_fmt gbrp16le",
        "-c:v rawvideo -pix_fmt uyvy422",
        "-c:v rawvideo -pix_fmt bgr24",
        "-c:v mjpeg -q:v 2 -pix_fmt yuvj444p",
        "-c:v prores_ks",
        "-c:v qtrle",
        "-c:v png",
    };
    struct clip_reading got;
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        const char *path = t_path(directory, "deep.mov");
        if (!clip_ffmpeg("-i %s -frames:v 6 %s %s 2>/dev/null", source, codings[i], path))
            return;
        clip_read(&got, path, 10);
        CHECK_INT(got.status, CLV_DONE);
        CHECK_INT(got.frame_count, 6);
        CHECK_INT(got.numbers[5], 5);
        CHECK_INT(got.cut_count, 0);
        check_first(path, "rgbw", 160, 120, 0);
        struct clv_image image;
        REQUIRE_OK(clv_image_load(&image, path));
        /* The scene's colour where the bar is not, within what 4:2:0 and a matrix cost. */
        static const int colour[3] = {40, 60, 160};
        const uint8_t *at = image.pixels + 72 * image.stride_bytes + 3 * (size_t)120;
        for (int c = 0; c < 3; c++)
            CHECK_NEAR(at[c], colour[c], 6);
        clv_image_release(&image);
    }
}

static void reads_odd_sizes(void)
{
    static const int sizes[][2] = {{161, 121}, {33, 17}, {2, 2}, {1, 1}, {7, 480}, {641, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct clip_reading got;
        const char *path = t_path(directory, "odd.mkv");
        if (!clip_ffmpeg("-i %s -frames:v 4 -vf scale=%d:%d -pix_fmt yuv420p -c:v ffv1 %s", source,
                         sizes[i][0], sizes[i][1], path))
            return;
        clip_read(&got, path, 10);
        CHECK_INT(got.status, CLV_DONE);
        CHECK_INT(got.frame_count, 4);
        CHECK_INT(got.info.width, sizes[i][0]);
        CHECK_INT(got.info.height, sizes[i][1]);
    }
}

static void picks_the_video(void)
{
    struct clip_reading got;
    const char *cover = t_path(directory, "cover.png"), *path = t_path(directory, "two.mkv");
    /* A large cover picture and a smaller second video. */
    if (!clip_ffmpeg("-f lavfi -i color=red:s=800x600 -frames:v 1 %s", cover) ||
        !clip_ffmpeg("-i %s -i %s -map 1 -map 0 -c:v:0 png -disposition:v:0 attached_pic -c:v:1 "
                     "copy %s",
                     source, cover, t_path(directory, "covered.mp4")))
        return;
    clip_read(&got, t_path(directory, "covered.mp4"), 0);
    CHECK_INT(got.frame_count, 50);
    CHECK_INT(got.info.width, 160);
    if (!clip_ffmpeg("-i %s -map 0 -map 0 -c:v:0 copy -c:v:1 mpeg4 -s:v:1 80x60 %s", source, path))
        return;
    clip_read(&got, path, 0);
    CHECK_INT(got.frame_count, 50);
    CHECK_INT(got.info.width, 160);
    struct clv_reader *reader = NULL;
    const struct clv_reader_options options = {0};
    const char *sound = t_path(directory, "sound.mp4"), *song = t_path(directory, "song.mp3");
    if (!clip_ffmpeg("-f lavfi -i sine=d=1 -c:a aac %s", sound) ||
        !clip_ffmpeg("-f lavfi -i sine=d=1 -i %s -map 0 -map 1 -c:a libmp3lame -c:v png "
                     "-disposition:v:0 attached_pic %s",
                     cover, song))
        return;
    CHECK_ERROR(clv_reader_open(&reader, sound, &options), CLV_EUNSUPPORTED, "has no video stream");
    CHECK_ERROR(clv_reader_open(&reader, song, &options), CLV_EUNSUPPORTED, "has no video stream");
}

static void follows_changes_of_size(void)
{
    struct clip_reading got;
    const char *a = t_path(directory, "a.264"), *b = t_path(directory, "b.264");
    const char *path = t_path(directory, "change.264");
    size_t size_a, size_b;
    if (!clip_ffmpeg("-i %s -frames:v 20 -c:v libx264 -crf 10 -bf 0 %s", source, a) ||
        !clip_ffmpeg("-i %s -vf \"select='gte(n,20)',scale=240:200\" -c:v libx264 -crf 10 -bf 0 "
                     "-pix_fmt yuv444p %s",
                     source, b))
        return;
    uint8_t *data_a = clip_bytes(a, &size_a), *data_b = clip_bytes(b, &size_b);
    uint8_t *both = malloc(size_a + size_b);
    REQUIRE(data_a && data_b && both);
    memcpy(both, data_a, size_a);
    memcpy(both + size_a, data_b, size_b);
    clip_put(path, both, size_a + size_b);
    free(both), free(data_a), free(data_b);
    /* Raw H.264 has no times either: they are counted at the frame rate. */
    clip_read(&got, path, 10);
    CHECK_INT(got.status, CLV_DONE);
    CHECK_INT(got.frame_count, 50);
    CHECK_INT(got.cut_count, 0);
    CHECK_INT(got.info.duration_ticks, 0);
    for (int i = 0; i < got.frame_count; i++) {
        CHECK_INT(got.numbers[i], i);
        CHECK_NEAR((double)got.times_us[i], i * 40000.0, 100);
    }
}

static void refuses_giants(void)
{
    struct clv_reader *reader = NULL;
    const struct clv_reader_options options = {0};
    const char *path = t_path(directory, "giant.png");
    /* A PNG that claims 30000 x 30000 pixels and holds none. */
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', 13,  10,   26,   10,   0,   0, 0,    13,
                                  'I',  'H', 'D', 'R', 0,   0,    0x75, 0x30, 0,   0, 0x75, 0x30,
                                  8,    2,   0,   0,   0,   0,    0,    0,    0,   0, 0,    0,
                                  0,    'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    clip_put(path, png, sizeof png);
    int status = clv_reader_open(&reader, path, &options);
    struct clv_frame frame;
    if (status == CLV_OK)
        status = clv_reader_next(reader, &frame);
    CHECK(status < 0);
    CHECK(strstr(clv_error_message(), "giant.png") != NULL);
    clv_reader_close(reader);
}

int main(void)
{
    directory = t_directory();
    t_begin("makes_a_source");
    source = clip_write(directory, "source.mp4", &small);
    t_finish();
    T_RUN(turns_pictures_upright);
    T_RUN(mirrors_pictures);
    T_RUN(squares_pixels);
    T_RUN(deinterlaces_what_says_so);
    T_RUN(keeps_uneven_times);
    T_RUN(starts_late);
    T_RUN(reads_edit_lists);
    T_RUN(reads_deep_and_odd_formats);
    T_RUN(reads_odd_sizes);
    T_RUN(picks_the_video);
    T_RUN(follows_changes_of_size);
    T_RUN(refuses_giants);
    return t_end();
}
