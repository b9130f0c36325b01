/* Opening containers. */
#include "core/media/input.h"

#include "core/error.h"
#include "core/media/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PROBE_BYTES (5 << 20)

/* Formats whose files only name other files or addresses. */
static const char references[] =
    "concat,dash,hls,image2,imf,rtsp,sap,sdp,vobsub,webm_dash_manifest";

static int interrupted(void *opaque)
{
    return clv_cancelled(opaque);
}

static int refuse_open(AVFormatContext *format, AVIOContext **out, const char *url, int flags,
                       AVDictionary **options)
{
    (void)flags, (void)options;
    *out = NULL;
    av_log(format, AV_LOG_ERROR, "it refers to '%s', which is not opened\n", url);
    return AVERROR(EACCES);
}

static int check_regular(const char *path)
{
    struct stat facts;
    if (stat(path, &facts) != 0)
        return clv_fail_errno("cannot open '%s'", path);
    if (S_ISDIR(facts.st_mode))
        return clv_fail(CLV_EINVAL, "'%s' is a directory", path);
    if (!S_ISREG(facts.st_mode))
        return clv_fail(CLV_EINVAL, "'%s' is not a regular file", path);
    if (facts.st_size == 0)
        return clv_fail(CLV_ECORRUPT, "'%s' is empty", path);
    return CLV_OK;
}

static int open_bytes(struct clv_input *input, const char *path, struct clv_cancel *cancel)
{
    AVIOInterruptCB interrupt = {interrupted, cancel};
    AVDictionary *options = NULL;
    char *url = av_asprintf("file:%s", path);
    if (!url)
        return clv_fail_memory("a file name");
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    int error = avio_open2(&input->io, url, AVIO_FLAG_READ, &interrupt, &options);
    av_dict_free(&options);
    av_free(url);
    return error < 0 ? clv_ffmpeg_fail(CLV_EIO, error, "cannot open '%s'", path) : CLV_OK;
}

/* The demuxers' own probing sees the extension only of names that say video: others ("x.txt" is
 * ANSI art to FFmpeg, "x%d.jpg" a series of files) must convince by their content. */
static int open_container(struct clv_input *input, const char *path, struct clv_cancel *cancel)
{
    const AVInputFormat *kind = NULL;
    char hint[32] = "";
    if (clv_media_is_video_name(path))
        snprintf(hint, sizeof hint, "video%s", strrchr(path, '.'));
    int error = av_probe_input_buffer2(input->io, &kind, hint, NULL, 0, 0);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_ECORRUPT, error, "'%s' is no media file", path);
    if (av_match_name(kind->name, references))
        return clv_fail(CLV_EUNSUPPORTED, "'%s' only refers to other files (%s)", path, kind->name);
    input->format = avformat_alloc_context();
    if (!input->format)
        return clv_fail_memory("a demuxer");
    input->format->pb = input->io;
    input->format->io_open = refuse_open;
    input->format->interrupt_callback = (AVIOInterruptCB){interrupted, cancel};
    input->format->probesize = PROBE_BYTES;
    AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    error = avformat_open_input(&input->format, hint, kind, &options);
    av_dict_free(&options);
    return error < 0 ? clv_ffmpeg_fail(CLV_ECORRUPT, error, "cannot read '%s'", path) : CLV_OK;
}

/* Finding out about streams decodes a little: with the same limit on picture sizes. */
static int find_streams(struct clv_input *input, const char *path)
{
    unsigned count = input->format->nb_streams;
    AVDictionary **options = av_calloc(count + 1, sizeof *options);
    if (!options)
        return clv_fail_memory("stream options");
    for (unsigned i = 0; i < count; i++)
        av_dict_set_int(&options[i], "max_pixels", CLV_MEDIA_PIXELS_MAX, 0);
    int error = avformat_find_stream_info(input->format, count ? options : NULL);
    for (unsigned i = 0; i < count; i++)
        av_dict_free(&options[i]);
    av_free(options);
    return error < 0 ? clv_ffmpeg_fail(CLV_ECORRUPT, error, "cannot read '%s'", path) : CLV_OK;
}

int clv_input_open(struct clv_input *out, const char *path, struct clv_cancel *cancel)
{
    *out = (struct clv_input){0};
    clv_ffmpeg_setup();
    clv_ffmpeg_forget();
    int status = check_regular(path);
    if (status == CLV_OK)
        status = open_bytes(out, path, cancel);
    if (status == CLV_OK)
        status = open_container(out, path, cancel);
    if (status == CLV_OK)
        status = find_streams(out, path);
    if (status != CLV_OK && clv_cancelled(cancel))
        status = clv_fail(CLV_ECANCELED, "reading '%s' was canceled", path);
    if (status != CLV_OK)
        clv_input_close(out);
    return status;
}

void clv_input_close(struct clv_input *input)
{
    /* The demuxer does not own bytes that it was given. */
    avformat_close_input(&input->format);
    avio_closep(&input->io);
}

bool clv_input_encrypted(const AVStream *stream)
{
    static const uint32_t tags[] = {MKTAG('e', 'n', 'c', 'v'), MKTAG('e', 'n', 'c', 'a'),
                                    MKTAG('d', 'r', 'm', 'i')};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (stream->codecpar->codec_tag == tags[i])
            return true;
    return av_stream_get_side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, NULL) ||
           av_dict_get(stream->metadata, "enc_key_id", NULL, 0);
}

static bool is_candidate(const AVStream *stream, enum AVMediaType kind)
{
    return stream->codecpar->codec_type == kind &&
           !(stream->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS));
}

/* Why no stream of `kind` can be decoded. */
static int fail_select(const struct clv_input *input, enum AVMediaType kind, const char *path)
{
    const char *word = kind == AVMEDIA_TYPE_VIDEO ? "video" : "audio";
    for (unsigned i = 0; i < input->format->nb_streams; i++) {
        const AVStream *stream = input->format->streams[i];
        char tag[AV_FOURCC_MAX_STRING_SIZE];
        if (!is_candidate(stream, kind))
            continue;
        if (clv_input_encrypted(stream))
            return clv_fail(CLV_EUNSUPPORTED, "'%s' is encrypted", path);
        const AVCodecDescriptor *codec = avcodec_descriptor_get(stream->codecpar->codec_id);
        av_fourcc_make_string(tag, stream->codecpar->codec_tag);
        return clv_fail(CLV_EUNSUPPORTED, "no decoder for %s codec '%s' in '%s'", word,
                        codec ? codec->name : tag, path);
    }
    return clv_fail(CLV_EUNSUPPORTED, "'%s' has no %s stream", path, word);
}

int clv_input_select(int *index_out, struct clv_input *input, enum AVMediaType kind,
                     const char *path)
{
    AVFormatContext *format = input->format;
    const AVCodec *decoder = NULL;
    int index = av_find_best_stream(format, kind, -1, -1, &decoder, 0);
    /* FFmpeg's choice takes a cover picture where it likes that better. */
    if (index < 0 || !is_candidate(format->streams[index], kind)) {
        index = -1;
        for (unsigned i = 0; i < format->nb_streams && index < 0; i++)
            if (is_candidate(format->streams[i], kind) &&
                avcodec_find_decoder(format->streams[i]->codecpar->codec_id))
                index = (int)i;
    }
    if (index < 0)
        return fail_select(input, kind, path);
    for (unsigned i = 0; i < format->nb_streams; i++)
        format->streams[i]->discard = (int)i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    *index_out = index;
    return CLV_OK;
}
