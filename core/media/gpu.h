/* Private: decoding on the GPU's video engine, by FFmpeg's hardware acceleration.
 *
 * Frames stay on the GPU until their pixels are asked for, since most are never looked at. One that
 * is still there has its layout in frame->opaque; fetching it makes it the very frame that the CPU
 * would have decoded: same format, same planes. */
#ifndef CLV_CORE_MEDIA_GPU_H
#define CLV_CORE_MEDIA_GPU_H

#include "core/media/decoder.h"
#include "core/media/ffmpeg.h"

/* What is asked of FFmpeg, so that tests can stand in for a GPU, and for one that fails. */
struct clv_gpu_calls {
    bool (*serves)(const struct clv_decoder *decoder, const AVCodec *codec);
    int (*receive)(AVCodecContext *codec, AVFrame *frame);
    int (*transfer)(AVFrame *to, const AVFrame *from, int flags);
};
extern const struct clv_gpu_calls clv_gpu_ffmpeg;

struct clv_decoder {
    AVBufferRef *device;       /* a stand-in has none */
    enum AVHWDeviceType type;  /* whose acceleration is looked for */
    enum AVPixelFormat format; /* of frames on the GPU */
    bool is_required;          /* the CPU must not take over */
    const struct clv_gpu_calls *calls;
};

/* Memory that frames are fetched into, used again and again. Zero-initialise. */
struct clv_gpu_pool {
    AVBufferPool *buffers;
    size_t size_bytes;
};
void clv_gpu_pool_release(struct clv_gpu_pool *pool);

/* The decoder of `id` that the GPU speeds up; NULL: none. */
const AVCodec *clv_gpu_codec(const struct clv_decoder *decoder, enum AVCodecID id);
/* Makes a codec that is about to be opened decode on the GPU or fail. */
int clv_gpu_attach(const struct clv_decoder *decoder, AVCodecContext *codec);
/* Whether the codec has begun to work: what fails from then on may be the GPU's fault. */
bool clv_gpu_has_begun(const AVCodecContext *codec);

/* Marks a frame that just came from the codec as being on the GPU. False for one whose layout is
 * not known. */
bool clv_gpu_mark(const struct clv_decoder *decoder, const AVCodecContext *codec, AVFrame *frame);
bool clv_gpu_holds(const AVFrame *frame);
/* Brings a marked frame's pixels down. Returns 0 or FFmpeg's error, the frame then being as
 * before. */
int clv_gpu_fetch(const struct clv_decoder *decoder, struct clv_gpu_pool *pool, AVFrame *frame);

#endif
