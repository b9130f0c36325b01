/* Private to core/model: imports made on the way, and files that need none. */
#ifndef CLV_CORE_MODEL_IMPORT_CACHE_H
#define CLV_CORE_MODEL_IMPORT_CACHE_H

#include "core/model/import.h"
#include "core/model/weights.h"

/* clv_import() that also writes `source` (may be NULL) into the metadata. */
int clv_import_write(const char *path, const char *out_path,
                     const struct clv_import_options *options, const char *source,
                     struct clv_import_report *report);

/* Whether an opened file can be used as it is: published names, nothing in the towers that is no
 * part of a CLIP, no OpenCLIP configuration beside it that its metadata does not repeat. */
int clv_import_is_direct(bool *out, const struct clv_weights *weights);

#endif
