/* Private to core/media: the one place FFmpeg's headers come in, and what every caller of FFmpeg
 * shares: its log turned into ours, its error codes turned into our sentences, the limits. */
#ifndef CLV_CORE_MEDIA_FFMPEG_H
#define CLV_CORE_MEDIA_FFMPEG_H

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/avstring.h>
#include <libavutil/display.h>
#include <libavutil/hwcontext.h>
/* Of CUDA its contexts are handed on, and never looked into: no header of CUDA's own. */
#define CUDA_VERSION 0
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
#include <libavutil/hwcontext_cuda.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

/* Larger pictures are refused: a few bytes of a hostile header must not cost gigabytes. */
#define CLV_MEDIA_PIXELS_MAX (INT64_C(16384) * 16384)

/* Routes FFmpeg's log to clv_log(), once per process. Every opening function calls it. */
void clv_ffmpeg_setup(void);

/* Forgets this thread's last FFmpeg complaint, so that a later failure does not quote a stale one.
 */
void clv_ffmpeg_forget(void);
/* The first complaint since, which is nearest to the cause; "" where there is none. Borrowed until
 * the next one to forget. */
const char *clv_ffmpeg_first_complaint(void);

/* Records "<format>: <text of averror> (<FFmpeg's last complaint>)". Returns CLV_ENOMEM or
 * CLV_ECANCELED where `averror` says so, `status` otherwise. */
int clv_ffmpeg_fail(int status, int averror, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
