/* FFmpeg's log and error codes in claverdb's terms. */
#include "core/media/ffmpeg.h"

#include "core/error.h"
#include "core/log.h"
#include "core/media/reader.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char complaint[256], first_complaint[256];

static void receive_log(void *context, int level, const char *format, va_list arguments)
{
    char line[sizeof complaint];
    int no_prefix = 0;
    /* Below warnings FFmpeg talks once per packet. */
    if (level > AV_LOG_WARNING)
        return;
    av_log_format_line2(context, level, format, arguments, line, sizeof line, &no_prefix);
    size_t length = strlen(line);
    while (length > 0 && (unsigned char)line[length - 1] <= ' ')
        line[--length] = '\0';
    if (length == 0)
        return;
    const AVClass *class = context ? *(AVClass **)context : NULL;
    clv_log(CLV_LOG_DEBUG, "ffmpeg: %s: %s", class ? class->item_name(context) : "-", line);
    if (level > AV_LOG_ERROR)
        return;
    snprintf(complaint, sizeof complaint, "%s", line);
    if (!first_complaint[0])
        snprintf(first_complaint, sizeof first_complaint, "%s", line);
}

static void set_callback(void)
{
    av_log_set_callback(receive_log);
}

void clv_ffmpeg_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_callback);
}

void clv_ffmpeg_forget(void)
{
    complaint[0] = first_complaint[0] = '\0';
}

const char *clv_ffmpeg_first_complaint(void)
{
    return first_complaint;
}

int clv_ffmpeg_fail(int status, int averror, const char *format, ...)
{
    char what[1024], reason[AV_ERROR_MAX_STRING_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (averror == AVERROR_EXIT)
        return clv_fail(CLV_ECANCELED, "%s: canceled", what);
    av_strerror(averror, reason, sizeof reason);
    if (averror == AVERROR(ENOMEM))
        status = CLV_ENOMEM;
    if (complaint[0])
        return clv_fail(status, "%s: %s (%s)", what, reason, complaint);
    return clv_fail(status, "%s: %s", what, reason);
}

static char version[128];

static void write_version(void)
{
    unsigned format = avformat_version(), codec = avcodec_version(), filter = avfilter_version();
    snprintf(version, sizeof version,
             "FFmpeg %s, libavformat %u.%u.%u, libavcodec %u.%u.%u, libavfilter %u.%u.%u",
             av_version_info(), AV_VERSION_MAJOR(format), AV_VERSION_MINOR(format),
             AV_VERSION_MICRO(format), AV_VERSION_MAJOR(codec), AV_VERSION_MINOR(codec),
             AV_VERSION_MICRO(codec), AV_VERSION_MAJOR(filter), AV_VERSION_MINOR(filter),
             AV_VERSION_MICRO(filter));
}

const char *clv_media_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_version);
    return version;
}
