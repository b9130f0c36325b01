/* Decoded clips kept in memory, whole and unchanged, until the memory allowed is used up: training
 * then decodes a clip once instead of in every epoch, and reads the same pixels. Any number of
 * threads may use one cache. Private to the indexer. */
#ifndef CLV_INDEXER_FRAME_CACHE_H
#define CLV_INDEXER_FRAME_CACHE_H

#include "core/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_frame_cache;

int clv_frame_cache_create(struct clv_frame_cache **out, int clip_count, size_t limit_bytes);
void clv_frame_cache_free(struct clv_frame_cache *cache);

/* Frames one after another, rows without gaps. Zero-initialise to gather those of a clip. */
struct clv_frame_clip {
    uint8_t *pixels;
    int width, height;
    int64_t total; /* frames */
    /* While it is gathered: */
    size_t capacity; /* frames */
    bool is_given_up;
};

/* Adds the next frame of a clip, which counts against the memory allowed at once. A clip that does
 * not fit, that changes its size or for which there is no memory is given up, and its further
 * frames are ignored. */
void clv_frame_cache_gather(struct clv_frame_cache *cache, struct clv_frame_clip *gathered,
                            const struct clv_image *frame);
/* Keeps what was gathered as clip `clip` if it has `total` frames and that is not in yet, and drops
 * it otherwise. `gathered` is ready for another clip. */
void clv_frame_cache_keep(struct clv_frame_cache *cache, struct clv_frame_clip *gathered, int clip,
                          int64_t total);
void clv_frame_cache_drop(struct clv_frame_cache *cache, struct clv_frame_clip *gathered);

bool clv_frame_cache_has(struct clv_frame_cache *cache, int clip);
/* Frame `number` of a clip that is in. The pixels stay the cache's, and stay until it is freed. */
struct clv_image clv_frame_cache_frame(struct clv_frame_cache *cache, int clip, int64_t number);
size_t clv_frame_cache_bytes(struct clv_frame_cache *cache);

#endif
