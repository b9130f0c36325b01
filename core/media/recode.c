/* Cutting by decoding and encoding again.
 *
 * The piece begins with its first frame: that frame's time becomes zero for picture and sound. */
#include "core/media/piece.h"

#include "core/error.h"
#include "core/media/decoded.h"
#include "core/media/output.h"
#include "core/media/sound.h"

#include <stdio.h>

struct recoding {
    const struct clv_piece *piece;
    struct clv_reader *reader;
    struct clv_timebase timebase; /* the video's */
    int64_t start_ticks;          /* what a player shows as 0:00 */
    struct clv_frame frame;       /* at hand */
    int64_t zero_ticks, last_ticks, end_ticks;
    struct clv_output output;
    struct clv_output_stream video, audio;
    struct clv_chain chain;
    AVFrame *picture;
    int width, height;
    struct clv_sound sound;
    bool has_sound;
};

static const struct clv_timebase milliseconds = {1, 1000};

/* As catalogues store it: the nearest millisecond of what a player shows. */
static int64_t shown_ms(const struct recoding *r, int64_t ticks)
{
    return clv_time_rescale(ticks - r->start_ticks, r->timebase, milliseconds);
}

/* The next frame of the piece; CLV_DONE after its last. */
static int next_frame(struct recoding *r)
{
    for (;;) {
        int status = clv_reader_next(r->reader, &r->frame);
        if (status != CLV_OK)
            return status;
        int64_t time_ms = shown_ms(r, r->frame.time_ticks);
        if (time_ms >= r->piece->end_ms)
            return CLV_DONE;
        /* Of frames with one time only the first is shown at all. */
        bool is_repeated = r->video.frame_count > 0 && r->frame.time_ticks <= r->last_ticks;
        if (time_ms >= r->piece->start_ms && !is_repeated)
            return CLV_OK;
    }
}

static int open_source(struct recoding *r)
{
    const struct clv_reader_options options = {.cancel = r->piece->options.cancel};
    int status = clv_reader_open(&r->reader, r->piece->source, &options);
    if (status != CLV_OK)
        return status;
    const struct clv_media_info *info = clv_reader_info(r->reader);
    r->timebase = info->timebase;
    r->start_ticks = info->start_ticks;
    if (r->piece->start_ms > 0) {
        status = clv_reader_seek(
            r->reader,
            r->start_ticks + clv_time_rescale(r->piece->start_ms, milliseconds, r->timebase));
        if (status != CLV_OK)
            return status;
    }
    status = next_frame(r);
    if (status == CLV_DONE)
        return clv_piece_fail_empty(r->piece);
    r->zero_ticks = r->frame.time_ticks;
    return status;
}

static bool is_rgb(enum AVPixelFormat format)
{
    return av_pix_fmt_desc_get(format)->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL);
}

static bool is_full_range(const AVFrame *frame)
{
    const char *name = av_get_pix_fmt_name(frame->format);
    return frame->color_range == AVCOL_RANGE_JPEG || av_strstart(name, "yuvj", NULL);
}

/* The filters that make a decoded frame upright, even-sized, and yuv420p. */
static void choose_filters(const struct recoding *r, char *out, size_t size, const AVFrame *frame,
                           const struct clv_geometry *geometry)
{
    const char *colours = is_rgb(frame->format)  ? "scale=out_color_matrix=bt709:out_range=tv,"
                          : is_full_range(frame) ? "scale=in_range=pc:out_range=tv,"
                                                 : "";
    int width = geometry->transpose ? frame->height : frame->width;
    int height = geometry->transpose ? frame->width : frame->height;
    char fit[160];
    if ((width & ~1) == r->width && (height & ~1) == r->height)
        snprintf(fit, sizeof fit, "crop=%d:%d:0:0", r->width, r->height);
    else
        snprintf(fit, sizeof fit,
                 "scale=%d:%d:force_original_aspect_ratio=decrease,pad=%d:%d:(ow-iw)/2:(oh-ih)/2",
                 r->width, r->height, r->width, r->height);
    snprintf(out, size, "%s%s%s%s%s,format=yuv420p", colours, geometry->flip_x ? "hflip," : "",
             geometry->flip_y ? "vflip," : "", geometry->transpose ? "transpose=0," : "", fit);
}

/* Makes r->picture of the frame at hand. */
static int make_picture(struct recoding *r)
{
    struct clv_geometry geometry;
    char filters[512];
    AVFrame *frame = clv_reader_decoded(r->reader, &geometry);
    if (r->width == 0) {
        int width = geometry.transpose ? frame->height : frame->width;
        int height = geometry.transpose ? frame->width : frame->height;
        r->width = FFMAX(width & ~1, 2);
        r->height = FFMAX(height & ~1, 2);
    }
    int error = 0;
    if (clv_chain_is_open(&r->chain) && !clv_chain_fits(&r->chain, frame))
        clv_chain_close(&r->chain);
    if (!clv_chain_is_open(&r->chain)) {
        choose_filters(r, filters, sizeof filters, frame, &geometry);
        error = clv_chain_open(&r->chain, frame,
                               (AVRational){r->timebase.numerator, r->timebase.denominator},
                               filters, 0);
    }
    if (error >= 0)
        error = clv_chain_push(&r->chain, frame);
    av_frame_unref(r->picture);
    if (error >= 0)
        error = clv_chain_pull(&r->chain, r->picture);
    if (error < 0)
        return clv_ffmpeg_fail(CLV_EUNSUPPORTED, error, "cannot convert the pictures of '%s'",
                               r->piece->source);
    r->picture->pts = r->frame.time_ticks - r->zero_ticks;
    r->picture->pkt_duration = r->frame.end_ticks - r->frame.time_ticks;
    r->picture->pict_type = AV_PICTURE_TYPE_NONE;
    r->picture->interlaced_frame = 0;
    return CLV_OK;
}

static int open_video(struct recoding *r)
{
    struct clv_geometry geometry;
    const AVFrame *frame = clv_reader_decoded(r->reader, &geometry);
    AVRational aspect = geometry.sample_aspect_ratio;
    double rate = clv_reader_info(r->reader)->frame_rate;
    int status = make_picture(r);
    if (status == CLV_OK)
        status = clv_output_stream_begin(&r->video, &r->output, "libx264");
    if (status != CLV_OK)
        return status;
    AVCodecContext *codec = r->video.codec;
    codec->width = r->width;
    codec->height = r->height;
    codec->pix_fmt = AV_PIX_FMT_YUV420P;
    codec->time_base = (AVRational){r->timebase.numerator, r->timebase.denominator};
    /* The nominal rate only steers the encoder; unlikely ones come from damaged headers. */
    codec->framerate = av_d2q(rate >= 1 && rate <= 240 ? rate : 25, 100000);
    codec->sample_aspect_ratio = geometry.transpose && aspect.num > 0 ? av_inv_q(aspect) : aspect;
    codec->colorspace = is_rgb(frame->format) ? AVCOL_SPC_BT709 : frame->colorspace;
    codec->color_primaries = frame->color_primaries;
    codec->color_trc = frame->color_trc;
    codec->color_range = AVCOL_RANGE_MPEG;
    return clv_output_stream_x264(&r->video,
                                  r->piece->options.quality ? r->piece->options.quality : 18);
}

static int open_audio(struct recoding *r)
{
    AVRational base = {r->timebase.numerator, r->timebase.denominator};
    int64_t end_ticks =
        r->start_ticks + clv_time_rescale(r->piece->end_ms, milliseconds, r->timebase);
    if (r->piece->options.no_audio || !clv_reader_info(r->reader)->has_audio)
        return CLV_OK;
    int status = clv_sound_open(
        &r->sound, r->piece->source, av_rescale_q(r->zero_ticks, base, AV_TIME_BASE_Q),
        av_rescale_q(end_ticks, base, AV_TIME_BASE_Q), r->piece->options.cancel);
    if (status == CLV_DONE)
        return CLV_OK;
    if (status == CLV_OK) {
        r->has_sound = true;
        status = clv_output_stream_begin(&r->audio, &r->output, "aac");
    }
    if (status != CLV_OK)
        return status;
    AVCodecContext *codec = r->audio.codec;
    codec->sample_fmt = AV_SAMPLE_FMT_FLTP;
    codec->sample_rate = r->sound.sample_rate;
    codec->time_base = (AVRational){1, r->sound.sample_rate};
    codec->bit_rate = 96000 * (int64_t)r->sound.channels;
    av_channel_layout_default(&codec->ch_layout, r->sound.channels);
    return clv_output_stream_open(&r->audio, NULL);
}

/* Encodes sound up to the given time of the piece; all that is left where `video_ticks` < 0. */
static int encode_sound(struct recoding *r, int64_t video_ticks)
{
    AVRational base = {r->timebase.numerator, r->timebase.denominator};
    int status = CLV_OK;
    while (r->has_sound && status == CLV_OK) {
        AVFrame *block = NULL;
        if (video_ticks >= 0 &&
            av_compare_ts(r->sound.given_count, r->audio.codec->time_base, video_ticks, base) > 0)
            break;
        status = clv_sound_next(&r->sound, &block, r->audio.codec->frame_size);
        if (status == CLV_OK)
            status = clv_output_encode(&r->output, &r->audio, block);
    }
    return status == CLV_DONE ? CLV_OK : status;
}

/* Encodes the frame at hand. */
static int encode_frame(struct recoding *r)
{
    int64_t limit = r->start_ticks + clv_time_rescale(r->piece->end_ms, milliseconds, r->timebase);
    r->last_ticks = r->frame.time_ticks;
    r->end_ticks = r->frame.end_ticks < limit ? r->frame.end_ticks : limit;
    if (r->end_ticks <= r->last_ticks)
        r->end_ticks = r->last_ticks + 1;
    r->picture->pkt_duration = r->end_ticks - r->last_ticks;
    int status = encode_sound(r, r->last_ticks - r->zero_ticks);
    if (status == CLV_OK)
        status = clv_output_encode(&r->output, &r->video, r->picture);
    return status;
}

static int encode_all(struct recoding *r)
{
    int status = encode_frame(r);
    while (status == CLV_OK && (status = next_frame(r)) == CLV_OK) {
        status = make_picture(r);
        if (status == CLV_OK)
            status = encode_frame(r);
    }
    if (status != CLV_DONE)
        return status;
    status = encode_sound(r, -1);
    if (status == CLV_OK)
        status = clv_output_encode(&r->output, &r->video, NULL);
    if (status == CLV_OK && r->has_sound)
        status = clv_output_encode(&r->output, &r->audio, NULL);
    return status;
}

int clv_piece_recode(struct clv_cut_result *result, const struct clv_piece *piece)
{
    struct recoding r = {.piece = piece};
    int status = CLV_OK;
    r.picture = av_frame_alloc();
    if (!r.picture)
        return clv_fail_memory("a frame");
    status = open_source(&r);
    if (status == CLV_OK)
        status = clv_output_open(&r.output, piece->target);
    if (status == CLV_OK)
        status = open_video(&r);
    if (status == CLV_OK)
        status = open_audio(&r);
    if (status == CLV_OK)
        status = clv_output_start(&r.output);
    if (status == CLV_OK)
        status = encode_all(&r);
    if (status == CLV_OK) {
        *result = (struct clv_cut_result){
            .start_ms = shown_ms(&r, r.zero_ticks),
            .end_ms = shown_ms(&r, r.end_ticks),
            .frame_count = r.video.frame_count,
            .has_audio = r.has_sound,
        };
        status = clv_output_finish(&r.output, &result->size_bytes);
    }
    if (r.has_sound)
        clv_sound_close(&r.sound);
    clv_output_stream_release(&r.video);
    clv_output_stream_release(&r.audio);
    clv_output_abort(&r.output);
    clv_chain_close(&r.chain);
    clv_reader_close(r.reader);
    av_frame_free(&r.picture);
    return status;
}
