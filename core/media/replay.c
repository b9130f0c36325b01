#include "core/media/replay.h"

#include <stdlib.h>
#include <string.h>

/* A reader, and the filters in it, look at no frame that is older than so many. */
#define FRAMES_WANTED 16
#define KEPT_BYTES_MAX (INT64_C(256) << 20)

void clv_replay_release(struct clv_replay *replay)
{
    for (int i = 0; i < replay->capacity; i++)
        av_packet_free(&replay->packets[i]);
    free(replay->packets);
    *replay = (struct clv_replay){0};
}

/* Drops the first `count` packets; what they were in is used again. */
static void drop(struct clv_replay *replay, int count)
{
    for (int i = 0; i < count; i++) {
        replay->size_bytes -= replay->packets[i]->size;
        av_packet_unref(replay->packets[i]);
    }
    for (int i = count; i < replay->count; i++) {
        AVPacket *empty = replay->packets[i - count];
        replay->packets[i - count] = replay->packets[i];
        replay->packets[i] = empty;
    }
    replay->count -= count;
    replay->first += count;
}

void clv_replay_reset(struct clv_replay *replay)
{
    drop(replay, replay->count);
    *replay = (struct clv_replay){.packets = replay->packets, .capacity = replay->capacity};
}

static int grow(struct clv_replay *replay)
{
    int capacity = replay->capacity > 0 ? 2 * replay->capacity : 64;
    AVPacket **packets = realloc(replay->packets, (size_t)capacity * sizeof(AVPacket *));
    if (!packets)
        return AVERROR(ENOMEM);
    replay->packets = packets;
    for (; replay->capacity < capacity; replay->capacity++)
        if (!(packets[replay->capacity] = av_packet_alloc()))
            return AVERROR(ENOMEM);
    return 0;
}

int64_t clv_replay_keep(struct clv_replay *replay, const AVPacket *packet)
{
    int error = replay->count == replay->capacity ? grow(replay) : 0;
    if (error >= 0)
        error = av_packet_ref(replay->packets[replay->count], packet);
    if (error < 0) {
        replay->is_broken = true;
        return error;
    }
    replay->size_bytes += packet->size;
    replay->count++;
    return replay->size_bytes > KEPT_BYTES_MAX ? AVERROR(ENOBUFS)
                                               : replay->first + replay->count - 1;
}

/* Only what begins anew by itself: a picture that others lead up to decodes to nothing alone. */
static bool is_key(const struct clv_replay *replay, const AVFrame *frame)
{
    int64_t place = frame->reordered_opaque - replay->first;
    return frame->key_frame && frame->pict_type == AV_PICTURE_TYPE_I && place >= 0 &&
           place < replay->count && replay->packets[place]->flags & AV_PKT_FLAG_KEY;
}

void clv_replay_give(struct clv_replay *replay, AVFrame *frame)
{
    replay->given++;
    if (replay->next_anchor == 0 && is_key(replay, frame)) {
        replay->next_anchor = replay->given;
        replay->next_first = frame->reordered_opaque;
    }
    if (replay->next_anchor > 0 && replay->given - replay->next_anchor >= FRAMES_WANTED) {
        drop(replay, (int)(replay->next_first - replay->first));
        replay->anchor = replay->next_anchor;
        replay->next_anchor = 0;
        replay->damage_count = 0;
    }
    if (frame->pts != AV_NOPTS_VALUE && (!replay->has_max_pts || frame->pts > replay->max_pts)) {
        replay->max_pts = frame->pts;
        replay->has_max_pts = true;
    }
    frame->reordered_opaque = replay->given;
}

void clv_replay_start(struct clv_replay *replay)
{
    replay->is_running = true;
    replay->waits_for_key = replay->anchor > 0;
    replay->number = replay->anchor > 0 ? replay->anchor - 1 : 0;
    replay->at = 0;
}

const AVPacket *clv_replay_packet(struct clv_replay *replay)
{
    return replay->at < replay->count ? replay->packets[replay->at++] : NULL;
}

int64_t clv_replay_number(struct clv_replay *replay, const AVFrame *frame)
{
    /* Whatever was counted, a frame that is shown after all others is new. */
    if (replay->has_max_pts && frame->pts != AV_NOPTS_VALUE && frame->pts > replay->max_pts)
        return replay->given + 1;
    /* Pictures may be shown before the keyframe they follow; those were given before it. */
    if (replay->waits_for_key && !frame->key_frame)
        return 0;
    replay->waits_for_key = false;
    return ++replay->number;
}
