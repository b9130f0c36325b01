/* From a model's name to a file to open: found in the catalogue, downloaded, verified, imported,
 * and kept in the user's data directory. */
#ifndef CLV_CORE_MODEL_PULL_H
#define CLV_CORE_MODEL_PULL_H

#include <stdbool.h>

/* True where `name` may be a pulled model's: letters, digits, '.', '_' and '-', beginning with a
 * letter or a digit, 64 at most. No path is one, unless it is a file name without a folder. */
bool clv_pull_is_name(const char *name);

/* Where the model called `name` lies once it was pulled, whether it was or not:
 * DATA/models/NAME.safetensors, DATA being the user's data directory. The caller frees. CLV_EINVAL
 * where it can be no model's name. */
int clv_pull_path(char **out, const char *name);

#endif
