/* Decoded clips kept in memory, whole and unchanged, until the memory allowed is used up: training
 * then decodes a clip once instead of in every epoch, and reads the same pixels. Private to the
 * indexer; for one thread at a time. */
#ifndef CLV_INDEXER_FRAME_CACHE_H
#define CLV_INDEXER_FRAME_CACHE_H

#include "core/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clv_frame_cache;

int clv_frame_cache_create(struct clv_frame_cache **out, int clip_count, size_t limit_bytes);
void clv_frame_cache_free(struct clv_frame_cache *cache);

/* Adds the next frame of a clip that is not in yet. A clip that does not fit, that changes its size
 * or for which there is no memory is forgotten, and its further frames are ignored: it will not be
 * in. Adding to another clip forgets one that was not finished. */
void clv_frame_cache_add(struct clv_frame_cache *cache, int clip, const struct clv_image *frame);
/* The clip is complete if it has `total` frames, and forgotten otherwise. */
void clv_frame_cache_finish(struct clv_frame_cache *cache, int clip, int64_t total);

bool clv_frame_cache_has(const struct clv_frame_cache *cache, int clip);
/* Frame `number` of a clip that is in. The pixels stay the cache's, and stay until it is freed. */
struct clv_image clv_frame_cache_frame(const struct clv_frame_cache *cache, int clip,
                                       int64_t number);
size_t clv_frame_cache_bytes(const struct clv_frame_cache *cache);

#endif
