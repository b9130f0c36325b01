/* Opening the GPU's video engine, and asking FFmpeg for codecs that use it. */
#include "core/media/decoder.h"

#include "core/error.h"
#include "core/log.h"
#include "core/media/gpu.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames that a reader keeps on the GPU while the codec goes on. */
#define FRAMES_HELD 4
#define BLOCKING_SYNC 4u /* CU_CTX_SCHED_BLOCKING_SYNC: threads that wait for the GPU sleep */

static bool is_accelerated(const struct clv_decoder *decoder, const AVCodec *codec)
{
    const AVCodecHWConfig *config;
    /* The codecs that are a GPU's own have no packets in common with the CPU's. */
    if (codec->capabilities & AV_CODEC_CAP_HARDWARE)
        return false;
    for (int i = 0; (config = avcodec_get_hw_config(codec, i)) != NULL; i++)
        if (config->device_type == decoder->type && config->pix_fmt == decoder->format &&
            config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX)
            return true;
    return false;
}

const struct clv_gpu_calls clv_gpu_ffmpeg = {is_accelerated, avcodec_receive_frame,
                                             av_hwframe_transfer_data};

/* ---- one context for the process -------------------------------------------------------------
 *
 * A second one on the same device would take turns with the models', which is the device's primary
 * one. FFmpeg has an option to use that, and refuses where it was not FFmpeg that made it. */

struct driver {
    int (*init)(unsigned flags);
    int (*get_device)(int *device, int index);
    int (*set_flags)(int device, unsigned flags);
    int (*retain)(CUcontext *context, int device);
    int (*release)(int device);
};

/* False where there is no driver, or an old one. */
static bool load_driver(struct driver *out)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return false;
    *(void **)&out->init = dlsym(library, "cuInit");
    *(void **)&out->get_device = dlsym(library, "cuDeviceGet");
    *(void **)&out->set_flags = dlsym(library, "cuDevicePrimaryCtxSetFlags_v2");
    *(void **)&out->retain = dlsym(library, "cuDevicePrimaryCtxRetain");
    *(void **)&out->release = dlsym(library, "cuDevicePrimaryCtxRelease_v2");
    return out->init && out->get_device && out->set_flags && out->retain && out->release;
}

/* Called with the last that FFmpeg made on the device. */
static void release_context(struct AVHWDeviceContext *context)
{
    struct driver driver;
    if (load_driver(&driver))
        (void)driver.release((int)(intptr_t)context->user_opaque);
}

static AVBufferRef *share_context(int cuda_index)
{
    struct driver driver;
    CUcontext context;
    int device;
    if (!load_driver(&driver) || driver.init(0) != 0 || driver.get_device(&device, cuda_index) != 0)
        return NULL;
    (void)driver.set_flags(device, BLOCKING_SYNC); /* as the models do */
    if (driver.retain(&context, device) != 0)
        return NULL;
    AVBufferRef *shared = av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA);
    if (!shared) {
        (void)driver.release(device);
        return NULL;
    }
    AVHWDeviceContext *facts = (AVHWDeviceContext *)shared->data;
    facts->user_opaque = (void *)(intptr_t)device;
    facts->free = release_context;
    ((AVCUDADeviceContext *)facts->hwctx)->cuda_ctx = context;
    if (av_hwdevice_ctx_init(shared) < 0)
        av_buffer_unref(&shared);
    return shared;
}

/* FFmpeg's own where sharing fails, or else its words for why there is none. */
static int open_device(AVBufferRef **out, int cuda_index)
{
    char name[16];
    snprintf(name, sizeof name, "%d", cuda_index);
    *out = share_context(cuda_index);
    clv_ffmpeg_forget();
    return *out ? 0 : av_hwdevice_ctx_create(out, AV_HWDEVICE_TYPE_CUDA, name, NULL, 0);
}

static int fail_open(int error)
{
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(error, reason, sizeof reason);
    const char *complaint = clv_ffmpeg_first_complaint();
    return clv_fail(CLV_EDEVICE, "the GPU does not decode video here: %s",
                    complaint[0] ? complaint : reason);
}

static int open_engine(struct clv_decoder *decoder, int cuda_index)
{
    clv_ffmpeg_setup();
    int error = open_device(&decoder->device, cuda_index);
    if (error < 0)
        return fail_open(error);
    /* A driver may come without its video library, which shows when a picture is decoded. */
    clv_ffmpeg_forget();
    return clv_decoder_decodes(decoder, "h264") ? CLV_OK : fail_open(AVERROR_EXTERNAL);
}

int clv_decoder_open(struct clv_decoder **out, enum clv_decoder_kind kind, int cuda_index)
{
    *out = NULL;
    if (kind == CLV_DECODER_CPU)
        return CLV_OK;
    struct clv_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return clv_fail_memory("a decoder");
    *decoder = (struct clv_decoder){.type = AV_HWDEVICE_TYPE_CUDA,
                                    .format = AV_PIX_FMT_CUDA,
                                    .is_required = kind == CLV_DECODER_GPU,
                                    .calls = &clv_gpu_ffmpeg};
    int status = open_engine(decoder, cuda_index);
    if (status == CLV_OK) {
        *out = decoder;
        return CLV_OK;
    }
    clv_decoder_close(decoder);
    if (kind == CLV_DECODER_GPU)
        return status;
    clv_log(CLV_LOG_DEBUG, "%s; the CPU does", clv_error_message());
    clv_error_clear();
    return CLV_OK;
}

void clv_decoder_close(struct clv_decoder *decoder)
{
    if (!decoder)
        return;
    av_buffer_unref(&decoder->device);
    free(decoder);
}

const AVCodec *clv_gpu_codec(const struct clv_decoder *decoder, enum AVCodecID id)
{
    const AVCodec *codec;
    void *at = NULL;
    while ((codec = av_codec_iterate(&at)) != NULL)
        if (codec->id == id && av_codec_is_decoder(codec) && decoder->calls->serves(decoder, codec))
            return codec;
    return NULL;
}

/* Nothing but the GPU's format: FFmpeg comes with the others once the GPU has refused, and the CPU
 * is better served by a decoder of its own, with threads. */
static enum AVPixelFormat choose_format(AVCodecContext *codec, const enum AVPixelFormat *formats)
{
    const struct clv_decoder *decoder = codec->opaque;
    for (; *formats != AV_PIX_FMT_NONE; formats++)
        if (*formats == decoder->format)
            return *formats;
    return AV_PIX_FMT_NONE;
}

int clv_gpu_attach(const struct clv_decoder *decoder, AVCodecContext *codec)
{
    codec->opaque = (void *)decoder;
    codec->get_format = choose_format;
    codec->thread_count = 1;
    codec->extra_hw_frames = FRAMES_HELD;
    if (!decoder->device)
        return 0;
    codec->hw_device_ctx = av_buffer_ref(decoder->device);
    return codec->hw_device_ctx ? 0 : AVERROR(ENOMEM);
}

bool clv_gpu_has_begun(const AVCodecContext *codec)
{
    /* Set when the codec knows enough of the stream to ask for a format. */
    return codec->sw_pix_fmt != AV_PIX_FMT_NONE;
}
