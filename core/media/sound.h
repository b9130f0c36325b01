/* Private: the sound of a piece of a file, trimmed to the sample and made fit for AAC. */
#ifndef CLV_CORE_MEDIA_SOUND_H
#define CLV_CORE_MEDIA_SOUND_H

#include "core/media/chain.h"
#include "core/media/decode.h"

#include <stdbool.h>

struct clv_sound {
    struct clv_decode decode;
    struct clv_chain chain;
    AVAudioFifo *queue;
    AVFrame *frame, *block;
    int64_t begin_us, end_us;  /* of the piece, on the file's own clock */
    int sample_rate, channels; /* of what comes out, as planar floats */
    int64_t made_count;        /* samples that came out of the chain */
    int64_t given_count;       /* samples given to the caller */
    int64_t next_ticks;        /* when the next frame should begin; AV_NOPTS_VALUE unknown */
    bool has_sought, is_ended;
};

/* CLV_DONE (nothing to close) where the file has no sound in [begin_us, end_us) that can be
 * decoded. `path` is kept. */
int clv_sound_open(struct clv_sound *out, const char *path, int64_t begin_us, int64_t end_us,
                   struct clv_cancel *cancel);
void clv_sound_close(struct clv_sound *sound);

/* The next block of up to `sample_count` samples, fewer only at the end, with its time in samples
 * since the beginning; borrowed until the next call. CLV_DONE after the last. */
int clv_sound_next(struct clv_sound *sound, AVFrame **out, int sample_count);

#endif
