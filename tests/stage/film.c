/* Clips as video files, through the library's own muxing. */
#include "tests/stage/film.h"

#include "cli/stage/random.h"
#include "core/error.h"
#include "core/media/output.h"

static const struct {
    const char *name, *encoder, *container;
    enum AVPixelFormat format;
    int best, worst;
} codecs[STAGE_CODECS] = {
    {"h264", "libx264", "mp4", AV_PIX_FMT_YUV420P, 18, 32},
    {"mpeg4", "mpeg4", "avi", AV_PIX_FMT_YUV420P, 2, 8},
    {"mjpeg", "mjpeg", "mkv", AV_PIX_FMT_YUVJ420P, 2, 9},
};

const char *stage_codec_name(enum stage_codec codec)
{
    return codecs[codec].name;
}

const char *stage_codec_container(enum stage_codec codec)
{
    return codecs[codec].container;
}

void stage_draw_coding(struct stage_coding *out, const struct stage_clip *clip)
{
    static const int sizes[][2] = {{96, 96},   {128, 96},  {160, 120}, {176, 144},
                                   {192, 108}, {224, 224}, {256, 144}, {320, 240}};
    struct stage_random random = stage_random_seed(clip->chance, 4242);
    out->codec = (enum stage_codec)stage_random_below(&random, STAGE_CODECS);
    int span = codecs[out->codec].worst - codecs[out->codec].best + 1;
    out->quality = codecs[out->codec].best + stage_random_below(&random, span);
    int size = stage_random_below(&random, (int)(sizeof sizes / sizeof *sizes));
    out->width = sizes[size][0];
    out->height = sizes[size][1];
    out->group = 1;
}

/* One file being made. */
struct film {
    struct clv_output output;
    struct clv_output_stream video;
    struct SwsContext *scaler;
    AVFrame *frame;
    struct clv_image image;
};

static int open_encoder(struct film *film, const struct stage_clip *clip,
                        const struct stage_coding *coding)
{
    int status =
        clv_output_stream_begin(&film->video, &film->output, codecs[coding->codec].encoder);
    if (status != CLV_OK)
        return status;
    AVCodecContext *codec = film->video.codec;
    AVDictionary *options = NULL;
    codec->width = coding->width;
    codec->height = coding->height;
    codec->pix_fmt = codecs[coding->codec].format;
    codec->time_base = (AVRational){1, clip->frame_rate};
    codec->framerate = av_inv_q(codec->time_base);
    codec->gop_size = coding->group;
    codec->max_b_frames = 0;
    codec->thread_count = 1;
    codec->colorspace = AVCOL_SPC_SMPTE170M;
    codec->color_range = coding->codec == STAGE_MJPEG ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    if (coding->codec == STAGE_H264) {
        av_dict_set_int(&options, "qp", coding->quality, 0);
        av_dict_set(&options, "preset", "veryfast", 0);
        av_dict_set_int(&options, "sc_threshold", 0, 0);
    } else {
        codec->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
        codec->global_quality = coding->quality * FF_QP2LAMBDA;
        codec->qmin = codec->qmax = coding->quality;
    }
    status = clv_output_stream_open(&film->video, &options);
    av_dict_free(&options);
    return status;
}

static int prepare(struct film *film, const struct stage_clip *clip,
                   const struct stage_coding *coding)
{
    int width = coding->width, height = coding->height;
    enum AVPixelFormat format = codecs[coding->codec].format;
    int status = open_encoder(film, clip, coding);
    if (status == CLV_OK)
        status = clv_output_start(&film->output);
    if (status == CLV_OK)
        status = clv_image_create(&film->image, width, height);
    if (status != CLV_OK)
        return status;
    film->frame = av_frame_alloc();
    film->scaler = sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, format,
                                  SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!film->frame || !film->scaler)
        return clv_fail_memory("a frame");
    (void)sws_setColorspaceDetails(film->scaler, sws_getCoefficients(SWS_CS_DEFAULT), 1,
                                   sws_getCoefficients(SWS_CS_ITU601),
                                   format == AV_PIX_FMT_YUVJ420P, 0, 1 << 16, 1 << 16);
    film->frame->width = width;
    film->frame->height = height;
    film->frame->format = format;
    film->frame->quality = film->video.codec->global_quality;
    return CLV_OK;
}

static int add_frame(struct film *film, int index)
{
    AVFrame *frame = film->frame;
    int error = frame->buf[0] ? av_frame_make_writable(frame) : av_frame_get_buffer(frame, 0);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ENOMEM, error, "cannot make a frame");
    const uint8_t *planes[4] = {film->image.pixels};
    int strides[4] = {(int)film->image.stride_bytes};
    error = sws_scale(film->scaler, planes, strides, 0, film->image.height, frame->data,
                      frame->linesize);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ERR, error, "cannot convert a frame");
    frame->pts = index;
    frame->pkt_duration = 1;
    return clv_output_encode(&film->output, &film->video, frame);
}

int stage_film(const char *path, const struct stage_clip *clip, const struct stage_coding *coding)
{
    struct film film = {0};
    int status = clv_output_open(&film.output, path);
    if (status == CLV_OK)
        status = prepare(&film, clip, coding);
    for (int i = 0; i < clip->frame_count && status == CLV_OK; i++) {
        stage_render_frame(clip, i, clip->frame_count, &film.image);
        status = add_frame(&film, i);
    }
    if (status == CLV_OK)
        status = clv_output_encode(&film.output, &film.video, NULL);
    if (status == CLV_OK)
        status = clv_output_finish(&film.output, NULL);
    clv_output_stream_release(&film.video);
    clv_output_abort(&film.output);
    sws_freeContext(film.scaler);
    av_frame_free(&film.frame);
    clv_image_release(&film.image);
    return status;
}
