/* Sound for cut pieces: decoded from a little before, placed by its timestamps, trimmed, gaps
 * filled with silence. */
#include "core/media/sound.h"

#include "core/error.h"
#include "core/log.h"

#include <stdio.h>

/* Decoders need some sound before the wanted one until what they give is right. */
#define RUN_UP_US 1000000

static const char *layout_name(int channels)
{
    return channels == 1 ? "mono" : channels == 6 ? "5.1" : "stereo";
}

/* AAC knows certain sample rates only. */
static int nearest_rate(int rate)
{
    static const int rates[] = {8000,  11025, 12000, 16000, 22050, 24000,
                                32000, 44100, 48000, 64000, 88200, 96000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (rates[i] == rate)
            return rate;
    return 48000;
}

/* The chain for frames like `frame`; decides the output's form when it is the first. */
static int open_chain(struct clv_sound *sound, const AVFrame *frame)
{
    char filters[512];
    if (sound->sample_rate == 0) {
        int channels = frame->ch_layout.nb_channels;
        sound->sample_rate = nearest_rate(frame->sample_rate);
        sound->channels = channels == 1 || channels == 6 ? channels : 2;
    }
    snprintf(filters, sizeof filters,
             "atrim=start=0:end=%lldus,aresample=async=1:first_pts=%lld,"
             "aformat=sample_fmts=fltp:sample_rates=%d:channel_layouts=%s",
             (long long)(sound->end_us - sound->begin_us), (long long)sound->made_count,
             sound->sample_rate, layout_name(sound->channels));
    int error =
        clv_chain_open(&sound->chain, frame, (AVRational){1, frame->sample_rate}, filters, 1);
    if (error >= 0 && !sound->queue) {
        sound->queue = av_audio_fifo_alloc(AV_SAMPLE_FMT_FLTP, sound->channels, 8192);
        error = sound->queue ? 0 : AVERROR(ENOMEM);
    }
    return error < 0 ? clv_ffmpeg_fail(CLV_EUNSUPPORTED, error, "cannot convert the sound of '%s'",
                                       sound->decode.path)
                     : CLV_OK;
}

/* Moves what the chain has into the queue. */
static int drain_chain(struct clv_sound *sound)
{
    int error = 0;
    while (clv_chain_is_open(&sound->chain) &&
           (error = clv_chain_pull(&sound->chain, sound->frame)) >= 0) {
        int count = sound->frame->nb_samples;
        error = av_audio_fifo_write(sound->queue, (void **)sound->frame->extended_data, count);
        av_frame_unref(sound->frame);
        if (error < 0)
            break;
        sound->made_count += count;
    }
    if (error == AVERROR_EOF)
        clv_chain_close(&sound->chain);
    else if (error < 0 && error != AVERROR(EAGAIN))
        return clv_ffmpeg_fail(CLV_ECORRUPT, error, "cannot convert the sound of '%s'",
                               sound->decode.path);
    return CLV_OK;
}

/* Nothing more goes into the chain. */
static int end_chain(struct clv_sound *sound)
{
    if (clv_chain_is_open(&sound->chain))
        (void)clv_chain_push(&sound->chain, NULL);
    int status = drain_chain(sound);
    clv_chain_close(&sound->chain);
    return status;
}

/* Gives sound->frame its time in its own samples since the piece's beginning. */
static int64_t place(struct clv_sound *sound)
{
    AVFrame *frame = sound->frame;
    AVRational samples = {1, frame->sample_rate};
    AVRational base = sound->decode.stream->time_base;
    int64_t ticks = frame->best_effort_timestamp;
    if (ticks == AV_NOPTS_VALUE)
        ticks = sound->next_ticks != AV_NOPTS_VALUE
                    ? sound->next_ticks
                    : av_rescale_q(sound->begin_us, AV_TIME_BASE_Q, base);
    sound->next_ticks = ticks + av_rescale_q(frame->nb_samples, samples, base);
    frame->pts =
        av_rescale_q(ticks, base, samples) - av_rescale_q(sound->begin_us, AV_TIME_BASE_Q, samples);
    return frame->pts;
}

/* Starts from the beginning of the file where seeking missed the piece's beginning. */
static int miss_check(struct clv_sound *sound, bool *again_out)
{
    *again_out = sound->has_sought && sound->frame->pts > 0;
    sound->has_sought = false;
    if (!*again_out)
        return CLV_OK;
    av_frame_unref(sound->frame);
    sound->next_ticks = AV_NOPTS_VALUE;
    return clv_decode_restart(&sound->decode);
}

/* One decoded frame into the chain, or the end. */
static int advance(struct clv_sound *sound)
{
    bool again = false;
    AVFrame *frame = sound->frame;
    int status = clv_decode_next(&sound->decode, frame);
    if (status == CLV_OK) {
        if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
            av_channel_layout_default(&frame->ch_layout, frame->ch_layout.nb_channels);
        place(sound);
        status = miss_check(sound, &again);
        if (again || status != CLV_OK)
            return status;
    }
    if (status == CLV_DONE ||
        (status == CLV_OK && av_rescale_q(frame->pts, (AVRational){1, frame->sample_rate},
                                          AV_TIME_BASE_Q) >= sound->end_us - sound->begin_us)) {
        av_frame_unref(frame);
        sound->is_ended = true;
        return end_chain(sound);
    }
    if (status != CLV_OK)
        return status;
    if (clv_chain_is_open(&sound->chain) && !clv_chain_fits(&sound->chain, frame)) {
        AVFrame *kept = sound->frame;
        sound->frame = sound->block;
        status = end_chain(sound);
        sound->frame = kept;
    }
    if (status == CLV_OK && !clv_chain_is_open(&sound->chain))
        status = open_chain(sound, frame);
    int error = status == CLV_OK ? clv_chain_push(&sound->chain, frame) : 0;
    av_frame_unref(frame);
    if (error == AVERROR_EOF) { /* the trim filter wants no more */
        sound->is_ended = true;
        return end_chain(sound);
    }
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ECORRUPT, error, "cannot convert the sound of '%s'",
                               sound->decode.path);
    return status == CLV_OK ? drain_chain(sound) : status;
}

/* Fills the queue up to `sample_count` samples where there are so many. */
static int fill(struct clv_sound *sound, int sample_count)
{
    while (!sound->is_ended && (!sound->queue || av_audio_fifo_size(sound->queue) < sample_count)) {
        int status = advance(sound);
        if (status != CLV_OK)
            return status;
    }
    return sound->queue && av_audio_fifo_size(sound->queue) > 0 ? CLV_OK : CLV_DONE;
}

int clv_sound_open(struct clv_sound *out, const char *path, int64_t begin_us, int64_t end_us,
                   struct clv_cancel *cancel)
{
    *out = (struct clv_sound){.begin_us = begin_us, .end_us = end_us, .next_ticks = AV_NOPTS_VALUE};
    int status = clv_decode_open(&out->decode, path, AVMEDIA_TYPE_AUDIO, NULL, 1, cancel);
    if (status == CLV_EUNSUPPORTED) {
        clv_log(CLV_LOG_WARNING, "the piece is without sound: %s", clv_error_message());
        return CLV_DONE;
    }
    if (status != CLV_OK)
        return status;
    out->frame = av_frame_alloc();
    out->block = av_frame_alloc();
    if (!out->frame || !out->block)
        status = clv_fail_memory("a sound frame");
    if (status == CLV_OK) {
        int64_t ticks =
            av_rescale_q(begin_us - RUN_UP_US, AV_TIME_BASE_Q, out->decode.stream->time_base);
        out->has_sought = clv_decode_seek(&out->decode, ticks);
        if (!out->has_sought)
            status = clv_decode_restart(&out->decode);
    }
    if (status == CLV_OK)
        status = fill(out, 1);
    if (status != CLV_OK)
        clv_sound_close(out);
    return status;
}

void clv_sound_close(struct clv_sound *sound)
{
    clv_chain_close(&sound->chain);
    clv_decode_close(&sound->decode);
    av_audio_fifo_free(sound->queue);
    av_frame_free(&sound->frame);
    av_frame_free(&sound->block);
    *sound = (struct clv_sound){0};
}

int clv_sound_next(struct clv_sound *sound, AVFrame **out, int sample_count)
{
    *out = NULL;
    int status = fill(sound, sample_count);
    if (status != CLV_OK)
        return status;
    AVFrame *block = sound->block;
    av_frame_unref(block);
    block->nb_samples = FFMIN(sample_count, av_audio_fifo_size(sound->queue));
    block->format = AV_SAMPLE_FMT_FLTP;
    block->sample_rate = sound->sample_rate;
    av_channel_layout_default(&block->ch_layout, sound->channels);
    int error = av_frame_get_buffer(block, 0);
    if (error >= 0)
        error = av_audio_fifo_read(sound->queue, (void **)block->extended_data, block->nb_samples);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ENOMEM, error, "cannot cut the sound of '%s'",
                               sound->decode.path);
    block->pts = sound->given_count;
    block->pkt_duration = block->nb_samples;
    sound->given_count += block->nb_samples;
    *out = block;
    return CLV_OK;
}
