/* Cutting: which frames, which sound, where it starts, and that a failure leaves nothing. */
#include "tests/t.h"
#include "core/error.h"
#include "core/media/cut.h"
#include "tests/unit/clips.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct clip long_clip = {
    .width = 160, .height = 120, .frame_count = 300, .scene_length = 80};
static const char *directory, *source;

static int count_entries(void)
{
    int count = 0;
    DIR *listing = opendir(directory);
    while (listing && readdir(listing))
        count++;
    if (listing)
        closedir(listing);
    return count;
}

/* A piece has the frames first…last of a 25 fps source, from its own zero on. */
static void check_piece(const char *path, int first, int last)
{
    struct clip_reading got;
    clip_read(&got, path, 0);
    CHECK_INT(got.status, CLV_DONE);
    CHECK_INT(got.damage_count, 0);
    CHECK_INT(got.frame_count, last - first + 1);
    for (int i = 0; i < got.frame_count && i < 512; i++) {
        CHECK_INT(got.numbers[i], first + i);
        CHECK_NEAR((double)got.times_us[i], i * 40000.0, 600);
    }
    CHECK_NEAR((double)got.end_us, (last - first + 1) * 40000.0, 2000);
}

static void cuts_to_the_frame(void)
{
    static const struct {
        int64_t start_ms, end_ms;
        int first, last;
    } cases[] = {
        {0, 1000, 0, 24},         {2000, 3000, 50, 74}, {2001, 3001, 51, 75},  {40, 80, 1, 1},
        {11960, 99000, 299, 299}, {-500, 200, 0, 4},    {3140, 7300, 79, 182},
    };
    static const char *const names[] = {"piece.mp4", "piece.mkv", "piece.mov"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *target = t_path(directory, names[i % 3]);
        struct clv_cut_result result;
        const struct clv_cut_options options = {.quality = 10};
        CHECK_OK(
            clv_media_cut(&result, target, source, cases[i].start_ms, cases[i].end_ms, &options));
        CHECK_INT(result.start_ms, cases[i].first * 40);
        CHECK_INT(result.end_ms, cases[i].end_ms < (cases[i].last + 1) * 40
                                     ? cases[i].end_ms
                                     : (cases[i].last + 1) * 40);
        CHECK_INT(result.frame_count, cases[i].last - cases[i].first + 1);
        CHECK(!result.has_audio);
        size_t size;
        free(clip_bytes(target, &size));
        CHECK_INT(result.size_bytes, size);
        struct clip_reading got;
        clip_read(&got, target, 0);
        CHECK_INT(got.frame_count, result.frame_count);
        for (int f = 0; f < got.frame_count && f < 512; f++) {
            CHECK_INT(got.numbers[f], cases[i].first + f);
            CHECK_NEAR((double)got.times_us[f], f * 40000.0, 600);
        }
    }
}

static void copies_from_the_keyframe(void)
{
    const char *keyed = t_path(directory, "keyed.mp4"), *target = t_path(directory, "copy.mp4");
    struct clv_cut_result result;
    const struct clv_cut_options options = {.copy = true};
    /* Keyframes every 50 frames and nowhere else. */
    if (!clip_ffmpeg("-i %s -c:v libx264 -crf 10 -bf 2 -x264-params "
                     "keyint=50:min-keyint=50:scenecut=0 %s",
                     source, keyed))
        return;
    REQUIRE_OK(clv_media_cut(&result, target, keyed, 3000, 4000, &options));
    CHECK_INT(result.start_ms, 2000);
    CHECK(result.end_ms >= 4000 && result.end_ms <= 4160);
    CHECK_INT(result.frame_count, (result.end_ms - result.start_ms) / 40);
    CHECK(!result.has_audio);
    check_piece(target, 50, 50 + (int)result.frame_count - 1);
    REQUIRE_OK(clv_media_cut(&result, target, keyed, 4000, 5000, &options));
    CHECK_INT(result.start_ms, 4000);
    check_piece(target, 100, 100 + (int)result.frame_count - 1);
    REQUIRE_OK(clv_media_cut(&result, t_path(directory, "copy.mkv"), keyed, 0, 12000, &options));
    CHECK_INT(result.start_ms, 0);
    CHECK_INT(result.end_ms, 12000);
    check_piece(t_path(directory, "copy.mkv"), 0, 299);
    /* From a transport stream with open groups: what leans on the group before is left out. */
    const char *stream = t_path(directory, "open.ts");
    if (!clip_ffmpeg("-i %s -c:v libx264 -crf 10 -bf 3 -x264-params "
                     "open-gop=1:keyint=50:min-keyint=50:scenecut=0 -output_ts_offset 100 %s",
                     source, stream))
        return;
    struct clip_reading got;
    REQUIRE_OK(clv_media_cut(&result, target, stream, 5000, 6000, &options));
    CHECK(result.start_ms <= 5000 && result.start_ms >= 3900);
    CHECK(result.end_ms >= 6000);
    clip_read(&got, target, 0);
    CHECK_INT(got.status, CLV_DONE);
    CHECK_INT(got.frame_count, result.frame_count);
    CHECK_INT(got.numbers[0], result.start_ms / 40);
    CHECK_INT(got.numbers[got.frame_count - 1], result.end_ms / 40 - 1);
}

static void fails_without_a_trace(void)
{
    const char *target = t_path(directory, "failed.mp4");
    struct clv_cut_result result;
    struct clv_cancel cancel = {0};
    struct clv_cut_options options = {0};
    int before = count_entries();
    for (int copy = 0; copy < 2; copy++) {
        options = (struct clv_cut_options){.copy = copy};
        CHECK_ERROR(clv_media_cut(&result, target, source, 20000, 21000, &options), CLV_EINVAL,
                    "has no frame from 0:20.000 to 0:21.000");
        CHECK_ERROR(clv_media_cut(&result, target, source, 2000, 2000, &options), CLV_EINVAL,
                    "has no frame");
        CHECK_ERROR(
            clv_media_cut(&result, target, t_path(directory, "none.mp4"), 0, 1000, &options),
            CLV_ENOTFOUND, "none.mp4");
        CHECK_ERROR(clv_media_cut(&result, t_path(directory, "x.doc"), source, 0, 1000, &options),
                    CLV_EINVAL, "no video format");
        CHECK_ERROR(
            clv_media_cut(&result, t_path(directory, "no/x.mp4"), source, 0, 1000, &options),
            CLV_ENOTFOUND, "no/x.mp4");
        CHECK_ERROR(clv_media_cut(&result, source, source, 0, 1000, &options), CLV_EINVAL,
                    "a piece of itself");
        options.cancel = &cancel;
        clv_cancel_request(&cancel);
        CHECK_ERROR(clv_media_cut(&result, target, source, 0, 9000, &options), CLV_ECANCELED,
                    "canceled");
    }
    options = (struct clv_cut_options){0};
    CHECK_ERROR(clv_media_cut(&result, target, source, 2001, 2002, &options), CLV_EINVAL,
                "has no frame");
    options.quality = 99;
    CHECK_ERROR(clv_media_cut(&result, target, source, 0, 1000, &options), CLV_EINVAL, "quality");
    CHECK_INT(count_entries(), before);
    /* What stood there before stays where cutting fails, and goes where it succeeds. */
    options.quality = 0;
    clip_put(target, "kept", 4);
    CHECK_ERROR(clv_media_cut(&result, target, source, 20000, 21000, &options), CLV_EINVAL, "");
    size_t size;
    uint8_t *data = clip_bytes(target, &size);
    CHECK(size == 4 && data && memcmp(data, "kept", 4) == 0);
    free(data);
    CHECK_OK(clv_media_cut(&result, target, source, 0, 400, &options));
    check_piece(target, 0, 9);
}

/* Where the clicks of a sound are, in samples: first sample of each burst above half scale. */
static int find_clicks(const char *path, int rate, int *clicks, int click_max)
{
    const char *raw = t_path(directory, "clicks.raw");
    size_t size;
    int count = 0, quiet = rate;
    if (!clip_ffmpeg("-i %s -vn -ac 1 -ar %d -f s16le %s", path, rate, raw))
        return -1;
    uint8_t *data = clip_bytes(raw, &size);
    for (size_t i = 0; data && i + 1 < size; i += 2, quiet++) {
        int value = (int16_t)(data[i] | data[i + 1] << 8);
        if (abs(value) < 8000)
            continue;
        if (quiet > rate / 10 && count < click_max)
            clicks[count++] = (int)(i / 2);
        quiet = 0;
    }
    free(data);
    return count;
}

/* Video with a click of sound at every whole second. */
static bool make_clicking(const char *path, const char *audio_codec, const char *more)
{
    return clip_ffmpeg("-i %s -f lavfi -i "
                       "\"aevalsrc=0.9*lt(mod(t\\,1)\\,0.02)*sin(2*PI*1500*t):s=48000:d=12\" "
                       "-map 0:v -map 1:a -c:v libx264 -crf 12 -c:a %s %s %s",
                       source, audio_codec, more, path);
}

static void keeps_sound_in_time(void)
{
    static const struct {
        const char *name, *codec, *more;
        int tolerance; /* samples at 48 kHz: coding smears a click */
    } cases[] = {
        {"click.mov", "pcm_s16le", "", 48},
        {"click.mp4", "aac", "-b:a 192k", 160},
        /* FFmpeg writes Opus into Matroska its 6.5 ms of delay too early. */
        {"click.mkv", "libopus", "-ar 48000 -ac 2", 420},
        {"click.ts", "mp2", "-ac 2 -ar 44100 -output_ts_offset 77", 160},
        {"deep.mov", "pcm_s24le", "-ar 96000 -ac 6", 60},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = t_path(directory, cases[i].name);
        const char *target = t_path(directory, "sound.mp4");
        struct clv_cut_result result;
        const struct clv_cut_options options = {.quality = 20};
        int clicks[16];
        if (!make_clicking(path, cases[i].codec, cases[i].more))
            return;
        /* Sound may begin some milliseconds before the picture, and 0:00 with it. */
        struct clip_reading got;
        clip_read(&got, path, 0);
        int shift_ms = (int)((got.times_us[0] + 500) / 1000);
        CHECK(shift_ms < 20);
        REQUIRE_OK(clv_media_cut(&result, target, path, 2600, 6200 + shift_ms, &options));
        CHECK(result.has_audio);
        CHECK_INT(result.start_ms, 2600 + shift_ms);
        CHECK_INT(result.end_ms, 6200 + shift_ms);
        check_piece(target, 65, 154);
        int count = find_clicks(target, 48000, clicks, 16);
        CHECK_INT(count, 4);
        for (int k = 0; k < count; k++)
            CHECK_NEAR(clicks[k], 48 * (400 + 1000 * k), cases[i].tolerance);
        const struct clv_cut_options copy = {.copy = true};
        const struct clv_cut_options mute = {.no_audio = true};
        REQUIRE_OK(clv_media_cut(&result, target, path, 2600, 6200, &mute));
        CHECK(!result.has_audio);
        clip_read(&got, target, 0);
        CHECK(!got.info.has_audio);
        const char *copied = t_path(directory, "copied.mkv");
        REQUIRE_OK(clv_media_cut(&result, copied, path, 2600, 6200, &copy));
        CHECK(result.has_audio);
        /* Where the picture's zero lies among the sound's. */
        clip_read(&got, copied, 0);
        CHECK_INT(got.frame_count, result.frame_count);
        count = find_clicks(copied, 48000, clicks, 16);
        int first_s = (int)((result.start_ms + 999) / 1000);
        CHECK(count >= 3);
        for (int k = 0; k < count; k++)
            CHECK_NEAR(clicks[k] - 0.048 * (double)got.times_us[0],
                       48.0 * (double)(1000 * (first_s + k) - result.start_ms), 1300);
    }
}

static void fills_gaps_of_sound(void)
{
    const char *path = t_path(directory, "gap.mkv"), *target = t_path(directory, "gap.mp4");
    struct clv_cut_result result;
    const struct clv_cut_options options = {.quality = 20};
    int clicks[16];
    /* Sound only from 5 s on. */
    if (!clip_ffmpeg("-i %s -itsoffset 5 -f lavfi -i "
                     "\"aevalsrc=0.9*lt(mod(t\\,1)\\,0.02)*sin(2*PI*1500*t):s=44100:d=4\" "
                     "-map 0:v -map 1:a -c:v copy -c:a pcm_s16le %s",
                     source, path))
        return;
    REQUIRE_OK(clv_media_cut(&result, target, path, 4000, 7600, &options));
    CHECK(result.has_audio);
    CHECK_INT(find_clicks(target, 44100, clicks, 16), 3);
    for (int k = 0; k < 3; k++)
        CHECK_NEAR(clicks[k], 44100 * (1 + k), 200);
    check_piece(target, 100, 189);
    /* None at all in the range: a piece without sound. */
    REQUIRE_OK(clv_media_cut(&result, target, path, 1000, 3000, &options));
    check_piece(target, 25, 74);
    CHECK(!result.has_audio);
}

static void keeps_the_picture_right(void)
{
    const char *turned = t_path(directory, "turned.mp4"), *flat = t_path(directory, "flat.mp4");
    const char *target = t_path(directory, "right.mp4");
    struct clv_cut_result result;
    if (!clip_ffmpeg("-i %s -vf scale=161:121,setsar=2/1 -frames:v 40 -c:v libx264 -crf 8 "
                     "-pix_fmt yuv444p %s",
                     source, flat) ||
        !clip_ffmpeg("-i %s -c copy -metadata:s:v:0 rotate=270 %s", flat, turned))
        return;
    for (int copy = 0; copy < 2; copy++) {
        const struct clv_cut_options options = {.copy = copy, .quality = 8};
        struct clv_image image;
        char corners[5];
        REQUIRE_OK(clv_media_cut(&result, target, turned, 0, 800, &options));
        REQUIRE_OK(clv_image_load(&image, target));
        clip_corners(corners, &image);
        CHECK_STRING(corners, "wrgb");
        CHECK_INT(image.width, copy ? 121 : 120);
        CHECK_INT(image.height, copy ? 322 : 320);
        clv_image_release(&image);
    }
}

/* The first picture of a piece is the source's picture of that time. */
static void equals_the_source(void)
{
    static const char *const codings[] = {
        "-c:v libx264 -crf 8",
        "-c:v libx264rgb -crf 8",
        "-c:v libx264 -crf 8 -vf scale=out_range=pc -pix_fmt yuvj420p",
        "-c:v libx265 -crf 8 -pix_fmt yuv420p10le -x265-params log-level=none",
        "-c:v libx264 -crf 8 -vf scale=out_color_matrix=bt709 -colorspace bt709",
        "-c:v mpeg2video -q:v 2 -vf scale=720:576,setsar=16/15 -flags +ildct+ilme"};
    const char *target = t_path(directory, "equal.mp4");
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        const char *path = t_path(directory, "equal.mkv");
        const struct clv_cut_options options = {.quality = 4};
        const struct clv_reader_options plain = {0};
        struct clv_cut_result result;
        struct clv_reader *reader = NULL;
        struct clv_frame frame = {0};
        struct clv_image piece;
        const struct clv_image *image = NULL;
        if (!clip_ffmpeg("-i %s -frames:v 60 %s %s", source, codings[i], path))
            return;
        REQUIRE_OK(clv_media_cut(&result, target, path, 1000, 2000, &options));
        CHECK_INT(result.frame_count, 25);
        REQUIRE_OK(clv_image_load(&piece, target));
        REQUIRE_OK(clv_reader_open(&reader, path, &plain));
        for (int f = 0; f <= 25; f++)
            REQUIRE_OK(clv_reader_next(reader, &frame));
        REQUIRE_OK(clv_reader_image(reader, &image));
        CHECK_INT(piece.width, image->width);
        CHECK_INT(piece.height, image->height);
        double sum = 0;
        int width = piece.width < image->width ? piece.width : image->width;
        for (int y = 0; y < piece.height && y < image->height; y++)
            for (int x = 0; x < 3 * width; x++)
                sum += fabs((double)piece.pixels[(size_t)y * piece.stride_bytes + (size_t)x] -
                            image->pixels[(size_t)y * image->stride_bytes + (size_t)x]);
        CHECK_NEAR(sum / (3.0 * width * piece.height), 0, 3);
        clv_reader_close(reader);
        clv_image_release(&piece);
    }
}

static void keeps_uneven_times(void)
{
    const char *path = t_path(directory, "vfr.mp4"), *target = t_path(directory, "vfr-piece.mp4");
    struct clv_cut_result result;
    const struct clv_cut_options options = {.quality = 10};
    struct clip_reading got;
    if (!clip_ffmpeg("-i %s -vf \"select='not(mod(n,3))+not(mod(n,7))'\" -vsync vfr -c:v libx264 "
                     "-crf 10 %s",
                     source, path))
        return;
    REQUIRE_OK(clv_media_cut(&result, target, path, 2000, 5000, &options));
    CHECK_INT(result.start_ms, 51 * 40);
    clip_read(&got, target, 0);
    CHECK_INT(got.frame_count, result.frame_count);
    CHECK_INT(got.numbers[0], 51);
    for (int i = 0; i < got.frame_count; i++)
        CHECK_NEAR((double)got.times_us[i], (got.numbers[i] - 51) * 40000.0, 600);
    CHECK_INT(got.numbers[got.frame_count - 1], 123);
}

static void copies_only_what_has_times(void)
{
    const char *raw = t_path(directory, "raw.264");
    struct clv_cut_result result;
    struct clv_cut_options options = {.copy = true};
    if (!clip_ffmpeg("-i %s -frames:v 50 -c:v libx264 -crf 10 %s", source, raw))
        return;
    CHECK_ERROR(clv_media_cut(&result, t_path(directory, "raw.mp4"), raw, 0, 1000, &options),
                CLV_EUNSUPPORTED, "do not say when they are shown");
    options.copy = false;
    CHECK_OK(clv_media_cut(&result, t_path(directory, "raw.mp4"), raw, 400, 1000, &options));
    CHECK_INT(result.frame_count, 15);
    check_piece(t_path(directory, "raw.mp4"), 10, 24);
}

int main(void)
{
    directory = t_directory();
    t_begin("makes_a_source");
    source = clip_write(directory, "source.mp4", &long_clip);
    t_finish();
    T_RUN(cuts_to_the_frame);
    T_RUN(copies_from_the_keyframe);
    T_RUN(fails_without_a_trace);
    T_RUN(keeps_sound_in_time);
    T_RUN(fills_gaps_of_sound);
    T_RUN(keeps_the_picture_right);
    T_RUN(equals_the_source);
    T_RUN(keeps_uneven_times);
    T_RUN(copies_only_what_has_times);
    return t_end();
}
