/* Contact sheets: an action as a person would look it over. */
#ifndef CLV_TESTS_STAGE_SHEET_H
#define CLV_TESTS_STAGE_SHEET_H

#include "cli/stage/stage.h"

/* A JPEG of `rows` clips of each action, `columns` frames of each, pictures `size` pixels wide and
 * high. */
int stage_sheet(const char *path, const int *actions, int action_count, int rows, int columns,
                int size, uint64_t seed, enum stage_split split);

#endif
