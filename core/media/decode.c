/* Packets in, frames out, past whatever is damaged. */
#include "core/media/decode.h"

#include "core/error.h"
#include "core/log.h"

#include <string.h>

/* Bounds on how long a damaged file is followed without anything coming of it. */
#define READ_ERRORS_MAX 64
#define IDLE_PACKETS_MAX 1000000

static int check_size(const struct clv_decode *decode)
{
    const AVCodecParameters *parameters = decode->stream->codecpar;
    if ((int64_t)parameters->width * parameters->height > CLV_MEDIA_PIXELS_MAX)
        return clv_fail(CLV_EUNSUPPORTED, "'%s' has %dx%d pixels, more than %lld", decode->path,
                        parameters->width, parameters->height, (long long)CLV_MEDIA_PIXELS_MAX);
    return CLV_OK;
}

static int open_codec(struct clv_decode *decode, const AVCodec *codec)
{
    const AVCodecParameters *parameters = decode->stream->codecpar;
    avcodec_free_context(&decode->codec);
    decode->codec = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!decode->codec)
        return clv_fail_memory("a decoder");
    int error = avcodec_parameters_to_context(decode->codec, parameters);
    decode->codec->pkt_timebase = decode->stream->time_base;
    decode->codec->thread_count = decode->thread_count;
    decode->codec->max_pixels = CLV_MEDIA_PIXELS_MAX;
    if (error >= 0 && decode->is_on_gpu)
        error = clv_gpu_attach(decode->decoder, decode->codec);
    if (error >= 0)
        error = avcodec_open2(decode->codec, codec, NULL);
    return error < 0 ? clv_ffmpeg_fail(CLV_EUNSUPPORTED, error, "cannot decode %s in '%s'",
                                       codec->name, decode->path)
                     : CLV_OK;
}

static int open_on_cpu(struct clv_decode *decode)
{
    decode->is_on_gpu = false;
    return open_codec(decode, avcodec_find_decoder(decode->stream->codecpar->codec_id));
}

static int open_decoder(struct clv_decode *decode)
{
    const struct clv_decoder *decoder = decode->decoder;
    enum AVCodecID id = decode->stream->codecpar->codec_id;
    const AVCodec *codec = decoder ? clv_gpu_codec(decoder, id) : NULL;
    if (!codec && decoder && decoder->is_required)
        return clv_fail(CLV_EUNSUPPORTED, "'%s' is %s, which the GPU does not decode", decode->path,
                        avcodec_get_name(id));
    if (!codec)
        return open_on_cpu(decode);
    decode->is_on_gpu = true;
    int status = open_codec(decode, codec);
    return status == CLV_OK || decoder->is_required ? status : open_on_cpu(decode);
}

int clv_decode_open(struct clv_decode *out, const char *path, enum AVMediaType kind,
                    const struct clv_decoder *decoder, int thread_count, struct clv_cancel *cancel)
{
    *out = (struct clv_decode){
        .path = path, .cancel = cancel, .thread_count = thread_count, .decoder = decoder};
    int index = -1;
    int status = clv_input_open(&out->input, path, cancel);
    if (status == CLV_OK)
        status = clv_input_select(&index, &out->input, kind, path);
    if (status == CLV_OK) {
        out->stream = out->input.format->streams[index];
        out->is_encrypted = clv_input_encrypted(out->stream);
        out->packet = av_packet_alloc();
        status = out->packet ? check_size(out) : clv_fail_memory("a packet");
    }
    if (status == CLV_OK)
        status = open_decoder(out);
    if (status != CLV_OK)
        clv_decode_close(out);
    return status;
}

void clv_decode_close(struct clv_decode *decode)
{
    av_packet_free(&decode->packet);
    avcodec_free_context(&decode->codec);
    clv_handover_release(&decode->handover);
    clv_gpu_pool_release(&decode->pool);
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

/* Kept on the way, where the CPU may have to decode it again. */
static int send_packet(struct clv_decode *decode)
{
    if (decode->is_on_gpu && !decode->decoder->is_required) {
        int64_t number = clv_handover_keep(&decode->handover, decode->packet);
        if (number < 0)
            return (int)number;
        decode->codec->reordered_opaque = number;
    }
    return avcodec_send_packet(decode->codec, decode->packet);
}

/* One packet into the decoder, or word that there are no more. */
static int feed(struct clv_decode *decode)
{
    const AVPacket *again = decode->is_on_gpu ? NULL : clv_handover_packet(&decode->handover);
    if (again)
        return avcodec_send_packet(decode->codec, again);
    if (!read_packet(decode))
        return avcodec_send_packet(decode->codec, NULL);
    decode->packet_count++;
    if (av_packet_get_side_data(decode->packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL))
        decode->is_encrypted = true;
    int error = send_packet(decode);
    av_packet_unref(decode->packet);
    return error;
}

static int fail_on_gpu(const struct clv_decode *decode, int error)
{
    return clv_ffmpeg_fail(CLV_EDEVICE, error, "the GPU cannot decode %s in '%s'",
                           decode->codec->codec->name, decode->path);
}

/* Goes on with the CPU, from the last keyframe. */
static int leave_gpu(struct clv_decode *decode, int error)
{
    if (decode->decoder->is_required)
        return fail_on_gpu(decode, error);
    if (decode->handover.is_broken)
        return clv_fail_memory("packets");
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(error, reason, sizeof reason);
    clv_log(CLV_LOG_DEBUG, "the GPU fails in '%s' (%s), the CPU goes on", decode->path, reason);
    decode->damage_count -= decode->handover.damage_count;
    clv_handover_start(&decode->handover);
    return open_on_cpu(decode);
}

/* Puts what the CPU made of it in the place of a frame that is still on the GPU. */
static void replace(AVFrame *held, AVFrame *frame)
{
    int64_t pts = held->pts, duration = held->pkt_duration;
    av_frame_unref(held);
    av_frame_move_ref(held, frame);
    held->pts = pts;
    held->pkt_duration = duration;
}

/* Whether a frame that was decoded is a new one. One that was given before and is still on the GPU
 * comes down here. */
static bool is_new(struct clv_decode *decode, AVFrame *frame)
{
    struct clv_handover *handover = &decode->handover;
    if (!handover->is_running)
        return true;
    int64_t number = clv_handover_number(handover, frame);
    handover->is_running = number <= handover->given;
    for (size_t i = 0; i < 2 && handover->is_running; i++) {
        AVFrame *held = decode->held[i];
        if (held && clv_gpu_holds(held) && held->reordered_opaque == number)
            replace(held, frame);
    }
    return !handover->is_running;
}

/* Takes a frame that came. 1, 0 where it is none that is waited for, or an error. */
static int take(struct clv_decode *decode, AVFrame *frame)
{
    if (!decode->is_on_gpu) {
        if (is_new(decode, frame))
            return 1;
        av_frame_unref(frame);
        return 0;
    }
    if (!clv_gpu_mark(decode->decoder, decode->codec, frame)) {
        av_frame_unref(frame);
        return AVERROR(ENOSYS);
    }
    if (!decode->decoder->is_required)
        clv_handover_give(&decode->handover, frame);
    return 1;
}

/* One step of the decoder: 1 where a frame came, 0 where none did yet, AVERROR_EOF at the end, or
 * an error. */
static int step(struct clv_decode *decode, AVFrame *frame)
{
    int error = decode->is_on_gpu ? decode->decoder->calls->receive(decode->codec, frame)
                                  : avcodec_receive_frame(decode->codec, frame);
    if (error == 0)
        return take(decode, frame);
    if (error != AVERROR(EAGAIN))
        return error;
    error = feed(decode);
    return error == AVERROR(EAGAIN) || error == AVERROR_EOF ? 0 : error;
}

static bool is_of_gpu(const struct clv_decode *decode, int error)
{
    return decode->is_on_gpu && (clv_gpu_has_begun(decode->codec) || error == AVERROR(ENOBUFS) ||
                                 error == AVERROR(ENOSYS));
}

/* Goes on until a frame comes, or until `wanted` (may be NULL) is no longer on the GPU. */
static int run(struct clv_decode *decode, AVFrame *frame, const AVFrame *wanted)
{
    for (int idle = 0; idle < IDLE_PACKETS_MAX; idle++) {
        if (clv_cancelled(decode->cancel))
            return clv_fail(CLV_ECANCELED, "reading '%s' was canceled", decode->path);
        if (wanted && !clv_gpu_holds(wanted))
            return CLV_OK;
        int error = step(decode, frame), status = CLV_OK;
        if (error > 0)
            return CLV_OK;
        if (error == AVERROR_EOF)
            return CLV_DONE;
        if (error < 0 && is_of_gpu(decode, error))
            status = leave_gpu(decode, error);
        else if (error == AVERROR(ENOMEM))
            status = clv_ffmpeg_fail(CLV_ENOMEM, error, "cannot decode '%s'", decode->path);
        else if (error < 0 && !decode->handover.waits_for_key)
            count_damage(decode, error);
        if (status != CLV_OK)
            return status;
    }
    clv_log(CLV_LOG_WARNING, "'%s' gave no frame in %d packets", decode->path, IDLE_PACKETS_MAX);
    return CLV_DONE;
}

int clv_decode_next(struct clv_decode *decode, AVFrame *frame)
{
    return run(decode, frame, NULL);
}

int clv_decode_fetch(struct clv_decode *decode, AVFrame *frame)
{
    int error = clv_gpu_holds(frame) ? clv_gpu_fetch(decode->decoder, &decode->pool, frame) : 0;
    if (error >= 0)
        return CLV_OK;
    AVFrame *again = av_frame_alloc();
    int status = again ? CLV_OK : clv_fail_memory("a frame");
    if (status == CLV_OK && decode->is_on_gpu)
        status = leave_gpu(decode, error);
    if (status == CLV_OK)
        status = run(decode, again, frame);
    av_frame_free(&again);
    if ((status == CLV_OK || status == CLV_DONE) && clv_gpu_holds(frame))
        status = fail_on_gpu(decode, error);
    return status == CLV_DONE ? CLV_OK : status;
}

bool clv_decode_seek(struct clv_decode *decode, int64_t ticks)
{
    AVFormatContext *format = decode->input.format;
    if (av_seek_frame(format, decode->stream->index, ticks, AVSEEK_FLAG_BACKWARD) < 0)
        return false;
    avcodec_flush_buffers(decode->codec);
    clv_handover_reset(&decode->handover);
    return true;
}

int clv_decode_restart(struct clv_decode *decode)
{
    struct clv_decode fresh;
    /* A GPU that failed once is not tried again. */
    int status = clv_decode_open(&fresh, decode->path, decode->codec->codec_type,
                                 decode->is_on_gpu ? decode->decoder : NULL, decode->thread_count,
                                 decode->cancel);
    if (status != CLV_OK)
        return status;
    fresh.packet_count = decode->packet_count;
    fresh.damage_count = decode->damage_count;
    fresh.last_error = decode->last_error;
    fresh.is_encrypted |= decode->is_encrypted;
    fresh.held[0] = decode->held[0];
    fresh.held[1] = decode->held[1];
    clv_decode_close(decode);
    *decode = fresh;
    return CLV_OK;
}
