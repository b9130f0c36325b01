/* Private to core/model: digests of weight files remembered across processes, so that opening a
 * large model does not read all of it. */
#ifndef CLV_CORE_MODEL_DIGEST_CACHE_H
#define CLV_CORE_MODEL_DIGEST_CACHE_H

#include "core/model/identity.h"

/* clv_model_identity() of an opened file whose absolute path is `path`, looked up by path, size
 * and modification time in model_digests.json of the user's data directory and written down there.
 * A cache that cannot be read or written only costs the time of computing. */
int clv_digest_cache_weights(uint8_t out[CLV_DIGEST_BYTES], const struct clv_weights *weights,
                             const struct clv_model_config *config, const char *path);

#endif
