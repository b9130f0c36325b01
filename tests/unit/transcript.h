/* What a reader gives of a file, kept for comparison: times, cuts, and a digest of each picture. */
#ifndef CLV_TESTS_UNIT_TRANSCRIPT_H
#define CLV_TESTS_UNIT_TRANSCRIPT_H

#include "core/media/reader.h"

#include <stdbool.h>
#include <stdint.h>

#define TRANSCRIPT_FRAMES_MAX 512

struct transcript {
    struct {
        int64_t time_ticks, end_ticks;
        bool is_cut;
        uint64_t digest; /* of the picture; 0: not asked for */
    } frames[TRANSCRIPT_FRAMES_MAX];
    int frame_count;
    int64_t damage_count;
    int status; /* of the call that ended it */
    char message[512];
};

struct transcript_options {
    const struct clv_decoder *decoder;
    int thread_count; /* of the CPU */
    bool detect_cuts;
    int picture_every;  /* a picture of each so manieth frame; 0: of none */
    int64_t from_ticks; /* sought to first; 0: not */
};

void transcript_read(struct transcript *out, const char *path,
                     const struct transcript_options *options);
/* Checks fail where they differ; `name` says which. */
void transcript_compare(const struct transcript *got, const struct transcript *want,
                        const char *name);

#endif
