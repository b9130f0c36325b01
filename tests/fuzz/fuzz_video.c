/* Any bytes as a media file: opened, decoded a little, sought in, shown. */
#include "core/media/reader.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRAMES_MAX 24
#define PIXELS_MAX (1 << 22)

static void read_some(struct clv_reader *reader)
{
    const struct clv_media_info *info = clv_reader_info(reader);
    const struct clv_image *image;
    struct clv_frame frame;
    for (int pass = 0; pass < 2; pass++) {
        int64_t last = INT64_MIN;
        for (int i = 0; i < FRAMES_MAX && clv_reader_next(reader, &frame) == 0; i++) {
            if (frame.time_ticks < last || frame.end_ticks < frame.time_ticks)
                __builtin_trap();
            last = frame.time_ticks;
            if (i % 5 == 0 && (int64_t)info->width * info->height < PIXELS_MAX)
                (void)clv_reader_image(reader, &image);
        }
        if (pass == 0 && clv_reader_seek(reader, last / 2) != 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct clv_reader_options options = {.detect_cuts = true, .thread_count = 1};
    struct clv_reader *reader = NULL;
    char path[64];
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    if (file < 0)
        return 0;
    for (size_t at = 0; at < size;) {
        ssize_t written = write(file, data + at, size - at);
        if (written <= 0)
            break;
        at += (size_t)written;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (clv_reader_open(&reader, path, &options) == 0)
        read_some(reader);
    clv_reader_close(reader);
    close(file);
    return 0;
}
