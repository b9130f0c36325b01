/* Packets in, frames out, past whatever is damaged. */
#include "core/media/decode.h"

#include "core/error.h"
#include "core/log.h"

#include <string.h>

/* Bounds on how long a damaged file is followed without anything coming of it. */
#define READ_ERRORS_MAX 64
#define IDLE_PACKETS_MAX 1000000

static int open_codec(struct clv_decode *decode, int thread_count)
{
    const AVCodecParameters *parameters = decode->stream->codecpar;
    if ((int64_t)parameters->width * parameters->height > CLV_MEDIA_PIXELS_MAX)
        return clv_fail(CLV_EUNSUPPORTED, "'%s' has %dx%d pixels, more than %lld", decode->path,
                        parameters->width, parameters->height, (long long)CLV_MEDIA_PIXELS_MAX);
    const AVCodec *codec = avcodec_find_decoder(parameters->codec_id);
    decode->codec = codec ? avcodec_alloc_context3(codec) : NULL;
    decode->packet = av_packet_alloc();
    if (!decode->codec || !decode->packet)
        return clv_fail_memory("a decoder");
    int error = avcodec_parameters_to_context(decode->codec, parameters);
    decode->codec->pkt_timebase = decode->stream->time_base;
    decode->codec->thread_count = thread_count;
    decode->codec->max_pixels = CLV_MEDIA_PIXELS_MAX;
    if (error >= 0)
        error = avcodec_open2(decode->codec, codec, NULL);
    return error < 0 ? clv_ffmpeg_fail(CLV_EUNSUPPORTED, error, "cannot decode %s in '%s'",
                                       codec->name, decode->path)
                     : CLV_OK;
}

int clv_decode_open(struct clv_decode *out, const char *path, enum AVMediaType kind,
                    int thread_count, struct clv_cancel *cancel)
{
    *out = (struct clv_decode){.path = path, .cancel = cancel};
    int index = -1;
    int status = clv_input_open(&out->input, path, cancel);
    if (status == CLV_OK)
        status = clv_input_select(&index, &out->input, kind, path);
    if (status == CLV_OK) {
        out->stream = out->input.format->streams[index];
        out->is_encrypted = clv_input_encrypted(out->stream);
        status = open_codec(out, thread_count);
    }
    if (status != CLV_OK)
        clv_decode_close(out);
    return status;
}

void clv_decode_close(struct clv_decode *decode)
{
    av_packet_free(&decode->packet);
    avcodec_free_context(&decode->codec);
    clv_input_close(&decode->input);
    decode->stream = NULL;
}

static void count_damage(struct clv_decode *decode, int error)
{
    decode->damage_count++;
    decode->last_error = error;
}

/* The stream's next packet. False at the end, and where the container cannot be read further. */
static bool read_packet(struct clv_decode *decode)
{
    for (int errors = 0; errors < READ_ERRORS_MAX && !clv_cancelled(decode->cancel);) {
        int error = av_read_frame(decode->input.format, decode->packet);
        if (error == AVERROR_EOF || error == AVERROR_EXIT)
            return false;
        if (error < 0) {
            count_damage(decode, error);
            if (avio_feof(decode->input.io))
                return false;
            errors++;
            continue;
        }
        if (decode->packet->stream_index == decode->stream->index)
            return true;
        av_packet_unref(decode->packet);
    }
    return false;
}

/* One packet into the decoder, or word that there are no more. */
static int feed(struct clv_decode *decode)
{
    if (!read_packet(decode))
        return avcodec_send_packet(decode->codec, NULL);
    decode->packet_count++;
    if (av_packet_get_side_data(decode->packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL))
        decode->is_encrypted = true;
    int error = avcodec_send_packet(decode->codec, decode->packet);
    av_packet_unref(decode->packet);
    return error;
}

int clv_decode_next(struct clv_decode *decode, AVFrame *frame)
{
    for (int idle = 0; idle < IDLE_PACKETS_MAX; idle++) {
        if (clv_cancelled(decode->cancel))
            return clv_fail(CLV_ECANCELED, "reading '%s' was canceled", decode->path);
        int error = avcodec_receive_frame(decode->codec, frame);
        if (error == 0)
            return CLV_OK;
        if (error == AVERROR_EOF)
            return CLV_DONE;
        if (error == AVERROR(EAGAIN))
            error = feed(decode);
        if (error == AVERROR(ENOMEM))
            return clv_ffmpeg_fail(CLV_ENOMEM, error, "cannot decode '%s'", decode->path);
        if (error < 0 && error != AVERROR_EOF && error != AVERROR(EAGAIN))
            count_damage(decode, error);
    }
    clv_log(CLV_LOG_WARNING, "'%s' gave no frame in %d packets", decode->path, IDLE_PACKETS_MAX);
    return CLV_DONE;
}

bool clv_decode_seek(struct clv_decode *decode, int64_t ticks)
{
    AVFormatContext *format = decode->input.format;
    if (av_seek_frame(format, decode->stream->index, ticks, AVSEEK_FLAG_BACKWARD) < 0)
        return false;
    avcodec_flush_buffers(decode->codec);
    return true;
}

int clv_decode_restart(struct clv_decode *decode)
{
    struct clv_decode fresh;
    int status = clv_decode_open(&fresh, decode->path, decode->codec->codec_type,
                                 decode->codec->thread_count, decode->cancel);
    if (status != CLV_OK)
        return status;
    fresh.packet_count = decode->packet_count;
    fresh.damage_count = decode->damage_count;
    fresh.last_error = decode->last_error;
    fresh.is_encrypted |= decode->is_encrypted;
    clv_decode_close(decode);
    *decode = fresh;
    return CLV_OK;
}
