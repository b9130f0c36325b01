#include "core/media/handover.h"

#include <stdlib.h>
#include <string.h>

/* A reader, and the filters in it, look at no frame that is older than so many. */
#define FRAMES_WANTED 16
#define KEPT_BYTES_MAX (INT64_C(256) << 20)

void clv_handover_release(struct clv_handover *handover)
{
    for (int i = 0; i < handover->capacity; i++)
        av_packet_free(&handover->packets[i]);
    free(handover->packets);
    *handover = (struct clv_handover){0};
}

/* Drops the first `count` packets; what they were in is used again. */
static void drop(struct clv_handover *handover, int count)
{
    for (int i = 0; i < count; i++) {
        handover->size_bytes -= handover->packets[i]->size;
        av_packet_unref(handover->packets[i]);
    }
    for (int i = count; i < handover->count; i++) {
        AVPacket *empty = handover->packets[i - count];
        handover->packets[i - count] = handover->packets[i];
        handover->packets[i] = empty;
    }
    handover->count -= count;
    handover->first += count;
}

void clv_handover_reset(struct clv_handover *handover)
{
    drop(handover, handover->count);
    *handover = (struct clv_handover){.packets = handover->packets, .capacity = handover->capacity};
}

static int grow(struct clv_handover *handover)
{
    int capacity = handover->capacity > 0 ? 2 * handover->capacity : 64;
    AVPacket **packets = realloc(handover->packets, (size_t)capacity * sizeof(AVPacket *));
    if (!packets)
        return AVERROR(ENOMEM);
    handover->packets = packets;
    for (; handover->capacity < capacity; handover->capacity++)
        if (!(packets[handover->capacity] = av_packet_alloc()))
            return AVERROR(ENOMEM);
    return 0;
}

int64_t clv_handover_keep(struct clv_handover *handover, const AVPacket *packet)
{
    int error = handover->count == handover->capacity ? grow(handover) : 0;
    if (error >= 0)
        error = av_packet_ref(handover->packets[handover->count], packet);
    if (error < 0) {
        handover->is_broken = true;
        return error;
    }
    handover->size_bytes += packet->size;
    handover->count++;
    return handover->size_bytes > KEPT_BYTES_MAX ? AVERROR(ENOBUFS)
                                                 : handover->first + handover->count - 1;
}

/* Only what begins anew by itself: a picture that others lead up to decodes to nothing alone. */
static bool is_key(const struct clv_handover *handover, const AVFrame *frame)
{
    int64_t place = frame->reordered_opaque - handover->first;
    return frame->key_frame && frame->pict_type == AV_PICTURE_TYPE_I && place >= 0 &&
           place < handover->count && handover->packets[place]->flags & AV_PKT_FLAG_KEY;
}

void clv_handover_give(struct clv_handover *handover, AVFrame *frame)
{
    handover->given++;
    if (handover->next_anchor == 0 && is_key(handover, frame)) {
        handover->next_anchor = handover->given;
        handover->next_first = frame->reordered_opaque;
    }
    if (handover->next_anchor > 0 && handover->given - handover->next_anchor >= FRAMES_WANTED) {
        drop(handover, (int)(handover->next_first - handover->first));
        handover->anchor = handover->next_anchor;
        handover->next_anchor = 0;
        handover->damage_count = 0;
    }
    if (frame->pts != AV_NOPTS_VALUE &&
        (!handover->has_max_pts || frame->pts > handover->max_pts)) {
        handover->max_pts = frame->pts;
        handover->has_max_pts = true;
    }
    frame->reordered_opaque = handover->given;
}

void clv_handover_start(struct clv_handover *handover)
{
    handover->is_running = true;
    handover->waits_for_key = handover->anchor > 0;
    handover->number = handover->anchor > 0 ? handover->anchor - 1 : 0;
    handover->at = 0;
}

const AVPacket *clv_handover_packet(struct clv_handover *handover)
{
    return handover->at < handover->count ? handover->packets[handover->at++] : NULL;
}

int64_t clv_handover_number(struct clv_handover *handover, const AVFrame *frame)
{
    /* Whatever was counted, a frame that is shown after all others is new. */
    if (handover->has_max_pts && frame->pts != AV_NOPTS_VALUE && frame->pts > handover->max_pts)
        return handover->given + 1;
    /* Pictures may be shown before the keyframe they follow; those were given before it. */
    if (handover->waits_for_key && !frame->key_frame)
        return 0;
    handover->waits_for_key = false;
    return ++handover->number;
}
