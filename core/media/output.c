/* Writing containers. */
#include "core/media/output.h"

#include "core/error.h"

#include <stdio.h>

int clv_output_open(struct clv_output *out, const char *path)
{
    *out = (struct clv_output){0};
    clv_ffmpeg_setup();
    clv_ffmpeg_forget();
    const AVOutputFormat *kind = av_guess_format(NULL, clv_path_base(path), NULL);
    if (!kind || kind->video_codec == AV_CODEC_ID_NONE || (kind->flags & AVFMT_NOFILE))
        return clv_fail(CLV_EINVAL, "the name '%s' asks for no video format", path);
    int status = clv_replace_begin(&out->replace, path);
    if (status != CLV_OK)
        return status;
    int error = AVERROR(ENOMEM);
    char *url = av_asprintf("file:%s", out->replace.temporary_path);
    out->packet = av_packet_alloc();
    if (url && out->packet)
        error = avformat_alloc_output_context2(&out->format, kind, NULL, url);
    if (error >= 0)
        error = avio_open(&out->format->pb, url, AVIO_FLAG_WRITE);
    av_free(url);
    if (error < 0) {
        status = clv_ffmpeg_fail(CLV_EIO, error, "cannot write '%s'", path);
        clv_output_abort(out);
    }
    return status;
}

static int fail_write(const struct clv_output *output, int error)
{
    return clv_ffmpeg_fail(CLV_EIO, error, "cannot write '%s'", output->replace.path);
}

int clv_output_start(struct clv_output *output)
{
    AVDictionary *options = NULL;
    /* The index first, so that players can begin before they have everything. */
    av_dict_set(&options, "movflags", "+faststart", 0);
    int error = avformat_write_header(output->format, &options);
    av_dict_free(&options);
    if (error < 0)
        return fail_write(output, error);
    output->is_started = 1;
    return CLV_OK;
}

int clv_output_write(struct clv_output *output, AVPacket *packet, AVRational timebase)
{
    AVStream *stream = output->format->streams[packet->stream_index];
    av_packet_rescale_ts(packet, timebase, stream->time_base);
    packet->pos = -1;
    int error = av_interleaved_write_frame(output->format, packet);
    av_packet_unref(packet);
    return error < 0 ? fail_write(output, error) : CLV_OK;
}

int clv_output_finish(struct clv_output *output, int64_t *size_bytes_out)
{
    int error = av_write_trailer(output->format);
    if (error >= 0)
        error = output->format->pb->error;
    int64_t size = avio_size(output->format->pb);
    int closed = avio_closep(&output->format->pb);
    if (error >= 0)
        error = closed;
    if (error < 0)
        return fail_write(output, error);
    if (size_bytes_out)
        *size_bytes_out = size;
    return clv_replace_commit(&output->replace);
}

void clv_output_abort(struct clv_output *output)
{
    av_packet_free(&output->packet);
    if (output->format) {
        avio_closep(&output->format->pb);
        avformat_free_context(output->format);
        output->format = NULL;
    }
    clv_replace_abort(&output->replace);
}

int clv_output_stream_begin(struct clv_output_stream *out, struct clv_output *output,
                            const char *encoder)
{
    *out = (struct clv_output_stream){0};
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
    if (!codec)
        return clv_fail(CLV_EUNSUPPORTED, "this FFmpeg has no encoder '%s'", encoder);
    out->codec = avcodec_alloc_context3(codec);
    out->stream = avformat_new_stream(output->format, NULL);
    if (!out->codec || !out->stream)
        return clv_fail_memory("an encoder");
    if (output->format->oformat->flags & AVFMT_GLOBALHEADER)
        out->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    return CLV_OK;
}

int clv_output_stream_open(struct clv_output_stream *stream, AVDictionary **options)
{
    AVCodecContext *codec = stream->codec;
    const char *name = codec->codec->name; /* a failed open forgets it */
    int error = avcodec_open2(codec, NULL, options);
    if (error >= 0)
        error = avcodec_parameters_from_context(stream->stream->codecpar, codec);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_EUNSUPPORTED, error, "cannot encode with %s", name);
    stream->stream->time_base = codec->time_base;
    stream->stream->avg_frame_rate = codec->framerate;
    stream->stream->sample_aspect_ratio = codec->sample_aspect_ratio;
    return CLV_OK;
}

int clv_output_stream_x264(struct clv_output_stream *stream, int quality)
{
    AVDictionary *options = NULL;
    av_dict_set_int(&options, "crf", quality, 0);
    av_dict_set(&options, "preset", "medium", 0);
    int status = clv_output_stream_open(stream, &options);
    av_dict_free(&options);
    return status;
}

static void remember_duration(struct clv_output_stream *stream, const AVFrame *frame)
{
    size_t at = (size_t)(stream->frame_count++ % CLV_OUTPUT_DURATIONS);
    stream->times[at] = frame->pts;
    stream->durations[at] = frame->pkt_duration;
}

static int64_t recall_duration(const struct clv_output_stream *stream, int64_t pts)
{
    for (int64_t i = 0; i < stream->frame_count && i < CLV_OUTPUT_DURATIONS; i++)
        if (stream->times[i] == pts)
            return stream->durations[i];
    return 0;
}

int clv_output_encode(struct clv_output *output, struct clv_output_stream *stream, AVFrame *frame)
{
    AVPacket *packet = output->packet;
    if (frame)
        remember_duration(stream, frame);
    int error = avcodec_send_frame(stream->codec, frame);
    while (error >= 0 && (error = avcodec_receive_packet(stream->codec, packet)) >= 0) {
        packet->stream_index = stream->stream->index;
        if (packet->duration <= 0)
            packet->duration = recall_duration(stream, packet->pts);
        int status = clv_output_write(output, packet, stream->codec->time_base);
        if (status != CLV_OK)
            return status;
    }
    if (error != AVERROR(EAGAIN) && error != AVERROR_EOF)
        return clv_ffmpeg_fail(CLV_ERR, error, "cannot encode '%s'", output->replace.path);
    return CLV_OK;
}

void clv_output_stream_release(struct clv_output_stream *stream)
{
    avcodec_free_context(&stream->codec);
    stream->stream = NULL;
}
