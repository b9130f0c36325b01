/* Short clips made on the spot, with something happening in each: what `demo` indexes. Each scene
 * comes in two takes that look alike. */
#ifndef CLV_CLI_FILM_H
#define CLV_CLI_FILM_H

#include "core/cancel.h"

#define CLV_FILM_TAKES 2

int clv_film_count(void);
/* "ball-bounces": a name for files. */
const char *clv_film_name(int scene);
/* Writes take 0 or 1 of the scene, four seconds of H.264, to `path` in one step. */
int clv_film_make(const char *path, int scene, int take, struct clv_cancel *cancel);

#endif
