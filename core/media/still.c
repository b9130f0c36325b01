/* Still pictures in and out. */
#include "core/error.h"
#include "core/media/ffmpeg.h"
#include "core/media/reader.h"
#include "core/media/writer.h"

#include <string.h>

int clv_image_load(struct clv_image *out, const char *path)
{
    const struct clv_reader_options options = {.thread_count = 1};
    struct clv_reader *reader = NULL;
    const struct clv_image *image = NULL;
    struct clv_frame frame;
    *out = (struct clv_image){0};
    int status = clv_reader_open(&reader, path, &options);
    if (status == CLV_OK)
        status = clv_reader_next(reader, &frame);
    if (status == CLV_OK)
        status = clv_reader_image(reader, &image);
    if (status == CLV_OK)
        status = clv_image_create(out, image->width, image->height);
    for (int y = 0; status == CLV_OK && y < image->height; y++)
        memcpy(out->pixels + (size_t)y * out->stride_bytes,
               image->pixels + (size_t)y * image->stride_bytes, 3 * (size_t)image->width);
    clv_reader_close(reader);
    return status;
}

/* The size of a picture that fits the limits and keeps its aspect; never larger than it is. */
static void fit(int *width, int *height, int width_max, int height_max)
{
    int64_t w = *width, h = *height;
    if (width_max > 0 && w > width_max) {
        h = av_rescale(h, width_max, w);
        w = width_max;
    }
    if (height_max > 0 && h > height_max) {
        w = av_rescale(w, height_max, h);
        h = height_max;
    }
    *width = w > 0 ? (int)w : 1;
    *height = h > 0 ? (int)h : 1;
}

/* Fills `frame` with `image` at the frame's size, in JPEG's colours (BT.601, full range). */
static int fill(AVFrame *frame, const struct clv_image *image)
{
    int error = av_frame_get_buffer(frame, 0);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ENOMEM, error, "cannot make a picture");
    struct SwsContext *scaler = sws_getContext(
        image->width, image->height, AV_PIX_FMT_RGB24, frame->width, frame->height,
        AV_PIX_FMT_YUV420P, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!scaler)
        return clv_fail(CLV_EINVAL, "cannot scale a picture of %dx%d", image->width, image->height);
    const uint8_t *planes[4] = {image->pixels};
    int strides[4] = {(int)image->stride_bytes};
    (void)sws_setColorspaceDetails(scaler, sws_getCoefficients(SWS_CS_DEFAULT), 1,
                                   sws_getCoefficients(SWS_CS_ITU601), 1, 0, 1 << 16, 1 << 16);
    error = sws_scale(scaler, planes, strides, 0, image->height, frame->data, frame->linesize);
    sws_freeContext(scaler);
    return error < 0 ? clv_ffmpeg_fail(CLV_ERR, error, "cannot scale a picture") : CLV_OK;
}

static int encode(struct clv_bytes *out, AVCodecContext *codec, AVFrame *frame)
{
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return clv_fail_memory("a packet");
    int error = avcodec_send_frame(codec, frame);
    if (error >= 0)
        error = avcodec_receive_packet(codec, packet);
    int status = CLV_OK;
    if (error < 0)
        status = clv_ffmpeg_fail(CLV_ERR, error, "cannot make a JPEG");
    else {
        clv_bytes_add(out, packet->data, (size_t)packet->size);
        status = out->status;
    }
    av_packet_free(&packet);
    return status;
}

int clv_image_jpeg(struct clv_bytes *out, const struct clv_image *image, int width_max,
                   int height_max)
{
    if (!image->pixels || image->width < 1 || image->height < 1)
        return clv_fail(CLV_EINVAL, "an empty picture cannot become a JPEG");
    clv_ffmpeg_setup();
    clv_ffmpeg_forget();
    int status = CLV_OK, error = 0;
    AVFrame *frame = av_frame_alloc();
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *codec = encoder ? avcodec_alloc_context3(encoder) : NULL;
    if (!frame || !codec) {
        status = clv_fail_memory("a JPEG encoder");
        goto done;
    }
    frame->width = image->width;
    frame->height = image->height;
    fit(&frame->width, &frame->height, width_max, height_max);
    frame->format = AV_PIX_FMT_YUV420P;
    frame->color_range = codec->color_range = AVCOL_RANGE_JPEG;
    frame->quality = codec->global_quality = 3 * FF_QP2LAMBDA;
    codec->flags |= AV_CODEC_FLAG_QSCALE;
    codec->width = frame->width;
    codec->height = frame->height;
    codec->pix_fmt = frame->format;
    codec->time_base = (AVRational){1, 25};
    codec->thread_count = 1;
    error = avcodec_open2(codec, encoder, NULL);
    status = error < 0 ? clv_ffmpeg_fail(CLV_ERR, error, "cannot make a JPEG of %dx%d",
                                         frame->width, frame->height)
                       : fill(frame, image);
    if (status == CLV_OK)
        status = encode(out, codec, frame);
done:
    avcodec_free_context(&codec);
    av_frame_free(&frame);
    return status;
}
