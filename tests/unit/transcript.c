#include "tests/unit/transcript.h"

#include "core/error.h"
#include "tests/t.h"

#include <stdio.h>
#include <string.h>

static uint64_t digest(const struct clv_image *image)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < 3 * image->width; x++)
            sum = (sum ^ image->pixels[(size_t)y * image->stride_bytes + (size_t)x]) *
                  UINT64_C(0x100000001b3);
    return sum;
}

static int read_frames(struct transcript *out, struct clv_reader *reader, int picture_every)
{
    struct clv_frame frame;
    int status;
    while ((status = clv_reader_next(reader, &frame)) == CLV_OK &&
           out->frame_count < TRANSCRIPT_FRAMES_MAX) {
        const struct clv_image *image = NULL;
        int i = out->frame_count;
        if (picture_every > 0 && i % picture_every == 0 &&
            (status = clv_reader_image(reader, &image)) != CLV_OK)
            return status;
        out->frames[i].time_ticks = frame.time_ticks;
        out->frames[i].end_ticks = frame.end_ticks;
        out->frames[i].is_cut = frame.is_cut;
        out->frames[i].digest = image ? digest(image) : 0;
        out->frame_count++;
    }
    return status;
}

void transcript_read(struct transcript *out, const char *path,
                     const struct transcript_options *options)
{
    const struct clv_reader_options reader_options = {.detect_cuts = options->detect_cuts,
                                                      .thread_count = options->thread_count,
                                                      .decoder = options->decoder};
    struct clv_reader *reader = NULL;
    *out = (struct transcript){0};
    out->status = clv_reader_open(&reader, path, &reader_options);
    if (out->status == CLV_OK && options->from_ticks != 0)
        out->status = clv_reader_seek(reader, options->from_ticks);
    if (out->status == CLV_OK)
        out->status = read_frames(out, reader, options->picture_every);
    if (out->status != CLV_DONE)
        snprintf(out->message, sizeof out->message, "%s", clv_error_message());
    if (reader)
        out->damage_count = clv_reader_damage_count(reader);
    clv_reader_close(reader);
}

void transcript_compare(const struct transcript *got, const struct transcript *want,
                        const char *name)
{
    if (got->status != want->status || got->frame_count != want->frame_count ||
        got->damage_count != want->damage_count)
        t_fail(__FILE__, __LINE__,
               "%s: status %d, %d frames, %lld damaged; wanted %d, %d, %lld (%s)", name,
               got->status, got->frame_count, (long long)got->damage_count, want->status,
               want->frame_count, (long long)want->damage_count, got->message);
    for (int i = 0; i < got->frame_count && i < want->frame_count; i++) {
        bool is_same = got->frames[i].time_ticks == want->frames[i].time_ticks &&
                       got->frames[i].end_ticks == want->frames[i].end_ticks &&
                       got->frames[i].is_cut == want->frames[i].is_cut;
        if (is_same && got->frames[i].digest == want->frames[i].digest)
            continue;
        t_fail(__FILE__, __LINE__, "%s: frame %d differs in %s", name, i,
               is_same ? "its picture" : "its times");
        return;
    }
}
