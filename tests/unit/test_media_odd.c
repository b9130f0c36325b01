/* Every odd and broken file: it gives frames, or a true reason; it never crashes or hangs. */
#include "core/clock.h"
#include "core/error.h"
#include "core/media/reader.h"
#include "core/media/writer.h"
#include "tests/t.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_SECONDS_MAX 30

/* One line of files.tsv; the pointers are into it. */
struct observed {
    const char *name, *codec, *size, *seconds, *what;
};

static bool parse(struct observed *out, char *line)
{
    const char *fields[5] = {0};
    for (int i = 0; i < 5; i++) {
        fields[i] = line;
        line = strchr(line, '\t');
        if (!line)
            return false;
        *line++ = '\0';
    }
    *out = (struct observed){fields[0], fields[1], fields[2], fields[3], fields[4]};
    return true;
}

static bool has(const struct observed *o, const char *word)
{
    return strstr(o->what, word) != NULL;
}

/* Reads everything, with a picture now and then. Frames, or a negative status. */
static int read_all(const char *path, const struct observed *o, int64_t *last_out)
{
    const struct clv_reader_options options = {.detect_cuts = true, .thread_count = 2};
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    int count = 0;
    int status = clv_reader_open(&reader, path, &options);
    if (status != CLV_OK)
        return status;
    const struct clv_media_info info = *clv_reader_info(reader);
    if (has(o, "rot-90"))
        CHECK_INT(info.rotation % 180, 90);
    while ((status = clv_reader_next(reader, &frame)) == CLV_OK) {
        const struct clv_image *image = NULL;
        CHECK(count == 0 || frame.time_ticks >= *last_out);
        CHECK(frame.end_ticks >= frame.time_ticks);
        *last_out = frame.time_ticks;
        if (count++ % 25 == 0) {
            CHECK_OK(clv_reader_image(reader, &image));
            CHECK(image && image->width > 0 && image->height > 0);
            if (image && count == 1) {
                CHECK_INT(image->width, info.width);
                CHECK_INT(image->height, info.height);
            }
        }
    }
    clv_reader_close(reader);
    return status == CLV_DONE ? count : status;
}

/* After a seek to the middle there are frames, whatever the container can do. */
static void check_seek(const char *path, int64_t last)
{
    const struct clv_reader_options options = {.thread_count = 2};
    struct clv_reader *reader = NULL;
    struct clv_frame frame;
    REQUIRE_OK(clv_reader_open(&reader, path, &options));
    REQUIRE_OK(clv_reader_next(reader, &frame));
    int64_t first = frame.time_ticks, middle = first + (last - first) / 2, got = INT64_MIN;
    CHECK_OK(clv_reader_seek(reader, middle));
    int status = clv_reader_next(reader, &frame);
    CHECK_OK(status);
    CHECK(frame.time_ticks <= middle);
    for (; status == CLV_OK; status = clv_reader_next(reader, &frame)) {
        CHECK(frame.time_ticks >= got);
        got = frame.time_ticks;
    }
    CHECK_INT(status, CLV_DONE);
    CHECK_INT(got, last);
    clv_reader_close(reader);
}

static void check_file(const char *path, const struct observed *o)
{
    int64_t last = 0;
    clv_error_clear();
    alarm(FILE_SECONDS_MAX);
    double begun = clv_clock_seconds();
    int frames = read_all(path, o, &last);
    if (frames < 0) {
        CHECK(strstr(clv_error_message(), o->name) != NULL);
        CHECK(frames == CLV_ECORRUPT || frames == CLV_EUNSUPPORTED || frames == CLV_EINVAL);
    }
    if (has(o, "no-video"))
        CHECK_ERROR(frames, CLV_EUNSUPPORTED, "has no video stream");
    else if (strstr(o->name, "blockgroup_block_ends_beyond"))
        CHECK_INT(frames, 1); /* only its sound keeps other programs from opening it */
    else if (has(o, "unopenable") || has(o, "decode-fails"))
        CHECK(frames < 0);
    else if (frames < 0) /* a header alone is no fault of the reader */
        CHECK(strstr(clv_error_message(), "its video stream is empty") != NULL);
    else
        CHECK(frames > 0);
    if (frames > 0)
        check_seek(path, last);
    if (t_failed())
        printf("  at %s: %d frames in %.1f s (%s) %s\n", o->name, frames,
               clv_clock_seconds() - begun, o->what, frames < 0 ? clv_error_message() : "");
    alarm(0);
}

static void reads_every_odd_file(void)
{
    const char *list = t_shared("odd/files.tsv");
    char line[4096];
    int count = 0;
    FILE *file = list ? fopen(list, "r") : NULL;
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        struct observed o;
        char path[4096];
        if (!parse(&o, line) || strcmp(o.name, "file") == 0)
            continue;
        snprintf(path, sizeof path, "../shared/odd/%s", o.name);
        check_file(path, &o);
        count++;
    }
    fclose(file);
    CHECK(count > 200);
}

int main(void)
{
    /* A hang ends the program, which the suite reports. */
    signal(SIGALRM, SIG_DFL);
    T_RUN(reads_every_odd_file);
    return t_end();
}
