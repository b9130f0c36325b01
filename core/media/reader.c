/* The reader: decoded frames in order, with times made whole, one frame ahead of its caller.
 *
 * Looking one frame ahead tells where a frame stops being shown, whatever the frame rate does, and
 * lets opening and seeking find out at once whether anything comes. */
#include "core/media/reader.h"

#include "core/error.h"
#include "core/media/decode.h"
#include "core/media/decoded.h"
#include "core/media/deinterlace.h"
#include "core/media/picture.h"
#include "core/media/scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A step back in time longer than this is a new count, not a disorder. */
#define STEP_BACK_MAX_S 10

/* Faster ones come from headers that confuse the time base with it. */
#define FRAME_RATE_MAX 960

struct clv_reader {
    char *path;
    struct clv_reader_options options;
    struct clv_media_info info;
    struct clv_decode decode;
    struct clv_deinterlace deinterlace;
    struct clv_scenes scenes;
    struct clv_picture picture;
    struct clv_image image;
    AVFrame *current, *pending; /* pts and pkt_duration are whole */
    bool current_is_cut, pending_is_cut;
    bool has_current, has_pending, has_image;
    int end_status; /* what follows the pending frame */
    char end_message[512];
    int64_t frame_count;
    /* Time keeping, since the beginning or the last seek. */
    bool has_last, is_guessed; /* the first time since then was guessed */
    int64_t last_ticks, last_duration, offset_ticks;
};

static AVRational timebase_of(const struct clv_reader *reader)
{
    return reader->decode.stream->time_base;
}

/* Frames per second as the container says; 0/1 where it says none or one that cannot be. */
static AVRational frame_rate_of(const AVStream *stream)
{
    const AVRational rates[] = {stream->avg_frame_rate, stream->r_frame_rate};
    for (size_t i = 0; i < 2; i++)
        if (rates[i].num > 0 && rates[i].den > 0 && av_q2d(rates[i]) <= FRAME_RATE_MAX)
            return rates[i];
    return (AVRational){0, 1};
}

/* How long `frame` is shown, as far as it says itself; at least a tick. Headers that lie about the
 * frame rate lie here too: then it is as long as the one before. */
static int64_t duration_of(const struct clv_reader *reader, const AVFrame *frame)
{
    AVRational base = timebase_of(reader), rate = frame_rate_of(reader->decode.stream);
    int64_t least = av_rescale_q(1, (AVRational){1, FRAME_RATE_MAX}, base);
    int64_t ticks = frame->pkt_duration;
    if (ticks <= 0 || ticks < least) {
        if (reader->has_last && frame->pts > reader->last_ticks)
            ticks = frame->pts - reader->last_ticks;
        else
            ticks = av_rescale_q(1, rate.num > 0 ? av_inv_q(rate) : (AVRational){1, 25}, base);
    }
    return ticks > 0 ? ticks : 1;
}

/* Gives `frame` its time and its duration. */
static void stamp(struct clv_reader *reader, AVFrame *frame)
{
    AVRational base = timebase_of(reader);
    int64_t ticks = frame->best_effort_timestamp;
    bool is_guess = ticks == AV_NOPTS_VALUE;
    int64_t far = av_rescale_q(STEP_BACK_MAX_S, (AVRational){1, 1}, base);
    if (is_guess)
        ticks = reader->has_last ? reader->last_ticks + reader->last_duration
                                 : reader->info.start_ticks;
    else
        ticks += reader->offset_ticks;
    if (reader->has_last && ticks < reader->last_ticks) {
        int64_t follows = reader->last_ticks + reader->last_duration;
        if (reader->last_ticks - ticks > far) {
            reader->offset_ticks += follows - ticks;
            ticks = follows;
        } else
            ticks = reader->last_ticks;
    }
    if (!reader->has_last)
        reader->is_guessed = is_guess;
    frame->pts = ticks;
    reader->last_duration = frame->pkt_duration = duration_of(reader, frame);
    reader->last_ticks = ticks;
    reader->has_last = true;
}

/* The next whole picture. */
static int next_picture(struct clv_reader *reader, AVFrame *frame)
{
    for (;;) {
        int status = clv_deinterlace_pull(&reader->deinterlace, frame);
        if (status != CLV_DONE)
            return status;
        status = clv_decode_next(&reader->decode, frame);
        if (status == CLV_DONE) {
            clv_deinterlace_end(&reader->deinterlace);
            return clv_deinterlace_pull(&reader->deinterlace, frame);
        }
        if (status != CLV_OK)
            return status;
        stamp(reader, frame);
        if (clv_deinterlace_reads(&reader->deinterlace, frame))
            status = clv_decode_fetch(&reader->decode, frame);
        if (status != CLV_OK)
            return status;
        status = clv_deinterlace_push(&reader->deinterlace, frame);
        if (status != CLV_OK)
            return status;
    }
}

/* Why a file that could be opened gave nothing. */
static int fail_empty(const struct clv_reader *reader)
{
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    if (reader->decode.is_encrypted)
        return clv_fail(CLV_EUNSUPPORTED, "'%s' is encrypted", reader->path);
    if (reader->decode.last_error != 0)
        av_strerror(reader->decode.last_error, reason, sizeof reason);
    else if (reader->decode.packet_count == 0)
        snprintf(reason, sizeof reason, "its video stream is empty");
    else
        snprintf(reason, sizeof reason, "nothing comes of its %lld packets",
                 (long long)reader->decode.packet_count);
    return clv_fail(CLV_ECORRUPT, "not one frame of '%s' can be decoded: %s", reader->path, reason);
}

/* Fetches the frame after the current one. */
static int advance(struct clv_reader *reader)
{
    int status = next_picture(reader, reader->pending);
    if (status == CLV_OK && reader->options.detect_cuts)
        status = clv_decode_fetch(&reader->decode, reader->pending);
    reader->has_pending = status == CLV_OK;
    if (status == CLV_OK) {
        reader->frame_count++;
        reader->pending_is_cut =
            reader->options.detect_cuts &&
            clv_scenes_see(&reader->scenes, reader->pending, timebase_of(reader));
        return CLV_OK;
    }
    if (status == CLV_DONE && reader->frame_count == 0)
        status = fail_empty(reader);
    reader->end_status = status;
    snprintf(reader->end_message, sizeof reader->end_message, "%s",
             status == CLV_DONE ? "" : clv_error_message());
    return status;
}

/* Forgets everything that depends on the frames before. */
static void forget(struct clv_reader *reader)
{
    av_frame_unref(reader->pending);
    reader->has_pending = reader->has_last = reader->is_guessed = false;
    reader->offset_ticks = 0;
    clv_deinterlace_release(&reader->deinterlace);
    clv_deinterlace_init(&reader->deinterlace, timebase_of(reader), reader->options.thread_count);
    clv_scenes_reset(&reader->scenes);
}

static void describe(struct clv_reader *reader)
{
    const AVFormatContext *format = reader->decode.input.format;
    const AVStream *stream = reader->decode.stream;
    struct clv_media_info *info = &reader->info;
    AVRational base = stream->time_base, rate = frame_rate_of(stream);
    info->stream_index = stream->index;
    info->timebase = (struct clv_timebase){base.num, base.den};
    for (unsigned i = 0; i < format->nb_streams; i++)
        info->has_audio |= format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    if (format->start_time != AV_NOPTS_VALUE)
        info->start_ticks = av_rescale_q(format->start_time, AV_TIME_BASE_Q, base);
    else if (stream->start_time != AV_NOPTS_VALUE)
        info->start_ticks = stream->start_time;
    if (format->duration > 0 && format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE)
        info->duration_ticks = av_rescale_q(format->duration, AV_TIME_BASE_Q, base);
    else if (stream->duration > 0 &&
             format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE)
        info->duration_ticks = stream->duration;
    if (rate.num > 0)
        info->frame_rate = av_q2d(rate);
    snprintf(info->codec, sizeof info->codec, "%s", avcodec_get_name(stream->codecpar->codec_id));
    snprintf(info->container, sizeof info->container, "%s", format->iformat->name);
    info->width = stream->codecpar->width;
    info->height = stream->codecpar->height;
}

/* What only the first frame tells. */
static void describe_picture(struct clv_reader *reader)
{
    struct clv_geometry geometry;
    const AVFormatContext *format = reader->decode.input.format;
    if (!reader->has_pending)
        return;
    clv_geometry_of(&geometry, reader->decode.input.format, reader->decode.stream, reader->pending);
    reader->info.width = geometry.width;
    reader->info.height = geometry.height;
    reader->info.rotation = clv_geometry_rotation(&geometry);
    if (format->start_time == AV_NOPTS_VALUE && reader->decode.stream->start_time == AV_NOPTS_VALUE)
        reader->info.start_ticks = reader->pending->pts;
}

int clv_reader_open(struct clv_reader **out, const char *path,
                    const struct clv_reader_options *options)
{
    *out = NULL;
    struct clv_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return clv_fail_memory("a reader");
    reader->options = *options;
    reader->scenes.score = options->cut_score > 0 ? options->cut_score : 10;
    reader->path = strdup(path);
    reader->current = av_frame_alloc();
    reader->pending = av_frame_alloc();
    int status = CLV_OK;
    if (!reader->path || !reader->current || !reader->pending)
        status = clv_fail_memory("a reader");
    if (status == CLV_OK)
        status = clv_decode_open(&reader->decode, reader->path, AVMEDIA_TYPE_VIDEO,
                                 options->decoder, options->thread_count, options->cancel);
    if (status == CLV_OK) {
        reader->decode.held[0] = reader->current;
        reader->decode.held[1] = reader->pending;
        describe(reader);
        forget(reader);
        status = advance(reader);
        describe_picture(reader);
        /* That no frame comes is for clv_reader_next() to say. */
        if (status != CLV_ECANCELED)
            status = CLV_OK;
    }
    if (status != CLV_OK) {
        clv_reader_close(reader);
        return status;
    }
    *out = reader;
    return CLV_OK;
}

void clv_reader_close(struct clv_reader *reader)
{
    if (!reader)
        return;
    clv_picture_release(&reader->picture);
    clv_scenes_release(&reader->scenes);
    clv_deinterlace_release(&reader->deinterlace);
    clv_decode_close(&reader->decode);
    av_frame_free(&reader->current);
    av_frame_free(&reader->pending);
    free(reader->path);
    free(reader);
}

const struct clv_media_info *clv_reader_info(const struct clv_reader *reader)
{
    return &reader->info;
}

int clv_reader_next(struct clv_reader *reader, struct clv_frame *frame_out)
{
    reader->has_current = reader->has_image = false;
    if (!reader->has_pending)
        return reader->end_status == CLV_DONE
                   ? CLV_DONE
                   : clv_fail(reader->end_status, "%s", reader->end_message);
    av_frame_unref(reader->current);
    av_frame_move_ref(reader->current, reader->pending);
    reader->current_is_cut = reader->pending_is_cut;
    reader->has_current = true;
    /* A failure is told after the frames that came before it. */
    (void)advance(reader);
    int64_t ticks = reader->current->pts;
    *frame_out = (struct clv_frame){
        .time_ticks = ticks,
        .end_ticks =
            reader->has_pending ? reader->pending->pts : ticks + reader->current->pkt_duration,
        .is_cut = reader->current_is_cut,
    };
    return CLV_OK;
}

int clv_reader_image(struct clv_reader *reader, const struct clv_image **image_out)
{
    struct clv_geometry geometry;
    *image_out = NULL;
    if (!reader->has_current)
        return clv_fail(CLV_EINVAL, "no frame of '%s' is at hand", reader->path);
    if (!reader->has_image) {
        int status = clv_decode_fetch(&reader->decode, reader->current);
        if (status != CLV_OK)
            return status;
        clv_geometry_of(&geometry, reader->decode.input.format, reader->decode.stream,
                        reader->current);
        status = clv_picture_convert(&reader->picture, &reader->image, reader->current, &geometry,
                                     reader->path);
        if (status != CLV_OK)
            return status;
        reader->has_image = true;
    }
    *image_out = &reader->image;
    return CLV_OK;
}

AVFrame *clv_reader_decoded(struct clv_reader *reader, struct clv_geometry *geometry_out)
{
    clv_geometry_of(geometry_out, reader->decode.input.format, reader->decode.stream,
                    reader->current);
    return reader->current;
}

static int start_over(struct clv_reader *reader)
{
    int status = clv_decode_restart(&reader->decode);
    if (status != CLV_OK)
        return status;
    forget(reader);
    status = advance(reader);
    return status == CLV_DONE ? CLV_OK : status;
}

int clv_reader_seek(struct clv_reader *reader, int64_t time_ticks)
{
    /* A keyframe is found by its decoding time and may be shown after the wanted one, and some
     * containers land anywhere: then again from further back. */
    static const int back_s[] = {0, 2, 10};
    reader->has_current = reader->has_image = false;
    av_frame_unref(reader->current);
    for (size_t i = 0; i < sizeof back_s / sizeof *back_s; i++) {
        int64_t ticks =
            time_ticks - av_rescale_q(back_s[i], (AVRational){1, 1}, timebase_of(reader));
        if (ticks <= reader->info.start_ticks || !clv_decode_seek(&reader->decode, ticks))
            break;
        forget(reader);
        int status = advance(reader);
        if (status == CLV_ECANCELED || status == CLV_ENOMEM)
            return status;
        if (status != CLV_OK || reader->is_guessed)
            break;
        if (reader->pending->pts <= time_ticks)
            return CLV_OK;
    }
    return start_over(reader);
}

int64_t clv_reader_damage_count(const struct clv_reader *reader)
{
    return reader->decode.damage_count;
}
