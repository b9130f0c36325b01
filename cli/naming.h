/* From what a person calls a model to where it lies. */
#ifndef CLV_CLI_NAMING_H
#define CLV_CLI_NAMING_H

#include "core/model/model.h"

#include <stdbool.h>

/* The file or directory that `name` means: itself where it is a path to something, else the model
 * pulled under that name, which *is_pulled_out (may be NULL) says. The path is absolute; the caller
 * frees. CLV_ENOTFOUND with what to do. What names the built-in model names no file, whatever is
 * called so: CLV_EINVAL. */
int clv_naming_path(char **out, bool *is_pulled_out, const char *name);

/* Opens the model that `name` means, the built-in one included. */
int clv_naming_open(struct clv_model *out, const char *name,
                    const struct clv_model_options *options);

#endif
