/* Frames to RGB: aspect ratio, colour, rotation. */
#include "core/media/picture.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* Aspect ratios beyond this are damage, not intent. */
#define ASPECT_MAX 16

/* The scaler may write whole vectors past a row's end, and read them. */
#define ROW_ALIGN 64
#define PADDING 256

/* EXIF orientation 1…8 as a display matrix [a b; c d]. */
static const int8_t exif_matrices[9][4] = {
    {1, 0, 0, 1}, {1, 0, 0, 1},  {-1, 0, 0, 1},  {-1, 0, 0, -1}, {1, 0, 0, -1},
    {0, 1, 1, 0}, {0, 1, -1, 0}, {0, -1, -1, 0}, {0, -1, 1, 0},
};

/* The matrix of libavutil/display.h, which maps stored to shown: x' = a x + c y, y' = b x + d y. */
static void find_matrix(double matrix[4], const AVStream *stream, const AVFrame *frame)
{
    const AVFrameSideData *of_frame = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    const AVDictionaryEntry *exif = av_dict_get(frame->metadata, "Orientation", NULL, 0);
    size_t size = of_frame ? of_frame->size : 0;
    const uint8_t *data = of_frame ? of_frame->data : NULL;
    if (!data)
        data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    long orientation = exif ? strtol(exif->value, NULL, 10) : 0;
    if (data && size >= 9 * sizeof(int32_t)) {
        int32_t values[9];
        memcpy(values, data, sizeof values);
        matrix[0] = values[0], matrix[1] = values[1];
        matrix[2] = values[3], matrix[3] = values[4];
    } else {
        const int8_t *values =
            exif_matrices[orientation >= 1 && orientation <= 8 ? orientation : 0];
        for (int i = 0; i < 4; i++)
            matrix[i] = values[i];
    }
}

static double magnitude(double value)
{
    return value < 0 ? -value : value;
}

/* Never shrinks: the side that is too short grows. */
static void square_pixels(struct clv_geometry *out, const AVFrame *frame)
{
    AVRational aspect = out->sample_aspect_ratio;
    out->scaled_width = frame->width;
    out->scaled_height = frame->height;
    if (aspect.num <= 0 || aspect.den <= 0 ||
        (int64_t)aspect.num > (int64_t)aspect.den * ASPECT_MAX ||
        (int64_t)aspect.den > (int64_t)aspect.num * ASPECT_MAX)
        return;
    int64_t width = frame->width, height = frame->height;
    if (aspect.num > aspect.den)
        width = av_rescale(width, aspect.num, aspect.den);
    else
        height = av_rescale(height, aspect.den, aspect.num);
    if (width > 32767 || height > 32767 || width * height > CLV_MEDIA_PIXELS_MAX)
        return;
    out->scaled_width = (int)width;
    out->scaled_height = (int)height;
}

void clv_geometry_of(struct clv_geometry *out, AVFormatContext *format, AVStream *stream,
                     const AVFrame *frame)
{
    double m[4];
    *out = (struct clv_geometry){0};
    /* The call wants to write nothing, but is not declared so. */
    out->sample_aspect_ratio = av_guess_sample_aspect_ratio(format, stream, (AVFrame *)frame);
    square_pixels(out, frame);
    find_matrix(m, stream, frame);
    out->transpose = magnitude(m[1]) + magnitude(m[2]) > magnitude(m[0]) + magnitude(m[3]);
    out->flip_x = (out->transpose ? m[1] : m[0]) < 0;
    out->flip_y = (out->transpose ? m[2] : m[3]) < 0;
    out->width = out->transpose ? out->scaled_height : out->scaled_width;
    out->height = out->transpose ? out->scaled_width : out->scaled_height;
}

int clv_geometry_rotation(const struct clv_geometry *geometry)
{
    if (geometry->transpose)
        return geometry->flip_x ? 270 : 90;
    return geometry->flip_x && geometry->flip_y ? 180 : 0;
}

int clv_picture_matrix(enum AVColorSpace space, int width, int height)
{
    switch (space) {
    case AVCOL_SPC_BT709:
        return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
        return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
        return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return SWS_CS_BT2020;
    default:
        return width >= 1280 || height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    }
}

/* The formats that mean full range by their name, as their ordinary twins. */
static enum AVPixelFormat plain_format(enum AVPixelFormat format, int *is_full_range)
{
    static const enum AVPixelFormat pairs[][2] = {
        {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P}, {AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P},
        {AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P}, {AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUV440P},
        {AV_PIX_FMT_YUVJ411P, AV_PIX_FMT_YUV411P},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (format == pairs[i][0]) {
            *is_full_range = 1;
            return pairs[i][1];
        }
    return format;
}

/* Makes picture->scaler fit `frame`, keeping it where it does already. */
static int prepare(struct clv_picture *picture, const AVFrame *frame,
                   const struct clv_geometry *geometry, const char *name)
{
    struct clv_picture want = *picture;
    want.is_full_range = frame->color_range == AVCOL_RANGE_JPEG;
    want.format = (int)plain_format(frame->format, &want.is_full_range);
    want.width = frame->width;
    want.height = frame->height;
    want.scaled_width = geometry->scaled_width;
    want.scaled_height = geometry->scaled_height;
    want.colorspace = clv_picture_matrix(frame->colorspace, frame->width, frame->height);
    if (picture->scaler && want.format == picture->format && want.width == picture->width &&
        want.height == picture->height && want.scaled_width == picture->scaled_width &&
        want.scaled_height == picture->scaled_height && want.colorspace == picture->colorspace &&
        want.is_full_range == picture->is_full_range)
        return CLV_OK;
    sws_freeContext(picture->scaler);
    picture->scaler = NULL;
    if (!sws_isSupportedInput(want.format))
        return clv_fail(CLV_EUNSUPPORTED, "'%s' has pictures in the format %s, which is not read",
                        name, av_get_pix_fmt_name(want.format));
    want.scaler = sws_getContext(
        want.width, want.height, want.format, want.scaled_width, want.scaled_height,
        AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP,
        NULL, NULL, NULL);
    if (!want.scaler)
        return clv_fail(CLV_EUNSUPPORTED, "cannot convert %dx%d %s pictures of '%s' to RGB",
                        want.width, want.height, av_get_pix_fmt_name(want.format), name);
    /* Refused for sources that are RGB already, where it would mean nothing. */
    (void)sws_setColorspaceDetails(want.scaler, sws_getCoefficients(want.colorspace),
                                   want.is_full_range, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
                                   1 << 16, 1 << 16);
    *picture = want;
    return CLV_OK;
}

static int reserve(uint8_t **buffer, size_t *capacity, size_t size)
{
    if (size <= *capacity)
        return CLV_OK;
    free(*buffer);
    *capacity = 0;
    /* Rounded because aligned_alloc() wants multiples. */
    size_t rounded = (size + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
    *buffer = aligned_alloc(ROW_ALIGN, rounded);
    if (!*buffer)
        return clv_fail_memory("a picture");
    *capacity = rounded;
    return CLV_OK;
}

static size_t row_bytes(int width)
{
    return (3 * (size_t)width + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
}

/* Shown pixel (x, y) of stored pixel (y, x) or (x, y), mirrored. */
static void turn(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride,
                 const struct clv_geometry *g)
{
    for (int y = 0; y < g->height; y++) {
        uint8_t *row = to + (size_t)y * to_stride;
        for (int x = 0; x < g->width; x++) {
            int column = g->transpose ? y : x, line = g->transpose ? x : y;
            if (g->flip_x)
                column = g->scaled_width - 1 - column;
            if (g->flip_y)
                line = g->scaled_height - 1 - line;
            memcpy(row + 3 * x, from + (size_t)line * from_stride + 3 * (size_t)column, 3);
        }
    }
}

int clv_picture_convert(struct clv_picture *picture, struct clv_image *out, const AVFrame *frame,
                        const struct clv_geometry *geometry, const char *name)
{
    *out = (struct clv_image){0};
    int status = prepare(picture, frame, geometry, name);
    if (status != CLV_OK)
        return status;
    size_t stride = row_bytes(geometry->scaled_width);
    status = reserve(&picture->scaled, &picture->scaled_capacity,
                     stride * (size_t)geometry->scaled_height + PADDING);
    if (status != CLV_OK)
        return status;
    uint8_t *planes[4] = {picture->scaled};
    int strides[4] = {(int)stride};
    int error = sws_scale(picture->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0,
                          frame->height, planes, strides);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ECORRUPT, error, "cannot convert a picture of '%s'", name);
    *out = (struct clv_image){picture->scaled, geometry->width, geometry->height, stride};
    if (!geometry->transpose && !geometry->flip_x && !geometry->flip_y)
        return CLV_OK;
    out->stride_bytes = row_bytes(geometry->width);
    status = reserve(&picture->turned, &picture->turned_capacity,
                     out->stride_bytes * (size_t)geometry->height);
    if (status != CLV_OK)
        return status;
    turn(picture->turned, out->stride_bytes, picture->scaled, stride, geometry);
    out->pixels = picture->turned;
    return CLV_OK;
}

void clv_picture_release(struct clv_picture *picture)
{
    sws_freeContext(picture->scaler);
    free(picture->scaled);
    free(picture->turned);
    *picture = (struct clv_picture){0};
}
