/* Reading what the writer wrote, seeking in it, and refusing what is no video. */
#include "core/error.h"
#include "core/media/reader.h"
#include "core/media/writer.h"
#include "tests/t.h"
#include "tests/unit/clips.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct clv_reader_options plain = {.thread_count = 2};

static void gives_back_every_frame(void)
{
    static const struct {
        int width, height, rate_num, rate_den;
        const char *name;
    } cases[] = {
        {320, 240, 25, 1, "a.mp4"},   {322, 178, 30000, 1001, "b.mkv"},
        {64, 48, 10, 1, "c.mov"},     {1280, 720, 50, 1, "d d'%d.mp4"},
        {160, 120, 25, 1, "e:f.avi"},
    };
    const char *directory = t_directory();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct clip clip = {
            cases[i].width, cases[i].height, 40, cases[i].rate_num, cases[i].rate_den, 0, 0};
        struct clip_reading got;
        clip_read(&got, clip_write(directory, cases[i].name, &clip), 0);
        CHECK_INT(got.status, CLV_DONE);
        CHECK_INT(got.frame_count, 40);
        CHECK_INT(got.info.width, clip.width);
        CHECK_INT(got.info.height, clip.height);
        CHECK_INT(got.info.rotation, 0);
        CHECK_INT(got.damage_count, 0);
        CHECK(!got.info.has_audio);
        CHECK_STRING(got.info.codec, "h264");
        double frame_us = 1e6 * clip.rate_den / clip.rate_num;
        CHECK_NEAR(got.info.frame_rate, 1e6 / frame_us, 0.02);
        /* AVI stores no presentation times; Matroska counts milliseconds. */
        double shift = got.times_us[0];
        CHECK_NEAR(shift, 0, strstr(cases[i].name, "avi") ? 2 * frame_us : 1);
        for (int f = 0; f < 40; f++) {
            CHECK_INT(got.numbers[f], f);
            CHECK_NEAR((double)got.times_us[f] - shift, f * frame_us, 600);
        }
        CHECK_NEAR((double)got.end_us - shift, 40 * frame_us, 1100);
    }
}

static const uint8_t colours[][3] = {{200, 30, 40},   {30, 180, 60},   {40, 50, 210},
                                     {128, 128, 128}, {250, 250, 250}, {4, 4, 4}};
#define COLOUR_COUNT (sizeof colours / sizeof *colours)

static int draw_colour(void *payload, struct clv_image *image, int index)
{
    (void)payload;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++)
            memcpy(image->pixels + (size_t)y * image->stride_bytes + 3 * (size_t)x, colours[index],
                   3);
    return CLV_OK;
}

static void gives_true_colours(void)
{
    static const int sizes[][2] = {{320, 240}, {1280, 720}};
    const char *path = t_path(t_directory(), "colours.mp4");
    for (size_t s = 0; s < 2; s++) {
        struct clv_reader *reader = NULL;
        struct clv_frame frame;
        const struct clv_writer_options options = {
            .width = sizes[s][0], .height = sizes[s][1], .frame_time = {1, 5}, .quality = 4};
        REQUIRE_OK(clv_writer_film(path, &options, COLOUR_COUNT, draw_colour, NULL));
        REQUIRE_OK(clv_reader_open(&reader, path, &plain));
        for (size_t c = 0; c < COLOUR_COUNT; c++) {
            const struct clv_image *shown = NULL;
            CHECK_OK(clv_reader_next(reader, &frame));
            CHECK_OK(clv_reader_image(reader, &shown));
            for (int channel = 0; shown && channel < 3; channel++)
                CHECK_NEAR(clip_mean(shown, channel), colours[c][channel], 3);
        }
        clv_reader_close(reader);
    }
}

static void keeps_one_picture(void)
{
    const struct clip clip = {.width = 160, .height = 120, .frame_count = 5};
    const char *path = clip_write(t_directory(), "a.mp4", &clip);
    struct clv_reader *reader = NULL;
    const struct clv_image *first = NULL, *again = NULL;
    struct clv_frame frame;
    REQUIRE_OK(clv_reader_open(&reader, path, &plain));
    CHECK_ERROR(clv_reader_image(reader, &first), CLV_EINVAL, "no frame");
    CHECK_OK(clv_reader_next(reader, &frame));
    CHECK_OK(clv_reader_image(reader, &first));
    CHECK_OK(clv_reader_image(reader, &again));
    CHECK(first == again && first->pixels == again->pixels);
    CHECK_INT(clip_number(again), 0);
    for (int i = 1; i < 5; i++)
        CHECK_OK(clv_reader_next(reader, &frame));
    CHECK_OK(clv_reader_image(reader, &again));
    CHECK_INT(clip_number(again), 4);
    CHECK_INT(clv_reader_next(reader, &frame), CLV_DONE);
    CHECK_INT(clv_reader_next(reader, &frame), CLV_DONE);
    clv_reader_close(reader);
    clv_reader_close(NULL);
}

static void finds_cuts(void)
{
    /* Cuts where the colour changes, none where only the bar and the number move. */
    const struct clip clip = {.width = 320, .height = 180, .frame_count = 90, .scene_length = 30};
    const char *directory = t_directory();
    struct clip_reading got;
    clip_read(&got, clip_write(directory, "cuts.mp4", &clip), 10);
    CHECK_INT(got.frame_count, 90);
    CHECK_INT(got.cut_count, 2);
    CHECK_INT(got.cuts[0], 30);
    CHECK_INT(got.cuts[1], 60);
    const struct clip still = {.width = 320, .height = 180, .frame_count = 60};
    clip_read(&got, clip_write(directory, "still.mp4", &still), 10);
    CHECK_INT(got.frame_count, 60);
    CHECK_INT(got.cut_count, 0);
    clip_read(&got, t_path(directory, "cuts.mp4"), 90);
    CHECK_INT(got.cut_count, 0);
    clip_read(&got, t_path(directory, "cuts.mp4"), 0);
    CHECK_INT(got.cut_count, 0);
}

/* After a seek the next frame is at or before the target, and sequence and pixels go on right. */
static void check_seeks(const char *path, int frame_count, int first_number)
{
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    static int64_t times[512];
    uint64_t seed = 7;
    REQUIRE_OK(clv_reader_open(&reader, path, &plain));
    for (int i = 0; i < frame_count; i++) {
        REQUIRE_OK(clv_reader_next(reader, &frame));
        times[i] = frame.time_ticks;
    }
    CHECK_INT(clv_reader_next(reader, &frame), CLV_DONE);
    for (int trial = 0; trial < 24; trial++) {
        int wanted = trial < 2 ? trial * (frame_count - 1) : (int)(t_uniform(&seed) * frame_count);
        const struct clv_image *image = NULL;
        CHECK_OK(clv_reader_seek(reader, times[wanted]));
        CHECK_ERROR(clv_reader_image(reader, &image), CLV_EINVAL, "no frame");
        REQUIRE_OK(clv_reader_next(reader, &frame));
        CHECK(frame.time_ticks <= times[wanted]);
        CHECK(!frame.is_cut);
        int at = 0;
        while (at < frame_count && times[at] < frame.time_ticks)
            at++;
        for (; at <= wanted; at++) {
            CHECK_INT(frame.time_ticks, times[at]);
            if (at < wanted)
                REQUIRE_OK(clv_reader_next(reader, &frame));
        }
        REQUIRE_OK(clv_reader_image(reader, &image));
        CHECK_INT(clip_number(image), first_number + wanted);
    }
    CHECK_OK(clv_reader_seek(reader, times[frame_count - 1] + 1000000));
    int rest = 0;
    while (clv_reader_next(reader, &frame) == CLV_OK)
        rest++;
    CHECK(rest >= 1);
    CHECK_INT(frame.time_ticks, times[frame_count - 1]);
    CHECK_OK(clv_reader_seek(reader, INT64_MIN / 4));
    CHECK_OK(clv_reader_next(reader, &frame));
    CHECK_INT(frame.time_ticks, times[0]);
    clv_reader_close(reader);
}

static void seeks(void)
{
    const struct clip clip = {.width = 160, .height = 120, .frame_count = 400, .scene_length = 70};
    const char *directory = t_directory();
    check_seeks(clip_write(directory, "s.mp4", &clip), 400, 0);
    check_seeks(clip_write(directory, "s.mkv", &clip), 400, 0);
}

static void seeks_in_every_container(void)
{
    static const char *const names[] = {"s.ts", "s.mpg", "s.avi", "s.flv", "s.webm", "s.mp4"};
    static const char *const codecs[] = {
        "-c:v libx264 -bf 3 -x264-params open-gop=1:keyint=40",
        "-c:v mpeg2video -q:v 3 -bf 2 -g 15",
        "-c:v mpeg4 -q:v 3 -g 30",
        "-c:v flv -q:v 3 -g 30",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 20 -b:v 0 -g 50",
        "-c:v libx265 -crf 16 -x265-params log-level=none:keyint=30"};
    const struct clip clip = {.width = 160, .height = 120, .frame_count = 200, .scene_length = 70};
    const char *directory = t_directory();
    const char *source = clip_write(directory, "source.mp4", &clip);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = t_path(directory, names[i]);
        if (!clip_ffmpeg("-i %s %s -pix_fmt yuv420p %s 2>/dev/null", source, codecs[i], path))
            return;
        check_seeks(path, 200, 0);
    }
}

static void refuses_what_is_no_video(void)
{
    const char *directory = t_directory();
    const char *path = t_path(directory, "x.mp4");
    struct clv_reader *reader = (struct clv_reader *)&directory;
    uint8_t noise[5000];
    uint64_t seed = 3;
    CHECK_ERROR(clv_reader_open(&reader, path, &plain), CLV_ENOTFOUND, "x.mp4");
    CHECK(reader == NULL);
    CHECK_ERROR(clv_reader_open(&reader, directory, &plain), CLV_EINVAL, "is a directory");
    clip_put(path, "", 0);
    CHECK_ERROR(clv_reader_open(&reader, path, &plain), CLV_ECORRUPT, "is empty");
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)t_random(&seed);
    clip_put(path, noise, sizeof noise);
    CHECK_ERROR(clv_reader_open(&reader, path, &plain), CLV_ECORRUPT, "x.mp4");
    const char *text = t_path(directory, "notes.txt");
    clip_put(text, "To be done today:\n- nothing\n- and then some\n", 44);
    CHECK_ERROR(clv_reader_open(&reader, text, &plain), CLV_ECORRUPT, "notes.txt");
    const char *fifo = t_path(directory, "fifo.mp4");
    REQUIRE(mkfifo(fifo, 0600) == 0);
    CHECK_ERROR(clv_reader_open(&reader, fifo, &plain), CLV_EINVAL, "not a regular file");
    CHECK(reader == NULL);
}

/* A file that names others gets none of them opened. */
static void opens_nothing_else(void)
{
    const struct clip clip = {.width = 64, .height = 48, .frame_count = 5};
    const char *directory = t_directory();
    clip_write(directory, "a.mp4", &clip);
    static const char *const texts[] = {
        "ffconcat version 1.0\nfile a.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\na.mp4\n#EXT-X-ENDLIST\n",
        "v=0\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\n",
    };
    static const char *const names[] = {"list.mp4", "list.m3u8", "list.sdp"};
    struct clv_reader *reader = NULL;
    for (int i = 0; i < 3; i++) {
        const char *path = t_path(directory, names[i]);
        clip_put(path, texts[i], strlen(texts[i]));
        CHECK_ERROR(clv_reader_open(&reader, path, &plain), CLV_EUNSUPPORTED,
                    "only refers to other files");
    }
    /* A name with a pattern in it is one file, not a series. */
    struct clv_image image;
    CHECK_ERROR(clv_image_load(&image, t_path(directory, "a%d.jpg")), CLV_ENOTFOUND, "a%d.jpg");
}

static void survives_truncation(void)
{
    const struct clip clip = {.width = 160, .height = 120, .frame_count = 60, .scene_length = 20};
    const char *directory = t_directory();
    static const char *const names[] = {"t.mp4", "t.mkv", "t.avi"};
    uint64_t seed = 11;
    for (int n = 0; n < 3; n++) {
        const char *path = clip_write(directory, names[n], &clip);
        size_t size;
        uint8_t *data = clip_bytes(path, &size);
        for (int trial = 0; data && trial < 12; trial++) {
            struct clip_reading got;
            size_t kept = (size_t)(t_uniform(&seed) * (double)size);
            clip_put(path, data, kept);
            clip_read(&got, path, 10);
            CHECK(got.frame_count <= 60);
            CHECK(got.status == CLV_DONE || clv_error_message()[0]);
            CHECK(got.status == CLV_DONE || strstr(clv_error_message(), names[n]));
            CHECK(got.status != CLV_DONE || got.frame_count > 0);
        }
        /* The index first, so that half a file still gives about half its frames. */
        if (data) {
            struct clip_reading got;
            clip_put(path, data, size * 3 / 4);
            clip_read(&got, path, 0);
            CHECK(got.frame_count > 10 && got.frame_count < 60);
            for (int i = 0; i < got.frame_count - 3; i++)
                CHECK_INT(got.numbers[i], i);
        }
        free(data);
    }
}

static void survives_damage(void)
{
    const struct clip clip = {.width = 160, .height = 120, .frame_count = 100, .scene_length = 20};
    const char *path = clip_write(t_directory(), "d.mkv", &clip);
    size_t size;
    uint8_t *data = clip_bytes(path, &size);
    uint64_t seed = 5;
    for (int trial = 0; data && trial < 15; trial++) {
        struct clip_reading got;
        uint8_t *broken = malloc(size);
        REQUIRE(broken != NULL);
        memcpy(broken, data, size);
        for (int i = 0; i < 1 << trial % 8; i++)
            broken[(size_t)(t_uniform(&seed) * (double)size)] ^=
                (uint8_t)(1 + t_random(&seed) % 255);
        clip_put(path, broken, size);
        free(broken);
        clip_read(&got, path, 10);
        CHECK(got.status == CLV_DONE ? got.frame_count > 0 : clv_error_message()[0] != 0);
        for (int i = 1; i < got.frame_count && i < 512; i++)
            CHECK(got.times_us[i] >= got.times_us[i - 1]);
    }
    free(data);
}

static void can_be_canceled(void)
{
    const struct clip clip = {.width = 160, .height = 120, .frame_count = 60};
    const char *path = clip_write(t_directory(), "a.mp4", &clip);
    struct clv_cancel cancel = {0};
    const struct clv_reader_options options = {.cancel = &cancel};
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    REQUIRE_OK(clv_reader_open(&reader, path, &options));
    CHECK_OK(clv_reader_next(reader, &frame));
    clv_cancel_request(&cancel);
    int status = clv_reader_next(reader, &frame);
    if (status == CLV_OK)
        status = clv_reader_next(reader, &frame);
    CHECK_ERROR(status, CLV_ECANCELED, "a.mp4");
    clv_reader_close(reader);
    CHECK_ERROR(clv_reader_open(&reader, path, &options), CLV_ECANCELED, "a.mp4");
    CHECK(reader == NULL);
}

static int count_entries(const char *directory)
{
    int count = 0;
    struct dirent *entry;
    DIR *listing = opendir(directory);
    while (listing && (entry = readdir(listing)))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (listing)
        closedir(listing);
    return count;
}

static int draw_some(void *payload, struct clv_image *image, int index)
{
    const int *last = payload;
    if (index > *last)
        return clv_fail(CLV_ECANCELED, "no more than %d", *last);
    clip_paint(image, index, 0);
    return CLV_OK;
}

static void writes_whole_films_or_none(void)
{
    const char *directory = t_directory();
    const char *path = t_path(directory, "film.mp4");
    struct clv_writer_options options = {.width = 64, .height = 48, .frame_time = {1, 25}};
    struct clip_reading got;
    int last = 11;
    CHECK_ERROR(clv_writer_film(path, &options, 20, draw_some, &last), CLV_ECANCELED,
                "no more than 11");
    CHECK_INT(count_entries(directory), 0);
    CHECK_ERROR(clv_writer_film(path, &options, 0, draw_some, &last), CLV_EINVAL, "no picture");
    CHECK_INT(count_entries(directory), 0);
    CHECK_OK(clv_writer_film(path, &options, 12, draw_some, &last));
    clip_read(&got, path, 0);
    CHECK_INT(got.frame_count, 12);
    CHECK_INT(got.numbers[11], 11);
    options.height = 47;
    CHECK_ERROR(clv_writer_film(path, &options, 12, draw_some, &last), CLV_EINVAL, "even");
    CHECK_INT(count_entries(directory), 1);
}

static void writes_whole_files_or_none(void)
{
    const char *directory = t_directory();
    const char *path = t_path(directory, "w.mp4");
    struct clv_writer_options options = {.width = 64, .height = 48, .frame_time = {1, 25}};
    struct clv_writer *writer = NULL;
    struct clv_image image;
    REQUIRE_OK(clv_image_create(&image, 64, 48));
    clip_paint(&image, 1, 0);
    REQUIRE_OK(clv_writer_open(&writer, path, &options));
    CHECK_OK(clv_writer_add(writer, &image));
    CHECK(access(path, F_OK) != 0);
    struct dirent *entry;
    DIR *listing = opendir(directory);
    while (listing && (entry = readdir(listing)))
        CHECK(entry->d_name[0] == '.' && !clv_media_is_video_name(entry->d_name));
    if (listing)
        closedir(listing);
    clv_writer_abort(writer);
    CHECK_INT(count_entries(directory), 0);
    REQUIRE_OK(clv_writer_open(&writer, path, &options));
    CHECK_ERROR(clv_writer_finish(writer), CLV_EINVAL, "no picture");
    CHECK_INT(count_entries(directory), 0);
    clv_writer_abort(NULL);
    options.width = 63;
    CHECK_ERROR(clv_writer_open(&writer, path, &options), CLV_EINVAL, "even");
    options.width = 64;
    options.frame_time.denominator = 0;
    CHECK_ERROR(clv_writer_open(&writer, path, &options), CLV_EINVAL, "frames of");
    options.frame_time.denominator = 25;
    options.quality = 60;
    CHECK_ERROR(clv_writer_open(&writer, path, &options), CLV_EINVAL, "quality");
    options.quality = 0;
    CHECK_ERROR(clv_writer_open(&writer, t_path(directory, "w.txt"), &options), CLV_EINVAL,
                "no video format");
    CHECK_ERROR(clv_writer_open(&writer, t_path(directory, "none/w.mp4"), &options), CLV_ENOTFOUND,
                "none/w.mp4");
    CHECK(writer == NULL);
    CHECK_INT(count_entries(directory), 0);
    clv_image_release(&image);
}

static void knows_names(void)
{
    static const char *const videos[] = {"a.mp4", "/x.y/b.MKV", "c.d.Webm", "e.ts", "f.264"};
    static const char *const images[] = {"a.jpg", "b.PNG", "c.webp", "d/e.jpeg"};
    static const char *const neither[] = {"mp4", ".mp4", "a.txt", "a.mp4/b", "a.", "", "a.mp45"};
    for (size_t i = 0; i < sizeof videos / sizeof *videos; i++)
        CHECK(clv_media_is_video_name(videos[i]) && !clv_media_is_image_name(videos[i]));
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        CHECK(clv_media_is_image_name(images[i]) && !clv_media_is_video_name(images[i]));
    for (size_t i = 0; i < sizeof neither / sizeof *neither; i++)
        CHECK(!clv_media_is_image_name(neither[i]) && !clv_media_is_video_name(neither[i]));
    CHECK(strstr(clv_media_version(), "libavformat 5") ||
          strstr(clv_media_version(), "libavformat 6"));
}

int main(void)
{
    T_RUN(gives_back_every_frame);
    T_RUN(gives_true_colours);
    T_RUN(keeps_one_picture);
    T_RUN(finds_cuts);
    T_RUN(seeks);
    T_RUN(seeks_in_every_container);
    T_RUN(refuses_what_is_no_video);
    T_RUN(opens_nothing_else);
    T_RUN(survives_truncation);
    T_RUN(survives_damage);
    T_RUN(can_be_canceled);
    T_RUN(writes_whole_films_or_none);
    T_RUN(writes_whole_files_or_none);
    T_RUN(knows_names);
    return t_end();
}
