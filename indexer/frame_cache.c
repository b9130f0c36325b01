#include "indexer/frame_cache.h"

#include "core/arena.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

struct kept {
    uint8_t *pixels; /* frames one after another, rows without gaps; NULL: not in */
    int width, height;
    int64_t total;
};

struct clv_frame_cache {
    struct kept *clips;
    int clip_count;
    size_t limit_bytes, used_bytes;
    /* The clip being added. */
    int adding; /* -1: none */
    bool is_given_up;
    size_t capacity; /* frames */
};

int clv_frame_cache_create(struct clv_frame_cache **out, int clip_count, size_t limit_bytes)
{
    *out = NULL;
    struct clv_frame_cache *cache = calloc(1, sizeof *cache);
    if (cache)
        cache->clips = calloc((size_t)clip_count + 1, sizeof *cache->clips);
    if (!cache || !cache->clips) {
        free(cache);
        return clv_fail_memory("a cache of frames");
    }
    cache->clip_count = clip_count;
    cache->limit_bytes = limit_bytes;
    cache->adding = -1;
    *out = cache;
    return CLV_OK;
}

void clv_frame_cache_free(struct clv_frame_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < cache->clip_count; i++)
        free(cache->clips[i].pixels);
    free(cache->clips);
    free(cache);
}

static size_t frame_bytes(const struct kept *clip)
{
    return 3 * (size_t)clip->width * (size_t)clip->height;
}

static void give_up(struct clv_frame_cache *cache)
{
    struct kept *clip = &cache->clips[cache->adding];
    free(clip->pixels);
    *clip = (struct kept){0};
    cache->is_given_up = true;
}

/* Room for one frame more: an eighth again of what there is, so that short clips copy seldom and
 * long ones waste little. */
static bool make_room(struct clv_frame_cache *cache, struct kept *clip)
{
    if ((size_t)clip->total < cache->capacity)
        return true;
    const size_t capacity = cache->capacity + cache->capacity / 8 + 16;
    size_t bytes;
    if (!clv_size_multiply(&bytes, capacity, frame_bytes(clip)))
        return false;
    uint8_t *pixels = realloc(clip->pixels, bytes);
    if (!pixels)
        return false;
    clip->pixels = pixels;
    cache->capacity = capacity;
    return true;
}

void clv_frame_cache_add(struct clv_frame_cache *cache, int index, const struct clv_image *frame)
{
    if (cache->adding != index) {
        if (cache->adding >= 0)
            give_up(cache);
        cache->adding = index;
        cache->is_given_up = false;
        cache->capacity = 0;
        cache->clips[index] = (struct kept){.width = frame->width, .height = frame->height};
    }
    struct kept *clip = &cache->clips[index];
    if (cache->is_given_up)
        return;
    const size_t bytes = frame_bytes(clip);
    const size_t left = cache->limit_bytes - cache->used_bytes;
    if (frame->width != clip->width || frame->height != clip->height ||
        (size_t)clip->total >= left / bytes || !make_room(cache, clip)) {
        give_up(cache);
        return;
    }
    uint8_t *to = clip->pixels + (size_t)clip->total * bytes;
    for (int y = 0; y < frame->height; y++)
        memcpy(to + 3 * (size_t)y * (size_t)frame->width,
               frame->pixels + (size_t)y * frame->stride_bytes, 3 * (size_t)frame->width);
    clip->total++;
}

void clv_frame_cache_finish(struct clv_frame_cache *cache, int index, int64_t total)
{
    if (cache->adding != index)
        return;
    struct kept *clip = &cache->clips[index];
    if (!cache->is_given_up && clip->total == total) {
        const size_t bytes = (size_t)clip->total * frame_bytes(clip);
        uint8_t *exact = realloc(clip->pixels, bytes);
        clip->pixels = exact ? exact : clip->pixels;
        cache->used_bytes += bytes;
    } else if (!cache->is_given_up) {
        give_up(cache);
    }
    cache->adding = -1;
}

bool clv_frame_cache_has(const struct clv_frame_cache *cache, int clip)
{
    return cache->adding != clip && cache->clips[clip].pixels;
}

struct clv_image clv_frame_cache_frame(const struct clv_frame_cache *cache, int index,
                                       int64_t number)
{
    const struct kept *clip = &cache->clips[index];
    return (struct clv_image){.pixels = clip->pixels + (size_t)number * frame_bytes(clip),
                              .width = clip->width,
                              .height = clip->height,
                              .stride_bytes = 3 * (size_t)clip->width};
}

size_t clv_frame_cache_bytes(const struct clv_frame_cache *cache)
{
    return cache->used_bytes;
}
