/* Cutting by copying packets: fast and without loss, but only from a keyframe on.
 *
 * Picture and sound are read through an input each, so that both can be sought for themselves
 * whatever way the container interleaves them. */
#include "core/media/piece.h"

#include "core/error.h"
#include "core/log.h"
#include "core/media/input.h"
#include "core/media/output.h"

/* One stream on its way. Times are in its time base. */
struct track {
    struct clv_input input;
    AVStream *from, *to;
    AVPacket *packet; /* the next to be written */
    bool has_packet;
    int64_t zero, end; /* on the file's clock */
};

/* Packets that are shown after the end wait here until it is known whether one that is shown
 * before it follows: only then they are needed. */
#define HELD_MAX 64

struct copying {
    const struct clv_piece *piece;
    struct track video, audio;
    struct clv_output output;
    int64_t first_us;  /* the keyframe, on the file's clock */
    int64_t end_ticks; /* where the last picture written stops being shown */
    AVPacket *held[HELD_MAX];
    int held_count;
    int64_t frame_count, wanted_count; /* all, and those in the range asked for */
};

static int64_t packet_time(const AVPacket *packet)
{
    return packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
}

static int fail_timeless(const struct copying *c)
{
    return clv_fail(CLV_EUNSUPPORTED,
                    "'%s' cannot be copied from: its packets do not say when they are shown",
                    c->piece->source);
}

/* The track's next packet; CLV_DONE at the end. */
static int read_packet(struct copying *c, struct track *track)
{
    track->has_packet = false;
    for (int errors = 0; errors < 64;) {
        if (clv_cancelled(c->piece->options.cancel))
            return clv_fail(CLV_ECANCELED, "copying from '%s' was canceled", c->piece->source);
        av_packet_unref(track->packet);
        int error = av_read_frame(track->input.format, track->packet);
        if (error == AVERROR_EOF || (error < 0 && avio_feof(track->input.io)))
            return CLV_DONE;
        errors += error < 0;
        if (error < 0 || track->packet->stream_index != track->from->index)
            continue;
        if (packet_time(track->packet) == AV_NOPTS_VALUE)
            return fail_timeless(c);
        track->has_packet = true;
        return CLV_OK;
    }
    return CLV_DONE;
}

static int open_track(struct copying *c, struct track *track, enum AVMediaType kind)
{
    int index = -1;
    track->packet = av_packet_alloc();
    if (!track->packet)
        return clv_fail_memory("a packet");
    int status = clv_input_open(&track->input, c->piece->source, c->piece->options.cancel);
    if (status == CLV_OK)
        status = clv_input_select(&index, &track->input, kind, c->piece->source);
    if (status == CLV_OK)
        track->from = track->input.format->streams[index];
    return status;
}

static void close_track(struct track *track)
{
    av_packet_free(&track->packet);
    clv_input_close(&track->input);
}

/* The file's clock where a player shows 0:00. */
static int64_t origin_us(const struct track *track)
{
    int64_t start = track->input.format->start_time;
    return start != AV_NOPTS_VALUE ? start : 0;
}

/* Reads on to the first keyframe not before the present place. */
static int find_keyframe(struct copying *c)
{
    int status = read_packet(c, &c->video);
    while (status == CLV_OK && !(c->video.packet->flags & AV_PKT_FLAG_KEY))
        status = read_packet(c, &c->video);
    return status;
}

/* Places the video at the last keyframe shown at or before the start, or at the file's first. */
static int seek_video(struct copying *c)
{
    static const int back_s[] = {0, 2, 10};
    struct track *video = &c->video;
    AVRational base = video->from->time_base;
    int64_t origin = origin_us(video);
    int64_t start = av_rescale_q(origin + c->piece->start_ms * 1000, AV_TIME_BASE_Q, base);
    video->end = av_rescale_q(origin + c->piece->end_ms * 1000, AV_TIME_BASE_Q, base);
    int status = CLV_DONE;
    for (size_t i = 0; i < sizeof back_s / sizeof *back_s; i++) {
        int64_t ticks = start - av_rescale_q(back_s[i], (AVRational){1, 1}, base);
        if (av_seek_frame(video->input.format, video->from->index, ticks, AVSEEK_FLAG_BACKWARD) < 0)
            break;
        status = find_keyframe(c);
        if (status < 0 || (status == CLV_OK && packet_time(video->packet) <= start))
            break;
    }
    if (status == CLV_OK && packet_time(video->packet) > start)
        status = CLV_DONE;
    if (status == CLV_DONE) {
        clv_input_close(&video->input);
        av_packet_free(&video->packet);
        status = open_track(c, video, AVMEDIA_TYPE_VIDEO);
        if (status == CLV_OK)
            status = find_keyframe(c);
    }
    if (status != CLV_OK)
        return status == CLV_DONE ? clv_piece_fail_empty(c->piece) : status;
    video->zero = packet_time(video->packet);
    c->first_us = av_rescale_q(video->zero, base, AV_TIME_BASE_Q);
    return video->zero < video->end ? CLV_OK : clv_piece_fail_empty(c->piece);
}

/* Places the sound where the keyframe is. CLV_DONE where there is none. */
static int seek_audio(struct copying *c)
{
    struct track *audio = &c->audio;
    AVRational base = audio->from->time_base;
    audio->zero = av_rescale_q(c->first_us, AV_TIME_BASE_Q, base);
    audio->end = av_rescale_q(origin_us(audio) + c->piece->end_ms * 1000, AV_TIME_BASE_Q, base);
    if (av_seek_frame(audio->input.format, audio->from->index, audio->zero, AVSEEK_FLAG_BACKWARD) <
        0) {
        close_track(audio);
        int status = open_track(c, audio, AVMEDIA_TYPE_AUDIO);
        if (status != CLV_OK)
            return status;
    }
    int status = read_packet(c, audio);
    while (status == CLV_OK && packet_time(audio->packet) < audio->zero)
        status = read_packet(c, audio);
    if (status == CLV_OK && packet_time(audio->packet) >= audio->end)
        status = CLV_DONE;
    return status;
}

/* Describes the track in the output, with what players need to show it right. */
static int add_stream(struct copying *c, struct track *track)
{
    track->to = avformat_new_stream(c->output.format, NULL);
    if (!track->to)
        return clv_fail_memory("a stream");
    int error = avcodec_parameters_copy(track->to->codecpar, track->from->codecpar);
    track->to->codecpar->codec_tag = 0;
    track->to->time_base = track->from->time_base;
    track->to->avg_frame_rate = track->from->avg_frame_rate;
    track->to->sample_aspect_ratio = track->from->sample_aspect_ratio;
    for (int i = 0; error >= 0 && i < track->from->nb_side_data; i++) {
        const AVPacketSideData *data = &track->from->side_data[i];
        uint8_t *copy = av_stream_new_side_data(track->to, data->type, data->size);
        if (!copy)
            error = AVERROR(ENOMEM);
        else
            memcpy(copy, data->data, data->size);
    }
    return error < 0
               ? clv_ffmpeg_fail(CLV_ERR, error, "cannot copy a stream of '%s'", c->piece->source)
               : CLV_OK;
}

static int64_t shown_ms(const struct copying *c, int64_t ticks)
{
    int64_t us = av_rescale_q(ticks, c->video.from->time_base, AV_TIME_BASE_Q);
    return av_rescale(us - origin_us(&c->video), 1, 1000);
}

/* Keeps account of what the piece shows. */
static int count_frame(struct copying *c, const AVPacket *packet)
{
    if (packet->pts == AV_NOPTS_VALUE)
        return fail_timeless(c);
    int64_t time_ms = shown_ms(c, packet->pts);
    c->wanted_count += time_ms >= c->piece->start_ms && time_ms < c->piece->end_ms;
    int64_t end = packet->pts + (packet->duration > 0 ? packet->duration : 1);
    c->end_ticks = FFMAX(c->end_ticks, end);
    c->frame_count++;
    return CLV_OK;
}

/* Writes a packet whose times are the file's; it is left empty. */
static int put_packet(struct copying *c, struct track *track, AVPacket *packet)
{
    int status = track == &c->video ? count_frame(c, packet) : CLV_OK;
    if (status != CLV_OK)
        return status;
    packet->pts -= track->zero;
    if (packet->dts != AV_NOPTS_VALUE)
        packet->dts -= track->zero;
    packet->stream_index = track->to->index;
    return clv_output_write(&c->output, packet, track->from->time_base);
}

/* Writes what waits. */
static int put_held(struct copying *c)
{
    int status = CLV_OK;
    for (int i = 0; i < c->held_count; i++) {
        if (status == CLV_OK)
            status = put_packet(c, &c->video, c->held[i]);
        av_packet_free(&c->held[i]);
    }
    c->held_count = 0;
    return status;
}

static int hold(struct copying *c, AVPacket *packet)
{
    int status = c->held_count == HELD_MAX ? put_held(c) : CLV_OK;
    if (status != CLV_OK)
        return status;
    AVPacket *kept = c->held[c->held_count] = av_packet_alloc();
    if (!kept)
        return clv_fail_memory("a packet");
    c->held_count++;
    av_packet_move_ref(kept, packet);
    return CLV_OK;
}

/* Writes the track's packet, or holds it, or leaves it out; and reads its next one. */
static int write_packet(struct copying *c, struct track *track)
{
    AVPacket *packet = track->packet;
    int status = CLV_OK;
    bool is_video = track == &c->video;
    if (packet->pts == AV_NOPTS_VALUE && (!is_video || track->from->codecpar->video_delay == 0))
        packet->pts = packet->dts;
    /* Pictures shown before the keyframe but stored after it need what was left out. */
    bool is_left_out = is_video && packet->pts != AV_NOPTS_VALUE && packet->pts < track->zero;
    if (is_video && packet->pts != AV_NOPTS_VALUE && packet->pts >= track->end)
        status = hold(c, packet);
    else if (!is_left_out) {
        if (is_video)
            status = put_held(c);
        if (status == CLV_OK)
            status = put_packet(c, track, packet);
    }
    if (status == CLV_OK)
        status = read_packet(c, track);
    /* In decoding order nothing after this is shown before the end. */
    if (status == CLV_OK) {
        int64_t decoded = packet->dts != AV_NOPTS_VALUE ? packet->dts : packet->pts;
        track->has_packet = decoded < track->end;
    }
    return status == CLV_DONE ? CLV_OK : status;
}

static int write_all(struct copying *c)
{
    int status = CLV_OK;
    while (status == CLV_OK && (c->video.has_packet || c->audio.has_packet)) {
        struct track *next = &c->video;
        if (!c->video.has_packet)
            next = &c->audio;
        else if (c->audio.has_packet && av_compare_ts(packet_time(c->audio.packet) - c->audio.zero,
                                                      c->audio.from->time_base,
                                                      packet_time(c->video.packet) - c->video.zero,
                                                      c->video.from->time_base) < 0)
            next = &c->audio;
        status = write_packet(c, next);
    }
    return status;
}

static int open_audio(struct copying *c)
{
    int status = open_track(c, &c->audio, AVMEDIA_TYPE_AUDIO);
    if (status == CLV_OK)
        status = seek_audio(c);
    if (status == CLV_OK)
        return add_stream(c, &c->audio);
    c->audio.has_packet = false;
    if (status == CLV_EUNSUPPORTED)
        clv_log(CLV_LOG_DEBUG, "the piece is without sound: %s", clv_error_message());
    return status == CLV_EUNSUPPORTED || status == CLV_DONE ? CLV_OK : status;
}

int clv_piece_copy(struct clv_cut_result *result, const struct clv_piece *piece)
{
    struct copying c = {.piece = piece, .end_ticks = INT64_MIN};
    int status = open_track(&c, &c.video, AVMEDIA_TYPE_VIDEO);
    if (status == CLV_OK)
        status = seek_video(&c);
    if (status == CLV_OK)
        status = clv_output_open(&c.output, piece->target);
    if (status == CLV_OK)
        status = add_stream(&c, &c.video);
    if (status == CLV_OK && !piece->options.no_audio)
        status = open_audio(&c);
    bool has_audio = c.audio.has_packet;
    if (status == CLV_OK)
        status = clv_output_start(&c.output);
    if (status == CLV_OK)
        status = write_all(&c);
    if (status == CLV_OK && c.wanted_count == 0)
        status = clv_piece_fail_empty(piece);
    if (status == CLV_OK) {
        *result = (struct clv_cut_result){
            .start_ms = shown_ms(&c, c.video.zero),
            .end_ms = shown_ms(&c, c.end_ticks),
            .frame_count = c.frame_count,
            .has_audio = has_audio,
        };
        status = clv_output_finish(&c.output, &result->size_bytes);
    }
    for (int i = 0; i < c.held_count; i++)
        av_packet_free(&c.held[i]);
    clv_output_abort(&c.output);
    close_track(&c.video);
    close_track(&c.audio);
    return status;
}
