/* The writer: RGB pictures into H.264. */
#include "core/media/writer.h"

#include "core/error.h"
#include "core/media/output.h"
#include "core/media/picture.h"

#include <stdlib.h>

struct clv_writer {
    struct clv_output output;
    struct clv_output_stream video;
    struct SwsContext *scaler;
    AVFrame *frame;
    int source_width, source_height;
    int64_t frame_count;
};

static int check_options(const char *path, const struct clv_writer_options *options)
{
    if (options->width < 2 || options->height < 2 || options->width % 2 || options->height % 2 ||
        options->width > 16384 || options->height > 16384)
        return clv_fail(CLV_EINVAL, "'%s' cannot have pictures of %dx%d: the sides must be even",
                        path, options->width, options->height);
    if (options->frame_time.numerator < 1 || options->frame_time.denominator < 1)
        return clv_fail(CLV_EINVAL, "'%s' cannot have frames of %d/%d s", path,
                        options->frame_time.numerator, options->frame_time.denominator);
    if (options->quality < 0 || options->quality > 51)
        return clv_fail(CLV_EINVAL, "quality %d is not from 0 to 51", options->quality);
    return CLV_OK;
}

static int open_video(struct clv_writer *writer, const struct clv_writer_options *options)
{
    AVRational frame_time = {options->frame_time.numerator, options->frame_time.denominator};
    int status = clv_output_stream_begin(&writer->video, &writer->output, "libx264");
    if (status != CLV_OK)
        return status;
    AVCodecContext *codec = writer->video.codec;
    bool is_hd =
        clv_picture_matrix(AVCOL_SPC_UNSPECIFIED, options->width, options->height) == SWS_CS_ITU709;
    codec->width = options->width;
    codec->height = options->height;
    codec->pix_fmt = AV_PIX_FMT_YUV420P;
    codec->time_base = frame_time;
    codec->framerate = av_inv_q(frame_time);
    codec->colorspace = is_hd ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    codec->color_range = AVCOL_RANGE_MPEG;
    codec->thread_count = options->thread_count;
    status = clv_output_stream_x264(&writer->video, options->quality ? options->quality : 20);
    if (status != CLV_OK)
        return status;
    writer->frame->width = options->width;
    writer->frame->height = options->height;
    writer->frame->format = AV_PIX_FMT_YUV420P;
    writer->frame->colorspace = codec->colorspace;
    writer->frame->color_range = codec->color_range;
    return clv_output_start(&writer->output);
}

int clv_writer_open(struct clv_writer **out, const char *path,
                    const struct clv_writer_options *options)
{
    *out = NULL;
    int status = check_options(path, options);
    if (status != CLV_OK)
        return status;
    struct clv_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return clv_fail_memory("a writer");
    writer->frame = av_frame_alloc();
    status = writer->frame ? clv_output_open(&writer->output, path) : clv_fail_memory("a frame");
    if (status == CLV_OK)
        status = open_video(writer, options);
    if (status != CLV_OK) {
        clv_writer_abort(writer);
        return status;
    }
    *out = writer;
    return CLV_OK;
}

/* The conversion from pictures of the size of `image`. */
static int prepare_scaler(struct clv_writer *writer, const struct clv_image *image)
{
    const AVFrame *frame = writer->frame;
    if (writer->scaler && writer->source_width == image->width &&
        writer->source_height == image->height)
        return CLV_OK;
    sws_freeContext(writer->scaler);
    writer->scaler = sws_getContext(
        image->width, image->height, AV_PIX_FMT_RGB24, frame->width, frame->height, frame->format,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!writer->scaler)
        return clv_fail(CLV_EINVAL, "cannot scale a picture of %dx%d", image->width, image->height);
    int matrix = clv_picture_matrix(frame->colorspace, frame->width, frame->height);
    (void)sws_setColorspaceDetails(writer->scaler, sws_getCoefficients(SWS_CS_DEFAULT), 1,
                                   sws_getCoefficients(matrix), 0, 0, 1 << 16, 1 << 16);
    writer->source_width = image->width;
    writer->source_height = image->height;
    return CLV_OK;
}

int clv_writer_add(struct clv_writer *writer, const struct clv_image *image)
{
    AVFrame *frame = writer->frame;
    if (!image->pixels || image->width < 1 || image->height < 1)
        return clv_fail(CLV_EINVAL, "an empty picture cannot be written to '%s'",
                        writer->output.replace.path);
    int status = prepare_scaler(writer, image);
    if (status != CLV_OK)
        return status;
    /* The encoder may still hold the last picture's memory. */
    int error = frame->buf[0] ? av_frame_make_writable(frame) : av_frame_get_buffer(frame, 0);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ENOMEM, error, "cannot write a picture");
    const uint8_t *planes[4] = {image->pixels};
    int strides[4] = {(int)image->stride_bytes};
    error =
        sws_scale(writer->scaler, planes, strides, 0, image->height, frame->data, frame->linesize);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ERR, error, "cannot convert a picture");
    frame->pts = writer->frame_count++;
    frame->pkt_duration = 1;
    return clv_output_encode(&writer->output, &writer->video, frame);
}

int clv_writer_finish(struct clv_writer *writer)
{
    int status = CLV_OK;
    if (writer->frame_count == 0)
        status =
            clv_fail(CLV_EINVAL, "no picture was written to '%s'", writer->output.replace.path);
    if (status == CLV_OK)
        status = clv_output_encode(&writer->output, &writer->video, NULL);
    if (status == CLV_OK)
        status = clv_output_finish(&writer->output, NULL);
    clv_writer_abort(writer);
    return status;
}

void clv_writer_abort(struct clv_writer *writer)
{
    if (!writer)
        return;
    clv_output_stream_release(&writer->video);
    clv_output_abort(&writer->output);
    sws_freeContext(writer->scaler);
    av_frame_free(&writer->frame);
    free(writer);
}

int clv_writer_film(const char *path, const struct clv_writer_options *options, int frame_count,
                    clv_writer_draw *draw, void *payload)
{
    struct clv_writer *writer = NULL;
    struct clv_image image = {0};
    int status = clv_writer_open(&writer, path, options);
    if (status == CLV_OK)
        status = clv_image_create(&image, options->width, options->height);
    for (int i = 0; i < frame_count && status == CLV_OK; i++) {
        status = draw(payload, &image, i);
        if (status == CLV_OK)
            status = clv_writer_add(writer, &image);
    }
    if (status == CLV_OK)
        status = clv_writer_finish(writer);
    else
        clv_writer_abort(writer);
    clv_image_release(&image);
    return status;
}
