/* Private: a media file being written, in place only when it is whole. */
#ifndef CLV_CORE_MEDIA_OUTPUT_H
#define CLV_CORE_MEDIA_OUTPUT_H

#include "core/file.h"
#include "core/media/ffmpeg.h"

struct clv_output {
    struct clv_replace replace;
    AVFormatContext *format;
    AVPacket *packet;
    int is_started;
};

/* How long each frame still in the encoder is shown: encoders do not carry it through. */
#define CLV_OUTPUT_DURATIONS 512

/* One encoded stream of it. */
struct clv_output_stream {
    AVCodecContext *codec;
    AVStream *stream;
    int64_t times[CLV_OUTPUT_DURATIONS], durations[CLV_OUTPUT_DURATIONS];
    int64_t frame_count;
};

/* The container is the one that the name asks for; CLV_EINVAL where it asks for none. */
int clv_output_open(struct clv_output *out, const char *path);
/* Writes the header: all streams are there and opened. */
int clv_output_start(struct clv_output *output);
/* Takes over what `packet` holds, with times in `timebase`. */
int clv_output_write(struct clv_output *output, AVPacket *packet, AVRational timebase);
/* Completes the file and puts it in place. `size_bytes_out` may be NULL. */
int clv_output_finish(struct clv_output *output, int64_t *size_bytes_out);
/* Drops what is not finished; safe after clv_output_finish() and on a zeroed output. */
void clv_output_abort(struct clv_output *output);

/* A new stream with an encoder, for the caller to set up and open. */
int clv_output_stream_begin(struct clv_output_stream *out, struct clv_output *output,
                            const char *encoder);
/* Opens the encoder and describes the stream. `options` may be NULL. */
int clv_output_stream_open(struct clv_output_stream *stream, AVDictionary **options);
/* The same for libx264 at a constant rate factor. */
int clv_output_stream_x264(struct clv_output_stream *stream, int quality);
/* Encodes and writes; NULL flushes. Uses the frame's pts and pkt_duration. */
int clv_output_encode(struct clv_output *output, struct clv_output_stream *stream, AVFrame *frame);
void clv_output_stream_release(struct clv_output_stream *stream);

#endif
