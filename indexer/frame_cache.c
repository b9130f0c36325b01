#include "indexer/frame_cache.h"

#include "core/arena.h"
#include "core/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct clv_frame_cache {
    int clip_count;
    size_t limit_bytes;
    pthread_mutex_t lock; /* of what follows; a clip that is in does not change */
    struct clv_frame_clip *clips;
    size_t used_bytes; /* also by what is being gathered */
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
    pthread_mutex_init(&cache->lock, NULL);
    cache->clip_count = clip_count;
    cache->limit_bytes = limit_bytes;
    *out = cache;
    return CLV_OK;
}

void clv_frame_cache_free(struct clv_frame_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < cache->clip_count; i++)
        free(cache->clips[i].pixels);
    pthread_mutex_destroy(&cache->lock);
    free(cache->clips);
    free(cache);
}

/* ---- gathering ---- */

static size_t frame_bytes(const struct clv_frame_clip *clip)
{
    return 3 * (size_t)clip->width * (size_t)clip->height;
}

static bool take_bytes(struct clv_frame_cache *cache, size_t bytes)
{
    pthread_mutex_lock(&cache->lock);
    bool is_allowed = bytes <= cache->limit_bytes - cache->used_bytes;
    if (is_allowed)
        cache->used_bytes += bytes;
    pthread_mutex_unlock(&cache->lock);
    return is_allowed;
}

void clv_frame_cache_drop(struct clv_frame_cache *cache, struct clv_frame_clip *gathered)
{
    pthread_mutex_lock(&cache->lock);
    cache->used_bytes -= (size_t)gathered->total * frame_bytes(gathered);
    pthread_mutex_unlock(&cache->lock);
    free(gathered->pixels);
    *gathered = (struct clv_frame_clip){0};
}

static void give_up(struct clv_frame_cache *cache, struct clv_frame_clip *gathered)
{
    clv_frame_cache_drop(cache, gathered);
    gathered->is_given_up = true;
}

/* Room for one frame more: an eighth again of what there is, so that short clips copy seldom and
 * long ones waste little. */
static bool make_room(struct clv_frame_clip *clip)
{
    if ((size_t)clip->total < clip->capacity)
        return true;
    const size_t capacity = clip->capacity + clip->capacity / 8 + 16;
    size_t bytes;
    if (!clv_size_multiply(&bytes, capacity, frame_bytes(clip)))
        return false;
    uint8_t *pixels = realloc(clip->pixels, bytes);
    if (!pixels)
        return false;
    clip->pixels = pixels;
    clip->capacity = capacity;
    return true;
}

void clv_frame_cache_gather(struct clv_frame_cache *cache, struct clv_frame_clip *gathered,
                            const struct clv_image *frame)
{
    if (gathered->is_given_up)
        return;
    if (gathered->total == 0) {
        gathered->width = frame->width;
        gathered->height = frame->height;
    }
    const size_t bytes = frame_bytes(gathered);
    if (frame->width != gathered->width || frame->height != gathered->height ||
        !make_room(gathered) || !take_bytes(cache, bytes)) {
        give_up(cache, gathered);
        return;
    }
    uint8_t *to = gathered->pixels + (size_t)gathered->total * bytes;
    for (int y = 0; y < frame->height; y++)
        memcpy(to + 3 * (size_t)y * (size_t)frame->width,
               frame->pixels + (size_t)y * frame->stride_bytes, 3 * (size_t)frame->width);
    gathered->total++;
}

void clv_frame_cache_keep(struct clv_frame_cache *cache, struct clv_frame_clip *gathered, int clip,
                          int64_t total)
{
    bool is_kept = false;
    if (!gathered->is_given_up && total > 0 && gathered->total == total) {
        uint8_t *exact = realloc(gathered->pixels, (size_t)total * frame_bytes(gathered));
        gathered->pixels = exact ? exact : gathered->pixels;
        pthread_mutex_lock(&cache->lock);
        is_kept = !cache->clips[clip].pixels;
        if (is_kept)
            cache->clips[clip] = *gathered;
        pthread_mutex_unlock(&cache->lock);
    }
    if (is_kept)
        *gathered = (struct clv_frame_clip){0};
    else
        clv_frame_cache_drop(cache, gathered);
}

/* ---- what is in ---- */

static struct clv_frame_clip find(struct clv_frame_cache *cache, int clip)
{
    pthread_mutex_lock(&cache->lock);
    struct clv_frame_clip found = cache->clips[clip];
    pthread_mutex_unlock(&cache->lock);
    return found;
}

bool clv_frame_cache_has(struct clv_frame_cache *cache, int clip)
{
    return find(cache, clip).pixels != NULL;
}

struct clv_image clv_frame_cache_frame(struct clv_frame_cache *cache, int clip, int64_t number)
{
    const struct clv_frame_clip found = find(cache, clip);
    return (struct clv_image){.pixels = found.pixels + (size_t)number * frame_bytes(&found),
                              .width = found.width,
                              .height = found.height,
                              .stride_bytes = 3 * (size_t)found.width};
}

size_t clv_frame_cache_bytes(struct clv_frame_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t used = cache->used_bytes;
    pthread_mutex_unlock(&cache->lock);
    return used;
}
