/* From what a person calls a model to where it lies. */
#ifndef CLV_CLI_NAMING_H
#define CLV_CLI_NAMING_H

#include <stdbool.h>

/* The file or directory that `name` means: itself where it is a path to something, else the model
 * pulled under that name, which *is_pulled_out (may be NULL) says. The path is absolute; the caller
 * frees. CLV_ENOTFOUND with what to do. */
int clv_naming_path(char **out, bool *is_pulled_out, const char *name);

#endif
