/* Frames from the GPU, laid out as the CPU's decoders lay theirs out.
 *
 * The GPU keeps chroma as pairs, and values of more than 8 bits in the upper bits of 16. Everything
 * behind the decoder is the same to the bit because both are undone here. */
#include "core/media/gpu.h"

#include <string.h>

#define ROW_ALIGN 64
/* Filters may read whole vectors past the last row. */
#define PADDING 256

/* A row of the table is where frame->opaque points. */
struct layout {
    enum AVPixelFormat on_cpu, on_gpu;
    int shift;      /* of 16-bit values */
    bool is_paired; /* chroma */
};

static const struct layout layouts[] = {
    {AV_PIX_FMT_YUV420P, AV_PIX_FMT_NV12, 0, true},
    {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_NV12, 0, true},
    {AV_PIX_FMT_YUV420P10, AV_PIX_FMT_P010, 6, true},
    {AV_PIX_FMT_YUV420P12, AV_PIX_FMT_P016, 4, true},
    {AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUV444P, 0, false},
    {AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P, 0, false},
    {AV_PIX_FMT_YUV444P10, AV_PIX_FMT_YUV444P16, 6, false},
    {AV_PIX_FMT_YUV444P12, AV_PIX_FMT_YUV444P16, 4, false},
};

bool clv_gpu_mark(const struct clv_decoder *decoder, const AVCodecContext *codec, AVFrame *frame)
{
    const AVHWFramesContext *frames =
        frame->hw_frames_ctx ? (const AVHWFramesContext *)frame->hw_frames_ctx->data : NULL;
    if (frame->format != decoder->format)
        return false;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i].on_cpu == codec->sw_pix_fmt &&
            (!frames || layouts[i].on_gpu == frames->sw_format)) {
            frame->opaque = (void *)&layouts[i];
            return true;
        }
    return false;
}

bool clv_gpu_holds(const AVFrame *frame)
{
    return frame->opaque != NULL;
}

void clv_gpu_pool_release(struct clv_gpu_pool *pool)
{
    /* Buffers that frames still use go with the last of them. */
    av_buffer_pool_uninit(&pool->buffers);
    pool->size_bytes = 0;
}

static AVBufferRef *take_buffer(struct clv_gpu_pool *pool, size_t size_bytes)
{
    if (size_bytes != pool->size_bytes) {
        clv_gpu_pool_release(pool);
        pool->buffers = av_buffer_pool_init(size_bytes, NULL);
        pool->size_bytes = pool->buffers ? size_bytes : 0;
    }
    return pool->buffers ? av_buffer_pool_get(pool->buffers) : NULL;
}

/* Where everything is in one buffer: luma, chroma as it comes, and room for its two planes where it
 * comes in pairs. */
struct places {
    size_t luma_stride, chroma_stride, luma_bytes, chroma_bytes; /* of one plane that is wanted */
    int chroma_width, chroma_height;
};

static struct places find_places(const struct layout *layout, int width, int height)
{
    size_t value_bytes = layout->shift > 0 ? 2 : 1;
    size_t align = layout->is_paired ? 2 * ROW_ALIGN : ROW_ALIGN;
    struct places places = {0};
    places.luma_stride = ((size_t)width * value_bytes + align - 1) / align * align;
    places.luma_bytes = places.luma_stride * (size_t)height;
    places.chroma_width = layout->is_paired ? (width + 1) / 2 : width;
    places.chroma_height = layout->is_paired ? height / 2 : height;
    places.chroma_stride = layout->is_paired ? places.luma_stride / 2 : places.luma_stride;
    places.chroma_bytes = places.chroma_stride * (size_t)places.chroma_height;
    return places;
}

/* The planes as the GPU has them. */
static void place_raw(AVFrame *to, const struct layout *layout, const struct places *places)
{
    to->format = layout->on_gpu;
    to->data[0] = to->buf[0]->data;
    to->data[1] = to->data[0] + places->luma_bytes;
    to->linesize[0] = (int)places->luma_stride;
    to->linesize[1] = (int)(layout->is_paired ? places->luma_stride : places->chroma_stride);
    if (layout->is_paired)
        return;
    to->data[2] = to->data[1] + places->chroma_bytes;
    to->linesize[2] = to->linesize[1];
}

static void split_bytes(uint8_t *u, uint8_t *v, const uint8_t *pairs, int count)
{
    for (int i = 0; i < count; i++) {
        u[i] = pairs[2 * i];
        v[i] = pairs[2 * i + 1];
    }
}

static void split_words(uint16_t *u, uint16_t *v, const uint16_t *pairs, int count, int shift)
{
    for (int i = 0; i < count; i++) {
        u[i] = (uint16_t)(pairs[2 * i] >> shift);
        v[i] = (uint16_t)(pairs[2 * i + 1] >> shift);
    }
}

static void shift_plane(uint8_t *plane, size_t size_bytes, int shift)
{
    uint16_t *values = (uint16_t *)(void *)plane;
    for (size_t i = 0; i < size_bytes / 2; i++)
        values[i] = (uint16_t)(values[i] >> shift);
}

static void split_pairs(AVFrame *frame, const struct layout *layout, const struct places *places)
{
    const uint8_t *pairs = frame->data[1];
    uint8_t *u = frame->data[1] + 2 * places->chroma_bytes, *v = u + places->chroma_bytes;
    for (int y = 0; y < places->chroma_height; y++) {
        const uint8_t *row = pairs + (size_t)y * places->luma_stride;
        size_t at = (size_t)y * places->chroma_stride;
        if (layout->shift > 0)
            split_words((uint16_t *)(void *)(u + at), (uint16_t *)(void *)(v + at),
                        (const uint16_t *)(const void *)row, places->chroma_width, layout->shift);
        else
            split_bytes(u + at, v + at, row, places->chroma_width);
    }
    frame->data[1] = u;
    frame->data[2] = v;
    frame->linesize[1] = frame->linesize[2] = (int)places->chroma_stride;
}

/* The planes as the CPU would have them. */
static void place_whole(AVFrame *frame, const struct layout *layout, const struct places *places)
{
    if (layout->shift > 0)
        shift_plane(frame->data[0], places->luma_bytes, layout->shift);
    if (layout->is_paired)
        split_pairs(frame, layout, places);
    else if (layout->shift > 0)
        shift_plane(frame->data[1], 2 * places->chroma_bytes, layout->shift);
    frame->format = layout->on_cpu;
}

/* FFmpeg returns success from copies that failed, but never without a complaint. */
static int transfer(const struct clv_decoder *decoder, AVFrame *to, AVFrame *from)
{
    const AVHWFramesContext *frames =
        from->hw_frames_ctx ? (const AVHWFramesContext *)from->hw_frames_ctx->data : NULL;
    int height = from->height;
    clv_ffmpeg_forget();
    /* Of an odd height the copy would leave out the last row of chroma. */
    if (!frames || frames->height > height)
        from->height += height % 2;
    int error = decoder->calls->transfer(to, from, 0);
    from->height = height;
    return error >= 0 && clv_ffmpeg_first_complaint()[0] ? AVERROR_EXTERNAL : error;
}

int clv_gpu_fetch(const struct clv_decoder *decoder, struct clv_gpu_pool *pool, AVFrame *frame)
{
    const struct layout *layout = frame->opaque;
    AVFrame *to = av_frame_alloc();
    int height = frame->height + frame->height % 2, error = AVERROR(ENOMEM);
    struct places places = find_places(layout, frame->width, height);
    if (to)
        to->buf[0] = take_buffer(pool, places.luma_bytes + 4 * places.chroma_bytes + PADDING);
    if (to && to->buf[0]) {
        to->width = frame->width;
        to->height = height;
        place_raw(to, layout, &places);
        error = transfer(decoder, to, frame);
    }
    if (error >= 0)
        error = av_frame_copy_props(to, frame);
    if (error >= 0) {
        place_whole(to, layout, &places);
        to->opaque = NULL;
        to->height = frame->height;
        /* The right and the lower edge are cropped already, even on the GPU. */
        to->crop_left = frame->crop_left;
        to->crop_top = frame->crop_top;
        to->crop_right = to->crop_bottom = 0;
        error = av_frame_apply_cropping(to, 0);
    }
    if (error >= 0) {
        av_frame_unref(frame);
        av_frame_move_ref(frame, to);
    }
    av_frame_free(&to);
    return error < 0 ? error : 0;
}
